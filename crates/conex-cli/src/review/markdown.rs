//! Reviews as a comment on a pull request.
//!
//! Readers of a comment trust the account that posts it. Foreign text is therefore formatted as code, and
//! every character in it that could mean something to Markdown or HTML is written as a numeric entity.
//! Nothing becomes a link, mentions anybody, or leaves its cell.

use core::fmt::Write as _;
use std::io::Write;

use super::text::contributor;
use super::view::{ChangeView, ReviewView, StatementView};
use crate::output::{line, plain};

/// The marker by which a program finds its earlier comment.
const MARK: &str = "<!-- conex review -->";

/// The most rows to show in a table.
const ROWS: usize = 30;

/// The most names to show in a cell.
const NAMES: usize = 8;

/// Prints a comment.
pub(crate) fn print(out: &mut impl Write, review: &ReviewView) {
    line(out, MARK);
    for change in &review.changes {
        self::change(out, change);
    }
    if !review.absent.is_empty() {
        let numbers: Vec<String> = review.absent.iter().map(u64::to_string).collect();
        line(out, format_args!("\nNot fetched: {}", numbers.join(", ")));
    }
}

fn change(out: &mut impl Write, change: &ChangeView) {
    let verdict = change.verdict.as_str();
    line(out, format_args!("\n### conex: {verdict}\n"));
    let commit = match &change.commit {
        Some(commit) => format!(" at {}", code(commit)),
        None => String::new(),
    };
    line(out, format_args!("{}{commit}", code(&change.name)));
    if !change.by.is_empty() {
        let by: Vec<String> = change.by.iter().map(contributor).collect();
        line(
            out,
            format_args!("by {}", few(by.iter().map(String::as_str))),
        );
    }
    table(
        out,
        ["change", "kind"],
        change
            .edits
            .iter()
            .map(|edit| [code(&edit.what), code(&edit.kinds.join(", "))]),
    );
    table(
        out,
        ["waits for", "statements"],
        change.needs().into_iter().map(|(needs, waiting)| {
            let names = waiting.iter().map(|it| it.statement.as_str());
            [code(needs), few(names)]
        }),
    );
    let approved: Vec<&StatementView> = change.statements.iter().filter(|it| it.approved).collect();
    if !approved.is_empty() {
        let names = approved.iter().map(|it| it.statement.as_str());
        line(out, format_args!("\nApproved already: {}", few(names)));
    }
    table(
        out,
        ["page by", "vouches for"],
        change.pages.iter().map(|page| {
            let names = page.names.iter().map(String::as_str);
            [code(&page.signer), few(names)]
        }),
    );
    table(
        out,
        ["warning", "what"],
        change
            .warnings
            .iter()
            .map(|warning| [code(warning.code), code(&warning.text)]),
    );
    table(
        out,
        ["conflict", "why"],
        change
            .conflicts
            .iter()
            .map(|conflict| [code(&conflict.place), code(&conflict.why)]),
    );
    table(
        out,
        ["problem", "what"],
        change.problems.iter().map(|problem| {
            let text = format!("{}: {}. {}", problem.place, problem.detail, problem.advice);
            [code(&problem.code), code(&text)]
        }),
    );
}

fn table(out: &mut impl Write, heads: [&str; 2], rows: impl ExactSizeIterator<Item = [String; 2]>) {
    let all = rows.len();
    if all == 0 {
        return;
    }
    let [one, other] = heads;
    line(out, format_args!("\n| {one} | {other} |\n| --- | --- |"));
    for [one, other] in rows.take(ROWS) {
        line(out, format_args!("| {one} | {other} |"));
    }
    if all > ROWS {
        line(out, format_args!("| and {} more | |", all - ROWS));
    }
}

fn few<'n>(names: impl Iterator<Item = &'n str> + Clone) -> String {
    let shown: Vec<String> = names.clone().take(NAMES).map(code).collect();
    let shown = shown.join(", ");
    match names.count().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Formats text so that it has no meaning in Markdown.
fn code(text: &str) -> String {
    let mut code = "<code>".to_owned();
    for found in plain(text).chars() {
        if found.is_ascii_alphanumeric() || found == ' ' {
            code.push(found);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(code, "&#{};", u32::from(found));
        }
    }
    code.push_str("</code>");
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_comment() {
        let odd = "a|b\n\n# c <!-- --> </code><img src=x> @everyone [x](http://y.example) `z` &lt; \\ \u{202e}";
        let mut out = Vec::new();
        table(
            &mut out,
            ["one", "other"],
            [[code(odd), few([odd].into_iter())]].into_iter(),
        );
        let said = String::from_utf8(out).unwrap();
        let rows: Vec<&str> = said.trim().lines().collect();
        let [_, _, row] = rows.as_slice() else {
            panic!("{said}");
        };
        assert_eq!(row.matches('|').count(), 3);
        let ours = row.replace("<code>", "").replace("</code>", "");
        for mark in [
            '<', '>', '@', '[', ']', '(', ')', '`', '\\', '!', '.', '/', '-', '*', '_',
        ] {
            assert!(!ours.contains(mark), "{mark} in {ours}");
        }
    }
}
