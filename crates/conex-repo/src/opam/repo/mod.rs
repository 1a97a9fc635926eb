//! The projection `repo/1`: the signed part of the file `repo` (spec section 7.8).
//!
//! Servers rewrite this file: they add a stamp, and opam prints what it has read. The form therefore
//! depends on what opam reads, not on its spelling: fields by name, strings by content, filters as trees.
//! Fields that opam does not know are kept token by token. No I/O.

mod filter;

#[cfg(test)]
mod tests;

use core::fmt::Write as _;

use conex_core::tree::projection::{Projection, Unreadable};

use super::lexer::{Fault, Kind, Token};
use super::reader::{REPEATED, Reader};
use super::values::unescaped;

/// The projection `repo/1` of the file `repo` at the top of opam repositories.
///
/// The form has one line for each signed field, sorted by name. `stamp`, `upstream` and `browse` belong to
/// the server: opam does nothing with them.
#[derive(Debug, Clone, Copy, Default)]
pub struct RepoProjection;

impl Projection for RepoProjection {
    fn name(&self) -> &'static str {
        "repo/1"
    }

    fn project(&self, bytes: &[u8], source: &mut Vec<u8>) -> Result<(), Unreadable> {
        read(bytes, source).map_err(|fault| fault.unreadable(bytes))
    }
}

/// A field or section: its name, the name of the section, its offset, and its line in the form, if any.
struct Item<'a> {
    name: &'a [u8],
    section: &'a [u8],
    at: usize,
    line: Option<Vec<u8>>,
}

fn read(bytes: &[u8], source: &mut Vec<u8>) -> Result<(), Fault> {
    let mut line = Vec::new();
    let mut reader = Reader::new(bytes, &mut line)?;
    let mut items = Vec::new();
    while reader.token.kind != Kind::End {
        items.push(item(&mut reader)?);
    }
    items.sort_by(|a, b| (a.name, a.section, a.at).cmp(&(b.name, b.section, b.at)));
    let twice = items.windows(2).find_map(|pair| match pair {
        [one, two] if (one.name, one.section) == (two.name, two.section) => Some(two.at),
        _ => None,
    });
    if let Some(at) = twice {
        return Err(Fault {
            at,
            reason: REPEATED,
        });
    }
    for mut line in items.into_iter().filter_map(|item| item.line) {
        // A line feed, not a space, follows the last token.
        line.pop();
        source.append(&mut line);
        source.push(b'\n');
    }
    Ok(())
}

fn item<'a>(reader: &mut Reader<'a, '_>) -> Result<Item<'a>, Fault> {
    let name = reader.token;
    if name.kind != Kind::Ident {
        return Err(reader.fault("a field or section should begin here"));
    }
    reader.source.clear();
    reader.keep()?;
    let mut section: &[u8] = b"";
    let is_kept = if reader.token.kind == Kind::Colon {
        reader.keep()?;
        field(reader, name.text)?
    } else {
        if reader.token.kind.is_string() {
            section = reader.token.text;
        }
        reader.section()?;
        true
    };
    Ok(Item {
        name: name.text,
        section,
        at: name.at,
        line: is_kept.then(|| core::mem::take(reader.source)),
    })
}

/// Reads the value of a field. Returns whether any of it is signed.
fn field(reader: &mut Reader<'_, '_>, name: &[u8]) -> Result<bool, Fault> {
    match name {
        b"stamp" | b"upstream" | b"browse" => {
            server(reader)?;
            Ok(false)
        }
        b"opam-version" => {
            let is_known = reader.token.kind.is_string()
                && matches!(unescaped(reader.token.text).as_slice(), b"2.0" | b"1.2");
            if !is_known {
                return Err(reader.fault("an opam-version other than 2.0 and 1.2"));
            }
            string(reader)?;
            Ok(true)
        }
        b"archive-mirrors" => list(reader, string),
        b"redirect" | b"announce" => list(reader, |reader| {
            string(reader)?;
            if reader.token.kind == Kind::OpenBrace {
                filter::braces(reader)?;
            }
            Ok(())
        }),
        _ => {
            reader.value()?;
            Ok(true)
        }
    }
}

/// Reads a string that servers may choose. It may not contain anything hidden from people who look at the
/// file.
fn server(reader: &mut Reader<'_, '_>) -> Result<(), Fault> {
    let Token { kind, text, .. } = reader.token;
    if kind != Kind::Plain || text.iter().any(u8::is_ascii_control) {
        return Err(reader.fault("not a plain string in one line"));
    }
    reader.skip()
}

/// Reads a list, or its only element without brackets; the form always has brackets. Returns whether it has
/// any element: opam treats an empty list as absent.
fn list<'a, 's>(
    reader: &mut Reader<'a, 's>,
    mut one: impl FnMut(&mut Reader<'a, 's>) -> Result<(), Fault>,
) -> Result<bool, Fault> {
    reader.source.extend_from_slice(b"[ ");
    let mut any = false;
    reader.each(|reader| {
        any = true;
        one(reader)
    })?;
    reader.source.extend_from_slice(b"] ");
    Ok(any)
}

/// Reads a string and appends its canonical spelling.
fn string(reader: &mut Reader<'_, '_>) -> Result<(), Fault> {
    if !reader.token.kind.is_string() {
        return Err(reader.fault("a string should stand here"));
    }
    let text = spelled(reader.token.text);
    reader.source.extend_from_slice(text.as_bytes());
    reader.source.push(b' ');
    reader.skip()
}

/// Returns the canonical spelling of a string: printable ASCII unchanged, the quote and the backslash after
/// a backslash, every other byte in hexadecimal digits.
fn spelled(string: &[u8]) -> String {
    let bytes = unescaped(string);
    quoted(&bytes)
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => _ = write!(text, "\\x{byte:02x}"),
        }
    }
    text.push('"');
    text
}
