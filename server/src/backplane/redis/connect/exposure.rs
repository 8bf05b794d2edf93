//! What a Redis on another machine should be warned of: that it lets anybody in, and that it has holes which newer ones
//! have not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use redis::ConnectionAddr;

use super::{Warning, parse_version};

/// The versions in which CVE-2025-49844, CVE-2025-46817, CVE-2025-46818 (scripts) and CVE-2025-21605 (memory that grows before
/// the login) are mended, of each line of releases, by the project's own advisories; later lines never had them.
const MENDED: [(u32, u32, u32); 5] = [(6, 2, 20), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)];

/// What to warn of. Who reaches only this machine's own addresses is on it already.
pub(super) fn warnings(
    address: &ConnectionAddr,
    has_login: bool,
    info: &BTreeMap<String, String>,
) -> Vec<Warning> {
    let (is_near, is_plain) = match address {
        ConnectionAddr::Tcp(host, _) => (is_loopback(host), true),
        ConnectionAddr::TcpTls { host, .. } => (is_loopback(host), false),
        _ => (true, false),
    };
    if is_near {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    if is_plain && !has_login {
        warnings.push(Warning::Open { address: address.to_string() });
    }
    let version = info.get("redis_version").map_or("", String::as_str);
    // Others count their versions otherwise, and say this one for clients only.
    if !info.contains_key("valkey_version") && is_open_to_known_attacks(version) {
        warnings.push(Warning::Unmended { version: version.to_owned() });
    }
    warnings
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_open_to_known_attacks(version: &str) -> bool {
    let Some((major, minor)) = parse_version(version) else { return false };
    let patch = version.split('.').nth(2).and_then(|patch| patch.parse().ok()).unwrap_or(0);
    match MENDED.iter().find(|(line, sub, _)| (*line, *sub) == (major, minor)) {
        Some((_, _, mended)) => patch < *mended,
        None => MENDED.last().is_some_and(|(line, sub, _)| (major, minor) < (*line, *sub)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(address: ConnectionAddr, has_login: bool, version: &str) -> Vec<Warning> {
        let info = BTreeMap::from([("redis_version".to_owned(), version.to_owned())]);
        warnings(&address, has_login, &info)
    }

    fn at(host: &str) -> ConnectionAddr {
        ConnectionAddr::Tcp(host.to_owned(), 6379)
    }

    #[test]
    fn a_server_elsewhere_that_lets_anybody_in_is_told_of() {
        for near in ["127.0.0.1", "127.0.1.9", "::1", "localhost"] {
            assert_eq!(told(at(near), false, "6.2.0"), [], "{near}");
        }
        for far in ["10.0.0.7", "redis", "redis.example", "::2"] {
            let [Warning::Open { address }] = &told(at(far), false, "8.2.2")[..] else { panic!("{far}") };
            assert!(address.contains(far), "{address}");
            assert_eq!(told(at(far), true, "8.2.2"), [], "with a login");
        }
    }

    #[test]
    fn versions_with_known_holes_are_told_of() {
        let is_told = |version: &str| !told(at("redis"), true, version).is_empty();
        for old in ["6.2.19", "7.0.15", "7.2.10", "7.4.5", "8.0.3", "8.2.1", "7.3.240"] {
            assert!(is_told(old), "{old}");
        }
        for mended in ["6.2.20", "7.2.11", "7.4.6", "8.0.4", "8.2.2", "8.4.0", "9.0.0", ""] {
            assert!(!is_told(mended), "{mended}");
        }
        let info = ["redis_version", "valkey_version"].map(|name| (name.to_owned(), "7.2.4".to_owned()));
        assert_eq!(warnings(&at("redis"), true, &BTreeMap::from(info)), []);
    }
}
