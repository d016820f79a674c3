//! A public key infrastructure for tests, made by the `openssl` command: root, intermediate, and leaves of every kind.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};

use tempfile::TempDir;

/// The kinds of key that signers may have.
pub const KEY_KINDS: [&str; 6] = ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "ed25519"];

/// Extensions of a certificate that may sign code.
pub const SIGNING: &str = "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\nsubjectKeyIdentifier=hash\n";
/// Extensions of a certificate authority.
pub const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";

/// A certificate with its key, and the certificates between it and the root.
#[derive(Clone)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub chain: Option<PathBuf>,
}

/// Root → intermediate, shared by all tests of this process.
pub struct Pki {
    folder: TempDir,
    pub root: Identity,
    pub intermediate: Identity,
    rsa: Mutex<HashMap<String, Identity>>,
}

pub static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

impl Pki {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = self_signed(folder.path(), "root", "rsa2048", AUTHORITY);
        let mut intermediate = issue(folder.path(), "intermediate", "p384", AUTHORITY, &root, &["-days", "3650"]);
        intermediate.chain = Some(intermediate.certificate.clone());
        Self { folder, root, intermediate, rsa: Mutex::default() }
    }

    /// A code-signing certificate below the intermediate, one for each kind of key.
    ///
    /// Each call makes another one, but for RSA, whose keys take seconds to make.
    pub fn signer(&self, kind: &str) -> Identity {
        if !kind.starts_with("rsa") {
            return self.issue(kind, SIGNING);
        }
        let mut made = self.rsa.lock().unwrap();
        made.entry(kind.to_owned()).or_insert_with(|| self.issue(kind, SIGNING)).clone()
    }

    /// A certificate below the intermediate.
    pub fn issue(&self, kind: &str, extensions: &str) -> Identity {
        issue(self.folder.path(), &unique("leaf"), kind, extensions, &self.intermediate, &["-days", "365"])
    }

    /// A code-signing certificate directly below the root, valid between these dates (`YYYYMMDDHHMMSSZ`).
    pub fn issue_between(&self, from: &str, to: &str) -> Identity {
        let name = unique("dated");
        let folder = self.folder.path().join(&name);
        fs::create_dir(&folder).unwrap();
        let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        fs::write(at("index"), "").unwrap();
        fs::write(at("extensions"), SIGNING).unwrap();
        let config = format!(
            "[ca]\ndefault_ca=d\n[d]\nnew_certs_dir={}\ndatabase={}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n",
            folder.display(),
            at("index")
        );
        fs::write(at("config"), config).unwrap();
        generate_key(&at("key.pem"), "p256");
        openssl(&["req", "-new", "-key", &at("key.pem"), "-subj", &format!("/CN={name}"), "-out", &at("request")]);
        let (root, key) = (self.root.certificate.to_str().unwrap(), self.root.key.to_str().unwrap());
        openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            &at("config"),
            "-cert",
            root,
            "-keyfile",
            key,
            "-startdate",
            from,
            "-enddate",
            to,
            "-extfile",
            &at("extensions"),
            "-in",
            &at("request"),
            "-out",
            &at("certificate.pem"),
        ]);
        Identity { certificate: at("certificate.pem").into(), key: at("key.pem").into(), chain: None }
    }

    /// An intermediate authority below the root.
    pub fn issue_authority(&self, extensions: &str) -> Identity {
        with_itself_in_chain(issue(self.folder.path(), &unique("authority"), "p256", extensions, &self.root, &["-days", "365"]))
    }

    /// An authority below another one.
    pub fn issue_authority_below(&self, issuer: &Identity) -> Identity {
        with_itself_in_chain(issue(self.folder.path(), &unique("authority"), "p256", AUTHORITY, issuer, &["-days", "365"]))
    }

    /// A certificate below this one, be it an authority or not.
    pub fn issue_below(&self, issuer: &Identity, extensions: &str) -> Identity {
        let issuer = if issuer.chain.as_ref().is_some_and(|chain| contains(chain, &issuer.certificate)) {
            issuer.clone()
        } else {
            with_itself_in_chain(issuer.clone())
        };
        issue(self.folder.path(), &unique("leaf"), "p256", extensions, &issuer, &["-days", "365"])
    }

    /// A self-signed certificate that has nothing to do with the root.
    pub fn self_signed(&self, extensions: &str) -> Identity {
        self_signed(self.folder.path(), &unique("self"), "p256", extensions)
    }
}

