//! Geospatial values: GEOMETRY and GEOGRAPHY to and from well-known binary (WKB).
//!
//! A value is a struct of its SRID and its WKB in little endian, which Spark keeps as well.
use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Int32Builder, StructArray};
use arrow::datatypes::{DataType as ArrowType, Int32Type};
use firesteel_plan::{DataType, Result, SparkError};

use crate::fold;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar, from_arrow};
use crate::typed::TypedExpr;
use crate::view;

/// The SRID of every GEOGRAPHY by default: WGS 84.
const WGS84: i32 = 4326;

/// The blocks of codes that EPSG and ESRI give to coordinate reference systems.
const SRID_BLOCKS: &[std::ops::RangeInclusive<i32>] =
    &[2000..=9498, 10156..=10888, 20004..=32766, 37001..=37260, 53001..=54099, 102001..=104992];

fn is_geometry_srid(srid: i32) -> bool {
    srid == 0 || SRID_BLOCKS.iter().any(|block| block.contains(&srid))
}

fn invalid_srid(srid: i32) -> SparkError {
    SparkError::new("ST_INVALID_SRID_VALUE", [("srid", srid.to_string())])
}

/// Where and why bytes are not WKB.
struct Fault {
    reason: String,
    position: usize,
}

impl Fault {
    fn error(self) -> SparkError {
        SparkError::new("WKB_PARSE_ERROR", [("parseError", self.reason), ("pos", self.position.to_string())])
    }
}

/// Reads WKB and writes it again in one byte order.
struct Wkb<'a> {
    bytes: &'a [u8],
    at: usize,
    little: bool,
    /// Of the output
    to_little: bool,
    /// Coordinates are longitudes and latitudes
    geographic: bool,
    out: &'a mut Vec<u8>,
}

/// Nesting of collections that is refused.
const MAX_DEPTH: usize = 64;

impl Wkb<'_> {
    fn fault<T>(&self, reason: impl Into<String>, position: usize) -> std::result::Result<T, Fault> {
        Err(Fault { reason: reason.into(), position })
    }

    fn take<const N: usize>(&mut self) -> std::result::Result<[u8; N], Fault> {
        match self.bytes.get(self.at..self.at + N).and_then(|b| <[u8; N]>::try_from(b).ok()) {
            Some(taken) => {
                self.at += N;
                Ok(taken)
            }
            None => self.fault("Unexpected end of WKB buffer", self.at),
        }
    }

    fn integer(&mut self) -> std::result::Result<u32, Fault> {
        let bytes = self.take::<4>()?;
        Ok(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn push_integer(&mut self, value: u32) {
        self.out.extend(if self.to_little { value.to_le_bytes() } else { value.to_be_bytes() });
    }

    fn count(&mut self) -> std::result::Result<u32, Fault> {
        let count = self.integer()?;
        self.push_integer(count);
        Ok(count)
    }

    fn geometry(&mut self, depth: usize) -> std::result::Result<(), Fault> {
        let start = self.at;
        if self.bytes.len() < start + 5 {
            return self.fault("Unexpected end of WKB buffer", start);
        }
        let [order] = self.take::<1>()?;
        if order > 1 {
            return self.fault(format!("Invalid byte order {order}"), start);
        }
        self.little = order == 1;
        self.out.push(u8::from(self.to_little));
        let at = self.at;
        let kind = self.integer()?;
        let (base, extra) = (kind % 1000, kind / 1000);
        if !(1..=7).contains(&base) || extra > 3 || depth > MAX_DEPTH {
            return self.fault(format!("Invalid or unsupported type {kind}"), at);
        }
        self.push_integer(kind);
        let width = match extra {
            0 => 2,
            3 => 4,
            _ => 3,
        };
        match base {
            1 => self.point(width, true),
            2 => self.line(width, 2, "Too few points in linestring").map(|_| ()),
            3 => {
                for _ in 0..self.count()? {
                    self.line(width, 4, "Too few points in ring")?;
                }
                Ok(())
            }
            _ => {
                for _ in 0..self.count()? {
                    self.geometry(depth + 1)?;
                }
                Ok(())
            }
        }
    }

    /// A point may be empty: all of its coordinates are NaN.
    fn point(&mut self, width: usize, may_be_empty: bool) -> std::result::Result<(), Fault> {
        let start = self.at;
        for axis in 0..width {
            let at = self.at;
            let bytes = self.take::<8>()?;
            let value = if self.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) };
            let most = match axis {
                0 if self.geographic => 180.0,
                1 if self.geographic => 90.0,
                _ => f64::MAX,
            };
            if !(value.abs() <= most || (may_be_empty && value.is_nan())) {
                let position = if self.geographic { start } else { at };
                return self.fault("Invalid coordinate value found", position);
            }
            self.out.extend(if self.to_little { value.to_le_bytes() } else { value.to_be_bytes() });
        }
        Ok(())
    }

    fn line(&mut self, width: usize, least: u32, reason: &str) -> std::result::Result<(), Fault> {
        let start = self.at;
        let count = self.count()?;
        if count > 0 && count < least {
            return self.fault(reason, start);
        }
        for _ in 0..count {
            self.point(width, false)?;
        }
        Ok(())
    }
}

