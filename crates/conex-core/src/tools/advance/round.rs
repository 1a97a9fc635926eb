//! One attempt at the next state, with what is known to have to wait left out.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::model::crypto::{Crypto, Digests};
use crate::model::digest::{Context, Digest};
use crate::model::encoding;
use crate::model::key::Fingerprint;
use crate::model::name::{Id, PackageName};
use crate::model::path::Path;
use crate::model::statement::Root;
use crate::model::vouch::Subject;
use crate::state::approval::{Epoch, Rule, Standing as Stands, Vote};
use crate::state::people::{Judged, People};
use crate::state::settle::{Council, Evidence, Settled, Signatures};
use crate::tree::metadata::{Metadata, StoredPage, place};
use crate::tree::problem::{Code, Problem};
use crate::tree::schemes::Known;
use crate::tree::store::{Store, Workers};
use crate::verify::transitions::Past;

use super::blame::{Blame, Remedy};
use super::court::Court;
use super::main_line::{Edited, MainLine, accepts};
use super::waiting::{Unit, Waiting};
use super::{Advance, Files, Signed};

/// What is left out so far.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// New pages, each with the reason.
    pub(super) pages: BTreeMap<Path, Problem>,
    /// Packages that stay as they are.
    pub(super) packages: BTreeSet<PackageName>,
    /// Other files that stay as they are.
    pub(super) paths: BTreeSet<Path>,
    /// Whether the repository files are.
    pub(super) repository: bool,
    /// Packages and files that stand where something else has more right to stand, each with the
    /// reason. Those of the verified state make room, the others wait.
    pub(super) crowded: BTreeMap<Unit, Problem>,
    /// How many of the newest roots.
    pub(super) roots: usize,
    /// What would be wrong with them.
    pub(super) held: Vec<Problem>,
}

/// The next state, as far as a round can tell.
pub(super) struct Built {
    pub(super) files: Files,
    pub(super) taken: BTreeSet<Unit>,
    pub(super) waiting: Vec<Waiting>,
}

impl Left {
    /// Leaves out more; false where it is all left out already.
    pub(super) fn apply(&mut self, remedy: Remedy, main: &MainLine) -> bool {
        if let Some(reasons) = remedy.root
            && self.lower(reasons, main)
        {
            return true;
        }
        let size = |left: &Self| left.pages.len() + left.crowded.len();
        let before = size(self);
        self.pages.extend(remedy.pages);
        self.crowded.extend(remedy.crowded);
        size(self) > before
    }

    /// Leaves out the newest root that is not left out yet, if there is one. All else is judged again:
    /// what does not fit that root may fit the one before.
    pub(super) fn lower(&mut self, reasons: Vec<Problem>, main: &MainLine) -> bool {
        if self.roots + 1 >= main.heads.len() {
            return false;
        }
        let mut held = core::mem::take(&mut self.held);
        held.extend(reasons);
        *self = Self {
            roots: self.roots + 1,
            held,
            ..Self::default()
        };
        true
    }

    /// Leaves out what a problem of the whole step is about; false where it tells nothing new.
    pub(super) fn after(&mut self, problem: &Problem, signed: &Signed, main: &MainLine) -> bool {
        let mut progress = false;
        let at = |path: &Path| {
            let (path, place) = (path.as_str(), &*problem.place);
            path == place
                || path
                    .strip_prefix(place)
                    .is_some_and(|rest| rest.starts_with('/'))
                || place
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        for path in main.others.iter().filter(|path| at(path)) {
            progress |= self.paths.insert(path.clone());
        }
        // Nobody is kept waiting by something new that only has the name of their release.
        if progress && problem.code == Code::ShadowRelease {
            return true;
        }
        let mut names: BTreeSet<&PackageName> = BTreeSet::new();
        // A tree needs a package: one of those that go stays, and what says that it goes waits.
        if problem.code == Code::Empty {
            let units = signed.survey.packages.iter().map(|unit| &unit.name);
            names.extend(units.take(1));
        }
        names.extend(problem.subject.as_ref().and_then(Subject::package));
        let data = main.packages.iter();
        names.extend(
            data.filter(|(_, paths)| paths.iter().any(at))
                .map(|(name, _)| name),
        );
        for name in &names {
            progress |= self.packages.insert((*name).clone());
        }
        let is_about = |subject: &Subject| {
            problem.subject.as_ref() == Some(subject)
                || subject.package().is_some_and(|name| names.contains(name))
        };
        for page in &main.pages {
            let is_it =
                *page.place.as_str() == *problem.place || main.subjects(signed, page).any(is_about);
            if is_it && !self.pages.contains_key(&page.place) {
                self.pages.insert(page.place.clone(), problem.clone());
                progress = true;
            }
        }
        if problem.subject == Some(Subject::Repository) && !self.repository {
            self.repository = true;
            progress = true;
        }
        if problem.place.starts_with("conex/root") {
            progress |= self.lower(alloc::vec![problem.clone()], main);
        }
        progress
    }
}

/// The means of a round.
pub(super) struct Round<'r, 'a, S: ?Sized, M: ?Sized, C, W> {
    pub(super) advance: &'r Advance<'a, S, M, C, W>,
    pub(super) signed: &'r Signed,
    pub(super) main: &'r MainLine,
    pub(super) left: &'r Left,
}

/// The authors, teams and authorisations that are those of the main line.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) authors: BTreeSet<Id>,
    pub(super) teams: BTreeSet<Id>,
    pub(super) authorisations: BTreeSet<PackageName>,
}

