//! Whether every command of ours that a document or a help text shows would be understood: its subcommands, its options and their values.

use clap::error::ErrorKind;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::documents;

#[test]
fn every_command_in_a_document_is_one_that_the_program_understands() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (document, text) in documents() {
        // What an ADR says of a command is how it was then.
        if document.starts_with("docs/adr/") {
            continue;
        }
        for snippet in snippets(&text) {
            for words in commands(&snippet.text) {
                count += 1;
                if let Err(why) = understood(&words, snippet.is_whole) {
                    wrong.push(format!("{document}:{}: `{}`: {why}", snippet.line, words.join(" ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count > 100, "{count} commands were found");
}

#[test]
fn every_example_in_a_help_text_is_one_that_the_program_understands() {
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut commands_left = vec![enforcer::cli::definition()];
    while let Some(command) = commands_left.pop() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let help = help.split("\\\n").map(str::trim_start).collect::<Vec<_>>().join("");
        for line in help.lines().map(str::trim_start) {
            // An explanation stands behind two blanks or more.
            let (example, _) = line.split_once("   ").unwrap_or((line, ""));
            for words in commands(example) {
                count += 1;
                if let Err(why) = understood(&words, true) {
                    wrong.push(format!("`{}`, in the help of `{}`: {why}", words.join(" "), command.get_name()));
                }
            }
        }
        commands_left.extend(command.get_subcommands().cloned());
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count > 50, "{count} examples were found");
}

#[test]
fn commands_are_found_and_wrong_ones_are_refused() {
    let found = commands(
        "# enforcer in a comment\nsudo enforcer status --json | jq .mode && A=1 /usr/sbin/enforcer \\\n  verify 'a b' > out # why\nx=\"$(enforcer events -n 3)\"\n",
    );
    assert_eq!(found, [vec!["enforcer", "status", "--json"], vec!["enforcer", "verify", "a b"], vec!["enforcer", "events", "-n", "3"]]);
    assert!(understood(&found[0], true).is_ok() && understood(&found[1], true).is_ok());
    for words in
        [&["enforcer", "statsu"][..], &["enforcer", "status", "--jsno"], &["enforcer", "verify"], &["enforcer", "events", "--since", "yesterday"]]
    {
        assert!(understood(&words.iter().map(ToString::to_string).collect::<Vec<_>>(), true).is_err(), "{words:?}");
    }
    let prose = ["enforcer", "sign", "--identifier"].map(str::to_owned);
    assert!(understood(&prose, false).is_ok() && understood(&prose, true).is_err());
}

/// A piece of code in a document.
struct Snippet {
    line: usize,
    text: String,
    /// A block, and not a few words in a sentence, which may leave something away.
    is_whole: bool,
}

fn snippets(text: &str) -> Vec<Snippet> {
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let mut found: Vec<Snippet> = Vec::new();
    let mut is_shell = false;
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                is_shell = matches!(info.split_whitespace().next(), Some("sh" | "console"));
                if is_shell {
                    found.push(Snippet { line: line(range.start), text: String::new(), is_whole: true });
                }
            }
            Event::End(TagEnd::CodeBlock) => is_shell = false,
            Event::Text(code) if is_shell => found.last_mut().unwrap().text += &code,
            Event::Code(code) => found.push(Snippet { line: line(range.start), text: code.into_string(), is_whole: false }),
            _ => {}
        }
    }
    found
}

/// The enforcer's commands in some lines of shell, each as its words.
fn commands(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let mut found = Vec::new();
    for line in text.lines() {
        // What stands between single quotes says nothing to a shell.
        let parts = line.split('\'').enumerate().map(|(place, part)| if place % 2 == 0 { separated(part) } else { part.to_owned() });
        let words: Vec<String> = shlex::Shlex::new(&parts.collect::<Vec<_>>().join("'")).collect();
        for command in words.split(|word| word == ";") {
            let is_before = |word: &&String| *word == "sudo" || *word == "!" || (word.contains('=') && !word.starts_with('-'));
            let command: Vec<&String> = command.iter().skip_while(is_before).collect();
            let Some((program, words)) = command.split_first() else { continue };
            if *program == "enforcer" || program.ends_with("/enforcer") {
                let own = words.iter().take_while(|word| !word.starts_with(['>', '<']) && !word.starts_with("2>"));
                found.push(std::iter::once("enforcer".to_owned()).chain(own.map(|word| (*word).clone())).collect());
            }
        }
    }
    found
}

/// With `;` alone between commands, those of a substitution among them.
fn separated(shell: &str) -> String {
    shell.replace("\"$(", "$(").replace(")\"", ")").replace("$(", " ; ").replace([';', '|', '&', '(', ')'], " ; ")
}

/// Commands that only some builds have.
const ABSENT: &[&str] = if cfg!(feature = "otlp") { &[] } else { &["export"] };

/// Whether the command line is understood. In a sentence, something may be left away, and an ellipsis stand for more.
fn understood(words: &[String], is_whole: bool) -> Result<(), String> {
    if words.get(1).is_some_and(|command| ABSENT.contains(&command.as_str())) {
        return Ok(());
    }
    let words = words.iter().filter(|word| is_whole || !word.contains('…'));
    match enforcer::cli::definition().try_get_matches_from(words) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
            ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => Err(first_line(&error)),
            _ if is_whole => Err(first_line(&error)),
            _ => Ok(()),
        },
    }
}

fn first_line(error: &clap::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
