//! Functions on maps: `map` and its other constructors in [`build`](mod@build), what reads maps in [`read`].
//!
//! Keys are never NULL (`NULL_MAP_KEY`). What happens to a key that comes twice is `spark.sql.mapKeyDedupPolicy`:
//! [`MapBuilder`] is the one place that knows.
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError};

use crate::java_number;
use crate::nested::{Gather, RowEnds, conform, map_array};
use crate::ordering::{Keys, Order, OwnedKey, normalize};
use crate::scalar::ScalarArgs;
use crate::types;

pub mod build;
pub mod read;

const GROUP: &str = "map_funcs";
const DEDUP_POLICY: &str = "spark.sql.mapKeyDedupPolicy";

/// Key and value type of a map type.
pub(crate) fn entry_types(map: &DataType) -> Result<(&DataType, &DataType)> {
    match map {
        DataType::Map(key, value, _) => Ok((key, value)),
        other => Err(SparkError::internal(format!("a map type was expected, not {}", other.sql()))),
    }
}

/// Puts maps together entry by entry, from keys and values in any number of source arrays.
pub(crate) struct MapBuilder<'a> {
    args: &'a ScalarArgs<'a>,
    last_wins: bool,
    keys: Vec<ArrayRef>,
    key_rows: Vec<Keys>,
    values: Gather,
    key_picks: Gather,
    /// Picks of the row being built: key and value.
    entries: Vec<((usize, usize), (usize, usize))>,
    seen: HashMap<OwnedKey, usize>,
    rows: RowEnds,
    total: usize,
}

impl<'a> MapBuilder<'a> {
    pub fn new(args: &'a ScalarArgs<'a>, keys: Vec<ArrayRef>, values: Vec<ArrayRef>) -> Result<Self> {
        let (key_type, value_type) = entry_types(args.return_type)?;
        let arrow_key = types::to_arrow(key_type);
        let order = Order::of(key_type)?;
        // Floats are stored as they compare: -0.0 as 0.0.
        let keys = keys.iter().map(|k| Ok(stored_key(&conform(k, &arrow_key)?, key_type)));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let key_rows = keys.iter().map(|k| order.keys(k)).collect::<Result<_>>()?;
        Ok(Self {
            args,
            last_wins: args.context.get(DEDUP_POLICY).is_some_and(|p| p.eq_ignore_ascii_case("LAST_WIN")),
            key_rows,
            values: Gather::new(values, &types::to_arrow(value_type), args.rows)?,
            key_picks: Gather::new(keys.clone(), &arrow_key, args.rows)?,
            keys,
            entries: vec![],
            seen: HashMap::new(),
            rows: RowEnds::with_capacity(args.rows),
            total: 0,
        })
    }

    /// One entry: key and value by number of source and index in it.
    pub fn put(&mut self, key: (usize, usize), value: (usize, usize)) -> Result<()> {
        let source = &self.keys[key.0];
        if source.is_null(key.1) || *source.data_type() == arrow::datatypes::DataType::Null {
            return Err(self.args.error(SparkError::of("NULL_MAP_KEY")));
        }
        let row = self.key_rows[key.0].row(key.1).owned();
        match self.seen.get(&row) {
            None => {
                self.seen.insert(row, self.entries.len());
                self.entries.push((key, value));
            }
            Some(index) if self.last_wins => self.entries[*index] = (key, value),
            Some(_) => return Err(self.args.error(duplicated(source, key.1))),
        }
        Ok(())
    }

    pub fn end_row(&mut self, valid: bool) -> Result<()> {
        self.total += self.entries.len();
        for (key, value) in self.entries.drain(..) {
            self.key_picks.push(key.0, key.1);
            self.values.push(value.0, value.1);
        }
        self.seen.clear();
        self.rows.end(self.total, valid)
    }

    pub fn finish(self) -> Result<ArrayRef> {
        let (offsets, nulls) = self.rows.finish();
        let (keys, values) = (self.key_picks.finish_values()?, self.values.finish_values()?);
        map_array(self.args.return_type, offsets, keys, values, nulls)
    }
}

fn stored_key(keys: &ArrayRef, key_type: &DataType) -> ArrayRef {
    if matches!(key_type, DataType::Float | DataType::Double) { normalize(keys, key_type) } else { Arc::clone(keys) }
}

fn duplicated(keys: &ArrayRef, index: usize) -> SparkError {
    let key = match ScalarValue::try_from_array(keys, index) {
        Ok(ScalarValue::Float64(Some(key))) => java_number::double(key),
        Ok(key) => key.to_string(),
        Err(_) => String::new(),
    };
    SparkError::new("DUPLICATED_MAP_KEY", [("key", key), ("mapKeyDedupPolicy", format!("\"{DEDUP_POLICY}\""))])
}
