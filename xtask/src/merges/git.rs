//! Git as the replay uses it: trees and blobs in bulk through long-running processes, merges by git itself.
//! The user's and the system's configuration have no effect.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path as FilePath, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard};

use anyhow::{Context as _, Result, bail, ensure};

/// The id of a git object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Oid([u8; 20]);

impl Oid {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut bytes = [0; 20];
        let digits = text.as_bytes();
        ensure!(digits.len() == 40, "{text:?} is no object name");
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(core::str::from_utf8(pair)?, 16)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Changed files by path, each with its new blob, or `None` if it is deleted.
pub(crate) type Changes = BTreeMap<String, Option<Oid>>;

/// The name of the bare repository in its directory.
pub(crate) const BARE: &str = "replay.git";

/// The result of a merge by git.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The merged tree, with git's markers if there are conflicts.
    pub(crate) tree: Oid,
    /// Paths in conflict, sorted.
    pub(crate) conflicts: Vec<String>,
    /// Git's messages about each conflict.
    pub(crate) messages: Vec<String>,
}

/// A separate bare repository, with a work tree beside it for merges as people do them.
#[derive(Debug)]
pub(crate) struct Repository {
    directory: PathBuf,
    work: PathBuf,
    objects: Mutex<Conversation>,
    blobs: Mutex<Conversation>,
    trees: Mutex<Conversation>,
    scratch: PathBuf,
}

impl Repository {
    /// Clones a bundle into an empty directory.
    pub(crate) fn clone_bundle(bundle: &FilePath, directory: &FilePath) -> Result<Self> {
        let bundle = std::path::absolute(bundle)?;
        run(git(directory)
            .args(["clone", "--quiet", "--bare"])
            .arg(bundle)
            .arg(directory.join(BARE)))?;
        Self::open(directory)
    }

    /// Creates an empty repository in an empty directory.
    #[cfg(test)]
    pub(crate) fn init(directory: &FilePath) -> Result<Self> {
        run(git(directory)
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(directory.join(BARE)))?;
        Self::open(directory)
    }

    /// Imports the output of `git fast-export` into an empty repository in a directory.
    pub(crate) fn import(history: &FilePath, directory: &FilePath) -> Result<Self> {
        run(git(directory)
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(directory.join(BARE)))?;
        let history = std::fs::File::open(history)?;
        run(git(&directory.join(BARE))
            .args(["fast-import", "--quiet"])
            .stdin(history))?;
        Self::open(directory)
    }

    fn open(directory: &FilePath) -> Result<Self> {
        let bare = directory.join(BARE);
        let store_blobs = ["hash-object", "-w", "--no-filters", "--stdin-paths"];
        Ok(Self {
            work: directory.join("work"),
            scratch: directory.join("scratch"),
            objects: Conversation::start(&bare, &["cat-file", "--batch"])?,
            blobs: Conversation::start(&bare, &store_blobs)?,
            trees: Conversation::start(&bare, &["mktree", "--batch", "--missing"])?,
            directory: bare,
        })
    }

    /// Returns the tree of a commit.
    pub(crate) fn tree_of(&self, commit: Oid) -> Result<Oid> {
        let bytes = self.object(commit)?;
        let line = bytes
            .split(|&byte| byte == b'\n')
            .next()
            .unwrap_or_default();
        let line = core::str::from_utf8(line)?;
        Oid::parse(
            line.strip_prefix("tree ")
                .context("a commit begins with its tree")?,
        )
    }

