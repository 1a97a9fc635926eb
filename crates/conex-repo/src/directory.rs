//! A tree in a directory of the file system.

mod marked;

use core::ffi::CStr;
use core::mem::MaybeUninit;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path as SystemPath, PathBuf};
use std::sync::{Mutex, PoisonError};

use conex_core::model::limits;
use conex_core::model::path::Path;
use conex_core::tree::store::{Entry, EntryKind, Store, StoreError};
use conex_core::verify::MarkKind;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, Stat};
use rustix::io::Errno;

use thread_local::ThreadLocal;

use crate::marks;
use marked::Seen;

/// A directory that is opened once. Every path is resolved beneath it, and no link is ever followed.
///
/// A path of a thousand components, or a directory that is moved while it is read, cannot lead outside: the
/// kernel resolves each path beneath the opened directory (`openat2` with `RESOLVE_BENEATH` and
/// `RESOLVE_NO_SYMLINKS`). Where it cannot do that, the path is walked one component at a time.
///
/// Directories of a version control system at the top are not listed (spec section 8.1), if they really are
/// what their names say.
#[derive(Debug)]
pub struct DirectoryStore {
    top: OwnedFd,
    root: PathBuf,
    beneath: bool,
    own: Vec<&'static CStr>,
    /// The entries seen so far, if they are to be remembered.
    seen: Option<(MarkKind, ThreadLocal<Mutex<Seen>>)>,
}

/// The entries of git, Mercurial and darcs at the top of a working copy.
const OWN: [&CStr; 3] = [c".git", c".hg", c"_darcs"];

/// The longest `.git` file to read: it contains one path.
const POINTER: u64 = 4 << 10;

