//! Authorisations: who owns a package (spec section 3).

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{
    StatementError, at_most, checked, parse_each, parse_flag, parse_one, parse_threshold,
    sort_unique,
};
use crate::model::limits;
use crate::model::name::{Id, PackageName};
use crate::model::stored::{ParseError, Printer, Stored};
use crate::model::version::Threshold;

/// The fields of an authorisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorisationFields {
    /// The package.
    pub package: PackageName,
    /// Authors, janitors and teams, `janitors` among them; at least one.
    pub owners: Vec<Id>,
    /// How many distinct owners (members of owning teams counted each) approve a change.
    pub threshold: Threshold,
    /// The epoch of the package's versions; raising it voids all vouches of lower epochs.
    pub epoch: u32,
    /// Whether the package is retired: its name stays taken, it has no releases any more.
    pub retired: bool,
}

/// A checked authorisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Authorisation(AuthorisationFields);

checked!(Authorisation, AuthorisationFields);

impl Authorisation {
    /// Checks the fields and sorts the owners.
    ///
    /// # Errors
    /// [`StatementError`]: no owner, or one twice.
    pub fn new(mut fields: AuthorisationFields) -> Result<Self, StatementError> {
        if fields.owners.is_empty() {
            return Err(StatementError::Empty("owners"));
        }
        at_most("owners", &fields.owners, limits::MEMBERS)?;
        sort_unique("owners", &mut fields.owners)?;
        Ok(Self(fields))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
#[expect(
    missing_debug_implementations,
    reason = "an intermediate form nobody keeps"
)]
pub struct RawAuthorisation {
    package: String,
    owners: Vec<String>,
    threshold: u16,
    epoch: u32,
    retired: Option<bool>,
}

impl Stored for Authorisation {
    type Raw = RawAuthorisation;

    fn from_raw(raw: RawAuthorisation, text: &str) -> Result<Self, ParseError> {
        let fields = AuthorisationFields {
            package: parse_one(text, &raw.package, PackageName::parse)?,
            owners: parse_each(text, &raw.owners, Id::parse)?,
            threshold: parse_threshold(text, "threshold", raw.threshold)?,
            epoch: raw.epoch,
            retired: parse_flag(text, "retired", raw.retired)?,
        };
        Self::new(fields).map_err(ParseError::whole)
    }

    fn to_text(&self) -> String {
        let mut printer = Printer::default();
        printer.text("package", &self.package);
        printer.list("owners", &self.owners);
        printer.bare("threshold", self.threshold);
        printer.bare("epoch", self.epoch);
        if self.retired {
            printer.bare("retired", true);
        }
        printer.finish()
    }
}
