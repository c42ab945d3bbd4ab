//! `map`, `map_from_arrays`, `map_from_entries`, `map_concat`, `str_to_map`.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use firesteel_plan::{DataType, Result, SparkError};

use super::{GROUP, MapBuilder};
use crate::arrays::{array_argument, cast_to, kernel_call};
use crate::coerce;
use crate::mismatch::{self, sql_of, sql_type};
use crate::nested::Lists;
use crate::regex::{self, JavaRegex};
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::ScalarArgs;
use crate::signature::Accept;
use crate::typed::TypedExpr;

/// `WRONG_NUM_ARGS` of a function that takes pairs.
pub(crate) fn needs_pairs(name: &str, count: usize) -> SparkError {
    SparkError::new(
        "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
        [
            ("functionName", format!("`{name}`")),
            ("expectedNum", "2n (n > 0)".to_string()),
            ("actualNum", count.to_string()),
            ("docroot", "https://spark.apache.org/docs/latest".to_string()),
        ],
    )
}

fn common_type<'a>(context: &BuildContext<'_>, values: impl Iterator<Item = &'a TypedExpr>) -> Option<DataType> {
    let mut types = values.map(|v| &v.data_type);
    types.try_fold(DataType::Null, |common, t| coerce::wider_type(&common, t, context.eval))
}

fn build_map(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let values = arguments.values;
    let sql = sql_of(context, &values);
    if !values.len().is_multiple_of(2) {
        return Err(needs_pairs(context.called_as, values.len()));
    }
    let diff = |kind, offset| {
        let types: Vec<_> = values.iter().skip(offset).step_by(2).map(|v| sql_type(&v.data_type)).collect();
        let parameters = [("functionName", "`map`".to_string()), ("dataType", format!("[{}]", types.join(", ")))];
        mismatch::mismatch(kind, &sql, parameters)
    };
    let key = common_type(context, values.iter().step_by(2)).ok_or_else(|| diff("CREATE_MAP_KEY_DIFF_TYPES", 0))?;
    let value =
        common_type(context, values.iter().skip(1).step_by(2)).ok_or_else(|| diff("CREATE_MAP_VALUE_DIFF_TYPES", 1))?;
    if holds_map(&key) {
        return Err(mismatch::mismatch("INVALID_MAP_KEY_TYPE", &sql, [("keyType", sql_type(&key))]));
    }
    let value_nullable = values.iter().skip(1).step_by(2).any(|v| v.nullable);
    let types = [&key, &value];
    let args = values.into_iter().enumerate().map(|(i, v)| cast_to(context, v, types[i % 2]));
    let args = args.collect::<Result<Vec<_>>>()?;
    let data_type = DataType::map(key, value, value_nullable);
    kernel_call(context, "map", map, args, data_type, false, sql)
}

/// Maps and variants cannot be keys, nor what holds one.
pub(crate) fn holds_map(key: &DataType) -> bool {
    match key {
        DataType::Map(..) | DataType::Variant => true,
        DataType::Array(element, _) => holds_map(element),
        DataType::Struct(fields) => fields.fields.iter().any(|f| holds_map(&f.data_type)),
        _ => false,
    }
}

fn map(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let arrays = (0..args.values.len()).map(|i| args.array(i)).collect::<Result<Vec<_>>>()?;
    let keys: Vec<_> = arrays.iter().step_by(2).cloned().collect();
    let values: Vec<_> = arrays.iter().skip(1).step_by(2).cloned().collect();
    let pairs = keys.len();
    let mut out = MapBuilder::new(args, keys, values)?;
    for row in 0..args.rows {
        for pair in 0..pairs {
            out.put((pair, row), (pair, row))?;
        }
        out.end_row(true)?;
    }
    out.finish()
}

fn build_from_arrays(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let (keys, values) = arguments.two(context.called_as)?;
    let (keys, values) = (array_argument(&sql, 0, keys)?, array_argument(&sql, 1, values)?);
    if holds_map(&keys.element) {
        return Err(mismatch::mismatch("INVALID_MAP_KEY_TYPE", &sql, [("keyType", sql_type(&keys.element))]));
    }
    let nullable = keys.expr.nullable || values.expr.nullable;
    let data_type = DataType::map(keys.element, values.element, values.contains_null);
    kernel_call(context, "map_from_arrays", from_arrays, vec![keys.expr, values.expr], data_type, nullable, sql)
}

