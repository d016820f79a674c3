//! The process that looks into untrusted files, so that the daemon does not have to.
//!
//! The daemon opens a file, hands its descriptor and whatever signatures lie elsewhere to a worker ([`Pool`]), and gets a plain answer. A worker runs this
//! very program without any rights ([`confine`]): no files, no network, no other process, no new code; it can read what it was handed, and answer.
//! It keeps nothing from one job to the next and knows neither policy nor certificates. What its answer is worth is decided in [`crate::signature`]
//! (`docs/adr/0008-a-worker-parses-and-the-daemon-verifies.md`).

mod channel;
mod confine;
mod pool;
mod proof;
mod serve;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use confine::confine;
pub use pool::{Counters, Counts, Pool, Settings};
pub use serve::serve;

use crate::signature::Form;

/// What a worker says before it reads anything: what it could not give up.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Hello {
    /// Whether landlock takes the file system and the network away too, beside the filter of system calls.
    pub landlock: bool,
    /// Each step that failed, and why.
    pub failed: Vec<String>,
}

/// A job as it is written to the worker. The file's descriptor comes along.
#[derive(Serialize, Deserialize)]
struct Request {
    has_file: bool,
    values: Vec<(Form, Vec<u8>)>,
}

/// Why a worker gave no answer. The file is denied, and the worker is replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It ended.
    #[error("the worker that looks for signatures ended while it read this file ({how})")]
    Ended {
        /// Its exit status or signal.
        how: String,
    },
    /// It took too long.
    #[error("the worker that looks for signatures took more than {} seconds for this file", LIMIT.as_secs())]
    TimedOut,
    /// It answered something that is no answer.
    #[error("the worker that looks for signatures answered something that is no answer")]
    Garbled,
    /// None was free in time.
    #[error("no worker that looks for signatures was free")]
    NoneFree,
    /// The signatures do not fit into a job.
    #[error("the signatures of this file are larger than a worker takes")]
    TooLarge,
    /// The job could not be handed over.
    #[error("the worker that looks for signatures could not be asked: {problem}")]
    System {
        /// Why not.
        problem: String,
    },
}

/// Why no confined worker can be had.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It cannot be started.
    #[error("the worker that looks for signatures cannot be started: {0}")]
    NotStarted(String),
    /// It has rights that it ought not to have.
    #[error("the worker that looks for signatures cannot be confined: {}", Steps(.0))]
    NotConfined(Vec<String>),
}

struct Steps<'a>(&'a [String]);

impl fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// How long a worker may take for one file. It reads headers and a few signatures, which takes milliseconds.
pub const LIMIT: Duration = Duration::from_secs(5);
/// A worker is replaced after as many jobs, before it reaches its limit of processor time.
const MOST_JOBS: u32 = 1000;
/// Signatures of one file, in all the places outside of it.
const MAX_REQUEST: usize = 8 << 20;
/// The headers of an ELF file, read twice, and its signatures.
const MAX_ANSWER: usize = 48 << 20;
