//! What anybody can merge, and what clients get all the same (spec section 11.1): nobody stops the
//! others, and what is left out is named.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use conex_core::model::digest::Digest;
use conex_core::model::limits;
use conex_core::model::page::PageBody;
use conex_core::model::vouch::Vouch;
use conex_core::tools::advance::{Advanced, Unit};
use conex_core::tree::problem::{Code, Problem};
use conex_tests::{
    Community, Pilot, cases, fingerprint, former, id, opam_file, path, subject, version, waits,
};

use proptest::prelude::*;

/// A community in which everything is approved, and the branch beside it.
fn settled() -> (Community, Pilot) {
    let community = Community::settled("opam");
    let pilot = Pilot::of(&community);
    (community, pilot)
}

fn opam(build: &str) -> String {
    opam_file("4.14", build)
}

/// Something honest, to see whether it goes ahead.
fn honest(main: &mut Community) {
    main.release("bar", "0.2", &opam("two"));
    main.approve("alice", "bar");
}

#[track_caller]
fn goes_ahead(pilot: &Pilot) {
    let signed = &pilot.signed.tree;
    assert!(signed.get("packages/bar/bar.0.2/opam").is_some());
}

/// The problems that something waits for.
fn problems_of(advanced: &Advanced, unit: &Unit) -> Vec<Problem> {
    let waiting = advanced.waiting.iter().filter(|it| it.unit == *unit);
    waiting.flat_map(|it| it.problems.clone()).collect()
}

/// Root 2 revokes dave's key; the thief publishes with it, and merges what goes with that.
fn stolen() -> (Community, Pilot, String) {
    let (mut main, pilot) = settled();
    let mut thief = main.clone();
    main.next_root(&["alice", "bob"], |root| {
        root.revoked = vec![fingerprint("dave")];
    });
    thief.release("foo", "6.6", &opam("evil"));
    let page = thief.approve("dave", "foo");
    main.write(&page, thief.read(&page));
    main.release("foo", "6.6", &opam("evil"));
    (main, pilot, page)
}

#[test]
fn only_an_approved_author_accepts_pages_of_a_revoked_key() {
    let (mut main, mut pilot, page) = stolen();
    let mut pages = main.pages("dave");
    pages.sort();
    let key = main.proven("dave", "dave#2");
    main.edit_author("dave", |author| {
        author.keys = vec![key];
        author.former = vec![former("dave", &pages)];
    });
    let advanced = pilot.advance(&main);
    assert!(waits(&advanced).contains(&page), "{advanced:#?}");
    assert!(pilot.signed.tree.get(&page).is_none());
    assert!(pilot.signed.tree.get("packages/foo/foo.6.6/opam").is_none());
    // The honest twin: a quorum says that these pages were made before the theft.
    main.approve_by(&["alice", "bob"], "dave");
    let advanced = pilot.advance(&main);
    assert!(advanced.waiting.is_empty(), "{advanced:#?}");
    assert_eq!(pilot.signed.tree, main.tree);
}

#[test]
fn a_page_is_accepted_for_its_signer_and_key_only() {
    let (mut main, mut pilot, page) = stolen();
    let key = main.proven("erin", "erin#2");
    let mut pages = main.pages("erin");
    pages.push(page.clone());
    main.edit_author("erin", |author| {
        author.keys = vec![key];
        author.former = vec![former("erin", &pages)];
    });
    main.approve_by(&["alice", "bob"], "erin");
    let advanced = pilot.advance(&main);
    assert!(waits(&advanced).contains(&page), "{advanced:#?}");
    assert!(pilot.signed.tree.get(&page).is_none());
    assert!(!waits(&advanced).contains(&"erin".into()), "{advanced:#?}");
}

#[test]
fn a_page_of_a_revoked_janitor_is_accepted_by_the_root_only() {
    let (mut main, mut pilot) = settled();
    main.release("bar", "0.2", &opam("two"));
    let page = main.approve("alice", "bar");
    let pages: Vec<String> = main.pages("alice");
    let mut twin = main.clone();
    let lists = |pages: Vec<String>| {
        move |root: &mut conex_core::model::statement::RootFields| {
            root.revoked = vec![fingerprint("alice")];
            root.janitors.retain(|it| it.id.as_str() != "alice");
            root.former = vec![conex_core::model::statement::FormerJanitor {
                id: id("alice"),
                former: former("alice", &pages),
            }];
        }
    };
    let old: Vec<String> = pages.iter().filter(|it| **it != page).cloned().collect();
    main.next_root(&["bob", "carol"], lists(old));
    let advanced = pilot.clone().advance(&main);
    assert!(waits(&advanced).contains(&page), "{advanced:#?}");
    twin.next_root(&["bob", "carol"], lists(pages));
    let advanced = pilot.advance(&twin);
    assert!(advanced.waiting.is_empty(), "{advanced:#?}");
    goes_ahead(&pilot);
}

