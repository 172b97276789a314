//! A file of JSON Lines: one object on each line.
//!
//! Each value stays text until its field is known, so an amount passes through no float and a deeply
//! nested value is refused without being built.

use std::fmt;
use std::ops::ControlFlow;

use largesse_domain::id::UserId;
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ROW_LEN_MAX;
use crate::code::Code;
use crate::columns::Column;
use crate::problem::Problem;
use crate::row::{Options, Row, is_blank};
use crate::summary::Summary;
use crate::{amount, member, reason};

/// Reads the characters of a JSON Lines file. A line ends as in CSV: no character of JSON is a raw
/// CR or LF inside a string.
#[derive(Debug)]
pub(crate) struct Lines {
    text: String,
    line: u64,
    after_cr: bool,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self { text: String::new(), line: 1, after_cr: false }
    }

    /// The physical line of the next character.
    pub(crate) const fn line(&self) -> u64 {
        self.line
    }

    /// Takes a character; breaks when the file is refused.
    pub(crate) fn push(
        &mut self,
        c: char,
        options: &Options,
        summary: &mut Summary,
        sink: &mut impl FnMut(Row),
    ) -> ControlFlow<()> {
        let after_cr = std::mem::replace(&mut self.after_cr, c == '\r');
        if !matches!(c, '\r' | '\n') {
            if self.text.len().saturating_add(c.len_utf8()) > ROW_LEN_MAX {
                summary.stop(Problem::at(self.line, Code::RowTooLong));
                return ControlFlow::Break(());
            }
            self.text.push(c);
        } else if c == '\r' || !after_cr {
            self.row(options, summary, sink);
            self.line = self.line.saturating_add(1);
            self.text.clear();
        }
        if summary.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Takes the end of the file.
    pub(crate) fn finish(
        &mut self,
        options: &Options,
        summary: &mut Summary,
        sink: &mut impl FnMut(Row),
    ) {
        if !self.text.is_empty() {
            self.row(options, summary, sink);
        }
    }

    fn row(&mut self, options: &Options, summary: &mut Summary, sink: &mut impl FnMut(Row)) {
        if is_blank(&self.text) {
            return summary.skip_blank();
        }
        if summary.rows >= options.rows_max {
            return summary.stop(Problem::at(self.line, Code::RowsTooMany));
        }
        match row(&self.text, self.line, options) {
            Ok(row) => {
                summary.accept(&row);
                sink(row);
            }
            Err(problems) => summary.refuse(problems),
        }
    }

    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.text.capacity()
    }
}

/// Reads a line that is not blank.
///
/// # Errors
/// The first problem of the object, or else its bad fields.
fn row(text: &str, line: u64, options: &Options) -> Result<Row, Vec<Problem>> {
    let object: Object<'_> = serde_json::from_str(text).map_err(|_| {
        let is_object = text.trim_start_matches([' ', '\t']).starts_with('{');
        let code = if is_object { Code::JsonMalformed } else { Code::JsonNotObject };
        vec![Problem::at(line, code).value(text)]
    })?;
    if let Some((code, name)) = object.refused {
        return Err(vec![Problem::at(line, code).column(&name)]);
    }
    let member = member_of(object.member);
    let amount = amount_of(object.amount, options);
    let reason = reason_of(object.reason, options);
    match (member, amount, reason) {
        (Ok(member), Ok(amount), Ok(reason)) => Ok(Row { line, member, amount, reason }),
        (member, amount, reason) => Err([
            (member.err(), Column::Member, object.member),
            (amount.err(), Column::Amount, object.amount),
            (reason.err(), Column::Reason, object.reason),
        ]
        .into_iter()
        .filter_map(|(code, column, raw)| {
            let problem = Problem::at(line, code?).column(column.name());
            Some(problem.value(raw.map_or("", RawValue::get)))
        })
        .collect()),
    }
}

fn member_of(raw: Option<&RawValue>) -> Result<UserId, Code> {
    let Some(raw) = raw else { return Err(Code::MemberEmpty) };
    match (string_of(raw)?, raw.get()) {
        (Some(text), _) => member::read(&text),
        (None, "null") => Err(Code::MemberPlaceholder),
        (None, _) => Err(Code::MemberNotText),
    }
}

fn amount_of(raw: Option<&RawValue>, options: &Options) -> Result<Amount, Code> {
    let Some(raw) = raw else { return options.default_amount.ok_or(Code::AmountEmpty) };
    let is_number = raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
    if is_number || raw.get() == "null" {
        amount::read(raw.get(), None)
    } else {
        Err(Code::AmountNotNumber)
    }
}

fn reason_of(raw: Option<&RawValue>, options: &Options) -> Result<Memo, Code> {
    let text = match raw {
        Some(raw) => string_of(raw)?.ok_or(Code::ReasonNotText)?,
        None => String::new(),
    };
    reason::read(&text, options.reason())
}

/// The text of a JSON string; `None` for another value.
///
/// # Errors
/// A string with a lone surrogate is no text.
fn string_of(raw: &RawValue) -> Result<Option<String>, Code> {
    if !raw.get().starts_with('"') {
        return Ok(None);
    }
    serde_json::from_str(raw.get()).map(Some).map_err(|_| Code::JsonMalformed)
}

/// The fields of a line as they are written, and the first name that must not be there.
#[derive(Default)]
struct Object<'a> {
    member: Option<&'a RawValue>,
    amount: Option<&'a RawValue>,
    reason: Option<&'a RawValue>,
    refused: Option<(Code, String)>,
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = Object::default();
        while let Some((name, raw)) = members.next_entry::<String, &RawValue>()? {
            let field = match name.as_str() {
                "member_id" => &mut object.member,
                "amount" => &mut object.amount,
                "reason" => &mut object.reason,
                _ => {
                    object.refused.get_or_insert((Code::JsonFieldUnknown, name));
                    continue;
                }
            };
            if field.replace(raw).is_some() {
                object.refused.get_or_insert((Code::JsonFieldDuplicate, name));
            }
        }
        Ok(object)
    }
}
