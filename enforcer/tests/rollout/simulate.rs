//! A policy is tried on what was recorded, what runs and what lies on the disk; and says nothing that it does not know.

use std::fs;

use enforcer::cli::Exit;
use enforcer_common::{Hook, Reason};

use crate::pki::{PKI, text};
use crate::snapshot;
use crate::trial::Trial;

const TO_ENFORCE: [&str; 3] = ["--from", "FOLDER/audit.toml", "--enforce"];

/// How many distinct uses change so: in use, and on the disk only.
fn counts(told: &serde_json::Value, change: &str) -> (u64, u64) {
    let count = &told["counts"][change];
    (count["seen"].as_u64().unwrap_or(0), count["on_disk"].as_u64().unwrap_or(0))
}

fn groups<'a>(told: &'a serde_json::Value, change: &str) -> Vec<&'a serde_json::Value> {
    told["groups"].as_array().unwrap().iter().filter(|group| group["change"] == change).collect()
}

#[test]
fn what_would_be_denied_is_shown_by_service_with_its_cause_and_its_remedy() {
    let trial = Trial::new();
    let tool = trial.program("app/tool");
    let id = trial.event(Reason::Untrusted, Hook::BprmCheckSecurity, Some(&tool), |_| ());
    trial.event(Reason::Untrusted, Hook::BprmCheckSecurity, Some(&tool), |record| record.tid = 2);
    let memory = trial.event(Reason::AnonymousMemory, Hook::MmapFile, None, |record| record.comm = "node".to_owned());
    let told = trial.simulate(&[&TO_ENFORCE[..], &["--no-scan"]].concat());
    assert_eq!(told.exit, Exit::No);
    snapshot::terminal("simulate/enforce", &trial.settled(&told, &[&id, &memory]));
    assert!(told.text.lines().all(|line| line.chars().count() <= 80), "{}", told.text);
}

#[test]
fn nothing_is_newly_denied_once_all_is_signed() {
    let trial = Trial::new();
    let tool = trial.program("app/tool");
    trial.event(Reason::Untrusted, Hook::BprmCheckSecurity, Some(&tool), |_| ());
    let words = [&TO_ENFORCE[..], &["--path", "FOLDER/app", "--json"]].concat();
    let before = trial.simulate(&words);
    assert_eq!((before.exit, counts(&before.json(), "newly-denied")), (Exit::No, (1, 0)), "one file, which was seen in use");
    trial.sign(&PKI.signer("p256"), &["app/tool"]);
    let after = trial.simulate(&words);
    // The event is about another content than the one that lies there now.
    assert_eq!((after.exit, counts(&after.json(), "newly-denied"), counts(&after.json(), "unjudged")), (Exit::Yes, (0, 0), (1, 0)));
    assert!(after.json()["groups"][0]["rationale"]["text"].as_str().unwrap().starts_with("the file changed since"));
}

#[test]
fn code_on_the_disk_is_judged_by_both_policies() {
    let trial = Trial::new();
    trial.program("app/tool");
    trial.file("app/plugin.so", b"\x7fELF not really");
    trial.file("app/data", "nothing to run");
    trial.sign(&PKI.signer("p256"), &["app/tool"]);
    let root = text(&PKI.root.certificate);
    let scan = |from: &str, to: &str| trial.simulate(&["--no-events", "--from", from, "--policy", to, "--path", "FOLDER/app", "--json"]).json();
    trial.policy("nobody.toml", "audit", "[memory]\nanonymous = \"deny\"\n");
    let nobody = fs::read_to_string(trial.path("nobody.toml")).unwrap();
    let signer = format!("[[signer]]\nname = \"vendor\"\nanchors = [\"{root}\"]\n");
    fs::write(trial.path("nobody.toml"), nobody.replace(&signer, "")).unwrap();
    let told = scan("FOLDER/nobody.toml", "FOLDER/enforce.toml");
    assert_eq!((counts(&told, "newly-allowed"), counts(&told, "newly-denied")), ((0, 1), (0, 1)), "{told:#}");
    assert_eq!(groups(&told, "newly-denied")[0]["subjects"][0]["what"], "library");

    trial.policy("libraries.toml", "enforce", &format!("{signer}allow = [\"library\"]\n"));
    let told = scan("FOLDER/enforce.toml", "FOLDER/libraries.toml");
    let denied = groups(&told, "newly-denied");
    assert_eq!((denied.len(), &denied[0]["rationale"]["code"]), (1, &"use-not-allowed".into()), "{told:#}");
    let rule = denied[0]["rule"].as_str().unwrap();
    assert!(rule.contains("libraries.toml:") && rule.ends_with("[[signer]] \"vendor\""), "{rule}");
    assert!(denied[0]["ways"][0]["text"].as_str().unwrap().contains("add \"exec\" to `allow` in line"), "{told:#}");
    assert_eq!(counts(&scan("FOLDER/enforce.toml", "FOLDER/enforce.toml"), "still-denied"), (0, 1));
}

