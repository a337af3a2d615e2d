//! [`FlowEvent`]: what one log says of shares and cash.

use super::signatures as sig;
use crate::chain::abi::{Words, address, number, uint};
use crate::chain::contracts::neg_risk_adapter;
use crate::chain::{Log, Word};
use crate::ctf::{Collateral, token_id};
use crate::ids::{Address, ConditionId, EventId, StructuralCondition, TokenId};
use crate::pnl::FlowKind;

/// An order of a wallet that was filled, as the exchange says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainFill {
    /// Whose order it was.
    pub maker: Address,
    /// The token.
    pub token: TokenId,
    /// Whether shares were bought.
    pub buys: bool,
    /// Micro-shares, before fees.
    pub shares: i128,
    /// Micro-USD, before fees.
    pub cash: i128,
    /// Micro-shares that the exchange kept.
    pub fee_shares: i128,
    /// Micro-USD that the exchange kept.
    pub fee_cash: i128,
}

/// Shares that changed form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: FlowKind,
    /// Whom the event names: the wallet, an adapter, or the router.
    pub holder: Option<Address>,
    /// The condition, where it is about one.
    pub condition: Option<ConditionId>,
    /// The negative-risk market or event, where it is about one.
    pub market: Option<Word>,
    /// Tokens that go.
    pub gone: Vec<TokenId>,
    /// Tokens that come.
    pub came: Vec<TokenId>,
    /// Micro-shares of each, where the event says one number for all.
    pub amount: Option<i128>,
    /// Micro-USD that a redemption pays, all holders together.
    pub payout: i128,
    /// The questions of a conversion whose NO go, as bits.
    pub questions: [u64; 4],
}

/// What a log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowEvent {
    /// Shares went from one address to another.
    Transfer {
        /// Who gave them; zero where they were made.
        from: Address,
        /// Who got them; zero where they ended.
        to: Address,
        /// How many micro-shares of what.
        amounts: Vec<(TokenId, i128)>,
    },
    /// An order was filled.
    Fill(ChainFill),
    /// Shares changed form.
    Change(Change),
}

/// What a log says of shares and cash; `None` where it is of another event, cannot be read, or holds a number that no
/// number of micro-units reaches.
pub fn decode_flow(log: &Log, collaterals: &[Collateral]) -> Option<FlowEvent> {
    let signature = log.topics.first()?;
    let words = Fields::new(log);
    let change = match *signature {
        sig::TRANSFER_SINGLE | sig::TRANSFER_BATCH => return transfer(log),
        sig::ORDER_FILLED => return first_fill(log),
        sig::ORDER_FILLED_SINCE_APRIL_2026 => return later_fill(log),
        sig::CTF_SPLIT => ctf(log, FlowKind::Split, collaterals)?,
        sig::CTF_MERGE => ctf(log, FlowKind::Merge, collaterals)?,
        sig::CTF_REDEMPTION => ctf_redemption(log, collaterals)?,
        sig::ADAPTER_SPLIT => adapter(log, FlowKind::Split, collaterals)?,
        sig::ADAPTER_MERGE => adapter(log, FlowKind::Merge, collaterals)?,
        sig::ADAPTER_REDEMPTION => adapter(log, FlowKind::Redemption, collaterals)?,
        sig::CONVERTED => converted(log)?,
        sig::MIGRATED => migrated(&words)?,
        sig::MODULE_SPLIT => module(&words, FlowKind::Split, 4)?,
        sig::MODULE_MERGE => module(&words, FlowKind::Merge, 3)?,
        sig::MODULE_REDEMPTION => module_redemption(&words)?,
        sig::HORIZONTAL_SPLIT => horizontal(&words, FlowKind::Split)?,
        sig::HORIZONTAL_MERGE => horizontal(&words, FlowKind::Merge)?,
        sig::MODULE_CONVERTED => native_conversion(&words)?,
        _ => return None,
    };
    Some(FlowEvent::Change(change))
}

/// An event's parameters in their order, whether they stand in topics or in the data: which of them are indexed was
/// read from a repository, and no log of them has been seen.
struct Fields(Vec<Word>);

impl Fields {
    fn new(log: &Log) -> Self {
        let data = log.data.chunks_exact(32).filter_map(|word| word.try_into().ok());
        Self(log.topics.iter().skip(1).copied().chain(data).collect())
    }

    fn get(&self, place: usize) -> Option<&Word> {
        self.0.get(place)
    }

    fn amount(&self, place: usize) -> Option<i128> {
        amount(self.get(place)?)
    }

    fn address(&self, place: usize) -> Option<Address> {
        address(self.get(place)?)
    }
}

