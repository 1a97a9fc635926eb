//! Marks, which distinguish a client's copy from any other tree (spec section 9.5).

use std::collections::BTreeSet;

use conex_core::model::digest::Digest;
use conex_core::model::limits;
use conex_core::model::path::Path;
use conex_core::tree::projection::Projection as _;
use conex_core::tree::store::{Store, StoreError};
use conex_core::verify::{CopyMark, MarkKind};

use crate::archive::ArchiveStore;
use crate::changes::ChangesError;
use crate::directory::DirectoryStore;
use crate::opam::RepoProjection;

/// The mark of one file.
pub type Mark = [u8; 32];

/// The key of a path: a digest that is long enough that nobody can find two paths with one key.
pub(crate) type Key = [u8; 16];

/// The marks of all files of a tree, including special files. Directories have none.
#[derive(Debug, Clone)]
pub struct Marks {
    kind: MarkKind,
    /// Sorted by key, without duplicates.
    files: Vec<(Key, Mark)>,
}

/// The file that opam rewrites if it lacks an `opam-version`.
const REPO: &str = "repo";

/// The line that opam then adds.
const OPAM_VERSION: &[u8] = b"opam-version: \"2.0\"\n";

/// The number of bytes to hash at once.
const PART: usize = 16 << 10;

impl Marks {
    /// Computes the marks of a directory.
    ///
    /// Marks by metadata consist of sizes, and of the times of the content and of the entry: a file that
    /// was written to, replaced or copied has another mark, and a moved directory has the same marks. Marks
    /// by content require reading all files.
    ///
    /// For files that were read already, see [`DirectoryStore::remembering`], the marks describe them at
    /// that time.
    ///
    /// # Errors
    /// [`ChangesError`] when a directory cannot be listed.
    pub fn of_directory(store: &DirectoryStore, kind: MarkKind) -> Result<Self, ChangesError> {
        let files = store.marks(kind)?;
        let mut marks = Self { kind, files };
        if kind == MarkKind::Metadata {
            marks.mark_repo(store);
        }
        Ok(marks)
    }

    /// Returns the marks of an archive that was read with [`ArchiveStore::read_marked`] and [`mark`], or
    /// `None` if it was not.
    pub fn of_archive(store: &ArchiveStore) -> Option<Self> {
        let mut files: Vec<(Key, Mark)> = store
            .marks()?
            .map(|(path, mark)| (key(path), mark))
            .collect();
        files.sort_unstable();
        let mut marks = Self {
            kind: MarkKind::Content,
            files,
        };
        marks.mark_repo(store);
        Some(marks)
    }

    /// Marks the file that opam rewrites by the part that opam keeps.
    fn mark_repo(&mut self, store: &dyn Store) {
        let repo = key(REPO);
        let at = self.files.binary_search_by_key(&repo, |(key, _)| *key);
        let found = at.ok().and_then(|at| self.files.get_mut(at));
        if let (Some((_, mark)), Ok(path)) = (found, Path::parse(REPO)) {
            *mark = content(store, &path).unwrap_or_default();
        }
    }

    /// Computes one digest of all marks. The `edited` files, in the order of their paths, have the given
    /// marks, or none if they do not exist, whatever is there now.
    pub fn digest(&self, edited: &[(&Path, Option<Mark>)]) -> CopyMark {
        let edited: Vec<(Key, Mark)> = edited
            .iter()
            .map(|(path, mark)| (key(path.as_str()), mark.unwrap_or_default()))
            .collect();
        let keys: BTreeSet<Key> = edited.iter().map(|(key, _)| *key).collect();
        let others = self.files.iter().filter(|(key, _)| !keys.contains(key));
        // No path has this key. It separates the edited files that follow.
        let between = [(Key::default(), Mark::default())];
        let mut hasher = blake3::Hasher::new();
        let mut part = Vec::with_capacity(PART + 48);
        for (key, mark) in others.chain(&between).chain(&edited) {
            part.extend_from_slice(key);
            part.extend_from_slice(mark);
            if part.len() >= PART {
                hasher.update(&part);
                part.clear();
            }
        }
        hasher.update(&part);
        CopyMark {
            kind: self.kind,
            digest: Digest::from_bytes(*hasher.finalize().as_bytes()),
        }
    }
}

/// Computes the key of a path.
pub(crate) fn key(path: &str) -> Key {
    let digest = blake3::hash(path.as_bytes());
    let mut key = Key::default();
    for (byte, from) in key.iter_mut().zip(digest.as_bytes()) {
        *byte = *from;
    }
    key
}

/// Computes the mark of a file by its content, or returns `None` if it does not exist.
pub fn content<S: Store + ?Sized>(store: &S, path: &Path) -> Option<Mark> {
    let mut bytes = Vec::new();
    match store.read(path, limits::DATA_FILE, &mut bytes) {
        Ok(()) => Some(mark_at(path, &bytes)),
        Err(StoreError::Missing) => None,
        Err(StoreError::Special(kind)) => Some(special(kind)),
        Err(error) => Some(tagged(b'u', &[error.to_string().as_bytes()])),
    }
}

