//! Corners of the rules where an implementation is easily wrong.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use std::fs;
use std::os::unix::fs::symlink;

use conex_core::model::digest::Digest;
use conex_core::model::limits;
use conex_core::model::page::{Batch, Page, PageBody};
use conex_core::model::statement::FormerJanitor;
use conex_core::model::stored::Stored as _;
use conex_core::model::vouch::Vouch;
use conex_core::state::chain::Trust;
use conex_core::tree::problem::Code;
use conex_core::verify::Mode;
use conex_crypto::StandardCrypto;
use conex_repo::DirectoryStore;
use conex_tests::{Community, fingerprint, former, id, janitor, secret, verify, version};

const LAST: &str = "0.18446744073709551615";

/// Design section 3: versions of people and repository files have no epoch that could be raised.
#[test]
fn fast_forward_by_agreeing() {
    for counter in [LAST, "0.18446744073709551614"] {
        let mut community = Community::settled("plain");
        let key = community.proven("dave", "dave#2");
        community.edit_author("dave", |author| author.keys.push(key));
        // The thief vouches for the honest content, in the last version there is.
        let vouch = community.present("dave author", counter);
        community.vouch("carol", &[vouch]);
        community.approve("alice", "dave");
        community.approve_all("bob", |finding| finding.subject.name() == "dave");
        community.verify().accepted();
        let key = community.proven("dave", "dave#3");
        community.edit_author("dave", |author| author.keys.push(key));
        community.approve_by(&["alice", "bob"], "dave");
        community.verify().accepted();
    }
}

#[test]
fn fast_forward_to_the_last_but_one() {
    let mut community = Community::settled("plain");
    let thief = Vouch {
        digest: Digest::from_bytes([0xee; 32]),
        ..community.present("dave author", "0.18446744073709551614")
    };
    community.vouch("carol", &[thief]);
    for key in ["dave#2", "dave#3"] {
        let key = community.proven("dave", key);
        community.edit_author("dave", |author| author.keys.push(key));
        community.approve_by(&["alice", "bob"], "dave");
        community.verify().accepted();
    }
}

/// What is approved, where it stands, and what it does.
type Change = (&'static str, &'static str, fn(&mut Community));

/// Design section 6: on `main`, vouches may run ahead of the data.
#[test]
fn ahead_of_a_person() {
    let changes: [Change; 3] = [
        ("dave", "conex/authors/dave.toml", |all| {
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| author.keys.push(key));
        }),
        ("makers", "conex/teams/makers.toml", |all| {
            all.edit_team("makers", |team| team.members.push(id("alice")));
        }),
        ("foo authorisation", "conex/packages/foo.toml", |all| {
            all.edit_claim("foo", |claim| claim.owners.push(id("erin")));
        }),
    ];
    for (what, place, change) in changes {
        let mut main = Community::settled("plain");
        let before = main.read(place);
        change(&mut main);
        main.approve_by(&["alice", "bob"], what);
        main.write(place, before);
        main.verify_main().accepted().notes(&[(Code::Ahead, place)]);
    }
}

/// Design section 8: `enforce` refuses what nobody approved.
#[test]
fn unsigned_repository_files() {
    let mut community = Community::settled("opam");
    for place in community.pages("alice") {
        if community.read(&place).contains("\". repository") {
            community.remove(&place);
        }
    }
    community.approve("carol", "bar");
    community.write("repo", "redirect: \"https://evil.example\"\n");
    community
        .verify_in(Mode::Enforce)
        .refused_for(Code::Unsigned, "repo");
}

/// Design section 6: the same version approved with two contents is a problem of its own code.
#[test]
fn equivocation_about_absence() {
    for content in ["one\n", "two\n", "three\n", "four\n", "five\n", "six\n"] {
        let mut community = Community::settled("plain");
        community.release("foo", "3.0", content);
        community.approve("dave", "foo");
        let gone = community.gone("foo", "0.2");
        community.vouch("dave", &[gone]);
        community.verify().refused(&[(Code::Equivocation, "foo")]);
        community.remove("foo");
        community.verify().refused(&[(Code::Equivocation, "foo")]);
    }
}

/// Design section 8: only regular files exist.
#[test]
fn special_files_that_are_ignored() {
    let community = Community::settled_by("opam", |root| {
        root.ignore = vec!["notes/*.md".parse().unwrap(), "*.md".parse().unwrap()];
    });
    let directory = tempfile::tempdir().unwrap();
    community.write_to(directory.path()).unwrap();
    fs::create_dir(directory.path().join("notes")).unwrap();
    symlink("/etc/passwd", directory.path().join("notes/a.md")).unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    verify(&store, &community.anchor(), Mode::Warn, false)
        .refused(&[(Code::SpecialFile, "notes/a.md")]);
}

