//! The list of differences itself: it speaks of groups that exist, and gives reasons.

use std::collections::BTreeSet;

use crate::differences;

/// Every group that a test judges; a new one is entered here.
const GROUPS: &str = "attributes ber bytes certificates ecdsa ed25519 elements fields keys limbo limbo-crl limbo-names limbo-pathlen names openssl-signs paths purposes revocation rsa \
     rsa-pss signers time timestamps";

#[test]
fn every_listed_difference_is_of_a_group_that_is_judged() {
    let known: Vec<&str> = GROUPS.split(' ').collect();
    let unknown: BTreeSet<String> = differences::groups().into_iter().filter(|group| !known.contains(&group.as_str())).collect();
    assert!(unknown.is_empty(), "differences.toml speaks of {unknown:?}");
}

#[test]
fn every_listed_difference_has_a_reason_and_differs() {
    let silent = differences::without_reason();
    assert!(silent.is_empty(), "differences.toml gives no reason for {silent:?}");
}
