//! The effects of git attributes in a tree on its files, in a checkout or in an archive made by `git
//! archive`.
//!
//! Signatures cover what git stores. Attributes can make git write files that differ from what it stores.
//! Anyone who then signs or verifies the written files sees other bytes than everybody else. This module
//! considers only attribute files in the tree, by the rules of gitattributes(5); a user's own settings are
//! not known.
//!
//! Whoever serves a tree also writes these files, so the work is bounded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use conex_core::model::path::Path;
use conex_core::tree::store::{Store, StoreError};

mod pattern;

use pattern::{Pattern, Steps};

/// The name of an attribute file.
pub const FILE: &str = ".gitattributes";

/// The most bytes to read of an attribute file: a thousand lines.
const SIZE: u64 = 64 << 10;

/// The longest line that git reads.
const LINE: usize = 2_048;

/// The effect of an attribute on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// A checkout has other bytes than git stores.
    Checkout,
    /// Like [`Self::Checkout`], but only if git knows the filter that the attribute names.
    Filter,
    /// An archive made by `git archive` has other bytes or lacks the file.
    Archive,
}

/// The files that one attribute of one line changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alteration {
    /// The attribute file.
    pub source: Path,
    /// The line in it, from 1.
    pub line: usize,
    /// The attribute as written in that line, or in the macro that the line names.
    pub attribute: String,
    /// Its effect.
    pub effect: Effect,
    /// The first of the changed files.
    pub first: Path,
    /// The number of changed files.
    pub files: usize,
}

/// The reasons why attributes could not be examined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributesError {
    /// An attribute file could not be read, or exceeds the size limit.
    #[error("{0}: {1}")]
    Store(Path, StoreError),
    /// It has too many patterns to compare with all files.
    #[error("{0}: there are too many patterns for so many files")]
    TooMuch(Path),
}

/// The relevant contents of attribute files.
#[derive(Debug, Default)]
pub struct Attributes {
    /// The deepest directories first, since their attributes take precedence.
    sources: Vec<Source>,
    macros: HashMap<String, Vec<Assignment>>,
}

#[derive(Debug)]
struct Source {
    path: Path,
    directory: Path,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    line: usize,
    pattern: Pattern,
    assignments: Vec<Assignment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Assignment {
    name: String,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Set,
    Unset,
    Unspecified,
    Value(String),
}

/// The attributes set for one file, each with its source and line.
type Found<'a> = HashMap<&'a str, (&'a State, &'a Source, usize)>;

impl Attributes {
    /// Reads attribute files; each has to be named [`FILE`].
    ///
    /// # Errors
    /// [`AttributesError::Store`].
    pub fn read<'p>(
        store: &(impl Store + ?Sized),
        files: impl IntoIterator<Item = &'p Path>,
    ) -> Result<Self, AttributesError> {
        let mut attributes = Self::default();
        attributes.macros.insert(
            "binary".into(),
            ["diff", "merge", "text"].map(Assignment::unset).into(),
        );
        let mut bytes = Vec::new();
        for path in files {
            store
                .read(path, SIZE, &mut bytes)
                .map_err(|error| AttributesError::Store(path.clone(), error))?;
            attributes.add(path, &bytes);
        }
        let depth = |source: &Source| source.path.components().count();
        let deepest_first = |source: &Source| core::cmp::Reverse(depth(source));
        attributes.sources.sort_by_key(deepest_first);
        Ok(attributes)
    }

