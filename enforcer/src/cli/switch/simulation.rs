//! What a switch would break, before anybody is asked.

use super::super::failure::note;
use super::super::simulate::{failure, folders, tell};
use super::super::verify::progress;
use super::super::{Failure, Output, facts, without_rights};
use crate::audit::{DEFAULT_PATH as DEFAULT_LOG, Timestamp};
use crate::policy::Policy;
use crate::simulate::{self, Options};

/// Tries the policy as it is to be on what was recorded since then, on what runs and on the code on the disk, and shows what would change; as a note where the
/// result is JSON. Whether nothing would newly be denied.
pub(super) fn show(old: &Policy, new: &Policy, since: Timestamp, json: bool, output: &mut Output) -> Result<bool, Failure> {
    let (now, security_versions) = facts();
    let progress = progress("trying");
    let options = Options {
        log: std::path::Path::new(DEFAULT_LOG).exists().then(|| DEFAULT_LOG.into()),
        since,
        scan: folders([old, new]),
        processes: true,
        now,
        security_versions: &security_versions,
        advance: &|| progress.inc(1),
    };
    // Files of strangers are looked into.
    let simulation = without_rights(|| simulate::run(old, new, &options).map_err(failure));
    progress.finish_and_clear();
    let simulation = simulation?;
    if json {
        note(&format!("{} uses would newly be denied", simulation.count(simulate::Change::NewlyDenied).uses()));
    } else {
        tell(&simulation, false, output)?;
    }
    Ok(simulation.is_safe())
}
