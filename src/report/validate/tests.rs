//! The guide's own figures, through the page and the object.

use serde_json::json;

use crate::ids::Wallet;
use crate::phases::validate::EvidenceTables;
use crate::phases::validate::{AssessRules, Baseline, Explanation, Status, ValidateResult, assess_holdings};
use crate::pnl::{Charged, Decision, FlowSums, Micro, Payout, Position, Repeated, Trade, TransferRule, Usd};
use crate::report::Report;
use crate::results::Validate;
use crate::store::flows::WalletFlows;
use crate::store::positions::{DataQuality, Holdings};
use crate::values::Percent;

const WALLET: &str = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn position(number: usize, index: u8, net: i128, cash: i128, pays: bool) -> Position {
    let condition = match number {
        0 => "3f4a8c2e9d1b".to_owned(),
        52 => "7b2d9f1e3c5a".to_owned(),
        _ => format!("{number:012x}"),
    };
    Position {
        wallet: WALLET.parse().unwrap(),
        token_id: number.to_string().parse().unwrap(),
        condition_id: format!("{condition:0<64}").parse().unwrap(),
        outcome_index: index,
        label: if index == 0 { "Yes" } else { "No" }.to_owned(),
        fills: 2,
        net_shares: Micro::whole(net),
        cashflow: Micro::whole(cash),
        trades: vec![Trade::whole(1, net, cash)],
        charged: Charged::default(),
        flows: FlowSums::default(),
        excluded: false,
        decision: Decision {
            payout: Some(Payout::of_winner(pays)),
            winner: "Yes".to_owned(),
            ..Decision::default()
        },
        otherwise: None,
        repeated: Repeated::default(),
    }
}

/// 52 wins and 37 losses: the two that the guide prints, and others that make its totals.
fn guide() -> ValidateResult {
    let mut positions = vec![position(0, 1, 45_678_901_234, -42_345_678_901, true)];
    positions.extend((1..51).map(|number| position(number, u8::from(number > 21), 0, 2_377_137_405, true)));
    positions.push(position(51, 1, 0, 121_234_007_667 - 50 * 2_377_137_405, true));
    positions.push(position(52, 0, 12_345_678_901, -10_234_567_890, false));
    positions.extend((53..88).map(|number| position(number, u8::from(number > 70), 0, -777_765_058, false)));
    positions.push(position(88, 0, 0, -27_999_542_110 + 35 * 777_765_058, false));
    let wallet: Wallet = WALLET.parse().unwrap();
    let holdings = Holdings {
        wallet,
        positions,
        unmapped: Vec::new(),
        data_quality: DataQuality::default(),
        odd_sides: Vec::new(),
        fees: false,
        estimated_fees: Usd::zero(),
    };
    let baseline = Baseline::new(wallet, usd("87030.51"));
    let rules = AssessRules {
        limit: Percent::whole(2),
        collaterals: &[],
        method: None,
        transfers: TransferRule::Free,
    };
    ValidateResult {
        audit: None,
        wallets: vec![assess_holdings(&baseline, holdings, &WalletFlows::default(), None, rules)],
        limit: Percent::whole(2),
        tables: EvidenceTables::default(),
        detail: false,
        positions_file: None,
        elapsed_seconds: 1.0,
    }
}

