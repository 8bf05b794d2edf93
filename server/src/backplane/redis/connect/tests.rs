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
    judge(&address, Ok(info.into_iter().map(owned).collect()), Ok(String::new()), Expected::Single)
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
fn a_cluster_is_told_from_a_single_server() {
    let address = ConnectionAddr::Tcp("redis.example".to_owned(), 6379);
    let judged = |version: &str, enabled: &str, expected| {
        let info = [
            ("redis_version", version),
            ("cluster_enabled", enabled),
            ("aof_enabled", "1"),
            ("maxmemory", "0"),
        ];
        judge(&address, Ok(info.into_iter().map(owned).collect()), Ok(String::new()), expected)
    };
    assert_eq!(judged("7.0.15", "1", Expected::ClusterNode), Ok(Vec::new()));
    assert_eq!(judged("6.2.14", "0", Expected::Single), Ok(Vec::new()));
    let old = judged("6.2.14", "1", Expected::ClusterNode).unwrap_err().to_string();
    assert!(old.contains("7.0 or newer"), "{old}");
    let text = judged("7.0.15", "1", Expected::Single).unwrap_err().to_string();
    assert!(text.contains("is a node of a Redis Cluster; write redis+cluster://"), "{text}");
    let text = judged("7.0.15", "0", Expected::ClusterNode).unwrap_err().to_string();
    assert!(text.contains("is not a node of a Redis Cluster; write redis://"), "{text}");
}
