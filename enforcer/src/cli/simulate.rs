//! `enforcer simulate`: what would change if another policy were in force?

use std::io;
use std::path::PathBuf;

use super::event_log::unreadable;
use super::events::ID_LENGTH;
use super::failure::note;
use super::output::{OutputError, Style, Table};
use super::verify::progress;
use super::{Exit, Failure, Output, ReportOption, facts, since};
use crate::audit::{DEFAULT_PATH as DEFAULT_LOG, Timestamp};
use crate::judge::Way;
use crate::policy::{DEFAULT_PATH, Mode, Policy};
use crate::simulate::{self, Change, Group, Options, SimulateError, Simulation, Subject};
use crate::text::{clipped, printable};

/// What would change if another policy were in force?
///
/// Tries two policies on what the event log recorded, on what runs, and on the code in the folders of [scan]: what would newly be denied, and what newly allowed, in
/// which service, for which reason, and what would have to change. Changes nothing. Needs root to see all that runs.
///
/// A file that is gone, or has another content than when it was recorded, is decided by its digest where a manifest lists it. Where the facts do not tell, the use is
/// counted as one that cannot be judged.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("tried").required(true).multiple(true).args(["policy", "enforce"])))]
#[command(after_help = "Examples:
  sudo enforcer simulate --enforce               may I go from audit to enforce?
  sudo enforcer simulate --policy new.toml       what would this policy change?
  sudo enforcer simulate --policy new.toml --enforce --since 30d --all
  enforcer simulate --from old.toml --policy new.toml --no-events --no-processes

Exit status: 0 when nothing would newly be denied, 1 when something would.")]
pub(super) struct Arguments {
    /// The policy to try; without it, the one that it would be compared with (see `--enforce`).
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The policy to compare with.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    from: PathBuf,
    /// Try the policy as if it said mode = "enforce".
    #[arg(long)]
    enforce: bool,
    /// Events since then: a time (2026-01-31T09:30:00Z) or an age (90s, 15m, 2h, 7d).
    #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = since::parse)]
    since: Timestamp,
    /// Look at the code in this folder, instead of those of [scan] in both policies; may be repeated.
    #[arg(long = "path", value_name = "DIR")]
    paths: Vec<PathBuf>,
    /// The event log.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_LOG)]
    log: PathBuf,
    /// Leave out the event log.
    #[arg(long)]
    no_events: bool,
    /// Leave out what runs.
    #[arg(long)]
    no_processes: bool,
    /// Leave out the code on the disk that nobody was seen to use.
    #[arg(long, conflicts_with = "paths")]
    no_scan: bool,
    /// Show everything, also what stays as it is.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    report: ReportOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let old = Policy::load(&arguments.from)?;
    let mut new = match &arguments.policy {
        Some(path) => Policy::load(path)?,
        None => old.clone(),
    };
    if arguments.enforce {
        new.mode = Mode::Enforce;
    }
    if let Some(missing) = arguments.paths.iter().find(|path| !path.exists()) {
        let path = missing.to_string_lossy();
        return Err(Failure::new(Exit::System, format!("there is nothing at `{}`", printable(&path))).hint("name a folder that is there by `--path`"));
    }
    let (now, security_versions) = facts();
    let progress = progress("trying");
    let options = Options {
        log: arguments.log(),
        since: arguments.since,
        scan: arguments.scan([&old, &new]),
        processes: !arguments.no_processes,
        now,
        security_versions: &security_versions,
        advance: &|| progress.inc(1),
    };
    let simulation = simulate::run(&old, &new, &options);
    progress.finish_and_clear();
    let simulation = simulation.map_err(failure)?;
    if arguments.report.json {
        output.json(&simulation)?;
    } else {
        tell(&simulation, arguments.all, output)?;
    }
    Ok(if simulation.is_safe() { Exit::Yes } else { Exit::No })
}

