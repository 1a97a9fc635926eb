//! What a tree looks like: where packages, releases and their files stand (spec section 10).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::model::name::{PackageName, ReleaseName};
use crate::model::path::Path;
use crate::model::statement::Scheme;
use crate::tree::problem::Problem;
use crate::tree::projection::Projection;
use crate::tree::store::{EntryKind, Store};

pub(crate) mod contract;

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
/// # Contract
///
/// Verification believes what a layout says. An update that is judged by what changed (spec section 9.4)
/// also believes that the layout says it of every tree alike. An implementation keeps these clauses;
/// [`Conformance::check`](crate::tools::conformance::Conformance::check) looks for trees in which it does not.
///
/// 1. **Own directories.** A [`PackageUnit`] has at least one directory. Each is the top-level entry in
///    which the unit was found, or lies below it. No directory of a unit is one of another unit, nor
///    lies in one. No two units of a tree have the same name.
/// 2. **One owner.** The directory of a release is one of the directories of its unit, or lies below one. The
///    files of a release lie below its directory. No release stands in the directory of another one. So a file
///    belongs to one release of one package, or to none.
/// 3. **Nothing passed over.** Every file in a top-level entry of packages belongs to a release, or
///    [`packages`](Self::packages) or [`releases`](Self::releases) reports a problem.
/// 4. **Nothing from elsewhere.** What `packages` says depends on nothing outside the entry, and what `releases` says on
///    nothing outside the directories of the unit. All answers depend on their arguments alone.
/// 5. **Home.** Where [`home`](Self::home) names a package and a directory, the path lies below that directory, and the
///    answer is the same for every other path below it. In a tree that has anything in this directory, it is a
///    directory of that package, or there is a problem. As long as it has something in it, no change in it makes a
///    difference to what `packages` says.
/// 6. **Homes.** Where [`homes`](Self::homes) names directories, it names every directory that the unit of such a
///    package has in any tree, in the order in which the unit has them.
/// 7. **Release at.** [`release_at`](Self::release_at) names, for the directory of each release that is found, that release.
/// 8. **Names.** A release whose files stand in [`directory`](Self::directory) is found there. Where
///    [`parse_release`](Self::parse_release) can read the name of the directory of a release, it reads that release.
///
/// `None` from `home` and `homes` keeps to the contract, and costs updates a listing of all packages.
///
/// Verification refuses a tree in which clauses 1, 2 or 7 do not hold. Where the fast way notices, at the cost of the change, that
/// another one does not, it judges everything. What it cannot notice, it believes.
pub trait Layout: Sync {
    /// The layout's name in the root.
    fn name(&self) -> &'static str;

    /// What a top-level entry is. `ignored` says that an ignore pattern of the root matches it;
    /// a package tree that the layout fixes cannot be ignored.
    fn place(&self, name: &str, kind: EntryKind, ignored: bool) -> Place;

    /// Finds the packages in a top-level entry that is [`Place::Packages`] (clauses 1, 3 and 4).
    ///
    /// Gives what it found, and a problem for everything else there.
    fn packages(&self, store: &dyn Store, entry: &Path) -> (Vec<PackageUnit>, Vec<Problem>);

    /// Finds the releases of a package with all their files (clauses 2, 3 and 4).
    ///
    /// # Errors
    /// Every path that is not accounted for, every release at a second place.
    fn releases(
        &self,
        store: &dyn Store,
        unit: &PackageUnit,
    ) -> Result<Vec<ReleaseUnit>, Vec<Problem>>;

    /// The package that a path lies in, with the directory among [`PackageUnit::directories`] that
    /// holds it; `None` where that is not told by the path alone (clause 5).
    fn home(&self, path: &Path) -> Option<(PackageName, Path)> {
        let _ = path;
        None
    }

    /// Every directory that a package with no other releases than these may have, in the order of
    /// [`PackageUnit::directories`]; `None` where that is not told by the names alone (clause 6).
    fn homes(&self, package: &PackageName, releases: &[&ReleaseName]) -> Option<Vec<Path>> {
        let _ = (package, releases);
        None
    }

    /// The release whose directory has this path, if a directory of this path is one (clause 7). Nothing is
    /// said of what is there.
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
