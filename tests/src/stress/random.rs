//! Random turns of several processes on the same few files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use super::change::{self, Sources, Way};
use super::content::{Contents, SMALL};
use super::place::{Kind, Place};
use super::record::Record;
use super::usage::{self, Mapped, Outcome};
use crate::events::Mark;

/// Lets the processes do their turns, and adds up what they counted.
pub fn run(place: &Place, contents: &Contents, turns: u64, seed: u64, record: &mut Record) -> Result<()> {
    let folder = place.sources(contents)?;
    let files = Files::new(place, contents)?;
    let mut children = Vec::new();
    for process in 0..PROCESSES {
        let tally = place.folder().with_extension(format!("tally-{process}"));
        // SAFETY: this process has one thread, so the child is as whole as its parent.
        match unsafe { libc::fork() } {
            -1 => bail!("fork: {}", io::Error::last_os_error()),
            0 => {
                let sources = Sources { folder: &folder, process: process + 1 };
                let mut worker = Worker::new(place, contents, &files, sources, seed, process);
                let outcome = worker.work(turns / PROCESSES).and_then(|()| Ok(fs::write(&tally, serde_json::to_vec(&worker.record)?)?));
                if let Err(error) = &outcome {
                    eprintln!("guest-tests: process {process} of the stress on {}: {error:#}", place.kind.name());
                }
                // SAFETY: ends the child, without what the parent would do at its end.
                unsafe { libc::_exit(outcome.is_err().into()) }
            }
            child => children.push((child, tally)),
        }
    }
    let mut faults = Vec::new();
    for (child, tally) in children {
        let mut status = 0;
        // SAFETY: waits for the child, and writes to a local variable.
        ensure!(unsafe { libc::waitpid(child, &raw mut status, 0) } == child, "waitpid: {}", io::Error::last_os_error());
        match fs::read(&tally).context("no tally").and_then(|bytes| Ok(serde_json::from_slice::<Record>(&bytes)?)) {
            Ok(found) if status == 0 => record.add(found),
            _ => faults.push(format!("status {status:#x}")),
        }
        fs::remove_file(tally).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    }
    // A crash is no verdict: what the processes call into was compared with signed bytes just before.
    ensure!(faults.is_empty(), "processes of the stress broke: {faults:?}");
    Ok(())
}

/// What all processes know of a file.
#[repr(C)]
struct Known {
    /// Changes that were begun, and that were ended.
    begun: AtomicU64,
    ended: AtomicU64,
    /// Of the first file: how many descriptors for writing are waiting, of whichever file, because names are exchanged under them.
    writers: AtomicU64,
    /// The content that the last change gave it; more than there are, if that is not certain.
    content: AtomicU64,
}

/// The files, and the memory that the processes share about them.
struct Files {
    paths: Vec<PathBuf>,
    names: Vec<String>,
    known: &'static [Known],
}

impl Files {
    fn new(place: &Place, contents: &Contents) -> Result<Self> {
        let names: Vec<String> = (0..FILES).map(|number| format!("file-{number}")).collect();
        let length = FILES * size_of::<Known>();
        // SAFETY: new zeroed memory, which stays until the process ends; atomic numbers may be zero.
        let known = unsafe {
            let start = mmap_anonymous(std::ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)?;
            std::slice::from_raw_parts(start.cast::<Known>(), FILES)
        };
        let mut paths = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let content = number % SMALL;
            let path = place.file(name);
            // Half of an overlay's files come from below.
            let is_lower = place.kind == Kind::Overlay && number % 2 == 0;
            let first = if is_lower { place.in_layer("lower", name) } else { path.clone() };
            change::make(&first, contents.bytes(content))?;
            known[number].content.store(content as u64, Ordering::SeqCst);
            paths.push(path);
        }
        Ok(Self { paths, names, known })
    }
}

struct Worker<'a> {
    place: &'a Place,
    contents: &'a Contents,
    files: &'a Files,
    sources: Sources<'a>,
    random: Random,
    record: Record,
    /// Mappings that are looked at again later, and descriptors that are written to later.
    held: Vec<(usize, u64, Mapped)>,
    writers: Vec<(usize, File)>,
    explained: usize,
}

impl<'a> Worker<'a> {
    fn new(place: &'a Place, contents: &'a Contents, files: &'a Files, sources: Sources<'a>, seed: u64, process: u64) -> Self {
        let random = Random(seed.wrapping_mul(1_000_003).wrapping_add(process));
        Self { place, contents, files, sources, random, record: Record::default(), held: Vec::new(), writers: Vec::new(), explained: 0 }
    }

    fn work(&mut self, turns: u64) -> Result<()> {
        for turn in 0..turns {
            self.turn(turn).with_context(|| format!("turn {turn}"))?;
            self.record.turns += 1;
            if self.record.foreign.len() >= ENOUGH {
                break;
            }
        }
        while let Some((file, since, mapped)) = self.held.pop() {
            self.look_again(turns, file, since, &mapped)?;
        }
        while !self.writers.is_empty() {
            self.write_late(0)?;
        }
        Ok(())
    }

