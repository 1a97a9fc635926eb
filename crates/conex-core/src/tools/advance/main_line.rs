//! What the main line has that the verified state has not, read and sorted. Nothing of it is
//! trusted; what cannot be read waits, and keeps nothing else from being read.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString as _;
use alloc::vec::Vec;

use crate::model::crypto::{Crypto, Digests};
use crate::model::digest::Digest;
use crate::model::key::{Fingerprint, PublicKey};
use crate::model::limits;
use crate::model::name::{Id, Origin, PackageName};
use crate::model::page::{Batch, Page};
use crate::model::path::Path;
use crate::model::statement::{Author, Authorisation, FormerKey, Root, Team};
use crate::model::stored::Stored;
use crate::model::vouch::{Subject, Vouch};
use crate::state::chain::Head;
use crate::state::people::Judged;
use crate::tree::inventory::{Survey, survey};
use crate::tree::layout::{Layout, PackageUnit};
use crate::tree::metadata::{
    ATTRIBUTES, MetadataReader, StoredPage, StoredRoot, named, page_fits, place,
};
use crate::tree::problem::{Code, Problem};
use crate::tree::store::{EntryKind, Store, StoreError, Workers};

use super::roots::Roots;
use super::{Advance, Files, Signed, Unit, Waiting, gone};

/// A stored statement that is not on the main line as the verified state has it: what is there
/// instead, or nothing.
pub(super) type Edited<K, T> = BTreeMap<K, Option<T>>;

/// What is different on the main line.
pub(super) struct MainLine {
    /// The chain of roots there.
    pub(super) roots: Vec<StoredRoot>,
    /// The heads that the chain can lead to, from that of the verified state on.
    pub(super) heads: Vec<Head>,
    /// Pages that are new and whose signature is right, if their key is anybody's; sorted by place.
    pub(super) pages: Vec<StoredPage>,
    /// Those of them whose key the newest root revokes without accepting them.
    pub(super) barred: BTreeSet<Path>,
    /// Pages that are gone.
    pub(super) pages_gone: BTreeSet<Path>,
    /// Pages of the verified state that counted for nothing there, and whose signature is not one of
    /// the key they name.
    pub(super) forged: BTreeMap<Path, Fingerprint>,
    /// Batches that are new.
    pub(super) batches: BTreeMap<Digest, Batch>,
    /// Batches that are gone.
    pub(super) batches_gone: BTreeSet<Digest>,
    pub(super) authors: Edited<Id, Author>,
    pub(super) teams: Edited<Id, Team>,
    pub(super) authorisations: Edited<PackageName, Authorisation>,
    /// `.gitattributes`, if it came or went.
    pub(super) attributes: Option<bool>,
    /// The packages there.
    pub(super) survey: Survey,
    /// Changed paths by the package they are of.
    pub(super) packages: BTreeMap<PackageName, Vec<Path>>,
    /// Whether a repository file changed.
    pub(super) repository: bool,
    /// Changed paths of nothing that anybody approves.
    pub(super) others: Vec<Path>,
    /// What could not be read, and why.
    pub(super) waiting: Vec<Waiting>,
}

