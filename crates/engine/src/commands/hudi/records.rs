//! Rows as records: with their keys and partition paths, and joined with those that the table has.
//!
//! ```text
//!  rows ─▶ keyed: data, KEY, PATH ─▶ combined: one of each key ─┬─▶ touched: groups that have some of the keys
//!                                                               ├─▶ upserted · remaining: rows of these groups anew
//!                                                               └─▶ changes: rows of their logs, in merge-on-read tables
//! ```
use firesteel_analyze::{AnalyzedPlan, TableSource};
use firesteel_lake::hudi::write::{DELETED, DELETED_BY_ORDER, FileGroup, HudiDefinition, KeyGenerator};
use firesteel_lake::hudi::{COMMIT_TIME, HudiTable};
use firesteel_plan::expression::WindowRef;
use firesteel_plan::relation::JoinType;
use firesteel_plan::{
    DataType, Expr, ExprKind, NullOrdering, Relation, RelationKind, Result, SortDirection, SortOrder, SparkError,
    StructField, StructType, WindowSpec,
};

use crate::commands::Statement;
use crate::commands::row_level::{FILE, join};

/// The key of a row that is written, and its partition path.
const KEY: &str = "__key";
const PATH: &str = "__path";
/// True in rows that are written.
const IS_NEW: &str = "__is_new";
const RANK: &str = "__rank";
/// The place of a row among those that are written.
const ROW: &str = "__row";
/// Hudi's own columns beside [`COMMIT_TIME`].
const SEQUENCE: &str = "_hoodie_commit_seqno";
const RECORD_KEY: &str = "_hoodie_record_key";
const PARTITION_PATH: &str = "_hoodie_partition_path";
pub const OWN: [&str; 4] = [COMMIT_TIME, SEQUENCE, RECORD_KEY, PARTITION_PATH];
/// The column that says of a row that its key is deleted.
const IS_DELETED: &str = "_hoodie_is_deleted";
/// What Hudi writes for values that are not there.
const NO_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";
const NULL_KEY: &str = "__null__";
const EMPTY_KEY: &str = "__empty__";
const PLAIN_SCALE: i8 = 6;

/// The columns of a table in the words of a write.
pub struct Records<'a> {
    pub st: &'a Statement,
    pub table: &'a HudiTable,
    pub definition: &'a HudiDefinition,
    /// Hudi's own columns and the table's, as they are after the write
    pub columns: &'a StructType,
    /// Whether a key of one column has the column's name in front: some versions of Hudi make complex keys so
    pub names_single: bool,
}

/// Whether the stored keys of one column that a complex generator made have its name in front.
pub async fn names_single(records: &Records<'_>, groups: &[FileGroup]) -> Result<bool> {
    let definition = records.definition;
    let [column] = definition.record_keys.as_slice() else { return Ok(false) };
    if definition.key_generator != KeyGenerator::Complex {
        return Ok(false);
    }
    let keys = records.stored(groups)?.project(vec![Expr::name(RECORD_KEY)]);
    let prefix = Expr::string(format!("{column}:"));
    let named = keys.clone().filter(call("startswith", [Expr::name(RECORD_KEY), prefix]));
    let one = |input: Relation| Relation::new(RelationKind::Limit { input: Box::new(input), limit: Expr::int(1) });
    let (_, found) = records.st.collect(&one(named)).await?;
    Ok(found.iter().any(|batch| batch.num_rows() > 0))
}

