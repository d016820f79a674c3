//! docs/performance.md: the tables between its two marks, from what earlier runs and this one measured.
//!
//! What was measured is kept beside it, in docs/performance/measured.json, so that a run of one group on one kernel replaces nothing else.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::peers::{self, Peer};
use super::report::{Machine, Part, Report, Row, grouped};
use super::{plot, targets};
use crate::{ui, workspace};

/// Adds a run to what is known, and writes the document and its pictures anew.
pub(super) fn write(report: Report) -> Result<()> {
    let mut known = read()?;
    for (kernel, machine) in &report.machines {
        if known.machines.get(kernel).is_some_and(|earlier| earlier != machine) {
            ui::remark(&format!("earlier figures of kernel {kernel} are another machine's: measure every group again, beside every peer"));
        }
    }
    known.update(report);
    fs::write(at(MEASURED), serde_json::to_string_pretty(&known)? + "\n").with_context(|| format!("cannot write `{MEASURED}`"))?;
    let text = fs::read_to_string(at(DOCUMENT)).with_context(|| format!("cannot read `{DOCUMENT}`"))?;
    let mut measured = String::new();
    for (group, rows) in in_order(&known) {
        for kernel in kernels(rows) {
            let rows: Vec<Row> = rows.iter().filter(|row| row.kernel == kernel).cloned().collect();
            let picture = plot::draw(group, &kernel, &rows, &at(PICTURES))?;
            measured += &section(&known, group, &kernel, &rows, picture.as_deref());
        }
    }
    fs::write(at(DOCUMENT), between_marks(&text, &measured)?)?;
    ui::remark(&format!("wrote `{DOCUMENT}` and `{MEASURED}`"));
    Ok(())
}

