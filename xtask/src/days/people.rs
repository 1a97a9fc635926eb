//! The owners in the replay: people whom the opam files name as maintainers, if they send pull requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use conex_core::model::name::{Id, PackageName};

use crate::merges::community::Owners;
use crate::merges::history::Pull;

/// Returns the owners of every package that has any: its maintainers who wrote a pull request of the
/// history and are not janitors. Inactive people have no key and own nothing.
pub(super) fn owners(table: &Path, pulls: &[Pull], janitors: &[Id]) -> Result<Owners> {
    let text = fs::read_to_string(table).with_context(|| table.display().to_string())?;
    let active: BTreeSet<&Id> = pulls
        .iter()
        .filter_map(|pull| pull.author.as_ref())
        .filter(|id| !janitors.contains(id))
        .collect();
    let mut owners = BTreeMap::new();
    for (n, line) in text.lines().enumerate().skip(1) {
        let row = || format!("row {n} of {}", table.display());
        let mut cells = line.split('\t');
        let package = PackageName::parse(cells.next().unwrap_or_default()).with_context(row)?;
        let maintainers = cells.nth(3).with_context(row)?;
        let ids: BTreeSet<&Id> = maintainers
            .split(',')
            .filter_map(|entry| entry.split(':').next())
            .filter_map(|id| Id::parse(id).ok())
            .filter_map(|id| active.get(&id).copied())
            .collect();
        if !ids.is_empty() {
            owners.insert(package, ids.into_iter().cloned().collect());
        }
    }
    Ok(owners)
}
