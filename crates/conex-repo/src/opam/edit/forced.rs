//! Detects bounds that allow only older releases of a dependency.

use core::cmp::Ordering;
use core::fmt;

use super::{Dependency, Edit, Value, dependencies, is_comparison};
use crate::opam::version;

/// The greatest version that a constraint allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    version: String,
    inclusive: bool,
}

impl Limit {
    /// Whether a version does not exceed the limit.
    pub fn admits(&self, version: &str) -> bool {
        match version::compare(version, &self.version) {
            Ordering::Less => true,
            Ordering::Equal => self.inclusive,
            Ordering::Greater => false,
        }
    }

    /// Compares limits. The smaller one allows less.
    fn compare(&self, other: &Self) -> Ordering {
        version::compare(&self.version, &other.version)
            .then_with(|| self.inclusive.cmp(&other.inclusive))
    }
}

/// Formats the limit in opam's syntax: `< 2.0`, `<= 2.0`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.inclusive { "<=" } else { "<" };
        write!(f, "{operator} {}", self.version)
    }
}

/// A dependency whose upper limit an edit lowers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forced {
    /// The dependency. It is text from the file and has to be escaped for display.
    pub package: String,
    /// The old upper limit, if there was one.
    pub before: Option<Limit>,
    /// The new upper limit.
    pub limit: Limit,
}

impl Forced {
    /// Whether the edit excludes this release of the dependency.
    pub fn excludes(&self, version: &str) -> bool {
        let before = self
            .before
            .as_ref()
            .is_none_or(|limit| limit.admits(version));
        before && !self.limit.admits(version)
    }
}

impl Edit<'_> {
    /// Returns the dependencies of which an edit of an opam file allows only older releases than before,
    /// sorted. Such an edit adds or lowers an upper bound in `depends`, or adds a conflict with newer
    /// versions.
    ///
    /// `release` is the version of the release itself, which the file may mention. A new dependency is not
    /// included, because adding one is not upkeep. Conditions other than versions are taken to be true.
    pub fn forces_old(&self, release: &str) -> Vec<Forced> {
        let mut all = Vec::new();
        for (field, negated) in [("depends", false), ("conflicts", true)] {
            let (old, new) = (self.old.value(field), self.new.value(field));
            let (old, new) = (dependencies(old.as_ref()), dependencies(new.as_ref()));
            let mut seen: Vec<&str> = Vec::new();
            for dependency in &new {
                let name = dependency.name;
                // The same name may occur in a formula several times.
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

/// The upper limit in a formula.
enum Upper {
    /// The formula is not about the version.
    Unsaid,
    /// There is no limit.
    Open,
    At(Limit),
}

impl Upper {
    /// Returns the upper limit if both hold.
    fn both(self, other: Self) -> Self {
        match (self, other) {
            (Upper::Unsaid | Upper::Open, other @ Upper::At(_)) | (Upper::Unsaid, other) => other,
            (Upper::At(a), Upper::At(b)) if b.compare(&a).is_lt() => Upper::At(b),
            (first, _) => first,
        }
    }

    /// Returns the upper limit if either of them holds.
    fn either(self, other: Self) -> Self {
        match (self, other) {
            (Upper::Unsaid, other) => other,
            (_, Upper::Open) => Upper::Open,
            (Upper::At(a), Upper::At(b)) if b.compare(&a).is_gt() => Upper::At(b),
            (first, _) => first,
        }
    }
}

/// Returns the upper limit of what a constraint allows, or, if `negated`, of what it excludes. `&` binds
/// tighter than `|`.
fn upper(formula: &[Value], negated: bool, release: &str) -> Upper {
    formula
        .split(|value| word(value) == Some("|"))
        .map(|all| conjunction(all, negated, release))
        .reduce(if negated { Upper::both } else { Upper::either })
        .unwrap_or(Upper::Unsaid)
}

/// Like [`upper`], for operands that all have to hold, joined by `&` or by nothing.
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

/// Like [`upper`], for the first operand. Also returns what follows it.
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

/// Like [`upper`], for a comparison with a version.
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
