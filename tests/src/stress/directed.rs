//! Interleavings that are made for one clause of the rule each: what an attacker would do who knew that it was missing.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use super::change::{self, Sources, Way};
use super::content::{Contents, SIGNED, SIGNED_LARGE, SIGNED_OTHER, UNSIGNED, UNSIGNED_LONG};
use super::pinned::Pinned;
use super::place::{Kind, Place};
use super::record::Record;
use super::usage::{self, Mapped, Outcome};

/// One interleaving.
struct Interleaving {
    name: &'static str,
    applies: fn(Kind) -> bool,
    run: fn(&mut Stage) -> Result<()>,
}

const fn everywhere(name: &'static str, run: fn(&mut Stage) -> Result<()>) -> Interleaving {
    Interleaving { name, applies: |_| true, run }
}

const fn on_overlay(name: &'static str, run: fn(&mut Stage) -> Result<()>) -> Interleaving {
    Interleaving { name, applies: |kind| matches!(kind, Kind::Overlay), run }
}

const INTERLEAVINGS: &[Interleaving] = &[
    everywhere("writer-opened-before", |stage| stage.writer_before(false)),
    everywhere("shared-mapping-made-before", |stage| stage.writer_before(true)),
    everywhere("changed-when-settled", |stage| stage.changed_when_settled(UNSIGNED)),
    everywhere("resized-when-settled", |stage| stage.changed_when_settled(UNSIGNED_LONG)),
    everywhere("changed-in-the-same-tick", same_tick),
    everywhere("changed-during-the-hash", during_the_hash),
    everywhere("changed-with-the-clock-set-back", clock_set_back),
    everywhere("opened-while-mapped", opened_while_mapped),
    everywhere("truncated-while-mapped", truncated_while_mapped),
    Interleaving { name: "pinned-on-tmpfs", applies: |kind| matches!(kind, Kind::Ext4), run: pinned_on_tmpfs },
    on_overlay("changed-in-the-upper-layer", |stage| changed_in_a_layer(stage, "upper")),
    on_overlay("changed-in-the-lower-layer", |stage| changed_in_a_layer(stage, "lower")),
    on_overlay("writer-opened-before-in-the-upper-layer", |stage| writer_in_a_layer(stage, "upper")),
    on_overlay("writer-opened-before-in-the-lower-layer", |stage| writer_in_a_layer(stage, "lower")),
    on_overlay("layer-opened-while-mapped", layer_opened_while_mapped),
    on_overlay("descriptor-from-before-the-copy-up", descriptor_from_before_copy_up),
];

/// Tries all of them, or one.
pub fn run(place: &Place, contents: &Contents, only: Option<&str>, record: &mut Record) -> Result<()> {
    if only == Some("none") {
        return Ok(());
    }
    let folder = place.sources(contents)?;
    let mut known = false;
    for interleaving in INTERLEAVINGS {
        if only.is_some_and(|only| only != interleaving.name) {
            continue;
        }
        known = true;
        if (interleaving.applies)(place.kind) {
            let sources = Sources { folder: &folder, process: 0 };
            let mut stage = Stage { place, contents, sources, name: interleaving.name, is_alone: only.is_some(), record, files: 0 };
            (interleaving.run)(&mut stage).with_context(|| format!("the interleaving {} on {}", interleaving.name, place.kind.name()))?;
        }
    }
    if known { Ok(()) } else { bail!("there is no interleaving `{}`", only.unwrap_or_default()) }
}

/// Where an interleaving plays.
struct Stage<'a> {
    place: &'a Place,
    contents: &'a Contents,
    sources: Sources<'a>,
    name: &'static str,
    /// Whether nothing else is tried: then it is tried for longer.
    is_alone: bool,
    record: &'a mut Record,
    files: usize,
}

