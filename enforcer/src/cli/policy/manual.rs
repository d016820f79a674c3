//! `enforcer-policy(5)`: the reference as a manual page.

use roff::{Inline, Roff, bold, roman};

use super::reference::{Block, Key, Reference, Table};

/// The whole page, in the language of man(7).
pub(in crate::cli) fn page() -> String {
    let reference = Reference::of_types();
    let mut page = Roff::new();
    page.control("TH", ["enforcer-policy", "5", "", concat!("enforcer ", env!("CARGO_PKG_VERSION"))]);
    page.control("SH", ["NAME"]);
    page.text([roman("enforcer-policy - whose code may run on this machine, and what happens to the rest")]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([bold(crate::policy::DEFAULT_PATH)]);
    page.control("SH", ["DESCRIPTION"]);
    INTRODUCTION.iter().for_each(|text| paragraph(&mut page, text));
    page.control("SH", ["KEYS OUTSIDE OF ANY TABLE"]);
    reference.keys.iter().for_each(|key| of_key(&mut page, key));
    reference.tables.iter().for_each(|table| of_table(&mut page, table));
    page.control("SH", ["SEE ALSO"]);
    page.text(SEE_ALSO.iter().enumerate().flat_map(|(number, name)| see(number, name)).collect::<Vec<_>>());
    page.to_roff()
}

/// A name of a manual page in a list of them: `enforcer(1)`.
pub(in crate::cli) fn see(number: usize, name: &str) -> [Inline; 3] {
    let (name, section) = name.split_once('(').unwrap_or((name, ""));
    let section = if section.is_empty() { String::new() } else { format!("({section}") };
    [roman(if number == 0 { "" } else { ", " }), bold(name), roman(section)]
}

fn of_table(page: &mut Roff, table: &Table) {
    page.control("SH", [table.heading().as_str()]);
    text(page, &table.text);
    page.control("PP", []);
    page.control("EX", []);
    for line in table.example() {
        page.text([roman(line)]);
    }
    page.control("EE", []);
    table.keys.iter().for_each(|key| of_key(page, key));
}

fn of_key(page: &mut Roff, key: &Key) {
    page.control("SS", [key.name.as_str()]);
    for (name, fact) in key.facts() {
        page.control("TP", ["14"]);
        page.text([roman(name)]);
        page.text(inlines(&fact));
    }
    text(page, &key.text);
}

fn text(page: &mut Roff, blocks: &[Block]) {
    for block in blocks {
        match block {
            Block::Paragraph(text) => paragraph(page, text),
            Block::Items(items) => {
                for item in items {
                    page.control("IP", ["\\(bu", "2"]);
                    page.text(inlines(item));
                }
            }
        }
    }
}

fn paragraph(page: &mut Roff, text: &str) {
    page.control("PP", []);
    page.text(inlines(text));
}

/// What stands between backticks is bold.
fn inlines(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(number, part)| if number % 2 == 0 { roman(part) } else { bold(part) }).collect()
}

const INTRODUCTION: [&str; 3] = [
    "The policy is a file in TOML. Tables and keys that are not written have the defaults that are told here; only `version` and `mode` must be written. A key or \
     table that nobody knows is an error. Paths are absolute. The file, and those that it takes certificates from, may be changed by root alone.",
    "`enforcer policy check` says what is wrong with a policy, with line and column. `systemctl reload enforcer` puts it in force, whole or not at all; a key that takes \
     a restart says so. `enforcer simulate --policy FILE` tells before what would change.",
    "`enforcer policy default` prints the policy of a first day, with comments, and `enforcer policy reference` this page as Markdown, or with `--json` as JSON Schema.",
];
const SEE_ALSO: [&str; 5] = ["enforcer(1)", "enforcer-policy-check(1)", "enforcer-policy-default(1)", "enforcer-simulate(1)", "enforcer-enforce(1)"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_and_key_has_its_heading() {
        let (page, reference) = (page(), Reference::of_types());
        let has = |macro_name: &str, name: &str| {
            [format!("\n.{macro_name} {name}\n"), format!("\n.{macro_name} \"{name}\"\n")].iter().any(|line| page.contains(line))
        };
        for table in &reference.tables {
            assert!(has("SH", &table.heading()), "{}", table.heading());
        }
        for key in reference.keys.iter().chain(reference.tables.iter().flat_map(|table| &table.keys)) {
            assert!(has("SS", &key.name), "{}", key.name);
        }
        assert!(!page.contains('`'), "no Markdown is left");
    }
}
