//! Signatures made by the `openssl` command are judged by us, and ours by it.
#![allow(missing_docs, unreachable_pub)]

#[path = "signatures/appended.rs"]
mod appended;
#[path = "signatures/claims.rs"]
mod claims;
#[path = "signatures/commands.rs"]
mod commands;
#[path = "signatures/comment_commands.rs"]
mod comment_commands;
#[path = "signatures/comments.rs"]
mod comments;
#[path = "signatures/detached.rs"]
mod detached;
#[path = "signatures/embedded.rs"]
mod embedded;
#[path = "signatures/hostile.rs"]
mod hostile;
#[path = "signatures/pki.rs"]
mod pki;
#[path = "signatures/revocation.rs"]
mod revocation;
#[path = "signatures/scene.rs"]
mod scene;
#[path = "signatures/signing.rs"]
mod signing;
#[path = "signatures/timestamps.rs"]
mod timestamps;
#[path = "signatures/trust.rs"]
mod trust;
