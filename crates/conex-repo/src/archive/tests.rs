use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use conex_core::model::crypto::Digests as _;
use conex_core::tree::store::MemoryStore;
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
    // The system's tar agrees.
    let directory = unpacked_by_tar(&archive);
    let tree = directory.path().join("tree");
    assert!(same(&DirectoryStore::open(&tree).unwrap(), &expected));
    let modified = std::fs::metadata(tree.join("repo"))
        .unwrap()
        .modified()
        .unwrap();
    let age = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(age.as_secs(), MTIME);
    // Another kind of store, written at another time, gives the same bytes.
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

/// Appends a member with a name that the library would refuse to write.
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
            matches!(error, ArchiveError::Special(_) | ArchiveError::HardLink(_)),
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
    let read = |bytes: &[u8]| ArchiveStore::read(bytes).map(|_| ());
    assert_eq!(
        refused(&[one.as_slice(), &other].concat()),
        ArchiveError::Trailing
    );
    // The second gzip member may continue the archive or be another one.
    for (first, second) in [
        (&one[..], &other[..]),
        one.split_at(1024),
        one.split_at(700),
    ] {
        let members = [gzip(first), gzip(second)].concat();
        assert_eq!(read(&members), Err(ArchiveError::SecondMember));
    }
    let whole = gzip(&one);
    let behind = |rest: &[u8]| read(&[whole.as_slice(), rest].concat());
    assert_eq!(behind(b"garbage"), Err(ArchiveError::Behind));
    assert_eq!(behind(b"\0\0garbage"), Err(ArchiveError::Behind));
    assert_eq!(
        behind(&[vec![0; 100_000], vec![1]].concat()),
        Err(ArchiveError::Behind)
    );
    // Zeros are padding, after the archive and after the compressed data.
    assert_eq!(behind(&vec![0; 100_000]), Ok(()));
    let padded = [one.as_slice(), &[0; 10_240]].concat();
    assert_eq!(read(&gzip(&padded)), Ok(()));
    let odd = [padded.as_slice(), b"x"].concat();
    assert_eq!(refused(&odd), ArchiveError::Trailing);
}

#[test]
fn an_archive_has_an_end() {
    let one = tarred(&[("a", EntryType::Regular)]);
    assert_eq!(one.len(), 2048);
    for end in 0..one.len() {
        let expected = match end {
            0 | 1024 | 1536 => ArchiveError::NoEnd,
            _ => ArchiveError::CutOff,
        };
        assert_eq!(refused(&one[..end]), expected, "{end}");
    }
    // opam 2.6 reads on after a single block of zeros, tar does not.
    let hidden = [&one[..1536], &one[..]].concat();
    assert_eq!(refused(&hidden), ArchiveError::LoneZeros);
    assert!(ArchiveStore::read(gzip(&one).as_slice()).is_ok());
}

#[test]
fn the_compressed_layer() {
    let one = tarred(&[("a", EntryType::Regular)]);
    let whole = gzip(&one);
    let read = |bytes: &[u8]| ArchiveStore::read(bytes).map(|_| ());
    for end in 0..whole.len() {
        let error = read(&whole[..end]).unwrap_err();
        assert!(
            matches!(error, ArchiveError::CutOff | ArchiveError::Gzip(_)),
            "{end} {error:?}"
        );
    }
    let with = |flags: u8, extra: &[u8]| {
        let mut bytes = whole.clone();
        bytes[3] = flags;
        bytes.splice(10..10, extra.iter().copied());
        read(&bytes)
    };
    // Every program skips a name and a comment, whether they are text or not.
    assert_eq!(with(0, b""), Ok(()));
    assert_eq!(with(0b0000_1001, b"index.tar\0"), Ok(()));
    assert_eq!(with(0b0001_1000, b"name\0comment\0"), Ok(()));
    // An extra field and a header checksum are valid, but opam 2.6 cannot read them.
    assert!(matches!(
        with(0b0000_0100, b"\x02\0ab"),
        Err(ArchiveError::Gzip(_))
    ));
    let mut head = whole[..10].to_vec();
    head[3] = 0b0000_0010;
    let sum = zlib_rs::crc32::crc32(0, &head).to_le_bytes();
    assert!(matches!(
        with(0b0000_0010, &sum[..2]),
        Err(ArchiveError::Gzip(_))
    ));
    assert!(matches!(with(0b0010_0000, b""), Err(ArchiveError::Gzip(_))));
    assert!(matches!(
        with(0b0000_1000, &[b'x'; 10_000]),
        Err(ArchiveError::Gzip(_))
    ));
    // The trailer is checked here. opam 2.6 does not reach it where zeros follow.
    for at in 1..=8 {
        let mut bytes = whole.clone();
        let place = bytes.len() - at;
        bytes[place] ^= 1;
        assert!(matches!(read(&bytes), Err(ArchiveError::Gzip(_))), "{at}");
    }
    assert!(matches!(read(&one), Err(ArchiveError::Gzip(_))));
    assert!(matches!(read(b""), Err(ArchiveError::Gzip(_))));
}

