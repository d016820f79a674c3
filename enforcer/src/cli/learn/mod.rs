//! `enforcer learn`: from what the event log reports to manifests that somebody looks at and signs. It never signs, and nothing is trusted by it.
//!
//! [`candidates`] says what the reported files are now, [`packages`] which of them are what a package holds, [`ask`] lets somebody look at the rest.

mod ask;
mod candidates;
mod packages;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::event_log::{LogOption, tell_skipped};
use super::failure::note;
use super::manifest::listing::Listing;
use super::output::{OutputError, Style};
use super::sign::failure;
use super::verify::progress;
use super::{Exit, Failure, Output, ReportOption, report, since};
use crate::audit::Timestamp;
use crate::report::command_line;
use crate::signature::sign::write_whole;
use crate::text::{counted, printable};
use candidates::{Candidate, Found, LeftOut};
use packages::Sorted;

/// Turn what the event log reports into manifests to be looked at and signed.
///
/// Files that would have been denied for want of a signature, and that still have the content that was reported, are sorted: those whose bytes are exactly
/// what an installed package holds go into the manifest of --output. For Debian packages that is held against the package that apt's signed index names
/// (as `enforcer manifest create --debian` does), for RPM packages against the SHA-256 in rpm's database.
///
/// The rest is what nobody knows. It is listed, and goes nowhere unless somebody says so, one by one: with --include, or by answering on a terminal when
/// --output-unknown is given. Nothing is signed, and an unsigned manifest allows nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer learn                                       only look
  sudo enforcer learn --since 7d --output packages.manifest
  sudo enforcer learn --output-unknown reviewed.manifest    ask about each file
  sudo enforcer learn --include /opt/tool --output-unknown reviewed.manifest

Exit status: 0 when every file that is there is in a manifest now; 1 when some
are not.")]
pub(super) struct Arguments {
    /// Only events since then: a time (2026-01-31T09:30:00Z) or an age (90s, 15m, 2h, 7d).
    #[arg(long, value_name = "WHEN", value_parser = since::parse)]
    since: Option<Timestamp>,
    /// Where to list the files that packages installed.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where to list the other files: those of --include, or those that you say yes to.
    #[arg(long, value_name = "FILE")]
    output_unknown: Option<PathBuf>,
    /// Put this file, which nobody knows, into the manifest of --output-unknown. May be given more than once.
    #[arg(long, value_name = "PATH", requires = "output_unknown")]
    include: Vec<PathBuf>,
    /// Look for .debs in this folder before apt's cache.
    #[arg(long, value_name = "DIR")]
    debs: Vec<PathBuf>,
    /// Let apt fetch nothing.
    #[arg(long)]
    no_download: bool,
    #[command(flatten)]
    log: LogOption,
    #[command(flatten)]
    report: ReportOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    arguments.check()?;
    let events = report::read(&arguments.log, arguments.since)?;
    let found = Found::of(&events);
    let progress = progress("comparing packages");
    let request = packages::Request { debs: &arguments.debs, download: !arguments.no_download };
    let mut sorted = packages::sort(found.there, &request, &|count| progress.inc(count));
    progress.finish_and_clear();
    sorted.problems.iter().for_each(|problem| note(&printable(problem)));
    tell_skipped(events.unreadable);
    let mut left_out = found.left_out;
    if arguments.report.json {
        arguments.choose(&mut sorted, &left_out)?;
    } else {
        arguments.show_and_choose(&mut sorted, &mut left_out, output)?;
    }
    let learnt = arguments.write(&sorted, left_out, found.elsewhere)?;
    if arguments.report.json {
        output.json(&learnt)?;
    } else {
        learnt.show(output)?;
    }
    Ok(learnt.exit())
}

impl Arguments {
    fn check(&self) -> Result<(), Failure> {
        if self.output.is_some() && self.output == self.output_unknown {
            return Err(Failure::new(Exit::Usage, "the two manifests cannot be one file")
                .hint("what nobody knows is signed by itself, if at all: give --output-unknown another name"));
        }
        if self.output_unknown.is_some() && self.include.is_empty() && !self.may_ask() {
            return Err(Failure::new(Exit::Usage, "nobody is there to ask which files to list in the manifest of --output-unknown")
                .hint("name each with `--include PATH`, or run it on a terminal without --json"));
        }
        Ok(())
    }

    fn may_ask(&self) -> bool {
        !self.report.json && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
    }

    /// Includes what the command line names.
    fn choose(&self, sorted: &mut Sorted, left_out: &[LeftOut]) -> Result<(), Failure> {
        for path in &self.include {
            let absolute = std::path::absolute(path).map_err(|error| Failure::because(Exit::System, &error))?;
            let shown = absolute.to_string_lossy().into_owned();
            let shown = printable(&shown);
            if let Some(unknown) = sorted.unknown.iter_mut().find(|unknown| unknown.candidate.path == absolute) {
                unknown.included = true;
            } else if let Some(left_out) = left_out.iter().find(|left_out| left_out.path == absolute) {
                return Err(Failure::new(Exit::Usage, format!("`{shown}` is left out: {}; no manifest was made", left_out.why))
                    .hint("to list it as it is now, whatever was reported: `enforcer manifest create`"));
            } else if !sorted.known.iter().any(|known| known.path == absolute) {
                return Err(Failure::new(Exit::Usage, format!("`{shown}` is not among the files that were reported; no manifest was made"))
                    .hint("`enforcer learn` lists them; any other file is listed by `enforcer manifest create`"));
            }
        }
        Ok(())
    }

