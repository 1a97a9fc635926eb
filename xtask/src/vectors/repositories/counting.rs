//! Counting: whose vouches count, for what, and how often.

use conex_core::model::statement::AuthorKey;
use conex_tests::{Community, former, id, opam_file, secret};

use super::hostile::threshold;
use super::{FRESH, MAIN, STRICT, Story, by, key_of, small_order};

/// Has somebody vouch for something as it is, in the given version.
fn vouch(all: &mut Community, who: &str, what: &str, version: &str) {
    let vouch = all.present(what, version);
    all.vouch(who, &[vouch]);
}

/// Adds erin with a key from `make`.
fn erin_with(all: &mut Community, make: impl FnOnce(&Community) -> AuthorKey) {
    all.author("erin");
    let key = make(all);
    all.edit_author("erin", |author| author.keys.push(key));
    by(all, "erin");
}

/// Makes alice an author, too, with another key.
fn alice_the_author(all: &mut Community) {
    all.author("alice");
    let key = all.proven("alice", "alice#2");
    all.edit_author("alice", |author| author.keys = vec![key]);
    by(all, "alice");
}

/// Gives foo to the team of all janitors.
fn janitors_own(all: &mut Community) {
    all.edit_claim("foo", |claim| claim.owners = vec![id("janitors")]);
    by(all, "foo authorisation");
    all.approve("carol", "foo");
}

