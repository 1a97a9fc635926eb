//! What a client keeps of a verification, outside the tree (spec section 9.5).

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;

use crate::model::digest::Digest;
use crate::model::key::Fingerprint;
use crate::model::name::Origin;
use crate::model::path::Path;
use crate::model::statement::RootNumber;
use crate::model::stored::{ParseError, Printer, Stored};
use crate::model::version::Threshold;
use crate::state::chain::{AnchorKeys, Head, RootId, Trust};
use crate::verify::verification::{Basis, Verified};

/// The format of records that this version writes and reads.
const FORMAT: u32 = 1;

/// How a root is written as an anchor.
const ROOT: &str = "root:";

/// Most paths that a [`CopyRecord`] lists: more files than an update of a whole repository changes.
pub const EDITED: usize = 1 << 16;

/// What is known of the state that a client has: it was verified, from these anchors, to this head.
///
/// It is made of a [`Verified`] only, which says what it rests on. Whoever has none, or one that does not fit, verifies
/// in full.
/// What a client keeps beside it of its copy is a [`CopyRecord`].
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
pub(crate) enum Anchor {
    Root(Digest),
    Keys(AnchorKeys),
    /// None: for comparing. It fits nothing, and nobody keeps such a record.
    Assumed,
}

impl Anchor {
    pub(crate) fn of(trust: &Trust) -> Option<Self> {
        match trust {
            Trust::Root(digest) => Some(Self::Root(*digest)),
            Trust::Keys(keys) => Some(Self::Keys(keys.clone())),
            Trust::Recorded(_) | Trust::DangerousSelfAsserted => None,
        }
    }
}

impl LocalRecord {
    /// Records a state that was verified from anchors, or as an update of one on record. `time` is when, in seconds
    /// since 1970; nothing here reads a clock. `None` where trust was not in anchors.
    pub fn new(verified: &Verified, time: u64) -> Option<Self> {
        let anchor = match verified.basis() {
            Basis::Anchor(anchor) => anchor.clone(),
            Basis::Update(record) => record.anchor.clone(),
            Basis::Nothing => return None,
        };
        Some(Self {
            origin: verified.head().root().origin.clone(),
            anchor,
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
            anchor: Anchor::Assumed,
            head: head.id(),
            enforced: false,
            ahead: true,
            verified: 0,
        }
    }

    /// Records the state that an update of this one led to. `time` is when, if all of it was
    /// looked at. `None` where what was verified is no update of this very record.
    pub fn updated(&self, verified: &Verified, time: Option<u64>) -> Option<Self> {
        let is_of_this = matches!(verified.basis(), Basis::Update(record) if **record == *self);
        is_of_this.then(|| Self {
            head: verified.head().id(),
            enforced: verified.is_enforced(),
            ahead: verified.is_ahead(),
            verified: time.unwrap_or(self.verified),
            ..self.clone()
        })
    }

    /// Whether it was made of something that was verified.
    pub(crate) fn is_assumed(&self) -> bool {
        self.anchor == Anchor::Assumed
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
            Anchor::Assumed => Trust::DangerousSelfAsserted,
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

/// What tells the files of a copy from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkKind {
    /// What the file system says of a file: its size and times. It survives a move, and no copying.
    Metadata,
    /// A digest of its bytes.
    Content,
}

impl MarkKind {
    const ALL: [Self; 2] = [Self::Metadata, Self::Content];

    fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Content => "content",
        }
    }
}

/// What a copy was: one digest over the marks of all its files. Only the program that made it
/// compares it, so the digest is that program's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyMark {
    /// What the marks are.
    pub kind: MarkKind,
    /// The digest over them.
    pub digest: Digest,
}

impl fmt::Display for CopyMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.digest)
    }
}

impl CopyMark {
    fn parse(text: &str) -> Option<Self> {
        let (kind, digest) = text.split_once(':')?;
        Some(Self {
            kind: MarkKind::ALL
                .into_iter()
                .find(|known| known.as_str() == kind)?,
            digest: Digest::parse(digest).ok()?,
        })
    }
}

/// Where the metadata of a state (all below `conex/`) is kept, so that an update of a copy that
/// changed under the program is still held to what was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloorMark {
    /// Which file of those beside the record: a digest of how it begins.
    pub base: Digest,
    /// How many bytes of it are of this state.
    pub length: u64,
    /// A digest of these bytes.
    pub digest: Digest,
}

impl fmt::Display for FloorMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.base, self.length, self.digest)
    }
}

