//! What a policy may say, and what is said about a wrong one.

use std::path::Path;

use super::*;

const HEAD: &str = "version = 1\nmode = \"audit\"\n";

#[test]
fn the_shortest_policy_gets_every_default() {
    let policy = parse(HEAD).unwrap();
    assert_eq!(policy.mode, Mode::Audit);
    assert_eq!(policy.sources, Sources::default());
    assert_eq!(policy.memory, Memory::default());
    assert_eq!(policy.filesystems, Filesystems::default());
    assert_eq!(policy.limits, Limits::default());
    assert_eq!(policy.scan, [Path::new("/usr"), Path::new("/opt")]);
}

#[test]
fn what_is_written_is_what_is_settled() {
    let policy = parse(
        r#"
        version = 1
        mode = "enforce"
        [[signer]]
        name = "vendor"
        certificates = ["/etc/enforcer/trust/vendor.pem"]
        allow = ["library"]
        [[signer]]
        name = "operations"
        anchors = ["/etc/enforcer/trust/ca.pem"]
        [sources]
        manifests = []
        stores = ["/srv/signatures"]
        [scan]
        paths = ["/srv"]
        [memory]
        anonymous = "audit"
        writable-and-executable = "allow"
        tracing = "audit"
        [filesystems]
        foreign = "allow"
        [kernel]
        modules-from-memory = "audit"
        firmware = "deny"
        [limits]
        max-file-size = "16 MiB"
        max-verdicts = 4096
        first-use-deadline-ms = 250
        first-use-deadline-per-mib-ms = 0
        max-waiting = 8
        "#,
    )
    .unwrap();
    assert_eq!(policy.mode, Mode::Enforce);
    let names: Vec<_> = policy.signers.iter().map(|signer| (signer.name.as_str(), signer.uses)).collect();
    assert_eq!(names, [("vendor", enforcer_common::USE_LIBRARY), ("operations", enforcer_common::USE_EXEC | enforcer_common::USE_LIBRARY)]);
    assert_eq!(policy.signers[0].pinned, [Path::new("/etc/enforcer/trust/vendor.pem")]);
    assert_eq!(policy.sources, Sources { manifests: vec![], stores: vec!["/srv/signatures".into()] });
    assert_eq!(
        policy.memory,
        Memory { anonymous: Response::Audit, writable_and_executable: Response::Allow, made_executable: Response::Deny, tracing: Response::Audit }
    );
    assert_eq!(policy.filesystems, Filesystems { volatile: Response::Deny, foreign: Response::Allow });
    let expected = Kernel { modules_from_memory: Response::Audit, firmware: Response::Deny, ..Kernel::default() };
    assert_eq!(policy.kernel, expected);
    assert_eq!(
        policy.limits,
        Limits {
            max_file_size: 16 << 20,
            max_verdicts: 4096,
            first_use_deadline: Duration::from_millis(250),
            first_use_deadline_per_mib: Duration::ZERO,
            max_waiting: 8,
        }
    );
}

#[test]
fn a_misspelt_key_is_shown_with_its_place_and_the_right_one() {
    let error = parse("version = 1\nmode = \"audit\"\n\n[memory]\nanonymus = \"deny\"\n").unwrap_err();
    assert_eq!(
        error.report(),
        "policy.toml:5:1: unknown key `anonymus`\n  \
           |\n\
         5 | anonymus = \"deny\"\n  \
           | ^^^^^^^^ did you mean `anonymous`?\n  \
           = allowed here: `anonymous`, `writable-and-executable`, `made-executable`, `tracing`"
    );
    assert_eq!(error.to_string(), "policy.toml:5:1: unknown key `anonymus`; did you mean `anonymous`?");
}

