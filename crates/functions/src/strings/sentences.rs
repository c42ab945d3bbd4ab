//! `sentences`: text into sentences of words, by Unicode's segmentation rules.
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use arrow::datatypes::DataType as ArrowType;
use firesteel_plan::{DataType, Result};
use unicode_segmentation::UnicodeSegmentation;

use crate::registry::Function;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, DefaultArgument, Nulls, Returns, Signature};
use crate::strings::entry;
use crate::typed::TypedExpr;
use crate::types::{LIST_ELEMENT, list_field};
use crate::view;

fn words_type(_: &[TypedExpr]) -> Result<DataType> {
    Ok(DataType::array(DataType::array(DataType::STRING, false), false))
}

/// Language and country do not change the rules; a NULL one stands for the default.
fn sentences(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    let words = ListBuilder::new(StringBuilder::new()).with_field(arrow::datatypes::Field::new(
        LIST_ELEMENT,
        ArrowType::Utf8,
        false,
    ));
    let mut builder = ListBuilder::new(words).with_field(list_field(&DataType::array(DataType::STRING, false), false));
    for row in 0..args.rows {
        let Some(text) = input.get(row) else {
            builder.append_null();
            continue;
        };
        for sentence in text.split_sentence_bounds() {
            let is_word = |word: &&str| word.chars().next().is_some_and(char::is_alphanumeric);
            let words: Vec<&str> = sentence.split_word_bounds().filter(is_word).collect();
            words.iter().for_each(|word| builder.values().values().append_value(word));
            builder.values().append(true);
        }
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}

pub static FUNCTIONS: &[Function] = &[entry(
    "sentences",
    &[],
    &["str", "lang", "country"],
    Signature::new(&[Accept::String], Returns::Of(words_type), sentences)
        .optional(&[Accept::String, Accept::String])
        .defaults(&[DefaultArgument::String(""), DefaultArgument::String("")])
        .nulls(Nulls::Always),
    "sentences(str[, lang[, country]]) - Divides text into sentences, each an array of its words.",
    &[("SELECT sentences('Hi there! Good morning.');", "[[\"Hi\",\"there\"],[\"Good\",\"morning\"]]")],
    "2.0.0",
)];
