//! `cargo xtask opam-patches`: tests the law of patches (spec section 9.6) with the programs that apply
//! them.
//!
//! Generates changes of files, each shown by three programs, and tampered versions of those patches. Every
//! patch that conex accepts is given to every program that applies patches of its style, many files at
//! once, and each program has to make the tree that conex verified. Then it does the same with the changes
//! of a real history, as opam makes them.

use std::collections::BTreeMap;
use std::path::{Path as SystemPath, PathBuf};

use anyhow::{Context as _, Result, ensure};
use conex_core::tree::store::MemoryStore;
use conex_repo::Patch;
use conex_repo::patch::Style;
use conex_tests::patches::{Dice, Files, Order, changed, content, library_patch, tampered};

mod appliers;
mod history;

use appliers::Opam;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A directory with programs `opam-VERSION`, as made by `ci/get-opam.sh`.
    #[arg(long)]
    opams: Option<PathBuf>,

    /// The number of single-file patches to try.
    #[arg(long, default_value_t = 20_000)]
    cases: usize,

    /// The seed of the patches.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// A git bundle with a history whose changes are also made into patches.
    #[arg(long)]
    bundle: Option<PathBuf>,

    /// Takes only this many changes of the history.
    #[arg(long)]
    limit: Option<usize>,
}

/// The directory of a generated case, before it gets its own. All have names of the same length.
const PLACE: &str = "case-00000";

/// The number of files applied at once.
const BATCH: usize = 400;

/// The number of tampered patches made from an honest one.
const TAMPERED: usize = 4;

/// A patch of one or a few files, with the tree before it and the one that conex makes.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    patch: Vec<u8>,
    before: Files,
    after: Files,
}

impl Case {
    /// Reads a patch of a tree. Returns `None` if conex refuses it.
    fn read(patch: Vec<u8>, before: &Files, style: Style) -> Option<Self> {
        let after = applied(&patch, before, style)?;
        Some(Self {
            patch,
            before: before.clone(),
            after,
        })
    }

    /// Returns the same case in a directory of its own.
    fn at(self, number: usize) -> Self {
        let place = format!("case-{number:05}");
        // Tampered lines may name it, too.
        let replaced = |mut text: Vec<u8>| {
            let mut from = 0;
            while let Some(at) = find(text.get(from..).unwrap_or_default(), PLACE.as_bytes()) {
                let range = from + at..from + at + PLACE.len();
                text.splice(range.clone(), place.bytes());
                from = range.end;
            }
            text
        };
        let moved = |files: Files| -> Files {
            let files = files.into_iter();
            files
                .map(|(path, bytes)| (path.replace(PLACE, &place), replaced(bytes)))
                .collect()
        };
        let patch = replaced(self.patch);
        Self {
            patch,
            before: moved(self.before),
            after: moved(self.after),
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|found| found == wanted)
}

/// Returns the tree that conex makes with a patch of this style.
fn applied(patch: &[u8], before: &Files, style: Style) -> Option<Files> {
    applied_to(patch, before, style, false)
}

/// Like [`applied`], for a client that may keep the tree packed.
fn applied_to(patch: &[u8], before: &Files, style: Style, packed: bool) -> Option<Files> {
    let mut store = MemoryStore::new();
    for (path, bytes) in before {
        store.insert(path.clone(), bytes.clone());
    }
    let patch = Patch::parse(patch).ok()?;
    if patch.style() != style {
        return None;
    }
    let overlay = patch.apply(&store).ok()?;
    if packed {
        patch.check_packed(&overlay).ok()?;
    }
    let mut after = before.clone();
    for (path, bytes) in overlay.files() {
        match bytes {
            Some(bytes) => after.insert(path.as_str().into(), bytes.to_vec()),
            None => after.remove(path.as_str()),
        };
    }
    Some(after)
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let opams = match &arguments.opams {
        Some(place) => appliers::opams(place, directory.path())?,
        None => Vec::new(),
    };
    if opams.is_empty() {
        println!("no opam of its own library is here (--opams): only patch and git are asked");
    }
    let mut disagreements = 0;
    for style in [Style::Plain, Style::Git, Style::Library] {
        let mut generated = Generated::new(style, arguments.seed, directory.path());
        let mut appliers = appliers::of(style, &opams, directory.path());
        let mut tried = BTreeMap::new();
        while generated.tried < arguments.cases.div_ceil(3) {
            let batch = generated.batch()?;
            for applier in &mut appliers {
                let wrong = appliers::disagreements(applier, &batch)?;
                *tried.entry(applier.name()).or_insert(0) += batch.len();
                for (case, what) in &wrong {
                    println!("{style:?}: {} {what}:", applier.name());
                    println!("{}", String::from_utf8_lossy(&case.patch));
                    println!("before {:?}\nverified {:?}", case.before, case.after);
                }
                disagreements += wrong.len();
            }
        }
        println!(
            "{style:?}: {} patches, {} accepted ({} of them tampered with), asked: {tried:?}",
            generated.tried, generated.accepted, generated.accepted_tampered
        );
        ensure!(
            generated.accepted * 10 > generated.tried,
            "too little is accepted for the law to say anything"
        );
    }
    for opam in &opams {
        disagreements += real_updates(opam, arguments)?;
    }
    if let Some(bundle) = &arguments.bundle {
        disagreements += history::replay(bundle, arguments.limit, directory.path())?;
    }
    ensure!(disagreements == 0, "{disagreements} disagreements");
    println!("no disagreement");
    Ok(())
}

/// Generated patches of one style.
struct Generated<'a> {
    style: Style,
    dice: Dice,
    directory: &'a SystemPath,
    tried: usize,
    accepted: usize,
    accepted_tampered: usize,
    round: usize,
}

