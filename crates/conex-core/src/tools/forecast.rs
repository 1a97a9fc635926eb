//! Forecasts: what a change of people, rules or pages would do to what is approved now (spec
//! section 4.5).
//!
//! Nothing is read again. What stands in the tree is known from a [`Report`]; who would stand
//! behind it is judged exactly as verification does, with the change taken as approved.
//!
//! ```text
//! let outlook = Outlook::new(&report, &crypto)?;      // the present state
//! let forecast = outlook.forecast(&proposal);         // a changed one
//! for change in forecast.lost() { ... }               // what nobody would stand behind enough
//! outlook.without(&id).lost().count()                 // if a person left, pages and all
//! narrow(&report).count()                             // what stands on exactly its threshold
//! ```

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::digest::{Context, Digest};
use crate::model::encoding;
use crate::model::name::{Id, PackageName};
use crate::model::path::Path;
use crate::model::statement::{Author, Authorisation, Root, Team};
use crate::model::version::Version;
use crate::model::vouch::{Subject, Vouch};
use crate::state::State;
use crate::state::approval::{Assessment, Epoch, Rule, Standing};
use crate::state::baseline::Floors;
use crate::state::finding::Finding;
use crate::state::people::{People, PersonIndex};
use crate::state::settle::{Assumed, Evidence, Settled, Signatures};
use crate::tree::content::{Checksums, Package, Release};
use crate::tree::metadata::Metadata;
use crate::tree::problem::{Code, Missing, Problem};
use crate::tree::store::Sequential;
use crate::verify::{Mode, Report, margins};

/// A change that is taken as approved: as if the root were signed, and each changed statement
/// vouched for by all janitors.
#[derive(Debug, Clone, Default)]
pub struct Amendment {
    /// The next root.
    pub root: Option<Root>,
    /// Authors, each in place of the one of that id.
    pub authors: Vec<Author>,
    /// Teams, likewise.
    pub teams: Vec<Team>,
    /// Authorisations, each in place of the one of that package.
    pub authorisations: Vec<Authorisation>,
    /// Pages that are deleted, by digest.
    pub deleted: BTreeSet<Digest>,
    /// What people vouch for together with the change.
    pub vouches: Vec<(Id, Vec<Vouch>)>,
}

/// What would become of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It is approved now, and would not be.
    Lost,
    /// Its greatest approved version would be a lower one.
    Fell,
    /// Its greatest approved version would be a higher one.
    Rose,
    /// It is not approved now, and would be.
    Gained,
}

/// A statement that would stand differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub subject: Subject,
    /// Where its content stands.
    pub place: Path,
    /// What would become of it.
    pub effect: Effect,
    /// Who stands behind it now.
    pub by: Vec<Id>,
    /// Who would still stand behind it.
    pub stay: Vec<Id>,
    /// Whose vouches would then complete it, unless it would be approved.
    pub missing: Option<Missing>,
    /// The vouch that keeps it approved in a version that is not lower than now, once enough of
    /// those missing gave it; none where counters are exhausted or the content is not known.
    pub vouch: Option<Vouch>,
}

/// What an amendment would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Every statement that would stand differently, sorted by subject. Statements that the
    /// proposal itself brings are not among them.
    pub changes: Vec<Change>,
    /// Problems there would be, and are not now, beside those of lost approvals.
    pub problems: Vec<Problem>,
    /// Notes there would be, and are not now, on people and rules.
    pub notes: Vec<Problem>,
}

impl Forecast {
    /// What would lose its approval.
    pub fn lost(&self) -> impl Iterator<Item = &Change> {
        self.with(Effect::Lost)
    }

    /// What would stand so.
    pub fn with(&self, effect: Effect) -> impl Iterator<Item = &Change> {
        self.changes
            .iter()
            .filter(move |change| change.effect == effect)
    }

    /// The packages of which something would lose its approval, sorted.
    pub fn packages(&self) -> BTreeSet<&PackageName> {
        self.lost()
            .filter_map(|change| change.subject.package())
            .collect()
    }

