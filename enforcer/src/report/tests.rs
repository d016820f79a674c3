//! Events become findings in bounded memory, findings become sections and a page, and nothing from a log acts on whoever reads it.

use std::collections::BTreeMap;
use std::fs;

use enforcer_common::Reason;
use html5gum::{Token, Tokenizer};

use super::gather::{Bounds, Gathering};
use super::*;
use crate::audit::{Code, EventReader, Lost, Record};

/// An event of a program in a service, in audit mode.
pub(crate) fn record(time: &str, reason: &str, path: Option<&str>) -> Record {
    let json = serde_json::json!({
        "time": format!("2026-01-{time}Z"), "denied": false, "mode": "audit", "hook": "bprm_check_security", "reason": reason, "path": path,
        "path_kind": if path.is_some() { "full" } else { "none" }, "digest": path.map(|_| format!("sha256:{}", "ab".repeat(32))), "comm": "bash",
        "pid": 7, "tid": 7, "parent_pid": 1, "uid": 0, "cgroup_id": 1, "cgroup": "/system.slice/web.service", "remedy": ""
    });
    serde_json::from_value(json).unwrap()
}

/// What these events come to.
pub(crate) fn gathered(records: impl IntoIterator<Item = Record>) -> Report {
    let mut gathering = Gathering::new(None, Bounds::default());
    records.into_iter().for_each(|record| gathering.add(record));
    gathering.finish()
}

fn lost(count: u64, cause: &str) -> Lost {
    Lost { time: Timestamp::parse("2026-01-02T00:00:00Z").unwrap(), count, cause: cause.to_owned() }
}

#[test]
fn every_reason_and_every_rejection_has_a_cause() {
    for reason in Reason::ALL {
        let cause = Cause::of(Code::Known(*reason), None);
        assert_eq!(cause == Cause::Fault, *reason == Reason::Fault, "{reason:?}");
        assert!(Cause::ALL.contains(&cause));
    }
    let untrusted = |code| Cause::of(Code::Known(Reason::Untrusted), code);
    assert_eq!(untrusted(None), Cause::Unsigned);
    assert_eq!(untrusted(Some("unknown-issuer")), Cause::UnknownSigner);
    assert_eq!(untrusted(Some("digest-mismatch")), Cause::Modified);
    assert_eq!(untrusted(Some("certificate-expired")), Cause::Expired);
    assert_eq!(untrusted(Some("rollback")), Cause::Revoked);
    assert_eq!(untrusted(Some("of a newer version")), Cause::BadSignature);
    assert_eq!(Cause::of(Code::Unknown(999), None), Cause::Fault);
    let mut order = Cause::ALL;
    order.sort();
    assert_eq!(order, Cause::ALL, "they are shown in this order");
}

#[test]
fn what_happens_often_is_one_finding_with_its_first_and_last_time() {
    let mut denied = record("03T09:00:00", "untrusted", Some("/opt/tool"));
    (denied.denied, denied.mode) = (true, Code::Known(enforcer_common::Mode::Enforce));
    let mut let_through = record("01T09:00:00", "untrusted", Some("/opt/tool"));
    (let_through.mode, let_through.comm, let_through.uid) = (Code::Known(enforcer_common::Mode::Enforce), "cron".to_owned(), 1000);
    let report = gathered([record("02T09:00:00", "untrusted", Some("/opt/tool")), denied, let_through, record("02T10:00:00", "inline-code", None)]);
    assert_eq!((report.tally.events, report.findings.len()), (4, 2));
    let finding = &report.findings[0];
    let Tally { events, denied, would_be_denied, let_through, first, last } = finding.tally.clone();
    assert_eq!((events, denied, would_be_denied, let_through), (3, 1, 1, 1));
    assert_eq!((first, last), (Timestamp::parse("2026-01-01T09:00:00Z"), Timestamp::parse("2026-01-03T09:00:00Z")), "in whatever order");
    assert_eq!(finding.programs.iter().collect::<Vec<_>>(), ["bash", "cron"]);
    let by_program: Vec<_> = report.sections(By::Program).into_iter().map(|section| (section.title, section.tally.events)).collect();
    assert_eq!(by_program, [("bash".to_owned(), 3), ("cron".to_owned(), 1)]);
    let by_cause: Vec<_> = report.sections(By::Cause).into_iter().map(|section| section.cause.unwrap()).collect();
    assert_eq!(by_cause, [Cause::Unsigned, Cause::Script]);
    assert_eq!(report.findings[1].subject, Subject::Process("bash".to_owned()));
}

