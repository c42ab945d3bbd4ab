//! `POST /v1/datasets/merge`: the rows of many files in one place, without those that are there twice.
use std::sync::Arc;

use firesteel_plan::expression::WindowRef;
use firesteel_plan::relation::SetOpType;
use firesteel_plan::{
    DataType, Expr, ExprKind, NullOrdering, Relation, RelationKind, SortDirection, SortOrder, StructField, StructType,
    WindowSpec,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::modify::check;
use super::output::{OutputFields, count_of, counted};
use crate::datasets::DatasetFields;
use crate::document::{Documented, document, together};
use crate::endpoint::credentials_field;
use crate::jobs::Work;
use crate::jobs::handlers::{Request, RunFields};
use crate::problem::Problem;

const FILES_MAX: usize = 1_000;
/// Which file a row is of, and which of the rows with its key it is.
const FILE: &str = "__firesteel_file";
const RANK: &str = "__firesteel_rank";

document! {
    /// How files are put together
    pub struct MergeFields {
        /// Rows with the same values in these columns are there once
        deduplicate_on: Option<Vec<String>> => {"maxItems": 100},
        /// Of rows with the same values, the one of the last file or of the first
        keep: Option<String> => {"enum": ["last", "first", null]},
    }
}

pub fn schema() -> Value {
    let groups = [DatasetFields::schema(), MergeFields::schema(), OutputFields::schema(), RunFields::schema()];
    together(&[groups.to_vec(), vec![credentials_field()]].concat())
}

pub fn prepare(request: Request) -> BoxFuture<'static, Result<Work, Problem>> {
    async move {
        let app = Arc::clone(&request.app);
        app.work(CancellationToken::new(), prepare_merge(request)).await
    }
    .boxed()
}

async fn prepare_merge(request: Request) -> Result<Work, Problem> {
    let session = request.app.sessions.fresh(&request.user, &request.credentials);
    let places = request.user.places.clone();
    let mut fields = request.fields;
    let dataset: DatasetFields = fields.take()?;
    let output: OutputFields = fields.take()?;
    let given: MergeFields = fields.rest()?;
    output.check()?;
    dataset.check()?;
    let Some(paths) = &dataset.paths else {
        return Err(Problem::invalid("paths", "It takes paths: the files to put together."));
    };
    if paths.len() > FILES_MAX {
        return Err(Problem::invalid("paths", format!("There are at most {FILES_MAX} files.")));
    }
    let files = paths.len();
    let mut parts = vec![];
    for (index, path) in paths.iter().enumerate() {
        let one = DatasetFields { path: Some(path.clone()), paths: None, ..dataset.clone() };
        let relation = one.relation()?;
        let schema = check(&session, &relation, &format!("paths[{index}]")).await?;
        parts.push((relation, schema));
    }
    let common = common_schema(&parts)?;
    let keys = key_columns(given.deduplicate_on.as_deref().unwrap_or_default(), &common)?;
    let relation = deduplicated(union(parts, &common)?, &keys, &common, given.keep.as_deref() == Some("first"));
    check(&session, &relation, "paths").await?;
    Ok(Box::new(move |entry| {
        async move {
            let execution = output.write(&session, places, counted(relation, "written", &[]), &entry).await?;
            let execution = execution.as_ref();
            let read = count_of(execution, "read", "rows");
            let written = count_of(execution, "written", "rows");
            let counts = [
                ("files_merged", json!(files)),
                ("rows_read", json!(read)),
                ("rows_written", json!(written)),
                ("rows_deduplicated", json!(read.saturating_sub(written))),
                ("output_path", json!(output.output_path)),
            ];
            Ok(counts.into_iter().map(|(name, count)| (name.to_string(), count)).collect::<Map<_, _>>())
        }
        .boxed()
    }))
}

/// The columns of all files in the order they come in, each with a type that all of its types fit in.
fn common_schema(parts: &[(Relation, StructType)]) -> Result<StructType, Problem> {
    let mut common: Vec<StructField> = vec![];
    for (index, (_, schema)) in parts.iter().enumerate() {
        for field in schema.fields.iter() {
            let known = common.iter_mut().find(|known| known.name.eq_ignore_ascii_case(&field.name));
            let Some(known) = known else {
                common.push(field.clone());
                continue;
            };
            let Some(wider) = wider(&known.data_type, &field.data_type) else {
                let (before, now) = (known.data_type.sql(), field.data_type.sql());
                let detail = format!("The column {} is {now} here and {before} before.", field.name);
                let problem = Problem::new(400, "INCOMPATIBLE_SCHEMAS", detail).at(format!("paths[{index}]"));
                return Err(problem);
            };
            known.data_type = wider;
        }
    }
    Ok(StructType::new(common))
}

