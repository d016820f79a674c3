//! Files that are meant to hurt whoever opens them: the daemon outlives each, denies, and goes on answering.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use enforcer_common::{Hook, Reason};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::uses::{is_recorded, program_is_denied, program_runs, start, with_suffix};
use super::{Test, staged};
use crate::events::Mark;
use crate::scene::{Scene, install};
use crate::service;

pub const TESTS: &[Test] = &[
    Test::new("fifo_in_place_of_a_signature_is_survived", "start a program beside a FIFO", |scene| beside(scene, fifo)),
    Test::new("folder_in_place_of_a_signature_is_survived", "start a program beside a folder", |scene| {
        beside(scene, |path| Ok(fs::create_dir(path)?))
    }),
    Test::new("device_in_place_of_a_signature_is_survived", "start a program beside a link to /dev/zero", |scene| {
        beside(scene, |path| Ok(symlink("/dev/zero", path)?))
    }),
    Test::new("circular_link_in_place_of_a_signature_is_survived", "start a program beside a link to itself", |scene| {
        beside(scene, |path| Ok(symlink(path, path)?))
    }),
    Test::new("empty_signature_is_survived", "start a program beside an empty signature", |scene| beside(scene, |path| Ok(fs::write(path, "")?))),
    Test::new("nonsense_signature_is_survived", "start a program beside nonsense", |scene| {
        beside(scene, |path| Ok(fs::write(path, [0x30; 65_536])?))
    }),
    Test::new("enormous_signature_is_survived", "start a program beside a signature of 10 GB", |scene| beside(scene, enormous)),
    Test::new("truncated_signature_is_survived", "start a program beside half of its signature", truncated),
    Test::new("unusable_programs_are_survived", "start a FIFO, a folder, and an empty file", unusable),
];

/// An unsigned program beside something that calls itself its signature.
fn beside(scene: &Scene, make: fn(&Path) -> Result<()>) -> Result<String> {
    outlived(scene, |scene| {
        let program = scene.copy("unsigned/program", "program")?;
        // Bytes of its own, so that no earlier denial answers for it.
        use std::io::Write as _;
        write!(fs::OpenOptions::new().append(true).open(&program)?, "{:?}", std::time::SystemTime::now())?;
        make(&with_suffix(&program, ".p7s")).context("cannot make the hostile file")?;
        let mark = Mark::now();
        let ended = program_is_denied(scene, &program, PATIENCE)?;
        is_recorded(mark, &ended, Hook::BprmCheckSecurity, Reason::Untrusted)
    })
}

fn truncated(scene: &Scene) -> Result<String> {
    outlived(scene, |scene| {
        let (program, signature) = staged::program_and_signature(scene)?;
        let bytes = fs::read(&signature)?;
        fs::write(with_suffix(&program, ".p7s"), &bytes[..bytes.len() / 2])?;
        program_is_denied(scene, &program, PATIENCE)?;
        install(&signature, &with_suffix(&program, ".p7s"))?;
        service::wait_until("it runs with the whole signature", || Ok(start(scene, &program)?.status.success()))
    })
}

fn unusable(scene: &Scene) -> Result<String> {
    outlived(scene, |scene| {
        let [pipe, folder, blank] = ["fifo", "folder", "blank"].map(|name| scene.disk(name));
        fifo(&pipe)?;
        fs::create_dir(&folder)?;
        // Files of no bytes at all, and of an empty line, are signed ones: packages have such. None has this many blanks.
        fs::write(&blank, " ".repeat(10_007))?;
        fs::set_permissions(&blank, fs::metadata(scene.fixture("bin/program"))?.permissions())?;
        for path in [pipe, folder, blank] {
            let ended = start(scene, &path)?;
            ensure!(!ended.status.success(), "`{}` was started: it {}", path.display(), ended.describe());
        }
        Ok(())
    })
}

/// Does something hostile, and proves that the daemon is the same as before and still answers.
fn outlived(scene: &Scene, hostile: impl FnOnce(&Scene) -> Result<()>) -> Result<String> {
    let before = service::running_daemon()?;
    hostile(scene)?;
    program_runs(scene, &staged::program(scene)?).context("the daemon does not answer any more")?;
    ensure!(service::running_daemon()? == before, "the daemon died of it");
    Ok("it was denied, and the daemon went on answering".to_owned())
}

fn fifo(path: &Path) -> Result<()> {
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0)?)
}

fn enormous(path: &Path) -> Result<()> {
    Ok(File::create(path)?.set_len(10 << 30)?)
}

const PATIENCE: Duration = Duration::from_secs(20);
