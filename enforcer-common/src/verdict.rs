//! What is decided about a digest, and what is answered to one task.

/// May start as a program, script or interpreter (and be mapped as code, which a started program is).
pub const USE_EXEC: u32 = 1 << 0;
/// May be mapped as code: a shared library, or a program started through the dynamic loader.
pub const USE_LIBRARY: u32 = 1 << 1;

/// The value of the map `VERDICTS`: a trusted signature covers the content with this digest. There is no verdict that denies; what has none is denied.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// When the verdict stops to hold, in nanoseconds of `CLOCK_BOOTTIME`; 0 is never.
    pub expires_at: u64,
    /// Bits of [`USE_EXEC`] and [`USE_LIBRARY`].
    pub uses: u32,
    /// The policy's number of the signer rule that allowed it (its place in the policy, from 0).
    pub signer: u32,
    /// Which publication wrote it: a reload removes what an older one left behind.
    pub generation: u32,
    /// Explicit padding.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Verdict>() == 24);

/// The key of the map `REFUSALS`: one task's one question. The value is the number of a [`crate::Reason`].
///
/// A refusal answers only whoever asked. That a copy somewhere has no signature beside it says nothing about the same content elsewhere, and must not
/// keep it from running.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// [`crate::Request::time`].
    pub time: u64,
    /// [`crate::Request::tid`].
    pub tid: u32,
    /// Explicit padding.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Asker>() == 16);

/// The key of the map `NAMES`: a file name that belongs to one component, filled up with zeros. The value is the component's number, from 1.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The last part of a path.
    pub bytes: [u8; NAME_SIZE],
}

/// Bytes of a [`Name`], of which the last is always zero.
pub const NAME_SIZE: usize = 64;

const _: () = assert!(size_of::<Name>() == NAME_SIZE);
