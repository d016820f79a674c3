//! Every seed of the fuzzers, and every input that they ever found, through the same functions and held to the same limits.

use std::collections::BTreeSet;

use enforcer_fuzz::limits::Meter;
use enforcer_fuzz::{TARGETS, dictionaries, inputs, target};

#[global_allocator]
static METER: Meter = Meter;

/// One test, so that nothing else allocates while an input is measured.
#[test]
fn every_seed_and_every_input_that_was_found_is_survived_within_the_limits() {
    let inputs = inputs().unwrap();
    let seeded: BTreeSet<&str> = inputs.iter().filter(|input| input.path.starts_with(seeds())).map(|input| input.target.as_str()).collect();
    let named: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(seeded, named, "each target has a folder of seeds, and each folder a target");
    for name in dictionaries().unwrap() {
        assert!(named.contains(name.as_str()), "the dictionary `{name}` belongs to no target");
    }
    TARGETS.iter().for_each(|target| target.prepare());
    let mut failed = Vec::new();
    for input in &inputs {
        let target = target(&input.target).unwrap();
        // The panic's own message goes to stderr, and this after it.
        if std::panic::catch_unwind(|| target.run(&input.bytes)).is_err() {
            failed.push(input.path.display().to_string());
        }
    }
    assert!(failed.is_empty(), "not survived:\n{}", failed.join("\n"));
}

fn seeds() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").canonicalize().unwrap()
}
