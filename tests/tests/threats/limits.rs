//! Names, kinds of files, and amounts that nobody honest needs.

use core::ops::RangeInclusive;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path as SystemPath;
use std::process::Command;

use conex_core::model::limits;
use conex_core::model::page::{Batch, PageBody};
use conex_core::model::path::Path;
use conex_core::model::stored::Stored as _;
use conex_core::model::vouch::Vouch;
use conex_core::tree::metadata::place;
use conex_core::tree::problem::Code;
use conex_core::verify::Mode;
use conex_crypto::StandardCrypto;
use conex_repo::DirectoryStore;
use conex_tests::{Community, Verdict, fingerprint, id, opam_file, secret, verify, version};

#[test]
fn path_escape() {
    let honest = Community::settled("opam");
    let files = "packages/foo/foo.1.0/files";
    for bad in [
        "..", ".", "a\\b", "a\0b", "a\nb", "é", "a.", "a ", "nul", "CON.txt", "lpt1", "a\"b",
        "\u{7f}",
    ] {
        let mut community = honest.clone();
        community.write(&format!("{files}/{bad}"), "x");
        let verdict = community.verify();
        verdict.refused(&[(Code::BadName, &format!("{files}/{bad}"))]);
        let mut community = honest.clone();
        community.write(bad, "x");
        community.verify().refused(&[(Code::BadName, bad)]);
        assert!(Path::parse(&format!("{files}/{bad}")).is_err());
    }
    let long = "x".repeat(limits::COMPONENT + 1);
    let mut community = honest.clone();
    community.write(&format!("{files}/{long}"), "x");
    community
        .verify()
        .refused(&[(Code::BadName, &format!("{files}/{long}"))]);
    // An empty component: a file that is called nothing.
    let mut community = honest.clone();
    community.write(&format!("{files}//etc/passwd"), "x");
    community
        .verify()
        .refused(&[(Code::BadName, &format!("{files}/"))]);
    // Names in statements are no paths.
    for bad in ["../x", "/x", "a/b", "..", "c:", "nul", "a\\\\b"] {
        for file in [
            "conex/packages/foo.toml",
            "conex/root/1.toml",
            "conex/teams/makers.toml",
        ] {
            let mut community = honest.clone();
            let text = community.read(file);
            let name = ["\"foo\"", "\"example\"", "\"makers\""];
            let name = name.iter().find(|name| text.contains(**name)).unwrap();
            community.write(file, text.replacen(name, &format!("\"{bad}\""), 1));
            community.verify().refused_for(Code::Malformed, file);
        }
        let text = format!("{bad}/1.0 checksums 0.1 {}", "ab".repeat(32));
        assert!(Vouch::parse(&text).is_err(), "{text}");
    }
    for bad in ["../**", "/etc/**", "*/x", "**", "a/../b", "packages\\x"] {
        let mut community = honest.clone();
        let text = community.read("conex/root/1.toml");
        community.write("conex/root/1.toml", text.replace("docs/**", bad));
        community
            .verify()
            .refused(&[(Code::Malformed, "conex/root/1.toml")]);
    }
    let mut community = honest;
    for fine in ["a b", "a:b", "a=b", "patch~", ".hidden"] {
        community.write(&format!("{files}/{fine}"), "x");
    }
    community.approve("dave", "foo");
    community.verify().accepted();
}

/// Writes a settled community into a directory, does something to it there, and verifies.
fn on_disk(change: impl FnOnce(&SystemPath)) -> Verdict {
    let community = Community::settled("opam");
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    community.write_to(&tree).unwrap();
    fs::write(directory.path().join("outside"), opam_file("4.08", "dune")).unwrap();
    change(&tree);
    let store = DirectoryStore::open(&tree).unwrap();
    verify(&store, &community.anchor(), Mode::Warn, false)
}

