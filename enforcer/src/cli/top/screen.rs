//! The terminal of `enforcer top`: taken over, and given back however the command ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::view::View;
use super::{Source, frame};
use crate::cli::{Exit, Failure};

/// Draws until somebody ends it.
pub(super) fn watch(source: &mut Source<'_>, view: &mut View, colour: bool) -> Result<Exit, Failure> {
    let signalled = Arc::new(AtomicUsize::new(0));
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        signal_hook::flag::register_usize(signal, Arc::clone(&signalled), signal as usize).map_err(|error| failure(&error))?;
    }
    let ended = draw_until_ended(source, view, colour, &signalled);
    // Given back before anything is said, and before the signal does what it always does.
    match signalled.load(Ordering::Relaxed) {
        0 => {}
        signal => signal_hook::low_level::emulate_default_handler(signal as i32).map_err(|error| failure(&error))?,
    }
    ended.map(|()| Exit::Yes)
}

fn draw_until_ended(source: &mut Source<'_>, view: &mut View, colour: bool, signalled: &AtomicUsize) -> Result<(), Failure> {
    let mut screen = Screen::take().map_err(|error| failure(&error))?;
    let mut due = Instant::now() + view.interval;
    loop {
        let drawn = screen.terminal.draw(|place| frame::draw(view, colour, place.area(), place.buffer_mut()));
        drawn.map_err(|error| failure(&error))?;
        match next(due, signalled).map_err(|error| failure(&error))? {
            Next::End => return Ok(()),
            Next::Draw => {}
            Next::Key(key) => press(view, key),
            Next::Look => {
                if !view.paused {
                    source.look(view)?;
                }
                due = Instant::now() + view.interval;
            }
        }
    }
}

fn press(view: &mut View, key: char) {
    match key {
        'p' | ' ' => view.paused = !view.paused,
        'd' => view.denied_only = !view.denied_only,
        's' => view.order = view.order.next(),
        _ => {}
    }
}

/// What to do next.
enum Next {
    End,
    Draw,
    Look,
    Key(char),
}

/// Waits for a key, a new size of the terminal, a signal, or the moment of the next look.
fn next(due: Instant, signalled: &AtomicUsize) -> io::Result<Next> {
    loop {
        if signalled.load(Ordering::Relaxed) != 0 {
            return Ok(Next::End);
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Next::Look);
        }
        if event::poll(left.min(ATTENTION))? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => return Ok(pressed(&key)),
                Event::Resize(..) => return Ok(Next::Draw),
                _ => {}
            }
        }
    }
}

fn pressed(key: &KeyEvent) -> Next {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Esc | KeyCode::Char('q' | 'Q') => Next::End,
        KeyCode::Char('c') if control => Next::End,
        KeyCode::Char(key) if !control => Next::Key(key.to_ascii_lowercase()),
        _ => Next::Draw,
    }
}

/// The terminal, in raw mode and on its second screen. A panic gives it back, too: `try_init` has put a hook before the one that tells of it.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn take() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                // It may have come half way.
                ratatui::restore();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to give back, and nobody to tell.
        _ = ratatui::try_restore();
    }
}

fn failure(error: &io::Error) -> Failure {
    Failure::new(Exit::System, format!("cannot use the terminal: {error}")).hint("`enforcer top --once` needs none")
}

/// How long a signal may go unnoticed.
const ATTENTION: Duration = Duration::from_millis(100);
