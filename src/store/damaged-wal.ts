/**
 * A -wal that is damaged (wal.ts says how that is seen) must not lose ops without a word: SQLite would read what stands
 * before the damage, and at its last close delete the rest.
 *
 * Another process may write it while we read, so that it only looks damaged: what is certain is seen alone. As long as
 * that cannot be had it is looked at again, since two that open at once are in each other's way for a moment only; whoever
 * has it open for longer is taken to be at work in it, and to have been there before the damage or to have seen to it.
 * A mere reader that holds the file for longer hides the damage (ARCHITECTURE.md, "Faults", what is not held).
 */
import { closeSync, fsyncSync, openSync, renameSync } from "node:fs"
import { dirname } from "node:path"
import { assert } from "../intent/error.ts"
import * as limit from "../intent/limit.ts"
import type { Seams } from "../intent/seam.ts"
import { openAlone } from "./alone.ts"
import { storageError } from "./fault.ts"
import type { Handle } from "./handle.ts"
import { corrupt, nameAside, syncFolders } from "./place.ts"
import type { Quarantined } from "./quarantine.ts"
import { walFault } from "./wal.ts"

/** Between two looks, ms. */
const pause_ms = 2

/**
 * Damage behind whole frames, which a power loss may leave too: these are copied back, and the -wal is kept as
 * `<file>-wal.damaged-<UTC>`, synced. Undefined if there is none.
 *
 * @throws SturdyError `database_corrupt` if nothing in the -wal can be read, and then all bytes stay as they are;
 *   `disk_full`, `storage_fault` if its frames cannot be copied back: nothing is lost, open it again.
 */
export function keepDamagedWal(file: string, seams: Seams): Quarantined | undefined {
  const { clock, random } = seams
  let since: number | undefined
  while (walFault(file)) {
    const lock = openAlone(file, 0)
    if (lock) return lookAlone(file, lock, seams)
    since ??= clock.monotonic()
    if (clock.monotonic() - since >= limit.record_busy_ms_max) return
    clock.block(pause_ms * (0.5 + random.fraction() / 2))
  }
  return
}

function lookAlone(file: string, lock: Handle, seams: Seams): Quarantined | undefined {
  try {
    const fault = walFault(file)
    if (!fault) return
    if (fault.of === "header")
      throw corrupt(file, `the header of ${file}-wal is wrong, so that nothing of its ${fault.bytes} bytes can be read`)
    const to = putAside(file, lock, seams)
    const { read, written } = fault
    return {
      file: to,
      message: `${file}-wal was damaged, or cut by a power loss: ${read} of ${written} frames could be read, so what was recorded last is missing here; what the service had of it comes back as a twin; the -wal was kept as ${to}`,
    }
  } catch (error) {
    throw storageError(error, `copying back ${file}-wal`)
  } finally {
    lock.close()
  }
}

/** Renamed, not copied: nothing is left in it that the outbox could use, and a full disk must not stop this. */
function putAside(file: string, lock: Handle, { clock, crashPoint }: Seams): string {
  lock.run("pragma checkpoint_fullfsync = 1")
  const copied = lock.prepare("pragma wal_checkpoint(passive)").get() as { log: number; checkpointed: number }
  assert(copied.log === copied.checkpointed, `${file}-wal: ${copied.checkpointed} of ${copied.log} frames copied back`)
  const to = nameAside(`${file}-wal`, clock.now())
  crashPoint("damaged-wal:before-rename")
  // By other means than SQLite: it takes no lock on a -wal, so closing drops none.
  const fd = openSync(`${file}-wal`, "r")
  fsyncSync(fd)
  closeSync(fd)
  renameSync(`${file}-wal`, to)
  syncFolders(dirname(file), dirname(file))
  crashPoint("damaged-wal:after-rename")
  return to
}