impl Stage<'_> {
    /// A new file's name, which nothing has looked up before.
    fn new_name(&mut self) -> String {
        self.files += 1;
        format!("{}-{}", self.name, self.files)
    }

    /// A new file of this content.
    fn file(&mut self, content: usize) -> Result<PathBuf> {
        let name = self.new_name();
        let path = self.place.file(&name);
        change::make(&path, self.contents.bytes(content))?;
        Ok(path)
    }

    /// A new file in a layer, and the same in the overlay.
    fn file_in(&mut self, layer: &str, content: usize) -> Result<(PathBuf, PathBuf)> {
        let name = self.new_name();
        let merged = self.place.file(&name);
        if layer == "upper" {
            change::make(&merged, self.contents.bytes(content))?;
        } else {
            change::make(&self.place.in_layer(layer, &name), self.contents.bytes(content))?;
        }
        Ok((self.place.in_layer(layer, &name), merged))
    }

    /// Runs a trusted file until its measurement would be reused.
    fn settle(&mut self, path: &Path) -> Result<()> {
        for _ in 0..USES {
            let outcome = usage::map_once(path, self.contents)?;
            if !matches!(outcome, Outcome::Ran(_)) {
                self.record.count("signed files that did not run while they settled");
            }
            self.judge("while it settled", &outcome);
            thread::sleep(SETTLING);
        }
        Ok(())
    }

    /// Maps a signed file, which xfs may take some tries for while it writes the file back.
    fn map_signed(&mut self, path: &Path) -> Result<Mapped> {
        for _ in 0..TRIES {
            match usage::map(path)? {
                Ok(mapped) => return Ok(mapped),
                Err(_) => self.record.count("signed files that were not mapped at once"),
            }
            thread::sleep(SETTLING);
        }
        bail!("the signed file was not mapped in {TRIES} tries")
    }

    fn judge(&mut self, what: &str, outcome: &Outcome) {
        if let Some(foreign) = outcome.foreign() {
            self.record.found(self.name, format!("{what}: {foreign}"));
        }
    }

    fn tried(&mut self) {
        *self.record.tried.entry(self.name.to_owned()).or_default() += 1;
    }

    /// All the ways to run a file.
    fn use_in_all_ways(&mut self, what: &str, path: &Path) -> Result<()> {
        let outcomes = [
            usage::map_once(path, self.contents)?,
            usage::start(path, self.contents)?,
            usage::open(path, self.contents)?,
            usage::map_once(path, self.contents)?,
        ];
        for outcome in outcomes {
            self.judge(what, &outcome);
        }
        self.tried();
        Ok(())
    }

    /// Somebody who can write already when the file is mapped as code, and writes then.
    fn writer_before(&mut self, through_a_mapping: bool) -> Result<()> {
        for is_settled in [false, true] {
            let path = self.file(SIGNED)?;
            if is_settled {
                self.settle(&path)?;
            }
            let writer = Writer::new(&path, self.contents.bytes(UNSIGNED).len(), through_a_mapping)?;
            self.write_once_mapped(&path, &writer)?;
        }
        Ok(())
    }

    fn write_once_mapped(&mut self, path: &Path, writer: &Writer) -> Result<()> {
        match usage::map(path)? {
            Ok(mapped) => {
                writer.write(self.contents.bytes(UNSIGNED))?;
                let outcome = Outcome::Ran(mapped.judge(self.contents)?);
                self.judge("written when it was mapped", &outcome);
            }
            Err(outcome) => self.record.count(if outcome == Outcome::Denied { "denied" } else { "nothing to run" }),
        }
        self.tried();
        Ok(())
    }

    fn changed_when_settled(&mut self, to: usize) -> Result<()> {
        for way in Way::ALL {
            if !self.place.kind.knows(way) {
                continue;
            }
            let path = self.file(SIGNED)?;
            self.settle(&path)?;
            change::change(&path, way, self.contents.bytes(to), to, &self.sources).with_context(|| format!("{way:?}"))?;
            self.use_in_all_ways(&format!("{way:?}"), &path)?;
        }
        Ok(())
    }
}

/// Somebody who can write.
enum Writer {
    Descriptor(File),
    Mapping(usize),
}

impl Writer {
    fn new(path: &Path, length: usize, through_a_mapping: bool) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if !through_a_mapping {
            return Ok(Self::Descriptor(file));
        }
        // SAFETY: a new mapping, which stays until the process ends.
        let start = unsafe { mmap(null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)? };
        // SAFETY: its first byte is written as it is, so that the page may be written to from here on.
        unsafe { start.cast::<u8>().write_volatile(start.cast::<u8>().read_volatile()) };
        // Otherwise it is refused because of what may stand behind its end.
        file.sync_all()?;
        Ok(Self::Mapping(start as usize))
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        match self {
            // Without cutting it off behind them, which 6.1 refuses by itself while it is code in use.
            Self::Descriptor(file) => file.write_all_at(bytes, 0)?,
            // SAFETY: the mapping is as long as the bytes.
            Self::Mapping(start) => unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), *start as *mut u8, bytes.len()) },
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Self::Mapping(start) = self {
            // SAFETY: nothing else uses the mapping, of which all is within these pages.
            if let Err(error) = unsafe { munmap(*start as *mut _, 8192) } {
                eprintln!("guest-tests: munmap: {error}");
            }
        }
    }
}

