//! `enforcer revoke`: single digests, certificates and signers that are trusted no longer.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use enforcer_common::Digest;
use rustix::fs::{FlockOperation, flock};
use rustls_pki_types::UnixTime;
use serde::Serialize;
use toml::value::Datetime;

use super::failure::note;
use super::{Exit, Failure, Output, PolicyOption, ReportOption};
use crate::audit::Timestamp;
use crate::daemon::{self, Notice};
use crate::kernel::fsverity_digest;
use crate::measure;
use crate::policy::Policy;
use crate::signature::{Examiner, Facts, content_digests};
use crate::text::{hex, printable};
use crate::trust::{self, RecordError, Revocation, Revoked, Subject, TrustStore, parse_sha256};

/// Trust a file's content, a certificate or a signer no longer.
///
/// Writes the policy's `[revocation]` `file`. A running daemon puts it in force within a second, for programs that start and libraries that are loaded
/// from then on; what runs already goes on running.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer revoke digest --file /usr/local/bin/tool --reason CVE-2026-1234
  sudo enforcer revoke certificate leaked.pem --reason \"key on a lost laptop\"
  sudo enforcer revoke signer contractor
  enforcer revoke list --json
  sudo enforcer revoke undo signer contractor")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Trust a file's content no longer, wherever it lies and whoever signed it.
    #[command(after_help = "Examples:
  sudo enforcer revoke digest --file /usr/local/bin/tool --reason CVE-2026-1234")]
    Digest(Change<ContentArguments>),
    /// Trust nothing any longer that this certificate signed, or certified.
    #[command(after_help = "Examples:
  sudo enforcer revoke certificate leaked.pem --reason \"key on a lost laptop\"")]
    Certificate(Change<CertificateArguments>),
    /// Trust one of the policy's signers no longer.
    #[command(after_help = "Examples:
  sudo enforcer revoke signer contractor")]
    Signer(Change<SignerArguments>),
    #[command(after_help = "Examples:
  enforcer revoke list
  enforcer revoke list --json | jq -r '.revoked[].value'")]
    List(List),
    Undo(Undo),
}

// What every revocation says besides its subject.
#[derive(clap::Args)]
struct Change<T: clap::Args> {
    #[command(flatten)]
    what: T,
    /// Why, for whoever reads the list later.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Write it down even if the daemon could not start again under it, or if the policy has no such signer.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    policy: PolicyOption,
}

// A file's content, wherever it lies and whoever signed it.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct ContentArguments {
    /// Its SHA-256; `fsverity-sha256:HEX` for an fs-verity digest.
    #[arg(value_name = "HEX", value_parser = digest)]
    digest: Option<Digest>,
    /// A file with that content. Its fs-verity digest is revoked too, if it has one, and what a signature inside of it is about.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

// Whatever this certificate signed, or certified.
#[derive(clap::Args)]
struct CertificateArguments {
    /// The certificate, or the SHA-256 of its DER (`openssl x509 -noout -fingerprint -sha256`).
    #[arg(value_name = "PEM|HEX")]
    certificate: String,
}

// One of the policy's signers.
#[derive(clap::Args)]
struct SignerArguments {
    /// Its name in the policy.
    #[arg(value_name = "NAME")]
    name: String,
}

/// What is revoked, why, and since when.
#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    policy: PolicyOption,
    #[command(flatten)]
    report: ReportOption,
}

/// Trust it again.
#[derive(clap::Args)]
struct Undo {
    #[command(subcommand)]
    what: Undone,
}

