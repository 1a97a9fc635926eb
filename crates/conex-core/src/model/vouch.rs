//! What can be vouched for, and a vouch for it (spec sections 2 and 6).

use alloc::string::String;
use core::cmp::Ordering;
use core::fmt;

use serde::Serialize;

use crate::model::digest::Digest;
use crate::model::name::{Id, PackageName, ReleaseName};
use crate::model::version::Version;

/// The kinds of statement that vouches are for. Roots are signed directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Files outside packages that clients read.
    Repository,
    /// A person.
    Author,
    /// A team.
    Team,
    /// Who owns a package.
    Authorisation,
    /// Which releases a package has, with their sources.
    Releases,
    /// The files of one release.
    Checksums,
}

impl Kind {
    /// All kinds, in the order of the specification.
    pub const ALL: [Self; 6] = [
        Self::Repository,
        Self::Author,
        Self::Team,
        Self::Authorisation,
        Self::Releases,
        Self::Checksums,
    ];

    /// The word that stands for the kind in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Author => "author",
            Self::Team => "team",
            Self::Authorisation => "authorisation",
            Self::Releases => "releases",
            Self::Checksums => "checksums",
        }
    }

    /// Whether statements of this kind are about people or ownership, which are always shown one
    /// by one to whoever approves them.
    pub fn is_about_people(self) -> bool {
        matches!(self, Self::Author | Self::Team | Self::Authorisation)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a statement is about: its kind and name.
///
/// The order is by name, then release, then kind: the order of entries in pages and batches, so
/// that all of a package stands together.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Subject {
    /// The repository files.
    Repository,
    /// An author.
    Author(Id),
    /// A team.
    Team(Id),
    /// A package's authorisation.
    Authorisation(PackageName),
    /// A package's releases.
    Releases(PackageName),
    /// The checksums of a package's release.
    Checksums(PackageName, ReleaseName),
}

impl Subject {
    /// The kind of statement.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Repository => Kind::Repository,
            Self::Author(_) => Kind::Author,
            Self::Team(_) => Kind::Team,
            Self::Authorisation(_) => Kind::Authorisation,
            Self::Releases(_) => Kind::Releases,
            Self::Checksums(..) => Kind::Checksums,
        }
    }

    /// The name that batches have ranges of: the id or the package; `.` for the repository files.
    pub fn name(&self) -> &str {
        match self {
            Self::Repository => ".",
            Self::Author(id) | Self::Team(id) => id.as_str(),
            Self::Authorisation(package)
            | Self::Releases(package)
            | Self::Checksums(package, _) => package.as_str(),
        }
    }

    /// The package, where it is about one.
    pub fn package(&self) -> Option<&PackageName> {
        match self {
            Self::Authorisation(package)
            | Self::Releases(package)
            | Self::Checksums(package, _) => Some(package),
            Self::Repository | Self::Author(_) | Self::Team(_) => None,
        }
    }

    fn release(&self) -> &str {
        match self {
            Self::Checksums(_, release) => release.as_str(),
            _ => "",
        }
    }

    /// Parses a name (with `/release` for checksums) and a kind.
    fn parse(name: &str, kind: &str) -> Option<Self> {
        let package = || PackageName::parse(name).ok();
        let id = || Id::parse_own(name).ok();
        Some(match kind {
            "checksums" => {
                let (package, release) = cut_back(name, b'/')?;
                let package = PackageName::parse(package).ok()?;
                Self::Checksums(package, ReleaseName::parse(release).ok()?)
            }
            "releases" => Self::Releases(package()?),
            "authorisation" => Self::Authorisation(package()?),
            "author" => Self::Author(id()?),
            "team" => Self::Team(id()?),
            "repository" if name == "." => Self::Repository,
            _ => return None,
        })
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.name(), self.release(), self.kind()).cmp(&(
            other.name(),
            other.release(),
            other.kind(),
        ))
    }
}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Self::Checksums(_, release) = self {
            write!(f, "/{release}")?;
        }
        write!(f, " {}", self.kind())
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::str::FromStr for Subject {
    type Err = VouchError;

    /// Parses `NAME KIND`, as [`Subject`] prints itself.
    fn from_str(text: &str) -> Result<Self, VouchError> {
        text.split_once(' ')
            .and_then(|(name, kind)| Self::parse(name, kind))
            .ok_or(VouchError)
    }
}

