//! Choosing content, in a state whose people and pages are settled.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cell::OnceCell;

use crate::model::crypto::Crypto;
use crate::model::digest::Digest;
use crate::model::name::{Id, PackageName, ReleaseName};
use crate::model::path::Path;
use crate::model::statement::Root;
use crate::model::vouch::{Subject, Vouch};
use crate::state::State;
use crate::state::approval::{Rule, Vote};
use crate::state::chain::Head;
use crate::state::index::Index;
use crate::state::judge::Judge;
use crate::tree::content::{Package, Reader};
use crate::tree::metadata::{MetadataReader, StoredPage};
use crate::tree::problem::{Code, Problem};
use crate::tree::projection::Projection;
use crate::tree::schemes::Known;
use crate::tree::store::{Store, Workers};
use crate::verify::Mode;

use super::blame::{Blame, Remedy};
use super::main_line::unit;
use super::outcome::{Outcome, left_by_name};
use super::package::{self, Content};
use super::round::{Built, Round, Taken};
use super::search::Search;
use super::waiting::Unit;

/// A state whose people and pages are settled.
pub(super) struct Court<'r, 'a, S: ?Sized, M: ?Sized, C, W> {
    pub(super) round: &'r Round<'r, 'a, S, M, C, W>,
    pub(super) head: &'r Head,
    pub(super) known: &'r Known,
    pub(super) state: &'r State,
    /// Problems of its people and pages.
    pub(super) problems: &'r [Problem],
    pub(super) taken: &'r Taken,
    /// The vouches of the verified state without those under keys that are revoked now.
    pub(super) floors: &'r Index,
}

/// A package with what was chosen of it.
pub(super) struct Choice {
    pub(super) content: Content,
    pub(super) chosen: Package,
}

