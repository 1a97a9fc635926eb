//! The `conex/` directory: where statements, pages and batches are stored (spec section 5).
//!
//! This module turns bytes into parsed values and accounts for every path below `conex/`. Nothing
//! it gives is approved yet.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::model::crypto::Digests;
use crate::model::digest::Digest;
use crate::model::limits;
use crate::model::name::{Id, Origin, PackageName};
use crate::model::page::{Batch, Page};
use crate::model::path::Path;
use crate::model::statement::{Author, Authorisation, Root, RootNumber, RootSignature, Team};
use crate::model::stored::Stored;
use crate::model::vouch::{Subject, Vouch};
use crate::tree::problem::{Code, Problem};
use crate::tree::store::{Entry, EntryKind, Store, StoreError, Workers};

/// The directory that holds all of it.
pub const DIRECTORY: &str = "conex";

/// The file that keeps git from touching line ends, and the only content it may have.
pub const ATTRIBUTES: (&str, &str) = ("conex/.gitattributes", "* -text\n");

/// Where things are stored.
pub mod place {
    use super::{Digest, Id, PackageName, Path, RootNumber, RootSignature, Subject};
    use alloc::format;

    fn path(text: &str) -> Path {
        Path::parse(text).expect("names and digests are valid components of short paths")
    }

    /// `conex/root/<n>.toml`
    pub fn root(number: RootNumber) -> Path {
        path(&format!("conex/root/{number}.toml"))
    }

    /// `conex/root/<n>/<id>-<digits>.toml`, with the first 16 hexadecimal digits of the key's
    /// fingerprint: whoever changes keys signs with the old and the new one.
    pub fn root_signature(number: RootNumber, signature: &RootSignature) -> Path {
        path(&format!("conex/root/{number}/{}.toml", signature.name()))
    }

    /// `conex/authors/<id>.toml`
    pub fn author(id: &Id) -> Path {
        path(&format!("conex/authors/{id}.toml"))
    }

    /// `conex/teams/<id>.toml`
    pub fn team(id: &Id) -> Path {
        path(&format!("conex/teams/{id}.toml"))
    }

    /// `conex/packages/<name>.toml`
    pub fn authorisation(package: &PackageName) -> Path {
        path(&format!("conex/packages/{package}.toml"))
    }

    /// `conex/index/<id>`
    pub fn pages(signer: &Id) -> Path {
        path(&format!("conex/index/{signer}"))
    }

    /// `conex/index/<id>/<digest>.toml`
    pub fn page(signer: &Id, digest: Digest) -> Path {
        path(&format!("conex/index/{signer}/{digest}.toml"))
    }

    /// Where a statement is stored. A computed one stands for its package, by its name, or is `.` for the
    /// repository files.
    pub(crate) fn of(subject: &Subject) -> Path {
        match subject {
            Subject::Author(id) => author(id),
            Subject::Team(id) => team(id),
            Subject::Authorisation(package) => authorisation(package),
            Subject::Repository => Path::top(),
            Subject::Releases(package) | Subject::Checksums(package, _) => {
                Path::parse(package.as_str()).unwrap_or_default()
            }
        }
    }

    /// `conex/batches/<digest>.toml`
    pub fn batch(digest: Digest) -> Path {
        path(&format!("conex/batches/{digest}.toml"))
    }
}

/// A root with its signatures, as parsed.
#[derive(Debug, Clone)]
pub struct StoredRoot {
    /// The root.
    pub root: Root,
    /// What stands in `conex/root/<n>/`.
    pub signatures: Vec<RootSignature>,
}

/// A page where it was found, with the digest that is its name.
#[derive(Debug, Clone)]
pub struct StoredPage {
    /// The file.
    pub place: Path,
    /// Its digest, which is its name.
    pub digest: Digest,
    /// The page.
    pub page: Page,
}

