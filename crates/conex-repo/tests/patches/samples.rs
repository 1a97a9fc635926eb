//! Patches as opam makes them, of every kind that its users meet: the fixtures are what `diff` and `git`
//! printed when opam called them.

use super::*;

/// The tree that a patch is about, as far as the patch shows it; other lines are made up.
fn base(patch: &[u8]) -> Tree {
    let mut tree = Tree::new();
    // A character for each byte, and back.
    let text: String = patch.iter().copied().map(char::from).collect();
    let mut lines = text.split_inclusive('\n').peekable();
    let mut file: Option<String> = None;
    let mut mode_only: Option<String> = None;
    while let Some(line) = lines.next() {
        let line_text = line.trim_end_matches('\n');
        if let Some(names) = line_text.strip_prefix("diff --git ") {
            let name = names.split_once('/').map(|(_, rest)| rest);
            let name = name
                .and_then(|name| name.split_once(' '))
                .map(|(name, _)| name);
            mode_only = name.map(ToOwned::to_owned);
        } else if let Some(from) = line_text.strip_prefix("rename from ") {
            tree.insert(from.into(), b"moved\n".to_vec());
        } else if line_text.starts_with("new mode ") || line_text.starts_with("deleted file mode ")
        {
            let bytes = if line_text.starts_with("new") {
                "x\n"
            } else {
                ""
            };
            tree.insert(mode_only.clone().unwrap_or_default(), bytes.into());
        } else if let Some(name) = line_text.strip_prefix("--- ") {
            let is_new = name == "/dev/null" || name.contains("\t1970-");
            let name = name.split('\t').next().unwrap().trim_matches('"');
            let name = name.split_once('/').map(|(_, rest)| rest.to_owned());
            file = name.filter(|_| !is_new);
            if let Some(name) = &file {
                tree.insert(name.clone(), Vec::new());
            }
        } else if let Some(ranges) = line_text.strip_prefix("@@ -") {
            let Some(bytes) = file.as_ref().and_then(|name| tree.get_mut(name)) else {
                continue;
            };
            let range = ranges.split(' ').next().unwrap();
            let (start, count) = range.split_once(',').unwrap_or((range, "1"));
            let (start, mut left): (usize, usize) =
                (start.parse().unwrap(), count.parse().unwrap());
            let known = bytes.split_inclusive(|byte| *byte == b'\n').count();
            for line in known + 1..start {
                bytes.extend(format!("made up {line}\n").bytes());
            }
            let is_cut = !matches!(lines.peek(), Some(line) if line.starts_with(' ')) && start > 1;
            while left > 0 {
                let line = lines.next().unwrap();
                if !line.starts_with('+') && !line.starts_with('\\') {
                    left -= 1;
                    bytes.extend(line.chars().skip(1).map(|c| u8::try_from(c).unwrap()));
                }
                if !line.starts_with('+') && lines.peek().is_some_and(|next| next.starts_with('\\'))
                {
                    bytes.pop();
                }
            }
            if is_cut {
                bytes.extend(b"made up\n");
            }
        }
    }
    tree
}

/// Says what became of each patch of a directory.
fn verdicts(directory: &SystemPath) -> BTreeMap<String, String> {
    let mut verdicts = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "patch")
        {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let verdict = match Patch::parse(&bytes) {
            Err(error) => error.to_string(),
            Ok(_) => match law(&base(&bytes), &bytes) {
                Ok(_) => "accepted".into(),
                Err(error) => error.to_string(),
            },
        };
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        verdicts.insert(name, verdict);
    }
    verdicts
}

#[test]
fn every_kind_of_sample() {
    let fixtures = SystemPath::new(env!("CARGO_MANIFEST_DIR")).join("tests/patches/fixtures");
    let found: Vec<String> = verdicts(&fixtures)
        .iter()
        .map(|(name, verdict)| format!("{name}: {verdict}"))
        .collect();
    let expected = std::fs::read_to_string(fixtures.join("verdicts.txt")).unwrap();
    assert_eq!(found, expected.lines().collect::<Vec<_>>());
    assert!(found.len() > 40);
}

/// Further samples, from where `CONEX_PATCHES` says.
#[test]
fn further_samples() {
    let Some(directory) = std::env::var_os("CONEX_PATCHES") else {
        return;
    };
    for (name, verdict) in verdicts(SystemPath::new(&directory)) {
        println!("{name}: {verdict}");
    }
}

/// Patches that opam 2.5 and 2.6 made of two trees, with what differs between these.
#[test]
fn every_kind_of_sample_of_the_library() {
    let fixtures = SystemPath::new(env!("CARGO_MANIFEST_DIR")).join("tests/patches/library");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let case = entry.unwrap().path();
        // Git keeps no empty directories.
        let side = |name: &str| {
            let place = case.join(name);
            if place.is_dir() {
                read(&place)
            } else {
                Tree::new()
            }
        };
        let patch = std::fs::read(case.join("patch")).unwrap();
        let verdict = match law(&side("old"), &patch) {
            Ok(result) if result == side("new") => "read as it is meant".to_owned(),
            Ok(_) => "another tree".to_owned(),
            Err(error) => error.to_string(),
        };
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        found.insert(name, verdict);
    }
    assert_eq!(found.len(), 29);
    found.retain(|_, verdict| verdict != "read as it is meant");
    let refused = [
        (
            "2.5-quote".to_owned(),
            "line 1 of the patch: the name is not printable ASCII".to_owned(),
        ),
        (
            "2.6-file2dir".to_owned(),
            "line 5 of the patch: packages/foo/foo.1/files/n would be both a file and a directory"
                .to_owned(),
        ),
    ];
    assert_eq!(found, refused.into());
}