impl<S, M, C, W> Court<'_, '_, S, M, C, W>
where
    S: Store + ?Sized,
    M: Store + ?Sized,
    C: Crypto,
    W: Workers,
{
    /// Builds the state, or says what has to wait.
    pub(super) fn build(&self) -> Result<Built, Remedy> {
        let blame = self.round.blame(self.state.metadata(), self.state.pages());
        let projections = self.known.projections();
        let reader = self.reader(&projections);
        self.people(&blame)?;
        self.keeps_floor()?;
        let packages = self.packages(&blame, &reader)?;
        let repository = self.repository(&blame, &reader)?;
        let outcome = Outcome {
            court: self,
            packages,
            repository,
            left: left_by_name((self.round.signed, self.round.main, self.round.left)),
        };
        outcome.build()
    }

    pub(super) fn root(&self) -> &Root {
        self.head.root()
    }

    /// Reads the verified state as the new head has it read.
    fn reader<'p>(&'p self, projections: &'p [&'p dyn Projection]) -> Reader<'p, S, C> {
        let advance = self.round.advance;
        Reader {
            store: advance.signed,
            digests: advance.crypto,
            origin: &self.root().origin,
            layout: self.known.layout(),
            projections,
        }
    }

    /// What a new root says must not fall does not.
    fn keeps_floor(&self) -> Result<(), Remedy> {
        if self.root().number == self.round.signed.head.root().number {
            return Ok(());
        }
        let below = self.state.below_floor(self.round.advance.crypto);
        if below.is_empty() {
            return Ok(());
        }
        let mut remedy = Remedy::default();
        remedy.lower(below);
        Err(remedy)
    }

    /// Everybody and every page is as it has to be.
    fn people(&self, blame: &Blame<'_>) -> Result<(), Remedy> {
        let mut remedy = Remedy::default();
        let mut names = MetadataReader {
            store: self.round.advance.main,
            workers: self.round.advance.workers,
            problems: Vec::new(),
        };
        names.fold_names(self.state.metadata());
        let problems = self.problems.iter().chain(&names.problems);
        for problem in problems.filter(|problem| !problem.code.is_note()) {
            let at = |page: &&StoredPage| *page.place.as_str() == *problem.place;
            if let Some(page) = blame.pages.iter().map(|(page, _)| *page).find(at) {
                remedy.pages.insert(page.place.clone(), problem.clone());
                continue;
            }
            let found = remedy.pages.len();
            for subject in self.stated(problem) {
                self.as_before(blame, &subject, &mut remedy);
            }
            if remedy.pages.len() == found {
                let reasons = || alloc::vec![problem.clone()];
                self.relieve(blame, |_| true, reasons, &mut remedy);
            }
        }
        if remedy.is_empty() {
            Ok(())
        } else {
            Err(remedy)
        }
    }

    /// The stored statements that a problem is of. Of claims on one name in several cases the problem names one, and
    /// another may be the one that is new.
    fn stated(&self, problem: &Problem) -> Vec<Subject> {
        let named = stated(problem);
        let collides = named
            .as_ref()
            .and_then(Subject::package)
            .filter(|_| problem.code == Code::NameCollision);
        let taken = self.taken.authorisations.iter();
        let others = taken.filter(|other| {
            let is_same = |name: &PackageName| name.as_str().eq_ignore_ascii_case(other.as_str());
            collides.is_some_and(|name| is_same(name) && name != *other)
        });
        let others = others
            .cloned()
            .map(Subject::Authorisation)
            .collect::<Vec<_>>();
        named.into_iter().chain(others).collect()
    }

    /// Leaves out whatever would change a stored statement.
    fn as_before(&self, blame: &Blame<'_>, subject: &Subject, remedy: &mut Remedy) {
        let rule = self.state.rule(subject);
        let votes = self.state.votes(subject);
        let signed = self.round.stored(self.root(), subject, false);
        let there = signed.map(|(digest, _)| alloc::vec![digest]);
        let there: Vec<Vec<Digest>> = there.into_iter().collect();
        blame.ahead(&rule, (subject, votes), (&there, &|_| false), remedy);
    }

    /// Leaves out changes of people that took approvals away, those of people in question first; or
    /// the newest root.
    pub(super) fn relieve(
        &self,
        blame: &Blame<'_>,
        of: impl Fn(&Id) -> bool,
        reasons: impl FnOnce() -> Vec<Problem>,
        remedy: &mut Remedy,
    ) {
        let found = remedy.pages.len();
        let authors = self.taken.authors.iter();
        let authors = authors.map(|id| (id, Subject::Author(id.clone())));
        let teams = self.taken.teams.iter();
        let teams = teams.map(|id| (id, Subject::Team(id.clone())));
        let (likely, others): (Vec<_>, Vec<_>) = authors.chain(teams).partition(|(id, _)| of(id));
        for (_, subject) in &likely {
            self.as_before(blame, subject, remedy);
        }
        if remedy.pages.len() > found {
            return;
        }
        if self.head.id() != self.round.signed.head.id() {
            remedy.lower(reasons());
            return;
        }
        for (_, subject) in &others {
            self.as_before(blame, subject, remedy);
        }
    }

    /// Chooses the content of every package that could change.
    fn packages(
        &self,
        blame: &Blame<'_>,
        reader: &Reader<'_, S, C>,
    ) -> Result<BTreeMap<PackageName, Choice>, Remedy> {
        let names: Vec<PackageName> = self.concerned().into_iter().collect();
        let judged = self.round.advance.workers.map(names, |name| {
            let content = self.content(reader, &name);
            let chosen = self.choose(reader, &name, &content);
            (name, content, chosen)
        });
        let mut choices = BTreeMap::new();
        let mut lost = Vec::new();
        let mut remedy = Remedy::default();
        for (name, content, chosen) in judged {
            match chosen {
                Some(chosen) => {
                    choices.insert(name, Choice { content, chosen });
                }
                // It may be better once what waits for others is left out.
                None if is_helped(blame, &name, &remedy) => {}
                None if self.blame_pages(blame, reader, (&name, &content), &mut remedy) => {}
                None => lost.push((name, content)),
            }
        }
        // What lost its approval goes first: it may be why other things do not fit.
        if !lost.is_empty() {
            remedy = Remedy::default();
            for (name, content) in &lost {
                let people = self.people_of(name);
                let reasons = || self.wrong_with(&content.signed);
                self.relieve(blame, |id| people.contains(id), reasons, &mut remedy);
            }
            return Err(remedy);
        }
        if remedy.is_empty() {
            Ok(choices)
        } else {
            Err(remedy)
        }
    }

    /// The packages that something changed for.
    fn concerned(&self) -> BTreeSet<PackageName> {
        let (round, main) = (self.round, self.round.main);
        let signed = round.signed;
        let mut names: BTreeSet<PackageName> = main.packages.keys().cloned().collect();
        names.extend(main.authorisations.keys().cloned());
        names.extend(round.left.crowded.keys().filter_map(|unit| match unit {
            Unit::Package(name) => Some(name.clone()),
            _ => None,
        }));
        let counts = |state: &State, page| state.counts_for(page).map(|voter| voter.janitor);
        for page in &self.state.metadata().pages {
            if counts(&signed.state, page) != counts(self.state, page) {
                let said = main.subjects(signed, page);
                names.extend(said.filter_map(Subject::package).cloned());
            }
        }
        let edited = || self.taken.authors.iter().chain(&self.taken.teams);
        if edited().next().is_some() {
            let mut people: BTreeSet<&Id> = edited().collect();
            let teams = self.state.metadata().teams.values();
            let teams = teams.chain(signed.state.metadata().teams.values());
            let teams = teams.filter(|team| team.members.iter().any(|it| people.contains(it)));
            let teams: Vec<&Id> = teams.map(|team| &team.id).collect();
            people.extend(teams);
            let claims = self.state.metadata().authorisations.values();
            let claims = claims.filter(|claim| claim.owners.iter().any(|it| people.contains(it)));
            names.extend(claims.map(|claim| claim.package.clone()));
        }
        if self.head.id() != signed.head.id() {
            let surveyed = signed.survey.packages.iter();
            names.extend(surveyed.map(|unit| unit.name.clone()));
            let said = self.state.index().all().subjects();
            names.extend(said.filter_map(Subject::package).cloned());
        }
        names
    }

    fn content(&self, reader: &Reader<'_, S, C>, name: &PackageName) -> Content {
        let (advance, signed, main) = (self.round.advance, self.round.signed, self.round.main);
        if main.packages.contains_key(name) {
            return package::read(advance, (signed, main), reader, name, |release, digest| {
                self.are_approved(name, release, digest)
            });
        }
        let Some(unit) = unit(&signed.survey, name) else {
            return Content::unchanged(reader.absent(name));
        };
        let projections = &signed.head.root().projections;
        let same = *projections == self.root().projections;
        let known = same
            .then(|| self.round.before().package(unit, reader))
            .flatten();
        let found = known.unwrap_or_else(|| reader.package(unit));
        Content::unchanged(found.unwrap_or_else(|_| reader.absent(name)))
    }

    /// The newest that fits: what the main line has, a mixture of that and what was verified, or the
    /// latter.
    fn choose(
        &self,
        reader: &Reader<'_, S, C>,
        name: &PackageName,
        content: &Content,
    ) -> Option<Package> {
        if !self.is_frozen(name) {
            if self.wrong_with(&content.main).is_empty() {
                return Some(content.main.clone());
            }
            let subject = Subject::Releases(name.clone());
            let found = self.compositions(reader, content).into_iter();
            let mut fitting = found.filter(|package| self.is_approved(&subject, &package.digests));
            let composed = fitting.find(|package| self.wrong_with(package).is_empty());
            if composed.is_some() {
                return composed;
            }
        }
        let is_crowded = self.is_crowded(name) && !self.was_signed(name);
        let absent = is_crowded.then(|| reader.absent(name));
        let signed = absent.as_ref().unwrap_or(&content.signed);
        self.wrong_with(signed).is_empty().then(|| signed.clone())
    }

    fn is_frozen(&self, name: &PackageName) -> bool {
        let left = self.round.left;
        left.packages.contains(name) || self.is_crowded(name)
    }

    /// Whether something that has more right to it stands where a package would.
    fn is_crowded(&self, name: &PackageName) -> bool {
        let crowded = &self.round.left.crowded;
        crowded.contains_key(&Unit::Package(name.clone()))
    }

    /// The packages that can be made of both and that somebody vouched for.
    fn compositions(&self, reader: &Reader<'_, S, C>, content: &Content) -> Vec<Package> {
        let name = &content.main.name;
        let index = self.state.index().named(name.as_str());
        let votes = index.of(&Subject::Releases(name.clone()));
        let wanted = votes.iter().map(|vote| vote.digest).collect();
        let is_whole = |vouch: &&Vouch| matches!(vouch.subject, Subject::Releases(_));
        let together = index.together().filter(|said| said.iter().any(is_whole));
        let release = |vouch: &Vouch| match &vouch.subject {
            Subject::Checksums(_, release) => Some(release.clone()),
            _ => None,
        };
        let together: Vec<BTreeSet<ReleaseName>> = together
            .map(|said| said.into_iter().filter_map(release).collect())
            .collect();
        let search = Search {
            reader,
            content,
            wanted: &wanted,
            together: &together,
        };
        search.run(|release, digest| self.are_approved(name, release, digest))
    }

    /// Whether these are the approved files of a release.
    fn are_approved(&self, name: &PackageName, release: &ReleaseName, digest: Digest) -> bool {
        let subject = Subject::Checksums(name.clone(), release.clone());
        self.is_approved(&subject, &[digest])
    }

    fn is_approved(&self, subject: &Subject, digests: &[Digest]) -> bool {
        let rule = self.state.rule(subject);
        let votes = self.state.votes(subject);
        let standing = rule.assess(&votes, digests).standing;
        matches!(standing, crate::state::approval::Standing::Approved(_))
    }

    /// What would be wrong with a package like this.
    pub(super) fn wrong_with(&self, package: &Package) -> Vec<Problem> {
        let (place, mut judge) = self.judge(package);
        let has_to_be_signed = || self.is_complete() || self.was_signed(&package.name);
        if !judge.unsigned.is_empty() && has_to_be_signed() {
            let unsigned: Vec<Problem> = judge.unsigned_problems().collect();
            judge.problems.extend(unsigned);
        }
        judge.problems.retain(|problem| !problem.code.is_note());
        if judge.problems.is_empty() {
            judge.problems = self.falls(package, &place);
        }
        judge.problems
    }

    /// Whether a package has releases, and anything of it is approved.
    pub(super) fn is_signed(&self, package: &Package) -> bool {
        !package.releases.is_empty() && self.judge(package).1.unsigned.is_empty()
    }

    /// Judges a package, at the place that its problems name.
    fn judge(&self, package: &Package) -> (Path, Judge<'_, C>) {
        let state = self.state;
        let mut judge = state.judge(self.round.advance.crypto);
        let unit = self.round.main.unit(self.round.signed, &package.name);
        let place = unit.directories.first().cloned();
        let place = place.unwrap_or_else(|| {
            let release = package.releases.first();
            release.map_or_else(Path::top, |release| release.directory.clone())
        });
        judge.package(package, &place, state.ownership(), state.people());
        (place, judge)
    }

    /// The statements of a package whose version would fall: an owner or a key that comes or goes may
    /// leave something older as the newest.
    fn falls(&self, package: &Package, place: &Path) -> Vec<Problem> {
        let (round, crypto) = (self.round, self.round.advance.crypto);
        let same_head = self.head.id() == round.signed.head.id();
        let taken = self.taken;
        let same_people = taken.authors.is_empty() && taken.teams.is_empty();
        let name = &package.name;
        if same_head && same_people && !taken.authorisations.contains(name) {
            return Vec::new();
        }
        let ownership = self.state.ownership();
        // What only keys that are revoked now had brought sets no floor.
        let floor = |subject: &Subject| {
            let before = &round.signed.state;
            before.newest_by(self.floors, subject, crypto)
        };
        let falls = |subject: &Subject| {
            let Some(floor) = floor(subject) else {
                return false;
            };
            let newest = self.state.newest(subject, crypto);
            !ownership.voids(name, floor.version)
                && newest.is_none_or(|newest| !newest.reaches(floor.version, floor.digest))
        };
        // What is not there cannot be old, unless it was approved that it is not there.
        let projections = self.known.projections();
        let reader = self.reader(&projections);
        let is_kept = |subject: &Subject| match subject {
            Subject::Checksums(_, release) if package::find(package, release).is_none() => {
                let absence = reader.absent_release(name, release);
                floor(subject).is_some_and(|floor| floor.digest == absence)
            }
            Subject::Releases(_) | Subject::Checksums(..) => true,
            _ => false,
        };
        let said = self.floors.named(name.as_str()).subjects();
        let subjects = said.filter(|it| it.package() == Some(name) && is_kept(it));
        let is_retired = ownership.is_retired(name);
        subjects
            .filter(|subject| !is_retired && falls(subject))
            .map(|subject| {
                let detail = "a greater version was approved before, by who cannot approve it then";
                Problem::new(Code::Rollback, place, detail).about(subject)
            })
            .collect()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.root().complete || self.round.advance.mode == Mode::Enforce
    }

    /// Whether anything of a package was approved.
    pub(super) fn was_signed(&self, name: &PackageName) -> bool {
        let (before, crypto) = (&self.round.signed.state, self.round.advance.crypto);
        let is_of = |subject: &&Subject| subject.package() == Some(name);
        let said = before.index().named(name.as_str()).subjects();
        let mut said = said.filter(is_of);
        said.any(|subject| before.newest(subject, crypto).is_some())
    }

    /// Leaves out pages that approve what cannot be had of a package; false where there is none.
    fn blame_pages(
        &self,
        blame: &Blame<'_>,
        reader: &Reader<'_, S, C>,
        (name, content): (&PackageName, &Content),
        remedy: &mut Remedy,
    ) -> bool {
        let found = remedy.pages.len();
        let (releases, checksums) = self.state.ownership().rules(self.root(), name);
        let said = self.state.index().named(name.as_str());
        let of = |subject: &Subject| match subject {
            Subject::Checksums(_, release) => Some(release.clone()),
            _ => None,
        };
        let speaks = said.subjects().filter_map(|it| Some((it, of(it)?)));
        let speaks: Vec<_> = speaks.collect();
        let there = content.releases();
        let there = |release| there.contains(release);
        let signed = |release| content.signed_checksums(release);
        let earlier = OnceCell::new();
        let was = |digest: Digest| {
            let digests = earlier.get_or_init(|| self.earlier(reader, name));
            digests.contains(&digest)
        };
        // Files that are nowhere.
        for (subject, release) in speaks.iter().filter(|(_, release)| there(release)) {
            let digests = if self.is_frozen(name) {
                signed(release)
            } else {
                content.checksums(reader, release)
            };
            blame.ahead(
                &checksums,
                (subject, said.of(subject)),
                (&digests, &was),
                remedy,
            );
        }
        // Releases in neither tree, of which one version says that they are gone and that they have files.
        for (subject, release) in speaks.iter().filter(|(_, release)| !there(release)) {
            let (votes, absence) = (said.of(subject), reader.absent_release(name, release));
            if is_contradicted(&checksums, &votes, absence) {
                let gone = [alloc::vec![absence]];
                blame.ahead(&checksums, (subject, votes), (&gone, &was), remedy);
            }
        }
        if remedy.pages.len() > found {
            return true;
        }
        // Releases that cannot be put together.
        let subject = Subject::Releases(name.clone());
        let possible: Vec<Vec<Digest>> = if self.is_frozen(name) {
            alloc::vec![content.signed.digests.clone()]
        } else {
            let found = self.compositions(reader, content);
            found.into_iter().map(|it| it.digests).collect()
        };
        blame.ahead(
            &releases,
            (&subject, said.of(&subject)),
            (&possible, &was),
            remedy,
        );
        if remedy.pages.len() > found {
            return true;
        }
        // Files whose source nobody approved.
        for (subject, release) in speaks.iter().filter(|(_, release)| there(release)) {
            if content.differs_in_source(release) {
                let digests = signed(release);
                blame.ahead(
                    &checksums,
                    (subject, said.of(subject)),
                    (&digests, &was),
                    remedy,
                );
            }
        }
        if remedy.pages.len() > found {
            return true;
        }
        // A claim without content that its owners approve.
        if self.taken.authorisations.contains(name) {
            let subject = Subject::Authorisation(name.clone());
            self.as_before(blame, &subject, remedy);
        }
        remedy.pages.len() > found
    }

    /// The digests of what a package was on the main line before.
    fn earlier(&self, reader: &Reader<'_, S, C>, name: &PackageName) -> BTreeSet<Digest> {
        let unit = self.round.main.unit(self.round.signed, name);
        let mut digests = BTreeSet::new();
        self.round.advance.earlier.each(&mut |store| {
            let is_there = |directory: &Path| matches!(store.kind(directory), Ok(Some(_)));
            let mut unit = unit.clone();
            unit.directories.retain(is_there);
            let reader = Reader {
                store,
                digests: reader.digests,
                origin: reader.origin,
                layout: reader.layout,
                projections: reader.projections,
            };
            if let Ok(package) = reader.package(&unit) {
                digests.extend(package.digests);
                digests.extend(package.releases.iter().map(|release| release.digest));
            }
            true
        });
        digests
    }

    /// The people whom the approvals of a package rest on.
    fn people_of(&self, name: &PackageName) -> BTreeSet<Id> {
        let signed = self.round.signed.state.metadata();
        let claims = [
            signed.authorisations.get(name),
            self.state.metadata().authorisations.get(name),
        ];
        let claims = claims.into_iter().flatten();
        let mut people: BTreeSet<Id> = claims.flat_map(|claim| claim.owners.clone()).collect();
        let teams = signed
            .teams
            .values()
            .chain(self.state.metadata().teams.values());
        let teams = teams.filter(|team| people.contains(&team.id));
        let members: Vec<Id> = teams.flat_map(|team| team.members.clone()).collect();
        people.extend(members);
        let main = self.round.main;
        let speaks = |page: &&StoredPage| {
            let mut said = main.said_of(self.round.signed, page, name.as_str());
            said.any(|vouch| vouch.subject.package() == Some(name))
        };
        let pages = signed.pages.iter().filter(speaks);
        people.extend(pages.map(|page| page.page.body().signer().clone()));
        people
    }
}

