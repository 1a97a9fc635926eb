//! What is left when the program is killed, or the ground moves while it works.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod client;

use core::time::Duration;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use client::{Client, files};
use conex_core::model::stored::Stored as _;
use conex_core::verify::CopyRecord;
use conex_tests::{Community, opam_file, secret};

/// Runs a command and kills it after a while; whether it had ended by itself.
fn killed(command: &mut Command, after: Duration) -> bool {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    let ended = child.try_wait().unwrap().is_some();
    // Nobody can be asked to clean up after this.
    child.kill().unwrap();
    child.wait().unwrap();
    ended
}

/// Kills a command at more and more of its moments, until it is through; every state in between is looked at.
fn at_every_moment(mut command: impl FnMut() -> Command, mut look: impl FnMut()) {
    let mut after = Duration::ZERO;
    let mut through = 0;
    while through < 3 {
        through += usize::from(killed(&mut command(), after));
        look();
        after += Duration::from_micros(1_500);
        assert!(after < Duration::from_secs(20), "it never ends");
    }
}

/// The names in a directory; none if it is not there.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A directory holds the one file, and at most one more that was on its way to the same place. What a record
/// needs of metadata stands beside it.
fn holds_one(directory: &Path, name: &str) {
    let mut names = names(directory);
    names.retain(|name| name.strip_suffix(".floor").is_none());
    assert!(names.remove(name), "{names:?}");
    let passing = names.iter().all(|name| name.starts_with(".conex-"));
    assert!(names.len() <= 1 && passing, "{names:?}");
}

#[test]
fn crash_safety_of_records() {
    let old = Community::settled("opam");
    let client = Client::of(&old);
    client.put("old", &old);
    client.accepts("verify --dir old");
    let mut new = old.clone();
    new.next_root(&["alice", "bob"], |root| root.complete = true);
    client.put("new", &new);
    let before = client.records();
    let [record] = &names(&client.at("state/records"))
        .into_iter()
        .collect::<Vec<_>>()[..]
    else {
        panic!("one record")
    };
    let mut seen = BTreeSet::new();
    at_every_moment(
        || client.command("verify --repository=old --dir=new"),
        || {
            // One record, whole, the old or the new one.
            holds_one(&client.at("state/records"), record);
            let record = fs::read_to_string(client.at("state/records").join(record)).unwrap();
            CopyRecord::from_bytes(record.as_bytes()).unwrap();
            seen.insert(record == before[0]);
        },
    );
    assert_eq!(seen.len(), 2, "killed before and after");
    client.accepts("verify --repository=old --dir=new");
    // Whatever was left is gone with the next record that is written.
    client.put("old", &new);
    new.next_root(&["alice", "bob"], |_| {});
    client.put("new", &new);
    client.accepts("verify --repository=old --dir=new");
    let left = names(&client.at("state/records"));
    assert_eq!(left.len(), 2, "a record and what it needs: {left:?}");
}

#[test]
fn crash_safety_of_approvals() {
    let mut community = Community::settled("opam");
    community.release("bar", "0.2", &opam_file("5.0", "dune"));
    let client = Client::of(&community);
    client.put("tree", &community);
    let keys = client.at("home/keys");
    fs::create_dir_all(&keys).unwrap();
    let text = secret("alice").write("alice", None).unwrap();
    fs::write(keys.join("alice"), text.as_bytes()).unwrap();
    fs::set_permissions(
        keys.join("alice"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let before = files(&client.at("tree"));
    let mut seen = BTreeSet::new();
    at_every_moment(
        || {
            client.put("tree", &community);
            let mut command = client.command("approve -C tree bar --key alice -y");
            command.env("CONEX_HOME", client.at("home"));
            command
        },
        || {
            let after = files(&client.at("tree"));
            // Nothing that was there is another, and what is new is one page.
            assert!(
                before
                    .iter()
                    .all(|(path, bytes)| after.get(path) == Some(bytes))
            );
            let added = after.len() - before.len();
            assert!(added <= 1, "{:?}", after.keys());
            let (said, code) = client.run("verify --dir tree");
            assert_eq!(code, i32::from(added == 0), "{said}");
            assert!(
                added == 1 || said.contains("content-differs") || said.contains("not-approved")
            );
            seen.insert(added);
        },
    );
    assert_eq!(seen.len(), 2, "killed before and after");
}

#[test]
fn crash_safety_of_archives() {
    let community = Community::settled("opam");
    let client = Client::of(&community);
    client.put("tree", &community);
    fs::create_dir(client.at("out")).unwrap();
    client.accepts("archive -C tree out/index.tar.gz");
    let whole = fs::read(client.at("out/index.tar.gz")).unwrap();
    fs::write(client.at("out/index.tar.gz"), "the old one").unwrap();
    let mut seen = BTreeSet::new();
    at_every_moment(
        || client.command("archive -C tree out/index.tar.gz"),
        || {
            let found = fs::read(client.at("out/index.tar.gz")).unwrap();
            assert!(found == whole || found == b"the old one");
            holds_one(&client.at("out"), "index.tar.gz");
            seen.insert(found == whole);
        },
    );
    assert_eq!(seen.len(), 2, "killed before and after");
    client.accepts("archive -C tree out/index.tar.gz");
    assert_eq!(names(&client.at("out")).len(), 1);
}

#[test]
fn toctou() {
    let honest = Community::settled("opam");
    let mut hostile = honest.clone();
    let file = hostile.release_file("foo", "1.0");
    hostile.write(&file, opam_file("4.08", "evil"));
    let client = Client::of(&honest);
    client.put("new", &honest);
    client.put("hostile", &hostile);
    client.accepts("verify --dir new");
    // A directory in the tree is exchanged for a link to one outside, and back, all the time.
    let (inside, aside) = (client.at("new/packages/foo"), client.at("aside"));
    let outside = client.at("hostile/packages/foo");
    let done = core::sync::atomic::AtomicBool::new(false);
    let mut verdicts = BTreeSet::new();
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            while !done.load(core::sync::atomic::Ordering::Relaxed) {
                fs::rename(&inside, &aside).unwrap();
                std::os::unix::fs::symlink(&outside, &inside).unwrap();
                std::thread::sleep(Duration::from_micros(700));
                fs::remove_file(&inside).unwrap();
                fs::rename(&aside, &inside).unwrap();
                std::thread::sleep(Duration::from_micros(700));
            }
        });
        for _ in 0..60 {
            let (said, code) = client.run("verify --dir new");
            // The hostile content is never read: what the link leads to is not in the tree.
            assert!(!said.contains("content-differs"), "{said}");
            assert!(code == 0 || code == 1, "{said}");
            verdicts.insert(code);
        }
        done.store(true, core::sync::atomic::Ordering::Relaxed);
        swapping.join().unwrap();
    });
    assert!(verdicts.contains(&1), "the link was seen and refused");
    client.accepts("verify --dir new");
    fs::remove_dir_all(&inside).unwrap();
    std::os::unix::fs::symlink(&outside, &inside).unwrap();
    client.refuses("verify --dir new", "special-file");
}
