//! Describes an edit of an opam release to the people who approve it.
//!
//! [`kinds`] says what an edit touches: it is an upkeep edit exactly if the source of the release is
//! unchanged (spec section 7). [`Edit::forces_old`] returns the dependencies of which it allows only older
//! releases. Both read with the projection's own strict reader. No verdict depends on either.

use core::fmt;
use std::collections::BTreeMap;

use super::fields::Field;
use super::lexer::{self, Lexer};
use super::reader;
use super::values::{self, Value};

mod forced;
#[cfg(test)]
mod tests;

pub use forced::{Forced, Limit};

/// A kind of edit. An edit may be of several kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A release that did not exist before.
    NewRelease,
    /// A release that no longer exists.
    Removal,
    /// The parts that are fetched, patched, built and run. Every edit of a file is of this kind unless it
    /// is upkeep.
    Source,
    /// A new name in `depends` or `depopts`. It is also an edit of the source.
    NewDependency,
    /// Versions in `depends` and `depopts`.
    Bounds,
    /// `conflicts` and `conflict-class`.
    Conflicts,
    /// `available`.
    Availability,
    /// The flags `deprecated` and `avoid-version`.
    Flags,
    /// Texts for people: descriptions, addresses, licence, authors, tags.
    Descriptive,
    /// Notes of the maintainers of the repository: `x-maintenance-intent` and the like.
    Maintenance,
    /// White space, comments, and the order of upkeep items.
    Layout,
}

impl Kind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Kind; 11] = [
        Kind::NewRelease,
        Kind::Removal,
        Kind::Source,
        Kind::NewDependency,
        Kind::Bounds,
        Kind::Conflicts,
        Kind::Availability,
        Kind::Flags,
        Kind::Descriptive,
        Kind::Maintenance,
        Kind::Layout,
    ];

    /// Returns the kind's name, for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::NewRelease => "new release",
            Kind::Removal => "removal",
            Kind::Source => "source",
            Kind::NewDependency => "new dependency",
            Kind::Bounds => "bounds",
            Kind::Conflicts => "conflicts",
            Kind::Availability => "availability",
            Kind::Flags => "flags",
            Kind::Descriptive => "descriptive",
            Kind::Maintenance => "maintenance",
            Kind::Layout => "layout",
        }
    }

    /// Whether as many janitors as `upkeep` says may do it without the owner.
    pub fn is_upkeep(self) -> bool {
        !matches!(
            self,
            Kind::NewRelease | Kind::Removal | Kind::Source | Kind::NewDependency
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kinds of an edit; empty if nothing changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Kinds(u16);

impl Kinds {
    /// Adds a kind.
    pub fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << (kind as u16);
    }

    /// Whether the edit is of this kind, possibly among others.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << (kind as u16)) != 0
    }

    /// Whether nothing changes.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the kinds, in the order of [`Kind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }

    /// Whether something changes, but no source.
    pub fn is_upkeep(self) -> bool {
        !self.is_empty() && self.iter().all(Kind::is_upkeep)
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Self {
        let mut kinds = Kinds::default();
        kinds.insert(kind);
        kinds
    }
}

impl Extend<Kind> for Kinds {
    fn extend<I: IntoIterator<Item = Kind>>(&mut self, kinds: I) {
        for kind in kinds {
            self.insert(kind);
        }
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, kind) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{kind}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Returns the kinds of an edit of a release's opam file, given its bytes before and after. `None` means
/// that the release does not exist.
///
/// As in the projection, a file that cannot be read is source as a whole. So is every other file of a
/// release: the caller adds [`Kind::Source`] if one of them changed.
pub fn kinds(old: Option<&[u8]>, new: Option<&[u8]>) -> Kinds {
    match (old, new) {
        (None, None) => Kinds::default(),
        (None, Some(_)) => Kind::NewRelease.into(),
        (Some(_), None) => Kind::Removal.into(),
        (Some(old), Some(new)) if old == new => Kinds::default(),
        (Some(old), Some(new)) => {
            Edit::read(old, new).map_or_else(|| Kind::Source.into(), |edit| edit.kinds())
        }
    }
}

/// An opam file before and after an edit.
pub struct Edit<'f> {
    old: File<'f>,
    new: File<'f>,
}

impl<'f> Edit<'f> {
    /// Reads both files. Returns `None` if one of them cannot be read.
    pub fn read(old: &'f [u8], new: &'f [u8]) -> Option<Self> {
        Some(Self {
            old: File::read(old)?,
            new: File::read(new)?,
        })
    }

    /// Returns the kinds of the edit, as [`kinds`] does.
    pub fn kinds(&self) -> Kinds {
        edited(&self.old, &self.new)
    }

    /// Whether anything else may be fetched: a section that names an archive differs.
    pub fn fetches_otherwise(&self) -> bool {
        fn archives<'i>(file: &'i File<'_>) -> impl Iterator<Item = (Name<'i>, &'i [&'i [u8]])> {
            let sections = file.items.iter();
            sections
                .filter(|((kind, _), _)| ARCHIVES.contains(kind))
                .map(|(name, item)| (*name, item.tokens.as_slice()))
        }
        !archives(&self.old).eq(archives(&self.new))
    }
}

