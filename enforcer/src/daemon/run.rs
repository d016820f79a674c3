//! The daemon's life: start, prove, serve, reload, end.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use enforcer_common::{Mode, USE_EXEC};
use rustix::fs::{FlockOperation, flock};
use tokio::signal::unix::{SignalKind, signal};

use super::before::Snapshot;
use super::charter::Chartered;
use super::clock::Clock;
use super::events::Events;
use super::explain::Explanations;
use super::floors::Floors;
use super::identity::{self, Identity};
use super::in_force::InForce;
use super::meters::Meters;
use super::notice::Notice;
use super::phases::Phases;
use super::protected::{Unprotected, require_protected};
use super::publish::Publisher;
use super::reload::{What, examiner, trusted_own_code};
use super::requests::{Requests, VERIFIERS};
use super::state::{load_floors, start_clock, untold_time};
use super::suspension::{self, Blown, Suspension};
use super::tally::{Loss, Tally};
use super::textfile::Textfile;
use super::watch::Watch;
use super::{Ground, Options, Shared, before, charters_in_force, entitled, facts, own_code, scan, scopes};
use crate::audit::{EventLog, Timestamp, state_in_words};
use crate::charter::CharterError;
use crate::kernel::{self, Canary, KernelError, Loaded, Others, Records, require_kernel, start_signed};
use crate::measure::MeasureError;
use crate::policy::{Policy, PolicyError};
use crate::signature::Verified;
use crate::trust::{RecordError, TrustError, TrustStore};
use crate::worker::{self, Pool, Unfit};

/// The daemon's state: canaries, and what must survive a reboot.
pub const STATE_FOLDER: &str = "/var/lib/enforcer";
/// The daemon's lock.
pub const RUN_FOLDER: &str = "/run/enforcer";
/// What nobody else writes to while the daemon's programs are in force.
const GUARDED_FOLDERS: [&str; 2] = [STATE_FOLDER, RUN_FOLDER];
/// Held by the daemon as long as it lives; contains the path of its policy.
pub(super) const LOCK_FILE: &str = "daemon.lock";

/// Why the daemon did not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The policy is not usable.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A trust anchor or pinned certificate is not usable.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Somebody else than root may change who is trusted.
    #[error(transparent)]
    Unprotected(#[from] Unprotected),
    /// What survives a reboot cannot be read, and so nobody knows what was accepted before.
    #[error("what the daemon kept for its next start cannot be used: {0}")]
    State(RecordError),
    /// Whoever has to stand behind the policy does not.
    #[error(transparent)]
    Charter(#[from] CharterError),
    /// The kernel cannot enforce, or its enforcement could not be proven.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A folder, lock, thread or signal could not be had.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: String,
        /// Why not.
        source: io::Error,
    },
    /// Another daemon is running.
    #[error("another `enforcer run` is active (it holds `{}`)", path.display())]
    AlreadyRunning {
        /// The lock file.
        path: PathBuf,
    },
    /// A reload asks for what only a restart can change.
    #[error("`max-verdicts` was changed from {old} to {new}, which takes a restart of the service")]
    NeedsRestart {
        /// The size in force.
        old: u32,
        /// The size asked for.
        new: u32,
    },
    /// The policy asks to enforce, and would not let the daemon itself start again.
    #[error("in enforce mode the daemon itself could not start again, nor could `enforcer stop`: `{}`: {detail}", path.display())]
    Untrusted {
        /// The program, or one of its libraries.
        path: PathBuf,
        /// Why it is not trusted.
        detail: String,
    },
    /// Nobody without rights can look into files.
    #[error(transparent)]
    Workers(Arc<Unfit>),
    /// A thread that answers the kernel ended.
    #[error("a thread that answers the kernel's requests ended")]
    Deaf,
    /// The thread that writes events ended.
    #[error("the thread that writes events ended")]
    Mute,
}

