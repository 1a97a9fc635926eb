//! Merging files line by line.

use core::ops::Range;

use imara_diff::{Algorithm, Diff, Hunk, InternedInput, sources::byte_lines};

/// Git treats a file with a zero byte in this many bytes as binary.
const SNIFFED: usize = 8_000;

/// Merges two changes of a file, or returns `None` if they conflict.
pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    let is_binary = |bytes: &[u8]| bytes.iter().take(SNIFFED).any(|byte| *byte == 0);
    if [base, ours, theirs].into_iter().any(is_binary) {
        return None;
    }
    let (mut one, mut other) = (Side::new(base, ours), Side::new(base, theirs));
    let base: Vec<&[u8]> = byte_lines(base).collect();
    let mut merged = Vec::new();
    let mut at = 0;
    while let Some(start) = [one.next(), other.next()].into_iter().flatten().min() {
        // Adjacent changes form one region, because their order would be ambiguous.
        let mut region = start..start;
        while one.extend(&mut region) || other.extend(&mut region) {}
        let text = match (one.text(&region), other.text(&region)) {
            (Some(ours), Some(theirs)) if ours != theirs => return None,
            (ours, theirs) => ours.or(theirs)?,
        };
        merged.extend(base.get(at..region.start)?.iter().copied().flatten());
        merged.extend(text.iter().copied().flatten());
        (one.done, other.done) = (one.taken, other.taken);
        at = region.end;
    }
    merged.extend(base.get(at..)?.iter().copied().flatten());
    Some(merged)
}

/// The changes of one side to a file.
struct Side<'t> {
    lines: Vec<&'t [u8]>,
    hunks: Vec<Hunk>,
    /// The number of merged hunks.
    done: usize,
    /// The number of hunks before the end of the current region.
    taken: usize,
}

impl<'t> Side<'t> {
    fn new(base: &'t [u8], side: &'t [u8]) -> Self {
        let input = InternedInput::new(byte_lines(base), byte_lines(side));
        let mut diff = Diff::compute(Algorithm::Histogram, &input);
        diff.postprocess_no_heuristic(&input);
        Self {
            lines: byte_lines(side).collect(),
            hunks: diff.hunks().collect(),
            done: 0,
            taken: 0,
        }
    }

    /// Returns the line before which the next change begins.
    fn next(&self) -> Option<usize> {
        self.hunks
            .get(self.taken)
            .map(|hunk| hunk.before.start as usize)
    }

    /// Adds the next change to a region, if it touches the region.
    fn extend(&mut self, region: &mut Range<usize>) -> bool {
        let Some(hunk) = self
            .hunks
            .get(self.taken)
            .filter(|hunk| hunk.before.start as usize <= region.end)
        else {
            return false;
        };
        region.end = region.end.max(hunk.before.end as usize);
        self.taken += 1;
        true
    }

    /// Returns this side's text of a region, if it changed the region.
    fn text(&self, region: &Range<usize>) -> Option<&[&'t [u8]]> {
        let changes = self.hunks.get(self.done..self.taken)?;
        let (first, last) = (changes.first()?, changes.last()?);
        let start = first.after.start as usize - (first.before.start as usize - region.start);
        let end = last.after.end as usize + (region.end - last.before.end as usize);
        self.lines.get(start..end)
    }
}
