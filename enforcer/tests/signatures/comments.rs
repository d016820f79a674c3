//! Signatures in comment lines at the end of scripts: the script runs as before, strangers can check it by hand, and nothing in it can be changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use enforcer::signature::content_digests;
use enforcer::signature::sign::{Destination, SignError};

use crate::embedded::{bash, documented};
use crate::pki::{PKI, cms_sign, openssl, text};
use crate::scene::Scene;
use crate::signing::identity;

pub const SCRIPT: &str = "#!/bin/sh\necho hello\n";
const FIRST: &str = "# -----BEGIN CMS-----\n";
const LAST: &str = "# -----END CMS-----\n";

fn try_sign(path: &Path, marks: Option<&str>) -> Result<(), SignError> {
    let destination = Destination::Comment(marks.map(|marks| marks.parse().unwrap()));
    identity(&PKI.signer("p256")).sign(path, &destination).map(|signed| assert_eq!(signed.carrier.name(), "comment"))
}

/// A script with a signature in its comments.
fn signed(scene: &Scene, name: &str, content: &str) -> PathBuf {
    let path = scene.file(name, content);
    try_sign(&path, None).unwrap();
    assert_eq!(scene.word(&path), "comment vendor");
    path
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Why a file with this content is not accepted.
fn refusal(scene: &Scene, content: impl AsRef<[u8]>) -> String {
    let path = scene.file("refused", content);
    let examination = scene.examine(&path);
    examination.outcome().expect_err("not accepted").to_string()
}

/// What a script puts out, started by its first line.
fn output_of(path: &Path) -> (Option<i32>, String, String) {
    let mut mode = fs::metadata(path).unwrap().permissions();
    mode.set_mode(0o755);
    fs::set_permissions(path, mode).unwrap();
    let output = Command::new(path).arg("argument").output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_signed_script_runs_as_before() {
    let scene = Scene::new();
    let scripts = [
        ("plain.sh", "#!/bin/sh\necho \"$0 $*\"\nexit 3\n"),
        ("unfinished.sh", "#!/bin/bash\necho \"$1\""),
        ("document.sh", "#!/bin/bash\ncat <<X\ntext\nX\nls /nonexistent\n"),
        ("script.py", "#!/usr/bin/env python3\nimport sys\nif True:\n    print(sys.argv[1:])\n    sys.exit(4)\n"),
        ("unfinished.py", "#!/usr/bin/env python3\nclass A:\n    def f(self): print('''x\n# y''')\nA().f()"),
        ("script.pl", "#!/usr/bin/perl -w\nuse strict;\nprint \"@ARGV\\n\";\n__END__\n\n=head1 NAME\n\na script\n"),
        ("unfinished", "#!/usr/bin/perl\nprint 'x' # y"),
    ];
    for (name, content) in scripts {
        let script = scene.file(name, content);
        let before = output_of(&script);
        try_sign(&script, None).unwrap();
        assert_eq!(scene.word(&script), "comment vendor");
        assert_eq!(output_of(&script), before, "{name}");
        let line_feed = if content.ends_with('\n') { "" } else { "\n" };
        assert!(read(&script).starts_with(&format!("{content}{line_feed}{FIRST}# MI")), "{name}");
        assert!(read(&script).ends_with(LAST), "{name}");
        // Nor does Perl take the signature for documentation, or a shell complain about it.
        assert_eq!(fs::metadata(&script).unwrap().permissions().mode() & 0o777, 0o755);
    }
    if let Ok(true) = Command::new("node").arg("--version").output().map(|output| output.status.success()) {
        let script = scene.file("tool", "#!/usr/bin/env node\nconsole.log(process.argv.length)");
        let before = output_of(&script);
        try_sign(&script, None).unwrap();
        assert_eq!((output_of(&script), scene.word(&script)), (before, "comment vendor".to_owned()));
        assert!(read(&script).ends_with("// -----END CMS-----\n"));
    }
}

#[test]
fn a_stranger_verifies_by_hand_with_the_documented_commands() {
    let scene = Scene::new();
    let commands = documented(&scene, "comment-by-hand");
    let run = |script: &Path| bash(&scene, &commands, &[script, &PKI.root.certificate]);
    for (kind, marks, content) in [
        ("rsa2048", "#", SCRIPT),
        ("rsa4096", "//", "text"),
        ("p256", "--", ""),
        ("p384", ";;", "\n\n"),
        ("p256", "\"", SCRIPT),
        ("p256", "[*.$^", SCRIPT),
    ] {
        let script = scene.file("script", content);
        identity(&PKI.signer(kind)).sign(&script, &Destination::Comment(Some(marks.parse().unwrap()))).unwrap();
        assert_eq!(scene.word(&script), "comment vendor", "{marks}");
        let told = run(&script);
        assert!(told.status.success(), "{kind} {marks}: {}", String::from_utf8_lossy(&told.stderr));
        fs::write(&script, format!("x{}", read(&script))).unwrap();
        assert!(!run(&script).status.success(), "{kind}, changed");
    }
}

#[test]
fn a_stranger_signs_by_hand_with_the_documented_commands() {
    let scene = Scene::new();
    let commands = documented(&scene, "comment-sign-by-hand");
    let script = scene.file("script", SCRIPT);
    let signer = PKI.signer("rsa3072");
    let told = bash(&scene, &commands, &[&script, &signer.certificate, &signer.key, signer.chain.as_deref().unwrap()]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert_eq!(scene.word(&script), "comment vendor", "{}", refusal(&scene, read(&script)));
    // And ours replaces it.
    try_sign(&script, None).unwrap();
    assert_eq!(scene.word(&script), "comment vendor");
    assert_eq!(read(&script).matches("BEGIN").count(), 1);
}

#[test]
fn nothing_but_a_line_feed_is_added_that_is_not_the_signatures_and_that_is_signed() {
    let scene = Scene::new();
    for content in ["", "\n", "text", "text\n", "text\n\n", "\r\n", "text \t"] {
        let script = signed(&scene, "script", content);
        let bytes = read(&script);
        let line_feed = if content.is_empty() || content.ends_with('\n') { "" } else { "\n" };
        let rest = bytes.strip_prefix(&format!("{content}{line_feed}{FIRST}")).unwrap();
        assert!(rest.lines().all(|line| line.starts_with("# ")) && rest.ends_with(LAST), "{rest}");
        // The signed content is the file up to the end of that line, says openssl's view of the message digest.
        let expected = format!("{content}{line_feed}{FIRST}");
        let sum = sha256(&scene, &expected);
        let contents = content_digests(&fs::File::open(&script).unwrap()).unwrap();
        assert_eq!((contents.len(), hex(&contents[1].bytes)), (2, sum));
        // With the line feed taken out again, or one more of them, it is another content.
        if !content.is_empty() {
            refusal(&scene, bytes.replacen(&format!("\n{FIRST}"), FIRST, 1));
        }
        assert!(refusal(&scene, format!("\n{bytes}")).contains("not the one that was signed"));
    }
}

pub fn sha256(scene: &Scene, content: &str) -> String {
    let told = openssl(&["dgst", "-sha256", "-r", text(&scene.file("digested", content))]).stdout;
    String::from_utf8(told).unwrap().split(' ').next().unwrap().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_changed_byte_of_a_signed_script_is_noticed() {
    let scene = Scene::new();
    let script = signed(&scene, "script", SCRIPT);
    let good = fs::read(&script).unwrap();
    let examiner = scene.examiner();
    for offset in 0..good.len() {
        let mut bytes = good.clone();
        bytes[offset] ^= 1 << (offset % 7);
        fs::write(&script, bytes).unwrap();
        let file = enforcer::measure::open(&script).unwrap();
        let examination = examiner.examine(&file, None, &enforcer::signature::Facts::at(scene.now)).unwrap();
        assert!(examination.outcome().is_err(), "byte {offset} of {}", good.len());
    }
    for length in 0..good.len() {
        fs::write(&script, &good[..length]).unwrap();
        let file = enforcer::measure::open(&script).unwrap();
        let examination = examiner.examine(&file, None, &enforcer::signature::Facts::at(scene.now)).unwrap();
        assert!(examination.outcome().is_err(), "cut off at {length} of {}", good.len());
    }
}

#[test]
fn a_block_that_is_not_as_documented_is_refused_by_name() {
    let scene = Scene::new();
    let good = read(&signed(&scene, "script", SCRIPT));
    let (script, block) = (SCRIPT, good.strip_prefix(SCRIPT).unwrap());
    let lines: Vec<&str> = block.split_inclusive('\n').collect();
    let with_line = |at: usize, line: &str| format!("{script}{}{line}{}", lines[..at].concat(), lines[at + 1..].concat());
    let body: String = lines[1..lines.len() - 1].iter().map(|line| line[2..].trim_end()).collect();
    let in_lines_of = |width: usize| {
        let wrapped: String = body.as_bytes().chunks(width).map(|line| format!("# {}\n", str::from_utf8(line).unwrap())).collect();
        format!("{script}{FIRST}{wrapped}{LAST}")
    };
    assert_eq!(in_lines_of(64), good);
    let cases = [
        ("13 bytes follow", format!("{good}echo goodbye\n")),
        ("1 bytes follow", format!("{good}\n")),
        ("2 bytes follow", format!("{good}#\n")),
        ("4 lines near its end", format!("{good}{block}")),
        ("3 lines near its end", format!("{script}# -----BEGIN CMS-----\n{block}")),
        ("3 lines near its end", format!("{script}echo a -----END CMS-----\n{block}")),
        ("3 lines near its end", with_line(3, "# -----END CMS-----\n")),
        ("not end in a line feed", good.trim_end().to_owned()),
        ("carriage return", good.replace('\n', "\r\n")),
        ("carriage return", with_line(2, &lines[2].replace('\n', "\r\n"))),
        ("carriage return", format!("{}\r\n", good.trim_end())),
        ("line 3 of the signature in its comments does not begin with the marks of its first line, `#`", with_line(2, &lines[2].replace('#', "//"))),
        ("does not begin with the marks", with_line(2, &lines[2].replace("# ", "#"))),
        ("does not begin with the marks", with_line(2, &format!(" {}", lines[2]))),
        ("does not begin with the marks", with_line(2, "\n")),
        ("does not begin with the marks", with_line(2, "rm -rf /\n")),
        ("has no end", with_line(lines.len() - 1, "")),
        ("does not begin in the last 131072 bytes", with_line(0, "")),
        ("comment marks are", block_with_marks(&good, "#########")),
        ("comment marks are", block_with_marks(&good, "")),
        ("comment marks are", block_with_marks(&good, "# #")),
        ("comment marks are", block_with_marks(&good, "é")),
        ("comment marks are", good.replace("# -----", "#-----").replace("\n# ", "\n#")),
        ("lines of 64 characters", in_lines_of(60)),
        ("lines of 64 characters", in_lines_of(68)),
        ("lines of 64 characters", in_lines_of(4096)),
        ("lines of 64 characters", with_line(2, &lines[2].replace('\n', " \n"))),
        ("lines of 64 characters", good.replace(LAST, "# -----END CMS----- \n")),
        ("lines of 64 characters", with_line(2, &lines[2].replace(['M', 'A'], "?"))),
        ("lines of 64 characters", with_line(2, "# \n")),
        ("lines of 64 characters", with_line(2, &format!("{}{}", lines[2], "# Header: value\n"))),
        ("lines of 64 characters", format!("{script}{FIRST}{LAST}")),
    ];
    for (expected, content) in cases {
        let told = refusal(&scene, &content);
        assert!(told.contains(expected), "{expected}: {told}\n{content}");
        let examination = scene.examine(&scene.path("refused"));
        assert_eq!(examination.attempts[0].carrier.name(), "comment");
        assert_eq!(scene.word(&scene.path("refused")), "bad-signature-format");
        assert!(examination.outcome().unwrap_err().hint().contains("enforcer sign --comment"));
        // Nor does signing make something else of it, unless it is told to.
        let before = read(&scene.path("refused"));
        assert!(matches!(try_sign(&scene.path("refused"), None), Err(SignError::Comment(_))), "{expected}");
        assert_eq!(read(&scene.path("refused")), before);
    }
    // Without marks it is a file of PEM, and none of ours.
    assert_eq!(refusal(&scene, block.replace("# ", "")), "it is not signed");
    assert_eq!(refusal(&scene, SCRIPT), "it is not signed");
}

/// The block with other marks on each of its lines.
fn block_with_marks(signed: &str, marks: &str) -> String {
    signed.replace(&format!("\n{FIRST}"), &format!("\n{marks} -----BEGIN CMS-----\n")).replace("\n# ", &format!("\n{marks} "))
}

#[test]
fn whoever_has_no_key_cannot_choose_the_marks() {
    let scene = Scene::new();
    let good = read(&signed(&scene, "script", SCRIPT));
    // To a shell, the second one would be the beginning of a string, and then the name of a program.
    for marks in ["//", "\"", "##", ":;", "x"] {
        let changed = block_with_marks(&good, marks);
        assert!(changed.contains(&format!("\n{marks} -----BEGIN CMS-----\n{marks} MI")));
        assert!(refusal(&scene, changed).contains("not the one that was signed"), "{marks}");
    }
    // A detached signature over the script is about the script without any line behind it.
    let script = scene.file("script", SCRIPT);
    cms_sign(&script, &PKI.signer("p256"), &["-outform", "PEM"], &scene.path("signature.pem"));
    let block: String = read(&scene.path("signature.pem")).lines().map(|line| format!("# {line}\n")).collect();
    assert!(refusal(&scene, format!("{SCRIPT}{block}")).contains("not the one that was signed"));
}

#[test]
fn a_signature_of_another_script_and_one_that_is_too_large_are_refused() {
    let scene = Scene::new();
    let (one, other) = (read(&signed(&scene, "one", SCRIPT)), read(&signed(&scene, "other", "#!/bin/sh\necho goodbye\n")));
    assert!(refusal(&scene, one.replace("hello", "goodbye")).contains("not the one that was signed"));
    assert!(refusal(&scene, format!("{SCRIPT}{}", &other[other.find(FIRST).unwrap()..])).contains("not the one that was signed"));
    let block_of = |size: usize| {
        let raw = scene.file("raw", vec![0x30; size]);
        let base64 = String::from_utf8(openssl(&["base64", "-in", text(&raw)]).stdout).unwrap();
        let lines: String = base64.lines().map(|line| format!("# {line}\n")).collect();
        format!("{SCRIPT}{FIRST}{lines}{LAST}")
    };
    assert!(!refusal(&scene, block_of(65_536)).contains("in its comments"), "so much may be there, and is no CMS");
    assert!(refusal(&scene, block_of(65_537)).contains("more than 65536 bytes"));
    assert!(refusal(&scene, block_of(90_000)).contains("more than 65536 bytes"));
    assert!(refusal(&scene, block_of(1_000_000)).contains("does not begin in the last"));
    // Far from the end of a script that is not signed there, such lines are text.
    let long = format!("{one}{}", "true\n".repeat(40_000));
    assert_eq!(refusal(&scene, &long), "it is not signed");
    let path = scene.file("long", long);
    try_sign(&path, None).unwrap();
    assert_eq!(scene.word(&path), "comment vendor");
    // The largest block lies in what is read of the end.
    let largest = 29 + 1365 * 74 + 34 + 27;
    assert!(block_with_marks(&block_of(65_536), "########").len() == SCRIPT.len() + largest);
    assert!(!refusal(&scene, block_with_marks(&block_of(65_536), "########")).contains("in its comments"));
}

#[test]
fn an_elf_file_is_looked_at_in_its_own_places_only() {
    let scene = Scene::new();
    let script = read(&signed(&scene, "script", SCRIPT));
    let program = [&fs::read("/bin/true").unwrap()[..], script.as_bytes()].concat();
    let path = scene.file("program", program);
    assert_eq!(scene.word(&path), "unsigned");
    cms_sign(&path, &PKI.signer("p256"), &[], &scene.path("program.p7s"));
    assert_eq!(scene.word(&path), "detached vendor");
}

#[test]
fn other_carriers_go_on_beside_it() {
    let scene = Scene::new();
    let script = signed(&scene, "script", SCRIPT);
    cms_sign(&script, &PKI.signer("p256"), &[], &scene.path("script.p7s"));
    fs::write(&script, format!("{}# more\n", read(&script))).unwrap();
    assert_eq!(scene.word(&script), "bad-signature-format");
    cms_sign(&script, &PKI.signer("p256"), &[], &scene.path("script.p7s"));
    let examination = scene.examine(&script);
    assert_eq!(crate::scene::word(&examination), "detached vendor");
    assert_eq!(examination.attempts[0].carrier.name(), "comment");
}

#[test]
fn signing_again_replaces_the_signature_and_keeps_its_marks() {
    let scene = Scene::new();
    let script = scene.file("script", SCRIPT);
    let sign = |kind: &str, marks: Option<&str>| {
        let destination = Destination::Comment(marks.map(|marks| marks.parse().unwrap()));
        identity(&PKI.signer(kind)).sign(&script, &destination).unwrap();
        assert_eq!(scene.word(&script), "comment vendor");
        read(&script)
    };
    let first = sign("rsa2048", None);
    assert_eq!(sign("rsa2048", None), first, "the same bytes where the algorithm allows");
    assert!(sign("ed25519", Some("##")).contains("\n## -----BEGIN CMS-----\n## MI"));
    let third = sign("p256", None);
    assert!(third.contains("\n## -----BEGIN CMS-----\n## MI") && third.matches("BEGIN").count() == 1);
    assert_eq!(sign("rsa2048", Some("#")), first);
    assert!(first.starts_with(SCRIPT));
    // What was changed since is signed as it is then.
    fs::write(&script, first.replace("hello", "goodbye")).unwrap();
    assert_eq!(scene.word(&script), "digest-mismatch");
    sign("rsa2048", None);
    assert_eq!(output_of(&script).1, "goodbye\n");
}

#[test]
fn a_revoked_content_stays_revoked_whatever_is_put_into_its_signature() {
    let mut scene = Scene::new();
    scene.rest.revocation.file = scene.path("revoked.toml");
    let script = signed(&scene, "script", SCRIPT);
    let contents = content_digests(&fs::File::open(&script).unwrap()).unwrap();
    try_sign(&script, None).unwrap();
    assert_eq!(scene.word(&script), "comment vendor", "another value of the same content");
    fs::write(scene.path("revoked.toml"), format!("[[digest]]\nsha256 = \"{}\"\n", hex(&contents[1].bytes))).unwrap();
    assert_eq!(scene.word(&script), "revoked");
}

#[test]
fn files_that_comments_would_break_are_refused_with_a_way_out_and_left_alone() {
    let scene = Scene::new();
    let elf = fs::read("/bin/true").unwrap();
    let cases: [(&str, &str, &[u8], &str); 8] = [
        ("program", "an ELF file", &elf, "--embed"),
        ("archive", "the byte at 3 is zero", b"PK\x05\0\x06", "--detach"),
        ("wide.ps1", "the byte at 1 is zero", b"#\0 \0", "--detach"),
        ("goes-on.sh", "backslash", b"echo \\\n", "--detach"),
        ("page.php", "print the signature", b"<?php echo 1; ?>\n<p>\n", "--detach"),
        ("page", "print the signature", b"#!/usr/bin/php\ntext\n", "--detach"),
        ("data.json", "a .json file", b"{}\n", "--detach"),
        ("torn.sh", "has no end", b"# -----BEGIN CMS-----\n", "take the signature's lines out"),
    ];
    for (name, expected, content, remedy) in cases {
        let path = scene.file(name, content);
        let refused = try_sign(&path, None).unwrap_err();
        assert!(refused.to_string().contains(expected) && refused.hint().unwrap().contains(remedy), "{name}: {refused} {:?}", refused.hint());
        assert_eq!(fs::read(&path).unwrap(), content, "{name}");
    }
    let large = scene.file("large.sh", "");
    fs::File::options().write(true).open(&large).unwrap().set_len((64 << 20) + 1).unwrap();
    assert!(try_sign(&large, None).unwrap_err().to_string().contains("67108865 bytes"));
    // Where the marks are named, they count.
    let data = scene.path("data.json");
    try_sign(&data, Some("//")).unwrap();
    assert_eq!(scene.word(&data), "comment vendor");
    assert!(
        fs::read_dir(scene.folder.path()).unwrap().all(|entry| !entry.unwrap().file_name().to_str().unwrap().starts_with('.')),
        "no draft is left"
    );
    // What a program reads as its own data is told of.
    let reader = scene.file("reader.pl", "print <DATA>;\n__DATA__\ntext\n");
    let signed = identity(&PKI.signer("p256")).sign(&reader, &Destination::Comment(None)).unwrap();
    assert!(signed.notes[0].contains("`__DATA__`"), "{:?}", signed.notes);
}
