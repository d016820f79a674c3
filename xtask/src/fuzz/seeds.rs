//! The fuzzers' scene and seeds, made by the tools that people use: openssl, the kernel's `sign-file`, evmctl, dpkg-deb, rpmbuild, umoci, and `enforcer sign`.
//!
//! Run by hand when a format gains a form; what it makes is committed. The keys stay in the temporary folder and go with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::build::{self, Profile};
use crate::ui::Step;
use crate::{process, setup, workspace};

const CONFIG: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[signer]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, codeSigning
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[clock]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
[ca]
default_ca = root
[root]
database = index
new_certs_dir = .
certificate = root.pem
private_key = root.key
default_md = sha256
policy = any
crl_extensions = crl
crlnumber = crl-number
[any]
commonName = supplied
[crl]
authorityKeyIdentifier = keyid
[tsa]
default_tsa = clock_tsa
[clock_tsa]
serial = serial
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
signer_digest = sha256
ess_cert_id_alg = sha256
accuracy = secs:1
ordering = yes
tsa_name = yes
";

const PROGRAM64: &str = ".globl _start\n_start:\n mov $60, %eax\n xor %edi, %edi\n syscall\n";
const PROGRAM32: &str = ".globl _start\n_start:\n mov $1, %eax\n xor %ebx, %ebx\n int $0x80\n";
const SCRIPT: &str = "#!/bin/sh\nexit 0\n";
const TOOL: &str = "#!/usr/bin/env node\nprocess.exit(0)";

const SPEC: &str = "Name: tool\nVersion: 1\nRelease: 1\nSummary: a tool\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no\n%description\nA tool.\n\
    %install\ncp -a %{getenv:SEEDS}/tree/. %{buildroot}\nrm -r %{buildroot}/DEBIAN\n%files\n%defattr(-,root,root)\n/usr\n";
const MACROS: &str = "%_topdir %{getenv:SEEDS}/rpmbuild\n%_dbpath %{getenv:SEEDS}/rpmdb\n%_buildhost localhost\n%__os_install_post %{nil}\n\
    %_build_id_links none\n%_binaries_in_noarch_packages_terminate_build 0\n";

