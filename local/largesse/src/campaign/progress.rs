//! How far a long task has come, how fast it goes and how long the rest takes: a bar on a terminal,
//! a line now and then elsewhere. It goes where errors go, so that the output stays clean.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use largesse_app::ports::Clock;
use largesse_aws::production::SystemClock;
use largesse_domain::campaign::{Snapshot, eta_s, rows_per_1000_s};

/// The time between two lines where there is no terminal.
const LINE_EVERY_MS: u64 = 5_000;
/// A rate is taken over so many snapshots, and they are at least so far apart: over 10 s.
const SNAPSHOTS: usize = 10;
const SNAPSHOT_EVERY_MS: u64 = 1_000;

/// A task of known length.
pub struct Progress {
    what: &'static str,
    /// What is counted, in the plural.
    unit: &'static str,
    len: u64,
    bar: Option<ProgressBar>,
    course: Mutex<Course>,
}

/// How it went so far.
struct Course {
    done: u64,
    /// The latest snapshots, the oldest first.
    seen: VecDeque<Snapshot>,
    line_at_ms: u64,
}

impl Progress {
    /// Begins. `what` is done to so many of `unit`.
    #[must_use]
    pub fn begin(what: &'static str, unit: &'static str, len: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(what, unit, len));
        let now = SystemClock.now();
        let seen = VecDeque::from([Snapshot { at: now, done: 0 }]);
        let course = Mutex::new(Course { done: 0, seen, line_at_ms: now.ms_unsigned() });
        Self { what, unit, len, bar, course }
    }

    /// So many more are done.
    pub fn advance(&self, more: u64) {
        self.change("", |course| course.done = course.done.saturating_add(more));
    }

    /// So many are done in all; `beside` is shown with them.
    pub fn set(&self, done: u64, beside: &str) {
        self.change(beside, |course| course.done = done);
    }

    /// So many were done before, and took no time.
    pub fn skip(&self, more: u64) {
        self.change("", |course| {
            course.done = course.done.saturating_add(more);
            for snapshot in &mut course.seen {
                snapshot.done = snapshot.done.saturating_add(more);
            }
        });
    }

    fn change(&self, beside: &str, change: impl FnOnce(&mut Course)) {
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut course);
        let now = Snapshot { at: SystemClock.now(), done: course.done };
        let pace = course.pace(now, self.len);
        let beside = if beside.is_empty() { pace } else { format!("{beside}, {pace}") };
        if let Some(bar) = &self.bar {
            bar.set_position(now.done);
            bar.set_message(beside);
        } else if now.at.ms_unsigned() >= course.line_at_ms.saturating_add(LINE_EVERY_MS) {
            course.line_at_ms = now.at.ms_unsigned();
            let Self { what, unit, len, .. } = self;
            line(&format!("{what}: {} of {len} {unit}, {beside}", now.done));
        }
    }

    /// Ends, and removes a bar.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Course {
    /// The rate over the latest snapshots, and the time of the rest at this rate.
    fn pace(&mut self, now: Snapshot, len: u64) -> String {
        let last = self.seen.back().map_or(0, |last| last.at.ms_unsigned());
        if now.at.ms_unsigned() >= last.saturating_add(SNAPSHOT_EVERY_MS) {
            if self.seen.len() >= SNAPSHOTS {
                self.seen.pop_front();
            }
            self.seen.push_back(now);
        }
        let first = self.seen.front().copied().unwrap_or(now);
        let rate = rows_per_1000_s(first, now).unwrap_or(0).div_euclid(1_000);
        let left = eta_s(first, now, len.saturating_sub(now.done)).map(duration);
        left.map_or_else(|| format!("{rate}/s"), |left| format!("{rate}/s, {left} left"))
    }
}

#[expect(clippy::print_stderr, reason = "this is a command's progress")]
fn line(text: &str) {
    eprintln!("{text}");
}

fn bar(what: &str, unit: &str, len: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::stderr());
    let template = format!("{what:>9} [{{wide_bar}}] {{human_pos}}/{{human_len}} {unit}  {{msg}}");
    let style = ProgressStyle::with_template(&template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("█▉ "));
    bar
}

/// A time in words: `45 s`, `16 min 40 s`, `2 h 5 min`.
#[must_use]
pub fn duration(s: u64) -> String {
    let (h, min, rest) = (s / 3_600, s / 60 % 60, s % 60);
    match (h, min) {
        (0, 0) => format!("{rest} s"),
        (0, _) if rest == 0 => format!("{min} min"),
        (0, _) => format!("{min} min {rest} s"),
        (_, 0) => format!("{h} h"),
        _ => format!("{h} h {min} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::time::Timestamp;

    fn at(ms: i64, done: u64) -> Snapshot {
        Snapshot { at: Timestamp::from_ms(ms), done }
    }

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds() {
        let mut course = Course { done: 0, seen: VecDeque::from([at(0, 0)]), line_at_ms: 0 };
        assert_eq!(course.pace(at(500, 0), 100_000), "0/s");
        for s in 1..20_i64 {
            let done = u64::try_from(s).unwrap() * 100;
            course.pace(at(s * 1_000, done), 100_000);
        }
        // From second 19 on it goes at 1,000 a second.
        for s in 20..30_i64 {
            let done = 1_900 + u64::try_from(s - 19).unwrap() * 1_000;
            course.pace(at(s * 1_000, done), 100_000);
        }
        assert_eq!(course.pace(at(29_500, 12_400), 100_000), "1000/s, 1 min 28 s left");
        assert_eq!(course.seen.len(), SNAPSHOTS);
    }

    #[test]
    fn what_was_done_before_makes_no_rate() {
        let progress = Progress::begin("uploading", "rows", 10);
        progress.skip(9);
        let course = progress.course.lock().unwrap();
        assert_eq!((course.done, course.seen.front().unwrap().done), (9, 9));
    }

    #[test]
    fn a_time_is_told_in_two_units_at_most() {
        let texts = [0, 59, 60, 1_000, 3_600, 7_500].map(duration);
        assert_eq!(texts, ["0 s", "59 s", "1 min", "16 min 40 s", "1 h", "2 h 5 min"]);
    }
}
