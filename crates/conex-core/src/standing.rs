//! What the metadata of a state says, judged: who is who, who owns what, and what they vouch for
//! (spec section 8.3, steps 5 to 8).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use crate::approval::{ApprovedVersion, Epoch, Rule, Standing as Stands};
use crate::chain::Head;
use crate::crypto::Crypto;
use crate::digest::{Context, Digest};
use crate::encoding;
use crate::index::Index;
use crate::judge::{Judge, Ownership};
use crate::limits;
use crate::metadata::{Metadata, StoredPage};
use crate::name::Id;
use crate::part::Part;
use crate::people::{Judged, People};
use crate::problem::{Code, Problem};
use crate::statement::Root;
use crate::store::Workers;
use crate::verify::Finding;
use crate::vouch::Subject;

/// A state's metadata, judged.
pub(crate) struct Standing<'m> {
    pub(crate) root: &'m Root,
    pub(crate) metadata: &'m Metadata,
    pub(crate) people: People,
    pub(crate) ownership: Ownership<'m>,
    /// What each page counts for, in the order of the metadata.
    pub(crate) judged: Vec<Judged>,
    /// All vouches that count.
    pub(crate) index: Index<'m>,
}

/// What is found while metadata is judged.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) problems: Vec<Problem>,
    pub(crate) findings: Vec<Finding>,
}

/// How metadata is judged.
pub(crate) struct Judging<'a, C, W, K> {
    pub(crate) crypto: &'a C,
    pub(crate) workers: &'a W,
    /// Whether approvals may run ahead of the content.
    pub(crate) ahead: bool,
    /// What of the state was read; all of it, if nothing is said.
    pub(crate) part: Option<&'a Part>,
    /// Pages whose signatures were verified before.
    pub(crate) known: K,
}

impl<C: Crypto, W: Workers, K: Fn(&StoredPage) -> bool + Sync> Judging<'_, C, W, K> {
    /// Judges the metadata of a state with that head.
    pub(crate) fn judge<'m>(
        &self,
        head: &'m Head,
        metadata: &'m Metadata,
    ) -> (Standing<'m>, Found) {
        let root = head.root();
        let mut found = Found::default();
        let judge_page =
            |people: &People, page| people.judge(page, (self.known)(page), self.crypto);

        // People: the janitors' pages decide who else there is.
        let mut people = People::of_root(head, self.crypto);
        let pages = &metadata.pages;
        let mut judged: Vec<Judged> = self
            .workers
            .map(pages.iter().collect(), |page| judge_page(&people, page));
        let (index, _) = Index::new(metadata, &judged, self.part, |subject| {
            subject.kind().is_about_people()
        });
        let mut judge = Judge::new(root, &index, self.crypto, self.ahead);
        let authors = judge.authors(metadata, &people);
        judge
            .problems
            .extend(people.add_authors(&authors, self.crypto));
        let teams = judge.teams(metadata, &people);
        judge.problems.extend(people.add_teams(&teams));
        let mut ownership = judge.authorisations(metadata, &people);
        judge.absent_people(metadata, &mut ownership, &people);
        found.problems.append(&mut judge.problems);
        found.findings.append(&mut judge.findings);

        // Content: everybody's pages.
        let again: Vec<usize> = (0..judged.len())
            .filter(|&at| matches!(judged.get(at), Some(Judged::Inert(_))))
            .collect();
        let rejudged = self.workers.map(again, |at| {
            (
                at,
                pages
                    .get(at)
                    .map_or(Judged::Bad, |page| judge_page(&people, page)),
            )
        });
        for (at, result) in rejudged {
            if let Some(slot) = judged.get_mut(at) {
                *slot = result;
            }
        }
        found.problems.extend(void_excess(pages, &mut judged));
        found.problems.extend(notable(pages, &judged));
        let (index, problems) = Index::new(metadata, &judged, self.part, |_| true);
        found.problems.extend(problems);
        found.problems.extend(Index::unused(metadata, &judged));
        let standing = Standing {
            root,
            metadata,
            people,
            ownership,
            judged,
            index,
        };
        (standing, found)
    }
}

impl Standing<'_> {
    /// How many pages count.
    pub(crate) fn counting(&self) -> usize {
        let counts = |judged: &&Judged| matches!(judged, Judged::Counts(_));
        self.judged.iter().filter(counts).count()
    }

    /// The greatest approved version of a statement by the vouches of `index`, whether or not its
    /// content is there.
    pub(crate) fn newest(
        &self,
        index: &Index<'_>,
        subject: &Subject,
        crypto: &impl Crypto,
    ) -> Option<ApprovedVersion> {
        let votes = index.named(subject.name()).of(subject);
        if votes.is_empty() {
            return None;
        }
        let quorum = |epoch| Rule {
            owners: None,
            janitors: self.root.quorum,
            epoch,
        };
        let rule = match subject {
            Subject::Repository | Subject::Author(_) | Subject::Team(_) => quorum(Epoch::Only(0)),
            Subject::Authorisation(package) => quorum(Epoch::Sets(self.ownership.epoch(package))),
            Subject::Releases(package) => self.ownership.rules(self.root, package).0,
            Subject::Checksums(package, _) => self.ownership.rules(self.root, package).1,
        };
        let stored = self.stored(subject, crypto);
        match rule.assess(&votes, stored.as_slice()).standing {
            Stands::Approved(newest)
            | Stands::Behind { newest, .. }
            | Stands::Differs { newest } => Some(newest),
            Stands::Equivocal { .. } => rule.approved(&votes).into_iter().next(),
            Stands::Pending => None,
        }
    }

    /// The digest of a stored statement, if it is there.
    pub(crate) fn stored(&self, subject: &Subject, crypto: &impl Crypto) -> Option<Digest> {
        let origin = &self.root.origin;
        match subject {
            Subject::Author(id) => {
                let author = self.metadata.authors.get(id)?;
                Some(encoding::digest(crypto, Context::Author, origin, author))
            }
            Subject::Team(id) => {
                let team = self.metadata.teams.get(id)?;
                Some(encoding::digest(crypto, Context::Team, origin, team))
            }
            Subject::Authorisation(package) => {
                let authorisation = self.metadata.authorisations.get(package)?;
                Some(encoding::digest(
                    crypto,
                    Context::Authorisation,
                    origin,
                    authorisation,
                ))
            }
            Subject::Repository | Subject::Releases(_) | Subject::Checksums(..) => None,
        }
    }
}

/// What is worth saying of pages that do not count.
fn notable<'a>(
    pages: &'a [StoredPage],
    judged: &'a [Judged],
) -> impl Iterator<Item = Problem> + use<'a> {
    pages
        .iter()
        .zip(judged)
        .filter_map(|(stored, judged)| match judged {
            Judged::Counts(_) => None,
            Judged::Inert(why) => Some(Problem::new(Code::InertPage, &stored.place, why)),
            Judged::Bad => {
                let detail = format!(
                    "the signature is not one of {} with that key",
                    stored.page.body().signer()
                );
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
