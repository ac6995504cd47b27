//! Members and invitations.

use banyan_proto::canonical::Digest;
use banyan_proto::identity::PublicKey;
use banyan_proto::invite::InviteRole;
use banyan_proto::names::Address;
use banyan_protocols::party::PartyId;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Result, Store, parsed, text};
use crate::roster::{Invited, JoinError, Joining, Member, admit};

/// Invitations kept at once, used and expired ones among them: the oldest go first. A city has fewer departments.
const INVITES_MAX: u32 = 10_000;

const MEMBER: &str = "SELECT name, key, role, url, catalogue FROM members";

impl Store {
    /// Keeps an invitation.
    pub(crate) fn put_invite(&self, invited: &Invited) -> Result<()> {
        self.act(|t| {
            t.execute(
                "INSERT INTO invites (secret, name, role, expires_ms) VALUES (?1, ?2, ?3, ?4)",
                params![invited.secret.0, invited.name.as_str(), invited.role.name(), invited.expires_ms],
            )?;
            t.execute(
                "DELETE FROM invites WHERE rowid NOT IN (SELECT rowid FROM invites ORDER BY rowid DESC LIMIT ?1)",
                [INVITES_MAX],
            )
        })?;
        Ok(())
    }

    /// Lets somebody in, or says why not; decided and kept in one transaction, so that a secret works once.
    pub(crate) fn join(&self, joining: &Joining, now_ms: i64) -> Result<std::result::Result<Member, JoinError>> {
        self.decide(|t| {
            let invitations = invitations(t, &joining.name)?;
            let (by_name, by_key) = (by_name(t, &joining.name)?, by_key(t, &joining.key)?);
            let index = match admit(joining, &invitations, by_name.as_ref(), by_key.as_ref(), now_ms) {
                Ok(index) => index,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let invited = &invitations[index];
            let key = joining.key.as_bytes();
            t.execute("UPDATE invites SET used_by = ?2 WHERE secret = ?1", params![invited.secret.0, key])?;
            t.execute(
                "INSERT INTO members (name, key, role, url, catalogue, joined_ms) VALUES (?1, ?2, ?3, ?4, x'', ?5)
                 ON CONFLICT (name) DO UPDATE SET url = excluded.url",
                params![joining.name.as_str(), key, invited.role.name(), url_text(joining.url.as_ref()), now_ms],
            )?;
            Ok(Ok(Member {
                name: joining.name.clone(),
                key: joining.key,
                role: invited.role,
                url: joining.url.clone(),
                catalogue: by_key.map(|member| member.catalogue).unwrap_or_default(),
            }))
        })
    }

    /// Whose key it is.
    pub(crate) fn member_of_key(&self, key: &PublicKey) -> Result<Option<Member>> {
        self.read(|c| by_key(c, key))
    }

    /// Who has this name.
    pub(crate) fn member(&self, name: &PartyId) -> Result<Option<Member>> {
        self.read(|c| by_name(c, name))
    }

    /// Everybody, by name.
    pub(crate) fn members(&self) -> Result<Vec<Member>> {
        self.read(|c| c.prepare(&format!("{MEMBER} ORDER BY name"))?.query_map([], member)?.collect())
    }

    /// Keeps what a node says of itself; gives whether it is new.
    pub(crate) fn greet(&self, name: &PartyId, url: Option<&Address>, catalogue: &[u8]) -> Result<bool> {
        self.act(|t| {
            let changed =
                "UPDATE members SET url = ?2, catalogue = ?3 WHERE name = ?1 AND (url != ?2 OR catalogue != ?3)";
            Ok(t.execute(changed, params![name.as_str(), url_text(url), catalogue])? > 0)
        })
    }
}

fn by_name(connection: &Connection, name: &PartyId) -> rusqlite::Result<Option<Member>> {
    connection.query_row(&format!("{MEMBER} WHERE name = ?1"), [name.as_str()], member).optional()
}

fn by_key(connection: &Connection, key: &PublicKey) -> rusqlite::Result<Option<Member>> {
    connection.query_row(&format!("{MEMBER} WHERE key = ?1"), [key.as_bytes()], member).optional()
}

fn invitations(connection: &Connection, name: &PartyId) -> rusqlite::Result<Vec<Invited>> {
    let mut rows = connection.prepare("SELECT secret, name, role, expires_ms, used_by FROM invites WHERE name = ?1")?;
    rows.query_map([name.as_str()], |row| {
        let used_by: Option<Vec<u8>> = row.get("used_by")?;
        Ok(Invited {
            secret: Digest(row.get("secret")?),
            name: text(row, "name", |text| PartyId::new(text).ok())?,
            role: text(row, "role", InviteRole::from_name)?,
            expires_ms: row.get("expires_ms")?,
            used_by: used_by.map(|_| key(row, "used_by")).transpose()?,
        })
    })?
    .collect()
}

fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    let url: String = row.get("url")?;
    Ok(Member {
        name: text(row, "name", |text| PartyId::new(text).ok())?,
        key: key(row, "key")?,
        role: text(row, "role", InviteRole::from_name)?,
        url: (!url.is_empty()).then(|| text(row, "url", |text| text.parse().ok())).transpose()?,
        catalogue: Bytes::from(row.get::<_, Vec<u8>>("catalogue")?),
    })
}

fn key(row: &Row<'_>, column: &str) -> rusqlite::Result<PublicKey> {
    parsed(row, column, |value| value.as_blob().ok().and_then(|bytes| PublicKey::from_bytes(bytes).ok()))
}

/// An address, or nothing, as a text that compares.
fn url_text(url: Option<&Address>) -> &str {
    url.map_or("", Address::as_str)
}
