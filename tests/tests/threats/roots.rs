//! Where trust starts, and the chain from there.

use conex_core::model::digest::Digest;
use conex_core::state::chain::Trust;
use conex_core::tree::problem::Code;
use conex_core::verify::Mode;
use conex_crypto::StandardCrypto;
use conex_tests::{Community, fingerprint, id, janitor};

/// Everybody is replaced, one at a time, and root 4 has none of those of root 1.
fn renewed() -> Community {
    let mut community = Community::settled("plain");
    for (old, new, signers) in [
        ("alice", "dora", ["bob", "dora", "carol"]),
        ("bob", "emil", ["bob", "emil", "carol"]),
        ("carol", "fritz", ["carol", "dora", "emil"]),
    ] {
        let pages = community.pages(old);
        community.next_root(&signers, |root| {
            root.janitors.retain(|janitor| janitor.id != id(old));
            root.janitors.push(janitor(new));
            root.former
                .push(conex_core::model::statement::FormerJanitor {
                    id: id(old),
                    former: conex_tests::former(old, &pages),
                });
        });
        community.verify().accepted();
    }
    community
}

#[test]
fn stale_anchors() {
    let community = renewed();
    // Retired janitors lead to the newest root by the chain.
    let verdict = community.verify();
    verdict.accepted();
    assert_eq!(verdict.head.as_ref().unwrap().root().number.as_u32(), 4);
    let stale = community.anchor_keys(&["alice", "bob", "carol"], 2);
    community.verify_from(&stale).accepted();
    let fresh = community.anchor_keys(&["dora", "emil", "fritz"], 2);
    community.verify_from(&fresh).accepted();
    let newest = Trust::Root(community.root().digest(&StandardCrypto));
    community.verify_from(&newest).accepted();
    // Without a link of it, nothing leads there.
    for gone in ["conex/root/1", "conex/root/2", "conex/root/3"] {
        let mut hostile = community.clone();
        hostile.remove(&format!("{gone}.toml"));
        hostile.remove(gone);
        hostile
            .verify()
            .refused(&[(Code::RootChain, &format!("{}.toml", next(gone)))]);
    }
    // Strangers, too few, another origin.
    let anywhere = "conex/root/1.toml";
    for trust in [
        community.anchor_keys(&["mallory"], 1),
        community.anchor_keys(&["alice", "mallory", "eve"], 2),
        community.anchor_keys(&["alice", "dora"], 2),
        Trust::Root(Digest::from_bytes([0; 32])),
        Community::found("plain", |root| root.origin = "elsewhere".parse().unwrap())
            .anchor_keys(&["alice", "bob"], 2),
    ] {
        community
            .verify_from(&trust)
            .refused(&[(Code::AnchorUnsatisfied, anywhere)]);
    }
    // Listed is not signed: alice is in root 1, bob and carol signed it.
    let mut community = Community::settled("plain");
    community.remove(&Community::root_signature(1, "alice"));
    let trust = community.anchor_keys(&["alice"], 1);
    community
        .verify_from(&trust)
        .refused(&[(Code::AnchorUnsatisfied, anywhere)]);
    community.sign_root("alice");
    community.verify_from(&trust).accepted();
}

fn next(root: &str) -> &'static str {
    match root {
        "conex/root/1" => "conex/root/2",
        "conex/root/2" => "conex/root/3",
        _ => "conex/root/4",
    }
}

#[test]
fn stale_anchors_and_a_fork() {
    // Two successors of root 1, each signed by a quorum.
    let base = Community::settled("plain");
    let mut ours = base.clone();
    ours.next_root(&["alice", "bob"], |root| root.complete = true);
    let mut theirs = base.clone();
    theirs.next_root(&["bob", "carol"], |root| {
        root.revoked.push(fingerprint("mallory"));
    });
    ours.verify().accepted();
    theirs.verify().accepted();
    // Who has seen one refuses the other, and a mixture of both.
    let seen = Trust::Root(ours.root().digest(&StandardCrypto));
    ours.verify_from(&seen).accepted();
    theirs
        .verify_from(&seen)
        .refused(&[(Code::AnchorUnsatisfied, "conex/root/1.toml")]);
    theirs.next_root(&["bob", "carol"], |_| ());
    theirs.verify().accepted();
    let mut mixed = theirs.clone();
    for file in [
        "conex/root/2.toml",
        Community::root_signature(2, "alice").as_str(),
        Community::root_signature(2, "bob").as_str(),
    ] {
        mixed.write(file, ours.read(file));
    }
    mixed.remove(&Community::root_signature(2, "carol"));
    for trust in [mixed.anchor(), seen] {
        mixed.verify_from(&trust).refused(&[
            (Code::RootChain, "conex/root/3.toml"),
            (Code::RootSticky, "conex/root/3.toml"),
        ]);
    }
}

