//! What the pages call the mappings that are computed: no API is asked for them.

use super::SourceInfo;
use crate::source::Source;

/// What is known of it.
pub(super) static INFO: SourceInfo =
    SourceInfo { source: Source::Derived, title: "Derived", service: "Offline", phase: "DERIVE", api: None };
