//! What the real `opam admin index` makes of a signed repository is accepted, and nothing else of it.
//!
//! Asks each program `opam-VERSION` in the directory that `CONEX_OPAMS` names, and `opam` on the PATH. Where
//! there is none this says so and does nothing, unless `CONEX_NEEDS_OPAM` is set.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop where it stands, and says what it leaves out"
)]

mod client;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use client::Client;
use conex_tests::Community;

fn opams() -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Some(directory) = std::env::var_os("CONEX_OPAMS") {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("opam-") && path.is_file() {
                found.push(path);
            }
        }
        found.sort();
    }
    if Command::new("opam").arg("--version").output().is_ok() {
        found.push("opam".into());
    }
    if found.is_empty() {
        assert!(
            std::env::var_os("CONEX_NEEDS_OPAM").is_none(),
            "opam is not installed, and CONEX_NEEDS_OPAM is set"
        );
        println!("opam is not installed: it is not asked");
    }
    found
}

/// Has opam write the repository's index, as a server does.
fn index(opam: &Path, repository: &Path, home: &Path) {
    let output = Command::new(opam)
        .args(["admin", "index"])
        .current_dir(repository)
        .stdin(Stdio::null())
        .env("HOME", home)
        .env("OPAMROOT", home.join("opam"))
        .env("OPAMROOTISOK", "1")
        .env("OPAMYES", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn pack(directory: &Path, archive: &str, what: &[&str]) {
    let status = Command::new("tar")
        .args(["-czf", archive, "-C"])
        .arg(directory)
        .args(what)
        .current_dir(directory.parent().unwrap())
        .status()
        .expect("tar is installed");
    assert!(status.success());
}

/// Files `repo` as people write them; opam writes each of them anew.
const REPOS: &[&str] = &[
    "opam-version: \"2.0\"\n",
    "# Ours.\nopam-version: \"2.0\" # the format\nbrowse: \"https://packages.example.org\"\n\
     upstream: \"https://forge.example.org/packages\"\narchive-mirrors: [\"cache\"]\nstamp: \"old\"\n",
    r#"archive-mirrors: [ "cache"
  "https://cache.example.org/a b" ]
redirect: [ "https://old.example.org" {((os = "linux"))} "https://older.example.org" { opam-version < "2" & (arch = 64 | !(arch = x)) } ]
announce: [
"""
[WARNING] Your "opam" is old\\.
Please upgrade.
"""
  {(opam-version < "2.1.0~~") | false & true}
  "B\195\188nzli says \"hi\"\tto \
   you" {true}
  "One" {!a & ?b | c:d}
  "Two" {}
]
opam-version: "2.0"
"#,
    "opam-version: \"2.0\"\r\nannounce: \"one\r\ntwo\"\r\nredirect: []\r\n",
    "opam-version: \"1.2\"\narchive-mirrors: \"x\" announce: [\"y\" {a & (b & (c | d))}]",
];

#[test]
fn what_opam_admin_index_makes_of_a_repository_is_accepted() {
    for opam in opams() {
        let client = Client::of(&Community::settled("opam"));
        let home = client.at("home");
        fs::create_dir(&home).unwrap();
        for repo in REPOS {
            let mut community = Community::settled("opam");
            community.write("repo", *repo);
            community.approve_by(&["alice", "bob"], ". repository");
            client.put("served", &community);
            let served = client.at("served");
            index(&opam, &served, &home);
            let written = fs::read_to_string(served.join("repo")).unwrap();
            assert!(written.contains("stamp: \""), "{written}");
            assert_ne!(&written, repo);

            let told = format!("{} made of\n{repo}\n{written}", opam.display());
            pack(&served, "all.tar.gz", &["repo", "packages", "conex"]);
            let (said, code) = client.run("verify --dir all.tar.gz");
            assert_eq!(code, 0, "{told}\n{said}");
            assert!(!said.contains("whole-source"), "{told}\n{said}");

            // The honest twins: what the program packs by itself, and a mirror that is not approved.
            let (said, code) = client.run("verify --dir served/index.tar.gz");
            assert_eq!(code, 1, "{told}\n{said}");
            let more = "archive-mirrors: \"https://evil.example\"\n";
            let mirror = written
                .lines()
                .find(|line| line.starts_with("archive-mirrors"));
            let evil = match mirror {
                Some(line) => written.replace(line, more.trim_end()),
                None => written + more,
            };
            fs::write(served.join("repo"), &evil).unwrap();
            pack(&served, "evil.tar.gz", &["repo", "packages", "conex"]);
            let (said, code) = client.run("verify --dir evil.tar.gz");
            assert_eq!(code, 1, "{evil}\n{said}");
            assert!(said.contains("repo: content-differs"), "{evil}\n{said}");
        }
    }
}

/// What opam leaves out when it prints is missed.
#[test]
fn what_opam_does_not_print_again_is_missed() {
    for opam in opams() {
        let client = Client::of(&Community::settled("opam"));
        let home = client.at("home");
        fs::create_dir(&home).unwrap();
        for repo in [
            "opam-version: \"2.0\"\nx-more: \"1\"\n",
            "opam-version: \"2.0\"\nmore { a: 1 }\n",
            "archive-mirrors: \"cache\"\n",
            "opam-version: \"2.0\"\narchive-mirrors: \"a\"\narchive-mirrors: \"b\"\n",
        ] {
            let mut community = Community::settled("opam");
            community.write("repo", repo);
            community.approve_by(&["alice", "bob"], ". repository");
            client.put("served", &community);
            let (said, code) = client.run("verify --dir served");
            assert_eq!(code, 0, "{repo}\n{said}");
            index(&opam, &client.at("served"), &home);
            fs::remove_file(client.at("served/index.tar.gz")).unwrap();
            let _ = fs::remove_file(client.at("served/urls.txt"));
            let (said, code) = client.run("verify --dir served");
            assert_eq!(code, 1, "{repo}\n{said}");
            assert!(said.contains("repo: content-differs"), "{repo}\n{said}");
        }
    }
}
