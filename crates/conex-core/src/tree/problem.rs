//! What can be wrong, with a stable code for each, and what mends it (spec section 8).

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use crate::model::crypto::BadKey;
use crate::model::name::Id;
use crate::model::path::Path;
use crate::model::vouch::Subject;
use crate::tree::store::StoreError;

macro_rules! codes {
    ($($(#[$doc:meta])* $Code:ident $text:literal $advice:literal)*) => {
        /// The stable code of a problem or note. Codes are never reused for something else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $Code),* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$Code),*];

            /// The code as it is printed, written to JSON and documented.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$Code => $text),* }
            }

            /// What the reader can do about it.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$Code => $advice),* }
            }
        }
    };
}

codes! {
    /// A stored file cannot be read as what it has to be.
    Malformed "malformed" "restore the file from the revision before, or write it again with conex"
    /// A format, layout or projection that this program does not know.
    Upgrade "upgrade" "upgrade conex; this version cannot judge this repository"
    /// Bytes could not be read at all.
    Unreadable "unreadable" "check the file system and run again"
    /// A file, directory or list over its limit.
    TooLarge "too-large" "remove the file; the limits are listed in the specification, section 12"
    /// Something that is no regular file or directory, or stands where the other is expected.
    SpecialFile "special-file" "replace it by a regular file, or remove it"
    /// A name or path that is not allowed.
    BadName "bad-name" "rename it; allowed names are listed in the specification, section 2"
    /// Two names that are equal when case is ignored, or one id for two things.
    NameCollision "name-collision" "rename or retire one of the two"
    /// A path that nothing accounts for.
    Unaccounted "unaccounted" "remove it, move it where it belongs, or add an ignore pattern to the next root"
    /// A release that stands at a second place, or something that the package manager may take for one.
    ShadowRelease "shadow-release" "keep a release at its one place, and give no other directory a name like NAME.VERSION"
    /// There is no root.
    RootMissing "root-missing" "the server may be stripping signatures: try another mirror, and ask the janitors"
    /// No root satisfies the trust anchors.
    AnchorUnsatisfied "anchor-unsatisfied" "check the anchors against those the janitors publish; if they are right, this is another repository or a forged one"
    /// The chain of roots has a gap, or a link that does not fit the one before.
    RootChain "root-chain" "restore the chain from an honest copy; roots are never deleted or changed"
    /// A root that takes back what no root may take back.
    RootSticky "root-sticky" "propose a root that keeps `complete`, required checkpoints and all revoked keys"
    /// A root that too few janitors of it, or of the root before, signed.
    RootUnsigned "root-unsigned" "have the missing janitors run: conex root sign"
    /// A key that cannot be used: unknown algorithm, malformed, weak.
    BadKey "bad-key" "list another key"
    /// A listed key without a valid proof that its owner holds it.
    BadProof "bad-proof" "have the owner of the key enrol it again"
    /// One key under two ids.
    SharedKey "shared-key" "have one of the two list another key: one key belongs to one person"
    /// A signature under a current key that does not verify.
    BadSignature "bad-signature" "remove the file, and have its signer sign again"
    /// A page or batch whose name is not its digest, or a file that holds another name than its own.
    Misnamed "misnamed" "restore the file from an honest copy, or remove it"
    /// A page names a batch that is not there.
    BatchMissing "batch-missing" "restore the batch from an honest copy"
    /// A batch speaks of a name outside the range its page states; the batch is void.
    BatchRange "batch-range" "have the signer approve again, in a new page"
    /// Something is not approved, and nothing approved stands in its place.
    NotApproved "not-approved" "have the missing people run: conex approve"
    /// The content is not what was approved.
    ContentDiffers "content-differs" "restore the approved content, or have the change approved"
    /// The content was approved, but something newer was approved since.
    Behind "behind" "update from another mirror, this one serves old content; who means to bring it back: conex approve NAME"
    /// Approved content is absent.
    Missing "missing" "restore it from an honest copy, or have its removal approved: conex approve NAME"
    /// One version was approved with two contents.
    Equivocation "equivocation" "have the present content approved in a greater version: conex approve"
    /// Nobody approved anything of it yet.
    Unsigned "unsigned" "have it approved: conex approve"
    /// Something of a retired package, team or author is in use.
    Retired "retired" "remove what is retired, or change the owners: retirement is for ever"
    /// An authorisation or team names somebody who is not there.
    UnknownOwner "unknown-owner" "have the person or team approved first, or change the owners"
    /// There is no package at all.
    Empty "empty" "check the path: a repository with packages was expected"
    /// The repository demands a checkpoint.
    CheckpointNeeded "checkpoint-needed" "upgrade conex; this version cannot check checkpoints"
    /// A version lower than the one verified before, or a verified root that is gone.
    Rollback "rollback" "this server serves an older state: update from another mirror; where the people of the repository mean it, have the content approved in a greater version"
    /// Another root where one was verified before.
    Fork "fork" "keep both states as evidence and ask the janitors: a quorum of them has signed two histories"
    /// A person, team or claim that was there and is not any more.
    Vanished "vanished" "restore the file from an honest copy: people, teams and claims are retired, never deleted"
    /// Something that was signed and of which nothing is approved any more.
    Stripped "stripped" "this server may be stripping signatures: update from another mirror; where approvals were lost, have the content approved again: conex approve NAME"
    /// Something that was retired and is not any more.
    Revived "revived" "retire it again: who or what is retired stays so; use another name"
    /// A release that the client would drop, as one that it takes as equal goes.
    LostRelease "lost-release" "remove both releases, or change the file `opam` of the one that stays in the same step"
    /// A patch that not everybody would apply to the same end, or that does not fit.
    BadPatch "bad-patch" "the package manager made this patch on this machine, of what the server offers and with git's settings of this user; conex opam-hook --check says which settings are in the way. Fetch in full: opam repository set-url NAME ADDRESS QUORUM ANCHORS, with the same as now"
    /// An archive that is broken, or holds something that no repository holds.
    BadArchive "bad-archive" "where it was made on this machine, make it again: opam repository set-url NAME ADDRESS QUORUM ANCHORS, with the same as now. Where it comes from a server, fetch it again; if it stays so, use another mirror"

    /// Note: a page that counts for nothing.
    InertPage "inert-page" "nothing has to be done; compaction removes it"
    /// Note: a batch that no counting page names.
    UnusedBatch "unused-batch" "nothing has to be done; compaction removes it"
    /// Note: a person over a limit, whose pages all count for nothing.
    PersonVoid "person-void" "have the person compact their pages, or retire them"
    /// Note: a threshold that the owners can no longer reach; the quorum still can.
    OutOfReach "out-of-reach" "lower the threshold or add owners"
    /// Note: a file that the projection cannot read and that counts as source, whole.
    WholeSource "whole-source" "nothing has to be done; every change of it needs an owner or the quorum"
    /// Note: an approval that runs ahead of the content.
    Ahead "ahead" "merge what was approved, or take it back: conex retract NAME"
    /// Note: attributes of git by which a checkout or an archive is not what is signed.
    Attributes "attributes" "take the attribute away, or end the .gitattributes at the top with: packages/** -text !eol !ident !filter !working-tree-encoding !export-subst !export-ignore; the same for conex/** and for the files beside"
    /// Note: settings that leave no room for the loss of one key.
    Margin "margin" "add janitors, or lower the quorum"
    /// Note: two releases of a package that the client takes for one.
    EqualReleases "equal-releases" "nothing has to be done; clients show one of the two, so the next release should have a version of its own"
    /// Note: a state before an update that is not the one on record.
    Unrecorded "unrecorded" "nothing has to be done: the new state was verified in full, and is the one on record next"
    /// Note: a client's copy that is not what it was verified to be.
    Drifted "drifted" "nothing has to be done where the update is accepted: it was verified in full. Where it is refused for a file that the update does not change, remove this copy, and update, which fetches everything again"
    /// Note: a refused update that came as a patch which cannot show everything.
    PlainPatch "plain-patch" "if the problems are about an empty file, no server is at fault. Fetch in full: opam repository set-url NAME ADDRESS QUORUM ANCHORS, with the same as now; opam 2.4 and later see empty files"
    /// Note: an update of which the fast way could not tell what is concerned.
    JudgedWhole "judged-whole" "nothing has to be done: everything was verified, which takes longer"
}

