//! The whole decision: whatever is done to a signature or to the file around it, nothing is accepted that was not signed.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use enforcer::measure;
use enforcer::policy::Policy;
use enforcer::signature::cms::{Signature, Signed};
use enforcer::signature::{Carrier, Examiner, Facts};
use object::{Object, ObjectSection};
use tempfile::TempDir;

use crate::scene;

/// What was really signed, and the policy that trusts its signer.
struct Originals {
    policy: Policy,
    examiner: Examiner,
    /// Programs with a signature inside, and the bytes of the section.
    embedded: Vec<(Vec<u8>, std::ops::Range<usize>)>,
    /// An object file, as kernel modules are, whose signature lies behind it.
    appended: Vec<u8>,
    /// What is signed of scripts with a signature in comments, and the marks of these.
    commented: Vec<(Vec<u8>, &'static [u8])>,
    manifest: Vec<u8>,
    /// What was signed of the script and of the manifest: signed attributes and value.
    statements: Vec<(Option<Vec<u8>>, Vec<u8>)>,
    folder: TempDir,
}

static ORIGINALS: LazyLock<Originals> = LazyLock::new(Originals::load);

pub(super) fn prepare() {
    let originals = LazyLock::force(&ORIGINALS);
    // What follows would hold of an examiner that accepts nothing, too.
    let carrier = |name| originals.carrier_of(&scene::bytes(name)).map(|carrier| carrier.name());
    // A script would go on into what is appended to it, so it cannot bear a signature there, however good.
    assert_eq!(["program64", "program32", "script.module"].map(carrier), [Some("embedded"), Some("embedded"), None]);
    assert_eq!(carrier("program.module"), Some("appended"));
    assert_eq!(SCRIPTS.map(|(name, _)| carrier(name)), [Some("comment"); 2]);
    for signature in signatures() {
        let bytes = fs::read(&signature).expect("readable");
        if signature.ends_with("manifest.p7s") {
            assert!(originals.is_in_force(&bytes, "list.manifest.p7s") && originals.is_in_force(&originals.manifest, "signed.manifest"));
        } else {
            fs::write(originals.place("script.p7s"), bytes).expect("writable");
            assert!(originals.accepts("script"), "{}", signature.display());
        }
    }
}

/// The signatures that were really made.
fn signatures() -> Vec<PathBuf> {
    fs::read_dir(scene::path("signatures")).expect("the scene's signatures").map(|entry| entry.expect("readable").path()).collect()
}

impl Originals {
    fn load() -> Self {
        let policy = scene::policy();
        let examiner = scene::examiner(&policy);
        let mut statements = Vec::new();
        for path in signatures() {
            let signature = Signature::parse(&fs::read(&path).expect("readable")).expect("the scene's signatures are well-formed");
            statements.extend(signature.statements.into_iter().map(|statement| (attributes(&statement.signed), statement.value)));
        }
        let folder = tempfile::tempdir().expect("a folder for files");
        let (script, manifest) = (scene::bytes("script"), scene::bytes("manifest"));
        let place = |name: &str| folder.path().join(name);
        fs::write(place("script"), &script).expect("writable");
        fs::write(place("other"), [&script[..], b"#"].concat()).expect("writable");
        std::os::unix::fs::symlink("script.p7s", place("other.p7s")).expect("writable");
        fs::write(place("list.manifest"), &manifest).expect("writable");
        fs::write(place("signed.manifest.p7s"), scene::bytes("signatures/manifest.p7s")).expect("writable");
        let embedded = ["program64", "program32"].map(|name| {
            let bytes = scene::bytes(name);
            let (at, size) = object::File::parse(&bytes[..])
                .ok()
                .and_then(|file| file.section_by_name(".enforcer.signature")?.file_range())
                .expect("the scene's programs have a signature");
            (bytes, at as usize..(at + size) as usize)
        });
        let commented = SCRIPTS.map(|(name, marks)| {
            let mut signed = scene::bytes(name);
            let first_line = signed.windows(FIRST_LINE.len()).position(|window| window == FIRST_LINE);
            signed.truncate(first_line.expect("the scene's scripts have a signature") + FIRST_LINE.len());
            (signed, marks)
        });
        let (embedded, commented, appended) = (embedded.into(), commented.into(), scene::bytes("program64.o"));
        Self { policy, examiner, embedded, appended, commented, manifest, statements, folder }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where a file without a name was accepted, if it was.
    fn carrier_of(&self, content: &[u8]) -> Option<Carrier> {
        let file = scene::memory_file(content);
        let examination = self.examiner.examine(&file, None, &Facts::at(scene::now())).expect("a memfd can be read");
        let verified = examination.outcome().ok()?;
        assert_eq!(verified.signer_name(), scene::SIGNER);
        assert!(verified.covers(&examination.digest));
        Some(verified.carrier().clone())
    }

    /// Whether the file that was accepted is what somebody signed.
    fn assert_signed(&self, content: &[u8]) {
        match self.carrier_of(content) {
            None => {}
            Some(Carrier::Embedded) => {
                let outside = |original: &[u8], section: &std::ops::Range<usize>| {
                    content.len() == original.len()
                        && content[..section.start] == original[..section.start]
                        && content[section.end..] == original[section.end..]
                };
                assert!(self.embedded.iter().any(|(original, section)| outside(original, section)), "accepted, and changed outside of its signature");
            }
            Some(Carrier::Appended) => {
                let end = content.len() - TRAILER;
                let length = content[end + 8..end + 12].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
                assert_eq!(content[..end - length], self.appended, "accepted, and its content is not what was signed");
            }
            Some(Carrier::Comment) => {
                let rest = |(signed, marks): &(Vec<u8>, &'static [u8])| Some((content.strip_prefix(&signed[..])?, *marks));
                let (rest, marks) = self.commented.iter().find_map(rest).expect("accepted, and its content is not what was signed");
                let lines: Vec<&[u8]> = rest.strip_suffix(b"\n").expect("the last line has an end").split(|byte| *byte == b'\n').collect();
                let (last, others) = lines.split_last().expect("a split has parts");
                let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
                let is_harmless = |line: &[u8]| line.strip_prefix(marks).is_some_and(|text| text.len() <= 64 && text.iter().all(is_base64));
                assert!(others.iter().all(|line| is_harmless(line)), "accepted, and a line that is not signed holds more than base64");
                assert_eq!(last.strip_prefix(marks), Some(&b"-----END CMS-----"[..]), "accepted, and its last line is another one");
            }
            Some(other) => panic!("nobody signed so that it could be accepted by its {other}"),
        }
    }
}

/// A file that begins like a program.
pub(super) fn elf(input: &[u8]) {
    ORIGINALS.assert_signed(input);
}

/// A file that ends like a kernel module.
pub(super) fn trailer(input: &[u8]) {
    ORIGINALS.assert_signed(input);
    // Whatever it is, it may be what is left when the marker is added.
    ORIGINALS.assert_signed(&[input, b"~Module signature appended~\n"].concat());
}

/// A script that ends in comments.
pub(super) fn comment(input: &[u8]) {
    ORIGINALS.assert_signed(input);
    // Or what follows one that was signed.
    for (signed, _) in &ORIGINALS.commented {
        ORIGINALS.assert_signed(&[signed, input].concat());
    }
}

/// A signature, and what it is said to sign: the first byte says what.
pub(super) fn signature(input: &[u8]) {
    let Some((choice, input)) = input.split_first() else { return };
    match choice % 4 {
        0 | 1 => detached(input),
        2 if ORIGINALS.is_in_force(input, "list.manifest.p7s") => ORIGINALS.assert_genuine(input),
        3 if ORIGINALS.is_in_force(input, "signed.manifest") => assert_eq!(input, ORIGINALS.manifest, "a manifest is in force that nobody signed"),
        _ => {}
    }
}

fn detached(input: &[u8]) {
    let originals = &*ORIGINALS;
    fs::write(originals.place("script.p7s"), input).expect("writable");
    assert!(!originals.accepts("other"), "accepted for a content that nobody signed");
    if originals.accepts("script") {
        originals.assert_genuine(input);
    }
}

impl Originals {
    /// Whether a file of the folder is accepted with what lies beside it.
    fn accepts(&self, name: &str) -> bool {
        let path = self.place(name);
        let file = measure::open(&path).expect("it was written");
        self.examiner.examine(&file, Some(&path), &Facts::at(scene::now())).expect("readable").outcome().is_ok()
    }

    /// Whether a manifest is in force when this is written to `name`: the manifest itself, or its signature.
    fn is_in_force(&self, content: &[u8], name: &str) -> bool {
        fs::write(self.place(name), content).expect("writable");
        let mut policy = self.policy.clone();
        policy.sources.manifests = vec![self.place(name.trim_end_matches(".p7s"))];
        let examiner = scene::examiner(&policy);
        let in_force = examiner.manifest_errors().is_empty();
        assert!(in_force || examiner.manifest_entries().count() == 0, "a manifest that is not in force vouches for something");
        in_force
    }

    /// Its values and its signed attributes are those of signatures that were really made. Certificates that it does not need, unsigned attributes
    /// and the form of its lengths are nobody's word, and may differ.
    fn assert_genuine(&self, signature: &[u8]) {
        let parsed = Signature::parse(signature).expect("it was accepted");
        for statement in parsed.statements {
            let claimed = (attributes(&statement.signed), statement.value);
            assert!(self.statements.contains(&claimed), "accepted, and nobody made this signature");
        }
    }
}

fn attributes(signed: &Signed) -> Option<Vec<u8>> {
    match signed {
        Signed::Attributes(attributes) => Some(attributes.der.clone()),
        Signed::Content | Signed::FsVerity => None,
    }
}

/// `struct module_signature` and the marker.
const TRAILER: usize = 12 + 28;
/// The scene's scripts with a signature in comments, and what their lines begin with.
const SCRIPTS: [(&str, &[u8]); 2] = [("script.comment", b"# "), ("tool.js", b"// ")];
/// How the last line that is signed of them ends.
const FIRST_LINE: &[u8] = b" -----BEGIN CMS-----\n";
