//! The columns of the users' tables that the statements know, and what installations call them.

use super::normal::Role;
use super::table::{Wanted, needed, useful};

/// The trades.
pub(in crate::store) const FILLS: &[Wanted] = &[
    needed("fill_id", Role::Text, &["id", "trade_id", "tx_log_id", "transaction_id", "event_id"]),
    needed(
        "proxy_wallet",
        Role::Text,
        &["wallet", "maker", "trader", "user", "owner", "address", "maker_address", "wallet_address"],
    ),
    needed("asset_id", Role::Text, &["token_id", "asset", "position_id", "clob_token_id", "market_token_id"]),
    needed("side", Role::Side, &["direction", "trade_side", "action"]),
    needed("price", Role::Amount, &["px", "fill_price", "trade_price"]),
    needed("size", Role::Amount, &["shares", "amount", "quantity", "qty", "size_shares", "shares_amount"]),
    needed(
        "ingested_at",
        Role::Order,
        &["inserted_at", "loaded_at", "synced_at", "created_at", "updated_at"],
    ),
    useful("timestamp", Role::Moment, &["ts", "time", "block_timestamp", "match_time", "trade_time"]),
    useful("condition_id", Role::Condition, &[]),
    useful("outcome", Role::Text, &[]),
    // A fee in micro-USD; one in the asset received (micro-shares of a BUY, micro-USD of a SELL); a rate alone.
    useful("fee_cash", Role::Amount, &[]),
    useful("fee_received", Role::Amount, &[]),
    useful("fee_rate_bps", Role::Order, &[]),
];

/// Fills of which only the tokens count.
pub(in crate::store) const FILLS_OF_TOKENS: &[&str] = &["asset_id"];

/// The map.
pub(in crate::store) const TOKEN_MAP: &[Wanted] = &[
    needed("token_id", Role::Text, &["asset_id", "clob_token_id", "position_id", "token"]),
    needed(
        "condition_id_norm",
        Role::Condition,
        &["condition_id", "condition", "cid", "market_condition_id"],
    ),
    needed("outcome_index", Role::Index, &["index", "outcome_idx", "token_index"]),
    useful("outcome_label", Role::Text, &[]),
    useful("source", Role::Text, &[]),
    useful("evidence", Role::Text, &[]),
    useful("fetched_at", Role::Order, &[]),
];

/// Payouts by condition.
pub(in crate::store) const RESOLUTIONS: &[Wanted] = &[
    needed("condition_id_norm", Role::Condition, &["condition_id", "condition", "cid"]),
    needed("payout_numerators", Role::Vector, &["payouts", "numerators", "payout_vector", "payout"]),
    needed("payout_denominator", Role::Number, &["denominator", "payout_den"]),
    useful("winning_index", Role::WinningIndex, &[]),
    useful("winning_outcome", Role::Text, &[]),
    useful("resolved_at", Role::Given, &[]),
    useful("updated_at", Role::Order, &[]),
];

/// Winning labels by condition.
pub(in crate::store) const WINNERS: &[Wanted] = &[
    needed("cid", Role::Condition, &["condition_id", "condition_id_norm", "condition"]),
    needed("winning_outcome", Role::Text, &["winner", "outcome", "winning_label"]),
    useful("closed", Role::Flag, &[]),
    useful("fetched_at", Role::Order, &[]),
];

/// What wallets did beside trading.
pub(in crate::store) const FLOWS: &[Wanted] = &[
    needed("wallet", Role::Text, &["proxy_wallet", "user", "owner", "address", "account"]),
    needed("block", Role::Number, &["block_number", "block_num", "height"]),
    needed("log_index", Role::Number, &["index", "log_idx", "event_index"]),
    needed("kind", Role::Text, &["type", "flow", "event", "event_type"]),
    needed("token_id", Role::Text, &["asset_id", "position_id", "token"]),
    needed("shares", Role::Amount, &["size", "amount", "quantity"]),
    needed("cash", Role::Amount, &["usd", "usdc", "cash_amount"]),
    useful("part", Role::Number, &[]),
    useful("timestamp", Role::Moment, &[]),
    useful("fetched_at", Role::Order, &[]),
];

/// The names of ours in a table.
pub(in crate::store) fn names(wanted: &[Wanted]) -> Vec<&'static str> {
    wanted.iter().map(|want| want.ours).collect()
}
