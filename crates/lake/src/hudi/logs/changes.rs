//! The changes in the logs of a slice: of each key the record that counts, and how they change the rows of a base file.
//!
//! | records of one key | later commits count | greater orders count |
//! |---|---|---|
//! | two records | the later | that with the greater order; the later where they are equal |
//! | a delete after a record | the delete | the delete, unless its order is less |
//! | a delete without an order | the delete | the delete, and then whatever comes after it |
//!
//! A record of a partial update has some of the columns; it lies over what it is merged with, or under it.
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::{interleave, interleave_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use firesteel_plan::{Result, SparkError};

use super::blocks::{Block, Kind};
use super::order::{BatchOrders, Order, Orders};
use super::{IS_DELETED, RECORD_KEY, deletes, records};
use crate::hudi::properties::MergeRules;

/// What a slot takes beside its key.
const SLOT_BYTES: usize = 96;
const BATCH_ROWS: usize = 8192;

/// Where the columns are that merging needs.
#[derive(Debug)]
pub(super) struct Merger {
    schema: SchemaRef,
    /// The same, with NULL where records have no such column
    open: SchemaRef,
    key: usize,
    is_deleted: Option<usize>,
    /// The column that orders records, where not the later one counts
    order: Option<(usize, Orders)>,
    by_order: bool,
    exact_case: bool,
}

/// What counts for a key.
#[derive(Debug)]
struct Slot {
    order: Order,
    /// `None`: it is gone
    place: Option<Place>,
}

/// Where the columns of a row are: batch and row.
#[derive(Debug, Clone)]
enum Place {
    Whole((usize, usize)),
    /// For each column; `None`: where the row below has it
    Mixed(Box<[Option<(usize, usize)>]>),
}

impl Place {
    fn of(&self, column: usize) -> Option<(usize, usize)> {
        match self {
            Self::Whole(place) => Some(*place),
            Self::Mixed(places) => places.get(column).copied().flatten(),
        }
    }

    /// The columns of this, and of `below` those that this has not.
    fn over(&self, below: &Self) -> Self {
        match self {
            Self::Whole(_) => self.clone(),
            Self::Mixed(places) => Self::Mixed((0..places.len()).map(|c| self.of(c).or(below.of(c))).collect()),
        }
    }
}

/// The changes of one slice.
#[derive(Debug, Default)]
pub(super) struct Changes {
    batches: Vec<RecordBatch>,
    slots: HashMap<Box<str>, Slot>,
    /// Columns that no log has, with their value for the slice
    constants: Vec<(usize, ScalarValue)>,
    /// How much memory they take
    pub bytes: usize,
}

impl Merger {
    /// `schema`: of the rows that are merged, those of base files and those of logs.
    pub(super) fn new(schema: &SchemaRef, rules: &MergeRules, exact_case: bool) -> Result<Self> {
        let find = |name: &str| schema.fields().iter().position(|field| field.name() == name);
        let missing =
            |name: &str| SparkError::unsupported(format!("merging the logs of a Hudi table that has no column {name}"));
        let key = find(RECORD_KEY).filter(|key| *schema.field(*key).data_type() == DataType::Utf8);
        let is_deleted = find(IS_DELETED);
        if is_deleted.is_some_and(|column| *schema.field(column).data_type() != DataType::Boolean) {
            return Err(SparkError::unsupported(format!("a Hudi table whose column {IS_DELETED} is no BOOLEAN")));
        }
        let order = rules.ordering.as_ref().map(|name| {
            let column = find(name).ok_or_else(|| missing(name))?;
            Ok::<_, SparkError>((column, Orders::new(name, schema.field(column).data_type())?))
        });
        let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        Ok(Self {
            schema: Arc::clone(schema),
            open: Arc::new(Schema::new(fields)),
            key: key.ok_or_else(|| missing(RECORD_KEY))?,
            is_deleted,
            order: order.transpose()?,
            by_order: rules.by_order,
            exact_case,
        })
    }

    /// Adds what a block says to the changes.
    pub(super) fn add(&self, changes: &mut Changes, block: &Block) -> Result<()> {
        match block.kind {
            Kind::Delete => self.add_deletes(changes, deletes::read(block)?),
            Kind::Avro | Kind::Parquet => records::read(block, &self.open, self.exact_case, |batch, stored| {
                let partial = block.is_partial.then_some(stored);
                let batch = self.complete(batch, &changes.constants)?;
                self.add_records(changes, batch, partial)
            }),
        }
    }

    /// A batch of a log with the columns that no log has.
    fn complete(&self, batch: RecordBatch, constants: &[(usize, ScalarValue)]) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let (_, mut columns, _) = batch.into_parts();
        for (place, value) in constants {
            if let Some(column) = columns.get_mut(*place) {
                *column = value.to_array_of_size(rows).map_err(failed)?;
            }
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(failed)
    }

    /// `partial`: which columns the records have, where they have but some.
    fn add_records(&self, changes: &mut Changes, batch: RecordBatch, partial: Option<&[bool]>) -> Result<()> {
        let keys = self.keys(&batch)?;
        let orders = self.orders(&batch)?;
        let gone = self.is_deleted.map(|column| batch.column(column).as_boolean());
        let number = changes.batches.len();
        for (row, key) in keys.iter().enumerate() {
            let key = key.ok_or_else(no_key)?;
            let place = match partial {
                None => Place::Whole((number, row)),
                Some(stored) => Place::Mixed(stored.iter().map(|has| has.then_some((number, row))).collect()),
            };
            let is_gone = gone.is_some_and(|gone| gone.is_valid(row) && gone.value(row));
            let new = Slot { order: self.order_of(orders.as_ref(), row), place: (!is_gone).then_some(place) };
            let counts = match changes.slots.get(key) {
                None => Some(new),
                Some(known) => self.counting(new, known)?,
            };
            if let Some(slot) = counts {
                changes.put(key, slot);
            }
        }
        changes.bytes += batch.get_array_memory_size();
        changes.batches.push(batch);
        Ok(())
    }

    /// What comes in place of what is known, once another record of its key is there; `None`: nothing.
    fn counting(&self, new: Slot, known: &Slot) -> Result<Option<Slot>> {
        let wins = self.record_wins(&new, known)?;
        Ok(match (&new.place, &known.place) {
            (Some(upper), Some(lower)) if wins => Some(Slot { place: Some(upper.over(lower)), ..new }),
            (Some(lower), Some(upper @ Place::Mixed(_))) => {
                Some(Slot { order: known.order.clone(), place: Some(upper.over(lower)) })
            }
            _ => wins.then_some(new),
        })
    }

    fn add_deletes(&self, changes: &mut Changes, deleted: Vec<deletes::Deleted>) -> Result<()> {
        let (keys, values): (Vec<_>, Vec<_>) = deleted.into_iter().map(|one| (one.key, one.order)).unzip();
        let orders = match &self.order {
            Some((_, orders)) => orders.of_values(&values)?,
            None => vec![None; keys.len()],
        };
        for (key, order) in keys.into_iter().zip(orders) {
            let new = Slot { order, place: None };
            let wins = match changes.slots.get(key.as_str()) {
                None => true,
                Some(known) => self.delete_wins(&new, known)?,
            };
            if wins {
                changes.put(&key, new);
            }
        }
        Ok(())
    }

    /// Whether a record in a log counts instead of what an earlier block says.
    fn record_wins(&self, new: &Slot, known: &Slot) -> Result<bool> {
        let Some((_, orders)) = self.order.as_ref().filter(|_| self.by_order) else { return Ok(true) };
        if new.place.is_none() && orders.is_natural(&new.order) || known.place.is_none() && known.order.is_none() {
            return Ok(true);
        }
        Ok(orders.compare(new.order.as_deref(), known.order.as_deref())? != Ordering::Less)
    }

    fn delete_wins(&self, new: &Slot, known: &Slot) -> Result<bool> {
        let Some((_, orders)) = self.order.as_ref().filter(|_| self.by_order) else { return Ok(true) };
        if known.place.is_none() && orders.is_natural(&known.order) {
            return Ok(false);
        }
        // A record without an order is no match for a delete.
        if orders.is_natural(&new.order) || known.order.is_none() {
            return Ok(true);
        }
        Ok(orders.compare(known.order.as_deref(), new.order.as_deref())? != Ordering::Greater)
    }

    /// Whether a row of the base file counts instead of what the logs say of its key.
    fn base_wins(&self, base: Option<&[u8]>, change: &Slot) -> Result<bool> {
        let Some((_, orders)) = self.order.as_ref().filter(|_| self.by_order) else { return Ok(false) };
        if change.place.is_none() && orders.is_natural(&change.order) {
            return Ok(false);
        }
        Ok(orders.compare(base.or(orders.zero()), change.order.as_deref())? == Ordering::Greater)
    }

    /// Rows of the base file as the changes leave them. The changes are used up: a second row of a key stays as it is.
    pub(super) fn merge(&self, changes: &mut Changes, base: RecordBatch) -> Result<RecordBatch> {
        if changes.slots.is_empty() {
            return Ok(base);
        }
        let keys = self.keys(&base)?;
        let orders = self.orders(&base)?;
        let mut rows = Vec::with_capacity(base.num_rows());
        let mut is_changed = false;
        for (row, key) in keys.iter().enumerate() {
            let Some(change) = changes.slots.remove(key.ok_or_else(no_key)?) else {
                rows.push((row, None));
                continue;
            };
            let order = orders.as_ref().and_then(|orders| orders.get(row));
            if self.base_wins(order, &change)? {
                rows.push((row, None));
                continue;
            }
            is_changed = true;
            if change.place.is_some() {
                rows.push((row, change.place));
            }
        }
        match is_changed {
            true => rows_of(&base, &changes.batches, &rows),
            false => Ok(base),
        }
    }

    /// The records whose keys were in no row of the base file.
    pub(super) fn rest(&self, changes: &mut Changes) -> Result<Vec<RecordBatch>> {
        let slots = std::mem::take(&mut changes.slots);
        let mut rows: Vec<_> = slots.into_values().filter_map(|slot| Some((0, Some(slot.place?)))).collect();
        rows.sort_unstable_by_key(|(_, place)| place.as_ref().and_then(|place| place.of(self.key)));
        let nothing = self.complete(one_null_row(&self.open)?, &changes.constants)?;
        rows.chunks(BATCH_ROWS).map(|rows| rows_of(&nothing, &changes.batches, rows)).collect()
    }

    fn keys<'a>(&self, batch: &'a RecordBatch) -> Result<&'a StringArray> {
        batch.column(self.key).as_string_opt::<i32>().ok_or_else(no_key)
    }

    fn orders(&self, batch: &RecordBatch) -> Result<Option<BatchOrders>> {
        let orders = |(column, orders): &(usize, Orders)| orders.of_batch(Arc::clone(batch.column(*column)));
        self.order.as_ref().map(orders).transpose()
    }

    fn order_of(&self, rows: Option<&BatchOrders>, row: usize) -> Order {
        let (_, orders) = self.order.as_ref()?;
        orders.of_row(rows?, row)
    }
}

