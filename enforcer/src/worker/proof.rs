//! What the kernel says about a worker: its own word is not enough.

use std::fs;

use super::confine::NOBODY_ELSE;

/// What a process still has that a worker must not have, by `/proc/PID/status` (`proc_pid_status(5)`); nothing when it is confined.
pub(super) fn missing(pid: u32) -> Vec<String> {
    match fs::read_to_string(format!("/proc/{pid}/status")) {
        Ok(status) => missing_in(&status),
        Err(error) => vec![format!("its status cannot be read: {error}")],
    }
}

fn missing_in(status: &str) -> Vec<String> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let zero = "0000000000000000";
    let user = [NOBODY_ELSE; 4].map(|id| id.to_string()).join("\t");
    let expected = [
        ("Seccomp", "2"),
        ("NoNewPrivs", "1"),
        ("Threads", "1"),
        ("Groups", ""),
        ("Uid", &user),
        ("Gid", &user),
        ("CapEff", zero),
        ("CapPrm", zero),
        ("CapInh", zero),
        ("CapBnd", zero),
        ("CapAmb", zero),
    ];
    let unfit = expected.into_iter().filter(|(name, value)| field(name) != Some(value));
    unfit.map(|(name, value)| format!("its {name} is `{}` and not `{value}`", field(name).unwrap_or("unknown"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_process_is_not_taken_for_a_confined_one() {
        let missing = missing(std::process::id()).join("; ");
        assert!(["Seccomp", "NoNewPrivs", "Uid"].iter().all(|name| missing.contains(name)), "{missing}");
    }
}
