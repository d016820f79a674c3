//! `enforcer export` against a collector that decodes what it is sent: nothing is lost, whatever the collector, the log or the exporter does.
#![allow(missing_docs)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use enforcer::audit::{BootTime, EventLog, LogLimits, Record};
use enforcer_common::{Digest, Event, Hook, Reason};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;

#[expect(dead_code, reason = "nothing here is shown as a terminal shows it")]
#[path = "../src/snapshot.rs"]
mod snapshot;

#[test]
fn every_event_arrives_with_its_attributes() {
    let place = Place::new();
    place.log(LogLimits::default(), 0..3);
    let collector = Collector::start(|_, _| Reply::ok());
    assert_eq!(place.export(&collector, &[]), "3 events sent, 0 rejected by the collector, 0 unreadable lines skipped\n");

    let request = collector.request();
    assert_eq!((request.path.as_str(), request.content_type.as_str()), ("/v1/logs", "application/x-protobuf"));
    let resource = attributes(&request.message.resource_logs[0].resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], Value::StringValue("enforcer".to_owned()));
    assert!(matches!(&resource["host.name"], Value::StringValue(name) if !name.is_empty()));
    let records = request.records();
    assert_eq!(records.len(), 3);
    let found = attributes(&records[1].attributes);
    let text = |text: &str| Value::StringValue(text.to_owned());
    for (key, expected) in [
        ("enforcer.reason", text("untrusted")),
        ("enforcer.hook", text("bprm_check_security")),
        ("enforcer.mode", text("enforce")),
        ("enforcer.outcome", text("denied")),
        ("enforcer.denied", Value::BoolValue(true)),
        ("process.pid", Value::IntValue(1)),
        ("process.parent_pid", Value::IntValue(7)),
        ("process.executable.name", text("bash")),
        ("process.real_user.id", Value::IntValue(1000)),
        ("file.path", text("/tmp/\u{1b}[2J\n<script>1")),
        ("file.size", Value::IntValue(4096)),
        ("enforcer.file.digest", text(&format!("sha256:{}", "ab".repeat(32)))),
    ] {
        assert_eq!(found.get(key), Some(&expected), "{key}");
    }
    assert_eq!((records[1].severity_text.as_str(), records[1].severity_number, records[1].event_name.as_str()), ("ERROR", 17, "enforcer.event"));
    assert!(records[1].time_unix_nano > 0 && records[1].observed_time_unix_nano >= records[1].time_unix_nano);
    let Some(AnyValue { value: Some(Value::StringValue(body)) }) = &records[1].body else { panic!("{records:?}") };
    assert!(body.starts_with("denied start of ") && !body.contains(['\x1b', '\n']), "{body:?}");
}

#[test]
fn a_restart_goes_on_behind_what_was_accepted_also_after_the_log_was_rotated() {
    let place = Place::new();
    let collector = Collector::start(|_, _| Reply::ok());
    place.log(LogLimits::default(), 0..3);
    place.export(&collector, &[]);
    assert_eq!(collector.request().pids(), [0, 1, 2]);
    place.export(&collector, &[]);
    place.log(LogLimits::default(), 3..5);
    // The file by its old name is another one now.
    fs::rename(place.at("events.jsonl"), place.at("events.jsonl.1")).unwrap();
    place.log(LogLimits::default(), 5..6);
    place.export(&collector, &[]);
    assert_eq!(collector.request().pids(), [3, 4, 5]);
    place.export(&collector, &[]);
    assert!(collector.is_silent());
}

#[test]
fn what_was_rotated_away_is_told_and_the_rest_is_sent() {
    let place = Place::new();
    let collector = Collector::start(|_, _| Reply::ok());
    place.log(LogLimits::default(), 0..2);
    place.export(&collector, &[]);
    collector.request();
    fs::remove_file(place.at("events.jsonl")).unwrap();
    place.log(LogLimits::default(), 7..8);
    let output = place.run(&collector.address, &[]);
    assert!(stderr(&output).contains("events in between may be missing"), "{}", stderr(&output));
    assert_eq!(collector.request().pids(), [7]);
}

#[test]
fn a_collector_that_is_busy_gets_the_same_events_again() {
    let place = Place::new();
    place.log(LogLimits::default(), 0..2);
    let collector = Collector::start(|number, _| if number < 2 { Reply::status(503).header("Retry-After", "0") } else { Reply::ok() });
    place.export(&collector, &[]);
    for _ in 0..3 {
        assert_eq!(collector.request().pids(), [0, 1]);
    }
    assert!(collector.is_silent());
}