/// Runs the daemon until it is told to end by `SIGTERM` or `SIGINT`. Enforcement goes on afterwards.
pub fn run(options: &Options) -> Result<(), DaemonError> {
    let mut phases = Phases::begin();
    let began = Timestamp::now();
    let policy = Policy::load(&options.policy)?;
    require_protected(&policy)?;
    scopes::require_hierarchy(&policy)?;
    require_kernel()?;
    for folder in [STATE_FOLDER, RUN_FOLDER] {
        private_folder(Path::new(folder))?;
    }
    let mut lock = lock()?;
    // Behind the lock: a code that was used is written down, and whoever does not get to be the daemon uses none.
    let (broken_glass, blown) = (suspension::broken_glass(&policy), suspension::blown());
    let mode = suspension::strictest_mode(&policy, broken_glass.as_ref(), blown.as_ref());
    let clock = Arc::new(start_clock(mode)?);
    // Before anything of it is read, so that no change is missed.
    let watch = Watch::start(&policy).map_err(watching)?;
    let mut trust = TrustStore::load(&policy, clock.now())?;
    let floors = load_floors(mode)?;
    // Before anything of this policy has an effect.
    let chartered = Chartered::admit(&policy, &mut trust, &charters_in_force()?, &facts(&clock, &floors.versions()))?;
    clock.keep().unwrap_or_else(|error| tracing::error!("{}", untold_time(&error)));
    name_policy(&mut lock, &options.policy)?;
    phases.end("policy");
    // Before anything is hashed, and before what is started for it could be denied.
    kernel::hash_by_the_processor();
    phases.end("hashing");

    let mut loaded = kernel::load_or_adopt(policy.limits.max_verdicts)?;
    phases.end("programs");
    if loaded.was_adopted() {
        // What is kept for the next start would be somebody else's.
        kernel::require_own_place(loaded.maps.settings()?.mount_namespace).map_err(|source| system("take over what is in force", source))?;
    }
    let tally = Arc::new(Tally::default());
    let settings = worker::Settings::of_this_program(VERIFIERS, FIRST, mode == Mode::Audit);
    let workers = Pool::start(settings, Arc::clone(&tally.workers)).map_err(DaemonError::Workers)?;
    phases.end("workers");
    let daemon =
        Daemon::prepare(options, (policy, trust, chartered), (broken_glass, blown, mode), (clock, floors), (workers, tally), &loaded, &mut phases)?;
    let requests =
        Requests::start(&daemon.shared, Records::open(loaded.pins.folder(), "REQUESTS")?).map_err(|source| system("start a thread", source))?;
    let events = Events::start(&daemon.shared, Records::open(loaded.pins.folder(), "EVENTS")?, loaded.log()?, EventLog::open_default())
        .map_err(|source| system("start a thread", source))?;
    let metrics = Textfile::start(&daemon.shared).map_err(|source| system("start a thread", source))?;
    let outcome = daemon.serve(&mut loaded, (&requests, &events), watch, began, phases);
    requests.stop();
    events.stop();
    metrics.stop();
    outcome
}

/// The daemon at work.
pub(super) struct Daemon {
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    /// This program's file.
    program: PathBuf,
    /// Other builds of the eBPF programs that are in force.
    others: Others,
    /// What `enforcer status` was told last.
    pub(super) told: Mutex<Notice>,
}

