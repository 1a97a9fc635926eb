//! Who is who: janitors of the head, approved authors and teams, and whose key is whose
//! (spec section 3).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::digest::Digest;
use crate::model::key::{Fingerprint, PublicKey};
use crate::model::name::{Id, Origin};
use crate::model::statement::{Author, Authorisation, Root, Team};
use crate::tree::metadata::{Metadata, StoredPage, place};
use crate::tree::problem::{Code, Problem};

/// A person, by position in [`People`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonIndex(u32);

#[cfg(test)]
impl PersonIndex {
    pub(crate) const fn of(number: u32) -> Self {
        Self(number)
    }
}

/// Somebody whose counting page says something, and whether it counts as a janitor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voter {
    /// Who.
    pub person: PersonIndex,
    /// Whether the page was signed under a key that the head lists as a janitor's, or is an
    /// accepted page of a former one.
    pub janitor: bool,
}

/// In what way a key belongs to its person.
#[derive(Debug, Clone)]
enum Use {
    /// Signs for them now.
    Current { janitor: bool },
    /// Signed these pages, which go on counting.
    Former {
        janitor: bool,
        pages: BTreeSet<Digest>,
    },
}

#[derive(Debug, Clone)]
struct Key {
    person: PersonIndex,
    public: PublicKey,
    uses: Vec<Use>,
}

/// What a page counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// For the votes of this person.
    Counts(Voter),
    /// For nothing, and this is why.
    Inert(&'static str),
    /// It claims a key that is current or accepted, and its signature is not that key's.
    Bad,
}

/// Everybody whose vouches can count.
#[derive(Debug, Clone)]
pub struct People {
    origin: Origin,
    ids: Vec<Id>,
    by_id: BTreeMap<Id, PersonIndex>,
    keys: BTreeMap<Fingerprint, Key>,
    revoked: BTreeSet<Fingerprint>,
    janitors: BTreeSet<PersonIndex>,
    teams: BTreeMap<Id, Members>,
    retired: BTreeSet<Id>,
    /// Keys that two authors list; neither can use them.
    disputed: BTreeSet<Fingerprint>,
}

/// The members of a team who are there.
#[derive(Debug, Clone, Default)]
struct Members(BTreeSet<PersonIndex>);

impl People {
    /// The janitors of a root, and its former ones.
    pub(crate) fn of_root(root: &Root, crypto: &impl Crypto) -> Self {
        let mut people = Self {
            origin: root.origin.clone(),
            ids: Vec::new(),
            by_id: BTreeMap::new(),
            keys: BTreeMap::new(),
            revoked: root.revoked.iter().copied().collect(),
            janitors: BTreeSet::new(),
            teams: BTreeMap::new(),
            retired: BTreeSet::new(),
            disputed: BTreeSet::new(),
        };
        for janitor in &root.janitors {
            let person = people.person(&janitor.id);
            people.janitors.insert(person);
            for key in &janitor.keys {
                people.add(person, key, Use::Current { janitor: true }, crypto);
            }
        }
        for former in &root.former {
            let person = people.person(&former.id);
            let pages = former.former.pages.iter().copied().collect();
            people.add(
                person,
                &former.former.key,
                Use::Former {
                    janitor: true,
                    pages,
                },
                crypto,
            );
        }
        people
    }

    fn person(&mut self, id: &Id) -> PersonIndex {
        if let Some(&person) = self.by_id.get(id) {
            return person;
        }
        let next =
            u32::try_from(self.ids.len()).expect("limits keep the people far below four billion");
        let person = PersonIndex(next);
        self.ids.push(id.clone());
        self.by_id.insert(id.clone(), person);
        person
    }

    /// Gives a key to a person; false when it is another's.
    fn add(
        &mut self,
        person: PersonIndex,
        key: &PublicKey,
        way: Use,
        crypto: &impl Crypto,
    ) -> bool {
        let fingerprint = crypto.fingerprint(key);
        let entry = self.keys.entry(fingerprint).or_insert_with(|| Key {
            person,
            public: key.clone(),
            uses: Vec::new(),
        });
        if entry.person != person {
            return false;
        }
        entry.uses.push(way);
        true
    }

