//! Git attributes in a tree. Verification notes them. Signing refuses files of a work tree that git would
//! store differently.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use conex_core::model::limits;
use conex_core::model::name::PackageName;
use conex_core::model::path::Path as TreePath;
use conex_core::model::statement::Root;
use conex_core::state::chain::Head;
use conex_core::tree::inventory::survey;
use conex_core::tree::layout::{Layout, PackageUnit};
use conex_core::tree::metadata::DIRECTORY;
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::schemes::Known;
use conex_core::tree::store::{Entry, EntryKind, Store, StoreError};
use conex_core::verify::Report;
use conex_repo::attributes::{Alteration, Attributes, AttributesError, Effect, FILE};
use conex_repo::{DirectoryStore, KnownSchemes};
use memchr::memmem;
use rayon::prelude::*;

use crate::error::{CommandError, Result};
use crate::git;
use crate::output::{self, count, plain};

/// A store that records the directories in which it listed attribute files.
pub(crate) struct Noticing<'s> {
    store: &'s dyn Store,
    noticed: Mutex<BTreeSet<TreePath>>,
}

impl<'s> Noticing<'s> {
    pub(crate) fn new(store: &'s dyn Store) -> Self {
        Self {
            store,
            noticed: Mutex::default(),
        }
    }

    /// Adds notes about the recorded attribute files to the report of this store. Adds none to the report
    /// of an update of which only a part was read: git did not make what is verified then.
    pub(crate) fn note(self, report: &mut Report) {
        if !report.whole {
            return;
        }
        let noticed = self.noticed.into_inner();
        let noticed = noticed.unwrap_or_else(PoisonError::into_inner);
        let root = report.head.as_ref().map(Head::root);
        let notes = notes(self.store, root, noticed);
        report.notes.extend(notes);
        report.notes.sort();
    }
}

impl Store for Noticing<'_> {
    fn list(&self, directory: &TreePath) -> core::result::Result<Vec<Entry>, StoreError> {
        let entries = self.store.list(directory)?;
        let is_it = |entry: &Entry| entry.name == FILE && entry.kind == EntryKind::File;
        if entries.iter().any(is_it)
            && let Ok(place) = directory.join(FILE)
        {
            let mut noticed = self.noticed.lock().unwrap_or_else(PoisonError::into_inner);
            noticed.insert(place);
        }
        Ok(entries)
    }

    fn read(
        &self,
        file: &TreePath,
        limit: u64,
        buffer: &mut Vec<u8>,
    ) -> core::result::Result<(), StoreError> {
        self.store.read(file, limit, buffer)
    }

    fn kind(&self, path: &TreePath) -> core::result::Result<Option<EntryKind>, StoreError> {
        self.store.kind(path)
    }
}

/// Returns notes on how attributes affect the signed files, under the rules of a root. Where no root could
/// be read, only metadata is considered. `sources` are the attribute files besides the one at the top.
pub(crate) fn notes(
    store: &dyn Store,
    root: Option<&Root>,
    mut sources: BTreeSet<TreePath>,
) -> Vec<Problem> {
    let top = TreePath::parse(FILE).ok();
    sources.extend(top.filter(|top| store.kind(top) == Ok(Some(EntryKind::File))));
    let altered = || -> core::result::Result<Vec<Alteration>, AttributesError> {
        let attributes = Attributes::read(store, &sources)?;
        if attributes.is_harmless() {
            return Ok(Vec::new());
        }
        let mut files = metadata(store);
        if let Some(root) = root
            && let Ok(known) = Known::of(root, &KnownSchemes)
        {
            files.extend(content(store, known.layout(), root));
        }
        attributes.alterations(&files)
    };
    match altered() {
        Ok(altered) => altered.iter().map(note).collect(),
        Err(error) => {
            let (AttributesError::Store(place, _) | AttributesError::TooMuch(place)) = &error
            else {
                return vec![Problem::new(Code::Attributes, FILE, &error)];
            };
            let detail = format!("its effect on signed files is not known: {error}");
            vec![Problem::new(Code::Attributes, place, detail)]
        }
    }
}

fn note(found: &Alteration) -> Problem {
    let Alteration {
        attribute,
        first,
        files,
        ..
    } = found;
    let others = match files.saturating_sub(1) {
        0 => String::new(),
        more => format!(" and {}", count(more, "other file")),
    };
    let what = match found.effect {
        Effect::Checkout => {
            "git checks out other bytes than it stores, so a directory that it made differs from what is signed (content-differs), and a revision or a patch of the same does not"
        }
        Effect::Filter => {
            "where git has a filter of this name, it checks out other bytes than it stores, so a directory that it made differs from what is signed (content-differs)"
        }
        Effect::Archive => {
            "an archive made by git archive differs from what is signed, and is refused; conex archive makes one that does not"
        }
    };
    let detail = format!("{attribute} for {first}{others}: {what}");
    Problem::new(Code::Attributes, &found.source, detail).at_line(Some(found.line))
}

