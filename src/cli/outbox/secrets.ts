/** The secrets of an outbox, kept out of whatever is shown of it. */
import type { Database } from "bun:sqlite"
import { isDamage } from "../../store/fault.ts"
import { hideInOutput } from "../output/terminal.ts"

/** A file of an older Sturdy lacks some. */
export interface SecretRow {
  secret: string
  remote_secret?: string | null
  next_secret?: string | null
}

/** How many letters of a secret are looked up at once. */
const head_letters = 8

/** All that was learned since the process began: an outbox may be replaced, and a message outlives it. */
const learned = new Set<string>()

/** None of them is printed from here on, whoever repeats it. */
export function neverShow(secrets: Iterable<string>): void {
  const before = learned.size
  for (const secret of secrets) learned.add(secret)
  if (learned.size === before) return
  const all = new Secrets([...learned].map((secret) => ({ secret })))
  hideInOutput((text) => all.hide(text))
}

/** The same, of an outbox that is looked into. Those in a damaged row are not known. */
export function neverShowThoseOf(db: Database): void {
  try {
    neverShow((db.prepare("select * from sturdy_stream").all() as SecretRow[]).flatMap(secretsOf))
  } catch (error) {
    // Whoever looks for more than this meets it too, and says so.
    if (!isDamage(error)) throw error
  }
}

/** Texts of an outbox that must never be shown, whatever an argument or a message repeats. */
export class Secrets {
  readonly #short: string[] = []
  /** By their first letters: an outbox may have thousands of streams, and a text is gone through once for all. */
  readonly #byHead = new Map<string, string[]>()
  /** Of the first three letters of those, for a quick no. */
  readonly #mayBegin = new Uint8Array(1 << 16)

  /** The outbox, or the rows of its streams. */
  constructor(from: Database | readonly SecretRow[]) {
    const rows = Array.isArray(from)
      ? (from as readonly SecretRow[])
      : ((from as Database).prepare("select * from sturdy_stream").all() as SecretRow[])
    for (const secret of new Set(rows.flatMap(secretsOf).flatMap(written))) this.#add(secret)
  }

  #add(secret: string): void {
    if (secret.length < head_letters) {
      this.#short.push(secret)
      return
    }
    const head = secret.slice(0, head_letters)
    const longestFirst = [...(this.#byHead.get(head) ?? []), secret].toSorted((a, b) => b.length - a.length)
    this.#byHead.set(head, longestFirst)
    this.#mayBegin[beginning(secret, 0)] = 1
  }

  hide(text: string): string {
    const hidden = this.#short.reduce((hidden, secret) => hidden.replaceAll(secret, "[secret]"), text)
    let shown = ""
    let from = 0
    for (let at = 0; at <= hidden.length - head_letters; at++) {
      if (this.#mayBegin[beginning(hidden, at)] === 0) continue
      const secret = this.#byHead
        .get(hidden.slice(at, at + head_letters))
        ?.find((secret) => hidden.startsWith(secret, at))
      if (secret === undefined) continue
      shown += `${hidden.slice(from, at)}[secret]`
      from = at + secret.length
      at = from - 1
    }
    return shown + hidden.slice(from)
  }

  /** In every text of a JSON value, at any depth; names of members too. */
  hideIn<T extends object>(value: T): T {
    const text = JSON.stringify(value)
    const hidden = this.hide(text)
    return hidden === text ? value : (JSON.parse(hidden) as T)
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

const secretsOf = (row: SecretRow) => [row.secret, row.remote_secret ?? "", row.next_secret ?? ""]
