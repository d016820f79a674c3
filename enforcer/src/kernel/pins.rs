//! The pins: what keeps enforcement going without the daemon.
//!
//! Each build of the programs has its own folder below [`PIN_ROOT`], with its maps, programs and links. A folder with every link is in force. A newer
//! build is attached and proven before the older folders are removed, so there is no moment without enforcement.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aya::programs::ProgramInfo;
use aya::programs::links::{FdLink, PinnedLink};
use rustix::fs::{StatFs, statfs};
use serde::{Deserialize, Serialize};

use super::{HOOKS, KernelError, maps::MAPS, programs::OPTIONAL};

/// Where the pins are.
pub const PIN_ROOT: &str = "/sys/fs/bpf/enforcer";

/// The folder of one build of the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    folder: PathBuf,
}

/// What a hook's program has cost since it was loaded, as the kernel has counted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCost {
    /// The hook.
    pub hook: String,
    /// How often its program ran.
    pub runs: u64,
    /// How long all these runs took.
    pub nanoseconds: u64,
}

impl Pins {
    pub(super) fn of(build_id: &str) -> Self {
        Self { folder: Path::new(PIN_ROOT).join(build_id) }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn program(&self, hook: &str) -> PathBuf {
        self.folder.join(format!("program_{hook}"))
    }

    pub(super) fn link(&self, hook: &str) -> PathBuf {
        self.folder.join(format!("link_{hook}"))
    }

    /// The hooks whose links are pinned here: those in force.
    pub fn hooks(&self) -> Vec<&'static str> {
        possible_hooks().filter(|hook| self.link(hook).exists()).collect()
    }

    /// Descriptors of the links that are pinned here.
    pub(super) fn links(&self) -> Result<Vec<FdLink>, KernelError> {
        let open = |hook: &str| {
            PinnedLink::from_pin(self.link(hook))
                .map(Into::into)
                .map_err(|error| KernelError::Load { detail: format!("the link of `{hook}`: {error}") })
        };
        self.hooks().into_iter().map(open).collect()
    }

    /// The kernel's ids of the programs that are pinned here.
    pub fn program_ids(&self) -> Vec<u32> {
        possible_hooks().filter_map(|hook| ProgramInfo::from_pin(self.program(hook)).ok()).map(|info| info.id()).collect()
    }

    /// What each program has cost, where the kernel counts it or did (`kernel.bpf_stats_enabled`); none that never ran.
    pub fn costs(&self) -> Vec<HookCost> {
        let cost = |hook: &'static str| {
            let info = ProgramInfo::from_pin(self.program(hook)).ok()?;
            let nanoseconds = u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX);
            Some(HookCost { hook: hook.to_owned(), runs: info.run_count(), nanoseconds })
        };
        possible_hooks().filter_map(cost).filter(|cost| cost.runs > 0).collect()
    }

    /// Whether every map, program and link is here.
    pub fn is_complete(&self) -> bool {
        let is_there = |hook: &str| self.program(hook).exists() && self.link(hook).exists();
        let optional = OPTIONAL.into_iter().all(|hook| self.program(hook).exists() == self.link(hook).exists());
        optional && HOOKS.into_iter().all(is_there) && MAPS.iter().all(|map| self.map(map).exists())
    }

    /// Makes the folder, for root alone.
    pub(super) fn create(&self) -> Result<(), KernelError> {
        for folder in [Path::new(PIN_ROOT), &self.folder] {
            match fs::DirBuilder::new().mode(0o700).create(folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(|source| pin_error("secure", folder, source))?;
                }
                Err(source) => return Err(pin_error("create", folder, source)),
            }
        }
        Ok(())
    }

    /// Removes the pins, links first: from then on this build decides nothing.
    pub fn remove(&self) -> Result<(), KernelError> {
        for hook in possible_hooks() {
            remove_file(&self.link(hook))?;
        }
        let entries = fs::read_dir(&self.folder).map_err(|source| pin_error("list", &self.folder, source))?;
        for entry in entries {
            remove_file(&entry.map_err(|source| pin_error("list", &self.folder, source))?.path())?;
        }
        fs::remove_dir(&self.folder).map_err(|source| pin_error("remove", &self.folder, source))
    }
}

/// All that there may be.
fn possible_hooks() -> impl Iterator<Item = &'static str> {
    HOOKS.into_iter().chain(OPTIONAL)
}

/// Every build that has pins, those in force first.
pub fn observed() -> Result<Vec<Pins>, KernelError> {
    let entries = match fs::read_dir(PIN_ROOT) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(pin_error("list", Path::new(PIN_ROOT), source)),
    };
    let mut pins = Vec::new();
    for entry in entries {
        let folder = entry.map_err(|source| pin_error("list", Path::new(PIN_ROOT), source))?.path();
        pins.push(Pins { folder });
    }
    pins.sort_by_key(|pins| (!pins.is_complete(), pins.folder.clone()));
    Ok(pins)
}

/// Makes sure that bpffs is mounted where systemd mounts it.
pub(super) fn require_bpffs() -> Result<(), KernelError> {
    const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
    let mount_point = Path::new("/sys/fs/bpf");
    let is_bpffs = |found: StatFs| found.f_type == BPF_FS_MAGIC;
    if statfs(mount_point).is_ok_and(is_bpffs) {
        return Ok(());
    }
    rustix::mount::mount("bpf", mount_point, "bpf", rustix::mount::MountFlags::empty(), Some(c"mode=0700"))
        .map_err(|error| pin_error("mount bpffs on", mount_point, error.into()))
}

fn remove_file(path: &Path) -> Result<(), KernelError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(pin_error("remove", path, error)),
        _ => Ok(()),
    }
}

pub(super) fn pin_error(action: &'static str, path: &Path, source: io::Error) -> KernelError {
    KernelError::Pin { action, path: path.to_owned(), source }
}
