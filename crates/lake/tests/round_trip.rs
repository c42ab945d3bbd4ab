//! Rows written by the lake come back as they were, through DataFusion.
#![allow(clippy::unwrap_used, clippy::panic)]
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use datafusion::dataframe::DataFrame;
use datafusion::execution::context::SessionContext;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::prelude::{col, lit};
use firesteel_functions::types::from_arrow_fields;
use firesteel_lake::{Bucketing, ScanRequest, SourceOptions, WriteRequest, WriteSummary, scan, write};
use firesteel_plan::command::SaveMode;
use firesteel_plan::{Result, StructType};

/// A directory that is gone after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("firesteel-lake-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }
    fn files(&self, name: &str) -> Vec<String> {
        let mut found = vec![];
        let mut open = vec![self.0.join(name)];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { open.push(path) } else { found.push(path.to_str().unwrap().to_string()) }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn save(rows: RecordBatch, request: impl FnOnce(StructType) -> WriteRequest) -> Result<Option<WriteSummary>> {
    let context = SessionContext::new();
    let frame = context.read_batch(rows).unwrap();
    let schema = from_arrow_fields(frame.schema().as_arrow().fields()).unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    write(plan, context.task_ctx(), request(schema), std::future::pending()).await
}

fn request(format: &str, path: String, schema: StructType) -> WriteRequest {
    WriteRequest {
        format: format.into(),
        path,
        mode: SaveMode::ErrorIfExists,
        schema,
        partition_by: vec![],
        bucketing: None,
        options: SourceOptions::default(),
        static_partitions: vec![],
        moved_partitions: vec![],
        conf: firesteel_lake::Conf::default(),
        storage: firesteel_storage::Storage::default(),
    }
}

async fn load(
    format: &str,
    path: &str,
    options: &[(&str, &str)],
    query: impl FnOnce(DataFrame) -> datafusion::error::Result<DataFrame>,
) -> Result<String> {
    let request = ScanRequest {
        format: format.into(),
        paths: vec![path.into()],
        options: SourceOptions::new(options.iter().copied()),
        ..ScanRequest::default()
    };
    let scan = scan(request).await?;
    let context = SessionContext::new();
    let frame = query(context.read_table(scan.table()).unwrap()).unwrap();
    let batches = frame.collect().await.map_err(|e| {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&e);
        while let Some(current) = source {
            if let Some(spark) = current.downcast_ref::<firesteel_plan::SparkError>() {
                return spark.clone();
            }
            source = current.source();
        }
        panic!("{e}")
    })?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

fn rows() -> RecordBatch {
    batch(&[1, 2, 3], &[Some("a"), Some("b"), None], &[Some(1.5), None, Some(2.5)], &[Some(true), Some(false), None])
}

fn batch(id: &[i64], name: &[Option<&str>], x: &[Option<f64>], f: &[Option<bool>]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from(id.to_vec())) as ArrayRef, false),
        ("name", Arc::new(StringArray::from(name.to_vec())), true),
        ("x", Arc::new(Float64Array::from(x.to_vec())), true),
        ("f", Arc::new(BooleanArray::from(f.to_vec())), true),
    ])
    .unwrap()
}

#[tokio::test]
async fn parquet_keeps_rows_and_types() {
    let scratch = Scratch::new();
    let path = scratch.path("t");
    let summary = save(rows(), |schema| request("parquet", path.clone(), schema)).await.unwrap().unwrap();
    assert_eq!((summary.rows, summary.files), (3, 1));
    let query = |t: DataFrame| {
        t.filter(col("id").gt_eq(lit(2_i64)))?.select_columns(&["id", "name", "x", "f"])?.sort_by(vec![col("id")])
    };
    let text = load("parquet", &path, &[], query).await.unwrap();
    assert_eq!(
        text,
        "+----+------+-----+-------+\n| id | name | x   | f     |\n+----+------+-----+-------+\n\
         | 2  | b    |     | false |\n| 3  |      | 2.5 |       |\n+----+------+-----+-------+"
    );
    assert!(scratch.files("t").iter().any(|f| f.ends_with("_SUCCESS")));
    let again = save(rows(), |schema| request("parquet", path.clone(), schema)).await.unwrap_err();
    assert_eq!(again.condition(), "PATH_ALREADY_EXISTS");
}

