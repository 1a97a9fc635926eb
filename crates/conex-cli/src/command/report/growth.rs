//! The growth of a repository, sampled from states of its main line.

use conex_core::model::path::Path;
use conex_core::state::chain::Trust;
use conex_core::tree::layout::Layout;
use conex_core::tree::store::{EntryKind, Store};
use conex_core::verify::{Mode, Report};
use conex_repo::git::history::{Commit, Date};
use conex_repo::{GitRepository, GitStore};

use crate::error::{CommandError, Result};
use crate::verification::verify;

/// A past state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) date: Date,
    pub(super) packages: usize,
    pub(super) releases: usize,
    /// The number of packages with at least one signed statement.
    pub(super) signed: usize,
    pub(super) claimed: usize,
}

/// Returns at most `most` states of a main line, evenly spread, including the first and the last.
pub(super) fn states(
    repository: &GitRepository,
    line: &[Commit],
    most: usize,
    layout: &dyn Layout,
) -> Result<Vec<State>> {
    let last = line.len().saturating_sub(1);
    let steps = most.min(line.len()).saturating_sub(1);
    let mut picked: Vec<&Commit> = (0..=steps)
        .filter_map(|step| line.get((last * step).checked_div(steps).unwrap_or(last)))
        .collect();
    picked.dedup_by_key(|commit| commit.id);
    picked
        .into_iter()
        .map(|commit| {
            let store = repository.store(commit.id).map_err(|error| {
                CommandError::io(error).hint("a fresh clone has the whole history")
            })?;
            Ok(state(&store, commit.date, layout))
        })
        .collect()
}

/// Appends the state of the working copy, if it differs from the last commit.
pub(super) fn go_on(states: &mut Vec<State>, date: Date, report: &Report) {
    let Some(last) = states.last() else { return };
    let now = reported(date.max(last.date), report);
    let same = State {
        date: now.date,
        ..last.clone()
    };
    if now != same {
        states.push(now);
    }
}

fn reported(date: Date, report: &Report) -> State {
    let counts = &report.counts;
    State {
        date,
        packages: counts.packages,
        releases: counts.releases,
        signed: counts.packages.saturating_sub(counts.unsigned),
        claimed: report
            .state
            .iter()
            .flat_map(conex_core::state::State::owned)
            .count(),
    }
}

fn state(store: &GitStore, date: Date, layout: &dyn Layout) -> State {
    let report = verify(store, &Trust::DangerousSelfAsserted, Mode::Warn, true);
    if report.head.is_some() {
        return reported(date, &report);
    }
    let (packages, releases) = unsigned(store, layout);
    State {
        date,
        packages,
        releases,
        signed: 0,
        claimed: 0,
    }
}

/// Counts packages and releases of a state before the first root, by today's layout.
fn unsigned(store: &GitStore, layout: &dyn Layout) -> (usize, usize) {
    let top = store.list(&Path::top()).unwrap_or_default();
    let mut counts = (0, 0);
    for entry in top {
        let hidden = entry.name.starts_with('.') || entry.kind != EntryKind::Directory;
        let Ok(path) = Path::parse(&entry.name) else {
            continue;
        };
        if hidden || !conex_repo::git::history::holds_packages(layout, &path) {
            continue;
        }
        let (units, _) = layout.packages(store, &path);
        for unit in units {
            let releases = layout.releases(store, &unit).unwrap_or_default().len();
            counts.0 += usize::from(releases > 0);
            counts.1 += releases;
        }
    }
    counts
}
