//! The layouts and projections that this program knows.

use conex_core::model::limits;
use conex_core::model::path::Path;
use conex_core::model::statement::Scheme;
use conex_core::tree::layout::{Layout, Schemes};
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::projection::Projection;
use conex_core::tree::store::{Entry, EntryKind, Store};

mod opam;
mod plain;

pub use opam::OpamLayout;
pub use plain::PlainLayout;

use crate::opam::OpamProjection;

/// All layouts and projections of this crate.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnownSchemes;

impl Schemes for KnownSchemes {
    fn layout(&self, name: &Scheme) -> Option<Box<dyn Layout>> {
        match name.as_str() {
            "opam" => Some(Box::new(OpamLayout)),
            "plain" => Some(Box::new(PlainLayout)),
            _ => None,
        }
    }

    fn projection(&self, name: &Scheme) -> Option<Box<dyn Projection>> {
        match name.as_str() {
            "opam/1" => Some(Box::new(OpamProjection)),
            _ => None,
        }
    }
}

/// Lists a directory, each entry with its checked path.
fn entries(store: &dyn Store, directory: &Path, problems: &mut Vec<Problem>) -> Vec<(Path, Entry)> {
    let listed = match store.list(directory) {
        Ok(listed) => listed,
        Err(error) => {
            problems.push(Problem::unreadable(directory, &error));
            return Vec::new();
        }
    };
    let mut found = Vec::with_capacity(listed.len());
    for entry in listed {
        let shown = || format!("{directory}/{}", entry.name);
        match (directory.join(&entry.name), entry.kind) {
            (Ok(path), EntryKind::Special(kind)) => {
                problems.push(Problem::new(
                    Code::SpecialFile,
                    path,
                    format!("is a {kind}"),
                ));
            }
            (Ok(path), _) => found.push((path, entry)),
            (Err(error), _) => problems.push(Problem::new(Code::BadName, shown(), error)),
        }
    }
    found
}

/// Collects all files below a directory, after passing each to `account`.
fn files_below(
    store: &dyn Store,
    directory: &Path,
    account: &dyn Fn(&Path) -> Result<(), Problem>,
    problems: &mut Vec<Problem>,
) -> Vec<Path> {
    let mut files = Vec::new();
    let release = directory;
    let mut waiting = vec![(release.clone(), 0)];
    while let Some((directory, depth)) = waiting.pop() {
        if depth > limits::DEPTH {
            let detail = format!("directories are nested deeper than {}", limits::DEPTH);
            problems.push(Problem::new(Code::TooLarge, &directory, detail));
            continue;
        }
        for (path, entry) in entries(store, &directory, problems) {
            if entry.kind == EntryKind::Directory {
                waiting.push((path, depth + 1));
            } else if let Err(problem) = account(&path) {
                problems.push(problem);
            } else if files.len() >= limits::RELEASE_FILES {
                let detail = format!("a release has more than {} files", limits::RELEASE_FILES);
                problems.push(Problem::new(Code::TooLarge, release, detail));
                return files;
            } else {
                files.push(path);
            }
        }
    }
    files
}

/// Returns the value, or all problems at once if there are any.
fn all_or<T>(value: T, problems: Vec<Problem>) -> Result<T, Vec<Problem>> {
    if problems.is_empty() {
        Ok(value)
    } else {
        Err(problems)
    }
}
