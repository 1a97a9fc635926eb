//! What stands before the hunks of a file: which file it is, and what happens to it.

use conex_core::path::Path;

use super::error::{PatchError, Refused};
use super::hunk::Hunk;
use super::lines::{Lines, number};
use super::{Claim, FilePatch, Operation};

/// The id of an empty file in git.
const EMPTY: &[u8] = b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

/// What `diff` and `git diff` name where there is no file.
const NO_FILE: &[u8] = b"/dev/null";

/// A file as `git diff` shows it.
pub(super) fn git_file<'a>(lines: &mut Lines<'a>) -> Result<FilePatch<'a>, PatchError> {
    let line = lines.number();
    let at = |reason| PatchError { line, reason };
    let names = lines.header(b"diff --git ")?;
    let kind = Kind::parse(lines)?;
    let claims = lines
        .optional(b"index ")?
        .map(|index| claims(index).map_err(at))
        .transpose()?;
    if lines.starts_with(b"GIT binary patch") || lines.starts_with(b"Binary files ") {
        return Err(lines.refused(Refused::Binary));
    }
    let body = match lines.optional(b"--- ")? {
        Some(old) => Some((old, lines.header(b"+++ ")?)),
        None => None,
    };
    let operation = match (kind, body) {
        (Kind::Create, Some((NO_FILE, new))) => Operation::Create(git_name(new).map_err(at)?),
        (Kind::Delete, Some((old, NO_FILE))) => Operation::Delete(git_name(old).map_err(at)?),
        (Kind::Modify { .. }, Some((old, new))) => {
            let path = git_name(old).map_err(at)?;
            if git_name(new).map_err(at)? != path {
                return Err(at(Refused::NamesDiffer));
            }
            Operation::Modify(path)
        }
        (Kind::Create, None) => Operation::Create(only_name(names).map_err(at)?),
        (Kind::Delete, None) => Operation::Delete(only_name(names).map_err(at)?),
        // Nothing but the mode.
        (Kind::Modify { mode: true }, None) if claims.is_none() => {
            Operation::Modify(only_name(names).map_err(at)?)
        }
        (
            Kind::Moved {
                from,
                to,
                copy,
                whole,
            },
            body,
        ) => {
            match body {
                Some((old, new)) if !whole => {
                    if git_name(old).map_err(at)? != from || git_name(new).map_err(at)? != to {
                        return Err(at(Refused::NamesDiffer));
                    }
                }
                None if whole => {
                    if memchr::memchr_iter(b' ', names).count() != 1 {
                        return Err(at(Refused::NameWithSpaces));
                    }
                }
                _ => return Err(lines.refused(Refused::NotUnderstood)),
            }
            if copy {
                Operation::Copy { from, to }
            } else {
                Operation::Rename { from, to }
            }
        }
        _ => return Err(lines.refused(Refused::NotUnderstood)),
    };
    check_names(names, &operation).map_err(at)?;
    // Only what changes no bytes has no ids.
    let changes_bytes =
        body.is_some() || matches!(operation, Operation::Create(_) | Operation::Delete(_));
    if changes_bytes != claims.is_some() {
        return Err(at(Refused::Index));
    }
    let hunks = match body {
        Some(_) => hunks(lines)?,
        None => Vec::new(),
    };
    Ok(FilePatch {
        line,
        operation,
        claims,
        hunks,
    })
}

/// What the lines between `diff --git` and `index` say.
enum Kind {
    Create,
    Delete,
    Modify {
        mode: bool,
    },
    Moved {
        from: Path,
        to: Path,
        copy: bool,
        whole: bool,
    },
}

impl Kind {
    fn parse(lines: &mut Lines<'_>) -> Result<Self, PatchError> {
        if let Some(()) = mode(lines, b"new file mode ")? {
            return Ok(Self::Create);
        }
        if let Some(()) = mode(lines, b"deleted file mode ")? {
            return Ok(Self::Delete);
        }
        let has_mode = mode(lines, b"old mode ")?.is_some();
        if has_mode && mode(lines, b"new mode ")?.is_none() {
            return Err(lines.refused(Refused::NotUnderstood));
        }
        let similarity_line = lines.refused(Refused::NotUnderstood);
        let Some(similarity) = lines.optional(b"similarity index ")? else {
            return Ok(Self::Modify { mode: has_mode });
        };
        let similarity = similarity
            .strip_suffix(b"%")
            .and_then(number)
            .filter(|percent| *percent <= 100)
            .ok_or(similarity_line)?;
        let copy = lines.starts_with(b"copy from ");
        let [from, to]: [&[u8]; 2] = if copy {
            [b"copy from ", b"copy to "]
        } else {
            [b"rename from ", b"rename to "]
        };
        let mut name = |prefix| {
            let at = lines.refused(Refused::NotUnderstood);
            path(lines.header(prefix)?).map_err(|reason| PatchError { reason, ..at })
        };
        Ok(Self::Moved {
            from: name(from)?,
            to: name(to)?,
            copy,
            whole: similarity == 100,
        })
    }
}

