//! `conex show`.

use std::io::Write;
use std::path::Path;

use conex_core::model::digest::Digest;
use conex_core::model::encoding::canonical;
use conex_core::model::name::{Id, PackageName, ReleaseName};
use conex_core::model::page::{Batch, Page};
use conex_core::model::statement::RootNumber;
use conex_core::model::stored::Stored as _;
use conex_core::model::vouch::{Kind, Subject};
use conex_core::state::approval::Standing;
use conex_core::tree::content::{File, SourceFile};

use crate::command::approve::stored_text;
use crate::error::{CommandError, Result};
use crate::output::{self, BOLD, DIM, RESET, line};
use crate::tree::{Tree, Work};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A person, team, package or release (foo/1.0); `root`, `repository`; or a page or batch by
    /// its digest or its first digits
    name: String,

    /// Only the statement of this kind; for `root`, the number of an older one
    kind: Option<String>,

    /// Print the canonical bytes that are signed or digested, and nothing else; of a page, what
    /// `ssh-keygen -Y verify` takes on standard input
    #[arg(long)]
    bytes: bool,
}

pub(crate) fn run(repo: &Path, arguments: &Arguments) -> Result<()> {
    let tree = Tree::open(repo)?;
    let work = tree.examine()?;
    let mut out = output::stdout();
    if arguments.name == "root" {
        return root(&mut out, work, arguments);
    }
    if let Some(stored) = by_digest(work, &arguments.name)? {
        let origin = &work.head.root().origin;
        if arguments.bytes {
            return raw(&match stored {
                Stored::Page(page) => page.body().message(origin),
                Stored::Batch(batch) => canonical(origin, batch),
            });
        }
        print(
            &mut out,
            &match stored {
                Stored::Page(page) => page.to_text(),
                Stored::Batch(batch) => batch.to_text(),
            },
        );
        return Ok(());
    }
    let subjects = subjects(work, arguments)?;
    if arguments.bytes && subjects.len() != 1 {
        let kinds: Vec<String> = subjects
            .iter()
            .map(|subject| subject.kind().to_string())
            .collect();
        return Err(CommandError::usage("more than one statement has that name")
            .hint(format_args!("name its kind: {}", kinds.join(", "))));
    }
    for subject in subjects {
        statement(&mut out, &tree, work, &subject, arguments.bytes)?;
    }
    Ok(())
}

fn print(out: &mut impl Write, text: &str) {
    line(out, text.trim_end());
}

fn raw(bytes: &[u8]) -> Result<()> {
    std::io::stdout()
        .write_all(bytes)
        .map_err(|error| CommandError::io(format_args!("standard output: {error}")))
}

fn root(out: &mut impl Write, work: &Work, arguments: &Arguments) -> Result<()> {
    let number = match arguments.kind.as_deref() {
        None => work.head.root().number,
        Some(text) => RootNumber::parse(text)
            .ok_or_else(|| CommandError::usage(format_args!("{text} is no number of a root")))?,
    };
    let stored = work
        .report
        .roots
        .iter()
        .find(|stored| stored.root.number == number)
        .ok_or_else(|| {
            CommandError::usage(format_args!("there is no root {number}"))
                .hint("conex status names the newest")
        })?;
    if arguments.bytes {
        return raw(&stored.root.message());
    }
    print(out, &stored.root.to_text());
    Ok(())
}

enum Stored<'w> {
    Page(&'w Page),
    Batch(&'w Batch),
}

/// Enough digits that no package name is taken for a digest.
const DIGITS: usize = 8;

fn by_digest<'w>(work: &'w Work, text: &str) -> Result<Option<Stored<'w>>> {
    if text.len() < DIGITS
        || !text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Ok(None);
    }
    let metadata = &work.report.metadata();
    let begins = |digest: &Digest| digest.to_string().starts_with(text);
    let pages = metadata
        .pages
        .iter()
        .filter(|stored| begins(&stored.digest))
        .map(|stored| Stored::Page(&stored.page));
    let batches = metadata
        .batches
        .iter()
        .filter(|(digest, _)| begins(digest))
        .map(|(_, batch)| Stored::Batch(batch));
    let mut found = pages.chain(batches);
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(CommandError::usage(format_args!(
            "more than one page or batch begins with {text}"
        ))
        .hint("give more digits")),
        (found, _) => Ok(found),
    }
}

