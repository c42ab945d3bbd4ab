//! A sketch of the most frequent items, as DataSketches has it in Java: same table, same order, same bytes.

/// Slots of the smallest table, as a power of two.
const LG_SLOTS_MIN: u32 = 3;
/// Counters that the amount of a purge is estimated from.
const SAMPLE_MAX: usize = 1024;
const SERIAL_VERSION: u8 = 1;
const FAMILY: u8 = 10;
const EMPTY_FLAGS: u8 = 5;
/// Bytes before the counters of a sketch with items.
const PREAMBLE_BYTES: usize = 32;

/// An item: its bytes in the serialized sketch, and what Java's `hashCode` makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub bytes: Box<[u8]>,
    pub hash_code: i32,
}

#[derive(Debug, Clone)]
struct Slot {
    item: Item,
    count: i64,
    /// One more than the distance from where its hash points
    drift: usize,
}

#[derive(Debug, Clone)]
pub struct FrequentItems {
    lg_slots_max: u32,
    slots: Vec<Option<Slot>>,
    active: usize,
    /// What purges took from each counter, in total
    offset: i64,
    stream_weight: i64,
}

/// The finalizer of Murmur3, which spreads hash codes.
fn spread(hash_code: i32) -> u64 {
    let mut key = i64::from(hash_code) as u64;
    key = (key ^ (key >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    key = (key ^ (key >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    key ^ (key >> 33)
}

impl FrequentItems {
    /// A sketch whose table has up to `2^lg_slots_max` slots.
    pub fn new(lg_slots_max: u32) -> Self {
        let lg_slots_max = lg_slots_max.max(LG_SLOTS_MIN);
        Self { lg_slots_max, slots: vec![None; 1 << LG_SLOTS_MIN], active: 0, offset: 0, stream_weight: 0 }
    }

    pub fn size(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Slot>>()
            + self.slots.iter().flatten().map(|slot| slot.item.bytes.len()).sum::<usize>()
    }

    pub fn add(&mut self, item: Item, count: i64) {
        self.stream_weight += count;
        self.put(item, count);
        if self.active <= self.slots.len() * 3 / 4 {
            return;
        }
        if self.slots.len() < 1 << self.lg_slots_max {
            let larger = vec![None; self.slots.len() * 2];
            self.active = 0;
            for slot in std::mem::replace(&mut self.slots, larger).into_iter().flatten() {
                self.put(slot.item, slot.count);
            }
        } else {
            self.purge();
        }
    }

    fn put(&mut self, item: Item, count: i64) {
        let mask = self.slots.len() - 1;
        let mut place = spread(item.hash_code) as usize & mask;
        let mut drift = 1;
        while let Some(slot) = &mut self.slots[place] {
            if slot.item == item {
                slot.count += count;
                return;
            }
            place = (place + 1) & mask;
            drift += 1;
        }
        self.slots[place] = Some(Slot { item, count, drift });
        self.active += 1;
    }

    /// Takes the median of the first counters from all, and drops those that nothing is left of.
    fn purge(&mut self) {
        let mut sample: Vec<i64> = self.slots.iter().flatten().map(|slot| slot.count).take(SAMPLE_MAX).collect();
        let middle = sample.len() / 2;
        let (_, median, _) = sample.select_nth_unstable(middle);
        let median = *median;
        self.offset += median;
        self.slots.iter_mut().flatten().for_each(|slot| slot.count -= median);
        // Clusters are emptied from their ends, so that no deletion moves a slot that is still to be looked at.
        let boundary = self.slots.iter().rposition(Option::is_none).unwrap_or(0);
        for place in (0..boundary).rev().chain((boundary..self.slots.len()).rev()) {
            if self.slots[place].as_ref().is_some_and(|slot| slot.count <= 0) {
                self.delete(place);
                self.active -= 1;
            }
        }
    }

    /// Empties a slot; later ones of its cluster move up where that brings them nearer to their place.
    fn delete(&mut self, mut free: usize) {
        let mask = self.slots.len() - 1;
        self.slots[free] = None;
        let mut distance = 1;
        let mut place = (free + distance) & mask;
        while let Some(slot) = &mut self.slots[place] {
            if slot.drift > distance {
                slot.drift -= distance;
                self.slots[free] = self.slots[place].take();
                free = place;
                distance = 0;
            }
            place = (place + 1) & mask;
            distance += 1;
        }
    }

    /// Slots in the order of Java's iterator, whose strides avoid clusters when the items go to another table.
    fn iter(&self) -> impl Iterator<Item = &Slot> {
        let golden = (5f64.sqrt() - 1.0) / 2.0;
        let (length, stride) = (self.slots.len(), (self.slots.len() as f64 * golden) as usize | 1);
        (0..length).filter_map(move |step| self.slots[step * stride % length].as_ref())
    }

    pub fn merge(&mut self, other: &Self) {
        let weight = self.stream_weight + other.stream_weight;
        for slot in other.iter() {
            self.add(slot.item.clone(), slot.count);
        }
        self.offset += other.offset;
        self.stream_weight = weight;
    }

    /// The items that are surely more frequent than the error, most frequent first, with their estimated counts.
    pub fn frequent(&self) -> Vec<(&Item, i64)> {
        let above = self.iter().filter(|slot| slot.count > self.offset);
        let mut found: Vec<_> = above.map(|slot| (&slot.item, slot.count + self.offset)).collect();
        found.sort_by_key(|(_, estimate)| std::cmp::Reverse(*estimate));
        found
    }

    /// `pack` puts items behind each other.
    pub fn serialize(&self, pack: impl Fn(&[&Item]) -> Vec<u8>) -> Vec<u8> {
        let lg_slots = self.slots.len().trailing_zeros() as u8;
        let empty = self.active == 0;
        let (longs, flags) = if empty { (1, EMPTY_FLAGS) } else { (4, 0) };
        let mut bytes = vec![longs, SERIAL_VERSION, FAMILY, self.lg_slots_max as u8, lg_slots, flags, 0, 0];
        if !empty {
            for word in [self.active as i64, self.stream_weight, self.offset] {
                bytes.extend(word.to_le_bytes());
            }
            self.slots.iter().flatten().for_each(|slot| bytes.extend(slot.count.to_le_bytes()));
            bytes.extend(pack(&self.slots.iter().flatten().map(|slot| &slot.item).collect::<Vec<_>>()));
        }
        bytes
    }

    /// `unpack` takes apart what [`Self::serialize`]'s `pack` made of so many items. Nothing where the bytes are no sketch.
    pub fn deserialize(bytes: &[u8], unpack: impl Fn(&[u8], usize) -> Option<Vec<Item>>) -> Option<Self> {
        let word = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(i64::from_le_bytes);
        let [longs, version, family, lg_slots_max, lg_slots, ..] = *bytes else { return None };
        let sized = (LG_SLOTS_MIN..=30).contains(&u32::from(lg_slots_max)) && lg_slots <= lg_slots_max;
        if version != SERIAL_VERSION || family != FAMILY || !sized || u32::from(lg_slots) < LG_SLOTS_MIN {
            return None;
        }
        let mut sketch = Self::new(lg_slots_max.into());
        if longs == 1 {
            return Some(sketch);
        }
        let active = usize::try_from(word(8)? & 0xFFFF_FFFF).ok()?;
        let counts_end = PREAMBLE_BYTES.checked_add(active.checked_mul(8)?)?;
        let items = unpack(bytes.get(counts_end..)?, active)?;
        if items.len() != active || active > 1 << lg_slots {
            return None;
        }
        sketch.slots = vec![None; 1 << lg_slots];
        for (index, item) in items.into_iter().enumerate() {
            sketch.add(item, word(PREAMBLE_BYTES + 8 * index)?);
        }
        sketch.stream_weight = word(16)?;
        sketch.offset = word(24)?;
        Some(sketch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(value: i32) -> Item {
        Item { bytes: value.to_le_bytes().into(), hash_code: value }
    }

    #[test]
    fn ties_come_in_the_order_of_the_table() {
        let mut sketch = FrequentItems::new(14);
        [0, 0, 1, 1, 2, 3, 4, 4].iter().for_each(|v| sketch.add(item(*v), 1));
        let found: Vec<_> = sketch.frequent().iter().map(|(item, count)| (item.hash_code, *count)).collect();
        assert_eq!(found, [(0, 2), (4, 2), (1, 2), (2, 1), (3, 1)]);
    }

    #[test]
    fn purges_keep_the_frequent() {
        let mut sketch = FrequentItems::new(4);
        for round in 0..1000 {
            sketch.add(item(7), 3);
            sketch.add(item(1000 + round), 1);
        }
        let (first, count) = sketch.frequent()[0];
        assert!(first.hash_code == 7 && (3000..3400).contains(&count), "{count}");
    }
}
