/** Runs the checks one after the other, and tells each finding as it comes. */
import { resolve } from "node:path"
import { hostTables } from "../../inspect/outbox-file.ts"
import { errorTable, SturdyError } from "../../intent/error.ts"
import { systemSeams } from "../../intent/system.ts"
import { Connection } from "../../store/connection.ts"
import { unlessDamaged } from "../../store/fault.ts"
import { followLinks } from "../../store/place.ts"
import { upToDate } from "../../store/migrate.ts"
import { hasRoots } from "../../store/first-page.ts"
import { isOutbox } from "../../store/quarantine.ts"
import { readingOutbox } from "../../store/reading.ts"
import { databaseError } from "../outbox/database-error.ts"
import { explained } from "../outbox/looking.ts"
import { type OutboxPlace } from "../outbox/outbox-place.ts"
import { neverShowThoseOf } from "../outbox/secrets.ts"
import type { HeadersOf } from "../input/service-header.ts"
import { type Check, type Context, damageCure, type Finding, type Level, type Observation } from "./check.ts"
import { checks } from "./checks.ts"
import { servicesToAsk } from "./connection.ts"
import { leftoverCheck } from "./file.ts"

export interface Examination {
  place: OutboxPlace
  offline: boolean
  /** Asked once it is known which services may be spoken to. */
  headers(services: readonly string[]): HeadersOf | undefined
  tell(finding: Finding): void
  progress(what: string, done?: number, total?: number): void
}

export interface Examined {
  checks: number
  found: readonly Finding[]
}

/** @throws SturdyError if there is no outbox to look at, after what could be told */
export async function examine(examination: Examination): Promise<Examined> {
  const { place, offline, tell, progress } = examination
  const file = resolve(followLinks(place.file))
  const opened = openedOutbox(file)
  const { unopened, services } = opened
  const headers = examination.headers(services)
  const found: Finding[] = []
  const context: Context = {
    place,
    file,
    now: Date.now(),
    hostTables: opened.hostTables,
    unopened,
    offline,
    found,
    headersFor: (service) => headers?.({ service }) ?? {},
    read: (look) => readingOutbox(file, look),
    progress,
  }
  const isNone = unopened !== undefined && isNoOutbox(file, unopened)
  const due = isNone ? [leftoverCheck] : checks.filter((check) => unopened === undefined || check.needs === undefined)
  for (const check of due)
    for await (const observation of observations(check, context)) {
      if (isNone && observation.level === "ok") continue
      const finding: Finding = { check: check.name, ...observation }
      found.push(finding)
      tell(finding)
    }
  if (unopened && !found.some(({ level }) => level === "wrong")) throw explained(unopened, place)
  return { checks: due.length, found }
}

interface Opened {
  unopened: SturdyError | undefined
  services: string[]
  hostTables: string[]
}

function openedOutbox(file: string): Opened {
  try {
    return readingOutbox(file, (db) => {
      neverShowThoseOf(db)
      upToDate(new Connection(db, systemSeams, file))
      return {
        unopened: undefined,
        // A table that is damaged does not keep the others from being looked at.
        services: unlessDamaged(() => servicesToAsk(db)) ?? [],
        hostTables: hostTables(db),
      }
    })
  } catch (thrown) {
    const error = databaseError(thrown)
    if (!(error instanceof SturdyError)) throw error
    return { unopened: error, services: [], hostTables: [] }
  }
}

/** Nothing is wrong with an outbox: there is none. */
function isNoOutbox(file: string, { code }: SturdyError): boolean {
  return (
    code === "database_missing" ||
    code === "database_not_outbox" ||
    (code === "database_not_sqlite" && !isOutbox(file) && !hasRoots(file))
  )
}

/** What a check could not look at is a finding of its own, and the others go on. */
async function* observations(check: Check, context: Context): AsyncGenerator<Observation> {
  try {
    yield* check.run(context)
  } catch (thrown) {
    const error = databaseError(thrown)
    if (!(error instanceof SturdyError)) throw error
    const level: Level = errorTable[error.code].exit === 3 ? "wrong" : "warning"
    const cure = error.code === "database_corrupt" ? damageCure(context.place) : { cure: error.hint }
    yield { level, message: `it could not be looked at: ${error.message}`, ...cure, code: error.code }
  }
}
