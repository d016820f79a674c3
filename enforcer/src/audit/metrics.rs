//! The state of enforcement as metrics, in the text format of Prometheus (version 0.0.4), which node_exporter's textfile collector reads.
//!
//! A pure function of a [`Status`]. Names follow Prometheus' conventions: base units, `_total` behind what only grows. No label holds anything that somebody
//! without rights could choose, so that nobody can make the number of series grow.

use std::fmt;

use enforcer_common::Mode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::{Durations, Status, Timestamp};

/// All metrics of a machine, as text. `now` is when its status was taken.
pub fn exposition(status: &Status, now: Timestamp) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Families(families(status, now))));
    let mut text = String::new();
    // Writing into a string fails only where a metric's own encoding does, and none here has a case that does.
    _ = prometheus_text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

/// A metric with its series. One without series is not written.
#[derive(Debug)]
struct Family {
    /// Without the prefix, and without what its unit and its kind add.
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: MetricType,
    series: Vec<Series>,
}

#[derive(Debug)]
struct Series {
    labels: Vec<(&'static str, String)>,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Count(u64),
    Number(f64),
    Durations(Durations),
}

impl Family {
    fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: None, kind: MetricType::Counter, series: Vec::new() }
    }

    fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { kind: MetricType::Gauge, ..Self::counter(name, help) }
    }

    fn seconds(self) -> Self {
        Self { unit: Some(Unit::Seconds), ..self }
    }

    fn value(mut self, value: impl Into<Value>) -> Self {
        self.series.push(Series { labels: Vec::new(), value: value.into() });
        self
    }

    /// A series, if there is a value.
    fn known(self, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.value(value),
            None => self,
        }
    }

    fn each<const N: usize, V: Into<Value>>(mut self, names: [&'static str; N], series: impl IntoIterator<Item = ([String; N], V)>) -> Self {
        let series = series.into_iter().map(|(labels, value)| Series { labels: names.into_iter().zip(labels).collect(), value: value.into() });
        self.series.extend(series);
        self
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if self.series.is_empty() {
            return Ok(());
        }
        let mut metric = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), self.kind)?;
        for series in &self.series {
            series.value.encode(metric.encode_family(&series.labels)?, self.kind)?;
        }
        Ok(())
    }
}

impl Value {
    fn encode(&self, mut encoder: MetricEncoder<'_>, kind: MetricType) -> fmt::Result {
        match (self, kind) {
            (Self::Count(count), MetricType::Counter) => ConstCounter::new(*count).encode(encoder),
            (Self::Number(number), MetricType::Counter) => ConstCounter::new(*number).encode(encoder),
            (Self::Count(count), _) => ConstGauge::new(*count).encode(encoder),
            (Self::Number(number), _) => ConstGauge::new(*number).encode(encoder),
            (Self::Durations(durations), _) => {
                let bounds = durations.bounds_microseconds.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
                let buckets: Vec<(f64, u64)> = bounds.zip(durations.counts.iter().copied()).collect();
                encoder.encode_histogram::<NoLabelSet>(seconds(durations.sum_microseconds), durations.count(), &buckets, None)
            }
        }
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Count(yes.into())
    }
}

impl From<Timestamp> for Value {
    fn from(moment: Timestamp) -> Self {
        Self::Number(moment.since_epoch().as_secs_f64())
    }
}

impl From<Durations> for Value {
    fn from(durations: Durations) -> Self {
        Self::Durations(durations)
    }
}

/// What there is to know, family by family.
fn families(status: &Status, now: Timestamp) -> Vec<Family> {
    let mut families = state(status, now);
    families.extend(work(status));
    families.extend(dates(status));
    families
}

fn state(status: &Status, now: Timestamp) -> Vec<Family> {
    let mode = status.mode.as_deref().unwrap_or(OFF);
    let modes = [OFF, Mode::Audit.name(), Mode::Enforce.name()].map(|name| ([name.to_owned()], name == mode));
    let attached = status.hooks.iter().map(|hook| ([hook.clone()], true));
    let in_mode = |name: &str| status.scopes.iter().filter(|scope| scope.mode == name).count() as u64;
    let scopes = [Mode::Audit.name(), Mode::Enforce.name()].map(|name| ([name.to_owned()], in_mode(name)));
    let missing = status.hooks_missing.iter().map(|hook| ([hook.clone()], false));
    vec![
        Family::gauge("build_info", "The version of this program; always 1").each(["version"], [([env!("CARGO_PKG_VERSION").to_owned()], true)]),
        Family::gauge("collected_timestamp", "When these numbers were taken").seconds().value(now),
        Family::gauge("mode", "1 for the mode in force: off, audit or enforce").each(["mode"], modes),
        Family::gauge("enforcing", "Whether unsigned code is denied now").value(status.enforcing),
        Family::gauge("suspended", "Whether nothing is denied though the policy says so, by its fuse or a break-glass code")
            .value(status.suspension.is_some()),
        Family::gauge("scopes", "Control groups in which another mode holds").each(["mode"], scopes),
        Family::gauge("healthy", "Whether the programs are in force and complete, and the daemon answers").value(status.is_healthy()),
        Family::gauge("bpf_lsm_active", "Whether the kernel calls BPF programs at its LSM hooks").value(status.bpf_lsm_active),
        Family::gauge("hook_attached", "Whether the program of this hook is attached").each(["hook"], attached.chain(missing)),
        Family::gauge("attached_timestamp", "Since when the programs are in force").seconds().known(status.since),
        Family::gauge("daemon_up", "Whether the daemon answers").value(status.daemon.alive),
        Family::gauge("daemon_start_time", "When the daemon started").seconds().known(status.watched.as_ref().map(|watched| watched.started)),
        Family::gauge("clock_offset", "How far the machine's clock is ahead of the time that decisions rest on")
            .seconds()
            .known(status.clock_ahead_seconds.map(|ahead| ahead as f64)),
    ]
}

