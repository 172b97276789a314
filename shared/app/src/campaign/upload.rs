//! A part is uploaded: read, staged, and added to the campaign.
//!
//! The rows are staged under the hash of the body before the part is added, so an upload that ends
//! in between leaves rows that nothing reads, and a repeat goes on from there. A part that was added
//! is not read again: a repeat is told what the first caller was.
//!
//! # Guarantees
//! * A file that is refused as a whole, for example because it was cut off, leaves nothing:
//!   `a_file_that_was_cut_off_leaves_nothing`.
//! * The same part twice is one part, and the second caller gets the first answer:
//!   `the_same_part_twice_is_one_part_with_one_answer`.
//! * Another content under the number is refused and changes nothing:
//!   `another_content_under_a_number_is_refused`.
//! * Parts that are uploaded at once all count: `sixteen_parts_at_once_all_count`.
//! * An upload that is killed anywhere is finished by its repeat:
//!   `an_upload_killed_at_any_call_is_finished_by_its_repeat`.

use largesse_domain::campaign::{
    Action, Added, Campaign, Hash, Part, PartNumber, PartRefused, Refused, Row,
};
use largesse_domain::id::{CampaignId, UserId};
use largesse_input::{Format, Options, Reader};

use super::ActPorts;
use super::part::{AddPartError, add_part};
use crate::ports::{CampaignRows, Line, PartReport, PortError, Upload};

/// The most rows of a part, refused ones included. A body of 6 MB with as many has 25 bytes a row;
/// with the shortest rows it would have three million, and their texts more memory than a function.
pub const PART_ROWS_MAX: u64 = 250_000;

/// A request to upload a part.
#[derive(Clone, Copy, Debug)]
pub struct UploadPart<'a> {
    /// To which campaign.
    pub campaign: CampaignId,
    /// Who uploads.
    pub by: &'a UserId,
    /// Under which number.
    pub number: PartNumber,
    /// How the rows are written.
    pub format: Format,
    /// The file.
    pub body: &'a [u8],
}

/// What an upload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The part, as it counts.
    pub part: Part,
    /// What the reader found.
    pub report: PartReport,
    /// Whether the part was there before.
    pub replayed: bool,
}

/// Why a part is refused, in order of precedence. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is no such campaign.
    #[error("there is no such campaign")]
    NotFound,
    /// The campaign takes no parts: it is being sealed, or was.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The number has another content, or the campaign would become too large.
    #[error(transparent)]
    Part(#[from] PartRefused),
    /// The file is refused as a whole; the last problem says why.
    #[error("the file is refused as a whole")]
    File(Box<PartReport>),
    /// Others changed the campaign each time.
    #[error("others change the campaign")]
    Busy,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<AddPartError> for UploadError {
    fn from(error: AddPartError) -> Self {
        match error {
            AddPartError::NotFound => Self::NotFound,
            AddPartError::Refused(refused) => Self::Refused(refused),
            AddPartError::Part(refused) => Self::Part(refused),
            AddPartError::Busy => Self::Busy,
            AddPartError::Port(error) => Self::Port(error),
        }
    }
}

/// Uploads a part. Repeating it changes nothing and returns the first answer, also after the seal.
///
/// # Errors
/// [`UploadError`], the first in its order; but a part that does not fit is known only after its
/// file was read.
pub async fn upload<D>(deps: &D, request: UploadPart<'_>) -> Result<Uploaded, UploadError>
where
    D: ActPorts + CampaignRows,
{
    let UploadPart { campaign: id, by, number, format, body } = request;
    let mut campaign = deps.campaign(id).await?.ok_or(UploadError::NotFound)?.value;
    let upload = Upload { campaign: id, number, hash: Hash::of(body) };
    let earlier = deps.part(id, number).await?;
    if let Some(part) = earlier.filter(|part| part.hash == upload.hash) {
        return replay(deps, &upload, part).await;
    }
    campaign.life.apply(&Action::AddPart)?;
    if let Some(part) = earlier {
        return Err(PartRefused::OtherContent(part).into());
    }
    let File { rows, report, amount } = read(&campaign, format, body)?;
    let part =
        Part { number, hash: upload.hash, rows: report.accepted, refused: report.refused, amount };
    campaign.parts.add(None, &part)?;
    deps.stage_part(&upload, &rows, &report).await?;
    match add_part(deps, id, by, &part).await?.added {
        Added::New => Ok(Uploaded { part, report, replayed: false }),
        // Another upload of the same file came first.
        Added::Already(part) => replay(deps, &upload, part).await,
    }
}

/// The first answer. Where the part is, its report is: it was staged before.
async fn replay<D>(deps: &D, upload: &Upload, part: Part) -> Result<Uploaded, UploadError>
where
    D: CampaignRows,
{
    let report = deps.part_report(upload).await?;
    let report = report.ok_or(PortError::corrupt("upload: the part has no report"))?;
    Ok(Uploaded { part, report, replayed: true })
}

/// A file that was read.
struct File {
    rows: Vec<Line>,
    report: PartReport,
    /// What the rows sum to.
    amount: u64,
}

fn read(campaign: &Campaign, format: Format, body: &[u8]) -> Result<File, UploadError> {
    let options = Options {
        rows_max: PART_ROWS_MAX,
        default_amount: campaign.terms.default_amount,
        default_reason: Some(campaign.terms.default_reason.clone()),
    };
    let (mut rows, mut amount) = (Vec::new(), 0_u64);
    let mut take = |read: largesse_input::Row| {
        let largesse_input::Row { line, member, amount: of_row, reason } = read;
        amount = amount.saturating_add(of_row.get());
        rows.push((line, Row { member, amount: of_row, reason }));
    };
    let mut reader = Reader::new(format, options);
    reader.feed(body, &mut take);
    let summary = reader.finish(&mut take);
    let report = PartReport {
        rows: summary.rows,
        accepted: summary.accepted,
        refused: summary.refused,
        blank: summary.blank,
        problems: summary.problems,
        problem_count: summary.problem_count,
    };
    if summary.stopped {
        return Err(UploadError::File(Box::new(report)));
    }
    Ok(File { rows, report, amount })
}
