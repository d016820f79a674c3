//! The trial infrastructure's timestamp authority, which openssl is.

/// What `openssl ts -config` reads; `at` tells where a file of the scene is.
pub fn configuration(at: impl Fn(&str) -> String) -> String {
    format!(
        "[tsa]\ndefault_tsa=t\n[t]\nserial={}\nsigner_cert={}\nsigner_key={}\ncerts={}\nsigner_digest=sha256\ndefault_policy=1.2.3.4\n\
         digests=sha256\nordering=yes\ntsa_name=no\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n",
        at("serial"),
        at("pki/timestamp.pem"),
        at("pki/timestamp-key.pem"),
        at("pki/chain.pem")
    )
}
