//! `enforcer status`: what is enforced right now, as the kernel has it.

use std::cmp::Reverse;
use std::path::Path;

use enforcer_common::Mode;

use super::output::{Cell, OutputError, Style, Table};
use super::{Exit, Failure, Output, ReportOption};
use crate::audit::{Status, Timestamp, exposition, state_in_words};
use crate::daemon;
use crate::text::printable;

/// What is enforced on this machine right now?
///
/// Reports what is in the kernel, not what the policy asks for. Needs root.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer status
  sudo enforcer status --json | jq .enforcing
  sudo enforcer status --prometheus

Exit status: 0 when the programs are in force, complete, and the daemon answers;
1 when not.")]
pub(super) struct Arguments {
    /// Reports as metrics, in the text format of Prometheus.
    #[arg(long, conflicts_with = "json")]
    prometheus: bool,
    #[command(flatten)]
    report: ReportOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let status = observe()?;
    if arguments.report.json {
        output.json(&status)?;
    } else if arguments.prometheus {
        output.text(exposition(&status, Timestamp::now()).as_bytes())?;
    } else {
        tell(&status, output)?;
    }
    Ok(if status.is_healthy() { Exit::Yes } else { Exit::No })
}

/// What is in force, or why that cannot be seen.
pub(super) fn observe() -> Result<Status, Failure> {
    daemon::status().map_err(|error| {
        let failure = Failure::because(Exit::System, &error);
        if rustix::process::geteuid().is_root() { failure } else { failure.hint("only root may look: use `sudo`") }
    })
}

fn tell(status: &Status, output: &mut Output) -> Result<(), OutputError> {
    let path = |path: Option<&Path>| path.map(|path| path.to_string_lossy().into_owned());
    let mut table = Table::new(["", ""]);
    let mut row = |name: &str, value: String, style: Style| table.row([Cell::styled(name, Style::Dim), Cell::styled(value, style)]);
    let (headline, style) = headline(status);
    row("state", headline.to_owned(), style);
    row("kernel", status.kernel.clone(), Style::Plain);
    row("hooks", if status.hooks.is_empty() { "none attached".to_owned() } else { status.hooks.join(", ") }, Style::Plain);
    if status.mode.is_some() {
        if let Some(since) = status.since {
            row("since", since.to_the_second(), Style::Plain);
        }
        if !status.scopes.is_empty() {
            row("scopes", status.scopes.iter().map(|scope| format!("{}: {}", scope.cgroup, scope.mode)).collect::<Vec<_>>().join(", "), Style::Plain);
        }
        let daemon = status.daemon.pid.map_or_else(|| "not running".to_owned(), |pid| format!("running, pid {pid}"));
        row("daemon", daemon, if status.daemon.alive { Style::Good } else { Style::Warn });
        row("verdicts", format!("{} of {}", status.verdicts, status.max_verdicts), Style::Plain);
        row("uses", format!("{} allowed, {} denied, {} would be denied", status.allowed, status.denied, status.would_be_denied), Style::Plain);
        if !status.exceptions.is_empty() {
            row("let through", status.exceptions.join(", "), Style::Warn);
        }
        if let Some(trusted) = status.trusted_time.filter(|_| status.is_clock_off()) {
            row("trusted time", trusted.to_the_second(), Style::Warn);
        }
        if !status.policy_signers.is_empty() {
            row("changed by", status.policy_signers.join(", "), Style::Plain);
        }
        if !status.security_versions.is_empty() {
            row("versions", versions(status), Style::Plain);
        }
        if let Some(before) = &status.before {
            row("ran before", before.in_words(), if before.is_covered() { Style::Plain } else { Style::Warn });
        }
        row("measured", format!("{} files hashed, {} times reused", status.measurements, status.cache_hits), Style::Plain);
        if !status.hooks_cost.is_empty() {
            row("cost", costs(status), Style::Plain);
        }
        row("first uses", format!("{} asked, {} lost, {} past the deadline", status.requests, status.requests_lost, status.deadlines), Style::Plain);
        row("lost events", status.events_lost.to_string(), if status.events_lost == 0 { Style::Plain } else { Style::Warn });
        let losses = status.losses();
        if !losses.is_empty() {
            row("losses", losses.join(", "), Style::Warn);
        }
        row("faults", status.faults.to_string(), if status.faults == 0 { Style::Plain } else { Style::Bad });
    }
    for (name, value) in [("policy", path(status.policy.as_deref())), ("pins", path(status.pins.as_deref()))] {
        if let Some(value) = value {
            row(name, value, Style::Plain);
        }
    }
    output.table(&table)?;
    for warning in status.warnings() {
        output.line("")?;
        output.paragraph(0, &printable(&warning))?;
    }
    Ok(())
}

/// What the hooks cost, the dearest first.
fn costs(status: &Status) -> String {
    let mut costs: Vec<_> = status.hooks_cost.iter().filter(|cost| cost.runs > 0).collect();
    costs.sort_by_key(|cost| Reverse(cost.nanoseconds));
    let each = costs.into_iter().map(|cost| format!("{} {} × {} ns", cost.hook, cost.runs, cost.nanoseconds / cost.runs));
    each.collect::<Vec<_>>().join(", ")
}

/// The highest accepted security versions, as many as a person reads.
fn versions(status: &Status) -> String {
    let mut shown: Vec<String> =
        status.security_versions.iter().take(MOST_SHOWN).map(|(identifier, version)| format!("{identifier} {version}")).collect();
    let more = status.security_versions.len().saturating_sub(MOST_SHOWN);
    if more > 0 {
        shown.push(format!("{more} more (--json)"));
    }
    shown.join(", ")
}

const MOST_SHOWN: usize = 8;

/// The state in a few words.
pub(super) fn headline(status: &Status) -> (String, Style) {
    let mode = |name: &str| if name == Mode::Audit.name() { Mode::Audit } else { Mode::Enforce };
    let scopes = status.scopes.iter().map(|scope| (scope.cgroup.clone(), mode(&scope.mode)));
    match &status.mode {
        None => ("nothing is enforced".to_owned(), Style::Bad),
        Some(_) if status.suspension.is_some() => ("SUSPENDED: nothing is denied, though the policy says so".to_owned(), Style::Bad),
        Some(_) if status.enforcing => (state_in_words(Mode::Enforce, scopes), Style::Good),
        Some(mode) if mode == Mode::Audit.name() => (state_in_words(Mode::Audit, scopes), Style::Warn),
        Some(_) => ("enforcement is incomplete".to_owned(), Style::Bad),
    }
}

#[cfg(test)]
mod tests;
