//! Splits bytes into tokens, by those lexical rules of opam-file-format on which all its versions agree.

use conex_core::tree::projection::Unreadable;
use memchr::{memchr, memchr_iter, memchr2};

/// Splits a file into tokens. A copy saves a position to return to.
#[derive(Clone, Copy)]
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A token in the file's own spelling. Strings include their quotes.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a [u8],
    /// The offset at which it begins, in bytes.
    pub(super) at: usize,
}

// As wide as a register: tokens are copied all the time, and partial words are slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Kind {
    /// A name without package scope.
    Ident,
    /// A name such as `ocaml:native` or `a+b:installed`, which cannot be the name of a field.
    Scoped,
    Bool,
    Int,
    /// `"..."` without a backslash: the text between the quotes is the content.
    Plain,
    /// `"""..."""` without a backslash.
    PlainTriple,
    /// A string of either form with a backslash in it.
    Escaped,
    Colon,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    OpenParen,
    CloseParen,
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`
    Relop,
    /// `+=`, `=+`, `=+=`, `:=`, `=:`
    Envop,
    /// `!` or `?`
    Pfxop,
    And,
    Or,
    End,
}

impl Kind {
    pub(super) fn is_string(self) -> bool {
        matches!(self, Kind::Plain | Kind::PlainTriple | Kind::Escaped)
    }

    pub(super) fn is_atom(self) -> bool {
        self.is_string() || matches!(self, Kind::Ident | Kind::Scoped | Kind::Bool | Kind::Int)
    }
}

/// Something that is not understood, and its position. It is cheap to pass around, unlike the [`Unreadable`] that it
/// becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) reason: &'static str,
}

impl Fault {
    pub(super) fn unreadable(self, bytes: &[u8]) -> Unreadable {
        let before = bytes.get(..self.at).unwrap_or(bytes);
        Unreadable {
            line: memchr_iter(b'\n', before).count() + 1,
            reason: self.reason.into(),
        }
    }
}

impl<'a> Lexer<'a> {
    /// Accepts `bytes` if each of them may occur somewhere in an opam file.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        clean(bytes)?;
        Ok(Lexer { bytes, at: 0 })
    }

    /// Reads the next token. At the end of the file it returns [`Kind::End`] every time.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Fault> {
        loop {
            self.blanks();
            let at = self.at;
            let Some(&first) = self.bytes.get(at) else {
                return Ok(self.token(Kind::End, at));
            };
            let (kind, length) = match first {
                b'#' => {
                    self.comment()?;
                    continue;
                }
                b'"' => return self.string(),
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => return self.word(),
                b'{' => (Kind::OpenBrace, 1),
                b'}' => (Kind::CloseBrace, 1),
                b'[' => (Kind::OpenBracket, 1),
                b']' => (Kind::CloseBracket, 1),
                b'(' => (Kind::OpenParen, 1),
                b')' => (Kind::CloseParen, 1),
                b'&' => (Kind::And, 1),
                b'|' => (Kind::Or, 1),
                b'?' => (Kind::Pfxop, 1),
                b'!' | b'<' | b'>' | b'=' | b':' | b'+' => self.operator(first)?,
                // Such comments nest in opam, which people forget.
                b'*' => return Err(self.fault("a comment other than from # to the end of a line")),
                _ => return Err(self.fault("a character that begins no token")),
            };
            self.at += length;
            return Ok(self.token(kind, at));
        }
    }

    /// Skips white space. `clean` has refused all other control characters.
    #[inline]
    fn blanks(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let blank = |&&byte: &&u8| byte <= b' ';
        self.at += rest.iter().take_while(blank).count();
    }

    fn token(&self, kind: Kind, at: usize) -> Token<'a> {
        let text = self.bytes.get(at..self.at).unwrap_or_default();
        Token { kind, text, at }
    }

    fn fault(&self, reason: &'static str) -> Fault {
        let at = self.at;
        Fault { at, reason }
    }

    fn peek(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Returns the longest operator at this position, with its length.
    fn operator(&self, first: u8) -> Result<(Kind, usize), Fault> {
        let second = self.peek(self.at + 1);
        let third = self.peek(self.at + 2);
        Ok(match (first, second) {
            (b'!' | b'<' | b'>', Some(b'=')) => (Kind::Relop, 2),
            (b'!', _) => (Kind::Pfxop, 1),
            (b'=', Some(b'+')) if third == Some(b'=') => (Kind::Envop, 3),
            (b'=', Some(b'+' | b':')) | (b'+' | b':', Some(b'=')) => (Kind::Envop, 2),
            (b'<' | b'>' | b'=', _) => (Kind::Relop, 1),
            (b':', _) => (Kind::Colon, 1),
            _ => return Err(self.fault("a lone plus")),
        })
    }

    /// Skips `#` and the rest of its line.
    ///
    /// Versions of opam before 2.0.0 read on after two bytes if no line feed follows.
    fn comment(&mut self) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(length) = memchr(b'\n', rest) else {
            return Err(self.fault("a comment without an end of line"));
        };
        self.at += length + 1;
        Ok(())
    }

    /// Reads an identifier, a boolean or an integer.
    #[inline]
    fn word(&mut self) -> Result<Token<'a>, Fault> {
        let at = self.at;
        let (end, letters) = self.run(at);
        self.at = end;
        let kind = match self.peek(end) {
            Some(b'+' | b':') => self.scope()?,
            _ => Kind::Ident,
        };
        let token = self.token(kind, at);
        let kind = match (kind, token.text) {
            (Kind::Ident, b"true" | b"false") => Kind::Bool,
            (Kind::Ident, text) if !letters => integer(text).ok_or(Fault {
                at,
                reason: "neither an identifier nor a small integer",
            })?,
            (Kind::Scoped, text) if !letters && !is_self(text) => {
                return Err(Fault {
                    at,
                    reason: NO_LETTER,
                });
            }
            _ => kind,
        };
        Ok(Token { kind, ..token })
    }

    /// Reads the rest of an identifier after its first run. opam takes as much as it can, so `flags:plugin`
    /// is one identifier and not a field.
    fn scope(&mut self) -> Result<Kind, Fault> {
        let mut kind = Kind::Ident;
        while self.peek(self.at) == Some(b'+') && self.peek(self.at + 1) != Some(b'=') {
            let at = self.at + 1;
            let (end, letters) = self.run(at);
            if !letters && self.bytes.get(at..end) != Some(b"_") {
                return Err(self.fault(NO_LETTER));
            }
            self.at = end;
            kind = Kind::Scoped;
        }
        let behind = self.peek(self.at + 1).map_or(0, word_class);
        if self.peek(self.at) == Some(b':') && behind != 0 {
            let (end, letters) = self.run(self.at + 1);
            if !letters {
                return Err(self.fault(NO_LETTER));
            }
            self.at = end;
            kind = Kind::Scoped;
        }
        Ok(kind)
    }

    /// Returns where the run of identifier characters at `at` ends, and whether it contains a letter.
    #[inline]
    fn run(&self, at: usize) -> (usize, bool) {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let mut seen = 0;
        let mut length = 0;
        for &byte in rest {
            let class = word_class(byte);
            if class == 0 {
                break;
            }
            seen |= class;
            length += 1;
        }
        (at + length, seen & LETTER != 0)
    }

    #[inline]
    fn string(&mut self) -> Result<Token<'a>, Fault> {
        let at = self.at;
        let rest = self.bytes.get(at..).unwrap_or_default();
        let (quotes, plain) = if rest.starts_with(b"\"\"\"") {
            (3, Kind::PlainTriple)
        } else {
            (1, Kind::Plain)
        };
        let mut kind = plain;
        let mut end = at + quotes;
        loop {
            let rest = self.bytes.get(end..).unwrap_or_default();
            let Some(length) = memchr2(b'"', b'\\', rest) else {
                return Err(self.fault("a string that does not end"));
            };
            let found = rest.get(length..).unwrap_or_default();
            end += length;
            if found.starts_with(b"\\") {
                kind = Kind::Escaped;
                end += escape(end, found)?;
            } else if quotes == 1 || found.starts_with(b"\"\"\"") {
                break;
            } else {
                end += 1;
            }
        }
        end += quotes;
        // Readers differ in how they count quotes, and nobody writes two strings without a space.
        if self.peek(end) == Some(b'"') {
            return Err(self.fault("a string that follows a string at once"));
        }
        self.at = end;
        Ok(self.token(kind, at))
    }
}

