//! Tables in Hive's formats (`STORED AS`): a data source reads and writes their files, and they remember Hive's class.
use firesteel_catalog::Table;
use firesteel_plan::statement::HiveFormat;
use firesteel_plan::{DataType, Result, SparkError};

/// One of Hive's formats.
struct Format {
    stored_as: &'static str,
    /// The data source that reads and writes it.
    provider: &'static str,
    serde: &'static str,
    input_format: &'static str,
    output_format: &'static str,
}

static FORMATS: &[Format] = &[
    Format {
        stored_as: "textfile",
        provider: "text",
        serde: "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        input_format: "org.apache.hadoop.mapred.TextInputFormat",
        output_format: "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    },
    Format {
        stored_as: "parquet",
        provider: "parquet",
        serde: "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        input_format: "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        output_format: "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    },
    Format {
        stored_as: "orc",
        provider: "orc",
        serde: "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
        input_format: "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
        output_format: "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
    },
    Format {
        stored_as: "avro",
        provider: "avro",
        serde: "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
        input_format: "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat",
        output_format: "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat",
    },
];

/// Gives the table the format of `STORED AS`.
pub fn apply(table: &mut Table, hive: &HiveFormat) -> Result<()> {
    let stored_as = hive.stored_as.as_deref().unwrap_or("textfile");
    let is_plain = hive.serde.is_none() && hive.row_format.is_empty();
    match FORMATS.iter().find(|format| is_plain && format.stored_as.eq_ignore_ascii_case(stored_as)) {
        Some(format) if format.provider != "text" || is_one_string(table) => {
            table.provider = Some(format.provider.into());
            table.serde_library = Some(format.serde.into());
            Ok(())
        }
        _ => Err(SparkError::new(
            "NOT_SUPPORTED_COMMAND_WITHOUT_HIVE_SUPPORT",
            [("cmd", "CREATE Hive TABLE (AS SELECT)")],
        )),
    }
}

/// Lines of text stand for one string; what separates several values is a matter of Hive's own reader.
fn is_one_string(table: &Table) -> bool {
    let schema = table.data_schema();
    schema.fields.len() <= 1 && schema.fields.iter().all(|field| field.data_type == DataType::STRING)
}

pub fn is_hive_format(table: &Table) -> bool {
    table.serde_library.is_some()
}

/// What DESCRIBE EXTENDED says of the format.
pub fn information(table: &Table) -> Vec<(&'static str, String)> {
    let Some(serde) = &table.serde_library else { return vec![] };
    let mut lines = vec![("Serde Library", serde.clone())];
    if let Some(format) = FORMATS.iter().find(|format| format.serde == serde) {
        lines.push(("InputFormat", format.input_format.into()));
        lines.push(("OutputFormat", format.output_format.into()));
    }
    lines
}
