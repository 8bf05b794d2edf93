//! The settings of what the node is exposed to: limits for those who connect, which pages and proxies are trusted, and
//! who may ask the operators' port.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::BadSetting;
use crate::logic::admission::AdmissionLimits;
use crate::logic::forwarded::Network;
use crate::logic::origin::AllowedOrigins;
use crate::logic::strikes::StrikeLimits;

/// Bytes per second of a connection that no setting goes below: twice the largest frame that a client may send.
const BYTES_PER_SECOND_MIN: u32 = 2 * tickcast_protocol::limits::CLIENT_FRAME_BYTES_MAX as u32;
/// Largest number that a limit takes.
const COUNT_MAX: u32 = 1_000_000;
/// Most strikes: each that counts is remembered.
const STRIKES_MAX: u32 = 100;
/// Longest time for which one counts, minutes.
const STRIKE_MINUTES_MAX: u32 = 24 * 60;
/// Longest time for an answer, seconds.
const ANSWER_SECONDS_MAX: u32 = 3600;

/// As a person writes them; everything may be left out.
#[derive(Clone, Default, Args, Deserialize)]
#[serde(default)]
pub struct RawExposure {
    /// Connections of one address (of IPv6, the first 64 bits) at most; further ones are answered with HTTP 429. 0 is no
    /// limit [default: 64]
    #[arg(long, env = "TICKCAST_CONNECTIONS_PER_IP", value_name = "COUNT")]
    connections_per_ip: Option<u32>,

    /// Connections of one account on this node, to play and to watch; further ones are closed with 4507. In one match a newer
    /// one to play takes the place of the older. Guests have no account. 0 is no limit [default: 2]
    #[arg(long, env = "TICKCAST_CONNECTIONS_PER_ACCOUNT", value_name = "COUNT")]
    connections_per_account: Option<u32>,

    /// New connections and matches of one address per second, with a burst of as many as it may have connections; then
    /// HTTP 429. 0 is no limit [default: 10]
    #[arg(long, env = "TICKCAST_JOINS_PER_SECOND", value_name = "COUNT")]
    joins_per_second: Option<u32>,

    /// HTTP requests of one address per second, with a burst of four times as many; then HTTP 429. 0 is no limit
    /// [default: 100]
    #[arg(long, env = "TICKCAST_REQUESTS_PER_SECOND", value_name = "COUNT")]
    requests_per_second: Option<u32>,

    /// New connections of all addresses per second, with a burst of as many; then HTTP 503. 0 is no limit [default: 500]
    #[arg(long, env = "TICKCAST_ACCEPTS_PER_SECOND", value_name = "COUNT")]
    accepts_per_second: Option<u32>,

    /// Whether clients on this very machine are limited as others are [default: false]
    #[arg(long, env = "TICKCAST_LIMIT_LOOPBACK", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    limit_loopback: Option<bool>,

    /// Bytes per second that a connection may send, whatever they are, with a burst of a second's worth; more where the
    /// inputs of its match need more; then it is closed with 4005 [default: 8192]
    #[arg(long, env = "TICKCAST_BYTES_PER_SECOND", value_name = "BYTES")]
    bytes_per_second: Option<u32>,

    /// Times that an account, or a guest's address, may be closed with 4005 within --strike-minutes; the last of them is 4508,
    /// for good. 0 is no limit [default: 3]
    #[arg(long, env = "TICKCAST_STRIKES", value_name = "COUNT")]
    strikes: Option<u32>,

    /// Minutes for which a close with 4005 counts for --strikes [default: 10]
    #[arg(long, env = "TICKCAST_STRIKE_MINUTES", value_name = "MINUTES")]
    strike_minutes: Option<u32>,

    /// Seconds that a client may take to read an HTTP answer, however long it is; then the connection is closed
    /// [default: 30]
    #[arg(long, env = "TICKCAST_ANSWER_SECONDS", value_name = "SECONDS")]
    answer_seconds: Option<u32>,

    /// Origins of pages that may connect, for example `https://play.example.org`, with commas between; `*` is any. Programs
    /// that are no browser tell none and may connect anyway [default: the host that the page asks]
    #[arg(long, env = "TICKCAST_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    allow_origin: Vec<String>,

