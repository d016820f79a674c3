//! The enforcer's own skin: what root may try against it, and what comes of it.
//!
//! Each attempt is one command of root's. In enforce mode it is refused by the kernel and recorded; the service manager may do what it has to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use enforcer_common::{Hook, Reason};

use super::Test;
use super::uses::unsigned_is_denied;
use crate::child;
use crate::events::{self, Mark};
use crate::rows::{EPERM, Shown, Trace};
use crate::scene::Scene;
use crate::service;

pub const TESTS: &[Test] = &[
    Test::new("signals_to_the_daemon_are_refused", "kill the daemon with each signal that ends or stops it", signals),
    Test::new("signals_of_a_descriptor_to_the_daemon_are_refused", "let a socket send the daemon its signals (F_SETOWN, F_SETSIG)", descriptor),
    Test::new(
        "limits_and_scheduling_of_the_daemon_are_refused",
        "prlimit, renice, ionice, chrt and taskset on the daemon, and its place when memory is short",
        limits,
    ),
    Test::new("performance_events_on_the_daemon_are_refused", "perf_event_open on the daemon, which could signal it", events_on_it),
    Test::new("forged_types_of_the_kernel_are_not_believed", "another file over /sys/kernel/btf/vmlinux, then a restart", forged),
    Test::new("below_another_root_the_enforcer_has_no_rights", "chroot into another mount namespace, and `enforcer stop --release` there", elsewhere),
    Test::new("tracing_the_daemon_is_refused", "write to the daemon's memory", tracing),
    Test::new("pins_cannot_be_removed_renamed_or_added_to", "rm, mv, ln, mkdir and rmdir in the folder of pins", pins),
    Test::new("bpffs_cannot_be_unmounted_or_hidden", "umount and mount on /sys/fs/bpf and on the way to it", mounts),
    Test::new("objects_cannot_be_reached_by_id_or_pin", "open the enforcer's programs, maps and links by id and by pin", objects),
    Test::new("state_cannot_be_changed", "write, truncate, remove, rename and link the daemon's state", state),
    Test::new("switches_that_end_everything_are_refused", "ftrace_enabled, sysrq-trigger, cgroup.kill and cgroup.freeze", switches),
    Test::new("executable_cannot_be_replaced", "prctl(PR_SET_MM_EXE_FILE)", executable),
    Test::new("service_manager_writes_to_no_switch_for_others", "systemctl thaw, with ftrace_enabled mounted over the unit's freezer", deputy),
    Test::new("core_of_an_enforcer_removes_no_pin", "a pin as core_pattern, and an enforcer that crashes", core),
    Test::new("foreign_library_does_not_get_the_enforcers_rights", "LD_PRELOAD of a signed library into `enforcer stop --release`", preload),
    Test::new("commands_that_write_where_they_are_told_have_no_rights", "let `enforcer manifest create` write into the daemon's state", told),
    Test::new("others_go_on_as_before", "the same tools on things that are not the enforcer's", others),
];

/// One command, and how it is stopped.
struct Attempt {
    command: Command,
    hook: Hook,
    shown: Shown,
}

fn attempt<'a>(hook: Hook, shown: Shown, words: impl AsRef<[&'a str]>) -> Attempt {
    let words = words.as_ref();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    Attempt { command, hook, shown }
}

/// By a shell's own words, so that the shell is who tries.
fn shell(hook: Hook, shown: Shown, script: &str) -> Attempt {
    attempt(hook, shown, ["bash", "-c", script])
}

/// By a call that no tool makes.
fn python(hook: Hook, shown: Shown, call: &str) -> Attempt {
    attempt(hook, shown, ["python3", "-c", &format!("import os; {call}")])
}

