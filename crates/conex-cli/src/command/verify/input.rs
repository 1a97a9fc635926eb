//! The input of a verification: one state, or two of which the second follows the first.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use conex_core::model::path::Path as TreePath;
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::store::{MemoryStore, Store, StoreError};
use conex_core::verify::MarkKind;
use conex_repo::git::CommitId;
use conex_repo::{ArchiveStore, DirectoryStore, GitRepository, GitStore, Marks, marks, patch};

use super::{Arguments, Failure};
use crate::error::{CommandError, at};

type Result<T> = core::result::Result<T, Failure>;

/// A tree, wherever it is stored.
pub(super) struct Tree {
    found: Found,
    /// Its path, and the mark of the file or directory found there.
    place: Option<(PathBuf, Mark)>,
}

enum Found {
    Directory(Box<DirectoryStore>),
    Archive(ArchiveStore),
    Nothing(MemoryStore),
}

impl Tree {
    /// Whether it is an archive.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self.found, Found::Archive(_))
    }

    /// Returns the kind of marks that identify this tree. A temporary directory and an archive are
    /// identified by their content alone.
    pub(super) fn kind(&self) -> MarkKind {
        let is_fleeting = self.place.as_ref().is_some_and(|(place, _)| {
            let name = place.parent().and_then(Path::file_name);
            name.is_some_and(|name| name.as_encoded_bytes().starts_with(FLEETING.as_bytes()))
        });
        match self.found {
            Found::Directory(_) if !is_fleeting => MarkKind::Metadata,
            _ => MarkKind::Content,
        }
    }

    /// Returns the marks of its files, or `None` if it has none of that kind or cannot be read.
    pub(super) fn marks(&self, kind: MarkKind) -> Option<Marks> {
        match (&self.found, kind) {
            (Found::Directory(store), kind) => Marks::of_directory(store, kind).ok(),
            (Found::Archive(store), MarkKind::Content) => Marks::of_archive(store),
            _ => None,
        }
    }

    /// Returns the same tree, which remembers the marks of the files it reads.
    fn remembering(mut self, kind: MarkKind) -> Self {
        if let Found::Directory(store) = self.found {
            self.found = Found::Directory(Box::new(store.remembering(kind)));
        }
        self
    }
}

impl core::ops::Deref for Tree {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        match &self.found {
            Found::Directory(store) => &**store,
            Found::Archive(store) => store,
            Found::Nothing(store) => store,
        }
    }
}

/// The prefix of the temporary directories into which opam unpacks archives.
const FLEETING: &str = "opam-";

/// Identifies a file or directory, so that a replacement at its path is noticed. Writing to a file changes
/// its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    written: Option<(u64, i64, i64)>,
}

impl Mark {
    fn of(path: &Path) -> std::io::Result<Self> {
        let found = std::fs::metadata(path)?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            written: found
                .is_file()
                .then(|| (found.size(), found.ctime(), found.ctime_nsec())),
        })
    }
}

/// The input of a verification.
pub(super) enum Input {
    /// A state.
    Whole(Tree),
    /// A state and the one after it.
    Trees(Tree, Tree),
    /// A state and a patch.
    Patch(Tree, PatchFile),
    /// A commit.
    Revision(CommitId, GitStore),
    /// A commit and one after it.
    Range([(CommitId, GitStore); 2]),
}

