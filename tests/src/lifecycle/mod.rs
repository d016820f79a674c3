//! The daemon's life, and that of the files: what must hold while things are killed, reloaded, installed, changed and taken off.
//!
//! In enforce mode. Each test leaves the machine as it found it: enforcing, with a daemon that answers.

mod board;
mod change;
mod charter;
mod compilers;
mod daemon;
mod entitled;
mod first_use;
mod guard;
mod hostile;
mod load;
mod release;
mod reload;
mod scopes;
mod scripts;
mod staged;
mod switch;
mod trust;
mod uses;
mod worker;

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::mode::Mode;
use crate::report::{Line, Report, Selection};
use crate::scene::Scene;
use crate::service;

/// One test.
pub struct Test {
    /// What it proves.
    name: &'static str,
    /// What is done, in words.
    title: &'static str,
    /// Does it, and says what happened; an error is the failure.
    run: fn(&Scene) -> Result<String>,
}

impl Test {
    const fn new(name: &'static str, title: &'static str, run: fn(&Scene) -> Result<String>) -> Self {
        Self { name, title, run }
    }
}

/// `guest-tests lifecycle`.
pub fn run(scene: &Scene, selection: Selection) -> Result<ExitCode> {
    let mut report = Report::new(selection);
    run_all(scene, &mut report)?;
    report.close()
}

/// Runs every test that the report wants.
pub fn run_all(scene: &Scene, report: &mut Report) -> Result<()> {
    // Those that end the daemon come last, so that a failure there spoils the least.
    let tests = [
        first_use::TESTS,
        worker::TESTS,
        change::TESTS,
        compilers::TESTS,
        entitled::TESTS,
        scripts::TESTS,
        hostile::TESTS,
        guard::TESTS,
        reload::TESTS,
        scopes::TESTS,
        switch::TESTS,
        trust::TESTS,
        load::TESTS,
        daemon::TESTS,
        charter::TESTS,
        release::TESTS,
    ];
    for test in tests.into_iter().flatten() {
        let name = format!("lifecycle::{}", test.name);
        if !report.wants(&name, test.name) {
            continue;
        }
        scene.clear()?;
        let outcome = is_in_order().context("before the test").and_then(|()| (test.run)(scene));
        let repaired = is_in_order().or_else(|_| repair()).context("after the test");
        let outcome = outcome.and_then(|happened| repaired.map(|()| happened));
        let pass = outcome.is_ok();
        let happened = outcome.unwrap_or_else(|error| format!("{error:#}"));
        let (title, expected) = (test.title.to_owned(), test.name.replace('_', " "));
        report.add(&Line {
            name,
            test: test.name.to_owned(),
            kind: "lifecycle",
            title,
            twin: None,
            expected,
            happened,
            event: None,
            pass,
            detail: String::new(),
        })?;
    }
    scene.clear()
}

fn is_in_order() -> Result<()> {
    let status = service::status()?;
    ensure!(status["enforcing"] == true && status["daemon"]["alive"] == true, "{status}");
    Ok(())
}

/// After a test that failed halfway: the next one has to find the machine in order.
fn repair() -> Result<()> {
    service::start()?;
    service::reload()?;
    service::wait_until("enforce mode is in force again", || Ok(service::mode_in_force()? == Mode::Enforce))
}
