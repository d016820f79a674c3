//! The documents agree with the program: pages that are made from it, every command that they name, and where their links lead.
#![allow(missing_docs)]

#[path = "documents/commands.rs"]
mod commands;
#[path = "documents/generated.rs"]
mod generated;
#[path = "documents/links.rs"]
mod links;
#[path = "documents/monitoring.rs"]
mod monitoring;

use std::path::{Path, PathBuf};

/// The repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every document, with its path from the root.
fn documents() -> impl Iterator<Item = (String, String)> {
    let docs = walkdir::WalkDir::new(root().join("docs")).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    let files: Vec<PathBuf> = docs.chain(["README.md", "CONTRIBUTING.md"].map(|name| root().join(name))).collect();
    let documents = files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "md"));
    documents.map(|file| {
        let name = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&file).unwrap())
    })
}
