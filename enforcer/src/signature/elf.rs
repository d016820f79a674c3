//! The signature section of an ELF file: where it lies, and whether it may lie there.
//!
//! The rule: a file has at most one section named [`SECTION_NAME`]. It is not loaded, and shares no byte with a header, a table, a segment
//! or another section. Its bytes count as zeros for the content that is signed; every other byte of the file is signed as it is.
//! Reads headers only, bounded, and remembers what it read, so that the pass over the content can prove that it is still there.

mod error;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use object::elf::{EM_386, EM_X86_64, FileHeader32, FileHeader64, PF_X, PN_XNUM, PT_LOAD, SHF_ALLOC, SHN_XINDEX, SHT_NOBITS, SHT_PROGBITS};
use object::read::ReadCache;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, FileKind, ReadRef};

pub use error::ElfError;

use super::cms::MAX_SIGNATURE_SIZE;
use super::source::Source;
use crate::measure::Witness;

/// The section's name.
pub const SECTION_NAME: &[u8] = b".enforcer.signature";

/// A signature section that lies where it may.
pub(super) struct Section {
    pub(super) range: Range<u64>,
    pub(super) bytes: Vec<u8>,
    /// Everything that was read to find it.
    pub(super) witnesses: Vec<Witness>,
}

/// Finds the signature section; `None` for what is no ELF file, and for an ELF file without one.
pub(super) fn locate<'a>(file: impl Into<Source<'a>>) -> Result<Option<Section>, ElfError> {
    let file = file.into();
    if !begins_like_elf(file)? {
        return Ok(None);
    }
    let recorder = Recorder::new(file)?;
    let cache = ReadCache::new(recorder);
    let found = match FileKind::parse(&cache)? {
        FileKind::Elf32 => locate_in::<FileHeader32<Endianness>>(&cache)?,
        FileKind::Elf64 => locate_in::<FileHeader64<Endianness>>(&cache)?,
        _ => return Err(ElfError::Class),
    };
    Ok(found.map(|(range, bytes)| Section { range, bytes, witnesses: cache.into_inner().read }))
}

/// Why an image is not one that ends where it has to.
pub(super) enum Ending {
    /// It cannot be read.
    Elf(ElfError),
    /// This many bytes follow it.
    Follows(u64),
    /// This part of it reaches further.
    ReachesInto(&'static str),
}

/// Makes sure that the ELF image ends exactly at `end`, whole pages of code included; what was read to find out.
pub(super) fn ends_at(file: Source<'_>, end: u64) -> Result<Vec<Witness>, Ending> {
    let cache = ReadCache::new(Recorder::new(file).map_err(Ending::Elf)?);
    let occupied = match FileKind::parse(&cache).map_err(|error| Ending::Elf(error.into()))? {
        FileKind::Elf32 => occupied_by::<FileHeader32<Endianness>>(&cache),
        FileKind::Elf64 => occupied_by::<FileHeader64<Endianness>>(&cache),
        _ => Err(ElfError::Class),
    };
    let occupied = occupied.map_err(Ending::Elf)?;
    if let Some((_, what)) = occupied.iter().find(|(range, _)| range.end > end) {
        return Err(Ending::ReachesInto(what));
    }
    let image = occupied.iter().filter(|(_, what)| *what != CODE_PAGES).map(|(range, _)| range.end).max().unwrap_or(0);
    if image < end {
        return Err(Ending::Follows(end - image));
    }
    Ok(cache.into_inner().read)
}

fn occupied_by<E: FileHeader<Endian = Endianness>>(data: &Cache<'_>) -> Result<Vec<(Range<u64>, &'static str)>, ElfError> {
    let header = E::parse(data)?;
    let endian = header.endian()?;
    if has_extended_numbering(header, endian) {
        return Err(ElfError::ExtendedNumbering);
    }
    occupied(header, endian, data, |_| false)
}

/// Whether the file begins like an ELF file.
pub fn is_elf(file: &File) -> Result<bool, ElfError> {
    begins_like_elf(file.into())
}

pub(super) fn begins_like_elf(file: Source<'_>) -> Result<bool, ElfError> {
    let mut magic = [0; 4];
    match file.read_exact_at(&mut magic, 0) {
        Ok(()) => Ok(magic == object::elf::ELFMAG),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(ElfError::Read(error)),
    }
}

/// A range of the file, and the bytes that are there.
type Place = (Range<u64>, Vec<u8>);
pub(super) type Cache<'a> = ReadCache<Recorder<'a>>;

fn locate_in<E: FileHeader<Endian = Endianness>>(data: &Cache<'_>) -> Result<Option<Place>, ElfError> {
    let header = E::parse(data)?;
    let endian = header.endian()?;
    let sections_at: u64 = header.e_shoff(endian).into();
    if sections_at == 0 {
        return Ok(None);
    }
    if has_extended_numbering(header, endian) {
        return Err(ElfError::ExtendedNumbering);
    }
    let sections = header.section_headers(endian, data)?;
    let names = name_bytes::<E>(sections, header.e_shstrndx(endian), endian, data)?;
    let is_signature = |section: &&E::SectionHeader| is_signature_name(names, section.sh_name(endian));
    let signature = match sections.iter().filter(is_signature).collect::<Vec<_>>()[..] {
        [] => return Ok(None),
        [one] => one,
        ref several => return Err(ElfError::SeveralSections { count: several.len() }),
    };
    if signature.sh_type(endian) != SHT_PROGBITS {
        return Err(ElfError::SectionType);
    }
    if signature.sh_flags(endian).into() & u64::from(SHF_ALLOC) != 0 {
        return Err(ElfError::Loaded);
    }
    let range = range_of(signature.sh_offset(endian).into(), signature.sh_size(endian).into())?;
    let size = data.len().map_err(|()| ElfError::OutsideFile)?;
    if range.end > size {
        return Err(ElfError::OutsideFile);
    }
    if range.end - range.start > MAX_SIGNATURE_SIZE as u64 {
        return Err(ElfError::SectionTooLarge { limit: MAX_SIGNATURE_SIZE });
    }
    for (other, what) in occupied(header, endian, data, |section| std::ptr::eq(section, signature))? {
        if range.start < other.end && other.start < range.end {
            return Err(ElfError::Overlap { what });
        }
    }
    let bytes = data.read_bytes_at(range.start, range.end - range.start).map_err(|()| ElfError::OutsideFile)?;
    Ok(Some((range, bytes.to_vec())))
}

/// Counts beyond 16 bits, which are kept in the first section header.
pub(super) fn has_extended_numbering<E: FileHeader<Endian = Endianness>>(header: &E, endian: Endianness) -> bool {
    (header.e_shoff(endian).into() != 0 && header.e_shnum(endian) == 0)
        || header.e_shstrndx(endian) == SHN_XINDEX
        || header.e_phnum(endian) == PN_XNUM
}

/// The bytes of the section name string table; empty where there is none.
pub(super) fn name_bytes<'a, E: FileHeader<Endian = Endianness>>(
    sections: &[E::SectionHeader],
    index: u16,
    endian: Endianness,
    data: &'a Cache<'_>,
) -> Result<&'a [u8], ElfError> {
    if index == 0 {
        return Ok(&[]);
    }
    let section = sections.get(usize::from(index)).ok_or(ElfError::Names)?;
    let (at, size) = section.file_range(endian).ok_or(ElfError::Names)?;
    if size > MAX_NAMES {
        return Err(ElfError::Names);
    }
    data.read_bytes_at(at, size).map_err(|()| ElfError::Names)
}

