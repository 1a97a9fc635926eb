//! `cargo xtask mutants`: plants small faults in the rules, and reports which of them the tests notice.
//!
//! All of them are planted in one copy of the workspace, which is built once. A test then runs once for
//! each mutant, with the number of the active one in its environment: a thousand builds would take days.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;
use std::{fs, thread};

use anyhow::{Context as _, bail, ensure};
use plant::{Mutant, Planter};

mod plant;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Source files, or directories of them, below crates/conex-core/src
    #[arg(default_values = [
        "state/approval.rs", "state/chain.rs", "state/people.rs", "state/judge.rs", "state/ownership.rs",
        "verify/transitions.rs", "tools/advance.rs", "tools/advance"
    ])]
    files: Vec<String>,

    /// Test programs, run in this order until one notices; `lib` is that of conex-core itself
    #[arg(long, value_delimiter = ',', default_values_t = TESTS.map(str::to_owned))]
    tests: Vec<String>,

    /// The most mutants to try, chosen by the seed
    #[arg(long)]
    sample: Option<usize>,

    /// The seed for choosing the sample
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Only mutants that an earlier run found unnoticed: a file with its output
    #[arg(long)]
    again: Option<PathBuf>,

    /// Fail if fewer than this many of a hundred are noticed
    #[arg(long, default_value_t = 0)]
    least: usize,

    /// The time limit of a test in seconds; a test that exceeds it counts as having noticed
    #[arg(long, default_value_t = 120)]
    limit: u64,
}

/// The vectors first, which have to suffice for other implementations, then the quick tests.
const TESTS: [&str; 13] = [
    "vectors",
    "lib",
    "rules",
    "stories",
    "corners",
    "forecast",
    "threats",
    "advance",
    "layouts",
    "advance_hostile",
    "properties",
    "updates",
    "adversary",
];

/// Tells whether a mutant is the one named in the environment. Part of the copy only.
const ASKING: &str = r#"
extern crate std;
pub(crate) fn is(number: u32) -> bool {
    static CHOSEN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let chosen = || std::env::var("CONEX_MUTANT").ok()?.parse().ok();
    *CHOSEN.get_or_init(|| chosen().unwrap_or(0)) == number
}
"#;

const CORE: &str = "crates/conex-core/src";

/// The location of the copy, and how it is built.
struct Copy {
    root: PathBuf,
    tests: Vec<String>,
}

/// A test program.
#[derive(Debug, Clone)]
struct Program {
    name: String,
    path: PathBuf,
    /// The directory in which it has to run.
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let copy = Copy::make(&arguments.tests)?;
    let mut excluded = BTreeSet::new();
    let (mutants, programs) = loop {
        let mutants = copy.plant(&arguments.files, &excluded)?;
        match copy.build()? {
            Built::Programs(programs) => break (mutants, programs),
            Built::Refused(numbers) => {
                ensure!(
                    numbers.iter().any(|it| excluded.insert(*it)),
                    "the copy cannot be built, and no mutant is why"
                );
                println!("{} that the compiler does not have", excluded.len());
            }
        }
    };
    for program in &programs {
        let (noticed, took) = program.notices(0, Duration::from_secs(600))?;
        ensure!(!noticed, "{} fails without any mutant", program.name);
        println!("{}: {:.1} s", program.name, took.as_secs_f64());
    }
    let mut numbered: Vec<(u32, &Mutant)> = (1..).zip(&mutants).collect();
    numbered.retain(|(number, _)| !excluded.contains(number));
    if let Some(earlier) = &arguments.again {
        let earlier = fs::read_to_string(earlier)?;
        let told: BTreeSet<&str> = earlier.lines().collect();
        numbered.retain(|(_, mutant)| told.contains(mutant.to_string().as_str()));
    }
    if let Some(most) = arguments.sample {
        numbered.sort_by_key(|(number, _)| shuffled(arguments.seed, *number));
        numbered.truncate(most);
        numbered.sort_by_key(|(number, _)| *number);
    }
    let limit = Duration::from_secs(arguments.limit);
    let noticed = try_all(&numbered, &programs, limit)?;
    tell(&numbered, &noticed, arguments.least)
}

