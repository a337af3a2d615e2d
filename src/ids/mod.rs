//! [`TokenId`], [`ConditionId`] and [`Wallet`]: parsed once at the edge, never passed as bare strings.
//!
//! Token ids come in two generations that share one column. One is a hash ([`crate::ctf`] computes it); the other
//! carries its condition in its bits (`structural`).

/// Debug, and serde as the canonical text, for every id.
macro_rules! as_text {
    ($($id:ty),*) => {$(
        impl std::fmt::Debug for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($id))
            }
        }

        impl serde::Serialize for $id {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $id {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

mod bits;
mod condition;
pub(crate) mod structural;
mod text;
pub(crate) mod token;
mod wallet;

pub use condition::ConditionId;
pub use structural::{EventId, Module, StructuralCondition, StructuralToken};
pub use text::MalformedId;
pub use token::TokenId;
pub use wallet::{Address, Wallet};
