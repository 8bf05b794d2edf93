//! A relay and its one client: what is passed on, what is loaded, what the client is told.

use super::store::{Fence, Line, Position, World};
use super::{Flaw, Violation};

/// A published tick: the diff leads to this world and to no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Message {
    pub fence: Fence,
    pub world: World,
}

/// What a position is to one that was had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// It goes on from there, or is the same.
    Forward,
    /// The same owner's past: the owner will write the rest again.
    Past,
    /// What was had is lost.
    Reset,
}

/// What the client learnt by one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    Forward,
    /// A reset, from here.
    Reset(Position),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Relay {
    copy: Option<Position>,
    inbox: Vec<Message>,
    /// Messages may be missing: only a load helps.
    pub lost: bool,
    client: Option<Position>,
    /// The client came from another node and has got nothing here yet.
    moved: bool,
}

impl Relay {
    pub(super) fn new() -> Relay {
        Relay { lost: true, ..Relay::default() }
    }

    pub(super) fn client(&self) -> Option<&Position> {
        self.client.as_ref()
    }

    pub(super) fn has_message(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// The store published; a queue that is full reports a loss.
    pub(super) fn publish(&mut self, message: Message, queued_max: usize) {
        if self.lost {
            return;
        }
        if self.inbox.len() == queued_max {
            self.cut();
        } else {
            self.inbox.push(message);
        }
    }

    /// The subscription broke.
    pub(super) fn cut(&mut self) {
        self.inbox.clear();
        self.lost = true;
    }

    /// The client's node is gone; it resumes at another, which knows nothing yet.
    pub(super) fn move_client(&mut self, flaw: Option<Flaw>) {
        let client = self.client;
        *self = Relay { client, moved: flaw == Some(Flaw::ResumeBlind), ..Relay::new() };
    }

    pub(super) fn load(&mut self, flaw: Option<Flaw>, stored: Position) -> (Shown, Option<Violation>) {
        self.lost = false;
        let past = self.copy.is_some_and(|copy| judge(flaw, &copy, &stored) == Judgement::Past);
        if !past {
            self.copy = Some(stored);
        }
        self.show(flaw)
    }

    pub(super) fn receive(&mut self, flaw: Option<Flaw>) -> (Shown, Option<Violation>) {
        let message = self.inbox.remove(0);
        let Some(copy) = self.copy.as_mut().filter(|_| !self.lost) else { return (Shown::Nothing, None) };
        let (have, tick) = (copy.world.tick(), message.world.tick());
        let same_owner = message.fence == copy.fence;
        if same_owner && tick <= have {
            return (Shown::Nothing, None);
        }
        // What the full hash is for: the next tick of another past has the right number, too.
        if tick != have + 1 || !copy.world.is_start_of(message.world) {
            self.cut();
            return (Shown::Nothing, None);
        }
        if !same_owner {
            copy.line.push(message.fence, have);
        }
        copy.fence = message.fence;
        copy.world = message.world;
        self.show(flaw)
    }

    /// Brings the client to the copy, and looks with the eyes of one who knows every history.
    fn show(&mut self, flaw: Option<Flaw>) -> (Shown, Option<Violation>) {
        let Some(copy) = self.copy else { return (Shown::Nothing, None) };
        let seen = Position { line: Line::default(), ..copy };
        let Some(had) = self.client.replace(seen) else { return (Shown::Forward, None) };
        let blind = std::mem::take(&mut self.moved);
        let judgement = match judge(flaw, &had, &copy) {
            Judgement::Reset if blind => Judgement::Forward,
            judgement => judgement,
        };
        match judgement {
            Judgement::Past => {
                self.client = Some(had);
                (Shown::Nothing, None)
            }
            Judgement::Reset => (Shown::Reset(had), None),
            Judgement::Forward if had.world.is_start_of(copy.world) => (Shown::Forward, None),
            Judgement::Forward if copy.world.tick() <= had.world.tick() => {
                (Shown::Forward, Some(Violation::BackUntold))
            }
            Judgement::Forward => (Shown::Forward, Some(Violation::BranchUntold)),
        }
    }
}

fn judge(flaw: Option<Flaw>, had: &Position, now: &Position) -> Judgement {
    let back = now.world.tick() < had.world.tick();
    if had.fence == now.fence {
        return match back {
            true if flaw == Some(Flaw::LowerTickTaken) => Judgement::Reset,
            true => Judgement::Past,
            false => Judgement::Forward,
        };
    }
    let lost = match flaw {
        Some(Flaw::LineageByTick) => back,
        _ => !is_past(&now.line, had),
    };
    if lost { Judgement::Reset } else { Judgement::Forward }
}

fn is_past(line: &Line, had: &Position) -> bool {
    line.holds(had.fence, had.world.tick())
}