/// Measured, and changed before the clock that ctimes are taken from has moved on. A busy machine seldom gets there.
fn same_tick(stage: &mut Stage) -> Result<()> {
    let path = stage.file(SIGNED)?;
    for round in 0..if stage.is_alone { 4 * TICK_ROUNDS } else { TICK_ROUNDS } {
        let signed = [SIGNED, SIGNED_OTHER][round % 2];
        for content in [signed, UNSIGNED] {
            change::overwrite(&OpenOptions::new().write(true).open(&path)?, stage.contents.bytes(content))?;
            let outcome = usage::map_once(&path, stage.contents)?;
            stage.judge(&format!("round {round}"), &outcome);
        }
        stage.tried();
        if !stage.record.foreign.is_empty() {
            break;
        }
    }
    Ok(())
}

/// The beginning of a large file changes when it has been read, and its end has not.
fn during_the_hash(stage: &mut Stage) -> Result<()> {
    // `mov eax, imm32`: the number stands behind the first byte.
    let (at, foreign_byte) = (stage.contents.function as u64 + 1, 13);
    let finer = if stage.is_alone { FINER_DELAYS } else { 0 };
    let mut took = Duration::ZERO;
    for number in 0..DELAYS.len() + finer {
        // How long a hash takes depends on the machine, on what else it does and on the file system; so where it has to be found, many moments are tried, about
        // the end of the time that the last one took: of what is hashed twice, the second hash counts.
        let delay = match DELAYS.get(number) {
            Some(delay) => Duration::from_millis(*delay),
            None => took.mul_f64(0.5 + 0.6 * (number as f64 * GOLDEN_RATIO).fract()),
        };
        // A new file: once its content was let in, nobody opens it for writing while somebody is about to map it.
        let path = stage.file(SIGNED_LARGE)?;
        let mapped = thread::scope(|scope| {
            let writer = scope.spawn(|| -> Result<()> {
                thread::sleep(delay);
                Ok(OpenOptions::new().write(true).open(&path)?.write_all_at(&[foreign_byte], at)?)
            });
            let began = Instant::now();
            let mapped = usage::map(&path);
            took = began.elapsed();
            // It may be refused, once the file is mapped.
            let _refused = writer.join();
            mapped
        })?;
        if let Ok(mapped) = mapped {
            let outcome = Outcome::Ran(mapped.judge(stage.contents)?);
            stage.judge(&format!("written after {delay:?}"), &outcome);
        }
        fs::remove_file(path)?;
        stage.tried();
        if !stage.record.foreign.is_empty() {
            break;
        }
    }
    Ok(())
}

/// The clock is set to what it was when the trusted content was written, and the foreign one is written then.
fn clock_set_back(stage: &mut Stage) -> Result<()> {
    for _ in 0..CLOCK_ROUNDS {
        let path = stage.file(SIGNED)?;
        let (began, moment) = (Instant::now(), clock_gettime(ClockId::Realtime));
        let write_at_the_moment = |content| -> Result<()> {
            let file = OpenOptions::new().write(true).open(&path)?;
            clock_settime(ClockId::Realtime, moment)?;
            change::overwrite(&file, stage.contents.bytes(content))?;
            Ok(())
        };
        write_at_the_moment(SIGNED_OTHER)?;
        let outcome = (|| {
            for _ in 0..USES {
                usage::map_once(&path, stage.contents)?;
                thread::sleep(SETTLING);
            }
            write_at_the_moment(UNSIGNED)?;
            usage::map_once(&path, stage.contents)
        })();
        let now = moment_after(moment, began.elapsed());
        clock_settime(ClockId::Realtime, now)?;
        stage.judge("the clock was set back", &outcome?);
        stage.tried();
    }
    Ok(())
}

fn moment_after(moment: Timespec, passed: Duration) -> Timespec {
    let nanoseconds = moment.tv_nsec + i64::from(passed.subsec_nanos());
    Timespec { tv_sec: moment.tv_sec + passed.as_secs().cast_signed() + nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000 }
}

/// What is mapped as code is opened for writing.
fn opened_while_mapped(stage: &mut Stage) -> Result<()> {
    let path = stage.file(SIGNED)?;
    let mapped = stage.map_signed(&path)?;
    if let Ok(file) = OpenOptions::new().write(true).open(&path) {
        change::overwrite(&file, stage.contents.bytes(UNSIGNED))?;
    }
    let outcome = Outcome::Ran(mapped.judge(stage.contents)?);
    stage.judge("opened for writing", &outcome);
    stage.tried();
    Ok(())
}

/// What is mapped as code is cut off by its name.
fn truncated_while_mapped(stage: &mut Stage) -> Result<()> {
    let path = stage.file(SIGNED)?;
    let length = i64::try_from(stage.contents.bytes(SIGNED).len())?;
    let mapped = stage.map_signed(&path)?;
    if change::truncate(&path, 0).is_ok() {
        change::truncate(&path, length)?;
    }
    let outcome = Outcome::Ran(mapped.judge(stage.contents)?);
    stage.judge("cut off by its name", &outcome);
    stage.tried();
    Ok(())
}

