//! Verifying a whole state (spec section 8).

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::name::PackageName;
use crate::model::path::Path;
use crate::model::statement::Root;
use crate::model::vouch::Subject;
use crate::state::State;
use crate::state::baseline::{Baseline, Floors};
use crate::state::chain::{self, Head, Trust};
use crate::state::finding::Finding;
use crate::state::judge::Equal;
use crate::state::ownership::Ownership;
use crate::state::people::People;
use crate::state::scope::Scope;
use crate::state::settle::{Evidence, Settled, Signatures};
use crate::tree::content::Reader;
use crate::tree::inventory::{Survey, survey};
use crate::tree::layout::{PackageUnit, Schemes};
use crate::tree::metadata::{Metadata, MetadataReader, StoredRoot, is_unread_root, place};
use crate::tree::problem::{Code, Problem};
use crate::tree::schemes::Known;
use crate::tree::store::{Store, Workers};
use crate::verify::narrow::Concern;
use crate::verify::record::{Anchor, LocalRecord};
use crate::verify::transitions::Past;

/// How strict a client is about what nobody approved yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Report everything, refuse nothing, record nothing.
    Observe,
    /// Refuse what is wrong; count packages that nobody vouched for.
    #[default]
    Warn,
    /// Refuse packages that nobody vouched for, too.
    Enforce,
}

/// What is verified, with which means, against which trust.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "holds borrowed capabilities, not data"
)]
pub struct Verification<'a, S: ?Sized, C, W> {
    /// The tree.
    pub store: &'a S,
    /// The layouts and projections known.
    pub schemes: &'a dyn Schemes,
    /// The algorithms.
    pub crypto: &'a C,
    /// Who does the work.
    pub workers: &'a W,
    /// Where trust starts.
    pub trust: &'a Trust,
    /// How strict to be.
    pub mode: Mode,
    /// Whether approvals may run ahead of the content, as on a main line where things are
    /// approved before they are merged; never on a tree that clients follow.
    pub ahead: bool,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packages in the tree.
    pub packages: usize,
    /// Of them, those nobody vouched for.
    pub unsigned: usize,
    /// Releases in the tree.
    pub releases: usize,
    /// Statements whose content is approved.
    pub approved: usize,
    /// Pages that count.
    pub pages: usize,
}

/// A state in which everything is as it has to be. Only [`Verification::run`] and
/// [`Update`](crate::verify::update::Update) make one, and it carries what they started from.
#[derive(Debug, Clone)]
pub struct Verified {
    head: Head,
    basis: Basis,
    enforced: bool,
    ahead: bool,
}

/// What a verification started from.
#[derive(Debug, Clone)]
pub(crate) enum Basis {
    /// A client's anchors.
    Anchor(Anchor),
    /// The state on this record.
    Update(Box<LocalRecord>),
    /// Nothing that a client could start from.
    Nothing,
}

impl Verified {
    pub(crate) fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The newest root.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Whether nothing at all is unsigned.
    pub fn is_enforced(&self) -> bool {
        self.enforced
    }

    /// Whether approvals may have run ahead of the content.
    pub fn is_ahead(&self) -> bool {
        self.ahead
    }
}

/// All that a verification found.
#[derive(Debug)]
pub struct Report {
    /// How strict it was.
    pub mode: Mode,
    /// Whether everything was looked at. Otherwise it was an update, and only what it concerns is
    /// among the findings, the unsigned packages, the counts and the state.
    pub whole: bool,
    /// Whether approvals were allowed to run ahead.
    pub ahead: bool,
    /// The newest valid root, if trust starts anywhere.
    pub head: Option<Head>,
    /// What is wrong, in a stable order.
    pub problems: Vec<Problem>,
    /// What is worth knowing, in a stable order.
    pub notes: Vec<Problem>,
    /// Packages that nobody vouched for, sorted.
    pub unsigned: Vec<PackageName>,
    /// Packages that could not be read, and of which there is no finding, sorted.
    pub unreadable: Vec<PackageName>,
    /// Every statement, sorted by subject.
    pub findings: Vec<Finding>,
    /// Totals.
    pub counts: Counts,
    /// The roots as stored.
    pub roots: Vec<StoredRoot>,
    /// The state that content was judged by; none without a head.
    pub state: Option<State>,
    verified: Option<Verified>,
}

impl Report {
    /// The proof that the state is verified; `None` when anything is wrong, and always in
    /// [`Mode::Observe`].
    pub fn verified(&self) -> Option<&Verified> {
        self.verified.as_ref()
    }

