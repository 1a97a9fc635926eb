//! What is served to a client that has a verified state. Whatever any other test of this catalogue
//! verifies is offered to such a client as well: `Community::verify` sees to it.

use conex_core::model::digest::Digest;
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Threshold;
use conex_core::state::chain::Trust;
use conex_core::tree::problem::Code;
use conex_core::tree::store::MemoryStore;
use conex_core::verify::{
    Before, Changes, CopyMark, CopyRecord, CopyState, FloorMark, LocalRecord, MarkKind, Mode,
    Report, Update,
};
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;
use conex_tests::{Client, Community, fingerprint, former, id, verify};

/// Leaves out the pages that came since.
pub(crate) fn strip(newer: &mut Community, older: &Community) {
    for who in ["alice", "bob", "carol", "dave", "erin"] {
        for page in newer.pages(who) {
            if older.tree.get(&page).is_none() {
                newer.remove(&page);
            }
        }
    }
}

#[test]
fn rollback_statement() {
    // Older content of each kind in turn, with the newer page left in, and with it stripped.
    type Change = fn(&mut Community);
    let changes: [(&str, &str, Change); 6] = [
        ("repo", "repo", |community| {
            community.write("repo", "stamp: \"2\"\n");
            community.approve_by(&["alice", "bob"], ".");
        }),
        (
            "conex/authors/dave.toml",
            "conex/authors/dave.toml",
            |community| {
                let key = community.proven("dave", "dave#2");
                community.edit_author("dave", |author| author.keys.push(key));
                community.approve_by(&["alice", "bob"], "dave");
            },
        ),
        (
            "conex/teams/makers.toml",
            "conex/teams/makers.toml",
            |community| {
                community.edit_team("makers", |team| team.members.push(id("bob")));
                community.approve_by(&["alice", "bob"], "makers");
            },
        ),
        (
            "conex/packages/foo.toml",
            "conex/packages/foo.toml",
            |community| {
                community.edit_claim("foo", |claim| claim.owners.push(id("erin")));
                community.approve_by(&["alice", "bob"], "foo authorisation");
            },
        ),
        ("foo/2.0/data", "foo", |community| {
            community.release("foo", "2.0", "mended\n");
            community.approve("dave", "foo");
        }),
        ("bar/0.1/data", "bar", |community| {
            community.release("bar", "0.1", "mended\n");
            community.approve("carol", "bar");
        }),
    ];
    for (file, place, change) in changes {
        let old = Community::settled("plain");
        let mut new = old.clone();
        change(&mut new);
        Client::of(&old).offered(&new).accepted();
        let client = Client::of(&new);
        let mut hostile = new.clone();
        hostile.write(file, old.read(file));
        client.offered(&hostile).refused_for(Code::Behind, place);
        strip(&mut hostile, &old);
        client.offered(&hostile).refused_for(Code::Rollback, place);
        // To a fresh client it is what it was.
        hostile.verify_from(&hostile.anchor()).accepted();
    }
}

#[test]
fn rollback_statement_to_another_approval_of_the_same_version() {
    let mut community = Community::settled("plain");
    let mut other = community.clone();
    community.release("foo", "3.0", "one\n");
    community.approve("dave", "foo");
    other.release("foo", "3.0", "two\n");
    other.approve("dave", "foo");
    let client = Client::of(&community);
    client.offered(&other).refused(&[
        (Code::Equivocation, "foo"),
        (Code::Equivocation, "foo/3.0/data"),
    ]);
    other.release("foo", "3.0", "three\n");
    other.approve("dave", "foo");
    client.offered(&other).accepted();
}

#[test]
fn rollback_tree() {
    let old = Community::settled("plain");
    let mut new = old.clone();
    new.release("foo", "3.0", "three\n");
    new.approve("dave", "foo");
    new.author("frank");
    new.approve_by(&["alice", "bob"], "frank");
    let mut client = Client::of(&old);
    client.follow(&new).accepted();
    client.follow(&old).refused(&[
        (Code::Vanished, "conex/authors/frank.toml"),
        (Code::Rollback, "foo"),
    ]);
    assert_eq!(client.tree, new.tree);
    client.follow(&new).accepted();
}

