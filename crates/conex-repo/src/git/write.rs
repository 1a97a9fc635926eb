//! Writing commits without a work tree, and moving a branch to them.
//!
//! Objects are written first, and a branch moves last and at once, if nobody else moved it: whoever is
//! interrupted leaves objects that nothing names, and git removes those.

use std::collections::BTreeMap;

use conex_core::model::path::Path;
use conex_core::tree::store::StoreError;
use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{CommitRef, Kind, Tree, TreeRefIter, WriteTo};
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use gix::refs::{FullName, Target};

use super::{CommitId, GitError, GitRepository};

/// Files with their new bytes, or nothing for what is gone.
pub type Files = BTreeMap<Path, Option<Vec<u8>>>;

/// What a commit says beside its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// The commits before it.
    pub parents: Vec<CommitId>,
    /// The message; what is not UTF-8 is replaced.
    pub message: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
}

/// Who makes commits that follow from others.
#[derive(Debug, Clone, Copy)]
pub struct Committer<'a> {
    /// A name.
    pub name: &'a str,
    /// A mail address.
    pub email: &'a str,
}

impl GitRepository {
    /// What a commit says.
    ///
    /// # Errors
    /// [`GitError::Object`].
    pub fn info(&self, commit: CommitId) -> Result<CommitInfo, GitError> {
        let failed = |error| GitError::Object(commit.to_string(), error);
        let malformed = |error: String| failed(StoreError::Io(error));
        let mut buffer = Vec::new();
        self.shared
            .expect(&commit.0, Kind::Commit, &mut buffer)
            .map_err(failed)?;
        let read = CommitRef::from_bytes(&buffer, commit.0.kind());
        let read = read.map_err(|error| malformed(error.to_string()))?;
        let committer = read.committer();
        let committer = committer.map_err(|error| malformed(error.to_string()))?;
        let time = committer.time();
        Ok(CommitInfo {
            parents: read.parents().map(CommitId).collect(),
            message: String::from_utf8_lossy(read.message).into_owned(),
            time: time.map_err(|error| malformed(error.to_string()))?.seconds,
        })
    }

    /// Writes a commit whose tree is that of another one with some files changed. Directories in which
    /// nothing changed are not written again. Files that are executable stay so.
    ///
    /// # Errors
    /// [`GitError::Object`] where the tree below cannot be read, [`GitError::Write`].
    pub fn commit(
        &self,
        base: CommitId,
        files: &Files,
        info: &CommitInfo,
        by: Committer<'_>,
    ) -> Result<CommitId, GitError> {
        let mut changes = Changed::default();
        for (path, bytes) in files {
            let id = match bytes {
                Some(bytes) => Some(self.write_blob(bytes)?),
                None => None,
            };
            let change = changes.at(path);
            change.gone = id.is_none();
            change.file = id;
        }
        let top = self.top(base)?;
        let tree = match self.write_tree(Some(top), &changes)? {
            Some(tree) => tree,
            None => self.write(&Tree::default())?,
        };
        let signature = gix::actor::Signature {
            name: by.name.into(),
            email: by.email.into(),
            time: gix::date::Time::new(info.time, 0),
        };
        let commit = gix::objs::Commit {
            tree,
            parents: info.parents.iter().map(|parent| parent.0).collect(),
            author: signature.clone(),
            committer: signature,
            encoding: None,
            message: info.message.as_str().into(),
            extra_headers: Vec::new(),
        };
        self.write(&commit).map(CommitId)
    }

    /// The commit that a branch, or another reference by its full name, is at; nothing where there is
    /// none.
    ///
    /// # Errors
    /// [`GitError::NoRevision`] for what cannot be the name of a reference, or is none to a commit.
    pub fn reference(&self, name: &str) -> Result<Option<CommitId>, GitError> {
        let full = full_name(name)?;
        let found = self
            .shared
            .handle()
            .try_find_reference(&full)
            .map_err(|error| {
                GitError::Object(name.to_owned(), StoreError::Io(error.to_string()))
            })?;
        let target = found.map(|found| found.target().into_owned());
        match target {
            None => Ok(None),
            Some(Target::Object(id)) => self.resolve(&id.to_string()).map(Some),
            Some(Target::Symbolic(_)) => Err(GitError::NoRevision(name.to_owned())),
        }
    }

