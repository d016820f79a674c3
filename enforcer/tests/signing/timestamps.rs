//! Timestamps: openssl is the authority, reads our question, and its answer goes into every carrier.

use std::fs;
use std::path::Path;

use crate::authority;
use crate::pki::{openssl, text, try_openssl};
use crate::scene::{Scene, attribute};

/// A scene with the trial infrastructure, whose timestamp certificate openssl answers with.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.run(&["trust", "init", "pki"]);
    let at = |name: &str| text(&scene.path(name)).to_owned();
    scene.file("tsa.conf", authority::configuration(at));
    scene.file("serial", "01\n");
    let policy = format!(
        "version = 1\nmode = \"audit\"\n[[signer]]\nname = \"trial\"\nanchors = [\"{0}\"]\n[[timestamp-authority]]\nname = \"clock\"\nanchors = [\"{0}\"]\n",
        at("pki/root.pem")
    );
    scene.file("policy.toml", policy);
    scene
}

fn sign(scene: &Scene, arguments: &[&str]) {
    let signer = ["sign", "--key", "pki/signer-key.pem", "--certificate", "pki/signer.pem", "--chain", "pki/chain.pem"];
    scene.run(&[&signer[..], arguments].concat());
}

/// `openssl ts -reply` on a question.
fn answer(scene: &Scene, question: &str, reply: &str) {
    let at = |name: &str| text(&scene.path(name)).to_owned();
    openssl(&["ts", "-reply", "-config", &at("tsa.conf"), "-queryfile", &at(question), "-out", &at(reply)]);
}

fn verifies(scene: &Scene, file: &str) -> serde_json::Value {
    let told = scene.run(&["verify", "--policy", "policy.toml", "--json", file]);
    serde_json::from_str(&told).unwrap()
}

#[test]
fn openssl_answers_our_question_and_its_token_goes_into_every_carrier() {
    let scene = scene();
    let cases: [(&[&str], &str); 6] = [
        (&["--embed", "--reserve", "8192"], "embedded"),
        (&["--append", "--certificates"], "appended"),
        (&["--append", "--certificates", "--identifier", "a"], "appended"),
        (&["--detach"], "detached"),
        (&["--xattr"], "xattr"),
        (&["--xattr", "--no-attributes"], "xattr"),
    ];
    for (arguments, carrier) in cases {
        let file = scene.path("tool");
        fs::remove_file(&file).ok();
        fs::remove_file(scene.path("tool.p7s")).ok();
        fs::copy("/bin/true", &file).unwrap();
        sign(&scene, &[arguments, &["tool"]].concat());
        let before = fs::read(&file).unwrap().len();
        scene.run(&["timestamp", "query", "tool", "-o", "tool.tsq"]);
        let shown = String::from_utf8(openssl(&["ts", "-query", "-in", text(&scene.path("tool.tsq")), "-text"]).stdout).unwrap();
        assert!(shown.contains("Hash Algorithm: sha256") && shown.contains("Certificate required: yes"), "{shown}");
        answer(&scene, "tool.tsq", "tool.tsr");
        let told = scene.run(&["timestamp", "attach", "tool.tsr", "tool"]);
        assert!(told.contains(carrier), "{told}");
        assert_eq!(verifies(&scene, "tool")[0]["carrier"], *carrier, "{arguments:?}");
        // Once more: the earlier token is replaced, so nothing grows.
        let first = (fs::read(&file).unwrap().len(), fs::read(scene.path("tool.p7s")).map(|bytes| bytes.len()).ok());
        scene.run(&["timestamp", "attach", "tool.tsr", "tool"]);
        assert_eq!(first, (fs::read(&file).unwrap().len(), fs::read(scene.path("tool.p7s")).map(|bytes| bytes.len()).ok()));
        assert!(carrier != "embedded" || first.0 == before, "the room was there");
    }
}

