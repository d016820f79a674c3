//! `enforcer enforce` and `enforcer audit`: from one mode to the other, for the machine or for some of its services, without a restart.
//!
//! The mode is what the policy says, and so these commands write it there, in one line or one table, and have the daemon read it.

mod cgroup;
mod simulation;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::failure::note;
use super::output::{OutputError, Style};
use super::{Exit, Failure, Output, PolicyOption, ReportOption, in_force, since, without_rights};
use crate::audit::Timestamp;
use crate::daemon;
use crate::kernel::require_unified_hierarchy;
use crate::measure;
use crate::policy::{CgroupPattern, Edit, Fuse, MAX_SIZE, Mode, Policy, display_duration, parse_duration};
use crate::signature::sign::rewrite;
use crate::text::printable;

/// Deny what no trusted signature covers, on this machine or in some services.
///
/// Shows first what would break, by what was recorded and what is there (`enforcer simulate`), and asks. Writes the policy's `mode`, or a `[[scope]]`, and has the
/// daemon put it in force at once; if the daemon refuses it, the policy stays as it was.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer enforce                              the whole machine
  sudo enforcer enforce --scope nginx.service        one service
  sudo enforcer enforce --scope '/system.slice/docker-*'       all containers
  sudo enforcer enforce --yes --fuse 50/10m --fuse-for 24h
                                 back to audit, once, when 50 uses are denied
                                 within ten minutes
  enforcer enforce --print --policy policy.toml > new.toml
                                 only write what the policy would be

Exit status: 0 when it is in force, 1 when it was not wanted after all.")]
pub(super) struct EnforceArguments {
    #[command(flatten)]
    switch: SwitchArguments,
    /// Suspend enforcing by itself when so many uses are denied within a time, such as 50/10m. Once, loudly, until this command is run again.
    #[arg(long, value_name = "DENIALS/TIME", value_parser = fuse)]
    fuse: Option<(u32, Duration)>,
    /// Take the fuse out after this time, by the clock that decisions rest on: whoever may cause denials can blow it.
    #[arg(long, value_name = "TIME", default_value = "24h", requires = "fuse", value_parser = duration)]
    fuse_for: Duration,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Do not ask, and switch only if nothing would newly be denied.
    #[arg(long, conflicts_with_all = ["yes", "no_simulation"])]
    if_safe: bool,
    /// Do not look at what would break.
    #[arg(long)]
    no_simulation: bool,
    /// Look at events since then: a time (2026-01-31T09:30:00Z) or an age (90s, 15m, 2h, 7d).
    #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = since::parse)]
    since: Timestamp,
}

/// Deny nothing and report everything, on this machine or in some services.
///
/// Writes the policy's `mode`, or a `[[scope]]`, and has the daemon put it in force at once.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer audit                            the whole machine; services
                                                 with a scope keep it
  sudo enforcer audit --scope nginx.service      one service

Exit status: 0 when it is in force.")]
pub(super) struct AuditArguments {
    #[command(flatten)]
    switch: SwitchArguments,
}

#[derive(clap::Args)]
struct SwitchArguments {
    /// Only for this unit of systemd, or this control group (a path, which may end in `*`), with all that is below it; may be repeated.
    #[arg(long = "scope", value_name = "UNIT|CGROUP")]
    scopes: Vec<String>,
    /// Print the policy as it would be, and change nothing.
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    policy: PolicyOption,
    #[command(flatten)]
    report: ReportOption,
}

/// `enforcer enforce`.
pub(super) fn enforce(arguments: EnforceArguments, output: &mut Output) -> Result<Exit, Failure> {
    let draft = Draft::new(&arguments.switch, Mode::Enforce)?;
    let draft = match arguments.fuse {
        Some((denials, within)) => {
            let until = daemon::trusted_time().after(arguments.fuse_for);
            draft.edited(|edit| edit.set_fuse(Some(&Fuse { denials, within, until })))?
        }
        None => draft,
    };
    if arguments.switch.print {
        return draft.print(output);
    }
    draft.may_be_written()?;
    if !arguments.no_simulation {
        // What a suspension lets pass is denied again by this.
        let is_suspended = daemon::Notice::read().is_some_and(|notice| notice.suspension.is_some());
        let before = if is_suspended { draft.before.clone().suspended() } else { draft.before.clone() };
        let is_safe = simulation::show(&before, &draft.policy, arguments.since, arguments.switch.report.json, output)?;
        if arguments.if_safe && !is_safe {
            return Err(Failure::new(Exit::No, "something would newly be denied, so nothing was changed"));
        }
    }
    if !(arguments.yes || arguments.if_safe || is_wanted(&draft, output)?) {
        return Ok(Exit::No);
    }
    draft.put_in_force(arguments.switch.report.json, output)
}

