//! What each step does: one operation on the store, atomic as DynamoDB makes it, and what the
//! process makes of the reply. The domain decides; a planted bug replaces the one thing it is
//! about.

use largesse_domain::pool::{Ask, Draw, DrawRefused, Drawn, Pool, PoolStatus, Settlement};

use crate::bugs::Bug;
use crate::protocol::{Protocol, Request};
use crate::state::{
    Answer, Call, Head, PEOPLE, State, attempt, call_of, closes, decided_at, user, worth,
};

/// A member who has a share is told so; a repeat of the very same call gets its answer again.
fn answer_repeat(earlier: Drawn, call: usize) -> Answer {
    if earlier.attempt == attempt(call) {
        Answer::Won(earlier.part)
    } else {
        Answer::Already(earlier.part)
    }
}

/// The member is told. What the record bears out is true for ever, since no step changes a record.
/// "All is taken" is true for ever of whoever holds nothing, once nothing can come back; and "it is
/// over" of whoever has nothing by that very call. Such answers need not be remembered.
fn tell(state: &mut State, (member, call): Request, answer: Answer, keeps_notes: bool) {
    let is_sold_out =
        state.head.pool().supply.left() == 0 && (keeps_notes || state.head.notes == [None; PEOPLE]);
    let there = &mut state.members[member];
    let recorded = there.record.map(|record| record.part);
    let is_true = match answer {
        Answer::Won(part) | Answer::Already(part) => recorded == Some(part),
        Answer::Exhausted => recorded.is_none() && is_sold_out,
        Answer::Over => there.record.is_none_or(|record| record.attempt != attempt(call)),
    };
    there.calls[call] = if is_true { Call::Idle } else { Call::Told(answer) };
}

