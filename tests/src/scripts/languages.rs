//! Python, Perl, Ruby, Node.js and PHP.

use super::interpreter::{File, Form, Input, Interpreter, archive, code, code_of, data, frame};

pub const INTERPRETERS: &[Interpreter] = &[PYTHON, PERL, RUBY, NODE, PHP];

const PYTHON: Interpreter = Interpreter {
    name: "python",
    program: "/usr/bin/python3",
    suffix: ".py",
    say: "print('WORDS')",
    code: "{say}\n",
    first_line: ("", ""),
    run: &[],
    stdin: &[],
    includes: ("import part\n", "part.py"),
    reads: "print(open('data.txt').read())\n",
    forms: &[
        Form::inline("inline", &["-c", "{say}"]),
        Form::inline("inline_among_letters", &["-Ic", "{say}"]),
        Form::inline("inline_in_the_same_word", &["-c{say}"]),
        Form::inline("inline_after_an_options_argument", &["-W", "ignore", "-c", "{say}"]),
        Form::stdin("stdin_by_dash", &["-", "word"], Input::Pipe("{code}")),
        Form::file("module", &[code("part.py")], &["-m", "part"]).by_entitled(),
        Form::file("package", &[code("part/__init__.py"), frame("main.py", "import part\n")], &["main.py"]),
        Form::file("folder", &[code("attack/__main__.py")], &["attack"]),
        Form::file("archive", &[archive("attack.zip", "__main__.py")], &["attack.zip"]),
        Form::file("imported_archive", &[archive("part.zip", "part.py"), frame("main.py", "import part\n")], &["main.py"])
            .with_environment(&[("PYTHONPATH", "{dir}/part.zip")]),
        Form::file("imported_by_pythonpath", &[frame("main.py", "import part\n"), code("parts/part.py")], &["main.py"])
            .with_environment(&[("PYTHONPATH", "{dir}/parts")]),
        Form::file("compiled_file_in_the_cache", &[frame("main.py", "import part\n"), frame("part.py", "{say}\n")], &["main.py"]).after(&[
            "-c",
            "import os, sys, importlib._bootstrap_external as b; cache = b.cache_from_source('part.py'); os.mkdir(os.path.dirname(cache)); \
             open(cache, 'wb').write(b._code_to_hash_pyc(compile(\"{say}\", 'part.py', 'exec'), bytes(8), False))",
        ]),
        Form::file("sitecustomize", &[QUIET_PYTHON, code("parts/sitecustomize.py")], &["main.py"]).with_environment(&[("PYTHONPATH", "{dir}/parts")]),
        Form::file("usercustomize", &[QUIET_PYTHON, code(".local/lib/{version}/site-packages/usercustomize.py")], &["main.py"]),
        Form::file("usercustomize_by_userbase", &[QUIET_PYTHON, code("base/lib/{version}/site-packages/usercustomize.py")], &["main.py"])
            .with_environment(&[("PYTHONUSERBASE", "{dir}/base")]),
        Form::file("path_file", &[QUIET_PYTHON, code_of(".local/lib/{version}/site-packages/attack.pth", "import sys; {say}\n")], &["main.py"]),
        Form::file(
            "path_file_of_the_system",
            &[QUIET_PYTHON, code_of("/usr/lib/python3/dist-packages/attack.pth", "import sys; {say}\n")],
            &["main.py"],
        ),
        Form::file("startup", &[code("start.py")], &["-i"]).with_environment(&[("PYTHONSTARTUP", "{dir}/start.py")]).by_entitled(),
        Form::file("startup_without_suffix", &[code("start")], &["-i"]).with_environment(&[("PYTHONSTARTUP", "{dir}/start")]).by_entitled(),
    ],
    lacks: &[],
};

const QUIET_PYTHON: File = frame("main.py", "pass\n");

