//! Judging statements one by one, against what people vouched for (spec section 8).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::model::crypto::Digests;
use crate::model::digest::{Context, Digest};
use crate::model::encoding;
use crate::model::name::{PackageName, ReleaseName};
use crate::model::path::Path;
use crate::model::statement::{Author, Root, Team};
use crate::model::version::Version;
use crate::model::vouch::Subject;
use crate::state::approval::{ApprovedVersion, Assessment, Epoch, Rule, Standing, Vote};
use crate::state::baseline::Floors;
use crate::state::finding::Finding;
use crate::state::index::{Index, Said};
use crate::state::ownership::{Owned, Ownership};
use crate::state::people::{Owners, People};
use crate::tree::content::{Checksums, Package, Release, Repository};
use crate::tree::metadata::{Metadata, place};
use crate::tree::problem::{Code, Problem};
use crate::tree::projection::Unreadable;

/// Collects what is found of statements.
pub(crate) struct Judge<'a, D> {
    root: &'a Root,
    index: &'a Index,
    /// The versions that clients have.
    floors: &'a Floors,
    digests: &'a D,
    ahead: bool,
    pub(crate) problems: Vec<Problem>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) unsigned: Vec<(PackageName, Path)>,
    /// Repository files, if nobody vouched for them yet.
    pub(crate) unsigned_files: Option<Path>,
    pub(crate) releases: usize,
    /// Packages that could not be read.
    pub(crate) unreadable: Vec<PackageName>,
    /// Pairs of releases that are one to the client.
    pub(crate) equals: Vec<Equal>,
}

/// Two releases of a package that are one to the client.
pub(crate) struct Equal {
    pub(crate) package: PackageName,
    pub(crate) releases: [ReleaseName; 2],
    /// The place of the second.
    pub(crate) place: Path,
}

impl Equal {
    pub(crate) fn new(package: &PackageName, [first, second]: [&Release; 2]) -> Self {
        Self {
            package: package.clone(),
            releases: [first, second].map(|it| it.checksums.release.clone()),
            place: second.directory.clone(),
        }
    }

    pub(crate) fn problem(&self, code: Code) -> Problem {
        let [first, second] = &self.releases;
        let detail = format!("the client takes the releases {first} and {second} for one");
        Problem::new(code, &self.place, detail).about(&Subject::Releases(self.package.clone()))
    }
}