/// A number of micro-units, where anybody can have that many.
fn amount(word: &Word) -> Option<i128> {
    let (high, low) = word.split_at(16);
    let zero = high.iter().all(|byte| *byte == 0);
    i128::try_from(u128::from_be_bytes(low.try_into().ok()?))
        .ok()
        .filter(|it| zero && *it < i128::MAX / 1_024)
}

fn empty(kind: FlowKind, holder: Option<Address>) -> Change {
    Change {
        kind,
        holder,
        condition: None,
        market: None,
        gone: Vec::new(),
        came: Vec::new(),
        amount: None,
        payout: 0,
        questions: [0; 4],
    }
}

/// The change of all outcomes of a condition in one direction.
fn both(kind: FlowKind, holder: Option<Address>, condition: ConditionId, outcomes: Vec<TokenId>) -> Change {
    let change = Change { condition: Some(condition), ..empty(kind, holder) };
    match kind {
        FlowKind::Split => Change { came: outcomes, ..change },
        _ => Change { gone: outcomes, ..change },
    }
}

fn outcomes(condition: &ConditionId, collateral: &Address) -> Vec<TokenId> {
    [0, 1].map(|index| token_id(condition, index, collateral)).to_vec()
}

/// The collateral of negative-risk markets.
fn wrapped(collaterals: &[Collateral]) -> Option<Address> {
    collaterals.iter().find(|it| it.name == "neg_risk").map(|it| it.address)
}

fn transfer(log: &Log) -> Option<FlowEvent> {
    let (from, to) = (address(log.topics.get(2)?)?, address(log.topics.get(3)?)?);
    let words = Words::new(&log.data);
    let amounts = if log.is(&sig::TRANSFER_SINGLE) {
        vec![(TokenId::from_be_bytes(words.get(0)?), amount(&words.get(1)?)?)]
    } else {
        let (ids, values) = (words.array(0)?, words.array(1)?);
        if ids.len() != values.len() {
            return None;
        }
        let pairs = ids.into_iter().zip(&values);
        pairs.map(|(id, value)| Some((TokenId::from_be_bytes(id), amount(value)?))).collect::<Option<_>>()?
    };
    Some(FlowEvent::Transfer { from, to, amounts })
}

/// Asset 0 is cash; the fee is in the asset received.
fn first_fill(log: &Log) -> Option<FlowEvent> {
    let maker = address(log.topics.get(2)?)?;
    let words = Words::new(&log.data);
    let [gives, gets] = [words.get(0)?, words.get(1)?];
    let (given, got, fee) = (amount(&words.get(2)?)?, amount(&words.get(3)?)?, amount(&words.get(4)?)?);
    let buys = gives == [0; 32];
    // Shares against shares, or cash against cash, is no fill of an exchange.
    if buys == (gets == [0; 32]) {
        return None;
    }
    let token = TokenId::from_be_bytes(if buys { gets } else { gives });
    let (shares, cash) = if buys { (got, given) } else { (given, got) };
    let (fee_shares, fee_cash) = if buys { (fee, 0) } else { (0, fee) };
    Some(FlowEvent::Fill(ChainFill { maker, token, buys, shares, cash, fee_shares, fee_cash }))
}

/// The fee is in cash, on top of a purchase and from the proceeds of a sale.
fn later_fill(log: &Log) -> Option<FlowEvent> {
    let maker = address(log.topics.get(2)?)?;
    let words = Words::new(&log.data);
    let buys = match words.number(0)? {
        0 => true,
        1 => false,
        _ => return None,
    };
    let token = TokenId::from_be_bytes(words.get(1)?);
    let (given, got) = (amount(&words.get(2)?)?, amount(&words.get(3)?)?);
    let (shares, cash) = if buys { (got, given) } else { (given, got) };
    let fee_cash = amount(&words.get(4)?)?;
    Some(FlowEvent::Fill(ChainFill { maker, token, buys, shares, cash, fee_shares: 0, fee_cash }))
}

/// A split or a merge of the CTF. Of binary conditions, without a parent, of a listed collateral: others are
/// strangers', whose cash is not this project's.
fn ctf(log: &Log, kind: FlowKind, collaterals: &[Collateral]) -> Option<Change> {
    let holder = address(log.topics.get(1)?);
    let words = Words::new(&log.data);
    let collateral = listed(&words.get(0)?, collaterals)?;
    let binary = words.array(1)?.iter().map(number).collect::<Vec<_>>() == [Some(1), Some(2)];
    if log.topics.get(2)? != &[0; 32] || !binary {
        return None;
    }
    let condition = ConditionId::from_bytes(*log.topics.get(3)?);
    let change = both(kind, holder, condition, outcomes(&condition, &collateral));
    Some(Change { amount: Some(amount(&words.get(2)?)?), ..change })
}

