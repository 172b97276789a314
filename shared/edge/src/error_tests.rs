use super::*;
use largesse_app::ports::PortErrorKind;
use rstest::rstest;

fn meta(version: Version) -> Meta {
    Meta { request_id: "req-1".to_owned(), version }
}

#[test]
fn a_problem_carries_all_standard_members() {
    let error = ApiError::invalid(vec![FieldError::body("amount", "missing", "needed")]);
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!(error.v2(StatusCode::BAD_REQUEST, "req-1"), @r#"
    {
      "code": "ERR001",
      "detail": "The request is not valid.",
      "errors": [
        {
          "code": "missing",
          "detail": "needed",
          "field": "amount"
        }
      ],
      "request_id": "req-1",
      "status": 400,
      "title": "Invalid request",
      "type": "/docs#ERR001"
    }
    "#);
    });
}

#[test]
fn a_v1_error_keeps_the_established_shape() {
    let errors = vec![
        FieldError::new(Place::Header, "X-USER-ID", "missing", "Field required"),
        FieldError::body("17", "json_invalid", "JSON decode error"),
        FieldError::body("", "missing", "Field required"),
    ];
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!(ApiError::invalid(errors).v1(), @r#"
    {
      "code": "ERR001",
      "detail": [
        {
          "loc": [
            "header",
            "x-user-id"
          ],
          "msg": "Field required",
          "type": "missing"
        },
        {
          "loc": [
            "body",
            17
          ],
          "msg": "JSON decode error",
          "type": "json_invalid"
        },
        {
          "loc": [
            "body"
          ],
          "msg": "Field required",
          "type": "missing"
        }
      ]
    }
    "#);
    });
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!(ApiError::expired("Over.").v1(), @r#"
    {
      "code": "ERR104",
      "detail": "Over.",
      "token_status": -2
    }
    "#);
    });
}

#[rstest]
#[case(PortErrorKind::Throttled, 503, true)]
#[case(PortErrorKind::Contended, 503, true)]
#[case(PortErrorKind::Unknown, 503, true)]
#[case(PortErrorKind::Corrupt, 500, false)]
#[case(PortErrorKind::Rejected, 500, false)]
fn a_failed_port_tells_the_caller_only_whether_to_repeat(
    #[case] kind: PortErrorKind,
    #[case] status: u16,
    #[case] retry: bool,
) {
    let cause = Arc::new(std::io::Error::other("table-secret"));
    let error = PortError { operation: "read-secret", kind, cause: Some(cause) };
    let error = ApiError::from(error);
    assert!(error.causes().unwrap().contains("table-secret"));
    assert!(!error.v2(StatusCode::OK, "r").to_string().contains("secret"));
    let response = error.render(&meta(Version::V2));
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers().contains_key(header::RETRY_AFTER), retry);
}

#[test]
fn v1_answers_422_where_v2_answers_400() {
    let error = ApiError::invalid(Vec::new());
    assert_eq!(error.status_in(Version::V1).as_u16(), 422);
    assert_eq!(error.status_in(Version::V2).as_u16(), 400);
    let too_large = error.status(StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(too_large.status_in(Version::V1).as_u16(), 413);
}
