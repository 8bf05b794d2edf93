//! How often each fault took effect, and how often the cluster did what it does only because of faults. A batch in
//! which one of them never happened has tested nothing of it.

use super::plan::Kind;

macro_rules! outcomes {
    ($($name:ident = $text:literal;)*) => {
        /// What a cluster does because of faults.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Seen { $(#[doc = $text] $name,)* }

        impl Seen {
            const ALL: &[Seen] = &[$(Seen::$name,)*];

            fn text(self) -> &'static str {
                match self { $(Seen::$name => $text,)* }
            }
        }
    };
}

outcomes! {
    Takeover = "another node went on with a match";
    DupSame = "a repeated commit was found committed";
    AppliedLate = "a commit happened after its sender had given up waiting";
    ClaimRepeated = "a repeated claim was granted again";
    Fenced = "a former owner was fenced";
    Repaired = "a living owner wrote lost ticks back";
    Kept = "a relay kept its copy while the store was behind";
    Missed = "a relay passed on missed ticks from the ring";
    Waited = "a tick of a match at rest was made late";
    Vouched = "a relay passed a tick on that the owner on its node vouched for";
    Adopted = "a relay took over the state of the owner on its node";
    ResetAtResume = "a client that resumed was told of a set-back";
    AskedToWait = "a client that resumed was asked to wait for an owner's repair";
    Reset = "a relay told its clients of a set-back";
    Confirmed = "a relay confirmed a new owner";
    ForeignFence = "a relay refused an ownership that the store does not know";
    Foreign = "a relay or owner refused a message that is none";
    FoundDeaf = "a relay found itself deaf";
    Swept = "a match without an owner was found by a sweep";
    HeirClaimed = "an heir claimed within its grace";
    Released = "a match was given up";
    MatchGone = "an owner found its match gone";
    Quarantined = "a match was quarantined";
    ToldOver = "a client was told that its match is gone or stopped";
    Resumed = "a client resumed on the same node";
    ResumedElsewhere = "a client resumed on another node";
    SentAgain = "a client sent inputs again";
    InputsLost = "an owner asked for lost inputs";
    Replaced = "an old connection gave way to a newer one";
    TicketRefused = "a resume token was not good any more";
    Moved = "a client was asked to connect elsewhere";
    CatchUp = "a slow client was sent a catch-up";
    SlowSnapshot = "a slow client was sent a snapshot";
    Heard = "a client heard what another said";
    SaidAgain = "a line was sent to the owner again";
    SaidBefore = "an owner refused a line that was said before";
}

/// Counts of a run, or of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    faults: Vec<u64>,
    seen: Vec<u64>,
    /// States of clients that were compared with the committed ones.
    pub comparisons: u64,
    /// Ticks that were committed.
    pub commits: u64,
}

impl Default for Counters {
    fn default() -> Counters {
        let (faults, seen) = (vec![0; Kind::ALL.len()], vec![0; Seen::ALL.len()]);
        Counters { faults, seen, comparisons: 0, commits: 0 }
    }
}

impl Counters {
    pub(super) fn hit(&mut self, kind: Kind) {
        self.faults[kind as usize] += 1;
    }

    pub(super) fn see(&mut self, seen: Seen) {
        self.add(seen, 1);
    }

    pub(super) fn add(&mut self, seen: Seen, times: u64) {
        self.seen[seen as usize] += times;
    }

    /// Takes in another run's.
    pub fn merge(&mut self, other: &Counters) {
        let pairs = self.faults.iter_mut().zip(&other.faults).chain(self.seen.iter_mut().zip(&other.seen));
        pairs.for_each(|(sum, more)| *sum += more);
        self.comparisons += other.comparisons;
        self.commits += other.commits;
    }

    fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let faults = Kind::ALL.iter().zip(&self.faults).map(|(kind, count)| ("fault", kind.text(), *count));
        let seen = Seen::ALL.iter().zip(&self.seen).map(|(seen, count)| ("seen", seen.text(), *count));
        faults.chain(seen)
    }

    /// What never happened, and should have.
    pub fn missing(&self) -> Vec<&'static str> {
        let missing = self.rows().filter(|(_, _, count)| *count == 0);
        missing.map(|(_, text, _)| text).collect()
    }

    /// As lines of a table.
    pub fn table(&self) -> String {
        let line = |(kind, text, count)| format!("{count:>12}  {kind:<5}  {text}\n");
        self.rows().map(line).collect()
    }
}
