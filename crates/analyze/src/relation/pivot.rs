//! PIVOT (SQL and DataFrame) and transpose: rows become columns.
use arrow::array::AsArray;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr as DfExpr;
use firesteel_functions::cast::{CastMode, cast};
use firesteel_functions::{TypedExpr, coerce};
use firesteel_plan::relation::{ConnectPivot, Grouping, GroupingElement as Grouped, PivotValue};
use firesteel_plan::{DataType, Expr, ExprKind, Relation, Result, SparkError};

use crate::analyzer::Analyzer;
use crate::context::{AnalyzedQuery, RowsWithSchema};
use crate::expr::{Scope, SelectItem, SelectValue, quoted_sql};
use crate::from_datafusion;
use crate::scope::{Attribute, Resolved};

/// One output column group of a pivot: the value and the text that names it.
struct PivotColumn {
    value: TypedExpr,
    name: String,
}

impl Analyzer<'_> {
    /// `df.groupBy(…).pivot(column, values).agg(…)`
    pub(super) fn connect_pivot(
        &self,
        input: &Relation,
        grouping: &Grouping,
        aggregates: &[Expr],
        pivot: &ConnectPivot,
    ) -> Result<Resolved> {
        let input = self.relation(input)?.sealed()?;
        let scope = Scope::of(&input);
        let column = self.expression(&pivot.column, &scope)?;
        let Grouping::By(elements) = grouping else { return Err(SparkError::internal("pivot takes grouping columns")) };
        let written = elements.iter().map(|element| match element {
            Grouped::Expression(expr) => Ok(self.named(self.expression(expr, &scope)?, expr, &scope)),
            _ => Err(SparkError::internal("pivot takes plain grouping columns")),
        });
        let groups = written.collect::<Result<Vec<_>>>()?;
        let values: Vec<TypedExpr> = if pivot.values.is_empty() {
            self.distinct_values(&input, &column)?
        } else {
            pivot.values.iter().map(|v| crate::expr::literal::typed(v, &self.eval)).collect::<Result<_>>()?
        };
        let columns = values.into_iter().map(|value| self.pivot_column(value, None, &column)).collect::<Result<_>>()?;
        self.pivot(input, groups, column, columns, aggregates)
    }

    /// `PIVOT (aggregates FOR columns IN (values))`: groups by every column that is not used.
    pub(super) fn sql_pivot(
        &self,
        input: &Relation,
        aggregates: &[Expr],
        columns: &[Expr],
        values: &[PivotValue],
    ) -> Result<Resolved> {
        let input = self.relation(input)?.sealed()?;
        let scope = Scope::of(&input);
        let mut parts = columns.iter().map(|c| self.expression(c, &scope)).collect::<Result<Vec<_>>>()?;
        let column = if parts.len() == 1 { parts.remove(0) } else { self.builtin("struct", parts)? };
        if matches!(column.data_type, DataType::Map(..)) {
            return Err(SparkError::new("INCOMPARABLE_PIVOT_COLUMN", [("columnName", format!("`{}`", column.sql))]));
        }
        let mut pivots = vec![];
        for value in values {
            let typed = self.expression(&value.value, &scope)?;
            pivots.push(self.pivot_column(typed, value.alias.clone(), &column)?);
        }
        let items = self.select_list(aggregates, &scope)?;
        let used = |attribute: &Attribute| {
            let reads = |typed: &TypedExpr| typed.any(|e| matches!(e, DfExpr::Column(c) if c.name == attribute.id));
            reads(&column) || items.iter().any(|item| matches!(item, SelectItem::Value(v) if reads(&v.typed)))
        };
        let unused = input.output.iter().filter(|a| !used(a));
        let groups = unused.map(|a| SelectValue { typed: a.typed(), attribute: a.clone() }).collect();
        self.pivot(input, groups, column, pivots, aggregates)
    }

    fn pivot_column(&self, value: TypedExpr, alias: Option<String>, column: &TypedExpr) -> Result<PivotColumn> {
        if !value.is_foldable() {
            return Err(SparkError::new("NON_LITERAL_PIVOT_VALUES", [("expression", quoted_sql(&value))])
                .with_origin(value.origin.as_ref()));
        }
        // Several columns are one struct, whose fields a value gives by position.
        let named = with_names_of(&column.data_type, &value.data_type);
        let sql = value.sql.clone();
        let value = cast(value, &named, CastMode::of(&self.eval), &self.eval)?.with_sql(sql);
        if coerce::wider_type(&value.data_type, &column.data_type, &self.eval).is_none() {
            return Err(SparkError::new(
                "PIVOT_VALUE_DATA_TYPE_MISMATCH",
                [
                    ("value", value.sql.clone()),
                    ("valueType", value.data_type.simple_string()),
                    ("pivotType", column.data_type.simple_string()),
                ],
            ));
        }
        let mode = CastMode::of(&self.eval);
        let name = match alias {
            Some(alias) => alias,
            None => {
                let text = cast(value.clone(), &DataType::STRING, CastMode::Legacy, &self.eval)?;
                match crate::expr::literal::evaluate(&text)? {
                    Some(ScalarValue::Utf8(Some(text))) => text,
                    _ => "null".to_string(),
                }
            }
        };
        let value = cast(value, &column.data_type, mode, &self.eval)?;
        Ok(PivotColumn { value, name })
    }

    /// Each aggregate for each value: `agg(if(column <=> value, argument, NULL))`, which is the aggregate with a filter.
    fn pivot(
        &self,
        input: Resolved,
        groups: Vec<SelectValue>,
        column: TypedExpr,
        pivots: Vec<PivotColumn>,
        aggregates: &[Expr],
    ) -> Result<Resolved> {
        let scope = Scope::of(&input);
        let items = self.select_list(aggregates, &scope)?;
        let mut outputs: Vec<SelectItem> = groups.iter().cloned().map(SelectItem::Value).collect();
        let groups: Vec<TypedExpr> = groups.into_iter().map(|group| group.typed).collect();
        let fixed_width =
            |item: &SelectItem| matches!(item, SelectItem::Value(v) if is_fixed_width(&v.typed.data_type));
        let null_without_rows = items.iter().all(fixed_width);
        for pivot in &pivots {
            let matches = self.builtin("<=>", vec![column.clone(), pivot.value.clone()])?;
            for (item, written) in items.iter().zip(aggregates) {
                let SelectItem::Value(value) = item else {
                    return Err(SparkError::of("UNSUPPORTED_GENERATOR.OUTSIDE_SELECT"));
                };
                if !value.typed.has_aggregate() {
                    let column = qualified_column(&value.typed, &input).unwrap_or_else(|| value.typed.sql.clone());
                    let message = format!("PIVOT needs aggregate functions, but {column} stands in none.");
                    return Err(SparkError::new("_LEGACY_ERROR_TEMP_1006", [("sql", column)]).with_message(message));
                }
                let mut typed = with_filter(&value.typed, &matches.expr)?;
                if null_without_rows {
                    typed = self.null_without_rows(typed, &matches.expr)?;
                }
                let named = matches!(written.kind.as_ref(), ExprKind::Alias { .. });
                let name = match (items.len(), named) {
                    (1, _) => pivot.name.clone(),
                    _ => format!("{}_{}", pivot.name, value.attribute.name),
                };
                let attribute = Attribute::new(name, typed.data_type.clone(), true);
                outputs.push(SelectItem::Value(SelectValue { typed, attribute }));
            }
        }
        let mut resolved = self.build_aggregate(input, groups, None, outputs)?;
        resolved.extend = None;
        Ok(resolved)
    }

    /// NULL where no row of the group satisfies `condition`, even for an aggregate that would count none. Spark computes
    /// pivots of fixed-width results that way: each group and value first, then one row of them.
    fn null_without_rows(&self, typed: TypedExpr, condition: &DfExpr) -> Result<TypedExpr> {
        let rows =
            self.builtin("count", vec![TypedExpr::literal(ScalarValue::Int32(Some(1)), DataType::Integer, "1")])?;
        let none = TypedExpr::literal(ScalarValue::Int64(Some(0)), DataType::Long, "0");
        let any = self.builtin(">", vec![with_filter(&rows, condition)?, none])?;
        let null = TypedExpr::null(typed.data_type.clone());
        self.builtin("if", vec![any, typed, null])
    }

    /// The pivot column's distinct values in order, for pivots that name none.
    pub(super) fn distinct_values(&self, input: &Resolved, column: &TypedExpr) -> Result<Vec<TypedExpr>> {
        let max: usize =
            self.eval.get("spark.sql.pivotMaxValues").and_then(|v| v.parse().ok()).unwrap_or(PIVOT_VALUES_MAX);
        let attribute = Attribute::new("value", column.data_type.clone(), true);
        let value = SelectValue { typed: column.clone(), attribute: attribute.clone() };
        let projected = self.project_values(input.clone(), vec![value])?;
        let distinct = self.distinct_resolved(projected.sealed()?)?;
        let order = crate::expr::ResolvedSort { typed: attribute.typed(), ascending: true, nulls_first: true };
        let plan = super::sort::sort_plan(distinct.plan.clone(), &[order], true, &self.eval)?;
        let plan = super::unary::limit_plan(plan, 0, Some(max as i64 + 1));
        let query = AnalyzedQuery { plan, schema: distinct.schema() };
        let mut values = vec![];
        for batch in self.collected(query)? {
            for row in 0..batch.num_rows() {
                let value = ScalarValue::try_from_array(batch.column(0), row).map_err(from_datafusion)?;
                values.push(TypedExpr::literal(value, column.data_type.clone(), "value"));
            }
        }
        if values.len() > max {
            return Err(SparkError::new(
                "_LEGACY_ERROR_TEMP_1324",
                [("pivotColumn", column.sql.clone()), ("maxValues", max.to_string())],
            )
            .with_message(format!("The pivot column {} has more than {max} distinct values.", column.sql)));
        }
        Ok(values)
    }
}

