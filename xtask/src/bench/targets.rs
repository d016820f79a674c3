//! What we want to reach, work by work, and whether a row does.

use super::peers::Peer;
use super::report::{Row, grouped};

/// How much the enforcer may cost at one piece of work, on every kernel.
struct Target {
    work: &'static str,
    limit: Limit,
}

enum Limit {
    /// So many times what it costs where nobody enforces.
    Ratio(f64),
    /// So many instructions more.
    More(f64),
    /// As many instructions more as another piece of work takes, and these.
    MoreThan(&'static str, f64),
}

/// Whether a target is met.
pub(crate) struct Judgement {
    /// The target in words.
    pub(crate) target: String,
    pub(crate) is_met: bool,
}

/// Whether `row` reaches its target, if it is ours and has one; `rows` are all of its group.
pub(crate) fn judge(row: &Row, rows: &[Row]) -> Option<Judgement> {
    if row.peer != Peer::Enforcer.name() {
        return None;
    }
    let target = TARGETS.iter().find(|target| target.work == row.work)?;
    let (words, is_met) = match target.limit {
        Limit::Ratio(most) => (format!("≤ {most:.3}"), row.ratio <= most),
        Limit::More(most) => (format!("≤ +{}", grouped(most)), row.more() <= most),
        Limit::MoreThan(work, most) => {
            let other = rows.iter().find(|other| other.work == work && other.kernel == row.kernel && other.peer == row.peer)?;
            let most = other.baseline + most;
            (format!("≤ +{}", grouped(most)), row.more() <= most)
        }
    };
    Some(Judgement { target: words, is_met })
}

const TARGETS: [Target; 10] = [
    Target { work: "dynamic exec", limit: Limit::Ratio(1.006) },
    Target { work: "exec with 30 libraries", limit: Limit::Ratio(1.010) },
    Target { work: "open+read+close", limit: Limit::Ratio(1.01) },
    Target { work: "mmap of code", limit: Limit::More(650.0) },
    Target { work: "cold static program, sealed", limit: Limit::Ratio(1.05) },
    Target { work: "cold static program", limit: Limit::Ratio(2.0) },
    Target { work: "cold program with 30 libraries, sealed", limit: Limit::Ratio(1.05) },
    Target { work: "cold program with 30 libraries", limit: Limit::Ratio(2.5) },
    Target { work: "first exec of a 50 KB program", limit: Limit::MoreThan(HASHING, TWO_MILLISECONDS) },
    Target { work: "first dlopen of a 50 KB library", limit: Limit::MoreThan(HASHING, TWO_MILLISECONDS) },
];
const HASHING: &str = "SHA-256 of 50 KB in a program";
/// In instructions, on a processor of 3 GHz that does one in each cycle.
const TWO_MILLISECONDS: f64 = 6e6;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(work: &str, peer: &str, baseline: f64, enforced: f64) -> Row {
        Row::new(work, "6.12", peer, (baseline, enforced), "instructions").unwrap()
    }

    #[test]
    fn a_target_is_met_or_missed_by_us_alone() {
        let verdict = |row: Row| judge(&row, &[]).map(|judgement| judgement.is_met);
        assert_eq!(verdict(row("dynamic exec", "enforcer", 1000.0, 1006.0)), Some(true));
        assert_eq!(verdict(row("dynamic exec", "enforcer", 1000.0, 1007.0)), Some(false));
        assert_eq!(verdict(row("dynamic exec", "ima", 1000.0, 1008.0)), None);
        assert_eq!(verdict(row("mmap of code", "enforcer", 1000.0, 1651.0)), Some(false));
        assert_eq!(verdict(row("mmap of data", "enforcer", 1000.0, 9000.0)), None);
    }

    #[test]
    fn first_use_may_cost_its_hashing_and_two_milliseconds() {
        let work = "first exec of a 50 KB program";
        let hashing = row(HASHING, "enforcer", 1e6, 1e6);
        let within = row(work, "enforcer", 1e6, 8e6);
        let beyond = row(work, "enforcer", 1e6, 8.1e6);
        assert!(judge(&within, std::slice::from_ref(&hashing)).unwrap().is_met);
        assert!(!judge(&beyond, &[hashing]).unwrap().is_met);
    }
}