impl Arguments {
    /// The log, unless there is none where nobody has said that there is one.
    fn log(&self) -> Option<PathBuf> {
        let is_there = || self.log.symlink_metadata().map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |_| true);
        if self.no_events {
            return None;
        }
        if self.log.as_os_str() == DEFAULT_LOG && !is_there() {
            note(&format!("there is no event log `{DEFAULT_LOG}`: only what runs and what lies on the disk is tried"));
            return None;
        }
        Some(self.log.clone())
    }

    fn scan(&self, policies: [&Policy; 2]) -> Vec<PathBuf> {
        if self.no_scan {
            return Vec::new();
        }
        if !self.paths.is_empty() {
            return self.paths.clone();
        }
        folders(policies)
    }
}

/// The folders of [scan] in both policies, each once.
pub(super) fn folders(policies: [&Policy; 2]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = policies.into_iter().flat_map(|policy| policy.scan.iter().cloned()).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// Why nothing was tried, with a way to mend it.
pub(super) fn failure(error: SimulateError) -> Failure {
    match error {
        SimulateError::Log { path, source } => unreadable(&path, &source),
        SimulateError::Trust { ref source, .. } => Failure::because(Exit::Usage, &error).hint(source.hint()),
        SimulateError::Processes(_) => Failure::because(Exit::System, &error).hint("leave them out by `--no-processes`"),
    }
}

/// Shows what would change, the worst first; `all` is everything, also what stays as it is.
pub(super) fn tell(simulation: &Simulation, all: bool, output: &mut Output) -> Result<(), OutputError> {
    let side = |side: &simulate::Side| {
        let modes: Vec<&str> = std::iter::once(side.mode).chain(side.scopes.iter().map(String::as_str)).collect();
        format!("{} ({})", printable(&side.policy.to_string_lossy()), modes.join(", "))
    };
    output.paragraph(0, &format!("{} in place of {}", side(&simulation.new), side(&simulation.old)))?;
    output.paragraph(0, &looked_at(simulation))?;
    output.line("")?;
    let mut table = Table::new(["", "IN USE", "ON THE DISK ONLY"]);
    for change in Change::ALL {
        let count = simulation.count(change);
        if count.uses() > 0 || matches!(change, Change::NewlyDenied | Change::NewlyAllowed | Change::StillDenied) {
            table.row([change.words().to_owned(), count.seen.to_string(), count.on_disk.to_string()]);
        }
    }
    output.table(&table)?;
    let mut told = vec![];
    for change in Change::ALL {
        let groups = simulation.groups.iter().filter(|group| group.change == change);
        let (most, total) = (if all { usize::MAX } else { most_shown(change) }, groups.clone().count());
        for group in groups.take(most) {
            let ways = if told.contains(&&group.ways) { None } else { Some(&group.ways[..]) };
            tell_group(group, ways, all, output)?;
            told.push(&group.ways);
        }
        if total > most && most > 0 {
            output.line("")?;
            output.paragraph(0, &format!("{}: {} more groups, which `--all` and `--json` show", change.words(), total - most))?;
        }
    }
    for what in &simulation.incomplete {
        output.line("")?;
        output.paragraph(0, &format!("incomplete: {}", printable(what)))?;
    }
    if !simulation.incomplete.is_empty() && !rustix::process::geteuid().is_root() {
        output.paragraph(0, "Only root may look at everything: use `sudo`.")?;
    }
    output.line("")?;
    let unjudged = simulation.count(Change::Unjudged).uses();
    let (verdict, style) = match simulation.count(Change::NewlyDenied).uses() {
        0 if unjudged > 0 => {
            (format!("Nothing would newly be denied, as far as it can be judged: {} cannot.", several(unjudged, "use", "uses")), Style::Warn)
        }
        0 if !simulation.incomplete.is_empty() => ("Nothing would newly be denied, of what could be looked at.".to_owned(), Style::Warn),
        0 => ("Nothing would newly be denied.".to_owned(), Style::Good),
        uses => (format!("{} would newly be denied.", several(uses, "use", "uses")), Style::Bad),
    };
    output.hanging("", "", style, &verdict)
}

fn looked_at(simulation: &Simulation) -> String {
    let looked_at = simulation.looked_at;
    let events = looked_at.since.map(|since| format!("{} since {}", several(looked_at.events, "event", "events"), since.to_the_second()));
    let rest = [several(looked_at.processes, "process", "processes"), several(looked_at.files, "file", "files")];
    let all: Vec<String> = events.into_iter().chain(rest).collect();
    format!("looked at {}", all.join(", "))
}

fn several(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `ways` are those of the group, unless they were told already.
fn tell_group(group: &Group, ways: Option<&[Way]>, all: bool, output: &mut Output) -> Result<(), OutputError> {
    let place = match (&group.service, &group.program) {
        (Some(service), Some(program)) => format!("{}, {}", printable(service), printable(program)),
        (None, Some(program)) => printable(program).into_owned(),
        _ => "on the disk".to_owned(),
    };
    let style = match group.change {
        Change::NewlyDenied | Change::StillDenied => Style::Bad,
        Change::NewlyAllowed => Style::Good,
        Change::Unjudged | Change::NewlyReported | Change::StillReported => Style::Warn,
    };
    output.line("")?;
    output.hanging("", "  ", style, &format!("{}: {place}", group.change.words()))?;
    output.item(2, NAME_WIDTH, "seen", &seen(group))?;
    output.item(2, NAME_WIDTH, "why", &printable(&group.rationale.text))?;
    if let Some(rule) = &group.rule {
        output.item(2, NAME_WIDTH, "rule", rule)?;
    }
    let most = if all { usize::MAX } else { MOST_SUBJECTS };
    for (number, subject) in group.subjects.iter().take(most).enumerate() {
        output.item(2, NAME_WIDTH, if number == 0 { "what" } else { "" }, &words(subject))?;
    }
    let left_out = group.uses.saturating_sub(group.subjects.len().min(most) as u64);
    if left_out > 0 {
        output.item(2, NAME_WIDTH, "", &format!("and {left_out} more"))?;
    }
    match ways {
        Some(ways) => tell_ways(2, NAME_WIDTH, ways, output),
        None if group.ways.is_empty() => Ok(()),
        None => output.item(2, NAME_WIDTH, "mend", "as above"),
    }
}

/// What would have to change: the best way first, each with its commands.
pub(super) fn tell_ways(indent: usize, name_width: usize, ways: &[Way], output: &mut Output) -> Result<(), OutputError> {
    for (number, way) in ways.iter().enumerate() {
        let colon = if way.commands.is_empty() { "" } else { ":" };
        output.item(indent, name_width, if number == 0 { "mend" } else { "or" }, &format!("{}{colon}", printable(&way.text)))?;
        for command in &way.commands {
            output.command(indent + name_width + 4, &printable(command))?;
        }
    }
    Ok(())
}

/// How often, and when.
fn seen(group: &Group) -> String {
    let mut parts = vec![several(group.uses, "use", "uses")];
    if group.events > 0 {
        let last = group.last.map_or(String::new(), |last| format!(", the last at {}", last.to_the_second()));
        parts.push(format!("{}{last}", several(group.events, "event", "events")));
    }
    if group.running > 0 {
        parts.push(format!("running {}", several(group.running, "time", "times")));
    }
    parts.join("; ")
}

fn words(subject: &Subject) -> String {
    let event = subject.event.as_ref().map_or(String::new(), |event| format!(" (event {})", printable(clipped(event, ID_LENGTH))));
    match &subject.path {
        Some(path) if !subject.what.contains(path.as_str()) => format!("{} {}{event}", printable(&subject.what), printable(path)),
        _ => format!("{}{event}", printable(&subject.what)),
    }
}

/// Groups of one kind that are shown; what stays as it is, is counted only.
const fn most_shown(change: Change) -> usize {
    match change {
        Change::NewlyDenied => 10,
        Change::Unjudged | Change::NewlyReported | Change::NewlyAllowed => 5,
        Change::StillDenied | Change::StillReported => 0,
    }
}

/// Of one group.
const MOST_SUBJECTS: usize = 4;
const NAME_WIDTH: usize = 4;
