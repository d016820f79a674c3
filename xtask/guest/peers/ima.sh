#!/bin/bash
# Puts IMA's appraisal of signatures in force, for every program that is started and all code that is mapped. Signed are the files that the measurements
# use, with a key made for this boot, and so nothing else can be started from then on. Debian's kernels take any key in a keyring `_ima` of root's.
set -e
work=$(mktemp -d)
cd "$work"
cat >config <<'END'
[req]
distinguished_name = name
prompt = no
x509_extensions = signer
[name]
CN = measurements
[signer]
keyUsage = digitalSignature
subjectKeyIdentifier = hash
END
openssl req -new -x509 -nodes -newkey rsa:2048 -sha256 -days 30 -config config -keyout key.pem -outform DER -out certificate.der 2>openssl.log ||
    { cat openssl.log; exit 1; }

# A program and whatever it is linked with.
code() { for file; do realpath "$file"; ldd "$file" 2>/dev/null | grep -o '/[^ )]*' | xargs -r realpath || true; done; }
{
    code /usr/bin/{bash,sleep,python3,git} /usr/local/bin/guest-tests /opt/enforcer-tests/bin/{program,quiet,thirty}
    echo /opt/enforcer-tests/bin/quiet-static
    echo /opt/enforcer-tests/lib/libanswer.so
    find /opt/enforcer-tests/bench -type f
} | sort -u >files
while read -r file; do evmctl ima_sign --hashalgo sha256 --key key.pem "$file" >>evmctl.log 2>&1 || { cat evmctl.log; exit 1; }; done <files

ring=$(keyctl newring _ima @s)
keyctl padd asymmetric "" "$ring" <certificate.der >/dev/null
sync
# The first four: proc, sysfs, tmpfs and securityfs, where nothing could be signed.
rules='dont_appraise fsmagic=0x9fa0
dont_appraise fsmagic=0x62656572
dont_appraise fsmagic=0x01021994
dont_appraise fsmagic=0x73636673
appraise func=BPRM_CHECK appraise_type=imasig
appraise func=MMAP_CHECK appraise_type=imasig'
printf '%s\n' "$rules" >/sys/kernel/security/ima/policy
