//! OCI images in a layout on disk: which image is meant, its layers over each other, and the files that remain.
//!
//! Every blob that is read has the digest that leads to it, from the layout's own index down. Nothing is fetched, nothing is unpacked to disk.

mod document;
mod layout;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::stream::{Hashing, decompressed};
use super::tarball::{Entry, Kind};
use super::tree::Tree;
use super::{ArchiveError, Bounds, PackedFile, tarball};
use crate::measure::{self, MeasureError};
use crate::text::{hex, printable};
use document::{Configuration, Descriptor, Document};
use layout::Layout;

pub use document::Platform;

/// An image in a layout: `DIR`, `DIR:TAG` or `DIR@DIGEST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The layout.
    pub layout: PathBuf,
    /// Which image of it.
    pub image: Selector,
}

/// Which image of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The only one there is.
    Only,
    /// The one with this tag.
    Tag(String),
    /// The one whose manifest or index has this digest.
    Digest(String),
}

impl Reference {
    /// Reads what a user wrote. A name that exists is a layout, whatever is in the name.
    pub fn parse(text: &str) -> Self {
        let whole = || Self { layout: text.into(), image: Selector::Only };
        if Path::new(text).exists() {
            return whole();
        }
        if let Some((layout, digest)) = text.rsplit_once('@') {
            return Self { layout: layout.into(), image: Selector::Digest(digest.to_owned()) };
        }
        match text.rsplit_once(':') {
            Some((layout, tag)) if !tag.contains('/') => Self { layout: layout.into(), image: Selector::Tag(tag.to_owned()) },
            _ => whole(),
        }
    }
}

/// An image that was read to its end.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its manifest.
    pub digest: String,
    /// Every regular file that a container of it would see.
    pub files: Vec<PackedFile>,
}

/// Why an image is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OciError {
    /// The layout cannot be opened.
    #[error(transparent)]
    Open(#[from] MeasureError),
    /// A file of the layout cannot be opened.
    #[error("`{}`: {error}", printable(&.path.to_string_lossy()))]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: MeasureError,
    },
    /// The layout is a file, and no archive.
    #[error("`{}` is no tar archive of an image layout: {error}", printable(&.path.to_string_lossy()))]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ArchiveError,
    },
    /// Something is missing in the archive.
    #[error("there is no `{}` in the archive", printable(.0))]
    NoMember(String),
    /// No image layout of a known version.
    #[error("it is no image layout of version 1.0.0")]
    Layout,
    /// Reading failed in the middle.
    #[error("cannot read `{}`: {source}", printable(.name))]
    Blob {
        /// The blob or document.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A digest that names nothing.
    #[error("`{}` is no SHA-256 or SHA-512 digest", printable(.0))]
    DigestName(String),
    /// Not the bytes that were meant.
    #[error("the blob {blob} has the digest {found}")]
    Digest {
        /// What it should be.
        blob: String,
        /// What it is.
        found: String,
    },
    /// Not the size that was meant.
    #[error("the blob {} has {found} bytes, and its descriptor says {stated}", printable(.blob))]
    Size {
        /// The blob.
        blob: String,
        /// Its size.
        found: u64,
        /// The size in the descriptor.
        stated: u64,
    },
    /// A document that is larger than any honest one.
    #[error("the document {} has {size} bytes, more than {limit}", printable(.name))]
    LargeDocument {
        /// The document.
        name: String,
        /// Its size.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// A document that is not what it should be.
    #[error("the document {} is not as it should be: {problem}", printable(.name))]
    Document {
        /// The document.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// No image of that name.
    #[error("it has no image `{}`; it has {}", printable(.wanted), printable(.available))]
    NoImage {
        /// The tag or digest.
        wanted: String,
        /// The tags there are.
        available: String,
    },
    /// More images than one.
    #[error("it has several images: {}", printable(.0))]
    SeveralImages(String),
    /// No image for this kind of machine.
    #[error("it has no image for {wanted}; it has {}", printable(.available))]
    NoPlatform {
        /// What was asked for.
        wanted: Platform,
        /// What there is.
        available: String,
    },
    /// No container image.
    #[error("the layer {digest} is of the type `{}`, which is no file system layer that is supported", printable(.media_type))]
    LayerType {
        /// The layer.
        digest: String,
        /// Its type.
        media_type: String,
    },
    /// A layer that is not as it should be.
    #[error("the layer {digest}: {error}")]
    Layer {
        /// The layer.
        digest: String,
        /// What is wrong.
        error: ArchiveError,
    },
}

impl OciError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Open(error) | Self::File { error, .. } => error.hint().unwrap_or("check the disk"),
            Self::Archive { .. } | Self::Layout => "`skopeo copy docker://IMAGE oci:DIR:TAG` makes an image layout; gunzip an archive first",
            Self::NoMember(_) | Self::Blob { .. } | Self::Digest { .. } | Self::Size { .. } | Self::DigestName(_) | Self::Document { .. } => {
                "the layout is damaged or incomplete: copy the image again"
            }
            Self::LargeDocument { .. } => "no honest image is like this: do not run it, and ask its publisher",
            Self::NoImage { .. } | Self::SeveralImages(_) => "name one: `--oci DIR:TAG`, or `--oci DIR@DIGEST`",
            Self::NoPlatform { .. } => "name one: `--platform OS/ARCHITECTURE`",
            Self::LayerType { .. } => "this is no container image, or one that is encrypted: list the files themselves",
            Self::Layer { error, .. } => error.hint(),
        }
    }

    /// Whether the machine failed (exit status 3), rather than the image being unfit (exit status 2).
    pub fn is_io(&self) -> bool {
        match self {
            Self::Open(error) | Self::File { error, .. } => error.is_io(),
            Self::Blob { source, .. } => source.raw_os_error().is_some(),
            Self::Archive { error, .. } | Self::Layer { error, .. } => error.is_io(),
            _ => false,
        }
    }
}

