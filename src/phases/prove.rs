//! [`run`]: a table of claimed mappings in, the same table with a verdict on each row out. Needs no ClickHouse.

use std::io::{Read, Write};

use crate::ctf::Collateral;
use crate::failure::Failure;
use crate::foreign;
use crate::ids::{ConditionId, TokenId};
use crate::parallel::on_all_cores;
use crate::proof::{Evidence, KnownConditions, Proof, Prover, Refusal};

/// What a claimed mapping came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds: by the hash, as the mirror of this condition, or by the token's own bits.
    Holds(Evidence),
    /// It does not; a collateral that is not listed looks refuted too.
    Refuted,
    /// One of the ids is none, or the row is not as wide as its header.
    Malformed,
}

impl Verdict {
    /// As it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds(evidence) => evidence.name(),
            Self::Refuted => "refuted",
            Self::Malformed => "malformed",
        }
    }
}

/// How many rows got which verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Rows that the hash proves.
    pub proven: u64,
    /// Rows of mirrors of their condition.
    pub mirror: u64,
    /// Rows that stand in their token's own bits.
    pub structural: u64,
    /// Rows that are refuted.
    pub refuted: u64,
    /// Rows that are malformed.
    pub malformed: u64,
}

impl Verdicts {
    /// All rows.
    pub fn rows(&self) -> u64 {
        self.proven + self.mirror + self.structural + self.refuted + self.malformed
    }

    fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Holds(Evidence::Proven) => &mut self.proven,
            Verdict::Holds(Evidence::Mirror) => &mut self.mirror,
            Verdict::Holds(Evidence::Structural) => &mut self.structural,
            Verdict::Refuted => &mut self.refuted,
            Verdict::Malformed => &mut self.malformed,
        } += 1;
    }
}

/// Whether `token` belongs to `condition`, which the question takes for a condition that there is.
///
/// # Errors
/// Why it does not.
pub fn pair<'a>(
    token: TokenId,
    condition: &ConditionId,
    collaterals: &'a [Collateral],
) -> Result<Proof<'a>, Refusal> {
    let mut known = KnownConditions::default();
    known.insert(*condition);
    Prover::new(collaterals, &known).examine(token, condition, 0)
}

/// Rows that are proven at once, on all cores.
const CHUNK: usize = 8_192;

/// A row as it was read, its ids trimmed. `whole` is false where the row is wider or narrower than its header.
struct Claim {
    token: String,
    condition: String,
    whole: bool,
}

/// Where the two ids stand in a row.
struct Columns {
    token: usize,
    condition: usize,
}

/// Proves every row of the CSV `input`, whose header names a `token_id` and a `condition_id`, in any order and among
/// others, and writes `token_id,condition_id,outcome_index,collateral,verdict` to `output`, rows in the same order.
/// Ids come out in their canonical spelling; one that is none comes out as it was. `name` is the input's, for messages.
///
/// # Errors
/// A column is missing, or reading or writing fails. That the reader of `output` went away is no error.
pub fn run(
    name: &str,
    mut input: impl Read,
    output: impl Write,
    collaterals: &[Collateral],
) -> Result<Verdicts, Failure> {
    let input = without_mark(name, &mut input)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let columns = columns(name, reader.byte_headers().map_err(|error| unreadable(name, &error))?)?;
    let width = reader.byte_headers().map_err(|error| unreadable(name, &error))?.len();
    let mut writer = csv::Writer::from_writer(output);
    let mut verdicts = Verdicts::default();
    let header = ["token_id", "condition_id", "outcome_index", "collateral", "verdict"];
    let mut done = writer.write_record(header);
    let (mut record, mut claims) = (csv::ByteRecord::new(), Vec::new());
    let mut more = true;
    while more && done.is_ok() {
        more = reader.read_byte_record(&mut record).map_err(|error| unreadable(name, &error))?;
        if more {
            claims.push(Claim {
                token: field(&record, columns.token),
                condition: field(&record, columns.condition),
                whole: record.len() == width,
            });
        }
        if claims.len() == CHUNK || !more {
            done = write_proofs(&mut writer, &claims, collaterals, &mut verdicts);
            claims.clear();
        }
    }
    match done.and_then(|()| Ok(writer.flush()?)) {
        Err(error) if !closed(&error) => Err(Failure::NotWritten {
            place: "the verdicts to standard output".to_owned(),
            error: error.into(),
        }),
        _ => Ok(verdicts),
    }
}

