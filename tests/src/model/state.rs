//! Verification of a whole tree (section 8).

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::crypto::Crypto;
use conex_core::model::digest::Digest;
use conex_core::model::key::Fingerprint;
use conex_core::model::name::{Id, PackageName, ReleaseName};
use conex_core::model::page::{Batch, BatchRef};
use conex_core::model::statement::Root;
use conex_core::model::vouch::{Subject, Vouch};
use conex_core::tree::problem::Code;

use super::content::{self, Content, Package};
use super::counting::{self, Approved, Newest, Rule, Stands, Vote, approved, stands};
use super::ownership::{self, Ownership, by_quorum, for_authorisation, problem};
use super::people::{Counts, People};
use super::stored::{self, Metadata, StoredPage};
use super::{Anchor, Found, Judged, Strictness, Tree, chain, floors};

/// More pages than this void their signer (section 6.6).
const PAGES: usize = 16_384;

/// A state with a head, judged.
#[derive(Debug, Clone)]
pub struct State {
    root: Root,
    digest: Digest,
    metadata: Metadata,
    ownership: Ownership,
    votes: Vec<Vote>,
    content: Content,
    /// The digest of a package without releases, and of a release without files, by subject.
    absences: BTreeMap<Subject, Digest>,
}

/// Verifies a whole tree (section 8.3).
pub fn judge(tree: &Tree, anchor: &Anchor, how: Strictness, crypto: &impl Crypto) -> Judged {
    let roots = stored::roots(tree, crypto);
    let followed = chain::follow(&roots, anchor, how.ahead, crypto);
    let mut judged = Judged {
        problems: roots.problems.union(&followed.problems).cloned().collect(),
        notes: followed.notes,
        state: None,
    };
    let Some(head) = followed.head.and_then(|number| roots.roots.get(&number)) else {
        return judged;
    };
    let root = head.root.clone();
    if root.layout.as_str() != "plain" || !root.projections.is_empty() {
        judged
            .problems
            .insert((Code::Upgrade, format!("conex/root/{}.toml", root.number)));
        return judged;
    }
    if root.checkpoints.required {
        let place = format!("conex/root/{}.toml", root.number);
        judged.problems.insert((Code::CheckpointNeeded, place));
    }
    let metadata = stored::metadata(tree, &root.origin, crypto);
    judged.problems.extend(metadata.problems.iter().cloned());
    judged.notes.extend(margins(&root));
    let by_head = People::of_head(&root, crypto);
    let first = collect(&metadata, &by_head, &root, crypto);
    let ownership = ownership::judge(&root, &metadata, &by_head, &first.votes, how.ahead, crypto);
    judged.problems.extend(ownership.problems.iter().cloned());
    judged.notes.extend(ownership.notes.iter().cloned());
    let all = collect(&metadata, &ownership.people, &root, crypto);
    judged.problems.extend(all.problems);
    judged.notes.extend(all.notes);
    let content = content::read(tree, &root, crypto);
    judged.problems.extend(content.problems.iter().cloned());
    let mut state = State {
        digest: head.digest,
        root,
        metadata,
        ownership,
        votes: all.votes,
        content,
        absences: BTreeMap::new(),
    };
    state.know_absences(crypto);
    state.names(&mut judged.problems);
    state.repository(how, &mut judged.problems, &mut judged.notes);
    state.absent_packages(how, &mut judged.problems, &mut judged.notes);
    state.packages(how, &mut judged.problems, &mut judged.notes);
    state.gone(&mut judged.problems);
    judged.problems.extend(floors::hold(&state));
    judged.state = Some(state);
    judged
}

/// Step 4.
fn margins(root: &Root) -> Found {
    let (quorum, janitors) = (root.quorum.people(), root.janitors.len());
    let place = format!("conex/root/{}.toml", root.number);
    let narrow = quorum == janitors || quorum * 2 <= janitors;
    narrow
        .then_some((Code::Margin, place))
        .into_iter()
        .collect()
}

