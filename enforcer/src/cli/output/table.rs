//! Tables whose long cells are wrapped, so that a table fits its terminal and loses nothing.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Style, paint};
use crate::text::printable;

/// Rows under a heading. Every cell is neutralised when it is made.
#[derive(Clone, Debug)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns. Empty headings (all of them) are not shown.
    pub fn new(headings: impl Into<Vec<&'static str>>) -> Self {
        Self { headings: headings.into(), rows: Vec::new() }
    }

    /// Adds a row; missing cells stay empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<Cell>>) {
        let mut row: Vec<Cell> = cells.into_iter().map(Into::into).take(self.headings.len()).collect();
        row.resize_with(self.headings.len(), Cell::default);
        self.rows.push(row);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn lines(&self, width: Option<usize>, colour: bool) -> Vec<String> {
        let widths = self.widths(width.unwrap_or(usize::MAX));
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        if self.headings.iter().any(|heading| !heading.is_empty()) {
            let headings: Vec<_> = self.headings.iter().map(|heading| Cell::styled(*heading, Style::Bold)).collect();
            write_row(&mut lines, &headings, &widths, colour);
        }
        for row in &self.rows {
            write_row(&mut lines, row, &widths, colour);
        }
        lines
    }

    /// The same, or with the last cell of each row below it and as wide as the terminal, if that is shorter.
    pub(super) fn shortest_lines(&self, width: Option<usize>, colour: bool) -> Vec<String> {
        let lines = self.lines(width, colour);
        let below = width.map(|width| self.lines_with_last_below(width, colour));
        below.filter(|below| below.len() < lines.len()).unwrap_or(lines)
    }

    fn lines_with_last_below(&self, width: usize, colour: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let Some((heading, headings)) = self.headings.split_last() else { return lines };
        let before = Self { headings: headings.to_vec(), rows: self.rows.iter().map(|row| row[..headings.len()].to_vec()).collect() };
        let widths = before.widths(width);
        write_row(&mut lines, &headings.iter().map(|heading| Cell::styled(*heading, Style::Bold)).collect::<Vec<_>>(), &widths, colour);
        lines.push(format!("{BELOW}{}", paint(colour, Style::Bold, heading)));
        for (row, last) in before.rows.iter().zip(self.rows.iter().filter_map(|row| row.last())) {
            write_row(&mut lines, row, &widths, colour);
            let parts = wrapped(&last.text, width.saturating_sub(2 * BELOW.len()).max(NARROWEST));
            lines.extend(
                parts
                    .iter()
                    .enumerate()
                    .map(|(number, part)| format!("{BELOW}{}{}", if number == 0 { "" } else { BELOW }, paint(colour, last.style, part))),
            );
        }
        lines
    }

    /// Natural widths, with the widest columns made narrower until the row fits.
    fn widths(&self, room: usize) -> Vec<usize> {
        let natural = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].text.width());
            cells.chain([self.headings[column].width()]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.headings.len()).map(natural).collect();
        let room = room.saturating_sub(GAP * widths.len().saturating_sub(1));
        loop {
            let excess = widths.iter().sum::<usize>().saturating_sub(room);
            let Some(widest) = (0..widths.len()).max_by_key(|column| widths[*column]) else { return widths };
            if excess == 0 || widths[widest] <= NARROWEST {
                return widths;
            }
            let second = (0..widths.len()).filter(|column| *column != widest).map(|column| widths[column]).max().unwrap_or(0);
            let spare = (widths[widest] - second.min(widths[widest])).max(1);
            widths[widest] = (widths[widest] - excess.min(spare)).max(NARROWEST);
        }
    }
}

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell that stands out.
    pub fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: printable(text.as_ref()).into_owned(), style }
    }
}

impl Default for Cell {
    fn default() -> Self {
        Self::styled("", Style::Plain)
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::Plain)
    }
}

fn write_row(lines: &mut Vec<String>, row: &[Cell], widths: &[usize], colour: bool) {
    let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, width)| wrapped(&cell.text, *width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for level in 0..height {
        let mut line = String::new();
        let mut owed = 0;
        for ((cell, style), width) in cells.iter().zip(row.iter().map(|cell| cell.style)).zip(widths) {
            let text = cell.get(level).map_or("", String::as_str);
            if !text.is_empty() {
                line.extend(std::iter::repeat_n(' ', owed));
                line.push_str(&paint(colour, style, text));
                owed = 0;
            }
            owed += width.saturating_sub(text.width()) + GAP;
        }
        lines.push(line);
    }
}

