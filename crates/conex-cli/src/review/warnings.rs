//! Warnings: what a reader of a change should not overlook.

use std::collections::{BTreeMap, BTreeSet};

use conex_core::model::crypto::Digests;
use conex_core::model::digest::Digest;
use conex_core::model::limits;
use conex_core::model::name::{Id, PackageName, ReleaseName};
use conex_core::model::page::Batch;
use conex_core::model::path::Path as TreePath;
use conex_core::model::statement::Authorisation;
use conex_core::model::stored::Stored as _;
use conex_core::model::version::Version;
use conex_core::model::vouch::Subject;
use conex_core::state::approval::Standing;
use conex_core::state::finding::Finding;
use conex_core::tools::pre_approval::outstanding;
use conex_core::tree::content::{Reader, Releases};
use conex_core::tree::inventory::survey;
use conex_core::tree::layout::ReleaseUnit;
use conex_core::tree::metadata::place;
use conex_core::tree::problem::Code;
use conex_core::tree::store::{Store, Workers as _};
use conex_core::verify::Report;
use conex_crypto::StandardCrypto;
use conex_repo::Parallel;
use conex_repo::git::log::Contributor;
use conex_repo::git::{CommitId, GitError};
use conex_repo::opam::edit::Kind;
use conex_repo::opam::facts::Strength;

use super::edits::Edits;
use super::input::Base;
use super::view::WarningView;
use super::{Reviewer, Told};
use crate::error::Result;
use crate::names;
use crate::output::count;

/// Returns all warnings except those about the authors of the change.
pub(super) fn find(reviewer: &Reviewer<'_>, told: &Told<'_>) -> Vec<WarningView> {
    let Told { edits, report, .. } = *told;
    let mut found = similar_names(reviewer, edits);
    found.extend(owners(reviewer, edits, report));
    found.extend(archives(edits));
    found.extend(lost(edits));
    found.extend(forced(reviewer, edits));
    found.extend(pages_of_others(edits));
    found.extend(inert(edits, report));
    found.extend(losses(told));
    found.extend(standing(reviewer, told));
    found.sort();
    found
}

fn warning(code: &'static str, place: impl core::fmt::Display, text: String) -> WarningView {
    let place = place.to_string();
    WarningView { code, place, text }
}

/// Warns of new packages whose names could be mistaken for others.
fn similar_names(reviewer: &Reviewer<'_>, edits: &Edits) -> Vec<WarningView> {
    let is_new = |name: &&PackageName| {
        let edit = edits.packages.get(*name);
        edit.is_some_and(|edit| edit.exists && !edit.existed)
    };
    let new: Vec<&PackageName> = edits.packages.keys().filter(is_new).collect();
    if new.is_empty() {
        return Vec::new();
    }
    let (base, layout) = (&*reviewer.base.store, reviewer.known.layout());
    let there = survey(base, layout, reviewer.head.root()).packages;
    let old: Vec<&PackageName> = there.iter().map(|unit| &unit.name).collect();
    names::lookalikes(&new, &old)
        .into_iter()
        .map(|(name, like, why)| {
            let place = edits
                .packages
                .get(name)
                .and_then(|edit| edit.releases.values().next())
                .map(|release| release.place.clone())
                .unwrap_or_default();
            warning(
                "similar-name",
                place,
                format!("the new name {name} {why} {like}"),
            )
        })
        .collect()
}

/// Warns of packages that get other owners.
fn owners(reviewer: &Reviewer<'_>, edits: &Edits, report: &Report) -> Vec<WarningView> {
    let ids = |owners: &[Id]| {
        let ids: Vec<&str> = owners.iter().map(Id::as_str).collect();
        ids.join(", ")
    };
    let changes = edits.people.iter().filter(|(_, _, existed)| *existed);
    changes
        .filter_map(|(subject, path, _)| {
            let Subject::Authorisation(package) = subject else {
                return Some(warning(
                    "person-changed",
                    path,
                    format!("this changes what is stored of {}", subject.name()),
                ));
            };
            let before = authorisation(&*reviewer.base.store, package)?;
            let after = report.metadata().authorisations.get(package)?;
            let text = format!(
                "{package} belonged to {}, and would belong to {}",
                ids(&before.owners),
                ids(&after.owners)
            );
            (before.owners != after.owners).then(|| warning("owner-change", path, text))
        })
        .collect()
}

