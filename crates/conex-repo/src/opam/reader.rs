//! The grammar of an opam file, and what is left out of it.
//!
//! Every kept token is appended to the source form as it is read, and cut off again if it turns out to be
//! left out. There is no tree, and nothing is allocated but the form.

use super::bounds::Packages;
use super::fields::{self, Field};
use super::lexer::{Fault, Kind, Lexer, Token};

/// The deepest nesting of brackets, braces and sections; opam-repository needs 6.
pub(super) const DEPTH: usize = 32;

/// Appends the source form of `bytes` to `source`.
pub(super) fn read(bytes: &[u8], source: &mut Vec<u8>) -> Result<(), Fault> {
    read_items(bytes, source, |_| ())
}

/// A field or section at the top of a file: the offsets at which it and its part of the source form begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) at: usize,
    pub(super) source: usize,
}

/// Appends the source form of `bytes` to `source`, and reports each field and section.
pub(super) fn read_items(
    bytes: &[u8],
    source: &mut Vec<u8>,
    each: impl FnMut(Item),
) -> Result<(), Fault> {
    Reader::new(bytes, source)?.file(each)
}

pub(super) struct Reader<'a, 's> {
    lexer: Lexer<'a>,
    /// The next token.
    pub(super) token: Token<'a>,
    pub(super) source: &'s mut Vec<u8>,
    depth: usize,
    /// The known fields seen so far, as bits, and the other names seen.
    met: u32,
    others: Vec<Other<'a>>,
    format: Option<Format>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Other<'a> {
    kind: &'a [u8],
    /// The name of a section such as `extra-source "name"`.
    name: &'a [u8],
    at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// opam 2 converts `available` in such a file into dependencies, so there it is source.
    V1_2,
    V2_0,
}

/// A position to read again from.
#[derive(Clone, Copy)]
pub(super) struct Mark<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    source: usize,
}