/// Computes the mark of a file from its bytes. For the file `repo` of opam repositories, all versions that
/// opam may make of it have the same mark: it covers the signed part only.
pub fn mark_at(path: &Path, bytes: &[u8]) -> Mark {
    if path.as_str() == REPO {
        // No field occurs twice in such a file, so only one of these can be read.
        let printed = [OPAM_VERSION, bytes].concat();
        for text in [&printed, bytes] {
            let mut form = Vec::new();
            if RepoProjection.project(text, &mut form).is_ok() {
                return tagged(b'r', &[&form]);
            }
        }
    }
    mark(bytes)
}

/// Computes the mark of bytes: their digest.
pub fn mark(bytes: &[u8]) -> Mark {
    *blake3::hash(bytes).as_bytes()
}

/// Returns the mark of something that is not a regular file.
pub(crate) fn special(kind: &str) -> Mark {
    tagged(b's', &[kind.as_bytes()])
}

/// Computes the mark of a file by its metadata.
pub(crate) fn metadata(stat: &rustix::fs::Stat) -> Mark {
    tagged(
        b'm',
        &[
            &stat.st_size.to_le_bytes(),
            &stat.st_mtime.to_le_bytes(),
            &stat.st_mtime_nsec.to_le_bytes(),
            &stat.st_ctime.to_le_bytes(),
            &stat.st_ctime_nsec.to_le_bytes(),
        ],
    )
}