/// Commands, in order, in the temporary folder; words are separated by blanks.
const STEPS: &[&str] = &[
    "openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out root.key",
    "openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key",
    "openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key",
    "openssl genpkey -quiet -algorithm ED25519 -out ed25519.key",
    "openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out clock-root.key",
    "openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out clock.key",
    "openssl req -x509 -new -config config -extensions authority -days 36500 -key root.key -subj /CN=root -out root.pem",
    "openssl req -x509 -new -config config -extensions authority -days 36500 -key clock-root.key -subj /CN=clock-root -out clock-root.pem",
    "openssl req -new -config config -key rsa.key -subj /C=DE/O=Example/CN=rsa -out rsa.csr",
    "openssl req -new -config config -key p256.key -subj /CN=p256 -out p256.csr",
    "openssl req -new -config config -key ed25519.key -subj /CN=ed25519 -out ed25519.csr",
    "openssl req -new -config config -key clock.key -subj /CN=clock -out clock.csr",
    "openssl x509 -req -in rsa.csr -CA root.pem -CAkey root.key -set_serial 11 -days 36500 -extfile config -extensions signer -out rsa.pem",
    "openssl x509 -req -in p256.csr -CA root.pem -CAkey root.key -set_serial 12 -days 36500 -extfile config -extensions signer -out p256.pem",
    "openssl x509 -req -in ed25519.csr -CA root.pem -CAkey root.key -set_serial 13 -days 36500 -extfile config -extensions signer -out ed25519.pem",
    "openssl x509 -req -in clock.csr -CA clock-root.pem -CAkey clock-root.key -set_serial 14 -days 36500 -extfile config -extensions clock \
     -out clock.pem",
    "openssl x509 -in root.pem -outform DER -out root.der",
    "openssl x509 -in rsa.pem -outform DER -out rsa.der",
    "openssl x509 -in p256.pem -outform DER -out p256.der",
    "openssl x509 -in ed25519.pem -outform DER -out ed25519.der",
    "openssl x509 -in clock.pem -outform DER -out clock.der",
    // Revocation lists: empty, then with two certificates.
    "openssl ca -config config -gencrl -crldays 36500 -out empty.crl.pem",
    "openssl ca -config config -revoke p256.pem -crl_reason keyCompromise",
    "openssl ca -config config -revoke ed25519.pem",
    "openssl ca -config config -gencrl -crldays 36500 -out two.crl.pem",
    "openssl crl -in two.crl.pem -outform DER -out two.crl.der",
    // Programs, small ones.
    "as --64 -o program64.o program64.s",
    "ld -s -z noseparate-code -o program64 program64.o",
    "as --32 -o program32.o program32.s",
    "ld -s -m elf_i386 -z noseparate-code -o program32 program32.o",
    "cp program64 unsigned64",
    "enforcer sign --embed --key p256.key --certificate p256.pem program64",
    "enforcer sign --embed --key rsa.key --certificate rsa.pem program32",
    "sign-file sha256 rsa.key rsa.pem program64.o program.module",
    "sign-file sha256 rsa.key rsa.pem script script.module",
    "sign-file sha512 p256.key p256.pem script script.module-ec",
    "cp script script.comment",
    "enforcer sign --comment --key p256.key --certificate p256.pem script.comment",
    "enforcer sign --comment --key rsa.key --certificate rsa.pem --no-attributes tool.js",
    "cp tool.js claims.js",
    "enforcer sign --comment=// --key ed25519.key --certificate ed25519.pem --identifier org.example.tool claims.js",
    // Detached signatures of every form.
    "openssl cms -sign -binary -outform DER -in script -signer rsa.pem -inkey rsa.key -out rsa.p7s",
    "openssl cms -sign -binary -outform DER -in script -signer rsa.pem -inkey rsa.key -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:digest \
     -out pss.p7s",
    "openssl cms -sign -binary -outform DER -in script -signer p256.pem -inkey p256.key -keyid -cades -out p256-keyid.p7s",
    "openssl cms -sign -binary -outform DER -in script -signer p256.pem -inkey p256.key -noattr -nocerts -out p256-bare.p7s",
    "enforcer sign --detach --key ed25519.key --certificate ed25519.pem script",
    "mv script.p7s ed25519.p7s",
    "openssl cms -sign -binary -outform PEM -in script -signer rsa.pem -inkey rsa.key -md sha384 -out rsa.pem.p7s",
    "openssl cms -sign -binary -stream -outform DER -in script -signer p256.pem -inkey p256.key -out p256-stream.p7s",
    "openssl cms -sign -binary -outform DER -in script -signer rsa.pem -inkey rsa.key -signer p256.pem -inkey p256.key -out two.p7s",
    "enforcer sign --detach --key p256.key --certificate p256.pem --identifier org.example.tool --software-version 2.1 --security-version 3 \
     --entitlement write-execute --entitlement foreign-libraries script",
    "mv script.p7s claims.p7s",
    "enforcer sign --prepare ticket --certificate rsa.pem --chain root.pem --detach script program64",
    "evmctl ima_sign --sigfile --hashalgo sha256 --key rsa.key script",
    "mv script.sig rsa.ima",
    "evmctl ima_sign --sigfile --hashalgo sha512 --key p256.key script",
    "mv script.sig p256.ima",
    // A timestamp.
    "openssl ts -query -config config -data stamped -sha256 -cert -out query",
    "openssl ts -reply -config config -queryfile query -signer clock.pem -inkey clock.key -token_out -out timestamp",
    // Packages.
    "dpkg-deb --root-owner-group -Znone --build tree none.deb",
    "dpkg-deb --root-owner-group -Zgzip --build tree gzip.deb",
    "dpkg-deb --root-owner-group -Zxz --build tree xz.deb",
    "dpkg-deb --root-owner-group -Zzstd --build tree zstd.deb",
    "rpmbuild -bb --quiet --load macros --load gzip tool.spec",
    "mv rpmbuild/RPMS/noarch/tool-1-1.noarch.rpm gzip.rpm",
    "rpmbuild -bb --quiet --load macros --load plain tool.spec",
    "mv rpmbuild/RPMS/noarch/tool-1-1.noarch.rpm plain.rpm",
    "rpmbuild -bb --quiet --load macros --load zstd tool.spec",
    "mv rpmbuild/RPMS/noarch/tool-1-1.noarch.rpm zstd.rpm",
    // An image of two layers, the second of which takes a file away; and a layer with everything that layers may have.
    "umoci init --layout layout",
    "umoci new --image layout:v1",
    "umoci insert --rootless --image layout:v1 tree/usr /usr",
    "umoci insert --rootless --whiteout --image layout:v1 /usr/bin/alias",
    "tar -C layout -cf image.tar .",
    "cp -a tree/usr layer",
    "touch layer/bin/.wh.gone",
    "tar --owner 0 --group 0 --mtime @0 -cf layer.tar layer",
    "gzip -nk layer.tar",
];

