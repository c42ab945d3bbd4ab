//! UNION, INTERSECT, EXCEPT: types are unified, columns matched by position or name.
use std::sync::Arc;

use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan, Union, WindowFunctionDefinition};
use firesteel_functions::cast::{CastMode, cast};
use firesteel_functions::{EvalContext, TypedExpr, coerce};
use firesteel_plan::{DataType, JoinType, Relation, Result, SetOpType, SparkError};

use super::join::join_plan;
use crate::analyzer::Analyzer;
use crate::keys;
use crate::scope::{Attribute, Resolved, fresh_id, project};

/// Rows with maps or variants cannot be told apart: no DISTINCT, and no set operation that drops rows.
pub(crate) fn check_comparable(columns: &[Attribute]) -> Result<()> {
    let kind = |data_type: &DataType| match data_type {
        _ if has_map(data_type) => Some("MAP"),
        DataType::Variant => Some("VARIANT"),
        _ => None,
    };
    match columns.iter().find_map(|column| kind(&column.data_type).map(|kind| (kind, column))) {
        None => Ok(()),
        Some((kind, column)) => Err(SparkError::new(
            format!("UNSUPPORTED_FEATURE.SET_OPERATION_ON_{kind}_TYPE"),
            [("colName", format!("`{}`", column.name)), ("dataType", format!("\"{}\"", column.data_type.sql()))],
        )),
    }
}

