//! A tree in a compressed archive (`.tar.gz`), read and written.
//!
//! An archive can be small and hold endless data, name one file twice, or lead out of the tree. What is
//! read here holds regular files and directories only, each path once, within limits that are checked
//! while it is unpacked. What is written depends on nothing but the tree.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path as SystemPath;

use conex_core::limits;
use conex_core::path::{Path, PathError};
use conex_core::store::{Entry, EntryKind, MemoryStore, Store, StoreError};
use flate2::bufread::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

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
    /// The archive itself is damaged, cut off, or could not be read or written; the system's own words.
    #[error("the archive: {0}")]
    Io(String),
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
    /// A link, a device, or anything else that is no regular file or directory.
    #[error("{0} in the archive is no regular file or directory")]
    Special(Path),
    /// A file that is there twice.
    #[error("{0} is in the archive twice")]
    Twice(Path),
    /// A file at a place where others are in a directory.
    #[error("{0} is a file and a directory in the archive")]
    FileAndDirectory(Path),
    /// A member with an extension that changes how it is read.
    #[error("{0} in the archive has an extension that is not known")]
    Extension(Path),
    /// Something follows after the end of the archive.
    #[error("something follows the end of the archive")]
    Trailing,
    /// A file to be written could not be read.
    #[error("{0}: {1}")]
    Store(Path, StoreError),
}

/// A tree that was read from an archive, whole.
#[derive(Debug, Clone)]
pub struct ArchiveStore {
    files: MemoryStore,
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
    #[tracing::instrument(level = "debug", skip_all, err)]
    pub fn read(input: impl Read) -> Result<Self, ArchiveError> {
        let mut archive = tar::Archive::new(Unpacked::new(input));
        let mut files = MemoryStore::new();
        let mut directories = Vec::new();
        let mut members = 0;
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            members += 1;
            if members > MEMBERS {
                return Err(ArchiveError::TooMany);
            }
            let kind = entry.header().entry_type();
            if kind == EntryType::XGlobalHeader {
                // What `git archive` writes first: the commit, in a comment.
                check_global(&mut entry)?;
                continue;
            }
            let Some(path) = member(&entry.path_bytes(), kind)? else {
                continue;
            };
            check_extensions(&mut entry, &path)?;
            match kind {
                EntryType::Regular => {}
                EntryType::Directory => {
                    directories.push(path);
                    continue;
                }
                _ => return Err(ArchiveError::Special(path)),
            }
            if entry.size() > limits::DATA_FILE {
                return Err(ArchiveError::FileTooLarge(path));
            }
            if files.get(path.as_str()).is_some() {
                return Err(ArchiveError::Twice(path));
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(failed)?;
            if bytes.len() as u64 != entry.size() {
                return Err(ArchiveError::Io("the archive is cut off".into()));
            }
            files.insert(path.as_str(), bytes);
        }
        check_end(archive.into_inner())?;
        let places = files.files().filter_map(|(path, _)| Path::parse(path).ok());
        let parents = places.filter_map(|place| place.parent());
        for directory in parents.chain(directories) {
            let mut at = Some(directory);
            while let Some(directory) = at {
                if files.get(directory.as_str()).is_some() {
                    return Err(ArchiveError::FileAndDirectory(directory));
                }
                at = directory.parent();
            }
        }
        Ok(Self { files })
    }
}

impl Store for ArchiveStore {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        self.files.list(directory)
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        self.files.read(file, limit, buffer)
    }

    fn kind(&self, path: &Path) -> Result<Option<EntryKind>, StoreError> {
        self.files.kind(path)
    }
}

/// The path of a member; nothing for the top itself.
fn member(name: &[u8], kind: EntryType) -> Result<Option<Path>, ArchiveError> {
    let text = String::from_utf8_lossy(name);
    let mut inner: &str = &text;
    while let Some(rest) = inner.strip_prefix("./") {
        inner = rest;
    }
    if kind == EntryType::Directory {
        inner = inner.strip_suffix('/').unwrap_or(inner);
        if matches!(inner, "" | ".") && !name.is_empty() && !name.starts_with(b"/") {
            return Ok(None);
        }
    }
    Path::parse(inner)
        .map(Some)
        .map_err(|error| ArchiveError::Name {
            name: text.clone().into_owned(),
            error,
        })
}

/// Extensions that say nothing of the content, beside those that the reader follows.
const EXTENSIONS: [&[u8]; 10] = [
    b"path", b"size", b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment",
];

fn check_extensions<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    path: &Path,
) -> Result<(), ArchiveError> {
    for extension in entry
        .pax_extensions()
        .map_err(failed)?
        .into_iter()
        .flatten()
    {
        if !EXTENSIONS.contains(&extension.map_err(failed)?.key_bytes()) {
            return Err(ArchiveError::Extension(path.clone()));
        }
    }
    Ok(())
}

/// Extensions for all members could change names and sizes; only a comment is let pass.
fn check_global<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<(), ArchiveError> {
    let mut bytes = Vec::new();
    entry
        .take(1 << 10)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let is_comment = bytes.split_inclusive(|byte| *byte == b'\n').all(|line| {
        line.splitn(2, |byte| *byte == b' ')
            .nth(1)
            .is_some_and(|rest| rest.starts_with(b"comment="))
    });
    if is_comment {
        Ok(())
    } else {
        Err(ArchiveError::Extension(Path::top()))
    }
}

/// After the archive come zeros only, to the end of the packed data.
fn check_end(mut rest: impl Read) -> Result<(), ArchiveError> {
    let mut buffer = [0; 8 << 10];
    loop {
        let count = rest.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            return Ok(());
        }
        if buffer.iter().take(count).any(|byte| *byte != 0) {
            return Err(ArchiveError::Trailing);
        }
    }
}

/// An error of reading, which may be our own limit on its way through the libraries.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: io::Error) -> ArchiveError {
    if error.kind() == io::ErrorKind::FileTooLarge {
        ArchiveError::TooLarge
    } else {
        ArchiveError::Io(error.to_string())
    }
}

/// The unpacked bytes, as long as they are within the limits.
struct Unpacked<R> {
    decoder: MultiGzDecoder<io::BufReader<Counted<R>>>,
    unpacked: u64,
}

impl<R: Read> Unpacked<R> {
    fn new(input: R) -> Self {
        let counted = Counted { input, count: 0 };
        Self {
            decoder: MultiGzDecoder::new(io::BufReader::new(counted)),
            unpacked: 0,
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.unpacked += count as u64;
        let packed = self.decoder.get_ref().get_ref().count;
        // What is small is harmless whatever its ratio.
        let allowed = packed
            .saturating_mul(RATIO)
            .clamp(limits::DATA_FILE, UNPACKED);
        if self.unpacked > allowed {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(count)
    }
}

struct Counted<R> {
    input: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
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
