//! The tree's own rules, which no other tool knows: what every file must have, and where documents must agree with the code.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bypass::catalogue;

/// A file beyond this is two ideas.
const LONGEST: usize = 600;
const CRATES: [&str; 6] = ["enforcer", "enforcer-common", "enforcer-ebpf", "fuzz", "tests", "xtask"];
const ARCHITECTURE: &str = "docs/architecture.md";
/// Split, so that this file passes its own check.
const UNFINISHED: [&str; 6] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("todo", "!("), concat!("dbg", "!("), concat!("#[ign", "ore")];

/// What is not as it should be, as `file:line: why`.
pub(crate) fn complaints(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for name in CRATES {
        for file in rust_files(&root.join(name))? {
            let text = fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
            let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            found.extend(in_file(&text).into_iter().map(|(line, why)| format!("{shown}:{line}: {why}")));
        }
    }
    found.extend(hooks_without_document(root)?);
    found.extend(catalogue::complaints(root)?);
    Ok(found)
}

/// The rules for one source file.
fn in_file(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let length = text.lines().count();
    if length > LONGEST {
        found.push((length, format!("more than {LONGEST} lines: split it")));
    }
    if !text.starts_with("//!") {
        found.push((1, "a module opens with `//!`: what it is responsible for".to_owned()));
    }
    for (number, line) in text.lines().enumerate() {
        if let Some(word) = UNFINISHED.iter().find(|word| line.contains(**word)) {
            found.push((number + 1, format!("`{word}`: finish it, or write an issue")));
        }
    }
    found
}

/// Each hook is explained where a newcomer looks.
fn hooks_without_document(root: &Path) -> Result<Vec<String>> {
    let document = fs::read_to_string(root.join(ARCHITECTURE)).with_context(|| format!("cannot read `{ARCHITECTURE}`"))?;
    let hooks = rust_files(&root.join("enforcer-ebpf/src/hooks"))?;
    let names = hooks.iter().filter_map(|file| file.file_stem()?.to_str()).filter(|name| *name != "mod");
    let missing = names.filter(|name| !document.contains(&format!("`{name}`")));
    Ok(missing.map(|name| format!("{ARCHITECTURE}:1: says nothing about the hook `{name}`")).collect())
}

/// All sources below a folder.
pub(crate) fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read `{}`", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::in_file;

    #[test]
    fn a_documented_file_passes_and_each_fault_is_told_with_its_line() {
        assert!(in_file("//! Responsible for nothing.\nfn main() {}\n").is_empty());
        assert_eq!(in_file("fn main() {}\n")[0].0, 1);
        assert_eq!(in_file(&format!("//! Half.\n// {} later\n", concat!("TO", "DO")))[0].0, 2);
        assert_eq!(in_file(&format!("//! Long.\n{}", "\n".repeat(600))).len(), 1);
    }
}