impl Analyzer<'_> {
    pub(super) fn set_operation(
        &self,
        left: &Relation,
        right: &Relation,
        op: SetOpType,
        all: bool,
        by_name: bool,
        allow_missing_columns: bool,
    ) -> Result<Resolved> {
        let left = self.relation(left)?.sealed()?;
        let right = self.relation(right)?.sealed()?;
        let name = match op {
            SetOpType::Union => "UNION",
            SetOpType::Intersect => "INTERSECT",
            SetOpType::Except => "EXCEPT",
        };
        let (left, right) = if by_name { self.match_names(left, right, allow_missing_columns)? } else { (left, right) };
        let (left, right) = self.unify_columns(left, right, name)?;
        if !(op == SetOpType::Union && all) {
            check_comparable(&left.output)?;
        }
        let (plan, output) = match op {
            SetOpType::Union => self.union(&left, &right, all)?,
            SetOpType::Intersect => self.intersect_or_except(&left, &right, all, JoinType::LeftSemi)?,
            SetOpType::Except => self.intersect_or_except(&left, &right, all, JoinType::LeftAnti)?,
        };
        Ok(Resolved::new(plan, output).with_plan_outputs_of(&[&left, &right]))
    }

    /// Casts both sides, column by column, to their common types.
    fn unify_columns(&self, left: Resolved, right: Resolved, name: &str) -> Result<(Resolved, Resolved)> {
        if left.output.len() != right.output.len() {
            return Err(SparkError::new(
                "NUM_COLUMNS_MISMATCH",
                [
                    ("operator", name.to_string()),
                    ("firstNumColumns", left.output.len().to_string()),
                    ("invalidOrdinalNum", "second".to_string()),
                    ("invalidNumColumns", right.output.len().to_string()),
                ],
            ));
        }
        let mut common = vec![];
        for (index, (l, r)) in left.output.iter().zip(&right.output).enumerate() {
            let wide = coerce::wider_type(&l.data_type, &r.data_type, &self.eval).ok_or_else(|| {
                SparkError::new(
                    "INCOMPATIBLE_COLUMN_TYPE",
                    [
                        ("operator", name.to_string()),
                        ("columnOrdinalNumber", ordinal_word(index)),
                        ("tableOrdinalNumber", "second".to_string()),
                        ("dataType1", format!("\"{}\"", r.data_type.sql())),
                        ("dataType2", format!("\"{}\"", l.data_type.sql())),
                        ("hint", String::new()),
                    ],
                )
            })?;
            common.push(wide);
        }
        Ok((self.cast_columns(left, &common)?, self.cast_columns(right, &common)?))
    }

    pub(crate) fn cast_columns(&self, side: Resolved, types: &[DataType]) -> Result<Resolved> {
        if side.output.iter().zip(types).all(|(a, t)| a.data_type == *t) {
            return Ok(side);
        }
        let mode = CastMode::of(&self.eval);
        let mut attributes = vec![];
        let mut columns = vec![];
        for (attribute, data_type) in side.output.iter().zip(types) {
            if attribute.data_type == *data_type {
                columns.push(attribute.column());
                attributes.push(attribute.clone());
                continue;
            }
            let typed = cast(attribute.typed(), data_type, mode, &self.eval)?;
            let mut renewed = attribute.renewed();
            renewed.data_type = data_type.clone();
            renewed.nullable = typed.nullable;
            columns.push(typed.expr.alias(&renewed.id));
            attributes.push(renewed);
        }
        let plan = project(side.plan.clone(), columns)?;
        Ok(Resolved::new(plan, attributes).with_plan_outputs_of(&[&side]))
    }

    fn union(&self, left: &Resolved, right: &Resolved, all: bool) -> Result<(LogicalPlan, Vec<Attribute>)> {
        if let (true, Some(longer)) = (all, lengthened(left, right)?) {
            return Ok((longer, left.output.clone()));
        }
        let output: Vec<Attribute> = (left.output.iter().zip(&right.output))
            .map(|(l, r)| {
                let mut attribute = l.renewed();
                attribute.nullable = l.nullable || r.nullable;
                attribute.data_type = merge_nullability(&l.data_type, &r.data_type);
                attribute
            })
            .collect();
        let side = |side: &Resolved| {
            let columns = side.output.iter().zip(&output).map(|(from, to)| from.column().alias(&to.id)).collect();
            project(side.plan.clone(), columns).map(Arc::new)
        };
        let union = Union::try_new_with_loose_types(vec![side(left)?, side(right)?]);
        let plan = LogicalPlan::Union(union.map_err(crate::from_datafusion)?);
        let plan = if all { plan } else { keys::distinct(plan, &output, &self.eval)? };
        Ok((plan, output))
    }

    /// Semi and anti joins on all columns, NULLs equal. With ALL, rows are numbered among their equals first, so that
    /// the n-th of the left meets the n-th of the right.
    fn intersect_or_except(
        &self,
        left: &Resolved,
        right: &Resolved,
        all: bool,
        join_type: JoinType,
    ) -> Result<(LogicalPlan, Vec<Attribute>)> {
        let right = right.clone().renewed()?;
        let mut condition: Option<TypedExpr> = None;
        let mut add = |equal: TypedExpr| -> Result<()> {
            condition = Some(match condition.take() {
                Some(before) => self.builtin("and", vec![before, equal])?,
                None => equal,
            });
            Ok(())
        };
        for (l, r) in left.output.iter().zip(&right.output) {
            add(self.builtin("<=>", vec![l.typed(), r.typed()])?)?;
        }
        let (mut left_plan, mut right_plan) = (left.plan.clone(), right.plan.clone());
        if all {
            let (numbered_left, left_number) = number_equals(left_plan, &left.output, &self.eval)?;
            let (numbered_right, right_number) = number_equals(right_plan, &right.output, &self.eval)?;
            (left_plan, right_plan) = (numbered_left, numbered_right);
            add(self.builtin("==", vec![left_number, right_number])?)?;
        } else {
            left_plan = keys::distinct(left_plan, &left.output, &self.eval)?;
        }
        let plan = join_plan(left_plan, right_plan, join_type, condition.map(|c| c.expr))?;
        let columns = left.output.iter().map(Attribute::column).collect();
        let output = left.output.iter().map(|a| Attribute { qualifier: vec![], ..a.clone() }).collect();
        Ok((project(plan, columns)?, output))
    }

    /// The right side's columns in the left's order; missing ones are NULL where that is allowed.
    fn match_names(&self, left: Resolved, right: Resolved, allow_missing: bool) -> Result<(Resolved, Resolved)> {
        self.check_unique(&left)?;
        self.check_unique(&right)?;
        let find = |side: &Resolved, name: &str| side.output.iter().find(|a| self.same_name(&a.name, name)).cloned();
        let mut left_columns: Vec<(TypedExpr, Attribute)> =
            left.output.iter().map(|a| (a.typed(), a.clone())).collect();
        let mut right_columns = vec![];
        let missing = |attribute: &Attribute| {
            let mut added = Attribute::new(&attribute.name, attribute.data_type.clone(), true);
            added.metadata = attribute.metadata.clone();
            (TypedExpr::null(attribute.data_type.clone()), added)
        };
        for attribute in &left.output {
            match find(&right, &attribute.name) {
                Some(found) => right_columns.push((found.typed(), found)),
                None if allow_missing => right_columns.push(missing(attribute)),
                None => {
                    let names: Vec<_> = right.output.iter().map(|a| a.name.clone()).collect();
                    return Err(SparkError::new(
                        "UNRESOLVED_COLUMN_AMONG_FIELD_NAMES",
                        [("colName", attribute.name.clone()), ("fieldNames", names.join(", "))],
                    )
                    .with_cause("_LEGACY_ERROR_TEMP_1113"));
                }
            }
        }
        for attribute in &right.output {
            if find(&left, &attribute.name).is_none() {
                if !allow_missing {
                    return Err(SparkError::new(
                        "NUM_COLUMNS_MISMATCH",
                        [
                            ("operator", "UNION".to_string()),
                            ("firstNumColumns", left.output.len().to_string()),
                            ("invalidOrdinalNum", "second".to_string()),
                            ("invalidNumColumns", right.output.len().to_string()),
                        ],
                    ));
                }
                right_columns.push((attribute.typed(), attribute.clone()));
                left_columns.push(missing(attribute));
            }
        }
        if allow_missing {
            self.fill_structs(&mut left_columns, &mut right_columns)?;
        }
        Ok((select(left, left_columns)?, select(right, right_columns)?))
    }

    /// Struct columns get each other's missing fields.
    fn fill_structs(&self, left: &mut [(TypedExpr, Attribute)], right: &mut [(TypedExpr, Attribute)]) -> Result<()> {
        for (l, r) in left.iter_mut().zip(right.iter_mut()) {
            if let (DataType::Struct(a), DataType::Struct(b)) = (&l.1.data_type, &r.1.data_type)
                && !l.1.data_type.same_type(&r.1.data_type)
            {
                let merged = self.merged_struct(a, b);
                for side in [&mut *l, &mut *r] {
                    let typed = self.struct_as(side.0.clone(), &merged)?;
                    side.1 = Attribute::new(&side.1.name, typed.data_type.clone(), typed.nullable);
                    side.0 = typed;
                }
            }
        }
        Ok(())
    }

    /// The left's fields in order, then the right's other fields.
    fn merged_struct(
        &self,
        left: &firesteel_plan::StructType,
        right: &firesteel_plan::StructType,
    ) -> Vec<firesteel_plan::StructField> {
        let mut fields: Vec<_> = left.fields.to_vec();
        for field in right.fields.iter() {
            match fields.iter_mut().find(|f| self.same_name(&f.name, &field.name)) {
                Some(known) => {
                    if let (DataType::Struct(a), DataType::Struct(b)) = (&known.data_type, &field.data_type) {
                        known.data_type = DataType::structure(self.merged_struct(&a.clone(), &b.clone()));
                    }
                }
                None => fields.push(field.clone()),
            }
        }
        for field in &mut fields {
            let in_both = left.fields.iter().any(|f| self.same_name(&f.name, &field.name))
                && right.fields.iter().any(|f| self.same_name(&f.name, &field.name));
            field.nullable = field.nullable || !in_both;
        }
        fields
    }

    fn struct_as(&self, value: TypedExpr, fields: &[firesteel_plan::StructField]) -> Result<TypedExpr> {
        let DataType::Struct(own) = value.data_type.clone() else { return Ok(value) };
        let mut arguments = vec![];
        for field in fields {
            arguments.push(TypedExpr::string(field.name.clone()));
            let known = own.fields.iter().find(|f| self.same_name(&f.name, &field.name));
            arguments.push(match known {
                None => TypedExpr::null(field.data_type.clone()),
                Some(known) => {
                    let key = TypedExpr::string(known.name.clone());
                    let inner = firesteel_functions::structs::extract_value(value.clone(), key, &self.eval)?;
                    match &field.data_type {
                        DataType::Struct(nested) => self.struct_as(inner, &nested.fields)?,
                        _ => inner,
                    }
                }
            });
        }
        let built = self.builtin("named_struct", arguments)?;
        if !value.nullable {
            return Ok(built);
        }
        let is_null = self.builtin("isnull", vec![value])?;
        let null = TypedExpr::null(built.data_type.clone());
        self.builtin("if", vec![is_null, null, built])
    }

    fn check_unique(&self, side: &Resolved) -> Result<()> {
        for (index, attribute) in side.output.iter().enumerate() {
            if side.output[..index].iter().any(|a| self.same_name(&a.name, &attribute.name)) {
                return Err(SparkError::new(
                    "COLUMN_ALREADY_EXISTS",
                    [("columnName", format!("`{}`", attribute.name.to_lowercase()))],
                ));
            }
        }
        Ok(())
    }
}

