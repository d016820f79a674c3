//! The shells.

use super::interpreter::{File, Form, Input, Interpreter, Trace, code, frame};

pub const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        name: "bash",
        program: "/usr/bin/bash",
        forms: &[
            Form::inline("inline", &["-c", "{say}"]),
            Form::inline("inline_among_letters", &["-ec", "{say}"]),
            Form::inline("inline_after_a_long_option", &["--norc", "-c", "{say}"]),
            Form::inline("inline_after_an_options_argument", &["-O", "extglob", "-c", "{say}"]),
            Form::inline("inline_after_options_with_plus", &["+e", "-c", "{say}"]),
            Form::stdin("stdin_by_letter", &["-s", "word"], Input::Pipe("{code}")),
            Form::file("bashrc", &[QUIET, code(".bashrc")], &["-i", "main.sh"]),
            Form::file("init_file", &[QUIET, code("start.sh")], &["--init-file", "start.sh", "-i", "main.sh"]),
            Form::file("rcfile_without_suffix", &[QUIET, code("start")], &["--rcfile", "start", "-i", "main.sh"]),
            Form::file("bash_profile", &[QUIET, code(".bash_profile")], &["-l", "main.sh"]),
            Form::file("bash_login", &[QUIET, code(".bash_login")], &["--login", "main.sh"]),
            Form::file("profile", &[QUIET, code(".profile")], &["-l", "main.sh"]),
            Form::file("profile_of_the_system", &[QUIET, code("/etc/profile.d/attack.sh")], &["-l", "main.sh"]),
            Form::file("bash_logout", &[frame("main.sh", "exit"), code(".bash_logout")], &["-l", "main.sh"]),
            Form::file("bash_env", &[QUIET, code("start.sh")], &["main.sh"]).with_environment(&[("BASH_ENV", "{dir}/start.sh")]),
            Form::file("bash_env_without_suffix", &[QUIET, code("start")], &["main.sh"]).with_environment(&[("BASH_ENV", "{dir}/start")]),
            Form::file("bash_env_by_variable", &[QUIET, code("start")], &["main.sh"]).with_environment(&[("BASH_ENV", "$HOME/start")]),
            Form::file("completion", &[frame("main.sh", ". bash-completion/part"), code("bash-completion/part")], &["main.sh"]),
            Form::variable("exported_function", &[frame("main.sh", "part")], &["main.sh"], &[("BASH_FUNC_part%%", "() { {say}\n}")]),
        ],
        ..SHELL
    },
    Interpreter {
        name: "dash",
        program: "/usr/bin/dash",
        forms: &[
            Form::inline("inline", &["-c", "{say}"]),
            Form::inline("inline_among_letters", &["-ec", "{say}"]),
            Form::inline("inline_after_an_options_argument", &["-o", "noglob", "-c", "{say}"]),
            Form::stdin("stdin_by_letter", &["-s", "word"], Input::Pipe("{code}")),
            Form::file("profile", &[QUIET, code(".profile")], &["-l", "main.sh"]),
            Form::file("profile_of_the_system", &[QUIET, code("/etc/profile.d/attack.sh")], &["-l", "main.sh"]),
            Form::file("functions_of_init_scripts", &[frame("main.sh", ". ./lsb/part"), code("lsb/part")], &["main.sh"]),
            Form::file("env", &[QUIET, code("start.sh")], &["-i", "main.sh"]).with_environment(&[("ENV", "{dir}/start.sh")]),
            Form::file("env_without_suffix", &[QUIET, code("start")], &["-i", "main.sh"]).with_environment(&[("ENV", "{dir}/start")]),
        ],
        ..SHELL
    },
    Interpreter {
        name: "zsh",
        program: "/usr/bin/zsh",
        suffix: ".zsh",
        // Without its line editor, which would put the terminal into a mode of its own and wait there.
        stdin: &["+Z"],
        includes: (". ./part.zsh", "part.zsh"),
        forms: &[
            Form::inline("inline", &["-c", "{say}"]),
            Form::inline("inline_among_letters", &["-fc", "{say}"]),
            Form::inline("inline_after_an_options_argument", &["-o", "extendedglob", "-c", "{say}"]),
            Form::stdin("stdin_by_letter", &["-s", "word"], Input::Pipe("{code}")),
            Form::file("zshenv", &[QUIET_ZSH, code(".zshenv")], &["main.zsh"]),
            Form::file("zshenv_by_zdotdir", &[QUIET_ZSH, code("dots/.zshenv")], &["main.zsh"]).with_environment(&[("ZDOTDIR", "{dir}/dots")]),
            Form::file("zshrc", &[QUIET_ZSH, code(".zshrc")], &["-i", "main.zsh"]),
            Form::file("zprofile", &[QUIET_ZSH, code(".zprofile")], &["-l", "main.zsh"]),
            Form::file("zlogin", &[QUIET_ZSH, code(".zlogin")], &["-l", "main.zsh"]),
            Form::file("zlogout", &[frame("main.zsh", "exit"), code(".zlogout")], &["-li", "main.zsh"]),
            // A function's file has any name, so that it is the variable which leads to it that is judged.
            Form::variable(
                "autoloaded_function",
                &[frame("main.zsh", "autoload -U part && part"), code("part")],
                &["main.zsh"],
                &[("FPATH", "{dir}")],
            ),
            Form::file(
                "autoloaded_function_of_the_system",
                &[frame("main.zsh", "fpath=($HOME/site-functions); autoload -U part && part"), code("site-functions/part")],
                &["main.zsh"],
            ),
            Form::file("autoloaded_function_of_a_compiled_file", &[frame("main.zsh", "autoload -U part && part")], &["main.zsh"])
                .after(&["-c", "part() { {say} }; zcompile -c part part"])
                .with_environment(&[("FPATH", "{dir}/part.zwc")])
                .traced(Trace::VARIABLE)
                .without_twin(),
        ],
        ..SHELL
    },
];

const SHELL: Interpreter = Interpreter {
    name: "sh",
    program: "/bin/sh",
    suffix: ".sh",
    say: "echo WORDS",
    code: "{say}\n",
    first_line: ("", ""),
    run: &[],
    stdin: &[],
    includes: (". ./part.sh", "part.sh"),
    reads: "while read -r line; do echo \"$line\"; done < data.txt\n",
    forms: &[],
    lacks: &[],
};

const QUIET: File = frame("main.sh", ":\n");
const QUIET_ZSH: File = frame("main.zsh", ":\n");
