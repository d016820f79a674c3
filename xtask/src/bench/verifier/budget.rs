//! `tests/verifier.toml`: what each eBPF program may cost the verifier of each kernel, and what is beyond that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::{fs, io};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::setup::kernels::Kernel;
use crate::workspace;

/// The file.
pub(crate) const FILE: &str = "tests/verifier.toml";

/// What one program costs, in the terms of the verifier's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    /// Instructions that it processed.
    pub(crate) instructions: u64,
    /// States that it kept.
    pub(crate) states: u64,
    /// Bytes of stack.
    pub(crate) stack: u64,
}

/// What the programs cost, by their names.
pub(crate) type Costs = BTreeMap<String, Cost>;

/// The file's content: costs by the kernels' names.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Budget(BTreeMap<String, Costs>);

/// A program in the file and as it is.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) kernel: String,
    pub(crate) program: String,
    /// What the file says; nothing when it does not have the program.
    pub(crate) budget: Option<Cost>,
    /// What was measured; nothing when the program is gone.
    pub(crate) measured: Option<Cost>,
    /// Whether the file need not change.
    pub(crate) within: bool,
}

impl Budget {
    /// Reads the file; one that is not there yet has nothing in it.
    pub(crate) fn read() -> Result<Self> {
        match fs::read_to_string(workspace::root().join(FILE)) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("cannot understand `{FILE}`")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read `{FILE}`")),
        }
    }

    /// Compares what was measured on a kernel.
    pub(crate) fn compare(&self, kernel: &str, measured: &Costs) -> Vec<Row> {
        let none = Costs::new();
        let budget = self.0.get(kernel).unwrap_or(&none);
        let programs: BTreeSet<&String> = budget.keys().chain(measured.keys()).collect();
        programs.into_iter().map(|program| Row::new(kernel, program, budget.get(program).copied(), measured.get(program).copied())).collect()
    }

    /// Takes what was measured on a kernel for its budget.
    pub(crate) fn set(&mut self, kernel: &str, measured: Costs) {
        self.0.insert(kernel.to_owned(), measured);
    }

    /// Writes the file, without kernels that are not tested any more.
    pub(crate) fn write(&self, kernels: &[Kernel]) -> io::Result<()> {
        fs::write(workspace::root().join(FILE), self.text(kernels.iter().map(|kernel| kernel.name.as_str())))
    }

    fn text<'a>(&self, kernels: impl Iterator<Item = &'a str>) -> String {
        let mut text = HEADER.to_owned();
        for (kernel, costs) in kernels.filter_map(|kernel| self.0.get_key_value(kernel)) {
            _ = writeln!(text, "\n[\"{kernel}\"]");
            for (program, Cost { instructions, states, stack }) in costs {
                _ = writeln!(text, "{program} = {{ instructions = {instructions}, states = {states}, stack = {stack} }}");
            }
        }
        text
    }

    /// Whether the file has these kernels and no others.
    pub(crate) fn require(&self, kernels: &[Kernel]) -> Result<()> {
        let tested: BTreeSet<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
        let named: BTreeSet<&str> = self.0.keys().map(String::as_str).collect();
        ensure!(tested == named, "{FILE} is about the kernels {named:?}, and tests/kernels.toml about {tested:?}\n{ACCEPT}");
        Ok(())
    }
}

impl Row {
    fn new(kernel: &str, program: &str, budget: Option<Cost>, measured: Option<Cost>) -> Self {
        let mut row = Self { kernel: kernel.to_owned(), program: program.to_owned(), budget, measured, within: true };
        row.within = row.complaint().is_none();
        row
    }

    /// What is beyond the budget.
    pub(crate) fn complaint(&self) -> Option<String> {
        let what = match (&self.budget, &self.measured) {
            (Some(_), Some(_)) => {
                let grown = self.changes(|before, now| u128::from(now) * 100 > u128::from(before) * u128::from(100 + TOLERANCE));
                if grown.is_empty() {
                    return None;
                }
                format!("costs the verifier over {TOLERANCE} % more than {FILE} allows: {grown}")
            }
            (None, _) => format!("is not in {FILE}"),
            (_, None) => format!("is in {FILE}, and is not loaded any more"),
        };
        Some(format!("`{}` on kernel {} {what}", self.program, self.kernel))
    }

    /// What is so far below the budget that the file should say so.
    pub(crate) fn remark(&self) -> Option<String> {
        let shrunk = self.changes(|before, now| u128::from(now) * 100 < u128::from(before) * u128::from(100 - TOLERANCE));
        (!shrunk.is_empty()).then(|| format!("`{}` on kernel {} costs the verifier less than {FILE} says: {shrunk}", self.program, self.kernel))
    }

