//! The demo's keys: a certificate authority and one code-signing certificate below it, made by openssl as any user would.
//!
//! The private keys stay in the cache; a guest gets the authority's certificate only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{self, Item};
use crate::process;
use crate::ui::Step;

const CONFIG: &str = "\
[req]
distinguished_name = name
prompt = no
[name]
CN = placeholder
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[signer]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, codeSigning
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
";

/// The demo's keys and certificates.
pub(crate) struct Pki {
    dir: PathBuf,
}

/// The demo's keys, which [`make`] made.
pub(crate) fn open() -> Result<Pki> {
    Ok(Pki { dir: item()?.path().to_path_buf() })
}

/// Makes the demo's keys, unless they are there.
pub(crate) fn make() -> Result<()> {
    let item = item()?;
    if item.is_fresh() {
        return Ok(());
    }
    let step = Step::start("demo certificates");
    let dir = item.workshop()?;
    fs::write(dir.join("openssl.cnf"), CONFIG)?;
    let request = |arguments: &[&str]| {
        process::run(
            openssl(&dir)
                .arg("req")
                .args(["-config", "openssl.cnf", "-nodes", "-newkey", "ec"])
                .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(arguments),
            &step,
        )
    };
    request(&["-x509", "-days", "3650", "-subj", "/CN=Enforcer demo CA", "-extensions", "authority", "-keyout", "ca.key", "-out", "ca.pem"])?;
    request(&["-subj", "/CN=Enforcer demo signer", "-keyout", "signer.key", "-out", "signer.csr"])?;
    let issue = ["x509", "-req", "-in", "signer.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3650"];
    let extensions = ["-extfile", "openssl.cnf", "-extensions", "signer", "-out", "signer.pem"];
    process::run(openssl(&dir).args(issue).args(extensions), &step)?;
    item.publish(&dir)?;
    step.done("made");
    Ok(())
}

impl Pki {
    /// The authority's certificate (PEM).
    pub(crate) fn authority(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The signing certificate (PEM).
    pub(crate) fn signer(&self) -> PathBuf {
        self.dir.join("signer.pem")
    }

    /// The signing certificate's private key (PEM).
    pub(crate) fn signer_key(&self) -> PathBuf {
        self.dir.join("signer.key")
    }

    /// What tells these keys from others.
    pub(crate) fn fingerprint(&self) -> Result<String> {
        Ok(cache::hash(&fs::read(self.authority()).context("the demo certificates are missing")?))
    }

    /// Signs `file` as a user would: a detached CMS signature in `FILE.p7s`, whose path is returned.
    pub(crate) fn sign(&self, file: &Path) -> Result<PathBuf> {
        let mut signature = file.as_os_str().to_owned();
        signature.push(".p7s");
        let mut command = Command::new("openssl");
        command.args(["cms", "-sign", "-binary", "-md", "sha256", "-outform", "DER", "-signer"]).arg(self.signer());
        command.arg("-inkey").arg(self.signer_key()).arg("-in").arg(file).arg("-out").arg(&signature);
        process::output(&mut command).with_context(|| format!("openssl could not sign `{}`", file.display()))?;
        Ok(signature.into())
    }
}

fn item() -> Result<Item> {
    Item::new("pki", CONFIG)
}

fn openssl(dir: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(dir);
    command
}
