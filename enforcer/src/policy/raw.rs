//! policy.toml as it is written: one struct for each table, nothing checked but names and types.
//!
//! Every value keeps its place in the file, so that [`super::settle`] can point at it. Never leaves this module tree: the rest of Enforcer sees
//! a settled [`super::Policy`].

use serde::Deserialize;
use toml::value::Datetime;
use toml::{Spanned, Value};

/// A value with its place in the file.
pub(super) type At<T> = Spanned<T>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawPolicy {
    pub(super) version: Option<At<i64>>,
    pub(super) mode: Option<At<String>>,
    #[serde(default)]
    pub(super) signer: Vec<At<RawSigner>>,
    #[serde(default)]
    pub(super) component: Vec<At<RawComponent>>,
    #[serde(default)]
    pub(super) timestamp_authority: Vec<At<RawTimestampAuthority>>,
    #[serde(default)]
    pub(super) scope: Vec<At<RawScope>>,
    pub(super) fuse: Option<At<RawFuse>>,
    #[serde(default)]
    pub(super) break_glass: RawBreakGlass,
    #[serde(default)]
    pub(super) signatures: RawSignatures,
    #[serde(default)]
    pub(super) revocation: RawRevocation,
    #[serde(default)]
    pub(super) sources: RawSources,
    #[serde(default)]
    pub(super) scan: RawScan,
    #[serde(default)]
    pub(super) scripts: RawScripts,
    #[serde(default)]
    pub(super) interpreter: Vec<At<RawInterpreter>>,
    #[serde(default)]
    pub(super) memory: RawMemory,
    #[serde(default)]
    pub(super) filesystems: RawFilesystems,
    #[serde(default)]
    pub(super) kernel: RawKernel,
    #[serde(default)]
    pub(super) metrics: RawMetrics,
    #[serde(default)]
    pub(super) protection: RawProtection,
    #[serde(default)]
    pub(super) limits: RawLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSigner {
    pub(super) name: Option<At<String>>,
    pub(super) anchors: Option<Vec<At<String>>>,
    pub(super) certificates: Option<Vec<At<String>>>,
    pub(super) intermediates: Option<Vec<At<String>>>,
    pub(super) allow: Option<At<Vec<At<String>>>>,
    pub(super) entitlements: Option<Vec<At<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawComponent {
    pub(super) identifier: Option<At<String>>,
    pub(super) signers: Option<Vec<At<String>>>,
    pub(super) min_security_version: Option<At<i64>>,
    pub(super) names: Option<Vec<At<String>>>,
    pub(super) paths: Option<Vec<At<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawTimestampAuthority {
    pub(super) name: Option<At<String>>,
    pub(super) anchors: Option<Vec<At<String>>>,
    pub(super) intermediates: Option<Vec<At<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawScope {
    pub(super) name: Option<At<String>>,
    pub(super) cgroups: Option<Vec<At<String>>>,
    pub(super) mode: Option<At<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawFuse {
    pub(super) denials: Option<At<i64>>,
    pub(super) within: Option<At<String>>,
    pub(super) until: Option<At<Datetime>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawBreakGlass {
    pub(super) codes: Option<Vec<At<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSignatures {
    pub(super) several_signers: Option<At<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawRevocation {
    pub(super) crls: Option<Vec<At<String>>>,
    pub(super) stale_crl: Option<At<String>>,
    pub(super) file: Option<At<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSources {
    pub(super) manifests: Option<Vec<At<String>>>,
    pub(super) stores: Option<Vec<At<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawScan {
    pub(super) paths: Option<Vec<At<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawScripts {
    pub(super) unsigned: Option<At<String>>,
    pub(super) others: Option<At<String>>,
    pub(super) inline: Option<At<String>>,
    pub(super) stdin: Option<At<String>>,
    pub(super) interactive: Option<At<String>>,
    pub(super) callers: Option<At<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawInterpreter {
    pub(super) name: Option<At<String>>,
    pub(super) like: Option<At<String>>,
    pub(super) programs: Option<Vec<At<String>>>,
    pub(super) scripts: Option<Vec<At<String>>>,
    pub(super) unsigned: Option<At<String>>,
    pub(super) others: Option<At<String>>,
    pub(super) inline: Option<At<String>>,
    pub(super) stdin: Option<At<String>>,
    pub(super) interactive: Option<At<String>>,
    pub(super) callers: Option<At<String>>,
    pub(super) inline_options: Option<Vec<At<String>>>,
    pub(super) argument_options: Option<Vec<At<String>>>,
    pub(super) program_options: Option<Vec<At<String>>>,
    pub(super) script_options: Option<Vec<At<String>>>,
    pub(super) module_options: Option<Vec<At<String>>>,
    pub(super) stdin_options: Option<Vec<At<String>>>,
    pub(super) variables: Option<Vec<At<String>>>,
    pub(super) inline_variables: Option<Vec<At<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawMemory {
    pub(super) anonymous: Option<At<String>>,
    pub(super) writable_and_executable: Option<At<String>>,
    pub(super) made_executable: Option<At<String>>,
    pub(super) tracing: Option<At<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawFilesystems {
    pub(super) volatile: Option<At<String>>,
    pub(super) foreign: Option<At<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawKernel {
    pub(super) modules: Option<At<String>>,
    pub(super) modules_from_memory: Option<At<String>>,
    pub(super) kexec: Option<At<String>>,
    pub(super) firmware: Option<At<String>>,
    pub(super) memory: Option<At<String>>,
    pub(super) bpf_programs: Option<At<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawMetrics {
    pub(super) textfile: Option<At<String>>,
    pub(super) interval_seconds: Option<At<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawProtection {
    pub(super) policy_signers: Option<Vec<At<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawLimits {
    pub(super) max_file_size: Option<At<Value>>,
    pub(super) max_verdicts: Option<At<i64>>,
    pub(super) first_use_deadline_ms: Option<At<i64>>,
    pub(super) first_use_deadline_per_mib_ms: Option<At<i64>>,
    pub(super) max_waiting: Option<At<i64>>,
}
