//! Applies a patch to a tree.

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::limits;
use conex_core::model::path::Path;
use conex_core::tree::store::{EntryKind, Overlay, OverlayError, Store, StoreError};

use super::error::{PatchError, Refused};
use super::hunk::Hunk;
use super::{Claim, FilePatch, OUTPUT, Operation, Patch, Style};

pub(super) fn apply<S: Store>(patch: &Patch<'_>, base: S) -> Result<Overlay<S>, PatchError> {
    let mut result = Changed {
        base: &base,
        style: patch.style,
        files: BTreeMap::new(),
        directories: BTreeSet::new(),
        size: 0,
    };
    for file in &patch.files {
        result.file(file)?;
    }
    let files = result.files;
    Overlay::new(base, files).map_err(|error| PatchError {
        line: 1,
        reason: match error {
            OverlayError::Store(place, error) => Refused::Store(place, error),
            OverlayError::FileAndDirectory(place) => Refused::FileAndDirectory(place),
            _ => Refused::NotUnderstood,
        },
    })
}

/// Checks that each removed file has only files created by the patch beside it.
pub(super) fn check_packed<S: Store>(
    whole: &Patch<'_>,
    result: &Overlay<S>,
) -> Result<(), PatchError> {
    let created = whole.files.iter().filter_map(|file| match &file.operation {
        Operation::Create(path) => Some(path),
        _ => None,
    });
    let created: BTreeSet<&Path> = created.collect();
    // Look at each directory once, however many files are removed from it.
    let mut seen = BTreeSet::new();
    for file in &whole.files {
        let Operation::Delete(removed) = &file.operation else {
            continue;
        };
        let at = |reason| PatchError {
            line: file.line,
            reason,
        };
        let top = removed.parent().filter(|parent| *parent != Path::top());
        let mut next: Vec<Path> = top.into_iter().collect();
        while let Some(directory) = next.pop() {
            if !seen.insert(directory.clone()) {
                continue;
            }
            let entries = match result.list(&directory) {
                Ok(entries) => entries,
                Err(StoreError::Missing) => continue,
                Err(error) => return Err(at(Refused::Store(directory, error))),
            };
            for entry in entries {
                let place = directory
                    .join(&entry.name)
                    .map_err(|e| at(Refused::Name(e)))?;
                if entry.kind == EntryKind::Directory {
                    next.push(place);
                } else if !created.contains(&place) {
                    return Err(at(Refused::Packed(removed.clone(), place)));
                }
            }
        }
    }
    Ok(())
}

/// The tree with the changes so far.
struct Changed<'a, S> {
    base: &'a S,
    style: Style,
    files: BTreeMap<Path, Option<Vec<u8>>>,
    /// Directories of the base, or paths of new ones.
    directories: BTreeSet<Path>,
    /// The total size in bytes of all new contents.
    size: u64,
}

impl<S: Store> Changed<'_, S> {
    fn file(&mut self, file: &FilePatch<'_>) -> Result<(), PatchError> {
        let at = |reason| PatchError {
            line: file.line,
            reason,
        };
        let is_absent = matches!(file.operation, Operation::Create(_));
        let old = match &file.operation {
            Operation::Create(_) => Vec::new(),
            Operation::Delete(path)
            | Operation::Modify(path)
            | Operation::Rename { from: path, .. } => self.read(path).map_err(at)?,
        };
        let (Operation::Create(path)
        | Operation::Delete(path)
        | Operation::Modify(path)
        | Operation::Rename { to: path, .. }) = &file.operation;
        let new = patched(path, &old, &file.hunks, self.style)?;
        let is_gone = matches!(file.operation, Operation::Delete(_));
        if let Some((before, after)) = file.claims
            && !(fits(before, is_absent, &old) && fits(after, is_gone, &new))
        {
            return Err(at(Refused::Index));
        }
        if (is_absent || is_gone) && (file.hunks.len() > 1 || !is_whole(file, &new)) {
            return Err(at(Refused::NotWhole));
        }
        if self.style != Style::Plain
            && matches!(file.operation, Operation::Modify(_))
            && file.hunks.last().is_some_and(Hunk::takes_open_end)
        {
            return Err(at(Refused::OpenEnd(path.clone())));
        }
        self.size += new.len() as u64;
        if self.size > OUTPUT || new.len() as u64 > limits::DATA_FILE {
            return Err(at(Refused::OutputTooLarge));
        }
        let mut set = |path: &Path, bytes| match self.files.insert(path.clone(), bytes) {
            None => Ok(()),
            Some(_) => Err(at(Refused::Twice(path.clone()))),
        };
        match &file.operation {
            Operation::Delete(path) => set(path, None),
            Operation::Modify(path) => set(path, Some(new)),
            Operation::Create(path) => {
                set(path, Some(new))?;
                self.check_new(path).map_err(at)
            }
            Operation::Rename { from, to } => {
                set(from, None)?;
                set(to, Some(new))?;
                self.check_new(to).map_err(at)
            }
        }
    }

    /// Reads a file of the base that has not been changed yet.
    fn read(&self, path: &Path) -> Result<Vec<u8>, Refused> {
        if self.files.contains_key(path) {
            return Err(Refused::Twice(path.clone()));
        }
        let mut bytes = Vec::new();
        match self.base.read(path, limits::DATA_FILE, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(StoreError::Missing) => Err(Refused::Missing(path.clone())),
            Err(error) => Err(Refused::Store(path.clone(), error)),
        }
    }

    /// Checks that the base has nothing at the path of a new file, not even something that the patch
    /// removes: `patch` works in order, `git apply` all at once.
    fn check_new(&mut self, path: &Path) -> Result<(), Refused> {
        match self.base.kind(path) {
            Ok(None) => {}
            Ok(Some(EntryKind::Directory)) => {
                return Err(Refused::FileAndDirectory(path.clone()));
            }
            Ok(Some(_)) => return Err(Refused::Exists(path.clone())),
            Err(error) => return Err(Refused::Store(path.clone(), error)),
        }
        let mut at = path.parent();
        while let Some(directory) = at {
            if !self.directories.insert(directory.clone()) {
                return Ok(());
            }
            match self.base.kind(&directory) {
                Ok(None | Some(EntryKind::Directory)) => {}
                Ok(Some(_)) => return Err(Refused::FileAndDirectory(directory)),
                Err(error) => return Err(Refused::Store(directory, error)),
            }
            at = directory.parent();
        }
        Ok(())
    }
}

