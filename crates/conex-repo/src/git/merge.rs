//! Test merges: computes the tree that merging one commit into another would give, in memory.
//!
//! No work tree is touched, and nothing is written into the repository. Files that both sides changed are
//! merged line by line, as git does it. Renames are not followed, and merge drivers from attributes are not
//! used. If two commits have several best common ancestors, one of them is taken. Where that makes a
//! difference, git may report a conflict that this module does not, or the other way round. This does no
//! harm: the merge that lands is judged by its own content.

mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use conex_core::model::limits;
use conex_core::model::path::Path;
use conex_core::tree::store::StoreError;
use gix::ObjectId;
use gix::bstr::{BString, ByteSlice as _};
use gix::objs::tree::{Entry, EntryKind, EntryMode};
use gix::objs::{Kind, Tree, TreeRefIter, WriteTo as _};

use super::{CommitId, GitError, GitRepository, GitStore, Objects, Shared};
use crate::changes::{ChangesError, Steps};

/// The result of a test merge.
#[derive(Debug)]
pub enum Merge {
    /// The merged tree.
    Clean(Merged),
    /// The paths with conflicting changes of both sides, sorted.
    Conflicts(Vec<Conflict>),
}

/// The tree that a merge would give.
#[derive(Debug)]
pub struct Merged {
    /// The tree.
    pub store: GitStore,
    /// The paths where it differs from the commit that was merged into, as in [`GitStore::changed`].
    pub changed: BTreeSet<Path>,
    /// The common ancestor at which the two sides diverged.
    pub fork: CommitId,
}

/// A path that cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{place}: {clash}")]
pub struct Conflict {
    /// The path. Bytes that are not text are escaped.
    pub place: String,
    /// The kind of conflict.
    pub clash: Clash,
}

/// Why the changes of both sides conflict at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Clash {
    /// Both changed the same lines, or a file without lines.
    #[error("both sides changed it")]
    Changed,
    /// Both added a file.
    #[error("both sides added it, with different content")]
    Added,
    /// One side changed what the other removed or moved.
    #[error("one side changed it, and the other removed or moved it")]
    Removed,
    /// One side has a file where the other has a directory.
    #[error("it is a file on one side and a directory on the other")]
    FileAndDirectory,
    /// It is a link or submodule, or a file that only one side made executable.
    #[error("it is not the same kind of file on both sides")]
    Kind,
}

impl GitRepository {
    /// Merges a commit into another, in memory.
    ///
    /// # Errors
    /// [`GitError::Unrelated`] if the two have no common ancestor; [`GitError::History`] and
    /// [`GitError::Object`] if something is missing or broken.
    #[tracing::instrument(level = "debug", skip(self), err)]
    pub fn merge(&self, onto: CommitId, theirs: CommitId) -> Result<Merge, GitError> {
        let fork = self
            .merge_base(onto, theirs)?
            .ok_or_else(|| GitError::Unrelated(onto.to_string(), theirs.to_string()))?;
        let [base, ours, theirs] = [self.store(fork)?, self.store(onto)?, self.store(theirs)?];
        let failed = |error: ChangesError| GitError::Object(error.place.to_string(), error.error);
        let mut merger = Merger {
            shared: &self.shared,
            steps: Steps::default(),
            objects: Objects::new(),
            conflicts: Vec::new(),
        };
        let sides = [base.top(), ours.top(), theirs.top()].map(Some);
        let top = merger
            .trees("", sides)
            .map_err(|(place, error)| GitError::Object(place, error))?;
        if !merger.conflicts.is_empty() {
            merger.conflicts.sort();
            return Ok(Merge::Conflicts(merger.conflicts));
        }
        let top = match top {
            Some(top) => top,
            None => merger.write(Kind::Tree, Vec::new()),
        };
        let store = GitStore::new(Arc::clone(&self.shared), top).with(merger.objects);
        let changed = ours.changed(&store).map_err(failed)?;
        Ok(Merge::Clean(Merged {
            store,
            changed,
            fork,
        }))
    }
}

/// A path that could not be read, and the reason.
type Failed = (String, StoreError);

/// The entries at a path: in the common ancestor, in ours and in theirs.
type Sides<T> = [Option<T>; 3];

/// A file, link or submodule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leaf {
    mode: EntryMode,
    id: ObjectId,
}

impl Leaf {
    fn is_file(&self) -> bool {
        matches!(
            self.mode.kind(),
            EntryKind::Blob | EntryKind::BlobExecutable
        )
    }
}

struct Merger<'a> {
    shared: &'a Shared,
    steps: Steps,
    /// Merged objects that exist only in memory.
    objects: Objects,
    conflicts: Vec<Conflict>,
}

/// Both sides changed something in different ways.
struct Contested;

/// Resolves the cases in which at most one side changed something, or both made the same change.
fn trivial<T: PartialEq + Copy>([base, ours, theirs]: Sides<T>) -> Result<Option<T>, Contested> {
    if ours == theirs || base == theirs {
        Ok(ours)
    } else if base == ours {
        Ok(theirs)
    } else {
        Err(Contested)
    }
}

