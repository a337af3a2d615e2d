//! Positions, payouts, realized P&L and variance (no I/O). All arithmetic is exact, on rationals; a figure is rounded
//! once, when it is shown.

mod money;
mod payout;
mod position;
mod variance;

pub use money::{BadAmount, Micro, Usd};
pub use payout::{Decision, ListedWinner, Payout, Resolution, decide};
pub use position::{Position, Repeated};
pub use variance::Variance;
