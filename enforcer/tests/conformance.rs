//! Our verdict beside those of other tools, on what they sign, on what is wrong with signatures, and on published corpora.
//!
//! `docs/conformance.md` tells what is compared with what.
#![allow(missing_docs, unreachable_pub)]

#[path = "conformance/certificates.rs"]
mod certificates;
#[path = "conformance/chains.rs"]
mod chains;
#[path = "conformance/compare.rs"]
mod compare;
#[path = "conformance/differences.rs"]
mod differences;
#[path = "conformance/keys.rs"]
mod keys;
#[path = "conformance/limbo.rs"]
mod limbo;
#[path = "conformance/list.rs"]
mod list;
#[path = "conformance/message.rs"]
mod message;
#[path = "conformance/revocation.rs"]
mod revocation;
#[path = "conformance/scene.rs"]
mod scene;
#[path = "conformance/signers.rs"]
mod signers;
#[path = "conformance/structure.rs"]
mod structure;
#[path = "conformance/timestamps.rs"]
mod timestamps;
#[path = "conformance/tools.rs"]
mod tools;
#[path = "conformance/tree.rs"]
mod tree;
#[path = "conformance/vectors.rs"]
mod vectors;