/// A line that states the mode of a regular file; whether it can be executed is not looked at.
fn mode(lines: &mut Lines<'_>, prefix: &[u8]) -> Result<Option<()>, PatchError> {
    let at = lines.refused(Refused::Mode);
    match lines.optional(prefix)? {
        None => Ok(None),
        Some(mode) if is_regular(mode) => Ok(Some(())),
        Some(_) => Err(at),
    }
}

fn is_regular(mode: &[u8]) -> bool {
    matches!(mode, b"100644" | b"100755")
}

/// `OLD..NEW`, or `OLD..NEW MODE`.
fn claims(index: &[u8]) -> Result<(Claim, Claim), Refused> {
    let (ids, mode) = match memchr::memchr(b' ', index) {
        Some(at) => (index.get(..at), index.get(at + 1..)),
        None => (Some(index), None),
    };
    if !mode.is_none_or(is_regular) {
        return Err(Refused::Mode);
    }
    let ids = ids.unwrap_or_default();
    let middle = memchr::memmem::find(ids, b"..").ok_or(Refused::Index)?;
    let old = ids.get(..middle).and_then(claim);
    let new = ids.get(middle + 2..).and_then(claim);
    old.zip(new).ok_or(Refused::Index)
}

fn claim(id: &[u8]) -> Option<Claim> {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !(4..=64).contains(&id.len()) || !id.iter().all(is_hex) {
        return None;
    }
    Some(if id.iter().all(|byte| *byte == b'0') {
        Claim::Absent
    } else if EMPTY.starts_with(id) {
        Claim::Empty
    } else {
        Claim::Something
    })
}

/// A name after `---` or `+++` in git's style: a tab ends it exactly if it has spaces.
fn git_name(text: &[u8]) -> Result<Path, Refused> {
    let (name, has_tab) = match text.strip_suffix(b"\t") {
        Some(name) => (name, true),
        None => (text, false),
    };
    let path = stripped(name)?;
    if has_tab == name.contains(&b' ') {
        Ok(path)
    } else {
        Err(Refused::NameWithSpaces)
    }
}

/// The one file that both names after `diff --git` stand for.
fn only_name(names: &[u8]) -> Result<Path, Refused> {
    let mut parts = names.split(|byte| *byte == b' ');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(old), Some(new), None) => {
            let path = stripped(old)?;
            if stripped(new)? == path {
                Ok(path)
            } else {
                Err(Refused::NamesDiffer)
            }
        }
        _ => Err(Refused::NameWithSpaces),
    }
}

/// What stands after `diff --git` has to be the names that the other lines gave, in one way only.
fn check_names(names: &[u8], operation: &Operation) -> Result<(), Refused> {
    let (old, new) = match operation {
        Operation::Create(path) | Operation::Delete(path) | Operation::Modify(path) => (path, path),
        Operation::Rename { from, to } | Operation::Copy { from, to } => (from, to),
    };
    let fits = memchr::memchr_iter(b' ', names)
        .filter(|at| {
            let (before, after) = names.split_at(*at);
            let after = after.get(1..).unwrap_or_default();
            stripped(before).as_ref() == Ok(old) && stripped(after).as_ref() == Ok(new)
        })
        .count();
    if fits == 1 {
        Ok(())
    } else {
        Err(Refused::NamesDiffer)
    }
}

/// A file as `diff -ruaN` shows it, with or without the line that repeats the command.
pub(super) fn plain_file<'a>(lines: &mut Lines<'a>) -> Result<FilePatch<'a>, PatchError> {
    let line = lines.number();
    let command = lines.optional(b"diff -ruaN ")?;
    let mut side = |prefix| {
        let at = lines.refused(Refused::NotUnderstood);
        Dated::parse(lines.header(prefix)?).map_err(|reason| PatchError { reason, ..at })
    };
    let (old, new) = (side(b"--- ")?, side(b"+++ ")?);
    let at = |reason| PatchError { line, reason };
    if old.path != new.path
        || command.is_some_and(|command| command != [old.name, new.name].join(&b' '))
    {
        return Err(at(Refused::NamesDiffer));
    }
    let hunks = hunks(lines)?;
    let operation = match (old.is_absent, new.is_absent) {
        (false, false) => Operation::Modify(new.path),
        (false, true) => Operation::Delete(new.path),
        // A new file may itself be dated 1970.
        (true, _) => Operation::Create(new.path),
    };
    Ok(FilePatch {
        line,
        operation,
        claims: None,
        hunks,
    })
}

