//! Names of people, packages, releases and repositories (spec section 2).
//!
//! A name is restricted printable ASCII, so that it looks the same everywhere, is legal in every
//! file system, and needs no escaping in any file of ours. Names become paths only through
//! [`crate::model::path::Path`].

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use serde::Serialize;

use crate::model::limits;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No character at all.
    #[error("a name cannot be empty")]
    Empty,
    /// More than [`limits::NAME`] bytes.
    #[error("a name has at most {} characters", limits::NAME)]
    TooLong,
    /// A character that this kind of name does not allow, at this byte.
    #[error("character {found:?} at position {at} is not allowed in a {kind} name")]
    Character {
        /// What kind of name was expected.
        kind: &'static str,
        /// The offending character.
        found: char,
        /// Its byte position, from 0.
        at: usize,
    },
    /// A name that some systems treat as a device, or that ends in a dot.
    #[error("the name {0:?} is reserved")]
    Reserved(String),
}

fn parse(
    kind: &'static str,
    text: &str,
    first: impl Fn(u8) -> bool,
    rest: impl Fn(u8) -> bool,
) -> Result<Box<str>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > limits::NAME {
        return Err(NameError::TooLong);
    }
    let allowed = |(at, byte)| if at == 0 { first(byte) } else { rest(byte) };
    if let Some(at) = text.bytes().enumerate().position(|it| !allowed(it)) {
        // What is allowed is ASCII, so a character begins here.
        let found = text.get(at..).and_then(|rest| rest.chars().next());
        let found = found.unwrap_or_default();
        return Err(NameError::Character { kind, found, at });
    }
    if text.ends_with('.') || is_device(text) {
        return Err(NameError::Reserved(text.into()));
    }
    Ok(text.into())
}

/// Whether some system opens a device when asked for a file of this name.
pub(crate) fn is_device(component: &str) -> bool {
    // The common case first: no device's name begins like this.
    if !matches!(
        component.as_bytes().first(),
        Some(b'c' | b'p' | b'a' | b'n' | b'l' | b'C' | b'P' | b'A' | b'N' | b'L')
    ) {
        return false;
    }
    let stem = component.split('.').next().unwrap_or(component);
    let stem = stem.trim_end_matches(' ');
    ["con", "prn", "aux", "nul"]
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
        || (stem.len() == 4
            && stem.is_char_boundary(3)
            && ["com", "lpt"]
                .iter()
                .any(|device| stem.split_at(3).0.eq_ignore_ascii_case(device))
            && matches!(stem.as_bytes().last(), Some(b'0'..=b'9')))
}

macro_rules! name {
    ($(#[$doc:meta])* $Name:ident, $kind:literal, $first:expr, $rest:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $Name(Box<str>);

        impl $Name {
            /// Parses a name.
            ///
            /// # Errors
            /// [`NameError`] when the text is empty, too long, reserved, or holds a character
            /// outside the set of this kind of name (spec section 2).
            pub fn parse(text: &str) -> Result<Self, NameError> {
                parse($kind, text, $first, $rest).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl core::str::FromStr for $Name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
    };
}

name! {
    /// A person's or a team's id: `a-z`, `0-9`, and behind the first character also `-`, `_`.
    ///
    /// Lower case only, so that two ids can never differ in case alone. No dot, so that no directory
    /// below `conex/` is called like a release. People and teams share
    /// one namespace; `janitors` is the team of all janitors (see [`Id::is_janitors`]).
    Id, "person or team",
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(),
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
}

name! {
    /// A package's name: letters, digits, and behind the first character also `-`, `_`, `+`, `.`.
    PackageName, "package",
    |byte| byte.is_ascii_alphanumeric(),
    |byte| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte)
}

name! {
    /// A release's name within its package: letters, digits and `-`, `_`, `+`, `.`, `~`, `=`, `:`,
    /// in any order except that it starts with a letter, a digit or `_`.
    ReleaseName, "release",
    |byte| byte.is_ascii_alphanumeric() || byte == b'_',
    |byte| byte.is_ascii_alphanumeric() || b"-_+.~=:".contains(&byte)
}

name! {
    /// A repository's own name, inside every digest and signature: letters, digits, `-`, `_`, `.`.
    Origin, "repository",
    |byte| byte.is_ascii_alphanumeric(),
    |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

impl Id {
    /// The reserved id of the team of all janitors.
    pub const JANITORS: &'static str = "janitors";

    /// Parses the id of a person or of a stored team, which is not [`Id::JANITORS`].
    ///
    /// # Errors
    /// [`NameError`], as of [`Id::parse`]; [`NameError::Reserved`] of `janitors`.
    pub fn parse_own(text: &str) -> Result<Self, NameError> {
        let id = Self::parse(text)?;
        if id.is_janitors() {
            return Err(NameError::Reserved(text.into()));
        }
        Ok(id)
    }

    /// Whether this is the reserved team of all janitors.
    pub fn is_janitors(&self) -> bool {
        self.as_str() == Self::JANITORS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_names_parse_and_print_the_same() {
        for text in ["bob", "0day", "jane-street", "a-b_c"] {
            assert_eq!(Id::parse(text).unwrap().as_str(), text);
        }
        for text in ["0install", "ANSITerminal", "conf-g++", "x.y"] {
            assert_eq!(PackageName::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "1.0",
            "v0.17~preview",
            "3.0+4.08",
            "_x",
            "5.1.0-51",
            "1:2=3",
        ] {
            assert_eq!(ReleaseName::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn names_that_could_be_mistaken_for_others_or_for_paths_are_refused() {
        for text in [
            "", ".", "..", "a/b", "a\\b", "a b", "a\0", "é", "a\n", "-a", "CON", "nul.txt", "com1",
            "a.",
        ] {
            assert!(PackageName::parse(text).is_err(), "{text:?}");
            assert!(ReleaseName::parse(text).is_err(), "{text:?}");
            assert!(Origin::parse(text).is_err(), "{text:?}");
        }
        for text in ["Bob", "a.b", "bob.1.0", "-a", "_a", "b+c"] {
            assert!(Id::parse(text).is_err(), "{text:?}");
        }
        assert!(Id::parse("janitors").is_ok());
        assert!(Id::parse_own("janitors").is_err());
        assert!(PackageName::parse(&"a".repeat(limits::NAME)).is_ok());
        assert_eq!(
            PackageName::parse(&"a".repeat(limits::NAME + 1)),
            Err(NameError::TooLong)
        );
    }
}
