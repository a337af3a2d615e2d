//! Which claim about a token is believed, and why (no I/O).
//!
//! A token of the first generation is a hash of its condition: a claim is proven by it or has no proof. A token of the
//! second generation carries its condition and its outcome in its bits, which win over every claim. What the bits do
//! not tell is whether that condition is the mirror of a legacy one: [`KnownConditions`] does.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::ctf::{self, Collateral};
use crate::ids::{ConditionId, Module, StructuralCondition, StructuralToken, TokenId};

/// Why a mapping is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Evidence {
    /// A hash gives it: the token from its condition, or a combo's condition from its legs.
    Proven,
    /// The token is the second-generation twin of a known condition.
    Mirror,
    /// Condition and outcome stand in the token's own bits; that the market exists they do not show.
    Structural,
}

impl Evidence {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Proven, Self::Mirror, Self::Structural];

    /// The word for it in tables, CSV and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Mirror => "mirror",
            Self::Structural => "structural",
        }
    }

    /// The evidence of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// `source` as the map names it: as it is where the hash proves the row, else with the evidence behind it.
    pub fn marked(self, source: &str) -> String {
        let marks = ["_mirror", "_structural"];
        let source = marks.iter().find_map(|mark| source.strip_suffix(mark)).unwrap_or(source);
        match self {
            Self::Proven => source.to_owned(),
            Self::Mirror | Self::Structural => format!("{source}_{}", self.name()),
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a claim is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The condition is no condition id.
    #[error("the condition is malformed")]
    Malformed,
    /// The condition is zero, which no market's is.
    #[error("the condition is zero")]
    Zero,
    /// A hash, and no outcome of the condition has it.
    #[error("no outcome of this condition has this token, with any collateral listed")]
    NoProof,
    /// The bits of the token name another condition.
    #[error("the token's own bits name another condition")]
    ContradictsBits,
    /// The token mirrors another condition, which is known.
    #[error("the token mirrors another condition that is known")]
    OtherCondition,
    /// Several known conditions end in the 128 bits that the token carries.
    #[error(
        "several known conditions have the half that the token carries: which of them it mirrors is open"
    )]
    Ambiguous,
}

/// What a claim came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof<'a> {
    /// The condition that counts: the legacy one of a mirror.
    pub condition: ConditionId,
    /// The outcome index, as the hash or the bits give it.
    pub outcome_index: u8,
    /// Why it is believed.
    pub evidence: Evidence,
    /// The name of the collateral that the hash was proven with, empty for tokens of the second generation.
    pub collateral: &'a str,
}

/// A mapping that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The token.
    pub token: TokenId,
    /// Its condition.
    pub condition: ConditionId,
    /// Its outcome index, 0 or 1.
    pub outcome_index: u8,
    /// The label that its source gives it, empty where it gives none.
    pub label: String,
    /// Why it is believed.
    pub evidence: Evidence,
    /// The collateral's name, empty where no hash over one was needed.
    pub collateral: String,
}

impl Mapping {
    /// The mapping of a proof.
    pub fn new(token: TokenId, proof: &Proof<'_>, label: String) -> Self {
        Self {
            token,
            condition: proof.condition,
            outcome_index: proof.outcome_index,
            label,
            evidence: proof.evidence,
            collateral: proof.collateral.to_owned(),
        }
    }
}

/// The legacy condition that one of the second generation is the mirror of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legacy {
    /// None that is known.
    Unknown,
    /// This one.
    One(ConditionId),
    /// Several are known.
    Ambiguous,
}

/// The conditions that count as known when mirrors are looked for: those in the users' tables or from the chain, and
/// those whose own token the hash proves. That a source claims a condition does not make it one: a lie needs only to
/// keep 128 bits right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownConditions {
    /// Legacy conditions by their low half.
    by_half: HashMap<u128, Legacy>,
    /// Mirrors that the modules registered on chain, by the mirror's condition.
    registered: HashMap<ConditionId, Legacy>,
    /// Negative-risk markets by the low half of their id: the id, and how many questions each has.
    markets: HashMap<u128, Vec<(ConditionId, u16)>>,
    /// Combos whose legs are known and make them, by their base.
    combos: HashSet<u128>,
    guess: bool,
}

impl KnownConditions {
    /// Adds a condition. Those of the second generation name themselves and are not looked for.
    pub fn insert(&mut self, condition: ConditionId) {
        if condition.is_zero() || condition.structural().is_some() {
            return;
        }
        add(&mut self.by_half, condition.low_half(), condition);
    }

    /// Adds a negative-risk market of the first generation, by its 32 bytes, with so many questions.
    pub fn insert_market(&mut self, market: [u8; 32], questions: u16) {
        let market = ConditionId::from_bytes(market);
        let of_half = self.markets.entry(market.low_half()).or_default();
        match of_half.iter_mut().find(|(known, _)| *known == market) {
            Some((_, known)) => *known = questions.max(*known),
            None => of_half.push((market, questions)),
        }
    }

