//! Too few people, the wrong ones, or one person as many.

use conex_core::model::crypto::{Namespace, Signer as _};
use conex_core::model::key::{PublicKey, Signature};
use conex_core::model::name::Id;
use conex_core::model::page::{Page, PageBody};
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Threshold;
use conex_core::state::chain::AnchorKeys;
use conex_core::tree::problem::Code;
use conex_tests::{Community, fingerprint, id, janitor, secret};

fn threshold(people: u16) -> Threshold {
    Threshold::new(people).unwrap()
}

/// A settled community in which janitors approve nothing alone.
fn strict() -> Community {
    Community::settled_by("plain", |root| {
        root.upkeep = root.quorum;
        root.unclaimed = root.quorum;
    })
}

#[test]
fn duplicate_count() {
    // Two pages, and two vouches, of one janitor.
    let mut community = strict();
    community.release("bar", "0.2", "bar in version 0.2\n");
    let vouches = [
        community.present("bar releases", "0.2"),
        community.present("bar/0.2 checksums", "0.1"),
    ];
    let mut twice = community.clone();
    twice.vouch("alice", &vouches);
    for vouch in &vouches {
        twice.vouch("alice", core::slice::from_ref(vouch));
    }
    twice.verify().refused(&[
        (Code::ContentDiffers, "bar"),
        (Code::NotApproved, "bar/0.2/data"),
    ]);
    community.vouch("alice", &vouches);
    community.vouch("bob", &vouches);
    community.verify().accepted();
}

#[test]
fn duplicate_count_of_keys() {
    // Two keys of one janitor.
    let mut community = strict();
    community.next_root(&["alice", "bob"], |root| {
        root.janitors[0]
            .keys
            .push(secret("alice#2").public_key().clone());
    });
    community.release("bar", "0.2", "bar in version 0.2\n");
    community.approve("alice", "bar");
    community.approve("alice#2", "bar");
    community.verify().refused(&[
        (Code::ContentDiffers, "bar"),
        (Code::NotApproved, "bar/0.2/data"),
    ]);
    community.approve("carol", "bar");
    community.verify().accepted();
}

#[test]
fn duplicate_count_of_ids() {
    // One key under two ids: an author lists a janitor's, or another author's.
    for (thief, key) in [("erin", "alice"), ("erin", "dave")] {
        let mut community = strict();
        let stolen = community.proven(thief, key);
        community.edit_author(thief, |author| author.keys.push(stolen));
        community.approve_by(&["alice", "bob"], "erin");
        let place = "conex/authors/erin.toml";
        community.verify().refused_for(Code::SharedKey, place);
    }
    let mut community = strict();
    let own = community.proven("erin", "erin#2");
    community.edit_author("erin", |author| author.keys.push(own));
    community.approve_by(&["alice", "bob"], "erin");
    community.verify().accepted();
    // Ids never differ in case alone: there is only one case.
    assert!(Id::parse("Alice").is_err());
    // A copied signature is not another one.
    let mut community = Community::found("plain", |_| ());
    community.release("foo", "1.0", "x");
    let copy = community.read(&Community::root_signature(1, "alice"));
    community.write(Community::root_signature(1, "bob").as_str(), copy);
    community.remove(&Community::root_signature(1, "carol"));
    community.verify().refused(&[
        (Code::Misnamed, Community::root_signature(1, "bob").as_str()),
        (Code::RootUnsigned, "conex/root/1.toml"),
    ]);
}

#[test]
fn duplicate_count_of_root_signatures() {
    // A key of alice's in bob's file does not make her two.
    let mut community = Community::found("plain", |_| ());
    community.release("foo", "1.0", "x");
    let copy = community.read(&Community::root_signature(1, "alice"));
    community.write(
        &Community::root_signature(1, "alice").replace("alice-", "bob-"),
        copy.replace("\"alice\"", "\"bob\""),
    );
    community.remove(&Community::root_signature(1, "bob"));
    community.verify().accepted();
    community.remove(&Community::root_signature(1, "carol"));
    community
        .verify()
        .refused(&[(Code::RootUnsigned, "conex/root/1.toml")]);
    community.sign_root("bob");
    community.verify().accepted();
}

