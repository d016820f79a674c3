//! What counts as a script in the guests' manifests; and what the root of the tests of scripts has besides that of all other guests: every interpreter that
//! Debian packages, and services that run scripts.

use std::fs;
use std::io::{self, Read as _};

use super::guest;

/// The interpreters, and what the plain system of the tests does all day.
pub(super) const PACKAGES: &str = "dash,zsh,ruby,php-cli,lua5.4,gawk,tcl,guile-3.0,cron,logrotate,postgresql";

/// Hooks of mmdebstrap. PostgreSQL links to its manual pages, which are left out; its package makes a cluster, which the tests do themselves.
pub(super) const HOOKS: [&str; 2] =
    ["--essential-hook=mkdir -p \"$1\"/usr/share/man/man7", "--customize-hook=rm -rf \"$1\"/etc/postgresql/*/main \"$1\"/var/lib/postgresql/*/main"];

/// What the names of scripts end with, in the interpreters' own folders and in everybody's.
pub(super) const SUFFIXES: [&str; 25] = [
    ".py", ".pyc", ".pth", ".pl", ".pm", ".al", ".ix", ".ph", ".rb", ".gemspec", ".js", ".mjs", ".cjs", ".lua", ".php", ".inc", ".tcl", ".tm",
    ".scm", ".go", ".awk", ".sh", ".bash", ".zsh", ".zwc",
];

/// Folders, and files, in which everything is a script whatever its name: what shells read at their start, and what is read by scripts as a part of them.
pub(super) const PLACES: [&str; 14] = [
    "/etc/profile",
    "/etc/profile.d/",
    "/etc/bash.bashrc",
    "/etc/bash_completion.d/",
    "/etc/skel/",
    "/etc/zsh/",
    "/root/.bashrc",
    "/root/.profile",
    "/etc/perl/",
    "/usr/share/zsh/",
    "/usr/share/debconf/",
    "/usr/share/tcltk/",
    "/usr/share/postgresql-common/",
    "/lib/lsb/",
];

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
    let in_place = |place: &&str| if place.ends_with('/') { path.starts_with(place) } else { path == *place };
    let in_usr = |place: &&str| path.strip_prefix("/usr").is_some_and(|rest| place.starts_with("/lib/") && rest.starts_with(place));
    SUFFIXES.iter().any(|suffix| path.ends_with(suffix)) || PLACES.iter().any(|place| in_place(place) || in_usr(place))
}

#[cfg(test)]
mod tests {
    use super::is_script;

    #[test]
    fn scripts_are_known_by_their_suffix_or_their_place() {
        for path in ["/usr/lib/python3.11/os.py", "/etc/profile", "/etc/profile.d/anything", "/usr/lib/lsb/init-functions", "/etc/skel/.bashrc"] {
            assert!(is_script(path), "{path}");
        }
        for path in ["/etc/profile.bak", "/etc/passwd", "/usr/share/perl/5.36.0/unicore/Name.txt", "/opt/lib/lsb/init-functions"] {
            assert!(!is_script(path), "{path}");
        }
    }
}
