//! The zone of a stripe. ORC keeps a time as seconds since 2015 began in the writer's zone, and readers put the wall-clock
//! time together again.
//!
//! By an old mistake of the format, a time in the last second before 1970 (UTC) cannot be told from one in the first
//! second after. Where a stripe has such a time, the same wall-clock times are written as those of another zone, in which
//! that second is an ordinary one.
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use firesteel_functions::datetime::zone::Zone;

const MICROS: i64 = 1_000_000;
/// 2015-01-01 00:00:00, in seconds
const BASE: i64 = 1_420_070_400;
/// Zones west of Greenwich that have a name for each full hour.
const HOURS: i64 = 12;

#[derive(Debug, Clone)]
pub(super) struct StripeZone {
    /// What the footer of the stripe says
    pub name: String,
    zone: Zone,
    /// Seconds from wall-clock time to the instant; `None`: as the zone has it.
    shift: Option<i64>,
    base: i64,
}

impl StripeZone {
    /// The zones to try, the best first.
    pub(super) fn candidates(zone: Zone) -> impl Iterator<Item = Self> {
        let name = zone.tz().to_string();
        let own_base = zone.to_utc(BASE * MICROS).map(|micros| micros.div_euclid(MICROS));
        let own = own_base.filter(|_| !zone.is_fixed()).map(|base| Self { name, zone, shift: None, base });
        let shifted = (0..=HOURS).map(move |hours| Self {
            name: if hours == 0 { "UTC".into() } else { format!("Etc/GMT+{hours}") },
            zone,
            shift: Some(hours * 3600),
            base: BASE + hours * 3600,
        });
        own.into_iter().chain(shifted)
    }

    #[cfg(test)]
    pub(super) fn utc() -> Self {
        let utc = firesteel_functions::datetime::zone::parse_zone("UTC").unwrap();
        Self::candidates(Zone::new(&utc)).next().unwrap()
    }

    /// The wall-clock time of an instant, in microseconds.
    pub(super) fn wall(&self, micros: i64) -> i64 {
        self.zone.to_local(micros)
    }

    /// Seconds since the base, and nanoseconds; `None` where this zone has no spelling for the time.
    pub(super) fn encode(&self, micros: i64) -> Option<(i64, i64)> {
        let instant = match self.shift {
            None => micros,
            Some(seconds) => {
                let wall = self.wall(micros);
                // A wall-clock time that happens twice would lose which of the two it is.
                if !self.zone.is_fixed() && self.zone.to_utc(wall) != Some(micros) {
                    return None;
                }
                wall.checked_add(seconds * MICROS)?
            }
        };
        let (mut seconds, nanos) = (instant.div_euclid(MICROS), instant.rem_euclid(MICROS) * 1000);
        // Readers take a second off what lies before 1970 and has milliseconds.
        if seconds < 0 && nanos > 999_999 {
            seconds += 1;
            if seconds == 0 {
                return None;
            }
        }
        Some((seconds.checked_sub(self.base)?, nanos))
    }

    /// Whether this zone can spell all times in the columns.
    pub(super) fn spells(&self, columns: &[ArrayRef]) -> bool {
        columns.iter().all(|column| self.spells_column(column))
    }

    fn spells_column(&self, column: &ArrayRef) -> bool {
        match column.data_type() {
            DataType::Timestamp(..) => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                times.iter().flatten().all(|micros| self.encode(micros).is_some())
            }
            DataType::List(_) => self.spells_column(column.as_list::<i32>().values()),
            DataType::Map(..) => self.spells(column.as_map().entries().columns()),
            DataType::Struct(_) => self.spells(column.as_struct().columns()),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use firesteel_functions::datetime::zone::parse_zone;

    use super::*;

    /// As the format's readers do it: the instant, then the same wall-clock time elsewhere.
    fn read(zone: &StripeZone, reader: &Zone, (seconds, nanos): (i64, i64)) -> i64 {
        let seconds = seconds + zone.base;
        let millis = seconds * 1000 + nanos / 1_000_000;
        let seconds = if millis < 0 && nanos > 999_999 { seconds - 1 } else { seconds };
        let instant = seconds * MICROS + nanos / 1000;
        match zone.shift {
            None => instant,
            Some(shift) => reader.to_utc(instant - shift * MICROS).unwrap(),
        }
    }

    #[test]
    fn every_time_has_a_zone_that_spells_it() {
        let times = [
            0,
            1,
            -1,
            -999,
            -1000,
            -999_000,
            -999_001,
            -1_000_000,
            -1_000_001,
            1_600_000_000_123_456,
            -62_135_596_799_999_999,
        ];
        for id in ["UTC", "America/Los_Angeles", "Asia/Kolkata", "+05:30"] {
            let local = Zone::new(&parse_zone(id).unwrap());
            for micros in times {
                let (zone, spelt) =
                    StripeZone::candidates(local).find_map(|zone| Some((zone.clone(), zone.encode(micros)?))).unwrap();
                assert_eq!(read(&zone, &local, spelt), micros, "{micros} in {id} by {}", zone.name);
            }
        }
    }

    #[test]
    fn the_own_zone_comes_first() {
        let names = |id| {
            StripeZone::candidates(Zone::new(&parse_zone(id).unwrap())).map(|z| z.name).take(2).collect::<Vec<_>>()
        };
        assert_eq!(names("Europe/Berlin"), ["Europe/Berlin", "UTC"]);
        assert_eq!(names("UTC"), ["UTC", "Etc/GMT+1"]);
    }
}
