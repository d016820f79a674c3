//! Which word of an interpreter's command line names the script, as far as its options tell.
//!
//! The kernel's programs read command lines by themselves, and whole: this is for reports about what runs already, and grants nothing.

use super::Grammar;

impl Grammar {
    /// The place of the word that names the file of the program; `None`, where it is text, a module or standard input, or where no word does. The first word
    /// is the interpreter's own name.
    pub fn script_word(&self, words: &[Vec<u8>]) -> Option<usize> {
        let is = |options: &[String], word: &[u8]| options.iter().any(|option| option.as_bytes() == word);
        let runs_something_else = |option: &[u8]| [&self.inline, &self.module, &self.name, &self.stdin].iter().any(|options| is(options, option));
        let mut place = 1;
        while let Some(word) = words.get(place) {
            match word.as_slice() {
                b"--" => return Some(place + 1).filter(|next| *next < words.len()),
                word if is(&self.program, word) => return Some(place + 1).filter(|next| *next < words.len()),
                word if runs_something_else(word) => return None,
                word if is(&self.argument, word) || is(&self.script, word) => place += 1,
                [b'-', letters @ ..] if !letters.is_empty() && letters[0] != b'-' => {
                    for (number, letter) in letters.iter().enumerate() {
                        let option = [b'-', *letter];
                        if runs_something_else(&option) {
                            return None;
                        }
                        if is(&self.argument, &option) || is(&self.attached, &option) {
                            let is_last = number + 1 == letters.len();
                            place += usize::from(is_last && is(&self.argument, &option));
                            break;
                        }
                    }
                }
                [b'-', b'-', ..] => {}
                _ => return Some(place),
            }
            place += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::policy::Policy;

    #[test]
    fn the_script_is_the_first_word_that_is_no_option_and_no_options_argument() {
        let policy = Policy::parse("version = 1\nmode = \"audit\"\n", Path::new("policy.toml")).unwrap();
        let script = |name: &str, line: &str| {
            let interpreter = policy.interpreters.0.iter().find(|interpreter| interpreter.name == name).unwrap();
            let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            interpreter.grammar.script_word(&words).map(|place| String::from_utf8(words[place].clone()).unwrap())
        };
        assert_eq!(script("bash", "bash /etc/init.d/x start").as_deref(), Some("/etc/init.d/x"));
        assert_eq!(script("bash", "bash -eu run.sh").as_deref(), Some("run.sh"));
        assert_eq!(script("bash", "bash -c run.sh"), None);
        assert_eq!(script("bash", "bash -ec run.sh"), None);
        assert_eq!(script("python", "python3 -W error app.py").as_deref(), Some("app.py"));
        assert_eq!(script("python", "python3 -m http.server"), None);
        assert_eq!(script("python", "python3"), None);
        assert_eq!(script("perl", "perl -w x.pl").as_deref(), Some("x.pl"));
    }
}
