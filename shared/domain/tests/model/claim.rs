//! A claim: the request walks the member's buckets. Each function is one operation on the store,
//! atomic as DynamoDB makes it, and what the process makes of the reply.

use largesse_domain::pool::{Bucket, BucketStatus, Draw, DrawRefused, Entry, Nonce};

use crate::bugs::Bug;
use crate::pool::{self, Moment, narrow};
use crate::protocol::{Protocol, Request};
use crate::state::{Answer, Call, ENDED, MEMBERS, Part, State, Told, View};

impl Protocol {
    /// The request writes to the next bucket of its walk.
    ///
    /// When the reply is lost, the SDK repeats the write with the same time and nonce. The repeat
    /// of a write that changed nothing is like a first write, so the state changes only when the
    /// write took effect.
    pub(crate) fn draw(&self, state: &mut State, request: Request, at: Moment, is_lost: bool) {
        let (member, place) = request;
        let (step, is_repeat) = match state.members[member].calls[place] {
            Call::Idle => (0, false),
            Call::Sent { step } => (step, true),
            Call::Ready { step } => (step, false),
            Call::Never | Call::Reads { .. } | Call::Misled(_) => return,
        };
        let Some(bucket) = self.bucket_at(request, step) else {
            return self.tell(state, request, Answer::SoldOut);
        };
        // A full bucket of the cache answers without a write. The SDK repeats its write all the
        // same.
        let seen = state.cache[bucket].filter(|_| !is_repeat);
        let decided = match seen {
            Some(_) if is_lost => return,
            Some(view) => {
                let full = pool::full_bucket(&self.sizes, bucket, &self.members_of(view));
                full.decide(&draw_of(request, at))
            }
            None => self.draw_from(state, bucket, request, at),
        };
        if is_lost {
            if decided.is_ok() {
                let is_moving_on = self.has(Bug::MovesOnWithoutAReply);
                let next = Call::Ready { step: step + 1 };
                let call = if is_moving_on { next } else { Call::Sent { step } };
                state.members[member].calls[place] = call;
            }
            return;
        }
        let part = |entry: Entry| Part { bucket: narrow(bucket), index: narrow(entry.index) };
        match decided {
            Ok(entry) | Err(DrawRefused::Repeated(entry)) => {
                self.tell(state, request, Answer::Won(part(entry)));
            }
            Err(DrawRefused::Already(entry)) => {
                self.tell(state, request, Answer::Already(part(entry)));
            }
            Err(DrawRefused::Ahead | DrawRefused::Over) => {
                self.tell(state, request, Answer::WindowOver);
            }
            Err(DrawRefused::Full) => {
                if seen.is_none() {
                    self.remember(state, bucket);
                }
                self.go_on(state, request, step + 1);
            }
        }
    }

    /// The buckets before `step` are full. After the first one, the request reads those of the rest
    /// that the cache does not hold.
    fn go_on(&self, state: &mut State, request: Request, step: u8) {
        let (member, place) = request;
        if self.bucket_at(request, step).is_none() || self.has(Bug::IsSoldOutAfterOneBucket) {
            return self.tell(state, request, Answer::SoldOut);
        }
        let rest = (step..).map_while(|step| self.bucket_at(request, step));
        let unknown = rest.filter(|bucket| state.cache[*bucket].is_none());
        let buckets = unknown.fold(0, |bits, bucket| bits | 1 << bucket);
        state.members[member].calls[place] = if step > 1 || buckets == 0 {
            Call::Ready { step }
        } else {
            Call::Reads { step, buckets }
        };
    }

    /// The request reads one bucket of those that it reads at once: consistent, but each at its own
    /// moment.
    pub(crate) fn read_bucket(&self, state: &mut State, request: Request, bucket: usize) {
        let (member, place) = request;
        let Call::Reads { step, buckets } = state.members[member].calls[place] else { return };
        let is_full = pool::bucket(&self.sizes, &state.store, bucket).is_full();
        if is_full || self.has(Bug::CachesBucketsWithRoom) {
            self.remember(state, bucket);
        } else if self.has(Bug::SkipsABucketThatHadRoom) {
            return self.go_on(state, request, step + 1);
        }
        let buckets = buckets & !(1 << bucket);
        let step = if !is_full && self.has(Bug::TriesTheBucketReadLast) {
            (0..).find(|step| self.bucket_at(request, *step) == Some(bucket)).unwrap_or(step)
        } else {
            step
        };
        let call = &mut state.members[member].calls[place];
        *call = if buckets == 0 { Call::Ready { step } } else { Call::Reads { step, buckets } };
    }

    /// Puts a full bucket into the cache of the process, members included.
    fn remember(&self, state: &mut State, bucket: usize) {
        let entries = &state.store.buckets[bucket].entries;
        let index = |member: usize| entries[member].map(|entry| entry.index);
        let view: View = std::array::from_fn(index);
        let view = if self.has(Bug::CachesWithoutMembers) { [None; MEMBERS] } else { view };
        state.cache[bucket] = Some(view);
    }

