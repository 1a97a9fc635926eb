//! `conex pre-receive`: a git hook that ensures clients accept what is pushed to a branch.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use conex_core::model::path::Path as TreePath;
use conex_core::state::chain::Trust;
use conex_core::tree::problem::{Code, Problem};
use conex_core::tree::store::{MemoryStore, Store};
use conex_core::verify::{LocalRecord, Mode};
use conex_repo::git::{CommitId, Incoming};
use conex_repo::write::Change;
use conex_repo::{GitRepository, GitStore};

use super::advance::Strictness;
use crate::anchors;
use crate::error::{CommandError, Result, at};
use crate::output::{self, plain};
use crate::records::{Kept, Over};
use crate::verification::{recorded, step, verify};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The branch that clients follow: each push has to be an update that they accept
    #[arg(long, value_name = "BRANCH", default_value = "signed")]
    signed: String,

    /// The main line: pushes are refused only for what no approval can make right
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    main: String,

    #[command(flatten)]
    anchors: anchors::AnchorArguments,

    /// How strict clients are about what nobody vouched for yet
    #[arg(long, value_enum, default_value = "warn")]
    mode: Strictness,

    /// Write the hook, with these options, into the repository given with -C
    #[arg(long)]
    install: bool,
}

/// The problems for which a main line is refused: no approval can make them right.
const NEVER: [Code; 12] = [
    Code::Malformed,
    Code::TooLarge,
    Code::SpecialFile,
    Code::BadName,
    Code::NameCollision,
    Code::ShadowRelease,
    Code::Misnamed,
    Code::BadSignature,
    Code::RootChain,
    Code::RootSticky,
    Code::BatchMissing,
    Code::BatchRange,
];

/// The most bytes of input to read from git.
const LINES: u64 = 16 << 20;

/// The most problems to show of one branch.
const SHOWN: usize = 10;

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let trust = arguments.anchors.trust()?;
    if arguments.install {
        return install(repo, arguments);
    }
    let lines = read(std::io::stdin())?;
    let git = GitRepository::open(repo)?;
    let names = Names::of(&git);
    let (signed, main) = (
        names.written_to(&arguments.signed)?,
        names.written_to(&arguments.main)?,
    );
    let incoming = incoming(&git)?;
    let hook = Hook {
        git: incoming.repository(),
        repo,
        trust,
        mode: arguments.mode.into(),
    };
    for line in lines.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [old, new, reference] = words.as_slice() else {
            return Err(CommandError::usage("a line is: OLD NEW REFERENCE")
                .hint("git gives them to this hook; it is not run by hand"));
        };
        let moved = names.pushed(reference)?;
        if signed.contains(&moved) {
            hook.signed(&arguments.signed, commit(old), commit(new))?;
        } else if main.contains(&moved) {
            hook.main(&arguments.main, commit(old), commit(new))?;
        }
    }
    Ok(())
}

/// Resolves which references a push moves. Git gives a symbolic reference by its own name, although the
/// push changes or deletes its target.
struct Names<'a> {
    git: &'a GitRepository,
    /// The prefix of each name, if the server has a namespace for pushes.
    namespace: String,
}

impl<'a> Names<'a> {
    fn of(git: &'a GitRepository) -> Self {
        let given = env::var("GIT_NAMESPACE").unwrap_or_default();
        let mut namespace = String::new();
        for part in given.split('/').filter(|part| !part.is_empty()) {
            namespace.extend(["refs/namespaces/", part, "/"]);
        }
        Self { git, namespace }
    }

    /// Returns the reference that a push to `name` moves.
    fn pushed(&self, name: &str) -> Result<String> {
        let place = format!("{}{name}", self.namespace);
        self.git.written_to(&place).map_err(|error| {
            CommandError::refused(format_args!("{error}; the push is refused"))
                .hint("git symbolic-ref on the server says where it leads; delete it there")
        })
    }

