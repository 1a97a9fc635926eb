//! Revisions of a git repository as trees. This module neither needs nor reads a work tree.
//!
//! The owner of the repository may be the attacker. Every object is therefore hashed again when it is read,
//! and has to have the requested id. Only the repository's own configuration is read. Replacement objects
//! are ignored. The size of a decompressed object is bounded before it is allocated. The repository decides
//! which commit a name like `main` refers to: names are not trusted, contents are verified.

pub mod history;
pub mod incoming;
pub mod log;
pub mod merge;
pub mod refs;
mod store;
mod write;

use core::fmt;
use std::collections::HashMap;
use std::path::{Path as SystemPath, PathBuf};
use std::sync::Arc;

use conex_core::model::limits;
use conex_core::tree::store::StoreError;
use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::objs::{Find as _, Kind};
use gix::state::InProgress;
use thread_local::ThreadLocal;

pub use incoming::Incoming;
pub use store::GitStore;
pub use write::{CommitInfo, Committer, Files};

/// The most memory in bytes for assembling one object from its deltas: the largest data file, its delta
/// base, and the delta.
const OBJECT_MEMORY: u64 = 4 * limits::DATA_FILE;

/// The longest chain of tags that point to tags.
const TAGS: usize = 8;

/// The reasons why a repository or a revision could not be opened or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no git repository at the path.
    #[error("there is no git repository at {}", .0.display())]
    NoRepository(PathBuf),
    /// The repository cannot be read, or is of an unknown kind.
    #[error("the git repository at {} cannot be opened: {reason}", .path.display())]
    Unreadable {
        /// The path of the repository.
        path: PathBuf,
        /// The reason, in the library's own words.
        reason: String,
    },
    /// No commit, or more than one, has this name.
    #[error("the git repository has no revision {0:?}")]
    NoRevision(String),
    /// The name refers to an object other than a commit.
    #[error("{0:?} is a {1}, not a commit")]
    NotACommit(String, &'static str),
    /// An object is missing or broken.
    #[error("git object {0}: {1}")]
    Object(String, StoreError),
    /// The two commits have no common ancestor in the fetched history.
    #[error("{0} and {1} have no common ancestor")]
    Unrelated(String, String),
    /// Several references to one pull request refer to different commits.
    #[error("pull request {0} was fetched more than once, with different commits: {names}", names = .1.join(", "))]
    Ambiguous(u64, Vec<String>),
    /// Symbolic references form a loop or a chain that is too long.
    #[error("the symbolic reference {0:?} leads nowhere")]
    Symbolic(String),
    /// The history could not be followed, in the library's own words.
    #[error("the history cannot be followed: {0}")]
    History(String),
    /// An object or reference could not be written, in the library's own words.
    #[error("git could not write: {0}")]
    Write(String),
    /// Somebody else moved a reference meanwhile.
    #[error("somebody else moved {0:?} meanwhile")]
    Moved(String),
}

/// The id of a commit that exists in a repository and has been checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(ObjectId);

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Objects that exist only in memory.
type Objects = HashMap<ObjectId, (Kind, Vec<u8>)>;

/// A git repository, with or without a work tree.
#[derive(Clone)]
pub struct GitRepository {
    shared: Arc<Shared>,
}

/// The state shared by all stores of a repository: one handle for each thread.
struct Shared {
    path: PathBuf,
    repository: gix::ThreadSafeRepository,
    handles: ThreadLocal<gix::Repository>,
    trees: store::Trees,
}

