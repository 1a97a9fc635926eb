//! People come and go: what janitors and authors see when it changes who may sign.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::fs;

use conex_core::model::limits;
use conex_core::model::vouch::Vouch;
use conex_tests::{Community, fingerprint};

mod session;

use session::Session;

#[test]
fn janitors_come_and_go() {
    let mut session = Session::settled();
    session
        .dry("root join dora=dora --key alice")
        .run("root join dora=dora --key alice -y")
        .refused("root leave bob --key carol -y") // one root at a time
        .run("root sign --key bob -y")
        .accepted()
        // An honest departure costs nothing: the pages go on counting.
        .run("root leave bob --key bob -y")
        .run("root sign --key alice -y")
        .run("root sign --key carol -y")
        .accepted()
        .refused("root leave nobody --key alice -y")
        .refused("root join alice=dora --key alice -y")
        // Bob comes back with the key he had.
        .run("root join bob=bob --key alice -y")
        .run("root sign --key dora -y")
        .accepted();
    insta::assert_snapshot!(session.transcript);
}

/// Two janitors propose root 2 in two branches; of the one that lost a signature is merged.
#[test]
fn signatures_of_a_proposal_that_lost_go() {
    let mut other = Session::settled();
    other.run("root set complete --key carol -y");
    let mut session = Session::settled();
    session.run("root join dora=dora --key alice -y");
    let stale = Community::root_signature(2, "carol");
    let of_alice = Community::root_signature(2, "alice");
    let read = |session: &Session, file: &str| fs::read(session.tree().join(file)).unwrap();
    session.write(&stale, read(&other, &stale));
    let (said, code) = session.output("root sign --key bob -y");
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains(&format!("{stale} is not a signature of this root")),
        "{said}"
    );
    assert!(!session.tree().join(&stale).exists());
    assert!(session.tree().join(&of_alice).exists());
    session.accepted();
    // Her own goes, too, where she signs.
    let mut session = Session::settled();
    session.run("root join dora=dora --key alice -y");
    session.write(&stale, read(&other, &stale));
    session.run("root sign --key carol -y").accepted();
    assert_ne!(read(&session, &stale), read(&other, &stale));
}

