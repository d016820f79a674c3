//! Numbers that stand by themselves, each with what it may be at most: those of the groups that compare nobody with anybody.

use anyhow::Result;
use serde::Serialize;

use super::footprint;
use crate::setup::kernels::Kernel;

/// What a group found on one kernel.
pub(super) struct Figures {
    pub(super) of: Vec<Figure>,
    /// What there is to say about them.
    pub(super) remarks: Vec<String>,
}

/// One number.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    /// What it is of, in words.
    pub(super) work: String,
    /// The kernel's name in `tests/kernels.toml`.
    pub(super) kernel: String,
    pub(super) value: f64,
    /// What it counts.
    pub(super) unit: &'static str,
    /// What it may be at most, if that was promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<f64>,
    /// Whether it is more.
    pub(super) missed: bool,
}

impl Figure {
    /// A number of which nothing was promised.
    pub(super) fn new(work: impl Into<String>, kernel: &str, value: f64, unit: &'static str) -> Self {
        Self { work: work.into(), kernel: kernel.to_owned(), value: (value * 1000.0).round() / 1000.0, unit, target: None, missed: false }
    }

    /// The same number, which may be so much at most.
    pub(super) fn at_most(self, target: Option<f64>) -> Self {
        Self { missed: target.is_some_and(|most| self.value > most), target, ..self }
    }
}

impl Figures {
    fn markdown(&self) -> String {
        let rows = self.of.iter().map(|Figure { work, value, unit, target, missed, .. }| {
            let target = target.map_or_else(String::new, |most| footprint::judged(&format!("≤ {most}"), *missed));
            vec![work.clone(), format!("{value} {unit}"), target]
        });
        let table = footprint::table(&["what", "value", "target"], rows);
        table + &self.remarks.iter().map(|remark| format!("\n{}\n", textwrap::fill(remark, COLUMNS))).collect::<String>()
    }
}

/// Measures on each kernel, puts what was found into the document if asked, and prints what was found as JSON, or as a table with a line for each figure and the remarks below.
pub(super) fn show(group: &str, kernels: &[Kernel], measure: impl Fn(&str) -> Result<Figures>, (json, write): (bool, bool)) -> Result<()> {
    let found = kernels.iter().map(|kernel| measure(&kernel.name)).collect::<Result<Vec<_>>>()?;
    if write {
        kernels.iter().zip(&found).try_for_each(|(kernel, found)| footprint::write(group, &kernel.name, &found.markdown()))?;
    }
    if json {
        let figures: Vec<&Figure> = found.iter().flat_map(|found| &found.of).collect();
        println!("{}", serde_json::to_string_pretty(&figures)?);
        return Ok(());
    }
    println!("{:60} {:6} {:>9} {:<6} {:>6}", "WHAT", "KERNEL", "VALUE", "UNIT", "TARGET");
    for Figure { work, kernel, value, unit, target, missed } in found.iter().flat_map(|found| &found.of) {
        let target = target.map(|most| format!("≤ {most}")).unwrap_or_default();
        let missed = if *missed { "  missed" } else { "" };
        println!("{}", format!("{work:60} {kernel:6} {value:>9} {unit:<6} {target:>6}{missed}").trim_end());
    }
    let mut remarks: Vec<&String> = found.iter().flat_map(|found| &found.remarks).collect();
    remarks.dedup();
    for remark in remarks {
        println!("\n{}", textwrap::fill(remark, WIDTH));
    }
    Ok(())
}

/// Columns of the text below a table.
const WIDTH: usize = 100;
/// Columns of the document.
const COLUMNS: usize = 150;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_missed_by_more_and_by_nothing_else() {
        let missed = |value, target| Figure::new("work", "6.12", value, "MB").at_most(target).missed;
        assert!(missed(40.1, Some(40.0)) && !missed(40.0, Some(40.0)) && !missed(1e9, None));
    }
}
