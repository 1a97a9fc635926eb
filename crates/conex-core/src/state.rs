//! The state of a community: its newest root, its people, their vouches, and what these approve (spec sections 3, 4 and 8.3).
//!
//! A [`State`] is what a verification judges content by. It is read from a tree's metadata, or made of another state and a
//! change that is taken as approved.

pub mod approval;
pub mod baseline;
pub mod chain;
pub mod finding;
pub(crate) mod index;
pub(crate) mod judge;
pub(crate) mod ownership;
pub mod people;
pub(crate) mod scope;
pub(crate) mod settle;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::model::crypto::Digests;
use crate::model::digest::{Context, Digest};
use crate::model::encoding;
use crate::model::key::Fingerprint;
use crate::model::name::{Id, PackageName};
use crate::model::statement::Root;
use crate::model::version::Threshold;
use crate::model::vouch::Subject;
use crate::tree::metadata::{Metadata, StoredPage};

use approval::{ApprovedVersion, Epoch, Rule, Standing, Vote};
use baseline::Floors;
use index::Index;
use judge::Judge;
use ownership::Ownership;
use people::{Judged, Owners, People, Voter};
use scope::Scope;

/// Who is who, who owns what, and who vouches for what, under one root.
///
/// A state of a narrowed verification knows what the change concerns, and nothing else.
#[derive(Debug)]
pub struct State {
    root: Root,
    metadata: Metadata,
    people: People,
    /// Every vouch of every page that counts.
    index: Index,
    ownership: Ownership,
    /// What each page counts for, in the order of the metadata.
    pages: Vec<Judged>,
    /// The versions that clients have, if this is a main line.
    floors: Arc<Floors>,
    scope: Scope,
    ahead: bool,
}

/// On whose word an approved version rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// As many of the owners as it takes.
    Owners,
    /// A quorum of janitors.
    Quorum,
    /// Fewer janitors, as the root allows for upkeep and for what nobody owns.
    Few,
}

impl State {
    /// The root whose rules it is judged by.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Everything else of `conex/`.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Who is who.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// The owners of a package and how many of them have to agree, where its authorisation is approved.
    pub fn owners(&self, package: &PackageName) -> Option<&(Owners, Threshold)> {
        self.ownership.owners(package)
    }

    /// Every package with an approved authorisation, its owners, and how many of them have to agree.
    pub fn owned(&self) -> impl Iterator<Item = (&PackageName, &(Owners, Threshold))> {
        let packages = self.ownership.packages();
        packages.filter_map(|package| Some((package, self.owners(package)?)))
    }

    /// On whose word an approved version of a statement rests.
    pub fn basis(&self, subject: &Subject, approved: &ApprovedVersion) -> Basis {
        let votes = approved.by.iter().map(|person| Vote {
            version: approved.version,
            digest: approved.digest,
            voter: Voter {
                person: *person,
                janitor: self.people.janitors().contains(person),
            },
        });
        let votes: Vec<Vote> = votes.collect();
        let meets = |owners: Option<(Owners, Threshold)>, janitors: Threshold| {
            let rule = Rule {
                owners,
                janitors,
                epoch: Epoch::Only(approved.version.epoch()),
            };
            !rule.approved(&votes).is_empty()
        };
        let owners = subject.package().and_then(|package| self.owners(package));
        let owners = owners.filter(|(owners, _)| !owners.janitors);
        if owners.is_some_and(|owners| meets(Some(owners.clone()), Threshold::MAX)) {
            Basis::Owners
        } else if meets(None, self.root.quorum) {
            Basis::Quorum
        } else {
            Basis::Few
        }
    }

    /// The versions of a package's content, of any epoch, that as many janitors stand behind as decide where no owner does.
    ///
    /// While a claim waits for its approval, no content is approved under its rules: this is what was approved before.
    pub fn approved_by_janitors(&self, subject: &Subject) -> Vec<ApprovedVersion> {
        let owned = subject.package().and_then(|package| self.owners(package));
        let rule = Rule {
            owners: None,
            janitors: match owned {
                Some(_) => self.root.quorum,
                None => self.root.unclaimed,
            },
            epoch: Epoch::Sets(0),
        };
        rule.approved(&self.votes(subject))
    }

    /// The rule that a statement is judged by.
    pub fn rule(&self, subject: &Subject) -> Rule {
        self.ownership.rule(&self.root, subject)
    }

    /// The votes on a statement, of all pages that count.
    pub fn votes(&self, subject: &Subject) -> Vec<Vote> {
        self.index.votes(subject)
    }

    /// Whose votes a page counts for; `None` where it counts for nothing, or is none of this state's.
    pub fn counts_for(&self, page: &StoredPage) -> Option<Voter> {
        let at = self
            .metadata
            .pages
            .binary_search_by(|it| it.place.cmp(&page.place));
        match self.pages.get(at.ok()?)? {
            Judged::Counts(voter) => Some(*voter),
            Judged::Inert(_) | Judged::Bad => None,
        }
    }

