//! Authors: people with keys (spec section 3).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::{
    FormerKey, RawFormerKey, StatementError, at_most, checked, parse_each, parse_flag, parse_one,
    sort_unique,
};
use crate::model::crypto::{BadSignature, Namespace, Signatures, Signer};
use crate::model::encoding;
use crate::model::key::{PublicKey, Signature};
use crate::model::limits;
use crate::model::name::{Id, Origin};
use crate::model::stored::{ParseError, Printer, Stored};

/// An account of an author elsewhere, such as `github.com/bob`: 1 to 200 printable characters
/// without blanks, quotes and backslashes. Information for janitors; nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Account(Box<str>);

impl Account {
    /// Parses an account.
    ///
    /// # Errors
    /// [`StatementError::Invalid`] for other characters or lengths.
    pub fn parse(text: &str) -> Result<Self, StatementError> {
        let plain = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'"' && byte != b'\\';
        if text.is_empty() || text.len() > 200 || !text.bytes().all(plain) {
            return Err(StatementError::Invalid {
                field: "accounts",
                reason: "are 1 to 200 printable characters without blanks, quotes and backslashes",
            });
        }
        Ok(Self(text.into()))
    }

    /// The account as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key of an author, with the proof that they hold it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AuthorKey {
    /// The key.
    pub key: PublicKey,
    /// A signature by that key over origin, id and key: nobody can list another's key as theirs.
    pub proof: Signature,
}

impl AuthorKey {
    /// Proves that `signer` belongs to `id` in the repository `origin`.
    ///
    /// # Errors
    /// Whatever keeps the signer from signing.
    pub fn prove<S: Signer>(origin: &Origin, id: &Id, signer: &S) -> Result<Self, S::Error> {
        let key = signer.public_key().clone();
        let proof = signer.sign(Namespace::Possession, &Self::message(origin, id, &key))?;
        Ok(Self { key, proof })
    }

    /// Verifies the proof.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(
        &self,
        origin: &Origin,
        id: &Id,
        signatures: &impl Signatures,
    ) -> Result<(), BadSignature> {
        signatures.verify(
            &self.key,
            Namespace::Possession,
            &Self::message(origin, id, &self.key),
            &self.proof,
        )
    }

    /// The bytes that the proof signs.
    pub fn message(origin: &Origin, id: &Id, key: &PublicKey) -> Vec<u8> {
        encoding::canonical(origin, &(id, key))
    }
}

/// The fields of an author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorFields {
    /// The author's id, for ever theirs.
    pub id: Id,
    /// Accounts elsewhere.
    pub accounts: Vec<Account>,
    /// Keys that may sign; at least one, unless retired.
    pub keys: Vec<AuthorKey>,
    /// Keys of the past, with the pages of theirs that go on counting.
    pub former: Vec<FormerKey>,
    /// Whether the author is retired, which is for ever: no key signs, accepted pages count.
    pub retired: bool,
}

/// A checked author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Author(AuthorFields);

checked!(Author, AuthorFields);

impl Author {
    /// Checks the fields and sorts the lists.
    ///
    /// # Errors
    /// [`StatementError`]: no key, keys of a retired author, a key twice, a reserved id.
    pub fn new(mut fields: AuthorFields) -> Result<Self, StatementError> {
        if fields.id.is_janitors() {
            return Err(StatementError::Invalid {
                field: "id",
                reason: "is reserved",
            });
        }
        match (fields.retired, fields.keys.is_empty()) {
            (false, true) => return Err(StatementError::Empty("keys")),
            (true, false) => {
                return Err(StatementError::Invalid {
                    field: "keys",
                    reason: "of a retired author belong under former",
                });
            }
            _ => {}
        }
        let all = fields
            .keys
            .iter()
            .map(|key| &key.key)
            .chain(fields.former.iter().map(|former| &former.key));
        let mut seen = BTreeSet::new();
        for key in all {
            if !seen.insert(key) {
                return Err(StatementError::Twice {
                    field: "keys",
                    value: key.to_string(),
                });
            }
        }
        if seen.len() > limits::KEYS {
            return Err(StatementError::TooMany {
                field: "keys",
                most: limits::KEYS,
            });
        }
        at_most("accounts", &fields.accounts, limits::KEYS)?;
        sort_unique("accounts", &mut fields.accounts)?;
        fields.keys.sort();
        fields.former.sort();
        fields.former.iter_mut().try_for_each(FormerKey::sort)?;
        Ok(Self(fields))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuthorKey {
    key: String,
    proof: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
#[expect(
    missing_debug_implementations,
    reason = "an intermediate form nobody keeps"
)]
pub struct RawAuthor {
    id: String,
    #[serde(default)]
    accounts: Vec<String>,
    retired: Option<bool>,
    #[serde(default)]
    keys: Vec<RawAuthorKey>,
    #[serde(default)]
    former: Vec<RawFormerKey>,
}

impl Stored for Author {
    type Raw = RawAuthor;

    fn from_raw(raw: RawAuthor, text: &str) -> Result<Self, ParseError> {
        let key = |raw: &RawAuthorKey| {
            Ok(AuthorKey {
                key: parse_one(text, &raw.key, PublicKey::parse)?,
                proof: Signature::parse(&raw.proof)
                    .map_err(|error| ParseError::at(text, "proof", error))?,
            })
        };
        let fields = AuthorFields {
            id: parse_one(text, &raw.id, Id::parse)?,
            accounts: parse_each(text, &raw.accounts, Account::parse)?,
            keys: raw
                .keys
                .iter()
                .map(key)
                .collect::<Result<_, ParseError>>()?,
            former: raw
                .former
                .iter()
                .map(|former| FormerKey::from_raw(former, text))
                .collect::<Result<_, _>>()?,
            retired: parse_flag(text, "retired", raw.retired)?,
        };
        Self::new(fields).map_err(ParseError::whole)
    }

    fn to_text(&self) -> String {
        let mut printer = Printer::default();
        printer.text("id", &self.id);
        printer.list("accounts", &self.accounts);
        if self.retired {
            printer.bare("retired", true);
        }
        for key in &self.keys {
            printer.element("keys");
            printer.text("key", &key.key);
            printer.block("proof", &key.proof.armour());
        }
        for former in &self.former {
            printer.element("former");
            former.print(&mut printer);
        }
        printer.finish()
    }
}
