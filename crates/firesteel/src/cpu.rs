//! Whether this processor has the instructions that the binary was built for.
use std::error::Error;

/// `Err` with what to do on an x86-64 without AVX2, BMI2 and POPCNT, if the build took them for granted.
#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
pub fn check() -> Result<(), Box<dyn Error>> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    // `is_x86_feature_detected!` would answer from the build's own flags. Bits: Intel's manual, volume 2, CPUID.
    const POPCNT: u32 = 1 << 23;
    const BMI1_AVX2_BMI2: u32 = 1 << 3 | 1 << 5 | 1 << 8;
    let has = __cpuid(0).eax >= 7
        && __cpuid(1).ecx & POPCNT != 0
        && __cpuid_count(7, 0).ebx & BMI1_AVX2_BMI2 == BMI1_AVX2_BMI2;
    if has {
        return Ok(());
    }
    Err("this build of firesteel needs a processor with AVX2 and BMI2 (x86-64-v3, since about 2013): build it here with \
         RUSTFLAGS='-C target-cpu=native'"
        .into())
}

#[cfg(not(all(target_arch = "x86_64", target_feature = "avx2")))]
pub fn check() -> Result<(), Box<dyn Error>> {
    Ok(())
}
