//! People, teams and claims as they are approved (sections 3.3 to 3.5, steps 5 to 7 of 8.3).

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::crypto::Crypto;
use conex_core::model::digest::Digest;
use conex_core::model::name::{Id, PackageName};
use conex_core::model::statement::{Author, Authorisation, Root};
use conex_core::model::version::Version;
use conex_core::model::vouch::Subject;
use conex_core::tree::problem::Code;

use super::Found;
use super::counting::{Approved, Owners, Rule, Stands, Vote, approved, newest, stands};
use super::people::{self, People};
use super::stored::Metadata;

/// Who owns a package that is claimed.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// None where everything needs the quorum.
    pub(super) owners: Option<Owners>,
    pub(super) epoch: u32,
    /// Whether an approved authorisation says that the package is retired.
    pub(super) retired: bool,
}

/// Who is who, and who owns what.
#[derive(Debug, Clone, Default)]
pub(super) struct Ownership {
    pub(super) people: People,
    pub(super) claims: BTreeMap<PackageName, Claim>,
    pub(super) problems: Found,
    pub(super) notes: Found,
}

/// Votes for an authorisation, without those for the content that is judged which are not in the epoch that it
/// sets (section 3.5).
pub(super) fn for_authorisation<'v>(
    votes: impl Iterator<Item = &'v Vote>,
    content: Option<(Digest, u32)>,
) -> impl Iterator<Item = &'v Vote> {
    votes.filter(move |vote| {
        content.is_none_or(|(digest, epoch)| vote.digest != digest || vote.version.epoch() == epoch)
    })
}

/// The rule for authors, teams, authorisations and repository files (section 3.5).
pub(super) fn by_quorum(root: &Root, epoch: Option<u32>) -> Rule {
    Rule {
        janitors: root.quorum.people(),
        owners: None,
        epoch,
    }
}

/// Judges people, teams and claims by the votes of the people of the head.
pub(super) fn judge(
    root: &Root,
    metadata: &Metadata,
    head: &People,
    votes: &[Vote],
    ahead: bool,
    crypto: &impl Crypto,
) -> Ownership {
    let court = Court {
        root,
        metadata,
        votes,
        ahead,
    };
    let mut ownership = Ownership::default();
    let authors = metadata.authors.iter();
    let authors =
        authors.filter(|(id, _)| court.counts(&Subject::Author((*id).clone()), &mut ownership));
    let authors: Vec<&Author> = authors.map(|(_, author)| author).collect();
    let (people, problems) = people::with_authors(head, &root.origin, &authors, crypto);
    ownership.people = people;
    ownership.problems.extend(problems);
    let retired = authors.iter().filter(|author| author.retired);
    let mut directory = Directory {
        retired: retired.map(|author| author.id.clone()).collect(),
        teams: BTreeMap::new(),
    };
    court.teams(&mut directory, &mut ownership);
    court.claims(&directory, &mut ownership);
    court.missing(&mut ownership);
    ownership
}

/// Whom an owner may be.
struct Directory {
    retired: BTreeSet<Id>,
    /// The members of each approved team who are persons; none of one that is retired.
    teams: BTreeMap<Id, Option<BTreeSet<Id>>>,
}

struct Court<'a> {
    root: &'a Root,
    metadata: &'a Metadata,
    votes: &'a [Vote],
    ahead: bool,
}

