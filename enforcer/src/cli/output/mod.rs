//! Where reports go: text and tables that fit the terminal, or JSON.
//!
//! Colour only on a terminal and without `NO_COLOR`. What comes from outside is neutralised on its way (see [`crate::text`]): cells always,
//! lines by their callers.

mod table;

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;

use crate::text::json_safe;

pub use table::{Cell, Table, wrapped};

/// Why a report did not reach its reader.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader went away, which is its right.
    #[error("the output was closed")]
    Closed,
    /// The output cannot be written.
    #[error("cannot write the output")]
    Unwritable(#[source] io::Error),
    /// A value that has no JSON form.
    #[error("cannot write this report as JSON")]
    Json(#[source] serde_json::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Unwritable(error),
        }
    }
}

/// How a word stands out on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// A heading.
    Bold,
    /// Of second rank.
    Dim,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Not as it should be.
    Bad,
}

/// The stdout of a command.
pub struct Output {
    sink: Box<dyn Write>,
    width: Option<usize>,
    colour: bool,
}

impl Output {
    /// This process's stdout, with the width and abilities of its terminal.
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
        let colour = terminal
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Self { sink: Box::new(BufWriter::new(stdout)), width: width.filter(|_| terminal), colour }
    }

    /// Some other place, `width` columns wide; without colour.
    pub fn to(sink: impl Write + 'static, width: Option<usize>) -> Self {
        Self { sink: Box::new(sink), width, colour: false }
    }

    /// The terminal's width, where the output is one.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// Whether styles show.
    pub fn has_colour(&self) -> bool {
        self.colour
    }

    /// One line of text.
    ///
    /// # Errors
    /// Like every method here: [`OutputError`], when the text does not reach its reader.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), OutputError> {
        Ok(writeln!(self.sink, "{}", text.as_ref())?)
    }

    /// A text as it is, whatever bytes are in it: one that another program reads.
    pub fn text(&mut self, text: &[u8]) -> Result<(), OutputError> {
        Ok(self.sink.write_all(text)?)
    }

    /// A line that stands out, behind an empty one.
    pub fn heading(&mut self, text: &str) -> Result<(), OutputError> {
        Ok(writeln!(self.sink, "\n{}", paint(self.colour, Style::Bold, text))?)
    }

    /// Text broken at the terminal's width, every line indented.
    pub fn paragraph(&mut self, indent: usize, text: &str) -> Result<(), OutputError> {
        let room = self.width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(20));
        for line in wrapped(text, room) {
            writeln!(self.sink, "{:indent$}{line}", "")?;
        }
        Ok(())
    }

    /// A name and its text, which is broken at the terminal's width and goes on below itself.
    pub fn item(&mut self, indent: usize, name_width: usize, name: &str, text: &str) -> Result<(), OutputError> {
        let hanging = indent + name_width + 2;
        let room = self.width.map_or(usize::MAX, |width| width.saturating_sub(hanging).max(20));
        for (number, line) in wrapped(text, room).iter().enumerate() {
            let name = if number == 0 { name } else { "" };
            let padding = name_width.saturating_sub(name.len());
            writeln!(self.sink, "{:indent$}{}{:padding$}  {line}", "", paint(self.colour, Style::Dim, name), "")?;
        }
        Ok(())
    }

    /// Text behind a margin, broken at the terminal's width, which goes on behind another margin.
    pub fn hanging(&mut self, margin: &str, hanging: &str, style: Style, text: &str) -> Result<(), OutputError> {
        let indent = unicode_width::UnicodeWidthStr::width(hanging).max(unicode_width::UnicodeWidthStr::width(margin));
        let room = self.width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(20));
        for (number, line) in wrapped(text, room).iter().enumerate() {
            writeln!(self.sink, "{}{}", if number == 0 { margin } else { hanging }, paint(self.colour, style, line))?;
        }
        Ok(())
    }

    /// A command that can be copied: broken between its words only, in a way that a shell puts together again.
    pub fn command(&mut self, indent: usize, command: &str) -> Result<(), OutputError> {
        let room = self.width.map_or(usize::MAX, |width| width.saturating_sub(indent + CONTINUED.len()).max(20));
        let mut line = String::new();
        for word in command.split(' ') {
            if !line.is_empty() && line.len() + 1 + word.len() > room {
                writeln!(self.sink, "{:indent$}{line}{CONTINUED}", "")?;
                line.clear();
                line.push_str("  ");
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        Ok(writeln!(self.sink, "{:indent$}{line}", "")?)
    }

    /// A table as wide as the terminal at most.
    pub fn table(&mut self, table: &Table) -> Result<(), OutputError> {
        for line in table.lines(self.width, self.colour) {
            writeln!(self.sink, "{line}")?;
        }
        Ok(())
    }

    /// The same of one whose last column is the long one: where its cells would take many lines, they stand below their rows.
    pub fn table_with_long_last(&mut self, table: &Table) -> Result<(), OutputError> {
        for line in table.shortest_lines(self.width, self.colour) {
            writeln!(self.sink, "{line}")?;
        }
        Ok(())
    }

    /// A value as JSON, for people to read too.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), OutputError> {
        let json = serde_json::to_string_pretty(value).map_err(OutputError::Json)?;
        Ok(writeln!(self.sink, "{}", json_safe(&json))?)
    }

    /// A value as JSON on one line, for streams.
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), OutputError> {
        let json = serde_json::to_string(value).map_err(OutputError::Json)?;
        Ok(writeln!(self.sink, "{}", json_safe(&json))?)
    }

    /// Hands over what is still held back: at the end of a command, and wherever a reader waits for the next line.
    pub fn flush(&mut self) -> Result<(), OutputError> {
        Ok(self.sink.flush()?)
    }

    /// `text` in a style, where the output has styles.
    pub fn paint<'a>(&self, style: Style, text: &'a str) -> Cow<'a, str> {
        paint(self.colour, style, text)
    }
}

/// Columns that everything fits where nobody says how many there are: help, and pictures that go to no terminal.
pub const WIDTH: usize = 80;
/// Holds what `print` prints to two snapshots: on a terminal of 80 columns, and, as `NAME.pipe`, through a pipe.
#[cfg(test)]
pub(crate) fn hold(name: &str, print: impl Fn(&mut Output) -> Result<(), OutputError>) {
    let printed = |width| {
        let written = crate::text::Written::default();
        let mut output = Output::to(written.clone(), width);
        print(&mut output).and_then(|()| output.flush()).unwrap();
        written.text()
    };
    crate::snapshot::terminal(name, &printed(Some(WIDTH)));
    crate::snapshot::pipe(&format!("{name}.pipe"), &printed(None));
}

/// How a line of a command ends that goes on.
const CONTINUED: &str = " \\";

fn paint(colour: bool, style: Style, text: &str) -> Cow<'_, str> {
    let code = match style {
        Style::Plain => return Cow::Borrowed(text),
        Style::Bold => "1",
        Style::Dim => "2",
        Style::Good => "32",
        Style::Warn => "33",
        Style::Bad => "31",
    };
    if colour && !text.is_empty() { Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m")) } else { Cow::Borrowed(text) }
}