fn listed(word: &Word, collaterals: &[Collateral]) -> Option<Address> {
    let collateral = address(word)?;
    collaterals.iter().any(|it| it.address == collateral).then_some(collateral)
}

fn ctf_redemption(log: &Log, collaterals: &[Collateral]) -> Option<Change> {
    let holder = address(log.topics.get(1)?);
    let collateral = listed(log.topics.get(2)?, collaterals)?;
    if log.topics.get(3)? != &[0; 32] {
        return None;
    }
    let words = Words::new(&log.data);
    let condition = ConditionId::from_bytes(words.get(0)?);
    let change = both(FlowKind::Redemption, holder, condition, outcomes(&condition, &collateral));
    Some(Change { payout: amount(&words.get(2)?)?, ..change })
}

/// The negative-risk adapter's own events; its tokens are of the wrapped collateral.
fn adapter(log: &Log, kind: FlowKind, collaterals: &[Collateral]) -> Option<Change> {
    if log.address != neg_risk_adapter() {
        return None;
    }
    let holder = address(log.topics.get(1)?);
    let condition = ConditionId::from_bytes(*log.topics.get(2)?);
    let change = both(kind, holder, condition, outcomes(&condition, &wrapped(collaterals)?));
    let words = Words::new(&log.data);
    Some(match kind {
        FlowKind::Redemption => Change { payout: amount(&words.get(1)?)?, ..change },
        _ => Change { amount: Some(amount(&words.get(0)?)?), ..change },
    })
}

/// Its tokens follow from the market and are looked for among those that moved.
fn converted(log: &Log) -> Option<Change> {
    let market = *log.topics.get(2)?;
    Some(Change {
        market: Some(market),
        amount: Some(amount(&Words::new(&log.data).get(0)?)?),
        questions: uint(log.topics.get(3)?).into_limbs(),
        ..empty(FlowKind::Conversion, address(log.topics.get(1)?))
    })
}

/// A condition of the second generation, left-aligned in a word.
fn structural(word: &Word) -> Option<StructuralCondition> {
    StructuralCondition::decode(&ConditionId::from_bytes(*word))
}

fn migrated(fields: &Fields) -> Option<Change> {
    let condition = structural(fields.get(1)?)?;
    let mirror = TokenId::from_be_bytes(*fields.get(2)?);
    Some(Change {
        condition: Some(condition.condition_id()),
        came: vec![mirror],
        amount: Some(fields.amount(4)?),
        ..empty(FlowKind::Migration, fields.address(0))
    })
}

/// The tokens of both outcomes of a condition of the second generation.
fn both_bits(condition: &StructuralCondition) -> Option<Vec<TokenId>> {
    [0, 1].map(|index| condition.token(index)).into_iter().collect()
}

fn module(fields: &Fields, kind: FlowKind, amount_at: usize) -> Option<Change> {
    let condition = structural(fields.get(1)?)?;
    let change = both(kind, fields.address(0), condition.condition_id(), both_bits(&condition)?);
    Some(Change { amount: Some(fields.amount(amount_at)?), ..change })
}

fn module_redemption(fields: &Fields) -> Option<Change> {
    let token = TokenId::from_be_bytes(*fields.get(1)?);
    let condition = token.structural()?.condition;
    Some(Change {
        condition: Some(condition.condition_id()),
        gone: vec![token],
        amount: Some(fields.amount(3)?),
        payout: fields.amount(4)?,
        ..empty(FlowKind::Redemption, fields.address(0))
    })
}

/// An event of the second generation, left-aligned in a word.
fn event(word: &Word) -> Option<EventId> {
    word[29..].iter().all(|byte| *byte == 0).then_some(())?;
    EventId::from_bytes(word[..29].try_into().ok()?)
}

/// The YES of every condition of an event, "Other" included, against cash.
fn horizontal(fields: &Fields, kind: FlowKind) -> Option<Change> {
    let word = fields.get(1)?;
    let all: Option<Vec<TokenId>> = event(word)?.conditions().map(|it| it.token(0)).collect();
    let change =
        Change { market: Some(*word), amount: Some(fields.amount(3)?), ..empty(kind, fields.address(0)) };
    Some(match kind {
        FlowKind::Split => Change { came: all?, ..change },
        _ => Change { gone: all?, ..change },
    })
}

/// One NO becomes the YES of all other conditions of its event. Which one is looked for among those that moved.
fn native_conversion(fields: &Fields) -> Option<Change> {
    let word = fields.get(1)?;
    let conditions: Vec<StructuralCondition> = event(word)?.conditions().collect();
    let of = |index| conditions.iter().filter_map(|it| it.token(index)).collect();
    Some(Change {
        market: Some(*word),
        gone: of(1),
        came: of(0),
        ..empty(FlowKind::Conversion, fields.address(0))
    })
}
