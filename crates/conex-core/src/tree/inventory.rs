//! Accounting for every path at the top of a tree (spec section 8).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::model::limits;
use crate::model::name::PackageName;
use crate::model::path::{Path, Pattern};
use crate::model::statement::Root;
use crate::model::vouch::Subject;
use crate::tree::content::collisions;
use crate::tree::layout::{ClientRelease, Layout, PackageUnit, Place, ReleaseUnit, contract};
use crate::tree::metadata;
use crate::tree::problem::{Code, Problem};
use crate::tree::store::{Entry, EntryKind, Store};

/// What stands at the top of a tree, all of it accounted for or a problem.
#[derive(Debug, Default)]
pub struct Survey {
    /// Packages, sorted by name.
    pub packages: Vec<PackageUnit>,
    /// Repository files.
    pub repository: Vec<Path>,
    /// What is not accounted for, or not as it has to be.
    pub problems: Vec<Problem>,
    /// Whatever has the name of a release elsewhere.
    pub(crate) named: Vec<Named>,
}

/// Accounts for every top-level entry: `conex/`, packages, repository files, what the root ignores.
pub fn survey<S: Store + ?Sized>(store: &S, layout: &dyn Layout, root: &Root) -> Survey {
    let mut survey = Survey::default();
    let mut outside = Outside::new(store, layout, root);
    let entries = match store.list(&Path::top()) {
        Ok(entries) => entries,
        Err(error) => {
            survey
                .problems
                .push(Problem::unreadable(&Path::top(), &error));
            return survey;
        }
    };
    // Where case is ignored, `Conex` is `conex`, and `REPO` is what clients read as `repo`.
    let places: Vec<Path> = entries
        .iter()
        .filter_map(|entry| Path::top().join(&entry.name).ok())
        .collect();
    survey.problems.extend(collisions(
        places.iter().map(|place| (place.as_str(), place)),
    ));
    for entry in entries {
        if entry.name == metadata::DIRECTORY && entry.kind == EntryKind::Directory {
            continue;
        }
        let place = match Path::top().join(&entry.name) {
            Ok(place) => place,
            Err(error) => {
                survey
                    .problems
                    .push(Problem::new(Code::BadName, &entry.name, error));
                continue;
            }
        };
        if is_version_control(&entry.name) && !matches!(entry.kind, EntryKind::Special(_)) {
            survey.problems.push(Problem::new(
                Code::Unaccounted,
                &place,
                "this came with the data or is not what its name says, and no pattern ignores it: remove it, or have version control itself fetch the tree",
            ));
            continue;
        }
        let is_ignored = match entry.kind {
            EntryKind::Directory => root.ignore.iter().any(|pattern| pattern.covers(&place)),
            _ => root.ignore.iter().any(|pattern| pattern.matches(&place)),
        };
        match (
            layout.place(&entry.name, entry.kind, is_ignored),
            entry.kind,
        ) {
            (_, EntryKind::Special(kind)) => {
                survey.problems.push(Problem::new(
                    Code::SpecialFile,
                    &place,
                    format!("is a {kind}"),
                ));
            }
            (Place::Packages, _) => {
                let (packages, problems) = layout.packages(&store, &place);
                survey
                    .problems
                    .extend(contract::elsewhere(&packages, &place));
                survey.packages.extend(packages);
                survey.problems.extend(problems);
            }
            (Place::Repository, _) => survey.repository.push(place),
            (Place::Other, _) => {
                outside.entry(&entry, &place, 0, false);
            }
        }
    }
    // Packages at the top itself have been compared with everything else there.
    let deeper = |place: &&Path| place.components().nth(1).is_some();
    survey.packages.sort_by(|a, b| a.name.cmp(&b.name));
    survey
        .problems
        .extend(collisions(survey.packages.iter().filter_map(|unit| {
            Some((unit.name.as_str(), unit.directories.first().filter(deeper)?))
        })));
    survey.problems.extend(contract::twice(&survey.packages));
    survey.problems.extend(contract::shared(&survey.packages));
    survey.problems.extend(outside.problems(&survey.packages));
    survey.named = outside.named;
    survey
}

