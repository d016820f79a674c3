//! The other face of a certificate that was signed with ECDSA.
//!
//! Where (r, s) is a signature, (r, n - s) is one too (SEC 1 §4.1.4), so anybody can turn such a certificate into another one that verifies the same and
//! has another fingerprint. Whoever revokes one by its fingerprint means both.

use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Decode, Encode, Sequence};
use rustls_pki_types::CertificateDer;

/// RFC 5280 §4.1.
#[derive(Sequence)]
struct Certificate<'a> {
    statement: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

/// RFC 3279 §2.2.3.
#[derive(Sequence)]
struct EcdsaValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// The certificate with the other signature that its issuer's key verifies; none where the signature is of another kind. A certificate does not say on
/// which curve it was signed, so there is one for each curve that its numbers fit.
pub(super) fn twins(certificate: &CertificateDer<'_>) -> Vec<Vec<u8>> {
    [&P256_ORDER[..], &P384_ORDER].into_iter().filter_map(|order| twin(certificate, order).ok().flatten()).collect()
}

fn twin(certificate: &[u8], order: &[u8]) -> der::Result<Option<Vec<u8>>> {
    let Certificate { statement, algorithm, signature } = Certificate::from_der(certificate)?;
    let value = EcdsaValue::from_der(signature.raw_bytes())?;
    let Some(s) = difference(order, value.s.as_bytes()) else { return Ok(None) };
    let value = EcdsaValue { r: value.r, s: UintRef::new(&s)? }.to_der()?;
    let signature = BitStringRef::from_bytes(&value)?;
    Certificate { statement, algorithm, signature }.to_der().map(Some)
}

/// `order - number`, both big-endian, unless the number is too large.
fn difference(order: &[u8], number: &[u8]) -> Option<Vec<u8>> {
    let padding = order.len().checked_sub(number.len())?;
    let mut result = order.to_vec();
    let mut borrow = 0;
    for (at, digit) in result.iter_mut().enumerate().rev() {
        let subtrahend = at.checked_sub(padding).map_or(0, |at| i16::from(number[at]));
        let rest = i16::from(*digit) - subtrahend - borrow;
        borrow = i16::from(rest < 0);
        *digit = (rest & 0xff) as u8;
    }
    (borrow == 0).then_some(result)
}

/// The orders of the curves' groups (FIPS 186-4 §D.1.2).
const P256_ORDER: [u8; 32] =
    *b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
const P384_ORDER: [u8; 48] =
    *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xc7\x63\x4d\x81\xf4\x37\x2d\xdf\
\x58\x1a\x0d\xb2\x48\xb0\xa7\x7a\xec\xec\x19\x6a\xcc\xc5\x29\x73";