/// Reads an image. `counted` is told of layers done.
///
/// # Errors
/// [`OciError`]: there is no such image, or it is not what its digests say, or passes a bound.
pub fn read(reference: &Reference, platform: &Platform, bounds: &Bounds, counted: &(dyn Fn(u64) + Sync)) -> Result<Image, OciError> {
    let layout = Layout::open(&reference.layout, bounds)?;
    let marker: serde_json::Value = json("oci-layout", &layout.document("oci-layout")?)?;
    if marker.get("imageLayoutVersion").and_then(|version| version.as_str()) != Some("1.0.0") {
        return Err(OciError::Layout);
    }
    let index: Document = json("index.json", &layout.document("index.json")?)?;
    let entries = select(index.manifests.unwrap_or_default(), &reference.image)?;
    let (descriptor, manifest) = manifest(&layout, entries, platform, 0)?;
    let incomplete = |problem: &str| OciError::Document { name: descriptor.digest.clone(), problem: problem.to_owned() };
    let (Some(config), Some(layers)) = (manifest.config, manifest.layers) else {
        return Err(incomplete("it is neither an index nor an image manifest"));
    };
    if layers.len() > MAX_LAYERS {
        return Err(incomplete("it has more layers than any image"));
    }
    if let Some(layer) = layers.iter().find(|layer| !LAYER_TYPES.iter().any(|known| layer.media_type == *known)) {
        return Err(OciError::LayerType { digest: layer.digest.clone(), media_type: layer.media_type.clone() });
    }
    let configuration: Configuration = json(&config.digest, &layout.blob_document(&config)?)?;
    if !platform.accepts(&configuration.platform()) {
        return Err(OciError::NoPlatform { wanted: platform.clone(), available: configuration.platform().to_string() });
    }
    let diff_ids = configuration.rootfs.diff_ids;
    if diff_ids.len() != layers.len() {
        return Err(incomplete("its configuration is for another number of layers"));
    }
    let mut tree = Tree::new(bounds);
    let pairs: Vec<_> = layers.iter().zip(&diff_ids).collect();
    // A few at a time, since the entries of a layer are kept until its turn comes.
    for batch in pairs.chunks(BATCH) {
        let read = measure::in_parallel(batch.iter(), |(layer, diff_id)| {
            let entries = layer_entries(&layout, layer, diff_id, bounds);
            counted(1);
            entries
        });
        for ((layer, _), entries) in batch.iter().zip(read) {
            let wrong = |error| OciError::Layer { digest: layer.digest.clone(), error };
            tree.next_layer();
            entries?.into_iter().try_for_each(|entry| unpack(&mut tree, entry)).map_err(wrong)?;
        }
    }
    Ok(Image { digest: descriptor.digest, files: tree.into_files() })
}

/// The regular files of one layer by itself.
///
/// # Errors
/// [`ArchiveError`]: it is no tar archive, is broken, or passes a bound.
pub fn read_layer(input: impl Read, bounds: &Bounds) -> Result<Vec<PackedFile>, ArchiveError> {
    let mut tree = Tree::new(bounds);
    tarball::read(decompressed(input, bounds)?, bounds, |entry| unpack(&mut tree, entry))?;
    Ok(tree.into_files())
}