fn select(side: Resolved, columns: Vec<(TypedExpr, Attribute)>) -> Result<Resolved> {
    let expressions = columns.iter().map(|(typed, a)| match crate::expr::plain_column(&typed.expr) {
        Some(id) if id == a.id => typed.expr.clone(),
        _ => typed.expr.clone().alias(&a.id),
    });
    let plan = project(side.plan.clone(), expressions.collect())?;
    let output = columns.into_iter().map(|(_, a)| a).collect();
    Ok(Resolved::new(plan, output).with_plan_outputs_of(&[&side]))
}

/// Adds `row_number() OVER (PARTITION BY all columns)`.
fn number_equals(
    plan: LogicalPlan,
    columns: &[Attribute],
    eval: &Arc<EvalContext>,
) -> Result<(LogicalPlan, TypedExpr)> {
    let id = fresh_id("_n");
    let keys = columns.iter().map(|column| keys::partition_key(&column.typed(), eval)).collect();
    let plan = row_number(plan, &id, keys, vec![])?;
    let column = datafusion::logical_expr::cast(
        DfExpr::Column(datafusion::common::Column::from_name(&id)),
        arrow::datatypes::DataType::Int64,
    );
    Ok((plan, TypedExpr::new(column, DataType::Long, false, id)))
}

