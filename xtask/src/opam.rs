//! `cargo xtask opam`: the main task on the real repository, from nothing to a verified state, and three
//! attacks on it.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use conex_core::model::name::{Id, PackageName};

use crate::scene::{self, JANITORS, ORIGIN, Scene};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A git bundle of opam-repository
    #[arg(long, env = "CONEX_BUNDLE", required_unless_present = "sample")]
    bundle: Option<PathBuf>,

    /// Use the small sample that comes with the sources
    #[arg(long)]
    sample: bool,

    /// A directory to work in, kept afterwards [default: a temporary one]
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// The number of people and packages enrolled and claimed after day zero.
const AUTHORS: usize = 50;
const CLAIMS: usize = 200;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let base = arguments
        .keep
        .clone()
        .unwrap_or_else(|| temporary.path().to_owned());
    fs::create_dir_all(&base)?;
    let conex = scene::build()?;
    let mut story = Story {
        start: Instant::now(),
    };
    match &arguments.bundle {
        Some(bundle) if !arguments.sample => {
            scene::clone(bundle, &base.join("tree"))?;
            story.step("git clone");
        }
        _ => {
            scene::copy(&sample(), &base.join("tree"))?;
            story.step("copy of the sample");
        }
    }
    let scene = Scene::new(conex, base.join("home"), base.join("tree"));

    let anchor = scene.found()?;
    story.step("conex key new (3), init, root sign");
    scene.expect(&["bootstrap", "--key", "alice", "--yes"])?;
    story.step("conex bootstrap");
    scene.expect(&["approve", "--all", "--key", "bob", "--yes"])?;
    story.step("conex approve --all, by the second janitor");
    scene.expect(&["approve", "--batch", "all", "--key", "carol", "--yes"])?;
    story.step("conex approve --batch all, by the third");
    let (bytes, files) = scene.metadata()?;

    let claims = enrol(&scene)?;
    for janitor in ["alice", "bob"] {
        scene.expect(&["approve", "--all", "--key", janitor, "--yes"])?;
    }
    story.step(&format!(
        "{AUTHORS} authors, 2 teams, {claims} claims, approved by two"
    ));

    let accepted = verify(&scene, &anchor, None)?;
    story.step("conex verify --mode enforce, anchored in the root");
    verify(&scene, &key_anchors(&scene)?, Some("2"))?;
    story.step("conex verify --mode enforce, anchored in keys");

    for attack in ATTACKS {
        let undo = (attack.apply)(&scene)?;
        let output = scene.run(&["verify", "--mode", "enforce", "--trust-anchors", &anchor])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.code() == Some(1),
            "{} was not refused: {text}",
            attack.name
        );
        let reason = text
            .lines()
            .find(|line| line.contains(&format!(" {}: ", attack.code)))
            .with_context(|| format!("{} was refused for another reason: {text}", attack.name))?;
        println!("refused: {}\n    {reason}", attack.name);
        undo.restore()?;
    }
    story.step("three attacks, each refused");
    verify(&scene, &anchor, None)?;

    println!("\n{}", accepted.trim());
    println!("day zero added {files} files, {bytes} bytes to the repository");
    Ok(())
}

/// Returns a part of the real repository that comes with the sources.
fn sample() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/opam")
}

struct Story {
    start: Instant,
}

impl Story {
    fn step(&mut self, what: &str) {
        println!("{:8.3} s  {what}", self.start.elapsed().as_secs_f64());
        self.start = Instant::now();
    }
}

fn verify(scene: &Scene, anchors: &str, quorum: Option<&str>) -> anyhow::Result<String> {
    let mut line = vec!["verify", "--mode", "enforce", "--trust-anchors", anchors];
    if let Some(quorum) = quorum {
        line.extend(["--quorum", quorum]);
    }
    scene.expect(&line)
}

