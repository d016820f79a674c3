//! What a signature says about a program beside its digest: identifier, version, security version, entitlements.
//!
//! Each claim is a signed attribute (RFC 5652 §5.3) with one value, below an arc of its own (`docs/signature-format.md`, "Signed attributes").
//! The arc is made of a UUID (ITU-T X.667) of 128 bits, which `ObjectIdentifier` cannot hold, so attribute types are bytes here. Never decides
//! what a claim is worth: an unverified signature claims whatever it likes.

use der::asn1::{SequenceOf, Utf8StringRef};
use der::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What is claimed. Whoever makes one calls [`Claims::check`]; one from [`Claims::from_attributes`] holds to every rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Which program this is, over all its versions: `com.example.tool`.
    pub identifier: Option<String>,
    /// The version that people speak of: `2.1.0`.
    pub version: Option<String>,
    /// A number that grows when older versions must not run any more.
    pub security_version: Option<u32>,
    /// The rights it asks for, sorted.
    pub entitlements: Vec<String>,
}

/// A signed attribute: the content bytes of its type's OBJECT IDENTIFIER, and the DER of its one value.
pub type Attribute = (&'static [u8], Vec<u8>);

/// Why claims are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// Not [`IDENTIFIER`]'s characters or length.
    #[error("the identifier `{0}` is not 1 to {MAX_IDENTIFIER} letters, digits, dots, underscores and hyphens")]
    Identifier(String),
    /// Not [`VERSION`]'s characters or length.
    #[error("the version `{0}` is not 1 to {MAX_VERSION} printable ASCII characters")]
    Version(String),
    /// Not [`ENTITLEMENTS`]' characters or length.
    #[error("the entitlement `{0}` is not 1 to {MAX_ENTITLEMENT} lower-case letters, digits and hyphens")]
    Entitlement(String),
    /// Too many, unsorted, twice the same, or an empty list.
    #[error("the entitlements are not 1 to {MAX_ENTITLEMENTS} different ones in alphabetical order")]
    EntitlementList,
    /// A claim about a program without a name.
    #[error("a {claim} without an identifier says nothing: whose would it be?")]
    NoIdentifier {
        /// What is claimed.
        claim: &'static str,
    },
    /// The same attribute again.
    #[error("the {claim} is there twice")]
    Twice {
        /// What is claimed.
        claim: &'static str,
    },
    /// Not the type that the attribute has.
    #[error("the {claim} is not what its attribute holds: {problem}")]
    Encoding {
        /// What is claimed.
        claim: &'static str,
        /// What the reader said.
        problem: der::Error,
    },
}