    /// Moves a branch, or another reference by its full name, from one commit to another one, or makes
    /// it. `why` is for the log of the reference.
    ///
    /// # Errors
    /// [`GitError::Moved`] where it is not at `from` any more, [`GitError::Write`].
    pub fn move_reference(
        &self,
        name: &str,
        from: Option<CommitId>,
        to: CommitId,
        (why, by): (&str, Committer<'_>),
    ) -> Result<(), GitError> {
        let full = full_name(name)?;
        let edit = RefEdit {
            change: Change::Update {
                log: LogChange {
                    mode: RefLog::AndReference,
                    force_create_reflog: false,
                    message: why.into(),
                },
                expected: match from {
                    Some(from) => PreviousValue::MustExistAndMatch(Target::Object(from.0)),
                    None => PreviousValue::MustNotExist,
                },
                new: Target::Object(to.0),
            },
            name: full,
            deref: false,
        };
        let time = self.info(to)?.time;
        let time = gix::date::Time::new(time, 0).to_string();
        let committer = gix::actor::SignatureRef {
            name: by.name.into(),
            email: by.email.into(),
            time: &time,
        };
        let handle = self.shared.handle();
        let moved = handle.edit_references_as(Some(edit), Some(committer));
        moved.map(|_| ()).map_err(|error| {
            if self.reference(name).is_ok_and(|now| now == from) {
                GitError::Write(error.to_string())
            } else {
                GitError::Moved(name.to_owned())
            }
        })
    }

    /// Whether a branch is checked out in a work tree.
    pub fn is_checked_out(&self, name: &str) -> bool {
        let handle = self.shared.handle();
        !handle.is_bare() && self.branch().as_deref() == Some(name)
    }

    fn top(&self, commit: CommitId) -> Result<ObjectId, GitError> {
        Ok(self.store(commit)?.top())
    }

    fn write_blob(&self, bytes: &[u8]) -> Result<ObjectId, GitError> {
        let written = self.shared.handle().write_blob(bytes);
        written
            .map(gix::Id::detach)
            .map_err(|error| GitError::Write(error.to_string()))
    }

    fn write(&self, object: &impl WriteTo) -> Result<ObjectId, GitError> {
        let written = self.shared.handle().write_object(object);
        written
            .map(gix::Id::detach)
            .map_err(|error| GitError::Write(error.to_string()))
    }

    /// Writes a tree with some changes; nothing where nothing is left of it.
    fn write_tree(
        &self,
        base: Option<ObjectId>,
        changes: &Changed,
    ) -> Result<Option<ObjectId>, GitError> {
        let mut entries: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        if let Some(id) = base {
            let failed = |error| GitError::Object(id.to_string(), error);
            let mut buffer = Vec::new();
            self.shared
                .expect(&id, Kind::Tree, &mut buffer)
                .map_err(failed)?;
            for entry in TreeRefIter::from_bytes(&buffer, id.kind()) {
                let entry = entry.map_err(|error| failed(StoreError::Io(error.to_string())))?;
                entries.insert(entry.filename.to_vec(), entry.into());
            }
        }
        for (name, change) in &changes.below {
            let old = entries.remove(name.as_bytes());
            let is_tree = |entry: &&Entry| entry.mode.is_tree();
            let new = if let Some(blob) = change.file {
                let mode = old.as_ref().filter(|old| old.mode.is_blob());
                Some((mode.map_or(EntryKind::Blob.into(), |old| old.mode), blob))
            } else {
                let below = old.as_ref().filter(is_tree).map(|old| old.oid);
                let tree = self.write_tree(below, change)?;
                // Nothing below a file can be gone: the file stays, unless it is gone itself.
                let file = || {
                    old.as_ref()
                        .filter(|old| !old.mode.is_tree() && !change.gone)
                };
                match tree {
                    Some(tree) => Some((EntryKind::Tree.into(), tree)),
                    None => file().map(|old| (old.mode, old.oid)),
                }
            };
            if let Some((mode, oid)) = new {
                let filename = name.as_str().into();
                let entry = Entry {
                    mode,
                    filename,
                    oid,
                };
                entries.insert(name.clone().into_bytes(), entry);
            }
        }
        let mut entries: Vec<Entry> = entries.into_values().collect();
        // Git sorts a directory as if its name ended in a slash.
        entries.sort();
        if entries.is_empty() {
            return Ok(None);
        }
        self.write(&Tree { entries }).map(Some)
    }
}

/// What changes at a path and below it.
#[derive(Default)]
struct Changed {
    /// The blob that stands there now.
    file: Option<ObjectId>,
    /// Whether a file that stood there does no more.
    gone: bool,
    below: BTreeMap<String, Self>,
}

impl Changed {
    fn at(&mut self, path: &Path) -> &mut Self {
        path.components().fold(self, |changed, name| {
            changed.below.entry(name.to_owned()).or_default()
        })
    }
}

/// The full name of a reference; a short one is a branch.
fn full_name(name: &str) -> Result<FullName, GitError> {
    let full = if name.starts_with("refs/") {
        name.to_owned()
    } else {
        format!("refs/heads/{name}")
    };
    FullName::try_from(full).map_err(|_| GitError::NoRevision(name.to_owned()))
}

#[cfg(test)]
mod tests;
