//! The effects of a change: on packages and releases, on people, and on everything else.

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::limits;
use conex_core::model::name::{Id, PackageName, ReleaseName};
use conex_core::model::path::Path as TreePath;
use conex_core::model::vouch::Subject;
use conex_core::tree::inventory::survey;
use conex_core::tree::layout::{Layout, PackageUnit, Place, ReleaseUnit};
use conex_core::tree::metadata::DIRECTORY;
use conex_core::tree::problem::Code;
use conex_core::tree::store::{EntryKind, Store, Workers as _};
use conex_core::verify::Report;
use conex_repo::Parallel;
use conex_repo::opam::clients::Loss;
use conex_repo::opam::edit::{self, Edit, Forced, Kind, Kinds};
use conex_repo::opam::facts::{Archive, Facts, Strength};

use super::Reviewer;
use super::view::EditView;

/// All effects of a change.
#[derive(Debug, Default)]
pub(super) struct Edits {
    pub(super) packages: BTreeMap<PackageName, PackageEdit>,
    /// People, teams and ownership, each with its file, and whether that file existed before.
    pub(super) people: Vec<(Subject, TreePath, bool)>,
    /// Repository files, each with whether its signed form changes.
    pub(super) repository: Vec<(TreePath, bool)>,
    pub(super) roots: Vec<TreePath>,
    /// New pages and batches.
    pub(super) pages: Vec<TreePath>,
    /// Existing pages and batches that are changed or deleted.
    pub(super) pages_lost: Vec<TreePath>,
    /// All other files.
    pub(super) others: Vec<TreePath>,
    /// The packages before the change, with all of their releases.
    pub(super) before: Side,
}

/// The effect on a package.
#[derive(Debug, Default)]
pub(super) struct PackageEdit {
    /// Whether it had releases before.
    pub(super) existed: bool,
    /// Whether it has releases afterwards.
    pub(super) exists: bool,
    pub(super) releases: BTreeMap<ReleaseName, ReleaseEdit>,
}

/// The effect on a release.
#[derive(Debug, Default)]
pub(super) struct ReleaseEdit {
    pub(super) place: TreePath,
    pub(super) kinds: Kinds,
    /// Dependencies of which it accepts only older releases than before.
    pub(super) forced: Vec<Forced>,
    /// New URLs that it fetches with weak checksums.
    pub(super) weak: Vec<(String, Strength)>,
    /// Why clients could not load the repository with it.
    pub(super) loss: Option<Loss>,
}

impl ReleaseEdit {
    /// Whether anything that is fetched, built or run changes.
    pub(super) fn is_source(&self) -> bool {
        !self.kinds.is_upkeep()
    }
}

/// The effect on one file of a release.
#[derive(Debug, Default)]
struct FileEdit {
    kinds: Kinds,
    forced: Vec<Forced>,
    weak: Vec<(String, Strength)>,
    loss: Option<Loss>,
}

/// The packages of one side that a change touches.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// The packages with their releases.
    pub(super) packages: BTreeMap<PackageName, Vec<ReleaseUnit>>,
    /// The release at each path.
    homes: BTreeMap<TreePath, (PackageName, ReleaseName)>,
}

impl Side {
    /// Returns the release that a file belongs to, and its path.
    fn owner(&self, path: &TreePath) -> Option<(&TreePath, &(PackageName, ReleaseName))> {
        let mut above = path.parent();
        while let Some(directory) = above {
            if let Some(found) = self.homes.get_key_value(&directory) {
                return Some(found);
            }
            above = directory.parent();
        }
        None
    }
}

impl Edits {
    pub(super) fn find(
        reviewer: &Reviewer<'_>,
        (base, result): (&dyn Store, &dyn Store),
        changed: &BTreeSet<TreePath>,
    ) -> Self {
        let layout = reviewer.known.layout();
        let mut edits = Self::default();
        let mut data: Vec<&TreePath> = Vec::new();
        for path in changed {
            let components: Vec<&str> = path.components().collect();
            match components.as_slice() {
                [DIRECTORY, rest @ ..] => edits.metadata(base, path, rest),
                [name] if layout.place(name, EntryKind::File, false) == Place::Repository => {
                    let is_signed = is_signed_otherwise(layout, (base, result), path);
                    edits.repository.push((path.clone(), is_signed));
                }
                _ => data.push(path),
            }
        }
        let side = |store| {
            let tree = Tree {
                reviewer,
                store,
                layout,
            };
            tree.releases(&data)
        };
        let (before, after) = Parallel.join(|| side(base), || side(result));
        let mut owned: Vec<(&TreePath, &TreePath, &(PackageName, ReleaseName))> = Vec::new();
        for path in data {
            match after.owner(path).or_else(|| before.owner(path)) {
                Some((place, release)) => owned.push((path, place, release)),
                None => edits.others.push(path.clone()),
            }
        }
        let comparison = Comparison {
            stores: [base, result],
            homes: [&before.homes, &after.homes],
            layout,
            is_opam: layout.name() == "opam" && !reviewer.known.projections().is_empty(),
        };
        let found = Parallel.map(owned, |(path, place, release)| {
            (place, release, comparison.file(path, place, release))
        });
        for (place, (package, release), file) in found {
            let edit = edits.packages.entry(package.clone()).or_default();
            let has_releases = |side: &Side| {
                let releases = side.packages.get(package);
                releases.is_some_and(|releases| !releases.is_empty())
            };
            edit.existed = has_releases(&before);
            edit.exists = has_releases(&after);
            let edit = edit.releases.entry(release.clone()).or_default();
            edit.place = place.clone();
            edit.kinds.extend(file.kinds.iter());
            edit.forced.extend(file.forced);
            edit.weak.extend(file.weak);
            edit.loss = edit.loss.take().or(file.loss);
        }
        edits.before = before;
        edits
    }