impl MainLine {
    pub(super) fn read<S, M, C, W>(advance: &Advance<'_, S, M, C, W>, signed: &Signed) -> Self
    where
        S: Store + ?Sized,
        M: Store + ?Sized,
        C: Crypto,
        W: Workers,
    {
        let mut reader = MetadataReader {
            store: advance.main,
            workers: advance.workers,
            problems: Vec::new(),
        };
        let is_root = |path: &Path| {
            let mut components = path.components();
            (components.next(), components.next()) == (Some("conex"), Some("root"))
        };
        let roots = if advance.changed.iter().any(is_root) {
            Roots::read(&mut reader, signed, advance.crypto)
        } else {
            Roots::unchanged(signed)
        };
        let mut main = Self {
            roots: roots.chain,
            heads: roots.heads,
            pages: Vec::new(),
            barred: BTreeSet::new(),
            pages_gone: BTreeSet::new(),
            forged: BTreeMap::new(),
            batches: BTreeMap::new(),
            batches_gone: BTreeSet::new(),
            authors: BTreeMap::new(),
            teams: BTreeMap::new(),
            authorisations: BTreeMap::new(),
            attributes: None,
            survey: survey(advance.main, signed.known.layout(), signed.head.root()),
            packages: BTreeMap::new(),
            repository: false,
            others: Vec::new(),
            waiting: roots.waiting,
        };
        let origin = &signed.head.root().origin;
        let mut data = Vec::new();
        let paths = advance.changed.iter().filter(|path| !is_root(path));
        for path in paths {
            reader.problems.clear();
            if path.components().next() == Some("conex") {
                main.metadata(&mut reader, path, signed, (origin, advance.crypto));
            } else {
                data.push(path.clone());
            }
            for problem in core::mem::take(&mut reader.problems) {
                main.wait(Unit::Path(path.clone()), problem);
            }
        }
        main.data(data, signed);
        main.sift(advance, signed);
        main
    }

    /// Reads one changed file of `conex/`.
    fn metadata<M: Store + ?Sized, W: Workers>(
        &mut self,
        reader: &mut MetadataReader<'_, M, W>,
        path: &Path,
        signed: &Signed,
        (origin, digests): (&Origin, &impl Digests),
    ) {
        let components: Vec<&str> = path.components().collect();
        let stem = path.file_name().strip_suffix(".toml");
        let unknown = || Problem::new(Code::Unaccounted, path, "this is no part of the metadata");
        match (components.as_slice(), stem) {
            (["conex", "index", id, _], Some(digest)) => {
                let (Ok(id), Ok(digest)) = (Id::parse(id), Digest::parse(digest)) else {
                    reader.problems.push(unknown());
                    return;
                };
                let fits = |name: &str, page: &Page| page_fits(&id, name, page, origin, digests);
                let found = reader.file(path, limits::PAGE_FILE, fits);
                let is_signed = signed.pages.contains(path);
                match found {
                    // A page has the name of its content: it is never another one.
                    Some(page) if !is_signed => self.pages.push(StoredPage {
                        place: path.clone(),
                        digest,
                        page,
                    }),
                    None if is_signed && reader.problems.is_empty() => {
                        self.pages_gone.insert(path.clone());
                    }
                    _ => {}
                }
            }
            (["conex", "batches", _], Some(digest)) => {
                let Ok(digest) = Digest::parse(digest) else {
                    reader.problems.push(unknown());
                    return;
                };
                let fits = |name: &str, batch: &Batch| {
                    named(name, &batch.digest(origin, digests).to_string())
                };
                match reader.file(path, limits::PAGE_FILE, fits) {
                    Some(batch) => {
                        self.batches.insert(digest, batch);
                    }
                    None if reader.problems.is_empty() => {
                        self.batches_gone.insert(digest);
                    }
                    None => {}
                }
            }
            (["conex", "authors", _], Some(id)) => {
                let name = |author: &Author| author.id.to_string();
                statement(reader, path, Id::parse(id).ok(), name, &mut self.authors);
            }
            (["conex", "teams", _], Some(id)) => {
                let name = |team: &Team| team.id.to_string();
                statement(reader, path, Id::parse(id).ok(), name, &mut self.teams);
            }
            (["conex", "packages", _], Some(package)) => {
                let name = |claim: &Authorisation| claim.package.to_string();
                let package = PackageName::parse(package).ok();
                statement(reader, path, package, name, &mut self.authorisations);
            }
            _ if path.as_str() == ATTRIBUTES.0 => {
                let mut buffer = Vec::new();
                match reader.store.read(path, limits::SIGNATURE_FILE, &mut buffer) {
                    Ok(()) if buffer == ATTRIBUTES.1.as_bytes() => self.attributes = Some(true),
                    Err(StoreError::Missing) => self.attributes = Some(false),
                    _ => reader.problems.push(unknown()),
                }
            }
            // What the verified state has here is in order, so this is new.
            _ => {
                if !matches!(reader.store.kind(path), Ok(None)) {
                    reader.problems.push(unknown());
                }
            }
        }
    }

    /// Sorts changed data by the package it is of, in either tree.
    fn data(&mut self, data: Vec<Path>, signed: &Signed) {
        let mut homes: BTreeMap<&str, &PackageName> = BTreeMap::new();
        for unit in signed.survey.packages.iter().chain(&self.survey.packages) {
            let directories = unit.directories.iter();
            homes.extend(directories.map(|directory| (directory.as_str(), &unit.name)));
        }
        let is_repository = |path: &Path| {
            signed.survey.repository.contains(path) || self.survey.repository.contains(path)
        };
        for path in data {
            let text = path.as_str();
            let ends = text.match_indices('/').map(|(end, _)| end);
            let mut above = ends.filter_map(|end| text.get(..end)).chain([text]);
            if let Some(name) = above.find_map(|place| homes.get(place)) {
                self.packages
                    .entry((*name).clone())
                    .or_default()
                    .push(path.clone());
            } else if is_repository(&path) {
                self.repository = true;
            } else {
                self.others.push(path.clone());
            }
        }
    }

    /// Verifies the signatures that were not verified yet: those of new pages, and those of pages
    /// that counted for nothing so far. Passes over pages that cannot count.
    fn sift<S: ?Sized, M: ?Sized, C: Crypto, W: Workers>(
        &mut self,
        advance: &Advance<'_, S, M, C, W>,
        signed: &Signed,
    ) {
        let crypto = advance.crypto;
        let origin = &signed.head.root().origin;
        let mut keys: BTreeMap<Fingerprint, PublicKey> = BTreeMap::new();
        let mut add = |key: &PublicKey| {
            keys.insert(crypto.fingerprint(key), key.clone());
        };
        for head in &self.heads {
            let root = head.root();
            let janitors = root.janitors.iter().flat_map(|janitor| &janitor.keys);
            janitors.for_each(&mut add);
            root.former.iter().for_each(|it| add(&it.former.key));
        }
        let edited = self.authors.values().flatten();
        for author in signed.state.metadata().authors.values().chain(edited) {
            author.keys.iter().for_each(|listed| add(&listed.key));
            author.former.iter().for_each(|former| add(&former.key));
        }
        let judge = |page: &StoredPage| -> Result<(), (Code, &'static str)> {
            let body = page.page.body();
            let key = keys
                .get(&body.key())
                .ok_or((Code::InertPage, "nobody of that id and key is known"))?;
            page.page
                .verify(origin, key, crypto)
                .map_err(|_| (Code::BadSignature, "the signature is not one of that key"))?;
            for reference in body.batches() {
                let batch = self.batch(signed, reference.digest());
                let batch = batch.ok_or((Code::BatchMissing, "names a batch that is not there"))?;
                if batch.outside(reference).is_some() {
                    let detail = "names a batch that speaks of more than it says";
                    return Err((Code::BatchRange, detail));
                }
            }
            Ok(())
        };
        let pages: Vec<&StoredPage> = self.pages.iter().collect();
        let judged = advance.workers.map(pages, judge);
        // Whose key was nobody's so far, nobody looked at.
        let inert = signed
            .state
            .metadata()
            .pages
            .iter()
            .zip(signed.state.pages());
        let inert = inert.filter(|(_, judged)| matches!(judged, Judged::Inert(_)));
        let forged = inert.filter_map(|(page, _)| {
            let key = keys.get(&page.page.body().key())?;
            let is_forged = page.page.verify(origin, key, crypto).is_err();
            is_forged.then(|| (page.place.clone(), page.page.body().key()))
        });
        self.forged = forged.collect();
        for (page, result) in core::mem::take(&mut self.pages).into_iter().zip(judged) {
            match result {
                Ok(()) => self.pages.push(page),
                Err((code, detail)) => {
                    let problem = Problem::new(code, &page.place, detail);
                    self.wait(Unit::Page(page.place), problem);
                }
            }
        }
        self.barred = self.bar(crypto);
    }

    /// The new pages under keys that the newest root revokes without accepting these pages: the main
    /// line may already know of a theft that clients are still to hear of.
    fn bar(&self, crypto: &impl Crypto) -> BTreeSet<Path> {
        let Some(newest) = self.heads.last().map(Head::root) else {
            return BTreeSet::new();
        };
        let revoked: BTreeSet<&Fingerprint> = newest.revoked.iter().collect();
        let is_accepted = |page: &StoredPage| {
            let mut former = newest.former.iter();
            former.any(|it| accepts(&it.id, &it.former, page, crypto))
        };
        let pages = self.pages.iter();
        let barred =
            pages.filter(|page| revoked.contains(&page.page.body().key()) && !is_accepted(page));
        barred.map(|page| page.place.clone()).collect()
    }

    /// Whatever of the main line is neither taken nor said to wait: nothing is passed over in silence.
    pub(super) fn unnamed<S, M, C, W>(
        &self,
        advance: &Advance<'_, S, M, C, W>,
        signed: &Signed,
        files: &Files,
        waiting: &[Waiting],
    ) -> Vec<Waiting>
    where
        S: ?Sized,
        M: Store + ?Sized,
    {
        let mut named: BTreeSet<Path> = BTreeSet::new();
        for waiting in waiting {
            named.extend(self.paths_of(signed, &waiting.unit));
        }
        let is_named = |path: &Path| {
            let above = core::iter::successors(Some(path.clone()), Path::parent);
            let mut above = above.take_while(|path| !path.as_str().is_empty());
            above.any(|path| named.contains(&path))
        };
        let paths = advance.changed.iter();
        let paths = paths.filter(|path| !files.contains_key(*path) && !is_named(path));
        paths
            .map(|path| {
                let problem = left_out(advance.main, path);
                Waiting::new(Unit::Path(path.clone()), problem)
            })
            .collect()
    }

    /// The paths that are told of where something is said to wait.
    fn paths_of(&self, signed: &Signed, unit: &Unit) -> Vec<Path> {
        match unit {
            Unit::Root => Path::parse("conex/root").into_iter().collect(),
            Unit::Author(id) => alloc::vec![place::author(id)],
            Unit::Team(id) => alloc::vec![place::team(id)],
            Unit::Package(name) => {
                let data = self.packages.get(name).cloned().unwrap_or_default();
                data.into_iter()
                    .chain([place::authorisation(name)])
                    .collect()
            }
            Unit::Repository => {
                let files = &signed.survey.repository;
                files
                    .iter()
                    .chain(&self.survey.repository)
                    .cloned()
                    .collect()
            }
            Unit::Page(path) => {
                let at = self.pages.binary_search_by(|page| page.place.cmp(path));
                let page = at.ok().and_then(|at| self.pages.get(at));
                let batches = page.iter().flat_map(|page| page.page.body().batches());
                let batches = batches.map(|reference| place::batch(reference.digest()));
                batches.chain([path.clone()]).collect()
            }
            Unit::Path(path) => alloc::vec![path.clone()],
            Unit::Step => Vec::new(),
        }
    }

    fn wait(&mut self, unit: Unit, problem: Problem) {
        self.waiting.push(Waiting::new(unit, problem));
    }

    /// The directories of a package, in either tree.
    pub(super) fn unit(&self, signed: &Signed, name: &PackageName) -> PackageUnit {
        let mut directories: Vec<Path> = [&signed.survey, &self.survey]
            .into_iter()
            .filter_map(|survey| unit(survey, name))
            .flat_map(|unit| unit.directories.iter().cloned())
            .collect();
        directories.sort();
        directories.dedup();
        PackageUnit {
            name: name.clone(),
            directories,
        }
    }

    /// What is said in a page: its own vouches, and those of each batch that it names; each sorted.
    fn voices<'m>(
        &'m self,
        signed: &'m Signed,
        page: &'m StoredPage,
    ) -> impl Iterator<Item = &'m [Vouch]> {
        let body = page.page.body();
        let batches = body.batches().iter();
        let batches = batches.filter_map(|reference| self.batch(signed, reference.digest()));
        core::iter::once(body.vouches()).chain(batches.map(Batch::vouches))
    }

    /// Everything that is said in a page.
    pub(super) fn said<'m>(
        &'m self,
        signed: &'m Signed,
        page: &'m StoredPage,
    ) -> impl Iterator<Item = &'m Vouch> {
        self.voices(signed, page).flatten()
    }

    /// How much is said in a page.
    pub(super) fn size(&self, signed: &Signed, page: &StoredPage) -> usize {
        self.voices(signed, page).map(<[Vouch]>::len).sum()
    }

    /// What is said in a page of a name. All that is said of it stands together.
    pub(super) fn said_of<'m, 'n>(
        &'m self,
        signed: &'m Signed,
        page: &'m StoredPage,
        name: &'n str,
    ) -> impl Iterator<Item = &'m Vouch> + use<'m, 'n> {
        self.voices(signed, page).flat_map(move |vouches| {
            let start = vouches.partition_point(|vouch| vouch.subject.name() < name);
            let rest = vouches.get(start..).unwrap_or_default().iter();
            rest.take_while(move |vouch| vouch.subject.name() == name)
        })
    }

    /// A batch, of either tree.
    fn batch<'m>(&'m self, signed: &'m Signed, digest: Digest) -> Option<&'m Batch> {
        let stored = &signed.state.metadata().batches;
        self.batches.get(&digest).or_else(|| stored.get(&digest))
    }

    /// The subjects spoken of in a page.
    pub(super) fn subjects<'m>(
        &'m self,
        signed: &'m Signed,
        page: &'m StoredPage,
    ) -> impl Iterator<Item = &'m Subject> {
        self.said(signed, page).map(|vouch| &vouch.subject)
    }
}