    /// Returns the entries of a tree, in git's order.
    pub(crate) fn entries(&self, tree: Oid) -> Result<Vec<TreeEntry>> {
        let bytes = self.object(tree)?;
        let mut rest = bytes.as_slice();
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let end = rest
                .iter()
                .position(|&byte| byte == 0)
                .context("a tree ends too early")?;
            let (head, tail) = rest.split_at(end);
            let (mode, name) = core::str::from_utf8(head)?
                .split_once(' ')
                .context("a tree entry has a mode")?;
            let is_tree = match mode {
                "40000" => true,
                "100644" => false,
                other => bail!("{name} has mode {other}; the replay knows regular files only"),
            };
            let (oid, tail) = tail
                .get(1..)
                .and_then(<[u8]>::split_first_chunk::<20>)
                .context("a tree entry has an object")?;
            entries.push(TreeEntry {
                name: name.into(),
                is_tree,
                oid: Oid(*oid),
            });
            rest = tail;
        }
        Ok(entries)
    }

    /// Returns the object at a path below a tree.
    pub(crate) fn find(&self, tree: Oid, path: &str) -> Result<Option<Oid>> {
        let mut at = tree;
        for component in path.split('/') {
            match self
                .entries(at)?
                .into_iter()
                .find(|entry| entry.name == component)
            {
                Some(entry) => at = entry.oid,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Returns the changes that turn one tree into another. Unchanged directories are not opened.
    pub(crate) fn changes(&self, from: Option<Oid>, to: Option<Oid>) -> Result<Changes> {
        let mut changes = Changes::new();
        self.collect_changes("", from, to, &mut changes)?;
        Ok(changes)
    }

    fn collect_changes(
        &self,
        prefix: &str,
        from: Option<Oid>,
        to: Option<Oid>,
        changes: &mut Changes,
    ) -> Result<()> {
        let list = |tree: Option<Oid>| -> Result<BTreeMap<(String, bool), Oid>> {
            let entries = tree.map_or(Ok(Vec::new()), |tree| self.entries(tree))?;
            Ok(entries
                .into_iter()
                .map(|entry| ((entry.name, entry.is_tree), entry.oid))
                .collect())
        };
        let (mut from, to) = (list(from)?, list(to)?);
        for ((name, is_tree), oid) in to {
            let path = format!("{prefix}{name}");
            let before = from.remove(&(name, is_tree));
            if before == Some(oid) {
                continue;
            }
            if is_tree {
                self.collect_changes(&format!("{path}/"), before, Some(oid), changes)?;
            } else {
                changes.insert(path, Some(oid));
            }
        }
        for ((name, is_tree), oid) in from {
            let path = format!("{prefix}{name}");
            if is_tree {
                self.collect_changes(&format!("{path}/"), Some(oid), None, changes)?;
            } else {
                // A file that was replaced by a directory was not inserted above.
                changes.entry(path).or_insert(None);
            }
        }
        Ok(())
    }

    /// Returns the tree with changes applied to it.
    pub(crate) fn edit(&self, tree: Oid, changes: &Changes) -> Result<Oid> {
        let changes: Vec<(&str, Option<Oid>)> = changes
            .iter()
            .map(|(path, blob)| (path.as_str(), *blob))
            .collect();
        self.edit_below(Some(tree), &changes)?
            .context("nothing is left of the tree")
    }

    fn edit_below(
        &self,
        tree: Option<Oid>,
        changes: &[(&str, Option<Oid>)],
    ) -> Result<Option<Oid>> {
        let entries = tree.map_or(Ok(Vec::new()), |tree| self.entries(tree))?;
        let mut entries: BTreeMap<String, (bool, Oid)> = entries
            .into_iter()
            .map(|entry| (entry.name, (entry.is_tree, entry.oid)))
            .collect();
        // Group by component, because `a.b` sorts between `a` and `a/b`.
        let mut below: BTreeMap<&str, Vec<(&str, Option<Oid>)>> = BTreeMap::new();
        for (path, blob) in changes {
            match (path.split_once('/'), blob) {
                (Some((name, rest)), _) => below.entry(name).or_default().push((rest, *blob)),
                (None, Some(blob)) => {
                    entries.insert((*path).into(), (false, *blob));
                }
                (None, None) => {
                    entries.remove(*path);
                }
            }
        }
        for (name, changes) in below {
            let before = entries
                .get(name)
                .filter(|entry| entry.0)
                .map(|entry| entry.1);
            match self.edit_below(before, &changes)? {
                Some(tree) => {
                    entries.insert(name.into(), (true, tree));
                }
                // A file in the place of the directory stays.
                None if before.is_some() => {
                    entries.remove(name);
                }
                None => {}
            }
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let entries =
            entries
                .into_iter()
                .map(|(name, (is_tree, oid))| TreeEntry { name, is_tree, oid });
        self.write_tree(entries).map(Some)
    }

    /// Stores a tree; git sorts it.
    pub(crate) fn write_tree(&self, entries: impl IntoIterator<Item = TreeEntry>) -> Result<Oid> {
        let mut trees = lock(&self.trees);
        for entry in entries {
            let kind = if entry.is_tree {
                "040000 tree"
            } else {
                "100644 blob"
            };
            writeln!(trees.input, "{kind} {}\t{}", entry.oid, entry.name)?;
        }
        writeln!(trees.input)?;
        Oid::parse(&trees.answer()?)
    }

    /// Stores a blob.
    pub(crate) fn write_blob(&self, bytes: &[u8]) -> Result<Oid> {
        std::fs::write(&self.scratch, bytes)?;
        let mut blobs = lock(&self.blobs);
        writeln!(blobs.input, "{}", self.scratch.display())?;
        Oid::parse(&blobs.answer()?)
    }

    /// Stores a commit.
    pub(crate) fn commit(
        &self,
        tree: Oid,
        parents: &[Oid],
        date: &str,
        message: &str,
    ) -> Result<Oid> {
        let mut command = git(&self.directory);
        command.args(["commit-tree", "-m", message]);
        for parent in parents {
            command.args(["-p", &parent.to_string()]);
        }
        command.arg(tree.to_string());
        command
            .env("GIT_AUTHOR_DATE", date)
            .env("GIT_COMMITTER_DATE", date);
        Oid::parse(text(&run(&mut command)?)?.trim_end())
    }

    /// Merges a branch into a commit, as `git merge` does it, without a work tree.
    pub(crate) fn merge(&self, main: Oid, branch: Oid) -> Result<Merged> {
        let output = git(&self.directory)
            .args([
                "merge-tree",
                "--write-tree",
                "--messages",
                "--name-only",
                "-z",
            ])
            .args([main.to_string(), branch.to_string()])
            .output()?;
        let clean = match output.status.code() {
            Some(0) => true,
            Some(1) => false,
            _ => bail!(
                "git merge-tree: {}",
                String::from_utf8_lossy(&output.stderr)
            ),
        };
        let mut fields = text(&output.stdout)?.split('\0');
        let tree = Oid::parse(fields.next().unwrap_or_default())?;
        if clean {
            return Ok(Merged {
                tree,
                conflicts: Vec::new(),
                messages: Vec::new(),
            });
        }
        let mut conflicts: Vec<String> = fields
            .by_ref()
            .take_while(|path| !path.is_empty())
            .map(String::from)
            .collect();
        conflicts.sort();
        conflicts.dedup();
        let mut messages = Vec::new();
        while let Some(count) = fields.next().filter(|count| !count.is_empty()) {
            let kind = fields.nth(count.parse()?).unwrap_or_default();
            let message = fields.next().unwrap_or_default();
            if kind.starts_with("CONFLICT") {
                messages.push(message.trim_end().to_string());
            }
        }
        Ok(Merged {
            tree,
            conflicts,
            messages,
        })
    }

    /// Repeats the merge with `git merge` in a full work tree. Returns the tree, or the paths in conflict.
    pub(crate) fn merge_in_work_tree(
        &self,
        main: Oid,
        branch: Oid,
    ) -> Result<core::result::Result<Oid, Vec<String>>> {
        let main = main.to_string();
        if !self.work.exists() {
            run(git(&self.directory)
                .args(["worktree", "add", "--quiet", "--detach"])
                .arg(&self.work)
                .arg(&main))?;
        }
        run(git(&self.work).args(["reset", "--quiet", "--hard", &main]))?;
        let status = run(git(&self.work).args(["status", "--porcelain"]))?;
        ensure!(
            status.is_empty(),
            "a fresh check-out is not clean: {}",
            String::from_utf8_lossy(&status)
        );
        let merge = git(&self.work)
            .args([
                "merge",
                "--quiet",
                "--no-ff",
                "-m",
                "cross-check",
                &branch.to_string(),
            ])
            .output()?;
        if merge.status.success() {
            let tree = run(git(&self.work).args(["rev-parse", "HEAD^{tree}"]))?;
            return Ok(Ok(Oid::parse(text(&tree)?.trim_end())?));
        }
        let unmerged = run(git(&self.work).args(["diff", "--name-only", "--diff-filter=U", "-z"]))?;
        let mut paths: Vec<String> = text(&unmerged)?
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(String::from)
            .collect();
        ensure!(
            !paths.is_empty(),
            "git merge failed: {}{}",
            String::from_utf8_lossy(&merge.stdout),
            String::from_utf8_lossy(&merge.stderr)
        );
        paths.sort();
        paths.dedup();
        Ok(Err(paths))
    }

    /// Returns the bytes of any object.
    pub(crate) fn object(&self, oid: Oid) -> Result<Vec<u8>> {
        let mut objects = lock(&self.objects);
        writeln!(objects.input, "{oid}")?;
        let head = objects.answer()?;
        let size = head.rsplit(' ').next().and_then(|size| size.parse().ok());
        let size: usize = size.with_context(|| format!("git has no object {head}"))?;
        let mut bytes = vec![0; size + 1];
        objects.output.read_exact(&mut bytes)?;
        bytes.pop();
        Ok(bytes)
    }
}

/// An entry of a tree.
#[derive(Debug, Clone)]
pub(crate) struct TreeEntry {
    pub(crate) name: String,
    pub(crate) is_tree: bool,
    pub(crate) oid: Oid,
}

/// A git process that answers one request after another.
#[derive(Debug)]
struct Conversation {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Conversation {
    fn start(repository: &FilePath, arguments: &[&str]) -> Result<Mutex<Self>> {
        let mut child = git(repository)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("the process has an input")?;
        let output = child.stdout.take().context("the process has an output")?;
        Ok(Mutex::new(Self {
            child,
            input: BufWriter::new(input),
            output: BufReader::new(output),
        }))
    }

    /// Sends what was written, and reads a line.
    fn answer(&mut self) -> Result<String> {
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line.pop() == Some('\n'), "git gave no answer");
        Ok(line)
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // The repository is temporary, so nothing is lost with the process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes a lock that nobody can have poisoned.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds this lock")
}

/// Returns a git command for a directory. It ignores all configuration but the repository's own.
fn git(directory: &FilePath) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory);
    command.args(["-c", "core.looseCompression=1", "-c", "gc.auto=0"]);
    command.args(["-c", "advice.detachedHead=false", "-c", "core.fsync=none"]);
    for variable in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
    ] {
        command.env_remove(variable);
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "replay");
        command.env(format!("GIT_{who}_EMAIL"), "replay@example.org");
    }
    command
}

/// Runs a command, which has to succeed, and returns its output.
fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().context("git cannot be started")?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

fn text(bytes: &[u8]) -> Result<&str> {
    core::str::from_utf8(bytes).context("git printed what is not UTF-8")
}
