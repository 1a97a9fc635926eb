//! Plots: lines and areas as SVG that stretches to the available width. Their labels are text beside it, so
//! they keep the size of all other text. Colours are classes of the page's style.

use core::fmt::Write as _;

use askama::Template;
use conex_repo::git::history::Date;

/// One line of a plot.
pub(super) struct Series {
    pub(super) label: &'static str,
    /// A class of the style: `c1`, `c2`, ...
    pub(super) class: &'static str,
    pub(super) values: Vec<f64>,
}

/// A plot of several lines over time, in a square of a hundred units.
#[derive(Template)]
#[template(path = "plot.html")]
pub(super) struct Plot {
    title: &'static str,
    /// The final values, for readers who do not see the plot.
    said: String,
    /// The values on the left axis, from the top.
    scale: Vec<String>,
    grid: String,
    lines: Vec<Line>,
    /// The days on the bottom axis, evenly spread.
    days: Vec<String>,
}

struct Line {
    class: &'static str,
    path: String,
    /// The path that closes the area below the line.
    close: String,
    end: String,
}

/// The number of steps of the scale.
const STEPS: u8 = 4;

/// Plots lines over days. Returns `None` without any day.
pub(super) fn lines(title: &'static str, dates: &[Date], series: &[Series]) -> Option<Plot> {
    let (first, last) = (dates.first()?, dates.last()?);
    let most = series.iter().flat_map(|it| &it.values);
    let top = ceiling(most.fold(1.0_f64, |top, value| top.max(*value)));
    let across = |date: Date| {
        let whole = last.0.saturating_sub(first.0).max(1);
        float(date.0.saturating_sub(first.0)) * 100.0 / float(whole)
    };
    let up = |value: f64| 100.0 - value * 100.0 / top;
    let (mut scale, mut grid) = (Vec::new(), String::new());
    for step in (0..=STEPS).rev() {
        let value = top * f64::from(step) / f64::from(STEPS);
        scale.push(number(value));
        let _ = write!(grid, "M0 {:.2}H100", up(value));
    }
    let line = |one: &Series| {
        let mut path = String::new();
        let mut end = String::new();
        for (date, value) in dates.iter().zip(&one.values) {
            end = format!("{:.2} {:.2}", across(*date), up(*value));
            let step = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{step}{end}");
        }
        Line {
            class: one.class,
            path,
            close: format!("{:.2} 100L0 100Z", across(*last)),
            end,
        }
    };
    let said = series.iter().filter_map(|one| {
        let value = one.values.last()?;
        Some(format!("{} {}", number(*value), one.label))
    });
    Some(Plot {
        title,
        said: said.collect::<Vec<_>>().join(", "),
        scale,
        grid,
        lines: series.iter().map(line).collect(),
        days: days(*first, *last),
    })
}

/// Returns the first, the middle and the last day, without duplicates.
fn days(first: Date, last: Date) -> Vec<String> {
    let middle = Date(first.0.midpoint(last.0));
    let mut days: Vec<String> = [first, middle, last].map(Date::day).into();
    days.dedup();
    if let [_, _] = days.as_slice() {
        // With only two days, there is no middle one.
        days = vec![first.day(), last.day()];
    }
    days
}

#[expect(clippy::cast_precision_loss, reason = "a picture needs no more")]
fn float(value: i64) -> f64 {
    value as f64
}

/// Rounds up to the next number that is easy to read.
fn ceiling(value: f64) -> f64 {
    let mut step = 1.0;
    while step * 10.0 < value {
        step *= 10.0;
    }
    [1.0, 2.0, 4.0, 5.0, 8.0, 10.0]
        .into_iter()
        .map(|factor| factor * step)
        .find(|top| *top >= value)
        .unwrap_or(step * 10.0)
        .max(4.0)
}

/// Formats a number with commas between groups of three digits.
pub(super) fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + 4);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_on_round_numbers() {
        for (value, top) in [
            (0.0, 4.0),
            (1.0, 4.0),
            (7.0, 8.0),
            (11.0, 20.0),
            (4_596.0, 5_000.0),
        ] {
            assert!((ceiling(value) - top).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1_000.0, "1,000"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn one_state_is_a_plot_too() {
        let series = || Series {
            label: "packages",
            class: "c1",
            values: vec![3.0],
        };
        let plot = lines("growth", &[Date(0)], &[series()]).expect("there is a day");
        let text = plot.render().expect("a template of texts");
        assert!(text.contains("growth: 3 packages"), "{text}");
        assert!(!text.contains("NaN"), "{text}");
        assert_eq!(plot.days, ["1970-01-01"]);
        assert!(lines("growth", &[], &[series()]).is_none());
    }

    #[test]
    fn days_below_are_evenly_spread_and_differ() {
        let day = 86_400;
        for (last, below) in [
            (day - 1, &["1970-01-01"][..]),
            (day, &["1970-01-01", "1970-01-02"]),
            (2 * day, &["1970-01-01", "1970-01-02", "1970-01-03"]),
        ] {
            assert_eq!(days(Date(0), Date(last)), below);
        }
    }
}