/// Whether version control would take an entry at the top for its own. A store does not list what is.
fn is_version_control(name: &str) -> bool {
    let names = [".git", "git~1", ".hg", "_darcs"];
    names.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Why nothing that `pattern` names can be ignored in a layout; `None` where something may be.
///
/// A pattern with a star in its first name is never without effect: there are other names.
pub fn cannot_ignore(layout: &dyn Layout, pattern: &Pattern) -> Option<String> {
    let text = pattern.as_str();
    let (first, kind) = match text.split_once('/') {
        Some((first, _)) => (first, EntryKind::Directory),
        None => (text, EntryKind::File),
    };
    if first == metadata::DIRECTORY {
        return Some(format!("{first}/ is what all verification rests on"));
    }
    match (layout.place(first, kind, true), kind) {
        (Place::Other, _) => None,
        (Place::Packages, _) => Some(format!(
            "packages stand in {first}/, and all that stands there is theirs"
        )),
        (Place::Repository, _) => Some(format!("clients read the file {first}")),
    }
}

/// Reports directories that the client may take for releases, outside `conex/` and what the layout
/// accounts for, where these are the packages of the tree, sorted.
pub(crate) fn lookalikes<S: Store + ?Sized>(
    store: &S,
    layout: &dyn Layout,
    root: &Root,
    packages: &[PackageUnit],
) -> Vec<Problem> {
    if layout.client().is_none() {
        return Vec::new();
    }
    let mut outside = Outside::new(store, layout, root);
    for entry in store.list(&Path::top()).unwrap_or_default() {
        let is_metadata = entry.name == metadata::DIRECTORY;
        if entry.kind != EntryKind::Directory || is_metadata {
            continue;
        }
        // What else may be wrong there was looked at before.
        let Ok(place) = Path::top().join(&entry.name) else {
            continue;
        };
        let is_ignored = root.ignore.iter().any(|pattern| pattern.covers(&place));
        if layout.place(&entry.name, entry.kind, is_ignored) == Place::Other {
            outside.entry(&entry, &place, 0, false);
        }
    }
    outside.problems(packages)
}

/// What stands outside the packages, `conex/` and the repository files.
struct Outside<'a, S: ?Sized> {
    store: &'a S,
    layout: &'a dyn Layout,
    root: &'a Root,
    named: Vec<Named>,
    problems: Vec<Problem>,
}

