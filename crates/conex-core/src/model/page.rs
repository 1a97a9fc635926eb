//! Pages and batches: how vouches are published (spec section 6).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::model::crypto::{BadSignature, Crypto, Digests, Namespace, Signer};
use crate::model::digest::{Context, Digest};
use crate::model::encoding;
use crate::model::key::{Fingerprint, PublicKey, Signature};
use crate::model::limits;
use crate::model::name::{Id, Origin};
use crate::model::stored::{ParseError, Printer, Stored};
use crate::model::vouch::{Vouch, cut_back, cut_digest};

/// Vouches in strict order: by subject, then version, no (subject, version) twice; at most
/// [`limits::VOUCHES`]. A clone shares them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vouches(Arc<Vec<Vouch>>);

impl Serialize for Vouches {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(serializer)
    }
}

/// Why vouches cannot stand together in one page or batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VouchesError {
    /// More than [`limits::VOUCHES`].
    #[error("more than {} vouches", limits::VOUCHES)]
    TooMany,
    /// The same subject twice in the same version.
    #[error("two vouches for the same version of {0}")]
    Twice(String),
    /// None at all, where there has to be one.
    #[error("no vouch at all")]
    None,
}

impl Vouches {
    /// Sorts vouches.
    ///
    /// # Errors
    /// [`VouchesError`] for too many, or two of the same subject and version.
    pub fn new(mut vouches: Vec<Vouch>) -> Result<Self, VouchesError> {
        if vouches.len() > limits::VOUCHES {
            return Err(VouchesError::TooMany);
        }
        vouches.sort();
        for pair in vouches.windows(2) {
            if let [a, b] = pair
                && a.subject == b.subject
                && a.version == b.version
            {
                return Err(VouchesError::Twice(a.subject.to_string()));
            }
        }
        Ok(Self(Arc::new(vouches)))
    }

    /// The vouches, sorted.
    pub fn as_slice(&self) -> &[Vouch] {
        &self.0
    }

    /// The same, to be kept beside this.
    pub(crate) fn shared(&self) -> Arc<Vec<Vouch>> {
        Arc::clone(&self.0)
    }

    fn from_texts(texts: &[String], text: &str) -> Result<Self, ParseError> {
        if texts.len() > limits::VOUCHES {
            return Err(ParseError::whole(VouchesError::TooMany));
        }
        let vouches = texts
            .iter()
            .map(|line| Vouch::parse(line).map_err(|error| ParseError::at(text, line, error)))
            .collect::<Result<_, _>>()?;
        Self::new(vouches).map_err(ParseError::whole)
    }
}

/// Adds a vouch that has to come after all others; `None` if it does not, or is none.
fn push(vouches: &mut Vec<Vouch>, line: &str) -> Option<()> {
    let vouch = Vouch::parse(line).ok()?;
    let is_next = vouches
        .last()
        .is_none_or(|last| (&last.subject, last.version) < (&vouch.subject, vouch.version));
    if !is_next || vouches.len() == limits::VOUCHES {
        return None;
    }
    vouches.push(vouch);
    Some(())
}

/// The range of names a batch speaks of, with its digest: a line of a page.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BatchRef {
    first: Box<str>,
    last: Box<str>,
    digest: Digest,
}

impl BatchRef {
    fn parse(text: &str) -> Option<Self> {
        let (range, digest) = cut_digest(text)?;
        let (first, last) = cut_back(range, b' ')?;
        let name = |word: &str| {
            !word.is_empty()
                && word.len() <= limits::NAME
                && word
                    .bytes()
                    .all(|byte| matches!(byte, b'!'..=b'~') && byte != b'"' && byte != b'\\')
        };
        if !name(first) || !name(last) || first > last {
            return None;
        }
        Some(Self {
            first: first.into(),
            last: last.into(),
            digest,
        })
    }

    /// The batches that the lines of a stored file name.
    pub(crate) fn parse_each(lines: &[String], text: &str) -> Result<Vec<Self>, ParseError> {
        let parse = |line: &String| {
            Self::parse(line)
                .ok_or_else(|| ParseError::at(text, line, "a batch is written `FIRST LAST DIGEST`"))
        };
        lines.iter().map(parse).collect()
    }

    /// The digest of the batch.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The first and the last name of the range.
    pub fn range(&self) -> (&str, &str) {
        (&self.first, &self.last)
    }

