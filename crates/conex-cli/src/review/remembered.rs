//! A cache of the files that a change touches: the effects of the change, its statements and the state
//! before are computed from the same bytes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use conex_core::model::path::Path as TreePath;
use conex_core::tree::store::{Entry, EntryKind, Store, StoreError};

/// The most files to cache.
const FILES: usize = 4_096;

/// The largest file to cache, in bytes.
const LARGE: usize = 16 << 10;

/// A store that caches some of its files.
pub(super) struct Remembered<'s> {
    store: &'s dyn Store,
    touched: &'s BTreeSet<TreePath>,
    kept: RwLock<HashMap<TreePath, Arc<[u8]>>>,
}

impl<'s> Remembered<'s> {
    /// Creates a cache for the files that a change touches.
    pub(super) fn new(store: &'s dyn Store, touched: &'s BTreeSet<TreePath>) -> Self {
        Self {
            store,
            touched,
            kept: RwLock::default(),
        }
    }

    fn kept(&self, file: &TreePath) -> Option<Arc<[u8]>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.get(file).map(Arc::clone)
    }

    fn keep(&self, file: &TreePath, bytes: &[u8]) {
        if bytes.len() <= LARGE && self.touched.contains(file) {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < FILES {
                kept.insert(file.clone(), bytes.into());
            }
        }
    }
}

impl Store for Remembered<'_> {
    fn list(&self, directory: &TreePath) -> Result<Vec<Entry>, StoreError> {
        self.store.list(directory)
    }

    fn read(&self, file: &TreePath, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        match self.kept(file) {
            Some(bytes) if bytes.len() as u64 <= limit => {
                buffer.clear();
                buffer.extend_from_slice(&bytes);
                Ok(())
            }
            _ => {
                self.store.read(file, limit, buffer)?;
                self.keep(file, buffer);
                Ok(())
            }
        }
    }

    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, StoreError> {
        self.store.kind(path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop where it stands")]
mod tests {
    use conex_core::tree::store::MemoryStore;

    use super::*;

    #[test]
    fn what_is_kept_is_what_was_read() {
        let path = |text: &str| TreePath::parse(text).unwrap();
        let mut store = MemoryStore::new();
        store.insert("touched", "some text");
        store.insert("other", "text");
        let touched = [path("touched"), path("gone")].into();
        let remembered = Remembered::new(&store, &touched);
        let mut buffer = Vec::new();
        for _ in 0..2 {
            remembered.read(&path("touched"), 100, &mut buffer).unwrap();
            assert_eq!(buffer, b"some text");
            remembered.read(&path("other"), 100, &mut buffer).unwrap();
            assert_eq!(buffer, b"text");
            for (place, limit) in [("gone", 100), ("touched", 8)] {
                let [kept, plain] = [&remembered as &dyn Store, &store]
                    .map(|store| store.read(&path(place), limit, &mut Vec::new()));
                assert_eq!(kept, plain);
                assert!(kept.is_err());
            }
        }
        assert!(remembered.kept(&path("touched")).is_some());
        assert!(remembered.kept(&path("other")).is_none());
    }
}
