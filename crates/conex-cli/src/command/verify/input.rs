//! What is verified: one state, or two of which the second follows the first.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use conex_core::path::Path as TreePath;
use conex_core::problem::{Code, Problem};
use conex_core::store::{MemoryStore, Store};
use conex_repo::archive::ArchiveError;
use conex_repo::git::{CommitId, GitError};
use conex_repo::{ArchiveStore, DirectoryStore, GitRepository, GitStore, patch};

use super::{Arguments, Failure};
use crate::error::{CommandError, at};

type Result<T> = core::result::Result<T, Failure>;

/// A tree, wherever it is.
pub(super) type Tree = Box<dyn Store>;

/// What is verified.
pub(super) enum Input {
    /// A state.
    Whole(Tree),
    /// A state and the one after it.
    Trees(Tree, Tree),
    /// A state and a patch, by its path and bytes.
    Patch(Tree, PathBuf, Vec<u8>),
    /// A commit.
    Revision(CommitId, GitStore),
    /// A commit and one after it.
    Range([(CommitId, GitStore); 2]),
}

impl Input {
    pub(super) fn open(repo: &Path, arguments: &Arguments) -> Result<Self> {
        if let Some(range) = &arguments.range {
            let (old, new) = range
                .split_once("..")
                .filter(|(old, new)| !old.is_empty() && !new.is_empty() && !new.starts_with('.'))
                .ok_or_else(|| {
                    CommandError::usage("a range is written OLD..NEW")
                        .hint("for example: conex verify --range origin/signed..FETCH_HEAD")
                })?;
            let git = repository(repo)?;
            return Ok(Self::Range([revision(&git, old)?, revision(&git, new)?]));
        }
        if let Some(name) = &arguments.revision {
            let (commit, store) = revision(&repository(repo)?, name)?;
            return Ok(Self::Revision(commit, store));
        }
        let after = arguments.dir.as_deref().unwrap_or(repo);
        Ok(match (&arguments.repository, &arguments.patch) {
            (Some(before), Some(patch)) => {
                let bytes = read_patch(patch)?;
                Self::Patch(tree(before)?, patch.clone(), bytes)
            }
            // Package managers name the place of a repository before there is anything.
            (Some(before), None) if !before.exists() => {
                Self::Trees(Box::new(MemoryStore::new()), tree(after)?)
            }
            (Some(before), None) => Self::Trees(tree(before)?, tree(after)?),
            (None, _) => Self::Whole(tree(after)?),
        })
    }

    pub(super) fn is_update(&self) -> bool {
        !matches!(self, Self::Whole(_) | Self::Revision(..))
    }
}

/// What reports and records are kept under: the repository that a package manager updates.
///
/// opam keeps a repository packed in a directory of its own, and unpacks it elsewhere, each time
/// at a new place, for an update. The patch lies in opam's directory, and tells which one it is.
pub(super) fn subject(repo: &Path, arguments: &Arguments) -> PathBuf {
    let Some(repository) = arguments.repository.as_deref() else {
        return arguments.dir.as_deref().unwrap_or(repo).to_owned();
    };
    let packed = || {
        let name = repository.file_name()?;
        let place = repository.parent()?.file_name()?.to_str()?;
        let log = arguments.patch.as_deref()?.parent()?;
        let root = log.parent().filter(|_| log.ends_with("log"))?;
        let kept = root.join("repo").join(name);
        let archive = root.join("repo").join(format!("{}.tar.gz", name.to_str()?));
        (place.starts_with("opam-") && archive.is_file()).then_some(kept)
    };
    packed().unwrap_or_else(|| repository.to_owned())
}

/// What is verified, in words.
pub(super) fn shown(repo: &Path, arguments: &Arguments) -> String {
    let at = |path: &Path| path.display().to_string();
    if let Some(what) = arguments.range.as_ref().or(arguments.revision.as_ref()) {
        return format!("{what} of {}", at(repo));
    }
    match (&arguments.repository, &arguments.patch) {
        (Some(before), Some(patch)) => format!("{} with {}", at(before), at(patch)),
        _ => at(arguments.dir.as_deref().unwrap_or(repo)),
    }
}

/// A directory, or an archive: what is a file is one.
fn tree(path: &Path) -> Result<Tree> {
    if path.is_file() {
        return match ArchiveStore::open(path) {
            Ok(store) => Ok(Box::new(store)),
            Err(ArchiveError::Io(error)) => {
                Err(CommandError::io(format_args!("{}: {error}", path.display())).into())
            }
            Err(error) => {
                let problem = Problem::new(Code::BadArchive, path.display(), error);
                Err(Failure::Refused(Box::new(problem)))
            }
        };
    }
    match DirectoryStore::open(path) {
        Ok(store) => Ok(Box::new(store)),
        Err(error) => Err(
            CommandError::io(format_args!("{}: {error}", path.display()))
                .hint("give a directory or a .tar.gz archive")
                .into(),
        ),
    }
}

/// A patch, of which no more is read than a patch may have; one byte more tells that it is too long.
fn read_patch(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("this is no regular file"));
        }
        File::open(path)?
            .take(patch::PATCH as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    Ok(read().map_err(at(shown))?)
}

fn repository(repo: &Path) -> Result<GitRepository> {
    Ok(GitRepository::open(repo).map_err(git_error)?)
}

fn revision(git: &GitRepository, name: &str) -> Result<(CommitId, GitStore)> {
    let commit = git.resolve(name).map_err(git_error)?;
    Ok((commit, git.store(commit).map_err(git_error)?))
}

fn git_error(error: GitError) -> CommandError {
    match error {
        GitError::NoRepository(_) | GitError::NoRevision(_) | GitError::NotACommit(..) => {
            CommandError::usage(error)
                .hint("revisions are those of the git repository given with -C")
        }
        _ => CommandError::io(error).hint("fetch it again: conex verifies nothing that is missing"),
    }
}

/// Whether there is nothing in a tree.
pub(super) fn is_empty(tree: &dyn Store) -> bool {
    tree.list(&TreePath::top())
        .is_ok_and(|entries| entries.is_empty())
}
