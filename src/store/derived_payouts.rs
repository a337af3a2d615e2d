//! Payouts that no table has, of the positions that have none: of combos by their legs, and of native negative-risk
//! questions by the others of their event.

use std::collections::{BTreeSet, HashMap};

use clickhouse::Row;
use serde::Deserialize;

use super::positions::{Holdings, resolutions_or_none, winners_or_none};
use super::sql::mirror_spelling;
use super::{Store, StoreError};
use crate::ids::{ConditionId, EventId, Module, StructuralToken, TokenId};
use crate::pnl::{
    Decision, Evidence, Labels, Payout, PayoutSource, PayoutVector, Position, Resolution, combo_payout,
    decide, event_payout,
};
use crate::proof::{KnownConditions, Legacy};

/// What the tables say of how a condition ended.
#[derive(Row, Deserialize)]
struct Ended {
    condition: String,
    chain: Vec<String>,
    chain_whole: String,
    has_resolution: bool,
    numerators: Vec<String>,
    denominator: String,
    winning_index: u64,
    winning_outcome: String,
    dated: bool,
    winner: String,
    first: String,
    second: String,
}

/// What is to be looked up: conditions as their mirrors spell them, and whole events.
#[derive(Default)]
struct Wanted {
    conditions: BTreeSet<ConditionId>,
    events: BTreeSet<EventId>,
}

/// Everything that derived payouts follow from.
struct Sources {
    combos: HashMap<ConditionId, Vec<TokenId>>,
    known: KnownConditions,
    decided: HashMap<ConditionId, [Decision; 2]>,
}

impl Store {
    /// Decides the positions of combos and of native negative-risk questions that no table decides.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn decide_derived(&self, holdings: &mut [Holdings]) -> Result<(), StoreError> {
        let open = |position: &&mut Position| {
            let derived = [Module::NegRisk, Module::Combo];
            let module = position.condition_id.structural().map(|condition| condition.module());
            position.decision.payout.is_none() && module.is_some_and(|module| derived.contains(&module))
        };
        let mut positions: Vec<&mut Position> = Vec::new();
        for held in holdings.iter_mut() {
            positions.extend(held.positions.iter_mut().filter(|position| open(position)));
        }
        if positions.is_empty() {
            return Ok(());
        }
        let mut known = KnownConditions::default();
        self.learn_registrations(&mut known).await?;
        let combos = self.combos().await?.into_iter().filter(|(condition, legs)| {
            crate::ctf::combo_condition(legs).is_ok_and(|made| made.condition_id() == *condition)
        });
        let mut sources = Sources { combos: combos.collect(), known, decided: HashMap::new() };
        let mut wanted = Wanted::default();
        for position in &positions {
            sources.want(&position.condition_id, &mut wanted);
        }
        sources.decided = self.ended(&wanted).await?;
        for position in positions {
            let payout = |index| sources.payout(&position.condition_id, index);
            let index = position.outcome_index.min(1);
            if let Some((payout, source)) = payout(index) {
                position.decision = Decision {
                    payout: Some(payout),
                    source: Some(source),
                    listed: true,
                    undecidable: false,
                    ..std::mem::take(&mut position.decision)
                };
            }
            position.otherwise = payout(1 - index).map(|(payout, _)| payout);
        }
        for held in holdings {
            let combos = |position: &&Position| {
                position.condition_id.structural().is_some_and(|it| it.module() == Module::Combo)
            };
            let undecided = held.positions.iter().filter(combos).filter(|it| it.decision.payout.is_none());
            held.data_quality.undecided_combos = undecided.count() as u64;
        }
        Ok(())
    }

    /// What the tables say of the conditions that are wanted, as far as they say anything.
    async fn ended(&self, wanted: &Wanted) -> Result<HashMap<ConditionId, [Decision; 2]>, StoreError> {
        let list = |texts: Vec<String>| format!("('{}')", texts.join("','"));
        let keys = list(wanted.conditions.iter().map(ConditionId::to_string).collect());
        let events = list(wanted.events.iter().map(EventId::to_string).collect());
        let fits = |select: &str| {
            format!(
                "(SELECT * FROM ({select}) WHERE {} IN {keys} OR left(condition, 58) IN {events})",
                mirror_spelling("condition")
            )
        };
        let chain = fits(&self.chain_payouts_sql().await?);
        let inputs = self.inputs().await?;
        let resolutions = fits(&resolutions_or_none(inputs.resolutions.as_ref()));
        let winners = fits(&winners_or_none(inputs.winners.as_ref()));
        let labels = fits(&self.labels_sql(inputs.map()?).await?);
        let sql = format!(
            "SELECT c.condition AS condition, h.vector AS chain, h.whole AS chain_whole, r.has AS has_resolution, \
                    r.vector AS numerators, r.whole AS denominator, r.winning AS winning_index, \
                    toValidUTF8(r.outcome) AS winning_outcome, r.dated AS dated, toValidUTF8(w.outcome) AS winner, \
                    toValidUTF8(b.first) AS first, toValidUTF8(b.second) AS second \
             FROM (SELECT condition FROM {chain} UNION DISTINCT SELECT condition FROM {resolutions} \
                   UNION DISTINCT SELECT condition FROM {winners}) AS c \
             GLOBAL LEFT ANY JOIN {chain} AS h ON c.condition = h.condition \
             GLOBAL LEFT ANY JOIN {resolutions} AS r ON c.condition = r.condition \
             GLOBAL LEFT ANY JOIN {winners} AS w ON c.condition = w.condition \
             GLOBAL LEFT ANY JOIN {labels} AS b ON c.condition = b.condition \
             SETTINGS join_use_nulls = 0"
        );
        let query = self.query(&sql).with_setting("max_query_size", "64000000");
        let rows: Vec<Ended> = self.rows("reading what legs and events pay", query).await?;
        let decided = rows.into_iter().filter_map(|row| {
            let condition: ConditionId = row.condition.parse().ok()?;
            let evidence = row.evidence(condition.structural().is_some());
            Some((condition, [decide(0, &evidence), decide(1, &evidence)]))
        });
        Ok(decided.collect())
    }
}