impl Records<'_> {
    pub fn data(&self) -> impl Iterator<Item = (usize, &StructField)> {
        self.columns.fields.iter().skip(OWN.len() + 1).enumerate()
    }

    pub fn place_of(&self, column: &str) -> Result<usize> {
        let found = self.data().find(|(_, field)| field.name.eq_ignore_ascii_case(column)).map(|(at, _)| at);
        found.ok_or_else(|| {
            let name = firesteel_plan::quote_identifier(column);
            SparkError::new("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", [("objectName", name)])
        })
    }

    /// Rows with the table's columns in order → `__new_i`, [`KEY`], [`PATH`] and [`IS_NEW`].
    pub fn keyed(&self, rows: &AnalyzedPlan) -> Result<Relation> {
        let source = TableSource::Analyzed { plan: rows.plan.clone(), output: rows.output.clone(), qualifier: vec![] };
        let column = |at: usize| Expr::name(&rows.output[at].name);
        let mut columns: Vec<Expr> = self.data().map(|(at, _)| column(at).alias(new(at))).collect();
        let (key, path) = self.key_and_path(column)?;
        columns.extend([key.alias(KEY), path.alias(PATH), Expr::boolean(true).alias(IS_NEW)]);
        columns.push(call("monotonically_increasing_id", []).alias(ROW));
        Ok(self.st.context.pin(source).project(columns))
    }

    /// The key and the partition path of a row with these columns.
    pub fn key_and_path(&self, column: impl Fn(usize) -> Expr) -> Result<(Expr, Expr)> {
        let text = |name: &String| -> Result<(String, Expr)> {
            let at = self.place_of(name)?;
            let data_type = self.data().find(|(place, _)| *place == at).map(|(_, field)| &field.data_type);
            check_key(data_type.unwrap_or(&DataType::Null), name)?;
            Ok((name.clone(), column(at).cast(DataType::STRING)))
        };
        let keys = self.definition.record_keys.iter().map(text).collect::<Result<Vec<_>>>()?;
        let paths = self.definition.partition_by.iter().map(text).collect::<Result<Vec<_>>>()?;
        Ok((self.key(&keys), self.path(&paths)))
    }

    /// NULL where keys are made up, or where a row has none.
    fn key(&self, parts: &[(String, Expr)]) -> Expr {
        let is_plain = parts.len() == 1 && !self.names_single;
        match parts {
            [] => Expr::null().cast(DataType::STRING),
            [(_, only)] if is_plain => only.clone(),
            parts => {
                let mut pieces = vec![];
                for (index, (name, part)) in parts.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    pieces.push(Expr::string(format!("{comma}{name}:")));
                    pieces.push(when([
                        call("isnull", [part.clone()]),
                        Expr::string(NULL_KEY),
                        call("==", [part.clone(), Expr::string("")]),
                        Expr::string(EMPTY_KEY),
                        part.clone(),
                    ]));
                }
                let all: Vec<Expr> = parts.iter().map(|(_, part)| part.clone()).collect();
                let is_there = call("isnotnull", [call("coalesce", all)]);
                when([is_there, call("concat", pieces), Expr::null().cast(DataType::STRING)])
            }
        }
    }

    fn path(&self, parts: &[(String, Expr)]) -> Expr {
        let mut pieces = vec![];
        for (index, (name, part)) in parts.iter().enumerate() {
            let slash = if index == 0 { "" } else { "/" };
            let column = if self.definition.hive_style { format!("{name}=") } else { String::new() };
            pieces.push(Expr::string(format!("{slash}{column}")));
            let is_empty = call("==", [call("coalesce", [part.clone(), Expr::string("")]), Expr::string("")]);
            pieces.push(when([is_empty, Expr::string(NO_PARTITION), part.clone()]));
        }
        if pieces.is_empty() { Expr::string("") } else { call("concat", pieces) }
    }

    /// The place of the column by whose value records are told apart.
    pub fn ordering(&self) -> Result<Option<usize>> {
        let column = self.definition.ordering.as_deref().filter(|_| self.definition.by_order);
        column.map(|column| self.place_of(column)).transpose()
    }

    /// One row of each key: that with the greatest value in the ordering column, the last one of these.
    pub fn combined(&self, keyed: Relation) -> Result<Relation> {
        let columns = self.ordering()?.map(|at| Expr::name(new(at))).into_iter().chain([Expr::name(ROW)]);
        let order = |child| SortOrder { child, direction: SortDirection::Descending, nulls: NullOrdering::First };
        let spec = WindowSpec {
            partition_by: vec![Expr::name(KEY), Expr::name(PATH)],
            order_by: columns.map(order).collect(),
            ..WindowSpec::default()
        };
        let function = Expr::call("row_number", vec![]);
        let rank = Expr::from(ExprKind::Window { function, spec: WindowRef::Spec(spec) });
        let ranked = keyed.project(vec![Expr::star(), rank.alias(RANK)]);
        Ok(ranked.filter(call("==", [Expr::name(RANK), Expr::int(1)])))
    }

    /// The rows of the base files of groups: `__old_i`, Hudi's own columns, and [`FILE`], the place among the groups.
    fn stored(&self, groups: &[FileGroup]) -> Result<Relation> {
        self.stored_rows(groups, false)
    }

    /// The same; `merged`: with what logs say.
    fn stored_rows(&self, groups: &[FileGroup], merged: bool) -> Result<Relation> {
        let place = StructField::new(FILE, DataType::Integer, false);
        let scan = self.table.scan_groups(groups, self.columns, &place, self.st.context.delta_conf(), merged)?;
        let schema = StructType::new(self.columns.fields.iter().chain([&place]).cloned().collect()).as_nullable();
        let metadata = StructType::new(vec![scan.metadata_column()]);
        let source = TableSource::Provider { provider: scan.table(), schema, metadata, qualifier: vec![] };
        let own = OWN.iter().chain([&FILE]).map(|name| Expr::name(*name));
        let data = self.data().map(|(at, field)| Expr::name(&field.name).alias(old(at)));
        Ok(self.st.context.pin(source).project(own.chain(data).collect()))
    }

    fn same_key() -> Expr {
        let key = call("==", [Expr::name(KEY), Expr::name(RECORD_KEY)]);
        key.and(call("==", [Expr::name(PATH), Expr::name(PARTITION_PATH)]))
    }

    /// Rows of groups whose keys are among those of `combined`.
    pub fn matches(&self, combined: Relation, groups: &[FileGroup]) -> Result<Relation> {
        let keys = combined.project(vec![Expr::name(KEY), Expr::name(PATH)]);
        Ok(join(keys, self.stored_keys(groups)?, JoinType::Inner, Self::same_key()))
    }

    /// Keys with the place of their group. Those that logs delete are among them: their rows belong to that group still.
    fn stored_keys(&self, groups: &[FileGroup]) -> Result<Relation> {
        Ok(self.stored(groups)?.project([RECORD_KEY, PARTITION_PATH, FILE].map(Expr::name).to_vec()))
    }

    /// Rows for the logs of the groups that have their keys, and new rows.
    pub fn changes(&self, combined: Relation, groups: &[FileGroup]) -> Result<Relation> {
        if groups.is_empty() {
            return Ok(self.inserted(self.without_deleted(combined)?));
        }
        let rows = join(combined, self.stored_keys(groups)?, JoinType::LeftOuter, Self::same_key());
        let (fate, rows) = match self.deleted()? {
            None => (Expr::null().cast(DataType::STRING), rows),
            Some(deleted) => {
                let is_new = call("isnull", [Expr::name(FILE)]);
                let rows = rows.filter(call("not", [is_new.and(deleted.clone())]));
                (self.fate(deleted)?, rows)
            }
        };
        Ok(rows.project(self.change_columns(fate, new)))
    }

    /// Deletes for the logs of the groups that have these keys.
    pub fn deletes(&self, combined: Relation, groups: &[FileGroup]) -> Result<Relation> {
        let keys = combined.project(vec![Expr::name(KEY), Expr::name(PATH)]);
        let stored = self.stored_rows(groups, self.ordering()?.is_some())?;
        let rows = join(keys, stored, JoinType::Inner, Self::same_key());
        let fate = self.fate_of_deleted(|at| Expr::name(old(at)))?;
        Ok(rows.project(self.change_columns(fate, old)))
    }

    fn change_columns(&self, fate: Expr, data: impl Fn(usize) -> String) -> Vec<Expr> {
        let null = Expr::null().cast(DataType::STRING);
        let mut columns = vec![Expr::name(FILE), fate, null, Expr::name(KEY), Expr::name(PATH)];
        columns.extend(self.data().map(|(at, _)| Expr::name(data(at))));
        named(columns)
    }

    /// What a log says of a stored row with these columns that is deleted, whatever its order: the order that it had. A key
    /// that comes again after a delete without an order Hudi 1.0 neither reads nor compacts.
    pub fn fate_of_deleted(&self, column: impl Fn(usize) -> Expr) -> Result<Expr> {
        Ok(match self.ordering()? {
            Some(at) => when([call("isnull", [column(at)]), Expr::string(DELETED), Expr::string(DELETED_BY_ORDER)]),
            None => Expr::string(DELETED),
        })
    }

    /// What a log says of a row that may say of itself that it is deleted.
    pub fn fate(&self, deleted: Expr) -> Result<Expr> {
        let name = if self.ordering()?.is_some() { DELETED_BY_ORDER } else { DELETED };
        Ok(when([deleted, Expr::string(name), Expr::null().cast(DataType::STRING)]))
    }

    /// The rows of touched groups with what is written, and new rows, as they are written.
    pub fn upserted(&self, combined: Relation, touched: &[FileGroup]) -> Result<Relation> {
        let joined = match touched.is_empty() {
            true => return self.without_deleted(combined).map(|rows| rows.project(self.inserted_columns())),
            false => join(self.stored(touched)?, combined, JoinType::FullOuter, Self::same_key()),
        };
        let takes = Expr::name("__takes");
        let wins = match self.ordering()? {
            None => Expr::name(IS_NEW),
            Some(at) => {
                let (mine, its) = (Expr::name(new(at)), Expr::name(old(at)));
                let is_null = |column: &Expr| call("isnull", [column.clone()]);
                // A row of this write without a value gets as far as where that is an error.
                let unlike = [is_null(&Expr::name(RECORD_KEY)), is_null(&its), is_null(&mine)];
                let later = unlike.into_iter().fold(call(">=", [mine, its]), |a, b| call("or", [a, b]));
                Expr::name(IS_NEW).and(later)
            }
        };
        let wins = call("coalesce", [wins, Expr::boolean(false)]).alias("__takes");
        let rows = joined.project(vec![Expr::star(), wins]);
        let rows = match self.deleted()? {
            Some(deleted) => rows.filter(call("not", [takes.clone().and(deleted)])),
            None => rows,
        };
        let null = || Expr::null().cast(DataType::STRING);
        let either = |new: Expr, old: Expr| when([takes.clone(), new, old]);
        let mut columns = vec![
            Expr::name(FILE),
            either(null(), Expr::name(COMMIT_TIME)),
            either(null(), Expr::name(SEQUENCE)),
            either(Expr::name(KEY), Expr::name(RECORD_KEY)),
            either(Expr::name(PATH), Expr::name(PARTITION_PATH)),
        ];
        columns.extend(self.data().map(|(at, _)| either(Expr::name(new(at)), Expr::name(old(at)))));
        Ok(rows.project(named(columns)))
    }

    /// New rows as they are written.
    pub fn inserted(&self, keyed: Relation) -> Relation {
        keyed.project(self.inserted_columns())
    }

    fn inserted_columns(&self) -> Vec<Expr> {
        let null = || Expr::null().cast(DataType::STRING);
        let mut columns = vec![Expr::null().cast(DataType::Integer), null(), null(), Expr::name(KEY), Expr::name(PATH)];
        columns.extend(self.data().map(|(at, _)| Expr::name(new(at))));
        named(columns)
    }

    /// The rows of touched groups whose keys are not among those of `combined`.
    pub fn remaining(&self, combined: Relation, touched: &[FileGroup]) -> Result<Relation> {
        let keys = combined.project(vec![Expr::name(KEY), Expr::name(PATH)]);
        let rows = join(self.stored(touched)?, keys, JoinType::LeftAnti, Self::same_key());
        Ok(rows.project(self.kept_columns()))
    }

    fn kept_columns(&self) -> Vec<Expr> {
        let own = [FILE].into_iter().chain(OWN).map(Expr::name);
        named(own.chain(self.data().map(|(at, _)| Expr::name(old(at)))).collect())
    }

    fn deleted(&self) -> Result<Option<Expr>> {
        self.deleted_of(|at| Expr::name(new(at)))
    }

    /// Whether a row with these columns says that it is deleted; `None`: rows of the table cannot say it.
    pub fn deleted_of(&self, column: impl Fn(usize) -> Expr) -> Result<Option<Expr>> {
        let has = self.data().any(|(_, f)| f.name == IS_DELETED && f.data_type == DataType::Boolean);
        if !has {
            return Ok(None);
        }
        let flag = column(self.place_of(IS_DELETED)?);
        Ok(Some(call("coalesce", [flag, Expr::boolean(false)])))
    }

    fn without_deleted(&self, rows: Relation) -> Result<Relation> {
        Ok(match self.deleted()? {
            Some(deleted) => rows.filter(call("not", [deleted])),
            None => rows,
        })
    }
}

