//! What is served is not what was approved.

use conex_core::tree::problem::Code;
use conex_core::verify::Mode;
use conex_tests::{Client, Community, opam_file};

/// Flips one bit of every `step`th byte of every file. What is still accepted has to be accepted
/// as the very same; gives the files in which that happened.
fn flip_everything(honest: &Community, step: usize) -> Vec<String> {
    let expected = honest.verify();
    let mut tolerated = Vec::new();
    for (file, bytes) in honest.tree.files() {
        for at in (0..bytes.len()).step_by(step) {
            let mut hostile = honest.clone();
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1 << (at % 8);
            hostile.write(file, bytes);
            let verdict = hostile.verify();
            if verdict.verified().is_some() {
                assert_eq!(verdict.findings, expected.findings, "{file} at {at}");
                assert_eq!(verdict.counts, expected.counts, "{file} at {at}");
                tolerated.push(file.to_owned());
            } else {
                let named = verdict.problems.iter().any(|found| &*found.place == file);
                assert!(named, "{file} at {at} is not named:\n{}", verdict.told());
            }
        }
    }
    tolerated.dedup();
    tolerated
}

#[test]
fn arbitrary_content() {
    // One signature more than the quorum is there: with another key it is inert.
    let signed = ["alice", "bob", "carol"].map(|who| Community::root_signature(1, who));
    let inert = ["README.md", &signed[0], &signed[1], &signed[2]];
    assert_eq!(flip_everything(&Community::hamlet("plain"), 1), inert);
    assert_eq!(flip_everything(&Community::settled("opam"), 13), inert);
}

#[test]
fn arbitrary_content_in_data() {
    let mut community = Community::settled("plain");
    community.release("foo", "1.0", "Something else.\n");
    community.write("repo", "stamp: \"2\"\n");
    community
        .verify()
        .refused(&[
            (Code::ContentDiffers, "foo"),
            (Code::ContentDiffers, "foo/1.0/data"),
            (Code::ContentDiffers, "repo"),
        ])
        .saying(
            Code::ContentDiffers,
            &["0.1 by dave", "needs 1 more of the owners: dave"],
        );
    community.approve("dave", "foo");
    community.approve_by(&["bob", "carol"], "*");
    community.verify().accepted();
}

#[test]
fn unsigned_file() {
    let honest = Community::settled("opam");
    let release = "packages/foo/foo.1.0";
    // opam reads these with the release.
    for file in ["url", "descr", "files/x", "files/.hidden", "files/a/b"] {
        let mut community = honest.clone();
        community.write(&format!("{release}/{file}"), "x");
        community.verify().refused(&[
            (Code::ContentDiffers, "packages/foo"),
            (Code::ContentDiffers, release),
        ]);
        community.approve("dave", "foo");
        community.verify().accepted();
    }
    // Nothing accounts for these.
    for place in [
        "packages/foo/foo.1.0/.hidden",
        "packages/foo/foo.1.0/opam.orig",
        "packages/foo/foo.1.0/new/x",
        "packages/foo/file",
        "packages/file",
        "file",
        ".hidden",
        "directory/file",
        "docs2/file",
        "conex/file",
        "conex/extra/file",
        "conex/index/file.toml",
        "conex/root/file",
        "conex/root/01.toml",
        "conex/authors/file",
        "conex/authors/directory/file",
        "conex/index/alice/file",
        "conex/batches/file",
    ] {
        let mut community = honest.clone();
        community.write(place, "x");
        let named = match place {
            "conex/extra/file" => "conex/extra",
            "conex/authors/directory/file" => "conex/authors/directory",
            place => place,
        };
        community.verify().refused(&[(Code::Unaccounted, named)]);
    }
    let mut community = honest.clone();
    community.write("version", "1");
    community
        .verify()
        .refused(&[(Code::ContentDiffers, "repo")]);
    // What the root ignores is nobody's business.
    for place in ["CHANGES.md", "docs/file", "docs/a/b"] {
        let mut community = honest.clone();
        community.write(place, "x");
        community.verify().accepted();
    }
}

