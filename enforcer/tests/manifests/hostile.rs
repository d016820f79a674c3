//! Packages that were made to do harm: cut off, swollen, and with paths that lead elsewhere.

use std::fs;

use enforcer::inventory::{ArchiveError, Bounds, deb};

use crate::deb::{assemble, build};
use crate::workshop::{Workshop, code};

/// Bounds that a test can reach.
const SMALL: Bounds = Bounds { unpacked: 8 << 20, unpacked_freely: 1 << 20, ratio: 100, entries: 1000, names: 64 << 10, path: 256 };

#[test]
fn a_package_cut_off_anywhere_is_refused() {
    let workshop = Workshop::new();
    let tree = workshop.path("tree");
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::copy("/bin/true", tree.join("usr/bin/tool")).unwrap();
    for compression in ["xz", "zstd", "gzip", "none"] {
        let package = fs::read(build(&workshop, &tree, compression)).unwrap();
        let whole = deb::read(&package[..], &Bounds::default()).unwrap();
        assert_eq!(code(&whole).len(), 1);
        for length in (0..package.len()).step_by(64).chain(package.len().saturating_sub(8)..package.len()) {
            // `ar` pads the last member to an even length, which says nothing.
            let outcome = deb::read(&package[..length], &Bounds::default());
            let harmless = outcome.as_ref().is_ok_and(|contents| length + 1 == package.len() && contents.files == whole.files);
            assert!(outcome.is_err() || harmless, "{compression}: {length} of {}", package.len());
        }
    }
}

#[test]
fn a_package_with_a_changed_byte_never_panics_nor_passes_for_the_original() {
    let workshop = Workshop::new();
    let tree = workshop.path("tree");
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::write(tree.join("usr/bin/script"), "#!/bin/sh\n").unwrap();
    workshop.run("chmod", &["755", tree.join("usr/bin/script").to_str().unwrap()]);
    for compression in ["xz", "zstd", "gzip", "none"] {
        let mut package = fs::read(build(&workshop, &tree, compression)).unwrap();
        let original = deb::read(&package[..], &SMALL).unwrap().digest;
        for at in 0..package.len() {
            for change in [0x01, 0x80, 0xff] {
                package[at] ^= change;
                if let Ok(contents) = deb::read(&package[..], &SMALL) {
                    assert_ne!(contents.digest, original, "{compression}: byte {at}");
                }
                package[at] ^= change;
            }
        }
    }
}

#[test]
fn decompression_bombs_are_refused_before_they_burst() {
    let workshop = Workshop::new();
    for (name, compressor) in [("data.tar.xz", "xz"), ("data.tar.zst", "zstd"), ("data.tar.gz", "gzip")] {
        workshop.run("sh", &["-c", &format!("head -c 64M /dev/zero > zeros; tar -cf - zeros | {compressor} -9 > {name}")]);
        let bomb = fs::read(workshop.path(name)).unwrap();
        let package = assemble(&workshop, &[("debian-binary", b"2.0\n"), ("control.tar", b""), (name, &bomb)]);
        let bounds = Bounds { unpacked: 1 << 30, ..SMALL };
        let outcome = deb::read(&fs::read(package).unwrap()[..], &bounds);
        assert!(matches!(outcome, Err(deb::DebError::Files(ArchiveError::Bomb { .. }))), "{name}: {outcome:?}");
    }
}