#[test]
fn misspelt_keys_tables_and_values_are_suggested_everywhere() {
    for (text, place, suggestion) in [
        ("mdoe = \"audit\"", "3:1", "did you mean `mode`?"),
        ("[limit]\nmax-waiting = 1", "3:2", "did you mean `limits`?"),
        ("[[signers]]\nname = \"a\"", "3:3", "did you mean `signer`?"),
        ("[limits]\nmax_waiting = 1", "4:1", "did you mean `max-waiting`?"),
        ("[[signer]]\nname = \"a\"\nanchor = [\"/ca\"]", "5:1", "did you mean `anchors`?"),
        ("[memory]\nanonymous = \"Deny\"", "4:13", "did you mean `deny`?"),
        ("[[signer]]\nname = \"a\"\nanchors = [\"/ca\"]\nallow = [\"exec\", \"libary\"]", "6:18", "did you mean `library`?"),
    ] {
        let report = parse(&format!("{HEAD}{text}\n")).unwrap_err().report();
        assert!(report.starts_with(&format!("policy.toml:{place}: ")) && report.contains(suggestion), "{text}:\n{report}");
    }
}

#[test]
fn a_policy_signer_is_one_of_the_signers_and_need_not_sign_code() {
    let signers = "[[signer]]\nname = \"ops\"\nanchors = [\"/ca\"]\n[[signer]]\nname = \"board\"\nanchors = [\"/board\"]\nallow = []\n";
    let policy = parse(&format!("{HEAD}{signers}[protection]\npolicy-signers = [\"board\"]\n")).unwrap();
    assert_eq!((policy.protection.policy_signers.as_slice(), policy.signers[1].uses), (["board".to_owned()].as_slice(), 0));
    let report = parse(&format!("{HEAD}{signers}[protection]\npolicy-signers = [\"ops\", \"baord\"]\n")).unwrap_err().report();
    for expected in
        ["policy.toml:11:26: unknown signer `baord`", "did you mean `board`?", "allowed here: `ops`, `board`", "policy.toml:9:9: a signer that may"]
    {
        assert!(report.contains(expected), "{expected}:\n{report}");
    }
}

#[test]
fn the_file_of_the_metrics_is_one_that_the_collector_reads() {
    assert_eq!(parse(HEAD).unwrap().metrics, Metrics::default());
    assert_eq!(parse(&format!("{HEAD}[metrics]\ntextfile = \"\"\n")).unwrap().metrics, Metrics::default());
    let metrics = parse(&format!("{HEAD}[metrics]\ntextfile = \"/var/lib/node/enforcer.prom\"\ninterval-seconds = 60\n")).unwrap().metrics;
    assert_eq!(metrics, Metrics { textfile: Some("/var/lib/node/enforcer.prom".into()), interval: Duration::from_secs(60) });
    for (line, place, message) in [
        ("textfile = \"/etc/enforcer/policy.toml\"", "4:12", "end in `.prom`"),
        ("textfile = \"enforcer.prom\"", "4:12", "not an absolute path"),
        ("textfile = \"/var/../enforcer.prom\"", "4:12", "no plain path"),
        ("interval-seconds = 0", "4:20", "1 to 3600; the default is 15"),
        ("textfiles = \"/a.prom\"", "4:1", "did you mean `textfile`?"),
    ] {
        let report = parse(&format!("{HEAD}[metrics]\n{line}\n")).unwrap_err().report();
        assert!(report.contains(&format!("policy.toml:{place}: ")) && report.contains(message), "{line}:\n{report}");
    }
}

#[test]
fn the_digest_of_a_policy_is_that_of_its_file() {
    let policy = parse(HEAD).unwrap();
    assert_eq!(policy.sha256, crate::text::sha256(HEAD.as_bytes()));
    assert_ne!(policy.sha256, parse(&format!("{HEAD}\n")).unwrap().sha256);
}

#[test]
fn a_mode_far_from_any_word_is_refused_without_a_guess() {
    let report = parse("version = 1\nmode = \"block\"\n").unwrap_err().report();
    assert!(report.contains("2:8: unknown mode `block`") && report.contains("allowed here: `audit`, `enforce`"), "{report}");
    assert!(!report.contains("did you mean"), "{report}");
}

