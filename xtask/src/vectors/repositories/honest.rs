//! Stories of honest communities, all of which stay verified.

use conex_core::model::statement::FormerJanitor;
use conex_tests::{fingerprint, former, id, opam_file, secret};

use super::{FRESH, MAIN, STRICT, Story, Way, by};

pub(super) const PLAIN: &[Story] = &[
    ("honest", true, |_| (), STRICT),
    (
        "honest-keys",
        true,
        |_| (),
        Way {
            keys: Some((&["alice", "carol"], 2)),
            ..FRESH
        },
    ),
    (
        "honest-release",
        true,
        |all| {
            all.release("foo", "2.0", "More data.\n");
            all.approve("dave", "foo");
        },
        STRICT,
    ),
    (
        "honest-unsigned",
        true,
        |all| all.release("new", "1", "x\n"),
        FRESH,
    ),
    (
        "honest-unclaimed",
        true,
        |all| {
            all.release("new", "1", "x\n");
            all.approve("carol", "new");
        },
        STRICT,
    ),
    (
        "honest-removal",
        true,
        |all| {
            all.release("new", "1", "x\n");
            all.approve("carol", "new");
            all.remove("new");
            let gone = all.gone("new", "0.2");
            all.vouch("alice", &[gone]);
        },
        STRICT,
    ),
    (
        "honest-team",
        true,
        |all| {
            all.author("erin");
            all.team("makers", &["dave", "erin"]);
            all.edit_claim("foo", |claim| claim.owners = vec![id("makers")]);
            by(all, "erin");
            by(all, "makers");
            by(all, "foo authorisation");
            all.release("foo", "2.0", "x\n");
            all.approve("erin", "foo");
        },
        STRICT,
    ),
    (
        "honest-rotation",
        true,
        |all| {
            let pages = all.pages("dave");
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| {
                author.keys = vec![key];
                author.former = vec![former("dave", &pages)];
            });
            by(all, "dave");
        },
        STRICT,
    ),
    (
        "honest-revocation",
        true,
        |all| {
            let pages = all.pages("dave");
            let key = all.proven("dave", "dave#2");
            all.next_root(&["alice", "bob"], |root| {
                root.revoked.push(fingerprint("dave"));
            });
            all.edit_author("dave", |author| {
                author.keys = vec![key];
                author.former = vec![former("dave", &pages)];
            });
            by(all, "dave");
        },
        STRICT,
    ),
    (
        "honest-janitor-leaves",
        true,
        |all| {
            let pages = all.pages("bob");
            all.next_root(&["alice", "carol"], |root| {
                root.janitors.retain(|janitor| janitor.id != id("bob"));
                root.former.push(FormerJanitor {
                    id: id("bob"),
                    former: former("bob", &pages),
                });
            });
        },
        STRICT,
    ),
    (
        "honest-retired",
        true,
        |all| {
            all.release("new", "1", "x\n");
            all.edit_claim("foo", |claim| claim.retired = true);
            by(all, "foo authorisation");
            all.remove("foo");
        },
        FRESH,
    ),
    (
        "honest-epoch",
        true,
        |all| {
            all.edit_claim("foo", |claim| claim.epoch = 1);
            by(all, "foo authorisation");
            all.approve("dave", "foo");
        },
        STRICT,
    ),
    (
        "honest-ahead",
        true,
        |all| {
            all.release("foo", "2.0", "x\n");
            all.approve("dave", "foo");
            all.remove("foo/2.0");
        },
        MAIN,
    ),
    (
        "honest-author-ahead",
        true,
        |all| {
            let old = all.read("conex/authors/dave.toml");
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| author.keys.push(key));
            by(all, "dave");
            all.write("conex/authors/dave.toml", old);
        },
        MAIN,
    ),
    (
        "honest-janitor-rotates",
        true,
        |all| {
            let pages = all.pages("alice");
            all.propose_root(|root| {
                if let Some(alice) = root.janitors.first_mut() {
                    alice.keys = vec![secret("alice#2").public_key().clone()];
                }
                root.former.push(FormerJanitor {
                    id: id("alice"),
                    former: former("alice", &pages),
                });
            });
            for who in ["alice", "alice#2", "bob"] {
                all.sign_root(who);
            }
        },
        STRICT,
    ),
    (
        "honest-root-ahead",
        true,
        |all| all.next_root(&["alice"], |root| root.complete = true),
        MAIN,
    ),
    (
        "honest-inert",
        true,
        |all| {
            let vouch = all.present("foo releases", "0.9");
            all.vouch("stranger", &[vouch]);
        },
        STRICT,
    ),
    (
        "honest-batch",
        true,
        |all| {
            for at in 0..257 {
                all.release(&format!("p{at}"), "1", "x\n");
            }
            all.approve("carol", "*");
        },
        STRICT,
    ),
];

pub(super) const OPAM: &[Story] = &[
    ("honest", true, |_| (), STRICT),
    (
        "honest-upkeep",
        true,
        |all| {
            all.release("foo", "1.0", &opam_file("5.0", "dune"));
            all.approve("carol", "foo/1.0 checksums");
        },
        STRICT,
    ),
    (
        "honest-flat",
        true,
        |all| {
            all.write("packages/old.1/opam", opam_file("3.0", "make"));
            all.approve("carol", "old");
        },
        STRICT,
    ),
    (
        "honest-unreadable",
        true,
        |all| {
            all.release("foo", "1.0", "no opam file {\n");
            all.approve("dave", "foo");
        },
        STRICT,
    ),
];
