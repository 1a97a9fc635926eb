//! Approving pull requests ahead of their merge.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::fs;

mod pulls;
mod session;

use pulls::Pulls;
use session::Session;

fn release(name: &str) -> impl Fn(&Session) + '_ {
    move |session| session.write(&format!("{name}/data"), format!("{name}\n"))
}

fn three() -> Pulls {
    let pulls = Pulls::new("plain");
    pulls.pull(1, "erin", release("bar/0.2"));
    pulls.pull(2, "erin", |session| {
        session.write("foo/2.0/data", "mended\n");
    });
    pulls.pull(3, "frank", |session| {
        session.key("frank");
        session.output("enroll frank --key frank -y");
        session.output("claim new --key frank -y");
        session.write("new/1/data", "new\n");
        session.output("publish new/1 --key frank -y");
    });
    pulls
}

/// What two janitors approved in one go each is approved as soon as it is merged, in any order.
#[test]
fn a_day_of_pull_requests() {
    let mut pulls = three();
    // One that conflicts, one that nobody should approve, a gap, one that is merged already.
    pulls.pull(4, "erin", |session| session.write("lib/1/data", "one\n"));
    pulls.session.write("lib/1/data", "other\n");
    for who in ["alice", "bob"] {
        let (said, code) = pulls
            .session
            .output(&format!("approve lib/1 lib --key {who} -y"));
        assert_eq!(code, 0, "{said}");
    }
    pulls.commit("alice", "the same place");
    pulls.pull(5, "mallory", |session| {
        fs::remove_file(session.tree().join("conex/authors/erin.toml")).unwrap();
    });
    pulls.pull(7, "alice", |_| ());
    pulls
        .session
        .dry("approve --pr 1..7 --key alice")
        .run("approve --pr 1..7 --key alice -y");
    let pages = pulls.session.pages("alice");
    pulls.commit("alice", "approvals");
    pulls.session.refused("approve --pr 1..7 --key alice -y");
    pulls.session.run("approve --pr 1..3 --key bob -y");
    pulls.commit("bob", "approvals");
    assert_eq!(pulls.session.pages("alice"), pages);
    let (said, _) = pulls.session.output("review --pr 1..3 --require-approved");
    assert_eq!(said.matches(": approved\n").count(), 3, "{said}");
    for number in [3, 1, 2] {
        pulls.merge(number);
    }
    pulls.session.accepted();
    insta::assert_snapshot!(pulls.session.transcript);
}

#[test]
fn one_page_for_all_or_one_for_each() {
    for (option, pages) in [("", 3), (" --one-page", 1)] {
        let mut pulls = three();
        let before = pulls.session.pages("alice");
        pulls
            .session
            .run(&format!("approve --pr 1,2,3{option} --key alice -y"));
        assert_eq!(pulls.session.pages("alice"), before + pages);
        pulls
            .session
            .run(&format!("approve --pr 1,2,3{option} --key bob -y"));
        pulls.commit("alice", "approvals");
        for number in [1, 2, 3] {
            pulls.merge(number);
        }
        pulls.session.accepted();
    }
}

/// An owner approves what is theirs, and nothing else.
#[test]
fn branches_are_approved_like_pull_requests() {
    let mut pulls = three();
    pulls.git(&["branch", "topic", "refs/pull/1/head"]);
    pulls.git(&["branch", "other", "refs/pull/2/head"]);
    for who in ["alice", "bob"] {
        let before = pulls.session.pages(who);
        pulls.session.run(&format!(
            "approve --branch topic,other,topic --pr 3 --key {who} -y"
        ));
        assert_eq!(pulls.session.pages(who), before + 3);
        pulls.commit(who, "approvals");
    }
    for number in [2, 3, 1] {
        pulls.merge(number);
    }
    pulls.session.accepted();
    pulls
        .session
        .refused("approve --branch absent --key alice -y")
        .refused("approve --branch topic foo --key alice -y")
        .refused("approve --one-page --all --key alice -y");
}

#[test]
fn owners_approve_what_is_theirs() {
    let mut pulls = three();
    let (said, code) = pulls.session.output("approve --pr 1,2,3 --key dave -y");
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        said.matches("nothing of it waits for dave").count(),
        2,
        "{said}"
    );
    pulls.commit("dave", "an approval");
    pulls.merge(2);
    pulls.session.accepted();
}

/// It waits to be merged or taken back, and after that the content is old wherever it comes from.
#[test]
fn abandoned_approval() {
    let mut pulls = three();
    for who in ["alice", "bob"] {
        pulls.session.run(&format!("approve --pr 1 --key {who} -y"));
    }
    pulls.commit("alice", "approvals");
    let (said, _) = pulls.session.output("status bar");
    assert!(
        said.contains("approved ahead: bar releases 0.2 by alice, bob"),
        "{said}"
    );
    // The pull request is closed.
    for who in ["alice", "bob"] {
        pulls
            .session
            .run(&format!("retract bar bar/* --key {who} -y"));
    }
    pulls.commit("alice", "taken back");
    pulls.session.accepted();
    pulls.merge(1);
    let (said, code) = pulls.session.verify();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("behind"), "{said}");
}

