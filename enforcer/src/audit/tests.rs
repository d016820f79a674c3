//! Events become records, records become lines, and the log loses nothing in silence.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use enforcer_common::{COMM_SIZE, Digest, Event, Hook, Mode, PATH_SIZE, Reason};

use super::*;

pub(crate) fn event() -> Event {
    Event {
        time: 40_000_000_000,
        cgroup: 4242,
        inode: 77,
        size: 4096,
        device: (8 << 20) | 1,
        tid: 1235,
        parent_pid: 1,
        uid: 1000,
        digest: Digest::sha256([0xab; 32]),
        ..Event::new(Hook::BprmCheckSecurity, Reason::Untrusted).denied().by_process(1234, "bash").about(b"/tmp/tool")
    }
}

pub(crate) fn record(event: &Event) -> Record {
    Record::at(event, BootTime::at(Timestamp::parse("2026-01-31T09:30:10Z").unwrap(), 50_000_000_000))
}

#[test]
fn an_event_becomes_a_record_with_everything_in_it() {
    let json = serde_json::to_value(record(&event())).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "id": "8fd961d99e0ef6da",
            "time": "2026-01-31T09:30:00.000000Z",
            "denied": true,
            "mode": "enforce",
            "hook": "bprm_check_security",
            "reason": "untrusted",
            "path": "/tmp/tool",
            "path_kind": "full",
            "digest": format!("sha256:{}", "ab".repeat(32)),
            "device": "8:1",
            "inode": 77,
            "size": 4096,
            "comm": "bash",
            "pid": 1234,
            "tid": 1235,
            "parent_pid": 1,
            "uid": 1000,
            "cgroup_id": 4242,
            "cgroup": null,
            "remedy": "Run `enforcer verify /tmp/tool` to see why; then sign it with `enforcer sign` on the signing machine, \
                       or list it in a signed manifest.",
        })
    );
    assert_eq!(record(&event()).line(), "denied start of /tmp/tool: untrusted (bash, pid 1234, uid 1000)");
}

#[test]
fn records_read_back_as_they_were_written() {
    for mut event in [event(), hostile_event()] {
        event.detail = -5;
        let mut record = record(&event);
        record.explanation = Some("the certificate has expired".to_owned());
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }
}

#[test]
fn an_event_keeps_its_name_and_no_other_has_it() {
    let first = record(&event());
    let named = |change: fn(&mut Event)| {
        let mut event = event();
        change(&mut event);
        record(&event).id
    };
    assert_eq!(named(|_| ()), first.id);
    assert_ne!(named(|event| event.time += 1000), first.id);
    assert_ne!(named(|event| event.tid += 1), first.id);
    assert_ne!(named(|event| event.hook = Hook::MmapFile as u32), first.id);
    // What an older version wrote has no name, and is called by the same one.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut line = serde_json::to_value(Entry::Event(Box::new(first.clone()))).unwrap();
    line.as_object_mut().unwrap().remove("id");
    fs::write(&path, format!("{line}\n")).unwrap();
    assert_eq!(read_all(&path), [Next::Entry(Entry::Event(Box::new(first)))]);
}

#[test]
fn digest_and_path_of_a_record_are_those_of_the_event() {
    assert_eq!(record(&event()).content(), Some(Digest::sha256([0xab; 32])));
    assert_eq!(record(&event()).path_as_it_is().as_deref(), Some(Path::new("/tmp/tool")));
    let mut sealed = event();
    sealed.digest = Digest::fsverity_sha256([7; 32]);
    sealed = sealed.about(b"/tmp/\xff");
    assert_eq!(record(&sealed).content(), Some(Digest::fsverity_sha256([7; 32])));
    assert_eq!(record(&sealed).path_as_it_is().unwrap().as_os_str().as_encoded_bytes(), b"/tmp/\xff");
    assert_eq!(record(&hostile_event()).content(), None);
}

/// Every field as far from sense as a broken or newer kernel side could bring it.
fn hostile_event() -> Event {
    let mut event = event();
    (event.time, event.device, event.detail) = (u64::MAX, u32::MAX, i32::MIN);
    (event.hook, event.reason, event.mode, event.denied, event.path_kind) = (99, 1000, 0, 7, u32::MAX);
    event.digest = Digest { algorithm: 9, bytes: [0xff; 32] };
    event.comm = [0x1b; COMM_SIZE];
    event.path = [0xff; PATH_SIZE];
    event
}

#[test]
fn numbers_without_a_name_and_bytes_without_an_end_are_kept_as_they_are() {
    let record = record(&hostile_event());
    assert_eq!(record.hook, Code::Unknown(99));
    assert_eq!(record.reason.to_string(), "unknown(1000)");
    assert_eq!(record.device.as_deref(), Some("4095:1048575"));
    assert!(record.digest.as_ref().unwrap().starts_with("unknown(9):ff"));
    assert_eq!(record.path_bytes, Some("ff".repeat(PATH_SIZE)));
    assert!(record.remedy.starts_with("Update `enforcer`"));
    assert!(!record.line().contains('\x1b'), "{}", record.line());
}

