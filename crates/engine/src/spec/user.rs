//! From `user[:group]` to numbers, by the container's own /etc/passwd and /etc/group.
//!
//! Docker's rules. Both files belong to the container: they are opened in its root, bounded, and parsed leniently.

use crate::error::{EngineError, Result};
use crate::rootfs::RootFd;

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Supplementary ones; `gid` is the first.
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// Looks up `user[:group]` and supplementary groups in the container's files.
pub(super) fn resolve(root: &RootFd, user: &str, group_add: &[String]) -> Result<Identity> {
    let passwd = root.read("etc/passwd")?;
    let group = root.read("etc/group")?;
    find(&passwd, &group, user, group_add)
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields[..] else { return None };
        Some(Account { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
    })
}

/// Name, number, members.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, ..] = fields[..] else { return None };
        Some((name, gid.parse().ok()?, fields.get(3).copied().unwrap_or_default()))
    })
}

fn group_number(group: &str, name: &str) -> Result<u32> {
    let number = name.parse::<u32>().ok();
    let found = groups(group).find(|(have, _, _)| *have == name).map(|(_, gid, _)| gid);
    found.or(number).filter(|&gid| i32::try_from(gid).is_ok()).ok_or_else(|| {
        EngineError::invalid(
            "user",
            format!("unable to find group {name}: no matching entries in group file"),
        )
    })
}

fn find(passwd: &str, group: &str, user: &str, group_add: &[String]) -> Result<Identity> {
    let (name, group_name) = user.split_once(':').unwrap_or((user, ""));
    let name = if name.is_empty() { "0" } else { name };
    let number = name.parse::<u32>().ok();
    let account = accounts(passwd).find(|account| account.name == name || Some(account.uid) == number);
    let mut identity = match (&account, number) {
        (Some(account), _) => Identity {
            uid: account.uid,
            gid: account.gid,
            groups: Vec::new(),
            home: if account.home.is_empty() { "/".to_owned() } else { account.home.to_owned() },
        },
        (None, Some(uid)) if i32::try_from(uid).is_ok() => {
            let home = if uid == 0 { "/root" } else { "/" };
            Identity { uid, gid: 0, groups: Vec::new(), home: home.to_owned() }
        }
        _ => {
            let reason = format!("unable to find user {name}: no matching entries in passwd file");
            return Err(EngineError::invalid("user", reason));
        }
    };
    if group_name.is_empty() {
        // Only who is named in the file is a member of its groups.
        if let Some(account) = &account {
            let member = |members: &str| members.split(',').any(|member| member == account.name);
            identity.groups =
                groups(group).filter(|(_, _, members)| member(members)).map(|(_, gid, _)| gid).collect();
        }
    } else {
        identity.gid = group_number(group, group_name)?;
    }
    for name in group_add {
        identity.groups.push(group_number(group, name)?);
    }
    // A set-group-id program replaces the effective group: were the primary group not among the supplementary ones,
    // what is refused to its members would be granted after that (CVE-2022-36109).
    identity.groups.insert(0, identity.gid);
    let mut seen = std::collections::HashSet::new();
    identity.groups.retain(|gid| seen.insert(*gid));
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nwww:x:33:34:www:/var/www:/bin/sh\n\
         :x:no:no::\n1000:x:5:6::/odd:\nnohome:x:77:78:::\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,www\nadm:x:4:www\nbroken\nwww:x:34:\n";

    #[test]
    fn users() {
        let check = |user: &str, add: &[&str], uid: u32, gid: u32, groups: &[u32], home: &str| {
            let add: Vec<String> = add.iter().map(|&name| name.to_owned()).collect();
            let expected = Identity { uid, gid, groups: groups.to_vec(), home: home.into() };
            assert_eq!(find(PASSWD, GROUP, user, &add).unwrap(), expected, "{user}");
        };
        check("", &[], 0, 0, &[0, 10], "/root");
        check("root", &[], 0, 0, &[0, 10], "/root");
        check("0", &[], 0, 0, &[0, 10], "/root");
        check("www", &[], 33, 34, &[34, 10, 4], "/var/www");
        check("33", &[], 33, 34, &[34, 10, 4], "/var/www");
        check("www:adm", &[], 33, 4, &[4], "/var/www");
        check("www:99", &[], 33, 99, &[99], "/var/www");
        check("4321", &[], 4321, 0, &[0], "/");
        check("4321:8", &["wheel", "8"], 4321, 8, &[8, 10], "/");
        check("4321:8", &["wheel", "adm"], 4321, 8, &[8, 10, 4], "/");
        check("1000", &[], 5, 6, &[6], "/odd");
        check("nohome", &[], 77, 78, &[78], "/");
        check(":adm", &[], 0, 4, &[4], "/root");
        let bare = find("", "", "", &[]).unwrap();
        assert_eq!((bare.uid, bare.gid, bare.home.as_str()), (0, 0, "/root"));
    }

    #[test]
    fn who_is_not_there_is_named() {
        for (user, add, named) in [
            ("nobody", None, "nobody"),
            ("www:none", None, "none"),
            ("www", Some("gone"), "gone"),
            ("-1", None, "-1"),
            ("4294967295", None, "4294967295"),
        ] {
            let add: Vec<String> = add.into_iter().map(str::to_owned).collect();
            let error = find(PASSWD, GROUP, user, &add).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
