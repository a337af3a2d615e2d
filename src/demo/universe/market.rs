//! [`Market`]: one condition with its two tokens, and all that is known about it.

use super::neg_risk;
use super::text::TEAMS;
use crate::ids::{Address, ConditionId, TokenId};

/// The services that the tracks ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// The Dome API, track 1.
    Dome,
    /// The Goldsky subgraphs, track 2.
    Goldsky,
    /// Polymarket's CLOB, whose list has every market.
    Clob,
    /// Polymarket's Gamma API.
    Gamma,
    /// Polymarket's Data API, which looks tokens up.
    Tokens,
}

/// How a market ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payout {
    /// It is open.
    Unresolved,
    /// This outcome index pays 1, the other 0.
    Winner(u8),
    /// Both outcomes pay one half.
    Half,
}

impl Payout {
    /// Twice what a share of this outcome pays (0, 1 or 2); `None` while the market is open.
    pub fn doubled(self, index: u8) -> Option<u8> {
        match self {
            Self::Unresolved => None,
            Self::Winner(winner) => Some(if winner == index { 2 } else { 0 }),
            Self::Half => Some(1),
        }
    }
}

/// Which tables say how a market ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// None of the two.
    Nowhere,
    /// `market_resolutions_final` alone.
    Resolutions,
    /// `gamma_resolved` alone; there the winner is a label.
    Winners,
    /// Both.
    Both,
    /// `gamma_resolved` has the condition as still open, without a winner.
    OpenInWinners,
}

impl Listing {
    /// Whether `market_resolutions_final` has the condition.
    pub fn in_resolutions(self) -> bool {
        matches!(self, Self::Resolutions | Self::Both)
    }

    /// Whether `gamma_resolved` has the condition.
    pub fn in_winners(self) -> bool {
        matches!(self, Self::Winners | Self::Both | Self::OpenInWinners)
    }
}

/// What its outcomes are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labels {
    YesNo,
    UpDown,
    Teams,
}

/// What its token ids are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Hashes of its condition.
    Hash,
    /// The twins, of the second generation, of another market's tokens: under that market's condition.
    Mirror,
    /// Natives with a condition of their own.
    Binary,
    /// Natives, one question of an event.
    NegRisk,
    /// A bet on other markets' tokens at once.
    Combo,
}

/// What is kept of a market; the rest follows from it.
#[derive(Debug, Clone)]
pub(super) struct MarketCore {
    /// The condition is the hash of this and of who resolves it.
    pub(super) question: [u8; 32],
    pub(super) condition: ConditionId,
    pub(super) tokens: [TokenId; 2],
    /// Decides everything that needs no exact count.
    pub(super) dice: u64,
    /// Bit i: the token of index i is traded.
    pub(super) traded: u8,
    /// Bit i: the token of index i has a usable map row.
    pub(super) mapped: u8,
    pub(super) known_to_dome: bool,
    pub(super) known_to_goldsky: bool,
    pub(super) labels: Labels,
    pub(super) payout: Payout,
    pub(super) listing: Listing,
    pub(super) neg_risk: bool,
    pub(super) condition_in_fills: bool,
    pub(super) kind: Kind,
    /// Whether the resolutions name its condition by its mirror.
    pub(super) respelled: bool,
}

/// One condition with its two tokens.
#[derive(Clone, Copy)]
pub struct Market<'a> {
    pub(super) core: &'a MarketCore,
    pub(super) number: usize,
}

impl<'a> Market<'a> {
    /// Its place in the universe.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The condition id.
    pub fn condition(&self) -> ConditionId {
        self.core.condition
    }

    /// The question that the condition is the hash of.
    pub fn question(&self) -> [u8; 32] {
        self.core.question
    }

    /// Who resolves it, which the condition is the hash of as well.
    pub fn oracle(&self) -> Address {
        neg_risk::oracle(self.core.neg_risk)
    }

