//! The layout of opam repositories, today's and yesterday's (spec section 10).
//!
//! `packages/foo/foo.1.0/opam`, or in old states `packages/foo.1.0/opam`, beside it `url`, `descr`
//! and `files/`. opam itself loads `NAME.VERSION/opam` at any depth, so every path below
//! `packages/` has to be accounted for.

use conex_core::layout::{Layout, PackageUnit, Place, ReleaseUnit};
use conex_core::name::{PackageName, ReleaseName};
use conex_core::path::Path;
use conex_core::problem::{Code, Problem};
use conex_core::projection::Projection;
use conex_core::store::{EntryKind, Store};

use super::{all_or, entries, files_below};
use crate::opam::RepoProjection;

/// The layout `opam`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpamLayout;

impl Layout for OpamLayout {
    fn name(&self) -> &'static str {
        "opam"
    }

    fn place(&self, name: &str, kind: EntryKind, _ignored: bool) -> Place {
        match (name, kind) {
            ("packages", _) => Place::Packages,
            ("repo" | "version", EntryKind::File) => Place::Repository,
            _ => Place::Other,
        }
    }

    fn packages(&self, store: &dyn Store, entry: &Path) -> (Vec<PackageUnit>, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut units: Vec<PackageUnit> = Vec::new();
        let mut flat: Vec<(PackageName, Path)> = Vec::new();
        for (path, found) in entries(store, entry, &mut problems) {
            if found.kind != EntryKind::Directory {
                problems.push(Problem::new(
                    Code::Unaccounted,
                    path,
                    "only directories of packages stand here",
                ));
                continue;
            }
            // opam's package names have no dot, so a dot tells a release from a package.
            if let Some((package, _)) = split(&found.name) {
                flat.push((package, path));
            } else {
                match package_name(&found.name) {
                    Some(name) => units.push(PackageUnit {
                        name,
                        directories: vec![path],
                    }),
                    None => {
                        problems.push(Problem::new(Code::BadName, path, "this is no package name"));
                    }
                }
            }
        }
        for (name, path) in flat {
            match units.iter_mut().find(|unit| unit.name == name) {
                Some(unit) => unit.directories.push(path),
                None => units.push(PackageUnit {
                    name,
                    directories: vec![path],
                }),
            }
        }
        (units, problems)
    }

    fn releases(
        &self,
        store: &dyn Store,
        unit: &PackageUnit,
    ) -> Result<Vec<ReleaseUnit>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut releases = Vec::new();
        for directory in &unit.directories {
            if split(directory.file_name()).is_some() {
                releases.extend(release(store, unit, directory.clone(), &mut problems));
                continue;
            }
            for (path, found) in entries(store, directory, &mut problems) {
                if found.kind == EntryKind::Directory {
                    releases.extend(release(store, unit, path, &mut problems));
                } else {
                    problems.push(Problem::new(
                        Code::Unaccounted,
                        path,
                        "only directories of releases stand here",
                    ));
                }
            }
        }
        all_or(releases, problems)
    }

    fn home(&self, path: &Path) -> Option<(PackageName, Path)> {
        let mut components = path.components();
        let (first, second) = (components.next()?, components.next()?);
        components.next()?;
        let package = match split(second) {
            Some((package, _)) => package,
            None => package_name(second)?,
        };
        let directory = Path::parse(&format!("packages/{second}")).ok()?;
        (first == "packages").then_some((package, directory))
    }

    fn homes(&self, package: &PackageName, releases: &[&ReleaseName]) -> Option<Vec<Path>> {
        package_name(package.as_str())?;
        let mut flat: Vec<Path> = releases
            .iter()
            .map(|release| Path::parse(&format!("packages/{package}.{release}")).ok())
            .collect::<Option<_>>()?;
        flat.sort();
        let mut homes = vec![Path::parse(&format!("packages/{package}")).ok()?];
        homes.append(&mut flat);
        Some(homes)
    }

    fn release_at(&self, directory: &Path) -> Option<(PackageName, ReleaseName)> {
        let mut components = directory.components();
        if components.next()? != "packages" {
            return None;
        }
        let second = components.next()?;
        match (components.next(), components.next()) {
            (None, _) => split(second),
            (Some(third), None) => split(third).filter(|(package, _)| package.as_str() == second),
            _ => None,
        }
    }

    fn is_projected(&self, file: &Path) -> bool {
        file.as_str() == "opam"
    }

    fn repository_projection(&self, file: &Path) -> Option<&dyn Projection> {
        (file.as_str() == "repo").then_some(&RepoProjection)
    }

    fn directory(&self, package: &PackageName, release: &ReleaseName) -> Option<Path> {
        package_name(package.as_str())?;
        Path::parse(&format!("packages/{package}/{package}.{release}")).ok()
    }

    fn parse_release(&self, text: &str) -> Option<(PackageName, ReleaseName)> {
        split(text)
    }
}

/// opam's package names: letters, digits, `-`, `_`, `+`, with at least one letter.
fn package_name(text: &str) -> Option<PackageName> {
    if text.contains('.') || !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    PackageName::parse(text).ok()
}

/// Splits `foo.1.0` at its first dot.
fn split(text: &str) -> Option<(PackageName, ReleaseName)> {
    let (package, release) = text.split_once('.')?;
    Some((package_name(package)?, ReleaseName::parse(release).ok()?))
}

fn release(
    store: &dyn Store,
    unit: &PackageUnit,
    directory: Path,
    problems: &mut Vec<Problem>,
) -> Option<ReleaseUnit> {
    let name = match split(directory.file_name()) {
        Some((package, name)) if package == unit.name => name,
        Some((package, _)) => {
            let detail = format!(
                "a release of {package} stands in the directory of {}",
                unit.name
            );
            problems.push(Problem::new(Code::ShadowRelease, directory, detail));
            return None;
        }
        None => {
            let detail = format!(
                "a release of {0} stands in a directory {0}.VERSION",
                unit.name
            );
            problems.push(Problem::new(Code::Unaccounted, directory, detail));
            return None;
        }
    };
    let files = files_below(
        store,
        &directory,
        &|path| account(&directory, path),
        problems,
    );
    // A directory without any file is nothing: git does not even keep it.
    (!files.is_empty()).then_some(ReleaseUnit {
        name,
        directory,
        files,
    })
}

/// Accounts for a file of a release: what opam reads, and nothing that it reads as another release.
fn account(directory: &Path, file: &Path) -> Result<(), Problem> {
    let relative = file
        .as_str()
        .strip_prefix(directory.as_str())
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or_default();
    let (first, deeper) = match relative.split_once('/') {
        Some((first, deeper)) => (first, Some(deeper)),
        None => (relative, None),
    };
    match (first, deeper) {
        ("opam" | "url" | "descr", None) => Ok(()),
        ("files", Some(deeper)) => {
            let parent = deeper
                .strip_suffix("/opam")
                .map(|parent| parent.rsplit('/').next().unwrap_or(parent));
            if parent.is_some_and(|parent| parent.contains('.')) {
                return Err(Problem::new(
                    Code::ShadowRelease,
                    file,
                    "opam reads this as a release of its own",
                ));
            }
            Ok(())
        }
        _ => Err(Problem::new(
            Code::Unaccounted,
            file,
            "a release consists of opam, url, descr and files/",
        )),
    }
}
