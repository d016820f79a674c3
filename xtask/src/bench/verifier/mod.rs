//! `cargo xtask bench verifier`: what the eBPF programs cost the verifier of each kernel, beside what `tests/verifier.toml` allows.
//!
//! The enforcer tells it itself (`enforcer verifier`), of the programs as it loads them. `cargo xtask test` asks in the boots that it does anyway.

mod budget;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use self::budget::{Budget, Cost, Costs, FILE, Row, percent, require_within};
use crate::setup::kernels::{self, Kernel};
use crate::vm::{self, Mode, Spec};
use crate::{guest_tests, ui};

/// What asks the enforcer in a guest, as a shell has it. It answers with one line.
pub(crate) const COMMAND: &str = "enforcer verifier --json";

/// What the enforcer says about one program.
#[derive(Debug, Deserialize)]
pub(crate) struct Verification {
    program: String,
    instructions: u64,
    states: u64,
    stack: u64,
}

/// Measures on the kernels of these names, or on all of them when there are none.
pub(super) fn run(names: &[String], write: bool, json: bool) -> Result<()> {
    let all = kernels::catalog()?;
    let wanted = if names.is_empty() { kernels::catalog()? } else { names.iter().map(|name| kernels::find(name)).collect::<Result<_>>()? };
    let enforcer = vm::enforcer()?;
    let mut budget = Budget::read()?;
    let mut rows = Vec::new();
    for kernel in &wanted {
        ui::remark(&format!("the verifier of kernel {}", kernel.name));
        let mut spec = Spec::new(["bash", "-c", COMMAND]);
        spec.enforcer = Some(enforcer.clone());
        spec.mode = Some(Mode::Off);
        spec.kernel.clone_from(&kernel.name);
        let outcome = vm::run(&spec)?;
        ensure!(outcome.status == 0, "`{COMMAND}` ended with status {}:\n{}", outcome.status, outcome.said());
        let measured = costs(guest_tests::lines(&outcome)?)?;
        rows.extend(budget.compare(&kernel.name, &measured));
        budget.set(&kernel.name, measured);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&rows)?)
    } else {
        print(&rows)
    }
    if write {
        budget.write(&all).with_context(|| format!("cannot write `{FILE}`"))?;
        ui::remark(&format!("{FILE} has these numbers now"));
        return Ok(());
    }
    require_within(&rows)?;
    budget.require(&all)
}

/// Judges what a guest of a kernel printed: nothing may be beyond the budget. What costs less is only a remark.
pub(crate) fn judge(kernel: &Kernel, printed: Vec<Vec<Verification>>) -> Result<()> {
    let rows = Budget::read()?.compare(&kernel.name, &costs(printed)?);
    rows.iter().filter_map(Row::remark).for_each(|remark| ui::remark(&remark));
    require_within(&rows)
}

/// The one report that a guest has to print.
fn costs(printed: Vec<Vec<Verification>>) -> Result<Costs> {
    let [report] = <[_; 1]>::try_from(printed).map_err(|printed| anyhow::anyhow!("`{COMMAND}` printed {} reports, not one", printed.len()))?;
    ensure!(!report.is_empty(), "`{COMMAND}` knows no program");
    Ok(report.into_iter().map(|Verification { program, instructions, states, stack }| (program, Cost { instructions, states, stack })).collect())
}

fn print(rows: &[Row]) {
    println!("{:6} {:28} {:>13} {:>8} {:>9} {:>8} {:>6} {:>8}", "KERNEL", "PROGRAM", "INSTRUCTIONS", "", "STATES", "", "STACK", "");
    for Row { kernel, program, budget, measured, .. } in rows {
        let Some(now) = measured else {
            println!("{kernel:6} {program:28} {:>13}", "gone");
            continue;
        };
        let difference = |of: fn(&Cost) -> u64| match budget {
            None => "new".to_owned(),
            Some(before) if of(before) == of(now) => "=".to_owned(),
            Some(before) => percent(of(before), of(now)).map_or_else(|| format!("{:+}", of(now)), |percent| format!("{percent:+.1} %")),
        };
        let (instructions, states, stack) = (difference(|cost| cost.instructions), difference(|cost| cost.states), difference(|cost| cost.stack));
        println!("{kernel:6} {program:28} {:>13} {instructions:>8} {:>9} {states:>8} {:>6} {stack:>8}", now.instructions, now.states, now.stack);
    }
}
