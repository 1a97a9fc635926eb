//! Steps that are harmless one by one and not together: what was removed or revoked stays so.

use crate::updates::strip;
use conex_core::model::vouch::Vouch;
use conex_core::tree::metadata::place;
use conex_core::tree::problem::Code;
use conex_tests::{Client, Community, fingerprint, former};

#[test]
fn removed_and_back() {
    // Of nobody, and of somebody.
    for (name, who) in [("baz", "carol"), ("foo", "dave")] {
        let mut old = Community::settled("plain");
        old.release("baz", "0.1", "baz\n");
        old.approve("carol", "baz");
        let mut gone = old.clone();
        for (file, _) in old.tree.files() {
            if file.starts_with(&format!("{name}/")) {
                gone.remove(file);
            }
        }
        gone.approve(who, name);
        let mut client = Client::of(&old);
        client.follow(&gone).accepted();

        // What says so is left out: in one step, and as the first of two.
        let mut silent = gone.clone();
        strip(&mut silent, &old);
        client.offered(&silent).refused_for(Code::Missing, name);
        for page in old.pages(who) {
            silent.remove(&page);
        }
        silent.verify_from(&silent.anchor()).accepted();
        let code = match name {
            "foo" => Code::Rollback,
            _ => Code::Stripped,
        };
        client.follow(&silent).refused_for(code, name);
        client.follow(&old).refused_for(Code::Rollback, name);

        // Who removed it may bring it back, and clients of any age follow.
        let mut back = gone.clone();
        back.release(name, "9.0", "again\n");
        back.approve(who, name);
        client.follow(&back).accepted();
        Client::of(&old).follow(&back).accepted();
    }
}

#[test]
fn removed_and_back_a_release() {
    let old = Community::settled("plain");
    let mut gone = old.clone();
    gone.remove("foo/2.0/data");
    gone.approve("dave", "foo");
    let mut client = Client::of(&old);
    client.follow(&gone).accepted();
    // The release is approved anew, in a greater version of all there is but of its own files.
    let mut hostile = gone.clone();
    hostile.write("foo/2.0/data", old.read("foo/2.0/data"));
    let again = hostile.present("foo releases", "0.9");
    hostile.vouch("dave", &[again]);
    client
        .offered(&hostile)
        .refused_for(Code::Behind, "foo/2.0/data");
    strip(&mut hostile, &old);
    client.offered(&hostile).refused_for(Code::Rollback, "foo");
    // Nor is its absence forgotten while it is gone.
    let mut silent = gone.clone();
    let releases = silent.present("foo releases", "0.9");
    strip(&mut silent, &old);
    silent.vouch("dave", &[releases]);
    silent.verify().accepted();
    client.offered(&silent).refused(&[(Code::Rollback, "foo")]);

    let mut back = gone.clone();
    back.release("foo", "2.0", "mended\n");
    back.approve("dave", "foo");
    client.follow(&back).accepted();
    Client::of(&old).follow(&back).accepted();
}

#[test]
fn removed_and_back_without_an_approved_absence() {
    let old = Community::settled("plain");
    let mut gone = old.clone();
    gone.remove("foo/2.0/data");
    let releases = gone.present("foo releases", "0.9");
    gone.vouch("dave", core::slice::from_ref(&releases));
    let mut client = Client::of(&old);
    client.follow(&gone).accepted();
    strip(&mut gone, &old);
    gone.vouch("dave", &[releases]);
    client.follow(&gone).accepted();
}

#[test]
fn a_name_that_is_given_to_somebody_else_is_followed_from_any_earlier_state() {
    let old = Community::settled("plain");
    let mut gone = old.clone();
    gone.remove("bar/0.1/data");
    gone.approve("carol", "bar");
    // Erin claims the name, and its absence with it.
    let mut claimed = gone.clone();
    claimed.claim("bar", &["erin"]);
    claimed.approve_by(&["alice", "bob"], "bar authorisation");
    Client::of(&gone)
        .offered(&claimed)
        .refused(&[(Code::Rollback, "bar")]);
    let absence = claimed.gone("bar", "0.2");
    claimed.vouch("erin", &[absence]);
    let mut published = claimed.clone();
    published.release("bar", "1.0", "erin's\n");
    published.approve("erin", "bar");
    let states = [&old, &gone, &claimed, &published];
    for (at, from) in states.iter().enumerate() {
        for to in states.iter().skip(at) {
            Client::of(from).offered(to).accepted();
        }
    }
}