impl GitRepository {
    /// Opens the repository of a work tree, or a bare repository. Parent directories are not searched.
    ///
    /// # Errors
    /// [`GitError::NoRepository`], [`GitError::Unreadable`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, GitError> {
        let path = path.into();
        let options = gix::open::Options::isolated().config_overrides([
            "core.useReplaceRefs=false".to_owned(),
            format!("gitoxide.objects.allocLimit={OBJECT_MEMORY}"),
        ]);
        let repository = gix::ThreadSafeRepository::open_opts(&path, options).map_err(|error| {
            if gix::discover::is_git(&path).is_err()
                && gix::discover::is_git(&path.join(".git")).is_err()
            {
                GitError::NoRepository(path.clone())
            } else {
                GitError::Unreadable {
                    path: path.clone(),
                    reason: error.to_string(),
                }
            }
        })?;
        tracing::debug!(path = %path.display(), "opened a git repository");
        Ok(Self {
            shared: Arc::new(Shared {
                path,
                repository,
                handles: ThreadLocal::new(),
                trees: store::Trees::default(),
            }),
        })
    }

    /// Returns the path of the repository, as it was given.
    pub fn path(&self) -> &SystemPath {
        &self.shared.path
    }

    /// Whether it has no work tree.
    pub fn is_bare(&self) -> bool {
        self.shared.handle().is_bare()
    }

    /// Whether only part of the history was fetched, so that a missing object may simply not be here.
    pub fn is_shallow(&self) -> bool {
        // If it cannot be determined, assume a shallow repository.
        self.shared.handle().is_shallow().unwrap_or(true)
    }

    /// Returns the git directory that all work trees share.
    pub fn directory(&self) -> PathBuf {
        self.shared.handle().common_dir().to_owned()
    }

    /// Returns the directory of its objects.
    pub fn objects(&self) -> PathBuf {
        self.directory().join("objects")
    }

    /// Returns a setting from the repository's own configuration.
    pub fn setting(&self, key: &str) -> Option<String> {
        let value = self.shared.handle().config_snapshot().string(key)?;
        Some(value.to_string())
    }

    /// Resolves a name to a commit: a branch, tag, full or short id, or any other expression that `git
    /// rev-parse` accepts for one commit. Tags are followed to their commit.
    ///
    /// # Errors
    /// [`GitError::NoRevision`], [`GitError::NotACommit`], [`GitError::Object`].
    pub fn resolve(&self, name: &str) -> Result<CommitId, GitError> {
        let no_revision = || GitError::NoRevision(name.to_owned());
        // A full id has no other meaning in git either, so no other objects have to be searched.
        let full = ObjectId::from_hex(name.as_bytes()).ok();
        let mut id = if let Some(id) = full {
            id
        } else {
            let found = self.shared.handle().rev_parse_single(name);
            found.map_err(|_| no_revision())?.detach()
        };
        let mut buffer = Vec::new();
        for _ in 0..TAGS {
            match self.shared.object(&id, &mut buffer) {
                Ok(Kind::Commit) => return Ok(CommitId(id)),
                Ok(Kind::Tag) => {
                    id = gix::objs::TagRefIter::from_bytes(&buffer, id.kind())
                        .target_id()
                        .map_err(|_| no_revision())?;
                }
                Ok(Kind::Tree) => return Err(GitError::NotACommit(name.to_owned(), "tree")),
                Ok(Kind::Blob) => return Err(GitError::NotACommit(name.to_owned(), "file")),
                Err(_) if full == Some(id) && !self.shared.handle().has_object(id) => break,
                Err(error) => return Err(GitError::Object(id.to_string(), error)),
            }
        }
        Err(no_revision())
    }

    /// Opens the tree of a commit.
    ///
    /// # Errors
    /// [`GitError::Object`].
    pub fn store(&self, commit: CommitId) -> Result<GitStore, GitError> {
        let failed = |error| GitError::Object(commit.to_string(), error);
        let mut buffer = Vec::new();
        self.shared
            .expect(&commit.0, Kind::Commit, &mut buffer)
            .map_err(failed)?;
        let tree = gix::objs::CommitRefIter::from_bytes(&buffer, commit.0.kind())
            .tree_id()
            .map_err(|error| failed(StoreError::Io(error.to_string())))?;
        Ok(GitStore::new(Arc::clone(&self.shared), tree))
    }

    /// Opens the tree of the commit that a name refers to.
    ///
    /// # Errors
    /// As [`Self::resolve`] and [`Self::store`].
    pub fn revision(&self, name: &str) -> Result<GitStore, GitError> {
        self.store(self.resolve(name)?)
    }

    /// Returns the best common ancestor of two commits, if they have any: the commit at which a branch left
    /// a main line.
    ///
    /// # Errors
    /// [`GitError::History`] when a commit on the way is missing or broken.
    pub fn merge_base(&self, one: CommitId, other: CommitId) -> Result<Option<CommitId>, GitError> {
        self.shared
            .handle()
            .merge_base(one.0, other.0)
            .map(|found| found.map(|id| CommitId(id.detach())))
            .map_err(|error| GitError::History(error.to_string()))
    }

    /// Whether `old` is `new` or one of its ancestors, so that moving from one to the other is a
    /// fast-forward.
    ///
    /// # Errors
    /// As [`Self::merge_base`].
    pub fn is_ancestor(&self, old: CommitId, new: CommitId) -> Result<bool, GitError> {
        Ok(self.merge_base(old, new)? == Some(old))
    }

    /// Returns the short name of the checked-out branch, or `None` if HEAD is detached.
    pub fn branch(&self) -> Option<String> {
        let head = self.shared.handle().head_name().ok().flatten()?;
        head.shorten().to_str().ok().map(ToOwned::to_owned)
    }

    /// Returns the operation that is in progress in the repository: `merge`, `rebase`, `cherry-pick`,
    /// `revert`, `bisect` or `am`. Until it ends, the work tree is not in a state that anybody means to
    /// keep.
    pub fn in_progress(&self) -> Option<&'static str> {
        Some(match self.shared.handle().state()? {
            InProgress::Merge => "merge",
            InProgress::Rebase | InProgress::RebaseInteractive => "rebase",
            InProgress::CherryPick | InProgress::CherryPickSequence => "cherry-pick",
            InProgress::Revert | InProgress::RevertSequence => "revert",
            InProgress::Bisect => "bisect",
            InProgress::ApplyMailbox | InProgress::ApplyMailboxRebase => "am",
        })
    }
}

impl fmt::Debug for GitRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GitRepository")
            .field(&self.shared.path)
            .finish()
    }
}

impl Shared {
    fn handle(&self) -> &gix::Repository {
        self.handles.get_or(|| self.repository.to_thread_local())
    }

    /// Reads an object completely. Its content is checked against the requested id.
    fn object(&self, id: &ObjectId, buffer: &mut Vec<u8>) -> Result<Kind, StoreError> {
        let found = self
            .handle()
            .objects
            .try_find(id, buffer)
            .map_err(|error| {
                if error.is_resource_exhausted() {
                    StoreError::TooLarge(OBJECT_MEMORY)
                } else {
                    StoreError::Io(error.to_string())
                }
            })?
            .ok_or_else(|| StoreError::Io(format!("git object {id} is missing")))?;
        found
            .verify_checksum(id)
            .map_err(|_| StoreError::Io(format!("git object {id} has another content")))?;
        Ok(found.kind)
    }

    fn expect(&self, id: &ObjectId, kind: Kind, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let found = self.object(id, buffer)?;
        if found == kind {
            Ok(())
        } else {
            Err(StoreError::Io(format!("git object {id} is a {found}")))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