/// Whether an id can be that of a content.
fn fits(claim: Claim, is_absent: bool, bytes: &[u8]) -> bool {
    match claim {
        Claim::Absent => is_absent,
        Claim::Empty => !is_absent && bytes.is_empty(),
        Claim::Something => !is_absent,
    }
}

/// Whether a creation or removal covers the whole file.
fn is_whole(file: &FilePatch<'_>, new: &[u8]) -> bool {
    match file.operation {
        Operation::Delete(_) => new.is_empty(),
        _ => file.hunks.is_empty() || !new.is_empty(),
    }
}

/// Returns a file after all its hunks, each applied exactly where it says.
fn patched(
    path: &Path,
    old: &[u8],
    hunks: &[Hunk<'_>],
    style: Style,
) -> Result<Vec<u8>, PatchError> {
    if hunks.is_empty() {
        return Ok(old.to_vec());
    }
    let lines: Vec<&[u8]> = old.split_inclusive(|byte| *byte == b'\n').collect();
    let mut new = Vec::with_capacity(old.len());
    let (mut old_done, mut new_done) = (0, 0);
    for hunk in hunks {
        let at = |reason| PatchError {
            line: hunk.line,
            reason,
        };
        let before = lines
            .get(old_done..hunk.old_at)
            .ok_or_else(|| at(Refused::Numbers))?;
        for line in before {
            new.extend_from_slice(line);
            new_done += 1;
        }
        if hunk.new_at != new_done {
            return Err(at(Refused::Numbers));
        }
        old_done = hunk.old_at;
        for expected in hunk.old() {
            if lines.get(old_done) != Some(&expected) {
                return Err(at(Refused::Context(path.clone(), old_done + 1)));
            }
            old_done += 1;
        }
        let is_first = hunk.old_at == 0;
        let is_last = old_done == lines.len();
        // The library's hunks have no context and reach to the end of the file.
        let has_place = match style {
            Style::Library => is_last,
            Style::Plain | Style::Git => has_one_place(hunk, is_first, is_last),
        };
        if !has_place {
            return Err(at(Refused::Place));
        }
        for line in hunk.new_lines() {
            new.extend_from_slice(line);
            new_done += 1;
        }
        if hunk.ends_without_newline() && !is_last {
            return Err(at(Refused::LineEnd));
        }
    }
    let rest = lines.get(old_done..).unwrap_or_default();
    for line in rest {
        new.extend_from_slice(line);
    }
    Ok(new)
}

/// Whether `patch` and `git apply` both apply a hunk only where it says.
///
/// `patch` takes less context at one end than at the other as a sign that the file begins or ends there.
/// `git apply` takes missing context at the end as a sign that the file ends there. A hunk without old
/// lines would fit everywhere.
fn has_one_place(hunk: &Hunk<'_>, is_first: bool, is_last: bool) -> bool {
    let (leading, trailing) = hunk.context();
    let has_old = hunk.old().next().is_some();
    (leading >= trailing || is_first)
        && ((trailing >= leading && trailing > 0) || is_last)
        && (has_old || (is_first && is_last))
}
