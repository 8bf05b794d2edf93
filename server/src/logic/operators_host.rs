//! Under which names the operators' port may be asked. A page of another site can make its own name lead to this port
//! (DNS rebinding), but then the request tells that name.

use std::net::{IpAddr, SocketAddr};

/// Whether a request that tells this host came to the operators' port under a name of its own: a loopback name or
/// address, the address that it listens on, or one of `names`. Where it listens on all addresses, each may be its own;
/// an address is no name that somebody could make lead here.
pub fn admits(listen: SocketAddr, names: &[String], host: &str) -> bool {
    let name = without_port(host);
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address == listen.ip().to_canonical() || listen.ip().is_unspecified()
        }
        Err(_) => {
            let is = |own: &str| name.eq_ignore_ascii_case(own);
            is("localhost") || names.iter().any(|own| is(own) || host.eq_ignore_ascii_case(own))
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_and_addresses_and_no_others() {
        let names = vec!["ops.example.org".to_owned()];
        let loopback: SocketAddr = "127.0.0.1:7778".parse().expect("an address");
        let good = ["127.0.0.1:7778", "127.0.0.2", "localhost:7778", "LOCALHOST", "[::1]:7778", "[::1]"];
        for host in good.iter().chain(&["ops.example.org", "Ops.example.org:7778"]) {
            assert!(admits(loopback, &names, host), "{host}");
        }
        let bad = [
            "",
            "evil.test",
            "evil.test:7778",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "ops.example.org.evil.test",
            "10.0.0.1",
            "192.0.2.1:7778",
            "localhost:7778:x",
        ];
        for host in bad {
            assert!(!admits(loopback, &names, host), "{host}");
        }
        let private: SocketAddr = "10.0.0.1:7778".parse().expect("an address");
        assert!(admits(private, &[], "10.0.0.1:7778") && !admits(private, &[], "10.0.0.2:7778"));
        let all: SocketAddr = "0.0.0.0:7778".parse().expect("an address");
        assert!(admits(all, &[], "10.0.0.2:7778") && !admits(all, &[], "evil.test"));
    }
}
