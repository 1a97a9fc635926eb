//! The layout of opam repositories, present and past (spec section 10).
//!
//! `packages/foo/foo.1.0/opam`, or in old states `packages/foo.1.0/opam`, with `url`, `descr` and `files/`
//! beside it.
//!
//! opam finds releases in its own way. When it loads a repository from scratch, it loads
//! `NAME.VERSION/opam` at any depth below `packages/`. In a directory it does not descend below an `opam`
//! file; in an archive (since 2.6) it does. Since 2.5, an update examines the changed paths, wherever they
//! are: for each of them, opam reads the directory around it, or the parent if that directory is called
//! `files`, as the release named by the directory. It drops this release if the path is gone and there is
//! no `opam`.

use std::collections::HashMap;

use conex_core::model::name::{PackageName, ReleaseName};
use conex_core::model::path::Path;
use conex_core::tree::layout::{Client, ClientRelease, Layout, PackageUnit, Place, ReleaseUnit};
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::projection::Projection;
use conex_core::tree::store::{EntryKind, Store};

use super::{all_or, entries, files_below};
use crate::opam::{RepoProjection, version};

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
            // Package names in opam contain no dot, so a dot distinguishes a release from a package.
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
        let mut places: HashMap<PackageName, usize> = units
            .iter()
            .enumerate()
            .map(|(at, unit)| (unit.name.clone(), at))
            .collect();
        for (name, path) in flat {
            let at = *places.entry(name).or_insert_with_key(|name| {
                units.push(PackageUnit {
                    name: name.clone(),
                    directories: Vec::new(),
                });
                units.len() - 1
            });
            if let Some(unit) = units.get_mut(at) {
                unit.directories.push(path);
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

    fn client(&self) -> Option<&dyn Client> {
        Some(self)
    }

    fn parse_release(&self, text: &str) -> Option<(PackageName, ReleaseName)> {
        split(text)
    }
}

impl Client for OpamLayout {
    fn release(&self, directory: &str) -> Option<ClientRelease> {
        let (package, version) = directory.split_once('.')?;
        (is_package(package) && is_version(version)).then(|| ClientRelease {
            package: package.into(),
            version: version::key(version),
        })
    }

    fn version(&self, release: &ReleaseName) -> String {
        version::key(release.as_str())
    }

    fn is_loaded_by(&self, entry: &str) -> bool {
        entry == "opam"
    }
}

/// Whether opam accepts a package name: letters, digits, `-`, `_`, `+`, with at least one letter.
fn is_package(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+".contains(&byte);
    text.bytes().all(allowed) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Whether opam accepts a version.
fn is_version(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+.~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// Parses a package name that opam accepts, too.
fn package_name(text: &str) -> Option<PackageName> {
    let name = PackageName::parse(text).ok()?;
    is_package(text).then_some(name)
}

/// Splits `foo.1.0` at its first dot into names that opam accepts, too.
fn split(text: &str) -> Option<(PackageName, ReleaseName)> {
    let (package, release) = text.split_once('.')?;
    let names = (package_name(package)?, ReleaseName::parse(release).ok()?);
    is_version(release).then_some(names)
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
                "a release of {0} stands in a directory {0}.VERSION, and VERSION is one to opam",
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
    // A directory without files does not count: git does not even store it.
    if files.is_empty() {
        return None;
    }
    // Without it, opam loads nothing from here, or something further down.
    let is_opam =
        |file: &Path| file.file_name() == "opam" && file.parent().as_ref() == Some(&directory);
    if !files.iter().any(is_opam) {
        let detail = "a release has a file `opam`";
        problems.push(Problem::new(Code::Unaccounted, &directory, detail));
    }
    Some(ReleaseUnit {
        name,
        directory,
        files,
    })
}

/// Accounts for a file of a release: checks that opam reads it.
fn account(directory: &Path, file: &Path) -> Result<(), Problem> {
    let relative = file.below(directory).unwrap_or_default();
    let mut components = relative.components();
    match (components.next(), components.next()) {
        (Some("opam" | "url" | "descr"), None) | (Some("files"), Some(_)) => Ok(()),
        _ => Err(Problem::new(
            Code::Unaccounted,
            file,
            "a release consists of opam, url, descr and files/",
        )),
    }
}