    /// Adds approved authors. Their keys have to be usable, proven, and nobody else's.
    pub(crate) fn add_authors(
        &mut self,
        authors: &[&Author],
        crypto: &impl Crypto,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        // Only who proves to hold a key can dispute it; who just lists it, even as a former one of
        // theirs, takes it from nobody.
        let mut holders: BTreeMap<Fingerprint, BTreeSet<&Id>> = BTreeMap::new();
        for author in authors {
            for listed in &author.keys {
                if listed.verify(&self.origin, &author.id, crypto).is_ok() {
                    holders
                        .entry(crypto.fingerprint(&listed.key))
                        .or_default()
                        .insert(&author.id);
                }
            }
        }
        for author in authors {
            let all = author
                .keys
                .iter()
                .map(|key| &key.key)
                .chain(author.former.iter().map(|key| &key.key));
            for key in all {
                let fingerprint = crypto.fingerprint(key);
                let janitors = self
                    .keys
                    .get(&fingerprint)
                    .is_some_and(|key| self.id(key.person) != &author.id);
                let proven = holders.get(&fingerprint);
                if proven.is_some_and(|holders| holders.len() > 1) {
                    self.disputed.insert(fingerprint);
                }
                if janitors
                    || proven
                        .is_some_and(|holders| holders.iter().any(|holder| **holder != author.id))
                {
                    let detail = alloc::format!("the key {fingerprint} is somebody else's");
                    problems.push(Problem::new(
                        Code::SharedKey,
                        place::author(&author.id),
                        detail,
                    ));
                }
            }
        }
        // Keys that sign now go before former ones, so that these cannot take their place.
        for author in authors {
            problems.extend(self.add_current(author, crypto));
        }
        for author in authors {
            problems.extend(self.add_former(author, crypto));
        }
        problems
    }

    fn add_current(&mut self, author: &Author, crypto: &impl Crypto) -> Vec<Problem> {
        let mut problems = Vec::new();
        let place = place::author(&author.id);
        let person = self.person(&author.id);
        if author.retired {
            self.retired.insert(author.id.clone());
        }
        for listed in &author.keys {
            let fingerprint = crypto.fingerprint(&listed.key);
            if let Err(error) = crypto.accept(&listed.key) {
                problems.push(Problem::new(
                    Code::of_key(&error),
                    &place,
                    alloc::format!("{fingerprint}: {error}"),
                ));
            } else if listed.verify(&self.origin, &author.id, crypto).is_err() {
                let detail = alloc::format!("{} does not prove to hold {fingerprint}", author.id);
                problems.push(Problem::new(Code::BadProof, &place, detail));
            } else if !self.disputed.contains(&fingerprint) {
                self.add(person, &listed.key, Use::Current { janitor: false }, crypto);
            }
        }
        problems
    }

    fn add_former(&mut self, author: &Author, crypto: &impl Crypto) -> Vec<Problem> {
        let mut problems = Vec::new();
        let person = self.person(&author.id);
        for former in &author.former {
            let pages = former.pages.iter().copied().collect();
            if !self.add(
                person,
                &former.key,
                Use::Former {
                    janitor: false,
                    pages,
                },
                crypto,
            ) {
                let fingerprint = crypto.fingerprint(&former.key);
                let detail = alloc::format!("the key {fingerprint} is somebody else's");
                problems.push(Problem::new(
                    Code::SharedKey,
                    place::author(&author.id),
                    detail,
                ));
            }
        }
        problems
    }

    /// Adds approved teams; every member has to be a person. A stored team with the id of a person or of a stored
    /// author counts for nothing, approved or not.
    pub(crate) fn add_teams(&mut self, teams: &[&Team], metadata: &Metadata) -> Vec<Problem> {
        let is_author = |id: &Id| metadata.authors.contains_key(id);
        let mut problems = Vec::new();
        // Those of authors are found where names are compared.
        let persons = metadata
            .teams
            .keys()
            .filter(|id| self.by_id.contains_key(id));
        for id in persons.filter(|id| !is_author(id)) {
            let detail = alloc::format!("{id} is a person, and cannot be a team too");
            problems.push(Problem::new(Code::NameCollision, place::team(id), detail));
        }
        for team in teams {
            if self.by_id.contains_key(&team.id) || is_author(&team.id) {
                continue;
            }
            let mut members = Members::default();
            for member in &team.members {
                // Retired members sign nothing new; their accepted pages go on counting.
                if let Some(&person) = self.by_id.get(member) {
                    members.0.insert(person);
                } else {
                    let detail = alloc::format!("the member {member} is not there");
                    problems.push(Problem::new(
                        Code::UnknownOwner,
                        place::team(&team.id),
                        detail,
                    ));
                }
            }
            if team.retired {
                self.retired.insert(team.id.clone());
            }
            self.teams.insert(team.id.clone(), members);
        }
        problems
    }

