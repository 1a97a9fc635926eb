//! Packages, releases and repository files.

use conex_tests::{Community, former, opam_file};

use super::super::repositories::by;
use super::{MAIN, STRICT, Story, WARN, nothing, older};
use conex_core::verify::Mode;

use super::How;

/// Adds a second release of foo, approved.
fn second(all: &mut Community) {
    all.release("foo", "2.0", "More data.\n");
    all.approve("dave", "foo");
}

/// Adds the unclaimed package new, approved by carol alone.
fn new(all: &mut Community) {
    all.release("new", "1", "x\n");
    all.approve("carol", "new");
}

/// Adds it in its second version.
fn new_again(all: &mut Community) {
    new(all);
    all.release("new", "1", "y\n");
    all.approve("carol", "new");
}

/// Adds it and removes it again.
fn new_and_gone(all: &mut Community) {
    new(all);
    all.remove("new");
    let gone = all.gone("new", "0.2");
    all.vouch("alice", &[gone]);
}

/// Adds repository files, approved.
fn repository(all: &mut Community) {
    all.write("repo", "1\n");
    by(all, ".");
}

/// Removes the second release with an approved absence.
fn second_gone(all: &mut Community) {
    all.remove("foo/2.0");
    let releases = all.present("foo releases", "0.3");
    let gone = all.release_gone("foo", "2.0", "0.2");
    all.vouch("dave", &[releases, gone]);
}

/// Removes the second release without a statement about its files.
fn second_left_out(all: &mut Community) {
    all.remove("foo/2.0");
    let releases = all.present("foo releases", "0.3");
    all.vouch("dave", &[releases]);
}

/// Adds the second release in its second version.
fn second_twice(all: &mut Community) {
    second(all);
    all.release("foo", "2.0", "Other data.\n");
    all.approve("dave", "foo");
}

/// Adds the second release in its first version, with no vouch for the second.
fn second_lower(all: &mut Community) {
    forget(all, "dave", "foo/2.0 checksums 0.2");
    all.release("foo", "2.0", "More data.\n");
    let releases = all.present("foo releases", "0.9");
    all.vouch("dave", &[releases]);
}

/// Removes all pages of a person that vouch for any of these.
fn forget(all: &mut Community, who: &str, what: &str) {
    let pages = all.pages(who);
    let saying = pages.iter().filter(|page| all.read(page).contains(what));
    let saying: Vec<String> = saying.cloned().collect();
    assert!(!saying.is_empty(), "{who} says nothing of {what}");
    for page in saying {
        all.remove(&page);
    }
}

