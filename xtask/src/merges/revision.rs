//! A tree of the repository as verification reads it.

use std::collections::HashMap;
use std::sync::Mutex;

use conex_core::model::path::Path;
use conex_core::tree::store::{Entry, EntryKind, Store, StoreError};

use super::git::{Oid, Repository, lock};

/// For each entry whether it is a directory, and its object.
type Directory = HashMap<String, (bool, Oid)>;

/// A tree of the repository as verification reads it. It remembers the directories it has opened.
pub(crate) struct Revision<'a> {
    repository: &'a Repository,
    tree: Oid,
    directories: Mutex<HashMap<String, Directory>>,
}

impl<'a> Revision<'a> {
    pub(crate) fn new(repository: &'a Repository, tree: Oid) -> Self {
        Self {
            repository,
            tree,
            directories: Mutex::default(),
        }
    }

    /// Returns the entry at a path: whether it is a tree, and its object.
    fn find(&self, path: &Path) -> Result<Option<(bool, Oid)>, StoreError> {
        let mut place = String::new();
        let mut at = (true, self.tree);
        for component in path.components() {
            if !at.0 {
                return Ok(None);
            }
            let mut directories = lock(&self.directories);
            if !directories.contains_key(&place) {
                directories.insert(place.clone(), self.open(at.1)?);
            }
            match directories
                .get(&place)
                .and_then(|entries| entries.get(component))
            {
                Some(found) => at = *found,
                None => return Ok(None),
            }
            place.push('/');
            place.push_str(component);
        }
        Ok(Some(at))
    }

    fn open(&self, tree: Oid) -> Result<Directory, StoreError> {
        let entries = self.repository.entries(tree).map_err(io)?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.name, (entry.is_tree, entry.oid)))
            .collect())
    }
}

impl Store for Revision<'_> {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        match self.find(directory)? {
            None => Err(StoreError::Missing),
            Some((false, _)) => Err(StoreError::Special("regular file")),
            Some((true, tree)) => {
                let mut entries: Vec<Entry> = self
                    .open(tree)?
                    .into_iter()
                    .map(|(name, (is_tree, _))| Entry {
                        name,
                        kind: if is_tree {
                            EntryKind::Directory
                        } else {
                            EntryKind::File
                        },
                    })
                    .collect();
                entries.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(entries)
            }
        }
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        match self.find(file)? {
            None => Err(StoreError::Missing),
            Some((true, _)) => Err(StoreError::Special("directory")),
            Some((false, blob)) => {
                *buffer = self.repository.object(blob).map_err(io)?;
                if buffer.len() as u64 > limit {
                    return Err(StoreError::TooLarge(limit));
                }
                Ok(())
            }
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` asks for"
)]
fn io(error: anyhow::Error) -> StoreError {
    StoreError::Io(error.to_string())
}
