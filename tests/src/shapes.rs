//! Changes at random of what opam may take for releases, each within names of its own.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::vouch::Subject;
use conex_core::tree::layout::Layout as _;
use conex_core::tree::problem::Code;
use conex_repo::layout::OpamLayout;

use crate::{Client, Community};

/// Releases, by package and by a spelling of the version that is one for all that are equal to opam.
pub type Releases = BTreeSet<(String, String)>;

/// Numbers that are the same every time.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Other numbers for another seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn number(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end.max(1) as u64).unwrap_or(0)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'t>(&mut self, among: &[&'t str]) -> &'t str {
        let at = self.below(among.len());
        among.get(at).copied().unwrap_or_default()
    }
}

/// What opam prints of a release, or a directory is called by; nothing, if that is no release.
pub fn listed(text: &str) -> Option<(String, String)> {
    let release = OpamLayout.client()?.release(text.trim())?;
    Some((release.package, release.version))
}

/// One change.
#[derive(Debug)]
pub struct Case {
    /// Packages of the case have it in their names, real ones and lookalikes, and those of no other case.
    number: usize,
    /// The files before.
    pub before: BTreeMap<String, String>,
    /// The files after.
    pub after: BTreeMap<String, String>,
    has_lookalike: bool,
}

/// The verdict on a change.
#[derive(Debug)]
pub enum Judged {
    /// These releases are verified.
    Accepted(Releases),
    /// These codes.
    Refused(Vec<Code>),
}

/// Versions, and others that are equal to them for opam.
const VERSIONS: [(&str, &str); 8] = [
    ("1.0", "1.00"),
    ("1+x", "1+x0"),
    ("1~a", "1~a0"),
    ("v1", "v01"),
    ("1..2", "1..02"),
    ("2.0", "2."),
    ("3-0", "3"),
    ("_1.0", "_1."),
];

impl Case {
    /// A change that depends on the numbers alone.
    pub fn new(number: usize, random: &mut Random) -> Self {
        let mut case = Self {
            number,
            ..Self::empty()
        };
        let name = case.name(random.pick(&["p", "P", "p+", "0p", "p-q_"]));
        let at = random.below(VERSIONS.len());
        let (version, twin) = VERSIONS.get(at).copied().unwrap_or(("1", "01"));
        // The package is there before and after, whatever becomes of the rest.
        case.both(&format!("packages/{name}/{name}.9/opam"), random);
        case.release(&name, version, random);
        if random.chance(50) && !twin.ends_with('.') {
            case.release(&name, twin, random);
        }
        for _ in 0..=random.below(2) {
            if random.chance(75) {
                case.lookalike(&name, version, twin, random);
            }
        }
        case
    }

    /// No change of nothing.
    pub fn empty() -> Self {
        Self {
            number: 0,
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            has_lookalike: false,
        }
    }

    fn name(&self, stem: &str) -> String {
        format!("{stem}n{}n", self.number)
    }

    /// Of what a client lists, what is of this case.
    pub fn own(&self, listed: &Releases) -> Releases {
        let mark = format!("n{}n", self.number);
        let own = listed
            .iter()
            .filter(|(package, _)| package.to_ascii_lowercase().contains(&mark));
        own.cloned().collect()
    }

