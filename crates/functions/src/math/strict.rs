//! Logarithms, the cube root and powers as Java's `StrictMath` computes them: the algorithms of fdlibm (Sun Microsystems,
//! 1993), whose last digits differ from those of other libraries.

fn high(x: f64) -> i32 {
    (x.to_bits() >> 32) as i32
}

fn with_high(x: f64, high: i32) -> f64 {
    f64::from_bits((x.to_bits() & 0xFFFF_FFFF) | (u64::from(high as u32) << 32))
}

/// Without the lower half of its bits.
fn rough(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & 0xFFFF_FFFF_0000_0000)
}

const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
const TWO_54: f64 = 1.801_439_850_948_198_4e+16;

/// The coefficients of the logarithm's series.
const LG: [f64; 7] = [
    0.666_666_666_666_673_5,
    0.399_999_999_994_094_2,
    0.285_714_287_436_623_9,
    0.222_221_984_321_497_84,
    0.181_835_721_616_180_5,
    0.153_138_376_992_093_73,
    0.147_981_986_051_165_86,
];

/// The rest of `ln(1 + f) = f - s * (f - R)` for `s = f / (2 + f)`.
fn series(z: f64) -> f64 {
    let w = z * z;
    let even = w * (LG[1] + w * (LG[3] + w * LG[5]));
    let odd = z * (LG[0] + w * (LG[2] + w * (LG[4] + w * LG[6])));
    odd + even
}

/// The natural logarithm.
pub fn ln(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x.is_infinite() {
        return x;
    }
    let (x, mut k) = if x < f64::MIN_POSITIVE { (x * TWO_54, -54) } else { (x, 0) };
    let hx = high(x) & 0x000f_ffff;
    k += (high(x) >> 20) - 1023;
    let i = (hx + 0x95f64) & 0x0010_0000;
    // Normalised to the half of the octave that is nearer to 1.
    let f = with_high(x, hx | (i ^ 0x3ff0_0000)) - 1.0;
    k += i >> 20;
    let dk = f64::from(k);
    if (0x000f_ffff & (2 + hx)) < 3 {
        if f == 0.0 {
            return dk * LN2_HIGH + dk * LN2_LOW;
        }
        let r = f * f * (0.5 - 0.333_333_333_333_333_3 * f);
        return if k == 0 { f - r } else { dk * LN2_HIGH - ((r - dk * LN2_LOW) - f) };
    }
    let s = f / (2.0 + f);
    let r = series(s * s);
    if ((hx - 0x6147a) | (0x6b851 - hx)) > 0 {
        let half = 0.5 * f * f;
        if k == 0 {
            return f - (half - s * (half + r));
        }
        return dk * LN2_HIGH - ((half - (s * (half + r) + dk * LN2_LOW)) - f);
    }
    if k == 0 { f - s * (f - r) } else { dk * LN2_HIGH - ((s * (f - r) - dk * LN2_LOW) - f) }
}

pub fn log10(x: f64) -> f64 {
    const PER_LN10: f64 = std::f64::consts::LOG10_E;
    const LOG2_HIGH: f64 = 0.301_029_995_663_611_77;
    const LOG2_LOW: f64 = 3.694_239_077_158_931e-13;
    if x.is_nan() || x <= 0.0 || x.is_infinite() {
        return ln(x);
    }
    let (x, mut k) = if x < f64::MIN_POSITIVE { (x * TWO_54, -54) } else { (x, 0) };
    k += (high(x) >> 20) - 1023;
    let i = i32::from(k < 0);
    let mantissa = with_high(x, (high(x) & 0x000f_ffff) | ((0x3ff - i) << 20));
    let y = f64::from(k + i);
    let z = y * LOG2_LOW + PER_LN10 * ln(mantissa);
    z + y * LOG2_HIGH
}

