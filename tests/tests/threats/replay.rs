//! What was honestly signed once, in another place, time or company.

use conex_core::model::page::Page;
use conex_core::model::stored::Stored as _;
use conex_core::model::vouch::Vouch;
use conex_core::tree::problem::Code;
use conex_core::verify::Mode;
use conex_tests::{Community, fingerprint, id};

/// Changes one statement, and has it approved.
type Change = (
    &'static str,
    &'static str,
    &'static [&'static str],
    fn(&mut Community),
);

const CHANGES: &[Change] = &[
    (
        "dave",
        "conex/authors/dave.toml",
        &["alice", "bob"],
        |all| {
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| author.keys.push(key));
        },
    ),
    (
        "makers",
        "conex/teams/makers.toml",
        &["alice", "bob"],
        |all| {
            all.edit_team("makers", |team| team.members.push(id("alice")));
        },
    ),
    (
        "foo authorisation",
        "conex/packages/foo.toml",
        &["alice", "bob"],
        |all| {
            all.edit_claim("foo", |claim| claim.owners.push(id("erin")));
        },
    ),
    ("foo/1.0 checksums", "foo/1.0/data", &["dave"], |all| {
        all.release("foo", "1.0", "new\n");
    }),
    ("foo releases", "foo/3.0/data", &["dave"], |all| {
        all.release("foo", "3.0", "new\n");
    }),
    (".", "repo", &["alice", "carol"], |all| {
        all.write("repo", "stamp: \"2\"\n");
    }),
];

#[test]
fn rollback_statement() {
    for (what, place, people, change) in CHANGES {
        let old = Community::settled("plain");
        let mut new = old.clone();
        change(&mut new);
        // A changed file is both: another source and other checksums.
        let what = if *people == ["dave"] { "foo" } else { what };
        new.approve_by(people, what);
        new.verify().accepted();
        let mut hostile = new.clone();
        match old.tree.get(place) {
            Some(bytes) => hostile.write(place, bytes),
            None => hostile.remove(place),
        }
        let place = if *place == "foo/3.0/data" {
            "foo"
        } else {
            *place
        };
        for mode in [Mode::Observe, Mode::Warn, Mode::Enforce] {
            let verdict = hostile.verify_in(mode);
            assert!(verdict.verified().is_none());
            assert!(
                verdict
                    .with_code(Code::Behind)
                    .any(|found| &*found.place == place),
                "{place}:\n{}",
                verdict.told()
            );
        }
        // With an authorisation alone, nothing else is affected.
        if matches!(place, "repo" | "conex/packages/foo.toml") {
            let expected = if place == "repo" { 1 } else { 4 };
            assert_eq!(
                hostile.verify().problems.len(),
                expected,
                "{}",
                hostile.verify().told()
            );
        }
    }
}

#[test]
fn rollback_statement_of_a_root() {
    let mut community = Community::settled("plain");
    let old = community.read("conex/root/1.toml");
    community.next_root(&["alice", "bob"], |root| root.complete = true);
    community.verify().accepted();
    community.write("conex/root/2.toml", old);
    community
        .verify()
        .refused(&[(Code::Misnamed, "conex/root/2.toml")]);
}

#[test]
fn abandoned_approval() {
    // Approved ahead of a merge that never came; a server serves the content all the same.
    let mut community = Community::settled("plain");
    community.release("foo", "3.0", "to be abandoned\n");
    community.approve("dave", "foo");
    let mut main = community;
    main.remove("foo/3.0");
    // It is listed as ahead on main, and no tree for clients has it.
    main.verify_main().accepted().notes(&[(Code::Ahead, "foo")]);
    main.verify().refused(&[(Code::Behind, "foo")]);
    // Taken back: the present content at a greater version.
    let back = [main.present("foo releases", "0.3")];
    main.vouch("dave", &back);
    main.verify().accepted();
    main.release("foo", "3.0", "to be abandoned\n");
    main.verify().refused(&[(Code::Behind, "foo")]);
}