/// Each attempt fails, for the kernel refuses it, and is recorded with the guard's reason.
fn all_refused(scene: &Scene, attempts: Vec<Attempt>) -> Result<String> {
    let number = attempts.len();
    for mut attempt in attempts {
        let mark = Mark::now();
        let shown = format!("{:?}", attempt.command);
        let ended = child::run(&mut attempt.command)?;
        ensure!(!ended.status.success(), "{shown} was not refused: it {}", ended.describe());
        let trace = Trace::new(attempt.hook, Reason::Guarded, attempt.shown);
        mark.wait_for(&format!("{} of {shown} ({})", attempt.hook.name(), ended.describe()), |event| events::is(event, &trace, ended.pid, true))?;
    }
    unsigned_is_denied(scene)?;
    let status = service::status()?;
    ensure!(status["hooks_missing"] == serde_json::json!([]) && status["enforcing"] == true, "{status}");
    Ok(format!("all {number} attempts were refused and recorded"))
}

fn signals(scene: &Scene) -> Result<String> {
    let daemon = service::running_daemon()?;
    let pid = daemon.as_raw_nonzero().to_string();
    let workers = service::succeed("pgrep", &["--parent", &pid])?;
    let worker = workers.lines().next().context("there is no worker")?;
    all_refused(scene, vec![attempt(Hook::TaskKill, Shown::Nothing, ["/bin/kill", "-HUP", worker])])?;
    let signals = ["-KILL", "-STOP", "-TERM", "-TSTP", "-ABRT", "-USR1", "-INT", "-SEGV"];
    let outcome = all_refused(scene, signals.map(|signal| attempt(Hook::TaskKill, Shown::Nothing, ["/bin/kill", signal, &pid])).into())?;
    ensure!(service::running_daemon()? == daemon, "the daemon is another one");
    Ok(outcome)
}

/// The kernel sends them, so that nobody is told that they were refused.
fn descriptor(_: &Scene) -> Result<String> {
    let daemon = service::running_daemon()?;
    let pid = daemon.as_raw_nonzero();
    // 0 stands for SIGIO, which ends a process too.
    for signal in ["0", "signal.SIGSTOP", "signal.SIGKILL", "signal.SIGTERM"] {
        let script = format!(
            "import fcntl, os, signal, socket; a, b = socket.socketpair(); fcntl.fcntl(a, fcntl.F_SETOWN, {pid}); fcntl.fcntl(a, 10, int({signal})); \
             fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC); b.send(b'x'); print('sent')"
        );
        let mark = Mark::now();
        let ended = child::run(Command::new("python3").args(["-c", &script]))?;
        ensure!(ended.ran("sent"), "{signal}: it {}", ended.describe());
        let trace = Trace::new(Hook::FileSendSigiotask, Reason::Guarded, Shown::Nothing);
        mark.wait_for(signal, |event| events::is(event, &trace, ended.pid, true))?;
    }
    let state = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    ensure!(service::running_daemon()? == daemon && !state.contains(") T "), "the daemon was stopped, or is another one: {state}");
    Ok("four signals were refused and recorded".to_owned())
}

fn limits(scene: &Scene) -> Result<String> {
    let pid = service::running_daemon()?.as_raw_nonzero().to_string();
    all_refused(
        scene,
        vec![
            attempt(Hook::TaskSetrlimit, Shown::Nothing, ["prlimit", "--pid", &pid, "--nofile=1"]),
            attempt(Hook::TaskSetrlimit, Shown::Nothing, ["prlimit", "--pid", &pid, "--as=4096"]),
            attempt(Hook::TaskSetnice, Shown::Nothing, ["renice", "19", &pid]),
            attempt(Hook::TaskSetioprio, Shown::Nothing, ["ionice", "--class", "3", "--pid", &pid]),
            shell(Hook::FileOpen, Shown::Path("oom_score_adj"), &format!("echo 1000 > /proc/{pid}/oom_score_adj")),
            shell(Hook::FileOpen, Shown::Path("oom_score_adj"), &format!("echo 1000 > $(ls -d /proc/{pid}/task/* | tail -n 1)/oom_score_adj")),
            attempt(Hook::TaskSetscheduler, Shown::Nothing, ["chrt", "--idle", "-p", "0", &pid]),
            attempt(Hook::TaskSetscheduler, Shown::Nothing, ["taskset", "-p", "1", &pid]),
        ],
    )
}

