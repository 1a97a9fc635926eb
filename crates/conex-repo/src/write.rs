//! Changing a tree so that it is never half-changed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path as SystemPath, PathBuf};

use conex_core::model::path::Path;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

/// Files to be written into a tree, and others to be deleted, all or none as far as a file system
/// allows.
///
/// Every file is first written in full, without a name where the file system can, and flushed to
/// disk; only when all are there, each is put into its place, in the order they were added. So a
/// reader sees each file old or new, and a full disk changes nothing. Where a file is replaced, the
/// new one has a name of its own for a moment, `.conex-` and six letters or digits: whoever is killed
/// just then leaves it behind, and the next change of that directory removes it. What has to be there before something refers to it is
/// added first: should the machine stop in between, what is there refers to nothing absent.
/// Deletions come last, when what takes the place of the deleted files is there and on disk: should
/// the machine stop before, some of both are there, which says the same twice.
#[derive(Debug, Default)]
pub struct Change {
    files: Vec<(Path, Vec<u8>)>,
    deleted: Vec<Path>,
    fleeting: bool,
}

impl Change {
    /// An empty change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file with all its bytes.
    pub fn write(&mut self, path: Path, bytes: impl Into<Vec<u8>>) {
        self.files.push((path, bytes.into()));
    }

    /// Deletes a file; it has to be there.
    pub fn delete(&mut self, path: Path) {
        self.deleted.push(path);
    }

    /// Does not wait for the disk. Should the machine stop soon after, a file may be there and empty, or not
    /// at all: for what is as good as absent then.
    #[must_use]
    pub fn fleeting(self) -> Self {
        Self {
            fleeting: true,
            ..self
        }
    }

    /// The files to be written.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path)
    }

    /// Whether there is nothing to write or delete.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.deleted.is_empty()
    }

    /// Writes everything below `root`, then deletes.
    ///
    /// # Errors
    /// The system's, with the path in the text. Nothing is changed then, unless a rename or
    /// deletion itself failed; directories that were made stay, empty.
    #[tracing::instrument(level = "debug", skip_all, fields(root = %root.display(), files = self.files.len()), err)]
    pub fn commit(self, root: &SystemPath) -> io::Result<()> {
        let doomed: Vec<PathBuf> = self
            .deleted
            .iter()
            .map(|path| deletable(root, path).map_err(|error| named(path, &error)))
            .collect::<io::Result<_>>()?;
        let targets = self.files.iter().map(|(path, _)| root.join(path.as_str()));
        let directories: BTreeSet<PathBuf> = targets
            .filter_map(|target| target.parent().map(SystemPath::to_owned))
            .collect();
        for directory in &directories {
            sweep(directory);
        }
        let mut staged = Vec::with_capacity(self.files.len());
        for (path, bytes) in &self.files {
            let target = root.join(path.as_str());
            let stage = || -> io::Result<Staged> {
                let directory = target.parent().unwrap_or(root);
                refuse_links(root, path)?;
                fs::create_dir_all(directory)?;
                Staged::write(directory, bytes, self.fleeting)
            };
            staged.push((stage().map_err(|error| named(path, &error))?, target, path));
        }
        let mut staged = staged.into_iter().peekable();
        while let Some((file, target, path)) = staged.next() {
            file.publish(&target).map_err(|error| named(path, &error))?;
            // What stands in one directory is on disk before what refers to it stands in the next.
            // The last files may be lost with the machine's power, but never half of one.
            let moves_on = staged.peek().map_or(!doomed.is_empty(), |(_, next, _)| {
                next.parent() != target.parent()
            });
            if moves_on
                && !self.fleeting
                && let Some(directory) = target.parent()
            {
                fs::File::open(directory)?.sync_all()?;
            }
        }
        for (target, path) in doomed.iter().zip(&self.deleted) {
            fs::remove_file(target).map_err(|error| named(path, &error))?;
        }
        Ok(())
    }
}

/// Where a file to be deleted stands, if it is a file and can go.
fn deletable(root: &SystemPath, path: &Path) -> io::Result<PathBuf> {
    refuse_links(root, path)?;
    let target = root.join(path.as_str());
    if !fs::symlink_metadata(&target)?.is_file() {
        return Err(io::Error::other("is no file"));
    }
    Ok(target)
}

/// A file that is written in full, and not yet in its place.
#[derive(Debug)]
enum Staged {
    /// Without a name: whoever stops here, however suddenly, leaves nothing behind.
    Nameless(fs::File),
    /// Where the file system has no nameless files.
    Named(tempfile::NamedTempFile),
}

/// A repository's files are read by everybody; only private keys are not, and those go elsewhere.
const MODE: u32 = 0o644;

impl Staged {
    fn write(directory: &SystemPath, bytes: &[u8], fleeting: bool) -> io::Result<Self> {
        let put = |file: &mut fs::File| {
            file.write_all(bytes)?;
            if fleeting { Ok(()) } else { file.sync_all() }
        };
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        if let Ok(opened) = rustix::fs::open(directory, flags, Mode::from_raw_mode(MODE)) {
            let mut file = fs::File::from(opened);
            put(&mut file)?;
            return Ok(Self::Nameless(file));
        }
        let mut file = owned(directory)?;
        put(file.as_file_mut())?;
        Ok(Self::Named(file))
    }

