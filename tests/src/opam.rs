//! People with the real opam, whose hook is the real conex, and servers with repositories for them.
//!
//! Nothing here panics: what does not happen as it should is told, so that a test can stop and a table can go on.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use conex_core::model::path::Path as TreePath;
use conex_core::state::chain::Trust;

use crate::Community;

/// How a repository reaches opam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Over {
    /// A local directory, of which opam keeps a directory.
    Directory,
    /// A local directory, of which opam keeps an archive.
    Packed,
    /// A git repository, and git as it comes.
    Git,
    /// A git repository, and git as `conex opam-hook --install` sets it.
    GitWithoutRenames,
    /// A web server with an archive.
    Http,
}

impl Over {
    /// All ways.
    pub const ALL: [Self; 5] = [
        Self::Directory,
        Self::Packed,
        Self::Git,
        Self::GitWithoutRenames,
        Self::Http,
    ];

    /// Whether opam clones.
    pub fn is_git(self) -> bool {
        matches!(self, Self::Git | Self::GitWithoutRenames)
    }

    /// A word for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Packed => "packed",
            Self::Git => "git",
            Self::GitWithoutRenames => "git, set",
            Self::Http => "http",
        }
    }
}

/// The programs of a user.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Any opam.
    pub opam: PathBuf,
    /// The conex that is tested.
    pub conex: PathBuf,
    /// What opam calls its version, such as `2.6.1`.
    pub version: String,
}

impl Programs {
    /// This opam, unless it does not run.
    ///
    /// # Errors
    /// Why it does not run.
    pub fn new(opam: &Path, conex: &Path) -> Result<Self> {
        let output = Command::new(opam).arg("--version").output();
        let output = output.with_context(|| opam.display().to_string())?;
        ensure!(output.status.success(), "{} does not run", opam.display());
        Ok(Self {
            opam: opam.to_owned(),
            conex: conex.to_owned(),
            version: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        })
    }

    /// The programs `opam-VERSION` of a directory, by name.
    ///
    /// # Errors
    /// Where the directory cannot be read, or one of them does not run.
    pub fn below(directory: &Path, conex: &Path) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(directory)
            .with_context(|| format!("{} cannot be read", directory.display()))?
        {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("opam-") && path.is_file() {
                found.push(path);
            }
        }
        found.sort();
        found.iter().map(|opam| Self::new(opam, conex)).collect()
    }

    /// Whether this opam is of that minor version or a newer one.
    pub fn is_at_least(&self, major: u32, minor: u32) -> bool {
        let mut numbers = self.version.split(['.', '~', '-', '+']);
        let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
        (next(), next()) >= (Some(major), Some(minor))
    }
}

/// A user with opam, and a server with a repository.
#[derive(Debug)]
pub struct User {
    directory: tempfile::TempDir,
    programs: Programs,
    over: Over,
    address: String,
    anchor: String,
}

/// A settled community as opam leaves it alone, whose package `tiny` is installed without being built.
pub fn community() -> Community {
    let mut community = Community::settled("opam");
    // Where this does not begin with opam's version, opam adds that to its own copy.
    community.write("repo", "opam-version: \"2.0\"\nstamp: \"1\"\n");
    community.release("tiny", "1", TINY);
    for janitor in Community::JANITORS {
        community.approve_all(janitor, |_| true);
    }
    community.verify().accepted();
    community
}

const TINY: &str = "opam-version: \"2.0\"
synopsis: \"Nothing\"
description: \"Nothing at all.\"
maintainer: \"dave@example.org\"
";

/// The repository that all of it is about.
const NAME: &str = "signed";

