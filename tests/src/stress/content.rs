//! The contents that a file may have, and telling them apart.

use std::fs;

use anyhow::{Context as _, Result};

use super::super::elf;
use crate::scene::Scene;

/// One of the prepared contents.
pub struct Source {
    pub name: &'static str,
    pub is_signed: bool,
    /// What its function returns, and its status as a program.
    pub answer: i32,
    /// How many zeros stand behind it.
    pub padding: u64,
}

const fn source(name: &'static str, is_signed: bool, answer: i32, padding: u64) -> Source {
    Source { name, is_signed, answer, padding }
}

/// All of them. The first two and the fourth differ in two bytes only.
pub const CONTENTS: [Source; 6] = [
    source("signed", true, 42, 0),
    source("signed-other", true, 43, 0),
    source("signed-long", true, 44, 3000),
    source("unsigned", false, 13, 0),
    source("unsigned-long", false, 14, 3000),
    source("signed-large", true, 45, 3 << 20),
];
pub const SIGNED: usize = 0;
pub const SIGNED_OTHER: usize = 1;
pub const UNSIGNED: usize = 3;
pub const UNSIGNED_LONG: usize = 4;
pub const SIGNED_LARGE: usize = 5;
/// The small ones, of which the random turns take any.
pub const SMALL: usize = 5;
/// Where they are among the fixtures.
pub const FOLDER: &str = "stress";

/// A content with its bytes.
pub struct Content {
    pub name: &'static str,
    pub is_signed: bool,
    pub answer: i32,
    pub bytes: Vec<u8>,
}

/// What was found of bytes that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This signed content.
    Signed(usize),
    /// Something else, in words.
    Foreign(String),
}

/// All contents.
pub struct Contents {
    all: Vec<Content>,
    /// Where the function stands, which is the same in all of them.
    pub function: usize,
}

impl Contents {
    pub fn load(scene: &Scene) -> Result<Self> {
        let mut all = Vec::new();
        for Source { name, is_signed, answer, .. } in CONTENTS {
            let path = scene.fixture(&format!("{FOLDER}/{name}"));
            let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            all.push(Content { name, is_signed, answer, bytes });
        }
        let function = elf::offset_of_answer(&scene.fixture(&format!("{FOLDER}/{}", CONTENTS[SIGNED].name)))?;
        Ok(Self { all, function })
    }

    pub fn bytes(&self, index: usize) -> &[u8] {
        &self.all[index].bytes
    }

    pub fn is_signed(&self, index: usize) -> bool {
        self.all.get(index).is_some_and(|content| content.is_signed)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Content> {
        self.all.iter()
    }

    /// Which content these bytes are, or the beginning of. The contents differ from the function on.
    pub fn judge_bytes(&self, bytes: &[u8]) -> Found {
        match self.all.iter().position(|content| content.bytes.starts_with(bytes)) {
            Some(index) if self.is_signed(index) => Found::Signed(index),
            Some(index) => Found::Foreign(format!("the bytes of `{}`", self.all[index].name)),
            None => Found::Foreign("bytes of no known content".to_owned()),
        }
    }

    /// Which content gave this answer.
    pub fn judge_answer(&self, answer: i32) -> Found {
        match self.all.iter().position(|content| content.answer == answer) {
            Some(index) if self.is_signed(index) => Found::Signed(index),
            Some(index) => Found::Foreign(format!("the answer of `{}`", self.all[index].name)),
            None => Found::Foreign(format!("the answer {answer}, which no content gives")),
        }
    }
}
