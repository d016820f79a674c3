//! Messages between daemon and worker: a length of four bytes, then that many bytes; with the first of them, at most one descriptor.
//!
//! The daemon's end never blocks longer than a deadline; the worker's end waits for the daemon.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg};

/// Sends one message. Without a deadline it waits as long as it takes.
pub(super) fn send(socket: impl AsFd, message: &[u8], file: Option<&File>, deadline: Option<Instant>) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?.to_le_bytes();
    let mut unsent = [&length[..], message].concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = file.map(|file| [file.as_fd()]);
    if let Some(descriptors) = &descriptors
        && !control.push(SendAncillaryMessage::ScmRights(descriptors))
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    while !unsent.is_empty() {
        wait(socket.as_fd(), PollFlags::OUT, deadline)?;
        match sendmsg(&socket, &[IoSlice::new(&unsent)], &mut control, SendFlags::NOSIGNAL) {
            Ok(sent) => {
                unsent.drain(..sent);
                control.clear();
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Receives one message of no more than this many bytes; `None` when the other end is closed.
pub(super) fn receive(socket: impl AsFd, limit: usize, deadline: Option<Instant>) -> io::Result<Option<(Vec<u8>, Option<File>)>> {
    let mut length = [0; 4];
    let Some(file) = fill(socket.as_fd(), &mut length, deadline)? else { return Ok(None) };
    let length = u32::from_le_bytes(length) as usize;
    if length > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Grows with what arrives, and not with what was announced.
    let mut message = Vec::new();
    while message.len() < length {
        let start = message.len();
        message.resize(length.min(start + PIECE), 0);
        fill(socket.as_fd(), &mut message[start..], deadline)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    }
    Ok(Some((message, file)))
}

/// Fills the buffer; `None` when the other end is closed before the first byte. The file that came along, if one did.
fn fill(socket: BorrowedFd<'_>, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<Option<Option<File>>> {
    let mut filled = 0;
    let mut file = None;
    while filled < buffer.len() {
        wait(socket, PollFlags::IN, deadline)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        match recvmsg(socket, &mut [IoSliceMut::new(&mut buffer[filled..])], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) if received.bytes == 0 && filled == 0 => return Ok(None),
            Ok(received) if received.bytes == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(received) => filled += received.bytes,
            Err(Errno::AGAIN | Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                file = descriptors.next().map(File::from);
            }
        }
    }
    Ok(Some(file))
}

/// Waits until the socket is ready. Without a deadline there is nothing to do: the call itself waits.
fn wait(socket: BorrowedFd<'_>, ready: PollFlags, deadline: Option<Instant>) -> io::Result<()> {
    let Some(deadline) = deadline else { return Ok(()) };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let limit = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::from_borrowed_fd(socket, ready)], Some(&limit)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

const PIECE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_message_arrives_with_its_file() {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let long = vec![7; 3 << 20];
        let text = long.clone();
        let reader = thread::spawn(move || receive(&there, 4 << 20, None).unwrap().unwrap());
        let file = File::open("/proc/self/comm").unwrap();
        send(&here, &text, Some(&file), Some(Instant::now() + Duration::from_secs(20))).unwrap();
        let (message, file) = reader.join().unwrap();
        assert_eq!(message, long);
        let mut content = String::new();
        file.unwrap().read_to_string(&mut content).unwrap();
        assert!(!content.is_empty());
    }

    #[test]
    fn silence_ends_at_the_deadline_and_a_closed_end_is_told_from_it() {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let soon = || Some(Instant::now() + Duration::from_millis(30));
        assert_eq!(receive(&here, 10, soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
        send(&there, &[0; 11], None, None).unwrap();
        assert_eq!(receive(&here, 10, soon()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(there);
        let (here, there) = UnixStream::pair().unwrap();
        drop(there);
        assert!(receive(&here, 10, soon()).unwrap().is_none());
    }
}
