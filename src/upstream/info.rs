//! [`SourceInfo`]: everything that differs between the sources, but for how their APIs speak. Each source's file exports
//! one; commands, help, pages and settings are made from it.

use std::time::Duration;

use super::catalogue::Catalogue;
use super::probe::Probed;
use super::{Upstream, UpstreamError};
use crate::source::Source;
use crate::values::{HttpUrl, RateLimit, Secret};

/// How one API is reached.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// The base URL.
    pub url: HttpUrl,
    /// The key, where there is one.
    pub api_key: Option<Secret>,
    /// The published limit.
    pub rate_limit: RateLimit,
    /// In which way it is asked, one of the words of its `ModeInfo`; empty where there is but one.
    pub mode: String,
}

/// What is known of a source.
#[derive(Debug)]
pub struct SourceInfo {
    /// Which one it is.
    pub source: Source,
    /// What reports and notices call it.
    pub title: &'static str,
    /// What its pages call it.
    pub service: &'static str,
    /// What stands above its pages.
    pub phase: &'static str,
    /// How it is reached; `None` for what is computed.
    pub api: Option<ApiInfo>,
}

/// How a source's API is reached, and by which command.
#[derive(Debug)]
pub struct ApiInfo {
    /// Its base URL.
    pub url: SettingInfo,
    /// Its published limit.
    pub rate_limit: SettingInfo,
    /// Its key, where it has one.
    pub key: Option<KeyInfo>,
    /// In which of several ways it is asked, where there are any.
    pub mode: Option<ModeInfo>,
    /// What the service behind the default URL still knows.
    pub public: PublicService,
    /// What its command does, in a line.
    pub about: &'static str,
    /// What else is to be known of its command.
    pub details: &'static str,
    /// How its command is used.
    pub examples: &'static str,
    /// Makes the client.
    pub open: OpenFn,
}

/// What the public service behind a source's default URL still knows, as the vendors say.
#[derive(Debug)]
pub struct PublicService {
    /// How it stands.
    pub freshness: Freshness,
    /// Since when, or as of when, as a date.
    pub date: &'static str,
    /// What is to be known of it, and what to do.
    pub told: &'static str,
}

/// How a public service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It knows what is traded today.
    Current,
    /// It does not know everything any more.
    Incomplete,
    /// It has ended.
    Ended,
}

/// A setting with a default.
#[derive(Debug)]
pub struct SettingInfo {
    /// The environment variable; the flag is called the same.
    pub name: &'static str,
    /// Its value where the user sets none.
    pub default: &'static str,
    /// What it is, in a line.
    pub help: &'static str,
}

/// The setting of a key.
#[derive(Debug)]
pub struct KeyInfo {
    /// The environment variable; the flag is called the same.
    pub name: &'static str,
    /// What it is, in a line.
    pub help: &'static str,
    /// Whether the API cannot be asked without.
    pub required: bool,
}

/// A setting that is one of several words.
#[derive(Debug)]
pub struct ModeInfo {
    /// The environment variable; the flag is called the same.
    pub name: &'static str,
    /// The words, the default first.
    pub values: &'static [&'static str],
    /// What it is, in a line.
    pub help: &'static str,
}

/// A client, or why none can be made.
pub type Opened<T> = Result<Box<T>, UpstreamError>;

/// Makes a source's client, each of whose answers may take so long.
#[derive(Debug)]
pub enum OpenFn {
    /// An API that is asked for tokens: a track.
    Lookup(fn(&SourceSettings, Duration) -> Opened<dyn Upstream>),
    /// An API that lists all of its markets.
    Catalogue(fn(&SourceSettings, Duration) -> Opened<dyn Catalogue>),
}

impl ApiInfo {
    /// What the public service knows, where these settings mean it and it is not what it was.
    pub fn worn_out(&self, settings: &SourceSettings) -> Option<&PublicService> {
        let is_public = self.url.default.parse().is_ok_and(|url: HttpUrl| url == settings.url);
        Some(&self.public).filter(|public| is_public && public.freshness != Freshness::Current)
    }

    /// The setting of the key that it cannot be asked without.
    pub fn required_key(&self) -> Option<&'static str> {
        self.key.as_ref().filter(|key| key.required).map(|key| key.name)
    }

    /// One cheap request that shows whether the API can be used with these settings.
    ///
    /// # Errors
    /// Where no client can be made; what the request came to is in the value.
    pub async fn probe(&self, settings: &SourceSettings, timeout: Duration) -> Result<Probed, UpstreamError> {
        match self.open {
            OpenFn::Lookup(open) => Ok(open(settings, timeout)?.probe().await),
            OpenFn::Catalogue(open) => Ok(open(settings, timeout)?.probe().await),
        }
    }
}
