//! The packages of the demo: a few from opam-repository, unchanged (CC0, see tests/fixtures).

macro_rules! file {
    ($path:literal) => {
        (
            $path,
            include_str!(concat!("../../../../../tests/fixtures/opam/", $path)),
        )
    };
}

/// A path in the repository and the content of the file.
pub(super) type File = (&'static str, &'static str);

/// The packages that exist on day zero.
pub(super) const FIRST: &[File] = &[
    file!("repo"),
    file!("version"),
    file!("packages/ISO8601/ISO8601.0.2.6/opam"),
    file!("packages/astring/astring.0.8.3/opam"),
    file!("packages/base64/base64.3.5.1/opam"),
    file!("packages/hex/hex.1.4.0/opam"),
    file!("packages/unionFind/unionFind.20250818/opam"),
];

/// The release by dave.
pub(super) const HEX: File = file!("packages/hex/hex.1.5.0/opam");

/// The release by erin, for a team.
pub(super) const ASTRING: File = file!("packages/astring/astring.0.8.5/opam");
