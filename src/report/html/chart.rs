//! [`Chart`]: what can be drawn, each as inline SVG in two sizes, whose colours are the page's own and so follow its
//! light and dark.

use maud::{Markup, PreEscaped, html};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;

use crate::report::text::thousands;

/// A colour by its role; the stylesheet says what it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Words and axes.
    Text,
    /// Lines behind the data.
    Grid,
    /// What is there: mapped, gained, answered.
    Good,
    /// What is missing or lost.
    Bad,
    /// A measure over time.
    Main,
    /// A limit or a target.
    Limit,
}

impl Colour {
    const ALL: [Self; 6] = [Self::Text, Self::Grid, Self::Good, Self::Bad, Self::Main, Self::Limit];

    /// A colour that stands for the role until the drawing is done; nothing else in it has one like it.
    const fn placeholder(self) -> RGBColor {
        RGBColor(1, 1, self as u8)
    }

    const fn variable(self) -> &'static str {
        match self {
            Self::Text => "var(--dim)",
            Self::Grid => "var(--line)",
            Self::Good => "var(--have)",
            Self::Bad => "var(--lack)",
            Self::Main => "var(--main)",
            Self::Limit => "var(--limit)",
        }
    }
}

/// A bar of parts, one behind the other.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it stands for.
    pub label: String,
    /// Its parts and their lengths.
    pub parts: Vec<(Colour, f64)>,
}

impl Bar {
    fn length(&self) -> f64 {
        self.parts.iter().map(|(_, length)| length).sum()
    }
}

/// What is drawn.
#[derive(Debug, Clone)]
pub enum Chart {
    /// A measure over seconds, and the limit that it is held against.
    Rate {
        /// Seconds and the measure.
        points: Vec<(f64, f64)>,
        /// What it must not exceed in the long run.
        ceiling: Option<f64>,
        /// What is measured.
        unit: &'static str,
    },
    /// Bars that stand side by side, such as months.
    Columns(Vec<Bar>),
    /// Bars that lie below each other, of percentages.
    Percentages {
        /// The bars.
        bars: Vec<Bar>,
        /// What they should reach.
        target: Option<f64>,
    },
    /// Amounts above and below zero, in order.
    Amounts(Vec<f64>),
    /// The way from one amount to another, step by step.
    Waterfall {
        /// Where it begins.
        from: f64,
        /// What each step adds.
        steps: Vec<f64>,
    },
}

/// Width, height and the size of letters, in pixels.
#[derive(Debug, Clone, Copy)]
struct Size {
    width: u32,
    height: u32,
    letters: u32,
}

const WIDE: Size = Size { width: 900, height: 250, letters: 16 };
const NARROW: Size = Size { width: 340, height: 210, letters: 14 };

/// The chart as a figure, its caption below it; `described` is for those who do not see it, and its beginning, up to a
/// semicolon, is the title.
pub fn figure(chart: &Chart, caption: &str, described: &str) -> Markup {
    html! {
        figure {
            figcaption.title { (described.split(';').next().unwrap_or_default()) }
            div.chart.wide role="img" aria-label=(described) { (svg(chart, WIDE)) }
            div.chart.narrow role="img" aria-label=(described) { (svg(chart, NARROW)) }
            figcaption { (caption) }
        }
    }
}

