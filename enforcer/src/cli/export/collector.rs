//! The collector, over HTTP: one request, one answer, both bounded (OTLP 1.x, "OTLP/HTTP").

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use percent_encoding::percent_decode_str;
use prost::Message as _;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::cli::{Exit, Failure};
use crate::text::{chain, clipped, printable};
use crate::trust::read_certificates;

/// Where a collector takes logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(String);

/// What a collector made of a request.
pub(super) enum Answer {
    /// It has them, but for so many.
    Accepted { rejected: u64, message: String },
    /// It takes no request of this size.
    TooLarge,
    /// Not now. It may say when.
    Later { message: String, after: Option<Duration> },
    /// Never as it is.
    Refused { message: String },
}

/// A collector.
pub(super) struct Collector {
    agent: Agent,
    endpoint: Endpoint,
    headers: Vec<(String, String)>,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write an address such as http://127.0.0.1:4318 or https://collector.example:4318".to_owned();
        let address: Uri = text.parse().map_err(|_| wrong())?;
        let is_usable = matches!(address.scheme_str(), Some("http" | "https")) && address.host().is_some_and(|host| !host.is_empty());
        if !is_usable || address.query().is_some() {
            return Err(wrong());
        }
        let base = text.trim_end_matches('/');
        Ok(Self(if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }))
    }
}

impl Collector {
    /// Nothing is sent yet.
    pub(super) fn new(endpoint: &Endpoint, authorities: Option<&Path>) -> Result<Self, Failure> {
        let roots = match authorities {
            None => RootCerts::WebPki,
            Some(path) => {
                let wrong =
                    |problem| Failure::because(Exit::Usage, &problem).hint(format!("`--ca {}` must be a PEM file of certificates", path.display()));
                let certificates: Vec<_> =
                    read_certificates(path).map_err(wrong)?.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
                RootCerts::new_with_certs(&certificates)
            }
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECTING))
            .timeout_global(Some(ANSWERING))
            .user_agent(concat!("enforcer/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        Ok(Self { agent: config.into(), endpoint: endpoint.clone(), headers: headers()? })
    }

    /// Sends it once.
    pub(super) fn send(&self, request: &ExportLogsServiceRequest) -> Answer {
        let mut post = self.agent.post(&self.endpoint.0).content_type("application/x-protobuf");
        for (name, value) in &self.headers {
            post = post.header(name, value);
        }
        match post.send(request.encode_to_vec()) {
            Ok(response) => answer(response),
            // What can be mended here only is told at once; what time may mend is tried again.
            Err(error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_))) => Answer::Refused { message: chain(&error) },
            Err(error) => Answer::Later { message: printable(&chain(&error)).into_owned(), after: None },
        }
    }
}

/// By the statuses that OTLP says are to be tried again; any other failure is for good.
fn answer(mut response: Response<Body>) -> Answer {
    let status = response.status();
    let after = response.headers().get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok());
    let after = after.map(|seconds| Duration::from_secs(seconds).min(LONGEST_AFTER));
    let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
    match (status.as_u16(), body) {
        (200..=299, Ok(body)) => match ExportLogsServiceResponse::decode(body.as_slice()) {
            Ok(response) => {
                let partial = response.partial_success.unwrap_or_default();
                Answer::Accepted { rejected: partial.rejected_log_records.max(0).cast_unsigned(), message: shown(&partial.error_message) }
            }
            Err(error) => Answer::Refused { message: format!("its answer is none of OTLP ({error}): is this a collector's address?") },
        },
        (200..=299, Err(error)) => Answer::Later { message: chain(&error), after },
        (413, _) => Answer::TooLarge,
        (429 | 502..=504, _) => Answer::Later { message: format!("it answers {status}"), after },
        (_, body) => {
            let body = body.unwrap_or_default();
            let said = shown(&String::from_utf8_lossy(&body));
            Answer::Refused { message: if said.is_empty() { format!("it answers {status}") } else { format!("it answers {status}: {said}") } }
        }
    }
}

/// The headers of the environment: names and percent-encoded values, as OpenTelemetry's own exporters read them.
fn headers() -> Result<Vec<(String, String)>, Failure> {
    let written = std::env::var(HEADERS).unwrap_or_default();
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
        let is_header = ureq::http::HeaderName::from_str(name.trim()).is_ok() && ureq::http::HeaderValue::from_str(&value).is_ok();
        is_header.then(|| (name.trim().to_owned(), value))
    };
    let pairs = written.split(',').filter(|pair| !pair.trim().is_empty());
    // Their values are secrets, and not told.
    let wrong = || Failure::new(Exit::Usage, format!("`{HEADERS}` holds no headers")).hint("write `name=value,name=value`, values percent-encoded");
    pairs.map(|pair| header(pair).ok_or_else(wrong)).collect()
}

/// What a stranger says, on one line.
fn shown(text: &str) -> String {
    printable(clipped(text.trim(), LONGEST_SHOWN)).into_owned()
}

const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const PATH: &str = "/v1/logs";
const CONNECTING: Duration = Duration::from_secs(10);
/// From the connection to the end of the answer.
const ANSWERING: Duration = Duration::from_secs(30);
const LONGEST_AFTER: Duration = Duration::from_secs(300);
const LARGEST_ANSWER: u64 = 64 << 10;
const LONGEST_SHOWN: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_the_path_of_logs_once() {
        for (written, meant) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/logs"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/logs"),
            ("https://a.example/otlp/v1/logs", "https://a.example/otlp/v1/logs"),
        ] {
            assert_eq!(written.parse(), Ok(Endpoint(meant.to_owned())));
        }
        for written in ["", "127.0.0.1:4318", "ftp://a", "http://", "http:///v1/logs", "http://a/?x=1", "http://a b"] {
            assert!(Endpoint::from_str(written).is_err(), "{written}");
        }
    }
}
