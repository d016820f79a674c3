//! A worker that is somebody else's: what it can still do after it has given everything up. Every attack runs in a process of its own, once without the
//! confinement, where it must work, and once with it, where it must not.
#![allow(missing_docs, unsafe_code)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, Stdio};

use enforcer::worker::confine;

/// A name, what is tried and whether it could be done, and whether a worker needs it.
type Deed = (&'static str, fn() -> bool, bool);

const DEEDS: &[Deed] = &[
    ("read_a_handed_descriptor", read_handed, true),
    ("allocate_and_answer", allocate, true),
    ("open_a_file", || File::open("/proc/self/comm").is_ok(), false),
    ("create_a_file", || tempfile::tempfile().is_ok(), false),
    ("stat_a_path", || std::fs::metadata("/").is_ok(), false),
    ("listen_on_the_network", || TcpListener::bind("127.0.0.1:0").is_ok(), false),
    ("start_a_program", || Command::new("/bin/true").status().is_ok(), false),
    // SAFETY: plain system calls without pointers to anything of ours that they change.
    ("trace_itself", || unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) == 0 }, false),
    ("fork", fork, false),
    ("start_a_thread", || std::thread::Builder::new().spawn(|| ()).is_ok(), false),
    // SAFETY: as above.
    ("signal_a_process", || unsafe { libc::kill(libc::getppid(), 0) == 0 }, false),
    ("make_executable_memory", executable_memory, false),
    ("make_memory_executable", made_executable, false),
    ("write_to_stderr", || std::io::stderr().write_all(b"\n").is_ok(), false),
    // SAFETY: as above.
    ("change_its_limits", || unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) == 0 }, false),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, marker, name, confined] = &arguments[..]
        && marker == CHILD
    {
        return child(name, confined == "confined");
    }
    let mut failed = false;
    for (name, _, needed) in DEEDS {
        let (free, confined) = (attempt(name, "free"), attempt(name, "confined"));
        let stopped = !confined.starts_with("did it");
        let right = free.starts_with("did it") && stopped != *needed;
        println!("test {name} ... {} (free: {free}; confined: {confined})", if right { "ok" } else { "FAILED" });
        failed |= !right;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs one deed in a process of its own, and says what came of it.
fn attempt(name: &str, how: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let handed = File::open("/proc/self/exe").unwrap();

    let mut child = Command::new(program).args([CHILD, name, how]).stdin(handed).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = child.wait().unwrap();
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    match (status.code(), status.signal()) {
        (Some(DID_IT), _) => "did it".to_owned(),
        (Some(REFUSED), _) => "refused".to_owned(),
        (Some(UNFIT), _) => format!("could not be confined: {}", told.trim()),
        (_, Some(libc::SIGSYS)) => "killed by the filter".to_owned(),
        _ => format!("{status}: {}", told.trim()),
    }
}

fn child(name: &str, confined: bool) -> ExitCode {
    let (_, deed, _) = DEEDS.iter().find(|(known, _, _)| *known == name).unwrap();
    if confined {
        let hello = confine(0);
        // Only root can become somebody else; landlock is not in every kernel. The filter and the capabilities are never missing.
        let unfit = hello.failed.iter().any(|step| !step.starts_with("user:"));
        if unfit {
            return ExitCode::from(UNFIT as u8);
        }
    }
    ExitCode::from(if deed() { DID_IT } else { REFUSED } as u8)
}

fn read_handed() -> bool {
    let mut magic = [0; 4];
    // SAFETY: descriptor 0 is open for the whole life of this process, and the file is never dropped.
    let file = std::mem::ManuallyDrop::new(unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(0) });
    file.read_exact_at(&mut magic, 0).is_ok() && magic == *b"\x7fELF"
}

fn allocate() -> bool {
    let large = vec![1_u8; 48 << 20];
    let small: Vec<Vec<u8>> = (0..10_000).map(|size| vec![2; size % 500]).collect();
    large.iter().step_by(4096).all(|byte| *byte == 1) && small.len() == 10_000
}

fn fork() -> bool {
    // SAFETY: the child ends at once and touches nothing.
    match unsafe { libc::fork() } {
        // SAFETY: as above.
        0 => unsafe { libc::_exit(0) },
        pid => pid > 0,
    }
}

fn executable_memory() -> bool {
    // SAFETY: a new mapping that nothing uses.
    unsafe {
        libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) != libc::MAP_FAILED
    }
}

fn made_executable() -> bool {
    // SAFETY: a new mapping that nothing uses.
    unsafe {
        let memory = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        memory != libc::MAP_FAILED && libc::mprotect(memory, 4096, libc::PROT_READ | libc::PROT_EXEC) == 0
    }
}

const CHILD: &str = "--be-the-child";
const DID_IT: i32 = 70;
const REFUSED: i32 = 71;
const UNFIT: i32 = 72;
