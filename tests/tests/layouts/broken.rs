//! Layouts that do not keep to their contract, each in one way, and one that does.

use conex_core::model::name::{PackageName, ReleaseName};
use conex_core::model::path::Path;
use conex_core::model::statement::Scheme;
use conex_core::tools::conformance::Clause;
use conex_core::tree::layout::{Layout, PackageUnit, Place, ReleaseUnit, Schemes};
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::projection::Projection;
use conex_core::tree::store::{EntryKind, Store};
use conex_repo::layout::OpamLayout;

/// What is wrong with a layout that is the one of opam otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The home of each path is the directory of all packages.
    HomeOfAll,
    /// All paths are at home in one package.
    HomeOfOne,
    /// The home of a file is the file.
    HomeIsFile,
    /// Files that are called `url` are at home in another package.
    HomeByName,
    /// Of the directories of a package only the first is a home.
    HomesTooFew,
    /// They are in another order.
    HomesInDisorder,
    /// A package has the directory of all packages.
    UnitTooHigh,
    /// A package has the directory of another one, too.
    UnitOfTwo,
    /// A package stands in the directory of another one.
    UnitWithin,
    /// Each directory is a package of its own, whatever its name.
    UnitTwice,
    /// A package has no directory.
    UnitNowhere,
    /// A package has a directory outside.
    UnitOutside,
    /// A release has the files of another package, too.
    FilesOfOthers,
    /// A release stands in the directory of another one.
    ReleaseWithin,
    /// A release has no file.
    ReleaseEmpty,
    /// What is no release is nothing.
    PassesOver,
    /// What the releases of a package are depends on another package.
    ReleasesFromElsewhere,
    /// What packages there are depends on a file at the top.
    PackagesFromElsewhere,
    /// A package without a file `url` is none.
    PackagesByContent,
    /// No directory is that of a release.
    NoReleaseAt,
    /// Directories are those of other releases.
    OtherReleaseAt,
    /// New releases are put where they are not found.
    DirectoryElsewhere,
    /// Names of releases are read backwards.
    NamesBackwards,
}

impl Fault {
    /// All of them, each with the clause that it breaks.
    pub(crate) const ALL: &'static [(Self, Clause)] = &[
        (Self::HomeOfAll, Clause::Home),
        (Self::HomeOfOne, Clause::Home),
        (Self::HomeIsFile, Clause::Home),
        (Self::HomeByName, Clause::Home),
        (Self::HomesTooFew, Clause::Homes),
        (Self::HomesInDisorder, Clause::Homes),
        (Self::UnitTooHigh, Clause::OwnDirectories),
        (Self::UnitOfTwo, Clause::OwnDirectories),
        (Self::UnitWithin, Clause::OwnDirectories),
        (Self::UnitTwice, Clause::OwnDirectories),
        (Self::UnitNowhere, Clause::OwnDirectories),
        (Self::UnitOutside, Clause::OwnDirectories),
        (Self::FilesOfOthers, Clause::OneOwner),
        (Self::ReleaseWithin, Clause::OneOwner),
        (Self::ReleaseEmpty, Clause::OneOwner),
        (Self::PassesOver, Clause::NothingPassedOver),
        (Self::ReleasesFromElsewhere, Clause::NothingFromElsewhere),
        (Self::PackagesFromElsewhere, Clause::NothingFromElsewhere),
        (Self::PackagesByContent, Clause::Home),
        (Self::NoReleaseAt, Clause::ReleaseAt),
        (Self::OtherReleaseAt, Clause::ReleaseAt),
        (Self::DirectoryElsewhere, Clause::Names),
        (Self::NamesBackwards, Clause::Names),
    ];
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn package(text: &str) -> PackageName {
    PackageName::parse(text).unwrap()
}

/// The layout of opam with a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Broken(pub(crate) Fault);

