//! What is for backends: the API of the players' port with its key, and the tickets that it and the command line make.

use harness::http::{Answer, request_with};

use super::*;

async fn ask(node: &Node, method: &str, path: &str, key: &str, body: &str) -> Answer {
    let shown = format!("Bearer {key}");
    let headers = if key.is_empty() { vec![] } else { vec![("Authorization", shown.as_str())] };
    request_with(node.authority(), method, path, &headers, body).await
}

const PATHS: [(&str, &str); 6] = [
    ("GET", "/v1/games"),
    ("GET", "/v1/matches"),
    ("POST", "/v1/matches"),
    ("GET", "/v1/matches/m1"),
    ("POST", "/v1/tickets"),
    ("GET", "/v1/nothing"),
];

#[tokio::test]
async fn where_tickets_are_needed_the_api_needs_its_key() {
    let node = Node::start(with_key(KEY, &[])).await;
    for (method, path) in PATHS {
        for key in ["", "no-key-of-this-node", KEY, &API_KEY[1..]] {
            let answer = ask(&node, method, path, key, "").await;
            assert_eq!(answer.status, 401, "{method} {path} {key}: {answer:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{answer:?}");
            assert!(answer.error().contains("key"), "{answer:?}");
        }
        assert_ne!(ask(&node, method, path, API_KEY, "").await.status, 401, "{method} {path}");
    }
    for path in ["/", "/healthz", "/sdk/src/index.js"] {
        assert_eq!(ask(&node, "GET", path, "", "").await.status, 200, "{path} needs nothing");
    }
    assert_eq!(ask(&node, "GET", "/healthz", "", "").await.body, "ok\n");
    // Without a key for backends nobody may, and is told why; among guests everybody may.
    let keyless =
        Node::start(NodeOptions { env: vec![env("TICKCAST_TICKET_KEY", KEY)], ..NodeOptions::default() });
    let (keyless, guests) = tokio::join!(keyless, Node::start(NodeOptions::default()));
    for (method, path) in PATHS {
        let answer = ask(&keyless, method, path, "", "").await;
        assert!(
            answer.status == 403 && answer.error().contains("TICKCAST_API_KEY"),
            "{method} {path} {answer:?}"
        );
    }
    assert_eq!(ask(&guests, "GET", "/v1/matches", "", "").await.status, 200);
    let answer = ask(&guests, "POST", "/v1/tickets", "", "{}").await;
    assert!(answer.status == 403 && answer.error().contains("makes no tickets"), "{answer:?}");
}

#[tokio::test]
async fn a_backend_gets_tickets_over_http() {
    let (node, id) = closed_node().await;
    let made =
        async |body: serde_json::Value| ask(&node, "POST", "/v1/tickets", API_KEY, &body.to_string()).await;
    let ticket = |answer: Answer| answer.json()["ticket"].as_str().unwrap_or_default().to_owned();
    let play = made(json!({ "subject": "account-1", "match": id, "name": "Zoë", "seconds": 5 })).await;
    assert_eq!(play.status, 201, "{play:?}");
    assert!(play.json()["expires_ms"].as_u64() > Some(0), "{play:?}");
    assert_eq!(answered(&node, to_match(&id), &ticket(play)).await, Ok(id.clone()));
    let watch = ticket(made(json!({ "subject": "account-1", "match": id, "spectator": true })).await);
    assert_eq!(answered(&node, Join::Spectate(id.clone()), &watch).await, Ok(id.clone()));
    let game = ticket(made(json!({ "subject": "account-1", "game": "arena" })).await);
    assert!(answered(&node, quick(), &game).await.is_ok());
    for (body, text) in [
        (json!({ "match": id }), "`subject`"),
        (json!({ "subject": "account-1" }), "`match` or the `game`"),
        (json!({ "subject": "account-1", "match": id, "game": "arena" }), "`match` or the `game`"),
        (json!({ "subject": "a b", "match": id }), "1 to 64"),
        (json!({ "subject": "account-1", "match": "a b" }), "A-Z"),
        (json!({ "subject": "account-1", "match": id, "seconds": 3601 }), "1 to 3600 seconds"),
        (json!({ "subject": "account-1", "match": id, "name": "n".repeat(25) }), "24 bytes"),
        (json!({ "subject": "account-1", "match": id, "role": "admin" }), "unknown field `role`"),
    ] {
        let answer = made(body.clone()).await;
        assert!(answer.status == 400 && answer.error().contains(text), "{body}: {answer:?}");
    }
}

async fn command(args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = program("tickcast");
    command.arg("ticket").args(args).envs(variables.iter().copied());
    run(command).await
}

#[tokio::test]
async fn the_command_line_makes_tickets_for_development() {
    let (node, id) = closed_node().await;
    let key = [("TICKCAST_TICKET_KEY", KEY)];
    let of_match = ["--match", id.as_str(), "--subject", "account-1"];
    let play = command(&[&of_match[..], &["--name", "Zoë", "--for", "30"]].concat(), &key).await;
    assert_eq!((play.code, play.err.as_str()), (Some(0), ""), "{play:?}");
    assert_eq!(answered(&node, to_match(&id), play.out.trim()).await, Ok(id.clone()));
    let watch = command(&[&of_match[..], &["--spectator"]].concat(), &key).await;
    assert_eq!(answered(&node, Join::Spectate(id.clone()), watch.out.trim()).await, Ok(id.clone()));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("node.toml");
    std::fs::write(&file, format!("ticket_key = \"{KEY},{OTHER_KEY}\"\n")).expect("it can be written");
    let file = file.to_string_lossy();
    let game = command(&["--game", "arena", "--subject", "account-2", "--config", &file], &[]).await;
    assert!(answered(&node, quick(), game.out.trim()).await.is_ok(), "{game:?}");
    for (args, text) in [
        (&of_match[..2], "--subject"),
        (&of_match[2..], "--match"),
        (&of_match[..], "TICKCAST_TICKET_KEY"),
        (&["--match", "m1", "--subject", "me", "--for", "4000", "--ticket-key", KEY], "1 to 3600 seconds"),
        (&["--match", "m1", "--game", "g", "--subject", "me"], "cannot be used with"),
        (&["--match", "m1", "--subject", "a b"], "1 to 64"),
    ] {
        let ended = command(args, &[]).await;
        assert!(ended.code == Some(2) && ended.err.contains(text), "{args:?}: {ended:?}, not {text}");
    }
}
