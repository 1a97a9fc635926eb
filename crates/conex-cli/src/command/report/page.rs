//! The page itself: figures as text, numbers and pictures. The template escapes all text.

use std::collections::BTreeMap;

use askama::Template;
use conex_core::model::name::{Id, PackageName};
use conex_repo::git::history::Date;
use conex_repo::opam::facts::Strength;

use conex_core::state::Basis;

use super::figures::{Figures, PersonFigures, Share, Waiting, WeakArchive};
use super::growth::State;
use super::plot::{self, Plot, Series, number};
use crate::error::{CommandError, Result};
use crate::tree::Work;

/// The most rows to show in a table before it only counts the rest.
const ROWS: usize = 40;

/// The data of `templates/report.html`.
#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    origin: String,
    date: String,
    revision: Option<String>,
    version: &'static str,
    root: String,
    anchor: String,
    tiles: Vec<Tile>,
    rules: String,
    bars: Vec<Titled>,
    people: Vec<PersonRow>,
    more_people: usize,
    waiting: Vec<Waiting>,
    more_waiting: usize,
    ahead: usize,
    problems: usize,
    spare: usize,
    spare_text: &'static str,
    narrow: String,
    margins: Bar,
    single: Vec<String>,
    more_single: usize,
    out_of_reach: Vec<String>,
    archives: Bar,
    weak: Vec<WeakArchive>,
    more_weak: usize,
    unreadable: usize,
    growth: Option<Growth>,
}

struct Tile {
    value: String,
    label: &'static str,
    note: String,
}

struct Titled {
    title: &'static str,
    total: String,
    bar: Bar,
}

/// A bar of parts of a whole, with a legend.
#[derive(Template)]
#[template(path = "bar.html")]
struct Bar {
    segments: Vec<Segment>,
}

struct Segment {
    label: String,
    class: &'static str,
    count: String,
    /// In percent, for drawing.
    share: String,
    percent: String,
}

struct PersonRow {
    id: String,
    role: &'static str,
    stands: String,
    alone: String,
    owns: String,
    awaited: String,
}

struct Growth {
    packages: Plot,
    releases: Plot,
    from: String,
    to: String,
    /// The number of committed states.
    committed: usize,
    /// Whether the last state is the working copy.
    goes_on: bool,
}

/// The source of the page's data.
pub(super) struct Source {
    /// The day, as people write it.
    pub(super) date: String,
    /// The commit, if a commit was reported.
    pub(super) revision: Option<String>,
    /// The number of committed states.
    pub(super) committed: usize,
}

/// Renders the page.
pub(super) fn render(
    work: &Work,
    figures: &Figures,
    states: &[State],
    source: Source,
) -> Result<String> {
    let root = work.head.root();
    let spare = Figures::spare(work);
    let (people, more_people) = people(figures);
    let (waiting, more_waiting) = cut(figures.waiting.clone(), ROWS);
    let (single, more_single) = cut(names(&figures.single), 3 * ROWS);
    let (weak, more_weak) = cut(figures.weak.clone(), ROWS);
    Page {
        origin: root.origin.to_string(),
        date: source.date,
        revision: source.revision,
        version: env!("CARGO_PKG_VERSION"),
        root: root.number.to_string(),
        anchor: format!("root:{}", work.head.digest()),
        tiles: tiles(work, figures),
        rules: format!(
            "{} janitors; {} decide about people, ownership and sources, {} about upkeep, {} about what nobody owns",
            root.janitors.len(),
            root.quorum,
            root.upkeep,
            root.unclaimed
        ),
        bars: bars(figures),
        people,
        more_people,
        waiting,
        more_waiting,
        ahead: figures.ahead,
        problems: figures.problems,
        spare,
        spare_text: match spare {
            0 => "one lost key stops everything: no root could be signed any more",
            1 => "with a second lost key, no root could be signed any more",
            _ => "beyond that, no root could be signed any more",
        },
        narrow: number_of(Figures::narrow(work)),
        margins: margins(figures),
        single,
        more_single,
        out_of_reach: names(&figures.out_of_reach),
        archives: archives(figures),
        weak,
        more_weak,
        unreadable: figures.unreadable,
        growth: growth(states, source.committed),
    }
    .render()
    .map_err(CommandError::io)
}

fn tiles(work: &Work, figures: &Figures) -> Vec<Tile> {
    let counts = &work.report.counts;
    let signed = counts.packages.saturating_sub(counts.unsigned);
    vec![
        Tile {
            value: percent(signed, counts.packages),
            label: "of packages signed",
            note: format!("{} of {}", number_of(signed), number_of(counts.packages)),
        },
        Tile {
            value: percent(figures.claimed, counts.packages),
            label: "of packages have owners",
            note: format!(
                "{} of {}",
                number_of(figures.claimed),
                number_of(counts.packages)
            ),
        },
        Tile {
            value: number_of(counts.releases),
            label: "releases",
            note: format!(
                "{} of {} statements approved",
                number_of(figures.approved),
                number_of(figures.statements)
            ),
        },
        Tile {
            value: number_of(figures.waiting.len()),
            label: "statements wait",
            note: match figures.ahead {
                0 => "no approval runs ahead".to_owned(),
                1 => "1 approval runs ahead".to_owned(),
                many => format!("{} approvals run ahead", number_of(many)),
            },
        },
    ]
}

