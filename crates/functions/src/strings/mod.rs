//! String functions, a file per family.
//!
//! Positions and lengths are in characters for STRING and in bytes for BINARY. All kernels take NULL for an answer:
//! any NULL argument gives NULL unless a function says otherwise.
pub mod binary_text;
pub mod case;
pub mod charset;
pub mod concat;
pub mod digits;
pub mod distance;
pub mod format_number;
pub mod format_string;
pub mod length;
pub mod mask;
pub mod number_format;
pub mod number_functions;
pub mod pad;
pub mod replace;
pub mod search;
pub mod sentences;
pub mod substring;
pub mod trim;

use crate::registry::{Build, Function, FunctionKind};
use crate::signature::Signature;

/// A scalar entry of the string group, which most of these are.
pub(crate) const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    parameters: &'static [&'static str],
    signature: Signature,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases,
        kind: FunctionKind::Scalar,
        group: "string_funcs",
        parameters,
        build: Build::Signature(signature),
        usage,
        examples,
        since,
    }
}