#[test]
fn enforce_without_a_signer_is_refused_because_nothing_could_run() {
    let report = parse("version = 1\nmode = \"enforce\"\n").unwrap_err().report();
    assert!(report.contains("policy.toml:2:8: `enforce` without any signer: nothing could ever run"), "{report}");
}

#[test]
fn signers_that_cannot_be_meant_are_refused() {
    for (signer, message) in [
        ("anchors = [\"/ca.pem\"]", "a signer without a name"),
        ("name = \"a\"", "names neither `anchors` nor `certificates`"),
        ("name = \"\"\nanchors = [\"/ca.pem\"]", "is no name for a signer"),
        ("name = \"a b\"\nanchors = [\"/ca.pem\"]", "is no name for a signer"),
        ("name = \"a\"\nanchors = [\"/ca.pem\"]\nallow = []", "may sign for nothing"),
        ("name = \"a\"\nanchors = [\"ca.pem\"]", "`ca.pem` is not an absolute path"),
        ("name = \"a\"\nanchors = [\"/etc/../ca.pem\"]", "is no plain path"),
        ("name = \"a\"\nanchors = [\"/ca.pem\"]\n[[signer]]\nname = \"a\"\nanchors = [\"/ca.pem\"]", "already a signer named `a`"),
    ] {
        let report = parse(&format!("{HEAD}[[signer]]\n{signer}\n")).unwrap_err().report();
        assert!(report.contains(message), "{signer}:\n{report}");
    }
}

#[test]
fn components_that_cannot_be_meant_are_refused() {
    let signer = "[[signer]]\nname = \"us\"\nanchors = [\"/ca.pem\"]\n";
    for (component, message) in [
        ("names = [\"a\"]", "a component without an identifier"),
        ("identifier = \"a b\"", "`a b` is no identifier"),
        ("identifier = \"a\"\nsigners = [\"uss\"]", "unknown signer `uss`"),
        ("identifier = \"a\"\nnames = [\"bin/a\"]", "`bin/a` is no file name"),
        ("identifier = \"a\"\nnames = [\"\"]", "is no file name"),
        ("identifier = \"a\"\npaths = [\"/usr//bin/a\"]", "cannot be bound"),
        ("identifier = \"a\"\npaths = [\"a\"]", "is not an absolute path"),
        ("identifier = \"a\"\nmin-security-version = -1", "-1 is out of range"),
        ("identifier = \"a\"\n[[component]]\nidentifier = \"a\"", "already a component with the identifier `a`"),
        ("identifier = \"a\"\nnames = [\"x\"]\n[[component]]\nidentifier = \"b\"\nnames = [\"x\"]", "`x` already belongs to the component `a`"),
    ] {
        let report = parse(&format!("{HEAD}{signer}[[component]]\n{component}\n")).unwrap_err().report();
        assert!(report.contains(message), "{component}:\n{report}");
    }
}

#[test]
fn timestamps_signatures_and_revocation_are_checked_word_by_word() {
    for (text, message) in [
        ("[[timestamp-authority]]\nanchors = [\"/tsa.pem\"]", "a timestamp authority without a name"),
        ("[[timestamp-authority]]\nname = \"clock\"", "names no `anchors`"),
        ("[signatures]\nseveral-signers = \"two\"", "unknown rule `two`"),
        ("[revocation]\nstale-crl = \"soft-fail\"", "unknown rule `soft-fail`"),
        ("[revocation]\nfile = \"revoked.toml\"", "is not an absolute path"),
        ("[[signer]]\nname = \"a\"\nanchors = [\"/ca.pem\"]\nentitlements = [\"JIT\"]", "`JIT` is no entitlement"),
    ] {
        let report = parse(&format!("{HEAD}{text}\n")).unwrap_err().report();
        assert!(report.contains(message), "{text}:\n{report}");
    }
}