#[test]
fn a_file_that_is_gone_is_judged_by_its_digest_where_a_manifest_lists_it_and_else_not_at_all() {
    let trial = Trial::new();
    let (listed, unlisted) = (trial.program("listed"), trial.file("unlisted", "#!/bin/sh\n"));
    fs::create_dir(trial.path("manifests")).unwrap();
    let digest = enforcer::text::hex(&enforcer::text::sha256(&fs::read(&listed).unwrap()));
    trial.file("manifests/ours.manifest", format!("SHA256 (/usr/bin/listed) = {digest}\n"));
    crate::pki::cms_sign(&trial.path("manifests/ours.manifest"), &PKI.signer("p256"), &[], &trial.path("manifests/ours.manifest.p7s"));
    for file in [&listed, &unlisted] {
        trial.event(Reason::Untrusted, Hook::BprmCheckSecurity, Some(file), |_| ());
        fs::remove_file(file).unwrap();
    }
    let told = trial.simulate(&[&TO_ENFORCE[..], &["--no-scan", "--json"]].concat());
    assert_eq!((told.exit, counts(&told.json(), "newly-denied"), counts(&told.json(), "unjudged")), (Exit::Yes, (0, 0), (1, 0)), "{}", told.text);
    assert!(told.text.contains("the file is not there any more"), "{}", told.text);
}

#[test]
fn settings_answer_what_no_signature_can() {
    let trial = Trial::new();
    for (reason, hook) in [
        (Reason::AnonymousMemory, Hook::MmapFile),
        (Reason::Tracing, Hook::PtraceAccessCheck),
        (Reason::KernelMemory, Hook::LockedDown),
        (Reason::LoadedFromMemory, Hook::KernelLoadData),
    ] {
        trial.event(reason, hook, None, |_| ());
    }
    let settings = "[memory]\nanonymous = \"allow\"\ntracing = \"audit\"\n[kernel]\nmemory = \"deny\"\nkexec = \"allow\"\n";
    trial.policy("new.toml", "enforce", settings);
    let told = trial.simulate(&["--from", "FOLDER/enforce.toml", "--policy", "FOLDER/new.toml", "--no-scan", "--json"]).json();
    assert_eq!(counts(&told, "newly-allowed"), (2, 0), "{told:#}");
    assert_eq!(counts(&told, "still-denied"), (1, 0), "{told:#}");
    let [unjudged] = groups(&told, "unjudged")[..] else { panic!("{told:#}") };
    assert!(unjudged["rationale"]["text"].as_str().unwrap().contains("`modules-from-memory` and `kexec`"), "{told:#}");

    let signer = format!("[[signer]]\nname = \"vendor\"\nanchors = [\"{}\"]\nentitlements = [\"jit\"]\n", text(&PKI.root.certificate));
    trial.policy("jit.toml", "enforce", &signer);
    let told = trial.simulate(&["--from", "FOLDER/audit.toml", "--policy", "FOLDER/jit.toml", "--no-scan", "--json"]).json();
    let unjudged = groups(&told, "unjudged");
    assert!(unjudged.iter().any(|group| group["rationale"]["text"].as_str().unwrap().contains("newly grants the entitlement `jit`")), "{told:#}");
}