#[test]
fn shadow_release() {
    let honest = Community::settled("opam");
    for (place, code, named) in [
        (
            "packages/foo.1.0/opam",
            Code::ShadowRelease,
            "packages/foo/foo.1.0",
        ),
        (
            "packages/bar/foo.1.0/opam",
            Code::ShadowRelease,
            "packages/bar/foo.1.0",
        ),
        (
            "packages/bar/bar.0.1/files/foo.9/opam",
            Code::ShadowRelease,
            "packages/bar/bar.0.1/files/foo.9",
        ),
        (
            "packages/bar/bar.0.1/files/deep/foo.9/opam",
            Code::ShadowRelease,
            "packages/bar/bar.0.1/files/deep/foo.9",
        ),
        (
            "packages/bar/bar.0.1/files/foo.9/deep/x",
            Code::ShadowRelease,
            "packages/bar/bar.0.1/files/foo.9",
        ),
        ("packages/foo/opam", Code::Unaccounted, "packages/foo/opam"),
        (
            "packages/foo/foo.3.0/url",
            Code::Unaccounted,
            "packages/foo/foo.3.0",
        ),
        (
            "packages/foo/foo.3=0/opam",
            Code::Unaccounted,
            "packages/foo/foo.3=0",
        ),
        ("packages/foo.3:0/opam", Code::BadName, "packages/foo.3:0"),
        (
            "conex/index/foo.9/opam",
            Code::Unaccounted,
            "conex/index/foo.9",
        ),
        (
            "packages/bar/bar.0.1/foo.9/opam",
            Code::Unaccounted,
            "packages/bar/bar.0.1/foo.9/opam",
        ),
        (
            "packages/bar/deep/foo.9/opam",
            Code::Unaccounted,
            "packages/bar/deep",
        ),
        (
            "packages/.hidden/foo.9/opam",
            Code::BadName,
            "packages/.hidden",
        ),
        ("packages/foo/foo./opam", Code::BadName, "packages/foo/foo."),
        (
            "packages/foo/.foo.9/opam",
            Code::Unaccounted,
            "packages/foo/.foo.9",
        ),
        (
            "packages/FOO/FOO.1/opam",
            Code::NameCollision,
            "packages/foo",
        ),
        (
            "packages/bar/bar.0.1/FILES/x",
            Code::Unaccounted,
            "packages/bar/bar.0.1/FILES/x",
        ),
    ] {
        let mut community = honest.clone();
        community.write(place, opam_file("1.0", "evil"));
        community.verify().refused_for(code, named);
    }
    // A release at one place is a release, there too.
    let mut community = honest;
    community.write("packages/old.1/opam", opam_file("4.0", "make"));
    community.verify().accepted().unsigned(&["old"]);
    community.approve("alice", "old");
    community.verify_in(Mode::Enforce).accepted();
}

