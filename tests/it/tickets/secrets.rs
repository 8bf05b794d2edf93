//! Keys, tokens and tickets stand in no log, whatever is logged, and a ticket counts only in the hello.

use super::*;

#[tokio::test]
async fn no_secret_is_ever_logged() {
    const OPERATOR: &str = "planted-operator-token";
    let mut options = with_key(&format!("{KEY},{OTHER_KEY}"), &["--log", "trace"]);
    options.env.push(env("TICKCAST_OPERATOR_TOKEN", OPERATOR));
    let node = Node::start(options).await;
    let id = create_match(node.authority(), &json!({})).await;
    let good = mint(&ticket_of("account-1", &id));
    let bad = mint_with(&ticket_of("account-1", &id), "a-key-that-nobody-has-but-the-forger");
    let in_url = mint(&ticket_of("account-2", &id));
    refused(answered(&node, to_match(&id), &bad).await, NO_GOOD, "forged");
    let mut player = Player::join_with(&node.players, "me", to_match(&id), &good).await;
    refused(answered(&node, to_match(&id), &good).await, NO_GOOD, "used");
    let resume = player.client().joined().expect("it has joined").resume;
    player.resume(&node.players).await;

    // In a URL a ticket is nothing, and is not written down there either.
    let mut socket = Socket::open(&format!("{}?ticket={in_url}", node.players)).await;
    socket.hello(to_match(&id)).await;
    assert_eq!(socket.closed(WITHIN).await.code, 4501);
    request(node.authority(), "GET", &format!("/v1/matches?ticket={in_url}"), "").await;
    let header = [("Authorization", format!("Bearer {OPERATOR}"))];
    let header = header.each_ref().map(|(name, value)| (*name, value.as_str()));
    let path = format!("/v1/matches/{id}/end");
    harness::http::request_with(node.operators_authority(), "POST", &path, &header, "").await;
    player.closed(WITHIN).await;

    let output = node.output();
    assert!(output.contains("a hello was refused") && output.contains("a ticket was used"), "{output}");
    let hex: String = resume.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{:?}", resume.0);
    let code = |ticket: &str| ticket[ticket.len() - 40..].to_owned();
    for secret in [KEY, OTHER_KEY, OPERATOR, API_KEY, &code(&good), &code(&bad), &code(&in_url), &hex, &list]
    {
        assert!(!output.contains(secret), "{secret} is in the log:\n{output}");
    }
}
