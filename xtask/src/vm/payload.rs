//! What a run brings into the guest: the enforcer, its unit, policy and trust, the added files, and the command. One tar archive on a drive of its own.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tar::{Builder, EntryType, Header};

use super::{Mode, Spec};
use crate::setup::kernels::Kernel;
use crate::setup::{guest, pki};
use crate::workspace;

/// Runs the command once the guest is up.
const RUNNER: &str = include_str!("../../guest/run");
const RUNNER_UNITS: [(&str, &str); 2] = [
    ("enforcer-vm.service", include_str!("../../guest/enforcer-vm.service")),
    ("enforcer-vm.target", include_str!("../../guest/enforcer-vm.target")),
];
const DEMO_POLICY: &str = include_str!("../../guest/policy.toml");
const UNIT: &str = "/usr/lib/systemd/system/enforcer.service";
/// A drive's size is a multiple of this.
const BLOCK: u64 = 4096;

/// The drive in a run's folder.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("payload.tar")
}

/// Writes the drive for `spec`.
pub(crate) fn write(spec: &Spec, kernel: &Kernel, dir: &Path) -> Result<()> {
    let mut payload = Payload { tar: Builder::new(File::create(path(dir))?), signed: String::from("# Signed for one run of `cargo xtask vm`.\n") };
    let command: Vec<u8> = spec.command.iter().flat_map(|word| word.bytes().chain([0])).collect();
    payload.file("/var/lib/enforcer-vm/command", 0o644, &command)?;
    if spec.expects_enforcer() {
        payload.file("/var/lib/enforcer-vm/expect-enforcer", 0o644, b"")?;
    }
    payload.file("/usr/lib/enforcer-vm/run", 0o755, RUNNER.as_bytes())?;
    payload.signed += &guest::manifest_line("/usr/lib/enforcer-vm/run", RUNNER.as_bytes());
    // Debian's own line empties /tmp at boot, and with it what was added there.
    payload.file("/etc/tmpfiles.d/tmp.conf", 0o644, b"d /tmp 1777 root root -\nd /var/tmp 1777 root root -\n")?;
    for (name, text) in RUNNER_UNITS {
        payload.file(&format!("/etc/systemd/system/{name}"), 0o644, text.as_bytes())?;
    }
    for (host, at) in &spec.add {
        // A link that is named itself is followed; links inside of a folder stay links.
        let host = fs::canonicalize(host).with_context(|| format!("cannot read `{}`", host.display()))?;
        payload.tree(&host, at.trim_end_matches('/'), &spec.sign)?;
    }
    if let Some(path) = spec.sign.iter().find(|path| !spec.add.iter().any(|(_, added)| is_below(path, added) || is_below(added, path))) {
        bail!("`{path}` cannot be signed: nothing is added there");
    }
    // What is to be installed there must not be there before.
    if !spec.image.is_bare() {
        payload.enforcer(spec, kernel, dir)?;
    }
    let file = payload.tar.into_inner().context("cannot write the payload")?;
    let length = file.metadata()?.len();
    Ok(file.set_len(length.next_multiple_of(BLOCK))?)
}

struct Payload {
    tar: Builder<File>,
    /// The run's own manifest.
    signed: String,
}

