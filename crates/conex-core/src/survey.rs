//! Accounting for every path at the top of a tree (spec section 8).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::content::collisions;
use crate::layout::{Layout, PackageUnit, Place};
use crate::limits;
use crate::metadata;
use crate::path::{Path, Pattern};
use crate::problem::{Code, Problem};
use crate::statement::Root;
use crate::store::{Entry, EntryKind, Store, StoreError};

/// What stands at the top of a tree, all of it accounted for or a problem.
#[derive(Debug, Default)]
pub struct Survey {
    /// Packages, sorted by name.
    pub packages: Vec<PackageUnit>,
    /// Repository files.
    pub repository: Vec<Path>,
    /// What is not accounted for, or not as it has to be.
    pub problems: Vec<Problem>,
}

/// Accounts for every top-level entry: `conex/`, packages, repository files, what the root ignores.
pub fn survey<S: Store + ?Sized>(store: &S, layout: &dyn Layout, root: &Root) -> Survey {
    let mut survey = Survey::default();
    let entries = match store.list(&Path::top()) {
        Ok(entries) => entries,
        Err(error) => {
            survey
                .problems
                .push(Problem::unreadable(&Path::top(), &error));
            return survey;
        }
    };
    // Where case is ignored, `Conex` is `conex`, and `REPO` is what clients read as `repo`.
    let places: Vec<Path> = entries
        .iter()
        .filter_map(|entry| Path::top().join(&entry.name).ok())
        .collect();
    survey.problems.extend(collisions(
        places.iter().map(|place| (place.as_str(), place)),
    ));
    for entry in entries {
        if entry.name == metadata::DIRECTORY && entry.kind == EntryKind::Directory {
            continue;
        }
        let place = match Path::top().join(&entry.name) {
            Ok(place) => place,
            Err(error) => {
                survey
                    .problems
                    .push(Problem::new(Code::BadName, &entry.name, error));
                continue;
            }
        };
        let is_ignored = match entry.kind {
            EntryKind::Directory => root.ignore.iter().any(|pattern| pattern.covers(&place)),
            _ => root.ignore.iter().any(|pattern| pattern.matches(&place)),
        };
        match (
            layout.place(&entry.name, entry.kind, is_ignored),
            entry.kind,
        ) {
            (_, EntryKind::Special(kind)) => {
                survey.problems.push(Problem::new(
                    Code::SpecialFile,
                    &place,
                    format!("is a {kind}"),
                ));
            }
            (Place::Packages, _) => {
                let (packages, problems) = layout.packages(&store, &place);
                survey.packages.extend(packages);
                survey.problems.extend(problems);
            }
            (Place::Repository, _) => survey.repository.push(place),
            (Place::Other, _) => {
                match_patterns(store, &entry, &place, root, 0, &mut survey.problems);
            }
        }
    }
    // Packages at the top itself have been compared with everything else there.
    let deeper = |place: &&Path| place.components().nth(1).is_some();
    survey.packages.sort_by(|a, b| a.name.cmp(&b.name));
    survey
        .problems
        .extend(collisions(survey.packages.iter().filter_map(|unit| {
            Some((unit.name.as_str(), unit.directories.first().filter(deeper)?))
        })));
    survey
}

/// Why nothing that `pattern` names can be ignored in a layout; `None` where something may be.
///
/// A pattern with a star in its first name is never without effect: there are other names.
pub fn cannot_ignore(layout: &dyn Layout, pattern: &Pattern) -> Option<String> {
    let text = pattern.as_str();
    let (first, kind) = match text.split_once('/') {
        Some((first, _)) => (first, EntryKind::Directory),
        None => (text, EntryKind::File),
    };
    if first == metadata::DIRECTORY {
        return Some(format!("{first}/ is what all verification rests on"));
    }
    match (layout.place(first, kind, true), kind) {
        (Place::Other, _) => None,
        (Place::Packages, _) => Some(format!(
            "packages stand in {first}/, and all that stands there is theirs"
        )),
        (Place::Repository, _) => Some(format!("clients read the file {first}")),
    }
}

/// Reports what no pattern matches. What a pattern covers whole is not looked into.
fn match_patterns<S: Store + ?Sized>(
    store: &S,
    entry: &Entry,
    place: &Path,
    root: &Root,
    depth: usize,
    problems: &mut Vec<Problem>,
) {
    let is_ignored = match entry.kind {
        EntryKind::Directory => root.ignore.iter().any(|pattern| pattern.covers(place)),
        EntryKind::File => root.ignore.iter().any(|pattern| pattern.matches(place)),
        EntryKind::Special(_) => false,
    };
    if is_ignored {
        return;
    }
    let below = match entry.kind {
        EntryKind::Special(kind) => {
            problems.push(Problem::new(
                Code::SpecialFile,
                place,
                format!("is a {kind}"),
            ));
            return;
        }
        EntryKind::File => {
            problems.push(Problem::new(
                Code::Unaccounted,
                place,
                "nothing accounts for this file",
            ));
            return;
        }
        EntryKind::Directory if depth >= limits::DEPTH => Err(StoreError::TooMany),
        EntryKind::Directory => store.list(place),
    };
    match below {
        Ok(entries) => {
            for entry in entries {
                match place.join(&entry.name) {
                    Ok(place) => match_patterns(store, &entry, &place, root, depth + 1, problems),
                    Err(error) => {
                        let shown = format!("{place}/{}", entry.name);
                        problems.push(Problem::new(Code::BadName, shown, error));
                    }
                }
            }
        }
        Err(error) => problems.push(Problem::unreadable(place, &error)),
    }
}
