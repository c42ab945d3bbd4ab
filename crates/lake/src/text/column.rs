//! The schema of records that stand in a column of strings (`spark.read.json(df)`).
use arrow::array::{ArrayRef, AsArray};
use firesteel_functions::text_formats::csv::{CsvInference, CsvOptions, Tokenizer, Tokens, column_names};
use firesteel_functions::text_formats::json::{JsonInference, JsonOptions};
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use super::csv_infer::Sample;
use crate::conf::Conf;
use crate::options::SourceOptions;

/// Reads over the records once. `format` is `json` or `csv`.
pub fn infer_records(format: &str, columns: &[ArrayRef], options: &SourceOptions, conf: &Conf) -> Result<StructType> {
    let corrupt = conf.get("spark.sql.columnNameOfCorruptRecord");
    let records = columns.iter().filter_map(|column| column.as_string_opt::<i32>()).flatten().flatten();
    let sample = Sample::new(options.number("samplingRatio")?.unwrap_or(1.0));
    match format {
        "json" => json(records, sample, JsonOptions::new(options, conf.format_session(), corrupt)?),
        "csv" => {
            let options = CsvOptions::new(options, conf.format_session(), corrupt)?;
            Ok(csv(records, sample, &options, conf.case_sensitive()))
        }
        other => Err(SparkError::unsupported(format!("inferring the schema of {other} records: give a schema"))),
    }
}

fn json<'a>(records: impl Iterator<Item = &'a str>, mut sample: Sample, options: JsonOptions) -> Result<StructType> {
    let mut inference = JsonInference::new(options);
    for record in records {
        if sample.takes() {
            inference.add(record)?;
        }
    }
    Ok(inference.finish())
}

/// The first record names the columns; with `header` it is no record itself.
fn csv<'a>(
    mut records: impl Iterator<Item = &'a str>,
    mut sample: Sample,
    options: &CsvOptions,
    case_sensitive: bool,
) -> StructType {
    let tokenizer = Tokenizer::new(options);
    let mut tokens = Tokens::default();
    let Some(first) = records.find(|record| tokenizer.line(record, &mut tokens).is_ok()) else {
        return StructType::default();
    };
    let names = column_names(&tokens, options, case_sensitive);
    let mut types = vec![DataType::STRING; names.len()];
    if options.infer_schema {
        let mut inference = CsvInference::new(options, names.len());
        for record in std::iter::once(first).chain(records).filter(|record| !(options.header && *record == first)) {
            if sample.takes() && tokenizer.line(record, &mut tokens).is_ok() {
                inference.add(&tokens);
            }
        }
        types = inference.finish();
    }
    StructType::new(names.into_iter().zip(types).map(|(name, t)| StructField::new(name, t, true)).collect())
}
