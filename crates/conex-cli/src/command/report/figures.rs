//! The figures of a report: what is signed, by whom, what waits, and what one lost key would cost.

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::name::{Id, PackageName};
use conex_core::model::vouch::Kind;
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::state::{Basis, State};
use conex_core::tools::forecast::{Outlook, narrow};
use conex_core::tools::pre_approval::outstanding;
use conex_crypto::StandardCrypto;
use conex_repo::infer::Package;
use conex_repo::opam::facts::{Archive, Strength};

use crate::tree::Work;

/// On whose word content is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Share {
    /// It is approved.
    By(Basis),
    /// It waits: something else is approved, or nothing.
    Waiting,
    /// Nobody: there is no vouch for anything of the package.
    Unsigned,
}

impl Share {
    pub(super) const ALL: [Self; 5] = [
        Self::By(Basis::Owners),
        Self::By(Basis::Quorum),
        Self::By(Basis::Few),
        Self::Waiting,
        Self::Unsigned,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::By(Basis::Owners) => "by their owners",
            Self::By(Basis::Quorum) => "by a quorum of janitors",
            Self::By(Basis::Few) => "by fewer janitors, as the rules allow",
            Self::Waiting => "waiting for approval",
            Self::Unsigned => "unsigned",
        }
    }
}

/// A person, and how much depends on them or waits for them.
#[derive(Debug, Clone, Default)]
pub(super) struct PersonFigures {
    pub(super) role: &'static str,
    /// Approved statements that they vouch for.
    pub(super) stands: usize,
    /// Statements that would lose their approval without this person. Counted for janitors only.
    pub(super) alone: Option<usize>,
    /// Statements that wait for their vouch.
    pub(super) awaited: usize,
    /// Packages that they own, including as members of teams.
    pub(super) owns: usize,
}

/// A statement that waits, and the people it waits for.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) subject: String,
    pub(super) what: &'static str,
    pub(super) needs: String,
}

/// A release with an archive that no strong checksum covers.
#[derive(Debug, Clone)]
pub(super) struct WeakArchive {
    pub(super) release: String,
    pub(super) url: String,
    pub(super) checksums: String,
}

/// All figures.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Releases by what their files stand on.
    pub(super) releases: BTreeMap<Share, usize>,
    /// Packages by what their list of releases stands on.
    pub(super) packages: BTreeMap<Share, usize>,
    pub(super) approved: usize,
    pub(super) statements: usize,
    /// The number of packages with owners.
    pub(super) claimed: usize,
    pub(super) people: BTreeMap<Id, PersonFigures>,
    pub(super) waiting: Vec<Waiting>,
    /// The number of approvals of content that is not in the tree.
    pub(super) ahead: usize,
    /// The number of approved statements by how many people vouch for them beyond those required; three and
    /// more are counted together.
    pub(super) margins: [usize; 4],
    /// Packages owned by a single person.
    pub(super) single: Vec<PackageName>,
    /// Packages with fewer owners than their threshold.
    pub(super) out_of_reach: Vec<PackageName>,
    pub(super) problems: usize,
    /// Archives by the strength of their checksums, and those that are not strong.
    pub(super) archives: BTreeMap<Strength, usize>,
    pub(super) weak: Vec<WeakArchive>,
    /// The number of releases whose description could not be read.
    pub(super) unreadable: usize,
}

impl Figures {
    pub(super) fn of(work: &Work, packages: &[Package]) -> Self {
        let report = &work.report;
        let mut figures = Self {
            statements: report.findings.iter().filter(|it| it.present).count(),
            approved: report.counts.approved,
            claimed: report.state.iter().flat_map(State::owned).count(),
            ahead: outstanding(report).len(),
            problems: report.problems.len(),
            ..Self::default()
        };
        figures.enrolled(work);
        let unsigned: BTreeSet<&PackageName> = report.unsigned.iter().collect();
        for finding in report.findings.iter().filter(|finding| finding.present) {
            figures.count(work, finding, &unsigned);
        }
        figures.waits(work);
        figures.ownership(work);
        if let Some(outlook) = Outlook::new(report, &StandardCrypto) {
            for janitor in &work.head.root().janitors {
                let alone = outlook.without(&janitor.id).lost().count();
                figures.person(&janitor.id).alone = Some(alone);
            }
        }
        figures.read_archives(packages);
        figures
    }