#[test]
fn numbers_and_sizes_outside_their_range_are_refused_with_the_range() {
    for (line, place, message) in [
        ("max-verdicts = 0", "4:16", "1024 to 4194304; the default is 262144"),
        ("max-verdicts = -1", "4:16", "-1 is out of range"),
        ("max-waiting = 5000", "4:15", "1 to 4096; the default is 256"),
        ("first-use-deadline-ms = 1", "4:25", "10 to 60000; the default is 5000"),
        ("first-use-deadline-per-mib-ms = 99999", "4:33", "0 to 10000"),
        ("max-file-size = 1", "4:17", "1 MiB to 64 GiB; the default is 1 GiB"),
        ("max-file-size = \"1 GB\"", "4:17", "this is no size"),
        ("max-file-size = 1.5", "4:17", "this is no size"),
        ("max-waiting = \"many\"", "4:15", "invalid type"),
    ] {
        let report = parse(&format!("{HEAD}[limits]\n{line}\n")).unwrap_err().report();
        assert!(report.contains(&format!("policy.toml:{place}: ")) && report.contains(message), "{line}:\n{report}");
    }
}

#[test]
fn version_and_mode_must_be_said() {
    let error = parse("").unwrap_err();
    assert!(error.report().contains("does not say its version") && error.report().contains("does not say its mode"), "{}", error.report());
    assert!(error.to_string().ends_with("(and one more problem)"), "{error}");
    let report = parse("version = 2\nmode = \"audit\"\n").unwrap_err().report();
    assert!(report.contains("policy.toml:1:11: this program does not know policies of version 2"), "{report}");
}

#[test]
fn all_problems_are_shown_at_once_in_the_order_of_the_file() {
    let report = parse("version = 1\nmode = \"adit\"\n[memory]\nanonymous = \"dney\"\n[limits]\nmax-waiting = 0\n").unwrap_err().report();
    let places: Vec<_> = report.lines().filter(|line| line.starts_with("policy.toml:")).collect();
    assert_eq!(places.len(), 3, "{report}");
    assert!(places[0].contains(":2:8:") && places[1].contains(":4:13:") && places[2].contains(":6:15:"), "{report}");
}

#[test]
fn broken_syntax_is_pointed_at() {
    for (text, place) in
        [("version = 1\nmode = audit\n", "2:8"), ("version = 1\nversion = 1\n", "2:1"), ("version = 1\n[memory\n", "2:8"), ("mode = \"au", "1:")]
    {
        let report = parse(text).unwrap_err().report();
        assert!(report.starts_with(&format!("policy.toml:{place}")), "{text:?}:\n{report}");
        assert!(report.contains('^'), "{report}");
    }
}

#[test]
fn the_caret_stands_below_its_word_behind_tabs_and_wide_letters() {
    let report = parse("version = 1\nmode = \"audit\"\nscan = { paths = [\"/日本\",\t\"x\"] }\n").unwrap_err().report();
    let lines: Vec<_> = report.lines().collect();
    assert_eq!(lines[2], "3 | scan = { paths = [\"/日本\", \"x\"] }");
    assert_eq!(lines[3], "  |                            ^^^", "{report}");
}

#[test]
fn control_characters_of_a_policy_never_reach_the_terminal() {
    let report = parse("version = 1\nmode = \"\\u001b[2J\" # \u{9b}31m\n").unwrap_err().report();
    assert!(!report.chars().any(|character| character.is_control() && character != '\n'), "{report:?}");
}

#[test]
fn files_that_are_no_policy_are_refused_without_reading_them_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    assert!(matches!(Policy::load(&file), Err(PolicyError::Unreadable { .. })));
    assert!(matches!(Policy::load(folder.path()), Err(PolicyError::NotAFile { .. })));
    assert!(matches!(Policy::load(Path::new("/dev/zero")), Err(PolicyError::NotAFile { .. })));
    std::fs::write(&file, b"version = 1\n\xff").unwrap();
    assert!(matches!(Policy::load(&file), Err(PolicyError::NotText { line: 2, .. })));
    std::fs::File::create(&file).unwrap().set_len(10 << 30).unwrap();
    assert!(matches!(Policy::load(&file), Err(PolicyError::TooLarge { .. })));
}

