//! The files in which opam keeps its own configuration, as far as their values go.
//!
//! They have the syntax of opam files. Here nothing is left out or kept: what is read is looked at
//! by a person's tool, and decides nothing about a repository.

use conex_core::projection::Unreadable;

use super::lexer::{Fault, Kind, Lexer, Token};

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string, without quotes and escapes.
    Text(String),
    /// A name, number or operator.
    Word(String),
    /// What stands in brackets or parentheses, or on both sides of operators.
    List(Vec<Self>),
    /// A value, and what stands in braces after it.
    Option(Box<Self>, Vec<Self>),
}

impl Value {
    /// The value itself, and each pair of braces after it, in their order.
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

    /// The members of a list; any other value is a list of itself.
    pub fn members(&self) -> &[Self] {
        match self {
            Self::List(members) => members,
            other => core::slice::from_ref(other),
        }
    }

    /// The content of a string, name, number or operator.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads the fields of a file, in their order; sections are passed over.
///
/// # Errors
/// [`Unreadable`] where the file is not in the syntax of opam files.
pub fn fields(bytes: &[u8]) -> Result<Vec<(String, Value)>, Unreadable> {
    let read = || {
        let mut lexer = Lexer::new(bytes)?;
        let token = lexer.next()?;
        let mut reader = Reader { lexer, token };
        let mut fields = Vec::new();
        while reader.token.kind != Kind::End {
            let name = text(&reader.token);
            reader.expect(Kind::Ident, "a field or section begins with its name")?;
            if reader.token.kind == Kind::Colon {
                reader.next()?;
                fields.push((name, reader.value(0)?));
                continue;
            }
            if reader.token.kind.is_string() {
                reader.next()?;
            }
            reader.expect(Kind::OpenBrace, "a name without a value")?;
            let mut depth = 1_usize;
            while depth > 0 {
                match reader.token.kind {
                    Kind::OpenBrace => depth += 1,
                    Kind::CloseBrace => depth -= 1,
                    Kind::End => return Err(reader.fault("a section that does not end")),
                    _ => {}
                }
                reader.next()?;
            }
        }
        Ok(fields)
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

    /// A value of a field: one, or several with operators between them.
    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut members = vec![self.one(depth)?];
        while is_operator(self.token.kind) {
            members.push(Value::Word(text(&self.token)));
            self.next()?;
            members.push(self.one(depth)?);
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
            kind if kind.is_string() => Value::Text(unescaped(&text(&self.token))),
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

    /// What stands between the token that opens and the one that closes; ends at the latter.
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
    matches!(kind, Kind::And | Kind::Or | Kind::Relop | Kind::Pfxop)
}

fn text(token: &Token<'_>) -> String {
    String::from_utf8_lossy(token.text).into_owned()
}

/// A string without its quotes and escapes. Escapes of bytes by number stay as they are: nothing that
/// is looked for has any.
fn unescaped(string: &str) -> String {
    let triple = string
        .strip_prefix("\"\"\"")
        .and_then(|rest| rest.strip_suffix("\"\"\""));
    let single = || string.strip_prefix('"')?.strip_suffix('"');
    let content = triple.or_else(single).unwrap_or(string);
    let mut text = String::with_capacity(content.len());
    let mut characters = content.chars();
    while let Some(found) = characters.next() {
        if found != '\\' {
            text.push(found);
            continue;
        }
        match characters.next() {
            Some(escaped @ ('"' | '\\' | '\'' | ' ')) => text.push(escaped),
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('\n') | None => {}
            Some(other) => text.extend(['\\', other]),
        }
    }
    text
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
section "name" { x: [ { } ] }
depext: true
"#;
        let fields = fields(file).unwrap();
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["opam-version", "repositories", "command", "ocaml", "depext"]
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
            b"x: \0",
            &deep,
        ] {
            assert!(fields(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        assert_eq!(fields(b"").unwrap(), []);
    }
}
