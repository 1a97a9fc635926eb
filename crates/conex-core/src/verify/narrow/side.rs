//! One of the two states of an update, read file by file, each file once.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound::Included;

use crate::model::crypto::Digests;
use crate::model::digest::Digest;
use crate::model::limits;
use crate::model::name::{Id, Origin, PackageName};
use crate::model::page::{Batch, BatchRef, Page, excerpt};
use crate::model::path::Path;
use crate::model::statement::{Author, Authorisation, Team};
use crate::tree::inventory::Survey;
use crate::tree::metadata::{Metadata, MetadataReader, StoredPage, named, page_fits, place};
use crate::tree::store::{Store, Workers};

/// A state before or after an update, as far as it is read.
pub(crate) struct Side<'a, S: ?Sized, W> {
    pub(crate) reader: MetadataReader<'a, S, W>,
    pub(crate) metadata: Metadata,
    /// What stands at the top, if that was needed.
    pub(crate) survey: Option<Survey>,
    /// What was looked for, found or not.
    seen: BTreeSet<Path>,
}

/// What the state before has of metadata, and the files that are not as they were there.
///
/// What did not change is not read a second time.
#[derive(Clone, Copy)]
pub(super) struct Unchanged<'m> {
    pub(super) metadata: &'m Metadata,
    pub(super) changed: &'m BTreeSet<Path>,
}

/// What the state before has, if it has the same at a place.
fn known<'m>(before: Option<Unchanged<'m>>, place: &Path) -> Option<&'m Metadata> {
    before
        .filter(|before| !before.changed.contains(place))
        .map(|before| before.metadata)
}

impl<'a, S: Store + ?Sized, W: Workers> Side<'a, S, W> {
    pub(super) fn new(store: &'a S, workers: &'a W) -> Self {
        Self {
            reader: MetadataReader {
                store,
                workers,
                problems: Vec::new(),
            },
            metadata: Metadata::default(),
            survey: None,
            seen: BTreeSet::new(),
        }
    }

    pub(super) fn author(&mut self, id: &Id, before: Option<Unchanged<'_>>) {
        let place = place::author(id);
        if self.seen.insert(place.clone()) {
            let fits = |name: &str, author: &Author| named(name, author.id.as_str());
            let found = match known(before, &place) {
                Some(before) => before.authors.get(id).cloned(),
                None => self.reader.file(&place, limits::STATEMENT_FILE, fits),
            };
            self.metadata
                .authors
                .extend(found.map(|author| (id.clone(), author)));
        }
    }

    pub(super) fn team(&mut self, id: &Id, before: Option<Unchanged<'_>>) {
        if id.is_janitors() {
            return;
        }
        let place = place::team(id);
        if self.seen.insert(place.clone()) {
            let fits = |name: &str, team: &Team| named(name, team.id.as_str());
            let found = match known(before, &place) {
                Some(before) => before.teams.get(id).cloned(),
                None => self.reader.file(&place, limits::STATEMENT_FILE, fits),
            };
            self.metadata
                .teams
                .extend(found.map(|team| (id.clone(), team)));
        }
    }

    pub(super) fn authorisation(&mut self, package: &PackageName, before: Option<Unchanged<'_>>) {
        let place = place::authorisation(package);
        if self.seen.insert(place.clone()) {
            let fits = |name: &str, claim: &Authorisation| named(name, claim.package.as_str());
            let found = match known(before, &place) {
                Some(before) => before.authorisations.get(package).cloned(),
                None => self.reader.file(&place, limits::STATEMENT_FILE, fits),
            };
            self.metadata
                .authorisations
                .extend(found.map(|claim| (package.clone(), claim)));
        }
    }

    pub(super) fn batch(
        &mut self,
        digest: Digest,
        (origin, digests): (&Origin, &impl Digests),
        before: Option<Unchanged<'_>>,
    ) {
        let place = place::batch(digest);
        if self.seen.insert(place.clone()) {
            let fits =
                |name: &str, batch: &Batch| named(name, &batch.digest(origin, digests).to_string());
            // Before, there may have been no need of it.
            let found = known(before, &place)
                .and_then(|before| before.batches.get(&digest).cloned())
                .or_else(|| self.reader.file(&place, limits::PAGE_FILE, fits));
            self.metadata
                .batches
                .extend(found.map(|batch| (digest, batch)));
        }
    }

