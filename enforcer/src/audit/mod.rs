//! Events: what the kernel side reported, as records that people and programs can read, with the way to mend each.
//!
//! Nothing here decides or denies, and nothing here can stop the daemon: a log that cannot be written is counted, not fatal.

mod cgroups;
mod log;
mod reader;
mod reason;
mod record;
mod render;
mod status;
#[cfg(test)]
mod tests;
mod time;

pub use cgroups::{Cgroups, service};
pub use log::{DEFAULT_PATH, Entry, EventLog, LogCounters, LogLimits, Lost};
pub use reader::{EventReader, Next};
pub use reason::{explain, remedy};
pub use record::{Code, Record};
pub use status::{Daemon, ScopeInForce, Status, state_in_words};
pub use time::{BootTime, Timestamp};
