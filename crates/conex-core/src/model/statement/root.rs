//! Roots: the janitors, and the rules they agreed on (spec section 4).

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{
    FormerKey, RawFormerKey, StatementError, at_most, checked, parse_each, parse_flag, parse_one,
    parse_threshold, sort_unique,
};
use crate::model::crypto::{BadSignature, Digests, Namespace, Signatures, Signer};
use crate::model::digest::{Context, Digest};
use crate::model::encoding;
use crate::model::key::{Fingerprint, PublicKey, Signature};
use crate::model::limits;
use crate::model::name::{Id, Origin};
use crate::model::page::BatchRef;
use crate::model::path::Pattern;
use crate::model::stored::{ParseError, Printer, Stored};
use crate::model::version::Threshold;

/// The number of this format. A verifier that meets a greater one asks to be upgraded.
pub const FORMAT: u16 = 1;

/// The position of a root in its chain, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RootNumber(NonZeroU32);

impl RootNumber {
    /// The first root.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// Takes a number from 1 to [`limits::ROOTS`].
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number)
            .filter(|number| number.get() <= limits::ROOTS)
            .map(Self)
    }

    /// The number.
    pub const fn as_u32(self) -> u32 {
        self.0.get()
    }

    /// The number that follows.
    pub fn next(self) -> Option<Self> {
        Self::new(self.as_u32() + 1)
    }

    /// Parses digits without leading zeros.
    pub fn parse(text: &str) -> Option<Self> {
        let number = Self::new(text.parse().ok()?)?;
        (number.to_string() == text).then_some(number)
    }
}

