//! The parts of a running process that a policy has a word about: its program, its libraries, its script, and its executable memory; each once.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use enforcer_common::{USE_EXEC, USE_SCRIPT};

use super::{Code, Process, is_gone};
use crate::kernel::without_mark;
use crate::policy::{Evidence, Interpreter, Interpreters};

/// What a process runs.
#[derive(Debug, Default)]
pub struct Parts {
    /// Its program first; then what it has mapped, in the order of its memory; its script last.
    pub all: Vec<Part>,
    /// Whether there is more that may not be looked at.
    pub is_hidden: bool,
}

/// A part.
#[derive(Clone, Debug)]
pub enum Part {
    /// A file, and what it is used for (bits of [`USE_EXEC`] and its like).
    File(RunningFile, u32),
    /// Executable memory that no file stands behind.
    Memory {
        /// Whether it can be written to as it is.
        is_writable: bool,
    },
}

/// A file that runs, and its names.
#[derive(Clone, Debug)]
pub struct RunningFile {
    /// What to open to have this very file.
    pub handle: PathBuf,
    /// Where its signature would lie beside it.
    pub place: PathBuf,
    /// Its path, as the process sees it.
    pub path: PathBuf,
    /// Device and inode number.
    pub identity: (u64, u64),
}

impl Process {
    /// The parts of it, where scripts are those of an interpreter of these.
    ///
    /// # Errors
    /// Its code may not be looked at.
    pub fn parts(&self, interpreters: &[&Interpreters]) -> io::Result<Parts> {
        let mut parts = Parts::default();
        let mut seen = Vec::new();
        for code in self.code()? {
            match code {
                Code::File(code) => {
                    let path = without_mark(code.path);
                    let place = self.place(path.as_os_str().as_encoded_bytes());
                    match identity(&code.handle) {
                        // Its own program, which it has mapped too, it runs as that.
                        Ok(identity) if seen.contains(&identity) => {}
                        Ok(identity) => {
                            seen.push(identity);
                            parts.all.push(Part::File(RunningFile { handle: code.handle, place, path, identity }, code.wanted));
                        }
                        Err(error) => parts.is_hidden |= !is_gone(&error),
                    }
                }
                Code::Memory { is_writable } => {
                    if !parts.all.iter().any(|part| matches!(part, Part::Memory { is_writable: known } if *known == is_writable)) {
                        parts.all.push(Part::Memory { is_writable });
                    }
                }
            }
        }
        parts.all.extend(self.script(interpreters).map(|file| Part::File(file, USE_SCRIPT)));
        Ok(parts)
    }

    /// The interpreter that its program is, by where that lies.
    pub fn interpreter<'a>(&self, interpreters: &'a Interpreters) -> Option<&'a Interpreter> {
        let program = without_mark(self.program.clone());
        let label = interpreters.label(Evidence::Lies(&program), std::iter::empty())?;
        interpreters.0.get((label.number as usize).checked_sub(1)?)
    }

    /// The script that it runs, as far as its command line tells.
    fn script(&self, interpreters: &[&Interpreters]) -> Option<RunningFile> {
        let interpreter = interpreters.iter().find_map(|interpreters| self.interpreter(interpreters))?;
        let mut words = self.words();
        let word = words.swap_remove(interpreter.grammar.script_word(&words)?);
        let handle = self.place(&word);
        let metadata = fs::metadata(&handle).ok().filter(fs::Metadata::is_file)?;
        let path = PathBuf::from(String::from_utf8_lossy(&word).into_owned());
        Some(RunningFile { place: handle.clone(), path, handle, identity: (metadata.dev(), metadata.ino()) })
    }
}

impl Parts {
    /// Its program.
    pub fn program(&self) -> Option<&RunningFile> {
        self.all.iter().find_map(|part| match part {
            Part::File(file, USE_EXEC) => Some(file),
            _ => None,
        })
    }
}

fn identity(handle: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(handle).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::policy::Policy;

    #[test]
    fn a_shell_is_its_program_its_libraries_and_its_script_each_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("wait.sh"), "echo ready; read line\n").unwrap();
        let mut command = Command::new("/bin/sh");
        command.arg("wait.sh").current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
        let policy = Policy::parse("version = 1\nmode = \"audit\"\n", Path::new("policy.toml")).unwrap();
        let process = Process::of(shell.id()).unwrap().unwrap();
        let parts = process.parts(&[&policy.interpreters]).unwrap();
        shell.kill().unwrap();
        shell.wait().unwrap();
        let files = |wanted: u32| parts.all.iter().filter(move |part| matches!(part, Part::File(_, found) if *found == wanted)).count();
        assert_eq!((files(USE_EXEC), files(USE_SCRIPT)), (1, 1), "{parts:?}");
        assert!(matches!(parts.all.last(), Some(Part::File(script, USE_SCRIPT)) if script.path == Path::new("wait.sh")), "{parts:?}");
        assert_eq!(parts.program().unwrap().path, process.program);
    }
}
