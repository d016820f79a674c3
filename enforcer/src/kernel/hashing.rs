//! How fast the kernel hashes a file (`bpf_ima_file_hash`): by instructions that the processor has for it, where the kernel would not use them by itself.
//!
//! IMA takes the SHA-256 that was there when the kernel started. On kernels that have the processor's as a module that is a plain one, at 56 instructions for each
//! byte and not 3. From a size on (`ima.ahash_minsize`, `Documentation/admin-guide/kernel-parameters.txt`), IMA takes what is the best one when it first needs
//! it; kernels without this parameter have the processor's instructions in their own library.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Has the kernel hash files by the processor's own instructions, if it can. Without them it hashes as well, and slower.
pub fn hash_by_the_processor() {
    let minimum = Path::new(MINIMUM);
    // Somebody else's choice is left alone.
    if fs::read_to_string(minimum).is_ok_and(|size| size.trim() == "0")
        && let Some(driver) = drivers().or_else(load)
    {
        match fs::write(minimum, SIZE) {
            Ok(()) => tracing::info!(driver, "the kernel hashes files by the processor's own instructions"),
            Err(error) => tracing::warn!("the kernel hashes files slowly: cannot write to `{MINIMUM}`: {error}"),
        }
    }
}

/// Loads the module that has them, if there is one for this kernel.
fn load() -> Option<String> {
    // What it says otherwise is of interest to nobody: not every kernel and processor has it.
    let loading = Command::new("modprobe").args(["--quiet", MODULE]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    loading.ok().filter(std::process::ExitStatus::success).and_then(|_| drivers())
}

/// The kernel's best SHA-256, if it is one of the processor's own.
fn drivers() -> Option<String> {
    best(&fs::read_to_string("/proc/crypto").ok()?)
}

/// Picks it from the kernel's list: groups of lines, each a name and a value.
fn best(list: &str) -> Option<String> {
    let value = |group: &str, name: &str| -> Option<String> {
        let is_name = |line: &&str| line.split_once(':').is_some_and(|(found, _)| found.trim() == name);
        Some(group.lines().find(is_name)?.split_once(':')?.1.trim().to_owned())
    };
    let hashes = list.split("\n\n").filter(|group| value(group, "name").as_deref() == Some("sha256"));
    let best = hashes.max_by_key(|group| value(group, "priority").and_then(|priority| priority.parse::<i64>().ok()))?;
    // A device with a higher priority may be slower than any processor.
    value(best, "driver").filter(|driver| OWN.contains(&driver.as_str()))
}

const MINIMUM: &str = "/sys/module/ima/parameters/ahash_minsize";
/// Bytes: below, getting ready takes longer than it saves.
const SIZE: &str = "1024";
const MODULE: &str = "sha256-ssse3";
/// `arch/x86/crypto/sha256_ssse3_glue.c`
const OWN: [&str; 4] = ["sha256-ssse3", "sha256-avx", "sha256-avx2", "sha256-ni"];

#[cfg(test)]
mod tests {
    use super::*;

    const GENERIC: &str = "name         : sha256\ndriver       : sha256-generic\nmodule       : kernel\npriority     : 100\ntype         : shash\n";
    const AVX2: &str = "name         : sha256\ndriver       : sha256-avx2\nmodule       : sha256_ssse3\npriority     : 170\n";
    const DEVICE: &str = "name         : sha256\ndriver       : sha256-ccp\nmodule       : ccp_crypto\npriority     : 300\n";
    const OTHER: &str = "name         : sha224\ndriver       : sha224-ni\npriority     : 250\n";

    #[test]
    fn the_best_is_taken_if_it_is_the_processors() {
        assert_eq!(best(&[OTHER, GENERIC].join("\n")), None);
        assert_eq!(best(&[OTHER, AVX2, GENERIC].join("\n")).as_deref(), Some("sha256-avx2"));
        assert_eq!(best(&[AVX2, DEVICE, GENERIC].join("\n")), None);
        assert_eq!(best(""), None);
    }
}