    /// Whether nothing would be lost, and nothing else be wrong that is not now.
    pub fn is_harmless(&self) -> bool {
        self.problems.is_empty() && self.lost().next().is_none()
    }
}

/// Statements that stand on exactly their threshold: approved, and with one person fewer they
/// would not be. Sorted by subject.
pub fn narrow(report: &Report) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|finding| {
        finding.present
            && matches!(&finding.assessment.standing, Standing::Approved(approved) if approved.margin == 0)
    })
}

/// The present state, as far as forecasts need it.
#[expect(
    missing_debug_implementations,
    reason = "holds borrowed capabilities, not data"
)]
pub struct Outlook<'r, C> {
    report: &'r Report,
    state: &'r State,
    crypto: &'r C,
    present: World,
}

/// A state, judged.
struct World {
    state: State,
    /// Sorted by subject; with what is missing, where something is.
    findings: Vec<(Finding, Option<Missing>)>,
    problems: Vec<Problem>,
}

impl<'r, C: Crypto> Outlook<'r, C> {
    /// Takes a report as the present state; `None` if it has no head.
    ///
    /// Pages are judged again, their signatures included: a report is no proof of anything.
    pub fn new(report: &'r Report, crypto: &'r C) -> Option<Self> {
        let state = report.state.as_ref()?;
        let present = judge(report, state, crypto, &Amendment::default());
        Some(Self {
            report,
            state,
            crypto,
            present,
        })
    }

    /// What an amendment would do.
    ///
    /// A new root with another layout, or with no projection of the present one, speaks of content
    /// that has not been read: then everything of it would be lost.
    pub fn forecast(&self, proposal: &Amendment) -> Forecast {
        let future = judge(self.report, self.state, self.crypto, proposal);
        let mut forecast = Forecast::default();
        for (before, _) in &self.present.findings {
            forecast.changes.extend(self.compare(before, &future));
        }
        let lost: BTreeSet<&Subject> = forecast.lost().map(|change| &change.subject).collect();
        let mut known: BTreeSet<_> = self.present.problems.iter().map(key).collect();
        // Where nothing was approved and something else will be, nothing is worse than it was.
        let nothing = |problem: &&Problem| problem.code == Code::NotApproved;
        let pending = self.present.problems.iter().filter(nothing);
        known.extend(pending.map(|problem| {
            let (_, place, subject, detail) = key(problem);
            (Code::ContentDiffers, place, subject, detail)
        }));
        let (notes, problems): (Vec<Problem>, Vec<Problem>) = future
            .problems
            .into_iter()
            .filter(|problem| !known.contains(&key(problem)))
            .filter(|problem| {
                problem
                    .subject
                    .as_ref()
                    .is_none_or(|subject| !lost.contains(subject))
            })
            .partition(|problem| problem.code.is_note());
        forecast.problems = problems;
        forecast.notes = notes;
        let about_pages = |code| matches!(code, Code::InertPage | Code::UnusedBatch | Code::Ahead);
        forecast.notes.retain(|note| !about_pages(note.code));
        forecast
    }

    /// What would become of everything without a person's pages: what only stands because of them.
    pub fn without(&self, id: &Id) -> Forecast {
        let pages = self.state.metadata().pages.iter();
        self.forecast(&Amendment {
            deleted: pages
                .filter(|stored| stored.page.body().signer() == id)
                .map(|stored| stored.digest)
                .collect(),
            ..Amendment::default()
        })
    }

    /// The vouches for the statements that an amendment brings, each in the version that tools
    /// choose; a statement whose counters are exhausted has none.
    pub fn approvals(&self, proposal: &Amendment) -> Vec<Vouch> {
        let root = proposal.root.as_ref().unwrap_or(self.state.root());
        let metadata = self.state.metadata().clone();
        let evidence = Evidence::new(root.clone(), metadata, Signatures::Verified);
        approvals(&evidence, proposal, self.crypto, self.state.floors())
    }

