//! What a node publishes of its data: schemas, levels and size bands. Never paths, never rows.

use serde::{Deserialize, Serialize};

use crate::canonical::Canonical;
use crate::job::Band;
use crate::names::Name;

/// The published catalogue of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Its data sets, by id.
    pub datasets: Vec<PublishedDataset>,
}

/// One data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedDataset {
    /// The id that specs use.
    pub id: Name,
    /// What it is.
    pub description: String,
    /// The band of its row count.
    pub band: Band,
    /// Its columns.
    pub columns: Vec<PublishedColumn>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedColumn {
    /// The name.
    pub name: String,
    /// The type, by its catalogue name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The grade, 1 (open) to 4 (most sensitive).
    pub level: u8,
    /// What it means.
    pub description: String,
}

impl Canonical for Published {
    const DOMAIN: &'static str = "banyan/published/v1";
}
