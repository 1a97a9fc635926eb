//! The one accepted spelling of stored files (spec section 5).
//!
//! A stored file is TOML. It is read by the `toml` crate and printed again by the few functions
//! here; what is not printed the same, byte for byte, is refused. So there is one spelling of
//! everything, and this module is its definition.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;

use serde::de::DeserializeOwned;

/// Why stored bytes are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong there.
    pub reason: String,
}

impl ParseError {
    /// An error of the file as a whole.
    pub(crate) fn whole(reason: impl fmt::Display) -> Self {
        Self {
            line: None,
            reason: reason.to_string(),
        }
    }

    /// An error at the first line that holds `value`.
    pub(crate) fn at(text: &str, value: &str, reason: impl fmt::Display) -> Self {
        let line = text
            .find(value)
            .and_then(|at| text.get(..at))
            .map(|before| before.matches('\n').count() + 1);
        Self {
            line,
            reason: reason.to_string(),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl core::error::Error for ParseError {}

/// A value with exactly one spelling as a stored file.
pub trait Stored: Sized {
    /// What `toml` reads.
    #[doc(hidden)]
    type Raw: DeserializeOwned;

    /// Builds the value, checking everything but the spelling.
    #[doc(hidden)]
    fn from_raw(raw: Self::Raw, text: &str) -> Result<Self, ParseError>;

    /// Reads the one spelling without the help of a TOML parser, for files that are many or
    /// large. Gives a value only for text that [`Stored::to_text`] prints for it; everything else
    /// goes the long way, which accepts the same and explains what it refuses.
    #[doc(hidden)]
    fn from_spelling(_text: &str) -> Option<Self> {
        None
    }

    /// Prints the value in its one spelling.
    fn to_text(&self) -> String;

    /// Reads the one spelling.
    ///
    /// # Errors
    /// [`ParseError`] with the line, for text that is not UTF-8, not TOML, has unknown or missing
    /// fields or bad values, or is spelled in another way.
    fn from_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        let text = core::str::from_utf8(bytes).map_err(|error| ParseError {
            line: bytes
                .get(..error.valid_up_to())
                .map(|valid| valid.split(|&byte| byte == b'\n').count()),
            reason: "this is not UTF-8 text".into(),
        })?;
        if let Some(value) = Self::from_spelling(text) {
            return Ok(value);
        }
        let raw = toml::from_str(text).map_err(|error| ParseError {
            line: error
                .span()
                .and_then(|span| text.get(..span.start))
                .map(|before| before.matches('\n').count() + 1),
            reason: error.message().to_string(),
        })?;
        let value = Self::from_raw(raw, text)?;
        let printed = value.to_text();
        if printed != text {
            let line = printed
                .lines()
                .zip(text.lines())
                .take_while(|(ours, theirs)| ours == theirs)
                .count();
            let expected = printed.lines().nth(line).unwrap_or("the end of the file");
            return Err(ParseError {
                line: Some(line + 1),
                reason: format!("not in the one accepted spelling; expected: {expected}"),
            });
        }
        Ok(value)
    }
}

/// Prints the subset of TOML that stored files consist of.
///
/// Texts are printed as they are: every type that gets here refuses quotes, backslashes and
/// control characters.
#[derive(Debug, Default)]
pub(crate) struct Printer(String);

impl Printer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }

    /// `key = "value"`
    pub(crate) fn text(&mut self, key: &str, value: impl fmt::Display) {
        self.raw(format_args!("{key} = \"{value}\"\n"));
    }

    /// `key = value`, for numbers and `true`.
    pub(crate) fn bare(&mut self, key: &str, value: impl fmt::Display) {
        self.raw(format_args!("{key} = {value}\n"));
    }

    /// An array of texts, one on a line; nothing at all when it is empty.
    pub(crate) fn texts<T>(&mut self, key: &str, values: &[T], push: impl Fn(&T, &mut String)) {
        if values.is_empty() {
            return;
        }
        self.raw(format_args!("{key} = [\n"));
        for value in values {
            self.0.push_str("  \"");
            push(value, &mut self.0);
            self.0.push_str("\",\n");
        }
        self.0.push_str("]\n");
    }

    /// Like [`Printer::texts`], for what has a display form.
    pub(crate) fn list<T: fmt::Display>(&mut self, key: &str, values: &[T]) {
        self.texts(key, values, |value, text| {
            use fmt::Write as _;
            // Writing to a string cannot fail.
            let _ = write!(text, "{value}");
        });
    }

    /// A text of several lines, each ended by a newline.
    pub(crate) fn block(&mut self, key: &str, lines: &str) {
        self.raw(format_args!("{key} = \"\"\"\n{lines}\"\"\"\n"));
    }

    /// The head of one more element of an array of tables.
    pub(crate) fn element(&mut self, key: &str) {
        self.raw(format_args!("\n[[{key}]]\n"));
    }

    fn raw(&mut self, arguments: fmt::Arguments<'_>) {
        use fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(arguments);
    }
}
