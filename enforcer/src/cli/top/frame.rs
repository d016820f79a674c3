//! A picture of a [`View`]: a pure function onto a buffer, for the terminal, for `--once` and for tests.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style as Painted};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table, Widget};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::view::{By, Group, MOST_COUNTED, View};
use crate::audit::{Record, Status};
use crate::cli::output::Style;
use crate::cli::status::headline;
use crate::text::printable;

/// Draws a picture that fills `area`.
pub(super) fn draw(view: &View, colour: bool, area: Rect, buffer: &mut Buffer) {
    let brush = Brush { colour };
    let (head, groups, newest, keys) = places(area);
    Paragraph::new(head_lines(view, &brush, usize::from(area.width))).render(head, buffer);
    let shown = shown_groups(area.width);
    let columns = Layout::horizontal(shown.iter().map(|_| Constraint::Fill(1))).spacing(2).split(groups);
    for ((by, title), place) in shown.iter().zip(columns.iter()) {
        table(&view.groups(*by), title, &brush, *place).render(*place, buffer);
    }
    Paragraph::new(newest_lines(view, &brush, newest)).render(newest, buffer);
    Paragraph::new(brush.line(Style::Dim, fit(&keys_line(view), usize::from(area.width)))).render(keys, buffer);
}

/// The same as lines of text.
pub(super) fn text(view: &View, width: usize, height: usize) -> Vec<String> {
    let side = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).min(LONGEST_SIDE);
    let area = Rect::new(0, 0, side(width), side(height));
    let mut buffer = Buffer::empty(area);
    draw(view, false, area, &mut buffer);
    let row = |y: u16| {
        let mut line = String::new();
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            // A wide character covers the next cell, too.
            x += u16::try_from(symbol.width()).unwrap_or(1).max(1);
        }
        line.trim_end().to_owned()
    };
    (0..area.height).map(row).collect()
}

/// Where head, groups, newest events and keys are. Where there is little room the groups give way first.
fn places(area: Rect) -> (Rect, Rect, Rect, Rect) {
    let [body, keys] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
    let [head, groups, newest] = Layout::vertical([Constraint::Length(HEAD), Constraint::Max(GROUPS), Constraint::Min(NEWEST)]).areas(body);
    (head, groups, newest, keys)
}

/// The groups that there is room for, with their headings.
fn shown_groups(width: u16) -> &'static [(By, &'static str)] {
    match width {
        0..40 => &[(By::Reason, "REASON")],
        40..72 => &[(By::Program, "PROGRAM"), (By::Reason, "REASON")],
        _ => &[(By::Program, "PROGRAM"), (By::Service, "SERVICE"), (By::Reason, "REASON")],
    }
}

fn head_lines(view: &View, brush: &Brush, width: usize) -> Vec<Line<'static>> {
    let Some((status, time)) = &view.look else { return vec![Line::from("looking …")] };
    let (headline, style) = headline(status);
    let clock = time.to_the_second();
    let room = width.saturating_sub(clock.len() + 2);
    let state = fit(&headline, room);
    let gap = " ".repeat(room.saturating_sub(state.width()) + 2);
    let mut lines = vec![Line::from(vec![brush.span(style, state), Span::raw(gap), brush.span(Style::Dim, clock)])];
    let (attention, style) = attention(view, status);
    lines.push(brush.line(style, fit(&attention, width)));
    let rates = &view.rates;
    let daemon = status.daemon.pid.map_or_else(|| "no daemon".to_owned(), |pid| format!("daemon {pid}"));
    let numbers = [
        format!(
            "uses/s      {:>9} allowed   {:>9} denied    {:>9} would be denied",
            rate(rates.allowed),
            rate(rates.denied),
            rate(rates.would_be_denied)
        ),
        format!(
            "files/s     {:>9} first use {:>9} hashed    {:>9} reused",
            rate(rates.first_uses),
            rate(rates.measurements),
            rate(rates.measurement_reuses)
        ),
        format!("events/s    {:>9}           {:>9} lost      {:>9} in a minute", rate(rates.events), status.events_lost, in_a_minute(view)),
        format!("verdicts {} of {}, {daemon}, kernel {}", status.verdicts, status.max_verdicts, printable(&status.kernel)),
    ];
    lines.extend(numbers.into_iter().map(|line| Line::from(fit(&line, width))));
    lines
}

/// The first thing that deserves attention.
fn attention(view: &View, status: &Status) -> (String, Style) {
    let mut warnings = status.warnings();
    if view.missing() > 0 {
        warnings.push(format!("{} events of the last minute are missing in the log.", view.missing()));
    }
    if view.unreadable() > 0 {
        warnings.push(format!("{} lines of the log could not be read.", view.unreadable()));
    }
    match warnings.as_slice() {
        [] => ("All is well.".to_owned(), Style::Good),
        [only] => (printable(only).into_owned(), Style::Warn),
        [first, rest @ ..] => (format!("(1 of {}, see `enforcer status`) {}", rest.len() + 1, printable(first)), Style::Warn),
    }
}