fn authorisation(store: &dyn Store, package: &PackageName) -> Option<Authorisation> {
    let mut bytes = Vec::new();
    let place = place::authorisation(package);
    store
        .read(&place, limits::STATEMENT_FILE, &mut bytes)
        .ok()?;
    Authorisation::from_bytes(&bytes).ok()
}

/// Warns of archives without a strong checksum.
fn archives(edits: &Edits) -> Vec<WarningView> {
    let packages = edits.packages.iter();
    let releases = packages.flat_map(|(package, edit)| {
        let releases = edit.releases.iter();
        releases.map(move |(name, release)| (package, name, release))
    });
    releases
        .flat_map(|(package, name, release)| {
            release.weak.iter().map(move |(url, strength)| {
                let text = match strength {
                    Strength::None => format!("{package}/{name} fetches {url} without a checksum"),
                    _ => format!("{package}/{name} fetches {url} with a weak checksum only"),
                };
                warning("weak-checksum", &release.place, text)
            })
        })
        .collect()
}

/// Warns of files that prevent some clients from loading the repository at all.
fn lost(edits: &Edits) -> Vec<WarningView> {
    let packages = edits.packages.iter();
    let releases = packages.flat_map(|(package, edit)| {
        let releases = edit.releases.iter();
        releases.map(move |(name, release)| (package, name, release))
    });
    releases
        .filter_map(|(package, name, release)| {
            let loss = release.loss.as_ref()?;
            let text = format!(
                "with {package}/{name}, {} cannot load any package of the repository: {loss}",
                loss.clients()
            );
            Some(warning("stops-clients", &release.place, text))
        })
        .collect()
}

/// The most names to show in a sentence.
const NAMES: usize = 5;

