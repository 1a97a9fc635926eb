//! Changes a tree so that it is never half-changed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path as SystemPath, PathBuf};

use conex_core::model::path::Path;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

/// Files to be written into a tree, and others to be deleted, all or none as far as the file system allows.
///
/// Every file is first written completely, without a name if the file system supports that, and flushed to
/// disk. Only then is each file put in place, in the order in which they were added. A reader sees each
/// file either old or new, and a full disk changes nothing. While a file is replaced, the new one briefly
/// has a name of its own, `.conex-` and six letters or digits. A program that is killed at that moment
/// leaves it behind, and the next change of that directory removes it.
///
/// A file that others refer to is added before them: if the machine stops in between, nothing on disk
/// refers to an absent file. Deletions come last, when the replacements of the deleted files are on disk.
/// If the machine stops before, some of both exist, which is redundant but harmless.
#[derive(Debug, Default)]
pub struct Change {
    files: Vec<(Path, Vec<u8>)>,
    deleted: Vec<Path>,
    fleeting: bool,
}

impl Change {
    /// Creates an empty change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file with all its bytes.
    pub fn write(&mut self, path: Path, bytes: impl Into<Vec<u8>>) {
        self.files.push((path, bytes.into()));
    }

    /// Deletes a file, which has to exist.
    pub fn delete(&mut self, path: Path) {
        self.deleted.push(path);
    }

    /// Returns the same change, which does not wait for the disk. If the machine stops soon after, a file
    /// may be empty or missing, so use it only for files that may be lost.
    #[must_use]
    pub fn fleeting(self) -> Self {
        Self {
            fleeting: true,
            ..self
        }
    }

    /// Returns the files to be written.
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
    /// The system's, with the path in the text. Nothing has changed then, unless a rename or deletion
    /// itself failed. Directories that were created remain, empty.
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
            // The files of one directory are on disk before those of the next, which may refer to them. A
            // power failure may lose the last files, but never leaves half of one.
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

/// Returns the location of a file to be deleted, if it is a file and can be deleted.
fn deletable(root: &SystemPath, path: &Path) -> io::Result<PathBuf> {
    refuse_links(root, path)?;
    let target = root.join(path.as_str());
    if !fs::symlink_metadata(&target)?.is_file() {
        return Err(io::Error::other("is no file"));
    }
    Ok(target)
}

/// A completely written file that is not in place yet.
#[derive(Debug)]
enum Staged {
    /// A file without a name: a program that stops here, however suddenly, leaves nothing behind.
    Nameless(fs::File),
    /// A file with a name, for file systems without nameless files.
    Named(tempfile::NamedTempFile),
}

/// Everybody may read a repository's files. Only private keys are secret, and they are stored elsewhere.
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

    /// Puts the file in place, replacing the old one.
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
        // Only a rename replaces a file, and only a file with a name can be renamed.
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

/// Creates a new file with a name, locked by this program.
fn owned(directory: &SystemPath) -> io::Result<tempfile::NamedTempFile> {
    loop {
        let file = temporary().tempfile_in(directory)?;
        file.as_file().lock()?;
        // In between, another program may have mistaken it for a leftover and removed it.
        if fs::symlink_metadata(file.path()).is_ok() {
            return Ok(file);
        }
    }
}

/// Removes what killed programs left in a directory. A running program holds a lock on its file. What
/// cannot be removed stays, and the change itself reports what is wrong.
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

/// Whether a file is named like one that is not in place yet.
fn is_temporary(name: &[u8]) -> bool {
    name.strip_prefix(PREFIX.as_bytes())
        .is_some_and(|rest| rest.len() == RANDOM && rest.iter().all(u8::is_ascii_alphanumeric))
}

/// The prefix of the name of a file that is not in place yet.
const PREFIX: &str = ".conex-";
/// The number of random letters and digits that follow.
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

/// Refuses symbolic links on the path, which would lead the write out of the tree.
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
        // Their owners are gone; the last one was made by a running program.
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