/// The vouches of all pages that count with some people (sections 3.3, 6.2, 6.3 and 6.6).
struct Collected {
    votes: Vec<Vote>,
    problems: Found,
    notes: Found,
}

fn collect(metadata: &Metadata, people: &People, root: &Root, crypto: &impl Crypto) -> Collected {
    let mut collected = Collected {
        votes: Vec::new(),
        problems: Found::new(),
        notes: Found::new(),
    };
    let mut counting: BTreeMap<&Id, Vec<(&StoredPage, bool)>> = BTreeMap::new();
    for page in &metadata.pages {
        match people.judge(&root.origin, page, crypto) {
            Counts::Inert => {
                collected
                    .notes
                    .insert((Code::InertPage, page.place.clone()));
            }
            Counts::BadSignature => {
                collected
                    .problems
                    .insert((Code::BadSignature, page.place.clone()));
            }
            Counts::As { janitor } => {
                let signer = page.page.body().signer();
                counting.entry(signer).or_default().push((page, janitor));
            }
        }
    }
    let mut used: BTreeSet<Digest> = root.floor.iter().map(BatchRef::digest).collect();
    for (person, pages) in counting {
        if pages.len() > PAGES {
            let place = format!("conex/index/{person}");
            collected.notes.insert((Code::PersonVoid, place));
            continue;
        }
        for (page, janitor) in pages {
            used.extend(page.page.body().batches().iter().map(BatchRef::digest));
            collected.take(page, janitor, metadata);
        }
    }
    let unused = metadata
        .batches
        .keys()
        .filter(|digest| !used.contains(*digest));
    let place = |digest: &Digest| (Code::UnusedBatch, format!("conex/batches/{digest}.toml"));
    collected.notes.extend(unused.map(place));
    collected
}

impl Collected {
    fn take(&mut self, page: &StoredPage, janitor: bool, metadata: &Metadata) {
        let body = page.page.body();
        let mut vouches: Vec<&Vouch> = body.vouches().iter().collect();
        for named in body.batches() {
            let Some(batch) = metadata.batches.get(&named.digest()) else {
                self.problems
                    .insert((Code::BatchMissing, page.place.clone()));
                continue;
            };
            let (first, last) = named.range();
            let inside = |vouch: &Vouch| {
                let name = vouch.subject.name();
                first <= name && name <= last
            };
            if batch.vouches().iter().all(inside) {
                vouches.extend(batch.vouches());
            } else {
                self.problems.insert((Code::BatchRange, page.place.clone()));
            }
        }
        self.votes.extend(vouches.into_iter().map(|vouch| Vote {
            subject: vouch.subject.clone(),
            version: vouch.version,
            digest: vouch.digest,
            person: body.signer().clone(),
            janitor,
            key: body.key(),
        }));
    }
}

impl State {
    /// The head.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The digest of the head.
    pub fn head(&self) -> Digest {
        self.digest
    }

