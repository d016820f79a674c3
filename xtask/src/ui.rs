//! What a person sees while xtask works: one line per step on stderr, with a spinner on a terminal only.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One named piece of work. Dropping it without [`Step::done`] leaves the error to its caller.
pub(crate) struct Step {
    name: String,
    started: Instant,
    bar: ProgressBar,
}

impl Step {
    /// Announces that `name` begins.
    pub(crate) fn start(name: impl Into<String>) -> Self {
        let name = name.into();
        let bar = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg:.dim}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style).with_prefix(name.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            eprintln!("… {name}");
            ProgressBar::hidden()
        };
        Self { name, started: Instant::now(), bar }
    }

    /// Shows what is happening just now; seen on a terminal only.
    pub(crate) fn note(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// Says that the step succeeded, and what came out.
    pub(crate) fn done(self, result: &str) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f32();
        let separator = if result.is_empty() { "" } else { ": " };
        eprintln!("✓ {}{separator}{result} ({seconds:.1} s)", self.name);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}

/// A remark of xtask's own, between steps.
pub(crate) fn remark(text: &str) {
    eprintln!("xtask: {text}");
}

/// An error with all its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}
