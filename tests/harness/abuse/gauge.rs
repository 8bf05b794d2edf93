//! What the system tells of a process: its memory, its time on a core, and how long it waited for one.

use std::fs;

/// Units of CPU time per second in `/proc/stat`: a constant of Linux.
const UNITS_PER_SECOND: u64 = 100;

/// Times of a process's threads, nanoseconds; of those that it has, not of those that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// On a core.
    pub cpu_ns: u64,
    /// Able to run, and waiting for a core.
    pub waited_ns: u64,
    /// How often it came to a core.
    pub turns: u64,
}

impl Times {
    /// What has come since.
    #[must_use]
    pub fn since(self, before: Times) -> Times {
        Times {
            cpu_ns: self.cpu_ns.saturating_sub(before.cpu_ns),
            waited_ns: self.waited_ns.saturating_sub(before.waited_ns),
            turns: self.turns.saturating_sub(before.turns),
        }
    }

    /// Two processes together.
    #[must_use]
    pub fn plus(self, other: Times) -> Times {
        Times {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            waited_ns: self.waited_ns + other.waited_ns,
            turns: self.turns + other.turns,
        }
    }

    /// How long it waited for a core each time, on average; microseconds.
    pub fn wait_us(self) -> f64 {
        self.waited_ns as f64 / 1000.0 / self.turns.max(1) as f64
    }
}

/// Resident memory of a process, kilobytes.
///
/// # Panics
/// When there is no such process.
pub fn resident_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kb.expect("the system tells the memory of a process")
}

/// Times of a process until now.
///
/// # Panics
/// When there is no such process.
pub fn times(pid: u32) -> Times {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there");
    // A thread may end while it is looked at.
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
    texts.filter_map(|text| parse(&text)).fold(Times::default(), Times::plus)
}

/// How long the host has kept this core for others, nanoseconds; 0 where it does not tell.
pub fn stolen_ns(core: usize) -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("cpu{core} ")));
    let stolen = line.and_then(|line| line.split_whitespace().nth(7)?.parse::<u64>().ok());
    stolen.unwrap_or(0) * 1_000_000_000 / UNITS_PER_SECOND
}

fn parse(schedstat: &str) -> Option<Times> {
    let mut numbers = schedstat.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Times { cpu_ns: next()?, waited_ns: next()?, turns: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_writes_is_read() {
        let read = parse("2500000 40000 8\n").unwrap();
        assert_eq!(read, Times { cpu_ns: 2_500_000, waited_ns: 40_000, turns: 8 });
        assert_eq!(parse("1 2"), None);
        assert!((read.wait_us() - 5.0).abs() < 1e-9);
        let own = std::process::id();
        assert!(resident_kb(own) > 100 && times(own).cpu_ns > 0);
    }
}
