//! What the root of the measurements has besides that of all other guests: the other enforcers that we are measured beside, and git, whose start is one of
//! the things measured. `bench/peers.rs` puts one of them in force.

/// fapolicyd, and IMA's signing tool.
pub(super) const PACKAGES: &str = "git,fapolicyd,ima-evm-utils";

/// Hooks of mmdebstrap. Nobody enforces by himself, for each is measured in a boot of its own.
pub(super) const HOOKS: [&str; 1] = ["--customize-hook=chroot \"$1\" systemctl --quiet mask fapolicyd.service"];
