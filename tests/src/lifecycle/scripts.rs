//! What interpreters are held to, beyond the table of `cargo xtask test scripts`: on every kernel of the suite, with the system's own shell and Python.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::Test;
use crate::attack::MAY_BE_STARTED;
use crate::child::{self, Ended};
use crate::events::Mark;
use crate::scene::Scene;
use crate::service::{self, Policy};

pub const TESTS: &[Test] = &[
    Test::new("unsigned_script_is_not_read_by_its_interpreter", "`bash x`, `. ./x.sh`, `python3 x.py`, `import x`, and their signed twin", read),
    Test::new("file_in_a_folder_of_scripts_is_a_script", "sourced by its place, by a link from there, and from elsewhere", placed),
    Test::new(
        "data_is_not_read_where_the_policy_says",
        "a file without a script's name, sourced by an interpreter that may read signed files only",
        data,
    ),
    Test::new("text_is_denied_where_the_policy_says", "`sh -c`, a pipe into `sh`, and who may hand text over all the same", text),
    Test::new("interpreter_that_asks_is_answered", "`execveat` with `AT_EXECVE_CHECK` about signed and unsigned scripts", asked),
    Test::new("protected_process_runs_no_other_code", "a library of another signer, one of its own, and an interpreter", protected),
];

fn read(scene: &Scene) -> Result<String> {
    let shell = write(scene, "say.sh", "echo unsigned code ran\n")?;
    let plain = write(scene, "say", "echo unsigned code ran\n")?;
    let python = write(scene, "say.py", "print('unsigned code ran')\n")?;
    let sources = format!(". {}", shell.display());
    let imports = format!("import sys; sys.path.insert(0, '{}'); import say", python.parent().context("no folder")?.display());
    for words in [
        vec!["bash".as_ref(), shell.as_os_str()],
        vec!["bash".as_ref(), plain.as_os_str()],
        vec!["sh".as_ref(), "-c".as_ref(), sources.as_ref()],
        vec!["python3".as_ref(), python.as_os_str()],
        vec!["python3".as_ref(), "-c".as_ref(), imports.as_ref()],
    ] {
        let mark = Mark::now();
        let ended = child::run(Command::new(words[0]).args(&words[1..]))?;
        ensure!(!ended.said(RAN) && !ended.status.success(), "{words:?}: it {}", ended.describe());
        let event = mark.wait_for("of the script", |event| event["pid"] == ended.pid && event["denied"] == true)?;
        ensure!(event["hook"] == "file_post_open" && event["reason"] == "untrusted", "{words:?}: {event}");
    }
    let signed = scene.copy("bin/script.sh", "signed")?;
    let twin = child::run(Command::new("bash").arg(signed))?;
    ensure!(twin.ran("signed code"), "the signed one: it {}", twin.describe());
    Ok("none was read but the signed one".to_owned())
}

fn placed(scene: &Scene) -> Result<String> {
    let elsewhere = write(scene, "elsewhere", SAY)?;
    let folder = scene.disk("bash-completion");
    fs::create_dir_all(folder.join("completions"))?;
    let file = write(scene, "bash-completion/completions/tool", SAY)?;
    let link = folder.join("link");
    std::os::unix::fs::symlink(&elsewhere, &link)?;
    let sources = |path: &Path| child::run(Command::new("bash").args(["-c", &format!(". {}", path.display())]));
    for path in [&file, &link] {
        let mark = Mark::now();
        let ended = sources(path)?;
        ensure!(!ended.said(RAN) && !ended.status.success(), "{}: it {}", path.display(), ended.describe());
        let event = mark.wait_for("of the file", |event| event["pid"] == ended.pid && event["denied"] == true)?;
        ensure!(event["hook"] == "file_post_open" && event["reason"] == "untrusted", "{event}");
    }
    let twin = sources(&elsewhere)?;
    ensure!(twin.ran(RAN), "a file of no script's name and place: it {}", twin.describe());
    Ok("it is one by its place, and by the place of a link".to_owned())
}

fn data(scene: &Scene) -> Result<String> {
    let sources = |path: &Path| child::run(Command::new("dash").args(["-c", &format!(". {}", path.display())]));
    let (unsigned, signed) = (write(scene, "data", SAY)?, scene.copy("bin/script.sh", "signed-data")?);
    let before = sources(&unsigned)?;
    ensure!(before.ran(RAN), "where the policy does not say so: it {}", before.describe());
    let policy = Policy::open()?;
    policy.write(&format!("{}\n[[interpreter]]\nname = \"dash\"\nothers = \"deny\"\n", policy.original()))?;
    service::reload_in_force()?;
    let mark = Mark::now();
    let ended = sources(&unsigned)?;
    ensure!(!ended.said(RAN) && !ended.status.success(), "it {}", ended.describe());
    let event = mark.wait_for("of the file", |event| event["pid"] == ended.pid && event["denied"] == true)?;
    ensure!(event["hook"] == "file_post_open" && event["reason"] == "untrusted", "{event}");
    let twin = sources(&signed)?;
    ensure!(twin.ran("signed code"), "the signed one: it {}", twin.describe());
    let other = child::run(Command::new("bash").args(["-c", &format!(". {}", unsigned.display())]))?;
    ensure!(other.ran(RAN), "another interpreter: it {}", other.describe());
    drop(policy);
    service::reload_in_force()?;
    Ok("the signed file was read, and the other one not".to_owned())
}