    /// Everything of `conex/` but the roots; empty without a head.
    pub fn metadata(&self) -> &Metadata {
        static NONE: Metadata = Metadata::new();
        self.state.as_ref().map_or(&NONE, State::metadata)
    }

    /// Who is who; none without a head.
    pub fn people(&self) -> Option<&People> {
        self.state.as_ref().map(State::people)
    }

    /// What was found of a statement.
    pub fn finding(&self, subject: &Subject) -> Option<&Finding> {
        let at = self
            .findings
            .binary_search_by(|finding| finding.subject.cmp(subject));
        self.findings.get(at.ok()?)
    }

    /// The problems with a code.
    pub fn with_code(&self, code: Code) -> impl Iterator<Item = &Problem> {
        self.problems
            .iter()
            .chain(&self.notes)
            .filter(move |problem| problem.code == code)
    }
}

/// What an update brings to the verification of its result.
#[derive(Default)]
pub(crate) struct Given<'p> {
    /// What is known of the state before.
    pub(crate) record: Option<&'p LocalRecord>,
    /// The state before, which the result is compared with.
    pub(crate) before: Option<Past<'p>>,
    /// The state that clients follow, which a main line has to be above.
    pub(crate) baseline: Option<&'p Baseline>,
    /// What has to be looked at, as read, if that is not everything.
    pub(crate) portion: Option<Portion<'p>>,
    /// What is known to be wrong, or worth a note.
    pub(crate) problems: Vec<Problem>,
}

/// A part of a state, its metadata read.
pub(crate) struct Portion<'p> {
    pub(crate) scope: Scope,
    pub(crate) concern: &'p Concern,
    pub(crate) metadata: Metadata,
    pub(crate) problems: Vec<Problem>,
    pub(crate) survey: Survey,
}

