//! The people, addresses and archives that an opam file mentions.
//!
//! Tools show these facts to people, and propose owners by them. Nothing is decided by them: anybody can
//! write any address into a file.

use conex_core::tree::projection::Unreadable;

use super::reader;
use super::values::{self, Value};
use crate::people::{Home, Person};

/// The facts of one release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The people named as maintainers, in the order of the file.
    pub maintainers: Vec<Person>,
    /// The people named as authors.
    pub authors: Vec<Person>,
    /// The accounts on forges in `dev-repo` and `homepage`, without duplicates, that of `dev-repo` first.
    pub homes: Vec<Home>,
    /// The archives to fetch: that of `url`, then those of `extra-source`.
    pub archives: Vec<Archive>,
}

impl Facts {
    /// Reads an opam file as strictly as the projection does. A file that opam may read differently has no
    /// facts.
    ///
    /// # Errors
    /// [`Unreadable`], as [`super::OpamProjection`].
    pub fn read(opam: &[u8]) -> Result<Self, Unreadable> {
        let mut form = Vec::with_capacity(opam.len());
        reader::read(opam, &mut form).map_err(|fault| fault.unreadable(opam))?;
        let fields = values::fields(opam)?;
        let mut facts = Self::default();
        let (mut repository, mut homepage) = (None, None);
        for (name, value) in &fields {
            match name.as_str() {
                "maintainer" => facts.maintainers = people(value),
                "authors" => facts.authors = people(value),
                "dev-repo" => repository = home(value),
                "homepage" => homepage = home(value),
                "url" | "extra-source" => {
                    if let Value::Section(name, fields) = value {
                        facts.archives.push(Archive::of(name.as_deref(), fields));
                    }
                }
                _ => {}
            }
        }
        facts.archives.sort_by_key(|archive| archive.name.is_some());
        facts.homes.extend(repository);
        facts.homes.extend(homepage);
        facts.homes.dedup();
        Ok(facts)
    }
}

/// An archive to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The file name, if it is an addition to the release's own archive.
    pub name: Option<String>,
    /// The address.
    pub url: String,
    /// The checksums, all of which it has to match.
    pub checksums: Vec<Checksum>,
}

impl Archive {
    /// Reads the file `url`, which old releases have beside their opam file.
    ///
    /// # Errors
    /// [`Unreadable`] if it is not in the syntax of opam files.
    pub fn read(url: &[u8]) -> Result<Self, Unreadable> {
        Ok(Self::of(None, &values::fields(url)?))
    }

    fn of(name: Option<&str>, fields: &[(String, Value)]) -> Self {
        let field = |names: &[&str]| {
            let found = fields
                .iter()
                .find(|(name, _)| names.contains(&name.as_str()));
            found.map(|(_, value)| value)
        };
        let url = field(&["src", "archive", "http", "git", "hg", "darcs", "local"]);
        let checksums = field(&["checksum"]).map_or(&[][..], Value::members);
        Self {
            name: name.map(ToOwned::to_owned),
            url: url.and_then(text).unwrap_or_default().to_owned(),
            checksums: checksums
                .iter()
                .filter_map(text)
                .map(Checksum::parse)
                .collect(),
        }
    }

    /// Returns the joint strength of the checksums. opam requires all of them to match, so the best one
    /// counts.
    pub fn strength(&self) -> Strength {
        let strengths = self.checksums.iter().map(Checksum::strength);
        strengths.max().unwrap_or(Strength::None)
    }
}

/// A checksum of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// The algorithm, in lower case.
    pub algorithm: String,
    /// The digits, as written.
    pub digits: String,
}

impl Checksum {
    /// Parses `sha256=...`. Without an algorithm it is MD5, as in old files.
    fn parse(text: &str) -> Self {
        let (algorithm, digits) = text.split_once('=').unwrap_or(("md5", text));
        Self {
            algorithm: algorithm.trim().to_lowercase(),
            digits: digits.trim().to_owned(),
        }
    }