#[test]
fn a_root_that_waits_says_for_whose_approval_of_what() {
    let (mut main, mut pilot) = settled();
    main.next_root(&["alice", "bob"], |root| {
        root.revoked = vec![fingerprint("dave")];
    });
    // A stranger's edit of what rests on the stolen key.
    main.release("foo", "1.0", &opam("stranger"));
    honest(&mut main);
    let advanced = pilot.advance(&main);
    goes_ahead(&pilot);
    let told = problems_of(&advanced, &Unit::Root);
    let about = |what: &str| {
        let found = told.iter().find(|problem| {
            let subject = problem.subject.as_ref().map(ToString::to_string);
            subject.as_deref() == Some(what)
        });
        found.unwrap_or_else(|| panic!("nothing of {what}: {advanced:#?}"))
    };
    for what in ["foo releases", "foo/1.0 checksums", "foo/2.0 checksums"] {
        assert!(about(what).missing.is_some(), "{told:#?}");
    }
}

#[test]
fn a_root_waits_for_what_it_says_must_not_fall_and_for_nothing_else() {
    let (mut main, mut pilot) = settled();
    let adopted = [
        main.present("foo releases", "0.2"),
        main.present("foo/1.0 checksums", "0.2"),
        main.present("foo/2.0 checksums", "0.3"),
    ];
    let lower = main.present("foo/2.0 checksums", "0.2");
    let floor = main.keep(&adopted);
    main.next_root(&["alice", "bob"], |root| {
        root.revoked = vec![fingerprint("dave")];
        root.floor = floor;
    });
    // All of it is adopted, but some in a lower version; and something that the root does not speak of is junk.
    for who in ["alice", "bob"] {
        main.vouch(
            who,
            &[adopted[0].clone(), adopted[1].clone(), lower.clone()],
        );
    }
    main.release("lib", "1", &opam("stranger"));
    honest(&mut main);
    let advanced = pilot.advance(&main);
    goes_ahead(&pilot);
    assert_eq!(pilot.signed.record.head().number.as_u32(), 1);
    let told = problems_of(&advanced, &Unit::Root);
    let about = |problem: &&Problem| problem.subject == Some(subject("foo/2.0 checksums"));
    assert!(told.iter().any(|it| about(&it)), "{advanced:#?}");
    main.vouch("bob", &adopted[2..]);
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["lib"], "{advanced:#?}");
    assert_eq!(pilot.signed.record.head().number.as_u32(), 2);
}

#[test]
fn an_unapproved_edit_holds_no_revocation_back() {
    let (mut main, mut pilot) = settled();
    let before = main.clone();
    main.next_root(&["alice", "bob"], |root| {
        root.revoked = vec![fingerprint("dave")];
    });
    let adopted = [
        main.present("foo releases", "0.2"),
        main.present("foo/1.0 checksums", "0.2"),
        main.present("foo/2.0 checksums", "0.2"),
    ];
    for who in ["alice", "bob"] {
        main.vouch(who, &adopted);
    }
    main.release("foo", "1.0", &opam("stranger"));
    main.release("foo", "6.6", &opam("stranger"));
    main.remove("packages/foo/foo.2.0");
    main.release("lib", "1", &opam("stranger"));
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["foo", "lib"], "{advanced:#?}");
    assert_eq!(pilot.signed.record.head().number.as_u32(), 2);
    for file in ["packages/foo/foo.1.0/opam", "packages/foo/foo.2.0/opam"] {
        assert_eq!(pilot.signed.tree.get(file), before.tree.get(file));
    }
}

