//! docs/footprint.md: what a group measured on one kernel, between two marks that bear its name.

use std::fs;

use anyhow::{Context, Result};

use crate::{ui, workspace};

/// Replaces what an earlier run wrote of the same group on the same kernel.
pub(super) fn write(group: &str, kernel: &str, text: &str) -> Result<()> {
    let path = workspace::root().join(DOCUMENT);
    let document = fs::read_to_string(&path).with_context(|| format!("cannot read `{DOCUMENT}`"))?;
    fs::write(&path, between_marks(&document, &format!("{group} {kernel}"), text)?).with_context(|| format!("cannot write `{DOCUMENT}`"))?;
    ui::remark(&format!("wrote the figures of `{group}` on {kernel} into `{DOCUMENT}`"));
    Ok(())
}

/// A table with these columns, the first one's text to the left.
pub(super) fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    let aligned = format!("|---|{}\n", "--:|".repeat(columns.len().saturating_sub(1)));
    line(&head) + &aligned + &rows.map(|cells| line(&cells)).collect::<String>()
}

/// A target in the last column.
pub(super) fn judged(target: &str, missed: bool) -> String {
    format!("{target}: {}", if missed { "**missed**" } else { "met" })
}

fn between_marks(document: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {name}: written by `cargo xtask bench` from here -->"), format!("<!-- {name}: to here -->"));
    let (before, rest) = document.split_once(&begin).with_context(|| format!("`{DOCUMENT}` has no line `{begin}`"))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("`{DOCUMENT}` has no line `{end}`"))?;
    Ok(format!("{before}{begin}\n\n{text}\n{end}{after}"))
}

const DOCUMENT: &str = "docs/footprint.md";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_of_its_name_is_replaced() {
        let marks = |name: &str, text: &str| format!("<!-- {name}: written by `cargo xtask bench` from here -->{text}<!-- {name}: to here -->");
        let document = format!("a {} b {} c", marks("boot 7", "old"), marks("boot 6.12", "kept"));
        let written = between_marks(&document, "boot 7", "new").unwrap();
        assert!(written.contains("new") && !written.contains("old") && written.contains("kept") && written.ends_with(" c"), "{written}");
        assert!(between_marks(&document, "boot 6.1", "new").is_err());
    }
}
