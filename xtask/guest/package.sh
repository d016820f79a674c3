# The package's life on a plain Debian, in one boot: from before it is installed until nothing of it is left. Run by `cargo xtask test package`, which
# brings /root/package: first.deb, second.deb and third.deb (three versions; the latter two signed), unsigned.deb (a fourth that nobody signed), a policy
# that enforces, and what it trusts.
set -euo pipefail
cd /root/package
export DEBIAN_FRONTEND=noninteractive
unit=enforcer.service

step() { echo "== $*" >&2; }
fail() {
    echo "NOT SO: $*" >&2
    cat /root/said >&2
    systemctl status --no-pager --lines=0 "$unit" >&2 || true
    journalctl --unit="$unit" --no-pager --output=short-monotonic | grep --invert-match ': would deny' | tail --lines=60 >&2
    exit 1
}
# Runs a command and keeps what it says, on stderr too: `said` looks into that, and whoever fails shows it.
say() { "$@" >/root/said 2>&1; }
said() { grep -q -- "$1" /root/said || fail "it does not say: $1"; }
holds() { "$@" || fail "$*"; }
fails() { ! "$@" || fail "this should fail: $*"; }
status_line() { systemctl status --no-pager --lines=0 "$unit" | sed -n 's/^ *Status: //p'; }
is_in_force() { [ -n "$(ls /sys/fs/bpf/enforcer 2>/dev/null)" ]; }
daemon() { systemctl show --property=MainPID --value "$unit"; }
quietly() { "$@" 2>/dev/null; }
# The programs' links: they are another file each when they were attached anew.
links() { stat --format='%n %i %Z' /sys/fs/bpf/enforcer/*/link_*; }
# Everything on the disk, but for what any package leaves in dpkg's and the journal's files.
files() {
    local own
    own=(/proc /sys /dev /run /tmp /root /var/log/journal /var/log/dpkg.log /var/lib/dpkg/status-old /var/lib/dpkg/triggers /var/lib/dpkg/lock)
    find / -xdev \( -false $(printf -- '-o -path %s ' "${own[@]}") \) -prune -o -print | sort
}
# Waits until an event of a file is told.
reported() { local attempt; for attempt in {1..60}; do enforcer events --json >/root/events; grep -q "$1" /root/events && return; sleep 0.5; done; return 1; }
is_enforcing() { enforcer status --json >/root/status; grep -q '"enforcing": true' /root/status; }
unsigned=/usr/local/bin/unsigned

step "before: the program tells what this machine can do, out of the package"
dpkg-deb --extract first.deb /root/look
holds say /root/look/usr/sbin/enforcer doctor
said "This machine can enforce"
rm -r /root/look
files >/root/files.before

step "where the kernel cannot do it, it is installed and not started"
echo capability,yama >/root/lsm
mount --bind /root/lsm /sys/kernel/security/lsm
holds say dpkg --install first.deb
said "installed, and not started"
fails systemctl is-active --quiet "$unit"
fails is_in_force
umount /sys/kernel/security/lsm
holds say dpkg --purge enforcer
files | diff /root/files.before - >&2 || fail "something is left of a package that was never started"

step "it is installed, and reports"
holds say dpkg --install first.deb
said "This machine can enforce"
holds systemctl is-active --quiet "$unit"
holds systemctl is-enabled --quiet "$unit"
echo "   $(status_line)" >&2
[ "$(status_line)" = '"audit: nothing is denied, would-be denials are reported"' ] || fail "the status line is: $(status_line)"
holds enforcer status >&2
holds say enforcer doctor
{ cat /usr/bin/true; echo unsigned; } >$unsigned
chmod 755 $unsigned
holds $unsigned
holds reported '/usr/local/bin/unsigned'
holds enforcer events -n 3 >&2

step "its sandbox leaves it what the kernel knows it by"
[ "$(readlink "/proc/$(daemon)/ns/mnt")" = "$(readlink /proc/1/ns/mnt)" ] || fail "it has a mount namespace of its own"
[ "$(readlink "/proc/$(daemon)/ns/net")" != "$(readlink /proc/1/ns/net)" ] || fail "it has a network"
grep -q '^Seccomp:[[:space:]]*0$' "/proc/$(daemon)/status" || fail "it is under a filter"
grep -q '^NoNewPrivs:[[:space:]]*0$' "/proc/$(daemon)/status" || fail "it gave its rights up"
journalctl --unit="$unit" --no-pager --output=cat >/root/journal
if grep --invert-match '^would deny' /root/journal | grep --ignore-case 'not permitted\|permission denied\|CAP_' >&2; then fail "it misses a right"; fi

step "a reload is told in one line"
holds systemctl reload "$unit"
[ "$(status_line | wc --lines)" = 1 ] || fail "the status line is: $(status_line)"

step "a reload of a policy that is refused fails, and of one that is mended does not"
cp /etc/enforcer/policy.toml /root/policy.good
sed -i 's/^\[limits\]/[limits]\nmax-verdicts = 70000/' /etc/enforcer/policy.toml
fails say systemctl reload "$unit"
holds journalctl --no-pager --quiet --unit="$unit" --grep='the daemon refuses it.*takes a restart'
holds systemctl is-active --quiet "$unit"
fails say enforcer reload
said "takes a restart"
cp /root/policy.good /etc/enforcer/policy.toml
holds systemctl reload "$unit"

step "a removal that dpkg gives up leaves the service at work"
holds say /var/lib/dpkg/info/enforcer.prerm remove
fails is_in_force
fails systemctl is-active --quiet "$unit"
holds say /var/lib/dpkg/info/enforcer.postinst abort-remove
holds systemctl is-active --quiet "$unit"
holds systemctl is-enabled --quiet "$unit"
holds is_in_force
before=$(daemon)
for reason in abort-remove abort-deconfigure abort-upgrade; do holds say /var/lib/dpkg/info/enforcer.postinst $reason; done
[ "$(daemon)" = "$before" ] || fail "what ran was started anew"

step "removed and installed again, it begins again"
holds say dpkg --remove enforcer
fails systemctl is-enabled --quiet "$unit"
holds say dpkg --install first.deb
holds systemctl is-active --quiet "$unit"
holds systemctl is-enabled --quiet "$unit"

step "it is removed, and nothing is in force"
holds say dpkg --remove enforcer
fails is_in_force
fails systemctl is-active --quiet "$unit"
[ ! -e /run/enforcer ] || fail "/run/enforcer is left"
[ "$(dpkg-query --listfiles enforcer | while read -r path; do [ -f "$path" ] && echo "$path"; done)" = /etc/enforcer/policy.toml ] \
    || fail "files are left: $(dpkg-query --listfiles enforcer)"
[ -d /var/lib/enforcer ] && [ -d /var/log/enforcer ] || fail "state and log went before the purge"
holds say dpkg --purge enforcer
rm $unsigned
files | diff /root/files.before - >&2 || fail "something is left"
[ ! -e /var/lib/dpkg/info/enforcer.list ] || fail "dpkg still knows it"

step "an upgrade, with the service at work: no gap, and the log goes on"
holds say dpkg --install first.deb
{ cat /usr/bin/true; echo another; } >$unsigned
chmod 755 $unsigned
holds $unsigned
holds reported '/usr/local/bin/unsigned'
links >/root/links
before=$(daemon)
holds say dpkg --install second.deb
[ "$(dpkg-query --show --showformat='${Version}' enforcer)" = "$(dpkg-deb --field second.deb Version)" ] || fail "another version is installed"
[ "$(daemon)" != "$before" ] || fail "the former daemon goes on"
links | diff /root/links - >&2 || fail "the programs were taken off and attached anew"
holds reported '/usr/local/bin/unsigned'
holds enforcer status >&2

step "it enforces, and an upgrade that is signed takes over under enforcement"
cp --recursive trust manifests /etc/enforcer/
cp policy.toml /etc/enforcer/policy.toml
holds systemctl reload "$unit"
for attempt in {1..60}; do is_enforcing && break; sleep 0.5; done
holds is_enforcing
holds enforcer status >&2
fails quietly $unsigned
before=$(daemon)
holds say dpkg --install third.deb
[ "$(daemon)" != "$before" ] || fail "the former daemon goes on"
links | diff /root/links - >&2 || fail "the programs were taken off and attached anew"
[ "$(status_line)" = '"enforcing: what no trusted signature covers is denied"' ] || fail "the status line is: $(status_line)"
fails quietly $unsigned

step "one that nobody signed does not, and what is in force stays"
before=$(daemon)
fails say dpkg --install unsigned.deb
[ "$(daemon)" = "$before" ] || fail "the daemon was ended"
fails quietly $unsigned
holds say dpkg --install third.deb
holds enforcer status >&2

step "a removal while it enforces asks nothing, is loud, and is recorded"
holds say dpkg --remove enforcer </dev/null
said "THIS MACHINE ENFORCES, AND THAT ENDS NOW"
holds journalctl --no-pager --quiet --identifier=enforcer --grep='enforcement was taken off'
fails is_in_force
holds $unsigned
holds say dpkg --purge enforcer
rm $unsigned
files | diff /root/files.before - >&2 || fail "something is left"

step "what policy signers guard is not removed"
cp --recursive trust manifests /etc/enforcer 2>/dev/null || { mkdir /etc/enforcer; cp --recursive trust manifests /etc/enforcer/; }
cp charter/* /etc/enforcer/
holds say dpkg --force-confold --install third.deb
holds enforcer status >&2
fails say dpkg --remove enforcer
said "NOTHING WAS REMOVED"
said "enforcer stop --release --order"
holds systemctl is-active --quiet "$unit"
holds enforcer status >&2
echo "the package lived and left as it should" >&2
