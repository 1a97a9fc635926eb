//! Answers beside the verdict: whom the rules ask, which version they propose, whose a key is.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use conex_core::model::name::Id;
use conex_core::model::statement::{Root, RootSignature};
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Threshold;
use conex_core::model::vouch::Subject;
use conex_core::state::State;
use conex_core::state::baseline::Baseline;
use conex_core::state::chain::{AnchorKeys, is_signed_by_member};
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::store::Sequential;
use conex_core::verify::{Mode, Report, Verification};
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;
use conex_tests::{Community, fingerprint, former, id, janitor, secret};

/// The problem of a code at a place whose detail has these words.
fn problem(problems: &[Problem], code: Code, place: &str, words: &str) -> Problem {
    let mut found = problems
        .iter()
        .filter(|it| it.code == code && &*it.place == place && it.detail.contains(words));
    let first = found.next().unwrap_or_else(|| panic!("{problems:#?}"));
    assert!(found.next().is_none(), "{problems:#?}");
    first.clone()
}

/// How many janitors are missing, and which.
fn janitors(problem: &Problem) -> (usize, Vec<&str>) {
    let missing = problem.missing.as_ref().unwrap();
    let (count, names) = missing.janitors.as_ref().unwrap();
    (*count, names.iter().map(Id::as_str).collect())
}

/// How many owners are missing, and which.
fn owners(problem: &Problem) -> (usize, Vec<&str>) {
    let missing = problem.missing.as_ref().unwrap();
    let (count, names) = missing.owners.as_ref().unwrap();
    (*count, names.iter().map(Id::as_str).collect())
}

#[test]
fn anchors_are_at_least_their_quorum() {
    let all = Community::hamlet("plain");
    let anchors = |keys: &[&str], quorum| {
        let keys = keys.iter().map(|who| fingerprint(who));
        AnchorKeys::new(all.origin().clone(), keys, Threshold::new(quorum).unwrap())
    };
    assert!(anchors(&["alice", "bob", "carol"], 2).is_ok());
    assert!(anchors(&["alice", "bob"], 2).is_ok());
    assert!(anchors(&["alice"], 2).is_err());
    // A key counts once.
    assert!(anchors(&["alice", "alice"], 2).is_err());
}

#[test]
fn a_root_that_waits_asks_for_those_who_are_missing() {
    let mut all = Community::hamlet("plain");
    all.propose_root(|root| root.complete = !root.complete);
    let waits = |all: &Community| {
        let place = "conex/root/2.toml";
        problem(
            &all.verify().problems,
            Code::RootUnsigned,
            place,
            "of its own",
        )
    };
    assert_eq!(janitors(&waits(&all)), (2, vec!["alice", "bob", "carol"]));
    all.sign_root("bob");
    assert_eq!(janitors(&waits(&all)), (1, vec!["alice", "carol"]));
    all.sign_root("carol");
    all.verify().accepted();
}

/// A signature is a member's under a key that the root, or the one before, lists for them, and for this root only.
#[test]
fn signatures_are_of_members() {
    let mut all = Community::hamlet("plain");
    all.next_root(&["alice", "bob"], |root| {
        root.janitors.retain(|it| it.id != id("carol"));
        root.janitors.push(janitor("erin"));
    });
    let read =
        |number: u32| Root::from_bytes(all.read(&format!("conex/root/{number}.toml")).as_bytes());
    let (before, root) = (read(1).unwrap(), read(2).unwrap());
    let sign = |root: &Root, who: &str, key: &str| -> RootSignature {
        let Ok(signature) = root.sign(id(who), &StandardCrypto, &secret(key));
        signature
    };
    let is_member = |signature: &RootSignature, with_before: bool| {
        let before = with_before.then_some(&before);
        is_signed_by_member(&root, before, signature, &StandardCrypto)
    };
    // Who, under whose key, whether by the new root alone, whether with the one before.
    let cases = [
        ("alice", "alice", true, true),
        ("erin", "erin", true, true),
        ("carol", "carol", false, true),
        ("mallory", "mallory", false, false),
        ("alice", "bob", false, false),
        ("bob", "mallory", false, false),
    ];
    for (who, key, alone, with_before) in cases {
        let signature = sign(&root, who, key);
        assert_eq!(is_member(&signature, false), alone, "{who} with {key}");
        assert_eq!(is_member(&signature, true), with_before, "{who} with {key}");
        let other = sign(&before, who, key);
        assert!(
            !is_member(&other, true),
            "{who} with {key}, for another root"
        );
    }
}