fn key_anchors(scene: &Scene) -> anyhow::Result<String> {
    let mut anchors = format!("origin:{ORIGIN}");
    for janitor in JANITORS {
        // Standard output has the key itself; its fingerprint is on standard error.
        let shown = String::from_utf8(scene.run(&["key", "show", janitor])?.stderr)?;
        let fingerprint = shown
            .split_whitespace()
            .find(|word| word.starts_with("SHA256:"))
            .context("a fingerprint")?;
        anchors = format!("{anchors},{fingerprint}");
    }
    Ok(anchors)
}

/// Enrolls authors and two teams of five, and makes claims: three of four by an author, the others by a
/// team.
fn enrol(scene: &Scene) -> anyhow::Result<usize> {
    let mut authors = Vec::new();
    for number in 0..AUTHORS {
        let id = Id::parse(&format!("author-{number}"))?;
        let mut seed = [0x5a; 32];
        seed[0] = u8::try_from(number)?;
        scene.propose_author(&id, seed)?;
        authors.push(id);
    }
    let mut owners = authors.clone();
    for (team, members) in ["team-a", "team-b"].iter().zip(authors.chunks(5)) {
        let id = Id::parse(team)?;
        scene.propose_team(&id, members.to_vec())?;
        owners.extend(core::iter::repeat_n(id, AUTHORS / 6));
    }
    let mut packages: Vec<String> = fs::read_dir(scene.tree().join("packages"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<anyhow::Result<_>>()?;
    packages.sort();
    let step = (packages.len() / CLAIMS).max(1);
    let claimed = packages.iter().step_by(step).take(CLAIMS);
    for (package, owner) in claimed.clone().zip(owners.iter().cycle()) {
        scene.propose_owner(&PackageName::parse(package)?, owner)?;
    }
    Ok(claimed.count())
}

struct Attack {
    name: &'static str,
    code: &'static str,
    apply: fn(&Scene) -> anyhow::Result<Undo>,
}

/// A file changed by an attack, with its former bytes, or `None` if it did not exist.
struct Undo(PathBuf, Option<Vec<u8>>);

impl Undo {
    fn restore(self) -> anyhow::Result<()> {
        match self.1 {
            Some(bytes) => fs::write(self.0, bytes)?,
            None => fs::remove_file(self.0)?,
        }
        Ok(())
    }
}

const ATTACKS: [Attack; 3] = [
    Attack {
        name: "one changed byte",
        code: "content-differs",
        apply: change_byte,
    },
    Attack {
        name: "one extra file",
        code: "unaccounted",
        apply: add_file,
    },
    Attack {
        name: "one removed signature",
        code: "not-approved",
        apply: remove_signature,
    },
];

fn some_release(scene: &Scene) -> anyhow::Result<PathBuf> {
    let mut directory = scene.tree().join("packages");
    for _ in ["package", "release"] {
        let below = fs::read_dir(&directory)?.map(|entry| Ok(entry?.path()));
        let mut below: Vec<PathBuf> = below.collect::<anyhow::Result<_>>()?;
        below.sort();
        directory = below.into_iter().next().context("there is no release")?;
    }
    Ok(directory)
}

fn change_byte(scene: &Scene) -> anyhow::Result<Undo> {
    let file = some_release(scene)?.join("opam");
    let before = fs::read(&file)?;
    let mut after = before.clone();
    let at = after.len() / 2;
    *after.get_mut(at).context("the file is not empty")? ^= 1;
    fs::write(&file, after)?;
    Ok(Undo(file, Some(before)))
}

fn add_file(scene: &Scene) -> anyhow::Result<Undo> {
    let file = some_release(scene)?.join("opam.orig");
    fs::write(&file, "opam-version: \"2.0\"\n")?;
    Ok(Undo(file, None))
}

/// Removes the page by which the second janitor approved people and owners.
fn remove_signature(scene: &Scene) -> anyhow::Result<Undo> {
    for entry in fs::read_dir(scene.tree().join("conex/index/bob"))? {
        let file = entry?.path();
        let bytes = fs::read(&file)?;
        if String::from_utf8_lossy(&bytes).contains(" author ") {
            fs::remove_file(&file)?;
            return Ok(Undo(file, Some(bytes)));
        }
    }
    anyhow::bail!("bob approved nobody")
}
