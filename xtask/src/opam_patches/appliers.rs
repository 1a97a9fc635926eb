//! The programs that apply patches, called as opam calls them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path as SystemPath, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use conex_repo::patch::Style;
use conex_tests::patches::Files;

use super::Case;

/// A program that applies patches.
pub(super) enum Applier<'a> {
    /// `patch -p1`, as used by opam up to 2.3.
    Patch(PathBuf),
    /// `git apply`.
    GitApply(PathBuf),
    /// opam itself, from 2.4 on.
    Opam(&'a Opam),
}

impl Applier<'_> {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Patch(_) => "patch".into(),
            Self::GitApply(_) => "git apply".into(),
            Self::Opam(opam) => opam.name(),
        }
    }

    /// Returns the tree that the program makes, or `None` if it refuses.
    fn apply(&self, before: &Files, patch: &[u8]) -> Result<Option<Files>> {
        let (place, words): (_, &[&str]) = match self {
            Self::Opam(opam) => return opam.apply(before, patch),
            Self::Patch(place) => (place, &["patch", "-p1", "-i", "../the.patch"]),
            Self::GitApply(place) => (place, &["git", "apply", "../the.patch"]),
        };
        let _ = fs::remove_dir_all(place);
        let root = place.join("tree");
        write(&root, before)?;
        fs::write(place.join("the.patch"), patch)?;
        let output = run(words, &root)?;
        output.status.success().then(|| read(&root)).transpose()
    }
}

/// Returns all programs that apply patches of a style.
pub(super) fn of<'a>(style: Style, opams: &'a [Opam], directory: &SystemPath) -> Vec<Applier<'a>> {
    let systems = || {
        [
            Applier::Patch(directory.join("patch")),
            Applier::GitApply(directory.join("git-apply")),
        ]
    };
    let own = || opams.iter().map(Applier::Opam);
    match style {
        Style::Plain => systems().into(),
        Style::Git => systems().into_iter().chain(own()).collect(),
        Style::Library => own().collect(),
    }
}

/// Returns the cases in which a program makes another tree than conex, or none.
pub(super) fn disagreements(applier: &Applier<'_>, cases: &[Case]) -> Result<Vec<(Case, String)>> {
    let mut wrong = Vec::new();
    let mut next = vec![cases];
    while let Some(cases) = next.pop() {
        let union = |side: fn(&Case) -> &Files| -> Files {
            let files = cases.iter().flat_map(|case| side(case).clone());
            files.collect()
        };
        let patch: Vec<u8> = cases.iter().flat_map(|case| case.patch.clone()).collect();
        let made = applier.apply(&union(|case| &case.before), &patch)?;
        if made.as_ref() == Some(&union(|case| &case.after)) {
            continue;
        }
        if let [case] = cases {
            let what = match made {
                None => "refuses what conex accepts".to_owned(),
                Some(made) => format!("makes {made:?}"),
            };
            wrong.push((case.clone(), what));
        } else if wrong.len() < 5 {
            let (left, right) = cases.split_at(cases.len() / 2);
            next.extend([right, left]);
        }
    }
    Ok(wrong)
}

/// An opam that applies patches itself, with its own opam root.
pub(crate) struct Opam {
    version: String,
    program: PathBuf,
    place: PathBuf,
    counter: core::cell::Cell<usize>,
}

/// An update by a real opam.
pub(super) struct Updated {
    pub(super) patch: Vec<u8>,
    pub(super) before: Files,
    pub(super) after: Files,
    pub(super) copy: Files,
}

/// Returns the programs `opam-VERSION` in a directory that apply patches themselves: from 2.4 on.
pub(super) fn opams(programs: &SystemPath, directory: &SystemPath) -> Result<Vec<Opam>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(programs)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(version) = name.strip_prefix("opam-") else {
            continue;
        };
        let mut numbers = version
            .split('.')
            .map_while(|part| part.parse::<u32>().ok());
        if (numbers.next(), numbers.next()) < (Some(2), Some(4)) {
            continue;
        }
        let opam = Opam {
            version: version.to_owned(),
            program: entry.path().canonicalize()?,
            place: directory.join(&name),
            counter: 0.into(),
        };
        opam.initialise()?;
        found.push(opam);
    }
    found.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(found)
}

impl Opam {
    pub(super) fn name(&self) -> String {
        format!("opam {}", self.version)
    }

