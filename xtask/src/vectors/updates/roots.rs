//! The chain, the record, and revoked keys.

use conex_core::model::page::BatchRef;
use conex_core::model::statement::{FormerJanitor, RootFields, Scheme};
use conex_tests::{Community, fingerprint, former, id, janitor};

use super::{How, STRICT, Story, WARN, nothing, older};

fn second(all: &mut Community) {
    all.next_root(&["alice", "bob"], |_| ());
}

/// Adds the unclaimed package new in its second version, both versions approved by carol alone.
fn by_carol(all: &mut Community) {
    all.release("new", "1", "x\n");
    all.approve("carol", "new");
    all.release("new", "1", "y\n");
    all.approve("carol", "new");
}

/// Revokes carol's key and replaces her by dora.
fn without_carol(root: &mut RootFields) {
    root.janitors.retain(|janitor| janitor.id != id("carol"));
    root.janitors.push(janitor("dora"));
    root.revoked.push(fingerprint("carol"));
}

/// Adds the author erin, whose retirement alice and carol approved.
fn retired_by_carol(all: &mut Community) {
    all.author("erin");
    all.approve_by(&["alice", "bob"], "erin");
    all.edit_author("erin", |author| {
        author.retired = true;
        author.former = vec![former("erin", &[])];
        author.keys.clear();
    });
    all.approve_by(&["alice", "carol"], "erin");
}

/// Restores erin as she was before.
fn erin_is_back(all: &mut Community) {
    let key = all.proven("erin", "erin");
    all.edit_author("erin", |author| {
        author.retired = false;
        author.former.clear();
        author.keys = vec![key];
    });
}

/// Adds repository files, approved by alice and carol.
fn files_by_carol(all: &mut Community) {
    all.write("repo", "1\n");
    all.approve_by(&["alice", "carol"], ".");
}

fn revoke(all: &mut Community) {
    all.next_root(&["alice", "bob"], without_carol);
}

/// Revokes the key, with a floor for what she approved.
fn revoke_with_floor(all: &mut Community) {
    let said = ["new releases", "new/1 checksums"].map(|what| all.present(what, "0.2"));
    let floor: Vec<BatchRef> = all.keep(&said);
    all.next_root(&["alice", "bob"], |root| {
        without_carol(root);
        root.floor = floor;
    });
}

/// Has somebody vouch for new as it is, in the given version.
fn vouch_for_new(all: &mut Community, who: &str, version: &str) {
    let said = ["new releases", "new/1 checksums"].map(|what| all.present(what, version));
    all.vouch(who, &said);
}

