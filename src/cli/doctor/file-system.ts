/** Which file systems SQLite's locks, shared memory and syncs are trusted on (statfs, Linux). */
import type { Level } from "./check.ts"

export interface FileSystem {
  name: string
  level: Level
  /** Why an outbox does not belong there; undefined: it does. */
  doubt?: string
  cure?: string
}

const remote = {
  level: "warning",
  doubt: "several machines share it, and SQLite's -wal works within one machine only; Sturdy is not tried on it",
  cure: "Move the outbox to a local disk while no program has it open.",
} as const

const untried = {
  level: "warning",
  doubt: "its locks and syncs are those of another program; Sturdy is not tried on it",
  cure: "Move the outbox to a local disk while no program has it open.",
} as const

const overlay = {
  level: "warning",
  doubt: "a container's own layer, which is gone with the container; Sturdy is not tried on it",
  cure: "Put the outbox on a volume.",
} as const

const memory = { level: "note", doubt: "it is in memory, and gone when the machine restarts" } as const

/** By magic number: statfs(2), linux/magic.h, and the sources of those that have it there no more. */
const known: Record<number, FileSystem> = {
  0x6969: { name: "NFS", ...remote },
  0x517b: { name: "SMB", ...remote },
  0xfe534d42: { name: "SMB", ...remote },
  0xff534d42: { name: "CIFS", ...remote },
  0x5346414f: { name: "AFS", ...remote },
  0x00c36400: { name: "Ceph", ...remote },
  0x01021997: { name: "9p", ...untried },
  0x65735546: { name: "FUSE", ...untried },
  0x786f4256: { name: "a VirtualBox share", ...untried },
  0x794c7630: { name: "overlay", ...overlay },
  0x01021994: { name: "tmpfs", ...memory },
  0x858458f6: { name: "ramfs", ...memory },
  0xef53: { name: "ext", level: "ok" },
  0x58465342: { name: "XFS", level: "ok" },
  0x9123683e: { name: "Btrfs", level: "ok" },
  0x2fc12fc1: { name: "ZFS", level: "ok" },
  0xf2f52010: { name: "F2FS", level: "ok" },
}

/** Undefined: nothing is known of it, or the number means something else on this system. */
export function fileSystemOf(type: number, platform: string = process.platform): FileSystem | undefined {
  // Signed on some machines.
  return platform === "linux" ? known[type >>> 0] : undefined
}
