# What every script of user commands on a plain Debian begins with. /root/brought has the package, what the administrator trusts, and signed lists of the system
# and of the kernel's modules.
set -euo pipefail
cd /root/brought
export DEBIAN_FRONTEND=noninteractive

step() { echo "== $*" >&2; }
fail() { echo "NOT SO: $*" >&2; enforcer status >&2 || true; journalctl --unit=enforcer --no-pager --lines=40 >&2; exit 1; }
# Runs a command and shows what it says; `said` looks into that.
say() {
    local status=0
    echo "\$ $*" >&2
    "$@" >/root/said 2>&1 </dev/null || status=$?
    sed 's/^/   /' /root/said >&2
    return $status
}
said() { grep -q -- "$1" /root/said || fail "it does not say: $1"; }
holds() { "$@" || fail "$*"; }
fails() { ! "$@" || fail "this should fail: $*"; }
until_so() { local attempt; for attempt in {1..240}; do "$@" >/dev/null 2>&1 && return; sleep 0.5; done; fail "never: $*"; }
is_reported() { enforcer events --json | grep -q "\"path\":\"$1\""; }

# The administrator says whom to trust, with a list of the system that was signed elsewhere. It is not in force before a reload.
trust_the_house() {
    mkdir -p /etc/enforcer/trust /etc/enforcer/manifests
    cp ca.pem /etc/enforcer/trust/
    cp manifests/* /etc/enforcer/manifests/
    printf '\n[[signer]]\nname = "house"\nanchors = ["/etc/enforcer/trust/ca.pem"]\nallow = ["exec", "library", "module"]\n' >>/etc/enforcer/policy.toml
    # An emulated machine hashes up to 80 times slower than a real one.
    printf '\n[limits]\nfirst-use-deadline-ms = 20000\n' >limits
    sed -i -e '/^\[limits\]/d' /etc/enforcer/policy.toml
    cat limits >>/etc/enforcer/policy.toml
}