impl Layout for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn place(&self, name: &str, kind: EntryKind, ignored: bool) -> Place {
        OpamLayout.place(name, kind, ignored)
    }

    fn packages(&self, store: &dyn Store, entry: &Path) -> (Vec<PackageUnit>, Vec<Problem>) {
        let (mut units, mut problems) = OpamLayout.packages(store, entry);
        let is_there = |place: &str| matches!(store.kind(&path(place)), Ok(Some(_)));
        match self.0 {
            Fault::UnitTooHigh => {
                for unit in &mut units {
                    unit.directories = vec![entry.clone()];
                }
            }
            Fault::UnitOfTwo => {
                let bar = is_there("packages/bar").then(|| path("packages/bar"));
                if let Some(unit) = units.iter_mut().find(|unit| unit.name == package("foo")) {
                    unit.directories.extend(bar);
                }
            }
            Fault::UnitWithin => {
                let within: Vec<PackageUnit> = units
                    .iter()
                    .filter_map(|unit| {
                        let entries = store.list(&unit.directories[0]).ok()?;
                        let mut entries = entries.iter();
                        let first = entries.find(|entry| entry.kind == EntryKind::Directory)?;
                        Some(PackageUnit {
                            name: package(&format!("{}-doc", unit.name)),
                            directories: vec![unit.directories[0].join(&first.name).unwrap()],
                        })
                    })
                    .collect();
                units.extend(within);
            }
            Fault::UnitTwice => {
                let rest: Vec<PackageUnit> = units
                    .iter_mut()
                    .flat_map(|unit| {
                        let name = unit.name.clone();
                        let rest = unit.directories.split_off(1).into_iter();
                        rest.map(move |directory| PackageUnit {
                            name: name.clone(),
                            directories: vec![directory],
                        })
                    })
                    .collect();
                units.extend(rest);
            }
            Fault::UnitNowhere => units.push(PackageUnit {
                name: package("nowhere"),
                directories: Vec::new(),
            }),
            Fault::UnitOutside => units.push(PackageUnit {
                name: package("outside"),
                directories: vec![path("outside")],
            }),
            Fault::PackagesFromElsewhere if !is_there("version") => {
                problems.push(Problem::new(
                    Code::Unaccounted,
                    entry,
                    "there is no version",
                ));
            }
            Fault::PackagesByContent => {
                for unit in &units {
                    let mut releases = OpamLayout.releases(store, unit).into_iter().flatten();
                    if !releases.any(|it| it.files.iter().any(|file| file.file_name() == "url")) {
                        let place = &unit.directories[0];
                        problems.push(Problem::new(Code::Unaccounted, place, "has no url"));
                    }
                }
            }
            Fault::PassesOver => problems.clear(),
            _ => {}
        }
        (units, problems)
    }

    fn releases(
        &self,
        store: &dyn Store,
        unit: &PackageUnit,
    ) -> Result<Vec<ReleaseUnit>, Vec<Problem>> {
        let of = |directories: Vec<Path>| PackageUnit {
            name: unit.name.clone(),
            directories,
        };
        let own = format!("packages/{}", unit.name);
        let is_own = |directory: &&Path| {
            directory.as_str() == own
                || directory
                    .file_name()
                    .starts_with(&format!("{}.", unit.name))
        };
        match self.0 {
            Fault::UnitTooHigh => {
                let everything = OpamLayout.packages(store, &path("packages")).0;
                let mut units = everything.iter().filter(|it| it.name == unit.name);
                return units
                    .next()
                    .map_or(Ok(Vec::new()), |it| OpamLayout.releases(store, it));
            }
            Fault::UnitOfTwo | Fault::HomeOfAll | Fault::HomeOfOne => {
                let directories = unit.directories.iter().filter(is_own).cloned().collect();
                return OpamLayout.releases(store, &of(directories));
            }
            Fault::UnitWithin => {
                if let Some(name) = unit.name.as_str().strip_suffix("-doc") {
                    return OpamLayout.releases(
                        store,
                        &PackageUnit {
                            name: package(name),
                            directories: unit.directories.clone(),
                        },
                    );
                }
            }
            Fault::UnitNowhere | Fault::UnitOutside if !own.contains("foo") => {
                return OpamLayout.releases(store, unit).or(Ok(Vec::new()));
            }
            _ => {}
        }
        let found = OpamLayout.releases(store, unit);
        match (self.0, found) {
            (Fault::PassesOver, Err(_)) => {
                let mut releases = Vec::new();
                for directory in &unit.directories {
                    let mut places = vec![directory.clone()];
                    for entry in store.list(directory).unwrap_or_default() {
                        places.extend(directory.join(&entry.name));
                    }
                    for place in places {
                        let file = place.join("opam").unwrap();
                        let named = OpamLayout.parse_release(place.file_name());
                        if let Some((package, name)) = named
                            && package == unit.name
                            && matches!(store.kind(&file), Ok(Some(EntryKind::File)))
                        {
                            releases.push(ReleaseUnit {
                                name,
                                directory: place,
                                files: vec![file],
                            });
                        }
                    }
                }
                Ok(releases)
            }
            (fault, Ok(mut found)) => {
                match (fault, found.first_mut()) {
                    (Fault::FilesOfOthers, Some(first)) if unit.name == package("foo") => {
                        let other = path("packages/bar/bar.1/opam");
                        if matches!(store.kind(&other), Ok(Some(_))) {
                            first.files.push(other);
                        }
                    }
                    (Fault::ReleaseWithin, Some(first)) if unit.name == package("foo") => {
                        let within = first.clone();
                        found.push(ReleaseUnit {
                            name: ReleaseName::parse("within").unwrap(),
                            ..within
                        });
                    }
                    (Fault::ReleaseEmpty, Some(first)) => first.files.clear(),
                    (Fault::ReleasesFromElsewhere, _) if unit.name == package("foo") => {
                        let other = path("packages/bar/bar.1/opam");
                        let mut bytes = Vec::new();
                        let read = store.read(&other, 1 << 20, &mut bytes);
                        if read.is_err() || bytes.len() > 60 {
                            found.pop();
                        }
                    }
                    _ => {}
                }
                Ok(found)
            }
            (_, found) => found,
        }
    }

    fn home(&self, place: &Path) -> Option<(PackageName, Path)> {
        let (package, directory) = OpamLayout.home(place)?;
        Some(match self.0 {
            Fault::HomeOfAll | Fault::UnitTooHigh => (package, path("packages")),
            Fault::HomeOfOne => (self::package("foo"), path("packages")),
            Fault::HomeIsFile => (package, place.clone()),
            Fault::HomeByName if place.file_name() == "url" => {
                (self::package("bar"), path("packages/bar"))
            }
            _ => (package, directory),
        })
    }

    fn homes(&self, package: &PackageName, releases: &[&ReleaseName]) -> Option<Vec<Path>> {
        let mut homes = OpamLayout.homes(package, releases)?;
        match self.0 {
            Fault::HomesTooFew => homes.truncate(1),
            Fault::HomesInDisorder => homes.reverse(),
            Fault::HomeOfAll | Fault::HomeOfOne | Fault::UnitTooHigh => {
                homes = vec![path("packages")];
            }
            _ => {}
        }
        Some(homes)
    }

    fn release_at(&self, directory: &Path) -> Option<(PackageName, ReleaseName)> {
        let (package, release) = OpamLayout.release_at(directory)?;
        match self.0 {
            Fault::NoReleaseAt => None,
            Fault::OtherReleaseAt => Some((package, ReleaseName::parse("1").ok()?)),
            _ => Some((package, release)),
        }
    }

    fn is_projected(&self, _file: &Path) -> bool {
        false
    }

    fn directory(&self, package: &PackageName, release: &ReleaseName) -> Option<Path> {
        let directory = OpamLayout.directory(package, release)?;
        match self.0 {
            Fault::DirectoryElsewhere => {
                Path::parse(&format!("packages/{package}/{package}.{release}0")).ok()
            }
            _ => Some(directory),
        }
    }

    fn parse_release(&self, text: &str) -> Option<(PackageName, ReleaseName)> {
        let (package, release) = OpamLayout.parse_release(text)?;
        match self.0 {
            Fault::NamesBackwards => Some((
                PackageName::parse(release.as_str()).ok()?,
                ReleaseName::parse(package.as_str()).ok()?,
            )),
            _ => Some((package, release)),
        }
    }
}