    /// How a statement would stand differently, if it would.
    fn compare(&self, before: &Finding, future: &World) -> Option<Change> {
        let subject = &before.subject;
        // What is gone and may be gone without an approval has none to lose.
        let is_release = matches!(subject, Subject::Checksums(..));
        if is_release && !before.present && !is_approved_absence(before) {
            return None;
        }
        let after = future.find(subject);
        if after.is_none()
            && subject
                .package()
                .is_some_and(|package| future.is_retired(package))
        {
            return None;
        }
        // What an amendment brings is something else than what was there.
        let brought = subject.kind().is_about_people()
            && after.is_some_and(|(after, _)| after.digest != before.digest);
        if brought {
            return None;
        }
        let is_approved =
            |finding: &Finding| matches!(finding.assessment.standing, Standing::Approved(_));
        let was = newest(&before.assessment);
        let will_be = after.and_then(|(after, _)| newest(&after.assessment));
        let stays = after.is_some_and(|(after, _)| is_approved(after));
        let effect = match (is_approved(before), stays) {
            (true, false) => Effect::Lost,
            (false, true) => Effect::Gained,
            _ if will_be < was => Effect::Fell,
            _ if will_be > was => Effect::Rose,
            _ => return None,
        };
        let names = |people: &People, persons: Vec<PersonIndex>| -> Vec<Id> {
            let mut ids: Vec<Id> = persons
                .into_iter()
                .map(|person| people.id(person).clone())
                .collect();
            ids.sort();
            ids.dedup();
            ids
        };
        let proposed = after.and_then(|(after, _)| after.assessment.proposed);
        let version = match (was, proposed) {
            (Some(was), Some(proposed)) if was.epoch() == proposed.epoch() => {
                Some(was.max(proposed))
            }
            (_, Some(proposed)) => Some(proposed),
            (was, None) => was.filter(|_| after.is_none()),
        };
        let digest = after.map_or(before.digest, |(after, _)| after.digest);
        Some(Change {
            subject: subject.clone(),
            place: before.place.clone(),
            effect,
            by: names(self.present.state.people(), before.assessment.supporters()),
            stay: after.map_or_else(Vec::new, |(after, _)| {
                names(future.state.people(), after.assessment.supporters())
            }),
            missing: after.and_then(|(_, missing)| missing.clone()),
            vouch: version.filter(|_| digest != UNREAD).map(|version| Vouch {
                subject: subject.clone(),
                version,
                digest,
            }),
        })
    }
}

impl World {
    /// Whether a package has a claim that retires it.
    fn is_retired(&self, package: &PackageName) -> bool {
        let claim = self.state.metadata().authorisations.get(package);
        claim.is_some_and(|claim| claim.retired)
    }

    fn find(&self, subject: &Subject) -> Option<(&Finding, &Option<Missing>)> {
        let at = self
            .findings
            .binary_search_by(|(finding, _)| finding.subject.cmp(subject))
            .ok()?;
        self.findings
            .get(at)
            .map(|(finding, missing)| (finding, missing))
    }
}

/// Whether it is approved that something is not there.
fn is_approved_absence(finding: &Finding) -> bool {
    !finding.present && matches!(finding.assessment.standing, Standing::Approved(_))
}

/// The greatest approved version.
fn newest(assessment: &Assessment) -> Option<Version> {
    match &assessment.standing {
        Standing::Approved(newest)
        | Standing::Behind { newest, .. }
        | Standing::Differs { newest } => Some(newest.version),
        Standing::Equivocal { version } => Some(*version),
        Standing::Pending => None,
    }
}

/// What makes two problems the same. The words about a statement change with who said what of it.
fn key(problem: &Problem) -> (Code, &str, Option<&Subject>, &str) {
    let detail = match problem.subject {
        Some(_) => "",
        None => &*problem.detail,
    };
    (
        problem.code,
        &*problem.place,
        problem.subject.as_ref(),
        detail,
    )
}