#[test]
fn root_truncation() {
    let old = Community::settled("plain");
    let mut new = old.clone();
    new.next_root(&["alice", "bob"], |root| {
        root.revoked.push(fingerprint("stolen"));
    });
    let mut client = Client::of(&old);
    client.follow(&new).accepted();
    client
        .follow(&old)
        .refused(&[(Code::Rollback, "conex/root/2.toml")]);
    // Another root in its place: a quorum signed two histories.
    let mut fork = old.clone();
    fork.next_root(&["alice", "bob", "carol"], |root| root.complete = true);
    client
        .follow(&fork)
        .refused(&[(Code::Fork, "conex/root/2.toml")]);
    // No root at all, or one without its signatures.
    let mut bare = new.clone();
    bare.remove("conex/root");
    client
        .follow(&bare)
        .refused(&[(Code::RootMissing, "conex/root/1.toml")]);
    let mut bare = new.clone();
    bare.remove("conex/root/2");
    client
        .follow(&bare)
        .refused_for(Code::RootUnsigned, "conex/root/2.toml");
    new.next_root(&["alice", "carol"], |root| root.complete = true);
    client.follow(&new).accepted();
    assert_eq!(client.record.head().number.as_u32(), 3);
}

#[test]
fn fast_forward() {
    // A thief served content of theirs under the greatest counter there is.
    let honest = Community::settled("plain");
    let mut stolen = honest.clone();
    stolen.release("foo", "6.6", "evil\n");
    let last = "0.18446744073709551615";
    let vouches = ["foo releases", "foo/6.6 checksums"].map(|what| stolen.present(what, last));
    stolen.vouch("dave", &vouches);
    let mut client = Client::of(&honest);
    client.follow(&stolen).accepted();
    // Going back is no recovery, whoever wants it,
    client.offered(&honest).refused(&[(Code::Rollback, "foo")]);
    // but a raised epoch is,
    let mut raised = stolen.clone();
    raised.remove("foo/6.6");
    raised.edit_claim("foo", |claim| claim.epoch = 1);
    raised.approve_by(&["alice", "bob"], "foo authorisation");
    raised.approve_by(&["alice", "bob"], "foo");
    for from in [&honest, &stolen] {
        Client::of(from).offered(&raised).accepted();
    }
    // and a revoked key, whose versions set no floor.
    let mut revoked = stolen.clone();
    revoked.remove("foo/6.6");
    let (before, key) = (honest.pages("dave"), revoked.proven("dave", "dave#2"));
    revoked.next_root(&["alice", "bob"], |root| {
        root.revoked.push(fingerprint("dave"));
    });
    revoked.edit_author("dave", |author| {
        author.keys = vec![key];
        author.former = vec![former("dave", &before)];
    });
    revoked.approve_by(&["alice", "bob"], "dave");
    for from in [&honest, &stolen] {
        Client::of(from).offered(&revoked).accepted();
    }
    // A key that is only replaced goes on setting floors.
    let mut replaced = stolen.clone();
    replaced.remove("foo/6.6");
    let key = replaced.proven("dave", "dave#2");
    replaced.edit_author("dave", |author| author.keys = vec![key]);
    replaced.approve_by(&["alice", "bob"], "dave");
    replaced.approve("dave#2", "foo");
    client.offered(&replaced).refused_for(Code::Rollback, "foo");
}