impl Code {
    /// The code for a key that cannot be used: a newer program may know its algorithm.
    pub(crate) fn of_key(error: &BadKey) -> Self {
        match error {
            BadKey::Unsupported(_) => Self::Upgrade,
            _ => Self::BadKey,
        }
    }

    /// Whether this is only a note, which refuses nothing.
    pub fn is_note(self) -> bool {
        matches!(
            self,
            Self::InertPage
                | Self::UnusedBatch
                | Self::PersonVoid
                | Self::OutOfReach
                | Self::WholeSource
                | Self::Ahead
                | Self::Attributes
                | Self::Margin
                | Self::EqualReleases
                | Self::Unrecorded
                | Self::Drifted
                | Self::PlainPatch
                | Self::JudgedWhole
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose approval would complete something. The ways are alternatives; they never add up.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// So many more of these owners.
    pub owners: Option<(usize, Vec<Id>)>,
    /// Or so many more of these janitors.
    pub janitors: Option<(usize, Vec<Id>)>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ways = Vec::new();
        if let Some((more, owners)) = &self.owners {
            ways.push(way(*more, owners, "owners"));
        }
        if let Some((more, janitors)) = &self.janitors {
            ways.push(way(*more, janitors, "janitors"));
        }
        f.write_str(&ways.join("; or "))
    }
}

/// How many names are worth reading in a sentence.
const NAMES: usize = 8;

fn way(more: usize, people: &[Id], what: &str) -> String {
    use core::fmt::Write as _;
    if people.len() < more {
        return alloc::format!("{more} more {what}, of whom only {} can", people.len());
    }
    let mut text = alloc::format!("{more} more of the {what}: ");
    for (at, id) in people.iter().take(NAMES).enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{id}", if at == 0 { "" } else { ", " });
    }
    if people.len() > NAMES {
        let _ = write!(text, " and {} others", people.len() - NAMES);
    }
    text
}

