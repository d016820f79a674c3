//! Bytes from attackers: mutated by the thousand, and made to be expensive. Nothing panics, and only unchanged bytes are accepted.

use enforcer::signature::Facts;
use std::fs;
use std::time::{Duration, Instant};

use enforcer::measure;
use enforcer::signature::cms::Signature;
use enforcer::signature::sign::Destination;
use enforcer::signature::{Examiner, manifest};

use crate::pki::{AUTHORITY, PKI, SIGNING, cms_sign, issue, self_signed, text};
use crate::scene::{Scene, rule, word};
use crate::signing::identity;

/// xorshift64*: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit as u64) as usize
    }

    /// A few random edits: bits, bytes, lengths, removals, insertions, copies.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let (at, other) = (self.below(bytes.len()), self.below(bytes.len()));
            match self.below(7) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.below(256) as u8,
                2 => bytes[at] = [0, 1, 0x7f, 0x80, 0x82, 0x84, 0xff, 0x30][self.below(8)],
                3 => bytes.truncate(at.max(1)),
                4 => bytes.insert(at, self.below(256) as u8),
                5 => drop(bytes.drain(at.min(other)..at.min(other) + (at.max(other) - at.min(other)).min(16))),
                _ => {
                    let piece = bytes[at..bytes.len().min(at + 16)].to_vec();
                    bytes.splice(other..other, piece);
                }
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
    }
}

#[test]
fn mutated_signatures_never_panic_and_are_never_accepted() {
    let scene = Scene::new();
    let file = scene.file("program", "content");
    let path = scene.path("program.p7s");
    let mut numbers = Numbers(0x0e1f_0c3d);
    let mut parsed = 0;
    for (kind, arguments) in [("p256", &[][..]), ("rsa2048", &["-noattr"]), ("p384", &["-keyid"]), ("rsa3072", &["-cades", "-md", "sha512"])] {
        cms_sign(&file, &PKI.signer(kind), arguments, &path);
        let good = fs::read(&path).unwrap();
        let examiner = scene.examiner();
        let opened = measure::open(&file).unwrap();
        assert_eq!(word(&examiner.examine(&opened, Some(&file), &Facts::at(scene.now)).unwrap()), "detached vendor");
        for round in 0..1500 {
            let mut bytes = good.clone();
            numbers.mutate(&mut bytes);
            if bytes == good {
                continue;
            }
            parsed += usize::from(Signature::parse(&bytes).is_ok());
            fs::write(&path, &bytes).unwrap();
            let examination = examiner.examine(&opened, Some(&file), &Facts::at(scene.now)).unwrap();
            assert!(examination.outcome().is_err(), "{kind}, round {round}: accepted");
        }
    }
    assert!(parsed > 500, "only {parsed} mutations reach the verifier");
}

#[test]
fn mutated_elf_files_never_panic_and_are_never_accepted() {
    let scene = Scene::new();
    let path = scene.path("program");
    fs::copy("/bin/true", &path).unwrap();
    identity(&PKI.signer("p256")).sign(&path, &Destination::Embedded).unwrap();
    let good = fs::read(&path).unwrap();
    let examiner = scene.examiner();
    let check = |bytes: &[u8], what: &dyn Fn() -> String| {
        fs::write(&path, bytes).unwrap();
        let file = measure::open(&path).unwrap();
        assert!(examiner.examine(&file, Some(&path), &Facts::at(scene.now)).unwrap().outcome().is_err(), "{}", what());
    };
    let mut numbers = Numbers(0x00c0_ffee);
    for round in 0..1500 {
        let mut bytes = good.clone();
        numbers.mutate(&mut bytes);
        if bytes != good {
            check(&bytes, &|| format!("round {round}"));
        }
    }
    // The headers are where it hurts: every field of them becomes an extreme number.
    let word = |at: usize| u64::from_le_bytes(good[at..at + 8].try_into().unwrap()) as usize;
    let sections = word(0x28);
    let fields = (16..64).step_by(2).chain((64..64 + 56 * 4).step_by(4)).chain((sections..good.len() - 8).step_by(4));
    for at in fields {
        for value in [0_u64, 1, u64::from(u16::MAX), u64::from(u32::MAX), i64::MAX as u64, u64::MAX, good.len() as u64] {
            for width in [2, 4, 8] {
                let mut bytes = good.clone();
                bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
                if bytes != good && numbers.below(12) == 0 {
                    check(&bytes, &|| format!("header field at {at}, {width} bytes, {value:#x}"));
                }
            }
        }
    }
}

