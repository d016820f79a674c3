//! The files that remain when archives are unpacked over each other: links followed, folders merged, replaced files gone.
//!
//! All in memory, by names alone; nothing is looked up on this machine.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::ops::Bound;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::tarball::{Entry, Kind, lossy};
use super::{ArchiveError, Bounds, Content, PackedFile};

/// A tree of names, as unpacking would leave it.
pub(super) struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
    names: usize,
    layer: usize,
    bounds: Bounds,
}

struct Node {
    kind: Leaf,
    /// Which archive it came from.
    layer: usize,
}

#[derive(Clone)]
enum Leaf {
    File(Content),
    Symlink(Vec<u8>),
    Directory,
    Special,
}

impl Tree {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self { nodes: BTreeMap::new(), names: 0, layer: 0, bounds: *bounds }
    }

    /// What is added from now on lies above what is there.
    pub(super) fn next_layer(&mut self) {
        self.layer += 1;
    }

    /// Unpacks one entry.
    pub(super) fn add(&mut self, entry: Entry) -> Result<(), ArchiveError> {
        if entry.path.is_empty() {
            return Ok(());
        }
        let path = self.place(&entry.path)?;
        let leaf = match entry.kind {
            Kind::File(content) => Leaf::File(content),
            Kind::Symlink(text) => Leaf::Symlink(text),
            Kind::Special => Leaf::Special,
            Kind::Directory => {
                // A folder over a folder adds to it.
                if !matches!(self.nodes.get(&path), Some(Node { kind: Leaf::Directory, .. })) {
                    self.insert(path, Leaf::Directory)?;
                }
                return Ok(());
            }
            Kind::HardLink(target) => match self.nodes.get(&self.place(&target)?) {
                Some(Node { kind: kind @ (Leaf::File(_) | Leaf::Symlink(_) | Leaf::Special), .. }) => kind.clone(),
                _ => return Err(ArchiveError::HardLink { link: lossy(&path), target: lossy(&target) }),
            },
        };
        self.insert(path, leaf)
    }

    /// Removes what lower layers have at `path` and below it.
    pub(super) fn remove(&mut self, path: &[u8]) -> Result<(), ArchiveError> {
        let path = self.place(path)?;
        let layer = self.layer;
        if self.nodes.get(&path).is_some_and(|node| node.layer < layer) {
            self.forget(&path);
        }
        self.remove_below(&path);
        Ok(())
    }

    /// Removes what lower layers have below the folder `path`.
    pub(super) fn remove_children(&mut self, path: &[u8]) -> Result<(), ArchiveError> {
        // As if for a file in it, so that a link to the folder is followed.
        let inside = self.place(&[path, b"/x"].concat())?;
        let folder = inside.strip_suffix(b"/x").unwrap_or_default().to_vec();
        self.remove_below(&folder);
        Ok(())
    }

    /// Every regular file.
    pub(super) fn into_files(self) -> Vec<PackedFile> {
        let files = self.nodes.into_iter().filter_map(|(path, node)| match node.kind {
            Leaf::File(content) => Some((path, content)),
            _ => None,
        });
        files.map(|(path, content)| PackedFile { path: absolute(path), content }).collect()
    }

    fn insert(&mut self, path: Vec<u8>, kind: Leaf) -> Result<(), ArchiveError> {
        if !matches!(kind, Leaf::Directory) && matches!(self.nodes.get(&path), Some(Node { kind: Leaf::Directory, .. })) {
            self.below(&path).iter().for_each(|path| self.forget(path));
        }
        self.names += path.len() + if let Leaf::Symlink(text) = &kind { text.len() } else { 0 };
        if self.names > self.bounds.names {
            return Err(ArchiveError::TooManyNames { limit: self.bounds.names });
        }
        self.nodes.insert(path, Node { kind, layer: self.layer });
        if self.nodes.len() > self.bounds.entries {
            return Err(ArchiveError::TooManyEntries { limit: self.bounds.entries });
        }
        Ok(())
    }

    fn remove_below(&mut self, folder: &[u8]) {
        for path in self.below(folder) {
            if self.nodes.get(&path).is_some_and(|node| node.layer < self.layer) {
                self.forget(&path);
            }
        }
    }

    fn forget(&mut self, path: &[u8]) {
        self.nodes.remove(path);
    }

    fn below(&self, folder: &[u8]) -> Vec<Vec<u8>> {
        let start = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
        let range = self.nodes.range((Bound::Included(start.clone()), Bound::Unbounded));
        range.map(|(path, _)| path).take_while(|path| path.starts_with(&start)).cloned().collect()
    }

    /// Where an entry really lands: links in the names of its folders are followed, inside the tree.
    fn place(&self, path: &[u8]) -> Result<Vec<u8>, ArchiveError> {
        let mut rest: VecDeque<Vec<u8>> = parts(path).map(<[u8]>::to_vec).collect();
        let mut place = Vec::with_capacity(path.len());
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == b".." {
                place.truncate(place.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
                continue;
            }
            let parent = place.len();
            if parent > 0 {
                place.push(b'/');
            }
            place.extend_from_slice(&part);
            if place.len() > self.bounds.path {
                return Err(ArchiveError::LongPath { length: place.len(), limit: self.bounds.path });
            }
            if rest.is_empty() {
                break;
            }
            match self.nodes.get(&place).map(|node| &node.kind) {
                None | Some(Leaf::Directory) => {}
                Some(Leaf::Symlink(text)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(ArchiveError::Loop(lossy(path)));
                    }
                    place.truncate(if text.starts_with(b"/") { 0 } else { parent });
                    for part in parts(text).collect::<Vec<_>>().into_iter().rev() {
                        rest.push_front(part.to_vec());
                    }
                }
                Some(Leaf::File(_) | Leaf::Special) => return Err(ArchiveError::Parent(lossy(path))),
            }
        }
        Ok(place)
    }
}

fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

fn absolute(mut path: Vec<u8>) -> PathBuf {
    path.insert(0, b'/');
    OsString::from_vec(path).into()
}

/// As in the kernel.
const MAX_LINKS: usize = 40;
