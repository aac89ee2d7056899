/** Payloads as people are shown them: shortened unless asked for. */
import type { OpDetail } from "../../inspect/op.ts"
import { printable } from "./terminal.ts"

/** Columns of a payload that nobody asked for in full. */
const shown_letters = 400

/** One line. */
export function payloadText(json: string, full: boolean): string {
  const text = printable(json)
  if (full || text.length <= shown_letters) return text
  return `${text.slice(0, shown_letters)}… (${json.length.toLocaleString("en")} characters: --payload shows all)`
}

/** With it only if it was asked for. */
export function opJson(op: OpDetail, full: boolean): object {
  return full ? op : { ...op, args: undefined, result: undefined }
}
