//! The metadata of the states in a client's record, kept beside the record (spec section 9.5).
//!
//! A file is a sequence of changes, each preceded by its length. The first change holds all metadata of a
//! state, the others the differences from it. The record holds the length and the digest of the part that
//! belongs to a state. A file that does not match its record is treated as absent.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use conex_core::model::digest::Digest;
use conex_core::model::limits;
use conex_core::model::path::Path as TreePath;
use conex_core::tree::metadata::DIRECTORY;
use conex_core::tree::store::{Entry, EntryKind, MemoryStore, Store, StoreError};
use conex_core::verify::FloorMark;
use conex_repo::marks;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The most bytes of metadata to keep of a state: several times what a large repository accumulates in ten
/// years.
const MOST: u64 = 256 << 20;

/// A file that grows by this much beyond twice its initial size is rewritten.
const GROWN: u64 = 4 << 20;

/// An estimate of the bytes that the path of a file takes.
const ROOM: usize = 128;

/// The suffix of the file names.
const SUFFIX: &str = ".floor";

/// The bytes of the length before each change.
const LENGTH: usize = 8;

#[derive(Debug, Serialize, Deserialize)]
struct Stored<'a> {
    anew: bool,
    #[serde(borrow)]
    files: Vec<(&'a str, Option<&'a [u8]>)>,
}

/// A change to the metadata of a state.
#[derive(Debug)]
pub(crate) struct Change(Vec<u8>);

impl Change {
    /// Returns all metadata of a state, or `None` if it cannot be read or exceeds the limit.
    pub(crate) fn all(store: &dyn Store) -> Option<Self> {
        let read = metadata(store)?;
        let size: u64 = read.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        if size > MOST {
            return None;
        }
        let files = read
            .iter()
            .map(|(path, bytes)| (path.as_str(), Some(bytes.as_slice())))
            .collect();
        let room = usize::try_from(size).ok()? + read.len() * ROOM;
        Self::of(&Stored { anew: true, files }, room)
    }

    /// Returns the metadata among some changed files.
    pub(crate) fn some<'a>(
        files: impl Iterator<Item = (&'a TreePath, Option<&'a [u8]>)>,
    ) -> Option<Self> {
        let files = files
            .filter(|(path, _)| is_metadata(path))
            .map(|(path, bytes)| (path.as_str(), bytes))
            .collect();
        Self::of(&Stored { anew: false, files }, 0)
    }

    fn of(stored: &Stored<'_>, room: usize) -> Option<Self> {
        postcard::to_extend(stored, Vec::with_capacity(room))
            .ok()
            .map(Self)
    }

    fn len(&self) -> u64 {
        (LENGTH + self.0.len()) as u64
    }

    /// Returns the mark of the state that this change makes of another one, or of nothing.
    fn after(&self, before: Option<&FloorMark>) -> FloorMark {
        let digest = chained(before.map(|mark| mark.digest), &self.0);
        FloorMark {
            base: before.map_or(digest, |mark| mark.base),
            length: before.map_or(0, |mark| mark.length) + self.len(),
            digest,
        }
    }
}

/// Returns the digest of a sequence of changes, from the digest of all but the last one.
fn chained(before: Option<Digest>, change: &[u8]) -> Digest {
    let before = before.map_or([0; 32], |digest| *digest.as_bytes());
    Digest::from_bytes(marks::mark(&[before, marks::mark(change)].concat()))
}

/// Whether a path is one of metadata.
fn is_metadata(path: &TreePath) -> bool {
    path.components().next() == Some(DIRECTORY)
}

/// Appends a change to a file after the given length, and drops the rest.
fn append(place: &Path, length: u64, change: &[u8]) -> io::Result<()> {
    match regular(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    let mut file = options.open(place)?;
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length))?;
    file.write_all(&(change.len() as u64).to_le_bytes())?;
    file.write_all(change)
}

/// Returns all metadata of a state in the order of the paths, or `None` if it cannot be read.
pub(crate) fn metadata(store: &dyn Store) -> Option<Vec<(TreePath, Vec<u8>)>> {
    files(store)?
        .into_par_iter()
        .map(|path| {
            let mut bytes = Vec::new();
            store.read(&path, limits::ROOT_FILE, &mut bytes).ok()?;
            Some((path, bytes))
        })
        .collect()
}

