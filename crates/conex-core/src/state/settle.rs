//! Who is who in a state, whose pages count, and who owns what (spec section 8, steps 2 to 4).
//!
//! Verification and forecasts both come through here: what a page counts for is decided once.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::limits;
use crate::model::name::Id;
use crate::model::statement::Root;
use crate::model::vouch::Vouch;
use crate::state::baseline::Floors;
use crate::state::finding::Finding;
use crate::state::index::Index;
use crate::state::judge::Judge;
use crate::state::ownership::Ownership;
use crate::state::people::{Judged, People, Voter};
use crate::state::scope::Scope;
use crate::tree::metadata::{Metadata, StoredPage};
use crate::tree::problem::{Code, Problem};
use crate::tree::store::Workers;

/// A state of which the head and the metadata are known.
pub(crate) struct State<'a, 'm, C, W> {
    pub(crate) root: &'a Root,
    pub(crate) metadata: &'m Metadata,
    /// Vouches that nobody published, and that are taken as given; none when verifying.
    pub(crate) assumed: &'m [Assumed],
    /// What clients have, where this is a main line that has to be above it.
    pub(crate) floors: Option<&'m Floors>,
    pub(crate) crypto: &'a C,
    pub(crate) workers: &'a W,
    pub(crate) ahead: bool,
    /// How much of the state was read.
    pub(crate) scope: &'a Scope,
    /// Whether it was verified before: its signatures need not be verified again.
    pub(crate) verified: bool,
}

/// Vouches that somebody might give.
pub(crate) struct Assumed {
    pub(crate) by: Vec<Id>,
    pub(crate) vouches: Vec<Vouch>,
}

/// A community, settled: everything that content is judged by.
pub(crate) struct Settled<'m> {
    pub(crate) people: People,
    /// Every vouch of every page that counts.
    pub(crate) index: Index<'m>,
    pub(crate) ownership: Ownership<'m>,
    /// What was found of authors, teams and authorisations.
    pub(crate) findings: Vec<Finding>,
    pub(crate) problems: Vec<Problem>,
    /// What each page counts for, in the order of the metadata.
    pub(crate) judged: Vec<Judged>,
    /// How many pages count.
    pub(crate) pages: usize,
}

impl<'m, C: Crypto, W: Workers> State<'_, 'm, C, W> {
    pub(crate) fn settle(&self) -> Settled<'m> {
        let metadata = self.metadata;
        // People: the janitors' pages decide who else there is.
        let mut people = People::of_root(self.root, self.crypto);
        let mut judged = self.judge(&people);
        // Who signed too much is void for people and ownership, too; the note comes with the second judgement.
        let _ = void_excess(&metadata.pages, &mut judged);
        let (mut index, _) = Index::new(metadata, &judged, self.scope, |subject| {
            subject.kind().is_about_people()
        });
        index.set_floors(self.floors);
        self.assume(&mut index, &people);
        let mut judge = Judge::new(self.root, &index, self.crypto, self.ahead);
        let authors = judge.authors(metadata, &people);
        judge
            .problems
            .extend(people.add_authors(&authors, self.crypto));
        let teams = judge.teams(metadata, &people);
        judge.problems.extend(people.add_teams(&teams, metadata));
        let mut ownership = judge.authorisations(metadata, &people);
        judge.absent_people(metadata, &mut ownership, &people);
        let mut problems = core::mem::take(&mut judge.problems);
        let findings = core::mem::take(&mut judge.findings);

        // Content: everybody's pages.
        self.judge_again(&people, &mut judged);
        problems.extend(void_excess(&metadata.pages, &mut judged));
        let pages = judged
            .iter()
            .filter(|judged| matches!(judged, Judged::Counts(_)))
            .count();
        problems.extend(what_counts_for_nothing(&metadata.pages, &judged));
        let (mut index, found) = Index::new(metadata, &judged, self.scope, |_| true);
        index.set_floors(self.floors);
        self.assume(&mut index, &people);
        problems.extend(found);
        problems.extend(Index::unused(metadata, &judged, &self.root.floor));
        Settled {
            people,
            index,
            ownership,
            findings,
            problems,
            judged,
            pages,
        }
    }

    /// What each page counts for, as far as the janitors are concerned.
    pub(crate) fn judge(&self, people: &People) -> Vec<Judged> {
        let pages = self.metadata.pages.iter().collect();
        self.workers
            .map(pages, |page| self.judge_page(people, page))
    }

    fn judge_page(&self, people: &People, page: &StoredPage) -> Judged {
        let known = self.verified || self.scope.is_known(page);
        people.judge(page, known, self.crypto)
    }

    /// Judges again what counted for nothing before the authors were known.
    fn judge_again(&self, people: &People, judged: &mut [Judged]) {
        let again: Vec<usize> = (0..judged.len())
            .filter(|&at| matches!(judged.get(at), Some(Judged::Inert(_))))
            .collect();
        let pages = &self.metadata.pages;
        let results = self.workers.map(again, |at| {
            let page = pages.get(at);
            let judged = page.map_or(Judged::Bad, |page| self.judge_page(people, page));
            (at, judged)
        });
        for (at, result) in results {
            if let Some(slot) = judged.get_mut(at) {
                *slot = result;
            }
        }
    }

    fn assume(&self, index: &mut Index<'m>, people: &People) {
        for assumed in self.assumed {
            let persons = assumed.by.iter().filter_map(|id| people.find(id));
            let voters = persons.map(|person| Voter {
                person,
                janitor: people.janitors().contains(&person),
            });
            index.assume(&assumed.vouches, voters.collect());
        }
    }
}

fn what_counts_for_nothing<'p>(
    pages: &'p [StoredPage],
    judged: &'p [Judged],
) -> impl Iterator<Item = Problem> + use<'p> {
    pages
        .iter()
        .zip(judged)
        .filter_map(|(stored, judged)| match judged {
            Judged::Counts(_) => None,
            Judged::Inert(why) => Some(Problem::new(Code::InertPage, &stored.place, why)),
            Judged::Bad => {
                let signer = stored.page.body().signer();
                let detail = format!("the signature is not one of {signer} with that key");
                Some(Problem::new(Code::BadSignature, &stored.place, detail))
            }
        })
}

/// Voids all pages of whoever signed more than is allowed. Only what a person signed counts against
/// them: others cannot void anybody.
fn void_excess(pages: &[StoredPage], judged: &mut [Judged]) -> Vec<Problem> {
    let mut signed: BTreeMap<&Id, usize> = BTreeMap::new();
    for (stored, judged) in pages.iter().zip(judged.iter()) {
        if matches!(judged, Judged::Counts(_)) {
            *signed.entry(stored.page.body().signer()).or_default() += 1;
        }
    }
    signed.retain(|_, count| *count > limits::PAGES);
    for (stored, judged) in pages.iter().zip(judged.iter_mut()) {
        if signed.contains_key(stored.page.body().signer()) {
            *judged = Judged::Inert("its signer is over the limit of pages");
        }
    }
    let note = |(id, count): (&Id, usize)| {
        let place = format!("conex/index/{id}");
        let detail = format!(
            "{count} pages, and {} are allowed; none of them counts",
            limits::PAGES
        );
        Problem::new(Code::PersonVoid, place, detail)
    };
    signed.into_iter().map(note).collect()
}
