//! What a state is made of, file by file, and what it leaves out.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::digest::Digest;
use crate::model::limits;
use crate::model::name::PackageName;
use crate::model::page::BatchRef;
use crate::model::path::Path;
use crate::model::stored::Stored as _;
use crate::model::version::Version;
use crate::model::vouch::Subject;
use crate::state::approval::{Standing as Stands, Vote};
use crate::state::people::{Judged, Voter};
use crate::tree::content::Reader;
use crate::tree::inventory::{ClientReleases, Named};
use crate::tree::metadata::{ATTRIBUTES, StoredPage, place};
use crate::tree::problem::{Code, Problem};
use crate::tree::store::{EntryKind, Store, Workers};

use super::blame::Remedy;
use super::court::{Choice, Court};
use super::main_line::{MainLine, is_ignored};
use super::round::{Built, Left, rule_of_stored};
use super::waiting::{Unit, Waiting};
use super::{Files, Signed};

/// Everything that was chosen.
pub(super) struct Outcome<'c, 'r, 'a, S: ?Sized, M: ?Sized, C, W> {
    pub(super) court: &'c Court<'r, 'a, S, M, C, W>,
    pub(super) packages: BTreeMap<PackageName, Choice>,
    /// Whether the repository files are those of the main line.
    pub(super) repository: bool,
    /// The new pages that wait, by the names that they speak of.
    pub(super) left: BTreeMap<&'c str, Vec<&'c StoredPage>>,
}

