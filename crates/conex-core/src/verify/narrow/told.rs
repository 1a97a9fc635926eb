//! Changed files that a layout has in a package by their paths alone (spec sections 9.4 and 10).
//!
//! A layout that is wrong about one of them is found out here, as far as that costs no more than the
//! change: then everything is judged.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use core::iter::successors;

use super::NotIsolable;
use crate::model::name::PackageName;
use crate::model::path::Path;
use crate::model::statement::Root;
use crate::tree::content::{Package, Release};
use crate::tree::layout::{Layout, PackageUnit, contract};
use crate::tree::problem::{Code, Problem};
use crate::tree::store::{EntryKind, Store};

const SHARED: &str = "the layout has this in a directory that is not one package's alone";
const NOT_THERE: &str =
    "the layout has changed files in a directory of another package, or of none";
const PASSED_OVER: &str = "the layout has this file in a package, and in none of its releases";

/// The files, by their packages and the directories of these.
#[derive(Debug, Default)]
pub(super) struct Told {
    files: BTreeMap<PackageName, BTreeMap<Path, Vec<Path>>>,
    /// Whether directories that were asked about have something in them, before and after.
    stay: BTreeMap<(PackageName, Path), bool>,
}

impl Told {
    /// Asks for the package of a changed path; `None` where a listing of all packages has to tell.
    ///
    /// # Errors
    /// [`NotIsolable`], where the layout contradicts itself.
    pub(super) fn package(
        &mut self,
        path: &Path,
        (before, after): (&(impl Store + ?Sized), &(impl Store + ?Sized)),
        (layout, root): (&dyn Layout, &Root),
    ) -> Result<Option<PackageName>, NotIsolable> {
        let Some((package, directory)) = layout.home(path) else {
            return Ok(None);
        };
        if directory == *path || !contract::is_within(path, &directory) {
            return Err(NotIsolable::at(path, SHARED));
        }
        let top = path.components().next().map(Path::parse);
        let Some(Ok(top)) = top else {
            return Ok(None);
        };
        if root.ignore.iter().any(|pattern| pattern.covers(&top)) {
            return Ok(None);
        }
        let home = (package, directory);
        let stays = if let Some(stays) = self.stay.get(&home) {
            *stays
        } else {
            let listed = [before.list(&home.1), after.list(&home.1)].map(Result::unwrap_or_default);
            for entry in listed.iter().flatten() {
                // Of what has no name that is allowed, the survey tells.
                if let Ok(beside) = home.1.join(&entry.name)
                    && layout.home(&beside).as_ref() != Some(&home)
                {
                    return Err(NotIsolable::at(beside, SHARED));
                }
            }
            let stays = listed.iter().all(|entries| !entries.is_empty());
            self.stay.insert(home.clone(), stays);
            stays
        };
        if !stays {
            return Ok(None);
        }
        let (package, directory) = home;
        let directories = self.files.entry(package.clone()).or_default();
        directories.entry(directory).or_default().push(path.clone());
        Ok(Some(package))
    }

    /// Holds what was told against the packages of the state after, as they were found.
    ///
    /// # Errors
    /// [`NotIsolable`], where a directory is not among those of its package, or a file that is gone was in
    /// no release of it.
    pub(super) fn hold(
        &self,
        (before, after): (&(impl Store + ?Sized), &(impl Store + ?Sized)),
        layout: &dyn Layout,
        packages: &[PackageUnit],
    ) -> Result<(), NotIsolable> {
        for (package, directories) in &self.files {
            let unit = packages.binary_search_by(|unit| unit.name.cmp(package));
            let unit = unit.ok().and_then(|at| packages.get(at)).into_iter();
            let homes: BTreeSet<&Path> = unit.flat_map(|unit| &unit.directories).collect();
            if let Some(directory) = directories.keys().find(|it| !homes.contains(it)) {
                return Err(NotIsolable::at(directory, NOT_THERE));
            }
            let is_gone = |path: &&Path| is_file(before, path) && !is_file(after, path);
            let gone: Vec<&Path> = directories.values().flatten().filter(is_gone).collect();
            if gone.is_empty() {
                continue;
            }
            let unit = PackageUnit {
                name: package.clone(),
                directories: directories.keys().cloned().collect(),
            };
            let releases = contract::releases(layout, &before, &unit).unwrap_or_default();
            let had: BTreeSet<&Path> = releases.iter().flat_map(|release| &release.files).collect();
            if let Some(path) = gone.iter().find(|path| !had.contains(**path)) {
                return Err(NotIsolable::at(path, PASSED_OVER));
            }
        }
        Ok(())
    }

    /// Problems of the files that are in no release of a package, as it was read in the state after.
    pub(super) fn passed_over(
        &self,
        package: &Package,
        store: &(impl Store + ?Sized),
    ) -> Vec<Problem> {
        let directories = self.files.get(&package.name);
        let files = directories.into_iter().flat_map(BTreeMap::values).flatten();
        let releases = package.releases.iter();
        let releases: BTreeMap<&Path, &Release> = releases
            .map(|release| (&release.directory, release))
            .collect();
        let is_read = |path: &Path| {
            let mut above = successors(path.parent(), Path::parent);
            above.any(|directory| {
                let file = path.below(&directory);
                let files = releases.get(&directory).map(|it| &it.checksums.files);
                files.zip(file).is_some_and(|(files, file)| {
                    let found = files.binary_search_by(|found| found.path.cmp(&file));
                    found.is_ok()
                })
            })
        };
        let missing = files.filter(|path| !is_read(path) && is_file(store, path));
        let problem = |path: &Path| {
            let detail = format!("{PASSED_OVER}: {}", package.name);
            Problem::new(Code::Unaccounted, path, detail)
        };
        missing.map(problem).collect()
    }
}

/// Whether something stands at a path that is no directory.
fn is_file(store: &(impl Store + ?Sized), path: &Path) -> bool {
    !matches!(store.kind(path), Ok(None | Some(EntryKind::Directory)))
}