#[test]
fn what_waits_under_a_root_is_asked_again_without_it() {
    let (mut main, mut pilot) = settled();
    // Erin leaves with root 2, which waits for what rests on dave. Until then she publishes.
    main.release("lib", "2", &opam("two"));
    let page = main.approve("erin", "lib");
    main.next_root(&["alice", "bob"], |root| {
        root.unclaimed = root.quorum;
        root.upkeep = root.quorum;
        root.revoked = vec![fingerprint("dave")];
    });
    honest(&mut main);
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["root"], "{advanced:#?}");
    assert!(pilot.signed.tree.get(&page).is_some());
    goes_ahead(&pilot);
}

#[test]
fn names_equal_without_case_keep_nobody_from_advancing() {
    let junk = [
        &["packages/Foo/Foo.1/opam"][..],
        &["packages/foo/foo.1.0+A/opam", "packages/foo/foo.1.0+a/opam"],
        &["packages/New/New.1/opam", "packages/new/new.1/opam"],
        &["packages/BAR/BAR.0.2/opam"],
        &["readme.md"],
        &["README.MD"],
        &["Conex.md", "conex.md"],
        &["REPO"],
        &["Packages/x"],
        &["CONEX/x"],
        &["Docs.md", "docs.md"],
        &["conex/authors/Dave.toml"],
        &["conex/packages/Foo.toml"],
        &["conex/Root/2.toml"],
        &[
            "packages/foo/foo.1.0/files/a",
            "packages/foo/foo.1.0/files/A",
        ],
    ];
    for names in junk {
        let (mut main, mut pilot) = settled();
        for name in names {
            main.write(name, opam("junk"));
        }
        honest(&mut main);
        let advanced = pilot.advance(&main);
        goes_ahead(&pilot);
        assert!(!advanced.waiting.is_empty(), "{names:?}");
        for name in names {
            assert!(pilot.signed.tree.get("README.md").is_some());
            let signed = pilot.signed.tree.get(name);
            assert!(signed.is_none() || is_free(name), "{name}");
        }
    }
}

/// Of two new names that only case tells apart one may go ahead, if nobody has to approve it.
fn is_free(name: &str) -> bool {
    ["Conex.md", "conex.md", "Docs.md", "docs.md"].contains(&name)
        || name.starts_with("packages/New/")
}

#[test]
fn of_two_names_equal_without_case_the_approved_one_goes_ahead() {
    // The ignored or unsigned one was there first, or comes in the same step.
    for first in [true, false] {
        let (mut main, _) = settled();
        let before = main.clone();
        main.write("packages/NEW/NEW.1/opam", opam("squatter"));
        main.verify().accepted();
        let mut pilot = Pilot::of(if first { &main } else { &before });
        main.remove("packages/NEW");
        main.release("new", "1", &opam("one"));
        main.approve("alice", "new");
        main.write("packages/NEW/NEW.1/opam", opam("squatter"));
        honest(&mut main);
        let advanced = pilot.advance(&main);
        goes_ahead(&pilot);
        assert_eq!(waits(&advanced), ["NEW"], "{advanced:#?}");
        let told = problems_of(&advanced, &Unit::Package(conex_tests::package("NEW")));
        assert_eq!(told[0].code, Code::NameCollision, "{told:#?}");
        let signed = &pilot.signed.tree;
        assert!(signed.get("packages/new/new.1/opam").is_some());
        assert!(signed.get("packages/NEW/NEW.1/opam").is_none());
    }
}

/// Of two claims on one name in two cases the one that clients have stays, whoever approves the other, and nobody else waits.
#[test]
fn a_claim_on_a_claimed_name_in_another_case_waits_alone() {
    // In the order of names, the claim that is there comes first once and last once.
    for name in ["FOO", "foo-X"] {
        let (mut main, mut pilot) = settled();
        if name == "foo-X" {
            main.claim("foo-x", &["dave"]);
            main.approve_by(&["alice", "bob"], "foo-x authorisation");
            pilot.advance(&main);
            assert!(pilot.signed.tree.get("conex/packages/foo-x.toml").is_some());
        }
        main.claim(name, &["carol"]);
        main.approve_by(&["alice", "bob"], &format!("{name} authorisation"));
        honest(&mut main);
        let advanced = pilot.advance(&main);
        goes_ahead(&pilot);
        let claim = format!("conex/packages/{name}.toml");
        assert!(pilot.signed.tree.get(&claim).is_none());
        let waits = advanced.waiting.iter();
        assert!(
            waits
                .flat_map(|it| &it.problems)
                .any(|it| *it.place == *claim)
        );
    }
}

