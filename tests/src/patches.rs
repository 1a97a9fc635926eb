//! Trees that change, and patches of them as the OCaml library `patch` writes them, which opam has used since 2.4.

use core::fmt::Write as _;
use std::collections::BTreeMap;

/// The files of a tree with their bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

/// In which order opam lists the files of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Up to opam 2.5: all together.
    Mixed,
    /// Since opam 2.6: what is removed comes first.
    RemovedFirst,
}

/// The patch that leads from one tree to another, as the library writes it, with the names of the two trees.
/// `None` where nothing differs.
pub fn library_patch(
    (old_name, new_name): (&str, &str),
    old: &Files,
    new: &Files,
    order: Order,
) -> Option<Vec<u8>> {
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    // Each file is put in front of those before it.
    paths.reverse();
    if order == Order::RemovedFirst {
        paths.sort_by_key(|path| new.contains_key(*path));
    }
    let mut patch = Vec::new();
    for path in paths {
        let names = [
            quoted(&format!("{old_name}/{path}")),
            quoted(&format!("{new_name}/{path}")),
        ];
        file(&names, old.get(path), new.get(path), &mut patch);
    }
    (!patch.is_empty()).then_some(patch)
}

/// Names have quotes where they have blanks. Names with other odd characters are none of a repository's.
fn quoted(name: &str) -> String {
    if name.contains(' ') {
        format!("\"{name}\"")
    } else {
        name.to_owned()
    }
}

fn file(names: &[String; 2], old: Option<&Vec<u8>>, new: Option<&Vec<u8>>, patch: &mut Vec<u8>) {
    let [old_name, new_name] = names;
    let mode = match (old, new) {
        _ if old == new => return,
        (None, Some(bytes)) if bytes.is_empty() => Some("new"),
        (Some(bytes), None) if bytes.is_empty() => Some("deleted"),
        _ => None,
    };
    if let Some(mode) = mode {
        patch
            .extend(format!("diff --git {old_name} {new_name}\n{mode} file mode 100644\n").bytes());
        return;
    }
    let name = |name, side: Option<_>| if side.is_some() { name } else { "/dev/null" };
    let (old_name, new_name) = (name(old_name.as_str(), old), name(new_name.as_str(), new));
    patch.extend(format!("--- {old_name}\n+++ {new_name}\n").bytes());
    let text = |side: Option<&Vec<u8>>| side.cloned().unwrap_or_default();
    hunk(&text(old), &text(new), patch);
}

/// One hunk, from the first line that differs to the end.
fn hunk(old: &[u8], new: &[u8], patch: &mut Vec<u8>) {
    let lines = |text: &[u8]| -> Vec<Vec<u8>> {
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        lines.map(<[u8]>::to_vec).collect()
    };
    let (old_lines, new_lines) = (lines(old), lines(new));
    let pairs = old_lines.iter().zip(&new_lines);
    let same = pairs.take_while(|(old, new)| old == new).count();
    let start = |text: &[u8]| if text.is_empty() { 0 } else { same + 1 };
    let (gone, come) = (old_lines.get(same..), new_lines.get(same..));
    let (gone, come) = (gone.unwrap_or_default(), come.unwrap_or_default());
    let mut header = String::new();
    let _ = writeln!(
        header,
        "@@ -{},{} +{},{} @@",
        start(old),
        gone.len(),
        start(new),
        come.len()
    );
    patch.extend(header.bytes());
    for (mark, lines) in [(b'-', gone), (b'+', come)] {
        for line in lines {
            patch.push(mark);
            patch.extend(line);
            if !line.ends_with(b"\n") {
                patch.extend(b"\n\\ No newline at end of file\n");
            }
        }
    }
}

/// Numbers that look random and are the same for the same seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Begins with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below another one, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).unwrap_or(0)
    }

    /// One of some values.
    ///
    /// # Panics
    /// Where there is none.
    pub fn choose<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        values
            .get(self.below(values.len()))
            .expect("below the length")
    }
}

/// Lines that look like each other, and like parts of a patch.
const LINES: [&[u8]; 14] = [
    b"a\n",
    b"a\n",
    b"b\n",
    b"\n",
    b"a\r\n",
    b"b\r\n",
    b"\0\xff\n",
    b"-- repo\n",
    b"++ repo\n",
    b"@@ -1 +1 @@\n",
    b"diff --git a/repo b/repo\n",
    b"\\ No newline at end of file\n",
    b" a\n",
    b"\t\n",
];

/// The content of a file: some lines, perhaps without an end, perhaps all in one convention.
pub fn content(dice: &mut Dice) -> Vec<u8> {
    let count = dice.below(14);
    let windows = dice.below(5) == 0;
    let mut bytes = Vec::new();
    for _ in 0..count {
        let line = dice.choose(&LINES);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").filter(|_| windows).unwrap_or(line);
        bytes.extend(line);
        bytes.extend(if windows { &b"\r\n"[..] } else { b"\n" });
    }
    if dice.below(5) == 0 {
        bytes.pop();
    }
    bytes
}

