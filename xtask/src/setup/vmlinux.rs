//! Takes the kernel proper out of a bzImage: QEMU boots it through the PVH entry, which saves the guest the decompression.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::ui::Step;

/// Offset of `payload_offset` and, four bytes on, `payload_length` (Documentation/arch/x86/boot.rst).
const PAYLOAD: usize = 0x248;
const SETUP_SECTORS: usize = 0x1f1;
const SECTOR: usize = 512;

/// Writes the ELF file inside `bzimage` to `vmlinux`.
pub(crate) fn extract(bzimage: &Path, vmlinux: &Path, step: &Step) -> Result<()> {
    let image = fs::read(bzimage).with_context(|| format!("cannot read `{}`", bzimage.display()))?;
    let payload = payload(&image).with_context(|| format!("`{}` is no bzImage", bzimage.display()))?;
    let program: &[&str] = match payload {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => &["zstd", "-dcq"],
        [0x02, 0x21, 0x4c, 0x18, ..] => &["lz4", "-dcq"],
        [0xfd, b'7', b'z', b'X', b'Z', ..] => &["xz", "-dcq"],
        [0x1f, 0x8b, ..] => &["gzip", "-dcq"],
        _ => bail!("`{}` is compressed in an unknown way", bzimage.display()),
    };
    let packed = vmlinux.with_extension("packed");
    fs::write(&packed, payload)?;
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).stdin(File::open(&packed)?).stdout(File::create(vmlinux)?).stderr(Stdio::null());
    step.note(&process::shown(&command));
    let status = command.status().with_context(|| format!("cannot start `{}`", program[0]))?;
    fs::remove_file(packed)?;
    if !status.success() || !fs::read(vmlinux)?.starts_with(b"\x7fELF") {
        bail!("`{}` did not give an ELF file for `{}`", process::shown(&command), bzimage.display());
    }
    Ok(())
}

/// The compressed kernel, without the four bytes behind it that say how long it will be.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?) as usize);
    let setup = (usize::from(*image.get(SETUP_SECTORS)?) + 1) * SECTOR;
    let start = setup.checked_add(word(PAYLOAD)?)?;
    let length = word(PAYLOAD + 4)?.checked_sub(4)?;
    image.get(start..start.checked_add(length)?)
}