/// The type of a pivot value with the field names of the pivot column's type.
fn with_names_of(column: &DataType, value: &DataType) -> DataType {
    match (column, value) {
        (DataType::Struct(names), DataType::Struct(types)) if names.fields.len() == types.fields.len() => {
            let field = |(name, field): (&firesteel_plan::StructField, &firesteel_plan::StructField)| {
                let data_type = with_names_of(&name.data_type, &field.data_type);
                firesteel_plan::StructField { name: name.name.clone(), data_type, ..field.clone() }
            };
            DataType::structure(names.fields.iter().zip(types.fields.iter()).map(field).collect())
        }
        _ => value.clone(),
    }
}

/// The full name of the first column that an expression reads.
fn qualified_column(typed: &TypedExpr, input: &Resolved) -> Option<String> {
    let reads = |a: &&Attribute| typed.any(|e| matches!(e, DfExpr::Column(c) if c.name == a.id));
    let attribute = input.output.iter().find(reads)?;
    let mut parts = attribute.qualifier.clone();
    if parts.is_empty() {
        parts.push("__auto_generated_subquery_name".to_string());
    }
    parts.push(attribute.name.clone());
    Some(firesteel_plan::identifier::qualified_name(&parts))
}

fn is_fixed_width(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Boolean) || data_type.is_numeric()
}

