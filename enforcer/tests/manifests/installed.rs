//! What Debian packages installed on this very machine, held against what apt provides.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::workshop::{Workshop, is_code, status, stderr, stdout};

/// Whether apt provides exactly the installed version: archives keep the newest one only, and this machine may be behind it.
const PROVIDED: &str = "provided() { apt-cache show \"$1=$(dpkg-query -Wf '${Version}' \"$1\")\" 2>/dev/null | grep -q ^Filename; }";

/// Makes sure that apt provides the installed version: by reading its lists, or else by bringing the package up to date.
fn apt_provides(workshop: &Workshop, package: &str) {
    let upgrade = format!("apt-get install -qy --only-upgrade {package}");
    workshop.run("sh", &["-euc", &format!("{PROVIDED}; provided {package} || {{ apt-get update -q; provided {package}; }} || {upgrade}")]);
}

/// Those of some packages of every Debian system whose installed version apt provides.
fn provided(workshop: &Workshop) -> Vec<String> {
    apt_provides(workshop, "dash");
    let script = format!("{PROVIDED}; for p in dash coreutils libc-bin grep findutils diffutils gzip mawk; do ! provided $p || echo $p; done");
    String::from_utf8(workshop.run("sh", &["-euc", &script])).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn untouched_packages_are_listed_whole_by_what_apt_provides() {
    let workshop = Workshop::new();
    let packages = provided(&workshop);
    let named: Vec<&str> = packages.iter().map(String::as_str).collect();
    let listed = workshop.create(&[&["--debian"], &named[..]].concat());
    let owned = String::from_utf8(workshop.run("dpkg-query", &[&["-L"], &named[..]].concat())).unwrap();
    let on_disk = owned.lines().filter(|line| line.starts_with('/')).map(PathBuf::from);
    let control = |name: &&str| String::from_utf8(workshop.run("dpkg-query", &["--control-path", name])).unwrap();
    let scripts: Vec<PathBuf> = named.iter().flat_map(|name| control(name).lines().map(PathBuf::from).collect::<Vec<_>>()).collect();
    let code: Vec<PathBuf> =
        on_disk.chain(scripts).filter(|path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) && is_code(path)).collect();
    assert!(!code.is_empty());
    let real = |path: &PathBuf| path.parent().unwrap().canonicalize().unwrap().join(path.file_name().unwrap()).to_str().unwrap().to_owned();
    let sums = String::from_utf8(workshop.run("sha256sum", &code)).unwrap();
    let expected: crate::workshop::Digests = sums.lines().map(|line| (real(&PathBuf::from(&line[66..])), line[..64].to_owned())).collect();
    assert_eq!(listed, expected);
    assert!(listed.contains_key("/usr/bin/dash"), "/bin is a link: {listed:?}");
    assert!(listed.contains_key("/var/lib/dpkg/info/dash.postinst"), "a maintainer script: {listed:?}");
}

/// Runs `create --json -o made --debian debconf` where `change` has been done to a copy of /usr/share/debconf, which lies over it in a mount
/// namespace of its own: the machine stays as it is.
fn report_after(workshop: &Workshop, change: &str, arguments: &[&str]) -> (i32, Value) {
    report_after_in(workshop, "/usr/share/debconf", change, arguments)
}

