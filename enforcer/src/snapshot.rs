//! What commands print, kept as files below `enforcer/tests/snapshots`, in a folder for each command: whoever changes what users see, sees it in the diff.
//!
//! Used by the crate's tests and by those of its binary, so it knows nothing of either.

use std::fs;
use std::path::{Path, PathBuf};

use unicode_width::UnicodeWidthStr;

/// Holds what a terminal of 80 columns shows to the file `NAME.txt`. With `UPDATE_SNAPSHOTS` in the environment, the file is written anew instead.
pub(crate) fn terminal(name: &str, text: &str) {
    let is_command = |line: &str| ["enforcer ", "sudo enforcer ", "$ "].iter().any(|command| line.trim_start().starts_with(command));
    // Commands are copied, so they are not broken.
    let wide: Vec<&str> = text.lines().filter(|line| line.width() > 80 && !is_command(line)).collect();
    assert!(wide.is_empty(), "{name}: wider than 80 columns: {wide:#?}");
    hold(name, text);
}

/// Holds what a pipe gets to the file `NAME.txt`: there is no width to keep, and nothing is drawn.
pub(crate) fn pipe(name: &str, text: &str) {
    let drawn: Vec<&str> = text.lines().filter(|line| line.contains(|letter| ('\u{2500}'..='\u{28ff}').contains(&letter))).collect();
    assert!(drawn.is_empty(), "{name}: drawn into a pipe: {drawn:#?}");
    hold(name, text);
}

fn hold(name: &str, text: &str) {
    assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{name}: something that acts on a terminal: {text:?}");
    let path = path(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).and_then(|()| fs::write(&path, text)).unwrap();
        return;
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(kept.lines()).position(|(now, kept)| now != kept).unwrap_or(0) + 1;
    assert!(
        kept == text,
        "{}:{differs} is not what is printed now; if it should be, `UPDATE_SNAPSHOTS=1 cargo test` writes it anew:\n{text}",
        path.display()
    );
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"))
}
