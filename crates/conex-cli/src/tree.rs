//! The repository that a command works on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use conex_core::model::digest::Digest;
use conex_core::model::limits;
use conex_core::model::name::{PackageName, ReleaseName};
use conex_core::model::path::Path as TreePath;
use conex_core::model::statement::Root;
use conex_core::model::vouch::Subject;
use conex_core::state::State;
use conex_core::state::baseline::Baseline;
use conex_core::state::chain::{Head, Trust};
use conex_core::state::people::People;
use conex_core::tools::compose::Files;
use conex_core::tree::content::{Package, Reader, Release, Releases, Repository};
use conex_core::tree::inventory::{Survey, survey};
use conex_core::tree::layout::{Layout, PackageUnit};
use conex_core::tree::problem::Code;
use conex_core::tree::schemes::Known;
use conex_core::tree::store::{Entry, EntryKind, Overlay, Store, StoreError};
use conex_core::verify::{Mode, Report};
use conex_crypto::StandardCrypto;
use conex_repo::write::Change;
use conex_repo::{DirectoryStore, KnownSchemes, Parallel};

use crate::attributes::{self, Noticing};
use crate::error::{CommandError, Result};
use crate::git;
use crate::output::plain;
use crate::verification::{verify, verify_main};

/// The usual names in a clone of the branch that clients follow.
pub(crate) const FOLLOWED: [&str; 3] = ["signed", "origin/signed", "upstream/signed"];

/// A working copy: the content that is read, and the place where signed files go.
pub(crate) struct Tree {
    path: PathBuf,
    store: Box<dyn Store>,
    /// Whether the content is that of the working copy itself.
    is_working: bool,
}

