//! `docs/policy.md`: the reference as Markdown.

use super::reference::{Block, Key, Reference, Table};

/// The whole document.
pub(super) fn document(reference: &Reference) -> String {
    let mut lines = vec![PREFACE.to_owned()];
    for key in &reference.keys {
        lines.extend(["".to_owned(), format!("## `{}`", key.name), "".to_owned()]);
        lines.extend(of_key(key));
    }
    for table in &reference.tables {
        lines.extend(["".to_owned(), format!("## `{}`", table.heading()), "".to_owned()]);
        lines.extend(of_table(table));
    }
    lines.join("\n") + "\n"
}

fn of_table(table: &Table) -> Vec<String> {
    let mut lines = text(&table.text);
    lines.extend(["".to_owned(), "```toml".to_owned()]);
    lines.extend(table.example());
    lines.push("```".to_owned());
    for key in &table.keys {
        lines.extend(["".to_owned(), format!("### `{}` in `{}`", key.name, table.heading()), "".to_owned()]);
        lines.extend(of_key(key));
    }
    lines
}

fn of_key(key: &Key) -> Vec<String> {
    let mut lines: Vec<String> = key.facts().into_iter().map(|(name, fact)| format!("- {name}: {fact}")).collect();
    lines.push(String::new());
    lines.extend(text(&key.text));
    lines
}

fn text(blocks: &[Block]) -> Vec<String> {
    let mut lines = Vec::new();
    for block in blocks {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        match block {
            Block::Paragraph(text) => lines.push(text.clone()),
            Block::Items(items) => lines.extend(items.iter().map(|item| format!("- {item}"))),
        }
    }
    lines
}

const PREFACE: &str = "\
# Policy reference

Every table and every key of `/etc/enforcer/policy.toml`, made by `enforcer policy reference` from the types that read it; a test holds this page to them.
`enforcer policy default` prints the same as a policy with comments, which is the `policy.toml` that comes with Enforcer, and `enforcer policy reference --json`
as JSON Schema ([policy.schema.json](policy.schema.json)), by which editors complete and check a policy. The manual page enforcer-policy(5) has it too.

After an edit, `enforcer policy check` says what is wrong, with line and column, and `systemctl reload enforcer` puts the policy in force, whole or not at all. A key that
takes a restart says so. Only `version` and `mode` must be written. Paths are absolute.";
