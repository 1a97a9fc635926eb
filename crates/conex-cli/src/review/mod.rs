//! Reviews of changes, each compared with the state it would be merged into.
//!
//! `input` finds changes and test-merges them, `edits` describes what happens to packages, and `warnings`
//! lists what a reader should not overlook. `view` is the result for people and programs; `text`,
//! `markdown` and `annotations` show it. `conex review` prints it, and `conex approve --pr` signs by it.

pub(crate) mod annotations;
mod edits;
pub(crate) mod input;
pub(crate) mod markdown;
mod remembered;
pub(crate) mod text;
pub(crate) mod view;
mod warnings;

use core::cell::LazyCell;
use std::collections::BTreeSet;

use conex_core::model::crypto::Digests as _;
use conex_core::model::page::Batch;
use conex_core::model::path::Path as TreePath;
use conex_core::model::vouch::Subject;
use conex_core::state::approval::Standing;
use conex_core::state::chain::Head;
use conex_core::state::finding::Finding;
use conex_core::tools::proposal::Proposal;
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::schemes::Known;
use conex_core::tree::store::{Store, Workers as _};
use conex_core::verify::{Changes, Report};
use conex_crypto::StandardCrypto;
use conex_repo::{KnownSchemes, Parallel};

use crate::error::{CommandError, Result};
use crate::output::Watched;
use crate::tree::Work;
use crate::view::ProblemView;
use edits::Edits;
use input::{Base, Change, Outcome};
use remembered::Remembered;
use view::{ChangeView, PageView, StatementView, Verdict};

/// A change and its review.
pub(crate) struct Reviewed {
    pub(crate) view: ChangeView,
    /// The merged state, if the change can be merged.
    pub(crate) work: Option<Work>,
    /// The statements whose content it changes.
    pub(crate) asked: BTreeSet<Subject>,
}

impl Reviewed {
    /// Returns the changed statements that wait for somebody's vouch.
    pub(crate) fn pending(&self) -> Vec<&Finding> {
        let findings = self.work.iter().flat_map(|work| &work.report.findings);
        findings
            .filter(|finding| self.asked.contains(&finding.subject) && !is_approved(finding))
            .collect()
    }
}

/// The layout and projections used to read a base.
pub(crate) struct Reviewer<'b> {
    base: &'b Base,
    head: Head,
    known: Known,
    thorough: bool,
}

impl<'b> Reviewer<'b> {
    pub(crate) fn new(base: &'b Base) -> Result<Self> {
        let changes = Changes::none();
        let proposal = Proposal {
            base: &*base.store,
            result: &*base.store,
            changes: &changes,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &Watched::new(),
        };
        let head = proposal.head().ok_or_else(|| {
            CommandError::refused(format_args!("there is no valid root in {}", base.name))
                .hint("give the branch that has one: --base BRANCH; conex init starts a repository")
        })?;
        let known = Known::of(head.root(), &KnownSchemes)
            .map_err(|problem| CommandError::refused(&problem).hint(problem.code.advice()))?;
        Ok(Self {
            base,
            head,
            known,
            thorough: false,
        })
    }

    /// Returns the same reviewer, which judges everything if people or ownership change.
    pub(crate) fn thorough(self) -> Self {
        Self {
            thorough: true,
            ..self
        }
    }

    /// Reviews a change.
    pub(crate) fn review(&self, change: Change) -> Result<Reviewed> {
        let mut view = ChangeView::of(&change);
        let Change {
            commit,
            by,
            outcome,
            ..
        } = change;
        let (store, changed) = match outcome {
            Outcome::Merged { store, changed } => (store, changed),
            Outcome::Conflicts(conflicts) => {
                view.conflicts = conflicts;
                return Ok(Reviewed::refused(view));
            }
            Outcome::Refused(problem) => {
                view.problems.push(ProblemView::new(&problem));
                return Ok(Reviewed::refused(view));
            }
        };
        let paths = Changes::from(changed);
        let changed = paths.paths().cloned().unwrap_or_default();
        let workers = Watched::new();
        let (base, result) = (
            Remembered::new(&*self.base.store, &changed),
            Remembered::new(&*store, &changed),
        );
        let proposal = Proposal {
            base: &base,
            result: &result,
            changes: &paths,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &workers,
        };
        let find = || Edits::find(self, (&base, &result), &changed);
        let (edits, report) = if self.thorough {
            let edits = find();
            let report = if edits.people.is_empty() {
                proposal.judge(&self.head)
            } else {
                proposal.judge_whole(&self.head)
            };
            (edits, report)
        } else {
            Parallel.join(find, || proposal.judge(&self.head))
        };
        let asked = edits.asked(&report);
        // Most changes can be judged without it.
        let judge_base = || proposal.judge_base(&self.head);
        let before = LazyCell::new(&judge_base as &dyn Fn() -> Report);
        let told = Told {
            base: &base,
            edits: &edits,
            report: &report,
            asked: &asked,
            before: &before,
        };
        let problems = told.problems(&changed);
        view.problems = problems.iter().map(problem).collect();
        view.edits = edits.view();
        view.statements = statements(&report, &asked);
        view.pages = pages(&report, &changed);
        view.warnings = warnings::find(self, &told);
        view.warnings
            .extend(warnings::newcomers(self.base, commit, &by, &edits)?);
        let waits = view.statements.iter().any(|it| !it.approved) || edits.has_root_ahead(&report);
        view.verdict = match (view.problems.is_empty(), waits) {
            (false, _) => Verdict::Refused,
            (true, true) => Verdict::Pending,
            (true, false) => Verdict::Approved,
        };
        let work = Work::new(report).ok();
        Ok(Reviewed { view, work, asked })
    }
}

