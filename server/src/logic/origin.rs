//! Which pages may connect: browsers tell the origin of the page, and it must be one that is allowed, letter by letter.

use std::fmt;

/// The pages that may connect. Programs that are no browser tell no origin, and are not asked for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Those of the very host that is asked.
    #[default]
    SameHost,
    /// These and no others.
    Listed(Vec<String>),
    /// All.
    Any,
}

impl AllowedOrigins {
    /// Takes in what an operator writes; `*` is any, nothing is the same host. The error says what would be right.
    pub fn new(listed: Vec<String>) -> Result<AllowedOrigins, String> {
        let listed: Vec<String> = listed.into_iter().filter(|origin| !origin.is_empty()).collect();
        if listed.iter().any(|origin| origin == "*") {
            return Ok(AllowedOrigins::Any);
        }
        if let Some(wrong) = listed.iter().find(|origin| authority(origin).is_none()) {
            return Err(format!("`{wrong}` is no origin, such as https://play.example.org, and not `*`"));
        }
        Ok(if listed.is_empty() { AllowedOrigins::SameHost } else { AllowedOrigins::Listed(listed) })
    }

    /// Whether a page of this origin may connect, which asked this host.
    pub fn admits(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            AllowedOrigins::Any => true,
            AllowedOrigins::Listed(listed) => listed.iter().any(|allowed| allowed == origin),
            AllowedOrigins::SameHost => {
                let (Some((port, own)), Some(host)) = (authority(origin), host) else { return false };
                let bare = |name: &str| name.strip_suffix(port).unwrap_or(name).to_ascii_lowercase();
                bare(own) == bare(host)
            }
        }
    }
}

impl fmt::Display for AllowedOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AllowedOrigins::SameHost => f.write_str("the same host"),
            AllowedOrigins::Listed(listed) => f.write_str(&listed.join(", ")),
            AllowedOrigins::Any => f.write_str("any"),
        }
    }
}

/// Host and port of an origin, and how the port is written that its scheme means anyway.
fn authority(origin: &str) -> Option<(&'static str, &str)> {
    let (port, authority) = match origin.split_once("://")? {
        ("http", authority) => (":80", authority),
        ("https", authority) => (":443", authority),
        _ => return None,
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
    (!authority.is_empty() && authority.chars().all(fits)).then_some((port, authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(origins: &[&str]) -> AllowedOrigins {
        AllowedOrigins::new(origins.iter().map(ToString::to_string).collect()).expect("origins")
    }

    #[test]
    fn the_same_host_is_that_and_nothing_like_it() {
        let same = AllowedOrigins::default();
        assert!(same.admits(None, Some("play.example.org")), "not a browser");
        let good = [
            ("https://play.example.org", "play.example.org"),
            ("https://play.example.org", "play.example.org:443"),
            ("https://play.example.org:443", "play.example.org"),
            ("http://Play.example.org", "play.example.org:80"),
            ("http://127.0.0.1:7777", "127.0.0.1:7777"),
            ("http://[::1]:7777", "[::1]:7777"),
        ];
        for (origin, host) in good {
            assert!(same.admits(Some(origin), Some(host)), "{origin} at {host}");
        }
        let bad = [
            "null",
            "",
            "https://play.example.org.evil.test",
            "https://evilplay.example.org",
            "https://example.org",
            "https://play.example.org:444",
            "http://play.example.org:443",
            "ftp://play.example.org",
            "https://play.example.org/",
            "https://play.example.org@evil.test",
            "https://evil.test#play.example.org",
            "play.example.org",
            "https://",
        ];
        for origin in bad {
            assert!(!same.admits(Some(origin), Some("play.example.org")), "{origin}");
        }
        assert!(!same.admits(Some("https://play.example.org"), None));
    }

    #[test]
    fn a_list_is_exact() {
        let list = listed(&["https://game.test", "https://beta.game.test:8443"]);
        assert!(list.admits(Some("https://game.test"), Some("eu1.node.test")));
        assert!(list.admits(Some("https://beta.game.test:8443"), None));
        assert!(list.admits(None, None));
        let bad = ["https://game.test.evil.test", "http://game.test", "https://game.test:443", "null", "*"];
        for origin in bad.iter().chain(&["https://xgame.test", "https://eu1.node.test", "https://GAME.test"])
        {
            assert!(!list.admits(Some(origin), Some("eu1.node.test")), "{origin}");
        }
        assert!(listed(&["https://game.test", "*"]).admits(Some("null"), None));
        for wrong in ["null", "game.test", "https://game.test/", "https://*.game.test"] {
            assert!(AllowedOrigins::new(vec![wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert_eq!(listed(&[""]), AllowedOrigins::SameHost);
    }
}
