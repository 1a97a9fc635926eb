//! What a tree looks like: where packages, releases and their files stand (spec section 10).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::name::{PackageName, ReleaseName};
use crate::path::Path;
use crate::problem::Problem;
use crate::projection::Projection;
use crate::statement::Scheme;
use crate::store::{EntryKind, Store};

/// What a top-level entry is to a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Packages stand in it; [`Layout::packages`] reads it.
    Packages,
    /// A repository file: clients read it, a quorum approves it.
    Repository,
    /// Neither; it is accounted for by an ignore pattern or not at all.
    Other,
}

/// The directories in which releases of one package stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageUnit {
    /// The package.
    pub name: PackageName,
    /// Its directory, or the directories of its releases, in the order of their names.
    pub directories: Vec<Path>,
}

/// The one place of a release, and every file there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseUnit {
    /// The release.
    pub name: ReleaseName,
    /// Its directory.
    pub directory: Path,
    /// Every file below it, at least one.
    pub files: Vec<Path>,
}

/// What a client takes a directory for. Two that are equal are one release to it, whatever their
/// directories are called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientRelease {
    /// The name of the package, by the client's rules: not every such name is a [`PackageName`].
    pub package: String,
    /// The version, as [`Client::version`] spells it.
    pub version: String,
}

/// How the program that uses a repository finds releases in it, beyond what the layout says.
///
/// A client may take a directory for a release by its name alone, wherever it stands, and look at any
/// path that changes. From what is said here, verification derives (spec section 8.4):
///
/// - no directory inside a release has the name of a release;
/// - a directory with such a name elsewhere, outside the package tree, neither holds what makes the
///   client load it, nor stands beside a release that is equal to it;
/// - two releases of a package that are equal are noted, and one of them does not go alone.
///
/// So what a client loads does not depend on the way in which it came to a state.
pub trait Client: Sync {
    /// The release that the client takes a directory of this name for; nothing, if for none.
    fn release(&self, directory: &str) -> Option<ClientRelease>;

    /// A spelling of a version: equal for exactly those versions that are equal to the client.
    fn version(&self, release: &ReleaseName) -> String;

    /// Whether an entry of this name in the directory of a release makes the client load it.
    fn is_loaded_by(&self, entry: &str) -> bool;
}

/// Finds packages and releases, and accounts for every path below the package tree.
///
/// An implementation reports what it cannot account for; it never passes over anything.
pub trait Layout: Sync {
    /// The layout's name in the root.
    fn name(&self) -> &'static str;

    /// What a top-level entry is. `ignored` says that an ignore pattern of the root matches it;
    /// a package tree that the layout fixes cannot be ignored.
    fn place(&self, name: &str, kind: EntryKind, ignored: bool) -> Place;

    /// Finds the packages in a top-level entry that is [`Place::Packages`].
    ///
    /// Gives what it found, and a problem for everything else there.
    fn packages(&self, store: &dyn Store, entry: &Path) -> (Vec<PackageUnit>, Vec<Problem>);

    /// Finds the releases of a package with all their files.
    ///
    /// # Errors
    /// Every path that is not accounted for, every release at a second place.
    fn releases(
        &self,
        store: &dyn Store,
        unit: &PackageUnit,
    ) -> Result<Vec<ReleaseUnit>, Vec<Problem>>;

    /// The package that a path lies in, with the directory among [`PackageUnit::directories`] that
    /// holds it; `None` where that is not told by the path alone.
    fn home(&self, path: &Path) -> Option<(PackageName, Path)> {
        let _ = path;
        None
    }

    /// Every directory that a package with no other releases than these may have, in the order of
    /// [`PackageUnit::directories`]; `None` where that is not told by the names alone.
    fn homes(&self, package: &PackageName, releases: &[&ReleaseName]) -> Option<Vec<Path>> {
        let _ = (package, releases);
        None
    }

    /// The release whose directory has this path, if a directory of this path is one. Nothing is said
    /// of what is there.
    fn release_at(&self, directory: &Path) -> Option<(PackageName, ReleaseName)>;

    /// Whether projections apply to a file of a release; `file` is relative to the release.
    fn is_projected(&self, file: &Path) -> bool;

    /// The projection that applies to a repository file. It is part of the layout, whatever projections a
    /// root lists.
    fn repository_projection(&self, file: &Path) -> Option<&dyn Projection> {
        let _ = file;
        None
    }

    /// The directory of a release, where tools put it; `None` when the names do not fit the layout.
    fn directory(&self, package: &PackageName, release: &ReleaseName) -> Option<Path>;

    /// The program that uses such a repository, if it looks for releases in its own way; by default
    /// there is none, and what stands outside the releases is nothing to anybody.
    fn client(&self) -> Option<&dyn Client> {
        None
    }

    /// Reads a release as people name it on a command line, such as `foo.1.0`.
    fn parse_release(&self, text: &str) -> Option<(PackageName, ReleaseName)>;
}

/// The layouts and projections a program knows, by the names that roots use.
pub trait Schemes: Sync {
    /// The layout of a name.
    fn layout(&self, name: &Scheme) -> Option<Box<dyn Layout>>;

    /// The projection of a name.
    fn projection(&self, name: &Scheme) -> Option<Box<dyn Projection>>;
}
