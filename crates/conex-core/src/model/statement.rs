//! The statements a repository stores: roots, authors, teams, authorisations (spec section 3).
//!
//! Each has its fields as a plain struct that anybody can fill, and a checked form that derefs
//! to them, made only by `new` or by reading a stored file. What is computed from the data
//! (`releases`, `checksums`, repository files) is in [`crate::tree::content`].

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::model::key::PublicKey;
use crate::model::limits;
use crate::model::stored::{ParseError, Printer};

mod author;
mod authorisation;
mod root;
mod team;

pub use author::{Account, Author, AuthorFields, AuthorKey};
pub use authorisation::{Authorisation, AuthorisationFields};
pub use root::{
    Checkpoints, FORMAT, FormerJanitor, Janitor, Root, RootFields, RootNumber, RootSignature,
    Scheme,
};
pub use team::{Team, TeamFields};

/// Why fields do not make a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// A list that needs an element has none.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Something stands twice where it may stand once.
    #[error("{field} has {value} twice")]
    Twice {
        /// The list.
        field: &'static str,
        /// What stands there twice.
        value: String,
    },
    /// A list is longer than its limit.
    #[error("{field} has more than {most} elements")]
    TooMany {
        /// The list.
        field: &'static str,
        /// The limit.
        most: usize,
    },
    /// A value is outside its range, or contradicts another.
    #[error("{field} {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it, to be read behind the field's name.
        reason: &'static str,
    },
}

/// Pages of a former key that go on counting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FormerKey {
    /// The key, which signs nothing new.
    pub key: PublicKey,
    /// The digests of the pages that go on counting, sorted.
    pub pages: Vec<Digest>,
}

/// Sorts a list that may hold each element once.
fn sort_unique<T: Ord + fmt::Display>(
    field: &'static str,
    list: &mut [T],
) -> Result<(), StatementError> {
    list.sort();
    for pair in list.windows(2) {
        if let [a, b] = pair
            && a == b
        {
            return Err(StatementError::Twice {
                field,
                value: a.to_string(),
            });
        }
    }
    Ok(())
}

fn at_most<T>(field: &'static str, list: &[T], most: usize) -> Result<(), StatementError> {
    if list.len() > most {
        return Err(StatementError::TooMany { field, most });
    }
    Ok(())
}

/// A number of people as stored; zero is refused here, before it can be a [`Threshold`].
///
/// [`Threshold`]: crate::model::version::Threshold
fn parse_threshold(
    text: &str,
    field: &'static str,
    people: u16,
) -> Result<crate::model::version::Threshold, ParseError> {
    crate::model::version::Threshold::new(people)
        .ok_or_else(|| ParseError::at(text, field, format_args!("{field} is 0; it is at least 1")))
}

/// Parses each text of a list, naming the line of the one that fails.
fn parse_each<T, E: fmt::Display>(
    text: &str,
    values: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, ParseError> {
    values
        .iter()
        .map(|value| parse(value).map_err(|error| ParseError::at(text, value, error)))
        .collect()
}

fn parse_one<T, E: fmt::Display>(
    text: &str,
    value: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, ParseError> {
    parse(value).map_err(|error| ParseError::at(text, value, error))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFormerKey {
    key: String,
    #[serde(default)]
    pages: Vec<String>,
}

impl FormerKey {
    fn from_raw(raw: &RawFormerKey, text: &str) -> Result<Self, ParseError> {
        Ok(Self {
            key: parse_one(text, &raw.key, PublicKey::parse)?,
            pages: parse_each(text, &raw.pages, Digest::parse)?,
        })
    }

    fn sort(&mut self) -> Result<(), StatementError> {
        at_most("former.pages", &self.pages, limits::ACCEPTED)?;
        sort_unique("former.pages", &mut self.pages)
    }

    fn print(&self, printer: &mut Printer) {
        printer.text("key", &self.key);
        printer.list("pages", &self.pages);
    }
}

/// Derefs a checked statement to its fields.
macro_rules! checked {
    ($Checked:ident, $Fields:ident) => {
        impl core::ops::Deref for $Checked {
            type Target = $Fields;

            fn deref(&self) -> &$Fields {
                &self.0
            }
        }

        impl From<$Checked> for $Fields {
            /// Takes the fields out, to change them.
            fn from(checked: $Checked) -> Self {
                checked.0
            }
        }
    };
}
use checked;

/// A flag as stored: `true`, or left out altogether.
fn parse_flag(text: &str, field: &str, flag: Option<bool>) -> Result<bool, ParseError> {
    match flag {
        Some(false) => Err(ParseError::at(
            text,
            field,
            format_args!("{field} is either true or left out"),
        )),
        other => Ok(other.is_some()),
    }
}