/// Adds the column `id`: `row_number()`, an unsigned number from 1.
pub(crate) fn row_number(
    plan: LogicalPlan,
    id: &str,
    partition_by: Vec<DfExpr>,
    order_by: Vec<datafusion::logical_expr::SortExpr>,
) -> Result<LogicalPlan> {
    let function = WindowFunctionDefinition::WindowUDF(datafusion::functions_window::row_number::row_number_udwf());
    let mut call = WindowFunction::new(function, vec![]);
    call.params.partition_by = partition_by;
    call.params.order_by = order_by;
    call.params.window_frame = datafusion::logical_expr::WindowFrame::new_bounds(
        datafusion::logical_expr::WindowFrameUnits::Rows,
        datafusion::logical_expr::WindowFrameBound::Preceding(datafusion::common::ScalarValue::UInt64(None)),
        datafusion::logical_expr::WindowFrameBound::CurrentRow,
    );
    super::window::window_plan(plan, vec![DfExpr::from(call).alias(id)])
}

/// A UNION ALL with one more input: a chain of a thousand is one operator, not a thousand levels of them. None where the
/// left is no such union, or the right changes its types.
fn lengthened(left: &Resolved, right: &Resolved) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Union(union) = &left.plan else { return Ok(None) };
    let names_agree = union.schema.fields().len() == left.output.len()
        && union.schema.fields().iter().zip(&left.output).all(|(field, attribute)| *field.name() == attribute.id);
    let fits = |(l, r): (&Attribute, &Attribute)| {
        (l.nullable || !r.nullable) && merge_nullability(&l.data_type, &r.data_type) == l.data_type
    };
    if !names_agree || !left.output.iter().zip(&right.output).all(fits) {
        return Ok(None);
    }
    let columns = right.output.iter().zip(&left.output).map(|(from, to)| from.column().alias(&to.id)).collect();
    let mut inputs = union.inputs.clone();
    inputs.push(Arc::new(project(right.plan.clone(), columns)?));
    Ok(Some(LogicalPlan::Union(Union { inputs, schema: Arc::clone(&union.schema) })))
}

pub(crate) fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::Array(element, _) => has_map(element),
        DataType::Struct(fields) => fields.fields.iter().any(|f| has_map(&f.data_type)),
        _ => false,
    }
}

/// Nested values may be NULL if they may be so on either side.
fn merge_nullability(left: &DataType, right: &DataType) -> DataType {
    match (left, right) {
        (DataType::Array(a, x), DataType::Array(b, y)) => DataType::array(merge_nullability(a, b), *x || *y),
        (DataType::Map(k, a, x), DataType::Map(l, b, y)) => {
            DataType::map(merge_nullability(k, l), merge_nullability(a, b), *x || *y)
        }
        (DataType::Struct(a), DataType::Struct(b)) if a.fields.len() == b.fields.len() => DataType::structure(
            a.fields
                .iter()
                .zip(b.fields.iter())
                .map(|(x, y)| {
                    let mut field = x.clone();
                    field.nullable = x.nullable || y.nullable;
                    field.data_type = merge_nullability(&x.data_type, &y.data_type);
                    field
                })
                .collect(),
        ),
        _ => left.clone(),
    }
}

fn ordinal_word(index: usize) -> String {
    const WORDS: [&str; 10] =
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    WORDS.get(index).map_or_else(|| format!("{}th", index + 1), |w| w.to_string())
}
