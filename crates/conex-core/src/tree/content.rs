//! Statements computed from the data: `releases`, `checksums`, repository files (spec section 3).
//!
//! They are never stored, so they cannot disagree with the data and never conflict.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Serialize;

use crate::model::crypto::Digests;
use crate::model::digest::{Context, Digest, FileDigest};
use crate::model::encoding;
use crate::model::limits;
use crate::model::name::{Origin, PackageName, ReleaseName};
use crate::model::path::Path;
use crate::model::statement::Scheme;
use crate::tree::layout::{Layout, PackageUnit, ReleaseUnit, contract};
use crate::tree::problem::{Code, Problem};
use crate::tree::projection::{Projection, Unreadable};
use crate::tree::store::Store;

/// A file with its size in bytes and its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct File {
    /// Relative to the release's directory; for repository files, to the top.
    pub path: Path,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub digest: FileDigest,
}

/// The files of one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checksums {
    /// The package.
    pub package: PackageName,
    /// The release.
    pub release: ReleaseName,
    /// Every file of it, sorted by path.
    pub files: Vec<File>,
}

impl Checksums {
    /// What says that a release is gone: it has no files (spec section 3.1).
    pub fn absence(package: &PackageName, release: &ReleaseName) -> Self {
        Self {
            package: package.clone(),
            release: release.clone(),
            files: Vec::new(),
        }
    }

    /// The digest that people vouch for.
    pub fn digest(&self, origin: &Origin, digests: &(impl Digests + ?Sized)) -> Digest {
        encoding::digest(digests, Context::Checksums, origin, self)
    }
}

/// What of a file is signed as source, or as a repository file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum SourceFile {
    /// A file that counts whole.
    Whole(File),
    /// A file that counts by its source form.
    Projected {
        /// Relative to the release's directory; for repository files, to the top.
        path: Path,
        /// The projection's name.
        projection: Scheme,
        /// SHA-256 of the source form.
        digest: FileDigest,
    },
}

impl SourceFile {
    /// Its path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Whole(file) => &file.path,
            Self::Projected { path, .. } => path,
        }
    }
}

/// The releases of a package, each with the digest of its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Releases {
    /// The package.
    pub package: PackageName,
    /// Name and source of every release, sorted by name; empty when the package is gone.
    pub releases: Vec<(ReleaseName, Digest)>,
}

impl Releases {
    /// The statement of a package whose releases have these sources, sorted by name, each under the
    /// projections of the root in their order: under one of them.
    pub fn of<'r>(
        package: &PackageName,
        sources: impl IntoIterator<Item = (&'r ReleaseName, &'r [Digest])>,
        projection: usize,
    ) -> Self {
        let sources = sources.into_iter();
        Self {
            package: package.clone(),
            releases: sources
                .filter_map(|(name, under)| Some((name.clone(), *under.get(projection)?)))
                .collect(),
        }
    }

    /// Its digest in the repository of that name.
    pub fn digest(&self, origin: &Origin, digests: &(impl Digests + ?Sized)) -> Digest {
        encoding::digest(digests, Context::Releases, origin, self)
    }
}

/// The files outside packages that clients read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepositoryFiles {
    /// Sorted by path.
    pub files: Vec<SourceFile>,
}

/// The repository files as read.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Their statement.
    pub statement: RepositoryFiles,
    /// Its digest.
    pub digest: Digest,
    /// Files that the layout's projection could not read, and that count whole.
    pub whole: Vec<(Path, Unreadable)>,
}

impl Repository {
    /// Where the first of them stands, if there is one.
    pub fn place(&self) -> Option<&Path> {
        self.statement.files.first().map(SourceFile::path)
    }
}

/// A release as read.
#[derive(Debug, Clone)]
pub struct Release {
    /// Where it stands.
    pub directory: Path,
    /// Its one file, or its directory if it has several: what a problem of it names.
    pub place: Path,
    /// Its files.
    pub checksums: Checksums,
    /// The digest of its checksums.
    pub digest: Digest,
    /// The digest of its source under each projection of the root, in their order; one without any.
    pub sources: Vec<Digest>,
    /// Files that a projection could not read, and that count whole.
    pub whole: Vec<(Path, Unreadable)>,
}

