//! From what a phase found to its result: the one place that says which number of the one is which field of the other.

mod margin;
mod merge;
mod payouts;
mod setup;
mod validate;
mod verify;
