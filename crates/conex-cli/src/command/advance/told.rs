//! The result of advancing, for people and programs.

use std::io::Write;

use conex_core::tools::advance::{Advanced, Unit, Waiting};
use conex_repo::git::CommitId;
use serde::Serialize;

use crate::output::{BOLD, GREEN, RESET, line, plain};
use crate::view::ProblemView;

/// The result in its JSON form. Fields may be added, never removed or changed.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    /// The branch.
    branch: String,
    /// The commit of the main line.
    main: String,
    /// The commit of the branch before.
    before: Option<String>,
    /// The commit of the branch now, if it moved.
    pub(super) after: Option<String>,
    /// Whether there is anything to advance to.
    advances: bool,
    /// Whether the main line no longer contains the commit to which the branch was last advanced.
    pub(super) rewritten: bool,
    /// The number of files that change.
    files: usize,
    taken: Vec<Taken>,
    waiting: Vec<Waits>,
}

#[derive(Debug, Serialize)]
struct Taken {
    kind: &'static str,
    name: String,
}

#[derive(Debug, Serialize)]
struct Waits {
    kind: &'static str,
    name: String,
    problems: Vec<ProblemView>,
    /// Pages that mention it and are waiting themselves.
    pages: Vec<String>,
}

/// The most names of one kind to show on a line.
const SHOWN: usize = 12;

impl Told {
    pub(super) fn new(branch: &str, main: CommitId, before: Option<CommitId>) -> Self {
        Self {
            branch: branch.into(),
            main: main.to_string(),
            before: before.map(|commit| commit.to_string()),
            after: None,
            advances: false,
            rewritten: false,
            files: 0,
            taken: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Records that the branch begins with all of the main line.
    pub(super) fn begun(&mut self) {
        self.advances = true;
    }

    pub(super) fn advanced(&mut self, advanced: &Advanced) {
        self.advances = !advanced.files.is_empty();
        self.files = advanced.files.len();
        self.taken = advanced
            .taken
            .iter()
            .map(|unit| {
                let (kind, name) = named(unit);
                Taken { kind, name }
            })
            .collect();
        self.waiting = advanced.waiting.iter().map(Waits::new).collect();
    }

    pub(super) fn print(&self, out: &mut impl Write) {
        let branch = plain(&self.branch);
        let short = |commit: &str| commit.chars().take(12).collect::<String>();
        let main = short(&self.main);
        match (&self.before, &self.after) {
            (None, Some(after)) => line(
                out,
                format_args!(
                    "{GREEN}{branch} begins{RESET} with all of {main}, as {}",
                    short(after)
                ),
            ),
            (None, None) => line(out, format_args!("{branch} would begin with all of {main}")),
            (Some(_), _) if !self.advances => {
                line(
                    out,
                    format_args!("{branch} has all of {main} that is approved"),
                );
            }
            (Some(before), Some(after)) => line(
                out,
                format_args!(
                    "{GREEN}{branch} advances{RESET} from {} to {}: {} files of {main}",
                    short(before),
                    short(after),
                    self.files
                ),
            ),
            (Some(before), None) => line(
                out,
                format_args!(
                    "{branch} would advance from {}: {} files of {main}",
                    short(before),
                    self.files
                ),
            ),
        }
        if self.rewritten {
            line(
                out,
                format_args!(
                    "note: the main line was rewritten: it no longer has the commit that {branch} was advanced to last"
                ),
            );
        }
        for kind in [
            "package",
            "author",
            "team",
            "root",
            "repository",
            "file",
            "page",
        ] {
            let names: Vec<String> = self
                .taken
                .iter()
                .filter(|taken| taken.kind == kind)
                .map(|taken| plain(&taken.name))
                .collect();
            match (kind, names.len()) {
                (_, 0) => {}
                ("page" | "file" | "root" | "repository", count) => {
                    line(out, format_args!("  {kind}: {count}"));
                }
                (_, count) => {
                    let shown = names
                        .iter()
                        .take(SHOWN)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", ");
                    let more = match count.saturating_sub(SHOWN) {
                        0 => String::new(),
                        more => format!(" and {more} more"),
                    };
                    line(out, format_args!("  {kind}: {shown}{more}"));
                }
            }
        }
        if self.waiting.is_empty() {
            return;
        }
        line(
            out,
            format_args!("{BOLD}Waiting: {}{RESET}", self.waiting.len()),
        );
        for waits in &self.waiting {
            waits.print(out);
        }
    }
}

impl Waits {
    fn new(waiting: &Waiting) -> Self {
        let (kind, name) = named(&waiting.unit);
        Self {
            kind,
            name,
            problems: waiting.problems.iter().map(ProblemView::new).collect(),
            pages: waiting.pages.iter().map(ToString::to_string).collect(),
        }
    }

    fn print(&self, out: &mut impl Write) {
        line(out, format_args!("{} {}", self.kind, plain(&self.name)));
        for problem in &self.problems {
            problem.print_below(out);
        }
        for page in &self.pages {
            line(
                out,
                format_args!("  see {}, which waits itself", plain(page)),
            );
        }
    }
}

fn named(unit: &Unit) -> (&'static str, String) {
    match unit {
        Unit::Root => ("root", "conex/root".into()),
        Unit::Author(id) => ("author", id.to_string()),
        Unit::Team(id) => ("team", id.to_string()),
        Unit::Package(name) => ("package", name.to_string()),
        Unit::Repository => ("repository", ".".into()),
        Unit::Page(path) => ("page", path.to_string()),
        Unit::Path(path) => ("file", path.to_string()),
        Unit::Step => ("step", "verification of all of it".into()),
    }
}
