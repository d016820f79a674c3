//! The metrics in a file, for the textfile collector of Prometheus' node_exporter. The daemon itself listens nowhere.
//!
//! A file that cannot be written holds nobody up and denies nothing: it is told once, and tried again.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};

use super::{Shared, status};
use crate::audit::{Timestamp, exposition};
use crate::kernel;
use crate::signature::sign::write_whole;
use crate::text::chain;

/// The thread that writes the file, if the policy in force asks for one.
pub(super) struct Textfile {
    writer: JoinHandle<()>,
    /// Gone, it ends the thread.
    end: Sender<()>,
}

impl Textfile {
    /// Writes for the first time at once.
    pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let (shared, (end, ended)) = (Arc::clone(shared), mpsc::channel::<()>());
        let writer = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            let mut told = None;
            loop {
                let metrics = shared.ground().policy.metrics.clone();
                let outcome = metrics.textfile.as_deref().map_or(Ok(()), write);
                if let Err(problem) = &outcome
                    && told.as_ref() != Some(problem)
                {
                    tracing::error!("{problem}");
                }
                told = outcome.err();
                match ended.recv_timeout(metrics.interval) {
                    Err(RecvTimeoutError::Timeout) => {}
                    // What stands there when the daemon has ended says that it has.
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                        _ = shared.ground().policy.metrics.textfile.as_deref().map(write);
                        return;
                    }
                }
            }
        })?;
        Ok(Self { writer, end })
    }

    /// Writes for the last time, and ends.
    pub(super) fn stop(self) {
        drop(self.end);
        drop(self.writer.join());
    }
}

fn write(path: &Path) -> Result<(), String> {
    let status = status().map_err(|error| format!("the metrics for `{}` could not be taken: {}", path.display(), chain(&error)))?;
    put(path, &exposition(&status, Timestamp::now()))
}

/// By a thread without the enforcer's rights: whoever owns the folder may put something else in its place, and this program may write to what is guarded.
fn put(path: &Path, text: &str) -> Result<(), String> {
    let shown = path.display();
    let write = || {
        kernel::give_up_rights().map_err(|error| format!("the metrics were not written to `{shown}`: {error}"))?;
        write_whole(path, text.as_bytes()).map_err(|error| format!("the metrics were not written: {}", chain(&error)))
    };
    thread::scope(|scope| scope.spawn(write).join()).unwrap_or_else(|_| Err(format!("writing `{shown}` failed in an unforeseen way")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::put;

    #[test]
    fn the_file_is_replaced_whole_for_everybody_to_read_and_links_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("enforcer.prom"), folder.path().join("other"));
        put(&file, "enforcer_healthy 1\n").unwrap();
        put(&file, "enforcer_healthy 0\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "enforcer_healthy 0\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        fs::write(&other, "untouched").unwrap();
        fs::remove_file(&file).unwrap();
        symlink(&other, &file).unwrap();
        put(&file, "enforcer_healthy 1\n").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "untouched");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_and_this_thread_keeps_its_rights() {
        let folder = tempfile::tempdir().unwrap();
        let problem = put(&folder.path().join("missing/enforcer.prom"), "").unwrap_err();
        assert!(problem.contains("missing/enforcer.prom") && problem.contains("No such file"), "{problem}");
        assert!(!rustix::thread::no_new_privs().unwrap());
    }
}