/// Since opam 2.5 an update reads a directory as the release that its name says, wherever it stands.
#[test]
fn shadow_release_in_an_ignored_place() {
    let honest = Community::settled("opam");
    let client = Client::of(&honest);
    let shadow = |files: &[&str], named: &str| {
        let mut community = honest.clone();
        for file in files {
            community.write(file, "x");
        }
        let expected = [(Code::ShadowRelease, named)];
        community.verify().refused(&expected);
        client.offered(&community).refused(&expected);
    };
    // It would be loaded.
    for named in [
        "docs/evil.1",
        "docs/.hidden/evil.1",
        "docs/packages/evil/evil.1",
        "docs/-evil.1",
        "docs/+e.~",
        "docs/evil..1",
        "docs/files/evil.1",
    ] {
        shadow(&[&format!("{named}/opam")], named);
        shadow(
            &[&format!("{named}/README"), &format!("{named}/opam")],
            named,
        );
    }
    // There is such a release, up to the equality of versions.
    for named in ["docs/foo.1.0", "docs/a/b/foo.1.00", "docs/foo.02.0"] {
        for file in ["README", "files/x", "deep/er/x"] {
            shadow(&[&format!("{named}/{file}")], named);
        }
    }
    let mut said = honest.clone();
    said.write("docs/foo.1.0/README", "x");
    said.verify().saying(
        Code::ShadowRelease,
        &["docs/foo.1.0", "foo/1.0 checksums", "packages/foo/foo.1.0"],
    );
    // It is no release to opam, or none that is there.
    let mut harmless = honest.clone();
    for file in [
        "docs/v1.2/index.html",
        "docs/1.2/opam",
        "docs/FOO.1.0/x",
        "docs/foo.1.1/x",
        "docs/foo-1_0/opam",
        "docs/foo/opam",
        "docs/.foo.1.0/opam",
        "docs/foo.1=0/opam",
        "docs/f o.1/opam",
        "docs/test/irmin.t/run.t",
        "docs/opam",
        "docs/foo.2/x",
    ] {
        harmless.write(file, "x");
    }
    client.offered(&harmless).accepted();
    // The names of files that are ignored are nobody's business; what a directory holds has to be seen.
    harmless.write("docs/\u{e9}", "x");
    client.offered(&harmless).accepted();
    harmless.write("docs/\u{fc}/foo.9/opam", "x");
    client
        .offered(&harmless)
        .refused(&[(Code::BadName, "docs/\u{fc}")]);
    let mut deep = honest.clone();
    deep.write(&format!("docs/{}x", "a/".repeat(14)), "x");
    client.offered(&deep).accepted();
    deep.write(&format!("docs/{}x", "a/".repeat(16)), "x");
    let named = format!("docs/{}", ["a"; 15].join("/"));
    client
        .offered(&deep)
        .refused_for(Code::TooLarge, &format!("{named}/a"));
    // Without a client of its own, nothing is a release by its name.
    let mut plain = Community::settled("plain");
    plain.write("docs/foo/1.0/opam", "x");
    plain.write("docs/\u{fc}/foo.9/opam", "x");
    plain.verify().accepted();
}

/// What was harmless is so no longer when such a release is published; the fast way sees it, too.
#[test]
fn a_release_that_something_is_called_like() {
    let mut honest = Community::settled("opam");
    honest.write("docs/foo.3.0/README", "x");
    let client = Client::of(&honest);
    let mut next = honest.clone();
    next.release("foo", "3.0", &opam_file("4.08", "dune"));
    next.approve("dave", "foo");
    client
        .offered(&next)
        .refused(&[(Code::ShadowRelease, "docs/foo.3.0")]);
    client
        .part(&next.tree)
        .unwrap()
        .refused(&[(Code::ShadowRelease, "docs/foo.3.0")]);
    next.write("packages/foo.3.0/opam", opam_file("4.08", "dune"));
    next.remove("packages/foo/foo.3.0");
    client
        .offered(&next)
        .refused(&[(Code::ShadowRelease, "docs/foo.3.0")]);
    // The honest twins: another release, and the same one without the lookalike.
    let mut other = honest.clone();
    other.release("foo", "3.1", &opam_file("4.08", "dune"));
    other.approve("dave", "foo");
    client.offered(&other).accepted();
    client.part(&other.tree).unwrap().accepted();
    next.remove("docs/foo.3.0");
    client.offered(&next).accepted();
}