const SCENE: &[&str] = &[
    "root.pem",
    "clock-root.pem",
    "clock.pem",
    "signers.pem",
    "program64",
    "program32",
    "program.module",
    "program64.o",
    "script",
    "script.module",
    "script.comment",
    "tool.js",
    "manifest",
    "stamped",
    "timestamp",
    "made-at",
];
const SIGNATURES: &[&str] =
    &["rsa.p7s", "pss.p7s", "p256-keyid.p7s", "p256-bare.p7s", "ed25519.p7s", "rsa.pem.p7s", "two.p7s", "claims.p7s", "manifest.p7s"];
const SEEDS: &[(&str, &[&str])] = &[
    ("elf", &["program64", "program32", "unsigned64", "program64.o"]),
    ("trailer", &["program.module", "script.module", "script.module-ec"]),
    ("comment", &["script.comment", "tool.js", "claims.js"]),
    ("cms", SIGNATURES),
    ("cms", &["p256-stream.p7s"]),
    ("ima", &["rsa.ima", "p256.ima"]),
    ("certificate", &["root.der", "rsa.der", "p256.der", "ed25519.der", "clock.der", "signers.pem"]),
    ("timestamp", &["timestamp"]),
    ("crl", &["empty.crl.pem", "two.crl.pem", "two.crl.der"]),
    ("manifest", &["manifest"]),
    ("ticket", &["ticket.json"]),
    ("deb", &["none.deb", "gzip.deb", "xz.deb", "zstd.deb"]),
    ("rpm", &["gzip.rpm", "plain.rpm", "zstd.rpm"]),
    ("oci", &["image.tar"]),
    ("oci-layer", &["layer.tar", "layer.tar.gz"]),
];

