//! What authors see every day: enrolment, claims, releases, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use conex_tests::secret;

mod session;

use session::Session;

/// A settled community in git, with the branch `signed` where everything is approved.
fn in_git() -> Session {
    let session = Session::settled();
    session.git(&["init", "-q", "."]);
    commit(&session, "signed");
    session.git(&["branch", "signed"]);
    session
}

fn commit(session: &Session, message: &str) {
    session.git(&["add", "-A"]);
    session.git(&["commit", "-q", "-m", message]);
}

#[test]
fn from_nothing_to_a_published_release() {
    let mut session = in_git();
    session.key("frank");
    session.write("new/1.0/data", "new in version 1.0\n");
    session
        .refused("publish new/1.0 --key frank -y") // nobody yet
        .dry("enroll frank --account github.com/frank")
        .run("enroll frank --account github.com/frank -y")
        .refused("enroll frank -y")
        .refused("enroll makers --key frank -y") // a team
        .refused("enroll frankie --key dave -y") // dave's key
        .dry("claim new --key frank")
        .run("claim new --key frank -y")
        .refused("claim new --key frank -y")
        .refused("claim bar --owner nobody --key frank -y")
        .dry("publish new/1.0 --key frank")
        .run("publish new/1.0 --key frank -y");
    // One file for the enrolment, one for the claim, one page for the release: nothing edited.
    assert_eq!(session.pages("frank"), 1);
    session
        .run("approve frank new --key alice -y")
        .run("approve frank new --key bob -y")
        .accepted()
        .refused("publish new/1.0 --key frank -y")
        .run("status new")
        .run("status frank");
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn releases_are_published_and_removed_in_one_page_each_time() {
    let mut session = in_git();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    session.write("foo/3.1/data", "foo in version 3.1\n");
    let before = session.files().len();
    session
        .run("publish foo/3.0 foo/3.1 --key dave -y")
        .accepted();
    assert_eq!(session.files().len(), before + 1);
    commit(&session, "3");
    fs::remove_dir_all(session.tree().join("foo/1.0")).unwrap();
    session.write("foo/2.0/data", "foo in version 2.0, mended\n");
    session
        .refused("publish foo/1.0 --key dave -y") // 2.0 changed, too
        .refused("publish foo/0.5 foo/1.0 foo/2.0 --key dave -y")
        .run("publish foo/1.0 foo/2.0 --key dave -y")
        .accepted();
    // Who owns nothing of it may say so, and it waits for those who do.
    session.write("bar/0.2/data", "bar in version 0.2\n");
    session.run("publish bar/0.2 --key dave -y");
    assert_eq!(session.verify().1, 1);
    session
        .run("approve bar --key alice -y")
        .run("approve bar --key bob -y")
        .accepted();
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn bless_a_stranger() {
    let mut session = in_git();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    session.write("foo/2.0/data", "a stranger's edit\n");
    session
        .refused("publish foo/3.0 --key dave -y")
        .run("publish foo/3.0 --leave-others --key dave -y");
    // The release is approved without the edit: exactly the tree that has only the release.
    assert_eq!(session.verify().1, 1);
    session.git(&["checkout", "-q", "foo/2.0"]);
    session.accepted();
    // And the honest twin: dave stands behind the edit himself.
    session.write("foo/2.0/data", "an edit that dave likes\n");
    session.run("publish foo/2.0 --key dave -y").accepted();
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn where_the_approved_state_is_not_at_hand_nobody_blesses_what_they_cannot_see() {
    let mut session = Session::settled(); // no git
    session.write("foo/3.0/data", "foo in version 3.0\n");
    session.run("publish foo/3.0 --key dave -y").accepted();
    session.write("foo/2.0/data", "a stranger's edit\n");
    session.write("foo/4.0/data", "foo in version 4.0\n");
    session.refused("publish foo/4.0 --key dave -y");
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn abandoned_approval() {
    let mut session = in_git();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    session.run("publish foo/3.0 --key dave -y");
    // The pull request is closed; the page was merged with another one.
    fs::remove_dir_all(session.tree().join("foo/3.0")).unwrap();
    session
        .run("status")
        .run("status foo")
        .refused("retract bar --key dave -y")
        .dry("retract foo --key dave");
    assert_eq!(session.verify().1, 1);
    session.run("retract foo --key dave -y").accepted();
    // A server that has the release and the page has nothing any more.
    session.write("foo/3.0/data", "foo in version 3.0\n");
    let (said, code) = session.verify();
    assert_eq!(code, 1);
    assert!(said.contains("behind: foo releases"), "{said}");
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn squatting() {
    let mut session = in_git();
    session.write("l1b/1/data", "not lib\n");
    session.write("libber/1/data", "something else\n");
    session.dry("approve --all --key alice");
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn a_change_between_two_revisions_is_approved_and_nothing_else() {
    let mut session = in_git();
    session.write("bar/0.2/data", "bar in version 0.2\n");
    commit(&session, "a pull request");
    session.write("bar/0.3/data", "bar in version 0.3\n");
    session.write("foo/2.0/data", "foo, mended\n");
    session
        .dry("approve --changed signed --key alice")
        .refused("approve --changed HEAD..signed --key alice -y")
        .refused("approve --changed nowhere..HEAD --key alice -y")
        .run("approve --changed signed..HEAD --key alice -y")
        .run("approve --changed signed..HEAD --key bob -y");
    session.git(&["checkout", "-q", "foo"]);
    fs::remove_dir_all(session.tree().join("bar/0.3")).unwrap();
    session.accepted();
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn nothing_is_signed_in_the_middle_of_a_merge() {
    let mut session = in_git();
    session.git(&["checkout", "-q", "-b", "other"]);
    session.write("README.md", "theirs\n");
    commit(&session, "theirs");
    session.git(&["checkout", "-q", "-"]);
    session.write("README.md", "ours\n");
    commit(&session, "ours");
    let merge = std::process::Command::new("git")
        .args(["merge", "-q", "other"])
        .current_dir(session.tree())
        .output()
        .unwrap();
    assert!(!merge.status.success(), "this conflicts");
    session.write("foo/3.0/data", "foo in version 3.0\n");
    session.refused("publish foo/3.0 --key dave -y");
    session.git(&["merge", "--abort"]);
    session.run("publish foo/3.0 --key dave -y").accepted();
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn two_commands_at_once() {
    let mut session = Session::settled();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    let held = fs::File::open(session.tree()).unwrap();
    held.lock().unwrap();
    session.refused("publish foo/3.0 --key dave -y");
    drop(held);
    session.run("publish foo/3.0 --key dave -y").accepted();
    insta::assert_snapshot!(session.transcript);
}

/// Answers one request with a body.
fn forge(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4_096];
        let _ = stream.read(&mut request).unwrap();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
    });
    format!("http://{address}/frank.keys")
}

#[test]
fn keys_that_a_forge_publishes() {
    let session = Session::settled();
    session.key("frank");
    let public = |who| secret(who).public_key().clone();
    let (frank, dave) = (public("frank"), public("dave"));
    for (body, expected) in [
        ("<!DOCTYPE html><html>".to_owned(), "is a web page"),
        ("Not Found\n".to_owned(), "line 1 is not a public key"),
        (String::new(), "lists no key"),
        (format!("{dave}\n"), "does not list your key"),
        ("x".repeat(100 << 10), "http://127.0.0.1"),
    ] {
        let before = session.files();
        let line = format!("enroll frank --keys {} -y", forge(body));
        let (said, code) = session.output(&line);
        assert_ne!(code, 0, "{said}");
        assert!(said.contains(expected) && said.contains("hint: "), "{said}");
        assert_eq!(session.files(), before);
    }
    let (said, code) = session.output("enroll frank --keys http://example.org/frank.keys -y");
    assert!(code == 2 && said.contains("https://"), "{said}");
    let list = session.directory.path().join("list");
    fs::write(&list, format!("{dave}\n{frank}\n")).unwrap();
    let (said, code) = session.output(&format!("enroll frank --keys {} -y", list.display()));
    assert_eq!(code, 0, "{said}");
    let session = Session::settled();
    session.key("frank");
    let line = format!(
        "enroll frank --keys {} -y",
        forge(format!("{dave}\n{frank}\n"))
    );
    let (said, code) = session.output(&line);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_full_disk_changes_nothing() {
    let session = Session::settled();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    let before = session.files();
    // The limit on the size of files stops the write, as a full disk would.
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -f 0; exec \"$0\" publish foo/3.0 --key dave -y",
        ])
        .arg(env!("CARGO_BIN_EXE_conex"))
        .current_dir(session.tree())
        .env("CONEX_HOME", session.directory.path().join("home"))
        .env("CONEX_STATE", session.directory.path().join("home"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(session.files(), before);
}

/// A package that was given back is as well guarded as one that nobody ever claimed.
#[test]
fn who_gives_a_package_back_gives_it_to_as_many_as_guard_the_unclaimed() {
    let mut session = Session::settled();
    session
        .run("claim foo --owner janitors --key dave -y")
        .run("approve foo --key alice -y")
        .run("approve foo --key bob -y")
        .accepted();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    session.run("approve foo --key alice -y");
    let (said, code) = session.verify();
    assert_eq!(code, 1, "{said}");
    session.run("approve foo --key carol -y").accepted();
    // Who means fewer says so.
    let (said, code) =
        session.output("claim foo --owner janitors --threshold 1 --dry-run --key dave");
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("foo owned by 1 of janitors, in epoch 1; before: 2 of janitors"),
        "{said}"
    );
}

/// Where one is not enough to take something back, they are told so, and do not sign it again.
#[test]
fn what_one_took_back_waits_for_the_others() {
    let mut session = Session::settled();
    session.write("bar/0.2/data", "bar in version 0.2\n");
    for who in ["alice", "bob"] {
        let (said, code) = session.output(&format!("approve bar --key {who} -y"));
        assert_eq!(code, 0, "{said}");
    }
    fs::remove_dir_all(session.tree().join("bar/0.2")).unwrap();
    session
        .run("retract bar --key alice -y")
        .refused("retract bar --key alice -y")
        .run("retract bar --key carol -y")
        .accepted()
        .refused("retract bar --key carol -y");
    insta::assert_snapshot!(session.transcript);
}

#[test]
fn whose_key_is_meant_is_said() {
    let mut session = Session::settled();
    session.refused("enroll zed -y");
    let keys = session.directory.path().join("home/keys");
    fs::remove_dir_all(keys).unwrap();
    session.refused("enroll zed -y");
    session.key("frank");
    session.run("enroll zed -y");
    insta::assert_snapshot!(session.transcript);
}

/// The versions under which somebody vouched for a statement, in any page of theirs.
fn versions(session: &Session, who: &str, subject: &str) -> Vec<String> {
    let directory = session.tree().join("conex/index").join(who);
    let mut versions: Vec<String> = session
        .files()
        .iter()
        .filter(|(path, _)| path.starts_with(&directory))
        .flat_map(|(_, bytes)| {
            String::from_utf8(bytes.clone())
                .unwrap()
                .lines()
                .map(ToOwned::to_owned)
                .collect::<Vec<_>>()
        })
        .filter_map(|line| {
            let rest = line.trim().strip_prefix(&format!("\"{subject} "))?;
            Some(rest.split(' ').next()?.to_owned())
        })
        .collect();
    versions.sort();
    versions
}

#[test]
fn two_branches_with_one_package_never_share_a_version() {
    let mut session = in_git();
    for (branch, release) in [("one", "bar/0.2/data"), ("two", "bar/0.3/data")] {
        session.git(&["checkout", "-q", "-b", branch, "signed"]);
        session.write(release, branch);
        commit(&session, branch);
    }
    session.git(&["checkout", "-q", "signed"]);
    session
        .run("approve --changed signed..one --key alice -y")
        .run("approve --changed signed..two --key alice -y")
        .run("approve --changed signed..one --key bob -y")
        .run("approve --changed signed..two --key bob -y")
        // Said already, in the working copy.
        .refused("approve --changed signed..two --key bob -y")
        .refused("approve --changed signed...two --key bob -y");
    for who in ["alice", "bob"] {
        assert_eq!(
            versions(&session, who, "bar releases"),
            ["0.1", "0.2", "0.3"]
        );
    }
    commit(&session, "both approved");
    session.git(&["merge", "-q", "two", "-m", "two"]);
    session.accepted();
}

#[test]
fn batches_of_a_branch_come_with_the_page_that_names_them() {
    let mut session = in_git();
    session.git(&["checkout", "-q", "-b", "many"]);
    for release in 0..300 {
        session.write(&format!("many/{release}/data"), "x");
    }
    session.run("approve many many/* --key alice -y");
    commit(&session, "many");
    session.git(&["checkout", "-q", "signed"]);
    session
        .run("approve --changed signed~0..many --key bob -y")
        .accepted();
    commit(&session, "approved by bob");
    session.git(&["merge", "-q", "many", "-m", "many"]);
    session
        .accepted()
        .refused("approve --batch= --key carol -y") // an empty variable is not all batches
        .dry("approve --batch all --key carol");
}

#[test]
fn a_removal_is_in_a_range_only_if_it_happened_there() {
    let mut session = in_git();
    // Approved ahead, and not there: that is no removal. Its name is that of a file elsewhere.
    session.write("data/1/x", "not merged yet");
    session.run("approve data data/1 --key alice -y");
    session.run("approve data data/1 --key bob -y");
    fs::remove_dir_all(session.tree().join("data")).unwrap();
    commit(&session, "pages");
    session.write("bar/0.1/data", "mended");
    let (said, _) = session.output("approve --changed HEAD --key alice --dry-run");
    assert!(
        said.contains("bar releases") && !said.contains("REMOVED"),
        "{said}"
    );
    fs::remove_dir_all(session.tree().join("bar")).unwrap();
    let (said, _) = session.output("approve --changed HEAD --key alice --dry-run");
    assert!(said.contains("bar releases 0.2, REMOVED"), "{said}");
}

#[test]
fn taking_back_blesses_nothing_else() {
    let mut session = in_git();
    session.write("bar/0.2/data", "a pull request");
    session.run("approve bar bar/0.2 --key alice -y");
    fs::remove_dir_all(session.tree().join("bar/0.2")).unwrap();
    session.write("bar/0.1/data", "a stranger's edit");
    session.refused("retract bar --key alice -y");
    session.git(&["checkout", "-q", "bar"]);
    let (said, _) = session.output("retract bar --key erin --dry-run");
    assert!(said.contains("erin does not own bar"), "{said}");
    let (said, _) = session.output("retract bar --key alice --dry-run");
    assert!(!said.contains("does not own"), "{said}");
    session
        .run("retract bar --key alice -y")
        .run("retract bar --key bob -y")
        .accepted();
}

#[test]
fn two_owners_who_leave_others_out_meet_in_one_version() {
    let mut session = in_git();
    session.run("claim foo --owner dave --owner erin --threshold 2 --key dave -y");
    for janitor in ["alice", "bob"] {
        session.run(&format!("approve foo --key {janitor} -y"));
    }
    commit(&session, "owned by two");
    session.git(&["branch", "-f", "signed"]);
    session.write("foo/3.0/data", "foo in version 3.0\n");
    session.write("foo/2.0/data", "a stranger's edit\n");
    for owner in ["dave", "erin"] {
        session.run(&format!("publish foo/3.0 --leave-others --key {owner} -y"));
        assert_eq!(
            versions(&session, owner, "foo releases").last().unwrap(),
            "0.3"
        );
    }
    assert_eq!(session.verify().1, 1);
    session.git(&["checkout", "-q", "foo/2.0"]);
    session.accepted();
}

#[test]
fn where_two_contents_are_approved_nothing_is_left_out_of_sight() {
    let mut session = in_git();
    for (branch, release) in [("one", "foo/3.0/data"), ("two", "foo/4.0/data")] {
        session.git(&["checkout", "-q", "-b", branch, "signed"]);
        session.write(release, branch);
        let release = release.strip_suffix("/data").unwrap();
        session.run(&format!("publish {release} --key dave -y"));
        commit(&session, branch);
    }
    session.git(&["merge", "-q", "one", "-m", "one"]);
    session.write("foo/5.0/data", "five");
    session
        .refused("publish foo/5.0 --leave-others --key dave -y")
        .refused("publish foo/5.0 --accept-others --key dave -y")
        .run("approve foo foo/* --key dave -y")
        .accepted();
}

#[test]
fn what_was_said_of_a_removed_package_is_not_ahead() {
    let mut session = in_git();
    fs::remove_dir_all(session.tree().join("foo")).unwrap();
    session
        .run("publish foo/1.0 foo/2.0 --key dave -y")
        .accepted()
        .refused("retract foo --key dave -y");
    assert!(!session.output("status").0.contains("ahead"));
    // A package that only waits for its merge can be asked about.
    session.write("new/1/data", "new");
    session.run("approve new new/1 --key alice -y");
    fs::remove_dir_all(session.tree().join("new")).unwrap();
    let (said, code) = session.output("status new");
    assert!(
        code == 0 && said.contains("approved ahead: new releases 0.1"),
        "{said}"
    );
}

#[test]
fn a_claim_says_all_that_is_signed_with_it() {
    let mut session = in_git();
    let said = |line: &str| session.output(line);
    let (text, _) = said("claim bar bar --key dave --dry-run");
    assert_eq!(text.matches("owned by").count(), 1, "{text}");
    let (text, _) = said("claim baz --threshold 3 --owner makers --key dave --dry-run");
    assert!(
        text.contains("no such package") && text.contains("out of reach"),
        "{text}"
    );
    let (text, _) = said("claim bar --threshold 2 --owner makers --key dave --dry-run");
    assert!(
        !text.contains("no such package") && !text.contains("out of reach"),
        "{text}"
    );
    session
        .refused("claim Foo --key dave -y")
        .refused("claim BAR --key dave -y");
    // A member stands behind what a team claims, so that nothing hangs in the air.
    session.run("claim bar --owner makers --key erin -y");
    assert_eq!(versions(&session, "erin", "bar releases"), ["0.1"]);
    for janitor in ["alice", "bob"] {
        session.run(&format!("approve bar --key {janitor} -y"));
    }
    session.accepted();
    // What a stranger did to an authorisation is not passed on unseen.
    let place = "conex/packages/foo.toml";
    let text = fs::read_to_string(session.tree().join(place)).unwrap();
    session.write(place, text.replace("epoch = 0", "epoch = 4294967295"));
    let (text, _) = session.output("claim foo --owner erin --key alice --dry-run");
    assert!(
        text.contains("in epoch 4294967295; before: 1 of dave, not approved")
            && text.contains("the epoch was raised"),
        "{text}"
    );
}

#[test]
fn a_key_that_somebody_proved_is_not_enrolled_again() {
    let mut session = Session::settled();
    session.key("frank");
    session
        .run("enroll frank --key frank -y")
        .refused("enroll gina --key frank -y")
        .refused("enroll gina --github  --key erin -y");
}

#[test]
fn addresses_that_only_look_local_are_not_asked() {
    let session = Session::settled();
    session.key("frank");
    for address in [
        "http://127.0.0.1:80@example.invalid/x",
        "http://localhost.example.invalid/x",
    ] {
        let (said, code) = session.output(&format!("enroll frank --keys {address} -y"));
        assert!(
            code == 2 && said.contains("unprotected connection"),
            "{said}"
        );
    }
    let (said, _) = session.output("enroll frank --keys . -y");
    assert!(said.contains("hint: "), "{said}");
}

#[test]
fn a_merge_around_the_repository_is_in_the_way_too() {
    let mut session = Session::settled();
    let above = |arguments: &[&str]| session.git(&[&["-C", ".."], arguments].concat());
    above(&["init", "-q", "."]);
    above(&["add", "tree"]);
    above(&["commit", "-q", "-m", "one"]);
    fs::write(
        session.directory.path().join(".git/MERGE_HEAD"),
        "0".repeat(40),
    )
    .unwrap();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    session.refused("publish foo/3.0 --key dave -y");
    fs::remove_file(session.directory.path().join(".git/MERGE_HEAD")).unwrap();
    session.run("publish foo/3.0 --key dave -y").accepted();
}

#[test]
fn a_change_of_an_author_does_not_wait_for_what_else_waits() {
    let mut session = in_git();
    session.write("foo/3.0/data", "not published yet\n");
    // Meanwhile nobody knows dave, and of foo nothing is approved; then it differs again.
    session
        .run("enroll dave --key dave-2 -y")
        .run("approve dave --key alice -y")
        .run("approve dave --key bob -y")
        .run("publish foo/3.0 --key dave-2 -y")
        .accepted();
}

#[test]
fn nothing_is_published_of_a_retired_package() {
    let mut session = in_git();
    fs::remove_dir_all(session.tree().join("foo")).unwrap();
    session
        .run("publish foo/1.0 foo/2.0 --key dave -y")
        .run("retire foo --key alice -y")
        .run("approve foo --key bob -y")
        .accepted();
    session.write("foo/1.0/data", "again");
    let (said, code) = session.output("publish foo/1.0 --key dave -y");
    assert!(code == 1 && said.contains("foo is retired"), "{said}");
}

#[test]
fn an_empty_variable_is_no_key() {
    let mut session = Session::settled();
    session.write("foo/3.0/data", "foo in version 3.0\n");
    let (said, code) = session.output("publish foo/3.0 --key= -y");
    assert!(
        code == 2 && said.contains("more than one of your keys"),
        "{said}"
    );
    for who in ["alice", "bob", "carol", "dora", "erin"] {
        fs::remove_file(session.directory.path().join("home/keys").join(who)).unwrap();
    }
    session.run("publish foo/3.0 --key= -y").accepted();
}

#[test]
fn whoever_publishes_what_another_began_joins_them() {
    let mut session = in_git();
    session.write("new/1/data", "one");
    session.write("new/2/data", "two");
    session
        .run("publish new/1 new/2 --key alice -y")
        .run("publish new/1 new/2 --key bob -y")
        .accepted();
    for janitor in ["alice", "bob"] {
        assert_eq!(versions(&session, janitor, "new releases"), ["0.1"]);
    }
}

/// While nothing counts as approved, what is left out would be signed away.
#[test]
fn where_nothing_is_approved_nothing_is_left_out() {
    let mut session = in_git();
    session.key("frank");
    session.write("new/1.0/data", "new in version 1.0\n");
    session.write("new/2.0/data", "new in version 2.0\n");
    session
        .run("enroll frank -y")
        .run("claim new --key frank -y")
        .refused("publish new/2.0 --key frank -y")
        .refused("publish new/2.0 --leave-others --key frank -y")
        .run("publish new/1.0 new/2.0 --key frank -y")
        .run("approve frank new --key alice -y")
        .run("approve frank new --key bob -y")
        .accepted();
    insta::assert_snapshot!(session.transcript);
}
