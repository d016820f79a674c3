//! A policy signer for one test: made in the guest, because an order names this very boot; thrown away with the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::child::{self, Ended};
use crate::scene::Scene;
use crate::service::{self, POLICY, Policy};

/// A key and its certificate.
pub struct Board {
    folder: PathBuf,
    policy: Policy,
}

/// Puts the suite's policy in force with a policy signer, does something, and takes that off again, whatever came of it.
pub fn with_board(scene: &Scene, test: impl FnOnce(&Board) -> Result<String>) -> Result<String> {
    let board = Board { folder: scene.disk("board"), policy: Policy::open()? };
    fs::create_dir_all(&board.folder)?;
    board.make("board")?;
    fs::copy(board.file("board.pem"), CERTIFICATE)?;
    let outcome = board.put_in_force(&board.demanding()?).and_then(|()| test(&board));
    let ended = board.end();
    outcome.and_then(|happened| ended.map(|()| happened))
}

impl Board {
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Another key with a certificate of its own.
    pub fn make(&self, name: &str) -> Result<()> {
        let request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
        let extensions = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=codeSigning"];
        let (key, certificate, subject) = (self.text(&format!("{name}.key")), self.text(&format!("{name}.pem")), format!("/CN=Test {name}"));
        let files = ["-subj", &subject, "-keyout", &key, "-out", &certificate];
        service::succeed("openssl", &[&request[..], &extensions, &files].concat()).map(drop)
    }

    /// The suite's policy, with the board as its policy signer.
    pub fn demanding(&self) -> Result<String> {
        let (original, demand) = (self.policy.original(), "[protection]\npolicy-signers = [\"board\"]\n");
        ensure!(!original.contains("policy-signers"), "the suite's policy has policy signers of its own");
        let signer = format!("\n[[signer]]\nname = \"board\"\ncertificates = [\"{CERTIFICATE}\"]\nallow = []\n");
        let has_table = original.contains("[protection]\n");
        let text = if has_table { original.replace("[protection]\n", demand) } else { format!("{original}\n{demand}") };
        Ok(text + &signer)
    }

    /// Writes a policy, and what was signed is as it was.
    pub fn write(&self, policy: &str) -> Result<()> {
        self.policy.write(policy)
    }

    /// Lists the policy as it is, and lets somebody sign the list.
    pub fn sign(&self, name: &str, claims: &[&str]) -> Result<()> {
        fs::write(LIST, service::succeed("enforcer", &["policy", "list"])?)?;
        let (key, certificate) = (self.text(&format!("{name}.key")), self.text(&format!("{name}.pem")));
        let sign = ["manifest", "sign", "--key", &key, "--certificate", &certificate];
        service::succeed("enforcer", &[&sign[..], claims, &[LIST]].concat()).map(drop)
    }

    /// Signs a text with openssl, as the program says it is done.
    pub fn sign_order(&self, name: &str, text: &str) -> Result<PathBuf> {
        let order = self.file("order");
        fs::write(&order, text)?;
        let (input, output) = (self.text("order"), self.text("order.p7s"));
        let (key, certificate) = (self.text(&format!("{name}.key")), self.text(&format!("{name}.pem")));
        let sign = ["cms", "-sign", "-binary", "-outform", "DER", "-in", &input, "-signer", &certificate, "-inkey", &key, "-out", &output];
        service::succeed("openssl", &sign)?;
        Ok(order)
    }

    /// Writes a policy, lets the board sign it, and waits until it is in force.
    pub fn put_in_force(&self, policy: &str) -> Result<()> {
        self.write(policy)?;
        self.sign("board", &[])?;
        self.reload()
    }

    /// Asks the daemon to read what lies there, which it has to take.
    pub fn reload(&self) -> Result<()> {
        service::reload_in_force()
    }

    /// The policy of the suite, which demands nothing, by the board's own word.
    fn end(&self) -> Result<()> {
        self.write(self.policy.original())?;
        if !service::status()?["policy_signers"].as_array().is_none_or(Vec::is_empty) {
            self.sign("board", &self.last_claims())?;
        }
        service::start()?;
        self.reload().context("the board cannot take its policy off")?;
        ensure!(service::status()?["policy_signers"].as_array().is_some_and(Vec::is_empty), "{}", service::status()?);
        for file in [LIST, SIGNATURE, CERTIFICATE] {
            fs::remove_file(file).with_context(|| file.to_owned())?;
        }
        Ok(())
    }

    /// Newer than everything that a test signed.
    fn last_claims(&self) -> [&str; 4] {
        ["--identifier", IDENTIFIER, "--security-version", "1000000"]
    }

    fn text(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }
}

/// The claims of one edition of the policy.
pub fn edition(number: &str) -> [&str; 4] {
    ["--identifier", IDENTIFIER, "--security-version", number]
}

/// `enforcer`, whatever comes of it.
pub fn enforcer(arguments: &[&str]) -> Result<Ended> {
    child::run(Command::new("enforcer").args(arguments))
}

/// The id of this boot.
pub fn boot_id() -> Result<String> {
    Ok(fs::read_to_string(Path::new(BOOT_ID))?.trim().to_owned())
}

pub const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
pub const CERTIFICATE: &str = "/etc/enforcer/trust/board.pem";
const LIST: &str = "/etc/enforcer/policy.toml.manifest";
const SIGNATURE: &str = "/etc/enforcer/policy.toml.manifest.p7s";
const IDENTIFIER: &str = "test.policy";
const _: () = assert!(POLICY.len() + ".manifest".len() == LIST.len());
