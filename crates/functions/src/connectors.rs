//! Functions that Spark has in packages of their own, which a session has to load: Avro and Protocol Buffers. They answer
//! as Spark does without the package.
use firesteel_plan::{Result, SparkError};

use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};

fn not_loaded(condition: &str, name: &str) -> Result<Built> {
    Err(SparkError::new(condition, [("functionName", name.to_uppercase())]))
}

fn avro(context: &BuildContext<'_>, _: Arguments<'_>) -> Result<Built> {
    not_loaded("AVRO_NOT_LOADED_SQL_FUNCTIONS_UNUSABLE", context.called_as)
}

fn protobuf(context: &BuildContext<'_>, _: Arguments<'_>) -> Result<Built> {
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
