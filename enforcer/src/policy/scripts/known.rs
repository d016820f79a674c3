//! The table of interpreters that are known without the policy's saying.

use enforcer_common::{
    ARGUMENTS_IN_NEXT_WORD, DASHES_END_ALL, FIRST_WORD_IS_TEXT, FOLDS_UNDERSCORES, IGNORES_CASE, KNOWS_DESCRIPTORS, LONG_AFTER_ONE_DASH,
    LONG_BEFORE_LETTERS, OPERANDS_ARE_DATA, OPTIONS_UNKNOWN, PLUS_OPTIONS, RESOLVES_LINKS, Response, UNKNOWN_OPTIONS_ARE_TEXT,
};

use super::{GENERIC, Grammar, ScriptName};

/// An interpreter as it is known without the policy's saying.
pub(in crate::policy) struct Known {
    pub(in crate::policy) name: &'static str,
    pub(in crate::policy) programs: &'static [&'static str],
    scripts: &'static [&'static str],
    /// Another response to text than that of `[scripts]`.
    pub(in crate::policy) inline_by_default: Option<Response>,
    /// Only in force where the policy names it.
    pub(in crate::policy) is_optional: bool,
    inline: &'static [&'static str],
    argument: &'static [&'static str],
    attached: &'static [&'static str],
    program: &'static [&'static str],
    script: &'static [&'static str],
    also_stdin: &'static [&'static str],
    harmless: &'static [&'static str],
    operands: &'static [&'static str],
    name_options: &'static [&'static str],
    stdin: &'static [&'static str],
    nothing: &'static [&'static str],
    variables: &'static [&'static str],
    inline_variables: &'static [&'static str],
    flags: u32,
}

impl Known {
    const NONE: Self = Self {
        name: "",
        programs: &[],
        scripts: &[],
        inline_by_default: None,
        is_optional: false,
        inline: &[],
        argument: &[],
        attached: &[],
        program: &[],
        script: &[],
        also_stdin: &[],
        harmless: &[],
        operands: &[],
        name_options: &[],
        stdin: &[],
        nothing: &[],
        variables: &[],
        inline_variables: &[],
        flags: 0,
    };

    /// The names of its scripts.
    pub(in crate::policy) fn script_names(&self) -> impl Iterator<Item = ScriptName> {
        self.scripts.iter().filter_map(|name| ScriptName::parse(name))
    }

    pub(in crate::policy) fn grammar(&self) -> Grammar {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Grammar {
            inline: owned(self.inline),
            argument: owned(self.argument),
            attached: owned(self.attached),
            program: owned(self.program),
            script: owned(self.script),
            module: Vec::new(),
            also_stdin: owned(self.also_stdin),
            harmless: owned(self.harmless),
            operands: owned(self.operands),
            name: owned(self.name_options),
            stdin: owned(self.stdin),
            nothing: owned(self.nothing),
            variables: owned(self.variables),
            inline_variables: owned(self.inline_variables),
            flags: self.flags,
        }
    }
}