/// Nothing makes a root valid that follows one which is not.
#[test]
fn what_follows_an_invalid_root_is_told_once_for_each() {
    let mut all = Community::hamlet("plain");
    all.propose_root(|root| root.complete = !root.complete);
    for _ in 0..2 {
        all.propose_root(|root| root.complete = !root.complete);
        all.sign_root("alice");
        all.sign_root("bob");
    }
    let problems = all.verify().problems.clone();
    for number in [3, 4] {
        let place = format!("conex/root/{number}.toml");
        problem(&problems, Code::RootChain, &place, "follows root 2");
    }
    assert!(problems.iter().all(|it| !it.detail.contains("root 3")));
}

/// A statement of a package asks its owners and the janitors, without those who vouched.
#[test]
fn content_asks_for_those_who_are_missing() {
    let mut all = Community::settled("plain");
    all.edit_claim("foo", |claim| {
        claim.owners.push(id("erin"));
        claim.threshold = Threshold::new(2).unwrap();
    });
    all.approve_by(&["alice", "bob"], "foo authorisation");
    all.release("foo", "9", "x\n");
    let waits = |all: &Community| {
        let problems = all.verify().problems.clone();
        let mut found = problems.iter().filter(|it| {
            it.code == Code::NotApproved
                && it
                    .subject
                    .as_ref()
                    .is_some_and(|it| it.to_string() == "foo releases")
        });
        found
            .next()
            .unwrap_or_else(|| panic!("{problems:#?}"))
            .clone()
    };
    let found = waits(&all);
    assert_eq!(owners(&found), (2, vec!["dave", "erin"]));
    all.approve("erin", "foo");
    assert_eq!(owners(&waits(&all)), (1, vec!["dave"]));
    let before = janitors(&found);
    all.approve("carol", "foo");
    let after = waits(&all);
    assert_eq!(janitors(&after).0 + 1, before.0);
    assert!(!janitors(&after).1.contains(&"carol"));
    all.approve("dave", "foo");
    all.verify().accepted();
}

/// Judges a main line above what clients follow.
fn above(main: &Community, followed: &Community) -> Report {
    let baseline = Baseline::read(&followed.tree, &StandardCrypto, &Sequential).unwrap();
    let verification = Verification {
        store: &main.tree,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Sequential,
        trust: &main.anchor(),
        mode: Mode::Warn,
        ahead: true,
    };
    verification.run_above(&baseline)
}

/// The code of the problem with a subject, and the version proposed for it.
fn told(report: &Report, about: &str) -> (Option<Code>, Option<String>) {
    let is_about = |subject: &Subject| subject.to_string() == about;
    let mut problems = report.problems.iter().chain(&report.notes);
    let problem = problems.find(|it| it.subject.as_ref().is_some_and(is_about));
    let mut findings = report.findings.iter();
    let finding = findings.find(|it| is_about(&it.subject));
    let proposed = finding.and_then(|it| it.assessment.proposed);
    (problem.map(|it| it.code), proposed.map(|it| it.to_string()))
}

/// A key belongs to one person, who may sign with it now.
#[test]
fn keys_that_may_sign_have_one_holder() {
    let mut all = Community::settled("plain");
    let key = all.proven("dave", "dave#2");
    let pages = all.pages("dave");
    all.edit_author("dave", |author| {
        author.keys = vec![key];
        author.former = vec![former("dave", &pages)];
    });
    all.approve_by(&["alice", "bob"], "dave");
    all.next_root(&["alice", "bob"], |root| {
        root.janitors.retain(|it| it.id != id("carol"));
        root.revoked.push(fingerprint("carol"));
    });
    let verdict = all.verify_main();
    let people = verdict.people().unwrap();
    let cases = [
        ("dave#2", Some("dave")),
        ("dave", None),
        ("alice", Some("alice")),
        ("carol", None),
        ("mallory", None),
    ];
    for (key, holder) in cases {
        let found = people.holder(fingerprint(key)).map(Id::as_str);
        assert_eq!(found, holder, "{key}");
    }
    for who in ["alice", "dave"] {
        let found = people.find(&id(who)).unwrap();
        assert_eq!(people.id(found), &id(who));
    }
    assert_eq!(people.find(&id("mallory")), None);
}