#[test]
fn fast_forward_of_an_unclaimed_package() {
    let honest = Community::settled("plain");
    let mut stolen = honest.clone();
    stolen.release("bar", "0.1", "evil\n");
    let last = "0.18446744073709551615";
    let vouches = ["bar releases", "bar/0.1 checksums"].map(|what| stolen.present(what, last));
    stolen.vouch("carol", &vouches);
    stolen.release("evil", "1", "evil\n");
    stolen.approve("carol", "evil");
    let revoke = |root: &mut conex_core::model::statement::RootFields| {
        root.janitors.retain(|janitor| janitor.id != id("carol"));
        root.revoked.push(fingerprint("carol"));
    };
    let mut cured = honest.clone();
    cured.next_root(&["alice", "bob"], revoke);
    for from in [&honest, &stolen] {
        Client::of(from).offered(&cured).accepted();
    }
    // What only the thief approved does not become unsigned, though: it would be anybody's.
    let mut open = cured.clone();
    open.release("evil", "1", "worse\n");
    Client::of(&stolen)
        .offered(&open)
        .refused(&[(Code::Stripped, "evil")]);
    open.approve("alice", "evil");
    Client::of(&stolen).offered(&open).accepted();
}

#[test]
fn observe_then_enforce() {
    // Nothing is recorded of what was only observed, whatever it was.
    let mut community = Community::settled("plain");
    let observed = community.verify_in(Mode::Observe);
    assert!(observed.verified().is_none());
    // A record is of one repository, from certain anchors.
    let client = Client::of(&community);
    assert!(client.record.fits(&community.anchor()));
    assert!(!client.record.fits(&community.anchor_keys(&["alice"], 1)));
    assert!(!client.record.fits(&Trust::DangerousSelfAsserted));
    // What was not verified from anchors has no record, whoever asks; nor has another state's.
    let asserted = community.verify_from(&Trust::DangerousSelfAsserted);
    assert!(LocalRecord::new(asserted.verified().unwrap(), 1).is_none());
    let whole = community.verify();
    assert!(LocalRecord::new(whole.verified().unwrap(), 1).is_some());
    assert!(
        client
            .record
            .updated(whole.verified().unwrap(), None)
            .is_none()
    );
    let update = client.offered(&community);
    assert!(
        client
            .record
            .updated(update.verified().unwrap(), None)
            .is_some()
    );
    // What was verified while unsigned packages were counted is verified in full where they are
    // refused.
    community.release("loose", "1", "x");
    let mut client = Client::of(&community);
    community.release("foo", "3.0", "three\n");
    community.approve("dave", "foo");
    client.mode = Mode::Enforce;
    assert!(client.part(&community.tree).is_none());
    client
        .offered(&community)
        .refused(&[(Code::Unsigned, "loose")]);
    community.approve("alice", "loose");
    client.follow(&community).accepted();
    assert!(client.record.is_enforced());
    assert!(client.part(&community.tree).is_some());
}

#[test]
fn observe_then_enforce_without_a_record_that_fits() {
    // The state is not the one on record: all of the new one is verified, from the head on record.
    let old = Community::settled("plain");
    let mut new = old.clone();
    new.next_root(&["alice", "bob"], |root| root.complete = true);
    let client = Client::of(&new);
    let stale = Client {
        tree: old.tree.clone(),
        ..client.clone()
    };
    stale
        .offered(&new)
        .accepted()
        .notes(&[(Code::Unrecorded, "conex/root/2.toml")]);
    stale
        .offered(&old)
        .refused_for(Code::Rollback, "conex/root/2.toml");
    let mut hostile = new.clone();
    hostile.write("foo/1.0/data", "x");
    stale
        .offered(&hostile)
        .refused_for(Code::ContentDiffers, "foo");
}