impl Court<'_> {
    /// What is approved of an author, team or authorisation.
    fn approved(&self, subject: &Subject) -> Approved {
        let votes = self.votes.iter().filter(|vote| vote.subject == *subject);
        match subject {
            Subject::Authorisation(package) => {
                let content =
                    self.metadata.authorisations.get(package).and_then(|claim| {
                        Some((*self.metadata.digests.get(subject)?, claim.epoch))
                    });
                approved(
                    for_authorisation(votes, content),
                    &by_quorum(self.root, None),
                )
            }
            _ => approved(votes, &by_quorum(self.root, Some(0))),
        }
    }

    /// Judges a stored statement; whether it counts (sections 3.3 and 3.6).
    fn counts(&self, subject: &Subject, ownership: &mut Ownership) -> bool {
        let Some(digest) = self.metadata.digests.get(subject) else {
            return false;
        };
        let about = subject.to_string();
        match stands(&self.approved(subject), *digest) {
            Stands::Approved => true,
            Stands::Behind if self.ahead => {
                ownership.notes.insert((Code::Ahead, about));
                true
            }
            other => {
                ownership
                    .problems
                    .extend(problem(other).map(|code| (code, about)));
                false
            }
        }
    }

    fn teams(&self, directory: &mut Directory, ownership: &mut Ownership) {
        for (id, team) in &self.metadata.teams {
            let subject = Subject::Team(id.clone());
            let counts = self.counts(&subject, ownership);
            let place = format!("conex/teams/{id}.toml");
            let collides =
                ownership.people.persons.contains(id) || self.metadata.authors.contains_key(id);
            if collides {
                ownership.problems.insert((Code::NameCollision, place));
                continue;
            }
            if !counts {
                continue;
            }
            let is_person = |member: &&Id| ownership.people.persons.contains(*member);
            let members: BTreeSet<Id> = team.members.iter().filter(is_person).cloned().collect();
            if members.len() < team.members.len() {
                ownership.problems.insert((Code::UnknownOwner, place));
            }
            let members = (!team.retired).then_some(members);
            directory.teams.insert(id.clone(), members);
        }
    }

    fn claims(&self, directory: &Directory, ownership: &mut Ownership) {
        for (package, stored) in &self.metadata.authorisations {
            let subject = Subject::Authorisation(package.clone());
            let counts = self.counts(&subject, ownership);
            let owners = counts
                .then(|| Self::owners(stored, directory, ownership))
                .flatten();
            let claim = Claim {
                owners,
                epoch: stored.epoch,
                retired: counts && stored.retired,
            };
            ownership.claims.insert(package.clone(), claim);
        }
        for (package, version) in self.absent() {
            let claim = Claim {
                owners: None,
                epoch: version.epoch(),
                retired: false,
            };
            ownership.claims.insert(package, claim);
        }
    }

    /// Authorisations that are approved and not there.
    fn absent(&self) -> BTreeMap<PackageName, Version> {
        let subjects: BTreeSet<&Subject> = self.votes.iter().map(|vote| &vote.subject).collect();
        let absent = subjects.into_iter().filter_map(|subject| match subject {
            Subject::Authorisation(package)
                if !self.metadata.authorisations.contains_key(package) =>
            {
                let newest = newest(self.approved(subject))?;
                Some((package.clone(), newest.version))
            }
            _ => None,
        });
        absent.collect()
    }

    /// The owners whom an approved authorisation names; none where one of them is retired or not there.
    fn owners(
        claim: &Authorisation,
        directory: &Directory,
        ownership: &mut Ownership,
    ) -> Option<Owners> {
        let place = format!("conex/packages/{}.toml", claim.package);
        let mut owners = Owners {
            threshold: claim.threshold.people(),
            ..Owners::default()
        };
        if claim.retired {
            return Some(owners);
        }
        let mut wrong = Found::new();
        for owner in &claim.owners {
            if owner.is_janitors() {
                owners.janitors = true;
                continue;
            }
            match directory.teams.get(owner) {
                Some(Some(members)) => owners.persons.extend(members.iter().cloned()),
                Some(None) => {
                    wrong.insert((Code::Retired, place.clone()));
                }
                None if directory.retired.contains(owner) => {
                    wrong.insert((Code::Retired, place.clone()));
                }
                None if ownership.people.persons.contains(owner) => {
                    owners.persons.insert(owner.clone());
                }
                None => {
                    wrong.insert((Code::UnknownOwner, place.clone()));
                }
            }
        }
        let mut all = owners.persons.clone();
        if owners.janitors {
            all.extend(ownership.people.janitors.iter().cloned());
        }
        if wrong.is_empty() && all.len() < owners.threshold {
            ownership.notes.insert((Code::OutOfReach, place));
        }
        let good = wrong.is_empty();
        ownership.problems.extend(wrong);
        good.then_some(owners)
    }

    /// Step 7: what is approved and not there.
    fn missing(&self, ownership: &mut Ownership) {
        let subjects: BTreeSet<&Subject> = self.votes.iter().map(|vote| &vote.subject).collect();
        for subject in subjects {
            let about_people = subject.kind().is_about_people();
            if !about_people || self.metadata.digests.contains_key(subject) {
                continue;
            }
            if !self.approved(subject).is_empty() {
                let (found, code) = if self.ahead {
                    (&mut ownership.notes, Code::Ahead)
                } else {
                    (&mut ownership.problems, Code::Missing)
                };
                found.insert((code, subject.to_string()));
            }
        }
    }
}

/// The problem of content that stands so (section 3.6).
pub(super) fn problem(stands: Stands) -> Option<Code> {
    match stands {
        Stands::Approved => None,
        Stands::Behind => Some(Code::Behind),
        Stands::Differs => Some(Code::ContentDiffers),
        Stands::Equivocal => Some(Code::Equivocation),
        Stands::Pending => Some(Code::NotApproved),
    }
}
