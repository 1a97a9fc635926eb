//! Advancing the followed state, and what has to hold of it.

use conex_core::model::vouch::Subject;
use conex_core::tools::advance::{Advance, Advanced, Earlier, Unit};
use conex_core::tree::store::{MemoryStore, Sequential, Store};
use conex_core::verify::Mode;
use conex_repo::KnownSchemes;

use super::Violation;
use super::check::is_ignored;
use super::world::{Stage, World};
use crate::model::{self, Anchor, State, Strictness};

impl World {
    /// Advances the followed state, and holds it against invariants `d` and `e`.
    pub(super) fn advance(&mut self) -> Result<usize, Box<Violation>> {
        let Some(last) = self.stages.last().cloned() else {
            return Ok(0);
        };
        let changed = conex_repo::changes::changed(&*last.tree, &self.main)
            .expect("trees in memory can be listed");
        let advance = Advance {
            signed: &*last.tree,
            main: &self.main,
            changed: &changed,
            record: &last.record,
            schemes: &KnownSchemes,
            crypto: &self.scheme,
            workers: &Sequential,
            mode: Mode::Warn,
            earlier: &Past(&self.past),
        };
        let advanced = match advance.run() {
            Ok(advanced) => advanced,
            Err(error) => {
                return Err(self.violation('e', "advancing is stuck", format!("{error}\n")));
            }
        };
        let mut tree = (*last.tree).clone();
        for (path, bytes) in &advanced.files {
            match bytes {
                Some(bytes) => tree.insert(path.as_str(), bytes.clone()),
                None => {
                    tree.remove(path.as_str());
                }
            }
        }
        let waiting = waiting(&advanced);
        self.tell(format!(
            "the followed state {} is made, {} files changed{}",
            self.stages.len(),
            advanced.files.len(),
            if waiting.is_empty() {
                String::new()
            } else {
                format!("; waiting: {}", waiting.join(", "))
            }
        ));
        if advanced.waiting.iter().any(|it| it.unit == Unit::Step) {
            self.coverage.step("advance needed verification");
        }
        if !advanced.files.is_empty() {
            self.staged(&tree)?;
        }
        self.check_reached(&tree, &advanced)?;
        Ok(advanced.waiting.len())
    }

    /// Invariant `d`: the new state is accepted by fresh clients and by those of earlier states.
    fn staged(&mut self, tree: &MemoryStore) -> Result<(), Box<Violation>> {
        let Some(fresh) = self.fresh(tree, Mode::Warn)? else {
            let detail = "a fresh client refuses it\n".to_owned();
            return Err(self.violation(
                'd',
                "a followed state is refused by fresh clients",
                detail,
            ));
        };
        self.check_written(tree, &fresh.state)?;
        let all = self.stages.len();
        let mut made = None;
        let before = if self.is_thorough {
            (0..all).collect()
        } else {
            earlier(all, self.count)
        };
        for at in before {
            let Some(stage) = self.stages.get(at).cloned() else {
                continue;
            };
            let accepted =
                self.update(&stage.tree, &stage.state, &stage.record, tree, Mode::Warn)?;
            let Some(accepted) = accepted else {
                let found = model::transitions(&stage.state, &fresh.state);
                let step = if at + 1 == all {
                    "the state before"
                } else {
                    "an earlier state"
                };
                let kind = format!("a followed state is refused after {step}");
                let detail = format!("from the followed state {at}:\n{}", model::told(&found));
                return Err(self.violation('d', &kind, detail));
            };
            if at + 1 == all {
                made = Some(accepted);
            }
        }
        if let Some(made) = made {
            let stage = Stage::new(tree.clone(), made.record, made.state, self.scheme);
            self.stages.push(stage);
        }
        Ok(())
    }

    /// The main line as the model sees it.
    pub(super) fn main_state(&self) -> Option<State> {
        let how = Strictness {
            enforce: false,
            ahead: true,
        };
        model::judge(
            &model::tree(&self.main),
            &Anchor::FirstRoot,
            how,
            &self.scheme,
        )
        .state
    }