/// The sections that name an archive.
const ARCHIVES: [&[u8]; 2] = [b"url", b"extra-source"];

impl fmt::Debug for Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Edit").field(&self.kinds()).finish()
    }
}

fn edited(old: &File<'_>, new: &File<'_>) -> Kinds {
    let mut kinds = Kinds::default();
    if old.source != new.source {
        kinds.insert(Kind::Source);
    }
    let absent = Item::default();
    for name in old.items.keys().chain(new.items.keys()) {
        let before = old.items.get(name).unwrap_or(&absent);
        let after = new.items.get(name).unwrap_or(&absent);
        if before.tokens != after.tokens
            && let Some(field) = Field::parse(name.0)
        {
            kinds.extend(changed(field, before, after));
        }
    }
    if kinds.is_empty() {
        kinds.insert(Kind::Layout);
    }
    kinds
}

/// Returns the kinds of a changed field, besides source.
fn changed(field: Field, old: &Item<'_>, new: &Item<'_>) -> Vec<Kind> {
    let kept = old.source == new.source;
    match field {
        Field::Depends | Field::Depopts if kept => vec![Kind::Bounds],
        Field::Depends | Field::Depopts => {
            let (old, new) = (old.value(), new.value());
            let (old, new) = (dependencies(old.as_ref()), dependencies(new.as_ref()));
            let known = |name| old.iter().any(|dependency| dependency.name == name);
            let mut kinds = Vec::new();
            if new.iter().any(|dependency| !known(dependency.name)) {
                kinds.push(Kind::NewDependency);
            }
            let bounds = |among: &[Dependency<'_>], name: &str| -> Vec<Value> {
                let named = among.iter().filter(|dependency| dependency.name == name);
                named.flat_map(Dependency::bounds).collect()
            };
            let both = old
                .iter()
                .filter(|known| new.iter().any(|it| it.name == known.name));
            if both
                .map(|dependency| dependency.name)
                .any(|name| bounds(&old, name) != bounds(&new, name))
            {
                kinds.push(Kind::Bounds);
            }
            kinds
        }
        _ if !kept => Vec::new(),
        Field::Conflicts | Field::ConflictClass => vec![Kind::Conflicts],
        Field::Available => vec![Kind::Availability],
        Field::Flags => vec![Kind::Flags],
        Field::Synopsis
        | Field::Description
        | Field::Homepage
        | Field::Doc
        | Field::BugReports
        | Field::License
        | Field::Authors
        | Field::Tags => vec![Kind::Descriptive],
        Field::XMaintenanceIntent
        | Field::XMaintained
        | Field::XCiAcceptFailures
        | Field::XReasonForArchiving => vec![Kind::Maintenance],
        // These fields are kept unchanged.
        Field::OpamVersion
        | Field::Maintainer
        | Field::Build
        | Field::RunTest
        | Field::Install
        | Field::Remove
        | Field::DevRepo
        | Field::Depexts
        | Field::Patches
        | Field::Url
        | Field::XCommitHash => Vec::new(),
    }
}