impl<S, M, C, W> Outcome<'_, '_, '_, S, M, C, W>
where
    S: Store + ?Sized,
    M: Store + ?Sized,
    C: Crypto,
    W: Workers,
{
    /// Puts it together, or says what there is no room for.
    pub(super) fn build(&self) -> Result<Built, Remedy> {
        let mut files = Files::new();
        let mut waiting = self.court.round.main.waiting.clone();
        self.roots(&mut files, &mut waiting);
        self.statements(&mut files, &mut waiting);
        self.pages(&mut files, &mut waiting);
        self.packages(&mut files, &mut waiting);
        self.repository(&mut files, &mut waiting);
        self.others(&mut files, &mut waiting);
        let crowded = self.crowded(&files);
        if !crowded.is_empty() {
            return Err(Remedy {
                crowded,
                ..Remedy::default()
            });
        }
        let taken = self.taken(&files);
        Ok(Built {
            files,
            taken,
            waiting,
        })
    }

    /// What the files are of.
    fn taken(&self, files: &Files) -> BTreeSet<Unit> {
        let round = self.court.round;
        let mut taken: BTreeSet<Unit> = BTreeSet::new();
        let authors = self.court.taken.authors.iter().cloned();
        taken.extend(authors.map(Unit::Author));
        taken.extend(self.court.taken.teams.iter().cloned().map(Unit::Team));
        let claims = self.court.taken.authorisations.iter().cloned();
        taken.extend(claims.map(Unit::Package));
        let has = |paths: &Vec<Path>| paths.iter().any(|path| files.contains_key(path));
        let packages = round.main.packages.iter();
        let packages = packages.filter(|(_, paths)| has(paths));
        taken.extend(packages.map(|(name, _)| Unit::Package(name.clone())));
        let pages = round.main.pages.iter().map(|page| &page.place);
        let pages = pages.filter(|place| files.contains_key(*place));
        taken.extend(pages.cloned().map(Unit::Page));
        let others = round.main.others.iter();
        let others = others.filter(|path| files.contains_key(*path));
        taken.extend(others.cloned().map(Unit::Path));
        if self.repository {
            taken.insert(Unit::Repository);
        }
        let is_root = |path: &Path| path.as_str().starts_with("conex/root/");
        if files.keys().any(is_root) {
            taken.insert(Unit::Root);
        }
        taken
    }

    /// New roots, and new signatures of all that are taken.
    fn roots(&self, files: &mut Files, waiting: &mut Vec<Waiting>) {
        let round = self.court.round;
        let head = self.court.head.root().number;
        let chain = round.main.roots.iter();
        for stored in chain.filter(|stored| stored.root.number <= head) {
            let root = &stored.root;
            let known = round.signed.roots.iter();
            let known = known.into_iter().find(|it| it.root.number == root.number);
            if known.is_none() {
                files.insert(place::root(root.number), Some(root.to_text().into_bytes()));
            }
            let known = known.map(|it| it.signatures.as_slice()).unwrap_or_default();
            for signature in stored.signatures.iter().filter(|it| !known.contains(it)) {
                let place = place::root_signature(root.number, signature);
                files.insert(place, Some(signature.to_text().into_bytes()));
            }
        }
        if round.left.roots > 0 {
            let number = round.main.heads.last().map(|head| head.root().number);
            let detail = "what clients have would lose its approval by it";
            waiting.extend(number.map(|number| {
                let problem = Problem::new(Code::NotApproved, place::root(number), detail);
                let mut waiting = Waiting::new(Unit::Root, problem);
                waiting.problems.extend(round.left.held.iter().cloned());
                waiting
            }));
        }
    }

    /// Authors, teams and authorisations.
    fn statements(&self, files: &mut Files, waiting: &mut Vec<Waiting>) {
        let (main, taken) = (self.court.round.main, self.court.taken);
        for (id, author) in &main.authors {
            let Some(author) = author else { continue };
            if taken.authors.contains(id) {
                files.insert(place::author(id), Some(author.to_text().into_bytes()));
            } else {
                let (unit, subject) = (Unit::Author(id.clone()), Subject::Author(id.clone()));
                waiting.extend(self.unapproved(unit, &subject, place::author(id), 0));
            }
        }
        for (id, team) in &main.teams {
            let Some(team) = team else { continue };
            if taken.teams.contains(id) {
                files.insert(place::team(id), Some(team.to_text().into_bytes()));
            } else {
                let (unit, subject) = (Unit::Team(id.clone()), Subject::Team(id.clone()));
                waiting.extend(self.unapproved(unit, &subject, place::team(id), 0));
            }
        }
        for (name, claim) in &main.authorisations {
            let Some(claim) = claim else { continue };
            let place = place::authorisation(name);
            if taken.authorisations.contains(name) {
                files.insert(place, Some(claim.to_text().into_bytes()));
            } else {
                let subject = Subject::Authorisation(name.clone());
                let unit = Unit::Package(name.clone());
                waiting.extend(self.unapproved(unit, &subject, place, claim.epoch));
            }
        }
        if let Some(there) = main.attributes {
            let (path, text) = ATTRIBUTES;
            let path = Path::parse(path).unwrap_or_default();
            files.insert(path, there.then(|| text.as_bytes().to_vec()));
        }
    }

    /// Why a stored statement of the main line waits, and for whom.
    fn unapproved(
        &self,
        unit: Unit,
        subject: &Subject,
        place: Path,
        epoch: u32,
    ) -> Option<Waiting> {
        let (court, round) = (self.court, self.court.round);
        let (digest, _) = round.stored(court.root(), subject, true)?;
        let rule = rule_of_stored(court.root(), subject, epoch);
        let votes = court.state.votes(subject);
        let assessment = rule.assess(&votes, &[digest]);
        let (code, detail) = match &assessment.standing {
            Stands::Approved(_) => (Code::NotApproved, "waits for what it goes with"),
            Stands::Behind { .. } => (Code::Behind, "something newer was approved"),
            Stands::Differs { .. } => (Code::ContentDiffers, "this is not what was approved"),
            Stands::Equivocal { .. } => (Code::Equivocation, "two contents are approved"),
            Stands::Pending => (Code::NotApproved, "nothing of it is approved yet"),
        };
        let missing = rule.missing(&assessment.vouched, court.state.people());
        let problem = Problem::new(code, place, detail);
        Some(Waiting {
            unit,
            problems: alloc::vec![problem.about(subject).mended_by(missing)],
            pages: self.left_pages(subject.name(), |other| other == subject),
        })
    }

    /// Pages that came and went, with the batches that they name.
    fn pages(&self, files: &mut Files, waiting: &mut Vec<Waiting>) {
        let (court, round) = (self.court, self.court.round);
        let (signed, main) = (round.signed.state.metadata(), round.main);
        let kept: BTreeSet<&Path> = court
            .state
            .metadata()
            .pages
            .iter()
            .map(|it| &it.place)
            .collect();
        for page in main.forged.keys().filter(|page| !kept.contains(page)) {
            files.insert(page.clone(), None);
        }
        let superseded = self.superseded();
        for page in &superseded {
            files.insert((*page).clone(), None);
        }
        // What the root demands comes with it.
        let floor = court.head.root().floor.iter();
        let mut batches: BTreeSet<Digest> = floor.map(BatchRef::digest).collect();
        let counted = court.state.metadata().pages.iter().zip(court.state.pages());
        for (page, judged) in counted {
            let reason = match judged {
                Judged::Inert(reason) if round.is_new(page) => reason,
                _ => {
                    if round.is_new(page) {
                        let text: String = page.page.to_text();
                        files.insert(page.place.clone(), Some(text.into_bytes()));
                    }
                    if !superseded.contains(&page.place) {
                        let named = page.page.body().batches().iter();
                        batches.extend(named.map(BatchRef::digest));
                    }
                    continue;
                }
            };
            waiting.push(Waiting::new(
                Unit::Page(page.place.clone()),
                Problem::new(Code::InertPage, &page.place, reason),
            ));
        }
        for digest in &batches {
            let new = main.batches.get(digest);
            let new = new.filter(|_| !signed.batches.contains_key(digest));
            if let Some(batch) = new {
                let text = batch.to_text().into_bytes();
                files.insert(place::batch(*digest), Some(text));
            }
        }
        for digest in main.batches_gone.difference(&batches) {
            if signed.batches.contains_key(digest) {
                files.insert(place::batch(*digest), None);
            }
        }
        for (page, reason) in &round.left.pages {
            waiting.push(Waiting::new(Unit::Page(page.clone()), reason.clone()));
        }
        let is_left = |page: &&Path| !kept.contains(page) && !round.left.pages.contains_key(*page);
        for page in main.barred.iter().filter(is_left) {
            let detail =
                "its key is revoked on the main line, and nothing approved accepts the page";
            let problem = Problem::new(Code::InertPage, page, detail);
            waiting.push(Waiting::new(Unit::Page(page.clone()), problem));
        }
        for page in main.pages_gone.iter().filter(|it| !superseded.contains(it)) {
            let detail = "is not on the main line any more, and stays: something rests on it";
            let problem = Problem::new(Code::Vanished, page, detail);
            waiting.push(Waiting::new(Unit::Page(page.clone()), problem));
        }
    }

    /// The pages of the verified state that are gone from the main line, and without which no
    /// statement loses its approval or its version.
    fn superseded(&self) -> BTreeSet<&Path> {
        let court = self.court;
        let main = court.round.main;
        let mut kept: BTreeMap<&Subject, Kept> = BTreeMap::new();
        let mut superseded = BTreeSet::new();
        let counted = court.state.metadata().pages.iter().zip(court.state.pages());
        for (page, judged) in counted.filter(|(page, _)| main.pages_gone.contains(&page.place)) {
            if let Judged::Counts(voter) = judged {
                let votes = self.votes(page, *voter);
                let is_needed = votes.iter().any(|(subject, votes)| {
                    let kept = kept.entry(subject).or_insert_with(|| self.kept(subject));
                    !self.stands_without(subject, kept, votes)
                });
                if is_needed {
                    continue;
                }
                for (subject, votes) in votes {
                    if let Some(kept) = kept.get_mut(subject) {
                        kept.take_back(&votes);
                    }
                }
            }
            superseded.insert(&page.place);
        }
        superseded
    }

    /// The newest of a statement, with the votes for its version.
    fn kept(&self, subject: &Subject) -> Kept {
        let votes = self.court.state.votes(subject);
        let newest = self.newest(subject, &votes);
        let version = newest.map(|(version, _)| version);
        let mut times: BTreeMap<Vote, usize> = BTreeMap::new();
        for vote in votes.iter().filter(|vote| Some(vote.version) == version) {
            *times.entry(*vote).or_default() += 1;
        }
        Kept {
            newest,
            votes: times,
        }
    }

    /// Whether the newest of a statement is the same without some votes of one page. Votes for other versions
    /// than the newest never changed it: taken back, a vote approves nothing.
    fn stands_without(&self, subject: &Subject, kept: &Kept, votes: &[Vote]) -> bool {
        let mut rest = kept.clone();
        rest.take_back(votes);
        if rest.votes.len() == kept.votes.len() {
            return true;
        }
        let rest: Vec<Vote> = rest.votes.into_keys().collect();
        kept.newest == self.newest(subject, &rest)
    }

    /// What a page says, as votes.
    fn votes<'m>(&'m self, page: &'m StoredPage, by: Voter) -> BTreeMap<&'m Subject, Vec<Vote>> {
        let round = self.court.round;
        let mut votes: BTreeMap<&Subject, Vec<Vote>> = BTreeMap::new();
        for vouch in round.main.said(round.signed, page) {
            votes.entry(&vouch.subject).or_default().push(Vote {
                version: vouch.version,
                digest: vouch.digest,
                voter: by,
            });
        }
        votes
    }

    /// The newest of a statement by some votes.
    fn newest(&self, subject: &Subject, votes: &[Vote]) -> Option<(Version, Digest)> {
        let court = self.court;
        let crypto = court.round.advance.crypto;
        let newest = court.state.newest_of(votes, subject, crypto);
        newest.map(|newest| (newest.version, newest.digest))
    }

    fn packages(&self, files: &mut Files, waiting: &mut Vec<Waiting>) {
        let round = self.court.round;
        for (name, choice) in &self.packages {
            let unit = Unit::Package(name.clone());
            let crowded = round.left.crowded.get(&unit);
            if !round.main.packages.contains_key(name) && crowded.is_none() {
                continue;
            }
            let Choice { content, chosen } = choice;
            match content.files(chosen, round.advance.main) {
                Ok(found) => files.extend(found),
                Err(problem) => waiting.push(Waiting::new(unit.clone(), problem)),
            }
            if !content.is_main(chosen) {
                let mut problems: Vec<Problem> = crowded.cloned().into_iter().collect();
                problems.extend(content.unreadable.iter().cloned());
                problems.extend(self.court.wrong_with(&content.main));
                waiting.push(Waiting {
                    unit,
                    problems,
                    pages: self
                        .left_pages(name.as_str(), |subject| subject.package() == Some(name)),
                });
            }
        }
    }

    fn repository(&self, files: &mut Files, waiting: &mut Vec<Waiting>) {
        let round = self.court.round;
        let (signed, main) = (&round.signed.survey, &round.main.survey);
        if !round.main.repository {
            return;
        }
        if self.repository {
            for path in &main.repository {
                let mut buffer = Vec::new();
                let read = round
                    .advance
                    .main
                    .read(path, limits::DATA_FILE, &mut buffer);
                if read.is_ok() && round.advance.changed.contains(path) {
                    files.insert(path.clone(), Some(buffer));
                }
            }
            let gone = signed.repository.iter();
            for path in gone.filter(|path| !main.repository.contains(path)) {
                files.insert(path.clone(), None);
            }
            return;
        }
        let projections = self.court.known.projections();
        let reader = Reader {
            store: round.advance.main,
            digests: round.advance.crypto,
            origin: &self.court.root().origin,
            layout: self.court.known.layout(),
            projections: &projections,
        };
        let problems = match reader.repository(&main.repository) {
            Ok(repository) => self.court.wrong_with_repository(&repository),
            Err(problems) => problems,
        };
        let crowded = round.left.crowded.get(&Unit::Repository);
        waiting.push(Waiting {
            unit: Unit::Repository,
            problems: crowded.cloned().into_iter().chain(problems).collect(),
            pages: self.left_pages(Subject::Repository.name(), |subject| {
                *subject == Subject::Repository
            }),
        });
    }

    /// Files that nobody approves: those that clients ignore are those of the main line.
    fn others(&self, files: &mut Files, waiting: &mut Vec<Waiting>) {
        let round = self.court.round;
        let (before, after) = (round.advance.signed, round.advance.main);
        let lookalikes = self.lookalikes();
        for (named, problem) in &lookalikes {
            for file in files_below(before, &named.place) {
                if matches!(after.kind(&file), Ok(Some(_))) {
                    waiting.push(Waiting::new(Unit::Path(file.clone()), problem.clone()));
                }
                files.insert(file, None);
            }
        }
        for path in &round.main.others {
            let mut above = lookalikes.iter();
            if let Some((_, problem)) = above.find(|(it, _)| path.below(&it.place).is_some()) {
                if matches!(after.kind(path), Ok(Some(_))) {
                    waiting.push(Waiting::new(Unit::Path(path.clone()), problem.clone()));
                }
                continue;
            }
            let was_file = matches!(before.kind(path), Ok(Some(EntryKind::File)));
            if let Some(problem) = round.left.crowded.get(&Unit::Path(path.clone())) {
                waiting.push(Waiting::new(Unit::Path(path.clone()), problem.clone()));
                if was_file {
                    files.insert(path.clone(), None);
                }
                continue;
            }
            let is_left = round.left.paths.contains(path);
            let problem = match after.kind(path) {
                Ok(None) => {
                    if was_file && !is_left {
                        files.insert(path.clone(), None);
                    }
                    continue;
                }
                Ok(Some(EntryKind::File)) => {
                    let is_ignored = is_ignored(self.court.root(), self.court.known.layout(), path);
                    let mut buffer = Vec::new();
                    match after.read(path, limits::DATA_FILE, &mut buffer) {
                        Ok(()) if is_ignored && !is_left => {
                            files.insert(path.clone(), Some(buffer));
                            continue;
                        }
                        Ok(()) => {
                            let detail = "nothing accounts for this file";
                            Problem::new(Code::Unaccounted, path, detail)
                        }
                        Err(error) => Problem::unreadable(path, &error),
                    }
                }
                Ok(Some(EntryKind::Directory)) if was_file => {
                    files.insert(path.clone(), None);
                    continue;
                }
                Ok(Some(EntryKind::Directory)) => {
                    let detail = "something in it has a name that is not allowed";
                    Problem::new(Code::BadName, path, detail)
                }
                Ok(Some(EntryKind::Special(kind))) => {
                    Problem::new(Code::SpecialFile, path, alloc::format!("is a {kind}"))
                }
                Err(error) => Problem::unreadable(path, &error),
            };
            waiting.push(Waiting::new(Unit::Path(path.clone()), problem));
        }
        for (unit, problem) in &round.left.crowded {
            if let Unit::Path(path) = unit
                && !round.main.others.contains(path)
            {
                files.insert(path.clone(), None);
                waiting.push(Waiting::new(unit.clone(), problem.clone()));
            }
        }
    }

    /// What the client may take for a release of either tree: nobody has to wait for its sake.
    fn lookalikes(&self) -> Vec<(&Named, Problem)> {
        let round = self.court.round;
        let layout = self.court.known.layout();
        let (signed, main) = (&round.signed.survey, &round.main.survey);
        let named = signed.named.iter().chain(&main.named);
        let mut in_main = ClientReleases::new(round.advance.main, layout, &main.packages);
        let mut in_signed = ClientReleases::new(round.advance.signed, layout, &signed.packages);
        let mut problem = |named: &Named| {
            let found = named.problem(&mut in_main);
            found.or_else(|| named.problem(&mut in_signed))
        };
        named
            .filter_map(|named| Some((named, problem(named)?)))
            .collect()
    }

    /// The pages that wait and speak of something of a name.
    fn left_pages(&self, name: &str, of: impl Fn(&Subject) -> bool) -> Vec<Path> {
        let round = self.court.round;
        let left = self.left.get(name).into_iter().flatten();
        let speaking = left.filter(|page| {
            let mut said = round.main.said_of(round.signed, page, name);
            said.any(|vouch| of(&vouch.subject))
        });
        speaking.map(|page| page.place.clone()).collect()
    }
}

