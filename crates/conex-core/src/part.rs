//! The part of a state that an update concerns (spec section 9).
//!
//! What did not change and rests on nothing that changed stands as it was verified. This module
//! finds the rest and reads it, on both sides of an update, or says that it is everything.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::content::{Checksums, Package};
use crate::crypto::{Crypto, Digests};
use crate::digest::Digest;
use crate::key::PublicKey;
use crate::layout::{Client, Layout, PackageUnit, contract};
use crate::limits;
use crate::metadata::{Metadata, StoredPage, place};
use crate::name::{Id, PackageName, ReleaseName};
use crate::page::{Batch, BatchRef};
use crate::path::Path;
use crate::problem::{Code, Problem};
use crate::standing::Standing;
use crate::statement::{Author, Root};
use crate::store::{Entry, EntryKind, Store, StoreError, Workers};
use crate::survey::survey;
use crate::vouch::Subject;

mod side;
mod told;

use side::{Side, Unchanged};
use told::Told;

/// Where two states differ: given by whoever knows it, usually a store of changes.
///
/// It has to name every path at which one state has something else than the other: a file, a
/// special file, a directory without files. It may name more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes(Option<BTreeSet<Path>>);

impl Changes {
    /// No difference at all.
    pub fn none() -> Self {
        Self(Some(BTreeSet::new()))
    }

    /// Everything may differ: nothing is known.
    pub fn everywhere() -> Self {
        Self(None)
    }

    /// Adds a path as the store has it; one that is no [`Path`] may be anywhere.
    pub fn add(&mut self, path: &str) {
        match (&mut self.0, Path::parse(path)) {
            (Some(paths), Ok(path)) => {
                paths.insert(path);
            }
            (changes, _) => *changes = None,
        }
    }

    /// The paths; none if everything may differ.
    pub fn paths(&self) -> Option<&BTreeSet<Path>> {
        self.0.as_ref()
    }
}

impl From<BTreeSet<Path>> for Changes {
    fn from(paths: BTreeSet<Path>) -> Self {
        Self(Some(paths))
    }
}

/// What has to be judged of two states, and what is read for it.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Files that changed.
    changed: BTreeSet<Path>,
    authors: BTreeSet<Id>,
    teams: BTreeSet<Id>,
    packages: BTreeSet<PackageName>,
    repository: bool,
    /// People whose say may have changed: all batches they name are read.
    deep: BTreeSet<Id>,
    /// Packages whose files changed.
    data: BTreeSet<PackageName>,
    /// What of that the layout told by paths alone.
    told: Told,
    /// The names of all the above.
    names: BTreeSet<Box<str>>,
    /// Whether there may be names at the top of the tree, or among packages and claims, that were
    /// not there before.
    unnamed: bool,
    /// Whether there may be releases that were not there before, in the layout of a client.
    new_release: bool,
}

