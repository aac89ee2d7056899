/** What a host may pass to `shareSync`, checked before anything is opened. */
import { SturdyError } from "../index.ts"
import { isRecord } from "./event.ts"
import type { ShareSyncLink } from "./drop-in.ts"
import { isLiveTextMs, live_text_ms_min } from "./live-text.ts"

const functions = ["redact", "model", "notify", "headers"] as const

/** @throws SturdyError `invalid_argument`, naming the option; never a value. */
export function checkLink(link: ShareSyncLink): void {
  if (!isRecord(link)) throw wrong("the options must be an object")
  const { outbox, sessions, children, liveTextMs, headers, protocols } = link as Partial<ShareSyncLink>
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
