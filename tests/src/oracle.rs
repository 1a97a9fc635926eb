//! The transitions of an update, written down once more and naively, to hold the verifier against.
//!
//! Shares no judgement with the verifier: it counts votes on its own, from the parsed files of two
//! states of which each is in order by itself.

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::crypto::Digests as _;
use conex_core::model::digest::{Context, Digest};
use conex_core::model::encoding;
use conex_core::model::key::Fingerprint;
use conex_core::model::name::PackageName;
use conex_core::model::statement::{Author, Authorisation, Root, Team};
use conex_core::model::version::Version;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::tree::content::Releases;
use conex_core::verify::Report;
use conex_crypto::StandardCrypto;

/// Somebody says something.
struct Vote {
    vouch: Vouch,
    who: String,
    janitor: bool,
    key: Fingerprint,
}

/// A state that is in order by itself.
struct State<'r> {
    report: &'r Report,
    root: &'r Root,
    votes: Vec<Vote>,
}

fn print(key: &conex_core::model::key::PublicKey) -> Fingerprint {
    StandardCrypto.fingerprint(key)
}

impl<'r> State<'r> {
    fn of(report: &'r Report) -> Option<Self> {
        let root = report.head.as_ref()?.root();
        let mut votes = Vec::new();
        for page in &report.metadata().pages {
            let body = page.page.body();
            let (who, key) = (body.signer(), body.key());
            let current = root
                .janitors
                .iter()
                .filter(|janitor| janitor.id == *who)
                .any(|janitor| janitor.keys.iter().any(|listed| print(listed) == key));
            let accepted = root.former.iter().any(|former| {
                former.id == *who
                    && print(&former.former.key) == key
                    && former.former.pages.contains(&page.digest)
            });
            let author = report.metadata().authors.get(who);
            let signs = author
                .is_some_and(|author| author.keys.iter().any(|listed| print(&listed.key) == key));
            let signed = author.is_some_and(|author| {
                author
                    .former
                    .iter()
                    .any(|old| print(&old.key) == key && old.pages.contains(&page.digest))
            });
            let revoked = root.revoked.contains(&key);
            let janitor = (current && !revoked) || accepted;
            let counts = janitor || signed || (signs && !revoked);
            if !counts {
                continue;
            }
            let batches = body.batches().iter();
            let batches = batches.flat_map(|batch| {
                let batch = report.metadata().batches.get(&batch.digest());
                batch
                    .map(|batch| batch.vouches().to_vec())
                    .unwrap_or_default()
            });
            for vouch in body.vouches().iter().cloned().chain(batches) {
                votes.push(Vote {
                    vouch,
                    who: who.to_string(),
                    janitor,
                    key,
                });
            }
        }
        Some(Self {
            report,
            root,
            votes,
        })
    }

    fn claim(&self, package: &PackageName) -> Option<&Authorisation> {
        self.report.metadata().authorisations.get(package)
    }

    /// Whether these votes, which agree, approve.
    fn approves(&self, subject: &Subject, votes: &[&Vote]) -> bool {
        let janitors: BTreeSet<&str> = votes
            .iter()
            .filter(|vote| vote.janitor)
            .map(|vote| vote.who.as_str())
            .collect();
        let quorum = self.root.quorum.people();
        let (upkeep, unclaimed) = (self.root.upkeep.people(), self.root.unclaimed.people());
        let claim = subject.package().and_then(|package| self.claim(package));
        let needed = match (subject, claim) {
            (Subject::Releases(_), None) => unclaimed,
            (Subject::Checksums(..), None) => unclaimed.min(upkeep),
            (Subject::Checksums(..), Some(_)) => upkeep,
            _ => quorum,
        };
        if janitors.len() >= needed {
            return true;
        }
        let (Subject::Releases(_) | Subject::Checksums(..), Some(claim)) = (subject, claim) else {
            return false;
        };
        if claim.retired {
            return false;
        }
        let owns = |vote: &&&Vote| {
            claim.owners.iter().any(|owner| {
                let team = self.report.metadata().teams.get(owner);
                owner.as_str() == vote.who
                    || (owner.is_janitors() && vote.janitor)
                    || team.is_some_and(|team: &Team| {
                        team.members
                            .iter()
                            .any(|member| member.as_str() == vote.who)
                    })
            })
        };
        let owners: BTreeSet<&str> = votes
            .iter()
            .filter(owns)
            .map(|vote| vote.who.as_str())
            .collect();
        owners.len() >= claim.threshold.people()
    }

