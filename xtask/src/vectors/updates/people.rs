//! Authors, teams and authorisations.

use conex_tests::{Community, id};

use super::super::repositories::by;
use super::{STRICT, Story, WARN, nothing, older};

/// Adds a second key of dave, approved.
fn key(all: &mut Community) {
    let key = all.proven("dave", "dave#2");
    all.edit_author("dave", |author| author.keys.push(key));
    by(all, "dave");
}

/// Adds erin, who owns nothing.
fn erin(all: &mut Community) {
    all.author("erin");
    by(all, "erin");
}

/// Adds a team of dave and erin.
fn team(all: &mut Community) {
    erin(all);
    all.team("makers", &["dave", "erin"]);
    by(all, "makers");
}

/// Reduces the team to dave.
fn smaller(all: &mut Community) {
    team(all);
    all.edit_team("makers", |team| team.members = vec![id("dave")]);
    by(all, "makers");
}

/// Makes alice an owner of foo, too.
fn owner(all: &mut Community) {
    all.edit_claim("foo", |claim| claim.owners.push(id("alice")));
    by(all, "foo authorisation");
}

pub(super) const PLAIN: &[Story] = &[
    ("author-honest", true, nothing, key, STRICT),
    ("author-new", true, nothing, erin, STRICT),
    ("author-rollback", false, key, older, WARN),
    (
        "author-equivocation",
        false,
        key,
        |all| {
            older(all);
            let key = all.proven("dave", "dave#3");
            all.edit_author("dave", |author| author.keys.push(key));
            by(all, "dave");
        },
        WARN,
    ),
    (
        "author-vanished",
        false,
        erin,
        |all| all.remove("conex/authors/erin.toml"),
        WARN,
    ),
    ("author-vanished-with-pages", false, erin, older, WARN),
    (
        "author-malformed",
        false,
        erin,
        |all| all.write("conex/authors/erin.toml", "id = erin\n"),
        WARN,
    ),
    (
        "author-not-approved",
        false,
        nothing,
        |all| all.author("erin"),
        WARN,
    ),
    (
        "author-takes-key",
        false,
        nothing,
        |all| {
            all.author("erin");
            let key = all.proven("erin", "dave");
            all.edit_author("erin", |author| author.keys.push(key));
            by(all, "erin");
        },
        WARN,
    ),
    (
        "team-honest",
        true,
        team,
        |all| {
            all.edit_team("makers", |team| team.members = vec![id("dave")]);
            by(all, "makers");
        },
        STRICT,
    ),
    (
        "team-rollback",
        false,
        smaller,
        |all| {
            older(all);
            team(all);
        },
        WARN,
    ),
    (
        "team-vanished",
        false,
        team,
        |all| {
            older(all);
            erin(all);
        },
        WARN,
    ),
    (
        "team-loses-an-owner",
        false,
        |all| {
            team(all);
            all.edit_claim("foo", |claim| claim.owners = vec![id("makers")]);
            by(all, "foo authorisation");
            all.release("foo", "2.0", "x\n");
            all.approve("erin", "foo");
        },
        |all| {
            all.edit_team("makers", |team| team.members = vec![id("dave")]);
            by(all, "makers");
        },
        WARN,
    ),
    ("authorisation-honest", true, nothing, owner, STRICT),
    ("authorisation-rollback", false, owner, older, WARN),
    (
        "authorisation-vanished",
        false,
        |all| {
            all.release("new", "1", "x\n");
            all.claim("new", &["dave"]);
            by(all, "new authorisation");
            all.approve("dave", "new");
        },
        |all| {
            older(all);
            all.release("new", "1", "x\n");
            all.approve("carol", "new");
        },
        WARN,
    ),
    (
        "authorisation-new",
        true,
        |all| {
            all.release("new", "1", "x\n");
            all.approve("carol", "new");
        },
        |all| {
            all.claim("new", &["dave"]);
            by(all, "new authorisation");
            let said = ["new releases", "new/1 checksums"].map(|what| all.present(what, "0.1"));
            all.vouch("dave", &said);
        },
        STRICT,
    ),
    (
        "authorisation-new-nobody-vouches",
        false,
        |all| {
            all.release("new", "1", "x\n");
            all.approve("carol", "new");
        },
        |all| {
            all.claim("new", &["dave"]);
            by(all, "new authorisation");
        },
        WARN,
    ),
];
