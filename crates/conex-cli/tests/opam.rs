//! The real opam, with conex as its hook: over a directory, git and http.
//!
//! Where opam is not installed this says so and does nothing, unless `CONEX_NEEDS_OPAM` is set.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop where it stands, and says what it leaves out"
)]

mod client;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use client::{Client, files, said};
use conex_tests::{Community, opam_file};

/// A server on loopback, for as long as the program runs: it gives files of one directory.
fn serve(directory: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, &directory);
        }
    });
    address
}

fn answer(mut stream: TcpStream, directory: &std::path::Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
    }
    let name = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match fs::read(directory.join(name.trim_start_matches('/'))) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if !request.starts_with("HEAD") {
        stream.write_all(&body)?;
    }
    Ok(())
}

/// How a repository reaches opam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Directory,
    Git,
    Http,
}

/// A user with opam, and a server with a repository.
struct User {
    client: Client,
    over: Over,
    address: String,
}

impl User {
    fn new(over: Over, community: &Community) -> Self {
        let client = Client::of(community);
        fs::create_dir(client.at("served")).unwrap();
        let address = match over {
            Over::Directory => client.at("served").display().to_string(),
            Over::Git => format!("git+file://{}#main", client.at("served").display()),
            Over::Http => serve(client.at("served")),
        };
        let user = Self {
            client,
            over,
            address,
        };
        if over == Over::Git {
            user.git(&["init", "-q", "-b", "main"]);
        }
        user.serves(community);
        // opam wants one repository from the start; this one nobody signed, and nobody uses.
        fs::create_dir_all(user.client.at("nothing/packages")).unwrap();
        fs::write(user.client.at("nothing/repo"), "opam-version: \"2.0\"\n").unwrap();
        user.does("init --bare --no-setup --disable-sandboxing --bypass-checks nothing ./nothing");
        user.conex(&["opam-hook", "--install", "-y"]);
        user
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args(arguments)
            .current_dir(self.client.at("served"))
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{output:?}");
    }

    /// Has the server offer a state.
    fn serves(&self, community: &Community) {
        let served = self.client.at("served");
        if self.over == Over::Http {
            self.client.put("state", community);
            // A server may offer what conex would not make an archive of.
            let output = Command::new("tar")
                .args(["czf", "served/index.tar.gz", "-C", "state", "."])
                .current_dir(self.client.directory.path())
                .output()
                .expect("tar is installed");
            assert!(output.status.success(), "{output:?}");
            if fs::exists(self.client.at("state/conex")).unwrap() {
                self.client.accepts("archive -C state served/index.tar.gz");
            }
            fs::copy(self.client.at("state/repo"), served.join("repo")).unwrap();
            return;
        }
        for entry in fs::read_dir(&served).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with(".git") {
                fs::remove_dir_all(path).unwrap();
            } else if path.is_file() {
                fs::remove_file(path).unwrap();
            }
        }
        community.write_to(&served).unwrap();
        if self.over == Over::Git {
            self.git(&["add", "-A", "."]);
            self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        }
    }

    fn with(&self, program: &str, arguments: &[&str]) -> (String, i32) {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.client.directory.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.client.at("home"))
            .env("CONEX_STATE", self.client.at("state-of-conex"))
            .env("OPAMROOT", self.client.at("opam"))
            .env("OPAMROOTISOK", "1")
            .env("OPAMYES", "1")
            .env("OPAMCOLOR", "never")
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        said(&output)
    }

    fn opam(&self, line: &str) -> (String, i32) {
        self.with("opam", &line.split(' ').collect::<Vec<_>>())
    }

    #[track_caller]
    fn does(&self, line: &str) -> String {
        let (said, code) = self.opam(line);
        assert_eq!(
            code,
            0,
            "{:?}: opam {line}\n{said}\n{}",
            self.over,
            self.why()
        );
        said
    }

    fn conex(&self, arguments: &[&str]) -> (String, i32) {
        self.with(env!("CARGO_BIN_EXE_conex"), arguments)
    }

    fn why(&self) -> String {
        self.conex(&["why", "opam/repo/signed"]).0
    }

    /// What opam knows of foo; what it has is usable.
    #[track_caller]
    fn knows(&self, version: &str) {
        let said = self.does("show foo --field=all-versions");
        assert!(said.contains(version), "{:?}: {said}", self.over);
        assert!(
            self.does("list --all --repos=signed --short")
                .contains("foo")
        );
    }

    /// Is offered a state, and takes it.
    #[track_caller]
    fn takes(&self, community: &Community, version: &str) {
        self.serves(community);
        self.does("update signed");
        self.knows(version);
        assert!(self.why().contains("accepted"), "{}", self.why());
    }

    /// Is offered a state, does not take it, and knows why.
    #[track_caller]
    fn refuses(&self, community: &Community, because: &str, version: &str) {
        let records = files(&self.client.at("state-of-conex/records"));
        self.serves(community);
        let (said, code) = self.opam("update signed");
        assert_ne!(code, 0, "{:?}: {because}: {said}", self.over);
        assert!(said.contains("Invalid repository signatures"), "{said}");
        let why = self.why();
        assert!(
            why.contains(&format!(": {because}: ")),
            "{:?}: {why}",
            self.over
        );
        assert_eq!(files(&self.client.at("state-of-conex/records")), records);
        self.knows(version);
    }
}

