//! Texts as numbers: a code for each different text, the same in all files and partitions of a query.
//!
//! ```text
//!  dictionary of a row group [AIR, MAIL], keys [0, 1, 1, 0] ──▶ CodeOf ──▶ [7, 2, 2, 7] ──▶ GROUP BY ──▶ TextOf ──▶ AIR, MAIL
//! ```
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, StringBuilder, UInt32Array};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Schema, UInt32Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use indexmap::IndexSet;
use parking_lot::{Mutex, RwLock};

/// The codes of a column's texts.
#[derive(Debug, Default)]
pub struct TextCodes {
    texts: RwLock<IndexSet<Box<str>>>,
    /// Of the dictionaries that were met last
    recent: Mutex<Vec<Recent>>,
}

#[derive(Debug)]
struct Recent {
    /// Kept, so that its place in memory stays its own
    dictionary: StringArray,
    codes: Arc<[u32]>,
}

/// About one for each partition that is read at once.
const MAX_RECENT: usize = 16;

/// The type that a dictionary is read as.
pub(super) fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

impl TextCodes {
    /// The codes of an array's rows, which is one of texts or of a dictionary's keys.
    fn codes(&self, array: &ArrayRef) -> Result<UInt32Array> {
        if let Some(texts) = array.as_string_opt::<i32>() {
            return Ok(self.codes_of(texts));
        }
        let Some(rows) = array.as_dictionary_opt::<Int32Type>() else {
            return exec_err!("codes of {}", array.data_type());
        };
        let Some(dictionary) = rows.values().as_string_opt::<i32>() else {
            return exec_err!("codes of {}", array.data_type());
        };
        let codes = self.codes_of_dictionary(dictionary);
        let keys = rows.keys();
        // The key of a NULL may be anything.
        let code = |key: &i32| codes.get(*key as usize).copied().unwrap_or_default();
        let of_rows: ScalarBuffer<u32> = keys.values().iter().map(code).collect();
        Ok(UInt32Array::new(of_rows, keys.nulls().cloned()))
    }

    fn codes_of(&self, texts: &StringArray) -> UInt32Array {
        let mut known = self.texts.write();
        texts.iter().map(|text| text.map(|text| code_of(&mut known, text))).collect()
    }

    fn codes_of_dictionary(&self, dictionary: &StringArray) -> Arc<[u32]> {
        let is_same = |one: &StringArray| {
            one.len() == dictionary.len()
                && one.values().as_ptr() == dictionary.values().as_ptr()
                && one.value_offsets().as_ptr() == dictionary.value_offsets().as_ptr()
        };
        if let Some(found) = self.recent.lock().iter().find(|recent| is_same(&recent.dictionary)) {
            return Arc::clone(&found.codes);
        }
        let codes: Arc<[u32]> = self.codes_of(dictionary).values().iter().copied().collect();
        let mut recent = self.recent.lock();
        if recent.len() == MAX_RECENT {
            recent.remove(0);
        }
        recent.push(Recent { dictionary: dictionary.clone(), codes: Arc::clone(&codes) });
        codes
    }

    fn texts(&self, codes: &UInt32Array) -> Result<StringArray> {
        let known = self.texts.read();
        let mut texts = StringBuilder::with_capacity(codes.len(), codes.len() * 8);
        for code in codes {
            let Some(code) = code else {
                texts.append_null();
                continue;
            };
            match known.get_index(code as usize) {
                Some(text) => texts.append_value(text),
                None => return exec_err!("no text has the code {code}"),
            }
        }
        Ok(texts.finish())
    }
}

fn code_of(known: &mut IndexSet<Box<str>>, text: &str) -> u32 {
    let index = match known.get_index_of(text) {
        Some(index) => index,
        None => known.insert_full(text.into()).0,
    };
    index as u32
}

/// The code of a text.
#[derive(Debug, Clone)]
pub(super) struct CodeOf {
    pub text: Arc<dyn PhysicalExpr>,
    pub codes: Arc<TextCodes>,
}

/// The text of a code, as the field that the text was.
#[derive(Debug, Clone)]
pub struct TextOf {
    code: Arc<dyn PhysicalExpr>,
    codes: Arc<TextCodes>,
    field: FieldRef,
}

impl TextOf {
    pub fn new(code: Arc<dyn PhysicalExpr>, codes: Arc<TextCodes>, field: FieldRef) -> Self {
        Self { code, codes, field }
    }

    pub fn code(&self) -> &Arc<dyn PhysicalExpr> {
        &self.code
    }

