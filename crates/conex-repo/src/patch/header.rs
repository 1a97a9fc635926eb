//! The lines before the hunks of a file: which file it is, and what happens to it.

use conex_core::model::path::Path;

use super::error::{PatchError, Refused};
use super::hunk::Hunk;
use super::lines::{Lines, number};
use super::{Claim, FilePatch, Operation, Style};

/// The id of an empty file in git.
const EMPTY: &[u8] = b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

/// The name that `diff` and `git diff` give if there is no file.
const NO_FILE: &[u8] = b"/dev/null";

/// Determines from the first lines which program made a patch. Every file then has to be shown in that
/// style, whatever the first lines say.
pub(super) fn style(lines: &Lines<'_>) -> Style {
    let mut next = lines.peek();
    let first = next.next().unwrap_or_default();
    if first.starts_with(b"diff --git ") {
        // The library writes such a line only for empty files, and without ids.
        let is_empty = next.next().is_some_and(is_library_mode)
            && next.next().is_none_or(|line| !line.starts_with(b"index "));
        return if is_empty { Style::Library } else { Style::Git };
    }
    let is_dated = first.contains(&b'\t') || first.starts_with(b"diff ");
    if first.starts_with(b"--- ") && !is_dated {
        Style::Library
    } else {
        Style::Plain
    }
}

/// The first components of old and of new names. Each is the same in the whole patch.
#[derive(Debug, Default)]
pub(super) struct Prefixes<'a> {
    old: Option<&'a [u8]>,
    new: Option<&'a [u8]>,
}

impl<'a> Prefixes<'a> {
    /// Returns an old name without its prefix.
    fn old(&mut self, name: &'a [u8]) -> Result<Path, Refused> {
        strip(&mut self.old, name)
    }

    /// Returns a new name without its prefix.
    fn new_name(&mut self, name: &'a [u8]) -> Result<Path, Refused> {
        strip(&mut self.new, name)
    }
}

/// Removes the first component of a name. It has to exist, and to be the known one.
fn strip<'a>(known: &mut Option<&'a [u8]>, name: &'a [u8]) -> Result<Path, Refused> {
    let slash = memchr::memchr(b'/', name).ok_or(Refused::NamesDiffer)?;
    let (prefix, rest) = name.split_at(slash);
    path(prefix)?;
    let path = path(rest.get(1..).unwrap_or_default())?;
    if *known.get_or_insert(prefix) == prefix {
        Ok(path)
    } else {
        Err(Refused::Prefixes)
    }
}

/// Reads a file in the given style.
pub(super) fn file<'a>(
    lines: &mut Lines<'a>,
    style: Style,
    prefixes: &mut Prefixes<'a>,
) -> Result<FilePatch<'a>, PatchError> {
    match style {
        Style::Plain => plain_file(lines, prefixes),
        Style::Git => git_file(lines, prefixes),
        Style::Library => library_file(lines, prefixes),
    }
}

/// Reads a file as `git diff` shows it.
fn git_file<'a>(
    lines: &mut Lines<'a>,
    prefixes: &mut Prefixes<'a>,
) -> Result<FilePatch<'a>, PatchError> {
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
        (Kind::Create, Some((NO_FILE, new))) => {
            Operation::Create(prefixes.new_name(git_name(new).map_err(at)?).map_err(at)?)
        }
        (Kind::Delete, Some((old, NO_FILE))) => {
            Operation::Delete(prefixes.old(git_name(old).map_err(at)?).map_err(at)?)
        }
        (Kind::Modify { .. }, Some((old, new))) => {
            let path = prefixes.old(git_name(old).map_err(at)?).map_err(at)?;
            if prefixes.new_name(git_name(new).map_err(at)?).map_err(at)? != path {
                return Err(at(Refused::NamesDiffer));
            }
            Operation::Modify(path)
        }
        (Kind::Create, None) => Operation::Create(only_name(names, prefixes).map_err(at)?),
        (Kind::Delete, None) => Operation::Delete(only_name(names, prefixes).map_err(at)?),
        // Only the mode changes.
        (Kind::Modify { mode: true }, None) if claims.is_none() => {
            Operation::Modify(only_name(names, prefixes).map_err(at)?)
        }
        (Kind::Moved { to, copy: true, .. }, _) => return Err(at(Refused::Copy(to))),
        (
            Kind::Moved {
                from, whole: false, ..
            },
            _,
        ) => return Err(at(Refused::EditedRename(from))),
        (Kind::Moved { from, to, .. }, None) => {
            if memchr::memchr_iter(b' ', names).count() != 1 {
                return Err(at(Refused::NameWithSpaces));
            }
            Operation::Rename { from, to }
        }
        _ => return Err(lines.refused(Refused::NotUnderstood)),
    };
    check_names(names, &operation, prefixes).map_err(at)?;
    // Only a change without changed bytes has no ids.
    let changes_bytes =
        body.is_some() || matches!(operation, Operation::Create(_) | Operation::Delete(_));
    if changes_bytes != claims.is_some() {
        return Err(at(Refused::Index));
    }
    let hunks = match body {
        Some(_) => hunks(lines, Style::Git)?,
        None => Vec::new(),
    };
    Ok(FilePatch {
        line,
        operation,
        claims,
        hunks,
    })
}