impl FloorMark {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let mark = Self {
            base: Digest::parse(parts.next()?).ok()?,
            length: parts.next()?.parse().ok()?,
            digest: Digest::parse(parts.next()?).ok()?,
        };
        parts.next().is_none().then_some(mark)
    }
}

/// A verified state, as a client has it or is about to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyState {
    /// What was verified.
    pub record: LocalRecord,
    /// What the client's copy is in this state; `None` where nobody can tell.
    pub copy: Option<CopyMark>,
    /// Where the metadata of the state is kept, if it is.
    pub floor: Option<FloorMark>,
}

/// What a client keeps of its copy: the state that it was in when an update was verified, and the state
/// that the update makes of it.
///
/// Whoever verifies an update is not told whether it was put in place. So both states are kept until
/// the next call, which sees in which one the copy is: [`CopyRecord::settled`]. A copy that is in
/// neither has drifted, and nothing may rest on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRecord {
    confirmed: CopyState,
    pending: Option<CopyState>,
    edited: Vec<Path>,
}

impl From<LocalRecord> for CopyRecord {
    /// A state of which nothing else is known.
    fn from(record: LocalRecord) -> Self {
        Self::of(CopyState {
            record,
            copy: None,
            floor: None,
        })
    }
}

impl CopyRecord {
    /// A state that is in place, and no update of it.
    pub fn of(confirmed: CopyState) -> Self {
        Self {
            confirmed,
            pending: None,
            edited: Vec::new(),
        }
    }

    /// The same, of a state of which some files are marked by their content, as in [`Self::updating`].
    #[must_use]
    pub fn editing(mut self, edited: BTreeSet<Path>) -> Self {
        self.edited = edited.into_iter().collect();
        if self.edited.len() > EDITED {
            self = self.without_marks();
        }
        self
    }

    /// A state that is in place, and an update of it that was accepted. The files at `edited` are
    /// marked by their content in both, whatever the marks of the others are: their metadata is
    /// not known before the update is in place.
    ///
    /// With more than [`EDITED`] such files, what the copy is in either state is not kept.
    pub fn updating(confirmed: CopyState, pending: CopyState, edited: BTreeSet<Path>) -> Self {
        let record = Self {
            confirmed,
            pending: Some(pending),
            edited: Vec::new(),
        };
        record.editing(edited)
    }

    /// The state that was in place.
    pub fn confirmed(&self) -> &CopyState {
        &self.confirmed
    }

    /// The state that an accepted update leads to.
    pub fn pending(&self) -> Option<&CopyState> {
        self.pending.as_ref()
    }

    /// Both states, the confirmed one first.
    pub fn states(&self) -> impl Iterator<Item = &CopyState> {
        core::iter::once(&self.confirmed).chain(&self.pending)
    }

    /// The files that are marked by their content, in the order of their paths.
    pub fn edited(&self) -> &[Path] {
        &self.edited
    }

    /// The state that a copy is in; `None` if in neither. `mark` gives the digest over the marks of the
    /// copy as it is now, by their kind, with the files of [`Self::edited`] marked by their content.
    pub fn settled(&self, mark: impl Fn(MarkKind) -> Option<Digest>) -> Option<&CopyState> {
        let states = [self.pending.as_ref(), Some(&self.confirmed)];
        states.into_iter().flatten().find(|state| {
            state
                .copy
                .is_some_and(|copy| mark(copy.kind) == Some(copy.digest))
        })
    }

    /// The same record, with where the metadata of the two states is kept.
    #[must_use]
    pub fn with_floors(mut self, [confirmed, pending]: [Option<FloorMark>; 2]) -> Self {
        self.confirmed.floor = confirmed;
        if let Some(state) = &mut self.pending {
            state.floor = pending;
        }
        self
    }

