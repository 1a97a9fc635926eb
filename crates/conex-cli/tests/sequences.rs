//! Sequences of honest steps and one hostile one, by the commands that people use.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::fs;

use conex_tests::{Community, fingerprint};

mod session;

use session::Session;

/// A community in git that advanced once, and its anchor.
fn advanced() -> (Session, String) {
    let session = Session::new(&Community::settled("plain"));
    session.git(&["init", "-q", "-b", "main", "."]);
    commit(&session, "as it is");
    let (status, _) = session.output("status");
    let line = status.lines().find(|line| line.contains("root:")).unwrap();
    let anchor = line.split_whitespace().last().unwrap().to_owned();
    advance(&session, &anchor);
    (session, anchor)
}

fn commit(session: &Session, message: &str) {
    session.git(&["add", "-A"]);
    session.git(&["commit", "-q", "-m", message]);
}

/// What is said when the branch that clients follow is brought up to the main line.
fn advance(session: &Session, anchor: &str) -> String {
    let (said, code) = session.output(&format!("advance --trust-anchors {anchor}"));
    assert_eq!(code, 0, "{said}");
    said
}

fn signed_has(session: &Session, file: &str) -> Option<String> {
    let place = format!("signed:{file}");
    let tree = session.tree();
    let shown = std::process::Command::new("git")
        .current_dir(&tree)
        .args(["show", &place])
        .output()
        .unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    shown.status.success().then_some(text)
}

/// An unapproved edit of what rests on a stolen key neither hides that from who revokes the key, nor holds the
/// root back.
#[test]
fn a_revocation_adopts_what_clients_have_whatever_stands_on_the_main_line() {
    let (session, anchor) = advanced();
    session.write("baz/1.0/data", "by carol\n");
    let (said, code) = session.output("approve baz baz/1.0 --key carol -y");
    assert_eq!(code, 0, "{said}");
    commit(&session, "baz");
    advance(&session, &anchor);
    assert_eq!(signed_has(&session, "baz/1.0/data").unwrap(), "by carol\n");
    // Somebody merges an edit that nobody approved.
    session.write("baz/1.0/data", "junk\n");
    commit(&session, "junk");
    advance(&session, &anchor);

    let stolen = fingerprint("carol");
    let revoke = format!("root revoke {stolen} --key alice -y");
    let (said, code) = session.output(&revoke);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("baz releases"), "{said}");
    let (said, code) = session.output(&format!("root revoke {stolen} --adopt --key alice -y"));
    assert_eq!(code, 0, "{said}");
    let (said, code) = session.output("root sign --adopt --key bob -y");
    assert_eq!(code, 0, "{said}");
    commit(&session, "carol's key is revoked");
    let said = advance(&session, &anchor);
    let root = signed_has(&session, "conex/root/2.toml").expect(&said);
    assert!(root.contains("floor = ["), "{root}");
    assert_eq!(signed_has(&session, "baz/1.0/data").unwrap(), "by carol\n");
    // And the edit may be approved like any other.
    let (said, code) = session.output("approve baz baz/1.0 --key alice -y");
    assert_eq!(code, 0, "{said}");
    commit(&session, "approved");
    advance(&session, &anchor);
    assert_eq!(signed_has(&session, "baz/1.0/data").unwrap(), "junk\n");
}

/// What is gone stays gone when its name is given to somebody: the claim takes its absence over.
#[test]
fn a_claim_takes_over_that_a_package_is_gone() {
    let (session, anchor) = advanced();
    session.write("baz/1.0/data", "by carol\n");
    for (line, what) in [
        ("approve baz baz/1.0 --key carol -y", "baz"),
        ("approve baz --key carol -y", "baz is gone"),
        ("claim baz --key erin -y", "erin's"),
        ("approve baz --key alice -y", "erin's, says alice"),
        ("approve baz --key bob -y", "erin's, says bob"),
    ] {
        let (said, code) = session.output(line);
        assert_eq!(code, 0, "{line}\n{said}");
        commit(&session, what);
        advance(&session, &anchor);
        if what == "baz" {
            fs::remove_dir_all(session.tree().join("baz")).unwrap();
        }
    }
    let claim = signed_has(&session, "conex/packages/baz.toml").unwrap();
    assert!(claim.contains("\"erin\""), "{claim}");
    session.write("baz/2.0/data", "by erin\n");
    let (said, code) = session.output("publish baz/2.0 --key erin -y");
    assert_eq!(code, 0, "{said}");
    commit(&session, "baz again");
    advance(&session, &anchor);
    assert!(signed_has(&session, "baz/2.0/data").is_some());
}

