//! What is approved in a state, whether or not its content is there (spec section 9.3).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::digest::{Context, Digest};
use crate::model::encoding;
use crate::model::key::Fingerprint;
use crate::model::statement::Root;
use crate::model::vouch::Subject;
use crate::state::approval::{ApprovedVersion, Standing as Stands};
use crate::state::index::Index;
use crate::state::people::Judged;
use crate::state::scope::Scope;
use crate::state::settle::Settled;
use crate::tree::metadata::Metadata;

/// A state's metadata, judged.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'s, 'm> {
    pub(crate) root: &'s Root,
    pub(crate) metadata: &'m Metadata,
    pub(crate) settled: &'s Settled<'m>,
}

impl Standing<'_, '_> {
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
        let rule = self.settled.ownership.rule(self.root, subject);
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

    /// All vouches of this state without those under keys that a later root revokes; `None` where it revokes no
    /// other than this one.
    pub(crate) fn without_keys_of(&self, later: &Root) -> Option<Index<'_>> {
        let before: BTreeSet<&Fingerprint> = self.root.revoked.iter().collect();
        let revoked: BTreeSet<&Fingerprint> = later.revoked.iter().collect();
        let revoked: BTreeSet<&Fingerprint> = revoked.difference(&before).copied().collect();
        if revoked.is_empty() {
            return None;
        }
        let metadata = self.metadata;
        let pages = metadata.pages.iter().zip(&self.settled.judged);
        let judged: Vec<Judged> = pages
            .map(|(stored, judged)| {
                if revoked.contains(&stored.page.body().key()) {
                    Judged::Inert("its key is revoked")
                } else {
                    *judged
                }
            })
            .collect();
        let wanted = |_: &Subject| true;
        Some(Index::new(metadata, &judged, &Scope::Whole, wanted).0)
    }
}