/// A settled community in which every page has a single vouch.
fn one_by_one(change: impl FnOnce(&mut conex_core::model::statement::RootFields)) -> Community {
    let mut community = Community::settled_by("plain", change);
    for who in ["alice", "bob", "dave", "erin"] {
        for place in community.pages(who) {
            let page = Page::from_bytes(community.read(&place).as_bytes()).unwrap();
            community.remove(&place);
            for vouch in page.body().vouches() {
                community.vouch(who, core::slice::from_ref(vouch));
            }
        }
    }
    community.verify_in(Mode::Enforce).accepted();
    community
}

#[test]
fn cross_replay() {
    let honest = one_by_one(|_| ());
    let signers = ["alice", "bob", "carol", "dave", "erin"];
    let mut pages: Vec<(String, String, Vouch)> = Vec::new();
    for who in signers {
        for place in honest.pages(who) {
            let text = honest.read(&place);
            let page = Page::from_bytes(text.as_bytes()).unwrap();
            pages.push((place, text, page.body().vouches()[0].clone()));
        }
    }
    let mut tried = 0;
    for (place, text, vouch) in &pages {
        // Another kind and name: that of any other page; another version; another digest.
        let mut others = vec![Vouch {
            version: conex_tests::version("9.9"),
            ..vouch.clone()
        }];
        for (_, _, other) in &pages {
            others.push(Vouch {
                subject: other.subject.clone(),
                ..vouch.clone()
            });
            others.push(Vouch {
                digest: other.digest,
                ..vouch.clone()
            });
        }
        for other in others.iter().filter(|other| *other != vouch) {
            let mut hostile = honest.clone();
            hostile.remove(place);
            let forged = hostile.plant(&text.replace(&vouch.to_string(), &other.to_string()));
            hostile.verify().refused_for(Code::BadSignature, &forged);
            tried += 1;
        }
        // Another signer: with the old key it is nobody's, with the own key the signature is bad.
        let page = Page::from_bytes(text.as_bytes()).unwrap();
        let signer = page.body().signer().clone();
        for who in signers.iter().filter(|who| id(who) != signer) {
            let mut hostile = honest.clone();
            let renamed = text.replace(&format!("\"{signer}\""), &format!("\"{who}\""));
            hostile.remove(place);
            let moved = hostile.plant(&renamed);
            let verdict = hostile.verify();
            let mut inert = verdict.with_code(Code::InertPage);
            assert!(
                inert.any(|note| *note.place == *moved),
                "{}",
                verdict.told()
            );
            assert!(verdict.counts.pages < pages.len());
            let key = page.body().key().to_string();
            let forged = hostile.plant(&renamed.replace(&key, &fingerprint(who).to_string()));
            // Unless without the original the signer is not known any more.
            let verdict = hostile.verify();
            let mut forgeries = verdict.with_code(Code::BadSignature);
            let mut inert = verdict.with_code(Code::InertPage);
            assert!(
                forgeries.any(|found| *found.place == *forged)
                    || inert.any(|note| *note.place == *forged),
                "{}",
                verdict.told()
            );
            tried += 2;
        }
    }
    assert!(tried > 500, "only {tried} were tried");
}

