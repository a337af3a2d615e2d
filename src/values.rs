//! What single settings are: [`Secret`], [`HttpUrl`], [`RateLimit`], [`Percent`]. Each is checked where it is read and
//! passed on as what it is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use url::Url;

/// A key or a password: never printed, never serialized.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A text in which it does not stand; some gateways repeat what they refuse. A secret of fewer than six characters
    /// stands in many words, and is not looked for.
    pub fn hidden_in(&self, text: &str) -> String {
        hide(text, &self.0)
    }
}

/// The text without a secret.
pub fn hide(text: &str, secret: &str) -> String {
    const SHORTEST: usize = 6;
    if secret.len() < SHORTEST { text.to_owned() } else { text.replace(secret, "***") }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a setting's value is not one: the text says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSetting(String);

pub(crate) fn bad(message: impl Into<String>) -> BadSetting {
    BadSetting(message.into())
}

/// Reads a secret from a setting: any text.
pub(crate) fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::from(text))
}

/// Reads an API's key from a setting, without the blanks around it; `None` where the setting is empty.
pub(crate) fn api_key(text: &str) -> Result<Option<Secret>, BadSetting> {
    let key = text.trim();
    if key.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err(bad("holds a character that no key has (a space, a line break?)"));
    }
    Ok(Some(key).filter(|key| !key.is_empty()).map(Secret::from))
}

/// Reads a setting by a function whose message does not repeat the value, as clap's own messages do: the value may be a
/// key, or carry one.
#[derive(Clone)]
pub(crate) struct SecretParser<T>(pub(crate) fn(&str) -> Result<T, BadSetting>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for SecretParser<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<T, clap::Error> {
        let setting = arg.and_then(clap::Arg::get_env).map(|name| name.to_string_lossy().into_owned());
        let flag = || arg.and_then(clap::Arg::get_long).map(|name| format!("--{name}"));
        let name = setting.or_else(flag).unwrap_or_default();
        let refused = |why: &str| {
            clap::Error::raw(ErrorKind::ValueValidation, format!("{name} {why}\n")).with_cmd(command)
        };
        let text = value.to_str().ok_or_else(|| refused("is no text in UTF-8"))?;
        (self.0)(text).map_err(|error| refused(&error.to_string()))
    }
}

/// Reads `30s`, `15m`, `1h 30m` from a setting: a time above zero and of at most a day.
pub(crate) fn duration(text: &str) -> Result<Duration, BadSetting> {
    let day = Duration::from_secs(86_400);
    humantime::parse_duration(text)
        .ok()
        .filter(|time| !time.is_zero() && *time <= day)
        .ok_or_else(|| bad("expected a time such as 30s, 15m or 1h, above zero and at most 24h"))
}

/// An `http` or `https` URL. Printed without the user, password and query that it may carry, since those can be keys.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(Url);

impl HttpUrl {
    /// The URL as it is sent to, credentials taken out.
    pub fn endpoint(&self) -> Url {
        let mut url = self.0.clone();
        // Neither can fail: an http URL with a host can be without user and password.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url
    }

    /// The user and password that stand in the URL, percent-decoding left to nobody: such characters belong into
    /// the settings of their own.
    pub(crate) fn credentials(&self) -> (Option<&str>, Option<&str>) {
        (Some(self.0.username()).filter(|user| !user.is_empty()), self.0.password())
    }
}

impl FromStr for HttpUrl {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        // The text is not repeated: a URL may carry a password.
        let url = Url::parse(text.trim()).map_err(|error| bad(format!("is not a URL ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(bad("must begin with http:// or https:// and name a host"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.endpoint();
        url.set_query(None);
        f.write_str(url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({self})")
    }
}

/// One window of a published limit: at most `requests` requests in any `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many requests.
    pub requests: usize,
    /// In how long a time, sliding.
    pub window: Duration,
}

/// All windows of an API's limit, such as `100/10s,10/1s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit(pub Vec<Window>);

impl RateLimit {
    /// Requests a second that all windows together allow in the long run.
    pub fn per_second(&self) -> f64 {
        let pace = |it: &Window| it.requests as f64 / it.window.as_secs_f64();
        self.0.iter().map(pace).fold(f64::INFINITY, f64::min)
    }
}

impl FromStr for RateLimit {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let window = |part: &str| {
            let (requests, window) = part.trim().split_once('/')?;
            let requests = requests.trim().parse().ok().filter(|n| (1..=1_000_000).contains(n))?;
            let window = humantime::parse_duration(window.trim()).ok()?;
            let in_range = (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&window);
            in_range.then_some(Window { requests, window })
        };
        let windows: Option<Vec<_>> = text.split(',').map(window).collect();
        windows.map(Self).ok_or_else(|| bad("expected N/window, several with commas, such as 100/10s,10/1s"))
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Window { requests, window }) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{requests}/{}", humantime::format_duration(*window))?;
        }
        Ok(())
    }
}

