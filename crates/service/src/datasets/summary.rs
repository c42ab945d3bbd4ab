//! `POST /v1/datasets/summary`: figures about each column.
use firesteel_plan::relation::{Grouping, GroupingElement};
use firesteel_plan::{DataType, Expr, Relation, RelationKind, StructField};
use serde_json::{Map, Value, json};

use super::DatasetFields;
use super::query::{QueryFields, matching, select};
use super::read::{Reader, Stats};
use crate::app::{Answer, Call, json};
use crate::document::{Documented, document, together};
use crate::endpoint::credentials_field;
use crate::problem::Problem;
use crate::statements::typed_number;

const DEFAULT_QUANTILES: [f64; 3] = [0.25, 0.5, 0.75];
const DEFAULT_BINS: u64 = 10;
const QUANTILE_ACCURACY: i32 = 10_000;
const DISTINCT_ERROR: &str = "0.02";
/// Columns that are summed up in one pass.
const COLUMNS_AT_ONCE: usize = 50;

document! {
    /// What is summed up
    pub struct SummaryFields {
        columns: Option<Vec<String>> => {"minItems": 1, "maxItems": 10000},
        filters: Option<Map<String, Value>>,
        quantiles: Option<Vec<f64>> => {"maxItems": 100, "items": {"type": "number", "minimum": 0, "maximum": 1}},
        histogram_bins: Option<u64> => {"minimum": 0, "maximum": 100},
    }
}

pub fn schema() -> Value {
    together(&[DatasetFields::schema(), SummaryFields::schema(), credentials_field()])
}

pub fn answer_schema() -> Value {
    json!({"type": "object", "required": ["row_count", "columns", "stats"], "properties": {
        "row_count": {"type": "integer"}, "columns": {"type": "array", "items": {"type": "object", "properties": {
            "name": {"type": "string"}, "type": {"type": "string"}, "count": {"type": "integer"},
            "nulls": {"type": "integer"}, "distinct": {"type": ["integer", "null"]}, "min": {}, "max": {},
            "mean": {"type": ["number", "string", "null"]}, "stddev": {"type": ["number", "string", "null"]},
            "quantiles": {"type": ["object", "null"]}, "histogram": {"type": ["array", "null"]}}}},
        "stats": Stats::schema()}})
}

pub async fn handle(call: Call) -> Answer {
    let (reader, dataset, given): (_, _, SummaryFields) = Reader::open(&call)?;
    let query = QueryFields { columns: given.columns.clone(), filters: given.filters.clone(), ..Default::default() };
    let relation = select(matching(&dataset, &query)?, &query)?;
    let cancel = reader.cancel.clone();
    let summary = Summary {
        quantiles: given.quantiles.unwrap_or_else(|| DEFAULT_QUANTILES.to_vec()),
        bins: given.histogram_bins.unwrap_or(DEFAULT_BINS),
    };
    Ok(json(200, &call.app.work(cancel, summary.run(reader, relation)).await?))
}

struct Summary {
    quantiles: Vec<f64>,
    bins: u64,
}

impl Summary {
    async fn run(self, mut reader: Reader, relation: Relation) -> Result<Value, Problem> {
        let schema = reader.session.analyze(&relation).await?.schema().clone();
        // By position, so that columns of one name do not meet.
        let names: Vec<String> = (0..schema.fields.len()).map(|i| format!("c{i}")).collect();
        let relation = Relation::new(RelationKind::ToDf { input: Box::new(relation), names: names.clone() });
        let mut columns = vec![];
        let mut row_count = Value::from(0);
        let fields: Vec<_> = schema.fields.iter().zip(&names).collect();
        for some in fields.chunks(COLUMNS_AT_ONCE) {
            let mut figures = vec![Expr::call("count", vec![Expr::int(1)]).alias("rows")];
            some.iter().for_each(|(field, name)| figures.extend(self.figures(field, name)));
            let rows = reader.query(aggregated(relation.clone(), vec![], figures), "summary").await?.objects()?;
            let row = rows.into_iter().next().unwrap_or_default();
            row_count = row["rows"].clone();
            for (field, name) in some {
                let histogram = self.histogram(&mut reader, &relation, field, name, &row).await?;
                columns.push(self.column(field, name, &row, histogram));
            }
        }
        if fields.is_empty() {
            row_count = json!(reader.count(relation).await?);
        }
        let stats = reader.stats(columns.len() as u64, row_count.as_u64());
        Ok(json!({"row_count": row_count, "columns": columns, "stats": stats}))
    }