    fn show_and_choose(&self, sorted: &mut Sorted, left_out: &mut Vec<LeftOut>, output: &mut Output) -> Result<(), Failure> {
        let asks = self.output_unknown.is_some() && self.include.is_empty() && !sorted.unknown.is_empty();
        self.choose(sorted, left_out)?;
        if sorted.unknown.is_empty() {
            return Ok(());
        }
        output.line(format!("No package vouches for {}:", counted(sorted.unknown.len(), "file", "files")))?;
        if asks {
            left_out.extend(ask::each(sorted, &mut std::io::stdin().lock(), output)?);
        } else {
            sorted.unknown.iter().try_for_each(|unknown| unknown.show(output))?;
            output.line("")?;
        }
        Ok(())
    }

    fn write(&self, sorted: &Sorted, left_out: Vec<LeftOut>, elsewhere: u64) -> Result<Learnt, Failure> {
        let packages = list(self.output.as_deref(), &sorted.known.iter().collect::<Vec<_>>())?;
        let included: Vec<&Candidate> = sorted.unknown.iter().filter(|unknown| unknown.included).map(|unknown| &unknown.candidate).collect();
        let reviewed = list(self.output_unknown.as_deref(), &included)?;
        let unknown = sorted.unknown.iter().map(packages::Unknown::report).collect();
        Ok(Learnt { packages, reviewed, unknown, left_out, elsewhere })
    }
}

/// Writes a manifest, if there is anything to list and a file to list it in.
fn list(path: Option<&Path>, files: &[&Candidate]) -> Result<Listed, Failure> {
    let mut listing = Listing::default();
    for file in files {
        file.digests.iter().for_each(|digest| listing.add(&file.path, *digest));
    }
    let path = path.filter(|_| !files.is_empty());
    if let Some(path) = path {
        write_whole(path, &listing.text()).map_err(|error| failure(&error))?;
    }
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Ok(Listed { manifest: path.map(text), entries: listing.count(), files: files.iter().map(|file| text(&file.path)).collect() })
}

/// What came of it.
#[derive(Serialize)]
struct Learnt {
    /// The files that packages installed.
    packages: Listed,
    /// The others that somebody wants.
    reviewed: Listed,
    /// The files that no package vouches for.
    unknown: Vec<packages::UnknownReport>,
    /// Reported files of which nothing can be learnt.
    left_out: Vec<LeftOut>,
    /// Events that no manifest mends.
    elsewhere: u64,
}

/// A manifest, or what would be in it.
#[derive(Serialize)]
struct Listed {
    /// Where it is; `None` if it was not written.
    manifest: Option<String>,
    entries: usize,
    files: Vec<String>,
}

impl Learnt {
    fn show(&self, output: &mut Output) -> Result<(), OutputError> {
        for left_out in &self.left_out {
            output.hanging("", "  ", Style::Warn, &format!("{}: left out: {}", printable(&left_out.path.to_string_lossy()), left_out.why))?;
        }
        if !self.left_out.is_empty() {
            output.line("")?;
        }
        let found = self.packages.files.len() + self.unknown.len();
        if found == 0 {
            output.line("There is no file in the log that a manifest could mend.")?;
        }
        for (listed, option, kind) in
            [(&self.packages, "--output", "as packages hold them"), (&self.reviewed, "--output-unknown", "that no package vouches for")]
        {
            let files = counted(listed.files.len(), "file", "files");
            match &listed.manifest {
                Some(manifest) => {
                    output.line(format!("{}: {}, of {files} {kind}", printable(manifest), counted(listed.entries, "digest", "digests")))?
                }
                None if !listed.files.is_empty() => output.line(format!("{files} {kind}: `{option} FILE` lists them"))?,
                None => {}
            }
        }
        let open = self.unknown.iter().filter(|unknown| !unknown.included).count();
        if open > 0 {
            output.paragraph(
                0,
                &format!("{} in no manifest: `--include PATH` with `--output-unknown FILE` lists one.", counted(open, "file is", "files are")),
            )?;
        }
        if self.elsewhere > 0 {
            let events = counted(self.elsewhere, "event is", "events are");
            output.paragraph(0, &format!("{events} about what no list of this machine's files mends, such as executable memory, text, or files of containers: `enforcer report` says what does."))?;
        }
        let manifests: Vec<&str> = [&self.packages, &self.reviewed].into_iter().filter_map(|listed| listed.manifest.as_deref()).collect();
        if manifests.is_empty() {
            return Ok(());
        }
        output.line("")?;
        output.paragraph(0, "Nothing is signed yet. Look at what is listed, bring it to where the key is, and sign it there:")?;
        for manifest in manifests {
            let sign = ["enforcer", "manifest", "sign", "--key", "signer.key", "--certificate", "signer.pem", manifest];
            output.line(format!("  {}", command_line(&sign).unwrap_or_else(|| "enforcer manifest sign --help".to_owned())))?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        let is_listed = self.packages.manifest.is_some() || self.packages.files.is_empty();
        let is_complete = is_listed && self.unknown.iter().all(|unknown| unknown.included) && self.left_out.iter().all(|left_out| left_out.is_gone);
        if is_complete { Exit::Yes } else { Exit::No }
    }
}
