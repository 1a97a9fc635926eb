//! What a client keeps of a verification, outside the tree (spec section 9.5).

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::chain::{AnchorKeys, Head, RootId, Trust};
use crate::digest::Digest;
use crate::key::Fingerprint;
use crate::name::Origin;
use crate::spelling::{ParseError, Printer, Stored};
use crate::statement::RootNumber;
use crate::verify::Verified;
use crate::version::Threshold;

/// The format of records that this version writes and reads.
const FORMAT: u32 = 1;

/// How a root is written as an anchor.
const ROOT: &str = "root:";

/// What is known of the state that a client has: it was verified, from these anchors, to this head.
///
/// It is made of a [`Verified`] only. Whoever has none, or one that does not fit, verifies in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRecord {
    origin: Origin,
    anchor: Anchor,
    head: RootId,
    enforced: bool,
    ahead: bool,
    verified: u64,
}

/// A [`Trust`] that a client may start from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Anchor {
    Root(Digest),
    Keys(AnchorKeys),
}

impl Anchor {
    fn of(trust: &Trust) -> Option<Self> {
        match trust {
            Trust::Root(digest) => Some(Self::Root(*digest)),
            Trust::Keys(keys) => Some(Self::Keys(keys.clone())),
            Trust::Recorded(_) | Trust::DangerousSelfAsserted => None,
        }
    }
}

impl LocalRecord {
    /// Records a state that was verified in full from anchors. `time` is when, in seconds since
    /// 1970; nothing here reads a clock. `None` where trust was not in anchors.
    pub fn new(trust: &Trust, verified: &Verified, time: u64) -> Option<Self> {
        Some(Self {
            origin: verified.head().root().origin.clone(),
            anchor: Anchor::of(trust)?,
            head: verified.head().id(),
            enforced: verified.is_enforced(),
            ahead: verified.is_ahead(),
            verified: time,
        })
    }

    /// A record as if a state with this head had been verified, approvals ahead allowed. It is for
    /// comparing, and nobody keeps it: nothing was verified.
    pub(crate) fn assumed(head: &Head) -> Self {
        Self {
            origin: head.root().origin.clone(),
            anchor: Anchor::Root(head.digest()),
            head: head.id(),
            enforced: false,
            ahead: true,
            verified: 0,
        }
    }

    /// Records the state that an update of this one led to. `time` is when, if all of it was
    /// looked at.
    #[must_use]
    pub fn updated(&self, verified: &Verified, time: Option<u64>) -> Self {
        Self {
            head: verified.head().id(),
            enforced: verified.is_enforced(),
            ahead: verified.is_ahead(),
            verified: time.unwrap_or(self.verified),
            ..self.clone()
        }
    }

    /// Whether it was made from these anchors. Another trust may lead to another repository.
    pub fn fits(&self, trust: &Trust) -> bool {
        Anchor::of(trust).as_ref() == Some(&self.anchor)
    }

    /// The repository's own name.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The anchors.
    pub fn trust(&self) -> Trust {
        match &self.anchor {
            Anchor::Root(digest) => Trust::Root(*digest),
            Anchor::Keys(keys) => Trust::Keys(keys.clone()),
        }
    }

    /// The newest root of the state.
    pub fn head(&self) -> RootId {
        self.head
    }

    /// Whether nothing was unsigned.
    pub fn is_enforced(&self) -> bool {
        self.enforced
    }

    /// Whether approvals may have run ahead of the content.
    pub fn is_ahead(&self) -> bool {
        self.ahead
    }

    /// When all of the state was looked at last, in seconds since 1970, as the caller said.
    pub fn verified(&self) -> u64 {
        self.verified
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
#[expect(
    missing_debug_implementations,
    reason = "an intermediate form nobody keeps"
)]
pub struct RawRecord {
    format: u32,
    origin: String,
    anchors: Vec<String>,
    quorum: Option<u16>,
    number: u32,
    head: String,
    enforced: Option<bool>,
    ahead: Option<bool>,
    verified: u64,
}

impl Stored for LocalRecord {
    type Raw = RawRecord;

    fn from_raw(raw: RawRecord, text: &str) -> Result<Self, ParseError> {
        if raw.format != FORMAT {
            return Err(ParseError::at(text, "format", "the format is not known"));
        }
        let origin =
            Origin::parse(&raw.origin).map_err(|error| ParseError::at(text, "origin", error))?;
        let anchor = match (raw.anchors.as_slice(), raw.quorum) {
            ([root], None) if root.starts_with(ROOT) => {
                let digest = Digest::parse(root.strip_prefix(ROOT).unwrap_or_default());
                Anchor::Root(digest.map_err(|error| ParseError::at(text, root, error))?)
            }
            (keys, Some(quorum)) => {
                let keys = keys
                    .iter()
                    .map(|key| {
                        Fingerprint::parse(key).map_err(|error| ParseError::at(text, key, error))
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                let quorum = Threshold::new(quorum)
                    .ok_or_else(|| ParseError::at(text, "quorum", "the quorum is at least 1"))?;
                let keys = AnchorKeys::new(origin.clone(), keys, quorum);
                Anchor::Keys(keys.map_err(|error| ParseError::at(text, "quorum", error))?)
            }
            (_, None) => {
                let reason = "one root, or keys and a quorum";
                return Err(ParseError::at(text, "anchors", reason));
            }
        };
        let number = RootNumber::new(raw.number)
            .ok_or_else(|| ParseError::at(text, "number", "this is no number of a root"))?;
        let digest =
            Digest::parse(&raw.head).map_err(|error| ParseError::at(text, "head", error))?;
        let flag = |field: &str, flag: Option<bool>| match flag {
            Some(false) => Err(ParseError::at(text, field, "is either true or left out")),
            other => Ok(other.is_some()),
        };
        Ok(Self {
            origin,
            anchor,
            head: RootId { number, digest },
            enforced: flag("enforced", raw.enforced)?,
            ahead: flag("ahead", raw.ahead)?,
            verified: raw.verified,
        })
    }

    fn to_text(&self) -> String {
        let mut printer = Printer::default();
        printer.bare("format", FORMAT);
        printer.text("origin", &self.origin);
        match &self.anchor {
            Anchor::Root(digest) => {
                printer.list("anchors", &[alloc::format!("{ROOT}{digest}")]);
            }
            Anchor::Keys(keys) => {
                let fingerprints: Vec<&Fingerprint> = keys.keys().iter().collect();
                printer.list("anchors", &fingerprints);
                printer.bare("quorum", keys.quorum());
            }
        }
        printer.bare("number", self.head.number);
        printer.text("head", self.head.digest);
        if self.enforced {
            printer.bare("enforced", true);
        }
        if self.ahead {
            printer.bare("ahead", true);
        }
        printer.bare("verified", self.verified);
        printer.finish()
    }
}
