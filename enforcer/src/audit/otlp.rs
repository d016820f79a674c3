//! Events as log records of OpenTelemetry (its protocol OTLP, signal *logs*).
//!
//! Attributes go by OpenTelemetry's semantic conventions where these have a name (`process.pid`, `file.path` …), and by `enforcer.…` where not. Pure
//! functions: nothing is sent here.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;

use enforcer_common::PathKind;

use super::{Code, Entry, Lost, Record, Timestamp};

/// An entry of the log as a log record, observed `now`.
pub fn log_record(entry: &Entry, now: Timestamp) -> LogRecord {
    match entry {
        Entry::Event(record) => event(record, now),
        Entry::Lost(lost) => gap(lost, now),
    }
}

/// What is sent in one piece: records of the machine with this name.
pub fn request(host: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    let attributes = vec![text("service.name", NAME), text("service.version", version), text("host.name", host), text("os.type", "linux")];
    let scope = InstrumentationScope { name: NAME.to_owned(), version: version.to_owned(), ..InstrumentationScope::default() };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_logs: vec![ScopeLogs { scope: Some(scope), log_records, schema_url: String::new() }],
            schema_url: String::new(),
        }],
    }
}

fn event(record: &Record, now: Timestamp) -> LogRecord {
    let severity = if record.denied { SeverityNumber::Error } else { SeverityNumber::Warn };
    let mut attributes = vec![
        text("enforcer.outcome", record.outcome()),
        flag("enforcer.denied", record.denied),
        text("enforcer.mode", &record.mode.to_string()),
        text("enforcer.hook", &record.hook.to_string()),
        text("enforcer.reason", &record.reason.to_string()),
        text("enforcer.remedy", &record.remedy),
        number("process.pid", record.pid.into()),
        number("process.parent_pid", record.parent_pid.into()),
        text("process.executable.name", &record.comm),
        number("process.real_user.id", record.uid.into()),
        number("thread.id", record.tid.into()),
        number("enforcer.cgroup.id", record.cgroup_id.cast_signed()),
    ];
    let path_key = if record.path_kind == Code::Known(PathKind::Full) { "file.path" } else { "file.name" };
    let optional = [
        (path_key, &record.path),
        ("enforcer.file.path_bytes", &record.path_bytes),
        ("enforcer.file.digest", &record.digest),
        ("enforcer.file.device", &record.device),
        ("process.linux.cgroup", &record.cgroup),
        ("enforcer.explanation", &record.explanation),
    ];
    attributes.extend(optional.into_iter().filter_map(|(key, value)| Some(text(key, value.as_deref()?))));
    attributes.extend(record.inode.map(|inode| text("file.inode", &inode.to_string())));
    attributes.extend(record.size.map(|size| number("file.size", i64::try_from(size).unwrap_or(i64::MAX))));
    if record.detail != 0 {
        attributes.push(number("enforcer.detail", record.detail.into()));
    }
    written("enforcer.event", record.time, now, severity, &record.line(), attributes)
}

fn gap(lost: &Lost, now: Timestamp) -> LogRecord {
    let count = i64::try_from(lost.count).unwrap_or(i64::MAX);
    let attributes = vec![number("enforcer.lost.count", count), text("enforcer.lost.cause", &lost.cause)];
    let body = format!("{} events are missing here: {}", lost.count, crate::text::printable(&lost.cause));
    written("enforcer.lost", lost.time, now, SeverityNumber::Warn, &body, attributes)
}

fn written(name: &str, time: Timestamp, now: Timestamp, severity: SeverityNumber, body: &str, attributes: Vec<KeyValue>) -> LogRecord {
    LogRecord {
        time_unix_nano: nanoseconds(time),
        observed_time_unix_nano: nanoseconds(now),
        severity_number: severity as i32,
        severity_text: if severity == SeverityNumber::Error { "ERROR" } else { "WARN" }.to_owned(),
        body: Some(value(any_value::Value::StringValue(body.to_owned()))),
        attributes,
        event_name: name.to_owned(),
        ..LogRecord::default()
    }
}

fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.since_epoch().as_nanos()).unwrap_or(u64::MAX)
}

fn text(key: &str, text: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(text.to_owned()))
}

fn number(key: &str, number: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(number))
}

fn flag(key: &str, yes: bool) -> KeyValue {
    attribute(key, any_value::Value::BoolValue(yes))
}

fn attribute(key: &str, it: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value(it)), ..KeyValue::default() }
}

fn value(value: any_value::Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

const NAME: &str = "enforcer";
