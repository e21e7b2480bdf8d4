//! A list that mostly has one entry, which then needs no allocation of its own: there are millions of such lists, and each
//! allocation is a place in memory that is not in the cache when it is asked for. Written as any list.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug, Clone, Default)]
pub(crate) enum Few<T> {
    #[default]
    None,
    One(T),
    /// Two or more; fewer only where entries were taken away.
    Many(Vec<T>),
}

impl<T> Few<T> {
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Self::None => &mut [],
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(many) => many,
        }
    }

    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.as_slice().iter()
    }

    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub fn push(&mut self, new: T) {
        self.insert(self.as_slice().len(), new);
    }

    /// At a place up to the length.
    pub fn insert(&mut self, at: usize, new: T) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(new),
            Self::One(one) => Self::Many(if at == 0 { vec![new, one] } else { vec![one, new] }),
            Self::Many(mut many) => {
                many.insert(at.min(many.len()), new);
                Self::Many(many)
            }
        };
    }

    pub fn remove(&mut self, at: usize) {
        match self {
            Self::One(_) if at == 0 => *self = Self::None,
            Self::Many(many) if at < many.len() => drop(many.remove(at)),
            _ => {}
        }
    }

    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        match self {
            Self::One(one) if !keep(one) => *self = Self::None,
            Self::Many(many) => many.retain(keep),
            _ => {}
        }
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut all: Vec<T>) -> Self {
        match all.len() {
            0 => Self::None,
            1 => all.pop().map_or(Self::None, Self::One),
            _ => Self::Many(all),
        }
    }
}

impl<T: Serialize> Serialize for Few<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same as a vector, whatever is done to both.
    #[test]
    fn it_is_a_vector() {
        let mut two = Few::One(2);
        two.insert(0, 1);
        assert_eq!(two.as_slice(), [1, 2]);
        let (mut few, mut vector): (Few<u32>, Vec<u32>) = (Few::None, Vec::new());
        for step in 0..200_u32 {
            let at = usize::try_from(step * 7 % 5).expect("small").min(vector.len());
            match step % 7 {
                0 | 3 | 4 => {
                    few.insert(at, step);
                    vector.insert(at, step);
                }
                1 => {
                    few.push(step);
                    vector.push(step);
                }
                5 if step % 3 == 0 => {
                    few.retain(|one| one % 2 == 0);
                    vector.retain(|one| one % 2 == 0);
                }
                _ if at < vector.len() => {
                    few.remove(at);
                    vector.remove(at);
                }
                _ => few.remove(at),
            }
            assert_eq!((few.as_slice(), few.is_empty()), (&vector[..], vector.is_empty()), "{step}");
            let written = postcard::to_extend(&vector, Vec::new()).expect("written");
            assert_eq!(postcard::to_extend(&few, Vec::new()).expect("written"), written);
            assert_eq!(postcard::from_bytes::<Few<u32>>(&written).expect("read"), few);
        }
    }
}
