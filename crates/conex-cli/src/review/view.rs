//! The contents of a review: its JSON form, from which all other forms are made.
//!
//! Nothing in it is escaped: names, addresses and contents come from strangers.

use std::collections::BTreeSet;

use conex_core::model::vouch::Subject;
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::tree::metadata::StoredPage;
use conex_core::tree::problem::{Missing, Problem};
use conex_core::verify::Report;
use conex_repo::git::log::Contributor;
use serde::Serialize;

use super::input::{Base, Change};
use crate::view::{NeedsView, ProblemView};

/// The reviews of some changes. Fields may be added, never removed or changed.
#[derive(Debug, Serialize)]
pub(crate) struct ReviewView {
    pub(crate) base: BaseView,
    /// The worst verdict of all changes.
    pub(crate) verdict: Verdict,
    pub(crate) changes: Vec<ChangeView>,
    /// Numbers in a range that were not fetched or are no pull requests.
    pub(crate) absent: Vec<u64>,
}

/// The base that changes would be merged into.
#[derive(Debug, Serialize)]
pub(crate) struct BaseView {
    pub(crate) name: String,
    pub(crate) commit: Option<String>,
}

impl BaseView {
    pub(crate) fn of(base: &Base) -> Self {
        Self {
            name: base.name.clone(),
            commit: base.commit.map(|commit| commit.to_string()),
        }
    }
}

/// The verdict on a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Everything that it asks for is approved.
    Approved,
    /// Nothing is wrong with it, but somebody has to approve it.
    Pending,
    /// It cannot or should not be merged.
    Refused,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Pending => "pending",
            Self::Refused => "refused",
        }
    }
}

/// A change.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeView {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// The git reference it was found at.
    pub(crate) reference: Option<String>,
    /// The commit that was reviewed.
    pub(crate) commit: Option<String>,
    pub(crate) by: Vec<ContributorView>,
    pub(crate) edits: Vec<EditView>,
    pub(crate) statements: Vec<StatementView>,
    pub(crate) pages: Vec<PageView>,
    pub(crate) warnings: Vec<WarningView>,
    pub(crate) conflicts: Vec<ConflictView>,
    pub(crate) problems: Vec<ProblemView>,
}

impl ChangeView {
    pub(crate) fn of(change: &Change) -> Self {
        Self {
            name: change.name.clone(),
            verdict: Verdict::Pending,
            reference: change.reference.clone(),
            commit: change.commit.map(|commit| commit.to_string()),
            by: change.by.iter().map(ContributorView::new).collect(),
            edits: Vec::new(),
            statements: Vec::new(),
            pages: Vec::new(),
            warnings: Vec::new(),
            conflicts: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Whether it proposes a root.
    pub(crate) fn has_root(&self) -> bool {
        self.edits.iter().any(|edit| edit.what == "root")
    }

    /// Returns the distinct ways to complete the approvals, each with the statements that wait for it.
    pub(crate) fn needs(&self) -> Vec<(&str, Vec<&StatementView>)> {
        let mut needs: Vec<(&str, Vec<&StatementView>)> = Vec::new();
        for statement in &self.statements {
            let Some(text) = statement.needs.as_ref().map(|needs| needs.text.as_str()) else {
                continue;
            };
            match needs.iter_mut().find(|(known, _)| *known == text) {
                Some((_, waiting)) => waiting.push(statement),
                None => needs.push((text, vec![statement])),
            }
        }
        needs
    }
}

/// An author of commits in a change, as the commits say.
#[derive(Debug, Serialize)]
pub(crate) struct ContributorView {
    pub(crate) name: String,
    pub(crate) address: Option<String>,
    pub(crate) authored: usize,
    pub(crate) committed: usize,
}

impl ContributorView {
    fn new(contributor: &Contributor) -> Self {
        Self {
            name: contributor.person.name.clone(),
            address: contributor
                .person
                .address
                .as_ref()
                .map(|address| address.as_str().to_owned()),
            authored: contributor.authored,
            committed: contributor.committed,
        }
    }
}

/// One effect of a change.
#[derive(Debug, Serialize)]
pub(crate) struct EditView {
    /// The release, package or person concerned.
    pub(crate) what: String,
    pub(crate) kinds: Vec<String>,
    pub(crate) place: String,
}

/// A statement whose content a change alters.
#[derive(Debug, Serialize)]
pub(crate) struct StatementView {
    pub(crate) statement: String,
    /// The version to vouch for.
    pub(crate) version: Option<String>,
    /// The digest to vouch for.
    pub(crate) digest: String,
    pub(crate) place: String,
    /// `approved`, `new`, `changed`, `removed`, `older`, `contradictory`.
    pub(crate) state: &'static str,
    pub(crate) approved: bool,
    /// The people who vouch for it already.
    pub(crate) by: Vec<String>,
    pub(crate) needs: Option<NeedsView>,
}

impl StatementView {
    pub(crate) fn new(report: &Report, finding: &Finding, missing: Option<&Missing>) -> Self {
        let assessment = &finding.assessment;
        let state = match &assessment.standing {
            Standing::Approved(_) => "approved",
            Standing::Pending => "new",
            Standing::Differs { .. } if finding.present => "changed",
            Standing::Differs { .. } => "removed",
            Standing::Behind { .. } => "older",
            Standing::Equivocal { .. } => "contradictory",
        };
        let supporters = assessment.supporters();
        let people = report.people();
        Self {
            statement: finding.subject.to_string(),
            version: assessment.proposed.map(|version| version.to_string()),
            digest: finding.digest.to_string(),
            place: finding.place.to_string(),
            state,
            approved: state == "approved",
            by: supporters
                .iter()
                .filter_map(|person| Some(people?.id(*person).to_string()))
                .collect(),
            needs: missing.map(NeedsView::new),
        }
    }
}

/// A page that a change adds.
#[derive(Debug, Serialize)]
pub(crate) struct PageView {
    pub(crate) place: String,
    pub(crate) signer: String,
    pub(crate) vouches: usize,
    /// The names that it mentions, each once.
    pub(crate) names: Vec<String>,
    /// Why it does not count, if so.
    pub(crate) inert: Option<String>,
}

impl PageView {
    pub(crate) fn new(
        stored: &StoredPage,
        subjects: &BTreeSet<&Subject>,
        inert: Option<&Problem>,
    ) -> Self {
        let names: BTreeSet<&str> = subjects.iter().map(|subject| subject.name()).collect();
        Self {
            place: stored.place.to_string(),
            signer: stored.page.body().signer().to_string(),
            vouches: subjects.len(),
            names: names.into_iter().map(ToOwned::to_owned).collect(),
            inert: inert.map(|note| note.detail.to_string()),
        }
    }
}

/// Something that a reader should not overlook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct WarningView {
    pub(crate) code: &'static str,
    /// The file or directory concerned.
    pub(crate) place: String,
    pub(crate) text: String,
}

/// A path that cannot be merged.
#[derive(Debug, Serialize)]
pub(crate) struct ConflictView {
    pub(crate) place: String,
    pub(crate) why: String,
}
