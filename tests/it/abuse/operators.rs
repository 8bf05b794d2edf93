//! who reaches the operators' port, and under which name.

use std::time::Duration;

use harness::abuse::operators::{self, asked_as};
use harness::http::{Answer, request_with};
use harness::process::{Node, NodeOptions, program, run};
use harness::raw::Raw;

use super::{Siege, WITHIN};

/// Sooner than a request's head must be there.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);
const TOKEN: &str = "0123456789-operators";

async fn shown(node: &Node, path: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let headers = if token.is_empty() { &[][..] } else { &headers[..] };
    request_with(node.operators_authority(), "GET", path, headers, "").await
}

#[tokio::test]
async fn a_37_the_operators_port_answers_under_its_own_names_only() {
    let siege = Siege::begin(&["--ops-host", "ops.game.test"]).await;
    let authority = siege.node.operators_authority().to_owned();
    siege
        .bears(async {
            let port = authority.rsplit(':').next().expect("a port");
            for host in [&authority, "localhost", &format!("localhost:{port}"), "[::1]:1", "ops.game.test"] {
                assert_eq!(asked_as(&authority, host, "GET", "/v1/nodes").await, 200, "{host}");
            }
            operators::rebound(&siege.target()).await;
        })
        .await;
}

#[tokio::test]
async fn a_37_others_than_this_machine_need_the_token() {
    let mut refused = program("tickcast");
    refused.args(["--listen", "127.0.0.1:0", "--ops-listen", "0.0.0.0:0"]);
    let ended = run(refused).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("--operator-token") && ended.err.contains("--ops-open"), "{ended:?}");

    let env = [("TICKCAST_OPS_LISTEN", "0.0.0.0:0"), ("TICKCAST_OPERATOR_TOKEN", TOKEN)];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let siege = Siege::of(Node::start(NodeOptions { env, ..NodeOptions::default() }).await).await;
    let node = &siege.node;
    siege
        .bears(async {
            for path in ["/v1/nodes", "/v1/matches", "/v1/events", "/metrics", "/v1/nothing"] {
                for wrong in ["", "0123456789-operator", "0123456789-operatorS"] {
                    let answer = shown(node, path, wrong).await;
                    assert_eq!(answer.status, 401, "{path} with {wrong:?}: {answer:?}");
                    assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{answer:?}");
                }
            }
            assert_eq!(shown(node, "/v1/nodes", TOKEN).await.status, 200);
            assert!(shown(node, "/metrics", TOKEN).await.body.contains("tickcast_ticks_total"));
            for open in ["/", "/inspector/main.js", "/healthz", "/readyz"] {
                assert_eq!(shown(node, open, "").await.status, 200, "{open} tells nothing of matches");
            }
        })
        .await;
    assert!(!siege.node.output().contains(TOKEN), "the token is in no log");
}

#[tokio::test]
async fn a_37_reading_is_private_where_that_is_wanted_and_open_where_that_is() {
    let env = vec![("TICKCAST_OPERATOR_TOKEN".to_owned(), TOKEN.to_owned())];
    let private = NodeOptions { env, args: vec!["--ops-private".to_owned()], ..NodeOptions::default() };
    let node = Node::start(private).await;
    assert_eq!(shown(&node, "/v1/matches", "").await.status, 401);
    assert_eq!(shown(&node, "/v1/matches", TOKEN).await.status, 200);
    let env = vec![("TICKCAST_OPS_LISTEN".to_owned(), "0.0.0.0:0".to_owned())];
    let open = NodeOptions { env, args: vec!["--ops-open".to_owned()], ..NodeOptions::default() };
    let node = Node::start(open).await;
    assert_eq!(shown(&node, "/v1/matches", "").await.status, 200);
    let order = request_with(node.operators_authority(), "POST", "/v1/nodes/x/drain", &[], "").await;
    assert_eq!(order.status, 403, "and takes no orders: {order:?}");
}

#[tokio::test]
async fn a_37_so_many_sockets_and_no_more() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.node.operators_authority().to_owned();
    siege
        .bears(async {
            let mut held = Vec::new();
            for _ in 0..300 {
                held.push(Raw::connect(&authority).await);
            }
            // They are closed before the deadline of a request.
            for mut more in held.drain(270..) {
                assert_eq!(more.rest(REFUSED_WITHIN).await, [0; 0]);
            }
            drop(held);
            siege.node.until_metric("sockets_refused_total", WITHIN, |refused| refused >= 30).await;
        })
        .await;
}
