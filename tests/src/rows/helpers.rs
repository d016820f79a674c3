//! Programs that the kernel starts by itself, by a name that root may set.

use std::process::Command;

use anyhow::Result;
use enforcer_common::Hook::BprmCheckSecurity;
use enforcer_common::Reason::Untrusted;

use super::{Row, SIGNED_RAN, Shown, Trace, UNSIGNED_RAN};
use crate::fixtures::odd::HELPED;
use crate::scene::Scene;

pub const ROWS: &[Row] = &[
    attack(
        "unsigned_helper_by_core_pattern",
        "an unsigned program for the memory of crashed ones",
        |scene| helper(scene, "core-pattern", UNSIGNED),
        CORE,
    ),
    attack("unsigned_helper_by_modprobe", "an unsigned program in place of modprobe", |scene| helper(scene, "modprobe", UNSIGNED), MODPROBE),
    attack("unsigned_helper_by_release_agent", "an unsigned program that is told of a control group's end", |scene| agent(scene, UNSIGNED), AGENT),
    Row::absent(
        "uevent_helper",
        "a program that is told of devices",
        |scene| Ok(scene.attack(["uevent-helper".as_ref(), scene.fixture(UNSIGNED).as_os_str()])),
        "the kernel has the setting",
        "No such file or directory",
    ),
    Row::honest(CORE, "a signed program for the memory of crashed ones", |scene| helper(scene, "core-pattern", SIGNED), SIGNED_RAN),
    Row::honest(MODPROBE, "a signed program in place of modprobe", |scene| helper(scene, "modprobe", SIGNED), SIGNED_RAN),
    Row::honest(AGENT, "a signed program that is told of a control group's end", |scene| agent(scene, SIGNED), SIGNED_RAN),
];

const fn attack(name: &'static str, title: &'static str, command: fn(&Scene) -> Result<Command>, twin: &'static str) -> Row {
    let trace = Trace::of_another(BprmCheckSecurity, Untrusted, Shown::Path(UNSIGNED));
    Row::attack(name, title, command, UNSIGNED_RAN, (trace, "the helper did not run", twin))
}

fn helper(scene: &Scene, how: &str, helper: &str) -> Result<Command> {
    Ok(scene.attack([how.as_ref(), scene.fixture(helper).as_os_str(), HELPED.as_ref()]))
}

/// In a hierarchy of control groups that is mounted for this alone.
fn agent(scene: &Scene, helper: &str) -> Result<Command> {
    let (tool, helper, folder) = (scene.tool().display(), scene.fixture(helper), scene.disk("groups"));
    let (helper, folder) = (helper.display(), folder.display());
    super::privately(&format!(
        "set -e; mkdir {folder}; mount -t cgroup -o none,name=enforcer-tests none {folder}; exec {tool} attack release-agent {helper} {HELPED} {folder}"
    ))
}

const UNSIGNED: &str = "unsigned/helper.sh";
const SIGNED: &str = "bin/helper.sh";
const CORE: &str = "signed_helper_by_core_pattern";
const MODPROBE: &str = "signed_helper_by_modprobe";
const AGENT: &str = "signed_helper_by_release_agent";
