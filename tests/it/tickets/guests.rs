//! Who may come without a ticket: everybody on loopback, nobody on another address unless a person has said so.

use super::*;

async fn started(args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = program("tickcast");
    command.args(["--ops-listen", "127.0.0.1:0"]).args(args).envs(variables.iter().copied());
    run(command).await
}

#[tokio::test]
async fn beyond_loopback_a_node_needs_a_key_or_a_word() {
    let redis = RedisServer::start(Persistence::Off).await;
    let url = redis.url();
    for args in [
        &["--listen", "0.0.0.0:0"][..],
        &["--listen", "[::]:0"],
        &["--listen", "0.0.0.0:0", "--redis", &url],
        &["--listen", "0.0.0.0:0", "--guests=false"],
        &["--listen", "0.0.0.0:0", "--ticket-key="],
    ] {
        let ended = started(args, &[]).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?} {ended:?}");
        for way_out in ["--listen", "TICKCAST_TICKET_KEY", "openssl rand -hex 32", "--guests"] {
            assert!(ended.err.contains(way_out), "{way_out} is not in {ended:?}");
        }
    }
    for wrong in ["short", "with spaces in it, and it is long enough for a key", &[KEY; 3].join(",")] {
        let ended = started(&[], &[("TICKCAST_TICKET_KEY", wrong)]).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains("--ticket-key") && ended.err.contains("at least 32"), "{ended:?}");
        assert!(!ended.err.contains(wrong), "no key is shown: {ended:?}");
    }
}

#[tokio::test]
async fn a_node_says_who_may_join() {
    let anywhere = |more: &[&str]| {
        let mut options = with_key("", more);
        options.env = vec![env("TICKCAST_LISTEN", "0.0.0.0:0")];
        options
    };
    let near = Node::start(NodeOptions::default()).await;
    assert!(near.output().contains("joins      anybody who reaches"), "{}", near.output());
    let told = Node::start(anywhere(&["--guests"])).await;
    assert!(told.output().contains("joins      anybody who reaches"), "{}", told.output());
    let closed = Node::start(anywhere(&["--ticket-key", KEY])).await;
    assert!(closed.output().contains("joins      with a ticket only"), "{}", closed.output());
    let both = Node::start(with_key(KEY, &["--guests"])).await;
    assert!(both.output().contains("joins      with a ticket, or as a guest"), "{}", both.output());

    let id = create_match(both.authority(), &json!({})).await;
    assert_eq!(answered(&both, to_match(&id), "").await, Ok(id.clone()));
    assert_eq!(answered(&both, to_match(&id), &mint(&ticket_of("me", &id))).await, Ok(id.clone()));
    refused(
        answered(&both, to_match(&id), "rubbish").await,
        NO_GOOD,
        "a ticket must be good where there are guests",
    );
    // A node without keys does not look at tickets.
    let id = create_match(near.authority(), &json!({})).await;
    assert_eq!(answered(&near, to_match(&id), "rubbish").await, Ok(id));
}
