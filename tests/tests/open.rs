//! What the rules say and the code does not do yet: each test fails, and is ignored until it does not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use conex_core::limits;
use conex_core::problem::Code;
use conex_core::verify::Mode;
use conex_tests::{Community, former, id, janitor};

/// Threats, limit-denial: void is the one who published too much, not whoever is buried in junk.
#[test]
#[ignore = "open: a file that nobody signed voids the janitor in whose directory it is, with a note"]
fn junk_voids_nobody() {
    let honest = Community::hamlet("plain");
    for (place, text) in [
        ("conex/index/carol/junk.toml", "x".repeat(2 << 20)),
        ("conex/index/alice/junk.toml", "x".repeat(2 << 20)),
    ] {
        let mut community = honest.clone();
        community.write(place, text);
        community.verify().refused(&[(Code::TooLarge, place)]);
    }
    let mut community = honest;
    for at in 0..=limits::PAGES {
        community.write(&format!("conex/index/carol/{at}.toml"), "junk");
    }
    assert!(community.verify().verified().is_none());
}

/// Design section 3: names are for ever; once claimed, always claimed.
#[test]
#[ignore = "open: on a main line a claim may be deleted, and one janitor then approves the source"]
fn a_claim_is_not_deleted_on_a_main_line() {
    let mut community = Community::hamlet("plain");
    community.remove("conex/packages/foo.toml");
    community.release("foo", "1.0", "not dave's\n");
    community.approve("carol", "foo");
    let verdict = community.verify_main();
    assert!(verdict.verified().is_none(), "{}", verdict.told());
}

/// Design section 8: all problems.
#[test]
#[ignore = "open: roots behind one that waits for signatures are not looked at"]
fn roots_behind_a_proposed_one() {
    let mut community = Community::hamlet("plain");
    community.next_root(&["alice"], |root| root.complete = true);
    community.next_root(&["mallory"], |root| {
        root.janitors = vec![janitor("mallory")];
        root.quorum = root.upkeep;
    });
    let verdict = community.verify_main();
    assert!(verdict.verified().is_none(), "{}", verdict.told());
}

/// Design section 5: a key belongs to whoever proves to hold it.
#[test]
#[ignore = "open: listing somebody's key, without any proof, takes it from them"]
fn a_key_is_disputed_by_its_holder_only() {
    let mut community = Community::hamlet("plain");
    community.author("erin");
    community.edit_author("erin", |author| author.former = vec![former("dave", &[])]);
    community.approve_by(&["alice", "bob"], "erin");
    // It is refused; but dave's pages go on counting.
    community
        .verify()
        .refused(&[(Code::SharedKey, "conex/authors/erin.toml")]);
}

/// Design section 8: a package with any approved statement is always held to them.
#[test]
#[ignore = "open: a claimed package is absent unnoticed while nothing is approved in a new epoch"]
fn a_new_epoch_is_no_removal() {
    let mut community = Community::settled("plain");
    community.edit_claim("foo", |claim| claim.epoch = 1);
    community.approve_by(&["alice", "bob"], "foo authorisation");
    community.remove("foo");
    let verdict = community.verify_in(Mode::Enforce);
    assert!(verdict.verified().is_none(), "{}", verdict.told());
}

/// Design section 3: accepted pages of a retired author go on counting.
#[test]
#[ignore = "open: who retires is no owner any more, so that accepted pages count nowhere"]
fn accepted_pages_of_a_retired_author() {
    let mut community = Community::hamlet("plain");
    let pages = community.pages("dave");
    community.edit_author("dave", |author| {
        author.keys.clear();
        author.former = vec![former("dave", &pages)];
        author.retired = true;
    });
    community.approve_by(&["alice", "bob"], "dave");
    // The owner is replaced as the rules demand; what dave approved stays approved.
    community.edit_claim("foo", |claim| claim.owners = vec![id("alice")]);
    community.approve_by(&["alice", "bob"], "foo authorisation");
    community.verify().accepted();
}
