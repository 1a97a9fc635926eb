//! One attack each that is refused, or that has to be harmless.

use conex_core::model::digest::Digest;
use conex_core::model::page::Page;
use conex_core::model::statement::Scheme;
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Threshold;
use conex_core::model::vouch::Vouch;
use conex_core::verify::Mode;
use conex_tests::{Community, fingerprint, former, id, janitor, opam_file, secret};

use super::{FRESH, STRICT, Story, Way, by};

pub(super) fn threshold(people: u16) -> Threshold {
    Threshold::new(people).expect("stories use thresholds above zero")
}

pub(super) fn forge(community: &mut Community, place: &str, from: &str, to: &str) {
    let text = community.read(place);
    assert!(text.contains(from), "{from} is not in {text}");
    community.write(place, text.replacen(from, to, 1));
}

pub(super) const PLAIN: &[Story] = &[
    // Roots.
    ("root-missing", false, |all| all.remove("conex"), FRESH),
    (
        "root-number",
        false,
        |all| {
            let text = all.read("conex/root/1.toml");
            all.write("conex/root/2.toml", text);
        },
        FRESH,
    ),
    (
        "root-gap",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |_| ());
            all.remove("conex/root/1.toml");
            all.remove("conex/root/1");
        },
        FRESH,
    ),
    (
        "root-previous",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                root.previous = Some(Digest::from_bytes([7; 32]));
            });
        },
        FRESH,
    ),
    (
        "root-unsigned",
        false,
        |all| all.next_root(&["alice"], |root| root.complete = true),
        FRESH,
    ),
    (
        "root-self-grant",
        false,
        |all| {
            all.next_root(&["alice", "mallory"], |root| {
                root.janitors.push(janitor("mallory"));
            });
        },
        FRESH,
    ),
    (
        "root-sticky",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| root.complete = true);
            all.next_root(&["alice", "bob"], |root| root.complete = false);
        },
        FRESH,
    ),
    (
        "root-unrevokes",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                root.revoked.push(fingerprint("mallory"));
            });
            all.next_root(&["alice", "bob"], |root| root.revoked.clear());
        },
        FRESH,
    ),
    (
        "root-revokes-own",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                root.revoked.push(fingerprint("carol"));
            });
        },
        FRESH,
    ),
    (
        "root-signature",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |_| ());
            let old = all.read(&Community::root_signature(1, "alice"));
            all.write(&Community::root_signature(2, "alice"), old);
        },
        FRESH,
    ),
    (
        "root-newer",
        false,
        |all| forge(all, "conex/root/1.toml", "format = 1", "format = 2"),
        FRESH,
    ),
    (
        "root-layout",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                root.layout = Scheme::parse("future").expect("a name");
            });
        },
        FRESH,
    ),
    (
        "root-checkpoints",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                root.checkpoints
                    .keys
                    .push(secret("clock").public_key().clone());
                root.checkpoints.required = true;
            });
        },
        FRESH,
    ),
    (
        "anchor-strangers",
        false,
        |_| (),
        Way {
            keys: Some((&["mallory", "alice"], 2)),
            ..FRESH
        },
    ),
    (
        "anchor-listed-only",
        false,
        |all| all.remove(&Community::root_signature(1, "alice")),
        Way {
            keys: Some((&["alice"], 1)),
            ..FRESH
        },
    ),
    (
        "anchor-newest",
        true,
        |all| all.next_root(&["alice", "bob"], |_| ()),
        Way {
            newest: true,
            ..FRESH
        },
    ),
    // Data.
    (
        "content-differs",
        false,
        |all| all.release("foo", "1.0", "Other data.\n"),
        FRESH,
    ),
    (
        "content-differs-observed",
        false,
        |all| all.release("foo", "1.0", "Other data.\n"),
        Way {
            mode: Mode::Observe,
            ..FRESH
        },
    ),
    (
        "file-added",
        false,
        |all| all.write("foo/1.0/more", "x\n"),
        FRESH,
    ),
    (
        "file-unaccounted",
        false,
        |all| all.write("foo/file", "x\n"),
        FRESH,
    ),
    (
        "file-unaccounted-metadata",
        false,
        |all| all.write("conex/file", "x\n"),
        FRESH,
    ),
    (
        "release-missing",
        false,
        |all| {
            all.release("foo", "2.0", "x\n");
            all.approve("dave", "foo");
            all.remove("foo/1.0");
        },
        FRESH,
    ),
    (
        "package-missing",
        false,
        |all| {
            all.release("new", "1", "x\n");
            all.remove("foo");
        },
        FRESH,
    ),
    ("empty", false, |all| all.remove("foo"), FRESH),
    (
        "unsigned-enforced",
        false,
        |all| all.release("new", "1", "x\n"),
        STRICT,
    ),
    (
        "unsigned-complete",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| root.complete = true);
            all.release("new", "1", "x\n");
        },
        FRESH,
    ),
    (
        "unsigned-but-for-a-release-that-is-gone",
        false,
        |all| {
            all.release("new", "1", "x\n");
            let gone = all.release_gone("new", "0.9", "0.1");
            all.vouch("carol", &[gone]);
        },
        FRESH,
    ),
    (
        "name-case",
        false,
        |all| all.release("Foo", "1.0", "x\n"),
        FRESH,
    ),
    (
        "name-device",
        false,
        |all| all.write("foo/1.0/nul", "x\n"),
        FRESH,
    ),
    // Versions.
    (
        "behind-data",
        false,
        |all| {
            let old = all.read("foo/1.0/data");
            all.release("foo", "1.0", "New data.\n");
            all.approve("dave", "foo");
            all.release("foo", "1.0", &old);
        },
        FRESH,
    ),
    (
        "behind-author",
        false,
        |all| {
            let old = all.read("conex/authors/dave.toml");
            let key = all.proven("dave", "dave#2");
            all.edit_author("dave", |author| author.keys.push(key));
            by(all, "dave");
            all.write("conex/authors/dave.toml", old);
        },
        FRESH,
    ),
    (
        "behind-authorisation",
        false,
        |all| {
            let old = all.read("conex/packages/foo.toml");
            all.edit_claim("foo", |claim| claim.owners.push(id("alice")));
            by(all, "foo authorisation");
            all.write("conex/packages/foo.toml", old);
        },
        FRESH,
    ),
    (
        "behind-repository",
        false,
        |all| {
            all.write("repo", "1\n");
            by(all, ".");
            all.write("repo", "2\n");
            by(all, ".");
            all.write("repo", "1\n");
        },
        FRESH,
    ),
    (
        "equivocation",
        false,
        |all| {
            let old = all.present("foo releases", "0.2");
            all.release("foo", "2.0", "x\n");
            all.approve("dave", "foo");
            all.vouch("dave", &[old]);
        },
        FRESH,
    ),
    (
        "equivocation-absent",
        false,
        |all| {
            all.release("new", "1", "x\n");
            all.approve("carol", "new");
            let gone = all.gone("new", "0.1");
            all.vouch("alice", &[gone]);
            all.remove("new");
        },
        FRESH,
    ),
    (
        "unsigned-repository-file",
        false,
        |all| all.write("repo", "x\n"),
        STRICT,
    ),
    (
        "name-case-of-a-claim",
        false,
        |all| {
            all.claim("New", &["dave"]);
            by(all, "New authorisation");
            all.release("new", "1", "x\n");
        },
        FRESH,
    ),
    (
        "name-case-at-the-top",
        false,
        |all| all.write("Conex/1/data", "x\n"),
        FRESH,
    ),
    (
        "fast-forward",
        false,
        |all| {
            let vouch = all.gone("foo", "0.18446744073709551615");
            all.vouch("dave", &[vouch]);
        },
        FRESH,
    ),
    (
        "epoch-void",
        false,
        |all| {
            all.edit_claim("foo", |claim| claim.epoch = 1);
            by(all, "foo authorisation");
        },
        FRESH,
    ),
    (
        "epoch-above",
        true,
        |all| {
            let vouch = all.gone("foo", "1.1");
            all.vouch("dave", &[vouch]);
        },
        FRESH,
    ),
    // People.
    (
        "below-quorum-author",
        false,
        |all| {
            all.author("erin");
            all.approve("alice", "erin");
        },
        FRESH,
    ),
    (
        "below-quorum-authorisation",
        false,
        |all| {
            all.edit_claim("foo", |claim| claim.owners.push(id("alice")));
            all.approve("alice", "foo authorisation");
        },
        FRESH,
    ),
    (
        "below-quorum-releases",
        false,
        |all| {
            all.release("foo", "2.0", "x\n");
            all.approve("alice", "foo");
        },
        FRESH,
    ),
    (
        "below-threshold",
        false,
        |all| {
            all.edit_claim("foo", |claim| {
                claim.owners.push(id("alice"));
                claim.threshold = threshold(2);
            });
            by(all, "foo authorisation");
            all.release("foo", "2.0", "x\n");
            all.approve("dave", "foo");
        },
        FRESH,
    ),
    (
        "ways-do-not-add-up",
        false,
        |all| {
            all.edit_claim("foo", |claim| {
                claim.owners.push(id("carol"));
                claim.threshold = threshold(2);
            });
            by(all, "foo authorisation");
            all.approve("carol", "foo");
            all.release("foo", "2.0", "x\n");
            all.approve("dave", "foo");
            all.approve("bob", "foo");
        },
        FRESH,
    ),
    (
        "self-grant",
        false,
        |all| {
            all.edit_claim("foo", |claim| claim.threshold = threshold(2));
            all.approve("dave", "foo authorisation");
        },
        FRESH,
    ),
    (
        "removed-janitor",
        false,
        |all| {
            all.next_root(&["alice", "carol"], |root| {
                root.janitors.retain(|janitor| janitor.id != id("bob"));
            });
        },
        FRESH,
    ),
    (
        "revoked-key",
        false,
        |all| {
            all.next_root(&["alice", "bob"], |root| {
                root.revoked.push(fingerprint("dave"));
            });
        },
        FRESH,
    ),
    (
        "unknown-owner",
        false,
        |all| {
            all.edit_claim("foo", |claim| claim.owners.push(id("nobody")));
            by(all, "foo authorisation");
        },
        FRESH,
    ),
    (
        "retired-owner",
        false,
        |all| {
            let pages = all.pages("dave");
            all.edit_author("dave", |author| {
                author.keys.clear();
                author.former = vec![former("dave", &pages)];
                author.retired = true;
            });
            by(all, "dave");
        },
        FRESH,
    ),
    (
        "retired-package",
        false,
        |all| {
            all.edit_claim("foo", |claim| claim.retired = true);
            by(all, "foo authorisation");
        },
        FRESH,
    ),
    (
        "shared-key",
        false,
        |all| {
            all.author("erin");
            let key = all.proven("erin", "dave");
            all.edit_author("erin", |author| author.keys.push(key));
            by(all, "erin");
        },
        FRESH,
    ),
    (
        "unproven-key",
        false,
        |all| {
            all.author("erin");
            let key = all.proven("dave", "erin#2");
            all.edit_author("erin", |author| author.keys.push(key));
            by(all, "erin");
        },
        FRESH,
    ),
    (
        "id-of-team-and-author",
        false,
        |all| {
            all.team("dave", &["alice"]);
            by(all, "dave team");
        },
        FRESH,
    ),
    (
        "id-of-team-and-janitor",
        false,
        |all| {
            all.team("carol", &["dave"]);
            by(all, "carol");
        },
        FRESH,
    ),
    (
        "author-missing",
        false,
        |all| all.remove("conex/authors/dave.toml"),
        FRESH,
    ),
    (
        "authorisation-missing",
        false,
        |all| all.remove("conex/packages/foo.toml"),
        FRESH,
    ),
    // Pages.
    (
        "page-forged",
        false,
        |all| {
            let page = all.pages("dave").concat();
            let text = all.read(&page);
            all.remove(&page);
            all.plant(&text.replacen(" 0.1 ", " 0.2 ", 1));
        },
        FRESH,
    ),
    (
        "page-misnamed",
        false,
        |all| {
            let page = all.pages("dave").concat();
            let text = all.read(&page);
            all.remove(&page);
            all.write("conex/index/dave/page.toml", text);
        },
        FRESH,
    ),
    (
        "page-of-another",
        false,
        |all| {
            let page = all.pages("dave").concat();
            let text = all.read(&page);
            all.write(&page.replace("/dave/", "/alice/"), text);
        },
        FRESH,
    ),
    (
        "page-of-another-origin",
        false,
        |all| {
            let elsewhere = Community::found("plain", |root| {
                root.origin = "elsewhere".parse().expect("a name");
            });
            let page = all.pages("dave").concat();
            let body = Page::from_bytes(all.read(&page).as_bytes())
                .expect("a page")
                .body()
                .clone();
            let Ok(moved) = body.sign(elsewhere.origin(), &secret("dave"));
            all.remove(&page);
            all.plant(&moved.to_text());
        },
        FRESH,
    ),
    (
        "page-malformed",
        false,
        |all| {
            let page = all.pages("dave").concat();
            forge(all, &page, "signer = ", "signer  = ");
        },
        FRESH,
    ),
    (
        "page-replayed-to-another-package",
        false,
        |all| {
            all.release("bar", "1.0", "Some data.\n");
            let other = all.present("foo/1.0 checksums", "0.1");
            let moved = Vouch {
                subject: conex_tests::subject("bar/1.0 checksums"),
                ..other
            };
            all.vouch("alice", &[moved]);
        },
        FRESH,
    ),
    (
        "batch-missing",
        false,
        |all| {
            for at in 0..257 {
                all.release(&format!("p{at}"), "1", "x\n");
            }
            all.approve("carol", "*");
            all.remove("conex/batches");
        },
        FRESH,
    ),
    (
        "attributes",
        false,
        |all| all.write("conex/.gitattributes", "* text\n"),
        FRESH,
    ),
    (
        "attributes-honest",
        true,
        |all| all.write("conex/.gitattributes", "* -text\n"),
        FRESH,
    ),
];

