//! A folder with files, the `enforcer` command in it, and what openssl says about what it made.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::pki::{Identity, PKI, text, try_openssl};

pub struct Scene {
    pub folder: TempDir,
}

impl Scene {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `enforcer` with these arguments, in the folder.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_enforcer"));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// Runs it, expects success, and gives its standard output.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "enforcer {}\n{}{}", arguments.join(" "), stdout(&output), stderr(&output));
        stdout(&output)
    }

    /// Runs it, expects this exit status, and gives its standard error.
    pub fn fail(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "enforcer {}\n{}{}", arguments.join(" "), stdout(&output), stderr(&output));
        stderr(&output)
    }

    /// `enforcer sign` by this signer.
    pub fn sign(&self, signer: &Identity, arguments: &[&str]) -> String {
        self.run(&sign_words(signer, arguments))
    }

    pub fn sign_fails(&self, status: i32, signer: &Identity, arguments: &[&str]) -> String {
        self.fail(status, &sign_words(signer, arguments))
    }

    /// What is in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn sign_words<'a>(signer: &'a Identity, arguments: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["sign", "--key", text(&signer.key), "--certificate", text(&signer.certificate)];
    if let Some(chain) = &signer.chain {
        words.extend(["--chain", text(chain)]);
    }
    words.extend(arguments);
    words
}

/// `openssl cms -verify` with the test root, and these arguments on top.
pub fn openssl_verifies(content: &Path, signature: &Path, more: &[&str]) -> bool {
    let arguments = ["cms", "-verify", "-binary", "-inform", "DER", "-in", text(signature), "-content", text(content), "-purpose", "any"];
    try_openssl(&[&arguments[..], &["-CAfile", text(&PKI.root.certificate), "-out", "/dev/null"], more].concat()).status.success()
}

/// `openssl cms -cmsout -print`.
pub fn openssl_prints(signature: &Path) -> String {
    stdout(&try_openssl(&["cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", text(signature)]))
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An extended attribute's value.
pub fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 65536];
    let length = rustix::fs::getxattr(path, name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}
