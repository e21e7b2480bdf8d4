//! The Time format: NTP seconds in 32 bits (RFC 6733 section 4.3.1).

/// Seconds from 1900 to 1970.
const NTP_TO_UNIX_SECONDS: i64 = 2_208_988_800;

/// Seconds of one NTP era.
const ERA_SECONDS: i64 = 1 << 32;

/// A point in time, in whole seconds. Numbers with the highest bit set are 1968 to 2036, those without it 2036 to 2104.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time(pub u32);

impl Time {
    /// Milliseconds since 1970, UTC.
    pub fn epoch_ms(self) -> i64 {
        let era = if self.0 & 0x8000_0000 == 0 { ERA_SECONDS } else { 0 };
        (i64::from(self.0) + era - NTP_TO_UNIX_SECONDS) * 1_000
    }

    /// From milliseconds since 1970, UTC, rounded down to a second; `None` outside 1968 to 2104.
    pub fn from_epoch_ms(epoch_ms: i64) -> Option<Self> {
        let since_1900 = epoch_ms.div_euclid(1_000).checked_add(NTP_TO_UNIX_SECONDS)?;
        let permitted = ERA_SECONDS / 2..ERA_SECONDS + ERA_SECONDS / 2;
        let in_era = permitted.contains(&since_1900).then(|| since_1900.rem_euclid(ERA_SECONDS))?;
        u32::try_from(in_era).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_eras_come_back() {
        let rows: &[(u32, i64)] = &[
            (0xEEAC_B36F, 1_795_306_735_000),
            (0x83AA_7E80, 0),
            (0x8000_0000, -61_505_152_000),
            (0xFFFF_FFFF, 2_085_978_495_000),
            (0, 2_085_978_496_000),
            (0x7FFF_FFFF, 4_233_462_143_000),
        ];
        for (ntp, epoch_ms) in rows {
            assert_eq!(Time(*ntp).epoch_ms(), *epoch_ms, "{ntp:#x}");
            assert_eq!(Time::from_epoch_ms(*epoch_ms), Some(Time(*ntp)), "{epoch_ms}");
            assert_eq!(Time::from_epoch_ms(*epoch_ms + 999), Some(Time(*ntp)), "{epoch_ms} rounded down");
        }
        for outside in [-61_505_152_001, 4_233_462_144_000, i64::MIN, i64::MAX] {
            assert_eq!(Time::from_epoch_ms(outside), None, "{outside}");
        }
    }
}
