//! Updates at the command line: in every form in which they come, and what is kept of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

mod client;

use std::fs;
use std::process::{Command, Stdio};

use client::{Client, files, said};
use conex_tests::{Community, opam_file};

/// As a package manager calls its hook.
const PATCH: &str = "verify --quorum=1 --repository=old --patch=patch --incremental";
const DIR: &str = "verify --quorum=1 --repository=old --dir=new";

/// A repository, and the one after an honest release.
fn states() -> (Community, Community) {
    let old = Community::settled("opam");
    let mut new = old.clone();
    new.release("foo", "3.0", &opam_file("5.0", "dune"));
    new.approve("dave", "foo");
    new.verify().accepted();
    (old, new)
}

/// A client that has verified the one, and is offered the other.
fn offered(old: &Community, new: &Community) -> Client {
    let client = Client::of(old);
    client.put("old", old);
    client.accepts("verify --dir old");
    client.put("new", new);
    client.patch("old", "new", "patch");
    client
}

/// The same without foo 2.0's newest upkeep: what was once so.
fn older(community: &Community) -> (Community, Community) {
    let mut newer = community.clone();
    newer.release("foo", "2.0", &opam_file("4.14", "dune"));
    newer.approve("dave", "foo");
    newer.verify().accepted();
    (newer, community.clone())
}

#[test]
fn an_update_is_verified_in_every_form_it_comes_in() {
    let (old, new) = states();
    for way in ["", " --fast"] {
        let client = offered(&old, &new);
        let before = files(&client.at("old"));
        client.accepts(&format!("{PATCH}{way} --mode enforce"));
        assert_eq!(files(&client.at("old")), before, "a patch is not applied");
        client.accepts(&format!("{DIR}{way}"));
        for tree in ["old", "new"] {
            client.accepts(&format!("archive -C {tree} {tree}.tar.gz"));
        }
        client.accepts("verify --repository old.tar.gz --dir new.tar.gz");
        client.accepts(&format!(
            "verify --repository=old.tar.gz --patch=patch --incremental{way}"
        ));
        client.accepts("verify --dir new.tar.gz");
    }
}