/// `text` in lines of at most `width` columns, broken behind a blank. Only a word that fits no line is broken itself: behind a slash or a comma, or else a hyphen,
/// where there is one.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut rest = text.trim_end();
    while rest.width() > width {
        let mut columns = 0;
        let fits = rest.char_indices().find_map(|(at, character)| {
            columns += character.width().unwrap_or(0);
            (columns > width).then_some(at)
        });
        let fits = fits.unwrap_or(rest.len()).max(rest.chars().next().map_or(0, char::len_utf8));
        // The blank at which a line breaks may stand just outside.
        let at_blank = rest[fits..].starts_with(' ').then_some(fits);
        let word = rest[..fits].rfind(' ').map_or(0, |blank| blank + 1);
        let before_word = || Some(word).filter(|at| *at > 0 && rest[*at..].split(' ').next().is_some_and(|word| word.width() <= width));
        let behind = |breaks: &[char]| rest[..fits].rfind(breaks).map(|at| at + 1).filter(|at| *at > fits / 3);
        let inside = || behind(&[' ']).or_else(|| behind(&['/', ','])).or_else(|| behind(&['-', '_']));
        let at = at_blank.or_else(before_word).or_else(inside).unwrap_or(fits);
        lines.push(rest[..at].trim_end().to_owned());
        rest = rest[at..].trim_start();
    }
    lines.push(rest.to_owned());
    lines
}

/// Before what stands below a row, and twice before what is left of it.
const BELOW: &str = "  ";
/// Blanks between two columns.
const GAP: usize = 2;
/// No column is made narrower than this.
const NARROWEST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(["FILE", "ANSWER", "WHY"]);
        table.row(["/usr/lib/x86_64-linux-gnu/libexample.so.1.2.3", "no", "no trusted signature covers this file, as far as anybody knows"]);
        table.row(["/bin/sh", "yes"]);
        table
    }

    #[test]
    fn a_table_without_a_terminal_is_as_wide_as_it_needs() {
        let lines = sample().lines(None, false);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], "/bin/sh                                        yes");
    }

    #[test]
    fn a_table_fits_its_terminal_and_loses_nothing() {
        for width in [30, 50, 80, 100] {
            let lines = sample().lines(Some(width), false);
            assert!(lines.iter().all(|line| line.width() <= width), "{width}: {lines:#?}");
            let text: String = lines.concat().chars().filter(|character| !character.is_whitespace()).collect();
            let letters = |word: &str| word.chars().filter(|letter| text.contains(*letter)).count();
            assert_eq!(letters("libexample.so.1.2.3"), 19);
        }
    }

    #[test]
    fn columns_stand_below_their_heading() {
        let lines = sample().lines(Some(60), false);
        let column = lines[0].find("ANSWER").unwrap();
        assert_eq!(lines[1].find("no"), Some(column), "{lines:#?}");
    }

    #[test]
    fn cells_cannot_carry_escape_sequences() {
        let mut table = Table::new(["FILE"]);
        table.row(["\x1b[2J\nfake row"]);
        let lines = table.lines(None, true);
        assert_eq!(lines.len(), 2);
        assert!(lines[1] == "\\u{1b}[2J\\nfake row", "{lines:?}");
    }

    #[test]
    fn wrapping_ends_for_every_width_and_wide_letters() {
        for width in 0..12 {
            let lines = wrapped("日本語/日本語 a,b c/very-long-word-without-a-break", width);
            assert!(!lines.is_empty());
        }
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("/usr/lib/long", 9), ["/usr/lib/", "long"]);
        assert_eq!(wrapped("a-name-without-an-end", 9), ["a-name-", "without-", "an-end"]);
    }

    #[test]
    fn a_digest_that_fits_a_line_is_not_broken() {
        let digest = "5e".repeat(32);
        assert_eq!(wrapped(&format!("sha256 {digest}"), 66), ["sha256", digest.as_str()]);
    }
}
