use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::{DirectoryStore, changes};

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn memory(files: &[(&str, &str)]) -> MemoryStore {
    let mut store = MemoryStore::new();
    for (path, text) in files {
        store.insert(*path, *text);
    }
    store
}

fn sample() -> MemoryStore {
    let long = format!("packages/{}/{}/opam", "p".repeat(100), "q".repeat(150));
    let mut store = memory(&[
        ("repo", "opam-version: \"2.0\"\n"),
        ("packages/foo/foo.1.0/opam", "\0\r\n"),
        ("packages/foo/foo.1.0/files/a b", ""),
        ("packages/foo-bar/foo-bar.1/opam", "x"),
        ("conex/root/1.toml", "root"),
        ("README.md", "not packed"),
    ]);
    store.insert(long, "long");
    store
}

fn places() -> [Path; 3] {
    ["repo", "packages", "conex"].map(path)
}

fn packed(store: &impl Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(store, &places(), &mut bytes).unwrap();
    bytes
}

fn same(a: &impl Store, b: &impl Store) -> bool {
    changes::changed(a, b).unwrap().is_empty()
}

fn unpacked_by_tar(archive: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("x.tar.gz"), archive).unwrap();
    std::fs::create_dir(directory.path().join("tree")).unwrap();
    let status = Command::new("tar")
        .args(["xzf", "../x.tar.gz"])
        .current_dir(directory.path().join("tree"))
        .status();
    assert!(status.unwrap().success());
    directory
}

