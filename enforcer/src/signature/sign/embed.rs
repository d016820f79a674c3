//! Putting a signature section into an ELF file without moving anything of it.
//!
//! Behind the end of the file come: room for the signature, a new section name table, a new table of section headers. In the ELF header
//! `e_shoff`, `e_shnum` and `e_shstrndx` (and `e_shentsize`, where there were no sections) change. A file that already has a section with
//! room enough keeps its layout and gets a new signature; one with too little room is given a new tail in the place of the old one.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use object::elf::{FileHeader32, FileHeader64, SHF_ALLOC, SHT_PROGBITS, SHT_STRTAB, SectionHeader32, SectionHeader64};
use object::pod::{Pod, bytes_of};
use object::read::elf::{FileHeader, SectionHeader};
use object::read::{FileKind, ReadCache};
use object::{Endianness, U16, U32, U64};

use super::super::elf::{self, Cache, ElfError, Recorder, SECTION_NAME};

/// How a file becomes one with room for a signature.
pub(super) struct Layout {
    /// How many bytes of the original stay.
    pub(super) kept: u64,
    /// Where the signature goes: zeros, until it is there.
    pub(super) range: Range<u64>,
    /// What is written where.
    changes: Vec<(u64, Vec<u8>)>,
}

impl Layout {
    /// Makes the changes in a copy of the first `kept` bytes.
    pub(super) fn apply(&self, file: &File) -> io::Result<()> {
        for (offset, bytes) in &self.changes {
            file.write_all_at(bytes, *offset)?;
        }
        file.write_all_at(&vec![0; (self.range.end - self.range.start) as usize], self.range.start)
    }
}

/// Plans room for a signature of `area` bytes.
pub(super) fn plan(file: &File, area: u64) -> Result<Layout, ElfError> {
    let size = file.metadata().map_err(ElfError::Read)?.len();
    let present = match elf::locate(file) {
        Ok(section) => section.map(|section| section.range),
        // What `strip` or `objcopy` moved to a wrong place is given a new one.
        Err(ElfError::Overlap { .. } | ElfError::OutsideFile | ElfError::SectionTooLarge { .. }) => None,
        Err(problem) => return Err(problem),
    };
    if let Some(range) = present.clone().filter(|range| range.end - range.start == area) {
        return Ok(Layout { kept: size, range, changes: Vec::new() });
    }
    let cache = ReadCache::new(Recorder::new(file)?);
    match FileKind::parse(&cache)? {
        FileKind::Elf32 => plan_in::<FileHeader32<Endianness>>(&cache, size, area, present),
        FileKind::Elf64 => plan_in::<FileHeader64<Endianness>>(&cache, size, area, present),
        _ => Err(ElfError::Class),
    }
}

fn plan_in<E: Class>(data: &Cache<'_>, size: u64, area: u64, present: Option<Range<u64>>) -> Result<Layout, ElfError> {
    let header = E::parse(data)?;
    let endian = header.endian()?;
    if elf::has_extended_numbering(header, endian) {
        return Err(ElfError::ExtendedNumbering);
    }
    let mut sections = header.section_headers(endian, data)?.to_vec();
    let names_at = usize::from(header.e_shstrndx(endian));
    let mut names = elf::name_bytes::<E>(&sections, header.e_shstrndx(endian), endian, data)?.to_vec();
    let old_names = names.clone();
    let is_present = |section: &E::SectionHeader| elf::is_signature_name(&old_names, section.sh_name(endian));
    let mut others = elf::occupied(header, endian, data, is_present)?;
    if let Some((range, what)) = others.iter().find(|(range, what)| *what != elf::CODE_PAGES && range.end > size) {
        return Err(ElfError::Truncated { what, end: range.end });
    }
    // The tail of an earlier signature is given up: nothing but the signature and the tables that came with it.
    let names_start = sections.get(names_at).map(|section| section.sh_offset(endian).into());
    let kept = match &present {
        Some(range) => {
            let tables = [Some(header.e_shoff(endian).into()), names_start];
            others.retain(|(other, _)| !(other.start >= range.end && tables.contains(&Some(other.start))));
            let nothing_behind = others.iter().all(|(other, _)| other.end <= range.start);
            if nothing_behind { range.start } else { size }
        }
        None => size,
    };
    if present.is_none() {
        let image = elf::occupied(header, endian, data, |_| false)?;
        let image_end = image.iter().filter(|(_, what)| *what != elf::CODE_PAGES).map(|(range, _)| range.end).max().unwrap_or(0);
        if image_end < size {
            return Err(ElfError::Appendix { count: size - image_end });
        }
    }
    let start = others.iter().map(|(range, _)| range.end).fold(kept, u64::max).next_multiple_of(ALIGNMENT);
    let range = start..start + area;

    // Its own name first, then perhaps the table's: offsets of all other names stay as they are.
    if names.is_empty() {
        names.push(0);
    }
    let place_of_name = |names: &mut Vec<u8>, name: &[u8]| {
        let at = names.len();
        names.extend_from_slice(name);
        names.push(0);
        u32::try_from(at).map_err(|_| ElfError::Names)
    };
    if sections.is_empty() {
        sections.push(E::section(endian, Fields::default())?);
    }
    let at = sections.iter().position(is_present);
    let name = match at {
        Some(at) => sections[at].sh_name(endian),
        None => place_of_name(&mut names, SECTION_NAME)?,
    };
    let signature = Fields { name, kind: SHT_PROGBITS, offset: range.start, size: area, alignment: ALIGNMENT };
    let reusable = names_at != 0 && sections[names_at].sh_flags(endian).into() & u64::from(SHF_ALLOC) == 0;
    let table_name = if reusable { sections[names_at].sh_name(endian) } else { place_of_name(&mut names, b".shstrtab")? };
    let table = Fields { name: table_name, kind: SHT_STRTAB, offset: range.end, size: names.len() as u64, alignment: 1 };
    match at {
        Some(at) => sections[at] = E::section(endian, signature)?,
        None => sections.push(E::section(endian, signature)?),
    }
    let names_at = if reusable { names_at } else { sections.len() };
    if reusable {
        sections[names_at] = E::section(endian, table)?;
    } else {
        sections.push(E::section(endian, table)?);
    }
    let headers_at = (range.end + names.len() as u64).next_multiple_of(ALIGNMENT);
    let count = u16::try_from(sections.len()).ok().filter(|count| *count < object::elf::SHN_LORESERVE).ok_or(ElfError::ExtendedNumbering)?;
    let header = header.with_sections(endian, headers_at, count, names_at as u16)?;
    let headers = sections.iter().flat_map(bytes_of).copied().collect();
    let changes = vec![(0, bytes_of(&header).to_vec()), (range.end, names), (headers_at, headers)];
    Ok(Layout { kept, range, changes })
}

