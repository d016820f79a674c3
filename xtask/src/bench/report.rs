//! The rows that all groups have in common, and how they are shown: as a table, and as JSON.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::setup::kernels::Kernel;
use crate::{ui, vm};

/// What one piece of work costs with a peer in force, beside what it costs with none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The work, in words.
    pub(crate) work: String,
    /// The kernel's name in `tests/kernels.toml`; `host` for what runs on this machine.
    pub(crate) kernel: String,
    /// Who enforces.
    pub(crate) peer: String,
    /// Its cost where nobody enforces.
    pub(crate) baseline: f64,
    /// Its cost where the peer does.
    pub(crate) enforced: f64,
    /// The second by the first.
    pub(crate) ratio: f64,
    /// What the costs count.
    pub(crate) unit: String,
}

impl Row {
    /// A row with its ratio.
    pub(crate) fn new(work: &str, kernel: &str, peer: &str, (baseline, enforced): (f64, f64), unit: &str) -> Result<Self> {
        ensure!(baseline > 0.0, "`{work}` on {kernel} costs nothing where nobody enforces, which cannot be");
        let ratio = (enforced / baseline * 1e4).round() / 1e4;
        Ok(Self { work: work.into(), kernel: kernel.into(), peer: peer.into(), baseline, enforced, ratio, unit: unit.into() })
    }

    fn is_about_the_same(&self, other: &Self) -> bool {
        (&self.work, &self.kernel, &self.peer) == (&other.work, &other.kernel, &other.peer)
    }

    /// What the peer adds.
    pub(crate) fn more(&self) -> f64 {
        self.enforced - self.baseline
    }
}

/// A peer that could not be had on a kernel.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Absent {
    pub(crate) kernel: String,
    pub(crate) peer: String,
    /// In the words of whoever was asked to enforce.
    pub(crate) reason: String,
}

/// Everything that figures of one kernel depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The kernel package's version.
    pub(crate) kernel: String,
    /// QEMU's version.
    pub(crate) qemu: String,
    /// QEMU's `-cpu`.
    pub(crate) cpu: String,
}

impl Machine {
    /// That of an emulated machine with this kernel.
    pub(crate) fn of(kernel: &Kernel) -> Result<Self> {
        Ok(Self { kernel: kernel.release()?, qemu: vm::qemu_version()?, cpu: kernel.tcg_cpu.clone() })
    }
}

/// What a run measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// By the kernel's name.
    pub(crate) machines: BTreeMap<String, Machine>,
    /// By the group's name.
    pub(crate) groups: BTreeMap<String, Vec<Row>>,
    /// What our programs have a part in at the work of `hooks`, by the kernel's name.
    #[serde(default)]
    pub(crate) profile: BTreeMap<String, Vec<Part>>,
    pub(crate) absent: Vec<Absent>,
}

impl Report {
    /// Prints all rows as JSON, or as a table with a line for each.
    pub(crate) fn show(&self, json: bool) -> Result<()> {
        let rows: Vec<Row> = self.groups.values().flatten().cloned().collect();
        show(&rows, json)?;
        for Absent { kernel, peer, reason } in &self.absent {
            ui::remark(&format!("{peer} could not be had on {kernel}: {reason}"));
        }
        Ok(())
    }

    /// Takes over what a later run measured, in place of what is known of the same work, kernel and peer.
    pub(crate) fn update(&mut self, later: Self) {
        for (group, rows) in later.groups {
            let known = self.groups.entry(group).or_default();
            for row in rows {
                self.absent.retain(|absent| (&absent.kernel, &absent.peer) != (&row.kernel, &row.peer));
                match known.iter_mut().find(|known| known.is_about_the_same(&row)) {
                    Some(known) => *known = row,
                    None => known.push(row),
                }
            }
        }
        for absent in later.absent {
            self.absent.retain(|known| (&known.kernel, &known.peer) != (&absent.kernel, &absent.peer));
            for rows in self.groups.values_mut() {
                rows.retain(|row| (&row.kernel, &row.peer) != (&absent.kernel, &absent.peer));
            }
            self.absent.push(absent);
        }
        self.machines.extend(later.machines);
        self.profile.extend(later.profile);
    }
}

/// What `guest-tests bench` prints for one piece of work.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    /// The same work has the same words on each machine.
    pub(crate) work: String,
    /// In `unit`.
    pub(crate) value: u64,
    /// `instructions`, `bytes` …
    pub(crate) unit: String,
}

/// What one of our programs does at one piece of work, on average.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(crate) work: String,
    pub(crate) hook: String,
    pub(crate) runs: f64,
    /// Of all these runs; instructions in machines that count them.
    pub(crate) nanoseconds: f64,
}

/// The costs or parts in one line that the guest printed.
pub(crate) fn read<T: DeserializeOwned>(line: &str) -> Result<Vec<T>> {
    let found: Vec<T> = serde_json::from_str(line).with_context(|| format!("the guest printed `{line}`, which is no report"))?;
    ensure!(!found.is_empty(), "the guest's report is empty");
    Ok(found)
}

/// Prints rows as JSON, or as a table with one line for each.
pub(crate) fn show(rows: &[Row], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(rows)?);
        return Ok(());
    }
    println!("{:34} {:6} {:16} {:>12} {:>12} {:>8}", "WORK", "KERNEL", "PEER", "BASELINE", "ENFORCED", "RATIO");
    for Row { work, kernel, peer, baseline, enforced, ratio, .. } in rows {
        println!("{work:34} {kernel:6} {peer:16} {baseline:>12} {enforced:>12} {ratio:>8.3}");
    }
    Ok(())
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_ratio_and_no_row_is_made_of_nothing() {
        assert_eq!(Row::new("exec", "6.12", "enforcer", (1000.0, 1010.0), "instructions").unwrap().ratio, 1.01);
        assert!(Row::new("exec", "6.12", "enforcer", (0.0, 1.0), "instructions").is_err());
    }

    #[test]
    fn a_later_run_replaces_what_it_measured_and_nothing_else() {
        let row = |work: &str, peer: &str, enforced| Row::new(work, "6.12", peer, (100.0, enforced), "instructions").unwrap();
        let report = |rows| Report { groups: BTreeMap::from([("hooks".to_owned(), rows)]), ..Report::default() };
        let mut known = report(vec![row("exec", "enforcer", 101.0), row("exec", "ima", 102.0), row("open", "enforcer", 103.0)]);
        known.update(report(vec![row("exec", "enforcer", 200.0)]));
        assert_eq!(known.groups["hooks"].iter().map(|row| row.enforced).collect::<Vec<_>>(), [200.0, 102.0, 103.0]);
        let gone = Absent { kernel: "6.12".into(), peer: "ima".into(), reason: "no key".into() };
        known.update(Report { absent: vec![gone.clone()], ..Report::default() });
        assert_eq!((known.groups["hooks"].len(), &known.absent), (2, &vec![gone]));
        known.update(report(vec![row("exec", "ima", 102.0)]));
        assert!(known.absent.is_empty());
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert_eq!(read::<Cost>(r#"[{"work":"exec","value":1,"unit":"nanoseconds"}]"#).unwrap()[0].value, 1);
        assert!(read::<Cost>("[]").is_err());
        assert!(read::<Cost>("exec 1").is_err());
    }
}