#[test]
fn every_reason_has_a_meaning_and_a_remedy_in_one_sentence() {
    for reason in Reason::ALL {
        let mut event = event();
        event.reason = *reason as u32;
        for text in [explain(*reason).to_owned(), record(&event).remedy] {
            assert!(text.ends_with('.') && text.len() > 30 && !text.contains('\n'), "{reason:?}: {text}");
        }
    }
}

#[test]
fn names_cannot_act_on_the_terminal_or_on_the_shell_of_whoever_pastes_the_remedy() {
    for path in ["/tmp/\x1b]0;owned\x07", "/tmp/a;reboot", "/tmp/$(reboot)", "/tmp/a b", "/tmp/a\nenforcer stop --release", "-rf", "/tmp/\u{202e}x"] {
        let mut event = event();
        event = event.about(path.as_bytes());
        let record = record(&event);
        let (_, command) = record.remedy.split_once('`').unwrap();
        let (command, _) = command.rsplit_once("` to see why").unwrap();
        let words = shlex::split(command).unwrap();
        assert!(words[..2] == ["enforcer", "verify"] && words.len() == 3 && (words[2] == "FILE" || words[2] == path), "{}", record.remedy);
        assert!(words[2] == "FILE" || command.ends_with(&format!("'{path}'")), "{}", record.remedy);
        let shown = format!("{}{:?}", record.line(), record.details().iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>());
        assert!(!record.line().chars().any(char::is_control) && !shown.contains('\u{202e}'), "{shown}");
    }
}

#[test]
fn memory_without_a_file_is_told_without_one() {
    let mut event = event();
    (event.inode, event.path_kind, event.hook, event.reason) = (0, 0, Hook::FileMprotect as u32, Reason::MadeExecutable as u32);
    event.digest = Digest::NONE;
    (event.denied, event.mode) = (0, Mode::Audit as u32);
    let record = record(&event);
    assert_eq!((&record.path, &record.device, record.inode, &record.digest), (&None, &None, None, &None));
    assert_eq!(record.line(), "would deny making memory executable: made-executable (bash, pid 1234, uid 1000)");
}

#[test]
fn the_log_is_private_and_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log/events.jsonl");
    let mut log = EventLog::open(&path, LogLimits::default());
    log.append(&record(&event()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(read_all(&path), [Next::Entry(Entry::Event(Box::new(record(&event()))))]);
}

#[test]
fn a_log_never_grows_beyond_its_bound_and_says_what_it_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let limits = LogLimits { max_bytes: 10_000 };
    let mut log = EventLog::open(&path, limits);
    let total = 200;
    for number in 0..total {
        log.append(&numbered(number));
        let size: u64 = [path.clone(), log::rotated(&path)].iter().filter_map(|part| fs::metadata(part).ok()).map(|part| part.len()).sum();
        assert!(size <= 2 * limits.max_bytes);
    }
    assert_eq!(log.counters().written, u64::from(total));
    let (mut kept, mut last_kept) = (0, None);
    for next in read_all(&path) {
        match next {
            Next::Entry(Entry::Event(record)) => (kept, last_kept) = (kept + 1, Some(record.pid)),
            Next::Entry(Entry::Lost(lost)) => assert!(lost.count > 0),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(last_kept, Some(total - 1));
    assert!(kept > 10 && kept + log.counters().rotated_away >= u64::from(total), "{kept} {:?}", log.counters());
}

#[test]
fn a_torn_last_line_costs_itself_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    EventLog::open(&path, LogLimits::default()).append(&numbered(1));
    let mut text = fs::read(&path).unwrap();
    let whole = text.len();
    text.extend_from_within(..whole / 2);
    fs::write(&path, &text).unwrap();
    assert_eq!(pids(&read_all(&path)), [1], "a reader does not wait for the rest");

    EventLog::open(&path, LogLimits::default()).append(&numbered(2));
    let entries = read_all(&path);
    assert_eq!(pids(&entries), [1, 2]);
    assert!(entries.contains(&Next::Unreadable));
}

#[test]
fn what_cannot_be_written_is_counted_and_noted_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    fs::create_dir(&path).unwrap();
    let mut log = EventLog::open(&path, LogLimits::default());
    log.append(&numbered(1));
    log.append(&numbered(2));
    assert_eq!((log.counters().written, log.counters().unwritten), (0, 2));

    fs::remove_dir(&path).unwrap();
    log.append(&numbered(3));
    log.append(&numbered(4));
    let entries = read_all(&path);
    assert!(matches!(&entries[0], Next::Entry(Entry::Lost(Lost { count: 2, cause, .. })) if cause.contains("directory")), "{entries:?}");
    assert_eq!(pids(&entries), [3, 4]);
}

