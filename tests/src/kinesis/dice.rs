//! Randomness from a seed: the same throws on every machine and in every release (SplitMix64: Steele, Lea, Flood 2014).

/// A row of throws.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Begins at a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A row of its own for the `number`th thing of a seed, whatever was thrown for the others.
    #[must_use]
    pub fn of(seed: u64, number: u64) -> Self {
        let mut dice = Self::new(seed ^ number.wrapping_mul(0xD1B5_4A32_D192_ED03));
        dice.throw();
        dice
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, or 0 when that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.throw().checked_rem(bound).unwrap_or(0)
    }

    /// True so often in a thousand.
    pub fn per_mille(&mut self, chance: u32) -> bool {
        self.below(1000) < u64::from(chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_are_those_of_the_reference() {
        // The first outputs for seed 1234567, as published with the algorithm.
        let mut dice = Dice::new(1_234_567);
        let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(published.map(|_| dice.throw()), published);
    }

    #[test]
    fn chances_are_kept_and_rows_differ() {
        let mut dice = Dice::new(7);
        let hits = (0..100_000).filter(|_| dice.per_mille(30)).count();
        assert!((2_700..3_300).contains(&hits), "{hits} of 100000 at 30 in a thousand");
        let firsts: std::collections::BTreeSet<u64> = (0..1000).map(|number| Dice::of(7, number).throw()).collect();
        assert_eq!(firsts.len(), 1000);
        assert_eq!(Dice::new(1).below(0), 0);
    }
}
