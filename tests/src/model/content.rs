//! What stands in the tree, and the digests of what is computed from it (sections 3.1, 5.2, 7.1 and 10.2).

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::crypto::Crypto;
use conex_core::model::digest::{Context, Digest, FileDigest};
use conex_core::model::name::{Origin, PackageName, ReleaseName};
use conex_core::model::path::{Path, Pattern};
use conex_core::model::statement::Root;
use conex_core::model::vouch::Subject;
use conex_core::tree::problem::Code;

use super::{Found, Tree};

/// A package that can be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Package {
    pub(super) releases: Digests,
    pub(super) checksums: BTreeMap<ReleaseName, Digest>,
}

/// A digest that is set where there is content.
pub(super) type Digests = Option<Digest>;

/// Everything outside `conex/`.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    /// The packages that can be read, and none of those that cannot.
    pub(super) packages: BTreeMap<PackageName, Option<Package>>,
    /// The digest of the repository files.
    pub(super) repository: Digests,
    /// Whether there is any repository file.
    pub(super) has_repository: bool,
    pub(super) problems: Found,
}

impl Content {
    /// Whether a release is in the tree.
    pub(super) fn has(&self, package: &PackageName, release: &ReleaseName) -> bool {
        let package = self.packages.get(package).and_then(Option::as_ref);
        package.is_some_and(|package| package.checksums.contains_key(release))
    }
}

/// The canonical encoding (section 5.2), as far as computed statements need it.
#[derive(Debug, Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn new(origin: &Origin) -> Self {
        let mut encoder = Self::default();
        encoder.text(origin.as_str());
        encoder
    }

    fn varint(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    fn text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn file(&mut self, path: &str, bytes: &[u8], crypto: &impl Crypto) {
        self.text(path);
        self.varint(bytes.len() as u64);
        let digest: FileDigest = crypto.sha256(bytes);
        self.0.extend_from_slice(digest.as_bytes());
    }

    /// Files that count whole, as elements of a source.
    fn whole(&mut self, files: &[(&str, &[u8])], crypto: &impl Crypto) {
        self.varint(files.len() as u64);
        for (path, bytes) in files {
            self.varint(0);
            self.file(path, bytes, crypto);
        }
    }

    fn digest(self, context: Context, crypto: &impl Crypto) -> Digest {
        crypto.blake3(context, &self.0)
    }
}

/// The digest of the `releases` of a package, given the sources.
pub(super) fn releases(
    origin: &Origin,
    package: &PackageName,
    sources: &BTreeMap<ReleaseName, Digest>,
    crypto: &impl Crypto,
) -> Digest {
    let mut encoder = Encoder::new(origin);
    encoder.text(package.as_str());
    encoder.varint(sources.len() as u64);
    for (release, source) in sources {
        encoder.text(release.as_str());
        encoder.0.extend_from_slice(source.as_bytes());
    }
    encoder.digest(Context::Releases, crypto)
}

/// The digest of the `checksums` of a release, given its files.
pub(super) fn checksums(
    origin: &Origin,
    package: &PackageName,
    release: &ReleaseName,
    files: &[(&str, &[u8])],
    crypto: &impl Crypto,
) -> Digest {
    let mut encoder = Encoder::new(origin);
    encoder.text(package.as_str());
    encoder.text(release.as_str());
    encoder.varint(files.len() as u64);
    for (path, bytes) in files {
        encoder.file(path, bytes, crypto);
    }
    encoder.digest(Context::Checksums, crypto)
}

/// The digest of the absence of what a subject speaks of: no releases, or no files.
pub fn absence(origin: &Origin, subject: &Subject, crypto: &impl Crypto) -> Option<Digest> {
    match subject {
        Subject::Releases(package) => Some(releases(origin, package, &BTreeMap::new(), crypto)),
        Subject::Checksums(package, release) => {
            Some(checksums(origin, package, release, &[], crypto))
        }
        _ => None,
    }
}

/// The digest of the source of a release (section 7.1, without a projection).
fn source(origin: &Origin, files: &[(&str, &[u8])], crypto: &impl Crypto) -> Digest {
    let mut encoder = Encoder::new(origin);
    encoder.whole(files, crypto);
    encoder.digest(Context::Source, crypto)
}

/// The digest of the repository files.
fn repository(origin: &Origin, files: &[(&str, &[u8])], crypto: &impl Crypto) -> Digest {
    let mut encoder = Encoder::new(origin);
    encoder.whole(files, crypto);
    encoder.digest(Context::Repository, crypto)
}

/// Whether a name matches one with at most one `*` in it (section 2.4).
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((front, back)) => {
            name.len() >= front.len() + back.len()
                && name.starts_with(front)
                && name.ends_with(back)
        }
    }
}

/// Whether a pattern covers a directory at the top (section 2.4).
pub(super) fn ignores(root: &Root, directory: &str) -> bool {
    let covers = |pattern: &str| {
        let front = pattern.strip_suffix("/**");
        front.is_some_and(|front| matches(front, directory))
    };
    root.ignore.iter().any(|pattern| covers(pattern.as_str()))
}

/// What version control has at the top is not in a tree, and nothing else has its name (section 8.1).
const VERSION_CONTROL: [&str; 4] = [".git", "git~1", ".hg", "_darcs"];

/// Levels of directories below the directory of a release (section 12).
const DEPTH: usize = 16;