#[test]
fn of_two_releases_equal_without_case_the_approved_one_goes_ahead() {
    let (mut main, mut pilot) = settled();
    main.release("foo", "3.0a", &opam("three"));
    main.approve("dave", "foo");
    let honest = main.clone();
    main.release("foo", "3.0A", &opam("squatter"));
    main.release("foo", "2.0", &opam("squatter"));
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["foo"], "{advanced:#?}");
    assert_eq!(pilot.signed.tree, honest.tree);
}

#[test]
fn a_file_that_becomes_a_directory_keeps_nobody_from_advancing() {
    let turned = [
        ("packages/foo/foo.1.0/opam", "packages/foo/foo.1.0/opam/x"),
        ("packages/foo/foo.1.0/opam", "packages/foo/foo.1.0"),
        ("packages/foo/foo.1.0/opam", "packages/foo"),
        ("README.md", "README.md/x"),
        ("README.md", "README.md/x.md"),
        ("repo", "repo/x"),
        ("repo", "repo/x.md"),
        ("conex/authors/dave.toml", "conex/authors/dave.toml/x"),
        ("conex/root/1.toml", "conex/root/1.toml/x"),
        (
            "conex/packages/foo.toml",
            "conex/packages/foo.toml/foo.toml",
        ),
        ("docs/a", "docs/a/b"),
        ("docs/a/b", "docs/a"),
        ("docs/a/b", "docs"),
        ("docs/a/b.md", "docs/a"),
    ];
    for (before, after) in turned {
        let (mut main, _) = settled();
        if main.tree.get(before).is_none() {
            main.write(before, "x");
            main.verify().accepted();
        }
        let mut pilot = Pilot::of(&main);
        honest(&mut main);
        let below = before.rsplit_once('/').map_or("", |it| it.0);
        let gone = if after.starts_with(before) {
            before
        } else {
            after
        };
        assert!(below.starts_with(after) || after.starts_with(before));
        main.remove(gone);
        main.write(after, opam("junk"));
        let advanced = pilot.advance(&main);
        assert!(
            pilot.signed.tree.get("packages/bar/bar.0.2/opam").is_some(),
            "{before} {after}: {advanced:#?}"
        );
        let is_taken = pilot.signed.tree.get(after) == main.tree.get(after);
        assert!(is_taken || !advanced.waiting.is_empty(), "{before} {after}");
    }
}

#[test]
fn a_whole_directory_of_metadata_that_becomes_a_file_keeps_nobody_from_advancing() {
    for directory in [
        "conex/authors",
        "conex/teams",
        "conex/packages",
        "conex/batches",
        "conex/index/dave",
        "conex/root/1",
        "packages/foo",
    ] {
        let (mut main, mut pilot) = settled();
        honest(&mut main);
        if main
            .tree
            .files()
            .any(|(file, _)| file.starts_with(directory))
        {
            main.remove(directory);
        }
        main.write(directory, "junk");
        let advanced = pilot.advance(&main);
        assert!(
            pilot.signed.tree.get("packages/bar/bar.0.2/opam").is_some(),
            "{directory}: {advanced:#?}"
        );
        assert!(
            waits(&advanced)
                .iter()
                .any(|it| it.contains(directory) || directory.contains(it.as_str())),
            "{directory}: {advanced:#?}"
        );
    }
}

#[test]
fn pages_of_others_in_a_directory_count_against_nobody() {
    let (mut main, mut pilot) = settled();
    honest(&mut main);
    // Nobody has to approve mallory for her key to be readable.
    main.author("mallory");
    for number in 0..=limits::PAGES {
        let mut vouch = main.gone("foo", &format!("0.{}", number + 1));
        vouch.digest = Digest::parse(&format!("{number:064x}")).unwrap();
        let body = PageBody::new(id("alice"), fingerprint("mallory"), Vec::new(), vec![vouch]);
        main.publish("mallory", body.unwrap());
    }
    let advanced = pilot.advance(&main);
    goes_ahead(&pilot);
    assert!(waits(&advanced).len() > limits::PAGES);
}

