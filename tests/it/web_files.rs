//! The web files of both ports: types, headers, conditional requests, and that nothing but them can be had.

use harness::http::{Answer, request_with};
use harness::process::{Node, NodeOptions, checkout};

async fn ask(authority: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    request_with(authority, method, path, headers, "").await
}

async fn get(authority: &str, path: &str) -> Answer {
    ask(authority, "GET", path, &[]).await
}

#[tokio::test]
async fn pages_scripts_and_styles_come_with_their_types_and_a_strict_policy() {
    let node = Node::start(NodeOptions::default()).await;
    for (authority, path, content_type) in [
        (node.authority(), "/", "text/html; charset=utf-8"),
        (node.authority(), "/game/page.js", "text/javascript; charset=utf-8"),
        (node.authority(), "/game/page.css", "text/css; charset=utf-8"),
        (node.operators_authority(), "/", "text/html; charset=utf-8"),
        (node.operators_authority(), "/inspector/main.js", "text/javascript; charset=utf-8"),
        (node.operators_authority(), "/inspector/style.css", "text/css; charset=utf-8"),
        (node.authority(), "/sdk/src/schema.js", "text/javascript; charset=utf-8"),
        (node.operators_authority(), "/sdk/src/schema.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = get(authority, path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let header = |name: &str| answer.header(name).unwrap_or_else(|| panic!("{path} has no {name}"));
        assert_eq!(header("content-type"), content_type, "{path}");
        assert_eq!(header("cache-control"), "no-cache", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.split("; ").any(|own| own == part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}

#[tokio::test]
async fn a_file_that_is_known_is_not_sent_again() {
    let node = Node::start(NodeOptions::default()).await;
    let whole = get(node.authority(), "/game/page.js").await;
    let file = std::fs::read_to_string(checkout().join("server/web/game/page.js")).expect("it is there");
    assert_eq!(whole.body, file);
    let etag = whole.header("etag").expect("an ETag").to_owned();
    let several = format!("\"other\", W/{etag}");
    for known in [etag.as_str(), several.as_str(), "*"] {
        let answer = ask(node.authority(), "GET", "/game/page.js", &[("If-None-Match", known)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
    }
    let other = ask(node.authority(), "GET", "/game/page.js", &[("If-None-Match", "\"other\"")]).await;
    assert_eq!((other.status, other.body), (200, file.clone()));
    let head = ask(node.authority(), "HEAD", "/game/page.js", &[]).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some(file.len().to_string().as_str()));
    assert_eq!(ask(node.authority(), "POST", "/game/page.js", &[]).await.status, 405);
}

#[tokio::test]
async fn nothing_else_can_be_had() {
    let node = Node::start(NodeOptions::default()).await;
    let (players, operators) = (node.authority(), node.operators_authority());
    for path in [
        "/game",
        "/game/",
        "/game/..",
        "/game/../index.html",
        "/game/../../Cargo.toml",
        "/game/%2e%2e/%2e%2e/Cargo.toml",
        "/game//page.js",
        "/game/./page.js",
        "/game/page.js/",
        "/game/page.js%00",
        "/game/..\\index.html",
        "/../Cargo.toml",
        "//etc/passwd",
        "/index.html",
        "/sdk/",
        "/sdk/package.json",
        "/sdk/src",
        "/sdk/test/codec.test.js",
        "/game/test/rules.test.js",
        "/game/test/walk.json",
        "/sdk/node_modules/typescript/lib/typescript.js",
        "/nothing",
    ] {
        for authority in [players, operators] {
            let answer = get(authority, path).await;
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
            assert!(answer.error().contains("there is nothing here"), "{path}: {answer:?}");
        }
    }
    assert_eq!(get(players, "/inspector/index.html").await.status, 404);
    assert_eq!(get(operators, "/game/page.js").await.status, 404);
}