    fn turn(&mut self, turn: u64) -> Result<()> {
        let file = self.random.below(FILES);
        match self.random.below(1000) {
            0..180 => self.run(turn, file, "mapped", usage::map_once),
            180..240 => self.run(turn, file, "started", usage::start),
            240..270 => self.run(turn, file, "opened", usage::open),
            270..400 => self.hold(turn, file),
            400..600 => {
                let Some((file, since, mapped)) = self.some_held() else { return Ok(()) };
                self.look_again(turn, file, since, &mapped)?;
                if self.random.below(3) > 0 {
                    self.held.push((file, since, mapped));
                }
                Ok(())
            }
            600..630 => self.open_writer(file),
            630..720 => {
                let writer = self.random.below(self.writers.len().max(1));
                self.write_late(writer)
            }
            720..724 => {
                // Costs the whole machine what it has read.
                fs::write("/proc/sys/vm/drop_caches", "3").context("drop_caches")
            }
            724..740 => self.swap_names(file),
            740..760 => {
                // Refused when it is mapped.
                let refused = self.changing(file, None, |path, _| change::truncate(path, 100));
                self.record.count(if refused.is_err() { "cuts refused" } else { "cuts" });
                Ok(())
            }
            _ => self.change(file),
        }
    }

    fn some_held(&mut self) -> Option<(usize, u64, Mapped)> {
        if self.held.is_empty() { None } else { Some(self.held.swap_remove(self.random.below(self.held.len()))) }
    }

    /// Runs a file, and judges what came of it by what is known of the file.
    fn run(&mut self, turn: u64, file: usize, how: &str, use_it: fn(&Path, &Contents) -> Result<Outcome>) -> Result<()> {
        let calm = Calm::of(self.files, file);
        let mark = Mark::now();
        let outcome = use_it(&self.files.paths[file], self.contents)?;
        if let Some(foreign) = outcome.foreign() {
            self.record.found("random", format!("turn {turn} of process {}: {} {how}: {foreign}", self.sources.process, self.files.names[file]));
        }
        let kind = match outcome {
            Outcome::Ran(_) => "ran",
            Outcome::Denied => "denied",
            Outcome::Killed => "killed",
            Outcome::Nothing => "nothing to run",
        };
        self.record.count(&format!("{how}: {kind}"));
        if outcome == Outcome::Denied && calm.held_of_signed(self.files, file, self.contents) {
            let reason = self.reason(mark, file)?;
            *self.record.false_denials.entry(reason).or_default() += 1;
        }
        Ok(())
    }

    /// What the enforcer said about the last denial of a file.
    fn reason(&mut self, mark: Mark, file: usize) -> Result<String> {
        self.explained += 1;
        if self.explained > EXPLAINED {
            return Ok("unexplained".to_owned());
        }
        let (name, pid) = (&self.files.names[file], std::process::id());
        let is_it = |event: &serde_json::Value| event["path"].as_str().is_some_and(|path| path.ends_with(name)) && event["kind"] == "event";
        std::thread::sleep(EVENTS_COME_WITHIN);
        let events = mark.events()?;
        let found = events.iter().filter(|event| is_it(event)).find(|event| event["pid"] == pid).or_else(|| events.iter().find(|event| is_it(event)));
        Ok(found.and_then(|event| event["reason"].as_str()).unwrap_or("without an event").to_owned())
    }

    /// Maps a file, and keeps it mapped.
    fn hold(&mut self, turn: u64, file: usize) -> Result<()> {
        if self.held.len() >= MOST_HELD {
            self.held.swap_remove(0);
        }
        if let Ok(mapped) = usage::map(&self.files.paths[file])? {
            self.look_again(turn, file, turn, &mapped)?;
            self.held.push((file, turn, mapped));
        }
        Ok(())
    }

    /// Judges what is mapped, which may have been a while ago.
    fn look_again(&mut self, turn: u64, file: usize, since: u64, mapped: &Mapped) -> Result<()> {
        self.record.count("mappings looked at");
        let outcome = Outcome::Ran(mapped.judge(self.contents)?);
        if let Some(foreign) = outcome.foreign() {
            let name = &self.files.names[file];
            self.record.found("random", format!("turn {turn} of process {}: {name}, mapped in turn {since}: {foreign}", self.sources.process));
        }
        Ok(())
    }

    fn open_writer(&mut self, file: usize) -> Result<()> {
        if self.writers.len() < MOST_WRITERS {
            let known = &self.files.known[0];
            known.writers.fetch_add(1, Ordering::SeqCst);
            let path = self.path(file);
            match OpenOptions::new().write(true).open(path) {
                Ok(writer) => self.writers.push((file, writer)),
                Err(_) => {
                    known.writers.fetch_sub(1, Ordering::SeqCst);
                    self.record.count("writers refused");
                }
            }
        }
        Ok(())
    }

