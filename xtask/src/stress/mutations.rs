//! Faulty rules: the eBPF programs without one clause or another (`enforcer-ebpf/src/rule.rs`), each with the interleaving that has to find it out.
//!
//! Where a clause stands behind another one on a file system, leaving it out alone must go unnoticed there, and leaving out both must not: so the list
//! says which is which, and a change of the kernel's that makes a clause needed, or needless, fails the test as well.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::{Record, machine};
use crate::guest_tests::{GuestTests, lines};
use crate::lanes::{Job, Lanes};
use crate::setup::guest::Image;
use crate::setup::kernels::Kernel;
use crate::test::run_machine;
use crate::vm::Accel;
use crate::{build, setup, ui, workspace};

/// Clauses that are left out together, and what that does.
struct Mutation {
    clauses: &'static [&'static str],
    expectations: &'static [Expectation],
}

/// On these file systems, this interleaving brings foreign bytes to run, or does not although the clause is missing.
struct Expectation {
    interleaving: &'static str,
    fs: &'static [&'static str],
    /// Only on kernels whose names begin so; any for none.
    kernels: &'static [&'static str],
    is_found: bool,
}

const fn found(interleaving: &'static str, fs: &'static [&'static str]) -> Expectation {
    Expectation { interleaving, fs, kernels: &[], is_found: true }
}

const fn backed(interleaving: &'static str, fs: &'static [&'static str]) -> Expectation {
    Expectation { interleaving, fs, kernels: &[], is_found: false }
}

impl Expectation {
    const fn on(self, kernels: &'static [&'static str]) -> Self {
        Self { kernels, ..self }
    }

    fn holds_on(&self, kernel: &Kernel) -> bool {
        self.kernels.is_empty() || self.kernels.contains(&kernel.name.as_str())
    }
}

const DISKS: &[&str] = &["ext4", "xfs", "btrfs"];
const XFS: &[&str] = &["xfs"];
const OVERLAY: &[&str] = &["overlay"];
/// The kernels whose xfs keeps the ctime to a tick only.
const OLD: &[&str] = &["6.1", "6.12"];

const MUTATIONS: &[Mutation] = &[
    Mutation { clauses: &["writers"], expectations: &[found("writer-opened-before", DISKS), backed("shared-mapping-made-before", DISKS)] },
    Mutation { clauses: &["shared-mappings"], expectations: &[backed("shared-mapping-made-before", DISKS)] },
    Mutation { clauses: &["writers", "shared-mappings"], expectations: &[found("shared-mapping-made-before", DISKS)] },
    // Whoever changes a file has to open it, so that the other parts of the stamp stand behind this one, and are looked at without it.
    Mutation {
        clauses: &["openings"],
        expectations: &[
            backed("changed-with-the-clock-set-back", DISKS),
            backed("changed-when-settled", DISKS),
            backed("changed-in-the-same-tick", DISKS),
        ],
    },
    Mutation { clauses: &["version", "ctime", "clock", "size", "settling"], expectations: &[backed("changed-when-settled", DISKS)] },
    Mutation {
        clauses: &["openings", "version"],
        expectations: &[
            backed("changed-with-the-clock-set-back", DISKS),
            backed("changed-when-settled", DISKS),
            backed("changed-in-the-same-tick", DISKS),
        ],
    },
    Mutation {
        clauses: &["openings", "clock"],
        expectations: &[
            backed("changed-with-the-clock-set-back", DISKS),
            // IMA asks the overlay's inode for its version, and not the one that has the content.
            found("changed-with-the-clock-set-back", OVERLAY).on(&["6.1"]),
        ],
    },
    Mutation {
        clauses: &["openings", "version", "clock"],
        expectations: &[found("changed-with-the-clock-set-back", &["ext4", "btrfs"]), found("changed-with-the-clock-set-back", XFS).on(OLD)],
    },
    Mutation { clauses: &["openings", "ctime"], expectations: &[backed("changed-when-settled", DISKS)] },
    Mutation {
        clauses: &["openings", "version", "ctime"],
        expectations: &[found("changed-when-settled", DISKS), backed("resized-when-settled", DISKS)],
    },
    Mutation { clauses: &["openings", "size"], expectations: &[backed("resized-when-settled", DISKS)] },
    Mutation { clauses: &["openings", "version", "ctime", "size"], expectations: &[found("resized-when-settled", DISKS)] },
    Mutation { clauses: &["openings", "settling"], expectations: &[backed("changed-in-the-same-tick", DISKS)] },
    Mutation { clauses: &["openings", "settling", "version"], expectations: &[found("changed-in-the-same-tick", DISKS)] },
    // A change moves a version that counts, which then counts no more, so that the file is hashed again.
    Mutation {
        clauses: &["stamp-across"],
        expectations: &[backed("changed-during-the-hash", &["ext4", "btrfs"]).on(&["6.12"]), found("changed-during-the-hash", XFS).on(&["6.12"])],
    },
    Mutation { clauses: &["stamp-across", "settling"], expectations: &[found("changed-during-the-hash", DISKS)] },
    Mutation { clauses: &["file-systems"], expectations: &[found("pinned-on-tmpfs", &["ext4"])] },
    Mutation {
        clauses: &["real-inode"],
        expectations: &[found("changed-in-the-upper-layer", OVERLAY), found("changed-in-the-lower-layer", OVERLAY)],
    },
    Mutation { clauses: &["mapped"], expectations: &[found("opened-while-mapped", DISKS), found("truncated-while-mapped", DISKS)] },
    Mutation { clauses: &["grant-stamp"], expectations: &[backed("changed-when-settled", DISKS)] },
    // Since 6.13, new files on xfs have no version that counts, and so no grants.
    Mutation {
        clauses: &["openings", "grant-stamp"],
        expectations: &[found("changed-when-settled", &["ext4", "btrfs"]), found("changed-when-settled", XFS).on(OLD)],
    },
];

/// Those that were asked for, or all.
pub(super) fn run(kernels: &[Kernel], wanted: &str, lanes: &Lanes, accel: Accel) -> Result<()> {
    let wanted: Vec<&Mutation> = MUTATIONS.iter().filter(|mutation| wanted == "all" || mutation.name() == wanted).collect();
    if wanted.is_empty() {
        let known: Vec<String> = MUTATIONS.iter().map(Mutation::name).collect();
        bail!("there is no such mutation; there are: all, {}", known.join(", "));
    }
    setup::for_vm(Image::Plain, false)?;
    let folder = workspace::target_dir().join("faulty-rule");
    let tests = GuestTests::prepare_with(&build::enforcer_for_faulty_rules(&folder)?)?;
    let objects = wanted.iter().map(|mutation| build::ebpf_without(mutation.clauses, &folder.join("objects"))).collect::<Result<Vec<_>>>()?;
    let tests = &tests;
    let machines = kernels.iter().flat_map(|kernel| {
        wanted.iter().zip(&objects).map(move |(mutation, object)| -> Job<'_, Vec<String>> {
            Box::new(move || {
                ui::remark(&format!("without {} on kernel {}", mutation.name(), kernel.name));
                let failed = |error| vec![format!("{} on kernel {}: {error:#}", mutation.name(), kernel.name)];
                mutation.run(tests, kernel, object, accel).unwrap_or_else(failed)
            })
        })
    });
    let faults = lanes.run(machines.collect()).concat();
    for fault in &faults {
        eprintln!("xtask: {fault}");
    }
    if faults.is_empty() { Ok(()) } else { bail!("{} faulty rules did not do what they were expected to do", faults.len()) }
}

