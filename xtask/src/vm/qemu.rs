//! One boot of one machine: QEMU from its start to the command's status.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::accel::Proved;
use super::channels::{self, Channel};
use super::{OUT_OF_TIME, Outcome, Output, Spec, payload};
use crate::setup::guest;
use crate::setup::kernels::Kernel;
use crate::{cache, process};

pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// What a machine may take until its command starts.
const BOOT: Duration = Duration::from_secs(180);
/// The same when instructions are counted, on one CPU that is slower still.
const BOOT_COUNTING: Duration = Duration::from_secs(900);
/// How often QEMU is looked after while the guest says nothing.
const TICK: Duration = Duration::from_millis(200);
/// Lines of the console that are worth repeating.
const TAIL: usize = 25;

/// Machines that this process has started.
static MACHINES: AtomicU32 = AtomicU32::new(0);

/// Why a machine gave no outcome.
pub(crate) enum Failure {
    /// It broke before the command started: another boot may do better.
    BeforeStart(anyhow::Error),
    /// It came up without a working enforcer: another boot would say the same.
    Refused(anyhow::Error),
    /// It broke while the command ran.
    AfterStart(anyhow::Error),
}

/// Boots once.
pub(crate) fn boot(spec: &Spec, kernel: &Kernel, dir: &Path) -> Result<Outcome, Failure> {
    let (mut machine, status) = Machine::start(spec, kernel, dir).map_err(Failure::BeforeStart)?;
    let end = machine.follow(&status, spec);
    machine.stop(end)
}

/// QEMU's version, on which the number of instructions of a piece of work may depend.
pub(crate) fn version() -> Result<String> {
    let said = process::output(Command::new(QEMU).arg("--version")).with_context(|| format!("cannot start `{QEMU}`"))?;
    let version = said.split("version ").nth(1).and_then(|rest| rest.split_whitespace().next());
    Ok(version.with_context(|| format!("`{QEMU} --version` names no version"))?.to_owned())
}

struct Machine {
    qemu: Child,
    console: PathBuf,
    readings: Vec<channels::Reading>,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

/// What became of the command.
enum End {
    Exited(i32),
    OutOfTime,
    NeverStarted(String),
    EnforcerFailed(Vec<String>),
    Broke(String),
}

impl Machine {
    fn start(spec: &Spec, kernel: &Kernel, dir: &Path) -> Result<(Self, Receiver<String>)> {
        let console = console(&spec.kernel)?;
        let ports = [Channel::open(dir, "stdout")?, Channel::open(dir, "stderr")?, Channel::open(dir, "status")?];
        let mut command = command(spec, kernel, dir, &console, &ports)?;
        let qemu = command.spawn().with_context(|| format!("cannot start `{QEMU}`"))?;

        let (sender, status) = mpsc::channel();
        let (captured_out, captured_err) = (Arc::default(), Arc::default());
        let [out, err, state] = ports;
        let readings = match spec.output {
            Output::PassThrough => vec![out.read(channels::pass_through(std::io::stdout())), err.read(channels::pass_through(std::io::stderr()))],
            Output::StdoutCaptured => {
                let passed_on = match &spec.label {
                    Some(label) => err.read(channels::labelled(label, std::io::stderr())),
                    None => err.read(channels::pass_through(std::io::stderr())),
                };
                vec![out.read(capture(&captured_out)), passed_on]
            }
            Output::Captured => vec![out.read(capture(&captured_out)), err.read(capture(&captured_err))],
        };
        let readings = readings.into_iter().chain([state.read(channels::lines(sender))]).collect();
        Ok((Self { qemu, console, readings, stdout: captured_out, stderr: captured_err }, status))
    }

    /// Listens to the guest until its command has ended, or cannot.
    fn follow(&mut self, status: &Receiver<String>, spec: &Spec) -> End {
        let mut started = false;
        let mut deadline = Instant::now() + if spec.icount { BOOT_COUNTING } else { BOOT };
        let mut log = Vec::new();
        loop {
            let line = match status.recv_timeout(TICK) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                    return if started { End::OutOfTime } else { End::NeverStarted("the guest did not come up in time".into()) };
                }
                Err(_) => match self.qemu.try_wait() {
                    Ok(Some(status)) if started => return End::Broke(format!("the guest died under its command (QEMU ended with {status})")),
                    Ok(Some(status)) => return End::NeverStarted(format!("the guest died before its command started (QEMU ended with {status})")),
                    _ => continue,
                },
            };
            match line.split_once(' ').unwrap_or((&line, "")) {
                ("started", _) => {
                    started = true;
                    deadline = Instant::now() + spec.timeout;
                }
                ("exit", number) => return number.parse().map_or_else(|_| End::Broke(format!("strange status `{line}`")), End::Exited),
                ("log", text) => log.push(text.to_owned()),
                ("enforcer", "failed") => return End::EnforcerFailed(log),
                _ => return End::Broke(format!("strange status `{line}`")),
            }
        }
    }

    fn stop(mut self, end: End) -> Result<Outcome, Failure> {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        self.readings.into_iter().for_each(channels::Reading::close);
        let bytes = |shared: Arc<Mutex<Vec<u8>>>| shared.lock().map(|mut bytes| std::mem::take(&mut *bytes)).unwrap_or_default();
        let outcome = |status| Ok(Outcome { status, stdout: bytes(self.stdout), stderr: bytes(self.stderr), console: self.console.clone() });
        match end {
            End::Exited(status) => outcome(status),
            End::OutOfTime => {
                crate::ui::remark("the command did not end in time");
                outcome(OUT_OF_TIME)
            }
            End::NeverStarted(reason) => Err(Failure::BeforeStart(with_console(&reason, &self.console))),
            End::Broke(reason) => Err(Failure::AfterStart(with_console(&reason, &self.console))),
            End::EnforcerFailed(log) => {
                let error = with_console("the enforcer is not active in the guest", &self.console);
                Err(Failure::Refused(anyhow!("{error:#}\nits journal:\n  {}", log.join("\n  "))))
            }
        }
    }
}

