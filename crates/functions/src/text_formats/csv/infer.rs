//! The types of CSV columns.
use firesteel_plan::DataType;

use super::super::numbers::{parse_decimal, parse_double, parse_flag, precision_and_scale};
use super::options::CsvOptions;
use super::tokenizer::Tokens;

/// Gathers the types of columns, record by record.
#[derive(Debug)]
pub struct CsvInference<'a> {
    options: &'a CsvOptions,
    types: Vec<DataType>,
}

impl<'a> CsvInference<'a> {
    pub fn new(options: &'a CsvOptions, columns: usize) -> Self {
        Self { options, types: vec![DataType::Null; columns] }
    }

    /// Takes a record into account. Values beyond the columns do not count.
    pub fn add(&mut self, tokens: &Tokens) {
        for (index, known) in self.types.iter_mut().enumerate() {
            let Some(text) = tokens.get(index) else { continue };
            if text.is_empty() || text == self.options.null_value {
                continue;
            }
            if *known != DataType::STRING {
                let found = infer(text, known, self.options);
                *known = widen(std::mem::replace(known, DataType::Null), found);
            }
        }
    }

    /// The types; a column without values is a string.
    pub fn finish(self) -> Vec<DataType> {
        let or_string = |data_type| if data_type == DataType::Null { DataType::STRING } else { data_type };
        self.types.into_iter().map(or_string).collect()
    }
}

/// The narrowest type for a value, looking no lower than what the column has already.
fn infer(text: &str, known: &DataType, options: &CsvOptions) -> DataType {
    let number = |text: &str| {
        if text.parse::<i32>().is_ok() {
            return Some(DataType::Integer);
        }
        if text.parse::<i64>().is_ok() {
            return Some(DataType::Long);
        }
        if let Some(value) = parse_decimal(text) {
            let (precision, scale) = precision_and_scale(value);
            if scale <= 0 && precision - scale <= 38 {
                return Some(DataType::Decimal(u8::try_from(precision - scale).unwrap_or(38), 0));
            }
        }
        let special = [&options.nan_value, &options.positive_inf, &options.negative_inf];
        (special.iter().any(|name| name.as_str() == text) || parse_double(text).is_some()).then_some(DataType::Double)
    };
    let time = |text: &str| {
        if options.prefer_date && *known != DataType::Timestamp && options.times.infers_date(text) {
            return Some(DataType::Date);
        }
        options.times.parse_timestamp(text).is_some().then_some(DataType::Timestamp)
    };
    let is_time = matches!(known, DataType::Date | DataType::Timestamp);
    let is_flag = *known == DataType::Boolean;
    let found = if is_time || is_flag { None } else { number(text) };
    let found = found.or_else(|| if is_flag { None } else { time(text) });
    found.or_else(|| parse_flag(text).map(|_| DataType::Boolean)).unwrap_or(DataType::STRING)
}

fn widen(left: DataType, right: DataType) -> DataType {
    use DataType::{Date, Decimal, Double, Integer, Long, Null, Timestamp};
    match (left, right) {
        (a, b) if a == b => a,
        (Null, other) | (other, Null) => other,
        (Integer, Long) | (Long, Integer) => Long,
        (Integer | Long | Decimal(..), Double) | (Double, Integer | Long | Decimal(..)) => Double,
        (Integer, Decimal(p, 0)) | (Decimal(p, 0), Integer) => Decimal(p.max(10), 0),
        (Long, Decimal(p, 0)) | (Decimal(p, 0), Long) => Decimal(p.max(20), 0),
        (Decimal(p, 0), Decimal(q, 0)) => Decimal(p.max(q), 0),
        (Date, Timestamp) | (Timestamp, Date) => Timestamp,
        _ => DataType::STRING,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::FormatOptions;
    use super::super::tokenizer::Tokenizer;
    use super::*;

    #[test]
    fn types_of_columns() {
        let options =
            CsvOptions::new(&FormatOptions::default(), crate::text_formats::FormatSession::UTC, None).unwrap();
        let mut inference = CsvInference::new(&options, 10);
        let mut tokens = Tokens::default();
        for line in [
            "1,3000000000,12345678901234567890,1.5,2020-01-01,2020-01-01 10:00:00,true,a,,1",
            "2,1,1,NaN,2020-01,2020-01-01T10:00:00Z,FALSE,b,,1.5d",
        ] {
            Tokenizer::new(&options).line(line, &mut tokens).unwrap();
            inference.add(&tokens);
        }
        let names: Vec<String> = inference.finish().iter().map(DataType::simple_string).collect();
        assert_eq!(
            names,
            [
                "int",
                "bigint",
                "decimal(20,0)",
                "double",
                "timestamp",
                "timestamp",
                "boolean",
                "string",
                "string",
                "double"
            ]
        );
    }
}