/// All of `conex/` but the roots, parsed.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// Authors by id.
    pub authors: BTreeMap<Id, Author>,
    /// Teams by id.
    pub teams: BTreeMap<Id, Team>,
    /// Authorisations by package.
    pub authorisations: BTreeMap<PackageName, Authorisation>,
    /// Pages, sorted by place.
    pub pages: Vec<StoredPage>,
    /// Batches by digest.
    pub batches: BTreeMap<Digest, Batch>,
    /// Of batches that were verified before, what they say of what an update concerns. That is not
    /// all they hold, so these are no batches for anybody to name.
    pub(crate) excerpts: BTreeMap<Digest, Arc<Vec<Vouch>>>,
}

impl Metadata {
    /// Nothing at all.
    pub const fn new() -> Self {
        Self {
            authors: BTreeMap::new(),
            teams: BTreeMap::new(),
            authorisations: BTreeMap::new(),
            pages: Vec::new(),
            batches: BTreeMap::new(),
            excerpts: BTreeMap::new(),
        }
    }

    /// The vouches of a batch, as far as it was read.
    pub(crate) fn batch(&self, digest: Digest) -> Option<Arc<Vec<Vouch>>> {
        let whole = self.batches.get(&digest).map(Batch::shared);
        whole.or_else(|| self.excerpts.get(&digest).cloned())
    }
}

/// Reads files below `conex/`, collecting problems.
pub(crate) struct MetadataReader<'a, S: ?Sized, W> {
    pub(crate) store: &'a S,
    pub(crate) workers: &'a W,
    pub(crate) problems: Vec<Problem>,
}