/// The new pages that wait, by the names that they speak of.
pub(super) fn left_by_name<'r>(
    (signed, main, left): (&'r Signed, &'r MainLine, &Left),
) -> BTreeMap<&'r str, Vec<&'r StoredPage>> {
    let mut by_name: BTreeMap<&str, Vec<&StoredPage>> = BTreeMap::new();
    let pages = main.pages.iter();
    for page in pages.filter(|page| left.pages.contains_key(&page.place)) {
        let names: BTreeSet<&str> = main.subjects(signed, page).map(Subject::name).collect();
        for name in names {
            by_name.entry(name).or_default().push(page);
        }
    }
    by_name
}

/// Every file below a directory that is known to be no deeper than others.
pub(super) fn files_below(store: &(impl Store + ?Sized), directory: &Path) -> Vec<Path> {
    let mut files = Vec::new();
    let mut waiting = alloc::vec![directory.clone()];
    while let Some(directory) = waiting.pop() {
        for entry in store.list(&directory).unwrap_or_default() {
            match (directory.join(&entry.name), entry.kind) {
                (Ok(path), EntryKind::Directory) => waiting.push(path),
                (Ok(path), _) => files.push(path),
                (Err(_), _) => {}
            }
        }
    }
    files
}

/// The newest of a statement, and how often each vote for its version is given.
#[derive(Debug, Clone)]
struct Kept {
    newest: Option<(Version, Digest)>,
    votes: BTreeMap<Vote, usize>,
}

impl Kept {
    fn take_back(&mut self, votes: &[Vote]) {
        for vote in votes {
            match self.votes.get_mut(vote) {
                Some(times) if *times > 1 => *times -= 1,
                Some(_) => {
                    self.votes.remove(vote);
                }
                None => {}
            }
        }
    }
}
