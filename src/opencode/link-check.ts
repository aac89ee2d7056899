/** What a host may pass to `shareSync`, checked before anything is opened. */
import { SturdyError } from "../index.ts"
import { shapeProblem } from "../intent/shape.ts"
import { isRecord } from "./event.ts"
import type { ShareSyncLink } from "./drop-in.ts"
import { isLiveTextMs, live_text_ms_min } from "./live-text.ts"

const functions = ["redact", "model", "notify", "headers"] as const
const others = ["outbox", "service", "protocols", "sessions", "children", "liveTextMs"] as const

type Checked = (typeof functions | typeof others)[number]
// A field that is in no list above is an error here.
const fields: readonly (keyof ShareSyncLink extends Checked ? Checked : never)[] = [...functions, ...others]

/** @throws SturdyError `invalid_argument`, naming the option; never a value. */
export function checkLink(link: ShareSyncLink): void {
  const misshapen = shapeProblem(link, fields)
  if (misshapen) throw wrong(`the object ${misshapen}`)
  const { outbox, sessions, children, liveTextMs, headers, protocols }: Partial<ShareSyncLink> = link
  if (typeof outbox !== "string" && !isRecord(outbox)) throw wrong("outbox must be a path, a { database } or an Outbox")
  if (isRecord(outbox) && "stream" in outbox && (headers || protocols))
    throw wrong("headers and protocols are those of the Outbox that is given: pass them to openOutbox")
  if (typeof sessions?.get !== "function" || typeof sessions.messages !== "function")
    throw wrong("sessions must have the functions get and messages")
  for (const name of ["diff", "children"] as const)
    if (sessions[name] !== undefined && typeof sessions[name] !== "function")
      throw wrong(`sessions.${name} must be a function`)
  for (const name of functions)
    if (link[name] !== undefined && typeof link[name] !== "function") throw wrong(`${name} must be a function`)
  if (children !== undefined && typeof children !== "boolean") throw wrong("children must be true or false")
  if (!isLiveTextMs(liveTextMs)) throw wrong(`liveTextMs must be a number of milliseconds from ${live_text_ms_min} on`)
}

function wrong(message: string): SturdyError {
  return new SturdyError("invalid_argument", `shareSync: ${message}; nothing was opened`, "See ShareSyncLink.")
}
