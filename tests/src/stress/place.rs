//! A file system of its own to do it on: an image in a loop device, or an overlay whose layers can be reached as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::change::{self, Way};
use super::content::Contents;
use crate::scene::{Scene, install};
use crate::service;

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Ext4,
    Xfs,
    Btrfs,
    /// Layers on ext4.
    Overlay,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Ext4, Self::Xfs, Self::Btrfs, Self::Overlay];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Overlay => "overlay",
        }
    }

    /// The name of the suite's test there.
    pub fn test(self) -> &'static str {
        match self {
            Self::Ext4 => "no_foreign_bytes_run_on_ext4",
            Self::Xfs => "no_foreign_bytes_run_on_xfs",
            Self::Btrfs => "no_foreign_bytes_run_on_btrfs",
            Self::Overlay => "no_foreign_bytes_run_on_overlay",
        }
    }

    /// Whether a file can be changed in this way there.
    pub fn knows(self, way: Way) -> bool {
        match way {
            Way::Reflink => matches!(self, Self::Xfs | Self::Btrfs),
            _ => true,
        }
    }
}

/// Where it is mounted.
pub struct Place {
    pub kind: Kind,
    image: PathBuf,
    disk: PathBuf,
    merged: PathBuf,
}

impl Place {
    /// Makes and mounts it.
    pub fn new(scene: &Scene, kind: Kind) -> Result<Self> {
        let place = Self { kind, image: scene.disk("stress.image"), disk: scene.disk("stress"), merged: scene.disk("stress.merged") };
        let [image, disk, merged] = [&place.image, &place.disk, &place.merged].map(|path| path.display().to_string());
        fs::create_dir_all(&place.disk)?;
        fs::create_dir_all(&place.merged)?;
        let (make, module): (&[&str], &str) = match kind {
            Kind::Ext4 | Kind::Overlay => (&["mkfs.ext4", "-q", "-b", "4096"], "ext4"),
            Kind::Xfs => (&["mkfs.xfs", "-q", "-m", "reflink=1"], "xfs"),
            Kind::Btrfs => (&["mkfs.btrfs", "-q"], "btrfs"),
        };
        service::succeed("truncate", &["-s", SIZE, &image])?;
        service::succeed(make[0], &[&make[1..], [image.as_str()].as_slice()].concat())?;
        service::succeed("modprobe", &["-a", "loop", module])?;
        service::succeed("mount", &["-o", "loop", &image, &disk])?;
        if kind == Kind::Overlay {
            for folder in ["lower", "upper", "work"] {
                fs::create_dir(place.disk.join(folder))?;
            }
            service::succeed("modprobe", &["overlay"])?;
            let layers = format!("lowerdir={disk}/lower,upperdir={disk}/upper,workdir={disk}/work");
            service::succeed("mount", &["-t", "overlay", "overlay", "-o", &layers, &merged])?;
            place.wait_until_it_is_known(scene)?;
        }
        Ok(place)
    }

    /// Until the daemon has seen that the overlay's module is loaded, nothing runs from it.
    fn wait_until_it_is_known(&self, scene: &Scene) -> Result<()> {
        let program = install(&scene.fixture("bin/quiet-static"), &self.file("quiet"))?;
        service::wait_until("the daemon knows overlays", || Ok(Command::new(&program).status().is_ok_and(|status| status.success())))
    }

    /// Where files are made, changed and run.
    pub fn folder(&self) -> &Path {
        if self.kind == Kind::Overlay { &self.merged } else { &self.disk }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The same file in a layer of the overlay.
    pub fn in_layer(&self, layer: &str, name: &str) -> PathBuf {
        self.disk.join(layer).join(name)
    }

    /// A folder with a file of each content, on the same file system.
    pub fn sources(&self, contents: &Contents) -> Result<PathBuf> {
        let folder = self.file("sources");
        fs::create_dir_all(&folder)?;
        for (index, content) in contents.iter().enumerate() {
            change::make(&folder.join(index.to_string()), &content.bytes)?;
        }
        Ok(folder)
    }

    /// Takes it away again.
    pub fn remove(self) -> Result<()> {
        if self.kind == Kind::Overlay {
            service::succeed("umount", &[&self.merged.display().to_string()])?;
        }
        service::succeed("umount", &[&self.disk.display().to_string()])?;
        Ok(fs::remove_file(&self.image)?)
    }
}

/// More than the least that xfs takes.
const SIZE: &str = "400M";