    /// Proxies whose `X-Forwarded-For` is believed, as addresses or ranges such as 10.0.0.0/8, with commas between
    /// [default: none]
    #[arg(long, env = "TICKCAST_TRUST_PROXY", value_name = "ADDR[/BITS]", value_delimiter = ',')]
    trust_proxy: Vec<String>,

    /// Names under which the operators' port may be asked, besides loopback names and the address that it listens on,
    /// with commas between [default: none]
    #[arg(long, env = "TICKCAST_OPS_HOST", value_name = "NAME", value_delimiter = ',')]
    ops_host: Vec<String>,

    /// Whether the operators' port may listen on an address that is not loopback without --operator-token, and be read
    /// there by anybody [default: false]
    #[arg(long, env = "TICKCAST_OPS_OPEN", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    ops_open: Option<bool>,

    /// Whether reading the operators' port needs --operator-token also on loopback; /healthz and /readyz never do
    /// [default: false]
    #[arg(long, env = "TICKCAST_OPS_PRIVATE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    ops_private: Option<bool>,
}

/// What the node is exposed to, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// How much is let in, were there sockets without end.
    pub admission: AdmissionLimits,
    /// Connections of one account; 0 is no limit.
    pub connections_per_account: u32,
    /// Bytes per second that every connection may send.
    pub bytes_per_second: u32,
    /// How often somebody may be too fast.
    pub strikes: StrikeLimits,
    /// How long a client may take to read an HTTP answer.
    pub answer_within: Duration,
    /// The pages that may connect.
    pub origins: AllowedOrigins,
    /// The proxies that are believed.
    pub proxies: Vec<Network>,
    /// Further names of the operators' port.
    pub ops_names: Vec<String>,
    /// Whether reading the operators' port needs the token.
    pub ops_private: bool,
}

impl RawExposure {
    pub(super) fn or(self, file: RawExposure) -> RawExposure {
        let list = |own: Vec<String>, file: Vec<String>| if own.is_empty() { file } else { own };
        RawExposure {
            connections_per_ip: self.connections_per_ip.or(file.connections_per_ip),
            connections_per_account: self.connections_per_account.or(file.connections_per_account),
            joins_per_second: self.joins_per_second.or(file.joins_per_second),
            requests_per_second: self.requests_per_second.or(file.requests_per_second),
            accepts_per_second: self.accepts_per_second.or(file.accepts_per_second),
            limit_loopback: self.limit_loopback.or(file.limit_loopback),
            bytes_per_second: self.bytes_per_second.or(file.bytes_per_second),
            strikes: self.strikes.or(file.strikes),
            strike_minutes: self.strike_minutes.or(file.strike_minutes),
            answer_seconds: self.answer_seconds.or(file.answer_seconds),
            allow_origin: list(self.allow_origin, file.allow_origin),
            trust_proxy: list(self.trust_proxy, file.trust_proxy),
            ops_host: list(self.ops_host, file.ops_host),
            ops_open: self.ops_open.or(file.ops_open),
            ops_private: self.ops_private.or(file.ops_private),
        }
    }