/// opam takes two versions for one, and shows one of the two.
#[test]
fn two_releases_that_are_one_to_the_client() {
    let one = Community::settled("opam");
    let mut two = one.clone();
    two.release("foo", "1.00", &opam_file("4.14", "dune"));
    two.approve("dave", "foo");
    let pair = (Code::EqualReleases, "packages/foo/foo.1.00");
    two.verify().accepted().notes(&[pair]);
    Client::of(&one).offered(&two).accepted().notes(&[pair]);
    // No main line takes a new one.
    let mut main_line = Client::of(&one);
    main_line.ahead = true;
    main_line
        .offered(&two)
        .refused(&[(Code::ShadowRelease, "packages/foo/foo.1.00")]);
    let mut main_line = Client::of(&two);
    main_line.ahead = true;
    let mut more = two.clone();
    more.release("foo", "3.0", &opam_file("4.14", "dune"));
    more.approve("dave", "foo");
    main_line.offered(&more).accepted().notes(&[pair]);

    // opam drops both where one goes, unless it reads the other one again.
    let client = Client::of(&two);
    let mut lost = two.clone();
    lost.remove("packages/foo/foo.1.00");
    lost.restore("dave", "foo");
    lost.verify().accepted();
    let expected = [(Code::LostRelease, "packages/foo/foo.1.0")];
    client.offered(&lost).refused(&expected);
    client.part(&lost.tree).unwrap().refused(&expected);
    let mut kept = two.clone();
    kept.remove("packages/foo/foo.1.00");
    kept.release("foo", "1.0", &opam_file("4.08", "make"));
    kept.approve("dave", "foo");
    client.offered(&kept).accepted();
    let mut none = two.clone();
    none.remove("packages/foo/foo.1.00");
    none.remove("packages/foo/foo.1.0");
    none.approve("dave", "foo");
    client.offered(&none).accepted();
    // One takes the place of the other.
    let mut instead = one.clone();
    instead.remove("packages/foo/foo.1.0");
    instead.release("foo", "1.00", &opam_file("4.08", "dune"));
    instead.approve("dave", "foo");
    Client::of(&one).offered(&instead).accepted();
}

#[test]
fn missing_file() {
    let mut honest = Community::settled("plain");
    honest.write("foo/1.0/more", "more data");
    honest.approve("dave", "foo");
    for (gone, expected) in [
        (
            "foo/1.0/more",
            &[(Code::Behind, "foo"), (Code::Behind, "foo/1.0/data")][..],
        ),
        (
            "foo/1.0/data",
            &[
                (Code::ContentDiffers, "foo"),
                (Code::ContentDiffers, "foo/1.0/more"),
            ],
        ),
        ("foo/2.0", &[(Code::ContentDiffers, "foo")]),
        ("foo", &[(Code::Missing, "foo")]),
        ("bar", &[(Code::Missing, "bar")]),
        ("repo", &[(Code::ContentDiffers, ".")]),
        (
            "conex/packages/foo.toml",
            &[(Code::Missing, "conex/packages/foo.toml")],
        ),
    ] {
        let mut community = honest.clone();
        community.remove(gone);
        let verdict = community.verify();
        for (code, place) in expected {
            verdict.refused_for(*code, place);
        }
    }
    // Removals are approved like anything else.
    let mut community = honest;
    community.remove("foo/2.0");
    community.approve("dave", "foo");
    community.verify().accepted();
    community.remove("foo");
    let gone = community.gone("foo", "0.4");
    community.vouch("dave", &[gone]);
    community.verify().accepted();
    community.release("foo", "1.0", "foo in version 1.0\n");
    community.write("foo/1.0/more", "more data");
    community.verify().refused(&[(Code::Behind, "foo")]);
}

#[test]
fn missing_file_of_a_person() {
    let honest = Community::settled("plain");
    for gone in ["conex/authors/dave.toml", "conex/teams/makers.toml"] {
        let mut community = honest.clone();
        community.remove(gone);
        community.verify().refused_for(Code::Missing, gone);
    }
}

