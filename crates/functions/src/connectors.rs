//! Functions that Spark has in packages of their own, which a session has to load: Avro and Protocol Buffers. They answer
//! as Spark does without the package.
use firesteel_plan::{DataType, Result, SparkError};

use crate::fold::fold_string;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::typed::TypedExpr;

fn not_loaded(condition: &str, name: &str) -> Result<Built> {
    Err(SparkError::new(condition, [("functionName", name.to_uppercase())]))
}

fn avro(context: &BuildContext<'_>, _: Arguments<'_>) -> Result<Built> {
    not_loaded("AVRO_NOT_LOADED_SQL_FUNCTIONS_UNUSABLE", context.called_as)
}

/// What Spark looks at before the package: the data of `to_protobuf`, the message's name and the descriptor file.
fn protobuf(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = context.called_as.to_lowercase();
    arguments.expect(&name, 2, 4)?;
    let mut values = arguments.values;
    values.resize_with(4, || TypedExpr::null(DataType::Null));
    let texts: Vec<&str> = values.iter().map(|v| v.sql.as_str()).collect();
    let sql = format!("{name}({})", texts.join(", "));
    let fail = |error: SparkError| Err(error.with_origin(context.origin.as_ref()));
    if name == "to_protobuf" && !matches!(values[0].data_type, DataType::Struct(_)) {
        let parameters = [("inputName", "data".to_string()), ("inputType", quote::sql_type(&values[0].data_type))];
        return fail(quote::mismatch("NON_STRUCT_TYPE", &sql, parameters));
    }
    if !(values[1].is_foldable() && values[1].data_type.is_string()) {
        let message = format!(
            "The second argument of the {} SQL function must be a constant string representing the Protobuf message name",
            name.to_uppercase()
        );
        return fail(quote::mismatch(
            "TYPE_CHECK_FAILURE_WITH_HINT",
            &sql,
            [("msg", message), ("hint", String::new())],
        ));
    }
    if values[2].data_type.is_string()
        && let Some(path) = fold_string(&values[2])?
        && !std::path::Path::new(&path).exists()
    {
        return fail(SparkError::new("PROTOBUF_DESCRIPTOR_FILE_NOT_FOUND", [("filePath", path)]));
    }
    not_loaded("PROTOBUF_NOT_LOADED_SQL_FUNCTIONS_UNUSABLE", context.called_as)
}

const fn entry(
    name: &'static str,
    parameters: &'static [&'static str],
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    usage: &'static str,
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "misc_funcs",
        parameters,
        build: Build::Custom(build),
        usage,
        examples: &[],
        since: "4.0.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "from_avro",
        &["data", "jsonFormatSchema", "options"],
        avro,
        "from_avro(data, jsonFormatSchema[, options]) - Reads binary Avro. Needs the Avro package.",
    ),
    entry(
        "to_avro",
        &["data", "jsonFormatSchema"],
        avro,
        "to_avro(data[, jsonFormatSchema]) - Writes binary Avro. Needs the Avro package.",
    ),
    entry(
        "schema_of_avro",
        &["jsonFormatSchema", "options"],
        avro,
        "schema_of_avro(jsonFormatSchema[, options]) - Returns an Avro schema in DDL. Needs the Avro package.",
    ),
    entry(
        "from_protobuf",
        &["data", "messageName", "descFilePath", "options"],
        protobuf,
        "from_protobuf(data, messageName[, descFilePath[, options]]) - Reads Protobuf. Needs the Protobuf package.",
    ),
    entry(
        "to_protobuf",
        &["data", "messageName", "descFilePath", "options"],
        protobuf,
        "to_protobuf(data, messageName[, descFilePath[, options]]) - Writes Protobuf. Needs the Protobuf package.",
    ),
];