#[test]
fn a_repository_that_is_not_there_yet() {
    let (old, _) = states();
    let client = Client::of(&old);
    client.put("new", &old);
    for before in ["absent", "empty", "git"] {
        fs::create_dir(client.at("empty")).unwrap_or_default();
        // Where it is fetched by git, git began there.
        for tree in ["git", "new"].iter().filter(|_| before == "git") {
            for directory in ["objects", "refs"] {
                fs::create_dir_all(client.at(tree).join(".git").join(directory)).unwrap();
            }
            fs::write(client.at(tree).join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        }
        client.accepts(&format!("verify --repository={before} --dir=new"));
    }
    assert_eq!(client.records().len(), 3);
}

#[test]
fn what_is_accepted_is_on_record_and_nothing_else() {
    let (old, new) = states();
    let client = offered(&old, &new);
    let [record] = &client.records()[..] else {
        panic!()
    };
    assert!(record.contains("origin = \"example\""), "{record}");
    assert!(!record.contains("enforced"), "{record}");
    // Reports only, whatever is offered.
    let client = Client::of(&old);
    client.put("old", &old);
    client.accepts("verify --dir old --mode observe");
    assert_eq!(client.records(), [""; 0]);
    client.put("new", &new);
    client.accepts("verify --repository old --dir new --mode observe");
    assert_eq!(client.records(), [""; 0]);
    client.accepts("verify --repository old --dir new --mode enforce");
    let [record] = &client.records()[..] else {
        panic!()
    };
    assert!(record.contains("enforced = true"), "{record}");
}

#[test]
fn rollback_leaves_no_trace_but_its_report() {
    let (old, new) = older(&states().0);
    let client = offered(&old, &new);
    for way in ["", " --fast"] {
        client.refuses(&format!("{PATCH}{way}"), "rollback");
        client.refuses(&format!("{DIR}{way}"), "rollback");
    }
    // To somebody who never saw anything newer, it is a state like any other.
    client.accepts("verify --dir new");
}

#[test]
fn a_directory_without_files_is_seen_wherever_it_is() {
    let (old, new) = states();
    for place in [
        "conex/empty",
        "conex/index/empty",
        "packages/foo/empty",
        "empty",
        "packages/empty",
    ] {
        let client = offered(&old, &new);
        std::fs::create_dir(client.at("new").join(place)).unwrap();
        let verdict = client.run("verify --dir new --mode enforce").1;
        assert_eq!(client.run(DIR).1, verdict, "{place}");
        assert_eq!(client.run(&format!("{DIR} --fast")).1, verdict, "{place}");
    }
}

#[test]
fn observe_then_enforce() {
    let (old, mut new) = states();
    let foo = new.release_file("foo", "1.0");
    new.write(&foo, opam_file("4.08", "make"));
    let client = Client::of(&old);
    client.put("old", &new);
    client.accepts("verify --dir old --mode observe");
    client.put("new", &new);
    client.refuses(
        "verify --repository old --dir new --fast",
        "content-differs",
    );
}

#[test]
fn a_record_that_is_lost_or_of_something_else() {
    let (old, new) = older(&states().0);
    let client = offered(&old, &new);
    let record = || {
        files(&client.at("state/records"))
            .into_keys()
            .next()
            .unwrap()
    };
    let kept = fs::read(record()).unwrap();
    let honest = {
        let mut next = old.clone();
        next.release("foo", "4.0", &opam_file("5.0", "dune"));
        next.approve("dave", "foo");
        next
    };
    for lost in [
        "",
        "nonsense",
        &String::from_utf8_lossy(&kept).replace("root:", "root:00"),
    ] {
        for way in ["", " --fast"] {
            fs::write(record(), lost).unwrap();
            // What the client has still says what must not be taken back.
            client.put("new", &new);
            client.refuses(&format!("{DIR}{way}"), "rollback");
            client.put("new", &honest);
            client.accepts(&format!("{DIR}{way}"));
        }
    }
    // Anchors of somebody else are not served by what was verified before.
    let other = format!("root:{}", "ab".repeat(32));
    client.put("new", &honest);
    client.refuses(
        &format!("{DIR} --trust-anchors={other}"),
        "anchor-unsatisfied",
    );
}

#[test]
fn strip_signatures() {
    let (old, _) = states();
    let mut bare = old.clone();
    bare.remove("conex");
    let client = offered(&old, &bare);
    client.refuses(PATCH, "root-missing");
    client.refuses(DIR, "root-missing");
    let mut stripped = old.clone();
    for page in stripped.pages("dave") {
        stripped.remove(&page);
    }
    stripped.remove("conex/packages/foo.toml");
    client.put("new", &stripped);
    client.refuses(DIR, "vanished");
}

#[test]
fn patch_tricks() {
    let (old, new) = states();
    let client = offered(&old, &new);
    let honest = fs::read_to_string(client.at("patch")).unwrap();
    let with = |end: &str| format!("{honest}{end}");
    let link = "diff --git a/l b/l\nnew file mode 120000\nindex 0000000..1234567\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n";
    let tricks = [
        ("empty", String::new()),
        ("garbage at the end", with("garbage\n")),
        ("an ed script", "0a\n!touch x\n.\n".into()),
        ("the same file twice", with(&honest)),
        ("a link", link.into()),
        (
            "a name that leads out",
            with(
                "--- old/../x\t1970-01-01 00:00:00.000000000 +0000\n+++ new/../x\t2020-01-01 00:00:00.000000000 +0000\n@@ -0,0 +1 @@\n+x\n",
            ),
        ),
        ("cut off", honest[..honest.len() - 10].to_owned()),
        ("other context", honest.replace("\n+", "\n-")),
        ("carriage returns", honest.replace('\n', "\r\n")),
    ];
    for (trick, patch) in tricks {
        fs::write(client.at("patch"), patch).unwrap();
        for way in ["", " --fast"] {
            let said = client.refuses(&format!("{PATCH}{way}"), "bad-patch");
            assert!(said.contains("patch:"), "{trick}: {said}");
        }
        let said = client.accepts(&format!("{PATCH} --mode observe"));
        assert!(said.contains(": bad-patch: "), "{trick}: {said}");
    }
    fs::write(client.at("patch"), honest).unwrap();
    client.accepts(PATCH);
}

#[test]
fn an_empty_file_that_diff_does_not_show_is_no_fault_of_a_server() {
    let (old, mut new) = states();
    new.write("packages/foo/foo.3.0/files/empty", "");
    new.approve("dave", "foo");
    new.verify().accepted();
    let client = offered(&old, &new);
    let said = client.refuses(PATCH, "behind");
    assert!(said.contains(": plain-patch: "), "{said}");
    assert!(said.contains("no server is at fault"), "{said}");
    // Where there is none, nothing is said of them.
    let said = client.accepts(DIR);
    assert!(!said.contains("plain-patch"), "{said}");
    client.put("new", &states().1);
    client.patch("old", "new", "patch");
    let said = client.accepts(&format!("{PATCH} --all"));
    assert!(!said.contains("plain-patch"), "{said}");
}

#[test]
fn archives_that_are_none() {
    let (old, _) = states();
    let client = Client::of(&old);
    client.put("old", &old);
    client.accepts("archive -C old honest.tar.gz");
    client.accepts("verify --dir honest.tar.gz");
    let tar = |arguments: &[&str]| {
        let status = Command::new("tar")
            .args(arguments)
            .current_dir(client.at("old"))
            .status()
            .expect("tar is installed");
        assert!(status.success());
    };
    std::os::unix::fs::symlink("/etc/passwd", client.at("old/link")).unwrap();
    tar(&["czf", "../link.tar.gz", "."]);
    client.refuses("verify --dir link.tar.gz", "bad-archive");
    fs::write(client.at("broken.tar.gz"), "no archive").unwrap();
    client.refuses("verify --dir broken.tar.gz", "bad-archive");
    let whole = fs::read(client.at("honest.tar.gz")).unwrap();
    fs::write(client.at("broken.tar.gz"), &whole[..whole.len() / 2]).unwrap();
    client.refuses("verify --dir broken.tar.gz", "bad-archive");
}

#[test]
fn what_cannot_be_read_is_said_later_too() {
    let (old, new) = states();
    let client = offered(&old, &new);
    for (line, code, word) in [
        (
            "verify --repository=old --patch=absent --incremental",
            3,
            "absent",
        ),
        (
            "verify --repository=absent --patch=patch --incremental",
            3,
            "absent",
        ),
        ("verify --repository=old --dir=absent", 3, "absent"),
        ("verify --quorum=0 --repository=old --dir=new", 2, "quorum"),
        ("verify --range A..B -C old", 2, "git"),
    ] {
        let (said, ended) = client.run(line);
        assert_eq!(ended, code, "{line}: {said}");
        let (why, _) = client.run("why");
        assert!(
            why.contains(word) && why.contains("failed"),
            "{line}: {why}"
        );
    }
    for line in [
        "verify --patch=patch",
        "verify --incremental",
        "verify --range A..B --dir x",
    ] {
        assert_eq!(client.run(line).1, 2, "{line}");
    }
}

#[test]
fn revisions_of_git_bare_or_not() {
    let (old, new) = states();
    let client = Client::of(&old);
    let git = |place: &str, arguments: &[&str]| {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=x",
                "-c",
                "user.email=x@example.org",
                "-C",
                place,
            ])
            .args(arguments)
            .current_dir(client.directory.path())
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{output:?}");
    };
    client.put("git", &old);
    git("git", &["init", "-q"]);
    let rolled = older(&new);
    for (state, tag) in [
        (&old, "one"),
        (&new, "two"),
        (&rolled.0, "three"),
        (&new, "back"),
    ] {
        for (file, _) in files(&client.at("git")) {
            if !file.starts_with(client.at("git/.git")) {
                fs::remove_file(file).unwrap();
            }
        }
        state.write_to(&client.at("git")).unwrap();
        git("git", &["add", "-A", "."]);
        git("git", &["commit", "-q", "-m", tag]);
        git("git", &["tag", tag]);
    }
    git(".", &["clone", "-q", "--bare", "git", "bare"]);
    for place in ["git", "bare"] {
        client.accepts(&format!("verify -C {place} --revision one"));
        for way in ["", " --fast"] {
            client.accepts(&format!("verify -C {place} --range one..two{way}"));
            client.accepts(&format!("verify -C {place} --range one..three{way}"));
            client.refuses(
                &format!("verify -C {place} --range three..back{way}"),
                "rollback",
            );
        }
        // Whoever never saw three takes two.
        client.accepts(&format!("verify -C {place} --revision back"));
        for range in ["one", "one...two", "..two", "one..", "one..none"] {
            assert_eq!(
                client.run(&format!("verify -C {place} --range {range}")).1,
                2,
                "{range}"
            );
        }
    }
}