/// A patch as it was read.
pub(super) struct PatchFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    mark: Mark,
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
            (Some(before), Some(patch)) => Self::Patch(own(before)?, read_patch(patch)?),
            // Package managers name the path of a repository before it exists.
            (Some(before), None) if !before.exists() => {
                let nothing = Tree {
                    found: Found::Nothing(MemoryStore::new()),
                    place: None,
                };
                Self::Trees(
                    nothing,
                    tree_after(after, None)?.remembering(MarkKind::Content),
                )
            }
            (Some(before), None) => {
                let after = tree_after(after, Some(before))?.remembering(MarkKind::Content);
                Self::Trees(own(before)?, after)
            }
            (None, _) => {
                let tree = offered(after)?;
                let kind = tree.kind();
                Self::Whole(tree.remembering(kind))
            }
        })
    }

    pub(super) fn is_update(&self) -> bool {
        !matches!(self, Self::Whole(_) | Self::Revision(..))
    }

    /// Checks that what was read is still in place: no other directory, archive or patch has replaced it.
    /// Commits are identified by their ids.
    pub(super) fn unchanged(&self) -> Result<()> {
        let tree = |tree: &Tree| tree.place.clone();
        let places = match self {
            Self::Whole(only) => [tree(only), None],
            Self::Trees(before, after) => [tree(before), tree(after)],
            Self::Patch(before, patch) => [tree(before), Some((patch.path.clone(), patch.mark))],
            Self::Revision(..) | Self::Range(_) => [None, None],
        };
        for (path, mark) in places.into_iter().flatten() {
            if Mark::of(&path).ok() != Some(mark) {
                let detail = "something else was put in its place while it was verified";
                let problem = Problem::new(Code::Unreadable, path.display(), detail);
                return Err(Failure::Refused(Box::new(problem)));
            }
        }
        Ok(())
    }
}

/// Returns the path under which reports and records are kept: that of the repository which a package
/// manager updates.
pub(super) fn subject(repo: &Path, arguments: &Arguments) -> PathBuf {
    let Some(repository) = arguments.repository.as_deref() else {
        return arguments.dir.as_deref().unwrap_or(repo).to_owned();
    };
    opams(repository, arguments).unwrap_or_else(|| repository.to_owned())
}

/// Returns opam's name of the repository that it updates, for people; `None` if opam is not the caller.
pub(super) fn title(arguments: &Arguments) -> Option<String> {
    let place = opams(arguments.repository.as_deref()?, arguments)?;
    Some(format!("opam repository {}", place.file_name()?.display()))
}

/// Returns where opam keeps a repository, if it is one of opam's: `repo/NAME` in its own directory, whether
/// that is a directory or, under another name, an archive.
///
/// Some versions of opam keep an archive and, for each update, unpack it at a new place. The patch lies in
/// opam's own directory and tells which repository it is.
fn opams(repository: &Path, arguments: &Arguments) -> Option<PathBuf> {
    let name = repository.file_name()?.to_str()?;
    let directory = repository.parent()?;
    let unpacked = || {
        let place = directory.file_name()?.to_str()?;
        let log = arguments.patch.as_deref()?.parent()?;
        let repositories = log.parent().filter(|_| log.ends_with("log"))?.join("repo");
        let archive = repositories.join(format!("{name}.tar.gz"));
        let is_packed = place.starts_with(FLEETING) && archive.is_file();
        is_packed.then(|| repositories.join(name))
    };
    let kept = || {
        let name = name.strip_suffix(".tar.gz").unwrap_or(name);
        let is_opams = directory.join("repos-config").is_file();
        is_opams.then(|| directory.join(name))
    };
    unpacked().or_else(kept)
}

/// Describes the input in words.
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

/// Opens a tree that a server offers, or that anybody has.
fn offered(path: &Path) -> Result<Tree> {
    tree(path, "")
}

/// Opens the client's own copy, which no server can repair.
fn own(path: &Path) -> Result<Tree> {
    tree(
        path,
        "; this is the copy on this machine, not what a server sent: remove it, and update, which fetches everything again",
    )
}

/// Opens a directory, or an archive if the path is a file.
fn tree(path: &Path, advice: &str) -> Result<Tree> {
    tree_of(path, advice, DirectoryStore::open(path))
}

/// Opens the result of an update of another tree, if there was one. A `.git` that did not exist before came
/// with the data: package managers create theirs before they call.
fn tree_after(path: &Path, before: Option<&Path>) -> Result<Tree> {
    let before = before.and_then(|before| DirectoryStore::open(before).ok());
    let opened = DirectoryStore::open(path);
    tree_of(path, "", opened.map(|store| store.after(before.as_ref())))
}

