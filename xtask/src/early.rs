//! Enforcement before the system's own init: a machine boots by `packaging/enforcer-init`.

use std::fs;

use anyhow::{Result, bail, ensure};

use crate::guest_tests::GuestTests;
use crate::setup::kernels::Kernel;
use crate::test::run_machine;
use crate::vm::{Accel, Output};
use crate::workspace;

/// Where the package puts it.
const INIT: &str = "/usr/lib/enforcer/init";

/// What must hold when the machine is up: all of it was in force before systemd began, and the service's daemon took it over.
const PROOF: &str = r#"set -e
enforcer events >&2
enforcer status --json | grep -q '"enforcing": true'
journalctl --unit=enforcer.service --output=json --no-pager | grep -q 'ADOPTED":"true"'
attached=$(stat --format=%Z /sys/fs/bpf/enforcer/*/link_bprm_check_security) systemd=$(stat --format=%Z /run/systemd)
echo "attached at $attached, systemd began at $systemd" >&2
[ "$attached" -le "$systemd" ]
/opt/enforcer-tests/bin/program
! /opt/enforcer-tests/unsigned/program"#;

/// What must hold when the machine was booted with a break-glass code: nothing is denied from the first process on, loudly; and the code works once.
const BROKEN_GLASS: &str = r#"set -ex
enforcer status >&2 || suspended=$?
[ "$suspended" = 1 ]
enforcer status --json | grep -q '"cause": "break-glass"'
journalctl --unit=enforcer.service --priority=err --no-pager | grep -q 'SUSPENDED'
/opt/enforcer-tests/bin/program
/opt/enforcer-tests/unsigned/program
grep -q "$(cat /proc/sys/kernel/random/boot_id)" /var/lib/enforcer/break-glass.toml
systemctl restart enforcer
/opt/enforcer-tests/unsigned/program
# As if that had been another boot.
sed -i 's/^boot_id = .*/boot_id = "another"/' /var/lib/enforcer/break-glass.toml
systemctl restart enforcer
journalctl --unit=enforcer.service --priority=err --no-pager | grep -q 'was used before'
enforcer status --json | grep -q '"enforcing": true'
/opt/enforcer-tests/bin/program
! /opt/enforcer-tests/unsigned/program"#;

/// As people type it, in small letters; `tests/policy.toml` has its hash.
const CODE: &str = "enforcer.break_glass=0test00-0test00-0test00-00001";

/// Boots one kernel so, and once more with a break-glass code.
pub(crate) fn run(tests: &GuestTests, kernel: &Kernel, accel: Accel) -> Result<()> {
    boot(tests, kernel, accel, PROOF, "")?;
    boot(tests, kernel, accel, BROKEN_GLASS, CODE)
}

fn boot(tests: &GuestTests, kernel: &Kernel, accel: Accel, proof: &str, append: &str) -> Result<()> {
    let mut spec = tests.machine(proof);
    spec.kernel.clone_from(&kernel.name);
    spec.accel = accel;
    spec.output = Output::Captured;
    spec.add.push((workspace::root().join("packaging/enforcer-init"), INIT.to_owned()));
    spec.append = format!("enforcer=require ENFORCER_VM_INIT={INIT} {append}");
    let outcome = run_machine(&spec)?;
    let said = outcome.said();
    if outcome.status != 0 {
        bail!("the proof ended with status {}; the console's log is `{}`; it said:\n{said}", outcome.status, outcome.console.display());
    }
    let console = fs::read(&outcome.console)?;
    let words = "enforcement goes on without a daemon";
    ensure!(String::from_utf8_lossy(&console).contains(words), "the console does not say {words:?}: `{}`", outcome.console.display());
    eprint!("{said}");
    Ok(())
}