    fn figures(&self, field: &StructField, name: &str) -> Vec<Expr> {
        let column = || Expr::name(name);
        let figure = |what: &str, function: &str, mut more: Vec<Expr>| {
            let mut arguments = vec![column()];
            arguments.append(&mut more);
            Expr::call(function, arguments).alias(format!("{name}_{what}"))
        };
        let mut figures = vec![figure("count", "count", vec![])];
        let kind = &field.data_type;
        if kind.is_atomic() && !kind.is_interval() && *kind != DataType::Null {
            let error = Expr::literal(typed_number(DISTINCT_ERROR)).cast(DataType::Double);
            figures.push(figure("distinct", "approx_count_distinct", vec![error]));
            figures.push(figure("min", "min", vec![]));
            figures.push(figure("max", "max", vec![]));
        }
        if kind.is_numeric() {
            figures.push(figure("mean", "avg", vec![]));
            figures.push(figure("stddev", "stddev", vec![]));
            if !self.quantiles.is_empty() {
                let at = self.quantiles.iter().map(|q| Expr::literal(firesteel_plan::Literal::Double(*q)));
                let arguments = vec![Expr::call("array", at.collect()), Expr::int(QUANTILE_ACCURACY)];
                figures.push(figure("quantiles", "percentile_approx", arguments));
            }
        }
        figures
    }

    fn column(&self, field: &StructField, name: &str, row: &Map<String, Value>, histogram: Value) -> Value {
        let get = |what: &str| row.get(&format!("{name}_{what}")).cloned().unwrap_or(Value::Null);
        let count = get("count");
        let nulls = row["rows"].as_u64().unwrap_or(0).saturating_sub(count.as_u64().unwrap_or(0));
        let quantiles = match get("quantiles") {
            Value::Array(values) => {
                let pairs = self.quantiles.iter().zip(values);
                Value::Object(pairs.map(|(q, value)| (q.to_string(), value)).collect())
            }
            _ => Value::Null,
        };
        json!({"name": field.name, "type": field.data_type.simple_string(), "count": count, "nulls": nulls,
               "distinct": get("distinct"), "min": get("min"), "max": get("max"), "mean": get("mean"),
               "stddev": get("stddev"), "quantiles": quantiles, "histogram": histogram})
    }

    /// Bins of equal width between the least and the greatest value. NaN and infinities are in none.
    async fn histogram(
        &self,
        reader: &mut Reader,
        relation: &Relation,
        field: &StructField,
        name: &str,
        row: &Map<String, Value>,
    ) -> Result<Value, Problem> {
        let bound = |what: &str| row.get(&format!("{name}_{what}")).and_then(Value::as_f64).filter(|n| n.is_finite());
        let (Some(least), Some(greatest)) = (bound("min"), bound("max")) else { return Ok(Value::Null) };
        if !field.data_type.is_numeric() || self.bins == 0 {
            return Ok(Value::Null);
        }
        let width = (greatest - least) / self.bins as f64;
        if width <= 0.0 || !width.is_finite() {
            return Ok(json!([{"lower": least, "upper": greatest, "count": row[&format!("{name}_count")]}]));
        }
        let double = |n: f64| Expr::literal(firesteel_plan::Literal::Double(n));
        let value = || Expr::name(name).cast(DataType::Double);
        let part = Expr::call("/", vec![Expr::call("-", vec![value(), double(least)]), double(width)]);
        // The greatest value belongs to the last bin.
        let bin = Expr::call(
            "least",
            vec![Expr::call("floor", vec![part]).cast(DataType::Long), Expr::int(self.bins as i32 - 1)],
        );
        let in_range =
            Expr::call(">=", vec![value(), double(least)]).and(Expr::call("<=", vec![value(), double(greatest)]));
        let figures = vec![bin.clone().alias("bin"), Expr::call("count", vec![Expr::int(1)]).alias("count")];
        let grouped = aggregated(relation.clone().filter(in_range), vec![bin], figures);
        let mut counts = vec![0; usize::try_from(self.bins).unwrap_or(0)];
        for row in reader.query(grouped, "histogram").await?.objects()? {
            let place = row["bin"].as_u64().and_then(|bin| counts.get_mut(usize::try_from(bin).ok()?));
            if let (Some(place), Some(count)) = (place, row["count"].as_u64()) {
                *place = count;
            }
        }
        let edge = |i: usize| if i == counts.len() { greatest } else { least + width * i as f64 };
        let bin = |(i, count): (usize, &u64)| json!({"lower": edge(i), "upper": edge(i + 1), "count": count});
        Ok(counts.iter().enumerate().map(bin).collect())
    }
}

fn aggregated(input: Relation, grouping: Vec<Expr>, aggregates: Vec<Expr>) -> Relation {
    let grouping = Grouping::By(grouping.into_iter().map(GroupingElement::Expression).collect());
    Relation::new(RelationKind::Aggregate { input: Box::new(input), grouping, aggregates, pivot: None })
}