/// A package as read.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Its releases, sorted by name.
    pub releases: Vec<Release>,
    /// The digest of its `releases` under each projection of the root, in their order.
    pub digests: Vec<Digest>,
}

impl Package {
    /// The digest of its `releases` under the newest projection of the root, which is the one to
    /// vouch for, and under the older one where there are two.
    pub(crate) fn newest_and_older(&self) -> (Digest, Option<Digest>) {
        let (newest, older) = self
            .digests
            .split_last()
            .expect("there is a digest for each projection, or one without any");
        (*newest, older.last().copied())
    }
}

/// Reads data and computes statements; what a package means is the layout's, what a digest is the
/// algorithms'.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "holds borrowed capabilities, not data"
)]
pub struct Reader<'a, S: ?Sized, D: ?Sized> {
    /// Where the bytes are.
    pub store: &'a S,
    /// How digests are made.
    pub digests: &'a D,
    /// The repository's name.
    pub origin: &'a Origin,
    /// What the tree looks like.
    pub layout: &'a dyn Layout,
    /// How source is told from upkeep.
    pub projections: &'a [&'a dyn Projection],
}

impl Package {
    /// A package that is not there, whose digest is the same under each of so many projections.
    pub(crate) fn absent(
        name: &PackageName,
        origin: &Origin,
        projections: usize,
        digests: &(impl Digests + ?Sized),
    ) -> Self {
        let statement = Releases {
            package: name.clone(),
            releases: Vec::new(),
        };
        let digest = statement.digest(origin, digests);
        Self {
            name: name.clone(),
            releases: Vec::new(),
            digests: alloc::vec![digest; projections.max(1)],
        }
    }
}

impl<S: ?Sized, D: Digests + ?Sized> Reader<'_, S, D> {
    /// A release that is not there: the digest of the statement that it has no files.
    pub(crate) fn absent_release(&self, package: &PackageName, release: &ReleaseName) -> Digest {
        Checksums::absence(package, release).digest(self.origin, self.digests)
    }
}