pub(super) const PLAIN: &[Story] = &[
    ("nothing", true, nothing, nothing, STRICT),
    ("releases-honest", true, nothing, second, STRICT),
    ("releases-rollback", false, second, older, WARN),
    (
        "releases-rollback-observed",
        false,
        second,
        older,
        How {
            mode: Mode::Observe,
            ..WARN
        },
    ),
    (
        "releases-not-approved",
        false,
        nothing,
        |all| all.release("foo", "2.0", "x\n"),
        WARN,
    ),
    (
        "releases-equivocation",
        false,
        second,
        |all| {
            older(all);
            all.release("foo", "2.0", "Other data.\n");
            all.approve("dave", "foo");
        },
        WARN,
    ),
    (
        "releases-greater-version",
        true,
        second,
        |all| {
            all.release("foo", "2.0", "Other data.\n");
            all.approve("dave", "foo");
        },
        STRICT,
    ),
    ("release-gone", true, second, second_gone, STRICT),
    (
        "release-gone-left-out",
        true,
        second,
        second_left_out,
        STRICT,
    ),
    (
        "release-gone-lost",
        false,
        |all| {
            second(all);
            second_gone(all);
        },
        |all| {
            older(all);
            second(all);
            second_left_out(all);
        },
        WARN,
    ),
    (
        "release-left-out-forgotten",
        true,
        |all| {
            second(all);
            second_left_out(all);
        },
        // Content that disappeared without an approved absence leaves nothing behind.
        |all| forget(all, "dave", "foo/2.0 checksums"),
        STRICT,
    ),
    (
        "release-back-lower",
        false,
        |all| {
            second(all);
            all.release("foo", "2.0", "Newer data.\n");
            all.approve("dave", "foo");
        },
        |all| {
            older(all);
            second(all);
            let releases = all.present("foo releases", "0.9");
            all.vouch("dave", &[releases]);
        },
        WARN,
    ),
    (
        "release-back-greater",
        true,
        |all| {
            second(all);
            second_gone(all);
        },
        |all| {
            all.release("foo", "2.0", "Back again.\n");
            all.approve("dave", "foo");
        },
        STRICT,
    ),
    (
        "pages-compacted",
        true,
        second,
        |all| all.compact("dave"),
        STRICT,
    ),
    (
        "pages-compacted-too-far",
        false,
        second,
        |all| {
            older(all);
            all.release("foo", "2.0", "More data.\n");
            let pages = all.pages("dave");
            let said = ["foo releases", "foo/1.0 checksums", "foo/2.0 checksums"];
            let said = said.map(|what| all.present(what, "0.1"));
            for page in pages {
                all.remove(&page);
            }
            all.vouch("dave", &said);
        },
        WARN,
    ),
    (
        "page-forged",
        false,
        nothing,
        |all| {
            second(all);
            let page = all
                .pages("dave")
                .into_iter()
                .find(|page| all.read(page).contains("2.0"));
            let page = page.expect("dave speaks of it");
            let text = all.read(&page);
            all.remove(&page);
            all.plant(&text.replacen(" 0.2 ", " 0.3 ", 1));
        },
        WARN,
    ),
    ("package-honest", true, nothing, new, STRICT),
    (
        "package-unsigned",
        true,
        nothing,
        |all| all.release("new", "1", "x\n"),
        WARN,
    ),
    (
        "package-unsigned-enforced",
        false,
        nothing,
        |all| all.release("new", "1", "x\n"),
        STRICT,
    ),
    (
        "package-signed-later",
        true,
        |all| all.release("new", "1", "x\n"),
        |all| {
            all.approve("carol", "new");
        },
        STRICT,
    ),
    (
        "package-stripped",
        false,
        new,
        |all| forget(all, "carol", "new releases"),
        WARN,
    ),
    (
        "package-rollback",
        false,
        new_again,
        |all| {
            older(all);
            new(all);
        },
        WARN,
    ),
    (
        "package-gone",
        true,
        new,
        |all| {
            all.remove("new");
            let gone = all.gone("new", "0.2");
            all.vouch("alice", &[gone]);
        },
        STRICT,
    ),
    (
        "package-gone-lost",
        false,
        new_and_gone,
        |all| {
            older(all);
            new(all);
        },
        WARN,
    ),
    (
        "package-gone-stripped",
        false,
        new_and_gone,
        |all| {
            forget(all, "alice", "new releases");
            forget(all, "carol", "new releases");
        },
        WARN,
    ),
    (
        "package-back",
        true,
        new_and_gone,
        |all| {
            all.release("new", "1", "z\n");
            all.approve("bob", "new");
        },
        STRICT,
    ),
    (
        "repository-honest",
        true,
        repository,
        |all| {
            all.write("repo", "2\n");
            by(all, ".");
        },
        STRICT,
    ),
    (
        "repository-rollback",
        false,
        |all| {
            repository(all);
            all.write("repo", "2\n");
            by(all, ".");
        },
        |all| {
            older(all);
            repository(all);
        },
        WARN,
    ),
    (
        "repository-stripped",
        false,
        repository,
        |all| {
            forget(all, "alice", ". repository");
            forget(all, "bob", ". repository");
        },
        WARN,
    ),
    (
        "main-line-ahead",
        true,
        nothing,
        |all| {
            second(all);
            all.remove("foo/2.0");
        },
        MAIN,
    ),
    ("main-line-rollback", false, second, older, MAIN),
    // New content may come in a version below ones that were approved; existing content may not.
    (
        "release-left-out-back-lower",
        true,
        |all| {
            second_twice(all);
            all.remove("foo/2.0");
            let releases = all.present("foo releases", "0.8");
            all.vouch("dave", &[releases]);
        },
        second_lower,
        WARN,
    ),
    ("release-lower", false, second_twice, second_lower, WARN),
    (
        "main-line-differs",
        false,
        nothing,
        |all| all.release("foo", "1.0", "x\n"),
        MAIN,
    ),
    (
        "key-of-an-owner-replaced",
        true,
        nothing,
        |all| {
            let pages = all.pages("dave");
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| {
                author.keys = vec![key];
                author.former = vec![former("dave", &pages)];
            });
            by(all, "dave");
        },
        STRICT,
    ),
    (
        "key-of-an-owner-forgotten",
        false,
        nothing,
        |all| {
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| author.keys = vec![key]);
            by(all, "dave");
        },
        WARN,
    ),
];

