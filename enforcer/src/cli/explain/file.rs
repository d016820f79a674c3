//! A file: what is found of it, and what comes of using it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::Serialize;

use super::super::output::OutputError;
use super::super::verify::Answer;
use super::super::{Exit, Failure, Output};
use super::ground::Ground;
use super::verdict::{NAME_WIDTH, Verdict};
use crate::code::{Beginning, likely_use};
use crate::judge::Use;
use crate::measure::{self, Filesystem, MeasureError};
use crate::signature::Compared;
use crate::text::printable;

#[derive(Serialize)]
struct Explanation<'a> {
    kind: &'static str,
    path: String,
    r#use: Use,
    mode: &'static str,
    filesystem: Filesystem,
    verdict: Verdict,
    /// The same as `enforcer verify --json` tells.
    signatures: &'a Answer,
}

pub(super) fn explain(ground: &Ground, path: &Path, wanted: Option<Use>, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let file = measure::open(path).map_err(|error| unreadable(path, &error))?;
    // The kernel judges by the name behind symbolic links, and beside that one lies the signature.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let is_executable = file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0);
    let wanted = wanted.unwrap_or_else(|| Use(likely_use(&place, is_executable, Beginning::of_file(&file))));
    let filesystem = Filesystem::of(&file);
    let examined = ground.examine(&file, &place);
    if let Err(error) = &examined
        && error.is_io()
    {
        return Err(unreadable(path, error));
    }
    let answer = Answer::new(path, &place, &examined, &ground.policy);
    let judgement = ground.judge().file_on(filesystem.stability, &examined, &place, wanted);
    let place = place.to_string_lossy();
    let verdict = ground.verdict(&judgement, &[&place], Some(wanted), sha256(&examined).as_ref());
    let exit = verdict.exit();
    if json {
        let (path, mode) = (path.to_string_lossy().into_owned(), ground.mode().name());
        output.json(&Explanation { kind: "file", path, r#use: wanted, mode, filesystem, verdict, signatures: &answer })?;
        return Ok(exit);
    }
    let headline = format!("{}, as a {}: {}", printable(&path.to_string_lossy()), wanted.noun(), verdict.words());
    output.hanging("", "  ", verdict.style(), &headline)?;
    output.item(2, NAME_WIDTH, "mode", &ground.mode_in_words())?;
    output.item(2, NAME_WIDTH, "file system", &filesystem.name)?;
    tell_signatures(&answer, output)?;
    verdict.tell(2, output)?;
    Ok(exit)
}

/// The digest by which it can be revoked.
pub(super) fn sha256(examined: &Compared) -> Option<[u8; 32]> {
    examined.as_ref().ok().map(|examination| examination.digest.bytes)
}

/// What is known of the content and its signatures.
pub(super) fn tell_signatures(answer: &Answer, output: &mut Output) -> Result<(), OutputError> {
    let mut item = |name: &str, text: &str| output.item(2, NAME_WIDTH, name, &printable(text));
    if let Some(digest) = &answer.sha256 {
        item("sha256", digest)?;
    }
    if let Some(digest) = &answer.fsverity_sha256 {
        item("fs-verity", digest)?;
    }
    if answer.attempts.is_empty() && answer.sha256.is_some() {
        item("signature", "none found")?;
    }
    for attempt in &answer.attempts {
        let place = attempt.signature.as_ref().map_or(String::new(), |path| format!(" {path}"));
        let refused = attempt.reason.as_ref().map_or(String::new(), |reason| format!(": not accepted, {}", reason.message));
        item("signature", &format!("{}{place}{refused}", attempt.carrier))?;
        for signer in &attempt.signers {
            if let Some(subject) = &signer.subject {
                item("signed by", subject)?;
            }
            if signer.chain.len() > 1 {
                item("chain", &signer.chain.join(" → "))?;
            }
            if let Some(time) = &signer.signed_at {
                item("signed at", time)?;
            }
            if let Some(words) = signer.says.words() {
                item("says", &words)?;
            }
        }
    }
    if answer.signer.is_some() {
        item("holds until", answer.not_after.as_deref().unwrap_or("without an end"))?;
        if !answer.granted.is_empty() {
            item("rights", &answer.granted.join(", "))?;
        }
    }
    if let Some(component) = &answer.component {
        item("component", component)?;
    }
    Ok(())
}

fn unreadable(path: &Path, error: &MeasureError) -> Failure {
    let exit = if error.is_io() { Exit::System } else { Exit::Usage };
    let failure = Failure::new(exit, format!("`{}`: {error}", printable(&path.to_string_lossy())));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