/// `enforcer audit`.
pub(super) fn audit(arguments: AuditArguments, output: &mut Output) -> Result<Exit, Failure> {
    let draft = Draft::new(&arguments.switch, Mode::Audit)?;
    if arguments.switch.print {
        return draft.print(output);
    }
    draft.may_be_written()?;
    draft.put_in_force(arguments.switch.report.json, output)
}

/// Asks whoever sits at the terminal.
fn is_wanted(draft: &Draft, output: &mut Output) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "nobody is there to be asked: the standard input is no terminal")
            .hint("say `--yes`, once `enforcer simulate` shows nothing that breaks"));
    }
    output.flush()?;
    let mut answer = String::new();
    eprint!("Deny what no trusted signature covers {}? [y/N] ", draft.place());
    std::io::stderr()
        .flush()
        .and_then(|()| std::io::stdin().lock().read_line(&mut answer))
        .map_err(|error| Failure::new(Exit::System, format!("the answer could not be read: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

/// A policy as it is and as it is to be.
struct Draft {
    old: String,
    new: String,
    before: Policy,
    policy: Policy,
    mode: Mode,
    scopes: Vec<CgroupPattern>,
}

impl Draft {
    fn new(arguments: &SwitchArguments, mode: Mode) -> Result<Self, Failure> {
        let path = &arguments.policy.policy;
        // Read once more as text; whoever changes it in between has the daemon read what is there.
        let policy = Policy::load(path)?;
        let bytes = measure::read_bounded(path, MAX_SIZE).map_err(|error| Failure::because(Exit::System, &error))?;
        let old = String::from_utf8(bytes).map_err(|_| Failure::new(Exit::Usage, format!("`{}` is not UTF-8 text", path.display())))?;
        let scopes = arguments.scopes.iter().map(|scope| cgroup::of(scope)).collect::<Result<Vec<_>, _>>()?;
        let draft = Self { new: old.clone(), old, before: policy.clone(), policy, mode, scopes };
        if draft.scopes.is_empty() {
            return draft.edited(|edit| edit.set_mode(mode));
        }
        let mut draft = draft;
        for scope in draft.scopes.clone() {
            draft = draft.edited(|edit| edit.leave_scopes(&scope))?;
            if draft.policy.mode_of(&scope) != mode {
                let name = draft.free_name(&cgroup::name(&scope));
                draft = draft.edited(|edit| edit.add_scope(&name, &scope, mode))?;
            }
            if draft.policy.mode_of(&scope) != mode {
                let text = format!("the scopes of `{}` are written in a way that this command cannot change", printable(&path.to_string_lossy()));
                return Err(Failure::new(Exit::Usage, text).hint("write each as a table of its own, `[[scope]]`, or change the policy by hand"));
            }
        }
        Ok(draft)
    }

    /// With the text changed, which has to be a policy afterwards.
    fn edited(self, change: impl FnOnce(&mut Edit)) -> Result<Self, Failure> {
        let path = self.policy.path.clone();
        let mut edit = Edit::of(&self.new).ok_or_else(|| Failure::new(Exit::Usage, format!("`{}` cannot be edited", path.display())))?;
        change(&mut edit);
        let new = edit.to_string();
        let policy = Policy::parse(&new, &path)?;
        Ok(Self { new, policy, ..self })
    }

    fn free_name(&self, name: &str) -> String {
        let is_free = |name: &String| self.policy.scopes.iter().all(|scope| scope.name != *name);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
    }

    /// Where it is to hold, in words.
    fn place(&self) -> String {
        if self.scopes.is_empty() {
            return "on this machine".to_owned();
        }
        format!("in {}", self.scopes.iter().map(CgroupPattern::to_string).collect::<Vec<_>>().join(", "))
    }

    /// The control groups within what is switched that keep another mode, by scopes of their own.
    fn keeping(&self) -> Vec<String> {
        let is_within = |cgroup: &CgroupPattern| self.scopes.is_empty() || self.scopes.iter().any(|scope| scope.is_around(cgroup));
        let others = self.policy.scopes.iter().filter(|scope| scope.mode != self.mode);
        others.flat_map(|scope| &scope.cgroups).filter(|cgroup| is_within(cgroup)).map(|cgroup| printable(&cgroup.to_string()).into_owned()).collect()
    }

    fn print(&self, output: &mut Output) -> Result<Exit, Failure> {
        output.line(self.new.trim_end())?;
        Ok(Exit::Yes)
    }

    fn may_be_written(&self) -> Result<(), Failure> {
        if !rustix::process::geteuid().is_root() {
            return Err(
                Failure::new(Exit::System, "only root may change the policy in force").hint("run it by `sudo`; `--print` shows what it would write")
            );
        }
        let signers = &self.policy.protection.policy_signers;
        if !signers.is_empty() {
            let text = format!("this policy is changed by the word of its signers alone: {}", signers.join(", "));
            let hint = "write the new one by `--print`, let them sign its list (`enforcer policy list`), and put both in place";
            return Err(Failure::new(Exit::Refused, text).hint(hint));
        }
        // Before anybody is asked, and anything is written.
        if !self.policy.scopes.is_empty() {
            require_unified_hierarchy().map_err(|error| Failure::because(Exit::Refused, &error))?;
        }
        in_force::require_daemon_of(&self.policy.path)
    }

    /// Waits until it is in force, and does what it says. A fuse that has blown is put in again with it, and with nothing else.
    fn wait(&self) -> Result<(), Failure> {
        if self.mode == Mode::Enforce {
            let failed = |error: std::io::Error| Failure::new(Exit::System, format!("the fuse that has blown cannot be put in again: {error}"));
            daemon::ask_for_fuse().map_err(failed)?;
        }
        let answer = in_force::ask(&self.policy, in_force::PATIENCE);
        // Before anything else is read: what is put back has not been asked for.
        if let Err(error) = daemon::forget_asking() {
            note(&format!("the next policy that is accepted puts in again a fuse that has blown: {error}"));
        }
        match answer?.filter(|_| self.policy.strictest_mode() == Mode::Enforce) {
            Some(suspension) => Err(Failure::new(Exit::Refused, format!("it is read, and suspended: {}", suspension.in_words()))),
            None => Ok(()),
        }
    }

    /// Writes it and has the daemon read it; a policy that is refused is taken back.
    fn put_in_force(&self, json: bool, output: &mut Output) -> Result<Exit, Failure> {
        let path = &self.policy.path;
        let write = |text: &str| without_rights(|| rewrite(path, text.as_bytes()).map_err(|error| Failure::because(Exit::System, &error)));
        let is_changed = self.new != self.old;
        if is_changed {
            let there = measure::read_bounded(path, MAX_SIZE).map_err(|error| Failure::because(Exit::System, &error))?;
            if there != self.old.as_bytes() {
                let text = format!("`{}` was changed by somebody else meanwhile, and is left as it is", printable(&path.to_string_lossy()));
                return Err(Failure::new(Exit::No, text).hint("look at it, and run this again"));
            }
            write(&self.new)?;
        }
        if let Err(failure) = self.wait() {
            // Somebody else's text is theirs.
            if is_changed && in_force::is_in_its_place(&self.policy) {
                write(&self.old)?;
                // What was not answered in time would be read later.
                return Err(match in_force::ask(&self.before, SHORT_PATIENCE) {
                    Ok(_) => failure.hint("the policy is as it was"),
                    Err(_) => failure.hint(
                        "the policy is as it was on the disk, and the daemon has not read it again yet; `enforcer status` shows what is in force",
                    ),
                });
            }
            return Err(failure);
        }
        if json {
            let scopes = self.scopes.iter().map(CgroupPattern::to_string).collect();
            output.json(&Switched { policy: path, mode: self.mode.name(), scopes, changed: is_changed, keeping: self.keeping() })?;
        } else {
            self.tell(output)?;
        }
        Ok(Exit::Yes)
    }

    /// What is in force now, in words.
    fn tell(&self, output: &mut Output) -> Result<(), OutputError> {
        let (text, style) = match self.mode {
            Mode::Enforce => ("enforcing", Style::Good),
            Mode::Audit => ("audit", Style::Warn),
        };
        output.line(format!("{} {}, by {}", output.paint(style, text), self.place(), printable(&self.policy.path.to_string_lossy())))?;
        if let Some(fuse) = self.policy.fuse.filter(|fuse| self.mode == Mode::Enforce && fuse.until > daemon::trusted_time()) {
            let (within, until) = (display_duration(fuse.within), fuse.until.to_the_second());
            let text = format!("fuse: audit again, once, at {} denials within {within}; until {until} by the daemon's clock", fuse.denials);
            output.paragraph(0, &text)?;
        }
        let keeping = self.keeping();
        if !keeping.is_empty() {
            output.paragraph(0, &format!("What has a scope of its own keeps another mode: {}", keeping.join(", ")))?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Switched<'a> {
    policy: &'a Path,
    mode: &'static str,
    scopes: Vec<String>,
    changed: bool,
    /// Control groups within these that keep another mode.
    keeping: Vec<String>,
}

fn fuse(text: &str) -> Result<(u32, Duration), String> {
    let read = || {
        let (denials, within) = text.split_once('/')?;
        Some((denials.parse().ok().filter(|denials| *denials > 0)?, parse_duration(within)?))
    };
    read().ok_or_else(|| "write how many denials within which time, such as 50/10m".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a whole number and one of s, m, h, d, such as 24h".to_owned())
}

/// How long the daemon may take to read again what was in force.
const SHORT_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
