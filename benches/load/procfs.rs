//! What Linux tells of a process and of the machine, read from `/proc`.

use std::fs;
use std::io;

use serde::Serialize;

/// Units of CPU time per second in `/proc`: a constant of Linux, whatever the kernel's own clock.
const UNITS_PER_SECOND: u64 = 100;
/// Bytes of a page where `/proc` counts in pages, on the machines that servers run on.
const PAGE_BYTES: u64 = 4096;

/// CPU time, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct CpuTime {
    /// In the program.
    pub(crate) user: u64,
    /// In the kernel on its behalf.
    pub(crate) system: u64,
}

impl CpuTime {
    /// What was spent since.
    pub(crate) fn since(self, before: CpuTime) -> CpuTime {
        let CpuTime { user, system } = before;
        CpuTime { user: self.user.saturating_sub(user), system: self.system.saturating_sub(system) }
    }

    /// Both.
    pub(crate) fn total(self) -> u64 {
        self.user + self.system
    }

    /// The same parts of a sum that is known better; one that is less lacks something.
    fn refined(self, sum: u64) -> CpuTime {
        match self.total() {
            0 => CpuTime { user: 0, system: sum },
            total if sum <= total => self,
            total => {
                let user = (self.user as f64 * sum as f64 / total as f64) as u64;
                CpuTime { user, system: sum - user }
            }
        }
    }

    /// Two processes together.
    pub(crate) fn plus(self, other: CpuTime) -> CpuTime {
        CpuTime { user: self.user + other.user, system: self.system + other.system }
    }
}

/// How long a core was busy and how long the host kept it for others, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CoreTime {
    pub(crate) busy: u64,
    pub(crate) stolen: u64,
}

/// CPU time of a process: all its threads, those that ended too. Linux tells the parts in hundredths of a second; the sum is
/// finer, so that a small load can be measured, unless threads have ended that took longer than that.
pub(crate) fn cpu_time(process: u32) -> io::Result<CpuTime> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let coarse = parse_stat(&text).ok_or_else(|| unreadable("stat"))?;
    Ok(coarse.refined(cpu_ns(process)? / 1000))
}

/// CPU time of all threads that a process has, nanoseconds, without those that ended.
pub(crate) fn cpu_ns(process: u32) -> io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += number(&text).ok_or_else(|| unreadable("schedstat"))?;
    }
    Ok(sum)
}

/// Resident memory of a process, KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Resident {
    pub(crate) all: u64,
    /// Of it what the process itself has written; the rest is pages of files, of its own program for the most part.
    pub(crate) anonymous: u64,
}

impl Resident {
    /// What came since.
    pub(crate) fn since(self, before: Resident) -> Resident {
        let [all, anonymous] = [(self.all, before.all), (self.anonymous, before.anonymous)]
            .map(|(now, before)| now.saturating_sub(before));
        Resident { all, anonymous }
    }
}

/// Resident memory of processes together.
pub(crate) fn resident(processes: &[u32]) -> io::Result<Resident> {
    let mut sum = Resident::default();
    for process in processes {
        let text = fs::read_to_string(format!("/proc/{process}/status"))?;
        let of = |name| text.lines().find_map(|line| line.strip_prefix(name)).and_then(number);
        let (all, anonymous) = of("VmRSS:").zip(of("RssAnon:")).ok_or_else(|| unreadable("status"))?;
        (sum.all, sum.anonymous) = (sum.all + all, sum.anonymous + anonymous);
    }
    Ok(sum)
}

/// Files that a process has open: sockets, for the most part.
pub(crate) fn open_files(process: u32) -> io::Result<u64> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64)
}

/// Memory of all TCP sockets of the machine in the kernel, KiB.
pub(crate) fn socket_kb() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    parse_sockstat(&text).ok_or_else(|| unreadable("sockstat"))
}

/// The time of each core.
pub(crate) fn cores() -> io::Result<Vec<CoreTime>> {
    let text = fs::read_to_string("/proc/stat")?;
    Ok(text.lines().filter_map(parse_core).collect())
}

/// A line such as `model name : ...` of `/proc/cpuinfo`.
pub(crate) fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, name)| name.trim()).to_owned()
}

/// The kernel's version.
pub(crate) fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn unreadable(what: &str) -> io::Error {
    io::Error::other(format!("/proc has no readable {what}"))
}

fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

fn micros(units: u64) -> u64 {
    units * 1_000_000 / UNITS_PER_SECOND
}

fn parse_stat(text: &str) -> Option<CpuTime> {
    // The name in parentheses may hold anything; the state behind it is the third field.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut time = || Some(micros(fields.next()?.parse().ok()?));
    Some(CpuTime { user: time()?, system: time()? })
}

fn parse_sockstat(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let pages = number(line.split_once(" mem ")?.1)?;
    Some(pages * PAGE_BYTES / 1024)
}

fn parse_core(line: &str) -> Option<CoreTime> {
    let (_, times) = line.strip_prefix("cpu").filter(|rest| !rest.starts_with(' '))?.split_once(' ')?;
    let times: Vec<u64> = times.split_whitespace().map_while(|time| time.parse().ok()).collect();
    let [user, nice, system, _, _, irq, softirq, stolen, ..] = times[..] else { return None };
    Some(CoreTime { busy: micros(user + nice + system + irq + softirq), stolen: micros(stolen) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_writes_is_read() {
        let stat = "4711 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 31 0 0 20 0 5 0";
        assert_eq!(parse_stat(stat), Some(CpuTime { user: 2_500_000, system: 310_000 }));
        assert_eq!(parse_stat("4711 (a) S 1"), None);
        let sockstat =
            "sockets: used 173\nTCP: inuse 145 orphan 0 tw 254 alloc 145 mem 6\nUDP: inuse 0 mem 9\n";
        assert_eq!(parse_sockstat(sockstat), Some(24));
        let core = "cpu1 100 1 10 5000 7 2 3 4 0 0";
        assert_eq!(parse_core(core), Some(CoreTime { busy: 1_160_000, stolen: 40_000 }));
        assert_eq!(parse_core("cpu  100 1 10 5000 7 2 3 4 0 0"), None, "all cores together");
        assert_eq!(parse_core("intr 1 2 3"), None);
    }

    #[test]
    fn a_finer_sum_has_the_same_parts() {
        let coarse = CpuTime { user: 30_000, system: 10_000 };
        assert_eq!(coarse.refined(48_000), CpuTime { user: 36_000, system: 12_000 });
        assert_eq!(coarse.refined(39_000), coarse, "threads have ended");
        assert_eq!(CpuTime::default().refined(9), CpuTime { user: 0, system: 9 });
    }

    #[test]
    fn our_own_process_can_be_read() {
        let own = std::process::id();
        let (sum, fine) = (cpu_time(own).unwrap().total() * 1000, cpu_ns(own).unwrap());
        assert!(fine > 0 && fine + 20_000_000 >= sum, "{fine} ns and {sum} ns");
        assert!(open_files(own).unwrap() >= 3);
        let Resident { all, anonymous } = resident(&[own]).unwrap();
        assert!(anonymous > 100 && all > anonymous, "{all} KiB, {anonymous} of it anonymous");
        assert!(!cores().unwrap().is_empty());
        assert!(socket_kb().is_ok());
    }
}