/// Why a text is not a vouch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a vouch is written `NAME KIND VERSION DIGEST`, with valid names")]
pub struct VouchError;

/// "I stand behind exactly this statement": its subject, version and digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Vouch {
    /// What it is about.
    pub subject: Subject,
    /// In which version.
    pub version: Version,
    /// The digest of the statement.
    pub digest: Digest,
}

impl Vouch {
    /// Parses `foo/1.0 checksums 0.3 c0...`.
    ///
    /// # Errors
    /// [`VouchError`] for any other spelling.
    pub fn parse(text: &str) -> Result<Self, VouchError> {
        // None of what is parsed has spaces in it, so a fifth word is found by the parser of its
        // neighbour.
        let words = || {
            let (rest, digest) = cut_digest(text)?;
            let (rest, version) = cut_back(rest, b' ')?;
            let (name, kind) = cut_back(rest, b' ')?;
            Some((name, kind, version, digest))
        };
        let (name, kind, version, digest) = words().ok_or(VouchError)?;
        Ok(Self {
            subject: Subject::parse(name, kind).ok_or(VouchError)?,
            version: Version::parse(version).map_err(|_| VouchError)?,
            digest,
        })
    }

    /// Appends the text form.
    pub fn push_to(&self, text: &mut String) {
        use fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = write!(text, "{} {} ", self.subject, self.version);
        self.digest.push_to(text);
    }
}

/// Cuts a text at the last of an ASCII character. Vouches come by the ten thousand, and words are
/// short: looking at each byte is quicker than what searches in long texts.
pub(crate) fn cut_back(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = text.bytes().rposition(|byte| byte == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// Cuts off the digest that a text ends with, and the space before it.
pub(crate) fn cut_digest(text: &str) -> Option<(&str, Digest)> {
    let (rest, digest) = text.split_at_checked(text.len().checked_sub(2 * 32)?)?;
    Some((rest.strip_suffix(' ')?, Digest::parse(digest).ok()?))
}

impl fmt::Display for Vouch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn a_vouch_has_one_spelling() {
        let digest = "ab".repeat(32);
        for subject in [
            ". repository",
            "bob author",
            "ocaml team",
            "foo authorisation",
            "foo releases",
            "foo/1.0 checksums",
        ] {
            let text = format!("{subject} 0.3 {digest}");
            assert_eq!(Vouch::parse(&text).unwrap().to_string(), text);
            assert_eq!(subject.parse::<Subject>().unwrap().to_string(), subject);
        }
        for bad in [
            format!("foo/1.0 releases 0.3 {digest}"),
            format!("foo checksums 0.3 {digest}"),
            format!("foo repository 0.3 {digest}"),
            format!("Bob author 0.3 {digest}"),
            format!("janitors author 0.3 {digest}"),
            format!("janitors team 0.3 {digest}"),
            format!("foo root 0.3 {digest}"),
            format!("foo  releases 0.3 {digest}"),
            format!("foo releases 0.3 {digest} "),
            format!("foo releases 0.3 {}", digest.to_uppercase()),
        ] {
            assert_eq!(Vouch::parse(&bad), Err(VouchError), "{bad}");
        }
    }

    #[test]
    fn all_of_a_package_stands_together_in_order() {
        let mut subjects: alloc::vec::Vec<Subject> = [
            "foo-bar releases",
            "foo/1.0 checksums",
            "foo releases",
            "foo authorisation",
            ". repository",
            "a author",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        subjects.sort();
        let sorted: alloc::vec::Vec<_> = subjects.iter().map(ToString::to_string).collect();
        assert_eq!(
            sorted,
            [
                ". repository",
                "a author",
                "foo authorisation",
                "foo releases",
                "foo/1.0 checksums",
                "foo-bar releases"
            ]
        );
    }
}
