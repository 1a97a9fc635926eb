//! Repositories of any size, as plausible as their sizes need to be.
//!
//! What is generated looks to a verifier as opam-repository does: half of the packages have one or
//! two releases, the largest about a hundred, a release is one file of 1.4 KB on average, and on
//! day zero the janitors approved everything there is, in batches.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::path::{Path as SystemPath, PathBuf};
use std::{fs, io};

use conex_core::model::digest::Digest;
use conex_core::model::page::Batch;
use conex_core::state::chain::Trust;
use conex_core::tools::compose::{Composition, Draft, INLINE, is_pending};
use conex_core::tree::store::Workers as _;
use conex_core::verify::{Mode, Report, Verification};
use conex_crypto::StandardCrypto;
use conex_repo::{DirectoryStore, KnownSchemes, Parallel};

use crate::community::{Community, fingerprint, id, secret};

/// How large a repository is to be, and which of that size.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Packages.
    pub packages: usize,
    /// Releases of all packages together, at least one of each.
    pub releases: usize,
    /// Another seed gives another repository.
    pub seed: u64,
}

impl Size {
    /// Ten times opam-repository.
    pub const TENFOLD: Self = Self {
        packages: 46_000,
        releases: 188_000,
        seed: 1,
    };
}

/// Most releases of one package.
const MOST: usize = 100;

/// Writes a repository below a directory, signed by three janitors of whom two are a quorum; gives what a client is
/// to be given. Everything is the same for the same size, on any machine.
///
/// # Errors
/// The system's.
pub fn generate(directory: &SystemPath, size: &Size) -> io::Result<Trust> {
    let community = founded();
    community.write_to(directory)?;
    fs::write(directory.join("repo"), "opam-version: \"2.0\"\n")?;
    let packages: Vec<(usize, usize)> = releases_of(size).into_iter().enumerate().collect();
    let written = Parallel.map(packages, |(at, releases)| {
        write_package(directory, size, at, releases)
    });
    written.into_iter().collect::<io::Result<()>>()?;
    sign(directory, &community)?;
    Ok(community.anchor())
}

fn founded() -> Community {
    Community::found("opam", |root| {
        root.upkeep = root.quorum;
        root.unclaimed = root.quorum;
        root.complete = true;
    })
}

/// Changes what is built in a file of each of some packages of a repository that was generated, far
/// apart, and lets two janitors approve that.
///
/// The packages have as many releases as the average one, so that it is the same change in
/// repositories of different sizes.
///
/// # Errors
/// The system's.
pub fn change(directory: &SystemPath, size: &Size, packages: usize) -> io::Result<()> {
    let releases = releases_of(size);
    let apart = size.packages / packages;
    for from in (0..size.packages).step_by(apart).take(packages) {
        let mut near = (from..size.packages).take(apart);
        let average = near.find(|at| releases.get(*at) == Some(&(size.releases / size.packages)));
        let name = name_of(average.unwrap_or(from));
        let place = directory.join(format!("packages/{name}/{name}.0.0.0/opam"));
        let mut text = fs::read(&place)?;
        text.extend(b"x-changed: \"yes\"\n");
        fs::write(&place, text)?;
    }
    let community = founded();
    let pending = observe(directory, &community)?;
    let pending = pending.findings.iter().filter(|it| is_pending(it));
    let pending: Vec<Draft<'_>> = pending.filter_map(Draft::of).collect();
    for who in Community::JANITORS.into_iter().take(2) {
        publish(directory, &community, who, &pending, &mut BTreeMap::new())?;
    }
    Ok(())
}

/// Lets the janitors approve all there is: the first by batches, the others by naming the same.
fn sign(directory: &SystemPath, community: &Community) -> io::Result<()> {
    let report = observe(directory, community)?;
    let mut stored = BTreeMap::new();
    let drafts: Vec<Draft<'_>> = report.findings.iter().filter_map(Draft::of).collect();
    for who in Community::JANITORS {
        publish(directory, community, who, &drafts, &mut stored)?;
    }
    Ok(())
}

fn observe(directory: &SystemPath, community: &Community) -> io::Result<Report> {
    let store = DirectoryStore::open(directory).map_err(io::Error::other)?;
    let verification = Verification {
        store: &store,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Parallel,
        trust: &community.anchor(),
        mode: Mode::Observe,
        ahead: true,
    };
    Ok(verification.run())
}