impl<S: Store + ?Sized, W: Workers> MetadataReader<'_, S, W> {
    /// Reads the chain of roots, without judging it; the roots are sorted by number.
    pub(crate) fn roots(&mut self) -> Vec<StoredRoot> {
        let directory = below(&top(), "root");
        let mut roots = BTreeMap::new();
        let mut signed = Vec::new();
        if self.store.list(&directory).is_err()
            && let Some(kind) = self.in_place_of_metadata()
        {
            self.problems.push(special(&top(), kind));
            return Vec::new();
        }
        for entry in self.entries(&directory) {
            let (number, kind) = match entry.name.strip_suffix(".toml") {
                Some(number) => (number, EntryKind::File),
                None => (entry.name.as_str(), EntryKind::Directory),
            };
            let number = RootNumber::parse(number);
            let expected = number.map(|_| kind);
            let place = self.account(&directory, &entry, expected, "this is no root's number");
            match (place, number) {
                (Some(place), Some(number)) if kind == EntryKind::File => {
                    if let Some(root) = self.root(&place, number) {
                        roots.insert(number, root);
                    }
                }
                (Some(place), Some(number)) => signed.push((number, place)),
                _ => {}
            }
        }
        let mut signatures: BTreeMap<RootNumber, Vec<RootSignature>> = BTreeMap::new();
        for (number, directory) in signed {
            let found = self.files(
                &directory,
                limits::SIGNATURE_FILE,
                |name, signature: &RootSignature| named(name, &signature.name()),
            );
            signatures.insert(
                number,
                found.into_iter().map(|(_, signature)| signature).collect(),
            );
        }
        let told: BTreeSet<Box<str>> = self.problems.iter().map(|it| it.place.clone()).collect();
        let absent = signatures.keys().filter(|it| !roots.contains_key(it));
        let places = absent.map(|number| place::root(*number));
        let places = places.filter(|place| !told.contains(place.as_str()));
        self.problems.extend(
            places
                .map(|place| Problem::new(Code::RootChain, place, "has signatures but is absent")),
        );
        roots
            .into_iter()
            .map(|(number, root)| StoredRoot {
                root,
                signatures: signatures.remove(&number).unwrap_or_default(),
            })
            .collect()
    }

    /// What stands in place of the directory of all metadata, if that is none.
    fn in_place_of_metadata(&self) -> Option<&'static str> {
        // Stores do not tell what is missing from what is below a file.
        let listed = self.store.list(&Path::top()).unwrap_or_default();
        let found = listed.iter().find(|entry| entry.name == DIRECTORY)?;
        match found.kind {
            EntryKind::Directory => None,
            EntryKind::File => Some("file"),
            EntryKind::Special(kind) => Some(kind),
        }
    }

    /// Reads everything else.
    pub(crate) fn rest(&mut self, origin: &Origin, digests: &impl Digests) -> Metadata {
        let mut metadata = Metadata::default();
        for entry in self.entries(&top()) {
            let expected = match entry.name.as_str() {
                // What is none of these directories is found when it is listed.
                "root" | "index" | "batches" | "authors" | "teams" | "packages" => continue,
                ".gitattributes" => Some(EntryKind::File),
                _ => None,
            };
            let detail = "this is no part of the metadata";
            if let Some(place) = self.account(&top(), &entry, expected, detail) {
                self.attributes(&place);
            }
        }
        metadata.authors = self.named_files("authors", |author: &Author| author.id.as_str());
        metadata.teams = self.named_files("teams", |team: &Team| team.id.as_str());
        metadata.authorisations =
            self.named_files("packages", |auth: &Authorisation| auth.package.as_str());
        let batches = self.files(
            &below(&top(), "batches"),
            limits::PAGE_FILE,
            |name, batch: &Batch| named(name, &batch.digest(origin, digests).to_string()),
        );
        metadata.batches = batches
            .into_iter()
            .filter_map(|(path, batch)| {
                Some((
                    Digest::parse(path.file_name().strip_suffix(".toml")?).ok()?,
                    batch,
                ))
            })
            .collect();
        metadata.pages = self.pages(origin, digests);
        self.fold_names(&metadata);
        metadata
    }

    fn root(&mut self, place: &Path, number: RootNumber) -> Option<Root> {
        let mut buffer = Vec::new();
        if let Err(error) = self.store.read(place, limits::ROOT_FILE, &mut buffer) {
            self.problems.push(Problem::unreadable(place, &error));
            return None;
        }
        match Root::from_bytes(&buffer) {
            Ok(root) if root.number == number => Some(root),
            Ok(_) => {
                let detail = "holds another number than its name says";
                self.problems
                    .push(Problem::new(Code::Misnamed, place, detail));
                None
            }
            Err(error) => {
                let code = if is_newer(&buffer) {
                    Code::Upgrade
                } else {
                    Code::Malformed
                };
                self.problems
                    .push(Problem::new(code, place, &error.reason).at_line(error.line));
                None
            }
        }
    }

    fn pages(&mut self, origin: &Origin, digests: &impl Digests) -> Vec<StoredPage> {
        let directory = below(&top(), "index");
        let mut pages = Vec::new();
        for entry in self.entries(&directory) {
            let id = Id::parse_own(&entry.name).ok();
            let expected = id.as_ref().map(|_| EntryKind::Directory);
            let detail = "the index has a directory for each person";
            if let Some(place) = self.account(&directory, &entry, expected, detail)
                && let Some(id) = id
            {
                pages.extend(self.pages_of(&id, &place, origin, digests));
            }
        }
        pages
    }

    /// All pages of a person.
    pub(crate) fn pages_of(
        &mut self,
        id: &Id,
        directory: &Path,
        origin: &Origin,
        digests: &impl Digests,
    ) -> Vec<StoredPage> {
        let found = self.files(directory, limits::PAGE_FILE, |name, page: &Page| {
            page_fits(id, name, page, origin, digests)
        });
        let page = |(place, page): (Path, Page)| {
            let digest = Digest::parse(place.file_name().strip_suffix(".toml")?).ok()?;
            Some(StoredPage {
                place,
                digest,
                page,
            })
        };
        found.into_iter().filter_map(page).collect()
    }

    fn attributes(&mut self, place: &Path) {
        let mut buffer = Vec::new();
        let (_, content) = ATTRIBUTES;
        match self.store.read(place, limits::SIGNATURE_FILE, &mut buffer) {
            Ok(()) if buffer == content.as_bytes() => {}
            Ok(()) => self.problems.push(Problem::new(
                Code::Malformed,
                place,
                format!("has to consist of the line {:?}", content.trim_end()),
            )),
            Err(error) => self.problems.push(Problem::unreadable(place, &error)),
        }
    }

    fn named_files<K, T>(
        &mut self,
        directory: &str,
        name_of: impl Fn(&T) -> &str + Sync,
    ) -> BTreeMap<K, T>
    where
        K: core::str::FromStr + Ord,
        T: Stored + Send,
    {
        let directory = below(&top(), directory);
        let found = self.files(&directory, limits::STATEMENT_FILE, |name, value: &T| {
            named(name, name_of(value))
        });
        found
            .into_iter()
            .filter_map(|(_, value)| Some((name_of(&value).parse().ok()?, value)))
            .collect()
    }

    /// Reads and parses every file of a directory, in parallel; `fits` says what is wrong with
    /// a file of that name.
    fn files<T: Stored + Send>(
        &mut self,
        directory: &Path,
        limit: u64,
        fits: impl Fn(&str, &T) -> Result<(), String> + Sync,
    ) -> Vec<(Path, T)> {
        let store = self.store;
        let entries = self.entries(directory);
        let results = self
            .workers
            .map(entries, |entry| -> Result<(Path, T), Problem> {
                let expected = entry.name.strip_suffix(".toml").map(|_| EntryKind::File);
                let detail = "only .toml files stand here";
                let place = accounted(directory, &entry, expected, detail)?;
                let value = stored(store, &place, limit, &fits)
                    .map_err(|error| error.unwrap_or_else(|| absent(&place)))?;
                Ok((place, value))
            });
        let mut values = Vec::with_capacity(results.len());
        for result in results {
            match result {
                Ok(value) => values.push(value),
                Err(problem) => self.problems.push(problem),
            }
        }
        values
    }

    /// Reads and parses one file, if it is there.
    pub(crate) fn file<T: Stored>(
        &mut self,
        place: &Path,
        limit: u64,
        fits: impl Fn(&str, &T) -> Result<(), String>,
    ) -> Option<T> {
        match stored(self.store, place, limit, &fits) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.extend(problem);
                None
            }
        }
    }

    /// The entries of a directory; none when it is absent.
    pub(crate) fn entries(&mut self, directory: &Path) -> Vec<Entry> {
        match self.store.list(directory) {
            Ok(entries) => entries,
            Err(StoreError::Missing) => Vec::new(),
            Err(error) => {
                self.problems.push(Problem::unreadable(directory, &error));
                Vec::new()
            }
        }
    }

    /// The place of an entry that is what is `expected` under its name, if anything is.
    fn account(
        &mut self,
        directory: &Path,
        entry: &Entry,
        expected: Option<EntryKind>,
        detail: &str,
    ) -> Option<Path> {
        accounted(directory, entry, expected, detail)
            .map_err(|problem| self.problems.push(problem))
            .ok()
    }

    /// Ids are one namespace, and package names are compared without case.
    pub(crate) fn fold_names(&mut self, metadata: &Metadata) {
        for id in metadata
            .teams
            .keys()
            .filter(|id| metadata.authors.contains_key(id))
        {
            let detail = format!("{id} is an author, and cannot be a team too");
            self.problems
                .push(Problem::new(Code::NameCollision, place::team(id), detail));
        }
        let places: Vec<(&PackageName, Path)> = metadata
            .authorisations
            .keys()
            .map(|name| (name, place::authorisation(name)))
            .collect();
        self.problems.extend(crate::tree::content::collisions(
            places.iter().map(|(name, place)| (name.as_str(), place)),
        ));
    }
}

