//! [`WalletLogs`]: the logs that a wallet's transactions leave on the chain, as the contracts of both generations write
//! them. The stand-ins give them beside a universe's markets.

mod deeds;
mod second;

use crate::chain::abi::{address_word, word};
use crate::chain::contracts::{conditional_tokens, neg_risk_adapter};
use crate::chain::flows::{FlowContracts, exchanges, signatures as sig};
use crate::chain::{Log, Word, keccak256};
use crate::ctf::{Collateral, default_collaterals, token_id};
use crate::demo::chain_world::time_of;
use crate::ids::{Address, ConditionId, TokenId, Wallet};

/// The first place in a block that a wallet's logs take: those of the markets stand before it.
const FIRST_PLACE: u32 = 10_000;

/// Whoever is neither a wallet nor a contract of interest.
const NOBODY: [u8; 20] = [0; 20];

/// Logs of transactions, each in a block of its own.
#[derive(Debug, Default)]
pub struct WalletLogs {
    logs: Vec<Log>,
    block: u64,
    place: u32,
}

/// A fill as an exchange writes it.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeFill {
    /// Whose order it was.
    pub maker: Wallet,
    /// The token.
    pub token: TokenId,
    /// Whether shares were bought.
    pub buys: bool,
    /// Micro-shares, before fees.
    pub shares: u64,
    /// Micro-USD, before fees.
    pub cash: u64,
    /// Micro-units of the asset received on the first exchanges, micro-USD on the later ones.
    pub fee: u64,
}

/// A wallet as a contract names it.
fn address(wallet: &Wallet) -> Address {
    Address::from_bytes(*wallet.as_bytes())
}

/// A collateral adapter, which users have gone through since April 2026.
pub fn middleman() -> Address {
    Address::from_bytes([0xad; 20])
}

fn nobody() -> Address {
    Address::from_bytes(NOBODY)
}

impl WalletLogs {
    /// Begins a transaction in a block.
    pub fn at(&mut self, block: u64) -> &mut Self {
        self.place = if self.block == block { self.place + 1 } else { FIRST_PLACE };
        self.block = block;
        self
    }

    /// Adds a log of the transaction.
    pub fn log(&mut self, address: Address, topics: Vec<Word>, data: &[Word]) -> &mut Self {
        let block = self.block;
        self.logs.push(Log {
            block,
            log_index: self.place,
            address,
            topics,
            data: data.concat(),
            tx_hash: keccak256(&[b"wallet", &block.to_be_bytes()]),
            time: time_of(block),
        });
        self.place += 1;
        self
    }

    /// Shares move from one address to another.
    pub fn moves(&mut self, from: Address, to: Address, amounts: &[(TokenId, u64)]) -> &mut Self {
        let count = amounts.len() as u64;
        let mut data = vec![word(64), word(64 + 32 * (count + 1)), word(count)];
        data.extend(amounts.iter().map(|(token, _)| token.to_be_bytes()));
        data.push(word(count));
        data.extend(amounts.iter().map(|(_, amount)| word(*amount)));
        let topics = vec![sig::TRANSFER_BATCH, address_word(&from), address_word(&from), address_word(&to)];
        // Those of the second generation are kept by a contract of their own.
        let native = amounts.iter().any(|(token, _)| token.structural().is_some());
        let keeper = if native { FlowContracts::position_manager() } else { conditional_tokens() };
        self.log(keeper, topics, &data)
    }

    /// Shares of one wallet go to another.
    pub fn transfer(&mut self, from: &Wallet, to: &Wallet, token: TokenId, shares: u64) -> &mut Self {
        self.moves(address(from), address(to), &[(token, shares)])
    }

    /// A fill of an order, by the exchange of this number, with the shares that it moves.
    pub fn fill(&mut self, exchange: usize, fill: &ExchangeFill) -> &mut Self {
        let ExchangeFill { maker, token, buys, shares, cash, fee } = *fill;
        let at = exchanges()[exchange % exchanges().len()];
        let first = exchange % exchanges().len() < 2;
        let maker = address(&maker);
        let (given, got) = if buys { (cash, shares) } else { (shares, cash) };
        let topics = |signature| vec![signature, [1; 32], address_word(&maker), address_word(&middleman())];
        if first {
            let cash_is = [0; 32];
            let (gives, gets) =
                if buys { (cash_is, token.to_be_bytes()) } else { (token.to_be_bytes(), cash_is) };
            self.log(at, topics(sig::ORDER_FILLED), &[gives, gets, word(given), word(got), word(fee)]);
        } else {
            let side = word(u64::from(!buys));
            let data = [side, token.to_be_bytes(), word(given), word(got), word(fee), [0; 32], [0; 32]];
            self.log(at, topics(sig::ORDER_FILLED_SINCE_APRIL_2026), &data);
        }
        let kept = if first && buys { fee } else { 0 };
        match buys {
            true => self.moves(middleman(), maker, &[(token, shares - kept)]),
            false => self.moves(maker, middleman(), &[(token, shares)]),
        }
    }

