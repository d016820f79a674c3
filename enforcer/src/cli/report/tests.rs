//! The report as it stands on a terminal of 80 columns.

use super::*;
use crate::cli::output::hold;
use crate::inventory::Manager;
use crate::report::Owner;
use crate::report::tests::{gathered, record};
use crate::text::Written;

fn shown(report: &Report, by: By, all: bool) -> String {
    let written = Written::default();
    let mut output = Output::to(written.clone(), Some(80));
    Text { report, by, all }.show(&mut output).unwrap();
    output.flush().unwrap();
    written.text()
}

/// Some of everything, as a week of audit mode may bring it.
fn week() -> Report {
    let event = |time: &str, reason: &str, path: Option<&str>, comm: &str, cgroup: &str| {
        let mut event = record(time, reason, path);
        event.comm = comm.to_owned();
        event.cgroup = Some(cgroup.to_owned());
        event
    };
    let (web, cron) = ("/system.slice/web.service", "/system.slice/cron.service");
    let user = "/user.slice/user-1000.slice/session-3.scope";
    let container = format!("/system.slice/docker-{}.scope", "0123456789abcdef".repeat(4));
    let mut expired = event("24T01:10:00", "untrusted", Some("/opt/vendor/agent"), "systemd", web);
    expired.rejection = Some("certificate-expired".to_owned());
    let mut events: Vec<_> =
        (0..9).map(|hour| event(&format!("2{hour}T02:00:00"), "untrusted", Some("/usr/local/bin/backup"), "cron", cron)).collect();
    events.extend([
        event("22T08:30:00", "untrusted", Some("/home/ann/a tool with a long name/bin/convert"), "bash", user),
        event("22T08:31:00", "untrusted", Some("/usr/bin/sed"), "bash", user),
        event("22T08:32:00", "untrusted", Some("/usr/bin/perl"), "bash", user),
        event("25T12:00:00", "untrusted", Some("/app/server"), "runc", &container),
        expired,
        event("26T12:00:00", "inline-code", Some("/usr/bin/dash"), "sh", cron),
        event("26T13:00:00", "anonymous-memory", None, "node", web),
        event("26T14:00:00", "open-for-writing", Some("/srv/it's; here"), "sh", cron),
    ]);
    let mut report = gathered(events);
    for finding in &mut report.findings {
        let package = |name: &str, modified| Some(Owner { name: name.to_owned(), manager: Manager::Debian, modified });
        match finding.subject.text().as_str() {
            "/usr/bin/sed" => finding.package = package("sed", false),
            "/usr/bin/perl" => (finding.package, finding.cause) = (package("perl-base", true), crate::report::Cause::Modified),
            "/opt/vendor/agent" => finding.state = State::Gone,
            _ => {}
        }
        finding.advise();
    }
    report
}

#[test]
fn a_week_by_cause_fits_eighty_columns() {
    hold("report/by-cause", |output| Text { report: &week(), by: By::Cause, all: false }.show(output));
}

#[test]
fn a_week_by_service_fits_eighty_columns() {
    hold("report/by-service", |output| Text { report: &week(), by: By::Service, all: false }.show(output));
}

/// A server whose software nobody packaged, with the names that such software has.
fn crowded() -> Report {
    let event = |number: usize, reason: &str, path: &str, comm: &str, cgroup: &str| {
        let mut event = record(&format!("2{}T0{}:30:00", number % 9, number % 10), reason, Some(path));
        (event.comm, event.cgroup) = (comm.to_owned(), Some(cgroup.to_owned()));
        event
    };
    let gateway = "/system.slice/payment-gateway-worker@production-eu-central-1.service";
    let container = format!("/system.slice/docker-{}.scope", "0123456789abcdef".repeat(4));
    let mut events = Vec::new();
    for number in 0..14 {
        let path =
            format!("/srv/payment-gateway/releases/2026-01-20T093000Z/node_modules/@vendor/native-bindings/build/Release/binding-{number}.node");
        events.extend(std::iter::repeat_n(event(number, "untrusted", &path, "node", gateway), 20_000 >> number));
    }
    events.push(event(3, "untrusted", "/usr/lib/x86_64-linux-gnu/a-library-that-everybody-loads.so.6.1", "python3", "/system.slice/cron.service"));
    events.push(event(4, "untrusted", "/usr/lib/x86_64-linux-gnu/a-library-that-everybody-loads.so.6.1", "node", &container));
    events.push(event(5, "untrusted", "/usr/lib/x86_64-linux-gnu/a-library-that-everybody-loads.so.6.1", "ruby", "/system.slice/web.service"));
    for number in 0..3 {
        let path = format!("/home/a-person-with-a-long-name/.cache/tool/python3.11/site-packages/package-{number}/__init__.py");
        events.push(event(number, "script-not-a-file", &path, "python3", "/user.slice/user-1000.slice/session-3.scope"));
    }
    gathered(events)
}

#[test]
fn many_long_paths_fit_eighty_columns_and_can_be_told_apart() {
    hold("report/crowded-by-cause", |output| Text { report: &crowded(), by: By::Cause, all: false }.show(output));
    hold("report/crowded-by-service", |output| Text { report: &crowded(), by: By::Service, all: false }.show(output));
}

#[test]
fn only_commands_are_wider_than_the_terminal_and_nothing_acts_on_it() {
    let mut events: Vec<_> =
        (0..60).map(|number| record("22T08:30:00", "untrusted", Some(&format!("/tmp/{}/{number}", "long".repeat(40))))).collect();
    let mut hostile = record("22T08:30:00", "untrusted", Some("/tmp/\x1b[2J\nx"));
    (hostile.comm, hostile.cgroup) = ("\x1b[31m".to_owned(), Some("/system.slice/\x1b]0;x\x07.service".to_owned()));
    events.push(hostile);
    for by in By::ALL {
        for all in [false, true] {
            let text = shown(&gathered(events.clone()), by, all);
            assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}");
            let wide = text.lines().find(|line| unicode_width::UnicodeWidthStr::width(*line) > 80 && !line.starts_with("  enforcer "));
            assert_eq!(wide, None);
        }
    }
}

#[test]
fn what_is_ready_says_so_and_what_is_empty_says_what_to_look_at() {
    let mut report = week();
    report.findings.iter_mut().for_each(|finding| finding.state = State::Runs);
    report.ready = true;
    let text = shown(&report, By::Cause, false);
    assert!(
        text.contains("Ready to enforce:") && !text.contains("EVENTS  LAST") && text.contains("Not listed (`--all` does): 9 files run by now."),
        "{text}"
    );
    let all = shown(&report, By::Cause, true);
    assert!(all.split_whitespace().collect::<Vec<_>>().join(" ").contains("/usr/bin/sed (of sed, runs by now)"), "{all}");
    let nothing = shown(&gathered([]), By::Cause, false);
    assert_eq!(nothing, "Nothing was reported. `enforcer status` tells whether the daemon is at work.\n");
}