impl<'a> Generated<'a> {
    fn new(style: Style, seed: u64, directory: &'a SystemPath) -> Self {
        Self {
            style,
            dice: Dice::new(seed),
            directory,
            tried: 0,
            accepted: 0,
            accepted_tampered: 0,
            round: 0,
        }
    }

    /// Returns accepted patches, each in a directory of its own.
    fn batch(&mut self) -> Result<Vec<Case>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            self.round += 1;
            // One run of the program shows many changes, which are then separated.
            let cases: Vec<(Files, Files)> = (0..50).map(|_| self.change()).collect();
            for (before, patch) in self.shown(&cases)? {
                let name = before
                    .keys()
                    .next()
                    .cloned()
                    .unwrap_or_else(|| format!("{PLACE}/f"));
                let mut variants = vec![patch.clone()];
                for _ in 0..TAMPERED {
                    variants.push(tampered(&mut self.dice, &patch, &name));
                }
                for (n, variant) in variants.into_iter().enumerate() {
                    self.tried += 1;
                    let is_honest = variant == patch;
                    if n > 0 && is_honest {
                        continue;
                    }
                    if let Some(case) = Case::read(variant, &before, self.style) {
                        self.accepted += 1;
                        self.accepted_tampered += usize::from(!is_honest);
                        batch.push(case.at(batch.len()));
                    }
                }
            }
        }
        Ok(batch)
    }

    /// Generates a tree of a few files, and a change of it.
    fn change(&mut self) -> (Files, Files) {
        let mut before = Files::new();
        for name in ["f", "g h", "sub/f"] {
            if name == "f" || self.dice.below(4) == 0 {
                before.insert(format!("{PLACE}/{name}"), content(&mut self.dice));
            }
        }
        let mut after = changed(&mut self.dice, &before);
        if self.style == Style::Library {
            // opam is given these as git patches, in which it converts line endings, so drop carriage
            // returns. Its own updates, below, keep them.
            for bytes in before.values_mut().chain(after.values_mut()) {
                bytes.retain(|byte| *byte != b'\r');
            }
        }
        (before, after)
    }

    /// Returns each change with its patch.
    fn shown(&mut self, cases: &[(Files, Files)]) -> Result<Vec<(Files, Vec<u8>)>> {
        let mut shown = Vec::new();
        if self.style == Style::Library {
            for (before, after) in cases {
                let order = *self.dice.choose(&[Order::Mixed, Order::RemovedFirst]);
                let names = *self
                    .dice
                    .choose(&[("r", "r.new"), ("r.tar.gz", "r.tar.gz.new")]);
                if let Some(patch) = library_patch(names, before, after, order) {
                    shown.push((before.clone(), patch));
                }
            }
            return Ok(shown);
        }
        let at = |number: usize, files: &Files| -> Files {
            let place = format!("case-{number:05}");
            let files = files.iter();
            files
                .map(|(path, bytes)| (path.replace(PLACE, &place), bytes.clone()))
                .collect()
        };
        let all = |side: fn(&(Files, Files)) -> &Files| -> Files {
            let cases = cases.iter().enumerate();
            cases.flat_map(|(n, case)| at(n, side(case))).collect()
        };
        let root = self
            .directory
            .join(format!("shown-{:?}-{}", self.style, self.round));
        let (before, after) = (all(|case| &case.0), all(|case| &case.1));
        let patch = if self.style == Style::Plain {
            appliers::diff(&root, &before, &after)?
        } else {
            let options: &[&str] = match self.dice.below(5) {
                0 => &[],
                1 => &["-c", "diff.suppressBlankEmpty=true"],
                2 => &["-c", "diff.context=1"],
                3 => &["-c", "diff.mnemonicPrefix=true"],
                _ => &["-c", "diff.renames=false"],
            };
            appliers::git_diff(&root, &before, &after, options)?
        };
        std::fs::remove_dir_all(&root)?;
        // Group them by the directory in the first line of each file.
        let mut patches: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        let mut number = 0;
        for line in patch.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b"diff ") {
                let at = find(line, b"case-").context("a file is in the directory of its case")?;
                let digits = line.get(at + 5..at + 10).unwrap_or_default();
                number = core::str::from_utf8(digits)?.parse()?;
            }
            patches.entry(number).or_default().extend(line);
        }
        for (number, mut patch) in patches {
            let (before, _) = cases.get(number).context("the number is one of a case")?;
            let place = format!("case-{number:05}");
            while let Some(at) = find(&patch, place.as_bytes()).filter(|_| place != PLACE) {
                patch.splice(at..at + place.len(), PLACE.bytes());
            }
            shown.push((before.clone(), patch));
        }
        Ok(shown)
    }
}

