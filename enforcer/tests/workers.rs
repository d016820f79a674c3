//! Workers that die, hang and lie: the pool goes on, and counts.
#![allow(missing_docs)]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use enforcer::signature::{Form, Job, Parser as _};
use enforcer::worker::{Counters, Counts, Fault, LIMIT, Pool, Settings, Unfit};
use rustix::process::{Pid, Signal, kill_process};

fn settings(size: usize) -> Settings {
    Settings { program: env!("CARGO_BIN_EXE_enforcer").into(), size, nice: 0, unconfined_allowed: false }
}

fn pool(size: usize) -> (Pool, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    (Pool::start(settings(size), Arc::clone(&counters)).unwrap(), counters)
}

fn this_program() -> File {
    File::open(std::env::current_exe().unwrap()).unwrap()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Needs root, as the daemon does: nobody else can become a user without rights.
#[test]
fn worker_has_no_rights_and_answers() {
    let (pool, _) = pool(2);
    pool.require_confined().unwrap();
    let file = this_program();
    let answer = pool.parse(&Job { file: Some(&file), values: vec![(Form::Cms, b"nonsense"), (Form::Ima, &[1, 2])] }).unwrap();
    let text = format!("{answer:?}");
    assert!(text.contains("Told("), "the nonsense is told to be no signature: {text}");
    assert!(text.contains("None"), "a plain digest in security.ima is none: {text}");
    for pid in pool.idle() {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1") && status.contains("CapEff:\t0000000000000000"), "{status}");
        assert_eq!(fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(), 3, "a worker keeps no descriptor of a file");
    }
}

#[test]
fn killed_idle_worker_costs_nobody_an_answer() {
    let (pool, counters) = pool(1);
    let [pid] = pool.idle()[..] else { panic!("one worker") };
    signal(pid, Signal::KILL);
    let is_dead = || fs::read_to_string(format!("/proc/{pid}/status")).map_or(true, |status| status.contains("State:\tZ"));
    until("it is dead", is_dead);
    assert!(pool.parse(&Job { file: Some(&this_program()), values: Vec::new() }).is_ok());
    until("its end is counted", || counters.counts().ended == 1);
}

#[test]
fn worker_killed_while_it_reads_is_a_fault_and_the_next_one_answers() {
    let (pool, counters) = pool(1);
    let [pid] = pool.idle()[..] else { panic!("one worker") };
    signal(pid, Signal::STOP);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| pool.parse(&Job { file: Some(&this_program()), values: Vec::new() }));
        until("it is taken", || pool.idle().is_empty());
        std::thread::sleep(Duration::from_millis(100));
        signal(pid, Signal::KILL);
        let fault = asked.join().unwrap().unwrap_err();
        assert!(matches!(&fault, Fault::Ended { how } if how.contains("signal: 9")), "{fault}");
    });
    assert!(pool.parse(&Job { file: Some(&this_program()), values: Vec::new() }).is_ok());
    assert_eq!(Counts { started: 0, ..counters.counts() }, Counts { ended: 1, ..Counts::default() });
}

#[test]
fn hung_worker_is_a_fault_after_the_limit_and_the_next_one_answers() {
    let (pool, counters) = pool(1);
    let [pid] = pool.idle()[..] else { panic!("one worker") };
    signal(pid, Signal::STOP);
    let began = Instant::now();
    assert_eq!(pool.parse(&Job { file: None, values: vec![(Form::Cms, b"x")] }).unwrap_err(), Fault::TimedOut);
    assert!(began.elapsed() >= LIMIT && began.elapsed() < LIMIT + Duration::from_secs(3));
    assert!(pool.parse(&Job { file: None, values: vec![(Form::Cms, b"x")] }).is_ok());
    assert_eq!(counters.counts().timed_out, 1);
    until("it is dead", || !Path::new("/proc").join(pid.to_string()).exists());
}

#[test]
fn worker_is_replaced_after_its_share_of_jobs() {
    let (pool, counters) = pool(1);
    for _ in 0..1001 {
        pool.parse(&Job { file: None, values: vec![(Form::Cms, b"x")] }).unwrap();
    }
    let counts = counters.counts();
    assert_eq!((counts.started, counts.ended), (2, 0));
}

#[test]
fn what_cannot_be_started_or_is_no_worker_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let refused =
        |program: &Path| Pool::start(Settings { program: program.into(), ..settings(1) }, Arc::default()).err().map(|unfit| unfit.to_string());
    assert!(refused(Path::new("/nowhere")).unwrap().contains("cannot be started"));
    assert!(refused(&script("ends", "#!/bin/sh\nexit 3\n")).unwrap().contains("exit status: 3"));
    // Says that it has given everything up, and has not.
    let liar = script("liar", "#!/bin/sh\nprintf '\\002\\000\\000\\000\\001\\000' >&0\nexec sleep 60\n");
    let unfit = Pool::start(Settings { program: liar.into(), ..settings(1) }, Arc::default()).err().unwrap();
    assert!(matches!(&*unfit, Unfit::NotConfined(missing) if missing.iter().any(|what| what.contains("Seccomp"))), "{unfit}");
}