/// The entries of the layout's index that are meant.
fn select(entries: Vec<Descriptor>, selector: &Selector) -> Result<Vec<Descriptor>, OciError> {
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.tag().unwrap_or(&entry.digest)).collect();
    let available = if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") };
    let selected: Vec<_> = match selector {
        Selector::Only => entries,
        Selector::Tag(tag) => entries.into_iter().filter(|entry| entry.tag() == Some(tag)).collect(),
        Selector::Digest(digest) => entries.into_iter().filter(|entry| entry.digest == *digest).collect(),
    };
    let different: BTreeSet<_> = selected.iter().filter(|entry| entry.platform.is_none()).map(|entry| entry.digest.as_str()).collect();
    match selector {
        Selector::Only if different.len() > 1 => Err(OciError::SeveralImages(available)),
        Selector::Tag(wanted) | Selector::Digest(wanted) if selected.is_empty() => Err(OciError::NoImage { wanted: wanted.clone(), available }),
        _ => Ok(selected),
    }
}

/// The manifest for a platform, through indexes of indexes.
fn manifest(layout: &Layout, entries: Vec<Descriptor>, platform: &Platform, depth: usize) -> Result<(Descriptor, Document), OciError> {
    let platforms: BTreeSet<String> = entries.iter().filter_map(|entry| Some(entry.platform.as_ref()?.to_string())).collect();
    let available = if platforms.is_empty() { "none".to_owned() } else { platforms.into_iter().collect::<Vec<_>>().join(", ") };
    // "The first matching entry SHOULD be used."
    let meant = entries.into_iter().find(|entry| entry.platform.as_ref().is_none_or(|other| platform.accepts(other)));
    let Some(descriptor) = meant else { return Err(OciError::NoPlatform { wanted: platform.clone(), available }) };
    let document: Document = json(&descriptor.digest, &layout.blob_document(&descriptor)?)?;
    let wrong = |problem: &str| OciError::Document { name: descriptor.digest.clone(), problem: problem.to_owned() };
    match document {
        // Two readers could take it for two things.
        Document { manifests: Some(_), layers: Some(_), .. } => Err(wrong("it is an index and an image manifest at once")),
        Document { manifests: Some(_), .. } if depth >= MAX_DEPTH => Err(wrong("its indexes lie too deep in each other")),
        Document { manifests: Some(entries), .. } => manifest(layout, entries, platform, depth + 1),
        document => Ok((descriptor, document)),
    }
}

fn layer_entries(layout: &Layout, layer: &Descriptor, diff_id: &str, bounds: &Bounds) -> Result<Vec<Entry>, OciError> {
    let wrong = |error| OciError::Layer { digest: layer.digest.clone(), error };
    let mut entries = Vec::new();
    let mut names = 0;
    let found = layout.blob(layer, |reader| {
        let mut plain = Hashing::new(decompressed(reader, bounds).map_err(wrong)?);
        let read = tarball::read(&mut plain, bounds, |entry| {
            names += entry.path.len();
            entries.push(entry);
            if names > bounds.names { Err(ArchiveError::TooManyNames { limit: bounds.names }) } else { Ok(()) }
        });
        read.map_err(wrong)?;
        plain.finish().map_err(|error| wrong(error.into()))
    })?;
    let found = format!("sha256:{}", hex(&found.bytes));
    // What the configuration says of the layer before it was compressed; other algorithms than SHA-256 are not in use.
    if diff_id != found {
        return Err(OciError::Digest { blob: diff_id.to_owned(), found });
    }
    Ok(entries)
}

/// One entry of a layer: a file, or a whiteout, which takes away what lower layers have.
fn unpack(tree: &mut Tree, entry: Entry) -> Result<(), ArchiveError> {
    let (folder, name) = match entry.path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&entry.path[..slash], &entry.path[slash + 1..]),
        None => (&[][..], &entry.path[..]),
    };
    match name.strip_prefix(WHITEOUT) {
        None => tree.add(entry),
        Some(OPAQUE) => tree.remove_children(folder),
        // Bookkeeping of a file system that is long gone.
        Some(rest) if rest.starts_with(WHITEOUT) => Ok(()),
        Some(removed) if !removed.is_empty() && matches!(entry.kind, Kind::File(_)) => {
            let path = if folder.is_empty() { removed.to_vec() } else { [folder, b"/", removed].concat() };
            tree.remove(&path)
        }
        Some(_) => tree.add(entry),
    }
}

fn json<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, OciError> {
    serde_json::from_slice(bytes).map_err(|error| OciError::Document { name: name.to_owned(), problem: error.to_string() })
}

const WHITEOUT: &[u8] = b".wh.";
/// After [`WHITEOUT`].
const OPAQUE: &[u8] = b".wh..opq";
const MAX_LAYERS: usize = 500;
const MAX_DEPTH: usize = 4;
/// Layers that are read at a time.
const BATCH: usize = 4;
const LAYER_TYPES: [&str; 8] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar",
];