impl Tree {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let store = DirectoryStore::open(path).map_err(|error| {
            let shown = path.display();
            if path.is_file() {
                return CommandError::usage(format_args!("{shown} is a file, not a directory"))
                    .hint("-C takes the directory of a repository, the one with conex/ in it");
            }
            CommandError::io(format_args!("{shown}: {error}"))
                .hint("-C takes the directory of a repository")
        })?;
        Ok(Self {
            path: path.to_owned(),
            store: Box::new(store),
            is_working: true,
        })
    }

    /// Opens a revision of the git repository that contains the working copy. Signed files still go into
    /// the working copy.
    pub(crate) fn at_revision(path: &Path, revision: &str) -> Result<Self> {
        let store = git::at_revision(path, revision).map_err(|error| {
            CommandError::usage(error).hint(
                "revisions are those of the git working copy that the repository given with -C stands in",
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            store: Box::new(store),
            is_working: false,
        })
    }

    /// Returns this tree with all pages and batches that another tree has, too. New signatures here have to
    /// fit what was signed there.
    pub(crate) fn with_pages_of(self, other: &Self) -> Result<Self> {
        let files = other.pages_beyond(&*self.store)?;
        let store = Overlay::new(self.store, files).map_err(CommandError::refused)?;
        Ok(Self {
            path: self.path,
            store: Box::new(store),
            is_working: self.is_working,
        })
    }

    /// Returns the pages and batches that this tree has and another does not.
    pub(crate) fn pages_beyond(
        &self,
        other: &dyn Store,
    ) -> Result<BTreeMap<TreePath, Option<Vec<u8>>>> {
        let mut files = BTreeMap::new();
        for below in ["conex/index", "conex/batches"] {
            let mut directories = vec![place(below)?];
            while let Some(directory) = directories.pop() {
                for entry in listed(&self.store, &directory)? {
                    // A file with an invalid name is not a page. Verifying that tree reports it.
                    let Ok(path) = directory.join(&entry.name) else {
                        continue;
                    };
                    match entry.kind {
                        EntryKind::Directory => directories.push(path),
                        EntryKind::File if other.kind(&path).ok().flatten().is_none() => {
                            let mut bytes = Vec::new();
                            if self
                                .store
                                .read(&path, limits::PAGE_FILE, &mut bytes)
                                .is_ok()
                            {
                                files.insert(path, Some(bytes));
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(files)
    }

    /// Returns the names of all packages in the tree.
    pub(crate) fn packages(&self, head: &Head) -> Result<BTreeSet<PackageName>> {
        let known = known(head)?;
        let found = self.survey(head, &known).packages;
        Ok(found.into_iter().map(|unit| unit.name).collect())
    }

    /// Calls a function with the layout of the root and the packages that it finds.
    pub(crate) fn with_layout<T>(
        &self,
        head: &Head,
        job: impl FnOnce(&dyn Layout, &[PackageUnit]) -> T,
    ) -> Result<T> {
        let known = known(head)?;
        let found = self.survey(head, &known).packages;
        Ok(job(known.layout(), &found))
    }

    /// Returns the packages that paths belong to, as far as the layout can tell from the paths alone.
    pub(crate) fn concerned(
        head: &Head,
        paths: &BTreeSet<TreePath>,
    ) -> Result<BTreeSet<PackageName>> {
        let known = known(head)?;
        let homes = paths.iter().filter_map(|path| known.layout().home(path));
        Ok(homes.map(|(package, _)| package).collect())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Verifies the whole tree.
    pub(crate) fn verify(&self, trust: &Trust, mode: Mode, ahead: bool) -> Report {
        let noticing = Noticing::new(self.store());
        let mut report = verify(&noticing, trust, mode, ahead);
        noticing.note(&mut report);
        report
    }

    /// Refuses to sign content of a git working copy that git would store differently.
    pub(crate) fn stored_alike<'s>(
        &self,
        head: &Head,
        subjects: impl IntoIterator<Item = &'s Subject>,
    ) -> Result<()> {
        let (mut packages, mut repository) = (BTreeSet::new(), false);
        for subject in subjects {
            match subject {
                Subject::Repository => repository = true,
                Subject::Releases(package) | Subject::Checksums(package, _) => {
                    packages.insert(package);
                }
                _ => {}
            }
        }
        if !self.is_working {
            return Ok(());
        }
        attributes::stored_alike(&self.path, head, &packages, repository)
    }

    /// Returns the state that clients follow, if the clone has it.
    fn followed_tree(&self) -> Option<Self> {
        git::around(&self.path).ok()?;
        let mut found = FOLLOWED
            .iter()
            .filter_map(|branch| Self::at_revision(&self.path, branch).ok());
        found.next()
    }

    /// Returns the status of the state that clients follow, with the pages of this tree; `None` if it is
    /// not known.
    pub(crate) fn followed(&self) -> Result<Option<&'static Work>> {
        let Some(followed) = self.followed_tree() else {
            return Ok(None);
        };
        let report = followed.with_pages_of(self)?.report(None);
        Ok(Work::of(report).ok())
    }

    /// Returns the status of a working copy for the people who work on it. The tree's own first root is
    /// trusted, approvals may run ahead, and content that would not reach clients from here counts as
    /// unapproved.
    ///
    /// The result lives until the program ends together with the command. Freeing the memory of a large
    /// repository piece by piece would only keep people waiting.
    pub(crate) fn examine(&self) -> Result<&'static Work> {
        let followed = self.followed_tree();
        let baseline =
            followed.and_then(|it| Baseline::read(it.store(), &StandardCrypto, &Parallel));
        Work::of(self.report(baseline.as_ref()))
    }

    /// Verifies a tree that people work on.
    fn report(&self, baseline: Option<&Baseline>) -> Report {
        let noticing = Noticing::new(self.store());
        let mut report = verify_main(&noticing, baseline);
        noticing.note(&mut report);
        report
    }

    /// Writes files, all or none.
    pub(crate) fn write(&self, files: Files) -> Result<()> {
        self.replace(files, Vec::new())
    }

    /// Writes files and deletes others, all or none.
    pub(crate) fn replace(&self, files: Files, deleted: Vec<TreePath>) -> Result<()> {
        let mut change = Change::new();
        for path in deleted {
            change.delete(path);
        }
        for (path, bytes) in files {
            change.write(path, bytes);
        }
        change.commit(&self.path).map_err(|error| {
            CommandError::io(format_args!("could not write: {error}"))
                .hint("free some space or get write access, and run it again; git status says if anything was written before it failed")
        })
    }

    /// Computes the statements of one package from its data.
    pub(crate) fn package(&self, head: &Head, name: &PackageName) -> Result<Option<Package>> {
        let known = known(head)?;
        let found = self
            .survey(head, &known)
            .packages
            .into_iter()
            .find(|unit: &PackageUnit| unit.name == *name);
        let projections = known.projections();
        let reader = self.reader(head, &known, &projections);
        let Some(unit) = found else { return Ok(None) };
        reader.package(&unit).map(Some).map_err(|problems| {
            let first = problems
                .first()
                .map_or_else(String::new, ToString::to_string);
            CommandError::refused(format_args!("{name} cannot be read: {first}"))
                .hint("conex verify shows all that is wrong with it, and what to do")
        })
    }

    /// Returns the subjects of the checksums of all releases of a package; empty if it is absent or cannot
    /// be read.
    pub(crate) fn checksums(
        &self,
        head: &Head,
        package: &PackageName,
    ) -> Result<BTreeSet<Subject>> {
        let known = known(head)?;
        let units = self.survey(head, &known).packages;
        let unit = units.iter().find(|unit| unit.name == *package);
        let releases = unit.and_then(|unit| known.layout().releases(self.store(), unit).ok());
        let releases = releases.unwrap_or_default().into_iter();
        let subject = |release| Subject::Checksums(package.clone(), release);
        Ok(releases.map(|unit| subject(unit.name)).collect())
    }

    /// Returns the statement of a package's releases, under the newest projection.
    pub(crate) fn releases(&self, head: &Head, package: &Package) -> Result<Releases> {
        let known = known(head)?;
        let projections = known.projections();
        let newest = projections.len().saturating_sub(1);
        Ok(self.reader(head, &known, &projections).releases_statement(
            &package.name,
            &package.releases,
            newest,
        ))
    }

    /// Returns the digest to vouch for: that of a package's releases, under the newest projection.
    pub(crate) fn releases_digest(
        &self,
        head: &Head,
        name: &PackageName,
        releases: &[Release],
    ) -> Result<Digest> {
        let known = known(head)?;
        let projections = known.projections();
        let newest = projections.len().saturating_sub(1);
        Ok(self
            .reader(head, &known, &projections)
            .releases_digest(name, releases, newest))
    }

    /// Parses a release as given on a command line: in the form of the layout, or as `foo/1.0`.
    pub(crate) fn parse_release(head: &Head, text: &str) -> Result<(PackageName, ReleaseName)> {
        let slash = || {
            let (package, release) = text.split_once('/')?;
            Some((
                PackageName::parse(package).ok()?,
                ReleaseName::parse(release).ok()?,
            ))
        };
        slash()
            .or_else(|| known(head).ok()?.layout().parse_release(text))
            .ok_or_else(|| {
                CommandError::usage(format_args!("{} names no release", plain(text)))
                    .hint("releases are written foo/1.0, or in opam's way foo.1.0")
            })
    }

    /// Reads the repository files.
    pub(crate) fn repository(&self, head: &Head) -> Result<Repository> {
        let known = known(head)?;
        let paths = self.survey(head, &known).repository;
        let projections = known.projections();
        self.reader(head, &known, &projections)
            .repository(&paths)
            .map_err(|problems| {
                let first = problems
                    .first()
                    .map_or_else(String::new, ToString::to_string);
                CommandError::refused(format_args!("the repository files cannot be read: {first}"))
            })
    }

    /// Lists what is at the top of the tree, under the rules of a root.
    pub(crate) fn top(&self, root: &Root) -> Result<Survey> {
        let known = Known::of(root, &KnownSchemes)
            .map_err(|problem| CommandError::refused(&problem).hint(problem.code.advice()))?;
        Ok(survey(&*self.store, known.layout(), root))
    }

    fn survey(&self, head: &Head, known: &Known) -> Survey {
        survey(&*self.store, known.layout(), head.root())
    }

    fn reader<'a>(
        &'a self,
        head: &'a Head,
        known: &'a Known,
        projections: &'a [&'a dyn conex_core::tree::projection::Projection],
    ) -> Reader<'a, dyn Store, StandardCrypto> {
        Reader {
            store: &*self.store,
            digests: &StandardCrypto,
            origin: &head.root().origin,
            layout: known.layout(),
            projections,
        }
    }
}

/// A working copy and its status.
pub(crate) struct Work {
    pub(crate) report: Report,
    pub(crate) head: Head,
}

impl Work {
    /// Takes a report; gives it back where no root is valid.
    pub(crate) fn new(report: Report) -> core::result::Result<Self, Box<Report>> {
        match report.head.clone() {
            Some(head) if report.state.is_some() => Ok(Self { report, head }),
            _ => Err(Box::new(report)),
        }
    }

    /// The state that was judged.
    pub(crate) fn state(&self) -> &State {
        let state = self.report.state.as_ref();
        state.expect("a work is made of a report with a state")
    }

    /// Who is who.
    pub(crate) fn people(&self) -> &People {
        self.state().people()
    }

    /// # Errors
    /// If no root is valid, with the first reason.
    fn of(report: Report) -> Result<&'static Self> {
        let report = match Self::new(report) {
            Ok(work) => return Ok(Box::leak(Box::new(work))),
            Err(report) => report,
        };
        let first = report
            .problems
            .first()
            .map_or_else(String::new, ToString::to_string);
        let code = report.problems.first().map(|problem| problem.code);
        Err(
            CommandError::refused(format_args!("there is no valid root here: {first}")).hint(
                match code {
                    Some(Code::RootMissing) => {
                        "start with conex init, or give with -C the directory that has conex/ in it"
                    }
                    Some(code) => code.advice(),
                    None => "conex verify says more",
                },
            ),
        )
    }
}

