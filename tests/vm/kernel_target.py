"""The kernel's own NVMe/TCP target, set up in a guest."""

NQN = "nqn.2026-11.io.spdkio:kernel"
PORT = 4420


class KernelTarget:
    """One subsystem over RAM disks of null_blk, open to every host."""

    def __init__(self, guest, *, namespaces=1, megabytes=64, block_size=512, address="0.0.0.0", port=PORT):
        self._guest = guest
        self.namespaces = namespaces
        devices = "\n".join(
            f"mkdir {disk}; echo {megabytes} >{disk}/size; echo {block_size} >{disk}/blocksize; echo 1 >{disk}/memory_backed;"
            f"echo 1 >{disk}/discard; echo 1 >{disk}/power"
            for disk in (f"/sys/kernel/config/nullb/disk{number}" for number in range(1, namespaces + 1)))
        guest.run(f"""
            modprobe null_blk nr_devices=0
            modprobe nvmet_tcp
            {devices}
            cd /sys/kernel/config/nvmet
            mkdir subsystems/{NQN}
            echo 1 >subsystems/{NQN}/attr_allow_any_host
            echo KERNEL0001 >subsystems/{NQN}/attr_serial
            for n in $(seq 1 {namespaces}); do
              mkdir subsystems/{NQN}/namespaces/$n
              echo -n /dev/disk$n >subsystems/{NQN}/namespaces/$n/device_path
              echo 1 >subsystems/{NQN}/namespaces/$n/enable
            done
            mkdir ports/1
            echo tcp >ports/1/addr_trtype
            echo ipv4 >ports/1/addr_adrfam
            echo {address} >ports/1/addr_traddr
            echo {port} >ports/1/addr_trsvcid
        """)
        self.listen()

    def listen(self):
        self._guest.run(f"ln -s /sys/kernel/config/nvmet/subsystems/{NQN} /sys/kernel/config/nvmet/ports/1/subsystems/{NQN}")

    def unlisten(self):
        """Connections break and new ones are refused, until `listen`."""
        self._guest.run(f"rm /sys/kernel/config/nvmet/ports/1/subsystems/{NQN}")

    def disable(self, nsid):
        self._guest.run(f"echo 0 >/sys/kernel/config/nvmet/subsystems/{NQN}/namespaces/{nsid}/enable")

    def enable(self, nsid):
        self._guest.run(f"echo 1 >/sys/kernel/config/nvmet/subsystems/{NQN}/namespaces/{nsid}/enable")