/// The interpreters that Debian packages, by their manuals.
pub(in crate::policy) const KNOWN: &[Known] = &[
    Known {
        name: "bash",
        programs: &["/usr/bin/bash", "/usr/bin/rbash", "/usr/bin/bash-static"],
        scripts: &[
            "*.sh",
            "*.bash",
            ".bashrc",
            ".bash_profile",
            ".bash_login",
            ".bash_logout",
            ".bash_aliases",
            ".profile",
            "profile",
            "bash.bashrc",
            "bash.bash_logout",
            "bash_completion",
            "bashdb-main.inc",
            "bash_completion.d/",
            "bash-completion/",
            "debconf/",
            "lsb/",
        ],
        inline: &["-c"],
        argument: &["-o", "-O"],
        script: &["--rcfile", "--init-file"],
        stdin: &["-s"],
        harmless: &["--version", "--help"],
        nothing: &["--debugger", "--login", "--noediting", "--noprofile", "--norc", "--posix", "--restricted", "--verbose"],
        variables: &["BASH_ENV", "ENV"],
        // Functions that it is handed, and a prompt in which it runs what stands in `$(…)`.
        inline_variables: &["BASH_FUNC_*", "PS4"],
        flags: PLUS_OPTIONS | ARGUMENTS_IN_NEXT_WORD | LONG_BEFORE_LETTERS,
        ..Known::NONE
    },
    Known {
        name: "dash",
        programs: &["/usr/bin/dash", "/usr/lib/klibc/bin/sh"],
        scripts: &["*.sh", ".profile", "profile", "debconf/", "lsb/"],
        inline: &["-c"],
        argument: &["-o"],
        stdin: &["-s"],
        variables: &["ENV"],
        inline_variables: &["PS4"],
        flags: PLUS_OPTIONS | ARGUMENTS_IN_NEXT_WORD,
        ..Known::NONE
    },
    Known {
        name: "ksh",
        programs: &[
            "/usr/bin/mksh",
            "/usr/bin/mksh-static",
            "/usr/bin/lksh",
            "/usr/bin/ksh",
            "/usr/bin/ksh93",
            "/usr/bin/ksh2020",
            "/usr/bin/posh",
            "/usr/bin/yash",
        ],
        scripts: &["*.sh", "*.ksh", ".profile", "profile", ".kshrc", ".mkshrc", "mkshrc", ".yashrc", "yashrc", ".yash_profile", "yash_profile"],
        inline: &["-c"],
        argument: &["-o", "-T"],
        script: &["--profile", "--rcfile"],
        stdin: &["-s"],
        variables: &["ENV"],
        inline_variables: &["PS4", "FPATH"],
        flags: PLUS_OPTIONS,
        ..Known::NONE
    },
    Known {
        name: "zsh",
        programs: &["/usr/bin/zsh", "/usr/bin/zsh5", "/usr/bin/zsh-static", "/usr/bin/rzsh"],
        scripts: &[
            "*.sh",
            "*.zsh",
            "*.zwc",
            ".zshenv",
            ".zprofile",
            ".zshrc",
            ".zlogin",
            ".zlogout",
            "zshenv",
            "zprofile",
            "zshrc",
            "zlogin",
            "zlogout",
            "profile",
            "zsh/",
        ],
        // Behind -b there are no options any more.
        inline: &["-c", "-b"],
        argument: &["-o", "--emulate"],
        stdin: &["-s"],
        harmless: &["--version", "--help"],
        variables: &["ENV"],
        // Functions are read from files of any name, in the folders that it lists.
        inline_variables: &["FPATH", "PS4"],
        flags: PLUS_OPTIONS,
        ..Known::NONE
    },
    Known {
        name: "csh",
        programs: &["/usr/bin/bsd-csh", "/usr/bin/tcsh", "/usr/bin/csh"],
        scripts: &["*.csh", ".cshrc", ".tcshrc", ".login", ".logout", "csh.cshrc", "csh.login", "csh.logout"],
        inline: &["-c", "-b"],
        stdin: &["-s"],
        harmless: &["--version", "--help"],
        ..Known::NONE
    },
    Known {
        name: "fish",
        programs: &["/usr/bin/fish"],
        scripts: &["*.fish"],
        inline: &["-c", "-C", "--command", "--init-command"],
        argument: &["-d", "-o", "-D", "-f", "--debug", "--debug-output", "--features", "--profile", "--profile-startup"],
        also_stdin: &["-i", "--interactive"],
        nothing: &["--login", "--no-config", "--no-execute", "--private", "--print-rusage-self"],
        harmless: &["--version", "--help"],
        ..Known::NONE
    },
    Known {
        name: "busybox",
        programs: &["/usr/bin/busybox"],
        scripts: &["*.sh", ".profile", "profile"],
        // Which of its programs it is, among them a shell, is said by its first word.
        flags: FIRST_WORD_IS_TEXT | OPTIONS_UNKNOWN,
        ..Known::NONE
    },
    Known {
        name: "python",
        programs: &["/usr/bin/python2*", "/usr/bin/python3*", "/usr/local/bin/python3*", "/usr/bin/pypy*"],
        scripts: &["*.py", "*.pyc", "*.pyo", "*.pyw", "*.pth", "*._pth", "*.egg", "*.zip", "*.whl", "*.pyz"],
        // Of the standard library's modules, some run the words behind them (`timeit`), a file by any name (`cProfile`), or standard input (`code`).
        inline: &["-c", "-m"],
        argument: &["-W", "-X", "-Q", "--check-hash-based-pycs"],
        also_stdin: &["-i"],
        harmless: &["--help", "--help-all", "--help-env", "--help-xoptions", "--version"],
        variables: &["PYTHONSTARTUP", "PYTHONPATH"],
        inline_variables: &["PYTHONINSPECT"],
        ..Known::NONE
    },
    Known {
        name: "perl",
        programs: &["/usr/bin/perl", "/usr/bin/perl5*"],
        scripts: &["*.pl", "*.pm", "*.pmc", "*.al", "*.ix", "*.bs", "*.ph", "*.plx", "*.t", "*.cgi", "*.PL"],
        // What stands behind -d becomes a statement of the program, and so it does behind -M and -m.
        inline: &["-e", "-E", "-d"],
        name_options: &["-M", "-m"],
        argument: &["-I"],
        attached: &["-i", "-F", "-x", "-D", "-C", "-V"],
        inline_variables: &["PERL5OPT", "PERL5DB"],
        flags: KNOWS_DESCRIPTORS,
        ..Known::NONE
    },
    Known {
        name: "ruby",
        programs: &["/usr/bin/ruby", "/usr/bin/ruby[0-9]*", "/usr/bin/jruby*"],
        scripts: &["*.rb", "*.rbw", "*.ru", "*.rake", "*.gemspec", "Rakefile", "Gemfile", ".irbrc"],
        inline: &["-e"],
        argument: &["-I", "-r", "-C", "-X", "-E", "--encoding", "--external-encoding", "--internal-encoding", "--enable", "--disable", "--dump"],
        attached: &["-i", "-F", "-x"],
        harmless: &["--copyright", "--help", "--version"],
        nothing: &["--debug", "--jit", "--verbose", "--yjit", "--yydebug"],
        ..Known::NONE
    },
    Known {
        name: "node",
        programs: &["/usr/bin/node", "/usr/bin/nodejs", "/usr/local/bin/node"],
        scripts: &["*.js", "*.mjs", "*.cjs", "*.ts", "*.mts", "*.cts", "*.wasm", ".noderc", "package.json"],
        // A module can be a URL with its text, a file of variables can set NODE_OPTIONS, and a debugger evaluates what it is sent.
        inline: &[
            "-e",
            "-p",
            "--eval",
            "--print",
            "--import",
            "--loader",
            "--experimental-loader",
            "--env-file",
            "--env-file-if-exists",
            "--experimental-config-file",
            "--inspect",
            "--inspect-brk",
            "--inspect-port",
            "--inspect-wait",
            "--run",
            "--snapshot-blob",
            "--test-reporter",
        ],
        argument: &["-C", "--conditions", "--input-type", "--title", "--icu-data-dir", "--openssl-config"],
        script: &["-r", "--require", "--build-snapshot"],
        also_stdin: &["-i", "--interactive"],
        harmless: &["--help", "--version", "--v8-options"],
        nothing: &[
            "--check",
            "--enable-source-maps",
            "--expose-gc",
            "--experimental-vm-modules",
            "--force-fips",
            "--no-deprecation",
            "--no-warnings",
            "--pending-deprecation",
            "--preserve-symlinks",
            "--preserve-symlinks-main",
            "--test",
            "--throw-deprecation",
            "--trace-deprecation",
            "--trace-gc",
            "--trace-uncaught",
            "--trace-warnings",
            "--use-openssl-ca",
            "--watch",
            "--zero-fill-buffers",
        ],
        operands: &["inspect", "debug"],
        inline_variables: &["NODE_OPTIONS", "NODE_REPL_EXTERNAL_MODULE"],
        flags: RESOLVES_LINKS | FOLDS_UNDERSCORES,
        ..Known::NONE
    },
    Known {
        name: "php",
        programs: &["/usr/bin/php", "/usr/bin/php[0-9]*", "/usr/bin/php-cgi*", "/usr/bin/phpdbg*", "/usr/sbin/php-fpm*"],
        // Settings can name files, and text, that every program begins with.
        scripts: &["*.php", "*.php5", "*.php7", "*.php8", "*.phtml", "*.phar", "*.phps", "*.inc"],
        inline: &["-r", "-B", "-R", "-E", "-d", "-c", "--run", "--process-begin", "--process-code", "--process-end", "--define", "--php-ini"],
        argument: &["-t", "-S", "-z", "--docroot", "--server", "--zend-extension", "--rf", "--rc", "--re", "--rz", "--ri"],
        program: &["-f", "-F", "--file", "--process-file"],
        also_stdin: &["-a", "--interactive"],
        harmless: &["--info", "--ini", "--modules", "--usage", "--version"],
        nothing: &["--hide-args", "--no-header", "--no-php-ini", "--strip", "--syntax-check", "--syntax-highlight"],
        inline_variables: &["PHP_INI_SCAN_DIR", "PHPRC"],
        flags: DASHES_END_ALL | RESOLVES_LINKS,
        ..Known::NONE
    },
    Known {
        name: "lua",
        programs: &["/usr/bin/lua", "/usr/bin/lua[0-9]*", "/usr/bin/luajit*"],
        scripts: &["*.lua", "*.luac"],
        inline: &["-e"],
        argument: &["-l", "-j"],
        attached: &["-O"],
        also_stdin: &["-i"],
        // Text, or a file behind an `@`; and folders with patterns by which a module's file may have any name.
        inline_variables: &[
            "@LUA_INIT",
            "@LUA_INIT_5_1",
            "@LUA_INIT_5_2",
            "@LUA_INIT_5_3",
            "@LUA_INIT_5_4",
            "LUA_PATH",
            "LUA_PATH_5_1",
            "LUA_PATH_5_2",
            "LUA_PATH_5_3",
            "LUA_PATH_5_4",
        ],
        ..Known::NONE
    },
    Known {
        name: "awk",
        programs: &["/usr/bin/gawk", "/usr/bin/gawkbug", "/usr/bin/mawk", "/usr/bin/original-awk"],
        scripts: &["*.awk"],
        // That is how everybody uses it, maintainer scripts above all.
        inline_by_default: Some(Response::Allow),
        inline: &["-e", "-W", "--source"],
        argument: &["-v", "-F", "-l", "--assign", "--field-separator", "--load"],
        attached: &["-d", "-D", "-o", "-p", "-L"],
        program: &["-f", "-E", "--file", "--exec"],
        script: &["-i", "--include"],
        harmless: &["--copyright", "--help", "--version"],
        nothing: &[
            "--bignum",
            "--characters-as-bytes",
            "--csv",
            "--debug",
            "--dump-variables",
            "--gen-pot",
            "--lint",
            "--lint-old",
            "--no-optimize",
            "--non-decimal-data",
            "--optimize",
            "--posix",
            "--pretty-print",
            "--profile",
            "--re-interval",
            "--sandbox",
            "--traditional",
            "--use-lc-numeric",
        ],
        // Options may be cut short.
        flags: FIRST_WORD_IS_TEXT | KNOWS_DESCRIPTORS | UNKNOWN_OPTIONS_ARE_TEXT,
        ..Known::NONE
    },
    Known {
        name: "tcl",
        programs: &["/usr/bin/tclsh", "/usr/bin/tclsh[0-9]*"],
        scripts: &["*.tcl", "*.tm", "*.msg", ".tclshrc", "tclIndex", "tzdata/"],
        argument: &["-encoding"],
        // A first word with a dash is no file, so that the program comes through standard input.
        flags: LONG_AFTER_ONE_DASH | UNKNOWN_OPTIONS_ARE_TEXT | DASHES_END_ALL,
        ..Known::NONE
    },
    Known {
        name: "wish",
        programs: &["/usr/bin/wish", "/usr/bin/wish[0-9]*"],
        scripts: &["*.tcl", "*.tm", "*.msg", ".wishrc", "tclIndex", "tzdata/"],
        argument: &["-encoding", "-colormap", "-display", "-geometry", "-name", "-use", "-visual"],
        nothing: &["-sync"],
        flags: LONG_AFTER_ONE_DASH | UNKNOWN_OPTIONS_ARE_TEXT | DASHES_END_ALL,
        ..Known::NONE
    },
    Known {
        name: "expect",
        programs: &["/usr/bin/expect", "/usr/bin/expectk"],
        scripts: &["*.exp", "*.expect", "*.tcl", "*.tm", "*.msg", ".expect.rc", "expect.rc", "tclIndex", "tzdata/"],
        inline: &["-c"],
        argument: &["-D"],
        program: &["-f", "-b"],
        also_stdin: &["-i"],
        ..Known::NONE
    },
    Known {
        name: "guile",
        programs: &["/usr/bin/guile", "/usr/bin/guile-[0-9]*", "/usr/lib/*/guile/*/bin/guile"],
        scripts: &["*.scm", "*.sls", "*.sld", "*.guile", "*.go", ".guile"],
        inline: &["-c", "-e", "--listen"],
        argument: &["-L", "-C", "-x", "--language"],
        program: &["-s"],
        script: &["-l"],
        nothing: &["-ds", "--auto-compile", "--debug", "--fresh-auto-compile", "--no-auto-compile", "--no-debug", "--r6rs", "--r7rs"],
        harmless: &["--help", "--version"],
        // Options from the file's second line.
        operands: &["\\"],
        // A module's file may be without an ending.
        inline_variables: &["GUILE_LOAD_PATH"],
        flags: DASHES_END_ALL | LONG_BEFORE_LETTERS,
        ..Known::NONE
    },
    Known {
        name: "pwsh",
        programs: &[
            "/usr/bin/pwsh",
            "/usr/bin/pwsh-preview",
            "/usr/bin/pwsh-lts",
            "/opt/microsoft/powershell/*/pwsh",
            "/snap/powershell/*/opt/powershell/pwsh",
        ],
        scripts: &["*.ps1", "*.psm1", "*.psd1", "*.ps1xml", "*.pssc", "*.psrc", "*.cdxml"],
        argument: &[
            "-executionpolicy",
            "-ex",
            "-ep",
            "-workingdirectory",
            "-wd",
            "-version",
            "-outputformat",
            "-o",
            "-inputformat",
            "-if",
            "-settingsfile",
            "-windowstyle",
            "-w",
        ],
        program: &["-file", "-f"],
        also_stdin: &["-noexit", "-noe"],
        nothing: &["-noprofile", "-nop", "-noninteractive", "-noni", "-nologo", "-nol", "-login", "-l", "-mta", "-sta"],
        harmless: &["-help", "-h"],
        inline_variables: &["DOTNET_STARTUP_HOOKS"],
        flags: LONG_AFTER_ONE_DASH | IGNORES_CASE | UNKNOWN_OPTIONS_ARE_TEXT,
        ..Known::NONE
    },
    Known {
        name: "vim",
        programs: &["/usr/bin/vim.*", "/usr/bin/nvim", "/usr/bin/vim"],
        scripts: &["*.vim", "*.lua", ".vimrc", ".gvimrc", ".exrc", "vimrc", "vimrc.local", "vimrc.tiny", "gvimrc"],
        is_optional: true,
        inline: &["-c", "--cmd"],
        argument: &["-t", "-T", "-i", "-r", "-L", "-w", "-W", "--startuptime"],
        script: &["-u", "-U", "-S", "-s"],
        inline_variables: &["VIMINIT", "EXINIT", "NVIM_APPNAME"],
        flags: OPERANDS_ARE_DATA,
        ..Known::NONE
    },
    Known {
        name: "emacs",
        programs: &["/usr/bin/emacs*"],
        scripts: &["*.el", "*.elc", "*.eln", ".emacs", "init.el", "site-start.el", "default.el"],
        is_optional: true,
        inline: &["--eval", "--execute", "-eval", "-execute"],
        argument: &["-L", "-d", "-t", "-u", "--directory", "--display", "--terminal", "--user", "--chdir", "--init-directory"],
        script: &["-l", "-x", "-f", "--load", "--script", "--funcall"],
        flags: OPERANDS_ARE_DATA | LONG_AFTER_ONE_DASH,
        ..Known::NONE
    },
    Known {
        name: "gdb",
        programs: &["/usr/bin/gdb"],
        scripts: &["*.gdb", "*.py", "*.scm", ".gdbinit", "gdbinit", ".gdbearlyinit"],
        is_optional: true,
        inline: &["--ex", "--eval-command", "--iex", "--init-eval-command", "-ex", "-iex", "-eval-command", "-init-eval-command"],
        argument: &["-p", "-c", "-s", "-e", "-d", "-b", "-l", "--args", "--pid", "--core", "--cd"],
        script: &["-x", "--command", "--ix", "--init-command", "-command", "-ix", "-init-command"],
        flags: OPERANDS_ARE_DATA | LONG_AFTER_ONE_DASH,
        ..Known::NONE
    },
    Known {
        name: GENERIC,
        scripts: &[
            "*.sh", "*.py", "*.pyc", "*.pl", "*.pm", "*.rb", "*.js", "*.mjs", "*.cjs", "*.php", "*.lua", "*.awk", "*.tcl", "*.scm", "*.ps1", "*.vim",
            "*.el", "*.r", "*.jl", "*.groovy", "*.raku", "*.jar",
        ],
        flags: OPTIONS_UNKNOWN,
        ..Known::NONE
    },
];