    fn person(&mut self, id: &Id) -> &mut PersonFigures {
        self.people.entry(id.clone()).or_default()
    }

    fn enrolled(&mut self, work: &Work) {
        for author in work.report.metadata().authors.values() {
            if work.people().find(&author.id).is_some() {
                let role = if author.retired { "retired" } else { "author" };
                self.person(&author.id).role = role;
            }
        }
        for janitor in &work.head.root().janitors {
            self.person(&janitor.id).role = "janitor";
        }
    }

    fn count(&mut self, work: &Work, finding: &Finding, unsigned: &BTreeSet<&PackageName>) {
        let package = finding.subject.package();
        let share = match &finding.assessment.standing {
            Standing::Approved(approved) => {
                let margin = approved.margin.min(self.margins.len() - 1);
                if let Some(count) = self.margins.get_mut(margin) {
                    *count += 1;
                }
                for person in &approved.by {
                    self.person(work.people().id(*person)).stands += 1;
                }
                Share::By(work.state().basis(&finding.subject, approved))
            }
            _ if package.is_some_and(|package| unsigned.contains(package)) => Share::Unsigned,
            _ => Share::Waiting,
        };
        match finding.subject.kind() {
            Kind::Checksums => *self.releases.entry(share).or_default() += 1,
            Kind::Releases => *self.packages.entry(share).or_default() += 1,
            _ => {}
        }
    }

    /// Collects what waits, and for whom.
    fn waits(&mut self, work: &Work) {
        let all = work.report.problems.iter().chain(&work.report.notes);
        let waiting = all.filter_map(|problem| {
            let missing = problem.missing.as_deref()?;
            Some((problem, problem.subject.as_ref()?, missing))
        });
        for (problem, subject, missing) in waiting {
            let asked: BTreeSet<&Id> = [&missing.owners, &missing.janitors]
                .into_iter()
                .flatten()
                .flat_map(|(_, people)| people)
                .collect();
            for id in asked {
                self.person(id).awaited += 1;
            }
            self.waiting.push(Waiting {
                subject: subject.to_string(),
                what: problem.code.as_str(),
                needs: missing.to_string(),
            });
        }
        self.waiting.sort_by(|a, b| a.subject.cmp(&b.subject));
    }

    fn ownership(&mut self, work: &Work) {
        for (package, (owners, threshold)) in work.state().owned() {
            for person in &owners.people {
                self.person(work.people().id(*person)).owns += 1;
            }
            if owners.janitors {
                continue;
            }
            match owners.people.len() {
                few if few < threshold.people() => self.out_of_reach.push(package.clone()),
                1 => self.single.push(package.clone()),
                _ => {}
            }
        }
    }

    fn read_archives(&mut self, packages: &[Package]) {
        for package in packages {
            for release in &package.releases {
                let Some(facts) = &release.facts else {
                    self.unreadable += 1;
                    continue;
                };
                for archive in &facts.archives {
                    let strength = archive.strength();
                    *self.archives.entry(strength).or_default() += 1;
                    if strength != Strength::Strong {
                        let release = format!("{}/{}", package.name, release.name);
                        self.weak.push(weak(release, archive));
                    }
                }
            }
        }
    }

    /// Returns how many janitors' keys may be lost before a quorum is out of reach.
    pub(super) fn spare(work: &Work) -> usize {
        let root = work.head.root();
        root.janitors.len().saturating_sub(root.quorum.people())
    }

    /// Counts approved statements that have exactly the number of people they need, where that is more than
    /// one.
    pub(super) fn narrow(work: &Work) -> usize {
        let shared = |finding: &&Finding| finding.assessment.supporters().len() > 1;
        narrow(&work.report).filter(shared).count()
    }
}

fn weak(release: String, archive: &Archive) -> WeakArchive {
    let mut algorithms: Vec<&str> = archive
        .checksums
        .iter()
        .map(|checksum| checksum.algorithm.as_str())
        .collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    WeakArchive {
        release,
        url: archive.url.clone(),
        checksums: if algorithms.is_empty() {
            "none".to_owned()
        } else {
            algorithms.join(", ")
        },
    }
}