/// Releases on shelves by their first letters, such as `shelf/f/foo-1.0/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelves {
    /// Each release is a directory of its package.
    Own,
    /// Packages share the shelf, and nothing is told by a path.
    Shared,
    /// They share it, and the home of a path is the shelf.
    SharedHome,
}

impl Shelves {
    fn split(name: &str) -> Option<(PackageName, ReleaseName)> {
        let (package, release) = name.rsplit_once('-')?;
        let release = ReleaseName::parse(release).ok()?;
        Some((PackageName::parse(package).ok()?, release))
    }

    /// The release of a path, with its directory and its shelf.
    fn read(place: &Path) -> Option<(PackageName, ReleaseName, Path, Path)> {
        let mut components = place.components();
        let (first, shelf, name) = (components.next()?, components.next()?, components.next()?);
        let (package, release) = Self::split(name)?;
        let shelf_of = package.as_str().get(..1)?;
        (first == "shelf" && shelf == shelf_of).then_some(())?;
        let shelf = Path::parse(&format!("shelf/{shelf}")).ok()?;
        let directory = shelf.join(name).ok()?;
        Some((package, release, directory, shelf))
    }
}

fn files_below(store: &dyn Store, directory: &Path) -> Vec<Path> {
    let mut files = Vec::new();
    for entry in store.list(directory).unwrap_or_default() {
        let place = directory.join(&entry.name).unwrap();
        match entry.kind {
            EntryKind::Directory => files.extend(files_below(store, &place)),
            _ => files.push(place),
        }
    }
    files
}

