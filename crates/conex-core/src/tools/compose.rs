//! Putting vouches together: from what stands in a tree to a page to sign (spec section 6).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::model::crypto::{Digests, Signer};
use crate::model::digest::Digest;
use crate::model::key::Fingerprint;
use crate::model::limits;
use crate::model::name::{Id, Origin};
use crate::model::page::{Batch, BatchRef, Page, PageBody, VouchesError};
use crate::model::path::Path;
use crate::model::stored::Stored as _;
use crate::model::version::Version;
use crate::model::vouch::{Subject, Vouch};
use crate::state::approval::Standing;
use crate::state::finding::Finding;
use crate::tree::metadata::place;

/// More vouches than this are not worth a page of their own each: they go into batches, which the
/// next approver names by digest instead of repeating them.
pub const INLINE: usize = 256;

/// How many vouches go into a batch, where there are more: an update reads whole batches to learn of a
/// few names, and every page that names batches grows with their number. A batch may hold more
/// ([`limits::VOUCHES`]) where one name has more.
pub const BATCH: usize = 320;

/// Whether a finding waits for somebody's vouch: nothing, or something else, is approved in its
/// place. What is behind is no approver's business: it wants an update, or a retraction.
pub fn is_pending(finding: &Finding) -> bool {
    match finding.assessment.standing {
        Standing::Pending | Standing::Differs { .. } | Standing::Equivocal { .. } => true,
        Standing::Approved(_) | Standing::Behind { .. } => false,
    }
}

/// Whether a vouch for the present content would change anything: what is pending, and what is
/// behind, where it brings older content back in a greater version. The latter has to be asked for
/// by name: usually an update is what is wanted.
pub fn is_unapproved(finding: &Finding) -> bool {
    !matches!(finding.assessment.standing, Standing::Approved(_))
}

/// A vouch that somebody may make, borrowed from what it is about: thousands of them are matched
/// with stored batches, and few are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Draft<'f> {
    subject: &'f Subject,
    version: Version,
    digest: Digest,
}

impl<'f> Draft<'f> {
    /// A vouch for a finding's present content; `None` when its counters are exhausted.
    pub fn of(finding: &'f Finding) -> Option<Self> {
        Some(Self {
            subject: &finding.subject,
            version: finding.assessment.proposed?,
            digest: finding.digest,
        })
    }

    /// What it is for.
    pub fn subject(&self) -> &'f Subject {
        self.subject
    }

    /// The vouch.
    pub fn vouch(self) -> Vouch {
        Vouch {
            subject: self.subject.clone(),
            version: self.version,
            digest: self.digest,
        }
    }
}

impl<'f> From<&'f Vouch> for Draft<'f> {
    fn from(vouch: &'f Vouch) -> Self {
        Self {
            subject: &vouch.subject,
            version: vouch.version,
            digest: vouch.digest,
        }
    }
}

/// A page to sign, with the batches that have to be stored before it.
#[derive(Debug, Clone)]
pub struct Composition {
    /// The page.
    pub page: PageBody,
    /// Batches that are not stored yet.
    pub batches: Vec<Batch>,
}

/// Files to be stored, in the order in which they may appear.
pub type Files = Vec<(Path, Vec<u8>)>;

impl Composition {
    /// Arranges vouches of one person into a page: whatever stored batches say exactly is named by
    /// their digests, the rest stands in the page itself or, if that is more than `inline` vouches
    /// (usually [`INLINE`]), in new batches.
    ///
    /// # Errors
    /// [`VouchesError`] when there is nothing to vouch for, or two contents of one version.
    pub fn new<'f>(
        origin: &Origin,
        digests: &impl Digests,
        signer: Id,
        key: Fingerprint,
        drafts: impl IntoIterator<Item: Into<Draft<'f>>>,
        stored: &BTreeMap<Digest, Batch>,
        inline: usize,
    ) -> Result<Self, VouchesError> {
        let mut wanted: Vec<Draft<'_>> = drafts.into_iter().map(Into::into).collect();
        // Findings come sorted, and thousands of names are not worth comparing twice.
        if !wanted.is_sorted_by(|a, b| a < b) {
            wanted.sort_unstable();
            wanted.dedup();
        }
        let mut references: Vec<BatchRef> = Vec::new();
        let mut said = alloc::vec![false; wanted.len()];
        for (digest, batch) in stored {
            if let Some(found) = positions(&wanted, batch.vouches()) {
                references.push(batch.reference_as(*digest));
                for at in found {
                    if let Some(said) = said.get_mut(at) {
                        *said = true;
                    }
                }
            }
        }
        let mut batches = Vec::new();
        let unsaid = wanted.into_iter().zip(said).filter(|(_, said)| !said);
        let mut rest: Vec<Vouch> = unsaid.map(|(draft, _)| draft.vouch()).collect();
        if rest.len() > inline {
            for chunk in by_name(&rest) {
                let batch = Batch::new(chunk)?;
                references.push(batch.reference(origin, digests));
                batches.push(batch);
            }
            rest.clear();
        }
        let page = PageBody::new(signer, key, references, rest)?;
        Ok(Self { page, batches })
    }

    /// Signs the page and gives all files to store: batches first, then the page that names them.
    ///
    /// # Errors
    /// Whatever keeps the signer from signing.
    pub fn sign<S: Signer>(
        self,
        origin: &Origin,
        digests: &impl Digests,
        signer: &S,
    ) -> Result<(Page, Files), S::Error> {
        let id = self.page.signer().clone();
        let mut files: Files = self
            .batches
            .iter()
            .map(|batch| {
                (
                    place::batch(batch.digest(origin, digests)),
                    batch.to_text().into_bytes(),
                )
            })
            .collect();
        let page = self.page.sign(origin, signer)?;
        files.push((
            place::page(&id, page.digest(origin, digests)),
            page.to_text().into_bytes(),
        ));
        Ok((page, files))
    }
}

/// Where all of a batch stands among sorted vouches, if all of it does.
fn positions(wanted: &[Draft<'_>], batch: &[Vouch]) -> Option<Vec<usize>> {
    let mut at = wanted.binary_search(&batch.first()?.into()).ok()?;
    let mut found = Vec::with_capacity(batch.len());
    for vouch in batch.iter().map(Draft::from) {
        // Vouches are sorted strictly, so none stands where the one before it does.
        loop {
            let order = wanted.get(at)?.cmp(&vouch);
            at += 1;
            match order {
                Ordering::Less => {}
                Ordering::Equal => break,
                Ordering::Greater => return None,
            }
        }
        found.push(at - 1);
    }
    Some(found)
}

/// Arranges vouches into batches, between names where that is possible, so that their ranges do not overlap.
///
/// # Errors
/// [`VouchesError`] for two contents of one version.
pub fn batches(mut vouches: Vec<Vouch>) -> Result<Vec<Batch>, VouchesError> {
    vouches.sort();
    vouches.dedup();
    by_name(&vouches).into_iter().map(Batch::new).collect()
}

/// Cuts sorted vouches between names where that is possible.
fn by_name(vouches: &[Vouch]) -> Vec<Vec<Vouch>> {
    let mut chunks: Vec<Vec<Vouch>> = Vec::new();
    for group in vouches.chunk_by(|a, b| a.subject.name() == b.subject.name()) {
        match chunks
            .last_mut()
            .filter(|chunk| chunk.len() + group.len() <= BATCH)
        {
            Some(chunk) => chunk.extend_from_slice(group),
            None => chunks.extend(group.chunks(limits::VOUCHES).map(<[Vouch]>::to_vec)),
        }
    }
    chunks
}
