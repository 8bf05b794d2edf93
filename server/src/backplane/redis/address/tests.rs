//! What is taken, and what is refused with a reason.

use super::*;

fn parse(url: &str) -> Result<Address, ConnectError> {
    Address::parse(url, &SecurityFiles::default(), Timing::default())
}

fn shown(addresses: &[HostPort]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn sentinels_and_clusters_are_told_from_one_server() {
    assert!(matches!(parse("redis://u:p@host:1/2"), Ok(Address::Single(_))));
    match parse("redis+sentinel://u:p%40ss@a:1,[::1]:2,c:3/matches/4") {
        Ok(Address::Sentinels { name, sentinels, login }) => {
            assert_eq!(
                (name.as_str(), shown(&sentinels)),
                ("matches", ["a:1", "[::1]:2", "c:3"].map(str::to_owned).to_vec())
            );
            let settings = login.info.redis_settings();
            assert_eq!(
                (settings.username(), settings.password(), settings.db()),
                (Some("u"), Some("p@ss"), 4)
            );
            assert_eq!(login.auth(), Some(vec!["u".to_owned(), "p@ss".to_owned()]));
            assert_eq!(login.anonymous().auth(), None);
        }
        other => panic!("{other:?}"),
    }
    match parse("redis+cluster://:secret@a:1,b:2/") {
        Ok(Address::Cluster { seeds, login }) => {
            assert_eq!(shown(&seeds), ["a:1", "b:2"]);
            assert_eq!(login.auth(), Some(vec!["secret".to_owned()]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_malformed_address_is_explained_without_its_password() {
    for (url, reason) in [
        ("redis+sentinel://u:secret@a:1", "the name of the primary is missing"),
        ("redis+sentinel://u:secret@a:1/", "the name of the primary is missing"),
        ("redis+sentinel://u:secret@a:1/m/x", "database"),
        ("redis+sentinel://u:secret@a,b:1/m", "`a` is not host:port"),
        ("redis+sentinel://u:secret@/m", "`` is not host:port"),
        ("redis+cluster://u:secret@a:1,,b:2", "`` is not host:port"),
        ("redis+cluster://u:secret@a:0", "`a:0` is not host:port"),
        ("redis+cluster://u:secret@a:b:1", "`a:b:1` is not host:port"),
        ("redis+cluster://u:secret@a:1/3", "a cluster has no databases"),
    ] {
        let Err(error) = parse(url) else { panic!("{url} was taken") };
        let text = error.to_string();
        assert!(text.to_lowercase().contains(reason) && !text.contains("secret"), "{url}: {text}");
        assert!(text.contains("redis+cluster://[user:password@]host:port,host:port"), "{text}");
    }
}

#[test]
fn a_shown_address_has_no_password() {
    for (url, shown) in [
        ("redis://user:pass@host:1", "redis://...@host:1"),
        ("redis://:p@ss@host", "redis://...@host"),
        ("user:pass@host", "...@host"),
        ("redis://host", "redis://host"),
    ] {
        assert_eq!(without_password(url), shown);
    }
}
