//! The events that flows are read from, by the hash of their signatures.

use crate::chain::Word;
use crate::chain::contracts::word;

/// CTF `PositionSplit(address stakeholder*, address collateral, bytes32 parent*, bytes32 condition*, uint256[]
/// partition, uint256 amount)`
pub const CTF_SPLIT: Word = word("2e6bb91f8cbcda0c93623c54d0403a43514fabc40084ec96b6d5379a74786298");
/// CTF `PositionsMerge`, as the split.
pub const CTF_MERGE: Word = word("6f13ca62553fcc2bcd2372180a43949c1e4cebba603901ede2f4e14f36b282ca");
/// CTF `PayoutRedemption(address redeemer*, address collateral*, bytes32 parent*, bytes32 condition, uint256[]
/// indexSets, uint256 payout)`
pub const CTF_REDEMPTION: Word = word("2682012a4a4f1973119f1c9b90745d1bd91fa2bab387344f044cb3586864d18d");
/// Adapter `PositionSplit(address stakeholder*, bytes32 condition*, uint256 amount)`
pub const ADAPTER_SPLIT: Word = word("bbed930dbfb7907ae2d60ddf78345610214f26419a0128df39b6cc3d9e5df9b0");
/// Adapter `PositionsMerge`, as the split.
pub const ADAPTER_MERGE: Word = word("ba33ac50d8894676597e6e35dc09cff59854708b642cd069d21eb9c7ca072a04");
/// Adapter `PayoutRedemption(address redeemer*, bytes32 condition*, uint256[] amounts, uint256 payout)`
pub const ADAPTER_REDEMPTION: Word = word("9140a6a270ef945260c03894b3c6b3b2695e9d5101feef0ff24fec960cfd3224");
/// Adapter `PositionsConverted(address stakeholder*, bytes32 market*, uint256 indexSet*, uint256 amount)`
pub const CONVERTED: Word = word("b03d19dddbc72a87e735ff0ea3b57bef133ebe44e1894284916a84044deb367e");
/// ERC-1155 `TransferSingle(address operator*, address from*, address to*, uint256 id, uint256 value)`
pub const TRANSFER_SINGLE: Word = word("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
/// ERC-1155 `TransferBatch(address operator*, address from*, address to*, uint256[] ids, uint256[] values)`
pub const TRANSFER_BATCH: Word = word("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb");
/// Modules' `PositionMigrated(address from*, bytes31 condition*, uint256 position*, uint256 outcome, uint256 amount)`
pub const MIGRATED: Word = word("e8d329e97d555e1e9d0da49d3b12d41a966458eee02ff4c869e54c6711d7c80b");
/// Modules' `PositionsSplit(address, bytes31 condition, address, address, uint256 amount)`
pub const MODULE_SPLIT: Word = word("b6a6b8b17a43b07b9359dd12d304e42077eede9e672f8646144842c8604582a4");
/// Modules' `PositionsMerged(address, bytes31 condition, address, uint256 amount)`
pub const MODULE_MERGE: Word = word("f233f7be4ce81130a78e8eb2fa626497586c56094d27bfec2e196471e9c60301");
/// Modules' `PositionRedeemed(address, uint256 position, address, uint256 amount, uint256 payout)`
pub const MODULE_REDEMPTION: Word = word("4fd474b703f46b453536518b4cbc159dfbea6fd663233763d321a9bc8ccdf97f");
/// NegRiskModule `HorizontalSplit(address, bytes29 event, address, uint256 amount)`
pub const HORIZONTAL_SPLIT: Word = word("9dbee20759d31417e9b0d739e07904f87139522ce89cf2f6ad78e299067674ce");
/// NegRiskModule `HorizontalMerge`, as the split.
pub const HORIZONTAL_MERGE: Word = word("bfdd473162148936b92fc229a1d66bcded27968d61ec543cbd86b433fd2d7b4b");
/// NegRiskModule `PositionConverted(address, bytes29 event, address, uint256, uint256)`
pub const MODULE_CONVERTED: Word = word("975e919c2cacb75b8a9fc78ddf455a5211812df2f388c877c8d3adfe156e2779");
/// First exchanges' `OrderFilled(bytes32 order*, address maker*, address taker*, uint256 makerAsset, uint256
/// takerAsset, uint256 makerAmount, uint256 takerAmount, uint256 fee)`
pub const ORDER_FILLED: Word = word("d0a08e8c493f9c94f29311604c9de1b4e8c8d4c06bd0c789af57f2d65bfec0f6");
/// `OrderFilled(bytes32 order*, address maker*, address taker*, uint8 side, uint256 token, uint256 makerAmount,
/// uint256 takerAmount, uint256 fee, bytes32, bytes32)`
pub const ORDER_FILLED_SINCE_APRIL_2026: Word =
    word("d543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee");

/// Every event by which shares change form.
pub const ALL_CHANGES: [Word; 14] = [
    CTF_SPLIT,
    CTF_MERGE,
    CTF_REDEMPTION,
    ADAPTER_SPLIT,
    ADAPTER_MERGE,
    ADAPTER_REDEMPTION,
    CONVERTED,
    MIGRATED,
    MODULE_SPLIT,
    MODULE_MERGE,
    MODULE_REDEMPTION,
    HORIZONTAL_SPLIT,
    HORIZONTAL_MERGE,
    MODULE_CONVERTED,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::keccak256;

    #[test]
    fn events_are_the_hashes_of_their_signatures() {
        for (signature, topic) in [
            ("PositionSplit(address,address,bytes32,bytes32,uint256[],uint256)", CTF_SPLIT),
            ("PositionsMerge(address,address,bytes32,bytes32,uint256[],uint256)", CTF_MERGE),
            ("PayoutRedemption(address,address,bytes32,bytes32,uint256[],uint256)", CTF_REDEMPTION),
            ("PositionSplit(address,bytes32,uint256)", ADAPTER_SPLIT),
            ("PositionsMerge(address,bytes32,uint256)", ADAPTER_MERGE),
            ("PayoutRedemption(address,bytes32,uint256[],uint256)", ADAPTER_REDEMPTION),
            ("PositionsConverted(address,bytes32,uint256,uint256)", CONVERTED),
            ("TransferSingle(address,address,address,uint256,uint256)", TRANSFER_SINGLE),
            ("TransferBatch(address,address,address,uint256[],uint256[])", TRANSFER_BATCH),
            ("PositionMigrated(address,bytes31,uint256,uint256,uint256)", MIGRATED),
            ("PositionsSplit(address,bytes31,address,address,uint256)", MODULE_SPLIT),
            ("PositionsMerged(address,bytes31,address,uint256)", MODULE_MERGE),
            ("PositionRedeemed(address,uint256,address,uint256,uint256)", MODULE_REDEMPTION),
            ("HorizontalSplit(address,bytes29,address,uint256)", HORIZONTAL_SPLIT),
            ("HorizontalMerge(address,bytes29,address,uint256)", HORIZONTAL_MERGE),
            ("PositionConverted(address,bytes29,address,uint256,uint256)", MODULE_CONVERTED),
            ("OrderFilled(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)", ORDER_FILLED),
            (
                "OrderFilled(bytes32,address,address,uint8,uint256,uint256,uint256,uint256,bytes32,bytes32)",
                ORDER_FILLED_SINCE_APRIL_2026,
            ),
        ] {
            assert_eq!(keccak256(&[signature.as_bytes()]), topic, "{signature}");
        }
    }
}
