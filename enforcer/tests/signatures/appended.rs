//! Signatures behind a file's bytes: only where nobody reads on into them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use enforcer::signature::sign::Destination;

use crate::pki::{PKI, cms_sign, text};
use crate::scene::{Scene, rule};
use crate::signing::identity;

/// A file with a good detached signature, as somebody makes one of it who has no key: the signature put behind the content, in the kernel's format.
fn appended(scene: &Scene, name: &str, content: &[u8]) -> PathBuf {
    let file = scene.file("original", content);
    let signature = scene.path("original.p7s");
    cms_sign(&file, &PKI.signer("p256"), &["-binary"], &signature);
    assert_eq!(scene.word(&file), "detached vendor");
    let signature = fs::read(signature).unwrap();
    let length = u32::try_from(signature.len()).unwrap().to_be_bytes();
    scene.file(name, [content, &signature, &[0, 0, 2, 0, 0, 0, 0, 0], &length, b"~Module signature appended~\n"].concat())
}

#[test]
fn a_script_is_read_on_behind_its_content_and_so_bears_no_signature_there() {
    let scene = Scene::new();
    let script = appended(&scene, "script", b"#!/bin/sh\ntrue\n");
    assert_eq!(scene.word(&script), "bad-signature-format");
    let refused = identity(&PKI.signer("p256")).sign(&scene.path("original"), &Destination::Appended).unwrap_err();
    assert!(refused.to_string().contains("only ELF files") && refused.hint().unwrap().contains("--detach"), "{refused}");
}

#[test]
fn an_elf_file_bears_one_where_its_image_ends_and_nowhere_else() {
    let mut scene = Scene::new();
    let program = fs::read("/bin/true").unwrap();
    let path = appended(&scene, "program", &program);
    assert_eq!(scene.word(&path), "appended vendor");
    // An archive that the program itself may look for at its end.
    let archive = appended(&scene, "archive", &[&program[..], b"PK\x05\x06"].concat());
    assert_eq!(scene.word(&archive), "bad-signature-format");
    // Headers that speak of bytes behind the content.
    let truncated = appended(&scene, "truncated", &program[..program.len() - 1]);
    assert_eq!(scene.word(&truncated), "bad-signature-format");
    let own = scene.path("own");
    fs::copy("/bin/true", &own).unwrap();
    let signer = PKI.signer("p256");
    identity(&signer).sign(&own, &Destination::Appended).unwrap();
    // It leaves the certificates out.
    scene.signers = vec![rule("pinned", &[], &[&signer.certificate])];
    assert_eq!(scene.word(&own), "appended pinned");
}

#[test]
fn a_signature_never_lies_in_a_page_of_code() {
    let scene = Scene::new();
    let program = scene.path("program");
    fs::copy("/bin/true", &program).unwrap();
    // Without section headers and whatever else is not loaded, and then without what follows the code.
    let bytes = fs::read(&program).unwrap();
    let code_end = code_end(&program);
    let mut image = bytes[..code_end].to_vec();
    image[0x28..0x30].fill(0);
    image[0x3c..0x40].fill(0);
    // Segments behind the code are declared empty.
    let headers = 64..64 + 56 * usize::from(u16::from_le_bytes([bytes[0x38], bytes[0x39]]));
    for at in headers.step_by(56) {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        if word(at + 8) + word(at + 32) > code_end {
            image[at..at + 56].fill(0);
        }
    }
    assert_ne!(code_end % 4096, 0, "the last page of code goes on behind it");
    let path = appended(&scene, "image", &image);
    assert_eq!(scene.word(&path), "bad-signature-format");
}

/// Where `readelf` says that the executable segment ends.
fn code_end(program: &Path) -> usize {
    let output = Command::new("readelf").args(["-lW", text(program)]).output().unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    let line = listing.lines().find(|line| line.contains("LOAD") && line.contains("R E")).expect("a segment with code");
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |word: &str| usize::from_str_radix(word.trim_start_matches("0x"), 16).unwrap();
    number(words[1]) + number(words[4])
}
