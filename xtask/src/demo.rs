//! `cargo xtask demo`: the main job, seen. A stock Debian comes up under the enforcer; what is signed runs, what is not is stopped.
//!
//! Every cell of the table is something that happened in the machine, with the enforcer's own event as the proof.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::Args;

use crate::guest_tests::{self, GuestTests, Line};
use crate::vm::Accel;
use crate::{ui, vm};

/// Boot a Debian guest under the enforcer, attack it, and show what happened.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The kernel: a name in tests/kernels.toml
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// How the guest's CPU is made
    #[arg(long, default_value = "auto")]
    accel: Accel,
    /// Print the results as JSON lines instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let tests = GuestTests::prepare()?;
    ui::remark("a Debian guest starts in enforce mode, is attacked, goes to audit mode, and is attacked again");
    let mut spec = tests.machine("exec guest-tests suite --json --demo");
    spec.kernel.clone_from(&arguments.kernel);
    spec.accel = arguments.accel;
    let outcome = vm::run(&spec)?;
    let lines = guest_tests::lines(&outcome)?;
    if arguments.json {
        print!("{}", String::from_utf8_lossy(&outcome.stdout));
    } else {
        print!("{}", Table::new(&lines).text(width()));
    }
    let unexpected: Vec<&Line> = lines.iter().filter(|line| !line.pass).collect();
    for line in &unexpected {
        eprintln!("unexpected: {}: {}", line.name, line.happened);
    }
    if !unexpected.is_empty() || outcome.status != 0 || lines.is_empty() {
        eprint!("{}", String::from_utf8_lossy(&outcome.stderr));
        bail!("{} of {} results were not as expected", unexpected.len(), lines.len());
    }
    eprintln!("all {} results were as expected", lines.len());
    Ok(())
}

/// One row for each thing that was tried, one column for each mode.
struct Table {
    rows: Vec<Row>,
}

#[derive(Default)]
struct Row {
    title: String,
    is_attack: bool,
    /// By mode.
    cells: BTreeMap<&'static str, String>,
}

const MODES: [&str; 2] = ["enforce", "audit"];

impl Table {
    fn new(lines: &[Line]) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        for line in lines {
            let Some(mode) = MODES.iter().find(|mode| line.name.starts_with(&format!("{mode}::"))) else { continue };
            let is_attack = line.kind == "attack";
            let index = rows.iter().position(|row| row.title == line.title && row.is_attack == is_attack).unwrap_or_else(|| {
                rows.push(Row { title: line.title.clone(), is_attack, cells: BTreeMap::new() });
                rows.len() - 1
            });
            rows[index].cells.insert(mode, cell(line));
        }
        // What must work first, then what must not; each in the order of the machine.
        rows.sort_by_key(|row| row.is_attack);
        Self { rows }
    }

    /// The table, no wider than `limit` columns as far as the cells allow it: what was tried is wrapped.
    fn text(&self, limit: usize) -> String {
        let longest = |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
        let enforce = longest(&mut self.rows.iter().filter_map(|row| row.cells.get("enforce").map(String::as_str)));
        let audit = longest(&mut self.rows.iter().filter_map(|row| row.cells.get("audit").map(String::as_str)));
        let title = longest(&mut self.rows.iter().map(|row| row.title.as_str())).min(limit.saturating_sub(enforce + audit + 4).max(NARROWEST));
        let mut text = format!("\n{:title$}  {:enforce$}  IN AUDIT MODE\n", "TRIED", "IN ENFORCE MODE");
        for (index, row) in self.rows.iter().enumerate() {
            if row.is_attack && (index == 0 || !self.rows[index - 1].is_attack) {
                text += "\n";
            }
            let of = |mode| row.cells.get(mode).map_or("", String::as_str);
            let mut tried = textwrap::wrap(&row.title, textwrap::Options::new(title).subsequent_indent("  ")).into_iter();
            text += format!("{:title$}  {:enforce$}  {}", tried.next().unwrap_or_default(), of("enforce"), of("audit")).trim_end();
            text += "\n";
            for more in tried {
                text += &format!("{more}\n");
            }
        }
        text
    }
}

/// The terminal's width; without a terminal, wide enough for every line.
fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout()).map_or(usize::MAX, |size| usize::from(size.ws_col).max(1))
}

/// What was tried is not squeezed below this.
const NARROWEST: usize = 28;

/// What happened, in a word or two.
fn cell(line: &Line) -> String {
    if !line.pass {
        return "UNEXPECTED".to_owned();
    }
    let reason = line.event.as_ref().and_then(|event| event.get("reason")).and_then(|reason| reason.as_str());
    match (line.kind.as_str(), reason, line.name.starts_with("enforce::")) {
        ("attack", Some(reason), true) => format!("denied: {reason}"),
        ("attack", Some(_), false) => "worked, reported".to_owned(),
        ("absent", ..) => "unknown to the kernel".to_owned(),
        _ => "works".to_owned(),
    }
}
