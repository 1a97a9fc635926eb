//! Every limit of format 1, in one place, each with its reason (spec section 12).
//!
//! A limit is checked before anything of that size is allocated. What is over a limit is
//! refused like any other malformed input: the file is named and verification goes on.

/// Longest name of a package, release, person, team or origin, in bytes.
///
/// File systems end at 255 bytes a component and a name has to leave room for `.toml` and for
/// `name.release` as one component; the longest in opam-repository has 54.
pub const NAME: usize = 100;

/// Longest path of a file inside the repository, in bytes: fits every system's own limit.
pub const PATH: usize = 1_024;

/// Longest component of a path, in bytes: what common file systems store.
pub const COMPONENT: usize = 255;

/// Largest data file, in bytes. Repositories hold descriptions and patches, not archives; the
/// largest file opam-repository ever had is below 4 MiB.
pub const DATA_FILE: u64 = 32 << 20;

/// Largest stored statement about a person, team or package, in bytes: keys and accepted pages
/// of one person.
pub const STATEMENT_FILE: u64 = 1 << 20;

/// Largest root, in bytes: some hundred janitors, and the accepted pages of former ones.
pub const ROOT_FILE: u64 = 4 << 20;

/// Largest page or batch, in bytes: 2,048 vouches with the longest names.
pub const PAGE_FILE: u64 = 1 << 20;

/// Largest signature file, in bytes: an RSA-16384 signature with its key, twice over.
pub const SIGNATURE_FILE: u64 = 16 << 10;

/// Most vouches in one page or one batch: an update opens a whole batch to read one entry.
pub const VOUCHES: usize = 2_048;

/// Most batches one page, or the floor of a root, may name: 4,096 batches cover eight million statements.
pub const BATCHES: usize = 4_096;

/// Most pages of one person that count. More void that person only (spec section 6.6).
pub const PAGES: usize = 16_384;

/// Most accepted pages of one former key, and most pages with which tools let a person sign another one:
/// compaction makes one page of many. Far below [`PAGES`], so that nobody is voided by old pages that come back.
pub const ACCEPTED: usize = 4_096;

/// Most keys of one person, current and former together.
pub const KEYS: usize = 64;

/// Most janitors of a root, members of a team, or owners of a package.
pub const MEMBERS: usize = 1_024;

/// Most roots in a chain; a community that changes its root daily reaches it in a decade.
pub const ROOTS: u32 = 4_096;

/// Most entries of one directory: two hundred times what opam-repository has in its largest.
pub const ENTRIES: usize = 1 << 20;

/// Most files of one release.
pub const RELEASE_FILES: usize = 4_096;

/// Deepest directory below a release.
pub const DEPTH: usize = 16;