/// What clients have is asked for even where nobody's votes on the main line speak of it any more: here the rule changed
/// after it was approved, and nobody approved that it goes.
#[test]
fn a_removal_that_nobody_approved_is_asked_for_after_a_claim() {
    let (session, anchor) = advanced();
    session.write("baz/1.0/data", "by carol\n");
    let run = |line: &str| {
        let (said, code) = session.output(line);
        assert_eq!(code, 0, "{line}\n{said}");
        said
    };
    run("approve baz baz/1.0 --key carol -y");
    commit(&session, "baz");
    advance(&session, &anchor);
    fs::remove_dir_all(session.tree().join("baz")).unwrap();
    run("claim baz --key erin -y");
    for janitor in ["alice", "bob"] {
        run(&format!("approve baz --key {janitor} -y"));
    }
    commit(&session, "baz is erin's, and gone");
    let status = run("status");
    let said = advance(&session, &anchor);
    assert_eq!(
        signed_has(&session, "baz/1.0/data"),
        None,
        "{status}\n{said}"
    );
    let claim = signed_has(&session, "conex/packages/baz.toml").expect(&said);
    assert!(claim.contains("\"erin\""), "{claim}");
}

/// Where no former owner goes on, and where it is asked for, the versions of a package begin anew.
#[test]
fn a_new_epoch_ends_what_former_owners_signed() {
    let (session, anchor) = advanced();
    for line in [
        "claim foo --owner erin --key erin -y",
        "approve foo --key alice -y",
        "approve foo --key bob -y",
    ] {
        let (said, code) = session.output(line);
        assert_eq!(code, 0, "{line}\n{said}");
    }
    commit(&session, "foo is erin's");
    advance(&session, &anchor);
    let claim = signed_has(&session, "conex/packages/foo.toml").unwrap();
    assert!(claim.contains("epoch = 1"), "{claim}");
    for line in [
        "claim foo --new-epoch --key erin -y",
        "approve foo --key alice -y",
        "approve foo --key bob -y",
    ] {
        let (said, code) = session.output(line);
        assert_eq!(code, 0, "{line}\n{said}");
    }
    commit(&session, "again");
    advance(&session, &anchor);
    let claim = signed_has(&session, "conex/packages/foo.toml").unwrap();
    assert!(
        claim.contains("epoch = 2") && claim.contains("\"erin\""),
        "{claim}"
    );
}

/// A merge that brings back who or what is retired for clients: it is named, nobody is asked to approve it, and
/// retiring it again is all that is needed.
#[test]
fn what_is_retired_for_clients_is_not_asked_for_again() {
    let (session, anchor) = advanced();
    let run = |line: &str| {
        let (said, code) = session.output(line);
        assert_eq!(code, 0, "{line}\n{said}");
        said
    };
    let claim = session.tree().join("conex/packages/foo.toml");
    let before = fs::read_to_string(&claim).unwrap();
    fs::remove_dir_all(session.tree().join("foo")).unwrap();
    for line in [
        "approve foo --key alice -y",
        "approve foo --key bob -y",
        "retire foo --key alice -y",
        "approve foo --key alice -y",
        "approve foo --key bob -y",
    ] {
        let _ = session.output(line);
    }
    commit(&session, "foo is retired");
    let said = advance(&session, &anchor);
    let retired = signed_has(&session, "conex/packages/foo.toml").expect(&said);
    assert!(retired.contains("retired = true"), "{said}{retired}");
    fs::write(&claim, before).unwrap();
    let (status, _) = session.output("status");
    assert!(status.contains("revived"), "{status}");
    let (said, code) = session.output("approve foo --key alice -y");
    assert!(!said.contains("foo authorisation"), "{code}: {said}");
    // That was approved, and still is.
    let said = run("retire foo --key alice -y");
    let (status, code) = session.output("status");
    assert_eq!(code, 0, "{said}\n{status}");
    assert_eq!(fs::read_to_string(&claim).unwrap(), retired);
}

/// A claim of an epoch that is past is written again in the one that was approved.
#[test]
fn a_claim_is_made_in_the_epoch_that_was_approved() {
    let (session, anchor) = advanced();
    let run = |line: &str| {
        let (said, code) = session.output(line);
        assert_eq!(code, 0, "{line}\n{said}");
        said
    };
    let claim = session.tree().join("conex/packages/foo.toml");
    let before = fs::read_to_string(&claim).unwrap();
    run("claim foo --owner erin --key erin -y");
    run("approve foo --key alice -y");
    run("approve foo --key bob -y");
    commit(&session, "foo is erin's");
    advance(&session, &anchor);
    // A branch from before is merged, and its file taken.
    fs::write(&claim, before).unwrap();
    let (said, _) = session.output("status foo");
    assert!(!said.contains("more of the janitors"), "{said}");
    run("claim foo --owner carol --key carol -y");
    let text = fs::read_to_string(&claim).unwrap();
    assert!(
        text.contains("epoch = 1") && text.contains("\"carol\""),
        "{text}"
    );
}
