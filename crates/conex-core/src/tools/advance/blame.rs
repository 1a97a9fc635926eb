//! Which pages have to wait, where the content that they approve is not there.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use crate::model::digest::Digest;
use crate::model::path::Path;
use crate::model::version::Version;
use crate::model::vouch::{Subject, Vouch};
use crate::state::approval::{Epoch, Rule, Vote};
use crate::state::people::Voter;
use crate::tree::metadata::StoredPage;
use crate::tree::problem::{Code, Problem};

use super::Signed;
use super::main_line::MainLine;
use super::waiting::Unit;

/// What to leave out in the next round.
#[derive(Debug, Default)]
pub(super) struct Remedy {
    /// Pages, each with the reason.
    pub(super) pages: BTreeMap<Path, Problem>,
    /// The newest root, with what would be wrong with it.
    pub(super) root: Option<Vec<Problem>>,
    /// Of two things that cannot stand in one tree the one that has to wait, or to make room.
    pub(super) crowded: BTreeMap<Unit, Problem>,
}

impl Remedy {
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty() && self.root.is_none() && self.crowded.is_empty()
    }

    /// Everything that is wrong.
    pub(super) fn reasons(&self) -> Vec<Problem> {
        let root = self.root.iter().flatten();
        let others = self.pages.values().chain(self.crowded.values());
        root.chain(others).cloned().collect()
    }

    /// Leaves out the newest root, for one more reason.
    pub(super) fn lower(&mut self, reasons: impl IntoIterator<Item = Problem>) {
        self.root.get_or_insert_default().extend(reasons);
    }
}

/// The new pages that count in a state, for whom, and what they say.
pub(super) struct Blame<'r> {
    signed: &'r Signed,
    main: &'r MainLine,
    pub(super) pages: Vec<(&'r StoredPage, Voter)>,
    /// Which of them speak of a name.
    speaking: BTreeMap<&'r str, Vec<usize>>,
}

/// One version of a statement, with the votes for it.
struct Ballot<'v> {
    rule: &'v Rule,
    version: Version,
    /// How often each person votes for a digest.
    votes: BTreeMap<Digest, BTreeMap<Voter, usize>>,
    approved: BTreeSet<Digest>,
}

/// A vote of a new page.
struct Candidate<'r> {
    page: &'r StoredPage,
    by: Voter,
    vouch: &'r Vouch,
}

impl<'r> Blame<'r> {
    pub(super) fn new(
        signed: &'r Signed,
        main: &'r MainLine,
        pages: Vec<(&'r StoredPage, Voter)>,
    ) -> Self {
        let mut speaking: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, (page, _)) in pages.iter().enumerate() {
            for name in main.subjects(signed, page).map(Subject::name) {
                let pages = speaking.entry(name).or_default();
                if pages.last() != Some(&at) {
                    pages.push(at);
                }
            }
        }
        Self {
            signed,
            main,
            pages,
            speaking,
        }
    }

    /// Leaves out pages until the newest of a statement is one of the contents that can be had, or
    /// is none; false where no new page made it what it is. Each content is given by its digests.
    ///
    /// Votes for content that is nowhere go first, whoever gave them and however much else they say: so
    /// nobody displaces an honest vote by one for nothing. Nor by overwriting what it is for: where two
    /// contents are approved, votes for what `was` there before go last. Of several pages that would do, the one
    /// goes that says least: so that least waits with it.
    pub(super) fn ahead(
        &self,
        rule: &Rule,
        (subject, votes): (&Subject, Vec<Vote>),
        (there, was): (&[Vec<Digest>], &dyn Fn(Digest) -> bool),
        remedy: &mut Remedy,
    ) -> bool {
        let mut ballots = Ballot::all(rule, votes, there);
        let mut candidates: BTreeMap<Version, Vec<Candidate<'r>>> = BTreeMap::new();
        for candidate in self.candidates(subject) {
            let version = candidate.vouch.version;
            if !remedy.pages.contains_key(&candidate.page.place) {
                candidates.entry(version).or_default().push(candidate);
            } else if let Some(ballot) = ballots.get_mut(&version) {
                ballot.take_back(&candidate);
            }
        }
        while let Some((version, mut ballot)) = ballots.pop_last() {
            let mut candidates = candidates.remove(&version).unwrap_or_default();
            let is_double = ballot.approved.len() > 1;
            let rank = |digest: Digest| {
                if there.iter().any(|content| content.contains(&digest)) {
                    1
                } else if is_double && was(digest) {
                    2
                } else {
                    0
                }
            };
            candidates.sort_by_cached_key(|candidate| {
                let size = self.main.size(self.signed, candidate.page);
                let rank = rank(candidate.vouch.digest);
                (rank, size, candidate.page.place.clone())
            });
            for candidate in candidates {
                if ballot.is_decided(there) {
                    break;
                }
                if ballot.approved.contains(&candidate.vouch.digest) {
                    let problem = ballot.problem(&candidate.page.place, subject);
                    ballot.take_back(&candidate);
                    remedy.pages.insert(candidate.page.place.clone(), problem);
                }
            }
            if !ballot.approved.is_empty() {
                return ballot.is_decided(there);
            }
        }
        true
    }

