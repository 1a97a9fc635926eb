//! What changes ask for, before they are merged: for people, for programs, for a forge.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::fs;

mod pulls;
mod session;

use conex_tests::opam_file;
use pulls::Pulls;
use session::Session;

/// Reviews, which changes nothing; gives what was said and the exit code.
fn review(pulls: &Pulls, arguments: &str) -> (String, i32) {
    let before = (pulls.session.files(), pulls.git(&["count-objects", "-v"]));
    let answer = pulls.session.output(format!("review {arguments}").trim());
    let after = (pulls.session.files(), pulls.git(&["count-objects", "-v"]));
    assert!(before == after, "{arguments}");
    answer
}

/// What a review says, where it ends with this exit code.
fn says(pulls: &Pulls, code: i32, arguments: &str) -> String {
    let (said, found) = review(pulls, arguments);
    assert_eq!(found, code, "conex review {arguments}\n{said}");
    said
}

fn release(name: &str) -> impl Fn(&Session) + '_ {
    move |session| session.write(&format!("{name}/data"), format!("{name}\n"))
}

fn opam(package: &str, release: &str) -> String {
    format!("packages/{package}/{package}.{release}/opam")
}

#[test]
fn what_pull_requests_ask_for() {
    let pulls = Pulls::new("plain");
    pulls.pull(1, "erin", release("bar/0.2"));
    pulls.pull(2, "dave", |session| {
        session.write("foo/2.0/data", "mended\n");
        fs::remove_dir_all(session.tree().join("foo/1.0")).unwrap();
    });
    pulls.pull(3, "frank", |session| {
        session.key("frank");
        session.output("enroll frank --key frank -y");
        session.output("claim new --key frank -y");
        session.write("new/1/data", "new\n");
        session.output("publish new/1 --key frank -y");
    });
    pulls.pull(4, "alice", |session| {
        fs::remove_dir_all(session.tree().join("bar")).unwrap();
        session.write("repo", "stamp: \"2\"\n");
    });
    pulls.pull(5, "dave", |session| {
        session.write("foo/3.0/data", "foo\n");
        session.output("publish foo/3.0 --key dave -y");
    });
    let said = says(&pulls, 0, "--pr 1..6,1");
    insta::assert_snapshot!("what_pull_requests_ask_for", said);
    // The main line goes on, and nothing of that is the pull request's.
    release("lib/2")(&pulls.session);
    pulls.commit("alice", "something else");
    assert_eq!(says(&pulls, 0, "--pr 1..6"), said);
    insta::assert_snapshot!(
        "as_a_comment",
        says(&pulls, 0, "--pr 2,3 --format markdown")
    );
    insta::assert_snapshot!(
        "as_annotations",
        says(&pulls, 0, "--pr 2,3 --format github")
    );
    insta::assert_snapshot!("as_json", says(&pulls, 0, "--pr 5 --format json"));
    // What a contributor cannot do anything about is no failure, unless that is asked for.
    says(&pulls, 0, "--pr 5 --require-approved");
    says(&pulls, 1, "--pr 1 --require-approved");
}

#[test]
fn what_kind_of_edit_it_is() {
    let pulls = Pulls::new("opam");
    let edit = |file: &str, from: &str, to: &str| {
        let (file, from, to) = (file.to_owned(), from.to_owned(), to.to_owned());
        move |session: &Session| {
            let path = session.tree().join(&file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(&from), "{text}");
            session.write(&file, text.replace(&from, &to));
        }
    };
    pulls.pull(1, "alice", |session| {
        let text = opam_file("4.08", "dune");
        let (strong, _) = text.split_once("checksum").unwrap();
        let weak = format!("{strong}checksum: \"md5=0123456789abcdef0123456789abcdef\"\n}}\n");
        session.write(&opam("bar", "0.2"), weak);
    });
    let text = opam_file("4.08", "dune");
    let depends = text.lines().find(|line| line.contains("4.08")).unwrap();
    pulls.pull(
        2,
        "alice",
        edit(
            &opam("foo", "1.0"),
            depends,
            &depends.replace("4.08", "4.10"),
        ),
    );
    pulls.pull(
        3,
        "alice",
        edit(&opam("foo", "1.0"), "build: [\"dune\"", "build: [\"make\""),
    );
    pulls.pull(4, "alice", |session| {
        let text = opam_file("4.08", "dune").replace("of a story", "of ours");
        session.write(
            &opam("lib", "1"),
            text + "available: false\nflags: deprecated\n",
        );
    });
    pulls.pull(5, "alice", |session| {
        let text = opam_file("4.08", "dune").replace("\"ocaml\"", "\"lib\"\n  \"ocaml\"");
        session.write(&opam("foo", "2.0"), text);
    });
    // One janitor may repair bounds and descriptions, and no more.
    insta::assert_snapshot!(says(&pulls, 0, "--pr 1..5"));
}