    /// Puts the file into its place, over what stood there.
    fn publish(self, target: &SystemPath) -> io::Result<()> {
        let file = match self {
            Self::Named(file) => {
                file.persist(target)?;
                return Ok(());
            }
            Self::Nameless(file) => file,
        };
        match link(&file, target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
        // Only a rename replaces a file, and only what has a name can be renamed.
        let directory = target.parent().unwrap_or(target);
        file.lock()?;
        temporary()
            .make_in(directory, |path| link(&file, path))?
            .into_temp_path()
            .persist(target)?;
        Ok(())
    }
}

/// Gives a nameless file a name.
fn link(file: &fs::File, path: &SystemPath) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let here = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, here, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}

/// A new file with a name, locked by this program.
fn owned(directory: &SystemPath) -> io::Result<tempfile::NamedTempFile> {
    loop {
        let file = temporary().tempfile_in(directory)?;
        file.as_file().lock()?;
        // Between the two, another program may have taken it for a dead one's, and removed it.
        if fs::symlink_metadata(file.path()).is_ok() {
            return Ok(file);
        }
    }
}

/// Removes what programs that were killed left in a directory. Each holds a lock on its file as long
/// as it lives; what cannot be removed stays, and the change itself says what is wrong.
fn sweep(directory: &SystemPath) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_ours = is_temporary(entry.file_name().as_encoded_bytes())
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_ours {
            continue;
        }
        let place = entry.path();
        let is_dead = fs::File::open(&place).is_ok_and(|file| file.try_lock().is_ok());
        if is_dead && fs::remove_file(&place).is_ok() {
            tracing::debug!(place = %place.display(), "left by a program that was killed");
        }
    }
}

/// Whether a file is named like one on its way to its place.
fn is_temporary(name: &[u8]) -> bool {
    name.strip_prefix(PREFIX.as_bytes())
        .is_some_and(|rest| rest.len() == RANDOM && rest.iter().all(u8::is_ascii_alphanumeric))
}

/// How the name of a file on its way begins.
const PREFIX: &str = ".conex-";
/// How many random letters and digits follow.
const RANDOM: usize = 6;

fn temporary() -> tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(PREFIX)
        .rand_bytes(RANDOM)
        .permissions(fs::Permissions::from_mode(MODE));
    builder
}

/// A symbolic link on the way would lead the write out of the tree.
fn refuse_links(root: &SystemPath, path: &Path) -> io::Result<()> {
    let mut at = root.to_owned();
    for component in path.components() {
        at.push(component);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.file_type().is_symlink() => {
                return Err(io::Error::other("a symbolic link is in the way"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    #[test]
    fn all_files_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut change = Change::new();
        change.write(path("a/b"), "one");
        change.write(path("a/c"), "two");
        change.commit(dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join("a/b")).unwrap(), b"one");
        assert_eq!(fs::read(dir.path().join("a/c")).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 2);
    }

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        for staged in [
            |dir: &SystemPath| Staged::write(dir, b"nameless", false).unwrap(),
            |dir: &SystemPath| {
                let mut file = owned(dir).unwrap();
                file.write_all(b"named").unwrap();
                Staged::Named(file)
            },
        ] {
            let target = dir.path().join("a");
            fs::write(&target, "old").unwrap();
            let expected = match staged(dir.path()) {
                file @ Staged::Nameless(_) => (file, "nameless"),
                file @ Staged::Named(_) => (file, "named"),
            };
            assert_eq!(fs::read(&target).unwrap(), b"old");
            expected.0.publish(&target).unwrap();
            assert_eq!(fs::read(&target).unwrap(), expected.1.as_bytes());
            let mode = fs::metadata(&target).unwrap().permissions().mode();
            assert_eq!(mode & 0o600, 0o600);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_a_killed_program_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        // Their owners are gone; the last was made by one that lives.
        let dead = [".conex-aB3dE6", ".conex-000000"];
        let others = [
            ".conex-short",
            ".conex-aB3_E6",
            "conex-aB3dE6",
            ".other-aB3dE6",
        ];
        for name in dead.iter().chain(&others) {
            fs::write(at(name), "half").unwrap();
        }
        let living = owned(dir.path()).unwrap();
        let mut change = Change::new();
        change.write(path("a"), "new");
        change.commit(dir.path()).unwrap();
        assert!(dead.iter().all(|name| !at(name).exists()));
        assert!(others.iter().all(|name| at(name).exists()));
        assert!(living.path().exists());
        living.persist(at("b")).unwrap();
    }

    #[test]
    fn what_is_deleted_goes_last_and_only_if_all_of_it_can() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::write(dir.path().join(name), "old").unwrap();
        }
        fs::create_dir(dir.path().join("c")).unwrap();
        for bad in ["c", "absent"] {
            let mut change = Change::new();
            change.write(path("new"), "new");
            change.delete(path("a"));
            change.delete(path(bad));
            assert!(change.commit(dir.path()).is_err(), "{bad}");
            assert!(!dir.path().join("new").exists());
            assert!(dir.path().join("a").exists());
        }
        let mut change = Change::new();
        change.delete(path("a"));
        change.write(path("new"), "new");
        assert!(!change.is_empty());
        change.commit(dir.path()).unwrap();
        assert!(!dir.path().join("a").exists());
        assert_eq!(fs::read(dir.path().join("b")).unwrap(), b"old");
        assert_eq!(fs::read(dir.path().join("new")).unwrap(), b"new");
    }

    #[test]
    fn a_change_that_cannot_be_written_whole_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "old").unwrap();
        std::os::unix::fs::symlink("/tmp", dir.path().join("out")).unwrap();
        for bad in ["a/below-a-file", "out/of-the-tree"] {
            let mut change = Change::new();
            change.write(path("a"), "new");
            change.write(path(bad), "x");
            assert!(change.commit(dir.path()).is_err(), "{bad}");
            assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"old");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        }
    }
}