fn new(at: usize) -> String {
    format!("__new_{at}")
}

fn old(at: usize) -> String {
    format!("__old_{at}")
}

/// Columns by their places alone.
pub fn named(columns: Vec<Expr>) -> Vec<Expr> {
    columns.into_iter().enumerate().map(|(at, column)| column.alias(format!("__out_{at}"))).collect()
}

pub fn call(name: &str, arguments: impl Into<Vec<Expr>>) -> Expr {
    Expr::call(name, arguments.into())
}

pub fn when(branches: impl Into<Vec<Expr>>) -> Expr {
    call("when", branches)
}

/// Texts of keys and partitions as Hudi makes them are known of these types.
fn check_key(data_type: &DataType, column: &str) -> Result<()> {
    match data_type {
        DataType::String(_)
        | DataType::Boolean
        | DataType::Byte
        | DataType::Short
        | DataType::Integer
        | DataType::Long
        | DataType::Date => Ok(()),
        // Beyond that Java writes small values with an exponent.
        DataType::Decimal(_, scale) if *scale <= PLAIN_SCALE => Ok(()),
        other => Err(SparkError::unsupported(format!(
            "the column {column} of type {} as key or partition of a Hudi table",
            other.simple_string()
        ))),
    }
}

/// Whether the keys of a table can be made here.
pub fn check_keys(definition: &HudiDefinition) -> Result<()> {
    if definition.url_encode {
        return Err(SparkError::unsupported("writing a Hudi table whose partition paths are encoded"));
    }
    let has_nested = definition.record_keys.iter().chain(&definition.partition_by).any(|name| name.contains('.'));
    if has_nested {
        return Err(SparkError::unsupported("keys and partitions of a Hudi table below a column"));
    }
    let is_custom = definition.partition_by.iter().any(|name| name.contains(':'));
    match is_custom || definition.key_generator == KeyGenerator::Simple && definition.partition_by.len() > 1 {
        true => Err(SparkError::unsupported("partitions of a Hudi table that a custom key generator makes")),
        false => Ok(()),
    }
}
