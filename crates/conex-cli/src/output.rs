//! What goes to the terminal: colour and progress on a terminal only, untrusted text escaped.

use std::io::{self, Write};

use anstream::AutoStream;
use conex_core::tree::store::Workers;
use conex_repo::Parallel;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;

/// Standard output; colour codes are stripped where it is no terminal.
pub(crate) fn stdout() -> AutoStream<io::StdoutLock<'static>> {
    AutoStream::auto(io::stdout().lock())
}

/// Standard error, likewise.
pub(crate) fn stderr() -> AutoStream<io::StderrLock<'static>> {
    AutoStream::auto(io::stderr().lock())
}

/// Text from a repository with its control characters escaped: it must not move the cursor, nor
/// have what stands beside it read in another order.
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

/// Whether a character is something else than one that is seen: a control character, a line end, a
/// change of direction, nothing at all.
fn is_odd(found: char) -> bool {
    found.is_control()
        || matches!(
            found,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The same for a text of several lines.
pub(crate) fn escaped(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

pub(crate) const BOLD: &str = "\x1b[1m";
pub(crate) const RED: &str = "\x1b[1;31m";
pub(crate) const GREEN: &str = "\x1b[1;32m";
pub(crate) const DIM: &str = "\x1b[2m";
pub(crate) const RESET: &str = "\x1b[0m";

/// Writes a line; a reader that went away (`conex show | head`) is no error worth telling.
pub(crate) fn line(out: &mut impl Write, text: impl core::fmt::Display) {
    let _ = writeln!(out, "{text}");
}

/// Runs jobs on all cores and shows how far they are, on a terminal and for long lists only.
#[derive(Debug)]
pub(crate) struct Watched {
    bar: ProgressBar,
}

/// Lists shorter than this are done before a bar could be read.
const LONG: usize = 500;

impl Watched {
    /// With progress on standard error if it is a terminal.
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

/// So many of something, in words: `1 package`, `2 packages`.
pub(crate) fn count(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