#[test]
fn root_truncation() {
    // Below the anchor it is impossible; the newest head is what a client anchors in.
    let mut community = Community::settled("plain");
    let old = community.clone();
    community.next_root(&["alice", "bob"], |root| {
        root.revoked.push(fingerprint("mallory"));
    });
    let seen = Trust::Root(community.root().digest(&StandardCrypto));
    old.verify_from(&seen)
        .refused(&[(Code::AnchorUnsatisfied, "conex/root/1.toml")]);
    community.verify_from(&seen).accepted();
}

#[test]
fn root_sticky() {
    let mut community = Community::settled("plain");
    community.next_root(&["alice", "bob"], |root| {
        root.complete = true;
        root.revoked.push(fingerprint("mallory"));
    });
    community.verify().accepted();
    let mut kept = community.clone();
    kept.next_root(&["alice", "bob"], |_| ());
    kept.verify().accepted();
    let mut hostile = community.clone();
    hostile.next_root(&["alice", "bob", "carol"], |root| root.complete = false);
    hostile
        .verify()
        .refused(&[(Code::RootSticky, "conex/root/3.toml")]);
    community.next_root(&["alice", "bob", "carol"], |root| root.revoked.clear());
    community
        .verify()
        .refused(&[(Code::RootSticky, "conex/root/3.toml")]);
}

#[test]
fn root_chain() {
    let honest = Community::settled("plain");
    for change in [
        (|root| root.origin = "elsewhere".parse().unwrap())
            as fn(&mut conex_core::model::statement::RootFields),
        |root| root.previous = Some(Digest::from_bytes([7; 32])),
    ] {
        let mut hostile = honest.clone();
        hostile.next_root(&["alice", "bob", "carol"], change);
        hostile
            .verify()
            .refused(&[(Code::RootChain, "conex/root/2.toml")]);
    }
    let mut hostile = honest.clone();
    hostile.next_root(&["alice", "bob"], |root| {
        root.number = root.number.next().unwrap();
    });
    hostile
        .verify()
        .refused(&[(Code::RootChain, "conex/root/3.toml")]);
    // A root that lists a key which it revokes.
    let mut hostile = honest;
    hostile.next_root(&["alice", "bob"], |root| {
        root.revoked.push(fingerprint("carol"));
    });
    hostile
        .verify()
        .refused(&[(Code::BadKey, "conex/root/2.toml")]);
}

#[test]
fn upgrade() {
    let honest = Community::settled("plain");
    let text = honest.read("conex/root/1.toml");
    for (from, to) in [
        ("format = 1", "format = 2"),
        ("format = 1", "format = 99999999"),
    ] {
        let mut newer = honest.clone();
        newer.write("conex/root/1.toml", text.replace(from, to));
        newer
            .verify()
            .refused(&[(Code::Upgrade, "conex/root/1.toml")]);
    }
    for change in [
        (|root| root.layout = scheme("cargo")) as fn(&mut conex_core::model::statement::RootFields),
        |root| root.projections = vec![scheme("opam/2")],
    ] {
        let mut newer = Community::settled("plain");
        newer.next_root(&["alice", "bob"], change);
        newer
            .verify()
            .refused(&[(Code::Upgrade, "conex/root/2.toml")]);
    }
}

fn scheme(name: &str) -> conex_core::model::statement::Scheme {
    conex_core::model::statement::Scheme::parse(name).unwrap()
}

#[test]
fn observe_then_enforce() {
    // Observing proves nothing, whatever there is.
    let community = Community::settled("plain");
    let verdict = community.verify_in(Mode::Observe);
    verdict.problems_are(&[]);
    assert!(verdict.verified().is_none());
    // An empty success is not a verdict.
    let empty = Community::found("plain", |_| ());
    empty.verify().refused(&[(Code::Empty, ".")]);
}

#[test]
fn strip_signatures_down_to_nothing() {
    let mut community = Community::settled("plain");
    community.remove("conex");
    for mode in [Mode::Warn, Mode::Enforce] {
        community
            .verify_in(mode)
            .refused(&[(Code::RootMissing, "conex/root/1.toml")]);
    }
    community
        .verify_in(Mode::Observe)
        .problems_are(&[(Code::RootMissing, "conex/root/1.toml")]);
}

#[test]
fn checkpoint_demanded() {
    let mut community = Community::settled("plain");
    community.next_root(&["alice", "bob"], |root| {
        root.checkpoints
            .keys
            .push(conex_tests::secret("clock").public_key().clone());
    });
    community.verify().accepted();
    community.next_root(&["alice", "bob"], |root| root.checkpoints.required = true);
    for mode in [Mode::Warn, Mode::Enforce] {
        community
            .verify_in(mode)
            .refused(&[(Code::CheckpointNeeded, "conex/root/3.toml")]);
    }
}
