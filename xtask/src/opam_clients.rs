//! `cargo xtask opam-clients`: has every available opam, with conex as its hook, follow a repository in
//! every way and through every kind of update. Afterwards it has to have what was verified.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use conex_tests::opam::{Over, Programs, User, community};
use conex_tests::{Community, opam_file};
use rayon::prelude::*;

use crate::scene;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A directory with programs `opam-VERSION`, as made by ci/get-opam.sh
    #[arg(
        long,
        value_name = "DIR",
        env = "CONEX_OPAMS",
        default_value = "target/opams"
    )]
    opams: PathBuf,

    /// The program to test [default: built now]
    #[arg(long, value_name = "PATH")]
    conex: Option<PathBuf>,

    /// Succeed if there is no opam
    #[arg(long)]
    if_any: bool,
}

/// An event, and how it has to end.
#[derive(Debug, Clone, Copy)]
enum Case {
    /// Adding fails, because the anchor is another root.
    AddsNoOther,
    /// The repository is added.
    Adds,
    /// An approved update is accepted.
    Honest(fn(&mut Community)),
    /// Like [`Self::Honest`], but a file is removed while others remain beside it.
    Moved(fn(&mut Community)),
    /// Like [`Self::Honest`], but git shows it as a file that is renamed and edited at once.
    EditedRename(fn(&mut Community)),
    /// Like [`Self::Honest`], but with an empty file, which neither `diff -N` nor an opam that uses it
    /// distinguishes from an absent one.
    EmptyFile(fn(&mut Community)),
    /// An unapproved update is refused, with this code.
    Refused(fn(&mut Community), &'static str),
    /// The state before the last one is refused.
    Rollback,
    /// An added release is installed.
    Installs(&'static str),
}

/// The number of releases that are added at once, and removed at once.
const MANY: u32 = 60;

const CASES: [(&str, Case); 24] = [
    ("add, another anchor", Case::AddsNoOther),
    ("add", Case::Adds),
    ("release", Case::Honest(release)),
    ("bound", Case::Honest(bound)),
    ("release removed", Case::Honest(removal)),
    ("60 releases", Case::Honest(many)),
    ("60 releases archived", Case::Honest(archived)),
    ("pages compacted", Case::Honest(compacted)),
    ("empty file", Case::EmptyFile(empty)),
    ("empty file removed", Case::EmptyFile(emptied)),
    ("other scripts", Case::Honest(scripts)),
    ("other scripts changed", Case::Honest(scripts_changed)),
    ("lines appended", Case::Honest(appended)),
    ("last line without end", Case::Honest(endless)),
    ("file renamed", Case::Moved(renamed)),
    (
        "file renamed, edited",
        Case::EditedRename(renamed_and_edited),
    ),
    ("file in CRLF", Case::Honest(crlf)),
    ("file in CRLF changed", Case::Honest(crlf_changed)),
    ("tampered", Case::Refused(tampered, "content-differs")),
    ("rollback", Case::Rollback),
    ("signature stripped", Case::Refused(stripped, "vanished")),
    (
        "all signatures stripped",
        Case::Refused(bare, "root-missing"),
    ),
    ("release, after that", Case::Honest(next_release)),
    ("install", Case::Installs("tiny")),
];

fn write(community: &mut Community, file: &str, bytes: &str) {
    community.write(&format!("packages/foo/foo.1.0/files/{file}"), bytes);
    community.approve("dave", "foo");
}

fn text() -> String {
    let lines: Vec<String> = (1..=30).map(|n| format!("line {n} of a file")).collect();
    lines.join("\n")
}

fn release(community: &mut Community) {
    community.release("foo", "3.0", &opam_file("5.0", "dune"));
    community.approve("dave", "foo");
}

fn next_release(community: &mut Community) {
    community.release("foo", "4.0", &opam_file("5.1", "dune"));
    community.approve("dave", "foo");
}

fn bound(community: &mut Community) {
    community.release("foo", "1.0", &opam_file("4.14", "dune"));
    community.approve("dave", "foo");
}

fn removal(community: &mut Community) {
    community.remove("packages/foo/foo.2.0");
    community.approve("dave", "foo");
}

fn many(community: &mut Community) {
    for number in 0..=MANY {
        let text = opam_file(&format!("4.{number}"), "dune");
        community.release("many", &number.to_string(), &text);
    }
    community.approve("alice", "many");
}

fn archived(community: &mut Community) {
    for number in 0..MANY {
        community.remove(&format!("packages/many/many.{number}"));
    }
    community.approve("alice", "many");
}

fn compacted(community: &mut Community) {
    community.compact("dave");
}

fn empty(community: &mut Community) {
    write(community, "empty", "");
}

fn emptied(community: &mut Community) {
    community.remove("packages/foo/foo.1.0/files/empty");
    // It is restored to an earlier state.
    community.restore("dave", "foo");
}

fn scripts(community: &mut Community) {
    write(community, "text", "# naïve\n# 日本語\n# Ελληνικά\n");
}

fn scripts_changed(community: &mut Community) {
    write(community, "text", "# naïve\n# 漢字 \u{1f42b}\n# Ελληνικά\n");
}

fn appended(community: &mut Community) {
    write(community, "a", &text());
    write(
        community,
        "text",
        "# naïve\n# 漢字 \u{1f42b}\n# Ελληνικά\n# конец\n",
    );
}

fn endless(community: &mut Community) {
    write(
        community,
        "text",
        "# naïve\n# 漢字 \u{1f42b}\n# Ελληνικά\n# конец",
    );
}

fn renamed(community: &mut Community) {
    community.remove("packages/foo/foo.1.0/files/a");
    write(community, "b", &text());
}

fn renamed_and_edited(community: &mut Community) {
    community.remove("packages/foo/foo.1.0/files/b");
    write(community, "c", &text().replace("line 7 ", "line seven "));
}

fn crlf(community: &mut Community) {
    write(community, "crlf", "one\r\ntwo\r\nthree\r\nfour\r\n");
}

fn crlf_changed(community: &mut Community) {
    write(community, "crlf", "one\r\nzwei\r\nthree\nfour\r\n");
}

fn tampered(community: &mut Community) {
    community.release("foo", "3.0", &opam_file("5.0", "curl"));
}

fn stripped(community: &mut Community) {
    community.remove("conex/packages/foo.toml");
    for page in community.pages("dave") {
        community.remove(&page);
    }
}

fn bare(community: &mut Community) {
    community.remove("conex");
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let conex = match &arguments.conex {
        Some(conex) => fs::canonicalize(conex)?,
        None => scene::build()?,
    };
    let mut all: Vec<Programs> = Programs::new(Path::new("opam"), &conex)
        .into_iter()
        .collect();
    if arguments.opams.is_dir() {
        for program in Programs::below(&env::current_dir()?.join(&arguments.opams), &conex)? {
            if all.iter().all(|known| known.version != program.version) {
                all.push(program);
            }
        }
    }
    if all.is_empty() {
        let none = format!(
            "no opam can be had in {}; ci/get-opam.sh fetches some",
            arguments.opams.display()
        );
        ensure!(arguments.if_any, "{none}");
        println!("{none}");
        return Ok(());
    }
    let states = states();
    let stories: Vec<(&Programs, Over)> = all
        .iter()
        .flat_map(|programs| Over::ALL.map(|over| (programs, over)))
        .collect();
    let told: Vec<Vec<Cell>> = stories
        .par_iter()
        .map(|(programs, over)| story(programs, *over, &states))
        .collect();
    let mut wrong = Vec::new();
    for (programs, told) in all.iter().zip(told.chunks(Over::ALL.len())) {
        table(programs, told, &mut wrong);
    }
    for (number, what) in wrong.iter().enumerate() {
        println!("({}) {what}\n", number + 1);
    }
    let cells: usize = told.iter().map(Vec::len).sum();
    println!("{cells} cases, {} not as expected", wrong.len());
    ensure!(wrong.is_empty(), "not every case ended as expected");
    Ok(())
}

/// Returns the expected state after each case.
fn states() -> Vec<Community> {
    let mut now = community();
    let after = CASES.iter().map(|(_, case)| {
        if let Case::Honest(change)
        | Case::Moved(change)
        | Case::EditedRename(change)
        | Case::EmptyFile(change) = case
        {
            change(&mut now);
            now.verify().accepted();
        }
        now.clone()
    });
    after.collect()
}

/// The outcome of a case.
#[derive(Debug)]
enum Cell {
    AsExpected,
    /// As expected, for a reason that is not in the name of the case.
    Refused,
    Otherwise(String),
}

fn table(programs: &Programs, told: &[Vec<Cell>], wrong: &mut Vec<String>) {
    print!("{:24}", format!("opam {}", programs.version));
    for over in Over::ALL {
        print!("{:12}", over.name());
    }
    println!();
    for (at, (name, _)) in CASES.iter().enumerate() {
        print!("{name:24}");
        for (cells, over) in told.iter().zip(Over::ALL) {
            let shown = match cells.get(at) {
                Some(Cell::AsExpected) => "ok".to_owned(),
                Some(Cell::Refused) => "ok, refused".to_owned(),
                Some(Cell::Otherwise(what)) => {
                    let version = &programs.version;
                    wrong.push(format!("opam {version}, {}, {name}: {what}", over.name()));
                    format!("WRONG ({})", wrong.len())
                }
                None => {
                    wrong.push("the story ended too early".to_owned());
                    format!("WRONG ({})", wrong.len())
                }
            };
            print!("{shown:12}");
        }
        println!();
    }
    println!();
}

fn story(programs: &Programs, over: Over, states: &[Community]) -> Vec<Cell> {
    let Some(first) = states.first() else {
        return Vec::new();
    };
    let user = match User::new(over, programs, first) {
        Ok(user) => user,
        Err(error) => return vec![Cell::Otherwise(format!("{error:#}"))],
    };
    let mut story = Story {
        user,
        over,
        is_old: !programs.is_at_least(2, 4),
        is_lossy: programs.is_at_least(2, 6) && matches!(over, Over::Packed | Over::Http),
        before: first.clone(),
        now: first.clone(),
    };
    CASES
        .iter()
        .zip(states)
        .map(|((_, case), after)| match story.tell(*case, after) {
            Ok(cell) => cell,
            Err(error) => {
                // The next case has to begin where this one should have ended.
                let and = match story.user.starts_over(&story.now) {
                    Ok(()) => String::new(),
                    Err(error) => format!("\nfetched in full: {error:#}"),
                };
                Cell::Otherwise(format!("{}{and}", format!("{error:#}").trim()))
            }
        })
        .collect()
}

struct Story {
    user: User,
    over: Over,
    /// Whether programs of the system make and apply its patches. Later versions use a library of their
    /// own, which knows empty files, and reads files that are renamed and edited at once differently from
    /// git.
    is_old: bool,
    /// Whether it keeps an archive, from which it loses files beside a removed one.
    is_lossy: bool,
    /// The state before the last one.
    before: Community,
    /// The state that the user has, or should have.
    now: Community,
}

impl Story {
    fn tell(&mut self, case: Case, after: &Community) -> Result<Cell> {
        match case {
            Case::AddsNoOther => self.user.adds_no_other()?,
            Case::Adds => self.user.adds(&self.now)?,
            Case::Honest(_) | Case::Moved(_) | Case::EditedRename(_) | Case::EmptyFile(_) => {
                self.before = core::mem::replace(&mut self.now, after.clone());
                return self.follows(case);
            }
            Case::Refused(change, because) => {
                let mut offered = self.now.clone();
                change(&mut offered);
                self.refuses(&offered, because)?;
            }
            Case::Rollback => self.refuses(&self.before, "rollback")?,
            Case::Installs(package) => {
                self.user.starts_over(&self.now)?;
                self.user.installs(package)?;
            }
        }
        Ok(Cell::AsExpected)
    }

    /// Whether git's patch for a change is one that programs read differently.
    fn is_edited_rename(&self, from: &Community, to: &Community) -> Result<bool> {
        Ok(self.over == Over::Git && self.user.has_edited_renames(from, to)?)
    }

    fn follows(&self, case: Case) -> Result<Cell> {
        if matches!(case, Case::EditedRename(_)) {
            ensure!(
                self.user.has_edited_renames(&self.before, &self.now)?,
                "git does not see a rename, so this shows nothing"
            );
        }
        if matches!(case, Case::EmptyFile(_)) && self.is_old && !self.over.is_git() {
            return self.must_fetch_in_full("behind");
        }
        if self.is_lossy && matches!(case, Case::Moved(_) | Case::EditedRename(_)) {
            return self.must_fetch_in_full("bad-patch");
        }
        if !self.is_edited_rename(&self.before, &self.now)? {
            self.user.takes(&self.now)?;
            return Ok(Cell::AsExpected);
        }
        if self.is_old && self.user.takes(&self.now).is_ok() {
            return Ok(Cell::AsExpected);
        }
        self.must_fetch_in_full("bad-patch")
    }

    /// Checks that this opam, which is not told what changed or could not apply it, is kept from the update
    /// and then fetches everything.
    fn must_fetch_in_full(&self, because: &str) -> Result<Cell> {
        self.user.refuses(&self.now, because, &self.before)?;
        self.user.starts_over(&self.now)?;
        Ok(Cell::Refused)
    }

    fn refuses(&self, offered: &Community, because: &str) -> Result<()> {
        let edited = self.is_edited_rename(&self.now, offered)?;
        let told = self.user.refuses(offered, because, &self.now);
        if edited && told.is_err() {
            return self.user.refuses(offered, "bad-patch", &self.now);
        }
        told
    }
}
