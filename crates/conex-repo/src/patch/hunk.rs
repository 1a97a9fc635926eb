//! One hunk: some lines of a file and their replacement.

use super::Style;
use super::error::{PatchError, Refused};
use super::lines::{Lines, number};

/// The line after a line of a hunk that has no newline in the file.
const NO_NEWLINE: &[u8] = b"\\ No newline at end of file\n";

/// A hunk whose numbers match its lines.
#[derive(Debug)]
pub(super) struct Hunk<'a> {
    /// The line in the patch at which it begins, from 1.
    pub(super) line: usize,
    /// The line offset in the old file, from 0.
    pub(super) old_at: usize,
    /// The line offset in the new file, from 0.
    pub(super) new_at: usize,
    pub(super) lines: Vec<Line<'a>>,
}

/// A line of a hunk, including its newline if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) side: Side,
    pub(super) text: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
    Both,
}

impl<'a> Hunk<'a> {
    pub(super) fn parse(lines: &mut Lines<'a>, style: Style) -> Result<Self, PatchError> {
        let at = lines.number();
        let refused = |reason| PatchError { line: at, reason };
        let header = lines.header(b"@@ -")?;
        let (old, new) = ranges(header, style).ok_or_else(|| refused(Refused::Numbers))?;
        let mut hunk = Self {
            line: at,
            old_at: old.before(style).ok_or_else(|| refused(Refused::Numbers))?,
            new_at: new.before(style).ok_or_else(|| refused(Refused::Numbers))?,
            lines: Vec::new(),
        };
        let (mut old_left, mut new_left) = (old.count, new.count);
        while old_left + new_left > 0 {
            let here = lines.number();
            let line = lines.body()?;
            let wrong = PatchError {
                line: here,
                reason: Refused::Numbers,
            };
            let Some((mark, text)) = line.split_first() else {
                return Err(wrong);
            };
            let (side, old_taken, new_taken) = match mark {
                b' ' => (Side::Both, 1, 1),
                b'-' => (Side::Old, 1, 0),
                b'+' => (Side::New, 0, 1),
                // With `diff.suppressBlankEmpty`, git omits the blank of an empty line.
                b'\n' if style == Style::Git && text.is_empty() => (Side::Both, 1, 1),
                _ => return Err(wrong),
            };
            let text = if *mark == b'\n' { line } else { text };
            old_left = old_left.checked_sub(old_taken).ok_or(wrong.clone())?;
            new_left = new_left.checked_sub(new_taken).ok_or(wrong)?;
            let mut text = text;
            if lines.starts_with(b"\\") {
                let line_end = lines.refused(Refused::LineEnd);
                if lines.body()? != NO_NEWLINE {
                    return Err(PatchError {
                        reason: Refused::NotUnderstood,
                        ..line_end
                    });
                }
                let is_last = match side {
                    Side::Both => old_left + new_left == 0,
                    Side::Old => old_left == 0,
                    Side::New => new_left == 0,
                };
                if !is_last {
                    return Err(line_end);
                }
                text = text.strip_suffix(b"\n").unwrap_or(text);
                if text.is_empty() {
                    // An empty line without a newline is not a line.
                    return Err(line_end);
                }
            }
            hunk.lines.push(Line { side, text });
        }
        if hunk.lines.iter().all(|line| line.side == Side::Both) {
            return Err(refused(Refused::NoChange));
        }
        // The library shows removed lines first, then added ones.
        let is_sorted = hunk.lines.is_sorted_by_key(|line| line.side == Side::New);
        let has_context = hunk.lines.iter().any(|line| line.side == Side::Both);
        if style == Style::Library && (has_context || !is_sorted) {
            return Err(refused(Refused::NotUnderstood));
        }
        Ok(hunk)
    }

    /// Returns the lines required in the old file.
    pub(super) fn old(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        let lines = self.lines.iter().filter(|line| line.side != Side::New);
        lines.map(|line| line.text)
    }

    /// Returns the lines of the new file.
    pub(super) fn new_lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        let lines = self.lines.iter().filter(|line| line.side != Side::Old);
        lines.map(|line| line.text)
    }

    /// Returns the number of unchanged lines before the first change and after the last one.
    pub(super) fn context(&self) -> (usize, usize) {
        let is_context = |line: &&Line<'_>| line.side == Side::Both;
        let leading = self.lines.iter().take_while(is_context).count();
        let trailing = self.lines.iter().rev().take_while(is_context).count();
        (leading, trailing)
    }

    /// Whether it only removes lines, the last of which has no newline.
    pub(super) fn takes_open_end(&self) -> bool {
        self.new_lines().next().is_none()
            && self.old().last().is_some_and(|line| !line.ends_with(b"\n"))
    }

    /// Whether a line of the new file has no newline.
    pub(super) fn ends_without_newline(&self) -> bool {
        self.new_lines().any(|line| !line.ends_with(b"\n"))
    }
}

/// A start, from 1, and a number of lines.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    count: usize,
}

impl Range {
    /// Returns the number of lines before the range. A range without lines is named by the line before it.
    /// The library names it by the line that it would begin with, except in an empty file.
    fn before(self, style: Style) -> Option<usize> {
        match (self.count, style) {
            (0, Style::Library) => Some(self.start.saturating_sub(1)),
            (0, _) => Some(self.start),
            _ => self.start.checked_sub(1),
        }
    }
}

/// Parses the text after `@@ -`: `OLD +NEW @@`, and possibly a section heading.
fn ranges(header: &[u8], style: Style) -> Option<(Range, Range)> {
    let mut parts = header.splitn(4, |byte| *byte == b' ');
    let old = range(parts.next()?, style)?;
    let new = range(parts.next()?.strip_prefix(b"+")?, style)?;
    if parts.next()? != b"@@" || (style == Style::Library && parts.next().is_some()) {
        return None;
    }
    Some((old, new))
}

/// Parses a range. The library always writes the count. If git omits the count, the library accepts that
/// only for line 1; with its usual context, git never omits it elsewhere.
fn range(text: &[u8], style: Style) -> Option<Range> {
    let mut parts = text.splitn(2, |byte| *byte == b',');
    let start = number(parts.next()?)?;
    let count = match parts.next() {
        Some(count) => number(count)?,
        None if style == Style::Plain || (style == Style::Git && start == 1) => 1,
        None => return None,
    };
    Some(Range { start, count })
}