#[test]
fn a_pull_request_that_changes_after_its_approval() {
    let mut pulls = three();
    for who in ["alice", "bob"] {
        pulls.session.run(&format!("approve --pr 1 --key {who} -y"));
    }
    pulls.commit("alice", "approvals");
    let (said, code) = pulls.session.output("review --pr 1 --require-approved");
    assert_eq!(code, 0, "{said}");
    pulls.pull(1, "erin", |session| {
        session.write("bar/0.2/data", "something else\n");
    });
    let (said, code) = pulls.session.output("review --pr 1 --require-approved");
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("alice, bob vouched for another content of bar releases"),
        "{said}"
    );
    pulls.merge(1);
    let (said, code) = pulls.session.verify();
    assert_eq!(code, 1, "{said}");
    let (said, _) = pulls.session.output("status");
    assert!(
        said.contains("not the content last approved in version 0.2 by alice, bob"),
        "{said}"
    );
    // Taken back by approving what is there, in a greater version.
    for who in ["alice", "bob"] {
        pulls
            .session
            .run(&format!("approve bar bar/0.2 --key {who} -y"));
    }
    pulls.session.accepted();
    // The honest twin: it is approved again before the merge.
    let mut pulls = three();
    for text in ["one\n", "another\n"] {
        pulls.pull(1, "erin", |session| session.write("bar/0.2/data", text));
        for who in ["alice", "bob"] {
            pulls.session.run(&format!("approve --pr 1 --key {who} -y"));
        }
        pulls.commit("alice", "approvals");
    }
    pulls.merge(1);
    pulls.session.accepted();
}

/// What is written and not committed counts, too: no version is used for two contents.
#[test]
fn nobody_signs_contradicting_things() {
    let mut pulls = three();
    pulls.pull(4, "dave", release("bar/0.3"));
    pulls.session.run("approve --pr 1,4 --key alice -y");
    assert!(
        pulls.session.transcript.contains(
            "left out: pull request 1 makes something else of bar releases: approve this one after that is merged"
        ),
        "{}",
        pulls.session.transcript
    );
    pulls.session.run("approve --pr 4 --key alice -y"); // in a greater version
    pulls.session.run("approve --pr 4 --key bob -y");
    pulls.commit("alice", "approvals");
    let (said, _) = pulls.session.output("verify --main");
    assert!(!said.contains("equivocation"), "{said}");
    pulls.merge(4);
    pulls.session.accepted();
    pulls.merge(1);
    for who in ["alice", "bob"] {
        pulls.session.run(&format!("approve --all --key {who} -y"));
    }
    pulls.session.accepted();
}

#[test]
fn refs_that_are_not_there() {
    let mut pulls = three();
    pulls
        .session
        .refused("approve --pr 1,9 --key alice -y")
        .refused("approve --pr 8..9 --key alice -y")
        .refused("approve --pr 1 --base none --key alice -y")
        .refused("approve --base main --key alice -y")
        .refused("approve bar --pr 1 --key alice -y")
        .refused("approve --pr 1 --key erin -y");
    insta::assert_snapshot!(pulls.session.transcript);
}

/// Where the main line was rewritten, nothing is signed for either of the two.
#[test]
fn force_pushed_base() {
    let mut pulls = three();
    let old = pulls.git(&["rev-parse", "main"]);
    for (key, value) in [
        ("remote.origin.url", "elsewhere"),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
        ("branch.main.remote", "origin"),
        ("branch.main.merge", "refs/heads/main"),
    ] {
        pulls.git(&["config", key, value]);
    }
    pulls.git(&["update-ref", "refs/remotes/origin/main", &old]);
    pulls.session.dry("approve --pr 1 --key alice");
    // What is not pushed yet is no rewriting.
    pulls.commit("alice", "not pushed");
    pulls.session.dry("approve --pr 1 --key alice");
    pulls.git(&["checkout", "-q", "--detach"]);
    pulls.git(&[
        "commit",
        "-q",
        "--allow-empty",
        "--amend",
        "-m",
        "rewritten",
    ]);
    let rewritten = pulls.git(&["rev-parse", "HEAD"]);
    pulls.git(&["update-ref", "refs/remotes/origin/main", &rewritten]);
    pulls.git(&["checkout", "-q", "main"]);
    pulls
        .session
        .refused("approve --pr 1 --key alice -y")
        .refused("approve --pr 1 --base origin/main --key alice -y");
    let said = &pulls.session.transcript;
    assert_eq!(
        said.matches("have diverged; nothing was signed").count(),
        2,
        "{said}"
    );
}