impl<'a, 's> Reader<'a, 's> {
    /// Creates a reader of `bytes`, which appends what is kept to `source`.
    pub(super) fn new(bytes: &'a [u8], source: &'s mut Vec<u8>) -> Result<Self, Fault> {
        let mut lexer = Lexer::new(bytes)?;
        let token = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            source,
            depth: 0,
            met: 0,
            others: Vec::new(),
            format: None,
        })
    }

    fn file(mut self, mut each: impl FnMut(Item)) -> Result<(), Fault> {
        while self.token.kind != Kind::End {
            each(Item {
                at: self.token.at,
                source: self.source.len(),
            });
            self.item()?;
        }
        if self.format.is_none() {
            return Err(self.fault("no opam-version"));
        }
        self.others.sort_unstable();
        let twice = |pair: &[Other<'_>]| match pair {
            [one, two] if (one.kind, one.name) == (two.kind, two.name) => Some(two.at),
            _ => None,
        };
        match self.others.windows(2).find_map(twice) {
            Some(at) => Err(Fault {
                at,
                reason: REPEATED,
            }),
            None => Ok(()),
        }
    }

    /// Reads a field or a section at the top of the file.
    fn item(&mut self) -> Result<(), Fault> {
        let start = self.source.len();
        let name = self.token;
        if name.kind != Kind::Ident {
            return Err(self.fault("a field or section should begin here"));
        }
        self.keep()?;
        let field = Field::parse(name.text);
        let kept = match self.token.kind {
            Kind::Colon => {
                self.meet(field, name, b"")?;
                self.keep()?;
                self.field(field)?
            }
            Kind::OpenBrace => {
                self.meet(field, name, b"")?;
                self.section()?;
                true
            }
            _ => {
                self.meet(None, name, self.token.text)?;
                self.section()?;
                true
            }
        };
        if kept {
            self.end_line();
        } else {
            self.source.truncate(start);
        }
        Ok(())
    }

    /// Refuses a field or section that occurred before: opam takes the first, other programs the last.
    fn meet(
        &mut self,
        field: Option<Field>,
        name: Token<'a>,
        section: &'a [u8],
    ) -> Result<(), Fault> {
        let Some(field) = field else {
            self.others.push(Other {
                kind: name.text,
                name: section,
                at: name.at,
            });
            return Ok(());
        };
        if self.met & field.bit() != 0 {
            return Err(Fault {
                at: name.at,
                reason: REPEATED,
            });
        }
        self.met |= field.bit();
        Ok(())
    }

    /// Reads the value of a field. Returns whether any of it is source.
    fn field(&mut self, field: Option<Field>) -> Result<bool, Fault> {
        let Some(field) = field else {
            self.value()?;
            return Ok(true);
        };
        match field {
            Field::OpamVersion => {
                self.format()?;
                Ok(true)
            }
            Field::Synopsis | Field::Description => {
                self.string()?;
                Ok(false)
            }
            Field::Homepage | Field::Doc | Field::BugReports | Field::License | Field::Authors => {
                self.strings()?;
                Ok(false)
            }
            Field::ConflictClass => {
                self.each(|reader| {
                    reader.package_name()?;
                    reader.skip()
                })?;
                Ok(false)
            }
            Field::Available => {
                self.available()?;
                Ok(self.format == Some(Format::V1_2))
            }
            Field::Conflicts => {
                self.dependencies(Packages::Conflicting)?;
                Ok(false)
            }
            Field::XMaintenanceIntent
            | Field::XMaintained
            | Field::XCiAcceptFailures
            | Field::XReasonForArchiving => {
                self.value()?;
                Ok(false)
            }
            Field::Flags => self.flags(),
            Field::Tags => self.tags(),
            Field::Depends | Field::Depopts => {
                self.dependencies(Packages::Needed)?;
                Ok(true)
            }
            Field::Maintainer
            | Field::Build
            | Field::RunTest
            | Field::Install
            | Field::Remove
            | Field::DevRepo
            | Field::Depexts
            | Field::Patches
            | Field::Url
            | Field::XCommitHash => {
                self.value()?;
                Ok(true)
            }
        }
    }

    /// Reads the format version, which has to be one for which all of the above is true.
    fn format(&mut self) -> Result<(), Fault> {
        let format = match self.token.text {
            b"\"2.0\"" => Format::V2_0,
            b"\"1.2\"" if self.met & Field::Available.bit() == 0 => Format::V1_2,
            b"\"1.2\"" => return Err(self.fault("opam-version 1.2 behind available")),
            _ => return Err(self.fault("an opam-version other than 2.0 and 1.2")),
        };
        self.format = Some(format);
        self.keep()
    }

    fn string(&mut self) -> Result<(), Fault> {
        if !self.token.kind.is_string() {
            return Err(self.fault("a string should stand here"));
        }
        self.skip()
    }

    /// Reads a string or a list of strings.
    fn strings(&mut self) -> Result<(), Fault> {
        self.each(Self::string)
    }

    /// Calls `one` for each element of a list, or for a single element without brackets.
    pub(super) fn each(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.token.kind != Kind::OpenBracket {
            return one(self);
        }
        self.skip()?;
        while self.token.kind != Kind::CloseBracket {
            one(self)?;
        }
        self.skip()
    }

    fn flags(&mut self) -> Result<bool, Fault> {
        self.kept_of(|token| match token.kind {
            Kind::Ident => Some(!fields::is_upkeep_flag(token.text)),
            _ => None,
        })
    }

    fn tags(&mut self) -> Result<bool, Fault> {
        self.kept_of(|token| match token.kind {
            Kind::Plain | Kind::PlainTriple => Some(fields::is_flag_tag(content(token.text))),
            // It may spell `flags:` with an escape.
            Kind::Escaped => Some(true),
            _ => None,
        })
    }

    /// Reads a list and keeps the elements that `is_source` selects. Returns whether there are any.
    fn kept_of(&mut self, is_source: impl Fn(&Token<'_>) -> Option<bool>) -> Result<bool, Fault> {
        self.source.extend_from_slice(b"[ ");
        let mut any = false;
        self.each(|reader| match is_source(&reader.token) {
            Some(true) => {
                any = true;
                reader.keep()
            }
            Some(false) => reader.skip(),
            None => Err(reader.fault("not what a list of flags or tags is made of")),
        })?;
        self.source.extend_from_slice(b"] ");
        Ok(any)
    }

    /// Reads a filter, possibly in a list of one.
    fn available(&mut self) -> Result<(), Fault> {
        if self.token.kind != Kind::OpenBracket {
            return self.filter();
        }
        self.keep()?;
        if self.token.kind != Kind::CloseBracket {
            self.filter()?;
        }
        self.close(Kind::CloseBracket)
    }

    /// Reads atoms, comparisons of atoms, and formulas of them.
    fn filter(&mut self) -> Result<(), Fault> {
        loop {
            self.check()?;
            if !matches!(self.token.kind, Kind::And | Kind::Or) {
                return Ok(());
            }
            self.keep()?;
        }
    }

    /// Reads one operand of `&` or `|` in a filter.
    pub(super) fn check(&mut self) -> Result<(), Fault> {
        while self.token.kind == Kind::Pfxop {
            self.keep()?;
        }
        if self.token.kind == Kind::OpenParen {
            self.open()?;
            self.filter()?;
            return self.close_nested(Kind::CloseParen);
        }
        self.atom()?;
        if self.token.kind == Kind::Relop {
            self.keep()?;
            self.atom()?;
        }
        Ok(())
    }

    /// Reads `{ ... }`, named or not: fields and sections, all of them source.
    pub(super) fn section(&mut self) -> Result<(), Fault> {
        if self.token.kind.is_string() {
            self.keep()?;
        }
        if self.token.kind != Kind::OpenBrace {
            return Err(self.fault("neither a field nor a section"));
        }
        self.open()?;
        while self.token.kind != Kind::CloseBrace {
            if self.token.kind != Kind::Ident {
                return Err(self.fault("a field or section should begin here"));
            }
            self.keep()?;
            if self.token.kind == Kind::Colon {
                self.keep()?;
                self.value()?;
            } else {
                self.section()?;
            }
        }
        self.close_nested(Kind::CloseBrace)
    }

    /// Reads any value of the format and keeps it unchanged.
    pub(super) fn value(&mut self) -> Result<(), Fault> {
        loop {
            while self.token.kind == Kind::Pfxop {
                self.keep()?;
            }
            match self.token.kind {
                Kind::OpenParen => self.values(Kind::CloseParen)?,
                Kind::OpenBracket => self.values(Kind::CloseBracket)?,
                Kind::Relop => {
                    self.keep()?;
                    self.atom()?;
                }
                _ => {
                    self.atom()?;
                    if matches!(self.token.kind, Kind::Relop | Kind::Envop) {
                        self.keep()?;
                        self.atom()?;
                    }
                }
            }
            while self.token.kind == Kind::OpenBrace {
                self.values(Kind::CloseBrace)?;
            }
            if !matches!(self.token.kind, Kind::And | Kind::Or) {
                return Ok(());
            }
            self.keep()?;
        }
    }

    /// Reads a bracket and the values in it, up to `close`.
    fn values(&mut self, close: Kind) -> Result<(), Fault> {
        self.open()?;
        while self.token.kind != close {
            self.value()?;
        }
        self.close_nested(close)
    }

    #[inline]
    pub(super) fn atom(&mut self) -> Result<(), Fault> {
        if !self.token.kind.is_atom() {
            return Err(self.fault("a value should stand here"));
        }
        self.keep()
    }

    /// Keeps an opening bracket.
    #[inline]
    pub(super) fn open(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.fault("nested too deeply"));
        }
        self.keep()
    }

    /// Keeps the bracket that closes what [`Reader::open`] opened.
    pub(super) fn close_nested(&mut self, close: Kind) -> Result<(), Fault> {
        self.depth -= 1;
        self.close(close)
    }

    #[inline]
    pub(super) fn close(&mut self, close: Kind) -> Result<(), Fault> {
        if self.token.kind != close {
            return Err(self.fault("a bracket should be closed here"));
        }
        self.keep()
    }

    /// Appends the next token to the source form.
    #[inline]
    pub(super) fn keep(&mut self) -> Result<(), Fault> {
        self.source.extend_from_slice(self.token.text);
        self.source.push(b' ');
        self.skip()
    }

    /// Leaves the next token out.
    #[inline]
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    fn end_line(&mut self) {
        if let Some(space) = self.source.last_mut() {
            *space = b'\n';
        }
    }

    pub(super) fn mark(&self) -> Mark<'a> {
        Mark {
            lexer: self.lexer,
            token: self.token,
            source: self.source.len(),
        }
    }

    pub(super) fn rewind(&mut self, mark: Mark<'a>) {
        self.lexer = mark.lexer;
        self.token = mark.token;
        self.source.truncate(mark.source);
    }

    pub(super) fn fault(&self, reason: &'static str) -> Fault {
        Fault {
            at: self.token.at,
            reason,
        }
    }
}

pub(super) const REPEATED: &str = "a field or section that was there before";

/// Returns the text between the quotes of a plain string.
pub(super) fn content(string: &[u8]) -> &[u8] {
    let inside = |quotes: &[u8]| string.strip_prefix(quotes)?.strip_suffix(quotes);
    inside(b"\"\"\"")
        .or_else(|| inside(b"\""))
        .unwrap_or(string)
}