#[test]
fn zero_threshold() {
    let honest = Community::settled("plain");
    for (file, from, to) in [
        ("conex/root/1.toml", "quorum = 2", "quorum = 0"),
        ("conex/root/1.toml", "quorum = 2", "quorum = -1"),
        ("conex/root/1.toml", "quorum = 2", "quorum = 4"),
        ("conex/root/1.toml", "quorum = 2", "quorum = 65536"),
        ("conex/root/1.toml", "quorum = 2\n", ""),
        ("conex/root/1.toml", "upkeep = 1", "upkeep = 0"),
        ("conex/root/1.toml", "upkeep = 1", "upkeep = 3"),
        ("conex/root/1.toml", "unclaimed = 1", "unclaimed = 0"),
        ("conex/root/1.toml", "unclaimed = 1", "unclaimed = 3"),
        ("conex/packages/foo.toml", "threshold = 1", "threshold = 0"),
        ("conex/packages/foo.toml", "threshold = 1", "threshold = -1"),
        ("conex/packages/foo.toml", "threshold = 1\n", ""),
        (
            "conex/packages/foo.toml",
            "owners = [\n  \"dave\",\n]\n",
            "",
        ),
        (
            "conex/packages/foo.toml",
            "owners = [\n  \"dave\",\n]\n",
            "owners = []\n",
        ),
        (
            "conex/teams/makers.toml",
            "members = [\n  \"dave\",\n  \"erin\",\n]\n",
            "",
        ),
    ] {
        let mut community = honest.clone();
        let text = honest.read(file);
        assert!(text.contains(from), "{from} is not in {text}");
        community.write(file, text.replacen(from, to, 1));
        community.verify().refused_for(Code::Malformed, file);
    }
    assert_eq!(Threshold::new(0), None);
    let keys = ["alice", "bob", "alice"].map(fingerprint);
    assert!(AnchorKeys::new(honest.origin().clone(), keys, threshold(3)).is_err());
    assert!(AnchorKeys::new(honest.origin().clone(), keys, threshold(2)).is_ok());
    assert!(AnchorKeys::new(honest.origin().clone(), [], threshold(1)).is_err());
}

#[test]
fn zero_threshold_is_not_an_unreachable_one() {
    // More owners than there are: a note, and the quorum remains.
    let mut community = Community::settled("plain");
    community.edit_claim("foo", |claim| claim.threshold = threshold(2));
    community.approve_by(&["alice", "bob"], "foo authorisation");
    let place = "conex/packages/foo.toml";
    let verdict = community.verify();
    verdict.notes(&[(Code::OutOfReach, place)]).refused(&[
        (Code::NotApproved, "foo"),
        (Code::NotApproved, "foo/1.0/data"),
        (Code::NotApproved, "foo/2.0/data"),
    ]);
    community.approve_by(&["alice", "bob"], "foo");
    community.verify().accepted();
}

/// Something that only a quorum may do.
type Guarded = (&'static str, Code, &'static str, fn(&mut Community));

#[test]
fn below_quorum() {
    let guarded: &[Guarded] = &[
        (
            "frank",
            Code::NotApproved,
            "conex/authors/frank.toml",
            |all| all.author("frank"),
        ),
        (
            "dave",
            Code::ContentDiffers,
            "conex/authors/dave.toml",
            |all| {
                let key = all.proven("dave", "dave#2");
                all.edit_author("dave", |author| author.keys.push(key));
            },
        ),
        (
            "players",
            Code::NotApproved,
            "conex/teams/players.toml",
            |all| {
                all.team("players", &["dave"]);
            },
        ),
        (
            "makers",
            Code::ContentDiffers,
            "conex/teams/makers.toml",
            |all| {
                all.edit_team("makers", |team| team.members.push(id("alice")));
            },
        ),
        (
            "bar authorisation",
            Code::NotApproved,
            "conex/packages/bar.toml",
            |all| {
                all.claim("bar", &["erin"]);
            },
        ),
        (
            "foo authorisation",
            Code::ContentDiffers,
            "conex/packages/foo.toml",
            |all| {
                all.edit_claim("foo", |claim| claim.owners.push(id("erin")));
            },
        ),
        (".", Code::ContentDiffers, "repo", |all| {
            all.write("repo", "redirect: \"evil\"\n");
        }),
        ("bar", Code::ContentDiffers, "bar/0.1/data", |all| {
            all.release("bar", "0.1", "evil\n");
        }),
        ("foo", Code::ContentDiffers, "foo/1.0/data", |all| {
            all.release("foo", "1.0", "evil\n");
        }),
    ];
    for (what, code, place, change) in guarded {
        let mut community = strict();
        change(&mut community);
        // One janitor, an author who has no say, and a key that is nobody's.
        community.approve("carol", what);
        community.approve("erin", what);
        community.approve("dave#thief", what);
        community
            .verify()
            .refused_for(*code, place)
            .saying(*code, &["1 more of the janitors: alice, bob"]);
        community.approve("alice", what);
        community.verify().accepted();
    }
}