impl DirectoryStore {
    /// Opens a directory.
    ///
    /// # Errors
    /// [`StoreError`] when it is not there, or is not a directory.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        // The path to the tree is the user's own and may contain links.
        let top = rustix::fs::open(
            &root,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| store_error(errno, "directory"))?;
        let probe = rustix::fs::openat2(&top, c".", directory_flags(), Mode::empty(), resolve());
        let beneath = probe.is_ok();
        let own: Vec<&CStr> = OWN
            .into_iter()
            .filter(|name| is_version_control(&top, &root, name))
            .collect();
        tracing::debug!(root = %root.display(), beneath, ?own, "opened a directory");
        Ok(Self {
            top,
            root,
            beneath,
            own,
            seen: None,
        })
    }

    /// Returns the same store, which remembers the marks of what it reads. [`marks::Marks::of_directory`]
    /// then describes what was read, not what is there afterwards.
    #[must_use]
    pub fn remembering(mut self, kind: MarkKind) -> Self {
        self.seen = Some((kind, ThreadLocal::new()));
        self
    }

    fn remember(&self, what: impl FnOnce(&mut Seen)) {
        if let Some((_, seen)) = &self.seen {
            let seen = seen.get_or_default().lock();
            what(&mut seen.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Returns the same store for the tree after an update. It treats as version control only what the tree
    /// before the update has, too: a version control program creates its directory before it fetches
    /// anything. Anything that came with the data is listed as data.
    #[must_use]
    pub fn after(mut self, before: Option<&Self>) -> Self {
        self.own
            .retain(|name| before.is_some_and(|before| before.own.contains(name)));
        self
    }

    /// Returns the path of the tree, as it was given.
    pub fn root(&self) -> &SystemPath {
        &self.root
    }

    fn open_beneath(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        if path.as_str().is_empty() {
            return rustix::fs::openat(&self.top, c".", flags, Mode::empty());
        }
        if self.beneath {
            // The kernel asks to try again if something on the path was renamed meanwhile.
            for _ in 0..16 {
                match rustix::fs::openat2(&self.top, path.as_str(), flags, Mode::empty(), resolve())
                {
                    Err(Errno::AGAIN) => {}
                    result => return result,
                }
            }
            return Err(Errno::AGAIN);
        }
        let mut components = path.components();
        let last = components.next_back().unwrap_or(".");
        let mut at: Option<OwnedFd> = None;
        for component in components {
            let parent = at.as_ref().unwrap_or(&self.top);
            at = Some(rustix::fs::openat(
                parent,
                component,
                directory_flags(),
                Mode::empty(),
            )?);
        }
        rustix::fs::openat(at.as_ref().unwrap_or(&self.top), last, flags, Mode::empty())
    }

    /// Lists an opened directory, sorted by the bytes of the names.
    fn entries(&self, directory: &Path, opened: &OwnedFd) -> Result<Vec<Entry>, StoreError> {
        let mut buffer = [MaybeUninit::uninit(); LISTING];
        let mut reader = RawDir::new(opened, &mut buffer);
        let mut entries = Vec::new();
        while let Some(found) = reader.next() {
            let found = found.map_err(|errno| store_error(errno, "directory"))?;
            let name = found.file_name();
            if matches!(name.to_bytes(), b"." | b"..")
                || (directory.as_str().is_empty() && self.own.contains(&name))
            {
                continue;
            }
            if entries.len() >= limits::ENTRIES {
                return Err(StoreError::TooMany);
            }
            let kind = match found.file_type() {
                FileType::Unknown => {
                    Self::kind_at(opened, name).map_err(|errno| store_error(errno, "directory"))?
                }
                known => kind(known),
            };
            entries.push(Entry {
                name: text(name),
                kind,
            });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn kind_at(directory: &OwnedFd, name: &CStr) -> Result<EntryKind, Errno> {
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(kind(FileType::from_raw_mode(stat.st_mode)))
    }
}

/// Whether an entry at the top is what its name says: the directory of a repository, or the file by which
/// git finds the repository from an additional work tree. A link is neither.
fn is_version_control(top: &OwnedFd, root: &SystemPath, name: &CStr) -> bool {
    let Ok(stat) = rustix::fs::statat(top, name, AtFlags::SYMLINK_NOFOLLOW) else {
        return false;
    };
    let place = root.join(text(name));
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory if name == c".git" => is_git(&place),
        FileType::Directory if name == c".hg" => place.join("requires").is_file(),
        FileType::Directory => place.join("format").is_file(),
        FileType::RegularFile if name == c".git" => points_to_git(&place),
        _ => false,
    }
}

/// Whether git would accept a directory as a repository.
fn is_git(directory: &SystemPath) -> bool {
    directory.join("HEAD").symlink_metadata().is_ok()
        && ["objects", "refs"]
            .iter()
            .all(|name| directory.join(name).is_dir())
}

/// Whether a file gives the location of the repository of an additional work tree or submodule.
fn points_to_git(file: &SystemPath) -> bool {
    let mut pointer = String::new();
    let read = File::open(file).and_then(|file| file.take(POINTER).read_to_string(&mut pointer));
    let Some(target) = pointer.strip_prefix("gitdir: ").filter(|_| read.is_ok()) else {
        return false;
    };
    // A relative path starts at the directory of the file.
    let Some(directory) = file
        .parent()
        .map(|top| top.join(target.trim_end_matches('\n')))
    else {
        return false;
    };
    // An additional work tree shares everything but HEAD and the index.
    is_git(&directory)
        || (directory.join("HEAD").is_file() && directory.join("commondir").is_file())
}

fn resolve() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn kind(found: FileType) -> EntryKind {
    match found {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Special("symbolic link"),
        FileType::Fifo => EntryKind::Special("named pipe"),
        FileType::Socket => EntryKind::Special("socket"),
        FileType::BlockDevice | FileType::CharacterDevice => EntryKind::Special("device"),
        FileType::Unknown => EntryKind::Special("file of unknown type"),
    }
}

fn store_error(errno: Errno, expected: &'static str) -> StoreError {
    match errno {
        Errno::NOENT => StoreError::Missing,
        Errno::LOOP | Errno::MLINK => StoreError::Special("symbolic link"),
        Errno::NOTDIR if expected == "directory" => StoreError::Special("file"),
        // A socket cannot be opened at all. A pipe without a writer can be opened only like this.
        Errno::NXIO => StoreError::Special("socket or pipe"),
        other => StoreError::Io(std::io::Error::from(other).to_string()),
    }
}

/// Whether a file is unchanged, assuming that nobody sets the clock back.
fn is_untouched(before: &Stat, after: &Stat) -> bool {
    before.st_ctime == after.st_ctime && before.st_ctime_nsec == after.st_ctime_nsec
}

/// The number of bytes of a listing to fetch at once: some hundred entries, on the stack.
const LISTING: usize = 8 << 10;

impl Store for DirectoryStore {
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, StoreError> {
        let opened = self
            .open_beneath(directory, directory_flags())
            .map_err(|errno| store_error(errno, "directory"))?;
        let entries = self.entries(directory, &opened)?;
        self.remember(|seen| seen.list(directory, &entries));
        Ok(entries)
    }

    fn read(&self, file: &Path, limit: u64, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        // Without NONBLOCK, opening a named pipe waits for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = self
            .open_beneath(file, flags)
            .map_err(|errno| store_error(errno, "file"))?;
        let stat = rustix::fs::fstat(&opened).map_err(|errno| store_error(errno, "file"))?;
        match kind(FileType::from_raw_mode(stat.st_mode)) {
            EntryKind::File => {}
            EntryKind::Directory => return Err(StoreError::Special("directory")),
            EntryKind::Special(kind) => return Err(StoreError::Special(kind)),
        }
        if stat.st_nlink > 1 {
            // It can be changed under its other name, even from outside the tree.
            return Err(StoreError::Special("file with a second hard link"));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > limit {
            return Err(StoreError::TooLarge(limit));
        }
        buffer.clear();
        let expected = usize::try_from(size).map_err(|_| StoreError::TooLarge(limit))?;
        buffer.reserve(expected + 1);
        // Read one byte more than expected to detect a file that grew.
        let mut opened = File::from(opened).take(size + 1);
        opened
            .read_to_end(buffer)
            .map_err(|error| StoreError::Io(error.to_string()))?;
        let after =
            rustix::fs::fstat(opened.get_ref()).map_err(|errno| store_error(errno, "file"))?;
        if buffer.len() == expected && is_untouched(&stat, &after) {
            if let Some((kind, _)) = &self.seen {
                let mark = match kind {
                    MarkKind::Metadata => marks::metadata(&after),
                    MarkKind::Content => marks::mark_at(file, buffer),
                };
                self.remember(|seen| seen.read.push((marks::key(file.as_str()), mark)));
            }
            Ok(())
        } else {
            Err(StoreError::Changed)
        }
    }

    fn kind(&self, path: &Path) -> Result<Option<EntryKind>, StoreError> {
        // Opening with PATH never blocks, and a link is opened as the link itself.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let stat = self
            .open_beneath(path, flags)
            .and_then(|place| rustix::fs::fstat(&place));
        match stat {
            Ok(stat) => Ok(Some(kind(FileType::from_raw_mode(stat.st_mode)))),
            // A link on the path leads out of the tree, so the tree has nothing there.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(store_error(errno, "file")),
        }
    }
}

/// Converts a name to text. Invalid UTF-8 is escaped with a backslash, which no valid name contains.
fn text(name: &CStr) -> String {
    name.to_str().map_or_else(
        |_| name.to_bytes().escape_ascii().to_string(),
        ToOwned::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    fn read(store: &DirectoryStore, file: &str) -> Result<Vec<u8>, StoreError> {
        let mut buffer = Vec::new();
        store.read(&path(file), 100, &mut buffer).map(|()| buffer)
    }

    /// Opens the same tree with both ways of resolving paths.
    fn stores(root: &SystemPath) -> [DirectoryStore; 2] {
        let mut walked = DirectoryStore::open(root).unwrap();
        walked.beneath = false;
        [DirectoryStore::open(root).unwrap(), walked]
    }

    #[test]
    fn regular_files_are_listed_and_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/c"), "text").unwrap();
        for store in stores(dir.path()) {
            assert_eq!(read(&store, "a/b/c").unwrap(), b"text");
            let names: Vec<_> = store
                .list(&Path::top())
                .unwrap()
                .into_iter()
                .map(|entry| entry.name)
                .collect();
            assert_eq!(names, ["a"]);
            assert_eq!(read(&store, "a/x"), Err(StoreError::Missing));
            assert_eq!(store.list(&path("x")), Err(StoreError::Missing));
            assert_eq!(store.kind(&path("a/b/c")), Ok(Some(EntryKind::File)));
            assert_eq!(store.kind(&path("a/b")), Ok(Some(EntryKind::Directory)));
            assert_eq!(store.kind(&Path::top()), Ok(Some(EntryKind::Directory)));
            assert_eq!(store.kind(&path("x/y")), Ok(None));
        }
    }

    /// Creates files, and directories for places that end in a slash.
    fn make(root: &SystemPath, places: &[&str]) {
        for place in places {
            let path = root.join(place);
            if place.ends_with('/') {
                std::fs::create_dir_all(path).unwrap();
            } else {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "x\n").unwrap();
            }
        }
    }

    fn listed(store: &DirectoryStore) -> Vec<String> {
        let entries = store.list(&Path::top()).unwrap();
        entries.into_iter().map(|entry| entry.name).collect()
    }

    const GIT: [&str; 3] = [".git/HEAD", ".git/objects/", ".git/refs/"];

    #[test]
    fn version_control_is_no_part_of_a_tree_where_it_is_what_its_name_says() {
        let dir = tempfile::tempdir().unwrap();
        make(
            dir.path(),
            &["a/.git/x", "a/.hg/requires", "a/_darcs/format"],
        );
        make(
            dir.path(),
            &[".git/", ".hg/store/", "_darcs/patches/", ".github/"],
        );
        let all = [".git", ".github", ".hg", "_darcs", "a"];
        for store in stores(dir.path()) {
            assert_eq!(listed(&store), all);
        }
        make(dir.path(), &GIT);
        make(dir.path(), &[".hg/requires", "_darcs/format"]);
        for store in stores(dir.path()) {
            assert_eq!(listed(&store), [".github", "a"]);
            let below = store.list(&path("a")).unwrap();
            assert_eq!(below.len(), 3, "only at the top");
        }
        // Something that exists only after an update came with it.
        let before = tempfile::tempdir().unwrap();
        let open = |at: &SystemPath| DirectoryStore::open(at).unwrap();
        make(before.path(), &GIT);
        let after = open(dir.path()).after(Some(&open(before.path())));
        assert_eq!(listed(&after), [".github", ".hg", "_darcs", "a"]);
        assert_eq!(listed(&open(dir.path()).after(None)), all);
    }

    #[test]
    fn a_file_named_git_is_version_control_where_it_leads_to_it() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let says = |text: String| std::fs::write(dir.path().join(".git"), text).unwrap();
        let is_listed = || !listed(&DirectoryStore::open(dir.path()).unwrap()).is_empty();
        let git = outside.path().join(".git");
        says(format!("gitdir: {}\n", git.display()));
        assert!(is_listed(), "there is nothing yet");
        make(outside.path(), &GIT);
        assert!(!is_listed());
        let tree = git.join("worktrees/tree");
        make(outside.path(), &[".git/worktrees/tree/HEAD"]);
        says(format!("gitdir: {}\n", tree.display()));
        assert!(is_listed(), "half of a work tree");
        make(outside.path(), &[".git/worktrees/tree/commondir"]);
        assert!(!is_listed());
        says(format!("{}\n", git.display()));
        assert!(is_listed(), "not what git writes");
        std::fs::remove_file(dir.path().join(".git")).unwrap();
        symlink(&git, dir.path().join(".git")).unwrap();
        assert!(is_listed(), "a link is a link");
    }

    #[test]
    fn special_files_are_never_followed_and_never_block() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        std::fs::write(dir.path().join("file"), "text").unwrap();
        std::fs::hard_link(dir.path().join("file"), dir.path().join("twin")).unwrap();
        symlink(outside.path().join("secret"), dir.path().join("link")).unwrap();
        symlink(outside.path(), dir.path().join("way")).unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("pipe"),
            FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        for store in stores(dir.path()) {
            for name in ["link", "loop", "pipe", "socket", "twin", "file"] {
                assert!(
                    matches!(read(&store, name), Err(StoreError::Special(_))),
                    "{name}: {:?}",
                    read(&store, name)
                );
            }
            assert!(read(&store, "way/secret").is_err());
            assert!(store.list(&path("way")).is_err());
            assert!(store.list(&path("file")).is_err());
            let kinds: Vec<_> = store.list(&Path::top()).unwrap();
            for entry in &kinds {
                assert_eq!(store.kind(&path(&entry.name)), Ok(Some(entry.kind)));
            }
            assert_eq!(store.kind(&path("way/secret")), Ok(None));
            assert_eq!(store.kind(&path("loop/x")), Ok(None));
            assert_eq!(store.kind(&path("file/x")), Ok(None));
            let special = kinds
                .iter()
                .filter(|entry| matches!(entry.kind, EntryKind::Special(_)))
                .count();
            assert_eq!(special, 5);
        }
    }

    #[test]
    fn endless_data() {
        let dir = tempfile::tempdir().unwrap();
        let sparse = File::create(dir.path().join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        std::fs::write(dir.path().join("limit"), [b'x'; 100]).unwrap();
        for store in stores(dir.path()) {
            assert_eq!(read(&store, "sparse"), Err(StoreError::TooLarge(100)));
            assert_eq!(read(&store, "limit").map(|bytes| bytes.len()), Ok(100));
        }
    }

    #[test]
    fn toctou() {
        use core::sync::atomic::{AtomicBool, Ordering};
        use std::io::{Seek as _, Write as _};
        let dir = tempfile::tempdir().unwrap();
        let size = 8 << 20;
        std::fs::write(dir.path().join("file"), vec![b'x'; size]).unwrap();
        let store = DirectoryStore::open(dir.path()).unwrap();
        let read = || store.read(&path("file"), size as u64, &mut Vec::new());
        assert_eq!(read(), Ok(()));
        let done = AtomicBool::new(false);
        let noticed = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut file = File::options()
                    .write(true)
                    .open(dir.path().join("file"))
                    .unwrap();
                while !done.load(Ordering::Relaxed) {
                    file.rewind().unwrap();
                    file.write_all(b"y").unwrap();
                }
            });
            // The clock of file systems ticks a few hundred times a second.
            let noticed = (0..1_000).any(|_| read() == Err(StoreError::Changed));
            done.store(true, Ordering::Relaxed);
            noticed
        });
        assert!(noticed, "a file that keeps its size while it changes");
        assert_eq!(read(), Ok(()));
    }

    #[test]
    fn names_that_are_not_text_are_not_components() {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"a\xff")), "").unwrap();
        let [store, _] = stores(dir.path());
        let entries = store.list(&Path::top()).unwrap();
        assert!(Path::top().join(&entries[0].name).is_err());
    }
}
