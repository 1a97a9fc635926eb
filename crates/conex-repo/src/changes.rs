//! The differences between two trees.

use core::cmp::Ordering;
use core::sync::atomic::{AtomicUsize, Ordering as Memory};
use std::collections::BTreeSet;

use conex_core::model::limits;
use conex_core::model::path::Path;
use conex_core::tree::store::{Entry, EntryKind, Store, StoreError};
use rayon::prelude::*;

/// The most entries to compare. A repository ten times the size of opam's has half as many. A git tree that
/// contains itself ten times, ten levels deep, has more than anybody can count.
const STEPS: usize = 1 << 20;

/// Why two trees could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {error}")]
pub struct ChangesError {
    /// The directory that could not be compared.
    pub place: Path,
    /// The reason.
    pub error: StoreError,
}

impl ChangesError {
    pub(crate) fn new(place: &Path, error: StoreError) -> Self {
        Self {
            place: place.clone(),
            error,
        }
    }
}

/// Finds the differences between two trees by reading both completely, in parallel.
///
/// The set contains the path of every regular or special file that exists in only one tree, or in both with
/// different bytes or kinds, and the path of every directory that is empty in only one tree. A file that
/// cannot be read counts as different. An entry whose name is not a valid path component cannot be in the
/// set; where such an entry may differ, the set contains its directory.
///
/// # Errors
/// [`ChangesError`] when a directory cannot be listed.
#[tracing::instrument(level = "debug", skip_all, err)]
pub fn changed<A, B>(old: &A, new: &B) -> Result<BTreeSet<Path>, ChangesError>
where
    A: Store + ?Sized,
    B: Store + ?Sized,
{
    let top = Pair {
        place: Path::top(),
        old: Some(EntryKind::Directory),
        new: Some(EntryKind::Directory),
    };
    compare(old, new, top)
}

/// Finds the differences like [`changed`], limited to a path and everything below it.
///
/// # Errors
/// [`ChangesError`] when a directory cannot be listed.
pub fn changed_below<A, B>(old: &A, new: &B, path: &Path) -> Result<BTreeSet<Path>, ChangesError>
where
    A: Store + ?Sized,
    B: Store + ?Sized,
{
    let failed = |error| ChangesError::new(path, error);
    let pair = Pair {
        place: path.clone(),
        old: old.kind(path).map_err(failed)?,
        new: new.kind(path).map_err(failed)?,
    };
    compare(old, new, pair)
}

fn compare<A, B>(old: &A, new: &B, pair: Pair) -> Result<BTreeSet<Path>, ChangesError>
where
    A: Store + ?Sized,
    B: Store + ?Sized,
{
    let comparison = Comparison {
        old,
        new,
        steps: Steps::default(),
    };
    let mut changed = BTreeSet::new();
    let mut next = vec![pair];
    // Work level by level, so that a deep tree does not need a deep stack.
    while !next.is_empty() {
        let found = core::mem::take(&mut next)
            .into_par_iter()
            .map_init(Default::default, |buffers, pair| {
                comparison.pair(pair, buffers)
            })
            .collect::<Result<Vec<_>, _>>()?;
        for Looked { differs, below } in found {
            changed.extend(differs);
            next.extend(below);
        }
    }
    Ok(changed)
}

/// Counts the compared entries.
#[derive(Debug, Default)]
pub(crate) struct Steps(AtomicUsize);

impl Steps {
    /// Counts one more.
    pub(crate) fn take(&self, directory: &Path) -> Result<(), ChangesError> {
        if self.0.fetch_add(1, Memory::Relaxed) < STEPS {
            Ok(())
        } else {
            Err(ChangesError::new(directory, StoreError::TooMany))
        }
    }
}

struct Comparison<'a, A: ?Sized, B: ?Sized> {
    old: &'a A,
    new: &'a B,
    steps: Steps,
}

/// The entries at one path in both trees.
struct Pair {
    place: Path,
    old: Option<EntryKind>,
    new: Option<EntryKind>,
}

/// The result of comparing a pair.
#[derive(Default)]
struct Looked {
    differs: Vec<Path>,
    below: Vec<Pair>,
}