/// `ln(1 + x)`
pub fn ln_1p(x: f64) -> f64 {
    if x.is_nan() || x < -1.0 {
        return f64::NAN;
    }
    if x == -1.0 {
        return f64::NEG_INFINITY;
    }
    let hx = high(x);
    let ax = hx & 0x7fff_ffff;
    if x.is_infinite() {
        return x;
    }
    if ax < 0x3e20_0000 {
        // |x| < 2^-29
        return if ax < 0x3c90_0000 { x } else { x - x * x * 0.5 };
    }
    let (mut k, mut f, mut hu, mut c) = (0, x, 1, 0.0);
    // Between -0.2929 and 0.414_22 nothing has to be scaled.
    let small = hx < 0x3FDA_827A && (hx > 0 || hx <= 0xbfd2_bec3_u32 as i32);
    if !small {
        let u = if hx < 0x4340_0000 { 1.0 + x } else { x };
        hu = high(u);
        k = (hu >> 20) - 1023;
        if hx < 0x4340_0000 {
            c = (if k > 0 { 1.0 - (u - x) } else { x - (u - 1.0) }) / u;
        }
        hu &= 0x000f_ffff;
        let u = if hu < 0x6a09e {
            with_high(u, hu | 0x3ff0_0000)
        } else {
            k += 1;
            let scaled = with_high(u, hu | 0x3fe0_0000);
            hu = (0x0010_0000 - hu) >> 2;
            scaled
        };
        f = u - 1.0;
    }
    let dk = f64::from(k);
    let half = 0.5 * f * f;
    if hu == 0 {
        // |f| < 2^-20
        if f == 0.0 {
            return if k == 0 { 0.0 } else { dk * LN2_HIGH + (c + dk * LN2_LOW) };
        }
        let r = half * (1.0 - 0.666_666_666_666_666_6 * f);
        return if k == 0 { f - r } else { dk * LN2_HIGH - ((r - (dk * LN2_LOW + c)) - f) };
    }
    let s = f / (2.0 + f);
    let r = one_series(s * s);
    if k == 0 {
        f - (half - s * (half + r))
    } else {
        dk * LN2_HIGH - ((half - (s * (half + r) + (dk * LN2_LOW + c))) - f)
    }
}

/// As [`series`], summed in one chain.
fn one_series(z: f64) -> f64 {
    LG.iter().rev().fold(0.0, |sum, c| z * (c + sum))
}

pub fn cbrt(x: f64) -> f64 {
    const C: f64 = 0.542_857_142_857_142_8;
    const D: f64 = -0.705_306_122_448_979_6;
    const E: f64 = 1.414_285_714_285_714_4;
    const F: f64 = 1.607_142_857_142_857_2;
    const G: f64 = 0.357_142_857_142_857_15;
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let size = x.abs();
    let t = if size < f64::MIN_POSITIVE {
        let scaled = TWO_54 * size;
        with_high(scaled, high(scaled) / 3 + 696_219_795)
    } else {
        with_high(0.0, high(size) / 3 + 715_094_163)
    };
    let r = t * t / size;
    let s = C + r * t;
    let t = t * (G + F / (s + E + D / s));
    // 20 bits are enough for one step of Newton's, and make the square exact.
    let t = with_high(0.0, high(t) + 1);
    let s = t * t;
    let r = size / s;
    let r = (r - t) / (t + t + r);
    (t + t * r).copysign(x)
}

/// Two to the power of a number, in two parts.
fn exp2_of(z_high: f64, z_low: f64, sign: f64) -> f64 {
    const P: [f64; 5] = [
        0.166_666_666_666_666_02,
        -0.002_777_777_777_701_559_3,
        6.613_756_321_437_934e-05,
        -1.653_390_220_546_525_2e-06,
        4.138_136_797_057_238_5e-08,
    ];
    const LG2: f64 = std::f64::consts::LN_2;
    const LG2_HIGH: f64 = 0.693_147_182_464_599_6;
    const LG2_LOW: f64 = -1.904_654_299_957_768e-09;
    let z = z_low + z_high;
    let j = high(z);
    let i = j & 0x7fff_ffff;
    let mut k = (i >> 20) - 0x3ff;
    let mut n = 0;
    let mut z_high = z_high;
    if i > 0x3fe0_0000 {
        // |z| > 0.5: the whole part goes to the exponent.
        n = j + (0x0010_0000 >> (k + 1));
        k = ((n & 0x7fff_ffff) >> 20) - 0x3ff;
        let t = with_high(0.0, n & !(0x000f_ffff >> k));
        n = ((n & 0x000f_ffff) | 0x0010_0000) >> (20 - k);
        if j < 0 {
            n = -n;
        }
        z_high -= t;
    }
    let t = rough(z_low + z_high);
    let u = t * LG2_HIGH;
    let v = (z_low - (t - z_high)) * LG2 + t * LG2_LOW;
    let z = u + v;
    let w = v - (z - u);
    let t = z * z;
    let t1 = z - t * (P[0] + t * (P[1] + t * (P[2] + t * (P[3] + t * P[4]))));
    let r = (z * t1) / (t1 - 2.0) - (w + z * w);
    let z = 1.0 - (r - z);
    let j = high(z).wrapping_add(n << 20);
    if (j >> 20) <= 0 { sign * scaled(z, n) } else { sign * with_high(z, j) }
}

/// `x * 2^n`, where that is not a normal number.
fn scaled(x: f64, n: i32) -> f64 {
    let step = f64::from_bits(((n + 54 + 1023).max(1) as u64) << 52);
    x * step / TWO_54
}