fn tagged(tag: u8, parts: &[&[u8]]) -> Mark {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"conex mark ").update(&[tag]);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path as SystemPath;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        for file in ["a/b/c", "a/d", "e"] {
            fs::write(dir.path().join(file), file).unwrap();
        }
        symlink("e", dir.path().join("link")).unwrap();
        dir
    }

    fn metadata_of(root: &SystemPath) -> CopyMark {
        let store = DirectoryStore::open(root).unwrap();
        Marks::of_directory(&store, MarkKind::Metadata)
            .unwrap()
            .digest(&[])
    }

    fn content_of(root: &SystemPath) -> CopyMark {
        let store = DirectoryStore::open(root).unwrap();
        Marks::of_directory(&store, MarkKind::Content)
            .unwrap()
            .digest(&[])
    }

    #[test]
    fn whatever_is_done_to_a_file_is_seen_in_the_marks() {
        type Edit = fn(&SystemPath);
        let edits: [Edit; 6] = [
            |at| fs::write(at.join("a/b/c"), "other").unwrap(),
            |at| fs::write(at.join("more"), "").unwrap(),
            |at| fs::remove_file(at.join("a/d")).unwrap(),
            |at| fs::rename(at.join("a/d"), at.join("a/f")).unwrap(),
            |at| {
                fs::remove_file(at.join("e")).unwrap();
                symlink("a/d", at.join("e")).unwrap();
            },
            |at| {
                fs::remove_file(at.join("link")).unwrap();
                fs::write(at.join("link"), "e").unwrap();
            },
        ];
        for edit in edits {
            for of in [metadata_of, content_of] {
                let dir = tree();
                let before = of(dir.path());
                assert_eq!(before, of(dir.path()));
                // Directories have no marks.
                fs::create_dir_all(dir.path().join("x/y")).unwrap();
                assert_eq!(before, of(dir.path()));
                edit(dir.path());
                assert_ne!(before, of(dir.path()));
            }
        }
    }

    #[test]
    fn metadata_tells_what_was_copied_from_what_was_moved() {
        let dir = tree();
        let (metadata, content) = (metadata_of(dir.path()), content_of(dir.path()));
        let [inside, moved] = ["b", "moved"].map(|name| dir.path().join("a").join(name));
        fs::rename(&inside, &moved).unwrap();
        fs::rename(&moved, &inside).unwrap();
        assert_eq!(metadata_of(dir.path()), metadata);
        let file = dir.path().join("e");
        fs::copy(&file, dir.path().join("copy")).unwrap();
        fs::rename(dir.path().join("copy"), &file).unwrap();
        assert_ne!(metadata_of(dir.path()), metadata);
        assert_eq!(content_of(dir.path()), content);
        assert_ne!(metadata, content);
    }

    #[test]
    fn marks_are_of_what_was_read_where_a_store_remembers() {
        for kind in [MarkKind::Metadata, MarkKind::Content] {
            let dir = tree();
            let open = || DirectoryStore::open(dir.path()).unwrap();
            for remembering in [false, true] {
                let before = Marks::of_directory(&open(), kind).unwrap().digest(&[]);
                let mut store = open();
                if remembering {
                    store = store.remembering(kind);
                }
                for directory in [Path::top(), path("a"), path("a/b")] {
                    store.list(&directory).unwrap();
                }
                store.read(&path("a/d"), 100, &mut Vec::new()).unwrap();
                fs::rename(dir.path().join("a/d"), dir.path().join("away")).unwrap();
                fs::write(dir.path().join("a/d"), "other").unwrap();
                let marks = Marks::of_directory(&store, kind).unwrap();
                assert_eq!(marks.digest(&[]) == before, remembering);
                // Remembered files occur once.
                let marks = Marks::of_directory(&store, kind).unwrap();
                assert_ne!(marks.digest(&[]), before);
                fs::rename(dir.path().join("away"), dir.path().join("a/d")).unwrap();
            }
        }
    }

    #[test]
    fn a_file_that_was_read_in_two_states_is_in_neither() {
        for kind in [MarkKind::Metadata, MarkKind::Content] {
            let dir = tree();
            let store = DirectoryStore::open(dir.path()).unwrap().remembering(kind);
            let marks =
                |store: &DirectoryStore| Marks::of_directory(store, kind).unwrap().digest(&[]);
            let mut seen = Vec::new();
            for text in ["one", "other"] {
                fs::write(dir.path().join("e"), text).unwrap();
                store.list(&Path::top()).unwrap();
                store.read(&path("e"), 100, &mut Vec::new()).unwrap();
                let fresh = DirectoryStore::open(dir.path()).unwrap();
                seen.push(marks(&fresh));
            }
            assert!(!seen.contains(&marks(&store)));
        }
    }

    #[test]
    fn files_that_an_update_edits_are_told_by_their_content() {
        let dir = tree();
        let store = || DirectoryStore::open(dir.path()).unwrap();
        let edited = [path("a/d"), path("a/new")];
        let now = |store: &DirectoryStore| {
            let found: Vec<_> = edited
                .iter()
                .map(|path| (path, content(store, path)))
                .collect();
            Marks::of_directory(store, MarkKind::Metadata)
                .unwrap()
                .digest(&found)
        };
        let before = now(&store());
        let planned = {
            let new: [(&Path, Option<Mark>); 2] = [
                (&edited[0], Some(mark_at(&edited[0], b"edited"))),
                (&edited[1], Some(mark_at(&edited[1], b"new"))),
            ];
            Marks::of_directory(&store(), MarkKind::Metadata)
                .unwrap()
                .digest(&new)
        };
        assert_ne!(before, planned);
        fs::write(dir.path().join("a/d"), "edited").unwrap();
        assert!(![before, planned].contains(&now(&store())), "half");
        fs::write(dir.path().join("a/new"), "new").unwrap();
        assert_eq!(now(&store()), planned);
        fs::remove_file(dir.path().join("a/new")).unwrap();
        fs::write(dir.path().join("a/d"), "a/d").unwrap();
        assert_eq!(now(&store()), before);
        fs::write(dir.path().join("e"), "e").unwrap();
        assert!(![before, planned].contains(&now(&store())));
    }

    #[test]
    fn what_opam_prints_anew_has_the_same_mark() {
        let repo = path("repo");
        let written = b"stamp: \"1\" # one\nannounce: \"news\"\n";
        let printed = b"opam-version: \"2.0\"\nannounce: \"news\"\nstamp: \"1\"\n";
        let other = b"opam-version: \"2.0\"\nannounce: \"olds\"\nstamp: \"1\"\n";
        assert_eq!(mark_at(&repo, written), mark_at(&repo, printed));
        assert_ne!(mark_at(&repo, written), mark_at(&repo, other));
        for (one, two) in [
            // A change that opam does not make gives another mark.
            ("stamp: \"1\"\n", "opam-version: \"1.2\"\nstamp: \"1\"\n"),
            // Text that looks like a field may be part of a string.
            (
                "x-a: \"1\nopam-version : one\n\"\n",
                "x-a: \"1\nopam-version : two\n\"\n",
            ),
        ] {
            assert_ne!(
                mark_at(&repo, one.as_bytes()),
                mark_at(&repo, two.as_bytes())
            );
        }
        let elsewhere = path("a/repo");
        assert_ne!(mark_at(&elsewhere, written), mark_at(&elsewhere, printed));
        for of in [metadata_of, content_of] {
            let dir = tree();
            let place = dir.path().join("repo");
            fs::write(&place, written).unwrap();
            let before = of(dir.path());
            fs::write(&place, printed).unwrap();
            assert_eq!(of(dir.path()), before);
            fs::write(&place, other).unwrap();
            assert_ne!(of(dir.path()), before);
        }
    }

    #[test]
    fn archives_have_the_marks_of_the_trees_in_them() {
        let dir = tree();
        fs::remove_file(dir.path().join("link")).unwrap();
        fs::write(dir.path().join("repo"), "stamp: \"1\"\n").unwrap();
        let store = DirectoryStore::open(dir.path()).unwrap();
        let mut packed = Vec::new();
        let files = ["a/b/c", "a/d", "e", "repo"].map(path);
        crate::archive::write(&store, &files, &mut packed).unwrap();
        let archive = ArchiveStore::read_marked(packed.as_slice(), &mark).unwrap();
        let marks = Marks::of_archive(&archive).unwrap();
        assert_eq!(marks.digest(&[]), content_of(dir.path()));
        let archive = ArchiveStore::read(packed.as_slice()).unwrap();
        assert!(Marks::of_archive(&archive).is_none());
    }
}
