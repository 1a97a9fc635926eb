//! The index: every vouch of every counting page, by subject (spec section 6).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use crate::model::digest::Digest;
use crate::model::page::BatchRef;
use crate::model::vouch::{Subject, Vouch};
use crate::state::approval::{ApprovedVersion, Vote};
use crate::state::baseline::Floors;
use crate::state::people::{Judged, Voter};
use crate::state::scope::Scope;
use crate::tree::metadata::{Metadata, place};
use crate::tree::problem::{Code, Problem};

/// Vouches by subject. Borrowed from the metadata: nothing is copied.
#[derive(Debug)]
pub(crate) struct Index<'m> {
    /// Sorted by subject.
    entries: Vec<(&'m Vouch, usize)>,
    /// Where the entries of each name begin, sorted by name.
    names: Vec<(&'m str, usize)>,
    /// Who stands behind the entries of each source: one page, or all pages that name a batch.
    sources: Vec<Vec<Voter>>,
    /// What clients have, where a main line has to be above it.
    floors: Option<&'m Floors>,
}

impl<'m> Index<'m> {
    /// Collects the vouches of counting pages whose subject is wanted and in scope, from the batches that were read
    /// for it.
    ///
    /// `judged` says of each page of the metadata, in order, what it counts for.
    pub(crate) fn new(
        metadata: &'m Metadata,
        judged: &[Judged],
        scope: &Scope,
        wanted: impl Fn(&Subject) -> bool,
    ) -> (Self, Vec<Problem>) {
        let wanted = |subject: &Subject| wanted(subject) && scope.concerns(subject);
        let mut problems = Vec::new();
        let mut index = Self {
            entries: Vec::new(),
            names: Vec::new(),
            sources: Vec::new(),
            floors: None,
        };
        let mut voters_of: BTreeMap<Digest, Vec<Voter>> = BTreeMap::new();
        for (stored, judged) in metadata.pages.iter().zip(judged) {
            let Judged::Counts(voter) = judged else {
                continue;
            };
            let body = stored.page.body();
            index.push(body.vouches(), alloc::vec![*voter], &wanted);
            for reference in scope.batches(stored) {
                let Some(vouches) = metadata.batch(reference.digest()) else {
                    let detail =
                        format!("names the batch {}, which is not there", reference.digest());
                    problems.push(Problem::new(Code::BatchMissing, &stored.place, detail));
                    continue;
                };
                match reference.first_outside(vouches) {
                    None => voters_of
                        .entry(reference.digest())
                        .or_default()
                        .push(*voter),
                    Some(vouch) => {
                        let detail = format!(
                            "the batch {} speaks of {}, outside the range this page states",
                            reference.digest(),
                            vouch.subject.name()
                        );
                        problems.push(Problem::new(Code::BatchRange, &stored.place, detail));
                    }
                }
            }
        }
        let mut batches: Vec<(&[Vouch], Vec<Voter>)> = voters_of
            .into_iter()
            .filter_map(|(digest, mut voters)| {
                // A person counts once, in however many pages: a batch costs what it holds, not
                // that times the pages that name it.
                voters.sort_unstable();
                voters.dedup();
                Some((metadata.batch(digest)?, voters))
            })
            .collect();
        // Batches of one author do not overlap: in this order they are one sorted run.
        batches.sort_by(|a, b| a.0.first().cmp(&b.0.first()));
        for (vouches, voters) in batches {
            index.push(vouches, voters, &wanted);
        }
        index.order();
        (index, problems)
    }

    /// Has content judged by what clients have, too.
    pub(crate) fn set_floors(&mut self, floors: Option<&'m Floors>) {
        self.floors = floors;
    }

    /// The version of a statement that clients have.
    pub(crate) fn floor(&self, subject: &Subject) -> Option<&'m ApprovedVersion> {
        self.floors?.of(subject)
    }

    /// What clients have of everything.
    pub(crate) fn floors(&self) -> Option<&'m Floors> {
        self.floors
    }

    /// Adds vouches that nobody published yet, as if each of these voters had.
    pub(crate) fn assume(&mut self, vouches: &'m [Vouch], voters: Vec<Voter>) {
        if voters.is_empty() || vouches.is_empty() {
            return;
        }
        self.push(vouches, voters, &|_| true);
        self.order();
    }

    fn order(&mut self) {
        self.entries.sort_by(|a, b| a.0.subject.cmp(&b.0.subject));
        self.names.clear();
        for (at, (vouch, _)) in self.entries.iter().enumerate() {
            let name = vouch.subject.name();
            if self.names.last().is_none_or(|(last, _)| *last != name) {
                self.names.push((name, at));
            }
        }
    }

    /// A note for each batch that no counting page names, nor the floor of the head.
    pub(crate) fn unused(
        metadata: &Metadata,
        judged: &[Judged],
        floor: &[BatchRef],
    ) -> Vec<Problem> {
        let counting = metadata
            .pages
            .iter()
            .zip(judged)
            .filter(|(_, judged)| matches!(judged, Judged::Counts(_)));
        // Of a part, few batches are read whole, and pages name many.
        let mut unused: BTreeSet<Digest> = metadata.batches.keys().copied().collect();
        let pages = counting.flat_map(|(stored, _)| stored.page.body().batches());
        for reference in pages.chain(floor) {
            unused.remove(&reference.digest());
        }
        unused
            .into_iter()
            .map(|digest| {
                Problem::new(
                    Code::UnusedBatch,
                    place::batch(digest),
                    "no counting page names it",
                )
            })
            .collect()
    }

    fn push(
        &mut self,
        vouches: &'m [Vouch],
        voters: Vec<Voter>,
        wanted: &impl Fn(&Subject) -> bool,
    ) {
        let source = self.sources.len();
        self.sources.push(voters);
        self.entries.extend(
            vouches
                .iter()
                .filter(|vouch| wanted(&vouch.subject))
                .map(|vouch| (vouch, source)),
        );
    }

    /// All that is said of a name.
    pub(crate) fn named(&self, name: &str) -> Said<'_, 'm> {
        let entries = match self.names.binary_search_by(|(other, _)| (*other).cmp(name)) {
            Ok(at) => {
                let begin =
                    |at: usize| self.names.get(at).map_or(self.entries.len(), |name| name.1);
                self.entries
                    .get(begin(at)..begin(at + 1))
                    .unwrap_or_default()
            }
            Err(_) => &[],
        };
        Said {
            entries,
            sources: &self.sources,
        }
    }

    /// The names that anything is said of, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'m str> {
        self.names.iter().map(|(name, _)| *name)
    }

    /// All there is.
    pub(crate) fn all(&self) -> Said<'_, 'm> {
        Said {
            entries: &self.entries,
            sources: &self.sources,
        }
    }
}

