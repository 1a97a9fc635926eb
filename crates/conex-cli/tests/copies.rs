//! The client's copy: in which state it is found, and what is done where it is in none.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod client;

use std::fs;
use std::process::Command;

use client::{Client, files};
use conex_tests::{Community, opam_file};

const DRIFTED: &str = "drifted: ";

/// Four states, each an update of the one before: `one` to `four`, with patches such as `12` and `23`.
/// The client has the first one, verified.
fn client() -> Client {
    let one = Community::settled("opam");
    let mut two = one.clone();
    two.release("foo", "3.0", &opam_file("5.0", "dune"));
    two.approve("dave", "foo");
    let mut three = two.clone();
    three.release("foo", "3.1", &opam_file("5.1", "dune"));
    three.approve("dave", "foo");
    let mut four = three.clone();
    four.release("foo", "3.2", &opam_file("5.2", "dune"));
    four.approve("dave", "foo");
    let client = Client::of(&one);
    for (name, state) in [
        ("one", &one),
        ("two", &two),
        ("three", &three),
        ("four", &four),
    ] {
        client.put(name, state);
    }
    client.patch("one", "two", "12");
    client.patch("two", "three", "23");
    client.patch("one", "three", "13");
    client.patch("three", "four", "34");
    client.put("copy", &one);
    client.accepts("verify --dir copy");
    client
}

const WAYS: [&str; 2] = ["", " --fast"];

impl Client {
    fn update(&self, patch: &str, way: &str) -> (String, i32) {
        self.run(&format!(
            "verify --repository=copy --incremental --patch={patch}{way}"
        ))
    }

    /// The update is accepted, and the copy was what it should be.
    #[track_caller]
    fn knows(&self, patch: &str, way: &str) {
        let (said, code) = self.update(patch, way);
        assert_eq!(code, 0, "{said}");
        assert!(!said.contains(DRIFTED), "{said}");
        let is_fast = said.contains("of what the update concerns");
        assert_eq!(is_fast, !way.is_empty(), "{said}");
    }

    /// The copy was not what it should be, and the update is accepted or refused.
    #[track_caller]
    fn notices(&self, line: &str, accepted: bool) -> String {
        let (said, code) = self.run(line);
        assert_eq!(code, i32::from(!accepted), "{said}");
        assert!(said.contains(DRIFTED), "{said}");
        assert!(!said.contains("of what the update concerns"), "{said}");
        said
    }

    fn applies(&self, patch: &str) {
        let patch = fs::File::open(self.at(patch)).unwrap();
        let status = Command::new("patch")
            .args(["-p1", "-s", "--no-backup-if-mismatch"])
            .current_dir(self.at("copy"))
            .stdin(patch)
            .status()
            .unwrap();
        assert!(status.success());
    }
}

#[test]
fn a_copy_is_known_in_both_states_of_an_update() {
    for way in WAYS {
        let client = client();
        client.knows("12", way);
        // It was not put in place: the same again, and another one in its place.
        client.knows("12", way);
        client.knows("13", way);
        client.knows("12", way);
        client.applies("12");
        client.knows("23", way);
        client.applies("23");
        // Moving the copy away and back makes no other one of it.
        fs::rename(client.at("copy"), client.at("away")).unwrap();
        fs::rename(client.at("away"), client.at("copy")).unwrap();
        client.knows("34", way);
    }
}

#[test]
fn a_copy_that_is_half_updated_is_in_no_state() {
    for way in WAYS {
        let client = client();
        client.knows("12", way);
        // One file of the update is there, and the others are not.
        let file = "packages/foo/foo.3.0";
        fs::create_dir_all(client.at("copy").join(file)).unwrap();
        let at = |tree: &str| client.at(tree).join(file).join("opam");
        fs::copy(at("two"), at("copy")).unwrap();
        let update = format!("verify --repository=copy{way} --dir=two");
        client.notices(&update, true);
        // It is not replaced: it is still in no state. Then it is.
        client.notices(&update, true);
        client.put("copy", &Community::settled("opam"));
        client.notices(&update, true);
    }
}