#[test]
fn cross_replay_of_origins() {
    let honest = one_by_one(|_| ());
    let elsewhere = one_by_one(|root| root.origin = "elsewhere".parse().unwrap());
    // Same people, keys and data; no statement has the same digest.
    let ours = honest.statements();
    for (subject, digest) in elsewhere.statements() {
        assert!(ours.iter().all(|(_, other)| *other != digest), "{subject}");
    }
    for who in ["alice", "bob", "dave", "erin"] {
        for place in elsewhere.pages(who) {
            let page = elsewhere.read(&place);
            let mut hostile = honest.clone();
            hostile.write(&place, page.as_str());
            hostile.verify().refused(&[(Code::Misnamed, &place)]);
            hostile.remove(&place);
            let renamed = hostile.plant(&page);
            hostile.verify().refused(&[(Code::BadSignature, &renamed)]);
        }
    }
    // A root, too.
    let mut hostile = honest.clone();
    hostile.write("conex/root/1.toml", elsewhere.read("conex/root/1.toml"));
    hostile
        .verify()
        .refused(&[(Code::AnchorUnsatisfied, "conex/root/1.toml")]);
    let keys = honest.anchor_keys(&["alice", "bob"], 2);
    hostile
        .verify_from(&keys)
        .refused(&[(Code::AnchorUnsatisfied, "conex/root/1.toml")]);
    let mut other = elsewhere.clone();
    for janitor in Community::JANITORS {
        let place = Community::root_signature(1, janitor);
        other.write(&place, honest.read(&place));
    }
    other.verify().refused_for(
        Code::BadSignature,
        Community::root_signature(1, "alice").as_str(),
    );
}

#[test]
fn cross_replay_of_statements() {
    // Every two statements have different digests, whatever their content.
    let statements = one_by_one(|_| ()).statements();
    for (at, (subject, digest)) in statements.iter().enumerate() {
        for (other, rival) in &statements[at + 1..] {
            assert_ne!(digest, rival, "{subject} and {other}");
        }
    }
    // A quorum that vouches for the digest of one under the name of another approves neither.
    for (subject, _) in &statements {
        let mut community = one_by_one(|_| ());
        let present = community.present(&subject.to_string(), "0.2");
        for (other, digest) in &statements {
            if other != subject {
                let vouch = Vouch {
                    digest: *digest,
                    ..present.clone()
                };
                community = one_by_one_with(community, &vouch);
                break;
            }
        }
        let verdict = community.verify();
        assert!(
            verdict.with_code(Code::ContentDiffers).next().is_none(),
            "{}",
            verdict.told()
        );
        assert!(
            verdict
                .with_code(Code::Behind)
                .any(|found| found.subject.as_ref() == Some(subject)),
            "{subject}:\n{}",
            verdict.told()
        );
    }
}

fn one_by_one_with(mut community: Community, vouch: &Vouch) -> Community {
    for who in ["alice", "bob"] {
        community.vouch(who, core::slice::from_ref(vouch));
    }
    community
}

#[test]
fn equivocation() {
    let mut community = Community::settled("plain");
    let old = community.present("foo releases", "0.2");
    let honest = community.clone();
    community.release("foo", "3.0", "one\n");
    community.approve("dave", "foo");
    community.vouch("dave", core::slice::from_ref(&old));
    for hostile in [community.clone(), {
        let mut old = community.clone();
        old.remove("foo/3.0");
        old
    }] {
        hostile
            .verify()
            .refused(&[(Code::Equivocation, "foo")])
            .saying(Code::Equivocation, &["version 0.2", "dave"]);
    }
    // A greater version cures it, and what is below does not matter.
    community.approve("dave", "foo");
    community.verify().accepted();
    community.remove("foo/3.0");
    community.verify().refused(&[(Code::Behind, "foo")]);
    // One person of two is no equivocation.
    let mut community = honest;
    community.edit_claim("foo", |claim| {
        claim.owners.push(id("erin"));
        claim.threshold = conex_core::model::version::Threshold::new(2).unwrap();
    });
    community.approve_by(&["alice", "bob"], "foo authorisation");
    community.approve("erin", "foo");
    community.verify().accepted();
    community.release("foo", "3.0", "one\n");
    community.approve_by(&["dave", "erin"], "foo");
    community.vouch("dave", &[old]);
    community.verify().accepted();
}

