//! Retirement and epochs, which end something for ever.

use conex_tests::{Community, former, id};

use super::super::repositories::by;
use super::{STRICT, Story, WARN, nothing, older};

/// Retires erin.
fn retired_author(all: &mut Community) {
    all.author("erin");
    by(all, "erin");
    all.edit_author("erin", |author| {
        author.keys.clear();
        author.former = vec![former("erin", &[])];
        author.retired = true;
    });
    by(all, "erin");
}

/// Retires a team.
fn retired_team(all: &mut Community) {
    all.team("makers", &["dave"]);
    by(all, "makers");
    all.edit_team("makers", |team| team.retired = true);
    by(all, "makers");
}

/// Retires foo, and adds another package.
fn retired_package(all: &mut Community) {
    all.release("new", "1", "x\n");
    all.approve("carol", "new");
    all.edit_claim("foo", |claim| claim.retired = true);
    by(all, "foo authorisation");
    all.remove("foo");
}

/// Raises the epoch of foo, and approves its content in it.
fn raised(all: &mut Community) {
    all.edit_claim("foo", |claim| claim.epoch = 1);
    by(all, "foo authorisation");
    all.approve("dave", "foo");
}

/// Has a quorum approve again what it approved before.
fn again(all: &mut Community, what: &str) {
    let vouch = all.present(what, "0.3");
    for who in ["alice", "bob"] {
        all.vouch(who, core::slice::from_ref(&vouch));
    }
}

pub(super) const PLAIN: &[Story] = &[
    (
        "retired-author",
        true,
        |all| {
            all.author("erin");
            by(all, "erin");
        },
        |all| {
            all.edit_author("erin", |author| {
                author.keys.clear();
                author.former = vec![former("erin", &[])];
                author.retired = true;
            });
            by(all, "erin");
        },
        STRICT,
    ),
    (
        "retired-author-revived",
        false,
        retired_author,
        |all| {
            let key = all.proven("erin", "erin#2");
            all.edit_author("erin", |author| {
                author.keys = vec![key];
                author.retired = false;
            });
            by(all, "erin");
        },
        WARN,
    ),
    (
        "retired-team",
        true,
        |all| {
            all.team("makers", &["dave"]);
            by(all, "makers");
        },
        |all| {
            all.edit_team("makers", |team| team.retired = true);
            by(all, "makers");
        },
        STRICT,
    ),
    (
        "retired-team-revived",
        false,
        retired_team,
        |all| {
            all.edit_team("makers", |team| team.retired = false);
            again(all, "makers team");
        },
        WARN,
    ),
    ("retired-package", true, nothing, retired_package, STRICT),
    (
        "retired-package-revived",
        false,
        retired_package,
        |all| {
            all.edit_claim("foo", |claim| claim.retired = false);
            again(all, "foo authorisation");
            all.release("foo", "1.0", "Some data.\n");
            all.approve_all("dave", |finding| finding.subject.name() == "foo");
        },
        WARN,
    ),
    (
        "retired-package-back",
        false,
        retired_package,
        |all| {
            all.release("foo", "1.0", "Some data.\n");
        },
        WARN,
    ),
    (
        "retired-package-rollback",
        false,
        retired_package,
        older,
        WARN,
    ),
    ("epoch-raised", true, nothing, raised, STRICT),
    (
        "epoch-raised-alone",
        false,
        nothing,
        |all| {
            all.edit_claim("foo", |claim| claim.epoch = 1);
            by(all, "foo authorisation");
        },
        WARN,
    ),
    ("epoch-raised-rollback", false, raised, older, WARN),
    // Counters that a thief ran to the end of an epoch begin again in a new one.
    (
        "epoch-raised-from-the-end",
        true,
        |all| {
            let last = "0.18446744073709551615";
            let said = ["foo releases", "foo/1.0 checksums"].map(|what| all.present(what, last));
            all.vouch("dave", &said);
        },
        raised,
        STRICT,
    ),
    (
        "epoch-lowered",
        false,
        raised,
        |all| {
            all.edit_claim("foo", |claim| claim.epoch = 0);
            let vouch = all.present("foo authorisation", "0.9");
            for who in ["alice", "bob"] {
                all.vouch(who, core::slice::from_ref(&vouch));
            }
        },
        WARN,
    ),
    (
        "owner-retires",
        false,
        nothing,
        |all| {
            let pages = all.pages("dave");
            all.edit_author("dave", |author| {
                author.keys.clear();
                author.former = vec![former("dave", &pages)];
                author.retired = true;
            });
            by(all, "dave");
        },
        WARN,
    ),
    (
        "owner-hands-over-and-retires",
        true,
        nothing,
        |all| {
            all.edit_claim("foo", |claim| claim.owners = vec![id("janitors")]);
            by(all, "foo authorisation");
            let said = ["foo releases", "foo/1.0 checksums"].map(|what| all.present(what, "0.1"));
            all.vouch("carol", &said);
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
];
