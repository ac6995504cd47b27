//! Names that people choose and that end up in messages, paths and tables: checked once, at the border.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name.
pub const NAME_MAX: usize = 64;

/// A name of a job, scenario, data set or protocol: `[a-z0-9_-]` with a letter or digit first, 1 to 64 characters. It is
/// never a path, and needs no quoting anywhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !starts_well || text.len() > NAME_MAX || !text.chars().all(good) {
            return Err("a name has 1 to 64 characters from a-z, 0-9, '-' and '_', and starts with a letter or digit");
        }
        Ok(Self(text.into()))
    }
}

/// Where a party is dialled: `host:port`, of a host name, an IPv4 address or a bracketed IPv6 address. No scheme, no path,
/// no user: there is one way to talk, and keys say who is there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Box<str>);

/// The longest address: a host name of 253 characters, a colon and a port.
pub const ADDRESS_MAX: usize = 253 + 6;

impl Address {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "an address is host:port, such as hub.example:7400, without https:// and without a path";
        let (host, port) = text.rsplit_once(':').ok_or(WRONG)?;
        let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let host_is_good = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.chars().all(name),
        };
        let port_is_good = port.chars().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0);
        if !host_is_good || !port_is_good || text.len() > ADDRESS_MAX {
            return Err(WRONG);
        }
        Ok(Self(text.into()))
    }
}

macro_rules! text_form {
    ($type:ty) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
text_form!(Name);
text_form!(Address);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        for good in ["hub.example:7400", "127.0.0.1:1", "[::1]:65535", "a-b:80"] {
            assert_eq!(good.parse::<Address>().unwrap().as_str(), good);
        }
        for bad in [
            "hub.example",
            ":80",
            "a:0",
            "a:65536",
            "a:+1",
            "https://a:80",
            "a/b:80",
            "u@a:80",
            "::1:80",
            "[a]:80",
            "a b:80",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }
}