    /// Checks them for an operators' port at this address that knows a token or does not.
    pub(super) fn check(self, ops_listen: SocketAddr, has_token: bool) -> Result<Exposure, BadSetting> {
        let within = |name, value, default, min| between(name, value, default, min, COUNT_MAX);
        let is_local = ops_listen.ip().to_canonical().is_loopback();
        let is_open = self.ops_open.unwrap_or(false);
        if !is_local && !has_token && !is_open {
            return Err(BadSetting(format!(
                "--ops-listen {ops_listen}: others than this machine would see and read everything; set --operator-token \
                 (16 characters or more), or say --ops-open if only whom you trust can reach that address"
            )));
        }
        let ops_private = self.ops_private.unwrap_or(!is_local && !is_open);
        if ops_private && !has_token {
            return Err(BadSetting(
                "--ops-private: set --operator-token, which reading then needs".to_owned(),
            ));
        }
        let strike_minutes = between("strike-minutes", self.strike_minutes, 10, 1, STRIKE_MINUTES_MAX)?;
        let answer_seconds = between("answer-seconds", self.answer_seconds, 30, 1, ANSWER_SECONDS_MAX)?;
        let origins = AllowedOrigins::new(self.allow_origin);
        let proxies = self.trust_proxy.iter().filter(|text| !text.is_empty()).map(|text| text.parse());
        Ok(Exposure {
            admission: AdmissionLimits {
                connections_per_ip: within("connections-per-ip", self.connections_per_ip, 64, 0)?,
                joins_per_second: within("joins-per-second", self.joins_per_second, 10, 0)?,
                requests_per_second: within("requests-per-second", self.requests_per_second, 100, 0)?,
                accepts_per_second: within("accepts-per-second", self.accepts_per_second, 500, 0)?,
                loopback: self.limit_loopback.unwrap_or(false),
                ..AdmissionLimits::unlimited()
            },
            connections_per_account: within("connections-per-account", self.connections_per_account, 2, 0)?,
            bytes_per_second: within("bytes-per-second", self.bytes_per_second, 8192, BYTES_PER_SECOND_MIN)?,
            strikes: StrikeLimits {
                times: between("strikes", self.strikes, 3, 0, STRIKES_MAX)?,
                within: Duration::from_secs(60 * u64::from(strike_minutes)),
            },
            answer_within: Duration::from_secs(answer_seconds.into()),
            origins: origins.map_err(|wrong| BadSetting(format!("--allow-origin: {wrong}")))?,
            proxies: proxies
                .collect::<Result<_, String>>()
                .map_err(|wrong| BadSetting(format!("--trust-proxy: {wrong}")))?,
            ops_names: self.ops_host.into_iter().filter(|name| !name.is_empty()).collect(),
            ops_private,
        })
    }
}

/// A number within its bounds; the error names them.
fn between(name: &str, value: Option<u32>, default: u32, min: u32, max: u32) -> Result<u32, BadSetting> {
    match value.unwrap_or(default) {
        value if (min..=max).contains(&value) => Ok(value),
        value => Err(BadSetting(format!("--{name} {value}: it is {min} to {max}"))),
    }
}

impl Default for Exposure {
    fn default() -> Exposure {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        RawExposure::default().check(loopback, false).expect("the defaults fit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, ops_listen: &str, has_token: bool) -> Result<Exposure, String> {
        let raw: RawExposure = toml::from_str(file).expect("a file");
        raw.check(ops_listen.parse().expect("an address"), has_token).map_err(|error| error.0)
    }

    #[test]
    fn an_operators_port_that_others_reach_needs_a_token_or_a_word() {
        let refused = check("", "0.0.0.0:7778", false).unwrap_err();
        assert!(refused.contains("--operator-token") && refused.contains("--ops-open"), "{refused}");
        assert!(check("", "0.0.0.0:7778", true).unwrap().ops_private);
        assert!(!check("ops_open = true", "0.0.0.0:7778", false).unwrap().ops_private);
        assert!(!check("ops_open = true", "10.0.0.1:7778", true).unwrap().ops_private);
        for loopback in ["127.0.0.1:7778", "[::1]:7778", "[::ffff:127.0.0.1]:7778"] {
            assert!(!check("", loopback, true).unwrap().ops_private, "{loopback}");
        }
        assert!(check("ops_private = true", "127.0.0.1:7778", true).unwrap().ops_private);
        assert!(check("ops_private = true", "127.0.0.1:7778", false).is_err());
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        let refused = |file: &str| check(file, "127.0.0.1:7778", false).unwrap_err();
        assert!(refused("bytes_per_second = 100").contains("2048 to"));
        assert!(refused("strikes = 101").contains("0 to 100"));
        assert!(refused("answer_seconds = 0").contains("1 to 3600"));
        assert!(refused("trust_proxy = [\"10.0.0.0/40\"]").contains("--trust-proxy: `10.0.0.0/40`"));
        assert!(refused("allow_origin = [\"example.org\"]").contains("--allow-origin: `example.org`"));
        let all =
            check("allow_origin = [\"https://a.test\"]\nconnections_per_ip = 0", "127.0.0.1:7778", false);
        let all = all.unwrap();
        assert_eq!((all.admission.connections_per_ip, all.admission.accepts_per_second), (0, 500));
        assert_eq!(all.connections_per_account, 2);
        assert!(refused("connections_per_account = 1000001").contains("--connections-per-account 1000001"));
        assert_eq!(all.origins, AllowedOrigins::Listed(vec!["https://a.test".to_owned()]));
    }
}
