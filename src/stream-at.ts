/** The stream of a name at a service: the same one at every run of a program, by nothing but what stands in its text. */
import { SturdyError } from "./intent/error.ts"
import type { Random } from "./intent/seam.ts"
import { newRef, type Stubbing } from "./ref.ts"
import type { StreamRow, Streams } from "./store/stream.ts"

/**
 * As stored, or created with a fresh ref. Of several processes that are first at once, one creates it for all. What is
 * passed was checked.
 *
 * @throws SturdyError `stream_conflict` if it is at another service, `invalid_argument` without `create` for a new one.
 */
export function streamAt(
  streams: Streams,
  random: Random,
  service: string,
  name: string,
  create: Stubbing["create"],
): StreamRow {
  const known = stored(streams, service, name)
  if (known) return known
  if (!create)
    throw new SturdyError(
      "invalid_argument",
      `there is no stream ${name} in this outbox, and without create nobody would create its share; nothing was written`,
      "Pass create: { session_id }, or the ref of a share that is there.",
    )
  try {
    return streams.open(name, newRef(service, random), { session_id: create.session_id })
  } catch (error) {
    const raced = error instanceof SturdyError && error.code === "stream_conflict" && stored(streams, service, name)
    if (raced) return raced
    throw error
  }
}

function stored(streams: Streams, service: string, name: string): StreamRow | undefined {
  const row = streams.find(name)
  if (!row || row.service === service) return row
  throw new SturdyError(
    "stream_conflict",
    `stream ${name} exists at another service, ${row.service}`,
    "outbox.stream(name) opens it as stored; if the service has moved, unblock({ service }) it; or take another name.",
  )
}