    /// Those of the three numbers that changed in a certain way, from what to what.
    fn changes(&self, is_such: impl Fn(u64, u64) -> bool) -> String {
        let (Some(before), Some(now)) = (&self.budget, &self.measured) else { return String::new() };
        let numbers =
            [("instructions", before.instructions, now.instructions), ("states", before.states, now.states), ("stack", before.stack, now.stack)];
        let told = numbers.into_iter().filter(|(_, before, now)| is_such(*before, *now)).map(|(name, before, now)| {
            let percent = percent(before, now).map(|percent| format!(" ({percent:+.1} %)")).unwrap_or_default();
            format!("{name} {before} -> {now}{percent}")
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

/// Nothing is beyond the budget, or what is.
pub(crate) fn require_within(rows: &[Row]) -> Result<()> {
    let complaints: Vec<String> = rows.iter().filter_map(Row::complaint).collect();
    if complaints.is_empty() { Ok(()) } else { bail!("{}\n{ACCEPT}", complaints.join("\n")) }
}

/// How much more it is, if that can be told.
pub(crate) fn percent(before: u64, now: u64) -> Option<f64> {
    (before != 0).then(|| (now as f64 / before as f64 - 1.0) * 100.0)
}

/// How much more a program may cost, in percent.
const TOLERANCE: u64 = 10;
const ACCEPT: &str = "if that is meant, accept it with `cargo xtask bench verifier --write`, and commit the file with the reason";
const HEADER: &str = "\
# What each eBPF program costs the verifier of each kernel of kernels.toml, written by `cargo xtask bench verifier --write`. A program that grows by more
# than 10 % fails `cargo xtask test` until this file says so.
#
# instructions   that the verifier processed, each as often as it came by (a kernel refuses a program beyond 1,000,000)
# states         that it kept to compare others with (`total_states` in its log)
# stack          in bytes: from 7.3 that of the deepest chain of calls, of which a kernel allows 512; before, that of all functions of the program together,
#                as `veristat` counts it
";

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(programs: &[(&str, u64, u64, u64)]) -> Costs {
        programs.iter().map(|&(name, instructions, states, stack)| (name.to_owned(), Cost { instructions, states, stack })).collect()
    }

    fn budget() -> Budget {
        let mut budget = Budget::default();
        budget.set("6.12", costs(&[("bpf", 1000, 100, 0), ("mmap_file", 2000, 200, 400)]));
        budget
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let text = budget().text(["6.1", "6.12"].into_iter());
        let read: Budget = toml::from_str(&text).unwrap();
        assert_eq!(read.0, budget().0);
        assert_eq!(budget().text(["6.1"].into_iter()), HEADER);
    }

    #[test]
    fn the_file_is_about_the_kernels_that_are_tested() {
        Budget::read().unwrap().require(&crate::setup::kernels::catalog().unwrap()).unwrap();
    }

    #[test]
    fn ten_percent_more_is_accepted_and_a_bit_more_is_not() {
        let rows = budget().compare("6.12", &costs(&[("bpf", 1100, 110, 0), ("mmap_file", 2000, 221, 400)]));
        assert!(rows[0].within && rows[0].remark().is_none());
        assert!(!rows[1].within);
        let told = rows[1].complaint().unwrap();
        assert!(told.contains("`mmap_file` on kernel 6.12") && told.contains("states 200 -> 221 (+10.5 %)"), "{told}");
        assert!(!told.contains("instructions"), "{told}");
        let told = require_within(&rows).unwrap_err().to_string();
        assert!(told.contains("`mmap_file`") && !told.contains("`bpf`") && told.contains("bench verifier --write"), "{told}");
        require_within(&rows[..1]).unwrap();
    }

    #[test]
    fn stack_where_there_was_none_is_growth() {
        let rows = budget().compare("6.12", &costs(&[("bpf", 1000, 100, 8), ("mmap_file", 2000, 200, 400)]));
        assert!(rows[0].complaint().unwrap().contains("stack 0 -> 8"));
    }

    #[test]
    fn programs_that_are_new_or_gone_are_told() {
        let rows = budget().compare("6.12", &costs(&[("bpf", 1000, 100, 0), ("brk", 1, 1, 1)]));
        let told: Vec<_> = rows.iter().filter_map(Row::complaint).collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].contains("`brk` on kernel 6.12 is not in") && told[1].contains("not loaded any more"), "{told:?}");
        assert!(budget().compare("7", &costs(&[("bpf", 1, 1, 1)])).iter().all(|row| !row.within));
    }

    #[test]
    fn what_costs_less_is_only_a_remark() {
        let rows = budget().compare("6.12", &costs(&[("bpf", 899, 90, 0), ("mmap_file", 2000, 200, 400)]));
        assert!(rows[0].within);
        assert!(rows[0].remark().unwrap().contains("instructions 1000 -> 899 (-10.1 %)"));
    }
}