fn svg(chart: &Chart, size: Size) -> Markup {
    let mut text = String::new();
    let height = match chart {
        Chart::Percentages { bars, .. } => 60 + 38 * bars.len() as u32,
        _ => size.height,
    };
    let size = Size { height, ..size };
    let drawn = {
        let area = SVGBackend::with_string(&mut text, (size.width, size.height)).into_drawing_area();
        draw(chart, size, &area).and_then(|()| area.present())
    };
    if drawn.is_err() {
        // Drawing into memory fails only for a range that no axis can show; the numbers stand in the tables.
        return html! { p { "This cannot be drawn." } };
    }
    // Inside of HTML the namespace is implied.
    let mut text = text.replace(" xmlns=\"http://www.w3.org/2000/svg\"", "");
    for colour in Colour::ALL {
        let RGBColor(red, green, blue) = colour.placeholder();
        text = text
            .replace(&format!("\"#{red:02X}{green:02X}{blue:02X}\""), &format!("\"{}\"", colour.variable()));
    }
    // The backend escapes what it is given.
    PreEscaped(text)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(chart: &Chart, size: Size, area: &Area<'a>) -> Drawn<'a> {
    match chart {
        Chart::Rate { points, ceiling, unit } => draw_rate(points, *ceiling, unit, size, area),
        Chart::Columns(bars) => draw_columns(bars, size, area),
        Chart::Percentages { bars, target } => draw_percentages(bars, *target, size, area),
        Chart::Amounts(amounts) => draw_amounts(amounts, size, area),
        Chart::Waterfall { from, steps } => draw_waterfall(*from, steps, size, area),
    }
}

/// Two bars of the whole, and between them the steps, each beginning where the one before it ended. The axis shows the
/// part in which they move: against the whole amounts the steps would be lines.
fn draw_waterfall<'a>(from: f64, steps: &[f64], size: Size, area: &Area<'a>) -> Drawn<'a> {
    let mut levels = vec![from];
    steps.iter().for_each(|step| levels.push(levels[levels.len() - 1] + step));
    let lowest = levels.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = levels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let margin = ((highest - lowest) * 0.15).max(0.01);
    let (bottom, top) = (lowest - margin, highest + margin);
    let last = levels[levels.len() - 1];
    let bars = steps.len() + 2;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(size.letters * 2 + 16)
        .y_label_area_size(size.letters * 6)
        .build_cartesian_2d(Places { bars, labels: bars }, bottom..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(Colour::Grid.placeholder())
        .light_line_style(TRANSPARENT)
        .axis_style(Colour::Grid.placeholder())
        .label_style(letters(size))
        .y_labels(4)
        .x_label_formatter(&|place| place_in_waterfall(*place, bars))
        .y_label_formatter(&|amount| short(*amount))
        .x_desc("steps, by their numbers in the table")
        .y_desc("USD")
        .draw()?;
    let bar = |place: usize, low: f64, high: f64, colour: Colour| {
        let corners = [(place as f64 + 0.15, low), (place as f64 + 0.85, high)];
        Rectangle::new(corners, colour.placeholder().filled())
    };
    let way = steps.iter().zip(&levels).enumerate().map(|(number, (step, level))| {
        bar(number + 1, *level, level + step, if *step < 0.0 { Colour::Bad } else { Colour::Good })
    });
    let ends = [bar(0, bottom, from, Colour::Main), bar(bars - 1, bottom, last, Colour::Main)];
    chart.draw_series(way.chain(ends))?;
    Ok(())
}

/// The ends by their names, the steps by the numbers that the table below gives them.
fn place_in_waterfall(place: f64, bars: usize) -> String {
    match place as usize {
        0 => "expected".to_owned(),
        last if last + 1 == bars => "computed".to_owned(),
        step => step.to_string(),
    }
}

fn letters(size: Size) -> TextStyle<'static> {
    ("sans-serif", size.letters).into_font().color(&Colour::Text.placeholder())
}

fn draw_rate<'a>(
    points: &[(f64, f64)],
    ceiling: Option<f64>,
    unit: &str,
    size: Size,
    area: &Area<'a>,
) -> Drawn<'a> {
    let last = points.last().map_or(1.0, |(seconds, _)| *seconds).max(1.0);
    let highest = points.iter().map(|(_, rate)| *rate).chain(ceiling).fold(1.0_f64, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(20)
        .x_label_area_size(size.letters * 2 + 16)
        .y_label_area_size(size.letters * 5)
        .build_cartesian_2d(0.0..last, 0.0..highest * 1.15)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(Colour::Grid.placeholder())
        .light_line_style(TRANSPARENT)
        .axis_style(Colour::Grid.placeholder())
        .label_style(letters(size))
        .x_labels(if size.width < 500 { 4 } else { 9 })
        .y_labels(4)
        .x_label_formatter(&|seconds| time(*seconds))
        .y_label_formatter(&|rate| short(*rate))
        .x_desc("time since the track began")
        .y_desc(unit)
        .draw()?;
    let main = Colour::Main.placeholder();
    chart.draw_series(
        AreaSeries::new(points.iter().copied(), 0.0, main.mix(0.15)).border_style(main.stroke_width(2)),
    )?;
    if let Some(ceiling) = ceiling {
        let line = [(0.0, ceiling), (last, ceiling)];
        let style = Colour::Limit.placeholder().stroke_width(2);
        chart.draw_series(DashedLineSeries::new(line, 7, 5, style))?;
    }
    Ok(())
}

