//! How many files the system lets this process have open, each connection being one: as many as it may, and what to do
//! about it when they are too few for the connections that the node is to take.

/// Files that a node has open besides its connections: listeners, Redis, requests over HTTP, threads that are woken.
const OTHERS: u64 = 512;

/// Raises the limit (`ulimit -Sn`) to what this process may raise it to (`ulimit -Hn`). A complaint when that is too little.
pub fn raise_limit(connections_max: usize) -> Result<(), String> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| format!("the system does not let this process have more open files: {error}"))?;
    check(limit, connections_max)
}

fn check(limit: u64, connections_max: usize) -> Result<(), String> {
    let wanted = connections_max as u64 + OTHERS;
    if limit >= wanted {
        return Ok(());
    }
    let fit = limit.saturating_sub(OTHERS);
    Err(format!(
        "--connections-max {connections_max} does not fit: this process may have {limit} open files, which is enough for \
         {fit} connections. Let it have {wanted} (`ulimit -Hn`, LimitNOFILE= of systemd), or lower --connections-max"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_with_what_would() {
        assert_eq!(check(10_512, 10_000), Ok(()));
        let told = check(10_511, 10_000).unwrap_err();
        for part in ["--connections-max 10000", "10511 open files", "9999 connections", "have 10512"] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(check(100, 1).unwrap_err().contains("for 0 connections"));
    }
}
