//! What a package can be made of: its releases in the verified state and on the main line.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::digest::{Digest, FileDigest};
use crate::model::limits;
use crate::model::name::{PackageName, ReleaseName};
use crate::model::path::Path;
use crate::tree::content::{Package, Reader, Release};
use crate::tree::layout::PackageUnit;
use crate::tree::problem::Problem;
use crate::tree::store::{Overlay, Store, StoreError, Workers};

use super::main_line::{MainLine, unit};
use super::{Advance, Files, Signed};

/// A package as both have it.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// In the verified state.
    pub(super) signed: Package,
    /// On the main line, as far as it can be read.
    pub(super) main: Package,
    /// What cannot be read of it there.
    pub(super) unreadable: Vec<Problem>,
}

/// Reads a package whose files changed, in both.
pub(super) fn read<S, M, C, W>(
    advance: &Advance<'_, S, M, C, W>,
    (signed, main): (&Signed, &MainLine),
    reader: &Reader<'_, S, C>,
    name: &PackageName,
    approved: impl Fn(&ReleaseName, Digest) -> bool,
) -> Content
where
    S: Store + ?Sized,
    M: Store + ?Sized,
    C: Crypto,
    W: Workers,
{
    let absent = || reader.absent(name);
    let before = unit(&signed.survey, name).and_then(|unit| reader.package(unit).ok());
    let there = Reader {
        store: advance.main,
        digests: reader.digests,
        origin: reader.origin,
        layout: reader.layout,
        projections: reader.projections,
    };
    let (after, unreadable) = match unit(&main.survey, name).map(|unit| there.package(unit)) {
        None => (absent(), Vec::new()),
        Some(Ok(package)) => (package, Vec::new()),
        Some(Err(problems)) => {
            let paths = main.packages.get(name).map(Vec::as_slice);
            let unit = main.unit(signed, name);
            let package = salvage(
                advance,
                reader,
                (&unit, paths.unwrap_or_default()),
                approved,
            );
            let package = package.or_else(|| before.clone());
            (package.unwrap_or_else(absent), problems)
        }
    };
    Content {
        signed: before.unwrap_or_else(absent),
        main: after,
        unreadable,
    }
}

/// The verified package with those changes of the main line, release by release, with which it can
/// be read: junk in one release is no reason for another to wait. Of releases that cannot be read
/// together, as only case tells them apart, those go first whose files are approved.
fn salvage<S, M, C, W>(
    advance: &Advance<'_, S, M, C, W>,
    reader: &Reader<'_, S, C>,
    (unit, paths): (&PackageUnit, &[Path]),
    approved: impl Fn(&ReleaseName, Digest) -> bool,
) -> Option<Package>
where
    S: Store + ?Sized,
    M: Store + ?Sized,
    C: Crypto,
    W: Workers,
{
    let mut groups: BTreeMap<Path, Files> = BTreeMap::new();
    let mut broken = BTreeSet::new();
    for path in paths {
        let group = release_of(unit, path);
        let mut buffer = Vec::new();
        match advance.main.read(path, limits::DATA_FILE, &mut buffer) {
            Ok(()) => {
                let files = groups.entry(group).or_default();
                files.insert(path.clone(), Some(buffer));
            }
            Err(StoreError::Missing) => {
                groups.entry(group).or_default().insert(path.clone(), None);
            }
            Err(_) => {
                broken.insert(group);
            }
        }
    }
    let package = |files: Files| {
        let store = Overlay::new(advance.signed, files).ok()?;
        let mut unit = unit.clone();
        unit.directories
            .retain(|directory| matches!(store.kind(directory), Ok(Some(_))));
        let reader = Reader {
            store: &store,
            digests: reader.digests,
            origin: reader.origin,
            layout: reader.layout,
            projections: reader.projections,
        };
        reader.package(&unit).ok()
    };
    let mut readable: Vec<(bool, Path, Files)> = Vec::new();
    for (group, files) in groups {
        if !broken.contains(&group)
            && let Some(package) = package(files.clone())
        {
            let mut releases = package.releases.iter();
            let release = releases.find(|release| release.directory == group);
            let is_approved = release.is_some_and(|it| approved(&it.checksums.release, it.digest));
            readable.push((!is_approved, group, files));
        }
    }
    let all: Files = readable
        .iter()
        .flat_map(|(.., files)| files.clone())
        .collect();
    package(all).or_else(|| {
        readable.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut together = Files::new();
        for (.., files) in readable {
            let mut more = together.clone();
            more.extend(files);
            if package(more.clone()).is_some() {
                together = more;
            }
        }
        package(together)
    })
}

