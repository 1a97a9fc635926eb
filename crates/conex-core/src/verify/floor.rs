//! What a root says must not fall (spec section 8.3, step 13).

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::page::BatchRef;
use crate::model::vouch::{Subject, Vouch};
use crate::state::State;
use crate::tree::metadata::place;
use crate::tree::problem::{Code, Problem};

impl State {
    /// Problems of the statements in scope that are below the floor of the root.
    pub(crate) fn below_floor(&self, crypto: &impl Crypto) -> Vec<Problem> {
        let mut problems = Vec::new();
        for reference in self.scope().floor(self.root()) {
            match self.demanded(reference) {
                Ok(vouches) => problems.extend(
                    vouches
                        .iter()
                        .filter(|vouch| self.scope().concerns(&vouch.subject))
                        .filter_map(|vouch| self.below(vouch, crypto)),
                ),
                Err(problem) => problems.push(problem),
            }
        }
        problems
    }

    /// What a batch of the floor demands.
    fn demanded(&self, reference: &BatchRef) -> Result<Arc<Vec<Vouch>>, Problem> {
        let root = place::root(self.root().number);
        let digest = reference.digest();
        let vouches = self.metadata().batch(digest).ok_or_else(|| {
            let detail = format!("its floor names the batch {digest}, which is not there");
            Problem::new(Code::BatchMissing, &root, detail)
        })?;
        match reference.first_outside(&vouches) {
            None => Ok(vouches),
            Some(vouch) => {
                let detail = format!(
                    "the batch {digest} speaks of {}, outside the range that its floor states",
                    vouch.subject.name()
                );
                Err(Problem::new(Code::BatchRange, &root, detail))
            }
        }
    }

    /// What is wrong with a statement that has to be approved as `floor` says, or in a greater version.
    fn below(&self, floor: &Vouch, crypto: &impl Crypto) -> Option<Problem> {
        let (subject, ownership) = (&floor.subject, self.ownership());
        if let Subject::Releases(package) | Subject::Checksums(package, _) = subject
            && ownership.voids(package, floor.version)
        {
            return None;
        }
        let newest = self.newest(subject, crypto);
        let (number, demanded) = (self.root().number, floor.version);
        let (code, detail) = match newest {
            Some(newest) if newest.reaches(demanded, floor.digest) => return None,
            Some(newest) if newest.version == demanded => (
                Code::Equivocation,
                format!("root {number} demands version {demanded} with another content"),
            ),
            Some(newest) => (
                Code::Rollback,
                format!(
                    "this is version {}, and root {number} demands {demanded}",
                    newest.version
                ),
            ),
            None => (
                Code::Rollback,
                format!("root {number} demands version {demanded}, and nothing is approved"),
            ),
        };
        let place = place::of(subject);
        Some(Problem::new(code, place, detail).about(subject))
    }
}
