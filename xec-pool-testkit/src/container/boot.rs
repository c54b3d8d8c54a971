//! What is in it when it starts: accounts, configuration, and the first process.

pub(super) const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
sshd:x:100:65534::/run/sshd:/bin/false
tester:x:1000:1000::/home/tester:/bin/sh
nobody:x:65534:65534::/:/bin/false
";

pub(super) const GROUP: &str = "root:x:0:\ntester:x:1000:\nnogroup:x:65534:\n";

/// `SetEnv SHLVL=5`: see `LocalSshd`.
pub(super) const DEFAULTS: &str = "\
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
LogLevel VERBOSE
SetEnv SHLVL=5
Subsystem sftp internal-sftp
";

/// `$1`: seconds to live, `$2`: whether penalties are left on. Its end is written down when it first starts, so that
/// it lives no longer for being started again. The server is the first process, so its end is the container's; before
/// it listens to signals they are lost on it. Dropbear takes no configuration from us, and no key in OpenSSH's form.
pub(super) const RUN: &str = "\
now=$(date +%s)
[ -e /run/ends ] || echo $((now + $1)) >/run/ends
read -r ends </run/ends
left=$((ends - now))
[ $left -gt 0 ] || { echo 'its time is over' >&2; exit 1; }
(sleep $left; while kill 1; do sleep 1; done) &
if [ -x /usr/sbin/sshd ]; then
  if [ \"$2\" = no ] && /usr/sbin/sshd -t -o PerSourcePenalties=no 2>/dev/null; then
    exec /usr/sbin/sshd -D -e -o PerSourcePenalties=no
  fi
  exec /usr/sbin/sshd -D -e
fi
mkdir -p /etc/dropbear
[ -e /etc/dropbear/key ] || dropbearconvert openssh dropbear /etc/ssh/host_key /etc/dropbear/key
exec dropbear -F -E -s -p 22 -r /etc/dropbear/key
";
