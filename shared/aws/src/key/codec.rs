//! The items of keys.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::PortResult;
use largesse_domain::id::KeyId;
use largesse_domain::key::{KeyHash, KeyRecord, Lifetime, Networks, Owner, Terms};

use crate::item::{Item, Reader, ms, n, s};
use crate::keys;

pub(super) const EXPIRES: &str = "expires_ms";
pub(super) const REVOKED: &str = "revoked_ms";
pub(super) const REPLACED: &str = "replaced_by";
pub(super) const USED: &str = "last_used_ms";
pub(super) const KEY_IDS: &str = "key_ids";
pub(super) const VERSION: &str = "version";

pub(super) fn key_item(key: &KeyRecord) -> Item {
    let mut item = keys::key(key.id);
    let mut put = |name: &str, value: Option<Av>| {
        if let Some(value) = value {
            item.insert(name.to_owned(), value);
        }
    };
    let Terms { owner, scopes, networks } = &key.terms;
    put("owner", Some(s(owner)));
    put("hash", Some(Av::B(Blob::new(key.hash.bytes().to_vec()))));
    put("scopes", Some(s(scopes)));
    put("networks", (!networks.is_empty()).then(|| s(networks)));
    put("created_ms", Some(ms(key.lifetime.created)));
    put(EXPIRES, key.lifetime.expires.map(ms));
    put(REVOKED, key.revoked.map(ms));
    put(REPLACED, key.replaced_by.map(s));
    put(USED, key.last_used.map(ms));
    item
}

pub(super) fn read_key(item: &Item) -> PortResult<KeyRecord> {
    let reader = Reader { item, what: "key item" };
    let terms = Terms {
        owner: reader.parse("owner")?,
        scopes: reader.parse("scopes")?,
        networks: reader.optional("networks", Reader::parse::<Networks>)?.unwrap_or_default(),
    };
    let lifetime = Lifetime {
        created: reader.ms("created_ms")?,
        expires: reader.optional(EXPIRES, Reader::ms)?,
    };
    let id: KeyId = reader.parse_after(keys::PK, keys::KEY)?;
    let hash = KeyHash::from_bytes(reader.bytes("hash")?);
    Ok(KeyRecord {
        revoked: reader.optional(REVOKED, Reader::ms)?,
        replaced_by: reader.optional(REPLACED, Reader::parse)?,
        last_used: reader.optional(USED, Reader::ms)?,
        ..KeyRecord::new(id, hash, terms, lifetime)
    })
}

/// The list of an owner's keys, as the item of that version.
pub(super) fn list_item(owner: &Owner, version: u64, ids: &[KeyId]) -> Item {
    let mut item = keys::owner_keys(owner);
    let ids: Vec<String> = ids.iter().map(KeyId::to_string).collect();
    item.insert(VERSION.to_owned(), n(version));
    item.insert(KEY_IDS.to_owned(), s(ids.join(",")));
    item
}

pub(super) fn read_list(item: &Item) -> PortResult<(u64, Vec<KeyId>)> {
    let reader = Reader { item, what: "list of keys" };
    let ids = reader.text(KEY_IDS)?.split(',').map(|id| id.parse().map_err(|_| reader.corrupt()));
    Ok((reader.number(VERSION)?, ids.collect::<PortResult<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::id::Ulid;
    use largesse_domain::key::{ApiKey, KEY_RANDOM_LEN, Scopes};
    use largesse_domain::time::Timestamp;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let at = Timestamp::from_ms;
        let key = ApiKey::new(KeyId(Ulid::from_parts(1, 2)), &[7; KEY_RANDOM_LEN]);
        let terms = Terms {
            owner: "chat".parse().unwrap(),
            scopes: Scopes::all(),
            networks: Networks::default(),
        };
        let lifetime = Lifetime { created: at(1), expires: None };
        let least = KeyRecord::new(key.id(), key.hash(), terms, lifetime);
        assert_eq!(read_key(&key_item(&least)).unwrap(), least);
        let networks = "10.0.0.0/8,2001:db8::/32".parse().unwrap();
        let most = KeyRecord {
            terms: Terms { networks, ..least.terms.clone() },
            lifetime: Lifetime { created: at(1), expires: Some(at(2)) },
            revoked: Some(at(3)),
            replaced_by: Some(KeyId(Ulid::from_parts(3, 4))),
            last_used: Some(at(4)),
            ..least
        };
        assert_eq!(read_key(&key_item(&most)).unwrap(), most);
        let secret = &key.reveal()[30..];
        assert!(!format!("{:?}", key_item(&most)).contains(secret), "only the hash is stored");
    }
}