fn tree_of(
    path: &Path,
    advice: &str,
    directory: core::result::Result<DirectoryStore, StoreError>,
) -> Result<Tree> {
    let mark = Mark::of(path)
        .map_err(|error| at(path.display())(error).hint("give a directory or a .tar.gz archive"))?;
    let found = if mark.written.is_some() {
        let file = File::open(path).map_err(at(path.display()))?;
        let store = ArchiveStore::read_marked(file, &marks::mark).map_err(|error| {
            let detail = format!("{error}{advice}");
            let problem = Problem::new(Code::BadArchive, path.display(), detail);
            Failure::Refused(Box::new(problem))
        })?;
        Found::Archive(store)
    } else {
        let store = directory
            .map_err(|error| CommandError::io(format_args!("{}: {error}", path.display())))?;
        Found::Directory(Box::new(store))
    };
    let place = Some((path.to_owned(), mark));
    Ok(Tree { found, place })
}

/// Reads a patch, but at most one byte more than the limit, which shows that it is too long.
fn read_patch(path: &Path) -> Result<PatchFile> {
    let read = || -> std::io::Result<PatchFile> {
        let mark = Mark::of(path)?;
        if mark.written.is_none() {
            return Err(std::io::Error::other("this is no regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?
            .take(patch::PATCH as u64 + 1)
            .read_to_end(&mut bytes)?;
        let path = path.to_owned();
        Ok(PatchFile { path, bytes, mark })
    };
    Ok(read().map_err(at(path.display()))?)
}

fn repository(repo: &Path) -> Result<GitRepository> {
    Ok(GitRepository::open(repo)?)
}

fn revision(git: &GitRepository, name: &str) -> Result<(CommitId, GitStore)> {
    let commit = git.resolve(name)?;
    Ok((commit, git.store(commit)?))
}

/// Whether a tree is empty.
pub(super) fn is_empty(tree: &dyn Store) -> bool {
    tree.list(&TreePath::top())
        .is_ok_and(|entries| entries.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn open(directory: &Path, patch: bool) -> Input {
        let tree = || offered(&directory.join("old")).ok().unwrap();
        if patch {
            return Input::Patch(tree(), read_patch(&directory.join("patch")).ok().unwrap());
        }
        Input::Whole(tree())
    }

    /// Changes what was opened, before the verdict.
    fn after(change: impl Fn(&Path), patch: bool) -> bool {
        let directory = tempfile::tempdir().unwrap();
        for place in ["old", "other"] {
            fs::create_dir(directory.path().join(place)).unwrap();
        }
        for patch in ["patch", "other-patch"] {
            fs::write(directory.path().join(patch), "a patch").unwrap();
        }
        let input = open(directory.path(), patch);
        change(directory.path());
        input.unchanged().is_ok()
    }

    #[test]
    fn toctou() {
        let swap = |at: &Path| {
            fs::rename(at.join("old"), at.join("gone")).unwrap();
            fs::rename(at.join("other"), at.join("old")).unwrap();
        };
        let link = |at: &Path| {
            fs::rename(at.join("old"), at.join("gone")).unwrap();
            std::os::unix::fs::symlink("other", at.join("old")).unwrap();
        };
        let remove = |at: &Path| fs::remove_dir(at.join("old")).unwrap();
        for patch in [false, true] {
            assert!(after(|_| (), patch));
            assert!(!after(swap, patch));
            assert!(!after(link, patch));
            assert!(!after(remove, patch));
        }
        let replaced = |at: &Path| fs::rename(at.join("other-patch"), at.join("patch")).unwrap();
        let longer = |at: &Path| fs::write(at.join("patch"), "another patch").unwrap();
        assert!(!after(replaced, true));
        assert!(!after(longer, true));
        assert!(after(replaced, false));
    }
}
