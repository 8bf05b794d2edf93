//! How many files the system lets this process have open, each connection being one: as many as it may, and what to do
//! about it when they are too few for the connections that the node is to take.

/// Files that a node has open besides its sockets for clients: listeners, Redis, threads that are woken.
const OTHERS: u64 = 512;

/// Raises the limit (`ulimit -Sn`) to what this process may raise it to (`ulimit -Hn`). A complaint where that is too little
/// for so many connections.
pub fn raise_limit(connections_max: usize) -> Result<(), String> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| format!("the system does not let this process have more open files: {error}"))?;
    complaint(limit, connections_max).map_or(Ok(()), Err)
}

/// How many sockets for clients fit, where the system tells.
pub fn sockets_max() -> Option<usize> {
    let (limit, _) = rlimit::getrlimit(rlimit::Resource::NOFILE).ok()?;
    usize::try_from(fit(limit)).ok()
}

/// Where there are very few files, half of them are for clients.
fn fit(limit: u64) -> u64 {
    limit.saturating_sub(OTHERS).max(limit / 2)
}

fn complaint(limit: u64, connections_max: usize) -> Option<String> {
    let (wanted, fit) = (connections_max as u64 + OTHERS, fit(limit));
    (limit < wanted).then(|| {
        format!(
            "--connections-max {connections_max} does not fit: this process may have {limit} open files, so it takes \
             {fit} connections. Let it have {wanted} (`ulimit -Hn`, LimitNOFILE= of systemd), or lower --connections-max"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_with_what_would() {
        assert_eq!(complaint(10_512, 10_000), None);
        let told = complaint(10_511, 10_000).unwrap();
        for part in ["--connections-max 10000", "10511 open files", "takes 9999 connections", "have 10512"] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert_eq!((fit(100), fit(2_000)), (50, 1_488));
    }
}
