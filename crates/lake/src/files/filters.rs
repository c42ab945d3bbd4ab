//! Which files of a directory a read takes: `pathGlobFilter`, `modifiedBefore`, `modifiedAfter`.
use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use firesteel_functions::context::time_zone_or_utc;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::FileStatus;
use firesteel_storage::glob::Pattern;

use crate::conf::Conf;
use crate::options::SourceOptions;

#[derive(Debug, Default)]
pub(super) struct FileFilter {
    glob: Option<Pattern>,
    /// microseconds since the epoch
    before: Option<i64>,
    after: Option<i64>,
}

impl FileFilter {
    pub(super) fn new(options: &SourceOptions, conf: &Conf) -> Result<Self> {
        let zone = time_zone_or_utc(options.get("timeZone").unwrap_or(conf.time_zone()));
        let time = |key: &str| options.get(key).map(|text| parse_time(key, text, &zone)).transpose();
        Ok(Self {
            glob: options.get("pathGlobFilter").map(Pattern::parse).transpose()?,
            before: time("modifiedBefore")?,
            after: time("modifiedAfter")?,
        })
    }

    pub(super) fn accepts(&self, file: &FileStatus) -> bool {
        self.glob.as_ref().is_none_or(|glob| glob.matches(file.location.name()))
            && self.before.is_none_or(|limit| file.modified_us < limit)
            && self.after.is_none_or(|limit| file.modified_us > limit)
    }
}

fn parse_time(key: &str, text: &str, zone: &Tz) -> Result<i64> {
    string_to_datetime(zone, text).map(|time| time.timestamp_micros()).map_err(|e| {
        let message = format!("Option {key} must be a timestamp like 2020-06-01T13:00:00, not \"{text}\"");
        SparkError::new("_LEGACY_ERROR_TEMP_1330", [("message", message)]).with_cause(e)
    })
}
