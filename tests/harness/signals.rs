//! Signals to processes of ours. Each is seen to take effect: a process that did not freeze would make a test
//! of a frozen one pass for nothing.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Between two looks at a process.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Looks until a process must have frozen.
const LOOKS_MAX: usize = 5000;

/// Freezes a process (SIGSTOP); it does nothing more when this returns.
///
/// # Panics
/// When it does not freeze.
pub fn freeze(pid: u32) {
    send(pid, "STOP");
    until(pid, "frozen", |state| match state {
        None | Some('Z') => panic!("process {pid} has ended; it was to be frozen"),
        state => state == Some('T'),
    });
}

/// Lets a frozen process go on (SIGCONT), if only to its end.
///
/// # Panics
/// When it stays frozen.
pub fn thaw(pid: u32) {
    send(pid, "CONT");
    until(pid, "going on", |state| state != Some('T'));
}

/// Sends a signal by its name without `SIG`.
///
/// # Panics
/// When that fails.
pub fn send(pid: u32, signal: &str) {
    // The shell's own `kill`: the program of that name is not installed everywhere.
    let mut command = Command::new("sh");
    command.args(["-c", "kill -s \"$0\" \"$1\"", signal, &pid.to_string()]);
    let status = command.status().expect("a shell is there");
    assert!(status.success(), "SIG{signal} could not be sent to process {pid}");
}

/// The letter of the process's state in the system's table; `None` when there is no such process.
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn until(pid: u32, what: &str, reached: impl Fn(Option<char>) -> bool) {
    for _ in 0..LOOKS_MAX {
        if reached(state(pid)) {
            return;
        }
        thread::sleep(LOOK_EVERY);
    }
    panic!("process {pid} is not {what}: {:?}", state(pid));
}