fn bars(figures: &Figures) -> Vec<Titled> {
    let bar = |title, counts: &BTreeMap<Share, usize>| {
        let total: usize = counts.values().sum();
        let segments = Share::ALL.into_iter().filter_map(|share| {
            let count = *counts.get(&share)?;
            Some(segment(
                share.label().to_owned(),
                class(share),
                count,
                total,
            ))
        });
        Titled {
            title,
            total: number_of(total),
            bar: Bar {
                segments: segments.collect(),
            },
        }
    };
    vec![
        bar(
            "Releases, by who stands behind their files",
            &figures.releases,
        ),
        bar(
            "Packages, by who stands behind their list of releases",
            &figures.packages,
        ),
    ]
}

fn class(share: Share) -> &'static str {
    match share {
        Share::By(Basis::Owners) => "c1",
        Share::By(Basis::Quorum) => "c2",
        Share::By(Basis::Few) => "c3",
        Share::Waiting => "c4",
        Share::Unsigned => "c5",
    }
}

fn margins(figures: &Figures) -> Bar {
    let labels = [
        ("exactly as many people as they need", "c4"),
        ("one more", "c3"),
        ("two more", "c2"),
        ("three more, or above", "c1"),
    ];
    let total: usize = figures.margins.iter().sum();
    let segments = labels
        .into_iter()
        .zip(figures.margins)
        .filter(|(_, count)| *count > 0)
        .map(|((label, class), count)| segment(label.to_owned(), class, count, total));
    Bar {
        segments: segments.collect(),
    }
}

fn archives(figures: &Figures) -> Bar {
    let total: usize = figures.archives.values().sum();
    let labels = [
        (Strength::Strong, "SHA-256 or SHA-512", "c2"),
        (Strength::Weak, "only MD5 or SHA-1", "c4"),
        (Strength::None, "no checksum at all", "c5"),
    ];
    let segments = labels.into_iter().filter_map(|(strength, label, class)| {
        let count = *figures.archives.get(&strength)?;
        Some(segment(label.to_owned(), class, count, total))
    });
    Bar {
        segments: segments.collect(),
    }
}

fn segment(label: String, class: &'static str, count: usize, total: usize) -> Segment {
    Segment {
        label,
        class,
        count: number_of(count),
        share: format!("{:.3}", share(count, total)),
        percent: percent(count, total),
    }
}

/// Returns the rows of people: janitors first, then those for whom most statements wait, then those on whom
/// most depend.
fn people(figures: &Figures) -> (Vec<PersonRow>, usize) {
    let mut people: Vec<(&Id, &PersonFigures)> = figures.people.iter().collect();
    people.sort_by_key(|(_, it)| core::cmp::Reverse((it.role == "janitor", it.awaited, it.stands)));
    let row = |(id, it): (&Id, &PersonFigures)| PersonRow {
        id: id.to_string(),
        role: it.role,
        stands: number_of(it.stands),
        alone: it.alone.map_or_else(|| "–".to_owned(), number_of),
        owns: number_of(it.owns),
        awaited: number_of(it.awaited),
    };
    cut(people.into_iter().map(row).collect(), ROWS)
}

fn growth(states: &[State], committed: usize) -> Option<Growth> {
    let (first, last) = (states.first()?, states.last()?);
    let days: Vec<Date> = states.iter().map(|state| state.date).collect();
    let values = |of: fn(&State) -> usize| states.iter().map(|it| count(of(it))).collect();
    let packages = [
        Series {
            label: "packages",
            class: "c5",
            values: values(|it| it.packages),
        },
        Series {
            label: "signed",
            class: "c2",
            values: values(|it| it.signed),
        },
        Series {
            label: "with owners",
            class: "c1",
            values: values(|it| it.claimed),
        },
    ];
    let releases = [Series {
        label: "releases",
        class: "c3",
        values: values(|it| it.releases),
    }];
    Some(Growth {
        packages: plot::lines("packages over time", &days, &packages)?,
        releases: plot::lines("releases over time", &days, &releases)?,
        from: first.date.day(),
        to: last.date.day(),
        committed,
        goes_on: committed < states.len(),
    })
}

fn names(packages: &[PackageName]) -> Vec<String> {
    packages.iter().map(ToString::to_string).collect()
}

/// Returns the first items of a list, and how many others there are.
fn cut<T>(mut all: Vec<T>, most: usize) -> (Vec<T>, usize) {
    let more = all.len().saturating_sub(most);
    all.truncate(most);
    (all, more)
}

#[expect(clippy::cast_precision_loss, reason = "a picture needs no more")]
fn count(value: usize) -> f64 {
    value as f64
}

fn number_of(value: usize) -> String {
    number(count(value))
}

fn share(part: usize, whole: usize) -> f64 {
    count(part) * 100.0 / count(whole.max(1))
}

/// Formats a share so that it never reads as all or nothing unless it is.
fn percent(part: usize, whole: usize) -> String {
    match share(part, whole) {
        _ if part == 0 => "0 %".to_owned(),
        _ if part == whole => "100 %".to_owned(),
        share if share < 1.0 => "< 1 %".to_owned(),
        share if share > 99.0 => "> 99 %".to_owned(),
        share => format!("{share:.0} %"),
    }
}
