//! What each program costs the kernel's verifier, told by the verifier itself. Nothing is attached, pinned or left behind.
//!
//! The programs are those that [`load_or_adopt`](super::load_or_adopt) loads, by the same calls. aya hands the verifier's log over only when the kernel
//! refuses a program. So here the kernel has no descriptor left to give for it: the verifier has done its work and told its statistics by then
//! (`bpf_check` in `kernel/bpf/verifier.c`, before `bpf_prog_new_fd` in `kernel/bpf/syscall.c`), and the program is refused with `EMFILE`.

use std::io;

use aya::programs::ProgramError;
use aya::{Btf, Ebpf, VerifierLogLevel};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::{KernelError, layout, programs};

/// The verifier's work over one program, in the terms of its own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The program's name, which is its hook's.
    pub program: String,
    /// Instructions that it processed, each as often as it came by; a kernel refuses a program beyond a million.
    pub instructions: u64,
    /// States that it kept to compare others with (`total_states`).
    pub states: u64,
    /// Bytes of stack. Kernels that tell it (7.3 does): that of the deepest chain of calls, of which 512 are the limit. Others: that of all functions
    /// of the program together, as `veristat` counts it.
    pub stack: u64,
}

/// Has the kernel verify every program that would be loaded on it.
///
/// # Errors
/// When a program does not pass, or the log does not say what it should.
pub fn verify_programs() -> Result<Vec<Verification>, KernelError> {
    let types = layout::read()?;
    let btf = programs::kernel_btf()?;
    let mut opened = programs::open(&types, &btf, 1, VerifierLogLevel::STATS)?;
    programs::hooks(&types).map(|hook| verify(&mut opened, hook, &btf)).collect()
}

fn verify(opened: &mut Ebpf, hook: &str, btf: &Btf) -> Result<Verification, KernelError> {
    let failed = |detail| KernelError::Program { program: hook.to_owned(), detail };
    let no_descriptors = NoDescriptors::begin().map_err(|error| failed(format!("cannot lower the limit of descriptors: {error}")))?;
    let outcome = opened.program_mut(hook).map(|program| programs::verify(hook, program, btf));
    drop(no_descriptors);
    match outcome.ok_or_else(|| programs::not_in_object(hook))?? {
        Err(ProgramError::LoadError { io_error, verifier_log }) if io_error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => {
            let log = verifier_log.to_string();
            statistics(hook, &log).ok_or_else(|| failed(format!("the verifier's log has no statistics: `{log}`")))
        }
        Err(error) => Err(failed(programs::describe(&error))),
        Ok(()) => Err(failed("it was loaded, though no descriptor was left for it".to_owned())),
    }
}

/// Picks the numbers out of a log, of which other lines are left alone:
///
/// ```text
/// stack depth 104+0+32
/// processed 1294 insns (limit 1000000) max_states_per_insn 4 total_states 61 peak_states 61 mark_read 0
/// ```
///
/// From 7.3 the first is `stack depth max 136`.
fn statistics(program: &str, log: &str) -> Option<Verification> {
    let after = |words: &str| log.lines().find_map(|line| Some(line.split_once(words)?.1));
    let number = |words: &str| after(words)?.split_whitespace().next()?.parse().ok();
    let depths = after("stack depth ")?;
    let depths = depths.strip_prefix("max ").unwrap_or(depths).trim().split('+');
    let stack = depths.map(|depth| depth.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Verification { program: program.to_owned(), instructions: number("processed ")?, states: number("total_states ")?, stack })
}

/// While this lives, this process gets no new descriptor.
struct NoDescriptors(Rlimit);

impl NoDescriptors {
    fn begin() -> io::Result<Self> {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before })?;
        Ok(Self(before))
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        // Back to what it was, which nothing forbids.
        _ = setrlimit(Resource::Nofile, self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistics_of_a_log_are_found_and_half_of_them_is_not_enough() {
        let log = "verification time 1342 usec\nstack depth 104+0+32\n\
            processed 1294 insns (limit 1000000) max_states_per_insn 4 total_states 61 peak_states 60 mark_read 0\n";
        let found = Verification { program: "bpf".to_owned(), instructions: 1294, states: 61, stack: 136 };
        assert_eq!(statistics("bpf", log).as_ref(), Some(&found));
        assert_eq!(statistics("bpf", &log.replace("104+0+32", "max 136\nsubprog 0 (bpf) main insns_self 9 stack 104")).as_ref(), Some(&found));
        assert_eq!(statistics("bpf", log.split_once('\n').unwrap().0), None);
        assert_eq!(statistics("bpf", &log.replace("104+", "?+")), None);
    }
}