#[test]
fn the_guides_page_comes_out_to_the_cent() {
    let text = Validate::from(&guide()).text();
    let beginning = "COMPREHENSIVE P&L VALIDATION - ALL THREE FIXES
════════════════════════════════════════
Wallet: 0xcce2b7c71f21e358b8e5e797e586cbc03160d58b
Expected P&L (Dome): $87,030.51

Fixes applied:
  ✓ Bug #1: ÷1,000,000 for micro-unit conversion
  ✓ Bug #2: Decode outcome_idx from asset_id
  ✓ Bug #3: Correct loser formula (no sign inversion)

[1] Intermediate Numbers (Top 5 Winners + Top 5 Losers)
────────────────────────────────────────

TOP WINNERS:
01. 3f4a8c2e9d1b... (outcome 1, winner: yes)
    Net shares (micro):     45,678,901,234
    Cost basis (micro):     -42,345,678,901
    Payout (shares/$1):     $45,678.90
    Cost (absolute):        $42,345.68
    → Realized P&L:         $3,333.22
";
    assert!(text.starts_with(beginning), "{text}");
    for part in [
        "
TOP LOSERS:
01. 7b2d9f1e3c5a... (outcome 0, winner: yes)
    Net shares (micro):     12,345,678,901
    Cost basis (micro):     -10,234,567,890
    Payout (shares/$0):     $0.00
    Cost (lost):            $10,234.57
    → Realized P&L:         -$10,234.57
",
        "
[2] Total P&L Summary
════════════════════════════════════════

Total resolved positions: 89
  Wins:    52 positions → P&L: $124,567.23
  Losses:  37 positions → P&L: -$38,234.11

Total realized P&L: $86,333.12
Expected (Dome):    $87,030.51

Delta:    -$697.39 (-697.39)
Variance: -0.80%
Status:   ✅ PASS (<2% threshold)
Margin:   1.20 points below the limit of 2%
",
        "
[3] Outcome Index Distribution (Bug #2 verification)
════════════════════════════════════════

Outcome 0 (Yes): 41 positions
Outcome 1 (No): 48 positions
Outcome 2+: 0 positions

✅ Positions of both outcomes detected (89 total)
",
        "🎉 VALIDATION PASSED!\n\nAll three bug fixes verified:\n",
        "\nVariance within ±2% threshold.\n",
    ] {
        assert!(text.contains(part), "{part}\nis missing in\n{text}");
    }
    assert_eq!(text.matches("    → Realized P&L:").count(), 10, "five winners and five losers");
}

#[test]
fn the_object_says_the_same_in_six_decimals() {
    let wallet = &Validate::from(&guide()).json()["wallets"][0];
    let expected = json!({
        "expected": "87030.510000", "total": "86333.120000", "delta": "-697.390000", "variance_pct": -0.8,
        "status": "pass", "positions": 89,
        "wins": {"count": 52, "pnl": "124567.230000"}, "losses": {"count": 37, "pnl": "-38234.110000"},
        "outcomes": {"0": 41, "1": 48, "other": 0},
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&wallet[name], value, "{name}");
    }
    let winner = &wallet["top_winners"][0];
    assert_eq!(winner["net_shares_micro"], "45678901234");
    assert_eq!(winner["cost_basis_micro"], "-42345678901");
    assert_eq!((&winner["payout"], &winner["pnl"]), (&json!("45678.901234"), &json!("3333.222333")));
}

#[test]
fn many_wallets_are_a_table_that_says_why_each_one_failed() {
    let mut result = guide();
    let mut failed = result.wallets[0].clone();
    failed.baseline.label = Some("whale".to_owned());
    failed.status = Status::Fail;
    failed.unexplained = usd("1.5");
    failed.explanations =
        vec![Explanation { cause: "fills of unmapped tokens", count: 1_234, worth: usd("697.385") }];
    let mut skipped = result.wallets[0].clone();
    (skipped.status, skipped.variance) = (Status::Skipped, None);
    result.wallets.extend([failed, skipped]);
    let page = Validate::from(&result).text();
    for part in [
        "FAIL     [whale] $697.39 in 1,234 fills of unmapped tokens\n",
        "SKIPPED  a baseline of zero\n",
        "\n1 passed, 1 failed, 1 skipped\n",
        "❌ VALIDATION FAILED",
    ] {
        assert!(page.contains(part), "{part}\nis missing in\n{page}");
    }
    assert!(!page.contains("[2] Total"), "the whole page of each only where it is asked for");
    result.detail = true;
    assert_eq!(Validate::from(&result).text().matches("[2] Total P&L Summary").count(), 3);
    assert!(Validate::from(&result).text().contains("           $1.50  left unexplained\n"));
}
