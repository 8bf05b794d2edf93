//! Clients of a match in which nothing happens for a while.

use super::*;

/// Who stalls, joins or is handed over while ticks are held back is in step with the next that is sent.
#[test]
fn everybody_reads_on_behind_ticks_that_were_held_back() {
    for (seed, handed_over) in [(1, false), (2, true)] {
        let mut place = Place::quiet(seed, 3, TICK * 40);
        place.ticks(20, &[]);
        place.ticks_until_behind(1);
        place.owner.rests = true;
        place.ticks(8, &[1]);
        assert!(place.held > 0);
        // One reads again, one comes, and the others get nothing meanwhile.
        place.clients[1].reads_all();
        place.clients[2] = Client::new();
        place.serve(2);
        let (at, owners) = (place.clients[0].replica.position().tick, place.owner.position.tick);
        place.ticks(6, &[]);
        assert!(at < owners && place.clients[0].replica.position().tick == at);
        if handed_over {
            place.owner.hand_over();
        }
        place.owner.rests = false;
        place.ticks(1, &[]);
        place.assert_in_step();
        let counts = place.laggards.take_counts();
        assert_eq!(counts.snapshots_for_slow, 0, "{counts:?}");
    }
}