    /// The members of a full bucket of the cache.
    fn members_of(&self, view: View) -> View {
        if self.has(Bug::IgnoresItsEntryInAFullBucket) { [None; MEMBERS] } else { view }
    }

    /// The one conditional write. The domain decides; a planted bug leaves out one clause.
    fn draw_from(
        &self,
        state: &mut State,
        bucket: usize,
        request: Request,
        at: Moment,
    ) -> Result<Entry, DrawRefused> {
        let member = &mut state.members[request.0];
        member.messages.is_first |= self.has(Bug::SendsBeforeItDraws);
        let draw = draw_of(request, at);
        let decided =
            pool::change(&self.sizes, &mut state.store, bucket, |bucket| self.decide(bucket, draw));
        if decided.is_ok() {
            state.store.buckets[bucket].is_indexed = true;
            member.is_streamed = self.payers > 0;
        }
        decided
    }

    fn decide(&self, bucket: &mut Bucket, mut draw: Draw) -> Result<Entry, DrawRefused> {
        let (status, window, size) = (bucket.status, bucket.window, bucket.size);
        let earlier = bucket.draws.get(&draw.member).copied();
        match self.bug {
            Some(Bug::DrawsFromAClosedBucket) => bucket.status = BucketStatus::Open,
            Some(Bug::DrawsAheadOfTheWindow) => bucket.window.opens = draw.at,
            Some(Bug::DrawsAfterTheWindow) => bucket.window.closes = draw.at.plus_ms(1),
            Some(Bug::DrawsFromAFullBucket) => bucket.size = bucket.taken + 1,
            Some(Bug::DrawsTwice) => drop(bucket.draws.remove(&draw.member)),
            Some(Bug::IgnoresTheNonce) => draw.nonce = earlier.map_or(draw.nonce, |e| e.nonce),
            Some(Bug::ChecksTheWindowBeforeTheRepeat) if status == BucketStatus::Closed => {
                return Err(DrawRefused::Over);
            }
            _ => {}
        }
        let decided = bucket.draw(&draw);
        (bucket.status, bucket.window, bucket.size) = (status, window, size);
        match decided {
            Err(DrawRefused::Repeated(entry)) if self.has(Bug::KnowsNoRepeat) => {
                Err(DrawRefused::Already(entry))
            }
            Ok(entry) if self.has(Bug::LosesTheIndex) => {
                let entry = Entry { index: 0, ..entry };
                bucket.draws.insert(draw.member, entry);
                Ok(entry)
            }
            decided => decided,
        }
    }

    /// The request answers and ends. A true answer is kept only as what the member has been told in
    /// all; a false one stays, for the properties to find.
    pub(crate) fn tell(&self, state: &mut State, request: Request, answer: Answer) {
        let (member, place) = request;
        let nonce = narrow(place);
        let entries = || state.store.entries(member);
        let has = |part: Part, is_own: bool| {
            entries().any(|(there, entry)| there == part && (entry.nonce == nonce) == is_own)
        };
        let is_true = match answer {
            Answer::Won(part) => has(part, true),
            Answer::Already(part) => has(part, false),
            Answer::SoldOut => entries().next().is_none() && self.is_sold_out(state),
            Answer::WindowOver => entries().all(|(_, entry)| entry.nonce != nonce),
        };
        if is_true {
            self.end(state, request);
        } else {
            state.members[member].calls[place] = Call::Misled(answer);
        }
        let told = &mut state.members[member].told;
        *told = match (*told, answer) {
            (before, Answer::WindowOver) => before,
            (Told::Nothing, Answer::Won(part) | Answer::Already(part)) => Told::Part(part),
            (Told::Part(before), Answer::Won(part) | Answer::Already(part)) if before == part => {
                Told::Part(part)
            }
            (Told::Nothing | Told::SoldOut, Answer::SoldOut) => Told::SoldOut,
            _ => Told::Contradiction,
        };
    }

    /// The request ends: it was told, or its process was killed. A later request of the member has
    /// another nonce.
    pub(crate) fn end(&self, state: &mut State, (member, place): Request) {
        state.members[member].calls[place] = Call::Idle;
        for item in &mut state.store.buckets {
            if let Some(entry) = &mut item.entries[member]
                && entry.nonce == narrow(place)
            {
                entry.nonce = ENDED;
            }
        }
    }

    /// Whether each part of the pool is drawn.
    pub(crate) fn is_sold_out(&self, state: &State) -> bool {
        pool::numbers(&self.sizes)
            .all(|bucket| state.store.buckets[bucket].taken >= self.sizes[bucket])
    }
}

/// The draw of a request. Its place is its nonce.
fn draw_of((member, place): Request, at: Moment) -> Draw {
    let nonce = Nonce::from_bits(u64::from(narrow(place)));
    Draw { member: pool::user(member).clone(), at: at.timestamp(), nonce }
}
