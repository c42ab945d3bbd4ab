//! Texts and bytes: one after the other with their lengths, or, where texts repeat, as places in a dictionary.
use std::collections::HashMap;

use arrow::array::{Array, GenericByteArray, StringArray};
use arrow::datatypes::ByteArrayType;
use firesteel_plan::Result;
use orc_rust::proto::ColumnEncoding;
use orc_rust::proto::column_encoding::Kind as EncodingKind;
use orc_rust::proto::stream::Kind;

use super::super::failed;
use super::integers;
use super::stream::{Column, Stream};

/// A dictionary pays where no more than this share of the texts are different.
const DICTIONARY_SHARE: f64 = 0.5;
/// So many texts decide whether to go on looking.
const SAMPLE: usize = 10_000;

pub(super) fn encode(texts: &StringArray, bounds: &[usize], mut column: Column) -> Result<Column> {
    let mut encoding = ColumnEncoding::default();
    match Dictionary::of(texts) {
        Some(dictionary) => {
            encoding.dictionary_size = Some(u32::try_from(dictionary.entries.len()).map_err(failed)?);
            encoding.kind = Some(EncodingKind::DictionaryV2.into());
            dictionary.push(bounds, &mut column);
        }
        None => encoding.kind = Some(encode_direct(texts, bounds, &mut column).into()),
    }
    Ok(Column { encoding, ..column })
}

pub(super) fn encode_direct<T: ByteArrayType<Offset = i32>>(
    values: &GenericByteArray<T>,
    bounds: &[usize],
    column: &mut Column,
) -> EncodingKind {
    let offsets = values.value_offsets();
    let at = |row: usize| offsets[row].unsigned_abs() as usize;
    column.streams.push(Stream::of_groups(Kind::Data, bounds, &[], |group, out| {
        out.extend_from_slice(&values.value_data()[at(group.start)..at(group.end)]);
    }));
    let lengths: Vec<i64> = offsets.windows(2).map(|pair| i64::from(pair[1] - pair[0])).collect();
    column.streams.push(integers::stream(Kind::Length, &lengths, bounds, false));
    EncodingKind::DirectV2
}

struct Dictionary<'a> {
    /// In order
    entries: Vec<&'a str>,
    /// The place of each text
    places: Vec<i64>,
}

impl<'a> Dictionary<'a> {
    /// `None` where too many texts are different.
    fn of(texts: &'a StringArray) -> Option<Self> {
        let most = |count: usize| (count as f64 * DICTIONARY_SHARE) as usize;
        let mut known: HashMap<&str, i64> = HashMap::new();
        let mut places = Vec::with_capacity(texts.len());
        for (row, text) in texts.iter().flatten().enumerate() {
            let next = known.len() as i64;
            places.push(*known.entry(text).or_insert(next));
            if (row == SAMPLE && known.len() > most(SAMPLE)) || known.len() > most(texts.len()) {
                return None;
            }
        }
        if places.is_empty() {
            return None;
        }
        let mut found: Vec<(&str, i64)> = known.into_iter().collect();
        found.sort_unstable();
        let mut moved = vec![0; found.len()];
        for (place, (_, met)) in found.iter().enumerate() {
            moved[met.unsigned_abs() as usize] = place as i64;
        }
        let places = places.into_iter().map(|met| moved[met.unsigned_abs() as usize]).collect();
        Some(Self { entries: found.into_iter().map(|(text, _)| text).collect(), places })
    }

    fn push(self, bounds: &[usize], column: &mut Column) {
        column.streams.push(integers::stream(Kind::Data, &self.places, bounds, false));
        let (mut bytes, mut lengths) = (vec![], vec![]);
        let sizes: Vec<i64> = self.entries.iter().map(|text| text.len() as i64).collect();
        integers::encode(&sizes, false, &mut lengths);
        self.entries.iter().for_each(|text| bytes.extend(text.bytes()));
        column.streams.push(Stream { kind: Kind::Length, bytes: lengths, marks: vec![] });
        column.streams.push(Stream { kind: Kind::DictionaryData, bytes, marks: vec![] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_repeat_make_a_dictionary() {
        let texts = StringArray::from(vec!["b", "a", "b", "b"]);
        let dictionary = Dictionary::of(&texts).unwrap();
        assert_eq!((dictionary.entries, dictionary.places), (vec!["a", "b"], vec![1, 0, 1, 1]));
        assert!(Dictionary::of(&StringArray::from(vec!["a", "b", "c"])).is_none());
        assert!(Dictionary::of(&StringArray::from(Vec::<&str>::new())).is_none());
    }
}
