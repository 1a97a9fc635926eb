//! Who is who, and what a page counts for (section 3.3).

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::crypto::{BadKey, Crypto, Namespace};
use conex_core::model::digest::Digest;
use conex_core::model::key::{Fingerprint, PublicKey};
use conex_core::model::name::{Id, Origin};
use conex_core::model::statement::{Author, Root};
use conex_core::tree::problem::Code;

use super::Found;
use super::stored::StoredPage;

/// How a key belongs to a person.
#[derive(Debug, Clone)]
struct Way {
    person: Id,
    janitor: bool,
    /// The accepted pages of a former key; none of a current one.
    accepted: Option<BTreeSet<Digest>>,
}

/// Everybody who is known, with their keys.
#[derive(Debug, Clone, Default)]
pub(super) struct People {
    pub(super) persons: BTreeSet<Id>,
    pub(super) janitors: BTreeSet<Id>,
    ways: BTreeMap<Fingerprint, Vec<Way>>,
    keys: BTreeMap<Fingerprint, PublicKey>,
    revoked: BTreeSet<Fingerprint>,
}

/// What a page counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    Inert,
    BadSignature,
    As { janitor: bool },
}

impl People {
    /// The people of the head alone.
    pub(super) fn of_head(root: &Root, crypto: &impl Crypto) -> Self {
        let mut people = Self {
            revoked: root.revoked.iter().copied().collect(),
            ..Self::default()
        };
        for janitor in &root.janitors {
            people.persons.insert(janitor.id.clone());
            people.janitors.insert(janitor.id.clone());
            for key in &janitor.keys {
                people.add(key, &janitor.id, true, None, crypto);
            }
        }
        for former in &root.former {
            people.persons.insert(former.id.clone());
            let pages = former.former.pages.iter().copied().collect();
            people.add(&former.former.key, &former.id, true, Some(pages), crypto);
        }
        people
    }

    fn add(
        &mut self,
        key: &PublicKey,
        person: &Id,
        janitor: bool,
        accepted: Option<BTreeSet<Digest>>,
        crypto: &impl Crypto,
    ) {
        let fingerprint = crypto.fingerprint(key);
        self.keys.insert(fingerprint, key.clone());
        self.ways.entry(fingerprint).or_default().push(Way {
            person: person.clone(),
            janitor,
            accepted,
        });
    }

    /// Whether a key belongs to somebody else by the head.
    fn is_a_janitors(&self, key: Fingerprint, other_than: &Id) -> bool {
        let ways = self.ways.get(&key).into_iter().flatten();
        ways.filter(|way| way.janitor)
            .any(|way| way.person != *other_than)
    }

    /// What a page counts for, steps 1 to 4.
    pub(super) fn judge(&self, origin: &Origin, page: &StoredPage, it: &impl Crypto) -> Counts {
        let body = page.page.body();
        let ways = self.ways.get(&body.key()).into_iter().flatten();
        let applies = |way: &&Way| match &way.accepted {
            None => !self.revoked.contains(&body.key()),
            Some(pages) => pages.contains(&page.digest),
        };
        let ways = ways
            .filter(|way| way.person == *body.signer())
            .filter(applies);
        let ways: Vec<&Way> = ways.collect();
        let Some(key) = self.keys.get(&body.key()).filter(|_| !ways.is_empty()) else {
            return Counts::Inert;
        };
        let message = body.message(origin);
        match it.verify(key, Namespace::Page, &message, page.page.signature()) {
            Ok(()) => Counts::As {
                janitor: ways.iter().any(|way| way.janitor),
            },
            Err(_) => Counts::BadSignature,
        }
    }
}

/// Gives approved authors their keys, and says what is wrong with these.
pub(super) fn with_authors(
    head: &People,
    origin: &Origin,
    authors: &[&Author],
    crypto: &impl Crypto,
) -> (People, Found) {
    let (mut people, mut problems) = (head.clone(), Found::new());
    let mut proven: BTreeMap<Fingerprint, BTreeSet<&Id>> = BTreeMap::new();
    for author in authors {
        people.persons.insert(author.id.clone());
        for key in &author.keys {
            if crypto.accept(&key.key).is_ok() && key.verify(origin, &author.id, crypto).is_ok() {
                let holders = proven.entry(crypto.fingerprint(&key.key)).or_default();
                holders.insert(&author.id);
            }
        }
    }
    let is_proven_by_another = |key: Fingerprint, id: &Id| {
        let holders = proven.get(&key).into_iter().flatten();
        holders.into_iter().any(|holder| *holder != id)
    };
    for author in authors {
        let place = format!("conex/authors/{}.toml", author.id);
        for listed in &author.keys {
            let fingerprint = crypto.fingerprint(&listed.key);
            let shared = head.is_a_janitors(fingerprint, &author.id)
                || is_proven_by_another(fingerprint, &author.id);
            let wrong = match crypto.accept(&listed.key) {
                Err(BadKey::Unsupported(_)) => Some(Code::Upgrade),
                Err(_) => Some(Code::BadKey),
                Ok(()) => {
                    let proof = listed.verify(origin, &author.id, crypto);
                    proof.is_err().then_some(Code::BadProof)
                }
            };
            if shared {
                problems.insert((Code::SharedKey, place.clone()));
            }
            if let Some(code) = wrong {
                problems.insert((code, place.clone()));
            }
            if !shared && wrong.is_none() {
                people.add(&listed.key, &author.id, false, None, crypto);
            }
        }
    }
    let mut listed_as_former: BTreeMap<Fingerprint, &Id> = BTreeMap::new();
    for author in authors {
        for former in &author.former {
            let fingerprint = crypto.fingerprint(&former.key);
            let first = *listed_as_former.entry(fingerprint).or_insert(&author.id);
            let shared = head.is_a_janitors(fingerprint, &author.id)
                || is_proven_by_another(fingerprint, &author.id)
                || *first != author.id;
            if shared {
                let place = format!("conex/authors/{}.toml", author.id);
                problems.insert((Code::SharedKey, place));
            } else {
                let pages = former.pages.iter().copied().collect();
                people.add(&former.key, &author.id, false, Some(pages), crypto);
            }
        }
    }
    (people, problems)
}
