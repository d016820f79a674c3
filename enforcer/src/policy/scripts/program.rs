//! Where the programs of an interpreter lie.

use std::path::Path;

use glob::{MatchOptions, Pattern, PatternError};

/// The path of programs, as a pattern (`glob(7)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramPath {
    pattern: Pattern,
    /// How many bytes of it stand for themselves, before the first that does not and behind the last.
    plain: (usize, usize),
}

impl ProgramPath {
    /// As it is written in a policy.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let begin = text.find(['*', '?', '[']).unwrap_or(text.len());
        let end = text.rfind(['*', '?', ']']).map_or(0, |last| text.len() - last - 1);
        Ok(Self { pattern: Pattern::new(text)?, plain: (begin, end) })
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        self.pattern.as_str()
    }

    /// Whether it is one whole path, and not one of many.
    pub fn is_exact(&self) -> bool {
        self.plain.0 == self.as_str().len()
    }

    /// Whether a program lies there.
    pub fn matches(&self, path: &Path) -> bool {
        // Of the very many paths of a manifest, hardly one gets further than this.
        let (text, path_bytes) = (self.as_str().as_bytes(), path.as_os_str().as_encoded_bytes());
        if self.is_exact() {
            return path_bytes == text;
        }
        let (begin, end) = (&text[..self.plain.0], &text[text.len() - self.plain.1..]);
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        path_bytes.starts_with(begin) && path_bytes.ends_with(end) && self.pattern.matches_path_with(path, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_paths_and_no_wildcard_fits_a_slash() {
        let fits = |pattern: &str, path: &str| ProgramPath::parse(pattern).unwrap().matches(Path::new(path));
        assert!(fits("/usr/bin/perl", "/usr/bin/perl"));
        assert!(!fits("/usr/bin/perl", "/usr/bin/perl5.36") && !fits("/usr/bin/perl", "/usr/bin/per"));
        assert!(fits("/usr/bin/python3*", "/usr/bin/python3.11") && fits("/usr/bin/python3*", "/usr/bin/python3"));
        assert!(!fits("/usr/bin/python3*", "/usr/bin/python2") && !fits("/usr/bin/python3*", "/usr/bin/python3/x"));
        assert!(fits("/usr/bin/lua[0-9]*", "/usr/bin/lua5.4") && !fits("/usr/bin/lua[0-9]*", "/usr/bin/luajit"));
        let guile = "/usr/lib/x86_64-linux-gnu/guile/3.0/bin/guile";
        assert!(fits("/usr/lib/*/guile/*/bin/guile", guile) && fits("/usr/lib/*/guile/*/bin/guil[a-e]", guile));
        assert!(!fits("/usr/lib/*/guile/*/bin/guile", "/usr/lib/x86_64-linux-gnu/libguile.so"));
    }

    #[test]
    fn a_pattern_without_wildcards_is_exact() {
        assert!(ProgramPath::parse("/usr/bin/perl").unwrap().is_exact());
        assert!(!ProgramPath::parse("/usr/bin/perl5*").unwrap().is_exact());
    }
}
