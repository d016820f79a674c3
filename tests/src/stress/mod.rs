//! The truth of a cached verdict: do only bytes run that a verdict covers, whatever happens to the files?
//!
//! Files change between signed and unsigned contents in every way there is to write to a file, while several processes start, map and open them. What
//! runs says which bytes it is. One run of bytes that are no signed content is the failure; a denial of a signed file that nobody touched is
//! counted apart, with the reason that the enforcer gave.
//!
//! First come *directed* interleavings ([`directed`]), each made for one clause of the rule by which a measurement is reused: chance hardly ever hits
//! their windows. Then random ones ([`random`]), by a seed, so that a process does the same things again (though not at the same moments).

mod change;
pub mod content;
mod directed;
mod pinned;
mod place;
mod random;
mod record;
mod usage;

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::report::{Line, Report};
use crate::scene::Scene;
use content::Contents;
use place::{Kind, Place};
use record::Record;

#[derive(clap::Args)]
pub struct Arguments {
    /// Random turns on each file system, of all processes together.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    turns: u64,
    /// Only on these file systems.
    #[arg(long, value_name = "FS", value_enum)]
    fs: Vec<Kind>,
    /// What the random turns follow from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Only this directed interleaving; none for `none`.
    #[arg(long, value_name = "NAME")]
    directed: Option<String>,
    /// Print a JSON line for each file system on stdout.
    #[arg(long)]
    json: bool,
}

/// `guest-tests stress`.
pub fn run(scene: &Scene, arguments: &Arguments) -> Result<ExitCode> {
    let kinds = if arguments.fs.is_empty() { Kind::ALL.to_vec() } else { arguments.fs.clone() };
    let mut holds = true;
    for kind in kinds {
        let record = on(scene, kind, arguments.turns, arguments.seed, arguments.directed.as_deref())?;
        if arguments.json {
            println!("{}", serde_json::to_string(&record)?);
        }
        eprintln!("{record}");
        holds &= record.foreign.is_empty();
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same as tests of the suite, with few turns.
pub fn run_all(scene: &Scene, report: &mut Report) -> Result<()> {
    for kind in Kind::ALL {
        let test = kind.test();
        let name = format!("stress::{test}");
        if !report.wants(&name, test) {
            continue;
        }
        scene.clear()?;
        let outcome = on(scene, kind, FEW_TURNS, SEED, None).and_then(|record| {
            ensure!(record.foreign.is_empty(), "{record}");
            Ok(record.to_string())
        });
        let pass = outcome.is_ok();
        report.add(&Line {
            name,
            test: test.to_owned(),
            kind: "stress",
            title: format!("change files on {} in every way while they run", kind.name()),
            twin: None,
            expected: "only signed bytes run".to_owned(),
            happened: outcome.unwrap_or_else(|error| format!("{error:#}")),
            event: None,
            pass,
            detail: String::new(),
        })?;
    }
    scene.clear()
}

/// Everything on one file system.
fn on(scene: &Scene, kind: Kind, turns: u64, seed: u64, only: Option<&str>) -> Result<Record> {
    let contents = Contents::load(scene)?;
    let place = Place::new(scene, kind).with_context(|| format!("cannot make a file system of the kind {}", kind.name()))?;
    let mut record = Record::new(kind.name());
    directed::run(&place, &contents, only, &mut record)?;
    if turns > 0 {
        random::run(&place, &contents, turns, seed, &mut record)?;
    }
    place.remove()?;
    Ok(record)
}

/// Of the ordinary suite: as many as take ten seconds on an emulated machine.
const FEW_TURNS: u64 = 500;
const SEED: u64 = 1;
