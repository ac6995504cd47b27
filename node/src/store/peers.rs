//! Peers that this department pinned, and, apart from them, those the coordinator introduced.

use banyan_proto::identity::PublicKey;
use banyan_protocols::party::PartyId;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Result, Store, StoreError, now, text, unreadable};

/// The most peers of either kind: a city has fewer departments.
pub const INTRODUCTIONS_MAX: u32 = 1024;

/// A peer: its name, its key, and where it can be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The name.
    pub name: PartyId,
    /// The key.
    pub key: PublicKey,
    /// The `host:port` to dial; none: it can only dial out.
    pub url: Option<String>,
}

impl Store {
    /// Pins a peer's key, which its department confirmed. Pinning the same key again changes the url only.
    ///
    /// # Errors
    /// [`StoreError::PinnedOtherwise`] where the name has another key, [`StoreError::KeyInUse`] where the key has another
    /// name.
    pub fn pin_peer(&self, name: &PartyId, key: &PublicKey, url: Option<&str>) -> Result<()> {
        self.write(|t| {
            let all = read_all(t, "peers")?;
            if let Some(pinned) = all.iter().find(|peer| peer.name == *name && peer.key != *key) {
                return Err(StoreError::PinnedOtherwise { name: name.clone(), pinned: pinned.key.fingerprint() });
            }
            if let Some(pinned) = all.iter().find(|peer| peer.name != *name && peer.key == *key) {
                return Err(StoreError::KeyInUse { name: pinned.name.clone() });
            }
            put(t, "peers", name, key, url, "unpin peers that are gone")
        })
    }

    /// Forgets a pinned peer; gives whether there was one.
    ///
    /// # Errors
    /// As the database says.
    pub fn unpin(&self, name: &PartyId) -> Result<bool> {
        self.write(|t| Ok(t.execute("DELETE FROM peers WHERE name = ?1", [name.as_str()])? > 0))
    }

    /// The pinned peer of that name.
    ///
    /// # Errors
    /// As the database says.
    pub fn pinned(&self, name: &PartyId) -> Result<Option<Peer>> {
        self.with(|c| read_one(c, "peers", name))
    }

    /// Every pinned peer, by name.
    ///
    /// # Errors
    /// As the database says.
    pub fn peers(&self) -> Result<Vec<Peer>> {
        self.with(|c| read_all(c, "peers"))
    }

    /// Keeps what the coordinator says of a party: a help for the person who pins, never trusted.
    ///
    /// # Errors
    /// [`StoreError::Full`] at [`INTRODUCTIONS_MAX`].
    pub fn introduce(&self, name: &PartyId, key: &PublicKey, url: Option<&str>) -> Result<()> {
        self.write(|t| put(t, "introductions", name, key, url, "ask the operator why it introduces so many"))
    }

    /// What the coordinator says of the party of that name.
    ///
    /// # Errors
    /// As the database says.
    pub fn introduced(&self, name: &PartyId) -> Result<Option<Peer>> {
        self.with(|c| read_one(c, "introductions", name))
    }

    /// Everybody the coordinator introduced, by name.
    ///
    /// # Errors
    /// As the database says.
    pub fn introductions(&self) -> Result<Vec<Peer>> {
        self.with(|c| read_all(c, "introductions"))
    }
}

fn put(
    c: &Connection,
    table: &str,
    name: &PartyId,
    key: &PublicKey,
    url: Option<&str>,
    remedy: &'static str,
) -> Result<()> {
    let others = format!("SELECT count(*) FROM {table} WHERE name <> ?1");
    let others: u32 = c.query_row(&others, [name.as_str()], |row| row.get(0))?;
    if others >= INTRODUCTIONS_MAX {
        return Err(StoreError::Full { what: "peers", max: INTRODUCTIONS_MAX, remedy });
    }
    let upsert = format!(
        "INSERT INTO {table} (name, key, url, since) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET key = ?2, url = ?3"
    );
    c.execute(&upsert, params![name.as_str(), key.as_bytes(), url, now()])?;
    Ok(())
}

fn read_one(c: &Connection, table: &str, name: &PartyId) -> rusqlite::Result<Option<Peer>> {
    c.query_row(&format!("SELECT name, key, url FROM {table} WHERE name = ?1"), [name.as_str()], peer).optional()
}

fn read_all(c: &Connection, table: &str) -> rusqlite::Result<Vec<Peer>> {
    c.prepare(&format!("SELECT name, key, url FROM {table} ORDER BY name"))?.query_map([], peer)?.collect()
}

fn peer(row: &Row<'_>) -> rusqlite::Result<Peer> {
    let key: [u8; 32] = row.get("key")?;
    Ok(Peer {
        name: text(row, "name", |name| PartyId::new(name).ok())?,
        key: PublicKey::from_bytes(&key).map_err(|_| unreadable(1))?,
        url: row.get("url")?,
    })
}
