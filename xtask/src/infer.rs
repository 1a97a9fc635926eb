//! `cargo xtask infer`: proposes owners for the packages of a real repository, by evidence.
//!
//! Compares the evidence with a table that was made from the same history by other means, shows how the
//! packages fall into classes, and has a few people enroll and get what is clearly theirs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use conex_core::model::crypto::Digests as _;
use conex_core::model::name::Id;
use conex_core::model::path::Path;
use conex_core::tree::layout::Layout as _;
use conex_crypto::StandardCrypto;
use conex_repo::DirectoryStore;
use conex_repo::git::history::Landings;
use conex_repo::infer;
use conex_repo::layout::OpamLayout;
use conex_repo::people::Person;
use serde::Deserialize;

use crate::scene::{self, Scene};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A git bundle of opam-repository
    #[arg(long, env = "CONEX_BUNDLE")]
    bundle: PathBuf,

    /// The table of its packages
    #[arg(long, env = "CONEX_PACKAGES")]
    packages: PathBuf,
}

/// How many of a thousand packages must have the table's maintainers. The others have a file that the
/// strict reader does not read, or an address with an unusual spelling.
const MAINTAINERS: usize = 985;

/// How many of a thousand packages must be clear, in bulk or for one person.
const CLEAR: usize = 400;

/// The number of people who enroll: those with the most clear packages, but few enough to get them in bulk.
const PEOPLE: usize = 20;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let base = temporary.path();
    let conex = scene::build()?;
    scene::clone(&arguments.bundle, &base.join("tree"))?;
    let scene = Scene::new(conex, base.join("home"), base.join("tree"));

    let same = compare(&scene, &arguments.packages)?;
    ensure!(
        same.releases == same.packages,
        "the numbers of releases differ from the table"
    );
    ensure!(
        same.maintainers * 1_000 >= same.packages * MAINTAINERS,
        "the maintainers of too many packages differ from the table"
    );

    let anchor = scene.found()?;
    scene.expect(&["bootstrap", "--key", "alice", "--yes"])?;
    scene.expect(&["approve", "--all", "--key", "bob", "--yes"])?;
    let start = Instant::now();
    let shown = scene.expect(&["bootstrap", "--infer"])?;
    println!("\n{}", shown.trim());
    println!(
        "\n{:8.3} s  conex bootstrap --infer",
        start.elapsed().as_secs_f64()
    );

    let survey: Survey =
        serde_json::from_str(&scene.expect(&["bootstrap", "--infer", "--json"])?)?;
    ensure!(
        survey.proposals.len() == same.packages,
        "not every package has a proposal"
    );
    let count = |class: &str| survey.classes.get(class).copied().unwrap_or_default();
    ensure!(
        (count("clear") + count("many")) * 1_000 >= same.packages * CLEAR,
        "fewer packages are clear than should be"
    );
    let claimed = claim(&scene, &survey)?;
    println!("{claimed} packages claimed in bulk for {PEOPLE} people, and approved by two");
    scene.expect(&["verify", "--mode", "enforce", "--trust-anchors", &anchor])?;
    Ok(())
}

#[derive(Deserialize)]
struct Survey {
    classes: BTreeMap<String, usize>,
    proposals: Vec<Proposal>,
}

#[derive(Deserialize)]
struct Proposal {
    class: String,
    owners: Vec<BTreeMap<String, String>>,
}

/// Enrolls the people with the most clear packages who can get them in bulk, and claims these packages.
fn claim(scene: &Scene, survey: &Survey) -> Result<usize> {
    let mut clear: BTreeMap<&str, usize> = BTreeMap::new();
    for proposal in survey.proposals.iter().filter(|it| it.class == "clear") {
        if let [owner] = proposal.owners.as_slice() {
            let address = owner.get("address");
            *clear.entry(address.map_or("", String::as_str)).or_default() += 1;
        }
    }
    clear.remove("");
    let mut people: Vec<(&str, usize)> = clear.into_iter().collect();
    people.sort_by_key(|(address, count)| (core::cmp::Reverse(*count), *address));
    people.truncate(PEOPLE);
    let mut line = vec!["bootstrap".to_owned(), "--infer".to_owned()];
    for (number, (address, _)) in people.iter().enumerate() {
        let id = Id::parse(&format!("author-{number}"))?;
        let mut seed = [0x5a; 32];
        seed[0] = u8::try_from(number)?;
        scene.propose_author(&id, seed)?;
        line.extend(["--is".to_owned(), format!("{id}={address}")]);
    }
    for janitor in ["alice", "bob"] {
        scene.expect(&["approve", "--all", "--key", janitor, "--yes"])?;
    }
    line.extend(["--key", "alice", "--yes"].map(ToOwned::to_owned));
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    scene.expect(&line)?;
    scene.expect(&["approve", "--all", "--key", "bob", "--yes"])?;
    let claimed = fs::read_dir(scene.tree().join("conex/packages"))?.count();
    let expected: usize = people.iter().map(|(_, count)| count).sum();
    ensure!(
        claimed >= expected,
        "{claimed} packages were claimed, where {expected} were clear"
    );
    Ok(claimed)
}

