//! Queries to git, for the few commands that need it. A repository need not be in git, nor at the top of a
//! git working copy.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use conex_core::model::digest::Digest;
use conex_core::model::name::Id;
use conex_core::model::path::Path as TreePath;
use conex_core::tree::metadata::place;
use conex_core::tree::store::{EntryKind, MemoryStore, Store as _, StoreError};
use conex_repo::changes::changed_below;
use conex_repo::git::GitError;
use conex_repo::{DirectoryStore, GitRepository, GitStore};

use crate::error::{CommandError, Result};
use crate::output::{count, plain};

/// Finds the git repository that contains a directory, and the path of the directory in it.
pub(crate) fn around(
    directory: &Path,
) -> core::result::Result<(GitRepository, TreePath), GitError> {
    let none = || GitError::NoRepository(PathBuf::from(directory));
    let path = directory.canonicalize().map_err(|_| none())?;
    for top in path.ancestors() {
        match GitRepository::open(top) {
            Ok(repository) => {
                let below = path.strip_prefix(top).ok().and_then(Path::to_str);
                let below = match below.ok_or_else(none)? {
                    "" => TreePath::top(),
                    below => TreePath::parse(below).map_err(|_| none())?,
                };
                return Ok((repository, below));
            }
            Err(GitError::NoRepository(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(none())
}

/// Opens a directory as it is in a revision.
pub(crate) fn at_revision(
    directory: &Path,
    revision: &str,
) -> core::result::Result<GitStore, GitError> {
    let (repository, below) = around(directory)?;
    let store = repository.revision(revision)?;
    let failed = |error: StoreError| GitError::Object(format!("{revision}:{below}"), error);
    store.below(&below).map_err(failed)
}

/// Returns what prevents a separate commit: uncommitted changes below `conex/`. Returns `None` if nothing
/// does, or if this is no git working copy.
pub(crate) fn in_the_way(repo: &Path) -> Result<Option<String>> {
    let io = |error: &dyn core::fmt::Display| {
        CommandError::io(plain(&error.to_string())).hint("git status says how things stand")
    };
    if around(repo).is_err() {
        return Ok(None);
    }
    let metadata = TreePath::parse("conex").map_err(|error| io(&error))?;
    let work = DirectoryStore::open(repo).map_err(|error| io(&error))?;
    let changed = match at_revision(repo, "HEAD") {
        Ok(committed) => changed_below(&committed, &work, &metadata),
        // There is no commit yet.
        Err(GitError::NoRevision(_) | GitError::Object(_, StoreError::Missing)) => {
            changed_below(&MemoryStore::default(), &work, &metadata)
        }
        Err(error) => return Err(io(&error)),
    };
    let changed = changed.map_err(|error| io(&error))?.len();
    let are = if changed == 1 { "is" } else { "are" };
    Ok((changed > 0).then(|| {
        format!(
            "{} below conex/ {are} changed and not committed",
            count(changed, "file")
        )
    }))
}

/// Returns the pages of a person in a revision.
pub(crate) fn pages_at(repo: &Path, revision: &str, id: &Id) -> Result<BTreeSet<Digest>> {
    let failed = |error: &dyn core::fmt::Display| {
        CommandError::usage(plain(&error.to_string()))
            .hint("give a revision of this repository, or the pages themselves with --accept")
    };
    let store = at_revision(repo, revision).map_err(|error| failed(&error))?;
    let entries = match store.list(&place::pages(id)) {
        Ok(entries) => entries,
        Err(StoreError::Missing) => Vec::new(),
        Err(error) => return Err(failed(&error)),
    };
    let files = entries.iter().filter(|it| it.kind == EntryKind::File);
    let names = files.filter_map(|it| it.name.strip_suffix(".toml"));
    Ok(names.filter_map(|name| Digest::parse(name).ok()).collect())
}
