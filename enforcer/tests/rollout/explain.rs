//! An event, a file and a process are explained by the rule that decides, in the line where it is written, with what would have to change.

use std::fs;

use enforcer::cli::Exit;
use enforcer_common::{Hook, Reason};

use crate::pki::{PKI, text};
use crate::snapshot;
use crate::trial::Trial;

#[test]
fn an_unsigned_file_is_explained_with_ways_to_have_it_run() {
    let trial = Trial::new();
    trial.file("app/tool.sh", "#!/bin/sh\n");
    let told = trial.run(&["explain", "--policy", "FOLDER/enforce.toml", "FOLDER/app/tool.sh"]);
    assert_eq!(told.exit, Exit::No);
    snapshot::terminal("explain/file", &trial.settled(&told, &[]));
}

#[test]
fn a_signed_file_is_explained_by_its_signer_and_the_line_of_its_rule() {
    let trial = Trial::new();
    trial.program("tool");
    trial.sign(&PKI.signer("p256"), &["tool"]);
    let told = trial.run(&["explain", "--policy", "FOLDER/enforce.toml", "FOLDER/tool", "--json"]);
    let report = told.json();
    assert_eq!((told.exit, &report["verdict"]["outcome"], &report["verdict"]["line"]), (Exit::Yes, &"allowed".into(), &3.into()), "{report:#}");
    assert_eq!((&report["use"], &report["signatures"]["carrier"]), (&"exec".into(), &"embedded".into()));
    assert_eq!(report["verdict"]["ways"].as_array().unwrap().len(), 0);

    let signer = format!("[[signer]]\nname = \"vendor\"\nanchors = [\"{}\"]\nallow = [\"exec\", \"module\"]\n", text(&PKI.root.certificate));
    trial.policy("modules.toml", "enforce", &signer);
    let module = trial.run(&["explain", "--policy", "FOLDER/modules.toml", "--use", "module", "FOLDER/tool", "--json"]);
    assert_eq!((module.exit, &module.json()["verdict"]["outcome"]), (Exit::Yes, &"allowed".into()), "{}", module.text);
    let module = trial.run(&["explain", "--policy", "FOLDER/enforce.toml", "--use", "module", "FOLDER/tool"]);
    assert_eq!(module.exit, Exit::No, "{}", module.text);
}

#[test]
fn an_event_is_explained_as_it_was_and_as_it_would_be_today() {
    let trial = Trial::new();
    let tool = trial.file("app/tool", "no code at all");
    let id = trial.event(Reason::Untrusted, Hook::MmapFile, Some(&tool), |record| record.explanation = Some("it is not signed".to_owned()));
    let explain = |name: &str| trial.run(&["explain", "--policy", "FOLDER/enforce.toml", "--log", "FOLDER/events.jsonl", name]);
    // As long as no number of a process is.
    let told = explain(&id[..8]);
    assert_eq!(told.exit, Exit::No);
    snapshot::terminal("explain/event", &trial.settled(&told, &[&id]));
    trial.file("app/tool", "another content");
    let changed = explain(&id);
    assert!(changed.exit == Exit::No && changed.text.contains("the file changed since"), "{}", changed.text);
}

#[test]
fn an_event_under_a_setting_is_explained_by_the_line_of_the_setting() {
    let trial = Trial::new();
    let id = trial.event(Reason::MadeExecutable, Hook::FileMprotect, None, |_| ());
    trial.policy("memory.toml", "enforce", "[memory]\nmade-executable = \"deny\"\n");
    let words = ["explain", "--policy", "FOLDER/memory.toml", "--log", "FOLDER/events.jsonl", &id];
    let report = trial.run(&[&words[..], &["--json"]].concat()).json();
    let lines = fs::read_to_string(trial.path("memory.toml")).unwrap().lines().count();
    assert_eq!(report["verdict"]["line"], lines, "{report:#}");
    assert!(trial.run(&words).text.contains("[memory] made-executable"));
    assert_eq!(report["event"]["id"], id);
}

#[test]
fn a_process_is_explained_part_by_part() {
    let trial = Trial::new();
    let tool = trial.program("tool");
    trial.sign(&PKI.signer("p256"), &["tool"]);
    let mut child = Trial::start(&tool);
    let pid = child.id().to_string();
    let explain = |more: &[&str]| trial.run(&[&["explain", "--policy", "FOLDER/enforce.toml", &pid], more].concat());
    while explain(&["--json"]).text.is_empty() || explain(&["--json"]).json()["program"] != trial.text("tool") {
        std::thread::yield_now();
    }
    let (told, report) = (explain(&[]), explain(&["--json"]).json());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(told.exit, Exit::No, "the C library is not signed by the test's signer");
    let parts = report["parts"].as_array().unwrap();
    assert_eq!((&parts[0]["use"], &parts[0]["verdict"]["outcome"], &parts[0]["signer"]), (&"exec".into(), &"allowed".into(), &"vendor".into()));
    let library = parts.iter().find(|part| part["path"].as_str().is_some_and(|path| path.contains("libc"))).unwrap();
    assert_eq!((&library["use"], &library["verdict"]["outcome"]), (&"library".into(), &"denied".into()));
    assert!(report["uncovered"].as_u64() >= Some(1));
    assert!(told.text.contains("vendor (embedded)") && told.text.contains("enforcer manifest create"), "{}", told.text);
    assert!(told.text.lines().all(|line| line.chars().count() <= 80), "{}", told.text);
}

#[test]
fn what_cannot_be_explained_ends_with_its_documented_status() {
    let trial = Trial::new();
    let log = trial.path("events.jsonl");
    for number in 1..40 {
        trial.event(Reason::Untrusted, Hook::MmapFile, None, |record| record.id = format!("abcd{number:012x}"));
    }
    let explain = |words: &[&str]| trial.run(&[&["explain", "--policy", "FOLDER/enforce.toml", "--log", text(&log)], words].concat()).exit;
    assert_eq!(explain(&["abcd"]), Exit::Usage, "several events are called so");
    assert_eq!(explain(&["abcd000000000001"]), Exit::No);
    assert_eq!(explain(&["0123456789abcdef"]), Exit::Usage, "none is");
    assert_eq!(explain(&["FOLDER/missing"]), Exit::System);
    assert_eq!(explain(&["/dev/null"]), Exit::Usage);
    assert_eq!(explain(&["4194305"]), Exit::Usage, "no such process");
    assert_eq!(explain(&["1", "--use", "exec"]), Exit::Usage);
    assert_eq!(trial.run(&["explain", "--policy", "FOLDER/nowhere.toml", "1"]).exit, Exit::System);
}
