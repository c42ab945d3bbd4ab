//! The three interval types: values, text, arithmetic, and the functions that make and take them.
pub mod ansi;
pub mod make;
pub mod multi_units;
pub mod text;
pub mod value;

pub use value::CalendarInterval;
