//! Faults of an opam file that make clients lose more than its own release. They are reported to people and
//! decide nothing.

use core::fmt;

use super::lexer::{Kind, Lexer};
use super::values;
use super::version::compare;

/// Why some versions of opam cannot load any package of a repository that contains this file.
///
/// Found with opam 2.1.2, 2.3.0, 2.5.2 and 2.6.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// The file begins with an `opam-version` above 2.0.
    TooNew(String),
    /// There is no `opam-version`.
    NoVersion,
    /// It has a number that opam cannot represent, given in the file's own spelling. opam reads a lone `_`
    /// as a number.
    Number(String),
}

impl Loss {
    /// Returns the loss that an opam file causes, if any.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let begins_with = begins_with(bytes);
        if let Some(version) = &begins_with
            && compare(without_patch(version), "2.0").is_gt()
        {
            return Some(Self::TooNew(version.clone()));
        }
        if let Some(number) = number(bytes) {
            return Some(Self::Number(number));
        }
        let is_named = match values::fields(bytes) {
            Ok(fields) => fields.iter().any(|(name, _)| name == NAME),
            // opam may read a file that cannot be read here.
            Err(_) => memchr::memmem::find(bytes, NAME.as_bytes()).is_some(),
        };
        (!is_named).then_some(Self::NoVersion)
    }

    /// Returns the versions of opam that cannot load the repository.
    pub fn clients(&self) -> &'static str {
        match self {
            Self::TooNew(_) => "opam up to 2.2",
            Self::NoVersion => "every opam",
            Self::Number(_) => "opam 2.6",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooNew(version) => write!(f, "its opam-version is {}", version.escape_debug()),
            Self::NoVersion => f.write_str("it has no opam-version"),
            Self::Number(number) => write!(f, "it has the number {number}"),
        }
    }
}

const NAME: &str = "opam-version";

/// Returns the version that opam sees before it reads anything else.
fn begins_with(bytes: &[u8]) -> Option<String> {
    let mut lexer = Lexer::new(bytes).ok()?;
    let [name, colon, version] = [lexer.next().ok()?, lexer.next().ok()?, lexer.next().ok()?];
    let is_it = name.kind == Kind::Ident
        && name.text == NAME.as_bytes()
        && colon.kind == Kind::Colon
        && version.kind.is_string();
    let version = values::unescaped(version.text);
    is_it.then(|| String::from_utf8_lossy(&version).into_owned())
}

/// Returns a version as opam compares it: at most two numbers, and nothing after them.
fn without_patch(version: &str) -> &str {
    let mut dots = version.match_indices('.');
    let end = match (dots.next(), dots.next()) {
        (Some(_), Some((second, _))) => second,
        _ => version
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
            .count(),
    };
    version.get(..end).unwrap_or(version)
}

/// Returns the first number that opam cannot represent, if the file can be read up to it.
fn number(bytes: &[u8]) -> Option<String> {
    let mut lexer = Lexer::new(bytes).ok()?;
    let at = loop {
        match lexer.next() {
            Ok(token) if token.kind == Kind::End => return None,
            Ok(_) => {}
            Err(fault) => break fault.at,
        }
    };
    let rest = bytes.get(at..)?;
    let in_word = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let word = rest.iter().take_while(in_word).count();
    let word = core::str::from_utf8(rest.get(..word)?).ok()?;
    let digits = word.strip_prefix('-').unwrap_or(word);
    let is_number = |digit: char| digit.is_ascii_digit() || digit == '_';
    if digits.is_empty() || !digits.chars().all(is_number) {
        return None;
    }
    // OCaml integers have 63 bits.
    let held = !digits.starts_with('_')
        && word
            .replace('_', "")
            .parse::<i64>()
            .is_ok_and(|number| (-(1 << 62)..1 << 62).contains(&number));
    (!held).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each result matches how the four versions of opam load a repository with this file and others.
    #[test]
    fn a_file_that_stops_clients_is_told_from_one_that_does_not() {
        let new = |version: &str| Some(Loss::TooNew(version.into()));
        let number = |text: &str| Some(Loss::Number(text.into()));
        for (file, loss) in [
            ("opam-version: \"2.0\"\nsynopsis: \"x\"\n", None),
            ("opam-version: \"2.1\"\nsynopsis: \"x\"\n", new("2.1")),
            ("# x\n\nopam-version:\n\"\"\"3\"\"\" x", new("3")),
            ("opam-version: \"2.7\"\n}}\n", new("2.7")),
            ("opam-version: \"2.0.1\"\n", None),
            ("opam-version: \"2.0~rc\"\n", None),
            ("opam-version: \"1.2\"\n", None),
            ("opam-version: \"x\"\n", None),
            ("opam-version: \"\"\n", None),
            // Only this release is skipped.
            ("synopsis: \"x\"\nopam-version: \"2.1\"\n", None),
            ("opam-version: x\n", None),
            ("opam-version: \"2.0\"\n}}\n", None),
            ("synopsis: \"x\"\nopam-version: \"2.0\"\n", None),
            ("synopsis: \"x\"\n", Some(Loss::NoVersion)),
            ("", Some(Loss::NoVersion)),
            ("(* x *) synopsis: \"x\"\n", Some(Loss::NoVersion)),
            ("(* x *) opam-version: \"2.0\"\n", None),
            ("opam-version: \"2.0\"\nx: _\n", number("_")),
            ("opam-version: \"2.0\"\nx: [-_]\n", number("-_")),
            ("opam-version: \"2.0\"\nmessages: \"a\" {_:}\n", number("_")),
            (
                "opam-version: \"2.0\"\nx: 4611686018427387904\n",
                number("4611686018427387904"),
            ),
            ("opam-version: \"2.0\"\nx: 4611686018427387903\n", None),
            ("opam-version: \"2.0\"\nx: 1_\n", None),
            ("opam-version: \"2.0\"\nx: _:a\n", None),
            ("opam-version: \"2.0\"\nx: \"_\" # _\n", None),
            ("opam-version: \"2.0\"\nx: \"\\_\"\n", None),
        ] {
            assert_eq!(Loss::of(file.as_bytes()), loss, "{file}");
        }
    }
}
