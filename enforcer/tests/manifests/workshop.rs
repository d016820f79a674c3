//! A folder to work in, other people's tools, and what they say the code in a tree is.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use enforcer::inventory::Contents;
use tempfile::TempDir;

pub struct Workshop {
    folder: TempDir,
}

/// Path → SHA-256 in hexadecimal.
pub type Digests = BTreeMap<String, String>;

impl Workshop {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The program under test, in this folder.
    pub fn enforcer(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_enforcer")).args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).output().unwrap()
    }

    /// Some other tool, in this folder; it must succeed.
    pub fn run(&self, program: &str, arguments: &[impl AsRef<OsStr>]) -> Vec<u8> {
        let output = Command::new(program).args(arguments).current_dir(self.folder.path()).env("LC_ALL", "C").stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Files of every kind that matters: programs, a library without an executable bit, scripts, texts, and both kinds of link.
    pub fn tree(&self, name: &str) -> PathBuf {
        let tree = self.path(name);
        for folder in ["usr/bin", "usr/lib/tool", "usr/share/doc/tool", "usr/share/bash-completion/completions", "etc"] {
            fs::create_dir_all(tree.join(folder)).unwrap();
        }
        fs::copy("/bin/true", tree.join("usr/bin/tool")).unwrap();
        fs::hard_link(tree.join("usr/bin/tool"), tree.join("usr/bin/alias")).unwrap();
        symlink("tool", tree.join("usr/bin/link")).unwrap();
        fs::copy("/bin/echo", tree.join("usr/lib/tool/libtool.so")).unwrap();
        fs::set_permissions(tree.join("usr/lib/tool/libtool.so"), fs::Permissions::from_mode(0o644)).unwrap();
        for (file, text, mode) in [
            ("usr/bin/script", "#!/bin/sh\necho hello\n", 0o755),
            ("usr/share/doc/tool/README", "text\n", 0o644),
            ("usr/lib/tool/empty", "", 0o755),
            ("usr/lib/tool/module.py", "pass\n", 0o644),
            ("usr/lib/tool/named", "#!/bin/sh\n", 0o644),
            ("usr/share/bash-completion/completions/tool", "complete -W words tool\n", 0o644),
            ("etc/tool.conf", "key = 1\n", 0o644),
            (&format!("usr/lib/tool/{}", "long-name-".repeat(15)), "#!/bin/sh\n", 0o755),
        ] {
            fs::write(tree.join(file), text).unwrap();
            fs::set_permissions(tree.join(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        tree
    }

    /// The code below a folder and its digests, as `find` and `sha256sum` tell them.
    pub fn digests_of_code(&self, tree: &Path) -> Digests {
        let found = String::from_utf8(self.run("find", &[tree.as_os_str(), "-type".as_ref(), "f".as_ref()])).unwrap();
        let code: Vec<&str> = found.lines().filter(|path| is_code(Path::new(path))).collect();
        let sums = String::from_utf8(self.run("sha256sum", &code)).unwrap();
        let inside = |path: &str| format!("/{}", Path::new(path).strip_prefix(tree).unwrap().display());
        sums.lines().map(|line| line.split_once("  ").unwrap()).map(|(sum, path)| (inside(path), sum.to_owned())).collect()
    }

    /// The lines of a manifest that `create` makes from these sources.
    pub fn create(&self, sources: &[&str]) -> Digests {
        let output = self.enforcer(&[&["manifest", "create"], sources].concat());
        assert_eq!(status(&output), 0, "{}", stderr(&output));
        lines(&stdout(&output))
    }
}

/// As far as the packages of these tests go.
pub fn is_code(path: &Path) -> bool {
    let mut head = Vec::new();
    fs::File::open(path).unwrap().take(4).read_to_end(&mut head).unwrap();
    let is_script = head.starts_with(b"#!")
        || path.extension().is_some_and(|ending| ["sh", "py", "pm", "pl"].iter().any(|known| ending == *known))
        || path.components().any(|part| ["debconf", "bash-completion"].iter().any(|known| part.as_os_str() == *known));
    head == b"\x7fELF" || is_script || fs::metadata(path).unwrap().permissions().mode() & 0o111 != 0
}

/// The SHA256 lines of a manifest.
pub fn lines(manifest: &str) -> Digests {
    let line = |line: &str| {
        let (path, digest) = line.strip_prefix("SHA256 (")?.rsplit_once(") = ")?;
        Some((path.to_owned(), digest.to_owned()))
    };
    manifest.lines().filter(|text| !text.starts_with("FSVERITY")).map(|text| line(text).unwrap_or_else(|| panic!("{text}"))).collect()
}

/// The code in a package.
pub fn code(contents: &Contents) -> Digests {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let code = contents.files.iter().filter(|file| file.may_be_code());
    code.map(|file| (file.path.to_str().unwrap().to_owned(), hex(&file.content.digest.bytes))).collect()
}

pub fn status(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