/// What earlier runs measured.
fn read() -> Result<Report> {
    let path = at(MEASURED);
    if !path.exists() {
        return Ok(Report::default());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{MEASURED}`"))?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand `{MEASURED}`"))
}

/// The groups, those first that have a place in [`GROUPS`].
fn in_order(report: &Report) -> Vec<(&str, &[Row])> {
    let mut groups: Vec<(&str, &[Row])> = report.groups.iter().map(|(name, rows)| (name.as_str(), rows.as_slice())).collect();
    groups.sort_by_key(|(name, _)| GROUPS.iter().position(|(known, _)| known == name).unwrap_or(GROUPS.len()));
    groups
}

fn kernels(rows: &[Row]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        if !names.contains(&row.kernel) {
            names.push(row.kernel.clone());
        }
    }
    names
}

/// One group on one kernel: its table, who is missing in it, and its picture.
fn section(report: &Report, group: &str, kernel: &str, rows: &[Row], picture: Option<&str>) -> String {
    let title = GROUPS.iter().find(|(name, _)| *name == group).map_or(group, |(_, title)| title);
    let mut text = format!("\n### `{group}`, kernel {kernel}: {title}\n\n");
    if let Some(Machine { kernel, qemu, cpu }) = report.machines.get(kernel) {
        text += &format!("Debian's kernel {kernel}, QEMU {qemu}, `-cpu {cpu}`.\n\n");
    }
    text += &table(rows);
    if let (Some(parts), "hooks") = (report.profile.get(kernel), group) {
        text += "\nWhich of our programs runs how often at one operation, and for how many instructions in all, with some for being counted:\n\n";
        text += &profile(parts, rows);
    }
    for absent in report.absent.iter().filter(|absent| absent.kernel == kernel) {
        text += &format!("\nNot in this table, because it could not be put in force on this kernel: {} ({}).\n", absent.peer, absent.reason);
    }
    if let Some(picture) = picture {
        text += &format!("\n![{group} on kernel {kernel}]({PICTURES_BESIDE}/{picture})\n");
    }
    text
}

fn table(rows: &[Row]) -> String {
    let peers = peers::in_order(rows);
    let mut works: Vec<&str> = Vec::new();
    for row in rows {
        if !works.contains(&row.work.as_str()) {
            works.push(&row.work);
        }
    }
    let mut text = format!("| work | no enforcer | {} | target |\n|---|--:|{}---|\n", peers.join(" | "), "--:|".repeat(peers.len()));
    for work in works {
        let find = |peer: &str| rows.iter().find(|row| row.work == work && row.peer == peer);
        let Some(any) = rows.iter().find(|row| row.work == work) else { continue };
        let cells: Vec<String> = peers.iter().map(|peer| find(peer).map_or_else(|| "–".to_owned(), cell)).collect();
        let target = rows.iter().filter(|row| row.work == work).find_map(|row| targets::judge(row, rows));
        let target = target.map_or_else(String::new, |judged| format!("{}: {}", judged.target, if judged.is_met { "met" } else { "**missed**" }));
        text += &format!("| {work} | {} {} | {} | {target} |\n", grouped(any.baseline), any.unit, cells.join(" | "));
    }
    text
}

/// What our programs have a part in, the dearest first, beside what they add in all.
fn profile(parts: &[Part], rows: &[Row]) -> String {
    let mut text = "| work | adds | programs |\n|---|--:|---|\n".to_owned();
    for row in rows.iter().filter(|row| row.peer == Peer::Enforcer.name()) {
        let mut of: Vec<&Part> = parts.iter().filter(|part| part.work == row.work).collect();
        of.sort_by(|a, b| b.nanoseconds.total_cmp(&a.nanoseconds));
        let programs: Vec<String> = of.iter().map(|part| format!("`{}` {:.1}: {}", part.hook, part.runs, grouped(part.nanoseconds))).collect();
        text += &format!("| {} | {} | {} |\n", row.work, grouped(row.more()), programs.join(", "));
    }
    text
}

/// The ratio, and how much more.
fn cell(row: &Row) -> String {
    format!("{:.3} ({}{})", row.ratio, if row.more() < 0.0 { "−" } else { "+" }, grouped(row.more().abs()))
}

fn between_marks(text: &str, measured: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("`{DOCUMENT}` has no line `{BEGIN}`"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("`{DOCUMENT}` has no line `{END}`"))?;
    Ok(format!("{before}{BEGIN}\n{measured}\n{END}{after}"))
}

fn at(path: &str) -> PathBuf {
    workspace::root().join(path)
}

/// The groups in the order of the document, and what each is about.
const GROUPS: [(&str, &str); 3] = [
    ("hooks", "with everything in the caches"),
    ("cold", "the first start of what is on the disk only"),
    ("first-use", "signed files that nobody has seen"),
];
const DOCUMENT: &str = "docs/performance.md";
const MEASURED: &str = "docs/performance/measured.json";
const PICTURES: &str = "docs/performance";
/// Where the pictures are for who reads the document.
const PICTURES_BESIDE: &str = "performance";
const BEGIN: &str = "<!-- written by `cargo xtask bench --write` from here -->";
const END: &str = "<!-- to here -->";

#[cfg(test)]
mod tests {
    use super::*;

    fn row(work: &str, peer: &str, enforced: f64) -> Row {
        Row::new(work, "6.12", peer, (532_000.0, enforced), "instructions").unwrap()
    }

    #[test]
    fn a_table_has_a_line_for_each_work_a_column_for_each_peer_and_says_what_is_missed() {
        let rows = [row("dynamic exec", "enforcer", 540_000.0), row("dynamic exec", "ima", 533_000.0), row("mmap of data", "enforcer", 532_000.0)];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "| work | no enforcer | enforcer | ima | target |");
        assert_eq!(lines[2], "| dynamic exec | 532,000 instructions | 1.015 (+8,000) | 1.002 (+1,000) | ≤ 1.006: **missed** |");
        assert_eq!(lines[3], "| mmap of data | 532,000 instructions | 1.000 (+0) | – |  |");
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let text = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        assert_eq!(between_marks(&text, "new").unwrap(), format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
        assert!(between_marks("before", "new").is_err());
    }
}