/// An axis with one unit a bar, and labels at the middle of every bar, or of each nth where they would be too many.
struct Places {
    bars: usize,
    labels: usize,
}

impl Ranged for Places {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (value / self.bars.max(1) as f64 * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let step = self.bars.div_ceil(self.labels.max(1)).max(1);
        (0..self.bars).step_by(step).map(|place| place as f64 + 0.5).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        0.0..self.bars.max(1) as f64
    }
}

fn draw_columns<'a>(bars: &[Bar], size: Size, area: &Area<'a>) -> Drawn<'a> {
    let highest = bars.iter().map(Bar::length).fold(1.0_f64, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(size.letters * 2 + 16)
        .y_label_area_size(size.letters * 5)
        .build_cartesian_2d(
            Places { bars: bars.len(), labels: size.width as usize / 85 },
            0.0..highest * 1.05,
        )?;
    let label = |place: &f64| bars.get(*place as usize).map(|bar| bar.label.clone()).unwrap_or_default();
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(Colour::Grid.placeholder())
        .light_line_style(TRANSPARENT)
        .axis_style(Colour::Grid.placeholder())
        .label_style(letters(size))
        .x_labels(bars.len())
        .y_labels(4)
        .x_label_formatter(&label)
        .y_label_formatter(&|count| short(*count))
        .x_desc("month (UTC)")
        .y_desc("tokens")
        .draw()?;
    for (place, bar) in bars.iter().enumerate() {
        let mut below = 0.0;
        for (colour, length) in &bar.parts {
            let corners = [(place as f64, below), (place as f64 + 1.0, below + length)];
            let mut part = Rectangle::new(corners, colour.placeholder().filled());
            let gap = if bars.len() > 60 { 0 } else { 2 };
            part.set_margin(0, 0, gap, gap);
            chart.draw_series([part])?;
            below += length;
        }
    }
    Ok(())
}

fn draw_percentages<'a>(bars: &[Bar], target: Option<f64>, size: Size, area: &Area<'a>) -> Drawn<'a> {
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .margin_right(24)
        .x_label_area_size(size.letters * 2 + 14)
        .y_label_area_size(size.letters * 8)
        .build_cartesian_2d(0.0..100.0, Places { bars: bars.len(), labels: bars.len() })?;
    // The first is at the top.
    let at = |place: usize| bars.len().saturating_sub(place + 1);
    let label = |place: &f64| bars.get(at(*place as usize)).map(|bar| bar.label.clone()).unwrap_or_default();
    chart
        .configure_mesh()
        .disable_y_mesh()
        .bold_line_style(Colour::Grid.placeholder())
        .light_line_style(TRANSPARENT)
        .axis_style(Colour::Grid.placeholder())
        .label_style(letters(size))
        .x_labels(6)
        .y_labels(bars.len())
        .x_label_formatter(&|percent| format!("{percent:.0}%"))
        .y_label_formatter(&label)
        .x_desc("percent")
        .draw()?;
    for (place, bar) in bars.iter().enumerate() {
        let mut before = 0.0;
        for (colour, length) in &bar.parts {
            let corners = [(before, at(place) as f64), (before + length, at(place) as f64 + 1.0)];
            let mut part = Rectangle::new(corners, colour.placeholder().filled());
            part.set_margin(5, 5, 0, 0);
            chart.draw_series([part])?;
            before += length;
        }
    }
    if let Some(target) = target {
        let line = [(target, 0.0), (target, bars.len() as f64)];
        chart.draw_series(DashedLineSeries::new(line, 6, 4, Colour::Limit.placeholder().stroke_width(2)))?;
    }
    Ok(())
}