    /// What new pages say of a statement.
    fn candidates<'s>(&'s self, subject: &'s Subject) -> impl Iterator<Item = Candidate<'r>> {
        self.of_name(subject.name()).flat_map(move |(page, by)| {
            let said = self.main.said_of(self.signed, page, subject.name());
            let said = said.filter(move |vouch| vouch.subject == *subject);
            said.map(move |vouch| Candidate { page, by, vouch })
        })
    }

    /// The new pages that speak of a name, each with who it counts for.
    fn of_name(&self, name: &str) -> impl Iterator<Item = (&'r StoredPage, Voter)> {
        let found = self.speaking.get(name).into_iter().flatten();
        found.filter_map(|at| self.pages.get(*at).copied())
    }

    /// The new pages that speak of something of a name.
    pub(super) fn speaking(
        &self,
        name: &str,
        of: impl Fn(&Subject) -> bool,
    ) -> impl Iterator<Item = &'r StoredPage> {
        let pages = self.of_name(name).map(|(page, _)| page);
        pages.filter(move |page| {
            let mut said = self.main.said_of(self.signed, page, name);
            said.any(|vouch| of(&vouch.subject))
        })
    }
}

impl<'v> Ballot<'v> {
    /// The votes by their versions. A vote for content that is there, under an epoch that is not the one of
    /// this content, is no vote.
    fn all(rule: &'v Rule, votes: Vec<Vote>, there: &[Vec<Digest>]) -> BTreeMap<Version, Self> {
        let (Epoch::Only(epoch) | Epoch::Sets(epoch)) = rule.epoch;
        let misfits = |vote: &Vote| {
            vote.version.epoch() != epoch && there.iter().any(|it| it.contains(&vote.digest))
        };
        let mut ballots: BTreeMap<Version, Self> = BTreeMap::new();
        for vote in votes.into_iter().filter(|vote| !misfits(vote)) {
            let ballot = ballots.entry(vote.version).or_insert_with(|| Self {
                rule,
                version: vote.version,
                votes: BTreeMap::new(),
                approved: BTreeSet::new(),
            });
            let votes = ballot.votes.entry(vote.digest).or_default();
            *votes.entry(vote.voter).or_default() += 1;
        }
        for ballot in ballots.values_mut() {
            let digests: Vec<Digest> = ballot.votes.keys().copied().collect();
            for digest in digests {
                ballot.count(digest);
            }
        }
        ballots
    }

    /// Asks the rule whether a digest is approved in this version.
    fn count(&mut self, digest: Digest) {
        let people = self.votes.get(&digest).into_iter().flatten();
        let votes: Vec<Vote> = people
            .map(|(voter, _)| Vote {
                version: self.version,
                digest,
                voter: *voter,
            })
            .collect();
        if self.rule.approved(&votes).is_empty() {
            self.approved.remove(&digest);
        } else {
            self.approved.insert(digest);
        }
    }

    fn take_back(&mut self, candidate: &Candidate<'_>) {
        let digest = candidate.vouch.digest;
        let Some(voters) = self.votes.get_mut(&digest) else {
            return;
        };
        match voters.get_mut(&candidate.by) {
            Some(times) if *times > 1 => *times -= 1,
            Some(_) => {
                voters.remove(&candidate.by);
                self.count(digest);
            }
            None => {}
        }
    }

    /// Whether nothing is approved in this version, or one of the contents and nothing else.
    fn is_decided(&self, there: &[Vec<Digest>]) -> bool {
        let is_it =
            |content: &Vec<Digest>| self.approved.iter().all(|digest| content.contains(digest));
        self.approved.is_empty() || there.iter().any(is_it)
    }

    /// Why a page waits that votes for something approved in this version.
    fn problem(&self, place: &Path, subject: &Subject) -> Problem {
        let version = self.version;
        let (code, detail) = if self.approved.len() > 1 {
            (
                Code::Equivocation,
                format!("version {version} is approved with two different contents"),
            )
        } else {
            (
                Code::Ahead,
                format!("approves version {version}, whose content is not there to be taken"),
            )
        };
        Problem::new(code, place, detail).about(subject)
    }
}
