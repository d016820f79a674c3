//! Enforcer: only code signed by someone you trust runs on this machine.
//!
//! The crate is bytes in, decision out; I/O happens at the edges only. `docs/architecture.md` is the map of it.

pub mod audit;
pub mod charter;
pub mod cli;
pub mod code;
pub mod daemon;
pub mod inventory;
pub mod judge;
pub mod kernel;
pub mod measure;
pub mod policy;
pub mod processes;
pub mod report;
pub mod signature;
pub mod simulate;
#[cfg(test)]
mod snapshot;
pub mod text;
pub mod trust;
pub mod worker;
