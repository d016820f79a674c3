//! The report as one HTML page: readable without scripts and without a network, for whoever decides and for whoever mends.
//!
//! Everything that came from a log passes [`Escaped`]. The page allows itself its own style and script, by their digests, and nothing else.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use base64ct::{Base64, Encoding};

use super::{By, Finding, Report, Section, State, Subject};
use crate::audit::{Code, Timestamp, explain};
use crate::text::{counted, printable, sha256};

/// The whole page.
pub fn page(report: &Report) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut page = String::new();
    // Writing into a string does not fail.
    _ = write(&mut page, report, &host);
    page
}

fn write(out: &mut String, report: &Report, host: &str) -> fmt::Result {
    let host = Escaped(host);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Enforcer report: {host}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        source(STYLE),
        source(SCRIPT)
    )?;
    writeln!(out, "<header>\n<h1>What Enforcer would deny on {host}</h1>")?;
    writeln!(out, "<p class=\"quiet\">{}</p>\n</header>\n<main>", span(report))?;
    summary(out, report)?;
    if !report.findings.is_empty() {
        causes(out, report)?;
        for (by, title, what) in [
            (By::Service, "By service", "Where the processes ran: units of systemd, containers, users."),
            (By::Program, "By program", "The programs that were running when it happened, by the names of their processes."),
            (By::Package, "By package", "The installed packages that the files belong to."),
        ] {
            sections(out, report, by, title, what)?;
        }
        findings(out, report)?;
    }
    writeln!(
        out,
        "</main>\n<footer><p>Made by <code>enforcer report</code> {} on {}. Times are in UTC. Commands are run as root on this machine, those that sign where the key is.</p></footer>",
        env!("CARGO_PKG_VERSION"),
        report.made.to_the_second()
    )?;
    write!(out, "<script>{SCRIPT}</script>\n</body>\n</html>\n")
}

fn span(report: &Report) -> String {
    let asked = report.since.map_or_else(|| "All events in the log".to_owned(), |since| format!("Events since {}", since.to_the_second()));
    match (report.tally.first, report.tally.last) {
        (Some(first), Some(last)) => format!("{asked}: {} to {}", first.to_the_second(), last.to_the_second()),
        _ => asked,
    }
}

/// For whoever decides: is it ready, how much is it, and what is not known.
fn summary(out: &mut String, report: &Report) -> fmt::Result {
    let open = report.open().count();
    let (style, verdict) = if report.tally.events == 0 && report.missing() == 0 {
        ("warn", "Nothing was reported. Make sure that the daemon was at work in this time (enforcer status).".to_owned())
    } else if report.ready {
        ("good", "Ready to enforce: everything that was reported runs by now, is gone, or is let through by the policy.".to_owned())
    } else if open == 0 {
        ("warn", "Nothing is left to mend of what is known, and events are missing.".to_owned())
    } else {
        ("bad", format!("Not ready to enforce: {} to mend.", counted(open, "finding is left", "findings are left")))
    };
    writeln!(out, "<p class=\"verdict {style}\">{verdict}</p>")?;
    let files: BTreeSet<&Subject> = report.findings.iter().map(|finding| &finding.subject).filter(|of| !matches!(of, Subject::Process(_))).collect();
    let programs: BTreeSet<&str> = report.uses.iter().map(|one| one.program.as_str()).collect();
    let services: BTreeSet<_> = report.uses.iter().map(|one| &one.service).collect();
    let numbers = [
        ("events", report.tally.events),
        ("of them denied", report.tally.denied),
        ("files", files.len() as u64),
        ("programs", programs.len() as u64),
        ("services", services.len() as u64),
        ("findings to mend", open as u64),
        ("events missing", report.missing()),
    ];
    out.write_str("<dl>\n")?;
    for (name, number) in numbers {
        writeln!(out, "<div><dt>{name}</dt><dd>{number}</dd></div>")?;
    }
    out.write_str("</dl>\n")?;
    for missing in &report.lost {
        let events = counted(missing.count, "event is", "events are");
        writeln!(out, "<p class=\"warn\">{events} missing in the log: {}.</p>", Escaped(&missing.cause))?;
    }
    if report.beyond > 0 {
        let events = counted(report.beyond, "event is", "events are");
        writeln!(out, "<p class=\"warn\">{events} about more different things than a report keeps apart.</p>")?;
    }
    if report.unreadable > 0 {
        writeln!(out, "<p class=\"warn\">{} of the log could not be read.</p>", counted(report.unreadable, "line", "lines"))?;
    }
    Ok(())
}

