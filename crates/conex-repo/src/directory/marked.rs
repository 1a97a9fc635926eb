//! Computes the marks of a directory without reading again what has been read.

use core::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;

use conex_core::model::path::Path;
use conex_core::tree::store::{Entry, EntryKind};
use conex_core::verify::MarkKind;
use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, OFlags, Stat};

use super::{DirectoryStore, directory_flags, store_error};
use crate::changes::{ChangesError, Steps};
use crate::marks::{self, Key, Mark};

/// The entries that the store returned to one thread.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The paths, concatenated.
    paths: String,
    entries: Vec<SeenEntry>,
    /// The listed directories.
    listed: Vec<Key>,
    /// The files that were read, with their marks at that time.
    pub(super) read: Vec<(Key, Mark)>,
}

/// An entry of a listed directory.
#[derive(Debug)]
struct SeenEntry {
    key: Key,
    path: Range<u32>,
    kind: EntryKind,
}

impl Seen {
    pub(super) fn list(&mut self, directory: &Path, entries: &[Entry]) {
        // All positions are far below 2^32: they are bounded by the total length of all file names.
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        self.listed.push(marks::key(directory.as_str()));
        for entry in entries {
            let start = self.paths.len();
            if !directory.as_str().is_empty() {
                self.paths.push_str(directory.as_str());
                self.paths.push('/');
            }
            self.paths.push_str(&entry.name);
            let path = self.paths.get(start..).unwrap_or_default();
            self.entries.push(SeenEntry {
                key: marks::key(path),
                path: number(start)..number(self.paths.len()),
                kind: entry.kind,
            });
        }
    }

    fn path(&self, entry: &SeenEntry) -> Option<Path> {
        let range = entry.path.start as usize..entry.path.end as usize;
        Path::parse(self.paths.get(range)?).ok()
    }
}

/// The result of examining a directory.
#[derive(Default)]
struct Looked {
    files: Vec<(Key, Mark)>,
    below: Vec<Path>,
}

impl DirectoryStore {
    /// Returns the marks of everything that is not a directory. What is remembered is not examined again.
    pub(crate) fn marks(&self, kind: MarkKind) -> Result<Vec<(Key, Mark)>, ChangesError> {
        let mut next = vec![Path::top()];
        let mut found = Vec::new();
        if let Some((remembered, seen)) = &self.seen
            && *remembered == kind
            && seen.iter().next().is_some()
        {
            // Take the entries out first, so that reading below can remember new ones without a deadlock.
            let seen: Vec<Seen> = seen
                .iter()
                .map(|seen| {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    core::mem::take(&mut *seen)
                })
                .collect();
            let sorted = |keys: Vec<Key>| {
                let mut keys = keys;
                keys.par_sort_unstable();
                keys
            };
            let listed = sorted(seen.iter().flat_map(|seen| &seen.listed).copied().collect());
            let mut read: Vec<(Key, Mark)> =
                seen.iter().flat_map(|seen| &seen.read).copied().collect();
            read.par_sort_unstable();
            next.retain(|top| listed.binary_search(&marks::key(top.as_str())).is_err());
            for seen in &seen {
                for entry in &seen.entries {
                    let is_known = match entry.kind {
                        EntryKind::Special(kind) => {
                            found.push((entry.key, marks::special(kind)));
                            true
                        }
                        EntryKind::Directory => listed.binary_search(&entry.key).is_ok(),
                        EntryKind::File => {
                            let start = read.partition_point(|(key, _)| *key < entry.key);
                            let rest = read.get(start..).unwrap_or_default();
                            let known = rest.iter().take_while(|(key, _)| *key == entry.key);
                            let before = found.len();
                            found.extend(known);
                            found.len() > before
                        }
                    };
                    if is_known {
                        continue;
                    }
                    match (seen.path(entry), entry.kind) {
                        (Some(path), EntryKind::Directory) => next.push(path),
                        (Some(path), _) => found.push((entry.key, self.mark(&path, kind))),
                        (None, _) => found.push((entry.key, marks::special(NO_NAME))),
                    }
                }
            }
        }
        let steps = Steps::default();
        // Work level by level, so that a deep tree does not need a deep stack.
        while !next.is_empty() {
            let looked = core::mem::take(&mut next)
                .into_par_iter()
                .map(|directory| self.marks_in(&directory, kind, &steps))
                .collect::<Result<Vec<_>, _>>()?;
            for Looked { files, below } in looked {
                found.extend(files);
                next.extend(below);
            }
        }
        found.par_sort_unstable();
        // Files that were listed or read twice occur twice. If one changed in between, neither of its marks
        // counts.
        found.dedup_by(|(key, mark), (kept, other)| {
            if key == kept && mark != other {
                *other = marks::special(CHANGED);
            }
            key == kept
        });
        Ok(found)
    }

    /// Returns the marks of the non-directories in a directory, and its subdirectories.
    fn marks_in(
        &self,
        directory: &Path,
        kind: MarkKind,
        steps: &Steps,
    ) -> Result<Looked, ChangesError> {
        let failed = |error| ChangesError::new(directory, error);
        let opened = self
            .open_beneath(directory, directory_flags())
            .map_err(|errno| failed(store_error(errno, "directory")))?;
        let mut looked = Looked::default();
        let mut path = directory.as_str().to_owned();
        if !path.is_empty() {
            path.push('/');
        }
        let above = path.len();
        for entry in self.entries(directory, &opened).map_err(failed)? {
            steps.take(directory)?;
            path.truncate(above);
            path.push_str(&entry.name);
            let key = marks::key(&path);
            let mark = match (entry.kind, kind) {
                (EntryKind::Special(kind), _) => marks::special(kind),
                (EntryKind::File, MarkKind::Metadata) => stat_mark(&opened, &entry.name),
                (kind_of_entry, _) => match (Path::parse(&path), kind_of_entry) {
                    (Ok(directory), EntryKind::Directory) => {
                        looked.below.push(directory);
                        continue;
                    }
                    (Ok(file), _) => self.mark(&file, kind),
                    // Nothing below it can be part of what is verified.
                    (Err(_), _) => marks::special(NO_NAME),
                },
            };
            looked.files.push((key, mark));
        }
        Ok(looked)
    }

    /// Computes the mark of a file as it is now.
    fn mark(&self, file: &Path, kind: MarkKind) -> Mark {
        if kind == MarkKind::Content {
            return marks::content(self, file).unwrap_or_default();
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let stat = self
            .open_beneath(file, flags)
            .and_then(|place| rustix::fs::fstat(&place));
        stat.map_or_else(|_| marks::special(NOT_THERE), |stat| stat_or_special(&stat))
    }
}

/// The kind of an entry whose name is not a valid path component.
const NO_NAME: &str = "a name that is none";

/// The kind of an entry that changed between two reads.
const CHANGED: &str = "what changed while it was read";

/// The kind of an entry that cannot be examined, for example because its name is not text and is listed
/// escaped.
const NOT_THERE: &str = "what is not there as it was listed";

fn stat_mark(directory: &OwnedFd, name: &str) -> Mark {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.map_or_else(|_| marks::special(NOT_THERE), |stat| stat_or_special(&stat))
}

fn stat_or_special(stat: &Stat) -> Mark {
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        marks::metadata(stat)
    } else {
        marks::special(NOT_THERE)
    }
}
