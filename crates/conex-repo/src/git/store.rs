//! One revision, and the differences between two.

use core::cmp::Ordering;
use core::fmt;
use core::ops::Range;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use conex_core::model::limits;
use conex_core::model::path::Path;
use conex_core::tree::store::{Entry, EntryKind, Store, StoreError, Workers as _};
use gix::objs::tree::EntryMode;
use gix::objs::{Kind, TreeRefIter};
use gix::{ObjectId, oid};

use super::{Objects, Shared};
use crate::Parallel;
use crate::changes::{ChangesError, Steps};

/// The tree of one revision. Symbolic links and submodules are special entries and are never followed.
///
/// Trees are read once and cached; files are not.
pub struct GitStore {
    shared: Arc<Shared>,
    top: ObjectId,
    /// Objects of a merged tree that the repository does not have.
    memory: Objects,
    trees: RwLock<HashMap<Path, Arc<Tree>>>,
}

/// A checked git tree. Its entries are in git's order, which sorts a directory as if its name ended in a
/// slash, and each name occurs once.
#[derive(Debug, Default)]
pub(super) struct Tree {
    bytes: Vec<u8>,
    entries: Vec<Position>,
    id_length: usize,
}

/// A path at which one or both revisions have a directory.
struct Pair {
    place: Path,
    trees: [Option<ObjectId>; 2],
}

/// The result of comparing a pair.
#[derive(Default)]
struct Looked {
    differs: Vec<Path>,
    below: Vec<Pair>,
}

/// The position of an entry in the bytes of a tree.
#[derive(Debug)]
struct Position {
    name: Range<u32>,
    mode: EntryMode,
}

/// An entry of a tree.
#[derive(Debug, Clone, Copy)]
struct Node<'t> {
    name: &'t [u8],
    kind: EntryKind,
    id: &'t oid,
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

    /// Returns the same store with objects that exist only in memory.
    pub(super) fn with(self, memory: Objects) -> Self {
        Self { memory, ..self }
    }

    /// Returns a directory of this revision as a tree of its own.
    ///
    /// # Errors
    /// [`StoreError::Missing`], and [`StoreError::Special`] if it is not a directory.
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

    /// Returns the id of the whole tree.
    pub(super) fn top(&self) -> ObjectId {
        self.top
    }

    /// Finds the differences between this revision and `newer` by comparing trees. Entries with the same id
    /// are not examined. A different executable bit is no difference.
    ///
    /// The set has the same meaning as that of [`crate::changes::changed`].
    ///
    /// # Errors
    /// [`ChangesError`] when a tree is missing or broken, or too much differs.
    #[tracing::instrument(level = "debug", skip_all, err)]
    pub fn changed(&self, newer: &Self) -> Result<BTreeSet<Path>, ChangesError> {
        let (mut changed, steps) = (BTreeSet::new(), Steps::default());
        let mut next = vec![Pair {
            place: Path::top(),
            trees: [Some(self.top), Some(newer.top)],
        }];
        // Work level by level, so that a deep tree does not need a deep stack.
        while !next.is_empty() {
            let level = core::mem::take(&mut next);
            for looked in Parallel.map(level, |pair| self.compare(newer, &pair, &steps)) {
                let Looked { differs, below } = looked?;
                changed.extend(differs);
                next.extend(below);
            }
        }
        Ok(changed)
    }

    /// Compares the trees at one path.
    fn compare(&self, newer: &Self, pair: &Pair, steps: &Steps) -> Result<Looked, ChangesError> {
        let Pair { place, trees } = pair;
        let mut looked = Looked::default();
        if let [Some(old), Some(new)] = trees
            && old == new
        {
            return Ok(looked);
        }
        let load = |store: &Self, id: Option<ObjectId>| match id {
            Some(_) => store
                .tree(place)
                .map_err(|error| ChangesError::new(place, error)),
            None => Ok(Arc::default()),
        };
        let [old, new] = *trees;
        let (before, after) = (load(self, old)?, load(newer, new)?);
        // Git does not write empty trees, but reads them.
        let is_empty = |id: Option<ObjectId>, tree: &Tree| {
            id.is_some() && tree.entries.is_empty() && *place != Path::top()
        };
        if is_empty(old, &before) != is_empty(new, &after) {
            looked.differs.push(place.clone());
        }
        let (mut before, mut after) = (before.nodes().peekable(), after.nodes().peekable());
        loop {
            let order = match (before.peek(), after.peek()) {
                (None, None) => return Ok(looked),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => order(a.key(), b.key()),
            };
            let a = (order != Ordering::Greater)
                .then(|| before.next())
                .flatten();
            let b = (order != Ordering::Less).then(|| after.next()).flatten();
            let Some(either) = a.or(b) else {
                return Ok(looked);
            };
            if a.map(|node| node.content()) == b.map(|node| node.content()) {
                continue;
            }
            steps.take(place)?;
            let Ok(inside) = place.join(&either.text()) else {
                looked.differs.push(place.clone());
                continue;
            };
            let is_file =
                |node: Option<Node<'_>>| node.is_some_and(|it| it.kind != EntryKind::Directory);
            if is_file(a) || is_file(b) {
                looked.differs.push(inside.clone());
            }
            let tree = |node: Option<Node<'_>>| {
                let directory = node.filter(|it| it.kind == EntryKind::Directory)?;
                Some(directory.id.to_owned())
            };
            let trees = [tree(a), tree(b)];
            if trees != [None, None] {
                looked.below.push(Pair {
                    place: inside,
                    trees,
                });
            }
        }
    }

    fn tree(&self, directory: &Path) -> Result<Arc<Tree>, StoreError> {
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

    fn load(&self, id: &ObjectId) -> Result<Arc<Tree>, StoreError> {
        if let Some(tree) = self.shared.trees.get(id) {
            return Ok(tree);
        }
        let mut bytes = Vec::new();
        self.expect(id, Kind::Tree, &mut bytes)?;
        let tree = Arc::new(Tree::parse(bytes, id)?);
        self.shared.trees.keep(*id, &tree);
        Ok(tree)
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
        // Directories sort differently from files of the same name.
        tree.find((name.as_bytes(), false))
            .or_else(|| tree.find((name.as_bytes(), true)))
            .map(|node| (node.kind, node.id.to_owned()))
            .ok_or(StoreError::Missing)
    }
}