#[test]
fn a_record_has_one_spelling() {
    let community = Community::settled("plain");
    let keys = community.anchor_keys(&["alice", "bob"], 2);
    for trust in [community.anchor(), keys] {
        for mode in [Mode::Warn, Mode::Enforce] {
            let record = Client::starting(&community.tree, &trust, mode).record;
            let text = record.to_text();
            assert_eq!(LocalRecord::from_bytes(text.as_bytes()), Ok(record.clone()));
            assert_eq!(record.trust(), trust);
            for other in [
                text.replace("format = 1", "format = 2"),
                text.replace("number = 1", "number = 0"),
                text.replace("verified = 1", "verified = -1"),
                text.replace("origin = \"example\"\n", ""),
                text.replace("[\n", "["),
                format!("{text}ahead = false\n"),
                text.replace("quorum = 2", "quorum = 3")
                    .replace("root:", "tree:"),
            ] {
                assert!(
                    LocalRecord::from_bytes(other.as_bytes()).is_err(),
                    "{other}"
                );
            }
        }
    }
}

#[test]
fn a_record_of_a_copy_has_one_spelling_and_two_states_at_most() {
    let community = Community::settled("plain");
    let record = Client::starting(&community.tree, &community.anchor(), Mode::Warn).record;
    let digest = |byte| Digest::from_bytes([byte; 32]);
    let state = |byte, kind| CopyState {
        record: record.clone(),
        copy: Some(CopyMark {
            kind,
            digest: digest(byte),
        }),
        floor: Some(FloorMark {
            base: digest(9),
            length: 100,
            digest: digest(byte),
        }),
    };
    let (old, new) = (state(1, MarkKind::Metadata), state(2, MarkKind::Content));
    let edited = ["a/b", "a/c"].map(conex_tests::path);
    let both = CopyRecord::updating(old.clone(), new.clone(), edited.iter().cloned().collect());
    assert_eq!(both.edited(), edited);
    let text = both.to_text();
    assert_eq!(CopyRecord::from_bytes(text.as_bytes()), Ok(both.clone()));
    // A copy is in the state whose digest it has, by the kind of marks of that state.
    let settled = |kind, byte| both.settled(|asked| (asked == kind).then(|| digest(byte)));
    assert_eq!(settled(MarkKind::Metadata, 1), Some(&old));
    assert_eq!(settled(MarkKind::Content, 2), Some(&new));
    for (kind, byte) in [
        (MarkKind::Metadata, 2),
        (MarkKind::Content, 1),
        (MarkKind::Content, 3),
    ] {
        assert_eq!(settled(kind, byte), None);
    }
    let unmarked = both.clone().without_marks();
    assert_eq!(unmarked.settled(|_| Some(digest(1))), None);
    assert!(unmarked.edited().is_empty());
    // What has a copy is no record of a commit, and the other way round.
    assert!(LocalRecord::from_bytes(text.as_bytes()).is_err());
    let commit = record.to_text();
    assert_eq!(
        CopyRecord::from_bytes(commit.as_bytes()),
        Ok(CopyRecord::from(record.clone()))
    );
    let pending = text.split_once("\n[[pending]]").unwrap().1;
    for other in [
        format!("{text}\n[[pending]]{pending}"),
        text.replace("metadata:", "neither:"),
        text.replace("metadata:", ""),
        text.replace(":100:", ":-1:"),
        text.replace(":100:", "::"),
        text.replace(":100:", ":0100:"),
        text.replace("a/b", "a/d"),
        text.replace("a/b", "a/c"),
        text.replace("a/b", "../b"),
        text.replace("[[pending]]", "[[planned]]"),
    ] {
        assert_ne!(other, text);
        assert!(CopyRecord::from_bytes(other.as_bytes()).is_err(), "{other}");
    }
    // More than a record lists is no reason to refuse an update, but nothing is known of the copy then.
    let many =
        (0..=conex_core::verify::EDITED).map(|number| conex_tests::path(&format!("a/{number}")));
    let many = CopyRecord::updating(old, new, many.collect());
    assert_eq!(many.confirmed().copy, None);
    assert_eq!(many.pending().and_then(|state| state.copy), None);
    assert!(many.edited().is_empty());
}

