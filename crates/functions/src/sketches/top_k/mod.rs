//! The most frequent items of a group: `approx_top_k`, and the family that keeps its sketches.
//!
//! - [`frequent_items`]: the sketch; [`items`]: how values of each type are its items.
//! - [`aggregates`] has `approx_top_k`, `approx_top_k_accumulate`, `approx_top_k_combine`.
//! - [`estimate`] has `approx_top_k_estimate`.
//!
//! A *state* is what `accumulate` and `combine` give: `STRUCT<sketch, maxItemsTracked, itemDataType, itemDataTypeDDL>`.
//! The sketch is followed by the number of NULLs, which are an item too.
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError, StructField};

use crate::coerce;
use crate::quote;
use crate::registry::BuildContext;
use crate::signature::Accept;
use crate::typed::TypedExpr;

mod aggregates;
mod estimate;
mod frequent_items;
mod items;

pub use aggregates::FUNCTIONS as AGGREGATES;
pub use estimate::FUNCTIONS as SCALARS;

use frequent_items::FrequentItems;
use items::ItemType;

const K_DEFAULT: i32 = 5;
const TRACKED_DEFAULT: i32 = 10_000;
const TRACKED_MAX: i32 = 1_000_000;
/// Bytes of the count of NULLs behind a sketch.
const NULLS_BYTES: usize = 8;

/// A sketch and the NULLs beside it.
struct TopK {
    sketch: FrequentItems,
    nulls: i64,
}

impl TopK {
    /// Room for that many items in a table that is three quarters full.
    fn new(tracked: i32) -> Self {
        let slots = (f64::from(tracked.max(1)) / 0.75).ceil() as usize;
        Self { sketch: FrequentItems::new(slots.next_power_of_two().trailing_zeros()), nulls: 0 }
    }

    fn merge(&mut self, other: &Self) {
        self.sketch.merge(&other.sketch);
        self.nulls += other.nulls;
    }

    fn serialize(&self, items: &ItemType) -> Vec<u8> {
        let mut bytes = self.sketch.serialize(|all| items.pack(all));
        bytes.extend(self.nulls.to_be_bytes());
        bytes
    }

    fn deserialize(bytes: &[u8], items: &ItemType) -> Result<Self> {
        let parts = bytes.len().checked_sub(NULLS_BYTES).and_then(|at| bytes.split_at_checked(at));
        let read = parts.and_then(|(sketch, nulls)| {
            let nulls = nulls.try_into().ok().map(i64::from_be_bytes)?;
            Some(Self { sketch: FrequentItems::deserialize(sketch, |all, count| items.unpack(all, count))?, nulls })
        });
        read.ok_or_else(|| SparkError::internal("the bytes are not a sketch of approx_top_k"))
    }

    /// The `k` most frequent items and their counts; `None` is NULL, which comes after items as frequent as it.
    fn top(&self, k: usize) -> Vec<(Option<&frequent_items::Item>, i64)> {
        let mut found: Vec<_> = self.sketch.frequent().into_iter().map(|(item, count)| (Some(item), count)).collect();
        if self.nulls > 0 {
            let place = found.partition_point(|(_, count)| *count >= self.nulls);
            found.insert(place, (None, self.nulls));
        }
        found.truncate(k);
        found
    }
}

/// `ARRAY<STRUCT<item, count>>`
fn result_type(item: &DataType) -> DataType {
    let fields = vec![StructField::new("item", item.clone(), true), StructField::new("count", DataType::Long, false)];
    DataType::array(DataType::structure(fields), false)
}

/// The type of a state of such items.
fn state_type(item: &DataType) -> DataType {
    DataType::structure(vec![
        StructField::new("sketch", DataType::Binary, false),
        StructField::new("maxItemsTracked", DataType::Integer, false),
        StructField::new("itemDataType", item.clone(), true),
        StructField::new("itemDataTypeDDL", DataType::STRING, false),
    ])
}

/// The definition of the item as Spark writes it, which is in small letters for strings.
fn ddl(item: &DataType) -> String {
    if item.is_string() { "item string not null".to_string() } else { format!("item {} NOT NULL", item.sql()) }
}

fn failure(sql: &str, message: String) -> SparkError {
    quote::mismatch("TYPE_CHECK_FAILURE_WITH_HINT", sql, [("msg", message), ("hint", String::new())])
}

/// The type of the items of a state. `sql` is the call's text for errors.
fn item_of_state<'t>(sql: &str, state: &'t TypedExpr) -> Result<&'t DataType> {
    const EXPECTED: &str = "struct<sketch:binary,maxItemsTracked:int,itemDataType:any,itemDataTypeDDL:string>";
    let not_a_state = |got: String| {
        Err(failure(sql, format!("State must be a struct with 4 fields. Expected struct: {EXPECTED}. Got: {got}")))
    };
    let fields = match &state.data_type {
        DataType::Struct(fields) => &fields.fields,
        DataType::Null => return not_a_state("struct<>".to_string()),
        other => return Err(quote::unexpected_input_type(sql, 0, "\"STRUCT\"".to_string(), &state.sql, other)),
    };
    let [sketch, tracked, item, described] = &fields[..] else {
        return not_a_state(state.data_type.simple_string());
    };
    let wanted = [
        ("first", "binary", sketch, sketch.data_type == DataType::Binary),
        ("second", "int", tracked, tracked.data_type == DataType::Integer),
        ("fourth", "string", described, described.data_type.is_string()),
    ];
    for (place, name, field, fits) in wanted {
        if !fits {
            let got = field.data_type.simple_string();
            return Err(failure(sql, format!("State struct must have the {place} field to be {name}. Got: {got}")));
        }
    }
    Ok(&item.data_type)
}

/// A constant INT above zero. `name` is the parameter, `what` how Spark calls it.
fn positive(
    sql: &str,
    index: usize,
    value: TypedExpr,
    (name, what): (&str, &str),
    context: &BuildContext<'_>,
) -> Result<i32> {
    if !value.is_foldable() {
        return Err(failure(sql, format!("{what} must be a constant literal")));
    }
    let value = coerce::argument(sql, index, Accept::Integer, value, context)?;
    match crate::aggregates::call::constant(&value)? {
        ScalarValue::Int32(Some(number)) if number > 0 => Ok(number),
        ScalarValue::Int32(Some(number)) => Err(SparkError::new(
            "APPROX_TOP_K_NON_POSITIVE_ARG",
            [("argName", quote::sql_id(name)), ("argValue", number.to_string())],
        )),
        _ => Err(SparkError::new("APPROX_TOP_K_NULL_ARG", [("argName", quote::sql_id(name))])),
    }
}

const K: (&str, &str) = ("k", "K");
const TRACKED: (&str, &str) = ("maxItemsTracked", "Number of items tracked");

fn check_tracked(tracked: i32) -> Result<i32> {
    if tracked <= TRACKED_MAX {
        return Ok(tracked);
    }
    Err(SparkError::new(
        "APPROX_TOP_K_MAX_ITEMS_TRACKED_EXCEEDS_LIMIT",
        [("maxItemsTracked", tracked.to_string()), ("limit", TRACKED_MAX.to_string())],
    ))
}

fn check_k(k: i32, tracked: i32) -> Result<()> {
    if k <= tracked {
        return Ok(());
    }
    Err(SparkError::new(
        "APPROX_TOP_K_MAX_ITEMS_TRACKED_LESS_THAN_K",
        [("maxItemsTracked", tracked.to_string()), ("k", k.to_string())],
    ))
}