    pub fn codes(&self) -> &Arc<TextCodes> {
        &self.codes
    }
}

/// What a condition on a text says of its code: it is asked once for each text.
#[derive(Debug)]
pub struct CodeTest {
    code: Arc<dyn PhysicalExpr>,
    codes: Arc<TextCodes>,
    /// Over a batch whose only column are texts
    condition: Arc<dyn PhysicalExpr>,
    /// Of NULL, then of each code
    known: Mutex<Vec<Option<bool>>>,
}

impl CodeTest {
    /// `condition`: its columns are all the text.
    pub fn new(code: Arc<dyn PhysicalExpr>, codes: Arc<TextCodes>, condition: Arc<dyn PhysicalExpr>) -> Result<Self> {
        let text: Arc<dyn PhysicalExpr> = Arc::new(Column::new("text", 0));
        let condition = condition.transform(|expr| match expr.is::<Column>() {
            true => Ok(Transformed::yes(Arc::clone(&text))),
            false => Ok(Transformed::no(expr)),
        });
        Ok(Self { code, codes, condition: condition.data()?, known: Mutex::default() })
    }

    fn test(&self, codes: &UInt32Array) -> Result<BooleanArray> {
        let mut known = self.known.lock();
        self.extend(&mut known)?;
        let of_null = known.first().copied().flatten();
        let answer = |code: Option<u32>| match code {
            Some(code) => known.get(code as usize + 1).copied().flatten(),
            None => of_null,
        };
        if known.iter().skip(1).any(Option::is_none) || (of_null.is_none() && codes.null_count() > 0) {
            return Ok(codes.iter().map(answer).collect());
        }
        let values = BooleanBuffer::collect_bool(codes.len(), |row| {
            answer(codes.is_valid(row).then(|| codes.value(row))).unwrap_or_default()
        });
        Ok(BooleanArray::new(values, None))
    }

    /// Asks for the texts that have come since.
    fn extend(&self, known: &mut Vec<Option<bool>>) -> Result<()> {
        let new: Vec<Option<String>> = {
            let texts = self.codes.texts.read();
            let null = known.is_empty().then_some(None);
            let rest = texts.iter().skip(known.len().saturating_sub(1));
            null.into_iter().chain(rest.map(|text| Some(text.to_string()))).collect()
        };
        if new.is_empty() {
            return Ok(());
        }
        let schema = Schema::new(vec![Field::new("text", DataType::Utf8, true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(new))])?;
        let answers = self.condition.evaluate(&batch)?.into_array(batch.num_rows())?;
        known.extend(as_boolean_array(&answers)?.iter());
        Ok(())
    }
}

impl PartialEq for CodeTest {
    fn eq(&self, other: &Self) -> bool {
        self.code.as_ref() == other.code.as_ref()
            && self.condition.as_ref() == other.condition.as_ref()
            && Arc::ptr_eq(&self.codes, &other.codes)
    }
}
impl Eq for CodeTest {}
impl Hash for CodeTest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.code.as_ref().hash(state);
        self.condition.as_ref().hash(state);
    }
}

impl PartialEq for CodeOf {
    fn eq(&self, other: &Self) -> bool {
        self.text.as_ref() == other.text.as_ref() && Arc::ptr_eq(&self.codes, &other.codes)
    }
}
impl Eq for CodeOf {}
impl Hash for CodeOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.as_ref().hash(state);
    }
}
impl PartialEq for TextOf {
    fn eq(&self, other: &Self) -> bool {
        self.code.as_ref() == other.code.as_ref() && Arc::ptr_eq(&self.codes, &other.codes)
    }
}
impl Eq for TextOf {}
impl Hash for TextOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.code.as_ref().hash(state);
    }
}

impl fmt::Display for CodeOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code({})", self.text)
    }
}
impl fmt::Display for CodeTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.condition, self.code)
    }
}
impl fmt::Display for TextOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text({})", self.code)
    }
}

impl PhysicalExpr for CodeOf {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::UInt32)
    }
    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.text.nullable(input)
    }
    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        let text = self.text.return_field(input)?;
        Ok(Arc::new(Field::new(text.name(), DataType::UInt32, text.is_nullable())))
    }
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let texts = self.text.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(Arc::new(self.codes.codes(&texts)?)))
    }
    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.text]
    }
    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match <[_; 1]>::try_from(children) {
            Ok([text]) => Ok(Arc::new(Self { text, codes: Arc::clone(&self.codes) })),
            Err(_) => exec_err!("a code has one text"),
        }
    }
    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt_sql(f)
    }
}