#[test]
fn removed_signer() {
    // The removal and the use of what was removed arrive in the same update.
    let honest = Community::settled("plain");
    let client = Client::of(&honest);
    let mut owner = honest.clone();
    owner.edit_claim("foo", |claim| claim.owners = vec![id("erin")]);
    owner.approve_by(&["alice", "bob"], "foo authorisation");
    owner.approve("erin", "foo");
    client.offered(&owner).accepted();
    let mut hostile = owner.clone();
    hostile.release("foo", "3.0", "evil\n");
    let late = [
        hostile.present("foo releases", "0.3"),
        hostile.present("foo/3.0 checksums", "0.1"),
    ];
    hostile.vouch("dave", &late);
    client.offered(&hostile).refused(&[
        (Code::ContentDiffers, "foo"),
        (Code::NotApproved, "foo/3.0/data"),
    ]);

    let mut member = honest.clone();
    member.edit_team("makers", |team| team.members = vec![id("dave")]);
    member.approve_by(&["alice", "bob"], "makers");
    member.approve("dave", "lib");
    client.offered(&member).accepted();
    member.release("lib", "2", "evil\n");
    let late = [
        member.present("lib releases", "0.3"),
        member.present("lib/2 checksums", "0.1"),
    ];
    member.vouch("erin", &late);
    client
        .offered(&member)
        .refused_for(Code::ContentDiffers, "lib");

    // A janitor leaves; their pages are accepted, and nothing new is.
    let mut janitor = honest.clone();
    let pages = honest.pages("bob");
    janitor.next_root(&["alice", "carol"], |root| {
        root.janitors.retain(|janitor| janitor.id != id("bob"));
        root.former
            .push(conex_core::model::statement::FormerJanitor {
                id: id("bob"),
                former: former("bob", &pages),
            });
    });
    client.offered(&janitor).accepted();
    janitor.edit_claim("foo", |claim| claim.owners.push(id("erin")));
    janitor.approve_by(&["alice", "bob"], "foo authorisation");
    client
        .offered(&janitor)
        .refused_for(Code::ContentDiffers, "conex/packages/foo.toml");
}

#[test]
fn strip_signatures() {
    // Never a silent fall to unsigned: whatever a server leaves out, a client that had it refuses,
    // or nothing was lost.
    let honest = Community::settled("plain");
    let client = Client::of(&honest);
    let files = honest.tree.files().map(|(file, _)| file.to_owned());
    let files: Vec<String> = files.filter(|file| file.starts_with("conex/")).collect();
    let stated = |report: &Report| -> Vec<_> {
        let findings = report.findings.iter();
        findings
            .map(|found| (found.subject.clone(), found.assessment.proposed))
            .collect()
    };
    let before = stated(&honest.verify());
    for file in &files {
        let mut hostile = honest.clone();
        hostile.remove(file);
        let verdict = client.offered(&hostile);
        if verdict.verified().is_some() {
            assert_eq!(stated(&verdict), before, "{file}");
        }
    }
    // A package and all that is said of it; the unclaimed one is the easiest to strip.
    let mut hostile = honest.clone();
    for who in ["alice", "bob"] {
        for page in hostile.pages(who) {
            let text = hostile.read(&page);
            if text.contains("bar") {
                hostile.remove(&page);
            }
        }
    }
    client.offered(&hostile).refused_for(Code::Stripped, "bar");
    hostile.remove("bar");
    client.offered(&hostile).refused_for(Code::Stripped, "bar");
    // All of it, and nothing but the root.
    for who in ["alice", "bob", "dave", "erin"] {
        for page in hostile.pages(who) {
            hostile.remove(&page);
        }
    }
    for gone in ["conex/authors", "conex/teams", "conex/packages"] {
        hostile.remove(gone);
    }
    let verdict = client.offered(&hostile);
    verdict.refused(&[
        (Code::Vanished, "conex/authors/dave.toml"),
        (Code::Vanished, "conex/authors/erin.toml"),
        (Code::Vanished, "conex/teams/makers.toml"),
        (Code::Vanished, "conex/packages/foo.toml"),
        (Code::Vanished, "conex/packages/lib.toml"),
        (Code::Stripped, "bar"),
        (Code::Stripped, "foo"),
        (Code::Stripped, "lib"),
        (Code::Stripped, "repo"),
    ]);
    // An approved removal is none of this.
    let mut removed = honest.clone();
    removed.remove("bar");
    let gone = removed.gone("bar", "0.2");
    removed.vouch("carol", &[gone]);
    client.offered(&removed).accepted();
}