#[tokio::test]
async fn partitions_are_written_found_and_pruned() {
    let scratch = Scratch::new();
    let path = scratch.path("p");
    let partitioned =
        |schema| WriteRequest { partition_by: vec!["name".into()], ..request("parquet", path.clone(), schema) };
    let summary = save(rows(), partitioned).await.unwrap().unwrap();
    assert_eq!((summary.files, summary.partitions.len()), (3, 3));
    assert!(scratch.files("p").iter().any(|f| f.contains("/name=__HIVE_DEFAULT_PARTITION__/part-00000-")));
    let query = |t: DataFrame| {
        let is_part = get_field(col("_metadata"), "file_name").like(lit("part-%")).alias("m");
        t.filter(col("name").eq(lit("b")))?.select(vec![col("id"), col("name"), is_part])
    };
    let text = load("parquet", &path, &[], query).await.unwrap();
    assert!(text.contains("| 2  | b    | true |"), "{text}");
    let dynamic = |schema| WriteRequest {
        mode: SaveMode::Overwrite,
        options: SourceOptions::new([("partitionOverwriteMode", "dynamic")]),
        ..partitioned(schema)
    };
    let more = batch(&[9], &[Some("b")], &[Some(1.5)], &[Some(true)]);
    save(more, dynamic).await.unwrap();
    let query = |t: DataFrame| t.select_columns(&["id"])?.sort_by(vec![col("id")]);
    let text = load("parquet", &path, &[], query).await.unwrap();
    assert!(text.contains("| 1  |\n| 3  |\n| 9  |"), "{text}");
}

#[tokio::test]
async fn buckets_and_limits_name_their_files() {
    let scratch = Scratch::new();
    let bucketing = Bucketing { num_buckets: 2, columns: vec!["id".into()], sort_columns: vec!["id".into()] };
    let path = scratch.path("b");
    save(rows(), |schema| WriteRequest { bucketing: Some(bucketing), ..request("parquet", path.clone(), schema) })
        .await
        .unwrap();
    assert!(scratch.files("b").iter().all(|f| f.ends_with("_SUCCESS") || f.contains("_0000")));
    let path = scratch.path("m");
    let options = SourceOptions::new([("maxRecordsPerFile", "1"), ("compression", "zstd")]);
    let summary =
        save(rows(), |schema| WriteRequest { options, ..request("parquet", path.clone(), schema) }).await.unwrap();
    assert_eq!(summary.unwrap().files, 3);
    assert!(scratch.files("m").iter().any(|f| f.ends_with("-c002.zstd.parquet")));
}

#[tokio::test]
async fn what_cannot_be_read_says_so() {
    let scratch = Scratch::new();
    let missing = load("parquet", &scratch.path("none"), &[], Ok).await.unwrap_err();
    assert_eq!(missing.condition(), "PATH_NOT_FOUND");
    let unknown = load("nosuch", &scratch.path(""), &[], Ok).await.unwrap_err();
    assert_eq!(unknown.condition(), "DATA_SOURCE_NOT_FOUND");
    std::fs::write(scratch.path("x.parquet"), "garbage").unwrap();
    let garbage = load("parquet", &scratch.path("x.parquet"), &[], Ok).await.unwrap_err();
    assert_eq!(garbage.condition(), "FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER");
    let empty = load("parquet", &scratch.path(""), &[("pathGlobFilter", "*.none")], Ok).await.unwrap_err();
    assert_eq!(empty.condition(), "UNABLE_TO_INFER_SCHEMA");
}
