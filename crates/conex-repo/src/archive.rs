//! Reads and writes a tree in a compressed archive (`.tar.gz`).
//!
//! An archive can be small and contain endless data, name one file twice, or lead out of the tree. This
//! module accepts only regular files and directories, each path once, within limits that are checked while
//! unpacking. Programs differ in how they read unusual archives: up to opam 2.5 the system's tar unpacks
//! them, and later versions read them themselves. Only what both read alike is accepted; otherwise the
//! error says which of the two does not read it. A written archive depends on nothing but the tree.

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

/// The most bytes that an archive may unpack to: ten times opam-repository, including the padding of small
/// files.
pub const UNPACKED: u64 = 1 << 30;

/// The most files and directories in an archive: twenty times as many as opam-repository has.
pub const MEMBERS: usize = 1 << 20;

/// The greatest allowed ratio of unpacked to packed size. Descriptions of packages reach twenty.
pub const RATIO: u64 = 200;

/// The modification time of all files in a written archive: 2000-01-01. It is not 1970 because `diff` and
/// `patch` treat a file of that date as absent.
const MTIME: u64 = 946_684_800;

/// The reasons why an archive could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It could not be read or written, in the system's own words.
    #[error("the archive: {0}")]
    Io(String),
    /// The compressed layer is damaged, or some version of opam cannot read it.
    #[error("this is no gzip file that opam reads: {0}")]
    Gzip(&'static str),
    /// It ends before its data does.
    #[error("the archive is cut off")]
    CutOff,
    /// A second gzip member follows. tar continues with it, opam 2.6 does not.
    #[error(
        "a second gzip member follows the first, which some versions of opam read and others do not"
    )]
    SecondMember,
    /// Other data follows the compressed data.
    #[error(
        "something follows the compressed data, at which some versions of opam stop and others do not"
    )]
    Behind,
    /// It has no end marker, which opam 2.6 needs and tar does not.
    #[error("the archive has no end, two blocks of zeros, without which opam 2.6 cannot read it")]
    NoEnd,
    /// It has a single block of zeros, at which tar stops and opam 2.6 does not.
    #[error(
        "members follow a lone block of zeros, which some versions of opam read and others do not"
    )]
    LoneZeros,
    /// Other data follows the end of the archive.
    #[error("something follows the end of the archive")]
    Trailing,
    /// A header is damaged, or programs read it differently.
    #[error("the header at byte {at} of the unpacked archive: {what}")]
    Header {
        /// The offset at which the header begins.
        at: u64,
        /// The fault of the header.
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
    /// The name of a member is not a path inside a repository.
    #[error("{name:?} in the archive: {error}")]
    Name {
        /// The name, with invalid UTF-8 replaced.
        name: String,
        /// The reason why it is not a path.
        error: PathError,
    },
    /// It contains a hard link; `opam admin index` writes one for a file that a link points to.
    #[error(
        "{0} in the archive is a hard link, which opam 2.6 cannot read: have the server offer the file itself"
    )]
    HardLink(Path),
    /// It contains a link, a device, or anything else that is not a regular file or directory.
    #[error("{0} in the archive is no regular file or directory")]
    Special(Path),
    /// A directory has data, which programs read as further members.
    #[error("{0} in the archive is a directory with data of its own")]
    DirectoryData(Path),
    /// A file occurs twice. opam 2.6 takes the first in some cases, and tar the last.
    #[error("{0} is in the archive twice, of which versions of opam take different ones")]
    Twice(Path),
    /// A path is both a file and a directory.
    #[error("{0} is a file and a directory in the archive")]
    FileAndDirectory(Path),
    /// A file to be written into the archive could not be read.
    #[error("{0}: {1}")]
    Store(Path, StoreError),
}

/// Computes the mark of a file from its content.
type Mark<'a> = &'a (dyn Fn(&[u8]) -> [u8; 32] + Sync);

/// A tree read from an archive, held in memory as a whole.
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

    /// Reads an archive and computes a mark of every file's content while unpacking. The function `mark` is
    /// a digest of bytes, such as SHA-256. See [`Self::marks`].
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
        // Unpacking takes most of the time, so it runs on a thread of its own.
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
            // Computing marks takes about as long as unpacking, so it runs on another thread.
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

    /// Returns the files with their contents, sorted by the components of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|file| (file.path, file.bytes))
    }

    /// Returns the files with the marks of their contents, in the order of [`Self::files`], or `None`
    /// unless [`Self::read_marked`] computed them.
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

/// Wraps an error of the system or of a library that writes.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: io::Error) -> ArchiveError {
    ArchiveError::Io(error.to_string())
}

/// Writes an archive of some files of a tree and of all files below some directories. The same tree gives
/// the same bytes, whoever writes it and when. Returns the number of files.
///
/// # Errors
/// [`ArchiveError`]. What has been written by then is not a complete archive.
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
