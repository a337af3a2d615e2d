//! What the sections of the report are made of: tables, cards, marks.

use jiff::Timestamp;
use maud::{Markup, html};

/// `2026-11-23 05:20:55 UTC`
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A large number with what it is.
pub fn card(number: &str, what: &str, class: &str) -> Markup {
    html! { div.card { b class=(class) { (number) } span { (what) } } }
}

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Words.
    Words(&'static str),
    /// Numbers, to the right.
    Number(&'static str),
    /// Long ids.
    Id(&'static str),
}

impl Column {
    const fn title(self) -> &'static str {
        match self {
            Self::Words(title) | Self::Number(title) | Self::Id(title) => title,
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Words(_) => "",
            Self::Number(_) => "n",
            Self::Id(_) => "id",
        }
    }
}

/// A table; where it is too wide for a phone, each row becomes a small list there.
pub fn table(columns: &[Column], rows: &[Vec<Markup>]) -> Markup {
    let wide = columns.len() > 4 || columns.iter().any(|it| matches!(it, Column::Id(_)));
    html! {
        div.scroll {
            table.stack[wide] {
                thead { tr { @for column in columns { th class=(column.class()) { (column.title()) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (place, (column, cell)) in columns.iter().zip(row).enumerate() {
                                td class=(column.class()) data-name=[name(place, *column)] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a cell is called where its heading is not shown: the first one says whose the others are.
fn name(place: usize, column: Column) -> Option<&'static str> {
    (place > 0).then(|| column.title())
}

/// A cell of text.
pub fn cell(text: impl AsRef<str>) -> Markup {
    html! { (text.as_ref()) }
}

/// A verdict in a word, coloured.
pub fn mark(passed: Option<bool>) -> Markup {
    match passed {
        Some(true) => html! { span.good.mark { "✓ passed" } },
        Some(false) => html! { span.bad.mark { "✗ not passed" } },
        None => html! { span.dim { "–" } },
    }
}
