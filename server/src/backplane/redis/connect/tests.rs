//! The verdict on servers that cannot be had for a test.

use super::*;

fn check(version: &str, maxmemory: &str, policy: &str) -> Result<Vec<Warning>, ConnectError> {
    let info = [
        ("redis_version", version),
        ("maxmemory", maxmemory),
        ("maxmemory_policy", policy),
        ("aof_enabled", "1"),
    ];
    let address = ConnectionAddr::Tcp("redis.example".to_owned(), 6379);
    judge(&address, Ok(info.into_iter().map(owned).collect()), Ok(String::new()))
}

#[test]
fn old_servers_are_refused_and_new_ones_taken() {
    for version in ["5.0.14", "6.0.20", "6.1.240", "2.8.0"] {
        let error = check(version, "0", "noeviction").unwrap_err();
        let text = format!("the Redis at redis.example:6379 is version {version}; 6.2 or newer is needed");
        assert_eq!(error.to_string(), text);
    }
    for version in ["6.2.0", "6.2.14", "7.0.15", "8.2.1", "10.0.0"] {
        assert_eq!(check(version, "0", "noeviction"), Ok(Vec::new()), "{version}");
    }
}

#[test]
fn a_limit_of_memory_is_good_only_without_eviction() {
    assert_eq!(check("7.0.15", "1048576", "noeviction"), Ok(Vec::new()));
    assert_eq!(check("7.0.15", "0", "allkeys-lru"), Ok(Vec::new()));
    for policy in ["allkeys-lru", "volatile-ttl"] {
        assert!(matches!(check("7.0.15", "1048576", policy), Err(ConnectError::Evicts { .. })), "{policy}");
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