impl<S, M, C, W> Round<'_, '_, S, M, C, W>
where
    S: Store + ?Sized,
    M: Store + ?Sized,
    C: Crypto,
    W: Workers,
{
    /// Builds a state, or says what more has to wait.
    pub(super) fn run(&self) -> Result<Built, Remedy> {
        let heads = &self.main.heads;
        let at = heads.len().saturating_sub(1 + self.left.roots);
        let head = heads.get(at).unwrap_or(&self.signed.head);
        let root = head.root();
        let known = Known::of(root, self.advance.schemes).map_err(|problem| {
            let mut remedy = Remedy::default();
            remedy.lower([problem]);
            remedy
        })?;
        let (crypto, workers) = (self.advance.crypto, self.advance.workers);
        let mut evidence = Evidence::new(root.clone(), self.pages(), Signatures::KnownFromBefore);
        let taken = self.take_statements(&mut evidence)?;
        self.settle_pages(root, &mut evidence.metadata);
        let settled = evidence.settle(crypto, workers);
        self.keep_within_limits(&settled)?;
        let floors = self.signed.state.without_keys_of(root);
        let court = Court {
            round: self,
            floors: floors.as_ref().unwrap_or(self.signed.state.index()),
            head,
            known: &known,
            state: &settled.state,
            problems: &settled.problems,
            taken: &taken,
        };
        court.build()
    }

    /// The verified state.
    pub(super) fn before(&self) -> Past<'_> {
        Past {
            store: &self.advance.signed,
            known: &self.signed.known,
            state: &self.signed.state,
        }
    }

    /// The metadata of the verified state, with the new pages that are not left out.
    fn pages(&self) -> Metadata {
        let mut metadata = self.signed.state.metadata().clone();
        let main = self.main;
        let new = main.pages.iter().filter(|page| {
            !self.left.pages.contains_key(&page.place) && !main.barred.contains(&page.place)
        });
        metadata.pages.extend(new.cloned());
        metadata.pages.sort_by(|a, b| a.place.cmp(&b.place));
        let batches = main.batches.iter();
        metadata
            .batches
            .extend(batches.map(|(digest, batch)| (*digest, batch.clone())));
        metadata
    }

    /// Lets the authors who are approved now say what they have a say in: which pages of a revoked key
    /// of theirs go on counting, and which keys there are to tell a forged page by.
    ///
    /// A janitor's page is accepted by the root only: here it would count for more than its author says.
    fn settle_pages(&self, root: &Root, metadata: &mut Metadata) {
        let (main, crypto) = (self.main, self.advance.crypto);
        let janitors = People::of_root(root, crypto);
        let is_accepted = |page: &StoredPage| {
            let author = metadata.authors.get(page.page.body().signer());
            let mut former = author
                .iter()
                .flat_map(|it| it.former.iter().map(|key| (&it.id, key)));
            former.any(|(id, former)| accepts(id, former, page, crypto))
                && !matches!(janitors.judge(page, true, crypto), Judged::Counts(_))
        };
        let barred = main.pages.iter().filter(|page| {
            main.barred.contains(&page.place) && !self.left.pages.contains_key(&page.place)
        });
        let accepted: Vec<StoredPage> = barred.filter(|page| is_accepted(page)).cloned().collect();
        if !accepted.is_empty() {
            metadata.pages.extend(accepted);
            metadata.pages.sort_by(|a, b| a.place.cmp(&b.place));
        }
        if !main.forged.is_empty() {
            let keys = keys(root, metadata, crypto);
            metadata.pages.retain(|page| {
                let key = main.forged.get(&page.place);
                key.is_none_or(|key| !keys.contains(key))
            });
        }
    }

    /// Leaves out the new pages of whoever would have more with them than count.
    fn keep_within_limits(&self, settled: &Settled) -> Result<(), Remedy> {
        let mut remedy = Remedy::default();
        let problems = settled.problems.iter();
        let void = problems.filter(|problem| problem.code == Code::PersonVoid);
        let void: BTreeSet<&str> = void.map(|problem| &*problem.place).collect();
        if void.is_empty() {
            return Ok(());
        }
        let pages = settled.state.metadata().pages.iter();
        for page in pages.filter(|page| self.is_new(page)) {
            let directory = page.place.parent().unwrap_or_default();
            if void.contains(directory.as_str()) {
                let detail = "its signer has more pages than count";
                let problem = Problem::new(Code::PersonVoid, &page.place, detail);
                remedy.pages.insert(page.place.clone(), problem);
            }
        }
        if remedy.is_empty() {
            Ok(())
        } else {
            Err(remedy)
        }
    }

    /// Takes authors, teams and authorisations of the main line that are approved by janitors whose
    /// pages are taken.
    fn take_statements(&self, evidence: &mut Evidence) -> Result<Taken, Remedy> {
        let mut taken = Taken::default();
        let mut remedy = Remedy::default();
        let (crypto, main) = (self.advance.crypto, self.main);
        let Council {
            people,
            pages,
            index,
        } = evidence.council(crypto, self.advance.workers);
        let (root, metadata) = (&evidence.root, &mut evidence.metadata);
        let blame = self.blame(metadata, &pages);
        for subject in &self.statements(metadata) {
            let votes = index.votes(subject);
            let rule = |epoch| rule_of_stored(root, subject, epoch);
            let is_approved = |content: Option<(Digest, u32)>| {
                content.is_some_and(|(digest, epoch)| {
                    let standing = rule(epoch).assess(&votes, &[digest]).standing;
                    matches!(standing, Stands::Approved(_))
                })
            };
            let signed = self.stored(root, subject, false);
            let there = self.stored(root, subject, true);
            if there != signed && is_approved(there) {
                taken.add(subject);
            } else if !is_approved(signed) {
                let (digest, epoch) = signed.unzip();
                let rule = rule(epoch.unwrap_or(0));
                let is_spoken_of = !rule.approved(&votes).is_empty();
                let had: Vec<_> = digest
                    .map(|digest| alloc::vec![digest])
                    .into_iter()
                    .collect();
                let lost = is_spoken_of
                    && !blame.ahead(
                        &rule,
                        (subject, votes.clone()),
                        (&had, &|_| false),
                        &mut remedy,
                    );
                if lost || (!is_spoken_of && signed.is_some()) {
                    remedy.lower([without_approval(root, subject, signed, (&votes, &people))]);
                }
            }
        }
        if !remedy.is_empty() {
            return Err(remedy);
        }
        put(&mut metadata.authors, &main.authors, &taken.authors);
        put(&mut metadata.teams, &main.teams, &taken.teams);
        let claims = &taken.authorisations;
        put(&mut metadata.authorisations, &main.authorisations, claims);
        Ok(taken)
    }

    /// The authors, teams and authorisations that changed or are spoken of anew.
    fn statements(&self, metadata: &Metadata) -> BTreeSet<Subject> {
        let main = self.main;
        let new = metadata.pages.iter().filter(|page| self.is_new(page));
        let said = new.flat_map(|page| main.subjects(self.signed, page));
        let said = said.filter(|it| it.kind().is_about_people()).cloned();
        let authors = main.authors.keys().cloned().map(Subject::Author);
        let teams = main.teams.keys().cloned().map(Subject::Team);
        let claims = main.authorisations.keys().cloned();
        let edited = authors.chain(teams);
        said.chain(edited)
            .chain(claims.map(Subject::Authorisation))
            .collect()
    }

    /// The digest of a stored statement, in the verified state or on the main line, and the epoch that
    /// it sets.
    pub(super) fn stored(
        &self,
        root: &Root,
        subject: &Subject,
        on_main: bool,
    ) -> Option<(Digest, u32)> {
        let (crypto, origin, main) = (self.advance.crypto, &root.origin, self.main);
        let before = self.signed.state.metadata();
        match subject {
            Subject::Author(id) => {
                let author = pick(&before.authors, &main.authors, id, on_main)?;
                let digest = encoding::digest(crypto, Context::Author, origin, author);
                Some((digest, 0))
            }
            Subject::Team(id) => {
                let team = pick(&before.teams, &main.teams, id, on_main)?;
                Some((encoding::digest(crypto, Context::Team, origin, team), 0))
            }
            Subject::Authorisation(package) => {
                let (before, main) = (&before.authorisations, &main.authorisations);
                let claim = pick(before, main, package, on_main)?;
                let digest = encoding::digest(crypto, Context::Authorisation, origin, claim);
                Some((digest, claim.epoch))
            }
            Subject::Repository | Subject::Releases(_) | Subject::Checksums(..) => None,
        }
    }

    pub(super) fn blame<'m>(&'m self, metadata: &'m Metadata, judged: &[Judged]) -> Blame<'m> {
        let pages = metadata.pages.iter().zip(judged);
        let counted = pages.filter_map(|(page, judged)| match judged {
            Judged::Counts(voter) if self.is_new(page) => Some((page, *voter)),
            _ => None,
        });
        Blame::new(self.signed, self.main, counted.collect())
    }

    pub(super) fn is_new(&self, page: &StoredPage) -> bool {
        let pages = &self.main.pages;
        let found = pages.binary_search_by(|new| new.place.cmp(&page.place));
        found.is_ok()
    }
}