/// Spells a stored file in another way.
type Spelling = (&'static str, fn(&str) -> String);

#[test]
fn malleability() {
    let honest = Community::settled("plain");
    let signed = Community::root_signature(1, "alice");
    let kinds = [
        "conex/root/1.toml",
        &signed,
        "conex/authors/dave.toml",
        "conex/teams/makers.toml",
        "conex/packages/foo.toml",
        &honest.pages("alice")[0],
    ];
    let spellings: &[Spelling] = &[
        ("byte order mark", |text| format!("\u{feff}{text}")),
        ("carriage returns", |text| text.replace('\n', "\r\n")),
        ("no final newline", |text| text.trim_end().into()),
        ("trailing newline", |text| format!("{text}\n")),
        ("trailing bytes", |text| format!("{text}x")),
        ("trailing zero", |text| format!("{text}\0")),
        ("comment", |text| format!("# comment\n{text}")),
        ("blank line", |text| format!("\n{text}")),
        ("indentation", |text| format!(" {text}")),
        ("no blanks", |text| text.replacen(" = ", "=", 1)),
        ("wide blanks", |text| text.replacen(" = ", "  =  ", 1)),
        ("trailing blank", |text| text.replacen('\n', " \n", 1)),
        ("unknown field", |text| format!("zzz = 1\n{text}")),
        ("doubled first line", |text| {
            format!("{}\n{text}", text.lines().next().unwrap())
        }),
        ("first line last", |text| {
            let (first, rest) = text.split_once('\n').unwrap();
            format!("{rest}{first}\n")
        }),
        ("quoted key", |text| {
            let (key, rest) = text.split_once(" = ").unwrap();
            format!("\"{key}\" = {rest}")
        }),
        ("escaped", |text| text.replacen('a', "\\u0061", 1)),
        ("not UTF-8 when read as Latin", |text| {
            text.replacen('a', "á", 1)
        }),
    ];
    for kind in kinds {
        for (name, spell) in spellings {
            let mut community = honest.clone();
            let odd = spell(&honest.read(kind));
            community.write(kind, odd);
            let verdict = community.verify();
            assert!(
                verdict
                    .with_code(Code::Malformed)
                    .any(|found| &*found.place == kind),
                "{name} of {kind}:\n{}",
                verdict.told()
            );
            assert!(verdict.verified().is_none());
        }
    }
}

#[test]
fn malleability_of_values() {
    let honest = Community::settled("plain");
    let page = &honest.pages("alice")[0];
    for (kind, from, to) in [
        ("conex/root/1.toml", "quorum = 2", "quorum = 02"),
        ("conex/root/1.toml", "quorum = 2", "quorum = +2"),
        ("conex/root/1.toml", "quorum = 2", "quorum = 0x2"),
        ("conex/root/1.toml", "quorum = 2", "quorum = 2.0"),
        ("conex/root/1.toml", "quorum = 2", "quorum = \"2\""),
        (
            "conex/root/1.toml",
            "layout = \"plain\"",
            "layout = 'plain'",
        ),
        (
            "conex/root/1.toml",
            "layout = \"plain\"",
            "layout = \"plain\"\ncomplete = false",
        ),
        ("conex/root/1.toml", "id = \"alice\"", "id = \"Alice\""),
        ("conex/packages/foo.toml", "threshold = 1", "threshold = 01"),
        ("conex/packages/foo.toml", "epoch = 0", "epoch = -0"),
        ("conex/packages/foo.toml", "[\n  \"dave\",\n]", "[\"dave\"]"),
        (
            "conex/packages/foo.toml",
            "\"dave\"",
            "\"dave\",\n  \"dave\"",
        ),
        (
            "conex/teams/makers.toml",
            "\"dave\",\n  \"erin\"",
            "\"erin\",\n  \"dave\"",
        ),
        (page, " 0.1 ", " 0.01 "),
        (page, " 0.1 ", " 00.1 "),
        (page, " 0.1 ", "  0.1 "),
        (page, "SHA256:", "sha256:"),
        (page, "-----END SSH", "\n-----END SSH"),
    ] {
        let mut community = honest.clone();
        let text = honest.read(kind);
        assert!(text.contains(from), "{from} is not in {text}");
        community.write(kind, text.replacen(from, to, 1));
        let verdict = community.verify();
        verdict.refused_for(Code::Malformed, kind);
    }
    // Digits of digests have one case.
    let mut community = honest.clone();
    let text = honest.read(page);
    let vouch = text.lines().find(|line| line.contains(" 0.1 ")).unwrap();
    let digest = vouch.trim_end_matches("\",").rsplit(' ').next().unwrap();
    community.write(page, text.replacen(digest, &digest.to_uppercase(), 1));
    community.verify().refused_for(Code::Malformed, page);
}

/// Lets carol alone, for upkeep, change one release of dave's and vouch for its checksums.
fn upkeep(from: &str, to: &str) -> Community {
    let mut community = Community::settled("opam");
    let file = community.release_file("foo", "1.0");
    let text = community.read(&file);
    assert!(text.contains(from), "{from} is not in {text}");
    community.write(&file, text.replacen(from, to, 1));
    community.approve("carol", "foo/1.0 checksums");
    community
}

#[test]
fn upkeep_escalation() {
    for (from, to) in [
        ("{>= \"4.08\"}", "{>= \"4.08\" & < \"5.0\"}"),
        ("{>= \"4.08\"}", ""),
        (
            "synopsis: \"A library of a story\"",
            "synopsis: \"Another\"",
        ),
        ("build:", "available: os != \"win32\"\nbuild:"),
        ("build:", "conflicts: [\"other\"]\nbuild:"),
        ("build:", "flags: [avoid-version]\nbuild:"),
        ("build:", "x-maintenance-intent: [\"(latest)\"]\nbuild:"),
        ("build:", "# a comment\nbuild:"),
    ] {
        upkeep(from, to).verify().accepted();
    }
    for (from, to) in [
        ("\"dune\" \"build\"", "\"sh\" \"evil\""),
        ("\"dune\" {build}", "\"dune\" {build}\n  \"evil\""),
        ("\"dune\" {build}", "\"dune\""),
        ("\"dune\" {build}", "\"dune\" {build | with-test}"),
        ("{>= \"4.08\"}", "{>= \"4.08\" | with-test}"),
        ("example.org/foo.tar.gz", "evil.org/foo.tar.gz"),
        ("sha256=e3b0", "sha256=e3b1"),
        ("maintainer: \"dave@", "maintainer: \"evil@"),
        ("build:", "tags: [\"flags:plugin\"]\nbuild:"),
        ("build:", "flags: [plugin]\nbuild:"),
        ("build:", "x-env-path-rewrite: []\nbuild:"),
        ("build:", "messages: [\"run this\"]\nbuild:"),
        ("build:", "depexts: [[\"evil\"]]\nbuild:"),
        ("build:", "install: [\"evil\"]\nbuild:"),
        ("build:", "patches: [\"evil.patch\"]\nbuild:"),
        (
            "build:",
            "extra-source \"x\" { src: \"https://evil.org\" }\nbuild:",
        ),
    ] {
        let mut community = upkeep(from, to);
        community
            .verify()
            .refused(&[(Code::ContentDiffers, "packages/foo")])
            .saying(Code::ContentDiffers, &["foo releases", "dave"]);
        // It is source: the owner may, or a quorum.
        let mut by_quorum = community.clone();
        community.approve("dave", "foo");
        community.verify().accepted();
        by_quorum.approve_by(&["alice", "bob"], "foo");
        by_quorum.verify().accepted();
    }
    // Upkeep is of one file: a file beside it is source.
    let mut community = Community::settled("opam");
    community.write("packages/foo/foo.1.0/files/evil.patch", "x");
    community.approve("carol", "foo/1.0 checksums");
    community
        .verify()
        .refused(&[(Code::ContentDiffers, "packages/foo")]);
}

#[test]
fn parser_differential() {
    for (from, to) in [
        ("build:", "synopsis: \"twice\"\nbuild:"),
        ("synopsis: \"A", "synopsis: \"\\q A"),
        (
            "synopsis: \"A library of a story\"",
            "synopsis: \"\"\"\"quoted\"\"\"\"",
        ),
        ("synopsis:", "\"synopsis\":"),
        (
            "build:",
            "(* nested (* comment *) *)\nbuild: [\"evil\"]\nx-y:",
        ),
        ("opam-version: \"2.0\"", "opam-version: \"3.0\""),
        ("opam-version: \"2.0\"\n", ""),
        ("build:", "\0build:"),
        ("build:", "\u{a0}build:"),
        ("url {", "url \"name\" {"),
        (
            "synopsis: \"A library of a story\"",
            "synopsis: \"A library",
        ),
        ("\"2.0\"\n", "\"2.0\"\r"),
    ] {
        let community = upkeep(from, to);
        community
            .verify()
            .refused_for(Code::ContentDiffers, "packages/foo");
    }
    // An unreadable file is source, whole, and can be approved as that.
    let mut community = upkeep("synopsis: \"A", "synopsis: \"\\q A");
    community.approve("dave", "foo");
    let file = community.release_file("foo", "1.0");
    community.verify().accepted();
    community.write(
        &file,
        format!("{}not opam at all {{", community.read(&file)),
    );
    community.approve("dave", "foo");
    community
        .verify()
        .accepted()
        .notes(&[(Code::WholeSource, &file)]);
    let broken = community.read(&file);
    community.write(&file, broken.replace("4.08", "4.09"));
    community.approve("carol", "foo/1.0 checksums");
    community
        .verify()
        .refused(&[(Code::ContentDiffers, "packages/foo")]);
}

/// Servers write the file `repo` anew, and may: what clients act on stays what was approved.
#[test]
fn what_servers_write_into_repo() {
    let signed = "opam-version: \"2.0\"\narchive-mirrors: \"cache\"\n";
    let mut community = Community::settled("opam");
    community.write("repo", signed);
    community.approve_by(&["alice", "bob"], ". repository");
    community.verify().accepted();
    for honest in [
        "opam-version: \"2.0\"\narchive-mirrors: \"cache\"\nstamp: \"1\"\n",
        "# served\nstamp: \"2\" archive-mirrors: [ \"cache\" ] upstream: \"x\" opam-version: \"2.0\"",
    ] {
        let mut served = community.clone();
        served.write("repo", honest);
        served.verify().accepted().notes(&[]);
    }
    for hostile in [
        "opam-version: \"2.0\"\narchive-mirrors: \"https://evil.example\"\n",
        "opam-version: \"2.0\"\narchive-mirrors: \"cache\"\nredirect: \"https://evil.example\"\n",
        "opam-version: \"2.0\"\narchive-mirrors: \"cache\"\nannounce: \"Run this.\"\n",
        "archive-mirrors: \"cache\"\n",
        "opam-version: \"2.0\"\n",
        "opam-version: \"2.0\"\narchive-mirrors: \"cache\"\nx: 1\n",
        "opam-version: \"2.0\"\narchive-mirrors: \"cache\"\nstamp: [\"1\"]\n",
    ] {
        let mut served = community.clone();
        served.write("repo", hostile);
        served.verify().refused_for(Code::ContentDiffers, "repo");
    }
}

/// What cannot be read without doubt counts whole, and says so.
#[test]
fn a_repo_that_cannot_be_read() {
    let mut community = Community::settled("opam");
    community.write("repo", "opam-version: \"2.0\"\nbrowse: 1\n");
    community.approve_by(&["alice", "bob"], ". repository");
    community
        .verify()
        .accepted()
        .notes(&[(Code::WholeSource, "repo")]);
    community.write("repo", "opam-version: \"2.0\"\nbrowse:  1\n");
    community
        .verify()
        .refused(&[(Code::ContentDiffers, "repo")]);
}