    /// The pages of a person that count.
    pub fn pages_of(&self, signer: &Id) -> impl Iterator<Item = &StoredPage> {
        let pages = self.metadata.pages.iter().zip(&self.pages);
        let counting = pages.filter(|(_, judged)| matches!(judged, Judged::Counts(_)));
        counting
            .map(|(page, _)| page)
            .filter(move |page| page.page.body().signer() == signer)
    }

    /// The greatest approved version of a statement, whether or not its content is there.
    pub fn newest(&self, subject: &Subject, digests: &impl Digests) -> Option<ApprovedVersion> {
        self.newest_by(&self.index, subject, digests)
    }

    /// The digest of a stored statement: an author, a team or an authorisation. `None` where it is not there, and of
    /// content.
    pub fn stored(&self, subject: &Subject, digests: &impl Digests) -> Option<Digest> {
        let (metadata, origin) = (&self.metadata, &self.root.origin);
        match subject {
            Subject::Author(id) => {
                let author = metadata.authors.get(id)?;
                Some(encoding::digest(digests, Context::Author, origin, author))
            }
            Subject::Team(id) => {
                let team = metadata.teams.get(id)?;
                Some(encoding::digest(digests, Context::Team, origin, team))
            }
            Subject::Authorisation(package) => {
                let claim = metadata.authorisations.get(package)?;
                let context = Context::Authorisation;
                Some(encoding::digest(digests, context, origin, claim))
            }
            Subject::Repository | Subject::Releases(_) | Subject::Checksums(..) => None,
        }
    }

    /// The greatest approved version of a statement by the vouches of an index.
    pub(crate) fn newest_by(
        &self,
        index: &Index,
        subject: &Subject,
        digests: &impl Digests,
    ) -> Option<ApprovedVersion> {
        self.newest_of(&index.votes(subject), subject, digests)
    }

    /// The greatest approved version of a statement by some votes.
    pub(crate) fn newest_of(
        &self,
        votes: &[Vote],
        subject: &Subject,
        digests: &impl Digests,
    ) -> Option<ApprovedVersion> {
        if votes.is_empty() {
            return None;
        }
        let rule = self.rule(subject);
        let stored = self.stored(subject, digests);
        match rule.assess(votes, stored.as_slice()).standing {
            Standing::Approved(newest)
            | Standing::Behind { newest, .. }
            | Standing::Differs { newest } => Some(newest),
            Standing::Equivocal { .. } => rule.approved(votes).into_iter().next(),
            Standing::Pending => None,
        }
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn floors(&self) -> &Arc<Floors> {
        &self.floors
    }

    /// What each page counts for, in the order of the metadata.
    pub(crate) fn pages(&self) -> &[Judged] {
        &self.pages
    }

    /// How many pages count.
    pub(crate) fn counting(&self) -> usize {
        let pages = self.pages.iter();
        pages.filter(|it| matches!(it, Judged::Counts(_))).count()
    }

    /// A judge of content.
    pub(crate) fn judge<'s, D: Digests>(&'s self, digests: &'s D) -> Judge<'s, D> {
        Judge::new(&self.root, &self.index, &self.floors, (digests, self.ahead))
    }

    /// The packages that a vouch or a claim is about, or that clients have, and that are not there.
    pub(crate) fn absent(&self, is_present: impl Fn(&str) -> bool) -> BTreeSet<&PackageName> {
        let names = self.index.names().filter(|name| !is_present(name));
        let subjects = names.flat_map(|name| self.index.named(name).subjects());
        let had = self.floors.packages().into_iter();
        let others = had.chain(self.ownership.packages());
        subjects
            .filter_map(Subject::package)
            .chain(others.filter(|name| !is_present(name.as_str())))
            .collect()
    }

    /// All vouches without those under keys that a later root revokes; `None` where it revokes no other than this one.
    pub(crate) fn without_keys_of(&self, later: &Root) -> Option<Index> {
        let before: BTreeSet<&Fingerprint> = self.root.revoked.iter().collect();
        let revoked: BTreeSet<&Fingerprint> = later.revoked.iter().collect();
        let revoked: BTreeSet<&Fingerprint> = revoked.difference(&before).copied().collect();
        if revoked.is_empty() {
            return None;
        }
        let pages = self.metadata.pages.iter().zip(&self.pages);
        let judged: Vec<Judged> = pages
            .map(|(stored, judged)| {
                if revoked.contains(&stored.page.body().key()) {
                    Judged::Inert("its key is revoked")
                } else {
                    *judged
                }
            })
            .collect();
        Some(Index::new(&self.metadata, &judged, &Scope::Whole, |_| true).0)
    }
}