#[derive(clap::Subcommand)]
enum Undone {
    /// Trust a file's content again.
    #[command(after_help = "Examples:
  sudo enforcer revoke undo digest --file /usr/local/bin/tool")]
    Digest(Change<ContentArguments>),
    /// Trust a certificate again.
    #[command(after_help = "Examples:
  sudo enforcer revoke undo certificate leaked.pem")]
    Certificate(Change<CertificateArguments>),
    /// Trust a signer again.
    #[command(after_help = "Examples:
  sudo enforcer revoke undo signer contractor")]
    Signer(Change<SignerArguments>),
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Digest(change) => change.revoke(output),
        Command::Certificate(change) => change.revoke(output),
        Command::Signer(change) => change.revoke(output),
        Command::List(list) => list.run(output),
        Command::Undo(Undo { what: Undone::Digest(change) }) => change.undo(output),
        Command::Undo(Undo { what: Undone::Certificate(change) }) => change.undo(output),
        Command::Undo(Undo { what: Undone::Signer(change) }) => change.undo(output),
    }
}

/// What a command line means.
trait Subjects: clap::Args {
    fn subjects(&self) -> Result<Vec<Subject>, Failure>;

    /// What speaks against revoking it.
    fn objection(&self, _policy: &Policy) -> Option<Failure> {
        None
    }
}

impl Subjects for ContentArguments {
    fn subjects(&self) -> Result<Vec<Subject>, Failure> {
        let Some(path) = &self.file else { return Ok(self.digest.into_iter().map(Subject::Digest).collect()) };
        let failed = |error: measure::MeasureError| {
            let exit = if error.is_io() { Exit::System } else { Exit::Usage };
            Failure::new(exit, format!("`{}`: {error}", printable(&path.to_string_lossy())))
        };
        let file = measure::open(path).map_err(failed)?;
        let digests = content_digests(&file).map_err(failed)?;
        Ok(digests.into_iter().chain(fsverity_digest(&file)).map(Subject::Digest).collect())
    }
}

impl Subjects for CertificateArguments {
    fn subjects(&self) -> Result<Vec<Subject>, Failure> {
        if let Some(fingerprint) = parse_sha256(&self.certificate) {
            return Ok(vec![Subject::Certificate(fingerprint)]);
        }
        let name = printable(&self.certificate).into_owned();
        let unfit = |problem: trust::TrustProblem| {
            let exit = if problem.is_io() { Exit::System } else { Exit::Usage };
            Failure::new(exit, format!("`{name}`: {problem}")).hint(problem.hint())
        };
        match trust::read_certificates(Path::new(&self.certificate)).map_err(unfit)?.as_slice() {
            [certificate] => Ok(vec![Subject::Certificate(trust::fingerprint(certificate))]),
            several => Err(Failure::new(Exit::Usage, format!("`{name}` holds {} certificates", several.len()))
                .hint("name the SHA-256 of the one you mean: `openssl x509 -noout -fingerprint -sha256`")),
        }
    }
}

impl Subjects for SignerArguments {
    fn subjects(&self) -> Result<Vec<Subject>, Failure> {
        Ok(vec![Subject::Signer(self.name.clone())])
    }

    fn objection(&self, policy: &Policy) -> Option<Failure> {
        if policy.signers.iter().any(|signer| signer.name == self.name) {
            return None;
        }
        let names: Vec<String> = policy.signers.iter().map(|signer| format!("`{}`", signer.name)).collect();
        let failure = Failure::new(Exit::Usage, format!("the policy has no signer `{}`", printable(&self.name)));
        Some(failure.hint(format!("its signers are {}; `--force` writes the name down all the same", names.join(", "))))
    }
}