#[test]
fn a_report_takes_bounded_memory_and_counts_what_it_does_not_keep() {
    let bounds = Bounds { findings: 10, uses: 15, losses: 3 };
    let mut gathering = Gathering::new(None, bounds);
    for number in 0..1000 {
        let mut record = record("02T09:00:00", "untrusted", Some(&format!("/tmp/{}", number % 20)));
        record.comm = format!("program-{number}");
        record.cgroup = Some(format!("/system.slice/{number}.service"));
        gathering.add(record);
        gathering.lose(lost(1, &format!("cause {number}")));
    }
    gathering.lose(lost(u64::MAX, "cause 0"));
    let report = gathering.finish();
    assert_eq!((report.tally.events, report.findings.len(), report.beyond), (1000, 10, 500));
    assert!(report.uses.len() <= bounds.uses + bounds.findings, "{}", report.uses.len());
    assert_eq!(report.uses.iter().map(|one| one.tally.events).sum::<u64>(), 500, "none is lost");
    assert!(report.findings.iter().all(|finding| finding.programs.len() <= finding::MOST_NAMES && finding.services.len() <= finding::MOST_NAMES));
    assert!(report.lost.len() <= bounds.losses + 1);
    assert!(report.missing() == u64::MAX && !report.ready);
}

#[test]
fn events_before_the_time_do_not_count_and_lines_that_are_none_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let line = |time: &str| serde_json::to_string(&crate::audit::Entry::Event(Box::new(record(time, "untrusted", Some("/opt/tool"))))).unwrap();
    fs::write(&path, format!("{}\n{}\ngarbage\n\n", line("01T00:00:00"), line("03T00:00:00"))).unwrap();
    let report = gather(&mut EventReader::open(&path).unwrap(), Timestamp::parse("2026-01-02T00:00:00Z")).unwrap();
    assert_eq!((report.tally.events, report.unreadable), (1, 2));
    fs::write(&path, "").unwrap();
    let report = gather(&mut EventReader::open(&path).unwrap(), None).unwrap();
    assert!(report.findings.is_empty() && report.tally.first.is_none() && report.sections(By::Cause).is_empty());
}

#[test]
fn files_are_told_by_what_they_are_now() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().canonicalize().unwrap().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let of = |path: &str, content: &str| {
        let mut record = record("02T09:00:00", "untrusted", Some(path));
        record.digest = Some(format!("sha256:{}", crate::text::hex(&crate::text::sha256(content.as_bytes()))));
        record
    };
    let (same, changed) = (file("same", "one"), file("changed", "two"));
    let gone = folder.path().join("gone").to_str().unwrap().to_owned();
    let folder_itself = folder.path().canonicalize().unwrap().to_str().unwrap().to_owned();
    let mut elsewhere = of(&same, "in an image");
    elsewhere.cgroup = Some(format!("/docker/{}", "ab".repeat(32)));
    elsewhere.path = Some("/app/server".to_owned());
    // One that ended before its control group was read, and one that was used on the host as well, where it is another file by now.
    let mut unknown = elsewhere.clone();
    unknown.cgroup = None;
    let in_both = file("in-both", "two");
    let here = of(&in_both, "one");
    let mut there = here.clone();
    there.cgroup = elsewhere.cgroup.clone();
    let events = [of(&same, "one"), of(&changed, "one"), of(&gone, "one"), of(&folder_itself, "one"), elsewhere, unknown, here, there];
    let mut report = gathered(events);
    Survey { appraiser: None, most: Survey::MOST }.look(&mut report, &|_| {});
    let state = |path: &str| report.findings.iter().find(|finding| finding.subject.text() == path).unwrap();
    assert_eq!(state(&same).state, State::Unchanged);
    assert_eq!(state(&changed).state, State::Changed);
    assert_eq!(state(&gone).state, State::Gone);
    assert!(matches!(state(&folder_itself).state, State::Unreadable(_)));
    assert_eq!(state("/app/server").state, State::Unknown, "its path is another file's here");
    assert!(state(&in_both).state == State::Unknown && state(&in_both).is_open(), "the container's is as it was");
    assert!(!state(&gone).is_open() && state(&gone).command.is_none());
    let learn = format!("enforcer learn --include {same} --output-unknown reviewed.manifest");
    assert_eq!(state(&same).command.as_deref(), Some(learn.as_str()));
    assert!(!report.ready);
}

#[test]
fn commands_are_quoted_for_a_shell_and_left_out_where_that_is_impossible() {
    let report = gathered([record("02T09:00:00", "open-for-writing", Some("/opt/a b;reboot"))]);
    assert_eq!(report.findings[0].command.as_deref(), Some("fuser -v '/opt/a b;reboot'"));
    for path in ["/opt/a\nreboot", "/opt/\x1b[2J", "/opt/\u{202e}x"] {
        let report = gathered([record("02T09:00:00", "open-for-writing", Some(path))]);
        assert_eq!(report.findings[0].command, None, "{path:?}");
    }
}

