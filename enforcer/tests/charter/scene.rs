//! A policy with a policy signer, its signed list, and what is decided about it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use enforcer::charter::{self, Admitted, Charter, CharterError, InForce};
use enforcer::policy::Policy;
use enforcer::signature::Facts;
use enforcer::trust::{Revoked, SecurityVersions, TrustStore};
use rustls_pki_types::UnixTime;
use tempfile::TempDir;

use crate::pki::{self, AUTHORITY, Identity, SIGNING, cms_sign};

pub struct Scene {
    pub folder: TempDir,
    /// The authority of `board`, whose word counts for policies.
    pub board_root: Identity,
    /// Somebody of the board.
    pub board: Identity,
    /// Somebody who may sign code and no policy.
    pub operator: Identity,
    pub versions: SecurityVersions,
}

impl Scene {
    /// A policy that demands the board's word, not signed yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        fs::create_dir(&keys).unwrap();
        let board_root = pki::self_signed(&keys, "board-root", "p256", AUTHORITY);
        let board = pki::issue(&keys, "board", "p256", SIGNING, &board_root, &["-days", "365"]);
        let operator = pki::self_signed(&keys, "operator", "p256", SIGNING);
        fs::copy(&board_root.certificate, folder.path().join("board.pem")).unwrap();
        fs::copy(&operator.certificate, folder.path().join("operator.pem")).unwrap();
        let scene = Self { folder, board_root, board, operator, versions: SecurityVersions::default() };
        scene.write_policy(&scene.signed_by("board"));
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn list(&self) -> PathBuf {
        self.path("policy.toml.manifest")
    }

    /// The end of a policy whose policy signer this is.
    pub fn signed_by(&self, signer: &str) -> String {
        format!("[protection]\npolicy-signers = [\"{signer}\"]\n")
    }

    pub fn write_policy(&self, more: &str) {
        let at = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "version = 1\nmode = \"audit\"\n[[signer]]\nname = \"operators\"\ncertificates = [\"{}\"]\n[[signer]]\nname = \"board\"\nanchors = [\"{}\"]\n\
             [revocation]\nfile = \"{}\"\ncrls = [\"{}\"]\n[sources]\nmanifests = []\nstores = []\n{more}",
            at("operator.pem"),
            at("board.pem"),
            at("revoked.toml"),
            at("crls")
        );
        fs::write(self.path("policy.toml"), text).unwrap();
    }

    pub fn write_list(&self) {
        fs::write(self.list(), charter::write(&self.policy(), &self.trust())).unwrap();
    }

    /// Lists what is there, and lets somebody sign it.
    pub fn sign(&self, signer: &Identity) {
        self.write_list();
        cms_sign(&self.list(), signer, &[], &self.path("policy.toml.manifest.p7s"));
    }

    /// The same, with a security version.
    pub fn sign_edition(&self, signer: &Identity, identifier: &str, version: u32) {
        self.write_list();
        let mut sign = Command::new(env!("CARGO_BIN_EXE_enforcer"));
        sign.args(["manifest", "sign", "--identifier", identifier, "--security-version", &version.to_string(), "--key"]).arg(&signer.key);
        let signed = sign.arg("--certificate").arg(&signer.certificate).arg(self.list()).output().unwrap();
        assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    }

    pub fn policy(&self) -> Policy {
        Policy::load(&self.path("policy.toml")).unwrap()
    }

    pub fn trust(&self) -> TrustStore {
        TrustStore::load(&self.policy(), UnixTime::now()).unwrap()
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts { now: UnixTime::now(), security_versions: &self.versions }
    }

    pub fn admit(&self, in_force: &[InForce]) -> Result<Admitted, CharterError> {
        self.admit_with(in_force).0
    }

    /// With what is revoked afterwards.
    pub fn admit_with(&self, in_force: &[InForce]) -> (Result<Admitted, CharterError>, Revoked) {
        let mut trust = self.trust();
        let outcome = charter::admit(&self.policy(), &mut trust, in_force, &self.facts());
        (outcome, trust.revoked().clone())
    }

    /// What a daemon has in force that let this policy in.
    pub fn in_force(&self) -> InForce {
        let (admitted, kept) = self.admit_with(&[]);
        let charter = through_bytes(&admitted.unwrap().charter.remembering(self.trust().list_marks(), None));
        InForce { charter, kept }
    }
}

/// As the next daemon finds it in the kernel.
pub fn through_bytes(charter: &Charter) -> Charter {
    let read = Charter::from_bytes(&charter.to_bytes(enforcer_common::CHARTER_SIZE).unwrap()).unwrap();
    assert_eq!(read, *charter);
    read
}

pub fn append(path: &Path, text: &str) {
    let before = fs::read_to_string(path).unwrap();
    fs::write(path, before + text).unwrap();
}