#[test]
fn a_file_that_stops_clients_is_told() {
    let pulls = Pulls::new("opam");
    let warns = |text: &str| {
        pulls.pull(1, "alice", |session| session.write(&opam("lib", "9"), text));
        says(&pulls, 0, "--pr 1")
    };
    for (text, clients, reason) in [
        (
            "opam-version: \"2.2\"\n",
            "opam up to 2.2",
            "its opam-version is 2.2",
        ),
        ("synopsis: \"x\"\n", "every opam", "it has no opam-version"),
        (
            "opam-version: \"2.0\"\nx-a: _\n",
            "opam 2.6",
            "it has the number _",
        ),
    ] {
        let said = warns(text);
        let told = format!(
            "stops-clients: with lib/9, {clients} cannot load any package of the repository: {reason}"
        );
        assert!(said.contains(&told), "{said}");
    }
    // The honest twin, and one that only this release is lost by.
    for text in [
        "opam-version: \"2.0\"\n",
        "synopsis: \"x\"\nopam-version: \"2.1\"\n",
    ] {
        assert!(!warns(text).contains("stops-clients"));
    }
}

#[test]
fn a_stamp_in_repo_asks_for_nothing() {
    let pulls = Pulls::new("opam");
    pulls.pull(1, "alice", |session| {
        session.write("repo", "# served\nstamp: \"2\"\n");
    });
    let said = says(&pulls, 0, "--pr 1");
    assert!(
        said.contains("repo: repository file, as servers may write it"),
        "{said}"
    );
    assert!(!said.contains("needs"), "{said}");
    // The honest twin.
    pulls.pull(1, "alice", |session| {
        session.write("repo", "stamp: \"1\"\nredirect: \"x\"\n");
    });
    let said = says(&pulls, 0, "--pr 1");
    assert!(said.contains("repo: repository file\n"), "{said}");
    assert!(said.contains("needs"), "{said}");
}

#[test]
fn upkeep_that_forces_an_old_release_is_told() {
    let pulls = Pulls::new("opam");
    pulls.pull(1, "alice", |session| {
        let text = opam_file("4.08", "dune") + "conflicts: [ \"foo\" {>= \"2.0\"} ]\n";
        session.write(&opam("bar", "0.1"), text);
    });
    let said = says(&pulls, 0, "--pr 1");
    assert!(
        said.contains("forces-old: bar/0.1 would take only foo < 2.0, which shuts 2.0 out"),
        "{said}"
    );
    // The honest twin: a bound that shuts nothing out that is there.
    pulls.pull(1, "alice", |session| {
        let text = opam_file("4.08", "dune") + "conflicts: [ \"foo\" {>= \"2.1\"} ]\n";
        session.write(&opam("bar", "0.1"), text);
    });
    assert!(!says(&pulls, 0, "--pr 1").contains("forces-old"));
}

#[test]
fn squatting() {
    let pulls = Pulls::new("plain");
    release("cohttp/1")(&pulls.session);
    pulls.commit("alice", "a well-known package");
    pulls.pull(1, "mallory", release("c0http/1"));
    pulls.pull(2, "alice", release("unlike/1"));
    let said = says(&pulls, 0, "--pr 1");
    assert!(
        said.contains("similar-name: the new name c0http looks like cohttp"),
        "{said}"
    );
    assert!(
        said.contains(
            "first-release: mallory <mallory@example.org>, who brings c0http/1, has no commit"
        ),
        "{said}"
    );
    let said = says(&pulls, 0, "--pr 2");
    assert!(!said.contains("warning"), "{said}");
    for format in ["json", "markdown", "github"] {
        let said = says(&pulls, 0, &format!("--pr 1 --format {format}"));
        assert!(said.contains("cohttp"), "{said}");
    }
}