impl Daemon {
    /// Publishes what is known, before anything can be denied for want of it.
    fn prepare(
        options: &Options,
        (policy, trust, chartered): (Policy, TrustStore, Chartered),
        (broken_glass, blown, mode): (Option<Suspension>, Option<Blown>, Mode),
        (clock, floors): (Arc<Clock>, Floors),
        (workers, tally): (Pool, Arc<Tally>),
        loaded: &Loaded,
        phases: &mut Phases,
    ) -> Result<Self, DaemonError> {
        let maps = Arc::clone(&loaded.maps);
        let generation = maps.settings()?.generation.wrapping_add(1);
        let versions = floors.versions();
        let facts = facts(&clock, &versions);
        let examiner = Arc::new(examiner(&policy, trust, &facts));
        phases.end("manifests");
        let own_code = trusted_own_code(mode, &examiner, &facts)?;
        phases.end("own code");
        let ground = Arc::new(Ground { policy, broken_glass, chartered, examiner, own_code, generation });
        let identity = Identity::of_this_process().map_err(|source| system("measure this program", source))?;
        let shared = Arc::new(Shared {
            publisher: Publisher::new(Arc::clone(&maps), Arc::clone(&clock), floors),
            in_force: InForce::adopt(Arc::clone(&maps), identity, blown)?,
            clock,
            maps,
            explanations: Explanations::default(),
            ground: RwLock::new(Arc::clone(&ground)),
            workers,
            tally,
            blew: tokio::sync::Notify::new(),
            meters: Meters::start(),
            before: RwLock::default(),
            unretired: AtomicBool::new(false),
            are_rights_left: AtomicBool::new(false),
            renewing: Mutex::default(),
            replacing: Mutex::default(),
        });
        shared.replace_ground(ground)?;
        phases.end("verdicts");
        let program = own_code::program().map_err(|source| system("find this program's file", source))?;
        Ok(Self { options: options.clone(), shared, program, others: loaded.others()?, told: Mutex::default() })
    }

