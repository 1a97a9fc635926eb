//! `conex advance` on real git repositories, with git looking over its shoulder.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

mod client;
mod git;

use core::fmt::Write as _;

use conex_tests::{Community, opam_file};
use git::Line;

/// A repository whose main line is a settled community, with the branch begun.
fn begun() -> (Line, Community) {
    let community = Community::settled("opam");
    let line = Line::of(&community);
    line.accepts("-C tree advance");
    (line, community)
}

#[test]
fn a_branch_begins_and_goes_on() {
    let mut community = Community::settled("opam");
    let line = Line::of(&community);
    let mut told = String::new();
    let mut run = |line: &Line, arguments: &str| {
        let said = line.accepts(&format!("-C tree advance{arguments}"));
        writeln!(told, "$ conex advance{arguments}\n{said}").unwrap();
    };
    run(&line, " --dry-run");
    assert_eq!(line.at("signed"), None);
    run(&line, "");
    line.follows(&community);
    run(&line, "");
    community.release("foo", "3.0", &opam_file("5.0", "dune"));
    community.author("frank");
    line.commit(&community);
    run(&line, "");
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    community.write("README.md", "Another text.\n");
    line.commit(&community);
    run(&line, " --dry-run");
    run(&line, "");
    community.approve("dave", "foo");
    for who in ["alice", "bob"] {
        community.approve(who, "frank");
    }
    line.commit(&community);
    run(&line, "");
    line.follows(&community);
    insta::assert_snapshot!(told);
    line.git(&["fsck", "--strict", "--no-dangling"]);
    // Each commit follows the one before, and clients accept each step.
    let commits = line.git(&["rev-list", "--first-parent", "--reverse", "signed"]);
    let commits: Vec<&str> = commits
        .lines()
        .skip_while(|it| Some(*it) != line.first().as_deref())
        .collect();
    for pair in commits.windows(2) {
        line.accepts(&format!("-C tree verify --range {}..{}", pair[0], pair[1]));
    }
}

/// Whatever somebody merged in place of what clients have, the rest goes ahead.
#[test]
fn files_that_became_directories_keep_nobody_from_advancing() {
    for (before, after) in [
        ("packages/foo/foo.1.0/opam", "packages/foo/foo.1.0/opam/x"),
        ("packages/foo/foo.1.0/opam", "packages/foo/foo.1.0"),
        ("README.md", "README.md/x.md"),
        ("repo", "repo/x"),
        ("docs/a", "docs/a/b"),
        ("docs/a/b", "docs/a"),
        ("docs/a", "docs"),
        ("conex/authors/dave.toml", "conex/authors/dave.toml/x"),
        ("conex/authors/dave.toml", "conex/authors"),
        ("conex/root/1.toml", "conex/root"),
    ] {
        let mut community = Community::settled("opam");
        if community.tree.get(before).is_none() {
            community.write(before, "x");
        }
        let line = Line::of(&community);
        line.accepts("-C tree advance");
        community.release("bar", "0.2", &opam_file("5.0", "dune"));
        community.approve("alice", "bar");
        let gone = if after.starts_with(before) {
            before
        } else {
            after
        };
        community.remove(gone);
        community.write(after, "junk");
        line.commit(&community);
        let said = line.accepts("-C tree advance");
        assert!(said.contains("package: bar"), "{before} {after}: {said}");
        line.git(&["cat-file", "-e", "signed:packages/bar/bar.0.2/opam"]);
    }
}

/// What nobody knows below `conex/` is named, and the branch does not move for it.
#[test]
fn a_stray_file_is_named() {
    let (line, mut community) = begun();
    community.write("conex/rootkit.toml", "x");
    line.commit(&community);
    let said = line.accepts("-C tree advance");
    assert!(said.contains("file conex/rootkit.toml"), "{said}");
}

#[test]
fn two_who_advance_make_the_same_commit() {
    let (line, mut community) = begun();
    line.clone_bare();
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.git(&["push", "-q", "../other", "main"]);
    line.accepts("-C tree advance");
    line.accepts("-C other advance");
    let there = line.git_in("other", &["rev-parse", "signed"]);
    assert_eq!(line.at("signed").unwrap(), there);
    line.git(&["push", "-q", "../other", "signed"]);
}

