/** What the answers to a rotation mean. Pure; by codes alone. */
import { SturdyError, type SturdyErrorOptions } from "../intent/error.ts"
import type { StreamRow } from "../store/stream.ts"
import type { Answer } from "../wire/post.ts"
import type { RotationAnswer } from "../wire/rotation.ts"
import { grantFactsFault } from "./check-ack.ts"

export type RotationOutcome =
  /** The new secret opens the share, at this epoch. */
  | { epoch: number; isCertain?: false }
  /** `isCertain`: the service took no new secret by this one, and never will. */
  | { epoch?: undefined; error: SturdyError; isCertain: boolean }

export function rotationOutcome(stream: StreamRow, { grant, rotated, renewed }: RotationAnswer): RotationOutcome {
  if (renewed.kind === "value") {
    const wrong = grantFactsFault(renewed.value, stream.share_id)
    if (wrong) return failed(unfinished(stream, `an answer that is no grant: ${wrong}`, { indeterminate: true }))
    const { service_id, epoch } = renewed.value
    if (stream.service_id === service_id) return { epoch }
    return failed(
      refused(
        stream,
        `another service answers there, ${service_id}, and not ${stream.service_id}`,
        "Look at where the service is; unblock({ service }) follows one that has moved.",
      ),
    )
  }
  const fault = [grant, rotated, renewed].find(({ kind }) => kind === "fault" || kind === "failed")
  if (fault) return failed(unanswered(stream, fault))
  // What the secret of the stream was refused for; else what the new one was, which then was not taken.
  const said = [grant, rotated, renewed].find((answer) => answer.kind === "refused")
  if (said?.kind !== "refused") return failed(unfinished(stream, "no answer that means anything"))
  const { code, message } = said
  if (code === "scope_denied")
    return {
      error: refused(stream, message, "Ask whoever holds the root capability: it alone changes its secret."),
      isCertain: grant.kind === "value",
    }
  if (code === "busy" || code === "stale_epoch") return failed(unfinished(stream, `${code}, ${message}`))
  return failed(refused(stream, `${code}, ${message}`, "Look at what the stream is blocked for, and by whom."))
}

/** Nothing was changed, and repeating it changes nothing as long as nobody does anything about it. */
export function refused({ name }: StreamRow, why: string, hint: string): SturdyError {
  return new SturdyError("rotation_refused", `stream ${name}: its secret is not changed: ${why}`, hint)
}

/** `indeterminate`: the service may have taken the new secret. */
export function unfinished({ name }: StreamRow, why: string, options: SturdyErrorOptions = {}): SturdyError {
  return new SturdyError(
    "rotation_unfinished",
    `stream ${name}: its secret is not changed yet: ${why}`,
    "Repeat it: that goes on where it stands. Until then the stream goes on with whichever secret opens the share.",
    options,
  )
}

function unanswered(stream: StreamRow, answer: Answer<unknown>): SturdyError {
  if (answer.kind !== "fault") return unfinished(stream, "the service failed at it", { indeterminate: true })
  const { message, delivery } = answer.fault
  return unfinished(stream, message, { cause: answer.fault, indeterminate: delivery !== "not_sent" })
}

function failed(error: SturdyError): RotationOutcome {
  return { error, isCertain: false }
}