impl<'a, S: Store + ?Sized> Outside<'a, S> {
    fn new(store: &'a S, layout: &'a dyn Layout, root: &'a Root) -> Self {
        Self {
            store,
            layout,
            root,
            named: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn push(&mut self, code: Code, place: &Path, detail: impl fmt::Display) {
        self.problems.push(Problem::new(code, place, detail));
    }

    /// Reports what no pattern matches, and notes what has the name of a release. Of what a pattern
    /// covers whole, only names are looked at, and only where a client does so. Says whether there
    /// is any file.
    fn entry(&mut self, entry: &Entry, place: &Path, depth: usize, is_covered: bool) -> bool {
        let mut patterns = self.root.ignore.iter();
        match entry.kind {
            EntryKind::Special(_) | EntryKind::File if is_covered => true,
            EntryKind::Special(kind) => {
                self.push(Code::SpecialFile, place, format_args!("is a {kind}"));
                true
            }
            EntryKind::File => {
                if !patterns.any(|pattern| pattern.matches(place)) {
                    let detail = "nothing accounts for this file";
                    self.push(Code::Unaccounted, place, detail);
                }
                true
            }
            EntryKind::Directory => {
                let is_covered = is_covered || patterns.any(|pattern| pattern.covers(place));
                self.directory(place, depth, is_covered)
            }
        }
    }

    fn directory(&mut self, place: &Path, depth: usize, is_covered: bool) -> bool {
        let client = self.layout.client();
        if is_covered && client.is_none() {
            return true;
        }
        if depth >= limits::DEPTH {
            let detail = "directories are nested too deep here";
            self.push(Code::TooLarge, place, detail);
            return true;
        }
        let entries = match self.store.list(place) {
            Ok(entries) => entries,
            Err(error) => {
                self.problems.push(Problem::unreadable(place, &error));
                return true;
            }
        };
        let (mut has_file, mut is_loaded) = (false, false);
        for entry in entries {
            let is_directory = entry.kind == EntryKind::Directory;
            is_loaded |= !is_directory && client.is_some_and(|it| it.is_loaded_by(&entry.name));
            match place.join(&entry.name) {
                Ok(place) => has_file |= self.entry(&entry, &place, depth + 1, is_covered),
                // Nothing can be said of what it holds; a file that clients ignore may be called anything.
                Err(error) if is_directory || !is_covered => {
                    let shown = format!("{place}/{}", entry.name);
                    self.problems
                        .push(Problem::new(Code::BadName, shown, error));
                    has_file = true;
                }
                Err(_) => has_file = true,
            }
        }
        let release = client.and_then(|client| client.release(place.file_name()));
        if let Some(release) = release.filter(|_| has_file) {
            self.named.push(Named {
                place: place.clone(),
                release,
                is_loaded,
            });
        }
        has_file
    }

    /// The problems, where these are the packages of the tree; those of what has the name of a release,
    /// too.
    fn problems(&mut self, packages: &[PackageUnit]) -> Vec<Problem> {
        let mut releases = ClientReleases::new(self.store, self.layout, packages);
        let shadows = self.named.iter();
        let shadows = shadows.filter_map(|named| named.problem(&mut releases));
        self.problems.extend(shadows);
        core::mem::take(&mut self.problems)
    }
}

/// A directory that the client takes for a release, outside `conex/` and what the layout accounts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) place: Path,
    release: ClientRelease,
    is_loaded: bool,
}

impl Named {
    /// The problem of it in a tree: the client would load it, or take it for a release that is there.
    pub(crate) fn problem<S: Store + ?Sized>(
        &self,
        releases: &mut ClientReleases<'_, S>,
    ) -> Option<Problem> {
        let shadow = |detail: &str| Problem::new(Code::ShadowRelease, &self.place, detail);
        if self.is_loaded {
            return Some(shadow("the client loads this directory as a release"));
        }
        let (package, same) = releases.find(&self.release)?;
        let subject = Subject::Checksums(package.clone(), same.name.clone());
        let detail = format!("the client takes this for {}", same.directory);
        Some(shadow(&detail).about(&subject))
    }
}

/// The releases of a tree by what the client takes them for; those of a package are listed once, when they are
/// asked for.
pub(crate) struct ClientReleases<'a, S: ?Sized> {
    store: &'a S,
    layout: &'a dyn Layout,
    packages: &'a [PackageUnit],
    known: BTreeMap<&'a PackageName, BTreeMap<String, ReleaseUnit>>,
}

impl<'a, S: Store + ?Sized> ClientReleases<'a, S> {
    /// Of these packages, sorted by name.
    pub(crate) fn new(store: &'a S, layout: &'a dyn Layout, packages: &'a [PackageUnit]) -> Self {
        Self {
            store,
            layout,
            packages,
            known: BTreeMap::new(),
        }
    }

    fn find(&mut self, release: &ClientRelease) -> Option<(&'a PackageName, &ReleaseUnit)> {
        let (store, layout, packages) = (self.store, self.layout, self.packages);
        let client = layout.client()?;
        let at = packages.binary_search_by(|unit| unit.name.as_str().cmp(&release.package));
        let package = packages.get(at.ok()?)?;
        let known = self.known.entry(&package.name).or_insert_with(|| {
            // Of a package that cannot be read other problems tell.
            let found = contract::releases(layout, &store, package).unwrap_or_default();
            let by_version = found.into_iter().rev();
            by_version
                .map(|unit| (client.version(&unit.name), unit))
                .collect()
        });
        Some((&package.name, known.get(&release.version)?))
    }
}