/// Accounts for everything outside `conex/` as the layout `plain` has it (sections 8.4 and 10.2).
pub(super) fn read(tree: &Tree, root: &Root, crypto: &impl Crypto) -> Content {
    let (mut content, mut top) = (Content::default(), Vec::new());
    let mut directories: BTreeMap<&str, Vec<(&str, &[u8])>> = BTreeMap::new();
    let patterns = || root.ignore.iter().map(Pattern::as_str);
    for (path, bytes) in tree {
        let top_name = path.split('/').next().unwrap_or_default();
        if VERSION_CONTROL
            .iter()
            .any(|own| own.eq_ignore_ascii_case(top_name))
        {
            let problem = (Code::Unaccounted, top_name.to_owned());
            content.problems.insert(problem);
            continue;
        }
        match path.split_once('/') {
            Some(("conex", _)) => {}
            Some((directory, rest)) => {
                let covers = |pattern: &str| {
                    pattern
                        .strip_suffix("/**")
                        .is_some_and(|it| matches(it, directory))
                };
                if !patterns().any(covers) {
                    directories
                        .entry(directory)
                        .or_default()
                        .push((rest, bytes));
                }
            }
            None if Path::parse(path).is_err() => {
                content.problems.insert((Code::BadName, path.clone()));
            }
            None => {
                if !patterns().any(|pattern| matches(pattern, path)) {
                    top.push((path.as_str(), bytes.as_slice()));
                }
            }
        }
    }
    content.has_repository = !top.is_empty();
    content.repository = Some(repository(&root.origin, &top, crypto));
    for (directory, files) in directories {
        match PackageName::parse(directory) {
            Ok(name) => {
                let read = package(&name, &files, root, crypto);
                let package = read
                    .map_err(|problems| content.problems.extend(problems))
                    .ok();
                content.packages.insert(name, package);
            }
            Err(_) => {
                content
                    .problems
                    .insert((Code::BadName, directory.to_owned()));
            }
        }
    }
    if content.packages.is_empty() {
        content.problems.insert((Code::Empty, ".".to_owned()));
    }
    let entries: BTreeSet<&str> = tree
        .keys()
        .filter_map(|path| path.split('/').next())
        .collect();
    content
        .problems
        .extend(collisions(entries.into_iter(), str::to_owned));
    content
}

/// The first component of a path in a package that is none, or the first directory that is too far down.
fn misplaced(path: &str) -> Option<(Code, String)> {
    let directories = path.match_indices('/').map(|(end, _)| end);
    directories.chain([path.len()]).find_map(|end| {
        let place = path.get(..end)?;
        let levels = place.matches('/').count();
        let code = match Path::parse(place) {
            Err(_) => Code::BadName,
            Ok(_) if end < path.len() && levels > 1 + DEPTH => Code::TooLarge,
            Ok(_) => return None,
        };
        Some((code, place.to_owned()))
    })
}

/// Reads a package: its directory holds directories, each a release with all files below it.
fn package(
    name: &PackageName,
    files: &[(&str, &[u8])],
    root: &Root,
    crypto: &impl Crypto,
) -> Result<Package, Found> {
    let mut problems = Found::new();
    let mut releases_of: BTreeMap<ReleaseName, Vec<(&str, &[u8])>> = BTreeMap::new();
    for (path, bytes) in files {
        let Some((release, file)) = path.split_once('/') else {
            problems.insert((Code::Unaccounted, format!("{name}/{path}")));
            continue;
        };
        let Ok(release) = ReleaseName::parse(release) else {
            problems.insert((Code::BadName, format!("{name}/{release}")));
            continue;
        };
        if let Some(problem) = misplaced(&format!("{name}/{path}")) {
            problems.insert(problem);
        }
        releases_of.entry(release).or_default().push((file, bytes));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let names = releases_of.keys().map(ReleaseName::as_str);
    problems.extend(collisions(names, |release| format!("{name}/{release}")));
    for (release, files) in &releases_of {
        let paths = files.iter().map(|(path, _)| *path);
        let place = |path: &str| format!("{name}/{release}/{path}");
        problems.extend(collisions(paths.clone(), place));
        let mut spelled: BTreeMap<String, &str> = BTreeMap::new();
        for path in paths {
            for (end, _) in path.match_indices('/') {
                let directory = path.get(..end).unwrap_or_default();
                let first = spelled.entry(directory.to_ascii_lowercase());
                if *first.or_insert(directory) != directory {
                    problems.insert((Code::NameCollision, place(path)));
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let origin = &root.origin;
    let mut sources = BTreeMap::new();
    let mut package = Package::default();
    for (release, files) in releases_of {
        let digest = checksums(origin, name, &release, &files, crypto);
        package.checksums.insert(release.clone(), digest);
        sources.insert(release, source(origin, &files, crypto));
    }
    package.releases = Some(releases(origin, name, &sources, crypto));
    Ok(package)
}

/// Names that are equal when case is ignored (section 2.2): the later one of each two is the place.
pub(super) fn collisions<'n>(
    names: impl Iterator<Item = &'n str>,
    place: impl Fn(&str) -> String,
) -> Found {
    let (mut seen, mut problems) = (BTreeSet::new(), Found::new());
    for name in names {
        if !seen.insert(name.to_ascii_lowercase()) {
            problems.insert((Code::NameCollision, place(name)));
        }
    }
    problems
}
