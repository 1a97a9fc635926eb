//! Verifying, and saying what should have come out.

use core::ops::Deref;
use std::collections::BTreeSet;

use conex_core::model::name::{Id, PackageName};
use conex_core::state::approval::Standing;
use conex_core::state::chain::Trust;
use conex_core::tree::problem::{Code, Missing, Problem};
use conex_core::tree::store::{Sequential, Store};
use conex_core::verify::{Mode, Report, Verification};
use conex_crypto::StandardCrypto;
use conex_repo::KnownSchemes;

/// Verifies a whole tree, with every algorithm, layout and projection there is.
pub fn verify(store: &impl Store, trust: &Trust, mode: Mode, ahead: bool) -> Verdict {
    let verification = Verification {
        store,
        schemes: &KnownSchemes,
        crypto: &StandardCrypto,
        workers: &Sequential,
        trust,
        mode,
        ahead,
    };
    Verdict(verification.run())
}

/// A report that can be asked whether it is the expected one. The asking methods panic with the
/// whole report where it is not, and give the verdict back.
#[derive(Debug)]
pub struct Verdict(Report);

impl Deref for Verdict {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.0
    }
}

impl Verdict {
    /// Wraps a report.
    pub fn of(report: Report) -> Self {
        Self(report)
    }

    /// Expects that everything is verified.
    #[track_caller]
    pub fn accepted(&self) -> &Self {
        assert!(self.verified().is_some(), "refused:\n{}", self.told());
        self
    }

    /// Expects exactly these problems, each a code and a place, in any order.
    #[track_caller]
    pub fn refused(&self, expected: &[(Code, &str)]) -> &Self {
        assert!(self.verified().is_none(), "accepted:\n{}", self.told());
        self.problems_are(expected)
    }

    /// Expects a refusal with this problem among others, which follow from it.
    #[track_caller]
    pub fn refused_for(&self, code: Code, place: &str) -> &Self {
        assert!(self.verified().is_none(), "accepted:\n{}", self.told());
        assert!(
            pairs(&self.problems).contains(&(code, place)),
            "{code} at {place} is not among\n{}",
            self.told()
        );
        self
    }

    /// Expects exactly these problems, whatever the mode makes of them.
    #[track_caller]
    pub fn problems_are(&self, expected: &[(Code, &str)]) -> &Self {
        let found = pairs(&self.problems);
        assert_eq!(found, sorted(expected), "found:\n{}", self.told());
        self
    }

    /// Expects exactly these notes.
    #[track_caller]
    pub fn notes(&self, expected: &[(Code, &str)]) -> &Self {
        let found = pairs(&self.notes);
        assert_eq!(found, sorted(expected), "found:\n{}", self.told());
        self
    }

    /// Expects that the first problem or note of this code says all of these words.
    #[track_caller]
    pub fn saying(&self, code: Code, words: &[&str]) -> &Self {
        let found = self.with_code(code).next().map(ToString::to_string);
        let said = found.unwrap_or_default();
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said:?}");
        }
        self
    }

    /// Expects that these packages, and no others, are unsigned.
    #[track_caller]
    pub fn unsigned(&self, expected: &[&str]) -> &Self {
        let found: Vec<&str> = self.unsigned.iter().map(PackageName::as_str).collect();
        assert_eq!(found, expected);
        self
    }

    /// All problems and notes, one on a line.
    pub fn told(&self) -> String {
        let all = self.problems.iter().chain(&self.notes);
        let lines: Vec<String> = all.map(|problem| format!("  {problem}")).collect();
        lines.join("\n")
    }
}

fn pairs(problems: &[Problem]) -> Vec<(Code, &str)> {
    let mut pairs: Vec<_> = problems
        .iter()
        .map(|problem| (problem.code, &*problem.place))
        .collect();
    pairs.sort_unstable();
    pairs
}

fn sorted<'p>(expected: &[(Code, &'p str)]) -> Vec<(Code, &'p str)> {
    let mut pairs = expected.to_vec();
    pairs.sort_unstable();
    pairs
}

/// Problems or notes as the vectors list them: each code at each place once, by place, then code.
pub fn listed(problems: &[Problem]) -> Vec<[&str; 2]> {
    let found: BTreeSet<_> = problems
        .iter()
        .map(|problem| (&*problem.place, problem.code))
        .collect();
    let pairs = found.into_iter();
    pairs.map(|(place, code)| [code.as_str(), place]).collect()
}

/// The help that tools ask for with a statement whose content is not approved (spec section 6.4), or with a root that
/// waits for signatures.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Asked {
    /// The statement, or where the root stands.
    pub of: String,
    /// The version to vouch in; none for a root, or where no version is left.
    pub version: Option<String>,
    /// Who vouches for it already, in that version.
    pub vouched: Vec<String>,
    /// How many more owners would do, and who could be one of them.
    pub owners: Option<(usize, Vec<String>)>,
    /// How many more janitors would do, and who could be one of them.
    pub janitors: Option<(usize, Vec<String>)>,
}

/// All that tools ask for, sorted, each once.
pub fn asked(report: &Report) -> Vec<Asked> {
    let sorted = |names: Vec<&Id>| {
        let mut names: Vec<String> = names.into_iter().map(Id::to_string).collect();
        names.sort();
        names
    };
    let ask = |of: String, missing: Option<&Missing>| {
        let named = |way: &(usize, Vec<Id>)| (way.0, sorted(way.1.iter().collect()));
        Asked {
            of,
            version: None,
            vouched: Vec::new(),
            owners: missing.and_then(|it| it.owners.as_ref().map(named)),
            janitors: missing.and_then(|it| it.janitors.as_ref().map(named)),
        }
    };
    let problems = || report.problems.iter().chain(&report.notes);
    let roots = problems().filter(|it| it.subject.is_none() && it.missing.is_some());
    let roots = roots.map(|it| ask(it.place.to_string(), it.missing.as_deref()));
    let findings = report.findings.iter().filter_map(|finding| {
        let assessment = &finding.assessment;
        if matches!(assessment.standing, Standing::Approved(_)) {
            return None;
        }
        let mut about = problems().filter(|it| it.subject.as_ref() == Some(&finding.subject));
        let missing = about.find_map(|it| it.missing.as_deref());
        let people = report.people()?;
        let vouched = assessment.vouched.iter().map(|it| people.id(it.person));
        Some(Asked {
            version: assessment.proposed.map(|it| it.to_string()),
            vouched: sorted(vouched.collect()),
            ..ask(finding.subject.to_string(), missing)
        })
    });
    let mut asked: Vec<Asked> = roots.chain(findings).collect();
    asked.sort();
    asked.dedup();
    asked
}
