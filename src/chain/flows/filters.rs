//! Which logs are asked for: those that name a wallet, by the place of the topic that names it, and those of single
//! blocks that say how its shares changed form.

use super::signatures as sig;
use crate::chain::abi::address_word;
use crate::chain::contracts::{
    MARKET_PREPARED, binary_module, combinatorial_module, conditional_tokens, neg_risk_adapter,
    neg_risk_module,
};
use crate::chain::log::read_hex;
use crate::chain::{LogFilter, Word};
use crate::ids::{Address, Wallet};

/// The contracts beside those of [`crate::chain::contracts`] that flows are read from.
#[derive(Debug, Clone, Copy)]
pub struct FlowContracts;

impl FlowContracts {
    /// Protocol V2's ERC-1155 tokens.
    pub fn position_manager() -> Address {
        address("006f54f7f9a22e0000cc2ab60031000000ae9fef")
    }

    /// Both contracts that hold shares.
    pub fn tokens() -> Vec<Address> {
        vec![conditional_tokens(), Self::position_manager()]
    }
}

/// Every exchange whose fills a wallet can have, of all three generations.
pub fn exchanges() -> Vec<Address> {
    [
        "4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e",
        "c5d563a36ae78145c45a50134d48a1215220f80a",
        "e111180000d2663c0091e4f400237545b87b996b",
        "e2222d279d744050d28e00520010520000310f59",
        "e2222d002000ba0053cef3375333610f64600036",
        "e3333700ca9d93003f00f0f71f8515005f6c00aa",
    ]
    .map(address)
    .to_vec()
}

fn address(digits: &str) -> Address {
    let mut bytes = [0; 20];
    read_hex(digits.as_bytes(), &mut bytes);
    Address::from_bytes(bytes)
}

/// A wallet as a topic names it.
pub fn topic_of(wallet: &Wallet) -> Word {
    address_word(&Address::from_bytes(*wallet.as_bytes()))
}

fn topics(wallets: &[Wallet]) -> Vec<Word> {
    wallets.iter().map(topic_of).collect()
}

/// The three filters that together take every log that names one of `wallets`: as the holder of an event (topic 1), as
/// who gives shares or has an order filled (topic 2), and as who gets shares (topic 3).
pub fn stakeholder_filter(wallets: &[Wallet]) -> [LogFilter; 3] {
    let holders = vec![
        sig::CTF_SPLIT,
        sig::CTF_MERGE,
        sig::CTF_REDEMPTION,
        sig::ADAPTER_SPLIT,
        sig::ADAPTER_MERGE,
        sig::ADAPTER_REDEMPTION,
        sig::CONVERTED,
        sig::MIGRATED,
    ];
    let transfers = vec![sig::TRANSFER_SINGLE, sig::TRANSFER_BATCH];
    let by_maker = [transfers.clone(), vec![sig::ORDER_FILLED, sig::ORDER_FILLED_SINCE_APRIL_2026]].concat();
    let holding = vec![conditional_tokens(), neg_risk_adapter(), binary_module(), neg_risk_module()];
    let trading = [FlowContracts::tokens(), exchanges()].concat();
    [
        LogFilter::new(holding, vec![holders, topics(wallets)]),
        LogFilter::new(trading, vec![by_maker, Vec::new(), topics(wallets)]),
        LogFilter::new(FlowContracts::tokens(), vec![transfers, Vec::new(), Vec::new(), topics(wallets)]),
    ]
}

/// The filter that takes every fill of an order of `wallets`.
pub fn fills_filter(wallets: &[Wallet]) -> LogFilter {
    let fills = vec![sig::ORDER_FILLED, sig::ORDER_FILLED_SINCE_APRIL_2026];
    LogFilter::new(exchanges(), vec![fills, Vec::new(), topics(wallets)])
}

/// The filter that takes what negative-risk markets cost to convert in.
pub fn market_filter(markets: &[Word]) -> LogFilter {
    LogFilter::new(vec![neg_risk_adapter()], vec![vec![MARKET_PREPARED], markets.to_vec()])
}

/// The filter that takes, of a single block, every event by which shares change form, whoever it names.
pub fn changes_filter() -> LogFilter {
    let contracts = vec![
        conditional_tokens(),
        neg_risk_adapter(),
        binary_module(),
        neg_risk_module(),
        combinatorial_module(),
    ];
    LogFilter::new(contracts, vec![sig::ALL_CHANGES.to_vec()])
}

/// Whether a contract's transfers move shares; anybody can write events of that name.
pub(super) fn holds_shares(address: &Address) -> bool {
    FlowContracts::tokens().contains(address)
}
