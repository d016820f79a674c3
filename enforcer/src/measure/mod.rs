//! Digests of files in user space.