    /// The first of some vouches, sorted by subject, that is outside the range.
    pub(crate) fn first_outside<'v>(&self, vouches: &'v [Vouch]) -> Option<&'v Vouch> {
        // They are sorted, by name first.
        let is_before = |vouch: &&Vouch| *vouch.subject.name() < *self.first;
        vouches.first().filter(is_before).or_else(|| {
            let within = vouches.partition_point(|vouch| *vouch.subject.name() <= *self.last);
            vouches.get(within)
        })
    }

    /// Whether the batch may speak of a name.
    pub fn contains(&self, name: &str) -> bool {
        *self.first <= *name && *name <= *self.last
    }
}

impl fmt::Display for BatchRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.first, self.last, self.digest)
    }
}

impl fmt::Debug for BatchRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Many vouches stored once, for pages to name by digest: `conex/batches/<digest>.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Batch {
    vouches: Vouches,
}

impl Batch {
    /// Makes a batch of at least one vouch.
    ///
    /// # Errors
    /// [`VouchesError`].
    pub fn new(vouches: Vec<Vouch>) -> Result<Self, VouchesError> {
        if vouches.is_empty() {
            return Err(VouchesError::None);
        }
        Ok(Self {
            vouches: Vouches::new(vouches)?,
        })
    }

    /// The vouches, sorted.
    pub fn vouches(&self) -> &[Vouch] {
        self.vouches.as_slice()
    }

    /// The same, to be kept beside this.
    pub(crate) fn shared(&self) -> Arc<Vec<Vouch>> {
        self.vouches.shared()
    }

    /// The digest by which pages name it.
    pub fn digest(&self, origin: &Origin, digests: &impl Digests) -> Digest {
        encoding::digest(digests, Context::Batch, origin, self)
    }

    /// The line by which pages name it.
    pub fn reference(&self, origin: &Origin, digests: &impl Digests) -> BatchRef {
        self.reference_as(self.digest(origin, digests))
    }

    /// The same for a batch whose digest is known, as that of a stored one is.
    pub(crate) fn reference_as(&self, digest: Digest) -> BatchRef {
        let name = |vouch: Option<&Vouch>| vouch.map_or("", |vouch| vouch.subject.name()).into();
        BatchRef {
            first: name(self.vouches().first()),
            last: name(self.vouches().last()),
            digest,
        }
    }

    /// The vouch outside a range, if there is one; it voids the batch.
    pub fn outside(&self, range: &BatchRef) -> Option<&Vouch> {
        range.first_outside(self.vouches())
    }
}

/// What a batch says of some names, found in its text without reading the rest.
///
/// Only for a batch that was verified, and is in order: nothing but the lines found is looked at.
/// `None` where that is seen not to be so.
pub(crate) fn excerpt<'n>(
    text: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<Vec<Vouch>> {
    let lines = text.strip_prefix("vouches = [\n")?.strip_suffix("]\n")?;
    let mut found = Vec::new();
    for name in names {
        let mut rest = lines.get(first_line(lines, name)?..)?;
        while !rest.is_empty() {
            let (line, after) = line(rest)?;
            let vouch = Vouch::parse(line).ok()?;
            if vouch.subject.name() != name {
                break;
            }
            found.push(vouch);
            rest = after;
        }
    }
    Some(found)
}

/// Where the first line stands whose name is not less than `name`.
fn first_line(lines: &str, name: &str) -> Option<usize> {
    // Lines begin at both ends, and what is sought stands at or after the first, up to the second.
    let (mut first, mut end) = (0, lines.len());
    while first < end {
        let middle = usize::midpoint(first, end);
        let before = lines.as_bytes().get(first..middle)?;
        let newline = before.iter().rposition(|byte| *byte == b'\n');
        let start = newline.map_or(first, |at| first + at + 1);
        let (line, after) = line(lines.get(start..)?)?;
        if line.split(['/', ' ']).next()? < name {
            first = lines.len() - after.len();
        } else {
            end = start;
        }
    }
    Some(first)
}

/// The text in the first of some lines, and what follows it.
fn line(lines: &str) -> Option<(&str, &str)> {
    let (line, rest) = lines.split_once('\n')?;
    Some((line.strip_prefix("  \"")?.strip_suffix("\",")?, rest))
}

/// Reads an array that begins with `head`, line by line; gives what follows. What is empty is not
/// written.
fn array<'t>(
    text: &'t str,
    head: &str,
    mut read: impl FnMut(&'t str) -> Option<()>,
) -> Option<&'t str> {
    let Some(mut lines) = text.strip_prefix(head) else {
        return Some(text);
    };
    loop {
        let (first, rest) = line(lines)?;
        read(first)?;
        if let Some(after) = rest.strip_prefix("]\n") {
            return Some(after);
        }
        lines = rest;
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
#[expect(
    missing_debug_implementations,
    reason = "an intermediate form nobody keeps"
)]
pub struct RawBatch {
    vouches: Vec<String>,
}

impl Stored for Batch {
    type Raw = RawBatch;

    fn from_raw(raw: RawBatch, text: &str) -> Result<Self, ParseError> {
        let vouches = Vouches::from_texts(&raw.vouches, text)?;
        if vouches.as_slice().is_empty() {
            return Err(ParseError::whole(VouchesError::None));
        }
        Ok(Self { vouches })
    }

    fn from_spelling(text: &str) -> Option<Self> {
        let mut vouches = Vec::with_capacity(text.len() / 100 + 1);
        let rest = array(text, "vouches = [\n", |line| push(&mut vouches, line))?;
        (rest.is_empty() && !vouches.is_empty()).then(|| Self {
            vouches: Vouches(Arc::new(vouches)),
        })
    }

    fn to_text(&self) -> String {
        let mut printer = Printer::with_capacity(self.vouches().len() * 128 + 16);
        printer.texts("vouches", self.vouches(), Vouch::push_to);
        printer.finish()
    }
}

/// A page before it is signed: what one person vouches for at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageBody {
    signer: Id,
    key: Fingerprint,
    batches: Vec<BatchRef>,
    vouches: Vouches,
}

impl PageBody {
    /// Makes a page of at least one vouch or batch.
    ///
    /// # Errors
    /// [`VouchesError`]; a batch named twice counts as [`VouchesError::Twice`].
    pub fn new(
        signer: Id,
        key: Fingerprint,
        mut batches: Vec<BatchRef>,
        vouches: Vec<Vouch>,
    ) -> Result<Self, VouchesError> {
        if batches.is_empty() && vouches.is_empty() {
            return Err(VouchesError::None);
        }
        if batches.len() > limits::BATCHES {
            return Err(VouchesError::TooMany);
        }
        batches.sort();
        let mut named = BTreeSet::new();
        if let Some(twice) = batches.iter().find(|batch| !named.insert(batch.digest)) {
            return Err(VouchesError::Twice(twice.to_string()));
        }
        Ok(Self {
            signer,
            key,
            batches,
            vouches: Vouches::new(vouches)?,
        })
    }

    /// Who signs.
    pub fn signer(&self) -> &Id {
        &self.signer
    }

    /// With which key.
    pub fn key(&self) -> Fingerprint {
        self.key
    }

    /// The batches vouched for, sorted.
    pub fn batches(&self) -> &[BatchRef] {
        &self.batches
    }

    /// The single vouches, sorted.
    pub fn vouches(&self) -> &[Vouch] {
        self.vouches.as_slice()
    }

    /// The same, to be kept beside this.
    pub(crate) fn shared(&self) -> Arc<Vec<Vouch>> {
        self.vouches.shared()
    }

    /// The bytes that are signed: the canonical encoding of the origin and this page.
    pub fn message(&self, origin: &Origin) -> Vec<u8> {
        encoding::canonical(origin, self)
    }

    /// Signs the page.
    ///
    /// # Errors
    /// Whatever keeps the signer from signing.
    pub fn sign<S: Signer>(self, origin: &Origin, signer: &S) -> Result<Page, S::Error> {
        let signature = signer.sign(Namespace::Page, &self.message(origin))?;
        Ok(Page {
            body: self,
            signature,
        })
    }
}

/// A page as it is stored, its signature not yet checked: `conex/index/<signer>/<digest>.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    body: PageBody,
    signature: Signature,
}

