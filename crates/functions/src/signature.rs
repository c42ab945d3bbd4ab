//! The declarative form of a scalar function: accepted types, result type, null rule and kernel.
use firesteel_plan::{DataType, Result};

use crate::coerce;
use crate::registry::{Arguments, BuildContext, Function, wrong_num_args};
use crate::scalar::{Kernel, SparkScalar};
use crate::typed::TypedExpr;

/// Types an argument may have; others are cast implicitly where Spark does so ([`coerce::implicit_cast`]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Accept {
    Any,
    Boolean,
    /// INT
    Integer,
    /// BIGINT
    Long,
    /// TINYINT … BIGINT, kept as given
    Integral,
    /// Any number, kept as given
    Numeric,
    Double,
    /// DECIMAL, kept as given
    Decimal,
    /// STRING (CHAR and VARCHAR count as STRING)
    String,
    /// STRING; nothing else is cast to it
    ExactString,
    Binary,
    StringOrBinary,
    /// STRING, or an ARRAY of STRING
    StringOrStringArray,
    Date,
    Timestamp,
    TimestampNtz,
    /// TIMESTAMP or TIMESTAMP_NTZ, kept as given
    AnyTimestamp,
    /// DATE, TIMESTAMP or TIMESTAMP_NTZ
    DateOrTimestamp,
    Time,
    DayTimeInterval,
    YearMonthInterval,
    CalendarInterval,
    /// A number or an interval of any kind
    NumericOrInterval,
    /// A number, or an interval of months or of days and time
    NumericOrAnsiInterval,
    /// Any ARRAY
    Array,
    /// Any MAP
    Map,
    /// ARRAY or MAP
    ArrayOrMap,
    /// Any STRUCT
    Struct,
    Variant,
    /// Anything that can be ordered
    Orderable,
    /// The widest common type of all arguments marked so
    Common,
}

/// The type of the result.
#[derive(Clone, Copy)]
pub enum Returns {
    Is(SimpleType),
    /// The (cast) type of an argument
    Argument(usize),
    /// Computed from the (cast) arguments
    Of(fn(&[TypedExpr]) -> Result<DataType>),
}

/// Constant types for tables; [`DataType`] itself is not `Copy`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SimpleType {
    Boolean,
    Byte,
    Short,
    Integer,
    Long,
    Float,
    Double,
    String,
    Binary,
    Date,
    Timestamp,
    TimestampNtz,
    CalendarInterval,
    DayTimeInterval,
    YearMonthInterval,
    StringArray,
    Variant,
}

impl SimpleType {
    pub fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Byte => DataType::Byte,
            Self::Short => DataType::Short,
            Self::Integer => DataType::Integer,
            Self::Long => DataType::Long,
            Self::Float => DataType::Float,
            Self::Double => DataType::Double,
            Self::String => DataType::STRING,
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date,
            Self::Timestamp => DataType::Timestamp,
            Self::TimestampNtz => DataType::TimestampNtz,
            Self::CalendarInterval => DataType::CalendarInterval,
            Self::DayTimeInterval => DataType::DAY_TIME,
            Self::YearMonthInterval => DataType::YEAR_MONTH,
            Self::StringArray => DataType::array(DataType::STRING, true),
            Self::Variant => DataType::Variant,
        }
    }
}

/// Whether the result can be NULL.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nulls {
    /// If any argument is NULL; the kernel sees NULLs and must keep them
    IfAny,
    /// If the first argument is NULL
    IfFirst,
    Always,
    Never,
}

/// What stands for an optional argument that was left out; Spark shows it in the call's text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DefaultArgument {
    Integer(i32),
    String(&'static str),
    Boolean(bool),
    Null(SimpleType),
}

impl DefaultArgument {
    fn literal(self) -> TypedExpr {
        match self {
            Self::Integer(value) => TypedExpr::int(value),
            Self::String(value) => TypedExpr::string(value),
            Self::Boolean(value) => TypedExpr::boolean(value),
            Self::Null(data_type) => TypedExpr::null(data_type.data_type()),
        }
    }
}

