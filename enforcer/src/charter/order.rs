//! The order by which a policy signer lets enforcement be taken off: good for one boot of one machine.

use super::{Charter, InForce, OrderError};
use crate::signature::{Endorsement, Facts, SignedText};
use crate::trust::TrustStore;

/// What has to be signed, to the byte: there is nothing to parse in it.
pub fn order_text(boot_id: &str) -> String {
    format!("enforcer release\nboot-id {boot_id}\n")
}

/// Decides whether one of those who may change the policy ordered the release of this machine, in this boot. `trust` says what is revoked.
///
/// # Errors
/// Why it is no such order.
pub fn verify_order(in_force: &InForce, order: &SignedText, boot_id: &str, trust: &TrustStore, facts: &Facts<'_>) -> Result<Endorsement, OrderError> {
    let Charter { signers, clocks, .. } = &in_force.charter;
    if order.text() != order_text(boot_id).as_bytes() {
        return Err(OrderError::Another { path: order.path().to_owned() });
    }
    in_force.charter.require_lists(trust).map_err(Box::new)?;
    let own = trust.of_named(signers, clocks).map_err(|error| Box::new(error.into()))?;
    order
        .endorsement(own, facts)
        .map_err(|problem| OrderError::Signature { signers: in_force.charter.signers().collect::<Vec<_>>().join("`, `"), problem: problem.into() })
}
