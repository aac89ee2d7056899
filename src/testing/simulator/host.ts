/** The program around an outbox, process after process: it tells events again that were not taken, and waits for results. */
import type { Intent } from "../../handle.ts"
import { SturdyError } from "../../intent/error.ts"
import type { RecordInput } from "../../record-input.ts"
import type { Client } from "../world/client.ts"
import { Killed } from "../world/life.ts"
import type { Dice } from "./dice.ts"

/** An op of this life: it can be referred to. */
interface Held {
  life: number
  name: string
  stream: string
  intent: Intent
}

/** An event that was not taken, or perhaps was. */
interface Owed {
  name: string
  stream: string
  input: RecordInput
}

/** Codes that a host may be told instead of an answer; any other one is a bug. */
const expectedCodes: ReadonlySet<string> = new Set([
  "outbox_full",
  "stream_closed",
  "rotation_refused",
  "rotation_unfinished",
  "busy",
  "disk_full",
  "storage_fault",
  "closed",
  "reference_superseded",
  "dead_letter_unknown",
  "dead_letter_decided",
  "dead_letter_dependent",
])

/** An error of record, a retry, a removal … that a host lives with. */
export function isExpected(error: unknown): error is SturdyError {
  return error instanceof SturdyError && expectedCodes.has(error.code)
}

/** Nothing was written, or nobody knows: the same captureId may be told again. */
function mayRepeat(error: unknown): boolean {
  return error instanceof Killed || (error instanceof SturdyError && (error.retriable || error.indeterminate))
}

export class Host {
  readonly #held: Held[] = []
  #owed: Owed[] = []
  /** What it was told and is not so: a result of another op, a refusal of what was written. */
  readonly wrong: string[] = []
  /** What each op that refers to another one was recorded about, by its name. */
  readonly about = new Map<string, string>()

  constructor(readonly client: Client) {}

  /** Says how it went. @throws Killed, or what is not expected */
  record(name: string, stream: string, input: RecordInput, isAgain = false): string {
    try {
      this.#whole(name, 1, () => this.#record(name, stream, input, isAgain))
      return ""
    } catch (error) {
      if (input.captureId !== undefined && mayRepeat(error)) this.#owed.push({ name, stream, input })
      if (!isExpected(error)) throw error
      return `: ${error.code}${error.indeterminate ? ", perhaps" : ""}`
    }
  }

  /** Records a unit; returns its op_ids. @throws what record throws */
  unit(names: string, more: Parameters<Client["unit"]>[1]): string[] {
    return this.#whole(names, names.split(" ").length, () => this.client.unit(names, more))
  }

  /** I7: of so many ops none is there, or, if it is not known, none or all. */
  #whole<T>(names: string, ops: number, record: () => T): T {
    const { file } = this.client
    const before = file.opCount
    try {
      return record()
    } catch (error) {
      const there = file.opCount - before
      if (error instanceof SturdyError && !error.indeterminate && there !== 0)
        this.wrong.push(`I7 ${names} was refused with ${error.code}, and is there`)
      if (there !== 0 && there !== ops) this.wrong.push(`I7 of ${names} ${there} are there`)
      throw error
    }
  }

  /** Tells the events again that were not taken, as a catch-up does. */
  catchUp(): string | undefined {
    const owed = this.#owed
    if (owed.length === 0) return
    this.#owed = []
    return owed.map(({ name, stream, input }) => `${name}${this.record(name, stream, input, true)}`).join(" ")
  }

  /** Its dependency comes first; if that was given up, so is this one. */
  retry(name: string, stream: string): string {
    const { client } = this
    try {
      return `retried ${client.retry(name, stream).join(" ")}`
    } catch (error) {
      if (!isExpected(error)) throw error
      if (error.code !== "dead_letter_dependent" || !error.message.includes("was given up"))
        return `${name}: ${error.code}`
      return `given up ${client.discard(name, stream).join(" ")}`
    }
  }

  /** An op of this life, for another one to refer to. */
  heldOn(stream: string, dice: Dice): Held | undefined {
    const { lives } = this.client
    return dice.pick(this.#held.filter((held) => held.stream === stream && held.life === lives))
  }

  #record(name: string, stream: string, input: RecordInput, isAgain: boolean): void {
    const { client } = this
    const intent = client.intent(name, { ...input, stream })
    client.note(client.outbox.opId(intent), name, stream, isAgain)
    this.#held.push({ life: client.lives, name, stream, intent })
    if (input.wantResult) this.#await(name, intent)
  }

  #await(name: string, intent: Intent): void {
    this.client.outbox.result(intent).then(
      (result) => {
        const found = (result as { name?: unknown } | undefined)?.name
        if (found !== name) this.wrong.push(`the result of ${name} is that of ${String(found)}`)
      },
      (error: unknown) => {
        if (!(error instanceof SturdyError)) this.wrong.push(`the result of ${name}: ${String(error)}`)
      },
    )
  }
}
