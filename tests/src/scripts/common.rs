//! The forms that every interpreter has in common.

use super::interpreter::{Form, Input, Start, Trace, code, code_of, data, frame, link};

/// Attacks, each with its twin.
pub const FORMS: &[Form] = &[
    Form::file("first_line", &[code_of("attack{suffix}", "#!{program}{flags}\n{code}")], &[]).started_as(Start::Script).traced(Trace::STARTED),
    Form::file("first_line_by_env", &[code_of("attack{suffix}", "#!/usr/bin/env -S {program}{flags}\n{code}")], &[])
        .started_as(Start::Script)
        .traced(Trace::STARTED),
    Form::file("argument", &[code("attack{suffix}")], &["{run}", "attack{suffix}"]),
    Form::file("argument_by_full_path", &[code("attack{suffix}")], &["{run}", "{dir}/attack{suffix}"]),
    Form::file("argument_without_suffix", &[code("attack")], &["{run}", "attack"]),
    Form::file("argument_with_another_suffix", &[code("attack.txt")], &["{run}", "attack.txt"]),
    Form::file("argument_by_symlink", &[code("data.txt"), link("attack{suffix}", "data.txt")], &["{run}", "attack{suffix}"]),
    Form::file("argument_by_harmless_symlink", &[code("attack{suffix}"), link("notes", "attack{suffix}")], &["{run}", "notes"]),
    Form::file("argument_after_rename", &[code("attack{suffix}")], &["{run}", "attack{suffix}"]).started_as(Start::AfterRename),
    Form::file("argument_after_write", &[code("attack{suffix}")], &["{run}", "attack{suffix}"]).started_as(Start::AfterWrite),
    Form::file("proc_self_fd", &[code("attack{suffix}")], &["{run}", "/proc/self/fd/{fd}"]).with_held(Input::File("attack{suffix}")),
    Form::file("dev_fd", &[code("attack{suffix}")], &["{run}", "/dev/fd/{fd}"]).with_held(Input::File("attack{suffix}")),
    Form::stdin("pipe_as_argument", &["{run}", "/dev/fd/{fd}"], Input::Nothing).with_held(Input::Pipe("{code}")).traced(Trace::PIPE),
    Form::stdin("stdin_by_name", &["{run}", "/dev/stdin"], Input::Pipe("{code}")).traced(Trace::PIPE),
    Form::stdin("stdin_pipe", &["{stdin}"], Input::Pipe("{code}")),
    Form::stdin("stdin_file", &["{stdin}"], Input::File("attack{suffix}")).with_files(&[data("attack{suffix}", "{code}")]),
    Form::stdin("terminal", &["{stdin}"], Input::Terminal("{code}\n\x04")).traced(Trace::TYPED),
    Form::file("included_file", &[frame("main{suffix}", "{includes}"), code("{part}")], &["{run}", "main{suffix}"]),
    Form::file(
        "included_file_by_symlink",
        &[frame("main{suffix}", "{includes}"), code("data.txt"), link("{part}", "data.txt")],
        &["{run}", "main{suffix}"],
    ),
    Form::file("loader", &[code("attack{suffix}")], &["{run}", "attack{suffix}"]).started_as(Start::Loader).traced(Trace::FOREIGN).without_twin(),
    Form::file("copied_interpreter", &[code("attack{suffix}")], &["{run}", "attack{suffix}"]).started_as(Start::Copy),
    Form::file("hard_linked_interpreter", &[code("attack{suffix}")], &["{run}", "attack{suffix}"]).started_as(Start::HardLink),
    Form::file("interpreter_in_a_home", &[code("attack{suffix}")], &["{run}", "attack{suffix}"]).started_as(Start::Home),
];

/// What a signed program may always do: read data, which it does not run.
pub const READS_DATA: Form = Form::file("data", &[frame("main{suffix}", "{reads}"), data("data.txt", "data was read\n")], &["{run}", "main{suffix}"]);
