//! The values in a file of opam's syntax: an opam file, or one of opam's own configuration.
//!
//! Nothing is left out or kept here: tools show the values to people, and they decide nothing about a
//! repository. A file that has to be read as opam reads it goes through `reader` first.

use conex_core::tree::projection::Unreadable;

use super::lexer::{Fault, Kind, Lexer, Token};

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string, without quotes and escapes.
    Text(String),
    /// A name, number or operator.
    Word(String),
    /// The contents of brackets or parentheses, or the operands of operators.
    List(Vec<Self>),
    /// A value, and the contents of the braces after it.
    Option(Box<Self>, Vec<Self>),
    /// The fields of a section, with its name, if it has one.
    Section(Option<String>, Vec<(String, Self)>),
}

impl Value {
    /// Returns the value itself, and each pair of braces after it, in order.
    pub fn options(&self) -> (&Self, Vec<&[Self]>) {
        match self {
            Self::Option(value, braces) => {
                let (value, mut all) = value.options();
                all.push(braces);
                (value, all)
            }
            other => (other, Vec::new()),
        }
    }

    /// Returns the members of a list. Any other value counts as a list with one member.
    pub fn members(&self) -> &[Self] {
        match self {
            Self::List(members) => members,
            other => core::slice::from_ref(other),
        }
    }

    /// Returns the content of a string, name, number or operator.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads the fields and sections of a file, in order.
///
/// # Errors
/// [`Unreadable`] if the file is not in the syntax of opam files.
pub fn fields(bytes: &[u8]) -> Result<Vec<(String, Value)>, Unreadable> {
    let read = || {
        let mut lexer = Lexer::new(bytes)?;
        let token = lexer.next()?;
        Reader { lexer, token }.fields(Kind::End, 0)
    };
    read().map_err(|fault: Fault| fault.unreadable(bytes))
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<(), Fault> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    fn fault(&self, reason: &'static str) -> Fault {
        Fault {
            at: self.token.at,
            reason,
        }
    }

    fn expect(&mut self, kind: Kind, reason: &'static str) -> Result<(), Fault> {
        if self.token.kind != kind {
            return Err(self.fault(reason));
        }
        self.next()
    }

    /// Reads fields and sections up to `close`.
    fn fields(&mut self, close: Kind, depth: usize) -> Result<Vec<(String, Value)>, Fault> {
        if depth > super::reader::DEPTH {
            return Err(self.fault("too deeply nested"));
        }
        let mut fields = Vec::new();
        while self.token.kind != close {
            let name = text(&self.token);
            self.expect(Kind::Ident, "a field or section begins with its name")?;
            let value = if self.token.kind == Kind::Colon {
                self.next()?;
                self.value(depth)?
            } else {
                self.section(depth)?
            };
            fields.push((name, value));
        }
        Ok(fields)
    }

    fn section(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut name = None;
        if self.token.kind.is_string() {
            name = Some(readable(self.token.text));
            self.next()?;
        }
        self.expect(Kind::OpenBrace, "a name without a value")?;
        let fields = self.fields(Kind::CloseBrace, depth + 1)?;
        self.next()?;
        Ok(Value::Section(name, fields))
    }

    /// Reads a value of a field: one value, or several with operators before and between them.
    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut members = Vec::new();
        loop {
            while is_operator(self.token.kind) {
                members.push(Value::Word(text(&self.token)));
                self.next()?;
            }
            members.push(self.one(depth)?);
            if !is_operator(self.token.kind) {
                break;
            }
        }
        Ok(match (members.pop(), members.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                members.extend(last);
                Value::List(members)
            }
        })
    }

    fn one(&mut self, depth: usize) -> Result<Value, Fault> {
        if depth > super::reader::DEPTH {
            return Err(self.fault("too deeply nested"));
        }
        let mut value = match self.token.kind {
            kind if kind.is_string() => Value::Text(readable(self.token.text)),
            kind if kind.is_atom() || is_operator(kind) => Value::Word(text(&self.token)),
            Kind::OpenBracket => Value::List(self.until(Kind::CloseBracket, depth)?),
            Kind::OpenParen => Value::List(self.until(Kind::CloseParen, depth)?),
            _ => return Err(self.fault("this is no value")),
        };
        self.next()?;
        while self.token.kind == Kind::OpenBrace {
            let braces = self.until(Kind::CloseBrace, depth)?;
            value = Value::Option(Box::new(value), braces);
            self.next()?;
        }
        Ok(value)
    }

    /// Reads the contents between an opening and a closing token. Stops at the latter.
    fn until(&mut self, close: Kind, depth: usize) -> Result<Vec<Value>, Fault> {
        self.next()?;
        let mut values = Vec::new();
        while self.token.kind != close {
            values.push(self.one(depth + 1)?);
        }
        Ok(values)
    }
}

