//! What a KLL sketch says about itself.
use datasketches::kll::KllSketch;

use super::{Item, PREAMBLE};

const LEVEL_ZERO_SORTED: u8 = 1 << 1;

/// Numbers that only the stored form of a sketch tells.
struct Stored {
    bytes: usize,
    levels: usize,
    /// Free places
    free: usize,
    sorted: bool,
}

fn stored<T: Item>(sketch: &KllSketch<T>) -> Stored {
    let bytes = sketch.serialize();
    let sorted = bytes.get(3).is_some_and(|flags| flags & LEVEL_ZERO_SORTED != 0);
    // Sketches of no value or one are stored without levels.
    let first_level = bytes.get(PREAMBLE..PREAMBLE + 4).filter(|_| sketch.n() > 1);
    match first_level.and_then(|offset| <[u8; 4]>::try_from(offset).ok()) {
        Some(offset) => Stored {
            bytes: bytes.len(),
            levels: usize::from(bytes.get(PREAMBLE - 2).copied().unwrap_or(1)),
            free: u32::from_le_bytes(offset) as usize,
            sorted,
        },
        None => {
            let free = usize::from(sketch.k()) - sketch.num_retained();
            Stored { bytes: bytes.len(), levels: 1, free, sorted }
        }
    }
}

/// The summary that DataSketches prints.
pub fn summary<T: Item>(sketch: &KllSketch<T>) -> String {
    let stored = stored(sketch);
    let capacity = stored.free + sketch.num_retained();
    let updatable = PREAMBLE + 4 * (stored.levels + 1) + (2 + capacity) * T::WIDTH;
    let percent = |error: f64| format!("{:.3}%", error * 100.0);
    let item = |item: Option<&T>| item.map_or("NaN".to_string(), T::shown);
    let lines = [
        ("K", sketch.k().to_string()),
        ("Dynamic min K", sketch.min_k().to_string()),
        ("M", "8".to_string()),
        ("N", sketch.n().to_string()),
        ("Epsilon", percent(sketch.normalized_rank_error())),
        ("Epsilon PMF", percent(sketch.normalized_pmf_error())),
        ("Empty", sketch.is_empty().to_string()),
        ("Estimation Mode", sketch.is_estimation_mode().to_string()),
        ("Levels", stored.levels.to_string()),
        ("Level 0 Sorted", stored.sorted.to_string()),
        ("Capacity Items", capacity.to_string()),
        ("Retained Items", sketch.num_retained().to_string()),
        ("Free Space", stored.free.to_string()),
        ("ReadOnly", "false".to_string()),
        ("Updatable Storage Bytes", updatable.to_string()),
        ("Compact Storage Bytes", stored.bytes.to_string()),
        ("Min Item", item(sketch.min_item())),
        ("Max Item", item(sketch.max_item())),
    ];
    let lines: String = lines.iter().map(|(name, value)| format!("   {name:<23}: {value}\n")).collect();
    format!("\n### Kll{} Summary:\n{lines}### End sketch summary\n", T::SKETCH)
}
