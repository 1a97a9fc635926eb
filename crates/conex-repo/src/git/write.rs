//! Writes commits without a work tree, and moves a branch to them.
//!
//! Objects are written first. The branch moves last and atomically, provided that nobody else moved it. An
//! interrupted run leaves unreferenced objects, which git removes.

use std::collections::BTreeMap;

use conex_core::model::path::Path;
use conex_core::tree::store::StoreError;
use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{CommitRef, Kind, Tree, TreeRefIter, WriteTo};
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use gix::refs::{FullName, Target};

use super::{CommitId, GitError, GitRepository};

/// Files with their new bytes, or `None` for deleted ones.
pub type Files = BTreeMap<Path, Option<Vec<u8>>>;

/// The contents of a commit besides its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// The parent commits.
    pub parents: Vec<CommitId>,
    /// The message, with invalid UTF-8 replaced.
    pub message: String,
    /// The time of the commit, in seconds since 1970.
    pub time: i64,
}

/// The author and committer of generated commits.
#[derive(Debug, Clone, Copy)]
pub struct Committer<'a> {
    /// A name.
    pub name: &'a str,
    /// A mail address.
    pub email: &'a str,
}

impl GitRepository {
    /// Returns the contents of a commit besides its tree.
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

    /// Writes a commit whose tree is that of another commit with some files changed. Unchanged directories
    /// are not written again. Executable files stay executable.
    ///
    /// # Errors
    /// [`GitError::Object`] if the tree below cannot be read, [`GitError::Write`].
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

    /// Returns the commit of a branch, or of another reference by its full name; `None` if the reference
    /// does not exist.
    ///
    /// # Errors
    /// [`GitError::NoRevision`] for an invalid reference name, or a reference to something other than a
    /// commit.
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

    /// Moves a branch, or another reference by its full name, from one commit to another, or creates it.
    /// `why` goes into the reflog.
    ///
    /// # Errors
    /// [`GitError::Moved`] if it is no longer at `from`, [`GitError::Write`].
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

    /// Writes a tree with some changes. Returns `None` if the tree becomes empty.
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
                // Deleting a path below a file has no effect: the file stays, unless it is deleted itself.
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

/// The changes at a path and below it.
#[derive(Default)]
struct Changed {
    /// The new blob at the path.
    file: Option<ObjectId>,
    /// Whether the file at the path is deleted.
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

/// Returns the full name of a reference. A short name is a branch.
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
