# A rollout on a plain Debian, as a script of user commands: from a server on which nothing is installed to one that denies what nobody signed, and back. Run by
# `cargo xtask test rollout`, which brings a program that nobody signed besides.
source /root/brought/server.sh
export COLUMNS=80

# What one event says, by the last part of its path.
event_of() { enforcer events --json | grep "\"path\":\"$1\"" | tail -n 1 | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/'; }
artefact() { echo "-----BEGIN $1-----"; base64 --wrap=0 "$2"; echo; echo "-----END $1-----"; }

step "what an ordinary server has: a tool from somewhere, a package of one's own, a service, a script, a job, and a file that somebody changed"
# Trust belongs to content: each of them has its own.
program() { mkdir -p "$(dirname "$1")"; { cat program; echo "$1"; } >"$1"; chmod 755 "$1"; }
program /opt/tool/tool
program /opt/web/server
printf '#!/bin/bash\n/opt/web/server\n' >/usr/local/sbin/nightly.sh
chmod 755 /usr/local/sbin/nightly.sh
printf '[Service]\nType=oneshot\nExecStart=/opt/web/server\n' >/etc/systemd/system/web.service
mkdir -p repository/tree/DEBIAN
program repository/tree/usr/bin/house-tool
printf 'Package: house-tool\nVersion: 1.0\nArchitecture: all\nMaintainer: House <house@example.org>\nDescription: a tool of the house\n' \
    >repository/tree/DEBIAN/control
dpkg-deb --root-owner-group --build repository/tree repository/house-tool.deb >/dev/null
{
    dpkg-deb --field repository/house-tool.deb
    printf 'Filename: ./house-tool.deb\nSize: %s\nSHA256: %s\n' "$(stat --format=%s repository/house-tool.deb)" \
        "$(sha256sum repository/house-tool.deb | cut -d ' ' -f 1)"
} >repository/Packages
echo "deb [trusted=yes] file:/root/brought/repository ./" >sources.list
apt() { apt-get --yes -o Dir::Etc::sourcelist=/root/brought/sources.list -o Dir::Etc::sourceparts=/dev/null "$@"; }
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id
cp /root/.ssh/id.pub /root/.ssh/authorized_keys

step "day 0: the package is installed, and only watches"
began=$(date +%s)
holds say dpkg --install enforcer.deb
holds systemctl is-active --quiet enforcer
until_so /opt/tool/tool
until_so is_reported /opt/tool/tool
holds say enforcer report
took=$(( $(date +%s) - began ))
echo "from the first command to the first report: $took s" >&2
said "house\|tool\|unsigned\|Unsigned"

step "day 0: the administrator says whom to trust, with a list of the system that was signed elsewhere"
trust_the_house
sed -i 's|^#paths = \["/usr", "/opt"\]|paths = ["/opt"]|' /etc/enforcer/policy.toml
holds say enforcer policy check
holds say systemctl reload enforcer
until_so enforcer verify /usr/bin/cat
since=$(date --utc +%FT%TZ)
sleep 2

step "a day's work: a boot was before; apt, cron, ssh, a tool, a changed file, a script, a service"
holds say apt update
holds say apt install house-tool
holds house-tool
echo '* * * * * root /usr/local/sbin/nightly.sh' >/etc/cron.d/nightly
holds systemctl start cron.service ssh.service
holds say ssh -i /root/.ssh/id -o StrictHostKeyChecking=accept-new root@127.0.0.1 /opt/tool/tool
holds systemctl start web.service
cp /usr/bin/rev /root/rev && echo changed >>/root/rev && mv /root/rev /usr/bin/rev && chmod 755 /usr/bin/rev
holds rev </dev/null
for path in /usr/bin/house-tool /opt/tool/tool /opt/web/server /usr/bin/rev /usr/local/sbin/nightly.sh; do until_so is_reported "$path"; done
rm /etc/cron.d/nightly

step "what is left to mend"
holds say enforcer report --since "$since"
said "Unsigned"
said "Modified"
said "/usr/bin/rev"
holds say enforcer report --since "$since" --by service
said "web.service"
holds say enforcer report --since "$since" --html /root/report.html
artefact REPORT /root/report.html
fails say enforcer explain "$(event_of /usr/bin/rev)"
said "rev"
fails say enforcer simulate --enforce --since "$since" --no-scan
said "would newly be denied"

step "learn: what nobody knows is looked at one by one, and signed elsewhere"
fails say enforcer learn --since "$since" --no-download --output packages.manifest --output-unknown reviewed.manifest \
    --include /opt/web/server --include /usr/local/sbin/nightly.sh --include /usr/bin/house-tool
[ -s reviewed.manifest ] || fail "there is no manifest to be signed"
fails grep -q /usr/bin/rev reviewed.manifest
fails grep -q /opt/tool/tool reviewed.manifest
mkdir elsewhere-desk && cp reviewed.manifest elsewhere-desk/
(cd elsewhere-desk && holds say enforcer manifest sign --key ../elsewhere/signer.key --certificate ../elsewhere/signer.pem reviewed.manifest)
cp elsewhere-desk/reviewed.manifest* /etc/enforcer/manifests/
holds say systemctl reload enforcer
until_so enforcer verify /opt/web/server /usr/local/sbin/nightly.sh /usr/bin/house-tool
fails enforcer verify /opt/tool/tool >&2

step "one service first"
holds say enforcer enforce --yes --scope web.service --since "$since"
holds say enforcer status
said "web.service"
holds systemctl start web.service
holds /opt/tool/tool
mv /opt/web/server /opt/web/server.signed
cp /opt/tool/tool /opt/web/server
fails systemctl start web.service
mv /opt/web/server.signed /opt/web/server
until_so systemctl start web.service

step "then the machine, with a fuse; what is not signed is denied and explained"
holds say enforcer enforce --yes --since "$since" --fuse 8/10m --fuse-for 2h
holds say enforcer status
fails /opt/tool/tool
fails rev </dev/null
holds house-tool
holds /usr/local/sbin/nightly.sh
{ cat /usr/bin/true; echo attack; } >/var/tmp/attack && chmod 755 /var/tmp/attack
fails /var/tmp/attack
until_so is_reported /var/tmp/attack
fails say enforcer explain "$(event_of /var/tmp/attack)"
said "denied"
said "no signature\|not signed\|unsigned\|Unsigned"
fails say enforcer explain /var/tmp/attack
holds say enforcer report --since 1h
holds enforcer top --once >&2
holds enforcer status --prometheus >/root/metrics
grep '^enforcer_events_total' /root/metrics >&2 || fail "no metric counts events"

step "the fuse reverts it, once and loudly"
for attempt in {1..12}; do /var/tmp/attack 2>/dev/null || true; done
until_so /var/tmp/attack
# Its exit status says that not all is well.
is_suspended() { enforcer status --json >/root/status || true; grep -q '"suspension": {' /root/status; }
until_so is_suspended
fails say enforcer status
said SUSPENDED
holds journalctl --unit=enforcer --priority=err --no-pager --quiet --grep=SUSPENDED
holds say enforcer enforce --yes --no-simulation
fails /var/tmp/attack
holds say enforcer audit
holds /var/tmp/attack
holds say enforcer enforce --yes --no-simulation

step "it goes as it came"
holds say dpkg --purge enforcer
[ -z "$(ls /sys/fs/bpf/enforcer 2>/dev/null)" ] || fail "something is in force"
holds /var/tmp/attack
[ ! -e /etc/enforcer/policy.toml ] && [ ! -e /var/lib/enforcer ] || fail "something is left"
echo "the rollout went through" >&2