#[test]
fn drifted_copy() {
    type Edit = fn(&Client);
    let edits: [Edit; 5] = [
        // Within a file that no update of this test concerns, of the same length.
        |client| {
            let place = client.at("copy/packages/lib/lib.1/opam");
            let text = fs::read_to_string(&place).unwrap();
            fs::write(&place, text.replace("dune", "evil")).unwrap();
        },
        // The same, in place of the file, with the times of the old one.
        |client| {
            let place = client.at("copy/packages/lib/lib.1/opam");
            let modified = fs::metadata(&place).unwrap().modified().unwrap();
            let text = fs::read_to_string(&place).unwrap();
            fs::remove_file(&place).unwrap();
            fs::write(&place, text.replace("dune", "evil")).unwrap();
            let file = fs::File::options().write(true).open(&place).unwrap();
            file.set_modified(modified).unwrap();
        },
        |client| fs::write(client.at("copy/packages/lib/lib.1/more"), "x").unwrap(),
        |client| fs::remove_dir_all(client.at("copy/packages/lib")).unwrap(),
        |client| {
            let place = client.at("copy/packages/lib/lib.1/opam");
            fs::remove_file(&place).unwrap();
            std::os::unix::fs::symlink("/etc/hostname", place).unwrap();
        },
    ];
    for way in WAYS {
        for edit in edits {
            for applied in [false, true] {
                let client = client();
                client.knows("12", way);
                let next = if applied {
                    client.applies("12");
                    "23"
                } else {
                    "12"
                };
                edit(&client);
                // Applied to this copy, the patch does not lead to anything that was approved.
                let patch = format!("verify --repository=copy{way} --incremental --patch={next}");
                let said = client.notices(&patch, false);
                assert!(said.contains("remove this copy, and update"), "{said}");
                // Another tree in its place does, and what was edited is gone with the copy.
                let whole = format!("verify --repository=copy{way} --dir=three");
                client.notices(&whole, true);
                fs::remove_dir_all(client.at("copy")).unwrap();
                fs::rename(client.at("three"), client.at("copy")).unwrap();
                client.knows("34", way);
            }
        }
    }
}

#[test]
fn a_copy_that_went_back_is_held_to_what_was_verified() {
    for way in WAYS {
        for kept in [true, false] {
            let client = client();
            client.knows("12", way);
            client.applies("12");
            client.knows("23", way);
            client.applies("23");
            client.knows("34", way);
            // What was there first is put in its place, and offered.
            fs::remove_dir_all(client.at("copy")).unwrap();
            client.put("copy", &Community::settled("opam"));
            if !kept {
                for (path, _) in files(&client.at("state/records")) {
                    if path.extension().is_some_and(|kind| kind == "floor") {
                        fs::remove_file(path).unwrap();
                    }
                }
            }
            let old = format!("verify --repository=copy{way} --dir=one");
            let said = client.notices(&old, !kept);
            assert_eq!(said.contains(": rollback: "), kept, "{said}");
            assert_eq!(said.contains("nothing else was kept"), !kept, "{said}");
            // The honest twin. What was accepted last counts, unless it is seen not to be in place.
            let new = format!("verify --repository=copy{way} --dir=four");
            if kept {
                client.notices(&new, true);
            } else {
                // What was accepted is in place already.
                client.accepts(&new);
            }
        }
    }
}

#[test]
fn packed_copies_and_such_as_are_unpacked_anew() {
    for way in WAYS {
        let client = client();
        for name in ["one", "two", "three"] {
            client.accepts(&format!("archive -C {name} {name}.tar.gz"));
        }
        let copy = client.at("copy.tar.gz");
        let put = |name: &str| {
            fs::copy(client.at(&format!("{name}.tar.gz")), &copy).unwrap();
        };
        put("one");
        client.accepts("verify --dir copy.tar.gz");
        let knows = |patch: &str| {
            let line =
                format!("verify --repository=copy.tar.gz{way} --incremental --patch={patch}");
            let said = client.accepts(&line);
            assert!(!said.contains(DRIFTED), "{said}");
        };
        knows("12");
        put("one");
        knows("12");
        put("two");
        knows("23");
        put("one");
        let line = format!("verify --repository=copy.tar.gz{way} --dir=three.tar.gz");
        client.notices(&line, true);
        put("three");
        knows("34");
    }
}

/// Writes a file of the copy again, as it is: the copy is no other, but nobody can tell by its metadata.
fn rewrites(client: &Client) {
    let place = client.at("copy/packages/lib/lib.1/opam");
    fs::write(&place, fs::read(&place).unwrap()).unwrap();
}

#[test]
fn drift_is_no_way_back() {
    for way in WAYS {
        let client = client();
        client.knows("12", way);
        for next in ["23", "34"] {
            client.applies(if next == "23" { "12" } else { "23" });
            rewrites(&client);
            let update = format!("verify --repository=copy{way} --incremental --patch={next}");
            client.notices(&update, true);
        }
        client.applies("34");
        rewrites(&client);
        for (state, accepted) in [("one", false), ("three", false), ("four", true)] {
            let update = format!("verify --repository=copy{way} --dir={state}");
            let said = client.notices(&update, accepted);
            assert_eq!(said.contains(": rollback: "), !accepted, "{said}");
        }
        // What was accepted and is seen not to be in place holds nobody.
        let client = self::client();
        client.knows("12", way);
        client.applies("12");
        client.knows("23", way);
        rewrites(&client);
        client.notices(&format!("verify --repository=copy{way} --dir=two"), true);
    }
}

