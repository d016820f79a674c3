//! Who the enforcer is, as the kernel's programs have to know it: which digests its own program has, and in which mount namespace it lives.
//!
//! Whoever runs that program may touch what is guarded. When the program is replaced by a newer release, the daemon that still runs looks at it and, if the
//! policy lets it in, names it as its successor: otherwise nobody could ever take over.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use enforcer_common::{Digest, ENFORCERS};

use crate::kernel::{fsverity_digest, open_own_program, own_mount_namespace};
use crate::measure;

/// This program, and whoever may take its place.
pub struct Identity {
    own: [Digest; KINDS],
    successor: Mutex<[Digest; KINDS]>,
    mount_namespace: u32,
}

impl Identity {
    /// Measures the program that this process runs, whatever stands in its place by now.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of_this_process() -> io::Result<Self> {
        let program = open_own_program()?;
        let sha256 = measure::sha256(&program, u64::MAX).map_err(io::Error::other)?;
        let namespace = own_mount_namespace()?;
        Ok(Self {
            own: [sha256, fsverity_digest(&program).unwrap_or(Digest::NONE)],
            successor: Mutex::new([Digest::NONE; KINDS]),
            // Numbers of namespaces come from an allocator of 32 bits (`include/linux/proc_ns.h`).
            mount_namespace: namespace as u32,
        })
    }

    /// All digests by which the programs know the enforcer.
    pub fn digests(&self) -> [Digest; ENFORCERS] {
        let [a, b] = self.own;
        let [c, d] = *self.successor.lock().unwrap_or_else(PoisonError::into_inner);
        [a, b, c, d]
    }

    /// Whether this is the program of this process.
    pub fn is_own(&self, digest: &Digest) -> bool {
        self.own.contains(digest)
    }

    /// The number of the mount namespace.
    pub fn mount_namespace(&self) -> u32 {
        self.mount_namespace
    }

    /// Names a successor. `false`, when it is this very program, or named already.
    pub fn name_successor(&self, digest: Digest, fsverity: Option<Digest>) -> bool {
        let named = [digest, fsverity.unwrap_or(Digest::NONE)];
        let mut successor = self.successor.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_own(&digest) || *successor == named {
            return false;
        }
        *successor = named;
        true
    }
}

/// What stands in the program's place now, opened.
pub fn open_in_place(program: &Path) -> Option<File> {
    super::locate::open_regular(program)
}

/// SHA-256 and fs-verity.
const KINDS: usize = ENFORCERS / 2;
