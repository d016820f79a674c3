//! Not written yet.
use crate::{report::Selection, scene::Scene};
use anyhow::Result;
use std::process::ExitCode;
pub fn run(_scene: &Scene, _selection: Selection) -> Result<ExitCode> {
    anyhow::bail!("not yet")
}