impl User {
    /// Sets up both; opam follows nothing of the server's yet.
    ///
    /// # Errors
    /// What did not go well.
    pub fn new(over: Over, programs: &Programs, community: &Community) -> Result<Self> {
        let Trust::Root(digest) = community.anchor() else {
            bail!("communities are anchored in their first root")
        };
        let directory = tempfile::tempdir()?;
        let at = |name: &str| directory.path().join(name);
        for name in ["served", "home", "bin", "nothing/packages"] {
            fs::create_dir_all(at(name))?;
        }
        symlink(std::path::absolute(&programs.opam)?, at("bin/opam"))?;
        let address = match over {
            Over::Directory | Over::Packed => at("served").display().to_string(),
            Over::Git | Over::GitWithoutRenames => {
                format!("git+file://{}#main", at("served").display())
            }
            Over::Http => serve(at("served"))?,
        };
        // opam wants one repository from the start; this one nobody signed, and nobody uses.
        fs::write(at("nothing/repo"), "opam-version: \"2.0\"\n")?;
        let user = Self {
            directory,
            programs: programs.clone(),
            over,
            address,
            anchor: format!("root:{digest}"),
        };
        if over.is_git() {
            user.git(&["init", "-q", "-b", "main"])?;
        }
        user.serves(community)?;
        user.does("init --bare --no-setup --disable-sandboxing --bypass-checks nothing ./nothing")?;
        user.installs_hook()?;
        Ok(user)
    }

    /// A place in the user's directory.
    pub fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the repository is anchored in.
    pub fn anchor(&self) -> &str {
        &self.anchor
    }

    /// Where the repository is.
    pub fn address(&self) -> &str {
        &self.address
    }

    // The server.