/// What becomes of a data.tar that this shell script writes to its stdout.
fn outcome_of(script: &str) -> Result<Vec<String>, ArchiveError> {
    let workshop = Workshop::new();
    let archive = workshop.run("sh", &["-euc", script]);
    let package = assemble(&workshop, &[("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar", &archive)]);
    match deb::read(&fs::read(package).unwrap()[..], &SMALL) {
        Ok(contents) => Ok(contents.files.iter().map(|file| file.path.to_str().unwrap().to_owned()).collect()),
        Err(deb::DebError::Files(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    assert!(matches!(outcome_of("echo x > f; tar -P -cf - --transform 's,f,../f,' f"), Err(ArchiveError::Path(path)) if path == "../f"));
    assert!(matches!(outcome_of("echo x > f; tar -P -cf - --transform 's,f,a/../../f,' f"), Err(ArchiveError::Path(_))));
    assert_eq!(outcome_of("echo x > f; tar -P -cf - --transform 's,f,/etc//./f,' f").unwrap(), ["/etc/f"], "as dpkg does, below its root");
    let long = "n".repeat(120);
    let script = format!("mkdir -p {long}/{long}/{long}; echo x > {long}/{long}/{long}/f; tar -cf - {long}");
    assert!(matches!(outcome_of(&script), Err(ArchiveError::LongPath { .. })));
}

#[test]
fn links_that_lead_nowhere_or_in_circles_are_refused() {
    let circle = "ln -s b a; ln -s a b; tar -cf - a b > t; rm a; mkdir a; echo x > a/f; tar -rf t a/f; cat t";
    assert!(matches!(outcome_of(circle), Err(ArchiveError::Loop(_))));
    let dangling = "echo x > a; ln a b; tar -cf t a b; tar --delete -f t a; cat t";
    assert!(matches!(outcome_of(dangling), Err(ArchiveError::HardLink { .. })), "{:?}", outcome_of(dangling));
    let climbing = "ln -s ../../../../etc a; tar -cf t a; rm a; mkdir a; echo x > a/f; tar -rf t a/f; cat t";
    assert_eq!(outcome_of(climbing).unwrap(), ["/etc/f"], "the root has no parent");
    assert!(matches!(outcome_of("echo x > a; tar -cf t a; rm a; mkdir a; echo x > a/f; tar -rf t a/f; cat t"), Err(ArchiveError::Parent(_))));
}

#[test]
fn the_last_of_several_entries_with_one_name_counts() {
    let twice = "echo x > a; tar -cf t a; echo longer > a; tar -rf t a; cat t";
    assert_eq!(outcome_of(twice).unwrap(), ["/a"]);
    let replaced = "mkdir d; echo x > d/f; tar -cf t d; rm -r d; echo y > d; tar -rf t d; cat t";
    assert_eq!(outcome_of(replaced).unwrap(), ["/d"], "a file in the place of a folder takes its files away");
}

#[test]
fn too_many_entries_names_and_headers_are_refused() {
    let many = "seq 1 1500 | xargs touch; tar -cf - $(seq 1 1500)";
    assert!(matches!(outcome_of(many), Err(ArchiveError::TooManyEntries { limit: 1000 })));
    let names = "for i in $(seq 1 500); do touch $(printf '%0200d' $i); done; tar -cf - 0*";
    assert!(matches!(outcome_of(names), Err(ArchiveError::TooManyNames { .. })));
    let header = "python3 -c \"import tarfile,sys; t=tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.PAX_FORMAT); \
                  i=tarfile.TarInfo('f'); i.pax_headers={'comment':'x'*(5<<20)}; t.addfile(i); t.close()\"";
    assert!(matches!(outcome_of(header), Err(ArchiveError::LongHeader { .. })), "{:?}", outcome_of(header));
}

#[test]
fn sparse_files_are_read_with_their_holes_or_refused() {
    let gnu = "truncate -s 200000 f; printf x | dd of=f bs=1 seek=100000 conv=notrunc status=none; tar -S --format=gnu -cf - f";
    assert_eq!(outcome_of(gnu).unwrap(), ["/f"]);
    let posix = "truncate -s 200000 f; printf x | dd of=f bs=1 seek=100000 conv=notrunc status=none; tar -S --format=posix -cf - f";
    assert!(matches!(outcome_of(posix), Err(ArchiveError::Unsupported { .. })));
    let endless = "truncate -s 4T f; tar -S --format=gnu -cf - f";
    assert!(matches!(outcome_of(endless), Err(ArchiveError::TooLarge { .. })), "{:?}", outcome_of(endless));
}
