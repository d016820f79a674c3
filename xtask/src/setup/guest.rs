//! The guests' roots: a minimal Debian of the machine's own release (so what is built here runs there), as a pristine ext4 image.
//!
//! Beside each image lies a signed manifest of all its code. That is how the guest's own system is trusted under the enforcer: nothing in it is re-signed.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{archive, packages, peers, pki, scripts};
use crate::cache::{self, Item};
use crate::process;
use crate::ui::Step;

/// Where Debian keeps administrators' programs, which an ordinary user's `PATH` lacks.
pub(crate) const ADMIN_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const PACKAGES: &str = "systemd-sysv,dbus,kmod,udev,bash,coreutils,python3,perl,openssl,strace,fsverity,keyutils,procps,libstdc++6,libgcc-s1,tar,\
                        xz-utils,apt,iproute2,util-linux,attr,acl,ca-certificates,xfsprogs,btrfs-progs,squashfs-tools,fuse3,nodejs,default-jre-headless";

/// What a plain server has that somebody installs a package on: what boots, and apt.
const SERVER_PACKAGES: &str = "systemd-sysv,dbus,kmod,udev,apt,cron,openssh-server,bsdextrautils";

/// What a server has besides that runs containers: the engine, both of its runtimes, and what it takes without root.
const CONTAINER_PACKAGES: &str = "podman,crun,runc,uidmap,fuse-overlayfs,procps";

/// What the kernel's `root=` says: the kernel numbers drives as it finds them, so only a partition's identity is certain.
pub(crate) const ROOT: &str = "PARTUUID=656e6672-01";
const DISK: u32 = 0x656e_6672;
/// Where the root's partition begins in its image.
const PARTITION: u64 = 1024 * 1024;

/// Files of the guest itself: path, mode, content.
const FILES: &[(&str, u32, &str)] = &[
    ("usr/lib/enforcer-vm/init", 0o755, include_str!("../../guest/init")),
    ("etc/machine-id", 0o444, "e4f0c2b1a35d4c6f9b7a8d1e2f3a4b5c\n"),
    ("etc/hostname", 0o644, "guest\n"),
    ("etc/fstab", 0o644, ""),
];

/// Units that only cost time in a guest that lives for seconds.
const MASKED: &str = "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
                      systemd-tmpfiles-clean.timer systemd-timesyncd.service systemd-networkd-wait-online.service systemd-update-utmp.service \
                      systemd-update-utmp-runlevel.service systemd-update-done.service systemd-journal-catalog-update.service systemd-firstboot.service \
                      systemd-machine-id-commit.service systemd-hwdb-update.service ldconfig.service systemd-pstore.service systemd-random-seed.service \
                      systemd-remount-fs.service systemd-journal-flush.service getty.target console-getty.service getty@tty1.service \
                      serial-getty@ttyS0.service systemd-logind.service systemd-user-sessions.service man-db.timer systemd-binfmt.service \
                      proc-sys-fs-binfmt_misc.automount dev-hugepages.mount dev-mqueue.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
                      xfs_scrub_all.timer systemd-boot-system-token.service systemd-rfkill.socket udev-hwdb.service systemd-vconsole-setup.service \
                      modprobe@efi_pstore.service modprobe@drm.service modprobe@configfs.service modprobe@fuse.service modprobe@dm_mod.service \
                      modprobe@loop.service systemd-udev-trigger.service";

/// What the other guests' dpkg leaves out (documents, manual pages) belongs to a package that is installed here.
const SERVER_HOOKS: [&str; 1] = ["--customize-hook=rm \"$1\"/etc/dpkg/dpkg.cfg.d/99mmdebstrap"];

/// One of the roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Image {
    /// That of every machine but those below.
    Plain,
    /// The same with all interpreters, for the tests of scripts; see [`scripts`].
    Scripts,
    /// The same with other enforcers, for measuring beside them; see [`peers`].
    Bench,
    /// A plain Debian of a release, with nothing of ours in it: where the package is installed.
    Server(Release),
    /// The same with a container engine.
    Containers(Release),
}

/// A release of Debian that the package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Release {
    /// All of them, oldest first.
    pub(crate) const ALL: [Self; 2] = [Self::Bookworm, Self::Trixie];

    /// Its code name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// Its own kernel: a name in `tests/kernels.toml`.
    pub(crate) const fn kernel(self) -> &'static str {
        match self {
            Self::Bookworm => "6.1",
            Self::Trixie => "6.12",
        }
    }
}

/// Whether a file, of which the guest's path is told, is listed in the manifest.
pub(crate) type IsCode = fn(&str, &fs::DirEntry) -> io::Result<bool>;

impl Image {
    /// The root image.
    pub(crate) fn disk(self) -> Result<PathBuf> {
        Ok(self.item()?.path().join("root.img"))
    }

    /// The signed manifest of its code; the signature is beside it.
    pub(crate) fn manifest(self) -> Result<PathBuf> {
        Ok(self.item()?.path().join("root.sha256"))
    }

