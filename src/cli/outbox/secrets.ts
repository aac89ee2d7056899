/** The secrets of an outbox, kept out of whatever is shown of it. */
import type { Database } from "bun:sqlite"
import { unlessDamaged } from "../../store/fault.ts"
import type { StreamRow } from "../../store/stream.ts"
import { hideInOutput } from "../output/terminal.ts"

/** How many letters of a secret are looked up at once. */
const head_letters = 8

/** All that was learned since the process began: an outbox may be replaced, and a message outlives it. */
const learned = new Set<string>()

/** None of them is printed from here on, whoever repeats it. */
export function neverShow(secrets: Iterable<string>): void {
  const before = learned.size
  for (const secret of secrets) learned.add(secret)
  if (learned.size === before) return
  const all = new Secrets(learned)
  hideInOutput((text) => all.hide(text))
}

/** The same, of an outbox that is looked into. Those in a damaged row are not known: who looks for more meets it too. */
export function neverShowThoseOf(db: Database): void {
  neverShow(unlessDamaged(() => secretsIn(db)) ?? [])
}

/** Of all its streams. A file of an older Sturdy lacks some columns. */
export function secretsIn(db: Database): string[] {
  const rows = db.prepare("select * from sturdy_stream").all() as Partial<StreamRow>[]
  return rows.flatMap((row) => [row.secret ?? "", row.remote_secret ?? "", row.next_secret ?? ""])
}

/** Texts of an outbox that must never be shown, whatever an argument or a message repeats. */
export class Secrets {
  /** By their first letters: an outbox may have thousands of streams, and a text is gone through once for all. */
  readonly #byHead = new Map<string, string[]>()
  /** Of the first three letters of those, for a quick no. */
  readonly #mayBegin = new Uint8Array(1 << 16)

  constructor(secrets: Iterable<string>) {
    for (const text of new Set([...secrets].flatMap(written))) this.#add(text)
  }

  #add(secret: string): void {
    // A service that makes such a one keeps none: to hide it would tear words, numbers and JSON apart.
    if (secret.length < head_letters) return
    const head = secret.slice(0, head_letters)
    const longestFirst = [...(this.#byHead.get(head) ?? []), secret].toSorted((a, b) => b.length - a.length)
    this.#byHead.set(head, longestFirst)
    this.#mayBegin[beginning(secret, 0)] = 1
  }

  hide(text: string): string {
    let shown = ""
    let from = 0
    for (let at = 0; at <= text.length - head_letters; at++) {
      if (this.#mayBegin[beginning(text, at)] === 0) continue
      const secret = this.#byHead.get(text.slice(at, at + head_letters))?.find((secret) => text.startsWith(secret, at))
      if (secret === undefined) continue
      shown += `${text.slice(from, at)}[secret]`
      from = at + secret.length
      at = from - 1
    }
    return shown + text.slice(from)
  }
}

/** As it is, and as it stands in JSON text, and in JSON text within JSON text. */
function written(secret: string): string[] {
  if (secret === "") return []
  const once = JSON.stringify(secret).slice(1, -1)
  return [secret, once, JSON.stringify(once).slice(1, -1)]
}

function beginning(text: string, at: number): number {
  return ((text.charCodeAt(at) << 10) ^ (text.charCodeAt(at + 1) << 5) ^ text.charCodeAt(at + 2)) & 0xffff
}
