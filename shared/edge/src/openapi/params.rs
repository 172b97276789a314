//! The parameters that several operations take.

use utoipa::IntoParams;

/// `X-USER-ID` in v2.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct CallerHeader {
    /// The member that the caller acts for.
    #[param(rename = "X-USER-ID", pattern = "^[A-Za-z0-9_-]{1,64}$", example = "ann")]
    pub user: String,
}

/// `X-ROOM-ID` in v2.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct RoomHeader {
    /// The chat room, by its id.
    #[param(
        rename = "X-ROOM-ID",
        pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$",
        example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"
    )]
    pub room: String,
}

/// `Idempotency-Key` where money moves.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct KeyHeader {
    /// The key of this request: for 24 hours, a repeat with the same key gets the first answer, with
    /// `Idempotency-Replayed: true`. It covers the exact bytes of the body.
    #[param(
        rename = "Idempotency-Key",
        pattern = "^[!-~]{1,255}$",
        example = "7e5f4a52-9c0d-4d0e-8f0a-2b6f3c1d9e11"
    )]
    pub key: String,
}

/// `Idempotency-Key` of campaigns.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct CampaignKeyHeader {
    /// The key of this request: for 30 days, a repeat with the same key gets the first answer, with
    /// `Idempotency-Replayed: true`. It covers the exact bytes of the body.
    #[param(
        rename = "Idempotency-Key",
        pattern = "^[!-~]{1,255}$",
        example = "7e5f4a52-9c0d-4d0e-8f0a-2b6f3c1d9e11"
    )]
    pub key: String,
}

/// `Idempotency-Key` elsewhere.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct OptionalKeyHeader {
    /// The key of this request: for 24 hours, a repeat with the same key gets the first answer, with
    /// `Idempotency-Replayed: true`. It covers the exact bytes of the body.
    #[param(rename = "Idempotency-Key", pattern = "^[!-~]{1,255}$")]
    pub key: Option<String>,
}

/// `X-USER-ID` in v1.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct V1CallerHeader {
    /// The user that the caller acts for.
    #[param(rename = "X-USER-ID", example = 7)]
    pub user: i64,
}

/// `X-ROOM-ID` in v1.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct V1RoomHeader {
    /// The chat room, by its id.
    #[param(rename = "X-ROOM-ID", min_length = 1, example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    pub room: String,
}

/// A campaign in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct CampaignPath {
    /// The campaign.
    #[param(min_length = 26, max_length = 26, example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    pub id: String,
}

/// The start and the length of a page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The number of rows.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the previous page, with the same filters.
    #[param(pattern = "^[A-Za-z0-9_-]{1,256}$")]
    pub cursor: Option<String>,
}