/// The problem of a stored statement that loses its approval.
fn without_approval(
    root: &Root,
    subject: &Subject,
    content: Option<(Digest, u32)>,
    (votes, people): (&[Vote], &People),
) -> Problem {
    let (digest, epoch) = content.unzip();
    let rule = rule_of_stored(root, subject, epoch.unwrap_or(0));
    let assessment = rule.assess(votes, digest.as_slice());
    let missing = rule.missing(&assessment.vouched, people);
    let place = match subject {
        Subject::Author(id) => place::author(id),
        Subject::Team(id) => place::team(id),
        Subject::Authorisation(package) => place::authorisation(package),
        Subject::Repository | Subject::Releases(_) | Subject::Checksums(..) => Path::top(),
    };
    let detail = "would lose its approval";
    Problem::new(Code::NotApproved, place, detail)
        .about(subject)
        .mended_by(missing)
}

/// The rule of a stored statement, which sets this epoch if it is an authorisation.
pub(super) fn rule_of_stored(root: &Root, subject: &Subject, epoch: u32) -> Rule {
    Rule {
        owners: None,
        janitors: root.quorum,
        epoch: match subject {
            Subject::Authorisation(_) => Epoch::Sets(epoch),
            _ => Epoch::Only(0),
        },
    }
}

/// Every key that the people of a state have or had.
fn keys(root: &Root, metadata: &Metadata, digests: &impl Digests) -> BTreeSet<Fingerprint> {
    let janitors = root.janitors.iter().flat_map(|janitor| &janitor.keys);
    let former = root.former.iter().map(|it| &it.former.key);
    let authors = metadata.authors.values().flat_map(|author| {
        let keys = author.keys.iter().map(|listed| &listed.key);
        keys.chain(author.former.iter().map(|former| &former.key))
    });
    let keys = janitors.chain(former).chain(authors);
    keys.map(|key| digests.fingerprint(key)).collect()
}

/// What one of two trees has under a name.
fn pick<'m, K: Ord, T>(
    before: &'m BTreeMap<K, T>,
    main: &'m Edited<K, T>,
    key: &K,
    on_main: bool,
) -> Option<&'m T> {
    match main.get(key) {
        Some(edited) if on_main => edited.as_ref(),
        _ => before.get(key),
    }
}

fn put<K: Ord + Clone, T: Clone>(
    metadata: &mut BTreeMap<K, T>,
    main: &Edited<K, T>,
    taken: &BTreeSet<K>,
) {
    for key in taken {
        let value = main.get(key).cloned().flatten();
        metadata.extend(value.map(|value| (key.clone(), value)));
    }
}

impl Taken {
    fn add(&mut self, subject: &Subject) {
        match subject {
            Subject::Author(id) => {
                self.authors.insert(id.clone());
            }
            Subject::Team(id) => {
                self.teams.insert(id.clone());
            }
            Subject::Authorisation(package) => {
                self.authorisations.insert(package.clone());
            }
            Subject::Repository | Subject::Releases(_) | Subject::Checksums(..) => {}
        }
    }
}