/// A percentage, exact to a millionth of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    millionths: u64,
}

impl Percent {
    /// Parts of [`Percent::DENOMINATOR`]: 95 % is 95,000,000 of 100,000,000.
    pub const fn numerator(self) -> u64 {
        self.millionths
    }

    /// What [`Percent::numerator`] is a part of.
    pub const DENOMINATOR: u64 = 100_000_000;

    /// A whole number of percent.
    pub const fn whole(percent: u32) -> Self {
        Self { millionths: percent as u64 * 1_000_000 }
    }

    /// What is left of this after `other`; nothing where that is more.
    pub const fn minus(self, other: Self) -> Self {
        Self { millionths: self.millionths.saturating_sub(other.millionths) }
    }

    /// This share of `total`, rounded down.
    pub fn of(self, total: u64) -> u64 {
        // A share above 100 % of a count near 2^64 does not fit; no count of rows comes near.
        let part = u128::from(total) * u128::from(self.millionths) / u128::from(Self::DENOMINATOR);
        u64::try_from(part).unwrap_or(u64::MAX)
    }

    /// Whether `part` of `total` reaches this percentage, compared exactly. Of nothing at all nothing is missing.
    pub fn reached_by(self, part: u64, total: u64) -> bool {
        u128::from(part) * u128::from(Self::DENOMINATOR) >= u128::from(total) * u128::from(self.millionths)
    }
}

impl FromStr for Percent {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let expected =
            || bad("expected a percentage from 0 to 100 with at most 6 decimals, such as 95 or 99.5");
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 6 {
            return Err(expected());
        }
        let whole: u64 = whole.parse().ok().filter(|whole| *whole <= 100).ok_or_else(expected)?;
        let decimals: u64 = format!("{decimals:0<6}").parse().map_err(|_| expected())?;
        let millionths = whole * 1_000_000 + decimals;
        if millionths > Self::DENOMINATOR { Err(expected()) } else { Ok(Self { millionths }) }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.millionths / 1_000_000, self.millionths % 1_000_000);
        if decimals == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{decimals:06}").trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_never_shows_the_password_in_it() {
        let url: HttpUrl = "https://me:s3cret@host:8443/?key=s3cret".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://host:8443 HttpUrl(https://host:8443)");
        for text in ["", "host:8123", "ftp://x", "http://", "http://me:s3cret@:99999/"] {
            let error = text.parse::<HttpUrl>().unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn percentages_are_exact_and_never_rounded_up() {
        let target: Percent = "95".parse().unwrap();
        assert!(target.reached_by(95, 100) && !target.reached_by(94_999, 100_000));
        assert!(target.reached_by(u64::MAX, u64::MAX));
        assert_eq!("99.5".parse::<Percent>().unwrap().to_string(), "99.5");
        assert_eq!(Percent::whole(50).of(7), 3);
        for text in ["", "-1", "101", "100.000001", "1e1", "95%", "NaN", "0.1234567", "9".repeat(40).as_str()]
        {
            assert!(text.parse::<Percent>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_rate_limit_is_a_list_of_windows() {
        let limit: RateLimit = "100/10s, 10/1s".parse().unwrap();
        assert_eq!(limit.to_string(), "100/10s,10/1s");
        for text in ["", "10", "0/1s", "-1/1s", "10/0s", "10/1s,", "x/1s", "1/99days"] {
            assert!(text.parse::<RateLimit>().is_err(), "{text:?}");
        }
    }
}
