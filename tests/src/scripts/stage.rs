//! Sets the scene of one form, as the attack or as its honest twin, and starts it.

use std::fs::{self, File as Opened};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::archive::zip;
use super::interpreter::{Caller, File, Form, Input, Interpreter, Role, Start};
use crate::child::{self, Ended};
use crate::rows::{LOADER, SIGNED_RAN, UNSIGNED_RAN};
use crate::scene::{Scene, install};

/// Where everything lies and runs. What is signed speaks of it, so it is the same in every machine.
pub const FOLDER: &str = "/var/tmp/enforcer-tests/script";
/// A program that may hand text to interpreters.
pub const ENTITLED: &str = "scripts/programs/caller";

/// Whose code there is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Unsigned,
    Signed,
}

impl Code {
    /// What it says when it runs.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unsigned => UNSIGNED_RAN,
            Self::Signed => SIGNED_RAN,
        }
    }
}

/// A form of an interpreter that is to be tried.
pub struct Stage<'a> {
    pub scene: &'a Scene,
    pub interpreter: &'a Interpreter,
    pub form: &'a Form,
    pub code: Code,
    pub caller: Caller,
}

impl Stage<'_> {
    /// Makes the folder anew and runs it. What lies outside of the folder is removed again.
    pub fn run(&self) -> Result<Ended> {
        let outcome = self.run_in_new_folder();
        for file in self.form.files.iter().filter(|file| Path::new(file.path).is_absolute()) {
            fs::remove_file(file.path).with_context(|| format!("cannot remove `{}`", file.path))?;
        }
        outcome
    }

    fn run_in_new_folder(&self) -> Result<Ended> {
        self.scene.clear()?;
        fs::create_dir_all(FOLDER)?;
        for file in self.form.files {
            self.put(file, self.code).with_context(|| format!("cannot make `{}`", file.path))?;
        }
        let program = self.program()?;
        if !self.form.preparation.is_empty() {
            let mut command = self.start(Caller::Entitled, Path::new(self.interpreter.program), self.form.preparation, "")?;
            let ended = child::run(&mut command)?;
            ensure!(ended.status.success(), "the preparation {}", ended.describe());
        }
        if self.form.start == Start::Home {
            belong_to_user(Path::new(FOLDER))?;
        }
        let replaces = matches!(self.form.start, Start::AfterRename | Start::AfterWrite);
        if replaces && self.code == Code::Unsigned {
            self.replace_what_has_run(&program)?;
        }
        self.run_once(&program)
    }

    fn run_once(&self, program: &Path) -> Result<Ended> {
        let held = self.open(self.form.held)?;
        let descriptor = held.read.as_raw_fd();
        fcntl_setfd(&held.read, FdFlags::empty())?;
        let input = self.open(self.form.input)?;
        let mut command = self.start(self.caller, program, self.form.arguments, &descriptor.to_string())?;
        let ended = child::run_with_input(&mut command, Stdio::from(input.read), child::PATIENCE);
        drop((held.keep, input.keep));
        ended
    }

    /// Has a signed file run, and puts the unsigned one in its place.
    fn replace_what_has_run(&self, program: &Path) -> Result<()> {
        let file = self.form.files.first().context("no file to replace")?;
        self.put(file, Code::Signed)?;
        let ended = self.run_once(program)?;
        ensure!(ended.ran(Code::Signed.words()), "the signed file did not run: it {}", ended.describe());
        let path = self.path(file.path)?;
        let bytes = bytes(self.interpreter, file, Code::Unsigned);
        if self.form.start == Start::AfterRename {
            let new = path.with_file_name("new");
            fs::write(&new, bytes)?;
            fs::rename(new, path)?;
        } else {
            fs::write(path, bytes)?;
        }
        Ok(())
    }

    fn put(&self, file: &File, code: Code) -> Result<()> {
        let path = self.path(file.path)?;
        fs::create_dir_all(path.parent().context("a path without a folder")?)?;
        if file.role == Role::Link {
            return Ok(symlink(self.text(file.text), path)?);
        }
        fs::write(&path, bytes(self.interpreter, file, code))?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
    }

    fn path(&self, template: &str) -> Result<PathBuf> {
        let program = fs::canonicalize(self.interpreter.program).context(self.interpreter.program)?;
        let version = program.file_name().and_then(|name| name.to_str()).context("a program without a name")?;
        Ok(Path::new(FOLDER).join(self.text(template).replace("{version}", version)))
    }

    fn text(&self, template: &str) -> String {
        expand(self.interpreter, template, self.code.words())
    }

    /// What is to be started.
    fn program(&self) -> Result<PathBuf> {
        let original = fs::canonicalize(self.interpreter.program).context(self.interpreter.program)?;
        let tool = Path::new(FOLDER).join("tool");
        match self.form.start {
            Start::Copy | Start::Home => install(&original, &tool),
            Start::HardLink => {
                fs::hard_link(&original, &tool)?;
                Ok(tool)
            }
            Start::Program | Start::Script | Start::Loader | Start::AfterRename | Start::AfterWrite => Ok(self.interpreter.program.into()),
        }
    }

    fn start(&self, caller: Caller, program: &Path, arguments: &[&str], descriptor: &str) -> Result<Command> {
        let mut words: Vec<PathBuf> = match self.form.start {
            Start::Script => {
                let file = self.form.files.first().context("no file to start")?;
                vec![self.scene.tool().to_owned(), "attack".into(), "exec".into(), self.path(file.path)?]
            }
            Start::Loader => vec![LOADER.into(), program.to_owned()],
            _ => vec![program.to_owned()],
        };
        for argument in arguments {
            match *argument {
                "{run}" => words.extend(self.interpreter.run.iter().map(PathBuf::from)),
                "{stdin}" => words.extend(self.interpreter.stdin.iter().map(PathBuf::from)),
                _ => words.push(self.text(argument).replace("{fd}", descriptor).into()),
            }
        }
        if caller == Caller::Entitled {
            words.insert(0, self.scene.fixture(ENTITLED));
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(FOLDER).env_clear().envs(HARMLESS).env("HOME", FOLDER);
        command.envs(self.form.environment.iter().map(|(name, value)| (*name, self.text(value))));
        if self.form.start == Start::Home {
            command.uid(USER).gid(USER);
        }
        Ok(command)
    }

    fn open(&self, input: Input) -> Result<Source> {
        Ok(match input {
            Input::Nothing => Source { read: Opened::open("/dev/null")?.into(), keep: None },
            Input::File(path) => Source { read: Opened::open(self.path(path)?)?.into(), keep: None },
            Input::Pipe(text) => {
                let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
                Opened::from(write).write_all(self.text(text).as_bytes())?;
                Source { read, keep: None }
            }
            Input::Terminal(text) => {
                let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
                grantpt(&master)?;
                unlockpt(&master)?;
                let name = ptsname(&master, Vec::new())?;
                let read = rustix::fs::open(&name, rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY, rustix::fs::Mode::empty())?;
                fcntl_setfd(&read, FdFlags::CLOEXEC)?;
                let mut master = Opened::from(master);
                master.write_all(self.text(text).as_bytes())?;
                Source { read, keep: Some(master) }
            }
        })
    }
}