/// A file as the projection reads it, item by item.
struct File<'a> {
    source: Vec<u8>,
    items: BTreeMap<Name<'a>, Item<'a>>,
}

/// The name of a field or section. A section may also have a name of its own.
type Name<'a> = (&'a [u8], &'a [u8]);

/// A field or section at the top of a file. The default means that it is absent.
#[derive(Default)]
struct Item<'a> {
    text: &'a [u8],
    tokens: Vec<&'a [u8]>,
    /// Its part of the source form.
    source: Vec<u8>,
}

impl<'a> File<'a> {
    /// Reads a file. Returns `None` if the projection cannot read it.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (mut source, mut found) = (Vec::new(), Vec::new());
        reader::read_items(bytes, &mut source, |item| found.push(item)).ok()?;
        let ends = found.iter().skip(1).map(|next| (next.at, next.source));
        let ends = ends.chain([(bytes.len(), source.len())]);
        let mut items = BTreeMap::new();
        for (item, (end, source_end)) in found.iter().zip(ends) {
            let text = bytes.get(item.at..end)?;
            let tokens = tokens(text)?;
            let own = tokens.get(1).filter(|token| token.starts_with(b"\""));
            let name = (*tokens.first()?, own.copied().unwrap_or_default());
            let source = source.get(item.source..source_end)?.to_vec();
            items.insert(
                name,
                Item {
                    text,
                    tokens,
                    source,
                },
            );
        }
        Some(Self { source, items })
    }

    /// Returns the value of a field.
    fn value(&self, name: &str) -> Option<Value> {
        self.items.get(&(name.as_bytes(), &b""[..]))?.value()
    }
}

impl Item<'_> {
    /// Returns the value, if it is a field.
    fn value(&self) -> Option<Value> {
        let mut fields = values::fields(self.text).ok()?;
        fields.pop().map(|(_, value)| value)
    }
}

/// Splits a text into tokens in their original spelling.
fn tokens(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut lexer = Lexer::new(text).ok()?;
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next().ok()?;
        if token.kind == lexer::Kind::End {
            return Some(tokens);
        }
        tokens.push(token.text);
    }
}

/// A name in a package formula, with the braces after it.
struct Dependency<'v> {
    name: &'v str,
    constraint: Option<&'v [Value]>,
}

impl Dependency<'_> {
    /// Returns all comparisons with a version, one after another.
    fn bounds(&self) -> Vec<Value> {
        fn collect(values: &[Value], bounds: &mut Vec<Value>) {
            for (at, value) in values.iter().enumerate() {
                match value {
                    Value::List(values) => collect(values, bounds),
                    Value::Word(word) if is_comparison(word) => {
                        bounds.extend(values.get(at..at + 2).unwrap_or_default().iter().cloned());
                    }
                    _ => {}
                }
            }
        }
        let mut bounds = Vec::new();
        collect(self.constraint.unwrap_or_default(), &mut bounds);
        bounds
    }
}

fn is_comparison(word: &str) -> bool {
    matches!(word, "=" | "!=" | "<" | "<=" | ">" | ">=")
}

/// Returns the names in a package formula, in order.
fn dependencies(formula: Option<&Value>) -> Vec<Dependency<'_>> {
    fn collect<'v>(value: &'v Value, found: &mut Vec<Dependency<'v>>) {
        match value.options() {
            (Value::List(members), _) => {
                for member in members {
                    collect(member, found);
                }
            }
            (Value::Text(name), braces) => found.push(Dependency {
                name,
                constraint: braces.first().copied(),
            }),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Some(formula) = formula {
        collect(formula, &mut found);
    }
    found
}
