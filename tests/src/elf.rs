//! Where a function stands in a library's file: tests map the file themselves and call into it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSegment as _, ObjectSymbol as _};

/// The offset in the file at which the function `answer` begins.
pub fn offset_of_answer(library: &Path) -> Result<usize> {
    let bytes = fs::read(library).with_context(|| format!("cannot read `{}`", library.display()))?;
    let elf = object::File::parse(&*bytes).with_context(|| format!("`{}` is no ELF file", library.display()))?;
    let symbol = elf.dynamic_symbols().find(|symbol| symbol.name() == Ok("answer")).context("the library has no function `answer`")?;
    let address = symbol.address();
    let segment = elf.segments().find(|segment| (segment.address()..segment.address() + segment.size()).contains(&address));
    let segment = segment.context("the function is in no segment")?;
    usize::try_from(address - segment.address() + segment.file_range().0).context("the offset is too large")
}