/// Design section 2: one namespace for all ids.
#[test]
fn name_collision_of_team_and_janitor() {
    let mut community = Community::settled("plain");
    community.team("carol", &["dave"]);
    community.approve_by(&["alice", "bob"], "carol");
    community
        .verify()
        .refused(&[(Code::NameCollision, "conex/teams/carol.toml")]);
}

/// Design section 8: no two names equal without case in one namespace.
#[test]
fn name_collision_of_claim_and_tree() {
    let mut community = Community::settled("plain");
    community.claim("Fresh", &["dave"]);
    community.approve_by(&["alice", "bob"], "Fresh authorisation");
    community.verify().accepted();
    community.release("fresh", "1", "not dave's\n");
    let verdict = community.verify();
    assert!(
        verdict.with_code(Code::NameCollision).next().is_some(),
        "{}",
        verdict.told()
    );
}

/// Spec 2.2: a package collides with a claim in another case, also where its own name is claimed, too.
#[test]
fn name_collision_of_two_claims_and_the_tree() {
    let mut community = Community::settled("plain");
    community.release("fresh", "1", "dave's\n");
    community.claim("fresh", &["dave"]);
    community.approve_by(&["alice", "bob"], "fresh authorisation");
    community.approve("dave", "fresh");
    community.verify().accepted();
    community.claim("Fresh", &["dave"]);
    community.approve_by(&["alice", "bob"], "Fresh authorisation");
    community.verify().refused(&[
        (Code::NameCollision, "conex/packages/fresh.toml"),
        (Code::NameCollision, "fresh"),
    ]);
}

#[test]
fn name_collision_at_the_top() {
    for place in ["Conex/1/data", "REPO", "Repo/1/data"] {
        let mut community = Community::settled("plain");
        community.write(place, "x");
        let verdict = community.verify();
        assert!(
            verdict.with_code(Code::NameCollision).next().is_some(),
            "{place}"
        );
    }
}

/// Design section 8: what would mend it, exactly.
#[test]
fn missing_people_and_former_janitors() {
    let mut community = Community::settled_by("plain", |root| root.unclaimed = root.quorum);
    community.release("bar", "0.2", "bar in version 0.2\n");
    community.approve("bob", "bar");
    let pages = community.pages("bob");
    community.next_root(&["alice", "carol"], |root| {
        root.janitors.retain(|janitor| janitor.id != id("bob"));
        root.former.push(FormerJanitor {
            id: id("bob"),
            former: former("bob", &pages),
        });
    });
    let verdict = community.verify();
    verdict.saying(
        Code::ContentDiffers,
        &["1 more of the janitors: alice, carol"],
    );
}

/// A page over its limits cannot be checked, so it is nobody's: refused like any malformed file.
#[test]
fn a_page_over_its_limits() {
    let mut community = Community::settled("plain");
    community.author("mallory");
    community.approve_by(&["alice", "bob"], "mallory");
    let vouch = community.present("foo releases", "0.1");
    let page = community.vouch("mallory", &[vouch]);
    let text = community.read(&page);
    let line = text
        .lines()
        .find(|line| line.contains(" releases "))
        .unwrap();
    let lines: Vec<String> = (1..=limits::VOUCHES + 1)
        .map(|at| line.replace(" 0.1 ", &format!(" 0.{at} ")))
        .collect();
    community.write(&page, text.replace(line, &lines.join("\n")));
    community.verify().refused(&[(Code::Malformed, &page)]);
}

/// Threats: flip any byte of any signed thing.
#[test]
fn arbitrary_content_before_the_anchor() {
    let mut community = Community::settled("plain");
    community.next_root(&["alice", "bob"], |_| ());
    let anchor = Trust::Root(community.root().digest(&StandardCrypto));
    community.verify_from(&anchor).accepted();
    let first = community.read("conex/root/1.toml");
    community.write(
        "conex/root/1.toml",
        first.replace("quorum = 2", "quorum = 3"),
    );
    community
        .verify_from(&anchor)
        .refused(&[(Code::RootChain, "conex/root/2.toml")]);
}

/// Design section 4: janitors rotate keys.
#[test]
fn the_only_janitor_rotates_the_only_key() {
    let mut community = Community::found("plain", |root| {
        root.janitors = vec![janitor("alice")];
        root.quorum = root.upkeep;
    });
    community.release("foo", "1", "x");
    community.verify().accepted();
    community.propose_root(|root| {
        root.janitors[0].keys = vec![secret("alice#2").public_key().clone()];
    });
    community.sign_root("alice");
    community.sign_root("alice#2");
    community.verify().accepted();
}