impl<S: Store + ?Sized, D: Digests + ?Sized> Reader<'_, S, D> {
    /// Reads a package and computes its statements.
    ///
    /// # Errors
    /// All problems found; the rest of the package is read all the same, to report everything.
    pub fn package(&self, unit: &PackageUnit) -> Result<Package, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut releases = Vec::new();
        let mut buffers = Buffers::new();
        match contract::releases(self.layout, &self.store, unit) {
            Ok(mut found) => {
                problems.extend(contract::misread(self.layout, unit, &found));
                found.sort_by(|a, b| a.name.cmp(&b.name));
                let names = found.iter().map(|it| (it.name.as_str(), &it.directory));
                problems.extend(collisions(names));
                for release in &found {
                    match self.read(&unit.name, release, &mut buffers) {
                        Ok(release) => releases.push(release),
                        Err(found) => problems.extend(found),
                    }
                }
            }
            Err(found) => problems = found,
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let digests = (0..self.projections.len().max(1))
            .map(|at| self.releases_digest(&unit.name, &releases, at))
            .collect();
        Ok(Package {
            name: unit.name.clone(),
            releases,
            digests,
        })
    }

    /// The pairs of releases that are one to the client.
    pub(crate) fn equals<'p>(&self, package: &'p Package) -> Vec<[&'p Release; 2]> {
        let Some(client) = self.layout.client().filter(|_| package.releases.len() > 1) else {
            return Vec::new();
        };
        let releases = package.releases.iter();
        let mut versions: Vec<(String, &Release)> = releases
            .map(|release| (client.version(&release.checksums.release), release))
            .collect();
        versions.sort_by(|a, b| a.0.cmp(&b.0));
        let pairs = versions.windows(2).filter_map(|pair| match pair {
            [a, b] if a.0 == b.0 => Some([a.1, b.1]),
            _ => None,
        });
        pairs.collect()
    }

    /// A package that is not there: the statement that it has no releases.
    pub fn absent(&self, name: &PackageName) -> Package {
        Package::absent(name, self.origin, self.projections.len(), self.digests)
    }

    /// Reads the repository files and computes their statement.
    ///
    /// # Errors
    /// A problem for each file that cannot be read.
    pub fn repository(&self, paths: &[Path]) -> Result<Repository, Vec<Problem>> {
        let mut buffers = Buffers::new();
        let mut problems = Vec::new();
        let mut files = Vec::new();
        let mut whole = Vec::new();
        for path in paths {
            let file = match self.file(path, path.clone(), &mut buffers.bytes) {
                Ok(file) => file,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let projection = self.layout.repository_projection(path);
            files.push(match projection {
                Some(projection) => match self.project(projection, &file, &mut buffers) {
                    Ok(file) => file,
                    Err(unreadable) => {
                        whole.push((path.clone(), unreadable));
                        SourceFile::Whole(file)
                    }
                },
                None => SourceFile::Whole(file),
            });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        files.sort_by(|a, b| a.path().cmp(b.path()));
        let statement = RepositoryFiles { files };
        let digest = encoding::digest(self.digests, Context::Repository, self.origin, &statement);
        Ok(Repository {
            statement,
            digest,
            whole,
        })
    }

    /// The statement of a package's releases under one projection.
    pub fn releases_statement(
        &self,
        name: &PackageName,
        releases: &[Release],
        projection: usize,
    ) -> Releases {
        let sources = releases
            .iter()
            .map(|release| (&release.checksums.release, release.sources.as_slice()));
        Releases::of(name, sources, projection)
    }

    /// The digest of a package's releases under one projection.
    pub fn releases_digest(
        &self,
        name: &PackageName,
        releases: &[Release],
        projection: usize,
    ) -> Digest {
        self.releases_statement(name, releases, projection)
            .digest(self.origin, self.digests)
    }

    /// Reads one release of a package and computes its statement.
    ///
    /// # Errors
    /// All problems found.
    pub fn release(
        &self,
        package: &PackageName,
        unit: &ReleaseUnit,
    ) -> Result<Release, Vec<Problem>> {
        self.read(package, unit, &mut Buffers::new())
    }

    fn read(
        &self,
        package: &PackageName,
        unit: &ReleaseUnit,
        buffers: &mut Buffers,
    ) -> Result<Release, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut files = Vec::with_capacity(unit.files.len());
        let mut whole = Vec::new();
        let mut sources: Vec<Vec<SourceFile>> = (0..self.projections.len().max(1))
            .map(|_| Vec::new())
            .collect();
        let mut paths: Vec<&Path> = unit.files.iter().collect();
        paths.sort();
        // Most releases have one file, which collides with nothing.
        if paths.len() > 1 {
            problems.extend(collisions(paths.iter().map(|path| (path.as_str(), *path))));
            problems.extend(directories_in_two_cases(&unit.directory, &paths));
            problems.extend(releases_in_a_release(self.layout, &unit.directory, &paths));
        }
        for path in paths {
            let Some(relative) = path.below(&unit.directory) else {
                problems.push(Problem::new(
                    Code::Unaccounted,
                    path,
                    "stands outside its release",
                ));
                continue;
            };
            let file = match self.file(path, relative, &mut buffers.bytes) {
                Ok(file) => file,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let projected = self.layout.is_projected(&file.path);
            for (at, source) in sources.iter_mut().enumerate() {
                let projection = self.projections.get(at).filter(|_| projected);
                source.push(match projection {
                    Some(projection) => match self.project(*projection, &file, buffers) {
                        Ok(source) => source,
                        Err(unreadable) => {
                            whole.push((path.clone(), unreadable));
                            SourceFile::Whole(file.clone())
                        }
                    },
                    None => SourceFile::Whole(file.clone()),
                });
            }
            files.push(file);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let checksums = Checksums {
            package: package.clone(),
            release: unit.name.clone(),
            files,
        };
        Ok(Release {
            place: match unit.files.as_slice() {
                [file] => file.clone(),
                _ => unit.directory.clone(),
            },
            directory: unit.directory.clone(),
            digest: checksums.digest(self.origin, self.digests),
            sources: sources
                .iter()
                .map(|source| encoding::digest(self.digests, Context::Source, self.origin, source))
                .collect(),
            checksums,
            whole,
        })
    }

    fn project(
        &self,
        projection: &dyn Projection,
        file: &File,
        buffers: &mut Buffers,
    ) -> Result<SourceFile, Unreadable> {
        buffers.source.clear();
        projection.project(&buffers.bytes, &mut buffers.source)?;
        let scheme = Scheme::parse(projection.name()).map_err(|error| Unreadable {
            line: 1,
            reason: error.to_string(),
        })?;
        Ok(SourceFile::Projected {
            path: file.path.clone(),
            projection: scheme,
            digest: self.digests.sha256(&buffers.source),
        })
    }

    fn file(&self, place: &Path, path: Path, buffer: &mut Vec<u8>) -> Result<File, Problem> {
        self.store
            .read(place, limits::DATA_FILE, buffer)
            .map_err(|error| Problem::unreadable(place, &error))?;
        Ok(File {
            path,
            size: buffer.len() as u64,
            digest: self.digests.sha256(buffer),
        })
    }
}

struct Buffers {
    bytes: Vec<u8>,
    source: Vec<u8>,
}

impl Buffers {
    /// With room for most files, so that they do not grow in steps.
    fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(8 << 10),
            source: Vec::with_capacity(8 << 10),
        }
    }
}