impl Ended {
    fn evidence(&self, structural: bool) -> Evidence {
        // The outcomes of natives are called Yes and No where nothing else is known.
        let unknown = structural && self.first.is_empty() && self.second.is_empty();
        let (first, second) =
            if unknown { ("Yes", "No") } else { (self.first.as_str(), self.second.as_str()) };
        let resolution = self.has_resolution.then(|| Resolution {
            vector: PayoutVector::parse(&self.numerators, &self.denominator),
            winning_index: u8::try_from(self.winning_index).ok().filter(|index| *index < 2),
            winning_outcome: self.winning_outcome.clone(),
            dated: self.dated,
        });
        Evidence {
            labels: Labels::new(first, second),
            chain: Some(PayoutVector::parse(&self.chain, &self.chain_whole)).filter(PayoutVector::pays),
            resolution,
            winner: self.winner.clone(),
            ..Evidence::default()
        }
    }
}

impl Sources {
    fn legs(&self, condition: &ConditionId) -> impl Iterator<Item = StructuralToken> {
        self.combos.get(condition).into_iter().flatten().filter_map(|leg| leg.structural())
    }

    fn want(&self, condition: &ConditionId, wanted: &mut Wanted) {
        let Some(parts) = condition.structural() else { return };
        if parts.module() == Module::Combo {
            self.legs(condition)
                .filter(|leg| leg.condition.module() != Module::Combo)
                .for_each(|leg| self.want(&leg.condition.condition_id(), wanted));
        } else if let Legacy::One(legacy) = self.known.legacy_of(&parts) {
            wanted.conditions.extend(legacy.mirror().map(|mirror| mirror.condition_id()));
        } else if parts.module() == Module::NegRisk {
            wanted.events.insert(parts.event());
        } else {
            wanted.conditions.insert(*condition);
        }
    }

    /// What an outcome pays, and by which source.
    fn payout(&self, condition: &ConditionId, outcome_index: u8) -> Option<(Payout, PayoutSource)> {
        let parts = condition.structural()?;
        match parts.module() {
            Module::Combo => {
                let legs: Vec<_> = self.combos.get(condition)?.iter().map(|leg| self.leg(*leg)).collect();
                let source = legs.iter().flatten().map(|(_, source)| *source).max()?;
                let payouts: Vec<_> = legs.into_iter().map(|leg| Some(leg?.0)).collect();
                Some((combo_payout(&payouts, outcome_index)?, source))
            }
            Module::NegRisk => {
                if let Legacy::One(legacy) = self.known.legacy_of(&parts) {
                    return self.reported(&legacy, outcome_index);
                }
                self.reported(condition, outcome_index).or_else(|| {
                    let yes: Vec<_> =
                        parts.event().conditions().map(|it| self.reported(&it.condition_id(), 0)).collect();
                    let source = yes.iter().flatten().map(|(_, source)| *source).max()?;
                    let payouts: Vec<_> = yes.into_iter().map(|it| Some(it?.0)).collect();
                    let index = usize::from(parts.condition_index());
                    Some((event_payout(&payouts, index, outcome_index)?, source))
                })
            }
            Module::Binary => self.reported(condition, outcome_index).or_else(|| {
                let mut twins = self.decided.keys().filter(|it| *it != condition && it.is_same_as(condition));
                // Of two legacy conditions with the same half it is open which one is meant.
                let only = twins.next().filter(|_| twins.next().is_none())?;
                self.reported(only, outcome_index)
            }),
        }
    }

    /// What a leg pays; a combo in a combo is not looked into.
    fn leg(&self, leg: TokenId) -> Option<(Payout, PayoutSource)> {
        let parts = leg.structural().filter(|it| it.condition.module() != Module::Combo)?;
        self.payout(&parts.condition.condition_id(), parts.outcome_index)
    }

    fn reported(&self, condition: &ConditionId, outcome_index: u8) -> Option<(Payout, PayoutSource)> {
        let decision = &self.decided.get(condition)?[usize::from(outcome_index.min(1))];
        Some((decision.payout.clone()?, decision.source?))
    }
}
