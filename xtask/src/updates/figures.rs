//! The measurements of the replay of updates, and the figures it prints.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use conex_core::model::name::Id;
use conex_core::model::path::Path;

use crate::measure::{median, share};
use crate::merges::community::Landing;

/// The median update has to cost at most this fraction of a full verification.
const TARGET: f64 = 20.0;

/// The number of slowest updates to list.
const SHOWN: usize = 5;

/// The cost of verifying one update.
#[derive(Debug)]
pub(super) struct Measured {
    /// The time of the fast way.
    pub(super) seconds: f64,
    /// The number of files opened in both states together.
    pub(super) opened: usize,
    /// Why everything had to be verified, if so.
    pub(super) everything: Option<String>,
}

/// The figures.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) refused: usize,
    /// Updates that were refused when their signatures were left out.
    pub(super) stripped: usize,
    /// Seconds for the update from the first state to the last in one step.
    pub(super) jump: f64,
    updates: Vec<(String, usize, Measured)>,
    compactions: Vec<(String, usize, Measured)>,
    default: Vec<f64>,
    full: Vec<f64>,
    strays: Vec<String>,
    enrolled: usize,
    claimed: usize,
    owned: usize,
    seconded: usize,
}

impl Figures {
    pub(super) fn update(&mut self, label: &str, changed: &BTreeSet<Path>, measured: Measured) {
        self.updates.push((label.into(), changed.len(), measured));
    }

    pub(super) fn compaction(&mut self, id: &Id, n: usize, measured: Measured) {
        let label = format!("compaction of {id} behind {n}");
        self.compactions.push((label, 1, measured));
    }

    pub(super) fn landing(&mut self, landing: &Landing) {
        self.enrolled += usize::from(landing.enrolled);
        self.claimed += landing.claimed;
        self.owned += usize::from(landing.owned);
        self.seconded += usize::from(landing.seconded);
    }

    pub(super) fn full(&mut self, default: f64, full: f64) {
        self.default.push(default);
        self.full.push(full);
    }

    pub(super) fn stray(&mut self, line: String) {
        self.strays.push(line);
    }

    /// Prints everything, figures last.
    ///
    /// # Errors
    /// If a target is missed.
    pub(super) fn print(&self, seconds: f64) -> Result<()> {
        println!("files that nothing accounts for");
        for line in &self.strays {
            println!("  {line}");
        }
        println!("updates for which everything was verified");
        let all = self.updates.iter().chain(&self.compactions);
        for (label, _, measured) in all {
            if let Some(why) = &measured.everything {
                println!("  {label}: {why}");
            }
        }
        println!("the slowest");
        let mut slowest: Vec<_> = self.updates.iter().chain(&self.compactions).collect();
        slowest.sort_by(|a, b| b.2.seconds.total_cmp(&a.2.seconds));
        for (label, changed, measured) in slowest.into_iter().take(SHOWN) {
            println!(
                "  {label}: {:.1} ms, {changed} files changed, {} opened",
                measured.seconds * 1e3,
                measured.opened
            );
        }
        let row = |what: &str, figure: f64| println!("{what:<52} {figure:>9.1}");
        let count = |what: &str, figure: usize| println!("{what:<52} {figure:>7}");
        let times = |of: &[(String, usize, Measured)]| -> Vec<f64> {
            of.iter().map(|(.., it)| it.seconds * 1e3).collect()
        };
        let (updates, compactions) = (times(&self.updates), times(&self.compactions));
        let everything = |of: &[(String, usize, Measured)]| {
            of.iter().filter(|(.., it)| it.everything.is_some()).count()
        };
        count("authors enrolled", self.enrolled);
        count("packages claimed", self.claimed);
        count("updates signed by an owner", self.owned);
        count("updates signed by a second janitor", self.seconded);
        count("compactions, each an update of its own", compactions.len());
        count("  of them verified whole", everything(&self.compactions));
        row("  ms, median", median(compactions.iter().copied()));
        row("  ms, most", share(&compactions, 1.0));
        row(
            "ms from the first state to the last at once",
            self.jump * 1e3,
        );
        row(
            "ms of the default way, median",
            median(self.default.iter().copied()) * 1e3,
        );
        let full = median(self.full.iter().copied()) * 1e3;
        row("ms of a full verification, median", full);
        count("updates refused without their pages", self.stripped);
        count(
            "files changed, median",
            middle(self.updates.iter().map(|it| it.1)),
        );
        count(
            "files opened, median",
            middle(self.updates.iter().map(|it| it.2.opened)),
        );
        count(
            "files opened, most",
            self.updates.iter().map(|it| it.2.opened).max().unwrap_or(0),
        );
        count("updates", self.updates.len());
        count("  refused (0 wanted)", self.refused);
        count("  verified whole", everything(&self.updates));
        count("  verified the default way, too", self.default.len());
        let half = median(updates.iter().copied());
        row("  ms, median", half);
        row("  ms, 99 of 100", share(&updates, 0.99));
        row("  ms, most", share(&updates, 1.0));
        row(
            "a full verification / the median update (20 wanted)",
            full / half,
        );
        row("seconds", seconds);
        ensure!(self.refused == 0, "honest updates were refused");
        ensure!(!self.full.is_empty(), "nothing was verified in full");
        ensure!(
            full / half >= TARGET,
            "the median update costs more than 1/{TARGET} of a full verification"
        );
        Ok(())
    }
}

fn middle(figures: impl IntoIterator<Item = usize>) -> usize {
    let mut figures: Vec<usize> = figures.into_iter().collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or(0)
}
