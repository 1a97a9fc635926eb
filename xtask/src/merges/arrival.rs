//! Compares what git makes of `conex/` in a merge with what was sent.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use super::git::{Merged, Oid, Repository};
use super::is_statement;

/// The trees of a merge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides {
    /// The point where the branch left the main line.
    pub(crate) base: Oid,
    pub(crate) branch: Oid,
    pub(crate) main: Oid,
}

/// The result of merging `conex/`. Anything unusual is also printed to standard error.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The tree to continue with: the main line's, with what was sent. If git combined two versions of a
    /// statement, its result is taken; if it could not, the main line's version.
    pub(crate) metadata: Oid,
    /// Statements that both sides changed, and that conflict.
    pub(crate) same_statement: Vec<String>,
    /// Conflicts between unrelated changes.
    pub(crate) other: Vec<String>,
    /// Statements that both sides changed, and that git combined.
    pub(crate) combined: usize,
    /// Whether git changed what was sent of `conex/` without a conflict.
    pub(crate) strayed: bool,
}

impl Arrival {
    pub(crate) fn of(
        repository: &Repository,
        label: &str,
        sides: Sides,
        merged: &Merged,
    ) -> Result<Self> {
        let metadata = |tree: Oid| repository.find(tree, "conex");
        let before = metadata(sides.base)?;
        let sent = repository.changes(before, metadata(sides.branch)?)?;
        let meanwhile = repository.changes(before, metadata(sides.main)?)?;
        // Paths that both sides changed in different ways.
        let disputed: BTreeSet<&String> = sent
            .iter()
            .filter(|(path, blob)| meanwhile.get(*path).is_some_and(|other| other != *blob))
            .map(|(path, _)| path)
            .collect();

        let (mut same_statement, mut other) = (Vec::new(), Vec::new());
        let conflicts: BTreeSet<&str> = merged
            .conflicts
            .iter()
            .filter_map(|path| path.strip_prefix("conex/"))
            .collect();
        for path in &conflicts {
            let line = format!("{label}: conex/{path}");
            if disputed.iter().any(|known| known == path) && is_statement(path) {
                eprintln!("{line}: two changed this statement");
                same_statement.push(line);
            } else {
                eprintln!("{line}: conflict with nothing in common");
                other.push(line);
            }
        }
        if !other.is_empty() {
            let messages = merged.messages.iter();
            for message in messages.filter(|message| message.contains("conex/")) {
                eprintln!("    {message}");
            }
        }

        let found = metadata(merged.tree)?;
        let found_changes = repository.changes(metadata(sides.main)?, found)?;
        let mut combined = 0;
        let mut expected = sent.clone();
        for path in disputed {
            match found_changes.get(path) {
                Some(blob) if !conflicts.contains(path.as_str()) => {
                    expected.insert(path.clone(), *blob);
                    combined += 1;
                    eprintln!("{label}: conex/{path}: git combined two versions");
                }
                _ => {
                    expected.remove(path);
                }
            }
        }
        let main = metadata(sides.main)?.context("the main line has metadata")?;
        let expected = repository.edit(main, &expected)?;
        let strayed = conflicts.is_empty() && found != Some(expected);
        if strayed {
            eprintln!("{label}: git made something else of conex/:");
            for path in repository.changes(Some(expected), found)?.keys() {
                eprintln!("    conex/{path}");
            }
        }
        Ok(Self {
            metadata: expected,
            same_statement,
            other,
            combined,
            strayed,
        })
    }
}
