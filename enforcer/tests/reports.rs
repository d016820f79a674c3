//! `enforcer report` and `enforcer learn` as an administrator uses them, on logs that the daemon's own writer made.
#![allow(missing_docs)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use enforcer::audit::{EventLog, LogLimits, Record};
use serde_json::{Value, json};

/// A folder with a log, and files that were reported in it.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn log(&self, records: &[Record]) {
        let mut log = EventLog::open(&self.path("events.jsonl"), LogLimits::default());
        records.iter().for_each(|record| log.append(record));
    }

    fn enforcer(&self, command: &str, more: &[&str]) -> Output {
        let log = self.path("events.jsonl");
        let mut words = vec![command, "--log", log.to_str().unwrap()];
        words.extend(more);
        let mut command = Command::new(env!("CARGO_BIN_EXE_enforcer"));
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null()).output().unwrap()
    }
}

/// An event about a file as it is now.
fn about(path: &Path) -> Record {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    let sum = String::from_utf8_lossy(&output.stdout)[..64].to_owned();
    event(json!({ "path": path, "path_kind": "full", "digest": format!("sha256:{sum}"), "reason": "untrusted", "rejection": "unsigned" }))
}

fn event(more: Value) -> Record {
    let mut event = json!({
        "time": "2026-01-31T09:30:00Z", "denied": false, "mode": "audit", "hook": "bprm_check_security", "path_kind": "none", "comm": "bash",
        "pid": 7, "tid": 7, "parent_pid": 1, "uid": 1000, "cgroup_id": 1, "cgroup": "/system.slice/web.service", "remedy": ""
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(event).unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("no signal ended it")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

#[test]
fn a_log_that_is_missing_empty_or_rubbish_is_told_and_costs_nothing() {
    let scene = Scene::new();
    for command in ["report", "learn"] {
        let output = scene.enforcer(command, &[]);
        assert_eq!(status(&output), 3);
        assert!(stderr(&output).contains("there is no event log"), "{}", stderr(&output));
    }
    fs::write(scene.path("events.jsonl"), "").unwrap();
    assert!(stdout(&scene.enforcer("report", &[])).contains("Nothing was reported."));
    assert!(stdout(&scene.enforcer("learn", &[])).contains("There is no file in the log"));
    fs::write(scene.path("events.jsonl"), "garbage\n\u{0}\n[]\n").unwrap();
    let output = scene.enforcer("report", &["--json"]);
    assert_eq!((status(&output), &parsed(&output)["unreadable"], &parsed(&output)["ready"]), (0, &json!(3), &json!(false)));
    assert!(stderr(&output).contains("3 lines of the log could not be read"));
    for words in [&["--since", "yesterday"][..], &["--by", "colour"]] {
        assert_eq!(status(&scene.enforcer("report", words)), 2, "{words:?}");
    }
}

#[test]
fn what_was_signed_since_is_mended_and_what_was_not_is_left() {
    let scene = Scene::new();
    let (signed, unsigned) = (scene.file("signed", "#!/bin/sh\n: signed\n"), scene.file("unsigned", "#!/bin/sh\n: unsigned\n"));
    scene.log(&[about(&signed), about(&signed), about(&unsigned)]);
    let pki = scene.path("pki");
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_enforcer")).args(words).current_dir(scene.folder.path()).output().unwrap();
        assert_eq!(status(&output), 0, "{words:?}: {}", stderr(&output));
        output
    };
    run(&["trust", "init", pki.to_str().unwrap()]);
    let find = |name: &str| pki.join(name).to_str().unwrap().to_owned();
    let (key, certificate, chain, anchor) = (&find("signer-key.pem"), &find("signer.pem"), &find("chain.pem"), find("root.pem"));
    run(&["sign", "--detach", "--key", key, "--certificate", certificate, "--chain", chain, signed.to_str().unwrap()]);
    let policy = scene.path("policy.toml");
    fs::write(&policy, format!("version = 1\nmode = \"audit\"\n[[signer]]\nname = \"us\"\nanchors = [\"{anchor}\"]\nallow = [\"exec\"]\n")).unwrap();
    let output = scene.enforcer("report", &["--json", "--policy", policy.to_str().unwrap()]);
    let report = parsed(&output);
    let state = |name: &str| report["findings"].as_array().unwrap().iter().find(|of| of["name"].as_str().unwrap().ends_with(name)).unwrap();
    assert_eq!((&state("/signed")["state"], &state("/signed")["command"]), (&json!("runs"), &Value::Null));
    assert_eq!((&state("/unsigned")["state"], &state("/unsigned")["cause"], &report["ready"]), (&json!("denied"), &json!("unsigned"), &json!(false)));
    assert_eq!(state("/signed")["tally"]["would_be_denied"], 2);

    // The command that the report names does mend it.
    let command = state("/unsigned")["command"].as_str().unwrap().replacen("enforcer learn", "", 1);
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(status(&scene.enforcer("learn", &words)), 1, "the other one is in no manifest");
    run(&["manifest", "sign", "--key", key, "--certificate", certificate, "--chain", chain, "reviewed.manifest"]);
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, format!("{text}[sources]\nmanifests = [\"{}\"]\n", scene.path("reviewed.manifest").display())).unwrap();
    let report = parsed(&scene.enforcer("report", &["--json", "--policy", policy.to_str().unwrap()]));
    assert_eq!(report["ready"], true, "{report:#}");
}

#[test]
fn the_page_is_written_whole_beside_what_was_there() {
    let scene = Scene::new();
    scene.log(&[event(json!({ "reason": "anonymous-memory" }))]);
    fs::write(scene.path("report.html"), "before").unwrap();
    let output = scene.enforcer("report", &["--html", "report.html"]);
    assert_eq!((status(&output), stdout(&output).as_str()), (0, "report.html: 1 finding\n"));
    assert!(fs::read_to_string(scene.path("report.html")).unwrap().ends_with("</html>\n"));
    let output = scene.enforcer("report", &["--html", "no/such/folder/report.html"]);
    assert_eq!((status(&output), stdout(&output).as_str()), (3, ""));
}

#[test]
fn nothing_that_nobody_knows_is_listed_unless_somebody_says_so() {
    let scene = Scene::new();
    let (one, other, changed) = (scene.file("one", "#!/bin/sh\n: 1\n"), scene.file("an other", "#!/bin/sh\n: 2\n"), scene.file("changed", ": 3\n"));
    let gone = scene.file("gone", ": 4\n");
    scene.log(&[about(&one), about(&other), about(&changed), about(&gone), event(json!({ "reason": "inline-code" }))]);
    fs::write(&changed, ": 5\n").unwrap();
    fs::remove_file(&gone).unwrap();

    let output = scene.enforcer("learn", &["--json", "--output", "packages.manifest"]);
    let learnt = parsed(&output);
    assert_eq!(status(&output), 1);
    assert!(!scene.path("packages.manifest").exists() && learnt["packages"]["entries"] == 0, "{learnt:#}");
    let names = |list: &str| learnt[list].as_array().unwrap().iter().map(|of| of["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names("unknown"), [other.to_str().unwrap(), one.to_str().unwrap()]);
    assert_eq!(names("left_out"), [changed.to_str().unwrap(), gone.to_str().unwrap()]);
    assert_eq!(learnt["elsewhere"], 1);

    let include = |path: &Path| scene.enforcer("learn", &["--include", path.to_str().unwrap(), "--output-unknown", "reviewed.manifest"]);
    for (path, why) in [(&changed, "has changed since"), (&gone, "not there any more"), (&scene.path("never"), "not among the files")] {
        let output = include(path);
        assert_eq!(status(&output), 2);
        assert!(stderr(&output).contains(why) && !scene.path("reviewed.manifest").exists(), "{}", stderr(&output));
    }
    let output = include(&other);
    assert!(stdout(&output).contains("enforcer manifest sign --key signer.key --certificate signer.pem reviewed.manifest"), "{}", stdout(&output));
    let sum = Command::new("sha256sum").arg("--tag").arg(&other).output().unwrap();
    assert_eq!(fs::read(scene.path("reviewed.manifest")).unwrap(), sum.stdout, "as sha256sum writes it");
}

#[test]
fn learning_asks_nobody_who_is_not_there_and_mixes_nothing() {
    let scene = Scene::new();
    scene.log(&[about(&scene.file("one", ": 1\n"))]);
    for words in [&["--output-unknown", "x"][..], &["--include", "/x"], &["--output", "x", "--output-unknown", "x", "--include", "/x"]] {
        assert_eq!(status(&scene.enforcer("learn", words)), 2, "{words:?}");
        assert!(!scene.path("x").exists());
    }
}

/// `script` of util-linux is a terminal for whoever answers.
#[test]
fn each_unknown_file_is_asked_about_on_a_terminal() {
    let scene = Scene::new();
    let (yes, no) = (scene.file("1-yes", "#!/bin/sh\necho \u{1b}[2Jyes\n"), scene.file("2-no", ": no\n"));
    scene.log(&[about(&yes), about(&no)]);
    let log = scene.path("events.jsonl");
    let command = format!("{} learn --log {} --output-unknown reviewed.manifest", env!("CARGO_BIN_EXE_enforcer"), log.display());
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(scene.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"view\nyes\nno\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("[1/2] List this file") && told.contains("a script of") && told.contains("| echo \\u{1b}[2Jyes"), "{told}");
    let listed = fs::read_to_string(scene.path("reviewed.manifest")).unwrap_or_else(|error| panic!("{error}: {told}"));
    assert!(listed.contains("/1-yes)") && !listed.contains("/2-no)"), "{listed}");
    assert_eq!(output.status.code(), Some(1), "one is left");
}

/// `installed.rs` says when apt can provide a package; here it is enough that no claim is made without it.
#[test]
fn what_a_package_installed_is_told_from_what_nobody_knows() {
    let scene = Scene::new();
    let unknown = scene.file("tool", ": tool\n");
    let installed = Path::new("/usr/bin/dash").canonicalize().unwrap();
    scene.log(&[about(&unknown), about(&installed)]);
    let learnt = parsed(&scene.enforcer("learn", &["--json", "--output", "packages.manifest"]));
    let of_package = learnt["unknown"].as_array().unwrap().iter().find(|of| of["path"] == installed.to_str().unwrap());
    match of_package {
        None => {
            let manifest = fs::read_to_string(scene.path("packages.manifest")).unwrap();
            assert!(manifest.contains("(/usr/bin/dash)") && !manifest.contains("tool"), "{manifest}");
        }
        Some(of) => assert!(of["package"] == "dash" && of["why"].as_str().unwrap().contains("cannot be compared"), "{of:#}"),
    }
    assert!(
        learnt["unknown"].as_array().unwrap().iter().any(|of| of["path"] == unknown.to_str().unwrap() && of["why"] == "it belongs to no package")
    );
}

/// What rpm installed into a database of its own.
#[test]
fn rpm_vouches_for_what_it_installed_and_for_nothing_else() {
    let scene = Scene::new();
    let (same, changed) = (scene.file("same", "#!/bin/sh\n: same\n"), scene.file("changed", "#!/bin/sh\n: before\n"));
    let folder = same.parent().unwrap().display().to_string();
    let spec = format!(
        "Name: tool\nVersion: 1\nRelease: 1\nSummary: a tool\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no\n%define __os_install_post %{{nil}}\n\
         %description\nA tool.\n%install\nmkdir -p %{{buildroot}}{folder}\ncp {folder}/same {folder}/changed %{{buildroot}}{folder}\n%files\n{folder}\n"
    );
    fs::write(scene.path("tool.spec"), spec).unwrap();
    fs::write(scene.path(".rpmmacros"), format!("%_dbpath {folder}/rpmdb\n%_topdir {folder}/rpmbuild\n")).unwrap();
    let script = "rpmbuild -bb --quiet tool.spec && rpm -i --justdb --nodeps --ignoreos rpmbuild/RPMS/noarch/tool-1-1.noarch.rpm";
    let made = Command::new("sh").args(["-euc", script]).current_dir(&folder).env("HOME", &folder).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    fs::write(&changed, "#!/bin/sh\n: after\n").unwrap();
    scene.log(&[about(&same), about(&changed)]);
    let run = |command: &str, more: &[&str]| {
        let log = scene.path("events.jsonl");
        let mut enforcer = Command::new(env!("CARGO_BIN_EXE_enforcer"));
        enforcer.args([command, "--json", "--log", log.to_str().unwrap()]).args(more).current_dir(&folder).env("HOME", &folder);
        parsed(&enforcer.output().unwrap())
    };
    let learnt = run("learn", &["--output", "packages.manifest"]);
    assert_eq!(learnt["packages"]["files"], json!([same]), "{learnt:#}");
    assert!(
        learnt["unknown"][0]["path"] == json!(changed) && learnt["unknown"][0]["why"].as_str().unwrap().contains("not what `tool` holds"),
        "{learnt:#}"
    );
    let report = run("report", &[]);
    let finding = |path: &Path| report["findings"].as_array().unwrap().iter().find(|finding| finding["name"] == json!(path)).unwrap();
    assert_eq!((&finding(&changed)["cause"], &finding(&changed)["command"]), (&json!("modified"), &json!("dnf reinstall tool")));
    assert_eq!((&finding(&same)["cause"], &finding(&same)["package"]["name"]), (&json!("unsigned"), &json!("tool")));
}

/// A file that lies over an installed one in a mount namespace of its own, so that the machine stays as it is.
#[test]
fn a_file_of_a_package_that_was_changed_is_reported_as_modified_with_the_command_that_brings_it_back() {
    let scene = Scene::new();
    let changed = scene.file("changed", "#!/bin/sh\n: changed\n");
    let mut record = about(&changed);
    record.path = Some("/usr/bin/dash".to_owned());
    scene.log(&[record]);
    let script = "mount --bind changed /usr/bin/dash && exec \"$0\" report --json --log events.jsonl";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "bash", "-ec", script, env!("CARGO_BIN_EXE_enforcer")]).current_dir(scene.folder.path());
    let output = unshare.output().unwrap();
    let report = parsed(&output);
    let finding = &report["findings"][0];
    assert_eq!((&finding["cause"], &finding["package"]["modified"]), (&json!("modified"), &json!(true)), "{report:#}");
    assert_eq!(finding["command"], "apt-get install --reinstall dash");
}

#[test]
fn hostile_logs_reach_neither_the_terminal_nor_a_shell() {
    let scene = Scene::new();
    let hostile = "/tmp/\u{1b}]0;owned\u{7}\n\u{202e}<script>`reboot`";
    scene.log(&[event(json!({
        "reason": "untrusted", "path": hostile, "path_kind": "full", "comm": "\u{1b}[31m", "cgroup": "/\u{1b}[2J.service", "explanation": "\u{9b}2J",
        "digest": format!("sha256:{}", "0".repeat(64))
    }))]);
    for words in [&["report", "--all"][..], &["report", "--json"], &["report", "--all", "--by", "service"], &["learn"], &["learn", "--json"]] {
        let output = scene.enforcer(words[0], &words[1..]);
        let told = stdout(&output) + &stderr(&output);
        assert!(!told.chars().any(|letter| letter.is_control() && letter != '\n' || letter == '\u{202e}'), "{told:?}");
    }
}