impl Part {
    /// Whether a statement has to be judged.
    pub(crate) fn concerns(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Repository => self.repository,
            Subject::Author(id) => self.authors.contains(id),
            Subject::Team(id) => self.teams.contains(id),
            Subject::Authorisation(package)
            | Subject::Releases(package)
            | Subject::Checksums(package, _) => self.packages.contains(package),
        }
    }

    /// The batches that are read on behalf of a page. In a large repository it names hundreds, and every
    /// update asks for those of all janitors.
    pub(crate) fn batches<'p>(
        &self,
        page: &'p StoredPage,
    ) -> impl Iterator<Item = &'p BatchRef> + use<'_, 'p> {
        self.concerned(page.page.body().batches(), self.is_new(page))
    }

    /// The batches that are read on behalf of a root's floor.
    pub(crate) fn floor<'r>(
        &self,
        root: &'r Root,
    ) -> impl Iterator<Item = &'r BatchRef> + use<'_, 'r> {
        self.concerned(&root.floor, false)
    }

    /// The batches that may speak of a name that is concerned, or all.
    fn concerned<'b>(
        &self,
        batches: &'b [BatchRef],
        all: bool,
    ) -> impl Iterator<Item = &'b BatchRef> + use<'_, 'b> {
        // Both are sorted: the first name that is not before a range is in it, or none is.
        let mut names = self.names.iter().map(|name| &**name).peekable();
        batches.iter().filter(move |reference| {
            let (first, last) = reference.range();
            while names.next_if(|name| *name < first).is_some() {}
            all || names.peek().is_some_and(|name| *name <= last)
        })
    }

    /// Whether the signature of a page stands as it was verified: the page did not change, nor did
    /// the keys of its signer.
    pub(crate) fn is_known(&self, page: &StoredPage) -> bool {
        !self.is_new(page)
    }

    /// Whether the files of a package changed.
    pub(crate) fn has_new_data(&self, package: &PackageName) -> bool {
        self.data.contains(package)
    }

    /// Whether a package has to be judged.
    pub(crate) fn has_package(&self, package: &PackageName) -> bool {
        self.packages.contains(package)
    }

    /// Whether the repository files have to be judged.
    pub(crate) fn has_repository(&self) -> bool {
        self.repository
    }

    /// Whether there may be releases that were not there before, and a client that may take something
    /// else for them.
    pub(crate) fn has_new_release(&self) -> bool {
        self.new_release
    }

    /// Finds the packages of the state after, from what is approved of them before: a package that
    /// was verified has no releases but those approved. `None` where a survey is needed.
    pub(crate) fn units<C: Crypto>(
        &self,
        store: &(impl Store + ?Sized),
        layout: &dyn Layout,
        before: &Standing<'_, '_>,
        crypto: &C,
    ) -> Option<Vec<PackageUnit>> {
        if self.unnamed || self.repository {
            return None;
        }
        let index = &before.settled.index;
        let mut units = Vec::new();
        for name in &self.packages {
            before.newest(index, &Subject::Releases(name.clone()), crypto)?;
            let said = index.named(name.as_str());
            let releases: Vec<&ReleaseName> = said
                .subjects()
                .filter_map(|subject| match subject {
                    Subject::Checksums(_, release) => Some(release),
                    _ => None,
                })
                .collect();
            let mut directories = Vec::new();
            let mut found: BTreeSet<ReleaseName> = BTreeSet::new();
            for directory in layout.homes(name, &releases)? {
                let entries = match store.list(&directory) {
                    Ok(entries) => entries,
                    Err(StoreError::Missing) => continue,
                    Err(_) => return None,
                };
                let below = entries.iter().map(|entry| directory.join(&entry.name));
                let places = below.chain([Ok(directory.clone())]).flatten();
                found.extend(places.filter_map(|place| {
                    let (_, release) = layout.release_at(&place).filter(|it| it.0 == *name)?;
                    Some(release)
                }));
                directories.push(directory);
            }
            // Where a release may be that is not among them, only a listing tells.
            let was_there = |release: &ReleaseName| {
                let subject = Subject::Checksums(name.clone(), release.clone());
                let newest = before.newest(index, &subject, crypto);
                let absence =
                    || Checksums::absence(name, release).digest(&before.root.origin, crypto);
                newest.is_some_and(|newest| newest.digest != absence())
            };
            let mut missing = releases.iter().filter(|release| !found.contains(**release));
            if missing.any(|release| was_there(release)) {
                return None;
            }
            if !directories.is_empty() {
                let name = name.clone();
                units.push(PackageUnit { name, directories });
            }
        }
        contract::shared(&units).is_empty().then_some(units)
    }

    /// Holds what the layout told by paths alone against the packages of the state after, as they were found.
    ///
    /// # Errors
    /// [`Everything`], where the one contradicts the other.
    pub(crate) fn hold(
        &self,
        states: (&(impl Store + ?Sized), &(impl Store + ?Sized)),
        layout: &dyn Layout,
        packages: &[PackageUnit],
    ) -> Result<(), Everything> {
        self.told.hold(states, layout, packages)
    }

    /// Problems of changed files that the layout has in a package, and in none of its releases as they were read.
    pub(crate) fn passed_over(
        &self,
        package: &Package,
        store: &(impl Store + ?Sized),
    ) -> Vec<Problem> {
        self.told.passed_over(package, store)
    }

    /// A name that is claimed is taken in every case: whether what is concerned has a name that is
    /// taken so, in the state with these packages.
    pub(crate) fn is_taken(
        &self,
        store: &(impl Store + ?Sized),
        packages: &[PackageUnit],
    ) -> Result<bool, StoreError> {
        let fold = |name: &str| name.to_ascii_lowercase();
        let directory = Path::parse("conex/packages").unwrap_or_default();
        let listed = match store.list(&directory) {
            Err(StoreError::Missing) => Vec::new(),
            listed => listed?,
        };
        let claims = listed
            .iter()
            .filter(|entry| entry.kind == EntryKind::File)
            .filter_map(|entry| entry.name.strip_suffix(".toml"));
        let units = packages.iter().map(|unit| unit.name.as_str());
        let mut taken: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for name in claims.chain(units) {
            taken.entry(fold(name)).or_default().insert(name);
        }
        let concerned = self.packages.iter();
        let mut spellings = concerned.filter_map(|package| taken.get(&fold(package.as_str())));
        Ok(spellings.any(|spellings| spellings.len() > 1))
    }

    fn is_new(&self, page: &StoredPage) -> bool {
        self.changed.contains(&page.place) || self.deep.contains(page.page.body().signer())
    }

    fn add(&mut self, subject: &Subject) {
        match subject {
            Subject::Repository => self.repository = true,
            Subject::Author(id) => {
                self.authors.insert(id.clone());
            }
            Subject::Team(id) => {
                self.teams.insert(id.clone());
            }
            Subject::Authorisation(package)
            | Subject::Releases(package)
            | Subject::Checksums(package, _) => {
                self.packages.insert(package.clone());
            }
        }
    }
}

