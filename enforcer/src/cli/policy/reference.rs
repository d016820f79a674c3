//! What may stand in a policy, as tables and keys: the schema of the policy's types, read for people.

use serde_json::Value;

use crate::policy::{KNOWN_NAMES, NEEDS_RESTART, RANGE, schema};

/// Everything that may stand in a policy, in the order in which it is written.
pub(super) struct Reference {
    /// Keys outside of any table.
    pub(super) keys: Vec<Key>,
    pub(super) tables: Vec<Table>,
}

/// A table.
pub(super) struct Table {
    pub(super) name: String,
    /// Whether there may be many: `[[name]]`.
    pub(super) is_repeated: bool,
    pub(super) text: Vec<Block>,
    pub(super) keys: Vec<Key>,
}

/// A key with its values.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) text: Vec<Block>,
    /// What kind of value it has, in words.
    pub(super) kind: &'static str,
    /// The only words that are allowed.
    pub(super) words: Vec<String>,
    /// What else bounds its value, in words.
    pub(super) bounds: Option<String>,
    /// What is meant when it is not written, as TOML.
    pub(super) default: Option<String>,
    /// What stands in its place in an example, as TOML.
    pub(super) example: Option<String>,
    pub(super) must_be_written: bool,
    pub(super) needs_restart: bool,
}

/// A part of a text.
pub(super) enum Block {
    Paragraph(String),
    Items(Vec<String>),
}

impl Reference {
    /// What the types say.
    pub(super) fn of_types() -> Self {
        let schema = schema();
        let (keys, tables): (Vec<_>, Vec<_>) = properties(schema.as_value()).partition(|(_, _, property)| table_of(property).is_none());
        let tables = tables.into_iter().filter_map(|(name, _, property)| {
            let table = table_of(property)?;
            let is_repeated = property["type"] == "array";
            Some(Table { name: name.to_owned(), is_repeated, text: blocks(table), keys: properties(table).map(Key::of).collect() })
        });
        Self { keys: keys.into_iter().map(Key::of).collect(), tables: tables.collect() }
    }
}

impl Table {
    /// As it is written before its keys.
    pub(super) fn heading(&self) -> String {
        if self.is_repeated { format!("[[{}]]", self.name) } else { format!("[{}]", self.name) }
    }

    /// Whether it is left away where nothing is written: then its keys have no defaults, and are shown by an example.
    pub(super) fn is_optional(&self) -> bool {
        self.is_repeated || self.keys.iter().all(|key| key.default.is_none())
    }

    /// A table as somebody might write it.
    pub(super) fn example(&self) -> Vec<String> {
        let value = |key: &Key| if self.is_optional() { key.example.clone() } else { key.example.clone().or_else(|| key.default.clone()) };
        let lines = self.keys.iter().filter_map(|key| Some(format!("{} = {}", key.name, value(key)?)));
        std::iter::once(self.heading()).chain(lines).collect()
    }
}

impl Key {
    fn of((name, must_be_written, schema): (&str, bool, &Value)) -> Self {
        let value = |value: Option<&Value>| Some(toml(value?, schema));
        Self {
            name: name.to_owned(),
            text: blocks(schema),
            kind: kind(schema),
            words: texts(&schema["enum"]).chain(texts(&schema["items"]["enum"])).map(|word| format!("\"{word}\"")).collect(),
            bounds: bounds(schema),
            default: value(schema.get("default")),
            example: value(schema["examples"].get(0)),
            must_be_written,
            needs_restart: schema[NEEDS_RESTART] == true,
        }
    }

