use super::*;
use conex_core::tree::store::MemoryStore;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

const FILES: [&str; 5] = [
    "conex/root/1.toml",
    "packages/a/a.1/files/x.patch",
    "packages/a/a.1/opam",
    "packages/b/b.1/opam",
    "repo",
];

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn attributes(sources: &[(&str, &str)]) -> Attributes {
    let mut store = MemoryStore::new();
    for (file, text) in sources {
        store.insert(*file, text.as_bytes().to_vec());
    }
    let files: Vec<Path> = sources.iter().map(|(file, _)| path(file)).collect();
    Attributes::read(&store, &files).unwrap()
}

/// Formats alterations as `LINE ATTRIBUTE FIRST (FILES)`.
fn altered(sources: &[(&str, &str)]) -> Vec<String> {
    let attributes = attributes(sources);
    let found = attributes.alterations(&FILES.map(path)).unwrap();
    assert!(found.is_empty() || !attributes.is_harmless());
    let shown = |it: &Alteration| {
        let Alteration {
            line,
            attribute,
            first,
            files,
            ..
        } = it;
        format!("{line} {attribute} {first} ({files})")
    };
    found.iter().map(shown).collect()
}

#[test]
fn attributes_that_alter_files_are_found_where_they_stand() {
    let top = |text: &str| altered(&[(".gitattributes", text)]);
    assert_eq!(top("* eol=crlf\n"), ["1 eol=crlf conex/root/1.toml (5)"]);
    assert_eq!(
        top("# x\n\n*.patch ident\n"),
        ["3 ident packages/a/a.1/files/x.patch (1)"]
    );
    assert_eq!(top("/repo text eol=crlf"), ["1 eol=crlf repo (1)"]);
    assert_eq!(
        top("packages/** filter=lfs working-tree-encoding=UTF-16\n"),
        [
            "1 filter=lfs packages/a/a.1/files/x.patch (3)",
            "1 working-tree-encoding=UTF-16 packages/a/a.1/files/x.patch (3)"
        ]
    );
    // A whole directory is left out of archives by itself.
    assert_eq!(
        top("conex export-ignore\n"),
        ["1 export-ignore conex/root/1.toml (1)"]
    );
    assert_eq!(
        top("packages/a/ export-ignore\n"),
        ["1 export-ignore packages/a/a.1/files/x.patch (2)"]
    );
    assert_eq!(
        top("opam export-subst\n"),
        ["1 export-subst packages/a/a.1/opam (2)"]
    );
    assert_eq!(
        top("[attr]dos text eol=crlf\nrepo dos\n"),
        ["2 eol=crlf repo (1)"]
    );
    assert_eq!(
        altered(&[("packages/.gitattributes", "a ident\n/b/**/opam ident\n")]),
        ["2 ident packages/b/b.1/opam (1)"]
    );
    // The honest twins: nothing is altered.
    for harmless in [
        "",
        "* text=auto\n*.md diff=markdown linguist-documentation\n",
        "* eol=lf\n",
        "* working-tree-encoding=UTF-8\n",
        "docs/** eol=crlf\n*.bat eol=crlf\n",
        "* -text eol=crlf\n",
        "* eol=crlf\npackages/** -text\nconex/** binary\nrepo -crlf\n",
        "* ident\n* !ident\n",
        "conex/ ident\n",
        "* ident=1 -export-ignore\n",
        "!repo ident\n* bad~name ident\n",
        "[attr]dos eol=crlf\n* -dos\n",
    ] {
        assert_eq!(top(harmless), [""; 0], "{harmless}");
    }
    // The deepest file takes precedence.
    let both = [
        (".gitattributes", "* ident\n"),
        ("packages/a/.gitattributes", "* -ident\n"),
    ];
    assert_eq!(altered(&both), ["1 ident conex/root/1.toml (3)"]);
}