#[test]
fn a_request_that_is_too_large_is_divided() {
    let place = Place::new();
    place.log(LogLimits::default(), 0..5);
    let collector = Collector::start(|_, records| if records > 2 { Reply::status(413) } else { Reply::ok() });
    assert!(place.export(&collector, &[]).starts_with("5 events sent"));
    let accepted: Vec<i64> =
        std::iter::from_fn(|| collector.try_request()).filter(|request| request.records().len() <= 2).flat_map(|it| it.pids()).collect();
    assert_eq!(accepted, [0, 1, 2, 3, 4]);
}

#[test]
fn a_refusal_ends_it_and_nothing_is_skipped() {
    let place = Place::new();
    place.log(LogLimits::default(), 0..2);
    let collector = Collector::start(|number, _| if number == 0 { Reply::status(401).body(b"\x1b[2Jno token\n") } else { Reply::ok() });
    let output = place.run(&collector.address, &[]);
    assert_eq!(output.status.code(), Some(3));
    let said = stderr(&output);
    assert!(said.contains("401") && said.contains("\\u{1b}[2Jno token") && said.contains("hint: nothing is lost"), "{said}");
    collector.request();
    place.export(&collector, &[]);
    assert_eq!(collector.request().pids(), [0, 1]);
}

#[test]
fn what_the_collector_rejects_is_counted() {
    let place = Place::new();
    place.log(LogLimits::default(), 0..4);
    let partial = ExportLogsPartialSuccess { rejected_log_records: 1, error_message: "too old".to_owned() };
    let body = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let collector = Collector::start(move |_, _| Reply::ok().body(&body));
    let output = place.run(&collector.address, &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report, serde_json::json!({ "accepted": 3, "rejected": 1, "unreadable": 0 }));
    assert!(stderr(&output).contains("too old"));
}

#[test]
fn lines_that_are_no_events_are_skipped_and_gaps_are_sent() {
    let place = Place::new();
    let lost = r#"{"kind":"lost","time":"2026-01-31T09:30:00Z","count":12,"cause":"the kernel's ring buffer was full"}"#;
    fs::write(place.at("events.jsonl"), format!("garbage\n{{}}\n{lost}\n\0\n{}", "x".repeat(200_000))).unwrap();
    let collector = Collector::start(|_, _| Reply::ok());
    snapshot::terminal("export/once", &place.export(&collector, &[]));
    let request = collector.request();
    assert_eq!(attributes(&request.records()[0].attributes)["enforcer.lost.count"], Value::IntValue(12));
    assert_eq!(request.records()[0].event_name, "enforcer.lost");
}

#[test]
fn headers_come_from_the_environment_and_wrong_ones_are_not_told() {
    let place = Place::new();
    place.log(LogLimits::default(), 0..1);
    let collector = Collector::start(|_, _| Reply::ok());
    let output = place.command(&collector.address, &[]).env("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20s3cret").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(collector.request().authorization, "Bearer s3cret");
    let output = place.command(&collector.address, &[]).env("OTEL_EXPORTER_OTLP_HEADERS", "s3cret").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("OTEL_EXPORTER_OTLP_HEADERS") && !stderr(&output).contains("s3cret"), "{}", stderr(&output));
}

#[test]
fn what_cannot_work_is_said_before_anything_is_sent() {
    let place = Place::new();
    place.log(LogLimits::default(), 0..1);
    let collector = Collector::start(|_, _| Reply::ok());
    fs::write(place.at("damaged.json"), "{\"offset\":").unwrap();
    let at = |name: &str| place.at(name).to_string_lossy().into_owned();
    for (words, status, expected) in [
        (["--state", &at("damaged.json")], 2, "does not say what was sent"),
        (["--state", &at("no-folder/state.json")], 3, "could not be kept"),
        (["--state", &at("events.jsonl/state.json")], 3, "could not be kept"),
        (["--ca", &at("missing.pem")], 2, "must be a PEM file"),
        (["--log", &at("missing.jsonl")], 3, "there is no event log"),
    ] {
        let output = place.run(&collector.address, &words);
        let said = stderr(&output);
        assert!(output.status.code() == Some(status) && said.contains(expected) && said.contains("hint: "), "{words:?}: {output:?}");
    }
    assert!(collector.is_silent());
}

