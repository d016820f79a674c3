//! The answers of the commands that need no kernel of their own.

use enforcer_common::Reason;

use crate::authority;
use crate::scene::Scene;
use crate::snapshot::{pipe, terminal};

const SIGN: &str = "enforcer sign --key pki/signer-key.pem --certificate pki/signer.pem --chain pki/chain.pem";
const SIGN_LIST: &str = "enforcer manifest sign --key pki/signer-key.pem --certificate pki/signer.pem --chain pki/chain.pem";

fn sign(files: &str) -> String {
    format!("{SIGN} {files}")
}

#[test]
fn trust() {
    let scene = Scene::new();
    pipe("trust-init/made", &scene.transcript(&["enforcer trust init other", "enforcer trust init other"]));
}

#[test]
fn policies() {
    let scene = Scene::new();
    scene.file("wrong.toml", "version = 1\nmode = \"audit\"\n[limits]\nmax-wating = 3\n");
    pipe(
        "policy-check/pipe",
        &scene.transcript(&["enforcer policy check policy.toml", "enforcer policy check wrong.toml", "enforcer policy check missing.toml"]),
    );
    terminal("policy-check/valid", &scene.terminal("enforcer policy check FOLDER/policy.toml"));
    pipe("policy-list/pipe", &scene.transcript(&["enforcer policy list policy.toml"]));
    pipe(
        "enforce/print",
        &scene.transcript(&[
            "enforcer enforce --print --policy policy.toml --scope '/system.slice/docker-*'",
            "enforcer enforce --policy missing.toml",
        ]),
    );
    pipe("audit/print", &scene.transcript(&["enforcer audit --print --policy policy.toml", "enforcer audit --policy missing.toml"]));
}

#[test]
fn signing_and_verifying() {
    let scene = Scene::new();
    scene.file("unsigned.sh", "#!/bin/sh\n");
    let words =
        ["--comment tree/bin/tool", "--detach tree/lib/a-library-with-a-name-that-is-longer-than-most/plugin.sh", "missing", "--embed unsigned.sh"];
    pipe("sign/pipe", &scene.transcript(&words.map(sign).each_ref().map(String::as_str)));
    let verify = [
        "enforcer verify --policy policy.toml tree/bin/tool",
        "enforcer verify --policy policy.toml tree unsigned.sh",
        "enforcer verify --policy policy.toml missing",
    ];
    pipe("verify/pipe", &scene.transcript(&verify));
    terminal("verify/one", &scene.terminal("enforcer verify --policy FOLDER/policy.toml FOLDER/tree/bin/tool"));
    terminal("verify/several", &scene.terminal("enforcer verify --policy FOLDER/policy.toml FOLDER/tree FOLDER/unsigned.sh"));
    pipe("seal/pipe", &scene.transcript(&["enforcer seal --policy policy.toml pki", "enforcer seal --policy policy.toml unsigned.sh"]));
}

#[test]
fn timestamps() {
    let scene = Scene::new();
    scene.file("tsa.conf", authority::configuration(|name| scene.path(name).display().to_string()));
    scene.file("serial", "01\n");
    scene.succeed(&sign("--detach tree/bin/tool"));
    pipe(
        "timestamp-query/pipe",
        &scene.transcript(&["enforcer timestamp query tree/bin/tool -o query.tsq", "enforcer timestamp query policy.toml -o query2.tsq"]),
    );
    scene.succeed("openssl ts -reply -config tsa.conf -queryfile query.tsq -out reply.tsr");
    pipe(
        "timestamp-attach/pipe",
        &scene.transcript(&["enforcer timestamp attach reply.tsr tree/bin/tool", "enforcer timestamp attach query.tsq tree/bin/tool"]),
    );
}

