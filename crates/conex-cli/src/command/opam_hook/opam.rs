//! opam's own configuration as stored in its files, and the hook in it.

use core::fmt;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conex_repo::opam::values::{self, Value};

use crate::error::{CommandError, Result, at};
use crate::output;

/// The field in opam's configuration.
const FIELD: &str = "repository-validation-command";

/// The variables that opam replaces in the arguments of the hook, each with the filter under which it is
/// defined.
const ARGUMENTS: [(&str, &str); 6] = [
    ("--quorum=%{quorum}%", ""),
    ("--trust-anchors=%{anchors}%", ""),
    ("--repository=%{repo}%", ""),
    ("--dir=%{dir}%", "!incremental"),
    ("--patch=%{patch}%", "incremental"),
    ("--incremental", "incremental"),
];

/// A program with arguments, some of them conditional on a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hook {
    words: Vec<(String, String)>,
}

impl Hook {
    /// Returns a hook that runs this program.
    pub(super) fn new(program: Option<&Path>, mode: Option<&str>, fast: bool) -> Result<Self> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => env::current_exe().map_err(at("this program's own path"))?,
        };
        let program = program.to_str().filter(|program| {
            // Reject characters that opam would treat as a variable or have to escape.
            !program.contains(['%', '"', '\\', '\'']) && !program.chars().any(char::is_control)
        });
        let program = program.ok_or_else(|| {
            CommandError::usage("opam's configuration cannot hold the path of the program")
                .hint("give another one with --program")
        })?;
        let mut words = vec![(program.to_owned(), ""), ("verify".to_owned(), "")];
        words.extend(mode.map(|mode| (format!("--mode={mode}"), "")));
        words.extend(fast.then(|| ("--fast".to_owned(), "")));
        words.extend(ARGUMENTS.map(|(word, filter)| (word.to_owned(), filter)));
        let words = words
            .into_iter()
            .map(|(word, filter)| (word, filter.to_owned()))
            .collect();
        Ok(Self { words })
    }

    fn of(value: &Value) -> Self {
        let word = |value: &Value| {
            let (word, braces) = value.options();
            let filter = braces.concat();
            let filter: String = filter.iter().filter_map(Value::as_str).collect();
            (word.as_str().unwrap_or_default().to_owned(), filter)
        };
        Self {
            words: value.members().iter().map(word).collect(),
        }
    }

    /// Returns the setting in the form that `opam option` takes.
    pub(super) fn setting(&self) -> String {
        format!("{FIELD}=[{self}]")
    }

    /// Whether opam has exactly this hook.
    pub(super) fn is(&self, opam: &Opam) -> bool {
        opam.hook.as_ref() == Some(self)
    }

    pub(super) fn program(&self) -> &str {
        self.words.first().map_or("", |(word, _)| word)
    }

    /// Whether it runs `conex verify`, judging by names.
    pub(super) fn is_conex(&self) -> bool {
        let name = Path::new(self.program()).file_name();
        let verifies = self.words.get(1).is_some_and(|(word, _)| word == "verify");
        let is_named = |wanted: &str| name.is_some_and(|name| name == wanted);
        (is_named("conex") && verifies) || is_named("conex-verify") || is_named("conex_verify")
    }

    /// Returns the required arguments that opam does not pass.
    pub(super) fn lacking(&self) -> Vec<&'static str> {
        let has = |word: &str, filter: &str| {
            let words = self.words.iter();
            let mut words = words.filter(|(found, _)| found == word);
            words.any(|(_, found)| found == filter || found.is_empty() && filter.is_empty())
        };
        ARGUMENTS
            .iter()
            .filter(|(word, filter)| !has(word, filter))
            .map(|(word, _)| *word)
            .collect()
    }

    /// Whether it never refuses anything.
    pub(super) fn observes(&self) -> bool {
        let mut pairs = self.words.iter().zip(self.words.iter().skip(1));
        self.words.iter().any(|(word, _)| word == "--mode=observe")
            || pairs.any(|((mode, _), (observe, _))| mode == "--mode" && observe == "observe")
    }

    /// Stores the hook in opam's configuration.
    pub(super) fn install(&self) -> Result<()> {
        let setting = self.setting();
        output::line(
            &mut output::stdout(),
            format_args!("$ opam option --global '{setting}'"),
        );
        let ended = Command::new("opam")
            .args(["option", "--global", &setting])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| {
                CommandError::io(format_args!("opam: {error}"))
                    .hint("is opam installed? Otherwise put the line above into its configuration")
            })?;
        if ended.status.success() {
            return Ok(());
        }
        Err(CommandError::io(format_args!(
            "opam: {}",
            output::escaped(String::from_utf8_lossy(&ended.stderr).trim())
        ))
        .hint("initialise opam first: opam init"))
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (word, filter)) in self.words.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}\"{word}\"")?;
            if !filter.is_empty() {
                write!(f, " {{{filter}}}")?;
            }
        }
        Ok(())
    }
}

