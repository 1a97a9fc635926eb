//! Two things that cannot stand in one tree: a file where the other has a directory, and names that
//! only case tells apart. One of them makes room, and no third one waits for that.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::model::crypto::Crypto;
use crate::model::name::PackageName;
use crate::model::path::Path;
use crate::tree::metadata;
use crate::tree::problem::{Code, Problem};
use crate::tree::store::{EntryKind, Store, Workers};

use super::Files;
use super::outcome::{Outcome, files_below};
use super::waiting::Unit;

/// What right something has to its place, the greatest first: what is approved and there already, what
/// is approved, what is there, and what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    Kept,
    Approved,
    There,
    Came,
}

/// Something that stands at a place, or would.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claimant {
    right: Right,
    place: String,
    /// What it consists of; nothing that ever makes room, if it is empty.
    units: BTreeSet<Unit>,
}

type Crowded = BTreeMap<Unit, Problem>;

impl<S, M, C, W> Outcome<'_, '_, '_, S, M, C, W>
where
    S: Store + ?Sized,
    M: Store + ?Sized,
    C: Crypto,
    W: Workers,
{
    /// What has to make room, with the reason, if the next state has these files.
    pub(super) fn crowded(&self, files: &Files) -> Crowded {
        let mut crowded = Crowded::new();
        let is_there = |bytes: &Option<Vec<u8>>| bytes.is_some();
        let new = files.iter().filter(|(_, bytes)| is_there(bytes));
        let new: Vec<&Path> = new.map(|(path, _)| path).collect();
        if new.is_empty() {
            return crowded;
        }
        let owners = self.owners();
        for path in &new {
            for other in self.in_the_way(files, path) {
                let pair = [*path, &other].map(|path| self.claimant(files, &owners, path));
                let detail = format!("{path} and {other} cannot both be there");
                yield_one(pair, Code::SpecialFile, &detail, &mut crowded);
            }
        }
        self.tops(files, &new, &owners, &mut crowded);
        self.packages_in_two_cases(&mut crowded);
        crowded
    }

    /// The files that a new file cannot stand beside: one where it needs a directory, and those below
    /// it.
    fn in_the_way(&self, files: &Files, path: &Path) -> Vec<Path> {
        let before = self.court.round.advance.signed;
        let is_file = |path: &Path| match files.get(path) {
            Some(bytes) => bytes.is_some(),
            None => matches!(before.kind(path), Ok(Some(EntryKind::File))),
        };
        let above = core::iter::successors(path.parent(), Path::parent);
        let above = above.take_while(|path| !path.as_str().is_empty());
        let mut found: Vec<Path> = above.filter(|path| is_file(path)).collect();
        if matches!(before.kind(path), Ok(Some(EntryKind::Directory))) {
            let below = files_below(before, path).into_iter();
            found.extend(below.filter(|path| is_file(path)));
        }
        found
    }

    /// The changed paths by what they are of.
    fn owners(&self) -> BTreeMap<&Path, &PackageName> {
        let packages = self.court.round.main.packages.iter();
        let paths = packages.flat_map(|(name, paths)| paths.iter().map(move |path| (path, name)));
        paths.collect()
    }

    /// What a file of the next state is of, and its right to be there.
    fn claimant(
        &self,
        files: &Files,
        owners: &BTreeMap<&Path, &PackageName>,
        path: &Path,
    ) -> Claimant {
        let is_new = files.contains_key(path);
        let (right, unit) = if path.components().next() == Some(metadata::DIRECTORY) {
            (Right::Kept, None)
        } else if let Some(name) = owners.get(path) {
            (self.right_of(name), Some(Unit::Package((*name).clone())))
        } else if self.is_repository_file(path) {
            let right = if is_new { Right::Approved } else { Right::Kept };
            (right, Some(Unit::Repository))
        } else {
            let right = if is_new { Right::Came } else { Right::There };
            (right, Some(Unit::Path(path.clone())))
        };
        Claimant {
            right,
            place: path.to_string(),
            units: unit.into_iter().collect(),
        }
    }

    fn is_repository_file(&self, path: &Path) -> bool {
        let round = self.court.round;
        let surveys = [&round.signed.survey, &round.main.survey];
        surveys
            .iter()
            .any(|survey| survey.repository.contains(path))
    }

    /// The right of a package to its name.
    fn right_of(&self, name: &PackageName) -> Right {
        let there = super::main_line::unit(&self.court.round.signed.survey, name).is_some();
        let is_signed = match self.packages.get(name) {
            Some(choice) => self.court.is_signed(&choice.chosen),
            None => self.court.was_signed(name),
        };
        match (is_signed, there) {
            (true, true) => Right::Kept,
            (true, false) => Right::Approved,
            (false, true) => Right::There,
            (false, false) => Right::Came,
        }
    }

    /// Entries at the top that only case tells apart.
    fn tops(
        &self,
        files: &Files,
        new: &[&Path],
        owners: &BTreeMap<&Path, &PackageName>,
        crowded: &mut Crowded,
    ) {
        let before = self.court.round.advance.signed;
        let entries = before.list(&Path::top()).unwrap_or_default();
        let is_gone =
            |name: &str| Path::parse(name).is_ok_and(|it| matches!(files.get(&it), Some(None)));
        let kept: BTreeMap<&str, EntryKind> = entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.kind))
            .filter(|(name, _)| !is_gone(name))
            .collect();
        let new_tops = new.iter().filter_map(|path| path.components().next());
        let names: BTreeSet<&str> = kept.keys().copied().chain(new_tops).collect();
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for name in &names {
            *count.entry(name.to_ascii_lowercase()).or_default() += 1;
        }
        let is_double = |name: &&str| count.get(&name.to_ascii_lowercase()) > Some(&1);
        let claimants = names.into_iter().filter(is_double).map(|name| {
            let below = new
                .iter()
                .filter(|path| path.components().next() == Some(name));
            let came = below.map(|path| self.claimant(files, owners, path));
            let kept = kept
                .get(name)
                .and_then(|kind| self.top(files, owners, name, *kind));
            let nothing = Claimant {
                right: Right::Came,
                place: name.into(),
                units: BTreeSet::new(),
            };
            came.chain(kept).fold(nothing, |mut top, other| {
                top.right = top.right.min(other.right);
                top.units.extend(other.units);
                top
            })
        });
        in_two_cases(claimants, crowded);
    }

    /// An entry at the top of the verified state.
    fn top(
        &self,
        files: &Files,
        owners: &BTreeMap<&Path, &PackageName>,
        name: &str,
        kind: EntryKind,
    ) -> Option<Claimant> {
        let place = Path::parse(name).ok()?;
        if kind == EntryKind::File {
            return Some(self.claimant(files, owners, &place));
        }
        let mut top = Claimant {
            right: Right::There,
            place: name.into(),
            units: BTreeSet::new(),
        };
        let mut packages = self.court.round.signed.survey.packages.iter();
        let holds = |directory: &Path| *directory == place || directory.below(&place).is_some();
        match packages.find(|unit| unit.directories.iter().any(holds)) {
            Some(unit) if unit.directories.contains(&place) => {
                top.right = self.right_of(&unit.name);
                top.units.insert(Unit::Package(unit.name.clone()));
            }
            Some(_) => top.right = Right::Kept,
            None if name == metadata::DIRECTORY => top.right = Right::Kept,
            None => {
                let files = files_below(self.court.round.advance.signed, &place);
                top.units.extend(files.into_iter().map(Unit::Path));
            }
        }
        Some(top)
    }

    /// Packages that only case tells apart.
    fn packages_in_two_cases(&self, crowded: &mut Crowded) {
        let mut names: BTreeSet<&PackageName> = BTreeSet::new();
        let signed = &self.court.round.signed.survey.packages;
        names.extend(signed.iter().map(|unit| &unit.name));
        let is_new = |name: &&PackageName| !names.contains(*name);
        let has_any = |name: &&PackageName| {
            let choice = self.packages.get(*name);
            choice.is_none_or(|choice| !choice.chosen.releases.is_empty())
        };
        let new: Vec<&PackageName> = self
            .packages
            .keys()
            .filter(is_new)
            .filter(has_any)
            .collect();
        if new.is_empty() {
            return;
        }
        names.retain(has_any);
        names.extend(new);
        let claimants = names.into_iter().map(|name| Claimant {
            right: self.right_of(name),
            place: name.to_string(),
            units: BTreeSet::from([Unit::Package(name.clone())]),
        });
        in_two_cases(claimants, crowded);
    }
}

/// Of claimants whose names only case tells apart, one stays.
fn in_two_cases(claimants: impl Iterator<Item = Claimant>, crowded: &mut Crowded) {
    let mut by_name: BTreeMap<String, Claimant> = BTreeMap::new();
    for claimant in claimants {
        let folded = claimant.place.to_ascii_lowercase();
        let Some(other) = by_name.remove(&folded) else {
            by_name.insert(folded, claimant);
            continue;
        };
        let detail = format!("{} and {} differ in case only", other.place, claimant.place);
        let stays = yield_one([other, claimant], Code::NameCollision, &detail, crowded);
        by_name.insert(folded, stays);
    }
}

/// Has one of two make room: the one that has less right, or comes later in the order of names. Gives
/// the other one.
fn yield_one(pair: [Claimant; 2], code: Code, detail: &str, crowded: &mut Crowded) -> Claimant {
    let [first, second] = pair;
    let (stays, goes) = if (first.right, &first.place) <= (second.right, &second.place) {
        (first, second)
    } else {
        (second, first)
    };
    let problem = Problem::new(code, &goes.place, detail);
    crowded.extend(goes.units.into_iter().map(|unit| (unit, problem.clone())));
    stays
}