fn normalize(bytes: &[u8], to_little: bool, geographic: bool, out: &mut Vec<u8>) -> Result<()> {
    let mut wkb = Wkb { bytes, at: 0, little: true, to_little, geographic, out };
    wkb.geometry(0).map_err(Fault::error)
}

/// Builds a column of values.
struct Values {
    srid: Int32Builder,
    wkb: BinaryBuilder,
    valid: NullBufferBuilder,
}

impl Values {
    fn new(rows: usize) -> Self {
        Self { srid: Int32Builder::new(), wkb: BinaryBuilder::new(), valid: NullBufferBuilder::new(rows) }
    }

    fn append(&mut self, value: Option<(i32, &[u8])>) {
        let (srid, wkb) = value.unwrap_or((0, &[]));
        self.srid.append_value(srid);
        self.wkb.append_value(wkb);
        self.valid.append(value.is_some());
    }

    fn finish(mut self, args: &ScalarArgs<'_>) -> Result<ArrayRef> {
        let ArrowType::Struct(fields) = args.arrow_type() else {
            return Err(SparkError::internal("a geospatial value is a struct"));
        };
        let columns: Vec<ArrayRef> = vec![Arc::new(self.srid.finish()), Arc::new(self.wkb.finish())];
        Ok(Arc::new(StructArray::try_new(fields, columns, self.valid.finish()).map_err(from_arrow)?))
    }
}

fn from_wkb(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::binaries(args, 0)?;
    let geographic = matches!(args.return_type, DataType::Geography(_));
    let srids = if args.values.len() > 1 { Some(view::ints(args, 1)?) } else { None };
    let (mut values, mut wkb) = (Values::new(args.rows), vec![]);
    for row in 0..args.rows {
        let srid = srids.as_ref().map_or(Some(WGS84), |srids| srids.get(row));
        let (Some(bytes), Some(srid)) = (input.get(row), srid) else {
            values.append(None);
            continue;
        };
        if !geographic && !is_geometry_srid(srid) {
            return Err(invalid_srid(srid));
        }
        wkb.clear();
        normalize(bytes, true, geographic, &mut wkb)?;
        values.append(Some((srid, &wkb)));
    }
    values.finish(args)
}

fn as_binary(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let Some(structs) = array.as_struct_opt() else { return rows::bytes(args.rows, |_, _| None) };
    let (wkb, order) = (structs.column(1).as_binary::<i32>(), view::strings(args, 1)?);
    rows::try_bytes(args.rows, |row, out| {
        let Some(order) = order.get(row).filter(|_| structs.is_valid(row)) else { return Ok(None) };
        let little = match order.to_uppercase().as_str() {
            "NDR" => true,
            "XDR" => false,
            _ => return Err(SparkError::new("ST_INVALID_ENDIANNESS_VALUE", [("endianness", order)])),
        };
        normalize(wkb.value(row), little, false, out).map(Some)
    })
}

fn srid(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let Some(structs) = array.as_struct_opt() else { return rows::ints(args.rows, |_| None) };
    let srids = structs.column(0).as_primitive::<Int32Type>();
    rows::ints(args.rows, |row| structs.is_valid(row).then(|| srids.value(row)))
}

fn set_srid(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (array, srids) = (args.array(0)?, view::ints(args, 1)?);
    let geographic = matches!(args.return_type, DataType::Geography(_));
    let mut values = Values::new(args.rows);
    let structs = array.as_struct_opt();
    for row in 0..args.rows {
        let (Some(structs), Some(srid)) = (structs.filter(|s| s.is_valid(row)), srids.get(row)) else {
            values.append(None);
            continue;
        };
        if !(if geographic { srid == WGS84 } else { is_geometry_srid(srid) }) {
            return Err(invalid_srid(srid));
        }
        values.append(Some((srid, structs.column(1).as_binary::<i32>().value(row))));
    }
    values.finish(args)
}

/// The SRID that a constant gives; [`DataType::MIXED_SRID`] where it is known for each row only.
fn constant_srid(argument: &TypedExpr) -> Result<i32> {
    match fold::fold(argument)? {
        Some(datafusion::common::ScalarValue::Int32(Some(srid))) => Ok(srid),
        Some(value) if value.is_null() => Ok(0),
        _ => Ok(DataType::MIXED_SRID),
    }
}

fn call(
    context: &BuildContext<'_>,
    name: &'static str,
    kernel: crate::scalar::Kernel,
    values: Vec<TypedExpr>,
    to: DataType,
) -> Built {
    let nullable = values.iter().any(|v| v.nullable);
    let call = SparkScalar::call(name, kernel, values, to, nullable, context.eval);
    Built::Expr(call.origin(context.origin.clone()).build())
}

