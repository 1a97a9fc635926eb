//! Attributes of git in a tree, by which git writes files otherwise than it stores them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

mod client;
mod git;
mod session;

use conex_core::model::path::Pattern;
use conex_tests::{Community, opam_file};
use git::Line;
use session::Session;

fn settled() -> Community {
    let mut community = Community::settled_by("opam", |root| {
        for pattern in [".*", ".*/**"] {
            root.ignore.push(Pattern::parse(pattern).unwrap());
        }
    });
    community.write("conex/.gitattributes", "* -text\n");
    community
}

/// Git itself checks out what attributes make of it.
#[test]
fn attributes_by_which_a_checkout_is_not_what_is_signed_are_noted_beside_the_refusal() {
    for (attributes, alters) in [
        ("* eol=crlf", Some("eol=crlf")),
        ("* text=auto eol=crlf", Some("eol=crlf")),
        ("packages/** ident", Some("ident")),
        (
            "* eol=crlf\npackages/** -text\nrepo -text\nconex/** -text",
            None,
        ),
        ("* text=auto", None),
        ("docs/** eol=crlf", None),
    ] {
        let mut community = settled();
        let file = opam_file("5.0", "$Id$");
        community.release("foo", "3.0", &file);
        community.approve("dave", "foo");
        community.verify().accepted();
        community.write(".gitattributes", format!("{attributes}\n"));
        let line = Line::of(&community);
        line.git(&["clone", "-q", ".", "../cloned"]);
        // A revision is what is signed, and so are all changes of it.
        let said = line.accepts("-C tree verify --revision HEAD --all");
        assert_eq!(
            said.contains(".gitattributes:1: attributes: "),
            alters.is_some(),
            "{said}"
        );
        if let Some(name) = alters {
            let said = line
                .client
                .refuses("verify --dir cloned", "content-differs");
            assert!(said.contains(".gitattributes:1: attributes: "), "{said}");
            assert!(
                said.contains(&format!(": {name} for ")) && said.contains("  attributes: "),
                "{said}"
            );
            let said = line.accepts("-C tree verify --revision HEAD");
            assert!(!said.contains("attributes: "), "{said}");
        } else {
            line.accepts("verify --dir cloned");
        }
    }
}

/// Where conex's own file does not keep git from it, there is no root to begin with.
#[test]
fn attributes_that_spoil_every_root_are_noted_all_the_same() {
    let mut community = settled();
    community.remove("conex/.gitattributes");
    community.write(".gitattributes", "* eol=crlf\n");
    let line = Line::of(&community);
    line.git(&["clone", "-q", ".", "../cloned"]);
    line.accepts("-C tree verify --revision HEAD");
    let said = line.client.refuses("verify --dir cloned", "malformed");
    assert!(said.contains("attributes: eol=crlf for conex/"), "{said}");
}

#[test]
fn attributes_that_cut_an_archive_short_are_noted() {
    let mut community = settled();
    community.write(".gitattributes", "conex export-ignore\n");
    let line = Line::of(&community);
    let said = line.accepts("-C tree verify --dir tree --all");
    assert!(said.contains("export-ignore for conex/"), "{said}");
    line.git(&["archive", "-o", "../tree.tar.gz", "HEAD"]);
    line.client
        .refuses("verify --dir tree.tar.gz", "root-missing");
}

#[test]
fn what_git_will_store_otherwise_is_not_signed() {
    let mut session = Session::unsigned();
    session.write(".gitattributes", "");
    session.run("init --origin example --janitor alice --quorum 1 --key alice -y");
    session.run("bootstrap --key alice -y");
    session.commit_as("alice", "2026-01-02", "conex");
    let opam = "opam-version: \"2.0\"\nmaintainer: \"a\"\n";
    let release = "packages/foo/foo.3/opam";
    let sign = [
        "approve --all --key alice -y",
        "publish foo.3 --accept-others --key alice -y",
    ];
    session.write(release, opam.replace('\n', "\r\n"));
    for (attributes, named) in [
        ("* text=auto\n", "text=auto in .gitattributes, line 1"),
        ("# x\n*/** eol=crlf\n", "eol=crlf in .gitattributes, line 2"),
    ] {
        session.write(".gitattributes", attributes);
        for line in sign {
            session.refused(line);
            assert!(
                session.transcript.contains("packages/foo/foo.3/opam"),
                "{}",
                session.transcript
            );
            assert!(session.transcript.contains(named), "{}", session.transcript);
            session.transcript.clear();
        }
    }
    session.write(".gitattributes", "");
    session.git(&["config", "core.autocrlf", "input"]);
    session.refused(sign[0]);
    assert!(
        session.transcript.contains("core.autocrlf"),
        "{}",
        session.transcript
    );
    // What is mended as the hint says is signed, and git stores just that.
    session.write(".gitattributes", "* text=auto\npackages/** -text\n");
    session.run(sign[0]);
    session.commit_as("alice", "2026-02-01", "foo 3");
    session.accepted();
    session.git(&["diff", "--exit-code", "HEAD"]);
    // What git stores already stays as it is.
    session.write(".gitattributes", "* text=auto\n");
    session.write("packages/foo/foo.3/files/x", "x\n");
    session.run(sign[0]);
}

#[test]
fn what_keywords_filters_and_encodings_change_is_not_signed_either() {
    let mut session = Session::unsigned();
    session.write(".gitattributes", "");
    session.run("init --origin example --janitor alice --quorum 1 --key alice -y");
    session.run("bootstrap --key alice -y");
    session.commit_as("alice", "2026-01-02", "conex");
    session.git(&["config", "filter.upper.clean", "tr a-z A-Z"]);
    let release = "packages/foo/foo.3/opam";
    let opam = "opam-version: \"2.0\"\nmaintainer: \"a\"\n";
    let keyword = format!("{opam}# $Id: 1 $\n");
    for (attributes, text) in [
        ("* ident\n", keyword.as_str()),
        ("* filter=upper\n", opam),
        ("* working-tree-encoding=UTF-16LE\n", opam),
    ] {
        session.write(release, text);
        session.write(".gitattributes", attributes);
        session.transcript.clear();
        session.refused("approve --all --key alice -y");
        let place = ".gitattributes, line 1; nothing was signed";
        assert!(session.transcript.contains(place), "{}", session.transcript);
    }
    // A filter that git does not have, and a keyword that is not there, change nothing.
    for (attributes, name) in [("* ident\n", "b"), ("* filter=absent\n", "c")] {
        session.write(release, opam.replace("\"a\"", &format!("\"{name}\"")));
        session.write(".gitattributes", attributes);
        session.run("approve --all --key alice -y");
    }
}

#[test]
fn who_signs_is_told_of_attributes() {
    let mut session = Session::unsigned();
    session.write(".gitattributes", "packages/** ident\n");
    session.run("init --origin example --janitor alice --quorum 1 --key alice -y");
    session.run("bootstrap --key alice -y");
    let noted = session
        .transcript
        .matches(".gitattributes:1: attributes: ident for packages/")
        .count();
    assert_eq!(noted, 2, "{}", session.transcript);
    let mut session = Session::unsigned();
    session.write(".gitattributes", "* text=auto\n");
    session.run("init --origin example --janitor alice --quorum 1 --key alice -y");
    session.run("bootstrap --key alice -y");
    assert!(
        !session.transcript.contains("attributes: "),
        "{}",
        session.transcript
    );
}