impl Changes {
    pub(super) fn new(constants: Vec<(usize, ScalarValue)>) -> Self {
        Self { constants, ..Self::default() }
    }

    fn put(&mut self, key: &str, slot: Slot) {
        if let Some(known) = self.slots.get_mut(key) {
            *known = slot;
            return;
        }
        self.bytes += SLOT_BYTES + key.len();
        self.slots.insert(key.into(), slot);
    }
}

/// Rows of the base with the changes that lie over them.
fn rows_of(base: &RecordBatch, batches: &[RecordBatch], rows: &[(usize, Option<Place>)]) -> Result<RecordBatch> {
    let all: Vec<&RecordBatch> = std::iter::once(base).chain(batches).collect();
    let place = |(row, place): &(usize, Option<Place>), column: usize| {
        let over = place.as_ref().and_then(|place| place.of(column));
        over.map_or((0, *row), |(batch, row)| (batch + 1, row))
    };
    if !rows.iter().any(|(_, place)| matches!(place, Some(Place::Mixed(_)))) {
        let places: Vec<_> = rows.iter().map(|row| place(row, 0)).collect();
        return interleave_record_batch(&all, &places).map_err(failed);
    }
    let column = |column: usize| {
        let arrays: Vec<&dyn Array> = all.iter().map(|batch| batch.column(column).as_ref()).collect();
        let places: Vec<_> = rows.iter().map(|row| place(row, column)).collect();
        interleave(&arrays, &places)
    };
    let columns = (0..base.num_columns()).map(column).collect::<std::result::Result<_, _>>().map_err(failed)?;
    RecordBatch::try_new(base.schema(), columns).map_err(failed)
}

