//! A folder with keys, policies, code and an event log, and what the binary says about them through a pipe, or a terminal of 80 columns.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use enforcer::audit::{BootTime, EventLog, LogLimits, Record, Timestamp};
use enforcer_common::{Digest, Event, Hook, Reason};

use crate::screen::shown;

pub struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    /// The folder's path is always as long, so that texts are always broken at the same places.
    pub fn new() -> Self {
        let scene = Self { folder: tempfile::Builder::new().prefix("enforcer-").rand_bytes(6).tempdir_in("/tmp").unwrap() };
        scene.succeed("enforcer trust init pki");
        let folder = scene.folder.path().display();
        let anchors = format!("anchors = [\"{folder}/pki/root.pem\"]");
        scene.file(
            "policy.toml",
            format!(
                "version = 1\nmode = \"enforce\"\n[[signer]]\nname = \"trial\"\n{anchors}\n[[timestamp-authority]]\nname = \"clock\"\n{anchors}\n\
                 [filesystems]\nvolatile = \"allow\"\nforeign = \"allow\"\n[revocation]\ncrls = []\nfile = \"{folder}/revoked.toml\"\n\
                 [sources]\nmanifests = [\"{folder}/manifests\"]\nstores = []\n"
            ),
        );
        scene.file("tree/bin/tool", "#!/bin/sh\necho tool\n");
        scene.file("tree/lib/a-library-with-a-name-that-is-longer-than-most/plugin.sh", "#!/bin/sh\n");
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that can be started.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Appends to `events.jsonl` what somebody did half a minute after the one before.
    pub fn event(&self, reason: Reason, path: &Path, comm: &str, is_denied: bool) {
        let log = self.path("events.jsonl");
        let seconds = 30 * fs::read_to_string(&log).unwrap_or_default().lines().count() as u64;
        let digest = fs::read(path).map_or(Digest::NONE, |content| Digest::sha256(enforcer::text::sha256(&content)));
        let event = Event {
            time: seconds * 1_000_000_000,
            cgroup: 1,
            inode: 7,
            size: 4096,
            parent_pid: 1,
            uid: 33,
            digest,
            ..Event::new(Hook::BprmCheckSecurity, reason)
        };
        let event = event.by_process(4321, comm).about(path.as_os_str().as_encoded_bytes());
        let event = if is_denied { event.denied() } else { event };
        let mut record = Record::at(&event, BootTime::at(Timestamp::parse("2026-01-31T09:30:00Z").unwrap(), 0));
        record.cgroup = Some("/system.slice/web.service".to_owned());
        EventLog::open(&log, LogLimits::default()).append(&record);
    }

    /// What a user sees who types these commands, and has the output go into a pipe: it, what stderr gets, and the exit status if it is not 0.
    pub fn transcript(&self, commands: &[&str]) -> String {
        let told = commands.iter().map(|command| {
            let output = self.run(command);
            let status = output.status.code().filter(|status| *status != 0).map_or_else(String::new, |status| format!("? {status}\n"));
            format!("$ {command}\n{}{}{status}", String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
        });
        self.settled(&told.collect::<Vec<_>>().join("\n"))
    }

    /// What a terminal of 80 columns shows of one command. `FOLDER/` in a word is the folder.
    pub fn terminal(&self, command: &str) -> String {
        let folder = format!("{}/", self.folder.path().display());
        let words = shlex::split(command).unwrap().into_iter().map(|word| word.replace("FOLDER/", &folder));
        self.settled(&shown(words).1)
    }

    pub fn succeed(&self, command: &str) {
        let output = self.run(command);
        assert!(output.status.success(), "{command}: {output:?}");
    }

    fn run(&self, command: &str) -> std::process::Output {
        let words = shlex::split(command).unwrap();
        let program = if words[0] == "enforcer" { env!("CARGO_BIN_EXE_enforcer") } else { &words[0] };
        let mut command = Command::new(program);
        command
            .args(&words[1..])
            .current_dir(self.folder.path())
            .env_remove("NO_COLOR")
            .env_remove("COLUMNS")
            .env("TERM", "xterm")
            .stdin(Stdio::null());
        command.output().unwrap()
    }

    /// With what is another one in each run written in the same letters, as many.
    fn settled(&self, text: &str) -> String {
        let mut text = text.replace(&self.folder.path().display().to_string(), "/tmp/enforcer-FOLDER");
        let (digest, shown) = ("h".repeat(64), "5e".repeat(32));
        let settled =
            [(digest.as_str(), shown.as_str()), ("dddd-dd-dd", "2026-01-31"), ("dd:dd:dd", "09:30:00"), ("(event hhhhhhhh)", "(event 0a1b2c3d)")];
        for (pattern, instead) in settled {
            text = replaced(&text, pattern, instead);
        }
        text
    }
}

/// Where `h` stands for a hexadecimal digit, and `d` for a decimal one.
fn replaced(text: &str, pattern: &str, instead: &str) -> String {
    let fits = |at: usize| {
        text.as_bytes().get(at..at + pattern.len()).is_some_and(|found| {
            found.iter().zip(pattern.bytes()).all(|(found, wanted)| match wanted {
                b'h' => found.is_ascii_hexdigit(),
                b'd' => found.is_ascii_digit(),
                other => *found == other,
            })
        })
    };
    let (mut result, mut at) = (String::new(), 0);
    while let Some(character) = text[at..].chars().next() {
        if fits(at) {
            result.push_str(instead);
            at += pattern.len();
        } else {
            result.push(character);
            at += character.len_utf8();
        }
    }
    result
}