    /// Invariant `e`: of a package all of whose statements are approved on the main line, and whose claim is the newest
    /// approved, the followed state has the same, or `waiting` names it.
    fn check_reached(&self, tree: &MemoryStore, advanced: &Advanced) -> Result<(), Box<Violation>> {
        let Some(state) = self.main_state() else {
            return Ok(());
        };
        if state.names_of_packages().is_empty() {
            // Nobody is shown an empty repository.
            return Ok(());
        }
        let mut names = self.packages.clone();
        names.push(".".to_owned());
        for name in names {
            let statements = match name.as_str() {
                "." => vec![Subject::Repository],
                package => {
                    let package = conex_core::model::name::PackageName::parse(package);
                    state.statements(&package.expect("packages here have good names"))
                }
            };
            let is_approved = statements.iter().all(|subject| state.is_approved(subject));
            if !is_approved || !state.is_claim_newest(&name) || same(&self.main, tree, &name) {
                continue;
            }
            let reasons = reasons(advanced, &name, &self.main);
            if reasons.is_empty() {
                let detail = format!(
                    "{name} is approved, and does not get there\n{:#?}\n",
                    advanced.waiting
                );
                return Err(self.violation('e', "something is left out in silence", detail));
            }
            let concerned = |attacked: &String| attacked.starts_with('*') || *attacked == name;
            if !self.attacked.iter().any(concerned) && !is_own_reason(&reasons) {
                let detail = format!("{name} is approved and waits:\n{}\n", reasons.join("\n"));
                return Err(self.violation('e', "something that nobody attacked waits", detail));
            }
        }
        Ok(())
    }
}

/// What the main line was before.
struct Past<'w>(&'w [MemoryStore]);

impl Earlier for Past<'_> {
    fn each(&self, look: &mut dyn FnMut(&dyn Store) -> bool) {
        let mut states = self.0.iter().rev();
        while states.next().is_some_and(|state| look(state)) {}
    }
}

/// The states from which the next is tried: the last, the first and another one.
fn earlier(all: usize, seed: usize) -> Vec<usize> {
    let mut chosen = vec![0, seed.wrapping_mul(7) % all.max(1), all.saturating_sub(1)];
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// Whether two trees have the same of a package, or of the repository files.
fn same(a: &MemoryStore, b: &MemoryStore, name: &str) -> bool {
    let of = |tree: &MemoryStore| -> Vec<(String, Vec<u8>)> {
        let files = tree.files().filter(|(path, _)| match name {
            "." => !path.contains('/') && !is_ignored(path),
            package => path
                .strip_prefix(package)
                .is_some_and(|rest| rest.starts_with('/')),
        });
        files
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .collect()
    };
    of(a) == of(b)
}

/// What waits, in words.
fn waiting(advanced: &Advanced) -> Vec<String> {
    let all = advanced.waiting.iter();
    all.map(|waiting| {
        let why = waiting
            .problems
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        format!("{:?} ({why})", waiting.unit)
    })
    .collect()
}

/// What `waiting` says of a package: of itself, or of a page that speaks of it, or of everything.
fn reasons(advanced: &Advanced, name: &str, main: &MemoryStore) -> Vec<String> {
    let speaks = |path: &conex_core::model::path::Path| {
        let text = main
            .get(path.as_str())
            .map(String::from_utf8_lossy)
            .unwrap_or_default();
        let about = [format!("\"{name} "), format!("\"{name}/")];
        about.iter().any(|about| text.contains(about.as_str())) || text.contains("batches = [")
    };
    let mut reasons = Vec::new();
    for waiting in &advanced.waiting {
        let is_it = match &waiting.unit {
            Unit::Package(package) => package.as_str() == name,
            Unit::Repository => name == ".",
            Unit::Root | Unit::Step | Unit::Author(_) | Unit::Team(_) => true,
            Unit::Page(path) => speaks(path),
            Unit::Path(path) => path.as_str().contains(name),
        };
        if is_it || waiting.pages.iter().any(speaks) {
            let problems = waiting.problems.iter().map(ToString::to_string);
            let problems: Vec<String> = problems.collect();
            reasons.push(format!("  {:?}: {}", waiting.unit, problems.join("; ")));
        }
    }
    reasons
}

/// Whether people's own doing is a reason: a page of theirs speaks of something else, or a root or person waits.
fn is_own_reason(reasons: &[String]) -> bool {
    reasons.iter().any(|reason| {
        ["Root", "Author", "Team", "Page"]
            .iter()
            .any(|unit| reason.trim_start().starts_with(unit))
    })
}
