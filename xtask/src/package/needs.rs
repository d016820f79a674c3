//! What a program needs of the system it is installed on, as Debian names it: read from the program's own ELF file.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _};

/// A library, the package that has it, and what the names of its versions begin with: the rest is the release that brought the symbols.
const LIBRARIES: [(&str, &str, &str); 5] = [
    ("libc.so.6", "libc6", "GLIBC_"),
    ("libm.so.6", "libc6", "GLIBC_"),
    ("ld-linux-x86-64.so.2", "libc6", "GLIBC_"),
    ("ld-linux-aarch64.so.1", "libc6", "GLIBC_"),
    ("libgcc_s.so.1", "libgcc-s1", "GCC_"),
];
/// That of Debian 12.
const OLDEST_LIBC: [u32; 2] = [2, 36];

/// The architecture, and the packages with their lowest versions.
#[derive(Debug)]
pub(super) struct Needs {
    architecture: &'static str,
    packages: BTreeMap<&'static str, Vec<u32>>,
}

impl Needs {
    /// Of a dynamic ELF program.
    ///
    /// # Errors
    /// It is none, it is for a machine that Debian's name is not known of, or it needs a library that no known package has.
    pub(super) fn of(program: &[u8]) -> Result<Self> {
        let header = FileHeader64::<Endianness>::parse(program)?;
        let endian = header.endian()?;
        let architecture = match header.e_machine(endian) {
            elf::EM_X86_64 => "amd64",
            elf::EM_AARCH64 => "arm64",
            other => bail!("Debian's name of the ELF machine {other} is not known here"),
        };
        let mut needs = Self { architecture, packages: BTreeMap::new() };
        let sections = header.sections(endian, program)?;
        if let Some((entries, link)) = sections.dynamic(endian, program)? {
            let strings = sections.strings(endian, program, link)?;
            for entry in entries.iter().filter(|entry| entry.tag32(endian) == Some(elf::DT_NEEDED)) {
                needs.add(entry.string(endian, strings)?, None)?;
            }
        }
        if let Some((mut libraries, link)) = sections.gnu_verneed(endian, program)? {
            let strings = sections.strings(endian, program, link)?;
            while let Some((library, mut versions)) = libraries.next()? {
                while let Some(version) = versions.next()? {
                    needs.add(library.file(endian, strings)?, Some(version.name(endian, strings)?))?;
                }
            }
        }
        Ok(needs)
    }

    /// Debian's name of the machine.
    pub(super) const fn architecture(&self) -> &'static str {
        self.architecture
    }

    /// As the field `Depends` has it.
    pub(super) fn depends(&self) -> String {
        let each = self.packages.iter().map(|(package, lowest)| match lowest.as_slice() {
            [] => (*package).to_owned(),
            lowest => format!("{package} (>= {})", dotted(lowest)),
        });
        each.collect::<Vec<_>>().join(", ")
    }

    /// The release of the C library that it needs, where Debian 12 has an older one.
    pub(super) fn libc_beyond_debian_12(&self) -> Option<String> {
        self.packages.get("libc6").filter(|lowest| lowest.as_slice() > OLDEST_LIBC.as_slice()).map(|lowest| dotted(lowest))
    }

    /// Takes a library in, and a version of its symbols.
    fn add(&mut self, library: &[u8], symbols: Option<&[u8]>) -> Result<()> {
        let library = String::from_utf8_lossy(library);
        let known = LIBRARIES.iter().find(|(name, ..)| *name == library);
        let (_, package, prefix) = known.with_context(|| format!("no package is known that has the library `{library}`"))?;
        let lowest = self.packages.entry(package).or_default();
        if let Some(symbols) = symbols {
            let symbols = String::from_utf8_lossy(symbols);
            let numbers = symbols.strip_prefix(prefix).and_then(|rest| rest.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>());
            let numbers = numbers.with_context(|| format!("`{symbols}` of `{library}` is no release that a package could be asked for"))?;
            *lowest = numbers.max(std::mem::take(lowest));
        }
        Ok(())
    }
}

fn dotted(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_needs_the_c_library_and_says_since_when() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = Needs::of(&program).unwrap();
        assert!(needs.depends().contains("libc6 (>= 2."), "{needs:?}");
    }

    #[test]
    fn the_newest_symbols_count_and_numbers_are_no_text() {
        let mut needs = Needs { architecture: "amd64", packages: BTreeMap::new() };
        needs.add(b"libgcc_s.so.1", None).unwrap();
        assert_eq!(needs.depends(), "libgcc-s1");
        for symbols in ["GLIBC_2.4", "GLIBC_2.34", "GLIBC_2.2.5"] {
            needs.add(b"libc.so.6", Some(symbols.as_bytes())).unwrap();
        }
        assert_eq!(needs.depends(), "libc6 (>= 2.34), libgcc-s1");
        assert_eq!(needs.libc_beyond_debian_12(), None);
        needs.add(b"libm.so.6", Some(b"GLIBC_2.38")).unwrap();
        assert_eq!(needs.libc_beyond_debian_12().as_deref(), Some("2.38"));
    }

    #[test]
    fn what_nobody_knows_is_an_error_and_no_guess() {
        let mut needs = Needs { architecture: "amd64", packages: BTreeMap::new() };
        assert!(needs.add(b"libz.so.1", None).is_err());
        assert!(needs.add(b"libc.so.6", Some(b"GLIBC_PRIVATE")).is_err());
        assert!(Needs::of(b"\x7fELF and no more").is_err());
    }
}
