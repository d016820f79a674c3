//! The ways to change another process's memory from outside, or one's own past its protection.

use std::ffi::{CString, c_long, c_void};
use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::mapping::code_that_returns;

#[derive(clap::Subcommand)]
pub enum Tracing {
    /// Attach to a process and write into its code (`PTRACE_POKETEXT`).
    PtracePoke,
    /// Let a child be traced from its start (`PTRACE_TRACEME`), and write into its code.
    PtraceTraceme,
    /// Write into a process's code through `/proc/PID/mem`.
    ProcPidMem,
    /// Write into one's own code through `/proc/self/mem`.
    ProcSelfMem,
    /// Write into a process's data (`process_vm_writev`).
    ProcessVmWritev,
    /// Put a probe into a program by the list of them (`uprobe_events`).
    UprobeEvents,
    /// The same by a performance event.
    UprobePerfEvent,
}

pub fn run(tracing: &Tracing) -> Result<()> {
    match tracing {
        Tracing::PtracePoke => with_victim(false, |victim| {
            ptrace(libc::PTRACE_ATTACH, victim, 0, 0).context("PTRACE_ATTACH")?;
            stopped(victim)?;
            poke(victim)
        }),
        Tracing::PtraceTraceme => with_victim(true, |victim| {
            stopped(victim)?;
            poke(victim)
        }),
        Tracing::ProcPidMem => with_victim(false, |victim| write_code(&format!("/proc/{victim}/mem"))),
        Tracing::ProcSelfMem => {
            write_code("/proc/self/mem")?;
            ensure!(victims_code() == MARK, "the code is as it was");
            println!("foreign code ran");
            Ok(())
        }
        Tracing::ProcessVmWritev => with_victim(false, write_data),
        Tracing::UprobeEvents => uprobe_events(),
        Tracing::UprobePerfEvent => uprobe_perf_event(),
    }
}

/// What the victim runs again and again; whoever rewrites it has won.
#[inline(never)]
extern "C" fn victims_code() -> i32 {
    black_box(1)
}

/// What the victim looks at again and again.
static mut VICTIMS_DATA: i32 = 1;

/// A process that says so when its code or data has become another, at the mercy of `attack`.
fn with_victim(traced: bool, attack: impl FnOnce(libc::pid_t) -> Result<()>) -> Result<()> {
    io::stdout().flush()?;
    // SAFETY: this process has one thread; the child only calls what is written here.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()).context("fork"),
        0 => {
            // SAFETY: plain system calls on the calling process.
            unsafe {
                if traced && libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) != 0 {
                    eprintln!("PTRACE_TRACEME: {}", io::Error::last_os_error());
                    libc::_exit(1);
                }
                if traced {
                    libc::raise(libc::SIGSTOP);
                }
            }
            for _ in 0..PATIENCE {
                // SAFETY: a plain number, which another process may write.
                if victims_code() == MARK || unsafe { (&raw const VICTIMS_DATA).read_volatile() } == MARK {
                    println!("foreign code ran");
                    // SAFETY: ends the process.
                    unsafe { libc::_exit(0) };
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            // SAFETY: as above.
            unsafe { libc::_exit(1) }
        }
        victim => {
            let outcome = attack(victim);
            if outcome.is_err() {
                // SAFETY: the child of this process.
                unsafe { libc::kill(victim, libc::SIGKILL) };
            }
            let status = wait(victim)?;
            outcome?;
            ensure!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "the victim ended with {status:#x}");
            Ok(())
        }
    }
}

fn wait(victim: libc::pid_t) -> Result<i32> {
    let mut status = 0;
    // SAFETY: the child of this process, and room for its status.
    ensure!(unsafe { libc::waitpid(victim, &raw mut status, 0) } == victim, "waitpid: {}", io::Error::last_os_error());
    Ok(status)
}

fn stopped(victim: libc::pid_t) -> Result<()> {
    let status = wait(victim)?;
    if libc::WIFSTOPPED(status) { Ok(()) } else { bail!("the victim was not traced: Operation not permitted ({status:#x})") }
}

fn ptrace(request: libc::c_uint, victim: libc::pid_t, address: usize, data: usize) -> io::Result<c_long> {
    // SAFETY: a request about a child; addresses are the child's.
    let answer = unsafe { libc::ptrace(request, victim, address as *mut c_void, data as *mut c_void) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Rewrites the victim's code, which lies where it lies here, and lets it go.
fn poke(victim: libc::pid_t) -> Result<()> {
    let mut word = [0x90; 8];
    word[..6].copy_from_slice(&code_that_returns(MARK));
    ptrace(libc::PTRACE_POKETEXT, victim, victims_code as *const () as usize, usize::from_le_bytes(word)).context("PTRACE_POKETEXT")?;
    ptrace(libc::PTRACE_DETACH, victim, 0, 0).context("PTRACE_DETACH").map(drop)
}

fn write_code(memory: &str) -> Result<()> {
    let memory = OpenOptions::new().write(true).open(memory).with_context(|| format!("opening {memory}"))?;
    memory.write_all_at(&code_that_returns(MARK), victims_code as *const () as u64).context("writing to the memory")
}

fn write_data(victim: libc::pid_t) -> Result<()> {
    let mark = MARK;
    let local = libc::iovec { iov_base: (&raw const mark).cast_mut().cast(), iov_len: 4 };
    let remote = libc::iovec { iov_base: (&raw mut VICTIMS_DATA).cast(), iov_len: 4 };
    // SAFETY: both describe four bytes, one here and one in the child.
    let written = unsafe { libc::process_vm_writev(victim, &raw const local, 1, &raw const remote, 1, 0) };
    if written == 4 { Ok(()) } else { Err(io::Error::last_os_error()).context("process_vm_writev") }
}

fn uprobe_events() -> Result<()> {
    let list = Path::new("/sys/kernel/tracing/uprobe_events");
    let open = || OpenOptions::new().append(true).open(list).context("opening uprobe_events");
    open()?.write_all(format!("p:enforcer_test {PROBED}:0x1000\n").as_bytes()).context("adding a probe")?;
    println!("the probe is in");
    open()?.write_all(b"-:enforcer_test\n").context("removing the probe")
}

fn uprobe_perf_event() -> Result<()> {
    let unit: u32 = std::fs::read_to_string("/sys/bus/event_source/devices/uprobe/type")?.trim().parse()?;
    let path = CString::new(PROBED)?;
    // `struct perf_event_attr` (`include/uapi/linux/perf_event.h`): type and size at 0 and 4, the path at 56, the offset at 64.
    let mut attributes = [0_u8; 128];
    attributes[..4].copy_from_slice(&unit.to_le_bytes());
    attributes[4..8].copy_from_slice(&128_u32.to_le_bytes());
    attributes[56..64].copy_from_slice(&(path.as_ptr() as u64).to_le_bytes());
    attributes[64..72].copy_from_slice(&0x1000_u64.to_le_bytes());
    // SAFETY: a structure of the size that it says, with a path that outlives the call.
    let event = unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), -1, 0, -1, 0) };
    if event < 0 {
        return Err(io::Error::last_os_error()).context("perf_event_open");
    }
    println!("the probe is in");
    Ok(())
}

/// Opens something for writing and says so.
pub(super) fn opened(path: &Path) -> Result<()> {
    File::options().read(true).write(true).open(path).with_context(|| format!("opening {}", path.display()))?;
    println!("it is open");
    Ok(())
}

const MARK: i32 = 4711;
/// Turns of 10 ms that a victim lives.
const PATIENCE: u32 = 1000;
const PROBED: &str = "/usr/bin/true";