/// Who is retired for clients is not asked for again; on a main line without that, nothing is wrong.
#[test]
fn what_is_retired_for_clients_is_named() {
    let main = Community::settled("plain");
    let mut followed = main.clone();
    let pages = followed.pages("erin");
    followed.edit_author("erin", |author| {
        author.retired = true;
        author.keys.clear();
        author.former = vec![former("erin", &pages)];
    });
    followed.approve_by(&["alice", "bob"], "erin");
    let report = above(&main, &followed);
    assert_eq!(told(&report, "erin author"), (Some(Code::Revived), None));
    assert_eq!(told(&report, "dave author").0, None);
    let report = above(&main, &main);
    assert_eq!(told(&report, "erin author").0, None);
    let report = above(&followed, &followed);
    assert_eq!(told(&report, "erin author").0, None);
}

/// What clients have in a greater version counts as not approved, and is proposed above theirs.
#[test]
fn what_clients_have_is_not_below_what_is_asked_for() {
    let main = Community::settled("plain");
    let mut followed = main.clone();
    followed.release("lib", "1", "other\n");
    followed.approve("erin", "lib");
    let report = above(&main, &followed);
    let (code, proposed) = told(&report, "lib/1 checksums");
    assert_eq!(code, Some(Code::Ahead));
    assert_eq!(proposed.as_deref(), Some("0.3"));
    let (code, _) = told(&above(&followed, &main), "lib/1 checksums");
    assert_eq!(code, None);
}

/// What clients have and nobody removed with an approval is named as still to come; with one it is not.
#[test]
fn what_clients_have_and_is_gone_is_named() {
    let followed = Community::settled("plain");
    let mut main = followed.clone();
    main.remove("lib/1/data");
    for page in main.pages("erin") {
        main.remove(&page);
    }
    let report = above(&main, &followed);
    let (code, proposed) = told(&report, "lib releases");
    assert_eq!(code, Some(Code::Ahead), "{:#?}", report.problems);
    assert_eq!(proposed.as_deref(), Some("0.2"));
    let gone = main.gone("lib", "0.2");
    main.vouch("erin", &[gone]);
    let (code, _) = told(&above(&main, &followed), "lib releases");
    assert_eq!(code, None);
    // Of what is gone for clients too, nothing is said.
    let (code, _) = told(&above(&main, &main), "lib releases");
    assert_eq!(code, None);
}

/// Of a package whose owners are all janitors, each of them is asked as an owner, too.
#[test]
fn janitors_who_own_a_package_are_asked_as_owners() {
    let mut all = Community::settled("plain");
    all.claim("bar", &["janitors"]);
    all.approve_by(&["alice", "bob"], "bar authorisation");
    all.release("bar", "0.2", "x\n");
    let problems = all.verify().problems.clone();
    let found = problem(&problems, Code::NotApproved, "bar/0.2/data", "");
    assert_eq!(owners(&found), (1, vec!["alice", "bob", "carol"]));
    all.approve("carol", "bar");
    let verdict = all.verify();
    verdict.accepted();
    let owned = verdict
        .state
        .iter()
        .flat_map(State::owned)
        .map(|(name, _)| name.as_str());
    assert_eq!(owned.collect::<Vec<_>>(), ["bar", "foo", "lib"]);
    assert_eq!(verdict.counts.releases, 5);
    assert_eq!(verdict.counts.unsigned, 0);
}

/// What nobody vouched for is unsigned, unless clients have something of it as signed.
#[test]
fn what_clients_have_is_not_unsigned() {
    let mut main = Community::settled("plain");
    main.release("new", "1", "new\n");
    let mut followed = main.clone();
    followed.approve("carol", "new");
    main.release("new", "2", "newer\n");
    let (code, proposed) = told(&above(&main, &followed), "new releases");
    assert_eq!(code, Some(Code::ContentDiffers));
    assert_eq!(proposed.as_deref(), Some("0.2"));
    let report = above(&main, &main);
    assert_eq!(told(&report, "new releases").0, None);
    assert_eq!(report.counts.unsigned, 1);
}

/// Releases that are gone are told as absent, in packages that are there and in those that are not.
#[test]
fn releases_that_are_gone_are_told() {
    let mut all = Community::settled("plain");
    all.remove("foo/2.0/data");
    all.remove("lib/1/data");
    let report = all.verify_main();
    for about in ["foo/2.0 checksums", "lib/1 checksums", "lib releases"] {
        let mut findings = report.findings.iter();
        let found = findings.find(|it| it.subject.to_string() == about);
        assert!(found.is_some_and(|it| !it.present), "{about}: {found:?}");
    }
    let present = report.findings.iter().filter(|it| it.present);
    let present: Vec<String> = present.map(|it| it.subject.to_string()).collect();
    assert!(present.contains(&"foo/1.0 checksums".to_owned()));
}