    /// Judges what a page counts for, verifying its signature with the key it claims, as that key
    /// stands here. The signature of a page that is `known` was verified when the state before was.
    pub(crate) fn judge(&self, stored: &StoredPage, known: bool, crypto: &impl Crypto) -> Judged {
        let body = stored.page.body();
        let Some(&person) = self.by_id.get(body.signer()) else {
            return Judged::Inert("nobody of that id is known");
        };
        let Some(key) = self
            .keys
            .get(&body.key())
            .filter(|key| key.person == person)
        else {
            return Judged::Inert("the key is none of the signer's");
        };
        let revoked = self.revoked.contains(&body.key());
        let applies = |way: &Use| match way {
            Use::Current { janitor } => (!revoked).then_some(*janitor),
            Use::Former { janitor, pages } => pages.contains(&stored.digest).then_some(*janitor),
        };
        let uses: Vec<bool> = key.uses.iter().filter_map(applies).collect();
        if uses.is_empty() {
            return Judged::Inert(if revoked {
                "the key is revoked and the page not accepted"
            } else {
                "the key is a former one and the page not accepted"
            });
        }
        let verified = known
            || stored
                .page
                .verify(&self.origin, &key.public, crypto)
                .is_ok();
        if !verified {
            return Judged::Bad;
        }
        Judged::Counts(Voter {
            person,
            janitor: uses.contains(&true),
        })
    }

    /// The id of a person.
    pub fn id(&self, person: PersonIndex) -> &Id {
        self.ids
            .get(person.0 as usize)
            .expect("indices are made by this value only")
    }

    /// The person of an id, if anybody has it.
    pub fn find(&self, id: &Id) -> Option<PersonIndex> {
        self.by_id.get(id).copied()
    }

    /// The janitors of the head.
    pub fn janitors(&self) -> &BTreeSet<PersonIndex> {
        &self.janitors
    }

    /// Whose key has a fingerprint, if it may sign now.
    pub fn holder(&self, key: Fingerprint) -> Option<&Id> {
        let found = self
            .keys
            .get(&key)
            .filter(|_| !self.revoked.contains(&key))?;
        let current = found
            .uses
            .iter()
            .any(|way| matches!(way, Use::Current { .. }));
        current.then(|| self.id(found.person))
    }

    /// The owners named by an authorisation, members for teams, and what is wrong with it.
    pub(crate) fn owners(&self, authorisation: &Authorisation) -> (Owners, Vec<Problem>) {
        let mut owners = Owners::default();
        let mut problems = Vec::new();
        for owner in &authorisation.owners {
            if owner.is_janitors() {
                owners.janitors = true;
            } else if self.retired.contains(owner) {
                let detail = alloc::format!("the owner {owner} is retired");
                problems.push(Problem::new(
                    Code::Retired,
                    place::authorisation(&authorisation.package),
                    detail,
                ));
            } else if let Some(members) = self.teams.get(owner) {
                owners.people.extend(&members.0);
            } else if let Some(&person) = self.by_id.get(owner) {
                owners.people.insert(person);
            } else {
                let detail = alloc::format!("the owner {owner} is not there");
                problems.push(Problem::new(
                    Code::UnknownOwner,
                    place::authorisation(&authorisation.package),
                    detail,
                ));
            }
        }
        (owners, problems)
    }
}

/// The people who own a package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    /// Persons, members of owning teams among them.
    pub people: BTreeSet<PersonIndex>,
    /// Whether the team of all janitors is an owner.
    pub janitors: bool,
}
