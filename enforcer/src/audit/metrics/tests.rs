//! What is written is read back by a parser of another hand, and held to Prometheus' rules for names.

use std::collections::{BTreeMap, BTreeSet};

use enforcer_common::{Hook, Reason};

use super::*;
use crate::audit::{Code, Daemon, EventCount, EventKind, Reloads, Watched};
use crate::kernel::{HOOKS, HookCost};
use crate::trust::{CertificateRole, Expiry, NextUpdate};

fn moment(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A machine about which everything is known.
fn full() -> Status {
    let mut first_uses = Durations::default();
    [900, 4000, 70_000_000].into_iter().for_each(|microseconds| first_uses.observe(microseconds));
    let kind = |reason, denied| EventKind {
        reason: Code::Known(reason),
        hook: Code::Known(Hook::BprmCheckSecurity),
        mode: Code::Known(Mode::Enforce),
        denied,
    };
    let expiry = |whose: &str, role, not_after_seconds| Expiry {
        whose: whose.to_owned(),
        role,
        subject: "CN=Our \"code\" \\ authority".to_owned(),
        not_after_seconds,
    };
    Status {
        enforcing: true,
        mode: Some("enforce".to_owned()),
        bpf_lsm_active: true,
        hooks: HOOKS[1..].iter().map(|hook| (*hook).to_owned()).collect(),
        hooks_cost: vec![HookCost { hook: "mmap_file".to_owned(), runs: 3, nanoseconds: 1500 }],
        since: Some(moment("2026-01-31T09:30:00Z")),
        daemon: Daemon { alive: true, pid: Some(812) },
        verdicts: 1200,
        max_verdicts: 262_144,
        denied: u64::MAX,
        clock_ahead_seconds: Some(-3),
        counters: BTreeMap::from([("workers-ended".to_owned(), 2), ("events-unwritten".to_owned(), 0)]),
        watched: Some(Watched {
            started: moment("2026-01-31T09:30:01.500Z"),
            events: vec![
                EventCount { kind: kind(Reason::Untrusted, true), count: 7 },
                EventCount { kind: kind(Reason::AnonymousMemory, false), count: 1 },
            ],
            first_uses,
            reloads: Reloads { accepted: 2, refused: 1, last_accepted: Some(moment("2026-01-31T09:31:00Z")) },
            policy_modified: Some(moment("2026-01-30T00:00:00Z")),
            certificates: vec![
                expiry("operations", CertificateRole::Anchor, 4_102_444_800),
                expiry("operations", CertificateRole::Pinned, 4_102_444_801),
            ],
            revocation_lists: vec![NextUpdate { issuer: "Our authority".to_owned(), next_update_seconds: 1_800_000_000 }],
        }),
        ..Status::nothing_in_force("6.12.0".to_owned(), vec![HOOKS[0].to_owned()])
    }
}

fn text(status: &Status) -> String {
    exposition(status, moment("2026-01-31T09:32:00Z"))
}

fn parsed(text: &str) -> prometheus_parse::Scrape {
    prometheus_parse::Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap()
}

fn value(scrape: &prometheus_parse::Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    let sample =
        scrape.samples.iter().find(|sample| sample.metric == name && labels.iter().all(|(key, value)| sample.labels.get(key) == Some(*value)));
    match &sample.unwrap_or_else(|| panic!("no {name} {labels:?}")).value {
        prometheus_parse::Value::Counter(value) | prometheus_parse::Value::Gauge(value) => *value,
        other => panic!("{name} is {other:?}"),
    }
}

/// The families by name, as they are declared.
fn declared(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

#[test]
fn a_parser_of_another_hand_reads_what_was_written() {
    let scrape = parsed(&text(&full()));
    assert_eq!(value(&scrape, "enforcer_enforcing", &[]), 1.0);
    assert_eq!(value(&scrape, "enforcer_mode", &[("mode", "enforce")]), 1.0);
    assert_eq!(value(&scrape, "enforcer_mode", &[("mode", "audit")]), 0.0);
    assert_eq!(value(&scrape, "enforcer_hook_attached", &[("hook", HOOKS[0])]), 0.0);
    assert_eq!(value(&scrape, "enforcer_hook_attached", &[("hook", HOOKS[1])]), 1.0);
    assert_eq!(value(&scrape, "enforcer_uses_total", &[("outcome", "denied")]), u64::MAX as f64);
    let kind = [("reason", "untrusted"), ("hook", "bprm_check_security"), ("mode", "enforce"), ("denied", "true")];
    assert_eq!(value(&scrape, "enforcer_events_total", &kind), 7.0);
    assert_eq!(value(&scrape, "enforcer_losses_total", &[("cause", "workers-ended")]), 2.0);
    assert_eq!(value(&scrape, "enforcer_losses_total", &[("cause", "events-lost")]), 0.0);
    assert_eq!(value(&scrape, "enforcer_hook_run_seconds_total", &[("hook", "mmap_file")]), 0.000_001_5);
    assert_eq!(value(&scrape, "enforcer_clock_offset_seconds", &[]), -3.0);
    assert_eq!(value(&scrape, "enforcer_daemon_start_time_seconds", &[]), 1_769_851_801.5);
    assert_eq!(value(&scrape, "enforcer_crl_next_update_timestamp_seconds", &[("issuer", "Our authority")]), 1_800_000_000.0);
}

#[test]
fn names_in_certificates_cannot_end_their_label() {
    let expected = "enforcer_certificate_not_after_timestamp_seconds{signer=\"operations\",role=\"anchor\",\
                    subject=\"CN=Our \\\"code\\\" \\\\ authority\"} 4102444800.0";
    let text = text(&full());
    assert!(text.lines().any(|line| line == expected), "{text}");
}

#[test]
fn durations_become_a_cumulative_histogram_in_seconds() {
    let text = text(&full());
    let name = "enforcer_first_use_duration_seconds";
    for line in ["_bucket{le=\"0.001\"} 1", "_bucket{le=\"0.005\"} 2", "_bucket{le=\"60\"} 2", "_bucket{le=\"+Inf\"} 3", "_sum 70.0049", "_count 3"] {
        assert!(text.lines().any(|found| found == format!("{name}{line}")), "{line}\n{text}");
    }
}

#[test]
fn a_machine_without_enforcement_or_daemon_says_so_and_guesses_nothing() {
    let text = text(&Status::nothing_in_force("6.12.0".to_owned(), HOOKS.map(str::to_owned).to_vec()));
    let scrape = parsed(&text);
    assert_eq!(value(&scrape, "enforcer_mode", &[("mode", "off")]), 1.0);
    assert_eq!((value(&scrape, "enforcer_healthy", &[]), value(&scrape, "enforcer_daemon_up", &[])), (0.0, 0.0));
    assert!(!text.contains("enforcer_uses_total") && !text.contains("enforcer_last_reload"), "{text}");
}

/// The rules of `promtool check metrics`, and of node_exporter, which refuses a file that has a series twice.
#[test]
fn names_help_and_series_keep_the_rules() {
    let text = text(&full());
    let declared = declared(&text);
    for (name, kind) in &declared {
        assert!(name.starts_with("enforcer_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert!(
            ["_milliseconds", "_microseconds", "_nanoseconds", "_ms", "_count", "_sum", "_bucket"].iter().all(|end| !name.ends_with(end)),
            "{name}"
        );
        assert!(!name.contains("timestamp") || name.ends_with("_timestamp_seconds"), "{name}");
        assert!(!name.contains("gauge") && !name.contains("counter") && !name.contains("histogram"), "{name}");
        let help = text.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.len() > 10), "{name} has no help");
    }
    let mut series = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.rsplit_once(' ').unwrap().0;
        assert!(series.insert(name), "twice: {name}");
        let family = name.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| family.strip_suffix(end)).unwrap_or(family);
        assert!(declared.contains_key(family), "{family} is not declared");
    }
}

/// What the dashboard and the alerts ask for must exist, and every name in the document too; and the document must name all.
#[test]
fn dashboard_alerts_and_document_name_the_metrics_that_exist() {
    let file = |name: &str| std::fs::read_to_string(format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let declared = declared(&text(&full()));
    for name in ["packaging/grafana/enforcer.json", "packaging/prometheus/enforcer.rules.yml", "docs/monitoring.md"] {
        let content = file(name);
        let words: BTreeSet<&str> =
            content.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("enforcer_")).collect();
        assert!(!words.is_empty(), "{name}");
        for word in words {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end).filter(|family| declared.contains_key(*family)));
            assert!(family.is_some() || declared.contains_key(word), "{name} asks for `{word}`, which is no metric");
        }
    }
    let document = file("docs/monitoring.md");
    let missing: Vec<&String> = declared.keys().filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/monitoring.md says nothing about {missing:?}");
}