#[test]
fn openssl_finds_its_own_token_in_the_signature() {
    let scene = scene();
    scene.file("tool", "content");
    sign(&scene, &["--detach", "tool"]);
    scene.run(&["timestamp", "query", "tool.p7s", "-o", "q"]);
    answer(&scene, "q", "r");
    scene.run(&["timestamp", "attach", "r", "tool.p7s"]);
    let at = |name: &str| text(&scene.path(name)).to_owned();
    let reply = ["ts", "-verify", "-queryfile", &at("q"), "-in", &at("r"), "-CAfile", &at("pki/root.pem"), "-untrusted", &at("pki/chain.pem")];
    assert!(try_openssl(&reply).status.success());
    // The token by itself does it too, and makes the same bytes.
    openssl(&["ts", "-reply", "-config", &at("tsa.conf"), "-in", &at("r"), "-token_out", "-out", &at("token")]);
    let once = fs::read(scene.path("tool.p7s")).unwrap();
    let token = fs::read(scene.path("token")).unwrap();
    assert!(once.windows(token.len()).any(|window| window == token));
    sign_again_with(&scene, &once, &at("token"));
    // openssl still accepts the signature: nothing that is signed has changed.
    let verify = ["cms", "-verify", "-binary", "-inform", "DER", "-in", &at("tool.p7s"), "-content", &at("tool"), "-purpose", "any"];
    assert!(try_openssl(&[&verify[..], &["-CAfile", &at("pki/root.pem"), "-out", "/dev/null"]].concat()).status.success());
}

fn sign_again_with(scene: &Scene, expected: &[u8], token: &str) {
    scene.run(&["timestamp", "attach", token, "tool"]);
    assert_eq!(fs::read(scene.path("tool.p7s")).unwrap(), expected);
}

#[test]
fn what_does_not_fit_is_refused_with_a_remedy_and_changes_nothing() {
    let scene = scene();
    for name in ["one", "two"] {
        scene.file(name, name);
        sign(&scene, &["--detach", name]);
    }
    fs::copy("/bin/true", scene.path("small")).unwrap();
    sign(&scene, &["small"]);
    scene.file("unsigned", "x");
    for name in ["one", "small"] {
        scene.run(&["timestamp", "query", name, "-o", "q"]);
        answer(&scene, "q", &format!("{name}.tsr"));
    }
    scene.file("garbage", [0x30, 0x03, 0x02, 0x01, 0x00]);
    scene.file("refused", [0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02]);
    let untouched = |names: &[&str]| names.iter().map(|name| fs::read(scene.path(name)).unwrap()).collect::<Vec<_>>();
    let names = ["one", "one.p7s", "two", "two.p7s", "small"];
    let before = untouched(&names);
    let cases = [
        (2, ["one.tsr", "two"], "not about this signature"),
        (2, ["garbage", "one"], "no timestamp token"),
        (2, ["one", "one"], "no TimeStampResp"),
        (2, ["refused", "one"], "status 2"),
        (2, ["small.tsr", "small"], "--reserve"),
        (2, ["one.tsr", "unsigned"], "not signed"),
        (3, ["missing", "one"], "No such file"),
    ];
    for (status, [reply, file], expected) in cases {
        let told = scene.fail(status, &["timestamp", "attach", reply, file]);
        assert!(told.contains(expected) && told.contains("hint"), "{reply} {file}: {told}");
    }
    assert_eq!(untouched(&names), before);
    assert!(scene.fail(2, &["timestamp", "query", "unsigned", "-o", "q"]).contains("not signed"));
    assert_eq!(attribute(Path::new(&scene.path("one")), "user.enforcer.signature"), None);
}

#[test]
fn no_cut_or_changed_byte_of_a_reply_makes_it_panic() {
    let scene = scene();
    scene.file("tool", "content");
    sign(&scene, &["--detach", "tool"]);
    scene.run(&["timestamp", "query", "tool", "-o", "q"]);
    answer(&scene, "q", "r");
    let reply = fs::read(scene.path("r")).unwrap();
    for at in (0..reply.len()).step_by(7) {
        scene.file("cut", &reply[..at]);
        let mut changed = reply.clone();
        changed[at] ^= 0xff;
        scene.file("changed", changed);
        for name in ["cut", "changed"] {
            let outcome = enforcer::signature::sign::stamp::attach(&scene.path(name), &scene.path("tool"));
            assert!(name == "changed" || outcome.is_err(), "{at}");
        }
    }
}
