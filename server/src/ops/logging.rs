//! The log: to standard error, one line per event.
//!
//! | level | what |
//! |---|---|
//! | error | a match or the node cannot go on |
//! | warn | somebody should look: the store does not answer, a gap, a refused configuration |
//! | info | matches owned and given up, the node's start and end |
//! | debug | connections |

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging with a filter such as `info` or `tickcast_server=debug`; the error says what is wrong with it.
pub fn start(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        format!("--log {filter}: {error}; write error, warn, info, debug, or a filter: tickcast_server=debug")
    })?;
    // A second start in one process (a test) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    Ok(())
}