fn events_on_it(scene: &Scene) -> Result<String> {
    let pid = service::running_daemon()?.as_raw_nonzero();
    // A software event (`struct perf_event_attr`), by the system call's number.
    let call = format!(
        "import ctypes, struct; attr = struct.pack('<IIQ', 1, 128, 0) + bytes(112); \
         raise SystemExit(ctypes.CDLL(None).syscall(298, attr, {pid}, -1, -1, 0) < 0)"
    );
    all_refused(scene, vec![python(Hook::PerfEventAlloc, Shown::Nothing, &call)])
}

/// The layout decides what the programs read. The copy is a good one, so that only where it lies can be the reason.
fn forged(scene: &Scene) -> Result<String> {
    let (pins, copy) = (service::pins()?, scene.disk("vmlinux"));
    fs::write(&copy, fs::read(BTF)?)?;
    service::succeed("mount", &["--bind", &copy.display().to_string(), BTF])?;
    let journal = service::Journal::now()?;
    let restarted = child::run(Command::new("systemctl").args(["restart", service::UNIT]));
    let said = journal.wait_for(&["cannot read the kernel's types"]);
    let denied = unsigned_is_denied(scene);
    service::succeed("umount", &[BTF])?;
    service::start()?;
    ensure!(!restarted?.status.success(), "the daemon started by a file that was mounted there");
    said?;
    denied?;
    ensure!(service::pins()? == pins, "the pins were made anew");
    Ok("the daemon did not start by it, and enforcement went on".to_owned())
}

