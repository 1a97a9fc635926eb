//! Names, paths and patterns, and what may be where.

use conex_core::model::path::Pattern;
use conex_tests::{Community, opam_file};

use super::{FRESH, STRICT, Story, by};

/// Has the janitors ignore these patterns from now on.
fn ignore(all: &mut Community, patterns: &[&str]) {
    all.next_root(&["alice", "bob"], |root| {
        let patterns = patterns.iter();
        let patterns = patterns.map(|text| Pattern::parse(text).expect("a pattern"));
        root.ignore = patterns.collect();
    });
}

fn deep(levels: usize) -> String {
    "d/".repeat(levels)
}

pub(super) const PLAIN: &[Story] = &[
    (
        "names-odd",
        true,
        |all| {
            let long = "x".repeat(255);
            for file in [
                "a b", "a:b", "patch~", ".hidden", "aux1", "com", "con-1", "nulx.c", &long,
            ] {
                all.write(&format!("foo/1.0/{file}"), "x\n");
            }
            all.approve("dave", "foo");
        },
        STRICT,
    ),
    (
        "names-bad",
        false,
        |all| {
            let long = "x".repeat(256);
            for file in [
                "a.", "a ", "a\\b", "a\"b", "\u{7f}", "\u{e9}", "aux", "Com1.txt", "lpt0",
                "nul .c", "prn.d/x", &long,
            ] {
                all.write(&format!("foo/1.0/{file}"), "x\n");
            }
        },
        FRESH,
    ),
    (
        "name-drive",
        false,
        |all| all.write("c:/1/data", "x\n"),
        FRESH,
    ),
    (
        "name-of-a-package-longest",
        true,
        |all| {
            let name = "x".repeat(100);
            all.release(&name, "1", "x\n");
            all.approve("carol", &name);
        },
        STRICT,
    ),
    (
        "name-of-a-package-too-long",
        false,
        |all| all.release(&"x".repeat(101), "1", "x\n"),
        FRESH,
    ),
    (
        "name-of-a-release-bad",
        false,
        |all| all.write("foo/~1/data", "x\n"),
        FRESH,
    ),
    (
        "name-case-of-releases",
        false,
        |all| {
            all.release("foo", "a", "x\n");
            all.release("foo", "A", "x\n");
        },
        FRESH,
    ),
    (
        "name-case-of-releases-beside-a-file",
        false,
        |all| {
            all.release("foo", "a", "x\n");
            all.release("foo", "A", "x\n");
            all.write("foo/file", "x\n");
        },
        FRESH,
    ),
    (
        "name-case-of-files",
        false,
        |all| all.write("foo/1.0/DATA", "x\n"),
        FRESH,
    ),
    (
        "name-case-of-directories",
        false,
        |all| {
            all.write("foo/1.0/a/x", "x\n");
            all.write("foo/1.0/A/y", "x\n");
        },
        FRESH,
    ),
    (
        "depth-16",
        true,
        |all| {
            all.write(&format!("foo/1.0/{}x", deep(16)), "x\n");
            all.approve("dave", "foo");
        },
        STRICT,
    ),
    (
        "depth-17",
        false,
        |all| all.write(&format!("foo/1.0/{}x", deep(17)), "x\n"),
        FRESH,
    ),
    (
        "path-too-long",
        false,
        |all| {
            let long = format!("{}/", "x".repeat(250)).repeat(4);
            all.write(&format!("foo/1.0/{long}12345678901234567"), "x\n");
        },
        FRESH,
    ),
    (
        "pattern-of-a-file",
        false,
        |all| {
            ignore(all, &["*.md", "docs"]);
            all.write("docs/1/data", "x\n");
        },
        STRICT,
    ),
    (
        "pattern-of-a-directory",
        false,
        |all| {
            ignore(all, &["*.md", "docs/**"]);
            all.write("docs", "x\n");
        },
        STRICT,
    ),
    (
        "pattern-star",
        true,
        |all| {
            ignore(all, &["*.md", "d*s/**", "a*a"]);
            all.write("ds/1/data", "x\n");
            all.write("docs/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s", "x\n");
            all.write("aa", "x\n");
            all.write("aba", "x\n");
        },
        STRICT,
    ),
    (
        "pattern-star-overlaps",
        false,
        |all| {
            ignore(all, &["*.md", "a*a"]);
            all.write("a", "x\n");
        },
        STRICT,
    ),
    (
        "pattern-of-the-metadata",
        false,
        |all| {
            ignore(all, &["*.md", "conex/**"]);
            all.write("conex/x", "x\n");
        },
        FRESH,
    ),
    (
        "pattern-of-a-release",
        false,
        |all| {
            ignore(all, &["*.md", "foo/1.0/**"]);
            all.write("foo/1.0/more", "x\n");
        },
        FRESH,
    ),
    (
        "version-control-ignored",
        false,
        |all| {
            ignore(all, &["*.md", ".git/**"]);
            all.write(".git/config", "x\n");
        },
        FRESH,
    ),
];

pub(super) const OPAM: &[Story] = &[
    (
        "pattern-star-in-one-directory",
        false,
        |all| {
            ignore(all, &["*.md", "docs/*.txt"]);
            all.write("docs/a.txt", "x\n");
            all.write("docs/b/a.txt", "x\n");
        },
        FRESH,
    ),
    (
        "pattern-of-the-packages",
        false,
        |all| {
            ignore(all, &["*.md", "packages/**"]);
            all.release("new", "1", &opam_file("4.08", "dune"));
        },
        STRICT,
    ),
    (
        "pattern-of-a-repository-file",
        false,
        |all| {
            ignore(all, &["*.md", "repo"]);
            all.write("repo", "opam-version: \"2.0\"\n");
        },
        STRICT,
    ),
    (
        "package-no-name",
        false,
        |all| all.write("packages/123/123.1/opam", opam_file("4.08", "dune")),
        FRESH,
    ),
    (
        "package-file",
        false,
        |all| all.write("packages/file", "x\n"),
        FRESH,
    ),
    (
        "release-no-name",
        false,
        |all| all.write("packages/foo/x/opam", opam_file("4.08", "dune")),
        FRESH,
    ),
    (
        "release-of-a-number",
        false,
        |all| all.write("packages/foo/123.1/opam", opam_file("4.08", "dune")),
        FRESH,
    ),
    (
        "shadow-flat-beside-a-file",
        false,
        |all| {
            all.write("packages/foo.1.0/opam", opam_file("1.0", "evil"));
            all.write("packages/foo/file", "x\n");
        },
        FRESH,
    ),
    (
        "unsigned-unreadable",
        true,
        |all| all.release("new", "1", "no opam file {\n"),
        FRESH,
    ),
    (
        "repository-unreadable",
        true,
        |all| {
            all.write("repo", "no repo {\n");
            by(all, ".");
        },
        STRICT,
    ),
    (
        "repository-is-a-directory",
        false,
        |all| all.write("repo/x", "x\n"),
        FRESH,
    ),
    (
        "ignored-depth-16",
        true,
        |all| all.write(&format!("docs/{}x", deep(15)), "x\n"),
        STRICT,
    ),
    (
        "ignored-depth-17",
        false,
        |all| all.write(&format!("docs/{}x", deep(16)), "x\n"),
        FRESH,
    ),
];
