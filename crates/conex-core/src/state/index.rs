//! The index: every vouch of every counting page, by subject (spec section 6).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::model::digest::Digest;
use crate::model::page::BatchRef;
use crate::model::vouch::{Subject, Vouch};
use crate::state::approval::Vote;
use crate::state::people::{Judged, Voter};
use crate::state::scope::Scope;
use crate::tree::metadata::{Metadata, place};
use crate::tree::problem::{Code, Problem};

/// Vouches by subject. It shares them with the metadata, by position: nothing is copied.
#[derive(Debug)]
pub(crate) struct Index {
    /// Sorted by subject.
    entries: Vec<Entry>,
    /// Where the entries of each name begin, sorted by name.
    names: Vec<usize>,
    sources: Vec<Source>,
}

/// A vouch, by its position.
#[derive(Debug, Clone, Copy)]
struct Entry {
    source: u32,
    at: u32,
}

/// Vouches with who stands behind them: the signer of a page, or of all pages that name a batch.
#[derive(Debug)]
struct Source {
    vouches: Arc<Vec<Vouch>>,
    voters: Vec<Voter>,
}

/// The vouch at a position.
fn vouch(sources: &[Source], entry: Entry) -> &Vouch {
    sources
        .get(entry.source as usize)
        .and_then(|source| source.vouches.get(entry.at as usize))
        .expect("entries are positions of vouches in the sources of their index")
}

impl Index {
    /// Collects the vouches of counting pages whose subject is wanted and in scope, from the batches that were read
    /// for it.
    ///
    /// `judged` says of each page of the metadata, in order, what it counts for.
    pub(crate) fn new(
        metadata: &Metadata,
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
        };
        let mut voters_of: BTreeMap<Digest, Vec<Voter>> = BTreeMap::new();
        for (stored, judged) in metadata.pages.iter().zip(judged) {
            let Judged::Counts(voter) = judged else {
                continue;
            };
            let body = stored.page.body();
            index.push(body.shared(), alloc::vec![*voter], &wanted);
            for reference in scope.batches(stored) {
                let Some(vouches) = metadata.batch(reference.digest()) else {
                    let detail =
                        format!("names the batch {}, which is not there", reference.digest());
                    problems.push(Problem::new(Code::BatchMissing, &stored.place, detail));
                    continue;
                };
                match reference.first_outside(&vouches) {
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
        let mut batches: Vec<(Arc<Vec<Vouch>>, Vec<Voter>)> = voters_of
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

    /// Adds vouches that nobody published yet, as if each of these voters had.
    pub(crate) fn assume(&mut self, vouches: Arc<Vec<Vouch>>, voters: Vec<Voter>) {
        if voters.is_empty() || vouches.is_empty() {
            return;
        }
        self.push(vouches, voters, &|_| true);
        self.order();
    }

    fn order(&mut self) {
        let sources = &self.sources;
        let subject = |entry: &Entry| &vouch(sources, *entry).subject;
        self.entries.sort_by(|a, b| subject(a).cmp(subject(b)));
        self.names.clear();
        let mut last = None;
        for (at, entry) in self.entries.iter().enumerate() {
            let name = subject(entry).name();
            if last != Some(name) {
                self.names.push(at);
                last = Some(name);
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
        vouches: Arc<Vec<Vouch>>,
        voters: Vec<Voter>,
        wanted: &impl Fn(&Subject) -> bool,
    ) {
        let position =
            |at: usize| u32::try_from(at).expect("limits keep the vouches far below four billion");
        let source = position(self.sources.len());
        let entry = |(at, _)| Entry {
            source,
            at: position(at),
        };
        let wanted = vouches
            .iter()
            .enumerate()
            .filter(|(_, vouch)| wanted(&vouch.subject));
        self.entries.extend(wanted.map(entry));
        self.sources.push(Source { vouches, voters });
    }

    /// All vouches for statements about a name.
    pub(crate) fn named(&self, name: &str) -> Said<'_> {
        let of = |start: &usize| {
            let entry = self.entries.get(*start);
            entry.map_or("", |entry| vouch(&self.sources, *entry).subject.name())
        };
        let entries = match self.names.binary_search_by(|start| of(start).cmp(name)) {
            Ok(at) => {
                let begin = |at: usize| self.names.get(at).copied().unwrap_or(self.entries.len());
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

    /// The votes on a statement.
    pub(crate) fn votes(&self, subject: &Subject) -> Vec<Vote> {
        self.named(subject.name()).of(subject)
    }

    /// The names that any vouch is about, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let first = self.names.iter().filter_map(|at| self.entries.get(*at));
        first.map(|entry| vouch(&self.sources, *entry).subject.name())
    }

    /// All vouches.
    pub(crate) fn all(&self) -> Said<'_> {
        Said {
            entries: &self.entries,
            sources: &self.sources,
        }
    }
}

/// The vouches for statements about one name, or about all names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'i> {
    entries: &'i [Entry],
    sources: &'i [Source],
}

impl<'i> Said<'i> {
    /// The votes on one subject.
    pub(crate) fn of(&self, subject: &Subject) -> Vec<Vote> {
        let vouch = |entry: &Entry| vouch(self.sources, *entry);
        let start = self
            .entries
            .partition_point(|entry| vouch(entry).subject < *subject);
        self.entries
            .iter()
            .skip(start)
            .map(|entry| (vouch(entry), entry.source))
            .take_while(|(vouch, _)| vouch.subject == *subject)
            .flat_map(|(vouch, source)| {
                let source = self.sources.get(source as usize);
                let voters = source.into_iter().flat_map(|source| &source.voters);
                voters.map(|voter| Vote {
                    version: vouch.version,
                    digest: vouch.digest,
                    voter: *voter,
                })
            })
            .collect()
    }

    /// The vouches of each page and each batch, together.
    pub(crate) fn together(self) -> impl Iterator<Item = Vec<&'i Vouch>> {
        let mut sources: BTreeMap<u32, Vec<&'i Vouch>> = BTreeMap::new();
        for entry in self.entries {
            let vouches = sources.entry(entry.source).or_default();
            vouches.push(vouch(self.sources, *entry));
        }
        sources.into_values()
    }

    /// The subjects of the vouches, each once, sorted.
    pub(crate) fn subjects(self) -> impl Iterator<Item = &'i Subject> + use<'i> {
        let subject = |entry: &Entry| &vouch(self.sources, *entry).subject;
        self.entries
            .chunk_by(move |a, b| subject(a) == subject(b))
            .filter_map(move |group| group.first().map(subject))
    }
}
