//! The formats: one trait, one table of names.
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use firesteel_plan::{DataType, Result, SparkError, StructType, quote_identifier};
use firesteel_storage::{FileStatus, FileSystem};

use crate::conf::Conf;
use crate::options::SourceOptions;
use crate::parquet::{RowGroups, StoredColumns};
use crate::request::WriteRequest;
use crate::scan::source::Tolerance;
use crate::write::WriterFactory;

/// A file format with the options of one read or write.
#[async_trait]
pub(crate) trait Format: Send + Sync + Debug {
    /// The schema of the data columns. `None`: the files do not say (there is none, or all are empty).
    async fn infer_schema(&self, input: &InferInput<'_>) -> Result<Option<StructType>>;

    /// Refuses a schema that the format cannot read into (corrupt record columns, a fixed schema).
    fn check_read_schema(&self, _schema: &StructType) -> Result<()> {
        Ok(())
    }

    /// Whether the format can hold a type.
    fn supports(&self, data_type: &DataType) -> bool;

    /// Whether tasks may read parts of the file.
    fn is_splittable(&self, file: &FileStatus) -> bool;

    /// What reads the files. `schema` has the Spark types of the table schema's file columns.
    fn source(
        &self,
        schema: &StructType,
        table_schema: TableSchema,
        file_system: &Arc<dyn FileSystem>,
        session: &dyn Session,
    ) -> Result<Arc<dyn FileSource>>;

    /// Looks at the files `kept` before they are read: gives those without statistics theirs, if they are to be had, and
    /// answers the files that can be read.
    async fn prepare(
        &self,
        _file_system: &Arc<dyn FileSystem>,
        _files: &mut [PartitionedFile],
        kept: Vec<usize>,
        _table_schema: &TableSchema,
        _session: &dyn Session,
    ) -> Vec<usize> {
        kept
    }

    /// The parts of a file, where the format knows what is true of each; `None` where it does not.
    async fn row_groups(
        &self,
        _file_system: &Arc<dyn FileSystem>,
        _file: &PartitionedFile,
        _table_schema: &TableSchema,
        _session: &dyn Session,
    ) -> Option<RowGroups> {
        None
    }

    /// Fits the columns that the query asks for to those of a file; `None` where `source` does that itself. `place` names
    /// the file or files in errors. `stored`: how the files call the same columns, where that is not as the table does.
    fn expr_adapter(
        &self,
        _place: &str,
        _stored: Option<StoredColumns>,
    ) -> Option<Arc<dyn PhysicalExprAdapterFactory>> {
        None
    }

    /// Whether filters can skip parts of files, so that they are worth pushing down.
    fn prunes(&self) -> bool {
        false
    }

    /// What writes files of rows of `schema` (partition columns removed).
    fn writer(&self, schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>>;
}

/// What schema inference looks at.
pub(crate) struct InferInput<'a> {
    pub file_system: &'a Arc<dyn FileSystem>,
    pub files: Vec<&'a FileStatus>,
    pub conf: &'a Conf,
}

type Make = fn(&SourceOptions, &Conf) -> Result<Arc<dyn Format>>;

struct Entry {
    name: &'static str,
    /// As Spark shows it in errors.
    display: &'static str,
    /// Class names that mean the same.
    classes: &'static [&'static str],
    make: Make,
}

static FORMATS: &[Entry] = &[
    Entry {
        name: "parquet",
        display: "Parquet",
        classes: &[
            "org.apache.spark.sql.parquet",
            "org.apache.spark.sql.parquet.DefaultSource",
            "org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat",
        ],
        make: crate::parquet::make,
    },
    Entry {
        name: "csv",
        display: "CSV",
        classes: &[
            "org.apache.spark.sql.csv",
            "com.databricks.spark.csv",
            "org.apache.spark.sql.execution.datasources.csv.CSVFileFormat",
        ],
        make: crate::text::csv::make,
    },
    Entry {
        name: "json",
        display: "JSON",
        classes: &[
            "org.apache.spark.sql.json",
            "org.apache.spark.sql.json.DefaultSource",
            "org.apache.spark.sql.execution.datasources.json.JsonFileFormat",
        ],
        make: crate::text::json::make,
    },
    Entry {
        name: "orc",
        display: "ORC",
        classes: &["org.apache.spark.sql.hive.orc", "org.apache.spark.sql.execution.datasources.orc.OrcFileFormat"],
        make: crate::orc::make,
    },
    Entry {
        name: "avro",
        display: "Avro",
        classes: &["com.databricks.spark.avro", "org.apache.spark.sql.avro.AvroFileFormat"],
        make: crate::avro::make,
    },
    Entry {
        name: "text",
        display: "Text",
        classes: &["org.apache.spark.sql.execution.datasources.text.TextFileFormat"],
        make: crate::text::plain::make,
    },
    Entry {
        name: "binaryFile",
        display: "binaryFile",
        classes: &["org.apache.spark.sql.execution.datasources.binaryfile.BinaryFileFormat"],
        make: crate::text::binary_file::make,
    },
];

fn entry(name: &str) -> Option<&'static Entry> {
    FORMATS.iter().find(|entry| entry.name.eq_ignore_ascii_case(name) || entry.classes.contains(&name))
}

/// Whether a name (short or class) is a file format of this crate.
pub fn is_file_format(name: &str) -> bool {
    entry(name).is_some()
}

/// The short name of a format: `parquet`; what is unknown stays as it is.
pub fn short_name(name: &str) -> &str {
    entry(name).map_or(name, |entry| entry.name)
}

/// The name as Spark shows it in errors: `Parquet`, `CSV`.
pub fn display_name(name: &str) -> &str {
    entry(name).map_or(name, |entry| entry.display)
}

/// The format of a request, its options checked.
pub(crate) fn make(name: &str, options: &SourceOptions, conf: &Conf) -> Result<Arc<dyn Format>> {
    match entry(name) {
        Some(entry) => (entry.make)(options, conf),
        None => Err(SparkError::new("DATA_SOURCE_NOT_FOUND", [("provider", name)])),
    }
}

/// `ignoreMissingFiles` and `ignoreCorruptFiles`: the option, else the setting.
pub(crate) fn tolerance(options: &SourceOptions, conf: &Conf) -> Result<Tolerance> {
    let flag = |key: &str| options.flag(key, conf.flag(&format!("spark.sql.files.{key}"), false)?);
    Ok(Tolerance { ignore_missing: flag("ignoreMissingFiles")?, ignore_corrupt: flag("ignoreCorruptFiles")? })
}

/// Refuses columns of types that the format does not have.
pub(crate) fn check_types(format: &dyn Format, name: &str, schema: &StructType) -> Result<()> {
    match schema.fields.iter().find(|field| !format.supports(&field.data_type)) {
        None => Ok(()),
        Some(field) => Err(SparkError::new(
            "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE",
            [
                ("columnName", quote_identifier(&field.name)),
                ("columnType", format!("\"{}\"", field.data_type.sql())),
                ("format", display_name(name).to_string()),
            ],
        )),
    }
}

/// Refuses two columns of one name, by the session's rule for case.
pub(crate) fn check_duplicates(schema: &StructType, conf: &Conf) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for field in schema.fields.iter() {
        let name = if conf.case_sensitive() { field.name.clone() } else { field.name.to_lowercase() };
        if !seen.insert(name.clone()) {
            return Err(SparkError::new("COLUMN_ALREADY_EXISTS", [("columnName", quote_identifier(&name))]));
        }
    }
    Ok(())
}
