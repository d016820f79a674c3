//! Keys in a token: a smart card, an HSM, SoftHSM, over PKCS #11. The key never leaves it; digests go in, signature values come out.
//!
//! The token's library is native code, loaded into this process and named by whoever signs. The daemon never comes here.

mod error;
mod uri;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

pub use error::TokenError;
pub(super) use uri::{TokenUri, is_uri};

use super::scheme::digest_size;
use super::ticket::ecdsa_der;
use super::{Algorithm, KeyKind, Scheme, SignError};

/// A private key in a token, ready to sign.
pub(super) struct TokenKey {
    /// Sessions belong to one thread at a time.
    session: Mutex<Session>,
    key: ObjectHandle,
}

impl TokenKey {
    /// Loads the library, finds token and key, and logs in.
    pub(super) fn open(uri: &TokenUri) -> Result<Self, TokenError> {
        let library = library(uri)?;
        let context = Pkcs11::new(&library).map_err(|problem| TokenError::Library { path: library.clone(), problem: problem.to_string() })?;
        let initialized = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
        initialized.map_err(|problem| TokenError::Library { path: library, problem: problem.to_string() })?;
        let slot = slot(&context, uri)?;
        let session = context.open_ro_session(slot).map_err(|problem| TokenError::Call { doing: "open a session", problem })?;
        session.login(UserType::User, Some(&pin(uri)?)).map_err(TokenError::Login)?;
        let mut wanted = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
        wanted.extend(uri.object.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
        wanted.extend(uri.id.as_ref().map(|id| Attribute::Id(id.clone())));
        let found = session.find_objects(&wanted).map_err(|problem| TokenError::Call { doing: "look for the key", problem })?;
        match found[..] {
            [key] => Ok(Self { session: Mutex::new(session), key }),
            [] => Err(TokenError::NoKey),
            _ => Err(TokenError::SeveralKeys { count: found.len() }),
        }
    }

    /// The value over a message, as CMS has it.
    pub(super) fn sign(&self, message: &[u8], scheme: &Scheme) -> Result<Vec<u8>, SignError> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let sign = |mechanism: Mechanism<'_>, data: &[u8]| {
            let signed = session.sign(&mechanism, self.key, data);
            signed.map_err(|problem| SignError::Token(TokenError::Call { doing: "sign", problem }))
        };
        match (scheme.kind(), scheme.digest(), scheme.is_pss()) {
            (KeyKind::P256 | KeyKind::P384, digest, _) => {
                let pair = sign(Mechanism::Ecdsa, digest.digest(message).bytes())?;
                ecdsa_der(scheme, &pair).ok_or(SignError::Signing)
            }
            (KeyKind::Ed25519, ..) => sign(Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)), message),
            (KeyKind::Rsa(_), Algorithm::Sha256, false) => sign(Mechanism::Sha256RsaPkcs, message),
            (KeyKind::Rsa(_), Algorithm::Sha384, false) => sign(Mechanism::Sha384RsaPkcs, message),
            (KeyKind::Rsa(_), Algorithm::Sha512, false) => sign(Mechanism::Sha512RsaPkcs, message),
            (KeyKind::Rsa(_), digest, true) => {
                let parameters = |hash_alg, mgf| PkcsPssParams { hash_alg, mgf, s_len: u64::from(digest_size(digest)).into() };
                let mechanism = match digest {
                    Algorithm::Sha256 => Mechanism::Sha256RsaPkcsPss(parameters(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256)),
                    Algorithm::Sha384 => Mechanism::Sha384RsaPkcsPss(parameters(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384)),
                    Algorithm::Sha512 => Mechanism::Sha512RsaPkcsPss(parameters(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512)),
                };
                sign(mechanism, message)
            }
        }
    }
}

/// The library that the URI names, or the environment.
fn library(uri: &TokenUri) -> Result<PathBuf, TokenError> {
    let path = uri.module_path.clone().or_else(|| env::var_os(MODULE_VARIABLE).map(PathBuf::from)).ok_or(TokenError::NoLibrary)?;
    // A name without a folder would be looked for along the loader's search path, which is not for others to choose.
    if path.is_absolute() { Ok(path) } else { Err(TokenError::RelativeLibrary(path)) }
}

fn slot(context: &Pkcs11, uri: &TokenUri) -> Result<Slot, TokenError> {
    let failed = |problem| TokenError::Call { doing: "list the tokens", problem };
    let mut found = Vec::new();
    let mut labels = Vec::new();
    for slot in context.get_slots_with_initialized_token().map_err(failed)? {
        let token = context.get_token_info(slot).map_err(failed)?;
        let is = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is.trim_end());
        labels.push(crate::text::printable(token.label().trim_end()).into_owned());
        let agrees = is(&uri.token, token.label())
            && is(&uri.serial, token.serial_number())
            && is(&uri.manufacturer, token.manufacturer_id())
            && is(&uri.model, token.model())
            && uri.slot_id.is_none_or(|id| id == slot.id());
        if agrees {
            found.push(slot);
        }
    }
    match found[..] {
        [slot] => Ok(slot),
        [] => Err(TokenError::NoToken { labels }),
        _ => Err(TokenError::SeveralTokens { labels }),
    }
}

/// From the file or the value that the URI names, or the environment.
fn pin(uri: &TokenUri) -> Result<AuthPin, TokenError> {
    let pin = match (&uri.pin_source, &uri.pin_value) {
        (Some(path), _) => read_pin(path)?,
        (None, Some(value)) => value.clone(),
        (None, None) => env::var(PIN_VARIABLE).map_err(|_| TokenError::NoPin)?,
    };
    Ok(AuthPin::from(pin))
}

fn read_pin(path: &Path) -> Result<String, TokenError> {
    let unreadable = |problem: String| TokenError::PinSource { path: path.to_owned(), problem };
    if fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len() > MAX_PIN {
        return Err(unreadable(format!("it has more than {MAX_PIN} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Where the library is looked for that the URI does not name.
const MODULE_VARIABLE: &str = "ENFORCER_PKCS11_MODULE";
const PIN_VARIABLE: &str = "ENFORCER_PIN";
const MAX_PIN: u64 = 1024;
