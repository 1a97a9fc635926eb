//! The rooms of conex-core use only themselves and those before them.

use std::fs;
use std::path::{Path, PathBuf};

/// In the order of `conex_core`'s documentation.
const ROOMS: [&str; 5] = ["model", "tree", "state", "verify", "tools"];

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/conex-core/src")
}

/// All source files below a directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the sources are there");
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("a directory can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The text without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

/// The modules that a source file of a room names and may not.
fn above(room: usize, text: &str) -> Vec<&str> {
    let paths = code(text).flat_map(|line| line.split("crate::").skip(1));
    let modules = paths.map(|path| {
        let end = path.find(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        path.split_at(end.unwrap_or(path.len())).0
    });
    let may = |name: &&str| ROOMS.iter().take(room + 1).any(|it| it == name);
    modules.filter(|name| !may(name)).collect()
}

#[test]
fn a_room_uses_only_itself_and_those_before_it() {
    let core = core();
    let mut files = 0;
    for (at, room) in ROOMS.iter().enumerate() {
        let mut all = sources(&core.join(room));
        all.push(core.join(format!("{room}.rs")));
        for file in all {
            let text = fs::read_to_string(&file).expect("sources are text");
            assert_eq!(above(at, &text), [""; 0], "{}", file.display());
            files += 1;
        }
    }
    // Nothing is outside the rooms.
    assert_eq!(files + 1, sources(&core).len());
    // What is forbidden is noticed.
    assert_eq!(above(2, "use crate::verify::Report;"), ["verify"]);
    assert_eq!(above(2, "fn f() -> crate::elsewhere::T"), ["elsewhere"]);
    assert_eq!(above(3, "use crate::verify::Report;"), [""; 0]);
}
