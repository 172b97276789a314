//! Tables of figures, with the marks beside them, for people and for programs.

use serde_json::{Map, Value, json};

use crate::plain;

/// The mark that a figure is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// This much or less.
    AtMost(f64),
    /// Less than this.
    Below(f64),
    /// This much or more.
    AtLeast(f64),
}

impl Mark {
    /// Whether a figure reaches it.
    #[must_use]
    pub fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(limit) => figure <= limit,
            Self::Below(limit) => figure < limit,
            Self::AtLeast(limit) => figure >= limit,
        }
    }

    fn to_text(self, figure: f64) -> String {
        let (sign, limit) = match self {
            Self::AtMost(limit) => ('≤', limit),
            Self::Below(limit) => ('<', limit),
            Self::AtLeast(limit) => ('≥', limit),
        };
        let verdict = if self.is_met(figure) { "met" } else { "MISSED" };
        format!("{sign} {} {verdict}", number(limit))
    }

    fn to_json(self, figure: f64) -> Value {
        let (name, limit) = match self {
            Self::AtMost(limit) => ("at_most", limit),
            Self::Below(limit) => ("below", limit),
            Self::AtLeast(limit) => ("at_least", limit),
        };
        json!({ name: limit, "met": self.is_met(figure) })
    }
}

/// A figure, a text or nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A figure, and its mark if it has one.
    Figure(f64, Option<Mark>),
    /// A text.
    Text(String),
    /// It does not apply.
    Empty,
}

impl Cell {
    /// A figure without a mark.
    #[must_use]
    pub const fn of(figure: f64) -> Self {
        Self::Figure(figure, None)
    }

    fn to_text(&self) -> String {
        match self {
            Self::Figure(figure, None) => number(*figure),
            Self::Figure(figure, Some(mark)) => {
                format!("{} ({})", number(*figure), mark.to_text(*figure))
            }
            Self::Text(text) => text.clone(),
            Self::Empty => "–".to_owned(),
        }
    }
}

/// One table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Its name, one word, for programs.
    pub name: &'static str,
    /// Its title, for people.
    pub title: String,
    /// The columns after the first, which names the row: `snake_case`, units last.
    pub columns: Vec<&'static str>,
    /// The rows: a name, and a cell for each column.
    pub rows: Vec<(String, Vec<Cell>)>,
    /// How it was measured.
    pub notes: Vec<String>,
}

impl Table {
    /// Aligned, for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let heads: Vec<String> = self.columns.iter().map(|name| name.replace('_', " ")).collect();
        let header: Vec<&str> =
            std::iter::once("").chain(heads.iter().map(String::as_str)).collect();
        let row = |(name, cells): &(String, Vec<Cell>)| {
            std::iter::once(name.clone()).chain(cells.iter().map(Cell::to_text)).collect()
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(row).collect();
        let mut lines = vec![format!("\n{}", self.title)];
        lines.push(plain::columns(&header, &rows, 1));
        lines.extend(self.notes.iter().map(|note| format!("  · {note}")));
        lines.join("\n")
    }

    fn to_json(&self) -> Value {
        let row = |(name, cells): &(String, Vec<Cell>)| {
            let mut row = Map::from_iter([("name".to_owned(), json!(name))]);
            let mut marks = Map::new();
            for (column, cell) in self.columns.iter().zip(cells) {
                let value = match cell {
                    Cell::Figure(figure, mark) => {
                        if let Some(mark) = mark {
                            marks.insert((*column).to_owned(), mark.to_json(*figure));
                        }
                        json!(figure)
                    }
                    Cell::Text(text) => json!(text),
                    Cell::Empty => Value::Null,
                };
                row.insert((*column).to_owned(), value);
            }
            row.insert("marks".to_owned(), Value::Object(marks));
            Value::Object(row)
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        json!({ "table": self.name, "title": self.title, "rows": rows, "notes": self.notes })
    }

    fn marks(&self) -> impl Iterator<Item = (String, bool)> {
        self.rows.iter().flat_map(move |(name, cells)| {
            self.columns.iter().zip(cells).filter_map(move |(column, cell)| match cell {
                Cell::Figure(figure, Some(mark)) => {
                    let column = column.replace('_', " ");
                    Some((format!("{}: {name}, {column}", self.name), mark.is_met(*figure)))
                }
                Cell::Figure(_, None) | Cell::Text(_) | Cell::Empty => None,
            })
        })
    }
}

/// All tables, for programs.
#[must_use]
pub fn to_json(tables: &[Table]) -> Value {
    let missed: Vec<String> = missed(tables);
    json!({ "tables": tables.iter().map(Table::to_json).collect::<Vec<_>>(), "missed": missed })
}

/// How many marks are met, and which are not; nothing when there are none.
#[must_use]
pub fn verdict(tables: &[Table]) -> String {
    let marks = tables.iter().flat_map(Table::marks).count();
    if marks == 0 {
        return String::new();
    }
    let missed = missed(tables);
    let mut lines = vec![format!("\n{} of {marks} marks met", marks.saturating_sub(missed.len()))];
    lines.extend(missed.iter().map(|one| format!("  MISSED {one}")));
    lines.join("\n")
}

fn missed(tables: &[Table]) -> Vec<String> {
    let marks = tables.iter().flat_map(Table::marks);
    marks.filter(|(_, is_met)| !is_met).map(|(name, _)| name).collect()
}

/// Whole numbers without a fraction, others as short as they can be read.
fn number(figure: f64) -> String {
    if figure.fract() == 0.0 {
        format!("{figure:.0}")
    } else if figure.abs() < 0.01 {
        format!("{figure:.4}")
    } else {
        format!("{figure:.2}")
    }
}

/// A count as a figure.
#[must_use]
pub fn figure(count: u64) -> f64 {
    // What is counted here stays far below 2³²; more would only be printed as that.
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