    /// What batches of a verified state say of names: all at once, since where they are packed or
    /// compressed that is most of the work.
    pub(super) fn excerpts(
        &mut self,
        batches: BTreeMap<Digest, BatchRef>,
        names: &BTreeSet<Box<str>>,
        crypto: (&Origin, &impl Digests),
    ) {
        let seen = &mut self.seen;
        let unread = |(digest, reference): (Digest, BatchRef)| {
            let place = place::batch(digest);
            let is_new = seen.insert(place.clone());
            is_new.then_some((digest, place, reference))
        };
        let unread: Vec<_> = batches.into_iter().filter_map(unread).collect();
        let store = self.reader.store;
        let found = self
            .reader
            .workers
            .map(unread, |(digest, place, reference)| {
                let mut text = Vec::new();
                let read = store.read(&place, limits::PAGE_FILE, &mut text).ok();
                let (first, last) = reference.range();
                let names = names.range::<str, _>((Included(first), Included(last)));
                let text = read.and_then(|()| core::str::from_utf8(&text).ok());
                let said = text.and_then(|text| excerpt(text, names.map(|name| &**name)));
                (digest, place, said)
            });
        for (digest, place, said) in found {
            if let Some(said) = said {
                self.metadata.excerpts.insert(digest, Arc::new(said));
            } else {
                // Reading all of it says what is wrong.
                self.seen.remove(&place);
                self.batch(digest, crypto, None);
            }
        }
    }

    /// The same of a batch in the state after: as before, if it is there as it was.
    pub(super) fn excerpt(
        &mut self,
        digest: Digest,
        crypto: (&Origin, &impl Digests),
        before: Unchanged<'_>,
    ) {
        let place = place::batch(digest);
        let said = known(Some(before), &place).and_then(|before| before.excerpts.get(&digest));
        match said {
            Some(said) if self.seen.insert(place) => {
                self.metadata.excerpts.insert(digest, Arc::clone(said));
            }
            _ => self.batch(digest, crypto, Some(before)),
        }
    }

    pub(super) fn page(&mut self, place: &Path, id: &Id, origin: &Origin, digests: &impl Digests) {
        if self.seen.contains(&place::pages(id)) || !self.seen.insert(place.clone()) {
            return;
        }
        let fits = |name: &str, page: &Page| page_fits(id, name, page, origin, digests);
        let found = self.reader.file(place, limits::PAGE_FILE, fits);
        let digest = place.file_name().strip_suffix(".toml").map(Digest::parse);
        if let (Some(page), Some(Ok(digest))) = (found, digest) {
            self.metadata.pages.push(StoredPage {
                place: place.clone(),
                digest,
                page,
            });
        }
    }

    /// All pages of a person, of whom all pages before were read.
    pub(super) fn pages_since(
        &mut self,
        id: &Id,
        (origin, digests): (&Origin, &impl Digests),
        before: Unchanged<'_>,
    ) {
        let directory = place::pages(id);
        if self.seen.contains(&directory) {
            return;
        }
        for place in before.changed {
            if place.below(&directory).is_some() {
                self.page(place, id, origin, digests);
            }
        }
        let pages = before.metadata.pages.iter();
        let stay = pages.filter(|stored| {
            stored.page.body().signer() == id && !before.changed.contains(&stored.place)
        });
        self.metadata.pages.extend(stay.cloned());
        self.seen.insert(directory);
    }

    /// All pages of a person.
    pub(super) fn pages(&mut self, id: &Id, origin: &Origin, digests: &impl Digests) {
        let directory = place::pages(id);
        if self.seen.insert(directory.clone()) {
            self.metadata
                .pages
                .retain(|stored| stored.page.body().signer() != id);
            let found = self.reader.pages_of(id, &directory, origin, digests);
            self.metadata.pages.extend(found);
        }
    }

    /// The members of the teams that were read.
    pub(super) fn members(&self) -> BTreeSet<Id> {
        let teams = self.metadata.teams.values();
        teams
            .flat_map(|team| team.members.iter().cloned())
            .collect()
    }
}
