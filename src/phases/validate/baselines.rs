//! [`Baseline`] files: wallets and the P&L that is expected of them, as CSV.

use std::path::Path;

use crate::atomic_file;
use crate::failure::Failure;
use crate::foreign;
use crate::ids::Wallet;
use crate::pnl::{Method, Usd};

/// A wallet whose realized P&L is known from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The wallet.
    pub wallet: Wallet,
    /// Its expected realized P&L.
    pub expected: Usd,
    /// What it is called, where it is called something.
    pub label: Option<String>,
    /// The definition that the expected P&L follows, where that is known: then that one is compared.
    pub method: Option<Method>,
}

impl Baseline {
    /// A wallet and what is expected of it.
    pub fn new(wallet: Wallet, expected: Usd) -> Self {
        Self { wallet, expected, label: None, method: None }
    }
}

/// A wallet of a file, of which nothing may be expected yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The wallet.
    pub wallet: Wallet,
    /// Its expected realized P&L, where the file has the column and the line a value.
    pub expected: Option<Usd>,
    /// What it is called, where it is called something.
    pub label: Option<String>,
    /// The definition that the expected P&L follows, where the file has the column and the line a value.
    pub method: Option<Method>,
}

impl Listed {
    /// A wallet alone.
    pub fn new(wallet: Wallet) -> Self {
        Self { wallet, expected: None, label: None, method: None }
    }

    /// The wallet with what is expected of it.
    pub fn baseline(self, expected: Usd) -> Baseline {
        Baseline { wallet: self.wallet, expected, label: self.label, method: self.method }
    }
}

/// Reads `wallet[,expected_pnl][,label][,method]`, the columns in any order.
///
/// # Errors
/// The file, and the line that cannot be read.
pub fn read_wallets(path: &Path) -> Result<Vec<Listed>, Failure> {
    let failed = |what: String| Failure::File(format!("{}: {what}", path.display()));
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_path(path)
        .map_err(|error| failed(error.to_string()))?;
    let headers = reader.headers().map_err(|error| failed(error.to_string()))?.clone();
    let column = |name: &str| headers.iter().position(|header| header.trim_start_matches('\u{feff}') == name);
    let Some(wallet) = column("wallet") else {
        return Err(failed("the first line must name the columns wallet and expected_pnl".to_owned()));
    };
    let (expected, label, method) = (column("expected_pnl"), column("label"), column("method"));
    let mut listed: Vec<Listed> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| failed(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let at = |error: String| failed(format!("line {line}: {error}"));
        let field = |column: usize| record.get(column).filter(|field| !field.is_empty());
        let wallet: Wallet =
            field(wallet).unwrap_or_default().parse().map_err(|error| at(format!("{error}")))?;
        let expected = expected.and_then(field).map(str::parse).transpose();
        let expected = expected.map_err(|error| at(format!("expected_pnl: {error}")))?;
        if listed.iter().any(|other| other.wallet == wallet) {
            return Err(at(format!("{wallet} stands there twice")));
        }
        let unknown = |name: &str| {
            format!("method: {name:?} is none, give resolved, certain or average-cost, or leave it empty")
        };
        let method = (method.and_then(field))
            .map(|name| Method::of_name(name).ok_or_else(|| at(unknown(name))))
            .transpose()?;
        listed.push(Listed { wallet, expected, label: label.and_then(field).map(str::to_owned), method });
    }
    if listed.is_empty() { Err(failed("no wallet stands in it".to_owned())) } else { Ok(listed) }
}

/// Reads `wallet,expected_pnl[,label]`: as [`read_wallets`], and something has to be expected of each.
///
/// # Errors
/// The file, and the line that cannot be read.
pub fn read(path: &Path) -> Result<Vec<Baseline>, Failure> {
    let baseline = |listed: Listed| match listed.expected.clone() {
        Some(expected) => Ok(listed.baseline(expected)),
        None => Err(Failure::File(format!(
            "{}: nothing is expected of {}; give it an amount in the column expected_pnl, or have Dome asked with \
             --expected dome",
            path.display(),
            listed.wallet
        ))),
    };
    read_wallets(path)?.into_iter().map(baseline).collect()
}

/// Writes a file that [`read`] reads, each amount with all of its digits.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, baselines: &[Baseline]) -> Result<(), Failure> {
    let write = |file: &mut dyn std::io::Write| {
        let mut file = csv::Writer::from_writer(file);
        file.write_record(["wallet", "expected_pnl", "label", "method"])?;
        for baseline in baselines {
            let (wallet, label) =
                (baseline.wallet.to_string(), foreign::cell(baseline.label.as_deref().unwrap_or_default()));
            let method = baseline.method.map_or("", Method::name);
            file.write_record([wallet.as_str(), &baseline.expected.exact(), &label, method])?;
        }
        file.flush()
    };
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder
        .and_then(|()| atomic_file::replace(path, write))
        .map_err(|error| Failure::File(format!("cannot write {}: {error}", path.display())))
}