/// A page of tmpfs that io_uring can write to without the file being open or mapped.
fn pinned_on_tmpfs(stage: &mut Stage) -> Result<()> {
    let path = PathBuf::from(format!("/dev/shm/{}", stage.name));
    let bytes = stage.contents.bytes(SIGNED);
    change::make(&path, bytes)?;
    let mut pinned = Pinned::new(&path, bytes.len())?;
    stage.settle_quietly(&path)?;
    pinned.read_from(&stage.sources.folder.join(UNSIGNED.to_string()))?;
    ensure!(fs::read(&path)? == stage.contents.bytes(UNSIGNED), "the pinned pages are not the file's");
    stage.use_in_all_ways("read into by io_uring", &path)?;
    Ok(fs::remove_file(path)?)
}

impl Stage<'_> {
    /// As [`Stage::settle`], of a file that is refused if all is well.
    fn settle_quietly(&mut self, path: &Path) -> Result<()> {
        for _ in 0..USES {
            usage::map_once(path, self.contents)?;
            thread::sleep(SETTLING);
        }
        Ok(())
    }
}

fn changed_in_a_layer(stage: &mut Stage, layer: &str) -> Result<()> {
    // The sources are in the overlay, and from there nothing is copied into a layer.
    let elsewhere = [Way::Reflink, Way::Link, Way::CopyRange];
    for way in Way::ALL.into_iter().filter(|way| way.is_in_place() && !elsewhere.contains(way)) {
        let (in_layer, merged) = stage.file_in(layer, SIGNED)?;
        stage.settle(&merged)?;
        change::change(&in_layer, way, stage.contents.bytes(UNSIGNED), UNSIGNED, &stage.sources).with_context(|| format!("{way:?}"))?;
        stage.use_in_all_ways(&format!("{way:?}"), &merged)?;
    }
    Ok(())
}

fn writer_in_a_layer(stage: &mut Stage, layer: &str) -> Result<()> {
    for through_a_mapping in [false, true] {
        let (in_layer, merged) = stage.file_in(layer, SIGNED)?;
        let writer = Writer::new(&in_layer, stage.contents.bytes(UNSIGNED).len(), through_a_mapping)?;
        stage.write_once_mapped(&merged, &writer)?;
    }
    Ok(())
}

/// What is mapped through the overlay is opened for writing, or cut off, in its layer.
fn layer_opened_while_mapped(stage: &mut Stage) -> Result<()> {
    for layer in ["upper", "lower"] {
        for cuts in [false, true] {
            let (in_layer, merged) = stage.file_in(layer, SIGNED)?;
            let mapped = stage.map_signed(&merged)?;
            if cuts {
                // Refused, if all is well.
                let _refused = change::truncate(&in_layer, 0);
            } else if let Ok(file) = OpenOptions::new().write(true).open(&in_layer) {
                change::overwrite(&file, stage.contents.bytes(UNSIGNED))?;
            }
            let outcome = Outcome::Ran(mapped.judge(stage.contents)?);
            stage.judge(&format!("{} in the {layer} layer", if cuts { "cut off" } else { "opened for writing" }), &outcome);
            stage.tried();
        }
    }
    Ok(())
}

/// A descriptor from before a copy-up goes on reading the lower file, by the same inode of the overlay.
fn descriptor_from_before_copy_up(stage: &mut Stage) -> Result<()> {
    let (_, merged) = stage.file_in("lower", UNSIGNED)?;
    let before = File::open(&merged)?;
    change::overwrite(&OpenOptions::new().write(true).open(&merged)?, stage.contents.bytes(SIGNED))?;
    stage.settle(&merged)?;
    for _ in 0..USES {
        let outcome = match usage::map_file(before.try_clone()?)? {
            Ok(mapped) => Outcome::Ran(mapped.judge(stage.contents)?),
            Err(outcome) => outcome,
        };
        stage.judge("the descriptor of before", &outcome);
        stage.tried();
    }
    Ok(())
}

/// So often, and with such pauses, that the measurement has settled and is reused.
const USES: usize = 3;
const SETTLING: Duration = Duration::from_millis(25);
const TRIES: usize = 8;
const TICK_ROUNDS: usize = 60;
const CLOCK_ROUNDS: usize = 8;
/// How many milliseconds an emulated machine, or a real one, takes to be in the midst of a large file.
const DELAYS: [u64; 11] = [0, 1, 3, 8, 20, 50, 120, 250, 400, 600, 1000];
const FINER_DELAYS: usize = 100;
/// Multiples of it lie evenly between whole numbers, however many there are.
const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
