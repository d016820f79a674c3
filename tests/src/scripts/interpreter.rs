//! What a row of the table says: an interpreter, and a form in which it can be made to run code.
//!
//! Texts, paths, arguments and variables may hold these, and nothing else of theirs is replaced:
//!
//! | name | stands for |
//! |---|---|
//! | `{say}` | the statement that writes the words by which code is known |
//! | `{code}` | a whole file with that statement |
//! | `{reads}` | a program that writes what `data.txt` says |
//! | `{includes}`, `{part}` | a program that runs another file, and that file's name |
//! | `{program}`, `{flags}` | the interpreter, and its arguments in a first line |
//! | `{suffix}` | what the names of its files end with |
//! | `{dir}` | the folder in which all of it lies and runs |
//! | `{fd}` | the number of the descriptor that the process is handed |
//! | `{version}` | the file name of the program behind the interpreter's link (`python3.11`) |
//!
//! An argument that is `{run}` stands for the arguments that name a file as the program, and `{stdin}` for those by which it comes through stdin.

/// A program that runs text.
pub struct Interpreter {
    /// As the policy calls it.
    pub name: &'static str,
    /// Its file.
    pub program: &'static str,
    /// What the names of its files end with.
    pub suffix: &'static str,
    /// The statement that writes `WORDS`.
    pub say: &'static str,
    /// A file of that statement alone.
    pub code: &'static str,
    /// What follows the program in a first line, and what follows that line.
    pub first_line: (&'static str, &'static str),
    /// The arguments before a program's file.
    pub run: &'static [&'static str],
    /// The arguments by which it reads its program from stdin.
    pub stdin: &'static [&'static str],
    /// A program that runs another file, and that file's name.
    pub includes: (&'static str, &'static str),
    /// A program that writes what `data.txt` says.
    pub reads: &'static str,
    /// The forms that it alone has, or that each interpreter spells in its own way.
    pub forms: &'static [Form],
    /// Those of [`super::common::FORMS`] that it does not have, with the reason.
    pub lacks: &'static [(&'static str, &'static str)],
}

impl Interpreter {
    /// Whether it has this one of the forms that all have in common.
    pub fn has(&self, form: &Form) -> bool {
        !self.lacks.iter().any(|(name, _)| *name == form.name)
    }
}

/// A way to have an interpreter run code.
pub struct Form {
    /// Its name, which follows that of the interpreter in the test's.
    pub name: &'static str,
    /// What lies in the folder.
    pub files: &'static [File],
    /// What is started.
    pub start: Start,
    /// Its arguments.
    pub arguments: &'static [&'static str],
    /// Its variables, besides a few harmless ones.
    pub environment: &'static [(&'static str, &'static str)],
    /// What it finds on stdin.
    pub input: Input,
    /// What it finds behind the descriptor `{fd}`.
    pub held: Input,
    /// Who starts it.
    pub caller: Caller,
    /// Arguments with which an entitled program has the interpreter make what the attack needs.
    pub preparation: &'static [&'static str],
    /// What must be said of it.
    pub trace: Trace,
    /// What has to run beside it.
    pub twin: Twin,
}

/// A file in the folder, or, with an absolute path, elsewhere in the system.
pub struct File {
    pub path: &'static str,
    pub text: &'static str,
    pub role: Role,
}

/// What a file is to a form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The code in question: unsigned in the attack, signed in its twin.
    Code,
    /// The same as the member of this name of an archive.
    Member(&'static str),
    /// Signed code that the attack makes use of. Where it says something itself, that is what signed code says.
    Frame,
    /// What is no code, and signed by nobody.
    Data,
    /// A symbolic link; the text is its target.
    Link,
}

/// What is started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The interpreter.
    Program,
    /// The first of the files, by its first line.
    Script,
    /// The dynamic loader, which is told to run the interpreter.
    Loader,
    /// A copy of the interpreter under another name.
    Copy,
    /// A hard link to the interpreter under another name.
    HardLink,
    /// A copy in the home of an ordinary user, started by that user.
    Home,
    /// The interpreter, after the first of the files was signed, had been run, and was replaced by another.
    AfterRename,
    /// The same, but the file was written over.
    AfterWrite,
}

/// Where bytes come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// `/dev/null`.
    Nothing,
    /// A pipe with this text in it.
    Pipe(&'static str),
    /// This file.
    File(&'static str),
    /// A terminal at which this is typed.
    Terminal(&'static str),
}

/// Who starts the interpreter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A program with no right to hand text to interpreters.
    Anybody,
    /// One with the entitlement `inline-code`.
    Entitled,
}

/// The honest twin of an attack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Twin {
    /// The same with signed files.
    Signed,
    /// The same, started by an entitled program; and by anybody where the policy allows text.
    Permitted,
    /// None: what is denied is the form itself.
    None,
}

