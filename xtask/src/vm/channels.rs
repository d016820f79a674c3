//! The guest's serial ports on this side: named pipes that QEMU writes into and threads read from.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, fcntl_getfl, fcntl_setfl, mkfifoat};

/// One port: what the guest writes to it comes out here, in order, until [`Channel::close`].
pub(crate) struct Channel {
    path: PathBuf,
    /// Keeps the pipe open from before QEMU opens it until after it has ended.
    keeper: File,
    reader: File,
}

impl Channel {
    /// Makes the port's pipe in `dir`.
    pub(crate) fn open(dir: &Path, name: &str) -> Result<Self> {
        let path = dir.join(name);
        let _ = std::fs::remove_file(&path);
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).with_context(|| format!("cannot make the pipe `{}`", path.display()))?;
        let reader = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&path)?;
        fcntl_setfl(&reader, fcntl_getfl(&reader)? - OFlags::NONBLOCK)?;
        let keeper = OpenOptions::new().write(true).open(&path)?;
        Ok(Self { path, keeper, reader })
    }

    /// What QEMU is to write into.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Hands everything that comes to `sink`, as it comes.
    pub(crate) fn read(mut self, mut sink: impl FnMut(&[u8]) + Send + 'static) -> Reading {
        let thread = thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(length @ 1..) = self.reader.read(&mut buffer) {
                sink(&buffer[..length]);
            }
        });
        Reading { keeper: self.keeper, thread }
    }
}

/// A port that is being read.
pub(crate) struct Reading {
    keeper: File,
    thread: JoinHandle<()>,
}

impl Reading {
    /// Returns when all that a QEMU which has ended wrote was handed on.
    pub(crate) fn close(self) {
        drop(self.keeper);
        let _ = self.thread.join();
    }
}

/// A sink that writes on to `stream` at once.
pub(crate) fn pass_through(mut stream: impl Write + Send + 'static) -> impl FnMut(&[u8]) + Send + 'static {
    move |bytes| {
        // The reader of our own output may have left; the guest's command goes on without it.
        let _: io::Result<()> = stream.write_all(bytes).and_then(|()| stream.flush());
    }
}

/// A sink that writes whole lines on to `stream`, each behind a label.
pub(crate) fn labelled(label: &str, mut stream: impl Write + Send + 'static) -> impl FnMut(&[u8]) + Send + 'static {
    let label = label.to_owned();
    // In one piece, so that no other machine's line gets into it.
    by_line(move |line| drop(stream.write_all(format!("{label}  {line}\n").as_bytes())))
}

/// A sink that sends whole lines.
pub(crate) fn lines(sender: Sender<String>) -> impl FnMut(&[u8]) + Send + 'static {
    by_line(move |line| drop(sender.send(line)))
}

fn by_line(mut take: impl FnMut(String) + Send + 'static) -> impl FnMut(&[u8]) + Send + 'static {
    let mut pending = Vec::new();
    move |bytes| {
        for &byte in bytes {
            if byte == b'\n' {
                take(String::from_utf8_lossy(&pending).trim_end_matches('\r').to_owned());
                pending.clear();
            } else {
                pending.push(byte);
            }
        }
    }
}
