//! [`Fees`]: what exchanges took of a wallet's fills, and who says so.

use crate::pnl::{Position, Usd};

/// Where fees are known from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FeeSource {
    /// Nowhere: no table has them.
    #[default]
    Unknown,
    /// A column of the fills.
    Fills,
    /// The chain's own fill events, read by `flows`.
    Chain,
    /// The rate that stands in the fills: an estimate, which no total counts.
    Estimate,
}

impl FeeSource {
    /// Its name in objects.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Fills => "fills",
            Self::Chain => "chain",
            Self::Estimate => "estimate",
        }
    }
}

/// A wallet's fees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fees {
    /// What was taken; shares at what their condition pays, where it is resolved.
    pub total: Usd,
    /// Who says so.
    pub source: FeeSource,
}

impl Fees {
    /// The fees that were taken off the positions, or where there are none the estimate.
    pub(super) fn of(positions: &[Position], source: FeeSource, estimate: Usd) -> Self {
        match source {
            FeeSource::Unknown if !estimate.is_zero() => {
                Self { total: estimate, source: FeeSource::Estimate }
            }
            FeeSource::Unknown | FeeSource::Estimate => Self { total: estimate, source },
            FeeSource::Fills | FeeSource::Chain => {
                Self { total: positions.iter().map(Position::charged_usd).sum(), source }
            }
        }
    }
}
