//! Telling the programs what belongs to the enforcer: inodes, by enrolment, and BPF objects, by their ids.
//!
//! What is guarded, and from whom, is decided in `enforcer-ebpf/src/guard.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aya::maps::MapData;
use aya::programs::links::FdLink;
use enforcer_common::{ENROL_EXECUTABLE, GUARDED_CGROUP, GUARDED_FOLDER, GUARDED_WAY, ObjectId, ObjectKind};

use super::maps::MAPS;
use super::pins::PIN_ROOT;
use super::place::open_own_program;
use super::{KernelError, Maps, Pins, cgroup, pins::pin_error};

/// Enrols this program, the folders of pins, the daemon's own folders, the way to each of them, and the control groups of this process. Again and again
/// is as good as once.
pub(super) fn enrol_inodes(maps: &Maps, pins: &Pins, folders: &[&Path]) -> Result<(), KernelError> {
    let program = open_own_program().map_err(|source| pin_error("find", Path::new("/proc/self/exe"), source))?;
    maps.enrol_file(&program, ENROL_EXECUTABLE)?;
    let mut guarded: BTreeMap<PathBuf, u32> = BTreeMap::new();
    for folder in [Path::new(PIN_ROOT), pins.folder()].iter().chain(folders) {
        let folder = fs::canonicalize(folder).map_err(|source| pin_error("find", folder, source))?;
        for way in folder.ancestors().skip(1) {
            *guarded.entry(way.to_owned()).or_default() |= GUARDED_WAY;
        }
        *guarded.entry(folder).or_default() |= GUARDED_FOLDER;
    }
    guarded.iter().try_for_each(|(path, flags)| maps.enrol(path, *flags))?;
    // Those of an earlier daemon are gone.
    maps.forget_guarded(GUARDED_CGROUP)?;
    cgroup::to_be_guarded().iter().try_for_each(|path| maps.enrol(path, GUARDED_CGROUP))
}

/// Tells which BPF programs, maps and links are ours.
pub(super) fn enrol_objects(maps: &Maps, pins: &Pins, links: &[FdLink]) -> Result<(), KernelError> {
    let own = |kind: ObjectKind, id| maps.own(&ObjectId { kind: kind as u32, id });
    pins.program_ids().into_iter().try_for_each(|id| own(ObjectKind::Program, id))?;
    for name in MAPS {
        let failed = |detail: String| KernelError::Map { map: name, detail };
        let map = MapData::from_pin(pins.map(name)).map_err(|error| failed(error.to_string()))?;
        own(ObjectKind::Map, map.info().map_err(|error| failed(error.to_string()))?.id())?;
    }
    for link in links {
        own(ObjectKind::Link, link.info().map_err(|error| KernelError::Load { detail: format!("a link: {error}") })?.id())?;
    }
    Ok(())
}