fn causes(out: &mut String, report: &Report) -> fmt::Result {
    out.write_str("<h2>By cause</h2>\n<div class=\"scroll\"><table>\n<caption>Why these uses would be denied.</caption>\n<thead><tr>")?;
    headings(out, &[("Cause", ""), ("Events", "number"), ("Share", ""), ("Findings", "number"), ("To mend", "number"), ("First", ""), ("Last", "")])?;
    for section in report.sections(By::Cause) {
        let meaning = section.cause.map_or("", super::Cause::meaning);
        let share = section.tally.events.saturating_mul(1000) / report.tally.events.max(1);
        let (whole, tenth) = (share / 10, share % 10);
        writeln!(out, "<tr><th scope=\"row\">{}<br><span class=\"quiet small\">{meaning}</span></th>", Escaped(&section.title))?;
        writeln!(out, "<td class=\"number\">{}</td>", section.tally.events)?;
        writeln!(
            out,
            "<td><svg class=\"bar\" role=\"img\" aria-label=\"{whole}.{tenth} percent\"><rect width=\"{whole}.{tenth}%\" height=\"100%\"/></svg></td>"
        )?;
        rest(out, report, &section)?;
    }
    out.write_str("</tbody>\n</table></div>\n")
}

fn sections(out: &mut String, report: &Report, by: By, title: &str, what: &str) -> fmt::Result {
    let all = report.sections(by);
    let more = all.len().saturating_sub(MOST_SECTIONS);
    let more = if more > 0 { format!(" {more} more are in <code>enforcer report --by {} --all</code>.", by.name()) } else { String::new() };
    writeln!(out, "<h2>{title}</h2>\n<div class=\"scroll\"><table class=\"sortable\">\n<caption>{what}{more}</caption>\n<thead><tr>")?;
    headings(out, &[("Name", ""), ("Events", "number"), ("Findings", "number"), ("To mend", "number"), ("First", ""), ("Last", "")])?;
    for section in all.iter().take(MOST_SECTIONS) {
        writeln!(out, "<tr><th scope=\"row\"><code>{}</code></th><td class=\"number\">{}</td>", Escaped(&section.title), section.tally.events)?;
        rest(out, report, section)?;
    }
    out.write_str("</tbody>\n</table></div>\n")
}

/// The last cells of a section's row.
fn rest(out: &mut String, report: &Report, section: &Section) -> fmt::Result {
    let open = section.members.iter().filter(|(number, _)| report.findings[*number].is_open()).count();
    writeln!(out, "<td class=\"number\">{}</td><td class=\"number\">{open}</td>", section.members.len())?;
    writeln!(out, "{}{}</tr>", Moment(section.tally.first), Moment(section.tally.last))
}

/// For whoever mends: each finding with all that is known about it.
fn findings(out: &mut String, report: &Report) -> fmt::Result {
    let more = report.findings.len().saturating_sub(MOST_FINDINGS);
    let more = if more > 0 { format!(" {more} more, the rarest, are in <code>enforcer report --json</code>.") } else { String::new() };
    out.write_str("<h2>Findings</h2>\n<p class=\"search\" hidden><label for=\"search\">Search</label> ")?;
    out.write_str("<input id=\"search\" type=\"search\" autocomplete=\"off\"> <output id=\"count\" for=\"search\" class=\"quiet\"></output></p>\n")?;
    writeln!(
        out,
        "<div class=\"scroll\"><table class=\"sortable\" id=\"findings\">\n<caption>Each thing that was reported, the most frequent first.{more}</caption>\n<thead><tr>"
    )?;
    headings(out, &[("What", ""), ("Cause", ""), ("Now", ""), ("Events", "number"), ("First", ""), ("Last", ""), ("By", ""), ("What to do", "")])?;
    report.findings.iter().take(MOST_FINDINGS).try_for_each(|finding| row(out, finding))?;
    out.write_str("</tbody>\n</table></div>\n")
}

