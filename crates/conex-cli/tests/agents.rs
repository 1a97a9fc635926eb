//! The program and ssh-agent: the real one with every type of key it can hold without a token, and
//! agents that hang, refuse or answer nonsense.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use conex_crypto::SecretKey;

/// A repository of one release, a home for keys, and a place for sockets.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let file = place.tree().join("packages/foo/foo.1.0/opam");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "opam-version: \"2.0\"\n").unwrap();
        fs::create_dir_all(place.path("home/keys")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    fn output(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_conex"))
            .args(arguments)
            .current_dir(self.tree())
            .stdin(Stdio::null())
            .env_clear()
            .env("CONEX_HOME", self.path("home"))
            .env("CONEX_STATE", self.path("home"))
            .env("SSH_AUTH_SOCK", self.path("agent"))
            .env("CONEX_AGENT_TIMEOUT", "2")
            .output()
            .unwrap()
    }

    /// Runs the program with an agent; gives the exit code, and all that was said.
    fn conex(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.output(arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        (output.status.code().unwrap(), said)
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let (code, said) = self.conex(arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        said
    }

    /// Refused with this, saying what to do, and nothing is written.
    fn refused(&self, arguments: &[&str], because: &str) {
        let before = self.files();
        let started = Instant::now();
        let (code, said) = self.conex(arguments);
        assert_ne!(code, 0, "{arguments:?}: {said}");
        assert!(said.contains(because), "{because} is not in: {said}");
        assert!(said.contains("\nhint: "), "{said}");
        assert!(started.elapsed() < Duration::from_secs(20), "{because}");
        assert_eq!(self.files(), before, "{because}");
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn below(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    below(&path, files);
                } else {
                    files.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        let mut files = BTreeMap::new();
        below(&self.tree(), &mut files);
        files
    }

    /// Has ssh-keygen make a key with its name for a comment.
    fn keygen(&self, name: &str, options: &[&str]) {
        let file = self.path(name);
        let file = file.to_str().unwrap();
        run(Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", name, "-f", file])
            .args(options));
    }

    fn ssh_add(&self, arguments: &[&str]) {
        run(Command::new("ssh-add")
            .arg("-q")
            .args(arguments)
            .current_dir(self.0.path())
            .env("SSH_AUTH_SOCK", self.path("agent")));
    }

    fn public(&self, name: &str) -> String {
        self.path(&format!("{name}.pub")).to_str().unwrap().into()
    }

    fn fingerprint(&self, name: &str) -> String {
        let said = self.succeed(&["key", "show", &self.public(name)]);
        said.lines().nth(1).unwrap().to_owned()
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("OpenSSH is installed");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// The real agent, for as long as a test runs.
struct Agent(Child);

impl Agent {
    fn start(place: &Place) -> Self {
        let socket = place.path("agent");
        let agent = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent is installed");
        let agent = Self(agent);
        let started = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(10));
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn people_with_keys_of_every_type_sign_through_ssh_agent() {
    let place = Place::new();
    let _agent = Agent::start(&place);
    for (name, options) in [
        ("ed", &["-t", "ed25519"][..]),
        ("ec", &["-t", "ecdsa", "-b", "256"]),
        ("rs", &["-t", "rsa", "-b", "2048"]),
        ("short", &["-t", "rsa", "-b", "1024"]),
    ] {
        place.keygen(name, options);
        place.ssh_add(&[name]);
    }
    let listed = place.succeed(&["key", "list"]);
    for name in ["ed", "ec", "rs"] {
        let line = format!("{name}  {}  in ssh-agent\n", place.fingerprint(name));
        assert!(listed.contains(&line), "{listed}");
    }
    assert!(
        listed.contains("not to be used: the key is weak"),
        "{listed}"
    );

    let janitors = ["ed", "ec", "rs"].map(|name| format!("{name}={}", place.public(name)));
    let mut init = vec!["init", "--origin", "example", "--quorum", "2", "-y"];
    for janitor in &janitors {
        init.extend(["--janitor", janitor]);
    }
    let fingerprint = place.fingerprint("ed");
    place.succeed(&[&init[..], &["--key", &fingerprint]].concat());
    place.succeed(&["root", "sign", "--key", "ec", "-y"]);
    // More than one is known, so none is taken without being asked for.
    place.refused(&["bootstrap", "-y"], "more than one of your keys");
    place.succeed(&["bootstrap", "--key", &place.public("rs"), "-y"]);
    place.ssh_add(&["-d", "ed"]);
    place.refused(
        &["approve", "--all", "--key", &place.public("ed"), "-y"],
        "not in ssh-agent",
    );
    place.refused(
        &["approve", "--all", "--key", &fingerprint, "-y"],
        "nor in ssh-agent",
    );
    place.ssh_add(&["-d", "rs"]);
    // Now only one is known.
    place.succeed(&["approve", "--all", "-y"]);
    let status = place.succeed(&["status"]);
    let anchor = status.lines().find(|line| line.contains("root:")).unwrap();
    let anchor = anchor.split_whitespace().last().unwrap();
    place.succeed(&["verify", "--mode", "enforce", "--trust-anchors", anchor]);

    // A file of a type that only an agent signs with says so.
    let private = place.path("rs");
    let private = private.to_str().unwrap();
    place.refused(
        &["bootstrap", "--key", private, "-y"],
        "private keys of type ssh-rsa",
    );
    let (_, said) = place.conex(&["bootstrap", "--key", private, "-y"]);
    assert!(said.contains(&format!("ssh-add {private}")), "{said}");

    // A locked agent holds nothing.
    place.ssh_add(&["-D"]);
    place.refused(&["bootstrap", "-y"], "none of your keys");
}

#[test]
fn a_page_by_every_type_of_key_is_what_ssh_keygen_verifies() {
    for options in [
        &["-t", "ecdsa", "-b", "256"][..],
        &["-t", "rsa", "-b", "2048"],
    ] {
        let place = Place::new();
        let _agent = Agent::start(&place);
        place.keygen("bob", options);
        place.ssh_add(&["bob"]);
        let janitor = format!("bob={}", place.public("bob"));
        place.succeed(&[
            "init",
            "--origin",
            "example",
            "--quorum",
            "1",
            "--janitor",
            &janitor,
            "-y",
        ]);
        place.succeed(&["bootstrap", "-y"]);
        let page = fs::read_dir(place.tree().join("conex/index/bob")).unwrap();
        let page = page.map(|entry| entry.unwrap().path()).next().unwrap();
        let text = fs::read_to_string(&page).unwrap();
        let armour = text.split("\"\"\"\n").nth(1).unwrap();
        let armour = armour.split("\"\"\"").next().unwrap();
        fs::write(place.path("sig"), armour).unwrap();
        let public = fs::read_to_string(place.public("bob")).unwrap();
        fs::write(place.path("allowed"), format!("bob {public}")).unwrap();
        let digest = page.file_stem().unwrap().to_str().unwrap();
        let bytes = place.output(&["show", digest, "--bytes"]).stdout;
        fs::write(place.path("message"), bytes).unwrap();
        run(Command::new("ssh-keygen")
            .args([
                "-Y",
                "verify",
                "-I",
                "bob",
                "-n",
                "conex-1-page",
                "-f",
                "allowed",
            ])
            .args(["-s", "sig"])
            .current_dir(place.0.path())
            .stdin(fs::File::open(place.path("message")).unwrap()));
    }
}

/// What a made-up agent does when it is asked.
#[derive(Clone)]
enum Does {
    /// Sends these bytes, length and all.
    Sends(Vec<u8>),
    /// Nothing, and keeps the connection.
    Hangs,
    /// Sends one byte a while, for ever.
    Drips,
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// Lists the key of alice and nothing else.
fn listing(key: &SecretKey) -> Does {
    let body = [
        &[12, 0, 0, 0, 1][..],
        &string(key.public_key().blob()),
        &string(b"alice\x1b[2J"),
    ]
    .concat();
    Does::Sends(string(&body))
}

/// Does one thing when asked for keys and another when asked to sign, as often as it is asked.
fn pretend(place: &Place, listing: Does, signing: Does) {
    let socket = place.path("agent");
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (listing, signing) = (listing.clone(), signing.clone());
            thread::spawn(move || {
                let mut front = [0; 5];
                if stream.read_exact(&mut front).is_err() {
                    return;
                }
                let mut rest =
                    vec![0; u32::from_be_bytes(front[..4].try_into().unwrap()) as usize - 1];
                stream.read_exact(&mut rest).unwrap();
                match if front[4] == 11 { listing } else { signing } {
                    Does::Sends(bytes) => drop(stream.write_all(&bytes)),
                    Does::Hangs => thread::sleep(Duration::from_secs(60)),
                    Does::Drips => {
                        let _ = stream.write_all(&[0, 0, 0x10, 0, 12]);
                        while stream.write_all(&[0]).is_ok() {
                            thread::sleep(Duration::from_millis(100));
                        }
                    }
                }
            });
        }
    });
}

/// A repository of alice alone, whose key no file holds.
fn alone(key: &SecretKey) -> Place {
    let place = Place::new();
    fs::write(place.path("alice.pub"), format!("{}\n", key.public_key())).unwrap();
    let file = place.path("home/keys/alice");
    fs::write(&file, key.write("alice", None).unwrap().as_bytes()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let janitor = format!("alice={}", place.public("alice"));
    place.succeed(&[
        "init",
        "--origin",
        "example",
        "--quorum",
        "1",
        "--janitor",
        &janitor,
        "-y",
    ]);
    fs::remove_file(file).unwrap();
    place
}

#[test]
fn an_agent_that_does_not_list_is_an_error() {
    let key = SecretKey::from_seed([1; 32]);
    let place = alone(&key);
    let public = place.public("alice");
    let honest = listing(&key);
    for (does, because) in [
        (Does::Hangs, "did not answer for 2 s"),
        (Does::Drips, "did not answer for 2 s"),
        (
            Does::Sends(b"HTTP/1.1 400 Bad Request\r\n".to_vec()),
            "invalid answer",
        ),
        (Does::Sends(string(b"\x0c\0\0\0\x09")), "invalid answer"),
        (
            Does::Sends(vec![0xff; 4]),
            "invalid answer of 4294967295 bytes",
        ),
        (Does::Sends(vec![0; 4]), "invalid answer of 0 bytes"),
        (
            Does::Sends(vec![0, 0, 0, 9, 12]),
            "connection to ssh-agent broke",
        ),
        (Does::Sends(Vec::new()), "connection to ssh-agent broke"),
        (Does::Sends(string(&[5])), "refuses"),
    ] {
        pretend(&place, does, Does::Hangs);
        for key in [&["--key", &public][..], &["--key", "alice"], &[]] {
            place.refused(&[&["bootstrap", "-y"], key].concat(), because);
        }
        place.refused(&["key", "list"], because);
    }
    // The twin, as far as a listing goes; and what it calls its key does not move the cursor.
    pretend(&place, honest, Does::Hangs);
    let said = place.succeed(&["key", "list"]);
    assert!(
        said.contains("in ssh-agent") && !said.contains('\x1b'),
        "{said}"
    );
}

#[test]
fn an_agent_that_does_not_sign_is_an_error() {
    let key = SecretKey::from_seed([1; 32]);
    let place = alone(&key);
    let junk = [string(b"ssh-ed25519"), string(&[7; 64])].concat();
    for (does, because) in [
        (Does::Hangs, "did not answer for 2 s"),
        (Does::Sends(string(&[5])), "refuses"),
        (Does::Sends(string(&[12, 0, 0, 0, 0])), "invalid answer"),
        (
            Does::Sends(vec![0xff; 4]),
            "invalid answer of 4294967295 bytes",
        ),
        (Does::Sends(Vec::new()), "connection to ssh-agent broke"),
        (
            Does::Sends(string(&[&[14][..], &string(&junk)].concat())),
            "not valid",
        ),
    ] {
        pretend(&place, listing(&key), does);
        place.refused(&["bootstrap", "-y"], because);
    }
}

#[test]
fn without_an_agent_files_go_on_signing() {
    let key = SecretKey::from_seed([1; 32]);
    let place = alone(&key);
    // The socket names nobody: a session that ended.
    place.refused(&["bootstrap", "-y"], "none of your keys");
    place.refused(
        &["bootstrap", "--key", &place.public("alice"), "-y"],
        "not in ssh-agent",
    );
    let file = place.path("home/keys/alice");
    fs::write(&file, key.write("alice", None).unwrap().as_bytes()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    place.refused(
        &["bootstrap", "--key", "alice", "-y"],
        "can be read by others",
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    place.succeed(&["bootstrap", "-y"]);
}
