//! What the negative-risk adapter and the second generation's contracts write.

use super::{WalletLogs, address, held, middleman, nobody};
use crate::chain::Word;
use crate::chain::abi::{address_word, word};
use crate::chain::contracts::{
    binary_module, combinatorial_module, conditional_tokens, neg_risk_adapter, neg_risk_module,
};
use crate::chain::flows::signatures as sig;
use crate::ctf::{Collateral, default_collaterals};
use crate::ids::{Address, ConditionId, Module, StructuralCondition, TokenId, Wallet};

impl WalletLogs {
    /// A split or a merge by the negative-risk adapter, which does the CTF's in its own name.
    pub fn form_wrapped(
        &mut self,
        wallet: &Wallet,
        condition: &ConditionId,
        splits: bool,
        amount: u64,
    ) -> &mut Self {
        let (own, adapter) = (address(wallet), neg_risk_adapter());
        self.form_by(wallet, adapter, wrapped().address, condition, splits, amount);
        let signature = if splits { sig::ADAPTER_SPLIT } else { sig::ADAPTER_MERGE };
        self.log(adapter, vec![signature, address_word(&own), *condition.as_bytes()], &[word(amount)])
    }

    /// A redemption by the negative-risk adapter.
    pub fn redeem_wrapped(
        &mut self,
        wallet: &Wallet,
        condition: &ConditionId,
        shares: [u64; 2],
        payout: u64,
    ) -> &mut Self {
        let (own, adapter, collateral) = (address(wallet), neg_risk_adapter(), wrapped().address);
        let tokens = held(condition, &collateral, shares);
        let topics = vec![sig::CTF_REDEMPTION, address_word(&adapter), address_word(&collateral), [0; 32]];
        let data = [*condition.as_bytes(), word(96), word(payout), word(2), word(1), word(2)];
        self.moves(own, adapter, &tokens).moves(adapter, nobody(), &tokens);
        self.log(conditional_tokens(), topics, &data);
        let topics = vec![sig::ADAPTER_REDEMPTION, address_word(&own), *condition.as_bytes()];
        self.log(adapter, topics, &[word(64), word(payout), word(2), word(shares[0]), word(shares[1])])
    }

    /// A split or a merge of a condition of the second generation, through the router.
    pub fn form_native(
        &mut self,
        wallet: &Wallet,
        condition: &StructuralCondition,
        splits: bool,
        amount: u64,
    ) -> &mut Self {
        let (own, router) = (address(wallet), middleman());
        let both: Vec<(TokenId, u64)> =
            [0, 1].into_iter().filter_map(|index| Some((condition.token(index)?, amount))).collect();
        let signature = if splits { sig::MODULE_SPLIT } else { sig::MODULE_MERGE };
        let topics = vec![signature, address_word(&router), *condition.condition_id().as_bytes()];
        let module = module_of(condition);
        if splits {
            let data = [address_word(&own), address_word(&own), word(amount)];
            self.log(module, topics, &data).moves(nobody(), own, &both)
        } else {
            let data = [address_word(&own), word(amount)];
            self.moves(own, router, &both).moves(router, nobody(), &both).log(module, topics, &data)
        }
    }

    /// A redemption of one token of the second generation, through the router.
    pub fn redeem_native(&mut self, wallet: &Wallet, token: TokenId, shares: u64, payout: u64) -> &mut Self {
        let (own, router) = (address(wallet), middleman());
        let module = token.structural().map_or_else(binary_module, |it| module_of(&it.condition));
        let topics = vec![sig::MODULE_REDEMPTION, address_word(&router), token.to_be_bytes()];
        let data = [address_word(&own), word(shares), word(payout)];
        self.moves(own, router, &[(token, shares)]).moves(router, nobody(), &[(token, shares)]);
        self.log(module, topics, &data)
    }

    /// The YES of every condition of an event against cash, through the router.
    pub fn horizontal(
        &mut self,
        wallet: &Wallet,
        event: &[StructuralCondition],
        splits: bool,
        amount: u64,
    ) -> &mut Self {
        let own = address(wallet);
        let all: Vec<(TokenId, u64)> =
            event.iter().filter_map(|condition| Some((condition.token(0)?, amount))).collect();
        let signature = if splits { sig::HORIZONTAL_SPLIT } else { sig::HORIZONTAL_MERGE };
        let topics = vec![signature, address_word(&middleman()), event_word(event)];
        self.log(neg_risk_module(), topics, &[address_word(&own), word(amount)]);
        if splits { self.moves(nobody(), own, &all) } else { self.moves(own, nobody(), &all) }
    }

    /// One NO of an event becomes the YES of all its other conditions, through the router.
    pub fn convert_native(
        &mut self,
        wallet: &Wallet,
        event: &[StructuralCondition],
        gone: &StructuralCondition,
        amount: u64,
    ) -> &mut Self {
        let own = address(wallet);
        let went: Vec<(TokenId, u64)> = gone.token(1).into_iter().map(|token| (token, amount)).collect();
        let came: Vec<(TokenId, u64)> = (event.iter().filter(|it| *it != gone))
            .filter_map(|condition| Some((condition.token(0)?, amount)))
            .collect();
        let topics = vec![sig::MODULE_CONVERTED, address_word(&middleman()), event_word(event)];
        self.moves(own, nobody(), &went).moves(nobody(), own, &came);
        self.log(neg_risk_module(), topics, &[address_word(&own), word(1), word(amount)])
    }

    /// Shares of a token become those of its mirror.
    pub fn migrate(&mut self, wallet: &Wallet, legacy: TokenId, mirror: TokenId, shares: u64) -> &mut Self {
        let own = address(wallet);
        let of_mirror = mirror.structural();
        let condition = of_mirror.map_or([0; 32], |it| *it.condition.condition_id().as_bytes());
        let index = of_mirror.map_or(0, |it| u64::from(it.outcome_index));
        let topics = vec![sig::MIGRATED, address_word(&own), condition, mirror.to_be_bytes()];
        self.moves(own, binary_module(), &[(legacy, shares)]);
        self.log(binary_module(), topics, &[word(index), word(shares)]);
        self.moves(nobody(), own, &[(mirror, shares)])
    }
}

fn wrapped() -> Collateral {
    default_collaterals()[1].clone()
}

/// The contract that makes the tokens of a condition.
fn module_of(condition: &StructuralCondition) -> Address {
    match condition.module() {
        Module::Binary => binary_module(),
        Module::NegRisk => neg_risk_module(),
        Module::Combo => combinatorial_module(),
    }
}

/// The event of these conditions, left-aligned in a word.
fn event_word(conditions: &[StructuralCondition]) -> Word {
    let mut word = conditions.first().map_or([0; 32], |it| *it.condition_id().as_bytes());
    word[29..].fill(0);
    word
}