/// Returns which program noticed each mutant, if any.
fn try_all(
    mutants: &[(u32, &Mutant)],
    programs: &[Program],
    limit: Duration,
) -> anyhow::Result<BTreeMap<u32, String>> {
    let (waiting, noticed) = (Mutex::new(mutants.iter()), Mutex::new(BTreeMap::new()));
    let work = || -> anyhow::Result<()> {
        loop {
            let next = waiting
                .lock()
                .map_err(|_| anyhow::anyhow!("poisoned"))?
                .next();
            let Some((number, mutant)) = next else {
                return Ok(());
            };
            let mut by = None;
            for program in programs {
                if program.notices(*number, limit)?.0 {
                    by = Some(program.name.clone());
                    break;
                }
            }
            if let Some(by) = by {
                let mut noticed = noticed.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
                noticed.insert(*number, by);
            } else {
                println!("{mutant}");
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        all.into_iter()
            .try_for_each(|it| it.join().map_err(|_| anyhow::anyhow!("a panic"))?)
    })?;
    noticed
        .into_inner()
        .map_err(|_| anyhow::anyhow!("poisoned"))
}

fn tell(
    mutants: &[(u32, &Mutant)],
    noticed: &BTreeMap<u32, String>,
    least: usize,
) -> anyhow::Result<()> {
    let mut files: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (number, mutant) in mutants {
        let counts = files.entry(&mutant.file).or_default();
        counts.0 += usize::from(noticed.contains_key(number));
        counts.1 += 1;
    }
    let mut by: BTreeMap<&str, usize> = BTreeMap::new();
    for program in noticed.values() {
        *by.entry(program).or_default() += 1;
    }
    let mut told = String::new();
    for (file, (found, all)) in &files {
        writeln!(told, "{file}: {found} of {all}")?;
    }
    for (program, count) in by {
        writeln!(told, "first noticed by {program}: {count}")?;
    }
    let percent = noticed.len() * 1_000 / mutants.len().max(1);
    print!("{told}");
    println!(
        "{} of {} noticed, {}.{} of a hundred",
        noticed.len(),
        mutants.len(),
        percent / 10,
        percent % 10
    );
    ensure!(
        percent >= least * 10,
        "fewer than {least} of a hundred are noticed"
    );
    Ok(())
}

/// The result of a build.
enum Built {
    Programs(Vec<Program>),
    /// The mutants at the locations of compiler errors.
    Refused(BTreeSet<u32>),
}

impl Copy {
    /// Copies all files under version control.
    fn make(tests: &[String]) -> anyhow::Result<Self> {
        let root = PathBuf::from("target/mutants");
        let listed = Command::new("git").args(["ls-files", "-z"]).output()?;
        ensure!(listed.status.success(), "run this in the checkout");
        for file in String::from_utf8(listed.stdout)?.split_terminator('\0') {
            let (from, to) = (Path::new(file), root.join(file));
            if from.is_file() && fs::read(&to).ok() != fs::read(from).ok() {
                fs::create_dir_all(to.parent().context("a file is somewhere")?)?;
                fs::copy(from, to)?;
            }
        }
        fs::write(root.join(CORE).join("mutants.rs"), ASKING)?;
        Ok(Self {
            root: fs::canonicalize(root)?,
            tests: tests.to_vec(),
        })
    }

    fn plant(&self, files: &[String], excluded: &BTreeSet<u32>) -> anyhow::Result<Vec<Mutant>> {
        let mut planter = Planter::without(excluded.clone());
        let mut sources = Vec::new();
        for file in files {
            let path = Path::new(CORE).join(file);
            if path.is_dir() {
                for entry in fs::read_dir(&path)? {
                    sources.push(entry?.path());
                }
            } else {
                sources.push(path);
            }
        }
        sources.sort();
        for path in sources {
            let name = path.strip_prefix(CORE)?.to_string_lossy().into_owned();
            let source = fs::read_to_string(&path).with_context(|| name.clone())?;
            let changed = planter
                .plant(&name, &source)
                .with_context(|| name.clone())?;
            fs::write(self.root.join(&path), changed)?;
        }
        let lib = fs::read_to_string(Path::new(CORE).join("lib.rs"))?;
        let lib = lib.replace("#![no_std]", "#![no_std]\n#![allow(warnings, clippy::all)]");
        let lib = lib.replace("extern crate alloc;", "extern crate alloc;\nmod mutants;");
        fs::write(self.root.join(CORE).join("lib.rs"), lib)?;
        Ok(planter.mutants)
    }

    fn build(&self) -> anyhow::Result<Built> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.root);
        cargo.args([
            "test",
            "--workspace",
            "--no-run",
            "--message-format",
            "json",
        ]);
        for test in &self.tests {
            match test.as_str() {
                "lib" => cargo.arg("--lib"),
                test => cargo.args(["--test", test]),
            };
        }
        // Use a separate target directory: cargo would mistake the copy's programs for the checkout's.
        cargo.env("CARGO_TARGET_DIR", self.root.join("target"));
        cargo.stderr(Stdio::null());
        let output = cargo.output()?;
        let (mut programs, mut refused) = (Vec::new(), BTreeSet::new());
        for line in String::from_utf8(output.stdout)?.lines() {
            let message: serde_json::Value = serde_json::from_str(line)?;
            if let Some(program) = program(&message) {
                programs.push(program);
            }
            refused.extend(self.refused(&message)?);
        }
        if !output.status.success() {
            return Ok(Built::Refused(refused));
        }
        let order = |it: &Program| self.tests.iter().position(|test| *test == it.name);
        // Another crate may have a test of the same name.
        programs.retain(|it| {
            order(it).is_some()
                && (it.name == "lib" || it.directory.parent() == Some(self.root.as_path()))
        });
        programs.sort_by_key(order);
        ensure!(
            programs.len() == self.tests.len(),
            "not every test was built"
        );
        Ok(Built::Programs(programs))
    }

    /// Returns the mutants before the locations of an error, the nearest to each.
    fn refused(&self, message: &serde_json::Value) -> anyhow::Result<Vec<u32>> {
        let message = &message["message"];
        if message["level"] != "error" {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for span in message["spans"].as_array().into_iter().flatten() {
            let (Some(file), Some(start)) =
                (span["file_name"].as_str(), span["byte_start"].as_u64())
            else {
                continue;
            };
            if span["is_primary"] != true {
                continue;
            }
            let source = fs::read_to_string(self.root.join(file))?;
            let before = source.get(..usize::try_from(start)?).unwrap_or_default();
            // The location may be the question itself.
            let text = format!(
                "{before}{}",
                source
                    .get(before.len()..before.len() + 40)
                    .unwrap_or_default()
            );
            let number = text.rsplit("mutants :: is (").next().unwrap_or_default();
            let digits: String = number
                .trim()
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            match digits.parse() {
                Ok(number) => found.push(number),
                Err(_) => bail!("an error beside all mutants: {}", message["rendered"]),
            }
        }
        Ok(found)
    }
}

