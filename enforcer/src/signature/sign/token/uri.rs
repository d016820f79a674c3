//! PKCS #11 URIs (RFC 7512) as settled values.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::TokenError;

/// What every such URI begins with, in upper or lower case (RFC 3986 §3.1).
const SCHEME: &str = "pkcs11:";

/// Whether this names a key in a token. What does not is taken for a file's name, and told in errors, which a PIN must not be.
pub(in crate::signature::sign) fn is_uri(text: &str) -> bool {
    text.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
}

/// Which key, in which token, over which library. What is not said is not asked for.
#[derive(Default)]
pub(in crate::signature::sign) struct TokenUri {
    pub(super) token: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) slot_id: Option<u64>,
    pub(super) object: Option<String>,
    pub(super) id: Option<Vec<u8>>,
    pub(super) module_path: Option<PathBuf>,
    pub(super) pin_source: Option<PathBuf>,
    pub(super) pin_value: Option<String>,
}

impl TokenUri {
    pub(in crate::signature::sign) fn parse(text: &str) -> Result<Self, TokenError> {
        // The parser's own message quotes the URI, and with it the PIN.
        let text = &format!("{SCHEME}{}", text.get(SCHEME.len()..).unwrap_or_default());
        let parsed = pk11_uri_parser::parse(text).map_err(|_| TokenError::Uri)?;
        let text = |value: Option<&str>| value.map(|value| percent_decode_str(value).decode_utf8().map(String::from)).transpose();
        let text = |value| text(value).map_err(|_| TokenError::Uri);
        if parsed.r#type().is_some_and(|kind| kind != "private") {
            return Err(TokenError::NotPrivate);
        }
        let pin_source = text(parsed.pin_source())?;
        let pin_source = pin_source.map(|source| match source.split_once(':') {
            None => Ok(PathBuf::from(source)),
            Some(("file", path)) => Ok(PathBuf::from(path.strip_prefix("//").unwrap_or(path))),
            Some(_) if source.starts_with('/') => Ok(PathBuf::from(source)),
            Some(_) => Err(TokenError::PinScheme),
        });
        let uri = Self {
            token: text(parsed.token())?,
            serial: text(parsed.serial())?,
            manufacturer: text(parsed.manufacturer())?,
            model: text(parsed.model())?,
            slot_id: parsed.slot_id().map(|id| id.parse()).transpose().map_err(|_| TokenError::Uri)?,
            object: text(parsed.object())?,
            id: parsed.id().map(|id| percent_decode_str(id).collect()),
            module_path: text(parsed.module_path())?.map(PathBuf::from),
            pin_source: pin_source.transpose()?,
            pin_value: text(parsed.pin_value())?,
        };
        if uri.object.is_none() && uri.id.is_none() { Err(TokenError::NoObject) } else { Ok(uri) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_decoded_and_the_rest_is_not_asked_for() {
        let uri = TokenUri::parse("pkcs11:token=My%20token;object=a%3Bb;id=%00%ff?module-path=/lib/x.so&pin-source=file:/run/pin&pin-value=12%2634");
        let uri = uri.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((uri.token.as_deref(), uri.object.as_deref()), (Some("My token"), Some("a;b")));
        assert_eq!(uri.id.as_deref(), Some(&[0, 0xff][..]));
        assert_eq!(uri.module_path.as_deref(), Some("/lib/x.so".as_ref()));
        assert_eq!(uri.pin_source.as_deref(), Some("/run/pin".as_ref()));
        assert_eq!(uri.pin_value.as_deref(), Some("12&34"));
        assert_eq!((uri.serial, uri.slot_id), (None, None));
    }

    #[test]
    fn pin_sources_are_files_in_every_form_and_nothing_else() {
        for source in ["file:/run/pin", "file:///run/pin", "/run/pin"] {
            let uri = TokenUri::parse(&format!("pkcs11:object=a?pin-source={source}")).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(uri.pin_source.as_deref(), Some("/run/pin".as_ref()));
        }
        for wrong in ["pkcs11:object=a?pin-source=http://x", "pkcs11:object=a?pin-source=%7Ccat"] {
            let refused = TokenUri::parse(wrong);
            assert!(refused.is_err() || refused.is_ok_and(|uri| uri.pin_source.is_some_and(|path| path.starts_with("|cat"))), "{wrong}");
        }
    }

    #[test]
    fn the_scheme_may_be_written_in_capitals() {
        assert!(is_uri("PKCS11:object=a") && is_uri("pkcs11:") && !is_uri("pkcs11") && !is_uri("./pkcs11:a"));
        let uri = TokenUri::parse("PKCS11:object=a?pin-value=1234").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((uri.object.as_deref(), uri.pin_value.as_deref()), (Some("a"), Some("1234")));
    }

    #[test]
    fn an_error_never_tells_the_pin() {
        for wrong in ["pkcs11:obj ect=a?pin-value=secret", "pkcs11:token=a?pin-value=secret", "pkcs11:object=a;type=cert?pin-value=secret"] {
            let Err(error) = TokenUri::parse(wrong) else { panic!("{wrong}") };
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(error.hint().len() > 10);
        }
    }
}