#[test]
fn hostile_nesting_is_refused_without_a_crash() {
    for text in [format!("a = {}", "[".repeat(200_000)), format!("a = {}", "{a=".repeat(200_000)), format!("{} = 1", ["a"; 100_000].join("."))] {
        assert!(parse(&text).is_err());
    }
}

#[test]
fn the_default_policy_parses_and_is_the_default() {
    let policy = parse(DEFAULT_POLICY).unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(policy, Policy { sha256: policy.sha256, ..parse(HEAD).unwrap() });
}

#[test]
fn the_interpreters_of_debian_are_known_and_can_be_held_to_something_else() {
    let policy = parse(&format!(
        "{HEAD}[scripts]\ninline = \"deny\"\nstdin = \"audit\"\ncallers = \"programs\"\n\
         [[interpreter]]\nname = \"awk\"\nunsigned = \"audit\"\n\
         [[interpreter]]\nname = \"mylang\"\nlike = \"bash\"\nprograms = [\"/opt/*/mylang\"]\nscripts = [\"*.my\", \".myrc\", \"mine/\"]\n\
         [[interpreter]]\nname = \"other\"\nprograms = [\"/opt/other\"]\ninline-options = [\"-e\", \"--eval\"]\ninline = \"allow\"\n"
    ))
    .unwrap();
    let named = |name: &str| policy.interpreters.0.iter().find(|interpreter| interpreter.name == name).unwrap_or_else(|| panic!("{name}"));
    let (bash, awk, mylang, other) = (named("bash"), named("awk"), named("mylang"), named("other"));
    assert_eq!((bash.unsigned, bash.others, bash.inline, bash.stdin), (Response::Deny, Response::Allow, Response::Deny, Response::Audit));
    assert_eq!((awk.unsigned, awk.inline, awk.callers), (Response::Audit, Response::Deny, Callers::Programs));
    let names = ["*.my", ".myrc", "mine/"].map(|name| ScriptName::parse(name).unwrap());
    assert_eq!((&mylang.grammar, mylang.scripts.as_slice()), (&bash.grammar, names.as_slice()));
    assert_eq!((other.inline, other.grammar.inline.as_slice()), (Response::Allow, ["-e".to_owned(), "--eval".to_owned()].as_slice()));
    assert!(!policy.interpreters.0.iter().any(|interpreter| interpreter.name == "vim"), "only where the policy names it");
    let label = |evidence: Evidence<'_>, entitlements: &[&str]| policy.interpreters.label(evidence, entitlements.iter().copied());
    let number = |path: &str| label(Evidence::Lies(Path::new(path)), &[]).map(|label| label.number);
    let place = |name: &str| policy.interpreters.0.iter().position(|interpreter| interpreter.name == name).map(|place| place as u32 + 1);
    assert_eq!(number("/usr/bin/python3.11"), place("python"));
    assert_eq!(number("/bin/bash"), place("bash"), "`/bin` is `/usr/bin`");
    assert_eq!(number("/opt/x/mylang"), place("mylang"));
    assert_eq!(number("/opt/x/y/mylang"), None);
    let said = |entitlement: &str| label(Evidence::Signature, &[entitlement]).map(|label| label.number);
    assert_eq!(
        (said("interpreter"), said("interpreter-mylang"), said("interpreter-nothing")),
        (place("interpreter"), place("mylang"), place("interpreter"))
    );
    assert_eq!(said("jit"), None);
    let rank = |evidence: Evidence<'_>, entitlements: &[&str]| label(evidence, entitlements).map(|label| label.rank);
    let bash = Path::new("/usr/bin/bash");
    let ranks = [
        rank(Evidence::Lies(Path::new("/usr/bin/python3.11")), &[]),
        rank(Evidence::Lies(bash), &[]),
        rank(Evidence::Listed(bash), &[]),
        rank(Evidence::Lies(bash), &["interpreter-dash"]),
    ];
    assert!(
        ranks.is_sorted() && ranks[0] < ranks[1] && ranks[1] < ranks[2] && ranks[2] < ranks[3],
        "a pattern, a path, a manifest, a signature: {ranks:?}"
    );
    // Awk's text is allowed where nobody says anything.
    let plain = parse(HEAD).unwrap();
    assert!(plain.interpreters.0.iter().all(|interpreter| interpreter.inline == Response::Allow && interpreter.unsigned == Response::Deny));
    let strict = parse(&format!("{HEAD}[scripts]\ninline = \"deny\"\n")).unwrap();
    assert!(strict.interpreters.0.iter().all(|interpreter| interpreter.inline == Response::Deny));
}

