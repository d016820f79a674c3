//! What is decided about a digest, and what is answered to one task.

use crate::PATH_SIZE;

/// May start as a program (and be mapped as code, which a started program is).
pub const USE_EXEC: u32 = 1 << 0;
/// May be mapped as code: a shared library, or a program started through the dynamic loader.
pub const USE_LIBRARY: u32 = 1 << 1;
/// May be loaded by the kernel: a module, a kexec image, firmware.
pub const USE_MODULE: u32 = 1 << 2;
/// May be run as a script: by its first line, or read by an interpreter.
pub const USE_SCRIPT: u32 = 1 << 3;

/// The entitlement `jit`: the program may make executable memory that no file stands behind.
pub const ENTITLEMENT_JIT: u32 = 1 << 0;
/// The entitlement `debugger`: the program may trace other processes and write to their memory.
pub const ENTITLEMENT_DEBUGGER: u32 = 1 << 1;
/// The entitlement `protected`: a process of the program loads only libraries of the same signer, and starts no interpreter.
pub const ENTITLEMENT_PROTECTED: u32 = 1 << 2;
/// The entitlement `inline-code`: the program may have interpreters run text that it hands them.
pub const ENTITLEMENT_INLINE_CODE: u32 = 1 << 3;

/// Not asked for by anybody: the content is a part of the enforcer itself.
pub const ENTITLEMENT_OWN: u32 = 1 << 31;

/// The entitlements that the programs know, by the names they have in signatures and policies. A name that is not here gives no right.
pub const ENTITLEMENTS: [(&str, u32); 4] =
    [("jit", ENTITLEMENT_JIT), ("debugger", ENTITLEMENT_DEBUGGER), ("protected", ENTITLEMENT_PROTECTED), ("inline-code", ENTITLEMENT_INLINE_CODE)];

/// The value of the map `VERDICTS`: a trusted signature covers the content with this digest. There is no verdict that denies; what has none is denied.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// When the verdict stops to hold, in nanoseconds of `CLOCK_BOOTTIME`; 0 is never.
    pub expires_at: u64,
    /// Bits of [`USE_EXEC`], [`USE_LIBRARY`], [`USE_MODULE`] and [`USE_SCRIPT`].
    pub uses: u32,
    /// Bits of [`ENTITLEMENT_JIT`] and its like: the rights that the signature asks for and the policy grants.
    pub entitlements: u32,
    /// The policy's number of the signer rule that allowed it (its place in the policy, from 0).
    pub signer: u32,
    /// Which publication wrote it: a reload removes what an older one left behind.
    pub generation: u32,
    /// The number of the component that the content is, from 1 (its place in the policy of this generation); 0 when it is none.
    pub component: u32,
    /// Bits of [`ENTITLEMENT_JIT`] and its like: the rights that a former policy gave, which what runs keeps until it has been decided about anew, and until
    /// [`crate::Settings::left_until`] at most. A verdict with these and without uses is what a former one left behind, and decides about nothing.
    pub left: u32,
}

const _: () = assert!(size_of::<Verdict>() == 32);

/// In the map `REFUSALS`, what answers a request without a digest: the file was measured.
pub const MEASURED: u32 = u32::MAX;

/// The key of the map `REFUSALS`: one task's one question. The value is the number of a [`crate::Reason`], or [`MEASURED`].
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

/// The key of the map `NAMES`: a file name that belongs to one component.
///
/// The generation is that of the verdict which is held against it, so that a verdict and the names it is judged by always are of the same policy.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The last part of a path, filled up with zeros, of which there is at least one.
    pub bytes: [u8; NAME_SIZE],
    /// As in [`Verdict::generation`].
    pub generation: u32,
}

/// Bytes of a [`Name`], of which the last is always zero.
pub const NAME_SIZE: usize = 64;

const _: () = assert!(size_of::<Name>() == NAME_SIZE + 4);

/// The value of the map `NAMES`: who may go by the name. Components are numbered as in [`Verdict::component`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The component that alone may go by the name, wherever it lies; 0 when the name by itself is free.
    pub component: u32,
    /// The component to which a path with this last part belongs (the map `PATHS` has it), [`SEVERAL`] when there are more; 0 when there is none.
    pub by_path: u32,
}

/// Paths of more than one component end in the same name.
pub const SEVERAL: u32 = u32::MAX;

const _: () = assert!(size_of::<Binding>() == 8);

/// The key of the map `PATHS`: a whole path that belongs to one component, whose number is the value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BoundPath {
    /// As the process sees it, filled up with zeros, of which there is at least one.
    pub bytes: [u8; PATH_SIZE],
    /// As in [`Name::generation`].
    pub generation: u32,
}

const _: () = assert!(size_of::<BoundPath>() == PATH_SIZE + 4);
