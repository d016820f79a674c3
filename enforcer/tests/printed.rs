//! What every command prints, as a user sees it: its help, and its answers, each held to a file below `snapshots/`. What needs a kernel is held by the tests of
//! the crate, from the states that are printed. `UPDATE_SNAPSHOTS=1 cargo test -p enforcer` writes the files anew.
#![allow(missing_docs)]

#[path = "printed/answers.rs"]
mod answers;
#[path = "signing/authority.rs"]
mod authority;
#[path = "printed/coverage.rs"]
mod coverage;
#[path = "printed/scene.rs"]
mod scene;
#[path = "printed/screen.rs"]
mod screen;
#[path = "../src/snapshot.rs"]
mod snapshot;