/// Stands for the digest of content under a projection that it was not read with.
const UNREAD: Digest = Digest::from_bytes([0; 32]);

/// Judges everything as verification does, from what a report knows of the content.
fn judge(report: &Report, state: &State, crypto: &impl Crypto, proposal: &Amendment) -> World {
    let before = state.root();
    let root = proposal.root.as_ref().unwrap_or(before);
    let metadata = changed(state.metadata().clone(), proposal);
    let mut evidence = Evidence {
        floors: Arc::clone(state.floors()),
        ahead: report.ahead,
        ..Evidence::new(root.clone(), metadata, Signatures::Verified)
    };
    let approvals = approvals(&evidence, proposal, crypto, state.floors());
    evidence.assumed = assumed(root, proposal, approvals);
    let Settled {
        state,
        findings,
        problems,
    } = evidence.settle(crypto, &Sequential);
    let (people, ownership) = (state.people(), state.ownership());
    let mut judge = state.judge(crypto);
    judge.findings = findings;
    judge.problems = problems;
    let present = content(report, before, root);
    if let Some(files) = report
        .findings
        .iter()
        .find(|finding| finding.subject == Subject::Repository)
    {
        judge.repository_at(Some(&files.place), files.digest, people);
    }
    for (package, place) in present.values() {
        judge.package(package, place, ownership, people);
    }
    let names: BTreeSet<&str> = present.keys().map(|name| name.as_str()).collect();
    for name in state.absent(|name| names.contains(name)) {
        let absent = Package::absent(name, &root.origin, root.projections.len(), crypto);
        judge.package(&absent, &Path::top(), ownership, people);
    }
    let is_found = |it: &&Finding| !it.present;
    let found = judge.findings.iter().filter(is_found);
    let found: BTreeSet<Subject> = found.map(|it| it.subject.clone()).collect();
    let absences = report.findings.iter().filter(|it| is_approved_absence(it));
    for absence in absences.filter(|it| !found.contains(&it.subject)) {
        judge.absence(absence, ownership);
    }
    let mut problems = core::mem::take(&mut judge.problems);
    problems.extend(margins(root));
    if root.complete || report.mode == Mode::Enforce {
        problems.extend(judge.unsigned_problems());
    }
    problems.sort();
    problems.dedup();
    let mut findings: Vec<(Finding, Option<Missing>)> = core::mem::take(&mut judge.findings)
        .into_iter()
        .map(|finding| {
            let missing = missing(&state, &finding);
            (finding, missing)
        })
        .collect();
    findings.sort_by(|a, b| a.0.subject.cmp(&b.0.subject));
    World {
        state,
        findings,
        problems,
    }
}

fn missing(state: &State, finding: &Finding) -> Option<Missing> {
    let assessment = &finding.assessment;
    if matches!(assessment.standing, Standing::Approved(_)) {
        return None;
    }
    let rule = state.rule(&finding.subject);
    Some(rule.missing(&assessment.vouched, state.people()))
}

/// The metadata with the proposed statements in it, and without the deleted pages.
fn changed(mut metadata: Metadata, proposal: &Amendment) -> Metadata {
    let authors = proposal.authors.iter();
    metadata
        .authors
        .extend(authors.map(|it| (it.id.clone(), it.clone())));
    let teams = proposal.teams.iter();
    metadata
        .teams
        .extend(teams.map(|it| (it.id.clone(), it.clone())));
    let claims = proposal.authorisations.iter();
    metadata
        .authorisations
        .extend(claims.map(|it| (it.package.clone(), it.clone())));
    let pages = &mut metadata.pages;
    pages.retain(|stored| !proposal.deleted.contains(&stored.digest));
    metadata
}

