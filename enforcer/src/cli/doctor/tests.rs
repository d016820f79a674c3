//! Fabricated machines and what is said about them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use super::checks::{conclude, examine};
use super::facts::{FSVERITY_DIGEST, FSVERITY_KFUNC, IMA_HASH, PROTECTED_SLEEP};
use super::*;
use crate::cli::output::hold;

/// Debian 13 as it is installed.
fn debian() -> Facts {
    let mount = |point: &str, kind: &str| (point.to_owned(), kind.to_owned());
    Facts {
        release: Ok("6.12.48+deb13-amd64".to_owned()),
        capabilities: Ok(0x1ff_ffff_ffff),
        active_lsms: Ok("lockdown,capability,landlock,yama,apparmor,tomoyo,bpf,ipe,ima,evm".to_owned()),
        config: Ok(["CONFIG_BPF_LSM", "CONFIG_IMA"].map(|name| (name.to_owned(), "y".to_owned())).into()),
        command_line: Ok("BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet".to_owned()),
        has_btf: true,
        mounts: Ok(vec![mount("/sys/kernel/security", "securityfs"), mount("/sys/fs/bpf", "bpf"), mount("/sys/fs/cgroup", "cgroup2")]),
        symbols: Ok(BTreeSet::from([PROTECTED_SLEEP, IMA_HASH, FSVERITY_DIGEST, FSVERITY_KFUNC])),
        ftrace_enabled: Ok(true),
        lockdown: Ok("none".to_owned()),
        has_systemd: true,
        takes_lsm_programs: ProbeOutcome::Yes,
    }
}

fn hold_answer(name: &str, facts: &Facts) {
    let findings = examine(facts);
    hold(name, |output| tell(&findings, conclude(&findings), output));
}

#[test]
fn a_machine_that_can_enforce_is_told() {
    hold_answer("doctor/can", &debian());
}

#[test]
fn a_machine_that_cannot_enforce_is_told_how_to_mend_it() {
    let mut facts = debian();
    (facts.active_lsms, facts.takes_lsm_programs) = (Ok("lockdown,capability,yama".to_owned()), ProbeOutcome::CouldNotTell("not root".to_owned()));
    facts.symbols = Ok(BTreeSet::from([PROTECTED_SLEEP, IMA_HASH]));
    (facts.has_systemd, facts.command_line) = (false, Ok("quiet ima_hash=sha1".to_owned()));
    hold_answer("doctor/cannot", &facts);
}

fn finding(facts: &Facts, check: &str) -> Finding {
    examine(facts).into_iter().find(|finding| finding.check == check).unwrap()
}

#[test]
fn a_stock_debian_can_enforce() {
    let findings = examine(&debian());
    assert!(findings.iter().all(|finding| finding.answer == Answer::Yes && finding.remedy.is_none()), "{findings:#?}");
    assert_eq!(conclusion_text(&findings, conclude(&findings)), "This machine can enforce.");
}

#[test]
fn each_thing_that_is_missing_is_named_with_its_remedy() {
    type Change = fn(&mut Facts);
    let cases: [(&str, Answer, Change); 19] = [
        ("ima-hash", Answer::No, |facts| facts.command_line = Ok("quiet ima_hash=sha1".to_owned())),
        ("ima-hash", Answer::No, |facts| facts.command_line = Ok("ima_policy=tcb quiet".to_owned())),
        ("kernel-release", Answer::No, |facts| facts.release = Ok("5.10.0-35-amd64".to_owned())),
        ("kernel-release", Answer::No, |facts| facts.release = Ok("nonsense".to_owned())),
        ("kernel-release", Answer::CouldNotTell, |facts| facts.release = Err("unreadable".to_owned())),
        ("rights", Answer::No, |facts| facts.capabilities = Ok(0)),
        ("btf", Answer::No, |facts| facts.has_btf = false),
        ("bpf-lsm-active", Answer::No, |facts| facts.active_lsms = Ok("lockdown,capability,notbpf,bpfx".to_owned())),
        ("bpf-lsm-active", Answer::CouldNotTell, |facts| facts.active_lsms = Err("not mounted".to_owned())),
        ("bpf-lsm-built", Answer::No, |facts| (facts.active_lsms, facts.config) = (Ok("yama".to_owned()), Ok([].into()))),
        ("bpf-lsm-built", Answer::CouldNotTell, |facts| (facts.active_lsms, facts.config) = (Ok("yama".to_owned()), Err("none".to_owned()))),
        ("lsm-programs", Answer::No, |facts| facts.takes_lsm_programs = ProbeOutcome::No("EPERM".to_owned())),
        ("lsm-programs", Answer::CouldNotTell, |facts| facts.takes_lsm_programs = ProbeOutcome::CouldNotTell("not root".to_owned())),
        ("ftrace", Answer::No, |facts| facts.ftrace_enabled = Ok(false)),
        ("sleepable-programs", Answer::No, |facts| facts.symbols = Ok(BTreeSet::from([IMA_HASH]))),
        ("ima", Answer::No, |facts| facts.config = Ok([("CONFIG_BPF_LSM".to_owned(), "y".to_owned())].into())),
        ("ima", Answer::No, |facts| (facts.config, facts.symbols) = (Err("none".to_owned()), Ok(BTreeSet::from([PROTECTED_SLEEP])))),
        ("ima", Answer::CouldNotTell, |facts| (facts.config, facts.symbols) = (Err("none".to_owned()), Err("none".to_owned()))),
        ("lockdown", Answer::No, |facts| facts.lockdown = Ok("confidentiality".to_owned())),
    ];
    for (check, answer, change) in cases {
        let mut facts = debian();
        change(&mut facts);
        let found = finding(&facts, check);
        assert_eq!(found.answer, answer, "{found:#?}");
        assert!(found.remedy.as_ref().is_some_and(|remedy| remedy.ends_with('.')), "{found:#?}");
        let findings = examine(&facts);
        let conclusion = conclude(&findings);
        assert_ne!(conclusion, Answer::Yes);
        assert!(conclusion != answer || conclusion_text(&findings, conclusion).contains(check));
    }
}

