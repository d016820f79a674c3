//! What `enforcer sign` and its relatives make, judged by openssl, evmctl and SoftHSM.
#![allow(missing_docs, unreachable_pub, dead_code)]

#[path = "signing/authority.rs"]
mod authority;
#[path = "signing/carriers.rs"]
mod carriers;
#[path = "signing/claims.rs"]
mod claims;
#[path = "signatures/pki.rs"]
mod pki;
#[path = "signing/scene.rs"]
mod scene;
#[path = "signing/seal.rs"]
mod seal;
#[path = "signing/timestamps.rs"]
mod timestamps;
#[path = "signing/token.rs"]
mod token;
#[path = "signing/trees.rs"]
mod trees;
#[path = "signing/trial.rs"]
mod trial;
#[path = "signing/two_steps.rs"]
mod two_steps;
