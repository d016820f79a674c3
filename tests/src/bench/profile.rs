//! Which of the enforcer's programs run at each operation of `hooks`, and for how long: what the kernel counts while it is told to
//! (`kernel.bpf_stats_enabled`), and `enforcer status` tells. Counting makes each run a little longer.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::hooks::{self, Work};
use super::machine;
use crate::scene::Scene;
use crate::service;

/// What one program does at one operation, on average.
#[derive(Debug, Serialize)]
pub struct Part {
    work: String,
    hook: String,
    runs: f64,
    nanoseconds: f64,
}

/// As `enforcer status --json` tells it.
#[derive(Clone, Debug, Default, Deserialize)]
struct Counted {
    hook: String,
    runs: u64,
    nanoseconds: u64,
}

/// All operations, one after the other.
pub fn measure(scene: &Scene) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for Work { name, repetitions, mut operation } in hooks::works(scene)? {
        machine::wait_until_idle()?;
        (0..repetitions).try_for_each(|_| operation())?;
        let before = counted()?;
        count(true)?;
        let done = (0..repetitions).try_for_each(|_| operation());
        count(false)?;
        done?;
        for (hook, after) in counted()? {
            let before = before.get(&hook).cloned().unwrap_or_default();
            let each = |after: u64, before: u64| (after - before) as f64 / repetitions as f64;
            let (runs, nanoseconds) = (each(after.runs, before.runs), each(after.nanoseconds, before.nanoseconds));
            if runs > 0.0 {
                parts.push(Part { work: name.to_owned(), hook, runs, nanoseconds });
            }
        }
    }
    Ok(parts)
}

fn counted() -> Result<BTreeMap<String, Counted>> {
    let counted: Vec<Counted> = serde_json::from_value(service::status()?["hooks_cost"].take()).context("`enforcer status` tells no costs")?;
    Ok(counted.into_iter().map(|counted| (counted.hook.clone(), counted)).collect())
}

fn count(on: bool) -> Result<()> {
    fs::write(SWITCH, if on { "1\n" } else { "0\n" }).with_context(|| format!("cannot write to `{SWITCH}`"))
}

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
