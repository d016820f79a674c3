//! Which values the keys of a policy may have, and which one each has when it is not written: what [`super::settle`] checks and [`super::raw`] tells.

use std::ops::RangeInclusive;
use std::time::Duration;

use enforcer_common::{Mode, Response, USE_EXEC, USE_LIBRARY, USE_MODULE, USE_SCRIPT};

use super::scripts::Callers;
use super::{SeveralSigners, StaleCrl};

pub(super) const MODES: [(&str, Mode); 2] = [("audit", Mode::Audit), ("enforce", Mode::Enforce)];
pub(super) const RESPONSES: [(&str, Response); 3] = [("deny", Response::Deny), ("audit", Response::Audit), ("allow", Response::Allow)];
pub(super) const USES: [(&str, u32); 4] = [("exec", USE_EXEC), ("library", USE_LIBRARY), ("script", USE_SCRIPT), ("module", USE_MODULE)];
pub(super) const SEVERAL_SIGNERS: [(&str, SeveralSigners); 2] = [("all", SeveralSigners::All), ("one", SeveralSigners::One)];
pub(super) const STALE_CRL: [(&str, StaleCrl); 2] = [("hard-fail", StaleCrl::HardFail), ("warn", StaleCrl::Warn)];
pub(super) const CALLERS: [(&str, Callers); 2] = [("entitled", Callers::Entitled), ("programs", Callers::Programs)];

pub(super) const DEFAULT_MANIFESTS: &[&str] = &["/etc/enforcer/manifests"];
pub(super) const DEFAULT_STORES: &[&str] = &["/var/lib/enforcer/signatures"];
pub(super) const DEFAULT_SCAN: &[&str] = &["/usr", "/opt"];
pub(super) const DEFAULT_CRLS: &[&str] = &["/etc/enforcer/crls"];
pub(super) const DEFAULT_REVOCATION_FILE: &str = "/etc/enforcer/revoked.toml";

/// What happens to a script without a verdict, to what else an interpreter reads, and to text in its arguments, on its standard input and at a terminal.
pub(super) const UNSIGNED: Response = Response::Deny;
pub(super) const OTHERS: Response = Response::Allow;
pub(super) const INLINE: Response = Response::Allow;
pub(super) const STDIN: Response = Response::Allow;
pub(super) const INTERACTIVE: Response = Response::Allow;
/// Who may hand text over where it is denied.
pub(super) const DEFAULT_CALLERS: Callers = Callers::Entitled;

/// Bytes of a rule's name and of an entitlement.
pub(super) const MAX_NAME: usize = 64;
/// Bytes of an identifier, as in a signature.
pub(super) const MAX_IDENTIFIER: usize = 128;

/// From what the smallest useful program needs, to what a host can hash within any deadline.
pub(super) const MAX_FILE_SIZE: RangeInclusive<u64> = (1 << 20)..=(64 << 30);
/// The map is allocated in the kernel, at about 100 bytes for each verdict.
pub(super) const MAX_VERDICTS: RangeInclusive<u64> = 1024..=4_194_304;
/// Prometheus reads every minute by default, and nobody wants to know it more often than each second.
pub(super) const METRICS_INTERVAL_SECONDS: RangeInclusive<u64> = 1..=3600;
/// A task that waits keeps a CPU partly busy, hence no minutes.
pub(super) const DEADLINE_MS: RangeInclusive<u64> = 10..=60_000;
pub(super) const DEADLINE_PER_MIB_MS: RangeInclusive<u64> = 0..=10_000;
pub(super) const MAX_WAITING: RangeInclusive<u64> = 1..=4096;
/// As a signature has them.
pub(super) const SECURITY_VERSIONS: RangeInclusive<u64> = 0..=u32::MAX as u64;
pub(super) const DENIALS: RangeInclusive<u64> = 1..=100_000;
pub(super) const WITHIN: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
/// Break-glass codes.
pub(super) const MOST_CODES: usize = 64;
