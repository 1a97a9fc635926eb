//! A statement, its content, and what the votes say of it.

use alloc::vec::Vec;

use crate::model::digest::Digest;
use crate::model::path::Path;
use crate::model::vouch::Subject;
use crate::state::approval::Assessment;

/// One statement, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// Where its content stands.
    pub place: Path,
    /// The digest of the content, to vouch for.
    pub digest: Digest,
    /// Its digest under the older projection, where the root lists two.
    pub older: Option<Digest>,
    /// Of the checksums of a release that was read, where approvals may run ahead: the digest of its source
    /// under each projection of the root, in their order, or one without any. Otherwise none.
    pub sources: Vec<Digest>,
    /// Whether there is any; an absent package has the content of having no releases, an absent release that of
    /// having no files.
    pub present: bool,
    /// What the votes say.
    pub assessment: Assessment,
}

impl Finding {
    /// Of content that is there; `digests` are the one to vouch for, and the older projection's.
    pub(crate) fn new(
        subject: Subject,
        place: Path,
        digests: (Digest, Option<Digest>),
        assessment: Assessment,
    ) -> Self {
        Self {
            subject,
            place,
            digest: digests.0,
            older: digests.1,
            sources: Vec::new(),
            present: true,
            assessment,
        }
    }
}