#[test]
fn below_quorum_of_a_root() {
    let honest = Community::settled("plain");
    let mut community = honest.clone();
    community.next_root(&["alice"], |root| root.complete = true);
    community
        .verify()
        .refused(&[
            (Code::RootUnsigned, "conex/root/2.toml"), // by the janitors of root 1
            (Code::RootUnsigned, "conex/root/2.toml"), // by those of root 2
        ])
        .saying(Code::RootUnsigned, &["1 more of the janitors: bob, carol"]);
    // It is an approval ahead, where those may be.
    community.verify_main().accepted().notes(&[
        (Code::Ahead, "conex/root/2.toml"),
        (Code::Ahead, "conex/root/2.toml"),
    ]);
    community.sign_root("carol");
    community.verify().accepted();
    // The new quorum has to sign, too.
    let mut community = honest;
    community.next_root(&["alice", "bob"], |root| root.quorum = threshold(3));
    community
        .verify()
        .refused(&[(Code::RootUnsigned, "conex/root/2.toml")])
        .saying(Code::RootUnsigned, &["of its own janitors", "carol"]);
    community.sign_root("carol");
    // What two approved is not enough any more.
    community
        .verify()
        .refused_for(Code::NotApproved, "conex/teams/makers.toml");
    community.approve("carol", "*");
    community.verify().accepted();
}

#[test]
fn self_grant() {
    // An owner and the package: more owners, a lower threshold.
    let mut community = Community::settled("plain");
    community.edit_claim("lib", |claim| claim.owners = vec![id("erin")]);
    community.approve("erin", "lib");
    community
        .verify()
        .refused_for(Code::ContentDiffers, "conex/packages/lib.toml")
        .saying(
            Code::ContentDiffers,
            &["2 more of the janitors: alice, bob, carol"],
        );
    community.approve_by(&["alice", "bob"], "lib authorisation");
    community.verify().accepted();
    // An author and the own keys, a member and the own team.
    let mut community = Community::settled("plain");
    let key = community.proven("erin", "erin#2");
    community.edit_author("erin", |author| author.keys.push(key));
    community.approve("erin", "erin");
    community
        .verify()
        .refused_for(Code::ContentDiffers, "conex/authors/erin.toml");
    // A key that is not there yet, and approves itself.
    let mut community = Community::settled("plain");
    community.author("frank");
    community.approve("frank", "frank");
    community.approve("carol", "frank");
    let page = &community.pages("frank")[0];
    community
        .verify()
        .notes(&[(Code::InertPage, page)])
        .refused(&[(Code::NotApproved, "conex/authors/frank.toml")]);
    community.approve("alice", "frank");
    community.verify().accepted();
    // An author under a janitor's id does not sign as that janitor.
    let mut community = strict();
    community.author("alice#author");
    community.approve_by(&["bob", "carol"], "alice");
    community.verify().accepted();
    community.release("bar", "0.2", "bar in version 0.2\n");
    community.approve_by(&["alice#author", "bob"], "bar");
    community.verify().refused_for(Code::ContentDiffers, "bar");
    community.approve("alice", "bar");
    community.verify().accepted();
}

#[test]
fn self_grant_of_a_janitor() {
    let honest = Community::settled("plain");
    let mut community = honest.clone();
    let joins = |root: &mut conex_core::model::statement::RootFields| {
        root.janitors.push(janitor("mallory"));
    };
    community.next_root(&["mallory", "alice"], joins);
    community
        .verify()
        .refused(&[(Code::RootUnsigned, "conex/root/2.toml")])
        .saying(
            Code::RootUnsigned,
            &["1 of the janitors of the root before", "bob, carol"],
        );
    community.sign_root("bob");
    community.verify().accepted();
    // Nor does it help to bring the friends along.
    let mut community = honest;
    community.next_root(&["mallory", "eve", "alice"], |root| {
        root.janitors.push(janitor("mallory"));
        root.janitors.push(janitor("eve"));
    });
    community
        .verify()
        .refused(&[(Code::RootUnsigned, "conex/root/2.toml")]);
}