/// Whether a page that speaks of a package waits already.
fn is_helped(blame: &Blame<'_>, name: &PackageName, remedy: &Remedy) -> bool {
    let mut speaking = blame.speaking(name.as_str(), |subject| subject.package() == Some(name));
    speaking.any(|page| remedy.pages.contains_key(&page.place))
}

/// Whether the greatest approved version says both that something is gone and something else.
fn is_contradicted(rule: &Rule, votes: &[Vote], absence: Digest) -> bool {
    let approved = rule.approved(votes);
    let newest = approved.first().map(|newest| newest.version);
    let newest = approved.iter().filter(|it| Some(it.version) == newest);
    let (gone, other): (Vec<_>, Vec<_>) = newest.partition(|it| it.digest == absence);
    !gone.is_empty() && !other.is_empty()
}

/// The stored statement that a problem is of.
fn stated(problem: &Problem) -> Option<Subject> {
    if let Some(subject) = &problem.subject {
        return Some(subject.clone());
    }
    let path = Path::parse(&problem.place).ok()?;
    let name = path.file_name().strip_suffix(".toml")?;
    let components: Vec<&str> = path.components().collect();
    match components.as_slice() {
        ["conex", "authors", _] => Some(Subject::Author(Id::parse(name).ok()?)),
        ["conex", "teams", _] => Some(Subject::Team(Id::parse(name).ok()?)),
        ["conex", "packages", _] => Some(Subject::Authorisation(PackageName::parse(name).ok()?)),
        _ => None,
    }
}