/// Lists every content file that somebody vouched for or may vouch for.
fn content(store: &dyn Store, layout: &dyn Layout, root: &Root) -> Vec<TreePath> {
    let top = survey(store, layout, root);
    let mut files = top.repository;
    for unit in &top.packages {
        files.extend(of_package(store, layout, unit));
    }
    files
}

/// Lists every file below `conex/`.
fn metadata(store: &dyn Store) -> BTreeSet<TreePath> {
    let mut files = BTreeSet::new();
    let mut next: Vec<TreePath> = TreePath::parse(DIRECTORY).into_iter().collect();
    while let Some(directory) = next.pop() {
        for entry in store.list(&directory).unwrap_or_default() {
            let Ok(place) = directory.join(&entry.name) else {
                continue;
            };
            match entry.kind {
                EntryKind::Directory => next.push(place),
                EntryKind::File if entry.name != FILE => {
                    files.insert(place);
                }
                _ => {}
            }
        }
    }
    files
}

fn of_package(store: &dyn Store, layout: &dyn Layout, unit: &PackageUnit) -> Vec<TreePath> {
    // Verification reports what cannot be read as a problem of its own.
    let releases = layout.releases(store, unit).unwrap_or_default();
    releases.into_iter().flat_map(|it| it.files).collect()
}

/// Prints the notes to the user who is about to sign.
pub(crate) fn show<'p>(notes: impl IntoIterator<Item = &'p Problem>) {
    let mut out = output::stderr();
    let notes = notes.into_iter().filter(|it| it.code == Code::Attributes);
    for (at, note) in notes.enumerate() {
        if at == 0 {
            let advice = format_args!("note: {}", Code::Attributes.advice());
            output::line(&mut out, plain(&advice.to_string()));
        }
        output::line(&mut out, plain(&note.to_string()));
    }
}

/// Refuses to sign files of a work tree that git would store differently: those of `packages` and, if
/// `repository` is set, the repository files.
pub(crate) fn stored_alike(
    directory: &Path,
    head: &Head,
    packages: &BTreeSet<&PackageName>,
    repository: bool,
) -> Result<()> {
    let Ok((repo, below)) = git::around(directory) else {
        return Ok(());
    };
    if repo.is_bare() || (packages.is_empty() && !repository) {
        return Ok(());
    }
    let store = DirectoryStore::open(directory).map_err(CommandError::io)?;
    let known = Known::of(head.root(), &KnownSchemes).map_err(CommandError::refused)?;
    let found = survey(&store, known.layout(), head.root());
    let mut files = Vec::new();
    for unit in found
        .packages
        .iter()
        .filter(|it| packages.contains(&it.name))
    {
        files.extend(of_package(&store, known.layout(), unit));
    }
    if repository {
        files.extend(found.repository);
    }
    let top = repo.path();
    let inside = |file: &TreePath| match below.as_str() {
        "" => file.to_string(),
        below => format!("{below}/{file}"),
    };
    let paths: Vec<String> = files.iter().map(inside).collect();
    if paths.is_empty() {
        return Ok(());
    }
    // Git reads and hashes far more slowly than this program, so ask it only about files that it could
    // change.
    let (filtered, converted) = rayon::join(
        || Stored::filtered(top, &paths),
        || converted(&store, &files),
    );
    let Some(mut filtered) = filtered? else {
        return without_git(top, &paths);
    };
    let converted = paths.iter().zip(converted).filter(|(_, it)| *it);
    filtered.extend(converted.map(|(path, _)| path.clone()));
    let asked: Vec<String> = filtered.into_iter().collect();
    let differing = Stored::differing(top, &asked)?;
    let Some(first) = differing.first() else {
        return Ok(());
    };
    let others = match differing.len().saturating_sub(1) {
        0 => String::new(),
        more => format!(" and of {}", count(more, "other file")),
    };
    let why = match set_for(top, first) {
        Some(set) => format!("by {set}"),
        None => "by the settings of this git, core.autocrlf or attributes of your own".into(),
    };
    Err(CommandError::refused(format_args!(
        "git stores other bytes of {}{others} than stand here, {}; nothing was signed",
        plain(first),
        plain(&why)
    ))
    .hint(format_args!(
        "have git store what stands here: packages/** -text at the end of .gitattributes, or !NAME for an attribute NAME such as ident"
    ))
    .hint("or commit it, and approve what git has: conex approve --changed A..B"))
}

/// Returns, for each file, whether it contains something that git may convert when it stores text: a
/// two-byte line ending or a keyword. A file that cannot be read here is left for git to judge.
fn converted(store: &DirectoryStore, files: &[TreePath]) -> Vec<bool> {
    let of = |buffer: &mut Vec<u8>, file: &TreePath| {
        let read = store.read(file, limits::DATA_FILE, buffer);
        read.is_err()
            || ["\r\n", "$Id"]
                .iter()
                .any(|it| memmem::find(buffer, it.as_bytes()).is_some())
    };
    files.par_iter().map_init(Vec::new, of).collect()
}