/// The directories of a package in one tree.
pub(super) fn unit<'s>(survey: &'s Survey, name: &PackageName) -> Option<&'s PackageUnit> {
    let at = survey
        .packages
        .binary_search_by(|unit| unit.name.cmp(name))
        .ok()?;
    survey.packages.get(at)
}

/// Whether clients are to ignore a path.
pub(super) fn is_ignored(root: &Root, layout: &dyn Layout, path: &Path) -> bool {
    let top = path.components().next().unwrap_or_default();
    if layout.place(top, EntryKind::Directory, true) == crate::tree::layout::Place::Packages {
        return false;
    }
    let mut above = path.parent();
    let mut patterns = root.ignore.iter();
    if patterns.any(|pattern| pattern.matches(path)) {
        return true;
    }
    while let Some(directory) = above.filter(|directory| !directory.as_str().is_empty()) {
        if root.ignore.iter().any(|pattern| pattern.covers(&directory)) {
            return true;
        }
        above = directory.parent();
    }
    false
}

/// The problem of something that is left out and that nothing else tells of.
fn left_out(main: &(impl Store + ?Sized), path: &Path) -> Problem {
    match main.kind(path) {
        Ok(None) => gone(path, "is not on the main line any more, and stays"),
        Ok(Some(EntryKind::Special(kind))) => {
            Problem::new(Code::SpecialFile, path, alloc::format!("is a {kind}"))
        }
        Ok(Some(_))
            if path
                .parent()
                .is_some_and(|it| it.as_str() == "conex/batches") =>
        {
            Problem::new(Code::UnusedBatch, path, "no page that is taken names it")
        }
        Ok(Some(_)) => Problem::new(Code::Unaccounted, path, "nothing accounts for this"),
        Err(error) => Problem::unreadable(path, &error),
    }
}

/// Whether a page is one that somebody's former key goes on counting for: it names this signer and this
/// key, and is listed.
pub(super) fn accepts(
    id: &Id,
    former: &FormerKey,
    page: &StoredPage,
    digests: &impl Digests,
) -> bool {
    let body = page.page.body();
    body.signer() == id
        && former.pages.binary_search(&page.digest).is_ok()
        && digests.fingerprint(&former.key) == body.key()
}

/// Reads an author, team or authorisation.
fn statement<K, T, M, W>(
    reader: &mut MetadataReader<'_, M, W>,
    path: &Path,
    key: Option<K>,
    name: impl Fn(&T) -> alloc::string::String,
    edited: &mut Edited<K, T>,
) where
    K: Ord,
    T: Stored,
    M: Store + ?Sized,
    W: Workers,
{
    let Some(key) = key else {
        let problem = Problem::new(Code::BadName, path, "this is no name");
        reader.problems.push(problem);
        return;
    };
    let fits = |file: &str, value: &T| named(file, &name(value));
    let found = reader.file(path, limits::STATEMENT_FILE, fits);
    if found.is_none() && reader.problems.is_empty() {
        reader
            .problems
            .push(gone(path, "is not on the main line any more"));
    }
    edited.insert(key, found);
}
