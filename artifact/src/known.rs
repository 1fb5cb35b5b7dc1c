use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A map of which the keys that this kubexm does not know are passed over: a later one may have more.
pub(crate) fn known_keys<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: for<'k> Deserialize<'k> + Ord,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(Known(PhantomData))
}

struct Known<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for Known<K, V>
where
    K: for<'k> Deserialize<'k> + Ord,
    V: Deserialize<'de>,
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut known = BTreeMap::new();
        while let Some(key) = object.next_key::<String>()? {
            let name: StrDeserializer<'_, ValueError> = key.as_str().into_deserializer();
            match K::deserialize(name) {
                Ok(key) => {
                    known.insert(key, object.next_value()?);
                }
                Err(_) => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(known)
    }
}
