//! Events: what the kernel side reported, as records that people and programs can read, with the way to mend each.
//!
//! Nothing here decides or denies, and nothing here can stop the daemon: a log that cannot be written is counted, not fatal.

mod cgroups;
mod log;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod reader;
mod reason;
mod record;
mod render;
mod status;
#[cfg(test)]
pub(crate) mod tests;
mod time;
mod watched;

pub use cgroups::{Cgroups, service};
pub use log::{DEFAULT_PATH, Entry, EventLog, LogCounters, LogLimits, Lost};
pub use metrics::exposition;
#[cfg(feature = "otlp")]
pub use otlp::{log_record, request};
pub use reader::{EventReader, Next, Place};
pub use reason::{explain, remedy};
pub use record::{Code, Record};
pub use status::{Daemon, ScopeInForce, Status, state_in_words};
pub use time::{BootTime, Timestamp};
pub use watched::{Durations, EventCount, EventKind, Reloads, Watched};
