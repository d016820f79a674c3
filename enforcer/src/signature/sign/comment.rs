//! A signature in comment lines at the end of a script: which marks make a comment of a line, and where such lines would break the script.
//!
//! Nothing is added that is not signed but the lines behind the first one: where the script's last line has no line feed, it is given one, and that
//! belongs to the content then.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::SignError;
use crate::measure::MeasureError;
use crate::signature::comment::{self, CommentError, Marks};
use crate::signature::elf;

/// How a script becomes one that a signature can follow.
pub(super) struct Layout {
    /// How many bytes of the file stay: all, or those before the signature that it has.
    pub(super) kept: u64,
    pub(super) marks: Marks,
    /// What somebody might not expect.
    pub(super) note: Option<String>,
    /// Whether a line feed is missing at the end.
    unfinished: bool,
}

/// Why a file cannot have a signature in comments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnfitScript {
    /// A program.
    #[error("it is an ELF file, which has no comments")]
    Elf,
    /// No text.
    #[error("it is no text: the byte at {offset} is zero")]
    Binary {
        /// Where the first zero is.
        offset: usize,
    },
    /// No script.
    #[error("it has {size} bytes, and a script has at most {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The bound in bytes.
        limit: u64,
    },
    /// The line before the signature would go on in it.
    #[error("its last line ends in a backslash, and would go on in the signature's first line")]
    GoesOn,
    /// Text outside of PHP's tags is what the program puts out.
    #[error("it ends outside of `<?php … ?>`, and would print the signature")]
    Printed,
    /// A format without such comments.
    #[error("a .{suffix} file has no lines that are comments")]
    NoComments {
        /// The suffix.
        suffix: String,
    },
}

impl UnfitScript {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Elf => "sign it inside: `enforcer sign --embed`",
            Self::Binary { .. } | Self::TooLarge { .. } => "sign it detached: `enforcer sign --detach`",
            Self::GoesOn => "end it with an empty line, or sign it detached: `enforcer sign --detach`",
            Self::Printed => "leave out the last `?>`, or sign it detached: `enforcer sign --detach`",
            Self::NoComments { .. } => "name the marks if it has them after all: `--comment=MARKS`; or sign it detached: `enforcer sign --detach`",
        }
    }
}

impl Layout {
    /// Puts what is signed beside the script behind it, in a copy of the bytes that are kept.
    pub(super) fn apply(&self, file: &File) -> io::Result<()> {
        let line_feed = if self.unfinished { "\n" } else { "" };
        file.write_all_at(format!("{line_feed}{}", self.marks.first_line()).as_bytes(), self.kept)
    }
}

/// Plans room for a signature. Without marks, it is given those that an earlier signature has, or that the script's language asks for.
pub(super) fn plan(file: &File, path: &Path, marks: Option<&Marks>) -> Result<Layout, SignError> {
    if elf::is_elf(file).map_err(SignError::Elf)? {
        return Err(UnfitScript::Elf.into());
    }
    let present = comment::locate(file)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let kept = present.as_ref().map_or(size, |block| block.start);
    if kept > MAX_SCRIPT {
        return Err(UnfitScript::TooLarge { size: kept, limit: MAX_SCRIPT }.into());
    }
    let mut script = vec![0; kept as usize];
    file.read_exact_at(&mut script, 0).map_err(unreadable)?;
    let kind = Kind::of(path, &script);
    kind.check(&script)?;
    let marks = match (marks, present) {
        (Some(marks), _) => marks.clone(),
        (None, Some(block)) => block.marks,
        (None, None) => kind.marks()?,
    };
    let data_below = script.split(|byte| *byte == b'\n').find_map(|line| DATA_BELOW.iter().find(|word| line == word.as_bytes()));
    let note = data_below.map(|word| format!("what follows `{word}` is data to the script, and now the signature too"));
    let unfinished = script.last().is_some_and(|last| *last != b'\n');
    Ok(Layout { kept, marks, note, unfinished })
}

/// Writes the lines that hold the signature behind the first `content` bytes, and makes sure that the verifier will find it there.
pub(super) fn write(file: &File, content: u64, marks: &Marks, signature: &[u8], path: &Path) -> Result<(), SignError> {
    let lines = marks.other_lines(signature)?;
    file.write_all_at(lines.as_bytes(), content).map_err(SignError::write(path))?;
    match comment::locate(file)? {
        Some(block) if block.content == content && block.signature == signature => Ok(()),
        _ => Err(CommentError::Form.into()),
    }
}

/// What is known about a script's language.
struct Kind {
    suffix: String,
    interpreter: String,
}

impl Kind {
    fn of(path: &Path, script: &[u8]) -> Self {
        let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        Self { suffix, interpreter: interpreter(script).unwrap_or_default() }
    }