impl<S: Store + ?Sized, C: Crypto, W: Workers> Verification<'_, S, C, W> {
    /// Verifies everything there is.
    pub fn run(&self) -> Report {
        self.run_with(Given::default())
    }

    /// Verifies a main line beside the state that clients follow: content that would not reach them, as they have
    /// something newer or other, is not approved here, and the version that is proposed for it is above
    /// what they have (spec section 6.4).
    pub fn run_above(&self, baseline: &Baseline) -> Report {
        self.run_with(Given {
            baseline: Some(baseline),
            ..Given::default()
        })
    }

    /// Verifies everything, or the part given, and compares it with the state before.
    pub(crate) fn run_with(&self, given: Given<'_>) -> Report {
        let Given {
            record,
            before,
            baseline,
            portion,
            problems: noted,
        } = given;
        let mut reader = MetadataReader {
            store: self.store,
            workers: self.workers,
            problems: noted,
        };
        let roots = reader.roots();
        let is_all_read = !reader.problems.iter().any(is_unread_root);
        let (head, broken) = chain::follow_read(&roots, is_all_read, self.trust, self.crypto);
        reader.problems.extend(broken);
        let mut report = self.report(roots, portion.is_none());
        let Some(head) = head else {
            return self.close(report, reader.problems, record);
        };
        let known = match Known::of(head.root(), self.schemes) {
            Ok(known) => known,
            Err(problem) => {
                reader.problems.push(problem);
                return self.close(report, reader.problems, record);
            }
        };
        if head.root().checkpoints.required {
            let detail = "the root demands a checkpoint";
            reader.problems.push(Problem::new(
                Code::CheckpointNeeded,
                place::root(head.root().number),
                detail,
            ));
        }
        let projections = known.projections();
        let root = head.root();
        let reader_of_content = Reader {
            store: self.store,
            digests: self.crypto,
            origin: &root.origin,
            layout: known.layout(),
            projections: &projections,
        };
        let mut problems = margins(root);
        let (metadata, scope, narrowed) = match portion {
            None => {
                let metadata = reader.rest(&root.origin, self.crypto);
                (metadata, Scope::Whole, None)
            }
            Some(portion) => {
                problems.extend(portion.problems);
                let narrowed = (portion.concern, portion.survey);
                (portion.metadata, portion.scope, Some(narrowed))
            }
        };
        problems.extend(reader.problems);
        let evidence = Evidence {
            floors: Arc::new(self.floors(baseline, root)),
            ahead: self.ahead,
            scope,
            ..Evidence::new(root.clone(), metadata, Signatures::Verified)
        };
        let settle = || evidence.settle(self.crypto, self.workers);
        let (settled, concern, tree) = if let Some((concern, tree)) = narrowed {
            (settle(), Some(concern), tree)
        } else {
            // Who is who and what is there do not depend on each other.
            let survey = || survey(self.store, known.layout(), root);
            let (settled, tree) = self.workers.join(settle, survey);
            (settled, None, tree)
        };
        let Settled {
            state,
            findings: about_people,
            problems: found,
        } = settled;
        let content = self.judge_content(
            &mut report,
            (tree, about_people.len()),
            &reader_of_content,
            (&state, concern, before),
        );
        problems.extend(content);
        problems.extend(state.below_floor(self.crypto));
        if let Some(before) = before {
            let (findings, reader) = (&report.findings, &reader_of_content);
            problems.extend(before.transitions(&state, findings, reader));
        }
        report.findings.extend(about_people);
        problems.extend(found);
        report.counts.pages = state.counting();
        report.state = Some(state);
        report.head = Some(head);
        self.close(report, problems, record)
    }

    /// What clients have, under a root of the main line.
    fn floors(&self, baseline: Option<&Baseline>, root: &Root) -> Floors {
        let floors = baseline.map(|it| it.floors(root, self.crypto, self.workers));
        floors.unwrap_or_default()
    }

    /// A report in which nothing was found yet.
    fn report(&self, roots: Vec<StoredRoot>, whole: bool) -> Report {
        Report {
            mode: self.mode,
            whole,
            ahead: self.ahead,
            head: None,
            problems: Vec::new(),
            notes: Vec::new(),
            unsigned: Vec::new(),
            unreadable: Vec::new(),
            findings: Vec::new(),
            counts: Counts::default(),
            roots,
            state: None,
            verified: None,
        }
    }

    /// Reads all content and judges it, package by package: what was read of one is dropped before
    /// the next, so that memory and caches hold little at a time.
    ///
    /// Of a narrowed state, only what is concerned; of packages whose files did not change, the statements
    /// are those approved before.
    fn judge_content(
        &self,
        report: &mut Report,
        (tree, about_people): (Survey, usize),
        reader: &Reader<'_, S, C>,
        (state, concern, before): (&State, Option<&Concern>, Option<Past<'_>>),
    ) -> Vec<Problem> {
        let (people, ownership, scope) = (state.people(), state.ownership(), state.scope());
        let mut units = tree.packages;
        let mut problems = tree.problems;
        report.counts.packages = units.len();
        if units.is_empty() && scope.is_whole() {
            problems.push(Problem::new(Code::Empty, ".", "there is no package here"));
        }
        units.retain(|unit| scope.has_package(&unit.name));
        problems.extend(claims_in_other_case(&units, ownership));

        let mut judge = state.judge(self.crypto);
        if scope.has_repository() {
            match reader.repository(&tree.repository) {
                Ok(repository) => judge.repository(&repository, people),
                Err(found) => problems.extend(found),
            }
        }
        let is_present = |name: &str| {
            let found = units.binary_search_by(|unit| unit.name.as_str().cmp(name));
            found.is_ok()
        };
        for name in state.absent(is_present) {
            judge.package(&reader.absent(name), &Path::top(), ownership, people);
        }
        let ahead = self.ahead;
        // Onto a main line no new pair of equal releases is brought. Clients accept one, else they would refuse
        // for ever what those accept that have nothing to compare it with.
        let new_to = before.filter(|_| ahead);
        // Where approvals run ahead, what stands there is not what was approved last.
        let before = before.filter(|_| !scope.is_whole() && !ahead);
        let judged = self.workers.map(units, |unit| {
            let mut judge = state.judge(self.crypto);
            let unchanged = before.filter(|_| !scope.has_new_data(&unit.name));
            let package = unchanged
                .and_then(|before| before.package(&unit, reader))
                .unwrap_or_else(|| reader.package(&unit));
            match package {
                Ok(package) => {
                    let place = unit.directories.first().cloned().unwrap_or_default();
                    judge.package(&package, &place, ownership, people);
                    let equals = reader.equals(&package).into_iter();
                    judge.equals = equals.map(|pair| Equal::new(&package.name, pair)).collect();
                    if let Some(concern) = concern {
                        judge
                            .problems
                            .extend(concern.passed_over(&package, self.store));
                    }
                }
                Err(found) => {
                    judge.problems = found;
                    judge.unreadable.push(unit.name);
                }
            }
            judge
        });
        judge.merge(judged, about_people);
        problems.append(&mut judge.problems);
        for equal in &judge.equals {
            let is_new = new_to.is_some_and(|past| past.lacks(equal, reader.layout));
            problems.push(equal.problem(if is_new {
                Code::ShadowRelease
            } else {
                Code::EqualReleases
            }));
        }
        report.findings = core::mem::take(&mut judge.findings);
        report.counts.releases = judge.releases;
        report.counts.unsigned = judge.unsigned.len();
        if state.root().complete || self.mode == Mode::Enforce {
            problems.extend(judge.unsigned_problems());
        }
        report.unsigned = judge.unsigned.into_iter().map(|(name, _)| name).collect();
        report.unsigned.sort();
        report.unreadable = judge.unreadable;
        report.unreadable.sort();
        problems
    }

    /// What this starts from.
    fn basis(&self, record: Option<&LocalRecord>) -> Basis {
        match (record, Anchor::of(self.trust)) {
            (Some(record), _) => Basis::Update(Box::new(record.clone())),
            (None, Some(anchor)) => Basis::Anchor(anchor),
            (None, None) => Basis::Nothing,
        }
    }

    fn close(
        &self,
        mut report: Report,
        mut problems: Vec<Problem>,
        record: Option<&LocalRecord>,
    ) -> Report {
        problems.sort();
        problems.dedup();
        if self.ahead && report.head.is_some() {
            // A root that waits for signatures is an approval ahead like any other.
            let behind = report
                .head
                .as_ref()
                .map_or(0, |head| head.root().number.as_u32()) as usize;
            let proposed = report
                .roots
                .get(behind)
                .map(|stored| place::root(stored.root.number));
            if let Some(proposed) = proposed {
                for problem in &mut problems {
                    if problem.code == Code::RootUnsigned && &*problem.place == proposed.as_str() {
                        problem.code = Code::Ahead;
                    }
                }
            }
        }
        report.notes = problems
            .extract_if(.., |problem| problem.code.is_note())
            .collect();
        report.problems = problems;
        // Packages were judged in this order; sorting takes memory before it looks.
        if !report.findings.is_sorted_by(|a, b| a.subject <= b.subject) {
            report.findings.sort_by(|a, b| a.subject.cmp(&b.subject));
        }
        report.counts.approved = report
            .findings
            .iter()
            .filter(|finding| {
                finding.present
                    && matches!(
                        finding.assessment.standing,
                        crate::state::approval::Standing::Approved(_)
                    )
            })
            .count();
        // What is only compared with a state that nobody verified is not verified.
        let is_assumed = record.is_some_and(LocalRecord::is_assumed);
        if report.problems.is_empty() && self.mode != Mode::Observe && !is_assumed {
            let enforced = |head: &Head| self.mode == Mode::Enforce || head.root().complete;
            report.verified = report.head.clone().map(|head| Verified {
                enforced: enforced(&head),
                basis: self.basis(record),
                head,
                ahead: self.ahead,
            });
        }
        report
    }
}