#[test]
fn a_wrong_signature_of_a_root_holds_nobody_up() {
    let (mut main, mut pilot) = settled();
    let mut rival = main.clone();
    main.next_root(&["alice", "bob"], |root| root.complete = true);
    // Carol signed another root 2; and root 1 as it never was.
    rival.next_root(&["carol"], |root| root.unclaimed = root.quorum);
    let wrong = Community::root_signature(2, "carol");
    main.write(&wrong, rival.read(&wrong));
    let first = Community::root_signature(1, "alice");
    let text = main.read(&first);
    main.write(&first, rival.read(&wrong).replace("carol", "alice"));
    honest(&mut main);
    let advanced = pilot.advance(&main);
    goes_ahead(&pilot);
    assert_eq!(
        pilot.signed.record.head().number.as_u32(),
        2,
        "{advanced:#?}"
    );
    assert!(pilot.signed.tree.get(&wrong).is_none());
    assert!(waits(&advanced).contains(&wrong), "{advanced:#?}");
    assert_eq!(pilot.signed.tree.get(&first), Some(text.as_bytes()));
    // The honest twin.
    main.write(&first, text);
    main.sign_root("carol");
    assert!(pilot.advance(&main).waiting.is_empty());
    assert!(pilot.signed.tree.get(&wrong).is_some());
}

#[test]
fn junk_among_the_roots_holds_no_root_up() {
    let junk = [
        "conex/root/9.toml",
        "conex/root/3.toml",
        "conex/root/x.toml",
        "conex/root/2/x",
        "conex/root/2/mallory-0123456789abcdef.toml",
        "conex/root/7/x",
        "conex/root/README",
    ];
    for name in junk {
        let (mut main, mut pilot) = settled();
        honest(&mut main);
        main.next_root(&["alice", "bob"], |root| root.complete = true);
        let text = main.read("conex/root/2.toml");
        let text = text.replace("number = 2", "number = 9");
        main.write(name, text);
        let advanced = pilot.advance(&main);
        goes_ahead(&pilot);
        assert_eq!(pilot.signed.record.head().number.as_u32(), 2, "{name}");
        assert!(pilot.signed.tree.get(name).is_none());
        let names: Vec<String> = waits(&advanced);
        assert!(
            names.iter().any(|it| it == name || it == "root"),
            "{name}: {advanced:#?}"
        );
        main.remove(name);
        assert!(pilot.advance(&main).waiting.is_empty(), "{name}");
    }
}

#[test]
fn roots_that_clients_have_stay_whatever_becomes_of_them() {
    for edited in [true, false] {
        let (mut main, mut pilot) = settled();
        honest(&mut main);
        main.next_root(&["alice", "bob"], |root| root.complete = true);
        let first = main.read("conex/root/1.toml");
        if edited {
            main.write(
                "conex/root/1.toml",
                first.replace("unclaimed = 1", "unclaimed = 2"),
            );
        } else {
            main.remove("conex/root/1.toml");
        }
        let advanced = pilot.advance(&main);
        goes_ahead(&pilot);
        assert_eq!(
            pilot.signed.record.head().number.as_u32(),
            2,
            "{advanced:#?}"
        );
        assert_eq!(
            pilot.signed.tree.get("conex/root/1.toml"),
            Some(first.as_bytes())
        );
        assert!(waits(&advanced).contains(&"root".into()), "{advanced:#?}");
    }
}

#[test]
fn what_is_left_out_is_named() {
    let junk = [
        "conex/rootkit.toml",
        "conex/root.toml",
        "conex/x/y",
        "conex/index/x",
        "conex/index/alice/x.toml",
        "conex/batches/x",
        "conex/authors/x.y/z",
        "conex/teams/x.txt",
        "conex/.gitattributes",
        "packages/x",
        "packages/foo/x",
        "packages/x/y",
        "x/y",
    ];
    for name in junk {
        let (mut main, mut pilot) = settled();
        main.write(name, "junk");
        honest(&mut main);
        let advanced = pilot.advance(&main);
        goes_ahead(&pilot);
        let names = waits(&advanced);
        assert!(
            names.iter().any(|it| it == name) || names == ["foo"] || names == ["x"],
            "{name}: {names:?}"
        );
        assert_ne!(pilot.signed.tree.get(name), Some(&b"junk"[..]));
    }
}