impl Page {
    /// The signed part.
    pub fn body(&self) -> &PageBody {
        &self.body
    }

    /// The signature as stored.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The digest that names the page, signature included.
    pub fn digest(&self, origin: &Origin, digests: &impl Digests) -> Digest {
        encoding::digest(digests, Context::Page, origin, self)
    }

    /// Verifies the signature with a key that is trusted to be the signer's.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(
        &self,
        origin: &Origin,
        key: &PublicKey,
        crypto: &impl Crypto,
    ) -> Result<(), BadSignature> {
        crypto.verify(
            key,
            Namespace::Page,
            &self.body.message(origin),
            &self.signature,
        )
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
#[expect(
    missing_debug_implementations,
    reason = "an intermediate form nobody keeps"
)]
pub struct RawPage {
    signer: String,
    key: String,
    #[serde(default)]
    batches: Vec<String>,
    #[serde(default)]
    vouches: Vec<String>,
    signature: String,
}

impl Stored for Page {
    type Raw = RawPage;

    fn from_raw(raw: RawPage, text: &str) -> Result<Self, ParseError> {
        let signer =
            Id::parse_own(&raw.signer).map_err(|error| ParseError::at(text, "signer", error))?;
        let key =
            Fingerprint::parse(&raw.key).map_err(|error| ParseError::at(text, "key", error))?;
        let batches = BatchRef::parse_each(&raw.batches, text)?;
        let vouches = Vouches::from_texts(&raw.vouches, text)?;
        let signature = Signature::parse(&raw.signature)
            .map_err(|error| ParseError::at(text, "signature", error))?;
        let body = PageBody::new(signer, key, batches, Arc::unwrap_or_clone(vouches.0))
            .map_err(ParseError::whole)?;
        Ok(Self { body, signature })
    }

