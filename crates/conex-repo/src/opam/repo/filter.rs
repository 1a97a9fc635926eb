//! Filters in their canonical spelling. opam prints a filter so that it reads as the same tree, but it
//! changes redundant parentheses and numbers.

use super::super::lexer::{Fault, Kind, Token};
use super::super::reader::Reader;
use super::{quoted, spelled};

/// A filter as opam reads it.
enum Filter {
    Atom(String),
    /// Two atoms and the operator between them.
    Comparison(String),
    /// `!` and `?`, the outermost first, before another filter.
    Prefixed(String, Box<Filter>),
    /// Two or more, none of them an `And`.
    And(Vec<Filter>),
    /// Two or more, none of them an `Or`.
    Or(Vec<Filter>),
}

impl Filter {
    /// Appends its tokens, each followed by a space, with only the necessary parentheses.
    fn write(&self, text: &mut String) {
        match self {
            Self::Atom(tokens) | Self::Comparison(tokens) => text.push_str(tokens),
            Self::Prefixed(prefixes, operand) => {
                text.push_str(prefixes);
                operand.write_operand(text, matches!(**operand, Self::Atom(_)));
            }
            Self::And(all) => {
                for (at, one) in all.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { "& " });
                    one.write_operand(text, !matches!(one, Self::Or(_)));
                }
            }
            Self::Or(any) => {
                for (at, one) in any.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { "| " });
                    one.write(text);
                }
            }
        }
    }

    fn write_operand(&self, text: &mut String, is_bare: bool) {
        text.push_str(if is_bare { "" } else { "( " });
        self.write(text);
        text.push_str(if is_bare { "" } else { ") " });
    }
}

/// Reads `{ filter }` after a string. Appends nothing if it is empty or only `true`.
pub(super) fn braces(reader: &mut Reader<'_, '_>) -> Result<(), Fault> {
    reader.skip()?;
    if reader.token.kind == Kind::CloseBrace {
        return reader.skip();
    }
    let filter = filter(reader, 0)?;
    if reader.token.kind != Kind::CloseBrace {
        return Err(reader.fault("a filter should end here"));
    }
    reader.skip()?;
    if !matches!(&filter, Filter::Atom(atom) if atom == "true ") {
        let mut text = String::new();
        filter.write(&mut text);
        reader.source.extend_from_slice(b"{ ");
        reader.source.extend_from_slice(text.as_bytes());
        reader.source.extend_from_slice(b"} ");
    }
    Ok(())
}

/// Reads conjunctions joined by `|`; `&` binds tighter.
fn filter(reader: &mut Reader<'_, '_>, depth: usize) -> Result<Filter, Fault> {
    let mut any = Vec::new();
    loop {
        match conjunction(reader, depth)? {
            Filter::Or(more) => any.extend(more),
            one => any.push(one),
        }
        if reader.token.kind != Kind::Or {
            return Ok(joined(any, Filter::Or));
        }
        reader.skip()?;
    }
}

fn conjunction(reader: &mut Reader<'_, '_>, depth: usize) -> Result<Filter, Fault> {
    let mut all = Vec::new();
    loop {
        match check(reader, depth)? {
            Filter::And(more) => all.extend(more),
            one => all.push(one),
        }
        if reader.token.kind != Kind::And {
            return Ok(joined(all, Filter::And));
        }
        reader.skip()?;
    }
}

fn joined(mut filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match (filters.pop(), filters.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            filters.extend(last);
            join(filters)
        }
    }
}

fn check(reader: &mut Reader<'_, '_>, depth: usize) -> Result<Filter, Fault> {
    let mut prefixes = String::new();
    while reader.token.kind == Kind::Pfxop {
        push(&mut prefixes, &reader.token);
        reader.skip()?;
    }
    let operand = if reader.token.kind == Kind::OpenParen {
        if depth >= super::super::reader::DEPTH {
            return Err(reader.fault("nested too deeply"));
        }
        reader.skip()?;
        let inner = filter(reader, depth + 1)?;
        if reader.token.kind != Kind::CloseParen {
            return Err(reader.fault("a bracket should be closed here"));
        }
        reader.skip()?;
        inner
    } else {
        comparison(reader)?
    };
    Ok(match operand {
        operand if prefixes.is_empty() => operand,
        Filter::Prefixed(more, operand) => Filter::Prefixed(prefixes + &more, operand),
        operand => Filter::Prefixed(prefixes, Box::new(operand)),
    })
}

fn comparison(reader: &mut Reader<'_, '_>) -> Result<Filter, Fault> {
    let mut text = String::new();
    atom(reader, &mut text)?;
    if reader.token.kind == Kind::Relop {
        push(&mut text, &reader.token);
        reader.skip()?;
        atom(reader, &mut text)?;
        return Ok(Filter::Comparison(text));
    }
    Ok(Filter::Atom(text))
}

/// Reads an atom. opam treats a number here as a string.
fn atom(reader: &mut Reader<'_, '_>, text: &mut String) -> Result<(), Fault> {
    let token = reader.token;
    match token.kind {
        Kind::Plain | Kind::PlainTriple | Kind::Escaped => {
            text.push_str(&spelled(token.text));
            text.push(' ');
        }
        Kind::Int => {
            let digits = String::from_utf8_lossy(token.text);
            let number: i64 = digits
                .parse()
                .map_err(|_| reader.fault("a value should stand here"))?;
            text.push_str(&quoted(number.to_string().as_bytes()));
            text.push(' ');
        }
        _ if token.kind.is_atom() => push(text, &token),
        _ => return Err(reader.fault("a value should stand here")),
    }
    reader.skip()
}

/// Appends a word or operator, which in this lexer is always ASCII.
fn push(text: &mut String, token: &Token<'_>) {
    text.push_str(&String::from_utf8_lossy(token.text));
    text.push(' ');
}