#[test]
fn what_runs_is_judged_with_the_service_it_runs_in() {
    let trial = Trial::new();
    let tool = trial.program("tool");
    let mut child = Trial::start(&tool);
    let simulate = || trial.run(&[&["simulate", "--no-events", "--no-scan", "--json"], &TO_ENFORCE[..]].concat()).json();
    let mut told = simulate();
    // It may not have become the program yet.
    while !told.to_string().contains(&trial.text("tool")) {
        told = simulate();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let is_tool = |group: &&serde_json::Value| group["program"] == "tool" && group["subjects"].to_string().contains(&trial.text("tool"));
    let group = groups(&told, "newly-denied").into_iter().find(is_tool).unwrap_or_else(|| panic!("{told:#}"));
    assert!(group["running"].as_u64() >= Some(1) && group["events"] == 0, "{group:#}");
    assert!(told["looked_at"]["processes"].as_u64() >= Some(1));
}

#[test]
fn hostile_and_broken_lines_of_the_log_are_told_and_harm_nobody() {
    let trial = Trial::new();
    trial.event(Reason::Untrusted, Hook::BprmCheckSecurity, None, |record| {
        record.path = Some("/tmp/\x1b]0;owned\x07\u{9b}2J\nfake: <b>allowed</b>".to_owned());
        record.comm = "\x1b[31m".to_owned();
        record.cgroup = Some("/system.slice/\u{202e}evil.service".to_owned());
        record.digest = Some("sha256:no digest".to_owned());
    });
    let log = trial.path("events.jsonl");
    let lost = "{\"kind\":\"lost\",\"time\":\"2026-02-01T00:00:00Z\",\"count\":18446744073709551615,\"cause\":\"x\"}\n";
    fs::write(&log, format!("{}garbage\n{{}}\n{lost}{lost}", fs::read_to_string(&log).unwrap())).unwrap();
    for more in [&["--all"][..], &["--json"]] {
        let told = trial.simulate(&[&TO_ENFORCE[..], &["--no-scan"], more].concat());
        assert!(!told.text.chars().any(|letter| letter.is_control() && letter != '\n') && !told.text.contains('\u{202e}'), "{:?}", told.text);
        assert!(told.text.contains("2 lines of the log cannot be read") && told.text.contains("18446744073709551615 events are missing"));
    }
    fs::write(&log, "").unwrap();
    let told = trial.simulate(&[&TO_ENFORCE[..], &["--no-scan"]].concat());
    assert!(told.exit == Exit::Yes && told.text.contains("Nothing would newly be denied."), "{}", told.text);
}

#[test]
fn bad_input_ends_with_its_documented_status() {
    let trial = Trial::new();
    trial.file("broken.toml", "version = 1\nmode = \"adit\"\n");
    let run = |words: &[&str]| trial.run(&[&["simulate", "--no-processes", "--no-scan"], words].concat()).exit;
    assert_eq!(run(&["--enforce", "--from", "FOLDER/audit.toml", "--log", "FOLDER/no-such-log"]), Exit::System);
    assert_eq!(run(&["--enforce", "--from", "FOLDER/no-such-policy", "--no-events"]), Exit::System);
    assert_eq!(run(&["--policy", "FOLDER/broken.toml", "--from", "FOLDER/audit.toml", "--no-events"]), Exit::Usage);
    let trusts_nobody = "[[signer]]\nname = \"x\"\nanchors = [\"/no/such/ca.pem\"]\n";
    trial.policy("missing.toml", "audit", trusts_nobody);
    assert_eq!(run(&["--policy", "FOLDER/missing.toml", "--from", "FOLDER/audit.toml", "--no-events"]), Exit::Usage);
    let nowhere = trial.run(&["simulate", "--enforce", "--from", "FOLDER/audit.toml", "--path", "FOLDER/nowhere", "--no-events"]);
    assert_eq!(nowhere.exit, Exit::System);
}