#[test]
fn a_pull_request_that_touches_what_is_stored_of_others() {
    let pulls = Pulls::new("plain");
    let pages = |session: &Session, who: &str| -> Vec<std::path::PathBuf> {
        let pages = fs::read_dir(session.tree().join("conex/index").join(who)).unwrap();
        let mut pages: Vec<_> = pages.map(|entry| entry.unwrap().path()).collect();
        pages.sort();
        pages
    };
    // Deleting pages on which something rests.
    pulls.pull(1, "mallory", |session| {
        for page in pages(session, "dave") {
            fs::remove_file(page).unwrap();
        }
    });
    // Editing one.
    pulls.pull(2, "mallory", |session| {
        let page = &pages(session, "bob")[0];
        let text = fs::read_to_string(page).unwrap();
        fs::write(page, text + "\n").unwrap();
    });
    // Another's author file, and another's package.
    pulls.pull(3, "mallory", |session| {
        let dave = fs::read_to_string(session.tree().join("conex/authors/dave.toml")).unwrap();
        session.write(
            "conex/authors/erin.toml",
            dave.replace("\"dave\"", "\"erin\""),
        );
    });
    pulls.pull(4, "mallory", |session| {
        let claim = fs::read_to_string(session.tree().join("conex/packages/foo.toml")).unwrap();
        session.write("conex/packages/foo.toml", claim.replace("dave", "erin"));
    });
    // A page in another's name.
    pulls.pull(5, "mallory", |session| {
        let page = &pages(session, "dave")[0];
        let text = fs::read_to_string(page).unwrap();
        let forged = text.replacen("releases 0.1", "releases 0.2", 1);
        assert_ne!(forged, text);
        let name = "ab".repeat(32);
        session.write(&format!("conex/index/dave/{name}.toml"), forged);
    });
    let mut all = String::new();
    for (number, code, word) in [
        (1, 1, "rollback"),
        (2, 1, "malformed"),
        (3, 1, "shared-key"),
        (4, 0, "owner-change"),
        (5, 1, "misnamed"),
    ] {
        let said = says(&pulls, code, &format!("--pr {number}"));
        assert!(said.contains(word), "{said}");
        all += &said;
    }
    insta::assert_snapshot!(all);
}

#[test]
fn refs_that_are_not_there() {
    let pulls = Pulls::new("plain");
    pulls.pull(1, "erin", release("bar/0.2"));
    let mut all = String::new();
    for arguments in [
        "--pr 1,29001",
        "--pr 29001..29015",
        "--pr 1 --pr-refs refs/elsewhere/N",
        "--base none --pr 1",
        "none",
        "main...HEAD",
        "main..",
        "a..b --base main",
        "--pr 9..1",
        "--pr x",
    ] {
        let said = says(&pulls, 2, arguments);
        all = [all, format!("$ conex review {arguments}\n{said}\n")].concat();
    }
    // Gaps in a range are named: issues count in the same numbers.
    let said = says(&pulls, 0, "--pr 1..3");
    assert!(said.contains("not here: 2, 3"), "{said}");
    insta::assert_snapshot!(all);
    let nowhere = Session::settled();
    let (said, code) = nowhere.output("review --pr 1");
    assert_eq!(code, 2, "{said}");
}

#[test]
fn what_cannot_be_merged() {
    let pulls = Pulls::new("plain");
    pulls.pull(1, "erin", |session| session.write("bar/0.1/data", "one\n"));
    pulls.session.write("bar/0.1/data", "another\n");
    pulls.commit("alice", "the same place");
    let said = says(&pulls, 1, "--pr 1");
    assert!(
        said.contains("bar/0.1/data: both sides changed it"),
        "{said}"
    );
    let said = says(&pulls, 1, "--pr 1 --format github");
    assert!(said.starts_with("::error file=bar/0.1/data,"), "{said}");
    pulls.git(&["checkout", "-q", "--orphan", "island"]);
    let island = pulls.commit("erin", "no history");
    pulls.git(&["update-ref", "refs/pull/2/head", &island]);
    pulls.git(&["checkout", "-q", "main"]);
    let said = says(&pulls, 1, "--pr 2");
    assert!(said.contains("no common ancestor"), "{said}");
}

