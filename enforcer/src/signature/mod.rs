//! Finding, parsing and verifying signatures; the only maker of [`Verified`].