#[test]
fn what_is_written_is_what_is_read() {
    let archive = packed(&sample());
    let mut expected = sample();
    expected.remove("README.md");
    assert!(same(
        &ArchiveStore::read(archive.as_slice()).unwrap(),
        &expected
    ));
    // The program everybody has agrees.
    let directory = unpacked_by_tar(&archive);
    let tree = directory.path().join("tree");
    assert!(same(&DirectoryStore::open(&tree).unwrap(), &expected));
    let modified = std::fs::metadata(tree.join("repo"))
        .unwrap()
        .modified()
        .unwrap();
    let age = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(age.as_secs(), MTIME);
    // The same bytes from another kind of store, written at another time.
    std::fs::set_permissions(
        tree.join("repo"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    std::fs::write(tree.join("repo"), "opam-version: \"2.0\"\n").unwrap();
    assert_eq!(packed(&DirectoryStore::open(&tree).unwrap()), archive);
    let missing = write(&memory(&[]), &places(), Vec::new());
    assert!(matches!(
        missing,
        Err(ArchiveError::Store(_, StoreError::Missing))
    ));
}

#[test]
fn archives_of_other_programs_are_read() {
    let mut expected = sample();
    expected.remove("README.md");
    let directory = unpacked_by_tar(&packed(&sample()));
    let tree = directory.path().join("tree");
    for arguments in [
        &["czf", "../y.tar.gz", "."][..],
        &["czf", "../y.tar.gz", "packages", "repo", "conex"],
        &["czf", "../y.tar.gz", "--format=pax", "."],
        &[
            "czf",
            "../y.tar.gz",
            "--format=ustar",
            "repo",
            "packages/foo",
            "packages/foo-bar",
        ],
    ] {
        let status = Command::new("tar")
            .args(arguments)
            .current_dir(&tree)
            .status();
        assert!(status.unwrap().success());
        let store = ArchiveStore::open(&directory.path().join("y.tar.gz")).unwrap();
        if arguments.len() > 4 && arguments[2] == "--format=ustar" {
            assert_eq!(
                store.kind(&path("packages/foo/foo.1.0/opam")),
                Ok(Some(EntryKind::File))
            );
        } else {
            assert!(same(&store, &expected), "{arguments:?}");
        }
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t"])
            .args(arguments)
            .current_dir(&tree)
            .stderr(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success());
        output.stdout
    };
    git(&["init", "-q", "."]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "x"]);
    let archive = git(&["archive", "--format=tar.gz", "HEAD"]);
    assert!(same(
        &ArchiveStore::read(archive.as_slice()).unwrap(),
        &expected
    ));
}

/// A member with a name that the library would not write.
fn raw(builder: &mut tar::Builder<Vec<u8>>, name: &str, kind: EntryType, bytes: &[u8]) {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    if kind.is_symlink() || kind.is_hard_link() {
        header.set_link_name("repo").unwrap();
    }
    header.set_cksum();
    builder.append(&header, bytes).unwrap();
}

fn tarred(members: &[(&str, EntryType)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind) in members {
        let bytes = if kind.is_file() { &b"text"[..] } else { b"" };
        raw(&mut builder, name, *kind, bytes);
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn refused(tar: &[u8]) -> ArchiveError {
    ArchiveStore::read(gzip(tar).as_slice()).unwrap_err()
}

#[test]
fn path_escape() {
    for name in [
        "../x",
        "/etc/x",
        "a/../../x",
        "a/./x",
        "a//x",
        "a\\x",
        "./",
        "C:/x",
        "a/",
        ".",
    ] {
        assert!(
            matches!(
                refused(&tarred(&[(name, EntryType::Regular)])),
                ArchiveError::Name { .. }
            ),
            "{name}"
        );
    }
    for name in ["../", "/", "a/../.."] {
        let error = refused(&tarred(&[(name, EntryType::Directory)]));
        assert!(matches!(error, ArchiveError::Name { .. }), "{name}");
    }
    let honest = tarred(&[("./", EntryType::Directory), ("./a/x", EntryType::Regular)]);
    assert!(ArchiveStore::read(gzip(&honest).as_slice()).is_ok());
}

#[test]
fn special_files() {
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Fifo,
        EntryType::Char,
        EntryType::Block,
        EntryType::Continuous,
        EntryType::GNUSparse,
        EntryType::new(b'V'),
    ] {
        let error = refused(&tarred(&[("repo", EntryType::Regular), ("x", kind)]));
        assert!(
            matches!(error, ArchiveError::Special(_) | ArchiveError::Io(_)),
            "{kind:?} {error}"
        );
    }
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc", place.path().join("repo")).unwrap();
    let store = DirectoryStore::open(place.path()).unwrap();
    assert_eq!(
        write(&store, &[path("repo")], Vec::new()),
        Err(ArchiveError::Special(path("repo")))
    );
}

#[test]
fn each_path_is_there_once() {
    let file = EntryType::Regular;
    let directory = EntryType::Directory;
    assert_eq!(
        refused(&tarred(&[("a", file), ("./a", file)])),
        ArchiveError::Twice(path("a"))
    );
    for members in [
        &[("a", file), ("a/b", file)][..],
        &[("a/b/c", file), ("a", file)],
        &[("a", file), ("a/", directory)],
    ] {
        assert_eq!(
            refused(&tarred(members)),
            ArchiveError::FileAndDirectory(path("a"))
        );
    }
    let honest = tarred(&[("a/", directory), ("a/b", file), ("a/", directory)]);
    assert!(ArchiveStore::read(gzip(&honest).as_slice()).is_ok());
}

#[test]
fn nothing_is_hidden_behind_the_end() {
    let one = tarred(&[("a", EntryType::Regular)]);
    let other = tarred(&[("b", EntryType::Regular)]);
    assert_eq!(
        refused(&[one.as_slice(), &other].concat()),
        ArchiveError::Trailing
    );
    let members = [gzip(&one), gzip(&other)].concat();
    assert_eq!(
        ArchiveStore::read(members.as_slice()).unwrap_err(),
        ArchiveError::Trailing
    );
    let garbage = [gzip(&one), b"garbage".to_vec()].concat();
    assert!(ArchiveStore::read(garbage.as_slice()).is_err());
    let padded = [one.as_slice(), &[0; 10_240]].concat();
    assert!(ArchiveStore::read(gzip(&padded).as_slice()).is_ok());
    for end in [0, 1, 100, 512, 514] {
        assert!(ArchiveStore::read(gzip(&one[..end]).as_slice()).is_err() || end == 0);
    }
    let whole = gzip(&one);
    assert!(ArchiveStore::read(&whole[..whole.len() - 4]).is_err());
}

#[test]
fn extensions_do_not_change_what_is_read() {
    for (key, is_fine) in [
        ("mtime", true),
        ("GNU.sparse.major", false),
        ("SCHILY.xattr.x", false),
    ] {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([(key, &b"1"[..])]).unwrap();
        raw(&mut builder, "a", EntryType::Regular, b"text");
        let tar = builder.into_inner().unwrap();
        let result = ArchiveStore::read(gzip(&tar).as_slice());
        assert_eq!(result.is_ok(), is_fine, "{key}");
    }
    let mut builder = tar::Builder::new(Vec::new());
    raw(
        &mut builder,
        "x",
        EntryType::XGlobalHeader,
        b"11 path=abc\n",
    );
    raw(&mut builder, "a", EntryType::Regular, b"text");
    let error = refused(&builder.into_inner().unwrap());
    assert_eq!(error, ArchiveError::Extension(Path::top()));
}

#[test]
fn endless_data() {
    // A bomb: a gigabyte of zeros, a thousandth of that packed.
    let mut header = Header::new_ustar();
    header.set_path("bomb").unwrap();
    header.set_size(16 << 20);
    header.set_mode(0o644);
    header.set_cksum();
    let zeros = vec![0; 16 << 20];
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::fast());
    for copy in 0..8 {
        header.set_path(format!("bomb{copy}")).unwrap();
        header.set_cksum();
        packed.write_all(header.as_bytes()).unwrap();
        packed.write_all(&zeros).unwrap();
    }
    let bomb = packed.finish().unwrap();
    assert_eq!(
        ArchiveStore::read(bomb.as_slice()).unwrap_err(),
        ArchiveError::TooLarge
    );
    // Or zeros without end, after the end.
    let one = tarred(&[("a", EntryType::Regular)]);
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::fast());
    packed.write_all(&one).unwrap();
    for _ in 0..8 {
        packed.write_all(&zeros).unwrap();
    }
    let endless = packed.finish().unwrap();
    assert_eq!(
        ArchiveStore::read(endless.as_slice()).unwrap_err(),
        ArchiveError::TooLarge
    );
    // A size that is a mere claim.
    header.set_size(1 << 40);
    header.set_cksum();
    assert_eq!(
        refused(header.as_bytes()),
        ArchiveError::FileTooLarge(path("bomb7"))
    );
}

proptest! {
    /// Whatever the bytes, there is an answer.
    #[test]
    fn no_bytes_are_too_odd(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        edits in prop::collection::vec((any::<usize>(), any::<u8>()), 0..20),
    ) {
        let _ = ArchiveStore::read(bytes.as_slice());
        let _ = ArchiveStore::read(gzip(&bytes).as_slice());
        let mut tar = tarred(&[
            ("a/", EntryType::Directory),
            ("a/b", EntryType::Regular),
            ("x", EntryType::XHeader),
            ("L", EntryType::GNULongName),
            ("c", EntryType::Regular),
        ]);
        for (at, byte) in &edits {
            let at = at % tar.len();
            tar[at] = *byte;
            // With a checksum that fits again.
            let block = at / 512 * 512;
            let header: &mut [u8] = &mut tar[block..block + 512];
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let _ = ArchiveStore::read(gzip(&tar).as_slice());
        let mut archive = packed(&sample());
        for (at, byte) in edits {
            let at = at % archive.len();
            archive[at] = byte;
        }
        let _ = ArchiveStore::read(archive.as_slice());
    }
}
