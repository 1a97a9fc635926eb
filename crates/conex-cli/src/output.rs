//! Terminal output: colour and progress only on a terminal, untrusted text escaped.

use std::io::{self, Write};

use anstream::AutoStream;
use conex_core::tree::store::Workers;
use conex_repo::Parallel;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;

/// Returns standard output. Colour codes are stripped unless it is a terminal.
pub(crate) fn stdout() -> AutoStream<io::StdoutLock<'static>> {
    AutoStream::auto(io::stdout().lock())
}

/// Returns standard error, likewise.
pub(crate) fn stderr() -> AutoStream<io::StderrLock<'static>> {
    AutoStream::auto(io::stderr().lock())
}

/// Escapes the control characters in text from a repository, so that it cannot move the cursor or change
/// the reading order of the text around it.
pub(crate) fn plain(text: &str) -> String {
    if !text.chars().any(is_odd) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|found| {
            if is_odd(found) {
                found.escape_default().collect()
            } else {
                vec![found]
            }
        })
        .collect()
}

/// Whether a character is not a visible one: a control character, a line end, a change of direction, or
/// invisible.
fn is_odd(found: char) -> bool {
    found.is_control()
        || matches!(
            found,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Like [`plain`], for a text of several lines.
pub(crate) fn escaped(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

pub(crate) const BOLD: &str = "\x1b[1m";
pub(crate) const RED: &str = "\x1b[1;31m";
pub(crate) const GREEN: &str = "\x1b[1;32m";
pub(crate) const DIM: &str = "\x1b[2m";
pub(crate) const RESET: &str = "\x1b[0m";

/// Writes a line. A closed pipe (`conex show | head`) is not an error worth reporting.
pub(crate) fn line(out: &mut impl Write, text: impl core::fmt::Display) {
    let _ = writeln!(out, "{text}");
}

/// Runs jobs on all cores. Shows progress on a terminal, for long lists.
#[derive(Debug)]
pub(crate) struct Watched {
    bar: ProgressBar,
}

/// Shorter lists finish before anybody could read a progress bar.
const LONG: usize = 500;

impl Watched {
    /// Creates one that shows progress if standard error is a terminal.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("verifying {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        Self { bar }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Workers for Watched {
    fn map<T, R, F>(&self, items: Vec<T>, job: F) -> Vec<R>
    where
        T: Send,
        R: Send,
        F: Fn(T) -> R + Sync,
    {
        if items.len() < LONG || self.bar.is_hidden() {
            return Parallel.map(items, job);
        }
        self.bar.set_length(items.len() as u64);
        let results = items
            .into_par_iter()
            .map(|item| {
                let result = job(item);
                self.bar.inc(1);
                result
            })
            .collect();
        self.bar.reset();
        results
    }

    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        rayon::join(a, b)
    }
}

/// Formats a count in words: `1 package`, `2 packages`.
pub(crate) fn count(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
