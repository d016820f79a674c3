#!/bin/bash
# Puts fapolicyd in force: its own sample rules for a machine with known libraries, without the two that let root's updaters do anything. Trusted is
# what the manifests of the guest and of the tests list; the argument says whether it looks at a file's content: none or sha256.
set -e
integrity=$1
work=$(mktemp -d)
# A line of its list is `path size sha256`, where a path with a space cannot be said.
cat /etc/enforcer/manifests/{root,fixtures,run}.manifest | sed -n 's/^SHA256 (\([^ ]*\)) = \([0-9a-f]*\)$/\1 \2/p' | sort -u >"$work/digests"
cut -d ' ' -f 1 "$work/digests" | xargs stat --format %s >"$work/sizes"
paste -d ' ' <(cut -d ' ' -f 1 "$work/digests") "$work/sizes" <(cut -d ' ' -f 2 "$work/digests") >/etc/fapolicyd/fapolicyd.trust

sed -i "s/^integrity = .*/integrity = $integrity/; s/^trust = .*/trust = file/; s/^permissive = .*/permissive = 0/" /etc/fapolicyd/fapolicyd.conf
rm /etc/fapolicyd/rules.d/*
for rules in 10-languages 30-patterns 40-bad-elf 41-shared-obj 42-trusted-elf 70-trusted-lang 72-shell 90-deny-execute 95-allow-open; do
    cp /usr/share/fapolicyd/sample-rules/$rules.rules /etc/fapolicyd/rules.d/
done
rm /etc/systemd/system/fapolicyd.service
systemctl daemon-reload
systemctl start fapolicyd.service || { journalctl --no-pager --output cat --unit fapolicyd.service | tail -n 20; exit 1; }
# It forks before it listens.
for _ in {1..600}; do
    journalctl --no-pager --output cat --unit fapolicyd.service | grep -q 'Starting to listen' && exit
    sleep 0.1
done
echo "fapolicyd did not begin to listen within a minute"
exit 1