/// `spark.sql.pivotMaxValues`
const PIVOT_VALUES_MAX: usize = 10_000;

/// Restricts every aggregate function in the expression to the rows that satisfy `condition`.
fn with_filter(typed: &TypedExpr, condition: &DfExpr) -> Result<TypedExpr> {
    use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
    let expr = typed.expr.clone().transform_down(|node| {
        Ok(match node {
            DfExpr::AggregateFunction(mut call) => {
                let filter = match call.params.filter.take() {
                    Some(own) => own.and(condition.clone()),
                    None => condition.clone(),
                };
                call.params.filter = Some(Box::new(filter));
                Transformed::new(DfExpr::AggregateFunction(call), true, TreeNodeRecursion::Jump)
            }
            other => Transformed::no(other),
        })
    });
    Ok(TypedExpr { expr: expr.map_err(from_datafusion)?.data, ..typed.clone() })
}

/// The rows of `input` as columns: the first column holds the old names, the others are named by the index.
pub(super) fn transpose(analyzer: &Analyzer<'_>, input: Resolved, key: TypedExpr, key_id: &str) -> Result<Resolved> {
    let others: Vec<Attribute> = input.output.iter().filter(|a| a.id != key_id).cloned().collect();
    let mut common = DataType::Null;
    for attribute in &others {
        common =
            coerce::wider_type_without_strings(&common, &attribute.data_type, &analyzer.eval).ok_or_else(|| {
                SparkError::new(
                    "TRANSPOSE_NO_LEAST_COMMON_TYPE",
                    [("dt1", format!("\"{}\"", common.sql())), ("dt2", format!("\"{}\"", attribute.data_type.sql()))],
                )
            })?;
    }
    let max: usize =
        analyzer.eval.get("spark.sql.transposeMaxValues").and_then(|v| v.parse().ok()).unwrap_or(TRANSPOSE_VALUES_MAX);
    let mode = CastMode::of(&analyzer.eval);
    let not_null = analyzer.builtin("isnotnull", vec![key.clone()])?;
    let filtered = analyzer.filter_typed(input.clone(), not_null.expr)?;
    let mut values = vec![SelectValue {
        typed: cast(key.clone(), &DataType::STRING, mode, &analyzer.eval)?,
        attribute: Attribute::new("key", DataType::STRING, false),
    }];
    for attribute in &others {
        let typed = cast(attribute.typed(), &common, mode, &analyzer.eval)?;
        values.push(SelectValue { typed, attribute: Attribute::new(&attribute.name, common.clone(), true) });
    }
    let order = crate::expr::ResolvedSort { typed: key, ascending: true, nulls_first: true };
    let sorted = super::sort::sort_plan(filtered.plan.clone(), &[order], true, &analyzer.eval)?;
    let projected = analyzer.project_values(filtered.with_plan(sorted), values)?;
    let plan = super::unary::limit_plan(projected.plan.clone(), 0, Some(max as i64 + 1));
    let batches = analyzer.collected(AnalyzedQuery { plan, schema: projected.schema() })?;
    let rows: usize = batches.iter().map(|b| b.num_rows()).sum();
    if rows > max {
        return Err(SparkError::new(
            "TRANSPOSE_EXCEED_ROW_LIMIT",
            [("maxValues", max.to_string()), ("config", "spark.sql.transposeMaxValues".to_string())],
        ));
    }
    turned(analyzer, &batches, &others, &common)
}

