//! A tree in memory with cheap copies: copies share what they have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use conex_core::model::path::Path;
use conex_core::tree::store::{Entry, EntryKind, Store, StoreError};

/// A tree. A copy shares everything that is not changed afterwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree(Arc<Directory>);

type Directory = BTreeMap<String, Node>;

#[derive(Debug, Clone)]
enum Node {
    File(Arc<[u8]>),
    Directory(Arc<Directory>),
}

impl Tree {
    /// Writes a file to a path, or, without bytes, removes the file there. Directories come and go with
    /// their files.
    pub(crate) fn put(&mut self, path: &Path, bytes: Option<Vec<u8>>) {
        let components: Vec<&str> = path.components().collect();
        put(&mut self.0, &components, bytes.map(Arc::from));
    }

    fn node(&self, path: &Path) -> Result<Found<'_>, StoreError> {
        let mut at = Found::Directory(&self.0);
        for component in path.components() {
            let Found::Directory(directory) = at else {
                return Err(StoreError::Missing);
            };
            at = match directory.get(component).ok_or(StoreError::Missing)? {
                Node::File(bytes) => Found::File(bytes),
                Node::Directory(directory) => Found::Directory(directory),
            };
        }
        Ok(at)
    }
}

enum Found<'t> {
    File(&'t [u8]),
    Directory(&'t Directory),
}

fn put(directory: &mut Arc<Directory>, path: &[&str], bytes: Option<Arc<[u8]>>) {
    let directory = Arc::make_mut(directory);
    match (path, bytes) {
        ([], _) => {}
        ([name], Some(bytes)) => {
            directory.insert((*name).to_owned(), Node::File(bytes));
        }
        ([name], None) => {
            directory.remove(*name);
        }
        ([name, rest @ ..], bytes) => {
            let below = directory
                .entry((*name).to_owned())
                .or_insert_with(|| Node::Directory(Arc::default()));
            if let Node::File(_) = below {
                *below = Node::Directory(Arc::default());
            }
            if let Node::Directory(below) = below {
                put(below, rest, bytes);
                if below.is_empty() {
                    directory.remove(*name);
                }
            }
        }
    }
}

impl Store for Tree {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        let Found::Directory(found) = self.node(directory)? else {
            return Err(StoreError::Special("file"));
        };
        let entry = |(name, node): (&String, &Node)| Entry {
            name: name.clone(),
            kind: match node {
                Node::File(_) => EntryKind::File,
                Node::Directory(_) => EntryKind::Directory,
            },
        };
        Ok(found.iter().map(entry).collect())
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let Found::File(bytes) = self.node(file)? else {
            return Err(StoreError::Special("directory"));
        };
        if bytes.len() as u64 > limit {
            return Err(StoreError::TooLarge(limit));
        }
        buffer.clear();
        buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn kind(&self, path: &Path) -> Result<Option<EntryKind>, StoreError> {
        match self.node(path) {
            Ok(Found::File(_)) => Ok(Some(EntryKind::File)),
            Ok(Found::Directory(_)) => Ok(Some(EntryKind::Directory)),
            Err(StoreError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conex_core::tree::store::MemoryStore;

    /// Lists everything at and below a directory, as a store returns it.
    fn told(store: &impl Store, directory: &Path, into: &mut Vec<String>) {
        for entry in store.list(directory).unwrap() {
            let path = directory.join(&entry.name).unwrap();
            assert_eq!(store.kind(&path).unwrap(), Some(entry.kind));
            if entry.kind == EntryKind::Directory {
                into.push(format!("{path}/"));
                told(store, &path, into);
            } else {
                let mut bytes = Vec::new();
                store.read(&path, 100, &mut bytes).unwrap();
                into.push(format!("{path} {bytes:?}"));
            }
        }
    }

    #[test]
    fn copies_go_their_own_ways_and_tell_what_a_plain_store_tells() {
        let (mut tree, mut plain) = (Tree::default(), MemoryStore::new());
        let mut copies = Vec::new();
        let steps = [
            ("a/b/c", Some(1)),
            ("a/b/d", Some(2)),
            ("a", None),
            ("a/b/c", None),
            ("x", Some(3)),
            ("a/b/d", None),
            ("x", Some(4)),
            ("a/b", Some(5)),
            ("nothing/there", None),
        ];
        for (path, byte) in steps {
            // As in a diff, only files can be removed.
            let path = Path::parse(path).unwrap();
            if byte.is_some() || plain.get(path.as_str()).is_some() {
                tree.put(&path, byte.map(|byte| vec![byte]));
                match byte {
                    Some(byte) => plain.insert(path.as_str(), vec![byte]),
                    None => assert!(plain.remove(path.as_str())),
                }
            }
            copies.push((tree.clone(), plain.clone()));
        }
        for (tree, plain) in copies {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            told(&tree, &Path::top(), &mut ours);
            told(&plain, &Path::top(), &mut theirs);
            assert_eq!(ours, theirs);
            let missing = Path::parse("x/y").unwrap();
            assert_eq!(tree.kind(&missing), plain.kind(&missing));
        }
    }
}
