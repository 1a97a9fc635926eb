use std::io::Write as _;
use std::process::{Command, Stdio};

use conex_core::model::path::Path;
use conex_core::tree::store::{EntryKind, Store as _};
use proptest::prelude::*;

use super::*;
use crate::{DirectoryStore, changes};

/// A repository made by git itself, independent of the user's configuration.
pub(super) struct Scratch(pub(super) tempfile::TempDir);

impl Scratch {
    pub(super) fn new() -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        scratch.git(&["init", "-q", "-b", "main", "."]);
        scratch
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "t")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "t")))
            .env("GIT_AUTHOR_DATE", "1700000000 +0000")
            .env("GIT_COMMITTER_DATE", "1700000000 +0000")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, b"")
    }

    pub(super) fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().into()
    }

    pub(super) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn commit(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "step"]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(super) fn open(&self) -> GitRepository {
        GitRepository::open(self.0.path()).unwrap()
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Returns the file of a loose object.
    fn object(&self, id: &str) -> PathBuf {
        let (directory, file) = id.split_at(2);
        self.0
            .path()
            .join(".git/objects")
            .join(directory)
            .join(file)
    }
}

/// Returns the id of a commit that no repository has.
pub(crate) fn no_commit() -> CommitId {
    CommitId(ObjectId::null(gix::hash::Kind::Sha1))
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn read(store: &GitStore, file: &str) -> Result<Vec<u8>, StoreError> {
    let mut buffer = Vec::new();
    store
        .read(&path(file), 1 << 20, &mut buffer)
        .map(|()| buffer)
}

#[test]
fn a_revision_is_read_bare_or_not() {
    let scratch = Scratch::new();
    scratch.write("packages/foo/foo.1/opam", "one");
    scratch.write("packages/foo-bar/opam", "\r\n\0two");
    scratch.write("packages/foo.txt", "three");
    let first = scratch.commit();
    scratch.write("packages/foo/foo.1/opam", "changed");
    scratch.git(&["tag", "-a", "v1", "-m", "tag", &first]);
    scratch.git(&["tag", "-a", "v2", "-m", "tag of a tag", "v1"]);
    let bare = tempfile::tempdir().unwrap();
    let target = bare.path().to_str().unwrap();
    scratch.git(&["clone", "-q", "--bare", ".", target]);
    scratch.git(&["repack", "-q", "-a", "-d"]);
    for repository in [scratch.open(), GitRepository::open(bare.path()).unwrap()] {
        for name in [
            "main",
            "HEAD",
            &first,
            &first[..12],
            "v2",
            "refs/heads/main",
        ] {
            let store = repository.revision(name).unwrap();
            assert_eq!(read(&store, "packages/foo/foo.1/opam").unwrap(), b"one");
            assert_eq!(read(&store, "packages/foo-bar/opam").unwrap(), b"\r\n\0two");
            let entries = store.list(&path("packages")).unwrap();
            let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
            assert_eq!(names, ["foo", "foo-bar", "foo.txt"]);
        }
        let store = repository.revision("main").unwrap();
        for absent in ["packages/foo/none", "none/x", "packages/foo/foo.1/opam/x"] {
            assert!(read(&store, absent).is_err(), "{absent}");
        }
        assert_eq!(read(&store, "packages/none"), Err(StoreError::Missing));
        assert_eq!(
            read(&store, "packages"),
            Err(StoreError::Special("directory"))
        );
        assert_eq!(store.list(&path("none")), Err(StoreError::Missing));
        assert_eq!(
            store.list(&path("packages/foo.txt")),
            Err(StoreError::Special("file"))
        );
        assert_eq!(
            repository.resolve("main").unwrap().to_string(),
            repository.resolve("v1").unwrap().to_string()
        );
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(
        GitRepository::open(empty.path()).unwrap_err(),
        GitError::NoRepository(empty.path().to_owned())
    );
    let scratch = Scratch::new();
    let repository = scratch.open();
    let refused = |name: &str| repository.resolve(name).unwrap_err();
    assert_eq!(refused("HEAD"), GitError::NoRevision("HEAD".into()));
    scratch.write("a", "text");
    scratch.commit();
    let head = scratch.git(&["rev-parse", "HEAD"]);
    let absent = "1234567890123456789012345678901234567890";
    for name in [
        "none",
        "",
        "main..main",
        "main~5",
        "-h",
        "\0",
        &head[..3],
        absent,
    ] {
        assert_eq!(refused(name), GitError::NoRevision(name.into()));
    }
    assert!(matches!(refused("HEAD^{tree}"), GitError::NotACommit(..)));
    assert!(matches!(refused("HEAD:a"), GitError::NotACommit(..)));
    scratch.write(".git/config", "[core");
    assert!(matches!(
        GitRepository::open(scratch.0.path()),
        Err(GitError::Unreadable { .. })
    ));
}

#[test]
fn special_files() {
    let scratch = Scratch::new();
    scratch.write("file", "text");
    let head = scratch.commit();
    std::os::unix::fs::symlink("file", scratch.0.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", scratch.0.path().join("way")).unwrap();
    let link = format!("160000,{head},module");
    scratch.git(&["update-index", "--add", "--cacheinfo", &link]);
    scratch.git(&["add", "link", "way"]);
    scratch.git(&["commit", "-q", "-m", "links"]);
    let store = scratch.open().revision("HEAD").unwrap();
    for name in ["link", "way", "module"] {
        assert!(matches!(read(&store, name), Err(StoreError::Special(_))));
        assert!(matches!(
            store.list(&path(name)),
            Err(StoreError::Special(_))
        ));
    }
    assert!(matches!(
        read(&store, "way/passwd"),
        Err(StoreError::Special(_))
    ));
    let kinds: Vec<_> = store.list(&Path::top()).unwrap();
    assert_eq!(kinds.len(), 4);
    assert_eq!(kinds[0].kind, EntryKind::File);
    let old = scratch.open().revision(&head).unwrap();
    let changed = old.changed(&store).unwrap();
    assert_eq!(changed, [path("link"), path("module"), path("way")].into());
}

#[test]
fn arbitrary_content() {
    let scratch = Scratch::new();
    scratch.write("good", "good");
    scratch.write("evil", "evil");
    scratch.write("directory/x", "good");
    scratch.commit();
    assert_eq!(
        read(&scratch.open().revision("HEAD").unwrap(), "good").unwrap(),
        b"good"
    );
    // A replacement would present `evil` as `good`. It is ignored.
    let (good, evil) = ("HEAD:good", "HEAD:evil");
    scratch.git(&["replace", good, evil]);
    assert_eq!(scratch.git(&["show", good]), "evil");
    assert_eq!(
        read(&scratch.open().revision("HEAD").unwrap(), "good").unwrap(),
        b"good"
    );
    // The objects themselves: one stored in the place of another.
    let swaps = [
        ("HEAD:good", "HEAD:evil"),
        ("HEAD:directory", "HEAD^{tree}"),
        ("HEAD:good", "HEAD:directory"),
    ];
    for (victim, other) in swaps {
        let place = scratch.object(&scratch.git(&["--no-replace-objects", "rev-parse", victim]));
        let honest = std::fs::read(&place).unwrap();
        let other = scratch.object(&scratch.git(&["--no-replace-objects", "rev-parse", other]));
        std::fs::remove_file(&place).unwrap();
        std::fs::copy(other, &place).unwrap();
        let store = scratch.open().revision("HEAD").unwrap();
        let result = match victim.strip_prefix("HEAD:") {
            Some("directory") => read(&store, "directory/x"),
            name => read(&store, name.unwrap()),
        };
        assert!(matches!(result, Err(StoreError::Io(_))), "{result:?}");
        std::fs::remove_file(&place).unwrap();
        let store = scratch.open().revision("HEAD").unwrap();
        assert!(matches!(
            read(&store, victim.strip_prefix("HEAD:").unwrap()),
            Err(StoreError::Io(_) | StoreError::Special("directory"))
        ));
        std::fs::write(&place, honest).unwrap();
    }
    let head = scratch.git(&["rev-parse", "HEAD"]);
    scratch.write("more", "more");
    let next = scratch.commit();
    std::fs::remove_file(scratch.object(&head)).unwrap();
    std::fs::copy(scratch.object(&next), scratch.object(&head)).unwrap();
    assert!(matches!(
        scratch.open().resolve(&head),
        Err(GitError::Object(..))
    ));
}

#[test]
fn malformed_trees() {
    let scratch = Scratch::new();
    let blob = scratch.git_with(&["hash-object", "-w", "--stdin"], b"text");
    let raw: Vec<u8> = (0..20)
        .map(|at| u8::from_str_radix(&blob[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let entry = |name: &str| [format!("100644 {name}\0").as_bytes(), &raw].concat();
    let tree = |names: &[&str]| {
        let bytes: Vec<u8> = names.iter().flat_map(|name| entry(name)).collect();
        let arguments = ["hash-object", "-w", "-t", "tree", "--literally", "--stdin"];
        let tree = scratch.git_with(&arguments, &bytes);
        scratch.git(&["commit-tree", &tree, "-m", "tree"])
    };
    let honest = scratch.open().revision(&tree(&["a", "b"])).unwrap();
    assert_eq!(read(&honest, "a").unwrap(), b"text");
    for names in [&["a", "a"][..], &[".."], &["."], &["a/b"], &["a", "b", "a"]] {
        let store = scratch.open().revision(&tree(names)).unwrap();
        assert!(
            matches!(store.list(&Path::top()), Err(StoreError::Io(_))),
            "{names:?}"
        );
        assert!(honest.changed(&store).is_err());
    }
    // Git would not check this out. Here it is an entry like any other.
    let store = scratch.open().revision(&tree(&[".git"])).unwrap();
    assert_eq!(store.list(&Path::top()).unwrap().len(), 1);
    // A name that is not a valid component changes its directory.
    let store = scratch
        .open()
        .revision(&tree(&["a", "b", "\u{e9}"]))
        .unwrap();
    assert_eq!(honest.changed(&store).unwrap(), [Path::top()].into());
}

#[test]
fn endless_data() {
    let scratch = Scratch::new();
    scratch.write("large", vec![0; 130 << 20]);
    scratch.write("limit", vec![0; 1 << 20]);
    scratch.write("over", vec![0; (1 << 20) + 1]);
    scratch.commit();
    for packed in [false, true] {
        if packed {
            scratch.git(&["repack", "-q", "-a", "-d"]);
        }
        let store = scratch.open().revision("HEAD").unwrap();
        assert_eq!(read(&store, "large"), Err(StoreError::TooLarge(1 << 20)));
        assert_eq!(read(&store, "over"), Err(StoreError::TooLarge(1 << 20)));
        assert_eq!(read(&store, "limit").unwrap().len(), 1 << 20);
    }
    let scratch = Scratch::new();
    // A tree that contains itself ten times, ten levels deep, in a few hundred bytes.
    let mut tree = scratch.git_with(&["mktree"], b"");
    for _ in 0..10 {
        let names = (0..10).map(|name| format!("040000 tree {tree}\t{name}\n"));
        tree = scratch.git_with(&["mktree"], names.collect::<String>().as_bytes());
    }
    let bomb = scratch.git(&["commit-tree", &tree, "-m", "bomb"]);
    scratch.git(&["branch", "bomb", &bomb]);
    let first = scratch.commit();
    scratch.git(&["repack", "-q", "-a", "-d"]);
    let repository = scratch.open();
    let first = repository.revision(&first).unwrap();
    let bomb = repository.revision("bomb").unwrap();
    assert_eq!(first.changed(&bomb).unwrap_err().error, StoreError::TooMany);
    assert!(bomb.changed(&bomb).unwrap().is_empty());
}

#[test]
fn where_a_branch_left_and_what_is_going_on() {
    let scratch = Scratch::new();
    scratch.write("a", "1");
    let base = scratch.commit();
    scratch.git(&["checkout", "-q", "-b", "topic"]);
    scratch.write("a", "2");
    scratch.commit();
    scratch.git(&["checkout", "-q", "main"]);
    scratch.write("a", "3");
    scratch.commit();
    let repository = scratch.open();
    let id = |name: &str| repository.resolve(name).unwrap();
    let found = repository.merge_base(id("main"), id("topic")).unwrap();
    assert_eq!(found, Some(id(&base)));
    assert!(repository.is_ancestor(id(&base), id("topic")).unwrap());
    assert!(repository.is_ancestor(id("topic"), id("topic")).unwrap());
    assert!(!repository.is_ancestor(id("main"), id("topic")).unwrap());
    let empty = scratch.git_with(&["mktree"], b"");
    let alone = scratch.git(&["commit-tree", &empty, "-m", "alone"]);
    assert_eq!(repository.merge_base(id("main"), id(&alone)), Ok(None));

    assert_eq!(repository.branch().as_deref(), Some("main"));
    assert_eq!(repository.in_progress(), None);
    assert!(
        !scratch
            .command(&["merge", "topic"])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(scratch.open().in_progress(), Some("merge"));
    scratch.git(&["merge", "--abort"]);
    assert!(
        !scratch
            .command(&["rebase", "topic"])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(scratch.open().in_progress(), Some("rebase"));
    assert_eq!(scratch.open().branch(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Git finds the same differences, and so does reading everything.
    #[test]
    fn changes_are_those_that_git_finds(
        steps in prop::collection::vec(
            prop::collection::vec((0..4_u8, 0..4_u8, 0..4_u8, 0..4_u8), 1..12), 2..4),
    ) {
        let scratch = Scratch::new();
        let mut revisions = Vec::new();
        for step in steps {
            for (a, b, c, what) in step {
                let place = format!("{a}/{b}/{c}");
                let place = &place[..=2 * usize::from(what.min(2))];
                let full = scratch.0.path().join(place);
                let parents_are_directories = full
                    .ancestors()
                    .skip(1)
                    .all(|parent| !parent.is_file());
                if !parents_are_directories {
                    continue;
                }
                if full.is_dir() {
                    std::fs::remove_dir_all(&full).unwrap();
                }
                if what < 3 {
                    scratch.write(place, format!("{what}"));
                } else if full.is_file() {
                    std::fs::remove_file(&full).unwrap();
                }
            }
            revisions.push((scratch.commit(), scratch.open().revision("HEAD").unwrap()));
        }
        for (a, old) in &revisions {
            for (b, new) in &revisions {
                let names = scratch.git(&["diff", "--name-only", "--no-renames", a, b]);
                let mut expected: Vec<_> = names.lines().collect();
                expected.sort_unstable();
                let found = old.changed(new).unwrap();
                let found: Vec<_> = found.iter().map(Path::as_str).collect();
                prop_assert_eq!(&found, &expected);
                let slowly = changes::changed(old, new).unwrap();
                prop_assert_eq!(found, slowly.iter().map(Path::as_str).collect::<Vec<_>>());
            }
        }
        let work_tree = DirectoryStore::open(scratch.0.path()).unwrap();
        let (_, head) = revisions.last().unwrap();
        // Except directories that became empty, which git does not track.
        let differs = changes::changed(&work_tree, head).unwrap();
        prop_assert!(differs.iter().all(|path| scratch.0.path().join(path.as_str()).is_dir()));
    }
}

#[test]
fn pull_requests_are_where_they_were_fetched_to() {
    let scratch = Scratch::new();
    let first = scratch.commit();
    let second = scratch.commit();
    for (name, commit) in [
        ("refs/pull/7/head", &first),
        ("refs/pull/7/merge", &second),
        ("refs/pull/70/head", &second),
        ("refs/remotes/upstream/pr/8", &second),
        ("refs/remotes/one/two/pr/9", &second),
        ("refs/merge-requests/10/head", &first),
        ("refs/heads/refs/pull/11/head", &first),
        ("refs/remotes/origin/pr/12", &first),
        ("refs/pull/12/head", &first),
        ("refs/remotes/origin/pr/13", &first),
        ("refs/pull/13/head", &second),
    ] {
        scratch.git(&["update-ref", name, commit]);
    }
    for packed in [false, true] {
        if packed {
            scratch.git(&["pack-refs", "--all"]);
        }
        let repository = scratch.open();
        let find = |number| {
            let found = repository.pull_request(number, &refs::PULL_REQUESTS);
            found.map(|it| it.map(|it| (it.reference, it.commit.to_string())))
        };
        let there = |name: &str, commit: &String| Ok(Some((name.to_owned(), commit.clone())));
        assert_eq!(find(7), there("refs/pull/7/head", &first));
        assert_eq!(find(8), there("refs/remotes/upstream/pr/8", &second));
        assert_eq!(find(9), Ok(None));
        assert_eq!(find(10), there("refs/merge-requests/10/head", &first));
        assert_eq!(find(11), Ok(None));
        assert_eq!(find(12), there("refs/pull/12/head", &first));
        assert!(matches!(find(13), Err(GitError::Ambiguous(13, names)) if names.len() == 2));
        let own = repository.pull_request(7, &["refs/pull/N/merge"]).unwrap();
        assert_eq!(own.unwrap().commit.to_string(), second);
        for odd in [
            "",
            "refs//N",
            "refs/../N",
            "*",
            "N",
            "refs/pull/\0/N",
            "-N/*",
        ] {
            assert!(
                !matches!(repository.pull_request(7, &[odd]), Ok(Some(_))),
                "{odd}"
            );
        }
    }
}

#[test]
fn who_made_the_commits_of_a_branch() {
    let scratch = Scratch::new();
    let by = |author: &str, committer: &str| {
        let output = scratch
            .command(&["commit", "-q", "--allow-empty", "-m", "step"])
            .env("GIT_AUTHOR_NAME", author)
            .env("GIT_AUTHOR_EMAIL", format!("{author}@Example.org"))
            .env("GIT_COMMITTER_NAME", committer)
            .env("GIT_COMMITTER_EMAIL", format!("{committer}@example.org"))
            .status()
            .unwrap();
        assert!(output.success());
        scratch.git(&["rev-parse", "HEAD"])
    };
    by("erin", "erin");
    let main = by("alice", "alice");
    by("dave", "dave");
    by("dave", "forge");
    let head = by("fr\u{e9}d\u{e9}ric", "fr\u{e9}d\u{e9}ric");
    let repository = scratch.open();
    let [main, head] = [&main, &head].map(|name| repository.resolve(name).unwrap());
    let found = repository.contributors(main, head).unwrap();
    let mut found: Vec<_> = found
        .iter()
        .map(|it| (it.person.name.as_str(), it.authored, it.committed))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("dave", 2, 0),
            ("forge", 0, 1),
            ("fr\u{e9}d\u{e9}ric", 1, 0)
        ]
    );
    assert_eq!(repository.contributors(head, main).unwrap(), []);
    let knows = |name: &str, most| {
        let address = crate::people::Address::parse(&format!("{name}@example.org")).unwrap();
        repository.has_author(main, &address, most).unwrap()
    };
    assert_eq!(knows("erin", 10), Some(true));
    assert_eq!(knows("erin", 1), Some(false));
    assert_eq!(knows("dave", 10), Some(false));
}

#[test]
fn an_empty_tree_differs_from_none() {
    let scratch = Scratch::new();
    scratch.write("file", "text");
    let old = scratch.commit();
    let empty = scratch.git_with(&["mktree"], b"");
    let blob = scratch.git(&["rev-parse", "HEAD:file"]);
    let listing = format!("040000 tree {empty}\tempty\n100644 blob {blob}\tfile\n");
    let tree = scratch.git_with(&["mktree"], listing.as_bytes());
    let new = scratch.git(&["commit-tree", &tree, "-p", &old, "-m", "an empty directory"]);
    let repository = scratch.open();
    let [old, new] = [&old, &new].map(|id| repository.revision(id).unwrap());
    assert_eq!(old.changed(&new).unwrap(), [path("empty")].into());
    assert_eq!(new.changed(&old).unwrap(), [path("empty")].into());
    assert!(new.changed(&new).unwrap().is_empty());
}