const TRANSPOSE_VALUES_MAX: usize = 500;

fn turned(
    analyzer: &Analyzer<'_>,
    batches: &[arrow::array::RecordBatch],
    others: &[Attribute],
    common: &DataType,
) -> Result<Resolved> {
    use firesteel_plan::{StructField, StructType};
    let mut fields = vec![StructField::new("key", DataType::STRING, false)];
    let names: Vec<&str> = others.iter().map(|a| a.name.as_str()).collect();
    let mut columns: Vec<arrow::array::ArrayRef> = vec![std::sync::Arc::new(arrow::array::StringArray::from(names))];
    for batch in batches {
        let keys = batch.column(0).as_string::<i32>();
        for row in 0..batch.num_rows() {
            fields.push(StructField::new(keys.value(row), common.clone(), true));
            let cells = (1..batch.num_columns()).map(|c| ScalarValue::try_from_array(batch.column(c), row));
            let cells = cells.collect::<std::result::Result<Vec<_>, _>>().map_err(from_datafusion)?;
            let column = if cells.is_empty() {
                arrow::array::new_empty_array(&firesteel_functions::types::to_arrow(common))
            } else {
                ScalarValue::iter_to_array(cells).map_err(from_datafusion)?
            };
            columns.push(column);
        }
    }
    let schema = StructType::new(fields);
    let arrow_schema: Vec<_> = (schema.fields.iter().enumerate())
        .map(|(i, f)| {
            arrow::datatypes::Field::new(format!("c{i}"), firesteel_functions::types::to_arrow(&f.data_type), true)
        })
        .collect();
    let batch =
        arrow::array::RecordBatch::try_new(std::sync::Arc::new(arrow::datatypes::Schema::new(arrow_schema)), columns)
            .map_err(|e| SparkError::internal(e.to_string()))?;
    analyzer.rows(RowsWithSchema { schema, batches: vec![batch] })
}
