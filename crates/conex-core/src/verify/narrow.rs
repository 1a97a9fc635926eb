//! Narrowing an update to what it concerns (spec section 9.4).
//!
//! Whatever did not change and rests on nothing that changed is as it was verified. This module finds the rest and
//! reads it in both states, or says that nothing can be isolated.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::model::crypto::{Crypto, Digests};
use crate::model::digest::Digest;
use crate::model::key::PublicKey;
use crate::model::limits;
use crate::model::name::{Id, PackageName, ReleaseName};
use crate::model::page::{Batch, BatchRef};
use crate::model::path::Path;
use crate::model::statement::{Author, Root};
use crate::model::vouch::Subject;
use crate::state::State;
use crate::state::scope::{Concerned, Scope, relevant};
use crate::tree::content::{Checksums, Package};
use crate::tree::inventory::survey;
use crate::tree::layout::{Client, Layout, PackageUnit, contract};
use crate::tree::metadata::{Metadata, place};
use crate::tree::problem::{Code, Problem};
use crate::tree::store::{Entry, EntryKind, Store, StoreError, Workers};

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

/// The packages of the state after that a change may concern, and how they are found.
#[derive(Debug, Default)]
pub(crate) struct Concern {
    /// Packages of which the layout told by paths alone.
    told: Told,
    /// Whether the change can bring a name at the top of the tree, or of a package or a claim, so that all have to be listed.
    may_add_names: bool,
    /// Whether the client may load a release that it did not load before.
    adds_release: bool,
}

impl Concern {
    /// Whether the client may load a release that it did not load before, so that whatever it may take for one counts.
    pub(crate) fn adds_release(&self) -> bool {
        self.adds_release
    }