#[test]
fn mutated_manifests_never_panic() {
    let line = "SHA256 (/usr/bin/true) = ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
    let good = format!("# manifest\n{line}\\{line}FSVERITY-{line}");
    assert_eq!(manifest::entries(good.as_bytes()).filter(Result::is_ok).count(), 3);
    let mut numbers = Numbers(1);
    for _ in 0..20_000 {
        let mut bytes = good.clone().into_bytes();
        numbers.mutate(&mut bytes);
        for entry in manifest::entries(&bytes).flatten() {
            let mut text = Vec::new();
            manifest::write_entry(&entry, &mut text);
            assert_eq!(manifest::entries(&text).collect::<Vec<_>>(), [Ok(entry)]);
        }
    }
}

#[test]
fn signatures_made_to_be_expensive_are_refused_at_once() {
    /// DER of one value; lengths up to 64 KiB.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        match content.len() {
            length @ 0..=127 => bytes.push(length as u8),
            length => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        [bytes, content.to_vec()].concat()
    }
    let oid = |bytes: &[u8]| der(6, bytes);
    let (data, signed) = (oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"), oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"));
    let sha256 = der(0x30, &oid(b"\x60\x86\x48\x01\x65\x03\x04\x02\x01"));
    let version = der(2, &[1]);
    let wrap = |digests: &[u8], certificates: &[u8], signers: &[u8]| {
        let content = [version.clone(), der(0x31, digests), der(0x30, &data), der(0xa0, certificates), der(0x31, signers)].concat();
        der(0x30, &[signed.clone(), der(0xa0, &der(0x30, &content))].concat())
    };
    let attributes: Vec<u8> = (0..6000_u16).rev().flat_map(|i| der(0x30, &[2, 2, (i >> 8) as u8, i as u8])).collect();
    let name = der(0x30, &der(0x31, &attributes));
    let signer = |sid: &[u8], attributes: &[u8]| {
        let algorithm = der(0x30, &oid(b"\x2a\x86\x48\xce\x3d\x04\x03\x02"));
        der(0x30, &[version.clone(), sid.to_vec(), sha256.clone(), der(0xa0, attributes), algorithm, der(4, &[0; 64])].concat())
    };
    let sid = der(0x30, &[der(0x30, &[]), der(2, &[1])].concat());
    let hostile = [
        wrap(&sha256.repeat(4000), &[], &[]),
        wrap(&sha256, &der(0x30, &[]).repeat(30_000), &[]),
        wrap(&sha256, &[], &der(0x30, &[]).repeat(30_000)),
        wrap(&sha256, &[], &signer(&sid, &attributes)),
        wrap(&sha256, &[], &signer(&der(0x30, &[name, der(2, &[1])].concat()), &[])),
        der(0x30, &[0x30; 60_000]),
        [0x30, 0x84, 0xff, 0xff, 0xff, 0xff].repeat(1000),
    ];
    for (index, bytes) in hostile.iter().enumerate() {
        let began = Instant::now();
        assert!(Signature::parse(bytes).is_err(), "{index}");
        // Refused in microseconds; the bound is wide because other tests run beside this one.
        assert!(began.elapsed() < Duration::from_millis(500), "{index}: {:?}", began.elapsed());
    }
}

#[test]
fn certificates_that_certify_each_other_in_every_order_are_given_up_once_and_for_all() {
    let mut scene = Scene::new();
    scene.signers = vec![rule("one", &[&PKI.root.certificate], &[]), rule("other", &[&PKI.root.certificate], &[])];
    // All have one name, so that each may have issued each.
    let authorities: Vec<_> = (0..15)
        .map(|number| {
            let folder = scene.path(&number.to_string());
            fs::create_dir(&folder).unwrap();
            self_signed(&folder, "x", "p256", AUTHORITY)
        })
        .collect();
    let signer = issue(scene.folder.path(), "signer", "p256", SIGNING, &authorities[0], &["-days", "9"]);
    let bundle = authorities.iter().chain([&signer]).map(|one| fs::read_to_string(&one.certificate).unwrap()).collect::<String>();
    let bundle = scene.file("bundle", bundle);
    let file = scene.file("program", "content");
    let again = ["-signer", text(&signer.certificate), "-inkey", text(&signer.key)];
    cms_sign(&file, &signer, &[&["-nocerts", "-certfile", text(&bundle)], &again[..], &again].concat(), &scene.path("program.p7s"));
    assert_eq!(Signature::parse(&fs::read(scene.path("program.p7s")).unwrap()).unwrap().statements.len(), 3);
    let examination = scene.examine(&file);
    assert!(examination.outcome().unwrap_err().to_string().contains("MaximumPathBuildCalls"), "{:?}", examination.outcome());
    assert_eq!(examination.attempts[0].signers.len(), 1, "the others are not even tried");
}

