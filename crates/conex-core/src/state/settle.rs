//! Settling a state: who is who, which pages count, and who owns what (spec section 8.3, steps 2 to 4).
//!
//! Verification, forecasts and `advance` all come through here: what a page counts for is decided once.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::limits;
use crate::model::name::Id;
use crate::model::statement::Root;
use crate::model::vouch::Vouch;
use crate::state::State;
use crate::state::baseline::Floors;
use crate::state::finding::Finding;
use crate::state::index::Index;
use crate::state::judge::Judge;
use crate::state::people::{Judged, People, Voter};
use crate::state::scope::Scope;
use crate::tree::metadata::{Metadata, StoredPage};
use crate::tree::problem::{Code, Problem};
use crate::tree::store::Workers;

/// Everything that a state is judged from.
pub(crate) struct Evidence {
    pub(crate) root: Root,
    pub(crate) metadata: Metadata,
    /// Vouches that nobody published, and that are taken as given; none when verifying.
    pub(crate) assumed: Vec<Assumed>,
    /// The versions that clients have, which a main line has to be above.
    pub(crate) floors: Arc<Floors>,
    /// Whether approvals may run ahead of the content.
    pub(crate) ahead: bool,
    /// How much of the state was read.
    pub(crate) scope: Scope,
    /// Whether the signatures are taken as verified.
    pub(crate) signatures: Signatures,
}

/// Whether the signatures of pages are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signatures {
    /// Each is verified, but for those that the scope knows from the state before.
    Verified,
    /// They were verified with the state that the pages are from.
    KnownFromBefore,
}

/// Vouches that somebody might give.
pub(crate) struct Assumed {
    pub(crate) by: Vec<Id>,
    pub(crate) vouches: Arc<Vec<Vouch>>,
}

/// A state, with what was found of its people and pages.
pub(crate) struct Settled {
    pub(crate) state: State,
    /// What was found of authors, teams and authorisations.
    pub(crate) findings: Vec<Finding>,
    pub(crate) problems: Vec<Problem>,
}

/// The janitors of a root, and what they say of people and packages: this decides who else there is.
pub(crate) struct Council {
    pub(crate) people: People,
    /// What each page counts for by the janitors alone.
    pub(crate) pages: Vec<Judged>,
    /// The vouches for authors, teams and authorisations.
    pub(crate) index: Index,
}

impl Evidence {
    /// A root and metadata, all of it, with nothing assumed.
    pub(crate) fn new(root: Root, metadata: Metadata, signatures: Signatures) -> Self {
        Self {
            root,
            metadata,
            assumed: Vec::new(),
            floors: Arc::default(),
            ahead: false,
            scope: Scope::Whole,
            signatures,
        }
    }

    /// The janitors, and what they say of people and packages.
    pub(crate) fn council<C: Crypto, W: Workers>(&self, crypto: &C, workers: &W) -> Council {
        let metadata = &self.metadata;
        let people = People::of_root(&self.root, crypto);
        let stored: Vec<&StoredPage> = metadata.pages.iter().collect();
        let mut pages = workers.map(stored, |page| self.judge(&people, page, crypto));
        // Whoever signed too much is void here, too; the note comes when all pages are judged.
        let _ = void_excess(&metadata.pages, &mut pages);
        let (mut index, _) = Index::new(metadata, &pages, &self.scope, |subject| {
            subject.kind().is_about_people()
        });
        self.assume(&mut index, &people);
        Council {
            people,
            pages,
            index,
        }
    }

    pub(crate) fn settle<C: Crypto, W: Workers>(self, crypto: &C, workers: &W) -> Settled {
        let metadata = &self.metadata;
        let Council {
            mut people,
            mut pages,
            index,
        } = self.council(crypto, workers);
        let mut judge = Judge::new(&self.root, &index, &self.floors, (crypto, self.ahead));
        let authors = judge.authors(metadata, &people);
        judge.problems.extend(people.add_authors(&authors, crypto));
        let teams = judge.teams(metadata, &people);
        judge.problems.extend(people.add_teams(&teams, metadata));
        let mut ownership = judge.authorisations(metadata, &people);
        judge.absent_people(metadata, &mut ownership, &people);
        let mut problems = core::mem::take(&mut judge.problems);
        let findings = core::mem::take(&mut judge.findings);

        // Content: everybody's pages.
        self.judge_again(&people, &mut pages, crypto, workers);
        problems.extend(void_excess(&metadata.pages, &mut pages));
        problems.extend(not_counting(&metadata.pages, &pages));
        let (mut index, found) = Index::new(metadata, &pages, &self.scope, |_| true);
        self.assume(&mut index, &people);
        problems.extend(found);
        problems.extend(Index::unused(metadata, &pages, &self.root.floor));
        let state = State {
            root: self.root,
            metadata: self.metadata,
            people,
            index,
            ownership,
            pages,
            floors: self.floors,
            scope: self.scope,
            ahead: self.ahead,
        };
        Settled {
            state,
            findings,
            problems,
        }
    }

    fn judge(&self, people: &People, page: &StoredPage, crypto: &impl Crypto) -> Judged {
        let known = self.signatures == Signatures::KnownFromBefore || self.scope.is_known(page);
        people.judge(page, known, crypto)
    }

    /// Judges again what counted for nothing before the authors were known.
    fn judge_again<C: Crypto, W: Workers>(
        &self,
        people: &People,
        judged: &mut [Judged],
        crypto: &C,
        workers: &W,
    ) {
        let again: Vec<usize> = (0..judged.len())
            .filter(|&at| matches!(judged.get(at), Some(Judged::Inert(_))))
            .collect();
        let pages = &self.metadata.pages;
        let results = workers.map(again, |at| {
            let page = pages.get(at);
            let judged = page.map_or(Judged::Bad, |page| self.judge(people, page, crypto));
            (at, judged)
        });
        for (at, result) in results {
            if let Some(slot) = judged.get_mut(at) {
                *slot = result;
            }
        }
    }

    fn assume(&self, index: &mut Index, people: &People) {
        for assumed in &self.assumed {
            let persons = assumed.by.iter().filter_map(|id| people.find(id));
            let voters = persons.map(|person| Voter {
                person,
                janitor: people.janitors().contains(&person),
            });
            index.assume(Arc::clone(&assumed.vouches), voters.collect());
        }
    }
}

/// A problem or a note for each page that counts for nothing.
fn not_counting<'p>(
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
