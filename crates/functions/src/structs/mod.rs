//! `struct`, `named_struct`, and the field changes behind `withField` and `dropFields` ([`update_fields`]).
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType as ArrowType;
use datafusion::logical_expr::Expr;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use crate::arrays::extract::{extracted_name, field_index, struct_field};
use crate::arrays::kernel_call;
use crate::context::EvalContext;
use crate::fold::fold_string;
use crate::maps::build::needs_pairs;
use crate::mismatch::{self, sql_expr, sql_of};
use crate::nested::struct_array;
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;

const GROUP: &str = "struct_funcs";

/// The field name that an argument of `struct` brings: of an alias, a column, a field or a lambda variable (whose unique
/// name is the written one up to `#`). `None` for any other expression, which becomes `col1`, `col2` …
pub fn field_name(argument: &TypedExpr) -> Option<String> {
    match &argument.expr {
        Expr::Alias(alias) => Some(alias.name.clone()),
        Expr::Column(_) => Some(argument.sql.clone()),
        Expr::OuterReferenceColumn(_, column) => Some(written_name(&column.name).to_string()),
        Expr::LambdaVariable(variable) => Some(written_name(&variable.name).to_string()),
        other => extracted_name(other).map(str::to_string),
    }
}

/// The name that the user gave a lambda parameter, from its unique name.
pub fn written_name(unique: &str) -> &str {
    unique.split('#').next().unwrap_or(unique)
}

fn build_struct(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let fields = arguments.values.iter().enumerate().map(|(index, value)| {
        let name = field_name(value).unwrap_or_else(|| format!("col{}", index + 1));
        StructField::new(name, value.data_type.clone(), value.nullable)
    });
    let fields: Vec<StructField> = fields.collect();
    let sql = if context.is_operator {
        // Written `(a, b)`
        let pairs = fields.iter().zip(&arguments.values).map(|(f, v)| format!("{}, {}", f.name, v.sql));
        format!("named_struct({})", pairs.collect::<Vec<_>>().join(", "))
    } else {
        sql_of(context, &arguments.values)
    };
    let data_type = DataType::structure(fields);
    kernel_call(context, "struct", make_struct, arguments.values, data_type, false, sql)
}

fn build_named_struct(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let values = arguments.values;
    if !values.len().is_multiple_of(2) {
        return Err(needs_pairs(context.called_as, values.len()));
    }
    let names = || values.iter().step_by(2);
    let wrong: Vec<_> = names().filter(|n| !(n.is_foldable() && is_string_or_null(n))).collect();
    if !wrong.is_empty() {
        let inputs: Vec<_> = wrong.iter().map(|n| sql_expr(&n.sql)).collect();
        let parameters = [("inputExprs", format!("[{}]", inputs.join(", ")))];
        return Err(mismatch::mismatch("CREATE_NAMED_STRUCT_WITHOUT_FOLDABLE_STRING", &sql, parameters));
    }
    let mut fields = Vec::new();
    for pair in values.chunks_exact(2) {
        let Some(name) = fold_string(&pair[0])? else {
            let parameters = [("exprName", format!("[{}]", sql_expr(&pair[0].sql)))];
            return Err(mismatch::mismatch("UNEXPECTED_NULL", &sql, parameters));
        };
        fields.push(StructField::new(name, pair[1].data_type.clone(), pair[1].nullable));
    }
    let args = values.into_iter().skip(1).step_by(2).collect();
    kernel_call(context, "named_struct", make_struct, args, DataType::structure(fields), false, sql)
}

fn is_string_or_null(name: &TypedExpr) -> bool {
    name.data_type.is_string() || name.data_type == DataType::Null
}

fn make_struct(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let columns = (0..args.values.len()).map(|i| args.array(i)).collect::<Result<Vec<_>>>()?;
    match args.arrow_type() {
        ArrowType::Struct(fields) => struct_array(&fields, &columns, None, args.rows),
        other => Err(SparkError::internal(format!("a struct type was expected, not {other}"))),
    }
}

/// Resolves `child[extraction]` and `child.field` (a field name is a string literal); see [`crate::arrays::extract`].
pub fn extract_value(child: TypedExpr, extraction: TypedExpr, eval: &Arc<EvalContext>) -> Result<TypedExpr> {
    crate::arrays::extract::extract_value(&operator(eval), child, extraction)
}

/// What a call is made in that is written as an operator.
fn operator(eval: &Arc<EvalContext>) -> BuildContext<'_> {
    BuildContext { called_as: "extractvalue", eval, origin: None, is_operator: false }
}