#[test]
fn a_collector_that_is_not_there_is_tried_some_times() {
    let place = Place::new();
    place.log(LogLimits::default(), 0..1);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = Instant::now();
    let output = place.run(&format!("http://{free}"), &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("cannot be reached") && began.elapsed() > Duration::from_secs(2), "{}", stderr(&output));
}

/// A log, and the place of what was sent.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Events of processes with these ids.
    fn log(&self, limits: LogLimits, pids: std::ops::Range<u32>) {
        let mut log = EventLog::open(&self.at("events.jsonl"), limits);
        pids.for_each(|pid| log.append(&Record::at(&event(pid), BootTime::now())));
    }

    fn command(&self, address: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_enforcer"));
        let file = |path: &Path| path.to_string_lossy().into_owned();
        command.args(["export", "--once", "--otlp", address]).args(words);
        for (option, name) in [("--log", "events.jsonl"), ("--state", "state.json")] {
            if !words.contains(&option) {
                command.args([option, &file(&self.at(name))]);
            }
        }
        command.env_remove("OTEL_EXPORTER_OTLP_HEADERS").env_remove("HTTP_PROXY").env_remove("http_proxy");
        command
    }

    fn run(&self, address: &str, words: &[&str]) -> Output {
        self.command(address, words).output().unwrap()
    }

    fn export(&self, collector: &Collector, words: &[&str]) -> String {
        let output = self.run(&collector.address, words);
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A server on the loopback that decodes what it gets.
struct Collector {
    address: String,
    requests: Receiver<Request>,
}

struct Request {
    path: String,
    content_type: String,
    authorization: String,
    message: ExportLogsServiceRequest,
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

impl Reply {
    fn ok() -> Self {
        Self::status(200)
    }

    fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }
}

impl Collector {
    /// `reply` is asked with the request's number and how many records it has.
    fn start(reply: impl Fn(usize, usize) -> Reply + Send + 'static) -> Self {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let address = format!("http://{}", server.server_addr());
        let (sender, requests): (Sender<Request>, _) = channel();
        thread::spawn(move || {
            for (number, mut http) in server.incoming_requests().enumerate() {
                let mut body = Vec::new();
                http.as_reader().read_to_end(&mut body).unwrap();
                let header = |name: &'static str| {
                    let found = http.headers().iter().find(|header| header.field.equiv(name));
                    found.map(|header| header.value.to_string()).unwrap_or_default()
                };
                let request = Request {
                    path: http.url().to_owned(),
                    content_type: header("Content-Type"),
                    authorization: header("Authorization"),
                    message: ExportLogsServiceRequest::decode(body.as_slice()).unwrap(),
                };
                let Reply { status, headers, body } = reply(number, request.records().len());
                let mut response = tiny_http::Response::from_data(body).with_status_code(status);
                for (name, value) in headers {
                    response.add_header(tiny_http::Header::from_bytes(name, value).unwrap());
                }
                if sender.send(request).is_err() {
                    return;
                }
                http.respond(response).unwrap();
            }
        });
        Self { address, requests }
    }

    fn request(&self) -> Request {
        self.requests.recv_timeout(Duration::from_secs(10)).expect("a request")
    }

    fn try_request(&self) -> Option<Request> {
        self.requests.recv_timeout(Duration::from_millis(100)).ok()
    }

    fn is_silent(&self) -> bool {
        self.try_request().is_none()
    }
}

impl Request {
    fn records(&self) -> Vec<LogRecord> {
        self.message.resource_logs.iter().flat_map(|resource| &resource.scope_logs).flat_map(|scope| scope.log_records.clone()).collect()
    }

    fn pids(&self) -> Vec<i64> {
        let pid = |record: &LogRecord| match attributes(&record.attributes)["process.pid"] {
            Value::IntValue(pid) => pid,
            ref other => panic!("{other:?}"),
        };
        self.records().iter().map(pid).collect()
    }
}

fn attributes(list: &[KeyValue]) -> HashMap<String, Value> {
    list.iter().map(|attribute| (attribute.key.clone(), attribute.value.clone().unwrap().value.unwrap())).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn event(pid: u32) -> Event {
    let path = format!("/tmp/\x1b[2J\n<script>{pid}");
    Event {
        time: BootTime::now().boottime(),
        cgroup: 1,
        inode: 77,
        size: 4096,
        device: 1,
        parent_pid: 7,
        uid: 1000,
        digest: Digest::sha256([0xab; 32]),
        ..Event::new(Hook::BprmCheckSecurity, Reason::Untrusted).denied().by_process(pid, "bash").about(path.as_bytes())
    }
}
