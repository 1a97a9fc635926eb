//! Pictures, as SVG with nothing but lines, areas and text. Colours are classes of the page's style.

use core::fmt::Write as _;

/// A line of a plot.
pub(super) struct Series {
    pub(super) label: &'static str,
    /// Of the style: `c1`, `c2`, ...
    pub(super) class: &'static str,
    pub(super) values: Vec<f64>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 30.0;

/// A plot of several lines over time; each position is days, each with its label.
pub(super) fn lines(title: &str, days: &[(f64, String)], series: &[Series]) -> String {
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return String::new();
    };
    let span = (last.0 - first.0).max(1.0);
    let most = series.iter().flat_map(|it| &it.values);
    let top = ceiling(most.fold(1.0_f64, |top, value| top.max(*value)));
    let across = |day: f64| LEFT + (day - first.0) / span * (WIDTH - LEFT - RIGHT);
    let up = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\" class=\"plot\">"
    );
    for step in 0..=4_u8 {
        let value = top * f64::from(step) / 4.0;
        let at = up(value);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            number(value)
        );
    }
    for (at, (anchor, day)) in ticks(days) {
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{day}</text>",
            across(at),
            HEIGHT - 8.0
        );
    }
    for one in series {
        let mut path = String::new();
        let mut end = (LEFT, up(0.0));
        for ((day, _), value) in days.iter().zip(&one.values) {
            end = (across(*day), up(*value));
            let step = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{step}{:.1} {:.1}", end.0, end.1);
        }
        let (from, to, base) = (across(first.0), across(last.0), up(0.0));
        let class = one.class;
        let _ = write!(
            svg,
            "<path class=\"area {class}\" d=\"{path}L{to:.1} {base:.1}L{from:.1} {base:.1}Z\"/>\
             <path class=\"line {class}\" d=\"{path}\"><title>{}</title></path>\
             <circle class=\"dot {class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"/>",
            one.label, end.0, end.1
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The first, the middle and the last day.
fn ticks(days: &[(f64, String)]) -> Vec<(f64, (&'static str, &str))> {
    let pick = |at: usize, anchor| {
        days.get(at)
            .map(|(day, label)| (*day, (anchor, label.as_str())))
    };
    match days.len() {
        0 => Vec::new(),
        1 => pick(0, "start").into_iter().collect(),
        2 => [pick(0, "start"), pick(1, "end")]
            .into_iter()
            .flatten()
            .collect(),
        many => [
            pick(0, "start"),
            pick(many / 2, "middle"),
            pick(many - 1, "end"),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

/// The next number above that is read easily.
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

/// A number with a comma before each three digits.
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
        let series = Series {
            label: "packages",
            class: "c1",
            values: vec![3.0],
        };
        let svg = lines("growth", &[(0.0, "2026-01-01".into())], &[series]);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
        assert!(!svg.contains("NaN"), "{svg}");
        assert_eq!(lines("growth", &[], &[]), "");
    }
}
