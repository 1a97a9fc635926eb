//! A report as shown to people and programs: one form for the terminal, `--json` and `conex why`.

use std::io::Write;

use conex_core::tree::problem::{Code, Missing, Problem};
use conex_core::verify::{Mode, Report};
use serde::{Deserialize, Serialize};

use crate::error::CommandError;
use crate::output::{BOLD, DIM, GREEN, RED, RESET, count, escaped, line, plain};

/// A report in its JSON form. Fields may be added, never removed or changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct View {
    /// `accepted`, `refused` or `observed`; `failed` if there was no verdict.
    pub(crate) verdict: String,
    mode: String,
    /// The input of the verification, as it was given.
    pub(crate) directory: String,
    /// The caller's name for it, if that is more informative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    origin: Option<String>,
    root: Option<RootView>,
    counts: CountsView,
    problems: Vec<ProblemView>,
    notes: Vec<ProblemView>,
    unsigned: Vec<String>,
    /// Whether an update was verified.
    #[serde(default)]
    update: bool,
    /// Whether only the parts concerned by an update were read.
    #[serde(default)]
    fast: bool,
    /// Why there is no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct RootView {
    number: u32,
    digest: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct CountsView {
    packages: usize,
    unsigned: usize,
    releases: usize,
    approved: usize,
    pages: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProblemView {
    pub(crate) code: String,
    pub(crate) place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<String>,
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<NeedsView>,
    pub(crate) advice: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NeedsView {
    pub(crate) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owners: Option<WayView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    janitors: Option<WayView>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WayView {
    more: usize,
    of: Vec<String>,
}

impl View {
    pub(crate) fn new(report: &Report, directory: &str, update: bool) -> Self {
        let head = report.head.as_ref();
        Self {
            verdict: match (report.mode, report.verified()) {
                (Mode::Observe, _) => "observed",
                (_, Some(_)) => "accepted",
                (_, None) => "refused",
            }
            .into(),
            mode: mode(report.mode).into(),
            directory: directory.into(),
            title: None,
            origin: head.map(|head| head.root().origin.to_string()),
            root: head.map(|head| RootView {
                number: head.root().number.as_u32(),
                digest: head.digest().to_string(),
            }),
            counts: CountsView {
                packages: report.counts.packages,
                unsigned: report.counts.unsigned,
                releases: report.counts.releases,
                approved: report.counts.approved,
                pages: report.counts.pages,
            },
            problems: report.problems.iter().map(ProblemView::new).collect(),
            notes: report.notes.iter().map(ProblemView::new).collect(),
            unsigned: report.unsigned.iter().map(ToString::to_string).collect(),
            update,
            fast: !report.whole,
            error: None,
        }
    }

    /// Returns the view of an input that was refused before anything could be verified.
    pub(crate) fn refused(problem: &Problem, directory: &str, mode: Mode) -> Self {
        let verdict = match mode {
            Mode::Observe => "observed",
            Mode::Warn | Mode::Enforce => "refused",
        };
        let mut view = Self::nothing(verdict, directory, mode);
        view.problems.push(ProblemView::new(problem));
        view
    }

    /// Returns the view of a verification without a verdict.
    pub(crate) fn failed(error: &CommandError, directory: &str, mode: Mode) -> Self {
        let mut view = Self::nothing("failed", directory, mode);
        view.error = Some(error.to_string());
        view
    }

    fn nothing(verdict: &str, directory: &str, of: Mode) -> Self {
        Self {
            verdict: verdict.into(),
            mode: mode(of).into(),
            directory: directory.into(),
            title: None,
            origin: None,
            root: None,
            counts: CountsView::default(),
            problems: Vec::new(),
            notes: Vec::new(),
            unsigned: Vec::new(),
            update: true,
            fast: false,
            error: None,
        }
    }

    /// Whether the caller has to stop here.
    pub(crate) fn is_refused(&self) -> bool {
        self.verdict == "refused"
    }

    /// Prints the report: at most `most` problems and no notes, or everything if `most` is `None`.
    pub(crate) fn print(&self, out: &mut impl Write, most: Option<usize>) {
        let shown = most.unwrap_or(usize::MAX);
        for problem in self.problems.iter().take(shown) {
            problem.print(out, RED);
        }
        if self.problems.len() > shown {
            line(
                out,
                format_args!(
                    "... and {} more; --all shows them",
                    self.problems.len() - shown
                ),
            );
        }
        // Show beside a refusal what may have caused it. Always show that the copy or its record is not
        // what it was.
        let explains = |note: &&ProblemView| {
            let causes = [Code::Attributes, Code::PlainPatch];
            let always = [Code::Drifted, Code::Unrecorded];
            always.iter().any(|code| note.code == code.as_str())
                || (self.is_refused() && causes.iter().any(|code| note.code == code.as_str()))
        };
        let notes: Vec<&ProblemView> = match most {
            None => self.notes.iter().collect(),
            Some(_) => self.notes.iter().filter(explains).collect(),
        };
        for note in notes {
            note.print(out, DIM);
        }
        let codes = |told: &[&ProblemView]| -> Vec<String> {
            let mut codes: Vec<String> = told.iter().map(|problem| problem.code.clone()).collect();
            codes.sort_unstable();
            codes.dedup();
            codes
        };
        let explaining: Vec<&ProblemView> = self.notes.iter().filter(explains).collect();
        let problems: Vec<&ProblemView> = self.problems.iter().collect();
        // Possible causes of the problems come first.
        let codes = [codes(&explaining), codes(&problems)].concat();
        let told = [explaining, problems].concat();
        if !codes.is_empty() {
            line(out, format_args!("{BOLD}What to do{RESET}"));
        }
        for code in codes {
            if let Some(problem) = told.iter().find(|problem| problem.code == code) {
                line(out, format_args!("  {code}: {}", plain(&problem.advice)));
            }
        }
        self.summary(out);
    }

    fn summary(&self, out: &mut impl Write) {
        let colour = match self.verdict.as_str() {
            "accepted" | "observed" => GREEN,
            _ => RED,
        };
        if let Some(error) = &self.error {
            line(out, escaped(error));
        }
        let some = |many: usize, what: &str| match many {
            0 => String::new(),
            _ => format!(", {}", count(many, what)),
        };
        let problems = some(self.problems.len(), "problem");
        let notes = some(self.notes.len(), "note");
        line(
            out,
            format_args!("{colour}{}{RESET}{problems}{notes}", self.verdict),
        );
        if let (Some(origin), Some(root)) = (&self.origin, &self.root) {
            line(
                out,
                format_args!("{origin}, root {} ({})", root.number, root.digest),
            );
        }
        let counts = &self.counts;
        if self.root.is_none() && self.update {
            return;
        }
        if self.fast {
            line(out, "of what the update concerns:");
        }
        let signed = counts.packages - counts.unsigned.min(counts.packages);
        let packages = count(counts.packages, "package");
        let releases = count(counts.releases, "release");
        let approved = count(counts.approved, "statement");
        let pages = count(counts.pages, "page");
        let verb = if counts.pages == 1 { "counts" } else { "count" };
        line(
            out,
            format_args!(
                "{signed} of {packages} signed, {releases}, {approved} approved, {pages} {verb}"
            ),
        );
    }
}

impl NeedsView {
    pub(crate) fn new(missing: &Missing) -> Self {
        let way = |way: &Option<(usize, Vec<conex_core::model::name::Id>)>| {
            way.as_ref().map(|(more, of)| WayView {
                more: *more,
                of: of.iter().map(ToString::to_string).collect(),
            })
        };
        Self {
            text: missing.to_string(),
            owners: way(&missing.owners),
            janitors: way(&missing.janitors),
        }
    }
}

impl ProblemView {
    pub(crate) fn new(problem: &Problem) -> Self {
        Self {
            code: problem.code.as_str().into(),
            place: problem.place.to_string(),
            line: problem.line,
            statement: problem.subject.as_ref().map(ToString::to_string),
            detail: problem.detail.to_string(),
            needs: problem.missing.as_deref().map(NeedsView::new),
            advice: problem.code.advice().into(),
        }
    }

    /// Prints it below its subject.
    pub(crate) fn print_below(&self, out: &mut impl Write) {
        let statement = self
            .statement
            .as_ref()
            .map_or_else(String::new, |statement| format!("{statement}: "));
        line(
            out,
            format_args!(
                "  {}: {}{}",
                self.code,
                plain(&statement),
                plain(&self.detail)
            ),
        );
        if let Some(needs) = &self.needs {
            line(out, format_args!("    needs {}", plain(&needs.text)));
        }
    }

    pub(crate) fn print(&self, out: &mut impl Write, colour: &str) {
        let at = self
            .line
            .map_or_else(String::new, |line| format!(":{line}"));
        let statement = self
            .statement
            .as_ref()
            .map_or_else(String::new, |statement| format!("{statement}: "));
        line(
            out,
            format_args!(
                "{}{at}: {colour}{}{RESET}: {}{}",
                plain(&self.place),
                self.code,
                plain(&statement),
                plain(&self.detail)
            ),
        );
        if let Some(needs) = &self.needs {
            line(out, format_args!("  needs {}", plain(&needs.text)));
        }
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Warn => "warn",
        Mode::Enforce => "enforce",
    }
}

/// Prints every code with its meaning for the reader, for `conex why --codes`.
pub(crate) fn codes(out: &mut impl Write) {
    for code in Code::ALL {
        line(out, format_args!("{code}: {}", code.advice()));
    }
}
