//! [`Wallet`] and [`Address`]: twenty bytes in hex.

use std::fmt;
use std::str::FromStr;

use super::text::{MalformedId, parse_hex, write_hex};

/// A wallet's address: `0x` and 40 hex digits, compared without case, written in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wallet([u8; 20]);

impl Wallet {
    const EXPECTED: &'static str = "0x and 40 hex digits";

    /// The wallet of these bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl FromStr for Wallet {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = || MalformedId::new("wallet", text, Self::EXPECTED);
        if !(text.starts_with("0x") || text.starts_with("0X")) {
            return Err(malformed());
        }
        parse_hex(text).map(Self).ok_or_else(malformed)
    }
}

impl fmt::Display for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        write_hex(&self.0, f)
    }
}

/// A contract address (a collateral token); the same form as a [`Wallet`], another meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address([u8; 20]);

impl Address {
    const EXPECTED: &'static str = "0x and 40 hex digits";

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The address of these bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Address {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        parse_hex(text).map(Self).ok_or_else(|| MalformedId::new("address", text, Self::EXPECTED))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        write_hex(&self.0, f)
    }
}

as_text!(Wallet, Address);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wallets_compare_without_case_and_need_their_prefix() {
        let lower = "0xcce2b7c71f21e358b8e5e797e586cbc03160d58b";
        assert_eq!(lower.parse::<Wallet>(), lower.to_uppercase().parse::<Wallet>());
        assert!(lower[2..].parse::<Wallet>().is_err());
    }
}
