//! The files of an archive: all contents in a few large blocks, with one sorted index.

use core::cmp::Ordering;
use core::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use conex_core::tree::store::{Entry, EntryKind};

/// The size of a block in bytes. A larger file has a block of its own.
const BLOCK: usize = 256 << 10;

/// The files, each contiguous in one of the blocks.
#[derive(Clone, Default)]
pub(super) struct Files {
    /// All names, concatenated.
    names: String,
    blocks: Vec<Arc<Vec<u8>>>,
    /// The block being filled, and the files in it.
    open: Vec<u8>,
    filled: Vec<Content>,
    /// Sorted by [`order`] after a call of [`Self::settle`].
    members: Vec<Member>,
    /// The marks by file number, if they were requested.
    marks: Option<Vec<[u8; 32]>>,
    /// The number of files.
    count: u32,
    /// The receiver of full blocks, which computes their marks.
    marker: Option<Sender<Full>>,
}

/// The number of a file and the range of its content in a block.
type Content = (u32, Range<u32>);

/// A full block and the files in it.
pub(super) type Full = (Arc<Vec<u8>>, Vec<Content>);

/// A file or a directory.
#[derive(Debug, Clone)]
struct Member {
    name: Range<u32>,
    block: u32,
    content: Range<u32>,
    number: u32,
    is_directory: bool,
}

/// A file of the archive.
pub(super) struct Found<'a> {
    pub(super) path: &'a str,
    pub(super) bytes: &'a [u8],
}

/// Computes the marks of the files in full blocks, by file number.
pub(super) fn marks(full: Receiver<Full>, mark: super::Mark<'_>) -> Vec<(u32, [u8; 32])> {
    let mut made = Vec::new();
    for (block, files) in full {
        made.extend(files.into_iter().map(|(number, content)| {
            let bytes = block.get(content.start as usize..content.end as usize);
            (number, mark(bytes.unwrap_or_default()))
        }));
    }
    made
}

/// A conflict between two members at one path.
pub(super) enum Clash {
    Twice(String),
    FileAndDirectory(String),
}

impl Files {
    pub(super) fn new(marker: Option<Sender<Full>>) -> Self {
        Self {
            marker,
            ..Self::default()
        }
    }

    fn name(&self, member: &Member) -> &str {
        let range = member.name.start as usize..member.name.end as usize;
        self.names.get(range).unwrap_or_default()
    }

    fn bytes(&self, member: &Member) -> &[u8] {
        let range = member.content.start as usize..member.content.end as usize;
        let block = self.blocks.get(member.block as usize);
        block.and_then(|block| block.get(range)).unwrap_or_default()
    }

    fn push(&mut self, name: &str, block: usize, content: Range<usize>, is_directory: bool) {
        // All positions are far below 2^32: their total is at most what an archive may unpack to.
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let start = self.names.len();
        self.names.push_str(name);
        self.members.push(Member {
            name: number(start)..number(self.names.len()),
            block: number(block),
            content: number(content.start)..number(content.end),
            number: self.count,
            is_directory,
        });
    }

    pub(super) fn add_directory(&mut self, name: &str) {
        // Most archives name each directory before its contents, many of them more than once.
        self.push(name, 0, 0..0, true);
    }

    /// Adds a file. `fill` appends its content to the given buffer.
    pub(super) fn add<E>(
        &mut self,
        name: &str,
        size: usize,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.open.capacity() - self.open.len() < size {
            self.close();
            self.open = Vec::with_capacity(size.max(BLOCK));
        }
        let start = self.open.len();
        fill(&mut self.open)?;
        let content = start..self.open.len();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        if self.marker.is_some() {
            let content = number(content.start)..number(content.end);
            self.filled.push((self.count, content));
        }
        self.push(name, self.blocks.len(), content, false);
        self.count += 1;
        Ok(())
    }

    /// Finishes the current block.
    fn close(&mut self) {
        let block = Arc::new(core::mem::take(&mut self.open));
        if let Some(marker) = &self.marker {
            // If the archive has been refused already, nobody receives this.
            let _ = marker.send((Arc::clone(&block), core::mem::take(&mut self.filled)));
        }
        self.blocks.push(block);
    }

