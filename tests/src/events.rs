//! The event log, as the daemon writes it: read from a mark on, searched with a bounded wait.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use enforcer_common::Hook;
use serde_json::Value;

use crate::child::{self, Ended};
use crate::rows::{Actor, Shown, Trace};
use crate::scene::Scene;

/// A place in the log, before something was done.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

impl Mark {
    /// The beginning of the log.
    pub const BEGINNING: Self = Self(0);

    /// The end of the log now.
    pub fn now() -> Self {
        Self(Path::new(LOG).metadata().map_or(0, |metadata| metadata.len()))
    }

    /// The events since the mark. A log that has become shorter was rotated, and is read from its beginning.
    pub fn events(self) -> Result<Vec<Value>> {
        let mut file = match File::open(LOG) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context(LOG),
        };
        let start = if file.metadata()?.len() < self.0 { 0 } else { self.0 };
        file.seek(SeekFrom::Start(start))?;
        let mut text = String::new();
        file.read_to_string(&mut text).context(LOG)?;
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().map(|line| serde_json::from_str(line).with_context(|| format!("a line of {LOG}: {line}")));
        lines.collect()
    }

    /// Waits for an event.
    pub fn wait_for(self, what: &str, matches: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let events = self.events()?;
            if let Some(event) = events.iter().find(|event| matches(event)) {
                return Ok(event.clone());
            }
            if Instant::now() >= deadline {
                let seen: Vec<String> = events.iter().map(summary).collect();
                bail!("no event within {} seconds: {what}; there were {seen:?}", PATIENCE.as_secs());
            }
            thread::sleep(INTERVAL);
        }
    }

    /// Everything reported since the mark, apart from what `fence` adds: complete, because a later event has been written.
    pub fn everything(self, scene: &Scene) -> Result<Vec<Value>> {
        let fence = fence(scene)?;
        let of_fence = |event: &Value| event["pid"] == fence.pid;
        self.wait_for("of the fence", |event| of_fence(event))?;
        Ok(self.events()?.into_iter().filter(|event| !of_fence(event)).collect())
    }
}

/// Starts an unsigned program: its event comes after those of everything before.
pub fn fence(scene: &Scene) -> Result<Ended> {
    child::run(&mut scene.attack(["exec".as_ref(), scene.fixture("unsigned/quiet").as_os_str()]))
}

/// Whether an event is the one that a trace describes, of something that this process did or brought about.
pub fn is(event: &Value, trace: &Trace, pid: u32, denied: bool) -> bool {
    // Who asks to be traced is the child of whoever is going to trace it.
    let who = if trace.hook == Hook::PtraceTraceme { "parent_pid" } else { "pid" };
    event["kind"] == "event"
        && (event[who] == pid) == (trace.by == Actor::Itself)
        && event["hook"] == trace.hook.name()
        && event["reason"] == trace.reason.name()
        && event["denied"] == denied
        && shows(event, &trace.path)
}

fn shows(event: &Value, shown: &Shown) -> bool {
    match (shown, event["path"].as_str()) {
        (Shown::Nothing, path) => path.is_none(),
        (Shown::Path(part), Some(path)) => path.contains(part),
        (Shown::Path(_), None) => false,
    }
}

/// An event in a few words.
pub fn summary(event: &Value) -> String {
    let part = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
    let denied = if event["denied"] == true { "denied" } else { "reported" };
    format!("{denied} {} {} {} by {} ({}), {}", part("hook"), part("reason"), part("path"), part("comm"), event["pid"], part("explanation"))
}

const LOG: &str = "/var/log/enforcer/events.jsonl";
const PATIENCE: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use enforcer_common::Reason;
    use serde_json::json;

    use super::*;

    const TRACE: Trace = Trace::new(Hook::MmapFile, Reason::Untrusted, Shown::Path("unsigned/library"));

    fn event() -> Value {
        json!({"kind": "event", "pid": 7, "hook": "mmap_file", "reason": "untrusted", "denied": true, "path": "/x/unsigned/library.so"})
    }

    #[test]
    fn only_the_event_of_that_process_hook_reason_and_file_counts() {
        assert!(is(&event(), &TRACE, 7, true));
        assert!(!is(&event(), &TRACE, 8, true), "another process");
        assert!(!is(&event(), &TRACE, 7, false), "only reported");
        for (field, other) in [("hook", json!("file_mprotect")), ("reason", json!("expired")), ("path", json!(null)), ("kind", json!("lost"))] {
            let mut event = event();
            event[field] = other;
            assert!(!is(&event, &TRACE, 7, true), "another {field}");
        }
    }

    #[test]
    fn memory_without_a_file_has_no_path() {
        let trace = Trace::new(Hook::MmapFile, Reason::Untrusted, Shown::Nothing);
        assert!(!is(&event(), &trace, 7, true));
    }
}