    /// A file that is like no other, so that nothing takes one for another one that was renamed.
    fn text(random: &mut Random) -> String {
        let mut text = String::from("opam-version: \"2.0\"\n");
        for _ in 0..8 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# {:016x}{:016x}", random.number(), random.number());
        }
        text
    }

    fn both(&mut self, file: &str, random: &mut Random) {
        let text = Self::text(random);
        self.before.insert(file.into(), text.clone());
        self.after.insert(file.into(), text);
    }

    /// A file that is there before, after, in both, or is edited.
    fn file(&mut self, file: &str, random: &mut Random) {
        let becomes = random.below(4);
        let text = Self::text(random);
        if becomes != 0 {
            self.before.insert(file.into(), text.clone());
        }
        match becomes {
            1 => {}
            2 => drop(self.after.insert(file.into(), Self::text(random))),
            _ => drop(self.after.insert(file.into(), text)),
        }
    }

    /// A release that is there or not, at either of its places, the same or edited.
    fn release(&mut self, name: &str, version: &str, random: &mut Random) {
        let text = Self::text(random);
        let places = [
            format!("packages/{name}/{name}.{version}"),
            format!("packages/{name}.{version}"),
        ];
        let (is_flat, is_moved) = (random.chance(20), random.chance(20));
        for is_after in [false, true] {
            if random.chance(25) {
                continue;
            }
            let at = usize::from(is_flat != (is_moved && is_after));
            let place = places.get(at).map(String::as_str).unwrap_or_default();
            let text = if is_after && random.chance(30) {
                Self::text(random)
            } else {
                text.clone()
            };
            let state = if is_after {
                &mut self.after
            } else {
                &mut self.before
            };
            state.insert(format!("{place}/opam"), text);
            if random.chance(30) {
                state.insert(format!("{place}/files/fix.patch"), Self::text(random));
            }
        }
    }

    /// A directory outside the place of a release that is called like one, or nearly.
    fn lookalike(&mut self, name: &str, version: &str, twin: &str, random: &mut Random) {
        let other = self.name("x");
        let package = match random.below(12) {
            0..=6 => name.to_owned(),
            7 => name.to_ascii_uppercase(),
            8 => format!("-{other}"),
            9 => format!(".{other}"),
            10 => self.number.to_string(),
            _ => other.clone(),
        };
        let called = match random.below(10) {
            0..=4 => format!("{package}.{version}"),
            5 | 6 => format!("{package}.{}", twin.trim_end_matches('.')),
            7 => format!("{package}.5"),
            8 => format!("{package}.{version}=1"),
            _ => package.replace('.', "-"),
        };
        let neighbour = self.name("y");
        let place = match random.below(12) {
            0..=3 => format!("docs/{called}"),
            4 => format!("docs/.hidden/{called}"),
            5 => format!("docs/packages/{name}/{called}"),
            6 => format!("docs/files/{called}"),
            7 => format!("docs/n{}/{called}/files", self.number),
            8 => format!("packages/{neighbour}/{neighbour}.1/files/{called}"),
            9 => format!("packages/{neighbour}/{neighbour}.1/files/a/{called}"),
            10 => format!("packages/{name}"),
            _ => format!("conex/index/{called}"),
        };
        if place.contains(&neighbour) {
            self.both(&format!("packages/{neighbour}/{neighbour}.1/opam"), random);
        }
        self.has_lookalike |= listed(&called).is_some();
        let files = random.pick(&[
            "opam",
            "opam",
            "README",
            "README",
            "files/x",
            "files/opam",
            "sub/x",
            "sub/opam",
            "README files/x",
            "opam files/x",
            "README sub/x",
        ]);
        for file in files.split(' ') {
            // What stands there is a file or a directory, not one and then the other.
            let path = format!("{place}/{file}");
            let clashes = |other: &String| {
                other.starts_with(&format!("{path}/")) || path.starts_with(&format!("{other}/"))
            };
            if !self.before.keys().chain(self.after.keys()).any(clashes) {
                self.file(&path, random);
            }
        }
    }

    /// Whether something has the name of a release outside the place of one.
    pub fn has_lookalike(&self) -> bool {
        self.has_lookalike
    }

    /// What conex says of the change to a client that has the state before, in each way there is.
    #[track_caller]
    pub fn judge(&self) -> Judged {
        let mut community = Community::found("opam", |_| ());
        for (file, text) in &self.before {
            community.write(file, text.as_str());
        }
        community.approve_all("alice", |finding| !finding.subject.kind().is_about_people());
        let verdict = community.verify();
        if verdict.verified().is_none() {
            return Judged::Refused(verdict.problems.iter().map(|it| it.code).collect());
        }
        let client = Client::of(&community);
        for file in self
            .before
            .keys()
            .filter(|file| !self.after.contains_key(*file))
        {
            community.remove(file);
        }
        for (file, text) in &self.after {
            community.write(file, text.as_str());
        }
        community.approve_all("alice", |finding| !finding.subject.kind().is_about_people());
        let verdict = client.offered(&community);
        if verdict.verified().is_none() {
            return Judged::Refused(verdict.problems.iter().map(|it| it.code).collect());
        }
        let whole = community.verify();
        let releases = whole.findings.iter().filter(|finding| finding.present);
        let releases = releases.filter_map(|finding| match &finding.subject {
            Subject::Checksums(package, release) => listed(&format!("{package}.{release}")),
            _ => None,
        });
        Judged::Accepted(releases.collect())
    }

    /// The files, and what becomes of them.
    pub fn told(&self) -> String {
        let mut told = format!("  case {}\n", self.number);
        let mut files: Vec<&String> = self.before.keys().chain(self.after.keys()).collect();
        files.sort();
        files.dedup();
        for file in files {
            let becomes = match (self.before.get(file), self.after.get(file)) {
                (None, _) => "new",
                (_, None) => "gone",
                (before, after) if before == after => "same",
                _ => "edited",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(told, "    {becomes:<7} {file}");
        }
        told
    }
}
