/** `sturdy doctor --quarantine`: a damaged outbox put aside, as a host with { damaged: "quarantine" } does at its start. */
import { SturdyError } from "../../intent/error.ts"
import { systemSeams } from "../../intent/system.ts"
import { openDatabase } from "../../store/database.ts"
import { isDamageCode } from "../../store/fault.ts"
import { statOf } from "../../store/place.ts"
import type { Quarantined } from "../../store/quarantine.ts"
import { readingOutbox } from "../../store/reading.ts"
import { findDamage, suspect, suspicionOf } from "../../store/suspect.ts"
import { walFault } from "../../store/wal.ts"
import { databaseError } from "../outbox/database-error.ts"
import { commandLine } from "../outbox/command-line.ts"
import { explained } from "../outbox/looking.ts"
import { type OutboxPlace } from "../outbox/outbox-place.ts"

/**
 * Looks first, and without a change: opened without damage, it would only be opened. Undefined if it is not damaged.
 *
 * @throws SturdyError if it is no outbox, or another process has it open
 */
export function putAside(place: OutboxPlace, file: string): Quarantined | undefined {
  const damage = damageOf(place, file)
  if (damage === undefined) return
  // Who opens it looks at every page only if damage was met before.
  if (damage.isInPages) suspect(file, "sturdy doctor", Date.now())
  const opened = openDatabase(file, systemSeams, "quarantine")
  opened.close()
  if (opened.quarantined) return opened.quarantined
  throw new SturdyError(
    "busy",
    `${file} was damaged when it was looked at (${damage.what}), and is not any more; nothing was put aside`,
    `Look again: ${commandLine(place, "doctor")}`,
  )
}

interface Damage {
  what: string
  /** Not to be seen by whoever opens it: a page in its middle. */
  isInPages: boolean
}

function damageOf(place: OutboxPlace, file: string): Damage | undefined {
  const condemned = suspicionOf(file)?.condemned
  if (condemned !== undefined && condemned === statOf(file)?.ino)
    return { what: "it was being put aside", isInPages: false }
  try {
    const found = readingOutbox(file, findDamage)
    if (found !== undefined) return { what: found, isInPages: true }
  } catch (thrown) {
    const error = databaseError(thrown)
    if (!(error instanceof SturdyError) || !isDamageCode(error.code)) throw explained(error, place)
    return { what: error.message, isInPages: false }
  }
  const fault = walFault(file)
  return fault && { what: `its -wal has a damaged ${fault.of}`, isInPages: false }
}
