//! The header of a member, limited to what every program reads alike (POSIX.1-2017, `pax`, "ustar
//! Interchange Format").

/// The size in bytes of a header, and the unit to which data is padded.
pub(super) const BLOCK: usize = 512;

/// A block of the archive.
pub(super) type Block = [u8; BLOCK];

/// The relevant fields of a header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: u8,
    pub(super) size: u64,
    /// The name as stored, including its prefix.
    pub(super) name: Vec<u8>,
}

/// The magic of POSIX archives, in which a prefix precedes the name.
const POSIX: &[u8] = b"ustar\0";

/// The magic of GNU archives, which use the field of the prefix for something else.
const GNU: &[u8] = b"ustar  \0";

impl Header {
    /// Reads a header. An error describes the fault, or how programs differ.
    pub(super) fn parse(block: &Block) -> Result<Self, &'static str> {
        let field = |from: usize, to: usize| block.get(from..to).unwrap_or_default();
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        let own: u32 = field(148, 156).iter().map(|byte| u32::from(*byte)).sum();
        let expected = octal(field(148, 156))?.ok_or("it has no checksum")?;
        if u64::from(sum - own + 8 * u32::from(b' ')) != expected {
            return Err("its checksum is wrong");
        }
        // opam 2.6 parses each of these numbers, although none of them matters.
        for (from, to) in [(100, 108), (108, 116), (116, 124), (136, 148)] {
            octal(field(from, to))?;
        }
        let size = octal(field(124, 136))?.ok_or("it has no size")?;
        let prefix = if field(257, 263) == POSIX {
            octal(field(329, 337))?;
            octal(field(337, 345))?;
            text(field(345, 500))
        } else if field(257, 265) == GNU {
            octal(field(329, 337))?;
            octal(field(337, 345))?;
            if !text(field(345, 500)).is_empty() {
                return Err("it has old GNU fields, which opam 2.6 takes for a part of the name");
            }
            &[]
        } else if field(257, 263).iter().all(|byte| *byte == 0) {
            &[]
        } else {
            return Err("it is of a kind of archive that programs read differently");
        };
        let own = text(field(0, 100));
        // Some programs give an extension no name, and it needs none.
        if own.is_empty() && (!prefix.is_empty() || !matches!(block.get(156), Some(b'x' | b'g'))) {
            return Err("it has no name");
        }
        let name = if prefix.is_empty() {
            own.to_vec()
        } else {
            [prefix, b"/", own].concat()
        };
        let kind = block.get(156).copied().unwrap_or_default();
        Ok(Self { kind, size, name })
    }
}

/// Returns the bytes before the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Parses an octal number with optional blanks before it and blanks or zeros after it. Returns `None`
/// without any digits.
fn octal(field: &[u8]) -> Result<Option<u64>, &'static str> {
    if field.first().is_some_and(|byte| *byte >= 0x80) {
        return Err("it has a number in base 256, which opam 2.6 cannot read");
    }
    let blanks = field.iter().take_while(|byte| **byte == b' ').count();
    let rest = field.get(blanks..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| (b'0'..=b'7').contains(byte));
    let count = digits.clone().count();
    let behind = rest.get(count..).unwrap_or_default();
    if !behind.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Err("it has a number that is not octal");
    }
    // There are at most twelve digits.
    let value = digits.fold(0, |sum, digit| sum * 8 + u64::from(digit - b'0'));
    Ok((count > 0).then_some(value))
}

/// The contents of an extended header, which apply to the next member.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
}

impl Extended {
    /// Reads the records of an extended header. Each key may occur once: of two, opam 2.6 takes the first,
    /// and tar the last.
    pub(super) fn parse(mut records: &[u8]) -> Result<Self, &'static str> {
        let mut found = Self::default();
        let mut keys: Vec<&[u8]> = Vec::new();
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or("its extension is damaged")?;
            if keys.contains(&key) {
                return Err("its extension says one thing twice");
            }
            keys.push(key);
            if value.is_empty() || value.contains(&0) {
                return Err("its extension is damaged");
            }
            match key {
                b"path" => found.path = Some(value.to_vec()),
                b"size" => found.size = Some(decimal(value).ok_or("its extension is damaged")?),
                b"uid" | b"gid" => {
                    decimal(value).ok_or("its extension is damaged")?;
                }
                b"mtime" | b"atime" | b"ctime" => time(value).ok_or("its extension is damaged")?,
                b"uname" | b"gname" | b"comment" => {}
                _ => return Err("it has an extension that is not known"),
            }
            records = rest;
        }
        Ok(found)
    }

    /// Checks that a global header contains only comments, such as the commit that `git archive` names.
    pub(super) fn only_comment(mut records: &[u8]) -> Result<(), &'static str> {
        while !records.is_empty() {
            let (key, _, rest) =
                record(records).ok_or("an extension for all members is damaged")?;
            if key != b"comment" {
                return Err("an extension changes all members");
            }
            records = rest;
        }
        Ok(())
    }
}

/// Splits off the first record. Returns its key, its value and the rest.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = records.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(records.get(..digits)?)?).ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let body = record.get(digits + 1..)?.strip_suffix(b"\n")?;
    let middle = body.iter().position(|byte| *byte == b'=')?;
    Some((body.get(..middle)?, body.get(middle + 1..)?, rest))
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// Checks a time in seconds, which may have a fraction and may lie before 1970.
fn time(text: &[u8]) -> Option<()> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    decimal(parts.next()?)?;
    let is_fraction = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    parts.next().is_none_or(is_fraction).then_some(())
}

/// Reads a long name from the separate member that GNU tar writes for it. The name ends with its only zero.
pub(super) fn long_name(data: &[u8]) -> Result<Vec<u8>, &'static str> {
    match data.split_last() {
        Some((0, name)) if !name.is_empty() && !name.contains(&0) => Ok(name.to_vec()),
        _ => Err("it has a long name that programs read differently"),
    }
}