    /// A split of cash into both outcomes, or a merge of both into cash; by the wallet itself or through an adapter.
    pub fn form(
        &mut self,
        wallet: &Wallet,
        condition: &ConditionId,
        splits: bool,
        amount: u64,
        adapter: bool,
    ) -> &mut Self {
        let holder = if adapter { middleman() } else { address(wallet) };
        self.form_by(wallet, holder, usdc().address, condition, splits, amount)
    }

    /// The same by `holder`, whom the shares pass on their way where it is not the wallet, in this collateral.
    fn form_by(
        &mut self,
        wallet: &Wallet,
        holder: Address,
        collateral: Address,
        condition: &ConditionId,
        splits: bool,
        amount: u64,
    ) -> &mut Self {
        let own = address(wallet);
        let both = [0, 1].map(|index| (token_id(condition, index, &collateral), amount));
        let signature = if splits { sig::CTF_SPLIT } else { sig::CTF_MERGE };
        let topics = vec![signature, address_word(&holder), [0; 32], *condition.as_bytes()];
        let data = [address_word(&collateral), word(96), word(amount), word(2), word(1), word(2)];
        if splits {
            self.moves(nobody(), holder, &both).log(conditional_tokens(), topics, &data);
            if holder != own {
                self.moves(holder, own, &both);
            }
        } else {
            if holder != own {
                self.moves(own, holder, &both);
            }
            self.moves(holder, nobody(), &both).log(conditional_tokens(), topics, &data);
        }
        self
    }

    /// A redemption of so many shares of each outcome through an adapter.
    pub fn redeem(
        &mut self,
        wallet: &Wallet,
        condition: &ConditionId,
        shares: [u64; 2],
        payout: u64,
    ) -> &mut Self {
        let collateral = usdc().address;
        let token = held(condition, &collateral, shares);
        let topics =
            vec![sig::CTF_REDEMPTION, address_word(&middleman()), address_word(&collateral), [0; 32]];
        let data = [*condition.as_bytes(), word(96), word(payout), word(2), word(1), word(2)];
        self.moves(address(wallet), middleman(), &token).moves(middleman(), nobody(), &token).log(
            conditional_tokens(),
            topics,
            &data,
        )
    }

    /// A conversion of the NO of some of a market's questions into the YES of the others and cash; both as bits.
    pub fn convert(
        &mut self,
        wallet: &Wallet,
        market: Word,
        questions: u64,
        set: u64,
        amount: u64,
        bips: u64,
    ) -> &mut Self {
        let own = address(wallet);
        let of = |index: u8, those: u64, amount: u64| -> Vec<(TokenId, u64)> {
            let those = (0..64).filter(|question| those >> question & 1 == 1);
            those.map(|question| (question_token(&market, question, index), amount)).collect()
        };
        let out = amount - amount * bips / 10_000;
        let topics = vec![sig::CONVERTED, address_word(&own), market, word(set)];
        self.moves(own, neg_risk_adapter(), &of(1, set, amount));
        let came = of(0, questions & !set, out);
        if !came.is_empty() {
            self.moves(neg_risk_adapter(), own, &came);
        }
        self.log(neg_risk_adapter(), topics, &[word(amount)])
    }

    /// All logs so far.
    pub fn into_logs(self) -> Vec<Log> {
        self.logs
    }
}

/// The shares of a condition's outcomes, those of which there are any.
fn held(condition: &ConditionId, collateral: &Address, shares: [u64; 2]) -> Vec<(TokenId, u64)> {
    let sides = [0, 1].map(|index| (token_id(condition, index, collateral), shares[usize::from(index)]));
    sides.into_iter().filter(|(_, shares)| *shares > 0).collect()
}

fn usdc() -> Collateral {
    default_collaterals()[0].clone()
}

/// The token of an outcome of a negative-risk market's question.
pub fn question_token(market: &Word, question: u8, index: u8) -> TokenId {
    let mut question_id = *market;
    question_id[31] = question;
    let condition = keccak256(&[neg_risk_adapter().as_bytes(), &question_id, &word(2)]);
    token_id(&ConditionId::from_bytes(condition), index, &default_collaterals()[1].address)
}
