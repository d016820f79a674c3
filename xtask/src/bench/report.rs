//! The rows that all groups have in common, and how they are shown: as a table, and as JSON.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

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

/// The costs in one line that the guest printed.
pub(crate) fn costs(line: &str) -> Result<Vec<Cost>> {
    let costs: Vec<Cost> = serde_json::from_str(line).with_context(|| format!("the guest printed `{line}`, which is no report"))?;
    ensure!(!costs.is_empty(), "the guest's report is empty");
    Ok(costs)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_ratio_and_no_row_is_made_of_nothing() {
        assert_eq!(Row::new("exec", "6.12", "enforcer", (1000.0, 1010.0), "instructions").unwrap().ratio, 1.01);
        assert!(Row::new("exec", "6.12", "enforcer", (0.0, 1.0), "instructions").is_err());
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert_eq!(costs(r#"[{"work":"exec","value":1,"unit":"nanoseconds"}]"#).unwrap()[0].value, 1);
        assert!(costs("[]").is_err());
        assert!(costs("exec 1").is_err());
    }
}