    /// Whether it is one of these languages: the suffix decides, if anybody knows it, and else the first line.
    fn is_in(&self, names: &[&str]) -> bool {
        let known = |name: &str| NO_COMMENTS.contains(&name) || LANGUAGES.iter().any(|(_, names)| names.contains(&name));
        names.contains(&if known(&self.suffix) { self.suffix.as_str() } else { self.interpreter.as_str() })
    }

    fn marks(&self) -> Result<Marks, SignError> {
        if self.is_in(NO_COMMENTS) {
            return Err(UnfitScript::NoComments { suffix: self.suffix.clone() }.into());
        }
        match LANGUAGES.iter().find(|(_, names)| self.is_in(names)) {
            Some((marks, _)) => Ok(marks.parse()?),
            None => Ok(Marks::usual()),
        }
    }

    /// Whether lines of comments may follow.
    fn check(&self, script: &[u8]) -> Result<(), UnfitScript> {
        if let Some(offset) = script.iter().position(|byte| *byte == 0) {
            return Err(UnfitScript::Binary { offset });
        }
        if script.strip_suffix(b"\n").unwrap_or(script).ends_with(b"\\") {
            return Err(UnfitScript::GoesOn);
        }
        let last = |tag: &[u8; 2]| script.windows(2).rposition(|two| two == tag);
        if self.is_in(&["php"]) && last(b"<?").is_none_or(|open| last(b"?>") > Some(open)) {
            return Err(UnfitScript::Printed);
        }
        Ok(())
    }
}

/// The name of the program that the first line asks for, without its version: `#!/usr/bin/env -S lua5.4 -W` is `lua`.
fn interpreter(script: &[u8]) -> Option<String> {
    let line = script.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace().filter_map(|word| word.rsplit('/').next());
    let is_name = |word: &&str| !word.starts_with('-') && !word.contains('=');
    let name = match words.next()? {
        "env" => words.find(is_name)?,
        name => name,
    };
    Some(name.trim_end_matches(|last: char| last.is_ascii_digit() || matches!(last, '.' | '-')).to_owned())
}

fn unreadable(source: io::Error) -> SignError {
    MeasureError::Read { source }.into()
}

/// Marks of other languages than most, and the suffixes and interpreters of these.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("#", &["sh", "bash", "ksh", "zsh", "fish", "py", "pl", "pm", "rb", "tcl", "awk", "sed", "r", "jl", "ps1", "exs", "nix"]),
    ("//", &["js", "mjs", "cjs", "ts", "mts", "cts", "node", "nodejs", "deno", "bun", "php", "groovy", "scala", "kts", "swift"]),
    ("--", &["lua", "luajit", "sql", "hs", "runghc", "runhaskell"]),
    (";;", &["scm", "guile", "lisp", "sbcl", "el", "emacs", "clj"]),
    ("\"", &["vim"]),
    ("%", &["erl", "escript", "ps", "gs"]),
];
/// Suffixes of formats that have none.
const NO_COMMENTS: &[&str] = &["json", "xml", "svg", "html", "htm", "xhtml", "css", "md", "csv"];
/// Lines behind which Perl, Ruby and PHP read no code.
const DATA_BELOW: [&str; 3] = ["__END__", "__DATA__", "__halt_compiler();"];
/// A script is looked at as a whole.
const MAX_SCRIPT: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_by_the_suffix_then_by_the_first_line_and_are_a_hash_otherwise() {
        let cases: &[(&str, &str, &str)] = &[
            ("a.sh", "", "#"),
            ("a", "", "#"),
            ("a.unknown", "#!/usr/bin/python3\n", "#"),
            ("a.JS", "", "//"),
            ("a.py", "#!/usr/bin/env node\n", "#"),
            ("a", "#!/usr/bin/env -S LANG=C node --flag\n", "//"),
            ("a.cgi", "#!/usr/bin/php8.2\n", "//"),
            ("a", "#! /usr/bin/lua5.4 -W", "--"),
            ("a", "#!/usr/bin/guile-3.0 \\\n!#", ";;"),
            ("a.vim", "", "\""),
            ("a", "#!", "#"),
            ("a", "#!/usr/bin/env\n", "#"),
        ];
        for (name, script, expected) in cases {
            assert_eq!(Kind::of(Path::new(name), script.as_bytes()).marks().unwrap().to_string(), *expected, "{name} {script}");
        }
        assert!(Kind::of(Path::new("a.json"), b"").marks().is_err());
    }

    #[test]
    fn a_script_that_comments_would_change_is_none_for_them() {
        let check = |name: &str, script: &str| Kind::of(Path::new(name), script.as_bytes()).check(script.as_bytes()).is_ok();
        assert!(check("a.sh", "") && check("a.sh", "echo \\\\ \n") && check("a.php", "<p>\n<?php\necho 1;\n"));
        assert!(!check("a.sh", "echo \\\n") && !check("a.sh", "echo \\") && !check("a.sh", "a\0b"));
        assert!(!check("a.php", "<?php echo 1; ?>\n") && !check("a.php", "text\n") && check("a.sh", "text ?>\n"));
    }
}