/// Handles a missing git: signing may go on where no attribute applies.
fn without_git(top: &Path, paths: &[String]) -> Result<()> {
    match paths.iter().find_map(|path| set_for(top, path)) {
        None => Ok(()),
        Some(set) => Err(CommandError::io(format_args!(
            "what git will store cannot be told without it, because of {}; nothing was signed",
            plain(&set)
        ))
        .hint("install git, or approve a revision: conex approve --changed A..B")),
    }
}

/// Describes the attributes in the tree that change how git stores a file, with their locations.
fn set_for(top: &Path, file: &str) -> Option<String> {
    let store = DirectoryStore::open(top).ok()?;
    let file = TreePath::parse(file).ok()?;
    let mut sources = Vec::new();
    let mut above = file.parent();
    while let Some(directory) = above {
        let place = directory.join(FILE).ok()?;
        if store.kind(&place) == Ok(Some(EntryKind::File)) {
            sources.push(place);
        }
        above = directory.parent();
    }
    let attributes = Attributes::read(&store, &sources).ok()?;
    let set = attributes.storing(&file).ok()?;
    let shown = set
        .into_iter()
        .map(|(attribute, source, line)| format!("{attribute} in {source}, line {line}"));
    let shown: Vec<String> = shown.collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// Asks git what it would store.
struct Stored;

impl Stored {
    /// Returns the files to which a filter or an encoding may apply when git stores them, whatever they
    /// contain; `None` without git.
    fn filtered(top: &Path, paths: &[String]) -> Result<Option<BTreeSet<String>>> {
        let mut input = paths.join("\0");
        input.push('\0');
        let names = ["filter", "working-tree-encoding"];
        let arguments = [&["check-attr", "-z", "--stdin"], &names[..]].concat();
        let Some(answer) = Self::run(top, &arguments, &input)? else {
            return Ok(None);
        };
        let fields: Vec<&str> = answer.split_terminator('\0').collect();
        if fields.len() != paths.len() * names.len() * 3 {
            return Err(Self::failed(
                "it answered for other files than it was asked about",
            ));
        }
        let set = fields.chunks(3).filter_map(|it| match it {
            [path, _, value] if !matches!(*value, "unspecified" | "unset") => Some(*path),
            _ => None,
        });
        Ok(Some(set.map(Into::into).collect()))
    }

    /// Returns the files whose content git stores differently from the work tree.
    fn differing(top: &Path, paths: &[String]) -> Result<Vec<String>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut input: String = paths.join("\n");
        input.push('\n');
        let stored = Self::run(top, &["hash-object", "--stdin-paths"], &input)?;
        let standing = ["hash-object", "--no-filters", "--stdin-paths"];
        let standing = Self::run(top, &standing, &input)?;
        let (stored, standing) = (stored.unwrap_or_default(), standing.unwrap_or_default());
        let (stored, standing): (Vec<&str>, Vec<&str>) =
            (stored.lines().collect(), standing.lines().collect());
        if stored.len() != paths.len() || standing.len() != paths.len() {
            return Err(Self::failed(
                "it answered for other files than it was asked about",
            ));
        }
        let ids = stored.iter().zip(&standing).zip(paths);
        let mut differing: Vec<(&str, &String)> = ids
            .filter(|((stored, standing), _)| stored != standing)
            .map(|((_, standing), path)| (*standing, path))
            .collect();
        if !differing.is_empty() {
            // A file that is in the index already stays as it is until it is changed.
            let index = Self::run(top, &["ls-files", "-s", "-z"], "")?.unwrap_or_default();
            let has = |id: &str, path: &str| {
                index.split('\0').any(|entry| {
                    entry.split_once('\t').is_some_and(|(mode, name)| {
                        name == path && mode.split(' ').nth(1) == Some(id)
                    })
                })
            };
            differing.retain(|(id, path)| !has(id, path));
        }
        Ok(differing
            .into_iter()
            .map(|(_, path)| path.clone())
            .collect())
    }

    fn run(top: &Path, arguments: &[&str], input: &str) -> Result<Option<String>> {
        let mut command = Command::new("git");
        command.arg("-C").arg(top).args(arguments);
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            command.env_remove(name);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut asked = match command.spawn() {
            Ok(asked) => asked,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Self::failed(&error.to_string())),
        };
        let stdin = asked.stdin.take();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                // If git stops reading, it reports the reason itself.
                stdin.and_then(|mut stdin| stdin.write_all(input.as_bytes()).ok())
            });
            asked.wait_with_output()
        });
        let output = output.map_err(|error| Self::failed(&error.to_string()))?;
        if !output.status.success() {
            return Err(Self::failed(&String::from_utf8_lossy(&output.stderr)));
        }
        let text = String::from_utf8(output.stdout);
        Ok(Some(
            text.map_err(|_| Self::failed("its answer is no text"))?,
        ))
    }

    fn failed(why: &str) -> CommandError {
        CommandError::io(format_args!(
            "git does not say what it would store: {}; nothing was signed",
            plain(why.trim())
        ))
        .hint("git status says what is wrong; or approve a revision: conex approve --changed A..B")
    }
}