    /// Returns the references that a branch given on the command line refers to, with and without a
    /// namespace.
    fn written_to(&self, branch: &str) -> Result<BTreeSet<String>> {
        let mut names = vec![format!("refs/heads/{branch}")];
        if branch.starts_with("refs/") {
            names.push(branch.to_owned());
        }
        let mut found = BTreeSet::new();
        for name in names {
            found.insert(self.pushed(&name)?);
            found.insert(self.git.written_to(&name)?);
        }
        Ok(found)
    }
}

/// Reads the lines from git. Refuses a push with more lines than the hook reads, since the rest would not
/// be verified.
fn read(from: impl std::io::Read) -> Result<String> {
    let mut lines = String::new();
    from.take(LINES + 1)
        .read_to_string(&mut lines)
        .map_err(at("standard input"))?;
    if lines.len() as u64 > LINES {
        return Err(CommandError::refused(
            "too many branches and tags are pushed at once; the push is refused",
        )
        .hint("push them in several steps"));
    }
    Ok(lines)
}

/// Parses the id of a commit; all zeros mean none.
fn commit(id: &str) -> Option<&str> {
    (!id.bytes().all(|byte| byte == b'0')).then_some(id)
}

/// Opens the objects of the repository together with those being pushed.
fn incoming(git: &GitRepository) -> Result<Incoming> {
    let mut objects: Vec<PathBuf> = Vec::new();
    for name in ["GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY"] {
        objects.extend(env::var_os(name).map(PathBuf::from));
    }
    objects.push(git.objects());
    if let Some(others) = env::var_os("GIT_ALTERNATE_OBJECT_DIRECTORIES") {
        objects.extend(env::split_paths(&others).filter(|path| !path.as_os_str().is_empty()));
    }
    objects.dedup();
    Ok(Incoming::open(&objects)?)
}

struct Hook<'a> {
    git: &'a GitRepository,
    repo: &'a Path,
    trust: Trust,
    mode: Mode,
}

impl Hook<'_> {
    /// Checks that the branch clients follow advances by an update that they accept.
    fn signed(&self, branch: &str, old: Option<&str>, new: Option<&str>) -> Result<()> {
        let refused = |why: &str| {
            CommandError::refused(format_args!("{}: {why}; the push is refused", plain(branch)))
                .hint("clients follow this branch: it goes on by conex advance, or another update that they accept")
        };
        let Some(new) = new else {
            return Err(refused("it cannot be deleted"));
        };
        let (new, after) = self.store(new)?;
        let report = match old {
            None => verify(&after, &self.trust, self.mode, false),
            Some(old) => {
                let (old, before) = self.store(old)?;
                if !self.git.is_ancestor(old, new)? {
                    return Err(refused("this is no fast-forward"));
                }
                match recorded(self.repo, (old, &before), &self.trust, self.mode)? {
                    Ok(record) => step(&before, &record, &after, self.mode),
                    // The present state does not verify, so it cannot serve as a baseline.
                    Err(_) => verify(&after, &self.trust, self.mode, false),
                }
            }
        };
        let Some(verified) = report.verified() else {
            show(&report.problems);
            return Err(refused("clients would refuse this"));
        };
        if let Some(record) = LocalRecord::new(verified, 0) {
            let kept = Kept::look(self.repo, Some(&new.to_string()))?;
            kept.save(&record, Over::Whatever)?;
        }
        Ok(())
    }

    /// Checks the main line. It may contain anything that waits for approval, but nothing that can never be
    /// right.
    fn main(&self, branch: &str, old: Option<&str>, new: Option<&str>) -> Result<()> {
        let Some(new) = new else { return Ok(()) };
        let (_, after) = self.store(new)?;
        let before = match old {
            Some(old) => self.problems(&self.store(old)?.1),
            None => self.problems(&MemoryStore::new()),
        };
        let found: Vec<Problem> = self.problems(&after).difference(&before).cloned().collect();
        if found.is_empty() {
            return Ok(());
        }
        show(&found);
        Err(CommandError::refused(format_args!(
            "{}: no approval makes this right; the push is refused",
            plain(branch)
        ))
        .hint("put right what is listed above, and push again"))
    }

    /// Returns the problems of a main line that no approval can make right.
    fn problems(&self, store: &dyn Store) -> BTreeSet<Problem> {
        let report = verify(store, &self.trust, Mode::Observe, true);
        let has_root = report.head.is_some();
        report
            .problems
            .into_iter()
            .filter(|problem| {
                let is_metadata = problem.place.starts_with("conex/");
                (has_root || is_metadata)
                    && (NEVER.contains(&problem.code)
                        || (problem.code == Code::Unaccounted && is_metadata))
            })
            .collect()
    }

    fn store(&self, id: &str) -> Result<(CommitId, GitStore)> {
        let commit = self.git.resolve(id)?;
        Ok((commit, self.git.store(commit)?))
    }
}

