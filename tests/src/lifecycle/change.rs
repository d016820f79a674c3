//! Trusted files that change: noticed at the next use, whichever way the bytes got there.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use enforcer_common::{Hook, Reason};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, statat, utimensat};
use rustix::mm::{MapFlags, MsyncFlags, ProtFlags, mmap, msync, munmap};

use super::Test;
use super::uses::{is_recorded, library_opens, open, program_runs, start, was_denied, with_suffix};
use crate::child::Ended;
use crate::events::Mark;
use crate::scene::{FIRST_VERSION, SECOND_VERSION, Scene, version_at};

pub const TESTS: &[Test] = &[
    Test::new("write_in_place_is_noticed", "write one byte of a trusted program and library", |scene| noticed(scene, write_in_place)),
    Test::new("write_with_its_time_restored_is_noticed", "write one byte and put the modification time back", |scene| {
        noticed(scene, write_and_restore_time)
    }),
    Test::new("rewrite_from_the_beginning_is_noticed", "truncate and write anew", |scene| noticed(scene, rewrite)),
    Test::new("rename_over_is_noticed", "rename another file over", |scene| noticed(scene, rename_over)),
    Test::new("write_through_a_shared_mapping_is_noticed", "write through a shared mapping, with msync", |scene| {
        noticed(scene, |path, version| write_mapped(path, version, true))
    }),
    Test::new("write_through_a_shared_mapping_without_msync_is_noticed", "write through a shared mapping and just unmap it", |scene| {
        // Whatever stands behind the end is not cleared before it is on the disk.
        noticed_as(scene, |path, version| write_mapped(path, version, false), Reason::UnwrittenTail)
    }),
    Test::new("copy_by_the_kernel_is_noticed", "copy_file_range into the file", |scene| noticed(scene, copy_range)),
    Test::new("quick_changes_are_all_noticed", "change a program to and fro without a pause, 40 times", quick),
];

/// Changes a file's version byte, in one way or another.
type Change = fn(&Path, u8) -> Result<()>;

/// The use of a file, and what it looks like when it is allowed.
struct Use {
    file: PathBuf,
    hook: Hook,
    try_it: fn(&Scene, &Path) -> Result<Ended>,
    works: fn(&Scene, &Path) -> Result<()>,
}

fn uses(scene: &Scene) -> Result<[Use; 2]> {
    let program = scene.copy("bin/program", "program")?;
    let library = scene.copy("lib/libsays.so", "library.so")?;
    Ok([
        Use { file: program, hook: Hook::BprmCheckSecurity, try_it: start, works: program_runs },
        Use { file: library, hook: Hook::MmapFile, try_it: open, works: library_opens },
    ])
}

/// The new content is denied with an event, and the old content runs again when it is back.
fn noticed(scene: &Scene, change: Change) -> Result<String> {
    noticed_as(scene, change, Reason::Untrusted)
}

fn noticed_as(scene: &Scene, change: Change, reason: Reason) -> Result<String> {
    for Use { file, hook, try_it, works } in uses(scene)? {
        // Until the kernel reuses its measurement.
        for _ in 0..4 {
            works(scene, &file)?;
            thread::sleep(SETTLING);
        }
        change(&file, SECOND_VERSION)?;
        let mark = Mark::now();
        let ended = try_it(scene, &file)?;
        was_denied(&ended, &file, PATIENCE).context("after the change")?;
        is_recorded(mark, &ended, hook, reason)?;
        change(&file, FIRST_VERSION)?;
        File::open(&file)?.sync_all()?;
        works(scene, &file).context("after the old content was put back")?;
    }
    Ok("program and library were denied when changed, and ran when restored".to_owned())
}

fn quick(scene: &Scene) -> Result<String> {
    for round in 0..ROUNDS {
        for Use { file, try_it, works, .. } in &uses(scene)? {
            for version in [SECOND_VERSION, FIRST_VERSION] {
                write_in_place(file, version)?;
                if version == FIRST_VERSION {
                    works(scene, file).with_context(|| format!("round {round}, restored"))?;
                } else {
                    was_denied(&try_it(scene, file)?, file, PATIENCE).with_context(|| format!("round {round}, changed"))?;
                }
            }
        }
    }
    Ok(format!("{ROUNDS} rounds, each change noticed"))
}

fn write_in_place(path: &Path, version: u8) -> Result<()> {
    let position = position(path)?;
    OpenOptions::new().write(true).open(path)?.write_all_at(&[version], position as u64)?;
    Ok(())
}

fn write_and_restore_time(path: &Path, version: u8) -> Result<()> {
    let before = statat(CWD, path, AtFlags::empty())?;
    write_in_place(path, version)?;
    let time = |seconds: i64, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds.cast_signed() };
    let times =
        Timestamps { last_access: time(before.st_atime, before.st_atime_nsec), last_modification: time(before.st_mtime, before.st_mtime_nsec) };
    Ok(utimensat(CWD, path, &times, AtFlags::empty())?)
}

fn rewrite(path: &Path, version: u8) -> Result<()> {
    Ok(fs::write(path, changed(path, version)?)?)
}

fn rename_over(path: &Path, version: u8) -> Result<()> {
    let new = other(path, version)?;
    Ok(fs::rename(new, path)?)
}

fn copy_range(path: &Path, version: u8) -> Result<()> {
    let other = File::open(other(path, version)?)?;
    let into = OpenOptions::new().write(true).open(path)?;
    let mut left = usize::try_from(other.metadata()?.len())?;
    let (mut from, mut to) = (0, 0);
    while left > 0 {
        left -= rustix::fs::copy_file_range(&other, Some(&mut from), &into, Some(&mut to), left)?;
    }
    Ok(())
}

fn write_mapped(path: &Path, version: u8, sync: bool) -> Result<()> {
    let position = position(path)?;
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = usize::try_from(file.metadata()?.len())?;
    // SAFETY: a new mapping of a file of this test's own; the position lies inside of it.
    unsafe {
        let start = mmap(null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)?;
        start.cast::<u8>().add(position).write_volatile(version);
        if sync {
            msync(start, length, MsyncFlags::SYNC)?;
        }
        munmap(start, length)?;
    }
    Ok(())
}

fn position(path: &Path) -> Result<usize> {
    version_at(&fs::read(path)?).with_context(|| format!("`{}` has no version in it", path.display()))
}

/// The file's bytes with another version.
fn changed(path: &Path, version: u8) -> Result<Vec<u8>> {
    let mut bytes = fs::read(path)?;
    bytes[position(path)?] = version;
    Ok(bytes)
}

/// A file beside it with another version.
fn other(path: &Path, version: u8) -> Result<PathBuf> {
    let new = with_suffix(path, ".other");
    fs::write(&new, changed(path, version)?)?;
    fs::set_permissions(&new, fs::metadata(path)?.permissions())?;
    Ok(new)
}

const ROUNDS: usize = 40;
const SETTLING: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(20);
