//! Which part of a policy decided, and where that is written.

use std::collections::HashMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Policy, ScriptSetting, Setting, read};
use crate::text::{printable, sha256};

/// The part of a policy that decided about something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// `[[signer]]`, by its name.
    Signer(String),
    /// `[[component]]`, by its identifier.
    Component(String),
    /// A setting, with its word.
    Setting(Setting, &'static str),
    /// What an interpreter is held to, with its word; without a name, every interpreter.
    Scripts(Option<String>, ScriptSetting, &'static str),
    /// `[limits] max-file-size`.
    MaxFileSize,
    /// `[revocation]`.
    Revocation,
    /// No rule: what nobody signed whom the policy trusts is denied.
    Nobody,
    /// None: no setting of a policy changes it.
    Always,
}

impl Rule {
    /// The table and key where it may be written, the nearest first; the name of an array's table is part of it.
    fn places(&self) -> Vec<(String, &'static str)> {
        let named = |table: &str, name: &str| format!("[{table}] {name}");
        match self {
            Self::Signer(name) => vec![(named("signer", name), "")],
            Self::Component(identifier) => vec![(named("component", identifier), "")],
            Self::Setting(setting, _) => vec![(setting.place().0.to_owned(), setting.place().1)],
            Self::Scripts(name, setting, _) => {
                let own = name.iter().map(|name| (named("interpreter", name), setting.key()));
                own.chain([("scripts".to_owned(), setting.key())]).collect()
            }
            Self::MaxFileSize => vec![("limits".to_owned(), "max-file-size")],
            Self::Revocation => vec![("revocation".to_owned(), "file"), ("revocation".to_owned(), "")],
            Self::Nobody | Self::Always => Vec::new(),
        }
    }

    /// Whether a key that is not written still has a value.
    const fn has_default(&self) -> bool {
        matches!(self, Self::Setting(..) | Self::Scripts(..) | Self::MaxFileSize | Self::Revocation)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signer(name) => write!(out, "[[signer]] \"{}\"", printable(name)),
            Self::Component(identifier) => write!(out, "[[component]] \"{}\"", printable(identifier)),
            Self::Setting(setting, word) => write!(out, "[{}] {} = \"{word}\"", setting.place().0, setting.place().1),
            Self::Scripts(Some(name), setting, word) => write!(out, "[scripts] {} = \"{word}\", for {}", setting.key(), printable(name)),
            Self::Scripts(None, setting, word) => write!(out, "[scripts] {} = \"{word}\"", setting.key()),
            Self::MaxFileSize => write!(out, "[limits] max-file-size"),
            Self::Revocation => write!(out, "[revocation]"),
            Self::Nobody => write!(out, "no [[signer]] lets it in"),
            Self::Always => write!(out, "no setting of a policy changes it"),
        }
    }
}

/// In which lines the rules of a policy are written.
#[derive(Debug, Default)]
pub struct Lines {
    by_place: HashMap<(String, String), usize>,
}

impl Lines {
    /// Reads them from the policy's file; none, if it cannot be read or is not the text any more that the policy was settled from.
    pub fn of(policy: &Policy) -> Self {
        match read(&policy.path).map(|(text, _)| text) {
            Ok(text) if sha256(text.as_bytes()) == policy.sha256 => Self::parse(&text),
            _ => Self::default(),
        }
    }

    fn parse(text: &str) -> Self {
        let Ok(document) = DeTable::parse(text) else { return Self::default() };
        let mut lines = Self::default();
        for (table, value) in document.get_ref() {
            match value.get_ref() {
                DeValue::Table(keys) => lines.add(text, table.get_ref(), table.span().start, keys),
                DeValue::Array(elements) => {
                    for element in elements.iter() {
                        if let DeValue::Table(keys) = element.get_ref()
                            && let Some(name) = name_of(keys)
                        {
                            lines.add(text, &format!("[{}] {name}", table.get_ref()), element.span().start, keys);
                        }
                    }
                }
                _ => lines.set(text, "", table.get_ref(), table.span().start),
            }
        }
        lines
    }

