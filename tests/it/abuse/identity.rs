//! who one is, where one wants to, what one is called, and coming and going without end.

use harness::abuse::{GROWTH_KB_MAX, identity};
use harness::http::create_match;
use harness::player::Player;
use serde_json::json;

use super::{HONEST, Siege, WITHIN};

/// Clients that come and go.
const CHURN: usize = 200;

#[tokio::test]
async fn a_29_who_comes_and_goes_without_end_leaves_nothing() {
    let siege = Siege::begin(&["--resume-seconds", "1"]).await;
    let target = siege.target();
    let (connections, before) = (siege.node.metric("connections").await, target.resident_kb());
    siege
        .bears(async {
            identity::come_and_go(&target, CHURN).await;
            identity::all_gone(&target, connections).await;
        })
        .await;
    let mut honest = siege.honest.lock().await;
    let alone = |player: &Player| {
        let world = player.replica().world();
        world.count(world.schema().player_kind()) == HONEST
    };
    honest[0].follow_until(WITHIN, "those who went have no place any more", alone).await;
    let grown = target.resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB_MAX, "{grown} kB more");
}

#[tokio::test]
async fn a_30_nobody_acts_for_another() {
    let siege = Siege::begin(&[]).await;
    siege.bears(identity::spoofing(&siege.target())).await;
}

#[tokio::test]
async fn a_31_names_of_matches_are_letters_and_digits() {
    let siege = Siege::begin(&[]).await;
    siege.bears(identity::odd_ids(&siege.target())).await;
}

#[tokio::test]
async fn a_32_ids_are_drawn_and_what_is_not_there_looks_like_what_may_not_be_seen() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    siege
        .bears(async {
            let mut ids = Vec::new();
            for _ in 0..20 {
                ids.push(create_match(&authority, &json!({ "game": "arena" })).await.as_str().to_owned());
            }
            let mut different = ids.clone();
            different.sort();
            different.dedup();
            assert!(different.len() == 20 && ids != different, "drawn, not counted: {ids:?}");
            let signs: std::collections::BTreeSet<char> = ids.iter().flat_map(|id| id.chars()).collect();
            assert!(ids.iter().all(|id| id.len() == 26), "{ids:?}");
            // 520 draws leave out more than two of 32 signs less than once in a thousand million runs.
            assert!((30..=32).contains(&signs.len()), "26 of 32 signs are 130 bits: {signs:?}");
            identity::guesses(&siege.target()).await;
        })
        .await;
}

#[tokio::test]
async fn a_35_names_are_plain_text_wherever_they_are_shown() {
    let siege = Siege::begin(&["--log", "debug"]).await;
    siege.bears(identity::odd_names(&siege.target(), HONEST)).await;
    let output = siege.node.output();
    let strange = |c: char| c.is_control() && c != '\n';
    assert!(!output.contains(strange) && !output.contains("err level=ERROR"), "{output}");
}

#[tokio::test]
async fn a_36_no_name_of_a_match_or_player_is_a_label() {
    let siege = Siege::begin(&[]).await;
    siege.bears(identity::labels(&siege.target(), "label", 30)).await;
}
