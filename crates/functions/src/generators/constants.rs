//! Table functions without arguments: the keywords of SQL and the collations there are.
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use firesteel_plan::{DataType, Result, SparkError, StructField};

use super::{GROUP, array_of, generator, row_fields};
use crate::collation::{LOCALES, Parts};
use crate::nested::{list_array, struct_array};
use crate::registry::{Arguments, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{Kernel, ScalarArgs, SparkScalar};

/// Version of ICU whose rules the collations have.
const ICU_VERSION: &str = "78.3.0.0";

/// One list of all rows.
fn table(args: &ScalarArgs<'_>, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let values = struct_array(&row_fields(args)?, columns, None, rows)?;
    list_array(args.return_type, OffsetBuffer::from_lengths([rows]), values, None)
}

fn build(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    kernel: Kernel,
    columns: Vec<(String, DataType, bool)>,
) -> Result<Built> {
    arguments.expect(context.called_as, 0, 0)?;
    let rows = SparkScalar::call(name, kernel, vec![], array_of(&columns), false, context.eval);
    generator(context, rows.build(), columns, false)
}

fn keywords(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let enforced = args.context.flag("spark.sql.ansi.enforceReservedKeywords", false);
    let all = firesteel_sql::keywords();
    let words = StringArray::from_iter_values(all.iter().map(|(word, _)| word));
    let reserved: BooleanArray = all.iter().map(|(_, reserved)| Some(enforced && *reserved)).collect();
    table(args, &[Arc::new(words), Arc::new(reserved)], all.len())
}

fn build_keywords(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let columns =
        vec![("keyword".to_string(), DataType::STRING, false), ("reserved".to_string(), DataType::Boolean, false)];
    build(context, arguments, "sql_keywords", keywords, columns)
}

fn collations(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let all = Parts::all();
    let column =
        |of: &dyn Fn(&Parts) -> Option<String>| Arc::new(all.iter().map(of).collect::<StringArray>()) as ArrayRef;
    let place = |parts: &Parts| LOCALES.iter().find(|locale| locale.0 == parts.base);
    let some = |text: &str| Some(text.to_string()).filter(|text| !text.is_empty());
    let sensitivity =
        |what: &str, ignored: bool| Some(format!("{what}_{}", if ignored { "INSENSITIVE" } else { "SENSITIVE" }));
    // Case is ignored by the plain lower-case order as well.
    let ignores_case = |parts: &Parts| parts.case_insensitive || parts.base == "UTF8_LCASE";
    let columns = [
        column(&|_| some("SYSTEM")),
        column(&|_| some("BUILTIN")),
        column(&|parts| Some(parts.name())),
        column(&|parts| place(parts).and_then(|locale| some(locale.2))),
        column(&|parts| place(parts).and_then(|locale| some(locale.3))),
        column(&|parts| sensitivity("ACCENT", parts.accent_insensitive)),
        column(&|parts| sensitivity("CASE", ignores_case(parts))),
        column(&|parts| some(if parts.trims { "RTRIM" } else { "NO_PAD" })),
        column(&|parts| some(ICU_VERSION).filter(|_| !parts.base.starts_with("UTF8"))),
    ];
    table(args, &columns, all.len())
}

const COLLATION_COLUMNS: &[(&str, bool)] = &[
    ("CATALOG", false),
    ("SCHEMA", false),
    ("NAME", false),
    ("LANGUAGE", true),
    ("COUNTRY", true),
    ("ACCENT_SENSITIVITY", false),
    ("CASE_SENSITIVITY", false),
    ("PAD_ATTRIBUTE", false),
    ("ICU_VERSION", true),
];

fn build_collations(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let columns = COLLATION_COLUMNS.iter().map(|(name, nullable)| (name.to_string(), DataType::STRING, *nullable));
    build(context, arguments, "collations", collations, columns.collect())
}

fn no_rows(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let columns: Vec<ArrayRef> = row_fields(args)?.iter().map(|field| new_empty_array(field.data_type())).collect();
    table(args, &columns, 0)
}

/// No Python worker has written a log: none is run here.
fn build_worker_logs(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    const ENABLED: &str = "spark.sql.pyspark.worker.logging.enabled";
    if !context.eval.flag(ENABLED, false) {
        let parameters = [("featureName", "Python Worker Logging"), ("configKey", ENABLED), ("configValue", "true")];
        return Err(SparkError::new("FEATURE_NOT_ENABLED", parameters));
    }
    let text = |name: &str| StructField::new(name, DataType::STRING, true);
    let frame = DataType::structure(vec![text("file"), text("line"), text("name"), text("code")]);
    let exception = DataType::structure(vec![
        text("class"),
        text("msg"),
        StructField::new("stacktrace", DataType::array(frame, true), true),
    ]);
    let columns = [
        ("ts", DataType::Timestamp),
        ("level", DataType::STRING),
        ("msg", DataType::STRING),
        ("context", DataType::map(DataType::STRING, DataType::STRING, true)),
        ("exception", exception),
        ("logger", DataType::STRING),
    ];
    let columns = columns.into_iter().map(|(name, data_type)| (name.to_string(), data_type, true)).collect();
    build(context, arguments, "python_worker_logs", no_rows, columns)
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "sql_keywords",
        GROUP,
        "3.5.0",
        build_keywords,
        "sql_keywords() - The keywords of SQL, and whether they are reserved.",
        &[("SELECT * FROM sql_keywords() LIMIT 1", "ADD\tfalse")],
    )
    .with_kind(FunctionKind::Generator),
    Function::custom(
        "collations",
        GROUP,
        "4.0.0",
        build_collations,
        "collations() - The collations of text, and what they tell apart.",
        &[("SELECT NAME FROM collations() WHERE NAME = 'UTF8_BINARY'", "UTF8_BINARY")],
    )
    .with_kind(FunctionKind::Generator),
    Function::custom(
        "python_worker_logs",
        GROUP,
        "4.1.0",
        build_worker_logs,
        "python_worker_logs() - What Python workers have logged.",
        &[],
    )
    .with_kind(FunctionKind::Generator),
];