/// A batch is named once.
#[test]
fn a_batch_named_twice() {
    let community = Community::settled("plain");
    let vouch = |name: &str| community.gone(name, "0.1");
    let batch =
        |names: &[&str]| Batch::new(names.iter().map(|name| vouch(name)).collect()).unwrap();
    let reference = |batch: &Batch| batch.reference(community.origin(), &StandardCrypto);
    let (wide, other) = (batch(&["b", "c"]), batch(&["c"]));
    let page = |batches| PageBody::new(id("alice"), fingerprint("alice"), batches, Vec::new());
    let Ok(page) = page(vec![reference(&wide), reference(&other)])
        .unwrap()
        .sign(community.origin(), &secret("alice"));
    let text = page.to_text();
    // The first batch once more, with another range, behind the second.
    let first = text.lines().find(|line| line.contains("\"b c ")).unwrap();
    let again = first.replace("\"b c ", "\"d e ");
    let doubled = text.replace("]\nsignature", &format!("{again}\n]\nsignature"));
    assert!(Page::from_bytes(doubled.as_bytes()).is_err(), "{doubled}");
}

/// A removal is approved like anything else, with the tools there are.
#[test]
fn a_removal_is_a_finding() {
    let mut community = Community::settled("plain");
    community.remove("foo");
    community.approve("dave", "foo");
    community.verify().accepted();
}

/// Two contents never share a version, if tools choose it.
#[test]
fn versions_go_on_while_a_team_waits() {
    let mut community = Community::settled("plain");
    community.release("lib", "2", "lib in version 2\n");
    community.edit_team("makers", |team| team.members.push(id("carol")));
    community.approve("erin", "lib");
    community.approve_by(&["alice", "bob"], "makers");
    community.verify().accepted();
}

/// A thief who runs counters must not decide how far they are; nor must who reads them overflow.
#[test]
fn counters_end_without_a_fault() {
    let mut community = Community::settled("plain");
    for what in [
        "foo releases",
        "foo/1.0 checksums",
        "dave author",
        ". repository",
    ] {
        let vouch = community.present(what, LAST);
        community.vouch("dave", core::slice::from_ref(&vouch));
        community.vouch("carol", &[vouch]);
    }
    community.verify().accepted();
    assert_eq!(version(LAST).next(), None);
}

/// Threats, limit-denial: void is the one who published too much, not whoever is buried in junk.
#[test]
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
fn a_new_epoch_is_no_removal() {
    let mut community = Community::settled("plain");
    community.edit_claim("foo", |claim| claim.epoch = 1);
    community.approve_by(&["alice", "bob"], "foo authorisation");
    community.remove("foo");
    let verdict = community.verify_in(Mode::Enforce);
    assert!(verdict.verified().is_none(), "{}", verdict.told());
}

/// Design section 3: accepted pages of a retired author go on counting, for the teams they are in.
#[test]
fn accepted_pages_of_a_retired_author() {
    let mut community = Community::settled("plain");
    community.release("lib", "2", "lib in version 2\n");
    community.approve("erin", "lib");
    community.verify().accepted();
    let pages = community.pages("erin");
    community.edit_author("erin", |author| {
        author.keys.clear();
        author.former = vec![former("erin", &pages)];
        author.retired = true;
    });
    community.approve_by(&["alice", "bob"], "erin");
    community.verify().accepted();
    // Without being accepted they count for nothing.
    community.edit_author("erin", |author| author.former = vec![former("erin", &[])]);
    community.approve_by(&["alice", "bob"], "erin");
    community.verify().refused_for(Code::NotApproved, "lib");
}

/// Design section 8: no two names equal without case, directories of a release among them.
#[test]
fn name_collision_of_directories() {
    let mut community = Community::settled("plain");
    community.write("foo/1.0/files/A/x", "x");
    community.approve("dave", "foo");
    community.verify().accepted();
    community.write("foo/1.0/files/a/y", "y");
    community
        .verify()
        .refused_for(Code::NameCollision, "foo/1.0/files/a/y");
}

/// Design section 6: content of the past comes back in a greater version, if somebody asks for it.
#[test]
fn content_of_the_past_comes_back_in_a_greater_version() {
    let mut community = Community::settled("plain");
    community.release("foo", "3.0", "x");
    community.approve("dave", "foo");
    community.verify().accepted();
    community.remove("foo/3.0");
    community.verify().refused(&[(Code::Behind, "foo")]);
    community.restore("dave", "foo");
    community.verify().accepted();
}