/// Has a real opam make real updates, of a directory and of an archive. The patch passed to its hook has to
/// lead, as conex reads it, to the tree that is served and that opam then has; otherwise conex has to
/// refuse it.
fn real_updates(opam: &Opam, arguments: &Arguments) -> Result<usize> {
    let mut disagreements = 0;
    for packed in [false, true] {
        if packed && !opam.keeps_packed() {
            continue;
        }
        let mut dice = Dice::new(arguments.seed ^ 0x5eed);
        let mut files = Files::new();
        for number in 0..400 {
            files.insert(format!("data/d{number}/f"), content(&mut dice));
        }
        let (mut refused, mut accepted) = (0, 0);
        for round in 0..8 {
            let mut directories: BTreeMap<String, Files> = BTreeMap::new();
            for (path, bytes) in &files {
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                let directory = directories.entry(directory.to_owned()).or_default();
                directory.insert(path.clone(), bytes.clone());
            }
            let mut after = Files::new();
            for before in directories.into_values() {
                let changed = changed(&mut dice, &before);
                // opam may leave a refused patch half applied, so only accepted changes go on.
                let patch = library_patch(("r", "r.new"), &before, &changed, Order::RemovedFirst);
                let is_read = patch.is_none_or(|patch| {
                    let read = applied_to(&patch, &before, Style::Library, packed);
                    read.as_ref() == Some(&changed)
                });
                refused += usize::from(!is_read);
                accepted += usize::from(is_read);
                after.extend(if is_read { changed } else { before });
            }
            let update = opam.updates(&files, &after, packed, round)?;
            let read = applied_to(&update.patch, &update.before, Style::Library, packed);
            for (what, tree) in [("conex", read), ("opam's copy", Some(update.copy))] {
                if tree.as_ref() != Some(&update.after) {
                    println!(
                        "{} packed={packed} round {round}: {what} is not what is served",
                        opam.name()
                    );
                    disagreements += 1;
                }
            }
            files = after;
        }
        println!(
            "{} {}: 8 updates, {accepted} directories changed as served, {refused} changes refused",
            opam.name(),
            if packed { "archive" } else { "directory" }
        );
    }
    Ok(disagreements)
}
