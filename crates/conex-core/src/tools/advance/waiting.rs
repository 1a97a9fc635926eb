//! What was left out, and why.

use alloc::vec::Vec;

use crate::model::name::{Id, PackageName};
use crate::model::path::Path;
use crate::tree::problem::Problem;

/// What waits as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// The chain of roots, from some root on.
    Root,
    /// An author.
    Author(Id),
    /// A team.
    Team(Id),
    /// A package, with its claim.
    Package(PackageName),
    /// The repository files.
    Repository,
    /// A page.
    Page(Path),
    /// Something else.
    Path(Path),
    /// A step that verification refused, and that was made smaller.
    Step,
}

/// Something of the main line that was left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    /// What.
    pub unit: Unit,
    /// What would be wrong with it in a state that clients follow. It says whose approval is missing, where
    /// that would mend it. Of a page that runs ahead, the statements that are not on the main line.
    pub problems: Vec<Problem>,
    /// Pages that speak of it and wait themselves.
    pub pages: Vec<Path>,
}

impl Waiting {
    /// Something that waits for one reason.
    pub(super) fn new(unit: Unit, problem: Problem) -> Self {
        Self {
            unit,
            problems: alloc::vec![problem],
            pages: Vec::new(),
        }
    }
}