impl fmt::Display for RootNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RootNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a layout (`opam`) or a projection (`opam/1`): lower-case letters, digits, `-`, `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Scheme(Box<str>);

impl Scheme {
    /// Parses a name of 1 to 40 characters.
    ///
    /// # Errors
    /// [`StatementError::Invalid`] for other characters or lengths.
    pub fn parse(text: &str) -> Result<Self, StatementError> {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-/".contains(&byte);
        if text.is_empty() || text.len() > 40 || !text.bytes().all(plain) {
            return Err(StatementError::Invalid {
                field: "layout or projection",
                reason: "is 1 to 40 lower-case letters, digits, '-' and '/'",
            });
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A janitor: id and keys. Listed keys need no proof of possession, for a janitor signs in person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Janitor {
    /// Who.
    pub id: Id,
    /// Keys that may sign; at least one, sorted.
    pub keys: Vec<PublicKey>,
}

/// Pages of a former janitor, or of a janitor's former key, that go on counting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FormerJanitor {
    /// Who signed them.
    pub id: Id,
    /// With which key, and which pages.
    pub former: FormerKey,
}

/// Keys of the checkpoint service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checkpoints {
    /// Whether clients demand a checkpoint; sticky.
    pub required: bool,
    /// The service's keys, sorted.
    pub keys: Vec<PublicKey>,
}

/// The fields of a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootFields {
    /// The repository's own name; the same in every root.
    pub origin: Origin,
    /// Position in the chain.
    pub number: RootNumber,
    /// Digest of the root before; none for the first.
    pub previous: Option<Digest>,
    /// The janitors, sorted by id.
    pub janitors: Vec<Janitor>,
    /// How many janitors decide about people, ownership and roots.
    pub quorum: Threshold,
    /// How many janitors may change the checksums of an owned package; at most the quorum.
    pub upkeep: Threshold,
    /// How many janitors approve the content of an unclaimed package; at most the quorum.
    pub unclaimed: Threshold,
    /// What the tree looks like.
    pub layout: Scheme,
    /// How source is told from upkeep: none (all is source), one, or two while migrating, the
    /// newer one last.
    pub projections: Vec<Scheme>,
    /// Files outside the package tree that clients do not read.
    pub ignore: Vec<Pattern>,
    /// Whether every package must be signed; sticky.
    pub complete: bool,
    /// Keys that sign nothing any more, whoever lists them; none ever leaves this list.
    pub revoked: Vec<Fingerprint>,
    /// Batches of what has to be approved in these versions or greater ones, under this root and all
    /// later ones; at most [`limits::BATCHES`], and none ever leaves this list.
    pub floor: Vec<BatchRef>,
    /// Pages of former janitors and former keys that go on counting.
    pub former: Vec<FormerJanitor>,
    /// The checkpoint service.
    pub checkpoints: Checkpoints,
}

/// A checked root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Root(RootFields);

checked!(Root, RootFields);

impl Root {
    /// Checks the fields and sorts the lists.
    ///
    /// # Errors
    /// [`StatementError`]: thresholds out of range, an id or key twice, no janitor, a first root
    /// with a predecessor or a later one without.
    pub fn new(mut fields: RootFields) -> Result<Self, StatementError> {
        if (fields.number == RootNumber::FIRST) != fields.previous.is_none() {
            return Err(StatementError::Invalid {
                field: "previous",
                reason: "is the digest of the root before, and absent in the first root only",
            });
        }
        check_janitors(&mut fields)?;
        let people = fields.janitors.len();
        if fields.quorum.people() > people {
            return Err(StatementError::Invalid {
                field: "quorum",
                reason: "is greater than the number of janitors",
            });
        }
        for (field, threshold) in [("upkeep", fields.upkeep), ("unclaimed", fields.unclaimed)] {
            if threshold > fields.quorum {
                return Err(StatementError::Invalid {
                    field,
                    reason: "is greater than the quorum",
                });
            }
        }
        at_most("projections", &fields.projections, 2)?;
        // In the order in which the community migrates: tools vouch under the last.
        sort_unique("projections", &mut fields.projections.clone())?;
        at_most("ignore", &fields.ignore, limits::MEMBERS)?;
        sort_unique("ignore", &mut fields.ignore)?;
        sort_unique("revoked", &mut fields.revoked)?;
        at_most("floor", &fields.floor, limits::BATCHES)?;
        sort_unique("floor", &mut fields.floor)?;
        sort_unique("checkpoints.keys", &mut fields.checkpoints.keys)?;
        if fields.checkpoints.required && fields.checkpoints.keys.is_empty() {
            return Err(StatementError::Empty("checkpoints.keys"));
        }
        Ok(Self(fields))
    }

    /// The digest that names the root: the next root holds it, and a client may be given it.
    pub fn digest(&self, digests: &impl Digests) -> Digest {
        encoding::digest(digests, Context::Root, &self.origin, self)
    }

    /// The bytes that janitors sign.
    pub fn message(&self) -> Vec<u8> {
        encoding::canonical(&self.origin, self)
    }

    /// Signs the root as `id`.
    ///
    /// # Errors
    /// Whatever keeps the signer from signing.
    pub fn sign<S: Signer>(
        &self,
        id: Id,
        digests: &impl Digests,
        signer: &S,
    ) -> Result<RootSignature, S::Error> {
        let signature = signer.sign(Namespace::Root, &self.message())?;
        Ok(RootSignature {
            signer: id,
            key: digests.fingerprint(signer.public_key()),
            signature,
        })
    }

    /// The janitor with an id.
    pub fn janitor(&self, id: &Id) -> Option<&Janitor> {
        self.janitors.iter().find(|janitor| janitor.id == *id)
    }
}

fn check_janitors(fields: &mut RootFields) -> Result<(), StatementError> {
    if fields.janitors.is_empty() {
        return Err(StatementError::Empty("janitors"));
    }
    at_most("janitors", &fields.janitors, limits::MEMBERS)?;
    fields.janitors.sort();
    // One key belongs to one id: current and former keys of everybody together.
    let mut owner_of: BTreeMap<&PublicKey, &Id> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for janitor in &mut fields.janitors {
        if janitor.id.is_janitors() {
            return Err(StatementError::Invalid {
                field: "janitors",
                reason: "holds the reserved id `janitors`",
            });
        }
        if janitor.keys.is_empty() {
            return Err(StatementError::Empty("janitors.keys"));
        }
        at_most("janitors.keys", &janitor.keys, limits::KEYS)?;
        janitor.keys.sort();
    }
    fields.former.sort();
    for former in &mut fields.former {
        former.former.sort()?;
    }
    for janitor in &fields.janitors {
        if !ids.insert(&janitor.id) {
            return Err(StatementError::Twice {
                field: "janitors",
                value: janitor.id.to_string(),
            });
        }
        for key in &janitor.keys {
            if owner_of.insert(key, &janitor.id).is_some() {
                return Err(StatementError::Twice {
                    field: "janitors.keys",
                    value: key.to_string(),
                });
            }
        }
    }
    for former in &fields.former {
        if owner_of.insert(&former.former.key, &former.id).is_some() {
            return Err(StatementError::Twice {
                field: "former",
                value: former.former.key.to_string(),
            });
        }
    }
    Ok(())
}

/// A janitor's signature of a root: `conex/root/<n>/<id>-<digits>.toml`, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootSignature {
    /// Who says they signed.
    pub signer: Id,
    /// With which key.
    pub key: Fingerprint,
    /// The signature.
    pub signature: Signature,
}

impl RootSignature {
    /// The name of its file, without `.toml`: the signer, `-`, and the first 16 hexadecimal digits
    /// of the key's fingerprint.
    pub fn name(&self) -> String {
        let digits = self.key.to_hex();
        alloc::format!("{}-{}", self.signer, digits.get(..16).unwrap_or_default())
    }

    /// Verifies the signature of `root` with a key that is trusted to be the signer's.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(
        &self,
        root: &Root,
        key: &PublicKey,
        signatures: &impl Signatures,
    ) -> Result<(), BadSignature> {
        signatures.verify(key, Namespace::Root, &root.message(), &self.signature)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
#[expect(
    missing_debug_implementations,
    reason = "an intermediate form nobody keeps"
)]
pub struct RawRootSignature {
    signer: String,
    key: String,
    signature: String,
}

impl Stored for RootSignature {
    type Raw = RawRootSignature;

    fn from_raw(raw: RawRootSignature, text: &str) -> Result<Self, ParseError> {
        Ok(Self {
            signer: parse_one(text, &raw.signer, Id::parse_own)?,
            key: parse_one(text, &raw.key, Fingerprint::parse)?,
            signature: Signature::parse(&raw.signature)
                .map_err(|error| ParseError::at(text, "signature", error))?,
        })
    }

    fn to_text(&self) -> String {
        let mut printer = Printer::default();
        printer.text("signer", &self.signer);
        printer.text("key", self.key);
        printer.block("signature", &self.signature.armour());
        printer.finish()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJanitor {
    id: String,
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct RawFormer {
    id: String,
    #[serde(flatten)]
    former: RawFormerKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
#[expect(
    missing_debug_implementations,
    reason = "an intermediate form nobody keeps"
)]
pub struct RawRoot {
    format: u16,
    origin: String,
    number: u32,
    previous: Option<String>,
    quorum: u16,
    upkeep: u16,
    unclaimed: u16,
    layout: String,
    #[serde(default)]
    projections: Vec<String>,
    complete: Option<bool>,
    checkpoints_required: Option<bool>,
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default)]
    revoked: Vec<String>,
    #[serde(default)]
    floor: Vec<String>,
    #[serde(default)]
    checkpoint_keys: Vec<String>,
    janitors: Vec<RawJanitor>,
    #[serde(default)]
    former: Vec<RawFormer>,
}

impl Stored for Root {
    type Raw = RawRoot;

    fn from_raw(raw: RawRoot, text: &str) -> Result<Self, ParseError> {
        if raw.format != FORMAT {
            return Err(ParseError::at(
                text,
                "format",
                format_args!(
                    "format {} is newer than this program knows; upgrade conex",
                    raw.format
                ),
            ));
        }
        let janitor = |raw: &RawJanitor| {
            Ok(Janitor {
                id: parse_one(text, &raw.id, Id::parse)?,
                keys: parse_each(text, &raw.keys, PublicKey::parse)?,
            })
        };
        let former = |raw: &RawFormer| {
            Ok(FormerJanitor {
                id: parse_one(text, &raw.id, Id::parse_own)?,
                former: FormerKey::from_raw(&raw.former, text)?,
            })
        };
        let fields = RootFields {
            origin: parse_one(text, &raw.origin, Origin::parse)?,
            number: RootNumber::new(raw.number)
                .ok_or_else(|| ParseError::at(text, "number", "a root's number is 1 to 4096"))?,
            previous: raw
                .previous
                .map(|digest| parse_one(text, &digest, Digest::parse))
                .transpose()?,
            janitors: raw
                .janitors
                .iter()
                .map(janitor)
                .collect::<Result<_, ParseError>>()?,
            quorum: parse_threshold(text, "quorum", raw.quorum)?,
            upkeep: parse_threshold(text, "upkeep", raw.upkeep)?,
            unclaimed: parse_threshold(text, "unclaimed", raw.unclaimed)?,
            layout: parse_one(text, &raw.layout, Scheme::parse)?,
            projections: parse_each(text, &raw.projections, Scheme::parse)?,
            ignore: parse_each(text, &raw.ignore, Pattern::parse)?,
            complete: parse_flag(text, "complete", raw.complete)?,
            revoked: parse_each(text, &raw.revoked, Fingerprint::parse)?,
            floor: BatchRef::parse_each(&raw.floor, text)?,
            former: raw
                .former
                .iter()
                .map(former)
                .collect::<Result<_, ParseError>>()?,
            checkpoints: Checkpoints {
                required: parse_flag(text, "checkpoints_required", raw.checkpoints_required)?,
                keys: parse_each(text, &raw.checkpoint_keys, PublicKey::parse)?,
            },
        };
        Self::new(fields).map_err(ParseError::whole)
    }

    fn to_text(&self) -> String {
        let mut printer = Printer::default();
        printer.bare("format", FORMAT);
        printer.text("origin", &self.origin);
        printer.bare("number", self.number);
        if let Some(previous) = &self.previous {
            printer.text("previous", previous);
        }
        printer.bare("quorum", self.quorum);
        printer.bare("upkeep", self.upkeep);
        printer.bare("unclaimed", self.unclaimed);
        printer.text("layout", &self.layout);
        printer.list("projections", &self.projections);
        if self.complete {
            printer.bare("complete", true);
        }
        if self.checkpoints.required {
            printer.bare("checkpoints_required", true);
        }
        printer.list("ignore", &self.ignore);
        printer.list("revoked", &self.revoked);
        printer.list("floor", &self.floor);
        printer.list("checkpoint_keys", &self.checkpoints.keys);
        for janitor in &self.janitors {
            printer.element("janitors");
            printer.text("id", &janitor.id);
            printer.list("keys", &janitor.keys);
        }
        for former in &self.former {
            printer.element("former");
            printer.text("id", &former.id);
            former.former.print(&mut printer);
        }
        printer.finish()
    }
}