/// Prints the problems. Git shows them to the user who pushes.
fn show(problems: &[Problem]) {
    let mut out = output::stderr();
    for problem in problems.iter().take(SHOWN) {
        output::line(&mut out, plain(&problem.to_string()));
    }
    if problems.len() > SHOWN {
        let more = problems.len() - SHOWN;
        output::line(&mut out, format_args!("... and {more} more"));
    }
}

/// Writes the hook, unless another one exists.
fn install(repo: &Path, arguments: &Arguments) -> Result<()> {
    let git = GitRepository::open(repo)?;
    let line = script(arguments)?;
    if let Some(elsewhere) = git.setting("core.hooksPath") {
        return Err(CommandError::refused(format_args!(
            "the hooks of this repository are in {}",
            plain(&elsewhere)
        ))
        .hint(format_args!("have the hook there run: {line}")));
    }
    let hooks = git.directory().join("hooks");
    let place = hooks.join("pre-receive");
    let text = format!("#!/bin/sh\n# {OURS}\nexec {line}\n");
    match fs::read_to_string(&place) {
        Ok(there) if there.contains(OURS) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        _ => {
            return Err(CommandError::refused(format_args!(
                "there is another hook at {}",
                place.display()
            ))
            .hint(format_args!("have it run: {line}")));
        }
    }
    fs::create_dir_all(&hooks).map_err(at(hooks.display()))?;
    let mut change = Change::new();
    change.write(
        TreePath::parse("pre-receive").map_err(CommandError::io)?,
        text,
    );
    change.commit(&hooks).map_err(at(hooks.display()))?;
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).map_err(at(place.display()))?;
    output::line(
        &mut output::stdout(),
        format_args!("{}: pushes are verified from now on", place.display()),
    );
    Ok(())
}

/// The comment by which a hook is recognised as ours.
const OURS: &str = "Written by conex pre-receive --install; run that again to change it.";

/// Returns the command line of the hook.
fn script(arguments: &Arguments) -> Result<String> {
    let program = env::current_exe().map_err(at("the program itself"))?;
    let program = program
        .to_str()
        .ok_or_else(|| CommandError::io("the path of the program is no text").hint("move it"))?;
    let mode = match arguments.mode {
        Strictness::Warn => "warn",
        Strictness::Enforce => "enforce",
    };
    let mut words = vec![
        program.to_owned(),
        "pre-receive".into(),
        "--trust-anchors".into(),
        arguments.anchors.trust_anchors.clone().unwrap_or_default(),
        "--signed".into(),
        arguments.signed.clone(),
        "--main".into(),
        arguments.main.clone(),
        "--mode".into(),
        mode.into(),
    ];
    if let Some(quorum) = arguments.anchors.quorum {
        words.extend(["--quorum".into(), quorum.to_string()]);
    }
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
        .collect();
    Ok(quoted.join(" "))
}

#[cfg(test)]
mod tests {
    use super::{LINES, read};

    #[test]
    fn what_is_too_long_to_be_verified_is_refused() {
        let lines = |length: u64| read(std::io::Read::take(std::io::repeat(b'a'), length));
        assert_eq!(lines(LINES).unwrap().len() as u64, LINES);
        assert!(lines(LINES + 1).is_err());
    }
}
