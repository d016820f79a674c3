//! The order without which `enforcer stop --release` does nothing where the policy in force names `policy-signers`.

use std::path::Path;

use rustls_pki_types::UnixTime;

use super::super::{Exit, Failure};
use crate::charter::{InForce, OrderError, order_text, verify_order};
use crate::daemon::{charters_in_force, trusted_facts};
use crate::kernel::boot_id;
use crate::policy::Policy;
use crate::signature::{Facts, SignedText};
use crate::text::printable;
use crate::trust::{Revoked, TrustStore};

/// Who ordered it; nobody had to when there is no charter.
pub(super) fn require(order: Option<&Path>, policy: &Path) -> Result<Option<String>, Failure> {
    let in_force = charters_in_force().map_err(|error| Failure::because(Exit::Refused, &error).hint(error.hint()))?;
    let mut ordered_by = None;
    for one in in_force.iter().filter(|one| !one.charter.is_empty()) {
        ordered_by = Some(judge(one, order, policy)?);
    }
    Ok(ordered_by)
}

fn judge(in_force: &InForce, order: Option<&Path>, policy: &Path) -> Result<String, Failure> {
    let boot_id = boot_id().map_err(|error| Failure::new(Exit::System, format!("cannot read this boot's id: {error}")))?;
    let signers = in_force.charter.signers().collect::<Vec<_>>().join(", ");
    let Some(path) = order else {
        let message = format!("the policy in force lets only {signers} take enforcement off");
        return Err(Failure::new(Exit::Refused, message).hint(remedy(&boot_id)));
    };
    let refused = |message: String, hint: String| Failure::new(Exit::Refused, format!("enforcement stays: {message}")).hint(hint);
    let order =
        SignedText::read(path, MAX_ORDER).map_err(|error| refused(format!("`{}`: {error}", printable(&path.to_string_lossy())), remedy(&boot_id)))?;
    let (now, versions) = trusted_facts().map_err(|error| refused(error.to_string(), "see `enforcer status`".to_owned()))?;
    let trust = revocations(in_force, policy, now);
    match verify_order(in_force, &order, &boot_id, &trust, &Facts { now, security_versions: &versions }) {
        Ok(endorsement) => Ok(endorsement.signer().to_owned()),
        Err(OrderError::Charter(error)) => Err(refused(error.to_string(), error.hint())),
        Err(error) => Err(refused(error.to_string(), remedy(&boot_id))),
    }
}

/// What is revoked: what the daemon kept, and the lists of the policy on the disk, whoever changed it. That no list is missing is checked by the charter.
fn revocations(in_force: &InForce, policy: &Path, now: UnixTime) -> TrustStore {
    let read = Policy::load(policy).ok().and_then(|policy| TrustStore::load(&policy, now).ok());
    let mut trust = read.unwrap_or_else(|| TrustStore::of_nobody(Revoked::default()));
    trust.set_revoked(trust.revoked().clone().and(&in_force.kept));
    trust
}

fn remedy(boot_id: &str) -> String {
    format!(
        "let a policy signer sign these two lines, which are good until the next boot of this machine:\n\n{}\n\
         on the machine that has the key: `openssl cms -sign -binary -outform DER -in release-order -signer signer.pem -inkey signer.key -out \
         release-order.p7s`; here: `enforcer stop --release --order release-order`",
        order_text(boot_id)
    )
}

const MAX_ORDER: u64 = 4096;
