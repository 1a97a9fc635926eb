//! A tree with some files changed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Bound;

use super::{Entry, EntryKind, Store, StoreError};
use crate::model::path::Path;

/// Why some files cannot be laid over a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// Something would be a file, and a directory with files in it.
    #[error("{0} would be a file and a directory at once")]
    FileAndDirectory(Path),
    /// The tree could not say what stands at a path.
    #[error("{0}: {1}")]
    Store(Path, StoreError),
}

/// A base tree with some files replaced, added or removed.
///
/// It is listed as the changed tree would be: a directory is there as long as there is something in
/// it, and a file may have become a directory or the reverse. What stands at a changed path in the
/// base, even a special file, is hidden.
pub struct Overlay<S> {
    base: S,
    /// New contents, or nothing for what is gone.
    files: BTreeMap<Path, Option<Vec<u8>>>,
}

/// What the changes do to one name in a directory.
#[derive(Default)]
struct Effect {
    /// What stands there now, if the changes say so.
    now: Option<EntryKind>,
    /// A file of that name is gone.
    file_gone: bool,
    /// Some file below is gone.
    below_gone: bool,
}

impl<S: Store> Overlay<S> {
    /// Lays files over a tree: each path with its new bytes, or nothing where no file is any more.
    ///
    /// For a file that becomes a directory, the changes have the path of the file as gone; for a
    /// directory that becomes a file, the paths of all files that were in it.
    ///
    /// # Errors
    /// [`OverlayError`].
    pub fn new(base: S, files: BTreeMap<Path, Option<Vec<u8>>>) -> Result<Self, OverlayError> {
        let overlay = Self { base, files };
        let mut directories = BTreeSet::new();
        for (path, _) in overlay.files.iter().filter(|(_, bytes)| bytes.is_some()) {
            overlay.check_parents(path, &mut directories)?;
            match overlay.visible(path) {
                Ok(entries) if entries.is_empty() => {}
                Err(StoreError::Missing | StoreError::Special(_)) => {}
                Ok(_) => return Err(OverlayError::FileAndDirectory(path.clone())),
                Err(error) => return Err(OverlayError::Store(path.clone(), error)),
            }
        }
        Ok(overlay)
    }

    /// The paths of the files that were replaced, added or removed.
    pub fn changed(&self) -> BTreeSet<Path> {
        self.files.keys().cloned().collect()
    }

    /// The changed files: their bytes, or nothing for those that are gone.
    pub fn files(&self) -> impl Iterator<Item = (&Path, Option<&[u8]>)> {
        self.files
            .iter()
            .map(|(path, bytes)| (path, bytes.as_deref()))
    }

    /// The tree below.
    pub fn base(&self) -> &S {
        &self.base
    }

    /// Makes sure that no directory on the way to a file is a file. Each directory is asked for once.
    fn check_parents(
        &self,
        path: &Path,
        directories: &mut BTreeSet<Path>,
    ) -> Result<(), OverlayError> {
        let mut at = path.parent();
        while let Some(directory) = at {
            if directory.as_str().is_empty() || !directories.insert(directory.clone()) {
                return Ok(());
            }
            let is_file = match self.files.get(&directory) {
                Some(bytes) => bytes.is_some(),
                None => match self.base.kind(&directory) {
                    Ok(kind) => !matches!(kind, None | Some(EntryKind::Directory)),
                    Err(error) => return Err(OverlayError::Store(directory, error)),
                },
            };
            if is_file {
                return Err(OverlayError::FileAndDirectory(directory));
            }
            at = directory.parent();
        }
        Ok(())
    }

