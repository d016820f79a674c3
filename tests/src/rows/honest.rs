//! What a Debian system does all day.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Row;
use crate::scene::Scene;

pub const ROWS: &[Row] = &[
    Row::honest(
        "bash",
        "bash with a pipe and programs of its own",
        |_| command("bash", &["-c", "echo $((40 + 2)) | tr 4 X | cat && uname -s"]),
        "X2\nLinux",
    ),
    Row::honest(
        "python3",
        "Python with modules written in C",
        |_| command("python3", &["-I", "-c", "import ssl, hashlib, json, sqlite3, ctypes; print(json.dumps([hashlib.sha256(b'').hexdigest()[:8]]))"]),
        "[\"e3b0c442\"]",
    ),
    Row::honest(
        "perl",
        "Perl with modules written in C",
        |_| command("perl", &["-MPOSIX", "-MDigest::SHA=sha256_hex", "-e", "print substr(sha256_hex(''), 0, 8), floor(1.5), qq(\\n)"]),
        "e3b0c4421",
    ),
    Row::honest("openssl_version", "openssl", |_| command("openssl", &["version"]), "OpenSSL"),
    Row::honest(
        "openssl_digest",
        "openssl computing a digest",
        |_| command("openssl", &["dgst", "-sha256", "/dev/null"]),
        "e3b0c44298fc1c149afbf4c8996fb924",
    ),
    Row::honest(
        "openssl_key",
        "openssl making a key",
        |_| command("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        "BEGIN PRIVATE KEY",
    ),
    Row::honest("apt_version", "apt", |_| command("apt-get", &["--version"]), "Supported modules"),
    Row::honest("apt_policy", "apt reading its data", |_| command("apt-cache", &["policy", "bash"]), "Installed:"),
    Row::honest(
        "dpkg",
        "dpkg's verification of a package",
        |_| command("bash", &["-c", "dpkg --verify coreutils > /dev/null; dpkg -s coreutils"]),
        "install ok installed",
    ),
    Row::honest("service", "a service that systemd starts", service, "finished by itself"),
];

fn command(program: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// A unit of its own, waited for, whose result systemd tells.
fn service(scene: &Scene) -> Result<Command> {
    fs::create_dir_all(UNITS).context(UNITS)?;
    let program = scene.fixture("bin/program");
    fs::write(format!("{UNITS}/enforcer-tests-honest.service"), format!("[Service]\nType=oneshot\nExecStart={}\n", program.display()))?;
    let script = "systemctl daemon-reload && systemctl start enforcer-tests-honest.service \
        && [ \"$(systemctl show -p Result --value enforcer-tests-honest.service)\" = success ] && echo finished by itself";
    command("bash", &["-c", script])
}

const UNITS: &str = "/run/systemd/system";