impl<T: Subjects> Change<T> {
    fn revoke(self, output: &mut Output) -> Result<Exit, Failure> {
        let policy = Policy::load(&self.policy.policy)?;
        let subjects = self.what.subjects()?;
        if let Some(objection) = self.what.objection(&policy).filter(|_| !self.force) {
            return Err(objection);
        }
        let at: Option<Datetime> = Timestamp::now().to_the_second().replace(' ', "T").parse().ok();
        let ledger = Ledger::open(&policy)?;
        let mut revoked = ledger.revoked.clone();
        let mut added = Vec::new();
        for subject in subjects {
            if revoked.add(Revocation { subject: subject.clone(), reason: self.reason.clone(), at }) {
                added.push(subject);
            } else {
                note(&format!("the {} {subject} was revoked before", subject.kind()));
            }
        }
        if added.is_empty() {
            return Ok(Exit::Yes);
        }
        match locks_out(&policy, &ledger.revoked, &revoked) {
            Ok(None) => {}
            Ok(Some(refused)) if self.force => {
                note(&format!("the daemon will refuse this as long as its own code depends on it: `{}`: {}", refused.path.display(), refused.detail))
            }
            Ok(Some(refused)) => {
                let message = format!("the daemon itself could not start again: `{}`: {}", refused.path.display(), refused.detail);
                return Err(Failure::new(Exit::Refused, message).hint(
                    "sign the enforcer and its libraries by another signer first; `--force` writes it down all the same, and the daemon refuses it until then",
                ));
            }
            Err(unusable) => note(&format!("the daemon refuses every change until this is mended: {unusable}")),
        }
        let began = Timestamp::now();
        ledger.write(&revoked)?;
        for subject in added {
            output.line(format!("revoked: {} {subject}", subject.kind()))?;
        }
        tell_what_is_in_force(&ledger.path, &revoked, began, output)
    }

    fn undo(self, output: &mut Output) -> Result<Exit, Failure> {
        let policy = Policy::load(&self.policy.policy)?;
        let subjects = self.what.subjects()?;
        let ledger = Ledger::open(&policy)?;
        let mut revoked = ledger.revoked.clone();
        let undone: Vec<Subject> = subjects.into_iter().filter(|subject| revoked.remove(subject)).collect();
        if undone.is_empty() {
            return Err(Failure::new(Exit::No, "that is not revoked").hint("`enforcer revoke list` shows what is"));
        }
        let began = Timestamp::now();
        ledger.write(&revoked)?;
        for subject in undone {
            output.line(format!("no longer revoked: {} {subject}", subject.kind()))?;
        }
        tell_what_is_in_force(&ledger.path, &revoked, began, output)
    }
}

impl List {
    fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let policy = Policy::load(&self.policy.policy)?;
        let file = &policy.revocation.file;
        let revoked = Revoked::load(file).map_err(failure)?;
        if self.report.json {
            let entries = revoked.entries().iter().map(Entry::from).collect();
            output.json(&Listed { file, revoked: entries })?;
            return Ok(Exit::Yes);
        }
        if revoked.entries().is_empty() {
            output.line(format!("nothing is revoked in {}", printable(&file.to_string_lossy())))?;
            return Ok(Exit::Yes);
        }
        for entry in revoked.entries().iter().map(Entry::from) {
            // Whole, so that it can be copied: `revoke undo` asks for it.
            output.line(format!("{} {}", entry.kind, printable(&entry.value)))?;
            let since = entry.at.map(|at| format!("since {at}"));
            let facts: Vec<String> = since.into_iter().chain(entry.reason).collect();
            if !facts.is_empty() {
                output.paragraph(2, &printable(&facts.join(": ")))?;
            }
        }
        Ok(Exit::Yes)
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    file: &'a Path,
    revoked: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    kind: &'static str,
    value: String,
    reason: Option<String>,
    at: Option<String>,
}

impl From<&Revocation> for Entry {
    fn from(revocation: &Revocation) -> Self {
        let Revocation { subject, reason, at } = revocation;
        Self { kind: subject.kind(), value: subject.to_string(), reason: reason.clone(), at: at.map(|at| at.to_string()) }
    }
}

/// The file, while nobody else changes it.
struct Ledger {
    path: PathBuf,
    revoked: Revoked,
    _lock: File,
}

impl Ledger {
    fn open(policy: &Policy) -> Result<Self, Failure> {
        let path = policy.revocation.file.clone();
        let folder = path.parent().unwrap_or(Path::new("/"));
        let failed = |error: std::io::Error| {
            let failure = Failure::new(Exit::System, format!("cannot lock `{}`: {error}", printable(&folder.to_string_lossy())));
            failure.hint("the folder of the policy's [revocation] `file` must be there, and you must be root")
        };
        let lock = File::open(folder).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(Self { revoked: Revoked::load(&path).map_err(failure)?, path, _lock: lock })
    }