#[test]
fn what_is_gone_and_stays_is_named() {
    let (mut main, mut pilot) = settled();
    honest(&mut main);
    let page = main.pages("dave")[0].clone();
    for gone in [
        "conex/authors/erin.toml",
        "conex/root/1.toml",
        "repo",
        &page,
    ] {
        main.remove(gone);
    }
    let advanced = pilot.advance(&main);
    goes_ahead(&pilot);
    let names = waits(&advanced);
    for name in ["conex/authors/erin.toml", "root", "repository", &page] {
        assert!(names.iter().any(|it| it == name), "{name}: {advanced:#?}");
    }
    let told = problems_of(&advanced, &Unit::Page(path(&page)));
    assert_eq!(told[0].code, Code::Vanished);
}

#[test]
fn unapproved_deletions_freeze_no_approved_change() {
    let (mut main, _) = settled();
    for number in 10..30 {
        main.release("foo", &format!("{number}"), &opam("x"));
    }
    main.approve("dave", "foo");
    let mut pilot = Pilot::of(&main);
    // Dave removes two releases, changes one and adds two.
    let mut daves = main.clone();
    let (new, gone) = (["30", "31"], ["10", "11"]);
    for name in gone {
        daves.remove(&format!("packages/foo/foo.{name}"));
    }
    for name in new {
        daves.release("foo", name, &opam("new"));
    }
    daves.release("foo", "12", &opam("changed"));
    let mut vouches = vec![
        daves.present("foo releases", "0.3"),
        daves.present("foo/12 checksums", "0.2"),
        daves.present("foo/30 checksums", "0.1"),
        daves.present("foo/31 checksums", "0.1"),
    ];
    for name in gone {
        vouches.push(main.release_gone("foo", name, "0.2"));
    }
    vouches.sort();
    let page = daves.vouch("dave", &vouches);
    let honest = daves.clone();
    // A stranger removes eight others, adds some and edits some.
    let mut main = daves;
    for number in 13..21 {
        main.remove(&format!("packages/foo/foo.{number}"));
    }
    for number in 40..48 {
        main.release("foo", &number.to_string(), &opam("evil"));
    }
    main.release("foo", "22", &opam("evil"));
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["foo"], "{advanced:#?}");
    assert!(pilot.signed.tree.get(&page).is_some());
    assert_eq!(pilot.signed.tree, honest.tree);
}

#[test]
fn removals_without_an_approved_absence_are_found_step_by_step() {
    let (mut main, _) = settled();
    for number in 10..30 {
        main.release("foo", &format!("{number}"), &opam("x"));
    }
    main.approve("dave", "foo");
    let mut pilot = Pilot::of(&main);
    // Four changes, each with a vouch for the releases as they are after it.
    for number in 10..14 {
        main.remove(&format!("packages/foo/foo.{number}"));
        main.approve("dave", "foo");
    }
    main.release("foo", "30", &opam("new"));
    main.approve("dave", "foo");
    let honest = main.clone();
    for number in 14..24 {
        main.remove(&format!("packages/foo/foo.{number}"));
    }
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["foo"], "{advanced:#?}");
    assert_eq!(pilot.signed.tree, honest.tree);
}

#[test]
fn of_two_votes_for_one_version_the_one_for_nothing_goes_first() {
    let (mut main, mut pilot) = settled();
    main.release("lib", "2", &opam("two"));
    let good = main.approve("erin", "lib");
    // Dave, an owner too, says something else in the same version, and more of it.
    let mut vouches = vec![main.gone("lib", "0.2")];
    vouches[0].digest = Digest::parse(&"7".repeat(64)).unwrap();
    for number in 0..20 {
        let mut vouch = main.release_gone("lib", &format!("x{number}"), "0.1");
        vouch.digest = vouches[0].digest;
        vouches.push(vouch);
    }
    vouches.sort();
    let bad = main.vouch("dave", &vouches);
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), [bad.as_str()], "{advanced:#?}");
    assert!(pilot.signed.tree.get(&good).is_some());
    assert!(pilot.signed.tree.get("packages/lib/lib.2/opam").is_some());
}

/// Something that anybody can merge who finds somebody to merge it.
#[derive(Debug, Clone)]
enum Hostile {
    Write(usize),
    Remove(usize),
    IntoDirectory(usize),
    IntoFile(usize),
    InOtherCase(usize),
    Edit(usize),
    EditAuthor,
    Claim,
    ProposeRoot(bool),
    Sign(bool),
    Vouch(usize, u8),
    Squat(bool),
}

