//! Pictures as they are drawn on a terminal of 80 by 24, and on others.

use std::time::Duration;

use enforcer_common::{Event, Reason};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::audit::{BootTime, Daemon, Entry, Lost, Timestamp, tests};
use crate::cli::top::view::Order;

fn moment(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Something that happened so many seconds before half past nine.
fn record(seconds: u64, comm: &str, path: &str, cgroup: Option<&str>, reason: Reason, denied: bool) -> Record {
    let event = Event { time: (1000 - seconds) * 1_000_000_000, reason: reason as u32, denied: denied.into(), ..tests::event() };
    let event = event.by_process(4242, comm).about(path.as_bytes());
    let clock = BootTime::at(moment("2026-01-31T09:30:00Z"), 1_000_000_000_000);
    Record { cgroup: cgroup.map(str::to_owned), ..Record::at(&event, clock) }
}

fn status(allowed: u64, denied: u64) -> Status {
    Status {
        enforcing: true,
        mode: Some("enforce".to_owned()),
        bpf_lsm_active: true,
        daemon: Daemon { alive: true, pid: Some(812) },
        verdicts: 1200,
        max_verdicts: 262_144,
        allowed,
        denied,
        requests: allowed / 100,
        ..Status::nothing_in_force("6.12.0-amd64".to_owned(), Vec::new())
    }
}

/// Two looks, two seconds apart, and what happened before.
fn view(records: impl IntoIterator<Item = Record>) -> View {
    let mut view = View::new(Duration::from_secs(2), false);
    view.look(status(1000, 5), moment("2026-01-31T09:29:58Z"), None);
    records.into_iter().for_each(|record| view.note(Entry::Event(Box::new(record))));
    view.look(status(4000, 8), moment("2026-01-31T09:30:00Z"), Some(Duration::from_secs(2)));
    view
}

fn busy() -> View {
    let web = Some("/system.slice/web.service");
    view([
        record(300, "old", "/tmp/old", web, Reason::Untrusted, true),
        record(59, "bash", "/tmp/tool", web, Reason::Untrusted, true),
        record(20, "bash", "/srv/app/bin/helper", web, Reason::Untrusted, true),
        record(
            9,
            "python3",
            "/usr/lib/python3/dist-packages/a-module-with-a-name-that-is-too-long-for-a-line.so",
            None,
            Reason::ForeignFilesystem,
            false,
        ),
        record(1, "ev\x1b[2Jil\n", "/tmp/\x1b]0;title\x07\u{202e}x", Some("/user.slice/session-1.scope"), Reason::Untrusted, true),
    ])
}

/// As the terminal shows it.
fn drawn(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(view, false, frame.area(), frame.buffer_mut())).unwrap();
    let text = terminal.backend().to_string();
    text.lines().map(|line| line.trim_matches('"').trim_end()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_busy_machine_fits_80_by_24() {
    crate::snapshot::terminal("top/busy", &(drawn(&busy(), 80, 24) + "\n"));
}

#[test]
fn the_text_is_what_the_terminal_shows() {
    assert_eq!(text(&busy(), 80, 24).join("\n"), drawn(&busy(), 80, 24));
}

#[test]
fn a_quiet_machine_says_so() {
    let picture = drawn(&view([]), 80, 24);
    assert!(picture.contains("All is well.") && picture.contains("NEWEST EVENTS\nnone\n"), "{picture}");
}

#[test]
fn what_is_missing_or_unreadable_in_the_log_is_told_first() {
    let mut view = busy();
    view.note(Entry::Lost(Lost { time: moment("2026-01-31T09:29:59Z"), count: u64::MAX, cause: "x".to_owned() }));
    view.note(Entry::Lost(Lost { time: moment("2026-01-31T09:29:59Z"), count: 1, cause: "x".to_owned() }));
    view.note_unreadable();
    let picture = drawn(&view, 80, 24);
    assert!(picture.lines().nth(1).unwrap().starts_with("(1 of 2, see `enforcer status`) 18446744073709551615 events"), "{picture}");
}

#[test]
fn only_what_was_stopped_is_shown_when_that_was_asked_for() {
    let mut view = busy();
    view.denied_only = true;
    let picture = drawn(&view, 80, 24);
    assert!(picture.contains("NEWEST DENIALS") && !picture.contains("python3") && picture.contains("d all events"), "{picture}");
}

#[test]
fn groups_are_sorted_as_asked_for_and_older_events_are_not_counted() {
    let mut view = busy();
    let names = |view: &View| view.groups(By::Program).into_iter().map(|group| group.name).collect::<Vec<_>>();
    assert_eq!(names(&view), ["bash", "ev\x1b[2Jil\n", "python3"]);
    view.order = Order::Name;
    view.denied_only = true;
    assert_eq!(names(&view), ["bash", "ev\x1b[2Jil\n"]);
    assert_eq!(view.groups(By::Reason), [Group { name: "untrusted".to_owned(), events: 3, denied: 3 }]);
}

#[test]
fn nothing_from_outside_reaches_the_terminal_as_it_is() {
    for (width, height) in [(80, 24), (300, 60), (20, 10)] {
        let picture = drawn(&busy(), width, height);
        assert!(!picture.contains(['\x1b', '\x07', '\u{202e}', '\r']), "{picture:?}");
    }
}

#[test]
fn every_size_of_a_terminal_is_drawn_within_it() {
    for (width, height) in (0..90).step_by(7).flat_map(|width| (0..30).step_by(3).map(move |height| (width, height))) {
        let lines = text(&busy(), width, height);
        assert!(lines.len() == height && lines.iter().all(|line| line.width() <= width), "{width} by {height}: {lines:#?}");
    }
}

#[test]
fn a_small_terminal_keeps_state_newest_events_and_keys() {
    let picture = drawn(&busy(), 60, 14);
    assert!(picture.starts_with("enforcing: ") && picture.contains("PROGRAM") && !picture.contains("SERVICE"), "{picture}");
    assert!(picture.contains("NEWEST EVENTS\n09:29:59Z  denied") && picture.lines().last().unwrap().starts_with("q quit"), "{picture}");
}

#[test]
fn rates_survive_programs_that_were_loaded_anew() {
    let mut view = view([]);
    view.look(status(3, 0), moment("2026-01-31T09:30:02Z"), Some(Duration::from_secs(2)));
    assert_eq!(view.rates.allowed, 0.0);
    view.look(status(u64::MAX, 0), moment("2026-01-31T09:30:04Z"), Some(Duration::from_millis(1)));
    assert!(drawn(&view, 80, 24).lines().all(|line| line.width() <= 80));
}
