/** Payloads as people are shown them: shortened unless asked for, and never a secret of this outbox. */
import type { Database } from "bun:sqlite"
import { printable } from "./terminal.ts"

/** Texts of an outbox that must never be shown, whatever an argument or a message repeats. */
export class Secrets {
  readonly #secrets: readonly string[]

  constructor(db: Database) {
    const rows = db.prepare("select * from sturdy_stream").all() as { secret: string; remote_secret?: string | null }[]
    const secrets = rows.flatMap((row) => [row.secret, row.remote_secret ?? ""]).filter(Boolean)
    // As they stand in JSON too: those that a service made may hold any sign.
    this.#secrets = [...new Set(secrets.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]))]
  }

  hide(text: string): string {
    return this.#secrets.reduce((hidden, secret) => hidden.replaceAll(secret, "[secret]"), text)
  }

  /** In every text of a JSON value, at any depth; names of members too. */
  hideIn<T extends object>(value: T): T {
    if (this.#secrets.length === 0) return value
    return JSON.parse(this.hide(JSON.stringify(value))) as T
  }
}

/** Columns of a payload that nobody asked for in full. */
const shown_letters = 400

/** One line. */
export function payloadText(json: string, full: boolean): string {
  const text = printable(json)
  if (full || text.length <= shown_letters) return text
  return `${text.slice(0, shown_letters)}… (${json.length.toLocaleString("en")} characters: --payload shows all)`
}
