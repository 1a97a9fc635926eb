//! The figures of the replay of days, and the table it prints.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use conex_core::model::name::Id;
use conex_repo::opam::edit::Kind;

use super::edits::Edits;
use crate::measure::{median, share};

/// The percentage of edited files that needs only upkeep, from an independent count.
const SHARE: f64 = 69.0;

/// How far the share may be off.
const TOLERANCE: f64 = 2.0;

/// The figures under one set of rules.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) merges: usize,
    /// Merges approved ahead by a janitor, and those that were not open in the morning.
    pub(super) ahead: usize,
    pub(super) not_open: usize,
    /// Merges that brought an owner's page.
    pub(super) published: usize,
    pub(super) enrolled: usize,
    pub(super) claimed: usize,
    /// Statements changed by two people.
    pub(super) same_statement: Vec<String>,
    pub(super) other_conflicts: usize,
    pub(super) strayed: usize,
    pub(super) data_conflicts: usize,
    /// Files that nothing accounts for. A community would remove them.
    pub(super) strays: BTreeSet<String>,
    /// Days at whose end something waited.
    pub(super) waited: usize,
    /// The number of items waiting when clients last followed.
    pub(super) pending: usize,
    pub(super) compactions: usize,
    /// Statements approved ahead whose merge turned out differently, so the approval was taken back.
    pub(super) retracted: usize,
    /// Days that required full verification.
    pub(super) whole: usize,
    /// Milliseconds to advance by each day, to verify that as an update, and to verify fully.
    pub(super) days: Vec<f64>,
    pub(super) updates: Vec<f64>,
    pub(super) full: Vec<f64>,
    /// Prompts and signatures of each janitor on each day.
    pub(super) worked: BTreeMap<(Id, usize), (usize, usize)>,
}

impl Figures {
    /// Counts one prompt of a janitor on a day, and the pages signed with it.
    pub(super) fn prompt(&mut self, janitor: &Id, day: usize, pages: usize) {
        let worked = self.worked.entry((janitor.clone(), day)).or_default();
        worked.0 += 1;
        worked.1 += pages;
    }

    /// Returns the most prompts that a janitor answered on one day.
    #[cfg(test)]
    pub(super) fn prompts(&self) -> usize {
        self.worked.values().map(|it| it.0).max().unwrap_or(0)
    }

    #[expect(clippy::cast_precision_loss, reason = "some thousand figures")]
    fn rows(&self) -> Vec<(&'static str, f64, usize)> {
        let prompts: Vec<f64> = self.worked.values().map(|it| it.0 as f64).collect();
        let signatures: Vec<f64> = self.worked.values().map(|it| it.1 as f64).collect();
        let (all_prompts, all_signatures) = (prompts.iter().sum(), signatures.iter().sum());
        let count = |what, count: usize| (what, count as f64, 0);
        let percent = |part: usize| 100.0 * part as f64 / self.merges as f64;
        vec![
            count("days", self.days.len()),
            count("merges", self.merges),
            count("  with a page of an owner", self.published),
            count("  approved ahead by a janitor", self.ahead),
            ("    percent", percent(self.ahead), 1),
            count("  approvals ahead taken back", self.retracted),
            count("  not open in the morning, so never ahead", self.not_open),
            count(
                "  with conflicts in the data, resolved by people",
                self.data_conflicts,
            ),
            count("authors enrolled", self.enrolled),
            count("packages claimed", self.claimed),
            count("compactions, each by one signature more", self.compactions),
            count("days of work of janitors", self.worked.len()),
            ("prompts", all_prompts, 0),
            (
                "prompts per janitor and day, median",
                median(prompts.iter().copied()),
                0,
            ),
            ("  99 of 100", share(&prompts, 0.99), 0),
            ("  most", share(&prompts, 1.0), 0),
            ("signatures", all_signatures, 0),
            (
                "signatures per janitor and day, median",
                median(signatures.iter().copied()),
                0,
            ),
            ("  99 of 100", share(&signatures, 0.99), 0),
            ("  most", share(&signatures, 1.0), 0),
            (
                "ms to advance by a day, median",
                median(self.days.iter().copied()),
                1,
            ),
            ("  99 of 100", share(&self.days, 0.99), 1),
            ("  most", share(&self.days, 1.0), 1),
            (
                "ms to verify a day as an update, median",
                median(self.updates.iter().copied()),
                1,
            ),
            ("  most", share(&self.updates, 1.0), 1),
            count("  days for which everything was verified", self.whole),
            (
                "ms of a full verification, median",
                median(self.full.iter().copied()),
                1,
            ),
            (
                "advancing / a full verification (at most 1 wanted)",
                self.ratio().unwrap_or(f64::NAN),
                2,
            ),
            count(
                "conflicts in conex/: two changed one statement",
                self.same_statement.len(),
            ),
            count(
                "conflicts in conex/: other (0 wanted)",
                self.other_conflicts,
            ),
            count(
                "merges that came out otherwise in conex/ (0 wanted)",
                self.strayed,
            ),
            count("days behind which something waited", self.waited),
            count("units that wait at the end (0 wanted)", self.pending),
        ]
    }

    /// Returns the ratio of advancing by a day to a full verification, or `None` if there was no full one.
    fn ratio(&self) -> Option<f64> {
        let ratio = median(self.days.iter().copied()) / median(self.full.iter().copied());
        (!self.full.is_empty()).then_some(ratio)
    }

    fn hold(&self) -> Result<()> {
        ensure!(
            self.other_conflicts == 0,
            "files in conex/ conflict that have nothing in common"
        );
        ensure!(
            self.strayed == 0,
            "git made something else of conex/ than was sent"
        );
        ensure!(self.pending == 0, "something waits at the end");
        ensure!(
            self.ratio().is_none_or(|ratio| ratio <= 1.0),
            "advancing by a day costs more than a full verification"
        );
        Ok(())
    }
}

/// Prints the table: the edits, then both sets of rules side by side.
///
/// # Errors
/// If a target is missed. The target for the share applies only if the `whole` history was counted.
pub(super) fn print(edits: &Edits, sides: [&Figures; 2], whole: bool) -> Result<()> {
    for (figures, rules) in sides.iter().zip(["upkeep 1", "upkeep = quorum"]) {
        for line in &figures.same_statement {
            println!("two changed one statement ({rules}): {line}");
        }
        for line in &figures.strays {
            println!("nothing accounts for this, so it was left out ({rules}): {line}");
        }
    }
    println!("what is edited");
    let count = |what: &str, count: usize| println!("  {what:<50} {count:>9}");
    count("new releases", edits.added);
    count("removed releases", edits.removed);
    count("edited files of existing releases", edits.edited);
    for kind in Kind::ALL {
        if let Some(files) = edits.by_kind.get(&kind) {
            count(&format!("  {kind}"), *files);
        }
    }
    count("of them upkeep: one janitor can sign them", edits.upkeep);
    println!(
        "  {:<50} {:>9.1}",
        "  percent (69 wanted, 2 more or less)",
        edits.share()
    );
    println!("{:<52} {:>9} {:>16}", "", "upkeep 1", "upkeep = quorum");
    let [one, quorum] = sides.map(Figures::rows);
    for ((what, one, digits), (_, quorum, _)) in one.into_iter().zip(quorum) {
        println!("{what:<52} {one:>9.digits$} {quorum:>16.digits$}");
    }
    for figures in sides {
        figures.hold()?;
    }
    ensure!(
        !whole || (edits.share() - SHARE).abs() <= TOLERANCE,
        "the share of upkeep is not what was counted otherwise"
    );
    Ok(())
}
