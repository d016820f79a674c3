//! Lua, AWK, Tcl, Guile, and the stand-in for PowerShell.

use super::interpreter::{File, Form, Input, Interpreter, code, code_of, data, frame};

pub const INTERPRETERS: &[Interpreter] = &[LUA, AWK, TCL, GUILE, PWSH];

const LUA: Interpreter = Interpreter {
    name: "lua",
    program: "/usr/bin/lua5.4",
    suffix: ".lua",
    say: "print('WORDS')",
    code: "{say}\n",
    first_line: ("", ""),
    run: &[],
    stdin: &["-"],
    includes: ("dofile('part.lua')\n", "part.lua"),
    reads: "for line in io.lines('data.txt') do print(line) end\n",
    forms: &[
        Form::inline("inline", &["-e", "{say}"]),
        Form::inline("inline_in_the_same_word", &["-e{say}"]),
        Form::inline("inline_after_an_options_argument", &["-l", "string", "-e", "{say}"]),
        Form::stdin("stdin_without_arguments", &[], Input::Pipe("{code}")),
        Form::file("required_file", &[frame("main.lua", "require('part')\n"), code("part.lua")], &["main.lua"]),
        Form::file("required_by_option", &[QUIET_LUA, code("part.lua")], &["-l", "part", "main.lua"]),
        Form::file("required_by_path", &[frame("main.lua", "require('part')\n"), code("parts/part.lua")], &["main.lua"])
            .with_environment(&[("LUA_PATH", "{dir}/parts/?.lua")])
            .by_entitled(),
        Form::file("init", &[QUIET_LUA, code("start.lua")], &["main.lua"]).with_environment(&[("LUA_INIT", "@{dir}/start.lua")]).by_entitled(),
        Form::file("init_without_suffix", &[QUIET_LUA, code("start")], &["main.lua"]).with_environment(&[("LUA_INIT", "@{dir}/start")]).by_entitled(),
        Form::variable("init_with_text", &[QUIET_LUA], &["main.lua"], &[("LUA_INIT", "{say}")]),
        Form::variable("init_of_the_version_with_text", &[QUIET_LUA], &["main.lua"], &[("LUA_INIT_5_4", "{say}")]),
    ],
    lacks: &[],
};

const QUIET_LUA: File = frame("main.lua", "return\n");

const AWK: Interpreter = Interpreter {
    name: "awk",
    program: "/usr/bin/gawk",
    suffix: ".awk",
    say: "BEGIN { print \"WORDS\" }",
    code: "{say}\n",
    first_line: (" -f", ""),
    run: &["-f"],
    stdin: &["-f", "-"],
    includes: ("@include \"part.awk\"\n", "part.awk"),
    reads: "BEGIN { getline < \"data.txt\"; print }\n",
    forms: &[
        Form::inline("inline", &["{say}"]),
        Form::inline("inline_after_a_variable", &["-v", "name=value", "{say}"]),
        Form::inline("inline_after_two_dashes", &["--", "{say}"]),
        Form::inline("inline_by_option", &["-e", "{say}"]),
        Form::inline("inline_by_a_long_option", &["--source={say}"]),
        Form::inline("inline_beside_a_program", &["-f", "main.awk", "-e", "{say}"]).with_files(&[QUIET_AWK]),
        Form::stdin("descriptor_of_a_file", DESCRIPTOR, Input::Nothing)
            .with_held(Input::File("attack.awk"))
            .with_files(&[data("attack.awk", "{code}")]),
        Form::stdin("descriptor_of_a_pipe", DESCRIPTOR, Input::Nothing).with_held(Input::Pipe("{code}")),
        Form::file("argument_by_a_long_option", &[code("attack.awk")], &["--file=attack.awk"]),
        Form::file("argument_in_the_same_word", &[code("attack")], &["-fattack"]),
        Form::file("second_program", &[QUIET_AWK, code("part.awk")], &["-f", "main.awk", "-f", "part.awk"]),
        Form::file("executed_program", &[code("attack.awk")], &["-E", "attack.awk"]),
        Form::file("included_by_option", &[QUIET_AWK, code("part.awk")], &["-i", "part.awk", "-f", "main.awk"]),
        Form::file("included_by_awkpath", &[QUIET_AWK, code("parts/part.awk")], &["-i", "part", "-f", "main.awk"])
            .with_environment(&[("AWKPATH", "{dir}/parts:{dir}")]),
        Form::file("program_by_awkpath", &[code("parts/attack")], &["-f", "attack"]).with_environment(&[("AWKPATH", "{dir}/parts")]),
    ],
    lacks: &[("dev_fd", TAKEN), ("pipe_as_argument", TAKEN)],
};

const TAKEN: &str = "awk does not open what goes by this name: it goes on with the descriptor, as with standard input";
const DESCRIPTOR: &[&str] = &["-f", "/dev/fd/{fd}"];

const QUIET_AWK: File = frame("main.awk", "BEGIN { }\n");

