//! The README's commands, run as written: the blocks marked `<!-- tested: NAME -->`, in a machine on which nothing is installed yet.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::vm::{self, Accel, Mode, Output, Spec};
use crate::{package, workspace};

/// The blocks that must be there, so that none is lost by an edit.
const BLOCKS: [&str; 5] = ["install", "events", "keys", "trust", "release"];

/// What the machine has that a server has not: the enforcer of `cargo xtask vm`.
const PREPARE: &str = "rm -rf /etc/enforcer /usr/sbin/enforcer /usr/lib/systemd/system/enforcer.service && cd /root/enforcer";

/// What must be true after the block of that name.
const PROOFS: [(&str, &str); 4] = [
    ("install", "enforcer status --json | grep -q '\"mode\": \"audit\"'"),
    ("events", "enforcer events --json | grep -q '\"reason\":\"untrusted\"'"),
    ("trust", "enforcer verify /usr/bin/python3 /usr/bin/perl"),
    ("release", "! enforcer status"),
];

/// Runs every marked block in one machine, with this enforcer.
pub(crate) fn run(enforcer: &Path, accel: Accel) -> Result<()> {
    let readme = fs::read_to_string(workspace::root().join("README.md")).context("cannot read `README.md`")?;
    let mut script = format!("set -e\n{PREPARE}\n");
    let blocks = blocks(&readme)?;
    let names: Vec<&str> = blocks.iter().map(|(name, _)| *name).collect();
    ensure!(names == BLOCKS, "README.md marks the blocks {names:?}, and {BLOCKS:?} are expected");
    for (name, commands) in &blocks {
        script += &format!("echo '== {name}' >&2\nset -x\n{commands}{{ set +x; }} 2>/dev/null\n");
        for (_, proof) in PROOFS.iter().filter(|(proven, _)| proven == name) {
            script += &format!(
                "if {proof}; then echo proven >&2; else echo 'after the block {name}, this is not so: {}' >&2; exit 1; fi\n",
                proof.replace('\'', "")
            );
        }
    }
    let mut spec = Spec::new(["bash", "-c", script.as_str()]);
    spec.mode = Some(Mode::Off);
    spec.enforcer = Some(enforcer.to_owned());
    spec.accel = accel;
    spec.output = Output::Captured;
    let package = package::make(enforcer, "0-1", None)?;
    spec.add = vec![
        (enforcer.to_owned(), "/root/enforcer/target/release/enforcer".to_owned()),
        (package, "/root/enforcer/target/debian/enforcer_0_amd64.deb".to_owned()),
    ];
    let outcome = vm::run(&spec)?;
    if outcome.status != 0 {
        bail!("the README's commands ended with status {}:\n{}", outcome.status, outcome.said());
    }
    Ok(())
}

/// The marked blocks: their names and their commands.
fn blocks(readme: &str) -> Result<Vec<(&str, &str)>> {
    let mut found = Vec::new();
    for part in readme.split("<!-- tested: ").skip(1) {
        let (name, rest) = part.split_once(" -->\n```console\n").context("a `tested` mark is not followed by a ```console block")?;
        let (commands, _) = rest.split_once("```").with_context(|| format!("the block `{name}` has no end"))?;
        found.push((name, commands));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn marked_blocks_are_found_and_others_are_not() {
        let text = "a\n```console\nno\n```\n<!-- tested: one -->\n```console\nyes\nyes\n```\nb\n";
        assert_eq!(blocks(text).unwrap(), [("one", "yes\nyes\n")]);
        assert!(blocks("<!-- tested: one -->\ntext").is_err());
    }
}
