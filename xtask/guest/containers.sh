# Scopes over containers, as a script of user commands: what podman runs is held to signatures, container by container, while the machine is only watched; and
# then the other way round. Run by `cargo xtask test containers`, without a registry and without a network.
source /root/brought/server.sh
# No line is wrapped.
export COLUMNS=200
trap '[ $? = 0 ] || enforcer events --json | tail --lines=5 >&2' EXIT

# Debian's programs, which the system's list covers by their content wherever they lie.
image=/root/image
run="podman run --network=none"
made() { podman inspect --format "{{.$1}}" "$2"; }
# What an event of the program that nobody signed says, newest last, in these control groups (a regular expression).
events_in() { enforcer events --json | grep '"path":"/opt/unsigned"' | grep -E "\"cgroup\":\"$1\""; }
is_seen() { events_in "$2" | tail -n 1 | grep -q "\"denied\":$1"; }
is_denied() { fails say "$@" && said "[Oo]peration not permitted"; }
in_all() { local name; for name in "${@:2}"; do "$1" podman exec "$name" /opt/unsigned; holds podman exec "$name" /bin/true; done; }
# Where a container is, on the host.
group() { cut -d : -f 3 "/proc/$(made State.Pid "$1")/cgroup"; }

step "day 0: the package is installed, and only watches; overlays are mounted for the first time"
holds say dpkg --install enforcer.deb
trust_the_house
holds say systemctl reload enforcer
until_so enforcer verify /usr/bin/cat

step "an image of what Debian has, and a program that nobody signed"
mkdir -p $image/{usr/bin,proc,sys,dev,tmp,etc,run,opt}
cp --no-dereference /bin /lib /lib64 $image
copy() { local path; for path in "$1" "$(realpath "$1")"; do cp --no-dereference --parents "$path" $image; done; }
for program in sh sleep cat chmod mkdir true; do
    copy "$(type -P $program)"
    ldd "$(type -P $program)" | grep --only-matching '/[^ ]*' | while read -r library; do copy "$(realpath "$(dirname "$library")")/$(basename "$library")"; done
done
{ cat /usr/bin/true; echo unsigned; } >$image/opt/unsigned && chmod 755 $image/opt/unsigned
tar --directory $image --create --file image.tar .
podman import image.tar house/base >&2
podman --version >&2; crun --version >&2; runc --version >&2; podman info --format '{{.Store.GraphDriverName}} {{.Host.CgroupManager}}' >&2

step "while the machine only watches, it runs in containers, and their control groups are known"
$run --detach --name web house/base /bin/sleep 10000 >&2
holds podman exec web /opt/unsigned
web=$(made Id web)
until_so is_seen false "/machine.slice/libpod-$web.scope(/container)?"
group web | grep -Eqx "/machine.slice/libpod-$web.scope(/container)?" || fail "it is in $(group web)"
$image/opt/unsigned
until_so is_reported $image/opt/unsigned
holds say enforcer report --by service
said "container ${web::12} "
holds say enforcer report
said "one in a container"

step "all containers are enforced, and the machine is not"
holds say enforcer enforce --yes --scope '/machine.slice/libpod-*'
said "one in a container"
is_denied podman exec web /opt/unsigned
until_so is_seen true "/machine.slice/libpod-$web.scope(/container)?"
holds podman exec web /bin/true
holds $image/opt/unsigned
holds say enforcer status
said "/machine.slice/libpod-\*: enforce"

step "a container that is started anew, by either runtime: a control group that was not there before"
for runtime in crun runc; do
    holds say $run --rm --runtime=$runtime house/base /bin/true
    is_denied $run --rm --runtime=$runtime house/base /opt/unsigned
    # One that goes on, so that its control group is there when it is asked for.
    holds say $run --detach --name $runtime --runtime=$runtime house/base /bin/sh -c '/opt/unsigned; exec sleep 10000'
    until_so is_seen true "/machine.slice/libpod-$(made Id $runtime).scope(/container)?"
done
holds say podman restart --time 0 web
is_denied podman exec web /opt/unsigned

step "a control group in the container, which it made itself"
own='mkdir /sys/fs/cgroup/inner && echo $$ >/sys/fs/cgroup/inner/cgroup.procs && { /opt/unsigned; exec sleep 10000; }'
holds say $run --detach --privileged --name nested house/base /bin/sh -c "$own"
until_so is_seen true "/machine.slice/libpod-$(made Id nested).scope(/container)?/inner"