fn draw_amounts<'a>(amounts: &[f64], size: Size, area: &Area<'a>) -> Drawn<'a> {
    let (lowest, highest) =
        amounts.iter().fold((0.0_f64, 0.0_f64), |(low, high), it| (low.min(*it), high.max(*it)));
    let room = ((highest - lowest) * 0.06).max(0.01);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(size.letters + 12)
        .y_label_area_size(size.letters * 6)
        .build_cartesian_2d(0.0..amounts.len().max(1) as f64, lowest - room..highest + room)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(Colour::Grid.placeholder())
        .light_line_style(TRANSPARENT)
        .axis_style(Colour::Grid.placeholder())
        .label_style(letters(size))
        .x_labels(0)
        .y_labels(5)
        .y_label_formatter(&|amount| {
            format!("{}${}", if *amount < 0.0 { "-" } else { "" }, short(amount.abs()))
        })
        .x_desc("positions, from the largest gain to the largest loss")
        .y_desc("USD")
        .draw()?;
    let bars = amounts.iter().enumerate().map(|(place, amount)| {
        let colour = if *amount > 0.0 { Colour::Good } else { Colour::Bad };
        let corners = [(place as f64 + 0.1, 0.0), (place as f64 + 0.9, *amount)];
        Rectangle::new(corners, colour.placeholder().filled())
    });
    chart.draw_series(bars)?;
    Ok(())
}

/// A number for an axis: `950`, `12k`, `1.5M`.
fn short(number: f64) -> String {
    let size = number.abs();
    let (scaled, unit) = match size {
        _ if size >= 1e9 => (number / 1e9, "B"),
        _ if size >= 1e6 => (number / 1e6, "M"),
        _ if size >= 1e4 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    if scaled.fract().abs() < 1e-9 && scaled >= 0.0 {
        return format!("{}{unit}", thousands(scaled as u64));
    }
    let text = format!("{scaled:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Seconds since the beginning for an axis: `40s`, `12m`, `2.5h`.
fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 5_400.0 => format!("{}h", short(seconds / 3_600.0)),
        _ if seconds >= 180.0 => format!("{}m", short(seconds / 60.0)),
        _ => format!("{}s", short(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(chart: &Chart) -> String {
        figure(chart, "caption", "described").into_string()
    }

    #[test]
    fn charts_have_the_pages_colours_and_load_nothing() {
        let bars = vec![Bar {
            label: "<b>2024-01".to_owned(),
            parts: vec![(Colour::Good, 3.0), (Colour::Bad, 1.0)],
        }];
        let charts = [
            Chart::Rate {
                points: vec![(0.0, 0.0), (1.0, 5.0)],
                ceiling: Some(5.0),
                unit: "requests a second",
            },
            Chart::Columns(bars.clone()),
            Chart::Percentages { bars, target: Some(95.0) },
            Chart::Amounts(vec![3.0, -2.5]),
            Chart::Waterfall { from: 90.0, steps: vec![-40.0, 12.5, 0.0] },
        ];
        for chart in &charts {
            let text = drawn(chart);
            assert!(text.contains("<svg") && text.contains("var(--"), "{text}");
            assert!(!text.contains("http") && !text.contains("#0101") && !text.contains("<b>"), "{text}");
            assert!(!text.contains("cannot be drawn"), "{text}");
        }
        assert!(drawn(&charts[0]).contains("var(--limit)"));
    }

    #[test]
    fn nothing_and_extremes_are_drawn_too() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(0.0, 1e40), (1e12, 0.0)]] {
            drawn(&Chart::Rate { points, ceiling: None, unit: "tokens a second" });
        }
        drawn(&Chart::Columns(Vec::new()));
        drawn(&Chart::Waterfall { from: 0.0, steps: Vec::new() });
        drawn(&Chart::Percentages { bars: Vec::new(), target: None });
        for amounts in [vec![], vec![0.0], vec![1e40, -1e40]] {
            drawn(&Chart::Amounts(amounts));
        }
    }

    #[test]
    fn axes_have_short_numbers() {
        assert_eq!(
            [0.0, 950.0, 1_500.0, 12_000.0, 2.5e6, -30_500.0].map(short),
            ["0", "950", "1,500", "12k", "2.5M", "-30.5k"]
        );
        assert_eq!([5.0, 240.0, 9_000.0].map(time), ["5s", "4m", "2.5h"]);
    }
}