fn text(scene: &Scene) -> Result<String> {
    let policy = Policy::open()?;
    policy.write(&format!("{}\n[scripts]\ninline = \"deny\"\nstdin = \"deny\"\n", policy.original()))?;
    service::reload_in_force()?;
    is_killed(&child::run(Command::new("sh").args(["-c", SAY]))?, "inline-code")?;
    is_killed(&child::run(Command::new("bash").args(["-eo", "pipefail", "-c", SAY]))?, "inline-code")?;
    is_killed(&child::run(Command::new("env").args(["BASH_FUNC_x%%=() { :; }", "bash", "/usr/bin/ldd"]))?, "inline-code")?;
    let pipe = write(scene, "text", &format!("{SAY}\n"))?;
    let ended = child::run_with_input(&mut Command::new("sh"), Stdio::from(fs::File::open(pipe)?), child::PATIENCE)?;
    is_killed(&ended, "code-from-stdin")?;
    // Nothing to run is nothing to deny.
    let nothing = child::run(&mut Command::new("sh"))?;
    ensure!(nothing.status.success(), "a shell that reads nothing: it {}", nothing.describe());
    policy.write(&format!("{}\n[scripts]\ninline = \"deny\"\ncallers = \"programs\"\n", policy.original()))?;
    service::reload_in_force()?;
    let by_program = child::run(Command::new("sh").args(["-c", SAY]))?;
    ensure!(by_program.ran(RAN), "text that a signed program hands over: it {}", by_program.describe());
    let by_interpreter = child::run(Command::new("sh").args(["-c", &format!("bash -c '{SAY}'; true")]))?;
    ensure!(!by_interpreter.said(RAN), "text that a shell hands over: it {}", by_interpreter.describe());
    drop(policy);
    service::reload_in_force()?;
    Ok("text was run where the policy says so, and nowhere else".to_owned())
}

fn is_killed(ended: &Ended, reason: &str) -> Result<()> {
    ensure!(ended.status.signal() == Some(libc::SIGKILL) && !ended.said(RAN), "{reason}: it {}", ended.describe());
    let event = Mark::BEGINNING.wait_for("of the text", |event| event["pid"] == ended.pid && event["hook"] == "bprm_committed_creds")?;
    ensure!(event["denied"] == true && event["reason"] == reason, "{event}");
    Ok(())
}

fn asked(scene: &Scene) -> Result<String> {
    let ask = |fixture: &str, name: &str| -> Result<Ended> {
        let script = scene.copy(fixture, name)?;
        child::run(&mut scene.attack(["execveat-check".as_ref(), script.as_os_str()]))
    };
    let mark = Mark::now();
    let (unsigned, signed) = (ask("unsigned/script.sh", "unsigned.sh")?, ask("bin/script.sh", "signed.sh")?);
    if !kernel_answers()? {
        let is_unknown = |ended: &Ended| ended.stderr.contains("Invalid argument");
        ensure!(is_unknown(&signed) && is_unknown(&unsigned), "it {} and {}", signed.describe(), unsigned.describe());
        return Ok("this kernel knows no such question, and says so".to_owned());
    }
    ensure!(signed.ran(MAY_BE_STARTED), "about the signed script: it {}", signed.describe());
    ensure!(unsigned.stderr.contains("Operation not permitted"), "about the unsigned script: it {}", unsigned.describe());
    let event = mark.wait_for("of the question", |event| event["pid"] == unsigned.pid && event["denied"] == true)?;
    ensure!(event["hook"] == "bprm_creds_for_exec" && event["reason"] == "untrusted", "{event}");
    Ok("yes about the signed script, and no about the other".to_owned())
}

/// From 6.14 on.
fn kernel_answers() -> Result<bool> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { bail!("the kernel's release is {release}") };
    Ok((major, minor) >= (6, 14))
}

fn protected(scene: &Scene) -> Result<String> {
    let (program, foreign, own) = (scene.fixture("claims/protected"), scene.fixture("claims/other"), scene.fixture("lib/libanswer.so"));
    let map = |program: &Path, library: &Path| child::run(Command::new(program).args(["attack", "map"]).arg(library));
    let mark = Mark::now();
    let refused = map(&program, &foreign)?;
    ensure!(refused.stderr.contains("Operation not permitted"), "a library of another signer: it {}", refused.describe());
    let event = mark.wait_for("of the library", |event| event["pid"] == refused.pid && event["denied"] == true)?;
    ensure!(event["reason"] == "protected-process" && event["hook"] == "mmap_file", "{event}");
    let mapped = map(&program, &own)?;
    ensure!(mapped.ran("the library answered 42"), "a library of its own signer: it {}", mapped.describe());
    let elsewhere = map(&scene.fixture("claims/entitled"), &foreign)?;
    ensure!(!elsewhere.stderr.contains("Operation not permitted"), "in a program that is not protected: it {}", elsewhere.describe());

    let script = scene.copy("bin/script.sh", "script.sh")?;
    let mark = Mark::now();
    let started = child::run(Command::new(&program).args(["attack", "exec"]).arg(&script))?;
    ensure!(!started.said("signed code") && started.stderr.contains("Operation not permitted"), "an interpreter: it {}", started.describe());
    let event = mark.wait_for("of the interpreter", |event| event["pid"] == started.pid && event["denied"] == true)?;
    ensure!(event["reason"] == "protected-process" && event["hook"] == "bprm_check_security", "{event}");
    Ok("it mapped a library of its own signer, and nothing else".to_owned())
}

/// A file with this text, which nobody signs.
fn write(scene: &Scene, name: &str, text: &str) -> Result<std::path::PathBuf> {
    let path = scene.disk(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

const RAN: &str = "unsigned code ran";
const SAY: &str = "echo unsigned code ran";