impl Layout for Shelves {
    fn name(&self) -> &'static str {
        "shelves"
    }

    fn place(&self, name: &str, kind: EntryKind, _ignored: bool) -> Place {
        match kind {
            _ if name == "shelf" => Place::Packages,
            EntryKind::File => Place::Repository,
            _ => Place::Other,
        }
    }

    fn packages(&self, store: &dyn Store, entry: &Path) -> (Vec<PackageUnit>, Vec<Problem>) {
        let (mut units, mut problems): (Vec<PackageUnit>, Vec<Problem>) = Default::default();
        for file in files_below(store, entry) {
            let Some((name, _, directory, row)) = Self::read(&file) else {
                problems.push(Problem::new(Code::Unaccounted, file, "is on no shelf"));
                continue;
            };
            if directory == file {
                problems.push(Problem::new(Code::Unaccounted, file, "is no directory"));
                continue;
            }
            let directory = match self {
                Self::Own => directory,
                _ => row,
            };
            match units.iter_mut().find(|unit| unit.name == name) {
                Some(unit) if unit.directories.contains(&directory) => {}
                Some(unit) => unit.directories.push(directory),
                None => units.push(PackageUnit {
                    name,
                    directories: vec![directory],
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
        let mut releases: Vec<ReleaseUnit> = Vec::new();
        for file in unit
            .directories
            .iter()
            .flat_map(|it| files_below(store, it))
        {
            let Some((package, name, directory, _)) = Self::read(&file) else {
                continue;
            };
            if package != unit.name || directory == file {
                continue;
            }
            match releases
                .iter_mut()
                .find(|release| release.directory == directory)
            {
                Some(release) => release.files.push(file),
                None => releases.push(ReleaseUnit {
                    name,
                    directory,
                    files: vec![file],
                }),
            }
        }
        Ok(releases)
    }

    fn home(&self, place: &Path) -> Option<(PackageName, Path)> {
        let (package, _, directory, row) = Self::read(place)?;
        match self {
            Self::Own => (directory != *place).then_some((package, directory)),
            Self::Shared => None,
            Self::SharedHome => Some((package, row)),
        }
    }

    fn homes(&self, package: &PackageName, _releases: &[&ReleaseName]) -> Option<Vec<Path>> {
        match self {
            Self::Own => None,
            _ => Some(vec![
                Path::parse(&format!("shelf/{}", package.as_str().get(..1)?)).ok()?,
            ]),
        }
    }

    fn release_at(&self, directory: &Path) -> Option<(PackageName, ReleaseName)> {
        let (package, release, place, _) = Self::read(directory)?;
        (place == *directory).then_some((package, release))
    }

    fn is_projected(&self, _file: &Path) -> bool {
        false
    }

    fn directory(&self, package: &PackageName, release: &ReleaseName) -> Option<Path> {
        let place = format!("shelf/{}/{package}-{release}", package.as_str().get(..1)?);
        let directory = Path::parse(&place).ok()?;
        self.release_at(&directory)?;
        Some(directory)
    }

    fn parse_release(&self, text: &str) -> Option<(PackageName, ReleaseName)> {
        Self::split(text)
    }
}

/// Knows one layout, by any name.
pub(crate) struct Only<L>(pub(crate) L);

impl<L: Layout + Clone + 'static> Schemes for Only<L> {
    fn layout(&self, _name: &Scheme) -> Option<Box<dyn Layout>> {
        Some(Box::new(self.0.clone()))
    }

    fn projection(&self, _name: &Scheme) -> Option<Box<dyn Projection>> {
        None
    }
}