#[derive(Clone, Copy)]
pub struct Signature {
    pub required: &'static [Accept],
    pub optional: &'static [Accept],
    /// Any number more of these
    pub rest: Option<Accept>,
    pub returns: Returns,
    pub nulls: Nulls,
    pub kernel: Kernel,
    /// Values of the last optional arguments
    pub defaults: &'static [DefaultArgument],
    /// The call's text where it is not `name(a, b)`: from the name it was called by and the texts of the arguments
    pub shown: Option<fn(&str, &[String]) -> String>,
}

impl Signature {
    pub const fn new(required: &'static [Accept], returns: Returns, kernel: Kernel) -> Self {
        Self { required, optional: &[], rest: None, returns, nulls: Nulls::IfAny, kernel, defaults: &[], shown: None }
    }
    pub const fn optional(mut self, optional: &'static [Accept]) -> Self {
        self.optional = optional;
        self
    }
    pub const fn rest(mut self, rest: Accept) -> Self {
        self.rest = Some(rest);
        self
    }
    pub const fn nulls(mut self, nulls: Nulls) -> Self {
        self.nulls = nulls;
        self
    }
    /// Values for the optional arguments, from the first of them.
    pub const fn defaults(mut self, defaults: &'static [DefaultArgument]) -> Self {
        self.defaults = defaults;
        self
    }
    pub const fn shown(mut self, shown: fn(&str, &[String]) -> String) -> Self {
        self.shown = Some(shown);
        self
    }

    fn accept(&self, index: usize) -> Option<Accept> {
        let (required, optional) = (self.required.len(), self.optional.len());
        self.required
            .get(index)
            .or_else(|| self.optional.get(index.wrapping_sub(required)))
            .copied()
            .or(if index >= required + optional { self.rest } else { None })
    }

    fn text(&self, name: &str, written: &[String]) -> String {
        match self.shown {
            Some(shown) => shown(name, written),
            None => format!("{name}({})", written.join(", ")),
        }
    }

    pub fn build(
        &self,
        function: &Function,
        context: &BuildContext<'_>,
        mut arguments: Arguments<'_>,
    ) -> Result<TypedExpr> {
        let (least, count) = (self.required.len(), arguments.values.len());
        let most = if self.rest.is_some() { usize::MAX } else { least + self.optional.len() };
        if !(least..=most).contains(&count) {
            return Err(wrong_num_args(context.called_as, least, most, count));
        }
        let missing = self.defaults.iter().skip(count - least);
        arguments.values.extend(missing.map(|d| d.literal()));
        let count = arguments.values.len();
        let written: Vec<String> = arguments.values.iter().map(|a| a.sql.clone()).collect();
        let sql = self.text(context.called_as, &written);
        let accepts: Vec<Accept> = (0..count).map(|i| self.accept(i).unwrap_or(Accept::Any)).collect();
        let args = coerce::arguments(&sql, &accepts, arguments.values, context)?;
        let args = coerce::collations::unify(function.name, &sql, args, context)?;
        // A constant shows the collation it was given, but not where the call stands for another one.
        let recollated = args.iter().zip(&written).any(|(arg, text)| arg.sql != *text) && function.name != "btrim";
        let sql = if recollated {
            self.text(context.called_as, &args.iter().map(|a| a.sql.clone()).collect::<Vec<_>>())
        } else {
            sql
        };
        let data_type = match self.returns {
            Returns::Is(constant) => constant.data_type(),
            Returns::Argument(index) => args.get(index).map_or(DataType::Null, |a| a.data_type.clone()),
            Returns::Of(rule) => rule(&args)?,
        };
        let nullable = match self.nulls {
            Nulls::IfAny => args.iter().any(|a| a.nullable),
            Nulls::IfFirst => args.first().is_some_and(|a| a.nullable),
            Nulls::Always => true,
            Nulls::Never => false,
        };
        let call = SparkScalar::call(function.name, self.kernel, args, data_type, nullable, context.eval);
        Ok(call.origin(context.origin.clone()).build().with_sql(sql))
    }
}
