//! Keys and people are lost, stolen and retired.

use conex_core::model::version::Version;
use conex_core::model::vouch::Vouch;
use conex_core::tree::problem::Code;
use conex_core::verify::Mode;
use conex_tests::{Community, fingerprint, former, id, subject, version};

const LAST: &str = "0.18446744073709551615";

/// A vouch of a thief's for content of their own.
fn stolen(what: &str, under: Version) -> Vouch {
    Vouch {
        subject: subject(what),
        version: under,
        digest: conex_core::model::digest::Digest::from_bytes([0xee; 32]),
    }
}

#[test]
fn fast_forward() {
    // Of a claimed package, with its only owner's key.
    let mut community = Community::settled("plain");
    community.vouch("dave", &[stolen("foo releases", version(LAST))]);
    community.verify().refused(&[(Code::Behind, "foo")]);
    // Nobody can go beyond: the counter is at its end.
    assert_eq!(version(LAST).next(), None);
    assert_eq!(
        community.approve_all("alice", |finding| finding.subject.name() == "foo"),
        None
    );
    // Either the epoch is raised,
    let mut raised = community.clone();
    raised.edit_claim("foo", |claim| claim.epoch = 1);
    raised.approve_by(&["alice", "bob"], "foo authorisation");
    raised.verify().refused_for(Code::NotApproved, "foo");
    raised.approve_by(&["alice", "bob"], "foo");
    raised.verify().accepted();
    // or the key is revoked; its versions set no floor then.
    let pages = community.pages("dave");
    let key = community.proven("dave", "dave#2");
    community.next_root(&["alice", "bob"], |root| {
        root.revoked.push(fingerprint("dave"));
    });
    community.edit_author("dave", |author| {
        author.keys = vec![key];
        author.former = vec![former("dave", &pages[..0])];
    });
    community.approve_by(&["alice", "bob"], "dave");
    community.verify().refused_for(Code::NotApproved, "foo");
    community.approve("dave#2", "foo");
    community.verify().accepted();
}

#[test]
fn fast_forward_of_an_unclaimed_package() {
    let mut community = Community::settled("plain");
    community.vouch("carol", &[stolen("bar releases", version(LAST))]);
    community.verify().refused(&[(Code::Behind, "bar")]);
    let mut claimed = community.clone();
    claimed.claim("bar", &["janitors"]);
    claimed.edit_claim("bar", |claim| claim.epoch = 1);
    claimed.approve_by(&["alice", "bob"], "bar authorisation");
    claimed.approve("alice", "bar");
    claimed.verify().accepted();
    community.next_root(&["alice", "bob"], |root| {
        root.janitors.retain(|janitor| janitor.id != id("carol"));
        root.revoked.push(fingerprint("carol"));
    });
    community.verify().accepted();
}

#[test]
fn fast_forward_of_what_a_quorum_guards() {
    // One janitor's counter keeps nobody from approving.
    let about = [
        "dave author",
        "makers team",
        "foo authorisation",
        ". repository",
    ];
    let mut community = Community::settled("plain");
    let vouches: Vec<Vouch> = about
        .iter()
        .map(|what| stolen(what, version(LAST)))
        .collect();
    community.vouch("carol", &vouches);
    community.vouch(
        "carol",
        &[stolen("foo authorisation", version("4294967295.1"))],
    );
    community.verify().accepted();
    community.write("repo", "stamp: \"2\"\n");
    community.edit_claim("foo", |claim| claim.owners.push(id("erin")));
    community.edit_team("makers", |team| team.members.push(id("bob")));
    let key = community.proven("dave", "dave#2");
    community.edit_author("dave", |author| author.keys.push(key));
    for what in ["dave", "makers", "foo authorisation", "."] {
        community.approve_by(&["alice", "bob"], what);
    }
    community.verify().accepted();
    assert_eq!(
        community.present("dave author", "0.2"),
        Vouch {
            version: version("0.2"),
            ..community.present("dave author", "0.1")
        }
    );
}

#[test]
fn key_theft() {
    // A thief signs as dave. The root revokes the key; pages made before are listed as accepted.
    let mut community = Community::settled("plain");
    let before = community.pages("dave");
    community.release("foo", "6.6", "evil\n");
    community.approve("dave", "foo");
    community.verify().accepted();
    community.next_root(&["alice", "carol"], |root| {
        root.revoked.push(fingerprint("dave"));
    });
    let verdict = community.verify();
    verdict.refused_for(Code::NotApproved, "foo");
    assert_eq!(verdict.with_code(Code::InertPage).count(), 2);
    let key = community.proven("dave", "dave#2");
    community.edit_author("dave", |author| {
        author.keys = vec![key];
        author.former = vec![former("dave", &before)];
    });
    community.approve_by(&["alice", "carol"], "dave");
    community.verify().refused(&[
        (Code::ContentDiffers, "foo"),
        (Code::NotApproved, "foo/6.6/data"),
    ]);
    community.remove("foo/6.6");
    community.verify().accepted();
    // Nothing new under the stolen key, and no need to approve the old anew.
    community.release("foo", "3.0", "foo in version 3.0\n");
    community.approve("dave", "foo");
    community.verify().refused_for(Code::ContentDiffers, "foo");
    community.approve("dave#2", "foo");
    community.verify().accepted();
    // Listing the key again does not bring it back.
    let key = community.proven("dave", "dave");
    community.edit_author("dave", |author| {
        author.keys.push(key);
        author.former.clear();
    });
    community.approve_by(&["alice", "carol"], "dave");
    let verdict = community.verify();
    assert_eq!(verdict.with_code(Code::InertPage).count(), 3);
}