#[test]
fn a_log_that_somebody_moved_or_removed_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::open(&path, LogLimits::default());
    log.append(&numbered(1));
    fs::rename(&path, folder.path().join("archive")).unwrap();
    log.append(&numbered(2));
    assert_eq!(pids(&read_all(&path)), [2]);
    fs::remove_file(&path).unwrap();
    log.append(&numbered(3));
    assert_eq!(pids(&read_all(&path)), [3]);
}

#[test]
fn a_link_or_fifo_in_the_logs_place_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join("events.jsonl"), folder.path().join("target"));
    fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let mut log = EventLog::open(&path, LogLimits::default());
    log.append(&numbered(1));
    assert_eq!((log.counters().unwritten, fs::read(&target).unwrap().len()), (1, 0));
}

#[test]
fn a_follower_sees_every_event_through_rotations() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::open(&path, LogLimits { max_bytes: 5_000 });
    log.append(&numbered(0));
    let mut reader = EventReader::open(&path).unwrap();
    let mut seen = Vec::new();
    for number in 1..100 {
        log.append(&numbered(number));
        // Less often than the log is rotated once, more often than twice.
        if number % 8 == 0 {
            seen.extend(pids(&drain(&mut reader)));
        }
    }
    seen.extend(pids(&drain(&mut reader)));
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_follower_waits_for_the_end_of_a_line_and_notices_an_emptied_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let line = format!("{}\n", serde_json::to_string(&Entry::Event(Box::new(numbered(5)))).unwrap());
    fs::write(&path, &line[..100]).unwrap();
    let mut reader = EventReader::open(&path).unwrap();
    assert_eq!(drain(&mut reader), []);
    fs::write(&path, format!("{line}{line}")).unwrap();
    assert_eq!(pids(&drain(&mut reader)), [5, 5]);
    fs::write(&path, &line).unwrap();
    assert_eq!(pids(&drain(&mut reader)), [5]);
}

#[test]
fn a_reader_goes_on_behind_a_place_whatever_the_file_is_called_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::open(&path, LogLimits::default());
    (0..3).for_each(|number| log.append(&numbered(number)));
    let mut reader = EventReader::open(&path).unwrap();
    reader.read().unwrap();
    let place = reader.place().unwrap();
    let behind = |place: &Place| {
        let (mut reader, found) = EventReader::open_behind(&path, place).unwrap();
        (pids(&drain(&mut reader)), found)
    };
    assert_eq!(behind(&place), (vec![1, 2], true));
    fs::rename(&path, log::rotated(&path)).unwrap();
    log.append(&numbered(3));
    assert_eq!(behind(&place), (vec![1, 2, 3], true));
    // A line that is being written is not behind anybody yet.
    let end = {
        reader.read().unwrap();
        drain(&mut reader);
        reader.place().unwrap()
    };
    assert_eq!(behind(&end), (vec![], true));
    fs::remove_file(log::rotated(&path)).unwrap();
    assert_eq!(behind(&place), (vec![3], false), "another file, with more bytes than the place has before it");
    fs::write(&path, "").unwrap();
    assert_eq!(behind(&end), (vec![], false), "emptied");
    for offset in [u64::MAX, 1] {
        assert!(!EventReader::open_behind(&path, &Place { offset, head_sha256: String::new() }).unwrap().1);
    }
}

#[test]
fn lines_that_are_no_entries_and_lines_without_end_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let line = serde_json::to_string(&Entry::Event(Box::new(numbered(5)))).unwrap();
    let endless = "x".repeat(300_000);
    fs::write(&path, format!("{endless}\n\n{{}}\n\u{0}\n{line}\n")).unwrap();
    let entries = read_all(&path);
    assert_eq!(pids(&entries), [5]);
    assert_eq!(entries.len(), 5);
    let nested = format!("{{\"kind\":\"event\",\"time\":{}", "[".repeat(60_000));
    fs::write(&path, format!("{nested}\n{line}\n")).unwrap();
    assert_eq!(pids(&read_all(&path)), [5]);
}

fn numbered(number: u32) -> Record {
    let mut event = event();
    event.pid = number;
    record(&event)
}

fn read_all(path: &Path) -> Vec<Next> {
    drain(&mut EventReader::open(path).unwrap())
}

fn drain(reader: &mut EventReader) -> Vec<Next> {
    let mut all = Vec::new();
    loop {
        match reader.read().unwrap() {
            Next::End => return all,
            next => all.push(next),
        }
    }
}

fn pids(entries: &[Next]) -> Vec<u32> {
    let pid = |next: &Next| match next {
        Next::Entry(Entry::Event(record)) => Some(record.pid),
        _ => None,
    };
    entries.iter().filter_map(pid).collect()
}
