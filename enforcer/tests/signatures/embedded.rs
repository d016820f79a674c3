//! Signatures inside ELF files: the file still runs, strangers can check it by hand, and nothing in it can be changed.

use enforcer::signature::Facts;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use enforcer::signature::sign::Destination;

use crate::pki::{KEY_KINDS, PKI, text};
use crate::scene::Scene;
use crate::signing::{identity, openssl_verifies};

/// A copy of a program of this machine.
fn copy(scene: &Scene, program: &str) -> PathBuf {
    let path = scene.path(Path::new(program).file_name().unwrap().to_str().unwrap());
    fs::copy(program, &path).unwrap();
    path
}

fn sign(path: &Path, kind: &str) {
    let signed = identity(&PKI.signer(kind)).sign(path, &Destination::Embedded).unwrap();
    assert_eq!(signed.carrier.name(), "embedded");
}

fn succeeds(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Where `readelf` says that the section lies: how a stranger finds out.
fn section(path: &Path) -> Range<usize> {
    let listing = succeeds("readelf", &["-SW", text(path)]);
    let line = listing.lines().find(|line| line.contains(".enforcer.signature")).expect("a section");
    let words: Vec<&str> = line.split(']').nth(1).unwrap().split_whitespace().collect();
    let number = |word: &str| usize::from_str_radix(word, 16).unwrap();
    assert_eq!((words[1], number(words[2])), ("PROGBITS", 0));
    number(words[3])..number(words[3]) + number(words[4])
}

#[test]
fn a_signed_program_runs_and_is_verified_for_every_kind_of_key() {
    let scene = Scene::new();
    for kind in KEY_KINDS {
        let echo = copy(&scene, "/bin/echo");
        assert_eq!(scene.word(&echo), "unsigned");
        sign(&echo, kind);
        assert_eq!(scene.word(&echo), "embedded vendor", "{kind} {:?}", scene.examine(&echo));
        assert_eq!(succeeds(text(&echo), &["hello"]), "hello\n");
    }
}

#[test]
fn signing_again_replaces_the_signature_and_the_file_does_not_grow() {
    let scene = Scene::new();
    let echo = copy(&scene, "/bin/echo");
    let size = || fs::metadata(&echo).unwrap().len();
    sign(&echo, "rsa4096");
    let with_rsa4096 = size();
    sign(&echo, "p256");
    let with_p256 = size();
    assert!(with_p256 < with_rsa4096);
    for _ in 0..3 {
        for (kind, expected) in [("p256", with_p256), ("rsa4096", with_rsa4096), ("p256", with_p256)] {
            sign(&echo, kind);
            assert_eq!(size(), expected);
            assert_eq!(scene.word(&echo), "embedded vendor");
        }
    }
    assert_eq!(succeeds(text(&echo), &["hello"]), "hello\n");
}

#[test]
fn a_signed_library_loads_and_a_stripped_program_runs() {
    let scene = Scene::new();
    let source = scene.file("code.c", "int answer(void) { return 42; }\nint main(void) { return answer() - 42; }\n");
    let library = scene.path("libcode.so");
    succeeds("cc", &["-shared", "-fPIC", "-o", text(&library), text(&source)]);
    sign(&library, "p256");
    assert_eq!(scene.word(&library), "embedded vendor");
    let load = format!("import ctypes; print(ctypes.CDLL('{}').answer())", text(&library));
    assert_eq!(succeeds("python3", &["-c", &load]), "42\n");
    for flags in [&["-s"][..], &["-static"], &["-static-pie", "-s"], &["-g"], &["-Wl,--build-id=none", "-no-pie"]] {
        let program = scene.path("program");
        succeeds("cc", &[&["-o", text(&program), text(&source)], flags].concat());
        sign(&program, "ed25519");
        assert_eq!(scene.word(&program), "embedded vendor", "{flags:?}");
        succeeds(text(&program), &[]);
        succeeds("strip", &[text(&program)]);
        assert_ne!(scene.word(&program), "embedded vendor", "strip changes the file");
        succeeds(text(&program), &[]);
        sign(&program, "ed25519");
        assert_eq!(scene.word(&program), "embedded vendor", "{flags:?}, stripped");
        succeeds(text(&program), &[]);
    }
}

#[test]
fn a_file_without_section_headers_gets_them() {
    let scene = Scene::new();
    let source = scene.file("code.c", "int main(void) { return 0; }\n");
    let program = scene.path("program");
    succeeds("cc", &["-static", "-o", text(&program), text(&source)]);
    let mut bytes = fs::read(&program).unwrap();
    // e_shoff, e_shentsize, e_shnum and e_shstrndx of a 64-bit file; then everything behind the last segment.
    bytes[0x28..0x30].fill(0);
    bytes[0x3a..0x40].fill(0);
    let end = load_end(&bytes);
    bytes.truncate(end);
    fs::write(&program, &bytes).unwrap();
    sign(&program, "p256");
    assert_eq!(scene.word(&program), "embedded vendor");
    succeeds(text(&program), &[]);
}

/// The end of the last segment of a 64-bit little-endian file.
fn load_end(bytes: &[u8]) -> usize {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let count = u16::from_le_bytes(bytes[0x38..0x3a].try_into().unwrap()) as usize;
    (0..count).map(|i| word(0x20) + 56 * i).map(|at| word(at + 8) + word(at + 32)).max().unwrap()
}

#[test]
fn a_32_bit_file_is_signed_too() {
    let scene = Scene::new();
    // Header and one segment with code that calls exit(0); made by hand, because there is no 32-bit compiler here.
    let mut bytes = Vec::new();
    bytes.extend(b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0");
    for word in [0x0804_8054_u32, 52, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    for half in [52_u16, 32, 1, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for word in [1_u32, 0, 0x0804_8000, 0x0804_8000, 96, 96, 5, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"\xb8\x01\0\0\0\x31\xdb\xcd\x80\x90\x90\x90");
    let program = scene.file("program", &bytes);
    sign(&program, "p256");
    assert_eq!(scene.word(&program), "embedded vendor", "{:?}", scene.examine(&program));
    // The page of code belongs to the code alone.
    assert_eq!(section(&program).start, 4096);
}

/// A block of commands of the document, as a script.
pub fn documented(scene: &Scene, name: &str) -> PathBuf {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/signature-format.md");
    let document = fs::read_to_string(document).unwrap();
    let block = document.split(&format!("```sh {name}\n")).nth(1).expect("the commands");
    scene.file(&format!("{name}.sh"), block.split("```").next().unwrap())
}

pub fn bash(scene: &Scene, script: &Path, arguments: &[&Path]) -> Output {
    Command::new("bash").args(["-eu", "-o", "pipefail"]).arg(script).args(arguments).current_dir(scene.folder.path()).output().unwrap()
}

#[test]
fn a_stranger_verifies_by_hand_with_the_documented_commands() {
    let scene = Scene::new();
    let script = documented(&scene, "by-hand");
    let run = |program: &Path| bash(&scene, &script, &[program, &PKI.root.certificate]);
    for kind in ["rsa2048", "rsa3072", "p256", "p384"] {
        let echo = copy(&scene, "/bin/echo");
        sign(&echo, kind);
        let output = run(&echo);
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
        let mut bytes = fs::read(&echo).unwrap();
        bytes[5000] ^= 1;
        fs::write(&echo, bytes).unwrap();
        assert!(!run(&echo).status.success(), "{kind}, changed");
    }
}

#[test]
fn a_stranger_signs_by_hand_with_the_documented_commands() {
    let scene = Scene::new();
    let script = documented(&scene, "sign-by-hand");
    let echo = copy(&scene, "/bin/echo");
    let signer = PKI.signer("rsa3072");
    let chain = signer.chain.as_deref().unwrap();
    let output = bash(&scene, &script, &[&echo, &signer.certificate, &signer.key, chain]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(section(&echo).len(), 8192);
    assert_eq!(scene.word(&echo), "embedded vendor", "{:?}", scene.examine(&echo));
    // And ours replaces it.
    sign(&echo, "p256");
    assert_eq!(scene.word(&echo), "embedded vendor");
    assert_eq!(succeeds(text(&echo), &["hello"]), "hello\n");
}

#[test]
fn every_changed_byte_of_a_signed_file_is_noticed() {
    let scene = Scene::new();
    let program = scene.path("true");
    fs::copy("/bin/true", &program).unwrap();
    sign(&program, "p256");
    let good = fs::read(&program).unwrap();
    let signature = section(&program);
    let examiner = scene.examiner();
    let offsets = (0..good.len()).step_by(97).chain(0..128).chain(good.len() - 600..good.len()).chain(signature.clone().step_by(3));
    for offset in offsets {
        let mut bytes = good.clone();
        bytes[offset] ^= 1 << (offset % 8);
        fs::write(&program, bytes).unwrap();
        let examination = examiner.examine(&enforcer::measure::open(&program).unwrap(), Some(&program), &Facts::at(scene.now)).unwrap();
        assert!(examination.outcome().is_err(), "byte {offset} of {}, signature at {signature:?}", good.len());
    }
    fs::write(&program, [good.as_slice(), b"x"].concat()).unwrap();
    assert_ne!(scene.word(&program), "embedded vendor", "appended");
    fs::write(&program, &good[..good.len() - 1]).unwrap();
    assert_ne!(scene.word(&program), "embedded vendor", "truncated");
    fs::write(&program, &good).unwrap();
    assert_eq!(scene.word(&program), "embedded vendor");
}

#[test]
fn a_signature_section_must_lie_where_it_harms_nothing() {
    let scene = Scene::new();
    let program = scene.path("true");
    fs::copy("/bin/true", &program).unwrap();
    sign(&program, "p256");
    let good = fs::read(&program).unwrap();
    let word = |at: usize| u64::from_le_bytes(good[at..at + 8].try_into().unwrap()) as usize;
    let count = u16::from_le_bytes(good[0x3c..0x3e].try_into().unwrap()) as usize;
    // Its header is the last one; fields: name, type, flags, address, offset, size.
    let header = word(0x28) + 64 * (count - 1);
    let (offset, size) = (word(header + 24), word(header + 32));
    let text_section = (0..count).map(|i| word(0x28) + 64 * i).find(|at| word(at + 8) & 4 != 0).unwrap();
    let cases: [(&str, usize, u64); 10] = [
        ("type PROGBITS", header + 4, 7),
        ("loaded into memory", header + 8, 2),
        ("not inside the file", header + 24, good.len() as u64),
        ("exceeds 64 bits", header + 24, u64::MAX),
        ("not inside the file", header + 32, good.len() as u64),
        ("more than 65536 bytes", header + 32, 65537),
        ("the ELF header", header + 24, 16),
        ("the program headers", header + 24, word(0x20) as u64),
        ("the section headers", header + 24, word(0x28) as u64 - 8),
        ("a page of code", header + 24, word(text_section + 24) as u64),
    ];
    for (expected, at, value) in cases {
        let mut bytes = good.clone();
        if expected == "type PROGBITS" {
            bytes[at] = value as u8;
        } else {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        // Large enough for the section whose size is in question.
        if expected.contains("65536") {
            bytes.resize(offset + size + 70_000, 0);
        }
        fs::write(&program, bytes).unwrap();
        let message = scene.examine(&program).outcome().unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
    // A second section of that name: another header takes its name.
    let mut bytes = good.clone();
    let name = good[header..header + 4].to_vec();
    bytes[text_section..text_section + 4].copy_from_slice(&name);
    fs::write(&program, bytes).unwrap();
    assert!(scene.examine(&program).outcome().unwrap_err().to_string().contains("2 sections"));
    // Something other than zeros behind the signature.
    let mut bytes = good;
    bytes[offset + size - 1] = 1;
    fs::write(&program, bytes).unwrap();
    assert!(scene.examine(&program).outcome().unwrap_err().to_string().contains("other than zeros"));
}

#[test]
fn a_program_with_data_behind_its_image_is_signed_beside() {
    let scene = Scene::new();
    let program = scene.file("selfextracting", [fs::read("/bin/true").unwrap().as_slice(), b"PK archive"].concat());
    let identity = identity(&PKI.signer("p256"));
    assert!(identity.sign(&program, &Destination::Embedded).unwrap_err().to_string().contains("10 bytes follow"));
    let signed = identity.sign(&program, &Destination::Automatic).unwrap();
    assert!(signed.carrier.name() == "detached" && signed.notes[0].contains("10 bytes follow"));
    assert_eq!(scene.word(&program), "detached vendor");
    assert!(openssl_verifies(&program, &scene.path("selfextracting.p7s")));
}

#[test]
fn a_signature_cut_from_another_program_is_refused() {
    let scene = Scene::new();
    let (a, b) = (copy(&scene, "/bin/true"), copy(&scene, "/bin/false"));
    sign(&a, "p256");
    sign(&b, "p256");
    let (from, to) = (section(&a), section(&b));
    let (source, mut target) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
    assert_eq!(from.len(), to.len());
    target[to].copy_from_slice(&source[from]);
    fs::write(&b, target).unwrap();
    assert_eq!(scene.word(&b), "digest-mismatch");
}
