//! The schema of CSV files.
use std::sync::Arc;

use arrow::datatypes::Schema;
use firesteel_functions::text_formats::csv::{CsvInference, Tokenizer, Tokens, column_names};
use firesteel_plan::{DataType, Result, StructField, StructType};
use firesteel_storage::FileStatus;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::LineReader;
use super::csv::CsvFiles;
use super::lines::ByteReader;
use crate::format::InferInput;
use crate::scan::source::{Counts, FilePart, Pruning, Tolerance};

/// Names from the first record of the first file that has one; types from all records, where the user wants that.
pub(super) async fn infer(
    files: &CsvFiles,
    sampling_ratio: f64,
    case_sensitive: bool,
    tolerance: Tolerance,
    input: &InferInput<'_>,
) -> Result<Option<StructType>> {
    if input.files.is_empty() {
        return Ok(None);
    }
    let tokenizer = Tokenizer::new(&files.csv);
    let mut state = State {
        files,
        tokenizer: &tokenizer,
        names: None,
        first: String::new(),
        inference: None,
        case_sensitive,
        sample: Sample::new(sampling_ratio),
        tokens: Tokens::default(),
    };
    for file in &input.files {
        let done = match state.file(input, file).await {
            Err(_) if tolerance.ignore_corrupt => continue,
            result => result?,
        };
        if done {
            break;
        }
    }
    let names = state.names.unwrap_or_default();
    let types = state.inference.map_or_else(|| vec![DataType::STRING; names.len()], CsvInference::finish);
    let field = |(name, data_type)| StructField::new(name, data_type, true);
    Ok(Some(StructType::new(names.into_iter().zip(types).map(|(n, t): (String, DataType)| field((n, t))).collect())))
}

/// Picks records for inference: the same ones for the same data.
pub(super) struct Sample {
    ratio: f64,
    random: StdRng,
}

impl Sample {
    pub(super) fn new(ratio: f64) -> Self {
        Self { ratio, random: StdRng::seed_from_u64(1) }
    }
    pub(super) fn takes(&mut self) -> bool {
        self.ratio >= 1.0 || self.random.random::<f64>() < self.ratio
    }
}

struct State<'a> {
    files: &'a CsvFiles,
    tokenizer: &'a Tokenizer<'a>,
    names: Option<Vec<String>>,
    /// The first record: a header line that every file repeats.
    first: String,
    inference: Option<CsvInference<'a>>,
    case_sensitive: bool,
    sample: Sample,
    tokens: Tokens,
}

impl State<'_> {
    /// Takes a file into account. True: nothing more is to be learnt.
    async fn file(&mut self, input: &InferInput<'_>, file: &FileStatus) -> Result<bool> {
        let part = whole_file(input, file)?;
        if self.files.csv.multi_line {
            let bytes = ByteReader::new(&part, 0)?.read_all().await?;
            let text = self.files.charset.decode(bytes);
            let mut rest = text.trim_start_matches('\u{feff}');
            while !rest.is_empty() {
                let line_end = rest.find(['\n', '\r']).unwrap_or(rest.len());
                if self.files.is_skipped(&rest[..line_end]) {
                    rest = rest.get(line_end + 1..).unwrap_or_default();
                    continue;
                }
                let split = self.tokenizer.record(rest, true, &mut self.tokens).ok().flatten().unwrap_or(rest.len());
                let record = rest[..split].to_string();
                rest = &rest[split.max(1)..];
                if self.record(&record) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let mut lines = LineReader::new(&part, self.files.separator.clone(), self.files.charset)?;
        while let Some(block) = lines.next().await? {
            for line in self.files.separator.split(&block, self.files.charset) {
                let line = line.trim_start_matches('\u{feff}');
                if self.files.is_skipped(line) {
                    continue;
                }
                if self.tokenizer.line(line, &mut self.tokens).is_ok() && self.record(line) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Takes the record in `tokens` into account.
    fn record(&mut self, text: &str) -> bool {
        let csv = &self.files.csv;
        if self.names.is_none() {
            let names = column_names(&self.tokens, csv, self.case_sensitive);
            self.inference = csv.infer_schema.then(|| CsvInference::new(csv, names.len()));
            self.names = Some(names);
            self.first = text.to_string();
            if csv.header {
                return !csv.infer_schema;
            }
        }
        let Some(inference) = &mut self.inference else { return true };
        if !(csv.header && text == self.first) && self.sample.takes() {
            inference.add(&self.tokens);
        }
        false
    }
}

/// A part that is all of a file.
pub(super) fn whole_file(input: &InferInput<'_>, file: &FileStatus) -> Result<FilePart> {
    let meta = object_store::ObjectMeta {
        location: file.location.object_path()?,
        last_modified: chrono::DateTime::from_timestamp_micros(file.modified_us).unwrap_or_default(),
        size: file.size,
        e_tag: None,
        version: None,
    };
    Ok(FilePart {
        store: input.file_system.object_store(),
        root: input.file_system.root().clone(),
        meta,
        range: None,
        schema: Arc::new(Schema::empty()),
        columns: vec![],
        batch_size: 0,
        pruning: Pruning::default(),
        counts: Counts::default(),
    })
}
