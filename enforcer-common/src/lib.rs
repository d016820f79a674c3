//! The types that cross the kernel boundary, and nothing else.
//!
//! Every type is `repr(C)` with explicit padding, and its size is asserted at compile time, because the eBPF programs and the daemon read the
//! same bytes. Values that come back from the kernel are plain integers; their enums are made with a checked conversion (`from_raw`).
//!
//! Absent on purpose: anything that decides, and anything that does I/O.
#![no_std]
#![forbid(unsafe_op_in_unsafe_fn)]

mod digest;
mod event;
mod guard;
mod kernel;
mod scope;
mod scripts;
mod settings;
mod verdict;

pub use digest::{ALGORITHM_FSVERITY_SHA256, ALGORITHM_SHA256, DIGEST_SIZE, Digest};
pub use event::{COMM_SIZE, Event, Hook, PATH_SIZE, PathKind, Reason, Request};
pub use guard::{
    ENROL_CODE, ENROL_EXECUTABLE, ENROL_MEASUREMENT, Enrolment, ExecutableId, GUARDED_CGROUP, GUARDED_FOLDER, GUARDED_WAY, InodeId, ObjectId,
    ObjectKind,
};
pub use kernel::{ABSENT, Features, KFUNC_BPF_GET_FSVERITY_DIGEST, KernelLayout, OverlayLayout};
pub use scope::{NO_STEP, SCOPE_BEGINNINGS, SCOPE_DEPTH, ScopeNode, ScopeStep, WHOLE_NAME};
pub use scripts::{
    ARGUMENTS_IN_NEXT_WORD, DASHES_END_ALL, FIRST_WORD_IS_TEXT, FOLDS_UNDERSCORES, HAS_SCRIPT_FOLDERS, IGNORES_CASE, INTERPRETER_NAME_SIZE,
    Interpreter, KNOWS_DESCRIPTORS, LONG_AFTER_ONE_DASH, LONG_BEFORE_LETTERS, OPERANDS_ARE_DATA, OPTIONS_UNKNOWN, PLUS_OPTIONS, PROGRAMS_MAY_CALL,
    RESOLVES_LINKS, SCRIPT_ARGUMENTS, SCRIPT_FOLDER_DEPTH, UNKNOWN_OPTIONS_ARE_TEXT, VARIABLE_PREFIX, WORD_SIZE, Word, WordKind, WordMeaning,
};
pub use settings::{CHARTER_SIZE, CONTENT_EPOCH, Charter, Counter, ENFORCERS, EPOCHS_COUNT, Heartbeat, Mode, POLICY_EPOCH, Response, Settings};
pub use verdict::{
    Asker, Binding, BoundPath, ENTITLEMENT_DEBUGGER, ENTITLEMENT_INLINE_CODE, ENTITLEMENT_JIT, ENTITLEMENT_OWN, ENTITLEMENT_PROTECTED, ENTITLEMENTS,
    MEASURED, NAME_SIZE, Name, SEVERAL, USE_EXEC, USE_LIBRARY, USE_MODULE, USE_SCRIPT, Verdict,
};

#[cfg(feature = "user")]
mod user {
    //! Lets user space put the shared types into BPF maps and globals.
    macro_rules! pod {
        ($($name:ident),+) => { $(
            // SAFETY: `repr(C)`, fixed-width integers and arrays of them only, and the size assertions rule out implicit padding.
            unsafe impl aya::Pod for crate::$name {}
        )+ };
    }
    pod!(
        Digest,
        Verdict,
        Asker,
        Name,
        Binding,
        BoundPath,
        Interpreter,
        Word,
        ScopeStep,
        ScopeNode,
        Settings,
        Heartbeat,
        Charter,
        Event,
        Request,
        KernelLayout,
        Features,
        OverlayLayout,
        InodeId,
        ExecutableId,
        Enrolment,
        ObjectId
    );
}

/// Declares an enum whose values cross the kernel boundary as `u32`: a checked `from_raw`, and `ALL` in order.
macro_rules! boundary_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal => $text:literal,)+ }) => {
        $(#[$meta])*
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant = $value,)+ }

        impl $name {
            /// Every value, in the order of its number.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The value with this number, or `None` for a number that no version of the kernel side writes.
            pub fn from_raw(raw: u32) -> Option<Self> {
                match raw { $($value => Some($name::$variant),)+ _ => None }
            }

            /// The name used in JSON, tables and documentation.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }
    };
}
pub(crate) use boundary_enum;