/// A content after some lines were replaced, or all of it was.
pub fn edited(dice: &mut Dice, old: &[u8]) -> Vec<u8> {
    if dice.below(10) == 0 {
        return content(dice);
    }
    let lines: Vec<&[u8]> = old.split_inclusive(|byte| *byte == b'\n').collect();
    let at = dice.below(lines.len() + 1);
    let end = (at + dice.below(4)).min(lines.len());
    let mut new = lines.get(..at).unwrap_or_default().concat();
    for _ in 0..dice.below(4) {
        new.extend(*dice.choose(&LINES));
    }
    new.extend(lines.get(end..).unwrap_or_default().concat());
    if dice.below(10) == 0 {
        new.pop();
    }
    new
}

/// Some files after one in so many of them changed, went, or moved, and others came.
pub fn changed(dice: &mut Dice, old: &Files) -> Files {
    let mut new = Files::new();
    for (path, bytes) in old {
        match dice.below(12) {
            0 => {}
            1 => {
                new.insert(format!("{path}-moved"), bytes.clone());
            }
            2 => {
                new.insert(path.clone(), Vec::new());
            }
            3 | 4 => {
                new.insert(path.clone(), bytes.clone());
            }
            _ => {
                new.insert(path.clone(), edited(dice, bytes));
            }
        }
        if dice.below(8) == 0 {
            new.insert(format!("{path}.new"), content(dice));
        }
    }
    new
}

/// Lines that somebody could put into a patch, with `NAME` for the name of the file that it changes.
const HOSTILE: [&str; 26] = [
    "diff --git b/NAME a/NAME",
    "diff --git b/NAME a/NAME-2",
    "diff -ruaN b/NAME a/NAME",
    "--- b/NAME\t1970-01-01 00:00:00.000000000 +0000",
    "+++ a/NAME\t1970-01-01 01:00:00.000000000 +0100",
    "--- b/NAME\t2020-01-01 00:00:00.000000000 +0000",
    "--- b/NAME",
    "+++ a/NAME",
    "--- /dev/null",
    "+++ /dev/null",
    "+++ a/NAME-2",
    "index 0000000..e69de29",
    "index e69de29..d00491f 100644",
    "old mode 100644",
    "new mode 100755",
    "new file mode 100644",
    "deleted file mode 100644",
    "rename from NAME",
    "rename to NAME-2",
    "copy to NAME-2",
    "similarity index 100%",
    "@@ -1 +1 @@",
    "@@ -0,0 +1,1 @@",
    "@@ -2,0 +2,1 @@",
    "\\ No newline at end of file",
    "",
];

/// A patch of one file after somebody tampered with it.
pub fn tampered(dice: &mut Dice, patch: &[u8], name: &str) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = patch
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    for _ in 0..=dice.below(3) {
        let Some(last) = lines.len().checked_sub(1) else {
            break;
        };
        let (at, other) = (dice.below(last + 1), dice.below(last + 1));
        let hostile = format!("{}\n", dice.choose(&HOSTILE).replace("NAME", name));
        let line = lines.get(at).cloned().unwrap_or_default();
        match dice.below(10) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(other, line),
            2 => lines.swap(at, other),
            3 => lines.insert(at, hostile.into()),
            4 => *lines.get_mut(at).expect("it is there") = hostile.into(),
            5 | 6 => {
                // A number in a header, a little off.
                let headers = lines.iter_mut().filter(|line| line.starts_with(b"@@"));
                let mut digits: Vec<&mut u8> = headers
                    .flat_map(|line| line.iter_mut())
                    .filter(|byte| byte.is_ascii_digit())
                    .collect();
                if let Some(count) = digits.len().checked_sub(1) {
                    let digit = digits.swap_remove(dice.below(count + 1));
                    *digit = b'0' + (*digit - b'0' + if dice.below(2) == 0 { 1 } else { 9 }) % 10;
                }
            }
            7 => {
                // A line of context becomes a change, or the reverse.
                let mark = *dice.choose(b" +-");
                if let Some(first) = lines.get_mut(at).and_then(|line| line.first_mut()) {
                    *first = mark;
                }
            }
            8 => {
                let byte = *dice.choose(b"0123456789 +-@\r\n/");
                let line = lines.get_mut(at).expect("it is there");
                let place = dice.below(line.len().max(1));
                line.splice(place..(place + 1).min(line.len()), [byte]);
            }
            _ => lines.truncate(at.max(1)),
        }
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_reaches_to_the_end() {
        let files = |text: &str| Files::from([("f".to_owned(), text.as_bytes().to_vec())]);
        let table = [
            ("1\n2\n", "1\n2\n3\n", "@@ -3,0 +3,1 @@\n+3\n"),
            ("1\n2\n", "1\n", "@@ -2,1 +2,0 @@\n-2\n"),
            ("1\n2\n", "", "@@ -1,2 +0,0 @@\n-1\n-2\n"),
            ("", "1\n", "@@ -0,0 +1,1 @@\n+1\n"),
            (
                "1",
                "1\n",
                "@@ -1,1 +1,1 @@\n-1\n\\ No newline at end of file\n+1\n",
            ),
            (
                "1\n2\n3\n",
                "1\n4\n3\n",
                "@@ -2,2 +2,2 @@\n-2\n-3\n+4\n+3\n",
            ),
        ];
        for (old, new, hunk) in table {
            let patch = library_patch(("r", "s"), &files(old), &files(new), Order::Mixed);
            let text = String::from_utf8(patch.unwrap()).unwrap();
            assert_eq!(text, format!("--- r/f\n+++ s/f\n{hunk}"));
        }
        assert_eq!(
            library_patch(("r", "s"), &files(""), &files(""), Order::Mixed),
            None
        );
    }
}