    /// Attaches, proves, tells the service manager, and waits for signals.
    fn serve(
        &self,
        loaded: &mut Loaded,
        (requests, events): (&Requests, &Events),
        mut watch: Watch,
        began: Timestamp,
        mut phases: Phases,
    ) -> Result<(), DaemonError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|source| system("start the runtime", source))?;
        runtime.block_on(async {
            // Before READY, so that no signal finds the daemon without its handler.
            let listen = |kind| signal(kind).map_err(|source| system("listen for signals", source));
            let (mut reload, mut terminate, mut interrupt) =
                (listen(SignalKind::hangup())?, listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
            // Before anything can be denied for want of it.
            let mut overlay = Overlay::default();
            self.look_for_overlay(&mut overlay);
            let adopted = loaded.was_adopted();
            let was_in_force = adopted || self.others.are_there();
            let attached = loaded.attach(&GUARDED_FOLDERS.map(Path::new)).map_err(DaemonError::from);
            phases.end("attaching");
            if let Err(error) = attached.and_then(|()| self.prove()).and_then(|()| self.prove_signed_code_runs()) {
                // What was asked for cannot be had, so nothing is left behind. What was in force before stays.
                if !adopted && let Err(worse) = loaded.pins.remove() {
                    tracing::error!("the unproven programs could not be taken off: {worse}");
                }
                return Err(error);
            }
            if self.others.are_there() {
                // What they let in they keep writers off, as long as they are there.
                before::take_over(&self.shared, &Snapshot::take());
            }
            let retired = loaded.retire_others()?;
            // Once more, with nobody else left who could have denied.
            self.prove()?;
            let (policy, verdicts) = (self.shared.ground().policy.clone(), self.shared.maps.verdict_count()?);
            let (mode, scopes) = (policy.mode.name(), policy.scopes.len());
            tracing::info!(mode, scopes, adopted, retired, verdicts, "in force: the canary was {}", proof(self.mode_here()));
            self.shared.settle_charter();
            if was_in_force {
                // What ran before is what the first daemon of this boot found.
                if let Some(before) = Notice::read().and_then(|notice| notice.before) {
                    self.shared.set_before(before);
                }
            } else if self.options.once {
                if let Some(before) = before::look(&self.shared, &Snapshot::take()) {
                    self.shared.set_before(before);
                }
            } else {
                before::start(&self.shared, Snapshot::take()).map_err(|source| system("start a thread", source))?;
            }
            self.tell(Some(self.policy_read_at(began)), None);
            phases.end("canaries");
            tracing::info!("ready after {} ms: {phases}", phases.milliseconds());
            if self.options.once {
                entitled::renew(&self.shared);
                self.keep_state();
                tracing::info!("enforcement goes on without a daemon, as was asked for");
                return Ok(());
            }
            entitled::start(&self.shared);
            scan::start(&self.shared).map_err(|source| system("start a thread", source))?;
            notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(&self.status_line())]);
            kernel::give_back_freed_memory();

            let mut overlay_ticks = tokio::time::interval(OVERLAY_INTERVAL);
            let mut keep = tokio::time::interval(KEEP_INTERVAL);
            let mut canary = tokio::time::interval(CANARY_INTERVAL);
            canary.reset();
            let mut watchdog = tokio::time::interval(WATCHDOG_INTERVAL);
            let mut progress = requests.progress();
            loop {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    _ = reload.recv() => {
                        self.reload(&mut watch, What::Policy);
                        // Whoever waits for it was told, and is not told anything that is not so.
                        self.prove_again()?;
                    }
                    changed = watch.changed() => {
                        changed.map_err(watching)?;
                        tracing::info!("what is revoked has changed");
                        self.reload(&mut watch, What::Trust);
                    }
                    () = self.shared.blew.notified() => self.tell_fuse(),
                    _ = keep.tick() => self.keep_state(),
                    _ = overlay_ticks.tick(), if overlay == Overlay::Absent => {
                        if kernel::overlay_module_is_loaded() {
                            self.look_for_overlay(&mut overlay);
                        }
                    }
                    _ = canary.tick() => self.prove_again()?,
                    _ = watchdog.tick() => {
                        if requests.is_dead() {
                            return Err(DaemonError::Deaf);
                        }
                        if events.is_dead() {
                            return Err(DaemonError::Mute);
                        }
                        // Fed only while requests are being read.
                        let now = requests.progress();
                        if now != progress {
                            notify(&[sd_notify::NotifyState::Watchdog]);
                        }
                        progress = now;
                        if self.shared.clock.follow() {
                            tracing::warn!("the clock has been set right: what was decided by the earlier time is decided anew");
                            self.reload(&mut watch, What::Trust);
                        }
                        self.shared.retire_again();
                        entitled::start(&self.shared);
                        if overlay == Overlay::Unreadable {
                            self.look_for_overlay(&mut overlay);
                        }
                        if let Some(unfit) = self.shared.workers.given_up() {
                            return Err(DaemonError::Workers(unfit));
                        }
                        self.tell_losses(watch.overflows());
                    }
                }
            }
            notify(&[sd_notify::NotifyState::Stopping]);
            self.keep_state();
            // The last chance to verify an upgrade of this very program: the next start finds no daemon to ask.
            self.start_own_program();
            tracing::info!("the daemon ends; enforcement goes on without it (`enforcer stop --release` takes it off)");
            Ok(())
        })
    }

    /// Tells the programs how this kernel's overlays are built, if their module is loaded.
    fn look_for_overlay(&self, overlay: &mut Overlay) {
        let outcome = kernel::read_overlay().and_then(|layout| match layout {
            Some(layout) => self.shared.maps.set_overlay(&layout).map(|()| Overlay::Known),
            None => Ok(Overlay::Absent),
        });
        *overlay = outcome.unwrap_or_else(|error| {
            if *overlay != Overlay::Unreadable {
                tracing::error!("nothing that is on an overlay will run: {error}");
            }
            Overlay::Unreadable
        });
    }

    /// The mode that holds for the daemon itself, which tries the canary.
    fn mode_here(&self) -> Mode {
        if self.shared.in_force.suspension().is_some() {
            return Mode::Audit;
        }
        self.shared.ground().policy.mode_in(&kernel::own_cgroup().unwrap_or_else(|_| "/".into()))
    }

    /// The unsigned canary, in the mode in force.
    fn prove(&self) -> Result<(), DaemonError> {
        let folders = [Path::new(STATE_FOLDER), Path::new("/etc/enforcer")];
        let announce = |digest| {
            self.shared.explanations.announce_canary(digest);
            if let Err(error) = self.others.let_pass(&digest) {
                tracing::debug!("another build of the programs may answer in this one's place: {error}");
            }
        };
        Canary { folders: &folders, mode: self.mode_here() }.try_it(&self.shared.maps, announce)?;
        if self.shared.in_force.suspension().is_none() && self.shared.ground().policy.has_stricter_scopes() {
            Canary { folders: &folders, mode: Mode::Enforce }.try_in_its_cgroup(&self.shared.maps, announce)?;
        }
        Ok(())
    }

    /// The signed canary: where the kernel cannot measure, everything is denied, and nobody could even take enforcement off.
    fn prove_signed_code_runs(&self) -> Result<(), DaemonError> {
        if self.shared.strictest_mode() == Mode::Enforce {
            start_signed(&self.program)?;
        }
        Ok(())
    }

    /// While the daemon runs, a canary that cannot be tried proves nothing either way; one that is not denied ends the daemon, loudly, so that the
    /// service manager starts it anew and the programs are attached again.
    fn prove_again(&self) -> Result<(), DaemonError> {
        match self.prove() {
            Err(DaemonError::Kernel(error @ KernelError::CanaryUntried { .. })) => {
                tracing::warn!("{error}");
                Ok(())
            }
            Err(error) => Err(error),
            Ok(()) => {
                self.start_own_program();
                Ok(())
            }
        }
    }

    /// Starts what stands in this program's place now, so that it is verified while there is somebody to verify it, and may take over.
    fn start_own_program(&self) {
        if let Err(error) = self.name_successor() {
            tracing::error!("what stands in the daemon's place could not be named as its successor: {error}");
        }
        if let Err(error) = self.prove_signed_code_runs() {
            tracing::error!("the daemon could not start again: {error}; enforcement goes on");
        }
    }

    /// Lets the program that stands in this one's place touch what is guarded, if the policy lets it in as a program. Where root is not trusted to choose
    /// the policy, root does not choose the enforcer either: then the program's signature has to say that it is one.
    fn name_successor(&self) -> Result<(), DaemonError> {
        let Some(file) = identity::open_in_place(&self.program) else { return Ok(()) };
        let ground = self.shared.ground();
        let versions = self.shared.publisher.versions();
        let failed = |error: MeasureError| system("measure what stands in this program's place", io::Error::other(error));
        let examination = ground.examiner.examine(&file, Some(&self.program), &facts(&self.shared.clock, &versions)).map_err(failed)?;
        let has_policy_signers = !ground.policy.protection.policy_signers.is_empty();
        let may_follow = match examination.outcome() {
            Ok(verified) if has_policy_signers => verified.uses() & USE_EXEC != 0 && verified.entitlements().iter().any(|right| right == SUCCESSOR),
            Ok(verified) => verified.uses() & USE_EXEC != 0,
            Err(_) => !has_policy_signers && self.shared.strictest_mode() == Mode::Audit,
        };
        if !may_follow && !self.shared.in_force.identity().is_own(&examination.digest) {
            tracing::warn!("`{}` is another program than this one, and is not let take over: {UNENTITLED}", self.program.display());
            return Ok(());
        }
        self.renew_own_code(&ground)?;
        if self.shared.in_force.name_successor(examination.digest, examination.fsverity)? {
            tracing::info!("`{}` is another build of the enforcer now, and may take over", self.program.display());
        }
        Ok(())
    }

    /// What stands in the place of the daemon's program and libraries now is the code of the next daemon, which loads no other. What runs stays so, too.
    fn renew_own_code(&self, ground: &Ground) -> Result<(), DaemonError> {
        let versions = self.shared.publisher.versions();
        let mut own_code = trusted_own_code(self.shared.strictest_mode(), &ground.examiner, &facts(&self.shared.clock, &versions))?;
        let is_in = |code: &[Verified], verified: &Verified| code.iter().any(|known| known.digest() == verified.digest());
        if own_code.iter().all(|verified| is_in(&ground.own_code, verified)) {
            return Ok(());
        }
        let former: Vec<Verified> = ground.own_code.iter().filter(|verified| !is_in(&own_code, verified)).cloned().collect();
        own_code.extend(former);
        self.shared.set_own_code(Ground { own_code, ..ground.clone() })?;
        tracing::info!("the daemon's program or libraries have been replaced, and the next daemon may load them");
        Ok(())
    }

    /// Says what was lost since the last time: in the journal what was denied by it, and to `enforcer status` all of it.
    fn tell_losses(&self, watch_overflows: u64) {
        let tally = &self.shared.tally;
        tally.set(Loss::WatchOverflows, watch_overflows);
        let (told, counters) = (self.told(), tally.by_name());
        let before = told.counters.get(Loss::RequestsDropped.name()).copied().unwrap_or(0);
        let dropped = tally.of(Loss::RequestsDropped) - before;
        if dropped > 0 {
            tracing::warn!("{dropped} first uses found the queue full, and are denied at their deadline");
        }
        let watched = Some(self.shared.meters.watched(&self.shared.ground()));
        if told.counters != counters || told.before != self.shared.before() || told.watched != watched {
            self.tell(told.policy, told.refused);
        }
    }

    /// Keeps what must survive a reboot.
    fn keep_state(&self) {
        self.shared.publisher.save();
        if let Err(error) = self.shared.clock.keep() {
            tracing::error!("{}", untold_time(&error));
        }
    }

    pub(super) fn status_line(&self) -> String {
        if let Some(suspension) = self.shared.in_force.suspension() {
            return format!("SUSPENDED: {}", suspension.in_words());
        }
        let ground = self.shared.ground();
        let scopes = ground.policy.scopes.iter().flat_map(|scope| scope.cgroups.iter().map(|cgroup| (cgroup.to_string(), scope.mode)));
        state_in_words(ground.policy.mode, scopes)
    }
}

