//! What is said of a key beside its type: its default, its range, its words. The helpers of the attributes in [`super::raw`], and the schema that comes of them.
//!
//! The schema is JSON Schema 2020-12, with `format` for what the text of a string has to be, and [`NEEDS_RESTART`] beside it.

use std::ops::RangeInclusive;
use std::time::Duration;

use enforcer_common::Response;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value, json};

use super::raw::RawPolicy;
use super::scripts::KNOWN;
use super::values::RESPONSES;
use super::{display_duration, display_size};

/// The schema of policy.toml, with every table in its place and in the order in which the tables and keys are written.
pub fn schema() -> Schema {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<RawPolicy>();
    RecursiveTransform(in_toml_words).transform(&mut schema);
    schema.insert("title".to_owned(), json!("policy.toml"));
    schema
}

/// Whether a change of the key is put in force by a restart of the daemon alone.
pub const NEEDS_RESTART: &str = "x-needs-restart";

/// TOML has no null, and one kind of whole numbers; a comment's lines are broken where the source's are.
fn in_toml_words(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [kind] = types.as_slice() {
            let kind = kind.clone();
            object.insert("type".to_owned(), kind);
        }
    }
    if object.get("format").is_some_and(|format| format == "int64") {
        object.remove("format");
    }
    let must: Vec<Value> = match object.get_mut("properties").and_then(Value::as_object_mut) {
        Some(keys) => keys.iter_mut().filter_map(|(name, key)| key.as_object_mut()?.remove(MUST).map(|_| json!(name))).collect(),
        None => return,
    };
    object.remove("default");
    if !must.is_empty() {
        object.insert("required".to_owned(), Value::Array(must));
    }
}

/// The key has to be written; with what stands in its place in an example.
pub(super) fn must(value: impl Into<Value>) -> impl FnMut(&mut Schema) {
    let value = value.into();
    move |schema| {
        set(schema, MUST, true);
        set(schema, "examples", json!([value]));
    }
}

/// What stands in the key's place in an example.
pub(super) fn example(value: impl Into<Value>) -> impl FnMut(&mut Schema) {
    let value = value.into();
    move |schema| set(schema, "examples", json!([value]))
}

/// What is meant when the key is not written.
pub(super) fn default(value: &'static str) -> impl FnMut(&mut Schema) {
    move |schema| set(schema, "default", value)
}

/// A change of the key takes a restart.
pub(super) fn needs_restart() -> impl FnMut(&mut Schema) {
    |schema| set(schema, NEEDS_RESTART, true)
}

/// A whole number within a range.
pub(super) fn number(range: RangeInclusive<u64>, default: Option<u64>) -> impl FnMut(&mut Schema) {
    move |schema| {
        set(schema, "minimum", *range.start());
        set(schema, "maximum", *range.end());
        if let Some(default) = default {
            set(schema, "default", default);
        }
    }
}

/// A text of at most so many characters, all of them of one byte.
pub(super) fn word(longest: usize) -> impl FnMut(&mut Schema) {
    move |schema| {
        set(schema, "minLength", 1);
        set(schema, "maxLength", longest);
    }
}

/// A size within a range: a text with a unit, or a number of bytes.
pub(super) fn size(range: RangeInclusive<u64>, default: u64) -> impl FnMut(&mut Schema) {
    move |schema| {
        set(schema, "type", json!(["string", "integer"]));
        set(schema, "format", "size");
        set(schema, "minimum", *range.start());
        set(schema, "maximum", *range.end());
        set(schema, RANGE, json!([display_size(*range.start()), display_size(*range.end())]));
        set(schema, "default", display_size(default));
    }
}

/// A span of time within a range.
pub(super) fn span(range: RangeInclusive<Duration>) -> impl FnMut(&mut Schema) {
    move |schema| {
        set(schema, "format", "span");
        set(schema, RANGE, json!([display_duration(*range.start()), display_duration(*range.end())]));
    }
}

/// The range of what is no number, in words.
pub const RANGE: &str = "x-range";

/// A moment, as TOML writes it (RFC 3339).
pub(super) fn moment() -> impl FnMut(&mut Schema) {
    |schema| set(schema, "format", "date-time")
}

/// One of some words.
pub(super) fn choice<T>(words: &[(&'static str, T)]) -> impl FnMut(&mut Schema) {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    move |schema| set(schema, "enum", json!(words))
}

/// Some of some words.
pub(super) fn choices<T, const N: usize>(words: &[(&'static str, T)], default: [&'static str; N]) -> impl FnMut(&mut Schema) {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    move |schema| {
        of_each(schema, "enum", json!(words));
        set(schema, "default", json!(default.to_vec()));
    }
}

/// What happens to something.
pub(super) fn response(default: Response) -> impl FnMut(&mut Schema) {
    move |schema| {
        choice(&RESPONSES)(schema);
        set(schema, "default", RESPONSES.iter().find(|(_, response)| *response == default).map(|(word, _)| *word));
    }
}

/// The names of the interpreters that are known; others may be among the allowed values.
pub(super) fn interpreters() -> impl FnMut(&mut Schema) {
    let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
    move |schema| set(schema, KNOWN_NAMES, json!(names))
}

/// Names that are known, where others can be written too.
pub const KNOWN_NAMES: &str = "x-known";

/// Any texts; none by default.
pub(super) fn strings() -> impl FnMut(&mut Schema) {
    |schema| set(schema, "default", json!([]))
}

/// SHA-256 digests, so many at most; none by default.
pub(super) fn digests(most: usize) -> impl FnMut(&mut Schema) {
    move |schema| {
        of_each(schema, "pattern", "^[0-9a-fA-F]{64}$");
        set(schema, "maxItems", most);
        set(schema, "default", json!([]));
    }
}

/// An absolute path.
pub(super) fn path(default: &'static str) -> impl FnMut(&mut Schema) {
    move |schema| {
        set(schema, "format", "path");
        set(schema, "default", default);
    }
}

/// Absolute paths.
pub(super) fn paths(default: &'static [&'static str]) -> impl FnMut(&mut Schema) {
    move |schema| {
        each_a_path()(schema);
        set(schema, "default", json!(default));
    }
}

/// Absolute paths, where what they are without the key cannot be said in short.
pub(super) fn each_a_path() -> impl FnMut(&mut Schema) {
    |schema| of_each(schema, "format", "path")
}

fn set(schema: &mut Schema, key: &str, value: impl Into<Value>) {
    schema.insert(key.to_owned(), value.into());
}

/// The same for each value of a list.
fn of_each(schema: &mut Schema, key: &str, value: impl Into<Value>) {
    let items = schema.ensure_object().entry("items").or_insert_with(|| Value::Object(Map::new()));
    if let Some(items) = items.as_object_mut() {
        items.insert(key.to_owned(), value.into());
    }
}

/// Taken out again: in JSON Schema the table says which keys it must have.
const MUST: &str = "x-must";
