//! Counting (sections 3.4 and 3.6).

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::digest::Digest;
use conex_core::model::key::Fingerprint;
use conex_core::model::name::Id;
use conex_core::model::version::Version;
use conex_core::model::vouch::Subject;

/// One person's vouch on a page that counts.
#[derive(Debug, Clone)]
pub struct Vote {
    /// What it is about.
    pub subject: Subject,
    /// In which version.
    pub version: Version,
    /// For which content.
    pub digest: Digest,
    /// Whose.
    pub person: Id,
    /// Whether the page counted as a janitor's.
    pub janitor: bool,
    /// The key of the page.
    pub key: Fingerprint,
}

/// Who approves something (section 3.5).
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) janitors: usize,
    pub(super) owners: Option<Owners>,
    /// The epoch in which votes count; none where all count.
    pub(super) epoch: Option<u32>,
}

/// The owners of a package, with teams resolved.
#[derive(Debug, Clone, Default)]
pub(super) struct Owners {
    pub(super) persons: BTreeSet<Id>,
    /// Whether the team of all janitors owns.
    pub(super) janitors: bool,
    pub(super) threshold: usize,
}

/// What is approved: the digests by their versions.
pub(super) type Approved = BTreeMap<Version, BTreeSet<Digest>>;

/// The greatest approved version of a statement, with what is approved in it (section 9.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// The version.
    pub version: Version,
    /// More than one where it was approved with several contents.
    pub digests: BTreeSet<Digest>,
}

impl Newest {
    /// The one by which two states are compared: the greatest by its bytes.
    pub fn digest(&self) -> Option<&Digest> {
        self.digests.last()
    }
}

/// Counts votes for one subject (section 3.4).
pub(super) fn approved<'v>(votes: impl IntoIterator<Item = &'v Vote>, rule: &Rule) -> Approved {
    let mut behind: BTreeMap<(Version, Digest), Vec<&Vote>> = BTreeMap::new();
    for vote in votes {
        if rule.epoch.is_none_or(|epoch| vote.version.epoch() == epoch) {
            behind
                .entry((vote.version, vote.digest))
                .or_default()
                .push(vote);
        }
    }
    let mut approved = Approved::new();
    for ((version, digest), votes) in behind {
        if by_janitors(&votes, rule) || by_owners(&votes, rule) {
            approved.entry(version).or_default().insert(digest);
        }
    }
    approved
}

/// Step 3 of section 3.4.
fn by_janitors(votes: &[&Vote], rule: &Rule) -> bool {
    let votes = votes.iter().filter(|vote| vote.janitor);
    let persons: BTreeSet<&Id> = votes.map(|vote| &vote.person).collect();
    persons.len() >= rule.janitors
}

/// Step 4 of section 3.4.
fn by_owners(votes: &[&Vote], rule: &Rule) -> bool {
    let Some(owners) = &rule.owners else {
        return false;
    };
    let owns =
        |vote: &&&Vote| owners.persons.contains(&vote.person) || (owners.janitors && vote.janitor);
    let persons: BTreeSet<&Id> = votes.iter().filter(owns).map(|vote| &vote.person).collect();
    persons.len() >= owners.threshold
}

/// Where content stands (section 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    Approved,
    Behind,
    Differs,
    Equivocal,
    Pending,
}

/// Where content stands, given what is approved (section 3.6).
pub(super) fn stands(approved: &Approved, content: Digest) -> Stands {
    let Some((_, newest)) = approved.last_key_value() else {
        return Stands::Pending;
    };
    if newest.len() > 1 {
        Stands::Equivocal
    } else if newest.contains(&content) {
        Stands::Approved
    } else if approved.values().any(|digests| digests.contains(&content)) {
        Stands::Behind
    } else {
        Stands::Differs
    }
}

/// The greatest approved version.
pub(super) fn newest(approved: Approved) -> Option<Newest> {
    let (version, digests) = approved.into_iter().next_back()?;
    Some(Newest { version, digests })
}
