//! One attempt at the next state, with what is known to have to wait left out.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::approval::{Epoch, Rule, Standing as Stands};
use crate::crypto::Crypto;
use crate::digest::{Context, Digest};
use crate::encoding;
use crate::index::Index;
use crate::metadata::{Metadata, StoredPage};
use crate::name::{Id, PackageName};
use crate::path::Path;
use crate::people::{Judged, People};
use crate::problem::{Code, Problem};
use crate::settle::{Settled, State};
use crate::statement::Root;
use crate::store::{Store, Workers};
use crate::verify::Known;
use crate::vouch::Subject;

use super::blame::{Blame, Remedy};
use super::court::Court;
use super::main_line::{Edited, MainLine};
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
    /// How many of the newest roots.
    pub(super) roots: usize,
    /// Whether everything is.
    pub(super) all: bool,
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
        let before = self.pages.len();
        self.pages.extend(remedy.pages);
        self.pages.len() > before || (remedy.root && self.lower(main))
    }

    /// Leaves out the newest root that is not left out yet, if there is one.
    pub(super) fn lower(&mut self, main: &MainLine) -> bool {
        let can = self.roots + 1 < main.heads.len();
        self.roots += usize::from(can);
        can
    }

    /// Leaves out everything: the next state is the one before.
    pub(super) fn everything(&mut self, main: &MainLine) {
        self.roots = main.heads.len().saturating_sub(1);
        self.all = true;
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
            progress |= self.lower(main);
        }
        progress
    }
}

/// The means of a round.
pub(super) struct Round<'r, 'a, S: ?Sized, M: ?Sized, C, W> {
    pub(super) advance: &'r Advance<'a, S, M, C, W>,
    pub(super) signed: &'r Signed,
    pub(super) settled: &'r Settled<'r>,
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
        let lower = || Remedy {
            root: true,
            ..Remedy::default()
        };
        let heads = &self.main.heads;
        let at = heads.len().saturating_sub(1 + self.left.roots);
        let head = heads.get(at).unwrap_or(&self.signed.head);
        let root = head.root();
        let known = Known::of(root, self.advance.schemes).map_err(|_| lower())?;
        let mut metadata = self.pages();
        let taken = self.take_statements(root, &mut metadata)?;
        let state = State {
            root,
            metadata: &metadata,
            assumed: &[],
            crypto: self.advance.crypto,
            workers: self.advance.workers,
            ahead: false,
            part: None,
            verified: true,
        };
        let settled = state.settle();
        let court = Court {
            round: self,
            head,
            known: &known,
            metadata: &metadata,
            settled: &settled,
            taken: &taken,
        };
        court.build()
    }

    /// The metadata of the verified state, with the new pages that are not left out.
    fn pages(&self) -> Metadata {
        let mut metadata = self.signed.metadata.clone();
        let forged = &self.main.forged;
        metadata.pages.retain(|page| !forged.contains(&page.place));
        if self.left.all {
            return metadata;
        }
        let new = self.main.pages.iter();
        let new = new.filter(|page| !self.left.pages.contains_key(&page.place));
        metadata.pages.extend(new.cloned());
        metadata.pages.sort_by(|a, b| a.place.cmp(&b.place));
        let batches = self.main.batches.iter();
        metadata
            .batches
            .extend(batches.map(|(digest, batch)| (*digest, batch.clone())));
        metadata
    }

    /// Takes authors, teams and authorisations of the main line that are approved by janitors whose
    /// pages are taken.
    fn take_statements(&self, root: &Root, metadata: &mut Metadata) -> Result<Taken, Remedy> {
        let mut taken = Taken::default();
        if self.left.all {
            return Ok(taken);
        }
        let mut remedy = Remedy::default();
        let (crypto, main) = (self.advance.crypto, self.main);
        let people = People::of_root(root, crypto);
        let state = State {
            root,
            metadata,
            assumed: &[],
            crypto,
            workers: self.advance.workers,
            ahead: false,
            part: None,
            verified: true,
        };
        let judged = state.judge(&people);
        let is_wanted = |subject: &Subject| subject.kind().is_about_people();
        let (index, _) = Index::new(metadata, &judged, None, is_wanted);
        let blame = self.blame(metadata, &judged);
        for subject in &self.statements(metadata) {
            let votes = index.named(subject.name()).of(subject);
            let rule = |epoch| Rule {
                owners: None,
                janitors: root.quorum,
                epoch: match subject {
                    Subject::Authorisation(_) => Epoch::Sets(epoch),
                    _ => Epoch::Only(0),
                },
            };
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
                let lost = is_spoken_of && !blame.ahead(&rule, (subject, votes), &had, &mut remedy);
                remedy.root |= lost || (!is_spoken_of && signed.is_some());
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
        let before = &self.signed.metadata;
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
        Blame {
            signed: self.signed,
            main: self.main,
            pages: counted.collect(),
        }
    }

    pub(super) fn is_new(&self, page: &StoredPage) -> bool {
        let pages = &self.main.pages;
        let found = pages.binary_search_by(|new| new.place.cmp(&page.place));
        found.is_ok()
    }
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
