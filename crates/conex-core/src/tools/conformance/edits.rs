//! Edits of a sample: files and directories that change, come, go, and stand elsewhere.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Clause, Facts, Found, release_in_words};
use crate::model::name::{PackageName, ReleaseName};
use crate::model::path::Path;
use crate::tree::layout::{Layout, PackageUnit, ReleaseUnit};
use crate::tree::store::MemoryStore;

/// More edits than this are not tried.
const EDITS: usize = 400;

/// Copies are put into directories above this depth only.
const HIGH: usize = 4;

/// A tree that differs from the sample.
pub(super) struct Edit {
    pub(super) words: String,
    pub(super) tree: MemoryStore,
    /// A release that was put where the layout has it.
    new: Option<(PackageName, ReleaseName, Path)>,
}

impl Edit {
    /// A release that was put where its names have it is found there, if nothing is wrong with it.
    pub(super) fn check(&self, facts: &Facts<'_>, found: &mut Found) {
        let Some((package, release, directory)) = &self.new else {
            return;
        };
        let is_found = facts.releases().any(|(unit, it)| {
            unit.name == *package && it.name == *release && it.directory == *directory
        });
        if !is_found && facts.problems().next().is_none() {
            let detail = format!(
                "{} was put here, and is not found",
                release_in_words(package, release)
            );
            found.add(Clause::Names, directory, detail);
        }
    }
}

/// All edits, none of which leaves the sample as it is.
pub(super) fn edits(layout: &dyn Layout, sample: &MemoryStore, facts: &Facts<'_>) -> Vec<Edit> {
    let mut edits = Edits {
        sample,
        made: Vec::new(),
    };
    let files: Vec<Path> = sample
        .files()
        .filter_map(|(file, _)| Path::parse(file).ok())
        .collect();
    let above = |file: &Path| core::iter::successors(file.parent(), Path::parent);
    let directories: BTreeSet<Path> = files.iter().flat_map(above).collect();
    for file in &files {
        edits.change(format!("{file} is another"), |tree| {
            let mut bytes = sample.get(file.as_str()).unwrap_or_default().to_vec();
            bytes.extend_from_slice(b"# edited\n");
            tree.insert(file.as_str(), bytes);
        });
        edits.change(format!("{file} is gone"), |tree| {
            tree.remove(file.as_str());
        });
    }
    for (unit, release) in facts.releases() {
        edits.releases(layout, facts, unit, release);
    }
    for directory in &directories {
        for name in ["stray", "stray/stray", "stray/stray/stray"] {
            edits.change(format!("{name} is added in {directory}"), |tree| {
                let place = place(directory, name);
                tree.insert(place, b"stray\n".as_slice());
            });
        }
    }
    for directory in directories.iter().filter(|it| **it != Path::top()) {
        edits.change(format!("{directory} is gone"), |tree| {
            tree.remove(directory.as_str());
        });
        let beside = directory.parent().unwrap_or_default();
        let name = directory.file_name();
        for other in [
            name.to_ascii_uppercase(),
            format!("{name}x"),
            format!("{name}.1"),
        ] {
            edits.copy(directory, &place(&beside, &other), false);
            edits.copy(directory, &place(&beside, &other), true);
        }
    }
    let is_high = |it: &&Path| it.components().count() < HIGH;
    for directory in directories.iter().filter(is_high) {
        for other in directories
            .iter()
            .chain(&files)
            .filter(|it| **it != Path::top())
        {
            edits.copy(other, &place(directory, other.file_name()), false);
        }
    }
    edits.made
}

struct Edits<'a> {
    sample: &'a MemoryStore,
    made: Vec<Edit>,
}

impl Edits<'_> {
    fn change(&mut self, words: String, change: impl FnOnce(&mut MemoryStore)) {
        self.put(words, None, change);
    }

    fn put(
        &mut self,
        words: String,
        new: Option<(PackageName, ReleaseName, Path)>,
        change: impl FnOnce(&mut MemoryStore),
    ) {
        let mut tree = self.sample.clone();
        change(&mut tree);
        let is_new = tree != *self.sample && self.made.iter().all(|edit| edit.tree != tree);
        if is_new && self.made.len() < EDITS {
            self.made.push(Edit { words, tree, new });
        }
    }

    /// Copies a file or directory, or moves it.
    fn copy(&mut self, from: &Path, to: &str, moves: bool) {
        let words = format!("{from} is {} {to}", if moves { "now" } else { "also" });
        let files: Vec<(String, Vec<u8>)> = self
            .sample
            .files()
            .filter_map(|(file, bytes)| {
                let rest = file.strip_prefix(from.as_str())?;
                let is_within = rest.is_empty() || rest.starts_with('/');
                is_within.then(|| (format!("{to}{rest}"), bytes.to_vec()))
            })
            .collect();
        // Where a file is a directory, there is no tree.
        let stands = |(file, _): &(String, Vec<u8>)| {
            self.sample.files().any(|(other, _)| {
                let is_below =
                    |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
                is_below(file, other) || is_below(other, file)
            })
        };
        if files.iter().any(stands) {
            return;
        }
        self.change(words, |tree| {
            if moves {
                tree.remove(from.as_str());
            }
            for (file, bytes) in files {
                tree.insert(file, bytes);
            }
        });
    }

    /// Puts the files of a release where the layout has others: of the same package, of another one, of one that is not
    /// there yet.
    fn releases(
        &mut self,
        layout: &dyn Layout,
        facts: &Facts<'_>,
        unit: &PackageUnit,
        release: &ReleaseUnit,
    ) {
        let name = unit.name.as_str();
        let other = facts.units().map(|(unit, _)| unit.name.as_str());
        let other = other.filter(|other| *other != name).last();
        let mut packages = alloc::vec![
            name.to_string(),
            format!("{name}x"),
            name.to_ascii_uppercase(),
        ];
        packages.extend(other.map(ToString::to_string));
        let names = [release.name.to_string(), format!("{}9", release.name)];
        for package in &packages {
            for name in &names {
                let (Ok(package), Ok(name)) =
                    (PackageName::parse(package), ReleaseName::parse(name))
                else {
                    continue;
                };
                let is_there = facts
                    .releases()
                    .any(|(unit, it)| unit.name == package && it.name == name);
                let Some(directory) = layout.directory(&package, &name) else {
                    continue;
                };
                if is_there {
                    continue;
                }
                let words = format!(
                    "{} is new, with the files of {}",
                    release_in_words(&package, &name),
                    release.directory
                );
                let sample = self.sample;
                self.put(words, Some((package, name, directory.clone())), |tree| {
                    for file in &release.files {
                        let bytes = sample.get(file.as_str()).unwrap_or_default();
                        if let Some(file) = file.below(&release.directory) {
                            tree.insert(place(&directory, file.as_str()), bytes);
                        }
                    }
                });
            }
        }
    }
}

fn place(directory: &Path, name: &str) -> String {
    match directory.as_str() {
        "" => name.to_string(),
        directory => format!("{directory}/{name}"),
    }
}
