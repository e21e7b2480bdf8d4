//! A list that holds one element without going to the heap: what may come several times and nearly always comes once.

use std::ops::Deref;

/// None, one, or several.
#[derive(Debug, Clone)]
pub enum Few<T> {
    /// One, in place.
    One(T),
    /// Any other number.
    Many(Vec<T>),
}

impl<T> Few<T> {
    /// Behind the others.
    pub fn push(&mut self, value: T) {
        match self {
            Self::Many(all) if all.is_empty() => *self = Self::One(value),
            Self::Many(all) => all.push(value),
            Self::One(_) => {
                if let Self::One(first) = std::mem::take(self) {
                    *self = Self::Many(vec![first, value]);
                }
            }
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(all) => all,
        }
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T> From<T> for Few<T> {
    fn from(one: T) -> Self {
        Self::One(one)
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut few = Self::default();
        values.into_iter().for_each(|value| few.push(value));
        few
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, all) = match self {
            Self::One(one) => (Some(one), Vec::new()),
            Self::Many(all) => (None, all),
        };
        one.into_iter().chain(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_stays_in_order() {
        for count in 0..5_u32 {
            let few: Few<u32> = (0..count).collect();
            assert_eq!(*few, *(0..count).collect::<Vec<_>>());
            assert_eq!(few.clone().into_iter().collect::<Vec<_>>(), *few);
            assert_eq!(matches!(few, Few::One(_)), count == 1, "one needs no heap");
            assert_eq!(few, Few::Many((0..count).collect()), "however it is kept");
        }
    }
}
