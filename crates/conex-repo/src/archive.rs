//! A tree in a compressed archive (`.tar.gz`), read and written.
//!
//! An archive can be small and hold endless data, name one file twice, or lead out of the tree. What is
//! read here holds regular files and directories only, each path once, within limits that are checked
//! while it is unpacked. Programs differ in how they read what is unusual: up to opam 2.5 the system's tar
//! unpacks an archive, later versions read it themselves. Only what both read alike is read here, and
//! an error says which of the two does not. What is written depends on nothing but the tree.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path as SystemPath;
use std::sync::mpsc::{channel, sync_channel};

use conex_core::model::limits;
use conex_core::model::path::{Path, PathError};
use conex_core::tree::store::{Entry, EntryKind, Store, StoreError};
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

mod files;
mod header;
mod members;
mod unpack;

use files::Files;

/// Most bytes that an archive may unpack to: ten times opam-repository, with the padding of small files.
pub const UNPACKED: u64 = 1 << 30;

/// Most files and directories in an archive: ten times all there are in opam-repository, twice over.
pub const MEMBERS: usize = 1 << 20;

/// Most times that unpacked data may be larger than packed data. Packages' descriptions reach twenty.
pub const RATIO: u64 = 200;

/// The time that all files of a written archive have: 2000-01-01. Not 1970: to `diff` and `patch` a file of
/// that date is none.
const MTIME: u64 = 946_684_800;

/// Why an archive could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It could not be read or written; the system's own words.
    #[error("the archive: {0}")]
    Io(String),
    /// The compressed layer is damaged, or not one that every opam reads.
    #[error("this is no gzip file that opam reads: {0}")]
    Gzip(&'static str),
    /// It ends before its data does.
    #[error("the archive is cut off")]
    CutOff,
    /// A second gzip member follows: tar reads on there, and opam 2.6 does not.
    #[error(
        "a second gzip member follows the first, which some versions of opam read and others do not"
    )]
    SecondMember,
    /// Something else follows the compressed data.
    #[error(
        "something follows the compressed data, at which some versions of opam stop and others do not"
    )]
    Behind,
    /// It has no end: tar does without, opam 2.6 does not.
    #[error("the archive has no end, two blocks of zeros, without which opam 2.6 cannot read it")]
    NoEnd,
    /// One block of zeros, at which tar stops and opam 2.6 does not.
    #[error(
        "members follow a lone block of zeros, which some versions of opam read and others do not"
    )]
    LoneZeros,
    /// Something follows after the end of the archive.
    #[error("something follows the end of the archive")]
    Trailing,
    /// A header that is damaged, or that programs read differently.
    #[error("the header at byte {at} of the unpacked archive: {what}")]
    Header {
        /// Where it begins.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It unpacks to more than [`UNPACKED`] bytes, or more than [`RATIO`] times its own size.
    #[error("the archive unpacks to too much")]
    TooLarge,
    /// It has more than [`MEMBERS`] members.
    #[error("the archive has more than {MEMBERS} members")]
    TooMany,
    /// A file is larger than [`limits::DATA_FILE`].
    #[error("{0} in the archive is larger than a file may be")]
    FileTooLarge(Path),
    /// A member whose name is no path inside a repository.
    #[error("{name:?} in the archive: {error}")]
    Name {
        /// The name, with what is not text replaced.
        name: String,
        /// Why it is none.
        error: PathError,
    },
    /// A hard link; `opam admin index` writes one for a file that a link points to.
    #[error(
        "{0} in the archive is a hard link, which opam 2.6 cannot read: have the server offer the file itself"
    )]
    HardLink(Path),
    /// A link, a device, or anything else that is no regular file or directory.
    #[error("{0} in the archive is no regular file or directory")]
    Special(Path),
    /// A directory with data, which programs read as further members.
    #[error("{0} in the archive is a directory with data of its own")]
    DirectoryData(Path),
    /// A file that is there twice: opam 2.6 takes the first in some places, and tar the last.
    #[error("{0} is in the archive twice, of which versions of opam take different ones")]
    Twice(Path),
    /// A file at a place where others are in a directory.
    #[error("{0} is a file and a directory in the archive")]
    FileAndDirectory(Path),
    /// A file to be written could not be read.
    #[error("{0}: {1}")]
    Store(Path, StoreError),
}

/// Makes the mark of a file of its content.
type Mark<'a> = &'a (dyn Fn(&[u8]) -> [u8; 32] + Sync);

/// A tree that was read from an archive, whole.
#[derive(Debug, Clone)]
pub struct ArchiveStore {
    files: Files,
}