fn is_operator(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::And | Kind::Or | Kind::Relop | Kind::Envop | Kind::Pfxop
    )
}

fn text(token: &Token<'_>) -> String {
    String::from_utf8_lossy(token.text).into_owned()
}

/// Returns a string as text, without its quotes and escapes.
fn readable(string: &[u8]) -> String {
    match String::from_utf8(unescaped(string)) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Returns the content of a string. The lexer accepts no other escapes.
pub(super) fn unescaped(string: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(string.len());
    let mut rest = super::reader::content(string);
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => (number(&[*high, *low], 16), after),
            (b'\\', [a @ b'0'..=b'9', b, c, after @ ..]) => (number(&[*a, *b, *c], 10), after),
            (b'\\', [b'n', after @ ..]) => (Some(b'\n'), after),
            (b'\\', [b'r', after @ ..]) => (Some(b'\r'), after),
            (b'\\', [b't', after @ ..]) => (Some(b'\t'), after),
            (b'\\', [b'b', after @ ..]) => (Some(8), after),
            // The line continues without its leading blanks.
            (b'\\', [b'\n', after @ ..] | [b'\r', b'\n', after @ ..]) => {
                let is_blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
                let blanks = after.iter().take_while(is_blank).count();
                (None, after.get(blanks..).unwrap_or_default())
            }
            // A line ending is one character, in either spelling.
            (b'\r', after @ [b'\n', ..]) => (None, after),
            (b'\\', [other, after @ ..]) => (Some(*other), after),
            (first, after) => (Some(first), after),
        };
        text.extend(byte);
        rest = after;
    }
    text
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    u8::from_str_radix(core::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn word(text: &str) -> Value {
        Value::Word(text.into())
    }

    #[test]
    fn what_opam_writes_is_read() {
        let file = br#"opam-version: "2.0"
repositories: [
  "plain" {"https://example.org"}
  "signed" {"https://example.org"} {"origin:x" "SHA256:a/b+"} {2}
]
command: ["conex" "--dir=%{dir}%" {!incremental} "a \"b\" \\r"]
ocaml: "ocaml" {>= "4.05" & < "5"}
section "name" { x: [ y ] z {} }
depext: true
"#;
        let fields = fields(file).unwrap();
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "opam-version",
                "repositories",
                "command",
                "ocaml",
                "section",
                "depext"
            ]
        );
        let [plain, signed] = fields[1].1.members() else {
            panic!("{fields:?}")
        };
        assert_eq!(plain.options().0, &text("plain"));
        let (name, braces) = signed.options();
        assert_eq!(name, &text("signed"));
        assert_eq!(
            braces,
            [
                &[text("https://example.org")][..],
                &[text("origin:x"), text("SHA256:a/b+")],
                &[word("2")],
            ]
        );
        let command = fields[2].1.members();
        assert_eq!(command[0], text("conex"));
        let (dir, braces) = command[1].options();
        assert_eq!(dir, &text("--dir=%{dir}%"));
        assert_eq!(braces, [[word("!"), word("incremental")]]);
        assert_eq!(command[2], text("a \"b\" \\r"));
        let inner = vec![
            ("x".to_owned(), Value::List(vec![word("y")])),
            ("z".to_owned(), Value::Section(None, vec![])),
        ];
        assert_eq!(fields[4].1, Value::Section(Some("name".into()), inner));
    }

    #[test]
    fn escapes_are_read_as_opam_reads_them() {
        for (spelt, meant) in [
            (&br#""a\"b\\c\'d\ e\n\t""#[..], "a\"b\\c'd e\n\t"),
            (br#""B\195\188nzli \x41""#, "Bünzli A"),
            (br#""\255""#, "\u{fffd}"),
            (b"\"one \\\n   two\"", "one two"),
            (b"\"\"\"a \"b\" \\\"c\"\"\"", "a \"b\" \"c"),
        ] {
            let file = [b"x: ", spelt].concat();
            let fields = fields(&file).unwrap();
            assert_eq!(fields[0].1, text(meant), "{}", spelt.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_opam_file_is_refused() {
        let deep = [b"x: ".to_vec(), vec![b'['; 100_000]].concat();
        for bytes in [
            &b"x"[..],
            b"x:",
            b"x: [",
            b"x: \"",
            b"x: ]",
            b": x",
            b"x {",
            b"x { y }",
            b"x: [ { } ]",
            b"x: \"a\" &",
            b"x: \0",
            &deep,
        ] {
            assert!(fields(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        assert_eq!(fields(b"").unwrap(), []);
    }
}
