//! The rules of a life, action by action.

use super::{Action, Approval, Life, Queued, Refused, Sealed, State, Taken};
use crate::campaign::counts::Counts;
use crate::campaign::{Approvals, Generation, Hash, Sum};
use crate::id::UserId;

impl Life {
    /// A campaign that was just made.
    #[must_use]
    pub const fn new(creator: UserId, approvals: Approvals) -> Self {
        Self {
            creator,
            approvals,
            state: State::Draft,
            seal_attempt: 0,
            sealed: None,
            approval: None,
            queued: None,
            fence: 0,
            generation: Generation::FIRST,
        }
    }

    /// Whether a worker of this fence may send payments.
    #[must_use]
    pub fn may_pay(&self, fence: u64) -> bool {
        self.state == State::Running && self.fence == fence
    }

    /// Whether a worker of this fence may take payments back.
    #[must_use]
    pub fn may_reverse(&self, fence: u64) -> bool {
        self.state == State::RollingBack && self.fence == fence
    }

    /// Takes an action.
    ///
    /// # Errors
    /// [`Refused`], the first in its order; then nothing has changed.
    pub fn apply(&mut self, action: &Action) -> Result<Taken, Refused> {
        match action {
            Action::AddPart => self.in_state(self.state == State::Draft).map(|()| Taken::Now),
            Action::Seal => self.seal(),
            Action::Sealed { attempt, sealed } => self.seal_done(*attempt, *sealed),
            Action::SealFailed { attempt } => self.seal_failed(*attempt),
            Action::Approve { by, hash } => self.approve(by, *hash),
            Action::Start { hash, forced } => self.start(*hash, *forced),
            Action::Run { fence } => self.run(*fence),
            Action::Stop => self.stop(),
            Action::End { fence, counts } => self.end(*fence, counts),
            Action::Damaged { fence } => self.damaged(*fence),
            Action::Fail { fence } => self.fail(*fence),
            Action::Retry { counts } => self.retry(counts),
            Action::Rollback { fence } => self.rollback(*fence),
            Action::RolledBack { fence, counts } => self.rolled_back(*fence, counts),
        }
    }

    const fn in_state(&self, holds: bool) -> Result<(), Refused> {
        if holds { Ok(()) } else { Err(Refused::State(self.state)) }
    }

    const fn under_fence(&self, holds: bool) -> Result<(), Refused> {
        if holds { Ok(()) } else { Err(Refused::Fence { current: self.fence }) }
    }

    const fn of_attempt(&self, attempt: u32) -> Result<(), Refused> {
        let current = self.seal_attempt;
        if attempt == current { Ok(()) } else { Err(Refused::SealAttempt { current }) }
    }

    /// What was sealed, if it has this hash.
    fn content(&self, hash: Hash) -> Result<(), Refused> {
        match self.sealed {
            Some(sealed) if sealed.hash == hash => Ok(()),
            Some(sealed) => Err(Refused::OtherContent { sealed: sealed.hash }),
            None => Err(Refused::State(self.state)),
        }
    }

    /// The counters must have exactly the rows and the money that were sealed.
    fn whole(&self, counts: &Counts) -> Result<(), Refused> {
        let sealed = self.sealed.map(|sealed| sealed.totals);
        let sealed = sealed.map(|totals| Sum { rows: totals.rows, amount: totals.amount });
        if sealed.is_some() && counts.tally.total() == sealed {
            Ok(())
        } else {
            Err(Refused::CountsDiffer)
        }
    }

    fn seal(&mut self) -> Result<Taken, Refused> {
        // Sealed counts too: a small seal is done before a caller that lost the answer repeats it.
        if matches!(self.state, State::Sealing | State::Waiting) {
            return Ok(Taken::Already);
        }
        self.in_state(self.state == State::Draft)?;
        self.seal_attempt = self.seal_attempt.checked_add(1).ok_or(Refused::TooOften)?;
        self.state = State::Sealing;
        Ok(Taken::Now)
    }

    fn seal_done(&mut self, attempt: u32, sealed: Sealed) -> Result<Taken, Refused> {
        // The same seal, said again after its reply was lost, in whatever state that arrives.
        if self.sealed == Some(sealed) && self.seal_attempt == attempt {
            return Ok(Taken::Already);
        }
        self.in_state(self.state == State::Sealing)?;
        self.of_attempt(attempt)?;
        (self.state, self.sealed) = (State::Waiting, Some(sealed));
        Ok(Taken::Now)
    }

    fn seal_failed(&mut self, attempt: u32) -> Result<Taken, Refused> {
        if self.state == State::Draft && attempt > 0 && self.seal_attempt == attempt {
            return Ok(Taken::Already);
        }
        self.in_state(self.state == State::Sealing)?;
        self.of_attempt(attempt)?;
        self.state = State::Draft;
        Ok(Taken::Now)
    }

