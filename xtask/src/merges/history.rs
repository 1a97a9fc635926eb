//! The pull requests of a real history, as listed in `merges.tsv`.

use std::collections::HashMap;
use std::fs;
use std::path::Path as FilePath;

use anyhow::{Context as _, Result, ensure};
use conex_core::model::name::Id;

use super::git::Oid;

/// A merged pull request. A commit straight to the main line is treated alike.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    /// The commit of the history that has its result.
    pub(crate) commit: Oid,
    /// The time of the merge, in UTC.
    pub(crate) date: String,
    /// The name that people use for it.
    pub(crate) label: String,
    /// Its author.
    pub(crate) author: Option<Id>,
    /// The person who merged it.
    pub(crate) merger: Option<Id>,
    /// The position it started from. If that is older than the history, or unknown (squashed and rebased),
    /// it starts from the beginning of the history, which is the worst case: 12 of 1,499 are unknown.
    pub(crate) base: usize,
    /// Whether it adds releases.
    pub(crate) adds: bool,
}

impl Pull {
    /// Returns the day of the merge.
    pub(crate) fn day(&self) -> &str {
        self.date.get(..10).unwrap_or(&self.date)
    }
}

/// Reads the table. The first row is the initial state.
pub(crate) fn read(table: &FilePath) -> Result<Vec<Pull>> {
    let text = fs::read_to_string(table).with_context(|| table.display().to_string())?;
    let pulls: Vec<Pull> = text
        .lines()
        .skip(1)
        .enumerate()
        .map(|(n, line)| row(n, line).with_context(|| format!("row {n} of {}", table.display())))
        .collect::<Result<_>>()?;
    ensure!(pulls.len() > 1, "there is nothing to replay");
    Ok(pulls)
}

fn row(n: usize, line: &str) -> Result<Pull> {
    let cells: Vec<&str> = line.split('\t').collect();
    let cell = |at: usize| {
        cells
            .get(at)
            .copied()
            .with_context(|| format!("has no column {at}"))
    };
    let person = |at: usize| -> Result<Option<Id>> {
        let text = cell(at)?;
        Ok(if text == "-" {
            None
        } else {
            Some(Id::parse(text)?)
        })
    };
    ensure!(cell(0)?.parse() == Ok(n), "is out of order");
    let label = match cell(5)? {
        "-" => format!("commit {n}"),
        number => format!("#{number}"),
    };
    Ok(Pull {
        commit: Oid::parse(cell(2)?)?,
        date: cell(3)?.into(),
        label,
        merger: person(6)?,
        author: person(7)?,
        base: cell(9)?.parse().unwrap_or(0).min(n.saturating_sub(1)),
        adds: cell(13)?.split('+').any(|kind| kind == "new"),
    })
}

/// Returns the people with the most merges, in descending order.
pub(crate) fn mergers(pulls: &[Pull], most: usize) -> Vec<Id> {
    let mut merges: HashMap<&Id, usize> = HashMap::new();
    for merger in pulls.iter().filter_map(|pull| pull.merger.as_ref()) {
        *merges.entry(merger).or_default() += 1;
    }
    let mut people: Vec<(usize, &Id)> = merges.into_iter().map(|(id, count)| (count, id)).collect();
    people.sort_by(|a, b| b.cmp(a));
    people
        .into_iter()
        .take(most)
        .map(|(_, id)| id.clone())
        .collect()
}

/// Returns the pull requests that are open right after a position, with their positions.
pub(crate) fn open_behind(pulls: &[Pull], at: usize) -> impl Iterator<Item = (usize, &Pull)> {
    pulls
        .iter()
        .enumerate()
        .skip(at + 1)
        .filter(move |(_, pull)| pull.base <= at)
}
