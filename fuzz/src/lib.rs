//! The fuzz targets: one for each parser of bytes that strangers write, and one for the whole decision.
//!
//! A target is a function of bytes that returns, or panics. [`Target::run`] holds it to the limits that the product promises. `cargo xtask fuzz`
//! calls it by way of libFuzzer, and `enforcer/tests/fuzz_regressions.rs` with every seed and with every input that was ever found. Reads and
//! writes no file of the machine but those that a scene makes for itself.

mod corpus;
pub mod limits;
mod scene;
mod targets;

pub use corpus::{Input, dictionaries, inputs};
pub use targets::{TARGETS, Target};

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