pub(super) fn watching(source: io::Error) -> DaemonError {
    system("watch the files of `[revocation]`", source)
}

/// What the programs know of this kernel's overlays.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Overlay {
    /// The module is not loaded, as far as was seen.
    #[default]
    Absent,
    /// It is, and how it is built cannot be told yet.
    Unreadable,
    Known,
}

/// Only one daemon at a time; the lock goes with the process.
fn lock() -> Result<fs::File, DaemonError> {
    let path = Path::new(RUN_FOLDER).join(LOCK_FILE);
    let failed = |source| system(&format!("lock `{}`", path.display()), source);
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(DaemonError::AlreadyRunning { path }),
        Err(error) => Err(failed(error.into())),
    }
}

/// Says in the lock's file which policy is in force, wherever whoever asks stands.
fn name_policy(lock: &mut fs::File, policy: &Path) -> Result<(), DaemonError> {
    let write = |path: PathBuf| lock.set_len(0).and_then(|()| lock.write_all(path.as_os_str().as_bytes()));
    std::path::absolute(policy).and_then(write).map_err(|source| system("say which policy is in force", source))
}

fn private_folder(path: &Path) -> Result<(), DaemonError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| system(&format!("create `{}`", path.display()), source))
}

fn proof(mode: Mode) -> &'static str {
    match mode {
        Mode::Audit => "reported",
        Mode::Enforce => "denied",
    }
}

/// Tells the service manager, if there is one.
pub(super) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::debug!("the service manager was not told: {error}");
    }
}

pub(super) fn system(action: &str, source: io::Error) -> DaemonError {
    DaemonError::System { action: action.to_owned(), source }
}

/// The entitlement by which a program may follow this one, where the policy has policy signers.
const SUCCESSOR: &str = "enforcer";
const UNENTITLED: &str = "no signature that the policy trusts covers it, or, where there are policy signers, none with the entitlement `enforcer`";
/// The place of workers in the queue for the processor: somebody waits in the kernel, and they do little.
const FIRST: i32 = -20;
/// How often the canary is tried while the daemon runs.
const CANARY_INTERVAL: Duration = Duration::from_secs(60);
/// How often the overlay module is looked for until it is loaded: the first start from an overlay waits for that (`OVERLAY_TICKS` in the programs).
const OVERLAY_INTERVAL: Duration = Duration::from_millis(100);
/// How often the time is kept for the next start.
const KEEP_INTERVAL: Duration = Duration::from_secs(180);
/// How often the service manager's watchdog is fed; the unit's `WatchdogSec` is several times this.
const WATCHDOG_INTERVAL: Duration = Duration::from_secs(5);