/// Alice approved the first content of bar, and carol, whose key is stolen since, the second; alice adopts the
/// latter, and the root that revokes carol's key says so, or does not.
fn revocation(with_floor: bool) -> [Community; 4] {
    let mut first = Community::settled("plain");
    first.release("bar", "0.1", "first\n");
    first.approve("alice", "bar");
    let mut second = first.clone();
    second.release("bar", "0.1", "second\n");
    second.approve("carol", "bar");
    let adopted: Vec<Vouch> = ["bar releases", "bar/0.1 checksums"]
        .iter()
        .map(|what| second.present(what, "0.9"))
        .collect();
    let mut revoked = second.clone();
    let floor = if with_floor {
        revoked.keep(&adopted)
    } else {
        Vec::new()
    };
    let kept = revoked.pages("carol");
    revoked.next_root(&["alice", "bob"], |root| {
        root.janitors
            .retain(|janitor| janitor.id.as_str() != "carol");
        root.revoked.push(fingerprint("carol"));
        let kept: Vec<String> = kept
            .iter()
            .filter(|it| first.tree.get(it).is_some())
            .cloned()
            .collect();
        root.former
            .push(conex_core::model::statement::FormerJanitor {
                id: conex_tests::id("carol"),
                former: former("carol", &kept),
            });
        root.floor = floor;
    });
    let mut honest = revoked.clone();
    honest.vouch("alice", &adopted);
    // The adopting page is held back, and what stood below is served.
    let mut hostile = revoked;
    hostile.write("bar/0.1/data", first.read("bar/0.1/data"));
    [first, second, honest, hostile]
}

#[test]
fn revocation_as_rollback() {
    let [first, second, honest, hostile] = revocation(true);
    for from in [&first, &second] {
        let client = Client::of(from);
        client.offered(&honest).accepted();
        let verdict = client.offered(&hostile);
        verdict.refused_for(Code::Rollback, "bar");
    }
    honest.verify_from(&honest.anchor()).accepted();
    let fresh = hostile.verify_from(&hostile.anchor());
    fresh.refused_for(Code::Rollback, "bar");
    // What a root does not keep falls with the key: that is what a revocation is for.
    let [_, second, _, hostile] = revocation(false);
    Client::of(&second).offered(&hostile).accepted();
}

#[test]
fn a_floor_is_there_as_its_root_names_it_and_is_never_lowered() {
    let [_, _, honest, _] = revocation(true);
    let batch = honest.root().floor.first().expect("one batch").clone();
    let stored = place::batch(batch.digest());
    let mut without = honest.clone();
    without.remove(stored.as_str());
    without
        .verify_from(&without.anchor())
        .refused(&[(Code::BatchMissing, "conex/root/2.toml")]);
    let mut lowered = honest.clone();
    lowered.next_root(&["alice", "bob"], |root| root.floor.clear());
    lowered
        .verify_from(&lowered.anchor())
        .refused(&[(Code::RootSticky, "conex/root/3.toml")]);
    let mut kept = honest.clone();
    kept.next_root(&["alice", "bob"], |root| root.complete = true);
    Client::of(&honest).offered(&kept).accepted();
}

#[test]
fn what_is_concerned_of_a_floor_is_looked_at_in_the_fast_way() {
    let [_, _, honest, _] = revocation(true);
    let client = Client::of(&honest);
    let mut newer = honest.clone();
    newer.release("bar", "0.1", "third\n");
    newer.approve("alice", "bar");
    client.offered(&newer).accepted();
    let mut other = honest.clone();
    other.release("foo", "3.0", "three\n");
    other.approve("dave", "foo");
    client.offered(&other).accepted();
}