fn from_arrays(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (keys, values) = (Lists::of(&args.array(0)?)?, Lists::of(&args.array(1)?)?);
    let mut out = MapBuilder::new(args, vec![Arc::clone(&keys.values)], vec![Arc::clone(&values.values)])?;
    for row in 0..args.rows {
        let is_null = keys.is_null(row) || values.is_null(row);
        if !is_null {
            if keys.size(row) != values.size(row) {
                let message = "The key array and the value array of a map need the same length.";
                return Err(args.error(SparkError::new("_LEGACY_ERROR_TEMP_2128", [("message", message)])));
            }
            for (key, value) in keys.range(row).zip(values.range(row)) {
                out.put((0, key), (0, value))?;
            }
        }
        out.end_row(!is_null)?;
    }
    out.finish()
}

fn build_from_entries(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let array = arguments.one(context.called_as)?;
    let fail = || mismatch::unexpected_input(&sql, 0, &array, "\"ARRAY\" of pair \"STRUCT\"");
    let (fields, contains_null) = match &array.data_type {
        DataType::Array(element, contains_null) => match element.as_ref() {
            DataType::Struct(fields) if fields.fields.len() == 2 => (fields.clone(), *contains_null),
            _ => return Err(fail()),
        },
        _ => return Err(fail()),
    };
    let (key, value) = (&fields.fields[0], &fields.fields[1]);
    if holds_map(&key.data_type) {
        return Err(mismatch::mismatch("INVALID_MAP_KEY_TYPE", &sql, [("keyType", sql_type(&key.data_type))]));
    }
    let nullable = array.nullable || contains_null;
    let data_type = DataType::map(key.data_type.clone(), value.data_type.clone(), value.nullable);
    kernel_call(context, "map_from_entries", from_entries, vec![array], data_type, nullable, sql)
}

fn from_entries(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let lists = Lists::of(&args.array(0)?)?;
    let Some(entries) = lists.values.as_struct_opt().filter(|s| s.num_columns() == 2) else {
        return Err(SparkError::internal("an array of entries was expected"));
    };
    let sources = (Arc::clone(entries.column(0)), Arc::clone(entries.column(1)));
    let mut out = MapBuilder::new(args, vec![sources.0], vec![sources.1])?;
    for row in 0..args.rows {
        let is_null = lists.is_null(row) || lists.range(row).any(|i| entries.is_null(i));
        for i in if is_null { 0..0 } else { lists.range(row) } {
            out.put((0, i), (0, i))?;
        }
        out.end_row(!is_null)?;
    }
    out.finish()
}

fn build_concat(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let values = arguments.values;
    let sql = sql_of(context, &values);
    let all_maps = values.iter().all(|v| matches!(v.data_type, DataType::Map(..) | DataType::Null));
    let fail = || {
        let types: Vec<_> = values.iter().map(|v| sql_type(&v.data_type)).collect();
        let parameters = |list: String| [("functionName", "`map_concat`".to_string()), ("dataType", list)];
        if all_maps {
            return mismatch::mismatch("DATA_DIFF_TYPES", &sql, parameters(format!("({})", types.join(" or "))));
        }
        mismatch::mismatch("MAP_CONCAT_DIFF_TYPES", &sql, parameters(format!("[{}]", types.join(", "))))
    };
    if !all_maps {
        return Err(fail());
    }
    let common = match common_type(context, values.iter()).ok_or_else(fail)? {
        DataType::Null => DataType::map(DataType::STRING, DataType::STRING, true),
        DataType::Map(key, value, _) => {
            let contains_null = values.iter().any(|v| !matches!(v.data_type, DataType::Map(_, _, false)));
            DataType::Map(key, value, contains_null)
        }
        other => other,
    };
    let nullable = values.iter().any(|v| v.nullable);
    let args = values.into_iter().map(|v| cast_to(context, v, &common)).collect::<Result<Vec<_>>>()?;
    kernel_call(context, "map_concat", concat, args, common, nullable, sql)
}

fn concat(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let maps = (0..args.values.len()).map(|i| Lists::of(&args.array(i)?)).collect::<Result<Vec<_>>>()?;
    let entries = maps.iter().map(Lists::entries).collect::<Result<Vec<_>>>()?;
    let (keys, values) = entries.into_iter().unzip();
    let mut out = MapBuilder::new(args, keys, values)?;
    for row in 0..args.rows {
        let is_null = maps.iter().any(|m| m.is_null(row));
        for (source, map) in maps.iter().enumerate().take(if is_null { 0 } else { maps.len() }) {
            for i in map.range(row) {
                out.put((source, i), (source, i))?;
            }
        }
        out.end_row(!is_null)?;
    }
    out.finish()
}