    /// The same record, and nothing of what the copy is: where that is more than can be kept.
    #[must_use]
    pub fn without_marks(mut self) -> Self {
        self.edited.clear();
        self.confirmed.copy = None;
        if let Some(pending) = &mut self.pending {
            pending.copy = None;
        }
        self
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
    copy: Option<String>,
    floor: Option<String>,
    #[serde(default)]
    edited: Vec<String>,
    #[serde(default)]
    pending: Vec<RawState>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawState {
    number: u32,
    head: String,
    enforced: Option<bool>,
    ahead: Option<bool>,
    verified: u64,
    copy: Option<String>,
    floor: Option<String>,
}

impl RawState {
    /// Reads a state of a repository that is known by its anchors.
    fn state(
        self,
        (origin, anchor): (Origin, Anchor),
        text: &str,
    ) -> Result<CopyState, ParseError> {
        let number = RootNumber::new(self.number)
            .ok_or_else(|| ParseError::at(text, "number", "this is no number of a root"))?;
        let digest =
            Digest::parse(&self.head).map_err(|error| ParseError::at(text, "head", error))?;
        let flag = |field: &str, flag: Option<bool>| match flag {
            Some(false) => Err(ParseError::at(text, field, "is either true or left out")),
            other => Ok(other.is_some()),
        };
        let record = LocalRecord {
            origin,
            anchor,
            head: RootId { number, digest },
            enforced: flag("enforced", self.enforced)?,
            ahead: flag("ahead", self.ahead)?,
            verified: self.verified,
        };
        let copy = self.copy.map(|copy| {
            let reason = "this is no kind of marks and a digest";
            CopyMark::parse(&copy).ok_or_else(|| ParseError::at(text, &copy, reason))
        });
        let floor = self.floor.map(|floor| {
            let reason = "this is no digest, length and digest";
            FloorMark::parse(&floor).ok_or_else(|| ParseError::at(text, &floor, reason))
        });
        Ok(CopyState {
            record,
            copy: copy.transpose()?,
            floor: floor.transpose()?,
        })
    }
}

impl Stored for CopyRecord {
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
        let repository = (origin, anchor);
        let confirmed = RawState {
            number: raw.number,
            head: raw.head,
            enforced: raw.enforced,
            ahead: raw.ahead,
            verified: raw.verified,
            copy: raw.copy,
            floor: raw.floor,
        };
        let mut states = core::iter::once(confirmed)
            .chain(raw.pending)
            .map(|state| state.state(repository.clone(), text));
        let (confirmed, pending) = (states.next().transpose()?, states.next().transpose()?);
        let (Some(confirmed), None) = (confirmed, states.next()) else {
            return Err(ParseError::at(text, "pending", "one update at most"));
        };
        if raw.edited.len() > EDITED {
            return Err(ParseError::at(
                text,
                "edited",
                "more paths than a record lists",
            ));
        }
        let edited = raw
            .edited
            .iter()
            .map(|path| Path::parse(path).map_err(|error| ParseError::at(text, path, error)));
        let edited: Vec<Path> = edited.collect::<Result<_, _>>()?;
        if !edited.is_sorted_by(|a, b| a < b) {
            return Err(ParseError::at(
                text,
                "edited",
                "the paths are in order, each once",
            ));
        }
        Ok(Self {
            confirmed,
            pending,
            edited,
        })
    }

    fn to_text(&self) -> String {
        let record = &self.confirmed.record;
        let mut printer = Printer::default();
        printer.bare("format", FORMAT);
        printer.text("origin", &record.origin);
        match &record.anchor {
            Anchor::Root(digest) => {
                printer.list("anchors", &[alloc::format!("{ROOT}{digest}")]);
            }
            Anchor::Keys(keys) => {
                let fingerprints: Vec<&Fingerprint> = keys.keys().iter().collect();
                printer.list("anchors", &fingerprints);
                printer.bare("quorum", keys.quorum());
            }
            // Nobody keeps it, and it could not be read back.
            Anchor::Assumed => {}
        }
        self.confirmed.print(&mut printer);
        printer.list("edited", &self.edited);
        if let Some(pending) = &self.pending {
            printer.element("pending");
            pending.print(&mut printer);
        }
        printer.finish()
    }
}

impl CopyState {
    fn print(&self, printer: &mut Printer) {
        let record = &self.record;
        printer.bare("number", record.head.number);
        printer.text("head", record.head.digest);
        if record.enforced {
            printer.bare("enforced", true);
        }
        if record.ahead {
            printer.bare("ahead", true);
        }
        printer.bare("verified", record.verified);
        if let Some(copy) = &self.copy {
            printer.text("copy", copy);
        }
        if let Some(floor) = &self.floor {
            printer.text("floor", floor);
        }
    }
}

/// A record of a state that nobody has a copy of, such as a commit.
impl Stored for LocalRecord {
    type Raw = RawRecord;

    fn from_raw(raw: RawRecord, text: &str) -> Result<Self, ParseError> {
        let record = CopyRecord::from_raw(raw, text)?;
        if record == CopyRecord::from(record.confirmed.record.clone()) {
            Ok(record.confirmed.record)
        } else {
            Err(ParseError::whole("this is a record of a copy"))
        }
    }

    fn to_text(&self) -> String {
        CopyRecord::from(self.clone()).to_text()
    }
}