#[test]
fn a_name_table_without_an_end_is_not_searched_for_each_section() {
    let scene = Scene::new();
    let (count, names) = (65_000_u64, vec![b'A'; 4 << 20]);
    let names_at = 64 + 64 * count;
    // Field by field, as <elf.h> has them: what is not set is zero.
    let mut file = vec![0; names_at as usize];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    for (at, value) in [(0x10, 2_u64), (0x12, 62), (0x14, 1), (0x34, 64), (0x36, 56), (0x3a, 64), (0x3c, count), (0x3e, 1)] {
        file[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
    }
    file[0x28..0x30].copy_from_slice(&64_u64.to_le_bytes());
    file[128 + 4..128 + 8].copy_from_slice(&3_u32.to_le_bytes());
    file[128 + 24..128 + 32].copy_from_slice(&names_at.to_le_bytes());
    file[128 + 32..128 + 40].copy_from_slice(&(names.len() as u64).to_le_bytes());
    let path = scene.file("program", [file, names].concat());
    let began = Instant::now();
    assert_eq!(scene.word(&path), "unsigned");
    // A fraction of a second; it was minutes. The bound is wide because other tests run beside this one.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_manifest_of_a_hundred_thousand_files_loads_at_once() {
    let mut scene = Scene::new();
    let mut text = Vec::new();
    for number in 0..100_000_u32 {
        let digest = measure::Algorithm::Sha256.digest(&number.to_le_bytes());
        let digest = enforcer_common::Digest::sha256(digest.bytes().try_into().unwrap());
        let path = format!("/usr/lib/x86_64-linux-gnu/some/folder/library-{number}.so");
        manifest::write_entry(&manifest::Entry { digest, path: path.as_bytes().into() }, &mut text);
    }
    let path = scene.file("large.manifest", text);
    cms_sign(&path, &PKI.signer("p256"), &[], &scene.path("large.manifest.p7s"));
    scene.sources.manifests = vec![path];
    let began = Instant::now();
    let examiner = scene.examiner();
    let elapsed = began.elapsed();
    assert_eq!(examiner.manifest_entries().count(), 100_000, "{:?}", examiner.manifest_errors());
    println!("100,000 entries in {elapsed:?}");
    // Well under a second when optimised; this is the unoptimised build beside other tests, on a machine that may be busy. Looking through all for each would
    // take many minutes.
    assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
    assert_eq!(scene.word(&scene.file("known", 77_u32.to_le_bytes())), "manifest vendor");
}

#[test]
fn an_examiner_is_shared_among_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Examiner>();
}

#[test]
fn the_signer_survives_hostile_elf_files_and_what_it_signs_verifies() {
    let scene = Scene::new();
    let good = fs::read("/bin/true").unwrap();
    let identity = identity(&PKI.signer("p256"));
    let path = scene.path("program");
    let mut numbers = Numbers(0x5eed);
    let word = |at: usize| u64::from_le_bytes(good[at..at + 8].try_into().unwrap()) as usize;
    let mut refused = 0;
    for _ in 0..300 {
        let mut bytes = good.clone();
        let at = [16 + numbers.below(48), 64 + numbers.below(56 * 11), word(0x28) + numbers.below(good.len() - word(0x28))][numbers.below(3)];
        bytes[at] = [0, 1, 0x7f, 0xff, numbers.below(256) as u8][numbers.below(5)];
        fs::write(&path, &bytes).unwrap();
        match identity.sign(&path, &Destination::Embedded) {
            Ok(_) => assert_eq!(scene.word(&path), "embedded vendor", "byte {at}"),
            Err(_) => {
                refused += 1;
                assert_eq!(fs::read(&path).unwrap(), bytes, "byte {at}: a refused file is as it was");
            }
        }
    }
    assert!((1..299).contains(&refused), "{refused} of 300 refused");
    assert_eq!(fs::read_dir(scene.folder.path()).unwrap().count(), 1, "no draft is left behind");
}
