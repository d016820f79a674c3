//! Code that is brought into the kernel itself, and ways into its memory.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use enforcer_common::Hook::{Bpf, KernelLoadData, KernelReadFile, LockedDown};
use enforcer_common::Reason::{ForeignProgram, KernelMemory, LoadedFromMemory, Untrusted};

use super::{EPERM, Row, Shown, Trace};
use crate::scene::Scene;

pub const ROWS: &[Row] = &[
    Row::attack(
        "module_from_a_file",
        "a kernel module that nobody signed, by its file (finit_module)",
        |scene| Ok(scene.attack(["load-module".as_ref(), changed_module(scene)?.as_os_str()])),
        LOADED,
        (Trace::new(KernelReadFile, Untrusted, Shown::Path("dummy.ko")), EPERM, "signed_module"),
    ),
    Row::attack(
        "module_from_memory",
        "a kernel module that comes as memory (init_module)",
        |scene| Ok(scene.attack(["load-module-from-memory".as_ref(), unpacked_module(scene)?.as_os_str()])),
        LOADED,
        (Trace::new(KernelLoadData, LoadedFromMemory, Shown::Nothing), EPERM, "signed_module"),
    ),
    Row::attack(
        "kexec_of_a_file",
        "another kernel, by its file (kexec_file_load)",
        |scene| Ok(scene.attack(["kexec-file".as_ref(), scene.fixture("unsigned/program").as_os_str()])),
        TAKEN_UP,
        (Trace::new(KernelReadFile, Untrusted, Shown::Path("unsigned/program")), EPERM, "signed_module"),
    ),
    Row::attack(
        "kexec_from_memory",
        "another kernel that comes as memory (kexec_load)",
        |scene| Ok(scene.attack(["kexec-memory".as_ref()])),
        TAKEN_UP,
        (Trace::new(KernelLoadData, LoadedFromMemory, Shown::Nothing), EPERM, "signed_module"),
    ),
    Row::attack(
        "dev_mem",
        "the machine's memory, by /dev/mem",
        |scene| Ok(scene.attack(["open".as_ref(), "/dev/mem".as_ref()])),
        OPEN,
        (Trace::new(LockedDown, KernelMemory, Shown::Nothing), EPERM, "dev_null"),
    ),
    Row::attack(
        "iopl",
        "the machine's ports, by iopl",
        |scene| Ok(scene.attack(["iopl".as_ref()])),
        OPEN,
        (Trace::new(LockedDown, KernelMemory, Shown::Nothing), EPERM, "dev_null"),
    ),
    Row::attack(
        "bpf_lsm_program",
        "a BPF program that decides in a hook",
        |scene| Ok(scene.attack(["load-lsm-program".as_ref()])),
        TAKEN_UP,
        (Trace::new(Bpf, ForeignProgram, Shown::Nothing), EPERM, "dev_null"),
    ),
    Row::honest("signed_module", "a kernel module of the distribution, by its file", |scene| load(scene, &module()?), LOADED),
    Row::honest("dev_null", "a device that is no memory", |scene| Ok(scene.attack(["open".as_ref(), "/dev/null".as_ref()])), OPEN),
];

fn load(scene: &Scene, module: &Path) -> Result<Command> {
    Ok(scene.attack(["load-module".as_ref(), module.as_os_str()]))
}

/// A module that needs no other, as the kernel's package has it.
fn module() -> Result<PathBuf> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let folder = Path::new("/usr/lib/modules").join(release.trim()).join("kernel/drivers/net");
    let names = ["dummy.ko", "dummy.ko.xz"];
    names.iter().map(|name| folder.join(name)).find(|path| path.exists()).with_context(|| format!("`{}` has no `dummy.ko`", folder.display()))
}

/// The same, unpacked.
fn unpacked_module(scene: &Scene) -> Result<PathBuf> {
    let (module, unpacked) = (module()?, scene.disk("dummy.ko"));
    if module.extension().is_some_and(|extension| extension == "ko") {
        fs::copy(module, &unpacked)?;
    } else {
        let done = Command::new("xz").args(["-dc"]).stdin(File::open(module)?).stdout(Stdio::from(File::create(&unpacked)?)).status()?;
        ensure!(done.success(), "xz: {done}");
    }
    Ok(unpacked)
}

/// The same with a byte more, which is enough for nobody to have signed it; the kernel loads it all the same.
fn changed_module(scene: &Scene) -> Result<PathBuf> {
    let module = unpacked_module(scene)?;
    OpenOptions::new().append(true).open(&module)?.write_all(b"x")?;
    Ok(module)
}

const LOADED: &str = "the module was loaded";
const TAKEN_UP: &str = "the kernel took it up";
const OPEN: &str = "it is open";