/// A problem for each two directories below another that are equal when case is ignored.
fn directories_in_two_cases(base: &Path, paths: &[&Path]) -> Vec<Problem> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for path in paths {
        for (end, _) in path
            .as_str()
            .match_indices('/')
            .filter(|(end, _)| *end > base.as_str().len())
        {
            let directory = path.as_str().get(..end).unwrap_or_default();
            let other = *seen
                .entry(directory.to_ascii_lowercase())
                .or_insert(directory);
            if other != directory {
                let detail = format!("the directories {other} and {directory} differ in case only");
                problems.push(Problem::new(Code::NameCollision, path, detail));
            }
        }
    }
    problems
}

/// A problem for each directory below another that the client may take for a release: an update may
/// change what it holds when there is such a release, in whatever package.
fn releases_in_a_release(layout: &dyn Layout, base: &Path, paths: &[&Path]) -> Vec<Problem> {
    let Some(client) = layout.client() else {
        return Vec::new();
    };
    let mut found: BTreeSet<Path> = BTreeSet::new();
    for path in paths {
        let above = core::iter::successors(path.parent(), Path::parent);
        found.extend(
            above
                .take_while(|directory| directory != base)
                .filter(|directory| client.release(directory.file_name()).is_some()),
        );
    }
    let detail = "the client takes a directory of this name for a release of its own";
    let problems = found.iter();
    problems
        .map(|place| Problem::new(Code::ShadowRelease, place, detail))
        .collect()
}

/// A problem for each two names that are equal when case is ignored, or altogether.
pub(crate) fn collisions<'n>(names: impl Iterator<Item = (&'n str, &'n Path)>) -> Vec<Problem> {
    let mut names: Vec<(&str, &Path)> = names.collect();
    if names.len() < 2 {
        return Vec::new();
    }
    let folded = |name: &'n str| name.bytes().map(|byte| byte.to_ascii_lowercase());
    names.sort_by(|a, b| folded(a.0).cmp(folded(b.0)).then_with(|| a.cmp(b)));
    names
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] if a.0.eq_ignore_ascii_case(b.0) => Some(if a.0 == b.0 {
                Problem::new(
                    Code::ShadowRelease,
                    b.1,
                    alloc::format!("{} stands also at {}", b.0, a.1),
                )
            } else {
                Problem::new(
                    Code::NameCollision,
                    b.1,
                    alloc::format!("{} and {} differ in case only", a.0, b.0),
                )
            }),
            _ => None,
        })
        .collect()
}
