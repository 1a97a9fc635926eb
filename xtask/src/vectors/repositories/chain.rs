//! Roots, their signatures, and the files beside them.

use conex_core::model::page::BatchRef;
use conex_core::model::statement::Janitor;
use conex_tests::{Community, id, janitor, secret};

use super::hostile::forge;
use super::{FRESH, MAIN, STRICT, Story, Way, key_of, small_order};

fn second(all: &mut Community) {
    all.next_root(&["alice", "bob"], |_| ());
}

const NEWEST: Way = Way {
    newest: true,
    ..FRESH
};

pub(super) const PLAIN: &[Story] = &[
    (
        "root-history",
        false,
        |all| {
            second(all);
            forge(all, "conex/root/1.toml", "upkeep = 1", "upkeep = 2");
        },
        NEWEST,
    ),
    (
        "root-history-unsigned",
        true,
        |all| {
            second(all);
            all.remove("conex/root/1");
        },
        NEWEST,
    ),
    (
        "root-origin",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                root.origin = "elsewhere".parse().expect("a name");
            });
        },
        FRESH,
    ),
    (
        "root-first-unsigned",
        false,
        |all| {
            all.remove(&Community::root_signature(1, "alice"));
            all.remove(&Community::root_signature(1, "bob"));
            second(all);
        },
        FRESH,
    ),
    (
        "root-behind-unsigned",
        false,
        |all| {
            all.next_root(&["alice"], |_| ());
            second(all);
        },
        FRESH,
    ),
    (
        "root-proposed-twice",
        false,
        |all| {
            all.next_root(&["alice"], |_| ());
            all.next_root(&["alice"], |_| ());
        },
        MAIN,
    ),
    (
        "root-unsigned-by-those-before",
        false,
        |all| {
            all.next_root(&["carol", "dora", "erin"], |root| {
                root.janitors = ["carol", "dora", "erin"].map(janitor).to_vec();
            });
        },
        FRESH,
    ),
    (
        "root-unsigned-by-its-own",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                root.janitors = ["carol", "dora", "erin"].map(janitor).to_vec();
            });
        },
        FRESH,
    ),
    (
        "honest-root-of-others",
        true,
        |all| {
            let pages = ["alice", "bob"].map(|who| (who, all.pages(who)));
            all.next_root(&["alice", "bob", "dora", "erin"], |root| {
                root.janitors = ["carol", "dora", "erin"].map(janitor).to_vec();
                for (who, pages) in &pages {
                    root.former
                        .push(conex_core::model::statement::FormerJanitor {
                            id: id(who),
                            former: conex_tests::former(who, pages),
                        });
                }
            });
        },
        STRICT,
    ),
    (
        "root-checkpoints-taken-back",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                let key = secret("clock").public_key().clone();
                root.checkpoints.keys.push(key);
                root.checkpoints.required = true;
            });
            all.next_root(&["alice", "bob"], |root| root.checkpoints.required = false);
        },
        FRESH,
    ),
    (
        "root-floor-taken-back",
        false,
        |all| {
            let said = all.present("foo releases", "0.1");
            let floor: Vec<BatchRef> = all.keep(&[said]);
            all.next_root(&["alice", "bob"], |root| root.floor = floor);
            all.next_root(&["alice", "bob"], |root| root.floor.clear());
        },
        FRESH,
    ),
    (
        "root-floor-range",
        false,
        |all| {
            let said = all.present("foo releases", "0.1");
            let named = all.keep(&[said]).remove(0);
            let named = named.to_string().replace("foo foo", "goo goo");
            all.propose_root(|_| ());
            forge(
                all,
                "conex/root/2.toml",
                "\n[[janitors]]",
                &format!("floor = [\n  \"{named}\",\n]\n\n[[janitors]]"),
            );
            all.reread_root();
            all.sign_root("alice");
            all.sign_root("bob");
        },
        FRESH,
    ),
    (
        "root-floor-above",
        false,
        |all| {
            let said = all.present("foo releases", "0.2");
            let floor = all.keep(&[said]);
            all.next_root(&["alice", "bob"], |root| root.floor = floor);
        },
        FRESH,
    ),
    (
        "honest-root-floor",
        true,
        |all| {
            let said = all.present("foo releases", "0.1");
            let floor = all.keep(&[said]);
            all.next_root(&["alice", "bob"], |root| root.floor = floor);
        },
        STRICT,
    ),
    (
        "root-key-small-order",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                root.janitors.push(Janitor {
                    id: id("dora"),
                    keys: vec![small_order()],
                });
            });
        },
        FRESH,
    ),
    (
        "root-key-unknown",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                root.janitors.push(Janitor {
                    id: id("dora"),
                    keys: vec![key_of("ssh-future", &[7; 32])],
                });
            });
        },
        FRESH,
    ),
    (
        "root-signature-of-a-stranger",
        true,
        |all| all.sign_root("mallory"),
        STRICT,
    ),
    (
        "root-signature-under-another-id",
        false,
        |all| {
            let place = Community::root_signature(1, "bob");
            let text = all.read(&place).replace("\"bob\"", "\"mallory\"");
            all.write(&place, text);
        },
        FRESH,
    ),
    (
        "root-signature-malformed-and-bad",
        false,
        |all| {
            let carols = Community::root_signature(1, "carol");
            let text = all.read(&carols) + "x\n";
            all.write(&carols, text);
            // A line of the armour is replaced by that of another signature.
            let alices = all.read(&Community::root_signature(1, "alice"));
            let bobs = Community::root_signature(1, "bob");
            let text = all.read(&bobs);
            let line = |text: &str| text.lines().nth(6).map(str::to_owned).unwrap_or_default();
            let text = text.replace(&line(&text), &line(&alices));
            all.write(&bobs, text);
        },
        FRESH,
    ),
    (
        "root-signatures-without-root",
        false,
        |all| {
            let text = all.read(&Community::root_signature(1, "alice"));
            all.write(&Community::root_signature(3, "alice"), text);
        },
        FRESH,
    ),
    (
        "root-missing-with-signatures",
        false,
        |all| all.remove("conex/root/1.toml"),
        FRESH,
    ),
    (
        "root-malformed",
        false,
        |all| forge(all, "conex/root/1.toml", "quorum = 2", "quorum =  2"),
        FRESH,
    ),
    (
        "root-malformed-between",
        false,
        |all| {
            second(all);
            second(all);
            forge(all, "conex/root/2.toml", "quorum = 2", "quorum =  2");
        },
        FRESH,
    ),
    (
        "root-malformed-behind",
        false,
        |all| {
            second(all);
            forge(all, "conex/root/2.toml", "quorum = 2", "quorum =  2");
        },
        FRESH,
    ),
    (
        "root-newer-behind",
        false,
        |all| {
            second(all);
            forge(all, "conex/root/2.toml", "format = 1", "format = 10");
        },
        FRESH,
    ),
    (
        "root-newer-in-another-spelling",
        false,
        |all| forge(all, "conex/root/1.toml", "format = 1", "format=2"),
        FRESH,
    ),
    (
        "root-number-unknown",
        false,
        |all| {
            let text = all.read("conex/root/1.toml");
            all.write("conex/root/01.toml", text);
        },
        FRESH,
    ),
    (
        "root-is-a-directory",
        false,
        |all| all.write("conex/root/2.toml/x", "x\n"),
        FRESH,
    ),
    (
        "root-signatures-are-a-file",
        false,
        |all| {
            all.remove("conex/root/1");
            all.write("conex/root/1", "x\n");
        },
        FRESH,
    ),
    (
        "root-directory-is-a-file",
        false,
        |all| {
            all.remove("conex/root");
            all.write("conex/root", "x\n");
        },
        FRESH,
    ),
    (
        "metadata-is-a-file",
        false,
        |all| {
            all.remove("conex");
            all.write("conex", "x\n");
        },
        FRESH,
    ),
];
