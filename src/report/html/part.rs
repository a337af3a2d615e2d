//! What the sections of the report are made of: fields of results, tables, cards.

use maud::{Markup, html};
use serde_json::Value;

use super::numbers::shown;

/// A field of a result by its way through the objects, null where there is none.
pub fn at<'a>(result: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(result, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// A field as a person reads it.
pub fn told(result: &Value, path: &[&str]) -> String {
    shown(path.last().copied().unwrap_or_default(), at(result, path))
}

/// A field as a length in a chart; nothing where it is no number. A chart needs no more than a float's digits.
pub fn length(result: &Value, path: &[&str]) -> f64 {
    match at(result, path) {
        Value::String(text) => text.parse().unwrap_or_default(),
        value => value.as_f64().unwrap_or_default(),
    }
}

/// The items of a list, none where there is no such list.
pub fn items<'a>(result: &'a Value, path: &[&str]) -> &'a [Value] {
    at(result, path).as_array().map_or(&[], Vec::as_slice)
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
                            @for (column, cell) in columns.iter().zip(row) {
                                td class=(column.class()) data-name=[name(*column)] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a cell is called where its heading is not shown: words speak for themselves.
fn name(column: Column) -> Option<&'static str> {
    match column {
        Column::Number(title) => Some(title),
        Column::Words(_) | Column::Id(_) => None,
    }
}

/// A cell of text.
pub fn cell(text: impl AsRef<str>) -> Markup {
    html! { (text.as_ref()) }
}

/// A verdict in a word, coloured.
pub fn mark(passed: Option<bool>) -> Markup {
    match passed {
        Some(true) => html! { span.good { "✓ passed" } },
        Some(false) => html! { span.bad { "✗ not passed" } },
        None => html! { span.dim { "–" } },
    }
}