#[test]
fn what_is_too_long_is_not_looked_at() {
    let mut store = MemoryStore::new();
    let file = path(FILE);
    store.insert(FILE, vec![b'\n'; usize::try_from(SIZE).unwrap()]);
    assert!(Attributes::read(&store, [&file]).is_ok());
    store.insert(FILE, vec![b'\n'; usize::try_from(SIZE).unwrap() + 1]);
    assert!(Attributes::read(&store, [&file]).is_err());
    // Hostile patterns terminate, too.
    let hostile = format!("{}b ident\n", "*a".repeat(500));
    let long = Path::parse(&vec!["a".repeat(200); 5].join("/")).unwrap();
    let slow = attributes(&[(FILE, &hostile.repeat(60))]);
    let many = vec![long; 20_000];
    assert_eq!(slow.alterations(&many[..1]), Ok(Vec::new()));
    assert_eq!(slow.alterations(&many), Err(AttributesError::TooMuch(file)));
}

/// Returns git's answer about some paths.
fn told(mut git: Command, paths: &BTreeSet<Path>) -> String {
    let mut asked = git
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = asked.stdin.take().unwrap();
    for path in paths {
        write!(input, "{path}\0").unwrap();
    }
    drop(input);
    String::from_utf8(asked.wait_with_output().unwrap().stdout).unwrap()
}

/// Compares the results with git itself on generated patterns.
#[test]
fn git_finds_the_same_attributes() {
    let dir = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ATTR_NOSYSTEM", "1");
        command
    };
    assert!(git(&["init", "-q"]).status().unwrap().success());
    let mut seed: u64 = 7;
    let mut random = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let parts = [
        "a",
        "b",
        "*",
        "**",
        "?",
        "/",
        "/",
        "[ab]",
        "[!a]",
        "[a-b]",
        "[[:alpha:]]",
        "\\a",
        "\\*",
        ".",
        "[",
        "]",
        "[]a]",
        "ab",
        "-",
    ];
    let names = ["a", "b", "ab", "a.b", "aab", ".", "*", "[", "]", "-a"];
    let values = ["ident", "-ident", "!ident", "ident=x", "m", "-m"];
    let (mut compared, mut set) = (0, 0);
    for _ in 0..200 {
        let mut text = String::from("[attr]m ident -x\n");
        for _ in 0..=random(4) {
            let pattern: String = (0..=random(6))
                .map(|_| parts[random(parts.len())])
                .collect();
            let quoted = random(5) == 0;
            let pattern = if quoted {
                format!("\"{}\"", pattern.replace('\\', "\\\\"))
            } else {
                pattern
            };
            let value = values[random(values.len())];
            text.extend([&pattern, " ", value, "\n"]);
        }
        let paths: BTreeSet<Path> = (0..60)
            .map(|_| {
                let names: Vec<_> = (0..=random(4))
                    .map(|_| names[random(names.len())])
                    .collect();
                names.join("/")
            })
            .filter_map(|text| Path::parse(&text).ok())
            .collect();
        fs::write(dir.path().join(FILE), &text).unwrap();
        let ours = attributes(&[(FILE, &text)]);
        let told = told(git(&["check-attr", "--stdin", "-z", "ident"]), &paths);
        let mut told = told.split('\0');
        for path in &paths {
            let found = ours.of(path, false, &mut Steps::default()).unwrap();
            let here = match found.get("ident").map(|(state, ..)| *state) {
                None | Some(State::Unspecified) => "unspecified",
                Some(State::Set) => "set",
                Some(State::Unset) => "unset",
                Some(State::Value(value)) => value,
            };
            assert_eq!(told.next(), Some(path.as_str()));
            told.next();
            let there = told.next().unwrap();
            assert_eq!(here, there, "{path} with\n{text}");
            compared += 1;
            set += usize::from(here != "unspecified");
        }
    }
    assert!(compared > 5_000 && set > 500, "{compared}, {set}");
}
