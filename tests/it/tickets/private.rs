//! Matches of one's own: only those come in whose ticket names them, on every node, and perhaps nobody watches.

use super::*;

#[tokio::test]
async fn a_private_match_is_for_those_whose_ticket_names_it() {
    let redis = RedisServer::start(Persistence::Off).await;
    let start = |name: &'static str| {
        let options = with_key(KEY, &["--node", name, "--guests"]);
        Node::start(NodeOptions { redis: Some(redis.url()), ..options })
    };
    let (first, second) = (start("first").await, start("second").await);
    let private = create_match(first.authority(), &json!({ "access": "ticket" })).await;
    let closed = create_match(first.authority(), &json!({ "spectators": false })).await;
    let of_game = || {
        let ticket = ticket_of("account-1", &private);
        mint(&Ticket { place: Place::Game("arena".to_owned()), ..ticket })
    };
    let watch = |id: &MatchId| mint(&Ticket { permit: Permit::Watch, ..ticket_of("account-1", id) });
    for node in [&first, &second] {
        let needed = "a ticket is needed to join here";
        refused(answered(node, to_match(&private), "").await, needed, "a guest");
        refused(answered(node, Join::Spectate(private.clone()), "").await, needed, "a watching guest");
        refused(answered(node, to_match(&private), &of_game()).await, NO_GOOD, "a ticket for the game");
        let named = mint(&ticket_of("account-1", &private));
        assert_eq!(answered(node, to_match(&private), &named).await, Ok(private.clone()));
        assert_eq!(answered(node, quick(), &watch(&private)).await, Ok(private.clone()));
        for _ in 0..3 {
            let led = answered(node, quick(), "").await;
            assert!(led.as_ref().is_ok_and(|id| *id != private), "quick play does not lead there: {led:?}");
        }
        let unwatched = "this match takes no spectators";
        refused(answered(node, Join::Spectate(closed.clone()), "").await, unwatched, "a watching guest");
        refused(
            answered(node, Join::Spectate(closed.clone()), &watch(&closed)).await,
            unwatched,
            "with a ticket",
        );
        assert_eq!(answered(node, to_match(&closed), "").await, Ok(closed.clone()));
    }
    let field: String = redis.command(&["HGET", &format!("tickcast:{{{private}}}"), "~access"]).await;
    assert_eq!(field, "ticket");
    let guests = Node::start(NodeOptions::default()).await;
    for (body, text) in [
        (json!({ "access": "ticket" }), "no ticket key"),
        (json!({ "access": "friends" }), "unknown variant"),
        (json!({ "spectators": "no" }), "invalid type"),
    ] {
        let answer = request(guests.authority(), "POST", "/v1/matches", &body.to_string()).await;
        assert!(answer.status == 400 && answer.error().contains(text), "{body} {answer:?}");
    }
}