/// Takes the byte order mark away that some spreadsheets write, which else became a part of the first column's name.
fn without_mark<'a>(name: &str, input: &'a mut impl Read) -> Result<impl Read + 'a, Failure> {
    let mut start = Vec::new();
    input
        .by_ref()
        .take(3)
        .read_to_end(&mut start)
        .map_err(|error| Failure::File(format!("cannot read {name}: {error}")))?;
    if start == [0xef, 0xbb, 0xbf] {
        start.clear();
    }
    Ok(std::io::Cursor::new(start).chain(input))
}

fn unreadable(name: &str, error: &csv::Error) -> Failure {
    Failure::File(format!("cannot read {name}: {error}"))
}

fn columns(name: &str, header: &csv::ByteRecord) -> Result<Columns, Failure> {
    let column = |wanted: &str| {
        header.iter().position(|it| it.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())).ok_or_else(|| {
            let found: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
            Failure::File(format!(
                "{name} has no column {wanted}: its first line must name token_id and condition_id, and it is {:?}",
                found.join(",").chars().take(200).collect::<String>()
            ))
        })
    };
    Ok(Columns { token: column("token_id")?, condition: column("condition_id")? })
}

fn field(record: &csv::ByteRecord, at: usize) -> String {
    String::from_utf8_lossy(record.get(at).unwrap_or_default().trim_ascii()).into_owned()
}

