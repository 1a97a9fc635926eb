//! A repository with three janitors who use the real program on it, as people do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail, ensure};
use conex_core::model::name::{Id, Origin, PackageName};
use conex_core::model::statement::{
    Author, AuthorFields, AuthorKey, Authorisation, AuthorisationFields, Team, TeamFields,
};
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Threshold;
use conex_core::tree::metadata::place;
use conex_crypto::SecretKey;

use crate::measure::{Usage, measure};

/// The janitors of every scene. Two of them are a quorum.
pub(crate) const JANITORS: [&str; 3] = ["alice", "bob", "carol"];

/// The name of the repository in every scene.
pub(crate) const ORIGIN: &str = "opam.ocaml.org";

/// A working copy, a home for keys, and the program.
#[derive(Debug)]
pub(crate) struct Scene {
    conex: PathBuf,
    home: PathBuf,
    tree: PathBuf,
}

impl Scene {
    /// Creates a scene that works on `tree`, with keys and reports below `home`.
    pub(crate) fn new(conex: PathBuf, home: PathBuf, tree: PathBuf) -> Self {
        Self { conex, home, tree }
    }

    /// Returns the working copy.
    pub(crate) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Returns a command of the program on the working copy, to run or to measure.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&self.conex, &self.tree, arguments)
    }

    /// Returns a command of any build of the program on any tree, with the same keys and reports.
    pub(crate) fn command_of(&self, program: &Path, tree: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .env("CONEX_HOME", &self.home)
            .env("CONEX_STATE", &self.home)
            .arg("-C")
            .arg(tree)
            .args(arguments);
        command
    }

    /// Returns the program.
    pub(crate) fn program(&self) -> &Path {
        &self.conex
    }

    /// Runs the program.
    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(arguments).stdin(Stdio::null()).output()?)
    }

    /// Runs the program and measures it.
    pub(crate) fn measure(&self, arguments: &[&str]) -> anyhow::Result<Usage> {
        measure(&self.command(arguments))
    }

    /// Runs the program, which has to succeed. Returns its output.
    pub(crate) fn expect(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!(
                "conex {}: {text}{}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(text)
    }

    /// Makes the janitors' keys and a first root that a quorum signed. Returns the trust anchor.
    pub(crate) fn found(&self) -> anyhow::Result<String> {
        for janitor in JANITORS {
            self.expect(&["key", "new", janitor, "--no-passphrase"])?;
        }
        let mut init = vec![
            "init", "--origin", ORIGIN, "--quorum", "2", "--key", "alice", "--yes",
        ];
        for janitor in JANITORS {
            init.extend(["--janitor", janitor]);
        }
        self.expect(&init)?;
        let signed = self.expect(&["root", "sign", "--key", "bob", "--yes"])?;
        let anchor = signed
            .rsplit_once("root:")
            .context("no trust anchor was printed")?
            .1;
        Ok(format!("root:{}", anchor.trim()))
    }

    /// Removes the records of verifications.
    pub(crate) fn forget_records(&self) -> anyhow::Result<()> {
        match fs::remove_dir_all(self.home.join("records")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Removes everything but the root, to bootstrap again.
    pub(crate) fn forget_pages(&self) -> anyhow::Result<()> {
        for directory in ["conex/batches", "conex/index"] {
            match fs::remove_dir_all(self.tree.join(directory)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes an author with their own key, as a pull request would add them.
    pub(crate) fn propose_author(&self, id: &Id, seed: [u8; 32]) -> anyhow::Result<()> {
        let origin = Origin::parse(ORIGIN)?;
        let Ok(key) = AuthorKey::prove(&origin, id, &SecretKey::from_seed(seed));
        let author = Author::new(AuthorFields {
            id: id.clone(),
            accounts: Vec::new(),
            keys: vec![key],
            former: Vec::new(),
            retired: false,
        })?;
        self.write(place::author(id).as_str(), &author.to_text())
    }

    /// Writes a team, as a pull request would add it.
    pub(crate) fn propose_team(&self, id: &Id, members: Vec<Id>) -> anyhow::Result<()> {
        let team = Team::new(TeamFields {
            id: id.clone(),
            members,
            retired: false,
        })?;
        self.write(place::team(id).as_str(), &team.to_text())
    }

    /// Writes an authorisation, as a pull request would add it.
    pub(crate) fn propose_owner(&self, package: &PackageName, owner: &Id) -> anyhow::Result<()> {
        let authorisation = Authorisation::new(AuthorisationFields {
            package: package.clone(),
            owners: vec![owner.clone()],
            threshold: Threshold::new(1).context("one is not zero")?,
            epoch: 0,
            retired: false,
        })?;
        self.write(
            place::authorisation(package).as_str(),
            &authorisation.to_text(),
        )
    }

    fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.tree.join(path);
        fs::create_dir_all(path.parent().context("a parent")?)?;
        Ok(fs::write(path, text)?)
    }

    /// Returns the number of bytes and of files below `conex/`.
    pub(crate) fn metadata(&self) -> anyhow::Result<(u64, usize)> {
        fn below(directory: &Path) -> anyhow::Result<(u64, usize)> {
            let mut sum = (0, 0);
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let found = if entry.file_type()?.is_dir() {
                    below(&entry.path())?
                } else {
                    (entry.metadata()?.len(), 1)
                };
                sum = (sum.0 + found.0, sum.1 + found.1);
            }
            Ok(sum)
        }
        below(&self.tree.join("conex"))
    }
}

/// Builds the program as its users run it, and returns its path.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "conex-cli"]);
    // Use the profile of this program: figures need an optimised build, CI takes what it has.
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build.status()?;
    ensure!(status.success(), "conex does not build");
    let own = std::env::current_exe()?;
    Ok(own.with_file_name("conex"))
}

/// Copies a tree.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Clones the repository in a bundle.
pub(crate) fn clone(bundle: &Path, tree: &Path) -> anyhow::Result<()> {
    ensure!(
        bundle.is_file(),
        "{} is not there; name a bundle with --bundle",
        bundle.display()
    );
    let status = Command::new("git")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args(["-c", "init.defaultBranch=main", "clone", "--quiet"])
        .args([bundle, tree])
        .status()?;
    ensure!(status.success(), "git clone failed");
    Ok(())
}
