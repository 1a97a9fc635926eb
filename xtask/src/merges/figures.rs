//! The figures of the replay, and the table it prints.

use super::history::{self, Pull};

/// The figures.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) merges: usize,
    pub(super) files: usize,
    pub(super) claims: usize,
    pub(super) same_statement: usize,
    pub(super) other_conflicts: usize,
    pub(super) combined: usize,
    pub(super) strayed: usize,
    pub(super) data_conflicts: usize,
    pub(super) data_differs: usize,
    pub(super) overtaken: usize,
    pub(super) two_contents: usize,
    pub(super) approvals: usize,
    pub(super) compactions: usize,
    pub(super) compacted_pages: usize,
    pub(super) open_across: usize,
    pub(super) own_across: usize,
    pub(super) conflicts_across: usize,
    pub(super) cross_checks: usize,
}

impl Figures {
    /// Prints the table. Most lines explain themselves.
    pub(super) fn print(&self, pulls: &[Pull], seconds: f64) {
        let concurrent = (0..pulls.len())
            .map(|at| history::open_behind(pulls, at).count())
            .max()
            .unwrap_or_default();
        let lines = [
            ("pull requests merged", self.merges),
            ("  open at once, at most", concurrent),
            (
                "  overtaken by another in a package of theirs",
                self.overtaken,
            ),
            ("files added in conex/", self.files),
            ("  claims and people brought by pull requests", self.claims),
            (
                "conflicts in conex/: two changed one statement",
                self.same_statement,
            ),
            (
                "conflicts in conex/: other (0 wanted)",
                self.other_conflicts,
            ),
            (
                "merges that came out otherwise in conex/ (0 wanted)",
                self.strayed,
            ),
            (
                "one statement changed by two, combined by git",
                self.combined,
            ),
            (
                "vouches that give a version a second content",
                self.two_contents,
            ),
            ("merges with conflicts in the data", self.data_conflicts),
            ("  clean, but not what history has", self.data_differs),
            ("days of approvals by two janitors", self.approvals),
            ("compactions on the main line", self.compactions),
            ("  pages they removed", self.compacted_pages),
            ("  pull requests open across one", self.open_across),
            (
                "  pull requests open across one of their author",
                self.own_across,
            ),
            (
                "  other conflicts of those (0 wanted)",
                self.conflicts_across,
            ),
            (
                "merges done again by git merge in a work tree",
                self.cross_checks,
            ),
        ];
        for (name, count) in lines {
            println!("{name:<52} {count:>7}");
        }
        println!("{:<52} {seconds:>7.1}", "seconds");
    }
}
