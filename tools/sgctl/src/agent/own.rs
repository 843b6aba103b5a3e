// SPDX-License-Identifier: GPL-2.0
//! Who this machine is, as the file and its keys say.

use std::path::Path;

use super::keys::{self, Keys};
use super::meet::Me;
use super::roster::Roster;
use crate::cluster::apply::own_name;
use crate::cluster::file::{store, Config};
use crate::Failure;

/// Who this machine is, and the whole file.
pub(super) fn read(
    file: &Path,
    folder: &Path,
    node: Option<&str>,
) -> Result<(Me, Config), Failure> {
    let config = store::config(file, &store::text(file)?)?;
    let roster = Roster::new(&config, &own_name(&config, node)?)?;
    let keys = verified(&roster, folder)?;
    Ok((Me { roster, keys }, config))
}

/// The keys of this machine, if links need some; they are those that the file knows.
pub(super) fn verified(roster: &Roster, folder: &Path) -> Result<Option<Keys>, Failure> {
    if !roster.links.is_secure {
        return Ok(None);
    }
    let keys = keys::load(folder)?;
    roster.check(&keys)?;
    Ok(Some(keys))
}
