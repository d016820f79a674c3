//! What counts as a script in the guests' manifests, told anew and not by the enforcer's own table, which has to list no less; and what the root of the tests of scripts has besides that of all other guests: every interpreter that
//! Debian packages, and services that run scripts.

use std::fs;
use std::io::{self, Read as _};

use super::guest;

/// The interpreters, and what the plain system of the tests does all day.
pub(super) const PACKAGES: &str = "dash,zsh,ruby,php-cli,lua5.4,gawk,tcl,guile-3.0,cron,logrotate,postgresql";

/// Hooks of mmdebstrap. PostgreSQL links to its manual pages, which are left out; its package makes a cluster, which the tests do themselves.
pub(super) const HOOKS: [&str; 2] =
    ["--essential-hook=mkdir -p \"$1\"/usr/share/man/man7", "--customize-hook=rm -rf \"$1\"/etc/postgresql/*/main \"$1\"/var/lib/postgresql/*/main"];

/// What the names of scripts end with.
pub(super) const SUFFIXES: [&str; 26] = [
    ".py", ".pyc", ".pth", ".pl", ".pm", ".al", ".ix", ".ph", ".rb", ".gemspec", ".js", ".mjs", ".cjs", ".lua", ".php", ".inc", ".tcl", ".tm",
    ".msg", ".scm", ".go", ".awk", ".sh", ".bash", ".zsh", ".zwc",
];

/// What shells read at their start.
pub(super) const NAMES: [&str; 16] = [
    "tclIndex",
    "profile",
    ".profile",
    "dot.profile",
    "bash.bashrc",
    ".bashrc",
    "dot.bashrc",
    ".bash_logout",
    "zshenv",
    ".zshenv",
    "zprofile",
    "zshrc",
    ".zshrc",
    "zlogin",
    "zlogout",
    "newuser.zshrc.recommended",
];

/// Folders in which everything is a script: parts of others.
pub(super) const FOLDERS: [&str; 9] =
    ["bash_completion.d", "bash-completion", "debconf", "functions", "lsb", "site-functions", "tzdata", "vendor-completions", "vendor-functions"];

/// Whether the manifest lists a file: programs and libraries as everywhere, and scripts.
pub(super) fn is_code(path: &str, entry: &fs::DirEntry) -> io::Result<bool> {
    Ok(is_script(path) || guest::is_code(path, entry)? || has_first_line(entry))
}

/// Whether it names its interpreter. Such a file may be an interpreter's argument without being executable.
fn has_first_line(entry: &fs::DirEntry) -> bool {
    let mut magic = [0; 2];
    fs::File::open(entry.path()).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"#!"
}

fn is_script(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default();
    NAMES.contains(&name) || SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) || parts.any(|folder| FOLDERS.contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::is_script;

    #[test]
    fn scripts_are_known_by_their_suffix_their_name_or_a_folder() {
        for path in ["/usr/lib/python3.11/os.py", "/etc/profile", "/etc/profile.d/x.sh", "/usr/lib/lsb/init-functions", "/etc/skel/.bashrc"] {
            assert!(is_script(path), "{path}");
        }
        for path in ["/etc/profile.bak", "/etc/passwd", "/usr/share/perl/5.36.0/unicore/Name.txt", "/opt/lib/lsb-release", "/usr/bin/zsh"] {
            assert!(!is_script(path), "{path}");
        }
    }
}
