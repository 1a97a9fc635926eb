//! Small things that people run into, each with the answer that helps.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::fs;

use conex_tests::{Community, opam_file};

mod session;

use session::Session;

/// A settled community in a directory of a larger working copy of git.
fn within_git() -> Session {
    let session = Session::settled();
    session.git(&["init", "-q", ".."]);
    fs::write(session.directory.path().join(".gitignore"), "home\n").unwrap();
    session.git(&["-C", "..", "add", ".gitignore"]);
    session.git(&["commit", "-q", "-m", "before there was a repository"]);
    session.git(&["branch", "before"]);
    commit(&session, "signed");
    session.git(&["branch", "signed"]);
    session
}

fn commit(session: &Session, message: &str) {
    session.git(&["-C", "..", "add", "-A"]);
    session.git(&["commit", "-q", "-m", message]);
}

#[test]
fn whoever_does_not_own_a_package_is_told_who_does() {
    let mut session = Session::settled();
    session.key("frank");
    session.write("bar/0.2/data", "bar in version 0.2\n");
    session.write("foo/3.0/data", "foo in version 3.0\n");
    let (said, _) = session.output("publish bar/0.2 --key dave --dry-run");
    assert!(
        said.contains(
            "dave does not own bar: nobody claimed it, so the janitors have to approve this"
        ),
        "{said}"
    );
    let (said, _) = session.output("publish foo/3.0 --key erin --dry-run");
    assert!(
        said.contains("erin does not own foo: its owners, or the janitors, have to approve this"),
        "{said}"
    );
    let (said, _) = session.output("publish foo/3.0 --key dave --dry-run");
    assert!(!said.contains("own"), "{said}");
    session.write("new/1.0/data", "new in version 1.0\n");
    session.run("enroll frank --key frank -y");
    session.run("claim new --key frank -y");
    let (said, _) = session.output("publish new/1.0 --key frank --dry-run");
    assert!(
        said.contains("the claim of new by frank is not approved"),
        "{said}"
    );
}

#[test]
fn status_says_which_keys_there_are_to_choose_from() {
    let session = Session::settled();
    let (said, code) = session.output("status");
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("choose a key of yours with --key: ") && said.contains("alice (alice)"),
        "{said}"
    );
    let (said, _) = session.output("status --key alice");
    assert!(said.contains("you are alice; nothing awaits you"), "{said}");
}

#[test]
fn a_file_is_no_repository() {
    let session = Session::settled();
    let (said, code) = session.output("-C README.md status");
    assert_eq!(code, 2, "{said}");
    assert!(
        said.starts_with("error: README.md is a file, not a directory\nhint: "),
        "{said}"
    );
    let (said, code) = session.output("-C nowhere status");
    assert!(code == 3 && said.contains("hint: "), "{said}");
}

#[test]
fn a_repository_may_be_a_directory_of_a_larger_working_copy() {
    let mut session = within_git();
    session.write("bar/0.2/data", "bar in version 0.2\n");
    commit(&session, "a pull request");
    session.write("foo/3.0/data", "foo in version 3.0\n");
    session
        .run("publish foo/3.0 --base signed --key dave -y")
        .refused("publish foo/3.0 --base nowhere --key dave -y")
        .refused("approve --changed nowhere --key alice -y")
        .run("approve --changed signed..HEAD --key alice -y")
        .run("approve --changed signed..HEAD --key bob -y")
        .accepted();
    // What is not committed is in the way of a change of its own, wherever the repository is.
    session.refused("compact --key alice -y");
    let (said, _) = session.output("compact --key alice -y");
    assert!(
        said.contains("3 files below conex/ are changed and not committed"),
        "{said}"
    );
    commit(&session, "approved");
    session.run("compact --key alice -y").accepted();
}

#[test]
fn a_revision_without_the_directory_is_refused() {
    let session = within_git();
    let (said, code) = session.output("approve --changed before --key alice -y");
    assert!(code == 2 && said.contains("hint: "), "{said}");
}

/// Too few janitors decide nothing, so what they included is no state to go on from.
#[test]
fn an_owner_does_not_bless_what_one_janitor_included() {
    for (janitors, blessed) in [(&["alice"][..], false), (&["alice", "bob"], true)] {
        let mut session = Session::settled();
        session.key("frank");
        session.write("new/6.6.6/data", "not frank's\n");
        for janitor in janitors {
            session.run(&format!("approve new new/* --key {janitor} -y"));
        }
        session.write("new/1.0/data", "new in version 1.0\n");
        session
            .run("enroll frank --key frank -y")
            .run("claim new --key frank -y");
        let (said, code) = session.output("publish new/1.0 --key frank --dry-run");
        assert_eq!(code == 0, blessed, "{said}");
        assert_eq!(
            said.contains("not part of this: new/6.6.6 new"),
            !blessed,
            "{said}"
        );
        let (said, code) = session.output("publish new/1.0 --accept-others --key frank -y");
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn approve_alone_shows_what_waits_and_signs_nothing() {
    let mut session = Session::settled();
    session.write("bar/0.2/data", "bar in version 0.2\n");
    let (said, code) = session.output("approve --key alice -y");
    assert!(code == 2 && said.contains("bar/0.2 checksums"), "{said}");
    assert!(
        said.contains("nothing was signed\nhint: give names, or --all"),
        "{said}"
    );
    session
        .refused("approve --key alice -y")
        .dry("approve --key alice")
        .run("approve --kind checksums --key alice -y")
        .run("approve --all --key alice -y")
        .run("approve bar bar/* --key bob -y")
        .accepted();
}

#[test]
fn a_package_that_cannot_be_read_is_said_to_be_just_that() {
    let session = Session::settled();
    session.write("bar/0.1/a/DATA", "one\n");
    session.write("bar/0.1/A/data", "the other\n");
    for pattern in ["bar", "bar/0.1", "b*"] {
        let (said, code) = session.output(&format!("approve {pattern} --key alice -y"));
        assert!(
            code == 1 && said.contains("error: bar cannot be read: ") && said.contains("hint: "),
            "{said}"
        );
    }
    let (said, _) = session.output("approve foo --key alice -y");
    assert!(
        said.contains("nothing that waits for alice matches"),
        "{said}"
    );
}

/// A flat package has a directory for each release, and opam's repository two files of its own.
#[test]
fn a_change_is_found_in_every_directory_and_file() {
    let mut community = Community::settled("opam");
    let two = |text: &str| opam_file("4.08", text).into_bytes();
    community.write("packages/flat.1/opam", two("dune"));
    community.write("packages/flat.2/opam", two("dune"));
    community.write("version", "1\n");
    for janitor in ["alice", "bob"] {
        community.approve(janitor, "*");
    }
    let mut session = Session::new(&community);
    session.git(&["init", "-q", "."]);
    session.git(&["add", "-A"]);
    session.git(&["commit", "-q", "-m", "signed"]);
    session.write("packages/flat.2/opam", two("other"));
    session.write("version", "2\n");
    for janitor in ["alice", "bob"] {
        session.run(&format!("approve --changed HEAD --key {janitor} -y"));
    }
    session.accepted();
}
