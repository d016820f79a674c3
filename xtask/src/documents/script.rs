//! A document as a shell script: the commands in the lines in which they stand, and nothing in all others. So a shell names a document's own line.

use anyhow::{Context, Result, bail, ensure};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// The script of a document. `is_test` says whether there is a test of a block's name.
pub(super) fn of(name: &str, text: &str, is_test: impl Fn(&str) -> Result<bool>) -> Result<String> {
    let line_of = |at: usize| text[..at].matches('\n').count();
    let mut lines = vec![String::new(); text.lines().count() + 1];
    let mut write = |at: usize, commands: &str| {
        for (line, command) in lines.iter_mut().skip(line_of(at)).zip(commands.lines()) {
            command.clone_into(line);
        }
    };
    let (mut is_run, mut comment) = (false, None);
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let place = || format!("{name}:{}", line_of(range.start) + 1);
                is_run = match Block::of(&info).with_context(place)? {
                    Block::Other | Block::NotRun => false,
                    Block::Run => true,
                    Block::MaySayNo => {
                        write(range.start, "may_say_no=1");
                        true
                    }
                    Block::Test(test) => {
                        ensure!(is_test(test)?, "{}: no test in enforcer/tests runs the block `{test}`", place());
                        false
                    }
                };
            }
            Event::End(TagEnd::CodeBlock) => {
                if is_run {
                    // The line of the fence that ends it.
                    write(range.start + text[range].trim_end().rfind('\n').map_or(0, |at| at + 1), "may_say_no=");
                }
                is_run = false;
            }
            Event::Text(_) if is_run => write(range.start, &text[range]),
            Event::Start(Tag::HtmlBlock) => comment = Some(range),
            Event::End(TagEnd::HtmlBlock) => {
                let Some(range) = comment.take() else { continue };
                if let Some(commands) = text[range.clone()].strip_prefix(UNSEEN) {
                    let (commands, _) =
                        commands.split_once("-->").with_context(|| format!("{name}:{}: a comment without an end", line_of(range.start) + 1))?;
                    write(range.start, commands);
                }
            }
            _ => {}
        }
    }
    Ok(lines.join("\n"))
}

/// What becomes of a block.
#[derive(Debug, PartialEq, Eq)]
enum Block<'a> {
    /// It is no shell.
    Other,
    Run,
    /// The same, where the enforcer's answer may be no.
    MaySayNo,
    NotRun,
    /// The test of this name runs it.
    Test(&'a str),
}

impl<'a> Block<'a> {
    /// By what stands behind the fence.
    fn of(info: &'a str) -> Result<Self> {
        let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
        if matches!(language, "console" | "bash" | "shell") {
            bail!("a block of commands is ```sh");
        }
        if language != "sh" {
            return Ok(Self::Other);
        }
        match rest.trim() {
            "" => Ok(Self::Run),
            "may-say-no" => Ok(Self::MaySayNo),
            rest if let Some(why) = rest.strip_prefix("not-run=") => {
                ensure!(why.len() > 2 && why.starts_with('"') && why.ends_with('"'), "`not-run` says why: not-run=\"on the machine that signs\"");
                Ok(Self::NotRun)
            }
            name if !name.contains([' ', '=', '"']) => Ok(Self::Test(name)),
            other => bail!("`{other}` says nothing about a block: leave it away, or write not-run=\"why\""),
        }
    }
}

/// Begins commands that are not seen.
const UNSEEN: &str = "<!-- sh:";

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A\n\n<!-- sh: one\ntwo -->\n\n```sh\nthree \\\n  four\n```\n\n```sh not-run=\"elsewhere\"\nno\n```\n\n```toml\nno = 1\n```\n\n```sh by-hand\nno\n```\n<!-- no -->\n\n- in a list:\n\n  ```sh\n  five\n  ```\n";

    #[test]
    fn commands_stand_in_their_own_lines_and_nothing_else_does() {
        let script = of("a.md", TEXT, |_| Ok(true)).unwrap();
        let found: Vec<(usize, &str)> =
            script.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(|(at, line)| (at + 1, line.trim())).collect();
        assert_eq!(found, [(3, "one"), (4, "two"), (7, "three \\"), (8, "four"), (9, "may_say_no="), (27, "five"), (28, "may_say_no=")]);
        let answered = of("a.md", "```sh may-say-no\nenforcer report\n```\n", |_| Ok(true)).unwrap();
        assert_eq!(answered.lines().collect::<Vec<_>>(), ["may_say_no=1", "enforcer report", "may_say_no="]);
    }

    #[test]
    fn a_block_that_nobody_runs_is_an_error_with_its_line() {
        for (info, why) in [
            ("sh nobody", "no test"),
            ("sh not-run", "no test"),
            ("sh not-run=\"\"", "says why"),
            ("sh a b", "says nothing"),
            ("console", "is ```sh"),
        ] {
            let error = of("a.md", &format!("text\n\n```{info}\nx\n```\n"), |_| Ok(false)).unwrap_err();
            let told = format!("{error:#}");
            assert!(told.contains("a.md:3") && told.contains(why), "{info}: {told}");
        }
    }
}
