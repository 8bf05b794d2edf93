//! The progress bar, on standard error while somebody looks.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::swarm::Pulse;

/// First joining, then measuring, as one bar after the other.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    seconds: u64,
}

impl Progress {
    /// A bar for a run of this many measured seconds; hidden when `quiet` or when there is no terminal.
    pub fn new(seconds: u32, quiet: bool) -> Progress {
        let hidden = quiet || !stderr().is_terminal();
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{prefix:9} {bar:40} {pos}/{len} {msg}");
        bar.set_style(style.expect("the template is well-formed"));
        Progress { bar, seconds: u64::from(seconds) }
    }

    /// Shows how far the run is.
    pub fn show(&self, pulse: Pulse) {
        let joining = pulse.measured.is_zero();
        let (prefix, position, length, unit) = match joining {
            true => ("joining", pulse.joined, pulse.planned, "bots"),
            false => ("measuring", pulse.measured.as_secs(), self.seconds, "s"),
        };
        self.bar.set_prefix(prefix);
        self.bar.set_length(length);
        self.bar.set_position(position);
        self.bar.set_message(match pulse.failed {
            0 => unit.to_owned(),
            failed => format!("{unit}, {failed} failed"),
        });
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