    fn write(&self, revoked: &Revoked) -> Result<(), Failure> {
        super::without_rights(|| revoked.save(&self.path).map_err(failure))
    }
}

/// What of the daemon's own code is trusted now, and would not be then; an error when nothing could be decided at all.
fn locks_out(policy: &Policy, now: &Revoked, then: &Revoked) -> Result<Option<daemon::Untrusted>, String> {
    let refused_under = |revoked: &Revoked| -> Result<Vec<daemon::Untrusted>, String> {
        let draft = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        revoked.save(draft.path()).map_err(|error| error.to_string())?;
        let mut policy = policy.clone();
        policy.revocation.file = draft.path().to_owned();
        let time = UnixTime::now();
        let trust = TrustStore::load(&policy, time).map_err(|error| error.to_string())?;
        let examiner = Examiner::new(&policy, trust, &Facts::at(time));
        let examined = daemon::examine_own_code(&examiner, &Facts::at(time)).map_err(|error| error.to_string())?;
        Ok(examined.into_iter().filter_map(Result::err).collect())
    };
    let before = refused_under(now)?;
    Ok(refused_under(then)?.into_iter().find(|refused| before.iter().all(|other| other.path != refused.path)))
}

/// Waits until the daemon has read it, so that whoever called knows.
fn tell_what_is_in_force(path: &Path, revoked: &Revoked, began: Timestamp, output: &mut Output) -> Result<Exit, Failure> {
    let id = revoked.id();
    let written = Revoked::load(path).ok().and_then(|revoked| revoked.sha256()).map(|sha256| hex(&sha256));
    let is_running = daemon::status().is_ok_and(|status| status.daemon.alive);
    let deadline = Instant::now() + PATIENCE;
    while is_running && Instant::now() < deadline {
        if let Some(notice) = Notice::read() {
            // A policy that was refused meanwhile says nothing of what is revoked.
            if let Some(refused) = notice.refused.filter(|refused| refused.at >= began && refused.policy.is_none()) {
                return Err(Failure::new(Exit::System, format!("the daemon refuses it, and what was in force before still is: {}", refused.why))
                    .hint("mend that, and `systemctl reload enforcer`"));
            }
            if notice.revocations == id {
                output.line("in force")?;
                return Ok(Exit::Yes);
            }
            if written.is_some() && notice.revocations_read == written {
                note(
                    "in force, with what was taken out of the file before: by the policy in force, only its signers can take a revocation back. Let them sign \
                    a list of the policy with a higher security version (`enforcer policy list`), and `systemctl reload enforcer`",
                );
                return Ok(Exit::Yes);
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    note(if is_running {
        "the daemon has not put it in force yet; does it run with this policy? `enforcer status` shows it"
    } else {
        "no daemon is running (or you are not root): it is in force from the daemon's next start"
    });
    Ok(Exit::Yes)
}

fn digest(text: &str) -> Result<Digest, String> {
    let (make, digits): (fn([u8; 32]) -> Digest, &str) = match text.split_once(':') {
        Some(("fsverity-sha256", digits)) => (Digest::fsverity_sha256, digits),
        Some(("sha256", digits)) => (Digest::sha256, digits),
        _ => (Digest::sha256, text),
    };
    parse_sha256(digits).map(make).ok_or_else(|| "write 64 hexadecimal digits, or name a file: `--file PATH`".to_owned())
}

fn failure(error: RecordError) -> Failure {
    let failure = Failure::new(if error.is_system() { Exit::System } else { Exit::Usage }, error.report());
    match error {
        RecordError::Unwritable(_) => failure.hint("only root may write it: `sudo enforcer revoke …`"),
        RecordError::Unreadable { .. } => failure,
        _ => failure.hint("mend the file; until then the daemon goes by what it read before"),
    }
}

/// How long a daemon may take, with a policy of many manifests.
const PATIENCE: Duration = Duration::from_secs(10);