#[test]
fn key_theft_of_a_janitor() {
    let mut community = Community::settled("plain");
    let pages = community.pages("bob");
    let mut bare = community.clone();
    let change = |root: &mut conex_core::model::statement::RootFields| {
        let key = conex_tests::secret("bob#2").public_key().clone();
        root.janitors[1].keys = vec![key];
        root.revoked.push(fingerprint("bob"));
    };
    bare.next_root(&["alice", "carol"], change);
    bare.verify()
        .refused_for(Code::NotApproved, "conex/authors/dave.toml");
    community.next_root(&["alice", "carol"], |root| {
        change(root);
        root.former
            .push(conex_core::model::statement::FormerJanitor {
                id: id("bob"),
                former: former("bob", &pages),
            });
    });
    community.verify().accepted();
    // What the thief signs now is for nothing.
    community.claim("bar", &["janitors"]);
    community.approve_by(&["alice", "bob"], "bar authorisation");
    community
        .verify()
        .refused_for(Code::NotApproved, "conex/packages/bar.toml");
    community.approve("bob#2", "bar authorisation");
    community.verify().accepted();
}

#[test]
fn key_loss() {
    // The key is gone: others ask for a new one, and the old pages go on counting.
    let mut community = Community::settled("plain");
    let pages = community.pages("dave");
    let key = community.proven("dave", "dave#2");
    community.edit_author("dave", |author| {
        author.keys = vec![key];
        author.former = vec![former("dave", &pages)];
    });
    community.approve("alice", "dave");
    community
        .verify()
        .refused_for(Code::ContentDiffers, "conex/authors/dave.toml");
    community.approve("bob", "dave");
    community.verify_in(Mode::Enforce).accepted();
    // Without the old pages listed, everything of theirs waits for approval.
    community.edit_author("dave", |author| author.former.clear());
    community.approve_by(&["alice", "bob"], "dave");
    community.verify().refused(&[
        (Code::NotApproved, "foo"),
        (Code::NotApproved, "foo/1.0/data"),
        (Code::NotApproved, "foo/2.0/data"),
    ]);
    community.approve("dave#2", "foo");
    community.verify().accepted();
}

#[test]
fn retired_author() {
    let mut community = Community::settled("plain");
    let pages = community.pages("erin");
    community.edit_team("makers", |team| team.members = vec![id("dave")]);
    community.approve_by(&["alice", "bob"], "makers");
    community.approve("dave", "lib");
    let retire = |author: &mut conex_core::model::statement::AuthorFields| {
        author.keys.clear();
        author.former = vec![former("erin", &pages)];
        author.retired = true;
    };
    // One janitor alone retires nobody; a quorum does.
    community.edit_author("erin", retire);
    community.approve("carol", "erin");
    community
        .verify()
        .refused_for(Code::ContentDiffers, "conex/authors/erin.toml");
    community.approve("alice", "erin");
    community.verify().accepted();
    // Who is retired owns nothing; in a team, their accepted pages go on counting.
    let mut owner = community.clone();
    owner.claim("bar", &["erin"]);
    owner.approve_by(&["alice", "bob"], "bar authorisation");
    owner
        .verify()
        .refused_for(Code::Retired, "conex/packages/bar.toml");
    community.edit_team("makers", |team| team.members = vec![id("bob"), id("erin")]);
    community.approve_by(&["alice", "bob"], "makers");
    community.verify().accepted();
}

#[test]
fn retired_team() {
    let mut community = Community::settled("plain");
    community.edit_team("makers", |team| team.retired = true);
    community.approve_by(&["alice", "bob"], "makers");
    community
        .verify()
        .refused_for(Code::Retired, "conex/packages/lib.toml");
    community.edit_claim("lib", |claim| claim.owners = vec![id("erin")]);
    community.approve_by(&["alice", "bob"], "lib authorisation");
    community.verify().accepted();
}

#[test]
fn retired_package() {
    let mut community = Community::settled("plain");
    community.edit_claim("foo", |claim| claim.retired = true);
    community.approve("dave", "foo authorisation");
    community
        .verify()
        .refused_for(Code::ContentDiffers, "conex/packages/foo.toml");
    community.approve_by(&["alice", "bob"], "foo authorisation");
    community.verify().refused(&[(Code::Retired, "foo")]);
    community.remove("foo");
    community.verify().accepted();
}

#[test]
fn unknown_owner() {
    let mut community = Community::settled("plain");
    community.claim("bar", &["frank"]);
    community.approve_by(&["alice", "bob"], "bar authorisation");
    community
        .verify()
        .refused_for(Code::UnknownOwner, "conex/packages/bar.toml");
    community.author("frank");
    community.approve_by(&["alice", "bob"], "frank");
    community.approve("frank", "bar");
    community.verify().accepted();
}
