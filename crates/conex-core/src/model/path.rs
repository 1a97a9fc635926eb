//! Paths inside a repository, and the patterns a root ignores (spec section 2).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use core::borrow::Borrow;
use core::fmt;

use serde::Serialize;

use crate::model::limits;
use crate::model::name;

/// Why a text is not a path inside a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Absolute, or with a drive letter.
    #[error("the path is absolute")]
    Absolute,
    /// An empty component, `.` or `..`.
    #[error("the path has the component {0:?}")]
    Component(String),
    /// A character outside printable ASCII, a backslash, or a quote.
    #[error("character {0:?} is not allowed in a path")]
    Character(char),
    /// A component that ends in a dot or space, or that some system takes for a device.
    #[error("the component {0:?} does not mean the same on every system")]
    NotPortable(String),
    /// More than [`limits::PATH`] bytes, or a component over [`limits::COMPONENT`].
    #[error("the path is too long")]
    TooLong,
}

/// A checked path of a file or directory, relative to the repository's top, with `/`.
///
/// The empty path is the top itself. A value of this type never leaves the repository and names
/// the same file on every system; it is the only thing a [`crate::tree::store::Store`] opens.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Path(Box<str>);

impl Path {
    /// The top of the repository.
    pub fn top() -> Self {
        Self::default()
    }

    /// Parses a non-empty path.
    ///
    /// # Errors
    /// [`PathError`] by the rules of spec section 2.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > limits::PATH {
            return Err(PathError::TooLong);
        }
        if text.starts_with('/') || matches!(text.as_bytes(), [b'a'..=b'z' | b'A'..=b'Z', b':', ..])
        {
            return Err(PathError::Absolute);
        }
        for component in text.split('/') {
            parse_component(component)?;
        }
        Ok(Self(text.into()))
    }

    /// This path with one more component.
    ///
    /// # Errors
    /// [`PathError`] when the component is not one, or the result is too long.
    pub fn join(&self, component: &str) -> Result<Self, PathError> {
        parse_component(component)?;
        if self.0.is_empty() {
            return Self::parse(component);
        }
        if self.0.len() + 1 + component.len() > limits::PATH {
            return Err(PathError::TooLong);
        }
        let mut path = String::with_capacity(self.0.len() + 1 + component.len());
        path.push_str(&self.0);
        path.push('/');
        path.push_str(component);
        Ok(Self(path.into_boxed_str()))
    }

    /// The path as text; empty for the top.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component; empty for the top.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The directory it stands in; nothing for the top.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.0.rsplit_once('/') {
            Some((parent, _)) => Self(parent.into()),
            None => Self::top(),
        })
    }

    /// The components from the top.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// This path relative to `base`, if it lies below it.
    pub fn below(&self, base: &Self) -> Option<Self> {
        if base.0.is_empty() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(&*base.0)?.strip_prefix('/')?;
        Some(Self(rest.into()))
    }
}

fn parse_component(component: &str) -> Result<(), PathError> {
    if component.is_empty() || component == "." || component == ".." {
        return Err(PathError::Component(component.to_owned()));
    }
    if component.len() > limits::COMPONENT {
        return Err(PathError::TooLong);
    }
    let odd = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'\\' | b'"' | b'/');
    if let Some(at) = component.bytes().position(|byte| odd(&byte)) {
        // Whatever stands before the first odd byte is ASCII, so a character begins there.
        let found = component.get(at..).and_then(|rest| rest.chars().next());
        return Err(PathError::Character(
            found.unwrap_or(char::REPLACEMENT_CHARACTER),
        ));
    }
    if component.ends_with(['.', ' ']) || name::is_device(component) {
        return Err(PathError::NotPortable(component.to_owned()));
    }
    Ok(())
}

/// Paths are ordered and hashed as their text is.
impl Borrow<str> for Path {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A pattern of top-level files and directories that clients do not read (spec section 2).
///
/// Either a path, or a path followed by `/**` for everything below a directory. In the last
/// component of a path one `*` stands for any characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`PathError`] when what remains without the stars is not a path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let path = text.strip_suffix("/**").unwrap_or(text);
        let (directory, last) = path.rsplit_once('/').unwrap_or(("", path));
        if directory.contains('*') || last.matches('*').count() > 1 || last == "*" {
            return Err(PathError::Character('*'));
        }
        Path::parse(&path.replace('*', "x"))?;
        Ok(Self(text.into()))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a file at `path` matches.
    pub fn matches(&self, path: &Path) -> bool {
        match self.0.strip_suffix("/**") {
            Some(directory) => path.components().enumerate().any(|(depth, _)| {
                let end = path
                    .as_str()
                    .match_indices('/')
                    .nth(depth)
                    .map(|found| found.0);
                end.and_then(|end| path.as_str().get(..end))
                    .is_some_and(|prefix| glob(directory, prefix))
            }),
            None => glob(&self.0, path.as_str()),
        }
    }

    /// Whether everything below `directory` matches.
    pub fn covers(&self, directory: &Path) -> bool {
        self.0
            .strip_suffix("/**")
            .is_some_and(|pattern| glob(pattern, directory.as_str()))
    }
}

impl core::str::FromStr for Pattern {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|middle| !middle.contains('/')),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_paths_parse_and_join() {
        for text in [
            "repo",
            "packages/foo/foo.1.0/opam",
            "a/b c/d=e",
            ".github/x.yml",
            "f/x:y",
        ] {
            let path = Path::parse(text).unwrap();
            assert_eq!(path.as_str(), text);
            let mut joined = Path::top();
            for component in path.components() {
                joined = joined.join(component).unwrap();
            }
            assert_eq!(joined, path);
        }
    }

    #[test]
    fn path_escape() {
        for text in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            "C:/x",
            "c:x",
            "a\\b",
            "a\0b",
            "a\nb",
            "é",
            "a./b",
            "a /b",
            "b/nul",
            "b/COM1.txt",
            "x\"y",
            "\u{7f}",
        ] {
            assert!(Path::parse(text).is_err(), "{text:?}");
        }
        assert!(Path::parse(&"a/".repeat(600)).is_err());
        assert!(Path::top().join("a/b").is_err());
    }

    #[test]
    fn patterns_match_what_they_name_and_nothing_else() {
        let table = [
            ("README.md", "README.md", true),
            ("README.md", "x/README.md", false),
            ("*.md", "CHANGES.md", true),
            ("*.md", "docs/CHANGES.md", false),
            (".github/**", ".github/workflows/x.yml", true),
            (".github/**", ".github", false),
            (".github/**", ".github2/x", false),
            ("docs/*.md", "docs/a.md", true),
            ("docs/*.md", "docs/a/b.md", false),
        ];
        for (pattern, path, expected) in table {
            let matched = Pattern::parse(pattern)
                .unwrap()
                .matches(&Path::parse(path).unwrap());
            assert_eq!(matched, expected, "{pattern} {path}");
        }
        for bad in ["", "*", "**", "/**", "*/x", "a**", "../**", "/x"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