impl Store for GitStore {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        let entry = |node: Node<'_>| Entry {
            name: node.text().into_owned(),
            kind: node.kind,
        };
        let mut entries: Vec<Entry> = self.tree(directory)?.nodes().map(entry).collect();
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

impl<'t> Node<'t> {
    /// Returns the name as text. As in a directory, invalid UTF-8 is escaped with a backslash, which no
    /// valid name contains.
    fn text(&self) -> Cow<'t, str> {
        match core::str::from_utf8(self.name) {
            Ok(text) => text.into(),
            Err(_) => self.name.escape_ascii().to_string().into(),
        }
    }

    /// Returns the sort key.
    fn key(&self) -> (&'t [u8], bool) {
        (self.name, self.kind == EntryKind::Directory)
    }

    /// Returns what is compared once the names are equal: the kind and the object id.
    fn content(&self) -> (EntryKind, &'t oid) {
        (self.kind, self.id)
    }
}

impl Tree {
    /// Parses the entries. Refuses a tree that git itself would not have written.
    fn parse(bytes: Vec<u8>, id: &ObjectId) -> Result<Self, StoreError> {
        let malformed = || StoreError::Io(format!("git tree {id} is malformed"));
        let mut entries: Vec<Position> = Vec::new();
        let mut files = Vec::new();
        let mut last: Option<(&[u8], bool)> = None;
        for entry in TreeRefIter::from_bytes(&bytes, id.kind()) {
            let entry = entry.map_err(|_| malformed())?;
            if entries.len() >= limits::ENTRIES {
                return Err(StoreError::TooMany);
            }
            let name: &[u8] = entry.filename.as_ref();
            if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
                return Err(malformed());
            }
            let is_directory = kind(entry.mode) == EntryKind::Directory;
            let key = (name, is_directory);
            if last.is_some_and(|last| order(last, key) != Ordering::Less) {
                return Err(malformed());
            }
            last = Some(key);
            if !is_directory {
                files.push(entries.len());
            }
            let start = name.as_ptr().addr() - bytes.as_ptr().addr();
            let place = |at: usize| u32::try_from(at).map_err(|_| malformed());
            entries.push(Position {
                name: place(start)?..place(start + name.len())?,
                mode: entry.mode,
            });
        }
        let tree = Self {
            bytes,
            entries,
            id_length: id.kind().len_in_bytes(),
        };
        // Programs would not agree on which of two entries with the same name is meant.
        let is_twice = |at: usize| {
            let file = tree.entries.get(at).and_then(|at| tree.node(at));
            file.is_some_and(|file| tree.find((file.name, true)).is_some())
        };
        if files.into_iter().any(is_twice) {
            return Err(malformed());
        }
        Ok(tree)
    }

    fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.entries.iter().filter_map(|at| self.node(at))
    }

    /// Returns the entry at a position recorded when the tree was parsed.
    fn node(&self, at: &Position) -> Option<Node<'_>> {
        let (start, end) = (at.name.start as usize, at.name.end as usize);
        let id = self.bytes.get(end + 1..)?.get(..self.id_length)?;
        Some(Node {
            name: self.bytes.get(start..end)?,
            kind: kind(at.mode),
            id: oid::try_from_bytes(id).ok()?,
        })
    }

    fn find(&self, name: (&[u8], bool)) -> Option<Node<'_>> {
        let compare = |at: &Position| match self.node(at) {
            Some(node) => order(node.key(), name),
            None => Ordering::Less,
        };
        let at = self.entries.binary_search_by(compare).ok()?;
        self.node(self.entries.get(at)?)
    }
}

/// A cache of trees for all revisions of a repository: most trees occur in many revisions.
#[derive(Debug, Default)]
pub(super) struct Trees(RwLock<Kept>);

#[derive(Debug, Default)]
struct Kept {
    trees: HashMap<ObjectId, Arc<Tree>>,
    bytes: usize,
}

/// The most bytes of trees to cache for other revisions. One revision of a large repository takes a tenth
/// of that.
const KEPT: usize = 64 << 20;

impl Trees {
    fn get(&self, id: &ObjectId) -> Option<Arc<Tree>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.trees.get(id).map(Arc::clone)
    }

    fn keep(&self, id: ObjectId, tree: &Arc<Tree>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.bytes > KEPT {
            *known = Kept::default();
        }
        known.bytes += tree.bytes.len();
        known.trees.insert(id, Arc::clone(tree));
    }
}

/// Compares names like git, which sorts directories differently.
fn order(a: (&[u8], bool), b: (&[u8], bool)) -> Ordering {
    let common = a.0.len().min(b.0.len());
    let end = |(name, is_directory): (&[u8], bool)| {
        let next = name.get(common).copied();
        next.or_else(|| is_directory.then_some(b'/'))
    };
    let (begins, other) = (a.0.get(..common), b.0.get(..common));
    begins.cmp(&other).then_with(|| end(a).cmp(&end(b)))
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