/// Returns the present subjects that match a name and an optional kind.
fn subjects(work: &Work, arguments: &Arguments) -> Result<Vec<Subject>> {
    let unknown = || {
        CommandError::usage(format_args!(
            "nothing here is called {}",
            output::plain(&arguments.name)
        ))
        .hint(match Id::parse(&arguments.name) {
            Ok(id) if work.head.root().janitor(&id).is_some() => {
                "janitors are in the root: conex root show"
            }
            _ => "conex status NAME also knows what is approved but absent",
        })
    };
    let (name, release) = match arguments.name.split_once('/') {
        Some((name, release)) => (name, Some(release)),
        None => (
            if arguments.name == "repository" {
                "."
            } else {
                arguments.name.as_str()
            },
            None,
        ),
    };
    let kind = arguments.kind.as_deref();
    let mut subjects = Vec::new();
    if name == "." {
        subjects.push(Subject::Repository);
    }
    if let (Ok(package), Some(Ok(release))) =
        (PackageName::parse(name), release.map(ReleaseName::parse))
    {
        subjects.push(Subject::Checksums(package, release));
    } else if release.is_none() {
        if let Ok(id) = Id::parse(name) {
            subjects.extend([Subject::Author(id.clone()), Subject::Team(id)]);
        }
        if let Ok(package) = PackageName::parse(name) {
            subjects.extend([
                Subject::Authorisation(package.clone()),
                Subject::Releases(package),
            ]);
        }
    }
    let is_there = |subject: &Subject| {
        work.report
            .findings
            .iter()
            .any(|finding| finding.subject == *subject)
    };
    subjects.retain(|subject| {
        kind.is_none_or(|kind| kind == subject.kind().as_str()) && is_there(subject)
    });
    if subjects.is_empty() {
        Err(unknown())
    } else {
        Ok(subjects)
    }
}

fn statement(
    out: &mut impl Write,
    tree: &Tree,
    work: &Work,
    subject: &Subject,
    bytes: bool,
) -> Result<()> {
    let origin = &work.head.root().origin;
    let metadata = &work.report.metadata();
    let absent = || CommandError::usage(format_args!("{subject} is absent"));
    if !bytes {
        heading(out, work, subject);
        if let Some(text) = stored_text(work, subject) {
            print(out, &text);
            return Ok(());
        }
    }
    let encoded = match subject {
        Subject::Author(id) => canonical(origin, metadata.authors.get(id).ok_or_else(absent)?),
        Subject::Team(id) => canonical(origin, metadata.teams.get(id).ok_or_else(absent)?),
        Subject::Authorisation(package) => canonical(
            origin,
            metadata.authorisations.get(package).ok_or_else(absent)?,
        ),
        Subject::Repository => {
            let repository = tree.repository(&work.head)?;
            if !bytes {
                for file in &repository.statement.files {
                    match file {
                        SourceFile::Whole(file) => files(out, core::slice::from_ref(file)),
                        SourceFile::Projected {
                            path,
                            projection,
                            digest,
                        } => line(out, format_args!("{path} {projection} {digest}")),
                    }
                }
            }
            canonical(origin, &repository.statement)
        }
        Subject::Releases(name) => {
            let package = tree.package(&work.head, name)?.ok_or_else(absent)?;
            let statement = tree.releases(&work.head, &package)?;
            if !bytes {
                for (release, source) in &statement.releases {
                    line(out, format_args!("{release} {source}"));
                }
            }
            canonical(origin, &statement)
        }
        Subject::Checksums(name, release) => {
            let package = tree.package(&work.head, name)?.ok_or_else(absent)?;
            let found = package
                .releases
                .iter()
                .find(|found| found.checksums.release == *release);
            let statement = &found.ok_or_else(absent)?.checksums;
            if !bytes {
                files(out, &statement.files);
            }
            canonical(origin, statement)
        }
    };
    if bytes { raw(&encoded) } else { Ok(()) }
}

fn files(out: &mut impl Write, files: &[File]) {
    for file in files {
        line(
            out,
            format_args!("{} {} {}", file.path, file.size, file.digest),
        );
    }
}

fn heading(out: &mut impl Write, work: &Work, subject: &Subject) {
    let Some(finding) = work
        .report
        .findings
        .iter()
        .find(|finding| finding.subject == *subject)
    else {
        return;
    };
    let columns = match subject.kind() {
        Kind::Releases => " (release, digest of its source)",
        Kind::Checksums => " (file, size, SHA-256)",
        Kind::Repository => " (file, size or projection, SHA-256)",
        Kind::Author | Kind::Team | Kind::Authorisation => "",
    };
    line(out, format_args!("{BOLD}{subject}{RESET}{columns}"));
    let people = |approved: &conex_core::state::approval::ApprovedVersion| {
        let ids: Vec<&str> = approved
            .by
            .iter()
            .map(|person| work.people().id(*person).as_str())
            .collect();
        ids.join(", ")
    };
    let standing = match &finding.assessment.standing {
        Standing::Approved(approved) => format!(
            "approved in version {} by {}",
            approved.version,
            people(approved)
        ),
        Standing::Behind { newest, .. } => {
            format!("behind version {} by {}", newest.version, people(newest))
        }
        Standing::Differs { newest } => format!(
            "not approved; version {} by {} differs",
            newest.version,
            people(newest)
        ),
        Standing::Equivocal { version } => {
            format!("version {version} is approved with two contents")
        }
        Standing::Pending => "not approved yet".into(),
    };
    line(out, format_args!("{DIM}# {standing}{RESET}"));
    line(out, format_args!("{DIM}# digest {}{RESET}", finding.digest));
}