    /// Whether it was ever made.
    pub(crate) fn exists(self) -> Result<bool> {
        Ok(self.item()?.path().exists())
    }

    fn item(self) -> Result<Item> {
        let files: String = FILES.iter().map(|(path, mode, content)| format!("{path} {mode:o} {content}\n")).collect();
        let (release, fingerprint) = (packages::release()?, pki::open()?.fingerprint()?);
        let listed = [&scripts::SUFFIXES[..], &scripts::NAMES, &scripts::FOLDERS].concat().join(" ");
        match self {
            Self::Plain => Item::new("guest", &format!("4 {release} {PACKAGES} {listed} {MASKED} {files} {fingerprint}")),
            Self::Scripts => {
                let more = format!("{} {} {listed}", scripts::PACKAGES, scripts::HOOKS.join(" "));
                Item::new("guest-scripts", &format!("4 {release} {PACKAGES} {more} {MASKED} {files} {fingerprint}"))
            }
            Self::Bench => {
                let more = format!("{} {} {listed}", peers::PACKAGES, peers::HOOKS.join(" "));
                Item::new("guest-bench", &format!("1 {release} {PACKAGES} {more} {MASKED} {files} {fingerprint}"))
            }
            Self::Server(release) => {
                let name = release.name();
                Item::new(&format!("guest-{name}"), &format!("1 {name} {SERVER_PACKAGES} {listed} {MASKED} {files} {fingerprint}"))
            }
            Self::Containers(release) => {
                let (name, more) = (release.name(), CONTAINER_PACKAGES);
                Item::new(&format!("guest-containers-{name}"), &format!("1 {name} {SERVER_PACKAGES} {more} {listed} {MASKED} {files} {fingerprint}"))
            }
        }
    }

    fn packages(self) -> String {
        match self {
            Self::Plain => PACKAGES.to_owned(),
            Self::Scripts => format!("{PACKAGES},{}", scripts::PACKAGES),
            Self::Bench => format!("{PACKAGES},{}", peers::PACKAGES),
            Self::Server(_) => SERVER_PACKAGES.to_owned(),
            Self::Containers(_) => format!("{SERVER_PACKAGES},{CONTAINER_PACKAGES}"),
        }
    }

    /// The release that it is: the machine's own, so that what is built here runs there, if nobody asks for another.
    fn release(self) -> Result<String> {
        if let Self::Server(release) | Self::Containers(release) = self { Ok(release.name().to_owned()) } else { packages::release() }
    }

    /// Whether it has nothing of ours in it, so that the package can be installed there.
    pub(crate) fn is_bare(self) -> bool {
        matches!(self, Self::Server(_) | Self::Containers(_))
    }

    fn hooks(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Scripts => &scripts::HOOKS,
            Self::Bench => &peers::HOOKS,
            Self::Server(_) | Self::Containers(_) => &SERVER_HOOKS,
        }
    }
}

/// Makes an image and its manifest, unless they are there and nobody asks for newer ones.
pub(crate) fn make(image: Image, refresh: bool) -> Result<()> {
    let item = image.item()?;
    if item.is_fresh() && !refresh {
        return Ok(());
    }
    let release = image.release()?;
    let step = Step::start(match image {
        Image::Plain => format!("guest root, Debian {release}"),
        Image::Scripts => format!("guest root with all interpreters, Debian {release}"),
        Image::Bench => format!("guest root with other enforcers, Debian {release}"),
        Image::Server(_) => format!("guest root of a plain server, Debian {release}"),
        Image::Containers(_) => format!("guest root of a server with containers, Debian {release}"),
    });
    let dir = item.workshop()?;
    bootstrap(image, &release, &dir, &step)?;
    let root = dir.join("root");
    fs::create_dir(&root)?;
    step.note("manifest and image");
    process::run(as_root("tar", &root).arg("-xf").arg(dir.join("root.tar")).arg("-C").arg(&root), &step)?;
    write_manifest(&root, "", scripts::is_code, &dir.join("root.sha256"))?;
    pki::open()?.sign(&dir.join("root.sha256"))?;
    make_ext4(&root, &dir.join("root.img"), PARTITION, &step)?;
    write_partition_table(&dir.join("root.img"))?;
    process::run(Command::new("rm").arg("-rf").arg(&root).args(["root.tar", "root.owners", "files"].map(|name| dir.join(name))), &step)?;
    item.publish(&dir)?;
    step.done("made");
    Ok(())
}

/// Writes `image`, an ext4 file system of `root`'s content with room for as much again, from byte `offset` on.
pub(crate) fn make_ext4(root: &Path, image: &Path, offset: u64, step: &Step) -> Result<()> {
    let size = process::run(Command::new("du").args(["-sk", "--apparent-size"]).arg(root), step)?;
    let kilobytes: u64 = size.split_whitespace().next().and_then(|number| number.parse().ok()).context("du printed no number")?;
    let blocks = kilobytes / 4 * 2 + 64 * 1024;
    // 4096 everywhere: a 1 KiB-block image cannot be mounted with verity on 6.1.
    let mut mkfs = as_root("mkfs.ext4", root);
    mkfs.args(["-q", "-F", "-b", "4096", "-O", "verity", "-m", "0", "-E", &format!("lazy_itable_init=0,nodiscard,offset={offset}")]);
    process::run(mkfs.arg("-d").arg(root).arg(image).arg(blocks.to_string()), step)?;
    Ok(())
}