fn one_null_row(schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> SparkError {
    SparkError::internal(format!("merging the logs of a Hudi table: {error}"))
}

fn no_key() -> SparkError {
    SparkError::unsupported(format!("merging records of a Hudi table without a value in {RECORD_KEY}"))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, BooleanArray, Int64Array};
    use arrow::datatypes::{Field, Int64Type};

    use super::deletes::Deleted;
    use super::*;

    type Row<'a> = (&'a str, Option<i64>, bool);

    fn batch(rows: &[Row<'_>]) -> RecordBatch {
        let fields = [(RECORD_KEY, DataType::Utf8), ("ts", DataType::Int64), (IS_DELETED, DataType::Boolean)];
        let fields: Vec<Field> = fields.map(|(name, data_type)| Field::new(name, data_type, true)).into();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| Some(row.2)).collect::<BooleanArray>()),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn merger(by_order: bool) -> Merger {
        let rules = MergeRules { by_order, ordering: by_order.then(|| "ts".to_string()) };
        Merger::new(&batch(&[]).schema(), &rules, true).unwrap()
    }

    fn texts(batches: &[RecordBatch]) -> Vec<String> {
        let text = |batch: &RecordBatch, row: usize| {
            let ts = batch.column(1).as_primitive::<Int64Type>();
            format!("{}{}", batch.column(0).as_string::<i32>().value(row), ts.value(row))
        };
        batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| text(batch, row))).collect()
    }

    fn deleted(key: &str, order: Option<i64>) -> Deleted {
        Deleted { key: key.into(), order: order.map(|order| ScalarValue::Int64(Some(order))) }
    }

    fn merged(merger: &Merger, mut changes: Changes, base: &[Row<'_>]) -> Vec<String> {
        let mut found = vec![merger.merge(&mut changes, batch(base)).unwrap()];
        found.extend(merger.rest(&mut changes).unwrap());
        texts(&found)
    }

    #[test]
    fn greater_orders_count() {
        let merger = merger(true);
        let mut changes = Changes::default();
        let base = [
            ("a", Some(10), false),
            ("b", Some(10), false),
            ("c", Some(10), false),
            ("d", Some(10), false),
            ("e", Some(10), false),
        ];
        merger
            .add_records(
                &mut changes,
                batch(&[("a", Some(20), false), ("b", Some(5), false), ("n", Some(1), false)]),
                None,
            )
            .unwrap();
        merger
            .add_records(
                &mut changes,
                batch(&[("a", Some(15), false), ("c", Some(9), true), ("d", Some(10), true)]),
                None,
            )
            .unwrap();
        merger.add_deletes(&mut changes, vec![deleted("e", None), deleted("n", Some(0))]).unwrap();
        assert_eq!(merged(&merger, changes, &base), ["a20", "b10", "c10", "n1"]);
    }

    #[test]
    fn deletes_without_an_order() {
        let merger = merger(true);
        let mut changes = Changes::default();
        merger.add_records(&mut changes, batch(&[("a", Some(20), false), ("b", Some(20), false)]), None).unwrap();
        merger.add_deletes(&mut changes, vec![deleted("a", None), deleted("b", None), deleted("b", Some(90))]).unwrap();
        merger.add_records(&mut changes, batch(&[("b", Some(1), false)]), None).unwrap();
        assert_eq!(merged(&merger, changes, &[("a", Some(10), false), ("b", Some(0), false)]), ["b1"]);
    }

    #[test]
    fn later_commits_count() {
        let merger = merger(false);
        let mut changes = Changes::default();
        merger
            .add_records(&mut changes, batch(&[("a", Some(20), false), ("b", None, false), ("c", Some(1), true)]), None)
            .unwrap();
        merger.add_records(&mut changes, batch(&[("a", Some(5), false)]), None).unwrap();
        merger.add_deletes(&mut changes, vec![deleted("b", Some(1))]).unwrap();
        merger.add_records(&mut changes, batch(&[("n", Some(3), false)]), None).unwrap();
        let base = [("a", Some(10), false), ("b", Some(10), false), ("c", Some(10), false), ("a", Some(11), false)];
        assert_eq!(merged(&merger, changes, &base), ["a5", "a11", "n3"]);
    }

    #[test]
    fn an_order_that_is_missing() {
        let merger = merger(true);
        let mut changes = Changes::default();
        merger.add_records(&mut changes, batch(&[("a", None, false)]), None).unwrap();
        let base = batch(&[("a", Some(10), false)]);
        let error = merger.merge(&mut changes, base).unwrap_err();
        assert!(error.is("UNSUPPORTED_FEATURE") && error.to_string().contains("ts"));
    }

    /// Key and time of a partial update, without the column that tells deletes.
    const SOME: [bool; 3] = [true, false, true];

    #[test]
    fn partial_updates() {
        let merger = merger(false);
        let mut changes = Changes::default();
        merger.add_records(&mut changes, batch(&[("a", Some(1), false), ("b", Some(2), false)]), None).unwrap();
        // The column `ts` is not in these.
        merger
            .add_records(
                &mut changes,
                batch(&[("a", None, false), ("c", None, false), ("n", None, false)]),
                Some(&SOME),
            )
            .unwrap();
        let base = batch(&[("a", Some(10), false), ("b", Some(10), false), ("c", Some(10), false)]);
        let rows = merger.merge(&mut changes, base).unwrap();
        assert_eq!(texts(&[rows]), ["a1", "b2", "c10"]);
        let rest = merger.rest(&mut changes).unwrap();
        assert_eq!(rest[0].column(0).as_string::<i32>().value(0), "n");
        assert!(rest[0].column(1).is_null(0));
    }

    #[test]
    fn partial_updates_that_come_late() {
        let merger = merger(true);
        let mut changes = Changes::default();
        let early = [true, true, false];
        merger.add_records(&mut changes, batch(&[("a", Some(20), false)]), Some(&early)).unwrap();
        merger.add_records(&mut changes, batch(&[("a", Some(15), false)]), None).unwrap();
        let rows = merger.merge(&mut changes, batch(&[("a", Some(10), false)])).unwrap();
        assert_eq!(texts(&[rows]), ["a20"]);
    }
}