fn command(spec: &Spec, kernel: &Kernel, dir: &Path, console: &Path, ports: &[Channel; 3]) -> Result<Command> {
    let accel = if spec.icount { Proved::Tcg } else { spec.accel.prove(kernel)? };
    // QEMU must not outlive an xtask that is killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35"]);
    match accel {
        Proved::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
        Proved::Tcg if spec.icount => command.args(["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", &kernel.tcg_cpu]),
        Proved::Tcg => command.args(["-accel", "tcg,thread=multi", "-cpu", &kernel.tcg_cpu]),
    };
    let processors = if spec.icount { 1 } else { spec.smp };
    command.args(["-smp", &processors.to_string(), "-m", &format!("{}M", spec.memory), "-kernel"]).arg(kernel.vmlinux()?);
    command.args(["-append", &command_line(spec)]);

    // Namespaces of one controller, which the guest tells apart by their numbers.
    command.args(["-device", "nvme,id=drives,serial=enforcer"]);
    let drives = [(spec.image.disk()?, "snapshot=on"), (payload::path(dir), "readonly=on"), (kernel.modules()?, "readonly=on")];
    for (number, (path, access)) in drives.iter().enumerate() {
        command.args(["-drive", &format!("file={},format=raw,if=none,id=drive{number},cache=unsafe,{access}", path.display())]);
        command.args(["-device", &format!("nvme-ns,bus=drives,drive=drive{number},nsid={}", number + 1)]);
    }
    command.args(["-chardev", &format!("file,id=console,path={}", console.display()), "-device", "isa-serial,chardev=console,iobase=0x3f8,irq=4"]);
    // Interrupts of their own, for edges of a shared one get lost.
    for (port, (iobase, irq)) in ports.iter().zip([("0x2f8", 3), ("0x3e8", 5), ("0x2e8", 10)]) {
        let name = format!("port{irq}");
        command.args(["-chardev", &format!("file,id={name},path={}", port.path().display())]);
        command.args(["-device", &format!("isa-serial,chardev={name},iobase={iobase},irq={irq}")]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(dir.join("qemu.log"))?);
    Ok(command)
}

/// `proc_mem.force_override` (6.12 and later) lets a tracer write over text by /proc/PID/mem, as older kernels do, so that it is the enforcer that
/// has to stop it. Kernels that do not know it pass over it.
fn command_line(spec: &Spec) -> String {
    let fixed = "rw rootwait init=/usr/lib/enforcer-vm/init systemd.unit=enforcer-vm.target console=ttyS0 quiet panic=-1 norandmaps \
                 cryptomgr.notests proc_mem.force_override=always";
    format!("root={} {fixed} {}", guest::ROOT, spec.append)
}

/// Where a machine's console is kept, for a day.
fn console(kernel: &str) -> Result<PathBuf> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let dir = cache::dir()?.join("logs");
    fs::create_dir_all(&dir)?;
    for old in fs::read_dir(&dir)?.filter_map(Result::ok) {
        let is_old = old.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|time| time.elapsed().is_ok_and(|age| age > DAY));
        if is_old {
            let _ = fs::remove_file(old.path());
        }
    }
    let number = MACHINES.fetch_add(1, Ordering::Relaxed);
    Ok(dir.join(format!("console-{kernel}-{}-{number}.log", std::process::id())))
}

fn capture(into: &Arc<Mutex<Vec<u8>>>) -> impl FnMut(&[u8]) + Send + 'static {
    let into = Arc::clone(into);
    move |bytes| {
        if let Ok(mut captured) = into.lock() {
            captured.extend_from_slice(bytes);
        }
    }
}

/// What an emulator does that runs code which another processor has patched meanwhile. The kernel patches itself where programs are attached, and puts a
/// breakpoint there for a moment (`text_poke_bp`).
pub(crate) const PATCHED_CODE: &str = "the kernel met a breakpoint where it had patched its own code before";

fn with_console(reason: &str, console: &Path) -> anyhow::Error {
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  ");
    let race = if text.contains("Oops: int3") { format!("; {PATCHED_CODE}") } else { String::new() };
    anyhow!("{reason}{race}\nthe end of its console (all of it: {}):\n  {tail}", console.display())
}