/// The operation in the lines between `diff --git` and `index`.
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

/// Reads a line that states the mode of a regular file. The executable bit is ignored.
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

/// Parses `OLD..NEW` or `OLD..NEW MODE`.
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

/// Parses a name after `---` or `+++` in git's style. A tab ends it exactly if it has spaces.
fn git_name(text: &[u8]) -> Result<&[u8], Refused> {
    let (name, has_tab) = match text.strip_suffix(b"\t") {
        Some(name) => (name, true),
        None => (text, false),
    };
    if has_tab == name.contains(&b' ') {
        Ok(name)
    } else {
        Err(Refused::NameWithSpaces)
    }
}

/// Returns the single file that both names after `diff --git` refer to.
fn only_name<'a>(names: &'a [u8], prefixes: &mut Prefixes<'a>) -> Result<Path, Refused> {
    let mut parts = names.split(|byte| *byte == b' ');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(old), Some(new), None) => {
            let path = prefixes.old(old)?;
            if prefixes.new_name(new)? == path {
                Ok(path)
            } else {
                Err(Refused::NamesDiffer)
            }
        }
        _ => Err(Refused::NameWithSpaces),
    }
}

/// Checks that the text after `diff --git` is the names from the other lines, in exactly one way.
fn check_names<'a>(
    names: &'a [u8],
    operation: &Operation,
    prefixes: &mut Prefixes<'a>,
) -> Result<(), Refused> {
    let (old, new) = match operation {
        Operation::Create(path) | Operation::Delete(path) | Operation::Modify(path) => (path, path),
        Operation::Rename { from, to } => (from, to),
    };
    let mut found = None;
    for at in memchr::memchr_iter(b' ', names) {
        let (before, after) = names.split_at(at);
        let after = after.get(1..).unwrap_or_default();
        let fits = |name, path| strip(&mut None, name).as_ref() == Ok(path);
        if fits(before, old) && fits(after, new) && found.replace((before, after)).is_some() {
            return Err(Refused::NamesDiffer);
        }
    }
    let (before, after) = found.ok_or(Refused::NamesDiffer)?;
    prefixes.old(before)?;
    prefixes.new_name(after)?;
    Ok(())
}

/// Reads a file as the OCaml library `patch` shows it: without dates, counts always written, one hunk.
fn library_file<'a>(
    lines: &mut Lines<'a>,
    prefixes: &mut Prefixes<'a>,
) -> Result<FilePatch<'a>, PatchError> {
    let line = lines.number();
    let at = |reason| PatchError { line, reason };
    let not_understood = lines.refused(Refused::NotUnderstood);
    let mut file = FilePatch {
        line,
        operation: Operation::Modify(Path::top()),
        claims: None,
        hunks: Vec::new(),
    };
    if let Some(names) = lines.optional(b"diff --git ")? {
        let (old, rest) = library_name(names).map_err(at)?;
        let rest = rest.strip_prefix(b" ").ok_or(not_understood)?;
        let (new, rest) = library_name(rest).map_err(at)?;
        if !rest.is_empty() {
            return Err(at(Refused::NameWithSpaces));
        }
        let mode = lines.refused(Refused::NotUnderstood);
        let mode_line = lines.body()?;
        let is_created = match mode_line.strip_suffix(b"\n") {
            Some(CREATED) => true,
            Some(DELETED) => false,
            _ => return Err(mode),
        };
        // Up to opam 2.5, both names are those of the tree that has the file.
        let path = match (old == new, is_created) {
            (true, true) => prefixes.new_name(new).map_err(at)?,
            (true, false) => prefixes.old(old).map_err(at)?,
            (false, _) => {
                let path = prefixes.old(old).map_err(at)?;
                if prefixes.new_name(new).map_err(at)? != path {
                    return Err(at(Refused::NamesDiffer));
                }
                path
            }
        };
        // An empty file is created or removed. Its id would say that it is empty.
        (file.operation, file.claims) = if is_created {
            (Operation::Create(path), Some((Claim::Absent, Claim::Empty)))
        } else {
            (Operation::Delete(path), Some((Claim::Empty, Claim::Absent)))
        };
        return Ok(file);
    }
    let old = lines.header(b"--- ")?;
    let new = lines.header(b"+++ ")?;
    let whole = |text: &'a [u8]| match library_name(text)? {
        (name, []) => Ok(name),
        _ => Err(Refused::NameWithSpaces),
    };
    file.operation = match (old, new) {
        (NO_FILE, NO_FILE) => return Err(at(Refused::NamesDiffer)),
        (NO_FILE, new) => {
            let new = whole(new).map_err(at)?;
            Operation::Create(prefixes.new_name(new).map_err(at)?)
        }
        (old, NO_FILE) => {
            let old = whole(old).map_err(at)?;
            Operation::Delete(prefixes.old(old).map_err(at)?)
        }
        (old, new) => {
            let (old, new) = (whole(old).map_err(at)?, whole(new).map_err(at)?);
            let path = prefixes.old(old).map_err(at)?;
            if prefixes.new_name(new).map_err(at)? != path {
                return Err(at(Refused::NamesDiffer));
            }
            Operation::Modify(path)
        }
    };
    file.hunks.push(Hunk::parse(lines, Style::Library)?);
    Ok(file)
}

