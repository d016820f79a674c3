//! Scheduling: whoever answers the kernel comes before those who wait for the answer.

/// Puts the calling thread at this nice level, from -20 (first) to 19. Without the right to, it stays where it is.
pub fn set_nice(level: i32) {
    _ = rustix::process::setpriority_process(None, level);
}

/// Puts the calling thread ahead of ordinary ones: real-time where allowed, else the highest nice level. Says so when neither can be had. Only for
/// threads that do little: a real-time thread starves everybody else.
pub fn raise_priority(who: &str) {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: a plain system call on the calling thread with a valid structure.
    let failed = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &parameters) } != 0;
    if failed && rustix::process::setpriority_process(None, -20).is_err() {
        tracing::warn!("{who} runs at ordinary priority: under full load first uses may be denied (grant CAP_SYS_NICE)");
    }
}
