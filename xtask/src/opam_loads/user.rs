//! A user of opam, and what opam shows of a changing repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use conex_tests::shapes::{Case, Releases, listed};

use super::serve::serve;

/// How opam gets a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Directory,
    /// A directory that opam keeps as an archive.
    Packed,
    Http,
    Git,
}

impl Over {
    pub(super) const ALL: [Self; 4] = [Self::Directory, Self::Packed, Self::Http, Self::Git];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Packed => "packed",
            Self::Http => "http",
            Self::Git => "git",
        }
    }
}

/// One version of opam.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    pub(super) version: String,
}

/// The releases that two clients have: one that updated, and one that began with the new state.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) updated: Releases,
    pub(super) fresh: Releases,
}

impl Program {
    /// Returns the versions in a directory, oldest first, or the installed one.
    pub(super) fn find(directory: Option<&Path>) -> anyhow::Result<Vec<Self>> {
        let paths = match directory {
            None => vec![PathBuf::from("opam")],
            Some(directory) => {
                let mut found = Vec::new();
                for entry in fs::read_dir(directory)? {
                    let entry = entry?;
                    if entry.file_name().to_string_lossy().starts_with("opam-") {
                        found.push(entry.path());
                    }
                }
                found.sort();
                found
            }
        };
        let programs = paths.into_iter().map(|path| {
            let said = Command::new(&path)
                .arg("--version")
                .env("OPAMROOTISOK", "1")
                .output()
                .with_context(|| format!("{} does not run", path.display()))?;
            let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
            ensure!(!version.is_empty(), "{} has no version", path.display());
            Ok(Self { path, version })
        });
        programs.collect()
    }

    /// Only opam 2.6 and later keep archives and update them as such.
    pub(super) fn knows(&self, over: Over) -> bool {
        over != Over::Packed || self.is_at_least_2_6()
    }

    /// Whether it keeps a repository fetched in this way as an archive.
    pub(super) fn keeps_archive(&self, over: Over) -> bool {
        matches!(over, Over::Packed | Over::Http) && self.is_at_least_2_6()
    }

    fn is_at_least_2_6(&self) -> bool {
        let mut numbers = self.version.split(['.', '~', '-']).map(str::parse::<u32>);
        let version = (numbers.next(), numbers.next());
        matches!(version, (Some(Ok(2)), Some(Ok(6..))) | (Some(Ok(3..)), _))
    }

    /// Has an opam load all cases at once, before and after.
    pub(super) fn shows<'c>(
        &self,
        over: Over,
        cases: impl Iterator<Item = &'c Case> + Clone,
    ) -> anyhow::Result<Seen> {
        let directory = tempfile::tempdir()?;
        let served = directory.path().join("served");
        fs::create_dir(&served)?;
        let address = match over {
            Over::Directory | Over::Packed => served.display().to_string(),
            Over::Git => format!("git+file://{}#main", served.display()),
            Over::Http => serve(served.clone())?,
        };
        let user = User {
            program: self,
            over,
            directory: directory.path(),
        };
        fs::create_dir(user.directory.join("home"))?;
        if over == Over::Git {
            user.git(&["init", "-q", "-b", "main"])?;
        }
        user.serves(cases.clone().map(|case| &case.before))?;
        user.begins("updated", &address)?;
        // Load the repository first, so that the update starts from a known state.
        user.lists("updated")?;
        user.serves(cases.map(|case| &case.after))?;
        user.opam("updated", &["update", "shown"])?;
        let updated = user.lists("updated")?;
        user.begins("fresh", &address)?;
        let fresh = user.lists("fresh")?;
        Ok(Seen { updated, fresh })
    }
}

struct User<'p> {
    program: &'p Program,
    over: Over,
    directory: &'p Path,
}

impl User<'_> {
    fn begins(&self, root: &str, address: &str) -> anyhow::Result<()> {
        let line = "init --bare --no-setup --disable-sandboxing --bypass-checks shown";
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.push(address);
        self.opam(root, &arguments).map(drop)
    }

    fn lists(&self, root: &str) -> anyhow::Result<Releases> {
        let line = "list -A -V -s --columns=package --repos=shown";
        let arguments: Vec<&str> = line.split(' ').collect();
        let said = self.opam(root, &arguments)?;
        Ok(said.lines().filter_map(listed).collect())
    }

    fn opam(&self, root: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program.path);
        command.args(arguments);
        command.env("OPAMROOT", self.directory.join(root));
        for (name, value) in [
            ("OPAMROOTISOK", "1"),
            ("OPAMYES", "1"),
            ("OPAMCOLOR", "never"),
        ] {
            command.env(name, value);
        }
        if self.over == Over::Packed {
            command.env("OPAMREPOSITORYTARRING", "1");
        }
        self.run(command, self.directory)
    }

    fn git(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=x", "-c", "user.email=x@example.org"]);
        command.args(arguments);
        self.run(command, &self.directory.join("served")).map(drop)
    }

    fn run(&self, mut command: Command, at: &Path) -> anyhow::Result<String> {
        let output = command
            .current_dir(at)
            .env("HOME", self.directory.join("home"))
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{command:?}"))?;
        if !output.status.success() {
            bail!(
                "{command:?}: {}\n{}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Has the server offer one state of all cases.
    fn serves<'c>(
        &self,
        states: impl Iterator<Item = &'c BTreeMap<String, String>>,
    ) -> anyhow::Result<()> {
        let served = self.directory.join("served");
        let tree = match self.over {
            Over::Http => self.directory.join("state"),
            _ => served.clone(),
        };
        fs::create_dir_all(&tree)?;
        for entry in fs::read_dir(&tree)? {
            let path = entry?.path();
            if !path.is_dir() {
                fs::remove_file(path)?;
            } else if !path.ends_with(".git") {
                fs::remove_dir_all(path)?;
            }
        }
        fs::create_dir(tree.join("packages"))?;
        fs::write(tree.join("repo"), "opam-version: \"2.0\"\n")?;
        for (file, text) in states.flatten() {
            let file = tree.join(file);
            fs::create_dir_all(file.parent().unwrap_or(&tree))?;
            fs::write(file, text)?;
        }
        match self.over {
            Over::Directory | Over::Packed => {}
            Over::Git => {
                self.git(&["add", "-A", "."])?;
                self.git(&["commit", "-q", "--allow-empty", "-m", "x"])?;
            }
            Over::Http => {
                let mut command = Command::new("tar");
                command.args(["czf", "served/index.tar.gz", "-C", "state", "."]);
                self.run(command, self.directory)?;
                fs::copy(tree.join("repo"), served.join("repo"))?;
            }
        }
        Ok(())
    }
}