/// `log2(x)` of a number above zero, in two parts.
fn log2_parts(x: f64) -> (f64, f64) {
    const L: [f64; 6] = [
        0.599_999_999_999_994_6,
        0.428_571_428_578_550_2,
        0.333_333_329_818_377_43,
        0.272_728_123_808_534,
        0.230_660_745_775_561_75,
        0.206_975_017_800_338_42,
    ];
    const DP_HIGH: [f64; 2] = [0.0, 0.584_962_487_220_764_2];
    const DP_LOW: [f64; 2] = [0.0, 1.350_039_202_129_749e-08];
    const BP: [f64; 2] = [1.0, 1.5];
    const CP: f64 = 0.961_796_693_925_975_6;
    const CP_HIGH: f64 = 0.961_796_700_954_437_3;
    const CP_LOW: f64 = -7.028_461_650_952_758e-09;
    let (ax, mut n) = if x < f64::MIN_POSITIVE { (x * 9_007_199_254_740_992.0, -53) } else { (x, 0) };
    let ix = high(ax);
    n += (ix >> 20) - 0x3ff;
    let j = ix & 0x000f_ffff;
    let mut ix = j | 0x3ff0_0000;
    let k = if j <= 0x3988E {
        0
    } else if j < 0xBB67A {
        1
    } else {
        n += 1;
        ix -= 0x0010_0000;
        0
    };
    let ax = with_high(ax, ix);
    let (u, v) = (ax - BP[k], 1.0 / (ax + BP[k]));
    let ss = u * v;
    let s_high = rough(ss);
    let t_high = with_high(0.0, ((ix >> 1) | 0x2000_0000) + 0x0008_0000 + ((k as i32) << 18));
    let t_low = ax - (t_high - BP[k]);
    let s_low = v * ((u - s_high * t_high) - s_high * t_low);
    let s2 = ss * ss;
    let r = s2 * s2 * (L[0] + s2 * (L[1] + s2 * (L[2] + s2 * (L[3] + s2 * (L[4] + s2 * L[5])))));
    let r = r + s_low * (s_high + ss);
    let s2 = s_high * s_high;
    let t_high = rough(3.0 + s2 + r);
    let t_low = r - ((t_high - 3.0) - s2);
    let (u, v) = (s_high * t_high, s_low * t_high + t_low * ss);
    let p_high = rough(u + v);
    let p_low = v - (p_high - u);
    let z_high = CP_HIGH * p_high;
    let z_low = CP_LOW * p_high + p_low * CP + DP_LOW[k];
    let t = f64::from(n);
    let t1 = rough(((z_high + z_low) + DP_HIGH[k]) + t);
    (t1, z_low - (((t1 - t) - DP_HIGH[k]) - z_high))
}

/// `x` to the power of `y`; a base of -1 or 1 and an infinite exponent are for the caller.
pub fn pow(x: f64, y: f64) -> f64 {
    let size = x.abs();
    let plain = y == 0.0
        || x.is_nan()
        || y.is_nan()
        || x == 0.0
        || !x.is_finite()
        || !y.is_finite()
        || size == 1.0
        || y == 1.0
        || y == 2.0
        || (y == 0.5 && x >= 0.0)
        || (x < 0.0 && y.fract() != 0.0);
    if plain || y.abs() > 9_007_199_254_740_992.0 {
        return x.powf(y);
    }
    if y == -1.0 {
        return 1.0 / x;
    }
    let sign = if x < 0.0 && y % 2.0 != 0.0 { -1.0 } else { 1.0 };
    let (t1, t2) = log2_parts(size);
    let y1 = rough(y);
    let p_low = (y - y1) * t1 + y * t2;
    let p_high = y1 * t1;
    let z = p_low + p_high;
    if z >= 1024.0 || z <= -1075.0 {
        return x.powf(y);
    }
    exp2_of(p_high, p_low, sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_java() {
        assert_eq!(ln(3.0), 1.0986122886681096);
        assert_eq!(log10(52.0), 1.716003343634799);
        assert_eq!(ln_1p(175.0), 5.170483995038152);
        assert_eq!(cbrt(13.0), 2.3513346877207573);
        assert_eq!(cbrt(-27.0), -3.0);
        assert_eq!(pow(13.0, 0.3), 2.15865384442158);
    }

    #[test]
    fn they_are_near_those_of_the_machine() {
        for step in 1..4000 {
            let x = f64::from(step) * 0.37 + 1e-3;
            for (ours, theirs) in [
                (ln(x), x.ln()),
                (log10(x), x.log10()),
                (ln_1p(x - 1.0), (x - 1.0).ln_1p()),
                (cbrt(x), x.cbrt()),
                (pow(x, 2.7), x.powf(2.7)),
                (pow(x, -3.0), x.powf(-3.0)),
                (pow(x, 0.01), x.powf(0.01)),
            ] {
                assert!((ours - theirs).abs() <= theirs.abs() * 1e-15, "{x}: {ours} {theirs}");
            }
        }
        assert_eq!(pow(2.0, -1074.0), f64::from_bits(1));
    }
}
