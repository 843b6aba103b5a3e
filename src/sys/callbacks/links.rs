// SPDX-License-Identifier: GPL-2.0

//! What C calls of links: the commands of netlink.

use super::{doit, dumpit};
use crate::sys::core::netlink::{Dump, Request};
use kernel::prelude::*;

fn refuse(_request: &Request) -> Result {
    Err(EOPNOTSUPP)
}

fn refuse_all(_dump: &mut Dump) -> Result {
    Err(EOPNOTSUPP)
}

doit!(service_group_nl_machine_get_doit => refuse);
doit!(service_group_nl_machine_set_doit => refuse);
doit!(service_group_nl_machine_del_doit => refuse);
doit!(service_group_nl_link_get_doit => refuse);
dumpit!(service_group_nl_link_get_dumpit => refuse_all);
doit!(service_group_nl_link_add_doit => refuse);
doit!(service_group_nl_link_del_doit => refuse);
doit!(service_group_nl_health_set_doit => refuse);