/// Checks that whatever is at a path, if anything, is a regular file.
pub(crate) fn regular(place: &Path) -> io::Result<()> {
    if fs::symlink_metadata(place)?.is_file() {
        Ok(())
    } else {
        Err(io::Error::other("this is no regular file"))
    }
}

/// Lists the files of the metadata, or returns `None` if they cannot be listed.
fn files(store: &dyn Store) -> Option<Vec<TreePath>> {
    let mut files = Vec::new();
    let mut next = vec![TreePath::parse(DIRECTORY).ok()?];
    while let Some(directory) = next.pop() {
        for entry in store.list(&directory).ok()? {
            let place = directory.join(&entry.name).ok()?;
            match entry.kind {
                EntryKind::Directory => next.push(place),
                EntryKind::File => files.push(place),
                EntryKind::Special(_) => return None,
            }
        }
    }
    files.sort_unstable();
    Some(files)
}

/// The metadata to keep for the states of a record.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// All metadata of the state in place, if it is not kept yet or is to be rewritten.
    pub(crate) base: Option<Change>,
    /// The changes of the update, or all metadata of the new state.
    pub(crate) next: Option<Change>,
    /// Whether `next` holds all metadata of the new state.
    pub(crate) anew: bool,
}

/// The marks of the present and the next state, and what has to be written.
pub(crate) struct Planned<'p> {
    pub(crate) confirmed: Option<FloorMark>,
    pub(crate) pending: Option<FloorMark>,
    writes: Vec<(Option<FloorMark>, &'p Change)>,
}

impl Plan {
    /// Returns a plan for a state that is recorded alone.
    pub(crate) fn of(store: &dyn Store) -> Self {
        Self {
            base: Change::all(store),
            ..Self::default()
        }
    }

    /// Returns the marks that result, where `kept` is kept of the state in place.
    pub(crate) fn marks(&self, kept: Option<FloorMark>) -> Planned<'_> {
        let mut writes = Vec::new();
        let mut put = |before: Option<FloorMark>, change| {
            writes.push((before, change));
            Change::after(change, before.as_ref())
        };
        let confirmed = match &self.base {
            Some(base) => Some(put(None, base)),
            None => kept,
        };
        let pending = match (&self.next, confirmed) {
            (Some(next), Some(before)) => Some(put(Some(before), next)),
            (Some(next), None) if self.anew => Some(put(None, next)),
            _ => None,
        };
        Planned {
            confirmed,
            pending,
            writes,
        }
    }
}

/// The files of one record.
#[derive(Debug)]
pub(crate) struct Floors<'a> {
    pub(crate) directory: &'a Path,
    /// The prefix of their names.
    pub(crate) stem: &'a str,
}