/// Something to read from.
struct Source {
    read: OwnedFd,
    /// A terminal's other end, at which somebody has to sit.
    keep: Option<Opened>,
}

/// A file's content.
pub fn bytes(interpreter: &Interpreter, file: &File, code: Code) -> Vec<u8> {
    let words = if file.role == Role::Frame { Code::Signed.words() } else { code.words() };
    let text = expand(interpreter, file.text, words);
    match file.role {
        Role::Member(name) => zip(name, text.as_bytes()),
        Role::Code | Role::Frame | Role::Data | Role::Link => text.into_bytes(),
    }
}

/// A text with everything in it that is known without a machine.
pub fn expand(interpreter: &Interpreter, template: &str, words: &str) -> String {
    let (flags, line_after) = interpreter.first_line;
    let flags = if line_after.is_empty() { flags.to_owned() } else { format!("{flags}\n{line_after}") };
    let (includes, part) = interpreter.includes;
    // What holds others comes first.
    let names = [
        ("{includes}", includes),
        ("{part}", part),
        ("{reads}", interpreter.reads),
        ("{code}", interpreter.code),
        ("{say}", interpreter.say),
        ("{program}", interpreter.program),
        ("{flags}", &flags),
        ("{suffix}", interpreter.suffix),
        ("{dir}", FOLDER),
        ("WORDS", words),
    ];
    names.into_iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
}

fn belong_to_user(folder: &Path) -> Result<()> {
    chown(folder, Some(USER), Some(USER))?;
    for entry in fs::read_dir(folder)? {
        chown(entry?.path(), Some(USER), Some(USER))?;
    }
    Ok(())
}

/// An ordinary user.
const USER: u32 = 1000;
/// Variables with which no interpreter writes files beside those of the test.
const HARMLESS: [(&str, &str); 6] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("GUILE_AUTO_COMPILE", "0"),
    // Guile would ask for executable memory, which is not what is tested here.
    ("GUILE_JIT_THRESHOLD", "-1"),
];