fn few(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Warns of upkeep that excludes newer releases of a dependency, once for each bound.
fn forced(reviewer: &Reviewer<'_>, edits: &Edits) -> Vec<WarningView> {
    let (base, layout) = (&*reviewer.base.store, reviewer.known.layout());
    let mut versions: BTreeMap<String, Vec<ReleaseName>> = BTreeMap::new();
    let mut bounds: BTreeMap<String, (TreePath, BTreeSet<String>, Vec<String>)> = BTreeMap::new();
    for (package, edit) in &edits.packages {
        for (name, release) in &edit.releases {
            if release.kinds.contains(Kind::NewRelease) {
                continue;
            }
            for forced in &release.forced {
                let there = versions
                    .entry(forced.package.clone())
                    .or_insert_with(|| releases(base, layout, &forced.package).unwrap_or_default());
                let shut = there
                    .iter()
                    .filter(|version| forced.excludes(version.as_str()));
                let shut: BTreeSet<String> = shut.map(ToString::to_string).collect();
                if shut.is_empty() {
                    continue;
                }
                let bound = format!("{} {}", forced.package, forced.limit);
                let told = bounds
                    .entry(bound)
                    .or_insert_with(|| (release.place.clone(), BTreeSet::new(), Vec::new()));
                told.1.extend(shut);
                told.2.push(format!("{package}/{name}"));
            }
        }
    }
    bounds
        .into_iter()
        .map(|(bound, (place, shut, whom))| {
            let shut: Vec<String> = shut.into_iter().collect();
            let text = format!(
                "{} would take only {bound}, which shuts {} out",
                few(&whom),
                few(&shut)
            );
            warning("forces-old", place, text)
        })
        .collect()
}

/// Returns the releases of a package in opam's layout.
fn releases(
    base: &dyn Store,
    layout: &dyn conex_core::tree::layout::Layout,
    package: &str,
) -> Option<Vec<ReleaseName>> {
    let package = PackageName::parse(package).ok()?;
    let homes = layout.homes(&package, &[])?;
    let entries = base.list(homes.first()?).ok()?;
    let releases = entries.iter().filter_map(|entry| {
        let (found, release) = layout.parse_release(&entry.name)?;
        (found == package).then_some(release)
    });
    Some(releases.collect())
}

/// Warns of pages and batches that are changed or deleted.
fn pages_of_others(edits: &Edits) -> Vec<WarningView> {
    let mut of: BTreeMap<Option<&str>, Vec<&TreePath>> = BTreeMap::new();
    for path in &edits.pages_lost {
        let components: Vec<&str> = path.components().collect();
        let whose = match components.as_slice() {
            [_, "index", id, _] => Some(*id),
            _ => None,
        };
        of.entry(whose).or_default().push(path);
    }
    of.into_iter()
        .filter_map(|(whose, paths)| {
            let what = match whose {
                Some(id) => format!("{} of {id}", count(paths.len(), "page")),
                None => count(paths.len(), "stored file"),
            };
            let text = format!("changed or gone: {what}");
            Some(warning("pages-changed", paths.first()?, text))
        })
        .collect()
}

/// Warns of added pages that do not count.
fn inert(edits: &Edits, report: &Report) -> Vec<WarningView> {
    let notes = report
        .with_code(Code::InertPage)
        .chain(report.with_code(Code::PersonVoid));
    notes
        .filter(|note| edits.pages.iter().any(|page| page.as_str() == &*note.place))
        .map(|note| {
            let text = format!("this page counts for nothing so far: {}", note.detail);
            warning("inert-page", &note.place, text)
        })
        .collect()
}

/// Warns of what loses its approval until people are approved.
fn losses(told: &Told<'_>) -> Vec<WarningView> {
    if !told.waits_for_people() {
        return Vec::new();
    }
    let lost = told.report.with_code(Code::Rollback);
    let names: BTreeSet<&str> = lost
        .filter_map(|problem| problem.subject.as_ref())
        .filter(|subject| !told.asked.contains(subject))
        .map(Subject::name)
        .collect();
    let names: Vec<String> = names.into_iter().map(ToOwned::to_owned).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let place = told.edits.people.first().map(|(_, path, _)| path.clone());
    let text = format!(
        "until this is approved, what depended on it before has no approval: {}",
        few(&names)
    );
    vec![warning("loses-approval", place.unwrap_or_default(), text)]
}

/// Warns of old content that is restored, and of approvals that are for other content.
fn standing(reviewer: &Reviewer<'_>, told: &Told<'_>) -> Vec<WarningView> {
    let report = told.report;
    let there = contents(reviewer, told);
    let asked_for = |finding: &&Finding| told.asked.contains(&finding.subject);
    let otherwise = |finding: &Finding, by: &[&str], version: Version| {
        let text = format!(
            "{} vouched for another content of {} in version {version}, which is not in the tree either",
            by.join(", "),
            finding.subject
        );
        warning("approved-otherwise", &finding.place, text)
    };
    let mut found = Vec::new();
    for finding in report.findings.iter().filter(asked_for) {
        match &finding.assessment.standing {
            Standing::Behind { version, newest } => found.push(warning(
                "brings-back",
                &finding.place,
                format!(
                    "{} is the content of version {version}, and {} is approved",
                    finding.subject, newest.version
                ),
            )),
            Standing::Differs { newest } if !there.contains(&newest.digest) => {
                let people = report.people();
                let ids = newest
                    .by
                    .iter()
                    .filter_map(|it| Some(people?.id(*it).as_str()));
                found.push(otherwise(finding, &ids.collect::<Vec<_>>(), newest.version));
            }
            _ => {}
        }
    }
    if !is_contested(report, asked_for) {
        return found;
    }
    for it in outstanding(report) {
        let mut findings = report.findings.iter().filter(asked_for);
        if let Some(finding) = findings.find(|finding| finding.subject == it.subject) {
            let by: Vec<&str> = it.by.iter().map(Id::as_str).collect();
            found.push(otherwise(finding, &by, it.version));
        }
    }
    found
}

/// Returns the digests that the main line has of statements with other approved content. If one of them is
/// the digest approved last, the change started from approved content.
fn contents(reviewer: &Reviewer<'_>, told: &Told<'_>) -> BTreeSet<Digest> {
    let (known, root) = (&reviewer.known, reviewer.head.root());
    let mut found = BTreeSet::new();
    let mut packages: BTreeSet<&PackageName> = BTreeSet::new();
    for finding in &told.report.findings {
        if let Standing::Differs { newest } = &finding.assessment.standing {
            match finding.subject {
                Subject::Releases(ref package) | Subject::Checksums(ref package, _) => {
                    packages.insert(package);
                }
                // Stored statements report their own changes.
                _ => {
                    found.insert(newest.digest);
                }
            }
        }
    }
    let (edits, report) = (told.edits, told.report);
    let projections = known.projections();
    let reader = Reader {
        store: told.base,
        digests: &StandardCrypto,
        origin: &root.origin,
        layout: known.layout(),
        projections: &projections,
    };
    // An untouched file is as it was before. If it differs from what is approved, it differed before the
    // change, too.
    let mut before: Vec<_> = edits.before.packages.iter().collect();
    before.retain(|(package, _)| packages.contains(package));
    let read = Parallel.map(before, |(package, releases)| {
        digests_before((edits, report), &reader, package, releases)
    });
    found.extend(read.into_iter().flatten());
    found
}

/// Returns the digests of the statements of a package on the main line. Where the digests of untouched
/// releases are known, reads only the touched ones.
fn digests_before<D: Digests>(
    (edits, report): (&Edits, &Report),
    reader: &Reader<'_, dyn Store + '_, D>,
    package: &PackageName,
    units: &[ReleaseUnit],
) -> Vec<Digest> {
    let is_touched = |release| {
        let edit = edits.packages.get(package);
        edit.is_some_and(|edit| edit.releases.contains_key(release))
    };
    let mut found = Vec::new();
    let mut releases: Vec<(ReleaseName, Vec<Digest>)> = Vec::with_capacity(units.len());
    for unit in units {
        let subject = Subject::Checksums(package.clone(), unit.name.clone());
        let known = report
            .finding(&subject)
            .filter(|finding| !finding.sources.is_empty() && !is_touched(&unit.name));
        let sources = match known {
            Some(finding) => {
                found.push(finding.digest);
                finding.sources.clone()
            }
            None => match reader.release(package, unit) {
                Ok(release) => {
                    found.push(release.digest);
                    release.sources
                }
                Err(_) => return found,
            },
        };
        releases.push((unit.name.clone(), sources));
    }
    releases.sort();
    let under = |at: usize| {
        let sources = releases
            .iter()
            .map(|(name, sources)| (name, sources.as_slice()));
        Releases::of(package, sources, at)
    };
    let projections = 0..reader.projections.len().max(1);
    found.extend(projections.map(|at| under(at).digest(reader.origin, reader.digests)));
    found
}

/// Whether somebody vouched for other content of an unapproved statement. It is found without verifying
/// anything, so that verification is needed only if there is such a vouch.
fn is_contested(report: &Report, asked_for: impl Fn(&&Finding) -> bool) -> bool {
    let newest = |finding: &Finding| match &finding.assessment.standing {
        Standing::Approved(_) => None,
        Standing::Behind { newest, .. } | Standing::Differs { newest } => {
            Some(Some(newest.version))
        }
        Standing::Equivocal { version } => Some(Some(*version)),
        Standing::Pending => Some(None),
    };
    let pending: BTreeMap<&Subject, (Option<Version>, &Finding)> = report
        .findings
        .iter()
        .filter(asked_for)
        .filter_map(|finding| Some((&finding.subject, (newest(finding)?, finding))))
        .collect();
    if pending.is_empty() {
        return false;
    }
    let metadata = &report.metadata();
    let pages = metadata
        .pages
        .iter()
        .flat_map(|stored| stored.page.body().vouches());
    let batches = metadata.batches.values().flat_map(Batch::vouches);
    pages.chain(batches).any(|vouch| {
        pending
            .get(&vouch.subject)
            .is_some_and(|(newest, finding)| {
                Some(vouch.version) > *newest
                    && vouch.digest != finding.digest
                    && Some(vouch.digest) != finding.older
            })
    })
}

/// The most commits to search for a person's earlier commits.
const HISTORY: usize = 5_000;

/// Warns of authors of new releases who have no commit on the main line yet.
pub(super) fn newcomers(
    base: &Base,
    commit: Option<CommitId>,
    by: &[Contributor],
    edits: &Edits,
) -> Result<Vec<WarningView>> {
    let (Some(git), Some(onto), Some(_)) = (&base.git, base.commit, commit) else {
        return Ok(Vec::new());
    };
    let mut new = edits.packages.iter().flat_map(|(package, edit)| {
        let releases = edit.releases.iter();
        releases
            .filter(|(_, release)| release.kinds.contains(Kind::NewRelease))
            .map(move |(name, release)| (format!("{package}/{name}"), &release.place))
    });
    let Some((release, place)) = new.next() else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for contributor in by.iter().filter(|it| it.authored > 0) {
        let person = &contributor.person;
        let known = match &person.address {
            Some(address) => git.has_author(onto, address, HISTORY),
            None => Ok::<_, GitError>(Some(false)),
        };
        if known? == Some(false) {
            let text = format!("{person}, who brings {release}, has no commit here yet");
            found.push(warning("first-release", place, text));
        }
    }
    Ok(found)
}
