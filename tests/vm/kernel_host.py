"""The kernel's NVMe/TCP host in a guest, used by nvme-cli, fio and a file system."""

import json


def discover(guest, address, port):
    """Records of the discovery log page."""
    guest.run("modprobe nvme_tcp")
    return guest.json(f"nvme discover -t tcp -a {address} -s {port} -o json")["records"]


def connect(guest, address, port, nqn, options=""):
    guest.run("modprobe nvme_tcp")
    before = set(guest.run("ls /sys/class/nvme 2>/dev/null || true").split())
    guest.run(f"nvme connect -t tcp -a {address} -s {port} -n {nqn} {options}", timeout=90)
    made = set(guest.run("ls /sys/class/nvme").split()) - before
    assert len(made) == 1, f"controllers that appeared: {made}"
    return Controller(guest, made.pop(), nqn)


class Controller:
    def __init__(self, guest, name, nqn):
        self._guest = guest
        self.name = name
        self.nqn = nqn
        self.device = f"/dev/{name}"
        self.sysfs = f"/sys/class/nvme/{name}"

    def state(self):
        return self._guest.run(f"cat {self.sysfs}/state").strip()

    def namespaces(self):
        """Namespace identifiers that the kernel has block devices for."""
        text = self._guest.run(f"""
            for path in /sys/block/nvme*n*; do
              [ -e "$path/nsid" ] || continue
              [ "$(cat "$path/device/subsysnqn" 2>/dev/null)" = {self.nqn} ] && cat "$path/nsid"
            done; true""")
        # With multipath there is a device for the namespace and one for each path to it.
        return sorted({int(word) for word in text.split()})

    def block_device(self, nsid):
        """Path of the block device, once it is there."""
        find = f"""
            for path in /sys/block/nvme*n*; do
              [ -e "$path/nsid" ] || continue
              [ "$(cat "$path/nsid")" = {nsid} ] || continue
              [ "$(cat "$path/device/subsysnqn" 2>/dev/null)" = {self.nqn} ] || continue
              [ "$(cat "$path/size")" != 0 ] || continue
              test -b /dev/${{path##*/}} && echo /dev/${{path##*/}} && exit 0
            done
            exit 1"""
        return self._guest.wait_for(find, f"namespace {nsid} of {self.nqn} is a block device").strip()

    def blocks(self, nsid):
        """Size in units of 512 bytes."""
        return int(self._guest.run(f"cat /sys/block/{self.block_device(nsid).removeprefix('/dev/')}/size"))

    def disconnect(self):
        self._guest.run(f"nvme disconnect -d {self.name}", timeout=60)
        assert self._guest.run("ls /sys/class/nvme").split().count(self.name) == 0, "the controller is still there"


def fio_script(device, block_size, *, size, depth=16, mode="randwrite", more=""):
    return (f"fio --name=verify --filename={device} --ioengine=libaio --direct=1 --rw={mode} --bs={block_size} "
            f"--size={size} --iodepth={depth} --verify=crc32c --verify_fatal=1 --randseed=7 --output-format=json "
            f"{more}")


def check_fio(output):
    result = json.loads(output[output.index("{"):])
    for job in result["jobs"]:
        assert job["error"] == 0, output
        assert job["write"]["total_ios"] > 0 and job["read"]["total_ios"] > 0, output
    return result


def fio_verify(guest, device, block_size, *, size="16m", depth=16, mode="randwrite"):
    """Writes with fio and reads back with a checksum in every block."""
    return check_fio(guest.run(fio_script(device, block_size, size=size, depth=depth, mode=mode), timeout=300))


def use_file_system(guest, device):
    """Makes a file system, fills files, checks them after another mount, and the file system itself."""
    guest.run(f"""
        modprobe ext4
        mkfs.ext4 -q -F {device}
        mkdir -p /mnt/disk
        mount {device} /mnt/disk
        mkdir -p /mnt/disk/a/b/c
        for n in 1 2 3 4 5 6 7 8; do
          dd if=/dev/urandom of=/mnt/disk/a/b/c/$n bs=64k count=8 2>/dev/null
          echo "file $n" >/mnt/disk/a/small$n
        done
        cd /mnt/disk
        find . -type f ! -name sums -exec sha256sum {{}} + >/tmp/sums
        cd /
        umount /mnt/disk
        echo 3 >/proc/sys/vm/drop_caches
        mount {device} /mnt/disk
        cd /mnt/disk
        sha256sum -c /tmp/sums >/tmp/checked
        [ "$(grep -c ': OK$' /tmp/checked)" = 16 ]
        rm a/b/c/1 a/b/c/2
        fstrim -v /mnt/disk
        cd /
        umount /mnt/disk
        fsck.ext4 -f -n {device}
    """, timeout=180)
