//! What docs/campaign-input.md shows is what happens.

use largesse_input::Format;

use crate::{lenient, read};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/campaign-input.md");
    std::fs::read_to_string(path).unwrap()
}

/// The indented block below a line.
fn sample(page: &str, above: &str) -> String {
    page.lines()
        .skip_while(|line| *line != above)
        .skip(2)
        .map_while(|line| line.strip_prefix("    "))
        .flat_map(|line| [line, "\n"])
        .collect()
}

#[test]
fn the_samples_of_the_page_are_accepted_and_say_the_same() {
    let page = page();
    let values = |format, above| {
        let (rows, summary) = read(format, &crate::strict(), sample(&page, above).as_bytes());
        assert_eq!((rows.len(), summary.problem_count), (2, 0), "{above}");
        rows.into_iter().map(|row| (row.member, row.amount, row.reason)).collect::<Vec<_>>()
    };
    assert_eq!(values(Format::Csv, "CSV:"), values(Format::JsonLines, "JSON Lines:"));
}

#[test]
fn the_examples_of_the_page_are_refused_as_it_says() {
    let (page, mut examples) = (page(), 0);
    let table = page.lines().skip_while(|line| *line != "| example | code |").skip(2);
    for line in table.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('`').collect();
        let (example, code) = (cells[1], cells[3]);
        let (format, header) = match example.starts_with('{') {
            true => (Format::JsonLines, ""),
            false => (Format::Csv, "member_id,amount,reason\n"),
        };
        let (_, summary) = read(format, &lenient(), format!("{header}{example}\n").as_bytes());
        let codes: Vec<&str> = summary.problems.iter().map(|p| p.code.as_str()).collect();
        assert_eq!(codes, [code], "{example}");
        examples += 1;
    }
    assert!(examples > 5, "{examples} examples");
}