/// The same of another folder.
fn report_after_in(workshop: &Workshop, folder: &str, change: &str, arguments: &[&str]) -> (i32, Value) {
    let script = format!(
        "rm -rf copy; cp -r --preserve=mode,links {folder} copy; (cd copy; {change}); mount --bind copy {folder}; \
         exec {} manifest create --json -o made --debian debconf {}",
        env!("CARGO_BIN_EXE_enforcer"),
        arguments.join(" ")
    );
    let output = Command::new("unshare").args(["-rm", "sh", "-euc", &script]).current_dir(workshop.path("")).output().unwrap();
    (status(&output), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{change}: {}", stderr(&output))))
}

#[test]
fn changed_files_are_left_out_told_and_make_the_answer_no() {
    let workshop = Workshop::new();
    apt_provides(&workshop, "debconf");
    let (untouched, whole) = report_after(&workshop, ":", &[]);
    assert_eq!((untouched, &whole["left_out"]), (0, &serde_json::json!([])));
    let count = whole["entries"].as_u64().unwrap();
    for (change, expected, reason) in [
        ("echo x >> frontend", 1, "modified"),
        ("rm frontend; ln -s /bin/true frontend", 1, "replaced"),
        // What is not there cannot be denied.
        ("rm frontend", 0, "missing"),
    ] {
        let (status, report) = report_after(&workshop, change, &[]);
        let left_out = &report["left_out"][0];
        assert_eq!((status, &left_out["reason"], &left_out["path"]), (expected, &reason.into(), &"/usr/share/debconf/frontend".into()), "{report}");
        assert_eq!((&report["entries"], &left_out["package"]), (&(count - 1).into(), &"debconf".into()));
        assert!(!fs::read_to_string(workshop.path("made")).unwrap().contains("frontend"));
    }
    // A text that was made executable would run, so it is listed too.
    let (status, report) = report_after_in(&workshop, "/etc/apt/apt.conf.d", "chmod 755 70debconf", &[]);
    assert_eq!((status, &report["left_out"], &report["entries"]), (0, &serde_json::json!([]), &(count + 1).into()), "{report}");
}

#[test]
fn a_deb_from_a_folder_counts_if_it_is_the_one_that_apts_index_names() {
    let workshop = Workshop::new();
    apt_provides(&workshop, "debconf");
    let version = "debconf=$(dpkg-query -Wf '${Version}' debconf)";
    workshop.run("sh", &["-euc", &format!("mkdir debs; cd debs; apt-get download -q -o APT::Sandbox::User=root {version}")]);
    assert_eq!(report_after(&workshop, ":", &["--debs", "debs", "--no-download"]).0, 0);
    workshop
        .run("sh", &["-euc", "d=$(echo debs/*.deb); dpkg-deb -R $d x; echo changed >> x/usr/share/debconf/frontend; dpkg-deb -b x $d >/dev/null"]);
    let (status, report) = report_after(&workshop, ":", &["--debs", "debs", "--no-download"]);
    assert_eq!((status, &report["left_out"][0]["reason"], &report["entries"]), (1, &"wrong-deb".into(), &0.into()), "{report}");
}

#[test]
fn what_was_left_out_is_told_with_a_remedy() {
    let workshop = Workshop::new();
    apt_provides(&workshop, "debconf");
    let script = "cp /usr/share/debconf/frontend changed; echo x >> changed; mount --bind changed /usr/share/debconf/frontend; exec ";
    let script = format!("{script} {} manifest create --debian debconf", env!("CARGO_BIN_EXE_enforcer"));
    let output = Command::new("unshare").args(["-rm", "sh", "-euc", &script]).current_dir(workshop.path("")).output().unwrap();
    assert_eq!(status(&output), 1);
    assert!(stdout(&output).contains("SHA256 (") && !stdout(&output).contains("frontend"), "the rest is listed");
    let told = stderr(&output);
    assert!(told.contains("warning: /usr/share/debconf/frontend (of debconf): left out") && told.contains("--reinstall"), "{told}");
}

#[test]
fn packages_that_are_not_installed_and_paths_in_their_place_are_usage_errors() {
    let workshop = Workshop::new();
    for (package, message) in [("no-such-package", "is not installed"), ("/opt/tool", "come before `--debian`")] {
        let output = workshop.enforcer(&["manifest", "create", "--debian", package]);
        assert_eq!(status(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
    for arguments in [&["manifest", "create"][..], &["manifest", "create", "--debs", "x", "y"], &["manifest", "create", "--json", "--debian", "dash"]]
    {
        assert_eq!(status(&workshop.enforcer(arguments)), 2, "{arguments:?}");
    }
}