#[test]
fn removed_signer() {
    // A janitor leaves; without the pages listed, the votes are gone.
    let mut community = strict();
    let pages = community.pages("bob");
    let mut kept = community.clone();
    community.next_root(&["alice", "carol"], |root| {
        root.janitors.retain(|j| j.id != id("bob"));
    });
    let verdict = community.verify();
    verdict
        .refused_for(Code::NotApproved, "conex/teams/makers.toml")
        .unsigned(&["bar"]);
    assert!(pages.iter().all(|page| {
        verdict
            .with_code(Code::InertPage)
            .any(|note| *note.place == **page)
    }));
    // With them listed, all is as before; but nothing new counts.
    kept.next_root(&["alice", "carol"], |root| {
        root.janitors.retain(|j| j.id != id("bob"));
        root.former.push(former("bob", &pages));
    });
    kept.verify().accepted();
    kept.release("bar", "0.2", "bar in version 0.2\n");
    kept.approve_by(&["alice", "bob"], "bar");
    kept.verify().refused_for(Code::ContentDiffers, "bar");
    kept.approve("carol", "bar");
    kept.verify().accepted();
}

fn former(who: &str, pages: &[String]) -> conex_core::model::statement::FormerJanitor {
    conex_core::model::statement::FormerJanitor {
        id: id(who),
        former: conex_tests::former(who, pages),
    }
}

#[test]
fn removed_signer_in_the_same_update() {
    // Signed in time by somebody whom the same root removes, or whose key it revokes.
    let honest = strict();
    for revoked in [false, true] {
        let mut community = honest.clone();
        community.release("bar", "0.2", "bar in version 0.2\n");
        community.approve_by(&["alice", "bob"], "bar");
        community.verify().accepted();
        community.next_root(&["alice", "carol"], |root| {
            root.janitors.retain(|j| j.id != id("bob"));
            if revoked {
                root.revoked.push(fingerprint("bob"));
            }
        });
        community
            .verify()
            .refused_for(Code::NotApproved, "conex/teams/makers.toml")
            .unsigned(&["bar"]);
        community.approve("carol", "*");
        community.verify().accepted();
    }
}

#[test]
fn removed_signer_of_a_team_or_package() {
    let mut community = Community::settled("plain");
    community.edit_team("makers", |team| team.members = vec![id("dave")]);
    community.approve_by(&["alice", "bob"], "makers");
    community.verify().refused(&[
        (Code::NotApproved, "lib"),
        (Code::NotApproved, "lib/1/data"),
    ]);
    community.approve("dave", "lib");
    community.verify().accepted();
    community.edit_claim("foo", |claim| claim.owners = vec![id("erin")]);
    community.approve_by(&["alice", "bob"], "foo authorisation");
    community.verify().refused_for(Code::NotApproved, "foo");
    community.approve("dave", "foo");
    community.verify().refused_for(Code::NotApproved, "foo");
    community.approve("erin", "foo");
    community.verify().accepted();
}

/// A page of bob's for `bar`, with whatever signature `sign` makes of its message.
fn signed_by(community: &mut Community, sign: impl Fn(&[u8]) -> Signature) -> String {
    community.release("bar", "0.2", "bar in version 0.2\n");
    let vouches = vec![
        community.present("bar releases", "0.2"),
        community.present("bar/0.2 checksums", "0.1"),
    ];
    let body = PageBody::new(id("bob"), fingerprint("bob"), Vec::new(), vouches).unwrap();
    let signature = sign(&body.message(community.origin()));
    let place = community.publish("bob", body);
    let page = community.read(&place);
    community.remove(&place);
    let honest = Page::from_bytes(page.as_bytes()).unwrap();
    community.plant(&page.replace(&honest.signature().armour(), &signature.armour()))
}

/// Signs a message in some wrong way.
type Forge = dyn Fn(&[u8]) -> Signature;

fn sign(who: &str, namespace: Namespace, message: &[u8]) -> Signature {
    let Ok(signature) = secret(who).sign(namespace, message);
    signature
}

fn edit(signature: &Signature, from: &[u8], to: &[u8]) -> Signature {
    let blob = signature.blob();
    let mut windows = blob.windows(from.len());
    let at = windows.position(|window| window == from).unwrap();
    let edited = [&blob[..at], to, &blob[at + from.len()..]].concat();
    Signature::from_blob(edited).unwrap()
}