#[test]
fn retired_is_for_ever() {
    let mut community = Community::settled("plain");
    community.remove("foo");
    community.edit_claim("foo", |claim| claim.retired = true);
    community.approve_by(&["alice", "bob"], "foo authorisation");
    community.verify().accepted();
    let client = Client::of(&community);
    community.edit_claim("foo", |claim| {
        claim.retired = false;
        claim.threshold = Threshold::new(2).unwrap();
    });
    community.approve_by(&["alice", "bob"], "foo authorisation");
    client
        .offered(&community)
        .refused_for(Code::Revived, "conex/packages/foo.toml");
    community.edit_claim("foo", |claim| claim.retired = true);
    community.approve_by(&["alice", "bob"], "foo authorisation");
    client.offered(&community).accepted();
}

#[test]
fn name_collision_of_something_new() {
    // What is new is compared with what nobody reads.
    let honest = Community::settled("plain");
    let client = Client::of(&honest);
    for (place, code) in [
        ("FOO/1.0/data", Code::NameCollision),
        ("Repo", Code::NameCollision),
        ("notes/x", Code::Unaccounted),
    ] {
        let mut hostile = honest.clone();
        hostile.write(place, "x");
        let verdict = client.offered(&hostile);
        assert!(
            verdict.with_code(code).next().is_some(),
            "{}",
            verdict.told()
        );
    }
    // An id is one thing; one key is one person's.
    let mut twice = honest.clone();
    twice.team("dave", &["alice"]);
    twice.approve_by(&["alice", "bob"], "dave team");
    client
        .offered(&twice)
        .refused_for(Code::NameCollision, "conex/teams/dave.toml");
    let mut shared = honest.clone();
    shared.author("frank");
    let key = shared.proven("frank", "dave");
    shared.edit_author("frank", |author| author.keys.push(key));
    shared.approve_by(&["alice", "bob"], "frank");
    client
        .offered(&shared)
        .refused_for(Code::SharedKey, "conex/authors/frank.toml");
    let mut claimed = honest.clone();
    claimed.claim("Bar", &["dave"]);
    claimed.approve_by(&["alice", "bob"], "Bar authorisation");
    client
        .offered(&claimed)
        .refused_for(Code::NameCollision, "bar");
}

#[test]
fn changes_that_are_not_known_cost_and_change_nothing() {
    let honest = Community::settled("plain");
    let client = Client::of(&honest);
    let mut odd = Changes::none();
    odd.add("../x");
    assert_eq!(odd, Changes::everywhere());
    let judge = |tree: &MemoryStore, changes: &Changes| {
        let update = Update {
            before: Before::dangerous_believed(&client.tree, &client.record),
            after: tree,
            changes,
            schemes: &KnownSchemes,
            crypto: &StandardCrypto,
            workers: &conex_core::tree::store::Sequential,
            mode: Mode::Warn,
            ahead: false,
        };
        update.run_fast()
    };
    let report = judge(&honest.tree, &odd);
    assert!(report.verified().is_some() && report.whole);
    let report = judge(&honest.tree, &Changes::none());
    assert!(report.verified().is_some() && !report.whole);
    let mut more = Changes::none();
    for (file, _) in honest.tree.files() {
        more.add(file);
    }
    assert!(judge(&honest.tree, &more).verified().is_some());
    let trust = Trust::Recorded(client.record.head());
    verify(&honest.tree, &trust, Mode::Warn, false).accepted();
}
