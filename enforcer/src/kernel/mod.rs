//! The loader: probes, offsets from BTF, programs, maps, pins and the canary.
