//! A worker's life: give everything up, say so, and answer until the daemon closes its end.

use std::fs::File;
use std::io;

use super::channel::{receive, send};
use super::{MAX_REQUEST, Request, confine};
use crate::signature::{Answer, Job, rehearse};

/// Confines the calling process, which must have one thread, and answers at descriptor 0.
pub fn serve(nice: i32) -> io::Result<()> {
    // A panic has nowhere to write to: the daemon sees the status that the process ends with.
    std::panic::set_hook(Box::new(|_| {}));
    let hello = confine(nice);
    let daemon = rustix::stdio::stdin();
    send(daemon, &encode(&hello)?, None, None)?;
    while let Some((message, file)) = receive(daemon, MAX_REQUEST, None)? {
        let request: Request = postcard::from_bytes(&message).map_err(io::Error::other)?;
        let answer = answer(&request, file.as_ref())?;
        drop(file);
        send(daemon, &encode(&answer)?, None, None)?;
    }
    Ok(())
}

fn answer(request: &Request, file: Option<&File>) -> io::Result<Answer> {
    if request.has_file != file.is_some() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let values = request.values.iter().map(|(form, bytes)| (*form, bytes.as_slice())).collect();
    let answer = Answer::to(&Job { file, values });
    rehearse(&answer);
    Ok(answer)
}

fn encode(message: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(message).map_err(io::Error::other)
}