/// The number of packages on which the table agrees.
struct Same {
    packages: usize,
    releases: usize,
    maintainers: usize,
}

fn compare(scene: &Scene, table: &FilePath) -> Result<Same> {
    let start = Instant::now();
    let store = DirectoryStore::open(scene.tree())?;
    let (units, _) = OpamLayout.packages(&store, &Path::parse("packages")?);
    let packages = infer::packages(&store, &OpamLayout, &units, &Landings::new());
    println!(
        "{:8.3} s  all opam files read for facts",
        start.elapsed().as_secs_f64()
    );
    let text = fs::read_to_string(table).with_context(|| table.display().to_string())?;
    let rows: BTreeMap<&str, Vec<&str>> = text
        .lines()
        .skip(1)
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            Some((*cells.first()?, cells))
        })
        .collect();
    ensure!(
        rows.len() == packages.len(),
        "the table is about {} packages, and there are {}",
        rows.len(),
        packages.len()
    );
    let mut same = Same {
        packages: packages.len(),
        releases: 0,
        maintainers: 0,
    };
    let mut unreadable = 0;
    let mut others = Vec::new();
    for package in &packages {
        let cells = rows
            .get(package.name.as_str())
            .context("a package of the table")?;
        let releases = cells.get(1).and_then(|cell| cell.parse::<usize>().ok());
        same.releases += usize::from(releases == Some(package.releases.len()));
        if agrees(package, cells.get(4).copied().unwrap_or_default()) {
            same.maintainers += 1;
        } else if package.releases.iter().any(|it| it.facts.is_none()) {
            unreadable += 1;
        } else {
            others.push(package.name.to_string());
        }
    }
    println!(
        "releases as in the table:    {} of {}",
        same.releases, same.packages
    );
    println!(
        "maintainers as in the table: {} of {}",
        same.maintainers, same.packages
    );
    println!("  otherwise, since a file is left alone by the strict reader: {unreadable}");
    println!(
        "  otherwise, read differently: {}: {}",
        others.len(),
        others.join(", ")
    );
    Ok(same)
}

/// Whether the maintainers of a package are those of the table, which lists at most eight.
fn agrees(package: &infer::Package, cell: &str) -> bool {
    let mut ours: BTreeMap<String, usize> = BTreeMap::new();
    for facts in package.releases.iter().filter_map(|it| it.facts.as_ref()) {
        let mut names: Vec<String> = facts.maintainers.iter().map(name_in_table).collect();
        names.sort();
        names.dedup();
        for name in names {
            *ours.entry(name).or_default() += 1;
        }
    }
    let theirs: BTreeMap<String, usize> = cell
        .split(',')
        .filter_map(|entry| {
            let (name, count) = entry.split_once(':')?;
            Some((name.to_owned(), count.parse().ok()?))
        })
        .collect();
    let all = theirs.len() < 8;
    theirs
        .iter()
        .all(|(name, count)| ours.get(name) == Some(count))
        && (!all || ours.len() == theirs.len())
}

/// Returns the table's name for a person: a digest of the address, or of the name.
fn name_in_table(person: &Person) -> String {
    let digest = |text: &str| StandardCrypto.sha256(text.as_bytes()).to_string();
    match &person.address {
        Some(address) => digest(address.as_str()).chars().take(10).collect(),
        None => format!("n{}", digest(&person.name.to_lowercase()))
            .chars()
            .take(10)
            .collect(),
    }
}