fn row(out: &mut String, finding: &Finding) -> fmt::Result {
    let subject = finding.subject.text();
    writeln!(out, "<tr><th scope=\"row\"><code>{}</code>", Escaped(&subject))?;
    if let Some(package) = &finding.package {
        let modified = if package.modified { ", modified" } else { "" };
        writeln!(out, "<br><span class=\"quiet small\">package {}{modified}</span>", Escaped(&package.name))?;
    }
    if let Some(digest) = &finding.digest {
        writeln!(out, "<br><code class=\"quiet\">{}</code>", Escaped(digest))?;
    }
    let why = match finding.reason {
        Code::Known(reason) => explain(reason),
        Code::Unknown(_) => "The kernel side is newer than this program.",
    };
    writeln!(out, "</th><td>{}<br><span class=\"quiet small\">{why}", finding.cause.title())?;
    if let Some(explanation) = &finding.explanation {
        writeln!(out, " ({})", Escaped(explanation))?;
    }
    let style = if finding.is_open() { "bad" } else { "good" };
    writeln!(out, "</span></td><td class=\"{style}\">{}", finding.state.words())?;
    if let State::Unreadable(why) = &finding.state {
        writeln!(out, "<br><span class=\"quiet small\">{}</span>", Escaped(why))?;
    }
    writeln!(out, "</td><td class=\"number\">{}</td>{}{}<td>", finding.tally.events, Moment(finding.tally.first), Moment(finding.tally.last))?;
    let programs: Vec<&str> = finding.programs.iter().map(String::as_str).collect();
    let services: Vec<String> = finding.services.iter().map(ToString::to_string).collect();
    let users: Vec<String> = finding.users.iter().map(ToString::to_string).collect();
    writeln!(
        out,
        "<code>{}</code> in {}<br><span class=\"quiet small\">uid {}</span></td><td>{}",
        Escaped(&programs.join(", ")),
        Escaped(&services.join(", ")),
        Escaped(&users.join(", ")),
        Prose(if finding.is_open() { &finding.remedy } else { "Nothing." })
    )?;
    if let Some(command) = &finding.command {
        writeln!(out, "<code class=\"command\">{}</code>", Literal(command))?;
    }
    out.write_str("</td></tr>\n")
}

/// The cells of a table's head, and the beginning of its body.
fn headings(out: &mut String, names: &[(&str, &str)]) -> fmt::Result {
    for (name, class) in names {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        write!(out, "<th scope=\"col\"{class}>{name}</th>")?;
    }
    out.write_str("</tr></thead>\n<tbody>\n")
}

/// Text from outside: what could hide or reorder is written as an escape, and what HTML would understand as a reference.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Literal(&printable(self.0)).fmt(out)
    }
}

/// Text that has passed [`crate::text::shell_word`] or [`printable`], character by character: a command is copied from the page as it is.
struct Literal<'a>(&'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                _ => out.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A sentence of ours, with commands and keys between backticks. A name in it that has one itself is no command then, and no markup either.
struct Prose<'a>(&'a str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.matches('`').count().is_multiple_of(2) {
            return Escaped(self.0).fmt(out);
        }
        for (number, part) in self.0.split('`').enumerate() {
            if number % 2 == 0 { Escaped(part).fmt(out)? } else { write!(out, "<code>{}</code>", Escaped(part))? }
        }
        Ok(())
    }
}

/// A time as a cell, to the minute.
struct Moment(Option<Timestamp>);

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => write!(out, "<td class=\"time\"><time datetime=\"{time}\">{}</time></td>", &time.to_the_second()[..16]),
            None => out.write_str("<td></td>"),
        }
    }
}

/// What a content security policy calls an inline text (CSP 3 §2.3.1).
fn source(text: &str) -> String {
    format!("sha256-{}", Base64::encode_string(&sha256(text.as_bytes())))
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Rows of the tables: what a browser sorts at once.
const MOST_FINDINGS: usize = 5000;
const MOST_SECTIONS: usize = 500;