    fn add(&mut self, path: &Path, bytes: &[u8]) {
        let directory = path.parent().unwrap_or_else(Path::top);
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut rules = Vec::new();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let Some((name, assignments)) = parse(line) else {
                continue;
            };
            match name {
                Name::Macro(name) if directory == Path::top() => {
                    self.macros.insert(name, assignments);
                }
                Name::Macro(_) => {}
                Name::Pattern(text) => rules.push(Rule {
                    line: at + 1,
                    pattern: Pattern::new(&text),
                    assignments,
                }),
            }
        }
        self.sources.push(Source {
            path: path.clone(),
            directory,
            rules,
        });
    }

    /// Whether they change no file at all.
    pub fn is_harmless(&self) -> bool {
        let rules = self.sources.iter().flat_map(|source| &source.rules);
        let all = rules
            .map(|rule| &rule.assignments)
            .chain(self.macros.values());
        !all.flatten().any(|it| it.effect().is_some())
    }

    /// Returns the changes to some files, sorted by source and line.
    ///
    /// # Errors
    /// [`AttributesError::TooMuch`].
    pub fn alterations<'p>(
        &self,
        files: impl IntoIterator<Item = &'p Path>,
    ) -> Result<Vec<Alteration>, AttributesError> {
        let mut found: BTreeMap<(Path, usize, String), (Effect, Path, usize)> = BTreeMap::new();
        let mut steps = Steps::default();
        let mut directories: BTreeMap<Path, Option<(&Path, usize)>> = BTreeMap::new();
        for file in files {
            let set = self.of(file, false, &mut steps)?;
            let mut altered = alterations(&set);
            // A file that is left out with its directory needs no attribute of its own.
            let mut above = file.parent();
            while let Some(directory) = above.filter(|it| *it != Path::top()) {
                above = directory.parent();
                if !directories.contains_key(&directory) {
                    let set = self.of(&directory, true, &mut steps)?;
                    let ignored = set.get("export-ignore");
                    let ignored = ignored.filter(|(state, ..)| **state == State::Set);
                    let place = ignored.map(|(_, source, line)| (&source.path, *line));
                    directories.insert(directory.clone(), place);
                }
                if let Some(Some((source, line))) = directories.get(&directory).copied() {
                    altered.insert((source, line, "export-ignore".into(), Effect::Archive));
                }
            }
            for (source, line, attribute, effect) in altered {
                found
                    .entry((source.clone(), line, attribute))
                    .or_insert_with(|| (effect, file.clone(), 0))
                    .2 += 1;
            }
        }
        let found = found
            .into_iter()
            .map(
                |((source, line, attribute), (effect, first, files))| Alteration {
                    source,
                    line,
                    attribute,
                    effect,
                    first,
                    files,
                },
            );
        Ok(found.collect())
    }

    /// Returns the attributes that make git store a file differently from the work tree, as they are
    /// written, with their sources and lines. If git does not know the filter, or there is nothing to
    /// convert, it stores the same bytes all the same.
    ///
    /// # Errors
    /// [`AttributesError::TooMuch`].
    pub fn storing(&self, file: &Path) -> Result<Vec<(String, Path, usize)>, AttributesError> {
        let found = self.of(file, false, &mut Steps::default())?;
        let names = [
            "text",
            "crlf",
            "eol",
            "ident",
            "filter",
            "working-tree-encoding",
        ];
        let set = names.iter().filter_map(|name| {
            let (state, source, line) = found.get(name)?;
            let converts = matches!(state, State::Set | State::Value(_));
            converts.then(|| (shown(name, state), source.path.clone(), *line))
        });
        Ok(set.collect())
    }

    /// Collects the attributes set for one file or directory.
    fn of(
        &self,
        place: &Path,
        is_directory: bool,
        steps: &mut Steps,
    ) -> Result<Found<'_>, AttributesError> {
        let mut found = Found::new();
        for source in &self.sources {
            let Some(path) = place.below(&source.directory) else {
                continue;
            };
            for rule in source.rules.iter().rev() {
                let matches = rule.pattern.matches(path.as_str(), is_directory, steps);
                let Some(matches) = matches else {
                    return Err(AttributesError::TooMuch(source.path.clone()));
                };
                if matches {
                    self.fill(&mut found, source, rule);
                }
            }
        }
        Ok(found)
    }

    /// Adds the attributes of a line that are not set yet, and expands macros.
    fn fill<'a>(&'a self, found: &mut Found<'a>, source: &'a Source, rule: &'a Rule) {
        let mut next: Vec<&Assignment> = rule.assignments.iter().collect();
        while let Some(assignment) = next.pop() {
            if found.contains_key(assignment.name.as_str()) {
                continue;
            }
            found.insert(&assignment.name, (&assignment.state, source, rule.line));
            if assignment.state == State::Set {
                next.extend(self.macros.get(&assignment.name).into_iter().flatten());
            }
        }
    }
}