impl Payload {
    fn enforcer(&mut self, spec: &Spec, kernel: &Kernel, dir: &Path) -> Result<()> {
        let pki = pki::open()?;
        self.copy(&pki.authority(), "/etc/enforcer/trust/demo-ca.pem")?;
        self.file("/etc/enforcer/policy.toml", 0o644, policy(spec)?.as_bytes())?;
        if let Some(binary) = &spec.enforcer {
            let content = fs::read(binary).with_context(|| format!("cannot read `{}`", binary.display()))?;
            self.file("/usr/sbin/enforcer", 0o755, &content)?;
            self.signed += &guest::manifest_line("/usr/sbin/enforcer", &content);
        }
        let unit = workspace::root().join("packaging/enforcer.service");
        if let Ok(text) = fs::read_to_string(&unit) {
            self.file(UNIT, 0o644, text.as_bytes())?;
            let wanted_by = text.lines().find_map(|line| line.strip_prefix("WantedBy=")).unwrap_or("multi-user.target");
            if spec.expects_enforcer() {
                self.link(&format!("/etc/systemd/system/{wanted_by}.wants/enforcer.service"), Path::new(UNIT))?;
            }
        }
        let run = dir.join("run.manifest");
        fs::write(&run, &self.signed)?;
        pki.sign(&run)?;
        for (host, name) in [(spec.image.manifest()?, "root"), (kernel.manifest()?, "modules"), (run, "run")] {
            self.copy(&host, &format!("/etc/enforcer/manifests/{name}.manifest"))?;
            self.copy(Path::new(&format!("{}.p7s", host.display())), &format!("/etc/enforcer/manifests/{name}.manifest.p7s"))?;
        }
        Ok(())
    }

    /// A file or folder of the host, as it is, but owned by root; what lies below one of `sign` gets into the run's manifest.
    fn tree(&mut self, host: &Path, at: &str, sign: &[String]) -> Result<()> {
        let metadata = fs::symlink_metadata(host).with_context(|| format!("cannot read `{}`", host.display()))?;
        if metadata.is_dir() {
            self.entry(at, EntryType::Directory, metadata.mode(), &[], None)?;
            for entry in fs::read_dir(host)? {
                let entry = entry?;
                self.tree(&entry.path(), &format!("{at}/{}", entry.file_name().to_string_lossy()), sign)?;
            }
        } else if metadata.is_symlink() {
            self.link(at, &fs::read_link(host)?)?;
        } else if metadata.is_file() {
            let content = fs::read(host).with_context(|| format!("cannot read `{}`", host.display()))?;
            self.file(at, metadata.mode(), &content)?;
            if sign.iter().any(|signed| is_below(at, signed)) {
                self.signed += &guest::manifest_line(at, &content);
            }
        } else {
            bail!("`{}` is neither a file nor a folder", host.display());
        }
        Ok(())
    }

    fn copy(&mut self, host: &Path, at: &str) -> Result<()> {
        let content = fs::read(host).with_context(|| format!("cannot read `{}`", host.display()))?;
        self.file(at, 0o644, &content)
    }

    fn file(&mut self, at: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entry(at, EntryType::Regular, mode, content, None)
    }

    fn link(&mut self, at: &str, target: &Path) -> Result<()> {
        self.entry(at, EntryType::Symlink, 0o777, &[], Some(target))
    }

    fn entry(&mut self, at: &str, kind: EntryType, mode: u32, content: &[u8], target: Option<&Path>) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode & 0o7777);
        header.set_size(content.len() as u64);
        let at = at.trim_start_matches('/');
        match target {
            Some(target) => self.tar.append_link(&mut header, at, target),
            None => self.tar.append_data(&mut header, at, content),
        }
        .with_context(|| format!("cannot put `/{at}` into the payload"))
    }
}

/// The policy's text, with the mode that was asked for.
fn policy(spec: &Spec) -> Result<String> {
    let (text, mode) = match &spec.policy {
        Some(file) => (fs::read_to_string(file).with_context(|| format!("cannot read the policy `{}`", file.display()))?, spec.mode),
        None => (DEMO_POLICY.to_owned(), spec.mode.or(Some(Mode::Enforce))),
    };
    let word = match mode {
        Some(Mode::Audit) => "audit",
        Some(Mode::Enforce) => "enforce",
        Some(Mode::Off) | None => return Ok(text),
    };
    let replaced = |line: &str| line.trim_start().strip_prefix("mode").is_some_and(|rest| rest.trim_start().starts_with('='));
    Ok(text.lines().map(|line| if replaced(line) { format!("mode = \"{word}\"\n") } else { format!("{line}\n") }).collect())
}

/// Whether `path` is `folder` or something in it.
fn is_below(path: &str, folder: &str) -> bool {
    Path::new(path).starts_with(folder)
}
