//! [`Baseline`] files: wallets and the P&L that is expected of them, as CSV.

use std::collections::HashSet;
use std::path::Path;

use crate::atomic_file;
use crate::failure::Failure;
use crate::foreign;
use crate::ids::Wallet;
use crate::pnl::{Method, Usd};

/// A wallet whose realized P&L is known from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The wallet; of a person's proxies the first.
    pub wallet: Wallet,
    /// The person's other proxies.
    pub others: Vec<Wallet>,
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
        Self { wallet, others: Vec::new(), expected, label: None, method: None }
    }

    /// The wallet, or a person's proxies joined with `+`.
    pub fn name(&self) -> String {
        self.proxies().map(|it| it.to_string()).collect::<Vec<_>>().join("+")
    }

    /// All proxies of the person.
    pub fn proxies(&self) -> impl Iterator<Item = Wallet> + '_ {
        std::iter::once(self.wallet).chain(self.others.iter().copied())
    }
}

/// A wallet of a file, of which nothing may be expected yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The wallet; of a person's proxies the first.
    pub wallet: Wallet,
    /// The person's other proxies.
    pub others: Vec<Wallet>,
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
        Self { wallet, others: Vec::new(), expected: None, label: None, method: None }
    }

    /// All proxies of the person.
    pub fn proxies(&self) -> impl Iterator<Item = Wallet> + '_ {
        std::iter::once(self.wallet).chain(self.others.iter().copied())
    }

    /// The wallet with what is expected of it.
    pub fn baseline(self, expected: Usd) -> Baseline {
        let Self { wallet, others, label, method, .. } = self;
        Baseline { wallet, others, expected, label, method }
    }
}

/// Reads `wallet[,expected_pnl][,label][,method]`, the columns in any order; several proxies of one person are joined
/// with `+`.
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
        let (wallet, others) = proxies(field(wallet).unwrap_or_default()).map_err(at)?;
        let expected = expected.and_then(field).map(str::parse).transpose();
        let expected = expected.map_err(|error| at(format!("expected_pnl: {error}")))?;
        let mut all: HashSet<Wallet> = listed.iter().flat_map(Listed::proxies).collect();
        if let Some(twice) = std::iter::once(&wallet).chain(&others).find(|it| !all.insert(**it)) {
            return Err(at(format!("{twice} stands there twice")));
        }
        let unknown = |name: &str| {
            format!("method: {name:?} is none, give resolved, certain or average-cost, or leave it empty")
        };
        let method = (method.and_then(field))
            .map(|name| Method::of_name(name).ok_or_else(|| at(unknown(name))))
            .transpose()?;
        listed.push(Listed {
            wallet,
            others,
            expected,
            label: label.and_then(field).map(str::to_owned),
            method,
        });
    }
    if listed.is_empty() { Err(failed("no wallet stands in it".to_owned())) } else { Ok(listed) }
}

/// The proxies of one person, joined with `+`: the first and the others.
fn proxies(text: &str) -> Result<(Wallet, Vec<Wallet>), String> {
    let wallets =
        text.split('+').map(|part| part.trim().parse::<Wallet>().map_err(|error| error.to_string()));
    let mut wallets: Vec<Wallet> = wallets.collect::<Result<_, _>>()?;
    let first = wallets.remove(0);
    Ok((first, wallets))
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
                (baseline.name(), foreign::cell(baseline.label.as_deref().unwrap_or_default()));
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
