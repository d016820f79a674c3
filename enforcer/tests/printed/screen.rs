//! What a command of this crate writes to a terminal of 80 columns.

use std::io::Write;
use std::sync::{Arc, Mutex};

use enforcer::cli::{Exit, Output, run_words};

/// Runs the words of a command, the program's name first.
pub fn shown(words: impl IntoIterator<Item = String>) -> (Exit, String) {
    let sink = Sink::default();
    let exit = run_words(words, &mut Output::to(sink.clone(), Some(80))).unwrap();
    let bytes = sink.0.lock().unwrap().clone();
    (exit, String::from_utf8(bytes).unwrap())
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
