//! What version control keeps at the top of a tree, and what only bears such a name.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

mod client;
mod git;

use std::fs;
use std::process::Command;

use client::Client;
use conex_core::model::path::Pattern;
use conex_tests::Community;
use git::Line;

fn settled() -> Community {
    Community::settled_by("opam", |root| {
        for pattern in [".*", ".*/**"] {
            root.ignore.push(Pattern::parse(pattern).unwrap());
        }
    })
}

/// Files and directories that a program of version control makes; directories end in a slash.
fn make(client: &Client, directory: &str, places: &[&str]) {
    for place in places {
        let path = client.at(directory).join(place);
        if place.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x\n").unwrap();
        }
    }
}

const GIT: [&str; 3] = [".git/HEAD", ".git/objects/", ".git/refs/"];
const HG: [&str; 2] = [".hg/requires", ".hg/store/data"];
const DARCS: [&str; 2] = ["_darcs/format", "_darcs/patches/"];

#[test]
fn what_version_control_keeps_is_no_part_of_a_tree() {
    let client = Client::of(&settled());
    for (own, name) in [(&GIT[..], ".git"), (&HG, ".hg"), (&DARCS, "_darcs")] {
        client.put("new", &settled());
        make(&client, "new", own);
        client.accepts("verify --dir new");
        // A package manager made it before it fetched anything.
        make(&client, "old", own);
        client.accepts("verify --repository old --dir new");
        fs::remove_dir_all(client.at("old")).unwrap();
        // It came with the data, to a new place or an empty one.
        for because in [
            "verify --repository old --dir new",
            "verify --repository old --dir new --fast",
        ] {
            let said = client.refuses(because, "unaccounted");
            assert!(said.contains(&format!("{name}: ")), "{said}");
            fs::create_dir_all(client.at("old")).unwrap();
        }
        fs::remove_dir_all(client.at("old")).unwrap();
        // It is not what its name says.
        client.put("new", &settled());
        make(&client, "new", &[&format!("{name}/hooks/post-checkout")]);
        client.refuses("verify --dir new", "unaccounted");
        fs::remove_dir_all(client.at("new").join(name)).unwrap();
        make(&client, "new", &[name]);
        client.refuses("verify --dir new", "unaccounted");
        fs::remove_file(client.at("new").join(name)).unwrap();
        std::os::unix::fs::symlink("packages", client.at("new").join(name)).unwrap();
        client.refuses("verify --dir new", "special-file");
    }
    // Below the top it is a file like others.
    let mut deep = settled();
    deep.write("packages/foo/foo.1.0/.hg/requires", "x");
    client.put("new", &deep);
    client.refuses("verify --dir new", "unaccounted");
}

#[test]
fn an_archive_holds_nothing_of_version_control() {
    let client = Client::of(&settled());
    for name in [
        "tree",
        ".git/hooks/post-checkout",
        ".hg/hgrc",
        "_darcs/format",
        ".GIT/config",
        "git~1/HEAD",
    ] {
        client.put("tree", &settled());
        if name != "tree" {
            make(&client, "tree", &[name]);
            make(
                &client,
                "tree",
                if name.starts_with(".git") { &GIT } else { &[] },
            );
        }
        let output = Command::new("tar")
            .args(["czf", "tree.tar.gz", "-C", "tree", "."])
            .current_dir(client.directory.path())
            .output()
            .expect("tar is installed");
        assert!(output.status.success(), "{output:?}");
        if name == "tree" {
            client.accepts("verify --dir tree.tar.gz");
        } else {
            client.refuses("verify --dir tree.tar.gz", "unaccounted");
        }
    }
}

#[test]
fn a_further_work_tree_of_git_is_verified_as_any_other() {
    let community = settled();
    let line = Line::of(&community);
    line.git(&["worktree", "add", "-q", "--detach", "../further"]);
    assert!(line.client.at("further/.git").is_file());
    line.accepts("verify --dir further");
    line.git(&["clone", "-q", ".", "../cloned"]);
    line.accepts("verify --dir cloned");
    fs::write(line.client.at("further/.git"), "gitdir: /nowhere\n").unwrap();
    line.client.refuses("verify --dir further", "unaccounted");
}