    /// Runs git on what is served.
    fn git(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args(arguments)
            .current_dir(self.at("served"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .output()
            .context("git does not run")?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(told)
    }

    /// Has the server offer a state.
    ///
    /// # Errors
    /// The system's.
    pub fn serves(&self, community: &Community) -> Result<()> {
        let served = self.at("served");
        if self.over == Over::Http {
            let state = self.at("state");
            if state.exists() {
                fs::remove_dir_all(&state)?;
            }
            community.write_to(&state)?;
            // A server may offer what conex would not make an archive of.
            let output = Command::new("tar")
                .args(["czf", "served/index.tar.gz", "-C", "state", "."])
                .current_dir(self.directory.path())
                .output()
                .context("tar does not run")?;
            ensure!(output.status.success(), "{output:?}");
            if state.join("conex").exists() {
                let (told, code) =
                    self.conex(&["archive", "-C", "state", "served/index.tar.gz"])?;
                ensure!(code == 0, "conex archive: {told}");
            }
            fs::copy(state.join("repo"), served.join("repo"))?;
            return Ok(());
        }
        for entry in fs::read_dir(&served)? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with(".git") {
                fs::remove_dir_all(path)?;
            } else if path.is_file() {
                fs::remove_file(path)?;
            }
        }
        community.write_to(&served)?;
        if self.over.is_git() {
            self.git(&["add", "-A", "."])?;
            self.git(&["commit", "-q", "--allow-empty", "-m", "x"])?;
        }
        Ok(())
    }

    /// Whether git, as it comes, takes a change of what is served for one with renamed files that are edited, too.
    ///
    /// # Errors
    /// Where git does not run.
    pub fn has_edited_renames(&self, before: &Community, after: &Community) -> Result<bool> {
        let directory = tempfile::tempdir()?;
        for (name, community) in [("a", before), ("b", after)] {
            community.write_to(&directory.path().join(name))?;
        }
        // As opam asks: from the new state to the old one.
        let output = Command::new("git")
            .args(["diff", "--no-index", "-R", "--raw", "a", "b"])
            .current_dir(directory.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .output()
            .context("git does not run")?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut states = told
            .lines()
            .filter_map(|line| line.split_whitespace().nth(4));
        Ok(states.any(|state| state.starts_with('R') && state != "R100"))
    }

    // The user.

    fn with(&self, program: &OsStr, arguments: &[&str]) -> Result<(String, i32)> {
        let mut path = OsString::from(self.at("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.at("home"))
            .env("CONEX_STATE", self.at("state-of-conex"))
            .env("OPAMROOT", self.at("opam"))
            .env("OPAMROOTISOK", "1")
            .env("OPAMYES", "1")
            .env("OPAMCOLOR", "never");
        if self.over == Over::Packed {
            command.env("OPAMREPOSITORYTARRING", "1");
        }
        let output = command
            .output()
            .with_context(|| program.display().to_string())?;
        let told = [&output.stdout[..], &output.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        Ok((told, output.status.code().unwrap_or(-1)))
    }

    /// Runs opam; gives what it says and its exit status.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn opam(&self, line: &str) -> Result<(String, i32)> {
        let arguments: Vec<&str> = line.split(' ').collect();
        self.with(self.programs.opam.as_os_str(), &arguments)
    }

    /// Runs opam, which has to succeed.
    ///
    /// # Errors
    /// What it says, and what conex says.
    pub fn does(&self, line: &str) -> Result<String> {
        let (told, code) = self.opam(line)?;
        ensure!(code == 0, "opam {line}: {told}{}", self.why()?);
        Ok(told)
    }

    /// Runs conex.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn conex(&self, arguments: &[&str]) -> Result<(String, i32)> {
        self.with(self.programs.conex.as_os_str(), arguments)
    }

    /// What conex says of the last update.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn why(&self) -> Result<String> {
        Ok(self.conex(&["why", &format!("opam/repo/{NAME}")])?.0)
    }

    /// Sets the hook, as the guide says.
    ///
    /// # Errors
    /// Where it is not set.
    pub fn installs_hook(&self) -> Result<()> {
        let (told, code) = self.conex(&["opam-hook", "--install", "-y"])?;
        let is_set = self.does("option --global repository-validation-command")?;
        // It ends with what is still not verified.
        ensure!(
            is_set.contains("--trust-anchors") && code <= 1,
            "conex opam-hook --install: {told}"
        );
        Ok(())
    }

    /// Sets git as conex says that it has to be.
    fn sets_git(&self) -> Result<()> {
        if self.over != Over::GitWithoutRenames {
            return Ok(());
        }
        if self.at("opam/repo").join(NAME).is_dir() {
            return self.installs_hook();
        }
        // This opam packs its clones.
        let settings = "[diff]\n\trenames = false\n";
        Ok(fs::write(self.at("home/.gitconfig"), settings)?)
    }

    /// Adds the repository, from its anchor.
    ///
    /// # Errors
    /// What opam and conex say.
    pub fn adds(&self, community: &Community) -> Result<()> {
        let (anchor, address) = (&self.anchor, &self.address);
        self.does(&format!(
            "repository add {NAME} {address} 1 {anchor} --set-default"
        ))?;
        self.sets_git()?;
        self.took(community)
    }

    /// Does not add the repository from an anchor that is not its own.
    ///
    /// # Errors
    /// Where it is added.
    pub fn adds_no_other(&self) -> Result<()> {
        let (address, other) = (&self.address, "ab".repeat(32));
        let (told, code) = self.opam(&format!(
            "repository add other {address} 1 root:{other} --dont-select"
        ))?;
        ensure!(code != 0, "added: {told}");
        let why = self.conex(&["why", "opam/repo/other"])?.0;
        ensure!(why.contains("\nrefused"), "{told}{why}");
        let known = self.does("repository list --all --short")?;
        ensure!(!known.contains("other"), "{known}");
        Ok(())
    }

    /// Fetches and verifies the whole repository again.
    ///
    /// # Errors
    /// What opam and conex say.
    pub fn starts_over(&self, community: &Community) -> Result<()> {
        self.serves(community)?;
        let (anchor, address) = (&self.anchor, &self.address);
        self.does(&format!("repository set-url {NAME} {address} 1 {anchor}"))?;
        self.sets_git()?;
        self.took(community)
    }

    /// Is offered a state, and takes it.
    ///
    /// # Errors
    /// What opam and conex say, or where opam then has something else.
    pub fn takes(&self, community: &Community) -> Result<()> {
        self.serves(community)?;
        self.does(&format!("update {NAME}"))?;
        self.took(community)
    }

    fn took(&self, community: &Community) -> Result<()> {
        let why = self.why()?;
        let is_named = why.starts_with(&format!("opam repository {NAME}\n"));
        ensure!(is_named, "the report is not found by the repository: {why}");
        ensure!(why.contains("\naccepted"), "not verified: {why}");
        ensure!(
            !why.contains(": drifted: "),
            "the copy was not known: {why}"
        );
        let check = self.conex(&["opam-hook", "--check"])?.0;
        let is_about = |line: &str| line.starts_with(&format!("{NAME}: "));
        let found = check.lines().find(|line| is_about(line));
        let is_git = self.over == Over::Git;
        ensure!(
            found.is_none_or(|found| is_git && found.contains(": git-renames: ")),
            "conex opam-hook --check: {check}"
        );
        self.has(community)
    }

    /// Is offered a state, does not take it, and knows why.
    ///
    /// # Errors
    /// Where it is taken, or refused for another reason, or leaves something behind.
    pub fn refuses(&self, offered: &Community, because: &str, has: &Community) -> Result<()> {
        let records = self.at("state-of-conex/records");
        let before = files(&records)?;
        self.serves(offered)?;
        let (told, code) = self.opam(&format!("update {NAME}"))?;
        ensure!(code != 0, "taken: {told}");
        ensure!(told.contains("Invalid repository signatures"), "{told}");
        let why = self.why()?;
        ensure!(
            why.contains(&format!(": {because}: ")),
            "not {because}: {why}"
        );
        ensure!(
            !why.contains(": drifted: "),
            "the copy was not known: {why}"
        );
        ensure!(files(&records)? == before, "a record was changed");
        self.has(has)
    }

    /// Makes sure that opam's copy is this state, byte for byte, and that what opam lists is what is released in it.
    ///
    /// # Errors
    /// What is different.
    pub fn has(&self, community: &Community) -> Result<()> {
        let copy = self.copy()?;
        let tree = community.tree.files();
        let tree: BTreeMap<String, Vec<u8>> = tree
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .collect();
        for (path, bytes) in &copy {
            match tree.get(path) {
                None => bail!("opam has {path}, which is not in what was verified"),
                Some(verified) => ensure!(verified == bytes, "opam has another {path}"),
            }
        }
        for path in tree.keys() {
            // An archive that conex makes is without what nobody signs.
            let patterns = &community.root().ignore;
            let ignored = || {
                let parsed = TreePath::parse(path);
                parsed.is_ok_and(|path| patterns.iter().any(|pattern| pattern.matches(&path)))
            };
            ensure!(
                copy.contains_key(path) || self.over == Over::Http && ignored(),
                "opam has no {path}"
            );
        }
        let released: BTreeSet<&str> = tree
            .keys()
            .filter_map(|path| path.strip_prefix("packages/")?.strip_suffix("/opam"))
            .filter_map(|release| release.split('/').next_back())
            .collect();
        let listed = self.does(&format!(
            "list --all --all-versions --repos={NAME} --short --columns=package"
        ))?;
        let listed: BTreeSet<&str> = listed.split_whitespace().collect();
        ensure!(
            listed == released,
            "opam lists {:?}, released are {:?}",
            listed.difference(&released),
            released.difference(&listed)
        );
        Ok(())
    }

    /// What opam has of the repository, unpacked.
    fn copy(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let place = self.at("opam/repo").join(NAME);
        let archive = self.at("opam/repo").join(format!("{NAME}.tar.gz"));
        if place.is_dir() {
            ensure!(!archive.exists(), "opam has a directory and an archive");
            return files(&place);
        }
        let unpacked = tempfile::tempdir()?;
        let output = Command::new("tar")
            .arg("xzf")
            .args([&archive, Path::new("-C"), unpacked.path()])
            .output()
            .context("tar does not run")?;
        ensure!(output.status.success(), "{output:?}");
        // Older ones pack the directory, newer ones what is in it.
        let inner = unpacked.path().join(NAME);
        files(if inner.is_dir() {
            &inner
        } else {
            unpacked.path()
        })
    }

    /// Installs a package of the repository.
    ///
    /// # Errors
    /// What opam says.
    pub fn installs(&self, package: &str) -> Result<()> {
        self.does("switch create for-the-test --empty")?;
        self.does(&format!("install {package}"))?;
        let told = self.does("list --installed --short --columns=package")?;
        ensure!(told.contains(package), "installed are {told}");
        Ok(())
    }
}

/// Every file below a directory, by its path in it; git's own excepted.
fn files(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut next = vec![directory.to_owned()];
    while let Some(place) = next.pop() {
        for entry in fs::read_dir(place).into_iter().flatten() {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                if !path.ends_with(".git") {
                    next.push(path);
                }
                continue;
            }
            let inside = path.strip_prefix(directory)?;
            let inside = inside.to_str().context("names are text")?.to_owned();
            files.insert(inside, fs::read(&path)?);
        }
    }
    Ok(files)
}

/// A server on loopback, for as long as the program runs: it gives files of one directory.
fn serve(directory: PathBuf) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, &directory);
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, directory: &Path) -> std::io::Result<()> {
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