#[test]
fn rules_are_set_and_what_they_cost_is_foretold() {
    let mut session = Session::settled();
    session
        .dry("root set quorum=1 upkeep=1 unclaimed=1 --key alice")
        .refused("root set quorum=3 --key alice -y")
        .refused("root set quorum=1 --key alice -y")
        .refused("root set quorum=9 --key alice -y")
        .refused("root set quorum=0 --key alice -y")
        .refused("root set quorum=2 --key alice -y")
        .refused("root set no-ignore=*.md --key alice -y")
        .refused("root set projections=opam/9 --key alice -y")
        .run("root set quorum=3 upkeep=1 unclaimed=1 complete ignore=tools/** --adopt --key alice -y")
        .refused("root sign --key carol -y")
        .run("root sign --adopt --key carol -y")
        .run("root sign --adopt --key bob -y")
        .accepted();
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn a_pattern_that_ignores_nothing_is_refused() {
    let session = Session::new(&Community::settled("opam"));
    for (pattern, reason) in [
        ("conex/**", "conex/ is what all verification rests on"),
        ("conex/notes.md", "conex/ is what all verification rests on"),
        ("packages/**", "packages stand in packages/"),
        ("packages/foo/*.md", "packages stand in packages/"),
        ("packages", "packages stand in packages/"),
        ("repo", "clients read the file repo"),
        ("version", "clients read the file version"),
    ] {
        let line = format!("root set ignore={pattern} --key alice -y");
        let before = session.files();
        let (said, code) = session.output(&line);
        assert_eq!(code, 2, "{line}\n{said}");
        assert!(said.contains(reason), "{line}\n{said}");
        assert!(said.contains("hint: "), "{line}\n{said}");
        assert_eq!(session.files(), before, "{line}");
    }
    // The honest twins: names of other things, directories of the same name, and stars.
    for pattern in ["repo/**", "packages.md", "re*", "docs/repo", "conex.md"] {
        let line = format!("root set ignore={pattern} --key alice --dry-run");
        let (said, code) = session.output(&line);
        assert_eq!(code, 0, "{line}\n{said}");
    }
}

#[test]
fn janitors_change_keys() {
    let mut session = Session::settled();
    session
        .refused("root rotate bob --new bob-2 --key alice -y")
        .refused("root rotate bob --new bob --key bob -y")
        .dry("root rotate bob --new bob-2 --key bob")
        .run("root rotate bob --new bob-2 --lost --key alice -y")
        .run("root sign --key bob-2 -y")
        .run("root sign --key carol -y")
        .accepted()
        .refused("root sign --key bob -y");
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn key_theft_of_a_janitor() {
    let mut session = Session::settled();
    session.git(&["init", "-q"]);
    session.git(&["add", "-A"]);
    session.git(&["commit", "-q", "-m", "before the theft"]);
    // The thief and a careless colleague approve a file.
    session.write("repo", "stamp: \"evil\"\n");
    for who in ["bob", "alice"] {
        let (said, code) = session.output(&format!("approve . --key {who} -y"));
        assert_eq!(code, 0, "{said}");
    }
    session.accepted();
    let stolen = fingerprint("bob");
    session
        // All that bob stood behind would be lost: nothing is done without saying so.
        .refused(&format!("root revoke {stolen} --key alice -y"))
        .refused(&format!("root revoke {stolen} --accept abc --key alice -y"))
        .refused(&format!(
            "root revoke {stolen} --accept-before nowhere --key alice -y"
        ))
        // With what he signed before accepted, only the thief's deed is.
        .refused(&format!(
            "root revoke {stolen} --accept-before HEAD --key alice -y"
        ))
        .run(&format!(
            "root revoke {stolen} --new bob-2 --accept-before HEAD --let-go . --key alice -y"
        ))
        .refused("root sign --key carol -y")
        .run("root sign --let-go . --key carol -y");
    let (said, code) = session.verify();
    assert_eq!(code, 1);
    assert!(said.contains("repo: "), "{said}");
    // Nothing under the stolen key counts afterwards.
    session.refused("approve . --key bob -y");
    session.git(&["checkout", "-q", "--", "repo"]);
    // What was approved before the thief is approved again.
    session.accepted();
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn janitor_loss() {
    // Whoever is revoked takes all approvals along; two adopt everything with one prompt each.
    let mut session = Session::settled();
    let stolen = fingerprint("bob");
    session
        .run(&format!("root revoke {stolen} --adopt --key alice -y"))
        .refused("root sign --key carol -y")
        .run("root sign --adopt --key carol -y")
        .accepted();
    assert_eq!(session.pages("carol"), 1);
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn authors_change_keys() {
    let mut session = Session::settled();
    session
        .refused("rotate --new erin --key dave -y")
        .refused("rotate erin --new dave-2 --key dave -y")
        .refused("rotate --new bob-2 --key alice -y")
        .refused("rotate --lost --new dave-2 -y")
        .dry("rotate --new dave-2 --key dave")
        .run("rotate --new dave-2 --key dave -y")
        .run("approve dave --key alice -y")
        .run("approve dave --key carol -y")
        .accepted()
        .refused("approve foo --key dave -y");
    session.write("foo/3.0/data", "foo in version 3.0\n");
    session.run("approve foo --key dave-2 -y").accepted();
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn key_loss_and_key_theft_of_an_author() {
    // Lost: the same, without the old key.
    let mut session = Session::settled();
    session
        .run("rotate dave --new dave-2 --lost -y")
        .run("approve dave --key alice -y")
        .run("approve dave --key bob -y")
        .accepted();
    // Stolen: revoked; what is good is adopted by the janitors or by the new key.
    let mut theft = Session::settled();
    let stolen = fingerprint("dave");
    theft
        .refused(&format!("root revoke {stolen} --key alice -y"))
        .refused(&format!("root revoke {stolen} --new dave-2 --key alice -y"))
        .run(&format!("root revoke {stolen} --adopt --key alice -y"))
        .run("root sign --adopt --key bob -y")
        .accepted()
        .refused("rotate dave --new dave --lost -y")
        .run("rotate dave --new dave-2 --lost -y")
        .run("approve dave --key alice -y")
        .run("approve dave --key bob -y")
        .accepted();
    insta::assert_snapshot!(format!("{}{}", session.transcript, theft.transcript));
}

#[test]
fn teams() {
    let mut session = Session::settled();
    session
        .run("team makers")
        .refused("team nobody")
        .refused("team players --add dave --key alice -y")
        .refused("team players --create --add frank --key alice -y")
        .run("team players --create --add dave --add alice --key alice -y")
        .run("approve players --key bob -y")
        .accepted()
        .refused("team makers --add dave --key alice -y")
        .refused("team makers --remove frank --key alice -y")
        .refused("team makers --remove dave --remove erin --key alice -y")
        .refused("team makers --remove erin --key alice -y")
        .dry("team makers --remove erin --adopt --key alice")
        .run("team makers --remove erin --adopt --key alice -y")
        .run("approve makers --key bob -y")
        .run("approve lib --key bob -y")
        .accepted()
        // Who is no janitor writes it, and the janitors approve it.
        .run("team makers --add erin --key dave -y")
        .run("approve makers --key alice -y")
        .run("approve makers --key carol -y")
        .accepted();
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn retirement() {
    let mut session = Session::settled();
    session
        .refused("retire nobody --key alice -y")
        .refused("retire alice --key alice -y")
        .refused("retire dave --key alice -y")
        .refused("retire makers --key alice -y")
        .refused("retire foo --key alice -y")
        // A member of a team may go, and what she approved goes on counting.
        .run("retire erin --key erin -y")
        .run("approve erin --key alice -y")
        .run("approve erin --key bob -y")
        .accepted()
        .refused("retire erin --key alice -y")
        .refused("rotate erin --lost --new dave-2 -y");
    fs::remove_dir_all(session.tree().join("foo")).unwrap();
    session
        .run("approve foo --key dave -y")
        .accepted()
        .run("retire foo --key alice -y")
        .run("approve foo --key bob -y")
        .accepted()
        .refused("retire foo --key alice -y")
        // Nothing is dave's any more.
        .run("retire dave --key bob -y")
        .run("approve dave --key carol -y")
        .accepted();
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn compaction() {
    let mut session = Session::settled();
    for content in ["one", "two", "three"] {
        session.write("bar/0.1/data", content);
        for who in ["alice", "bob"] {
            let (said, code) = session.output(&format!("approve bar --key {who} -y"));
            assert_eq!(code, 0, "{said}");
        }
    }
    session.accepted();
    assert_eq!((session.pages("alice"), session.pages("bob")), (5, 5));
    session
        .dry("compact --key alice")
        .run("compact --key alice -y")
        .accepted()
        .refused("compact --key alice -y")
        .run("compact bob -y")
        .accepted()
        .refused("compact --all -y")
        .refused("compact carol -y");
    assert_eq!((session.pages("alice"), session.pages("bob")), (1, 3));
    session.git(&["init", "-q"]);
    session
        .refused("compact --key bob -y") // nothing of it is committed
        .git(&["add", "-A"]);
    session.git(&["commit", "-q", "-m", "compacted by alice"]);
    session.run("compact --key bob -y").accepted();
    assert_eq!(session.pages("bob"), 1);
    session.git(&["add", "-A"]);
    session.git(&["commit", "-q", "-m", "compacted by bob"]);
    // In the middle of a merge nothing is compacted.
    session.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    session.write("notes.md", "x\n");
    session.git(&["add", "-A"]);
    session.git(&["commit", "-q", "-m", "side"]);
    session.git(&["merge", "-q", "--no-commit", "--no-ff", "@{-1}"]);
    session.refused("compact --key bob -y");
    insta::assert_snapshot!(session.transcript);
}

/// In one page with others, what is still to come would make these wait.
#[test]
fn compaction_leaves_what_is_to_come() {
    let mut session = Session::settled();
    let approve = |session: &mut Session, who: &str| {
        let (said, code) = session.output(&format!("approve bar --key {who} -y"));
        assert_eq!(code, 0, "{said}");
    };
    session.write("bar/0.1/data", "one");
    approve(&mut session, "alice");
    approve(&mut session, "bob");
    // She approves what somebody proposes, and it is not there yet.
    session.write("bar/0.1/data", "two");
    approve(&mut session, "alice");
    session.write("bar/0.1/data", "one");
    session
        .run("compact --key alice -y")
        .accepted()
        .refused("compact --key alice -y");
    assert_eq!(session.pages("alice"), 2);
    session.write("bar/0.1/data", "two");
    approve(&mut session, "bob");
    // It came, and is compacted like anything else.
    session.run("compact --key alice -y").accepted();
    assert_eq!(session.pages("alice"), 1);
    insta::assert_snapshot!(session.transcript);
}

/// Tools warn long before anybody is void, and refuse to sign on.
#[test]
fn limit_is_told_before_anybody_is_void() {
    let mut community = Community::settled("plain");
    let one = community.present("bar releases", "0.1");
    for count in 0..limits::ACCEPTED {
        let version = conex_tests::version(&format!("0.{}", count + 2));
        let vouch = one.clone();
        community.vouch("dave", &[Vouch { version, ..vouch }]);
    }
    let mut session = Session::new(&community);
    session.accepted();
    session.write("foo/1.0/data", "mended");
    let (said, code) = session.output("approve foo --key dave -y");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("hint: make one page of many"), "{said}");
    session
        .run("compact --key dave -y")
        .run("approve foo --key dave -y")
        .accepted();
    assert_eq!(session.pages("dave"), 2);
}

/// Somebody who publishes without end is void, alone, until they compact; that needs their key only.
#[test]
fn limit_denial() {
    let mut community = Community::settled("plain");
    let vouch = community.present("bar releases", "0.1");
    for count in 1..=limits::PAGES as u64 {
        let mut vouch = vouch.clone();
        vouch.version = conex_tests::version(&format!("0.{}", count + 1));
        vouch.digest = conex_core::model::digest::Digest::from_bytes([7; 32]);
        community.vouch("dave", &[vouch]);
    }
    let mut session = Session::new(&community);
    let (said, code) = session.verify();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("foo"), "{said}");
    assert!(!said.contains("lib/"), "only dave is void: {said}");
    // Others cannot sign in his place; he can make it good with one page.
    session
        .run("compact --key dave -y")
        .accepted()
        .refused("compact --key dave -y");
    assert_eq!(session.pages("dave"), 1);
    insta::assert_snapshot!(session.transcript);
}