    fn from_spelling(text: &str) -> Option<Self> {
        let (signer, rest) = text.strip_prefix("signer = \"")?.split_once("\"\n")?;
        let (key, rest) = rest.strip_prefix("key = \"")?.split_once("\"\n")?;
        // Most pages name no batch.
        let mut batches: Vec<BatchRef> = Vec::new();
        let rest = array(rest, "batches = [\n", |line| {
            batches.push(BatchRef::parse(line)?);
            Some(())
        })?;
        let mut vouches = Vec::new();
        let rest = array(rest, "vouches = [\n", |line| push(&mut vouches, line))?;
        let armour = rest
            .strip_prefix("signature = \"\"\"\n")?
            .strip_suffix("\"\"\"\n")?;
        let signature = Signature::parse(armour).ok()?;
        if !batches.is_sorted() || signature.armour() != armour {
            return None;
        }
        let body = PageBody::new(
            Id::parse_own(signer).ok()?,
            Fingerprint::parse(key).ok()?,
            batches,
            vouches,
        );
        Some(Self {
            body: body.ok()?,
            signature,
        })
    }

    fn to_text(&self) -> String {
        let mut printer = Printer::with_capacity(self.body.vouches().len() * 128 + 2_048);
        printer.text("signer", &self.body.signer);
        printer.text("key", self.body.key);
        printer.list("batches", &self.body.batches);
        printer.texts("vouches", self.body.vouches(), Vouch::push_to);
        printer.block("signature", &self.signature.armour());
        printer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn vouch(subject: &str) -> Vouch {
        Vouch::parse(&format!("{subject} 0.1 {}", "ab".repeat(32))).unwrap()
    }

    #[test]
    fn an_excerpt_is_all_that_a_batch_says_of_some_names() {
        let subjects = [
            ". repository",
            "a author",
            "foo authorisation",
            "foo releases",
            "foo/1.0 checksums",
            "foo-bar releases",
            "fooo releases",
            "zed/1 checksums",
        ];
        let all: Vec<Vouch> = subjects.iter().map(|subject| vouch(subject)).collect();
        let names = [
            "!", ".", "a", "b", "fo", "foo", "foo-bar", "fooo", "zed", "zee",
        ];
        for from in 0..all.len() {
            let batch = Batch::new(all.get(from..).unwrap().to_vec()).unwrap();
            let text = batch.to_text();
            for chosen in 0..1_usize << names.len() {
                let chosen: Vec<&str> = (0..names.len())
                    .filter(|at| chosen >> at & 1 == 1)
                    .map(|at| *names.get(at).unwrap())
                    .collect();
                let said: Vec<Vouch> = batch
                    .vouches()
                    .iter()
                    .filter(|vouch| chosen.contains(&vouch.subject.name()))
                    .cloned()
                    .collect();
                assert_eq!(excerpt(&text, chosen), Some(said));
            }
        }
    }

    #[test]
    fn what_is_no_batch_has_no_excerpt() {
        let text = Batch::new(alloc::vec![vouch("foo releases")])
            .unwrap()
            .to_text();
        assert_eq!(
            excerpt(&text, ["foo"]),
            Some(alloc::vec![vouch("foo releases")])
        );
        for bad in [
            text.replace("vouches", "pages"),
            text.replace("\",", "\""),
            text.replace("]\n", "]"),
            text.replace("releases", "release"),
        ] {
            assert_eq!(excerpt(&bad, ["foo"]), None, "{bad}");
        }
    }
}
