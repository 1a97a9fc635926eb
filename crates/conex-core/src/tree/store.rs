//! Where bytes come from: the one door through which data reaches verification.

mod overlay;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::model::path::Path;

pub use overlay::{Overlay, OverlayError};

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else, with its usual name: `symbolic link`, `named pipe`, `socket`, `device`.
    Special(&'static str),
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as the store has it, not yet a checked path component. A name that is not text
    /// is given with its odd bytes escaped, so that it cannot be a valid component.
    pub name: String,
    /// What stands there.
    pub kind: EntryKind,
}

/// Why a store could not give what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing stands at the path.
    #[error("there is no such file")]
    Missing,
    /// Something else than a regular file (or, for a listing, than a directory) stands there.
    #[error("this is a {0}, not a regular file")]
    Special(&'static str),
    /// The file has more bytes than the reader allows; nothing was read.
    #[error("the file has more than {0} bytes")]
    TooLarge(u64),
    /// The directory has more entries than [`crate::model::limits::ENTRIES`].
    #[error(
        "the directory has more than {} entries",
        crate::model::limits::ENTRIES
    )]
    TooMany,
    /// The file changed while it was read.
    #[error("the file changed while it was read")]
    Changed,
    /// The system could not read it; its own words.
    #[error("{0}")]
    Io(String),
}

/// A tree of files: a directory, a revision, an archive, a patched state.
///
/// Implementations never follow links, never block on a special file, and never look outside the
/// tree. Version control metadata (a top-level `.git`) is not part of the tree and not listed.
/// All methods may be called from several threads at once.
pub trait Store: Sync {
    /// Lists a directory, sorted by the bytes of the names. [`StoreError::Missing`] where there
    /// is none.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError>;

    /// Reads a whole regular file of at most `limit` bytes into `buffer`, which is cleared first.
    ///
    /// # Errors
    /// [`StoreError`]; the contents of `buffer` are then unspecified.
    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError>;

    /// What stands at a path; nothing where the way to it leads through something else than
    /// directories. Stores that need not list the directory around it answer faster.
    ///
    /// # Errors
    /// [`StoreError`].
    fn kind(&self, path: &Path) -> Result<Option<EntryKind>, StoreError> {
        let Some(parent) = path.parent() else {
            return Ok(Some(EntryKind::Directory));
        };
        match self.list(&parent) {
            Ok(entries) => Ok(entries
                .into_iter()
                .find(|entry| entry.name == path.file_name())
                .map(|entry| entry.kind)),
            Err(StoreError::Missing | StoreError::Special(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<T: Store + ?Sized> Store for &T {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        (**self).list(directory)
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        (**self).read(file, limit, buffer)
    }

    fn kind(&self, path: &Path) -> Result<Option<EntryKind>, StoreError> {
        (**self).kind(path)
    }
}

impl<T: Store + ?Sized> Store for Box<T> {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        (**self).list(directory)
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        (**self).read(file, limit, buffer)
    }

    fn kind(&self, path: &Path) -> Result<Option<EntryKind>, StoreError> {
        (**self).kind(path)
    }
}

/// Runs independent jobs, in parallel where the platform can; results keep the order of the items.
pub trait Workers: Sync {
    /// Applies `job` to each item.
    fn map<T, R, F>(&self, items: Vec<T>, job: F) -> Vec<R>
    where
        T: Send,
        R: Send,
        F: Fn(T) -> R + Sync;

    /// Runs two jobs, at the same time where the platform can.
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send;
}

/// Runs jobs one after another.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sequential;

impl Workers for Sequential {
    fn map<T, R, F>(&self, items: Vec<T>, job: F) -> Vec<R>
    where
        T: Send,
        R: Send,
        F: Fn(T) -> R + Sync,
    {
        items.into_iter().map(job).collect()
    }

    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        (a(), b())
    }
}

/// A tree in memory, for tests, vectors, and embedders that fetch by other means.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MemoryStore {
    files: alloc::collections::BTreeMap<String, Vec<u8>>,
}

impl MemoryStore {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file at a path, in place of what stood there.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), bytes.into());
    }

    /// Removes a file, or all files below a directory; true if there was any.
    pub fn remove(&mut self, path: &str) -> bool {
        let before = self.files.len();
        self.files.retain(|file, _| {
            file.strip_prefix(path)
                .is_none_or(|rest| !(rest.is_empty() || rest.starts_with('/')))
        });
        self.files.len() < before
    }

    /// The files with their paths, sorted.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// The bytes at a path.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

impl Store for MemoryStore {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        let prefix = match directory.as_str() {
            "" => String::new(),
            path => alloc::format!("{path}/"),
        };
        let mut entries: Vec<Entry> = Vec::new();
        for path in self.files.range(prefix.clone()..).map(|(path, _)| path) {
            let Some(rest) = path.strip_prefix(&prefix) else {
                break;
            };
            let (name, kind) = match rest.split_once('/') {
                Some((name, _)) => (name, EntryKind::Directory),
                None => (rest, EntryKind::File),
            };
            entries.push(Entry {
                name: name.into(),
                kind,
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.dedup();
        match self.kind(directory)? {
            Some(EntryKind::Directory) => Ok(entries),
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
        if self.files.contains_key(path.as_str()) {
            return Ok(Some(EntryKind::File));
        }
        let prefix = alloc::format!("{path}/");
        let mut below = self.files.range(prefix.clone()..);
        let is_directory = path.as_str().is_empty()
            || below
                .next()
                .is_some_and(|(file, _)| file.starts_with(&prefix));
        Ok(is_directory.then_some(EntryKind::Directory))
    }
}
