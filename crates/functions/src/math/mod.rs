//! Mathematical functions.
use crate::registry::{Build, Function, FunctionKind};
use crate::signature::Signature;

pub mod doubles;
pub mod integers;
pub mod radix;
pub mod rounding;
pub mod strict;

/// A scalar entry of the group of mathematical functions.
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
        group: "math_funcs",
        parameters,
        build: Build::Signature(signature),
        usage,
        examples,
        since,
    }
}
