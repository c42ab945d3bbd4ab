//! `child[extraction]` and `child.field`: elements of arrays, values of maps, fields of structs, and fields of the
//! structs in an array.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use datafusion::logical_expr::Expr;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use super::access::array_element_nullable;
use super::cast_to;
use crate::mismatch::{self, sql_expr};
use crate::nested::{Gather, Lists, list_array, with_parent_nulls};
use crate::ordering::Order;
use crate::registry::BuildContext;
use crate::scalar::{ScalarArgs, SparkScalar, as_spark_scalar};
use crate::typed::TypedExpr;
use crate::types;

/// Resolves `child[extraction]`; a field name is a string literal.
/// Errors as Spark's analyzer: `FIELD_NOT_FOUND`, `AMBIGUOUS_REFERENCE_TO_FIELDS`, `INVALID_EXTRACT_FIELD_TYPE`,
/// `INVALID_EXTRACT_BASE_FIELD_TYPE`, `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE`.
pub fn extract_value(context: &BuildContext<'_>, child: TypedExpr, extraction: TypedExpr) -> Result<TypedExpr> {
    let name = extraction.as_string_literal().map(str::to_string);
    match (child.data_type.clone(), name) {
        (DataType::Struct(fields), Some(name)) => {
            let index = field_index(context, &fields, &name)?;
            Ok(struct_field(context, child, &fields, index, &name))
        }
        (DataType::Struct(_), None) => {
            Err(SparkError::new("INVALID_EXTRACT_FIELD_TYPE", [("extraction", sql_expr(&extraction.sql))]))
        }
        (DataType::Array(element, contains_null), Some(name)) => match element.as_ref() {
            DataType::Struct(fields) => {
                let index = field_index(context, fields, &name)?;
                Ok(array_struct_field(context, child, fields, contains_null, index, &name))
            }
            _ => array_item(context, child, &element, contains_null, extraction),
        },
        (DataType::Array(element, contains_null), None) => {
            array_item(context, child, &element, contains_null, extraction)
        }
        (DataType::Map(key, value, _), _) => map_value(context, child, &key, &value, extraction),
        (DataType::Udt { sql_type, .. }, _) => {
            let child = TypedExpr { data_type: sql_type.as_ref().clone(), ..child };
            extract_value(context, child, extraction)
        }
        (other, _) => Err(SparkError::new(
            "INVALID_EXTRACT_BASE_FIELD_TYPE",
            [("base", sql_expr(&child.sql)), ("other", mismatch::sql_type(&other))],
        )),
    }
}

/// The field of that name, by the session's case sensitivity.
pub fn field_index(context: &BuildContext<'_>, fields: &StructType, name: &str) -> Result<usize> {
    let sensitive = context.eval.flag("spark.sql.caseSensitive", false);
    let same = |field: &&StructField| {
        if sensitive { field.name == name } else { field.name.to_lowercase() == name.to_lowercase() }
    };
    let found = fields.fields.iter().filter(same).count();
    match (found, fields.fields.iter().position(|f| same(&f))) {
        (1, Some(index)) => Ok(index),
        (0, _) | (_, None) => {
            let names: Vec<_> = fields.fields.iter().map(|f| format!("`{}`", f.name)).collect();
            let parameters = [("fieldName", format!("`{name}`")), ("fields", names.join(", "))];
            Err(SparkError::new("FIELD_NOT_FOUND", parameters).with_origin(context.origin.as_ref()))
        }
        (count, _) => {
            let parameters = [("field", format!("`{name}`")), ("count", count.to_string())];
            Err(SparkError::new("AMBIGUOUS_REFERENCE_TO_FIELDS", parameters).with_origin(context.origin.as_ref()))
        }
    }
}

/// Name of the function that [`struct_field`] calls.
const STRUCT_FIELD: &str = "get_struct_field";
const ARRAY_STRUCT_FIELD: &str = "get_array_struct_fields";

/// Field number `index` of a struct; `name` as the user wrote it.
pub fn struct_field(
    context: &BuildContext<'_>,
    child: TypedExpr,
    fields: &StructType,
    index: usize,
    name: &str,
) -> TypedExpr {
    let Some(field) = fields.fields.get(index) else { return TypedExpr::null(DataType::Null) };
    let (data_type, nullable) = (field.data_type.clone(), child.nullable || field.nullable);
    let sql = format!("{}.{name}", child.sql);
    let call = SparkScalar::call(STRUCT_FIELD, get_struct_field, vec![child], data_type, nullable, context.eval);
    call.options(vec![index.to_string(), name.to_string()]).origin(context.origin.clone()).build().with_sql(sql)
}

fn option_index(args: &ScalarArgs<'_>) -> Result<usize> {
    args.option(0).parse().map_err(|_| SparkError::internal("a field number was expected"))
}

fn get_struct_field(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let child = field_of(&array, option_index(args)?)?;
    crate::nested::conform(&child, &args.arrow_type())
}

fn field_of(array: &ArrayRef, index: usize) -> Result<ArrayRef> {
    match array.as_struct_opt() {
        Some(structs) if index < structs.num_columns() => with_parent_nulls(structs.column(index), structs.nulls()),
        _ => Err(SparkError::internal(format!("a struct with field {index} was expected"))),
    }
}