step "a slice of its own for some containers, and in it one that is only watched"
$run --detach --name payments --cgroup-parent=payments.slice house/base /bin/sleep 10000 >&2
$run --detach --name trial --cgroup-parent=payments-trial.slice house/base /bin/sleep 10000 >&2
in_all holds payments trial
holds say enforcer enforce --yes --no-simulation --scope payments.slice
in_all is_denied payments trial
holds say enforcer audit --scope payments-trial.slice
in_all is_denied payments
in_all holds trial
until_so is_seen true "/payments.slice/libpod-$(made Id payments).scope(/container)?"
until_so is_seen false "/payments.slice/payments-trial.slice/libpod-$(made Id trial).scope(/container)?"

step "a container that is a service: the unit's name stays, whatever the container's is"
cat >/etc/systemd/system/shop.service <<'UNIT'
[Service]
Type=notify
NotifyAccess=all
Delegate=yes
KillMode=mixed
ExecStart=/usr/bin/podman run --detach --rm --replace --name shop --cgroups=split --sdnotify=conmon --network=none house/base /bin/sleep 10000
ExecStop=/usr/bin/podman rm --force --ignore --time 0 shop
UNIT
systemctl daemon-reload
holds systemctl start shop.service
in_all holds shop
until_so is_seen false "/system.slice/shop.service/libpod-payload-$(made Id shop)"
holds say enforcer enforce --yes --no-simulation --scope shop.service
in_all is_denied shop
before=$(made Id shop)
holds systemctl restart shop.service
[ "$(made Id shop)" != "$before" ] || fail "it is the same container"
in_all is_denied shop
until_so is_seen true "/system.slice/shop.service/libpod-payload-$(made Id shop)"
holds say enforcer report --by service
said "container of shop.service"
# Also those that ended before anybody asked where they were.
said "one in a container"

step "the other way round: the machine enforces, and so runs what starts containers; those of one slice are only watched"
holds say enforcer enforce --yes --no-simulation
is_denied $image/opt/unsigned
for runtime in crun runc; do
    holds say $run --rm --runtime=$runtime house/base /bin/true
    is_denied $run --rm --runtime=$runtime house/base /opt/unsigned
done
in_all holds trial
in_all is_denied payments shop web

step "what is on a file system of the container's own, in memory, is nobody's"
is_denied $run --rm --tmpfs /volatile:exec house/base /bin/sh -c 'cat /bin/true >/volatile/true && chmod 755 /volatile/true && exec /volatile/true'
until_so sh -c 'enforcer events --json | grep /volatile/true | grep volatile-filesystem'

step "a user's own containers: what is kept in folders is judged like any file, and an overlay that the user mounted is foreign"
useradd --create-home guest
echo guest:100000:65536 | tee /etc/subuid >/etc/subgid
install --directory --owner=guest /run/user/1000
install --owner=guest image.tar /home/guest
as_guest() { (cd /home/guest && runuser -u guest -- env HOME=/home/guest XDG_RUNTIME_DIR=/run/user/1000 podman --cgroup-manager=cgroupfs "$@"); }
for driver in vfs overlay; do
    its="--storage-driver=$driver --root=/home/guest/$driver --runroot=/run/user/1000/$driver"
    holds say as_guest $its import image.tar house/base
    is_denied as_guest $its run --rm --network=none house/base /opt/unsigned
done
holds say as_guest ${its//overlay/vfs} run --rm --network=none house/base /bin/true
is_denied as_guest $its run --rm --network=none house/base /bin/true
until_so sh -c 'enforcer events --json | grep foreign-filesystem | grep bin/true'

step "the image is listed and signed, elsewhere: then it runs"
holds say podman save --quiet --format oci-dir --output image house/base
holds say enforcer manifest create --oci ./image --output image.manifest
(cd elsewhere && cp ../image.manifest . && holds say enforcer manifest sign --key signer.key --certificate signer.pem image.manifest)
cp elsewhere/image.manifest* /etc/enforcer/manifests/
holds say systemctl reload enforcer
in_all holds payments shop web
holds say enforcer report
fails grep "one in a container" /root/said

step "it goes as it came"
holds say podman rm --force --time 0 --all
holds say dpkg --purge enforcer
echo "the containers were held" >&2
