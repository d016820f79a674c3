//! Somebody looks at the files that no package knows, one by one, and says which may be listed.

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::super::Output;
use super::super::output::{OutputError, Style};
use super::candidates::LeftOut;
use super::packages::{Sorted, Unknown};
use crate::audit::Timestamp;
use crate::code::Beginning;
use crate::measure::{self, MeasureError};
use crate::policy::display_size;
use crate::text::printable;

/// Asks about each, until the end or until somebody quits; what changed while they looked is taken out and returned.
pub(super) fn each(sorted: &mut Sorted, answers: &mut impl BufRead, output: &mut Output) -> Result<Vec<LeftOut>, OutputError> {
    let total = sorted.unknown.len();
    let mut left_out = Vec::new();
    let mut quit = false;
    let mut kept = Vec::with_capacity(total);
    for (number, mut unknown) in std::mem::take(&mut sorted.unknown).into_iter().enumerate() {
        if quit {
            kept.push(unknown);
            continue;
        }
        output.line("")?;
        unknown.show(output)?;
        loop {
            output.flush()?;
            match answer(number + 1, total, answers) {
                Answer::Yes => unknown.included = true,
                Answer::No => {}
                Answer::Quit => quit = true,
                Answer::View => match view(&unknown, output)? {
                    Ok(()) => continue,
                    Err(why) => {
                        output.line(format!("    {why}"))?;
                        left_out.push(LeftOut { path: unknown.path().to_owned(), why, is_gone: false });
                        break;
                    }
                },
            }
            kept.push(unknown);
            break;
        }
    }
    output.line("")?;
    sorted.unknown = kept;
    Ok(left_out)
}

enum Answer {
    Yes,
    No,
    View,
    Quit,
}

/// Anything but a clear yes is none, and the end of the input is the end.
fn answer(number: usize, total: usize, answers: &mut impl BufRead) -> Answer {
    loop {
        _ = write!(std::io::stderr(), "[{number}/{total}] List this file, so that it may be signed? yes, no, view, quit [no]: ");
        _ = std::io::stderr().flush();
        let mut line = String::new();
        match answers.by_ref().take(LONGEST_ANSWER).read_line(&mut line) {
            Ok(0) | Err(_) => return Answer::Quit,
            Ok(_) => {}
        }
        match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => return Answer::Yes,
            "" | "n" | "no" => return Answer::No,
            "v" | "view" => return Answer::View,
            "q" | "quit" => return Answer::Quit,
            _ => {}
        }
    }
}

/// Shows what it is and how it begins; an error says why it is not what was reported any more.
fn view(unknown: &Unknown, output: &mut Output) -> Result<Result<(), String>, OutputError> {
    let (file, beginning) = match look(unknown) {
        Ok(looked) => looked,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if !measure::sha256(&file, u64::MAX).is_ok_and(|digest| unknown.candidate.digests.contains(&digest)) {
        return Ok(Err("it has changed since it was reported".to_owned()));
    }
    if let Ok(metadata) = file.metadata() {
        let kind = match Beginning::of(&beginning) {
            Beginning::Elf => "an ELF file",
            Beginning::Interpreter => "a script",
            Beginning::Other => "a file",
        };
        let modified = metadata.modified().map_or_else(|_| String::new(), |time| format!(", written {}", Timestamp::from(time).to_the_second()));
        let (mode, uid, gid) = (metadata.permissions().mode() & 0o7777, metadata.uid(), metadata.gid());
        output.paragraph(4, &format!("{kind} of {}, mode {mode:04o}, of uid {uid} and gid {gid}{modified}", display_size(metadata.len())))?;
    }
    // What is cut off in the middle of a character, or is no text, shows as such.
    if beginning.contains(&0) {
        output.line("    | (no text)")?;
    } else {
        for line in String::from_utf8_lossy(&beginning).lines().take(LINES) {
            output.hanging("    | ", "    | ", Style::Plain, &printable(line))?;
        }
    }
    Ok(Ok(()))
}

fn look(unknown: &Unknown) -> Result<(File, Vec<u8>), MeasureError> {
    let file = measure::open(unknown.path())?;
    let mut beginning = Vec::new();
    (&file).take(BEGINNING).read_to_end(&mut beginning).map_err(|source| MeasureError::Read { source })?;
    Ok((file, beginning))
}

const LONGEST_ANSWER: u64 = 256;
/// Bytes and lines of a file that are shown.
const BEGINNING: u64 = 4096;
const LINES: usize = 20;