    /// The tokens of outcome index 0 and 1.
    pub fn tokens(&self) -> &'a [TokenId; 2] {
        &self.core.tokens
    }

    /// The labels of outcome index 0 and 1.
    pub fn labels(&self) -> [&'static str; 2] {
        match self.core.labels {
            Labels::YesNo => ["Yes", "No"],
            Labels::UpDown => ["Up", "Down"],
            Labels::Teams => {
                let home = self.core.dice as usize % TEAMS.len();
                let away = home + 1 + (self.core.dice >> 5) as usize % (TEAMS.len() - 1);
                [TEAMS[home], TEAMS[away % TEAMS.len()]]
            }
        }
    }

    /// Whether its tokens are backed by the neg-risk collateral (`neg_risk`), else by USDC.e (`usdc_e`).
    pub fn neg_risk(&self) -> bool {
        self.core.neg_risk
    }

    /// The name of the collateral that its hashes are over, empty where they are none.
    pub fn collateral(&self) -> &'static str {
        match self.core.kind {
            Kind::Hash if self.core.neg_risk => "neg_risk",
            Kind::Hash => "usdc_e",
            _ => "",
        }
    }

    /// What its token ids are.
    pub fn kind(&self) -> Kind {
        self.core.kind
    }

    /// Whether `derive` can map its tokens: those of the second generation say themselves what they are.
    pub fn derivable(&self) -> bool {
        self.core.kind != Kind::Hash || self.condition_in_tables()
    }

    /// The condition in the resolutions' spelling.
    pub(super) fn resolved_condition(&self) -> ConditionId {
        let mirror = self.core.condition.mirror().filter(|_| self.core.respelled);
        mirror.map_or(self.core.condition, |mirror| mirror.condition_id())
    }

    /// How it ended.
    pub fn payout(&self) -> Payout {
        self.core.payout
    }

    /// Which tables say how it ended.
    pub fn listing(&self) -> Listing {
        self.core.listing
    }

    /// Whether its condition id stands in its fills.
    pub fn condition_in_fills(&self) -> bool {
        self.core.condition_in_fills && self.core.traded != 0
    }

    /// Whether ClickHouse holds its condition id anywhere: in fills, resolutions, winners or a usable map row.
    pub fn condition_in_tables(&self) -> bool {
        let listed = match self.core.listing {
            Listing::Nowhere => false,
            Listing::Resolutions => !self.core.respelled,
            _ => true,
        };
        self.condition_in_fills() || listed || self.core.mapped != 0
    }

    /// Whether the token of this index is traded.
    pub fn traded(&self, index: u8) -> bool {
        self.core.traded >> index & 1 == 1
    }

    /// Whether the token of this index has a usable map row from the start.
    pub fn mapped(&self, index: u8) -> bool {
        self.core.mapped >> index & 1 == 1
    }

    /// Whether an API has this market.
    pub fn known_to(&self, api: Api) -> bool {
        match api {
            Api::Dome => self.core.known_to_dome,
            Api::Goldsky => self.core.known_to_goldsky,
            // All but one of two hundred.
            Api::Gamma => self.dice(0x0067_616d_6d61, 200) != 0,
            Api::Tokens => self.dice(0x746f_6b65_6e73, 300) != 0,
            Api::Clob => true,
        }
    }

    /// Its slug, distinct for each market; ends in the market's number.
    pub fn slug(&self) -> String {
        match self.core.labels {
            Labels::YesNo => format!("will-it-happen-{}", self.number),
            Labels::UpDown => format!("btc-updown-15m-{}", self.number),
            Labels::Teams => {
                let [home, away] = self.labels();
                format!("{}-vs-{}-{}", home.to_ascii_lowercase(), away.to_ascii_lowercase(), self.number)
            }
        }
    }

    /// The number in a slug, to find its market with.
    pub fn number_in_slug(slug: &str) -> Option<usize> {
        slug.rsplit('-').next()?.parse().ok()
    }

    /// Its title.
    pub fn title(&self) -> String {
        match self.core.labels {
            Labels::YesNo => format!("Will it happen, number {}?", self.number),
            Labels::UpDown => format!("Bitcoin up or down, quarter hour {}", self.number),
            Labels::Teams => {
                let [home, away] = self.labels();
                format!("{home} vs. {away}, match {}", self.number)
            }
        }
    }

    /// Its volume in micro-USD.
    pub fn volume_micro(&self) -> u64 {
        (self.core.dice >> 24) % 5_000_000_000_000
    }

    /// Which outcome index the Dome API shows as its first side: a third of the time it is 1.
    pub fn first_side(&self) -> u8 {
        u8::from((self.core.dice >> 10).is_multiple_of(3))
    }

    /// When trading began, in Unix seconds.
    pub fn start_time(&self) -> u32 {
        1_704_067_200 + (self.core.dice >> 32) as u32 % 50_000_000
    }

    /// A number below `sides` that belongs to this market; `salt` tells several of them apart.
    pub(in crate::demo) fn dice(&self, salt: u64, sides: u64) -> u64 {
        mix(self.core.dice ^ mix(salt)) % sides
    }
}

/// A bijection that scatters its input over 64 bits (the finalizer of SplitMix64, Steele et al. 2014).
pub(in crate::demo) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// A market's place in 0..1, such that any run of markets covers the range evenly: multiples of an irrational
/// number (Weyl's sequence). So shares are met far closer than by throwing dice.
pub(super) fn spread(number: usize, step: u64, seed: u64) -> f64 {
    let place = (number as u64).wrapping_mul(step).wrapping_add(mix(seed ^ step));
    (place >> 11) as f64 / (1_u64 << 53) as f64
}
