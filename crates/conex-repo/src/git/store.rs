//! One revision, and what differs between two.

use core::cmp::Ordering;
use core::fmt;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use conex_core::limits;
use conex_core::path::Path;
use conex_core::store::{Entry, EntryKind, Store, StoreError};
use gix::ObjectId;
use gix::objs::tree::EntryMode;
use gix::objs::{Kind, TreeRefIter};

use super::{Objects, Shared};
use crate::changes::{ChangesError, Steps};

/// The tree of one revision. Symbolic links and submodules are special entries, and never followed.
///
/// Trees are read once and kept; files are not kept.
pub struct GitStore {
    shared: Arc<Shared>,
    top: ObjectId,
    /// Of a tree that was merged, what the repository does not have.
    memory: Objects,
    trees: RwLock<HashMap<Path, Tree>>,
}

/// The entries of a tree in the order of git, which sorts a directory as if its name ended in a
/// slash; each name once.
type Tree = Arc<[Node]>;

#[derive(Debug)]
struct Node {
    name: Box<[u8]>,
    kind: EntryKind,
    id: ObjectId,
}

impl GitStore {
    pub(super) fn new(shared: Arc<Shared>, top: ObjectId) -> Self {
        Self {
            shared,
            top,
            memory: Objects::new(),
            trees: RwLock::default(),
        }
    }

    /// The same, with objects that stand in memory only.
    pub(super) fn with(self, memory: Objects) -> Self {
        Self { memory, ..self }
    }

    /// What stands in a directory of this revision, as a tree of its own.
    ///
    /// # Errors
    /// [`StoreError::Missing`], and [`StoreError::Special`] for what is no directory.
    pub fn below(self, directory: &Path) -> Result<Self, StoreError> {
        let (Some(parent), Some(name)) = (directory.parent(), directory.components().next_back())
        else {
            return Ok(self);
        };
        match self.node(&parent, name)? {
            (EntryKind::Directory, id) => Ok(Self {
                top: id,
                trees: RwLock::default(),
                ..self
            }),
            _ => Err(StoreError::Special("file")),
        }
    }

    /// The id of the whole tree.
    pub(super) fn top(&self) -> ObjectId {
        self.top
    }

    /// What differs between this revision and `newer`, found by comparing trees: what has the same id
    /// is not looked into. A file that is only executable in one of them does not differ.
    ///
    /// The set is to be read as that of [`crate::changes::changed`].
    ///
    /// # Errors
    /// [`ChangesError`] when a tree is missing or broken, or too much differs.
    #[tracing::instrument(level = "debug", skip_all, err)]
    pub fn changed(&self, newer: &Self) -> Result<BTreeSet<Path>, ChangesError> {
        let (mut found, steps) = (BTreeSet::new(), Steps::default());
        self.compare(
            newer,
            &Path::top(),
            Some(&self.top),
            Some(&newer.top),
            &steps,
            &mut found,
        )?;
        Ok(found)
    }

    fn compare(
        &self,
        newer: &Self,
        directory: &Path,
        old: Option<&ObjectId>,
        new: Option<&ObjectId>,
        steps: &Steps,
        found: &mut BTreeSet<Path>,
    ) -> Result<(), ChangesError> {
        if old == new {
            return Ok(());
        }
        let load = |store: &Self, id: Option<&ObjectId>| match id {
            Some(_) => store
                .tree(directory)
                .map_err(|error| ChangesError::new(directory, error)),
            None => Ok(Tree::default()),
        };
        // Large trees are packed: taking them out is most of the work.
        let (before, after) = rayon::join(|| load(self, old), || load(newer, new));
        let (before, after) = (before?, after?);
        let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
        loop {
            let order = match (before.peek(), after.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => order(a.key(), b.key()),
            };
            let a = (order != Ordering::Greater)
                .then(|| before.next())
                .flatten();
            let b = (order != Ordering::Less).then(|| after.next()).flatten();
            let Some(either) = a.or(b) else { return Ok(()) };
            if a.map(Node::content) == b.map(Node::content) {
                continue;
            }
            steps.take(directory)?;
            let Ok(place) = directory.join(&either.text()) else {
                found.insert(directory.clone());
                continue;
            };
            let tree = |node: Option<&Node>| {
                node.filter(|node| node.kind == EntryKind::Directory)
                    .map(|node| node.id)
            };
            let is_file =
                |node: Option<&Node>| node.is_some_and(|node| node.kind != EntryKind::Directory);
            if is_file(a) || is_file(b) {
                found.insert(place.clone());
            }
            self.compare(
                newer,
                &place,
                tree(a).as_ref(),
                tree(b).as_ref(),
                steps,
                found,
            )?;
        }
    }

    fn tree(&self, directory: &Path) -> Result<Tree, StoreError> {
        let known = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = known.get(directory) {
            return Ok(Arc::clone(tree));
        }
        drop(known);
        let tree = match directory.parent() {
            None => self.load(&self.top)?,
            Some(parent) => {
                let (kind, id) = self.node(&parent, directory.file_name())?;
                match kind {
                    EntryKind::Directory => self.load(&id)?,
                    EntryKind::File => return Err(StoreError::Special("file")),
                    EntryKind::Special(kind) => return Err(StoreError::Special(kind)),
                }
            }
        };
        self.trees
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(directory.clone(), Arc::clone(&tree));
        Ok(tree)
    }