#[test]
fn what_is_only_good_to_have_does_not_stop_enforcement() {
    let mut facts = debian();
    (facts.has_systemd, facts.mounts) = (false, Ok(vec![("/sys/fs/cgroup/unified".to_owned(), "cgroup2".to_owned())]));
    facts.symbols = Ok(BTreeSet::from([PROTECTED_SLEEP]));
    let findings = examine(&facts);
    assert_eq!(conclude(&findings), Answer::Yes);
    assert_eq!(finding(&facts, "cgroup-v2").found, "mounted at /sys/fs/cgroup/unified, not at /sys/fs/cgroup");
    assert_eq!(finding(&facts, "fs-verity").answer, Answer::No);
}

#[test]
fn the_kernels_command_line_is_mended_with_the_modules_that_are_active() {
    let mut facts = debian();
    facts.active_lsms = Ok("lockdown,capability,yama".to_owned());
    facts.takes_lsm_programs = ProbeOutcome::No("no inode storage".to_owned());
    assert!(finding(&facts, "bpf-lsm-active").remedy.unwrap().contains("`lsm=lockdown,yama,bpf`"));
    assert!(finding(&facts, "lsm-programs").remedy.unwrap().contains("activate the BPF LSM first"));
}

#[test]
fn a_refusal_is_told_without_the_announcement_of_an_empty_log() {
    let mut facts = debian();
    facts.takes_lsm_programs = ProbeOutcome::No("the kernel refused it: EPERM. Verifier output: \n".to_owned());
    assert_eq!(finding(&facts, "lsm-programs").found, "the kernel refused it: EPERM");
}

#[test]
fn a_no_weighs_more_than_a_could_not_tell() {
    let mut facts = debian();
    (facts.active_lsms, facts.takes_lsm_programs) = (Err("not mounted".to_owned()), ProbeOutcome::No("EPERM".to_owned()));
    assert_eq!(conclude(&examine(&facts)), Answer::No);
}

#[test]
fn facts_are_read_from_the_files_of_a_machine() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &[u8]| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let mut config = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    config.write_all(b"CONFIG_BPF_LSM=y\n# CONFIG_IMA is not set\nCONFIG_LSM=\"yama,bpf\"\n").unwrap();
    write("proc/config.gz", &config.finish().unwrap());
    write("proc/sys/kernel/osrelease", b"6.1.0-40-amd64\n");
    write("proc/sys/kernel/ftrace_enabled", b"0\n");
    write("proc/self/status", b"Name:\tx\nCapEff:\t000001ffffffffff\n");
    write("proc/self/mounts", b"securityfs /sys/kernel/security securityfs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
    write("proc/kallsyms", b"0000000000000000 T ima_file_hash\n0000000000000000 t __bpf_prog_enter_sleepable_recur_not\n");
    write("sys/kernel/security/lsm", b"lockdown,bpf");
    write("sys/kernel/security/lockdown", b"none [integrity] confidentiality\n");
    write("sys/kernel/btf/vmlinux", b"");

    let facts = Facts::observe(root.path(), || ProbeOutcome::Yes);
    assert_eq!(facts.release.as_deref(), Ok("6.1.0-40-amd64"));
    assert_eq!(facts.capabilities, Ok(0x1ff_ffff_ffff));
    assert_eq!(facts.active_lsms.as_deref(), Ok("lockdown,bpf"));
    assert_eq!(facts.config.as_ref().unwrap().get("CONFIG_LSM").map(String::as_str), Some("yama,bpf"));
    assert_eq!((facts.has_btf, facts.has_systemd, facts.ftrace_enabled.clone()), (true, false, Ok(false)));
    assert_eq!(facts.symbols, Ok(BTreeSet::from([IMA_HASH])));
    assert_eq!(facts.lockdown.as_deref(), Ok("integrity"));
    assert_eq!(finding(&facts, "ima").found, "CONFIG_IMA is not set");
    assert_eq!(finding(&facts, "bpffs").answer, Answer::No);
}

#[test]
fn an_empty_machine_is_told_about_without_a_guess() {
    let root = tempfile::tempdir().unwrap();
    let facts = Facts::observe(root.path(), || ProbeOutcome::CouldNotTell("not here".to_owned()));
    for check in ["kernel-release", "rights", "bpf-lsm-active", "bpf-lsm-built", "sleepable-programs", "ima", "lockdown"] {
        assert_eq!(finding(&facts, check).answer, Answer::CouldNotTell, "{check}");
    }
}

#[test]
fn the_page_about_kernels_has_every_check_every_demand_and_every_tested_kernel() {
    let read = |path: &str| fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)).unwrap();
    let page = read("docs/kernels.md");
    let root = tempfile::tempdir().unwrap();
    for finding in examine(&Facts::observe(root.path(), || ProbeOutcome::Yes)) {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", finding.check)));
        let row = row.unwrap_or_else(|| panic!("docs/kernels.md has no row for the check `{}`", finding.check));
        assert_eq!(row.contains("| no enforcement") || finding.check == "ftrace", finding.required, "docs/kernels.md: {row}");
    }
    let kernels: toml::Table = read("tests/kernels.toml").parse().unwrap();
    for kernel in kernels["kernel"].as_array().unwrap() {
        let row = format!("| {} | `{}` |", kernel["name"].as_str().unwrap(), kernel["package"].as_str().unwrap());
        assert!(page.contains(&row), "docs/kernels.md has no row `{row}`");
    }
}