    /// Classifies a changed file below `conex/`.
    fn metadata(&mut self, base: &dyn Store, path: &TreePath, components: &[&str]) {
        let existed = base.kind(path).is_ok_and(|kind| kind.is_some());
        let stem = path.file_name().strip_suffix(".toml").unwrap_or_default();
        let id = || Id::parse(stem).ok();
        let subject = match components {
            ["authors", _] => id().map(Subject::Author),
            ["teams", _] => id().map(Subject::Team),
            ["packages", _] => PackageName::parse(stem).ok().map(Subject::Authorisation),
            _ => None,
        };
        match (subject, components) {
            (Some(subject), _) => self.people.push((subject, path.clone(), existed)),
            (None, ["root", ..]) => self.roots.push(path.clone()),
            (None, ["index" | "batches", ..]) if existed => self.pages_lost.push(path.clone()),
            (None, ["index" | "batches", ..]) => self.pages.push(path.clone()),
            (None, _) => self.others.push(path.clone()),
        }
    }

    /// Returns the statements whose content changes.
    pub(super) fn asked(&self, report: &Report) -> BTreeSet<Subject> {
        let mut asked: BTreeSet<Subject> = self
            .people
            .iter()
            .map(|(subject, ..)| subject.clone())
            .collect();
        if self.repository.iter().any(|(_, is_signed)| *is_signed) {
            asked.insert(Subject::Repository);
        }
        for (package, edit) in &self.packages {
            if edit.releases.values().any(ReleaseEdit::is_source) {
                asked.insert(Subject::Releases(package.clone()));
            }
            let releases = edit.releases.keys();
            asked.extend(
                releases.map(|release| Subject::Checksums(package.clone(), release.clone())),
            );
        }
        asked.retain(|subject| report.finding(subject).is_some());
        asked
    }

    /// Whether the change proposes a root that waits for signatures.
    pub(super) fn has_root_ahead(&self, report: &Report) -> bool {
        let mut ahead = report.with_code(Code::Ahead);
        !self.roots.is_empty() && ahead.any(|note| note.place.starts_with("conex/root/"))
    }

    /// Returns all effects, one line each.
    pub(super) fn view(&self) -> Vec<EditView> {
        let mut view = Vec::new();
        let mut add = |what: String, kinds: Vec<String>, place: &TreePath| {
            let place = place.to_string();
            view.push(EditView { what, kinds, place });
        };
        for path in &self.roots {
            add("root".into(), vec!["root".into()], path);
        }
        for (subject, path, existed) in &self.people {
            let kind = match (subject, existed) {
                (Subject::Authorisation(_), false) => "new claim",
                (Subject::Authorisation(_), true) => "ownership",
                (Subject::Team(_), false) => "new team",
                (Subject::Team(_), true) => "team",
                (_, false) => "new person",
                (_, true) => "person",
            };
            add(subject.name().to_owned(), vec![kind.into()], path);
        }
        for (package, edit) in &self.packages {
            for (release, one) in &edit.releases {
                let mut kinds: Vec<String> = one.kinds.iter().map(|it| it.to_string()).collect();
                match (edit.existed, edit.exists) {
                    (false, true) => kinds.push("new package".into()),
                    (true, false) => kinds.push("package gone".into()),
                    _ => {}
                }
                add(format!("{package}/{release}"), kinds, &one.place);
            }
        }
        for (path, is_signed) in &self.repository {
            let kind = if *is_signed {
                "repository file"
            } else {
                "repository file, as servers may write it"
            };
            add(path.to_string(), vec![kind.into()], path);
        }
        for path in &self.pages_lost {
            add(path.to_string(), vec!["page changed or gone".into()], path);
        }
        for path in &self.others {
            add(path.to_string(), vec!["other file".into()], path);
        }
        view
    }
}

/// Whether the signed form of a repository file changes.
fn is_signed_otherwise(
    layout: &dyn Layout,
    (base, result): (&dyn Store, &dyn Store),
    path: &TreePath,
) -> bool {
    let form = |store| {
        let mut form = Vec::new();
        let bytes = read(store, path)?;
        let projection = layout.repository_projection(path)?;
        projection.project(&bytes, &mut form).ok().map(|()| form)
    };
    match (form(base), form(result)) {
        (Some(old), Some(new)) => old != new,
        _ => true,
    }
}

