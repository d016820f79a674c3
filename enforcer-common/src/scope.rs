//! Scopes: control groups in which another mode holds than on the rest of the machine.

use crate::NAME_SIZE;

/// The key of the map `SCOPES`: one step down the tree of control groups, from one that is on the way to a scope.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScopeStep {
    /// The number of the node that the step begins at; [`Settings::scope_root`](crate::Settings::scope_root) stands for the root of the hierarchy.
    pub from: u32,
    /// How many bytes of the child's name are looked at: [`WHOLE_NAME`], or the length of a beginning that is enough. [`NO_STEP`] is for the root itself.
    pub length: u32,
    /// The child's name, or its beginning, filled up with zeros, of which there is at least one.
    pub name: [u8; NAME_SIZE],
}

/// The whole name has to be this one.
pub const WHOLE_NAME: u32 = 0;
/// What is said of the node itself that is the root.
pub const NO_STEP: u32 = u32::MAX;

const _: () = assert!(size_of::<ScopeStep>() == NAME_SIZE + 8);

/// The value of the map `SCOPES`: where the step leads.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeNode {
    /// Its number, for the next step; 0 where nothing is said of what is below it.
    pub node: u32,
    /// The [`Mode`](crate::Mode) in it and below it; 0 where none is said.
    pub mode: u32,
    /// The lengths of beginnings of names that children are looked for by, the longest first; 0 is none.
    pub beginnings: [u32; SCOPE_BEGINNINGS],
}

/// How many different lengths of beginnings of names can be below one node.
pub const SCOPE_BEGINNINGS: usize = 4;
/// How deep below the root a scope can lie.
pub const SCOPE_DEPTH: u32 = 16;

const _: () = assert!(size_of::<ScopeNode>() == 8 + 4 * SCOPE_BEGINNINGS);