/// Makes something that is no regular file.
type Make = (&'static str, fn(&SystemPath));

#[test]
fn special_files() {
    let opam = "packages/foo/foo.1.0/opam";
    let places = [
        opam,
        "packages/foo/foo.1.0/files",
        "packages/foo/foo.3.0",
        "packages/new",
        "repo",
        "CHANGES.md",
        "docs",
        "conex/authors/frank.toml",
        "conex/index/alice/x.toml",
        "conex/index/frank",
        "conex/batches",
        "conex/root/1/x.toml",
        "conex/root/2.toml",
        "conex/extra",
    ];
    let kinds: [Make; 7] = [
        ("a link to the outside", |place| {
            symlink("../../../../outside", place).unwrap();
        }),
        ("an absolute link", |place| {
            symlink("/etc/passwd", place).unwrap();
        }),
        ("a link to a file inside", |place| {
            symlink("../foo.2.0/opam", place).unwrap();
        }),
        ("a dangling link", |place| {
            symlink("nowhere", place).unwrap();
        }),
        ("a loop", |place| {
            symlink(place.file_name().unwrap(), place).unwrap();
        }),
        ("a named pipe", |place| {
            assert!(
                Command::new("mkfifo")
                    .arg(place)
                    .status()
                    .unwrap()
                    .success()
            );
        }),
        ("a socket", |place| drop(UnixListener::bind(place).unwrap())),
    ];
    for place in places {
        for (name, make) in kinds {
            let verdict = on_disk(|tree| {
                let place = tree.join(place);
                let _ = fs::remove_file(&place);
                make(&place);
            });
            let mut places: Vec<_> = verdict
                .with_code(Code::SpecialFile)
                .map(|found| &*found.place)
                .collect();
            places.dedup();
            assert_eq!(places, [place], "{name} at {place}:\n{}", verdict.told());
            assert!(verdict.verified().is_none());
        }
    }
    on_disk(|_| ()).accepted();
}

#[test]
fn special_files_in_place_of_others() {
    let opam = "packages/foo/foo.1.0/opam";
    // A directory where a file is expected, and the other way round.
    on_disk(|tree| {
        fs::remove_file(tree.join(opam)).unwrap();
        fs::create_dir(tree.join(opam)).unwrap();
        fs::write(tree.join(opam).join("x"), "x").unwrap();
    })
    .refused_for(Code::Unaccounted, "packages/foo/foo.1.0/opam/x");
    on_disk(|tree| fs::write(tree.join("packages/foo/foo.1.0/files"), "x").unwrap())
        .refused_for(Code::Unaccounted, "packages/foo/foo.1.0/files");
    on_disk(|tree| {
        fs::create_dir(tree.join("conex/root/2.toml")).unwrap();
    })
    .refused(&[(Code::SpecialFile, "conex/root/2.toml")]);
    on_disk(|tree| {
        fs::rename(tree.join("conex"), tree.join("docs")).unwrap();
        symlink("docs", tree.join("conex")).unwrap();
    })
    .refused_for(Code::SpecialFile, "conex");
    on_disk(|tree| {
        fs::rename(tree.join("packages/foo"), tree.join("../foo")).unwrap();
        symlink("../../foo", tree.join("packages/foo")).unwrap();
    })
    .refused_for(Code::SpecialFile, "packages/foo");
    // A second hard link is somebody else's way to change it. What nobody reads may have one.
    on_disk(|tree| fs::hard_link(tree.join(opam), tree.join("../link")).unwrap())
        .refused(&[(Code::SpecialFile, opam)]);
    // That a release stands at two places is said even if one of them cannot be read.
    on_disk(|tree| {
        fs::create_dir(tree.join("packages/foo.1.0")).unwrap();
        fs::write(tree.join("packages/foo.1.0/opam"), "x").unwrap();
        fs::hard_link(tree.join(opam), tree.join("../link")).unwrap();
    })
    .refused(&[
        (Code::ShadowRelease, "packages/foo/foo.1.0"),
        (Code::SpecialFile, opam),
    ]);
    let linked = |name: &'static str| {
        on_disk(move |tree| fs::hard_link(tree.join("README.md"), tree.join(name)).unwrap())
    };
    linked("R2.md").accepted();
    linked("R2").refused(&[(Code::Unaccounted, "R2")]);
}

/// Spec 8.4: a directory without any file is no package and no release, but its name is looked at.
#[test]
fn directories_without_files() {
    let made = |directory: &'static str| {
        on_disk(move |tree| fs::create_dir_all(tree.join(directory)).unwrap())
    };
    for harmless in [
        "packages/zzz",
        "packages/zzz.1",
        "packages/foo/foo.9",
        "packages/foo/foo.1.0/files/a",
        "packages/foo/foo.1.0/x",
        "other",
        "version",
        "docs/foo.1.0",
        "conex/batches",
    ] {
        made(harmless).accepted();
    }
    for (directory, code) in [
        ("packages/123", Code::BadName),
        ("packages/a~", Code::BadName),
        ("packages/foo/x", Code::Unaccounted),
        ("packages/foo/bar.9", Code::ShadowRelease),
        ("packages/Foo", Code::NameCollision),
        ("conex/other", Code::Unaccounted),
        ("conex/index/janitors", Code::Unaccounted),
    ] {
        let place = if code == Code::NameCollision {
            "packages/foo"
        } else {
            directory
        };
        made(directory).refused(&[(code, place)]);
    }
}