    /// The changes below a directory, with their paths relative to it.
    fn below<'a>(
        &'a self,
        directory: &Path,
    ) -> impl Iterator<Item = (&'a str, Option<&'a Vec<u8>>)> + use<'a, S> {
        let prefix = match directory.as_str() {
            "" => String::new(),
            path => format!("{path}/"),
        };
        self.files
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .map_while(move |(path, bytes)| {
                Some((path.as_str().strip_prefix(&prefix)?, bytes.as_ref()))
            })
    }

    fn has_files_below(&self, directory: &Path) -> bool {
        self.below(directory).any(|(_, bytes)| bytes.is_some())
    }

    /// What is in a directory, sorted; nothing of it is there when that is empty.
    fn visible(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        let mut effects: BTreeMap<&str, Effect> = BTreeMap::new();
        for (path, bytes) in self.below(directory) {
            let (name, rest) = path
                .split_once('/')
                .map_or((path, None), |(name, rest)| (name, Some(rest)));
            let effect = effects.entry(name).or_default();
            match (rest, bytes) {
                (None, Some(_)) => effect.now = Some(EntryKind::File),
                (Some(_), Some(_)) => effect.now = Some(EntryKind::Directory),
                (None, None) => effect.file_gone = true,
                (Some(_), None) => effect.below_gone = true,
            }
        }
        let has_files = effects.values().any(|effect| effect.now.is_some());
        let mut entries = match self.base.list(directory) {
            Ok(entries) => entries,
            // New, or a file of the base that is gone.
            Err(StoreError::Missing | StoreError::Special(_)) if has_files => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut failed = None;
        entries.retain(|entry| {
            let Some(effect) = effects.get(entry.name.as_str()) else {
                return true;
            };
            if effect.now.is_some() {
                return false;
            }
            match entry.kind {
                EntryKind::Directory if effect.below_gone => {
                    match self.is_empty(directory, &entry.name) {
                        Ok(is_empty) => !is_empty,
                        Err(error) => {
                            failed = Some(error);
                            true
                        }
                    }
                }
                EntryKind::Directory => true,
                _ => !effect.file_gone,
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let added = effects.iter().filter_map(|(name, effect)| {
            Some(Entry {
                name: (*name).into(),
                kind: effect.now?,
            })
        });
        entries.extend(added);
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn is_empty(&self, directory: &Path, name: &str) -> Result<bool, StoreError> {
        match directory.join(name) {
            Ok(child) => Ok(self.visible(&child)?.is_empty()),
            Err(_) => Ok(false),
        }
    }
}

impl<S: Store> Store for Overlay<S> {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        match self.files.get(directory) {
            Some(Some(_)) => return Err(StoreError::Special("file")),
            Some(None) if self.kind(directory)?.is_none() => return Err(StoreError::Missing),
            _ => {}
        }
        let is_changed = self.below(directory).next().is_some();
        let entries = self.visible(directory)?;
        if entries.is_empty() && is_changed && !directory.as_str().is_empty() {
            return Err(StoreError::Missing);
        }
        Ok(entries)
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let result = match self.files.get(file) {
            Some(Some(bytes)) if bytes.len() as u64 > limit => {
                return Err(StoreError::TooLarge(limit));
            }
            Some(Some(bytes)) => {
                buffer.clear();
                buffer.extend_from_slice(bytes);
                return Ok(());
            }
            Some(None) => Err(StoreError::Missing),
            None => self.base.read(file, limit, buffer),
        };
        match result {
            Err(StoreError::Missing | StoreError::Special(_)) => match self.kind(file)? {
                None => Err(StoreError::Missing),
                Some(EntryKind::Directory) => Err(StoreError::Special("directory")),
                Some(_) => result,
            },
            other => other,
        }
    }

    fn kind(&self, path: &Path) -> Result<Option<EntryKind>, StoreError> {
        let change = self.files.get(path);
        if change.is_some_and(Option::is_some) {
            return Ok(Some(EntryKind::File));
        }
        if self.has_files_below(path) {
            return Ok(Some(EntryKind::Directory));
        }
        Ok(match self.base.kind(path)? {
            Some(EntryKind::Directory) if self.below(path).next().is_some() => {
                let is_empty = self.visible(path)?.is_empty() && !path.as_str().is_empty();
                (!is_empty).then_some(EntryKind::Directory)
            }
            Some(EntryKind::Directory) => Some(EntryKind::Directory),
            kind if change.is_none() => kind,
            _ => None,
        })
    }
}

impl<S: fmt::Debug> fmt::Debug for Overlay<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("base", &self.base)
            .field("changed", &self.files.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::store::MemoryStore;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn memory(files: &[&str]) -> MemoryStore {
        let mut store = MemoryStore::new();
        for file in files {
            store.insert(*file, *file);
        }
        store
    }

    fn overlay<'a>(
        base: &'a MemoryStore,
        files: &[(&str, Option<&str>)],
    ) -> Result<Overlay<&'a MemoryStore>, OverlayError> {
        let files = files.iter().map(|(file, text)| {
            let bytes = text.map(|text| text.as_bytes().to_vec());
            (path(file), bytes)
        });
        Overlay::new(base, files.collect())
    }

    /// Two stores say the same of every path that either could have.
    fn assert_same(a: &impl Store, b: &impl Store, directory: &Path) {
        assert_eq!(a.list(directory), b.list(directory), "{directory}");
        let names = ["a", "b", "c", "d"];
        for name in names {
            let place = directory.join(name).unwrap();
            assert_eq!(a.kind(&place), b.kind(&place), "{place}");
            let (mut one, mut other) = (Vec::new(), Vec::new());
            let read = |store: &dyn Store, buffer: &mut Vec<u8>| store.read(&place, 5, buffer);
            let results = (read(a, &mut one), read(b, &mut other));
            assert_eq!(results.0, results.1, "{place}");
            if results.0.is_ok() {
                assert_eq!(one, other, "{place}");
            }
            if place.components().count() < 4 {
                assert_same(a, b, &place);
            }
        }
    }

    #[test]
    fn directories_come_and_go() {
        let base = memory(&["a/b/c", "b/c", "c", "d/a", "d/b"]);
        let changed = overlay(
            &base,
            &[
                ("a/b/c", None),
                ("b/c", Some("new")),
                ("c", None),
                ("c/a", Some("new")),
                ("d", Some("new")),
                ("d/a", None),
                ("d/b", None),
            ],
        )
        .unwrap();
        let mut expected = memory(&[]);
        for file in ["b/c", "c/a", "d"] {
            expected.insert(file, "new");
        }
        assert_same(&changed, &expected, &Path::top());
        assert_eq!(changed.changed().len(), 7);
    }

    #[test]
    fn nothing_is_a_file_and_a_directory() {
        let base = memory(&["a/b", "c"]);
        for (files, place) in [
            (&[("a", Some("x"))][..], "a"),
            (&[("c/a", Some("x"))], "c"),
            (&[("c/a/b", Some("x"))], "c"),
            (&[("d", Some("x")), ("d/a", Some("x"))], "d"),
            (&[("a/b/c", Some("x")), ("a/d", Some("x"))], "a/b"),
        ] {
            let error = overlay(&base, files).unwrap_err();
            assert_eq!(error, OverlayError::FileAndDirectory(path(place)));
        }
        assert!(overlay(&base, &[("a", Some("x")), ("a/b", None)]).is_ok());
        assert!(overlay(&base, &[("c/a", Some("x")), ("c", None)]).is_ok());
    }

    #[test]
    fn special_files() {
        struct Linked;
        impl Store for Linked {
            fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
                match directory.as_str() {
                    "" => Ok(alloc::vec![Entry {
                        name: "link".to_string(),
                        kind: EntryKind::Special("symbolic link"),
                    }]),
                    _ => Err(StoreError::Special("symbolic link")),
                }
            }
            fn read(&self, _: &Path, _: u64, _: &mut Vec<u8>) -> Result<(), StoreError> {
                Err(StoreError::Special("symbolic link"))
            }
        }
        let below = BTreeMap::from([(path("link/x"), Some(Vec::new()))]);
        assert!(Overlay::new(Linked, below).is_err());
        let hidden = BTreeMap::from([(path("link"), None)]);
        let overlay = Overlay::new(Linked, hidden).unwrap();
        assert_eq!(overlay.list(&Path::top()), Ok(Vec::new()));
        assert_eq!(
            overlay.read(&path("link"), 9, &mut Vec::new()),
            Err(StoreError::Missing)
        );
    }

    /// Few names, so that files and directories meet often.
    fn place() -> impl Strategy<Value = String> {
        prop::collection::vec("[abc]", 1..4).prop_map(|names| names.join("/"))
    }

    fn is_tree(files: &BTreeMap<String, String>) -> bool {
        files.keys().all(|file| {
            let below = format!("{file}/");
            !files.keys().any(|other| other.starts_with(&below))
        })
    }

    proptest! {
        /// An overlay shows what the changed tree itself shows, or is refused where there is no such tree.
        #[test]
        fn an_overlay_is_the_changed_tree(
            base in prop::collection::btree_map(place(), "[xy]{0,6}", 0..8),
            changes in prop::collection::btree_map(place(), prop::option::of("[xy]{0,6}"), 0..8),
        ) {
            prop_assume!(is_tree(&base));
            let mut result = base.clone();
            for (file, bytes) in &changes {
                match bytes {
                    Some(bytes) => result.insert(file.clone(), bytes.clone()),
                    None => result.remove(file),
                };
            }
            let store = |files: &BTreeMap<String, String>| {
                let mut store = MemoryStore::new();
                for (file, text) in files {
                    store.insert(file.clone(), text.as_bytes());
                }
                store
            };
            let base = store(&base);
            let files: Vec<_> = changes
                .iter()
                .map(|(file, text)| (file.as_str(), text.as_deref()))
                .collect();
            match overlay(&base, &files) {
                Ok(overlay) => {
                    prop_assert!(is_tree(&result));
                    assert_same(&overlay, &store(&result), &Path::top());
                }
                Err(OverlayError::FileAndDirectory(_)) => prop_assert!(!is_tree(&result)),
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}
