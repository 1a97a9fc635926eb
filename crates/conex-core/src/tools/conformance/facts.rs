//! What a layout finds in a tree, held against what it says of paths alone.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::{Clause, Found, differences, only, release_in_words};
use crate::model::name::{PackageName, ReleaseName};
use crate::model::path::Path;
use crate::tree::layout::contract::{self, is_within};
use crate::tree::layout::{Layout, PackageUnit, Place, ReleaseUnit};
use crate::tree::metadata;
use crate::tree::problem::Problem;
use crate::tree::store::{EntryKind, MemoryStore, Store as _};

type Releases = Result<Vec<ReleaseUnit>, Vec<Problem>>;

/// What a layout finds in a top-level entry.
type Packages = (Vec<(PackageUnit, Releases)>, Vec<Problem>);

/// A tree with all that a layout finds in it.
pub(super) struct Facts<'a> {
    layout: &'a dyn Layout,
    tree: &'a MemoryStore,
    /// The top-level entries of packages.
    entries: BTreeMap<Path, Packages>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(layout: &'a dyn Layout, tree: &'a MemoryStore) -> Self {
        let mut entries = BTreeMap::new();
        for entry in tree.list(&Path::top()).unwrap_or_default() {
            let Ok(place) = Path::parse(&entry.name) else {
                continue;
            };
            let is_metadata =
                entry.name == metadata::DIRECTORY && entry.kind == EntryKind::Directory;
            if !is_metadata && layout.place(&entry.name, entry.kind, false) == Place::Packages {
                let (units, problems) = layout.packages(tree, &place);
                let read = |unit: PackageUnit| {
                    let releases = layout.releases(tree, &unit);
                    (unit, releases)
                };
                let units = units.into_iter().map(read).collect();
                entries.insert(place, (units, problems));
            }
        }
        Self {
            layout,
            tree,
            entries,
        }
    }

    pub(super) fn units(&self) -> impl Iterator<Item = &(PackageUnit, Releases)> {
        self.entries.values().flat_map(|(units, _)| units)
    }

    /// All releases, each with its package.
    pub(super) fn releases(&self) -> impl Iterator<Item = (&PackageUnit, &ReleaseUnit)> {
        self.units().flat_map(|(unit, releases)| {
            let releases = releases.iter().flatten();
            releases.map(move |release| (unit, release))
        })
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        let of_units = self
            .units()
            .filter_map(|(_, releases)| releases.as_ref().err());
        let of_entries = self.entries.values().map(|(_, problems)| problems);
        of_entries.chain(of_units).flatten()
    }

    /// Whether a problem says that something is wrong with a file, with a directory that it is in, or with a package
    /// that has the file.
    fn is_told(&self, file: &Path) -> bool {
        let mut failed = self.units().filter(|(_, releases)| releases.is_err());
        let is_failed = failed.any(|(unit, _)| {
            let mut directories = unit.directories.iter();
            directories.any(|directory| is_within(file, directory))
        });
        let mut problems = self.problems();
        is_failed
            || problems.any(|problem| match Path::parse(&problem.place) {
                Ok(place) => is_within(file, &place),
                Err(_) => true,
            })
    }

    /// Files in the entries of packages.
    fn files(&self) -> impl Iterator<Item = Path> {
        let files = self.tree.files();
        let paths = files.filter_map(|(file, _)| Path::parse(file).ok());
        paths.filter(|path| self.entries.keys().any(|entry| is_within(path, entry)))
    }

    /// Everything that one tree tells.
    pub(super) fn check(&self, found: &mut Found) {
        self.check_units(found);
        self.check_owners(found);
        self.check_elsewhere(found);
        self.check_home(found);
        self.check_names(found);
    }

    fn check_units(&self, found: &mut Found) {
        let mut all: Vec<PackageUnit> = Vec::new();
        for (entry, (units, _)) in &self.entries {
            let units: Vec<PackageUnit> = units.iter().map(|(unit, _)| unit.clone()).collect();
            tell(
                found,
                Clause::OwnDirectories,
                contract::elsewhere(&units, entry),
            );
            all.extend(units);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        tell(found, Clause::OwnDirectories, contract::shared(&all));
        for pair in all.windows(2) {
            if let [a, b] = pair
                && a.name == b.name
            {
                let place = b.directories.first().cloned().unwrap_or_default();
                let detail = format!("there are two units of {}", b.name);
                found.add(Clause::OwnDirectories, &place, detail);
            }
        }
    }

    fn check_owners(&self, found: &mut Found) {
        for (unit, releases) in self.units() {
            if releases.is_ok()
                && let Err(problems) = contract::releases(self.layout, self.tree, unit)
            {
                tell(found, Clause::OneOwner, problems);
            }
        }
        let mut owners: BTreeMap<&Path, (&PackageName, &ReleaseName)> = BTreeMap::new();
        for (unit, release) in self.releases() {
            for file in &release.files {
                if let Some((package, name)) = owners.insert(file, (&unit.name, &release.name)) {
                    let detail = format!(
                        "this is in {}, and in {}",
                        release_in_words(package, name),
                        release_in_words(&unit.name, &release.name)
                    );
                    found.add(Clause::OneOwner, file, detail);
                }
            }
        }
        for file in self.files() {
            if !owners.contains_key(&file) && !self.is_told(&file) {
                let detail = "no release has this file, and no problem is reported";
                found.add(Clause::NothingPassedOver, &file, detail);
            }
        }
    }

    /// What is found in a part of the tree by itself has to be the same.
    fn check_elsewhere(&self, found: &mut Found) {
        for (entry, (units, problems)) in &self.entries {
            let part = only(self.tree, |file| is_below(file, entry));
            let (units_there, problems_there) = self.layout.packages(&part, entry);
            let units = units.iter().map(|(unit, _)| unit);
            if !units.eq(&units_there) || *problems != problems_there {
                let detail = "the packages here depend on what stands elsewhere";
                found.add(Clause::NothingFromElsewhere, entry, detail);
            }
        }
        for (unit, releases) in self.units() {
            let part = only(self.tree, |file| {
                let mut directories = unit.directories.iter();
                directories.any(|directory| is_below(file, directory))
            });
            if self.layout.releases(&part, unit) != *releases {
                let place = unit.directories.first().cloned().unwrap_or_default();
                let detail = format!(
                    "the releases of {} depend on what stands elsewhere",
                    unit.name
                );
                found.add(Clause::NothingFromElsewhere, &place, detail);
            }
        }
    }

    fn check_home(&self, found: &mut Found) {
        let owners: BTreeMap<&Path, &PackageUnit> = self
            .releases()
            .flat_map(|(unit, release)| release.files.iter().map(move |file| (file, unit)))
            .collect();
        let mut paths: BTreeSet<Path> = BTreeSet::new();
        for file in self.files() {
            paths.extend(core::iter::successors(Some(file), Path::parent));
        }
        let homes: Vec<(&Path, (PackageName, Path))> = paths
            .iter()
            .filter_map(|path| Some((path, self.layout.home(path)?)))
            .collect();
        for (path, home) in &homes {
            let (package, directory) = home;
            if path == &directory || !is_within(path, directory) {
                let detail = format!("its home {directory} does not hold it");
                found.add(Clause::Home, path, detail);
                continue;
            }
            let beside = paths
                .iter()
                .filter(|it| *it != directory && is_within(it, directory));
            for other in beside {
                if self.layout.home(other).as_ref() != Some(home) {
                    let detail = format!(
                        "it is in {directory}, of {package} by {path}, and not by its own path"
                    );
                    found.add(Clause::Home, other, detail);
                }
            }
            if let Some(owner) = owners.get(path)
                && (owner.name != *package || !owner.directories.contains(directory))
            {
                let detail = format!(
                    "it is a file of {}, and of {package} in {directory} by its path",
                    owner.name
                );
                found.add(Clause::Home, path, detail);
            }
            let is_known = self
                .units()
                .any(|(unit, _)| unit.name == *package && unit.directories.contains(directory));
            if !is_known && !self.is_told(path) {
                let detail =
                    format!("{directory} is no directory of {package}, and no problem is reported");
                found.add(Clause::Home, path, detail);
            }
        }
    }

    fn check_names(&self, found: &mut Found) {
        for (unit, releases) in self.units() {
            let Ok(releases) = releases else {
                continue;
            };
            let mut names: Vec<&ReleaseName> = releases.iter().map(|it| &it.name).collect();
            names.sort();
            if let Some(homes) = self.layout.homes(&unit.name, &names) {
                let mut rest = homes.iter();
                let lost = unit
                    .directories
                    .iter()
                    .find(|directory| !rest.any(|home| home == *directory));
                if let Some(directory) = lost {
                    let detail = format!(
                        "this is a directory of {}, and not among its homes, or in another order",
                        unit.name
                    );
                    found.add(Clause::Homes, directory, detail);
                }
            }
            tell(
                found,
                Clause::ReleaseAt,
                contract::misread(self.layout, unit, releases),
            );
            for release in releases {
                let read = self.layout.parse_release(release.directory.file_name());
                if let Some((package, name)) = read
                    && (&package, &name) != (&unit.name, &release.name)
                {
                    let detail = format!(
                        "this is {}, and its name is read as {}",
                        release_in_words(&unit.name, &release.name),
                        release_in_words(package, name)
                    );
                    found.add(Clause::Names, &release.directory, detail);
                }
            }
        }
    }

    /// What a change between two trees tells: one in the home of a package makes no difference to
    /// which packages there are, as long as there is something in it.
    pub(super) fn check_beside(&self, before: &Facts<'_>, found: &mut Found) {
        let mut homes: BTreeSet<Path> = BTreeSet::new();
        for file in differences(before.tree, self.tree) {
            let home = Path::parse(file)
                .ok()
                .and_then(|path| self.layout.home(&path));
            let Some((_, home)) = home else {
                return;
            };
            let is_there = |tree: &MemoryStore| tree.list(&home).is_ok();
            if !is_there(before.tree) || !is_there(self.tree) {
                return;
            }
            homes.insert(home);
        }
        let said = |facts: &Facts<'_>| -> Vec<(PackageUnit, Vec<Problem>)> {
            let entries = facts.entries.values();
            entries
                .flat_map(|(units, problems)| {
                    units
                        .iter()
                        .map(|(unit, _)| (unit.clone(), problems.clone()))
                })
                .collect()
        };
        if said(before) != said(self) {
            let place = homes.into_iter().next().unwrap_or_default();
            let detail = "a change below the home of a package changes what packages there are";
            found.add(Clause::Home, &place, detail);
        }
    }
}

fn is_below(file: &str, directory: &Path) -> bool {
    Path::parse(file).is_ok_and(|file| is_within(&file, directory))
}

fn tell(found: &mut Found, clause: Clause, problems: Vec<Problem>) {
    for problem in problems {
        let place = Path::parse(&problem.place).unwrap_or_default();
        found.add(clause, &place, problem.detail.to_string());
    }
}