#[test]
fn branches_patches_and_directories() {
    let pulls = Pulls::new("plain");
    let said = says(&pulls, 0, "");
    assert!(said.contains("nothing: it is merged already"), "{said}");
    pulls.pull(1, "erin", release("bar/0.2"));
    let patch = pulls.git(&["diff", "main", "refs/pull/1/head"]) + "\n";
    let place = pulls.session.directory.path();
    fs::write(place.join("patch"), patch).unwrap();
    fs::write(place.join("bad"), "diff --git a/x b/../x\n").unwrap();
    let asked = "needs     2 more of the janitors: alice, bob, carol";
    for arguments in [
        "refs/pull/1/head",
        "main..refs/pull/1/head",
        "--pr 1 --base main",
        "--patch ../patch",
    ] {
        let said = says(&pulls, 0, arguments);
        assert!(
            said.contains(asked) && said.contains("bar/0.2: new release"),
            "{said}"
        );
    }
    let said = says(&pulls, 1, "--patch ../bad");
    assert!(said.contains("bad-patch"), "{said}");
    says(&pulls, 3, "--patch ../none");
    release("bar/0.2")(&pulls.session);
    let said = says(&pulls, 0, "--dir .");
    assert!(said.contains(asked), "{said}");
    // Without git, a directory stands beside another.
    let session = Session::new(&pulls::community("plain"));
    let (said, code) = session.output(&format!("review --dir {}", pulls.session.tree().display()));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("bar/0.2: new release"), "{said}");
}

/// A proposed root, and an approval that was for something else.
#[test]
fn roots_and_older_approvals() {
    let pulls = Pulls::new("plain");
    pulls.pull(1, "alice", |session| {
        let (said, code) = session.output("root set unclaimed=1 --key alice -y");
        assert_eq!(code, 0, "{said}");
    });
    let said = says(&pulls, 0, "--pr 1");
    assert!(
        said.contains("root: root") && said.contains("pending"),
        "{said}"
    );
    pulls.pull(2, "erin", release("bar/0.2"));
    // Alice approves it ahead of the merge, and then it changes.
    pulls.git(&["merge", "-q", "--squash", "refs/pull/2/head"]);
    let (said, code) = pulls.session.output("approve bar bar/0.2 --key alice -y");
    assert_eq!(code, 0, "{said}");
    pulls.git(&["reset", "-q"]);
    fs::remove_dir_all(pulls.session.tree().join("bar/0.2")).unwrap();
    pulls.commit("alice", "an approval ahead");
    let said = says(&pulls, 0, "--pr 2");
    assert!(
        said.contains("needs     1 more of the janitors: bob, carol"),
        "{said}"
    );
    assert!(!said.contains("approved-otherwise"), "{said}");
    pulls.pull(2, "mallory", |session| {
        session.write("bar/0.2/data", "something else\n");
    });
    let said = says(&pulls, 0, "--pr 2");
    assert!(said.contains("needs     2 more of the janitors"), "{said}");
    assert!(
        said.contains(
            "approved-otherwise: alice vouched for another content of bar releases in version 0.2"
        ),
        "{said}"
    );
}

/// Whoever sends a pull request writes names that a janitor reads.
#[test]
fn nothing_breaks_out_of_what_is_shown() {
    let pulls = Pulls::new("plain");
    let odd = "x\u{1b}[2J\u{202e}|`<!--@all -->::error::%0A";
    pulls.pull(1, odd, |session| {
        session.write("bar/0.2/data", "x\n");
        session.write("bar/0.2/a\nb|c", "x\n");
        session.write("::error::pwned", "x\n");
    });
    for format in ["text", "json", "markdown", "github"] {
        let said = says(&pulls, 1, &format!("--pr 1 --format {format}"));
        assert!(!said.contains('\u{1b}'), "{said}");
        for line in said.lines() {
            assert!(!line.starts_with("::error::"), "{said}");
            assert!(
                format == "text" || format == "json" || !line.contains("<!--@"),
                "{said}"
            );
        }
        if format != "json" {
            assert!(!said.contains('\u{202e}'), "{said}");
        }
    }
}