/// The place of an entry that is what is `expected` under its name, if anything is; otherwise the one problem of
/// it (spec section 8.3, step 3).
fn accounted(
    directory: &Path,
    entry: &Entry,
    expected: Option<EntryKind>,
    detail: &str,
) -> Result<Path, Problem> {
    let place = directory.join(&entry.name).map_err(|error| {
        let shown = format!("{directory}/{}", entry.name);
        Problem::new(Code::BadName, shown, error)
    })?;
    match (entry.kind, expected) {
        (EntryKind::Special(kind), _) => Err(special(&place, kind)),
        (_, None) => Err(Problem::new(Code::Unaccounted, place, detail)),
        (EntryKind::File, Some(EntryKind::Directory)) => Err(special(&place, "file")),
        (EntryKind::Directory, Some(EntryKind::File)) => Err(special(&place, "directory")),
        _ => Ok(place),
    }
}

/// Whether a problem says that a root is there and cannot be read.
pub(crate) fn is_unread_root(problem: &Problem) -> bool {
    let is_note = problem.code.is_note() || problem.code == Code::RootChain;
    let name = problem.place.strip_prefix("conex/root");
    let name = name.or((&*problem.place == DIRECTORY).then_some(""));
    let is_root = |name: &str| {
        let number = name
            .strip_prefix('/')
            .and_then(|it| it.strip_suffix(".toml"));
        name.is_empty() || number.and_then(RootNumber::parse).is_some()
    };
    !is_note && name.is_some_and(is_root)
}