    fn load(&self, id: &ObjectId) -> Result<Tree, StoreError> {
        let mut buffer = Vec::new();
        self.expect(id, Kind::Tree, &mut buffer)?;
        parse(&buffer, id)
    }

    fn expect(&self, id: &ObjectId, kind: Kind, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        match self.memory.get(id) {
            Some((found, bytes)) if *found == kind => {
                buffer.clear();
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            _ => self.shared.expect(id, kind, buffer),
        }
    }

    fn node(&self, parent: &Path, name: &str) -> Result<(EntryKind, ObjectId), StoreError> {
        let tree = self.tree(parent)?;
        // A directory does not stand where a file of the same name would.
        let found = find(&tree, (name.as_bytes(), false));
        found
            .or_else(|| find(&tree, (name.as_bytes(), true)))
            .map(|node| (node.kind, node.id))
            .ok_or(StoreError::Missing)
    }
}

impl Store for GitStore {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        let entry = |node: &Node| Entry {
            name: node.text().into_owned(),
            kind: node.kind,
        };
        let mut entries: Vec<Entry> = self.tree(directory)?.iter().map(entry).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let parent = file.parent().ok_or(StoreError::Special("directory"))?;
        let (kind, id) = self.node(&parent, file.file_name())?;
        match kind {
            EntryKind::File => {}
            EntryKind::Directory => return Err(StoreError::Special("directory")),
            EntryKind::Special(kind) => return Err(StoreError::Special(kind)),
        }
        self.expect(&id, Kind::Blob, buffer)
            .map_err(|error| match error {
                StoreError::TooLarge(_) => StoreError::TooLarge(limit),
                other => other,
            })?;
        if buffer.len() as u64 > limit {
            buffer.clear();
            return Err(StoreError::TooLarge(limit));
        }
        Ok(())
    }

    fn kind(&self, path: &Path) -> Result<Option<EntryKind>, StoreError> {
        let Some(parent) = path.parent() else {
            return Ok(Some(EntryKind::Directory));
        };
        match self.node(&parent, path.file_name()) {
            Ok((kind, _)) => Ok(Some(kind)),
            Err(StoreError::Missing | StoreError::Special(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for GitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitStore")
            .field("repository", &self.shared.path)
            .field("tree", &self.top)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// The name as text. As in a directory: what is none gets a backslash, which no valid name has.
    fn text(&self) -> Cow<'_, str> {
        match core::str::from_utf8(&self.name) {
            Ok(text) => text.into(),
            Err(_) => self.name.escape_ascii().to_string().into(),
        }
    }

    /// What it is sorted by.
    fn key(&self) -> (&[u8], bool) {
        (&self.name, self.kind == EntryKind::Directory)
    }

    /// What makes a difference, beside the name.
    fn content(&self) -> (EntryKind, ObjectId) {
        (self.kind, self.id)
    }
}

/// The entries of a tree; refused where git itself would not have written it.
fn parse(bytes: &[u8], id: &ObjectId) -> Result<Tree, StoreError> {
    let malformed = || StoreError::Io(format!("git tree {id} is malformed"));
    let mut nodes = Vec::new();
    for entry in TreeRefIter::from_bytes(bytes, id.kind()) {
        let entry = entry.map_err(|_| malformed())?;
        if nodes.len() >= limits::ENTRIES {
            return Err(StoreError::TooMany);
        }
        let name: &[u8] = entry.filename.as_ref();
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
            return Err(malformed());
        }
        nodes.push(Node {
            name: name.into(),
            kind: kind(entry.mode),
            id: entry.oid.to_owned(),
        });
    }
    // Which of two entries of one name is meant, programs would not agree on.
    let is_sorted = nodes.is_sorted_by(|a, b| order(a.key(), b.key()) == Ordering::Less);
    let mut files = nodes
        .iter()
        .filter(|node| node.kind != EntryKind::Directory);
    if !is_sorted || files.any(|file| find(&nodes, (&file.name, true)).is_some()) {
        return Err(malformed());
    }
    Ok(nodes.into())
}

/// How git compares names, of which it knows whether they are directories'.
fn order(a: (&[u8], bool), b: (&[u8], bool)) -> Ordering {
    let common = a.0.len().min(b.0.len());
    let end = |(name, is_directory): (&[u8], bool)| {
        let next = name.get(common).copied();
        next.or_else(|| is_directory.then_some(b'/'))
    };
    let (begins, other) = (a.0.get(..common), b.0.get(..common));
    begins.cmp(&other).then_with(|| end(a).cmp(&end(b)))
}

fn find<'t>(tree: &'t [Node], name: (&[u8], bool)) -> Option<&'t Node> {
    let at = tree.binary_search_by(|node| order(node.key(), name)).ok()?;
    tree.get(at)
}

fn kind(mode: EntryMode) -> EntryKind {
    match mode.value() & 0o170_000 {
        0o040_000 => EntryKind::Directory,
        0o100_000 => EntryKind::File,
        0o120_000 => EntryKind::Special("symbolic link"),
        0o160_000 => EntryKind::Special("submodule"),
        _ => EntryKind::Special("file of unknown type"),
    }
}