/// One thing that is wrong, or worth a note.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file or directory it is about, relative to the repository; escaped where it is not text.
    pub place: Box<str>,
    /// The line, from 1, where there is one.
    pub line: Option<usize>,
    /// What kind of problem it is.
    pub code: Code,
    /// The statement concerned, if one is.
    pub subject: Option<Subject>,
    /// What is wrong, in a sentence without a full stop.
    pub detail: Box<str>,
    /// Whose approval would mend it.
    pub missing: Option<Box<Missing>>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(code: Code, place: impl fmt::Display, detail: impl fmt::Display) -> Self {
        Self {
            place: place.to_string().into(),
            line: None,
            code,
            subject: None,
            detail: detail.to_string().into(),
            missing: None,
        }
    }

    /// The problem of a store that could not give a file or directory.
    pub fn unreadable(place: &Path, error: &StoreError) -> Self {
        let code = match error {
            StoreError::Special(_) => Code::SpecialFile,
            StoreError::TooLarge(_) | StoreError::TooMany => Code::TooLarge,
            StoreError::Missing | StoreError::Changed | StoreError::Io(_) => Code::Unreadable,
        };
        Self::new(code, place, error)
    }

    /// The same problem, of a statement.
    #[must_use]
    pub fn about(mut self, subject: &Subject) -> Self {
        self.subject = Some(subject.clone());
        self
    }

    /// The same problem, at a line.
    #[must_use]
    pub fn at_line(mut self, line: Option<usize>) -> Self {
        self.line = line;
        self
    }

    /// The same problem, with the people who could mend it.
    #[must_use]
    pub fn mended_by(mut self, missing: Missing) -> Self {
        self.missing = Some(Box::new(missing));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: ", self.code)?;
        if let Some(subject) = &self.subject {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.detail)?;
        if let Some(missing) = &self.missing {
            write!(f, " (needs {missing})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_words_and_each_has_advice() {
        for (at, code) in Code::ALL.iter().enumerate() {
            assert!(
                code.as_str()
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            );
            assert!(!code.advice().is_empty());
            assert!(
                Code::ALL
                    .iter()
                    .skip(at + 1)
                    .all(|other| other.as_str() != code.as_str())
            );
        }
    }
}
