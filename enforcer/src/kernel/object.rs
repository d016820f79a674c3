//! The eBPF object that is part of this binary, made ready for the running kernel.
//!
//! kfuncs are called through a made-up helper number; here it becomes the kfunc's BTF id (`Documentation/bpf/kfuncs.rst`), or stays where the kernel
//! lacks the kfunc and a frozen flag in `.rodata` makes the call unreachable.

use enforcer_common::{KFUNC_BPF_GET_FSVERITY_DIGEST, KernelLayout};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind};
use ring::digest::{Context, SHA256};

use super::{KernelError, layout::KernelTypes};
use crate::text::hex;

/// The object file as `cargo xtask build` made it, aligned for the ELF reader.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/enforcer.o"));

/// The object with its kfunc calls set for this kernel.
pub fn for_kernel(types: &KernelTypes) -> Result<Vec<u8>, KernelError> {
    let mut bytes = object().to_vec();
    if has_a_faulty_rule(&bytes)? != cfg!(feature = "faulty-rule") {
        return Err(malformed("it was built for the stress test, and the enforcer was not, or the other way round"));
    }
    if let Some(id) = types.bpf_get_fsverity_digest {
        set_kfunc(&mut bytes, KFUNC_BPF_GET_FSVERITY_DIGEST, id)?;
    }
    Ok(bytes)
}

/// Names a build of the programs for a kernel layout and a map size: two loads with the same name enforce in the same way and may share their maps.
pub fn build_id(layout: &KernelLayout, max_verdicts: u32) -> String {
    let mut context = Context::new(&SHA256);
    context.update(object());
    context.update(format!("{layout:?} {max_verdicts}").as_bytes());
    hex(&context.finish().as_ref()[..8])
}

/// The bytes of the object.
#[cfg(not(feature = "faulty-rule"))]
fn object() -> &'static [u8] {
    OBJECT
}

/// The same from a file, for the test that a faulty rule is found out.
#[cfg(feature = "faulty-rule")]
fn object() -> &'static [u8] {
    static FAULTY: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        // Nothing can be put in its place: what this build carries has no fault, and is refused for that.
        std::fs::read("/usr/lib/enforcer-faulty/enforcer.o").unwrap_or_else(|_| OBJECT.to_vec())
    });
    &FAULTY
}

/// Whether a clause was left out of the programs (`enforcer-ebpf/src/rule.rs`).
fn has_a_faulty_rule(bytes: &[u8]) -> Result<bool, KernelError> {
    let file = object::File::parse(bytes).map_err(|error| malformed(&error.to_string()))?;
    Ok(file.symbols().any(|symbol| symbol.name() == Ok("FAULTY_RULE")))
}

fn malformed(detail: &str) -> KernelError {
    KernelError::Object { detail: detail.to_owned() }
}

/// Turns each call of the made-up helper into a call of the kfunc.
fn set_kfunc(bytes: &mut [u8], helper: i32, btf_id: u32) -> Result<(), KernelError> {
    let ranges: Vec<(u64, u64)> = object::File::parse(&*bytes)
        .map_err(|error| malformed(&error.to_string()))?
        .sections()
        .filter(|section| section.kind() == SectionKind::Text)
        .filter_map(|section| section.file_range())
        .collect();
    let mut calls = 0;
    for (offset, size) in ranges {
        let (start, end) = (offset as usize, (offset + size) as usize);
        let code = bytes.get_mut(start..end).ok_or_else(|| malformed("a section lies outside of the file"))?;
        for instruction in code.chunks_exact_mut(INSTRUCTION_SIZE) {
            if instruction[0] == BPF_JMP_CALL && instruction[1] == 0 && instruction[4..8] == helper.to_le_bytes() {
                instruction[1] = BPF_PSEUDO_KFUNC_CALL << 4;
                instruction[4..8].copy_from_slice(&btf_id.to_le_bytes());
                calls += 1;
            }
        }
    }
    if calls == 0 { Err(malformed("no call of `bpf_get_fsverity_digest` was found")) } else { Ok(()) }
}

/// `include/uapi/linux/bpf.h`: an instruction's size, `BPF_JMP | BPF_CALL`, and the source register that marks a kfunc call.
const INSTRUCTION_SIZE: usize = 8;
const BPF_JMP_CALL: u8 = 0x85;
const BPF_PSEUDO_KFUNC_CALL: u8 = 2;