impl<'a, D: Digests> Judge<'a, D> {
    pub(crate) fn new(
        root: &'a Root,
        index: &'a Index,
        floors: &'a Floors,
        (digests, ahead): (&'a D, bool),
    ) -> Self {
        Self {
            root,
            index,
            floors,
            digests,
            ahead,
            problems: Vec::new(),
            findings: Vec::new(),
            unsigned: Vec::new(),
            unsigned_files: None,
            releases: 0,
            unreadable: Vec::new(),
            equals: Vec::new(),
        }
    }

    /// Adds what others found, in their order, and keeps room for `more` findings.
    pub(crate) fn merge(&mut self, others: Vec<Self>, more: usize) {
        let found: usize = others.iter().map(|other| other.findings.len()).sum();
        self.findings.reserve_exact(found + more);
        for mut other in others {
            self.problems.append(&mut other.problems);
            self.findings.append(&mut other.findings);
            self.unsigned.append(&mut other.unsigned);
            self.releases += other.releases;
            self.unreadable.append(&mut other.unreadable);
            self.equals.append(&mut other.equals);
        }
    }

    /// The approved authors.
    pub(crate) fn authors<'s>(
        &mut self,
        metadata: &'s Metadata,
        people: &People,
    ) -> Vec<&'s Author> {
        let rule = self.quorum(Epoch::Only(0));
        let approved = metadata.authors.iter().filter(|(id, author)| {
            let digest =
                encoding::digest(self.digests, Context::Author, &self.root.origin, *author);
            let subject = Subject::Author((*id).clone());
            let place = place::author(id);
            !self.is_revived(&subject, &place, author.retired)
                && self.stored(subject, place, digest, &rule, people)
        });
        approved.map(|(_, author)| author).collect()
    }

    /// The approved teams.
    pub(crate) fn teams<'s>(&mut self, metadata: &'s Metadata, people: &People) -> Vec<&'s Team> {
        let rule = self.quorum(Epoch::Only(0));
        let approved = metadata.teams.iter().filter(|(id, team)| {
            let digest = encoding::digest(self.digests, Context::Team, &self.root.origin, *team);
            let subject = Subject::Team((*id).clone());
            let place = place::team(id);
            !self.is_revived(&subject, &place, team.retired)
                && self.stored(subject, place, digest, &rule, people)
        });
        approved.map(|(_, team)| team).collect()
    }

    /// The authorisations, those approved with their owners.
    pub(crate) fn authorisations(&mut self, metadata: &Metadata, people: &People) -> Ownership {
        let mut ownership = Ownership::default();
        for (package, authorisation) in &metadata.authorisations {
            let rule = self.quorum(Epoch::Sets(authorisation.epoch));
            let digest = encoding::digest(
                self.digests,
                Context::Authorisation,
                &self.root.origin,
                authorisation,
            );
            let place = place::authorisation(package);
            let subject = Subject::Authorisation(package.clone());
            let approved = !self.is_revived(&subject, &place, authorisation.retired)
                && self.stored(subject, place.clone(), digest, &rule, people);
            let mut owned = Owned {
                epoch: authorisation.epoch,
                retired: authorisation.retired,
                owners: None,
            };
            if approved && authorisation.retired {
                owned.owners = Some((Owners::default(), authorisation.threshold));
            } else if approved {
                let (owners, problems) = people.owners(authorisation);
                if problems.is_empty() {
                    let janitors = people.janitors().iter().filter(|_| owners.janitors);
                    let members = owners.people.iter().chain(janitors);
                    let members = members.collect::<BTreeSet<_>>().len();
                    if members < authorisation.threshold.people() {
                        let detail = format!(
                            "{} owners have to agree, and there are {members}",
                            authorisation.threshold
                        );
                        self.problems
                            .push(Problem::new(Code::OutOfReach, &place, detail));
                    }
                    owned.owners = Some((owners, authorisation.threshold));
                }
                self.problems.extend(problems);
            }
            ownership.owned.insert(package.clone(), owned);
        }
        ownership
    }

    /// People, teams and authorisations that are approved but not there.
    pub(crate) fn absent_people(
        &mut self,
        metadata: &Metadata,
        ownership: &mut Ownership,
        people: &People,
    ) {
        for subject in self.index.all().subjects() {
            let (present, place, rule) = match subject {
                Subject::Author(id) => (
                    metadata.authors.contains_key(id),
                    place::author(id),
                    self.quorum(Epoch::Only(0)),
                ),
                Subject::Team(id) => (
                    metadata.teams.contains_key(id),
                    place::team(id),
                    self.quorum(Epoch::Only(0)),
                ),
                Subject::Authorisation(package) => (
                    metadata.authorisations.contains_key(package),
                    place::authorisation(package),
                    self.quorum(Epoch::Sets(0)),
                ),
                _ => continue,
            };
            let votes = self.index.votes(subject);
            if let Some(newest) = rule.approved(&votes).first().filter(|_| !present) {
                let detail = format!("is absent, and approved {}", by(newest, people));
                self.missing(subject, &place, &detail);
                if let Subject::Authorisation(package) = subject {
                    ownership
                        .absent
                        .insert(package.clone(), newest.version.epoch());
                }
            }
        }
    }

    /// Something approved is not there; on a main line it may be an approval ahead of the merge.
    fn missing(&mut self, subject: &Subject, place: &Path, detail: &str) {
        let code = if self.ahead {
            Code::Ahead
        } else {
            Code::Missing
        };
        self.problems
            .push(Problem::new(code, place, detail).about(subject));
    }

    pub(crate) fn quorum(&self, epoch: Epoch) -> Rule {
        Rule {
            owners: None,
            janitors: self.root.quorum,
            epoch,
        }
    }

    /// Whether clients have an approved version of any of these.
    fn is_had(&self, findings: &[Finding]) -> bool {
        let mut subjects = findings.iter().map(|finding| &finding.subject);
        subjects.any(|subject| self.floors.of(subject).is_some())
    }

    /// How content stands, to clients as well where what they have is known.
    fn assess(
        &self,
        rule: &Rule,
        subject: &Subject,
        votes: &[Vote],
        digests: &[Digest],
    ) -> Assessment {
        rule.assess_above(votes, digests, self.floors.of(subject))
    }

    /// Whether clients have a stored statement as retired, and it is not: no approval leads them back from that.
    fn is_revived(&mut self, subject: &Subject, place: &Path, is_retired: bool) -> bool {
        let is_revived = !is_retired && self.floors.is_retired(subject);
        if is_revived {
            let detail = "is retired in what clients have, and not here";
            self.problems
                .push(Problem::new(Code::Revived, place, detail).about(subject));
        }
        is_revived
    }

    /// Judges a stored statement; true if its content is the greatest approved version.
    fn stored(
        &mut self,
        subject: Subject,
        place: Path,
        digest: Digest,
        rule: &Rule,
        people: &People,
    ) -> bool {
        let votes = self.index.votes(&subject);
        let assessment = self.assess(rule, &subject, &votes, &[digest]);
        let finding = Finding::new(subject, place, (digest, None), assessment);
        self.conclude(finding, rule, people)
    }

    /// The repository files.
    pub(crate) fn repository(&mut self, repository: &Repository, people: &People) {
        let place = repository.place();
        if self.repository_at(place, repository.digest, people) {
            self.note_whole(&repository.whole);
        }
    }

    /// The repository files, of which the first one stands at `place`, if there is one at all. Whether they
    /// are judged: not where nobody vouched for them.
    pub(crate) fn repository_at(
        &mut self,
        place: Option<&Path>,
        digest: Digest,
        people: &People,
    ) -> bool {
        let subject = Subject::Repository;
        let votes = self.index.votes(&subject);
        let rule = self.quorum(Epoch::Only(0));
        let assessment = self.assess(&rule, &subject, &votes, &[digest]);
        let is_unsigned = assessment.standing == Standing::Pending;
        if place.is_none() && is_unsigned {
            return false;
        }
        let place = place.cloned().unwrap_or_default();
        let finding = Finding::new(subject, place, (digest, None), assessment);
        if is_unsigned {
            self.unsigned_files = Some(finding.place.clone());
            self.findings.push(finding);
        } else {
            self.conclude(finding, &rule, people);
        }
        !is_unsigned
    }

    /// Says of files that a projection cannot read that they count whole.
    fn note_whole(&mut self, whole: &[(Path, Unreadable)]) {
        self.problems.extend(whole.iter().map(|(path, why)| {
            Problem::new(Code::WholeSource, path, &why.reason).at_line(Some(why.line))
        }));
    }

    /// A package, present or (without releases) absent.
    pub(crate) fn package(
        &mut self,
        package: &Package,
        place: &Path,
        ownership: &Ownership,
        people: &People,
    ) {
        self.releases += package.releases.len();
        let said = self.index.named(package.name.as_str());
        let (releases_rule, checksums_rule) = ownership.rules(self.root, &package.name);
        let subject = Subject::Releases(package.name.clone());
        let votes = said.of(&subject);

        if ownership.is_retired(&package.name) {
            if !package.releases.is_empty() {
                let detail = "the package is retired, and still has releases";
                self.problems
                    .push(Problem::new(Code::Retired, place, detail).about(&subject));
            }
            return;
        }
        let mut gone = self.gone(package, &said, &checksums_rule);
        self.contradicted(&gone, &said, &checksums_rule);
        if package.releases.is_empty() {
            self.absent(package, subject, &votes, &releases_rule, people);
            self.findings.extend(gone);
            return;
        }
        let mut findings = Vec::with_capacity(1 + package.releases.len());
        let assessment = self.assess(&releases_rule, &subject, &votes, &package.digests);
        let digests = package.newest_and_older();
        findings.push(Finding::new(subject, place.clone(), digests, assessment));
        findings.extend(package.releases.iter().map(|release| {
            let subject = checksums_of(package, release);
            let votes = said.of(&subject);
            let assessment = self.assess(&checksums_rule, &subject, &votes, &[release.digest]);
            Finding {
                sources: if self.ahead {
                    release.sources.clone()
                } else {
                    Vec::new()
                },
                ..Finding::new(
                    subject,
                    release.place.clone(),
                    (release.digest, None),
                    assessment,
                )
            }
        }));
        let is_pending = |finding: &Finding| finding.assessment.standing == Standing::Pending;
        if !ownership.is_claimed(&package.name)
            && findings.iter().all(is_pending)
            && gone.is_empty()
            && !self.is_had(&findings)
        {
            self.unsigned.push((package.name.clone(), place.clone()));
            if self.findings.is_empty() {
                self.findings = findings;
            } else {
                self.findings.append(&mut findings);
            }
            return;
        }
        let is_ahead = findings
            .first()
            .is_some_and(|it| matches!(it.assessment.standing, Standing::Behind { .. }));
        self.findings.reserve(findings.len());
        for finding in findings {
            let rule = match &finding.subject {
                Subject::Releases(_) => &releases_rule,
                _ => &checksums_rule,
            };
            self.conclude(finding, rule, people);
        }
        // What is approved ahead is still to come, and not gone.
        if is_ahead {
            gone.retain(|it| !matches!(it.assessment.standing, Standing::Differs { .. }));
        }
        self.findings.extend(gone);
        for release in &package.releases {
            self.note_whole(&release.whole);
        }
    }

    /// Releases of a package that are not there, and of which something is approved. That they are gone need
    /// not be approved release by release, but where it is, it must not be lost (spec section 9.3).
    fn gone(&self, package: &Package, said: &Said<'_>, rule: &Rule) -> Vec<Finding> {
        let is_there = |name: &ReleaseName| {
            let found = package
                .releases
                .binary_search_by(|it| it.checksums.release.cmp(name));
            found.is_ok()
        };
        let had = self.floors.checksums(&package.name);
        let subjects: BTreeSet<&Subject> = said.subjects().chain(had).collect();
        let gone = subjects.into_iter().filter_map(|subject| match subject {
            Subject::Checksums(_, release) if !is_there(release) => Some((subject, release)),
            _ => None,
        });
        let findings = gone.filter_map(|(subject, release)| {
            let absence = Checksums::absence(&package.name, release);
            let digest = absence.digest(&self.root.origin, self.digests);
            // Of files that are gone, clients accept any version; not so of their absence.
            let floor = self.floors.of(subject).filter(|it| it.digest == digest);
            let assessment = rule.assess_above(&said.of(subject), &[digest], floor);
            let place = Path::parse(package.name.as_str()).unwrap_or_default();
            let finding = Finding {
                present: false,
                ..Finding::new(subject.clone(), place, (digest, None), assessment)
            };
            (finding.assessment.standing != Standing::Pending || floor.is_some()).then_some(finding)
        });
        findings.collect()
    }

    /// Releases that are not there, and of which one version says both that they are gone and that they have files:
    /// else whoever leaves out the one would bring back the other.
    fn contradicted(&mut self, gone: &[Finding], said: &Said<'_>, rule: &Rule) {
        for finding in gone {
            let Standing::Equivocal { version } = finding.assessment.standing else {
                continue;
            };
            let approved = rule.approved(&said.of(&finding.subject));
            let mut newest = approved.iter().filter(|it| it.version == version);
            if newest.any(|it| it.digest == finding.digest) {
                let detail = contradiction(version);
                let problem = Problem::new(Code::Equivocation, &finding.place, detail);
                self.problems.push(problem.about(&finding.subject));
            }
        }
    }

    /// A package without releases: fine if that is what was approved, or if nothing was.
    fn absent(
        &mut self,
        package: &Package,
        subject: Subject,
        votes: &[Vote],
        rule: &Rule,
        people: &People,
    ) {
        let place = Path::parse(package.name.as_str()).unwrap_or_default();
        let assessment = self.assess(rule, &subject, votes, &package.digests);
        match &assessment.standing {
            // A raised epoch voids all that was said of the package, absence included.
            Standing::Pending if rule.epoch != Epoch::Only(0) => {
                let detail = "the package is absent, and in its epoch nothing is approved yet";
                let missing = rule.missing(&assessment.vouched, people);
                self.problems.push(
                    Problem::new(Code::NotApproved, &place, detail)
                        .about(&subject)
                        .mended_by(missing),
                );
            }
            Standing::Pending => {
                let Some(floor) = self.floors.of(&subject) else {
                    return;
                };
                let detail = format!("the package is absent, as approved {}", by(floor, people));
                self.missing(&subject, &place, &detail);
            }
            Standing::Approved(_) => {}
            Standing::Behind { newest, .. } | Standing::Differs { newest } => {
                let detail = format!("the package is absent, and approved {}", by(newest, people));
                self.missing(&subject, &place, &detail);
            }
            Standing::Equivocal { version } => {
                let detail = contradiction(*version);
                self.problems
                    .push(Problem::new(Code::Equivocation, &place, detail).about(&subject));
            }
        }
        let digests = package.newest_and_older();
        self.findings.push(Finding {
            present: false,
            ..Finding::new(subject, place, digests, assessment)
        });
    }

    /// Something that is not there, and of which that was approved: how it stands, approved or not.
    pub(crate) fn absence(&mut self, before: &Finding, ownership: &Ownership) {
        let subject = &before.subject;
        if subject.package().is_some_and(|it| ownership.is_retired(it)) {
            return;
        }
        let votes = self.index.votes(subject);
        let rule = self.rule(subject, ownership);
        let assessment = self.assess(&rule, subject, &votes, &[before.digest]);
        self.findings.push(Finding {
            assessment,
            ..before.clone()
        });
    }

    /// Draws the conclusion from an assessment; true if the content is the greatest approved
    /// version, or where approvals may run ahead, any approved one.
    fn conclude(&mut self, finding: Finding, rule: &Rule, people: &People) -> bool {
        let last = |newest: &ApprovedVersion| by(newest, people);
        let (code, detail) = match &finding.assessment.standing {
            Standing::Approved(_) => {
                self.findings.push(finding);
                return true;
            }
            Standing::Behind { version, newest } => (
                if self.ahead {
                    Code::Ahead
                } else {
                    Code::Behind
                },
                format!(
                    "this is version {version}, and a newer one was approved {}",
                    last(newest)
                ),
            ),
            Standing::Differs { newest } => (
                Code::ContentDiffers,
                format!("this is not the content last approved {}", last(newest)),
            ),
            Standing::Equivocal { version } => (Code::Equivocation, contradiction(*version)),
            Standing::Pending => (Code::NotApproved, "nothing of it is approved yet".into()),
        };
        let mut problem = Problem::new(code, &finding.place, detail).about(&finding.subject);
        // Where no version is left, in this epoch or below a greater one, nobody's vouch helps.
        if finding.assessment.proposed.is_some() {
            problem = problem.mended_by(rule.missing(&finding.assessment.vouched, people));
        }
        self.problems.push(problem);
        self.findings.push(finding);
        code == Code::Ahead
    }

    /// A problem for everything that nobody vouched for, where that is one.
    pub(crate) fn unsigned_problems(&self) -> impl Iterator<Item = Problem> {
        let problem = |place: &Path, subject: &Subject, detail: &str| {
            Problem::new(Code::Unsigned, place, detail).about(subject)
        };
        let files = self.unsigned_files.iter().map(move |place| {
            let detail = "nobody vouched for the repository files yet";
            problem(place, &Subject::Repository, detail)
        });
        let packages = self.unsigned.iter().map(move |(name, place)| {
            let subject = Subject::Releases(name.clone());
            problem(place, &subject, "nobody vouched for this package yet")
        });
        files.chain(packages)
    }

    /// The rule that a statement is judged by.
    pub(crate) fn rule(&self, subject: &Subject, ownership: &Ownership) -> Rule {
        ownership.rule(self.root, subject)
    }
}

fn contradiction(version: Version) -> String {
    format!("version {version} is approved with two different contents")
}

fn checksums_of(package: &Package, release: &Release) -> Subject {
    Subject::Checksums(package.name.clone(), release.checksums.release.clone())
}

/// `in version 0.3 by alice, bob`; by nobody here, where clients have it.
fn by(approved: &ApprovedVersion, people: &People) -> String {
    use core::fmt::Write as _;
    if approved.by.is_empty() {
        return format!("in version {}, which clients have", approved.version);
    }
    let mut text = format!("in version {} by ", approved.version);
    for (at, person) in approved.by.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{}{}",
            if at == 0 { "" } else { ", " },
            people.id(*person)
        );
    }
    text
}
