//! Manifests: made from folders, packages and images that other people's tools made, then shown, judged and compared.
#![allow(missing_docs, unreachable_pub)]

#[path = "manifests/commands.rs"]
mod commands;
#[path = "manifests/deb.rs"]
mod deb;
#[path = "manifests/hostile.rs"]
mod hostile;
#[path = "manifests/installed.rs"]
mod installed;
#[path = "manifests/oci.rs"]
mod oci;
#[path = "manifests/rpm.rs"]
mod rpm_packages;
#[path = "manifests/workshop.rs"]
mod workshop;