impl Claims {
    /// Reads the claims among a signature's attributes: the content bytes of each type, and the DER of its one value. Others are passed over.
    ///
    /// # Errors
    /// A claim that breaks a rule. It makes the signature wrong, rather than being ignored: a signer who meant to restrict is not heard otherwise.
    pub fn from_attributes<'a>(attributes: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<Self, ClaimsError> {
        let mut claims = Self::default();
        for (kind, value) in attributes {
            match kind {
                IDENTIFIER => once(&mut claims.identifier, text(value, "identifier")?, "identifier")?,
                VERSION => once(&mut claims.version, text(value, "version")?, "version")?,
                SECURITY_VERSION => {
                    let number = u32::from_der(value).map_err(encoding("security version"))?;
                    once(&mut claims.security_version, number, "security version")?;
                }
                ENTITLEMENTS => {
                    if !claims.entitlements.is_empty() {
                        return Err(ClaimsError::Twice { claim: "list of entitlements" });
                    }
                    let names = SequenceOf::<Utf8StringRef<'_>, MAX_ENTITLEMENTS>::from_der(value).map_err(encoding("list of entitlements"))?;
                    if names.is_empty() {
                        return Err(ClaimsError::EntitlementList);
                    }
                    claims.entitlements = names.iter().map(|name| name.as_str().to_owned()).collect();
                }
                _ => {}
            }
        }
        claims.check()?;
        Ok(claims)
    }

    /// Whether an attribute of this type is a claim.
    pub fn is_claim(kind: &[u8]) -> bool {
        [IDENTIFIER, VERSION, SECURITY_VERSION, ENTITLEMENTS].contains(&kind)
    }

    /// The claims as attributes: the content bytes of each type, and the DER of its value.
    ///
    /// # Errors
    /// A claim that breaks a rule.
    pub fn to_attributes(&self) -> Result<Vec<Attribute>, ClaimsError> {
        self.check()?;
        let mut attributes = Vec::new();
        let text = |text: &str, claim| Utf8StringRef::new(text).and_then(|text| text.to_der()).map_err(encoding(claim));
        if let Some(identifier) = &self.identifier {
            attributes.push((IDENTIFIER, text(identifier, "identifier")?));
        }
        if let Some(version) = &self.version {
            attributes.push((VERSION, text(version, "version")?));
        }
        if let Some(number) = self.security_version {
            attributes.push((SECURITY_VERSION, number.to_der().map_err(encoding("security version"))?));
        }
        if !self.entitlements.is_empty() {
            let names = self.entitlements.iter().map(Utf8StringRef::new).collect::<der::Result<Vec<_>>>();
            attributes.push((ENTITLEMENTS, names.and_then(|names| names.to_der()).map_err(encoding("list of entitlements"))?));
        }
        Ok(attributes)
    }

    /// Whether anything is claimed at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The rules that hold for every claim.
    ///
    /// # Errors
    /// The first claim that breaks one.
    pub fn check(&self) -> Result<(), ClaimsError> {
        let is_one_of =
            |text: &str, limit: usize, allowed: fn(&u8) -> bool| (1..=limit).contains(&text.len()) && text.bytes().all(|byte| allowed(&byte));
        if let Some(identifier) = &self.identifier
            && !is_one_of(identifier, MAX_IDENTIFIER, |byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
        {
            return Err(ClaimsError::Identifier(told(identifier)));
        }
        if let Some(version) = &self.version
            && !is_one_of(version, MAX_VERSION, |byte| matches!(byte, b' '..=b'~'))
        {
            return Err(ClaimsError::Version(told(version)));
        }
        let named = |name: &&String| is_one_of(name, MAX_ENTITLEMENT, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if let Some(name) = self.entitlements.iter().find(|name| !named(name)) {
            return Err(ClaimsError::Entitlement(told(name)));
        }
        if self.entitlements.len() > MAX_ENTITLEMENTS || !self.entitlements.is_sorted_by(|one, next| one < next) {
            return Err(ClaimsError::EntitlementList);
        }
        if self.identifier.is_none() {
            let claims = [
                (self.version.is_some(), "version"),
                (self.security_version.is_some(), "security version"),
                (!self.entitlements.is_empty(), "entitlement"),
            ];
            if let Some((_, claim)) = claims.into_iter().find(|(claimed, _)| *claimed) {
                return Err(ClaimsError::NoIdentifier { claim });
            }
        }
        Ok(())
    }
}

impl ClaimsError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Identifier(_) => "write it like `com.example.tool`",
            Self::Version(_) => "write it like `2.1.0`",
            Self::Entitlement(_) => "write it in lower case, like `write-execute`",
            Self::EntitlementList => "name each entitlement once; `enforcer sign` sorts them",
            Self::NoIdentifier { .. } => "name the program: `--identifier com.example.tool`",
            Self::Twice { .. } | Self::Encoding { .. } => "sign the file again with `enforcer sign`, or have its signer do so",
        }
    }
}

/// What a stranger wrote, fit for a terminal.
fn told(text: &str) -> String {
    crate::text::clipped(&crate::text::printable(text), MAX_IDENTIFIER * 2).to_owned()
}

fn once<T>(place: &mut Option<T>, value: T, claim: &'static str) -> Result<(), ClaimsError> {
    if place.replace(value).is_some() { Err(ClaimsError::Twice { claim }) } else { Ok(()) }
}

fn text(value: &[u8], claim: &'static str) -> Result<String, ClaimsError> {
    Ok(Utf8StringRef::from_der(value).map_err(encoding(claim))?.as_str().to_owned())
}

fn encoding(claim: &'static str) -> impl Fn(der::Error) -> ClaimsError {
    move |problem| ClaimsError::Encoding { claim, problem }
}

/// 2.25.322318446290107374361183276047428195561.1, a UTF8String of 1 to 128 bytes `[A-Za-z0-9._-]`.
pub const IDENTIFIER: &[u8] = &arc(1);
/// 2.25.322318446290107374361183276047428195561.2, a UTF8String of 1 to 64 printable ASCII characters.
pub const VERSION: &[u8] = &arc(2);
/// 2.25.322318446290107374361183276047428195561.3, an INTEGER of 0 to 2³²-1.
pub const SECURITY_VERSION: &[u8] = &arc(3);
/// 2.25.322318446290107374361183276047428195561.4, a SEQUENCE OF 1 to 16 UTF8Strings of 1 to 64 bytes `[a-z0-9-]`, sorted, none twice.
pub const ENTITLEMENTS: &[u8] = &arc(4);

/// 2.25.322318446290107374361183276047428195561, then one more number, as the content bytes of an OBJECT IDENTIFIER (X.690 §8.19).
const fn arc(last: u8) -> [u8; 21] {
    [0x69, 0x83, 0xe4, 0xfc, 0xa3, 0x95, 0x9e, 0xd1, 0xf9, 0xac, 0xb7, 0x97, 0xda, 0xcd, 0xbf, 0xaf, 0xdc, 0xbe, 0xa9, 0x69, last]
}