    /// Whether it can keep repositories as archives.
    pub(super) fn keeps_packed(&self) -> bool {
        let mut numbers = self
            .version
            .split('.')
            .map_while(|part| part.parse::<u32>().ok());
        (numbers.next(), numbers.next()) >= (Some(2), Some(6))
    }

    fn initialise(&self) -> Result<()> {
        fs::create_dir_all(self.place.join("home"))?;
        fs::create_dir_all(self.place.join("bin"))?;
        fs::create_dir_all(self.place.join("nothing/packages"))?;
        fs::write(self.place.join("nothing/repo"), "opam-version: \"2.0\"\n")?;
        let place = self.place.display();
        // Keeps the patch that opam is about to apply.
        let hook = format!(
            "#!/bin/sh\nfor a in \"$@\"; do case \"$a\" in --patch=?*) cp \"${{a#--patch=}}\" {place}/last.patch;; esac; done\nexit 0\n"
        );
        // Makes git show a patch of our choice.
        let git = format!(
            "#!/bin/sh\ncase \" $* \" in *' --no-ext-diff '*) [ -f {place}/fake.patch ] && exec cat {place}/fake.patch;; esac\nPATH=\"$REALPATH\" exec git \"$@\"\n"
        );
        for (name, script) in [("hook", hook), ("git", git)] {
            let path = self.place.join("bin").join(name);
            fs::write(&path, script)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        let words = "init --bare --no-setup --disable-sandboxing --bypass-checks nothing ./nothing";
        self.does(words, false)
    }

    fn opam(&self, words: &str, packed: bool) -> Result<Output> {
        let path = std::env::var("PATH")?;
        let hook = format!(
            "{}/bin/hook %{{incremental}}% --repository=%{{repo}}% --dir=%{{dir}}% --patch=%{{patch}}%",
            self.place.display()
        );
        let output = Command::new(&self.program)
            .args(words.split(' '))
            .current_dir(&self.place)
            .env_clear()
            .env("PATH", format!("{}/bin:{path}", self.place.display()))
            .env("REALPATH", path)
            .env("HOME", self.place.join("home"))
            .env("OPAMROOT", self.place.join("root"))
            .env("OPAMROOTISOK", "1")
            .env("OPAMYES", "1")
            .env("OPAMCOLOR", "never")
            .env("OPAMREPOSITORYTARRING", if packed { "1" } else { "0" })
            .env("OPAMVALIDATIONHOOK", hook)
            .stdin(Stdio::null())
            .output()?;
        Ok(output)
    }

    fn does(&self, words: &str, packed: bool) -> Result<()> {
        let output = self.opam(words, packed)?;
        ensure!(
            output.status.success(),
            "{} {words}: {}",
            self.name(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Has opam apply a patch that supposedly comes from git. Returns `None` if it does not.
    fn apply(&self, before: &Files, patch: &[u8]) -> Result<Option<Files>> {
        let number = self.counter.get();
        self.counter.set(number + 1);
        let served = self.place.join(format!("served-{number}"));
        write(&served, before)?;
        fs::write(served.join("repo"), "opam-version: \"2.0\"\n")?;
        git(&served, &["init", "-q", "-b", "main", "."])?;
        commit(&served)?;
        let _ = fs::remove_file(self.place.join("fake.patch"));
        self.does(
            &format!(
                "repository add r{number} git+file://{}#main 1 x --dont-select",
                served.display()
            ),
            false,
        )?;
        fs::write(served.join("another"), "")?;
        commit(&served)?;
        fs::write(self.place.join("fake.patch"), patch)?;
        let output = self.opam(&format!("update r{number}"), false)?;
        let copy = self.place.join(format!("root/repo/r{number}"));
        let mut made = read(&copy)?;
        made.remove("repo");
        fs::remove_dir_all(&served)?;
        self.does(&format!("repository remove r{number} --all"), false)?;
        Ok(output.status.success().then_some(made))
    }

    /// Has opam update a repository that it keeps as a directory, or packed.
    pub(super) fn updates(
        &self,
        before: &Files,
        after: &Files,
        packed: bool,
        round: usize,
    ) -> Result<Updated> {
        let _ = fs::remove_file(self.place.join("fake.patch"));
        let served = self.place.join("served");
        let name = if packed { "packed" } else { "plain" };
        let with_repo = |files: &Files| {
            let mut files = files.clone();
            files.insert("repo".into(), b"opam-version: \"2.0\"\n".to_vec());
            files
        };
        let (before, after) = (with_repo(before), with_repo(after));
        if round == 0 {
            let _ = fs::remove_dir_all(&served);
            write(&served, &before)?;
            self.does(
                &format!("repository add {name} ./served 1 x --dont-select"),
                packed,
            )?;
        }
        fs::remove_dir_all(&served)?;
        write(&served, &after)?;
        self.does(&format!("update {name}"), packed)?;
        let copy = if packed {
            let unpacked = self.place.join("unpacked");
            let _ = fs::remove_dir_all(&unpacked);
            fs::create_dir(&unpacked)?;
            let archive = self.place.join("root/repo").join(format!("{name}.tar.gz"));
            let archive = archive.to_str().context("the path is text")?;
            let output = run(&["tar", "xzf", archive], &unpacked)?;
            ensure!(output.status.success(), "tar: {output:?}");
            read(&unpacked)?
        } else {
            read(&self.place.join("root/repo").join(name))?
        };
        Ok(Updated {
            patch: fs::read(self.place.join("last.patch"))?,
            before,
            after,
            copy,
        })
    }
}

fn command(words: &[&str], directory: &SystemPath) -> Result<Command> {
    let (program, arguments) = words.split_first().context("a program")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(directory)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env(
            "GIT_CEILING_DIRECTORIES",
            directory.parent().context("a parent")?,
        )
        .stdin(Stdio::null());
    Ok(command)
}

fn run(words: &[&str], directory: &SystemPath) -> Result<Output> {
    command(words, directory)?
        .output()
        .with_context(|| format!("{words:?}"))
}

fn git(directory: &SystemPath, arguments: &[&str]) -> Result<Vec<u8>> {
    let words = [
        &["git", "-c", "user.name=x", "-c", "user.email=x@example.org"],
        arguments,
    ]
    .concat();
    let output = run(&words, directory)?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(output.stdout)
}

fn commit(directory: &SystemPath) -> Result<()> {
    git(directory, &["add", "-A", "-f", "."])?;
    git(directory, &["commit", "-q", "-m", "x"])?;
    Ok(())
}

/// Returns the output of `diff`, called as by opam up to 2.3.
pub(super) fn diff(root: &SystemPath, before: &Files, after: &Files) -> Result<Vec<u8>> {
    write(&root.join("r"), before)?;
    write(&root.join("r.new"), after)?;
    Ok(run(&["diff", "-ruaN", "r", "r.new"], root)?.stdout)
}

/// Returns the output of `git diff`, called as by opam: the checkout against a commit.
pub(super) fn git_diff(
    root: &SystemPath,
    before: &Files,
    after: &Files,
    options: &[&str],
) -> Result<Vec<u8>> {
    fs::create_dir_all(root)?;
    git(root, &["init", "-q", "."])?;
    write(root, after)?;
    git(root, &["add", "-A", "-f"])?;
    let wanted = git(root, &["write-tree"])?;
    let wanted = core::str::from_utf8(&wanted)?.trim().to_owned();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if !path.ends_with(".git") {
            fs::remove_dir_all(path)?;
        }
    }
    write(root, before)?;
    git(root, &["add", "-A", "-f"])?;
    let fixed = [
        "-c",
        "diff.noprefix=false",
        "diff",
        "--text",
        "--no-ext-diff",
        "-R",
        "-p",
    ];
    git(root, &[options, &fixed, &[wanted.as_str(), "--"]].concat())
}

pub(super) fn write(root: &SystemPath, files: &Files) -> Result<()> {
    fs::create_dir_all(root)?;
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().context("a parent")?)?;
        fs::write(path, bytes)?;
    }
    Ok(())
}

/// Reads the files of a directory, without those of version control.
fn read(root: &SystemPath) -> Result<Files> {
    let mut files = Files::new();
    let mut next = vec![root.to_owned()];
    while let Some(directory) = next.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if entry.file_name() != ".git" {
                    next.push(path);
                }
                continue;
            }
            let name = path
                .strip_prefix(root)?
                .to_str()
                .context("a name is text")?;
            files.insert(name.to_owned(), fs::read(&path)?);
        }
    }
    Ok(files)
}
