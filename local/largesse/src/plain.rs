//! Aligned columns for a terminal, a pipe or a log: no frame, no colour, no wrapping.

use std::io::{ErrorKind, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Lays out rows under a header, each line indented by two spaces. The first `left` columns stand to
/// the left, the others, which are figures, to the right.
#[must_use]
pub fn columns(header: &[&str], rows: &[Vec<String>], left: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    table.add_rows(rows.iter().cloned());
    for (position, column) in table.column_iter_mut().enumerate() {
        let is_left = position < left;
        column.set_cell_alignment(if is_left { CellAlignment::Left } else { CellAlignment::Right });
        column.set_padding((if position == 0 { 2 } else { 1 }, 1));
    }
    table.trim_fmt()
}

/// A count with its noun: `no messages`, `1 message`, `2 messages`.
#[must_use]
pub fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

/// Prints a line on standard output. A reader that has gone is no error.
///
/// # Errors
/// When the text cannot be written, as to a full disk.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Lays out names and values, a line each.
#[must_use]
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = pairs.iter().map(|(name, value)| format!("{name:<width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_without_a_frame() {
        let row = |name: &str, figure: &str| vec![name.to_owned(), figure.to_owned()];
        let text = columns(&["", "calls"], &[row("claim", "1"), row("draw", "10.25")], 1);
        assert_eq!(text, "         calls\n  claim      1\n  draw   10.25");
    }
}