fn is_installed() -> bool {
    let found = Command::new("opam").arg("--version").output();
    if found.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(
        std::env::var_os("CONEX_NEEDS_OPAM").is_none(),
        "opam is not installed, and CONEX_NEEDS_OPAM is set"
    );
    println!("not run: opam is not installed");
    false
}

fn story(over: Over) {
    if !is_installed() {
        return;
    }
    let first = Community::settled("opam");
    let user = User::new(over, &first);
    let (anchor, address) = (&user.client.anchor, &user.address);

    // Another repository than the anchor says is not even added.
    let other = format!("root:{}", "ab".repeat(32));
    let (said, code) = user.opam(&format!(
        "repository add other {address} 1 {other} --dont-select"
    ));
    assert_ne!(code, 0, "{said}");

    user.does(&format!(
        "repository add signed {address} 1 {anchor} --set-default"
    ));
    user.knows("1.0");
    assert!(user.why().contains("accepted"), "{}", user.why());

    let mut second = first.clone();
    second.release("foo", "3.0", &opam_file("5.0", "dune"));
    second.release("foo", "2.0", &opam_file("4.14", "dune"));
    second.approve("dave", "foo");
    second.verify().accepted();
    user.takes(&second, "3.0");

    let mut tampered = second.clone();
    let file = tampered.release_file("foo", "3.0");
    tampered.write(&file, opam_file("5.0", "curl"));
    user.refuses(&tampered, "content-differs", "3.0");

    user.refuses(&first, "rollback", "3.0");

    let mut stripped = second.clone();
    stripped.remove("conex/packages/foo.toml");
    for page in stripped.pages("dave") {
        stripped.remove(&page);
    }
    user.refuses(&stripped, "vanished", "3.0");
    let mut bare = second.clone();
    bare.remove("conex");
    user.refuses(&bare, "root-missing", "3.0");

    // Nothing was lost by it: the next honest update is taken.
    let mut third = second.clone();
    third.release("foo", "4.0", &opam_file("5.1", "dune"));
    third.approve("dave", "foo");
    user.takes(&third, "4.0");

    let (said, code) = user.conex(&["opam-hook", "--check"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("nothing: no-anchors: "), "{said}");
    assert!(!said.contains("signed: "), "{said}");
    user.does("repository remove nothing --all");
    let (said, code) = user.conex(&["opam-hook", "--check"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn over_a_directory() {
    story(Over::Directory);
}

#[test]
fn over_git() {
    story(Over::Git);
}

#[test]
fn over_http() {
    story(Over::Http);
}

#[test]
fn trust_that_is_dropped_by_a_new_address() {
    if !is_installed() {
        return;
    }
    let community = Community::settled("opam");
    let user = User::new(Over::Directory, &community);
    let (anchor, address) = (&user.client.anchor, &user.address);
    user.does(&format!(
        "repository add signed {address} 1 {anchor} --set-default"
    ));
    user.does(&format!("repository set-url signed {address}/."));
    let (said, code) = user.conex(&["opam-hook", "--check"]);
    assert_eq!(code, 1);
    assert!(said.contains("signed: no-anchors: "), "{said}");
    user.does(&format!("repository set-url signed {address} 1 {anchor}"));
    let (said, _) = user.conex(&["opam-hook", "--check"]);
    assert!(!said.contains("signed: "), "{said}");
}