/// All votes that are taken as given: those by which the proposed statements are approved, and those
/// that come with the proposal.
fn assumed(root: &Root, proposal: &Amendment, approvals: Vec<Vouch>) -> Vec<Assumed> {
    let given = proposal.vouches.iter().map(|(by, vouches)| Assumed {
        by: alloc::vec![by.clone()],
        vouches: Arc::new(vouches.clone()),
    });
    let janitors = root.janitors.iter().map(|janitor| janitor.id.clone());
    let approvals = Assumed {
        by: janitors.collect(),
        vouches: Arc::new(approvals),
    };
    given.chain([approvals]).collect()
}

/// The vouches by which the proposed statements are approved, each in the version that tools would
/// choose; none where counters are exhausted.
fn approvals(
    evidence: &Evidence,
    proposal: &Amendment,
    crypto: &impl Crypto,
    floors: &Floors,
) -> Vec<Vouch> {
    let root = &evidence.root;
    let origin = &root.origin;
    let authors = proposal.authors.iter().map(|author| {
        let digest = encoding::digest(crypto, Context::Author, origin, author);
        (Subject::Author(author.id.clone()), digest, Epoch::Only(0))
    });
    let teams = proposal.teams.iter().map(|team| {
        let digest = encoding::digest(crypto, Context::Team, origin, team);
        (Subject::Team(team.id.clone()), digest, Epoch::Only(0))
    });
    let authorisations = proposal.authorisations.iter().map(|authorisation| {
        let digest = encoding::digest(crypto, Context::Authorisation, origin, authorisation);
        let subject = Subject::Authorisation(authorisation.package.clone());
        (subject, digest, Epoch::Sets(authorisation.epoch))
    });
    let proposed: Vec<(Subject, Digest, Epoch)> =
        authors.chain(teams).chain(authorisations).collect();
    if proposed.is_empty() {
        return Vec::new();
    }
    let index = evidence.council(crypto, &Sequential).index;
    let vouches = proposed.into_iter().filter_map(|(subject, digest, epoch)| {
        let votes = index.votes(&subject);
        let rule = Rule {
            owners: None,
            janitors: root.quorum,
            epoch,
        };
        let floor = floors.of(&subject);
        let version = rule.assess_above(&votes, &[digest], floor).proposed?;
        Some(Vouch {
            subject,
            version,
            digest,
        })
    });
    vouches.collect()
}

/// The packages of a report, as far as judging looks at them, each with its place.
fn content<'r>(
    report: &'r Report,
    present: &Root,
    root: &Root,
) -> BTreeMap<&'r PackageName, (Package, Path)> {
    let mut packages: BTreeMap<&PackageName, (Package, Path)> = BTreeMap::new();
    for finding in report.findings.iter().filter(|finding| finding.present) {
        match &finding.subject {
            Subject::Releases(name) => {
                let package = Package {
                    name: name.clone(),
                    releases: Vec::new(),
                    digests: digests(finding, present, root),
                };
                packages.insert(name, (package, finding.place.clone()));
            }
            // The releases of a package stand before their checksums in the order of subjects.
            Subject::Checksums(name, release) => {
                let Some((package, _)) = packages.get_mut(name) else {
                    continue;
                };
                package.releases.push(Release {
                    directory: finding.place.clone(),
                    place: finding.place.clone(),
                    checksums: Checksums {
                        package: name.clone(),
                        release: release.clone(),
                        files: Vec::new(),
                    },
                    digest: finding.digest,
                    sources: Vec::new(),
                    whole: Vec::new(),
                });
            }
            _ => {}
        }
    }
    packages
}

/// The digests of a package's releases under the projections of a root, as far as they are known.
fn digests(finding: &Finding, present: &Root, root: &Root) -> Vec<Digest> {
    let known = finding.older.into_iter().chain([finding.digest]);
    if present.layout != root.layout {
        return alloc::vec![UNREAD];
    }
    if present.projections == root.projections {
        return known.collect();
    }
    let stay: Vec<Digest> = present
        .projections
        .iter()
        .zip(known)
        .filter(|(projection, _)| root.projections.contains(projection))
        .map(|(_, digest)| digest)
        .collect();
    if stay.is_empty() {
        return alloc::vec![UNREAD];
    }
    stay
}
