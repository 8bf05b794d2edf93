//! Who does what: a plan's bots, numbered, and divided between processes. Whole matches stay in one process
//! while there are enough of them, because only clients of one process are compared with each other.

use std::net::Ipv4Addr;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tickcast_protocol::MatchId;
use tickcast_protocol::message::Join;

use crate::plan::Plan;

/// One process's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Its matches.
    pub match_ids: Vec<MatchId>,
    /// Number of its first match among all.
    pub first_match: u32,
    /// Which members of each match are its own: players first, then spectators.
    pub members: Range<u32>,
}

/// One bot to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotPlan {
    /// Number among all bots of all processes.
    pub number: u64,
    /// Position of its match in [`Share::match_ids`].
    pub match_index: usize,
    /// Position among this process's players of the match; `None` for a spectator.
    pub seat: Option<usize>,
    /// Seat of the player whose inputs it watches for. One client watches each player, so that the cost grows
    /// with the players and not with their square.
    pub watches: Option<usize>,
    /// What it says to the server.
    pub join: Join,
    /// Position of its node in [`Plan::targets`].
    pub target: usize,
    /// Address its socket is bound to.
    pub source: Option<Ipv4Addr>,
    /// Seed of its decisions.
    pub seed: u64,
}

/// Divides a plan, whose matches have these ids, between its processes.
pub fn divide(plan: &Plan, match_ids: &[MatchId]) -> Vec<Share> {
    let whole_matches = plan.matches >= plan.processes;
    let part = |total: u32, index: u32| {
        let edge = |index: u32| (u64::from(total) * u64::from(index) / u64::from(plan.processes)) as u32;
        edge(index)..edge(index + 1)
    };
    (0..plan.processes)
        .map(|index| {
            let matches = if whole_matches { part(plan.matches, index) } else { 0..plan.matches };
            let members = if whole_matches { 0..plan.members() } else { part(plan.members(), index) };
            let match_ids = match_ids[matches.start as usize..matches.end as usize].to_vec();
            Share { match_ids, first_match: matches.start, members }
        })
        .collect()
}

impl Share {
    /// Connections of this process.
    pub fn connections(&self) -> u64 {
        self.match_ids.len() as u64 * self.members.len() as u64
    }

    /// Its players in each match.
    pub fn players(&self, plan: &Plan) -> usize {
        self.members.clone().filter(|member| *member < plan.players).count()
    }

    /// Its bots, match by match. A match's members take the nodes in turn.
    pub fn bots<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = BotPlan> + 'a {
        let matches = self.match_ids.iter().enumerate();
        matches.flat_map(move |(match_index, id)| {
            self.members.clone().map(move |member| self.bot(plan, match_index, id, member))
        })
    }

    fn bot(&self, plan: &Plan, match_index: usize, id: &MatchId, member: u32) -> BotPlan {
        let match_number = u64::from(self.first_match) + match_index as u64;
        let number = match_number * u64::from(plan.members()) + u64::from(member);
        let plays = member < plan.players;
        let join = if plays { Join::Match(id.clone()) } else { Join::Spectate(id.clone()) };
        let local = (member - self.members.start) as usize;
        let watches = match self.players(plan) {
            1 => (local == 1).then_some(0),
            players => plays.then(|| (local + 1) % players),
        };
        let source = u32::try_from(number.checked_rem(u64::from(plan.source_addresses)).unwrap_or_default());
        let source = source.ok().filter(|_| plan.source_addresses > 0);
        BotPlan {
            number,
            match_index,
            seat: plays.then_some(local),
            watches,
            join,
            target: ((match_number + u64::from(member)) % plan.targets.len() as u64) as usize,
            source: source.map(|offset| Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + offset)),
            seed: plan.seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser;

    use super::*;
    use crate::plan::Flags;

    fn divided(flags: &str) -> (Plan, Vec<Share>) {
        let words = std::iter::once("tickcast-bots").chain(flags.split_whitespace());
        let plan = Plan::try_from(Flags::try_parse_from(words).unwrap()).unwrap();
        let ids: Vec<MatchId> = (0..plan.matches).map(|index| format!("m{index}").parse().unwrap()).collect();
        let shares = divide(&plan, &ids);
        (plan, shares)
    }

    #[test]
    fn every_bot_is_in_exactly_one_share() {
        for flags in [
            "--matches 5 --players 3 --spectators 2 --processes 2",
            "--matches 1 --players 5 --spectators 3 --processes 3",
            "--matches 2 --players 7 --processes 5",
            "--matches 4 --players 1 --processes 4",
        ] {
            let (plan, shares) = divided(flags);
            let bots: Vec<BotPlan> = shares.iter().flat_map(|share| share.bots(&plan)).collect();
            let numbers: BTreeSet<u64> = bots.iter().map(|bot| bot.number).collect();
            assert_eq!(numbers, (0..plan.connections()).collect(), "{flags}");
            assert_eq!(bots.len() as u64, plan.connections(), "{flags}");
            assert!(shares.iter().all(|share| share.connections() > 0), "{flags}");
        }
    }

    #[test]
    fn members_take_nodes_and_addresses_in_turn() {
        let (plan, shares) = divided(
            "--url ws://127.0.0.1:1 --url ws://127.0.0.1:2 --players 3 --spectators 1 --source-addresses 3",
        );
        let bots: Vec<BotPlan> = shares[0].bots(&plan).collect();
        assert_eq!(bots.iter().map(|bot| bot.target).collect::<Vec<_>>(), [0, 1, 0, 1]);
        assert_eq!(bots.iter().map(|bot| bot.seat).collect::<Vec<_>>(), [Some(0), Some(1), Some(2), None]);
        assert_eq!(bots[2].source, Some(Ipv4Addr::new(127, 0, 0, 3)));
        assert_eq!(bots[3].source, Some(Ipv4Addr::new(127, 0, 0, 1)));
        assert_eq!(bots.iter().map(|bot| bot.watches).collect::<Vec<_>>(), [Some(1), Some(2), Some(0), None]);
        assert!(matches!(bots[3].join, Join::Spectate(_)));
        assert_eq!(shares[0].players(&plan), 3);
    }

    #[test]
    fn a_lone_player_is_watched_by_one_spectator() {
        let watches = |flags: &str| {
            let (plan, shares) = divided(flags);
            shares[0].bots(&plan).map(|bot| bot.watches).collect::<Vec<_>>()
        };
        assert_eq!(watches("--players 1 --spectators 2"), [None, Some(0), None]);
        assert_eq!(watches("--players 1"), [None]);
        assert_eq!(watches("--players 0 --spectators 1"), [None]);
    }
}