/// The event that tells of the attack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// One of these hooks asked.
    pub hooks: &'static [&'static str],
    /// And had one of these reasons.
    pub reasons: &'static [&'static str],
}

impl Trace {
    /// A file that an interpreter opened.
    pub const READ: Self = Self { hooks: OPEN, reasons: &["untrusted"] };
    /// A file that was started.
    pub const STARTED: Self = Self { hooks: &["bprm_check_security"], reasons: &["untrusted"] };
    /// Text in the arguments.
    pub const INLINE: Self = Self { hooks: COMMITTED, reasons: &["inline-code"] };
    /// A variable that holds text, or the name of a file: the text is judged, or the file.
    pub const VARIABLE: Self = Self { hooks: &["bprm_committed_creds", "file_post_open", "file_open"], reasons: &["inline-code", "untrusted"] };
    pub const STDIN: Self = Self { hooks: COMMITTED, reasons: &["code-from-stdin"] };
    pub const TYPED: Self = Self { hooks: COMMITTED, reasons: &["interactive-interpreter"] };
    /// A pipe that has a name: known by the name at the start, or when it is opened.
    pub const PIPE: Self =
        Self { hooks: &["bprm_committed_creds", "file_post_open", "file_open"], reasons: &["script-not-a-file", "code-from-stdin"] };
    pub const FOREIGN: Self = Self { hooks: &["mmap_file", "file_post_open", "file_open"], reasons: &["foreign-interpreter"] };
}

/// The first of them from kernel 6.9 on.
const OPEN: &[&str] = &["file_post_open", "file_open"];
const COMMITTED: &[&str] = &["bprm_committed_creds"];

impl Form {
    /// Code in a file, which the interpreter reads.
    pub const fn file(name: &'static str, files: &'static [File], arguments: &'static [&'static str]) -> Self {
        Self {
            name,
            files,
            start: Start::Program,
            arguments,
            environment: &[],
            input: Input::Nothing,
            held: Input::Nothing,
            caller: Caller::Anybody,
            preparation: &[],
            trace: Trace::READ,
            twin: Twin::Signed,
        }
    }

    /// Code in the arguments.
    pub const fn inline(name: &'static str, arguments: &'static [&'static str]) -> Self {
        Self { trace: Trace::INLINE, twin: Twin::Permitted, ..Self::file(name, &[], arguments) }
    }

    /// Code that comes through stdin.
    pub const fn stdin(name: &'static str, arguments: &'static [&'static str], input: Input) -> Self {
        Self { input, trace: Trace::STDIN, twin: Twin::Permitted, ..Self::file(name, &[], arguments) }
    }

    /// Code in a variable, beside a signed program.
    pub const fn variable(
        name: &'static str,
        files: &'static [File],
        arguments: &'static [&'static str],
        environment: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { environment, trace: Trace::INLINE, twin: Twin::Permitted, ..Self::file(name, files, arguments) }
    }

    pub const fn with_environment(self, environment: &'static [(&'static str, &'static str)]) -> Self {
        Self { environment, ..self }
    }

    pub const fn with_files(self, files: &'static [File]) -> Self {
        Self { files, ..self }
    }

    pub const fn with_input(self, input: Input) -> Self {
        Self { input, ..self }
    }

    pub const fn with_held(self, held: Input) -> Self {
        Self { held, ..self }
    }

    pub const fn started_as(self, start: Start) -> Self {
        Self { start, ..self }
    }

    /// By an entitled program, so that it is the file that is judged and nothing else.
    pub const fn by_entitled(self) -> Self {
        Self { caller: Caller::Entitled, ..self }
    }

    pub const fn after(self, preparation: &'static [&'static str]) -> Self {
        Self { preparation, ..self }
    }

    pub const fn traced(self, trace: Trace) -> Self {
        Self { trace, ..self }
    }

    pub const fn without_twin(self) -> Self {
        Self { twin: Twin::None, ..self }
    }
}

pub const fn code(path: &'static str) -> File {
    code_of(path, "{code}")
}

pub const fn code_of(path: &'static str, text: &'static str) -> File {
    File { path, text, role: Role::Code }
}

pub const fn frame(path: &'static str, text: &'static str) -> File {
    File { path, text, role: Role::Frame }
}

pub const fn data(path: &'static str, text: &'static str) -> File {
    File { path, text, role: Role::Data }
}

pub const fn link(path: &'static str, target: &'static str) -> File {
    File { path, text: target, role: Role::Link }
}

/// An archive of one file of code.
pub const fn archive(path: &'static str, member: &'static str) -> File {
    File { path, text: "{code}", role: Role::Member(member) }
}
