//! One of the two states of an update, read file by file, each file once.

use alloc::collections::BTreeSet;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use crate::crypto::Digests;
use crate::digest::Digest;
use crate::limits;
use crate::metadata::{Metadata, MetadataReader, StoredPage, named, page_fits, place};
use crate::name::{Id, Origin, PackageName};
use crate::page::{Batch, Page};
use crate::path::Path;
use crate::statement::{Author, Authorisation, Team};
use crate::store::{Store, Workers};
use crate::survey::Survey;

/// A state before or after an update, as far as it is read.
pub(crate) struct Side<'a, S: ?Sized, W> {
    pub(crate) reader: MetadataReader<'a, S, W>,
    pub(crate) metadata: Metadata,
    /// What stands at the top, if that was needed.
    pub(crate) survey: Option<Survey>,
    /// What was looked for, found or not.
    seen: BTreeSet<Path>,
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

    pub(super) fn author(&mut self, id: &Id) {
        let place = place::author(id);
        if self.seen.insert(place.clone()) {
            let fits = |name: &str, author: &Author| named(name, author.id.as_str());
            let found = self.reader.file(&place, limits::STATEMENT_FILE, fits);
            self.metadata
                .authors
                .extend(found.map(|author| (id.clone(), author)));
        }
    }

    pub(super) fn team(&mut self, id: &Id) {
        if id.is_janitors() {
            return;
        }
        let place = place::team(id);
        if self.seen.insert(place.clone()) {
            let fits = |name: &str, team: &Team| named(name, team.id.as_str());
            let found = self.reader.file(&place, limits::STATEMENT_FILE, fits);
            self.metadata
                .teams
                .extend(found.map(|team| (id.clone(), team)));
        }
    }

    pub(super) fn authorisation(&mut self, package: &PackageName) {
        let place = place::authorisation(package);
        if self.seen.insert(place.clone()) {
            let fits = |name: &str, claim: &Authorisation| named(name, claim.package.as_str());
            let found = self.reader.file(&place, limits::STATEMENT_FILE, fits);
            self.metadata
                .authorisations
                .extend(found.map(|claim| (package.clone(), claim)));
        }
    }

    pub(super) fn batch(&mut self, digest: Digest, origin: &Origin, digests: &impl Digests) {
        let place = place::batch(digest);
        if self.seen.insert(place.clone()) {
            let fits =
                |name: &str, batch: &Batch| named(name, &batch.digest(origin, digests).to_string());
            let found = self.reader.file(&place, limits::PAGE_FILE, fits);
            self.metadata
                .batches
                .extend(found.map(|batch| (digest, batch)));
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
