//! The names by which files are scripts.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use enforcer_common::WORD_SIZE;

/// What the name of a script is like. None is longer than a [`enforcer_common::Word`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScriptName {
    /// The whole name of a file (`.bashrc`).
    Whole(String),
    /// What stands behind the last dot (`*.py`).
    Ending(String),
    /// The name of a folder (`completions/`), of which every file below is a script: so many folders deep as [`enforcer_common::SCRIPT_FOLDER_DEPTH`] says.
    Folder(String),
}

impl ScriptName {
    /// As it is written in a policy: `None` for what is no name, or a longer one than the kernel's programs look at.
    pub fn parse(text: &str) -> Option<Self> {
        let make = |name: &str, kind: fn(String) -> Self| {
            let fits = !name.is_empty() && name.len() < WORD_SIZE && !name.contains(['/', '\0', '*', '?', '[']);
            fits.then(|| kind(name.to_owned()))
        };
        if let Some(ending) = text.strip_prefix("*.") {
            return if ending.contains('.') { None } else { make(ending, Self::Ending) };
        }
        match text.strip_suffix('/') {
            Some(folder) => make(folder, Self::Folder),
            None => make(text, Self::Whole),
        }
    }
}

/// Names of scripts, as many as there are.
#[derive(Clone, Debug, Default)]
pub struct ScriptNames {
    whole: HashSet<Vec<u8>>,
    endings: HashSet<Vec<u8>>,
    folders: HashSet<Vec<u8>>,
}

impl ScriptNames {
    /// Whether a file at this path goes by one of them: no fewer than the kernel's programs say so of, which look at the nearest folders only.
    pub fn fit(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().map(OsStr::as_encoded_bytes) else { return false };
        // A dot that begins the name ends nothing before it, but what stands behind it is an ending all the same (`.sh`).
        let ending = name.iter().rposition(|byte| *byte == b'.').map(|dot| &name[dot + 1..]);
        let mut folders = path.ancestors().skip(1).filter_map(Path::file_name);
        self.whole.contains(name)
            || ending.is_some_and(|ending| self.endings.contains(ending))
            || folders.any(|folder| self.folders.contains(folder.as_encoded_bytes()))
    }
}

impl FromIterator<ScriptName> for ScriptNames {
    fn from_iter<T: IntoIterator<Item = ScriptName>>(names: T) -> Self {
        let mut all = Self::default();
        for name in names {
            match name {
                ScriptName::Whole(name) => all.whole.insert(name.into_bytes()),
                ScriptName::Ending(ending) => all.endings.insert(ending.into_bytes()),
                ScriptName::Folder(folder) => all.folders.insert(folder.into_bytes()),
            };
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_known_by_its_name_its_ending_or_a_folder_above_it() {
        let fits = |name: &str, path: &str| ScriptNames::from_iter(ScriptName::parse(name)).fit(Path::new(path));
        for (name, path) in [
            (".bashrc", "/root/.bashrc"),
            ("*.py", "/usr/lib/python3/dist-packages/apt/a.b.py"),
            ("*.sh", "/etc/.sh"),
            ("zsh/", "/usr/share/zsh/functions/Completion/Unix/_ls"),
            ("zsh/", "/zsh/1/2/3/4/5/6/7/file"),
        ] {
            assert!(fits(name, path), "{name} {path}");
        }
        for (name, path) in [
            (".bashrc", "/root/bash.bashrc"),
            ("*.py", "/usr/bin/py"),
            ("*.py", "/usr/bin/xpy"),
            ("zsh/", "/usr/bin/zsh"),
            ("zsh/", "/usr/share/zsh-common/x"),
        ] {
            assert!(!fits(name, path), "{name} {path}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in
            ["", "*.", "*", "*.a.b", "a/b", "/", "a/b/", "x?", "[a]", "a*", "*.x/", &"x".repeat(WORD_SIZE), &format!("{}/", "x".repeat(WORD_SIZE))]
        {
            assert_eq!(ScriptName::parse(text), None, "{text}");
        }
    }
}
