//! Timestamps (RFC 3161) by `openssl ts`, attached as an unsigned attribute: what they prove, and what they do not.
//!
//! `openssl ts` certifies the time at which it runs, so that here the clock counts, and everything else is before or after it.

use std::fs;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::certificates::{DAY, DIGITAL_SIGNATURE, Draft, Identity, TIME_STAMPING, basic_constraints, extension, key_usage};
use crate::compare::{Accepted, Refused, Timestamp, Trust, Variant, group};
use crate::keys::openssl_with_input;
use crate::message::{Message, attribute};
use crate::scene::pem;
use crate::tree::{oid, raw, sequence};

const CONTENT: &[u8] = b"the content that was signed\n";
/// id-aa-timeStampToken (RFC 3161, appendix A).
const TIME_STAMP_TOKEN: &str = "1.2.840.113549.1.9.16.2.14";

struct World {
    folder: TempDir,
    root: Identity,
    times: Identity,
    now: u64,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let always = |draft: Draft| draft.valid(now - 900 * DAY, now + 3000 * DAY);
    let (root, times) = (always(Draft::authority("root")).self_signed(), always(Draft::authority("times")).self_signed());
    World { folder: tempfile::tempdir().unwrap(), root, times, now }
});

impl World {
    /// A signer that is valid from and until so many days from now.
    fn signer(&self, from: i64, until: i64) -> Identity {
        let at = |days: i64| self.now.checked_add_signed(days * DAY as i64).expect("in range");
        Draft::leaf("signer").valid(at(from), at(until)).signed_by(&self.root)
    }

    /// A server of timestamps that is valid until so many days from now.
    fn server(&self, until: i64) -> Identity {
        let purposes = extension("2.5.29.37", true, &sequence(vec![oid("", TIME_STAMPING)]));
        let draft = Draft::new("timestamps", crate::keys::Key::new("p256"));
        let end = self.now.checked_add_signed(until * DAY as i64).expect("in range");
        draft.with(vec![basic_constraints(None, true), key_usage(DIGITAL_SIGNATURE), purposes]).valid(self.now - 9 * DAY, end).signed_by(&self.times)
    }

    /// A token about these bytes.
    fn token(&self, server: &Identity, md: &str, value: &[u8]) -> Vec<u8> {
        let at = |name: &str| format!("{}/{:02x?}-{md}-{name}", self.folder.path().display(), server.serial);
        fs::write(at("certificate"), pem("CERTIFICATE", &server.certificate)).unwrap();
        fs::write(at("value"), value).unwrap();
        fs::write(at("serial"), "01\n").unwrap();
        fs::write(at("key"), openssl_with_input(&["pkey", "-inform", "DER"], &fs::read(server.key.path()).unwrap())).unwrap();
        let config = format!(
            "[tsa]\ndefault_tsa=t\n[t]\nserial={}\ndefault_policy=1.2.3.4.1\ndigests=sha1,sha256,sha384,sha512\nsigner_digest=sha256\n",
            at("serial")
        );
        fs::write(at("config"), config).unwrap();
        openssl_with_input(&["ts", "-query", "-data", &at("value"), &format!("-{md}"), "-cert", "-out", &at("query")], &[]);
        let made = Command::new("openssl")
            .args(["ts", "-reply", "-config", &at("config"), "-section", "t", "-queryfile", &at("query"), "-signer", &at("certificate")])
            .args(["-inkey", &at("key"), "-token_out", "-out", &at("token")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::read(at("token")).unwrap()
    }

    fn variant(&self, name: &str, message: &Message, token: Vec<u8>, at: i64) -> Variant {
        let mut message = message.clone();
        let value = message.signers[0].value.clone();
        message.signers[0].unsigned = vec![attribute("", TIME_STAMP_TOKEN, vec![raw("", token.clone())])];
        let trust = Trust { timestamps: vec![self.times.certificate.clone()], ..Trust::anchor(&self.root) };
        let at = self.now.checked_add_signed(at * DAY as i64).expect("in range");
        Variant::new(name, CONTENT, message.der(), &trust).at(at).timestamped(Timestamp { token, value, time: self.now })
    }
}

#[test]
fn timestamps() {
    let world = &*WORLD;
    let server = world.server(2000);
    let signer = world.signer(-30, 30);
    let message = Message::sign(CONTENT, &signer, &[]);
    let value = message.signers[0].value.clone();
    let token = world.token(&server, "sha256", &value);
    let mut variants = vec![
        world.variant("while-everything-is-valid", &message, token.clone(), 1).ought(Accepted),
        world.variant("after-the-signer-expired", &message, token.clone(), 100).ought(Accepted),
        world.variant("after-the-server-expired-too", &message, world.token(&world.server(20), "sha256", &value), 100).ought(Accepted),
        world.variant("of-another-value", &message, world.token(&server, "sha256", b"another value"), 100).ought(Refused),
        world.variant("of-the-content", &message, world.token(&server, "sha256", CONTENT), 100).ought(Refused),
    ];
    for md in ["sha384", "sha512"] {
        variants.push(world.variant(&format!("imprint-{md}"), &message, world.token(&server, md, &value), 100).ought(Accepted));
    }
    variants.push(world.variant("imprint-sha1", &message, world.token(&server, "sha1", &value), 100).ought(Refused));
    let late = Message::sign(CONTENT, &world.signer(-30, -1), &[]);
    let late_token = world.token(&server, "sha256", &late.signers[0].value);
    variants.push(world.variant("made-after-the-signer-expired", &late, late_token, 100).ought(Refused));
    let early = Message::sign(CONTENT, &world.signer(10, 30), &[]);
    let early_token = world.token(&server, "sha256", &early.signers[0].value);
    variants.push(world.variant("made-before-the-signer-was-valid", &early, early_token.clone(), 100).ought(Refused));
    let mut changed = token.clone();
    *changed.last_mut().expect("a token") ^= 1;
    variants.push(world.variant("changed", &message, changed, 100).ought(Refused));
    variants.push(world.variant("cut", &message, token[..token.len() / 2].to_vec(), 100).ought(Refused));
    // Nobody certifies times for this policy.
    let mut unknown = world.variant("of-an-unknown-authority", &message, token.clone(), 100);
    unknown.trust.timestamps = vec![world.root.certificate.clone()];
    variants.push(unknown.ought(Refused));
    let mut without = world.variant("without-authorities", &message, token, 100);
    without.trust.timestamps.clear();
    variants.push(without.ought(Refused));
    let mut plain = Variant::new("none-after-the-signer-expired", CONTENT, message.der(), &Trust::anchor(&world.root)).at(world.now + 100 * DAY);
    plain.trust.timestamps = vec![world.times.certificate.clone()];
    variants.push(plain.ought(Refused));
    group("timestamps", "openssl", &variants);
}
