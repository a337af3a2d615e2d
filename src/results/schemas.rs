//! The JSON Schema of every result.

use schemars::{Schema, schema_for};

use super::{
    Catalogue, Chain, Derive, Doctor, Failed, Flows, Merge, Proof, Proofs, Run, Runs, Setting, Setup, Status,
    Track, Validate, Verify, Watch,
};

/// A result: the word for it, the commands that print it, and its schema.
#[derive(Debug, Clone)]
pub struct Described {
    /// The word for `backfill schema`.
    pub name: &'static str,
    /// What prints it.
    pub printed_by: &'static str,
    /// Its schema.
    pub schema: Schema,
}

/// Every result, in the order of the commands.
pub fn all() -> Vec<Described> {
    let described = |name, printed_by, schema| Described { name, printed_by, schema };
    vec![
        described("setup", "`setup`", schema_for!(Setup)),
        described("track", "`dome`, `goldsky`, `gamma`", schema_for!(Track)),
        described("catalogue", "`clob`", schema_for!(Catalogue)),
        described("derive", "`derive`", schema_for!(Derive)),
        described("chain", "`chain`", schema_for!(Chain)),
        described("flows", "`flows`", schema_for!(Flows)),
        described("merge", "`merge`", schema_for!(Merge)),
        described("verify", "`verify`", schema_for!(Verify)),
        described("validate", "`validate`", schema_for!(Validate)),
        described("watch", "`watch`, one object a tick", schema_for!(Watch)),
        described(
            "run",
            "`run`, `demo`; `run --dry-run` prints `plan` and `elapsed_seconds` of it",
            schema_for!(Run),
        ),
        described("status", "`status`", schema_for!(Status)),
        described("doctor", "`doctor`", schema_for!(Doctor)),
        described("prove", "`prove TOKEN CONDITION`", schema_for!(Proof)),
        described("prove-file", "`prove --file`", schema_for!(Proofs)),
        described("config", "`config`", schema_for!(Vec<Setting>)),
        described("runs", "`runs`", schema_for!(Runs)),
        described("error", "any command that fails, on standard error", schema_for!(Failed)),
    ]
}