/// How many events the groups are made of.
fn in_a_minute(view: &View) -> String {
    let events: u64 = view.groups(By::Reason).iter().map(|group| group.events).sum();
    let more = if events >= MOST_COUNTED as u64 { "+" } else { "" };
    format!("{events}{more}")
}

fn table(groups: &[Group], title: &'static str, brush: &Brush, place: Rect) -> Table<'static> {
    let room = usize::from(place.width).saturating_sub(usize::from(2 * (NUMBER + 1)));
    let number = |number: u64| Line::from(number.to_string()).right_aligned();
    let rows = groups.iter().take(usize::from(place.height)).map(|group| {
        let style = if group.denied > 0 { Style::Bad } else { Style::Plain };
        Row::new([brush.line(style, fit(&printable(&group.name), room)), number(group.events), number(group.denied)])
    });
    let heading = ["EVENTS", "DENIED"].map(|heading| Line::from(heading).right_aligned());
    let [events, denied] = heading;
    Table::new(rows, [Constraint::Fill(1), Constraint::Length(NUMBER), Constraint::Length(NUMBER)])
        .column_spacing(1)
        .header(Row::new([Line::from(title), events, denied]).style(brush.style(Style::Bold)))
}

fn newest_lines(view: &View, brush: &Brush, place: Rect) -> Vec<Line<'static>> {
    let heading = if view.denied_only { "NEWEST DENIALS" } else { "NEWEST EVENTS" };
    let mut lines = vec![brush.line(Style::Bold, heading.to_owned())];
    lines.extend(view.newest().take(usize::from(place.height)).map(|record| event_line(record, brush, usize::from(place.width))));
    if lines.len() == 1 {
        lines.push(brush.line(Style::Dim, "none".to_owned()));
    }
    lines
}

fn event_line(record: &Record, brush: &Brush, width: usize) -> Line<'static> {
    let time = record.time.to_the_second();
    let line = fit(&format!("{}  {}", &time[11..], record.line()), width);
    let outcome = record.outcome();
    let style = if record.denied { Style::Bad } else { Style::Warn };
    match line.split_once(outcome) {
        Some((before, behind)) => Line::from(vec![Span::raw(before.to_owned()), brush.span(style, outcome.to_owned()), Span::raw(behind.to_owned())]),
        None => Line::from(line),
    }
}

fn keys_line(view: &View) -> String {
    let pause = if view.paused { "p go on (PAUSED)" } else { "p pause" };
    let denied = if view.denied_only { "d all events" } else { "d denied only" };
    format!("q quit  {pause}  {denied}  s sort (by {})  every {} s", view.order.name(), view.interval.as_secs_f64())
}

/// What rises is read by its first digits.
fn rate(rate: f64) -> String {
    if rate >= 1000.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}

/// `text` in at most `width` columns, with an ellipsis where some of it is left out.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut columns = 0;
    let room = width.saturating_sub(1);
    let kept: String = text
        .chars()
        .take_while(|character| {
            columns += character.width().unwrap_or(0);
            columns <= room
        })
        .collect();
    if width == 0 { String::new() } else { kept + "…" }
}

/// Styles, where the terminal has them; weight alone where it has no colours.
struct Brush {
    colour: bool,
}

impl Brush {
    fn style(&self, style: Style) -> Painted {
        let plain = Painted::new();
        let coloured = |colour| if self.colour { plain.fg(colour) } else { plain };
        match style {
            Style::Plain => plain,
            Style::Bold => plain.add_modifier(Modifier::BOLD),
            Style::Dim => plain.add_modifier(Modifier::DIM),
            Style::Good => coloured(Color::Green),
            Style::Warn => coloured(Color::Yellow),
            Style::Bad => coloured(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    fn span<'a>(&self, style: Style, text: impl Into<Cow<'a, str>>) -> Span<'a> {
        Span::styled(text, self.style(style))
    }

    fn line(&self, style: Style, text: String) -> Line<'static> {
        Line::from(self.span(style, text))
    }
}

/// Lines of the head, with an empty one below it.
const HEAD: u16 = 7;
/// Lines of the groups, with their heading and an empty one below.
const GROUPS: u16 = 8;
/// Lines of the newest events, with their heading, that the groups leave at least.
const NEWEST: u16 = 4;
/// Columns of a number.
const NUMBER: u16 = 6;
/// A buffer has a cell for each place, however wide somebody says that the terminal is.
const LONGEST_SIDE: u16 = 1000;

#[cfg(test)]
mod tests;