/// The directory that a changed path shares with the rest of its release, as far as names tell.
fn release_of(unit: &PackageUnit, path: &Path) -> Path {
    for directory in &unit.directories {
        if let Some(below) = path.below(directory) {
            let mut components = below.components();
            let (first, rest) = (components.next(), components.next());
            let joined = first
                .filter(|_| rest.is_some())
                .map(|it| directory.join(it));
            return match joined {
                Some(Ok(release)) => release,
                _ => directory.clone(),
            };
        }
    }
    path.clone()
}

impl Content {
    /// The same package in both.
    pub(super) fn unchanged(package: Package) -> Self {
        Self {
            signed: package.clone(),
            main: package,
            unreadable: Vec::new(),
        }
    }

    /// The digests of a release in both; that of its absence where one does not have it.
    pub(super) fn checksums<S: ?Sized, C: Crypto>(
        &self,
        reader: &Reader<'_, S, C>,
        release: &ReleaseName,
    ) -> Vec<Vec<Digest>> {
        let both = [&self.main, &self.signed];
        let digest = |package: &&Package| {
            let found = find(package, release).map(|release| release.digest);
            found.unwrap_or_else(|| reader.absent_release(&self.main.name, release))
        };
        both.iter().map(|it| alloc::vec![digest(it)]).collect()
    }

    /// The digest of a release in the verified state, if it is there.
    pub(super) fn signed_checksums(&self, release: &ReleaseName) -> Vec<Vec<Digest>> {
        let found = find(&self.signed, release);
        found
            .map(|release| alloc::vec![release.digest])
            .into_iter()
            .collect()
    }

    /// Whether the source of a release differs.
    pub(super) fn differs_in_source(&self, release: &ReleaseName) -> bool {
        let sources = |package| find(package, release).map(|release: &Release| &release.sources);
        sources(&self.main) != sources(&self.signed)
    }

    /// The names of the releases of both.
    pub(super) fn releases(&self) -> BTreeSet<&ReleaseName> {
        let both = self.main.releases.iter().chain(&self.signed.releases);
        both.map(|release| &release.checksums.release).collect()
    }

    /// The files in which a package made of both differs from the verified one.
    pub(super) fn files<M: Store + ?Sized>(
        &self,
        chosen: &Package,
        main: &M,
    ) -> Result<Files, Problem> {
        let before = places(&self.signed);
        let after = places(chosen);
        let mut files = Files::new();
        for (path, digest) in &after {
            if before.get(path) != Some(digest) {
                let mut buffer = Vec::new();
                main.read(path, limits::DATA_FILE, &mut buffer)
                    .map_err(|error| Problem::unreadable(path, &error))?;
                files.insert(path.clone(), Some(buffer));
            }
        }
        for path in before.keys().filter(|path| !after.contains_key(*path)) {
            files.insert(path.clone(), None);
        }
        Ok(files)
    }

    /// Whether a package made of both is all that the main line has.
    pub(super) fn is_main(&self, chosen: &Package) -> bool {
        self.unreadable.is_empty() && places(&self.main) == places(chosen)
    }
}

pub(super) fn find<'p>(package: &'p Package, name: &ReleaseName) -> Option<&'p Release> {
    let at = package
        .releases
        .binary_search_by(|release| release.checksums.release.cmp(name))
        .ok()?;
    package.releases.get(at)
}

/// Every file of a package, by its place, with the digest of its bytes.
fn places(package: &Package) -> BTreeMap<Path, FileDigest> {
    let files = package.releases.iter().flat_map(|release| {
        let files = release.checksums.files.iter();
        files.filter_map(|file| Some((below(&release.directory, &file.path)?, file.digest)))
    });
    files.collect()
}

fn below(directory: &Path, file: &Path) -> Option<Path> {
    file.components()
        .try_fold(directory.clone(), |at, name| at.join(name).ok())
}
