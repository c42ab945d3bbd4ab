//! `POST /v1/datasets/sample`: rows by chance.
use firesteel_plan::relation::SampleMethod;
use firesteel_plan::{Expr, Literal, NullOrdering, Relation, RelationKind, SortDirection, SortOrder};
use serde_json::{Map, Value};

use super::DatasetFields;
use super::order::sorted;
use super::query::{QueryFields, answer, limited, matching, select};
use super::read::Reader;
use crate::app::{Answer, Call, json_text};
use crate::document::{Documented, document, together};
use crate::endpoint::credentials_field;
use crate::problem::Problem;

const ROWS_MAX: u64 = 100_000;
const DEFAULT_ROWS: u64 = 1_000;
const DEFAULT_SEED: i64 = 42;

document! {
    /// How many rows
    pub struct SampleFields {
        columns: Option<Vec<String>> => {"minItems": 1, "maxItems": 10000},
        filters: Option<Map<String, Value>>,
        /// So many rows
        rows: Option<u64> => {"minimum": 1, "maximum": 100000},
        /// About this part of the rows
        fraction: Option<f64> => {"minimum": 0, "maximum": 1},
        /// The same seed gives the same rows of unchanged data
        seed: Option<i64>,
    }
}

pub fn schema() -> Value {
    together(&[DatasetFields::schema(), SampleFields::schema(), credentials_field()])
}

pub async fn handle(call: Call) -> Answer {
    let (mut reader, dataset, given): (_, _, SampleFields) = Reader::open(&call)?;
    if given.rows.is_some() && given.fraction.is_some() {
        return Err(Problem::invalid("fraction", "It is either a number of rows or a fraction."));
    }
    let limit = if given.fraction.is_some() { ROWS_MAX } else { given.rows.unwrap_or(DEFAULT_ROWS) };
    let query = QueryFields { columns: given.columns.clone(), filters: given.filters.clone(), ..Default::default() };
    let relation = select(sampled(matching(&dataset, &query)?, &given), &query)?;
    let cancel = reader.cancel.clone();
    let is_part = given.fraction.is_some();
    let work = async move {
        let mut rows = reader.query(limited(relation, 0, limit + 1), "sample").await?;
        // What was asked for is all there is; only a fraction can be cut.
        let has_more = is_part && rows.count() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        answer(&rows, has_more, None, &reader.stats(rows.count() as u64, None))
    };
    Ok(json_text(200, call.app.work(cancel, work).await?))
}

fn sampled(input: Relation, given: &SampleFields) -> Relation {
    let seed = given.seed.unwrap_or(DEFAULT_SEED);
    match given.fraction {
        Some(fraction) => Relation::new(RelationKind::Sample {
            input: Box::new(input),
            method: SampleMethod::Fraction { lower: 0.0, upper: fraction, with_replacement: false },
            seed: Some(seed),
        }),
        // Rows with the least of random numbers: exactly so many, each as likely as any other.
        None => {
            let random = Expr::call("rand", vec![Expr::literal(Literal::Long(seed))]);
            let order = SortOrder { child: random, direction: SortDirection::Ascending, nulls: NullOrdering::Default };
            sorted(input, vec![order])
        }
    }
}