fn elsewhere(scene: &Scene) -> Result<String> {
    let pins = service::pins()?;
    let script = "unshare --mount --propagation private sleep 60 & pid=$!
        until [ \"$(readlink /proc/$pid/ns/mnt)\" != \"$(readlink /proc/self/ns/mnt)\" ]; do sleep 0.1; done
        chroot /proc/$pid/root /usr/sbin/enforcer stop --release; status=$?; kill $pid; exit $status";
    let ended = child::run(Command::new("bash").args(["-c", script]))?;
    ensure!(!ended.status.success(), "it was not refused: it {}", ended.describe());
    ensure!(service::pins()? == pins, "pins are gone");
    unsigned_is_denied(scene)?;
    Ok("it was refused, and every pin stayed".to_owned())
}

fn tracing(scene: &Scene) -> Result<String> {
    let pid = service::running_daemon()?.as_raw_nonzero().to_string();
    all_refused(
        scene,
        vec![
            shell(Hook::PtraceAccessCheck, Shown::Nothing, &format!("exec 3< /proc/{pid}/mem")),
            attempt(Hook::PtraceAccessCheck, Shown::Nothing, ["strace", "-p", &pid]),
        ],
    )
}

fn pins(scene: &Scene) -> Result<String> {
    let build = build_folder()?;
    let (build, link) = (build.display().to_string(), build.join("link_mmap_file").display().to_string());
    all_refused(
        scene,
        vec![
            attempt(Hook::InodeUnlink, Shown::Path("link_mmap_file"), ["rm", "-f", &link]),
            attempt(Hook::InodeRename, Shown::Path("link_mmap_file"), ["mv", &link, "/sys/fs/bpf/moved"]),
            attempt(Hook::InodeRename, Shown::Path("enforcer"), ["mv", service::PINS, "/sys/fs/bpf/moved"]),
            attempt(Hook::InodeMkdir, Shown::Path("another"), ["mkdir", &format!("{}/another", service::PINS)]),
            attempt(Hook::InodeRmdir, Shown::Path(""), ["rmdir", &build]),
            attempt(Hook::InodeRmdir, Shown::Path("enforcer"), ["rmdir", service::PINS]),
            attempt(Hook::InodeSymlink, Shown::Path("a-link"), ["ln", "-s", "/tmp", &format!("{build}/a-link")]),
        ],
    )
}

fn mounts(scene: &Scene) -> Result<String> {
    all_refused(
        scene,
        vec![
            attempt(Hook::SbUmount, Shown::Path(""), ["umount", "/sys/fs/bpf"]),
            attempt(Hook::SbUmount, Shown::Path(""), ["umount", "-l", "/sys/fs/bpf"]),
            attempt(Hook::SbUmount, Shown::Path(""), ["umount", "-l", "/sys"]),
            attempt(Hook::SbUmount, Shown::Path(""), ["umount", "-l", "/"]),
            attempt(Hook::SbUmount, Shown::Path(""), shared(["umount", "-l", "/sys/fs/bpf"])),
            attempt(Hook::SbUmount, Shown::Path(""), shared(["umount", "-l", "/sys"])),
            attempt(Hook::SbMount, Shown::Path("enforcer"), shared(["mount", "--bind", "/tmp", service::PINS])),
            attempt(Hook::SbMount, Shown::Path(""), ["mount", "-i", "-t", "tmpfs", "none", "/sys/fs/bpf"]),
            attempt(Hook::SbMount, Shown::Path("fs"), ["mount", "-i", "-t", "tmpfs", "none", "/sys/fs"]),
            attempt(Hook::SbMount, Shown::Path(""), ["mount", "--bind", "/tmp", "/sys"]),
            attempt(Hook::SbMount, Shown::Path("enforcer"), ["mount", "--bind", "/tmp", service::PINS]),
            attempt(Hook::SbMount, Shown::Path("enforcer"), ["mount", "--bind", "/tmp", "/var/lib/enforcer"]),
            attempt(Hook::SbMount, Shown::Path("lib"), ["mount", "--bind", "/tmp", "/var/lib"]),
        ],
    )
}

/// In another mount namespace, of which systemd's shared mounts carry everything back.
fn shared<const N: usize>(command: [&str; N]) -> Vec<&str> {
    [&["unshare", "--mount", "--propagation", "unchanged"], &command[..]].concat()
}

fn objects(scene: &Scene) -> Result<String> {
    let build = build_folder()?;
    let pin = |name: &str| build.join(name).display().to_string();
    let by_pin = |hook, name: &str| by_bpf(scene, hook, ["pin", &pin(name)]);
    let attempts = vec![
        by_pin(Hook::BpfMap, "VERDICTS"),
        by_pin(Hook::BpfMap, "SETTINGS"),
        by_pin(Hook::BpfProg, "program_mmap_file"),
        by_bpf(scene, Hook::BpfMap, ["all-by-id", "map"]),
        by_bpf(scene, Hook::BpfProg, ["all-by-id", "program"]),
        by_bpf(scene, Hook::Bpf, ["all-by-id", "link"]),
    ];
    all_refused(scene, attempts)
}

fn by_bpf<const N: usize>(scene: &Scene, hook: Hook, words: [&str; N]) -> Attempt {
    Attempt { command: scene.attack(words.iter().map(|word| word.as_ref())), hook, shown: Shown::Nothing }
}

fn state(scene: &Scene) -> Result<String> {
    let clock = "/var/lib/enforcer/clock.toml";
    service::wait_until("the daemon has kept the time", || Ok(Path::new(clock).exists()))?;
    let before = fs::read(clock)?;
    let outcome = all_refused(
        scene,
        vec![
            shell(Hook::FileOpen, Shown::Path("clock.toml"), &format!("echo >> {clock}")),
            python(Hook::PathTruncate, Shown::Path("clock.toml"), &format!("os.truncate('{clock}', 0)")),
            python(Hook::FileOpen, Shown::Path("clock.toml"), &format!("os.open('{clock}', os.O_RDONLY | os.O_TRUNC)")),
            attempt(Hook::InodeUnlink, Shown::Path("clock.toml"), ["rm", "-f", clock]),
            attempt(Hook::InodeRename, Shown::Path("clock.toml"), ["mv", clock, "/root/clock.toml"]),
            attempt(Hook::InodeLink, Shown::Path("clock.toml"), ["ln", clock, "/var/lib/clock.toml"]),
            attempt(Hook::InodeCreate, Shown::Path("new"), ["touch", "/var/lib/enforcer/new"]),
            attempt(Hook::InodeRename, Shown::Path("enforcer"), ["mv", "/var/lib/enforcer", "/var/lib/elsewhere"]),
            attempt(Hook::InodeRename, Shown::Path("lib"), ["mv", "/var/lib", "/var/elsewhere"]),
            attempt(Hook::InodeUnlink, Shown::Path("daemon.lock"), ["rm", "-f", "/run/enforcer/daemon.lock"]),
        ],
    )?;
    ensure!(fs::read(clock)? == before, "the state was changed");
    Ok(outcome)
}

fn switches(scene: &Scene) -> Result<String> {
    let cgroup = service::succeed("systemctl", &["show", "--property=ControlGroup", "--value", service::UNIT])?;
    let cgroup = format!("/sys/fs/cgroup{}", cgroup.trim());
    let mut attempts = vec![
        shell(Hook::FileOpen, Shown::Path("ftrace_enabled"), "echo 0 > /proc/sys/kernel/ftrace_enabled"),
        shell(Hook::FileOpen, Shown::Path("sysrq-trigger"), "echo i > /proc/sysrq-trigger"),
        shell(Hook::FileOpen, Shown::Path("cgroup.kill"), &format!("echo 1 > {cgroup}/cgroup.kill")),
        shell(Hook::FileOpen, Shown::Path("cgroup.freeze"), &format!("echo 1 > {cgroup}/cgroup.freeze")),
    ];
    attempts.push(shell(Hook::FileOpen, Shown::Path("cgroup.freeze"), "echo 1 > /sys/fs/cgroup/system.slice/cgroup.freeze"));
    all_refused(scene, attempts)
}

fn executable(scene: &Scene) -> Result<String> {
    // The kernel passes over the upper half of the number.
    for how in ["replace-executable", "replace-executable-by-a-wide-number"] {
        let mark = Mark::now();
        let ended = child::run(&mut scene.attack([how.as_ref(), "/usr/sbin/enforcer".as_ref()]))?;
        ensure!(!ended.status.success() && ended.stderr.contains(EPERM), "{how} was not refused: it {}", ended.describe());
        let trace = Trace::new(Hook::TaskPrctl, Reason::ExecutableReplaced, Shown::Nothing);
        mark.wait_for("the attempt", |event| events::is(event, &trace, ended.pid, true))?;
    }
    Ok("both attempts were refused and recorded".to_owned())
}

/// systemd opens the file that stands for a unit's freezer.
fn deputy(scene: &Scene) -> Result<String> {
    let script = "systemd-run --quiet --unit=frozen sleep 1000 && systemctl freeze frozen.service
        freezer=/sys/fs/cgroup/system.slice/frozen.service/cgroup.freeze
        mount --bind /proc/sys/kernel/ftrace_enabled $freezer && systemctl thaw frozen.service
        cat /proc/sys/kernel/ftrace_enabled; umount $freezer; systemctl thaw frozen.service; systemctl stop frozen.service";
    let ended = child::run(Command::new("bash").args(["-c", script]))?;
    ensure!(ended.stdout.trim() == "1", "the switch is off: it {}", ended.describe());
    unsigned_is_denied(scene)?;
    Ok("the switch stayed on".to_owned())
}

/// The kernel removes the file that a core is to be written to, in the name of the process that crashes.
fn core(scene: &Scene) -> Result<String> {
    let pin = build_folder()?.join("link_mmap_file");
    let before = fs::read_to_string(CORE_PATTERN)?;
    fs::write(CORE_PATTERN, pin.as_os_str().as_encoded_bytes())?;
    let log = scene.disk("debug");
    let script = format!("ulimit -c unlimited; ulimit -f 0; LD_DEBUG=all /usr/sbin/enforcer --version 2>>{}", log.display());
    let ended = child::run(Command::new("bash").args(["-c", &script]));
    fs::write(CORE_PATTERN, before)?;
    ensure!(!ended?.status.success(), "it did not crash");
    ensure!(pin.exists(), "the pin is gone");
    unsigned_is_denied(scene)?;
    Ok("the pin stayed".to_owned())
}

fn preload(scene: &Scene) -> Result<String> {
    let mark = Mark::now();
    let library = scene.fixture("lib/libanswer.so");
    let ended = child::run(Command::new("/usr/sbin/enforcer").arg("status").env("LD_PRELOAD", &library))?;
    let trace = Trace::new(Hook::MmapFile, Reason::Guarded, Shown::Path("libanswer.so"));
    mark.wait_for("the library", |event| events::is(event, &trace, ended.pid, true))?;
    ensure!(ended.stderr.contains("cannot be preloaded"), "it {}", ended.describe());
    Ok("the library was not loaded, and the command did its work".to_owned())
}

fn told(scene: &Scene) -> Result<String> {
    let into = "/var/lib/enforcer/security-versions.toml";
    let before = fs::read(into).ok();
    let ended = child::run(Command::new("/usr/sbin/enforcer").args(["manifest", "create", "/usr/bin/true", "-o", into]))?;
    ensure!(!ended.status.success() && ended.stderr.contains(EPERM), "it was not refused: it {}", ended.describe());
    ensure!(fs::read(into).ok() == before, "the state was changed");
    unsigned_is_denied(scene)?;
    Ok("it was refused".to_owned())
}

/// What an administrator does all day.
fn others(scene: &Scene) -> Result<String> {
    let folder = scene.disk("others");
    fs::create_dir(&folder)?;
    let file = folder.join("file");
    let script = format!(
        "set -e; cd {}; sleep 60 & pid=$!; prlimit --pid $pid --nofile=10; renice 5 $pid >/dev/null; chrt --idle -p 0 $pid; kill -STOP $pid; kill -KILL $pid; \
         echo x > file; ln file other; mv other third; ln -s file link; mkdir sub; rmdir sub; rm third link; truncate -s 0 file; \
         mkdir mnt; mount -t tmpfs none mnt; mount -o remount,ro mnt; umount mnt; mount -o remount,rw /; \
         mkdir /sys/fs/bpf/mine; rmdir /sys/fs/bpf/mine; cat /proc/sys/kernel/ftrace_enabled > /dev/null; \
         mkdir -p /var/lib/enforcer/signatures; echo > /var/lib/enforcer/signatures/x; rm -r /var/lib/enforcer/signatures/x; \
         unshare -m sh -c 'mount -t tmpfs none /sys/fs/bpf && umount /sys/fs/bpf'; echo done",
        folder.display()
    );
    let mark = Mark::now();
    let ended = child::run(Command::new("bash").args(["-c", &script]))?;
    ensure!(ended.ran("done"), "it {}", ended.describe());
    let denials: Vec<String> = mark.everything(scene)?.iter().map(events::summary).collect();
    ensure!(denials.is_empty(), "{denials:?}");
    ensure!(fs::read(&file)?.is_empty(), "the file is not empty");
    Ok("nothing of it was refused".to_owned())
}

fn build_folder() -> Result<PathBuf> {
    let folders = fs::read_dir(service::PINS)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    folders.into_iter().next().context("there are no pins")
}

const BTF: &str = "/sys/kernel/btf/vmlinux";
const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";
