//! A folder with code, policies and an event log; and what the commands say about them, as a terminal of 80 columns would show it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use enforcer::audit::{BootTime, EventLog, LogLimits, Record, Timestamp};
use enforcer::cli::Exit;
use enforcer_common::{Digest, Event, Hook, Reason};
use tempfile::TempDir;

use crate::pki::{Identity, PKI, text};
use crate::screen::shown;

pub struct Trial {
    folder: TempDir,
}

/// What a command said, and how it ended.
pub struct Told {
    pub text: String,
    pub exit: Exit,
}

impl Trial {
    /// The folder's path is always as long, so that texts are always broken at the same places.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("enforcer-").rand_bytes(6).tempdir_in("/tmp").unwrap();
        let trial = Self { folder };
        trial.policy("audit.toml", "audit", "");
        trial.policy("enforce.toml", "enforce", "");
        trial
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        text(&self.path(name)).to_owned()
    }

    /// A policy that trusts the test root; the folder may be in memory, which is nothing to the tests.
    pub fn policy(&self, name: &str, mode: &str, more: &str) {
        let (root, folder) = (text(&PKI.root.certificate), self.folder.path().display());
        let signer = format!("[[signer]]\nname = \"vendor\"\nanchors = [\"{root}\"]\n");
        let signer = if more.contains("[[signer]]") { String::new() } else { signer };
        let settings = format!(
            "[filesystems]\nvolatile = \"allow\"\nforeign = \"allow\"\n[revocation]\ncrls = []\nfile = \"{folder}/revoked.toml\"\n[sources]\nmanifests = [\"{folder}/manifests\"]\nstores = []\n"
        );
        fs::write(self.path(name), format!("version = 1\nmode = \"{mode}\"\n{signer}{settings}{more}")).unwrap();
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A program that nobody signed.
    pub fn program(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy("/bin/sleep", &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Starts a program that does nothing for a minute. While another test's child has not become its program yet, it holds what was just written open.
    pub fn start(program: &Path) -> Child {
        loop {
            match Command::new(program).arg("60").stdin(Stdio::null()).spawn() {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                started => return started.unwrap(),
            }
        }
    }

    pub fn sign(&self, signer: &Identity, names: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_enforcer"));
        command.current_dir(self.folder.path()).args(["sign", "--key", text(&signer.key), "--certificate", text(&signer.certificate)]);
        if let Some(chain) = &signer.chain {
            command.args(["--chain", text(chain)]);
        }
        let output = command.args(names).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Appends an event to the log `events.jsonl`; its name.
    pub fn event(&self, reason: Reason, hook: Hook, file: Option<&Path>, change: impl FnOnce(&mut Record)) -> String {
        let mut event = Event { cgroup: 1, parent_pid: 1, uid: 33, ..Event::new(hook, reason).by_process(4321, "web") };
        if let Some(file) = file {
            let content = fs::read(file).unwrap_or_default();
            let digest = Digest::sha256(enforcer::text::sha256(&content));
            event = Event { inode: 7, size: content.len() as u64, digest, ..event.about(file.as_os_str().as_encoded_bytes()) };
        }
        let mut record = Record::at(&event, BootTime::at(Timestamp::parse("2026-01-31T09:30:10Z").unwrap(), 0));
        record.cgroup = Some("/system.slice/web.service".to_owned());
        change(&mut record);
        EventLog::open(&self.path("events.jsonl"), LogLimits::default()).append(&record);
        record.id
    }

    /// Runs a command as a terminal of 80 columns shows it. `FOLDER/` in a word is the folder of the trial.
    pub fn run(&self, words: &[&str]) -> Told {
        let folder = format!("{}/", self.folder.path().display());
        let (exit, text) = shown(["enforcer"].iter().chain(words).map(|word| word.replace("FOLDER/", &folder)));
        Told { text, exit }
    }

    /// `simulate` of the log, without the machine that runs the tests.
    pub fn simulate(&self, words: &[&str]) -> Told {
        let log = ["simulate", "--log", "FOLDER/events.jsonl", "--since", "2026-01-01T00:00:00Z", "--no-processes"];
        self.run(&[&log, words].concat())
    }

    /// What was said, with what is another one in each run written in the same letters.
    pub fn settled(&self, told: &Told, ids: &[&str]) -> String {
        let mut text = told.text.replace(&self.folder.path().display().to_string(), "/tmp/enforcer-FOLDER");
        for id in ids {
            text = text.replace(&id[..8], "0a1b2c3d");
        }
        let is_the_same = |line: &&str| !line.starts_with("  file system") && !line.starts_with("  holds until");
        text.lines().filter(is_the_same).map(|line| format!("{line}\n")).collect()
    }
}

impl Told {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}
