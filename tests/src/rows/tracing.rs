//! Other processes' memory, changed from outside; and one's own, past its protection.

use std::process::Command;

use anyhow::Result;
use enforcer_common::Hook::{self, FileOpen, PerfEventAlloc, PtraceAccessCheck, PtraceTraceme};
use enforcer_common::Reason::Tracing;

use super::{EPERM, FOREIGN_RAN, Row, SIGNED_RAN, Shown, Trace};
use crate::scene::Scene;

pub const ROWS: &[Row] = &[
    attack("ptrace_poke", "a process that is traced, and its code rewritten", |scene| by(scene, "ptrace-poke"), PtraceAccessCheck),
    attack("ptrace_traceme", "a child that lets itself be traced, and its code rewritten", |scene| by(scene, "ptrace-traceme"), PtraceTraceme),
    Row::attack(
        "proc_pid_mem",
        "a process's code, rewritten through /proc/PID/mem",
        |scene| by(scene, "proc-pid-mem"),
        FOREIGN_RAN,
        (Trace::new(FileOpen, Tracing, Shown::Path("/mem")), EPERM, "debugger_pokes"),
    ),
    Row::attack(
        "proc_self_mem",
        "one's own code, rewritten through /proc/self/mem",
        |scene| by(scene, "proc-self-mem"),
        FOREIGN_RAN,
        (Trace::new(FileOpen, Tracing, Shown::Path("/mem")), EPERM, "debugger_pokes"),
    ),
    attack("process_vm_writev", "a process's data, rewritten by process_vm_writev", |scene| by(scene, "process-vm-writev"), PtraceAccessCheck),
    Row::attack(
        "strace",
        "a signed program, started by strace",
        |scene| {
            let mut command = Command::new("strace");
            command.arg("-f").arg("-o").arg(scene.disk("trace")).arg(scene.fixture("bin/program"));
            Ok(command)
        },
        SIGNED_RAN,
        (Trace::new(PtraceAccessCheck, Tracing, Shown::Nothing), EPERM, "debugger_pokes"),
    ),
    Row::attack(
        "uprobe_events",
        "a probe in a program, by the list of probes",
        |scene| by(scene, "uprobe-events"),
        PROBE_IN,
        (Trace::new(FileOpen, Tracing, Shown::Path("uprobe_events")), EPERM, "debugger_pokes"),
    ),
    Row::attack(
        "uprobe_perf_event",
        "a probe in a program, by a performance event",
        |scene| by(scene, "uprobe-perf-event"),
        PROBE_IN,
        (Trace::new(PerfEventAlloc, Tracing, Shown::Nothing), EPERM, "debugger_pokes"),
    ),
    Row::honest(
        "debugger_pokes",
        "the same tracing by a program whose signature makes it a debugger",
        |scene| entitled(scene, &["ptrace-poke"]),
        FOREIGN_RAN,
    ),
    Row::honest(
        "jit_anonymous_rwx",
        "memory that is writable and executable, in a program whose signature says that it compiles code",
        |scene| entitled(scene, &["anonymous-rwx"]),
        FOREIGN_RAN,
    ),
    Row::honest(
        "jit_anonymous_w_to_x",
        "memory that is written, then made executable, in a program whose signature says that it compiles code",
        |scene| entitled(scene, &["anonymous-w-to-x"]),
        FOREIGN_RAN,
    ),
];

const fn attack(name: &'static str, title: &'static str, command: fn(&Scene) -> Result<Command>, hook: Hook) -> Row {
    Row::attack(name, title, command, FOREIGN_RAN, (Trace::new(hook, Tracing, Shown::Nothing), EPERM, "debugger_pokes"))
}

fn by(scene: &Scene, how: &str) -> Result<Command> {
    Ok(scene.attack([how.as_ref()]))
}

/// By this very program under another signature, which has the entitlements `jit` and `debugger`.
fn entitled(scene: &Scene, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(scene.fixture("claims/entitled"));
    command.arg("attack").args(arguments);
    Ok(command)
}

const PROBE_IN: &str = "the probe is in";