    /// Adds what a module registered: `mirror` is the twin of `legacy`. Not believed, and `false`, where recomputing the
    /// one from the other gives something else; a negative-risk market must have been added before.
    pub fn register(&mut self, mirror: &StructuralCondition, legacy: ConditionId) -> bool {
        let holds = match mirror.module() {
            Module::Binary => legacy.mirror() == Some(*mirror),
            Module::NegRisk => self.questions(mirror).any(|condition| condition == legacy),
            Module::Combo => false,
        };
        if holds {
            add(&mut self.registered, mirror.condition_id(), legacy);
        }
        holds
    }

    /// Adds a combo's legs, `false` where they do not make this condition.
    pub fn insert_combo(&mut self, condition: &StructuralCondition, legs: &[TokenId]) -> bool {
        let holds = ctf::combo_condition(legs).is_ok_and(|made| made == *condition);
        if holds {
            self.combos.insert(condition.base());
        }
        holds
    }

    /// Takes the mirrors of negative-risk markets for known where no event registered them: off unless it is asked for.
    pub fn guess_neg_risk_mirrors(&mut self, guess: bool) {
        self.guess = guess;
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.by_half.is_empty() && self.registered.is_empty() && self.markets.is_empty()
    }

    /// Which legacy condition this one is the mirror of. What the modules registered settles it also where two known
    /// conditions share a half.
    pub fn legacy_of(&self, mirror: &StructuralCondition) -> Legacy {
        if let Some(legacy) = self.registered.get(&mirror.condition_id()) {
            return *legacy;
        }
        match mirror.module() {
            Module::Binary if mirror.may_be_mirror() => {
                self.by_half.get(&mirror.base()).copied().unwrap_or(Legacy::Unknown)
            }
            Module::NegRisk if self.guess => {
                let mut questions = self.questions(mirror);
                match (questions.next(), questions.next()) {
                    (None, _) => Legacy::Unknown,
                    (Some(one), None) => Legacy::One(one),
                    _ => Legacy::Ambiguous,
                }
            }
            _ => Legacy::Unknown,
        }
    }

    /// The legacy conditions that a negative-risk condition can mirror, by the known markets with its base.
    fn questions(&self, mirror: &StructuralCondition) -> impl Iterator<Item = ConditionId> {
        let index = mirror.condition_index();
        let fits = mirror.resolution_chain() == 0 && !mirror.is_other();
        let markets = self.markets.get(&mirror.base()).filter(|_| fits).into_iter().flatten();
        markets.filter(move |(_, questions)| *questions == mirror.arity()).filter_map(move |(market, _)| {
            ctf::neg_risk_condition(market.as_bytes(), u8::try_from(index).ok()?)
        })
    }
}

fn add<K: std::hash::Hash + Eq>(known: &mut HashMap<K, Legacy>, key: K, condition: ConditionId) {
    let entry = known.entry(key).or_insert(Legacy::One(condition));
    if *entry != Legacy::One(condition) {
        *entry = Legacy::Ambiguous;
    }
}

/// What proofs are made with, kept for as long as a phase runs.
#[derive(Debug, Clone, Default)]
pub struct ProofPolicy {
    /// The tokens that may back positions.
    pub collaterals: Vec<Collateral>,
    /// The conditions that mirrors are looked for among.
    pub known: Arc<KnownConditions>,
}

impl ProofPolicy {
    /// With these collaterals, and nothing known yet.
    pub fn new(collaterals: Vec<Collateral>) -> Self {
        Self { collaterals, ..Self::default() }
    }

    /// Takes the mirrors of negative-risk markets for known where no event registered them.
    pub fn guess_neg_risk_mirrors(&mut self, guess: bool) {
        Arc::make_mut(&mut self.known).guess_neg_risk_mirrors(guess);
    }

    /// A prover that knows what the policy knows and what was `learned` since.
    pub fn prover<'a>(&'a self, learned: &'a KnownConditions) -> Prover<'a, 'a> {
        Prover { collaterals: &self.collaterals, known: &self.known, learned }
    }
}

/// Examines claims: with the collaterals that may back hashes, and the conditions that are known.
#[derive(Debug, Clone, Copy)]
pub struct Prover<'a, 'k> {
    collaterals: &'a [Collateral],
    known: &'k KnownConditions,
    learned: &'k KnownConditions,
}

/// The claim that counts of several about one token, and what it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<'a> {
    /// Which of the claims it is, by its place; `None` where the token's bits decide against all of them.
    pub place: Option<usize>,
    /// What it came to.
    pub proof: Proof<'a>,
}