impl Floors<'_> {
    fn place(&self, mark: &FloorMark) -> PathBuf {
        self.directory.join(self.name(mark))
    }

    fn name(&self, mark: &FloorMark) -> String {
        let base = mark.base.to_string();
        format!(
            "{}-{}{SUFFIX}",
            self.stem,
            base.get(..16).unwrap_or_default()
        )
    }

    /// Whether the metadata of a state is kept intact.
    pub(crate) fn has(&self, mark: &FloorMark) -> bool {
        self.changes(mark, |_| Some(())).is_some()
    }

    /// Calls `each` with the changes that lead to a state, in order. Returns `None` if they are damaged,
    /// which may be noticed only after the first calls.
    fn changes(&self, mark: &FloorMark, mut each: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
        let mut file = BufReader::new(self.open(mark).ok()?.take(mark.length));
        let (mut digest, mut read) = (None, 0);
        let mut change = Vec::new();
        while read < mark.length {
            let mut length = [0; LENGTH];
            file.read_exact(&mut length).ok()?;
            let length = u64::from_le_bytes(length);
            change.clear();
            (&mut file).take(length).read_to_end(&mut change).ok()?;
            if change.len() as u64 != length {
                return None;
            }
            read += LENGTH as u64 + length;
            let made = chained(digest, &change);
            if digest.is_none() && made != mark.base {
                return None;
            }
            digest = Some(made);
            each(&change)?;
        }
        (digest == Some(mark.digest)).then_some(())
    }

    /// Opens the file of a state. It must be a regular file, not a link or pipe that somebody put there.
    fn open(&self, mark: &FloorMark) -> io::Result<File> {
        let place = self.place(mark);
        regular(&place)?;
        File::open(place)
    }

    /// Whether the file of a state has grown so much that it should be rewritten.
    pub(crate) fn is_grown(&self, mark: &FloorMark) -> bool {
        let look = || -> io::Result<bool> {
            let mut length = [0; LENGTH];
            self.open(mark)?.read_exact(&mut length)?;
            let first = u64::from_le_bytes(length);
            Ok(mark.length > first.saturating_mul(2).saturating_add(GROWN))
        };
        look().unwrap_or(false)
    }

    /// Returns the metadata of a state, or `None` if it is missing or damaged.
    pub(crate) fn read(&self, mark: &FloorMark) -> Option<MemoryStore> {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        self.changes(mark, |change| {
            let stored: Stored<'_> = postcard::from_bytes(change).ok()?;
            if stored.anew {
                files.clear();
            }
            for (path, bytes) in stored.files {
                match bytes {
                    Some(bytes) => files.insert(path.to_owned(), bytes.to_owned()),
                    None => files.remove(path),
                };
            }
            Some(())
        })?;
        let mut store = MemoryStore::new();
        for (path, bytes) in files {
            store.insert(path, bytes);
        }
        Some(store)
    }

    /// Writes what was planned. The record is written afterwards: anything here that no record names has no
    /// effect.
    pub(crate) fn write(&self, planned: &Planned<'_>) -> io::Result<()> {
        for (before, change) in &planned.writes {
            let place = self.place(&change.after(before.as_ref()));
            let length = before.map_or(0, |mark| mark.length);
            append(&place, length, &change.0).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", place.display()))
            })?;
        }
        Ok(())
    }

    /// Whether the file of a state is at least as long as it has to be.
    pub(crate) fn is_there(&self, mark: &FloorMark) -> bool {
        let found = fs::symlink_metadata(self.place(mark));
        found.is_ok_and(|found| found.is_file() && found.len() >= mark.length)
    }

    /// Removes the files that no state of the record needs.
    pub(crate) fn sweep(&self, needed: [Option<FloorMark>; 2]) {
        let needed: Vec<String> = needed
            .iter()
            .flatten()
            .map(|mark| self.name(mark))
            .collect();
        let prefix = format!("{}-", self.stem);
        for entry in fs::read_dir(self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_ours = name
                .to_str()
                .and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(SUFFIX))
                .is_some();
            if is_ours && needed.iter().all(|needed| **needed != *name) {
                // A leftover file takes space but has no effect.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// A drifted copy, with the verified metadata in place of its own.
pub(crate) struct Floored<'s> {
    pub(crate) copy: &'s dyn Store,
    pub(crate) metadata: MemoryStore,
}

impl Floored<'_> {
    fn store(&self, path: &TreePath) -> &dyn Store {
        if is_metadata(path) {
            &self.metadata
        } else {
            self.copy
        }
    }
}