pub(super) const PLAIN: &[Story] = &[
    (
        "votes-of-another-epoch",
        false,
        |all| {
            all.author("erin");
            vouch(all, "alice", "erin author", "1.1");
            vouch(all, "bob", "erin author", "1.1");
        },
        FRESH,
    ),
    (
        "votes-of-two-versions",
        false,
        |all| {
            all.author("erin");
            vouch(all, "alice", "erin author", "0.1");
            vouch(all, "bob", "erin author", "0.2");
        },
        FRESH,
    ),
    (
        "votes-under-two-keys",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                if let Some(alice) = root.janitors.first_mut() {
                    alice.keys.push(secret("alice#2").public_key().clone());
                }
            });
            all.author("erin");
            vouch(all, "alice", "erin author", "0.1");
            vouch(all, "alice#2", "erin author", "0.1");
        },
        FRESH,
    ),
    (
        "votes-of-an-author-who-is-a-janitor",
        false,
        |all| {
            alice_the_author(all);
            all.author("erin");
            vouch(all, "alice#2", "erin author", "0.1");
            vouch(all, "bob", "erin author", "0.1");
        },
        FRESH,
    ),
    (
        "votes-of-a-janitor-who-is-an-author-too",
        true,
        |all| {
            alice_the_author(all);
            all.author("erin");
            for who in ["alice", "alice#2", "bob"] {
                vouch(all, who, "erin author", "0.1");
            }
        },
        STRICT,
    ),
    (
        "owner-who-is-a-janitor",
        true,
        |all| {
            alice_the_author(all);
            all.edit_claim("foo", |claim| claim.owners = vec![id("alice")]);
            by(all, "foo authorisation");
            all.approve("alice#2", "foo");
        },
        STRICT,
    ),
    ("janitors-own", true, janitors_own, STRICT),
    (
        "janitors-own-and-an-author-vouches",
        false,
        |all| {
            janitors_own(all);
            all.release("foo", "2.0", "x\n");
            vouch(all, "dave", "foo releases", "0.2");
            vouch(all, "dave", "foo/2.0 checksums", "0.1");
        },
        FRESH,
    ),
    (
        "janitors-own-and-one-vouches-as-an-author",
        false,
        |all| {
            janitors_own(all);
            alice_the_author(all);
            all.release("foo", "2.0", "x\n");
            vouch(all, "alice#2", "foo releases", "0.2");
            vouch(all, "alice#2", "foo/2.0 checksums", "0.1");
        },
        FRESH,
    ),
    (
        "owner-by-name-and-by-team",
        false,
        |all| {
            all.team("makers", &["dave", "carol"]);
            by(all, "makers");
            all.edit_claim("foo", |claim| {
                claim.owners = vec![id("dave"), id("makers")];
                claim.threshold = threshold(2);
            });
            by(all, "foo authorisation");
            all.approve_all("dave", |finding| finding.subject.name() == "foo");
        },
        FRESH,
    ),
    (
        "retired-team-owns",
        false,
        |all| {
            all.team("makers", &["dave"]);
            all.edit_team("makers", |team| team.retired = true);
            by(all, "makers");
            all.edit_claim("foo", |claim| claim.owners = vec![id("makers")]);
            by(all, "foo authorisation");
        },
        FRESH,
    ),
    (
        "retired-member",
        true,
        |all| {
            all.team("makers", &["carol", "dave"]);
            by(all, "makers");
            all.edit_claim("foo", |claim| claim.owners = vec![id("makers")]);
            by(all, "foo authorisation");
            let pages = all.pages("dave");
            all.edit_author("dave", |author| {
                author.keys.clear();
                author.former = vec![former("dave", &pages)];
                author.retired = true;
            });
            by(all, "dave");
        },
        STRICT,
    ),
    (
        "unknown-member",
        false,
        |all| {
            all.team("makers", &["dave", "nobody"]);
            by(all, "makers");
        },
        FRESH,
    ),
    (
        "repository-by-upkeep",
        false,
        |all| {
            all.write("repo", "x\n");
            all.approve("carol", ".");
        },
        STRICT,
    ),
    (
        "former-key-forgotten",
        false,
        |all| {
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| author.keys = vec![key]);
            by(all, "dave");
        },
        FRESH,
    ),
    (
        "former-key-signs",
        false,
        |all| {
            let pages = all.pages("dave");
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| {
                author.keys = vec![key];
                author.former = vec![former("dave", &pages)];
            });
            by(all, "dave");
            all.release("foo", "2.0", "x\n");
            vouch(all, "dave", "foo releases", "0.2");
            vouch(all, "dave", "foo/2.0 checksums", "0.1");
        },
        FRESH,
    ),
    (
        "former-key-of-two",
        false,
        |all| {
            all.author("erin");
            all.edit_author("erin", |author| {
                author.former = vec![former("zoe", &[])];
            });
            by(all, "erin");
            all.edit_author("dave", |author| {
                author.former = vec![former("zoe", &[])];
            });
            by(all, "dave");
        },
        FRESH,
    ),
    (
        "shared-key-without-proof",
        false,
        |all| {
            erin_with(all, |all| all.proven("dave", "dave"));
        },
        FRESH,
    ),
    (
        "shared-key-of-a-janitor",
        false,
        |all| {
            erin_with(all, |all| all.proven("erin", "alice"));
        },
        FRESH,
    ),
    (
        "key-of-the-same-person",
        true,
        |all| {
            all.author("alice");
            by(all, "alice");
        },
        STRICT,
    ),
    (
        "key-small-order",
        false,
        |all| {
            erin_with(all, |all| AuthorKey {
                key: small_order(),
                ..all.proven("erin", "erin#2")
            });
        },
        FRESH,
    ),
    (
        "key-unknown",
        false,
        |all| {
            erin_with(all, |all| AuthorKey {
                key: key_of("ssh-future", &[7; 32]),
                ..all.proven("erin", "erin#2")
            });
        },
        FRESH,
    ),
    (
        "key-of-an-unapproved-author",
        false,
        |all| {
            all.author("erin");
            let key = AuthorKey {
                key: small_order(),
                ..all.proven("erin", "erin#2")
            };
            all.edit_author("erin", |author| author.keys.push(key));
        },
        FRESH,
    ),
    (
        "id-of-team-and-unapproved-author",
        false,
        |all| {
            all.team("erin", &["dave"]);
            by(all, "erin");
            all.edit_claim("foo", |claim| claim.owners = vec![id("erin")]);
            by(all, "foo authorisation");
            all.author("erin");
        },
        FRESH,
    ),
    (
        "id-of-unapproved-team-and-janitor",
        false,
        |all| all.team("carol", &["dave"]),
        FRESH,
    ),
    (
        "honest-authorisation-ahead",
        true,
        |all| {
            let old = all.read("conex/packages/foo.toml");
            all.edit_claim("foo", |claim| claim.owners.push(id("alice")));
            by(all, "foo authorisation");
            all.write("conex/packages/foo.toml", old);
        },
        MAIN,
    ),
    (
        "out-of-reach",
        true,
        |all| {
            all.edit_claim("foo", |claim| {
                claim.owners = vec![id("alice"), id("janitors")];
                claim.threshold = threshold(4);
            });
            by(all, "foo authorisation");
            by(all, "foo");
        },
        STRICT,
    ),
    (
        "author-malformed",
        false,
        |all| {
            let text = all.read("conex/authors/dave.toml") + "\n";
            all.write("conex/authors/dave.toml", text);
        },
        FRESH,
    ),
    (
        "author-misnamed",
        false,
        |all| {
            let text = all.read("conex/authors/dave.toml");
            all.remove("conex/authors/dave.toml");
            all.write("conex/authors/David.toml", text);
        },
        FRESH,
    ),
    (
        "release-gone-and-there",
        false,
        |all| {
            all.release("foo", "2.0", "x\n");
            all.approve("dave", "foo");
            all.remove("foo/2.0");
            let gone = all.release_gone("foo", "2.0", "0.1");
            let releases = all.present("foo releases", "0.3");
            all.vouch("dave", &[gone, releases]);
        },
        FRESH,
    ),
    // The versions that tools ask for (section 6.4).
    (
        "asked-with-who-began",
        false,
        |all| {
            all.author("erin");
            vouch(all, "carol", "erin author", "0.7");
            vouch(all, "alice", "erin author", "0.5");
        },
        FRESH,
    ),
    (
        "asked-above-another-content",
        false,
        |all| {
            all.author("erin");
            vouch(all, "alice", "erin author", "0.4");
            let key = all.proven("erin", "erin#2");
            all.edit_author("erin", |author| author.keys.push(key));
        },
        FRESH,
    ),
    (
        "asked-above-who-does-not-count",
        false,
        |all| {
            all.author("erin");
            by(all, "erin");
            all.release("foo", "2.0", "More data.\n");
            vouch(all, "erin", "foo/2.0 checksums", "0.6");
            vouch(all, "erin", "foo/2.0 checksums", "0.3");
        },
        FRESH,
    ),
    (
        "asked-not-above-who-is-far",
        false,
        |all| {
            all.author("erin");
            vouch(all, "carol", "erin author", "0.4294967297");
        },
        FRESH,
    ),
    (
        "asked-with-who-is-just-near",
        false,
        |all| {
            all.author("erin");
            vouch(all, "carol", "erin author", "0.4294967296");
        },
        FRESH,
    ),
    (
        "asked-near-what-is-approved",
        false,
        |all| {
            for version in ["0.4294967296", "0.4294967300"] {
                vouch(all, "alice", "dave author", version);
            }
            vouch(all, "bob", "dave author", "0.4294967296");
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| author.keys.push(key));
        },
        FRESH,
    ),
    (
        "asked-at-the-end",
        false,
        |all| {
            for who in ["alice", "bob"] {
                vouch(all, who, "dave author", "0.18446744073709551615");
            }
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| author.keys.push(key));
        },
        FRESH,
    ),
    (
        "asked-of-all-owners",
        false,
        |all| {
            all.author("erin");
            by(all, "erin");
            all.edit_claim("foo", |claim| {
                claim.owners = vec![id("dave"), id("erin"), id("janitors")];
                claim.threshold = threshold(3);
            });
            by(all, "foo authorisation");
            all.release("foo", "2.0", "More data.\n");
            all.approve("erin", "foo/2.0 checksums");
            all.approve("carol", "foo/2.0 checksums");
        },
        FRESH,
    ),
    // An approved authorisation of a later epoch cannot be followed by one of an earlier epoch.
    (
        "asked-below-a-later-epoch",
        false,
        |all| {
            all.edit_claim("foo", |claim| claim.epoch = 1);
            for who in ["alice", "bob"] {
                vouch(all, who, "foo authorisation", "1.1");
            }
            all.edit_claim("foo", |claim| {
                claim.epoch = 0;
                claim.owners.push(id("janitors"));
            });
        },
        FRESH,
    ),
    // Votes for one epoch in versions of another one are void, whatever else is voted for.
    (
        "asked-beside-votes-of-another-epoch",
        false,
        |all| {
            vouch(all, "carol", "foo authorisation", "0.9");
            all.edit_claim("foo", |claim| claim.owners.push(id("janitors")));
            for who in ["alice", "bob"] {
                vouch(all, who, "foo authorisation", "1.1");
            }
        },
        FRESH,
    ),
    (
        "asked-of-who-is-not-among-them",
        false,
        |all| {
            all.author("aaron");
            by(all, "aaron");
            all.release("foo", "2.0", "More data.\n");
            vouch(all, "carol", "foo releases", "0.2");
            vouch(all, "aaron", "foo releases", "0.2");
        },
        FRESH,
    ),
];

pub(super) const OPAM: &[Story] = &[
    (
        "upkeep-unclaimed",
        true,
        |all| {
            all.next_root(&["alice", "bob"], |root| root.unclaimed = threshold(2));
            all.release("new", "1", &opam_file("4.08", "dune"));
            by(all, "new");
            all.release("new", "1", &opam_file("5.0", "dune"));
            all.approve("carol", "new/1 checksums");
        },
        STRICT,
    ),
    (
        "upkeep-below-its-threshold",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| root.upkeep = threshold(2));
            all.release("foo", "1.0", &opam_file("5.0", "dune"));
            all.approve("carol", "foo/1.0 checksums");
        },
        FRESH,
    ),
    (
        "upkeep-under-a-broken-claim",
        false,
        |all| {
            all.edit_claim("foo", |claim| claim.owners.push(id("nobody")));
            by(all, "foo authorisation");
            by(all, "foo releases");
            all.release("foo", "1.0", &opam_file("5.0", "dune"));
            all.approve("carol", "foo/1.0 checksums");
        },
        FRESH,
    ),
];