    /// The greatest approved version of a statement, without votes under these keys.
    fn newest(
        &self,
        subject: &Subject,
        without: &BTreeSet<Fingerprint>,
    ) -> Option<(Version, Digest)> {
        let mut said: BTreeMap<(Version, Digest), Vec<&Vote>> = BTreeMap::new();
        for vote in &self.votes {
            let version = vote.vouch.version;
            let fits = match subject {
                Subject::Authorisation(package) => {
                    let stored = self.stored(subject);
                    stored != Some(vote.vouch.digest)
                        || self.claim(package).map(|claim| claim.epoch) == Some(version.epoch())
                }
                Subject::Releases(package) | Subject::Checksums(package, _) => {
                    version.epoch() == self.epoch(package)
                }
                _ => version.epoch() == 0,
            };
            if vote.vouch.subject == *subject && fits && !without.contains(&vote.key) {
                said.entry((version, vote.vouch.digest))
                    .or_default()
                    .push(vote);
            }
        }
        let mut approved = said
            .iter()
            .rev()
            .filter(|(_, votes)| self.approves(subject, votes));
        approved.next().map(|(approved, _)| *approved)
    }

    fn epoch(&self, package: &PackageName) -> u32 {
        self.claim(package).map_or(0, |claim| claim.epoch)
    }

    fn stored(&self, subject: &Subject) -> Option<Digest> {
        let finding = self.report.findings.iter();
        let mut finding = finding.filter(|found| found.subject == *subject && found.present);
        finding.next().map(|found| found.digest)
    }

    fn is_there(&self, subject: &Subject) -> bool {
        self.stored(subject).is_some()
    }

    fn subjects(&self) -> BTreeSet<&Subject> {
        self.votes.iter().map(|vote| &vote.vouch.subject).collect()
    }

    fn is_gone(&self, package: &PackageName, digest: Digest) -> bool {
        let none = Releases {
            package: package.clone(),
            releases: Vec::new(),
        };
        encoding::digest(&StandardCrypto, Context::Releases, &self.root.origin, &none) == digest
    }
}

/// Whether a state may become another one. Both are in order by themselves, and the roots of the
/// one extend those of the other.
///
/// # Panics
/// When one of them has no head.
pub fn may_become(before: &Report, after: &Report) -> bool {
    let (Some(before), Some(after)) = (State::of(before), State::of(after)) else {
        panic!("states in order have heads");
    };
    let old: BTreeSet<Fingerprint> = before.root.revoked.iter().copied().collect();
    let new: BTreeSet<Fingerprint> = after.root.revoked.iter().copied().collect();
    let void: BTreeSet<Fingerprint> = new.difference(&old).copied().collect();
    let none = BTreeSet::new();

    let (was, is) = (&before.report.metadata(), &after.report.metadata());
    let authors = was.authors.keys().all(|id| is.authors.contains_key(id));
    let teams = was.teams.keys().all(|id| is.teams.contains_key(id));
    let mut claims = was.authorisations.keys();
    if !authors || !teams || !claims.all(|name| is.authorisations.contains_key(name)) {
        return false;
    }
    let revived = |author: &Author| {
        author.retired && is.authors.get(&author.id).is_some_and(|now| !now.retired)
    };
    if was.authors.values().any(revived) {
        return false;
    }
    for subject in before.subjects() {
        let Some(_) = before.newest(subject, &none) else {
            continue;
        };
        let (floor, now) = (before.newest(subject, &void), after.newest(subject, &none));
        let is_fine = match subject {
            Subject::Repository => {
                now.is_some() && floor.is_none_or(|floor| now == Some(floor) || later(now, floor))
            }
            Subject::Author(_) | Subject::Team(_) | Subject::Authorisation(_) => {
                floor.is_none_or(|floor| now == Some(floor) || later(now, floor))
            }
            Subject::Releases(package) | Subject::Checksums(package, _) => {
                let claimed = after.claim(package).is_some();
                let mut others = after.subjects().into_iter();
                let signed = claimed
                    || others.any(|other| {
                        other.package() == Some(package) && after.newest(other, &none).is_some()
                    });
                let present = after.is_there(&Subject::Releases(package.clone()));
                let excused = after.claim(package).is_some_and(|claim| claim.retired)
                    || match floor {
                        None => true,
                        Some(floor) => {
                            after.epoch(package) > floor.0.epoch()
                                || match subject {
                                    Subject::Checksums(..) => !after.is_there(subject),
                                    _ => !present && after.is_gone(package, floor.1),
                                }
                        }
                    };
                (signed || !present)
                    && (excused
                        || floor.is_none_or(|floor| now == Some(floor) || later(now, floor)))
            }
        };
        if !is_fine {
            return false;
        }
    }
    true
}

fn later(now: Option<(Version, Digest)>, floor: (Version, Digest)) -> bool {
    now.is_some_and(|now| now.0 > floor.0)
}