impl Store for Floored<'_> {
    fn list(&self, directory: &TreePath) -> Result<Vec<Entry>, StoreError> {
        let mut entries = self.store(directory).list(directory)?;
        if directory.as_str().is_empty() {
            entries.retain(|entry| entry.name != DIRECTORY);
            entries.extend(self.metadata.list(directory)?);
            entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(entries)
    }

    fn read(&self, file: &TreePath, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        self.store(file).read(file, limit, buffer)
    }

    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, StoreError> {
        self.store(path).kind(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> MemoryStore {
        let mut store = MemoryStore::new();
        for (path, text) in files {
            store.insert(*path, *text);
        }
        store
    }

    fn found(store: &MemoryStore) -> Vec<(String, Vec<u8>)> {
        store
            .files()
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .collect()
    }

    /// Writes two states, of which the second follows the first, and returns their marks and metadata.
    fn kept(directory: &Path) -> [(FloorMark, MemoryStore); 2] {
        let floors = Floors {
            directory,
            stem: "stem",
        };
        let one = tree(&[("conex/a", "1"), ("conex/b/c", "1")]);
        let two = tree(&[("conex/a", "2"), ("conex/d", "2")]);
        let whole = tree(&[
            ("conex/a", "1"),
            ("conex/b/c", "1"),
            ("conexions", "x"),
            ("x", "y"),
        ]);
        let paths = ["conex/a", "conex/b/c", "conex/d", "conexions"]
            .map(|path| TreePath::parse(path).unwrap());
        let texts: [Option<&[u8]>; 4] = [Some(b"2"), None, Some(b"2"), Some(b"y")];
        let plan = Plan {
            base: Change::all(&whole),
            next: Change::some(paths.iter().zip(texts)),
            anew: false,
        };
        let planned = plan.marks(None);
        floors.write(&planned).unwrap();
        let marks = [planned.confirmed.unwrap(), planned.pending.unwrap()];
        [(marks[0], one), (marks[1], two)]
    }

    #[test]
    fn both_states_are_kept_and_a_third_takes_the_place_of_one() {
        let directory = tempfile::tempdir().unwrap();
        let floors = Floors {
            directory: directory.path(),
            stem: "stem",
        };
        let [(one, first), (two, second)] = kept(directory.path());
        for (mark, state) in [(&one, &first), (&two, &second)] {
            assert!(floors.has(mark));
            assert_eq!(found(&floors.read(mark).unwrap()), found(state));
        }
        // The second was never put in place, so another one follows the first.
        let third = tree(&[("conex/e", "3")]);
        let plan = Plan {
            base: None,
            next: Change::all(&third),
            anew: true,
        };
        let planned = plan.marks(Some(one));
        floors.write(&planned).unwrap();
        assert_eq!(planned.confirmed, Some(one));
        let pending = planned.pending.unwrap();
        assert_eq!(found(&floors.read(&pending).unwrap()), found(&third));
        assert_eq!(found(&floors.read(&one).unwrap()), found(&first));
        assert!(floors.read(&two).is_none());
        // Unneeded files are removed; those of another record stay.
        fs::write(directory.path().join("stem-other.floor"), "").unwrap();
        fs::write(directory.path().join("stern-other.floor"), "").unwrap();
        floors.sweep([Some(one), planned.pending]);
        assert!(floors.has(&one) && floors.has(&pending));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        floors.sweep([None, None]);
        assert!(!floors.has(&one));
    }

    #[test]
    fn what_is_not_as_it_was_kept_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let floors = Floors {
            directory: directory.path(),
            stem: "stem",
        };
        let [(one, _), (two, _)] = kept(directory.path());
        let place = floors.place(&two);
        let whole = fs::read(&place).unwrap();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            fs::write(&place, &other).unwrap();
            assert!(floors.read(&two).is_none(), "{at}");
            let is_first = u64::try_from(at).unwrap() < one.length;
            assert_eq!(floors.read(&one).is_none(), is_first, "{at}");
            fs::write(&place, &whole[..at]).unwrap();
            assert!(floors.read(&two).is_none() && !floors.has(&two), "{at}");
        }
        fs::write(&place, &whole).unwrap();
        for length in [0, one.length, two.length - 1, two.length + 1, u64::MAX] {
            assert!(floors.read(&FloorMark { length, ..two }).is_none());
        }
        assert!(floors.read(&two).is_some());
    }

    #[test]
    fn what_has_grown_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let floors = Floors {
            directory: directory.path(),
            stem: "stem",
        };
        let large = "x".repeat(3 << 20);
        let states = [("conex/a", "1"), ("conex/b", &large), ("conex/c", &large)];
        let mut kept = None;
        for (at, state) in states.iter().enumerate() {
            let all = Change::all(&tree(&[*state]));
            let plan = if at == 0 {
                Plan {
                    base: all,
                    ..Plan::default()
                }
            } else {
                Plan {
                    base: None,
                    next: all,
                    anew: true,
                }
            };
            let planned = plan.marks(kept);
            floors.write(&planned).unwrap();
            kept = planned.pending.or(planned.confirmed);
            let kept = kept.unwrap();
            assert!(floors.has(&kept));
            assert_eq!(floors.is_grown(&kept), at == 2, "{at}");
            assert!(floors.read(&kept).is_some());
        }
        // A rewritten file replaces whatever is there.
        let plan = Plan {
            base: Change::all(&tree(&states[2..])),
            ..Plan::default()
        };
        let planned = plan.marks(kept);
        assert_ne!(planned.confirmed, kept);
        floors.write(&planned).unwrap();
        assert!(!floors.is_grown(&planned.confirmed.unwrap()));
    }

    #[test]
    fn metadata_that_is_unusual_is_not_kept() {
        assert!(Change::all(&tree(&[("x", "y")])).is_none());
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("conex")).unwrap();
        let all = || {
            let store = conex_repo::DirectoryStore::open(directory.path()).unwrap();
            Change::all(&store)
        };
        assert!(all().is_some());
        std::os::unix::fs::symlink("/", directory.path().join("conex/link")).unwrap();
        assert!(all().is_none());
    }
}