const PLACES: [&str; 16] = [
    "conex/x.toml",
    "conex/root/2/x-0123456789abcdef.toml",
    "conex/root/5.toml",
    "conex/index/alice/x.toml",
    "conex/index/x/y/z",
    "conex/authors/x.toml",
    "conex/batches/x.toml",
    "packages/x",
    "packages/foo/foo.1.0/x",
    "packages/foo/foo.4/opam",
    "packages/lib/lib.1/files/a/b",
    "packages/Lib/Lib.1/opam",
    "docs/foo.1.0/opam",
    "docs/a/b/c",
    "REPO",
    "x y/z",
];

fn hostile() -> impl Strategy<Value = Hostile> {
    let file = || 0..64_usize;
    prop_oneof![
        file().prop_map(Hostile::Write),
        file().prop_map(Hostile::Remove),
        file().prop_map(Hostile::IntoDirectory),
        file().prop_map(Hostile::IntoFile),
        file().prop_map(Hostile::InOtherCase),
        file().prop_map(Hostile::Edit),
        Just(Hostile::EditAuthor),
        Just(Hostile::Claim),
        any::<bool>().prop_map(Hostile::ProposeRoot),
        any::<bool>().prop_map(Hostile::Sign),
        (file(), 1..4_u8).prop_map(|(at, version)| Hostile::Vouch(at, version)),
        any::<bool>().prop_map(Hostile::Squat),
    ]
}

/// Some file of the main line that is not what is honest in it.
fn some_file(main: &Community, kept: &[String], at: usize) -> Option<String> {
    let files = main.tree.files().map(|(file, _)| file.to_owned());
    let files: Vec<String> = files.filter(|file| !kept.contains(file)).collect();
    let at = at.checked_mul(7)? % files.len().max(1);
    files.get(at).cloned()
}

fn pick<'t>(among: &[&'t str], at: usize) -> &'t str {
    among.iter().cycle().nth(at).unwrap()
}

/// Removes what no tree can have: files below files.
fn no_file_in_a_file(main: &mut Community) {
    let files: Vec<String> = main.tree.files().map(|it| it.0.to_owned()).collect();
    for pair in &files {
        let below = format!("{pair}/");
        if files.iter().any(|file| file.starts_with(&below)) {
            let text = main.tree.get(pair).map(<[u8]>::to_vec);
            main.tree.remove(pair);
            main.tree.insert(pair.as_str(), text.unwrap_or_default());
        }
    }
}