impl Protocol {
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bugs.contains(&bug)
    }

    /// What is read before a draw from a pool that is trimmed; and after one that was refused.
    pub(crate) fn read_record(&self, state: &mut State, request: Request) {
        let (member, call) = request;
        let there = &mut state.members[member];
        match (there.record, there.calls[call]) {
            // Of another request of the member: this one won nothing.
            (Some(earlier), Call::Late) if earlier.attempt != attempt(call) => {
                self.tell(state, request, Answer::Over);
            }
            (Some(earlier), _) => self.tell(state, request, answer_repeat(earlier, call)),
            (None, Call::Empty) => self.tell(state, request, Answer::Exhausted),
            (None, Call::Late) => self.tell(state, request, Answer::Over),
            (None, _) => there.calls[call] = Call::Unrecorded,
        }
    }

    /// The one conditional write. A process whose reply is lost stays where it is and asks again.
    ///
    /// Its time lies inside the window even when the window is over: the clock may be slow, or the
    /// time was taken long before the write arrives.
    pub(crate) fn draw(&self, state: &mut State, request: Request, is_reply_lost: bool) {
        let (member, call) = request;
        let attempt = attempt(call);
        let at = decided_at(attempt);
        let draw = Draw { member: user(member).clone(), at, attempt, ask: Ask::Next };
        let decided = state.head.change(|pool| self.draw_from(pool, &draw));
        if is_reply_lost {
            return;
        }
        let has_notes = state.head.notes != [None; PEOPLE];
        let is_now = &mut state.members[member].calls[call];
        match decided {
            Ok(won) if self.has(Bug::AnswersBeforeRecording) => {
                self.tell(state, request, Answer::Won(won.part));
            }
            Ok(won) => *is_now = Call::Drawn(won),
            Err(DrawRefused::Already(noted)) => {
                // A note that is never given back can be believed.
                let is_sure = self.keeps_notes || self.has(Bug::BelievesANote);
                if noted.attempt != attempt && is_sure {
                    self.tell(state, request, Answer::Already(noted.part));
                } else {
                    *is_now = Call::Drawn(noted);
                }
            }
            // What the domain says of a pool that is large enough to be trimmed: the draw is tried
            // again, when the notes are settled.
            Err(DrawRefused::Exhausted)
                if !self.keeps_notes && has_notes && !self.has(Bug::BelievesAnEmptyHead) => {}
            Err(DrawRefused::Exhausted) => {
                // A head that keeps its notes would have said "already" to whoever drew.
                if self.keeps_notes || self.has(Bug::LooksOnce) {
                    self.tell(state, request, Answer::Exhausted);
                } else {
                    *is_now = Call::Empty;
                }
            }
            Err(DrawRefused::Over) if self.has(Bug::IsLateForItsOwnShare) => {
                self.tell(state, request, Answer::Over);
            }
            Err(DrawRefused::Over) => *is_now = Call::Late,
            Err(
                refused @ (DrawRefused::Ahead
                | DrawRefused::Crowded
                | DrawRefused::Unsettled
                | DrawRefused::AboveRemaining { .. }),
            ) => unreachable!("{refused}: not from so small a pool of shares"),
        }
    }

    fn tell(&self, state: &mut State, request: Request, answer: Answer) {
        tell(state, request, answer, self.keeps_notes);
    }

    fn draw_from(&self, pool: &mut Pool, draw: &Draw) -> Result<Drawn, DrawRefused> {
        if self.has(Bug::DrawsTwice) {
            pool.pending.remove(&draw.member);
        }
        let status = pool.status;
        if self.has(Bug::DrawsFromAClosedPool) {
            pool.status = PoolStatus::Open;
        }
        let drawn = pool.draw(draw);
        pool.status = status;
        drawn
    }

    /// Settling, by the process that drew: puts the record, unless there is one.
    pub(crate) fn record(&self, state: &mut State, (member, call): Request, note: Drawn) {
        let there = &mut state.members[member];
        match (self.settlement(note, there.record), there.record) {
            (Settlement::Release, Some(earlier)) => there.calls[call] = Call::Raced(note, earlier),
            (Settlement::Record | Settlement::Trim | Settlement::Release, _) => {
                there.record = Some(note);
                self.tell(state, (member, call), answer_repeat(note, call));
            }
        }
    }

    /// The draw that must not count is given back, and the member told of the one that does.
    pub(crate) fn release(
        &self,
        state: &mut State,
        (member, call): Request,
        (note, earlier): (Drawn, Drawn),
    ) {
        self.give_back(&mut state.head, member, note);
        self.tell(state, (member, call), answer_repeat(earlier, call));
    }

    /// What the sweep, the refund and a helper of a crowded pool do about a note: one of their two
    /// writes. A note they read long ago is no other case: what they may do about it, the member's
    /// record decides, which never changes.
    pub(crate) fn settle_pending(&self, state: &mut State, member: usize) {
        let Some(note) = state.head.notes[member] else { return };
        let there = &mut state.members[member];
        match self.settlement(note, there.record) {
            Settlement::Record => there.record = Some(note),
            Settlement::Trim => {}
            Settlement::Release => self.give_back(&mut state.head, member, note),
        }
    }

    /// The note of a recorded draw is trimmed: by the sweep, by a helper, or riding on a draw.
    pub(crate) fn trim(&self, state: &mut State, member: usize) {
        if self.has(Bug::TrimsWhateverStands) || self.has(Bug::TrimsBeforeRecording) {
            state.head.notes[member] = None;
        } else if let Some(recorded) = state.members[member].record {
            state.head.change(|pool| pool.trim(user(member), recorded));
        }
    }

    /// pool-sweep, at once.
    pub(crate) fn sweep(&self, state: &mut State) {
        for member in 0..PEOPLE {
            self.settle_pending(state, member);
            if !self.keeps_notes {
                self.trim(state, member);
            }
        }
    }

    fn settlement(&self, note: Drawn, record: Option<Drawn>) -> Settlement {
        if self.has(Bug::RecordsOver) {
            return Settlement::Record;
        }
        Pool::settlement(note, record)
    }

    fn give_back(&self, head: &mut Head, member: usize, note: Drawn) {
        head.change(|pool| {
            if self.has(Bug::SettlesWithoutRelease) {
                pool.trim(user(member), note);
            } else if !pool.release(user(member), note) && self.has(Bug::ReleasesTwice) {
                pool.pending.insert(user(member).clone(), note);
                pool.release(user(member), note);
            }
        });
    }

    /// grant-pay, delivered once more: the money moves, unless it did under this id.
    pub(crate) fn pay(&self, state: &mut State, member: usize) {
        let there = &mut state.members[member];
        let Some(record) = there.record else { return };
        let under_this_id = &mut there.paid[call_of(record.attempt)];
        if *under_this_id == 0 || self.has(Bug::PaysUnderANewId) {
            *under_this_id += worth(record);
        }
    }

    /// The refund reads the spray, and goes on when it is due.
    pub(crate) fn refund_read(&self, state: &mut State, refund: usize) {
        let is_over = state.head.pool().window.is_over(state.now());
        if state.head.is_open && (is_over || self.has(Bug::RefundsEarly)) {
            state.refunds[refund] = Some(state.head);
        }
    }

    /// Whether a note that the refund read is still to be recorded: it waits for
    /// [`Protocol::settle_pending`].
    pub(crate) fn is_unsettled(&self, state: &State, read: &Head) -> bool {
        let is_unrecorded =
            |member: usize| read.notes[member].is_some() && state.members[member].record.is_none();
        !self.has(Bug::RefundsWithoutSettling) && (0..PEOPLE).any(is_unrecorded)
    }

    /// The refund's one transaction; or the refund starts over, since it gave something back, or
    /// since the head is not any more as it read it.
    pub(crate) fn refund_spray(&self, state: &mut State, refund: usize) {
        let Some(read) = state.refunds[refund].take() else { return };
        let is_released = |member: usize| {
            read.notes[member].is_some_and(|note| {
                Pool::settlement(note, state.members[member].record) == Settlement::Release
            })
        };
        let has_released = (0..PEOPLE).any(is_released);
        let holds = if self.has(Bug::RefundsUnconditionally) {
            state.head.is_open
        } else if self.has(Bug::RefundsTwice) {
            true
        } else {
            state.head.is_open && state.head.is_as(&read)
        };
        if holds && (!has_released || self.has(Bug::RefundsUnconditionally)) {
            self.close(state, &read);
        }
    }

    /// Closes the pool, clears its notes, gives the token free and credits the sender.
    fn close(&self, state: &mut State, read: &Head) {
        if self.has(Bug::RefundsTwice) {
            state.head.is_open = true;
        }
        let now = if self.has(Bug::RefundsEarly) { closes() } else { state.now() };
        let closed = state.head.change(|pool| {
            pool.pending.clear();
            pool.close(now)
        });
        if closed.is_ok() {
            state.returned += read.pool().supply.remainder();
            state.refunds_done += 1;
            state.is_token_refunded = true;
        }
    }
}