const PERL: Interpreter = Interpreter {
    name: "perl",
    program: "/usr/bin/perl",
    suffix: ".pl",
    say: "print qq(WORDS\\n); 1;",
    code: "{say}\n",
    first_line: ("", ""),
    run: &[],
    stdin: &[],
    includes: ("require './part.pl';\n", "part.pl"),
    reads: "open(my $data, '<', 'data.txt'); print <$data>;\n",
    forms: &[
        Form::inline("inline", &["-e", "{say}"]),
        Form::inline("inline_with_features", &["-E", "{say}"]),
        Form::inline("inline_among_letters", &["-lwe", "{say}"]),
        Form::inline("inline_in_the_same_word", &["-e{say}"]),
        Form::inline("inline_in_an_option_for_a_module", &["-MPOSIX;{say}", "main.pl"]).with_files(&[QUIET_PERL]),
        Form::stdin("stdin_by_dash", &["-", "word"], Input::Pipe("{code}")),
        Form::stdin("descriptor_of_a_file", DESCRIPTOR, Input::Nothing)
            .with_held(Input::File("attack.pl"))
            .with_files(&[data("attack.pl", "{code}")]),
        Form::stdin("descriptor_of_a_pipe", DESCRIPTOR, Input::Nothing).with_held(Input::Pipe("{code}")),
        Form::file("done_file", &[frame("main.pl", "do './part.pl';\n"), code("part.pl")], &["main.pl"]),
        Form::file("module", &[frame("main.pl", "use Part;\n"), code("Part.pm")], &["-I.", "main.pl"]),
        Form::file("module_by_option", &[QUIET_PERL, code("Part.pm")], &["-I.", "-MPart", "main.pl"]),
        Form::file("module_by_perl5lib", &[frame("main.pl", "use Part;\n"), code("parts/Part.pm")], &["main.pl"])
            .with_environment(&[("PERL5LIB", "{dir}/parts")]),
        Form::file("module_by_perllib", &[frame("main.pl", "use Part;\n"), code("parts/Part.pm")], &["main.pl"])
            .with_environment(&[("PERLLIB", "{dir}/parts")]),
        Form::file("module_of_the_system", &[frame("main.pl", "use Part;\n"), code("/etc/perl/Part.pm")], &["main.pl"]),
        Form::file("perl5opt", &[QUIET_PERL, code("Part.pm")], &["main.pl"])
            .with_environment(&[("PERL5OPT", "-MPart"), ("PERL5LIB", "{dir}")])
            .by_entitled(),
        Form::variable("perl5opt_with_text", &[QUIET_PERL], &["main.pl"], &[("PERL5OPT", "-Mlib;print('unsigned'.chr(32).'code'.chr(32).'ran')")]),
        Form::variable("perl5db", &[QUIET_PERL], &["-d", "main.pl"], &[("PERL5DB", "BEGIN { {say} }")]),
    ],
    lacks: &[("dev_fd", TAKEN), ("pipe_as_argument", TAKEN)],
};

const TAKEN: &str = "Perl does not open what goes by this name: it goes on with the descriptor, as with standard input";
const DESCRIPTOR: &[&str] = &["/dev/fd/{fd}"];

const QUIET_PERL: File = frame("main.pl", "1;\n");

const RUBY: Interpreter = Interpreter {
    name: "ruby",
    program: "/usr/bin/ruby",
    suffix: ".rb",
    say: "puts 'WORDS'",
    code: "{say}\n",
    first_line: ("", ""),
    run: &[],
    stdin: &[],
    includes: ("require_relative 'part'\n", "part.rb"),
    reads: "puts File.read('data.txt')\n",
    forms: &[
        Form::inline("inline", &["-e", "{say}"]),
        Form::inline("inline_among_letters", &["-we", "{say}"]),
        Form::inline("inline_after_an_options_argument", &["-C", "{dir}", "-e", "{say}"]),
        Form::stdin("stdin_by_dash", &["-", "word"], Input::Pipe("{code}")),
        Form::file("loaded_file", &[frame("main.rb", "load './part.rb'\n"), code("part.rb")], &["main.rb"]),
        Form::file("required_by_option", &[QUIET_RUBY, code("part.rb")], &["-r./part", "main.rb"]),
        Form::file("required_by_rubylib", &[frame("main.rb", "require 'part'\n"), code("parts/part.rb")], &["main.rb"])
            .with_environment(&[("RUBYLIB", "{dir}/parts")]),
        Form::file("rubyopt", &[QUIET_RUBY, code("part.rb")], &["main.rb"]).with_environment(&[("RUBYOPT", "-r{dir}/part")]).by_entitled(),
        Form::file("rubyopt_and_rubylib", &[QUIET_RUBY, code("parts/part.rb")], &["main.rb"])
            .with_environment(&[("RUBYOPT", "-rpart"), ("RUBYLIB", "{dir}/parts")])
            .by_entitled(),
        Form::file("irbrc", &[code(".irbrc")], &["-S", "irb"]).with_input(Input::Pipe("")).by_entitled(),
    ],
    lacks: &[],
};

const QUIET_RUBY: File = frame("main.rb", "1\n");

