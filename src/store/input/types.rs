//! [`ColumnType`]: what kind of values a column holds, from the name of its type.

/// A column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct ColumnType {
    /// What it holds.
    pub(in crate::store) kind: Kind,
    /// Whether it may hold NULL.
    pub(in crate::store) nullable: bool,
    /// Whether it is kept as a dictionary.
    pub(in crate::store) dictionary: bool,
}

/// What values a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    /// Texts of any length.
    Text,
    /// Texts of so many bytes, shorter ones with NULs behind them.
    Fixed(u32),
    /// Whole numbers of so many bits.
    Integer {
        /// Whether below zero, too.
        signed: bool,
        /// 8 to 256.
        bits: u16,
    },
    /// Floating-point numbers.
    Float,
    /// Exact decimals.
    Decimal,
    /// True and false.
    Bool,
    /// One of these texts.
    Enum(Vec<String>),
    /// Days.
    Date,
    /// Seconds.
    DateTime,
    /// Parts of a second, so many decimals.
    DateTime64(u8),
    /// Arrays of another type.
    Array(Box<ColumnType>),
    /// Anything else.
    Other,
}

/// What stands between the parentheses of `name(…)`.
fn inside<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')
}

/// Arguments at the top level, apart at their commas; quoted texts and what is nested stay whole.
pub(in crate::store) fn arguments(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut depth, mut quote) = (Vec::new(), String::new(), 0_u32, None::<char>);
    let mut escaped = false;
    for c in text.chars() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '`' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(std::mem::take(&mut part).trim().to_owned());
                continue;
            }
            (None, _) => {}
        }
        part.push(c);
    }
    if !part.trim().is_empty() {
        parts.push(part.trim().to_owned());
    }
    parts
}

/// A quoted text or identifier without its quotes.
pub(in crate::store) fn unquoted(text: &str) -> String {
    let text = text.trim();
    let bare = ['\'', '`', '"']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text);
    let mut out = String::new();
    let mut escaped = false;
    for c in bare.chars() {
        if c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        escaped = false;
        out.push(c);
    }
    out
}

impl ColumnType {
    /// The type of this name, as ClickHouse prints it.
    pub(in crate::store) fn parse(name: &str) -> Self {
        if let Some(inner) = inside(name, "LowCardinality") {
            return Self { dictionary: true, ..Self::parse(inner) };
        }
        if let Some(inner) = inside(name, "Nullable") {
            return Self { nullable: true, ..Self::parse(inner) };
        }
        if let Some(inner) = inside(name, "SimpleAggregateFunction").and_then(|it| it.split_once(", ")) {
            return Self::parse(inner.1);
        }
        Self { kind: Kind::parse(name), nullable: false, dictionary: false }
    }
}

impl Kind {
    fn parse(name: &str) -> Self {
        if let Some(bytes) = inside(name, "FixedString") {
            return bytes.parse().map_or(Self::Other, Self::Fixed);
        }
        if let Some(inner) = inside(name, "Array") {
            return Self::Array(Box::new(ColumnType::parse(inner)));
        }
        if let Some(values) = inside(name, "Enum8").or_else(|| inside(name, "Enum16")) {
            let names = arguments(values);
            let name = |it: &String| it.rsplit_once('=').map(|(name, _)| unquoted(name));
            return Self::Enum(names.iter().filter_map(name).collect());
        }
        if let Some(scale) = inside(name, "DateTime64") {
            let scale = arguments(scale).first().and_then(|scale| scale.parse().ok());
            return scale.map_or(Self::Other, Self::DateTime64);
        }
        if let Some(bits) = name.strip_prefix("UInt").and_then(|bits| bits.parse().ok()) {
            return Self::Integer { signed: false, bits };
        }
        if let Some(bits) = name.strip_prefix("Int").and_then(|bits| bits.parse().ok()) {
            return Self::Integer { signed: true, bits };
        }
        match name {
            "String" => Self::Text,
            "Bool" => Self::Bool,
            "Float32" | "Float64" => Self::Float,
            "Date" | "Date32" => Self::Date,
            "DateTime" => Self::DateTime,
            _ if name.starts_with("DateTime(") => Self::DateTime,
            _ if name.starts_with("Decimal") => Self::Decimal,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart_by_their_names() {
        let plain = |kind| ColumnType { kind, nullable: false, dictionary: false };
        for (name, expected) in [
            ("String", plain(Kind::Text)),
            ("FixedString(78)", plain(Kind::Fixed(78))),
            ("UInt256", plain(Kind::Integer { signed: false, bits: 256 })),
            ("Int8", plain(Kind::Integer { signed: true, bits: 8 })),
            ("DateTime('UTC')", plain(Kind::DateTime)),
            ("DateTime64(3, 'UTC')", plain(Kind::DateTime64(3))),
            ("Decimal(18, 6)", plain(Kind::Decimal)),
            ("SimpleAggregateFunction(anyLast, String)", plain(Kind::Text)),
            ("Enum8('Yes' = 1, 'It\\'s, no' = 2)", plain(Kind::Enum(vec!["Yes".into(), "It's, no".into()]))),
            ("Array(UInt8)", plain(Kind::Array(Box::new(plain(Kind::Integer { signed: false, bits: 8 }))))),
            ("Map(String, String)", plain(Kind::Other)),
            ("Interval", plain(Kind::Other)),
        ] {
            assert_eq!(ColumnType::parse(name), expected, "{name}");
        }
        let both = ColumnType::parse("LowCardinality(Nullable(String))");
        assert_eq!(both, ColumnType { kind: Kind::Text, nullable: true, dictionary: true });
    }
}
