//! The command line as a user meets it: texts, streams and exit statuses.
#![allow(missing_docs)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use enforcer::audit::{BootTime, EventLog, LogLimits, Record};
use enforcer_common::{Event, Hook, Reason};

#[test]
fn help_and_version_go_to_stdout_and_end_well() {
    for words in [&["--help"][..], &["--version"], &["doctor", "--help"], &["events", "-h"], &["policy", "check", "--help"]] {
        let output = enforcer(words);
        assert_eq!(status(&output), 0, "{words:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{words:?}");
    }
}

#[test]
fn help_shows_examples_and_every_exit_status() {
    let help = text(&enforcer(&["--help"]).stdout);
    assert!(help.contains("Examples:"), "{help}");
    for exit in enforcer::cli::Exit::ALL {
        assert!(help.contains(&format!("  {}  {}", exit as u8, exit.meaning())), "{help}");
    }
}

#[test]
fn what_is_not_understood_ends_with_2_and_a_hint_on_stderr() {
    for words in [&["--no-such-flag"][..], &["polcy"], &[], &["policy"], &["events", "--since", "yesterday"], &["events", "--reason", "untrustd"]] {
        let output = enforcer(words);
        assert_eq!(status(&output), 2, "{words:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{words:?}");
    }
    assert!(text(&enforcer(&["polcy"]).stderr).contains("'policy'"));
    assert!(text(&enforcer(&["events", "--reason", "untrustd"]).stderr).contains("'untrusted'"));
}

#[test]
fn top_without_a_terminal_names_what_needs_none() {
    let output = enforcer(&["top"]);
    assert_eq!(status(&output), 2);
    assert!(output.stdout.is_empty());
    for expected in ["`enforcer top --once`", "`enforcer status`", "`enforcer events --follow`"] {
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    let output = enforcer(&["top", "--once", "--log", "/nonexistent/events.jsonl"]);
    assert_eq!(status(&output), 3);
    assert!(text(&output.stderr).contains("there is no event log") && text(&output.stderr).contains("hint: "), "{}", text(&output.stderr));
    for interval in ["0", "-1", "1e9", "NaN", "often"] {
        assert_eq!(status(&enforcer(&["top", "--once", &format!("--interval={interval}")])), 2, "{interval}");
    }
}

#[test]
fn a_misspelt_key_in_a_policy_is_shown_with_line_column_caret_and_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let file = policy(folder.path(), "version = 1\nmode = \"audit\"\n[limits]\nmax-wating = 3\n");
    let output = enforcer(&["policy", "check", &file]);
    assert_eq!(status(&output), 2);
    assert!(output.stdout.is_empty());
    let expected = format!(
        "error: {file}:4:1: unknown key `max-wating`\n  |\n4 | max-wating = 3\n  | ^^^^^^^^^^ did you mean `max-waiting`?\n  = allowed here: \
         `max-file-size`, `max-verdicts`, `first-use-deadline-ms`, `first-use-deadline-per-mib-ms`, `max-waiting`\n"
    );
    assert_eq!(text(&output.stderr), expected);

    let output = enforcer(&["policy", "check", &file, "--json"]);
    assert_eq!(status(&output), 2);
    let report = json(&output);
    assert_eq!((&report["valid"], &report["problems"][0]["line"], &report["problems"][0]["column"]), (&false.into(), &4.into(), &1.into()));
}

#[test]
fn a_policy_that_cannot_be_read_ends_with_3_and_one_that_is_none_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml").to_string_lossy().into_owned();
    let output = enforcer(&["policy", "check", &missing]);
    assert_eq!(status(&output), 3);
    assert!(text(&output.stderr).contains("cannot read the policy") && text(&output.stderr).contains("hint: "), "{}", text(&output.stderr));
    assert_eq!(status(&enforcer(&["policy", "check", &folder.path().to_string_lossy()])), 2);
    assert_eq!(status(&enforcer(&["policy", "check", "/dev/null"])), 2);
    assert_eq!(status(&enforcer(&["policy", "check", &policy(folder.path(), "version = 1\nmode = \"enforce\"\n")])), 2);
    assert_eq!(status(&enforcer(&["run", "--policy", &missing])), 3);
}

#[test]
fn a_policy_that_names_a_missing_certificate_is_refused_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = policy(folder.path(), "version = 1\nmode = \"enforce\"\n[[signer]]\nname = \"ops\"\nanchors = [\"/no/such/ca.pem\"]\n");
    let output = enforcer(&["policy", "check", &file]);
    assert_eq!(status(&output), 2);
    assert!(text(&output.stderr).contains("signer `ops`") && text(&output.stderr).contains("`/no/such/ca.pem`"), "{}", text(&output.stderr));
}