/// Makes all of it anew, into `fuzz/scene` and `fuzz/corpus`.
pub(super) fn make() -> Result<()> {
    setup::for_tests()?;
    let enforcer = build::enforcer(Profile::Debug)?;
    let step = Step::start("seeds");
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let at = |name: &str| folder.path().join(name);
    prepare(folder.path())?;
    for step_text in STEPS {
        run(step_text, folder.path(), &enforcer, &step)?;
    }
    let read = |name: &str| fs::read(at(name)).with_context(|| format!("`{name}` was not made"));
    fs::write(at("signers.pem"), [read("rsa.pem")?, read("p256.pem")?, read("ed25519.pem")?].concat())?;
    let ticket = fs::read_to_string(at("ticket/ticket.json")).context("no ticket was made")?;
    fs::write(at("ticket.json"), ticket.replace(&folder.path().display().to_string(), "/seeds"))?;
    let odd = at("odd\nname\\");
    fs::write(&odd, "odd")?;
    let list = Command::new("sha256sum").args(["--tag", "program64", "script", "odd\nname\\"]).current_dir(folder.path()).output()?;
    ensure!(list.status.success(), "sha256sum failed");
    fs::write(at("manifest"), [b"# a manifest\n", &list.stdout[..]].concat())?;
    run("openssl cms -sign -binary -outform DER -in manifest -signer p256.pem -inkey p256.key -out manifest.p7s", folder.path(), &enforcer, &step)?;
    let home = workspace::root().join("fuzz");
    let put = |name: &str, place: PathBuf, prefix: &[u8]| -> Result<()> {
        fs::create_dir_all(place.parent().context("a place without a folder")?)?;
        fs::write(&place, [prefix, &read(name)?].concat()).with_context(|| format!("cannot write `{}`", place.display()))
    };
    for name in SCENE {
        put(name, home.join("scene").join(name), b"")?;
    }
    for name in SIGNATURES {
        put(name, home.join("scene/signatures").join(name), b"")?;
        // The first byte says what is signed.
        let choice: &[u8] = if *name == "manifest.p7s" { &[2] } else { &[0] };
        put(name, home.join("corpus/decision").join(name), choice)?;
    }
    put("manifest", home.join("corpus/decision/manifest"), &[3])?;
    for (target, names) in SEEDS {
        for name in *names {
            put(name, home.join("corpus").join(target).join(name), b"")?;
        }
    }
    step.done("fuzz/scene and fuzz/corpus");
    Ok(())
}

/// What the commands start from.
fn prepare(folder: &Path) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    let made_at = format!("{now}\n");
    let texts = [
        ("config", CONFIG),
        ("index", ""),
        ("crl-number", "01\n"),
        ("serial", "01\n"),
        ("program64.s", PROGRAM64),
        ("program32.s", PROGRAM32),
        ("script", SCRIPT),
        ("tool.js", TOOL),
        ("stamped", "the value of a signature\n"),
        ("made-at", &made_at),
        ("tool.spec", SPEC),
        ("macros", MACROS),
        ("gzip", "%_binary_payload w9.gzdio\n"),
        ("plain", "%_binary_payload w.ufdio\n"),
        ("zstd", "%_binary_payload w19.zstdio\n"),
    ];
    for (name, text) in texts {
        fs::write(folder.join(name), text)?;
    }
    fs::create_dir_all(folder.join("tree/DEBIAN"))?;
    fs::create_dir_all(folder.join("tree/usr/bin"))?;
    fs::write(
        folder.join("tree/DEBIAN/control"),
        "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: a tool\n",
    )?;
    fs::write(folder.join("tree/usr/bin/tool"), SCRIPT)?;
    fs::hard_link(folder.join("tree/usr/bin/tool"), folder.join("tree/usr/bin/alias"))?;
    std::os::unix::fs::symlink("tool", folder.join("tree/usr/bin/link"))?;
    fs::write(folder.join("tree/usr/bin").join("long-".repeat(30)), "long\n")?;
    Ok(())
}

fn run(line: &str, folder: &Path, enforcer: &Path, step: &Step) -> Result<()> {
    let mut words = line.split_whitespace();
    let program = match words.next().unwrap_or_default() {
        "enforcer" => enforcer.to_owned(),
        "sign-file" => sign_file()?,
        name => name.into(),
    };
    process::run(Command::new(program).args(words).current_dir(folder).env("SOURCE_DATE_EPOCH", "0").env("SEEDS", folder), step).map(drop)
}

/// The kernel's signer of modules, of whatever version is installed.
fn sign_file() -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib").context("no /usr/lib")?.flatten().map(|entry| entry.path().join("scripts/sign-file"));
    folders.into_iter().find(|path| path.is_file()).context("no sign-file: `cargo xtask setup` installs it")
}