/// Both states, with the paths of their releases.
struct Comparison<'r> {
    stores: [&'r dyn Store; 2],
    homes: [&'r BTreeMap<TreePath, (PackageName, ReleaseName)>; 2],
    layout: &'r dyn Layout,
    is_opam: bool,
}

impl Comparison<'_> {
    /// Returns the effect on a file of a release.
    fn file(
        &self,
        path: &TreePath,
        place: &TreePath,
        (_, release): &(PackageName, ReleaseName),
    ) -> FileEdit {
        let mut edit = FileEdit::default();
        let relative = path.below(place).unwrap_or_default();
        let is_projected = self.is_opam && self.layout.is_projected(&relative);
        let is_read = is_projected || self.is_opam && relative.as_str() == URL;
        let [old, new] = self
            .stores
            .map(|store| is_read.then(|| read(store, path)).flatten());
        let mut fetches_otherwise = true;
        match self.homes.map(|homes| homes.contains_key(place)) {
            [false, true] => edit.kinds.insert(Kind::NewRelease),
            [true, false] => edit.kinds.insert(Kind::Removal),
            _ if is_projected => {
                let both = old.as_deref().zip(new.as_deref());
                let both = both.filter(|(old, new)| old != new);
                match both.and_then(|(old, new)| Edit::read(old, new)) {
                    Some(both) => {
                        edit.kinds = both.kinds();
                        edit.forced = both.forces_old(release.as_str());
                        fetches_otherwise = both.fetches_otherwise();
                    }
                    None => edit.kinds = edit::kinds(old.as_deref(), new.as_deref()),
                }
            }
            _ => edit.kinds.insert(Kind::Source),
        }
        if is_projected {
            edit.loss = new.as_deref().and_then(Loss::of);
        }
        if let (Some(new), true) = (&new, fetches_otherwise && !edit.kinds.is_upkeep()) {
            edit.weak = weak(new, &relative);
        }
        edit
    }
}

/// One of the two states.
struct Tree<'r> {
    reviewer: &'r Reviewer<'r>,
    store: &'r dyn Store,
    layout: &'r dyn Layout,
}

impl Tree<'_> {
    /// Returns the releases of the packages that contain the paths. If a package cannot be read, the report
    /// says why.
    fn releases(&self, paths: &[&TreePath]) -> Side {
        let units = self.units(paths);
        let found = Parallel.map(units, |unit| {
            let releases = self.layout.releases(&self.store, &unit).unwrap_or_default();
            (unit.name, releases)
        });
        let mut side = Side::default();
        for (package, releases) in found {
            let homes = releases
                .iter()
                .map(|it| (it.directory.clone(), (package.clone(), it.name.clone())));
            side.homes.extend(homes);
            side.packages.insert(package, releases);
        }
        side
    }

    fn units(&self, paths: &[&TreePath]) -> Vec<PackageUnit> {
        let mut homes: BTreeMap<PackageName, BTreeSet<TreePath>> = BTreeMap::new();
        for path in paths {
            let Some((package, directory)) = self.layout.home(path) else {
                return self.surveyed(paths);
            };
            homes.entry(package).or_default().insert(directory);
        }
        let is_there = |directory: &TreePath| {
            let kind = self.store.kind(directory);
            kind.is_ok_and(|kind| kind == Some(EntryKind::Directory))
        };
        homes
            .into_iter()
            .map(|(name, directories)| PackageUnit {
                name,
                directories: directories.into_iter().filter(is_there).collect(),
            })
            .filter(|unit| !unit.directories.is_empty())
            .collect()
    }

    /// Lists all packages, which is slow.
    fn surveyed(&self, paths: &[&TreePath]) -> Vec<PackageUnit> {
        let found = survey(&self.store, self.layout, self.reviewer.head.root());
        let mut units = found.packages;
        units.retain(|unit| {
            let mut directories = unit.directories.iter();
            directories.any(|directory| paths.iter().any(|path| path.below(directory).is_some()))
        });
        units
    }
}

fn read(store: &dyn Store, path: &TreePath) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    store.read(path, limits::DATA_FILE, &mut bytes).ok()?;
    Some(bytes)
}

/// The file in which old releases store the address of their archive.
const URL: &str = "url";

/// Returns what an opam file fetches with weak checksums or none.
fn weak(bytes: &[u8], relative: &TreePath) -> Vec<(String, Strength)> {
    let archives = match relative.as_str() {
        "opam" => Facts::read(bytes).map(|facts| facts.archives),
        URL => Archive::read(bytes).map(|archive| vec![archive]),
        _ => return Vec::new(),
    };
    archives
        .unwrap_or_default()
        .into_iter()
        .map(|archive| (archive.strength(), archive.url))
        .filter(|(strength, _)| *strength != Strength::Strong)
        .map(|(strength, url)| (url, strength))
        .collect()
}
