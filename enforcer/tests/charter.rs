//! Who may change the policy, and who may take enforcement off: judged on lists and orders that the `openssl` command signed.
#![allow(missing_docs, unreachable_pub, dead_code)]

#[path = "charter/changes.rs"]
mod changes;
#[path = "charter/commands.rs"]
mod commands;
#[path = "charter/orders.rs"]
mod orders;
#[path = "signatures/pki.rs"]
mod pki;
#[path = "charter/revocations.rs"]
mod revocations;
#[path = "charter/scene.rs"]
mod scene;
