//! Pages that a command prints.

use std::fs;
use std::process::Command;

use super::root;

#[test]
fn the_policys_reference_schema_and_commented_default_are_what_the_program_prints() {
    for (file, words) in [
        ("docs/policy.md", &["policy", "reference"][..]),
        ("docs/policy.schema.json", &["policy", "reference", "--json"]),
        ("policy.toml", &["policy", "default"]),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_enforcer")).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        let kept = fs::read_to_string(root().join(file)).unwrap_or_default();
        let differs = printed.lines().zip(kept.lines()).position(|(printed, kept)| printed != kept).unwrap_or(0) + 1;
        assert!(printed == kept, "{file}:{differs} is not what is printed now: cargo run -p enforcer -- {} > {file}", words.join(" "));
    }
}