fn build_str_to_map(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 3)?;
    for default in [",", ":"].iter().skip(arguments.values.len().saturating_sub(1)) {
        arguments.values.push(TypedExpr::string(*default));
    }
    let sql = sql_of(context, &arguments.values);
    if let Some((index, wrong)) =
        arguments.values.iter().enumerate().find(|(_, v)| !v.data_type.is_string() && v.data_type != DataType::Null)
    {
        return Err(mismatch::unexpected_input(&sql, index, wrong, "\"STRING\""));
    }
    let args = coerce::arguments(&sql, &[Accept::String; 3], arguments.values, context)?;
    let nullable = args.iter().any(|a| a.nullable);
    let data_type = DataType::map(DataType::STRING, DataType::STRING, true);
    kernel_call(context, "str_to_map", str_to_map, args, data_type, nullable, sql)
}

/// Delimiters are regular expressions.
fn str_to_map(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let arrays = [args.array(0)?, args.array(1)?, args.array(2)?];
    let [Some(texts), Some(pairs), Some(separators)] = arrays.each_ref().map(|a| a.as_string_opt::<i32>()) else {
        return Err(SparkError::internal("str_to_map takes strings"));
    };
    let (mut keys, mut values, mut sizes) = (StringBuilder::new(), StringBuilder::new(), vec![]);
    for row in 0..args.rows {
        if texts.is_null(row) || pairs.is_null(row) || separators.is_null(row) {
            sizes.push(None);
            continue;
        }
        let mut size = 0;
        let (pair, separator) = (pattern(pairs.value(row))?, pattern(separators.value(row))?);
        for entry in split(&pair, texts.value(row), usize::MAX) {
            let mut parts = split(&separator, entry, 2).into_iter();
            keys.append_value(parts.next().unwrap_or(""));
            values.append_option(parts.next());
            size += 1;
        }
        sizes.push(Some(size));
    }
    let mut out = MapBuilder::new(args, vec![Arc::new(keys.finish())], vec![Arc::new(values.finish())])?;
    let mut next = 0;
    for size in sizes {
        for _ in 0..size.unwrap_or(0) {
            out.put((0, next), (0, next))?;
            next += 1;
        }
        out.end_row(size.is_some())?;
    }
    out.finish()
}

/// The parts of a text between matches; a match of no width at the beginning does not count, as in Java.
/// `limit`: at most that many parts.
fn split<'t>(pattern: &JavaRegex, text: &'t str, limit: usize) -> Vec<&'t str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for (from, to) in pattern.matches(text) {
        if parts.len() + 1 >= limit {
            break;
        }
        if to == 0 || (from == to && from >= text.len()) {
            continue;
        }
        parts.push(&text[start..from]);
        start = to;
    }
    parts.push(&text[start..]);
    parts
}

fn pattern(text: &str) -> Result<Arc<JavaRegex>> {
    regex::compile(text).map_err(|_| {
        let parameters = [
            ("parameter", "`regexp`".to_string()),
            ("functionName", "`str_to_map`".to_string()),
            ("value", format!("'{text}'")),
        ];
        SparkError::new("INVALID_PARAMETER_VALUE.PATTERN", parameters)
    })
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "map",
        GROUP,
        "2.0.0",
        build_map,
        "map(key0, value0, key1, value1, ...) - Makes a map of the given keys and values.",
        &[("map(1.0, '2', 3.0, '4')", "{1.0:\"2\",3.0:\"4\"}")],
    ),
    Function::custom(
        "map_from_arrays",
        GROUP,
        "2.4.0",
        build_from_arrays,
        "map_from_arrays(keys, values) - Makes a map of an array of keys and one of values.",
        &[("map_from_arrays(array(1.0, 3.0), array('2', '4'))", "{1.0:\"2\",3.0:\"4\"}")],
    ),
    Function::custom(
        "map_from_entries",
        GROUP,
        "2.4.0",
        build_from_entries,
        "map_from_entries(entries) - Makes a map of an array of structs of key and value.",
        &[("map_from_entries(array(struct(1, 'a'), struct(2, 'b')))", "{1:\"a\",2:\"b\"}")],
    ),
    Function::custom(
        "map_concat",
        GROUP,
        "2.4.0",
        build_concat,
        "map_concat(map, ...) - Returns a map with the entries of all maps.",
        &[("map_concat(map(1, 'a', 2, 'b'), map(3, 'c'))", "{1:\"a\",2:\"b\",3:\"c\"}")],
    ),
    Function::custom(
        "str_to_map",
        GROUP,
        "2.0.1",
        build_str_to_map,
        "str_to_map(text[, pairDelim[, keyValueDelim]]) - Splits text into a map; both delimiters are regular \
         expressions.",
        &[("str_to_map('a:1,b:2,c:3', ',', ':')", "{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}")],
    ),
];
