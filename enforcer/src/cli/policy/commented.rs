//! `policy.toml`: the reference as a policy with comments, which denies nothing and reports everything.

use super::super::output::wrapped;
use super::reference::{Block, Key, Reference, Table};

/// The whole policy. A line `#key = value` shows a default: taking the `#` away changes nothing.
pub(super) fn policy(reference: &Reference) -> String {
    let mut lines = comment(&[Block::Paragraph(PREFACE.to_owned())], "");
    lines.extend(INSTRUCTIONS.lines().map(|line| format!("# {line}").trim_end().to_owned()));
    for key in &reference.keys {
        lines.push(String::new());
        lines.extend(of_key(key, &[]));
    }
    for table in &reference.tables {
        lines.extend(["".to_owned(), "".to_owned()]);
        lines.extend(if table.is_optional() { by_example(table) } else { by_defaults(table) });
    }
    lines.join("\n") + "\n"
}

/// A table that stands there, with its defaults.
fn by_defaults(table: &Table) -> Vec<String> {
    let mut lines = comment(&table.text, "");
    lines.push(table.heading());
    for key in &table.keys {
        lines.push(String::new());
        lines.extend(of_key(key, &table.text));
    }
    lines
}

/// A table that is left away: what its keys mean, and an example. One that there may be many of is a line to take the `#` away from.
fn by_example(table: &Table) -> Vec<String> {
    let mut lines = comment(&table.text, "");
    lines.push("#".to_owned());
    let width = table.keys.iter().map(|key| key.name.len()).max().unwrap_or_default() + 2;
    for key in &table.keys {
        let mut told = told(key, &table.text);
        if let (Some(default), Some(Block::Paragraph(text))) = (key.default.as_ref().filter(|default| *default != "[]"), told.first_mut()) {
            *text += &format!(" Without it, {default}.");
        }
        let explained = comment(&told, &" ".repeat(width + 2));
        // The name stands where the indent of the first line is.
        let first = explained.first().map_or("", |line| line.get(width + 4..).unwrap_or_default());
        lines.push(format!("#   {:width$}{first}", key.name).trim_end().to_owned());
        lines.extend(explained.into_iter().skip(1));
    }
    lines.push("#".to_owned());
    let mark = if table.is_repeated { "#" } else { "# " };
    lines.extend(table.example().into_iter().map(|line| format!("{mark}{line}")));
    lines
}

fn of_key(key: &Key, about_table: &[Block]) -> Vec<String> {
    let mut lines = comment(&told(key, about_table), "");
    let written = match (&key.default, &key.example) {
        (Some(default), _) => format!("#{} = {default}", key.name),
        (None, Some(example)) => format!("{} = {example}", key.name),
        (None, None) => format!("#{} =", key.name),
    };
    lines.push(written);
    lines
}

/// The text of a key, with what bounds its value, unless the text or that of its table says it already.
fn told(key: &Key, about_table: &[Block]) -> Vec<Block> {
    let says = |word: &str| key.text.iter().chain(about_table).any(|block| block.says(word));
    let mut more = Vec::new();
    if !key.words.is_empty() && !key.words.iter().all(|word| says(word)) {
        more.push(key.words.join(", "));
    }
    more.extend(key.bounds.iter().filter(|bounds| Some(*bounds) != key.example.as_ref()).cloned());
    if key.needs_restart {
        more.push("A change needs a restart".to_owned());
    }
    let more: String = more.into_iter().map(|sentence| format!(" {}.", capitalised(&sentence))).collect();
    let mut blocks: Vec<Block> = Vec::new();
    for (place, block) in key.text.iter().enumerate() {
        blocks.push(match block {
            Block::Paragraph(text) if place == 0 => Block::Paragraph(format!("{text}{more}")),
            Block::Paragraph(text) => Block::Paragraph(text.clone()),
            Block::Items(items) => Block::Items(items.clone()),
        });
    }
    blocks
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

impl Block {
    fn says(&self, word: &str) -> bool {
        match self {
            Self::Paragraph(text) => text.contains(word),
            Self::Items(items) => items.iter().any(|item| item.contains(word)),
        }
    }
}

fn comment(blocks: &[Block], indent: &str) -> Vec<String> {
    let width = WIDTH.saturating_sub(2 + indent.len());
    let mut lines = Vec::new();
    for (place, block) in blocks.iter().enumerate() {
        match block {
            Block::Paragraph(text) => {
                if place > 0 && indent.is_empty() && matches!(blocks[place - 1], Block::Paragraph(_)) {
                    lines.push("#".to_owned());
                }
                lines.extend(wrapped(&plain(text), width).into_iter().map(|line| format!("# {indent}{line}")));
            }
            Block::Items(items) => {
                let column = items.iter().filter_map(|item| Some(plain(item.split_once(": ")?.0).len())).max().unwrap_or_default() + 2;
                for item in items {
                    let (name, text) = item.split_once(": ").unwrap_or(("", item));
                    for (row, line) in wrapped(&plain(text), width.saturating_sub(column + 2)).into_iter().enumerate() {
                        let name = if row == 0 { plain(name) } else { String::new() };
                        lines.push(format!("# {indent}  {name:column$}{line}"));
                    }
                }
            }
        }
    }
    lines
}

/// A value in backticks has quotes of its own, and needs no others here.
fn plain(text: &str) -> String {
    text.replace("`\"", "\"").replace("\"`", "\"").replace("`[", "[").replace("]`", "]")
}

/// Columns of a comment's line.
const WIDTH: usize = 110;
const PREFACE: &str = "Enforcer's policy: whose code may run on this machine, and what happens to the rest.";
const INSTRUCTIONS: &str = "
Lines that begin with `#key` show the default: taking the `#` away changes nothing. Lines that begin with `# ` explain.
Paths are absolute. After an edit:

    enforcer policy check              says what is wrong, with line and column
    systemctl reload enforcer          puts it into force, whole or not at all

This file is the policy of a first day: it denies nothing and reports everything. Look at the reports with
`enforcer events`, sign or list what belongs on the machine, and go to \"enforce\" when nothing is reported any more that
should run. `enforcer policy default` prints this file, and docs/policy.md says the same with links.
";