#[test]
fn name_collision() {
    let honest = Community::settled("plain");
    // Packages, releases and files whose names are equal without case.
    for (place, named) in [
        ("FOO/1/data", "foo"),
        ("Foo/1/data", "foo"),
        ("foo/1.0/DATA", "foo/1.0/data"),
    ] {
        let mut community = honest.clone();
        community.write(place, "x");
        community.verify().refused(&[(Code::NameCollision, named)]);
    }
    let mut community = honest.clone();
    community.release("bar", "1.0-a", "x");
    community.release("bar", "1.0-A", "x");
    community
        .verify()
        .refused(&[(Code::NameCollision, "bar/1.0-a")]);
    // Authorisations.
    let mut community = honest.clone();
    community.claim("FOO", &["mallory"]);
    community
        .verify()
        .refused_for(Code::NameCollision, "conex/packages/foo.toml");
    // People and teams.
    let mut community = honest.clone();
    community.team("dave", &["erin"]);
    community.approve_by(&["alice", "bob"], "dave team");
    community
        .verify()
        .refused_for(Code::NameCollision, "conex/teams/dave.toml");
    // The reserved name.
    for (file, from) in [
        ("conex/authors/dave.toml", "id = \"dave\""),
        ("conex/teams/makers.toml", "id = \"makers\""),
        ("conex/teams/makers.toml", "  \"dave\""),
        ("conex/root/1.toml", "id = \"alice\""),
    ] {
        let mut community = honest.clone();
        let text = community.read(file);
        let to = format!("{}janitors\"", &from[..=from.find('"').unwrap()]);
        community.write(file, text.replacen(from, &to, 1));
        community.verify().refused_for(Code::Malformed, file);
    }
    // A release may be called like its package, a package like a person.
    let mut community = honest;
    community.release("bar", "bar", "x");
    community.release("dave", "1", "x");
    community.approve("alice", "*");
    community.verify_in(Mode::Enforce).accepted();
}

#[test]
fn endless_data() {
    // Sparse files of a terabyte: refused by their size, nothing is read.
    for place in [
        "packages/foo/foo.1.0/opam",
        "repo",
        "conex/root/1.toml",
        Community::root_signature(1, "alice").as_str(),
        "conex/authors/dave.toml",
        "conex/batches/x.toml",
        "conex/.gitattributes",
    ] {
        on_disk(|tree| {
            let file = fs::File::create(tree.join(place)).unwrap_or_else(|_| {
                fs::create_dir_all(tree.join(place).parent().unwrap()).unwrap();
                fs::File::create(tree.join(place)).unwrap()
            });
            file.set_len(1 << 40).unwrap();
        })
        .refused_for(Code::TooLarge, place);
    }
    // Directories without end.
    let mut community = Community::settled("opam");
    let deep = "d/".repeat(limits::DEPTH);
    community.write(&format!("packages/foo/foo.1.0/files/{deep}x"), "x");
    community.verify().refused_for(
        Code::TooLarge,
        &format!("packages/foo/foo.1.0/files/{}", deep.trim_end_matches('/')),
    );
    let mut community = Community::settled("opam");
    for at in 0..limits::RELEASE_FILES {
        community.write(&format!("packages/foo/foo.1.0/files/{at}"), "");
    }
    community
        .verify()
        .refused_for(Code::TooLarge, "packages/foo/foo.1.0");
    community.remove("packages/foo/foo.1.0/files/0");
    community.approve("dave", "foo");
    community.verify().accepted();
}