/// Vouches for one name, or a range of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'i, 'm> {
    entries: &'i [(&'m Vouch, usize)],
    sources: &'i [Vec<Voter>],
}

impl<'i, 'm> Said<'i, 'm> {
    /// The votes on one subject.
    pub(crate) fn of(&self, subject: &Subject) -> Vec<Vote> {
        let start = self
            .entries
            .partition_point(|(vouch, _)| vouch.subject < *subject);
        self.entries
            .iter()
            .skip(start)
            .take_while(|(vouch, _)| vouch.subject == *subject)
            .flat_map(|(vouch, source)| {
                let voters = self
                    .sources
                    .get(*source)
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                voters.iter().map(|voter| Vote {
                    version: vouch.version,
                    digest: vouch.digest,
                    voter: *voter,
                })
            })
            .collect()
    }

    /// What is said of these in one breath: by one page, or in one batch.
    pub(crate) fn together(self) -> impl Iterator<Item = Vec<&'m Vouch>> {
        let mut sources: BTreeMap<usize, Vec<&'m Vouch>> = BTreeMap::new();
        for (vouch, source) in self.entries {
            sources.entry(*source).or_default().push(vouch);
        }
        sources.into_values()
    }

    /// The subjects spoken of, each once, sorted.
    pub(crate) fn subjects(self) -> impl Iterator<Item = &'m Subject> + use<'i, 'm> {
        self.entries
            .chunk_by(|a, b| a.0.subject == b.0.subject)
            .filter_map(|group| group.first().map(|(vouch, _)| &vouch.subject))
    }
}
