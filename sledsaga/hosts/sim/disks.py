"""`diskinfo` and `fstyp`: which disks the sled has, and what is on them.

Format of `diskinfo -pH` (the one way a driver lists disks): one line a disk, eight columns parted by one tab

    type  disk  vendor  model  serial  size  slot  variant
    NVME  /dev/dsk/c1tA084A5E3d0  1b96  WUS4C6432DSP3X3  A084A5E3  3200631791616  0  U.2

- `disk` is the full path that `fstyp -a PATH`, `zpool create NAME PATH` and nothing else need. On a U.2 it is
  the whole disk; on an M.2 it is the ZFS slice (`/dev/dsk/c1t<serial>d0s5`), never the whole disk.
- `size` is in bytes, `slot` is a number (U.2 0-9, M.2 17 and 18), `variant` is `U.2` or `M.2`.
- Sorted by slot. A disk that was pulled is not listed. Exit 0; no disks is empty output.

Differences from the real tool: its `-pH` prints no serial, slot or variant (a real driver takes these from
libdevinfo and topo). `diskinfo -cHp` is also understood, and prints the eight columns of the real one: type,
device name, vendor, model, serial, size, flags, `chassis,slot`.

`fstyp -a PATH`, three answers that must not be mixed up:
- a pool is there: exit 0, first line `zfs`, then attributes, among them `name: 'oxp_...'`;
- blank, or its pool was destroyed: exit 1, stderr `unknown_fstyp (no matches)`;
- not readable: exit 1, stderr `fstyp: cannot open device "PATH": No such file or directory` (pulled disk)
  or `... I/O error` (failing disk). Only the second answer means blank.
"""