/// Reads and parses a file; `fits` says what is wrong with one of that name. No problem says that
/// nothing is there.
fn stored<T: Stored>(
    store: &(impl Store + ?Sized),
    place: &Path,
    limit: u64,
    fits: &impl Fn(&str, &T) -> Result<(), String>,
) -> Result<T, Option<Problem>> {
    let mut buffer = Vec::new();
    match store.read(place, limit, &mut buffer) {
        Ok(()) => {}
        Err(StoreError::Missing) => return Err(None),
        Err(error) => return Err(Some(Problem::unreadable(place, &error))),
    }
    let value = T::from_bytes(&buffer)
        .map_err(|error| Problem::new(Code::Malformed, place, &error.reason).at_line(error.line))?;
    fits(place.file_name(), &value)
        .map_err(|detail| Problem::new(Code::Misnamed, place, detail))?;
    Ok(value)
}

/// The problem of a file that was listed and is gone when it is opened.
fn absent(place: &Path) -> Problem {
    Problem::unreadable(place, &StoreError::Missing)
}

/// Whether the name of a page's file follows from the page.
pub(crate) fn page_fits(
    id: &Id,
    name: &str,
    page: &Page,
    origin: &Origin,
    digests: &impl Digests,
) -> Result<(), String> {
    if page.body().signer() != id {
        return Err(format!(
            "is signed by {}, not by {id}",
            page.body().signer()
        ));
    }
    named(name, &page.digest(origin, digests).to_string())
}

fn top() -> Path {
    Path::parse(DIRECTORY).expect("`conex` is a path")
}

fn below(directory: &Path, name: &str) -> Path {
    directory
        .join(name)
        .expect("the names of metadata directories are short words")
}

fn special(place: &Path, kind: &str) -> Problem {
    Problem::new(Code::SpecialFile, place, format!("is a {kind}"))
}

pub(crate) fn named(file: &str, name: &str) -> Result<(), String> {
    if file.strip_suffix(".toml") == Some(name) {
        Ok(())
    } else {
        Err(format!("has to be named {name}.toml by what it holds"))
    }
}

/// Whether a root that cannot be read says in its first line that it is of a newer format.
fn is_newer(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next();
    let number = line.and_then(|line| line.strip_prefix(b"format = "));
    let number = number.and_then(|digits| core::str::from_utf8(digits).ok());
    number.is_some_and(|digits| {
        let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
        is_number && !digits.is_empty() && !digits.starts_with('0') && digits != "1"
    })
}