/// A repository that opam follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    pub(super) name: String,
    /// The address, as opam writes it.
    address: String,
    /// The anchors that opam passes to the hook. Without any, opam does not call it.
    pub(super) anchors: Vec<String>,
    pub(super) quorum: Option<String>,
}

impl Repository {
    /// Whether opam fetches it with git.
    pub(super) fn is_git(&self) -> bool {
        let (scheme, _) = self.address.split_once(':').unwrap_or_default();
        scheme == "git" || scheme.starts_with("git+")
    }
}

/// opam's configuration.
#[derive(Debug)]
pub(super) struct Opam {
    root: PathBuf,
    hook: Option<Hook>,
    repositories: Vec<Repository>,
}

impl Opam {
    /// Finds opam's directory and reads its configuration.
    pub(super) fn find() -> Result<Self> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let root = set("OPAMROOT")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".opam")))
            .ok_or_else(|| {
                CommandError::usage("opam's directory is not known").hint("set OPAMROOT")
            })?;
        // opam passes the hook paths with links resolved.
        let root = fs::canonicalize(&root).unwrap_or(root);
        let config = read(&root.join("config"))?.ok_or_else(|| {
            CommandError::usage(format_args!(
                "opam is not initialised in {}",
                root.display()
            ))
            .hint("run opam init, or set OPAMROOT")
        })?;
        let hook = last(&config, FIELD).map(Hook::of);
        let repositories = read(&root.join("repo/repos-config"))?.unwrap_or_default();
        let repositories = last(&repositories, "repositories")
            .map_or(&[][..], Value::members)
            .iter()
            .filter_map(repository)
            .collect();
        Ok(Self {
            root,
            hook,
            repositories,
        })
    }

    pub(super) fn config(&self) -> PathBuf {
        self.root.join("config")
    }

    /// Returns opam's directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the configured hook.
    pub(super) fn hook(&self) -> Option<&Hook> {
        self.hook.as_ref()
    }

    pub(super) fn repositories(&self) -> &[Repository] {
        &self.repositories
    }

    /// Returns the path of a repository, as opam passes it to the hook.
    pub(super) fn place(&self, repository: &Repository) -> PathBuf {
        self.root.join("repo").join(&repository.name)
    }

    /// Returns the path of a repository that opam keeps packed.
    pub(super) fn packed(&self, repository: &Repository) -> PathBuf {
        let name = format!("{}.tar.gz", repository.name);
        self.root.join("repo").join(name)
    }
}

/// Returns the value of a field. If a field occurs more than once, the last one counts.
fn last<'a>(fields: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    let mut fields = fields.iter().rev();
    fields
        .find(|(field, _)| field == name)
        .map(|(_, value)| value)
}

/// Parses a repository as opam writes it: the name, then in braces the address, the anchors and the quorum.
fn repository(value: &Value) -> Option<Repository> {
    let (name, braces) = value.options();
    let texts = |braces: &[Value]| -> Vec<String> {
        let texts = braces.iter().filter_map(Value::as_str);
        texts.map(ToOwned::to_owned).collect()
    };
    Some(Repository {
        name: name.as_str()?.to_owned(),
        address: braces
            .first()
            .and_then(|braces| texts(braces).pop())
            .unwrap_or_default(),
        anchors: braces
            .get(1)
            .map(|braces| texts(braces))
            .unwrap_or_default(),
        quorum: braces.get(2).and_then(|braces| texts(braces).pop()),
    })
}

fn read(path: &Path) -> Result<Option<Vec<(String, Value)>>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path.display())(error)),
    };
    values::fields(&bytes).map(Some).map_err(|error| {
        CommandError::refused(format_args!("{}: {error}", path.display()))
            .hint("repair this file: without it nobody can tell whether anything is verified")
    })
}