pub(super) const OPAM: &[Story] = &[
    (
        "upkeep-escalation",
        false,
        |all| {
            all.release("foo", "1.0", &opam_file("4.08", "evil"));
            all.approve("carol", "foo/1.0 checksums");
        },
        FRESH,
    ),
    (
        "upkeep-file",
        false,
        |all| {
            all.write("packages/foo/foo.1.0/files/fix.patch", "x\n");
            all.approve("carol", "foo/1.0 checksums");
        },
        FRESH,
    ),
    (
        "upkeep-release",
        false,
        |all| {
            all.release("foo", "2.0", &opam_file("4.08", "dune"));
            all.approve("carol", "foo/2.0 checksums");
        },
        FRESH,
    ),
    (
        "shadow-flat",
        false,
        |all| all.write("packages/foo.1.0/opam", opam_file("1.0", "evil")),
        FRESH,
    ),
    (
        "shadow-elsewhere",
        false,
        |all| {
            all.write("packages/bar/foo.9/opam", opam_file("1.0", "evil"));
        },
        FRESH,
    ),
    (
        "shadow-deep",
        false,
        |all| {
            all.write(
                "packages/foo/foo.1.0/files/foo.9/opam",
                opam_file("1.0", "evil"),
            );
        },
        FRESH,
    ),
    (
        "shadow-name-in-release",
        false,
        |all| {
            all.write("packages/foo/foo.1.0/files/bar.9/x", "x\n");
        },
        FRESH,
    ),
    (
        "shadow-ignored",
        false,
        |all| all.write("docs/evil.1/opam", opam_file("1.0", "evil")),
        FRESH,
    ),
    (
        "shadow-ignored-deep",
        false,
        |all| all.write("docs/.a/b/-evil..1/opam", opam_file("1.0", "evil")),
        FRESH,
    ),
    (
        "shadow-name",
        false,
        |all| all.write("docs/foo.1.0/README", "x\n"),
        FRESH,
    ),
    (
        "shadow-name-files",
        false,
        |all| all.write("docs/foo.1.0/files/x", "x\n"),
        FRESH,
    ),
    (
        "shadow-name-equal",
        false,
        |all| all.write("docs/foo.1.00/README", "x\n"),
        FRESH,
    ),
    (
        "shadow-names-harmless",
        true,
        |all| {
            for file in [
                "docs/v1.2/index.html",
                "docs/foo.1.1/README",
                "docs/FOO.1.0/README",
                "docs/1.2/opam",
                "docs/.foo.1.0/opam",
                "docs/foo.1=0/opam",
                "docs/foo/opam",
            ] {
                all.write(file, "x\n");
            }
        },
        FRESH,
    ),
    (
        "shadow-equal-releases",
        true,
        |all| {
            all.release("foo", "1.00", &opam_file("4.14", "dune"));
            all.approve("dave", "foo");
        },
        FRESH,
    ),
    (
        "release-without-opam",
        false,
        |all| {
            all.write("packages/foo/foo.2.0/files/x", "x\n");
        },
        FRESH,
    ),
    (
        "release-no-version",
        false,
        |all| all.write("packages/foo/foo.2=0/opam", opam_file("4.08", "dune")),
        FRESH,
    ),
    (
        "file-unaccounted",
        false,
        |all| all.write("packages/foo/foo.1.0/opam.orig", "x\n"),
        FRESH,
    ),
    (
        "file-at-the-top",
        false,
        |all| all.write("evil", "x\n"),
        FRESH,
    ),
];