/// What was done since the programs were attached, or since the daemon started.
fn work(status: &Status) -> Vec<Family> {
    let in_force = status.mode.is_some();
    let watched = status.watched.as_ref();
    let text = |text: &str| [text.to_owned()];
    let uses = [("allowed", status.allowed), ("denied", status.denied), ("would_be_denied", status.would_be_denied)];
    let kernel_losses = [
        ("events-lost", status.events_lost),
        ("requests-lost", status.requests_lost),
        ("deadlines", status.deadlines),
        ("code-full", status.code_full),
        ("faults", status.faults),
    ];
    let losses = kernel_losses.iter().filter(|_| in_force).map(|(cause, count)| (text(cause), *count));
    let losses = losses.chain(status.counters.iter().map(|(cause, count)| (text(cause), *count)));
    let events = watched.into_iter().flat_map(|watched| &watched.events).map(|event| {
        let kind = event.kind;
        ([kind.reason.to_string(), kind.hook.to_string(), kind.mode.to_string(), kind.denied.to_string()], event.count)
    });
    let reloads = watched.map(|watched| [(text("accepted"), watched.reloads.accepted), (text("refused"), watched.reloads.refused)]);
    let first_uses =
        Family { kind: MetricType::Histogram, ..Family::counter("first_use_duration", "From the kernel's question to the daemon's answer") };
    vec![
        Family::gauge("verdicts", "Verdicts in the kernel").known(in_force.then_some(status.verdicts)),
        Family::gauge("verdicts_limit", "How many verdicts fit into the kernel").known(in_force.then_some(status.max_verdicts)),
        Family::counter("uses", "Uses of code that were judged, by outcome")
            .each(["outcome"], uses.iter().filter(|_| in_force).map(|(outcome, count)| (text(outcome), *count))),
        Family::counter("measurements", "Files that the kernel hashed").known(in_force.then_some(status.measurements)),
        Family::counter("measurement_reuses", "Measurements that were used again").known(in_force.then_some(status.cache_hits)),
        Family::counter("first_use_requests", "First uses that the daemon was asked about").known(in_force.then_some(status.requests)),
        first_uses.seconds().known(watched.map(|watched| watched.first_uses.clone())),
        Family::counter("events", "Events that reached the daemon").each(["reason", "hook", "mode", "denied"], events),
        Family::counter("losses", "What was lost, dropped or given up, by the names of docs/operations.md").each(["cause"], losses),
        Family::counter("hook_runs", "Runs of a hook's program, where the kernel counts them (kernel.bpf_stats_enabled)")
            .each(["hook"], status.hooks_cost.iter().map(|cost| (text(&cost.hook), cost.runs))),
        Family::counter("hook_run", "Time that a hook's program took, where the kernel counts it (kernel.bpf_stats_enabled)")
            .seconds()
            .each(["hook"], status.hooks_cost.iter().map(|cost| (text(&cost.hook), cost.nanoseconds as f64 / 1e9))),
        Family::counter("reloads", "Policies and grounds of trust that were to be put in force, by what became of them")
            .each(["outcome"], reloads.into_iter().flatten()),
    ]
}

/// What has to be done by when.
fn dates(status: &Status) -> Vec<Family> {
    let watched = status.watched.as_ref();
    let certificates = watched.into_iter().flat_map(|watched| &watched.certificates);
    let certificates =
        certificates.map(|it| ([it.whose.clone(), it.role.name().to_owned(), it.subject.clone()], Value::Number(it.not_after_seconds as f64)));
    let lists = watched.into_iter().flat_map(|watched| &watched.revocation_lists);
    let lists = lists.map(|it| ([it.issuer.clone()], Value::Number(it.next_update_seconds as f64)));
    vec![
        Family::gauge("last_reload_successful", "Whether what was to be put in force last is in force")
            .known(watched.map(|_| status.refused.is_none())),
        Family::gauge("last_reload_success_timestamp", "When what is in force was put in force")
            .seconds()
            .known(watched.and_then(|watched| watched.reloads.last_accepted)),
        Family::gauge("policy_modified_timestamp", "When the policy in force was last written to")
            .seconds()
            .known(watched.and_then(|watched| watched.policy_modified)),
        Family::gauge("certificate_not_after_timestamp", "When a certificate that the policy names expires")
            .seconds()
            .each(["signer", "role", "subject"], certificates),
        Family::gauge("crl_next_update_timestamp", "When the next revocation list of an issuer is due").seconds().each(["issuer"], lists),
    ]
}

fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

/// Before every name.
const PREFIX: &str = "enforcer";
/// The mode of a machine without any of Enforcer's programs.
const OFF: &str = "off";

#[cfg(test)]
#[path = "metrics/tests.rs"]
mod tests;