    fn add(&mut self, text: &str, table: &str, start: usize, keys: &DeTable<'_>) {
        self.set(text, table, "", start);
        for key in keys.keys() {
            self.set(text, table, key.get_ref(), key.span().start);
        }
    }

    fn set(&mut self, text: &str, table: &str, key: &str, start: usize) {
        let line = text.as_bytes()[..start.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
        self.by_place.insert((table.to_owned(), key.to_owned()), line);
    }

    /// The line of a rule, from 1, where it is written.
    pub fn line(&self, rule: &Rule) -> Option<usize> {
        rule.places().into_iter().find_map(|(table, key)| self.by_place.get(&(table, key.to_owned())).copied())
    }

    /// The line of a key that stands in no table, such as `mode`.
    pub fn line_of_key(&self, key: &str) -> Option<usize> {
        self.by_place.get(&(String::new(), key.to_owned())).copied()
    }

    /// A rule as people look it up: `/etc/enforcer/policy.toml:27 [[signer]] "operations"`.
    pub fn told(&self, rule: &Rule, policy: &Policy) -> String {
        let path = policy.path.to_string_lossy();
        match self.line(rule) {
            Some(line) => format!("{}:{line} {rule}", printable(&path)),
            None if rule.has_default() && !self.by_place.is_empty() => format!("{rule} (the default: it is not written)"),
            None => rule.to_string(),
        }
    }
}

/// What the table of an array is called.
fn name_of<'a>(keys: &'a DeTable<'_>) -> Option<&'a str> {
    let value = |wanted: &str| keys.iter().find(|(key, _)| key.get_ref().as_ref() == wanted).map(|(_, value)| value);
    value("name").or_else(|| value("identifier")).map(Spanned::get_ref).and_then(DeValue::as_str)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = "version = 1\nmode = \"audit\"\n\n[[signer]]\nname = \"us\"\nanchors = [\"/ca.pem\"]\n\n[[signer]]\nanchors = [\"/ca.pem\"]\nname = \"them\"\n\
        [memory]\n# a comment\nanonymous = \"allow\"\n[[interpreter]]\nname = \"awk\"\ninline = \"deny\"\n[scripts]\nstdin = \"deny\"\n";

    #[test]
    fn each_rule_is_found_in_its_line_and_what_is_not_written_in_none() {
        let lines = Lines::parse(TEXT);
        let signer = |name: &str| lines.line(&Rule::Signer(name.to_owned()));
        assert_eq!((signer("us"), signer("them"), signer("nobody")), (Some(4), Some(8), None));
        assert_eq!(lines.line_of_key("mode"), Some(2));
        assert_eq!(lines.line(&Rule::Setting(Setting::Anonymous, "allow")), Some(13));
        assert_eq!(lines.line(&Rule::Setting(Setting::Tracing, "deny")), None);
        let scripts = |name: &str, setting| lines.line(&Rule::Scripts(Some(name.to_owned()), setting, "deny"));
        assert_eq!(scripts("awk", ScriptSetting::Inline), Some(16));
        assert_eq!((scripts("awk", ScriptSetting::Stdin), scripts("bash", ScriptSetting::Stdin)), (Some(18), Some(18)));
        assert_eq!(scripts("bash", ScriptSetting::Inline), None);
    }

    #[test]
    fn a_rule_is_told_with_file_and_line_and_never_with_the_line_of_another_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        std::fs::write(&path, TEXT).unwrap();
        let policy = Policy::load(&path).unwrap();
        let rule = Rule::Signer("them".to_owned());
        assert_eq!(Lines::of(&policy).told(&rule, &policy), format!("{}:8 [[signer]] \"them\"", path.display()));
        let unwritten = Rule::Setting(Setting::Tracing, "deny");
        assert_eq!(Lines::of(&policy).told(&unwritten, &policy), "[memory] tracing = \"deny\" (the default: it is not written)");
        std::fs::write(&path, format!("# changed\n{TEXT}")).unwrap();
        assert_eq!(Lines::of(&policy).told(&rule, &policy), "[[signer]] \"them\"");
        let elsewhere = Policy::parse(TEXT, Path::new("/no/such/policy.toml")).unwrap();
        assert_eq!(Lines::of(&elsewhere).line(&rule), None);
    }
}
