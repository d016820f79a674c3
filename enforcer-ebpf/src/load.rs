//! What the kernel itself loads: modules, kernels to be started by kexec, firmware. Whoever brings one in is above every rule in this program.

use enforcer_common::{Hook, Reason, Response, Settings, USE_MODULE};

use crate::{
    judge::{self, Answer, Denial, Fault, Question},
    kernel::{self, file},
    measure,
};

/// What the policy says about a file that is read for this purpose (`enum kernel_read_file_id`). Purposes that bring no code in are allowed.
#[inline(always)]
pub(crate) fn response_to_file(purpose: u32, settings: &Settings) -> u32 {
    if purpose == kernel::layout!(reading_module) || purpose == kernel::layout!(reading_module_compressed) {
        settings.modules
    } else if purpose == kernel::layout!(reading_kexec_image) || purpose == kernel::layout!(reading_kexec_initramfs) {
        settings.kexec
    } else if purpose == kernel::layout!(reading_firmware) {
        settings.firmware
    } else {
        Response::Allow as u32
    }
}

/// Judges a file before the kernel reads it.
#[inline(always)]
pub(crate) fn judge_file(hook: Hook, file: *mut file, response: u32, settings: &Settings) -> Result<Answer, Fault> {
    if response == Response::Allow as u32 {
        return Ok(Answer::Allow);
    }
    Ok(judge::file(&Question { response, ..Question::about(hook, file, USE_MODULE, true) }, settings))
}

/// Judges a file after the kernel has read it: by whether it has changed since it was measured.
#[inline(always)]
pub(crate) fn judge_read(hook: Hook, file: *mut file, response: u32, settings: &Settings) -> Result<Answer, Fault> {
    if response == Response::Allow as u32 || measure::holds(file) {
        return Ok(Answer::Allow);
    }
    // This hook cannot sleep, and so cannot tell the whole path.
    let question = Question::without_file(hook, kernel::dentry_name(kernel::path_dentry_at(kernel::file_path(file) as u64)));
    Ok(judge::deny_without_file(&question, &Denial::without_digest(Reason::ChangedWhileMeasured), response, settings))
}

/// Judges bytes that come without a file (`enum kernel_load_data_id`).
#[inline(always)]
pub(crate) fn judge_memory(hook: Hook, purpose: u32, settings: &Settings) -> Result<Answer, Fault> {
    let response = if purpose == kernel::layout!(loading_module) {
        settings.modules_from_memory
    } else if purpose == kernel::layout!(loading_kexec_image) || purpose == kernel::layout!(loading_kexec_initramfs) {
        settings.kexec
    } else {
        return Ok(Answer::Allow);
    };
    let question = Question::without_file(hook, 0);
    Ok(judge::deny_without_file(&question, &Denial::without_digest(Reason::LoadedFromMemory), response, settings))
}
