//! Bounds that let only older releases of a dependency in.

use core::cmp::Ordering;
use core::fmt;

use super::{Dependency, Edit, Value, dependencies, is_comparison};
use crate::opam::version;

/// The greatest version that a constraint lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    version: String,
    inclusive: bool,
}

impl Limit {
    /// Whether a version is not too great.
    pub fn admits(&self, version: &str) -> bool {
        match version::compare(version, &self.version) {
            Ordering::Less => true,
            Ordering::Equal => self.inclusive,
            Ordering::Greater => false,
        }
    }

    /// Smaller lets less in.
    fn compare(&self, other: &Self) -> Ordering {
        version::compare(&self.version, &other.version)
            .then_with(|| self.inclusive.cmp(&other.inclusive))
    }
}

/// As opam writes it: `< 2.0`, `<= 2.0`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.inclusive { "<=" } else { "<" };
        write!(f, "{operator} {}", self.version)
    }
}

/// A dependency of which an edit lets less in at the upper end than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forced {
    /// The dependency; text of the file, to be escaped where it is shown.
    pub package: String,
    /// What the upper end was, if there was one.
    pub before: Option<Limit>,
    /// What it is.
    pub limit: Limit,
}

impl Forced {
    /// Whether the edit shuts this release of the dependency out.
    pub fn excludes(&self, version: &str) -> bool {
        let before = self
            .before
            .as_ref()
            .is_none_or(|limit| limit.admits(version));
        before && !self.limit.admits(version)
    }
}

impl Edit<'_> {
    /// The dependencies of which an edit of an opam file lets only older releases in than before, sorted:
    /// an upper bound was added or lowered in `depends`, or a conflict with what is newer was added.
    ///
    /// `release` is the version of the release itself, which the file may name. A dependency that was not there
    /// before is not told of: it is none of upkeep. Conditions other than versions are taken for true.
    pub fn forces_old(&self, release: &str) -> Vec<Forced> {
        let mut all = Vec::new();
        for (field, negated) in [("depends", false), ("conflicts", true)] {
            let (old, new) = (self.old.value(field), self.new.value(field));
            let (old, new) = (dependencies(old.as_ref()), dependencies(new.as_ref()));
            let mut seen: Vec<&str> = Vec::new();
            for dependency in &new {
                let name = dependency.name;
                // The same name may stand in a formula several times.
                let at = seen.iter().filter(|known| **known == name).count();
                seen.push(name);
                let mut known = old.iter().filter(|known| known.name == name).peekable();
                if !negated && known.peek().is_none() {
                    continue;
                }
                let limit = |of: &Dependency<'_>| match upper(of.constraint?, negated, release) {
                    Upper::At(limit) => Some(limit),
                    Upper::Open | Upper::Unsaid => None,
                };
                let before = known.nth(at).and_then(limit);
                let Some(limit) = limit(dependency) else {
                    continue;
                };
                if before
                    .as_ref()
                    .is_none_or(|before| limit.compare(before).is_lt())
                {
                    all.push(Forced {
                        package: name.to_owned(),
                        before,
                        limit,
                    });
                }
            }
        }
        all.sort_by(|a, b| (a.package.cmp(&b.package)).then_with(|| a.limit.compare(&b.limit)));
        all.dedup_by(|a, b| a.package == b.package);
        all
    }
}

/// What a formula says about the upper end.
enum Upper {
    /// Nothing: it is about something else than the version.
    Unsaid,
    /// There is none.
    Open,
    At(Limit),
}

impl Upper {
    /// The upper end where both hold.
    fn both(self, other: Self) -> Self {
        match (self, other) {
            (Upper::Unsaid | Upper::Open, other @ Upper::At(_)) | (Upper::Unsaid, other) => other,
            (Upper::At(a), Upper::At(b)) if b.compare(&a).is_lt() => Upper::At(b),
            (first, _) => first,
        }
    }

    /// The upper end where one of them holds.
    fn either(self, other: Self) -> Self {
        match (self, other) {
            (Upper::Unsaid, other) => other,
            (_, Upper::Open) => Upper::Open,
            (Upper::At(a), Upper::At(b)) if b.compare(&a).is_gt() => Upper::At(b),
            (first, _) => first,
        }
    }
}

/// The upper end of what a constraint lets in, or, `negated`, of what it leaves over. `&` binds
/// tighter than `|`.
fn upper(formula: &[Value], negated: bool, release: &str) -> Upper {
    formula
        .split(|value| word(value) == Some("|"))
        .map(|all| conjunction(all, negated, release))
        .reduce(if negated { Upper::both } else { Upper::either })
        .unwrap_or(Upper::Unsaid)
}

/// The same of operands that all have to hold, with `&` between them or nothing.
fn conjunction(mut rest: &[Value], negated: bool, release: &str) -> Upper {
    let mut found: Option<Upper> = None;
    loop {
        let (operand, behind) = operand(rest, negated, release);
        found = Some(match found {
            None => operand,
            Some(found) if negated => found.either(operand),
            Some(found) => found.both(operand),
        });
        if behind.is_empty() {
            return found.unwrap_or(Upper::Unsaid);
        }
        rest = behind;
    }
}

/// The same of the first operand, and what stands behind it.
fn operand<'v>(values: &'v [Value], negated: bool, release: &str) -> (Upper, &'v [Value]) {
    match values {
        [] => (Upper::Unsaid, values),
        [first, rest @ ..] if word(first) == Some("&") => operand(rest, negated, release),
        [first, rest @ ..] if word(first) == Some("!") => operand(rest, !negated, release),
        [operator, value, rest @ ..] if word(operator).is_some_and(is_comparison) => {
            (bound(operator, value, negated, release), rest)
        }
        [Value::List(inner), rest @ ..] => (upper(inner, negated, release), rest),
        [_, operator, _, rest @ ..] if word(operator).is_some_and(is_comparison) => {
            (Upper::Unsaid, rest)
        }
        [_, rest @ ..] => (Upper::Unsaid, rest),
    }
}

/// The same of a comparison with a version.
fn bound(operator: &Value, value: &Value, negated: bool, release: &str) -> Upper {
    let version = match value {
        Value::Text(version) => version,
        Value::Word(word) if word == "version" => release,
        _ => return Upper::Unsaid,
    };
    let inclusive = match (word(operator), negated) {
        (Some("<"), false) | (Some(">="), true) => false,
        (Some("<=" | "="), false) | (Some(">" | "!="), true) => true,
        _ => return Upper::Open,
    };
    Upper::At(Limit {
        version: version.to_owned(),
        inclusive,
    })
}

fn word(value: &Value) -> Option<&str> {
    match value {
        Value::Word(word) => Some(word),
        _ => None,
    }
}