fn as_binary_argument(context: &BuildContext<'_>, value: TypedExpr) -> Result<TypedExpr> {
    let sql = value.sql.clone();
    let mode = crate::cast::CastMode::of(context.eval);
    crate::cast::cast(value, &DataType::Binary, mode, context.eval).map(|v| v.with_sql(sql))
}

fn build_geog(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let input = as_binary_argument(context, arguments.one(context.called_as)?)?;
    Ok(call(context, "st_geogfromwkb", from_wkb, vec![input], DataType::Geography(WGS84)))
}

fn build_geom(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let mut values = arguments.values.into_iter();
    let Some(input) = values.next() else { return Err(SparkError::internal("st_geomfromwkb without an argument")) };
    let srid = values.next().unwrap_or_else(|| TypedExpr::int(0));
    let constant = constant_srid(&srid)?;
    let values = vec![as_binary_argument(context, input)?, srid];
    Ok(call(context, "st_geomfromwkb", from_wkb, values, DataType::Geometry(constant)))
}

/// Errors with `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE` where the value is not geospatial.
fn expect_geospatial(sql: &str, value: &TypedExpr) -> Result<()> {
    if matches!(value.data_type, DataType::Geometry(_) | DataType::Geography(_) | DataType::Null) {
        return Ok(());
    }
    Err(SparkError::new(
        "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
        [
            ("sqlExpr", format!("\"{sql}\"")),
            ("paramIndex", "first".to_string()),
            ("requiredType", "(\"GEOGRAPHY\" or \"GEOMETRY\")".to_string()),
            ("inputSql", format!("\"{}\"", value.sql)),
            ("inputType", format!("\"{}\"", value.data_type.sql())),
        ],
    ))
}

fn build_as_binary(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let mut values = arguments.values;
    if values.len() == 1 {
        values.push(TypedExpr::string("NDR"));
    }
    expect_geospatial(&format!("st_asbinary({}, {})", values[0].sql, values[1].sql), &values[0])?;
    Ok(call(context, "st_asbinary", as_binary, values, DataType::Binary))
}

fn build_srid(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    expect_geospatial(&format!("st_srid({})", value.sql), &value)?;
    Ok(call(context, "st_srid", srid, vec![value], DataType::Integer))
}

fn build_set_srid(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (value, srid) = arguments.two(context.called_as)?;
    expect_geospatial(&format!("st_setsrid({}, {})", value.sql, srid.sql), &value)?;
    let constant = constant_srid(&srid)?;
    let to = match value.data_type {
        DataType::Geography(_) => DataType::Geography(constant),
        _ => DataType::Geometry(constant),
    };
    Ok(call(context, "st_setsrid", set_srid, vec![value, srid], to))
}

const fn entry(
    name: &'static str,
    parameters: &'static [&'static str],
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "st_funcs",
        parameters,
        build: Build::Custom(build),
        usage,
        examples,
        since: "4.1.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "st_asbinary",
        &["geo", "endianness"],
        build_as_binary,
        "st_asbinary(geo[, endianness]) - Returns a geospatial value as WKB, in little endian ('NDR') or big ('XDR').",
        &[(
            "SELECT hex(st_asbinary(st_geogfromwkb(X'0101000000000000000000F03F0000000000000040')));",
            "0101000000000000000000F03F0000000000000040",
        )],
    ),
    entry(
        "st_geogfromwkb",
        &["wkb"],
        build_geog,
        "st_geogfromwkb(wkb) - Reads WKB as a GEOGRAPHY.",
        &[("SELECT st_srid(st_geogfromwkb(X'0101000000000000000000F03F0000000000000040'));", "4326")],
    ),
    entry(
        "st_geomfromwkb",
        &["wkb", "srid"],
        build_geom,
        "st_geomfromwkb(wkb[, srid]) - Reads WKB as a GEOMETRY.",
        &[("SELECT st_srid(st_geomfromwkb(X'0101000000000000000000F03F0000000000000040', 4326));", "4326")],
    ),
    entry(
        "st_srid",
        &["geo"],
        build_srid,
        "st_srid(geo) - Returns the SRID of a geospatial value.",
        &[("SELECT st_srid(NULL);", "NULL")],
    ),
    entry(
        "st_setsrid",
        &["geo", "srid"],
        build_set_srid,
        "st_setsrid(geo, srid) - Returns a geospatial value with another SRID.",
        &[("SELECT st_srid(st_setsrid(st_geomfromwkb(X'0101000000000000000000F03F0000000000000040'), 3857));", "3857")],
    ),
];

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn byte_orders() {
        let point = [1u8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0x40];
        let (mut big, mut little) = (vec![], vec![]);
        normalize(&point, false, false, &mut big).unwrap();
        assert_eq!(big[..5], [0, 0, 0, 0, 1]);
        normalize(&big, true, true, &mut little).unwrap();
        assert_eq!(little, point);
        assert!(normalize(&point[..20], true, false, &mut vec![]).is_err());
    }
}
