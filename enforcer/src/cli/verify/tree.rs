//! One file, step by step: what was found, who signed it, by which chain and rule, and where it stopped.

use super::super::output::{OutputError, Style};
use super::super::{Failure, Output};
use super::answer::{Answer, OneSigner, Reason, Try};
use crate::text::printable;

/// Shows the tree of one file.
pub(super) fn show(answer: &Answer, output: &mut Output) -> Result<(), Failure> {
    let verdict = if answer.would_run { output.paint(Style::Good, "would run") } else { output.paint(Style::Bad, "would not run") }.into_owned();
    output.line(format!("{}: {verdict}", printable(&answer.path)))?;
    // Whoever reads a pipe may know no other letters.
    let strokes = if output.width().is_some() { &LINES } else { &LETTERS };
    draw(&branches(answer), "", strokes, output)?;
    Ok(())
}

/// What a tree is drawn with.
struct Strokes {
    /// To a branch that others follow, and past what hangs below it.
    next: [&'static str; 2],
    /// To the last branch, and past what hangs below that.
    last: [&'static str; 2],
    /// From a line that is broken to its own branches.
    down: &'static str,
}

const LINES: Strokes = Strokes { next: ["├─ ", "│  "], last: ["└─ ", "   "], down: "│ " };
const LETTERS: Strokes = Strokes { next: ["|- ", "|  "], last: ["`- ", "   "], down: "| " };

/// A line, and what hangs below it.
struct Branch {
    text: String,
    style: Style,
    below: Vec<Branch>,
}

fn branches(answer: &Answer) -> Vec<Branch> {
    let mut all = Vec::new();
    if let Some(digest) = &answer.sha256 {
        let sealed = answer.fsverity_sha256.as_ref().map(|digest| leaf(format!("sealed with fs-verity: sha256 {digest}")));
        all.push(Branch { below: sealed.into_iter().collect(), ..leaf(format!("content: sha256 {digest}")) });
    }
    all.extend(answer.attempts.iter().map(attempt));
    if answer.sha256.is_some() && answer.attempts.is_empty() && answer.reason.as_ref().is_some_and(|reason| reason.code == "unsigned") {
        let places =
            "in the file, at its end, in its comments, in its extended attributes, beside it, in the stores and in the manifests of the policy";
        all.push(leaf(format!("no signature: {places}")));
    }
    if let Some(signer) = &answer.signer {
        let mut below = vec![leaf(format!("it may sign for {}", answer.uses.join(" and ")))];
        if !answer.says.entitlements.is_empty() {
            let granted = if answer.granted.is_empty() { "none".to_owned() } else { answer.granted.join(", ") };
            below.push(leaf(format!("entitlements granted, of those asked for: {granted}")));
        }
        if let Some(component) = &answer.component {
            below.push(leaf(format!("it is the component `{component}`")));
        }
        all.push(Branch { below, ..leaf(format!("rule: signer `{signer}` of the policy")) });
    }
    match &answer.reason {
        Some(reason) => all.push(refusal("verdict: denied at the step", reason)),
        None => {
            let until = answer.not_after.as_ref().map_or("without an end".to_owned(), |end| format!("until {end}"));
            all.push(Branch { style: Style::Good, ..leaf(format!("verdict: allowed, {until}")) });
        }
    }
    all
}

fn attempt(attempt: &Try) -> Branch {
    let place = match (&attempt.signature, attempt.carrier) {
        (Some(path), "manifest") => format!("listed in the manifest {}", printable(path)),
        (Some(path), carrier) => format!("{carrier} signature {}", printable(path)),
        (None, "security.ima") => "signature in the extended attribute security.ima".to_owned(),
        (None, "xattr") => "signature in the extended attribute user.enforcer.signature".to_owned(),
        (None, "comment") => "signature in the comments at its end".to_owned(),
        (None, carrier) => format!("{carrier} signature"),
    };
    let mut below: Vec<Branch> = attempt.signers.iter().map(signer).collect();
    // Where one signer is the reason, it is said there.
    let is_said = |reason: &Reason| attempt.signers.iter().any(|signer| signer.problem.as_ref() == Some(&reason.message));
    below.extend(attempt.reason.as_ref().filter(|reason| !is_said(reason)).map(|reason| refusal("stopped at the step", reason)));
    let (word, style) = if attempt.accepted { ("accepted", Style::Good) } else { ("not accepted", Style::Bad) };
    Branch { text: format!("{place}: {word}"), style, below }
}

fn signer(signer: &OneSigner) -> Branch {
    let mut below = Vec::new();
    if let Some(issuer) = &signer.issuer {
        let fingerprint = signer.certificate_sha256.as_deref().unwrap_or_default();
        below.push(leaf(format!("certificate: issued by {}, sha256 {fingerprint}", printable(issuer))));
    }
    below.push(leaf(format!("signature: {}", signer.algorithm)));
    below.extend(signer.says.words().map(|words| leaf(format!("says it is {words}"))));
    match (&signer.signed_at, &signer.timestamp_problem) {
        (Some(time), _) => below.push(leaf(format!("timestamp: signed at {time}, so its certificates may expire"))),
        (None, Some(problem)) => below.push(Branch { style: Style::Warn, ..leaf(format!("timestamp: does not count: {}", printable(problem))) }),
        (None, None) => {}
    }
    if !signer.chain.is_empty() {
        let end = signer.not_after.as_ref().map_or("without an end".to_owned(), |end| format!("until {end}"));
        let chain: Vec<_> = signer.chain.iter().map(|subject| printable(subject).into_owned()).collect();
        below.push(leaf(format!("chain: {}; holds {end}", chain.join(" → "))));
    }
    below.extend(signer.problem.as_ref().map(|problem| Branch { style: Style::Bad, ..leaf(printable(problem).into_owned()) }));
    let name = signer.subject.as_ref().map_or("a signer whose certificate was not found".to_owned(), |subject| printable(subject).into_owned());
    Branch { below, ..leaf(format!("signer: {name}")) }
}

fn refusal(what: &str, reason: &Reason) -> Branch {
    let mut below = vec![leaf(printable(&reason.message).into_owned())];
    below.extend(reason.hint.as_ref().map(|hint| leaf(format!("hint: {}", printable(hint)))));
    Branch { text: format!("{what} \"{}\" ({})", reason.step, reason.code), style: Style::Bad, below }
}

fn leaf(text: String) -> Branch {
    Branch { text, style: Style::Plain, below: Vec::new() }
}

fn draw(branches: &[Branch], margin: &str, strokes: &Strokes, output: &mut Output) -> Result<(), OutputError> {
    for (index, branch) in branches.iter().enumerate() {
        let is_last = index + 1 == branches.len();
        let [first, rest] = if is_last { strokes.last } else { strokes.next };
        let below = format!("{margin}{rest}");
        // A line that is broken goes on under itself, beside the line that leads to its own branches.
        let hanging = if branch.below.is_empty() { below.clone() } else { format!("{below}{}", strokes.down) };
        output.hanging(&format!("{margin}{first}"), &hanging, branch.style, &branch.text)?;
        draw(&branch.below, &below, strokes, output)?;
    }
    Ok(())
}
