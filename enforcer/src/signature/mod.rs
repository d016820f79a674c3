//! Finding, parsing and verifying signatures; the only maker of [`Verified`].
//!
//! A file may be signed in eight ways, looked at in this order; the first signature that leads to a signer of the policy decides:
//!
//! 1. embedded, in the ELF section `.enforcer.signature`;
//! 2. appended, in the format of the kernel's modules;
//! 3. in comment lines at the end of a script;
//! 4. in the extended attribute `user.enforcer.signature`;
//! 5. in the extended attribute `security.ima`;
//! 6. detached, in `FILE.p7s` beside the file;
//! 7. detached, in `<sha256>.p7s` in a signature store;
//! 8. by a signed manifest that lists its digest.
//!
//! `docs/signature-format.md` describes each byte by byte. `find` knows the places and [`Examiner`] does the reading; `verify` decides, without I/O
//! of its own and without a clock. Nothing here keeps a private key, but for `sign`, which the `enforcer sign` command alone uses.

mod carrier;
pub mod claims;
pub mod cms;
pub mod comment;
mod content;
pub mod elf;
mod examiner;
mod find;
pub mod ima;
pub mod manifest;
mod parse;
mod rejected;
pub mod sign;
mod source;
mod text;
pub mod timestamp;
pub mod trailer;
mod value;
mod verify;
mod wire;

pub use carrier::Carrier;
pub use examiner::{Attempt, Compared, Examination, ExamineError, Examiner};
pub use find::content_digests;
pub use parse::{Answer, Form, InThisProcess, Job, Parser, rehearse};
pub use rejected::{ManifestError, ManifestProblem, Rejected};
pub use text::{Endorsement, SignedText};
pub use verify::{Facts, Release, SignerReport, Verified};
