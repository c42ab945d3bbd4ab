//! Functions on XML text: XPath 1.0 over a small tree of nodes.
//!
//! ```text
//!  text ──▶ dom::Document ──▶ xpath::Expr::evaluate ──▶ node set, string, number or boolean
//! ```
pub mod dom;
pub mod functions;
pub mod xpath;
