//! The contract of a layout, as far as one tree tells whether it is kept (spec section 10).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::iter::successors;

use super::{Layout, PackageUnit, ReleaseUnit};
use crate::model::path::Path;
use crate::tree::problem::{Code, Problem};
use crate::tree::store::Store;

/// Whether a path is a directory, or lies in it.
pub(crate) fn is_within(path: &Path, directory: &Path) -> bool {
    let Some(rest) = path.as_str().strip_prefix(directory.as_str()) else {
        return false;
    };
    directory.as_str().is_empty() || rest.is_empty() || rest.starts_with('/')
}

/// Reports units of one entry that have no directory, or one elsewhere (clause 1).
pub(crate) fn elsewhere(units: &[PackageUnit], entry: &Path) -> Vec<Problem> {
    let is_there = |unit: &&PackageUnit| {
        let mut directories = unit.directories.iter();
        !unit.directories.is_empty() && directories.all(|directory| is_within(directory, entry))
    };
    let problem = |unit: &PackageUnit| {
        let detail = format!("the layout finds {} here, and has it elsewhere", unit.name);
        Problem::new(Code::Unaccounted, entry, detail)
    };
    units
        .iter()
        .filter(|unit| !is_there(unit))
        .map(problem)
        .collect()
}

/// Reports units of one name, sorted by it, that do not stand beside each other below a top-level entry (clause 1).
/// Those that do are found with names that differ in case only.
pub(crate) fn twice(units: &[PackageUnit]) -> Vec<Problem> {
    let is_top = |unit: &PackageUnit| {
        let first = unit.directories.first();
        first.is_some_and(|first| first.components().nth(1).is_none())
    };
    let problem = |pair: &[PackageUnit]| match pair {
        [a, b] if a.name == b.name && (is_top(a) || is_top(b)) => {
            let detail = format!("{} stands also at another place", b.name);
            let place = b.directories.first()?;
            Some(Problem::new(Code::ShadowRelease, place, detail))
        }
        _ => None,
    };
    units.windows(2).filter_map(problem).collect()
}

/// Reports directories that two units have, one as the other has it or within it (clause 1).
pub(crate) fn shared(units: &[PackageUnit]) -> Vec<Problem> {
    let directories = units.iter().flat_map(|unit| {
        let directories = unit.directories.iter();
        directories.map(|directory| (directory, unit.name.as_str()))
    });
    nested(directories.collect(), |outer, inner| {
        format!(
            "this is a directory of {}, and {} is one of {}: each package has directories of its own",
            inner.1, outer.0, outer.1
        )
    })
}

/// Finds the releases of a package; none, if the layout finds some that are not its own (clause 2).
///
/// # Errors
/// Those of [`Layout::releases`], and every release or file that stands elsewhere.
pub(crate) fn releases(
    layout: &dyn Layout,
    store: &dyn Store,
    unit: &PackageUnit,
) -> Result<Vec<ReleaseUnit>, Vec<Problem>> {
    let found = layout.releases(store, unit)?;
    let mut problems = Vec::new();
    let homes: BTreeSet<&Path> = unit.directories.iter().collect();
    for release in &found {
        let mut above = successors(Some(release.directory.clone()), Path::parent);
        if !above.any(|directory| homes.contains(&directory)) {
            let detail = format!("this is in no directory of {}", unit.name);
            problems.push(Problem::new(Code::Unaccounted, &release.directory, detail));
        }
        if release.files.is_empty() {
            let detail = "the layout finds a release without files here";
            problems.push(Problem::new(Code::Unaccounted, &release.directory, detail));
        }
        let below =
            |file: &&Path| **file != release.directory && is_within(file, &release.directory);
        let outside = release.files.iter().filter(|file| !below(file));
        problems.extend(
            outside.map(|file| Problem::new(Code::Unaccounted, file, "stands outside its release")),
        );
    }
    let directories = found
        .iter()
        .map(|release| (&release.directory, release.name.as_str()));
    problems.extend(nested(directories.collect(), |outer, inner| {
        format!("{} stands in the directory of {}", inner.1, outer.1)
    }));
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

/// Reports releases whose directories the layout takes for something else by their paths (clause 7).
pub(crate) fn misread(
    layout: &dyn Layout,
    unit: &PackageUnit,
    releases: &[ReleaseUnit],
) -> Vec<Problem> {
    let wrong = |release: &&ReleaseUnit| {
        let read = layout.release_at(&release.directory);
        read.is_none_or(|(package, name)| (&package, &name) != (&unit.name, &release.name))
    };
    let problem = |release: &ReleaseUnit| {
        let detail = format!(
            "the layout finds {} of {} here, and reads something else from the path",
            release.name, unit.name
        );
        Problem::new(Code::Unaccounted, &release.directory, detail)
    };
    releases.iter().filter(wrong).map(problem).collect()
}

/// A problem for each directory that is another one, or lies in it.
fn nested<'d>(
    mut directories: Vec<(&'d Path, &'d str)>,
    detail: impl Fn((&Path, &str), (&Path, &str)) -> String,
) -> Vec<Problem> {
    if directories.len() < 2 {
        return Vec::new();
    }
    directories.sort_by(|a, b| by_component(a.0, b.0).then_with(|| a.1.cmp(b.1)));
    let mut problems = Vec::new();
    let mut outer: Option<(&Path, &str)> = None;
    for inner in directories {
        match outer {
            Some(outer) if is_within(inner.0, outer.0) => {
                problems.push(Problem::new(
                    Code::ShadowRelease,
                    inner.0,
                    detail(outer, inner),
                ));
            }
            _ => outer = Some(inner),
        }
    }
    problems
}

/// An order in which whatever is in a directory follows it at once: no name has a byte below a slash so read.
fn by_component(a: &Path, b: &Path) -> Ordering {
    let byte = |byte: u8| if byte == b'/' { 0 } else { byte };
    let bytes = a.as_str().bytes().map(byte);
    bytes.cmp(b.as_str().bytes().map(byte))
}