/// Builds a header from its fields and computes only the checksum.
fn header(name: &[u8], kind: u8, size: u64, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    for field in [100, 108, 116] {
        block[field..field + 8].copy_from_slice(b"0000644\0");
    }
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"07000000000\0");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    change(&mut block);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn with_data(mut header: Vec<u8>, data: &[u8]) -> Vec<u8> {
    header.extend_from_slice(data);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

fn file(name: &[u8], data: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    with_data(header(name, b'0', data.len() as u64, change), data)
}

/// Builds an extension member, which describes the next member.
fn before(kind: u8, name: &[u8], data: &[u8]) -> Vec<u8> {
    with_data(header(name, kind, data.len() as u64, |_| ()), data)
}

fn long(data: &[u8]) -> Vec<u8> {
    before(b'L', b"././@LongLink", data)
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let digits = if rest + 2 > 99 { 3 } else { 2 };
        data.extend_from_slice(format!("{} {key}={value}\n", rest + digits).as_bytes());
    }
    before(b'x', b"pax", &data)
}

/// Returns the paths in an archive of some members.
fn paths(members: &[Vec<u8>]) -> Result<Vec<String>, ArchiveError> {
    let tar = [members.concat(), vec![0; 1024]].concat();
    let store = ArchiveStore::read(gzip(&tar).as_slice())?;
    Ok(store.files().map(|(path, _)| path.to_owned()).collect())
}

fn plain(name: &str) -> Vec<u8> {
    file(name.as_bytes(), b"x", |_| ())
}

fn at(field: usize, bytes: &'static [u8]) -> impl Fn(&mut [u8]) {
    move |block| block[field..field + bytes.len()].copy_from_slice(bytes)
}

/// opam 2.1.2, 2.3.0, 2.5.2 and 2.6.1 agree on each of these archives.
#[test]
fn what_all_programs_read_alike() {
    let is = |expected: &[&str], members: &[Vec<u8>]| {
        assert_eq!(paths(members).unwrap(), expected);
    };
    is(&["a"], &[file(b"a", b"x", |_| ())]);
    is(&["p/q/a"], &[file(b"a", b"x", at(345, b"p/q"))]);
    is(&["a"], &[file(b"a", b"x", at(257, &[0; 8]))]);
    is(&["a"], &[file(b"a", b"x", at(257, b"ustar  \0"))]);
    is(&["a"], &[with_data(header(b"a", 0, 1, |_| ()), b"x")]);
    is(&["a"], &[file(b"a", b"x", at(124, b"          1 "))]);
    is(&["b"], &[pax(&[("path", "b")]), plain("a")]);
    is(
        &["a"],
        &[
            pax(&[("mtime", "1700000000.123456789"), ("uid", "3000000")]),
            plain("a"),
        ],
    );
    is(&["a"], &[pax(&[("mtime", "-17.5")]), plain("a")]);
    is(
        &["a"],
        &[
            pax(&[("size", "1")]),
            file(b"a", b"x", at(124, b"00000000000\0")),
        ],
    );
    is(&["b"], &[long(b"b\0"), plain("a")]);
    is(
        &["a"],
        &[
            before(b'g', b"pax_global_header", b"12 comment=\n"),
            plain("a"),
        ],
    );
    is(
        &["a", "b"],
        &[plain("./a"), header(b"./", b'5', 0, |_| ()), plain("b")],
    );
    is(&[], &[]);
}

