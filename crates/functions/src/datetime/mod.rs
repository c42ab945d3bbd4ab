//! Dates, timestamps and times: the calendar, zones, text, patterns and the functions on them.
//!
//! - [`calendar`], [`zone`]: the arithmetic that everything else stands on.
//! - [`text`], [`pattern`], [`special`]: how they are written and read.
//! - [`vector`]: kernels on the integers behind these types.
//! - The rest are families of functions.
pub mod arithmetic;
pub mod bucket;
pub mod calendar;
pub mod convert;
pub mod current;
pub mod fields;
pub mod make;
pub mod pattern;
pub mod special;
pub mod text;
pub mod time_type;
pub mod vector;
pub mod windows;
pub mod zone;