pub(super) const PLAIN: &[Story] = &[
    ("root-honest", true, nothing, second, STRICT),
    (
        "root-unsigned",
        false,
        nothing,
        |all| all.next_root(&["alice"], |_| ()),
        WARN,
    ),
    ("root-rollback", false, second, older, WARN),
    (
        "root-fork",
        false,
        second,
        |all| {
            older(all);
            all.next_root(&["alice", "bob"], |root| root.complete = true);
        },
        WARN,
    ),
    (
        "root-signature-gone",
        false,
        second,
        |all| {
            all.remove(&Community::root_signature(2, "bob"));
        },
        WARN,
    ),
    (
        "root-history-changed",
        false,
        second,
        |all| {
            let text = all.read("conex/root/1.toml");
            all.write(
                "conex/root/1.toml",
                text.replace("upkeep = 1", "upkeep = 2"),
            );
        },
        WARN,
    ),
    (
        "roots-several",
        true,
        nothing,
        |all| {
            second(all);
            all.next_root(&["alice", "bob"], |root| {
                root.janitors.push(janitor("dora"));
            });
            all.next_root(&["bob", "carol", "dora"], |root| root.complete = true);
        },
        STRICT,
    ),
    (
        "roots-several-one-unsigned",
        false,
        nothing,
        |all| {
            second(all);
            all.next_root(&["alice"], |root| root.janitors.push(janitor("dora")));
            all.next_root(&["bob", "carol", "dora"], |root| root.complete = true);
        },
        WARN,
    ),
    (
        "janitor-leaves",
        true,
        nothing,
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
        "janitor-leaves-forgotten",
        false,
        nothing,
        |all| {
            all.next_root(&["alice", "carol"], |root| {
                root.janitors.retain(|janitor| janitor.id != id("bob"));
            });
        },
        WARN,
    ),
    (
        "revoked-adopted",
        true,
        by_carol,
        |all| {
            revoke(all);
            vouch_for_new(all, "alice", "0.2");
        },
        STRICT,
    ),
    ("revoked-stripped", false, by_carol, revoke, WARN),
    // A retirement falls with the key that approved it, and no page mentions it any more.
    (
        "revoked-retirement",
        true,
        retired_by_carol,
        |all| {
            revoke(all);
            erin_is_back(all);
        },
        WARN,
    ),
    (
        "revoked-retirement-kept",
        false,
        retired_by_carol,
        erin_is_back,
        WARN,
    ),
    // The repository files need two approvals, and one of the keys that gave them is left.
    (
        "revoked-repository-stripped",
        false,
        files_by_carol,
        revoke,
        WARN,
    ),
    (
        "revoked-repository-adopted",
        true,
        files_by_carol,
        |all| {
            revoke(all);
            let files = all.present(". repository", "0.1");
            all.vouch("bob", &[files]);
        },
        STRICT,
    ),
    (
        "revoked-and-gone",
        true,
        by_carol,
        |all| {
            revoke(all);
            all.remove("new");
        },
        STRICT,
    ),
    // Without a floor, a server that withholds the adoption can serve earlier content.
    (
        "revoked-lower",
        true,
        |all| {
            all.release("new", "1", "x\n");
            all.approve("alice", "new");
            all.release("new", "1", "y\n");
            all.approve("carol", "new");
        },
        |all| {
            revoke(all);
            all.release("new", "1", "x\n");
        },
        STRICT,
    ),
    (
        "revoked-lower-than-the-floor",
        false,
        |all| {
            all.release("new", "1", "x\n");
            all.approve("alice", "new");
            all.release("new", "1", "y\n");
            all.approve("carol", "new");
        },
        |all| {
            revoke_with_floor(all);
            all.release("new", "1", "x\n");
        },
        WARN,
    ),
    (
        "revoked-adopted-with-floor",
        true,
        by_carol,
        |all| {
            revoke_with_floor(all);
            vouch_for_new(all, "alice", "0.2");
        },
        STRICT,
    ),
    (
        "revoked-floor-without-batch",
        false,
        by_carol,
        |all| {
            revoke_with_floor(all);
            vouch_for_new(all, "alice", "0.2");
            all.remove("conex/batches");
        },
        WARN,
    ),
    (
        "revoked-floor-other-content",
        false,
        by_carol,
        |all| {
            revoke_with_floor(all);
            all.release("new", "1", "z\n");
            vouch_for_new(all, "alice", "0.2");
        },
        WARN,
    ),
    (
        "root-floor-taken-back",
        false,
        |all| {
            by_carol(all);
            revoke_with_floor(all);
            vouch_for_new(all, "alice", "0.2");
        },
        |all| {
            all.next_root(&["alice", "bob"], |root| root.floor.clear());
        },
        WARN,
    ),
    (
        "unrecorded",
        true,
        |all| {
            all.release("foo", "2.0", "x\n");
            all.approve("dave", "foo");
        },
        |all| {
            older(all);
            second(all);
        },
        How {
            record: Some(|all| {
                older(all);
                second(all);
            }),
            ..WARN
        },
    ),
    (
        "unrecorded-refused",
        false,
        nothing,
        |all| {
            all.release("foo", "2.0", "x\n");
            all.approve("dave", "foo");
        },
        How {
            record: Some(second),
            ..WARN
        },
    ),
];

fn projection(root: &mut RootFields) {
    root.projections = vec![Scheme::parse("opam/1").expect("a name")];
}

pub(super) const OPAM: &[Story] = &[
    // The same content under another projection may have another digest in the same version.
    (
        "projection-adopted",
        true,
        |all| {
            all.next_root(&["alice", "bob"], |root| root.projections.clear());
            all.approve("dave", "foo");
        },
        |all| {
            all.next_root(&["alice", "bob"], projection);
            let vouch = all.present("foo releases", "0.2");
            let files = all.present("foo/1.0 checksums", "0.1");
            for page in all.pages("dave") {
                all.remove(&page);
            }
            all.vouch("dave", &[vouch, files]);
        },
        STRICT,
    ),
    (
        "projection-adopted-other-content",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| root.projections.clear());
            all.approve("dave", "foo");
        },
        |all| {
            all.next_root(&["alice", "bob"], projection);
            all.release("foo", "1.0", "opam-version: \"2.0\"\n");
            let vouch = all.present("foo releases", "0.2");
            let files = all.present("foo/1.0 checksums", "0.2");
            for page in all.pages("dave") {
                all.remove(&page);
            }
            all.vouch("dave", &[vouch, files]);
        },
        WARN,
    ),
];
