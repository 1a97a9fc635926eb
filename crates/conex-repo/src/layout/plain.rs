//! The layout of repositories without a package manager of their own: `<package>/<release>/...` (spec section 10).

use conex_core::model::name::{PackageName, ReleaseName};
use conex_core::model::path::Path;
use conex_core::tree::layout::{Layout, PackageUnit, Place, ReleaseUnit};
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::store::{EntryKind, Store};

use super::{all_or, entries, files_below};

/// The layout `plain`: every top-level directory that no pattern ignores is a package. Its subdirectories
/// are releases, to which all files below them belong. Top-level files are repository files.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainLayout;

impl Layout for PlainLayout {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn place(&self, _name: &str, kind: EntryKind, ignored: bool) -> Place {
        match kind {
            _ if ignored => Place::Other,
            EntryKind::Directory => Place::Packages,
            _ => Place::Repository,
        }
    }

    fn packages(&self, _store: &dyn Store, entry: &Path) -> (Vec<PackageUnit>, Vec<Problem>) {
        match PackageName::parse(entry.as_str()) {
            Ok(name) => (
                vec![PackageUnit {
                    name,
                    directories: vec![entry.clone()],
                }],
                Vec::new(),
            ),
            Err(error) => (Vec::new(), vec![Problem::new(Code::BadName, entry, error)]),
        }
    }

    fn releases(
        &self,
        store: &dyn Store,
        unit: &PackageUnit,
    ) -> Result<Vec<ReleaseUnit>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut releases = Vec::new();
        for directory in &unit.directories {
            for (path, found) in entries(store, directory, &mut problems) {
                if found.kind != EntryKind::Directory {
                    problems.push(Problem::new(
                        Code::Unaccounted,
                        path,
                        "only directories of releases stand here",
                    ));
                    continue;
                }
                match ReleaseName::parse(&found.name) {
                    Ok(name) => {
                        let files = files_below(store, &path, &|_| Ok(()), &mut problems);
                        if !files.is_empty() {
                            releases.push(ReleaseUnit {
                                name,
                                directory: path,
                                files,
                            });
                        }
                    }
                    Err(error) => problems.push(Problem::new(Code::BadName, path, error)),
                }
            }
        }
        all_or(releases, problems)
    }

    fn home(&self, path: &Path) -> Option<(PackageName, Path)> {
        let mut components = path.components();
        let first = components.next()?;
        components.next()?;
        Some((PackageName::parse(first).ok()?, Path::parse(first).ok()?))
    }

    fn homes(&self, package: &PackageName, _releases: &[&ReleaseName]) -> Option<Vec<Path>> {
        Some(vec![Path::parse(package.as_str()).ok()?])
    }

    fn release_at(&self, directory: &Path) -> Option<(PackageName, ReleaseName)> {
        let (package, release) = directory.as_str().split_once('/')?;
        Some((
            PackageName::parse(package).ok()?,
            ReleaseName::parse(release).ok()?,
        ))
    }

    fn is_projected(&self, _file: &Path) -> bool {
        false
    }

    fn directory(&self, package: &PackageName, release: &ReleaseName) -> Option<Path> {
        Path::parse(&format!("{package}/{release}")).ok()
    }

    fn parse_release(&self, text: &str) -> Option<(PackageName, ReleaseName)> {
        let (package, release) = text.split_once('/')?;
        Some((
            PackageName::parse(package).ok()?,
            ReleaseName::parse(release).ok()?,
        ))
    }
}