/// The lines by which the library marks the creation and the removal of an empty file.
const CREATED: &[u8] = b"new file mode 100644";
const DELETED: &[u8] = b"deleted file mode 100644";

fn is_library_mode(line: &[u8]) -> bool {
    matches!(line, CREATED | DELETED)
}

/// Parses a name as the library writes it, in quotes exactly if it has spaces. Also returns what follows
/// it.
fn library_name(text: &[u8]) -> Result<(&[u8], &[u8]), Refused> {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        let end = memchr::memchr(b'"', quoted).ok_or(Refused::NotUnderstood)?;
        let (name, rest) = quoted.split_at(end);
        if name.contains(&b'\\') {
            return Err(Refused::NameNotText);
        }
        if !name.contains(&b' ') {
            return Err(Refused::NotUnderstood);
        }
        return Ok((name, rest.get(1..).unwrap_or_default()));
    }
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    Ok(text.split_at(end))
}

/// Reads a file as `diff -ruaN` shows it, with or without the line that repeats the command.
fn plain_file<'a>(
    lines: &mut Lines<'a>,
    prefixes: &mut Prefixes<'a>,
) -> Result<FilePatch<'a>, PatchError> {
    let line = lines.number();
    let command = lines.optional(b"diff -ruaN ")?;
    let mut side = |start, known: &mut Option<&'a [u8]>| {
        let at = lines.refused(Refused::NotUnderstood);
        Dated::parse(lines.header(start)?, known).map_err(|reason| PatchError { reason, ..at })
    };
    let old = side(b"--- ", &mut prefixes.old)?;
    let new = side(b"+++ ", &mut prefixes.new)?;
    let at = |reason| PatchError { line, reason };
    if old.path != new.path
        || command.is_some_and(|command| command != [old.name, new.name].join(&b' '))
    {
        return Err(at(Refused::NamesDiffer));
    }
    let hunks = hunks(lines, Style::Plain)?;
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
    /// The name as written.
    name: &'a [u8],
    path: Path,
    /// Whether it is dated to the beginning of 1970, which means that the file does not exist.
    is_absent: bool,
}

impl<'a> Dated<'a> {
    fn parse(text: &'a [u8], known: &mut Option<&'a [u8]>) -> Result<Self, Refused> {
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
            path: strip(known, bare)?,
            is_absent: match seconds {
                (0, 0) => true,
                // `patch` accepts any time zone, `git apply` does not.
                (seconds, _) if seconds.abs() <= NEAR => return Err(Refused::Date),
                _ => false,
            },
        })
    }
}

/// Two days in seconds: more than the difference between any two time zones.
const NEAR: i64 = 2 * 86_400;

/// Parses a date as `diff` prints it, `YYYY-MM-DD hh:mm:ss.nnnnnnnnn +hhmm`. Returns the seconds since
/// 1970, and the nanoseconds.
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
    // Days since 1970-01-01, with years that begin in March, so that the leap day is the last day of a
    // year.
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

fn path(name: &[u8]) -> Result<Path, Refused> {
    if name.contains(&b'"') {
        return Err(Refused::NameNotText);
    }
    let text = core::str::from_utf8(name).map_err(|_| Refused::NameNotText)?;
    let path = Path::parse(text).map_err(Refused::Name)?;
    // Git refuses these names on any system: where case is ignored, or names are cut to eight characters,
    // they are its own directory.
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

fn hunks<'a>(lines: &mut Lines<'a>, style: Style) -> Result<Vec<Hunk<'a>>, PatchError> {
    let mut hunks = vec![Hunk::parse(lines, style)?];
    while lines.starts_with(b"@@ ") {
        hunks.push(Hunk::parse(lines, style)?);
    }
    Ok(hunks)
}