/// Returns the program named by a message of cargo, if it is a test.
fn program(message: &serde_json::Value) -> Option<Program> {
    let text = |place: &str| message.pointer(place)?.as_str();
    let path = text("/executable")?;
    let manifest = Path::new(text("/manifest_path")?);
    let name = text("/target/name")?;
    let name = match text("/target/kind/0")? {
        "test" => name,
        "lib" if name == "conex_core" => "lib",
        _ => return None,
    };
    Some(Program {
        name: name.to_owned(),
        path: path.into(),
        directory: manifest.parent()?.to_owned(),
    })
}

impl Program {
    /// Returns whether it fails with a mutant, and how long it took.
    fn notices(&self, number: u32, limit: Duration) -> anyhow::Result<(bool, Duration)> {
        let begin = Instant::now();
        let mut child = Command::new(&self.path)
            .current_dir(&self.directory)
            .env("CONEX_MUTANT", number.to_string())
            .env("RUST_BACKTRACE", "0")
            .env("INSTA_UPDATE", "no")
            .args(["--test-threads", "1", "-q"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok((!status.success(), begin.elapsed()));
            }
            if begin.elapsed() > limit {
                child.kill()?;
                child.wait()?;
                return Ok((true, begin.elapsed()));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Hashes a number with a seed, for a random order.
fn shuffled(seed: u64, number: u32) -> u64 {
    let mut value = seed
        .wrapping_add(u64::from(number))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value ^= value >> 31;
    value.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
}
