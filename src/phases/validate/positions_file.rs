//! [`PositionsFile`]: one row a position with every intermediate number, as CSV or Parquet by the file's ending.

use std::path::{Path, PathBuf};

use super::result::WalletResult;
use crate::atomic_file;
use crate::failure::Failure;
use crate::foreign;
use crate::pnl::{Payout, Position};
use crate::store::Store;
use crate::store::positions::Unmapped;

/// The columns, and their types in Parquet. In CSV the amounts have all of their digits, and where no decimal can tell
/// one (a third) it is a fraction; Parquet's have twelve decimals, enough for prices of six on whole micro-shares, and
/// `realized_pnl_exact` beside them is the text that stands in the CSV.
const COLUMNS: [(&str, &str); 15] = [
    ("wallet", "String"),
    ("token_id", "String"),
    ("condition_id", "String"),
    ("outcome_index", "Nullable(UInt8)"),
    ("label", "String"),
    ("state", "String"),
    ("fills", "UInt64"),
    ("net_shares_micro", "Nullable(Decimal(38, 12))"),
    ("cashflow_micro", "Decimal(38, 12)"),
    ("payout", "String"),
    ("winner", "String"),
    ("paid_out", "Nullable(Decimal(38, 12))"),
    ("realized_pnl", "Nullable(Decimal(38, 12))"),
    ("realized_pnl_exact", "String"),
    ("second_deliveries", "UInt64"),
];

/// Decimals of Parquet's amounts.
const DECIMALS: usize = 12;

/// What the positions are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csv,
    Parquet,
}

/// Where the positions are written, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionsFile {
    path: PathBuf,
    kind: Kind,
}

impl PositionsFile {
    /// The kind follows from the ending: `.csv` or none, or `.parquet`.
    ///
    /// # Errors
    /// Another ending.
    pub fn new(path: PathBuf) -> Result<Self, Failure> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let kind = match ending.as_deref() {
            None | Some("csv") => Kind::Csv,
            Some("parquet") => Kind::Parquet,
            Some(_) => {
                return Err(Failure::File(format!(
                    "{}: positions are written as CSV or Parquet, name a file that ends in .csv or .parquet",
                    path.display()
                )));
            }
        };
        Ok(Self { path, kind })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the positions of all wallets, those without a mapping too. The file is there whole or not at all; one of
    /// that name is replaced.
    ///
    /// # Errors
    /// It cannot be written, or the server cannot make Parquet of it.
    pub async fn write(&self, store: &Store, wallets: &[WalletResult]) -> Result<(), Failure> {
        let failed = |error: String| Failure::File(format!("cannot write {}: {error}", self.path.display()));
        let csv = self.csv(wallets).map_err(|error| failed(error.to_string()))?;
        let bytes = match self.kind {
            Kind::Csv => csv,
            Kind::Parquet => {
                let text = String::from_utf8(csv).map_err(|error| failed(error.to_string()))?;
                store.parquet(&COLUMNS, &text).await?
            }
        };
        let written = atomic_file::replace(&self.path, |file| file.write_all(&bytes));
        written.map_err(|error| failed(error.to_string()))
    }

    fn csv(&self, wallets: &[WalletResult]) -> Result<Vec<u8>, csv::Error> {
        let mut file = csv::Writer::from_writer(Vec::new());
        file.write_record(COLUMNS.map(|(name, _)| name))?;
        for wallet in wallets {
            for position in &wallet.positions {
                file.write_record(self.mapped(position))?;
            }
            for unmapped in &wallet.unmapped {
                file.write_record(self.unmapped(&wallet.baseline.wallet.to_string(), unmapped))?;
            }
        }
        file.into_inner().map_err(|error| csv::Error::from(error.into_error()))
    }

    fn mapped(&self, position: &Position) -> [String; 15] {
        let realized = position.realized();
        let state = if realized.is_some() { "resolved" } else { "unresolved" };
        [
            position.wallet.to_string(),
            position.token_id.to_string(),
            position.condition_id.to_string(),
            position.outcome_index.to_string(),
            self.text(&position.label),
            state.to_owned(),
            position.fills.to_string(),
            self.amount(|| position.net_shares.exact(), |it| position.net_shares.fixed(it)),
            self.amount(|| position.cashflow.exact(), |it| position.cashflow.fixed(it)),
            position.decision.payout.as_ref().map(Payout::exact).unwrap_or_default(),
            self.text(&position.decision.winner),
            position
                .paid_out()
                .map(|usd| self.amount(|| usd.exact(), |it| usd.fixed(it)))
                .unwrap_or_default(),
            realized.as_ref().map(|usd| self.amount(|| usd.exact(), |it| usd.fixed(it))).unwrap_or_default(),
            realized.map(|usd| usd.exact()).unwrap_or_default(),
            position.repeated.fills.to_string(),
        ]
    }

    fn unmapped(&self, wallet: &str, unmapped: &Unmapped) -> [String; 15] {
        let state = match (unmapped.well_formed, unmapped.ambiguous) {
            (false, _) => "malformed",
            (true, true) => "ambiguous",
            (true, false) => "unmapped",
        };
        let mut row: [String; 15] = Default::default();
        row[0] = wallet.to_owned();
        row[1] = self.text(&unmapped.token_id);
        row[5] = state.to_owned();
        row[6] = unmapped.fills.to_string();
        row[8] = self.amount(|| unmapped.cashflow.exact(), |it| unmapped.cashflow.fixed(it));
        row[14] = "0".to_owned();
        row
    }

    /// A text of the users' tables: a spreadsheet opens a CSV file, a program reads Parquet as it is.
    fn text(&self, text: &str) -> String {
        match self.kind {
            Kind::Csv => foreign::cell(text).into_owned(),
            Kind::Parquet => text.to_owned(),
        }
    }

    fn amount(&self, exact: impl FnOnce() -> String, fixed: impl FnOnce(usize) -> String) -> String {
        match self.kind {
            Kind::Csv => exact(),
            Kind::Parquet => fixed(DECIMALS),
        }
    }
}
