//! What is in the package, and where: a folder as it will be installed, with `DEBIAN/` in it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::process;
use crate::ui::Step;
use crate::workspace;

pub(super) const PROGRAM: &str = "usr/sbin/enforcer";
pub(super) const INIT: &str = "usr/lib/enforcer/init";
pub(super) const BASH_COMPLETION: &str = "usr/share/bash-completion/completions/enforcer";
pub(super) const ZSH_COMPLETION: &str = "usr/share/zsh/vendor-completions/_enforcer";
const FISH_COMPLETION: &str = "usr/share/fish/vendor_completions.d/enforcer.fish";
const DOCUMENTS: &str = "usr/share/doc/enforcer";
const MANUAL: &str = "usr/share/man";

/// What dpkg runs.
pub(super) const MAINTAINER_SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Files of the clone: where they are there, and where they are installed.
const FILES: [(&str, &str); 6] = [
    ("policy.toml", "etc/enforcer/policy.toml"),
    ("packaging/enforcer.service", "usr/lib/systemd/system/enforcer.service"),
    ("packaging/debian/lintian-overrides", "usr/share/lintian/overrides/enforcer"),
    ("packaging/debian/copyright", "usr/share/doc/enforcer/copyright"),
    ("README.md", "usr/share/doc/enforcer/README.md"),
    ("SECURITY.md", "usr/share/doc/enforcer/SECURITY.md"),
];
/// What of `packaging/` has a place of its own; the rest are examples.
const PLACED: [&str; 3] = ["debian", "enforcer.service", "enforcer-init"];

pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty one, in a folder that is made.
    pub(super) fn new(root: PathBuf) -> Result<Self> {
        fs::create_dir(&root).with_context(|| format!("cannot make `{}`", root.display()))?;
        Ok(Self { root })
    }

    /// One that was unpacked.
    pub(super) fn open(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a file of the package is now.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Everything but the changelogs and the control data.
    pub(super) fn install(&self, enforcer: &Path, step: &Step) -> Result<()> {
        let clone = workspace::root();
        self.copy(enforcer, PROGRAM, 0o755)?;
        self.copy(&clone.join("packaging/enforcer-init"), INIT, 0o755)?;
        for (from, to) in FILES {
            self.copy(&clone.join(from), to, 0o644)?;
        }
        for name in MAINTAINER_SCRIPTS {
            self.copy(&clone.join("packaging/debian").join(name), &format!("DEBIAN/{name}"), 0o755)?;
        }
        self.copy_folder(&clone.join("docs"), &format!("{DOCUMENTS}/docs"), &[])?;
        self.copy_folder(&clone.join("packaging"), &format!("{DOCUMENTS}/examples"), &PLACED)?;
        for (shell, to) in [("bash", BASH_COMPLETION), ("zsh", ZSH_COMPLETION), ("fish", FISH_COMPLETION)] {
            self.file(to, 0o644, process::run(Command::new(enforcer).args(["completions", shell]), step)?.as_bytes())?;
        }
        process::run(Command::new(enforcer).arg("man").arg(self.at(MANUAL)), step)?;
        for page in walk(&self.at(MANUAL))?.iter().filter(|path| path.is_file()) {
            compress(page, step)?;
        }
        Ok(())
    }

    /// Debian's changelog, which says when this version was made, and the clone's, which says what changed.
    pub(super) fn changelog(&self, version: &str, date: u64, step: &Step) -> Result<()> {
        let date = process::run(Command::new("date").args(["--utc", "--rfc-email"]).arg(format!("--date=@{date}")).env("LC_ALL", "C"), step)?;
        let control = fs::read_to_string(workspace::root().join("packaging/debian/control")).context("cannot read `packaging/debian/control`")?;
        let maintainer =
            control.lines().find_map(|line| line.strip_prefix("Maintainer: ")).context("`packaging/debian/control` names no maintainer")?;
        let text =
            format!("enforcer ({version}) stable; urgency=medium\n\n  * What changed is in changelog.gz.\n\n -- {maintainer}  {}\n", date.trim_end());
        // A version without a Debian revision is a native package's, whose only changelog is this one.
        let (debian, ours) = if version.contains('-') { ("changelog.Debian", "changelog") } else { ("changelog", "CHANGELOG.md") };
        self.file(&format!("{DOCUMENTS}/{debian}"), 0o644, text.as_bytes())?;
        self.copy(&workspace::root().join("CHANGELOG.md"), &format!("{DOCUMENTS}/{ours}"), 0o644)?;
        compress(&self.at(&format!("{DOCUMENTS}/{debian}")), step)?;
        compress(&self.at(&format!("{DOCUMENTS}/{ours}")), step)
    }

    /// One file, with the folders above it.
    pub(super) fn file(&self, at: &str, mode: u32, content: &[u8]) -> Result<()> {
        let path = self.at(at);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
            fs::write(&path, content)?;
            fs::set_permissions(&path, Permissions::from_mode(mode))
        };
        write().with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// The files that get installed, by their paths in the package, in order; and their size, counted as Debian counts it: in whole KiB each, and one for
    /// each folder (deb-substvars(5), `Installed-Size`).
    pub(super) fn files(&self) -> Result<(Vec<String>, u64)> {
        const UNIT: u64 = 1024;
        let (mut files, mut size) = (Vec::new(), 0);
        for path in walk(&self.root)? {
            let inside = path.strip_prefix(&self.root)?;
            if inside.starts_with("DEBIAN") {
                continue;
            }
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.is_file() {
                files.push(inside.to_string_lossy().into_owned());
                size += metadata.len().next_multiple_of(UNIT);
            } else {
                size += UNIT;
            }
        }
        Ok((files, size))
    }

    /// Gives everything the same time, and folders the usual mode, whatever this process's umask is.
    pub(super) fn settle(&self, time: SystemTime) -> Result<()> {
        // What is in a folder first.
        for path in walk(&self.root)?.iter().rev().chain([&self.root]) {
            if path.is_dir() {
                fs::set_permissions(path, Permissions::from_mode(0o755))?;
            }
            File::open(path)?.set_modified(time).with_context(|| format!("cannot set the time of `{}`", path.display()))?;
        }
        Ok(())
    }

    fn copy(&self, from: &Path, at: &str, mode: u32) -> Result<()> {
        self.file(at, mode, &fs::read(from).with_context(|| format!("cannot read `{}`", from.display()))?)
    }

    fn copy_folder(&self, from: &Path, at: &str, without: &[&str]) -> Result<()> {
        for path in walk(from)? {
            let inside = path.strip_prefix(from)?;
            if path.is_file() && !without.iter().any(|left_out| inside.starts_with(left_out)) {
                self.copy(&path, &format!("{at}/{}", inside.display()), 0o644)?;
            }
        }
        Ok(())
    }
}

/// Everything below a folder, each folder before what is in it, in an order of its own.
fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>())
        .with_context(|| format!("cannot read `{}`", folder.display()))?;
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        let is_folder = fs::symlink_metadata(&path)?.is_dir();
        found.push(path.clone());
        if is_folder {
            found.extend(walk(&path)?);
        }
    }
    Ok(found)
}

/// As Debian's policy has it (12.1, 12.3): as small as can be, and without a time of its own.
fn compress(file: &Path, step: &Step) -> Result<()> {
    process::run(Command::new("gzip").args(["-9", "--no-name", "--force"]).arg(file), step)?;
    let mut compressed = file.as_os_str().to_owned();
    compressed.push(".gz");
    fs::set_permissions(&compressed, Permissions::from_mode(0o644)).with_context(|| format!("cannot write `{}.gz`", file.display()))
}
