//! The settings of the cluster's key: which it is, and how far the cluster is in using it.

use std::fmt;

use clap::Args;
use serde::Deserialize;

use super::BadSetting;
use crate::backplane::mac::{ClusterKeys, ClusterMac, MacPolicy};

/// As a person writes them; both may be left out. They hold a secret: no `Debug`.
#[derive(Clone, Default, Args, Deserialize)]
#[serde(default)]
pub struct RawCluster {
    /// Key by which the nodes of a cluster authenticate what they write to Redis, at least 32 characters, the same on all of them;
    /// while it is changed two of them, the newer one first and a comma between. In the environment or the file it is not in
    /// the list of processes [default: none, whoever may write to Redis is believed]
    #[arg(long, env = "TICKCAST_CLUSTER_KEY", value_name = "KEY[,KEY]", hide_env_values = true)]
    cluster_key: Option<String>,

    /// What is done with the cluster's key; for matches that must not end, all nodes take one step before any takes the next:
    /// accept, then sign, then require [default: require]
    #[arg(long, env = "TICKCAST_CLUSTER_MAC", value_name = "STEP")]
    cluster_mac: Option<MacPolicy>,
}

impl RawCluster {
    pub(super) fn or(self, file: RawCluster) -> RawCluster {
        RawCluster {
            cluster_key: self.cluster_key.or(file.cluster_key),
            cluster_mac: self.cluster_mac.or(file.cluster_mac),
        }
    }

    /// Checks them for a node that is in a cluster or not. The errors show no key.
    pub(super) fn check(self, in_cluster: bool) -> Result<Option<ClusterMac>, BadSetting> {
        let refuse = |text: &str| Err(BadSetting(text.to_owned()));
        match (keys(self.cluster_key).map_err(BadSetting)?, self.cluster_mac) {
            (None, None) => Ok(None),
            (None, Some(_)) => {
                refuse("--cluster-mac: there is no key to do that with; set TICKCAST_CLUSTER_KEY as well")
            }
            (Some(_), _) if !in_cluster => refuse(
                "--cluster-key: without a Redis nothing is written that it could authenticate; add --redis URL",
            ),
            (Some(keys), policy) => Ok(Some(ClusterMac { keys, policy: policy.unwrap_or_default() })),
        }
    }
}

/// Where a command for operators has the cluster's key from.
#[derive(Clone, Default, Args)]
pub struct ClusterKeyArgs {
    /// The cluster's key, if it has one, as its nodes have it
    #[arg(long, env = "TICKCAST_CLUSTER_KEY", value_name = "KEY[,KEY]", hide_env_values = true)]
    cluster_key: Option<String>,
}

impl ClusterKeyArgs {
    /// What is done with it: what has no code is read as well, for so it is while a cluster begins to use its key.
    pub fn mac(&self) -> Result<Option<ClusterMac>, String> {
        let keys = keys(self.cluster_key.clone())?;
        Ok(keys.map(|keys| ClusterMac { keys, policy: MacPolicy::Sign }))
    }
}

impl fmt::Debug for ClusterKeyArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKeyArgs(..)")
    }
}

fn keys(text: Option<String>) -> Result<Option<ClusterKeys>, String> {
    let keys = text.filter(|text| !text.is_empty()).map(|text| text.parse()).transpose();
    keys.map_err(|bad| format!("--cluster-key: {bad}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn check(file: &str, in_cluster: bool) -> Result<Option<MacPolicy>, String> {
        let raw: RawCluster = toml::from_str(file).expect("a file");
        raw.check(in_cluster).map(|mac| mac.map(|mac| mac.policy)).map_err(|error| error.0)
    }

    #[test]
    fn a_key_comes_with_a_cluster_and_a_step_with_a_key() {
        let key = format!("cluster_key = \"{KEY}\"\n");
        assert_eq!(check("", true), Ok(None));
        assert_eq!(check("cluster_key = \"\"", false), Ok(None));
        assert_eq!(check(&key, true), Ok(Some(MacPolicy::Require)));
        assert_eq!(check(&format!("{key}cluster_mac = \"accept\""), true), Ok(Some(MacPolicy::Accept)));
        assert_eq!(check(&format!("cluster_key = \"{KEY},{KEY}\""), true), Ok(Some(MacPolicy::Require)));
        let refused = |file: &str, in_cluster| check(file, in_cluster).unwrap_err();
        assert!(refused("cluster_mac = \"sign\"", true).contains("TICKCAST_CLUSTER_KEY"));
        assert!(refused(&key, false).contains("--redis"));
        let short = refused("cluster_key = \"secret\"", true);
        assert!(short.contains("at least 32") && !short.contains("secret"), "{short}");
        let three = refused(&format!("cluster_key = \"{KEY},{KEY},{KEY}\""), true);
        assert!(three.contains("one or two keys") && !three.contains(KEY), "{three}");
    }

    #[test]
    fn a_key_is_never_shown() {
        let keys: ClusterKeys = KEY.parse().unwrap();
        let args = ClusterKeyArgs { cluster_key: Some(KEY.to_owned()) };
        let shown = format!("{keys:?} {args:?} {:?}", args.mac());
        assert!(!shown.contains(&KEY[..8]), "{shown}");
    }
}
