//! `cargo xtask test signatures`: runs `enforcer/tests/conformance.rs`, and shows what it found as a table.
//!
//! Judges nothing: a group whose test fails has failed there already.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{build, process, setup, workspace};

/// What one group of variants came to, as its test leaves it in the folder `CONFORMANCE_REPORT`.
#[derive(Deserialize)]
struct Group {
    group: String,
    /// Whom it is compared with.
    reference: String,
    variants: usize,
    /// How many of them are accepted by us.
    accepted: usize,
    same: usize,
    /// Each one is listed in `differences.toml`, or the test has failed.
    different: usize,
}

pub(crate) fn run() -> Result<()> {
    setup::for_tests()?;
    build::ebpf()?;
    let folder = workspace::target_dir().join("conformance");
    fs::remove_dir_all(&folder).or_else(|error| if folder.exists() { Err(error) } else { Ok(()) })?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--package", "enforcer", "--test", "conformance"]).env("CONFORMANCE_REPORT", &folder);
    let passed = process::pass_through(&mut cargo)?.success();
    print!("{}", table(&groups(&folder)?));
    if passed { Ok(()) } else { bail!("a verdict is not what is written down; `docs/conformance.md` tells what to do") }
}

fn groups(folder: &Path) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        groups.push(serde_json::from_str::<Group>(&text).with_context(|| format!("`{}`", path.display()))?);
    }
    groups.sort_by(|a, b| a.group.cmp(&b.group));
    Ok(groups)
}

fn table(groups: &[Group]) -> String {
    let line = |cells: [&str; 6]| {
        let [group, reference, variants, accepted, same, different] = cells;
        format!("{group:<14} {reference:<12} {variants:>8} {accepted:>8} {same:>8} {different:>18}\n")
    };
    let mut text = line(["group", "beside", "variants", "accepted", "same", "listed differences"]);
    let mut total = [0; 4];
    for group in groups {
        let numbers = [group.variants, group.accepted, group.same, group.different];
        for (sum, number) in total.iter_mut().zip(numbers) {
            *sum += number;
        }
        let [variants, accepted, same, different] = numbers.map(|number| number.to_string());
        text += &line([&group.group, &group.reference, &variants, &accepted, &same, &different]);
    }
    let [variants, accepted, same, different] = total.map(|number| number.to_string());
    text + &line(["all", "", &variants, &accepted, &same, &different])
}

#[cfg(test)]
mod tests {
    use super::{Group, table};

    #[test]
    fn the_table_has_a_line_for_each_group_and_one_for_all() {
        let group = |name: &str, same| Group {
            group: name.to_owned(),
            reference: "openssl".to_owned(),
            variants: 10,
            accepted: 1,
            same,
            different: 10 - same,
        };
        let text = table(&[group("bytes", 10), group("fields", 7)]);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[2], ["fields", "openssl", "10", "1", "7", "3"]);
        assert_eq!(lines[3], ["all", "20", "2", "17", "3"]);
    }
}