#[test]
fn a_path_that_is_no_text_is_kept_byte_by_byte() {
    use std::os::unix::ffi::OsStrExt as _;
    let mut odd = record("02T09:00:00", "untrusted", Some("/opt/\u{fffd}"));
    odd.path_bytes = Some("2f6f70742fff".to_owned());
    let report = gathered([odd.clone()]);
    let Subject::File(path) = &report.findings[0].subject else { panic!() };
    assert_eq!(path.as_os_str().as_bytes(), b"/opt/\xff");
    assert_eq!(report.findings[0].command, None);
    for hostile in ["zz", "2f0", "2f00", ""] {
        odd.path_bytes = Some(hostile.to_owned());
        assert_eq!(gathered([odd.clone()]).findings[0].subject.text(), "/opt/\u{fffd}");
    }
}

/// A report with everything that somebody could put into a log to get at whoever reads the page.
fn hostile() -> Report {
    let attacks = ["</code><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "\x1b[2J\n\u{202e}", "&lt;b&gt;", "'--!><!--"];
    let event = |attack: &str| {
        let mut event = record("02T09:00:00", "untrusted", Some(&format!("/tmp/{attack}")));
        event.comm = attack.to_owned();
        event.cgroup = Some(format!("/system.slice/{attack}.service"));
        event.digest = Some(attack.to_owned());
        event.explanation = Some(attack.to_owned());
        event.rejection = Some(attack.to_owned());
        event
    };
    let mut gathering = Gathering::new(None, Bounds::default());
    for attack in attacks {
        gathering.add(event(attack));
        gathering.lose(lost(1, attack));
    }
    gathering.add(record("02T09:00:00", "anonymous-memory", None));
    gathering.add(record("02T09:00:00", "unknown(4000000000)", None));
    let mut report = gathering.finish();
    Survey { appraiser: None, most: 0 }.look(&mut report, &|_| {});
    report.findings[0].package = Some(Owner { name: attacks[0].to_owned(), manager: crate::inventory::Manager::Debian, modified: true });
    report.findings[0].state = State::Unreadable(attacks[1].to_owned());
    report
}

#[test]
fn the_page_is_well_formed_and_nothing_from_a_log_becomes_markup() {
    let html = page(&hostile());
    let mut open = Vec::new();
    let mut counts = BTreeMap::<String, usize>::new();
    for token in Tokenizer::new(html.as_str()).flatten() {
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8(tag.name.to_vec()).unwrap();
                *counts.entry(name.clone()).or_default() += 1;
                for (attribute, value) in &tag.attributes {
                    let attribute = String::from_utf8(attribute.to_vec()).unwrap();
                    assert!(
                        !attribute.starts_with("on") && !["src", "href", "style", "action"].contains(&attribute.as_str()),
                        "{attribute}={value:?}"
                    );
                }
                if !["meta", "br", "input"].contains(&name.as_str()) && !tag.self_closing {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => assert_eq!(open.pop().map(String::into_bytes).as_deref(), Some(&tag.name[..]), "{open:?}"),
            Token::Error(error) => panic!("{error:?}"),
            Token::Comment(comment) => panic!("{comment:?}"),
            Token::String(text) => assert!(!text.contains(&0x1b)),
            Token::Doctype(_) => {}
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert_eq!((counts["script"], counts["style"], counts.get("img")), (1, 1, None));
    assert!(!html.chars().any(|letter| letter == '\u{202e}' || letter.is_control() && letter != '\n'));
    assert_eq!(html.matches("&lt;/code&gt;&lt;script&gt;").count(), html.matches("alert(1)&lt;/script&gt;").count());
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("url("));
}

#[test]
fn the_page_allows_itself_its_own_style_and_script_and_nothing_else() {
    let html = page(&hostile());
    let between = |from: &str, to: &str| html.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let policy = between("Content-Security-Policy\" content=\"", "\"");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    for (directive, text) in [("style-src", between("<style>", "</style>")), ("script-src", between("<script>", "</script>"))] {
        let digest = <base64ct::Base64 as base64ct::Encoding>::encode_string(&crate::text::sha256(text.as_bytes()));
        assert!(policy.contains(&format!("{directive} 'sha256-{digest}'")), "{policy}");
    }
}

#[test]
fn the_page_is_complete_without_its_script_and_says_so_of_what_is_cut_off() {
    let html = page(&gathered((0..5010).map(|number| record("02T09:00:00", "untrusted", Some(&format!("/opt/tool-{number}"))))));
    assert!(html.contains("10 more, the rarest, are in"));
    let (_, findings) = html.split_once("id=\"findings\"").unwrap();
    assert_eq!(findings.matches("<th scope=\"row\">").count(), 5000);
    assert!(html.contains("<p class=\"search\" hidden>"), "a search that does nothing is not shown");
    let empty = page(&gathered([]));
    assert!(empty.contains("Nothing was reported.") && !empty.contains("<table"));
}