/// Changes the upkeep of foo 1.0, by carol.
fn upkeep(all: &mut Community) {
    all.release("foo", "1.0", &opam_file("5.0", "dune"));
    all.approve("carol", "foo/1.0 checksums");
}

/// Adds two releases that are equal in opam.
fn equals(all: &mut Community) {
    all.release("foo", "1.00", &opam_file("4.14", "dune"));
    all.approve("dave", "foo");
}

/// Removes one of them.
fn one_goes(all: &mut Community) {
    all.remove("packages/foo/foo.1.0");
    let releases = all.present("foo releases", "0.3");
    let gone = all.release_gone("foo", "1.0", "0.2");
    all.vouch("dave", &[releases, gone]);
}

pub(super) const OPAM: &[Story] = &[
    ("checksums-honest", true, nothing, upkeep, STRICT),
    ("checksums-rollback", false, upkeep, older, WARN),
    (
        "checksums-equivocation",
        false,
        upkeep,
        |all| {
            older(all);
            all.release("foo", "1.0", &opam_file("4.14", "dune"));
            all.approve("carol", "foo/1.0 checksums");
        },
        WARN,
    ),
    ("equal-releases", true, nothing, equals, STRICT),
    ("equal-releases-main", false, nothing, equals, MAIN),
    (
        "equal-releases-main-both-there",
        true,
        equals,
        |all| {
            all.release("foo", "1.00", &opam_file("5.0", "dune"));
            all.approve("carol", "foo/1.00 checksums");
        },
        MAIN,
    ),
    (
        "equal-releases-main-one-there",
        false,
        |all| {
            all.release("foo", "1.1", &opam_file("4.14", "dune"));
            equals(all);
        },
        |all| {
            all.release("foo", "1.01", &opam_file("4.14", "dune"));
            all.approve("dave", "foo");
        },
        MAIN,
    ),
    ("equal-releases-one-lost", false, equals, one_goes, WARN),
    (
        "equal-releases-one-stays",
        true,
        equals,
        |all| {
            all.release("foo", "1.00", &opam_file("5.0", "dune"));
            all.remove("packages/foo/foo.1.0");
            let releases = all.present("foo releases", "0.3");
            let gone = all.release_gone("foo", "1.0", "0.2");
            let files = all.present("foo/1.00 checksums", "0.2");
            all.vouch("dave", &[releases, gone, files]);
        },
        STRICT,
    ),
    (
        "repository-stamp",
        true,
        |all| {
            all.write("repo", "opam-version: \"2.0\"\n");
            by(all, ".");
        },
        |all| all.write("repo", "opam-version: \"2.0\"\nstamp: \"1\"\n"),
        STRICT,
    ),
    (
        "repository-mirror",
        false,
        |all| {
            all.write("repo", "opam-version: \"2.0\"\n");
            by(all, ".");
        },
        |all| all.write("repo", "opam-version: \"2.0\"\narchive-mirrors: \"a\"\n"),
        WARN,
    ),
];