const MAX_IDENTIFIER: usize = 128;
const MAX_VERSION: usize = 64;
const MAX_ENTITLEMENT: usize = 64;
const MAX_ENTITLEMENTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Claims {
        Claims {
            identifier: Some("com.example.Tool_1-x".to_owned()),
            version: Some("2.1 (beta)".to_owned()),
            security_version: Some(u32::MAX),
            entitlements: vec!["foreign-libraries".to_owned(), "write-execute".to_owned()],
        }
    }

    fn read(attributes: &[(&[u8], Vec<u8>)]) -> Result<Claims, ClaimsError> {
        Claims::from_attributes(attributes.iter().map(|(kind, value)| (*kind, value.as_slice())))
    }

    #[test]
    fn what_is_written_is_read_and_other_attributes_are_passed_over() {
        let mut attributes = full().to_attributes().unwrap();
        assert_eq!(attributes.len(), 4);
        attributes.insert(1, (&[0x2a, 0x86], vec![0xff]));
        assert_eq!(read(&attributes).unwrap(), full());
        assert_eq!(read(&[]).unwrap(), Claims::default());
        assert!(Claims::default().to_attributes().unwrap().is_empty());
    }

    #[test]
    fn openssl_shows_the_numbers_in_their_dotted_form() {
        for (kind, last) in [(IDENTIFIER, 1), (VERSION, 2), (SECURITY_VERSION, 3), (ENTITLEMENTS, 4)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("oid");
            std::fs::write(&path, [&[6, kind.len() as u8], kind].concat()).unwrap();
            let shown = std::process::Command::new("openssl").args(["asn1parse", "-inform", "DER", "-in"]).arg(&path).output().unwrap();
            let shown = String::from_utf8(shown.stdout).unwrap();
            let number = format!("OBJECT            :2.25.322318446290107374361183276047428195561.{last}\n");
            assert!(shown.ends_with(&number), "{shown}");
        }
    }

    #[test]
    fn each_rule_is_held_when_writing_and_when_reading() {
        let with = |change: fn(&mut Claims)| {
            let mut claims = full();
            change(&mut claims);
            claims
        };
        let cases = [
            (with(|claims| claims.identifier = Some(String::new())), "identifier"),
            (with(|claims| claims.identifier = Some("a".repeat(129))), "identifier"),
            (with(|claims| claims.identifier = Some("a/b".to_owned())), "identifier"),
            (with(|claims| claims.identifier = None), "without an identifier"),
            (with(|claims| claims.version = Some(String::new())), "version"),
            (with(|claims| claims.version = Some("1\u{1b}[2J".to_owned())), "version"),
            (with(|claims| claims.version = Some("é".to_owned())), "version"),
            (with(|claims| claims.version = Some("1".repeat(65))), "version"),
            (with(|claims| claims.entitlements = vec!["Upper".to_owned()]), "entitlement"),
            (with(|claims| claims.entitlements = vec!["a".repeat(65)]), "entitlement"),
            (with(|claims| claims.entitlements = vec![String::new()]), "entitlement"),
            (with(|claims| claims.entitlements = vec!["b".to_owned(), "a".to_owned()]), "alphabetical"),
            (with(|claims| claims.entitlements = vec!["a".to_owned(), "a".to_owned()]), "different"),
            (with(|claims| claims.entitlements = (10..27).map(|number| format!("a{number}")).collect()), "1 to 16"),
        ];
        for (claims, expected) in cases {
            let problem = claims.to_attributes().unwrap_err();
            assert!(problem.to_string().contains(expected), "{expected}: {problem}");
            assert!(problem.to_string().chars().all(|character| !character.is_control()));
            assert!(problem.hint().len() > 10);
        }
        let longest = Claims { identifier: Some("a".repeat(128)), version: Some("~".repeat(64)), security_version: Some(0), ..Claims::default() };
        assert_eq!(read(&longest.to_attributes().unwrap()).unwrap(), longest);
    }

    #[test]
    fn what_is_not_the_attributes_own_type_is_an_error_and_never_a_panic() {
        let identifier = || (IDENTIFIER, Utf8StringRef::new("a").unwrap().to_der().unwrap());
        let many = vec![Utf8StringRef::new("a").unwrap(); 17].to_der().unwrap();
        let two = vec![Utf8StringRef::new("b").unwrap(), Utf8StringRef::new("a").unwrap()].to_der().unwrap();
        let cases: [(&[u8], Vec<u8>); 12] = [
            (VERSION, vec![0x13, 1, b'1']),                // PrintableString
            (VERSION, vec![0x0c, 2, b'1']),                // truncated
            (VERSION, vec![0x0c, 1, b'1', 0]),             // trailing
            (VERSION, vec![0x0c, 1, 0xff]),                // not UTF-8
            (SECURITY_VERSION, vec![2, 1, 0xff]),          // negative
            (SECURITY_VERSION, vec![2, 5, 1, 0, 0, 0, 0]), // 2³²
            (SECURITY_VERSION, vec![2, 2, 0, 1]),          // not the shortest
            (SECURITY_VERSION, vec![]),
            (ENTITLEMENTS, vec![0x30, 0]),
            (ENTITLEMENTS, many),
            (ENTITLEMENTS, two),
            (IDENTIFIER, Utf8StringRef::new("b").unwrap().to_der().unwrap()), // the second one
        ];
        for (kind, value) in cases {
            assert!(read(&[identifier(), (kind, value.clone())]).is_err(), "{kind:?} {value:?}");
        }
    }
}