const RETIRED: &str = "is retired now, and whatever names it has to be found";

/// The keys an author lists, in whatever way.
fn keys(author: &Author) -> BTreeSet<&PublicKey> {
    let current = author.keys.iter().map(|listed| &listed.key);
    current
        .chain(author.former.iter().map(|former| &former.key))
        .collect()
}

/// Reads what an update concerns.
pub(crate) struct PartReader<'a, 'l, S: ?Sized, T: ?Sized, C, W> {
    pub(crate) before: Side<'a, S, W>,
    pub(crate) after: Side<'a, T, W>,
    pub(crate) part: Part,
    root: &'l Root,
    layout: &'l dyn Layout,
    crypto: &'a C,
}

/// What is left to do is to look at everything, and why: a note.
pub(crate) struct Everything(pub(crate) Problem);

impl Everything {
    pub(crate) fn at(place: impl fmt::Display, because: &'static str) -> Self {
        Self(Problem::new(Code::JudgedWhole, place, because))
    }
}

impl<'a, 'l, S, T, C, W> PartReader<'a, 'l, S, T, C, W>
where
    S: Store + ?Sized,
    T: Store + ?Sized,
    C: Digests,
    W: Workers,
{
    /// Finds out what is concerned by changes between two states of the same head.
    ///
    /// # Errors
    /// [`Everything`], where no part can be told from the rest.
    pub(crate) fn read(
        (before, after): (&'a S, &'a T),
        changes: &Changes,
        (root, layout): (&'l Root, &'l dyn Layout),
        (crypto, workers): (&'a C, &'a W),
    ) -> Result<Self, Everything> {
        let mut reader = Self {
            before: Side::new(before, workers),
            after: Side::new(after, workers),
            part: Part::default(),
            root,
            layout,
            crypto,
        };
        let unknown = || Everything::at(".", "what changed is not known");
        let paths = changes.paths().ok_or_else(unknown)?;
        reader.part.changed.clone_from(paths);
        let (new, data) = reader.classify()?;
        reader.statements(&new)?;
        reader.voices(&new)?;
        reader.data(&data)?;
        reader.close();
        for metadata in [&mut reader.before.metadata, &mut reader.after.metadata] {
            metadata.pages.sort_by(|a, b| a.place.cmp(&b.place));
        }
        reader.before.reader.fold_names(&reader.before.metadata);
        reader.after.reader.fold_names(&reader.after.metadata);
        Ok(reader)
    }

    /// Sorts the changed files by what they are: below `conex/`, and the rest.
    fn classify(&mut self) -> Result<(New, Vec<Path>), Everything> {
        let mut new = New::default();
        let mut data = Vec::new();
        for path in &self.part.changed {
            let unknown = || Everything::at(path, "nothing is stored under such a name");
            let components: Vec<&str> = path.components().collect();
            let stem = path.file_name().strip_suffix(".toml");
            match (components.as_slice(), stem) {
                (["conex", "authors", _], Some(id)) => {
                    new.authors.insert(Id::parse(id).map_err(|_| unknown())?);
                }
                (["conex", "teams", _], Some(id)) => {
                    new.teams.insert(Id::parse(id).map_err(|_| unknown())?);
                }
                (["conex", "packages", _], Some(package)) => {
                    let package = PackageName::parse(package).map_err(|_| unknown())?;
                    new.claims.insert(package);
                }
                (["conex", "batches", _], Some(digest)) => {
                    new.batches
                        .push(Digest::parse(digest).map_err(|_| unknown())?);
                }
                (["conex", "index", id, _], Some(digest)) => {
                    Digest::parse(digest).map_err(|_| unknown())?;
                    let id = Id::parse(id).map_err(|_| unknown())?;
                    new.pages.push((path.clone(), id));
                }
                (["conex", "root", ..], _) => {
                    return Err(Everything::at(path, "the roots changed"));
                }
                (["conex", ..], _) => return Err(unknown()),
                _ => data.push(path.clone()),
            }
        }
        Ok((new, data))
    }

    /// Reads the statements that changed.
    fn statements(&mut self, new: &New) -> Result<(), Everything> {
        for digest in &new.batches {
            self.after
                .batch(*digest, (&self.root.origin, self.crypto), None);
            // Any page may have named what is gone.
            if !self.after.metadata.batches.contains_key(digest) {
                return Err(Everything::at(
                    place::batch(*digest),
                    "is gone, or cannot be read",
                ));
            }
        }
        for id in new.authors.iter().chain(&new.teams) {
            // An id is one thing: what changed is looked for as both.
            self.author(id);
            self.team(id);
        }
        self.part.deep.extend(new.authors.iter().cloned());
        self.part.packages.extend(new.claims.iter().cloned());
        let mut keys_added: BTreeSet<PublicKey> = BTreeSet::new();
        for id in &new.authors {
            let before = self.before.metadata.authors.get(id);
            if let Some(after) = self.after.metadata.authors.get(id) {
                // Claims that name somebody retired are not to be found by that name.
                if after.retired && !before.is_some_and(|before| before.retired) {
                    return Err(Everything::at(place::author(id), RETIRED));
                }
                let old = before.map(keys).unwrap_or_default();
                keys_added.extend(keys(after).difference(&old).map(|key| (*key).clone()));
            }
        }
        for id in &new.teams {
            let members = |side: &Metadata| -> BTreeSet<Id> {
                let team = side.teams.get(id);
                team.map(|team| team.members.iter().cloned().collect())
                    .unwrap_or_default()
            };
            let retired = |side: &Metadata| side.teams.get(id).is_some_and(|team| team.retired);
            let (before, after) = (&self.before.metadata, &self.after.metadata);
            if retired(after) && !retired(before) {
                return Err(Everything::at(place::team(id), RETIRED));
            }
            let changed: Vec<Id> = members(before)
                .symmetric_difference(&members(after))
                .cloned()
                .collect();
            self.part.deep.extend(changed);
        }
        self.alone(&new.authors, &keys_added)
    }

    /// One key belongs to one person: whoever lists a key anew is compared with all others.
    fn alone(
        &mut self,
        authors: &BTreeSet<Id>,
        added: &BTreeSet<PublicKey>,
    ) -> Result<(), Everything> {
        if added.is_empty() {
            return Ok(());
        }
        let directory = Path::parse("conex/authors").unwrap_or_default();
        let shared = || Everything::at(&directory, "two people may list one key");
        let mut others: Side<'_, T, W> =
            Side::new(self.after.reader.store, self.after.reader.workers);
        for entry in self.after.reader.entries(&directory) {
            let id = entry.name.strip_suffix(".toml").map(Id::parse);
            let Some(Ok(id)) = id else {
                return Err(Everything::at(
                    &directory,
                    "not every file there is an author's",
                ));
            };
            if !authors.contains(&id) {
                others.author(&id, None);
            }
        }
        let mut others = others.metadata.authors.values();
        if others.any(|other| keys(other).iter().any(|key| added.contains(*key))) {
            return Err(shared());
        }
        let among = |id: &Id| self.after.metadata.authors.get(id).map(keys);
        let lists: Vec<BTreeSet<&PublicKey>> = authors.iter().filter_map(among).collect();
        let distinct: BTreeSet<&PublicKey> = lists.iter().flatten().copied().collect();
        if distinct.len() < lists.iter().map(BTreeSet::len).sum() {
            return Err(shared());
        }
        Ok(())
    }

    /// Finds everything that is said in pages that came or went, or by people whose say may have
    /// changed.
    fn voices(&mut self, new: &New) -> Result<(), Everything> {
        let (origin, crypto) = (&self.root.origin, self.crypto);
        for id in self.part.deep.clone() {
            self.pages(&id);
        }
        let mut signers: BTreeSet<&Id> = BTreeSet::new();
        for (place, id) in &new.pages {
            self.before.page(place, id, origin, crypto);
            self.after.page(place, id, origin, crypto);
            signers.insert(id);
        }
        // Whether a person has too many pages is told without reading them.
        for id in signers {
            let directory = place::pages(id);
            let before = self.before.reader.entries(&directory).len();
            if before.max(self.after.reader.entries(&directory).len()) > limits::PAGES {
                return Err(Everything::at(&directory, "has more pages than count"));
            }
            self.author(id);
        }
        let mut said: Vec<Subject> = Vec::new();
        let part = &self.part;
        let mut listen = |metadata: &Metadata| {
            let mut batches: BTreeSet<Digest> = BTreeSet::new();
            for stored in metadata.pages.iter().filter(|stored| part.is_new(stored)) {
                let body = stored.page.body();
                said.extend(body.vouches().iter().map(|vouch| vouch.subject.clone()));
                batches.extend(body.batches().iter().map(BatchRef::digest));
            }
            batches
        };
        let (before, after) = (listen(&self.before.metadata), listen(&self.after.metadata));
        let mut subjects: BTreeSet<Subject> = said.into_iter().collect();
        for digest in before {
            self.before.batch(digest, (origin, crypto), None);
            subjects.extend(vouched(self.before.metadata.batches.get(&digest)));
        }
        for digest in after {
            let before = Unchanged {
                metadata: &self.before.metadata,
                changed: &self.part.changed,
            };
            self.after.batch(digest, (origin, crypto), Some(before));
            subjects.extend(vouched(self.after.metadata.batches.get(&digest)));
        }
        for subject in &subjects {
            self.part.add(subject);
        }
        Ok(())
    }

    /// Finds the packages whose files changed.
    fn data(&mut self, data: &[Path]) -> Result<(), Everything> {
        let stores = (self.before.reader.store, self.after.reader.store);
        for path in data {
            let told = &mut self.part.told;
            match told.package(path, stores, (self.layout, self.root))? {
                Some(package) => {
                    self.part.data.insert(package);
                }
                None => self.part.unnamed = true,
            }
        }
        if self.part.unnamed {
            self.survey(data);
        }
        let client = self.layout.client();
        self.part.new_release = client.is_some_and(|client| self.adds_release(data, client));
        self.part.packages.extend(self.part.data.iter().cloned());
        Ok(())
    }

    /// Whether the client loads a release that it did not load before.
    fn adds_release(&self, data: &[Path], client: &dyn Client) -> bool {
        let mut seen: BTreeSet<Path> = BTreeSet::new();
        let releases = data.iter().filter_map(|path| {
            let mut above = core::iter::successors(path.parent(), Path::parent);
            above.find(|directory| self.layout.release_at(directory).is_some())
        });
        let is_loaded = |listed: Result<Vec<Entry>, StoreError>| {
            listed.is_ok_and(|entries| entries.iter().any(|it| client.is_loaded_by(&it.name)))
        };
        let (before, after) = (self.before.reader.store, self.after.reader.store);
        releases
            .filter(|directory| seen.insert(directory.clone()))
            .any(|directory| {
                !is_loaded(before.list(&directory)) && is_loaded(after.list(&directory))
            })
    }

    /// Finds the packages whose files changed in surveys of both trees.
    fn survey(&mut self, data: &[Path]) {
        let surveys = [
            survey(self.before.reader.store, self.layout, self.root),
            survey(self.after.reader.store, self.layout, self.root),
        ];
        let mut homes: BTreeMap<&str, BTreeSet<&PackageName>> = BTreeMap::new();
        for unit in surveys.iter().flat_map(|survey| &survey.packages) {
            for directory in &unit.directories {
                homes
                    .entry(directory.as_str())
                    .or_default()
                    .insert(&unit.name);
            }
        }
        for path in data {
            self.part.repository |= surveys
                .iter()
                .any(|survey| survey.repository.contains(path));
            let text = path.as_str();
            let ends = text.match_indices('/').map(|(end, _)| end);
            let above = ends.filter_map(|end| text.get(..end)).chain([text]);
            let packages = above.filter_map(|place| homes.get(place)).flatten();
            self.part
                .data
                .extend(packages.map(|package| (*package).clone()));
        }
        let [_, after] = surveys;
        self.after.survey = Some(after);
    }

    /// Reads everybody who has a say in what is concerned, and what they say.
    fn close(&mut self) {
        for package in self.part.packages.clone() {
            self.before.authorisation(&package, None);
            let before = Unchanged {
                metadata: &self.before.metadata,
                changed: &self.part.changed,
            };
            self.after.authorisation(&package, Some(before));
            let claimed = |side: &Metadata| side.authorisations.contains_key(&package);
            self.part.unnamed |= claimed(&self.after.metadata) && !claimed(&self.before.metadata);
        }
        let sides = [&self.before.metadata, &self.after.metadata];
        let claims = sides.iter().flat_map(|side| side.authorisations.values());
        let mut people: BTreeSet<Id> = claims.flat_map(|claim| claim.owners.clone()).collect();
        people.retain(|owner| !owner.is_janitors());
        for owner in people.iter().chain(&self.part.teams.clone()) {
            self.team(owner);
        }
        people.extend(self.before.members());
        people.extend(self.after.members());
        people.extend(self.root.janitors.iter().map(|janitor| janitor.id.clone()));
        people.extend(self.root.former.iter().map(|former| former.id.clone()));
        for id in people.iter().chain(&self.part.authors.clone()) {
            self.author(id);
        }
        for id in &people {
            self.pages(id);
        }
        let part = &mut self.part;
        let names = part.authors.iter().chain(&part.teams).map(Id::as_str);
        let names = names.chain(part.packages.iter().map(PackageName::as_str));
        part.names = names.map(Box::from).collect();
        if part.repository {
            part.names.insert(Subject::Repository.name().into());
        }
        let crypto = (&self.root.origin, self.crypto);
        let batches = wanted(&self.part, &self.before.metadata, self.root);
        self.before.excerpts(batches, &self.part.names, crypto);
        for (digest, _) in wanted(&self.part, &self.after.metadata, self.root) {
            let before = Unchanged {
                metadata: &self.before.metadata,
                changed: &self.part.changed,
            };
            self.after.excerpt(digest, crypto, before);
        }
    }

    fn author(&mut self, id: &Id) {
        self.before.author(id, None);
        let before = Unchanged {
            metadata: &self.before.metadata,
            changed: &self.part.changed,
        };
        self.after.author(id, Some(before));
        // Of a janitor who is no author there is no statement to be judged.
        let is_author = |metadata: &Metadata| metadata.authors.contains_key(id);
        let mut janitors = self.root.janitors.iter();
        if is_author(&self.before.metadata)
            || is_author(&self.after.metadata)
            || janitors.all(|janitor| janitor.id != *id)
        {
            self.part.authors.insert(id.clone());
        }
    }

    fn team(&mut self, id: &Id) {
        self.part.teams.insert(id.clone());
        self.before.team(id, None);
        let before = Unchanged {
            metadata: &self.before.metadata,
            changed: &self.part.changed,
        };
        self.after.team(id, Some(before));
    }

    fn pages(&mut self, id: &Id) {
        self.before.pages(id, &self.root.origin, self.crypto);
        let before = Unchanged {
            metadata: &self.before.metadata,
            changed: &self.part.changed,
        };
        self.after
            .pages_since(id, (&self.root.origin, self.crypto), before);
    }
}

/// What changed below `conex/`.
#[derive(Default)]
struct New {
    authors: BTreeSet<Id>,
    teams: BTreeSet<Id>,
    claims: BTreeSet<PackageName>,
    batches: Vec<Digest>,
    pages: Vec<(Path, Id)>,
}

/// The batches to be read on behalf of the root, and of the pages that were read.
fn wanted(part: &Part, metadata: &Metadata, root: &Root) -> BTreeMap<Digest, BatchRef> {
    let pages = metadata.pages.iter();
    let of_pages = pages.flat_map(|page| part.batches(page));
    part.floor(root)
        .chain(of_pages)
        .map(|reference| (reference.digest(), reference.clone()))
        .collect()
}

fn vouched(batch: Option<&Batch>) -> impl Iterator<Item = Subject> {
    let vouches = batch.map(Batch::vouches).unwrap_or_default();
    vouches.iter().map(|vouch| vouch.subject.clone())
}