    /// Stores the computed marks.
    pub(super) fn mark(&mut self, made: Vec<(u32, [u8; 32])>) {
        let mut marks = vec![[0; 32]; made.len()];
        for (number, mark) in made {
            if let Some(place) = marks.get_mut(number as usize) {
                *place = mark;
            }
        }
        self.marks = Some(marks);
    }

    /// Sorts the members, and checks that each path is either a file or a directory and each file occurs
    /// once.
    pub(super) fn settle(&mut self) -> Result<(), Clash> {
        self.close();
        self.marker = None;
        let names = core::mem::take(&mut self.names);
        let name = |member: &Member| {
            let range = member.name.start as usize..member.name.end as usize;
            names.get(range).unwrap_or_default().as_bytes()
        };
        // Most archives are almost sorted, which makes this sort fast.
        self.members.sort_by(|a, b| {
            let kinds = a.is_directory.cmp(&b.is_directory);
            order(name(a), name(b)).then(kinds)
        });
        self.names = names;
        for pair in self.members.windows(2) {
            let [first, next] = pair else { continue };
            if first.is_directory {
                continue;
            }
            let Some(rest) = self.name(next).strip_prefix(self.name(first)) else {
                continue;
            };
            if rest.is_empty() && !next.is_directory {
                return Err(Clash::Twice(self.name(first).into()));
            }
            // The members below a path follow it immediately.
            if rest.is_empty() || rest.starts_with('/') {
                return Err(Clash::FileAndDirectory(self.name(first).into()));
            }
        }
        self.members.retain(|member| !member.is_directory);
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Found<'_>> {
        self.members.iter().map(|member| Found {
            path: self.name(member),
            bytes: self.bytes(member),
        })
    }

    pub(super) fn marks(&self) -> Option<impl Iterator<Item = (&str, [u8; 32])>> {
        let marks = self.marks.as_ref()?;
        Some(self.members.iter().filter_map(|member| {
            let mark = marks.get(member.number as usize)?;
            Some((self.name(member), *mark))
        }))
    }

    pub(super) fn get(&self, path: &str) -> Option<&[u8]> {
        let at = self
            .members
            .binary_search_by(|member| order(self.name(member).as_bytes(), path.as_bytes()));
        self.members.get(at.ok()?).map(|member| self.bytes(member))
    }

    /// Returns the files below a directory.
    fn below(&self, directory: &str) -> impl Iterator<Item = &str> {
        let start = self.members.partition_point(|member| {
            order(self.name(member).as_bytes(), directory.as_bytes()).is_lt()
        });
        let rest = self.members.get(start..).unwrap_or_default();
        rest.iter().map_while(move |member| {
            let name = self.name(member);
            if directory.is_empty() {
                return Some(name);
            }
            name.strip_prefix(directory)?.strip_prefix('/')
        })
    }

    pub(super) fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.below(path).next().is_some()
    }

    /// Lists a directory, sorted by the bytes of the names, like the index within a directory.
    pub(super) fn list(&self, directory: &str) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for rest in self.below(directory) {
            let (name, kind) = match rest.split_once('/') {
                Some((name, _)) => (name, EntryKind::Directory),
                None => (rest, EntryKind::File),
            };
            if entries.last().is_none_or(|last| last.name != name) {
                let name = name.into();
                entries.push(Entry { name, kind });
            }
        }
        entries
    }
}

impl core::fmt::Debug for Files {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|file| file.path))
            .finish()
    }
}

/// Compares paths as lists of components, so that the members below a directory follow it immediately.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    // Compare whole words first: most paths share a long prefix.
    let words = a.chunks_exact(8).zip(b.chunks_exact(8));
    let alike = 8 * words.take_while(|(a, b)| a == b).count();
    let (a, b) = (a.get(alike..), b.get(alike..));
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    a.iter().map(rank).cmp(b.iter().map(rank))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_a_directory_follows_it() {
        let mut paths = [
            "a-b",
            "a/b",
            "a",
            "b",
            "a.b/c",
            "a/b/c",
            "packages/x",
            "packages-x",
            "packages/x/y",
        ];
        paths.sort_unstable_by(|a, b| order(a.as_bytes(), b.as_bytes()));
        let mut expected = paths;
        expected.sort_unstable_by(|a, b| a.split('/').cmp(b.split('/')));
        assert_eq!(paths, expected);
    }
}