/// The fields of a section header that differ between the two that are written.
#[derive(Clone, Copy, Default)]
struct Fields {
    name: u32,
    kind: u32,
    offset: u64,
    size: u64,
    alignment: u64,
}

/// ELF of 32 or 64 bits.
trait Class: FileHeader<Endian = Endianness, SectionHeader: Pod + Copy> + Pod + Copy {
    /// A section header that is neither loaded nor linked to another.
    fn section(endian: Endianness, fields: Fields) -> Result<Self::SectionHeader, ElfError>;
    /// The same header with another table of section headers.
    fn with_sections(&self, endian: Endianness, offset: u64, count: u16, names: u16) -> Result<Self, ElfError>;
}

impl Class for FileHeader64<Endianness> {
    fn section(endian: Endianness, fields: Fields) -> Result<Self::SectionHeader, ElfError> {
        let zero = U64::new(endian, 0);
        Ok(SectionHeader64 {
            sh_name: U32::new(endian, fields.name),
            sh_type: U32::new(endian, fields.kind),
            sh_flags: zero,
            sh_addr: zero,
            sh_offset: U64::new(endian, fields.offset),
            sh_size: U64::new(endian, fields.size),
            sh_link: U32::new(endian, 0),
            sh_info: U32::new(endian, 0),
            sh_addralign: U64::new(endian, fields.alignment),
            sh_entsize: zero,
        })
    }

    fn with_sections(&self, endian: Endianness, offset: u64, count: u16, names: u16) -> Result<Self, ElfError> {
        Ok(Self {
            e_shoff: U64::new(endian, offset),
            e_shentsize: U16::new(endian, size_of::<Self::SectionHeader>() as u16),
            e_shnum: U16::new(endian, count),
            e_shstrndx: U16::new(endian, names),
            ..*self
        })
    }
}

impl Class for FileHeader32<Endianness> {
    fn section(endian: Endianness, fields: Fields) -> Result<Self::SectionHeader, ElfError> {
        let word = |value: u64| u32::try_from(value).map(|value| U32::new(endian, value)).map_err(|_| ElfError::Overflow);
        let zero = U32::new(endian, 0);
        Ok(SectionHeader32 {
            sh_name: U32::new(endian, fields.name),
            sh_type: U32::new(endian, fields.kind),
            sh_flags: zero,
            sh_addr: zero,
            sh_offset: word(fields.offset)?,
            sh_size: word(fields.size)?,
            sh_link: zero,
            sh_info: zero,
            sh_addralign: word(fields.alignment)?,
            sh_entsize: zero,
        })
    }

    fn with_sections(&self, endian: Endianness, offset: u64, count: u16, names: u16) -> Result<Self, ElfError> {
        Ok(Self {
            e_shoff: U32::new(endian, u32::try_from(offset).map_err(|_| ElfError::Overflow)?),
            e_shentsize: U16::new(endian, size_of::<Self::SectionHeader>() as u16),
            e_shnum: U16::new(endian, count),
            e_shstrndx: U16::new(endian, names),
            ..*self
        })
    }
}

/// Section headers hold 64-bit words.
const ALIGNMENT: u64 = 8;