    /// Returns the strength of this checksum alone.
    pub fn strength(&self) -> Strength {
        match self.algorithm.as_str() {
            "sha256" | "sha512" => Strength::Strong,
            // An unknown algorithm is not relied on.
            _ => Strength::Weak,
        }
    }
}

/// How well checksums bind an archive to what its author released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// Not at all: whoever serves it decides on its content.
    None,
    /// MD5 or SHA-1 only: somebody could make two archives with the same checksum.
    Weak,
    /// SHA-256 or SHA-512.
    Strong,
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn people(value: &Value) -> Vec<Person> {
    let texts = value.members().iter().filter_map(text);
    texts.map(Person::parse).collect()
}

fn home(value: &Value) -> Option<Home> {
    value
        .members()
        .iter()
        .filter_map(text)
        .find_map(Home::parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Address;

    const FILE: &str = r#"opam-version: "2.0"
maintainer: ["Bob B. <Bob@Example.org>" "carol@example.org" "The foo team"]
authors: "Daniel B\195\188nzli"
homepage: "https://bob.github.io/foo/"
dev-repo: "git+https://github.com/Org/foo.git"
build: [["dune" "build"] {with-test & os != "win32"}]
build-env: [[CFLAGS += "-O2"]]
available: !(os = "win32")
url {
  src: "https://example.org/foo-1.0.tbz"
  checksum: ["md5=0123" "sha256=4567"]
}
extra-source "fix.patch" {
  src: "https://example.org/fix.patch"
  checksum: "md5=89ab"
}
"#;

    fn person(name: &str, address: &str) -> Person {
        Person {
            name: name.into(),
            address: Address::parse(address),
        }
    }

    #[test]
    fn a_file_says_who_where_and_what_is_fetched() {
        let facts = Facts::read(FILE.as_bytes()).unwrap();
        let maintainers = [
            person("Bob B.", "bob@example.org"),
            person("", "carol@example.org"),
            person("The foo team", ""),
        ];
        assert_eq!(facts.maintainers, maintainers);
        assert_eq!(facts.authors, [person("Daniel Bünzli", "")]);
        let homes: Vec<_> = facts.homes.iter().map(Home::as_str).collect();
        assert_eq!(homes, ["github.com/org", "github.com/bob"]);
        let archives: Vec<_> = facts
            .archives
            .iter()
            .map(|it| (it.name.as_deref(), it.url.as_str(), it.strength()))
            .collect();
        assert_eq!(
            archives,
            [
                (None, "https://example.org/foo-1.0.tbz", Strength::Strong),
                (
                    Some("fix.patch"),
                    "https://example.org/fix.patch",
                    Strength::Weak
                ),
            ]
        );
    }

    #[test]
    fn what_the_projection_refuses_has_no_facts() {
        for bad in [
            "maintainer: \"bob\"\n",
            "opam-version: \"2.0\"\nmaintainer: \"bob\"\nmaintainer: \"carol\"\n",
            "opam-version: \"2.0\"\nmaintainer: \"bob\n",
        ] {
            assert!(Facts::read(bad.as_bytes()).is_err(), "{bad}");
        }
        let bare = Facts::read(b"opam-version: \"2.0\"\n").unwrap();
        assert_eq!(bare, Facts::default());
    }

    #[test]
    fn checksums_are_worth_the_best_of_them() {
        for (checksum, strength) in [
            ("[\"sha512=0\" \"md5=1\"]", Strength::Strong),
            ("\"sha256=0\"", Strength::Strong),
            ("[\"sha1=0\" \"md5=1\"]", Strength::Weak),
            ("\"0123456789abcdef0123456789abcdef\"", Strength::Weak),
            ("\"sha3=0\"", Strength::Weak),
            ("[]", Strength::None),
        ] {
            let file = format!("archive: \"https://example.org/a\"\nchecksum: {checksum}\n");
            let archive = Archive::read(file.as_bytes()).unwrap();
            assert_eq!(archive.strength(), strength, "{checksum}");
            assert_eq!(archive.url, "https://example.org/a");
        }
        let bare = Archive::read(b"git: \"https://example.org/a.git\"\n").unwrap();
        assert_eq!(bare.strength(), Strength::None);
    }
}