/// opam 2.6.1 read each of these archives differently from an earlier version, or some versions refused it.
#[test]
fn what_programs_read_differently() {
    let header_is_refused = |what: &str, members: &[Vec<u8>]| {
        let error = paths(members).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Header { .. }),
            "{what}: {error:?}"
        );
    };
    header_is_refused(
        "prefix in GNU",
        &[file(b"a", b"x", |block| {
            block[257..265].copy_from_slice(b"ustar  \0");
            block[345..348].copy_from_slice(b"p/q");
        })],
    );
    header_is_refused("odd magic", &[file(b"a", b"x", at(257, b"ustarXYZ"))]);
    header_is_refused(
        "base 256",
        &[file(b"a", b"x", at(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x01"))],
    );
    header_is_refused(
        "owner in base 256",
        &[file(b"a", b"x", at(108, b"\x80\0\0\0\0\x2d\xc6\xc0"))],
    );
    header_is_refused("underscore", &[file(b"a", b"x", at(124, b"000000_0001\0"))]);
    header_is_refused("no number", &[file(b"a", b"x", at(100, b"rw-r--r-"))]);
    header_is_refused("no size", &[file(b"a", b"", at(124, &[0; 12]))]);
    header_is_refused("no name", &[file(b"", b"x", at(345, b"p"))]);
    header_is_refused(
        "twice in an extension",
        &[pax(&[("path", "b"), ("path", "c")]), plain("a")],
    );
    header_is_refused("not octal", &[pax(&[("size", "0x1")]), plain("a")]);
    header_is_refused("no path", &[pax(&[("path", "")]), plain("a")]);
    header_is_refused("a zero in it", &[pax(&[("path", "b\0c")]), plain("a")]);
    header_is_refused(
        "length",
        &[before(b'x', b"pax", b"99 path=b\n"), plain("a")],
    );
    header_is_refused(
        "endless",
        &[before(b'x', b"pax", &vec![b'1'; 70_000]), plain("a")],
    );
    header_is_refused(
        "character set",
        &[pax(&[("hdrcharset", "BINARY")]), plain("a")],
    );
    header_is_refused(
        "two extensions",
        &[pax(&[("mtime", "1")]), pax(&[("mtime", "1")]), plain("a")],
    );
    header_is_refused("both", &[long(b"b\0"), pax(&[("path", "c")]), plain("a")]);
    header_is_refused(
        "global between",
        &[
            pax(&[("path", "b")]),
            before(b'g', b"g", b"12 comment=\n"),
            plain("a"),
        ],
    );
    header_is_refused("at the end", &[plain("a"), pax(&[("path", "b")])]);
    header_is_refused("long without zero", &[long(b"b"), plain("a")]);
    header_is_refused("long with more", &[long(b"b\0c\0"), plain("a")]);
    header_is_refused(
        "global path",
        &[before(b'g', b"g", b"10 path=b\n"), plain("a")],
    );
    let mut wrong = plain("a");
    wrong[150] ^= 1;
    header_is_refused("checksum", &[plain("b"), wrong]);
    let position = paths(&[plain("b"), header(b"", b'0', 0, |_| ())]).unwrap_err();
    assert!(
        matches!(position, ArchiveError::Header { at: 1024, .. }),
        "{position}"
    );

    // Every opam reads a directory's data as further members. conex once ignored it.
    let inside = plain("hidden");
    let size = inside.len() as u64;
    for name in [&b"d/"[..], b"./"] {
        let members = [with_data(header(name, b'5', size, |_| ()), &inside)];
        let error = paths(&members).unwrap_err();
        assert!(matches!(error, ArchiveError::DirectoryData(_)), "{error:?}");
    }
    // opam 2.6 treats unknown type letters as files.
    for kind in *b"123467SVZK" {
        let error = paths(&[header(b"a", kind, 0, |_| ())]).unwrap_err();
        let expected = if kind == b'1' {
            ArchiveError::HardLink(path("a"))
        } else {
            ArchiveError::Special(path("a"))
        };
        assert_eq!(error, expected, "{kind}");
    }
    let other_name = paths(&[before(b'L', b"other", b"b\0"), plain("a")]);
    assert_eq!(other_name, Err(ArchiveError::Special(path("other"))));
    assert!(matches!(
        paths(&[plain("/a")]),
        Err(ArchiveError::Name { .. })
    ));
    assert!(matches!(
        paths(&[plain("a\u{e9}")]),
        Err(ArchiveError::Name { .. })
    ));
}

#[test]
fn marks_are_made_while_it_is_unpacked() {
    let archive = packed(&sample());
    let mark = |bytes: &[u8]| *conex_crypto::StandardCrypto.sha256(bytes).as_bytes();
    let plain = ArchiveStore::read(archive.as_slice()).unwrap();
    assert!(plain.marks().is_none());
    let marked = ArchiveStore::read_marked(archive.as_slice(), &mark).unwrap();
    let made: Vec<_> = marked.marks().unwrap().collect();
    let expected: Vec<_> = plain
        .files()
        .map(|(path, bytes)| (path, mark(bytes)))
        .collect();
    assert_eq!(made, expected);
    assert_eq!(made.len(), 6);
    // Directories and other members in between make no difference.
    let directory = unpacked_by_tar(&archive);
    let status = Command::new("tar")
        .args(["czf", "../y.tar.gz", "--format=gnu", "."])
        .current_dir(directory.path().join("tree"))
        .status();
    assert!(status.unwrap().success());
    let other = File::open(directory.path().join("y.tar.gz")).unwrap();
    let other = ArchiveStore::read_marked(other, &mark).unwrap();
    assert_eq!(other.marks().unwrap().collect::<Vec<_>>(), made);
}

#[test]
fn a_file_larger_than_a_block() {
    let large = vec![b'x'; 3 << 20];
    let mut store = memory(&[("packages/b", "b"), ("repo", "r"), ("conex/x", "c")]);
    store.insert("packages/a", large);
    store.insert("packages/c", vec![b'y'; (1 << 20) - 1]);
    store.insert("packages/d", "d");
    assert!(same(
        &ArchiveStore::read(packed(&store).as_slice()).unwrap(),
        &store
    ));
}

#[test]
fn reading_is_as_limited_as_asked() {
    let store = ArchiveStore::read(packed(&sample()).as_slice()).unwrap();
    let read = |place: &str, limit| {
        let mut bytes = b"before".to_vec();
        store.read(&path(place), limit, &mut bytes).map(|()| bytes)
    };
    assert_eq!(read("conex/root/1.toml", 4), Ok(b"root".to_vec()));
    assert_eq!(read("conex/root/1.toml", 3), Err(StoreError::TooLarge(3)));
    assert_eq!(read("conex/root", 9), Err(StoreError::Special("directory")));
    assert_eq!(read("conex/rooty", 9), Err(StoreError::Missing));
    assert_eq!(
        store.list(&path("conex/root/1.toml")),
        Err(StoreError::Special("file"))
    );
    assert_eq!(store.list(&path("conex/roo")), Err(StoreError::Missing));
    let names = |entries: Vec<Entry>| -> Vec<String> {
        entries.into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(
        names(store.list(&Path::top()).unwrap()),
        ["conex", "packages", "repo"]
    );
    let below = names(store.list(&path("packages")).unwrap());
    assert_eq!(below, ["foo".to_owned(), "foo-bar".into(), "p".repeat(100)]);
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
}

#[test]
fn endless_data() {
    // A bomb: a gigabyte of zeros, packed to a thousandth.
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
    // Or endless zeros after the end.
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
    // The size is only claimed.
    header.set_size(1 << 32);
    header.set_cksum();
    assert_eq!(
        refused(header.as_bytes()),
        ArchiveError::FileTooLarge(path("bomb7"))
    );
}

proptest! {
    /// Any bytes give a result.
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
            // Restore a valid checksum.
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

/// Generates trees as they could occur anywhere, including names of all lengths.
fn trees() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let component = prop_oneof![
        4 => "[a-c]{1,2}",
        1 => "[a-c][ab-]{90,110}",
        1 => "[a-c.-][a-c]",
    ];
    let path = prop::collection::vec(component, 1..5).prop_map(|parts| parts.join("/"));
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 500..1100),
    ];
    prop::collection::btree_map(path, bytes, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), ..ProptestConfig::default() })]

    /// An archive that tar and gzip make of a tree, in any of their formats, is read as that tree or
    /// refused with a reason.
    #[test]
    fn real_archives_are_trees(tree in trees(), format in 0..5_usize) {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().join("tree");
        let mut expected = MemoryStore::new();
        for (path, bytes) in &tree {
            let place = top.join(path);
            let below = tree.keys().any(|other| other.starts_with(&format!("{path}/")));
            if below || Path::parse(path).is_err() {
                continue;
            }
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, bytes).unwrap();
            expected.insert(path.as_str(), bytes.as_slice());
        }
        prop_assume!(top.is_dir());
        let format = ["gnu", "pax", "ustar", "v7", "oldgnu"][format];
        let output = Command::new("tar")
            .arg(format!("--format={format}"))
            .args(["-czf", "../x.tar.gz", "."])
            .current_dir(&top)
            .output()
            .unwrap();
        // Some names do not fit into some formats. tar then reports that, and the archive lacks them.
        prop_assume!(output.status.success());
        let store = ArchiveStore::open(&directory.path().join("x.tar.gz")).unwrap();
        prop_assert!(same(&store, &expected));
    }
}

/// `CONEX_CASES=20` runs twenty times as many cases.
fn cases(least: u32) -> u32 {
    let times = std::env::var("CONEX_CASES").ok();
    least * times.map_or(1, |times| times.parse().expect("CONEX_CASES is a number"))
}