impl Merger<'_> {
    fn trees(&mut self, at: &str, sides: Sides<ObjectId>) -> Result<Option<ObjectId>, Failed> {
        if let Ok(merged) = trivial(sides) {
            return Ok(merged);
        }
        let mut names: BTreeMap<BString, (Sides<ObjectId>, Sides<Leaf>)> = BTreeMap::new();
        for (side, id) in sides.into_iter().enumerate() {
            let entries = id.map(|id| self.entries(at, &id)).transpose()?;
            for entry in entries.into_iter().flatten() {
                let (trees, leaves) = names.entry(entry.filename).or_default();
                let leaf = Leaf {
                    mode: entry.mode,
                    id: entry.oid,
                };
                match (
                    trees.get_mut(side),
                    leaves.get_mut(side),
                    entry.mode.is_tree(),
                ) {
                    (Some(tree), _, true) => *tree = Some(entry.oid),
                    (_, Some(place), false) => *place = Some(leaf),
                    _ => {}
                }
            }
        }
        let mut entries = Vec::with_capacity(names.len());
        for (name, (trees, leaves)) in names {
            let place = join(at, &name);
            if place.len() > limits::PATH {
                return Err((at.to_owned(), StoreError::TooMany));
            }
            let tree = self.trees(&place, trees)?;
            let leaf = self.leaves(&place, leaves)?;
            if tree.is_some() && leaf.is_some() {
                self.clash(&place, Clash::FileAndDirectory);
            }
            let tree = tree.map(|id| Leaf {
                mode: EntryKind::Tree.into(),
                id,
            });
            entries.extend(tree.or(leaf).map(|Leaf { mode, id }| Entry {
                mode,
                filename: name,
                oid: id,
            }));
        }
        if entries.is_empty() {
            return Ok(None);
        }
        entries.sort();
        let mut bytes = Vec::new();
        Tree { entries }
            .write_to(&mut bytes)
            .map_err(|error| (at.to_owned(), StoreError::Io(error.to_string())))?;
        Ok(Some(self.write(Kind::Tree, bytes)))
    }

    fn leaves(&mut self, at: &str, sides: Sides<Leaf>) -> Result<Option<Leaf>, Failed> {
        if let Ok(merged) = trivial(sides) {
            return Ok(merged);
        }
        let [base, ours, theirs] = sides;
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            self.clash(at, Clash::Removed);
            return Ok(ours.or(theirs));
        };
        let base = base.filter(Leaf::is_file);
        let mode = trivial([base, Some(ours), Some(theirs)].map(|leaf| leaf.map(|it| it.mode)));
        let (true, true, Ok(Some(mode))) = (ours.is_file(), theirs.is_file(), mode) else {
            self.clash(at, Clash::Kind);
            return Ok(Some(ours));
        };
        let ids = [base, Some(ours), Some(theirs)].map(|leaf| leaf.map(|it| it.id));
        let id = match (trivial(ids), base) {
            (Ok(Some(id)), _) => id,
            (_, None) => {
                self.clash(at, Clash::Added);
                ours.id
            }
            (_, Some(base)) => {
                let read = |leaf: Leaf| self.blob(at, &leaf.id);
                let (base, one, other) = (read(base)?, read(ours)?, read(theirs)?);
                if let Some(merged) = text::merge(&base, &one, &other) {
                    self.write(Kind::Blob, merged)
                } else {
                    self.clash(at, Clash::Changed);
                    ours.id
                }
            }
        };
        Ok(Some(Leaf { mode, id }))
    }

    /// Returns the entries of a tree. Each name has to occur once.
    fn entries(&mut self, at: &str, id: &ObjectId) -> Result<Vec<Entry>, Failed> {
        let failed = |error| (at.to_owned(), error);
        let malformed = || failed(StoreError::Io(format!("git tree {id} is malformed")));
        let mut buffer = Vec::new();
        self.shared
            .expect(id, Kind::Tree, &mut buffer)
            .map_err(failed)?;
        let mut entries = Vec::new();
        let mut names = BTreeSet::new();
        for entry in TreeRefIter::from_bytes(&buffer, id.kind()) {
            let entry: Entry = entry.map_err(|_| malformed())?.into();
            self.steps
                .take(&Path::top())
                .map_err(|error| failed(error.error))?;
            if !names.insert(entry.filename.clone()) {
                return Err(malformed());
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn blob(&self, at: &str, id: &ObjectId) -> Result<Vec<u8>, Failed> {
        let mut buffer = Vec::new();
        self.shared
            .expect(id, Kind::Blob, &mut buffer)
            .map_err(|error| (at.to_owned(), error))?;
        Ok(buffer)
    }

    fn write(&mut self, kind: Kind, bytes: Vec<u8>) -> ObjectId {
        let id = gix::objs::compute_hash(self.shared.handle().object_hash(), kind, &bytes)
            .expect("hashing bytes in memory does not fail: collisions apart");
        self.objects.insert(id, (kind, bytes));
        id
    }

    fn clash(&mut self, place: &str, clash: Clash) {
        self.conflicts.push(Conflict {
            place: place.to_owned(),
            clash,
        });
    }
}

fn join(at: &str, name: &BString) -> String {
    let name = match name.to_str() {
        Ok(text) => text.to_owned(),
        Err(_) => name.escape_ascii().to_string(),
    };
    if at.is_empty() {
        name
    } else {
        format!("{at}/{name}")
    }
}

#[cfg(test)]
mod tests;