/// A name that is claimed is taken in every case.
fn claims_in_other_case(units: &[PackageUnit], ownership: &Ownership) -> Vec<Problem> {
    let fold = |name: &PackageName| name.as_str().to_ascii_lowercase();
    let mut claimed: BTreeMap<String, Vec<&PackageName>> = BTreeMap::new();
    for name in ownership.packages() {
        claimed.entry(fold(name)).or_default().push(name);
    }
    if claimed.is_empty() {
        return Vec::new();
    }
    let present: BTreeSet<&PackageName> = units.iter().map(|unit| &unit.name).collect();
    let other = |unit: &PackageUnit| {
        let mut names = claimed.get(&fold(&unit.name))?.iter();
        let name = names.find(|name| ***name != unit.name && !present.contains(**name))?;
        let detail = format!(
            "{} and the claimed name {name} differ in case only",
            unit.name
        );
        let place = unit.directories.first()?;
        Some(Problem::new(Code::NameCollision, place, detail))
    };
    units.iter().filter_map(other).collect()
}

/// Notes on settings that leave no room.
pub(crate) fn margins(root: &Root) -> Vec<Problem> {
    let (quorum, janitors) = (root.quorum.people(), root.janitors.len());
    let mut notes = Vec::new();
    let mut note =
        |detail: &str| notes.push(Problem::new(Code::Margin, place::root(root.number), detail));
    if quorum == janitors {
        note("the quorum is the number of janitors: one lost key stops everything");
    }
    if quorum * 2 <= janitors {
        note(
            "twice the quorum is not more than the number of janitors: two quorums can contradict each other",
        );
    }
    notes
}