    fn approve(&mut self, by: &UserId, hash: Hash) -> Result<Taken, Refused> {
        self.in_state(self.state == State::Waiting)?;
        self.content(hash)?;
        if self.approvals == Approvals::Zero {
            return Err(Refused::ApprovalNotNeeded);
        }
        if *by == self.creator {
            return Err(Refused::CreatorApproves);
        }
        if self.approval.is_some() {
            return Ok(Taken::Already);
        }
        self.approval = Some(Approval { by: by.clone() });
        Ok(Taken::Now)
    }

    fn start(&mut self, hash: Hash, forced: bool) -> Result<Taken, Refused> {
        // A completed campaign has nothing left to start: failed rows are retried.
        let may_start = [State::Waiting, State::Failed, State::Stopped].contains(&self.state);
        let runs = self.state == State::Running;
        self.in_state(may_start || runs)?;
        self.content(hash)?;
        // A campaign runs as soon as it is queued, so a start that is repeated finds it running.
        if runs {
            return Ok(Taken::Already);
        }
        if self.approvals == Approvals::One && self.approval.is_none() {
            return Err(Refused::ApprovalMissing);
        }
        // A queued start may still be forced; one that was forced stays so.
        if self.queued.is_some_and(|queued| queued.forced || !forced) {
            return Ok(Taken::Already);
        }
        (self.state, self.queued) = (State::Waiting, Some(Queued { forced }));
        Ok(Taken::Now)
    }

    fn run(&mut self, fence: u64) -> Result<Taken, Refused> {
        if self.may_pay(fence) {
            return Ok(Taken::Already);
        }
        self.in_state(self.queued.is_some())?;
        self.under_fence(fence > self.fence)?;
        (self.state, self.queued, self.fence) = (State::Running, None, fence);
        Ok(Taken::Now)
    }

    fn stop(&mut self) -> Result<Taken, Refused> {
        if self.state == State::Stopped {
            return Ok(Taken::Already);
        }
        self.in_state(self.state == State::Running || self.queued.is_some())?;
        (self.state, self.queued) = (State::Stopped, None);
        Ok(Taken::Now)
    }

    fn end(&mut self, fence: u64, counts: &Counts) -> Result<Taken, Refused> {
        if self.state == State::Completed && self.fence == fence {
            return Ok(Taken::Already);
        }
        self.in_state(self.state == State::Running)?;
        self.under_fence(self.fence == fence)?;
        none_open(counts.tally.open())?;
        self.whole(counts)?;
        self.state = State::Completed;
        Ok(Taken::Now)
    }

    /// The damage stands in the campaign and in its audit; its life goes on.
    fn damaged(&self, fence: u64) -> Result<Taken, Refused> {
        self.in_state(self.state == State::Running)?;
        self.under_fence(self.fence == fence)?;
        Ok(Taken::Now)
    }

    fn fail(&mut self, fence: u64) -> Result<Taken, Refused> {
        if self.state == State::Failed && self.fence == fence {
            return Ok(Taken::Already);
        }
        self.in_state(self.state == State::Running)?;
        self.under_fence(self.fence == fence)?;
        self.state = State::Failed;
        Ok(Taken::Now)
    }

    fn retry(&mut self, counts: &Counts) -> Result<Taken, Refused> {
        self.in_state(self.state.has_ended())?;
        // Rows that are still open belong to this generation: a start ends them first.
        none_open(counts.tally.open())?;
        self.whole(counts)?;
        if counts.tally.failed.rows == 0 {
            return Err(Refused::NothingFailed);
        }
        self.generation = self.generation.next().ok_or(Refused::TooOften)?;
        (self.state, self.queued) = (State::Waiting, Some(Queued { forced: false }));
        Ok(Taken::Now)
    }

    fn rollback(&mut self, fence: u64) -> Result<Taken, Refused> {
        if self.may_reverse(fence) {
            return Ok(Taken::Already);
        }
        self.in_state(self.state.has_ended())?;
        self.under_fence(fence > self.fence)?;
        (self.state, self.fence) = (State::RollingBack, fence);
        Ok(Taken::Now)
    }

    fn rolled_back(&mut self, fence: u64, counts: &Counts) -> Result<Taken, Refused> {
        if self.state == State::RolledBack && self.fence == fence {
            return Ok(Taken::Already);
        }
        self.in_state(self.state == State::RollingBack)?;
        self.under_fence(self.fence == fence)?;
        // A row of unknown outcome may be paid: it is looked up, and then taken back. A pending one
        // is never sent.
        none_open(counts.tally.success.rows.saturating_add(counts.tally.unknown.rows))?;
        self.whole(counts)?;
        self.state = State::RolledBack;
        Ok(Taken::Now)
    }
}

const fn none_open(rows: u64) -> Result<(), Refused> {
    if rows == 0 { Ok(()) } else { Err(Refused::RowsOpen { rows }) }
}