impl ArchiveStore {
    /// Reads an archive from a file.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(path: &SystemPath) -> Result<Self, ArchiveError> {
        let file = File::open(path).map_err(|error| ArchiveError::Io(error.to_string()))?;
        Self::read(file)
    }

    /// Reads an archive.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn read(input: impl Read + Send) -> Result<Self, ArchiveError> {
        Self::unpack(input, None)
    }

    /// Reads an archive, and makes a mark of every file's content while it is unpacked; the function
    /// is a digest of bytes, such as SHA-256. See [`Self::marks`].
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn read_marked(
        input: impl Read + Send,
        mark: &(dyn Fn(&[u8]) -> [u8; 32] + Sync),
    ) -> Result<Self, ArchiveError> {
        Self::unpack(input, Some(mark))
    }

    #[tracing::instrument(level = "debug", skip_all, err)]
    fn unpack(input: impl Read + Send, mark: Option<Mark<'_>>) -> Result<Self, ArchiveError> {
        // Unpacking takes most of the time, so it has a thread of its own.
        std::thread::scope(|scope| {
            let (full, pieces) = sync_channel(unpack::PIECES);
            let (back, empty) = sync_channel(unpack::PIECES);
            std::thread::Builder::new()
                .name("unpack".into())
                .spawn_scoped(scope, move || unpack::unpack(input, &full, &empty))
                .map_err(failed)?;
            let Some(mark) = mark else {
                let files = members::read(pieces, back, None)?;
                return Ok(Self { files });
            };
            // Marks take about as long as unpacking, so another thread makes them.
            let (marker, full) = channel();
            let marking = std::thread::Builder::new()
                .name("mark".into())
                .spawn_scoped(scope, move || files::marks(full, mark))
                .map_err(failed)?;
            let mut files = members::read(pieces, back, Some(marker))?;
            let gone = |_| ArchiveError::Io("the thread that makes marks is gone".into());
            files.mark(marking.join().map_err(gone)?);
            Ok(Self { files })
        })
    }

    /// The files with their contents, sorted by their paths as components.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|file| (file.path, file.bytes))
    }

    /// The files with the marks of their contents, if [`Self::read_marked`] made them; in the order of [`Self::files`].
    pub fn marks(&self) -> Option<impl Iterator<Item = (&str, [u8; 32])>> {
        self.files.marks()
    }
}

impl Store for ArchiveStore {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        match self.kind(directory)? {
            Some(EntryKind::Directory) => Ok(self.files.list(directory.as_str())),
            Some(_) => Err(StoreError::Special("file")),
            None => Err(StoreError::Missing),
        }
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let Some(bytes) = self.files.get(file.as_str()) else {
            return Err(match self.kind(file)? {
                Some(_) => StoreError::Special("directory"),
                None => StoreError::Missing,
            });
        };
        if bytes.len() as u64 > limit {
            return Err(StoreError::TooLarge(limit));
        }
        buffer.clear();
        buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn kind(&self, path: &Path) -> Result<Option<EntryKind>, StoreError> {
        Ok(if self.files.get(path.as_str()).is_some() {
            Some(EntryKind::File)
        } else if self.files.is_directory(path.as_str()) {
            Some(EntryKind::Directory)
        } else {
            None
        })
    }
}

/// An error of the system, or of a library that writes.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: io::Error) -> ArchiveError {
    ArchiveError::Io(error.to_string())
}

/// Writes an archive of some files, and all files below some directories, of a tree: the same bytes for the
/// same tree, whoever writes it and when. Gives the number of files.
///
/// # Errors
/// [`ArchiveError`]; what was written until then is no whole archive.
#[tracing::instrument(level = "debug", skip_all, err)]
pub fn write(
    store: &(impl Store + ?Sized),
    places: &[Path],
    output: impl Write,
) -> Result<usize, ArchiveError> {
    let mut paths = Vec::new();
    let mut next: Vec<Path> = places.to_vec();
    while let Some(place) = next.pop() {
        let in_store = |error| ArchiveError::Store(place.clone(), error);
        match store.kind(&place).map_err(in_store)? {
            None => return Err(in_store(StoreError::Missing)),
            Some(EntryKind::Special(_)) => return Err(ArchiveError::Special(place)),
            Some(EntryKind::File) => paths.push(place),
            Some(EntryKind::Directory) => {
                for entry in store.list(&place).map_err(in_store)? {
                    let below = place.join(&entry.name);
                    next.push(below.map_err(|error| ArchiveError::Name {
                        name: entry.name,
                        error,
                    })?);
                }
            }
        }
    }
    paths.sort_unstable();
    paths.dedup();
    let packed = GzBuilder::new()
        .operating_system(255)
        .write(output, Compression::new(9));
    let mut archive = tar::Builder::new(packed);
    let mut bytes = Vec::new();
    for path in &paths {
        store
            .read(path, limits::DATA_FILE, &mut bytes)
            .map_err(|error| ArchiveError::Store(path.clone(), error))?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(MTIME);
        header.set_uid(0);
        header.set_gid(0);
        archive
            .append_data(&mut header, path.as_str(), bytes.as_slice())
            .map_err(failed)?;
    }
    let packed = archive.into_inner().map_err(failed)?;
    packed
        .finish()
        .and_then(|mut output| output.flush())
        .map_err(failed)?;
    Ok(paths.len())
}

#[cfg(test)]
mod tests;
