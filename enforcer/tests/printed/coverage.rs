//! No command is forgotten: the list of them is clap's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use unicode_width::UnicodeWidthStr;

use crate::snapshot;

#[test]
fn every_commands_help_fits_eighty_columns_and_has_examples() {
    for command in commands() {
        let output = Command::new(env!("CARGO_BIN_EXE_enforcer")).args(&command.words).arg("--help").env_remove("COLUMNS").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", command.name);
        assert!(help.contains("\nExamples") || command.is_hidden || command.is_group, "`{}` has no examples", command.name);
        // Also commands: what is broken cannot be copied.
        let wide: Vec<&str> = command.examples.lines().chain(help.lines()).filter(|line| line.width() > 80).collect();
        assert!(wide.is_empty(), "{}: wider than 80 columns: {wide:#?}", command.name);
        // Builds with `enforcer export` have one command more in their list.
        let lists_export = command.words.is_empty() && cfg!(feature = "otlp");
        snapshot::terminal(&format!("{}/{}", command.name, if lists_export { "help-with-export" } else { "help" }), &help);
    }
}

#[test]
fn every_command_has_a_snapshot_of_its_answers() {
    for command in commands().filter(|command| !command.is_group && !ELSEWHERE.contains(&command.name.as_str())) {
        let answers = snapshots().into_iter().filter(|name| name.starts_with(&format!("{}/", command.name)) && !name.contains("/help")).count();
        assert!(answers > 0, "nobody holds what `{}` prints: see tests/printed.rs", command.name);
    }
}

#[test]
fn every_snapshot_belongs_to_a_command_and_is_compared_by_a_test() {
    let commands: BTreeSet<String> = commands().map(|command| command.name).collect();
    let sources: String = ["src", "tests"]
        .into_iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    for name in snapshots() {
        let (command, answer) = name.split_once('/').unwrap();
        let is_optional = !cfg!(feature = "otlp") && command == "export";
        assert!(commands.contains(command) || is_optional, "{name}.txt: there is no such command");
        let name = name.strip_suffix(".pipe").unwrap_or(&name);
        assert!(answer.starts_with("help") || sources.contains(&format!("\"{name}\"")), "{name}.txt: no test names it");
    }
}

struct Named {
    /// `policy-check`: the folder of its snapshots, and its manual page.
    name: String,
    words: Vec<String>,
    /// As they are written, before anybody breaks their lines.
    examples: String,
    is_group: bool,
    is_hidden: bool,
}

/// All commands, with the program itself and those that only have others below them.
fn commands() -> impl Iterator<Item = Named> {
    fn below(command: &clap::Command, words: &[String], found: &mut Vec<Named>) {
        let name = if words.is_empty() { command.get_name().to_owned() } else { words.join("-") };
        let examples = command.get_after_help().map_or_else(String::new, ToString::to_string);
        found.push(Named { name, words: words.to_vec(), examples, is_group: command.has_subcommands(), is_hidden: command.is_hide_set() });
        for command in command.get_subcommands() {
            below(command, &[words, &[command.get_name().to_owned()]].concat(), found);
        }
    }
    let mut found = Vec::new();
    below(&enforcer::cli::definition(), &[], &mut found);
    found.into_iter()
}

/// The names of all snapshots, such as `policy-check/help`.
fn snapshots() -> Vec<String> {
    let folder = root().join("tests/snapshots");
    let name = |file: PathBuf| file.strip_prefix(&folder).unwrap().with_extension("").to_string_lossy().into_owned();
    files(&folder, "txt").map(name).collect()
}

fn files(folder: &Path, extension: &'static str) -> impl Iterator<Item = PathBuf> + use<> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(move |file| file.extension().is_some_and(|found| found == extension))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What is too long to be looked at, and held to a file of the repository (`tests/documents/generated.rs`).
const ELSEWHERE: [&str; 2] = ["policy-default", "policy-reference"];