/// One change of `update_fields`.
enum FieldChange {
    /// `withField(name, value)`: replaces fields of that name, or adds one at the end.
    Set(String, TypedExpr),
    /// `dropFields(name)`
    Drop(String),
}

/// Changes a field of a struct; `name` may lead into nested structs (`a.b.c`, already split).
/// The text shows as `update_fields(child, WithField(value))`.
/// Errors with `CANNOT_DROP_ALL_FIELDS` or `UNEXPECTED_INPUT_TYPE`.
pub fn update_fields(
    child: TypedExpr,
    path: &[String],
    value: Option<TypedExpr>,
    eval: &Arc<EvalContext>,
) -> Result<TypedExpr> {
    let context = &operator(eval);
    let operation = match &value {
        Some(value) => format!("WithField({})", value.sql),
        None => "dropfield()".to_string(),
    };
    let sql = format!("update_fields({}, {operation})", child.sql);
    match path {
        [] => Err(SparkError::internal("a field name was expected")),
        [name] => {
            let change = match value {
                Some(value) => FieldChange::Set(name.clone(), value),
                None => FieldChange::Drop(name.clone()),
            };
            change_field(context, child, change, sql)
        }
        [name, rest @ ..] => {
            let fields = struct_fields(&child, &sql)?;
            let index = field_index(context, &fields, name)?;
            let inner = struct_field(context, child.clone(), &fields, index, name);
            let inner = update_fields(inner, rest, value, eval)?;
            change_field(context, child, FieldChange::Set(name.clone(), inner), sql)
        }
    }
}

fn struct_fields(child: &TypedExpr, sql: &str) -> Result<StructType> {
    match &child.data_type {
        DataType::Struct(fields) => Ok(fields.clone()),
        _ => Err(mismatch::unexpected_input(sql, 0, child, "\"STRUCT\"")),
    }
}

/// Options of the kernel: for each output field, its number in the child, or `v` for the value.
fn change_field(context: &BuildContext<'_>, child: TypedExpr, change: FieldChange, sql: String) -> Result<TypedExpr> {
    let fields = struct_fields(&child, &sql)?;
    let sensitive = context.eval.flag("spark.sql.caseSensitive", false);
    let same = |a: &str, b: &str| if sensitive { a == b } else { a.to_lowercase() == b.to_lowercase() };
    let (mut out, mut picks) = (Vec::new(), Vec::new());
    let (name, value) = match change {
        FieldChange::Set(name, value) => (name, Some(value)),
        FieldChange::Drop(name) => (name, None),
    };
    let mut replaced = false;
    for (index, field) in fields.fields.iter().enumerate() {
        match (&value, same(&field.name, &name)) {
            (_, false) => {
                out.push(field.clone());
                picks.push(index.to_string());
            }
            (Some(value), true) => {
                out.push(StructField::new(name.as_str(), value.data_type.clone(), value.nullable));
                picks.push("v".to_string());
                replaced = true;
            }
            (None, true) => {}
        }
    }
    if let (Some(value), false) = (&value, replaced) {
        out.push(StructField::new(name.as_str(), value.data_type.clone(), value.nullable));
        picks.push("v".to_string());
    }
    if out.is_empty() {
        return Err(mismatch::mismatch("CANNOT_DROP_ALL_FIELDS", &sql, []));
    }
    let nullable = child.nullable;
    let args = std::iter::once(child).chain(value).collect();
    let call =
        SparkScalar::call("update_fields", change_kernel, args, DataType::structure(out), nullable, context.eval);
    Ok(call.options(picks).origin(context.origin.clone()).build().with_sql(sql))
}

fn change_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let (Some(source), ArrowType::Struct(fields)) = (array.as_struct_opt(), args.arrow_type()) else {
        return Err(SparkError::internal("a struct was expected"));
    };
    let columns = args.options.iter().map(|pick| match pick.parse::<usize>() {
        Ok(index) if index < source.num_columns() => Ok(source.column(index).clone()),
        _ => args.array(1),
    });
    struct_array(&fields, &columns.collect::<Result<Vec<_>>>()?, source.nulls().cloned(), args.rows)
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "struct",
        GROUP,
        "1.4.0",
        build_struct,
        "struct(col1, col2, ...) - Makes a struct; fields are named after the columns, or col1, col2 …",
        &[("struct(1, 2, 3)", "{\"col1\":1,\"col2\":2,\"col3\":3}")],
    ),
    Function::custom(
        "named_struct",
        GROUP,
        "1.5.0",
        build_named_struct,
        "named_struct(name1, val1, name2, val2, ...) - Makes a struct of the given names and values.",
        &[("named_struct('a', 1, 'b', 2, 'c', 3)", "{\"a\":1,\"b\":2,\"c\":3}")],
    ),
];
