//! Manifests: what is read, and what is refused with its line.

use super::*;

const HEX_DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn parse(text: &str) -> Vec<Result<Entry<'_>, LineError>> {
    entries(text.as_bytes()).collect()
}

#[test]
fn tagged_lines_comments_and_empty_lines() {
    let text = format!("# made by hand\n\nSHA256 (/usr/bin/a) = b) = {HEX_DIGEST}\nFSVERITY-SHA256 (/x) = {HEX_DIGEST}");
    let found: Vec<_> = parse(&text).into_iter().map(Result::unwrap).collect();
    assert_eq!(found[0].path.as_ref(), b"/usr/bin/a) = b");
    assert_eq!(found[0].digest.algorithm, enforcer_common::ALGORITHM_SHA256);
    assert_eq!(found[1].digest.algorithm, enforcer_common::ALGORITHM_FSVERITY_SHA256);
    assert_eq!(found.len(), 2);
}

#[test]
fn what_is_written_is_what_is_read() {
    let digest = Digest::sha256([0xa5; 32]);
    for path in [&b"/plain"[..], b"/new\nline", b"\\back\\slash", b"/r\rn\n\\", b"/\xff\xfe", b"#x"] {
        let mut text = Vec::new();
        let entry = Entry { digest, path: Cow::Borrowed(path) };
        write_entry(&entry, &mut text);
        assert_eq!(entries(&text).collect::<Vec<_>>(), [Ok(entry)]);
    }
}

#[test]
fn the_first_bad_line_is_named_and_ends_the_list() {
    let good = format!("SHA256 (a) = {HEX_DIGEST}\n");
    let cases = [
        (format!("{HEX_DIGEST}  a"), LineProblem::Tag),
        (format!("SHA256 (a) = {}", &HEX_DIGEST[1..]), LineProblem::Digest),
        (format!("SHA256 (a) = {HEX_DIGEST}\r"), LineProblem::Digest),
        (format!("SHA256 (a) = {HEX_DIGEST} "), LineProblem::Digest),
        (format!("SHA256 (a) = g{}", &HEX_DIGEST[1..]), LineProblem::Digest),
        (format!("SHA256 () = {HEX_DIGEST}"), LineProblem::Path),
        (format!("\\SHA256 (a\\x) = {HEX_DIGEST}"), LineProblem::Escape),
        (format!("SHA256 ({}) = {HEX_DIGEST}", "a".repeat(MAX_LINE)), LineProblem::TooLong),
    ];
    for (bad, problem) in cases {
        let text = format!("{good}{bad}\n{good}");
        let found = parse(&text);
        assert_eq!(found.len(), 2, "{bad}");
        assert_eq!(found[1], Err(LineError { line: 2, problem }), "{bad}");
    }
}