#[test]
fn the_default_policy_is_valid() {
    let output = enforcer(&["policy", "check", concat!(env!("CARGO_MANIFEST_DIR"), "/../policy.toml")]);
    assert_eq!(status(&output), 0, "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("valid; mode audit"));
}

#[test]
fn the_doctor_names_what_a_machine_lacks() {
    let machine = tempfile::tempdir().unwrap();
    let kernel = machine.path().join("proc/sys/kernel");
    fs::create_dir_all(&kernel).unwrap();
    fs::write(kernel.join("osrelease"), "5.10.0\n").unwrap();
    let root = machine.path().to_string_lossy().into_owned();
    let output = enforcer(&["doctor", "--root", &root]);
    assert_eq!(status(&output), 1);
    let told = text(&output.stdout);
    assert!(told.contains("This machine cannot enforce: kernel-release (5.10.0); btf ("), "{told}");
    assert!(!told.contains('\x1b'), "no colour into a pipe");

    let output = enforcer(&["doctor", "--root", &root, "--json"]);
    assert_eq!(status(&output), 1);
    assert_eq!(json(&output)["can_enforce"], "no");
}

#[test]
fn events_are_filtered_limited_and_told_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::open(&path, LogLimits::default());
    log.append(&record(1, true, Reason::Untrusted));
    log.append(&record(2, false, Reason::Untrusted));
    log.append(&record(3, true, Reason::AnonymousMemory));
    let events = |more: &[&str]| {
        let path = path.to_string_lossy();
        let output = enforcer(&[&["events", "--log", &path], more].concat());
        assert_eq!(status(&output), 0, "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(events(&[]).lines().count(), 3);
    assert_eq!(events(&["--denied"]).lines().count(), 2);
    assert_eq!(events(&["--denied", "--reason", "untrusted"]).lines().count(), 1);
    assert!(events(&["-n", "1"]).contains("pid 3"));
    assert_eq!(events(&["-n", "0"]), "");
    assert_eq!(events(&["--since", "1h"]).lines().count(), 3);
    assert_eq!(events(&["--since", "2999-01-01T00:00:00Z"]), "");
    let details = events(&["--details", "-n", "1"]);
    assert!(details.contains("    remedy    If this program compiles code"), "{details}");
    let first: serde_json::Value = serde_json::from_str(events(&["--json"]).lines().next().unwrap()).unwrap();
    assert_eq!((&first["kind"], &first["pid"], &first["reason"]), (&"event".into(), &1.into(), &"untrusted".into()));
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut record = record(1, true, Reason::Untrusted);
    record.path = Some("/tmp/\x1b]0;owned\x07\u{9b}2J\nfake".to_owned());
    record.comm = "\x1b[31m".to_owned();
    record.explanation = Some("\x1b[2J".to_owned());
    EventLog::open(&path, LogLimits::default()).append(&record);
    for more in [&["--details"][..], &["--json"]] {
        let output = enforcer(&[&["events", "--log", &path.to_string_lossy()], more].concat());
        let told = text(&output.stdout);
        assert!(!told.chars().any(|letter| letter.is_control() && letter != '\n'), "{told:?}");
    }
}

#[test]
fn a_missing_event_log_ends_with_3() {
    let output = enforcer(&["events", "--log", "/no/such/log"]);
    assert_eq!(status(&output), 3);
    assert_eq!(text(&output.stderr).lines().next(), Some("error: there is no event log `/no/such/log`"));
}

#[test]
fn following_goes_on_through_a_rotation_and_ends_quietly_with_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::open(&path, LogLimits { max_bytes: 2000 });
    log.append(&record(0, true, Reason::Untrusted));
    let mut follower =
        command(&["events", "--follow", "--json", "--log", &path.to_string_lossy()]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    for number in 0..12 {
        if number > 0 {
            log.append(&record(number, true, Reason::Untrusted));
        }
        loop {
            let entry: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            if entry["kind"] == "event" {
                assert_eq!(entry["pid"], number);
                break;
            }
        }
    }
    drop(lines);
    let mut written = 12;
    let ended = loop {
        log.append(&record(written, true, Reason::Untrusted));
        written += 1;
        match follower.try_wait().unwrap() {
            Some(ended) => break ended,
            None if written < 200 => std::thread::sleep(Duration::from_millis(50)),
            None => panic!("the follower did not notice that its reader went away"),
        }
    };
    let mut complaint = String::new();
    follower.stderr.unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((ended.code(), complaint.as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_an_error_and_not_a_panic() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(&["completions", "bash"]).stdout(full).output().unwrap();
    assert_eq!(status(&output), 3);
    assert!(text(&output.stderr).contains("cannot write the output: No space left on device"), "{}", text(&output.stderr));
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&enforcer(&["completions", shell]).stdout).contains("enforcer"));
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    assert_eq!(status(&enforcer(&["man", &pages.to_string_lossy()])), 0);
    for page in ["man1/enforcer.1", "man1/enforcer-events.1", "man1/enforcer-policy-check.1", "man5/enforcer-policy.5"] {
        assert!(fs::read_to_string(pages.join(page)).unwrap().contains(".TH"), "{page}");
    }
    let overview = fs::read_to_string(pages.join("man1/enforcer.1")).unwrap();
    assert!(overview.ends_with(".SH \"SEE ALSO\"\n\\fBenforcer\\-policy\\fR(5)\n"), "{overview}");
    fs::set_permissions(&pages, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(status(&enforcer(&["man", "/proc/no-such-folder"])), 3);
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enforcer"));
    command.args(words).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

fn enforcer(words: &[&str]) -> Output {
    command(words).output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("no signal ended it")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

fn policy(folder: &Path, text: &str) -> String {
    let file = folder.join("policy.toml");
    fs::write(&file, text).unwrap();
    file.to_string_lossy().into_owned()
}

fn record(pid: u32, denied: bool, reason: Reason) -> Record {
    let clock = BootTime::now();
    let event = Event { time: clock.boottime(), ..Event::new(Hook::MmapFile, reason).by_process(pid, "").about(b"/tmp/tool") };
    Record::at(&if denied { event.denied() } else { event }, clock)
}
