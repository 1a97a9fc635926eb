//! Layouts and their contract (spec section 10).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

mod broken;

use conex_core::model::statement::Scheme;
use conex_core::tools::conformance::{Clause, Conformance, Violation};
use conex_core::tree::layout::Schemes;
use conex_core::tree::store::MemoryStore;
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;
use conex_tests::{opam_file, secret};

use broken::{Broken, Fault, Only, Shelves};

fn check(schemes: &dyn Schemes, layout: &str, sample: &MemoryStore) -> Vec<Violation> {
    let conformance = Conformance {
        schemes,
        layout: &Scheme::parse(layout).unwrap(),
        sample,
        crypto: &StandardCrypto,
        signer: &secret("janitor"),
    };
    conformance.check()
}

fn tree(files: &[(&str, &str)]) -> MemoryStore {
    let mut tree = MemoryStore::new();
    for (file, text) in files {
        tree.insert(*file, *text);
    }
    tree
}

fn opam_sample() -> MemoryStore {
    let opam = opam_file("4.08", "dune");
    tree(&[
        ("repo", "stamp: \"1\"\n"),
        ("version", "0.9.0\n"),
        ("packages/foo/foo.1.0/opam", &opam),
        ("packages/foo/foo.1.0/url", "src: \"foo\"\n"),
        ("packages/foo/foo.1.0/files/a/patch", "a\n"),
        ("packages/foo/foo.2.0/opam", &opam),
        ("packages/foo.0.1/opam", "opam-version: \"1\"\n"),
        ("packages/bar/bar.1/opam", "opam-version: \"2.0\"\n"),
        ("packages/bar/bar.1/url", "src: \"bar\"\n"),
        ("packages/old.1/opam", "opam-version: \"1\"\n"),
        ("packages/old.1/url", "src: \"old\"\n"),
    ])
}

/// The same with less, for the many faults.
fn small_sample() -> MemoryStore {
    tree(&[
        ("version", "0.9.0\n"),
        ("packages/foo/foo.1.0/opam", "opam-version: \"2.0\"\n"),
        ("packages/foo/foo.1.0/url", "src: \"foo\"\n"),
        ("packages/foo.0.1/opam", "opam-version: \"1\"\n"),
        ("packages/bar/bar.1/opam", "opam-version: \"2.0\"\n"),
        ("packages/bar/bar.1/url", "src: \"bar\"\n"),
    ])
}

fn shelves() -> MemoryStore {
    tree(&[
        ("about", "Shelves.\n"),
        ("shelf/f/foo-1/data", "foo 1\n"),
        ("shelf/f/foo-2/data", "foo 2\n"),
        ("shelf/f/fab-1/data", "fab 1\n"),
        ("shelf/f/fab-1/more/data", "more\n"),
        ("shelf/b/bar-1/data", "bar\n"),
    ])
}

#[track_caller]
fn passes(found: &[Violation]) {
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}", told.join("\n"));
}

#[test]
fn the_layout_opam_keeps_to_its_contract() {
    passes(&check(&KnownSchemes, "opam", &opam_sample()));
}

#[test]
fn the_layout_plain_keeps_to_its_contract() {
    let sample = tree(&[
        ("about", "Data.\n"),
        ("foo/1.0/data", "foo 1\n"),
        ("foo/1.0/more/data", "more\n"),
        ("foo/2.0/data", "foo 2\n"),
        ("bar/1/data", "bar\n"),
    ]);
    passes(&check(&KnownSchemes, "plain", &sample));
}

#[test]
fn a_layout_with_directories_of_releases_keeps_to_its_contract() {
    passes(&check(&Only(Shelves::Own), "shelves", &shelves()));
}

/// A layout that is broken is found to be so by the clause that it breaks.
#[track_caller]
fn fails(broken: impl core::fmt::Debug, clause: Clause, found: &[Violation]) {
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    let told = told.join("\n  ");
    let is_found = found.iter().any(|violation| violation.clause == clause);
    assert!(is_found, "{broken:?} does not break {clause}:\n  {told}");
}

#[test]
fn each_fault_of_a_layout_is_found_by_its_clause() {
    for (fault, clause) in Fault::ALL {
        let found = check(&Only(Broken(*fault)), "broken", &small_sample());
        fails(fault, *clause, &found);
        // What is told of it is enough for the fast way to judge everything, or the whole tree is refused.
        let passed = found
            .iter()
            .find(|violation| violation.clause == Clause::OneVerdict);
        if let Some(passed) = passed {
            let is_known = UNNOTICED.contains(fault);
            assert!(is_known, "{fault:?} goes unnoticed: {passed}");
        }
    }
}

/// The faults that an update does not notice at the cost of the change: of a package that has another directory
/// besides, and of one that is there by what its files say.
const UNNOTICED: [Fault; 2] = [Fault::HomesTooFew, Fault::PackagesByContent];

#[test]
fn packages_that_share_a_directory_are_found() {
    for row in [Shelves::Shared, Shelves::SharedHome] {
        let found = check(&Only(row), "shelves", &shelves());
        fails(row, Clause::OwnDirectories, &found);
        // Nobody verifies such a tree, so no update of it is accepted in any way.
        let refused = found.first().map(ToString::to_string).unwrap_or_default();
        assert!(refused.contains("shelf/f: shadow-release"), "{refused}");
    }
}