#[test]
fn a_copy_that_was_removed_is_no_way_back() {
    for way in WAYS {
        let client = client();
        client.knows("12", way);
        client.applies("12");
        client.knows("23", way);
        client.applies("23");
        fs::remove_dir_all(client.at("copy")).unwrap();
        for empty in [false, true] {
            if empty {
                fs::create_dir(client.at("copy")).unwrap();
            }
            let update = |state: &str| format!("verify --repository=copy{way} --dir={state}");
            client.refuses(&update("two"), "rollback");
            // What was accepted last counts, in place or not.
            let next = if empty { "four" } else { "three" };
            let said = client.accepts(&update(next));
            assert!(!said.contains(DRIFTED), "{said}");
        }
        client.refuses("verify --repository=copy --dir=three", "rollback");
    }
}

#[test]
fn what_is_kept_of_a_copy_may_be_damaged() {
    let ends_with = |client: &Client, end: &str| {
        let records = files(&client.at("state/records"));
        let mut found = records.into_keys().filter(|path| {
            let name = path.to_str().unwrap();
            name.ends_with(end)
        });
        let place = found.next().unwrap();
        assert_eq!(found.next(), None);
        place
    };
    for way in WAYS {
        let client = client();
        client.knows("12", way);
        client.applies("12");
        // The metadata is kept anew with the next update.
        let floor = ends_with(&client, ".floor");
        let mut bytes = fs::read(&floor).unwrap();
        bytes[100] ^= 1;
        fs::write(&floor, bytes).unwrap();
        client.knows("23", way);
        client.applies("23");
        rewrites(&client);
        let back = format!("verify --repository=copy{way} --dir=one");
        let said = client.notices(&back, false);
        assert!(said.contains(": rollback: "), "{said}");
        // A record that cannot be read is said, and made anew.
        let record = ends_with(&client, ".toml");
        fs::write(&record, "format = 1\n").unwrap();
        let update = format!("verify --repository=copy --incremental --patch=34{way}");
        let said = client.accepts(&update);
        assert!(
            said.contains("cannot be read") && said.contains(".toml: "),
            "{said}"
        );
        let said = client.accepts(&update);
        assert!(!said.contains("cannot be read"), "{said}");
        // What is no file is not waited for.
        fs::remove_file(&record).unwrap();
        let made = Command::new("mkfifo").arg(&record).status().unwrap();
        assert!(made.success());
        let (said, code) = client.run(&update);
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("CONEX_STATE"), "{said}");
    }
}

#[test]
fn a_repository_that_is_signed_with_an_update() {
    for way in WAYS {
        let client = client();
        let mut unsigned = Community::settled("opam");
        unsigned.remove("conex");
        client.put("copy", &unsigned);
        client.put("zero", &unsigned);
        fs::remove_dir_all(client.at("state")).unwrap();
        client.patch("zero", "one", "01");
        let (said, code) = client.update("01", way);
        assert_eq!(code, 0, "{said}");
        client.applies("01");
        client.knows("12", way);
    }
}

#[test]
fn a_patch_that_does_not_fit_a_copy_that_drifted() {
    for way in WAYS {
        let client = client();
        client.knows("12", way);
        let place = client.at("copy/packages/foo/foo.3.0");
        fs::create_dir(&place).unwrap();
        fs::copy(
            client.at("two/packages/foo/foo.3.0/opam"),
            place.join("opam"),
        )
        .unwrap();
        let (said, code) = client.update("12", way);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("is there already"), "{said}");
        assert!(
            said.contains("updated halfway: remove it, and update"),
            "{said}"
        );
        // Where the copy is what it was, nothing is said of it.
        fs::remove_dir_all(place).unwrap();
        let (said, code) = client.update("23", way);
        assert_eq!(code, 1, "{said}");
        assert!(!said.contains("halfway"), "{said}");
    }
}

#[test]
fn a_first_fetch_is_no_way_back_either() {
    for way in WAYS {
        let client = client();
        fs::remove_dir_all(client.at("state")).unwrap();
        fs::remove_dir_all(client.at("copy")).unwrap();
        let update = |state: &str| format!("verify --repository=copy{way} --dir={state}");
        client.accepts(&update("three"));
        // It never came to be, or was removed.
        client.refuses(&update("one"), "rollback");
        client.accepts(&update("three"));
        fs::rename(client.at("three"), client.at("copy")).unwrap();
        client.knows("34", way);
        // Whoever looks at the copy as a whole does not lose what is kept.
        client.accepts("verify --dir copy");
        fs::remove_dir_all(client.at("copy")).unwrap();
        client.refuses(&update("two"), "rollback");
        client.accepts(&update("four"));
    }
}

#[test]
fn drift_before_anything_is_kept() {
    for way in WAYS {
        let client = client();
        rewrites(&client);
        let update = format!("verify --repository=copy{way} --incremental --patch=12");
        let said = client.notices(&update, true);
        assert!(said.contains("nothing else was kept"), "{said}");
        // It is not put in place, as the metadata tells, where directories count for nothing.
        fs::create_dir_all(client.at("copy/conex/index/x")).unwrap();
        client.notices(&format!("verify --repository=copy{way} --dir=one"), true);
    }
}