    /// Writes through a descriptor from before, and closes it.
    fn write_late(&mut self, writer: usize) -> Result<()> {
        if writer >= self.writers.len() {
            return Ok(());
        }
        let (file, writer) = self.writers.swap_remove(writer);
        let content = self.random.below(SMALL);
        // By now the descriptor may lead to a file that has no name any more.
        let written = self.changing(file, None, |_, contents| Ok(change::overwrite(&writer, contents.bytes(content))?));
        self.record.count(if written.is_ok() { "late writes" } else { "late writes refused" });
        drop(writer);
        for known in self.files.known {
            known.content.store(UNCERTAIN, Ordering::SeqCst);
        }
        self.files.known[0].writers.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    fn change(&mut self, file: usize) -> Result<()> {
        let way = Way::ALL[self.random.below(Way::ALL.len())];
        if !self.place.kind.knows(way) {
            return Ok(());
        }
        let content = self.random.below(SMALL);
        let path = self.path(file);
        let is_in_a_layer = path != self.files.paths[file];
        if is_in_a_layer && (!way.is_in_place() || way == Way::Link || way == Way::CopyRange) {
            return Ok(());
        }
        let sources = Sources { folder: self.sources.folder, process: self.sources.process };
        let done = self.changing(file, Some(content), |_, contents| change::change(&path, way, contents.bytes(content), content, &sources));
        self.record.count(if done.is_ok() { "changes" } else { "changes refused" });
        Ok(())
    }

    /// The name by which a file is changed: on an overlay it may be the one in a layer.
    fn path(&mut self, file: usize) -> PathBuf {
        let merged = self.files.paths[file].clone();
        if self.place.kind != Kind::Overlay || self.random.below(2) == 0 {
            return merged;
        }
        let layers = ["upper", "lower"].map(|layer| self.place.in_layer(layer, &self.files.names[file]));
        layers.into_iter().find(|path| path.exists()).unwrap_or(merged)
    }

    /// Renames two files to each other's names, by a third.
    fn swap_names(&mut self, file: usize) -> Result<()> {
        let other = self.random.below(FILES);
        if other == file {
            return Ok(());
        }
        let [one, two] = [file, other].map(|file| self.files.paths[file].clone());
        self.files.known[other].begin();
        let swapped = self.changing(file, None, |_, _| {
            Ok(rustix::fs::renameat_with(rustix::fs::CWD, &one, rustix::fs::CWD, &two, rustix::fs::RenameFlags::EXCHANGE)?)
        });
        self.files.known[other].end(UNCERTAIN);
        self.record.count(if swapped.is_ok() { "names exchanged" } else { "names not exchanged" });
        Ok(())
    }

    /// Does something to a file, and lets the others know.
    fn changing(&mut self, file: usize, to: Option<usize>, change: impl FnOnce(&Path, &Contents) -> Result<()>) -> Result<()> {
        let known = &self.files.known[file];
        known.begin();
        let done = change(&self.files.paths[file], self.contents);
        let certain = to.filter(|_| done.is_ok());
        known.end(certain.map_or(UNCERTAIN, |content| content as u64));
        done
    }
}

impl Known {
    fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    fn end(&self, content: u64) {
        self.content.store(content, Ordering::SeqCst);
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// What was known of a file before it was used.
struct Calm {
    begun: u64,
    is_calm: bool,
    content: u64,
}

impl Calm {
    fn of(files: &Files, file: usize) -> Self {
        let known = &files.known[file];
        let begun = known.begun.load(Ordering::SeqCst);
        let content = known.content.load(Ordering::SeqCst);
        let is_calm = known.ended.load(Ordering::SeqCst) == begun && files.known[0].writers.load(Ordering::SeqCst) == 0;
        Self { begun, is_calm, content }
    }

    /// Whether nobody touched the file since, whose content was signed.
    fn held_of_signed(&self, files: &Files, file: usize, contents: &Contents) -> bool {
        let untouched = files.known[file].begun.load(Ordering::SeqCst) == self.begun && files.known[0].writers.load(Ordering::SeqCst) == 0;
        self.is_calm && untouched && usize::try_from(self.content).is_ok_and(|content| contents.is_signed(content))
    }
}

/// `splitmix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

const PROCESSES: u64 = 4;
const FILES: usize = 8;
const MOST_HELD: usize = 3;
const MOST_WRITERS: usize = 2;
const UNCERTAIN: u64 = u64::MAX;
/// So many foreign runs are proof enough.
const ENOUGH: usize = 20;
const EXPLAINED: usize = 25;
const EVENTS_COME_WITHIN: Duration = Duration::from_millis(300);