    /// Every vote that counts.
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// Every subject of a vote that counts.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        self.votes.iter().map(|vote| vote.subject.clone()).collect()
    }

    pub(super) fn batch(&self, digest: Digest) -> Option<&Batch> {
        self.metadata.batches.get(&digest)
    }

    /// The epoch of a package.
    pub fn epoch(&self, package: &PackageName) -> u32 {
        self.ownership
            .claims
            .get(package)
            .map_or(0, |claim| claim.epoch)
    }

    /// Whether a package is retired by an approved authorisation.
    pub fn is_retired(&self, package: &PackageName) -> bool {
        self.ownership
            .claims
            .get(package)
            .is_some_and(|claim| claim.retired)
    }

    /// Whether an authorisation, stored or absent, claims a package.
    pub fn is_claimed(&self, package: &PackageName) -> bool {
        self.ownership.claims.contains_key(package)
    }

    /// Whether a package is in the tree, readable or not.
    pub fn has_package(&self, package: &PackageName) -> bool {
        self.content.packages.contains_key(package)
    }

    /// The packages in the tree.
    pub fn names_of_packages(&self) -> BTreeSet<PackageName> {
        self.content.packages.keys().cloned().collect()
    }

    /// Whether a release is in the tree.
    pub fn has_release(&self, package: &PackageName, release: &ReleaseName) -> bool {
        self.content.has(package, release)
    }

    /// Whether the file of an author, team or authorisation is there and can be read.
    pub fn is_stored(&self, subject: &Subject) -> bool {
        self.metadata.digests.contains_key(subject)
    }

    /// Every author, team and authorisation that is stored, with its digest, and whether it is retired.
    pub(super) fn stored(&self) -> impl Iterator<Item = (&Subject, Digest, bool)> {
        let all = self.metadata.digests.iter();
        all.map(|(subject, digest)| (subject, *digest, self.says_retired(subject)))
    }

    /// Whether a stored author, team or authorisation says that it is retired.
    pub(super) fn says_retired(&self, subject: &Subject) -> bool {
        let metadata = &self.metadata;
        match subject {
            Subject::Author(id) => metadata.authors.get(id).is_some_and(|it| it.retired),
            Subject::Team(id) => metadata.teams.get(id).is_some_and(|it| it.retired),
            Subject::Authorisation(package) => {
                let claim = metadata.authorisations.get(package);
                claim.is_some_and(|it| it.retired)
            }
            _ => false,
        }
    }

    /// The digest of the absence of what a subject speaks of.
    pub fn absence(&self, subject: &Subject) -> Option<Digest> {
        self.absences.get(subject).copied()
    }

    /// The greatest approved version of a statement (section 9.3).
    pub fn newest(&self, subject: &Subject) -> Option<Newest> {
        self.newest_without(subject, &BTreeSet::new())
    }

    /// The same without the pages under some keys.
    pub fn newest_without(
        &self,
        subject: &Subject,
        keys: &BTreeSet<Fingerprint>,
    ) -> Option<Newest> {
        let votes = self.votes.iter().filter(|vote| !keys.contains(&vote.key));
        counting::newest(self.approved(subject, votes))
    }

    /// Whether the pages under some keys alone approve anything of a statement.
    pub fn can_approve(&self, keys: &BTreeSet<Fingerprint>, subject: &Subject) -> bool {
        let votes = self.votes.iter().filter(|vote| keys.contains(&vote.key));
        !self.approved(subject, votes).is_empty()
    }

    fn approved<'v>(&self, subject: &Subject, votes: impl Iterator<Item = &'v Vote>) -> Approved {
        let votes = votes.filter(|vote| vote.subject == *subject);
        let content = match subject {
            Subject::Authorisation(package) => {
                let claim = self.metadata.authorisations.get(package);
                claim.and_then(|it| Some((*self.metadata.digests.get(subject)?, it.epoch)))
            }
            _ => None,
        };
        approved(for_authorisation(votes, content), &self.rule(subject))
    }

    /// The rules of section 3.5.
    fn rule(&self, subject: &Subject) -> Rule {
        let root = &self.root;
        let package = match subject {
            Subject::Repository | Subject::Author(_) | Subject::Team(_) => {
                return by_quorum(root, Some(0));
            }
            Subject::Authorisation(_) => return by_quorum(root, None),
            Subject::Releases(package) | Subject::Checksums(package, _) => package,
        };
        let is_checksums = matches!(subject, Subject::Checksums(..));
        let (quorum, upkeep) = (root.quorum.people(), root.upkeep.people());
        let unclaimed = root.unclaimed.people();
        let Some(claim) = self.ownership.claims.get(package) else {
            return Rule {
                janitors: if is_checksums {
                    unclaimed.min(upkeep)
                } else {
                    unclaimed
                },
                owners: None,
                epoch: Some(0),
            };
        };
        Rule {
            janitors: if is_checksums && claim.owners.is_some() {
                upkeep
            } else {
                quorum
            },
            owners: claim.owners.clone(),
            epoch: Some(claim.epoch),
        }
    }

    fn know_absences(&mut self, crypto: &impl Crypto) {
        let mut subjects = self.subjects();
        let claimed = self.metadata.authorisations.keys().cloned();
        subjects.extend(claimed.map(Subject::Releases));
        let named: BTreeSet<PackageName> = subjects
            .iter()
            .filter_map(Subject::package)
            .cloned()
            .collect();
        subjects.extend(named.into_iter().map(Subject::Releases));
        let origin = &self.root.origin;
        for subject in subjects {
            let Some(absence) = content::absence(origin, &subject, crypto) else {
                continue;
            };
            self.absences.insert(subject, absence);
        }
    }

    /// Names of packages, in the tree and claimed, that are equal when case is ignored (section 2.2).
    fn names(&self, problems: &mut Found) {
        let claims = self.metadata.authorisations.keys();
        let place = |name: &str| format!("conex/packages/{name}.toml");
        problems.extend(content::collisions(
            claims.clone().map(PackageName::as_str),
            place,
        ));
        let packages: BTreeMap<String, &PackageName> = self
            .content
            .packages
            .keys()
            .map(|name| (name.as_str().to_ascii_lowercase(), name))
            .collect();
        for claim in claims {
            let other = packages.get(&claim.as_str().to_ascii_lowercase());
            if let Some(other) = other.filter(|other| **other != claim)
                && !self.has_package(claim)
            {
                problems.insert((Code::NameCollision, other.to_string()));
            }
        }
    }

    /// Judges content, and says what is wrong with it.
    fn stand(&self, subject: &Subject, content: Digest) -> Stands {
        stands(&self.approved(subject, self.votes.iter()), content)
    }

    /// Adds the problem of content, or the note that it becomes on a main line (section 8.5).
    fn report(
        subject: &Subject,
        stands: Stands,
        how: Strictness,
        problems: &mut Found,
        notes: &mut Found,
    ) {
        match problem(stands) {
            Some(Code::Behind) if how.ahead => {
                notes.insert((Code::Ahead, subject.to_string()));
            }
            Some(code) => {
                problems.insert((code, subject.to_string()));
            }
            None => {}
        }
    }

    /// Step 10.
    fn repository(&self, how: Strictness, problems: &mut Found, notes: &mut Found) {
        let Some(digest) = self.content.repository else {
            return;
        };
        let stands = self.stand(&Subject::Repository, digest);
        if stands != Stands::Pending {
            Self::report(&Subject::Repository, stands, how, problems, notes);
        } else if self.content.has_repository && (how.enforce || self.root.complete) {
            problems.insert((Code::Unsigned, Subject::Repository.to_string()));
        }
    }

    /// Step 11.
    fn absent_packages(&self, how: Strictness, problems: &mut Found, notes: &mut Found) {
        let mut named: BTreeSet<PackageName> =
            self.metadata.authorisations.keys().cloned().collect();
        named.extend(
            self.votes
                .iter()
                .filter_map(|vote| vote.subject.package().cloned()),
        );
        for package in named {
            if self.has_package(&package) || self.is_retired(&package) {
                continue;
            }
            let subject = Subject::Releases(package.clone());
            let Some(absence) = self.absence(&subject) else {
                continue;
            };
            match self.stand(&subject, absence) {
                Stands::Approved => {}
                Stands::Pending => {
                    if self.epoch(&package) != 0 {
                        problems.insert((Code::NotApproved, subject.to_string()));
                    }
                }
                Stands::Equivocal => {
                    problems.insert((Code::Equivocation, subject.to_string()));
                }
                Stands::Behind | Stands::Differs if how.ahead => {
                    notes.insert((Code::Ahead, subject.to_string()));
                }
                Stands::Behind | Stands::Differs => {
                    problems.insert((Code::Missing, subject.to_string()));
                }
            }
        }
    }

    /// Step 12.
    fn packages(&self, how: Strictness, problems: &mut Found, notes: &mut Found) {
        for (name, package) in &self.content.packages {
            let Some(package) = package else {
                continue;
            };
            if self.is_retired(name) {
                let subject = Subject::Releases(name.clone());
                problems.insert((Code::Retired, subject.to_string()));
                continue;
            }
            let judged = self.package(name, package);
            let is_pending = judged.iter().all(|(_, stands)| *stands == Stands::Pending);
            let said = self.subjects();
            let mut gone = said.iter().filter(|subject| match subject {
                Subject::Checksums(of, release) => {
                    of == name && !package.checksums.contains_key(release)
                }
                _ => false,
            });
            let is_pending = is_pending && !gone.any(|subject| self.newest(subject).is_some());
            if is_pending && !self.is_claimed(name) {
                if how.enforce || self.root.complete {
                    let subject = Subject::Releases(name.clone());
                    problems.insert((Code::Unsigned, subject.to_string()));
                }
                continue;
            }
            for (subject, stands) in judged {
                Self::report(&subject, stands, how, problems, notes);
            }
        }
    }

    /// Step 12, of releases that are not there.
    fn gone(&self, problems: &mut Found) {
        for subject in self.subjects() {
            let Subject::Checksums(package, release) = &subject else {
                continue;
            };
            let is_unreadable = matches!(self.content.packages.get(package), Some(None));
            if is_unreadable || self.is_retired(package) || self.has_release(package, release) {
                continue;
            }
            let absence = self.absence(&subject);
            let is_contradicted = self.newest(&subject).is_some_and(|newest| {
                let says_both = |absence| newest.digests.contains(&absence);
                newest.digests.len() > 1 && absence.is_some_and(says_both)
            });
            if is_contradicted {
                problems.insert((Code::Equivocation, subject.to_string()));
            }
        }
    }

    fn package(&self, name: &PackageName, package: &Package) -> Vec<(Subject, Stands)> {
        let releases = package
            .releases
            .map(|digest| (Subject::Releases(name.clone()), digest));
        let checksums = package.checksums.iter();
        let checksums = checksums
            .map(|(release, digest)| (Subject::Checksums(name.clone(), release.clone()), *digest));
        let all = releases.into_iter().chain(checksums);
        all.map(|(subject, digest)| {
            let stands = self.stand(&subject, digest);
            (subject, stands)
        })
        .collect()
    }

    /// Whether the head ignores everything below a directory at the top.
    pub fn ignores(&self, directory: &str) -> bool {
        content::ignores(&self.root, directory)
    }

    /// Every statement of the tree whose content is approved, with the paths of that content: what an update
    /// rests on. Statements on people are files, packages directories.
    pub fn is_approved(&self, subject: &Subject) -> bool {
        let content = match subject {
            Subject::Repository => self.content.repository,
            Subject::Releases(name) => match self.content.packages.get(name) {
                Some(package) => package.as_ref().and_then(|package| package.releases),
                None => self.absence(subject),
            },
            Subject::Checksums(name, release) => {
                let package = self.content.packages.get(name).and_then(Option::as_ref);
                package.and_then(|package| package.checksums.get(release).copied())
            }
            _ => self.metadata.digests.get(subject).copied(),
        };
        content.is_some_and(|content| self.stand(subject, content) == Stands::Approved)
    }

    /// Whether what is stored as the claim of a package, if anything, is what was approved last.
    pub fn is_claim_newest(&self, name: &str) -> bool {
        let Ok(subject) = format!("{name} authorisation").parse::<Subject>() else {
            return true;
        };
        let stored = self.metadata.digests.get(&subject).copied();
        let newest = self.newest(&subject);
        newest.as_ref().and_then(|newest| newest.digest()) == stored.as_ref()
    }

    /// The statements that stand in the tree of a package: its `releases`, and the `checksums` of each release.
    pub fn statements(&self, name: &PackageName) -> Vec<Subject> {
        let package = self.content.packages.get(name).and_then(Option::as_ref);
        let releases = package
            .into_iter()
            .flat_map(|package| package.checksums.keys());
        let checksums = releases.map(|release| Subject::Checksums(name.clone(), release.clone()));
        core::iter::once(Subject::Releases(name.clone()))
            .chain(checksums)
            .collect()
    }
}