#[test]
fn endless_data_in_statements() {
    let honest = Community::settled("plain");
    let claim = honest.read("conex/packages/foo.toml");
    let many: String = (0..=limits::MEMBERS)
        .map(|at| format!("  \"p{at:05}\",\n"))
        .collect();
    let page = honest.pages("dave").remove(0);
    let text = honest.read(&page);
    for (place, text) in [
        (
            "conex/packages/foo.toml",
            format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        (
            "conex/packages/foo.toml",
            format!("{}1{}", "x={a=".repeat(20_000), "}".repeat(20_000)),
        ),
        (
            "conex/packages/foo.toml",
            format!("{}.x = 1\n", vec!["a"; 20_000].join(".")),
        ),
        (
            "conex/packages/foo.toml",
            claim.replace("epoch = 0", "epoch = 4294967296"),
        ),
        (
            "conex/packages/foo.toml",
            claim.replace("epoch = 0", "epoch = 99999999999999999999999999"),
        ),
        (
            "conex/packages/foo.toml",
            claim.replace("epoch = 0", "epoch = 1e9"),
        ),
        (
            "conex/packages/foo.toml",
            claim.replace("threshold = 1", "threshold = 65536"),
        ),
        (
            "conex/packages/foo.toml",
            claim.replace("  \"dave\",\n", &many),
        ),
        (&page, text.replace(" 0.1 ", " 0.18446744073709551616 ")),
        (&page, text.replace(" 0.1 ", " 4294967296.1 ")),
    ] {
        let mut community = honest.clone();
        assert_ne!(community.read(place), text);
        community.write(place, text);
        community.verify().refused_for(Code::Malformed, place);
    }
    // As many as allowed are no matter.
    let mut community = honest;
    let vouches =
        (2..limits::VOUCHES as u64).map(|at| community.present("foo releases", &format!("0.{at}")));
    let vouches: Vec<Vouch> = vouches.collect();
    community.vouch("dave", &vouches);
    community.verify().accepted();
}

#[test]
fn limit_denial() {
    let mut community = Community::settled("plain");
    community.author("mallory");
    community.approve_by(&["alice", "bob"], "mallory");
    // Pages without end void the one who signed them; even what they own can still be approved.
    let flood = |community: &mut Community, who: &str, pages: RangeInclusive<usize>| {
        let one = community.present("bar releases", "9.1");
        for at in pages {
            let version = version(&format!("9.{at}"));
            community.vouch(
                who,
                &[Vouch {
                    version,
                    ..one.clone()
                }],
            );
        }
    };
    flood(&mut community, "mallory", 1..=limits::PAGES);
    community.verify_in(Mode::Enforce).accepted();
    flood(
        &mut community,
        "mallory",
        limits::PAGES + 1..=limits::PAGES + 1,
    );
    let over = (Code::PersonVoid, "conex/index/mallory");
    let verdict = community.verify_in(Mode::Enforce);
    verdict.accepted();
    assert!(
        verdict
            .notes
            .iter()
            .any(|note| (note.code, &*note.place) == over)
    );
    // Where the void one owned something, the owners' way is closed, and the quorum's is open.
    let mut community = Community::settled("plain");
    flood(&mut community, "dave", 1..=limits::PAGES);
    community.verify().refused(&[
        (Code::NotApproved, "foo"),
        (Code::NotApproved, "foo/1.0/data"),
        (Code::NotApproved, "foo/2.0/data"),
    ]);
    community.approve_by(&["alice", "bob"], "foo");
    community.verify_in(Mode::Enforce).accepted();
    // Nobody of that id: inert, and no matter to anybody.
    let mut community = Community::settled("plain");
    let vouches = [community.present("foo releases", "0.9")];
    let page = community.vouch("stranger", &vouches);
    community
        .verify()
        .accepted()
        .notes(&[(Code::InertPage, &page)]);
    assert!(secret("stranger").public_key() != secret("dave").public_key());
}

#[test]
fn endless_data_in_batches() {
    // Many pages of one person that name the same many batches: without a say it costs no more
    // than the batches themselves.
    let mut community = Community::settled("plain");
    let origin = community.origin().clone();
    let vouch = community.present("foo releases", "0.1");
    let mut references = Vec::new();
    for at in 0..16 {
        let first = 1 + at * limits::VOUCHES;
        let versions = (first..first + limits::VOUCHES).map(|counter| Vouch {
            version: version(&format!("0.{counter}")),
            ..vouch.clone()
        });
        let batch = Batch::new(versions.collect()).unwrap();
        references.push(batch.reference(&origin, &StandardCrypto));
        let digest = batch.digest(&origin, &StandardCrypto);
        community.write(place::batch(digest).as_str(), batch.to_text());
    }
    for at in 0..64 {
        let own = Vouch {
            version: version(&format!("1.{}", at + 1)),
            ..vouch.clone()
        };
        let body = PageBody::new(
            id("erin"),
            fingerprint("erin"),
            references.clone(),
            vec![own],
        );
        community.publish("erin", body.unwrap());
    }
    community.verify().accepted().notes(&[]);
}
