//! Reviews on a terminal.

use std::io::Write;

use super::view::{ChangeView, ContributorView, EditView, ReviewView, StatementView, Verdict};
use crate::output::{BOLD, DIM, GREEN, RED, RESET, line, plain};

/// The most lines of one kind to show.
const SHOWN: usize = 20;

/// The most names to show on a line.
const NAMES: usize = 8;

/// Prints all changes and their verdicts.
pub(crate) fn print(out: &mut impl Write, review: &ReviewView) {
    for change in &review.changes {
        self::change(out, change);
    }
    absent(out, &review.absent);
    if review.changes.len() > 1 {
        let count = |verdict| {
            review
                .changes
                .iter()
                .filter(|it| it.verdict == verdict)
                .count()
        };
        line(
            out,
            format_args!(
                "{} changes: {} approved, {} pending, {} refused",
                review.changes.len(),
                count(Verdict::Approved),
                count(Verdict::Pending),
                count(Verdict::Refused)
            ),
        );
    }
}

/// Lists the numbers in a range that are no pull requests here.
pub(crate) fn absent(out: &mut impl Write, numbers: &[u64]) {
    if numbers.is_empty() {
        return;
    }
    let names: Vec<String> = numbers.iter().map(u64::to_string).collect();
    line(
        out,
        format_args!(
            "{DIM}not here: {}: not fetched, or no pull requests{RESET}",
            few(names.iter().map(String::as_str))
        ),
    );
}

/// Prints one change.
pub(crate) fn change(out: &mut impl Write, change: &ChangeView) {
    let colour = match change.verdict {
        Verdict::Approved => GREEN,
        Verdict::Pending => BOLD,
        Verdict::Refused => RED,
    };
    line(
        out,
        format_args!(
            "{BOLD}{}{RESET}: {colour}{}{RESET}",
            plain(&change.name),
            change.verdict.as_str()
        ),
    );
    if let Some(commit) = &change.commit {
        let reference = change.reference.as_deref().map(plain);
        let reference = reference.map(|it| format!(" {it}")).unwrap_or_default();
        line(out, format_args!("  commit    {commit}{reference}"));
    }
    if !change.by.is_empty() {
        let by: Vec<String> = change.by.iter().map(contributor).collect();
        line(
            out,
            format_args!("  by        {}", few(by.iter().map(String::as_str))),
        );
    }
    let edits: Vec<String> = change.edits.iter().map(edit).collect();
    listed(out, "changes", &edits);
    if change.edits.is_empty() && change.pages.is_empty() && change.verdict == Verdict::Approved {
        line(
            out,
            "  changes   nothing: it is merged already, or brings nothing",
        );
    }
    let pages: Vec<String> = change
        .pages
        .iter()
        .map(|page| {
            format!(
                "by {}, {} vouches, for {}",
                plain(&page.signer),
                page.vouches,
                few(page.names.iter().map(String::as_str))
            )
        })
        .collect();
    listed(out, "page", &pages);
    let approved: Vec<&StatementView> = change.statements.iter().filter(|it| it.approved).collect();
    if !approved.is_empty() {
        line(
            out,
            format_args!(
                "  {GREEN}approved{RESET}  {}",
                few(approved.iter().map(|it| it.statement.as_str()))
            ),
        );
    }
    for (needs, waiting) in change.needs() {
        line(out, format_args!("  needs     {}", plain(needs)));
        line(
            out,
            format_args!(
                "  {DIM}          for {}{RESET}",
                few(waiting.iter().map(|it| it.statement.as_str()))
            ),
        );
    }
    let warnings: Vec<String> = change
        .warnings
        .iter()
        .map(|it| format!("{RED}{}{RESET}: {}", it.code, plain(&it.text)))
        .collect();
    listed(out, "warning", &warnings);
    let conflicts: Vec<String> = change
        .conflicts
        .iter()
        .map(|it| format!("{}: {}", plain(&it.place), plain(&it.why)))
        .collect();
    listed(out, "conflict", &conflicts);
    for problem in change.problems.iter().take(SHOWN) {
        problem.print(out, RED);
        line(out, format_args!("  {}", plain(&problem.advice)));
    }
    more(out, change.problems.len());
}

/// Prints lines, each preceded by a heading.
fn listed(out: &mut impl Write, heading: &str, lines: &[String]) {
    for text in lines.iter().take(SHOWN) {
        line(out, format_args!("  {heading:<9} {text}"));
    }
    more(out, lines.len());
}

fn more(out: &mut impl Write, all: usize) {
    if all > SHOWN {
        line(
            out,
            format_args!(
                "  {DIM}... and {} more; conex review --format json has all{RESET}",
                all - SHOWN
            ),
        );
    }
}

/// Formats `foo/1.0: bounds, availability`.
fn edit(edit: &EditView) -> String {
    format!("{}: {}", plain(&edit.what), edit.kinds.join(", "))
}

/// Formats `Erin E. <erin@example.org>, 2 commits`.
pub(super) fn contributor(it: &ContributorView) -> String {
    let person = match &it.address {
        Some(address) if it.name.is_empty() => plain(address),
        Some(address) => format!("{} <{}>", plain(&it.name), plain(address)),
        None => plain(&it.name),
    };
    match (it.authored, it.committed) {
        (0, _) => format!("committed by {person}"),
        (1, _) => format!("{person} (1 commit)"),
        (many, _) => format!("{person} ({many} commits)"),
    }
}

/// Formats the first few of many names.
pub(super) fn few<'n>(names: impl Iterator<Item = &'n str> + Clone) -> String {
    let shown: Vec<String> = names.clone().take(NAMES).map(plain).collect();
    let shown = shown.join(", ");
    match names.count().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