    /// What its value is, what is meant without it, and when a change is in force; with code between backticks.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let code = |text: &String| format!("`{text}`");
        let mut kind = match (self.words.as_slice(), self.kind) {
            ([], kind) => kind.to_owned(),
            (words, "list of texts") => format!("list of {}", words.iter().map(code).collect::<Vec<_>>().join(", ")),
            (words, _) => words.iter().map(code).collect::<Vec<_>>().join(" or "),
        };
        if let Some(bounds) = &self.bounds {
            kind += &format!("; {bounds}");
        }
        let default = match &self.default {
            Some(default) => code(default),
            None if self.must_be_written => "none: it must be written".to_owned(),
            None => "none".to_owned(),
        };
        let restart = self.needs_restart.then(|| ("In force", "after `systemctl restart enforcer`".to_owned()));
        [("Value", kind), ("Default", default)].into_iter().chain(restart).collect()
    }
}

/// The properties of an object, and whether each is required.
fn properties(object: &Value) -> impl Iterator<Item = (&str, bool, &Value)> {
    let is_required = |name: &str| texts(&object["required"]).any(|required| required == name);
    object["properties"].as_object().into_iter().flatten().map(move |(name, property)| (name.as_str(), is_required(name), property))
}

/// The object that a property is, or a list of.
fn table_of(property: &Value) -> Option<&Value> {
    [property, &property["items"]].into_iter().find(|schema| schema["type"] == "object")
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn kind(schema: &Value) -> &'static str {
    let of_one = |schema: &Value| (schema["type"].as_str().unwrap_or_default().to_owned(), schema["format"].as_str().unwrap_or_default().to_owned());
    let (kind, format) = of_one(schema);
    let (_, format_of_each) = of_one(&schema["items"]);
    match (kind.as_str(), format.as_str(), format_of_each.as_str()) {
        ("array", _, "path") => "list of absolute paths",
        ("array", ..) => "list of texts",
        (_, "path", _) => "absolute path",
        (_, "size", _) => "size (bytes, or a text with a unit)",
        (_, "span", _) => "span of time (a whole number and one of s, m, h, d)",
        (_, "date-time", _) => "date and time (RFC 3339)",
        ("integer", ..) => "whole number",
        _ => "text",
    }
}

fn bounds(schema: &Value) -> Option<String> {
    if let [from, to] = texts(&schema[RANGE]).collect::<Vec<_>>().as_slice() {
        return Some(format!("{from} to {to}"));
    }
    if let (Some(from), Some(to)) = (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
        return Some(if from == to { from.to_string() } else { format!("{from} to {to}") });
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        return Some(format!("1 to {most} characters"));
    }
    if let Some(most) = schema["maxItems"].as_u64() {
        return Some(format!("at most {most}, each of 64 hexadecimal digits"));
    }
    let known: Vec<&str> = texts(&schema[KNOWN_NAMES]).collect();
    (!known.is_empty()).then(|| format!("known are {}", known.join(", ")))
}

/// A value as TOML writes it.
fn toml(value: &Value, schema: &Value) -> String {
    match value {
        // The one value that JSON has no kind of its own for.
        Value::String(moment) if schema["format"] == "date-time" => moment.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(|value| toml(value, &Value::Null)).collect::<Vec<_>>().join(", ")),
        value => toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string()),
    }
}

/// A comment's paragraphs and lists. Lines are joined: where they break in the source says nothing.
fn blocks(schema: &Value) -> Vec<Block> {
    let text = schema["description"].as_str().unwrap_or_default();
    let block = |part: &str| match part.strip_prefix("- ") {
        Some(items) => Block::Items(items.split("\n- ").map(joined).collect()),
        None => Block::Paragraph(joined(part)),
    };
    text.split("\n\n").filter(|part| !part.is_empty()).map(block).collect()
}

fn joined(lines: &str) -> String {
    lines.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_and_key_says_what_it_means() {
        let reference = Reference::of_types();
        assert!(reference.keys.len() == 2 && reference.tables.len() > 15, "{} keys, {} tables", reference.keys.len(), reference.tables.len());
        for table in &reference.tables {
            assert!(!table.text.is_empty() && !table.keys.is_empty(), "{}", table.heading());
        }
        for key in reference.keys.iter().chain(reference.tables.iter().flat_map(|table| &table.keys)) {
            assert!(!key.text.is_empty(), "`{}` has no comment in policy/raw.rs", key.name);
        }
    }
}