const NODE: Interpreter = Interpreter {
    name: "node",
    program: "/usr/bin/node",
    suffix: ".js",
    say: "console.log('WORDS')",
    code: "{say};\n",
    first_line: ("", ""),
    run: &[],
    stdin: &[],
    includes: ("require('./part.js');\n", "part.js"),
    reads: "console.log(require('fs').readFileSync('data.txt', 'utf8'));\n",
    forms: &[
        Form::inline("inline", &["-e", "{say}"]),
        Form::inline("inline_printed", &["-p", "{say}"]),
        Form::inline("inline_among_letters", &["-pe", "{say}"]),
        Form::inline("inline_by_a_long_option", &["--eval={say}"]),
        Form::inline("inline_after_an_options_argument", &["-r", "fs", "-e", "{say}"]),
        Form::stdin("stdin_by_dash", &["-", "word"], Input::Pipe("{code}")),
        Form::file("module_without_suffix", &[frame("main.js", "require('./part');\n"), code("part.js")], &["main.js"]),
        Form::file("common_module", &[frame("main.js", "require('./part.cjs');\n"), code("part.cjs")], &["main.js"]),
        Form::file("standard_module", &[frame("main.mjs", "import './part.mjs';\n"), code("part.mjs")], &["main.mjs"]),
        Form::file("standard_module_as_argument", &[code("attack.mjs")], &["attack.mjs"]),
        Form::file("required_by_option", &[QUIET_NODE, code("part.js")], &["-r", "./part.js", "main.js"]),
        Form::file("required_by_option_without_suffix", &[QUIET_NODE, code("part")], &["--require", "./part", "main.js"]),
        // Its argument may be a URL with the text in it, so that it is text whatever it says.
        Form::file("imported_by_option", &[QUIET_NODE, code("part.mjs")], &["--import", "./part.mjs", "main.js"]).by_entitled(),
        Form::file("node_path", &[frame("main.js", "require('part');\n"), code("parts/part.js")], &["main.js"])
            .with_environment(&[("NODE_PATH", "{dir}/parts")]),
        Form::file("node_options", &[QUIET_NODE, code("part.js")], &["main.js"])
            .with_environment(&[("NODE_OPTIONS", "--require={dir}/part.js")])
            .by_entitled(),
        Form::variable(
            "node_options_with_text",
            &[QUIET_NODE],
            &["main.js"],
            &[("NODE_OPTIONS", "--import=data:text/javascript,console.log('unsigned%20code%20ran')")],
        ),
    ],
    lacks: &[("pipe_as_argument", RESOLVED), ("stdin_by_name", RESOLVED)],
};

const RESOLVED: &str = "Node.js resolves the link to the pipe, which leads nowhere";
const QUIET_NODE: File = frame("main.js", "0;\n");

const PHP: Interpreter = Interpreter {
    name: "php",
    program: "/usr/bin/php",
    suffix: ".php",
    say: "echo 'WORDS';",
    code: "<?php {say}\n",
    first_line: ("", ""),
    run: &[],
    stdin: &[],
    includes: ("<?php include './part.php';\n", "part.php"),
    reads: "<?php echo file_get_contents('data.txt');\n",
    forms: &[
        Form::inline("inline", &["-r", "{say}"]),
        Form::inline("inline_among_letters", &["-nr", "{say}"]),
        Form::inline("inline_in_the_same_word", &["-r{say}"]),
        Form::inline("inline_before_lines", &["-B", "{say}"]).with_input(Input::Pipe("")),
        Form::inline("inline_for_each_line", &["-R", "{say}"]).with_input(Input::Pipe("line\n")),
        Form::inline("inline_after_lines", &["-E", "{say}"]).with_input(Input::Pipe("")),
        Form::inline("inline_after_an_options_argument", &["-d", "display_errors=1", "-r", "{say}"]),
        Form::file("argument_by_option", &[code("attack.php")], &["-f", "attack.php"]),
        Form::file("required_file", &[frame("main.php", "<?php require_once 'part.php';\n"), code("part.php")], &["main.php"]),
        Form::file("program_for_each_line", &[code("attack.php")], &["-F", "attack.php"]).with_input(Input::Pipe("line\n")),
        Form::file("prepended_by_option", &[QUIET_PHP, code("part.php")], &["-d", "auto_prepend_file={dir}/part.php", "main.php"]).by_entitled(),
        Form::file("appended_by_option", &[QUIET_PHP, code("part.php")], &["-d", "auto_append_file={dir}/part.php", "main.php"]).by_entitled(),
        Form::variable("prepended_text_by_option", &[QUIET_PHP], &["-d", "allow_url_include=1", "-d", PREPENDED_TEXT, "main.php"], &[]),
        Form::file("prepended_by_settings_folder", &[QUIET_PHP, code("part.php"), SETTINGS], &["main.php"])
            .with_environment(&[("PHP_INI_SCAN_DIR", "{dir}/settings")])
            .by_entitled(),
        // Settings lead to files of any name, so that it is the variable which leads to the settings that is judged.
        Form::variable(
            "file_without_suffix_prepended_by_settings_folder",
            &[QUIET_PHP, code("part"), SETTINGS_WITHOUT_SUFFIX],
            &["main.php"],
            &[("PHP_INI_SCAN_DIR", "{dir}/settings")],
        ),
        Form::file("prepended_by_settings_file", &[QUIET_PHP, code("part.php"), SETTINGS], &["-c", "settings/attack.ini", "main.php"]).by_entitled(),
    ],
    lacks: &[],
};

const QUIET_PHP: File = frame("main.php", "<?php\n");
/// Settings say whose they are, so that those of the attack are not what is signed for its twin.
const SETTINGS: File = code_of("settings/attack.ini", "; WORDS\nauto_prepend_file={dir}/part.php\n");
const SETTINGS_WITHOUT_SUFFIX: File = code_of("settings/attack.ini", "; WORDS\nauto_prepend_file={dir}/part\n");
/// The statement as `data:` has it: `<?php echo 'WORDS';`, with what such an address cannot hold written out.
const PREPENDED_TEXT: &str = "auto_prepend_file=\"data:text/plain,%3C?php {say}\"";
