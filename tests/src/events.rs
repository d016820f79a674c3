//! The event log, as the daemon writes it: read from a mark on, searched with a bounded wait.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
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
pub struct Mark {
    /// The file that was the log, which is `events.jsonl.1` once the log was rotated; 0 for whichever is the log.
    inode: u64,
    length: u64,
}

impl Mark {
    /// The beginning of the log.
    pub const BEGINNING: Self = Self { inode: 0, length: 0 };

    /// The end of the log now.
    pub fn now() -> Self {
        Self::end_of(Path::new(LOG))
    }

    fn end_of(log: &Path) -> Self {
        log.metadata().map_or(Self::BEGINNING, |metadata| Self { inode: metadata.ino(), length: metadata.len() })
    }

    /// The events since the mark.
    pub fn events(self) -> Result<Vec<Value>> {
        self.events_in(Path::new(LOG))
    }

    /// What followed in the file that was marked, wherever that is now, and the whole of a newer one.
    fn events_in(self, log: &Path) -> Result<Vec<Value>> {
        let is_marked = |file: &File| -> Result<bool> { Ok(file.metadata()?.ino() == self.inode) };
        let current = open(log)?;
        let mut events = Vec::new();
        if !current.as_ref().map_or(Ok(false), is_marked)?
            && let Some(older) = open(&rotated(log))?
            && is_marked(&older)?
        {
            events = events_after(older, self.length)?;
        }
        if let Some(current) = current {
            let start = if is_marked(&current)? { self.length } else { 0 };
            events.extend(events_after(current, start)?);
        }
        Ok(events)
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

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(path.display().to_string()),
    }
}

/// Where the log is once it was rotated.
fn rotated(log: &Path) -> PathBuf {
    log.with_added_extension("1")
}

/// The events in a file from a place on, or all of them when the file has become shorter than that.
fn events_after(mut file: File, start: u64) -> Result<Vec<Value>> {
    let start = if file.metadata()?.len() < start { 0 } else { start };
    // From the byte before, because a line may have been half written when the mark was set: what counts begins after a line's end.
    file.seek(SeekFrom::Start(start.saturating_sub(1)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = if start == 0 { &text } else { text.find('\n').map_or("", |end| &text[end + 1..]) };
    // The last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).with_context(|| format!("a line of the log: {line}"))).collect()
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
    if event["kind"] == "lost" {
        return format!("{} lost: {}", event["count"], event["cause"]);
    }
    let part = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
    let denied = if event["denied"] == true { "denied" } else { "reported" };
    format!("{denied} {} {} {} by {} ({}), {}", part("hook"), part("reason"), part("path"), part("comm"), event["pid"], part("explanation"))
}

const LOG: &str = "/var/log/enforcer/events.jsonl";
const PATIENCE: Duration = Duration::from_secs(120);
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

    /// A log with rotations, and what is found after a mark.
    struct Log(tempfile::TempDir);

    impl Log {
        fn path(&self) -> PathBuf {
            self.0.path().join("events.jsonl")
        }

        fn write(&self, number: u32) {
            use std::io::Write as _;
            let mut file = File::options().create(true).append(true).open(self.path()).unwrap();
            writeln!(file, "{}", json!({ "pid": number })).unwrap();
        }

        fn rotate(&self) {
            std::fs::rename(self.path(), rotated(&self.path())).unwrap();
        }

        fn since(&self, mark: Mark) -> Vec<u64> {
            mark.events_in(&self.path()).unwrap().iter().filter_map(|event| event["pid"].as_u64()).collect()
        }
    }

    #[test]
    fn what_was_written_since_a_mark_is_found_whatever_became_of_the_file() {
        let log = Log(tempfile::tempdir().unwrap());
        let early = Mark::end_of(&log.path());
        assert!(log.since(early).is_empty(), "no log yet");
        log.write(1);
        let mark = Mark::end_of(&log.path());
        assert!(log.since(mark).is_empty());
        log.write(2);
        assert_eq!((log.since(early), log.since(mark)), (vec![1, 2], vec![2]));
        log.rotate();
        assert_eq!(log.since(mark), [2], "rotated, and not yet begun anew");
        log.write(3);
        assert_eq!(log.since(mark), [2, 3], "rotated");
        let newer = Mark::end_of(&log.path());
        log.write(4);
        assert_eq!((log.since(newer), log.since(Mark::BEGINNING)), (vec![4], vec![3, 4]), "an older half that was not marked");
    }

    #[test]
    fn a_log_that_was_cut_off_is_read_from_its_beginning() {
        let log = Log(tempfile::tempdir().unwrap());
        log.write(1);
        log.write(2);
        let mark = Mark::end_of(&log.path());
        File::create(log.path()).unwrap();
        log.write(3);
        assert_eq!(log.since(mark), [3]);
    }

    #[test]
    fn a_line_that_is_still_being_written_is_no_event() {
        let log = Log(tempfile::tempdir().unwrap());
        log.write(1);
        std::fs::write(log.path(), std::fs::read_to_string(log.path()).unwrap() + "{\"pid\":").unwrap();
        assert_eq!(log.since(Mark::BEGINNING), [1]);
    }
}
