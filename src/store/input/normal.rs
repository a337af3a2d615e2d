//! Expressions that read a column of any fitting type as the one that all statements expect.

use super::types::{ColumnType, Kind};

/// What a column is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Role {
    /// A text, as an id, a wallet or a label.
    Text,
    /// A condition id, which keeps its NULs: what reads it knows them.
    Condition,
    /// BUY or SELL, in any case.
    Side,
    /// An amount.
    Amount,
    /// An outcome index: 0, 1, or 255 for anything else.
    Index,
    /// A moment, as a `DateTime` in UTC.
    Moment,
    /// What is only compared with others of its column: which row is newer.
    Order,
    /// Whether something is so: 1 or 0.
    Flag,
    /// A payout vector, as an array of texts.
    Vector,
    /// A number, as a text.
    Number,
    /// The index of a winner, 65535 for none.
    WinningIndex,
    /// Whether a moment is given at all: 1 or 0.
    Given,
}

/// How a column is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Expression {
    /// The SQL.
    pub(in crate::store) sql: String,
    /// Whether it is the column itself, under its own name.
    pub(in crate::store) bare: bool,
}

/// How `column`, quoted, of this type is read for a role; `None` where it cannot be.
pub(in crate::store) fn read(role: Role, column: &str, of: &ColumnType) -> Option<Expression> {
    let bare = || Some(Expression { sql: column.to_owned(), bare: true });
    let made = |sql: String| Some(Expression { sql, bare: false });
    let is_scalar = !matches!(of.kind, Kind::Array(_) | Kind::Other);
    match role {
        Role::Text if of.kind == Kind::Text && !of.nullable && !of.dictionary => bare(),
        Role::Text => made(text(column, of)?),
        Role::Condition => match of.kind {
            Kind::Text | Kind::Fixed(_) if !of.nullable && !of.dictionary => bare(),
            Kind::Fixed(size) if size < 62 => None,
            Kind::Text | Kind::Fixed(_) => made(format!("ifNull(toString({column}), '')")),
            _ => None,
        },
        Role::Side => match of.kind {
            Kind::Text if !of.nullable => bare(),
            Kind::Text | Kind::Fixed(_) | Kind::Enum(_) => made(text(column, of)?),
            _ => None,
        },
        Role::Amount => match of.kind {
            Kind::Float if !of.nullable && !of.dictionary => bare(),
            _ => made(amount(column, of)?),
        },
        Role::Index => match of.kind {
            Kind::Integer { signed: false, bits: 8 } if !of.nullable && !of.dictionary => bare(),
            Kind::Bool => made(format!("ifNull(toUInt8({column}), 255)")),
            _ => {
                let text = text(column, of)?;
                made(format!("toUInt8(transform(trimBoth({text}), ['0', '1'], [0, 1], 255))"))
            }
        },
        Role::Moment => match of.kind {
            Kind::DateTime if !of.nullable && !of.dictionary => bare(),
            _ => made(moment(column, of)?),
        },
        Role::Order if !is_scalar => None,
        Role::Order if !of.nullable && !of.dictionary => bare(),
        Role::Order => made(format!("assumeNotNull({column})")),
        Role::Flag => match of.kind {
            Kind::Integer { signed: false, bits: 8 } if !of.nullable && !of.dictionary => bare(),
            _ if is_scalar => made(format!(
                "toUInt8(lower(trimBoth({})) IN ('1', 'true', 'yes', 'closed'))",
                text(column, of)?
            )),
            _ => None,
        },
        Role::Vector => match &of.kind {
            Kind::Array(item) if !matches!(item.kind, Kind::Array(_) | Kind::Other) => {
                made(format!("arrayMap(part -> ifNull(toString(part), ''), {column})"))
            }
            Kind::Text => {
                made(format!("extractAll(ifNull(toString({column}), ''), '-?[0-9]+(?:[.][0-9]+)?')"))
            }
            _ => None,
        },
        Role::Number => made(format!("trimBoth({})", text(column, of)?)),
        Role::WinningIndex => {
            let text = text(column, of)?;
            made(format!("ifNull(toUInt64OrNull(trimBoth({text})), 65535)"))
        }
        Role::Given => {
            let text = text(column, of)?;
            made(format!(
                "toUInt8({text} NOT IN ('', '0', '0.0') AND NOT match({text}, '^(1970-01-01|1969-12-31|1900-01-01)'))"
            ))
        }
    }
}

/// Any scalar as a text; NULL as an empty one.
fn text(column: &str, of: &ColumnType) -> Option<String> {
    match of.kind {
        Kind::Array(_) | Kind::Other => None,
        Kind::Fixed(_) => Some(format!("toStringCutToZero(ifNull(toString({column}), ''))")),
        Kind::Text if !of.nullable => Some(format!("toString({column})")),
        _ if of.nullable => Some(format!("ifNull(toString({column}), '')")),
        _ => Some(format!("toString({column})")),
    }
}

/// An amount as a floating-point number, NaN where it is none.
fn amount(column: &str, of: &ColumnType) -> Option<String> {
    match of.kind {
        Kind::Float | Kind::Decimal | Kind::Integer { .. } => {
            Some(format!("ifNull(toFloat64({column}), nan)"))
        }
        // What is no decimal is no amount, whatever a float would make of it.
        Kind::Text | Kind::Fixed(_) => {
            let text = format!("trimBoth({})", text(column, of)?);
            Some(format!(
                "if(toDecimal256OrNull({text}, 30) IS NULL, nan, ifNull(toFloat64OrNull({text}), nan))"
            ))
        }
        _ => None,
    }
}

/// An amount as the exact text of a decimal, times `factor`, which is one where there is none.
pub(in crate::store) fn amount_text(column: &str, of: &ColumnType, factor: Option<&str>) -> Option<String> {
    let exact = match of.kind {
        Kind::Text | Kind::Fixed(_) => format!("trimBoth({})", text(column, of)?),
        _ => format!("ifNull(toString({column}), 'nan')"),
    };
    let Some(factor) = factor else { return Some(exact) };
    let value = amount(column, of)?;
    // Beyond that it is no amount of the table's, and the product would wrap.
    Some(format!(
        "if(abs({value}) <= 1e18, \
           ifNull(toString(toDecimal256OrNull({exact}, 30) * toDecimal256('{factor}', 6)), 'nan'), toString({value}))"
    ))
}

/// A moment of any kind, in seconds since 1970.
fn moment(column: &str, of: &ColumnType) -> Option<String> {
    match of.kind {
        Kind::Date | Kind::DateTime | Kind::DateTime64(_) => {
            Some(format!("ifNull(toDateTime({column}, 'UTC'), toDateTime(0, 'UTC'))"))
        }
        // Seconds, or thousandths, millionths or billionths of them, by their size.
        Kind::Integer { .. } => {
            let at = format!("toInt64(ifNull({column}, 0))");
            Some(format!(
                "toDateTime(toUInt32(greatest(0, least(4294967295, multiIf({at} > 100000000000000000, \
                 intDiv({at}, 1000000000), {at} > 100000000000000, intDiv({at}, 1000000), \
                 {at} > 100000000000, intDiv({at}, 1000), {at})))), 'UTC')"
            ))
        }
        Kind::Text => Some(format!("parseDateTimeBestEffortOrZero({}, 'UTC')", text(column, of)?)),
        _ => None,
    }
}