    /// Finds the packages of the state after, from what is approved of them before: a package that
    /// was verified has no releases but those approved. `None` where a survey is needed.
    pub(crate) fn units<C: Crypto>(
        &self,
        scope: &Scope,
        (store, layout): (&(impl Store + ?Sized), &dyn Layout),
        (before, crypto): (&State, &C),
    ) -> Option<Vec<PackageUnit>> {
        let concerned = scope.change()?;
        if self.may_add_names || concerned.repository {
            return None;
        }
        let index = before.index();
        let mut units = Vec::new();
        for name in &concerned.packages {
            before.newest(&Subject::Releases(name.clone()), crypto)?;
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
                let newest = before.newest(&subject, crypto);
                let absence =
                    || Checksums::absence(name, release).digest(&before.root().origin, crypto);
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
    /// [`NotIsolable`], where the one contradicts the other.
    pub(crate) fn hold(
        &self,
        states: (&(impl Store + ?Sized), &(impl Store + ?Sized)),
        layout: &dyn Layout,
        packages: &[PackageUnit],
    ) -> Result<(), NotIsolable> {
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
}

/// A name that is claimed is taken in every case: whether what is concerned has a name that is
/// taken so, in the state with these packages.
pub(crate) fn is_taken(
    scope: &Scope,
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
    let concerned = scope.change().into_iter().flat_map(|it| &it.packages);
    let mut names = concerned.filter_map(|package| taken.get(&fold(package.as_str())));
    Ok(names.any(|names| names.len() > 1))
}

const RETIRED: &str = "is retired now, and whatever names it has to be found";

/// The keys an author lists, in whatever way.
fn keys(author: &Author) -> BTreeSet<&PublicKey> {
    let current = author.keys.iter().map(|listed| &listed.key);
    current
        .chain(author.former.iter().map(|former| &former.key))
        .collect()
}

/// An update, narrowed to what it concerns, and both states as far as they were read for it.
pub(crate) struct Narrowed<'a, S: ?Sized, T: ?Sized, W> {
    pub(crate) before: Side<'a, S, W>,
    pub(crate) after: Side<'a, T, W>,
    pub(crate) scope: Scope,
    pub(crate) concern: Concern,
}

/// Reads what an update concerns.
struct ScopeReader<'a, 'l, S: ?Sized, T: ?Sized, C, W> {
    before: Side<'a, S, W>,
    after: Side<'a, T, W>,
    concerned: Concerned,
    concern: Concern,
    root: &'l Root,
    layout: &'l dyn Layout,
    crypto: &'a C,
}

/// No part can be isolated: verify everything. Carries the reason as a note.
pub(crate) struct NotIsolable(pub(crate) Problem);

impl NotIsolable {
    pub(crate) fn at(place: impl fmt::Display, because: &'static str) -> Self {
        Self(Problem::new(Code::JudgedWhole, place, because))
    }
}

/// Finds out what is concerned by changes between two states of the same head, and reads it.
///
/// # Errors
/// [`NotIsolable`], where no part can be told from the rest.
pub(crate) fn narrow<'a, S, T, C, W>(
    (before, after): (&'a S, &'a T),
    changes: &Changes,
    (root, layout): (&Root, &dyn Layout),
    (crypto, workers): (&'a C, &'a W),
) -> Result<Narrowed<'a, S, T, W>, NotIsolable>
where
    S: Store + ?Sized,
    T: Store + ?Sized,
    C: Digests,
    W: Workers,
{
    let mut reader = ScopeReader {
        before: Side::new(before, workers),
        after: Side::new(after, workers),
        concerned: Concerned::default(),
        concern: Concern::default(),
        root,
        layout,
        crypto,
    };
    let unknown = || NotIsolable::at(".", "what changed is not known");
    let paths = changes.paths().ok_or_else(unknown)?;
    reader.concerned.changed.clone_from(paths);
    let (new, data) = reader.classify()?;
    reader.statements(&new)?;
    reader.voices(&new)?;
    reader.data(&data)?;
    reader.close();
    let mut narrowed = reader.batches();
    for metadata in [&mut narrowed.before.metadata, &mut narrowed.after.metadata] {
        metadata.pages.sort_by(|a, b| a.place.cmp(&b.place));
    }
    let (before, after) = (&mut narrowed.before, &mut narrowed.after);
    before.reader.fold_names(&before.metadata);
    after.reader.fold_names(&after.metadata);
    Ok(narrowed)
}

impl<'a, S, T, C, W> ScopeReader<'a, '_, S, T, C, W>
where
    S: Store + ?Sized,
    T: Store + ?Sized,
    C: Digests,
    W: Workers,
{
    /// Sorts the changed files by what they are: below `conex/`, and the rest.
    fn classify(&mut self) -> Result<(New, Vec<Path>), NotIsolable> {
        let mut new = New::default();
        let mut data = Vec::new();
        for path in &self.concerned.changed {
            let unknown = || NotIsolable::at(path, "nothing is stored under such a name");
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
                    return Err(NotIsolable::at(path, "the roots changed"));
                }
                (["conex", ..], _) => return Err(unknown()),
                _ => data.push(path.clone()),
            }
        }
        Ok((new, data))
    }

    /// Reads the statements that changed.
    fn statements(&mut self, new: &New) -> Result<(), NotIsolable> {
        for digest in &new.batches {
            self.after
                .batch(*digest, (&self.root.origin, self.crypto), None);
            // Any page may have named what is gone.
            if !self.after.metadata.batches.contains_key(digest) {
                return Err(NotIsolable::at(
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
        self.concerned.deep.extend(new.authors.iter().cloned());
        self.concerned.packages.extend(new.claims.iter().cloned());
        let mut keys_added: BTreeSet<PublicKey> = BTreeSet::new();
        for id in &new.authors {
            let before = self.before.metadata.authors.get(id);
            if let Some(after) = self.after.metadata.authors.get(id) {
                // Claims that name somebody retired are not to be found by that name.
                if after.retired && !before.is_some_and(|before| before.retired) {
                    return Err(NotIsolable::at(place::author(id), RETIRED));
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
                return Err(NotIsolable::at(place::team(id), RETIRED));
            }
            let changed: Vec<Id> = members(before)
                .symmetric_difference(&members(after))
                .cloned()
                .collect();
            self.concerned.deep.extend(changed);
        }
        self.alone(&new.authors, &keys_added)
    }

    /// One key belongs to one person: whoever lists a key anew is compared with all others.
    fn alone(
        &mut self,
        authors: &BTreeSet<Id>,
        added: &BTreeSet<PublicKey>,
    ) -> Result<(), NotIsolable> {
        if added.is_empty() {
            return Ok(());
        }
        let directory = Path::parse("conex/authors").unwrap_or_default();
        let shared = || NotIsolable::at(&directory, "two people may list one key");
        let mut others: Side<'_, T, W> =
            Side::new(self.after.reader.store, self.after.reader.workers);
        for entry in self.after.reader.entries(&directory) {
            let id = entry.name.strip_suffix(".toml").map(Id::parse);
            let Some(Ok(id)) = id else {
                return Err(NotIsolable::at(
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
    fn voices(&mut self, new: &New) -> Result<(), NotIsolable> {
        let (origin, crypto) = (&self.root.origin, self.crypto);
        for id in self.concerned.deep.clone() {
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
                return Err(NotIsolable::at(&directory, "has more pages than count"));
            }
            self.author(id);
        }
        let mut said: Vec<Subject> = Vec::new();
        let concerned = &self.concerned;
        let mut listen = |metadata: &Metadata| {
            let mut batches: BTreeSet<Digest> = BTreeSet::new();
            for stored in metadata
                .pages
                .iter()
                .filter(|stored| concerned.is_new(stored))
            {
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
                changed: &self.concerned.changed,
            };
            self.after.batch(digest, (origin, crypto), Some(before));
            subjects.extend(vouched(self.after.metadata.batches.get(&digest)));
        }
        for subject in &subjects {
            self.concerned.add(subject);
        }
        Ok(())
    }

    /// Finds the packages whose files changed.
    fn data(&mut self, data: &[Path]) -> Result<(), NotIsolable> {
        let stores = (self.before.reader.store, self.after.reader.store);
        for path in data {
            let told = &mut self.concern.told;
            match told.package(path, stores, (self.layout, self.root))? {
                Some(package) => {
                    self.concerned.data.insert(package);
                }
                None => self.concern.may_add_names = true,
            }
        }
        if self.concern.may_add_names {
            self.survey(data);
        }
        let client = self.layout.client();
        self.concern.adds_release = client.is_some_and(|client| self.adds_release(data, client));
        self.concerned
            .packages
            .extend(self.concerned.data.iter().cloned());
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
            self.concerned.repository |= surveys
                .iter()
                .any(|survey| survey.repository.contains(path));
            let text = path.as_str();
            let ends = text.match_indices('/').map(|(end, _)| end);
            let above = ends.filter_map(|end| text.get(..end)).chain([text]);
            let packages = above.filter_map(|place| homes.get(place)).flatten();
            self.concerned
                .data
                .extend(packages.map(|package| (*package).clone()));
        }
        let [_, after] = surveys;
        self.after.survey = Some(after);
    }

    /// Reads everybody who has a say in what is concerned, and what they say.
    fn close(&mut self) {
        for package in self.concerned.packages.clone() {
            self.before.authorisation(&package, None);
            let before = Unchanged {
                metadata: &self.before.metadata,
                changed: &self.concerned.changed,
            };
            self.after.authorisation(&package, Some(before));
            let claimed = |side: &Metadata| side.authorisations.contains_key(&package);
            self.concern.may_add_names |=
                claimed(&self.after.metadata) && !claimed(&self.before.metadata);
        }
        let sides = [&self.before.metadata, &self.after.metadata];
        let claims = sides.iter().flat_map(|side| side.authorisations.values());
        let mut people: BTreeSet<Id> = claims.flat_map(|claim| claim.owners.clone()).collect();
        people.retain(|owner| !owner.is_janitors());
        for owner in people.iter().chain(&self.concerned.teams.clone()) {
            self.team(owner);
        }
        people.extend(self.before.members());
        people.extend(self.after.members());
        people.extend(self.root.janitors.iter().map(|janitor| janitor.id.clone()));
        people.extend(self.root.former.iter().map(|former| former.id.clone()));
        for id in people.iter().chain(&self.concerned.authors.clone()) {
            self.author(id);
        }
        for id in &people {
            self.pages(id);
        }
        let concerned = &mut self.concerned;
        let names = concerned
            .authors
            .iter()
            .chain(&concerned.teams)
            .map(Id::as_str);
        let names = names.chain(concerned.packages.iter().map(PackageName::as_str));
        concerned.names = names.map(Box::from).collect();
        if concerned.repository {
            concerned.names.insert(Subject::Repository.name().into());
        }
    }

    /// Reads what is said of what is concerned.
    fn batches(self) -> Narrowed<'a, S, T, W> {
        let Self {
            mut before,
            mut after,
            concerned,
            concern,
            root,
            crypto,
            ..
        } = self;
        let crypto = (&root.origin, crypto);
        let batches = wanted(&concerned, &before.metadata, root);
        before.excerpts(batches, &concerned.names, crypto);
        for (digest, _) in wanted(&concerned, &after.metadata, root) {
            let before = Unchanged {
                metadata: &before.metadata,
                changed: &concerned.changed,
            };
            after.excerpt(digest, crypto, before);
        }
        Narrowed {
            before,
            after,
            scope: Scope::Change(concerned),
            concern,
        }
    }

    fn author(&mut self, id: &Id) {
        self.before.author(id, None);
        let before = Unchanged {
            metadata: &self.before.metadata,
            changed: &self.concerned.changed,
        };
        self.after.author(id, Some(before));
        // Of a janitor who is no author there is no statement to be judged.
        let is_author = |metadata: &Metadata| metadata.authors.contains_key(id);
        let mut janitors = self.root.janitors.iter();
        if is_author(&self.before.metadata)
            || is_author(&self.after.metadata)
            || janitors.all(|janitor| janitor.id != *id)
        {
            self.concerned.authors.insert(id.clone());
        }
    }

    fn team(&mut self, id: &Id) {
        self.concerned.teams.insert(id.clone());
        self.before.team(id, None);
        let before = Unchanged {
            metadata: &self.before.metadata,
            changed: &self.concerned.changed,
        };
        self.after.team(id, Some(before));
    }

    fn pages(&mut self, id: &Id) {
        self.before.pages(id, &self.root.origin, self.crypto);
        let before = Unchanged {
            metadata: &self.before.metadata,
            changed: &self.concerned.changed,
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
fn wanted(concerned: &Concerned, metadata: &Metadata, root: &Root) -> BTreeMap<Digest, BatchRef> {
    let pages = metadata.pages.iter();
    let of_pages = pages.flat_map(|page| {
        let batches = page.page.body().batches();
        relevant(Some(concerned), batches, concerned.is_new(page))
    });
    relevant(Some(concerned), &root.floor, false)
        .chain(of_pages)
        .map(|reference| (reference.digest(), reference.clone()))
        .collect()
}

fn vouched(batch: Option<&Batch>) -> impl Iterator<Item = Subject> {
    let vouches = batch.map(Batch::vouches).unwrap_or_default();
    vouches.iter().map(|vouch| vouch.subject.clone())
}
