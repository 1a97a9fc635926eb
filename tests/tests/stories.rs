//! Communities that do nothing wrong.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use conex_core::tree::problem::Code;
use conex_core::verify::Mode;
use conex_repo::DirectoryStore;
use conex_tests::generate::{Size, generate};
use conex_tests::{Community, verify};

#[test]
fn a_settled_community_is_verified() {
    for layout in ["plain", "opam"] {
        let community = Community::settled(layout);
        let verdict = community.verify_in(Mode::Enforce);
        verdict.accepted().notes(&[]);
        assert_eq!(verdict.counts.packages, 3);
        assert_eq!(verdict.counts.releases, 4);
        assert_eq!(verdict.counts.unsigned, 0);
        community.verify_main().accepted();
        community
            .verify_from(&community.anchor_keys(&["alice", "bob"], 2))
            .accepted();
    }
}

#[test]
fn a_tree_in_a_directory_is_verified_alike() {
    let community = Community::settled("opam");
    let directory = tempfile::tempdir().unwrap();
    community.write_to(directory.path()).unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    verify(&store, &community.anchor(), Mode::Enforce, false).accepted();
}

#[test]
fn what_waits_for_approval_is_said_and_then_approved() {
    let mut community = Community::settled("plain");
    community.release("foo", "3.0", "foo in version 3.0\n");
    community.verify().refused(&[
        (Code::ContentDiffers, "foo"),
        (Code::NotApproved, "foo/3.0/data"),
    ]);
    community.approve("dave", "foo");
    community.verify().accepted();
}

#[test]
fn a_generated_repository_is_verified_and_always_the_same() {
    let size = Size {
        packages: 60,
        releases: 250,
        seed: 7,
    };
    let anchors = [(), ()].map(|()| {
        let directory = tempfile::tempdir().unwrap();
        let trust = generate(directory.path(), &size).unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let verdict = verify(&store, &trust, Mode::Enforce, false);
        verdict.accepted().notes(&[]);
        assert_eq!(verdict.counts.packages, 60);
        assert_eq!(verdict.counts.releases, 250);
        let digests: Vec<_> = verdict.findings.iter().map(|found| found.digest).collect();
        (trust, digests)
    });
    assert_eq!(anchors[0], anchors[1]);
}
