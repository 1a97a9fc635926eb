//! The lines of a patch, read in order.

use super::error::{PatchError, Refused};

/// The text still to be read. Every line ends in a newline, including the last one.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, PatchError> {
        let lines = Self {
            rest: bytes,
            number: 1,
        };
        if bytes.len() > super::PATCH {
            return Err(lines.refused(Refused::TooLarge));
        }
        match bytes.last() {
            None => Err(lines.refused(Refused::Empty)),
            Some(b'\n') => Ok(lines),
            Some(_) => Err(PatchError {
                line: memchr::memchr_iter(b'\n', bytes).count() + 1,
                reason: Refused::CutOff,
            }),
        }
    }

    /// Returns the number of the next line, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn starts_with(&self, prefix: &[u8]) -> bool {
        self.rest.starts_with(prefix)
    }

    /// Returns the next lines without their newlines, and does not consume them.
    pub(super) fn peek(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.rest;
        core::iter::from_fn(move || {
            let end = memchr::memchr(b'\n', rest)?;
            let (line, after) = (rest.get(..end)?, rest.get(end + 1..)?);
            rest = after;
            Some(line)
        })
    }

    /// Returns a refusal at the next line.
    pub(super) fn refused(&self, reason: Refused) -> PatchError {
        PatchError {
            line: self.number,
            reason,
        }
    }

    /// Reads a line of a hunk, with its newline.
    pub(super) fn body(&mut self) -> Result<&'a [u8], PatchError> {
        let end = memchr::memchr(b'\n', self.rest).ok_or_else(|| self.refused(Refused::CutOff))?;
        let (line, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        self.number += 1;
        Ok(line)
    }

    /// Reads a header line with this prefix. Returns the rest without the newline.
    pub(super) fn header(&mut self, prefix: &[u8]) -> Result<&'a [u8], PatchError> {
        self.optional(prefix)?.ok_or_else(|| {
            self.refused(if self.is_done() {
                Refused::CutOff
            } else {
                Refused::NotUnderstood
            })
        })
    }

    /// Like [`Lines::header`], if the next line has this prefix.
    pub(super) fn optional(&mut self, prefix: &[u8]) -> Result<Option<&'a [u8]>, PatchError> {
        if !self.starts_with(prefix) {
            return Ok(None);
        }
        let at = self.refused(Refused::CarriageReturn);
        let line = self.body()?;
        if line.contains(&b'\r') {
            return Err(at);
        }
        Ok(line
            .strip_prefix(prefix)
            .map(|line| line.strip_suffix(b"\n").unwrap_or(line)))
    }
}

/// Parses a number as patches write it: decimal digits without leading zeros.
pub(super) fn number(digits: &[u8]) -> Option<usize> {
    let is_plain = digits.iter().all(u8::is_ascii_digit)
        && (1..=9).contains(&digits.len())
        && (digits.len() == 1 || !digits.starts_with(b"0"));
    let text = core::str::from_utf8(digits).ok().filter(|_| is_plain)?;
    text.parse().ok()
}