impl<A: Store + ?Sized, B: Store + ?Sized> Comparison<'_, A, B> {
    fn pair(&self, pair: Pair, buffers: &mut (Vec<u8>, Vec<u8>)) -> Result<Looked, ChangesError> {
        let mut looked = Looked::default();
        if [pair.old, pair.new].contains(&Some(EntryKind::Directory)) {
            self.directory(&pair, &mut looked)?;
        }
        let differs = match (pair.old, pair.new) {
            (None | Some(EntryKind::Directory), None | Some(EntryKind::Directory)) => false,
            (Some(EntryKind::File), Some(EntryKind::File)) => {
                let (before, after) = buffers;
                let old = self.old.read(&pair.place, limits::DATA_FILE, before);
                let new = self.new.read(&pair.place, limits::DATA_FILE, after);
                old.is_err() || new.is_err() || before != after
            }
            _ => true,
        };
        if differs {
            looked.differs.push(pair.place);
        }
        Ok(looked)
    }

    fn directory(&self, pair: &Pair, looked: &mut Looked) -> Result<(), ChangesError> {
        let directory = &pair.place;
        let list = |store: &dyn Fn(&Path) -> Result<Vec<Entry>, StoreError>, kind| match kind {
            Some(EntryKind::Directory) => {
                store(directory).map_err(|error| ChangesError::new(directory, error))
            }
            _ => Ok(Vec::new()),
        };
        let old = list(&|path| self.old.list(path), pair.old)?;
        let new = list(&|path| self.new.list(path), pair.new)?;
        let is_empty = |kind, entries: &[Entry]| {
            kind == Some(EntryKind::Directory) && entries.is_empty() && *directory != Path::top()
        };
        if is_empty(pair.old, &old) != is_empty(pair.new, &new) {
            looked.differs.push(directory.clone());
        }
        let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.name.cmp(&b.name),
            };
            let old = (order != Ordering::Greater).then(|| old.next()).flatten();
            let new = (order != Ordering::Less).then(|| new.next()).flatten();
            let Some(name) = old.as_ref().or(new.as_ref()).map(|entry| &entry.name) else {
                return Ok(());
            };
            self.steps.take(directory)?;
            match directory.join(name) {
                Ok(place) => looked.below.push(Pair {
                    place,
                    old: old.map(|entry| entry.kind),
                    new: new.map(|entry| entry.kind),
                }),
                Err(_) => looked.differs.push(directory.clone()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DirectoryStore;
    use conex_core::tree::store::MemoryStore;

    fn paths(old: &impl Store, new: &impl Store) -> Vec<String> {
        let found = changed(old, new).unwrap();
        found.iter().map(|path| path.as_str().to_owned()).collect()
    }

    fn memory(files: &[(&str, &str)]) -> MemoryStore {
        let mut store = MemoryStore::new();
        for (path, text) in files {
            store.insert(*path, *text);
        }
        store
    }

    #[test]
    fn what_differs_is_found_and_nothing_else() {
        let old = memory(&[
            ("same", "1"),
            ("edited", "1"),
            ("gone/a", "1"),
            ("gone/b/c", "1"),
            ("file-then-directory", "1"),
            ("directory-then-file/x", "1"),
        ]);
        let new = memory(&[
            ("same", "1"),
            ("edited", "2"),
            ("new/a/b", "1"),
            ("file-then-directory/x", "1"),
            ("directory-then-file", "1"),
        ]);
        assert_eq!(
            paths(&old, &new),
            [
                "directory-then-file",
                "directory-then-file/x",
                "edited",
                "file-then-directory",
                "file-then-directory/x",
                "gone/a",
                "gone/b/c",
                "new/a/b",
            ]
        );
        assert_eq!(paths(&old, &new), paths(&new, &old));
        assert!(paths(&old, &old).is_empty());
    }

    #[test]
    fn an_empty_directory_differs_from_none_and_from_one_with_files() {
        let [with, without, filled] = core::array::from_fn(|_| tempfile::tempdir().unwrap());
        for tree in [&with, &without, &filled] {
            std::fs::write(tree.path().join("file"), "text").unwrap();
        }
        std::fs::create_dir_all(with.path().join("a/empty")).unwrap();
        std::fs::create_dir_all(filled.path().join("a/empty")).unwrap();
        std::fs::write(filled.path().join("a/empty/file"), "text").unwrap();
        let [with, without, filled] =
            [&with, &without, &filled].map(|tree| DirectoryStore::open(tree.path()).unwrap());
        assert_eq!(paths(&without, &with), ["a/empty"]);
        assert_eq!(paths(&with, &without), ["a/empty"]);
        assert_eq!(paths(&with, &filled), ["a/empty", "a/empty/file"]);
        assert!(paths(&with, &with).is_empty());
    }

    #[test]
    fn special_files() {
        use std::os::unix::fs::symlink;
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (directory, target) in [(&old, "a"), (&new, "a")] {
            std::fs::create_dir(directory.path().join("empty")).unwrap();
            std::fs::write(directory.path().join("a"), "text").unwrap();
            symlink(target, directory.path().join("link")).unwrap();
            symlink("/", directory.path().join("way-out")).unwrap();
        }
        std::fs::create_dir(new.path().join("emptier")).unwrap();
        std::fs::remove_file(new.path().join("a")).unwrap();
        symlink("link", new.path().join("a")).unwrap();
        let (old, new) = (
            DirectoryStore::open(old.path()).unwrap(),
            DirectoryStore::open(new.path()).unwrap(),
        );
        // Links are not followed, so they always differ.
        assert_eq!(paths(&old, &new), ["a", "emptier", "link", "way-out"]);
    }

    #[test]
    fn a_name_that_is_no_component_changes_its_directory() {
        let old = memory(&[("a/b/x", "1")]);
        let new = memory(&[("a/b/x", "1"), ("a/b/\u{e9}", "1")]);
        assert_eq!(paths(&old, &new), ["a/b"]);
    }
}