fn array_struct_field(
    context: &BuildContext<'_>,
    child: TypedExpr,
    fields: &StructType,
    contains_null: bool,
    index: usize,
    name: &str,
) -> TypedExpr {
    let Some(field) = fields.fields.get(index) else { return TypedExpr::null(DataType::Null) };
    let data_type = DataType::array(field.data_type.clone(), contains_null || field.nullable);
    let (sql, nullable) = (format!("{}.{name}", child.sql), child.nullable);
    let kernel = get_array_struct_fields;
    let call = SparkScalar::call(ARRAY_STRUCT_FIELD, kernel, vec![child], data_type, nullable, context.eval);
    call.options(vec![index.to_string(), name.to_string()]).origin(context.origin.clone()).build().with_sql(sql)
}

fn get_array_struct_fields(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let Some(list) = array.as_list_opt::<i32>() else {
        return Err(SparkError::internal("an array of structs was expected"));
    };
    let values = field_of(list.values(), option_index(args)?)?;
    list_array(args.return_type, list.offsets().clone(), values, list.nulls().cloned())
}

/// The name that a field access gives the column or struct field it becomes.
pub fn extracted_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::ScalarFunction(call) if [STRUCT_FIELD, ARRAY_STRUCT_FIELD].contains(&call.func.name()) => {
            as_spark_scalar(&call.func).and_then(|f| f.options.get(1)).map(String::as_str)
        }
        _ => None,
    }
}

fn array_item(
    context: &BuildContext<'_>,
    child: TypedExpr,
    element: &DataType,
    contains_null: bool,
    ordinal: TypedExpr,
) -> Result<TypedExpr> {
    let sql = format!("{}[{}]", child.sql, ordinal.sql);
    if !ordinal.data_type.is_integral() && ordinal.data_type != DataType::Null {
        return Err(mismatch::unexpected_input(&sql, 1, &ordinal, "\"INTEGRAL\""));
    }
    let nullable = array_element_nullable(&child, contains_null, &ordinal, context.eval.ansi, |ordinal, size| {
        usize::try_from(ordinal).ok().filter(|i| *i < size)
    });
    let nullable = nullable || child.nullable;
    let ordinal = cast_to(context, ordinal, &DataType::Long)?;
    let args = vec![child, ordinal];
    let call = SparkScalar::call("get_array_item", get_array_item, args, element.clone(), nullable, context.eval);
    Ok(call.origin(context.origin.clone()).build().with_sql(sql))
}

fn get_array_item(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    item_at(args, args.context.ansi)
}

/// The element at an index from 0. Out of range: `INVALID_ARRAY_INDEX`, or NULL unless `strict`.
pub(super) fn item_at(args: &ScalarArgs<'_>, strict: bool) -> Result<ArrayRef> {
    let (lists, ordinals) = (Lists::of(&args.array(0)?)?, args.array(1)?);
    let ordinals = ordinals.as_primitive::<Int64Type>();
    let mut out = Gather::new(vec![lists.values.clone()], &args.arrow_type(), args.rows)?;
    for row in 0..args.rows {
        let range = lists.range(row);
        if lists.is_null(row) || ordinals.is_null(row) {
            out.push_nulls(1);
            continue;
        }
        let ordinal = ordinals.value(row);
        match usize::try_from(ordinal).ok().filter(|i| *i < range.len()) {
            Some(index) => out.push(0, range.start + index),
            None if strict => {
                let parameters = [("indexValue", ordinal.to_string()), ("arraySize", range.len().to_string())];
                return Err(args.error(SparkError::new("INVALID_ARRAY_INDEX", parameters)));
            }
            None => out.push_nulls(1),
        }
    }
    out.finish_values()
}

fn map_value(
    context: &BuildContext<'_>,
    child: TypedExpr,
    key: &DataType,
    value: &DataType,
    wanted: TypedExpr,
) -> Result<TypedExpr> {
    let sql = format!("{}[{}]", child.sql, wanted.sql);
    if !key.is_orderable() {
        return Err(mismatch::not_orderable("getmapvalue", &sql, key));
    }
    let castable = wanted.data_type == DataType::Null
        || wanted.data_type.same_type(key)
        || (wanted.data_type.is_atomic() && key.is_atomic());
    if !castable {
        return Err(mismatch::unexpected_input(&sql, 1, &wanted, &mismatch::sql_type(key)));
    }
    let wanted = cast_to(context, wanted, key)?;
    let args = vec![child, wanted];
    let call = SparkScalar::call("get_map_value", value_of_key, args, value.clone(), true, context.eval);
    Ok(call.origin(context.origin.clone()).build().with_sql(sql))
}

/// The value of a key in a map, NULL where the map does not have it.
pub(super) fn value_of_key(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (maps, wanted) = (Lists::of(&args.array(0)?)?, args.array(1)?);
    let (keys, values) = maps.entries()?;
    let order = Order::of(&args.arg_types[1])?;
    let (keys, wanted_keys) = (order.keys(&keys)?, order.keys(&wanted)?);
    let mut out = Gather::new(vec![values], &types::to_arrow(args.return_type), args.rows)?;
    for row in 0..args.rows {
        let found =
            if wanted.is_null(row) { None } else { maps.range(row).find(|i| keys.row(*i) == wanted_keys.row(row)) };
        match found {
            Some(index) => out.push(0, index),
            None => out.push_nulls(1),
        }
    }
    out.finish_values()
}