#[test]
fn manifests() {
    let scene = Scene::new();
    pipe(
        "manifest-create/pipe",
        &scene.transcript(&["enforcer manifest create tree", "enforcer manifest create tree -o new.manifest", "enforcer manifest create missing"]),
    );
    scene.file("old.manifest", format!("SHA256 (/opt/tool) = {}\nSHA256 (/opt/gone) = {0}\n", "ab".repeat(32)));
    scene.file("now.manifest", format!("SHA256 (/opt/tool) = {}\nSHA256 (/opt/new) = {0}\n", "cd".repeat(32)));
    scene.file("broken.manifest", "SHA256 (/opt/tool) = ab\n");
    let sign = format!("{SIGN_LIST} new.manifest");
    pipe("manifest-sign/pipe", &scene.transcript(&[&sign, &format!("{SIGN_LIST} broken.manifest")]));
    pipe("manifest-show/pipe", &scene.transcript(&["enforcer manifest show new.manifest"]));
    terminal("manifest-show/terminal", &scene.terminal("enforcer manifest show FOLDER/new.manifest"));
    let verify = ["enforcer manifest verify --policy policy.toml new.manifest", "enforcer manifest verify --policy policy.toml old.manifest"];
    pipe("manifest-verify/pipe", &scene.transcript(&verify));
    terminal("manifest-verify/terminal", &scene.terminal("enforcer manifest verify --policy FOLDER/policy.toml FOLDER/new.manifest"));
    pipe(
        "manifest-diff/pipe",
        &scene.transcript(&["enforcer manifest diff old.manifest now.manifest", "enforcer manifest diff old.manifest old.manifest"]),
    );
    terminal("manifest-diff/terminal", &scene.terminal("enforcer manifest diff FOLDER/old.manifest FOLDER/now.manifest"));
}

#[test]
fn revocations() {
    let scene = Scene::new();
    let policy = "--policy policy.toml";
    let tell = |name: &str, words: &[&str]| {
        let commands: Vec<String> = words.iter().map(|words| format!("enforcer revoke {words} {policy}")).collect();
        pipe(name, &scene.transcript(&commands.iter().map(String::as_str).collect::<Vec<_>>()));
    };
    tell("revoke-digest/pipe", &["digest --file tree/bin/tool --reason CVE-2026-1234", "digest abc"]);
    tell("revoke-certificate/pipe", &["certificate pki/timestamp.pem --reason 'key on a lost laptop'", "certificate tree/bin/tool"]);
    tell("revoke-signer/pipe", &["signer trial --force", "signer nobody"]);
    tell("revoke-list/pipe", &["list"]);
    terminal("revoke-list/terminal", &scene.terminal("enforcer revoke list --policy FOLDER/policy.toml"));
    tell("revoke-undo-digest/pipe", &["undo digest --file tree/bin/tool", "undo digest --file tree/bin/tool"]);
    tell("revoke-undo-certificate/pipe", &["undo certificate pki/timestamp.pem"]);
    tell("revoke-undo-signer/pipe", &["undo signer trial", "list"]);
}

#[test]
fn the_event_log() {
    let scene = Scene::new();
    let tool = scene.file("unsigned.sh", "#!/bin/sh\n");
    // Their names come from what happened, so what is shown with names is about files that are the same in each run.
    for (path, is_denied) in
        [("/opt/agent/bin/agent", true), ("/srv/an-application/releases/2026-01/bin/a-program-with-a-long-name", false), ("/tmp/\x1b[2J\nx", true)]
    {
        scene.event(Reason::Untrusted, path.as_ref(), "web", is_denied);
    }
    let log = "--log events.jsonl";
    pipe(
        "events/pipe",
        &scene.transcript(&[
            &format!("enforcer events {log}"),
            &format!("enforcer events --details -n 1 {log}"),
            "enforcer events --log missing.jsonl",
        ]),
    );
    terminal("events/details", &scene.terminal("enforcer events --details -n 2 --log FOLDER/events.jsonl"));
    pipe(
        "explain/unknown",
        &scene.transcript(&[&format!("enforcer explain --policy policy.toml {log} 0a1b2c3d"), "enforcer explain --policy policy.toml missing"]),
    );
    scene.event(Reason::Untrusted, &tool, "web", false);
    pipe("report/pipe", &scene.transcript(&[&format!("enforcer report --policy policy.toml {log}"), "enforcer report --log missing.jsonl"]));
    pipe("learn/pipe", &scene.transcript(&[&format!("enforcer learn --no-download {log}")]));
    terminal("learn/terminal", &scene.terminal("enforcer learn --no-download --log FOLDER/events.jsonl"));
    pipe("simulate/pipe", &scene.transcript(&["enforcer simulate --policy policy.toml --from policy.toml --log events.jsonl --since 2026-01-01T00:00:00Z --no-processes --no-scan --all"]));
}

#[test]
fn what_has_no_answer_of_its_own() {
    let scene = Scene::new();
    pipe("top/no-terminal", &scene.transcript(&["enforcer top"]));
    pipe("completions/unknown-shell", &scene.transcript(&["enforcer completions nushell"]));
    pipe("man/pipe", &scene.transcript(&["enforcer man pages", "enforcer man /proc/no-such-folder"]));
    pipe("worker/no-daemon", &scene.transcript(&["enforcer worker"]));
}