#[test]
fn programs_read_it() {
    let (line, mut community) = begun();
    community.release("foo", "3.0", &opam_file("5.0", "dune"));
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    let said = line.accepts("-C tree advance --json");
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(told["advances"], true);
    assert_eq!(told["after"].as_str(), line.at("signed").as_deref());
    assert_eq!(told["main"].as_str(), line.at("main").as_deref());
    assert_eq!(told["taken"][0]["name"], "bar");
    let waits = &told["waiting"][0];
    assert_eq!(waits["name"], "foo");
    assert_eq!(waits["problems"][0]["needs"]["owners"]["of"][0], "dave");
}

#[test]
fn a_branch_begins_only_with_what_clients_accept() {
    let mut community = Community::settled("opam");
    let good = community.clone();
    let line = Line::of(&community);
    community.release("foo", "3.0", &opam_file("5.0", "dune"));
    line.commit(&community);
    let said = line.refuses("-C tree advance", 1);
    assert!(
        said.contains("content-differs") && said.contains("--from"),
        "{said}"
    );
    line.accepts("-C tree advance --from main~1");
    line.follows(&good);
    // Other anchors are another repository, whether the branch is there or not.
    for branch in ["signed", "another"] {
        let said = line.refuses(
            &format!(
                "-C tree advance --to {branch} --trust-anchors root:{}",
                "ab".repeat(32)
            ),
            1,
        );
        assert!(
            said.contains("anchor-unsatisfied") && said.contains("of another repository"),
            "{said}"
        );
    }
    // What was signed and not committed is nothing to begin with.
    line.git(&["rm", "-q", "-r", "--cached", "conex"]);
    line.git(&["commit", "-q", "-m", "not committed yet"]);
    let said = line.refuses("-C tree advance --to another", 1);
    assert!(said.contains("commit what conex wrote"), "{said}");
}

#[test]
fn what_is_unsigned_keeps_a_branch_from_a_stricter_mode_until_it_is_approved() {
    let mut community = Community::settled_by("opam", |root| root.complete = false);
    let line = Line::of(&community);
    line.accepts("-C tree advance");
    line.accepts("-C tree advance --mode enforce");
    community.release("new", "1.0", &opam_file("5.0", "dune"));
    line.commit(&community);
    line.accepts("-C tree advance");
    // Of what was kept, and of nothing.
    for state in ["", "state"] {
        let _ = std::fs::remove_dir_all(line.client.at(state).join("records"));
        let said = line.refuses("-C tree advance --mode enforce", 1);
        assert!(
            said.contains("unsigned: new releases") && said.contains("--mode warn"),
            "{said}"
        );
    }
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.refuses("-C tree advance --mode enforce", 1);
    // The honest twin: what is approved on the main line is taken.
    community.approve("alice", "new");
    line.commit(&community);
    let _ = std::fs::remove_dir_all(line.client.at("state/records"));
    line.accepts("-C tree advance --mode enforce");
    line.follows(&community);
    line.accepts("-C tree advance --mode enforce");
}

#[test]
fn whatever_is_not_there_is_said() {
    let (line, _) = begun();
    for (arguments, code, word) in [
        ("-C tree advance --from nowhere", 2, "nowhere"),
        ("-C nowhere advance", 2, "no git repository"),
        ("-C tree advance --to a..b", 2, "a..b"),
        ("-C tree advance --to main", 1, "checked out"),
        ("-C tree advance --trust-anchors x", 2, "origin:NAME"),
    ] {
        let said = line.refuses(arguments, code);
        assert!(said.contains(word), "{arguments}: {said}");
    }
}

