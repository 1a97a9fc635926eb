//! `conex pre-receive`, asked by git itself when somebody pushes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

mod client;
mod git;

use std::fs;

use conex_tests::{Community, opam_file};
use git::Line;

/// A server with the hook, which has what the community has; `tree` pushes to it.
fn served() -> (Line, Community) {
    let community = Community::settled("opam");
    let line = Line::of(&community);
    line.accepts("-C tree advance");
    line.clone_bare();
    let said = line.accepts("-C other pre-receive --install");
    assert!(said.contains("hooks/pre-receive"), "{said}");
    line.accepts("-C other pre-receive --install");
    (line, community)
}

#[track_caller]
fn pushed(line: &Line, what: &[&str]) {
    let output = line.try_git("tree", &[&["push", "-q", "../other"], what].concat());
    let (told, code) = client::said(&output);
    assert_eq!(code, 0, "git push {what:?}: {told}");
}

/// The push is refused, says why, and the server has nothing of it.
#[track_caller]
fn refused(line: &Line, what: &[&str], why: &str) {
    let references = || line.git_in("other", &["for-each-ref"]);
    let objects = || line.git_in("other", &["count-objects", "-v"]);
    let before = (references(), objects());
    let output = line.try_git("tree", &[&["push", "-q", "../other"], what].concat());
    let (told, code) = client::said(&output);
    assert_ne!(code, 0, "git push {what:?}: {told}");
    assert!(
        told.contains(why) && told.contains("hint: "),
        "{why}: {told}"
    );
    assert_eq!((references(), objects()), before, "something is left of it");
}

#[test]
fn what_clients_follow_is_pushed_only_as_an_update() {
    let (line, mut community) = served();
    let older = community.clone();
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    // The honest twins first, in one push and each in its own.
    pushed(&line, &["main", "signed"]);
    let good = line.at("signed").unwrap();
    community.release("bar", "0.3", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    pushed(&line, &["signed"]);
    pushed(&line, &["main"]);
    let newest = line.at("signed").unwrap();
    // Content that nobody approved.
    let mut forged = community.clone();
    forged.release("bar", "0.3", &opam_file("5.0", "evil"));
    line.force("signed", &newest, &forged);
    refused(&line, &["signed"], "content-differs");
    // What was approved once.
    line.force("signed", &newest, &older);
    refused(&line, &["signed"], "rollback");
    // Back, aside, away.
    refused(&line, &["-f", &format!("{good}:signed")], "no fast-forward");
    refused(&line, &["-f", "main:signed"], "no fast-forward");
    refused(&line, &[":signed"], "cannot be deleted");
    // Another branch is nobody's business, whatever is in it.
    pushed(&line, &["signed:elsewhere"]);
}

#[test]
fn a_branch_begins_on_the_server_only_as_clients_accept_it() {
    let community = Community::settled("opam");
    let line = Line::of(&community);
    line.clone_bare();
    line.accepts("-C other pre-receive --install");
    let mut forged = community.clone();
    forged.release("bar", "0.3", &opam_file("5.0", "evil"));
    let start = line.at("main").unwrap();
    line.force("signed", &start, &forged);
    refused(&line, &["signed"], "content-differs");
    line.git(&["branch", "-q", "-D", "signed"]);
    line.accepts("-C tree advance");
    pushed(&line, &["signed"]);
}

#[test]
fn a_main_line_is_refused_only_what_can_never_be_honest() {
    let (line, mut community) = served();
    let start = line.at("main").unwrap();
    // Whatever waits is merged: content, approvals ahead, people, roots, junk.
    community.release("foo", "3.0", &opam_file("5.0", "dune"));
    let mut ahead = community.clone();
    ahead.release("foo", "4.0", &opam_file("5.0", "dune"));
    let page = ahead.approve("dave", "foo");
    community.write(&page, ahead.read(&page));
    community.author("frank");
    community.propose_root(|root| root.complete = true);
    community.write("Makefile", "all:\n");
    line.commit(&community);
    pushed(&line, &["main"]);
    // Pages may go: that is compaction.
    let mut fewer = community.clone();
    fewer.remove(&page);
    line.commit(&fewer);
    pushed(&line, &["main"]);
    let good = line.at("main").unwrap();
    let pages = community.pages("alice");
    let tampered = |change: &dyn Fn(&mut Community), why: &str| {
        let mut hostile = fewer.clone();
        change(&mut hostile);
        line.force("hostile", &good, &hostile);
        refused(&line, &["hostile:main"], why);
    };
    let text = fewer.read(&pages[0]);
    tampered(
        &|it| it.write(&pages[0], text.replace("0.1", "0.2")),
        "misnamed",
    );
    tampered(&|it| it.write(&pages[0], "junk"), "malformed");
    tampered(&|it| it.write("conex/notes", "junk"), "unaccounted");
    tampered(&|it| it.remove("conex/root/1.toml"), "root-chain");
    tampered(&|it| it.write("packages/foo/foo.1.0/aux", "x"), "bad-name");
    // What is broken already keeps nobody from mending something else.
    line.git(&["push", "-q", "../other", "hostile:elsewhere"]);
    line.git_in("other", &["update-ref", "refs/heads/main", "elsewhere"]);
    line.git(&["checkout", "-q", "--detach", "hostile"]);
    let mut mended = fewer.clone();
    mended.write("packages/foo/foo.1.0/aux", "x");
    mended.release("bar", "0.9", &opam_file("5.0", "dune"));
    line.commit(&mended);
    pushed(&line, &["HEAD:main"]);
    assert_ne!(start, good);
}

#[test]
fn a_hook_of_somebody_else_stays() {
    let community = Community::settled("opam");
    let line = Line::of(&community);
    let hook = line.client.at("tree/.git/hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nexit 0\n").unwrap();
    let said = line.refuses("-C tree pre-receive --install", 1);
    assert!(said.contains("another hook"), "{said}");
    assert_eq!(fs::read_to_string(&hook).unwrap(), "#!/bin/sh\nexit 0\n");
    let said = line.refuses("-C nowhere pre-receive --install", 2);
    assert!(said.contains("no git repository"), "{said}");
}

/// What is there is accepted by clients in the mode `warn` only, and no record of it was kept.
#[test]
fn a_stricter_hook_holds_a_push_to_what_is_there_all_the_same() {
    let (line, mut community) = served();
    let older = community.clone();
    community.release("stray", "1", &opam_file("5.0", "dune"));
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    pushed(&line, &["main", "signed"]);
    line.accepts("-C other pre-receive --install --mode enforce");
    fs::remove_dir_all(line.client.at("state/records")).unwrap();
    let newest = line.at("signed").unwrap();
    line.force("signed", &newest, &older);
    refused(&line, &["signed"], "rollback");
    // The honest twin goes on from there, with nothing that is unsigned.
    community.remove("packages/stray");
    line.force("signed", &newest, &community);
    pushed(&line, &["signed"]);
}