impl PhysicalExpr for CodeTest {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }
    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(true)
    }
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let codes = self.code.evaluate(batch)?.into_array(batch.num_rows())?;
        match codes.as_primitive_opt::<UInt32Type>() {
            Some(codes) => Ok(ColumnarValue::Array(Arc::new(self.test(codes)?))),
            None => exec_err!("a test of {}", codes.data_type()),
        }
    }
    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.code]
    }
    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match <[_; 1]>::try_from(children) {
            Ok([code]) => Ok(Arc::new(Self::new(code, Arc::clone(&self.codes), Arc::clone(&self.condition))?)),
            Err(_) => exec_err!("a test has one code"),
        }
    }
    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PhysicalExpr for TextOf {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Utf8)
    }
    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(self.field.is_nullable())
    }
    fn return_field(&self, _input: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let codes = self.code.evaluate(batch)?.into_array(batch.num_rows())?;
        match codes.as_primitive_opt::<UInt32Type>() {
            Some(codes) => Ok(ColumnarValue::Array(Arc::new(self.codes.texts(codes)?))),
            None => exec_err!("texts of {}", codes.data_type()),
        }
    }
    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.code]
    }
    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match <[_; 1]>::try_from(children) {
            Ok([code]) => Ok(Arc::new(Self { code, ..self.as_ref().clone() })),
            Err(_) => exec_err!("a text has one code"),
        }
    }
    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Int32Array};
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{BinaryExpr, IsNullExpr, lit};

    use super::*;

    fn keyed(keys: Vec<Option<i32>>, texts: Vec<&str>) -> ArrayRef {
        Arc::new(DictionaryArray::new(Int32Array::from(keys), Arc::new(StringArray::from(texts))))
    }

    #[test]
    fn a_text_has_one_code_in_all_dictionaries() {
        let codes = TextCodes::default();
        let one = codes.codes(&keyed(vec![Some(1), None, Some(0)], vec!["a", "b"])).unwrap();
        let other = codes.codes(&keyed(vec![Some(0), Some(1), Some(2)], vec!["b", "", "a"])).unwrap();
        let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
        let plain = codes.codes(&plain).unwrap();
        assert_eq!((one.value(0), one.value(2)), (other.value(0), other.value(2)));
        assert_eq!(plain.value(0), one.value(2));
        assert!(one.is_null(1) && plain.is_null(1));
        let texts = |array: &UInt32Array| -> Vec<Option<String>> {
            codes.texts(array).unwrap().iter().map(|text| text.map(str::to_string)).collect()
        };
        assert_eq!(texts(&one), [Some("b".into()), None, Some("a".into())]);
        assert_eq!(texts(&other), [Some("b".into()), Some(String::new()), Some("a".into())]);
        assert_eq!(texts(&plain), [Some("a".into()), None, Some("c".into())]);
        assert!(codes.texts(&UInt32Array::from(vec![99])).is_err());
    }

    #[test]
    fn a_condition_is_asked_once_for_each_text() {
        let codes = Arc::new(TextCodes::default());
        let text = || Arc::new(Column::new("w", 3)) as Arc<dyn PhysicalExpr>;
        let equal = Arc::new(BinaryExpr::new(text(), Operator::Eq, lit("b")));
        let test = |condition: Arc<dyn PhysicalExpr>| CodeTest::new(text(), Arc::clone(&codes), condition).unwrap();
        let (is_b, is_null) = (test(equal), test(Arc::new(IsNullExpr::new(text()))));
        for texts in [vec!["a", "b"], vec!["b", "c"], vec!["c", "a"]] {
            let expected = vec![Some(texts[1] == "b"), None, Some(texts[0] == "b")];
            let rows = codes.codes(&keyed(vec![Some(1), None, Some(0)], texts)).unwrap();
            assert_eq!(is_b.test(&rows).unwrap(), BooleanArray::from(expected));
            assert_eq!(is_null.test(&rows).unwrap(), BooleanArray::from(vec![false, true, false]));
        }
    }

    #[test]
    fn dictionaries_that_were_met_before_are_known_again() {
        let codes = TextCodes::default();
        for number in 0..3 * MAX_RECENT {
            let (text, other) = (format!("t{number}"), format!("u{number}"));
            let rows = keyed(vec![Some(0), Some(1)], vec![&text, &other]);
            assert_eq!(codes.codes(&rows).unwrap(), codes.codes(&rows.slice(0, 2)).unwrap());
        }
        assert_eq!(codes.texts.read().len(), 6 * MAX_RECENT);
        assert_eq!(codes.recent.lock().len(), MAX_RECENT);
    }
}