/// A name with a date.
struct Dated<'a> {
    /// As it is spelled.
    name: &'a [u8],
    path: Path,
    /// Dated to the beginning of 1970, which stands for a file that is not there.
    is_absent: bool,
}

impl<'a> Dated<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, Refused> {
        let tab = memchr::memchr(b'\t', text).ok_or(Refused::NotUnderstood)?;
        let (name, date) = text.split_at(tab);
        let bare = match name.strip_prefix(b"\"") {
            Some(quoted) => {
                let inner = quoted.strip_suffix(b"\"").ok_or(Refused::NotUnderstood)?;
                if inner.contains(&b'\\') {
                    return Err(Refused::NameNotText);
                }
                inner
            }
            None if name.contains(&b' ') => return Err(Refused::NameWithSpaces),
            None => name,
        };
        let date = date.get(1..).unwrap_or_default();
        let seconds = seconds(date).ok_or(Refused::NotUnderstood)?;
        Ok(Self {
            name,
            path: stripped(bare)?,
            is_absent: match seconds {
                (0, 0) => true,
                // `patch` allows for any time zone, `git apply` does not.
                (seconds, _) if seconds.abs() <= NEAR => return Err(Refused::Date),
                _ => false,
            },
        })
    }
}

/// Two days, in seconds: more than any two time zones are apart.
const NEAR: i64 = 2 * 86_400;

/// A date as `diff` prints it, in seconds since 1970, and nanoseconds:
/// `YYYY-MM-DD hh:mm:ss.nnnnnnnnn +hhmm`.
fn seconds(date: &[u8]) -> Option<(i64, i64)> {
    const SHAPE: &[u8] = b"0000-00-00 00:00:00.000000000 +0000";
    let fits = date.len() == SHAPE.len()
        && date.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            other => byte == other,
        });
    if !fits {
        return None;
    }
    let field = |at: usize, length: usize| {
        let digits = date.get(at..at + length)?;
        core::str::from_utf8(digits).ok()?.parse::<i64>().ok()
    };
    let (year, month, day) = (field(0, 4)?, field(5, 2)?, field(8, 2)?);
    let (hour, minute, second) = (field(11, 2)?, field(14, 2)?, field(17, 2)?);
    let (zone_hour, zone_minute) = (field(31, 2)?, field(33, 2)?);
    let is_date = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && zone_hour < 24
        && zone_minute < 60;
    if !is_date {
        return None;
    }
    // Days since 1970-01-01, with years that begin in March, so that a leap day is a last day.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let days =
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day
            - 1
            - 719_468;
    let zone = (zone_hour * 60 + zone_minute) * 60;
    let zone = if date.get(30) == Some(&b'-') {
        -zone
    } else {
        zone
    };
    Some((
        days * 86_400 + (hour * 60 + minute) * 60 + second - zone,
        field(20, 9)?,
    ))
}

/// A name without its first component, which has to be there.
fn stripped(name: &[u8]) -> Result<Path, Refused> {
    let slash = memchr::memchr(b'/', name).ok_or(Refused::NamesDiffer)?;
    let (prefix, rest) = name.split_at(slash);
    path(prefix)?;
    path(rest.get(1..).unwrap_or_default())
}

fn path(name: &[u8]) -> Result<Path, Refused> {
    if name.contains(&b'"') {
        return Err(Refused::NameNotText);
    }
    let text = core::str::from_utf8(name).map_err(|_| Refused::NameNotText)?;
    let path = Path::parse(text).map_err(Refused::Name)?;
    // Git refuses these, whatever the system: where case is ignored, or names are cut to eight
    // characters, they are its own directory.
    let is_gits = |component: &str| {
        let name = component.split(':').next().unwrap_or_default();
        [".git", "git~1"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
    };
    if path.components().any(is_gits) {
        return Err(Refused::GitName(path));
    }
    Ok(path)
}

fn hunks<'a>(lines: &mut Lines<'a>) -> Result<Vec<Hunk<'a>>, PatchError> {
    let mut hunks = vec![Hunk::parse(lines)?];
    while lines.starts_with(b"@@ ") {
        hunks.push(Hunk::parse(lines)?);
    }
    Ok(hunks)
}
