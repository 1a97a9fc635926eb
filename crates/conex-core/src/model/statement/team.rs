//! Teams: named sets of people (spec section 3).

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{StatementError, at_most, checked, parse_each, parse_flag, parse_one, sort_unique};
use crate::model::limits;
use crate::model::name::Id;
use crate::model::stored::{ParseError, Printer, Stored};

/// The fields of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TeamFields {
    /// The team's id; never `janitors`, which is every root's own.
    pub id: Id,
    /// Ids of authors and janitors; teams do not nest.
    pub members: Vec<Id>,
    /// Whether the team is retired: its name stays taken, it owns nothing any more.
    pub retired: bool,
}

/// A checked team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Team(TeamFields);

checked!(Team, TeamFields);

impl Team {
    /// Checks the fields and sorts the members.
    ///
    /// # Errors
    /// [`StatementError`]: no members, a member twice, a reserved id.
    pub fn new(mut fields: TeamFields) -> Result<Self, StatementError> {
        if fields.id.is_janitors() {
            return Err(StatementError::Invalid {
                field: "id",
                reason: "is reserved",
            });
        }
        if fields.members.is_empty() && !fields.retired {
            return Err(StatementError::Empty("members"));
        }
        if fields
            .members
            .iter()
            .any(|member| member.is_janitors() || *member == fields.id)
        {
            return Err(StatementError::Invalid {
                field: "members",
                reason: "holds a team; teams do not nest",
            });
        }
        at_most("members", &fields.members, limits::MEMBERS)?;
        sort_unique("members", &mut fields.members)?;
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
pub struct RawTeam {
    id: String,
    #[serde(default)]
    members: Vec<String>,
    retired: Option<bool>,
}

impl Stored for Team {
    type Raw = RawTeam;

    fn from_raw(raw: RawTeam, text: &str) -> Result<Self, ParseError> {
        let fields = TeamFields {
            id: parse_one(text, &raw.id, Id::parse)?,
            members: parse_each(text, &raw.members, Id::parse)?,
            retired: parse_flag(text, "retired", raw.retired)?,
        };
        Self::new(fields).map_err(ParseError::whole)
    }

    fn to_text(&self) -> String {
        let mut printer = Printer::default();
        printer.text("id", &self.id);
        printer.list("members", &self.members);
        if self.retired {
            printer.bare("retired", true);
        }
        printer.finish()
    }
}