/// Whether the name at this place of the string table is the signature section's. Only as many bytes are looked at as that name has: a table without a
/// zero would otherwise be searched to its end for each of 65,000 sections.
pub(super) fn is_signature_name(names: &[u8], at: u32) -> bool {
    let rest = usize::try_from(at).ok().and_then(|at| names.get(at..)).and_then(|name| name.strip_prefix(SECTION_NAME));
    rest.is_some_and(|rest| rest.first() == Some(&0))
}

/// Every range of the file that something else than the signature uses.
pub(super) fn occupied<'a, E: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(
    header: &E,
    endian: Endianness,
    data: R,
    is_signature: impl Fn(&E::SectionHeader) -> bool,
) -> Result<Vec<(Range<u64>, &'static str)>, ElfError> {
    let segments = header.program_headers(endian, data)?;
    let sections = header.section_headers(endian, data)?;
    let mut ranges = vec![
        (0..size_of::<E>() as u64, "the ELF header"),
        (range_of(header.e_phoff(endian).into(), size_of_val(segments) as u64)?, "the program headers"),
        (range_of(header.e_shoff(endian).into(), size_of_val(sections) as u64)?, "the section headers"),
    ];
    for segment in segments {
        let range = range_of(segment.p_offset(endian).into(), segment.p_filesz(endian).into())?;
        if segment.p_type(endian) == PT_LOAD && segment.p_flags(endian) & PF_X != 0 && !range.is_empty() {
            let page = page_size(header.e_machine(endian));
            let end = range.end.checked_next_multiple_of(page).ok_or(ElfError::Overflow)?;
            ranges.push((range.start & !(page - 1)..end, CODE_PAGES));
        }
        ranges.push((range, "a segment"));
    }
    for section in sections.iter().filter(|section| section.sh_type(endian) != SHT_NOBITS && !is_signature(section)) {
        ranges.push((range_of(section.sh_offset(endian).into(), section.sh_size(endian).into())?, "another section"));
    }
    ranges.retain(|(range, _)| !range.is_empty());
    Ok(ranges)
}

/// The largest page that the kernel may use for programs of this machine.
fn page_size(machine: u16) -> u64 {
    match machine {
        EM_386 | EM_X86_64 => 4096,
        _ => 64 * 1024,
    }
}

fn range_of(start: u64, size: u64) -> Result<Range<u64>, ElfError> {
    Ok(start..start.checked_add(size).ok_or(ElfError::Overflow)?)
}

/// Reads a file for `object`, within a budget, and keeps what it read.
pub(super) struct Recorder<'a> {
    file: Source<'a>,
    size: u64,
    position: u64,
    budget: usize,
    read: Vec<Witness>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(file: impl Into<Source<'a>>) -> Result<Self, ElfError> {
        let file = file.into();
        let size = file.size().map_err(ElfError::Read)?;
        Ok(Self { file, size, position: 0, budget: MAX_READ, read: Vec::new() })
    }
}

impl Read for Recorder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.budget = self.budget.checked_sub(read).ok_or(io::ErrorKind::FileTooLarge)?;
        self.read.push(Witness { offset: self.position, bytes: buffer[..read].to_vec() });
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Recorder<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.position = match position {
            SeekFrom::Start(position) => position,
            SeekFrom::End(distance) => self.size.saturating_add_signed(distance),
            SeekFrom::Current(distance) => self.position.saturating_add_signed(distance),
        };
        Ok(self.position)
    }
}

/// The kernel maps whole pages, so what shares a page with code is executable too.
pub(super) const CODE_PAGES: &str = "a page of code";
/// 65,535 section headers and as many program headers take 8 MiB.
const MAX_READ: usize = 16 << 20;
const MAX_NAMES: u64 = 4 << 20;
