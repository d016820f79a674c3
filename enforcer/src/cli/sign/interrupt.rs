//! Ctrl-C while files are signed: what is begun is dropped, what is done is whole, and no draft stays behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::cli::{Exit, Failure};

/// Set when somebody interrupts this process, from now on, instead of ending it.
pub(super) fn watch() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(|error| Failure::because(Exit::System, &error))?;
    let seen = Arc::clone(&interrupted);
    thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            seen.store(true, Ordering::Relaxed);
        }
    });
    Ok(interrupted)
}

/// A failure if that has happened.
pub(super) fn unless(interrupted: &AtomicBool) -> Result<(), Failure> {
    if interrupted.load(Ordering::Relaxed) {
        return Err(Failure::new(Exit::System, "interrupted: files that are not reported were not signed").hint("run it again"));
    }
    Ok(())
}