/// Writes one file outside of the tree, completely or not at all. `example` is a command line that shows
/// how to name a file.
pub(crate) fn write_beside(file: &Path, bytes: Vec<u8>, example: &str) -> Result<()> {
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.and_then(|name| TreePath::parse(name).ok());
    let name = name.ok_or_else(|| {
        CommandError::usage(format_args!("{} is no name for a file", file.display()))
            .hint(format_args!("for example: {example}"))
    })?;
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(
            CommandError::io(format_args!("{} is no directory", directory.display()))
                .hint("make it first; nothing was written"),
        );
    }
    let mut change = Change::new();
    change.write(name, bytes);
    change.commit(directory).map_err(|error| {
        CommandError::io(format_args!("{}: {error}", directory.display()))
            .hint("nothing was written; free some space or get write access, and run it again")
    })
}

fn place(text: &str) -> Result<TreePath> {
    TreePath::parse(text).map_err(CommandError::io)
}

/// Lists a directory; empty if it does not exist.
fn listed(store: &dyn Store, directory: &TreePath) -> Result<Vec<Entry>> {
    match store.list(directory) {
        Ok(entries) => Ok(entries),
        Err(StoreError::Missing) => Ok(Vec::new()),
        Err(error) => Err(CommandError::io(format_args!("{directory}: {error}"))
            .hint("conex verify says what else is wrong here")),
    }
}

fn known(head: &Head) -> Result<Known> {
    Known::of(head.root(), &KnownSchemes).map_err(CommandError::refused)
}
