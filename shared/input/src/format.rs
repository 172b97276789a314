//! The format of a file, from its Content-Type.

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// CSV with a header: RFC 4180, with any line ends.
    Csv,
    /// JSON Lines: one object on each line.
    JsonLines,
}

/// Why a Content-Type is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentTypeError {
    /// Another media type.
    #[error("the content type is text/csv, application/x-ndjson or application/jsonl")]
    MediaType,
    /// A charset other than UTF-8.
    #[error("the charset is UTF-8: save the file as UTF-8")]
    Charset,
}

impl Format {
    /// The format that a Content-Type names: `text/csv`, `application/x-ndjson` or
    /// `application/jsonl`, in any case. Of the parameters only `charset` counts.
    ///
    /// # Errors
    /// [`ContentTypeError`], the first that applies.
    pub fn from_content_type(header: &str) -> Result<Self, ContentTypeError> {
        let mut parts = header.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "text/csv" => Self::Csv,
            "application/x-ndjson" | "application/jsonl" => Self::JsonLines,
            _ => return Err(ContentTypeError::MediaType),
        };
        let is_foreign = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let charset = value.trim().trim_matches('"').to_ascii_lowercase();
            name.trim().eq_ignore_ascii_case("charset")
                && !matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii")
        };
        if parts.any(is_foreign) { Err(ContentTypeError::Charset) } else { Ok(format) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("text/csv", Ok(Format::Csv))]
    #[case("Text/CSV; Charset=\"UTF-8\"", Ok(Format::Csv))]
    #[case("text/csv; header=present", Ok(Format::Csv))]
    #[case("application/x-ndjson", Ok(Format::JsonLines))]
    #[case("application/jsonl;charset=utf-8", Ok(Format::JsonLines))]
    #[case("text/csv; charset=euc-kr", Err(ContentTypeError::Charset))]
    #[case("text/csv; charset=", Err(ContentTypeError::Charset))]
    #[case("application/json", Err(ContentTypeError::MediaType))]
    #[case("text/csvx", Err(ContentTypeError::MediaType))]
    #[case("", Err(ContentTypeError::MediaType))]
    fn a_content_type_names_the_format(
        #[case] header: &str,
        #[case] format: Result<Format, ContentTypeError>,
    ) {
        assert_eq!(Format::from_content_type(header), format);
    }
}