/// The type that holds the values of both without loss; `None`: there is none.
fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Byte, Date, Decimal, Double, Float, Integer, Long, Null, Short, Timestamp, TimestampNtz};
    const WHOLE: [DataType; 4] = [Byte, Short, Integer, Long];
    let digits = |data_type: &DataType| match data_type {
        Byte => Some((3, 0)),
        Short => Some((5, 0)),
        Integer => Some((10, 0)),
        Long => Some((20, 0)),
        Decimal(precision, scale) => Some((i16::from(*precision), i16::from(*scale))),
        _ => None,
    };
    let place = |data_type: &DataType| WHOLE.iter().position(|whole| whole == data_type);
    match (a, b) {
        _ if a.same_type(b) => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        (Float, Double) | (Double, Float) => Some(Double),
        (Float | Double, other) | (other, Float | Double) if other.is_numeric() => Some(Double),
        (Date, Timestamp) | (Timestamp, Date) => Some(Timestamp),
        (Date, TimestampNtz) | (TimestampNtz, Date) => Some(TimestampNtz),
        (a, b) => match (place(a), place(b)) {
            (Some(i), Some(j)) => WHOLE.get(i.max(j)).cloned(),
            _ => {
                let ((p, s), (q, t)) = (digits(a)?, digits(b)?);
                let scale = s.max(t);
                let precision = (p - s).max(q - t) + scale;
                let fits = precision <= 38;
                fits.then_some(Decimal(u8::try_from(precision).ok()?, i8::try_from(scale).ok()?))
            }
        },
    }
}

fn key_columns(names: &[String], common: &StructType) -> Result<Vec<String>, Problem> {
    let key = |(index, name): (usize, &String)| {
        let known = common.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        let missing = || Problem::invalid(format!("deduplicate_on[{index}]"), format!("No file has a column {name}."));
        known.map(|field| field.name.clone()).ok_or_else(missing)
    };
    names.iter().enumerate().map(key).collect()
}

fn union(parts: Vec<(Relation, StructType)>, common: &StructType) -> Result<Relation, Problem> {
    let aligned = |(index, (relation, schema)): (usize, (Relation, StructType))| {
        let column = |field: &StructField| {
            let own = schema.fields.iter().find(|own| own.name.eq_ignore_ascii_case(&field.name));
            let value = own.map_or(Expr::null(), |own| Expr::name(&own.name));
            value.cast(field.data_type.clone()).alias(&field.name)
        };
        let mut columns: Vec<Expr> = common.fields.iter().map(column).collect();
        columns.push(Expr::int(i32::try_from(index).unwrap_or(i32::MAX)).alias(FILE));
        relation.project(columns)
    };
    let mut parts: std::collections::VecDeque<_> = parts.into_iter().enumerate().map(aligned).collect();
    // Pairs of pairs: a thousand files make a plan ten deep.
    while parts.len() > 1 {
        let mut joined = std::collections::VecDeque::new();
        while let Some(left) = parts.pop_front() {
            joined.push_back(match parts.pop_front() {
                None => left,
                Some(right) => Relation::new(RelationKind::SetOperation {
                    left: Box::new(left),
                    right: Box::new(right),
                    op: SetOpType::Union,
                    all: true,
                    by_name: false,
                    allow_missing_columns: false,
                }),
            });
        }
        parts = joined;
    }
    parts.pop_front().ok_or_else(|| Problem::invalid("paths", "There is nothing to put together."))
}

fn deduplicated(union: Relation, keys: &[String], common: &StructType, keeps_first: bool) -> Relation {
    let counted = counted(union, "read", &[]);
    let columns = common.fields.iter().map(|field| Expr::name(&field.name)).collect();
    if keys.is_empty() {
        return counted.project(columns);
    }
    let direction = if keeps_first { SortDirection::Ascending } else { SortDirection::Descending };
    let order = SortOrder { child: Expr::name(FILE), direction, nulls: NullOrdering::Default };
    let spec = WindowSpec {
        base: None,
        partition_by: keys.iter().map(Expr::name).collect(),
        order_by: vec![order],
        frame: None,
    };
    let function = Expr::call("row_number", vec![]);
    let rank: Expr = ExprKind::Window { function, spec: WindowRef::Spec(spec) }.into();
    let ranked = Relation::new(RelationKind::WithColumns { input: Box::new(counted), columns: vec![rank.alias(RANK)] });
    ranked.filter(Expr::call("==", vec![Expr::name(RANK), Expr::int(1)])).project(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_widen_without_loss() {
        assert_eq!(wider(&DataType::Integer, &DataType::Long), Some(DataType::Long));
        assert_eq!(wider(&DataType::Long, &DataType::Double), Some(DataType::Double));
        assert_eq!(wider(&DataType::Decimal(10, 2), &DataType::Integer), Some(DataType::Decimal(12, 2)));
        assert_eq!(wider(&DataType::STRING, &DataType::Integer), None);
        assert_eq!(wider(&DataType::Null, &DataType::Date), Some(DataType::Date));
    }
}