#[test]
fn two_at_once() {
    let (old, new) = states();
    let client = offered(&old, &new);
    let verify = |_| {
        let mut command = client.command(DIR);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let running: Vec<_> = (0..8).map(verify).collect();
    for child in running {
        let (said, code) = said(&child.wait_with_output().unwrap());
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!(client.records().len(), 1);
    client.accepts(DIR);
}

/// The guide is tried as it is written.
#[test]
fn the_guide_for_clients_is_true() {
    let (old, new) = states();
    let client = offered(&old, &new);
    fs::rename(client.at("patch"), client.at("update.patch")).unwrap();
    client.put("git", &old);
    for (state, arguments) in [
        (&old, &["init", "-q", "-b", "signed"][..]),
        (&old, &["add", "-A"]),
        (&old, &["commit", "-q", "-m", "one"]),
        (&new, &["add", "-A"]),
        (&new, &["commit", "-q", "-m", "two"]),
    ] {
        state.write_to(&client.at("git")).unwrap();
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args(arguments)
            .current_dir(client.at("git"))
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{output:?}");
    }
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides/client.md");
    let guide = fs::read_to_string(guide).unwrap();
    let mut tried = 0;
    for line in guide
        .lines()
        .filter_map(|line| line.strip_prefix("$ conex "))
    {
        client.accepts(&line.replace("ANCHOR", &client.anchor));
        tried += 1;
    }
    assert!(tried > 6);
}

/// Where there is nowhere to keep a record, the state itself says what must not be taken back.
#[test]
fn without_a_home() {
    let (old, new) = older(&states().0);
    let client = offered(&old, &new);
    let homeless = |line: &str| {
        said(
            &client
                .command(line)
                .env_remove("CONEX_STATE")
                .output()
                .unwrap(),
        )
    };
    let (said, code) = homeless("verify --dir old");
    assert_eq!(code, 0, "{said}");
    let (said, code) = homeless(PATCH);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(": rollback: "), "{said}");
}

/// opam unpacks a repository to another place for each update, or hands the archive over. It is the same
/// repository, with one record and one report.
#[test]
fn where_opam_has_its_repositories() {
    let (old, new) = states();
    let client = offered(&old, &new);
    for place in ["opam/repo", "opam/log", "opam-12-ab"] {
        fs::create_dir_all(client.at(place)).unwrap();
    }
    fs::write(client.at("opam/repo/repos-config"), "").unwrap();
    fs::remove_dir_all(client.at("state")).unwrap();
    client.accepts("verify --repository=opam/repo/default --dir=old");
    client.accepts("archive -C old opam/repo/default.tar.gz");
    client.put("opam-12-ab/default", &old);
    fs::copy(client.at("patch"), client.at("opam/log/patch-1")).unwrap();
    for (update, patch) in [
        ("opam-12-ab/default", "opam/log/patch-1"),
        ("opam/repo/default.tar.gz", "patch"),
    ] {
        client.accepts(&format!(
            "verify --repository={update} --patch={patch} --incremental"
        ));
        assert_eq!(client.records().len(), 1, "{update}");
        let why = client.accepts("why opam/repo/default");
        assert!(why.contains("opam repository default"), "{update}: {why}");
    }
    // What is not opam's is itself.
    client.accepts("verify --repository=opam-12-ab/default --patch=patch --incremental");
    assert_eq!(client.records().len(), 2);
}

/// Configurations for OCaml conex name a program of its own, without a word after it.
#[test]
fn under_the_name_of_a_program_that_only_verifies() {
    let (old, new) = states();
    let client = offered(&old, &new);
    for name in ["conex-verify", "conex_verify"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_conex"), client.at(name)).unwrap();
        let output = Command::new(client.at(name))
            .args(PATCH.split(' ').skip(1))
            .current_dir(client.directory.path())
            .env_clear()
            .env("CONEX_STATE", client.at("state"))
            .env("CONEX_TRUST_ANCHORS", &client.anchor)
            .output()
            .unwrap();
        let (said, code) = said(&output);
        assert_eq!(code, 0, "{said}");
    }
}
