// SPDX-License-Identifier: GPL-2.0
//! All groups and their members, read at one time and put in order.

use rustix::io::Errno;
use service_group::netlink::{Connection, Error, Group, Member};

use crate::Failure;

/// Groups by id; members by group, family, address, port and inode.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The groups.
    pub groups: Vec<Group>,
    /// Their members.
    pub members: Vec<Member>,
}

impl Snapshot {
    /// Reads one group, or all.
    pub fn read(kernel: &mut Connection, group: Option<u32>) -> Result<Self, Error> {
        let groups = match group {
            None => kernel.groups()?,
            Some(id) => kernel.group(id)?.into_iter().collect(),
        };
        Ok(Self::new(groups, kernel.members(group)?))
    }

    /// Puts groups and members in order.
    pub fn new(mut groups: Vec<Group>, mut members: Vec<Member>) -> Self {
        groups.sort_by_key(|group| group.id);
        members.sort_by_key(|member| {
            let place = (member.family, member.address, member.port);
            (member.group, place, member.inode)
        });
        Self { groups, members }
    }

    /// The members of this group.
    pub fn members_of(&self, group: u32) -> &[Member] {
        let from = self.members.partition_point(|member| member.group < group);
        let rest = self.members.get(from..).unwrap_or_default();
        let own = rest.partition_point(|member| member.group == group);
        rest.get(..own).unwrap_or_default()
    }
}

/// What there is; nothing of a module that knows no such things.
pub fn unless_unknown<T: Default>(answer: Result<T, Error>) -> Result<T, Error> {
    match answer {
        Err(Error::Refused(number)) if Errno::from_raw_os_error(number) == Errno::OPNOTSUPP => {
            Ok(T::default())
        }
        answer => answer,
    }
}

/// Says that a group which was asked for is not there.
pub fn no_such_group(id: u32) -> Failure {
    Failure::new(format!("there is no group {id}: \"sgctl show\" shows all"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_their_group_and_in_order() {
        let member = |group, port, inode| Member {
            group,
            port,
            inode,
            ..Member::default()
        };
        let group = |id| Group {
            id,
            ..Group::default()
        };
        let members = [(7, 80, 2), (3, 81, 1), (7, 80, 1), (3, 80, 9)];
        let members = members.map(|(group, port, inode)| member(group, port, inode));
        let snapshot = Snapshot::new(vec![group(7), group(3)], members.to_vec());
        let ids: Vec<u32> = snapshot.groups.iter().map(|group| group.id).collect();
        assert_eq!(ids, [3, 7]);
        let of = |group| {
            let own = snapshot.members_of(group).iter();
            own.map(|member| member.inode).collect::<Vec<_>>()
        };
        assert_eq!((of(3), of(7)), (vec![9, 1], vec![1, 2]));
        assert_eq!((of(0), of(5), of(9)), (vec![], vec![], vec![]));
    }
}
