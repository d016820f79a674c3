//! What an administrator asks before and after a change of the policy: `enforcer simulate` and `enforcer explain`.
#![allow(missing_docs, unreachable_pub, dead_code)]

#[path = "rollout/explain.rs"]
mod explain;
#[path = "signatures/pki.rs"]
mod pki;
#[path = "printed/screen.rs"]
mod screen;
#[path = "rollout/simulate.rs"]
mod simulate;
#[path = "../src/snapshot.rs"]
mod snapshot;
#[path = "rollout/trial.rs"]
mod trial;