#[test]
fn algorithm_confusion() {
    let forgeries: &[&Forge] = &[
        &|message| sign("bob", Namespace::Root, message),
        &|message| sign("bob", Namespace::Possession, message),
        &|message| sign("mallory", Namespace::Page, message),
        &|message| sign("bob", Namespace::Page, &message[1..]),
        &|message| edit(&sign("bob", Namespace::Page, message), b"sha512", b"sha256"),
        &|message| {
            edit(
                &sign("bob", Namespace::Root, message),
                b"conex-1-root",
                b"conex-1-page",
            )
        },
        &|message| {
            edit(
                &sign("bob", Namespace::Page, message),
                b"ssh-ed25519",
                b"ssh-ed25518",
            )
        },
        &|message| {
            edit(
                &sign("bob", Namespace::Page, message),
                b"SSHSIG\0\0\0\x01",
                b"SSHSIG\0\0\0\0",
            )
        },
        &|_| Signature::from_blob(Vec::new()).unwrap(),
        &|_| Signature::from_blob(vec![0; 4096]).unwrap(),
    ];
    for forge in forgeries {
        let mut community = Community::settled("plain");
        let page = signed_by(&mut community, forge);
        community.verify().refused_for(Code::BadSignature, &page);
    }
    let mut community = Community::settled("plain");
    signed_by(&mut community, |message| {
        sign("bob", Namespace::Page, message)
    });
    community.verify().accepted();
}

#[test]
fn algorithm_confusion_of_keys() {
    let blob = |algorithm: &str, parts: &[&[u8]]| {
        let mut blob = Vec::new();
        for part in [algorithm.as_bytes()].iter().chain(parts) {
            blob.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
            blob.extend_from_slice(part);
        }
        PublicKey::from_blob(blob).unwrap()
    };
    let honest = secret("mallory").public_key().clone();
    let point = honest.blob()[honest.blob().len() - 32..].to_vec();
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut longer = point.clone();
    longer.push(0);
    // An odd modulus of 2,048 bits, with the zero that keeps it positive.
    let mut odd = [0xc1; 257];
    odd[0] = 0;
    let weak = [
        blob("ssh-ed25519", &[&[0; 32]]),
        blob("ssh-ed25519", &[&identity]),
        blob("ssh-ed25519", &[&[0xff; 32]]),
        blob("ssh-ed25519", &[&longer]),
        blob("ssh-ed25519", &[&point, b"more"]),
        blob("ssh-ed25519", &[]),
        blob("ssh-rsa", &[&[3], &[0xc0; 128]]),
        blob("ssh-rsa", &[&[1], &[0xc0; 256]]),
        blob("ssh-rsa", &[&[1], &odd]),
        blob("ssh-rsa", &[&[1, 0, 1], &odd[..129]]),
        blob("ssh-rsa", &[&[1, 0, 0], &odd]),
        blob("ecdsa-sha2-nistp256", &[b"nistp256", &point]),
        blob("sk-ssh-ed25519@openssh.com", &[&point, b"example.org"]),
        blob("ssh-dss", &[&point]),
        blob("none", &[]),
    ];
    for key in weak {
        let mut community = Community::settled("plain");
        community.next_root(&["alice", "bob"], |root| {
            root.janitors[2].keys = vec![key.clone()];
        });
        // A newer program may know what this one does not.
        let known = !["ssh-dss", "none"].contains(&key.algorithm());
        let code = if known { Code::BadKey } else { Code::Upgrade };
        community.verify().refused(&[(code, "conex/root/2.toml")]);
        let mut community = Community::settled("plain");
        let mut listed = community.proven("erin", "erin#2");
        listed.key = key;
        community.edit_author("erin", |author| author.keys.push(listed));
        community.approve_by(&["alice", "bob"], "erin");
        community
            .verify()
            .refused(&[(code, "conex/authors/erin.toml")]);
    }
    // The proof is of that key, that id, that repository.
    for (who, key) in [("erin", "frank"), ("dave", "erin#2")] {
        let mut community = Community::settled("plain");
        let mut listed = community.proven(who, "erin#2");
        listed.key = secret(key).public_key().clone();
        if key == "erin#2" {
            assert_eq!(listed, community.proven("dave", "erin#2"));
        }
        community.edit_author("erin", |author| author.keys.push(listed));
        community.approve_by(&["alice", "bob"], "erin");
        community
            .verify()
            .refused(&[(Code::BadProof, "conex/authors/erin.toml")]);
    }
    let other = Community::found("plain", |root| root.origin = "elsewhere".parse().unwrap());
    let mut community = Community::settled("plain");
    let listed = other.proven("erin", "erin#2");
    community.edit_author("erin", |author| author.keys.push(listed));
    community.approve_by(&["alice", "bob"], "erin");
    community
        .verify()
        .refused(&[(Code::BadProof, "conex/authors/erin.toml")]);
}