/// Returns the length in bytes of the escape at the beginning of `text`.
fn escape(at: usize, text: &[u8]) -> Result<usize, Fault> {
    match text {
        [
            _,
            b'\\' | b'"' | b'\'' | b'n' | b'r' | b't' | b'b' | b' ' | b'\n',
            ..,
        ] => Ok(2),
        [_, b'\r', b'\n', ..] => Ok(3),
        [_, b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => Ok(4),
        [_, b'0'..=b'1', b'0'..=b'9', b'0'..=b'9', ..]
        | [_, b'2', b'0'..=b'4', b'0'..=b'9', ..]
        | [_, b'2', b'5', b'0'..=b'5', ..] => Ok(4),
        _ => Err(Fault {
            at,
            reason: "an unknown escape",
        }),
    }
}

const NO_LETTER: &str = "an identifier part without a letter";

/// Returns the kind of a run without letters, if it consists of so few decimal digits that every machine's
/// integers can hold it.
fn integer(run: &[u8]) -> Option<Kind> {
    let digits = run.strip_prefix(b"-").unwrap_or(run);
    let small = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    small.then_some(Kind::Int)
}

/// Whether a scoped identifier begins with `_`, which means the package of the file.
fn is_self(text: &[u8]) -> bool {
    text.starts_with(b"_:") || text.starts_with(b"_+")
}

const LETTER: u8 = 2;

/// Returns the class of `byte` inside a word: 0 if it cannot occur there, otherwise whether it is a
/// [`LETTER`].
#[inline]
fn word_class(byte: u8) -> u8 {
    #[allow(
        clippy::indexing_slicing,
        reason = "evaluated by the compiler, which would say so"
    )]
    const CLASSES: [u8; 256] = {
        let mut classes = [0; 256];
        let mut byte = 0_u8;
        loop {
            classes[byte as usize] = match byte {
                b'a'..=b'z' | b'A'..=b'Z' => LETTER,
                b'0'..=b'9' | b'_' | b'-' => 1,
                _ => 0,
            };
            if byte == u8::MAX {
                break;
            }
            byte += 1;
        }
        classes
    };
    CLASSES.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Refuses characters that people do not see and programs disagree about: control characters other than
/// white space, carriage returns that do not end a line, and invalid UTF-8.
fn clean(bytes: &[u8]) -> Result<(), Fault> {
    // One branchless pass suffices for nearly all files.
    let (mut control, mut high) = (false, false);
    for &byte in bytes {
        control |= matches!(byte, 0..=8 | 11..=31 | 127); // line feed and tab are fine
        high |= !byte.is_ascii();
    }
    if control {
        let bad = bytes.iter().enumerate().find(|&(at, &byte)| match byte {
            b'\n' | b'\t' => false,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => byte.is_ascii_control(),
        });
        if let Some((at, _)) = bad {
            let reason = "a control character";
            return Err(Fault { at, reason });
        }
    }
    if high {
        core::str::from_utf8(bytes).map_err(|error| Fault {
            at: error.valid_up_to(),
            reason: "not UTF-8",
        })?;
    }
    Ok(())
}
