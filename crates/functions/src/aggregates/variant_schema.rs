//! `schema_of_variant_agg`: the schema that fits all variants of a group.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result, SparkError};

use super::buffered::{accumulator as buffer, kernel};
use super::call::AggregateBuilder;
use super::udaf::AggregateCall;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::signature::Accept;
use crate::variant::decode::Variant;
use crate::variant::schema;

fn accumulator(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    buffer(call, true, finish)
}

fn finish(_: &AggregateCall, columns: &[ArrayRef]) -> Result<ScalarValue> {
    let mut found = DataType::Null;
    if let Some(parts) = columns.first().and_then(|c| c.as_struct_opt()) {
        let (values, metadata) = (parts.column(0).as_binary_opt::<i32>(), parts.column(1).as_binary_opt::<i32>());
        let (Some(values), Some(metadata)) = (values, metadata) else {
            return Err(SparkError::internal("a variant is two binaries"));
        };
        for row in (0..parts.len()).filter(|row| parts.is_valid(*row)) {
            let variant = Variant::new(values.value(row), metadata.value(row))?;
            found = schema::merge(&found, &schema::type_of(&variant)?);
        }
    }
    Ok(ScalarValue::Utf8(Some(schema::text(&found))))
}

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    builder.accept(&[Accept::Variant])?;
    builder.finish("schema_of_variant_agg", kernel(accumulator), DataType::STRING, false, vec![], vec![])
}

pub static FUNCTIONS: &[Function] = &[Function {
    name: "schema_of_variant_agg",
    aliases: &[],
    kind: FunctionKind::Aggregate,
    group: "variant_funcs",
    parameters: &["v"],
    build: Build::Custom(build),
    usage: "schema_of_variant_agg(v) - The schema that fits all variants of a group.",
    examples: &[("SELECT schema_of_variant_agg(parse_json(j)) FROM VALUES ('1'), ('2') t(j)", "BIGINT")],
    since: "4.0.0",
}];
