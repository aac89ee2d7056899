/** What `record` takes, and what else a host passes to a stream: checked before anything is done. */
import { SturdyError } from "./intent/error.ts"
import { kindOf, shapeProblem } from "./intent/shape.ts"
import type { Intent } from "./handle.ts"
import { nameProblem } from "./ref.ts"
import type { DeadLetterPage } from "./store/dead-letter-row.ts"
import type { Staleness } from "./store/new-op.ts"

/**
 * One call to record. An adapter that turns events into ops keeps no state of its own: what it needs to know of earlier
 * events it asks for with `captureId`, `dependsOnKeys`, `onlyIfChanged`, `endsKeys` and `stale`, which are decided in the
 * recording transaction (ARCHITECTURE.md, "Recording events").
 */
export interface RecordInput {
  method: string
  args: readonly unknown[]
  /** Call the method on the result of an earlier op, or on a property of it. The service may not support it yet. */
  target?: Intent
  /**
   * Names what the op is a state of. The last op with the same key is replaced by this one if it was not sent yet,
   * nothing depends on it, and neither is one of several ops of a unit.
   */
  key?: string
  /** Identity of the host's event: recorded once per stream, whatever happens; the same again returns the first op. */
  captureId?: string
  /** Ops that must be decided before this one; those whose results are arguments are added. */
  dependsOn?: readonly (Intent | string)[]
  /** Depend on the first op of each of these keys, of those recorded with `onlyIfChanged`, where there is one. */
  dependsOnKeys?: readonly string[]
  /**
   * Remember this op as the latest of its key, and record nothing if it says the same as the latest before it: method and
   * args as they are sent, or this text instead, e.g. the state with its members in an order of the host's.
   */
  onlyIfChanged?: boolean | string
  /** Keys beginning with this are over and forgotten, e.g. `message/7/`: what comes under them next is changed, and first. */
  endsKeys?: string
  /**
   * Record nothing, note the captureId: the event came late, newer state of the key is recorded already. A function is
   * asked in the recording transaction, perhaps more than once, so that no other process can record in between.
   */
  stale?: boolean | Staleness
  /** Bring the result back, for `outbox.result`. */
  wantResult?: boolean
  /** Version of the app's payload. @default 1 */
  schemaVersion?: number
  actorId?: string
}

const names = ["method", "key", "captureId", "actorId", "endsKeys"] as const
const flags = ["wantResult"] as const
const lists = ["dependsOn", "dependsOnKeys"] as const
const others = ["args", "target", "schemaVersion", "stale", "onlyIfChanged"] as const

type Checked = (typeof names | typeof flags | typeof lists | typeof others)[number]
// A field that is in no list above is an error here.
const fields: readonly (keyof RecordInput extends Checked ? Checked : never)[] = [
  ...names,
  ...flags,
  ...lists,
  ...others,
]

/** @throws SturdyError `invalid_argument` */
export function checkInput(input: RecordInput): void {
  const misshapen = shapeProblem(input, fields)
  if (misshapen) throw invalidInput(`the input of record ${misshapen}`)
  if (input.method === undefined) throw invalidInput("method must be a text that is not empty")
  if (!Array.isArray(input.args)) throw invalidInput("args must be an array: the arguments of the call")
  for (const name of names) {
    const problem = input[name] === undefined ? undefined : nameProblem(input[name])
    if (problem) throw invalidInput(`${name} ${problem}`)
  }
  for (const name of flags) {
    const flag: unknown = input[name]
    if (flag !== undefined && typeof flag !== "boolean")
      throw invalidInput(`${name} must be true or false, got ${kindOf(flag)}`)
  }
  const { stale, onlyIfChanged } = input
  if (onlyIfChanged !== undefined && typeof onlyIfChanged !== "boolean" && typeof onlyIfChanged !== "string")
    throw invalidInput(`onlyIfChanged must be true, false or a text to compare, got ${kindOf(onlyIfChanged)}`)
  if (stale !== undefined && typeof stale !== "boolean" && typeof stale !== "function")
    throw invalidInput(`stale must be true or false, or a function that says so, got ${kindOf(stale)}`)
  for (const name of lists) {
    const list: unknown = input[name]
    if (list !== undefined && !Array.isArray(list)) throw invalidInput(`${name} must be an array, got ${kindOf(list)}`)
  }
  for (const key of input.dependsOnKeys ?? []) {
    const problem = nameProblem(key)
    if (problem) throw invalidInput(`a key in dependsOnKeys ${problem}`)
  }
  const version: unknown = input.schemaVersion ?? 1
  if (!Number.isSafeInteger(version) || (version as number) < 1)
    throw invalidInput(`schemaVersion must be a positive integer, got ${numberOr(version)}`)
  if (onlyIfChanged !== undefined && onlyIfChanged !== false && input.key === undefined)
    throw invalidInput("onlyIfChanged needs a key")
}

export function invalidInput(message: string): SturdyError {
  return new SturdyError("invalid_argument", message, "See RecordInput; nothing was written.")
}

/** @throws SturdyError `invalid_argument` */
export function checkPage(page: DeadLetterPage): void {
  const misshapen = shapeProblem(page, ["after", "limit", "args"])
  if (misshapen) throw invalidPage(`the page ${misshapen}`)
  const { after = 0, limit = 1, args } = page
  if (!Number.isSafeInteger(after) || after < 0) throw invalidPage(`after must be a seq, or 0, got ${numberOr(after)}`)
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > 1_000)
    throw invalidPage(`limit must be from 1 to 1,000, got ${numberOr(limit)}`)
  if (args !== undefined && typeof args !== "boolean")
    throw invalidPage(`args must be true or false, got ${kindOf(args)}`)
}

function invalidPage(message: string): SturdyError {
  return new SturdyError("invalid_argument", `deadLetters: ${message}`, "See DeadLetterPage.")
}

function numberOr(value: unknown): string {
  return typeof value === "number" ? String(value) : kindOf(value)
}
