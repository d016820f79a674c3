//! What is decided about a digest.

/// The file may be used as the verdict's `uses` say.
pub const ACTION_ALLOW: u32 = 1;
/// The daemon looked at the file and refused it.
pub const ACTION_DENY: u32 = 2;

/// May start as a program, script or interpreter (and be mapped as code, which a started program is).
pub const USE_EXEC: u32 = 1 << 0;
/// May be mapped as code: a shared library, or a program started through the dynamic loader.
pub const USE_LIBRARY: u32 = 1 << 1;

/// The value of the map `VERDICTS`: what is decided about one digest, and by whose signature.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// When the verdict stops to hold, in nanoseconds of `CLOCK_BOOTTIME`; 0 is never.
    pub expires_at: u64,
    /// [`ACTION_ALLOW`] or [`ACTION_DENY`]; anything else denies.
    pub action: u32,
    /// Bits of [`USE_EXEC`] and [`USE_LIBRARY`].
    pub uses: u32,
    /// The policy's number of the signer rule that allowed it (its place in the policy, from 0); meaningless in a denial.
    pub signer: u32,
    /// Which publication wrote it: a reload removes what an older one left behind.
    pub generation: u32,
}

const _: () = assert!(size_of::<Verdict>() == 24);