const TCL: Interpreter = Interpreter {
    name: "tcl",
    program: "/usr/bin/tclsh",
    suffix: ".tcl",
    say: "puts {WORDS}",
    code: "{say}\n",
    first_line: ("", ""),
    run: &[],
    stdin: &[],
    includes: ("source part.tcl\n", "part.tcl"),
    reads: "puts [read [open data.txt]]\n",
    forms: &[
        Form::file("argument_with_an_encoding", &[code("attack")], &["-encoding", "utf-8", "attack"]),
        Form::file("package", &[frame("main.tcl", "package require Part\n"), PACKAGE], &["main.tcl"])
            .with_environment(&[("TCLLIBPATH", "{dir}/parts")]),
        Form::file("module", &[frame("main.tcl", "package require part\n"), MODULE], &["main.tcl"])
            .with_environment(&[("TCL8_6_TM_PATH", "{dir}/parts")]),
        Form::file("autoload_index", &[frame("main.tcl", "part\n"), INDEX], &["main.tcl"]).with_environment(&[("TCLLIBPATH", "{dir}/parts")]),
        Form::file("folder", &[frame("main.tcl", "source tzdata/part\n"), code("tzdata/part")], &["main.tcl"]),
        Form::file("library", &[frame("main.tcl", "set quiet 1\n"), code("library/init.tcl")], &["main.tcl"])
            .with_environment(&[("TCL_LIBRARY", "{dir}/library")]),
        Form::file("tclshrc", &[code(".tclshrc")], &[]).with_input(Input::Terminal("\x04")).by_entitled(),
    ],
    lacks: &[],
};

const PACKAGE: File = code_of("parts/pkgIndex.tcl", "{say}\npackage ifneeded Part 1 {package provide Part 1}\n");
const INDEX: File = code_of("parts/tclIndex", "# Tcl autoload index file, version 2.0\n{say}\nset auto_index(part) {proc part {} {}}\n");
const MODULE: File = code_of("parts/part-1.0.tm", "{say}\npackage provide part 1.0\n");

const GUILE: Interpreter = Interpreter {
    name: "guile",
    program: "/usr/bin/guile",
    suffix: ".scm",
    say: "(display \"WORDS\")",
    code: "{say}\n",
    first_line: (" -s", "!#"),
    run: &[],
    stdin: &[],
    includes: ("(load \"part.scm\")\n", "part.scm"),
    reads: "(use-modules (ice-9 rdelim))\n(display (call-with-input-file \"data.txt\" read-string))\n",
    forms: &[
        Form::inline("inline", &["-c", "{say}"]),
        Form::inline("inline_after_an_options_argument", &["-L", ".", "-c", "{say}"]),
        Form::file("argument_by_option", &[code("attack")], &["-s", "attack"]),
        Form::file("loaded_by_option", &[QUIET_GUILE, code("part.scm")], &["-l", "part.scm", "main.scm"]),
        Form::file("module", &[USER_GUILE, MODULE_GUILE], &["-L", "{dir}", "main.scm"]),
        Form::file("module_by_load_path", &[USER_GUILE, MODULE_GUILE], &["main.scm"]).with_environment(&[("GUILE_LOAD_PATH", "{dir}")]).by_entitled(),
        Form::file("module_by_option", &[QUIET_GUILE, MODULE_GUILE], &["-L", "{dir}", "--use-srfi=1", "-e", "(part)", "main.scm"]).by_entitled(),
        Form::file("compiled_module", &[USER_GUILE, data("notes.txt", "(define-module (part))\n{say}\n")], &["main.scm"])
            .after(&["-c", COMPILE_GUILE])
            .with_environment(&[("GUILE_LOAD_COMPILED_PATH", "{dir}")])
            .without_twin(),
        Form::file("dot_guile", &[code(".guile")], &[]).with_input(Input::Pipe("")).by_entitled(),
    ],
    lacks: &[],
};

const QUIET_GUILE: File = frame("main.scm", "#t\n");
const USER_GUILE: File = frame("main.scm", "(use-modules (part))\n");
const MODULE_GUILE: File = code_of("part.scm", "(define-module (part) #:export (main))\n(define (main . arguments) #t)\n{say}\n");

const COMPILE_GUILE: &str = "(use-modules (system base compile)) (compile-file \"notes.txt\" #:output-file \"part.go\")";

/// Not PowerShell, which Debian does not package, but a program that opens the same files (`tests/fixtures/pwsh.c`).
const PWSH: Interpreter = Interpreter {
    name: "pwsh",
    program: super::PWSH,
    suffix: ".ps1",
    say: "Write-Output \"WORDS\"",
    code: "{say}\n",
    first_line: (" -File", ""),
    run: &["-File"],
    stdin: &[],
    includes: (". ./part.ps1\n", "part.ps1"),
    reads: "Get-Content data.txt\n",
    forms: &[
        Form::inline("inline", &["-Command", "{say}"]),
        Form::inline("inline_by_letter", &["-c", "{say}"]),
        Form::inline("inline_after_an_option", &["-NoProfile", "-Command", "{say}"]),
        Form::inline("stdin_by_dash", &["-Command", "-"]).with_input(Input::Pipe("{code}")),
        Form::file("argument_without_option", &[code("attack.ps1")], &["attack.ps1"]),
        Form::file("module", &[frame("main.ps1", "Import-Module ./part.psm1\n"), code("part.psm1")], &["-File", "main.ps1"]),
        Form::file("profile", &[QUIET_PWSH, code(".config/powershell/profile.ps1")], &["-File", "main.ps1"]),
        Form::file("profile_of_the_host", &[QUIET_PWSH, HOST_PROFILE], &["-File", "main.ps1"]),
    ],
    lacks: &[],
};

const QUIET_PWSH: File = frame("main.ps1", "#\n");
const HOST_PROFILE: File = code(".config/powershell/Microsoft.PowerShell_profile.ps1");
