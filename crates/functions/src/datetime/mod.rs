//! Dates, timestamps and times: the calendar, zones, text, patterns and the functions on them.
pub mod calendar;
pub mod special;
pub mod text;
pub mod zone;