#[test]
fn strip_signatures() {
    let honest = Community::settled("plain");
    // Whatever one takes away: refused, or it was more than enough. Only a package that nobody
    // vouches for any more can be unsigned, and it is counted as that.
    let files = honest.tree.files().map(|(file, _)| file.to_owned());
    let files: Vec<String> = files.filter(|file| file.starts_with("conex/")).collect();
    for file in &files {
        let mut hostile = honest.clone();
        hostile.remove(file);
        let verdict = hostile.verify_in(Mode::Enforce);
        if verdict.verified().is_some() {
            assert!(
                file.starts_with("conex/root/1/") || file.starts_with("conex/index/bob/"),
                "{file}"
            );
        }
        if hostile.verify().verified().is_some() && verdict.verified().is_none() {
            let found: Vec<_> = verdict
                .problems
                .iter()
                .map(|problem| (problem.code, &*problem.place))
                .collect();
            assert!(
                found.iter().all(
                    |found| [(Code::Unsigned, "bar"), (Code::Unsigned, "repo")].contains(found)
                ),
                "{file}: {found:?}"
            );
        }
    }
    for (gone, code, place) in [
        ("conex", Code::RootMissing, "conex/root/1.toml"),
        ("conex/root", Code::RootMissing, "conex/root/1.toml"),
        ("conex/root/1.toml", Code::RootChain, "conex/root/1.toml"),
        ("conex/root/1", Code::RootUnsigned, "conex/root/1.toml"),
        ("conex/authors", Code::Missing, "conex/authors/dave.toml"),
        ("conex/teams", Code::Missing, "conex/teams/makers.toml"),
        ("conex/packages", Code::Missing, "conex/packages/foo.toml"),
        (
            "conex/index/alice",
            Code::NotApproved,
            "conex/packages/foo.toml",
        ),
        ("conex/index/dave", Code::NotApproved, "foo"),
    ] {
        let mut hostile = honest.clone();
        hostile.remove(gone);
        for mode in [Mode::Warn, Mode::Enforce] {
            hostile.verify_in(mode).refused_for(code, place);
        }
        assert!(
            hostile
                .verify_in(Mode::Observe)
                .with_code(code)
                .any(|found| &*found.place == place)
        );
    }
}

#[test]
fn strip_signatures_of_a_complete_repository() {
    // Where a root says so, nothing is ever unsigned again.
    let mut community = Community::settled("plain");
    community.next_root(&["alice", "bob"], |root| root.complete = true);
    community.verify().accepted();
    let mut hostile = community.clone();
    for who in ["alice", "bob"] {
        for page in hostile.pages(who) {
            hostile.remove(&page);
        }
    }
    for gone in ["conex/authors", "conex/teams", "conex/packages"] {
        hostile.remove(gone);
    }
    hostile.verify().refused(&[
        (Code::Unsigned, "bar"),
        (Code::Unsigned, "foo"),
        (Code::Unsigned, "lib"),
        (Code::Unsigned, "repo"),
    ]);
    community.release("new", "1", "x");
    community.verify().refused(&[(Code::Unsigned, "new")]);
    community.approve("alice", "new");
    community.verify().accepted();
}

#[test]
fn batch_missing_and_out_of_range() {
    let mut community = Community::settled("plain");
    for at in 0..150 {
        community.release(&format!("p{at:03}"), "1", "x");
    }
    let page = community.approve("carol", "*");
    community.verify_in(Mode::Enforce).accepted();
    let batch = community.tree.files().map(|(file, _)| file.to_owned());
    let batch: Vec<String> = batch
        .filter(|file| file.starts_with("conex/batches/"))
        .collect();
    assert_eq!(batch.len(), 1);
    let mut hostile = community.clone();
    hostile.remove(&batch[0]);
    hostile.verify().refused(&[(Code::BatchMissing, &page)]);
    // Somebody names it with a range that it does not keep to.
    let text = community.read(&page);
    let narrow = text.replace("\"p000 p149 ", "\"p000 p148 ");
    assert_ne!(narrow, text);
    let narrow = Page::from_bytes(narrow.as_bytes()).unwrap();
    community.remove(&page);
    let page = community.publish("carol", narrow.body().clone());
    let verdict = community.verify();
    verdict.refused(&[(Code::BatchRange, &page)]);
    assert_eq!(verdict.unsigned.len(), 150);
}