/// Returns the effects of a file's attributes.
fn alterations<'a>(found: &Found<'a>) -> BTreeSet<(&'a Path, usize, String, Effect)> {
    let mut altered = BTreeSet::new();
    // Without `text`, its older name counts.
    let text = ["text", "crlf"]
        .iter()
        .filter_map(|name| found.get(name))
        .find(|(state, ..)| **state != State::Unspecified);
    let is_binary = text.is_some_and(|(state, ..)| **state == State::Unset);
    for (name, (state, source, line)) in found {
        let Some(effect) = effect(name, state) else {
            continue;
        };
        if *name == "eol" && is_binary {
            continue;
        }
        altered.insert((&source.path, *line, shown(name, state), effect));
    }
    altered
}

/// Returns the effect of an attribute by itself.
fn effect(name: &str, state: &State) -> Option<Effect> {
    match (name, state) {
        ("eol", State::Value(value)) if value == "crlf" => Some(Effect::Checkout),
        ("working-tree-encoding", State::Value(value)) if !is_utf8(value) => Some(Effect::Checkout),
        ("ident", State::Set) => Some(Effect::Checkout),
        ("filter", State::Value(_)) => Some(Effect::Filter),
        ("export-subst" | "export-ignore", State::Set) => Some(Effect::Archive),
        _ => None,
    }
}

fn is_utf8(encoding: &str) -> bool {
    encoding.eq_ignore_ascii_case("utf-8") || encoding.eq_ignore_ascii_case("utf8")
}

fn shown(name: &str, state: &State) -> String {
    match state {
        State::Set => name.to_owned(),
        State::Unset => format!("-{name}"),
        State::Unspecified => format!("!{name}"),
        State::Value(value) => format!("{name}={value}"),
    }
}

impl Assignment {
    fn unset(name: &str) -> Self {
        Self {
            name: name.into(),
            state: State::Unset,
        }
    }

    fn effect(&self) -> Option<Effect> {
        effect(&self.name, &self.state)
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, state) = match text.as_bytes().first()? {
            b'-' => (text.get(1..)?, State::Unset),
            b'!' => (text.get(1..)?, State::Unspecified),
            _ => match text.split_once('=') {
                Some((name, value)) => (name, State::Value(value.into())),
                None => (text, State::Set),
            },
        };
        is_name(name).then(|| Self {
            name: name.into(),
            state,
        })
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(allowed)
}

/// The first word of a line.
enum Name {
    Macro(String),
    Pattern(Vec<u8>),
}

/// Parses a line. Returns `None` for a comment or a line that git skips.
fn parse(line: &[u8]) -> Option<(Name, Vec<Assignment>)> {
    if line.len() >= LINE {
        return None;
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let line = line.trim_ascii_start();
    let (name, rest) = if line.first() == Some(&b'"') {
        pattern::unquote(line)?
    } else {
        let end = line.iter().position(is_blank).unwrap_or(line.len());
        let (name, rest) = line.split_at_checked(end)?;
        (name.to_vec(), rest)
    };
    if name.is_empty() || matches!(line.first(), Some(b'#')) || name.starts_with(b"!") {
        return None;
    }
    let rest = core::str::from_utf8(rest).ok()?;
    let words = rest
        .split([' ', '\t', '\r'])
        .filter(|word| !word.is_empty());
    let assignments = words.map(Assignment::parse).collect::<Option<Vec<_>>>()?;
    match name.strip_prefix(b"[attr]") {
        Some(name) => {
            let name = core::str::from_utf8(name).ok().filter(|it| is_name(it))?;
            Some((Name::Macro(name.to_owned()), assignments))
        }
        None => Some((Name::Pattern(name), assignments)),
    }
}

#[cfg(test)]
mod tests;