fn merge(main: &mut Community, kept: &[String], hostile: &Hostile) {
    match hostile {
        Hostile::Write(at) => main.write(pick(&PLACES, *at), "junk"),
        Hostile::Remove(at) => {
            if let Some(file) = some_file(main, kept, *at) {
                main.remove(&file);
            }
        }
        Hostile::IntoDirectory(at) => {
            if let Some(file) = some_file(main, kept, *at) {
                main.remove(&file);
                main.write(&format!("{file}/x"), "junk");
            }
        }
        Hostile::IntoFile(at) => {
            let directory = some_file(main, kept, *at);
            let directory = directory.as_deref().and_then(|it| it.rsplit_once('/'));
            if let Some((directory, _)) = directory
                && !kept
                    .iter()
                    .any(|it| it.starts_with(&format!("{directory}/")))
            {
                main.remove(directory);
                main.write(directory, "junk");
            }
        }
        Hostile::InOtherCase(at) => {
            if let Some(file) = some_file(main, kept, *at) {
                let text = main.tree.get(&file).unwrap().to_vec();
                main.write(&file.to_ascii_uppercase(), text.clone());
                main.write(
                    &file.replace("foo", "Foo").replace("README", "Readme"),
                    text,
                );
            }
        }
        Hostile::Edit(at) => {
            if let Some(file) = some_file(main, kept, *at) {
                main.write(&file, opam("junk"));
            }
        }
        Hostile::EditAuthor => {
            if main.tree.get("conex/authors/dave.toml").is_some() {
                let key = main.proven("dave", "mallory");
                let text = main.read("conex/authors/dave.toml");
                if !text.contains("junk") {
                    main.edit_author("dave", |author| author.keys = vec![key]);
                }
            }
        }
        Hostile::Claim => main.claim("bar", &["erin"]),
        Hostile::ProposeRoot(revokes) => main.propose_root(|root| {
            root.complete = true;
            if *revokes && !root.revoked.contains(&fingerprint("dave")) {
                root.revoked = vec![fingerprint("dave")];
            }
        }),
        Hostile::Sign(quorum) => {
            if main.root().number.as_u32() > 1 {
                main.sign_root("carol");
                if *quorum {
                    main.sign_root("bob");
                }
            }
        }
        Hostile::Vouch(at, counter) => {
            let about = [
                "lib releases",
                "lib/1 checksums",
                "lib/2 checksums",
                "erin author",
            ];
            let vouch = Vouch {
                subject: subject(pick(&about, *at)),
                version: version(&format!("0.{counter}")),
                digest: Digest::parse(&format!("{at:064x}")).unwrap(),
            };
            main.vouch("erin", &[vouch]);
        }
        Hostile::Squat(is_new) => {
            let name = if *is_new { "NEW" } else { "BAR" };
            main.release(name, "1", &opam("squatter"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(24)))]

    /// Whatever is merged: what is approved of the rest goes ahead, and what differs is named.
    #[test]
    fn whatever_is_merged_the_rest_goes_ahead(
        merges in prop::collection::vec(hostile(), 1..8),
    ) {
        let (mut main, mut pilot) = settled();
        main.release("bar", "0.2", &opam("two"));
        let page = main.approve("alice", "bar");
        let kept = ["packages/bar/bar.0.2/opam", "packages/bar/bar.0.1/opam", &page];
        let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
        for hostile in &merges {
            merge(&mut main, &kept, hostile);
        }
        no_file_in_a_file(&mut main);
        let advanced = pilot.advance(&main);
        prop_assert!(
            pilot.signed.tree.get("packages/bar/bar.0.2/opam").is_some(),
            "{:#?}", advanced.waiting
        );
    }
}

/// Erin's release is merged and approved, and overwritten before clients have it, by an owner who vouches for
/// something else in the same version.
#[test]
fn a_vote_for_what_was_overwritten_does_not_go_first() {
    let (mut main, pilot) = settled();
    main.release("lib", "1", &opam("honest"));
    let vouches = [
        main.present("lib releases", "0.2"),
        main.present("lib/1 checksums", "0.2"),
    ];
    main.vouch("erin", &vouches);
    let merged = main.tree.clone();
    main.release("lib", "1", &opam("other"));
    let mut vouches = vec![
        main.present("lib releases", "0.2"),
        main.present("lib/1 checksums", "0.2"),
    ];
    vouches.push(main.release_gone("lib", "7", "0.1"));
    vouches.sort();
    main.vouch("dave", &vouches);
    // As long as it is not known that it was there, it is a vote for nothing.
    let mut ignorant = pilot.clone();
    ignorant.advance(&main);
    let file = "packages/lib/lib.1/opam";
    assert_eq!(ignorant.signed.tree.get(file), main.tree.get(file));
    let (mut knowing, before) = (pilot.clone(), pilot.signed.tree.clone());
    knowing.earlier.push(merged);
    let advanced = knowing.advance(&main);
    assert!(waits(&advanced).contains(&"lib".into()), "{advanced:#?}");
    assert_eq!(knowing.signed.tree.get(file), before.get(file));
}

/// Dave, who approved the absence, leaves with keys whose pages nobody accepts: with him would go that
/// release 1.0 is gone.
#[test]
fn an_approved_absence_is_lost_as_little_as_content() {
    let (mut main, _) = settled();
    main.remove("packages/foo/foo.1.0");
    let gone = main.release_gone("foo", "1.0", "0.2");
    main.approve("dave", "foo");
    main.vouch("dave", core::slice::from_ref(&gone));
    let mut pilot = Pilot::of(&main);
    let key = main.proven("dave", "dave#2");
    main.edit_author("dave", |author| author.keys = vec![key]);
    main.approve_by(&["alice", "bob"], "dave");
    let mut present = vec![
        main.present("foo releases", "0.2"),
        main.present("foo/2.0 checksums", "0.1"),
    ];
    main.vouch("dave#2", &present);
    let advanced = pilot.advance(&main);
    assert!(waits(&advanced).contains(&"dave".into()), "{advanced:#?}");
    // The honest twin vouches for the absence, too.
    present.push(gone);
    present.sort();
    main.vouch("dave#2", &present);
    let advanced = pilot.advance(&main);
    assert!(advanced.waiting.is_empty(), "{advanced:#?}");
    assert_eq!(pilot.signed.tree, main.tree);
}
