//! What a person reads about a campaign that ended.

use largesse_app::ports::{CampaignEnded, Event};
use largesse_domain::id::CampaignId;
use reqwest::Url;

/// The longest memo or failure that is told whole, in characters.
const WORDS_LEN_MAX: usize = 500;

/// What stands before a campaign's id in a link: a page for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkBase(String);

impl LinkBase {
    /// Takes an `http` or `https` URL.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_link =
            matches!(url.scheme(), "http" | "https") && !text.contains(char::is_whitespace);
        is_link.then(|| Self(text.to_owned()))
    }

    fn link(&self, campaign: CampaignId) -> String {
        escaped(&format!("{}{campaign}", self.0))
    }
}

/// The text about an event; `None` when no campaign ended.
#[must_use]
pub fn text_of(event: &Event, link: Option<&LinkBase>) -> Option<String> {
    let (outcome, ended) = match event {
        Event::CampaignCompleted(ended) => ("완료", ended),
        Event::CampaignFailed(ended) => ("시스템 오류로 중단", ended),
        Event::CampaignStopped(ended) => ("중지", ended),
        Event::CampaignRolledBack(ended) => ("회수 완료", ended),
        Event::GrantPermanentlyFailed(_) | Event::ProductSoldOut(_) => return None,
    };
    let CampaignEnded { success, failed, amount_success, .. } = ended;
    let mut text = format!(
        "[대량 지급] {}: {outcome} — 성공 {}건 / 실패 {}건, 합계 {}원",
        escaped(ended.name.as_str()),
        grouped(*success),
        grouped(*failed),
        grouped(*amount_success),
    );
    for (what, words) in [("사유", &ended.memo), ("원인", &ended.failure)] {
        if let Some(words) = words {
            text.push_str(&format!(", {what}: {}", escaped(&shortened(words))));
        }
    }
    if let Some(ms) = ended.duration_ms {
        text.push_str(&format!(", 소요 {}", duration(ms)));
    }
    if let Some(link) = link {
        text.push_str(&format!(", {}", link.link(ended.campaign)));
    }
    Some(text)
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in (1..=digits.len()).rev().zip(digits.chars()) {
        text.push(digit);
        if place > 1 && place % 3 == 1 {
            text.push(',');
        }
    }
    text
}

/// Hours, minutes and seconds, from the first that is not zero.
fn duration(ms: u64) -> String {
    let all = ms / 1_000;
    let (hours, minutes, seconds) = (all / 3_600, all / 60 % 60, all % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}초"),
        (0, _) => format!("{minutes}분 {seconds}초"),
        _ => format!("{}시간 {minutes}분 {seconds}초", grouped(hours)),
    }
}

fn shortened(words: &str) -> String {
    let mut characters = words.chars();
    let mut kept: String = characters.by_ref().take(WORDS_LEN_MAX).collect();
    if characters.next().is_some() {
        kept.push('…');
    }
    kept
}

/// Text that Slack shows as it is: its three control characters are escaped (Slack, "Formatting text
/// for app surfaces"), so that no name can mention a channel; line breaks and the like are blanks.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::campaign::CampaignName;
    use largesse_domain::time::Timestamp;

    fn ended() -> CampaignEnded {
        CampaignEnded {
            campaign: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            name: CampaignName::new("R&D <!channel>").unwrap(),
            at: Timestamp::from_ms(1_769_850_000_000),
            rows: 1_000_000,
            success: 999_001,
            failed: 999,
            amount_success: 1_234_567_000,
            amount_failed: 999_000,
            duration_ms: Some(3_723_999),
            memo: None,
            failure: None,
        }
    }

    #[test]
    fn each_end_is_told_with_its_counts_time_and_link() {
        let link = LinkBase::read("https://pay.example/c?a=1&id=").unwrap();
        let told = |event: Event| text_of(&event, Some(&link)).unwrap();
        let counts = "성공 999,001건 / 실패 999건, 합계 1,234,567,000원";
        let rest = "소요 1시간 2분 3초, \
                    https://pay.example/c?a=1&amp;id=01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let head = "[대량 지급] R&amp;D &lt;!channel&gt;";
        assert_eq!(
            told(Event::CampaignCompleted(ended())),
            format!("{head}: 완료 — {counts}, {rest}")
        );
        assert_eq!(
            told(Event::CampaignRolledBack(ended())),
            format!("{head}: 회수 완료 — {counts}, {rest}")
        );
        let memo = Some("<@U1>\n파일 & 금액".to_owned());
        assert_eq!(
            told(Event::CampaignStopped(CampaignEnded { memo, ..ended() })),
            format!("{head}: 중지 — {counts}, 사유: &lt;@U1&gt; 파일 &amp; 금액, {rest}")
        );
        let failure = Some("가".repeat(WORDS_LEN_MAX + 1));
        let told = told(Event::CampaignFailed(CampaignEnded { failure, ..ended() }));
        let shortened = "가".repeat(WORDS_LEN_MAX);
        assert_eq!(
            told,
            format!("{head}: 시스템 오류로 중단 — {counts}, 원인: {shortened}…, {rest}")
        );
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let never_started = CampaignEnded { duration_ms: None, ..ended() };
        let told = text_of(&Event::CampaignStopped(never_started), None).unwrap();
        assert!(told.ends_with("합계 1,234,567,000원"), "{told}");
    }

    #[test]
    fn numbers_are_grouped_and_durations_begin_with_the_first_part_that_is_not_zero() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (100_000, "100,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
        for (ms, text) in [
            (0, "0초"),
            (59_999, "59초"),
            (60_000, "1분 0초"),
            (3_600_000, "1시간 0분 0초"),
            (3_600_000_000, "1,000시간 0분 0초"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn a_link_is_a_url_for_people() {
        for text in ["ftp://pay.example", "pay.example", "= ", "https://pay.example/a b"] {
            assert_eq!(LinkBase::read(text), None, "{text}");
        }
    }
}
