//! Choosing the repository files.

use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::vouch::Subject;
use crate::tree::content::{Reader, Repository};
use crate::tree::problem::Problem;
use crate::tree::store::{Store, Workers};

use super::blame::{Blame, Remedy};
use super::court::Court;
use super::waiting::Unit;

impl<S, M, C, W> Court<'_, '_, S, M, C, W>
where
    S: Store + ?Sized,
    M: Store + ?Sized,
    C: Crypto,
    W: Workers,
{
    /// Chooses the repository files: true for those of the main line.
    pub(super) fn repository(
        &self,
        blame: &Blame<'_>,
        reader: &Reader<'_, S, C>,
    ) -> Result<bool, Remedy> {
        let (round, main) = (self.round, self.round.main);
        let is_it = |subject: &Subject| *subject == Subject::Repository;
        let is_spoken_of = blame
            .speaking(Subject::Repository.name(), is_it)
            .next()
            .is_some();
        let same_head = self.head.id() == round.signed.head.id();
        if !main.repository && !is_spoken_of && same_head {
            return Ok(false);
        }
        let on_main = Reader {
            store: round.advance.main,
            digests: reader.digests,
            origin: reader.origin,
            layout: reader.layout,
            projections: reader.projections,
        };
        let there = on_main.repository(&main.survey.repository);
        let is_crowded = round.left.crowded.contains_key(&Unit::Repository);
        let may_change = main.repository && !round.left.repository && !is_crowded;
        let there = there.ok().filter(|_| may_change);
        if let Some(there) = &there
            && self.wrong_with_repository(there).is_empty()
        {
            return Ok(true);
        }
        let Ok(signed) = reader.repository(&round.signed.survey.repository) else {
            return Ok(false);
        };
        if self.wrong_with_repository(&signed).is_empty() {
            return Ok(false);
        }
        let subject = Subject::Repository;
        let rule = self.state.rule(&subject);
        let votes = self.state.votes(&subject);
        let mut remedy = Remedy::default();
        let mut digests = alloc::vec![alloc::vec![signed.digest]];
        digests.extend(there.map(|there| alloc::vec![there.digest]));
        blame.ahead(
            &rule,
            (&subject, votes),
            (&digests, &|_| false),
            &mut remedy,
        );
        if remedy.pages.is_empty() {
            let reasons = || self.wrong_with_repository(&signed);
            self.relieve(blame, |_| false, reasons, &mut remedy);
        }
        Err(remedy)
    }

    pub(super) fn wrong_with_repository(&self, repository: &Repository) -> Vec<Problem> {
        let crypto = self.round.advance.crypto;
        let mut judge = self.state.judge(crypto);
        judge.repository(repository, self.state.people());
        if judge.unsigned_files.is_some() {
            let before = &self.round.signed.state;
            let was_signed = before.newest(&Subject::Repository, crypto).is_some();
            if was_signed || self.is_complete() {
                let unsigned: Vec<Problem> = judge.unsigned_problems().collect();
                judge.problems.extend(unsigned);
            }
        }
        judge.problems.retain(|problem| !problem.code.is_note());
        judge.problems
    }
}