/// Declares everything from [`PARTITION`] on to be the first partition of an old-style partition table, whose identity is [`ROOT`].
fn write_partition_table(image: &Path) -> Result<()> {
    const SECTOR: u64 = 512;
    let mut file = fs::OpenOptions::new().write(true).open(image)?;
    let sectors = u32::try_from((file.metadata()?.len() - PARTITION) / SECTOR)?;
    let mut table = [0; SECTOR as usize];
    table[440..444].copy_from_slice(&DISK.to_le_bytes());
    table[446 + 4] = 0x83;
    table[446 + 8..446 + 12].copy_from_slice(&u32::try_from(PARTITION / SECTOR)?.to_le_bytes());
    table[446 + 12..446 + 16].copy_from_slice(&sectors.to_le_bytes());
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    Ok(file.write_all(&table)?)
}

/// Writes a manifest, as `sha256sum --tag` prints it, of all code below `root`, which the guest sees at `prefix`.
pub(crate) fn write_manifest(root: &Path, prefix: &str, is_code: IsCode, manifest: &Path) -> Result<()> {
    let mut lines = Vec::new();
    collect_code(root, prefix, is_code, &mut lines)?;
    lines.sort();
    fs::write(manifest, lines.concat()).with_context(|| format!("cannot write `{}`", manifest.display()))
}

/// One line of a manifest.
pub(crate) fn manifest_line(guest_path: &str, content: &[u8]) -> String {
    format!("SHA256 ({guest_path}) = {}\n", cache::hash(content))
}

fn collect_code(dir: &Path, guest: &str, is_code: IsCode, lines: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read `{}`", dir.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let guest_path = format!("{guest}/{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            collect_code(&entry.path(), &guest_path, is_code, lines)?;
        } else if kind.is_file() && is_code(&guest_path, &entry)? {
            lines.push(manifest_line(&guest_path, &fs::read(entry.path())?));
        }
    }
    Ok(())
}

/// Every ELF file, every kernel module, and every file with an executable bit.
pub(crate) fn is_code(_: &str, entry: &fs::DirEntry) -> io::Result<bool> {
    if entry.metadata()?.permissions().mode() & 0o111 != 0 {
        return Ok(true);
    }
    let mut magic = [0; 4];
    let is_elf = fs::File::open(entry.path())?.read_exact(&mut magic).is_ok() && magic == *b"\x7fELF";
    // A module is packed, from Debian 13 on.
    Ok(is_elf || entry.file_name().to_string_lossy().ends_with(".ko.xz"))
}

/// Makes `root.tar` in `dir`.
fn bootstrap(image: Image, release: &str, dir: &Path, step: &Step) -> Result<()> {
    let files = dir.join("files");
    for (path, mode, content) in FILES {
        let path = files.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&files))?;
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
    }
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.env("PATH", ADMIN_PATH).args(["--quiet", "--variant=minbase"]).arg(format!("--include={}", image.packages()));
    // Java's package makes links to its manual pages, which are left out below.
    mmdebstrap.arg("--essential-hook=mkdir -p \"$1\"/usr/share/man/man1");
    mmdebstrap.args(image.hooks());
    mmdebstrap.arg(format!("--customize-hook=sync-in {} /", files.display()));
    mmdebstrap.arg(format!(
        "--customize-hook=chroot \"$1\" chown -R root:root {}",
        FILES.iter().map(|file| format!("/{}", file.0)).collect::<Vec<_>>().join(" ")
    ));
    mmdebstrap.arg(format!("--customize-hook=chroot \"$1\" systemctl --quiet mask {MASKED}"));
    // Ready for the first boot: nothing is to be generated or found stale in the guest.
    mmdebstrap.arg("--customize-hook=chroot \"$1\" ldconfig; rm -rf \"$1\"/var/log/journal; touch \"$1\"/etc/.updated \"$1\"/var/.updated");
    mmdebstrap.args(["--aptopt=Acquire::Languages \"none\"", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"]);
    mmdebstrap.args(["--dpkgopt=path-exclude=/usr/share/locale/*", release]).arg(dir.join("root.tar"));
    let sources = format!("deb {} {release} main", archive::address()?);
    process::run(mmdebstrap.arg(sources), step)?;
    Ok(())
}

/// `program` as root, or seemingly so: who owns what in the folder `root` is then remembered in a file beside it.
fn as_root(program: &str, root: &Path) -> Command {
    let mut command = Command::new(if packages::is_root() { program } else { "fakeroot" });
    command.env("PATH", ADMIN_PATH);
    if !packages::is_root() {
        let owners = root.with_extension("owners");
        command.arg("-i").arg(&owners).arg("-s").arg(&owners).args(["--", program]);
    }
    command
}