#[test]
fn a_branch_that_somebody_else_moved_is_left_alone() {
    let (line, mut community) = begun();
    let good = line.at("signed").unwrap();
    let older = community.clone();
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    let newest = line.at("signed").unwrap();
    // Content that nobody approved.
    let mut forged = community.clone();
    forged.release("bar", "0.2", &opam_file("5.0", "evil"));
    line.force("signed", &newest, &forged);
    let said = line.refuses("-C tree advance", 1);
    assert!(
        said.contains("content-differs") && said.contains("somebody else"),
        "{said}"
    );
    // What was approved once.
    line.force("signed", &newest, &older);
    let said = line.refuses("-C tree advance", 1);
    assert!(said.contains("rollback"), "{said}");
    // The honest twin: a step that clients accept.
    line.git(&["update-ref", "refs/heads/signed", &good]);
    line.force("signed", &good, &community);
    line.accepts("-C tree advance");
    // Put back, it goes on.
    line.git(&["update-ref", "refs/heads/signed", &newest]);
    community.release("bar", "0.3", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    line.follows(&community);
}

/// Whoever can push to the branch and signs nothing puts it back to what was approved once, in the words of
/// conex advance: in one commit, in two, and behind one that nobody can verify.
#[test]
fn a_commit_is_not_believed_to_be_of_conex_advance() {
    let (line, mut community) = begun();
    let older = community.clone();
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    let newest = line.at("signed").unwrap();
    let words = line.git(&["log", "-1", "--format=%B", "signed"]);
    assert!(words.contains("\nMain: "), "{words}");
    let mut forged = community.clone();
    forged.release("bar", "0.2", &opam_file("5.0", "evil"));
    let put_back = |states: &[&Community]| {
        let mut at = newest.clone();
        for state in states {
            line.force_saying("signed", &at, state, &words);
            at = line.at("signed").unwrap();
        }
    };
    for states in [&[&older][..], &[&older, &older], &[&forged, &older]] {
        put_back(states);
        let said = line.refuses("-C tree advance", 1);
        assert!(
            said.contains("rollback") && said.contains("somebody else"),
            "{said}"
        );
    }
    // Who kept nothing sees one commit back only. What is on the main line comes back all the same, and
    // clients go on.
    let lose_records = || drop(std::fs::remove_dir_all(line.client.at("state/records")));
    put_back(&[&older]);
    lose_records();
    line.refuses("-C tree advance", 1);
    put_back(&[&older, &older]);
    lose_records();
    line.accepts("-C tree advance");
    line.follows(&community);
    line.accepts(&format!("-C tree verify --range {newest}..signed"));
}

/// No statement covers executable bits, so none is taken from the main line.
#[test]
fn what_is_made_executable_on_the_main_line_is_not_on_the_branch() {
    let mut community = Community::settled("opam");
    let line = Line::of(&community);
    let executable = |file: &str| {
        line.git(&["update-index", "--chmod=+x", file]);
        line.git(&["commit", "-q", "--amend", "--no-edit"]);
    };
    let mode = |branch: &str, file: &str| line.git(&["ls-tree", branch, file])[..6].to_owned();
    let (old, new) = ("packages/foo/foo.1.0/opam", "packages/bar/bar.0.2/opam");
    line.accepts("-C tree advance");
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    for file in [old, new] {
        executable(file);
        assert_eq!(mode("main", file), "100755");
    }
    line.accepts("-C tree advance");
    line.follows(&community);
    for file in [old, new] {
        assert_eq!(mode("signed", file), "100644", "{file}");
    }
    // A bit alone is nothing to advance by. The branch begins with a commit as it is, bits and all.
    let said = line.accepts("-C tree advance --dry-run --json");
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(told["advances"], false, "{said}");
    line.accepts("-C tree advance --to another");
    assert_eq!(mode("another", new), "100755");
}

#[test]
fn what_others_advanced_is_gone_on_with() {
    let (line, mut community) = begun();
    let directory = line.client.at("state/records");
    let kept: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    for release in ["0.2", "0.3", "0.4"] {
        community.release("bar", release, &opam_file("5.0", "dune"));
        community.approve("alice", "bar");
        line.commit(&community);
        line.accepts("-C tree advance");
    }
    // Of all this, only the beginning was done here.
    for record in std::fs::read_dir(&directory).unwrap() {
        let path = record.unwrap().path();
        if !kept.contains(&path) {
            std::fs::remove_file(path).unwrap();
        }
    }
    community.release("bar", "0.5", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    line.follows(&community);
}

#[test]
fn a_main_line_that_was_rewritten_takes_nothing_back() {
    let (line, mut community) = begun();
    let (start, older) = (line.at("main").unwrap(), community.clone());
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    // Somebody pushes an older main line over it.
    line.git(&["reset", "-q", "--hard", &start]);
    let mut other = older;
    other.release("foo", "3.0", &opam_file("5.0", "dune"));
    other.approve("dave", "foo");
    line.commit(&other);
    let said = line.accepts("-C tree advance");
    assert!(
        said.contains("rewritten") && said.contains("package: foo"),
        "{said}"
    );
    // What was approved stays.
    community.release("foo", "3.0", &opam_file("5.0", "dune"));
    for page in other.pages("dave") {
        community.write(&page, other.read(&page));
    }
    line.follows(&community);
}