impl<'a, 'k> Prover<'a, 'k> {
    /// A prover with these collaterals and known conditions.
    pub const fn new(collaterals: &'a [Collateral], known: &'k KnownConditions) -> Self {
        Self { collaterals, known, learned: known }
    }

    /// The tokens that may back positions.
    pub const fn collaterals(&self) -> &'a [Collateral] {
        self.collaterals
    }

    fn legacy_of(&self, mirror: &StructuralCondition) -> Legacy {
        match (self.known.legacy_of(mirror), self.learned.legacy_of(mirror)) {
            (Legacy::Unknown, legacy) | (legacy, Legacy::Unknown) => legacy,
            (known, learned) if known == learned => known,
            _ => Legacy::Ambiguous,
        }
    }

    /// What the bits of a token say without any claim; `None` for a hash, which says nothing by itself.
    pub fn by_bits(&self, token: TokenId) -> Option<Result<Proof<'a>, Refusal>> {
        token.structural().map(|token| self.structural(&token))
    }

    /// Examines the claim that `token` belongs to `condition`. The `likely` outcome is looked at first, which changes
    /// nothing but the time that it takes: the index is what the hash or the bits say.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn examine(&self, token: TokenId, condition: &ConditionId, likely: u8) -> Result<Proof<'a>, Refusal> {
        if condition.is_zero() {
            return Err(Refusal::Zero);
        }
        match token.structural() {
            Some(token) => self.examine_structural(&token, condition),
            None => self.examine_hash(token, condition, likely),
        }
    }

    /// Which of several claims about one token counts, given in their order of precedence: the first that holds. The
    /// bits of a token decide also where every claim contradicts them.
    ///
    /// # Errors
    /// The refusal of the first claim, where none holds and the bits say nothing.
    pub fn choose<'c>(
        &self,
        token: TokenId,
        claims: impl IntoIterator<Item = (&'c ConditionId, u8)>,
    ) -> Result<Choice<'a>, Refusal> {
        let mut refusal = None;
        for (place, (condition, likely)) in claims.into_iter().enumerate() {
            match self.examine(token, condition, likely) {
                Ok(proof) => return Ok(Choice { place: Some(place), proof }),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        match self.by_bits(token) {
            Some(proof) => Ok(Choice { place: None, proof: proof? }),
            None => Err(refusal.unwrap_or(Refusal::NoProof)),
        }
    }

    fn structural(&self, token: &StructuralToken) -> Result<Proof<'a>, Refusal> {
        let proof = |condition, evidence| Proof {
            condition,
            outcome_index: token.outcome_index,
            evidence,
            collateral: "",
        };
        let own = || token.condition.condition_id();
        match self.legacy_of(&token.condition) {
            Legacy::One(legacy) => Ok(proof(legacy, Evidence::Mirror)),
            Legacy::Ambiguous => Err(Refusal::Ambiguous),
            Legacy::Unknown
                if token.condition.module() == Module::Combo
                    && self.known.combos.contains(&token.condition.base()) =>
            {
                Ok(proof(own(), Evidence::Proven))
            }
            Legacy::Unknown => Ok(proof(own(), Evidence::Structural)),
        }
    }

    fn examine_structural(
        &self,
        token: &StructuralToken,
        condition: &ConditionId,
    ) -> Result<Proof<'a>, Refusal> {
        let fits = match (token.condition.module(), condition.structural()) {
            (_, Some(claimed)) => claimed == token.condition,
            // A legacy condition that may be the one, known or not: the bits hold half of it.
            (Module::Binary, None) => condition.mirror() == Some(token.condition),
            // The bits hold half of the market's id, which the condition is a hash of: nothing to compare.
            (Module::NegRisk, None) => !token.condition.is_other(),
            (Module::Combo, None) => false,
        };
        if !fits {
            return Err(Refusal::ContradictsBits);
        }
        let proof = self.structural(token)?;
        let other = condition.structural().is_none()
            && proof.evidence == Evidence::Mirror
            && proof.condition != *condition;
        if other { Err(Refusal::OtherCondition) } else { Ok(proof) }
    }

    fn examine_hash(
        &self,
        token: TokenId,
        condition: &ConditionId,
        likely: u8,
    ) -> Result<Proof<'a>, Refusal> {
        // Named by its mirror, a condition is still the one that the hash is of.
        let legacy = match condition.structural().map(|mirror| self.legacy_of(&mirror)) {
            Some(Legacy::One(legacy)) => legacy,
            Some(Legacy::Ambiguous) => return Err(Refusal::Ambiguous),
            _ => *condition,
        };
        let proof = ctf::prove_claim(&token, &legacy, likely, self.collaterals).ok_or(Refusal::NoProof)?;
        Ok(Proof {
            condition: legacy,
            outcome_index: proof.outcome_index,
            evidence: Evidence::Proven,
            collateral: &proof.collateral.name,
        })
    }
}

#[cfg(test)]
mod tests;
