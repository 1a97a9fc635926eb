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

/// Git names a symbolic reference as it was pushed to; what moves, or is deleted, is where it leads.
#[test]
fn a_branch_under_another_name_is_the_same_branch() {
    let (line, mut community) = served();
    let leads = |from: &str, to: &str| {
        let (from, to) = (format!("refs/heads/{from}"), format!("refs/heads/{to}"));
        line.git_in("other", &["symbolic-ref", &from, &to]);
    };
    leads("stable", "signed");
    leads("chain", "stable");
    leads("trunk", "main");
    // The honest twins.
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    pushed(&line, &["main:trunk", "signed:stable"]);
    let newest = line.at("signed").unwrap();
    let on_server = |branch: &str| line.git_in("other", &["rev-parse", branch]);
    assert_eq!(on_server("refs/heads/signed"), newest);
    community.release("bar", "0.3", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    pushed(&line, &["signed:chain"]);
    let newest = line.at("signed").unwrap();
    assert_eq!(on_server("refs/heads/signed"), newest);
    let mut forged = community.clone();
    forged.release("bar", "0.3", &opam_file("5.0", "evil"));
    line.force("forged", &newest, &forged);
    for name in ["stable", "chain"] {
        refused(&line, &[&format!("forged:{name}")], "content-differs");
        // Git would delete what it leads to.
        refused(&line, &[&format!(":{name}")], "cannot be deleted");
    }
    let mut broken = community.clone();
    broken.write("conex/notes", "junk");
    let main = line.at("main").unwrap();
    line.force("broken", &main, &broken);
    refused(&line, &["broken:trunk"], "unaccounted");
    // What leads elsewhere is nobody's business.
    line.git(&["push", "-q", "../other", "main:elsewhere"]);
    leads("alias", "elsewhere");
    line.force("hostile", &line.at("main").unwrap(), &broken);
    pushed(&line, &["hostile:alias"]);
    assert_eq!(on_server("elsewhere"), line.at("hostile").unwrap());
}

#[test]
fn a_followed_branch_that_is_a_symbolic_reference_itself_is_held_where_it_leads() {
    let (line, mut community) = served();
    line.git_in("other", &["update-ref", "refs/heads/v1", "signed"]);
    line.git_in(
        "other",
        &["symbolic-ref", "refs/heads/signed", "refs/heads/v1"],
    );
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    let mut forged = community.clone();
    forged.release("bar", "0.2", &opam_file("5.0", "evil"));
    let before = line.git_in("other", &["rev-parse", "refs/heads/v1"]);
    line.force("forged", &before, &forged);
    for name in ["v1", "signed"] {
        refused(&line, &[&format!("forged:{name}")], "content-differs");
    }
    refused(&line, &[":v1"], "cannot be deleted");
    pushed(&line, &["signed:v1"]);
    // Nobody knows what a loop is: then nothing is accepted, until somebody mends it on the server.
    line.git_in("other", &["symbolic-ref", "refs/heads/a", "refs/heads/b"]);
    line.git_in("other", &["symbolic-ref", "refs/heads/b", "refs/heads/a"]);
    let loops = |name: &str| {
        let output = line.try_git("tree", &["push", "-q", "../other", &format!("main:{name}")]);
        let (told, code) = client::said(&output);
        assert_ne!(code, 0, "{told}");
        assert!(
            told.contains("leads nowhere") && told.contains("hint: "),
            "{told}"
        );
    };
    loops("a");
    pushed(&line, &["main"]);
    line.git_in(
        "other",
        &["symbolic-ref", "refs/heads/signed", "refs/heads/a"],
    );
    loops("elsewhere");
}

/// Where a server keeps several repositories in one, git gives the hook names without what stands before them.
#[test]
fn a_namespace_is_no_way_around() {
    let (line, mut community) = served();
    let within = "--receive-pack=env GIT_NAMESPACE=x git-receive-pack";
    pushed(&line, &[within, "signed"]);
    let at = |name: &str| format!("refs/namespaces/x/refs/heads/{name}");
    line.git_in("other", &["symbolic-ref", &at("stable"), &at("signed")]);
    let newest = line.at("signed").unwrap();
    let mut forged = community.clone();
    forged.release("bar", "0.1", &opam_file("5.0", "evil"));
    line.force("forged", &newest, &forged);
    refused(&line, &[within, "forged:stable"], "content-differs");
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    community.approve("alice", "bar");
    line.commit(&community);
    line.accepts("-C tree advance");
    pushed(&line, &[within, "signed:stable"]);
    let there = line.git_in("other", &["rev-parse", &at("signed")]);
    assert_eq!(Some(there), line.at("signed"));
}
