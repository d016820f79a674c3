//! Measuring: what is digested, what is refused, and what is noticed.

use std::io::Write;

use super::*;

/// SHA-256 of "abc" (FIPS 180-4).
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn file_with(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn sha256_is_the_standard_one_and_ignores_the_file_position() {
    assert_eq!(hex(&sha256(&file_with(b"abc"), 3).unwrap().bytes), ABC);
}

#[test]
fn zeroed_bytes_count_as_zeros_wherever_a_buffer_ends() {
    let mut bytes: Vec<u8> = (0..700_000_u32).map(|i| (i % 251 + 1) as u8).collect();
    let file = file_with(&bytes);
    for zeroed in [0..1, 262_143..262_145, 5..524_300, 699_999..700_000, 0..700_000, 7..7] {
        let part = Part { algorithm: Algorithm::Sha384, region: Region::zeroed(zeroed.clone()) };
        let found = measure(&file, &Plan { max_size: u64::MAX, parts: vec![part], witnesses: &[] }).unwrap();
        let original = bytes.clone();
        bytes[zeroed.start as usize..zeroed.end as usize].fill(0);
        assert_eq!(found.parts[0].bytes(), Algorithm::Sha384.digest(&bytes).bytes(), "{zeroed:?}");
        bytes = original;
    }
}

#[test]
fn parts_of_one_file_depart_from_the_whole_each_at_its_own_place() {
    let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i % 251 + 1) as u8).collect();
    let file = file_with(&bytes);
    let places = [0, 1, 63, 64, 262_143, 262_144, 262_145, 524_288, 699_999, 700_000];
    let mut regions: Vec<Region> = places.into_iter().map(Region::up_to).collect();
    regions.extend(places.windows(2).map(|pair| Region::zeroed(pair[0]..pair[1])));
    regions.extend([Region::WHOLE, Region::up_to(800_000), Region { zeroed: 10..20, end: Some(15) }, Region { zeroed: 30..40, end: Some(262_144) }]);
    let part = |algorithm| regions.iter().map(move |region| Part { algorithm, region: region.clone() });
    let parts: Vec<Part> = part(Algorithm::Sha256).chain(part(Algorithm::Sha512)).collect();
    let found = measure(&file, &Plan { max_size: u64::MAX, parts: parts.clone(), witnesses: &[] }).unwrap();
    assert_eq!(found.digest.bytes, Algorithm::Sha256.digest(&bytes).bytes());
    for (part, digest) in parts.iter().zip(found.parts) {
        let mut signed = bytes.clone();
        signed[part.region.zeroed.start as usize..part.region.zeroed.end as usize].fill(0);
        signed.truncate(part.region.end.map_or(usize::MAX, |end| end as usize));
        assert_eq!(digest.bytes(), part.algorithm.digest(&signed).bytes(), "{part:?}");
    }
}

#[test]
fn a_witness_that_no_longer_agrees_is_a_change() {
    let file = file_with(&vec![7; 600_000]);
    for offset in [0, 262_140, 599_992] {
        let same = [Witness { offset, bytes: vec![7; 8] }];
        assert!(measure(&file, &Plan { max_size: u64::MAX, parts: vec![], witnesses: &same }).is_ok());
        for changed in 0..8 {
            let mut other = same.clone();
            other[0].bytes[changed] = 8;
            let outcome = measure(&file, &Plan { max_size: u64::MAX, parts: vec![], witnesses: &other });
            assert!(matches!(outcome, Err(MeasureError::Changed)), "{offset} {changed}");
        }
    }
}

#[test]
fn what_is_not_a_regular_file_is_refused_at_once_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let cases: [(&Path, &str); 4] =
        [(&fifo, "a FIFO"), (&socket, "a socket"), (folder.path(), "a directory"), (Path::new("/dev/null"), "a character device")];
    for (path, expected) in cases {
        match open(path) {
            Err(MeasureError::NotRegular { kind }) => assert_eq!(kind, expected),
            other => panic!("{path:?}: {other:?}"),
        }
    }
}

#[test]
fn a_sparse_file_beyond_the_bound_is_refused_without_reading_it() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(10 << 30).unwrap();
    assert!(matches!(sha256(&file, 1 << 30), Err(MeasureError::TooLarge { size, limit }) if size == 10 << 30 && limit == 1 << 30));
}