fn closed(error: &csv::Error) -> bool {
    matches!(error.kind(), csv::ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn write_proofs(
    writer: &mut csv::Writer<impl Write>,
    claims: &[Claim],
    collaterals: &[Collateral],
    verdicts: &mut Verdicts,
) -> Result<(), csv::Error> {
    for proven in on_all_cores(claims, |claim| prove_claim(claim, collaterals)) {
        verdicts.add(proven.verdict);
        let (index, collateral) = proven
            .proof
            .map_or(("", ""), |proof| (["0", "1"][usize::from(proof.outcome_index != 0)], proof.collateral));
        writer.write_record([
            &foreign::cell(&proven.token),
            &foreign::cell(&proven.condition),
            index,
            collateral,
            proven.verdict.name(),
        ])?;
    }
    Ok(())
}

/// A row as it is written.
struct Proven<'a> {
    token: String,
    condition: String,
    proof: Option<Proof<'a>>,
    verdict: Verdict,
}

fn prove_claim<'a>(claim: &Claim, collaterals: &'a [Collateral]) -> Proven<'a> {
    let token = TokenId::from_any_spelling(&claim.token);
    let condition = claim.condition.parse::<ConditionId>();
    let (proof, verdict) = match (&token, &condition) {
        (Ok(token), Ok(condition)) if claim.whole => match pair(*token, condition, collaterals) {
            Ok(proof) => (Some(proof), Verdict::Holds(proof.evidence)),
            Err(_) => (None, Verdict::Refuted),
        },
        _ => (None, Verdict::Malformed),
    };
    Proven {
        token: token.map_or_else(|_| claim.token.clone(), |token| token.to_string()),
        condition: condition.map_or_else(|_| claim.condition.clone(), |condition| condition.to_string()),
        proof,
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctf;

    const CONDITION: &str = "6876ac2b6174778c973c118aac287c49057c4d5360f896729209fe985a2c07fb";
    const FIRST: &str = "14557944883400223565643640243919774851380876937588843424705199812983475639104";
    const SECOND: &str = "57567439101367774829602299916701968079591032322820664013819223989961583069589";

    fn proven(csv: &str) -> String {
        let mut out = Vec::new();
        run("claims.csv", csv.as_bytes(), &mut out, &ctf::default_collaterals()).unwrap();
        String::from_utf8(out).unwrap().split_once('\n').unwrap().1.to_owned()
    }

    #[test]
    fn ids_are_read_in_every_spelling_and_written_in_one() {
        let hex = format!(
            "0x{:0>64}",
            num_bigint::BigUint::parse_bytes(FIRST.as_bytes(), 10).unwrap().to_str_radix(16)
        );
        let upper = CONDITION.to_uppercase();
        let canonical = format!("{FIRST},{CONDITION},0,usdc_e,proven\n");
        for token in [FIRST, &hex, &hex.to_uppercase(), &format!("  {FIRST} ")] {
            for condition in [CONDITION, &upper, &format!("0x{upper}"), &format!(" 0X{CONDITION}\t")] {
                assert_eq!(proven(&format!("token_id,condition_id\n{token},{condition}\n")), canonical);
            }
        }
    }

    #[test]
    fn columns_come_in_any_order_among_others_behind_a_byte_order_mark() {
        let csv = format!("\u{feff}Condition_ID,note,\" token_id\"\r\n{CONDITION},\"a, b\",{SECOND}\r\n");
        assert_eq!(proven(&csv), format!("{SECOND},{CONDITION},1,usdc_e,proven\n"));
        let csv = format!("\u{feff}token_id,condition_id\n{SECOND},{CONDITION}");
        assert_eq!(proven(&csv), format!("{SECOND},{CONDITION},1,usdc_e,proven\n"));
    }

    #[test]
    fn every_row_gets_a_verdict_in_its_place() {
        let other = CONDITION.replace('6', "7");
        let csv = format!(
            "token_id,condition_id\n{FIRST}\n{FIRST},{CONDITION},more\n007,{CONDITION}\n{FIRST},{other}\n,\n\
             {FIRST},{CONDITION}\n"
        );
        let expected = format!(
            "{FIRST},,,,malformed\n{FIRST},{CONDITION},,,malformed\n007,{CONDITION},,,malformed\n\
             {FIRST},{other},,,refuted\n,,,,malformed\n{FIRST},{CONDITION},0,usdc_e,proven\n"
        );
        assert_eq!(proven(&csv), expected);
    }

    #[test]
    fn tokens_of_the_second_generation_get_their_own_verdicts() {
        let native = "834369838335332281222091626449713794621251551518727511203689528701902389249";
        let own = "01d83c915cee8a5ec4b4b715d1ac911aa7";
        let mirror = "895257453734540292493143124621755605615887197499956109032745153687078305792";
        let legacy = "a467b14d51f01b957109d9cbb1d6c124fab2a089d52ed8f471d23c2812e743b7";
        let zeros = "0".repeat(30);
        // 62 digits of a native condition are one; of a hash they are not.
        let csv = format!(
            "token_id,condition_id\n{native},0x{own}{}\n{mirror},{legacy}\n{native},{legacy}\n{native},{}\n",
            &zeros[2..],
            &legacy[..62]
        );
        let expected = format!(
            "{native},{own}{zeros},1,,structural\n{mirror},{legacy},0,,mirror\n{native},{legacy},,,refuted\n\
             {native},{},,,malformed\n",
            &legacy[..62]
        );
        assert_eq!(proven(&csv), expected);
    }

    #[test]
    fn bytes_that_are_no_text_are_malformed_and_no_failure() {
        let mut out = Vec::new();
        let verdicts =
            run("x", &b"token_id,condition_id\n\xff\xfe,\x00\n"[..], &mut out, &ctf::default_collaterals());
        assert_eq!(verdicts.unwrap(), Verdicts { malformed: 1, ..Verdicts::default() });
    }

    #[test]
    fn a_missing_column_is_named() {
        for (csv, column) in
            [("", "token_id"), ("token_id\n", "condition_id"), ("condition_id\n", "token_id")]
        {
            let error = run("claims.csv", csv.as_bytes(), Vec::new(), &[]).unwrap_err();
            assert!(matches!(error, Failure::File(_)));
            assert!(error.to_string().contains(&format!("claims.csv has no column {column}")), "{error}");
        }
    }
}