#[test]
fn a_wrong_interpreter_is_pointed_at() {
    for (text, message) in [
        ("[[interpreter]]\nprograms = [\"/x\"]", "an interpreter without a name"),
        ("[[interpreter]]\nname = \"x\"", "nobody is the interpreter `x`"),
        ("[[interpreter]]\nname = \"x\"\nlike = \"bsh\"\nprograms = [\"/x\"]", "unknown interpreter `bsh`"),
        ("[[interpreter]]\nname = \"x\"\nprograms = [\"x\"]", "is not an absolute path"),
        ("[[interpreter]]\nname = \"x\"\nprograms = [\"/x[\"]", "is no pattern"),
        ("[[interpreter]]\nname = \"bash\"\nscripts = [\"*.a.b\"]", "`*.a.b` is no name of a script"),
        ("[[interpreter]]\nname = \"bash\"\nscripts = [\"*\"]", "`*` is no name of a script"),
        ("[[interpreter]]\nname = \"bash\"\ninline-options = [\"c\"]", "`c` is no option"),
        ("[[interpreter]]\nname = \"bash\"\nvariables = [\"1X\"]", "`1X` is no variable"),
        ("[[interpreter]]\nname = \"bash\"\n[[interpreter]]\nname = \"bash\"", "there is already an interpreter named `bash`"),
        ("[scripts]\nunsigned = \"denied\"", "did you mean `deny`?"),
        ("[scripts]\ncallers = \"all\"", "unknown rule `all`"),
    ] {
        let report = parse(&format!("{HEAD}{text}\n")).unwrap_err().report();
        assert!(report.contains(message), "{text}:\n{report}");
    }
}

/// In policy.toml a default is a line `#key = value`, without a space: taking the `#` away changes nothing.
#[test]
fn the_defaults_written_in_the_comments_are_the_defaults() {
    let uncommented: String = DEFAULT_POLICY.lines().map(|line| format!("{}\n", default_in_comment(line).unwrap_or(line))).collect();
    let mut policy = parse(&uncommented).unwrap_or_else(|error| panic!("{}", error.report()));
    // The example of an interpreter says what is known already.
    policy.interpreters.0.iter_mut().for_each(|interpreter| interpreter.is_written = false);
    assert_eq!(policy.signers.len(), 1, "the example of a signer is complete");
    assert_eq!(policy.signers[0].uses, enforcer_common::USE_EXEC | enforcer_common::USE_LIBRARY, "`allow` shows its default");
    assert_eq!((policy.components.len(), policy.timestamp_authorities.len(), policy.scopes.len()), (1, 1, 1), "the other examples too");
    let head = parse(HEAD).unwrap();
    assert_eq!(Policy { signers: vec![], scopes: vec![], components: vec![], timestamp_authorities: vec![], sha256: head.sha256, ..policy }, head);
}

const DEFAULT_POLICY: &str = include_str!("../../../policy.toml");

fn default_in_comment(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|first: char| first == '[' || first.is_ascii_lowercase()))
}

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text, Path::new("policy.toml"))
}