/// Runs openssl and expects it to succeed.
pub fn openssl(arguments: &[&str]) -> Output {
    let output = try_openssl(arguments);
    assert!(output.status.success(), "openssl {}\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    output
}

pub fn try_openssl(arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).output().expect("the openssl command is needed: apt install openssl")
}

/// Signs with `openssl cms -sign -binary -outform DER` and these arguments on top.
pub fn cms_sign(content: &Path, signer: &Identity, more: &[&str], signature: &Path) {
    let mut arguments = vec!["cms", "-sign", "-binary", "-outform", "DER", "-in", text(content), "-signer", text(&signer.certificate)];
    arguments.extend(["-inkey", text(&signer.key), "-out", text(signature)]);
    if let Some(chain) = &signer.chain {
        arguments.extend(["-certfile", text(chain)]);
    }
    arguments.extend(more);
    openssl(&arguments);
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What is issued below this certificate needs it, and what it needs itself, in the chain.
fn with_itself_in_chain(mut identity: Identity) -> Identity {
    let above = identity.chain.as_ref().map_or(String::new(), |chain| fs::read_to_string(chain).unwrap());
    let chain = identity.certificate.with_extension("chain");
    fs::write(&chain, above + &fs::read_to_string(&identity.certificate).unwrap()).unwrap();
    identity.chain = Some(chain);
    identity
}

fn contains(chain: &Path, certificate: &Path) -> bool {
    fs::read_to_string(chain).unwrap().contains(&fs::read_to_string(certificate).unwrap())
}

pub fn self_signed(folder: &Path, name: &str, kind: &str, extensions: &str) -> Identity {
    let at = |suffix: &str| folder.join(format!("{name}.{suffix}")).to_str().unwrap().to_owned();
    generate_key(&at("key"), kind);
    fs::write(at("extensions"), format!("[req]\ndistinguished_name=n\n[n]\n[x]\n{extensions}")).unwrap();
    let subject = format!("/CN={name}");
    openssl(&[
        "req",
        "-x509",
        "-new",
        "-key",
        &at("key"),
        "-subj",
        &subject,
        "-days",
        "3650",
        "-config",
        &at("extensions"),
        "-extensions",
        "x",
        "-out",
        &at("pem"),
    ]);
    Identity { certificate: at("pem").into(), key: at("key").into(), chain: None }
}

pub fn issue(folder: &Path, name: &str, kind: &str, extensions: &str, issuer: &Identity, more: &[&str]) -> Identity {
    let at = |suffix: &str| folder.join(format!("{name}.{suffix}")).to_str().unwrap().to_owned();
    generate_key(&at("key"), kind);
    fs::write(at("extensions"), extensions).unwrap();
    openssl(&["req", "-new", "-key", &at("key"), "-subj", &format!("/CN={name}"), "-out", &at("request")]);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed).to_string();
    let (ca, ca_key, request, extfile, out) = (text(&issuer.certificate), text(&issuer.key), at("request"), at("extensions"), at("pem"));
    let mut arguments = vec!["x509", "-req", "-in", &request, "-CA", ca, "-CAkey", ca_key, "-set_serial", &serial];
    arguments.extend(["-extfile", &extfile, "-out", &out]);
    arguments.extend(more);
    openssl(&arguments);
    Identity { certificate: at("pem").into(), key: at("key").into(), chain: issuer.chain.clone() }
}

fn generate_key(path: &str, kind: &str) {
    let bits;
    let arguments: &[&str] = match kind {
        "p256" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "p384" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "p521" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        "ed25519" => &["-algorithm", "ED25519"],
        rsa => {
            bits = format!("rsa_keygen_bits:{}", rsa.strip_prefix("rsa").unwrap());
            &["-algorithm", "RSA", "-pkeyopt", &bits]
        }
    };
    openssl(&[&["genpkey", "-quiet", "-out", path][..], arguments].concat());
}

fn unique(prefix: &str) -> String {
    format!("{prefix}{}", SERIAL.fetch_add(1, Ordering::Relaxed))
}

static SERIAL: AtomicU32 = AtomicU32::new(100);