/// The facts about a change that can be merged.
struct Told<'t> {
    /// The main line.
    base: &'t dyn Store,
    edits: &'t Edits,
    report: &'t Report,
    asked: &'t BTreeSet<Subject>,
    /// The report on the main line itself.
    before: &'t LazyCell<Report, &'t dyn Fn() -> Report>,
}

impl Told<'_> {
    /// Returns the problems that the change causes. A statement that only waits for approval is not a
    /// problem, and a problem that the main line already has is not the change's.
    fn problems(&self, changed: &BTreeSet<TreePath>) -> Vec<Problem> {
        let is_asked = |problem: &Problem| {
            let subject = problem.subject.as_ref();
            subject.is_some_and(|subject| self.asked.contains(subject))
        };
        let waits = |problem: &&Problem| match problem.code {
            Code::NotApproved | Code::ContentDiffers | Code::Unsigned => true,
            Code::Rollback | Code::Stripped | Code::UnknownOwner => {
                self.edits.pages_lost.is_empty() && (is_asked(problem) || self.waits_for_people())
            }
            _ => false,
        };
        let mut found: Vec<Problem> = self
            .report
            .problems
            .iter()
            .filter(|problem| !waits(problem))
            .cloned()
            .collect();
        let is_new = |problem: &Problem| {
            TreePath::parse(&problem.place).is_ok_and(|place| changed.contains(&place))
        };
        if !found.iter().all(is_new) {
            found.retain(|problem| !self.before.problems.contains(problem));
        }
        found.extend(self.unproven_keys());
        found
    }

    /// Whether people, teams or ownership wait for approval. Until it is given, what they approved before
    /// is not approved.
    fn waits_for_people(&self) -> bool {
        let findings = self.report.findings.iter();
        let mut people = findings.filter(|finding| {
            finding.subject.kind().is_about_people() && self.asked.contains(&finding.subject)
        });
        people.any(|finding| !is_approved(finding))
    }

    /// Returns listed keys without a valid proof of possession, and those that belong to somebody else.
    /// Verification reports them once they are approved, so they should not be approved.
    fn unproven_keys(&self) -> Vec<Problem> {
        let (Some(head), Some(people)) = (&self.report.head, &self.report.people()) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (subject, place, _) in &self.edits.people {
            let author = match subject {
                Subject::Author(id) => self.report.metadata().authors.get(id),
                _ => None,
            };
            for (author, listed) in author
                .iter()
                .flat_map(|it| it.keys.iter().map(move |key| (it, key)))
            {
                let fingerprint = StandardCrypto.fingerprint(&listed.key);
                let origin = &head.root().origin;
                if listed.verify(origin, &author.id, &StandardCrypto).is_err() {
                    let detail = format!(
                        "nothing proves that {} holds the key {fingerprint}",
                        author.id
                    );
                    found.push(Problem::new(Code::BadProof, place, detail).about(subject));
                }
                if let Some(other) = people
                    .holder(fingerprint)
                    .filter(|holder| **holder != author.id)
                {
                    let detail = format!("the key {fingerprint} is that of {other}");
                    found.push(Problem::new(Code::SharedKey, place, detail).about(subject));
                }
            }
        }
        found
    }
}

impl Reviewed {
    /// Returns the review of a change that cannot be merged.
    fn refused(view: ChangeView) -> Self {
        Self {
            view: ChangeView {
                verdict: Verdict::Refused,
                ..view
            },
            work: None,
            asked: BTreeSet::new(),
        }
    }
}

/// Shows a problem with advice for the people of the repository rather than for clients.
fn problem(problem: &Problem) -> ProblemView {
    let mut view = ProblemView::new(problem);
    if matches!(problem.code, Code::Rollback | Code::Stripped) {
        view.advice = "leave what its approval depends on as it was".into();
    }
    view
}

/// Returns the statements that a change asks for, as they would be after the merge.
fn statements(report: &Report, asked: &BTreeSet<Subject>) -> Vec<StatementView> {
    let mut missing = report.missing();
    let findings = report.findings.iter();
    findings
        .filter(|finding| asked.contains(&finding.subject))
        .map(|finding| {
            let missing = missing.remove(&finding.subject);
            StatementView::new(report, finding, missing.as_ref())
        })
        .collect()
}

/// Returns the pages that a change adds.
fn pages(report: &Report, changed: &BTreeSet<TreePath>) -> Vec<PageView> {
    let metadata = &report.metadata();
    let brought = metadata.pages.iter();
    brought
        .filter(|stored| changed.contains(&stored.place))
        .map(|stored| {
            let body = stored.page.body();
            let batches = body.batches().iter();
            let in_batches = batches
                .filter_map(|named| metadata.batches.get(&named.digest()))
                .flat_map(Batch::vouches);
            let subjects: BTreeSet<&Subject> = body
                .vouches()
                .iter()
                .chain(in_batches)
                .map(|vouch| &vouch.subject)
                .collect();
            let inert = report
                .with_code(Code::InertPage)
                .chain(report.with_code(Code::PersonVoid))
                .find(|note| *note.place == *stored.place.as_str());
            PageView::new(stored, &subjects, inert)
        })
        .collect()
}

/// Whether enough people vouch for the present content of a finding, and for nothing newer.
fn is_approved(finding: &Finding) -> bool {
    matches!(finding.assessment.standing, Standing::Approved(_))
}