/// Writes a page of somebody, and the batches it needs that are not stored yet.
fn publish(
    directory: &SystemPath,
    community: &Community,
    who: &str,
    drafts: &[Draft<'_>],
    stored: &mut BTreeMap<Digest, Batch>,
) -> io::Result<()> {
    let composed = Composition::new(
        community.origin(),
        &StandardCrypto,
        id(who),
        fingerprint(who),
        drafts.iter().copied(),
        stored,
        INLINE,
    );
    let composed = composed.map_err(io::Error::other)?;
    let batches = composed.batches.iter();
    stored.extend(batches.map(|batch| {
        (
            batch.digest(community.origin(), &StandardCrypto),
            batch.clone(),
        )
    }));
    let Ok((_, files)) = composed.sign(community.origin(), &StandardCrypto, &secret(who));
    for (place, bytes) in files {
        write(&directory.join(place.as_str()), &bytes)?;
    }
    Ok(())
}

fn write(file: &SystemPath, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(file, bytes)
}

/// How many releases each package has: many have few, few have many, and the sum is exact.
fn releases_of(size: &Size) -> Vec<usize> {
    let most = size.packages.saturating_mul(MOST);
    let wanted = size.releases.clamp(size.packages, most);
    let weights: Vec<u64> = (0..size.packages as u64)
        .map(|at| {
            // One in k packages has about k times the weight of the least.
            let draw = Dice::new(size.seed, at, 1).below(1_000) + 1;
            1_000_000 / draw + 2_000
        })
        .collect();
    let counts = |scale: u64| -> Vec<usize> {
        let count = |weight: &u64| usize::try_from(weight * scale / 1_000_000).unwrap_or(MOST);
        weights
            .iter()
            .map(count)
            .map(|count| count.clamp(1, MOST))
            .collect()
    };
    // The greatest scale that does not give too many, then one more for some of them.
    let (mut low, mut high) = (0, 1 << 40);
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        if counts(middle).iter().sum::<usize>() <= wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut counts = counts(low);
    let mut lacking = wanted - counts.iter().sum::<usize>();
    while lacking > 0 {
        for count in counts
            .iter_mut()
            .filter(|count| **count < MOST)
            .take(lacking)
        {
            *count += 1;
            lacking -= 1;
        }
    }
    counts
}

fn write_package(
    directory: &SystemPath,
    size: &Size,
    at: usize,
    releases: usize,
) -> io::Result<()> {
    let name = name_of(at);
    let mut home: PathBuf = directory.join("packages");
    home.push(&name);
    for release in 0..releases {
        let version = format!("{}.{}.{}", release / 25, release / 5 % 5, release % 5);
        let place = home.join(format!("{name}.{version}"));
        let text = opam_file(size, at, release, &name, &version);
        write(&place.join("opam"), text.as_bytes())?;
    }
    Ok(())
}

const WORDS: [&str; 32] = [
    "async", "base", "buf", "cairo", "cmd", "core", "crypto", "data", "dns", "eio", "fmt", "graph",
    "http", "io", "json", "kv", "lwt", "map", "net", "ocaml", "parse", "ppx", "query", "regex",
    "sexp", "text", "unix", "vec", "web", "xml", "yaml", "zip",
];

fn word(number: usize) -> &'static str {
    WORDS.get(number % WORDS.len()).copied().unwrap_or("word")
}

/// A package's name, by its number; no two are alike.
fn name_of(at: usize) -> String {
    let (first, second) = (word(at), word(at / WORDS.len()));
    match at / (WORDS.len() * WORDS.len()) {
        0 => format!("{first}-{second}"),
        more => format!("{first}-{second}{more}"),
    }
}

/// An opam file as dune writes it, some shorter and some much longer.
fn opam_file(size: &Size, at: usize, release: usize, name: &str, version: &str) -> String {
    let mut of_package = Dice::new(size.seed, at as u64, 2);
    let mut of_release = Dice::new(size.seed, at as u64, 3 + release as u64);
    let mut text = String::with_capacity(2_048);
    let author = of_package.below(2_000);
    let mut line = |line: core::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = text.write_fmt(line);
    };
    line(format_args!(
        "opam-version: \"2.0\"\nsynopsis: \"A library for {name}\"\n"
    ));
    let mut sentences = of_package.below(5) * of_package.below(4);
    if of_package.below(50) == 0 {
        sentences *= 20;
    }
    if sentences > 0 {
        line(format_args!("description: \"\"\"\n"));
        for _ in 0..sentences {
            let word = word(usize::from(of_package.byte()));
            line(format_args!(
                "It does what one expects of {word}, and it does so quickly.\n"
            ));
        }
        line(format_args!("\"\"\"\n"));
    }
    line(format_args!(
        "maintainer: [\"author{author}@example.org\"]\nauthors: [\"Author {author}\"]\n\
         license: \"ISC\"\ntags: [\"org:example\"]\n\
         homepage: \"https://example.org/author{author}/{name}\"\n\
         bug-reports: \"https://example.org/author{author}/{name}/issues\"\n\
         depends: [\n  \"ocaml\" {{>= \"4.{:02}.0\"}}\n  \"dune\" {{>= \"2.{}\"}}\n",
        2 + of_release.below(13),
        of_release.below(10),
    ));
    for _ in 0..of_package.below(12) {
        let other = usize::try_from(of_package.below(size.packages as u64)).unwrap_or_default();
        let other = name_of(other);
        match of_release.below(4) {
            0 => line(format_args!("  \"{other}\" {{with-test}}\n")),
            1 => line(format_args!(
                "  \"{other}\" {{>= \"0.{}.0\" & < \"9\"}}\n",
                of_release.below(5)
            )),
            _ => line(format_args!("  \"{other}\"\n")),
        }
    }
    line(format_args!(
        "]\nbuild: [\n  [\"dune\" \"subst\"] {{dev}}\n  [\n    \"dune\"\n    \"build\"\n    \"-p\"\n    \
         name\n    \"-j\"\n    jobs\n    \"@install\"\n    \"@runtest\" {{with-test}}\n    \
         \"@doc\" {{with-doc}}\n  ]\n]\n\
         dev-repo: \"git+https://example.org/author{author}/{name}.git\"\n\
         url {{\n  src:\n    \"https://example.org/author{author}/{name}/releases/download/{version}/{name}-{version}.tbz\"\n  \
         checksum: [\n    \"sha256={}\"\n    \"sha512={}\"\n  ]\n}}\nx-commit-hash: \"{}\"\n",
        of_release.hex(64),
        of_release.hex(128),
        of_release.hex(40),
    ));
    text
}

/// Numbers that only look random (`SplitMix64`).
struct Dice(u64);

impl Dice {
    /// Dice of one of many uses, which do not depend on each other.
    fn new(seed: u64, one: u64, other: u64) -> Self {
        let mut dice = Self(seed ^ one.rotate_left(32) ^ other.rotate_left(13));
        dice.next();
        Self(dice.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            // Writing to a string cannot fail.
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(digits);
        text
    }
}