impl Mutation {
    fn name(&self) -> String {
        self.clauses.join("+")
    }

    /// One machine with the faulty programs. What is not as expected.
    fn run(&self, tests: &GuestTests, kernel: &Kernel, object: &PathBuf, accel: Accel) -> Result<Vec<String>> {
        let expectations: Vec<&Expectation> = self.expectations.iter().filter(|expectation| expectation.holds_on(kernel)).collect();
        // A run that finds something ends with a status of its own; the lines say what it was.
        let mut script = String::new();
        for expectation in &expectations {
            for fs in expectation.fs {
                script += &format!("guest-tests stress --json --turns 0 --fs {fs} --directed {} || [ $? = 1 ] || exit 2\n", expectation.interleaving);
            }
        }
        if script.is_empty() {
            ui::remark("nothing to see there on this kernel");
            return Ok(Vec::new());
        }
        ensure!(fs::exists(object)?, "`{}` is missing", object.display());
        let mut spec = machine(tests, kernel, &script, accel);
        spec.add.push((object.clone(), "/usr/lib/enforcer-faulty/enforcer.o".to_owned()));
        spec.timeout = Duration::from_secs(900);
        let outcome = run_machine(&spec)?;
        let records: Vec<Record> = lines(&outcome)?;
        let tried: Vec<(&Expectation, &str)> =
            expectations.iter().flat_map(|expectation| expectation.fs.iter().map(|fs| (*expectation, *fs))).collect();
        ensure!(records.len() == tried.len(), "{} runs of the stress gave {} records", tried.len(), records.len());
        Ok(tried.into_iter().zip(&records).filter_map(|((expectation, fs), record)| self.fault(expectation, fs, record, kernel)).collect())
    }

    fn fault(&self, expectation: &Expectation, fs: &str, record: &Record, kernel: &Kernel) -> Option<String> {
        let (number, tries) = (record.foreign.len(), record.tried.values().sum::<u64>());
        let verdict = if record.foreign.is_empty() == expectation.is_found { "UNEXPECTED" } else { "as expected" };
        let line = format!(
            "{} without {} on {fs}: {} brought foreign bytes to run {number} times in {tries} tries: {verdict}",
            kernel.name,
            self.name(),
            expectation.interleaving
        );
        println!("{line}");
        (record.foreign.is_empty() == expectation.is_found || tries == 0).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clause_is_left_out_somewhere_with_an_interleaving_that_finds_it() {
        let features = fs::read_to_string(workspace::root().join("enforcer-ebpf/Cargo.toml")).unwrap();
        let clauses: Vec<&str> = features.lines().filter_map(|line| line.strip_prefix("without-")?.split(' ').next()).collect();
        assert!(clauses.len() > 5);
        for clause in clauses {
            let finds =
                |mutation: &Mutation| mutation.clauses.contains(&clause) && mutation.expectations.iter().any(|expectation| expectation.is_found);
            assert!(MUTATIONS.iter().any(finds), "{clause}");
        }
    }

    #[test]
    fn what_is_left_out_is_a_feature() {
        let features = fs::read_to_string(workspace::root().join("enforcer-ebpf/Cargo.toml")).unwrap();
        for clause in MUTATIONS.iter().flat_map(|mutation| mutation.clauses) {
            assert!(features.contains(&format!("\nwithout-{clause} = ")), "{clause}");
        }
    }
}
